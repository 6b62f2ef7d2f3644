"""What ECS and Lambda run, and by how many calls that is read."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from math import ceil
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.backends import get_backend

from container_images.aws.in_use import InUse, add_running
from container_images.aws.session import Aws
from tests.builds import ACCOUNT, NAME, REGION, build

URI = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{NAME}"
DIGEST = f"sha256:{'1' * 64}"

pytestmark = pytest.mark.usefixtures("moto_listens")


def running(count: Callable[[Sequence[Any]], Any] = iter) -> InUse:
    in_use = InUse()
    add_running(in_use, Aws(), count)
    return in_use


FULL_SIZE = pytest.param(300, 500, marks=pytest.mark.full_size)


@pytest.mark.parametrize(("services", "functions"), [(12, 3), FULL_SIZE])
@mock_aws
def test_what_services_families_and_functions_run_by_few_calls(
    monkeypatch: pytest.MonkeyPatch, services: int, functions: int
) -> None:
    """Each family has two revisions; every other service runs the older one."""
    ecs, account = get_backend("ecs")[ACCOUNT][REGION], get_backend("lambda")[ACCOUNT][REGION]
    ecs.create_cluster("apps")
    for number in range(services):
        for revision in ("old", "new"):
            images = (f"{URI}:{revision}-{number}", "public.ecr.aws/xray:1", "nginx")
            containers = [{"name": image[:3], "image": image, "memory": 9} for image in images]
            ecs.register_task_definition(f"app-{number}", containers)
        definition = f"app-{number}:{1 + number % 2}"
        ecs.create_service("apps", f"app-{number}", 1, task_definition_str=definition)
    ecr = boto3.client("ecr")
    ecr.create_repository(repositoryName=NAME)
    build(ecr, "a", "one")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = boto3.client("iam").create_role(RoleName="function", AssumeRolePolicyDocument=trust)
    code = {"Role": role["Role"]["Arn"], "PackageType": "Image", "Code": {"ImageUri": f"{URI}:one"}}
    for number in range(functions):
        account.create_function({"FunctionName": f"function-{number}", "Timeout": 3} | code)
    calls, steps = Counter[str](), list[int]()
    make = Aws.client

    def counting(*arguments: Any) -> Any:
        client = make(*arguments)
        client.meta.events.register("before-call", lambda model, **_: calls.update([model.name]))
        return client

    def count(items: Sequence[Any]) -> Sequence[Any]:
        steps.append(len(items))
        return items

    monkeypatch.setattr(Aws, "client", counting)
    in_use = running(count)
    assert in_use.unknown == {}
    by = {
        image: user.rpartition("/")[2] for image, users in in_use.images.items() for user in users
    }
    assert len(by) == services + services // 2 + 1
    assert (by[f"{URI}:old-0"], by[f"{URI}:new-0"]) == ("app-0", "app-0:2")
    assert by[f"{URI}:new-1"] == "app-1"
    [users] = [users for image, users in in_use.images.items() if f"{URI}@sha256:" in image]
    assert len(users) == functions
    lists = ("ListClusters", "ListServices", "ListTasks", "ListTaskDefinitionFamilies")
    assert calls == {
        **dict.fromkeys(("GetCallerIdentity", *lists, "ListFunctions"), 1),  # moto has one page
        "DescribeServices": ceil(services / 10),
        "DescribeTaskDefinition": services + services // 2,
        **dict.fromkeys(("ListAliases", "GetFunction"), functions),
    }
    assert steps == [services, services // 2, functions]


SERVICE = {"serviceArn": "web", "taskDefinition": "web:1", "deployments": []}
FUNCTION = {"FunctionArn": "api", "PackageType": "Image"}
ANSWERS: dict[str, dict[str, Any]] = {
    "ListClusters": {"clusterArns": ["apps"]},
    "ListServices": {"serviceArns": ["web"]},
    "DescribeServices": {"services": [SERVICE]},
    "ListTasks": {"taskArns": ["task"]},
    "DescribeTasks": {"tasks": []},
    "ListTaskDefinitionFamilies": {"families": ["web"]},
    "DescribeTaskDefinition": {"taskDefinition": {"taskDefinitionArn": "web:1"}},
    "ListFunctions": {"Functions": [FUNCTION, {"FunctionArn": "zip", "PackageType": "Zip"}]},
    "ListAliases": {"Aliases": []},
    "GetFunction": {"Code": {}},
}


@pytest.fixture
def canned(answers: dict[Any, Any], monkeypatch: pytest.MonkeyPatch) -> dict[Any, Any]:
    answers |= ANSWERS
    monkeypatch.setattr(Aws, "caller", (ACCOUNT, ""))
    return answers


def test_functions_run_the_digest_of_their_code_and_of_versions_with_an_alias(
    canned: dict[Any, Any],
) -> None:
    weights = {"AdditionalVersionWeights": {"2": 0.1}}
    aliases = [{"FunctionVersion": "1", "RoutingConfig": weights}, {"FunctionVersion": "1"}]
    canned["ListAliases"] = {"Aliases": aliases}

    def code(request: dict[str, Any]) -> dict[str, Any]:
        resolved = f"{URI}:version-{request['Qualifier'].strip('$')}"
        return {"Code": {"ImageUri": f"{URI}:one", "ResolvedImageUri": resolved}}

    canned["GetFunction"] = code
    assert {*running().images} == {f"{URI}:version-{name}" for name in ("LATEST", "1", "2")}


def test_a_task_runs_what_it_pulled_and_task_definitions_are_read_wherever_they_are_named(
    canned: dict[Any, Any],
) -> None:
    parts = {
        "deployments": [{"taskDefinition": "web:2"}],
        "taskSets": [{"taskDefinition": "web:3"}],
    }
    canned["DescribeServices"] = {"services": [{"serviceArn": "web"} | parts]}
    containers = [
        {"image": f"{URI}:prod-1", "imageDigest": DIGEST},
        {"image": f"{URI}@{DIGEST}", "imageDigest": f"sha256:{'2' * 64}"},
        {"image": "localhost:5000/app", "imageDigest": DIGEST},
        {"image": f"{URI}:starting"},
        {},
    ]
    task = {"taskArn": "task", "taskDefinitionArn": "web:4", "containers": containers}
    canned["DescribeTasks"] = {"tasks": [task]}
    read: list[Any] = []
    in_use = running(lambda names: read.extend(names) or names)  # type: ignore[func-returns-value]
    own = (f"{URI}:prod-1@{DIGEST}", f"{URI}@{DIGEST}", f"{URI}:starting")
    assert in_use.images == {image: {"task"} for image in own}
    assert read == ["web", "web:2", "web:3", "web:4", "api"]


@pytest.mark.parametrize("operation", ANSWERS)
def test_what_may_not_be_read_is_not_called_unused(canned: dict[Any, Any], operation: str) -> None:
    canned[operation] = "AccessDeniedException"
    [reason] = running().unknown.values()
    assert reason.startswith(f"account {ACCOUNT} in {REGION}: no permission for ")
    canned[operation] = "ServerException"
    with pytest.raises(ClientError, match="ServerException"):
        running()


def test_what_is_gone_meanwhile_runs_nothing(canned: dict[Any, Any]) -> None:
    failures = [{"arn": "admin", "reason": "MISSING"}]
    canned["DescribeServices"] = {"services": [], "failures": failures}
    canned["ListAliases"] = canned["GetFunction"] = "ResourceNotFoundException"
    assert running() == InUse()
    failures[0]["reason"] = "ACCESS"
    assert [*running().unknown] == [f"describe_services in account {ACCOUNT} in {REGION}"]
