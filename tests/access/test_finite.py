"""The evaluation and the claims agree with an oracle that tries concrete requests, one by one."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from container_images.access.claims import Claim, alike, prove
from container_images.access.evaluation import Principal, Request, decide
from container_images.access.policy import NO_POLICY, parse, policy_of
from container_images.policies.ecr_actions import Effect, actions
from tests.access import finite_iam
from tests.access.accounts import ACCOUNT, DEPLOY, PIPELINE, REPOSITORY, Document
from tests.access.iam_strategies import (
    ACTIONS,
    FOREIGN,
    PRINCIPALS,
    RESOURCES,
    identity_policies,
    organizations,
    repository_policies,
)
from tests.builds import access

CALLERS = st.tuples(
    st.sampled_from((*PRINCIPALS, FOREIGN)),
    st.lists(identity_policies(), min_size=1, max_size=2),
    st.none() | identity_policies(denies=8),
    organizations(),
)
REQUESTS = st.tuples(
    st.sampled_from(ACTIONS), st.sampled_from(RESOURCES), st.none() | repository_policies()
)


@settings(max_examples=3 * settings().max_examples)
@given(CALLERS, REQUESTS)
def test_what_is_possible_is_allowed_and_what_is_allowed_for_certain_is_possible(
    caller: tuple[str, list[Document], Document | None, list[list[Document]]],
    request: tuple[str, str, Document | None],
) -> None:
    arn, policies, boundary, levels = caller
    action, resource, policy = request
    resource = resource if policy is None else REPOSITORY
    who: dict[str, Any] = {"arn": arn, "account": arn.split(":")[4]}
    oracle = finite_iam.Caller(**who, policies=policies, boundary=boundary, scps=levels)
    possible = finite_iam.possible(oracle, action, resource, account=ACCOUNT, policy=policy)
    principal = Principal(
        **who,
        named=arn,
        policies=tuple(map(parse, policies)),
        boundary=parse(boundary) if boundary else None,
        scps=tuple(
            policy_of(tuple(statement for one in level for statement in parse(one).statements))
            for level in levels
        ),
    )
    its_policy = parse(policy) if policy else NO_POLICY
    call = Request(action=action, resource=resource, account=ACCOUNT, policy=its_policy)
    answer = decide(principal, call)
    assert possible or answer != ()
    assert answer is not None or not possible


CLAIMS = {
    Claim.MOVED: (PIPELINE, actions(Effect.MOVE_TAG)),
    Claim.ADMINISTERED: (DEPLOY, actions(Effect.DELETE_IMAGE, Effect.CHANGE_GUARD)),
}


@settings(max_examples=3 * settings().max_examples)
@given(repository_policies())
def test_a_claim_is_proved_where_it_holds_and_no_condition_is_open(policy: Document) -> None:
    policies = alike([(REPOSITORY, json.dumps(policy), access())])
    written = json.dumps(policy)
    is_open = "SourceVpc" in written or "PrincipalTag" in written
    for proof, (exempt, wanted) in zip(prove(policies, CLAIMS), CLAIMS.values(), strict=True):
        breach = finite_iam.anybody(
            wanted, REPOSITORY, account=ACCOUNT, policy=policy, besides=[exempt]
        )
        assert breach is None or not proof.proved
        assert proof.proved or breach is not None or is_open or proof.undecided
