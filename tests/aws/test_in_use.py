"""What ECS and Lambda run, and by how many calls that is read."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from container_images.aws.in_use import Running, running_images
from container_images.aws.session import Aws
from tests.builds import ACCOUNT, NAME, REGION, build

URI = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{NAME}"
DIGEST = f"sha256:{'1' * 64}"


pytestmark = pytest.mark.usefixtures("moto_listens", "cloud_of_moto")


@pytest.fixture
def cloud_of_moto() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The number of calls of each operation of ECS and Lambda."""
    counted = Counter[str]()
    make = Aws.client

    def counting(aws: Aws, service: Any, *more: Any) -> Any:
        client = make(aws, service, *more)
        client.meta.events.register("before-call", lambda model, **_: counted.update([model.name]))
        return client

    monkeypatch.setattr(Aws, "client", counting)
    return counted


def images(running: Running) -> set[str]:
    return {image.image for image in running.images}


def define(family: str, *containers: str) -> Any:
    answer = boto3.client("ecs").register_task_definition(
        family=family,
        containerDefinitions=[
            {"name": f"container-{number}", "image": image, "memory": 100}
            for number, image in enumerate(containers)
        ],
    )
    return answer["taskDefinition"]["taskDefinitionArn"]


def serve(name: str, definition: str, cluster: str = "apps") -> Any:
    answer = boto3.client("ecs").create_service(
        cluster=cluster, serviceName=name, taskDefinition=definition, desiredCount=1
    )
    return answer["service"]["serviceArn"]


def function(name: str, tag: str) -> Any:
    answer = boto3.client("lambda").create_function(
        FunctionName=name, Role=role(), PackageType="Image", Code={"ImageUri": f"{URI}:{tag}"}
    )
    return answer["FunctionArn"]


def role() -> str:
    client = boto3.client("iam")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    with suppress(client.exceptions.EntityAlreadyExistsException):
        client.create_role(RoleName="function", AssumeRolePolicyDocument=trust)
    return client.get_role(RoleName="function")["Role"]["Arn"]


def registry(*tags: str) -> None:
    client = boto3.client("ecr")
    client.create_repository(repositoryName=NAME)
    build(client, "a", *tags)


def test_services_run_their_task_definitions_and_families_their_newest() -> None:
    boto3.client("ecs").create_cluster(clusterName="apps")
    first = define("admin", f"{URI}:prod-1", "public.ecr.aws/xray:1")
    define("admin", f"{URI}:prod-2")
    newest = define("admin", f"{URI}:prod-3")
    define("job", f"{URI}:job-1")
    service = serve("admin", first)
    running = running_images(Aws())
    assert running.unread == {}
    assert images(running) == {
        *(f"{URI}:prod-1", "public.ecr.aws/xray:1", f"{URI}:prod-3", f"{URI}:job-1")
    }
    by = {image.image: image.by for image in running.images}
    assert (by[f"{URI}:prod-1"], by[f"{URI}:prod-3"]) == (service, newest)


def test_functions_run_the_digest_of_their_code_and_of_versions_with_an_alias(
    answers: dict[str, Any], calls: Counter[str]
) -> None:
    registry("one")
    arn = function("api", "one")
    boto3.client("lambda").publish_version(FunctionName="api")
    weights = {"AdditionalVersionWeights": {"$LATEST": 0.1}}
    aliases = [{"FunctionVersion": "1", "RoutingConfig": weights}, {"FunctionVersion": "1"}]
    answers["list_aliases"] = {"Aliases": aliases}
    running = running_images(Aws())
    assert running.unread == {}
    assert {image.by for image in running.images} == {arn}
    assert calls["GetFunction"] == len(running.images) == 2
    assert all(image.image.startswith(f"{URI}@sha256:") for image in running.images)


def test_the_number_of_calls_is_bounded(calls: Counter[str]) -> None:
    registry("one")
    boto3.client("ecs").create_cluster(clusterName="apps")
    for number in range(12):
        serve(f"app-{number}", define(f"app-{number}", f"{URI}:prod-{number}"))
    for number in range(3):
        function(f"function-{number}", "one")
    steps: list[int] = []

    def count(items: Sequence[Any]) -> Sequence[Any]:
        steps.append(len(items))
        return items

    running = running_images(Aws(), count)
    assert len(images(running)) == 13
    assert calls == {
        "GetCallerIdentity": 1,
        "ListClusters": 1,
        "ListServices": 1,
        "DescribeServices": 2,
        "ListTasks": 1,
        "ListTaskDefinitionFamilies": 1,
        "DescribeTaskDefinition": 12,
        "ListFunctions": 1,
        "ListAliases": 3,
        "GetFunction": 3,
    }
    assert steps == [12, 0, 3, 3]


class _Fails:
    """A client whose operations answer as they are told, or fail with a code."""

    def __init__(self, client: Any, answers: dict[str, Any]) -> None:
        self.client, self.answers = client, answers

    def __getattr__(self, name: str) -> Any:
        answer = self.answers.get(name)
        if answer is None:
            return getattr(self.client, name)

        def call(**_: Any) -> Any:
            if isinstance(answer, str):
                raise ClientError({"Error": {"Code": answer, "Message": "no"}}, name.title())
            return answer

        return call

    def get_paginator(self, name: str) -> Any:
        if name not in self.answers:
            return self.client.get_paginator(name)
        call = getattr(self, name)

        class Pages:
            def paginate(self, **_: Any) -> Iterator[Any]:
                yield call()

        return Pages()


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What operations answer in place of moto; a text is the code of an error."""
    answers: dict[str, Any] = {}
    make = Aws.client
    monkeypatch.setattr(Aws, "client", lambda aws, *of: _Fails(make(aws, *of), answers))
    return answers


def test_a_task_runs_the_digest_that_it_pulled(answers: dict[str, Any]) -> None:
    boto3.client("ecs").create_cluster(clusterName="apps")
    definition = define("admin", f"{URI}:prod-2")
    containers = [
        {"image": f"{URI}:prod-1", "imageDigest": DIGEST},
        {"image": f"{URI}@{DIGEST}", "imageDigest": f"sha256:{'2' * 64}"},
        {"image": "localhost:5000/app", "imageDigest": DIGEST},
        {"image": f"{URI}:starting"},
    ]
    task = {"taskArn": "task", "taskDefinitionArn": definition, "containers": containers}
    answers["list_tasks"] = {"taskArns": ["task"]}
    answers["describe_tasks"] = {"tasks": [task], "failures": []}
    assert images(running_images(Aws())) == {
        *(f"{URI}@{DIGEST}", f"localhost:5000/app@{DIGEST}"),
        *(f"{URI}:starting", f"{URI}:prod-2"),
    }


READ: dict[str, dict[str, Any]] = {
    "list_clusters": {"clusterArns": ["apps"]},
    "list_services": {"serviceArns": ["web"]},
    "describe_services": {
        "services": [{"serviceArn": "web", "taskDefinition": "web:1", "deployments": []}]
    },
    "list_tasks": {"taskArns": []},
    "list_task_definition_families": {"families": ["web"]},
    "describe_task_definition": {"taskDefinition": {"taskDefinitionArn": "web:1"}},
    "list_functions": {"Functions": [{"FunctionArn": "api", "PackageType": "Image"}]},
    "list_aliases": {"Aliases": []},
    "get_function": {"Code": {}},
}


@pytest.mark.parametrize("operation", READ)
def test_what_may_not_be_read_is_not_called_unused(answers: dict[str, Any], operation: str) -> None:
    answers |= READ | {operation: "AccessDeniedException"}
    [reason] = running_images(Aws()).unread.values()
    assert reason.startswith(f"account {ACCOUNT} in {REGION}: no permission for ")


def test_what_is_gone_meanwhile_runs_nothing(answers: dict[str, Any]) -> None:
    failures = [{"arn": "admin", "reason": "MISSING"}]
    answers |= READ | {"describe_services": {"services": [], "failures": failures}}
    answers["list_aliases"] = answers["get_function"] = "ResourceNotFoundException"
    assert running_images(Aws()).unread == {}
    failures[0]["reason"] = "ACCESS"
    assert list(running_images(Aws()).unread) == ["describe_services"]


def test_another_failure_is_raised(answers: dict[str, Any]) -> None:
    answers["list_clusters"] = "ServerException"
    with pytest.raises(ClientError, match="ServerException"):
        running_images(Aws())


def test_functions_without_an_image_are_left_out(answers: dict[str, Any]) -> None:
    answers["list_functions"] = {"Functions": [{"FunctionArn": "zip", "PackageType": "Zip"}]}
    assert running_images(Aws()).images == []
