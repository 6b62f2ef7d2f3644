"""The files that say what a policy is: all that is wrong with one comes at once."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from container_images.access.evaluation import Principal, Request
from container_images.access.policy import parse
from container_images.access.policy_files import (
    Plan,
    read_plan,
    read_repository_policy,
    read_service_control_policy,
)
from container_images.policies.document import to_json
from container_images.policies.invalid_input import InvalidInputError
from tests.access import accounts
from tests.access.test_seen import ACCOUNT, CACHE, GUARD, arn, arns, policy, written
from tests.builds import NAME, REGION

URI = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{NAME}"


def resource(**inputs: Any) -> dict[str, Any]:
    return {"type": "aws:ecr/repositoryPolicy:RepositoryPolicy", "inputs": inputs}


def faults(read: Callable[[str], object], text: str) -> str:
    with pytest.raises(InvalidInputError) as caught:
        read(text)
    return str(caught.value)


def test_a_plan_is_read() -> None:
    plan = read_plan(written())
    assert plan == Plan(policies={arn(): parse(GUARD)}, stack="prod")
    assert (plan.region, plan.account_id, str(plan)) == (REGION, ACCOUNT, f"{NAME} of prod")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the plan is not JSON"),
        ("[]", "outputs.repositoryArns: a plan has the ARN of each repository among its outputs"),
        ("{}", "resources: a plan has a list of resources; see that make rehearse ends with ok"),
        ("{}", "outputs.repositoryArns: a plan has the ARN of each repository among its outputs"),
        (written(outputs={"repositoryArns": {}}), "outputs.repositoryArns: a plan has the ARN"),
        (written(outputs=3), "outputs.repositoryArns: a plan has the ARN"),
        (written(resources={}), "resources: a plan has a list of resources"),
        (written(resources=[3]), f'"{NAME}": each repository of a plan has its ARN here, and a'),
        (written(**arns(**{NAME: arn(), "other": arn("o")})), '"other": each repository of a plan'),
        (written(**arns(other=arn("other"))), f'"{NAME}": each repository of a plan'),
        (written(**arns(**{NAME: NAME})), f'repositoryArns.{NAME} = "{NAME}": this is the ARN'),
        (written(**arns(**{NAME: URI})), f'repositoryArns.{NAME} = "{URI}": this is the ARN'),
        (
            written(
                resources=[resource(repository=it, policy=to_json(GUARD)) for it in "ab"],
                **arns(a=arn("a"), b=arn("b").replace(REGION, "us-east-1")),
            ),
            "a stack has one account and Region; run the command once",
        ),
        (
            written(resources=[resource(repository=NAME)]),
            'resources[0].inputs.policy = "None": the repository policy is not JSON',
        ),
        (
            written(resources=[{"type": "aws:ecr/repositoryPolicy:RepositoryPolicy", "inputs": 3}]),
            "resources[0].inputs.policy",
        ),
        (
            written(resources=[resource(repository=NAME, policy=policy(Effect="deny"))]),
            "resources[0].inputs.policy.Statement[0].Effect",
        ),
    ],
)
def test_a_plan_that_says_too_little_is_refused(text: str, says: str) -> None:
    assert says in faults(read_plan, text)


def test_all_that_is_wrong_with_a_plan_is_said_at_once() -> None:
    broken = policy(Effect="deny", Action=3)
    text = written(resources=[resource(repository=NAME, policy=broken)], **arns(**{NAME: "x y"}))
    assert len(faults(read_plan, text).splitlines()) == 3


def test_a_policy_is_read_as_it_is_and_as_aws_prints_it() -> None:
    for text in (to_json(GUARD), json.dumps({"policyText": to_json(GUARD)})):
        assert read_repository_policy(text) is parse(GUARD)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the repository policy is not JSON"),
        ("[]", "[]: a policy has a Statement; print it with aws ecr get-repository-policy"),
        ('{"Statement": "x"}', "a policy has a Statement"),
        ('{"Statement": [3]}', "Statement[0].Principal: the principal is"),
        (policy(Effect="deny"), 'Statement[0].Effect = "deny": the effect is Allow or Deny'),
        (policy(Principal=None), 'Statement[0].Principal: the principal is "*" or an object'),
        (policy(Principal=CACHE), f'Statement[0].Principal = "{CACHE}": the principal is'),
        (policy(Principal={"AWS": 3}), "Statement[0].Principal"),
        (policy(Action=None), "Statement[0].Action: the actions are a text or a list"),
        (policy(Action=None, NotAction=[3]), "Statement[0].NotAction = [3]"),
        (policy(Condition=[]), "Statement[0].Condition = []: a condition is an object of objects"),
        (policy(Condition={"ArnEquals": "x"}), "Statement[0].Condition"),
    ],
)
def test_a_policy_that_cannot_be_held_against_anybody_is_refused(text: str, says: str) -> None:
    assert says in faults(read_repository_policy, text)


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
