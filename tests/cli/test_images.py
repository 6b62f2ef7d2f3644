"""Which images there are, and what a lifecycle policy does with each: the command `images`."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from container_images.aws.in_use import InUse
from container_images.aws.session import Aws
from container_images.cli import images as command
from tests.builds import (
    ACCOUNT,
    NAME,
    OCI_INDEX,
    REGION,
    ECRClient,
    build,
    push,
    put_lifecycle,
    tag,
)
from tests.cli.test_cli import refused, run
from tests.cli.test_terminal import Terminal
from tests.conftest import FIXTURES
from tests.lifecycle.documents import (
    ANY,
    INDEX,
    LATEST,
    NOW,
    UNTAGGED,
    count,
    days_ago,
    older,
    policy,
    tagged,
)

MERGED = tagged("merged-*") | count(1)
DOCUMENT = policy(LATEST, MERGED, UNTAGGED | older(7))
RELEASED, BUILD = [tag("merged", "a"), tag("prod", "a", 3), "latest"], tag("merged", "b")
ARN = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{NAME}"


def detail(digest: str, days: float, *tags: str, **more: Any) -> dict[str, Any]:
    named = {"repositoryName": NAME, "imageDigest": digest, "imageTags": list(tags)}
    return {**named, "imagePushedAt": days_ago(days), **more}


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., list[str]]:
    """The arguments for a policy, images, and what is in use."""

    def written(document: Any, *details: dict[str, Any], used: str = "", **more: Any) -> list[str]:
        contents = {
            "--policy": json.dumps(document),
            "--from": json.dumps({"imageDetails": details, **more}, default=str),
            "--in-use": used,
        }
        arguments = []
        for option, content in contents.items():
            if content:
                (tmp_path / option).write_text(content)
                arguments += [option, str(tmp_path / option)]
        return arguments

    return written


def only(*arguments: str, status: int = 0) -> dict[str, Any]:
    """The object of the only repository."""
    result = run("images", *arguments, "--json")
    assert result.exit_code == status, result.stderr
    [repository] = json.loads(result.stdout)["repositories"]
    return dict(repository)


def actions(listing: dict[str, Any]) -> dict[str, str]:
    return {image["digest"]: image["action"] for image in listing["images"]}


def kinds(listing: dict[str, Any]) -> list[str]:
    return [warning["warning"] for warning in listing["warnings"]]


# --- From files -----------------------------------------------------------------------------------


def test_the_images_in_json(files: Callable[..., list[str]]) -> None:
    released = {"imageManifestMediaType": INDEX, "imageSizeInBytes": 5_000_000}
    arguments = files(
        DOCUMENT,
        detail("sha256:lost", 30),
        detail("sha256:index", 40, *RELEASED, **released),
        detail("sha256:new", 1, BUILD, imageSizeInBytes=7_000_000, lastRecordedPullTime=NOW),
        detail("sha256:old", 41, tag("merged", "0"), imageSizeInBytes=1_000_000),
    )
    listing = only(*arguments, "--now", NOW.isoformat())
    newest, lost, *_ = listing["images"]
    assert newest == {
        "digest": "sha256:new",
        "tags": [BUILD],
        "subject": None,
        "builtAt": "2026-03-02T16:00:00Z",
        "pushedAt": "2026-05-31T12:00:00Z",
        "lastPulledAt": "2026-06-01T12:00:00Z",
        "size": 7_000_000,
        "action": "keep",
        "rule": None,
        "shieldedBy": 2,
        "why": "rule 2 (tags merged-*)",
    }
    assert lost["builtAt"] is lost["lastPulledAt"] is None
    keys = ("digest", "action", "rule", "why")
    assert [tuple(image[key] for key in keys) for image in listing["images"][1:]] == [
        ("sha256:lost", "expire", 3, "rule 3 (untagged images)"),
        ("sha256:index", "keep", None, "rule 1 (tags latest)"),
        ("sha256:old", "expire", 2, "rule 2 (tags merged-*)"),
    ]
    warning, unknown = listing["warnings"]
    assert warning.pop("text").startswith("rule 2 (tags merged-*) would expire the image that lat")
    kind = "kept-by-movable-tag-alone"
    assert warning == {"warning": kind, "rule": 2, "digests": ["sha256:index"]}
    assert unknown["warning"] == "children-unknown"
    assert listing["repository"] == NAME
    assert listing["totals"] == {
        "images": 4,
        "keep": 2,
        "expire": 2,
        "archive": 0,
        "attachments": {"keep": 0, "expire": 0, "archive": 0},
        "bytes": 8_000_000,
        "bytesFreed": 1_000_000,
        "bytesArchived": 0,
    }
    expiring = only(*arguments, "--now", NOW.isoformat(), "--expiring")
    assert actions(expiring) == {"sha256:lost": "expire", "sha256:old": "expire"}
    assert expiring["totals"] == listing["totals"]


KEEP_ONE = policy(LATEST, MERGED)
OLDER = detail("sha256:a", 2, tag("merged", "a"), "stable")
NEWER = detail("sha256:b", 1, tag("merged", "b"))


def test_files_say_the_same_as_the_registry(
    ecr: ECRClient, files: Callable[..., list[str]]
) -> None:
    build(ecr, "b")
    build(ecr, "a", "latest")
    put_lifecycle(ecr, DOCUMENT)
    details = ecr.describe_images(repositoryName=NAME)["imageDetails"]
    assert only(*files(DOCUMENT, *details)) == only(NAME)


def test_the_time_to_simulate(files: Callable[..., list[str]]) -> None:
    arguments = files(policy(ANY | older(30)), OLDER, NEWER)
    for days, expired in ((20, 0), (29, 1), (40, 2)):
        now = (NOW + timedelta(days=days)).isoformat()
        assert only(*arguments, "--now", now)["totals"]["expire"] == expired


@pytest.mark.parametrize(
    ("document", "used", "options", "loss"),
    [
        (KEEP_ONE, f"{NAME}:stable", [], "in-use-going"),
        (policy(ANY | count(1)), "", ["--movable-tag", "stable"], "movable-tag-going"),
        (policy(ANY | count(1)), "", [], None),  # stable is not known to move
    ],
)
def test_a_loss_fails_where_it_is_asked_to(
    files: Callable[..., list[str]], document: Any, used: str, options: list[str], loss: str | None
) -> None:
    arguments = [*files(document, OLDER, NEWER, used=used), *options]
    listing = only(*arguments, "--fail-on-loss", status=1 if loss else 0)
    assert (kinds(listing)[0] == loss) is (loss is not None)
    assert run("images", *arguments).exit_code == 0


def test_a_release_that_would_lose_its_signature(files: Callable[..., list[str]]) -> None:
    release = f"sha256:{'1' * 64}"
    details = [
        detail(release, 9, "prod-1"),
        detail("sha256:sig", 9, f"{release.replace(':', '-')}.sig"),
        detail("sha256:att", 8, subjectManifestDigest=release),
        detail("sha256:new", 1, "pr-1"),
    ]
    arguments = files(policy(LATEST, tagged("prod-*") | count(50), ANY | count(2)), *details)
    listing = only(*arguments, "--fail-on-loss", status=1)
    assert kinds(listing)[0] == "signature-going"
    assert listing["totals"]["attachments"] == {"keep": 1, "expire": 1, "archive": 0}
    totals, *lines = run("images", *arguments).stdout.splitlines()
    assert "1 of 2 signatures and attestations are not kept" in totals
    digests = [line.split()[0] for line in lines if line.startswith("sha256:")]
    assert digests == ["sha256:new", release, "sha256:att", "sha256:sig"]


OFFLINE = ["--policy", "p", "--from", "i"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([*OFFLINE, "--movable-tag", "a*"], "'a*' is not a tag"),
        (["--policy", "p"], "give REPOSITORY, or --stack"),
        (["--from", "i"], "--from needs --policy"),
        ([NAME, *OFFLINE], "leave REPOSITORY and --stack out"),
        ([NAME, "--planned"], "--planned needs --stack"),
        ([NAME, "--profile", "a"], "--profile goes with --in-use live"),
        ([*OFFLINE, "--in-use", "live"], "--from is without"),
        ([NAME, "--now", "2026-01-01T00:00:00Z"], "go with --from"),
        ([NAME, "--repository-arn", ARN], "go with --from"),
        ([*OFFLINE, "--now", "2026-01-01"], "2026-01-01 needs an offset from UTC, such as"),
        ([*OFFLINE, "--repository-arn", "?"], "'?' is not a repository"),
    ],
)
def test_wrong_combinations_are_wrong_usage(
    arguments: list[str], error: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p").write_text(json.dumps(KEEP_ONE))
    assert error in refused("images", *arguments, status=2)


def test_a_file_that_cannot_be_used_is_refused(files: Callable[..., list[str]]) -> None:
    arguments = files(policy({"tagStatus": "tagged"}, {}), OLDER)
    error = refused("images", *arguments)
    assert error.startswith(f"{arguments[1]}: rules[0]")
    assert " | rules[1]" in error
    error = refused("images", *files(KEEP_ONE, OLDER, NextToken="eyJuZXh0"))
    assert 'NextToken = "eyJuZXh0": the listing is not whole' in error
    error = refused("images", *files(KEEP_ONE, OLDER), "--repository-arn", ARN.replace("f", "g"))
    assert "these are not the images of one repository" in error


@pytest.mark.parametrize("width", [80, 140])
def test_a_terminal_has_short_lines(
    files: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """Digests are brief, reasons are folded, and columns that do not fit are left out."""
    tags = ("latest", tag("merged", "a"), "release-candidate-of-may")
    arguments = files(DOCUMENT, detail(f"sha256:{'1' * 64}", 0, *tags))
    out = Terminal()
    monkeypatch.setenv("COLUMNS", str(width))
    with monkeypatch.context() as terminal:
        terminal.setattr(sys, "stdout", out)
        command.images_command.main(arguments, standalone_mode=False)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines()
    [first] = [line for line in lines if line.startswith("sha256:11111111  latest ")]
    assert max(map(len, lines)) <= width
    assert "2026-06-01" in first
    assert ("built" in " ".join(lines)) is (width == 140)
    for whole in (f"merged-{'a' * 8}-{tag('merged', 'a')[-10:]}", tags[2]):
        assert whole in " ".join(lines)


# --- Live -----------------------------------------------------------------------------------------


def test_without_a_policy_or_the_permission_to_read_it(answers: dict[Any, Any]) -> None:
    answers["GetLifecyclePolicy"] = "LifecyclePolicyNotFoundException"
    answers["DescribeImages"] = {"imageDetails": [OLDER]}
    answers["DescribeRepositories"] = "AccessDeniedException"
    result = run("images", NAME, "--fail-on-loss")
    assert result.exit_code == 0
    assert result.stdout.rstrip().endswith("no rule matches it")
    assert "the movable tags are taken to be latest: no permission" in result.stderr
    answers["GetLifecyclePolicy"] = "AccessDeniedException"
    assert "no permission for GetLifecyclePolicy" in refused("images", NAME)


def test_a_staying_index_keeps_the_tagged_images_that_it_lists(ecr: ECRClient) -> None:
    for number in (1, 2):
        part = push(ecr, f'{{"n": "{number}"}}', f"1.{number}.0-arm64")
        index = json.dumps({"manifests": [{"digest": part}]})
        push(ecr, index, f"v1.{number}.0", media_type=OCI_INDEX)
    put_lifecycle(ecr, policy(tagged("v*") | count(50), tagged("1.*") | count(1)))
    listing = only(NAME, "--fail-on-loss")
    assert {*actions(listing).values()} == {"keep"}
    assert "children-unknown" not in kinds(listing)
    assert sum(image["why"].endswith("lists it") for image in listing["images"]) == 1


@pytest.mark.usefixtures("moto_listens")
def test_what_runs_and_would_go_by_the_planned_policy_is_a_loss(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before `pulumi up`: the stack's settings, AWS's images, and what ECS runs."""
    settings = (
        (FIXTURES / "Pulumi.prod.yaml").read_text().replace("keepNewest: 100", "keepNewest: 1")
    )
    (tmp_path / "Pulumi.prod.yaml").write_text(settings)
    shutil.copy(FIXTURES / "Pulumi.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "111122223333")
    arguments = (NAME, "--stack", "prod", "--planned", "--in-use", "live", "--fail-on-loss")
    with mock_aws():
        ecr, ecs = boto3.client("ecr"), boto3.client("ecs")
        ecr.create_repository(repositoryName=NAME)
        # Pushed within a second: then the image with the lower digest is the one that goes.
        going, released = build(ecr, "b"), build(ecr, "a", "latest")
        assert actions(only(*arguments)) == {going: "expire", released: "keep"}
        # By its tag, which the registry resolves.
        name = f"111122223333.dkr.ecr.{REGION}.amazonaws.com/{NAME}:{BUILD}"
        web = {"name": "web", "image": name, "memory": 100}
        ecs.register_task_definition(family="web", containerDefinitions=[web])
        [warning, *_] = only(*arguments, status=1)["warnings"]
    assert (warning["warning"], warning["digests"]) == ("in-use-going", [going])
    assert "/web:1, and rule 4 (tags merged-*) would expire it" in warning["text"]


def test_what_runs_in_the_accounts_of_profiles_and_in_files(
    ecr: ECRClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = "\n".join(
        f"[profile {name}]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n"
        f"aws_secret_access_key = x\nregion = us-east-1\n"
        for name in ("review", "again")
    )
    (tmp_path / "config").write_text(text)
    (tmp_path / "pods").write_text(f"docker-pullable://{NAME}@sha256:{'0' * 64}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    regions = []

    def running(in_use: InUse, aws: Aws, _: Any) -> None:
        regions.append(aws.region)
        in_use.images[NAME] = set()
        in_use.unknown["ListClusters"] = "no permission"

    monkeypatch.setattr(command, "add_running", running)
    build(ecr, "a")
    options = ("--in-use", str(tmp_path / "pods"), "--in-use", "live", "--fail-on-loss")
    listing = only(NAME, *options, "--profile", "review", "--profile", "again", status=1)
    assert regions == [REGION, "us-east-1", "us-east-1"]
    run("images", ARN, ARN.replace(REGION, "eu-west-1"), *options)
    assert regions[3:] == [REGION, "eu-west-1"]
    used = [kind for kind in kinds(listing) if "in-use" in kind]
    assert used == ["in-use-unknown", "in-use-missing", "in-use-missing"]
    error = refused("images", NAME, "--in-use", "live", "--profile", "no_such_profile")
    assert "no_such_profile" in error
