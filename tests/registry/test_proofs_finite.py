"""What the proofs say of a repository's policy, an oracle without a solver says too.

The three claims about everybody are held against it. They lean to the safe side in two ways, which
`as_asked` spells out: as it reads a policy, claim and oracle agree to the letter. As AWS reads it,
a claim that is proved holds, and one that holds is not always proved.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from unittest import mock

import pytest
import z3
from hypothesis import assume, given, settings

from components.guard import Access, Effect, actions
from registry import proofs
from registry.proofs import Counterexample, Proof, alike, prove
from tests.registry.finite_iam import EVERYTHING, Caller, anybody, possible, principals
from tests.registry.iam_strategies import WORLD, Document, repository_policies

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
MOVED = "Nobody but the pipeline roles can move a tag"
ADMINISTERED = "Nobody but the administrator roles can delete"
BOTH = "No principal can do both"
CLAIMS = (MOVED, ADMINISTERED, BOTH)


def proofs_of(policy: Document, *claims: str) -> dict[str, Proof]:
    """The proofs of these claims alone: the others would take most of the time."""
    ours = {claim: it for claim, it in proofs._CLAIMS.items() if claim.startswith(claims)}
    with mock.patch.dict(proofs._CLAIMS, ours, clear=True):
        found = prove(alike([(WORLD.repository, json.dumps(policy), ACCESS)]))
    return dict(zip(claims, found, strict=True))


def holds(claim: str, policy: Document) -> bool:
    """Whether the oracle finds nobody who breaks the claim."""
    if claim == MOVED:
        return nobody(MOVE_TAGS, policy, besides=ACCESS["pipeline_roles"])
    if claim == ADMINISTERED:
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


def as_asked(policy: Document) -> Document:
    """The policy in which the proofs look for somebody: the Denies for everybody, and no more.

    They leave aside that a principal of another account needs an Allow here, and Denies for those
    whom the Principal element names: the principal that they look for has no name but its
    aws:PrincipalArn.
    """
    asked = [it for it in policy["Statement"] if it["Effect"] == "Allow" or is_for_all(it)]
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "*"}
    return policy | {"Statement": [*asked, everybody]}


def is_for_all(statement: Document) -> bool:
    principal = statement["Principal"]
    return principal == "*" or "*" in principal["AWS"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is said about a claim and a policy."""

    policy: str
    claim: str
    beyond: str
    proved: bool
    holds: bool
    holds_as_asked: bool


@pytest.fixture(scope="module")
def verdicts() -> list[Verdict]:
    """The verdicts on each claim and 60 policies."""
    found: list[Verdict] = []

    @given(repository_policies())
    def examine(policy: Document) -> None:
        found.extend(
            Verdict(
                policy=json.dumps(policy),
                claim=claim,
                beyond=proof.beyond,
                proved=proof.proved,
                holds=holds(claim, policy),
                holds_as_asked=holds(claim, as_asked(policy)),
            )
            for claim, proof in proofs_of(policy, *CLAIMS).items()
        )

    # To name one that can be read takes longer than to find that there is one.
    with mock.patch.object(proofs._Repository, "_solution", any_solution):
        examine()
    return found


def any_solution(_: object, solver: z3.Solver, *__: object) -> Counterexample | None:
    somebody = Counterexample(principal="somebody", action="", resource="")
    return somebody if proofs._answered(solver) else None


def shortest(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The one to look into, of those that should not be."""
    return sorted(verdicts, key=lambda it: len(it.policy))[:1]


class TestOnPoliciesNearTheGuard:
    def test_a_claim_is_proved_exactly_when_nobody_breaks_it(self, verdicts: list[Verdict]) -> None:
        known = [it for it in verdicts if not it.beyond]
        assert shortest([it for it in known if it.proved != it.holds_as_asked]) == []

    def test_a_claim_that_is_proved_holds(self, verdicts: list[Verdict]) -> None:
        assert shortest([it for it in verdicts if it.proved and not it.holds]) == []

    def test_few_claims_hold_and_are_not_proved(self, verdicts: list[Verdict]) -> None:
        assert len([it for it in verdicts if it.holds > it.proved]) < len(verdicts) / 8

    def test_hardly_a_policy_is_beyond_the_solver(self, verdicts: list[Verdict]) -> None:
        assert len([it for it in verdicts if it.beyond]) < len(verdicts) / 20

    @pytest.mark.parametrize("claim", CLAIMS)
    @pytest.mark.parametrize("proved", [True, False])
    def test_each_verdict_is_frequent(
        self, verdicts: list[Verdict], claim: str, *, proved: bool
    ) -> None:
        about = [it.proved for it in verdicts if it.claim == claim]
        assert about.count(proved) > len(about) / 4


@settings(max_examples=4)
@given(repository_policies())
def test_a_counterexample_is_somebody_who_can(policy: Document) -> None:
    # Of one claim, and few policies: to name somebody takes long, and for BOTH half a minute once.
    found = proofs_of(policy, MOVED)[MOVED].counterexample
    assume(found)
    assert found is not None
    account = found.principal.split(":")[4]
    who = Caller(arn=found.principal, account=account, policies=[EVERYTHING])
    assert can(who, [found.action], as_asked(policy))


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
        # In all these the proofs name somebody, who cannot move a tag by the rules of AWS: see
        # `as_asked`. A false alarm each, and no hole.
        pytest.param(
            [save(WORLD.pipeline, WORLD.foreign)],
            id="another account's role, to which nothing is allowed",
            marks=pytest.mark.xfail(
                strict=True,
                reason="A principal of another account needs an Allow in the repository's policy. "
                "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html",
            ),
        ),
        *(
            pytest.param(
                [save(WORLD.pipeline, WORLD.user), deny({"AWS": name})],
                id=f"somebody who is spared by one statement, and denied by another as {name}",
                marks=pytest.mark.xfail(
                    strict=True,
                    reason="A Principal element that names a principal or its account is about it. "
                    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html",
                ),
            )
            for name in (WORLD.user, WORLD.root(WORLD.account), WORLD.account)
        ),
        pytest.param(
            [deny({"AWS": WORLD.account})],
            id="nobody of the account, and to others nothing is allowed",
            marks=pytest.mark.xfail(strict=True, reason="Both of the above."),
        ),
    ],
)
def test_a_claim_that_holds_is_proved(denies: list[Document]) -> None:
    policy = {"Version": "2012-10-17", "Statement": denies}
    assert holds(MOVED, policy)
    assert proofs_of(policy, MOVED)[MOVED].proved
