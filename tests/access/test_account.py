"""The listing of an account: whole, or refused with all that is missing."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from container_images.access.account import account_of, merged, read_account
from container_images.access.evaluation import Principal, Request
from container_images.policies.invalid_input import InvalidInputError
from tests.access.accounts import (
    ACCOUNT,
    IAM,
    NOBODY,
    Document,
    allow,
    details,
    group,
    is_allowed,
    managed,
    policy,
    role,
    user,
)


def faults(written: Any) -> list[str]:
    with pytest.raises(InvalidInputError) as raised:
        account_of(written)
    return [str(it) for it in raised.value.problems]


def can(written: Document, action: str) -> bool:
    [it] = account_of(written).identities
    principal = Principal(arn=it.arn, account=it.account, named=it.arn, policies=it.policies)
    return is_allowed(principal, Request(action=action, resource="*", account=ACCOUNT))


class TestPolicies:
    def test_inline_managed_and_the_groups_count(self) -> None:
        own = managed("own", allow("s3:*"))
        amy = user("amy", allow("ecr:*"), groups=["staff"])
        amy["AttachedManagedPolicies"] = [{"PolicyArn": own["Arn"]}]
        listing = details(amy, own, group("staff", allow("logs:*")))
        for action in ("ecr:PutImage", "s3:GetObject", "logs:PutLogEvents"):
            assert can(listing, action)
        assert not can(listing, "iam:PassRole")

    def test_the_default_version_of_a_managed_one_counts(self) -> None:
        narrow = managed("own", allow("s3:*"))
        assert narrow["PolicyVersionList"][1]["Document"] == policy(allow("*"))
        assert not can(details(role("x", managed=[narrow["Arn"]]), narrow), "iam:PassRole")

    def test_documents_may_be_percent_encoded(self) -> None:
        encoded = role("x")
        document = quote(json.dumps(policy(allow("iam:*"))))
        encoded["RolePolicyList"] = [{"PolicyName": "p", "PolicyDocument": document}]
        assert can(details(encoded), "iam:PassRole")

    def test_a_boundary_whose_text_is_not_listed_limits_nothing(self) -> None:
        bounded = role("x", boundary=f"{IAM}policy/boundary")
        [it] = account_of(details(bounded)).identities
        assert (it.boundary_arn, it.boundary) == (f"{IAM}policy/boundary", None)


class TestWhatIsMissing:
    def test_an_attached_policy_without_its_text_is_an_error(self) -> None:
        """The evaluator's own reader leaves such a policy out, and an administrator has nothing."""
        administrator = "arn:aws:iam::aws:policy/AdministratorAccess"
        listing = details(role("x", managed=[administrator]), role("y", managed=[administrator]))
        found = faults(listing)
        assert len(found) == 2
        assert all(administrator in it and "without --filter" in it for it in found)

    def test_also_where_only_the_default_version_is_missing(self) -> None:
        own = managed("own", allow("s3:*")) | {"DefaultVersionId": "v9"}
        assert len(faults(details(role("x", managed=[own["Arn"]]), own))) == 1

    def test_a_group_that_is_not_listed_is_an_error(self) -> None:
        [found] = faults(details(user("amy", groups=["staff"])))
        assert "staff" in found

    @pytest.mark.parametrize("mark", [{"IsTruncated": True}, {"NextToken": "more"}])
    def test_a_part_of_the_account_is_an_error(self, mark: Document) -> None:
        [found] = faults(details(role("x")) | mark)
        assert "only a part" in found

    def test_everything_that_is_wrong_comes_at_once(self) -> None:
        listing = details(role("x", managed=["a"]), user("amy", groups=["b"])) | {"NextToken": "c"}
        assert len(faults(listing)) == 3


class TestFiles:
    def test_are_json(self) -> None:
        with pytest.raises(InvalidInputError, match="get-account-authorization-details"):
            read_account("Roles:")

    @pytest.mark.parametrize(
        "written",
        [
            *([], {}, {"RoleDetailList": []}, {"UserDetailList": []}, details() | {"Policies": 7}),
            details(role("x") | {"Arn": "x:role/"}) | {"RoleDetailList": [{"Arn": "x"}]},
        ],
    )
    def test_of_another_kind_are_refused(self, written: Any) -> None:
        assert all("get-account-authorization-details" in it for it in faults(written))

    @pytest.mark.parametrize(
        ("written", "said"),
        [
            ([], "AttributeError: 'list' object has no attribute 'get'"),
            ({"UserDetailList": []}, "KeyError: 'RoleDetailList'"),
        ],
    )
    def test_of_another_kind_say_what_is_wrong(self, written: Any, said: str) -> None:
        rule = f"this is not what aws iam get-account-authorization-details prints ({said})"
        fix = "print them with aws iam get-account-authorization-details --output json"
        assert faults(written) == [f"{rule}; {fix}"]

    def test_without_groups_and_policies_are_whole_if_nobody_has_any(self) -> None:
        roles = {"UserDetailList": [], "RoleDetailList": [role("x")]}
        assert len(account_of(roles).identities) == 1
        roles["RoleDetailList"] = [role("x", managed=["arn:aws:iam::aws:policy/ReadOnlyAccess"])]
        assert len(faults(roles)) == 1

    def test_with_a_broken_policy_say_which(self) -> None:
        broken = role("x", trusts={"Statement": [{"Effect": "Maybe"}]})
        found = faults(details(broken))
        where = f"RoleDetailList.{IAM}role/x.AssumeRolePolicyDocument.Statement[0]"
        assert found[0] == (
            f'{where}.Effect = "Maybe": the effect is Allow or Deny; write it as IAM takes it'
        )
        assert all(it.startswith(where) for it in found)

    def test_of_several_accounts_are_one(self) -> None:
        other = "arn:aws:iam::444455556666:role/x"
        one, two = account_of(details(role("x"))), account_of(details(role(other)))
        assert [it.arn for it in merged([one, two]).identities] == [f"{IAM}role/x", other]


def test_what_a_role_is() -> None:
    linked = "aws-service-role/ecr.amazonaws.com/AWSServiceRoleForECR"
    account = account_of(details(role(linked), role("x", trusts=NOBODY), user("amy")))
    assert [it.is_service_linked for it in account.identities] == [True, False, False]
    assert [it.is_role for it in account.identities] == [True, True, False]
    assert {it.account for it in account.identities} == {ACCOUNT}
