"""The commands as the pipeline runs them: against servers at an endpoint, in their own process."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.builds import ACCOUNT, NAME, REGION, build

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "container_images", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture(scope="module")
def moto_server() -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def ecr(moto_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator["ECRClient"]:
    """ECR at moto's server, where every process that a test starts finds it too."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    client = boto3.client("ecr")
    client.create_repository(repositoryName=NAME)
    yield client
    client.delete_repository(repositoryName=NAME, force=True)


def test_an_image_reference_is_all_that_resolve_prints(ecr: "ECRClient") -> None:
    digest = build(ecr, "a", "latest")
    found = process("resolve", NAME)
    uri = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{NAME}"
    assert (found.returncode, found.stdout, found.stderr) == (0, f"{uri}@{digest}\n", "")


def test_an_endpoint_that_nobody_is_at_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    result = process("resolve", NAME)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert "Could not connect to the endpoint URL" in result.stderr
    assert "check the network to AWS" in result.stderr


INTERRUPT = """
import runpy, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # as a shell starts it

class Interrupt:
    def find_spec(self, name, *_):
        if name == "{module}":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv = ["container-images", "resolve", "forms"]
runpy.run_module("container_images", run_name="__main__")
"""


@pytest.mark.parametrize("module", ["click", "container_images.cli.tags", "botocore.session"])
def test_an_interrupt_is_one_line_however_early_it_comes(module: str) -> None:
    """As the loading of the first module begins; of a later one; and within a command."""
    result = subprocess.run(
        [sys.executable, "-c", INTERRUPT.format(module=module)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "interrupted\n")


def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "container_images", "resolve", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    told = "the output cannot be written: No space left on device\n"
    assert (result.returncode, result.stderr) == (1, told)


def test_wrong_usage_is_told_on_standard_error() -> None:
    result = process("promote", NAME, "latest", "--stage", "canary", "--json")
    assert (result.returncode, result.stdout) == (2, "")
    assert "--stage canary is not one of pr, dev, merged, stg, prod" in result.stderr
    assert "Traceback" not in result.stderr
