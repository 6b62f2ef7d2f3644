"""What goes round the guard, and who may."""

import json
from typing import Any

import pytest

from container_images.policypack.guard import LIFECYCLE_POLICY, REPOSITORY, REPOSITORY_POLICY
from container_images.policypack.registries import REGISTRY_POLICY, WAYS_ROUND
from tests.policypack.analysis import UNKNOWN, judge, later
from tests.policypack.test_images import registered

POLICY = "no-way-round-the-guard"


@pytest.mark.parametrize("type_", WAYS_ROUND)
def test_it_is_refused_unless_it_is_allowed_by_name(type_: str) -> None:
    [message], unknown = judge(POLICY, type_, {"prefix": UNKNOWN})
    assert message == (
        f"{type_.rpartition(':')[2]} it: {WAYS_ROUND[type_]}; leave it out, or have shop/prod/it "
        "added to `allowed` in the policy pack's configuration, by whoever answers for the registry"
    )
    assert unknown is None
    assert judge(POLICY, type_, {}, config={"allowed": ["shop/prod/it"]}) == ([], None)
    for other in ("it", "shop/dev/it", "shop/prod/it2"):
        [_], _ = judge(POLICY, type_, {}, config={"allowed": [other]})


def granting(**statement: Any) -> dict[str, Any]:
    whole = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:root"}} | statement
    return {"policy": json.dumps({"Version": "2012-10-17", "Statement": whole})}


@pytest.mark.parametrize(
    ("statement", "granted"),
    [
        ({"Action": ["ecr:ReplicateImage", "ecr:CreateRepository"]}, "ecr:CreateRepository"),
        ({"Action": "ecr:BatchImportUpstreamImage"}, "ecr:BatchImportUpstreamImage"),
        ({"Action": "*"}, "ecr:BatchDeleteImage"),
        ({"Action": "ecr:put*"}, "ecr:PutAccountSetting"),
        ({"NotAction": "ecr:Get*"}, "ecr:PutImage"),
    ],
)
def test_a_registry_policy_that_lets_others_write_is_refused(
    statement: dict[str, Any], granted: str
) -> None:
    props = granting(**statement)
    [message], _ = judge(POLICY, REGISTRY_POLICY, props)
    assert message.startswith("RegistryPolicy it policy = [")
    assert "lets others put or change what no repository's guard sees" in message
    assert granted in message or "…" in message
    assert judge(POLICY, REGISTRY_POLICY, props, config={"allowed": ["shop/prod/it"]}) == ([], None)


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": ["ecr:BatchGetImage", "ecr:DescribeRegistry"]},
        {"Effect": "Deny", "Action": "*"},
        {"Action": "s3:*"},
    ],
)
def test_a_registry_policy_that_lets_nobody_write_passes(statement: dict[str, Any]) -> None:
    assert judge(POLICY, REGISTRY_POLICY, granting(**statement)) == ([], None)


def test_a_registry_policy_that_is_no_json_fails() -> None:
    [message], _ = judge(POLICY, REGISTRY_POLICY, {"policy": "{"})
    assert "the policy is not JSON" in message


def test_a_registry_policy_that_is_not_known_yet_is_judged_later() -> None:
    assert judge(POLICY, REGISTRY_POLICY, {"policy": UNKNOWN}) == ([], later("policy"))


def test_another_resource_passes() -> None:
    assert judge(POLICY, "aws:ecr/repository:Repository", {}) == ([], None)


def test_every_type_of_ecr_is_classified() -> None:
    """A new version of pulumi-aws may bring another way round the guard."""
    harmless = {
        "aws:ecr/pullTimeUpdateExclusion:PullTimeUpdateExclusion",
        "aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration",
    }
    guarded = {REPOSITORY, REPOSITORY_POLICY, LIFECYCLE_POLICY, REGISTRY_POLICY}
    types = {type_ for type_, _ in registered()["pulumi_aws.ecr"]}
    assert types == guarded | WAYS_ROUND.keys() | harmless
