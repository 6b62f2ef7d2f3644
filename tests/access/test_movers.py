"""Who could move a tag: each way there is to become somebody who can, and what closes it."""

from typing import Any

import pytest

from container_images.access import movers
from container_images.access.account import account_of
from container_images.access.claims import guarded
from container_images.access.movers import Findings, findings
from container_images.access.policy import Policy, parse
from container_images.policies.repository_policy import repository_policy
from tests.access.accounts import (
    ACCOUNT,
    DEPLOY,
    DEPLOY_ROLE,
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
    group,
    managed,
    policy,
    role,
    trust,
    user,
)

SOMEBODY = f"{IAM}role/somebody"


def found(
    *identities: Document, policy: Document = GUARD, scps: tuple[Policy, ...] = ()
) -> Findings:
    account = account_of(details(PIPELINE_ROLE, *identities))
    [only] = findings(account, [guarded(REPOSITORY, parse(policy))], scps)
    return only


def steps(findings: Findings, principal: str, ability: str = "moveTags") -> list[str] | None:
    """The path in short: CALLER ACTION RESOURCE, without what all ARNs of the account have."""
    [mover] = [it for it in findings.movers if it.principal == principal]
    path = mover.paths[ability]
    if path is None:
        return None
    return [
        f"{it.principal} {it.action} {it.resource}".replace(IAM, "").replace(REPOSITORY, "app")
        for it in path.calls
    ]


def of_somebody(*statements: Document, **more: Any) -> list[str] | None:
    """The path of a role with these statements, in an account of the guard's roles and it."""
    return steps(found(role("somebody", *statements), **more), SOMEBODY)


PUSHES = "role/pipeline/push ecr:PutImage app"


class TestTheCallItself:
    def test_of_the_pipeline_role(self) -> None:
        assert steps(found(), PIPELINE) == [PUSHES]

    def test_not_of_an_administrator_with_all_of_ecr_and_nothing_of_iam(self) -> None:
        everything = found(role("somebody", allow("ecr:*", "s3:*", "ec2:*")), DEPLOY_ROLE)
        for ability in ("moveTags", "deleteImages", "changeGuard"):
            assert steps(everything, SOMEBODY, ability) is None

    def test_of_an_administrator_of_the_guard(self) -> None:
        there = found(role("deploy", allow("ecr:*")))
        assert steps(there, DEPLOY) is None
        assert steps(there, DEPLOY, "deleteImages") == ["role/deploy ecr:BatchDeleteImage app"]
        assert steps(there, DEPLOY, "changeGuard") == ["role/deploy ecr:SetRepositoryPolicy app"]

    def test_not_of_a_role_with_the_pipelines_name_under_another_path(self) -> None:
        there = found(role("other/push", allow("ecr:*")))
        assert steps(there, f"{IAM}role/other/push") is None

    def test_of_a_listed_role_of_another_account_and_of_none_that_is_not(self) -> None:
        listed, stranger = (f"arn:aws:iam::{OTHER}:role/{name}" for name in ("push", "stranger"))
        there = found(
            role(listed, allow("ecr:*")),
            role(stranger, allow("ecr:*")),
            policy=repository_policy(access(pipeline_roles=[PIPELINE, listed])),
        )
        assert steps(there, listed) == [f"{listed} ecr:PutImage app"]
        assert steps(there, stranger) is None

    def test_not_of_a_listed_role_whose_own_account_does_not_allow_it(self) -> None:
        listed = f"arn:aws:iam::{OTHER}:role/push"
        there = found(
            role(listed, allow("ecr:BatchGetImage")),
            policy=repository_policy(access(pipeline_roles=[listed])),
        )
        assert steps(there, listed) is None

    def test_of_a_listed_role_of_an_account_that_is_not_known(self) -> None:
        listed = f"arn:aws:iam::{OTHER}:role/push"
        there = found(policy=repository_policy(access(pipeline_roles=[PIPELINE, listed])))
        assert steps(there, listed) == [f"{listed} ecr:PutImage app"]

    def test_of_everybody_with_the_permission_where_there_is_no_guard(self) -> None:
        there = found(role("somebody", allow("ecr:PutImage")), role("reader"), policy=policy())
        assert steps(there, SOMEBODY) == ["role/somebody ecr:PutImage app"]
        assert steps(there, f"{IAM}role/reader") is None


def becoming(*calls: str) -> list[str]:
    """Somebody makes these calls, and then pushes as the pipeline role."""
    return [*(f"role/somebody {call}" for call in calls), PUSHES]


ASSUMED = "sts:AssumeRole role/pipeline/push"


class TestByAnotherName:
    def test_an_administrator_of_iam_rewrites_the_trust(self) -> None:
        assert of_somebody(allow("ecr:*", "iam:*")) == becoming(
            "iam:UpdateAssumeRolePolicy role/pipeline/push", ASSUMED
        )

    def test_a_developer_rewrites_the_trust(self) -> None:
        assert of_somebody(allow("iam:UpdateAssumeRolePolicy", on=PIPELINE)) == becoming(
            "iam:UpdateAssumeRolePolicy role/pipeline/push", ASSUMED
        )

    def test_but_not_that_of_another_role(self) -> None:
        assert of_somebody(allow("iam:UpdateAssumeRolePolicy", on=f"{IAM}role/app-*")) is None

    @pytest.mark.parametrize(
        ("trusts", "statements", "can"),
        [
            (trust({"AWS": SOMEBODY}), [], True),
            (trust({"AWS": SOMEBODY}), [deny("sts:*")], False),
            (THE_ACCOUNT, [], False),
            (THE_ACCOUNT, [allow("sts:AssumeRole", on=PIPELINE)], True),
            (trust({"AWS": ACCOUNT}), [allow("sts:AssumeRole", on=PIPELINE)], True),
            (trust({"AWS": OTHER}), [allow("sts:AssumeRole")], False),
            (trust("*"), [], True),
            (trust({"AWS": f"{IAM}role/others"}), [allow("sts:AssumeRole")], False),
            (
                trust(
                    {"AWS": f"{IAM}root"},
                    Condition={"ArnLike": {"aws:PrincipalArn": f"{IAM}role/o*"}},
                ),
                [allow("sts:AssumeRole")],
                False,
            ),
            (
                trust(
                    {"AWS": f"{IAM}root"}, Condition={"Bool": {"aws:MultiFactorAuthPresent": True}}
                ),
                [allow("sts:AssumeRole")],
                True,
            ),
        ],
    )
    def test_assuming_it_takes_what_its_trust_asks(
        self, trusts: Document, statements: list[Document], *, can: bool
    ) -> None:
        pipeline = role("pipeline/push", trusts=trusts)
        account = account_of(details(pipeline, role("somebody", *statements)))
        [there] = findings(account, [guarded(REPOSITORY, parse(GUARD))])
        assert steps(there, SOMEBODY) == (becoming(ASSUMED) if can else None)

    def test_a_chain_of_roles_makes_each_call_as_the_role_it_is_by_then(self) -> None:
        there = found(
            role("somebody", allow("sts:AssumeRole", on=f"{IAM}role/hop-1")),
            role("hop-1", allow("sts:AssumeRole", on=f"{IAM}role/hop-2"), trusts=THE_ACCOUNT),
            role("hop-2", allow("iam:UpdateAssumeRolePolicy"), trusts=THE_ACCOUNT),
        )
        assert steps(there, SOMEBODY) == [
            "role/somebody sts:AssumeRole role/hop-1",
            "role/hop-1 sts:AssumeRole role/hop-2",
            "role/hop-2 iam:UpdateAssumeRolePolicy role/pipeline/push",
            "role/hop-2 sts:AssumeRole role/pipeline/push",
            PUSHES,
        ]

    def test_the_last_callers_arn_counts_and_not_the_firsts(self) -> None:
        """A role that the guard lists goes over to one that it does not, and can no longer push."""
        there = found(
            role("somebody", allow("sts:AssumeRole")),
            role("ecr-admin", allow("ecr:*"), trusts=THE_ACCOUNT),
            policy=repository_policy(access(pipeline_roles=[PIPELINE, DEPLOY + "er"])),
        )
        assert steps(there, SOMEBODY) is None

    def test_the_shortest_chain_is_shown(self) -> None:
        there = found(
            role("somebody", allow("sts:AssumeRole", "iam:CreateRole", "iam:PutRolePolicy")),
            role("hop", allow("*"), trusts=THE_ACCOUNT),
            role("start", allow("codebuild:StartBuild"), trusts=THE_ACCOUNT),
        )
        path = steps(there, SOMEBODY)
        assert path is not None
        assert len(path) == 3

    def test_what_two_roles_can_do_together_counts_for_whoever_can_be_both(self) -> None:
        """One may change what the other may do, and neither gets any further by itself."""
        target = f"{IAM}role/target"
        there = found(
            role("somebody", allow("sts:AssumeRole", on=[f"{IAM}role/editor", target])),
            role("editor", allow("iam:PutRolePolicy", on=target), trusts=THE_ACCOUNT),
            role("target", allow("s3:*"), trusts=THE_ACCOUNT),
        )
        path = steps(there, SOMEBODY)
        assert path is not None
        assert "role/editor iam:PutRolePolicy role/target" in path
        assert steps(there, target) is None
        assert steps(there, f"{IAM}role/editor") is None


class TestThroughCompute:
    def test_passing_the_role_to_a_build(self) -> None:
        assert of_somebody(
            allow("iam:PassRole", on=PIPELINE), allow("codebuild:CreateProject")
        ) == becoming("iam:PassRole role/pipeline/push", f"codebuild:CreateProject {PROJECT}")

    def test_passing_it_to_another_service_is_no_way(self) -> None:
        condition = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
        assert (
            of_somebody(
                allow("iam:PassRole", Condition=condition), allow("codebuild:CreateProject")
            )
            is None
        )

    def test_passing_it_without_a_build_is_no_way(self) -> None:
        assert of_somebody(allow("iam:PassRole")) is None

    def test_an_overridden_build(self) -> None:
        assert of_somebody(allow("codebuild:StartBuild", on=PROJECT)) == becoming(
            f"codebuild:StartBuild {PROJECT}"
        )

    def test_a_build_of_another_project_is_no_way(self) -> None:
        assert of_somebody(allow("codebuild:*", on=f"{PROJECT}-tests")) is None

    def test_a_changed_build(self) -> None:
        assert of_somebody(allow("codebuild:UpdateProject", on=PROJECT)) == becoming(
            f"codebuild:UpdateProject {PROJECT}"
        )

    @pytest.mark.parametrize(
        ("service", "actions"),
        [
            ("ec2.amazonaws.com", ["ec2:RunInstances", "iam:AddRoleToInstanceProfile"]),
            ("lambda.amazonaws.com", ["lambda:CreateFunction"]),
            ("ecs-tasks.amazonaws.com", ["ecs:RegisterTaskDefinition", "ecs:RunTask"]),
            ("cloudformation.amazonaws.com", ["cloudformation:CreateStack"]),
            ("glue.amazonaws.com", ["glue:CreateJob"]),
            ("sagemaker.amazonaws.com", ["sagemaker:CreateNotebookInstance"]),
        ],
    )
    def test_passing_it_to_compute_that_may_assume_it(
        self, service: str, actions: list[str]
    ) -> None:
        pipeline = role("pipeline/push", trusts=trust({"Service": service}))
        somebody = role("somebody", allow("iam:PassRole", *actions))
        nobody = role("nobody", allow(*actions, "iam:GetRole"))
        account = account_of(details(pipeline, somebody, nobody))
        [there] = findings(account, [guarded(REPOSITORY, parse(GUARD))])
        path = steps(there, SOMEBODY)
        assert path is not None
        assert "role/somebody iam:PassRole role/pipeline/push" in path
        assert steps(there, f"{IAM}role/nobody") is None
        assert steps(found(somebody), SOMEBODY) is None  # only builds may assume that one

    def test_a_service_that_is_not_known_may_do_anything_with_a_role(self) -> None:
        pipeline = role("pipeline/push", trusts=trust({"Service": "brand-new.amazonaws.com"}))
        account = account_of(details(pipeline, role("somebody", allow("iam:PassRole"))))
        [there] = findings(account, [guarded(REPOSITORY, parse(GUARD))])
        assert steps(there, SOMEBODY) == becoming("iam:PassRole role/pipeline/push")


class TestByRewriting:
    @pytest.mark.parametrize("action", ["iam:PutRolePolicy", "iam:AttachRolePolicy"])
    def test_ones_own_policies(self, action: str) -> None:
        path = of_somebody(allow(action, on=SOMEBODY))
        assert path is not None
        assert path[0] == f"role/somebody {action} role/somebody"

    def test_not_somebody_elses_whom_one_cannot_be(self) -> None:
        assert of_somebody(allow("iam:PutRolePolicy", on=f"{IAM}role/app")) is None

    def test_a_managed_policy_that_one_has(self) -> None:
        own = f"{IAM}policy/own"
        there = found(
            role("somebody", allow("iam:CreatePolicyVersion", on=own), managed=[own]),
            role("another", allow("iam:CreatePolicyVersion", on=own)),
            managed("own", allow("s3:*")),
        )
        path = steps(there, SOMEBODY)
        assert path is not None
        assert path[0] == "role/somebody iam:CreatePolicyVersion policy/own"
        assert steps(there, f"{IAM}role/another") is None

    def test_a_group_that_one_is_in(self) -> None:
        there = found(
            user("amy", groups=["staff"]),
            user("bob", allow("iam:PutGroupPolicy")),
            group("staff", allow("iam:PutGroupPolicy")),
        )
        path = steps(there, f"{IAM}user/amy")
        assert path is not None
        assert path[0] == "user/amy iam:PutGroupPolicy group/staff"

    def test_a_deny_of_ones_own_can_be_taken_away(self) -> None:
        statements = [allow("iam:*"), deny("iam:UpdateAssumeRolePolicy", "iam:P*", "iam:Att*")]
        statements.append(deny("iam:Create*"))
        path = of_somebody(*statements)
        assert path is not None
        assert path[0] == "role/somebody iam:DeleteRolePolicy role/somebody"

    def test_another_user_by_new_keys(self) -> None:
        there = found(
            role("somebody", allow("iam:CreateAccessKey", on=f"{IAM}user/admin")),
            user("admin", allow("iam:UpdateAssumeRolePolicy")),
        )
        path = steps(there, SOMEBODY)
        assert path is not None
        assert path[0] == "role/somebody iam:CreateAccessKey user/admin"

    def test_a_service_linked_role_can_be_changed_by_nobody(self) -> None:
        linked = "aws-service-role/replication.ecr.amazonaws.com/AWSServiceRoleForECRReplication"
        there = found(
            role(
                "somebody", allow("iam:UpdateAssumeRolePolicy", on=f"{IAM}role/aws-service-role/*")
            ),
            role(linked, allow("ecr:*"), trusts=THE_ACCOUNT),
            policy=repository_policy(access(pipeline_roles=[f"{IAM}role/{linked}"])),
        )
        assert steps(there, f"{IAM}role/{linked}") is not None
        assert steps(there, SOMEBODY) is None


class TestByMaking:
    def test_a_listed_role_that_does_not_exist(self) -> None:
        account = account_of(
            details(role("somebody", allow("iam:CreateRole", "iam:PutRolePolicy", on=PIPELINE)))
        )
        [there] = findings(account, [guarded(REPOSITORY, parse(GUARD))])
        assert there.missing == (DEPLOY, PIPELINE)
        assert steps(there, SOMEBODY) == [
            "role/somebody iam:CreateRole role/pipeline/push",
            "role/somebody sts:AssumeRole role/pipeline/push",
            "role/somebody iam:PutRolePolicy role/pipeline/push",
            PUSHES,
        ]

    def test_a_new_role_has_no_permission_by_itself(self) -> None:
        """The policy's Principal means the role that was there, by its unique id."""
        assert of_somebody(allow("iam:CreateRole", "iam:DeleteRole", on=PIPELINE)) is None

    def test_a_listed_role_anew(self) -> None:
        actions = [f"iam:{verb}RolePolicy" for verb in ("Delete", "Put")]
        path = of_somebody(allow("iam:CreateRole", "iam:DeleteRole", *actions, on=PIPELINE))
        assert path is not None
        assert path[:2] == [
            "role/somebody iam:DeleteRole role/pipeline/push",
            "role/somebody iam:CreateRole role/pipeline/push",
        ]

    def test_a_role_of_the_same_name_has_to_go_first(self) -> None:
        def can(*others: Document) -> bool:
            making = allow("iam:CreateRole", "iam:AttachRolePolicy", on=PIPELINE)
            account = account_of(details(role("somebody", making), *others))
            [there] = findings(account, [guarded(REPOSITORY, parse(GUARD))])
            return steps(there, SOMEBODY) is not None

        assert can()
        assert can(role("other/pushed"))
        assert not can(role("other/PUSH"))

    def test_a_new_role_with_every_permission(self) -> None:
        path = of_somebody(allow("iam:CreateRole", "iam:AttachRolePolicy", on=f"{IAM}role/app-*"))
        assert path is not None
        assert path[:3] == [
            "role/somebody iam:CreateRole role/app-*",
            "role/somebody sts:AssumeRole role/app-*",
            "role/somebody iam:AttachRolePolicy role/app-*",
        ]
        assert path[3].startswith("role/app-* codebuild:")
        assert path[4:] == [PUSHES]

    def test_a_new_role_within_a_boundary_is_within_it(self) -> None:
        boundary = f"{IAM}policy/boundary"
        condition = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
        making = allow("iam:CreateRole", "iam:AttachRolePolicy", Condition=condition)
        narrow, wide = managed("boundary", allow("s3:*")), managed("boundary", allow("*"))
        assert steps(found(role("somebody", making), narrow), SOMEBODY) is None
        assert steps(found(role("somebody", making), wide), SOMEBODY) is not None
        assert steps(found(role("somebody", making)), SOMEBODY) is not None  # not known: may be all

    def test_a_name_that_a_pattern_of_the_guard_fits(self) -> None:
        weak = repository_policy(access())
        weak["Statement"][0]["Condition"] = {"ArnNotLike": {"aws:PrincipalArn": f"{IAM}role/ci-*"}}
        path = of_somebody(allow("iam:CreateRole", "iam:PutRolePolicy"), policy=weak)
        assert path is not None
        assert path[-1] == "role/ci-* ecr:PutImage app"


class TestWhatLimits:
    def test_a_boundary(self) -> None:
        boundary = f"{IAM}policy/boundary"
        bounded = role("somebody", allow("*"), boundary=boundary)
        assert steps(found(bounded, managed("boundary", allow("ecr:*"))), SOMEBODY) is None
        assert steps(found(bounded, managed("boundary", allow("iam:*"))), SOMEBODY) is not None

    def test_a_boundary_that_one_can_take_off(self) -> None:
        boundary = f"{IAM}policy/boundary"
        there = found(
            role("somebody", allow("*"), boundary=boundary),
            managed("boundary", allow("ecr:*", "iam:DeleteRolePermissionsBoundary")),
        )
        path = steps(there, SOMEBODY)
        assert path is not None
        assert path[0] == "role/somebody iam:DeleteRolePermissionsBoundary role/somebody"

    def test_the_pipelines_own_boundary(self) -> None:
        """A grant to a role's ARN does not reach beyond the role's boundary."""
        boundary = f"{IAM}policy/boundary"

        def can(*actions: str) -> bool:
            pipeline = role("pipeline/push", boundary=boundary)
            account = account_of(details(pipeline, managed("boundary", allow(*actions))))
            [there] = findings(account, [guarded(REPOSITORY, parse(GUARD))])
            return steps(there, PIPELINE) is not None

        assert can("ecr:*")
        assert not can("s3:*")

    def test_a_service_control_policy(self) -> None:
        somebody = role("somebody", allow("iam:*"))
        protects = policy(allow("*"), deny("iam:*", on=f"{IAM}role/pipeline/*"))
        assert steps(found(somebody), SOMEBODY) is not None
        there = found(somebody, scps=(parse(protects),))
        path = steps(there, SOMEBODY)
        assert path is not None  # by way of a new role, which may start a build
        assert not any("role/pipeline" in step for step in path[:-1])
        closed = parse(policy(allow("*"), deny("iam:*", "codebuild:*")))
        assert steps(found(somebody, scps=(closed,)), SOMEBODY) is None

    def test_each_level_of_the_organization(self) -> None:
        levels = (parse(policy(allow("*"))), parse(policy(allow("ecr:*"))))
        assert of_somebody(allow("iam:*"), scps=levels) is None

    def test_a_condition_whose_key_is_not_known_hides_nothing(self) -> None:
        condition = {"StringEquals": {"aws:PrincipalTag/team": "platform"}}
        assert of_somebody(allow("iam:UpdateAssumeRolePolicy", Condition=condition)) is not None
        denied = deny("iam:UpdateAssumeRolePolicy", Condition=condition)
        assert of_somebody(allow("iam:UpdateAssumeRolePolicy"), denied) is not None


class TestOutsiders:
    def test_whoever_is_trusted_from_another_account(self) -> None:
        admin = f"arn:aws:iam::{OTHER}:role/admin"
        pipeline = role(
            "pipeline/push", trusts=trust({"AWS": [admin, f"arn:aws:iam::{OTHER}:root"]})
        )
        account = account_of(details(pipeline))
        [there] = findings(account, [guarded(REPOSITORY, parse(GUARD))])
        assert steps(there, admin) == [f"{admin} {ASSUMED}", PUSHES]
        anybody = f"arn:aws:iam::{OTHER}:*"
        assert steps(there, anybody) == [f"{anybody} {ASSUMED}", PUSHES]

    def test_nobody_of_another_account_who_is_let_in_nowhere_near(self) -> None:
        there = found(role("vendor", trusts=trust({"AWS": f"arn:aws:iam::{OTHER}:root"})))
        assert [it.principal for it in there.movers] == [PIPELINE, f"{IAM}role/vendor"]

    def test_a_federation_counts_unless_it_is_about_exact_subjects(self) -> None:
        issuer = "token.actions.githubusercontent.com"
        provider = f"{IAM}oidc-provider/{issuer}"

        def movers(operator: str) -> list[str]:
            condition = {operator: {f"{issuer}:sub": "repo:example-org/forms:*"}}
            github = trust(
                {"Federated": provider}, "sts:AssumeRoleWithWebIdentity", Condition=condition
            )
            account = account_of(details(role("pipeline/push", trusts=github)))
            [there] = findings(account, [guarded(REPOSITORY, parse(GUARD))])
            assert [it.trusts for it in there.entrances] == [provider]
            return [it.principal for it in there.movers]

        assert movers("StringEquals") == [PIPELINE]
        assert movers("StringLike") == [PIPELINE, provider]

    def test_the_root_can_do_everything_by_way_of_iam(self) -> None:
        root = found(DEPLOY_ROLE).root
        assert root.principal == f"{IAM}root"
        assert all(path and len(path.calls) > 1 for path in root.paths.values())


def without(sid: str, action: str) -> Document:
    weak = repository_policy(access())
    [statement] = [it for it in weak["Statement"] if it["Sid"] == sid]
    statement["Action"] = [it for it in statement["Action"] if it != action]
    return weak


def changed(position: int, **more: Any) -> Document:
    weak = repository_policy(access())
    weak["Statement"][position] |= more
    return weak


def exempting(*arns: str, operator: str = "ArnNotEquals", at: int = 0) -> Document:
    return changed(at, Condition={operator: {"aws:PrincipalArn": list(arns)}})


MOVES, GUARDS = "OnlyThePipelineMovesTags", "OnlyAdministratorsDeleteAndChangeTheGuard"

WEAKENED = [
    pytest.param(without(MOVES, "ecr:PutImage"), {"moveTags"}, id="PutImage dropped"),
    pytest.param(without(MOVES, "ecr:BatchImportUpstreamImage"), {"moveTags"}, id="import dropped"),
    pytest.param(without(GUARDS, "ecr:BatchDeleteImage"), {"deleteImages"}, id="delete dropped"),
    pytest.param(without(GUARDS, "ecr:DeleteRepository"), {"changeGuard"}, id="repository dropped"),
    pytest.param(exempting(PIPELINE, SOMEBODY), {"moveTags"}, id="one more is exempt"),
    pytest.param(exempting(f"{IAM}role/*"), {"moveTags"}, id="every role is exempt"),
    pytest.param(
        exempting(f"{IAM}role/*", at=1), {"deleteImages", "changeGuard"}, id="every role may guard"
    ),
    pytest.param(exempting(PIPELINE, operator="ArnEquals"), {"moveTags"}, id="ArnEquals"),
    pytest.param(
        changed(0, Principal={"AWS": f"arn:aws:iam::{OTHER}:root"}), {"moveTags"}, id="others only"
    ),
    pytest.param(changed(0, Effect="Allow"), {"moveTags"}, id="Allow"),
    pytest.param(
        changed(0, Condition={"StringNotEquals": {"aws:PrincipalTag/ci": "yes"}}),
        {"moveTags"},
        id="a tag of the principal's",
    ),
    pytest.param(
        changed(0, Condition={"NumericLessThan": {"aws:EpochTime": "1"}}),
        {"moveTags"},
        id="an operator that is not known",
    ),
    pytest.param(changed(0, Resource=f"{REPOSITORY}-2"), {"moveTags"}, id="a neighbour only"),
    pytest.param(
        changed(0, NotPrincipal={"AWS": SOMEBODY}, Principal={}), {"moveTags"}, id="NotPrincipal"
    ),
    pytest.param(policy(), {"moveTags", "deleteImages", "changeGuard"}, id="no policy"),
]


class TestAWeakenedGuard:
    @pytest.mark.parametrize(("weak", "abilities"), WEAKENED)
    def test_is_seen(self, weak: Document, abilities: set[str]) -> None:
        for statement in weak["Statement"]:
            if "NotPrincipal" in statement:
                del statement["Principal"]
        everything = role("somebody", allow("ecr:*"))
        [mover] = [it for it in found(everything, policy=weak).movers if it.principal == SOMEBODY]
        assert {ability for ability, path in mover.paths.items() if path} == abilities
        [mover] = [it for it in found(everything).movers if it.principal == SOMEBODY]
        assert not any(mover.paths.values())


class TestRepositories:
    def test_an_unguarded_neighbour_is_not_taken_for_guarded(self) -> None:
        account = account_of(details(PIPELINE_ROLE, role("somebody", allow("ecr:*"))))
        closed, open_to_all = findings(
            account,
            [
                guarded(REPOSITORY, parse(GUARD)),
                guarded(f"{REPOSITORY}-2", parse(policy())),
            ],
        )
        assert steps(closed, SOMEBODY) is None
        assert steps(open_to_all, SOMEBODY) == ["role/somebody ecr:PutImage app-2"]

    def test_alike_ones_are_evaluated_once(self) -> None:
        one_only = allow("ecr:PutImage", on=f"{REPOSITORY}-7")
        account = account_of(details(PIPELINE_ROLE, role("somebody", one_only)))
        arns = [f"{REPOSITORY}-{number}" for number in range(20)]
        repositories = [guarded(arn, parse(policy())) for arn in arns]
        there = findings(account, repositories)
        assert {it.like for it in there} == {arns[0], arns[7]}
        assert [it.repository for it in there] == arns
        able = [steps(it, SOMEBODY) for it in there]
        assert able[7] == ["role/somebody ecr:PutImage app-7"]
        assert not any(able[:7] + able[8:])
        pushing = [steps(it, PIPELINE) for it in there]
        assert not any(pushing)  # there is no policy that would let it


def ask(
    *identities: Document,
    guard: Document = GUARD,
    scps: tuple[Document, ...] = (),
    arns: tuple[str, ...] = (REPOSITORY,),
) -> list[Findings]:
    """What is found in an account of these alone."""
    repositories = [guarded(arn, parse(guard)) for arn in arns]
    return findings(account_of(details(*identities)), repositories, tuple(map(parse, scps)))


def able(found: Findings) -> list[str]:
    return [it.principal.replace(IAM, "") for it in found.movers if it.paths["moveTags"]]


def pushed_as(trusts: Document, **more: Any) -> Document:
    """The pipeline role, trusting others than CodeBuild."""
    return role("pipeline/push", trusts=trusts, **more)


def exempt(*arns: str) -> Document:
    return exempting(*arns, operator="ArnNotLike")


class TestNothingIsHidden:
    """What has been hidden once. Each is a way that somebody has, in an account by itself."""

    @pytest.mark.parametrize("name", [f"{IAM}role/ci-*", f"{IAM}role/ci-1*", "*"])
    def test_a_name_that_the_guard_and_the_policy_spell_alike(self, name: str) -> None:
        somebody = role("somebody", allow("iam:CreateRole", "iam:PutRolePolicy", on=name))
        [found] = ask(somebody, guard=exempt(f"{IAM}role/ci-*"))
        assert able(found) == ["role/somebody"]

    @pytest.mark.parametrize(
        "listed",
        [
            f"arn:*:iam::{ACCOUNT}:role/pipeline/push",
            "arn:aws:iam::*:role/pipeline/push",
            f"{IAM}role/*/push",
        ],
    )
    def test_a_listed_role_anew_however_it_is_listed(self, listed: str) -> None:
        actions = [f"iam:{verb}" for verb in ("DeleteRole", "CreateRole", "PutRolePolicy")]
        somebody = role("somebody", allow(*actions, on=PIPELINE))
        [found] = ask(pushed_as(policy()), somebody, guard=exempt(listed))
        assert "role/somebody" in able(found)

    def test_a_role_anew_that_another_trusts_by_its_arn(self) -> None:
        condition = {"ArnEquals": {"aws:PrincipalArn": f"{IAM}role/runner"}}
        trusting = pushed_as(trust({"AWS": f"{IAM}root"}, Condition=condition))
        actions = [f"iam:{verb}" for verb in ("DeleteRole", "CreateRole", "PutRolePolicy")]
        somebody = role("somebody", allow(*actions, on=f"{IAM}role/runner"))
        [found] = ask(trusting, role("runner"), somebody)
        assert "role/somebody" in able(found)

    @pytest.mark.parametrize(
        "release",
        [
            allow("iam:DeleteRolePermissionsBoundary"),
            allow("iam:CreatePolicyVersion", on=f"{IAM}policy/boundary"),
        ],
    )
    def test_a_role_made_within_a_boundary_and_released_from_it(self, release: Document) -> None:
        boundary = f"{IAM}policy/boundary"
        condition = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
        making = allow("iam:CreateRole", "iam:PutRolePolicy", Condition=condition)
        narrow = managed("boundary", allow("s3:*"))
        [found] = ask(PIPELINE_ROLE, role("somebody", making), narrow)
        assert able(found) == ["role/pipeline/push"]
        [found] = ask(PIPELINE_ROLE, role("somebody", making, release), narrow)
        assert "role/somebody" in able(found)

    def test_a_boundary_that_only_the_organization_demands(self) -> None:
        boundary = f"{IAM}policy/boundary"
        condition = {"StringNotEquals": {"iam:PermissionsBoundary": boundary}}
        demands = policy(allow("*"), deny("iam:CreateRole", "iam:*RolePolicy", Condition=condition))
        somebody = role("somebody", allow("iam:CreateRole", "iam:PutRolePolicy"))
        wide = managed("boundary", allow("*"))
        [found] = ask(PIPELINE_ROLE, somebody, wide, scps=(demands,))
        assert "role/somebody" in able(found)

    def test_a_boundary_that_is_put_so_that_more_may_be(self) -> None:
        boundary = f"{IAM}policy/boundary"
        condition = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
        actions = ("iam:PutRolePermissionsBoundary", "iam:PutRolePolicy")
        somebody = role("somebody", allow(*actions, Condition=condition), allow("sts:AssumeRole"))
        [found] = ask(somebody, role("deploy", trusts=THE_ACCOUNT), managed("boundary", allow("*")))
        assert steps(found, SOMEBODY, "changeGuard") == [
            "role/somebody sts:AssumeRole role/deploy",
            "role/somebody iam:PutRolePermissionsBoundary role/deploy",
            "role/somebody iam:PutRolePolicy role/deploy",
            "role/deploy ecr:SetRepositoryPolicy app",
        ]

    @pytest.mark.parametrize(
        "trusts",
        [
            trust({"AWS": "*"}, Condition={"StringEquals": {"aws:PrincipalOrgID": "o-x"}}),
            trust("*", Condition={"StringEquals": {"aws:PrincipalAccount": OTHER}}),
            policy(
                {
                    "Effect": "Allow",
                    "NotPrincipal": {"AWS": f"{IAM}root"},
                    "Action": "sts:AssumeRole",
                }
            ),
        ],
    )
    def test_anybody_of_any_other_account(self, trusts: Document) -> None:
        [found] = ask(pushed_as(trusts))
        assert "arn:aws:iam::*:*" in able(found)

    def test_a_session_of_another_account(self) -> None:
        session = f"arn:aws:sts::{OTHER}:assumed-role/ci/build"
        [found] = ask(pushed_as(trust({"AWS": session})))
        assert f"arn:aws:iam::{OTHER}:*" in able(found)

    def test_a_service_that_the_repositorys_policy_lets_in(self) -> None:
        lets = policy(
            {
                "Effect": "Allow",
                "Principal": {"Service": "codebuild.amazonaws.com"},
                "Action": "ecr:PutImage",
            }
        )
        [found] = ask(role("x"), guard=lets)
        assert able(found) == ["codebuild.amazonaws.com"]

    @pytest.mark.parametrize(
        ("condition", "more"),
        [
            ({}, [{"Service": "events.amazonaws.com"}]),
            ({"ArnNotEquals": {"aws:SourceArn": f"{PROJECT}-2"}}, []),
            ({"ArnLike": {"aws:SourceArn": f"{PROJECT[:-1]}?"}}, []),
            ({"ArnLike": {"aws:SourceArn": "arn:aws:codebuild:*:*:project/p*"}}, []),
            ({"ArnEqualsIfExists": {"aws:SourceArn": f"{PROJECT}-2"}}, []),
            ({"ArnLike": {"aws:SourceArn": [f"{PROJECT}-2", "${aws:PrincipalTag/x}"]}}, []),
        ],
    )
    def test_builds_for_whatever_source_a_trust_policy_leaves(
        self, condition: Document, more: list[Document]
    ) -> None:
        rule = {"ArnEquals": {"aws:SourceArn": "arn:aws:events:eu-west-2:111122223333:rule/r"}}
        statements = [
            *trust({"Service": "codebuild.amazonaws.com"}, Condition=condition)["Statement"],
            *(it for one in more for it in trust(one, Condition=rule)["Statement"]),
        ]
        somebody = role("somebody", allow("codebuild:StartBuild", on=PROJECT))
        [found] = ask(pushed_as(policy(*statements)), somebody)
        assert "role/somebody" in able(found)

    @pytest.mark.parametrize(
        ("provider", "action", "calls"),
        [
            ("saml-provider/corp", "sts:AssumeRoleWithSAML", "iam:UpdateSAMLProvider"),
            (
                "oidc-provider/oidc.eks.eu-west-2.amazonaws.com/id/X",
                "sts:AssumeRoleWithWebIdentity",
                "eks:*",
            ),
        ],
    )
    def test_who_has_a_say_in_a_federation(self, provider: str, action: str, calls: str) -> None:
        condition = {"StringEquals": {"x:sub": "exactly-this-one"}}
        trusts = trust({"Federated": f"{IAM}{provider}"}, action, Condition=condition)
        [found] = ask(pushed_as(trusts), role("somebody", allow(calls)), role("nobody"))
        assert able(found) == ["role/pipeline/push", "role/somebody"]

    def test_a_service_that_is_named_with_its_region(self) -> None:
        regional = trust({"Service": "states.eu-west-2.amazonaws.com"})
        [found] = ask(pushed_as(regional), role("somebody", allow("states:UpdateStateMachine")))
        assert "role/somebody" in able(found)

    @pytest.mark.parametrize("listed", [f"{IAM}user/ci", f"{IAM}user/ci-*"])
    def test_a_user_of_a_new_name(self, listed: str) -> None:
        [found] = ask(user("amy", allow("ecr:*", "iam:UpdateUser")), guard=exempt(listed))
        assert able(found) == ["user/amy"]

    def test_variables_that_are_none_in_an_older_version(self) -> None:
        own = f"{IAM}user/${{aws:username}}"
        amy = user("amy", allow("iam:PutUserPolicy"), deny("iam:PutUserPolicy", on=own))
        [found] = ask(PIPELINE_ROLE, amy)
        assert able(found) == ["role/pipeline/push"]
        amy["UserPolicyList"][0]["PolicyDocument"]["Version"] = "2008-10-17"
        [found] = ask(PIPELINE_ROLE, amy)
        assert "user/amy" in able(found)

    def test_a_service_control_policy_binds_the_repositorys_account_alone(self) -> None:
        listed = f"arn:aws:iam::{OTHER}:role/push"
        the_guard = repository_policy(access(pipeline_roles=[PIPELINE, listed]))
        denies = policy(allow("*"), deny("ecr:*"))
        [found] = ask(PIPELINE_ROLE, role(listed, allow("ecr:*")), guard=the_guard, scps=(denies,))
        assert able(found) == [listed]

    def test_repositories_that_only_the_organization_tells_apart(self) -> None:
        somebody = role("somebody", allow("ecr:*"))
        denies = policy(allow("*"), deny("ecr:*", on=REPOSITORY))
        arns = (REPOSITORY, f"{REPOSITORY}-2")
        closed, still_open = ask(somebody, guard=policy(), scps=(denies,), arns=arns)
        assert (able(closed), able(still_open)) == ([], ["role/somebody"])

    @pytest.mark.parametrize("kind", ["Role", "User"])
    def test_another_boundary_that_sets_no_bounds(self, kind: str) -> None:
        boundary = f"{IAM}policy/boundary"
        somebody = role("somebody", allow("*"), boundary=boundary)
        if kind == "User":
            somebody = user("somebody", allow("*"), boundary=boundary)
        putting = managed("boundary", allow(f"iam:Put{kind}PermissionsBoundary"))
        [found] = ask(PIPELINE_ROLE, somebody, putting)
        assert len(able(found)) == 2

    def test_a_boundary_that_has_to_fit_two_patterns(self) -> None:
        like = {"StringLike": {"iam:PermissionsBoundary": f"{IAM}policy/team-*"}}
        unlike = {"StringNotLike": {"iam:PermissionsBoundary": "*-boundary"}}
        actions = ("iam:CreateRole", "iam:PutRolePolicy")
        somebody = role(
            "somebody", allow(*actions, Condition=like), deny(*actions, Condition=unlike)
        )
        [found] = ask(PIPELINE_ROLE, somebody)
        assert "role/somebody" in able(found)

    def test_a_managed_policy_of_a_role_of_single_sign_on(self) -> None:
        own = f"{IAM}policy/own"
        sso = "aws-reserved/sso.amazonaws.com/AWSReservedSSO_Dev"
        rewriting = managed("own", allow("iam:CreatePolicyVersion", on=own))
        [found] = ask(PIPELINE_ROLE, role(sso, managed=[own]), rewriting)
        assert able(found) == ["role/pipeline/push", f"role/{sso}"]

    def test_a_user_who_takes_the_name_of_another(self) -> None:
        amy = user("amy", allow("ecr:*", "iam:UpdateUser"))
        [found] = ask(amy, user("ci"), guard=exempt(f"{IAM}user/ci"))
        assert able(found) == ["user/amy"]

    def test_a_user_of_a_name_that_a_trust_policy_asks_for(self) -> None:
        condition = {"ArnLike": {"aws:PrincipalArn": f"{IAM}user/ops-*"}}
        trusting = pushed_as(trust({"AWS": f"{IAM}root"}, Condition=condition))
        [found] = ask(trusting, user("amy", allow("sts:AssumeRole", "iam:UpdateUser")))
        assert "user/amy" in able(found)

    def test_a_user_who_is_renamed_after_more_is_allowed(self) -> None:
        boundary = f"{IAM}policy/boundary"
        actions = ("iam:PutUserPolicy", "iam:UpdateUser")
        amy = user("amy", allow(*actions), boundary=boundary)
        limits = managed("boundary", allow(*actions, "ecr:*"))
        [found] = ask(amy, limits, guard=exempt(f"{IAM}user/ci"))
        assert able(found) == ["user/amy"]

    @pytest.mark.parametrize("name", [f"{IAM}root", ACCOUNT])
    def test_a_deny_that_leaves_out_the_account(self, name: str) -> None:
        """Whether that leaves out its roles is not certain."""
        denies = policy({"Effect": "Deny", "NotPrincipal": {"AWS": name}, "Action": "ecr:*"})
        [found] = ask(role("somebody", allow("ecr:*")), guard=denies)
        assert able(found) == ["role/somebody"]

    def test_a_deny_by_something_that_is_no_arn(self) -> None:
        denies = policy(
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "ecr:*",
                "Condition": {"ArnLike": {"aws:PrincipalArn": "*somebody"}},
            }
        )
        [found] = ask(role("somebody", allow("ecr:*")), guard=denies)
        assert able(found) == ["role/somebody"]

    def test_the_shorter_way_through_ones_own_policies(self) -> None:
        rewriting = allow("iam:UpdateAssumeRolePolicy", on=f"{IAM}role/able")
        granting = allow("iam:PutRolePolicy", on=SOMEBODY)
        somebody = role("somebody", rewriting, granting)
        [found] = ask(role("able", allow("ecr:*")), somebody, guard=policy())
        path = steps(found, SOMEBODY)
        assert path == [
            "role/somebody iam:PutRolePolicy role/somebody",
            "role/somebody ecr:PutImage app",
        ]


class TestFalseAlarms:
    def test_a_build_for_a_source_that_another_condition_leaves_out(self) -> None:
        condition = {
            "ArnLike": {"aws:SourceArn": "arn:aws:codebuild:*:*:project/*"},
            "ArnEquals": {"aws:SourceArn": f"{PROJECT}-2"},
        }
        trusts = trust({"Service": "codebuild.amazonaws.com"}, Condition=condition)
        [found] = ask(pushed_as(trusts), role("somebody", allow("codebuild:*", on=PROJECT)))
        assert able(found) == ["role/pipeline/push"]

    @pytest.mark.parametrize("operator", ["StringLike", "ForAnyValue:StringEquals"])
    def test_an_exact_subject_is_pinned_however_it_is_compared(self, operator: str) -> None:
        provider = f"{IAM}oidc-provider/token.actions.githubusercontent.com"
        subject = {"token.actions.githubusercontent.com:sub": "repo:o/r:environment:prod"}
        trusts = trust(
            {"Federated": provider},
            "sts:AssumeRoleWithWebIdentity",
            Condition={operator: subject},
        )
        [found] = ask(pushed_as(trusts))
        assert able(found) == ["role/pipeline/push"]
        assert [it.trusts for it in found.entrances] == [provider]

    def test_roles_of_single_sign_on_are_not_rewritten(self) -> None:
        sso = f"aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_{0:016}"
        rewriting = allow("iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy", "iam:DeleteRole")
        somebody = role("somebody", rewriting | {"Resource": f"{IAM}role/aws-reserved/*"})
        [found] = ask(PIPELINE_ROLE, role(sso, allow("*")), somebody)
        assert "role/somebody" not in able(found)

    def test_the_boundary_of_the_account_in_a_variable(self) -> None:
        own = "arn:aws:iam::${aws:PrincipalAccount}:policy/boundary"
        condition = {"StringEquals": {"iam:PermissionsBoundary": own}}
        making = allow("iam:CreateRole", "iam:PutRolePolicy", Condition=condition)
        narrow = managed("boundary", allow("s3:*"))
        [found] = ask(PIPELINE_ROLE, role("somebody", making), narrow)
        assert able(found) == ["role/pipeline/push"]

    def test_service_linked_roles_are_no_way_for_anybody(self) -> None:
        linked = "aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"
        trusting = pushed_as(trust({"Service": "ec2.amazonaws.com"}))
        [found] = ask(trusting, role(linked, allow("ssm:*")))
        assert able(found) == ["role/pipeline/push"]

    @pytest.mark.parametrize("listed", ["*", "arn:aws:*", "*/ci-*", "AROAEXAMPLE", f"{IAM}root"])
    def test_what_a_guard_lists_need_not_be_an_arn_of_a_role(self, listed: str) -> None:
        [found] = ask(PIPELINE_ROLE, role("somebody", allow("iam:*")), guard=exempt(listed))
        assert found.missing in ((), (DEPLOY,))
        # Nobody has an id for an ARN.
        moved, *_ = movers.proofs(guarded(REPOSITORY, parse(exempt(listed))))
        assert moved.proved is (listed == "AROAEXAMPLE")
