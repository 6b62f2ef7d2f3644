"""A registry in the account of the production stack, as a role of that account."""

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto import mock_aws

from container_images.stack.declared import DeclaredStack
from container_images.stack.state import State, intended
from tests.conftest import FIXTURES

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

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


Answers = dict[tuple[str, str], str | dict[str, Any]]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """What AWS answers to an operation in a Region: an error's code, or a result.

    Moto answers everything else. What it does not know is empty, and there are three Regions.
    """
    regions = [{"RegionName": region} for region in ("eu-west-1", "eu-west-2", "us-east-1")]
    prepared: Answers = {
        ("DescribePullThroughCacheRules", "eu-west-2"): {"pullThroughCacheRules": []},
        ("DescribeRepositoryCreationTemplates", "eu-west-2"): {"repositoryCreationTemplates": []},
        ("DescribeRegions", "eu-west-2"): {"Regions": regions},
    }
    make_api_call: Any = vars(BaseClient)["_make_api_call"]

    def call(client: BaseClient, operation: str, arguments: Any) -> Any:
        answer = prepared.get((operation, client.meta.region_name))
        if isinstance(answer, str):
            error = {"Error": {"Code": answer, "Message": "not authorized"}}
            raise ClientError(error, operation)  # type: ignore[arg-type]
        return make_api_call(client, operation, arguments) if answer is None else answer

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    return prepared


@pytest.fixture
def ecr(sign_in: Callable[[str], None]) -> "ECRClient":
    """Moto's ECR, in which everybody may do everything."""
    sign_in(ADMINISTRATOR)
    return boto3.Session().client("ecr")


@pytest.fixture
def guarded(ecr: "ECRClient", prod: DeclaredStack) -> "ECRClient":
    """The same, with one of the stack's repositories as it is declared."""
    create(ecr, intended(prod, NAME))
    return ecr


def create(ecr: "ECRClient", state: State) -> None:
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
def _aws(moto_listens: None, answers: Answers) -> None:
    """These tests call AWS's own endpoints, where moto answers."""
