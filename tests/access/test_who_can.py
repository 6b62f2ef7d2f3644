"""Who could move a tag: each way there is to become somebody who can, and what closes it."""

from collections.abc import Sequence
from typing import Any

import pytest

from container_images.access.account import account_of
from container_images.access.claims import guarded
from container_images.access.policy import parse
from container_images.access.who_can import Findings, findings
from container_images.policies.repository_policy import repository_policy
from tests.access.accounts import (
    ACCOUNT,
    GUARD,
    IAM,
    OTHER,
    PIPELINE,
    PIPELINE_ROLE,
    PROJECT,
    REPOSITORY,
    THE_ACCOUNT,
    Document,
    access,
    allow,
    deny,
    details,
    managed,
    policy,
    role,
    trust,
    user,
)

SOMEBODY = f"{IAM}role/somebody"
BOUNDARY = f"{IAM}policy/boundary"
PUSHES = "role/pipeline/push ecr:PutImage app"
ASSUMED = "sts:AssumeRole role/pipeline/push"


def ask(
    *identities: Document,
    guard: Document = GUARD,
    scps: tuple[Document, ...] = (),
    arns: tuple[str, ...] = (REPOSITORY,),
) -> list[Findings]:
    """What is found in an account of these alone."""
    repositories = [guarded(arn, guard) for arn in arns]
    return findings(account_of(details(*identities)), repositories, tuple(map(parse, scps)))


def able(*identities: Document, **more: Any) -> list[str]:
    [found] = ask(*identities, **more)
    return [it.principal.replace(IAM, "") for it in found.principals if it.paths["moveTags"]]


def steps(found: Findings, principal: str, ability: str = "moveTags") -> list[str] | None:
    """The path in short: CALLER ACTION RESOURCE, without what all ARNs of the account have."""
    [mover] = [it for it in found.principals if it.principal == principal]
    path = mover.paths[ability]
    if path is None:
        return None
    return [
        f"{it.principal} {it.action} {it.resource}".replace(IAM, "").replace(REPOSITORY, "app")
        for it in path.calls
    ]


def path_of(*statements: Document, **more: Any) -> list[str] | None:
    """The path of a role with these statements, in an account of the pipeline role and it."""
    [found] = ask(PIPELINE_ROLE, role("somebody", *statements), **more)
    return steps(found, SOMEBODY)


def becoming(*calls: str) -> list[str]:
    """Somebody makes these calls, and then pushes as the pipeline role."""
    return [*(f"role/somebody {call}" for call in calls), PUSHES]


def pushed_as(trusts: Document, **more: Any) -> Document:
    """The pipeline role, trusting others than CodeBuild."""
    return role("pipeline/push", trusts=trusts, **more)


def exempting(*arns: str, operator: str = "ArnNotLike", at: int = 0) -> Document:
    return changed(at, Condition={operator: {"aws:PrincipalArn": list(arns)}})


def changed(position: int, **more: Any) -> Document:
    weak = repository_policy(access())
    weak["Statement"][position] |= more
    return weak


def by_arn(*patterns: str) -> Document:
    return {"ArnLike": {"aws:PrincipalArn": list(patterns)}}


# --- Paths, call by call --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statements", "path"),
    [
        ([allow("ecr:*", "s3:*", "ec2:*")], None),
        (
            [allow("ecr:*", "iam:*")],
            becoming("iam:UpdateAssumeRolePolicy role/pipeline/push", ASSUMED),
        ),
        ([allow("iam:UpdateAssumeRolePolicy", on=f"{IAM}role/app-*")], None),
        ([allow("codebuild:StartBuild", on=PROJECT)], becoming(f"codebuild:StartBuild {PROJECT}")),
        ([allow("codebuild:*", on=f"{PROJECT}-tests")], None),
        (
            [allow("iam:PassRole", on=PIPELINE), allow("codebuild:CreateProject")],
            becoming("iam:PassRole role/pipeline/push", f"codebuild:CreateProject {PROJECT}"),
        ),
        ([allow("iam:PassRole")], None),  # the trust policy is about one project
        ([allow("codebuild:CreateProject")], None),
        ([allow("iam:PutRolePolicy", on=f"{IAM}role/app")], None),
        ([allow("iam:CreateRole", "iam:DeleteRole", on=PIPELINE)], None),
        ([allow("iam:CreateUser", "iam:UpdateUser")], None),
    ],
)
def test_the_path_of_somebody(statements: list[Document], path: list[str] | None) -> None:
    assert path_of(*statements) == path


@pytest.mark.parametrize(
    ("statements", "first"),
    [
        ([allow("iam:PutRolePolicy", on=SOMEBODY)], ["iam:PutRolePolicy role/somebody"]),
        ([allow("iam:AttachRolePolicy", on=SOMEBODY)], ["iam:AttachRolePolicy role/somebody"]),
        (
            [allow("iam:*"), deny("iam:UpdateAssumeRolePolicy", "iam:P*", "iam:Att*", "iam:Cr*")],
            ["iam:DeleteRolePolicy role/somebody"],
        ),
        (
            [allow("iam:CreateRole", "iam:AttachRolePolicy", on=f"{IAM}role/app-*")],
            [
                "iam:CreateRole role/app-*",
                "sts:AssumeRole role/app-*",
                "iam:AttachRolePolicy role/app-*",
            ],
        ),
        (
            [allow("iam:CreateRole", "iam:DeleteRole", "iam:PutRolePolicy", on=PIPELINE)],
            ["iam:DeleteRole role/pipeline/push", "iam:CreateRole role/pipeline/push", ASSUMED],
        ),
    ],
)
def test_how_the_path_of_somebody_begins(statements: list[Document], first: list[str]) -> None:
    path = path_of(*statements)
    assert path is not None
    assert path[: len(first)] == [f"role/somebody {call}" for call in first]


def test_what_two_roles_can_do_together_counts_for_whoever_can_be_both() -> None:
    """One may change what the other may do, and neither gets any further by itself."""
    target = f"{IAM}role/target"
    [found] = ask(
        PIPELINE_ROLE,
        role("somebody", allow("sts:AssumeRole", on=[f"{IAM}role/editor", target])),
        role("editor", allow("iam:PutRolePolicy", on=target), trusts=THE_ACCOUNT),
        role("target", allow("s3:*"), trusts=THE_ACCOUNT),
    )
    path = steps(found, SOMEBODY)
    assert path is not None
    assert "role/editor iam:PutRolePolicy role/target" in path
    assert steps(found, target) is None
    assert steps(found, f"{IAM}role/editor") is None


def test_what_is_assumed_is_named() -> None:
    condition = {"StringEquals": {"aws:PrincipalTag/team": "platform"}}
    somebody = role("somebody", allow("iam:UpdateAssumeRolePolicy", Condition=condition))
    [found] = ask(PIPELINE_ROLE, somebody)
    [mover] = [it for it in found.principals if it.principal == SOMEBODY]
    path = mover.paths["moveTags"]
    assert path is not None
    assert [*path.assuming] == ["aws:principaltag/team StringEquals platform"]


# --- Ways that somebody has, each in an account by itself -----------------------------------------


def bounds(operator: str, boundary: str) -> Document:
    return {"Condition": {operator: {"iam:PermissionsBoundary": boundary}}}


MAKING = allow("iam:CreateRole", "iam:PutRolePolicy", **bounds("StringEquals", BOUNDARY))
UNBOUNDED = bounds("StringNotEquals", BOUNDARY)
NARROW = managed("boundary", allow("s3:*"))
CI = f"{IAM}role/ci-*"
ANEW = [f"iam:{verb}" for verb in ("DeleteRole", "CreateRole", "PutRolePolicy")]
OWN = f"{IAM}policy/own"
CLUSTERS = pushed_as(
    trust(
        {"Federated": f"{IAM}oidc-provider/oidc.eks.eu-west-2.amazonaws.com/id/X"},
        "sts:AssumeRoleWithWebIdentity",
        Condition={"StringEquals": {"x:sub": "system:serviceaccount:a:b"}},
    )
)
SSO = "aws-reserved/sso.amazonaws.com/AWSReservedSSO_Dev"
TRUSTED = [
    (trust({"AWS": SOMEBODY}), [], True),
    (trust({"AWS": SOMEBODY}), [deny("sts:*")], False),
    (THE_ACCOUNT, [], False),
    (THE_ACCOUNT, [allow("sts:AssumeRole", on=PIPELINE)], True),
    (trust({"AWS": f"{IAM}role/others"}), [allow("sts:AssumeRole")], False),
    (
        trust({"AWS": f"{IAM}root"}, Condition=by_arn(f"{IAM}role/o*")),
        [allow("sts:AssumeRole")],
        False,
    ),
    (
        trust({"AWS": f"{IAM}root"}, Condition={"Bool": {"aws:MultiFactorAuthPresent": True}}),
        [allow("sts:AssumeRole")],
        True,
    ),
]


@pytest.mark.parametrize(("trusts", "statements", "can"), TRUSTED)
def test_assuming_takes_what_the_trust_asks(
    trusts: Document, statements: list[Document], *, can: bool
) -> None:
    assert ("role/somebody" in able(pushed_as(trusts), role("somebody", *statements))) is can


def case(label: str, *identities: Document, **more: Any) -> Any:
    return pytest.param(identities, more, id=label)


def somebody(*statements: Document, **more: Any) -> Document:
    return role("somebody", *statements, **more)


def limits(*actions: str) -> Document:
    """The permissions boundary of whoever has one."""
    return managed("boundary", allow(*actions))


def making(*names: str, verbs: Sequence[str] = ANEW[1:]) -> Document:
    return somebody(allow(*verbs, on=[*names]))


WAYS = [
    case("a listed role that does not exist", making(PIPELINE)),
    *(
        case("a name that guard and policy spell alike", making(name), guard=exempting(CI))
        for name in (CI, f"{IAM}role/ci-1*", f"{IAM}role/*-prod", "*")
    ),
    *(
        case(
            "a listed role anew, however it is listed",
            pushed_as(policy()),
            making(PIPELINE, verbs=ANEW),
            guard=exempting(name),
        )
        for name in (
            f"arn:*:iam::{ACCOUNT}:role/pipeline/push",
            "arn:aws:iam::*:role/pipeline/push",
            f"{IAM}role/*/push",
        )
    ),
    case(
        "a role anew that another trusts by its ARN",
        pushed_as(trust({"AWS": f"{IAM}root"}, Condition=by_arn(f"{IAM}role/runner"))),
        role("runner"),
        making(f"{IAM}role/runner", verbs=ANEW),
    ),
    case("a role in a boundary that is not known", PIPELINE_ROLE, somebody(MAKING)),
    *(
        case("a role released from its boundary", PIPELINE_ROLE, somebody(MAKING, it), NARROW)
        for it in (
            allow("iam:DeleteRolePermissionsBoundary"),
            allow("iam:CreatePolicyVersion"),
        )
    ),
    case(
        "a boundary that has to fit two patterns",
        PIPELINE_ROLE,
        somebody(
            allow(*ANEW, **bounds("StringLike", f"{IAM}policy/t-*")),
            deny(*ANEW, **bounds("StringNotLike", "*-boundary")),
        ),
    ),
    case(
        "a boundary of one's own that one can take off",
        PIPELINE_ROLE,
        somebody(allow("*"), boundary=BOUNDARY),
        limits("ecr:*", "iam:DeleteRolePermissionsBoundary"),
    ),
    case(
        "another boundary, which sets no bounds",
        PIPELINE_ROLE,
        somebody(allow("*"), boundary=BOUNDARY),
        limits("iam:PutRolePermissionsBoundary"),
    ),
    case(
        "a service that is named with its region",
        pushed_as(trust({"Service": "states.eu-west-2.amazonaws.com"})),
        somebody(allow("states:UpdateStateMachine")),
    ),
    case(
        "a SAML provider",
        pushed_as(trust({"Federated": f"{IAM}saml-provider/corp"}, "sts:AssumeRoleWithSAML")),
        somebody(allow("iam:UpdateSAMLProvider")),
    ),
    *(
        case("a cluster whose service accounts are trusted", CLUSTERS, somebody(allow(action)))
        for action in ("eks:CreateAccessEntry", "emr-containers:CreateManagedEndpoint")
    ),
    case(
        "a Deny that leaves out the account",
        somebody(allow("ecr:*")),
        guard=policy({"Effect": "Deny", "NotPrincipal": {"AWS": f"{IAM}root"}, "Action": "ecr:*"}),
    ),
]


@pytest.mark.parametrize(("identities", "more"), WAYS)
def test_a_way_is_found(identities: list[Document], more: dict[str, Any]) -> None:
    assert "role/somebody" in able(*identities, **more)


AS_CI = exempting(f"{IAM}user/ci")
RENAMING = allow("ecr:*", "iam:UpdateUser")
USERS = [
    case("a new name that the guard lists", user("amy", RENAMING), guard=AS_CI),
    case("one that is taken", user("amy", RENAMING), user("ci"), guard=AS_CI),
    case(
        "a new name that a trust policy asks for",
        pushed_as(trust({"AWS": f"{IAM}root"}, Condition=by_arn(f"{IAM}user/ops-*"))),
        user("amy", allow("sts:AssumeRole", "iam:UpdateUser")),
    ),
    case(
        "a new name after more is allowed",
        user("amy", allow("iam:PutUserPolicy", "iam:UpdateUser"), boundary=BOUNDARY),
        limits("iam:PutUserPolicy", "iam:UpdateUser", "ecr:*"),
        guard=AS_CI,
    ),
    case(
        "another boundary, which sets no bounds",
        PIPELINE_ROLE,
        user("amy", allow("*"), boundary=BOUNDARY),
        limits("iam:PutUserPermissionsBoundary"),
    ),
]


@pytest.mark.parametrize(("identities", "more"), USERS)
def test_a_users_way_is_found(identities: list[Document], more: dict[str, Any]) -> None:
    assert "user/amy" in able(*identities, **more)


@pytest.mark.parametrize(
    ("condition", "more"),
    [
        ({"ArnNotEquals": {"aws:SourceArn": f"{PROJECT}-2"}}, []),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:codebuild:*:*:project/p*"}}, []),
        ({"ArnEqualsIfExists": {"aws:SourceArn": f"{PROJECT}-2"}}, []),
        ({"ArnLike": {"aws:SourceArn": [f"{PROJECT}-2", "${aws:PrincipalTag/x}"]}}, []),
    ],
)
def test_builds_for_whatever_source_a_trust_policy_leaves(
    condition: Document, more: list[Document]
) -> None:
    rule = {"ArnEquals": {"aws:SourceArn": "arn:aws:events:eu-west-2:111122223333:rule/r"}}
    statements = [
        *trust({"Service": "codebuild.amazonaws.com"}, Condition=condition)["Statement"],
        *(it for one in more for it in trust(one, Condition=rule)["Statement"]),
    ]
    somebody = role("somebody", allow("codebuild:StartBuild", on=PROJECT))
    assert "role/somebody" in able(pushed_as(policy(*statements)), somebody)


def test_variables_that_are_none_in_an_older_version() -> None:
    own = f"{IAM}user/${{aws:username}}"
    amy = user("amy", allow("iam:PutUserPolicy"), deny("iam:PutUserPolicy", on=own))
    assert able(PIPELINE_ROLE, amy) == ["role/pipeline/push"]
    amy["UserPolicyList"][0]["PolicyDocument"]["Version"] = "2008-10-17"
    assert "user/amy" in able(PIPELINE_ROLE, amy)


# --- What is none ---------------------------------------------------------------------------------

NO_WAYS = [
    case("a new role within a narrow boundary", PIPELINE_ROLE, somebody(MAKING), NARROW),
    case(
        "the boundary of the account in a variable",
        PIPELINE_ROLE,
        somebody(
            allow(
                "iam:CreateRole",
                "iam:PutRolePolicy",
                **bounds("StringEquals", BOUNDARY.replace(ACCOUNT, "${aws:PrincipalAccount}")),
            )
        ),
        NARROW,
    ),
    case(
        "a boundary of one's own",
        PIPELINE_ROLE,
        somebody(allow("*"), boundary=BOUNDARY),
        limits("ecr:*"),
    ),
    case(
        "each level of the organization",
        PIPELINE_ROLE,
        somebody(allow("iam:*")),
        scps=(policy(allow("*")), policy(allow("ecr:*"))),
    ),
    case("a role that has to go first", role("other/PUSH"), making(PIPELINE)),
    case(
        "roles of single sign-on",
        PIPELINE_ROLE,
        role(SSO, allow("*")),
        somebody(allow("iam:*", on=f"{IAM}role/aws-reserved/*")),
    ),
    case(
        "a service-linked role",
        role(
            "aws-service-role/replication.ecr.amazonaws.com/AWSServiceRoleForECRReplication",
            allow("ecr:*"),
            trusts=THE_ACCOUNT,
        ),
        somebody(allow("iam:*", on=f"{IAM}role/aws-service-role/*")),
        guard=exempting(f"{IAM}role/aws-service-role/*"),
    ),
    case(
        "a source that another condition leaves out",
        pushed_as(
            trust(
                {"Service": "codebuild.amazonaws.com"},
                Condition={
                    "ArnLike": {"aws:SourceArn": "arn:aws:codebuild:*:*:project/*"},
                    "ArnEquals": {"aws:SourceArn": f"{PROJECT}-2"},
                },
            )
        ),
        somebody(allow("codebuild:*", on=PROJECT)),
    ),
]


@pytest.mark.parametrize(("identities", "more"), NO_WAYS)
def test_what_is_no_way(identities: list[Document], more: dict[str, Any]) -> None:
    assert "role/somebody" not in able(*identities, **more)


def test_service_linked_roles_are_no_way_for_anybody() -> None:
    linked = role("aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS", allow("ssm:*"))
    trusting = pushed_as(trust({"Service": "ec2.amazonaws.com"}))
    assert able(trusting, linked) == ["role/pipeline/push"]


@pytest.mark.parametrize(("actions", "can"), [("ecr:*", True), ("s3:*", False)])
def test_a_grant_to_the_pipelines_arn_does_not_reach_beyond_its_boundary(
    actions: str, *, can: bool
) -> None:
    pipeline = role("pipeline/push", boundary=BOUNDARY)
    assert bool(able(pipeline, managed("boundary", allow(actions)))) is can


def test_a_service_control_policy_closes_a_way_and_leaves_another() -> None:
    protects = policy(allow("*"), deny("iam:*", on=f"{IAM}role/pipeline/*"))
    path = path_of(allow("iam:*"), scps=(protects,))
    assert path is not None  # by way of a new role, which may start a build
    assert not any("role/pipeline" in step for step in path[:-1])
    assert path_of(allow("iam:*"), scps=(policy(allow("*"), deny("iam:*")),)) is None


# --- Outsiders ------------------------------------------------------------------------------------

PUSH_THERE, STRANGER = (f"arn:aws:iam::{OTHER}:role/{name}" for name in ("push", "stranger"))
LISTED_THERE = repository_policy(access(pipeline_roles=[PIPELINE, PUSH_THERE]))


@pytest.mark.parametrize(
    ("identities", "more", "others"),
    [
        ([role("vendor", trusts=trust({"AWS": f"arn:aws:iam::{OTHER}:root"}))], {}, [PUSH_THERE]),
        ([role(PUSH_THERE, allow("ecr:*")), role(STRANGER, allow("ecr:*"))], {}, [PUSH_THERE]),
        ([role(PUSH_THERE, allow("ecr:BatchGetImage"))], {}, []),
        ([], {}, [PUSH_THERE]),  # what its account allows it is not known
        (
            [role(PUSH_THERE, allow("ecr:*"))],
            {"scps": (policy(allow("*"), deny("ecr:*", on="arn:aws:ecr:*:*:repository/x")),)},
            [PUSH_THERE],
        ),
    ],
)
def test_other_accounts(
    identities: list[Document], more: dict[str, Any], others: list[str]
) -> None:
    assert able(PIPELINE_ROLE, *identities, guard=LISTED_THERE, **more)[1:] == others


def test_a_service_control_policy_binds_the_repositorys_account_alone() -> None:
    denies = policy(allow("*"), deny("ecr:*"))
    account = [PIPELINE_ROLE, role(PUSH_THERE, allow("ecr:*"))]
    assert able(*account, guard=LISTED_THERE, scps=(denies,)) == [PUSH_THERE]


@pytest.mark.parametrize(
    "trusts",
    [
        trust({"AWS": "*"}, Condition={"StringEquals": {"aws:PrincipalOrgID": "o-x"}}),
        trust("*", Condition={"StringEquals": {"aws:PrincipalAccount": OTHER}}),
        policy(
            {"Effect": "Allow", "NotPrincipal": {"AWS": f"{IAM}root"}, "Action": "sts:AssumeRole"}
        ),
    ],
)
def test_anybody_of_any_other_account(trusts: Document) -> None:
    assert "arn:aws:iam::*:*" in able(pushed_as(trusts))


def test_a_session_of_another_account() -> None:
    session = f"arn:aws:sts::{OTHER}:assumed-role/ci/build"
    assert f"arn:*:iam::{OTHER}:role*/ci" in able(pushed_as(trust({"AWS": session})))


def test_a_service_that_the_repositorys_policy_lets_in() -> None:
    lets = {"Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "ecr:PutImage"}
    assert able(role("x"), guard=policy({"Effect": "Allow", **lets})) == ["codebuild.amazonaws.com"]


ISSUER = "token.actions.githubusercontent.com"
PINS: list[tuple[Document, bool]] = [
    ({"StringEquals": {"sub": "repo:o/r:environment:prod"}}, True),
    ({"StringLike": {"sub": "repo:o/r:environment:prod"}}, True),
    ({"ForAnyValue:StringEquals": {"sub": "repo:o/r:ref:refs/heads/main"}}, True),
    ({"StringLike": {"sub": "repo:o/r:*"}}, False),
    ({"StringEquals": {"sub": "repo:o/r:pull_request"}}, False),
    ({"StringEquals": {"sub": ["repo:o/r:environment:prod", "repo:o/r:pull_request"]}}, False),
    ({"StringEquals": {"sub": "repo:o/r:ref:refs/pull/12/merge"}}, False),
    ({"StringEquals": {"sub": "repo:o/r"}}, False),
    ({"StringEqualsIfExists": {"sub": "repo:o/r:environment:prod"}}, False),
    ({"ForAllValues:StringEquals": {"sub": "repo:o/r:environment:prod"}}, False),
    ({"StringEquals": {"sub": "${aws:PrincipalTag/sub}"}}, False),
    ({"StringEquals": {"aud": "sts.amazonaws.com"}}, False),
    ({"StringEquals": {"repository_id": "456789", "environment": "prod"}}, True),
    ({"StringEquals": {"repository": "o/r", "ref": "refs/heads/main"}}, True),
    ({"StringEquals": {"repository": "o/r", "ref": "refs/pull/12/merge"}}, False),
    (
        {
            "StringEquals": {"repository_id": "456789", "environment": "prod"},
            "StringLike": {"sub": "repo:o@1/r@456789:*"},
        },
        True,
    ),
    ({"StringEquals": {"repository_id": "456789"}}, False),
    ({"StringEquals": {"environment": "prod"}}, False),
    ({"StringEquals": {"job_workflow_ref": "o/r/.github/workflows/a.yml@v1"}}, False),
    ({"StringLike": {"repository": "o/*", "environment": "prod"}}, False),
]


@pytest.mark.parametrize(("condition", "pinned"), PINS)
def test_a_federation_counts_unless_it_is_about_exact_subjects(
    condition: Document, *, pinned: bool
) -> None:
    provider = f"{IAM}oidc-provider/{ISSUER}"
    keys = {
        operator: {f"{ISSUER}:{key}": values for key, values in claims.items()}
        for operator, claims in condition.items()
    }
    github = trust({"Federated": provider}, "sts:AssumeRoleWithWebIdentity", Condition=keys)
    others = [] if pinned else [provider.replace(IAM, "")]
    assert able(pushed_as(github)) == ["role/pipeline/push", *others]


# --- A weakened guard, and several repositories ---------------------------------------------------


def test_repositories_that_only_the_organization_tells_apart() -> None:
    denies = policy(allow("*"), deny("ecr:*", on=REPOSITORY))
    arns = (REPOSITORY, f"{REPOSITORY}-2")
    closed, still_open = ask(
        role("somebody", allow("ecr:*")), guard=policy(), scps=(denies,), arns=arns
    )
    assert steps(closed, SOMEBODY) is None
    assert steps(still_open, SOMEBODY)


def test_alike_ones_are_evaluated_once() -> None:
    one_only = allow("ecr:PutImage", on=f"{REPOSITORY}-7")
    arns = tuple(f"{REPOSITORY}-{number}" for number in range(20))
    found = ask(PIPELINE_ROLE, role("somebody", one_only), guard=policy(), arns=arns)
    assert {it.like for it in found} == {arns[0], arns[7]}
    assert tuple(it.repository for it in found) == arns
    assert [bool(steps(it, SOMEBODY)) for it in found] == [number == 7 for number in range(20)]
