"""The files as either version of the AWS CLI prints them."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from container_images.aws.image import moment
from container_images.lifecycle.files import image_in_use, read_images, read_in_use, read_policy
from container_images.policies.invalid_input import InvalidInputError
from tests.lifecycle.documents import ANY, count, policy

DETAIL: dict[str, Any] = {
    "registryId": "111122223333",
    "repositoryName": "forms-admin-deploy",
    "imageDigest": "sha256:1",
    "imageTags": ["latest", "prod-1"],
    "imageSizeInBytes": 42,
    "imagePushedAt": "2026-01-31T13:00:00+01:00",
    "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
    "lastRecordedPullTime": "2026-02-01T12:00:00+00:00",
    "imageStatus": "ARCHIVED",
    "lastArchivedAt": "2026-02-02T12:00:00+00:00",
    "lastActivatedAt": "2026-02-03T12:00:00+00:00",
    "subjectManifestDigest": "sha256:2",
}


def listed(*details: Any) -> str:
    return json.dumps({"imageDetails": details})


def faults(text: str) -> list[str]:
    with pytest.raises(InvalidInputError) as caught:
        read_images(text)
    return [str(fault) for fault in caught.value.problems]


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-31T12:00:00+00:00",
        "2026-01-31T12:00:00Z",
        "2026-01-31T13:00:00+01:00",
        "2026-01-31T12:00:00.000000+00:00",
        "2026-01-31 12:00:00+00:00",
        1769860800,
        1769860800.0,
        datetime(2026, 1, 31, 14, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_times(written: Any) -> None:
    found = moment(written)
    assert found == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "written", ["2026-01-31T12:00:00", "yesterday", "", True, None, 1e30, float("nan"), []]
)
def test_no_times(written: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        moment(written)


def test_an_image_has_all_that_the_evaluator_asks_for() -> None:
    listing = read_images(listed(DETAIL))
    [image] = listing.images
    assert listing.repository == "forms-admin-deploy"
    assert image.digest == "sha256:1"
    assert image.tags == ("latest", "prod-1")
    assert image.size == 42
    assert image.pushed_at == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert image.media_type == "application/vnd.oci.image.manifest.v1+json"
    assert image.archived
    assert image.pulled_at == datetime(2026, 2, 1, 12, tzinfo=UTC)
    assert image.archived_at == datetime(2026, 2, 2, 12, tzinfo=UTC)
    assert image.activated_at == datetime(2026, 2, 3, 12, tzinfo=UTC)
    assert image.subject == "sha256:2"
    assert image.children is None


@pytest.mark.parametrize("status", ["ACTIVE", "ACTIVATING", None])
def test_an_image_that_can_be_pulled_is_not_archived(status: str | None) -> None:
    [image] = read_images(listed({**DETAIL, "imageStatus": status})).images
    assert not image.archived


def test_an_image_may_have_little_more_than_a_digest() -> None:
    listing = read_images(listed({"imageDigest": "sha256:1", "imagePushedAt": 0}))
    [image] = listing.images
    assert (image.tags, image.size, image.media_type, image.archived) == ((), 0, "", False)
    assert (image.pulled_at, image.archived_at, image.activated_at, image.subject) == (None,) * 4
    assert listing.repository == ""


def test_a_query_may_leave_the_list_alone() -> None:
    assert len(read_images(json.dumps([DETAIL])).images) == 1


def test_an_empty_repository() -> None:
    assert read_images(listed()).images == ()


def test_tags_may_be_null() -> None:
    [image] = read_images(listed({**DETAIL, "imageTags": None})).images
    assert image.tags == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the list of images is not JSON"),
        ("DIGEST  TAGS", "write it as aws ecr describe-images has it, with --output json"),
        ("{}", "the file of images is an object with imageDetails"),
        ("3", "the file of images is an object with imageDetails"),
        (listed(3), "imageDetails[0] = 3: an image is an object"),
        (listed({"imagePushedAt": 0}), "imageDetails[0].imageDigest: each image has a digest"),
        (
            listed({**DETAIL, "imageDigest": 3}),
            "imageDetails[0].imageDigest = 3: each image has a digest",
        ),
        (
            listed({**DETAIL, "imageTags": "latest"}),
            'imageDetails[0].imageTags = "latest": the tags are a list of text',
        ),
        (listed({**DETAIL, "imageTags": [1]}), "imageDetails[0].imageTags = [1]: the tags are"),
        (
            listed({**DETAIL, "imageSizeInBytes": "1"}),
            'imageDetails[0].imageSizeInBytes = "1": the size is a whole number',
        ),
        (
            listed({"imageDigest": "sha256:1"}),
            "imageDetails[0].imagePushedAt: this is a time with its offset from UTC",
        ),
        (
            listed({**DETAIL, "lastArchivedAt": "2026-01-31T12:00:00"}),
            'imageDetails[0].lastArchivedAt = "2026-01-31T12:00:00": this is a time with its',
        ),
        (
            listed({**DETAIL, "imagePushedAt": "0001-01-01T00:00:00+10:00"}),
            'imageDetails[0].imagePushedAt = "0001-01-01T00:00:00+10:00": this is a time with its',
        ),
        (listed(DETAIL, DETAIL), "imageDetails[1].imageDigest = "),
        (
            listed(DETAIL, {**DETAIL, "imageDigest": "sha256:2", "repositoryName": "other"}),
            'imageDetails = ["forms-admin-deploy", "other"]: these are the images of several',
        ),
    ],
)
def test_refused_images(text: str, says: str) -> None:
    [fault] = faults(text)
    assert says in fault


def test_all_that_cannot_be_read_is_said_at_once() -> None:
    bad = {"imageDigest": 1, "imagePushedAt": "?", "lastRecordedPullTime": "?"}
    assert len(faults(listed(bad, DETAIL, DETAIL, 3))) == 5


def test_the_policy_by_itself_or_as_the_cli_prints_it() -> None:
    text = json.dumps(policy(ANY | count(3)))
    [rule] = read_policy(text)
    assert rule.number == 3
    printed = {"registryId": "111122223333", "lifecyclePolicyText": text}
    assert read_policy(json.dumps(printed)) == (rule,)


def test_a_policy_that_is_no_json() -> None:
    with pytest.raises(InvalidInputError, match="the policy is not JSON"):
        read_policy("rules:")


DIGEST = f"sha256:{'1' * 64}"
URI = "111122223333.dkr.ecr.eu-west-2.amazonaws.com/team/repo"


@pytest.mark.parametrize(
    "text",
    [
        f"{DIGEST}\n\n  repo:tag  \n docker.io/library/nginx:1",
        f'["{DIGEST}", "repo:tag", "localhost:5000/repo"]',
        f'\n ["{DIGEST}","repo:tag"]',
    ],
)
def test_images_in_use(text: str) -> None:
    """Without those of other registries, where a repository may have the same name."""
    assert read_in_use(text) == [DIGEST, "repo:tag"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "^no image in use is named in it; write one digest or .*, or leave out --in-use$"),
        (" \n", "no image in use is named in it"),
        ("[]", "no image in use is named in it"),
        ("null\n", "^null: images in use are digests and image references; write each as text"),
        ("repo:tag\nnull", "^null: images in use are digests and image references"),
        ("[null]", "^null: images in use are digests and image references"),
        ("[[]]", "^\\[\\]: images in use are digests and image references"),
        ("[1]", "^1: images in use are digests and image references; write each as text"),
        ("[", "in use is not JSON"),
        ("sha256:1", "'sha256:1' is a malformed digest"),
        (f"{URI}@sha256:1", "'sha256:1' is a malformed digest"),
        ("repo:tag\nthis is no image", "'this is no image' is not a repository"),
    ],
)
def test_refused_images_in_use(text: str, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        read_in_use(text)


@pytest.mark.parametrize(
    ("written", "name", "image"),
    [
        (DIGEST, "", DIGEST),
        ("Release_1", "", "Release_1"),
        ("repo", "repo", None),
        ("repo:tag", "repo", "tag"),
        (f"{URI}:tag@{DIGEST}", "team/repo", DIGEST),
    ],
)
def test_what_names_an_image(written: str, name: str, image: str | None) -> None:
    found = image_in_use(written)
    assert (found.name, found.image) == (name, image)
