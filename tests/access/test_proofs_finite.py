"""What the proofs say of a repository's policy, an oracle without a solver says too.

The three claims about everybody are held against it: each is proved exactly when it finds nobody.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import assume, given, settings

from container_images.access.proofs import Claim, Proof, alike, prove
from container_images.policies.ecr_actions import Effect, actions
from container_images.policies.repository_policy import Access
from tests.access.finite_iam import EVERYTHING, Caller, anybody, possible, principals
from tests.access.iam_strategies import WORLD, Document, repository_policies

ACCESS: Access = {
    "partition": "aws",
    "account_id": WORLD.account,
    "region": WORLD.region,
    "pipeline_roles": [WORLD.pipeline],
    "administrator_roles": [WORLD.administrator],
    "pull_accounts": [],
    "pull_organization": "",
    "lambda_pull": False,
}
MOVE_TAGS = actions(Effect.MOVE_TAG)
ADMINISTER = actions(Effect.DELETE_IMAGE, Effect.CHANGE_GUARD)
CLAIMS = (Claim.MOVED, Claim.ADMINISTERED, Claim.BOTH)


def proofs_of(policy: Document, claims: Sequence[Claim] = CLAIMS) -> list[Proof]:
    return prove(alike([(WORLD.repository, json.dumps(policy), ACCESS)]), claims)


def holds(claim: Claim, policy: Document) -> bool:
    """Whether the oracle finds nobody who breaks the claim."""
    if claim == Claim.MOVED:
        return nobody(MOVE_TAGS, policy, besides=ACCESS["pipeline_roles"])
    if claim == Claim.ADMINISTERED:
        return nobody(ADMINISTER, policy, besides=ACCESS["administrator_roles"])
    return not any(
        can(who, MOVE_TAGS, policy) and can(who, ADMINISTER, policy)
        for who in principals(policy, account=WORLD.account)
    )


def nobody(asked: Sequence[str], policy: Document, *, besides: Sequence[str]) -> bool:
    found = anybody(asked, WORLD.repository, account=WORLD.account, policy=policy, besides=besides)
    return found is None


def can(who: Caller, asked: Sequence[str], policy: Document) -> bool:
    return any(
        possible(who, action, WORLD.repository, account=WORLD.account, policy=policy)
        for action in asked
    )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is said about a claim and a policy."""

    policy: str
    claim: Claim
    not_modelled: str
    proved: bool
    holds: bool


@pytest.fixture(scope="module")
def verdicts() -> list[Verdict]:
    """The verdicts on each claim and as many policies as the profile says, twice."""
    found: list[Verdict] = []

    @settings(max_examples=2 * settings().max_examples)  # of the profile's
    @given(repository_policies())
    def examine(policy: Document) -> None:
        found.extend(
            Verdict(
                policy=json.dumps(policy),
                claim=claim,
                not_modelled=proof.not_modelled,
                proved=proof.proved,
                holds=holds(claim, policy),
            )
            for claim, proof in zip(CLAIMS, proofs_of(policy), strict=True)
        )

    examine()
    return found


class TestOnPoliciesNearTheGuard:
    def test_a_claim_is_proved_exactly_when_nobody_breaks_it(self, verdicts: list[Verdict]) -> None:
        wrong = [it for it in verdicts if not it.not_modelled and it.proved != it.holds]
        assert sorted(wrong, key=lambda it: len(it.policy))[:1] == []

    def test_hardly_a_policy_is_not_modelled(self, verdicts: list[Verdict]) -> None:
        assert len([it for it in verdicts if it.not_modelled]) < len(verdicts) / 20

    @pytest.mark.parametrize("claim", CLAIMS)
    @pytest.mark.parametrize("proved", [True, False])
    def test_each_verdict_is_frequent(
        self, verdicts: list[Verdict], claim: Claim, *, proved: bool
    ) -> None:
        about = [it.proved for it in verdicts if it.claim == claim]
        assert about.count(proved) > len(about) / 6


@settings(max_examples=15)
@given(repository_policies())
def test_a_counterexample_is_somebody_who_can(policy: Document) -> None:
    [proof] = proofs_of(policy, [Claim.MOVED])
    found = proof.counterexample
    assume(found)
    assert found is not None
    who = Caller(arn=found.principal, account=found.principal.split(":")[4], policies=[EVERYTHING])
    assert can(who, [found.action], policy)


def deny(principal: object = "*", **condition: Document) -> Document:
    statement: Document = {"Effect": "Deny", "Principal": principal, "Action": MOVE_TAGS}
    return statement | {"Condition": condition}


def save(*arns: str) -> Document:
    return deny(ArnNotEquals={"aws:PrincipalArn": list(arns)})


@pytest.mark.parametrize(
    "denies",
    [
        pytest.param([save(WORLD.pipeline)], id="the guard"),
        pytest.param(
            [save(WORLD.pipeline, WORLD.user), deny(ArnEquals={"aws:PrincipalArn": [WORLD.user]})],
            id="somebody who is spared by one statement, and denied by another",
        ),
        pytest.param(
            [save(WORLD.pipeline, WORLD.foreign)],
            id="another account's role, to which nothing is allowed",
        ),
        *(
            pytest.param(
                [save(WORLD.pipeline, WORLD.user), deny({"AWS": name})],
                id=f"somebody who is spared by one statement, and denied by another as {name}",
            )
            for name in (WORLD.user, WORLD.root(WORLD.account), WORLD.account)
        ),
        pytest.param(
            [deny({"AWS": WORLD.account})],
            id="nobody of the account, and to others nothing is allowed",
        ),
    ],
)
def test_a_claim_that_holds_is_proved(denies: list[Document]) -> None:
    policy = {"Version": "2012-10-17", "Statement": denies}
    assert holds(Claim.MOVED, policy)
    assert proofs_of(policy, [Claim.MOVED])[0].proved
