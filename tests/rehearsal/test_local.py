"""The local cloud, as far as it goes without the Pulumi CLI: the server, and all that is around."""

import inspect
import socket
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pulumi_aws
import pytest
from pydantic.alias_generators import to_snake

from container_images.rehearsal import local
from container_images.stack.declared import declared
from tests.cli.test_cli import done
from tests.conftest import ROOT

LOCAL = declared("local", ROOT)


@pytest.fixture
def at_port(monkeypatch: pytest.MonkeyPatch) -> int:
    """The environment of make local, with a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    return port


@pytest.mark.usefixtures("at_port")
def test_the_server_starts_with_the_role_that_the_update_runs_as(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, servers = subprocess.Popen, list[subprocess.Popen[bytes]]()

    def started(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        servers.append(start(*args, **options))
        return servers[0]

    monkeypatch.setattr(subprocess, "Popen", started)
    local.main("start", str(tmp_path))
    try:
        [assumed] = LOCAL.values["aws:assumeRoles"]
        name = assumed["sessionName"]
        session = boto3.client("sts").assume_role(RoleArn=assumed["roleArn"], RoleSessionName=name)
        arn = session["AssumedRoleUser"]["Arn"]
        assert arn == "arn:aws:sts::111122223333:assumed-role/registry-deploy/local"
        # What the provider asks for the program, which refuses to update as anybody else.
        assert boto3.client("iam").get_role(RoleName="registry-deploy")["Role"]["Path"] == "/"
        assert assumed["roleArn"] in LOCAL.config["container-images:administratorRoles"]
    finally:
        [server] = servers  # which would outlive the command
        server.terminate()
        server.wait()
        assert (tmp_path / "moto.pid").read_text() == str(server.pid)


def test_another_program_at_the_port_is_refused(at_port: int, tmp_path: Path) -> None:
    """The update would go to it, whatever it is."""
    refused = pytest.raises(SystemExit, match=f"another program listens on port {at_port}; stop it")
    with socket.create_server(("127.0.0.1", at_port)), refused:
        local.main("start", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("moto_server")
def test_latest_moves_as_in_the_makefile() -> None:
    def resolved(reference: str) -> Any:
        return done("resolve", reference)["repositories"][0]

    boto3.client("ecr").create_repository(repositoryName="app")
    local.main("push")
    first, second = local.BUILDS
    assert f"container_images move app {second}\n" in (ROOT / "Makefile").read_text()
    assert resolved("app")["uniqueTag"] == first
    moved = done("move", "app", second)
    assert resolved("app")["uniqueTag"] == second
    # moto drops an image with its last tag; this one has another.
    assert resolved(f"app:{first}")["digest"] == moved["from"]["digest"]


def test_nothing_is_done_without_a_server_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://ecr.eu-west-2.amazonaws.com")
    with pytest.raises(SystemExit, match="use make local"):
        local.main("push")


def test_the_provider_has_each_setting_and_every_service_is_the_servers() -> None:
    """A misspelt one would be ignored, and the update would go to AWS."""

    def arguments(function: Any) -> set[str]:
        return set(inspect.signature(function).parameters)

    keys = {to_snake(key.removeprefix("aws:")) for key in LOCAL.config if key.startswith("aws:")}
    assert keys <= arguments(pulumi_aws.Provider._internal_init)
    [endpoints], [role] = LOCAL.values["aws:endpoints"], LOCAL.values["aws:assumeRoles"]
    assert endpoints.keys() <= arguments(pulumi_aws.ProviderEndpointArgs.__init__)
    assert {to_snake(key) for key in role} <= arguments(pulumi_aws.ProviderAssumeRoleArgs.__init__)
    assert endpoints.keys() == {"ecr", "iam", "sts"}
    [endpoint] = set(endpoints.values())
    assert f"AWS_ENDPOINT_URL := {endpoint}\n" in (ROOT / "Makefile").read_text()
