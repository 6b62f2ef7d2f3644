"""The proofs about the organization's two policies: they see each way in which one can be weak."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from container_images.access import organization as organization_module
from container_images.access.organization import RegistryClaim, prove_registry
from container_images.access.proofs import Claim, Proof, alike, prove
from container_images.policies import organization
from container_images.policies.ecr_actions import ACTIONS, Effect, actions
from container_images.policies.repository_policy import Access, repository_policy
from container_images.settings import Account, parse
from container_images.settings.stack_file import StackFile
from tests.access.test_proofs import (
    ANY_ROLE,
    ARN,
    DEPLOY,
    PIPELINE,
    Document,
    exempt,
    of_statement,
    only_administrators,
    only_pipeline,
    under,
    without,
)

OTHER = f"{ARN}-2"

Weaken = Callable[[Document], object]


def broken(found: list[Proof]) -> set[str]:
    return {proof.claim for proof in found if not proof.proved}


# What holds of a repository that has no policy, since it was made anew.
UNGUARDED = [Claim.MOVED, Claim.ADMINISTERED, Claim.BOTH, Claim.LOCKED_OUT]
MOVED = {Claim.MOVED, Claim.BOTH}
ADMINISTERED = {Claim.ADMINISTERED, Claim.BOTH}


def of_repositories(access: Access, policy: Document | None, *arns: str) -> list[Proof]:
    """Proofs about repositories without a policy, under this one of the organization."""
    repositories = [(arn, None, access) for arn in arns or (ARN,)]
    return prove(alike(repositories, resource_control_policy=policy), UNGUARDED)


def accesses(access: Access) -> list[Access]:
    china: dict[str, Any] = {
        "partition": "aws-cn",
        "pipeline_roles": ["arn:aws-cn:iam::111122223333:role/push"],
        "administrator_roles": ["arn:aws-cn:iam::111122223333:role/deploy"],
    }
    foreign = "arn:aws:iam::777788889999:role/ci/push"
    return [
        access,
        {**access, "pipeline_roles": [PIPELINE, foreign], "pull_organization": "o-exampleorgid"},
        {**access, "administrator_roles": [DEPLOY, f"{DEPLOY}-2"], "lambda_pull": True},
        {**access, **china},  # type: ignore[typeddict-item]
    ]


class TestAResourceControlPolicy:
    def test_guards_a_repository_without_a_policy(self, access: Access) -> None:
        for it in accesses(access):
            arn = f"arn:{it['partition']}:ecr:eu-west-2:111122223333:repository/app"
            policy = organization.resource_control_policy(it, ["app"])
            assert broken(of_repositories(it, policy, arn)) == set()
            assert broken(of_repositories(it, None, arn)) == {*UNGUARDED} - {Claim.LOCKED_OUT}

    def test_takes_nothing_from_the_guard_beside_it(self, access: Access) -> None:
        for it in accesses(access):
            arn = f"arn:{it['partition']}:ecr:eu-west-2:111122223333:repository/app"
            own = json.dumps(repository_policy(it))
            policy = organization.resource_control_policy(it, ["app"])
            found = prove(alike([(arn, own, it)], resource_control_policy=policy))
            assert broken(found) == set()

    def test_guards_no_repository_that_it_does_not_name(self, access: Access) -> None:
        policy = organization.resource_control_policy(access, ["app"])
        for arns in ([ARN, OTHER], [OTHER, ARN]):
            found = of_repositories(access, policy, *arns)
            assert broken(found) == {*UNGUARDED} - {Claim.LOCKED_OUT}
            assert {it.counterexample.resource for it in found if it.counterexample} == {OTHER}

    def test_guards_all_that_it_names(self, access: Access) -> None:
        policy = organization.resource_control_policy(access, ["app", "app-2"])
        assert broken(of_repositories(access, policy, ARN, OTHER)) == set()

    @pytest.mark.parametrize(
        ("weaken", "claims"),
        [
            *(
                pytest.param(only_pipeline(without(action)), MOVED, id=f"{action} dropped")
                for action in actions(Effect.MOVE_TAG)
            ),
            *(
                pytest.param(
                    only_administrators(without(action)), ADMINISTERED, id=f"{action} dropped"
                )
                for action in actions(Effect.DELETE_IMAGE, Effect.CHANGE_GUARD)
            ),
            pytest.param(only_pipeline(exempt(PIPELINE, DEPLOY)), MOVED, id="a role more pushes"),
            pytest.param(
                only_administrators(exempt(PIPELINE, DEPLOY)),
                ADMINISTERED,
                id="a role more administers",
            ),
            pytest.param(only_pipeline(exempt(ANY_ROLE)), MOVED, id="any role pushes"),
            pytest.param(
                only_pipeline(exempt(PIPELINE, operator="ArnEquals")), MOVED, id="ArnEquals"
            ),
            pytest.param(
                only_administrators(exempt(DEPLOY, operator="ArnEquals")),
                ADMINISTERED | {Claim.LOCKED_OUT},
                id="ArnEquals, administrators",
            ),
            pytest.param(
                only_administrators(lambda it: it.pop("Condition")),
                {Claim.LOCKED_OUT},
                id="no condition",
            ),
            pytest.param(
                only_pipeline(under({"StringEquals": {"aws:PrincipalOrgID": "o-exampleorgid"}})),
                MOVED,
                id="a Deny for the organization only",
            ),
            pytest.param(
                only_pipeline(lambda it: it.update(Resource=[OTHER])), MOVED, id="a neighbour's"
            ),
            pytest.param(
                only_administrators(lambda it: it.update(Resource=f"{ARN}-*")),
                ADMINISTERED,
                id="all neighbours'",
            ),
            pytest.param(only_pipeline(lambda it: it.update(Effect="Allow")), MOVED, id="Allow"),
            pytest.param(lambda policy: policy["Statement"].pop(0), MOVED, id="a Deny too few"),
            pytest.param(
                lambda policy: policy["Statement"].clear(),
                MOVED | ADMINISTERED,
                id="one that denies nothing",
            ),
        ],
    )
    def test_that_is_weak_is_seen(self, access: Access, weaken: Weaken, claims: set[Claim]) -> None:
        policy = weakened(organization.resource_control_policy(access, ["app"]), weaken)
        assert broken(of_repositories(access, policy)) == claims

    @pytest.mark.parametrize(
        ("weaken", "claim"),
        [
            (only_pipeline(lambda it: it.pop("Condition")), Claim.PUSHED),
            (only_pipeline(lambda it: it["Action"].append("ecr:BatchGetImage")), Claim.LISTED),
        ],
    )
    def test_that_denies_too_much_is_seen(
        self, access: Access, weaken: Weaken, claim: Claim
    ) -> None:
        policy = weakened(organization.resource_control_policy(access, ["app"]), weaken)
        own = json.dumps(repository_policy(access))
        groups = alike([(ARN, own, access)], resource_control_policy=policy)
        assert claim in broken(prove(groups))

    @pytest.mark.parametrize(
        ("weaken", "unknown"),
        [
            (
                lambda it: it.update(Principal={"AWS": [PIPELINE]}),
                f"Principal {PIPELINE}",
            ),
            (lambda it: it.pop("Principal"), "statement without Principal"),
            (lambda it: it.update(NotPrincipal=it.pop("Principal")), "statement without Principal"),
            (lambda it: it.update(NotAction=it.pop("Action")), "statement without Action"),
            (lambda it: it.update(NotResource=it.pop("Resource")), "statement without Resource"),
            (lambda it: it.update(NotResource=OTHER), "NotResource"),
            (lambda it: it.update(Resource=[f"{ARN}${{aws:username}}"]), f"Resource {ARN}$"),
            (
                lambda it: it.update(Effect="deny"),
                'Statement[0].Effect = "deny": the effect is Allow or Deny',
            ),
            (
                under({"BoolIfExists": {"aws:PrincipalIsAWSService": "false"}}),
                "BoolIfExists aws:principalisawsservice false",
            ),
        ],
    )
    def test_that_the_evaluator_does_not_know_proves_nothing(
        self, access: Access, weaken: Weaken, unknown: str
    ) -> None:
        policy = organization.resource_control_policy(access, ["app"])
        found = of_repositories(access, weakened(policy, only_pipeline(weaken)))
        assert [proof.proved for proof in found] == [False] * 4
        assert all(proof.not_modelled.startswith(unknown) for proof in found)


def of_registry(access: Access, policy: Document) -> list[Proof]:
    return prove_registry(policy, access, [ARN, OTHER])


def weakened(policy: Document, weaken: Weaken) -> Document:
    before = copy.deepcopy(policy)
    weaken(policy)
    assert policy != before
    return policy


CHANGES = "OnlyAdministratorsChangeTheRegistry"
MAKES = "OnlyAdministratorsMakeTheRepositories"
CHANGED = {RegistryClaim.CHANGED}


class TestAServiceControlPolicy:
    def test_leaves_the_registry_to_the_administrators(self, access: Access) -> None:
        for it in accesses(access):
            arns = [
                f"arn:{it['partition']}:ecr:eu-west-2:111122223333:repository/{name}"
                for name in ("app", "app-2")
            ]
            policy = organization.service_control_policy(it, ["app", "app-2"])
            found = prove_registry(policy, it, arns)
            assert [proof.claim for proof in found] == list(RegistryClaim)
            assert broken(found) == set()

    def test_is_not_taken_for_one_that_denies_everything(self, access: Access) -> None:
        nothing: Document = {"Statement": []}
        something = {"Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}}
        assert broken(of_registry(access, nothing)) == CHANGED
        assert broken(of_registry(access, something)) == CHANGED

    @pytest.mark.parametrize(
        ("sid", "change", "claims"),
        [
            *(
                pytest.param(CHANGES, without(action), CHANGED, id=f"{action} dropped")
                for action in actions(Effect.CHANGE_REGISTRY)
            ),
            pytest.param(MAKES, without("ecr:CreateRepository"), CHANGED, id="CreateRepository"),
            *(
                pytest.param(sid, *case, id=f"{name}, {sid}")
                for sid in (CHANGES, MAKES)
                for name, case in {
                    "a role more": (exempt(DEPLOY, PIPELINE), CHANGED),
                    "any role": (exempt(ANY_ROLE), CHANGED),
                    "ArnEquals": (
                        exempt(DEPLOY, operator="ArnEquals"),
                        CHANGED | {RegistryClaim.LOCKED_OUT},
                    ),
                    "no condition": (
                        lambda it: it.pop("Condition"),
                        {RegistryClaim.LOCKED_OUT},
                    ),
                    "Allow": (lambda it: it.update(Effect="Allow"), CHANGED),
                    "a neighbour's": (lambda it: it.update(Resource=f"{ARN}-3"), CHANGED),
                    "one of two": (lambda it: it.update(Resource=[ARN]), CHANGED),
                    "a network's": (under({"StringLike": {"aws:SourceVpce": "v*"}}), CHANGED),
                    "every call": (
                        lambda it: it.update(Action="ecr:*", Resource="*"),
                        {RegistryClaim.KEPT_OUT},
                    ),
                }.items()
            ),
            pytest.param(
                CHANGES,
                lambda it: it["Action"].append("ecr:GetAuthorizationToken"),
                {RegistryClaim.KEPT_OUT},
                id="nobody logs in",
            ),
        ],
    )
    def test_that_is_weak_is_seen(
        self, access: Access, sid: str, change: Weaken, claims: set[RegistryClaim]
    ) -> None:
        policy = organization.service_control_policy(access, ["app", "app-2"])
        assert broken(of_registry(access, weakened(policy, of_statement(sid, change)))) == claims

    def test_comes_with_a_request_that_breaks_the_claim(self, access: Access) -> None:
        policy = organization.service_control_policy(access, ["app"])
        changed, _, _ = of_registry(access, policy)
        assert changed.counterexample is not None
        assert changed.counterexample.principal.startswith("arn:aws:iam::111122223333:role/")
        assert changed.counterexample.action == "ecr:CreateRepository"
        assert changed.counterexample.resource == OTHER
        changed, _, _ = of_registry(access, {"Statement": []})
        assert changed.counterexample is not None
        assert changed.counterexample.resource == "*"

    @pytest.mark.parametrize(
        ("weaken", "unknown"),
        [
            (lambda it: it.update(Principal="*"), "Principal"),
            (lambda it: it.pop("Resource"), "statement without Resource"),
            (lambda it: it.update(NotAction=it.pop("Action")), "statement without Action"),
            (under({"Null": {"aws:PrincipalArn": "false"}}), "Null aws:principalarn false"),
        ],
    )
    def test_that_the_evaluator_does_not_know_proves_nothing(
        self, access: Access, weaken: Weaken, unknown: str
    ) -> None:
        policy = organization.service_control_policy(access, ["app"])
        found = of_registry(access, weakened(policy, of_statement(CHANGES, weaken)))
        assert [proof.claim for proof in found] == list(RegistryClaim)
        assert [(it.proved, it.not_modelled) for it in found] == [(False, unknown)] * 3


def test_the_claims_are_about_what_the_policies_deny() -> None:
    """They are written out on their own, so that a mistake in the guard is no mistake in both."""
    assert sorted(organization_module.CHANGE_REGISTRY) == actions(Effect.CHANGE_REGISTRY)
    assert sorted(organization_module.CREATE_REPOSITORY) == actions(Effect.CREATE_REPOSITORY)


@pytest.mark.parametrize(
    ("action", "wrongly"),
    [("PutReplicationConfiguration", Effect.READ_REGISTRY), ("CreateRepository", Effect.READ)],
)
def test_a_wrong_classification_is_seen(
    access: Access, monkeypatch: pytest.MonkeyPatch, action: str, wrongly: Effect
) -> None:
    monkeypatch.setitem(ACTIONS, action, wrongly)
    policy = organization.service_control_policy(access, ["app", "app-2"])
    assert broken(of_registry(access, policy)) == CHANGED


def test_every_claim_is_proved_of_the_production_stack(prod: StackFile, account: Account) -> None:
    stack = parse(prod.config_in("container-images"), account)
    access = stack.repository_args("end-to-end-tests", account)["access"]
    arns = [f"arn:aws:ecr:eu-west-2:111122223333:repository/{name}" for name in stack.repositories]
    registry = organization.service_control_policy(access, stack.repositories)
    assert broken(prove_registry(registry, access, arns)) == set()
    repositories = organization.resource_control_policy(access, stack.repositories)
    assert broken(of_repositories(access, repositories, *arns)) == set()
