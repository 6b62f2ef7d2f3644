"""What is there, and what will become of it: the command `images`."""

import json
import re
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from container_images.aws.image import Image
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.aws.session import Aws
from container_images.cli import lifecycle_output as output
from container_images.lifecycle.document import rules_in
from container_images.lifecycle.report import Report
from container_images.lifecycle.simulation import simulate
from tests.builds import ACCOUNT, NAME, REGION, build, tag
from tests.cli.test_cli import refused, run
from tests.cli.test_terminal import Terminal
from tests.lifecycle.documents import INDEX, NOW, UNTAGGED, count, older, policy, tagged

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

DOCUMENT = policy(tagged("latest") | count(1), tagged("merged-*") | count(1), UNTAGGED | older(7))
RELEASED, MERGED = [tag("merged", "a"), tag("prod", "a", 3), "latest"], [tag("merged", "b")]


def detail(digest: str, days: int, *tags: str, **more: Any) -> dict[str, Any]:
    pushed = NOW - timedelta(days=days)
    return {"imageDigest": digest, "imagePushedAt": pushed, "imageTags": list(tags), **more}


DETAILS = [
    detail("sha256:part", 40),
    detail("sha256:lost", 30),
    detail("sha256:index", 40, *RELEASED, imageManifestMediaType=INDEX, imageSizeInBytes=5_000_000),
    detail("sha256:new", 1, *MERGED, imageSizeInBytes=7_000_000, lastRecordedPullTime=NOW),
    detail("sha256:old", 41, tag("merged", "0"), imageSizeInBytes=1_000_000),
]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """ECR with those images, and this lifecycle policy, or this error instead of it."""

    def stubbed(document: dict[str, Any] | str) -> None:
        client = boto3.client("ecr")
        stub = Stubber(client)
        if isinstance(document, str):
            stub.add_client_error("get_lifecycle_policy", document)
        else:
            text = json.dumps(document).ljust(100)
            stub.add_response("get_lifecycle_policy", {"lifecyclePolicyText": text})
        stub.add_response("describe_images", {"imageDetails": DETAILS})
        manifest = json.dumps({"manifests": [{"digest": "sha256:part"}]})
        images = [{"imageId": {"imageDigest": "sha256:index"}, "imageManifest": manifest}]
        stub.add_response("batch_get_image", {"images": images})
        stub.activate()
        monkeypatch.setattr(Aws, "ecr", lambda _: client)

    return stubbed


def test_the_images_in_json(answer: Callable[..., None]) -> None:
    answer(DOCUMENT)
    result = run("images", NAME, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    [told] = json.loads(result.stdout)["repositories"]
    assert told["repository"] == NAME
    assert told["images"][0] == {
        "digest": "sha256:new",
        "tags": MERGED,
        "builtAt": "2026-03-02T16:00:00Z",
        "pushedAt": "2026-05-31T12:00:00Z",
        "sizeBytes": 7_000_000,
        "lastPulledAt": "2026-06-01T12:00:00Z",
        "action": "keep",
        "rule": None,
        "shieldedBy": 2,
    }
    fates = [(it["digest"], it["action"], it["rule"], it["shieldedBy"]) for it in told["images"]]
    assert fates[1:] == [
        ("sha256:lost", "expire", 3, None),
        ("sha256:part", "keep", None, None),  # the index holds it
        ("sha256:index", "keep", None, 1),
        ("sha256:old", "expire", 2, None),
    ]
    assert told["images"][1]["builtAt"] is told["images"][1]["lastPulledAt"] is None


def test_one_line_a_row_where_there_is_no_terminal(answer: Callable[..., None]) -> None:
    answer(DOCUMENT)
    heading, *rows, empty, totals = run("images", NAME).stdout.splitlines()
    assert heading.split() == ["image", "tags", "built", "pushed", "size", "pulled", "what", "why"]
    assert [row.split()[0].removeprefix("sha256:") for row in rows] == [
        *("new", "lost", "index", "part", "old")
    ]
    assert rows[0].split() == [
        *("sha256:new", *MERGED, "2026-03-02", "2026-05-31", "7", "MB", "2026-06-01", "keep"),
        *("rule", "2", "(tags", "merged-*)"),
    ]
    assert " ".join(RELEASED) in rows[2]
    assert "(in sha256:index)" in rows[3]
    assert "keep    the index sha256:index lists it" in rows[3]
    assert (empty, totals) == (
        "",
        f"{NAME}: of 5 images 2 go and 3 stay; at most 1 MB of 8 MB are freed",
    )


@pytest.mark.parametrize("code", ["AccessDeniedException", "LifecyclePolicyNotFoundException"])
def test_without_a_policy_or_the_permission_to_read_it(
    answer: Callable[..., None], code: str
) -> None:
    there = code == "AccessDeniedException"
    answer(code)
    result = run("images", NAME, "--json")
    assert result.exit_code == 0
    actions = {it["action"] for it in json.loads(result.stdout)["repositories"][0]["images"]}
    assert actions == ({None} if there else {"keep"})
    assert result.stderr.startswith(
        "note: it is not known what the lifecycle policy will do: no permission for"
        if there
        else f"note: {NAME} has no lifecycle policy: all images stay"
    )
    assert result.stderr.count("\n") == 1
    answer(code)
    [*_, totals] = run("images", NAME).stdout.splitlines()
    assert (totals == f"{NAME}: 5 images, 8 MB") is there


@pytest.mark.parametrize(
    ("operation", "code", "status"),
    [
        ("batch_get_image", "AccessDeniedException", 0),
        ("batch_get_image", "ServerException", 1),
        ("describe_images", "AccessDeniedException", 1),
    ],
)
def test_without_the_permission_to_read_indexes_nothing_is_folded(
    monkeypatch: pytest.MonkeyPatch, operation: str, code: str, status: int
) -> None:
    client = boto3.client("ecr")
    with Stubber(client) as stub:
        text = json.dumps(DOCUMENT)
        stub.add_response("get_lifecycle_policy", {"lifecyclePolicyText": text})
        if operation == "batch_get_image":
            stub.add_response("describe_images", {"imageDetails": DETAILS})
        stub.add_client_error(operation, code)
        if status == 0:
            stub.add_response("describe_images", {"imageDetails": DETAILS})
        monkeypatch.setattr(Aws, "ecr", lambda _: client)
        result = run("images", NAME)
        stub.assert_no_pending_responses()
    assert (result.exit_code, result.stderr.count("\n")) == (status, 1)
    said = "note: it is not known which untagged images an index lists, and so keeps: no permission"
    assert result.stderr.startswith(said) is (status == 0)
    assert "(in sha256:index)" not in result.stdout


def test_a_policy_that_cannot_be_read_is_not_known(answer: Callable[..., None]) -> None:
    answer({"rules": [{}]})
    result = run("images", NAME)
    assert result.exit_code == 0
    assert f"what the lifecycle policy will do: the lifecycle policy of {NAME}" in result.stderr
    assert result.stdout.splitlines()[1].split()[-2:] == ["?", "?"]


@pytest.mark.usefixtures("ecr")
def test_another_failure_fails(answer: Callable[..., None]) -> None:
    assert "RepositoryNotFoundException" in refused("images", "nothing")
    answer("ServerException")
    assert run("images", NAME).exit_code == 1


def test_the_images_of_moto(ecr: "ECRClient") -> None:
    digest = build(ecr, "a", "latest")
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{NAME}"
    [repository] = json.loads(run("images", arn, "--json").stdout)["repositories"]
    [told] = repository["images"]
    assert (told["digest"], told["action"]) == (digest, "keep")
    assert (told["builtAt"], told["rule"]) == ("2026-03-01T16:00:00Z", None)


@pytest.mark.usefixtures("ecr")
def test_an_empty_repository_has_no_table() -> None:
    assert run("images", NAME).stdout.startswith(f"{NAME}: of 0 images 0 go")


@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_terminal_has_short_lines(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Digests are brief, tags and reasons are folded, and columns that do not fit are left out."""
    image = Image(
        digest=f"sha256:{'1' * 64}", tags=("latest", tag("merged", "a")), pushed_at=NOW, size=1
    )
    report = Report(verdicts=simulate(rules_in(DOCUMENT), [image], NOW))
    out = Terminal()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys, "stdout", out)
    repository = Repository(boto3.client("ecr"), Reference(name=NAME))
    output.print_images(repository, report, judged=True)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines()
    assert max(map(len, lines)) <= width
    assert lines[1].startswith("sha256:11111111  latest ")
    assert ("2026-06-01" in lines[1]) is (width > 60)
    assert ("built" in lines[0]) is (width == 140)
    assert "1 stay" in " ".join(lines[-2:])
