"""What the tests share that call AWS: moto, and CloudTrail's answers."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from moto.core.base_backend import BackendDict
from moto.server import ThreadedMotoServer

from container_images.aws import trail
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.aws.session import Aws
from tests.builds import NAME, REGION

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient


@pytest.fixture
def moto_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moto takes the calls to AWS's own endpoints, and no others."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)


@pytest.fixture(scope="session")
def client() -> "ECRClient":
    """A client for all tests: it remembers nothing, and half of a short test is to make one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_ENDPOINT_URL")
        return boto3.client("ecr", region_name=REGION)


@pytest.fixture
def ecr(client: "ECRClient") -> Iterator["ECRClient"]:
    """Moto's ECR, with an empty repository."""
    with mock_aws():
        client.create_repository(repositoryName=NAME)
        yield client


@pytest.fixture(scope="session")
def moto_port() -> Iterator[int]:
    """Where moto's one server of this process listens: to start and to stop one takes long."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture
def moto_server(moto_port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Moto's server as the environment's AWS, for processes and clients of their own making."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{moto_port}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    yield
    BackendDict.reset()  # what the server holds belongs to the process


@pytest.fixture
def repository(ecr: "ECRClient") -> Repository:
    return Repository(ecr, Reference(name=NAME))


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """CloudTrail with these pages in answer to the next lookups, or with an error."""

    def give(*pages: dict[str, Any] | str) -> None:
        client = boto3.client("cloudtrail")
        stub = Stubber(client)
        for answer in pages:
            if isinstance(answer, str):
                stub.add_client_error("lookup_events", answer, "no\n  luck")
            else:
                stub.add_response("lookup_events", answer)
        stub.activate()
        monkeypatch.setattr(Aws, "cloudtrail", lambda _: client)
        monkeypatch.setattr(trail, "SECONDS_PER_LOOKUP", 0.0)  # the stub has no rate

    return give
