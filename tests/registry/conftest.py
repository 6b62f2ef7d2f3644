import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from registry.aws import trail
from registry.aws.images import Repository
from registry.aws.reference import Reference
from registry.aws.session import Aws
from tests.registry.builds import NAME, REGION

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient


@pytest.fixture(autouse=True)
def _nobodys_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may reach an AWS account, whatever the environment that runs them has."""
    for variable in list(os.environ):
        if variable.startswith("AWS_"):
            monkeypatch.delenv(variable)
    for variable, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(variable, value)


@pytest.fixture
def ecr() -> Iterator["ECRClient"]:
    """Moto's ECR, with an empty repository."""
    with mock_aws():
        client = boto3.client("ecr")
        client.create_repository(repositoryName=NAME)
        yield client


@pytest.fixture
def repository(ecr: "ECRClient") -> Repository:
    return Repository(ecr, Reference(name=NAME))


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """CloudTrail with these pages in answer to the next lookups, or with an error."""

    def answer(*pages: dict[str, Any] | str) -> None:
        client = boto3.client("cloudtrail")
        stub = Stubber(client)
        for it in pages:
            if isinstance(it, str):
                stub.add_client_error("lookup_events", it, "no\n  luck")
            else:
                stub.add_response("lookup_events", it)
        stub.activate()
        monkeypatch.setattr(Aws, "cloudtrail", lambda _: client)
        monkeypatch.setattr(trail, "SECONDS_PER_LOOKUP", 0.0)  # the stub has no rate

    return answer
