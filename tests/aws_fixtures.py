"""What the tests share that call AWS: moto, and CloudTrail's answers."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from moto import mock_aws
from moto.core.base_backend import BackendDict
from moto.server import ThreadedMotoServer

from container_images.aws import trail
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from tests.builds import NAME, REGION, ECRClient
from tests.events import page


@pytest.fixture
def moto_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Moto takes the calls to AWS's own endpoints, and no others."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)


@pytest.fixture(scope="session")
def client() -> ECRClient:
    """A client for all tests: it remembers nothing, and half of a short test is to make one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_ENDPOINT_URL")
        return boto3.client("ecr", region_name=REGION)


@pytest.fixture
def ecr(client: ECRClient) -> Iterator[ECRClient]:
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
def repository(ecr: ECRClient) -> Repository:
    return Repository(ecr, Reference(name=NAME))


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[Any, Any]:
    """What AWS answers to an operation, or to an operation in a Region: a result, an error's code,
    or a function of the request that gives either. Moto answers everything else.
    """
    prepared: dict[Any, Any] = {}
    make_api_call: Any = vars(BaseClient)["_make_api_call"]

    def call(client: BaseClient, operation: str, request: Any) -> Any:
        answer = prepared.get((operation, client.meta.region_name), prepared.get(operation))
        answer = answer(request) if callable(answer) else answer
        if isinstance(answer, str):
            error: Any = client.exceptions.from_code(answer)
            raise error({"Error": {"Code": answer, "Message": "not\n  authorized"}}, operation)
        return make_api_call(client, operation, request) if answer is None else answer

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    return prepared


@pytest.fixture
def lookups(answers: dict[Any, Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """CloudTrail with these events, the oldest first. Gives the names that are looked up."""

    def give(*events: dict[str, Any]) -> list[str]:
        names: list[str] = []

        def answer(request: Any) -> dict[str, Any]:
            names.append(request["LookupAttributes"][0]["AttributeValue"])
            return page(*(each for each in events[::-1] if each["eventName"] == names[-1]))

        answers["LookupEvents"] = answer
        return names

    monkeypatch.setattr(trail, "SECONDS_PER_LOOKUP", 0.0)  # moto has no rate
    return give
