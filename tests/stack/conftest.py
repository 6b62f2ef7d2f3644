"""A registry in the account of the production stack, as a role of that account."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from container_images.stack.declared import DeclaredStack
from container_images.stack.state import State, intended
from tests.builds import ECRClient
from tests.conftest import FIXTURES

NAME = "forms-admin-deploy"
ADMINISTRATOR = "arn:aws:iam::111122223333:role/platform/forms-registry-deploy"

BARE = State(
    arn="arn:aws:ecr:eu-west-2:111122223333:repository/old-repository",
    name="old-repository",
    tag_mutability="IMMUTABLE",
    exclusion_filters=(),
    scan_on_push=True,
    encryption="AES256",
    kms_key=None,
    tags={},
    lifecycle_policy=None,
    policy=None,
)
"""A repository as the console makes it."""


@pytest.fixture
def sign_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Let the commands call as a role: in moto, whoever assumes it is in its account."""
    monkeypatch.chdir(FIXTURES)

    def as_role(arn: str) -> None:
        sts = boto3.Session().client("sts")
        role = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", role["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", role["SecretAccessKey"])
        monkeypatch.setenv("AWS_SESSION_TOKEN", role["SessionToken"])

    with mock_aws():
        yield as_role


@pytest.fixture
def ecr(sign_in: Callable[[str], None]) -> ECRClient:
    """Moto's ECR, in which everybody may do everything."""
    sign_in(ADMINISTRATOR)
    return boto3.Session().client("ecr")


@pytest.fixture
def guarded(ecr: ECRClient, prod: DeclaredStack) -> ECRClient:
    """The same, with one of the stack's repositories as it is declared."""
    create(ecr, intended(prod, NAME))
    return ecr


def create(ecr: ECRClient, state: State) -> None:
    """Make a repository that is just so."""
    name, key = state.name, {"kmsKey": state.kms_key} if state.kms_key else {}
    filters = [{"filterType": "WILDCARD", "filter": tags} for tags in state.exclusion_filters]
    inputs: dict[str, Any] = {
        "imageTagMutability": state.tag_mutability,
        "imageScanningConfiguration": {"scanOnPush": state.scan_on_push},
        "encryptionConfiguration": {"encryptionType": state.encryption, **key},
        "tags": [{"Key": key, "Value": value} for key, value in state.tags.items()],
        **({"imageTagMutabilityExclusionFilters": filters} if filters else {}),
    }
    ecr.create_repository(repositoryName=name, **inputs)
    if state.policy:
        ecr.set_repository_policy(repositoryName=name, policyText=state.policy)
    if state.lifecycle_policy:
        ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=state.lifecycle_policy)


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture(autouse=True)
def _aws(moto_listens: None) -> None:
    """These tests call AWS's own endpoints, where moto answers."""


@pytest.fixture(autouse=True)
def _empty(answers: dict[Any, Any]) -> None:
    """What moto does not know is empty, and there are three Regions."""
    regions = [{"RegionName": region} for region in ("eu-west-1", "eu-west-2", "us-east-1")]
    answers["DescribeRegions"] = {"Regions": regions}
    answers["DescribePullThroughCacheRules"] = {"pullThroughCacheRules": []}
    answers["DescribeRepositoryCreationTemplates"] = {"repositoryCreationTemplates": []}
