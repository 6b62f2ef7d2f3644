import functools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import botocore.session
import pytest
from botocore.loaders import create_loader
from moto import mock_aws

from registry.images import Repository
from registry.reference import Reference
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


_one_loader = functools.cache(create_loader)


@pytest.fixture(autouse=True)
def _aws_models_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command has a session of its own, which would read botocore's large files again."""
    monkeypatch.setattr(botocore.session, "create_loader", _one_loader)


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
