"""Which images there are, and what a lifecycle policy does with each: the command `images`."""

import json
import re
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from container_images.aws import in_use
from container_images.aws.image import Image
from container_images.aws.in_use import Running, RunningImage
from container_images.aws.session import Aws
from container_images.cli.images_output import Listing, print_listing
from container_images.lifecycle.document import rules_in
from container_images.lifecycle.report import Report
from container_images.lifecycle.simulation import simulate
from container_images.policies.tag_convention import ADR040
from tests.builds import ACCOUNT, NAME, OCI_INDEX, REGION, build, push, tag
from tests.cli.test_cli import refused, run
from tests.cli.test_terminal import Terminal
from tests.conftest import FIXTURES
from tests.lifecycle.documents import ANY, INDEX, NOW, UNTAGGED, count, older, policy, tagged

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

DOCUMENT = policy(tagged("latest") | count(1), tagged("merged-*") | count(1), UNTAGGED | older(7))
RELEASED, MERGED = [tag("merged", "a"), tag("prod", "a", 3), "latest"], [tag("merged", "b")]


def detail(digest: str, days: float, *tags: str, **more: Any) -> dict[str, Any]:
    pushed = NOW - timedelta(days=days)
    return {"imageDigest": digest, "imagePushedAt": pushed, "imageTags": list(tags), **more}


DETAILS = [
    detail("sha256:part", 40),
    detail("sha256:lost", 30),
    detail("sha256:index", 40, *RELEASED, imageManifestMediaType=INDEX, imageSizeInBytes=5_000_000),
    detail("sha256:new", 1, *MERGED, imageSizeInBytes=7_000_000, lastRecordedPullTime=NOW),
    detail("sha256:old", 41, tag("merged", "0"), imageSizeInBytes=1_000_000),
]


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


# --- Live -----------------------------------------------------------------------------------------


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """ECR with those images, and this lifecycle policy, or this error instead of it."""

    def stubbed(document: dict[str, Any] | str | None) -> None:
        client = boto3.client("ecr")
        stub = Stubber(client)
        if isinstance(document, str):
            stub.add_client_error("get_lifecycle_policy", document)
        elif document:
            text = json.dumps(document).ljust(100)
            stub.add_response("get_lifecycle_policy", {"lifecyclePolicyText": text})
        stub.add_response("describe_images", {"imageDetails": DETAILS})
        manifest = json.dumps({"manifests": [{"digest": "sha256:part"}]})
        images = [{"imageId": {"imageDigest": "sha256:index"}, "imageManifest": manifest}]
        judged = isinstance(document, dict) or document is None
        if judged:
            stub.add_response("batch_get_image", {"images": images})
        if judged or document == "LifecyclePolicyNotFoundException":
            described = {"repositoryName": NAME, "imageTagMutability": "MUTABLE"}
            stub.add_response("describe_repositories", {"repositories": [described]})
        stub.activate()
        monkeypatch.setattr(Aws, "ecr", lambda _: client)

    return stubbed


def test_the_images_in_json(answer: Callable[..., None]) -> None:
    answer(DOCUMENT)
    listing = only(NAME)
    assert listing["repository"] == NAME
    newest, lost, *_ = listing["images"]
    assert newest == {
        "digest": "sha256:new",
        "tags": MERGED,
        "subject": None,
        "builtAt": "2026-03-02T16:00:00Z",
        "pushedAt": "2026-05-31T12:00:00Z",
        "lastPulledAt": "2026-06-01T12:00:00Z",
        "size": 7_000_000,
        "action": "keep",
        "rule": None,
        "shieldedBy": 2,
    }
    outcomes = [
        (image["digest"], image["action"], image["rule"], image["shieldedBy"])
        for image in listing["images"]
    ]
    assert outcomes[1:] == [
        ("sha256:lost", "expire", 3, None),
        ("sha256:part", "keep", None, None),  # the index holds it
        ("sha256:index", "keep", None, 1),
        ("sha256:old", "expire", 2, None),
    ]
    assert lost["builtAt"] is lost["lastPulledAt"] is None
    [warning] = listing["warnings"]
    assert warning.pop("text").startswith("rule 2 (tags merged-*) would expire the image that lat")
    assert warning == {
        "warning": "kept-by-movable-tag-alone",
        "rule": 2,
        "digests": ["sha256:index"],
    }
    assert listing["totals"] == {
        "images": 5,
        "keep": 3,
        "expire": 2,
        "archive": 0,
        "attachments": {"keep": 0, "expire": 0, "archive": 0},
        "bytes": 8_000_000,
        "bytesFreed": 1_000_000,
        "bytesArchived": 0,
    }


def test_what_decides_comes_first_and_each_image_has_a_line(answer: Callable[..., None]) -> None:
    answer(DOCUMENT)
    totals, warning, empty, heading, *rows = run("images", NAME).stdout.splitlines()
    assert totals == f"{NAME}: 2 of 5 images expire; at most 1.0 MB of 8.0 MB are freed"
    assert warning.startswith("warning: rule 2 (tags merged-*) would expire the image that latest")
    assert empty == ""
    assert heading.split() == [
        *("image", "tags", "built", "pushed", "size", "pulled", "action", "why")
    ]
    digests = [row.split()[0].removeprefix("sha256:") for row in rows]
    assert digests == ["new", "lost", "index", "part", "old"]
    assert rows[0].split() == [
        *("sha256:new", *MERGED, "2026-03-02", "2026-05-31", "7.0", "MB", "2026-06-01", "keep"),
        *("rule", "2", "(tags", "merged-*)"),
    ]
    assert " ".join(RELEASED) in rows[2]
    assert "(in sha256:index)" in rows[3]
    assert "keep    the index sha256:index lists it" in rows[3]


def test_another_policy_than_the_live_one(answer: Callable[..., None], tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(policy(ANY | count(4))))
    answer(None)
    listing = only(NAME, "--policy", str(file), "--expiring")
    assert actions(listing) == {"sha256:old": "expire"}
    assert listing["totals"]["images"] == 5


def test_the_policy_that_the_settings_declare(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("ecr")
    details = [detail(f"sha256:{number}", 300 + number, f"pr-{number}") for number in range(40)]
    with Stubber(client) as stub:
        stub.add_response("describe_images", {"imageDetails": details})
        monkeypatch.setattr(Aws, "ecr", lambda _: client)
        monkeypatch.chdir(FIXTURES)
        listing = only(NAME, "--stack", "prod", "--planned", "--expiring")
        stub.assert_no_pending_responses()
    assert listing["totals"]["expire"] == 40


@pytest.mark.parametrize("code", ["AccessDeniedException", "LifecyclePolicyNotFoundException"])
def test_without_a_policy_or_the_permission_to_read_it(
    answer: Callable[..., None], code: str
) -> None:
    denied = code == "AccessDeniedException"
    answer(code)
    result = run("images", NAME, "--json")
    assert result.exit_code == 0
    [listing] = json.loads(result.stdout)["repositories"]
    assert {*actions(listing).values()} == ({None} if denied else {"keep"})
    assert kinds(listing) == ([] if denied else ["growth-without-bound"])
    said = "note: it is not known what the lifecycle policy will do: no permission for"
    assert result.stderr.startswith(said) is denied
    answer(code)
    totals = run("images", NAME).stdout.splitlines()[0]
    assert (totals == f"{NAME}: 5 images, 8.0 MB") is denied
    answer(code)
    assert run("images", NAME, "--fail-on-loss").exit_code == (1 if denied else 0)


def test_a_policy_that_cannot_be_read_is_not_known(answer: Callable[..., None]) -> None:
    answer({"rules": [{}]})
    result = run("images", NAME)
    assert result.exit_code == 0
    assert f"what the lifecycle policy will do: the lifecycle policy of {NAME}" in result.stderr
    assert result.stdout.splitlines()[-1].split()[-2:] == ["?", "?"]


def test_the_images_of_several_repositories(ecr: "ECRClient") -> None:
    ecr.create_repository(repositoryName="empty")
    digest = build(ecr, "a", "latest")
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{NAME}"
    result = run("images", arn, "empty", "--json")
    first, second = json.loads(result.stdout)["repositories"]
    assert actions(first) == {digest: "keep"}
    assert second["images"] == []
    assert run("images", "empty").stdout.startswith("empty: 0 of 0 images expire")
    assert "RepositoryNotFoundException" in refused("images", "nothing")


def test_files_say_the_same_as_the_registry(ecr: "ECRClient", tmp_path: Path) -> None:
    build(ecr, "b")
    build(ecr, "a", "latest")
    (tmp_path / "policy").write_text(json.dumps(DOCUMENT))
    ecr.put_lifecycle_policy(repositoryName=NAME, lifecyclePolicyText=json.dumps(DOCUMENT))
    described = ecr.describe_images(repositoryName=NAME)
    (tmp_path / "images").write_text(json.dumps(described, default=str))
    files = ("--from", str(tmp_path / "images"), "--policy", str(tmp_path / "policy"))
    assert only(*files) == only(NAME)


def test_a_staying_index_keeps_the_tagged_images_that_it_lists(ecr: "ECRClient") -> None:
    for number in (1, 2):
        part = push(ecr, f'{{"n": "{number}"}}', f"1.{number}.0-arm64")
        index = json.dumps({"manifests": [{"digest": part}]})
        push(ecr, index, f"v1.{number}.0", media_type=OCI_INDEX)
    document = policy(tagged("v*") | count(50), tagged("1.*") | count(1))
    ecr.put_lifecycle_policy(repositoryName=NAME, lifecyclePolicyText=json.dumps(document))
    listing = only(NAME, "--fail-on-loss")
    assert {*actions(listing).values()} == {"keep"}
    assert "children-unknown" not in kinds(listing)


def test_a_movable_tag_of_the_exclusion_filters_needs_a_protective_rule(ecr: "ECRClient") -> None:
    filters = [{"filterType": "WILDCARD", "filter": "stable"}]
    ecr.put_image_tag_mutability(
        repositoryName=NAME,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=filters,  # type: ignore[arg-type]
    )
    # Pushed within a second: then the image with the lower digest is the one that goes.
    build(ecr, "b", "stable")
    build(ecr, "a")
    text = json.dumps(policy(tagged("latest") | count(1), tagged("merged-*") | count(1)))
    ecr.put_lifecycle_policy(repositoryName=NAME, lifecyclePolicyText=text)
    listing = only(NAME, "--fail-on-loss", status=1)
    assert kinds(listing)[:2] == ["movable-tag-going", "movable-tag-unshielded"]


def test_without_the_permission_to_read_the_mutability_it_says_what_it_goes_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = boto3.client("ecr")
    text = json.dumps(policy(tagged("stable") | count(1), ANY | count(9)))
    with Stubber(client) as stub:
        for options in ([], ["--movable-tag", "stable"]):
            stub.add_response("get_lifecycle_policy", {"lifecyclePolicyText": text})
            stub.add_response("describe_images", {"imageDetails": []})
            if not options:
                stub.add_client_error("describe_repositories", "AccessDeniedException")
            monkeypatch.setattr(Aws, "ecr", lambda _: client)
            result = run("images", NAME, "--json", *options)
            assert result.exit_code == 0
            said = result.stderr.startswith("note: the movable tags are taken to be stable: no ")
            assert said is not bool(options)
        stub.assert_no_pending_responses()


# --- From files -----------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., list[str]]:
    """The arguments for a policy, images, and what is in use."""

    def written(document: Any, *details: dict[str, Any], used: str = "", **more: Any) -> list[str]:
        contents = {
            "policy": json.dumps(document),
            "images": json.dumps({"imageDetails": details, **more}, default=str),
            "in-use": used,
        }
        for name, content in contents.items():
            (tmp_path / name).write_text(content)
        arguments = ["--policy", str(tmp_path / "policy"), "--from", str(tmp_path / "images")]
        return [*arguments, *(["--in-use", str(tmp_path / "in-use")] if used else [])]

    return written


KEEP_ONE = policy(tagged("latest") | count(1), tagged("merged-*") | count(1))
ARN = f"arn:aws:ecr:eu-west-2:111122223333:repository/{NAME}"
OLDER, NEWER = (
    detail(
        f"sha256:{letter * 64}",
        days,
        tag("merged", letter),
        repositoryName=NAME,
        registryId="111122223333",
        imageSizeInBytes=1_500_000,
    )
    for days, letter in ((2, "a"), (1, "b"))
)


def test_a_listing_from_files(files: Callable[..., list[str]]) -> None:
    arguments = files(KEEP_ONE, OLDER, NEWER)
    result = run("images", *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == f"{NAME}: 1 of 2 images expire; at most 1.5 MB of 3.0 MB are freed"
    assert lines[1] == "warning: rule 1 (tags latest) matches no image"
    arguments = files(policy(ANY | older(30)), OLDER, NEWER)
    for days, expired in ((20, 0), (29, 1), (40, 2)):
        now = (NOW + timedelta(days=days)).isoformat()
        assert only(*arguments, "--now", now)["totals"]["expire"] == expired


def test_a_loss_fails_where_it_is_asked_to(files: Callable[..., list[str]]) -> None:
    arguments = files(KEEP_ONE, OLDER, NEWER, used=f"{NAME}:{tag('merged', 'a')}")
    result = run("images", *arguments)
    assert result.exit_code == 0
    assert "is in use, and rule 2 (tags merged-*) would expire it" in result.stdout
    failed = run("images", *arguments, "--fail-on-loss", "--json")
    assert failed.exit_code == 1
    [listing] = json.loads(failed.stdout)["repositories"]
    assert kinds(listing)[0] == "in-use-going"
    assert json.loads(failed.stderr)["kind"] == "refused"
    assert run("images", *files(KEEP_ONE, OLDER, NEWER), "--fail-on-loss").exit_code == 0


@pytest.mark.parametrize(
    ("document", "options", "lost"),
    [
        # The protective rule comes too late.
        (policy(tagged("merged-*") | count(1), tagged("stable") | count(1)), [], True),
        (policy(ANY | count(1)), ["--movable-tag", "latest", "--movable-tag", "stable"], True),
        (policy(ANY | count(1)), [], False),  # stable is not known to be movable
    ],
)
def test_the_movable_tags_are_those_of_the_policy_or_given(
    files: Callable[..., list[str]], document: dict[str, Any], options: list[str], *, lost: bool
) -> None:
    older_image = {**OLDER, "imageTags": [*OLDER["imageTags"], "stable"]}
    arguments = files(document, older_image, NEWER)
    listing = only(*arguments, *options, "--fail-on-loss", status=int(lost))
    assert ("movable-tag-going" in kinds(listing)) is lost


RELEASES = [f"sha256:{number * 64}" for number in "123"]
SIGNED = [
    image
    for age, digest in enumerate(RELEASES)
    for image in (
        detail(digest, 60 - age, f"prod-{age}"),
        detail(f"sha256:{digest[7:9]}sig", 60 - age, f"{digest.replace(':', '-')}.sig"),
        detail(f"sha256:{digest[7:9]}att", 60 - age, f"{digest.replace(':', '-')}.att"),
    )
]


def test_a_release_that_would_lose_its_signature(files: Callable[..., list[str]]) -> None:
    document = policy(tagged("latest") | count(1), tagged("prod-*") | count(50), ANY | count(12))
    builds = [detail(f"sha256:pr{number}", number, f"pr-{number}") for number in range(9)]
    arguments = files(document, *SIGNED, *builds, used="\n".join(RELEASES))
    listing = only(*arguments, "--fail-on-loss", status=1)
    assert kinds(listing).count("signature-going") == 2
    assert listing["totals"]["attachments"] == {"keep": 2, "expire": 4, "archive": 0}
    lines = run("images", *arguments).stdout.splitlines()
    assert "4 of 6 signatures and attestations are not kept" in lines[0]
    places = [line.split()[0] for line in lines if line]
    assert places.index(RELEASES[0]) + 1 == places.index("sha256:11sig")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--policy", "p", "--from", "i", "--movable-tag", "a*"], "'a*' is not a tag"),
        ([], "give REPOSITORY, --stack for all"),
        (["--policy", "p"], "give REPOSITORY, --stack for all"),
        (["--from", "i"], "--from needs --policy"),
        ([NAME, "--policy", "p", "--from", "i"], "leave REPOSITORY and --stack out"),
        ([NAME, "--planned"], "--planned needs --stack"),
        ([NAME, "--profile", "a"], "--profile goes with --in-use live"),
        (["--policy", "p", "--from", "i", "--in-use", "live"], "--from is without"),
        ([NAME, "--now", "2026-01-01T00:00:00Z"], "go with --from"),
        ([NAME, "--repository-arn", ARN], "go with --from"),
        (["--policy", "p", "--from", "i", "--now", "soon"], "'soon' is not a time such as"),
        (["--policy", "p", "--from", "i", "--now", "2026-01-01"], "offset from UTC"),
        (["--policy", "p", "--from", "i", "--repository-arn", "?"], "'?' is not a repository"),
    ],
)
def test_wrong_combinations_are_wrong_usage(arguments: list[str], said: str) -> None:
    result = run("images", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in " ".join(result.stderr.split())


def test_a_file_that_cannot_be_used_is_refused(files: Callable[..., list[str]]) -> None:
    arguments = files(policy({"tagStatus": "tagged"}, {}), OLDER)
    error = refused("images", *arguments)
    assert error.startswith(f"{arguments[1]}: rules[0]")
    assert " | rules[1]" in error
    error = refused("images", *files(KEEP_ONE, OLDER, NextToken="eyJuZXh0"))
    assert 'NextToken = "eyJuZXh0": the listing is not whole' in error
    other = ARN.replace("111122223333", "444455556666")
    arguments = files(KEEP_ONE, OLDER)
    error = refused("images", *arguments, "--repository-arn", other)
    assert "these are not the images of" in error
    Path(arguments[1]).unlink()
    assert "cannot be read" in refused("images", *arguments)


# --- On a terminal --------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 140])
def test_a_terminal_has_short_lines(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Digests are brief, reasons are folded, and columns that do not fit are left out."""
    tags = ("latest", tag("merged", "a"), "release-candidate-of-may")
    image = Image(digest=f"sha256:{'1' * 64}", tags=tags, pushed_at=NOW, size=1)
    report = Report(verdicts=simulate(rules_in(DOCUMENT), [image], NOW))
    out = Terminal()
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys, "stdout", out)
    print_listing(Listing(name=NAME, report=report, convention=ADR040))
    lines = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines()
    [first] = [line for line in lines if line.startswith("sha256:11111111  latest ")]
    assert max(map(len, lines)) <= width
    assert "2026-06-01" in first
    assert ("built" in " ".join(lines)) is (width == 140)
    for whole in (f"merged-{'a' * 8}-{tag('merged', 'a')[-10:]}", tags[2]):
        assert whole in " ".join(lines)


# --- What runs ------------------------------------------------------------------------------------


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, Running]]:
    """What runs by Region, in place of ECS and Lambda, each time it is asked for."""
    answers: list[tuple[str | None, Running]] = []

    def scanned(aws: Aws, _: Any) -> Running:
        return next(running for region, running in answers if region == aws.region)

    monkeypatch.setattr(in_use, "running_images", scanned)
    return answers


def test_what_runs_and_would_go_is_a_loss(
    ecr: "ECRClient", scans: list[tuple[str | None, Running]]
) -> None:
    digest = build(ecr, "b")
    build(ecr, "a", "latest")
    ecr.put_lifecycle_policy(repositoryName=NAME, lifecyclePolicyText=json.dumps(KEEP_ONE))
    elsewhere = f"444455556666.dkr.ecr.{REGION}.amazonaws.com/{NAME}@{digest}"
    running = Running(images=[RunningImage(image=elsewhere, by="service/web")])
    scans.append((REGION, running))
    only(NAME, "--in-use", "live", "--fail-on-loss")
    # By its tag, which the registry resolves.
    name = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{NAME}:{tag('merged', 'b')}"
    running.images.append(RunningImage(image=name, by="service/web"))
    listing = only(NAME, "--in-use", "live", "--fail-on-loss", status=1)
    [warning, *_] = listing["warnings"]
    assert (warning["warning"], warning["digests"]) == ("in-use-going", [digest])
    assert warning["text"].startswith(f"{name} is in use by service/web, and rule 2")


def test_what_may_not_be_read_fails_where_losses_do(
    ecr: "ECRClient", scans: list[tuple[str | None, Running]]
) -> None:
    build(ecr, "a", "latest")
    scans.append((REGION, Running(unread={"ListClusters": "no permission for ListClusters"})))
    assert kinds(only(NAME, "--in-use", "live"))[0] == "in-use-unknown"
    only(NAME, "--in-use", "live", "--fail-on-loss", status=1)


def test_what_runs_in_the_accounts_of_profiles_and_in_files(
    ecr: "ECRClient",
    scans: list[tuple[str | None, Running]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    text = "\n".join(
        f"[profile {name}]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n"
        f"aws_secret_access_key = x\nregion = {region}\n"
        for name, region in (("review", "us-east-1"), ("again", "us-east-1"))
    )
    (tmp_path / "config").write_text(text)
    (tmp_path / "pods").write_text(f"docker-pullable://{NAME}@sha256:{'0' * 64}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    build(ecr, "a")
    scans += [(REGION, Running()), ("us-east-1", Running(unread={"a": "asked twice"}))]
    files = ("--in-use", str(tmp_path / "pods"), "--in-use", "live")
    listing = only(NAME, *files, "--profile", "review", "--profile", "again")
    assert sorted(kind for kind in kinds(listing) if "in-use" in kind) == [
        *("in-use-missing", "in-use-unknown")
    ]
    assert "no_such_profile" in refused(
        "images", NAME, "--in-use", "live", "--profile", "no_such_profile"
    )
