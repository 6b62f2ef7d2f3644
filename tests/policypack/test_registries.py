"""What goes round the guard, and who may."""

import json
from typing import Any

import pytest

from container_images.policypack.guard import LIFECYCLE_POLICY, REPOSITORY, REPOSITORY_POLICY
from container_images.policypack.registries import REGISTRY_POLICY, WAYS_ROUND
from tests.policypack.analysis import GOOD, UNKNOWN, judge, later
from tests.policypack.test_images import registered

POLICY = "no-way-round-the-guard"


@pytest.mark.parametrize("type_", WAYS_ROUND)
def test_a_way_round_the_guard_is_refused_unless_it_is_allowed_by_name(type_: str) -> None:
    [message], unknown = judge(POLICY, type_, {"prefix": UNKNOWN})
    assert message.startswith(f"{type_.rpartition(':')[2]} it: {WAYS_ROUND[type_]}; leave it out")
    assert "have shop/prod/it added to `allowed`" in message
    assert unknown is None
    assert judge(POLICY, type_, {}, allowed=["shop/prod/it"]) == GOOD
    assert judge(POLICY, type_, {}, allowed=["it", "shop/dev/it", "shop/prod/it2"]) != GOOD


@pytest.mark.parametrize(
    ("statement", "granted"),
    [
        ({"Action": ["ecr:ReplicateImage", "ecr:CreateRepository"]}, "ecr:CreateRepository"),
        ({"Action": "ecr:BatchImportUpstreamImage"}, "ecr:BatchImportUpstreamImage"),
        ({"Action": "*"}, "ecr:BatchDeleteImage"),
        ({"NotAction": "ecr:Get*"}, "ecr:BatchDeleteImage"),
        ({"Action": ["ecr:BatchGetImage", "ecr:DescribeRegistry"]}, ""),
        ({"Effect": "Deny", "Action": "*"}, ""),
        ({"Action": "s3:*"}, ""),
    ],
)
def test_a_registry_policy_may_let_nobody_write(statement: dict[str, Any], granted: str) -> None:
    whole = {"Effect": "Allow", "Principal": {"AWS": "444455556666"}} | statement
    props = {"policy": json.dumps({"Version": "2012-10-17", "Statement": whole})}
    violations, _ = judge(POLICY, REGISTRY_POLICY, props)
    assert len(violations) == bool(granted)
    assert all(
        message.startswith("RegistryPolicy it policy = [") and granted in message
        for message in violations
    )
    assert judge(POLICY, REGISTRY_POLICY, props, allowed=["shop/prod/it"]) == GOOD


def test_a_registry_policy_that_cannot_be_read_does_not_pass() -> None:
    [message], _ = judge(POLICY, REGISTRY_POLICY, {"policy": "{"})
    assert "the policy is not JSON" in message
    assert judge(POLICY, REGISTRY_POLICY, {"policy": UNKNOWN}) == later("policy")


def test_every_type_of_ecr_is_classified() -> None:
    """A new version of pulumi-aws may bring another way round the guard."""
    harmless = {
        "aws:ecr/pullTimeUpdateExclusion:PullTimeUpdateExclusion",
        "aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration",
    }
    guarded = {REPOSITORY, REPOSITORY_POLICY, LIFECYCLE_POLICY, REGISTRY_POLICY}
    types = {type_ for type_, _ in registered()["pulumi_aws.ecr"]}
    assert types == guarded | WAYS_ROUND.keys() | harmless
