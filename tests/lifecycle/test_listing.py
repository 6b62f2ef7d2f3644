"""The files as either version of the AWS CLI prints them."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from container_images.aws.image import moment
from container_images.aws.reference import parse
from container_images.lifecycle.listing import read_images
from container_images.policies.invalid_input import InvalidInputError

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


def errors(text: str, arn: str | None = None) -> list[str]:
    with pytest.raises(InvalidInputError) as caught:
        read_images(text, parse(arn) if arn else None)
    return [str(problem) for problem in caught.value.problems]


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
    time = moment(written)
    assert time == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert time.tzinfo is UTC


@pytest.mark.parametrize(
    "written", ["2026-01-31T12:00:00", "yesterday", "", True, None, 1e30, float("nan"), []]
)
def test_no_times(written: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        moment(written)


def test_an_image_has_all_that_the_evaluator_asks_for() -> None:
    listing = read_images(listed(DETAIL))
    [image] = listing.images
    assert listing.name == "forms-admin-deploy"
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
    assert listing.name == ""


def test_a_query_may_leave_the_list_alone() -> None:
    assert len(read_images(json.dumps([DETAIL])).images) == 1


def test_an_empty_repository() -> None:
    assert read_images(listed()).images == ()


def test_tags_may_be_null() -> None:
    [image] = read_images(listed({**DETAIL, "imageTags": None})).images
    assert image.tags == ()


NO_IMAGE = "this is not an image with its digest and times"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the list of images is not JSON"),
        ("DIGEST  TAGS", "write it as aws ecr describe-images has it, with --output json"),
        ("{}", "the file of images is an object with imageDetails"),
        ("3", "the file of images is an object with imageDetails"),
        (listed(3), f"imageDetails[0] = 3: {NO_IMAGE} (imageDigest is None)"),
        (listed({"imagePushedAt": 0}), f"{NO_IMAGE} (imageDigest is None)"),
        (listed({"imageDigest": "sha256:1"}), f"{NO_IMAGE} (imagePushedAt is missing)"),
        *(
            (listed({**DETAIL, key: value}), NO_IMAGE)
            for key, value in (
                ("imageDigest", 3),
                ("imageTags", "latest"),
                ("imageTags", [1]),
                ("imageSizeInBytes", "1"),
                ("lastArchivedAt", "2026-01-31T12:00:00"),
                ("lastRecordedPullTime", "yesterday"),
                ("imagePushedAt", "0001-01-01T00:00:00+10:00"),
                ("imagePushedAt", None),
            )
        ),
        (listed(DETAIL, DETAIL), "imageDetails[1].imageDigest = "),
        (
            listed(DETAIL, {**DETAIL, "imageDigest": "sha256:2", "repositoryName": "other"}),
            'imageDetails.repositoryName = ["forms-admin-deploy", "other"]: these are the images',
        ),
    ],
)
def test_refused_images(text: str, says: str) -> None:
    [error] = errors(text)
    assert says in error


def test_all_errors_are_in_one_exception() -> None:
    bad = {"imageDigest": 1, "imagePushedAt": "?", "lastRecordedPullTime": "?"}
    assert len(errors(listed(bad, DETAIL, DETAIL, 3))) == 3


ARN = "arn:aws:ecr:eu-west-2:111122223333:repository/forms-admin-deploy"


def test_the_repository_of_the_images() -> None:
    """The AWS CLI prints no Region."""
    named = read_images(listed(DETAIL))
    assert (named.name, named.registry_id, named.region) == (
        "forms-admin-deploy",
        "111122223333",
        "",
    )
    located = read_images(listed(), parse(ARN))
    assert (located.name, located.registry_id, located.region) == (
        "forms-admin-deploy",
        "111122223333",
        "eu-west-2",
    )


@pytest.mark.parametrize("key", ["nextToken", "NextToken"])
def test_a_listing_that_is_not_whole_is_refused(key: str) -> None:
    """As `--max-items` and `--no-paginate` print it."""
    [error] = errors(json.dumps({"imageDetails": [DETAIL], key: "eyJuZXh0"}))
    assert error.startswith(f'{key} = "eyJuZXh0": the listing is not whole; print it with aws ecr')
    whole = {"imageDetails": [DETAIL], key: None}
    assert len(read_images(json.dumps(whole)).images) == 1


@pytest.mark.parametrize(
    ("arn", "key"),
    [
        (ARN.replace("admin", "runner"), "repositoryName"),
        (ARN.replace("111122223333", "444455556666"), "registryId"),
    ],
)
def test_the_images_of_another_repository_are_refused(arn: str, key: str) -> None:
    [error] = errors(listed(DETAIL), arn)
    assert error.startswith(f'imageDetails.{key} = "{DETAIL[key]}": these are not the images of')


def test_the_images_of_two_accounts_are_refused() -> None:
    other = {**DETAIL, "imageDigest": "sha256:2", "registryId": "444455556666"}
    [error] = errors(listed(DETAIL, other))
    assert "imageDetails.registryId" in error
