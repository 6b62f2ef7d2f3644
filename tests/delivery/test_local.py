"""The local cloud, as far as it goes without the Pulumi CLI: the server, and all that is around."""

import inspect
import json
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import boto3
import pulumi_aws
import pytest
from click.testing import CliRunner
from moto.server import ThreadedMotoServer
from pydantic.alias_generators import to_snake

from container_images.cli.app import app
from container_images.rehearsal import local
from container_images.settings.stack_file import read
from tests.conftest import ROOT

LOCAL = read(ROOT, "local")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """moto's server, on some free port, as the environment's AWS."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    yield
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/moto-api/reset")  # what it holds belongs to the process
    assert connection.getresponse().status == 200
    connection.close()
    server.stop()


def run(*command: str) -> str:
    done = CliRunner().invoke(local.app, command)
    assert done.exit_code == 0, done.output
    return done.output


def registry(*command: str) -> Any:
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def resolved(reference: str) -> Any:
    [image] = registry("resolve", reference)["repositories"]
    return image


@pytest.mark.usefixtures("server")
def test_the_role_is_there_that_the_update_runs_as(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    run("prepare")
    [assumed] = LOCAL.of_provider("assumeRoles")
    sts = boto3.client("sts")
    session = sts.assume_role(RoleArn=assumed["roleArn"], RoleSessionName=assumed["sessionName"])
    assert session["AssumedRoleUser"]["Arn"].endswith(":assumed-role/registry-deploy/local")
    # What the provider asks for the program, which refuses to update as anybody else.
    role = boto3.client("iam").get_role(RoleName="registry-deploy")["Role"]
    assert role["Path"] == "/"
    assert assumed["roleArn"] in LOCAL.config["container-images:administratorRoles"]


@pytest.mark.usefixtures("server")
def test_latest_moves_as_in_the_makefile() -> None:
    filters = [{"filterType": "WILDCARD", "filter": "prod-*"}]
    boto3.client("ecr").create_repository(
        repositoryName="app",
        imageTagMutability="MUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=filters,  # type: ignore[arg-type]
    )
    run("push")
    first, second = local.BUILDS
    assert f"container_images move app {second}\n" in (ROOT / "Makefile").read_text()
    assert resolved("app")["uniqueTag"] == first
    moved = registry("move", "app", second)
    assert moved["moved"]
    assert resolved("app")["uniqueTag"] == second
    # moto drops an image with its last tag; this one has another.
    assert resolved(f"app:{first}")["digest"] == moved["from"]["digest"]


def test_nothing_is_done_without_a_server_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for endpoint in ("", "https://ecr.eu-west-2.amazonaws.com"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        done = CliRunner().invoke(local.app, ["push"])
        assert done.exit_code == 2
        assert "make local" in done.output


def test_a_server_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setattr(local, "SECONDS_TO_START", 0)
    done = CliRunner().invoke(local.app, ["prepare"])
    assert done.exit_code == 1
    assert ".local/moto.log says why" in done.output


@pytest.mark.usefixtures("server")
def test_a_server_that_was_there_before_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    run("prepare")
    done = CliRunner().invoke(local.app, ["prepare"])
    assert done.exit_code == 1
    assert "somebody else has the port; stop it" in done.output


def arguments(of: type) -> set[str]:
    return set(inspect.signature(of.__init__).parameters)  # type: ignore[misc]


def test_the_provider_has_each_setting() -> None:
    """A misspelt one would be ignored, and the update would go to AWS."""
    ours = [key.removeprefix("aws:") for key in LOCAL.config if key.startswith("aws:")]
    known = inspect.signature(pulumi_aws.Provider._internal_init).parameters
    assert {to_snake(it) for it in ours} <= set(known)
    assert "endpoint" not in known, "a misspelt one is told from a right one"
    [endpoints] = LOCAL.of_provider("endpoints")
    assert endpoints.keys() <= arguments(pulumi_aws.ProviderEndpointArgs)
    [role] = LOCAL.of_provider("assumeRoles")
    assert {to_snake(it) for it in role} <= arguments(pulumi_aws.ProviderAssumeRoleArgs)


def test_every_service_of_the_stack_is_the_servers() -> None:
    [endpoints] = LOCAL.of_provider("endpoints")
    makefile = (ROOT / "Makefile").read_text()
    assert endpoints.keys() == {"ecr", "iam", "sts"}
    assert f"AWS_ENDPOINT_URL := {endpoints['ecr']}\n" in makefile
    assert len(set(endpoints.values())) == 1
    assert f"--port {endpoints['ecr'].rpartition(':')[2]} " in makefile
