"""The commands in one process with the tests: every exit status, and what is printed where."""

import io
import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session
from click.testing import CliRunner, Result

from container_images.aws import session
from container_images.aws.session import ATTEMPTS, SILENT_ATTEMPTS, Aws
from container_images.cli import tags as cli
from container_images.cli.app import COMMANDS, app
from container_images.policies.document import to_json
from container_images.policies.repository_policy import repository_policy
from tests.builds import (
    ACCOUNT,
    NAME,
    REGION,
    Wire,
    build,
    place,
    push,
    sha,
    tag,
)
from tests.events import DIGESTS, PIPELINE, access, page, put

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

CALLER = f"arn:aws:sts::{ACCOUNT}:user/moto"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def done(*arguments: str) -> dict[str, Any]:
    """What a command printed, where it went well and printed nothing else."""
    result = run(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    printed: dict[str, Any] = json.loads(result.stdout)
    return printed


def one(*arguments: str) -> dict[str, Any]:
    """What a command that reads printed of its one repository."""
    [repository] = done(*arguments)["repositories"]
    assert isinstance(repository, dict)
    return repository


def refused(*arguments: str) -> str:
    """Why a command did nothing: one line on standard error, and no other."""
    text, as_json = (run(*arguments, *mode) for mode in ((), ("--json",)))
    for result in (text, as_json):
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.count("\n") == 1
    error = json.loads(as_json.stderr)
    assert error["kind"] in {"refused", "aws"}
    assert (error["kind"] == "refused") is (error["code"] is None)
    assert f"{error.pop('error')}\n" == text.stderr
    assert error.keys() == {"kind", "code"}
    return text.stderr


def image(digest: str, *tags: str) -> dict[str, Any]:
    return {"digest": digest, "tags": sorted(tags)}


# --- move -----------------------------------------------------------------------------------------


def test_move_tells_what_it_did(ecr: "ECRClient") -> None:
    older, newer = build(ecr, "a", "latest"), build(ecr, "b")
    moved = done("move", NAME, newer, "--expect", older, "--reason", "released")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", moved.pop("time"))
    assert moved == {
        "repository": NAME,
        "tag": "latest",
        "from": image(older, "latest", tag("merged", "a")),
        "to": image(newer, "latest", tag("merged", "b")),
        "moved": True,
        "dryRun": False,
        "order": "convention",
        "caller": CALLER,
        "reason": "released",
    }
    assert done("move", NAME, newer)["moved"] is False


def test_move_in_words(ecr: "ECRClient") -> None:
    first, second = (f"{build(ecr, letter)} ({tag('merged', letter)})" for letter in "ab")
    older, newer = tag("merged", "a"), tag("merged", "b")
    assert run("move", NAME, older).stdout == f"latest moved from no image to {first}\n"
    would = run("move", NAME, newer, "--dry-run")
    assert would.stdout == f"latest would move from {first} to {second}\n"
    assert place(ecr, "latest") == place(ecr, older)
    assert run("move", NAME, newer).stdout == f"latest moved from {first} to {second}\n"
    assert run("move", NAME, newer).stdout == f"latest is on {second} already\n"


def test_move_refuses_and_says_why(ecr: "ECRClient") -> None:
    older, newer = build(ecr, "a"), build(ecr, "b", "latest")
    assert "--allow-older" in refused("move", NAME, older)
    assert "not on the expected" in refused("move", NAME, newer, "--tag", "next", "--expect", older)
    assert "no image nothing" in refused("move", NAME, "nothing")
    assert place(ecr, "latest") == newer
    assert done("move", NAME, older, "--allow-older")["moved"] is True


# --- promote --------------------------------------------------------------------------------------


def test_promote_tells_the_tag_and_the_moves_in_their_order(ecr: "ECRClient") -> None:
    digest = build(ecr, "a")
    staged = done("promote", NAME, digest, "--stage", "stg")
    assert staged == {"tag": staged["tag"], "digest": digest, "added": True, "moves": []}
    assert staged["tag"].startswith(f"stg-{sha('a')}-")
    arguments = ("promote", NAME, staged["tag"], "--stage", "prod", "--move", "stable", "--latest")
    would = done(*arguments, "--dry-run")
    assert would["added"] is False
    produced = done(*arguments, "--reason", "ok")
    again = done(*arguments)
    assert (again["tag"], again["added"]) == (produced["tag"], False)
    for promotion, moved in ((would, False), (produced, True), (again, False)):
        assert [(move["tag"], move["moved"]) for move in promotion["moves"]] == [
            ("stable", moved),
            ("latest", moved),
        ]
    latest = produced["moves"][1]
    assert (latest["from"], latest["to"]["digest"], latest["reason"]) == (None, digest, "ok")
    assert set(latest) == {
        *("repository", "tag", "from", "to", "moved", "dryRun", "order", "caller", "time", "reason")
    }
    assert place(ecr, "stable") == place(ecr, "latest") == digest


def test_promote_puts_a_tag_that_is_given(ecr: "ECRClient") -> None:
    older, newer = build(ecr, "a"), build(ecr, "b")
    unique_tag = tag("prod", "a")
    promotion = done("promote", NAME, older, "--as", unique_tag, "--move", "stable")
    assert (promotion["tag"], promotion["added"]) == (unique_tag, True)
    refusal = refused("promote", NAME, newer, "--as", unique_tag, "--move", "stable")
    assert f"{unique_tag} of" in refusal
    assert place(ecr, unique_tag) == place(ecr, "stable") == older


def test_a_unique_tag_that_the_convention_does_not_know_is_noted(ecr: "ECRClient") -> None:
    digest = build(ecr, "a")
    result = run("promote", NAME, digest, "--as", "v1.0.0")
    assert result.exit_code == 0
    assert result.stderr.startswith("note: --as v1.0.0 does not follow the tag convention (pr-")
    assert result.stderr.endswith("name it with --stack\n")
    assert run("promote", NAME, digest, "--as", tag("prod", "a")).stderr == ""


def test_an_image_gets_no_second_tag_of_a_stage(ecr: "ECRClient") -> None:
    digest = build(ecr, "a", tag("prod", "a"))
    other = tag("prod", "a", 1)
    assert f"has {tag('prod', 'a')} for the stage prod already" in refused(
        "promote", NAME, digest, "--as", other
    )
    assert done("promote", NAME, digest, "--as", tag("prod", "a"))["added"] is False
    assert done("promote", NAME, digest, "--stage", "prod")["tag"] == tag("prod", "a")


def test_promote_in_words(ecr: "ECRClient") -> None:
    digest = build(ecr, "a")
    arguments = ("promote", NAME, digest, "--stage", "prod", "--latest")
    for options, adding, moving in (
        (("--dry-run",), "would be added to", "latest would move from no image to "),
        ((), "added to", "latest moved from no image to "),
        ((), "was already on", "latest is on "),
    ):
        added, moved = run(*arguments, *options).stdout.splitlines()
        assert added.endswith(f" {adding} {digest}")
        assert moved.startswith(moving)


# --- rollback -------------------------------------------------------------------------------------


def test_rollback_goes_by_cloudtrail(ecr: "ECRClient", lookups: Callable[..., None]) -> None:
    older, newer = build(ecr, "a"), build(ecr, "b", "latest")

    def seen(hour: int, digest: str) -> dict[str, Any]:
        return put(hour, "a", responseElements={"image": {"imageId": {"imageDigest": digest}}})

    lookups(page(seen(2, newer), seen(1, older)))
    moved = done("rollback", NAME, "--reason", "broken")
    assert (moved["basis"], moved["moved"], moved["reason"]) == ("cloudtrail", True, "broken")
    assert (moved["from"]["digest"], moved["to"]["digest"]) == (newer, older)
    assert place(ecr, "latest") == older


def test_rollback_goes_by_the_tags_where_cloudtrail_may_not_be_read(
    ecr: "ECRClient", lookups: Callable[..., None]
) -> None:
    older = build(ecr, "a", tag("prod", "a"))
    build(ecr, "b", tag("prod", "b"), "latest")
    lookups("AccessDeniedException")
    result = run("rollback", NAME)
    assert result.exit_code == 0
    assert result.stdout.endswith("\nbasis: tags\n")
    assert "note: the unique tags decided: no permission for Look" in result.stderr
    assert place(ecr, "latest") == older


def test_rollback_in_another_account_does_not_ask_the_callers_cloudtrail(
    ecr: "ECRClient", lookups: Callable[..., None]
) -> None:
    build(ecr, "a", "latest")
    lookups()
    arn = f"arn:aws:ecr:{REGION}:111122223333:repository/{NAME}"
    assert "RepositoryNotFoundException" in refused("rollback", arn)
    assert "has no events of account 111122223333" in refused("history", arn)


def test_rollback_as_given(ecr: "ECRClient") -> None:
    older = build(ecr, "a")
    build(ecr, "b", "latest")
    would = done("rollback", NAME, "--to", older, "--dry-run")
    assert (would["basis"], would["moved"], would["dryRun"]) == ("given", False, True)
    assert done("rollback", NAME, "--to", older, "--tag", "latest")["moved"] is True
    assert place(ecr, "latest") == older
    assert "no image nothing" in refused("rollback", NAME, "--to", "nothing")


# --- resolve --------------------------------------------------------------------------------------


def test_resolve_tells_the_image_and_its_build(ecr: "ECRClient") -> None:
    digest = build(ecr, "a", "latest", tag("prod", "a", 1))
    reference = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{NAME}@{digest}"
    assert run("resolve", NAME).stdout == f"{reference}\n"
    assert one("resolve", NAME) == {
        "reference": reference,
        "digest": digest,
        "tag": "latest",
        "uniqueTag": tag("prod", "a", 1),
        "commit": sha("a"),
        "builtAt": "2026-03-01T16:00:00Z",
        "tags": sorted(["latest", tag("merged", "a"), tag("prod", "a", 1)]),
    }


def test_resolve_gives_the_reference_of_an_image_that_no_tag_tells_the_build_of(
    ecr: "ECRClient",
) -> None:
    digest = push(ecr, '{"mediaType": "x"}', "latest", "v1")
    result = run("resolve", NAME, "--json")
    [resolved] = json.loads(result.stdout)["repositories"]
    assert result.exit_code == 0
    assert resolved["reference"].endswith(f"@{digest}")
    assert [resolved[key] for key in ("commit", "uniqueTag", "builtAt")] == [None, None, None]
    assert result.stderr.startswith("note: commit, unique tag and build time of latest are unkn")
    assert result.stderr.count("\n") == 1
    torn = build(ecr, "a", "torn", tag("prod", "b"))
    result = run("resolve", f"{NAME}:torn")
    assert (result.exit_code, result.stdout.endswith(f"@{torn}\n")) == (0, True)
    assert "disagree on its commit" in result.stderr


def test_a_uri_or_an_arn_needs_no_region_in_the_environment(
    ecr: "ECRClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = build(ecr, "a", "latest")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    uri = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{NAME}"
    for repository in (uri, f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{NAME}"):
        assert run("resolve", repository).stdout == f"{uri}@{digest}\n"


def test_an_image_is_named_with_its_repository(ecr: "ECRClient") -> None:
    uri = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{NAME}"
    digest = build(ecr, "a", "latest", "next")
    for argument, name in ((f"{NAME}:next", "next"), (f"{uri}:next@{digest}", None)):
        resolved = one("resolve", argument)
        assert (resolved["reference"], resolved["tag"]) == (f"{uri}@{digest}", name), argument


def test_the_region_comes_from_aws_region_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert Aws().region == REGION
    assert Aws("eu-west-1").region == "eu-west-1"
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert Aws().region == "us-east-1"


def test_china_has_a_domain_of_its_own() -> None:
    assert Aws("cn-north-1").dns_suffix() == "amazonaws.com.cn"
    assert Aws("cn-north-1").repository_arn(NAME, ACCOUNT).startswith("arn:aws-cn:ecr:cn-north-1:")


def test_a_repository_that_is_not_there_is_told_with_account_and_region(ecr: "ECRClient") -> None:
    error = refused("resolve", "other")
    assert error.startswith("DescribeImages failed (RepositoryNotFound")
    assert f"'other' does not exist in the registry with id '{ACCOUNT}' in {REGION}" in error
    assert "check the name and the Region" in error
    build(ecr, "a")
    assert "there is no image latest" in refused("resolve", NAME)


def test_a_promotion_that_ecr_refuses_half_way_says_what_it_has_put(ecr: "ECRClient") -> None:
    build(ecr, "a", "latest")
    newer = build(ecr, "b")
    ecr.put_image_tag_mutability(repositoryName=NAME, imageTagMutability="IMMUTABLE")
    unique_tag = tag("prod", "b")
    result = run("promote", NAME, newer, "--as", unique_tag, "--latest")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"{unique_tag} put on {newer}, but latest of {NAME} stays on")
    assert place(ecr, unique_tag) == newer


# --- Faults of AWS and of its use -----------------------------------------------------------------


def test_the_guard_that_refuses_is_named_with_the_roles_that_it_exempts(
    ecr: "ECRClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    message = "User: x is not authorized: with an explicit deny in a resource-based policy"

    def denied(**_: object) -> None:
        raise ClientError(
            {"Error": {"Code": "AccessDeniedException", "Message": message}}, "PutImage"
        )

    policy = to_json(repository_policy(access(PIPELINE)))
    ecr.set_repository_policy(repositoryName=NAME, policyText=policy)
    build(ecr, "a", "latest")
    newer = build(ecr, "b")
    monkeypatch.setattr(ecr, "put_image", denied)
    monkeypatch.setattr(Aws, "ecr", lambda _: Wire(ecr))
    error = refused("move", NAME, newer)
    assert error.endswith(f"run as a role that it exempts ({PIPELINE})\n")
    ecr.delete_repository_policy(repositoryName=NAME)
    assert refused("move", NAME, newer).endswith("run as a role that it exempts\n")


def test_a_silent_endpoint_is_given_up_after_two_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "READ_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setattr("time.sleep", lambda _: None)
        assert "Read timeout on endpoint URL" in refused("resolve", NAME)
        server.settimeout(0)
        connections = 0
        with suppress(BlockingIOError):
            while True:
                connection, _ = server.accept()
                connection.close()
                connections += 1
    assert connections == 2 * SILENT_ATTEMPTS  # `refused` runs the command twice


NO_KEYS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
TOKEN = {"AWS_WEB_IDENTITY_TOKEN_FILE": "/no/token", "AWS_ROLE_ARN": PIPELINE} | NO_KEYS
MFA = """role_arn = x\nmfa_serial = y\nsource_profile = z
[profile z]\naws_access_key_id = a\naws_secret_access_key = b"""


@pytest.mark.parametrize(
    ("variables", "config", "error"),
    [
        (TOKEN, "", "/no/token"),
        (NO_KEYS, "credential_process = /no/such/tool", "/no/such/tool"),
        (NO_KEYS, "credential_process = false", "sign in to AWS again"),
        (NO_KEYS, MFA, "no MFA code"),
        (NO_KEYS, "]garbage[", "correct AWS's configuration"),
        (NO_KEYS, "", "Unable to locate credentials; sign in to AWS"),
        ({"AWS_PROFILE": "nobody"}, "", "correct AWS_PROFILE"),
        ({"AWS_ENDPOINT_URL": "garbage"}, "", "Invalid endpoint: garbage"),
        ({"AWS_MAX_ATTEMPTS": "many"}, "", "'many'"),
        ({"AWS_DEFAULT_REGION": "eu west"}, "", "correct AWS_DEFAULT_REGION"),
        ({"AWS_DEFAULT_REGION": ""}, "", "set AWS_DEFAULT_REGION, or give the repository as"),
    ],
)
def test_an_environment_that_is_of_no_use(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variables: dict[str, str],
    config: str,
    error: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
        if not value:
            monkeypatch.delenv(name)
    if config:
        (tmp_path / "config").write_text(f"[default]\n{config}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

    def nobody(*_: object) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.fallback_getpass", nobody)
    assert error in refused("resolve", NAME)


class Body(io.BytesIO):
    """The body of an answer, as urllib3 hands it out."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """A server that gives the same answer to every call, with status 200."""

    def start(body: bytes) -> None:
        def answer(_: object, request: AWSPreparedRequest) -> AWSResponse:
            return AWSResponse(request.url, 200, HTTPHeaders(), Body(body))

        monkeypatch.setattr(URLLib3Session, "send", answer)

    return start


NOT_AWS = "the answer is not from AWS; check the proxy, if there is one, and AWS_ENDPOINT_URL"


PAGE = b"<!DOCTYPE html>\n<html><body>Sign in</body></html>"


@pytest.mark.parametrize(
    ("command", "body"),
    [
        ("resolve", PAGE),
        ("history", PAGE),  # asks STS, which answers in XML, as this page happens to be
        ("history", b"<html><br>Sign in</html>"),  # and this is not
    ],
)
def test_an_answer_that_is_not_awss(
    stranger: Callable[[bytes], None], command: str, body: bytes
) -> None:
    stranger(body)
    assert refused(command, NAME) == f"{NOT_AWS}\n"


@pytest.mark.parametrize("module", ["moto", "pulumi.runtime"])
def test_a_package_of_an_extra_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(cli, "resolve", fail)
    assert refused("resolve", NAME) == (
        f"this command needs {module.partition('.')[0]}, which is not installed; run pip install "
        "'container-images[rehearse]'\n"
    )


def test_a_name_that_no_command_has_is_told_with_those_that_it_resembles() -> None:
    assert "Did you mean 'move'?" in run("mov").stderr


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["resolve", "Forms:latest"], "is not a repository"),
        (["resolve", "docker.io/app"], "is an image of docker.io"),
        (["resolve", DIGESTS["a"]], "is a digest and not a repository: give REPOSITORY@DIGEST"),
        (["resolve", f"{NAME}@sha256:0"], "is a malformed digest"),
        (["move", f"{NAME}:a", "b"], "names an image: leave a out"),
        (["move", NAME, "sha256:0"], "is a malformed digest"),
        (["history", f"{NAME}:a"], "names an image: leave a out"),
        (["move", NAME, "latest", "--tag", tag("prod", "a")], "is a unique tag, which stays"),
        (["rollback", NAME, "--tag", tag("prod", "a")], "is a unique tag, which stays"),
        (["move", NAME, "latest", "--tag", "-x"], "is not a tag"),
        (
            ["move", NAME, "latest", "--expect", "latest"],
            "--expect latest names the tag that moves",
        ),
        (["move", NAME, "latest", "--expect", "sha256:0"], "is a malformed digest"),
        (["rollback", NAME, "--to", "sha256:0"], "is a malformed digest"),
        (["promote", NAME, "latest"], "give either --stage or --as"),
        (["promote", NAME, "latest", "--stage", "prod", "--as", "v1"], "either --stage or --as"),
        (["promote", NAME, "latest", "--stage", "canary"], "not one of pr, dev, merged, stg, prod"),
        (["promote", NAME, "latest", "--as", "v1", "--move", "v1"], "v1 is a unique tag"),
        (
            ["promote", NAME, "latest", "--as", "v1", "--move", tag("prod", "a")],
            "is a unique tag, which stays",
        ),
        (["resolve"], "give REPOSITORY, or --stack"),
        (
            ["move", NAME, "a", "--stack", "prod", "--convention", "x.yaml"],
            "cannot be used with --stack",
        ),
        (["move", NAME], "SOURCE"),
        (["nothing"], "nothing"),
        (["--nothing"], "--nothing"),
    ],
)
def test_wrong_usage_is_another_status(arguments: list[str], error: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert error in result.stderr
    result = run(*arguments, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    printed = json.loads(result.stderr)
    assert error in printed.pop("error")
    assert printed == {"kind": "usage", "code": None}


def test_what_is_wrong_before_the_command_is_an_object_too() -> None:
    for arguments in (["nothing"], ["resolve", NAME], []):
        result = run("--json", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert json.loads(result.stderr) == {
            "error": "No such option '--json'.",
            "kind": "usage",
            "code": None,
        }
    assert run().stderr.startswith("Usage: ")


def test_help_says_what_a_command_is_for_and_takes() -> None:
    for command in ("move", "resolve", "history"):
        result = run(command, "--help")
        assert result.exit_code == 0
        assert "REPOSITORY" in result.stdout
        assert "--json" in result.stdout
        assert "<" not in result.stdout  # no type beside a metavar
        assert max(map(len, result.stdout.splitlines())) <= 80


def test_the_list_of_commands_says_of_each_in_full_what_it_does() -> None:
    listed = run("--help").stdout.partition("Commands:")[2].splitlines()[1:]
    assert [line for line in listed if "..." in line] == []
    names = [line.split()[0] for line in listed if line.startswith("  ") and line[2] != " "]
    assert names == [*COMMANDS]


def test_throttling_is_retried_adaptively_and_the_environment_says_how_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def retries() -> object:
        return Aws().ecr().meta.config.retries  # type: ignore[attr-defined]

    assert retries() == {"mode": "adaptive", "total_max_attempts": ATTEMPTS}
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    assert retries() == {"mode": "adaptive", "total_max_attempts": 2}
