"""The files of images, as either version of the AWS CLI prints them, and of images in use."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from container_images.aws.image import Image, moment
from container_images.aws.reference import Reference, parse
from container_images.lifecycle.listing import read_images, read_in_use, reference_of
from container_images.policies.invalid_input import InvalidInputError
from tests.lifecycle.documents import INDEX

DETAIL: dict[str, Any] = {
    "registryId": "111122223333",
    "repositoryName": "forms-admin-deploy",
    "imageDigest": "sha256:1",
    "imageTags": ["latest", "prod-1"],
    "imageSizeInBytes": 42,
    "imagePushedAt": "2026-01-31T13:00:00+01:00",
    "imageManifestMediaType": INDEX,
    "lastRecordedPullTime": "2026-02-01T12:00:00+00:00",
    "imageStatus": "ARCHIVED",
    "lastArchivedAt": "2026-02-02T12:00:00+00:00",
    "lastActivatedAt": "2026-02-03T12:00:00+00:00",
    "subjectManifestDigest": "sha256:2",
}
ARN = "arn:aws:ecr:eu-west-2:111122223333:repository/forms-admin-deploy"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def listed(*details: Any, **more: Any) -> str:
    return json.dumps({"imageDetails": details, **more})


def test_times() -> None:
    texts = (
        "2026-01-31T12:00:00Z",
        "2026-01-31T13:00:00+01:00",
        "2026-01-31 12:00:00.000000+00:00",
    )
    there = NOON.astimezone(timezone(timedelta(hours=2)))
    times: list[Any] = [*texts, 1769860800, 1769860800.0, there]
    for written in times:
        time = moment(written)
        assert (time, time.tzinfo) == (NOON, UTC)
    others: list[Any] = ["2026-01-31T12:00:00", "yesterday", "", True, None, 1e30, float("nan"), []]
    for written in others:
        with pytest.raises(ValueError, match=r"."):
            moment(written)


def test_an_image_has_all_that_the_evaluator_asks_for() -> None:
    listing = read_images(json.dumps([DETAIL]))  # as a query prints it
    whole = Image(
        digest="sha256:1",
        tags=("latest", "prod-1"),
        size=42,
        pushed_at=NOON,
        media_type=INDEX,
        archived=True,
        active=False,
        pulled_at=NOON + timedelta(days=1),
        archived_at=NOON + timedelta(days=2),
        activated_at=NOON + timedelta(days=3),
        subject="sha256:2",
        registry_id="111122223333",
    )
    # The AWS CLI prints no Region.
    owner = Reference(name="forms-admin-deploy", registry_id="111122223333")
    assert (listing.images, listing.reference) == ([whole], owner)
    assert read_images(listed(), parse(ARN)).reference == replace(owner, region="eu-west-2")
    small = {"imageDigest": "sha256:1", "imagePushedAt": 0, "imageTags": None}
    listing = read_images(listed({**small, "imageStatus": "ACTIVE"}, nextToken=None))
    assert (listing.images, listing.reference.name) == ([Image(digest="sha256:1")], "")


def errors(text: str, arn: str = ARN) -> list[str]:
    with pytest.raises(InvalidInputError) as refused:
        read_images(text, parse(arn))
    return [*map(str, refused.value.problems)]


NO_IMAGE = "this is no image of its own"
OTHER = {**DETAIL, "imageDigest": "sha256:2"}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("DIGEST  TAGS", "the list of images is not JSON"),
        ("{}", "the file of images is an object with imageDetails"),
        (listed(3), "the file of images is an object with imageDetails"),
        (listed({"imagePushedAt": 0}), f'imageDetails[0] = {{"imagePushedAt": 0}}: {NO_IMAGE} ('),
        (listed({"imageDigest": "sha256:1"}), f"{NO_IMAGE} (Invalid isoformat"),
        (listed(DETAIL, DETAIL), f"{NO_IMAGE} (its digest or a tag is none, or"),
        # As --max-items and --no-paginate print it.
        (listed(DETAIL, NextToken="eyJ"), 'NextToken = "eyJ": the listing is not whole; print it'),
        (listed(DETAIL, nextToken="eyJ"), 'nextToken = "eyJ": the listing is not whole; print it'),
        (listed(DETAIL, {**OTHER, "repositoryName": "other"}), "repositoryName = ["),
        (listed(DETAIL, {**OTHER, "registryId": "other"}), "registryId = ["),
    ],
)
def test_refused_images(text: str, error: str) -> None:
    [problem] = errors(text)
    assert error in problem


def test_a_value_that_no_image_has() -> None:
    values: dict[str, list[Any]] = {
        "imageDigest": [3, None, "1"],
        "imageTags": [[1], ["a\nb"], 3, "latest"],
        "imageSizeInBytes": ["x", [1]],
        "lastArchivedAt": ["2026-01-31T12:00:00"],
        "imagePushedAt": ["0001-01-01T00:00:00+10:00", None],
    }
    for key, each in values.items():
        for value in each:
            [problem] = errors(listed({**DETAIL, key: value}))
            assert NO_IMAGE in problem


def test_the_images_of_another_repository_are_refused_and_all_errors_are_in_one() -> None:
    [problem] = errors(listed(DETAIL), ARN.replace("111122223333", "444455556666"))
    assert problem.startswith('registryId = ["111122223333", ')
    bad = {"imageDigest": 1, "imagePushedAt": "?"}
    assert len(errors(listed(bad, DETAIL, DETAIL, nextToken="eyJ"))) == 3


DIGEST = f"sha256:{'1' * 64}"
URI = "111122223333.dkr.ecr.eu-west-2.amazonaws.com/team/repo"


def test_images_in_use() -> None:
    """Without those of other registries, where a repository may have the same name."""
    lines = f"{DIGEST}\n\n  repo:tag  \n docker.io/library/nginx:1"
    scanned = f'\n ["{DIGEST}", "repo:tag", "localhost:5000/repo"]'  # as ecrm scan prints it
    assert read_in_use(lines) == read_in_use(scanned) == [DIGEST, "repo:tag"]


@pytest.mark.parametrize(
    ("written", "name", "image"),
    [
        (DIGEST, "", DIGEST),
        ("Release_1", "", "Release_1"),
        ("repo", "repo", None),
        ("repo:tag", "repo", "tag"),
        (f"{URI}:tag@{DIGEST}", "team/repo", DIGEST),
        (f"docker-pullable://{URI}@{DIGEST}", "team/repo", DIGEST),
    ],
)
def test_what_names_an_image(written: str, name: str, image: str | None) -> None:
    reference = reference_of(written)
    assert (reference.name, reference.image) == (name, image)
    assert reference.registry_id == ("111122223333" if URI in written else None)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (" \n", "^no image in use is named in it; write one digest or .*, or leave out --in-use$"),
        ("[]", "no image in use is named in it"),
        ("repo:tag\nnull\n", r'^"null": images in use are digests and .* \(this is no text\)'),
        ("[[]]", r"^\[\]: images in use are digests and image references"),
        ("[", "in use is not JSON"),
        (f"{URI}@sha256:1", "'sha256:1' is a malformed digest"),
        # Docker's own number of an image, which no registry knows.
        (f"docker://{DIGEST}", "is not a repository"),
        ("repo:tag\nthis is no image", "'this is no image' is not a repository"),
    ],
)
def test_refused_images_in_use(text: str, error: str) -> None:
    with pytest.raises(InvalidInputError, match=error):
        read_in_use(text)
