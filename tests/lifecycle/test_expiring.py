"""What is about to go: the command `expiring`, and what `rollback` makes of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from container_images.aws.errors import RefusedError
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.aws.session import Aws
from container_images.lifecycle.fate import UnknownFateError, fate
from container_images.tags.rollback import rollback
from tests.builds import NAME, Wire, build, place, tag
from tests.cli.test_cli import done, refused, run
from tests.lifecycle.documents import ANY, INDEX, NOW, count, older, policy, tagged
from tests.tags.test_rollback import seen

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

KEEP_ONE = policy(tagged("latest") | count(1), tagged("merged-*") | count(1))
LOSE_LATEST = policy(ANY | count(1))
STABLE_FIRST = tagged("stable") | count(1), tagged("merged-*") | count(1)
# Pushed within a second: then the image with the lower digest is the one that goes.
OLDER, NEWER = "b", "a"


def put_policy(ecr: "ECRClient", document: dict[str, Any]) -> None:
    ecr.put_lifecycle_policy(repositoryName=NAME, lifecyclePolicyText=json.dumps(document))


# --- expiring, from files -------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two images of which the older one goes."""
    images = [
        {
            "repositoryName": NAME,
            "imageDigest": f"sha256:{letter * 64}",
            "imageTags": [tag("merged", letter)],
            "imageSizeInBytes": 1_500_000,
            "imagePushedAt": f"2026-01-0{day}T12:00:00+00:00",
        }
        for day, letter in enumerate("ab", start=1)
    ]
    contents = {"policy": KEEP_ONE, "images": {"imageDetails": images}}
    for name, content in contents.items():
        (tmp_path / name).write_text(json.dumps(content))
    return ["--policy", str(tmp_path / "policy"), "--images", str(tmp_path / "images")]


def test_a_table_for_people(files: list[str]) -> None:
    result = run("expiring", *files)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["image", "tags", "pushed", "what", "why"]
    gone, kept = (f"{tag('merged', letter)[:15]}-{tag('merged', letter)[48:]}" for letter in "ab")
    assert lines[1] == [
        "sha256:aaaaaaaa",
        gone,
        "2026-01-01",
        "expire",
        "rule",
        "2",
        "(tags",
        "merged-*)",
    ]
    assert lines[2] == [
        "sha256:bbbbbbbb",
        kept,
        "2026-01-02",
        "keep",
        "rule",
        "2",
        "(tags",
        "merged-*)",
    ]
    assert "of 2 images 1 go and 1 stay; at most 1.5 MB of 3 MB are freed" in " ".join(
        result.stdout.split()
    )
    assert "warning: rule 1 (tags latest) matches no image" in result.stdout


def test_the_time_counts(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "policy").write_text(json.dumps(policy(ANY | older(30))))
    for now, going in (("2026-01-15T00:00:00Z", 0), ("2026-02-01T00:00:00Z", 1)):
        assert done("expiring", *files, "--now", now)["totals"]["expire"] == going


def test_a_loss_fails_where_it_is_asked_to(files: list[str], tmp_path: Path) -> None:
    in_use = tmp_path / "in-use"
    in_use.write_text(json.dumps([f"{NAME}:{tag('merged', 'a')}"]))
    told = run("expiring", *files, "--in-use", str(in_use))
    assert told.exit_code == 0
    assert "is in use, and rule 2 (tags merged-*) would expire it" in " ".join(told.stdout.split())
    failed = run("expiring", *files, "--in-use", str(in_use), "--fail-on-loss", "--json")
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["warnings"][0]["warning"] == "in-use-going"
    assert json.loads(failed.stderr)["kind"] == "refused"
    assert run("expiring", *files, "--fail-on-loss").exit_code == 0


STABLE = policy(tagged("merged-*") | count(1), tagged("stable") | count(1))
"""The protective rule comes too late."""


@pytest.mark.parametrize(
    ("document", "options", "lost"),
    [
        (STABLE, [], True),
        (LOSE_LATEST, ["--movable-tag", "stable"], True),
        (LOSE_LATEST, ["--movable-tag", "latest", "--movable-tag", "stable"], True),
        (LOSE_LATEST, [], False),  # stable is not known to be movable
        (policy(*STABLE_FIRST), [], False),
    ],
)
def test_the_movable_tags_are_those_of_the_policy_or_given(
    files: list[str],
    tmp_path: Path,
    document: dict[str, Any],
    options: list[str],
    lost: bool,  # noqa: FBT001 a column of the table
) -> None:
    (tmp_path / "policy").write_text(json.dumps(document))
    images = json.loads((tmp_path / "images").read_text())
    images["imageDetails"][0]["imageTags"].append("stable")
    (tmp_path / "images").write_text(json.dumps(images))
    result = run("expiring", *files, *options, "--fail-on-loss", "--json")
    kinds = [it["warning"] for it in json.loads(result.stdout)["warnings"]]
    assert (result.exit_code == 1) is ("movable-tag-going" in kinds) is lost


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--policy", "p", "--images", "i", "--movable-tag", "a*"], "'a*' is not a tag"),
        ([], "give either REPOSITORY, or both"),
        (["--policy", "p"], "give either REPOSITORY, or both"),
        (["--images", "i"], "give either REPOSITORY, or both"),
        ([NAME, "--policy", "p"], "give either REPOSITORY, or both"),
        ([NAME, "--policy", "p", "--images", "i"], "give either REPOSITORY, or both"),
        (["--policy", "p", "--images", "i", "--aws-preview"], "--aws-preview needs REPOSITORY"),
        ([NAME, "--now", "2026-01-01T00:00:00Z"], "--now goes with"),
        (["--policy", "p", "--images", "i", "--now", "soon"], "'soon' is not a time such as"),
        (["--policy", "p", "--images", "i", "--now", "2026-01-01"], "offset from UTC"),
    ],
)
def test_wrong_combinations_are_wrong_usage(arguments: list[str], said: str) -> None:
    result = run("expiring", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in " ".join(result.stderr.split())


def test_all_that_is_wrong_with_a_file_is_told(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "policy").write_text(json.dumps(policy({"tagStatus": "tagged"}, {})))
    told = refused("expiring", *files)
    assert told.startswith(f"{tmp_path / 'policy'}: rules[0]")
    assert " | rules[1]" in told
    (tmp_path / "policy").unlink()
    assert "cannot be read" in refused("expiring", *files)


# --- expiring, live -------------------------------------------------------------------------------


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """ECR with two images, of which the older one goes by rule 2."""
    client = boto3.client("ecr")
    with Stubber(client) as stub:
        stub.add_response("get_lifecycle_policy", {"lifecyclePolicyText": json.dumps(KEEP_ONE)})
        details = [
            {"imageDigest": letter, "imageTags": [tag("merged", letter)], "imagePushedAt": NOW}
            for letter in "ab"
        ]
        stub.add_response("describe_images", {"imageDetails": details})
        described = {"repositoryName": NAME, "imageTagMutability": "MUTABLE"}
        stub.add_response("describe_repositories", {"repositories": [described]})
        monkeypatch.setattr(Aws, "ecr", lambda _: client)
        yield stub
        stub.assert_no_pending_responses()


def preview(aws: Stubber, status: str, *expire: str) -> None:
    aws.add_response("start_lifecycle_policy_preview", {"status": "IN_PROGRESS"})
    results = [
        {"imageDigest": digest, "action": {"type": "EXPIRE"}, "appliedRulePriority": 2}
        for digest in expire
    ]
    answer: dict[str, Any] = {"status": status, "previewResults": results}
    for _ in range(1 if status == "FAILED" else 2):
        aws.add_response("get_lifecycle_policy_preview", answer)


def test_a_difference_from_aws_is_told(aws: Stubber) -> None:
    preview(aws, "COMPLETE", "b")
    told = done("expiring", NAME, "--aws-preview")
    assert told["differences"] == [
        {"digest": "b", "ours": "keep", "aws": "expire by rule 2"},
        {"digest": "a", "ours": "expire by rule 2", "aws": "keep"},
    ]


def test_a_difference_is_told_to_people_too(aws: Stubber) -> None:
    preview(aws, "COMPLETE", "b")
    text = run("expiring", NAME, "--aws-preview").stdout
    assert "AWS's preview: b: expire by rule 2; here: keep" in text


def test_no_difference(aws: Stubber) -> None:
    preview(aws, "COMPLETE", "a")
    assert "AWS's preview says the same." in run("expiring", NAME, "--aws-preview").stdout


def test_a_preview_that_fails(aws: Stubber) -> None:
    preview(aws, "FAILED")
    result = run("expiring", NAME, "--aws-preview", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "or leave --aws-preview out" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_preview_of_somebody_else(aws: Stubber) -> None:
    aws.add_client_error(
        "start_lifecycle_policy_preview", "LifecyclePolicyPreviewInProgressException"
    )
    result = run("expiring", NAME, "--aws-preview")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "another preview is running" in result.stderr


# --- Movable tags, live ---------------------------------------------------------------------------


def test_a_movable_tag_of_the_exclusion_filters_needs_a_protective_rule(
    ecr: "ECRClient",
) -> None:
    filters = [{"filterType": "WILDCARD", "filter": "stable"}]
    ecr.put_image_tag_mutability(
        repositoryName=NAME,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=filters,  # type: ignore[arg-type]
    )
    build(ecr, OLDER, "stable")
    build(ecr, NEWER)
    put_policy(ecr, KEEP_ONE)
    result = run("expiring", NAME, "--fail-on-loss", "--json")
    assert result.exit_code == 1
    told = [(it["warning"], it["rule"]) for it in json.loads(result.stdout)["warnings"]]
    assert told[:2] == [("movable-tag-unshielded", 2), ("movable-tag-going", 2)]


def test_without_the_permission_to_read_the_mutability_it_says_what_it_goes_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = boto3.client("ecr")
    text = json.dumps(policy(*STABLE_FIRST))
    with Stubber(client) as stub:
        for options in ([], ["--movable-tag", "stable"]):
            stub.add_response("get_lifecycle_policy", {"lifecyclePolicyText": text})
            stub.add_response("describe_images", {"imageDetails": []})
            if not options:
                stub.add_client_error("describe_repositories", "AccessDeniedException")
            monkeypatch.setattr(Aws, "ecr", lambda _: client)
            result = run("expiring", NAME, "--json", *options)
            assert result.exit_code == 0
            said = result.stderr.startswith("note: the movable tags are taken to be stable: no ")
            assert said is not bool(options)
        stub.add_response("get_lifecycle_policy", {"lifecyclePolicyText": text})
        stub.add_response("describe_images", {"imageDetails": []})
        stub.add_client_error("describe_repositories", "ServerException")
        assert run("expiring", NAME).exit_code == 1
        stub.assert_no_pending_responses()


# --- The fate of one image ------------------------------------------------------------------------


def test_an_image_without_a_policy_costs_one_call(ecr: "ECRClient") -> None:
    wire = Wire(ecr)
    assert fate(Repository(wire, Reference(name=NAME)), build(ecr, "a")) is None  # type: ignore[arg-type]
    assert wire.calls == ["get_lifecycle_policy"]


def test_what_an_index_lists_is_read_only_where_it_may_save_the_image() -> None:
    client = boto3.client("ecr")
    details = [
        {
            "imageDigest": "index",
            "imageTags": ["latest"],
            "imagePushedAt": NOW,
            "imageManifestMediaType": INDEX,
        },
        {"imageDigest": "part", "imagePushedAt": NOW},
    ]
    text = json.dumps(policy(tagged("latest") | count(1), ANY | older(1)))
    manifest = json.dumps({"manifests": [{"digest": "part"}]})
    images = [{"imageId": {"imageDigest": "index"}, "imageManifest": manifest}]
    there = Repository(client, Reference(name=NAME))
    with Stubber(client) as stub:
        stub.add_response("get_lifecycle_policy", {"lifecyclePolicyText": text})
        stub.add_response("describe_images", {"imageDetails": details})
        assert fate(there, "index") is None
        stub.add_response("get_lifecycle_policy", {"lifecyclePolicyText": text})
        stub.add_response("describe_images", {"imageDetails": details})
        stub.add_response("describe_images", {"imageDetails": details})
        stub.add_response("batch_get_image", {"images": images})
        assert fate(there, "part") is None
        stub.assert_no_pending_responses()


def test_a_policy_that_cannot_be_read_leaves_it_open() -> None:
    client = boto3.client("ecr")
    text = json.dumps({"rules": [{}]}).ljust(100)
    with Stubber(client) as stub:
        stub.add_response("get_lifecycle_policy", {"lifecyclePolicyText": text})
        with pytest.raises(UnknownFateError, match=f"policy of {NAME}: rules"):
            fate(Repository(client, Reference(name=NAME)), "a")


# --- rollback -------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [KEEP_ONE, LOSE_LATEST])
def test_rollback_refuses_an_image_that_is_about_to_go(
    ecr: "ECRClient", repository: Repository, document: dict[str, Any]
) -> None:
    first, second = build(ecr, OLDER), build(ecr, NEWER, "latest")
    put_policy(ecr, document)
    rule = len(document["rules"])
    with pytest.raises(
        RefusedError, match=rf"will not be kept: rule {rule} \(.*\) of.*move --allow-older"
    ):
        rollback(repository, "latest", seen(first, second))
    assert place(ecr, "latest") == second
    with pytest.raises(RefusedError, match="will not be kept"):
        rollback(repository, "latest", seen(), to=first)


def test_rollback_goes_to_an_image_that_stays(ecr: "ECRClient", repository: Repository) -> None:
    first, second = build(ecr, OLDER), build(ecr, NEWER, "latest")
    put_policy(ecr, policy(tagged("latest") | count(1), tagged("merged-*") | count(2)))
    assert rollback(repository, "latest", seen(first, second)).notes == ()
    assert place(ecr, "latest") == first


def test_rollback_says_where_it_cannot_know(
    ecr: "ECRClient", repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = build(ecr, OLDER), build(ecr, NEWER, "latest")

    def unknown(*_: Any) -> None:
        raise UnknownFateError("nobody may look")

    monkeypatch.setattr("container_images.tags.rollback.fate", unknown)
    [note] = rollback(repository, "latest", seen(first, second)).notes
    assert note == (
        f"it is not known whether the lifecycle policy would keep {first}: nobody may look"
    )
    assert place(ecr, "latest") == first
