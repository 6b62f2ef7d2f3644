"""The local cloud, as far as it goes without the Pulumi CLI: the server, and all that is around."""

import inspect
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pulumi_aws
import pytest
from click.testing import CliRunner
from pydantic.alias_generators import to_snake

from container_images.cli.app import app
from container_images.rehearsal import local
from container_images.settings.stack_file import read
from tests.conftest import ROOT

LOCAL = read(ROOT, "local")


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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def at_port(monkeypatch: pytest.MonkeyPatch) -> int:
    """The environment of make local, with a port at which nobody listens."""
    port = free_port()
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    return port


@pytest.mark.usefixtures("at_port")
def test_the_server_starts_with_the_role_that_the_update_runs_as(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "container_images.rehearsal.local", "start", str(tmp_path)]
    subprocess.run(command, check=True)
    try:
        [assumed] = LOCAL.of_provider("assumeRoles")
        name = assumed["sessionName"]
        session = boto3.client("sts").assume_role(RoleArn=assumed["roleArn"], RoleSessionName=name)
        arn = session["AssumedRoleUser"]["Arn"]
        assert arn == "arn:aws:sts::111122223333:assumed-role/registry-deploy/local"
        # What the provider asks for the program, which refuses to update as anybody else.
        assert boto3.client("iam").get_role(RoleName="registry-deploy")["Role"]["Path"] == "/"
        assert assumed["roleArn"] in LOCAL.config["container-images:administratorRoles"]
    finally:
        os.kill(int((tmp_path / "moto.pid").read_text()), signal.SIGTERM)


def test_another_program_at_the_port_is_refused(
    at_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The update would go to it, whatever it is."""
    monkeypatch.setattr(local, "SECONDS_TO_END", 0)
    with socket.create_server(("127.0.0.1", at_port)):
        done = CliRunner().invoke(local.app, ["start", str(tmp_path)])
    assert done.exit_code == 1
    assert f"another program listens on port {at_port}; stop it" in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("at_port")
def test_a_server_that_ends_at_once_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    done = CliRunner().invoke(local.app, ["start", str(tmp_path)])
    assert done.exit_code == 1
    assert "moto's server does not answer" in done.output


@pytest.mark.usefixtures("moto_server")
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
