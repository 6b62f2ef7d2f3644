"""Policies as they are written: what is read, and everything that is wrong with it at once."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from container_images.access.evaluation import Principal, Request
from container_images.access.policy import (
    EVERYTHING,
    Policy,
    parse,
)
from container_images.cli.access import repository_policy_in, service_control_policy_in
from container_images.policies.invalid_input import InvalidInputError
from tests.access.accounts import ACCOUNT, GUARD, PIPELINE, allow, deny, is_allowed, policy


def one_of(**changes: Any) -> str:
    """A policy of one statement; None takes an element away."""
    statement = {"Effect": "Deny", "Principal": "*", "Action": "ecr:PutImage"} | changes
    return json.dumps(
        {"Statement": {key: value for key, value in statement.items() if value is not None}}
    )


def test_a_policy_is_read_in_every_form_that_iam_takes() -> None:
    text = '{"Statement": {"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}}'
    for document in (text, quote(text)):
        assert parse(document) is parse(policy(allow("ecr:*")))
    for whole in (GUARD, {"policyText": json.dumps(GUARD)}):
        assert repository_policy_in(json.dumps(whole)) == GUARD


WRONG: list[dict[str, Any]] = [
    *({"Effect": "deny"}, {"Effect": None}, {"Condition": []}, {"Condition": {"ArnEquals": "x"}}),
    *({"Principal": "arn"}, {"Principal": {"AWS": 3}}),
    *({"Action": None}, {"Action": 3}, {"Action": None, "NotAction": [3]}),
]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "print it with aws ecr get-repository-policy"),
        ("[]", "[]: a policy has a Statement"),
        ("{}", "a policy has a Statement"),
        ('{"Statement": "x"}', "a policy has a Statement"),
        ('{"Statement": [3]}', "Statement[0] = 3: a statement has an Effect, Allow or Deny"),
        *((one_of(**changes), "a statement has an Effect") for changes in WRONG),
    ],
)
def test_a_policy_that_cannot_be_held_against_anybody_is_refused(text: str, error: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        repository_policy_in(text)
    assert error in str(caught.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse({"Statement": [{"Effect": "deny"}, allow("*"), {"Effect": "Allow"}]})
    places = [problem.where for problem in caught.value.problems]
    assert places == [("Statement", 0), ("Statement", 2)]


def allows(level: Policy, action: str) -> bool:
    caller = Principal(
        arn=PIPELINE, account=ACCOUNT, named=PIPELINE, policies=(EVERYTHING,), scps=(level,)
    )
    return is_allowed(caller, Request(action=action, resource="*", account=ACCOUNT))


def test_a_service_control_policy_that_only_denies_has_full_access_beside_it() -> None:
    denies, only = json.dumps(policy(deny("ecr:*"))), json.dumps(policy(allow("s3:*")))
    printed = json.dumps({"Policy": {"PolicySummary": {}, "Content": denies}})
    for text, others in ((denies, True), (printed, True), (only, False)):
        level = service_control_policy_in(text)
        assert allows(level, "s3:GetObject")
        assert not allows(level, "ecr:PutImage")
        assert allows(level, "logs:PutLogEvents") is others


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Policy": {}}', one_of(Effect="deny")])
def test_any_other_service_control_policy_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        service_control_policy_in(text)
