"""The evaluation and the claims agree with an oracle that tries concrete requests, one by one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_images.access.claims import Claim, alike, prove
from container_images.access.evaluation import Principal, Request, decide
from container_images.access.policy import NO_POLICY, Policy, parse
from container_images.policies.ecr_actions import Effect, actions
from container_images.policies.repository_policy import Access
from tests.access import finite_iam
from tests.access.iam_strategies import (
    ACTIONS,
    WORLD,
    boundaries,
    identity_policies,
    organizations,
    repository_policies,
    resources,
)

Document = dict[str, Any]

CALLERS = st.tuples(
    st.sampled_from((*WORLD.principals, WORLD.foreign)),
    st.lists(identity_policies(), min_size=1, max_size=2),
    boundaries(),
    organizations(),
)
REQUESTS = st.tuples(
    st.sampled_from(ACTIONS),
    st.sampled_from(resources(WORLD.principals)),
    st.none() | repository_policies(),
)
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


@given(CALLERS, REQUESTS)
def test_what_is_possible_is_allowed_and_what_is_allowed_for_certain_is_possible(
    caller: tuple[str, list[Document], Document | None, list[list[Document]]],
    request: tuple[str, str, Document | None],
) -> None:
    arn, policies, boundary, levels = caller
    action, resource, policy = request
    if policy is not None:
        resource = WORLD.repository
    account = arn.split(":")[4]
    possible = finite_iam.possible(
        finite_iam.Caller(
            arn=arn, account=account, policies=policies, boundary=boundary, scps=levels
        ),
        action,
        resource,
        account=WORLD.account,
        policy=policy,
    )
    principal = Principal(
        arn=arn,
        account=account,
        named=arn,
        policies=tuple(map(parse, policies)),
        boundary=parse(boundary) if boundary else None,
        scps=tuple(map(level_of, levels)),
    )
    answer = decide(
        principal,
        Request(
            action=action,
            resource=resource,
            account=WORLD.account,
            policy=parse(policy) if policy else NO_POLICY,
        ),
    )
    assert possible or answer != ()
    assert answer is not None or not possible


def level_of(policies: list[Document]) -> Policy:
    return Policy(tuple(it for policy in policies for it in parse(policy).statements))


@given(repository_policies())
def test_a_claim_that_is_proved_holds(policy: Document) -> None:
    claims = (Claim.MOVED, Claim.ADMINISTERED, Claim.BOTH)
    proofs = prove(alike([(WORLD.repository, json.dumps(policy), ACCESS)]), claims)
    for claim, proof in zip(claims, proofs, strict=True):
        assert not proof.undecided
        assert holds(claim, policy) or not proof.proved
        if proof.counterexample is None:
            assert proof.proved


def holds(claim: Claim, policy: Document) -> bool:
    """Whether the oracle finds nobody who breaks the claim."""
    besides = {Claim.MOVED: WORLD.pipeline, Claim.ADMINISTERED: WORLD.administrator}
    if claim in besides:
        wanted = MOVE_TAGS if claim == Claim.MOVED else ADMINISTER
        return (
            finite_iam.anybody(
                wanted,
                WORLD.repository,
                account=WORLD.account,
                policy=policy,
                besides=[besides[claim]],
            )
            is None
        )
    return not any(
        can(who, MOVE_TAGS, policy) and can(who, ADMINISTER, policy)
        for who in finite_iam.principals(policy, account=WORLD.account)
    )


def can(who: finite_iam.Caller, wanted: list[str], policy: Document) -> bool:
    return any(
        finite_iam.possible(who, action, WORLD.repository, account=WORLD.account, policy=policy)
        for action in wanted
    )


def save(*arns: str) -> Document:
    return deny(ArnNotEquals={"aws:PrincipalArn": list(arns)})


def deny(principal: object = "*", **condition: Document) -> Document:
    statement: Document = {"Effect": "Deny", "Principal": principal, "Action": MOVE_TAGS}
    return statement | {"Condition": condition}


@pytest.mark.parametrize(
    "denies",
    [
        [save(WORLD.pipeline)],
        [save(WORLD.pipeline, WORLD.user), deny(ArnEquals={"aws:PrincipalArn": [WORLD.user]})],
        [save(WORLD.pipeline, WORLD.foreign)],
        *(
            [save(WORLD.pipeline, WORLD.user), deny({"AWS": name})]
            for name in (WORLD.user, WORLD.root(WORLD.account), WORLD.account)
        ),
        [deny({"AWS": WORLD.account})],
    ],
)
def test_a_claim_that_holds_without_conditions_is_proved(denies: list[Document]) -> None:
    policy = {"Version": "2012-10-17", "Statement": denies}
    assert holds(Claim.MOVED, policy)
    [proof] = prove(alike([(WORLD.repository, json.dumps(policy), ACCESS)]), [Claim.MOVED])
    assert proof.proved
