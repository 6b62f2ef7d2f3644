"""The commands as the pipeline runs them: against servers at an endpoint, in their own process."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from click.testing import CliRunner, Result
from moto.server import ThreadedMotoServer

from container_images.aws import trail
from container_images.cli.app import app
from container_images.policies.document import to_json
from container_images.policies.repository_policy import repository_policy
from tests.aws.test_trail import access, page
from tests.builds import ACCOUNT, NAME, REGION, build, place, sha, tag
from tests.events import DIGESTS, PIPELINE, deletion, expiry, put

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient


def run(*arguments: str) -> Result:
    """A command in this process. What makes a process of it is asked of a few below."""
    return CliRunner().invoke(app, arguments)


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "container_images", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def done(*arguments: str) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    told: dict[str, Any] = json.loads(result.stdout)
    return told


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


class Lookups(BaseHTTPRequestHandler):
    """CloudTrail's LookupEvents, which moto does not have. Two of the four events come later."""

    answers: dict[tuple[str, str | None], dict[str, Any]] = {  # noqa: RUF012 never changed
        ("PutImage", None): page(put(8, "b"), put(7, "c", tag="prod"), more="second page"),
        ("PutImage", "second page"): page(put(1, "a")),
        ("BatchDeleteImage", None): page(
            deletion(9, [{"imageDigest": DIGESTS["b"]}], [{"imageDigest": DIGESTS["b"]}])
        ),
        ("PolicyExecutionEvent", None): page(expiry(4, "a", "latest")),
    }

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        [attribute] = request["LookupAttributes"]
        known = self.headers["X-Amz-Target"].endswith(".LookupEvents")
        key = (attribute["AttributeValue"], request.get("NextToken"))
        body = json.dumps(self.answers.get(key, page())).encode()
        self.send_response(200 if known and attribute["AttributeKey"] == "EventName" else 400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def cloudtrail(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(trail, "SECONDS_PER_LOOKUP", 0)
    server = HTTPServer(("127.0.0.1", 0), Lookups)
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDTRAIL", f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_build_goes_to_production_and_back(ecr: "ECRClient") -> None:
    first = build(ecr, "a", tag("prod", "a"), "latest")
    second = build(ecr, "b")

    staged = done("promote", NAME, tag("merged", "b"), "--stage", "stg")
    assert (staged["digest"], staged["added"], staged["moves"]) == (second, True, [])
    to_production = (NAME, staged["tag"], "--stage", "prod", "--latest")
    produced = done("promote", *to_production)
    assert produced["moves"][0]["moved"] is True
    assert place(ecr, "latest") == second

    [resolved] = done("resolve", f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{NAME}")["repositories"]
    assert resolved["uniqueTag"] == produced["tag"]
    assert resolved["commit"] == sha("b")

    back = run("rollback", NAME, "--json")
    assert back.exit_code == 0
    assert json.loads(back.stdout)["basis"] == "tags"
    assert "the unique tags decided" in back.stderr  # moto has no CloudTrail to look up
    assert place(ecr, "latest") == first

    forth = run("move", NAME, produced["tag"])
    assert (forth.exit_code, forth.stderr) == (0, "")
    assert forth.stdout.startswith(f"latest moved from {first} ")
    assert place(ecr, "latest") == second

    refused = run("move", NAME, first, "--json")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.count("\n") == 1
    assert place(ecr, "latest") == second


def test_an_image_reference_is_all_that_resolve_prints(ecr: "ECRClient") -> None:
    digest = build(ecr, "a", "latest")
    found = process("resolve", NAME)
    uri = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{NAME}"
    assert (found.returncode, found.stdout, found.stderr) == (0, f"{uri}@{digest}\n", "")


@pytest.mark.usefixtures("cloudtrail")
def test_history_and_rollback_read_cloudtrail(ecr: "ECRClient") -> None:
    policy = to_json(repository_policy(access(PIPELINE)))
    ecr.set_repository_policy(repositoryName=NAME, policyText=policy)
    [told] = done("history", NAME, "--tag", "latest")["repositories"]
    assert [(it["event"], it["from"], it["to"], it["expected"]) for it in told["events"]] == [
        ("BatchDeleteImage", DIGESTS["b"], None, False),
        ("PutImage", None, DIGESTS["b"], True),
        ("PolicyExecutionEvent", DIGESTS["a"], None, False),
        ("PutImage", None, DIGESTS["a"], True),
    ]

    build(ecr, "a", "latest")
    gone = run("rollback", NAME, "--dry-run")
    assert (gone.exit_code, gone.stdout) == (1, "")
    assert f"{DIGESTS['b']}, which latest of {NAME} would go back to, is gone" in gone.stderr


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
