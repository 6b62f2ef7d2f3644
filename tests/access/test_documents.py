"""Policies in files: what a document is read as, and everything that is wrong with it at once."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from container_images.access.documents import (
    read_repository_policy,
    read_service_control_policy,
)
from container_images.access.evaluation import Principal, Request
from container_images.access.policy import parse
from container_images.policies.invalid_input import InvalidInputError
from tests.access import accounts


def policy(**changes: Any) -> str:
    """A policy of one statement; None takes an element away."""
    statement = {"Effect": "Deny", "Principal": "*", "Action": "ecr:PutImage"} | changes
    return json.dumps(
        {"Statement": {key: value for key, value in statement.items() if value is not None}}
    )


def faults(read: Callable[[str], object], text: str) -> str:
    with pytest.raises(InvalidInputError) as caught:
        read(text)
    return str(caught.value)


def test_a_policy_is_read_as_it_is_and_as_aws_prints_it() -> None:
    for text in (
        json.dumps(accounts.GUARD),
        json.dumps({"policyText": json.dumps(accounts.GUARD)}),
    ):
        assert read_repository_policy(text) is parse(accounts.GUARD)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the repository policy is not JSON"),
        ("[]", "[]: a policy has a Statement; print it with aws ecr get-repository-policy"),
        ('{"Statement": "x"}', "a policy has a Statement"),
        ('{"Statement": [3]}', "Statement[0].Principal: the principal is"),
        (policy(Effect="deny"), 'Statement[0].Effect = "deny": the effect is Allow or Deny'),
        (policy(Principal=None), 'Statement[0].Principal: the principal is "*" or an object'),
        (policy(Principal="arn"), 'Statement[0].Principal = "arn": the principal is'),
        (policy(Principal={"AWS": 3}), "Statement[0].Principal"),
        (policy(Action=None), "Statement[0].Action: the actions are a text or a list"),
        (policy(Action=None, NotAction=[3]), "Statement[0].NotAction = [3]"),
        (policy(Condition=[]), "Statement[0].Condition = []: a condition is an object of objects"),
        (policy(Condition={"ArnEquals": "x"}), "Statement[0].Condition"),
    ],
)
def test_a_policy_that_cannot_be_held_against_anybody_is_refused(text: str, says: str) -> None:
    assert says in faults(read_repository_policy, text)


def test_all_that_is_wrong_is_said_at_once() -> None:
    text = policy(Effect="deny", Action=3)
    assert len(faults(read_repository_policy, text).splitlines()) == 2


class TestServiceControlPolicies:
    DENIES = accounts.policy(accounts.deny("ecr:*"))

    def allows(self, text: str, action: str) -> bool:
        everything = accounts.policy(accounts.allow("*"))
        level = read_service_control_policy(text)
        somebody = Principal(
            arn=accounts.PIPELINE,
            account=accounts.ACCOUNT,
            named=accounts.PIPELINE,
            policies=(read_service_control_policy(json.dumps(everything)),),
            scps=(level,),
        )
        return accounts.is_allowed(
            somebody, Request(action=action, resource="*", account=accounts.ACCOUNT)
        )

    def test_one_that_only_denies_has_full_access_beside_it(self) -> None:
        text = json.dumps(self.DENIES)
        assert self.allows(text, "s3:GetObject")
        assert not self.allows(text, "ecr:PutImage")

    def test_one_that_allows_is_all_that_its_level_allows(self) -> None:
        text = json.dumps(accounts.policy(accounts.allow("ecr:*")))
        assert self.allows(text, "ecr:PutImage")
        assert not self.allows(text, "s3:GetObject")

    def test_it_is_read_as_aws_prints_it(self) -> None:
        printed = {"Policy": {"PolicySummary": {}, "Content": json.dumps(self.DENIES)}}
        assert not self.allows(json.dumps(printed), "ecr:PutImage")

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"Policy": {}}', policy(Effect="deny")])
    def test_anything_else_is_refused(self, text: str) -> None:
        assert faults(read_service_control_policy, text)
