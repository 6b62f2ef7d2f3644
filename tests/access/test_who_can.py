"""Who could move a tag: each way there is to become somebody who can, and what closes it."""

from functools import partial
from typing import Any

import pytest

from container_images.policies.repository_policy import repository_policy
from tests.access.accounts import (
    ACCOUNT,
    IAM,
    NOBODY,
    OTHER,
    PIPELINE,
    PIPELINE_ROLE,
    PROJECT,
    REPOSITORY,
    THE_ACCOUNT,
    Document,
    able,
    allow,
    ask,
    deny,
    managed,
    policy,
    role,
    service,
    trust,
    user,
    where,
)
from tests.builds import access

SOMEBODY = f"{IAM}role/somebody"
BOUNDARY = f"{IAM}policy/boundary"
ASSUMED = "sts:AssumeRole role/pipeline/push"
ROOT = {"AWS": f"{IAM}root"}
FULL, IAM_ALL = allow("*"), allow("iam:*")


def somebody(*statements: Document, **more: Any) -> Document:
    return role("somebody", *statements, **more)


def pushed_as(trusts: Document, **more: Any) -> Document:
    """The pipeline role, trusting others than CodeBuild."""
    return role("pipeline/push", trusts=trusts, **more)


def by_arn(*patterns: str) -> Document:
    return where("ArnLike", "aws:PrincipalArn", *patterns)


def exempting(*arns: str) -> Document:
    """The guard, with these in place of the pipeline role."""
    guard = repository_policy(access())
    guard["Statement"][0] |= where("ArnNotLike", "aws:PrincipalArn", *arns)
    return guard


def somebodys(*calls: str) -> list[str]:
    return [f"role/somebody {call}" for call in calls]


def becoming(*calls: str) -> list[str]:
    """Somebody makes these calls, and then pushes as the pipeline role."""
    return [*somebodys(*calls), "role/pipeline/push ecr:PutImage app"]


@pytest.mark.parametrize(
    ("actions", "on", "path"),
    [
        ("ecr:* s3:* ec2:*", "*", []),
        ("ecr:* iam:*", "*", becoming("iam:UpdateAssumeRolePolicy role/pipeline/push", ASSUMED)),
        ("iam:UpdateAssumeRolePolicy", f"{IAM}role/app-*", []),
        ("codebuild:StartBuild", PROJECT, becoming(f"codebuild:StartBuild {PROJECT}")),
        ("codebuild:*", f"{PROJECT}-tests", []),
        ("iam:PassRole", "*", []),  # the trust policy is about one project
        ("codebuild:CreateProject", "*", becoming(f"codebuild:CreateProject {PROJECT}")),
        ("iam:PutRolePolicy", f"{IAM}role/app", []),
        ("iam:PutRolePolicy", PIPELINE, becoming("iam:PutRolePolicy role/pipeline/push")),
        ("iam:DeleteRole iam:DeleteUser iam:UpdateUser", "*", []),
        ("iam:CreateUser", "*", somebodys("iam:CreateUser user/*")),
        ("iam:PutRolePolicy", SOMEBODY, somebodys("iam:PutRolePolicy role/somebody")),
        ("iam:CreateRole", PIPELINE, becoming("iam:CreateRole role/pipeline/push", ASSUMED)),
        (
            "iam:CreateRole",
            f"{IAM}role/app-*",
            somebodys("iam:CreateRole role/app-*", "sts:AssumeRole role/app-*"),
        ),
    ],
)
def test_the_path_of_somebody(actions: str, on: str, path: list[str]) -> None:
    """The path, or how it begins; nothing where there is none."""
    [findings] = ask(PIPELINE_ROLE, somebody(allow(*actions.split(), on=on)))
    whole = findings.principals[SOMEBODY]["moveTags"]
    calls = [" ".join(call) for call in whole.calls] if whole else []
    short = [call.replace(IAM, "").replace(REPOSITORY, "app") for call in calls]
    assert (bool(short), short[: len(path)]) == (bool(path), path)


def test_what_is_assumed_is_named() -> None:
    condition = where("StringEquals", "aws:PrincipalTag/team", "platform")
    [findings] = ask(PIPELINE_ROLE, somebody(allow("iam:UpdateAssumeRolePolicy", **condition)))
    path = findings.principals[SOMEBODY]["moveTags"]
    assert path is not None
    assert [*path.assuming] == ["aws:principaltag/team StringEquals platform"]


def way(
    label: str, *listed: Document, who: str = "role/somebody", can: bool = True, **more: Any
) -> Any:
    return pytest.param(listed, who, can, more, id=label)


no_way = partial(way, can=False)


def bounds(operator: str, boundary: str) -> Document:
    return where(operator, "iam:PermissionsBoundary", boundary)


def limits(*actions: str) -> Document:
    """The permissions boundary of whoever has one."""
    return managed("boundary", allow(*actions))


MAKE = ("iam:CreateRole", "iam:PutRolePolicy")
ANEW = ("iam:DeleteRole", *MAKE)
MAKING = allow(*MAKE, **bounds("StringEquals", BOUNDARY))
OWN_BOUNDARY = BOUNDARY.replace(ACCOUNT, "${aws:PrincipalAccount}")
NARROW = limits("s3:*")
BOUND = somebody(FULL, boundary=BOUNDARY)
# https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html#access_policies_boundaries-delegate
WITHIN = (
    "Create{} Put{}Policy Attach{}Policy Delete{}Policy Detach{}Policy Put{}PermissionsBoundary"
)
OTHER_TASKS = "CreateAccessKey DeleteUser UpdateUser DeleteRole CreateGroup SetDefaultPolicyVersion"
DELEGATE = user(
    "zhang",
    *(
        allow(
            *(f"iam:{verb.format(kind)}" for verb in WITHIN.split()),
            **bounds("StringEquals", BOUNDARY),
        )
        for kind in ("User", "Role")
    ),
    {
        "Effect": "Allow",
        "Action": [f"iam:{verb}" for verb in OTHER_TASKS.split()],
        "NotResource": f"{IAM}user/maria",
    },
    deny("iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", on=BOUNDARY),
    deny("iam:DeleteUserPermissionsBoundary", "iam:DeleteRolePermissionsBoundary"),
)
OTHERS = (user("maria", FULL), user("ann"), role("app", FULL, deny("iam:*")))
MFA = where("Bool", "aws:MultiFactorAuthPresent", "true")
MAKES_WITHIN = allow(*MAKE, **bounds("StringEquals", OWN_BOUNDARY))
OWN_DENY = deny("iam:UpdateAssumeRolePolicy", "iam:P*", "iam:Att*", "iam:Cr*")
CI = f"{IAM}role/ci-*"
SSO = "aws-reserved/sso.amazonaws.com/AWSReservedSSO_Dev"
CHANGES_RESERVED = somebody(allow("iam:*", on=f"{IAM}role/aws-reserved/*"))
LINKED = "aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"
EDITOR = role("editor", allow("iam:PutRolePolicy", on=f"{IAM}role/app"))
APP = role("app", allow("s3:*"))
ASSUMES = somebody(allow("sts:AssumeRole"))
BUILDS = somebody(allow("codebuild:StartBuild", on=PROJECT))
CLUSTERS = pushed_as(
    trust(
        {"Federated": f"{IAM}oidc-provider/oidc.eks.eu-west-2.amazonaws.com/id/X"},
        "sts:AssumeRoleWithWebIdentity",
        **where("StringEquals", "x:sub", "system:serviceaccount:a:b"),
    )
)


def making(*names: str, verbs: tuple[str, ...] = MAKE) -> Document:
    return somebody(allow(*verbs, on=[*names]))


def builds_for(**condition: Document) -> Document:
    return pushed_as(service("codebuild", Condition=condition))


PUSH, REMAKING = f"{IAM}role/*/push", (pushed_as(NOBODY), making(PIPELINE, verbs=ANEW))
ASSUMING = [
    way("whom the trust policy names", pushed_as(trust({"AWS": SOMEBODY})), somebody()),
    no_way("one with a Deny", pushed_as(trust({"AWS": SOMEBODY})), somebody(deny("sts:*"))),
    no_way("one without permission", pushed_as(THE_ACCOUNT), somebody()),
    way("one with permission", pushed_as(THE_ACCOUNT), ASSUMES),
    no_way("another than is trusted", pushed_as(trust({"AWS": f"{IAM}role/others"})), ASSUMES),
    no_way("another name", pushed_as(trust(ROOT, **by_arn(f"{IAM}role/o*"))), ASSUMES),
    way("a condition that may be met", pushed_as(trust(ROOT, **MFA)), ASSUMES),
    way("control of its policies", PIPELINE_ROLE, EDITOR, APP, who="role/editor"),
]
MAKING_ROLES = [
    way("a listed role that does not exist", making(PIPELINE)),
    *(
        way("a name that guard and policy spell alike", making(name), guard=exempting(CI))
        for name in (CI, f"{IAM}role/ci-1*", f"{IAM}role/*-prod", "*")
    ),
    *(
        way("a listed role anew, however it is listed", *REMAKING, guard=exempting(name))
        for name in (PIPELINE.replace(":aws:", ":*:"), PIPELINE.replace(ACCOUNT, "*"), PUSH)
    ),
    way(
        "a role anew that another trusts by its ARN",
        pushed_as(trust(ROOT, **by_arn(f"{IAM}role/runner"))),
        role("runner"),
        making(f"{IAM}role/runner", verbs=ANEW),
    ),
    no_way("roles of single sign-on", PIPELINE_ROLE, role(SSO, FULL), CHANGES_RESERVED),
    no_way(
        "a service-linked role",
        role(LINKED, allow("ecr:*"), trusts=service("ecs")),
        somebody(allow("iam:*", on=f"{IAM}role/aws-service-role/*"), allow("ecs:*")),
        guard=exempting(f"{IAM}role/aws-service-role/*"),
    ),
    no_way(
        "what a service-linked role could become",
        pushed_as(service("ec2")),
        role(LINKED, allow("ssm:*")),
        who=f"role/{LINKED}",
    ),
]
BOUNDARIES = [
    way("a role in a boundary that is not known", PIPELINE_ROLE, somebody(MAKING)),
    no_way("a new role within a narrow boundary", PIPELINE_ROLE, somebody(MAKING), NARROW),
    *(
        way("a role released from it", PIPELINE_ROLE, somebody(MAKING, allow(action)), NARROW)
        for action in ("iam:DeleteRolePermissionsBoundary", "iam:CreatePolicyVersion")
    ),
    no_way("the account in a variable", PIPELINE_ROLE, somebody(MAKES_WITHIN), NARROW),
    way("what lies within that boundary", somebody(MAKES_WITHIN), limits("ecr:*")),
    no_way("beyond AWS's delegation", PIPELINE_ROLE, DELEGATE, *OTHERS, NARROW, who="user/zhang"),
    *(
        way("within AWS's delegation", PIPELINE_ROLE, DELEGATE, limits(action), who="user/zhang")
        for action in ("ecr:*", "iam:UpdateAssumeRolePolicy")
    ),
    no_way("a boundary of one's own", PIPELINE_ROLE, BOUND, limits("ecr:*")),
    *(
        way(f"one's own that lets {action}", PIPELINE_ROLE, BOUND, limits("ecr:*", f"iam:{action}"))
        for action in ("DeleteRolePermissionsBoundary", "PutRolePermissionsBoundary")
    ),
    way(
        "AWS's own boundary, which sets no limit",
        PIPELINE_ROLE,
        BOUND,
        managed(
            "boundary",
            allow("ecr:*"),
            allow("iam:PutRole*", **bounds("StringNotLike", f"{IAM}policy/t-*")),
        ),
    ),
    way("one's own Deny, which one may take off", PIPELINE_ROLE, somebody(IAM_ALL, OWN_DENY)),
]
SERVICES = [
    way(
        "a service that is named with its region",
        pushed_as(service("states.eu-west-2")),
        somebody(allow("states:UpdateStateMachine")),
    ),
    *(
        way("builds for whatever source is left", builds_for(**condition), BUILDS)
        for condition in (
            {"ArnNotEquals": {"aws:SourceArn": f"{PROJECT}-2"}},
            {"ArnLike": {"aws:SourceArn": "arn:aws:codebuild:*:*:project/p*"}},
            {"ArnEqualsIfExists": {"aws:SourceArn": f"{PROJECT}-2"}},
            {"ArnLike": {"aws:SourceArn": [f"{PROJECT}-2", "${aws:PrincipalTag/x}"]}},
        )
    ),
    no_way(
        "a source that another condition leaves out",
        builds_for(
            ArnLike={"aws:SourceArn": "arn:aws:codebuild:*:*:project/*"},
            ArnEquals={"aws:SourceArn": f"{PROJECT}-2"},
        ),
        somebody(allow("codebuild:*", on=PROJECT)),
    ),
    way(
        "a SAML provider",
        pushed_as(trust({"Federated": f"{IAM}saml-provider/corp"}, "sts:AssumeRoleWithSAML")),
        somebody(allow("iam:UpdateSAMLProvider")),
    ),
    *(
        way("a cluster whose service accounts are trusted", CLUSTERS, somebody(allow(action)))
        for action in ("eks:CreateAccessEntry", "emr-containers:CreateManagedEndpoint")
    ),
]
AS_CI = exempting(f"{IAM}user/ci")
RENAMING = allow("ecr:*", "iam:UpdateUser")
a_user, amy = partial(way, who="user/amy"), partial(user, "amy")
REBOUND = limits("iam:PutUserPermissionsBoundary")
USERS = [
    a_user("a new name that the guard lists", amy(RENAMING), guard=AS_CI),
    a_user("one that is taken", amy(RENAMING), user("ci"), guard=AS_CI),
    a_user(
        "a new name that a trust policy asks for",
        pushed_as(trust(ROOT, **by_arn(f"{IAM}user/ops-*"))),
        amy(allow("sts:AssumeRole", "iam:UpdateUser")),
    ),
    a_user("another boundary", PIPELINE_ROLE, amy(FULL, boundary=BOUNDARY), REBOUND),
]
UNDER = (PIPELINE_ROLE, somebody(IAM_ALL))
ORGANIZATION = [
    no_way("each level allows", *UNDER, scps=[policy(FULL), policy(allow("ecr:*"))]),
    no_way("denied", *UNDER, scps=[policy(FULL, deny("iam:*"))]),
    # By way of another role.
    way("denied on a role", *UNDER, scps=[policy(FULL, deny("iam:*", on=PIPELINE))]),
]


@pytest.mark.parametrize(
    ("listed", "who", "can", "more"),
    [*ASSUMING, *MAKING_ROLES, *BOUNDARIES, *SERVICES, *USERS, *ORGANIZATION],
)
def test_who_could_move_a_tag(
    listed: tuple[Document, ...], who: str, more: dict[str, Any], *, can: bool
) -> None:
    assert (who in able(*listed, **more)) is can


def test_variables_that_are_none_in_an_older_version() -> None:
    own = f"{IAM}user/${{aws:username}}"
    account = [PIPELINE_ROLE, amy(allow("iam:PutUserPolicy", on=own))]
    assert "user/amy" in able(*account)
    account[1]["UserPolicyList"][0]["PolicyDocument"]["Version"] = "2008-10-17"
    assert able(*account) == ["role/pipeline/push"]


def test_a_policy_that_several_have_may_tell_them_apart() -> None:
    for name in "ab":
        own = managed("own", allow("iam:UpdateAssumeRolePolicy", **by_arn(f"{IAM}role/{name}")))
        roles = [role(each, managed=[own["Arn"]]) for each in "ab"]
        assert able(PIPELINE_ROLE, *roles, own) == ["role/pipeline/push", f"role/{name}"]


def test_the_shortest_path_is_shown() -> None:
    hops = [
        role(name, allow("sts:AssumeRole", on=f"{IAM}role/{to}"), trusts=THE_ACCOUNT)
        for name, to in (("a", "b"), ("b", "pipeline/push"))
    ]
    short_cut = role("c", allow("sts:AssumeRole"), trusts=service("lambda"))
    first = allow("sts:AssumeRole", on=f"{IAM}role/a"), allow("lambda:UpdateFunctionCode")
    for others, length in (((), 4), ((short_cut,), 3)):
        [findings] = ask(somebody(*first), pushed_as(THE_ACCOUNT), *hops, *others)
        path = findings.principals[SOMEBODY]["moveTags"]
        assert path is not None
        assert len(path.calls) == length


PUSH_THERE, STRANGER = (f"arn:aws:iam::{OTHER}:role/{name}" for name in ("push", "stranger"))
PUSHES_THERE = role(PUSH_THERE, allow("ecr:*"))
LISTED_THERE = repository_policy(access(pipeline_roles=[PIPELINE, PUSH_THERE]))
ANYBODY = {"Effect": "Allow", "NotPrincipal": ROOT, "Action": "sts:AssumeRole"}


@pytest.mark.parametrize(
    ("listed", "scps", "others"),
    [
        ([role("vendor", trusts=trust({"AWS": f"arn:aws:iam::{OTHER}:root"}))], [], [PUSH_THERE]),
        ([PUSHES_THERE, role(STRANGER, allow("ecr:*"))], [], [PUSH_THERE]),
        ([role(PUSH_THERE, allow("ecr:BatchGetImage"))], [], []),
        ([], [], [PUSH_THERE]),  # what its account allows it is not known
        # A service control policy binds the repository's account alone.
        ([PUSHES_THERE], [policy(FULL, deny("ecr:*"))], [PUSH_THERE]),
    ],
)
def test_other_accounts(listed: list[Document], scps: list[Document], others: list[str]) -> None:
    answer = able(PIPELINE_ROLE, *listed, guard=LISTED_THERE, scps=scps)
    assert answer == [*(() if scps else ["role/pipeline/push"]), *others]


ANYBODYS = "arn:aws:iam::*:*"
SESSION = f"arn:aws:sts::{OTHER}:assumed-role/ci/build"


@pytest.mark.parametrize(
    ("trusts", "who"),
    [
        (trust({"AWS": "*"}, **where("StringEquals", "aws:PrincipalOrgID", "o-x")), ANYBODYS),
        (trust("*", **where("StringEquals", "aws:PrincipalAccount", OTHER)), ANYBODYS),
        (policy(ANYBODY), ANYBODYS),
        (trust({"AWS": SESSION}), f"arn:*:iam::{OTHER}:role*/ci"),
        (trust({"AWS": OTHER}), f"arn:aws:iam::{OTHER}:*"),
    ],
)
def test_anybody_of_any_other_account(trusts: Document, who: str) -> None:
    assert who in able(pushed_as(trusts))


def test_a_service_that_the_repositorys_policy_lets_in() -> None:
    guard = service("codebuild", Action="ecr:PutImage")
    assert able(role("x"), guard=guard) == ["codebuild.amazonaws.com"]


def test_a_deny_that_leaves_out_the_account() -> None:
    leaves_out = {"Effect": "Deny", "NotPrincipal": ROOT, "Action": "ecr:*"}
    assert able(somebody(allow("ecr:*")), guard=policy(leaves_out)) == ["role/somebody"]


ISSUER = "token.actions.githubusercontent.com"
JOB, PULL_REQUEST = "repo:o/r:environment:prod", "repo:o/r:pull_request"
BY_ID = {"repository_id": "456789", "environment": "prod"}
PINS: list[tuple[Document, bool]] = [
    ({"StringEquals": {"sub": JOB}}, True),
    ({"StringLike": {"sub": JOB}}, True),
    ({"ForAnyValue:StringEquals": {"sub": "repo:o/r:ref:refs/heads/main"}}, True),
    ({"StringLike": {"sub": "repo:o/r:*"}}, False),
    ({"StringEquals": {"sub": PULL_REQUEST}}, False),
    ({"StringEquals": {"sub": [JOB, PULL_REQUEST]}}, False),
    ({"StringEquals": {"sub": "repo:o/r:ref:refs/pull/12/merge"}}, False),
    ({"StringEquals": {"sub": "repo:o/r"}}, False),
    ({"StringEqualsIfExists": {"sub": JOB}}, False),
    ({"ForAllValues:StringEquals": {"sub": JOB}}, False),
    ({"StringEquals": {"sub": "${aws:PrincipalTag/sub}"}}, False),
    ({"StringEquals": {"aud": "sts.amazonaws.com"}}, False),
    ({"StringEquals": BY_ID}, True),
    ({"StringEquals": {"repository": "o/r", "ref": "refs/heads/main"}}, True),
    ({"StringEquals": {"repository": "o/r", "ref": "refs/pull/12/merge"}}, False),
    ({"StringEquals": BY_ID, "StringLike": {"sub": "repo:o@1/r@456789:*"}}, True),
    ({"StringEquals": {"repository_id": "456789"}}, False),
    ({"StringEquals": {"environment": "prod"}}, False),
    ({"StringEquals": {"job_workflow_ref": "o/r/.github/workflows/a.yml@v1"}}, False),
    ({"StringLike": {"repository": "o/*", "environment": "prod"}}, False),
]


@pytest.mark.parametrize(("condition", "pinned"), PINS)
def test_a_federation_counts_unless_it_is_about_exact_subjects(
    condition: Document, *, pinned: bool
) -> None:
    provider = f"oidc-provider/{ISSUER}"
    keys = {
        operator: {f"{ISSUER}:{key}": values for key, values in claims.items()}
        for operator, claims in condition.items()
    }
    github = trust({"Federated": IAM + provider}, "sts:AssumeRoleWithWebIdentity", Condition=keys)
    assert able(pushed_as(github)) == ["role/pipeline/push", *([] if pinned else [provider])]


ARNS = tuple(f"{REPOSITORY}-{number}" for number in range(20))


def test_repositories_that_only_the_organization_tells_apart() -> None:
    denies = policy(FULL, deny("ecr:*", on=ARNS[0]))
    account = somebody(allow("ecr:*"))
    closed, still_open = ask(account, guard=NOBODY, scps=[denies], arns=ARNS[:2])
    assert closed.principals[SOMEBODY]["moveTags"] is None
    assert still_open.principals[SOMEBODY]["moveTags"]


def test_alike_ones_are_evaluated_once() -> None:
    one_only = somebody(allow("ecr:PutImage", on=ARNS[7]))
    others, seventh = ask(one_only, guard=NOBODY, arns=ARNS)
    assert (*others.repositories, *seventh.repositories) == (*ARNS[:7], *ARNS[8:], ARNS[7])
    assert others.principals[SOMEBODY]["moveTags"] is None
    assert seventh.principals[SOMEBODY]["moveTags"]
