"""The commands in one process with the tests: every exit status, and what is printed where."""

import json
import re
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session
from click.testing import CliRunner, Result

from container_images.aws import session
from container_images.aws.session import Aws
from container_images.cli import tags as cli
from container_images.cli.app import COMMANDS, app
from tests.builds import ACCOUNT, NAME, REGION, ECRClient, build, place, push, put_guard, sha, tag
from tests.events import PIPELINE

ARN = f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{NAME}"
URI = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{NAME}"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def done(*arguments: str) -> dict[str, Any]:
    """What a command printed, where it went well and printed nothing else."""
    result = run(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    printed: dict[str, Any] = json.loads(result.stdout)
    return printed


def refused(*arguments: str, status: int = 1) -> str:
    """Why a command did nothing: one line on standard error, and no other."""
    text, as_json = (run(*arguments, *mode) for mode in ((), ("--json",)))
    for result in (text, as_json):
        assert (result.exit_code, result.stdout) == (status, "")
    error = json.loads(as_json.stderr)
    assert error.keys() == {"error", "kind", "code"}
    kinds = {("usage", True)} if status == 2 else {("refused", True), ("aws", False)}
    assert (error["kind"], error["code"] is None) in kinds
    printed = "Usage: " if status == 2 else f"{error['error']}\n"
    assert text.stderr.startswith(printed)
    return str(error["error"])


def test_move_says_what_it_did(ecr: ECRClient) -> None:
    older, newer = build(ecr, "a", "latest"), build(ecr, "b")
    moved = done("move", NAME, newer, "--expect", older, "--reason", "released")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", moved.pop("time"))
    assert moved == {
        "repository": NAME,
        "tag": "latest",
        "from": {"digest": older, "tags": ["latest", tag("merged", "a")]},
        "to": {"digest": newer, "tags": ["latest", tag("merged", "b")]},
        "moved": True,
        "dryRun": False,
        "order": "convention",
        "caller": f"arn:aws:sts::{ACCOUNT}:user/moto",
        "reason": "released",
    }
    assert "--allow-older" in refused("move", NAME, older)
    assert done("move", NAME, older, "--allow-older")["to"]["digest"] == place(ecr, "latest")


def test_promote_says_the_tag_and_the_moves_in_their_order(ecr: ECRClient) -> None:
    digest = build(ecr, "a")
    staged = done("promote", NAME, digest, "--stage", "stg")
    assert staged == {"tag": staged["tag"], "digest": digest, "added": True, "moves": []}
    assert staged["tag"].startswith(f"stg-{sha('a')}-")
    arguments = ("promote", NAME, staged["tag"], "--stage", "prod", "--move", "stable", "--latest")
    moves = done(*arguments)["moves"]
    assert [(move["tag"], move["moved"]) for move in moves] == [("stable", True), ("latest", True)]
    assert moves[1].keys() == done("move", NAME, digest).keys()
    assert place(ecr, "stable") == place(ecr, "latest") == digest


def test_what_is_printed_of_a_dry_run_a_first_and_a_second_run(ecr: ECRClient) -> None:
    digest, unique_tag = build(ecr, "a"), tag("prod", "a")
    assert not done("promote", NAME, digest, "--as", unique_tag, "--dry-run")["added"]
    for options, added, moved in (
        (["--dry-run"], "would be added to", f"would move from no image to {digest}"),
        ([], "added to", f"moved from no image to {digest} ({unique_tag})"),
        ([], "was already on", f"is on {digest} ({unique_tag}) already"),
    ):
        arguments = ("promote", NAME, digest, "--as", unique_tag, "--latest", *options)
        first, second = run(*arguments).stdout.splitlines()
        assert first == f"{unique_tag} {added} {digest}"
        assert second.startswith(f"latest {moved}")
    note = run("promote", NAME, digest, "--as", "v1.0.0").stderr
    assert note.startswith("note: --as v1.0.0 does not follow the tag convention (pr-")
    assert "name it with --stack" in note
    # What ECR itself refuses is known when the first tag is put.
    newer, unique_tag = build(ecr, "b"), tag("prod", "b")
    ecr.put_image_tag_mutability(repositoryName=NAME, imageTagMutability="IMMUTABLE")
    result = run("promote", NAME, newer, "--as", unique_tag, "--latest")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"{unique_tag} put on {newer}, but latest of {NAME} is on ")
    assert place(ecr, unique_tag) == newer


def test_rollback_goes_by_what_is_given_or_by_the_tags_where_cloudtrail_may_not_be_read(
    ecr: ECRClient, answers: dict[Any, Any]
) -> None:
    older = build(ecr, "a", tag("prod", "a"))
    build(ecr, "b", tag("prod", "b"), "latest")
    would = done("rollback", NAME, "--to", older, "--dry-run")
    assert (would["basis"], would["moved"], would["dryRun"]) == ("given", False, True)
    assert "no image nothing" in refused("rollback", NAME, "--to", "nothing")
    answers["LookupEvents"] = "AccessDeniedException"
    result = run("rollback", NAME)
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "basis: tags")
    assert "note: the unique tags decided: no permission for Look" in result.stderr
    assert place(ecr, "latest") == older
    # Where it is in another account, the caller's CloudTrail is not asked.
    arn = f"arn:aws:ecr:{REGION}:111122223333:repository/{NAME}"
    assert "RepositoryNotFoundException" in refused("rollback", arn)
    assert "has no events of account 111122223333" in refused("history", arn)


def test_resolve_says_the_image_and_its_build(
    ecr: ECRClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = build(ecr, "a", "latest", "next", tag("prod", "a", 1))
    assert done("resolve", NAME)["repositories"] == [
        {
            "reference": f"{URI}@{digest}",
            "digest": digest,
            "tag": "latest",
            "uniqueTag": tag("prod", "a", 1),
            "commit": sha("a"),
            "builtAt": "2026-03-01T16:00:00Z",
            "tags": sorted(["latest", "next", tag("merged", "a"), tag("prod", "a", 1)]),
        }
    ]
    # A URI or an ARN needs no Region in the environment.
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{NAME}"
    for repository, name in ((arn, "latest"), (f"{URI}:next", "next"), (f"{URI}@{digest}", None)):
        assert run("resolve", repository).stdout == f"{URI}@{digest}\n"
        assert done("resolve", repository)["repositories"][0]["tag"] == name


def test_resolve_gives_the_reference_of_an_image_of_unknown_build(ecr: ECRClient) -> None:
    digest = push(ecr, '{"mediaType": "x"}', "latest", "v1")
    build(ecr, "a", "next", tag("prod", "b"))
    for name, why in (("latest", "image has latest, v1, and"), ("next", "image's tags dis")):
        result = run("resolve", f"{NAME}:{name}", "--json")
        [resolved] = json.loads(result.stdout)["repositories"]
        assert [resolved[key] for key in ("commit", "uniqueTag", "builtAt")] == [None, None, None]
        [note] = result.stderr.splitlines()
        unknown = f"note: commit, unique tag and build time of {name} are unknown: the {why}"
        assert note.startswith(unknown)
    assert run("resolve", NAME).stdout == f"{URI}@{digest}\n"


def test_a_repository_that_is_not_there_is_named_with_account_and_region(ecr: ECRClient) -> None:
    error = refused("resolve", "other")
    assert error.startswith("DescribeImages failed (RepositoryNotFoundException: ")
    assert f"'other' does not exist in the registry with id '{ACCOUNT}' in {REGION})" in error
    assert "check the name and the Region" in error
    build(ecr, "a")
    assert "there is no image latest" in refused("resolve", NAME)


def test_the_guard_that_refuses_is_named_with_the_roles_that_it_exempts(
    ecr: ECRClient, answers: dict[Any, Any]
) -> None:
    why = "with an explicit deny in a resource-based policy"

    def denied(_: object) -> None:
        error = {"Error": {"Code": "AccessDeniedException", "Message": f"no permission {why}"}}
        raise ClientError(error, "PutImage")  # type: ignore[arg-type]

    put_guard(ecr, PIPELINE)
    build(ecr, "a", "latest")
    newer = build(ecr, "b")
    answers["PutImage"] = denied
    assert refused("move", NAME, newer).endswith(f"run as a role that it exempts ({PIPELINE})")
    why = "because no identity-based policy allows it"
    assert refused("move", NAME, newer).endswith("run as a role that has it")
    why = "with an explicit deny in a resource-based policy"
    ecr.delete_repository_policy(repositoryName=NAME)
    assert refused("move", NAME, newer).endswith("run as a role that it exempts")


def test_a_silent_endpoint_is_given_up_after_three_attempts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "READ_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setattr("time.sleep", lambda _: None)
        assert "Read timeout on endpoint URL" in refused("resolve", NAME, "other")
        server.settimeout(0)
        connections = 0
        with suppress(BlockingIOError):
            while True:
                server.accept()[0].close()
                connections += 1
    assert connections == 2 * 3  # `refused` runs the command twice


@pytest.mark.parametrize("command", ["resolve", "history"])  # history asks STS, which answers XML
def test_a_web_page_is_no_answer_of_aws(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    def answer(_: object, request: AWSPreparedRequest) -> AWSResponse:
        page = SimpleNamespace(stream=lambda *_, **__: [b"<html>Sign in</html>"])
        return AWSResponse(request.url, 200, HTTPHeaders(), page)

    monkeypatch.setattr(URLLib3Session, "send", answer)
    assert "the answer is not from AWS, maybe from a proxy" in refused(command, NAME)


NO_KEYS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
TOKEN = {"AWS_WEB_IDENTITY_TOKEN_FILE": "/no/token", "AWS_ROLE_ARN": PIPELINE} | NO_KEYS
MFA = """role_arn = x\nmfa_serial = y\nsource_profile = z
[profile z]\naws_access_key_id = a\naws_secret_access_key = b"""


@pytest.mark.parametrize(
    ("variables", "config", "error"),
    [
        (TOKEN, "", "/no/token"),
        (NO_KEYS, "credential_process = /no/such/tool", "/no/such/tool"),
        (NO_KEYS, MFA, "no MFA code"),
        (NO_KEYS, "]garbage[", "correct AWS_PROFILE, or AWS's configuration"),
        (NO_KEYS, "", "Unable to locate credentials; sign in to AWS"),
        ({"AWS_PROFILE": "nobody"}, "", "correct AWS_PROFILE"),
        ({"AWS_MAX_ATTEMPTS": "many"}, "", "'many'"),
        ({"AWS_DEFAULT_REGION": "eu west"}, "", "supported format; set AWS_DEFAULT_REGION"),
        ({"AWS_DEFAULT_REGION": ""}, "", "set AWS_DEFAULT_REGION, or give the repository as"),
    ],
)
def test_an_environment_that_is_of_no_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: Any, config: str, error: str
) -> None:
    for name, value in {**variables, "AWS_CONFIG_FILE": str(tmp_path / "config")}.items():
        monkeypatch.setenv(name, value)
        if not value:
            monkeypatch.delenv(name)
    (tmp_path / "config").write_text(f"[default]\n{config}\n" if config else "")

    def nobody(*_: object) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.fallback_getpass", nobody)
    assert error in refused("resolve", NAME)


def test_the_session_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert (Aws().region, Aws("eu-west-1").region) == (REGION, "eu-west-1")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert Aws().region == "us-east-1"


def test_a_package_of_an_extra_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'moto'")

    monkeypatch.setattr(cli, "resolve", fail)
    fix = "run pip install 'container-images[rehearse,policy-pack]'"
    assert refused("resolve", NAME) == f"No module named 'moto'; {fix}"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["resolve", "Forms:latest"], "is not a repository"),
        (["move", f"{NAME}:a", "b"], "names an image: leave a out"),
        (["history", NAME, "--since", "\x9b2K"], r"--since \x9b2K is not in the 90 days"),
        (["history", NAME, f"{ARN}-2"], f"several Regions ({REGION}, us-east-1)"),
        (["move", NAME, "sha256:0"], "is a malformed digest"),
        (["move", NAME, "latest", "--tag", "-x"], "is not a tag"),
        (["move", NAME, "latest", "--tag", tag("prod", "a")], "is a unique tag, which stays"),
        (["rollback", NAME, "--tag", tag("prod", "a")], "is a unique tag, which stays"),
        (["move", NAME, "a", "--expect", "latest"], "--expect latest names the tag that moves"),
        (["promote", NAME, "latest"], "give either --stage or --as"),
        (["promote", NAME, "latest", "--stage", "canary"], "not one of pr, dev, merged, stg, prod"),
        (["promote", NAME, "v1", "--as", "latest"], "--as latest is a movable tag"),
        (["promote", NAME, "v1", "--as", "x", "--move", "x"], "--as x is a movable tag"),
        (["resolve"], "give REPOSITORY, or --stack"),
        (["move", NAME, "a", "--stack", "x", "--convention", "y"], "cannot be used with --stack"),
        (["mov"], "Did you mean 'move'?"),
        (["--nothing"], "--nothing"),
    ],
)
def test_wrong_usage_is_another_status(arguments: list[str], error: str) -> None:
    assert error in refused(*arguments, status=2)


def test_help_says_what_each_command_is_for_and_takes() -> None:
    assert "\n\n  Move, promote," in run().stderr
    listed = run("--help").stdout.partition("Commands:")[2].splitlines()[1:]
    assert [line for line in listed if "..." in line] == []
    names = [line.split()[0] for line in listed if line.startswith("  ") and line[2] != " "]
    assert names == sorted(COMMANDS)
    for command in names:
        result = run(command, "--help")
        assert (result.exit_code, "--json" in result.stdout) == (0, True)
        assert "<" not in result.stdout  # no type beside a metavar
        assert max(map(len, result.stdout.splitlines())) <= 80


INTERRUPT = """
import os, runpy, signal, sys

signal.signal(signal.SIGINT, signal.{before})  # as a shell starts it
os.isatty = lambda _: {terminal}

class Interrupt:
    def find_spec(self, name, *_):
        if name == "{module}":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv = ["container-images", "resolve", "forms", "{option}"]
runpy.run_module("container_images", run_name="__main__")
"""
SHELL = {"before": "default_int_handler", "terminal": False, "module": "click", "option": "--stack"}
LINE = "interrupted\n"
OBJECT = '{"error": "interrupted", "kind": "interrupted", "code": null}\n'


@pytest.mark.parametrize(
    ("changes", "status", "printed"),
    [
        ({}, 130, LINE),  # as the loading of the first module begins
        ({"module": "botocore.session", "option": "--json"}, 130, OBJECT),  # within a command
        # The progress bar gives way, and the cursor is back.
        ({"terminal": True}, 130, f"\r\x1b[K\x1b[?25h{LINE}"),
        ({"before": "SIG_IGN"}, 2, "Error: Option"),  # a job in the background goes on
    ],
)
def test_an_interrupt_is_one_line_or_object_however_early_it_comes(
    changes: dict[str, object], status: int, printed: str
) -> None:
    program = INTERRUPT.format(**SHELL | changes)
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, timeout=60
    )
    assert (result.returncode, result.stdout) == (status, b"")
    assert result.stderr.startswith(printed.encode())


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
    error = "the output cannot be read or written: No space left on device\n"
    assert (result.returncode, result.stderr) == (1, error)
