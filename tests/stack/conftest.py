"""A registry in the account of the production stack, as a role of that account."""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import boto3
import moto.ecr.models
import pytest
from moto import mock_aws
from moto.ecr.exceptions import InvalidParameterException

from container_images.stack.declared import DeclaredStack, declared
from container_images.stack.state import State, intended
from tests.conftest import ROOT

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

NAME = "forms-admin-deploy"
PIPELINE = "arn:aws:iam::111122223333:role/pipeline/forms-image-pipeline"
ADMINISTRATOR = "arn:aws:iam::111122223333:role/platform/forms-registry-deploy"
ANYBODY = "arn:aws:iam::111122223333:role/anybody"


@pytest.fixture(scope="session")
def stack() -> DeclaredStack:
    with contextlib.chdir(ROOT):
        return declared("prod")


@pytest.fixture
def sign_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Let the commands call as a role: in moto, whoever assumes it is in its account."""
    monkeypatch.chdir(ROOT)
    with mock_aws():

        def as_role(arn: str) -> None:
            for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                monkeypatch.setenv(variable, "testing")
            monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
            sts = boto3.Session().client("sts")
            role = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", role["AccessKeyId"])
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", role["SecretAccessKey"])
            monkeypatch.setenv("AWS_SESSION_TOKEN", role["SessionToken"])

        yield as_role


@pytest.fixture
def ecr(sign_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> "ECRClient":
    """Moto's ECR, which lets everybody do everything, with its answer to no manifest put right."""
    sign_in(ADMINISTRATOR)
    put_image = moto.ecr.models.ECRBackend.put_image

    def refusing(*arguments: Any, **named: Any) -> Any:
        try:
            return put_image(*arguments, **named)
        except Exception as error:
            if "Invalid JSON syntax" in str(error):
                raise InvalidParameterException(str(error)) from None
            raise

    monkeypatch.setattr(moto.ecr.models.ECRBackend, "put_image", refusing)
    return boto3.Session().client("ecr")


@pytest.fixture
def guarded(ecr: "ECRClient", stack: DeclaredStack) -> "ECRClient":
    """The same, with one of the stack's repositories as it is declared."""
    create(ecr, as_declared(stack))
    return ecr


def create(ecr: "ECRClient", state: State) -> None:
    """Make a repository that is just so."""
    more: dict[str, Any] = {}
    if state.exclusion_filters:
        more["imageTagMutabilityExclusionFilters"] = [
            {"filterType": "WILDCARD", "filter": it} for it in state.exclusion_filters
        ]
    encryption = {"encryptionType": state.encryption}
    if state.kms_key:
        encryption["kmsKey"] = state.kms_key
    ecr.create_repository(
        repositoryName=state.name,
        imageTagMutability=state.tag_mutability,  # type: ignore[arg-type]
        imageScanningConfiguration={"scanOnPush": state.scan_on_push},
        encryptionConfiguration=encryption,  # type: ignore[arg-type]
        tags=[{"Key": key, "Value": it} for key, it in state.tags.items()],
        **more,
    )
    if state.policy:
        ecr.set_repository_policy(repositoryName=state.name, policyText=state.policy)
    if state.lifecycle_policy:
        ecr.put_lifecycle_policy(
            repositoryName=state.name, lifecyclePolicyText=state.lifecycle_policy
        )


def as_declared(stack: DeclaredStack, name: str = NAME) -> State:
    return intended(stack, name)


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture(autouse=True)
def _aws(moto_listens: None) -> None:
    """These tests call AWS's own endpoints, where moto answers."""
