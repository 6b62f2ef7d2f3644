"""The solver's answers for single principals agree with those of the evaluator without a solver."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_images.access.evaluation import Principal, Request, may
from container_images.access.policy import NO_POLICY, Policy, parse
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
ALLOW = {"Effect": "Allow"}
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


def unlike(policy: Document | None, resource_policy: Document) -> list[str]:
    """Those of the account of whom the one evaluated for their kind does not say what is true."""
    verdicts: dict[Any, bool] = {}
    wrong = []
    named = parse(resource_policy)
    put = Request(
        action="ecr:PutImage", resource=WORLD.repository, account=WORLD.account, policy=named
    )
    for arn in (*WORLD.principals, *STRANGERS):
        own = (parse(policy),) if policy else ()
        one = Principal(arn=arn, account=WORLD.account, named=arn, policies=own)
        if verdicts.setdefault(one.kind(named), may(one, put)) != may(one, put):
            wrong.append(arn)
    return wrong


STRANGERS = tuple(f"arn:aws:iam::{WORLD.account}:{it}" for it in ("role/a", "user/b", "root"))


@given(identity_policies(), repository_policies())
def test_those_of_a_kind_may_do_the_same(own: Document, policy: Document) -> None:
    assert unlike(own, policy) == []


@pytest.mark.parametrize(
    ("principal", "condition"),
    [
        ({"AWS": WORLD.developer}, {}),
        ({"AWS": f"arn:aws:sts::{WORLD.account}:assumed-role/dev/session"}, {}),
        ("*", {"ArnEquals": {"aws:PrincipalArn": WORLD.developer}}),
        ("*", {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/people/*"}}),
        ("*", {"StringEquals": {"aws:username": "alice"}}),
        ("*", {"StringEquals": {"aws:PrincipalArn": "${aws:PrincipalTag/arn}"}}),
        ({"AWS": WORLD.root(WORLD.account)}, {}),
    ],
)
@pytest.mark.parametrize("own", [None, {"Statement": [{**ALLOW, "Action": "*", "Resource": "*"}]}])
@pytest.mark.parametrize("effect", ["Allow", "Deny"])
def test_whom_a_policy_tells_apart_is_no_kind(
    principal: Any, condition: Document, own: Document | None, effect: str
) -> None:
    statement = {"Principal": principal, "Action": "ecr:*", "Condition": condition}
    assert (
        unlike(own, {"Version": "2012-10-17", "Statement": [statement | {"Effect": effect}]}) == []
    )


def level_of(policies: list[Document]) -> Policy:
    return Policy(tuple(it for policy in policies for it in parse(policy).statements))
