"""The listing of an account: whole, or refused with all that is missing."""

from typing import Any

import pytest

from container_images.access.account import account_of
from container_images.access.evaluation import Request
from container_images.policies.invalid_input import InvalidInputError
from tests.access.accounts import (
    ACCOUNT,
    IAM,
    allow,
    details,
    group,
    is_allowed,
    managed,
    role,
    user,
)

COMMAND = "aws iam get-account-authorization-details"
NOT_WHAT = f"this is not what {COMMAND} prints"
OWN = f"{IAM}policy/own"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


def test_inline_and_managed_policies_and_those_of_the_groups_count() -> None:
    amy = user("amy", allow("ecr:*"), groups=["staff"])
    amy["AttachedManagedPolicies"] = [{"PolicyArn": OWN}]
    whole = details(amy, managed("own", allow("s3:*")), group("staff", allow("logs:*")))
    [identity] = account_of(whole).identities
    actions = ("ecr:PutImage", "s3:GetObject", "logs:PutLogEvents", "iam:PassRole")
    requests = [Request(action=action, resource="*", account=ACCOUNT) for action in actions]
    assert [is_allowed(identity, request) for request in requests] == [True, True, True, False]


def test_an_empty_trust_policy_lets_nobody_in() -> None:
    [identity] = account_of(details(role("x") | {"AssumeRolePolicyDocument": {}})).identities
    assert identity.trust.statements == ()


def test_a_boundary_whose_text_is_not_listed_limits_nothing() -> None:
    [identity] = account_of(details(role("x", boundary=f"{IAM}policy/boundary"))).identities
    assert (identity.boundary_arn, identity.boundary) == (f"{IAM}policy/boundary", None)


@pytest.mark.parametrize(
    ("listing", "rules"),
    [
        (details(role("x", managed=[ADMINISTRATOR])), [f"the text of the policy {ADMINISTRATOR}"]),
        (
            details(role("x", managed=[OWN]), managed("own") | {"PolicyVersionList": []}),
            [f"the text of the policy {OWN}"],
        ),
        (details(user("amy", groups=["staff"])), ["the group staff is missing"]),
        (details(role("x")) | {"IsTruncated": True}, ["this is only a part of the account"]),
        (details(role("x")) | {"NextToken": "more"}, ["this is only a part of the account"]),
        (
            details(role("x", managed=["a"]), user("amy", groups=["b"])) | {"NextToken": "c"},
            ["the group b", "the text of the policy a", "this is only a part"],
        ),
        (details() | {"RoleDetailList": [{"Arn": "x"}]}, ["the account in the ARN x"]),
        (details(role("x", trusts={"Statement": [{"Effect": "Maybe"}]})), ["a statement has an"]),
        ([], [f"{NOT_WHAT} (AttributeError: 'list' object"]),
        ({"UserDetailList": []}, [f"{NOT_WHAT} (KeyError: 'RoleDetailList'"]),
        (details() | {"Policies": 7}, [NOT_WHAT]),
    ],
)
def test_what_is_missing_or_wrong_is_refused_all_at_once(listing: Any, rules: list[str]) -> None:
    with pytest.raises(InvalidInputError) as raised:
        account_of(listing)
    for problem, rule in zip(raised.value.problems, rules, strict=True):
        assert problem.rule.startswith(rule)


def test_a_file_is_json() -> None:
    with pytest.raises(InvalidInputError, match=COMMAND):
        account_of("Roles:")
