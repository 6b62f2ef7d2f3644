"""The solver's answers for single principals agree with those of the evaluator without a solver."""

import json
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from registry.access.evaluation import Principal, Request, may
from registry.access.policy import NO_POLICY, Policy, parse
from tests.registry.access import finite_iam
from tests.registry.access.iam_strategies import (
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
BEYOND = ("IfExists", "Null", "IgnoreCase")
"""Operators that the solver does not know: their conditions count as met, or as not met."""

verdicts: Counter[tuple[bool, bool]] = Counter()


@given(CALLERS, REQUESTS)
def test_nothing_that_is_possible_is_missed_and_nothing_else_is_found(
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
    found = may(
        Principal(
            arn=arn,
            account=account,
            named=arn,
            policies=tuple(map(parse, policies)),
            boundary=parse(boundary) if boundary else None,
            scps=tuple(map(level_of, levels)),
        ),
        Request(
            action=action,
            resource=resource,
            account=WORLD.account,
            policy=parse(policy) if policy else NO_POLICY,
        ),
    )
    verdicts[possible, found] += 1
    assert found or not possible
    written = json.dumps([policies, boundary, levels, policy])
    if not any(operator in written for operator in BEYOND):
        assert found == possible


def level_of(policies: list[Document]) -> Policy:
    return Policy(tuple(it for policy in policies for it in parse(policy).statements))
