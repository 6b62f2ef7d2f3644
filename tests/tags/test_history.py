"""What became of tags and is unexpected: each kind of event, in the shape of CloudTrail."""

from dataclasses import replace
from typing import Any

import pytest

from container_images.aws import trail
from container_images.tags.history import (
    EVENTS,
    Expected,
    newest_first,
    settled,
    tag_events,
    unique_tags,
    unnamed_events,
)
from tests.builds import ACCOUNT, NAME, digest_of
from tests.events import ARN, DIGESTS, PIPELINE, deletion, event, expiry, identity, put

A, B = DIGESTS["a"], DIGESTS["b"]
ASKED = digest_of("{}")  # of a failed put, whose answer has no digest
STRANGER = f"arn:aws:iam::{ACCOUNT}:role/mary"
BY_STRANGER: dict[str, Any] = {"userIdentity": identity(STRANGER, "mary")}
EXPECTED = Expected(movable_tags=frozenset({"latest"}), pipeline_roles=frozenset({PIPELINE}))

NO_PIPELINE = "not by a pipeline role"
REMOVAL = "a pipeline role neither deletes nor archives images"
DENIED = "a pipeline role was denied its work"
EXPIRED = "a lifecycle policy must not take the image of a movable tag"
CHANGED = "a tag that does not move was put on another image"
REFUSED = "a tag that does not move was to be put on another image"
MAYBE = "the tag existed: it is not known whether on this image, as after a job that is run again"

Change = tuple[str | None, str | None, str | None, str | None]
"""Tag, from, to, and why it is unexpected."""


def read(*raw: dict[str, Any]) -> list[trail.Record]:
    """The records of the repository, the oldest first, as they are given."""
    return [record for event in raw if (record := trail.record_of(event, ARN))]


def changes(*raw: dict[str, Any]) -> list[Change]:
    """The events, without the pipeline's work on tags that do not move."""
    events = tag_events(NAME, read(*raw), EXPECTED)
    assert all((event.expected is True) is (event.reason is None) for event in events)
    return [
        (event.tag, event.before, event.after, event.reason)
        for event in events
        if event.movable or event.reason or event.tag is None
    ]


def failed(made: dict[str, Any], code: str = "AccessDenied", **parts: Any) -> dict[str, Any]:
    return {**made, "errorCode": code, "responseElements": None, **parts}


def archiving(hour: int, image: dict[str, str], **parts: Any) -> dict[str, Any]:
    request = {"repositoryName": NAME, "imageId": image, "targetStorageClass": "ARCHIVE"}
    return event("UpdateImageStorageClass", hour, **{"requestParameters": request, **parts})


PUT_LATEST = put(1, "a")
DELETED = [{"imageTag": "latest", "imageDigest": A}]

AFTER_PUT_OF_LATEST: dict[str, tuple[list[dict[str, Any]], list[Change]]] = {
    "the pipeline moves latest": ([put(2, "b")], [("latest", A, B, None)]),
    "a retried move": (
        [failed(put(2, "a"), "ImageAlreadyExistsException")],
        [("latest", A, ASKED, None)],
    ),
    "a throttled move": (
        [failed(put(2, "a"), "ThrottlingException")],
        [("latest", A, ASKED, None)],
    ),
    "a large call of the pipeline's": (
        [event("PutImage", 2), put(3, "b")],
        [(None, None, None, None), ("latest", None, B, None)],
    ),
    "somebody moves latest": ([put(2, "b", **BY_STRANGER)], [("latest", A, B, NO_PIPELINE)]),
    "somebody is denied": (
        [failed(put(2, "b", **BY_STRANGER), imageDigest=B), put(3, "b")],
        [("latest", A, ASKED, NO_PIPELINE), ("latest", A, B, None)],
    ),
    "the pipeline deletes latest": (
        [deletion(2, [{"imageTag": "latest"}], DELETED), put(3, "b")],
        [("latest", A, None, REMOVAL), ("latest", None, B, None)],
    ),
    "an image is deleted by its digest, with the tags that it is known to have": (
        [put(1, "a", "prod-1"), deletion(2, [{"imageDigest": A}], [{"imageDigest": A}])],
        [("latest", A, None, REMOVAL), ("prod-1", A, None, REMOVAL)],
    ),
    "latest is archived, and stays where it is": (
        [archiving(2, {"imageTag": "latest"}), put(3, "b")],
        [("latest", A, A, REMOVAL), ("latest", A, B, None)],
    ),
    "the image of latest is archived by its digest": (
        [archiving(2, {"imageDigest": A}, **BY_STRANGER)],
        [("latest", A, A, NO_PIPELINE)],
    ),
    "latest expires": ([expiry(2, "a", "latest", "prod-1")], [("latest", A, None, EXPIRED)]),
    "the image of latest expires, which is not among the tags that are listed": (
        [expiry(2, "a", "prod-1")],
        [("latest", A, None, EXPIRED)],
    ),
}
"""The pipeline has put latest on an image; these events come after that."""

CASES: dict[str, tuple[list[dict[str, Any]], list[Change]]] = {
    # As it should be.
    "the pipeline pushes a build": ([put(1, "a", "prod-1")], []),
    "a retried push of an immutable tag": (
        [
            put(1, "a", "prod-1"),
            failed(
                put(2, "a", "prod-1"),
                "ImageTagAlreadyExistsException",
                requestParameters={
                    "repositoryName": NAME,
                    "imageTag": "prod-1",
                    "imageDigest": A,
                },
            ),
        ],
        [],
    ),
    "old builds expire": ([put(1, "a", "prod-1"), expiry(2, "a", "prod-1"), expiry(3, "b")], []),
    # By whom.
    "somebody pushes a build": (
        [put(1, "a", "dev-1", **BY_STRANGER)],
        [("dev-1", None, A, NO_PIPELINE)],
    ),
    "somebody pushes without a tag": (
        [put(1, "a", requestParameters={"repositoryName": NAME, "imageTag": None}, **BY_STRANGER)],
        [(None, None, A, NO_PIPELINE)],
    ),
    "a role of the pipeline's name": (
        [put(1, "a", userIdentity=identity(f"arn:aws:iam::{ACCOUNT}:role/forms-image-pipeline"))],
        [("latest", None, A, NO_PIPELINE)],
    ),
    "ECR replicates an image": (
        [event("ReplicateImage", 1, userIdentity={"invokedBy": "AWS Internal"})],
        [(None, None, None, NO_PIPELINE)],
    ),
    # Denied.
    "somebody is denied, of which CloudTrail left all out": (
        [failed(event("PutImage", 1, **BY_STRANGER))],
        [(None, None, None, NO_PIPELINE)],
    ),
    "the pipeline is denied": (
        [failed(put(1, "a", "prod-1"), "AccessDeniedException")],
        [("prod-1", None, ASKED, DENIED)],
    ),
    # Deleted, archived, expired.
    "an image of which nothing is known is deleted": (
        [deletion(2, [{"imageDigest": A}], [{"imageDigest": A}])],
        [(None, None, None, REMOVAL)],
    ),
    "a deletion is denied": (
        [failed(event("BatchDeleteImage", 2, **BY_STRANGER))],
        [(None, None, None, NO_PIPELINE)],
    ),
    "archiving is denied": (
        [failed(archiving(2, {}, requestParameters=None))],
        [(None, None, None, REMOVAL)],
    ),
    "something expires, and CloudTrail left out what": (
        [event("PolicyExecutionEvent", 2, userIdentity={"invokedBy": "AWS Internal"})],
        [(None, None, None, "CloudTrail does not say which images the lifecycle policy took")],
    ),
    # Tags that do not move.
    "a build's tag moves": (
        [put(1, "a", "prod-1"), put(2, "b", "prod-1"), put(3, "b", "prod-1")],
        [("prod-1", A, B, CHANGED)],
    ),
    "somebody moves a build's tag": (
        [put(1, "a", "prod-1"), put(2, "b", "prod-1", **BY_STRANGER)],
        [("prod-1", A, B, f"{NO_PIPELINE}; {CHANGED}")],
    ),
    "a build's tag is deleted and put on another image": (
        [
            put(1, "a", "prod-1"),
            deletion(2, [{"imageTag": "prod-1"}], [{"imageTag": "prod-1", "imageDigest": A}]),
            put(3, "b", "prod-1"),
        ],
        [("prod-1", A, None, REMOVAL), ("prod-1", None, B, CHANGED)],
    ),
    "a large call stands between": (
        [put(1, "a", "prod-1"), event("PutImage", 2), put(3, "b", "prod-1")],
        [(None, None, None, None), ("prod-1", None, B, CHANGED)],
    ),
    "ECR refuses to move a build's tag": (
        [put(1, "a", "prod-1"), failed(put(2, "b", "prod-1"), "ImageTagAlreadyExistsException")],
        [("prod-1", A, ASKED, REFUSED)],
    ),
    "ECR refuses to, and where the tag was is not known": (
        [failed(put(2, "b", "prod-1"), "ImageTagAlreadyExistsException")],
        [("prod-1", None, ASKED, MAYBE)],
    ),
    "somebody else is refused, and where the tag was is not known": (
        [failed(put(2, "b", "prod-1", **BY_STRANGER), "ImageTagAlreadyExistsException")],
        [("prod-1", None, ASKED, NO_PIPELINE)],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_told_and_what_is_unexpected(case: str) -> None:
    raw, expected = CASES[case]
    assert changes(*raw) == expected


@pytest.mark.parametrize("case", AFTER_PUT_OF_LATEST)
def test_what_becomes_of_latest(case: str) -> None:
    raw, expected = AFTER_PUT_OF_LATEST[case]
    assert changes(PUT_LATEST, *raw) == [("latest", None, A, None), *expected]


@pytest.mark.parametrize("name", EVENTS)
def test_nobody_but_the_pipeline_writes_or_deletes_unnoticed(name: str) -> None:
    """Done or denied, with all left out that CloudTrail may leave out."""
    made = event(name, 1, **BY_STRANGER)
    [(*_, done), (*_, denied)] = changes(made, failed(made))
    assert done
    assert denied


def test_all_tags_that_are_added_are_listed() -> None:
    untagged = put(3, "b", requestParameters={"repositoryName": NAME})
    raw = [PUT_LATEST, put(2, "a", "prod-1"), untagged, expiry(4, "b", "prod-0")]
    events = tag_events(NAME, read(*raw), EXPECTED)
    assert [(event.tag, event.movable, event.expected) for event in events] == [
        ("latest", True, True),
        ("prod-1", False, True),
    ]


def test_one_tag_alone() -> None:
    raw = [
        PUT_LATEST,
        put(2, "a", "prod-1"),
        put(3, "b", "dev-1", **BY_STRANGER),
        put(4, "b", requestParameters={"repositoryName": NAME}),
        event("PutImage", 5),
        deletion(6, [{"imageDigest": B}], [{"imageDigest": B}]),
        expiry(7, "a", "prod-1"),
    ]
    events = tag_events(NAME, read(*raw), EXPECTED, "prod-1")
    assert [(event.tag, event.record.time.hour) for event in events] == [
        ("prod-1", 2),
        (None, 5),
        (None, 6),
        ("prod-1", 7),
    ]


def test_a_refused_put_is_judged_by_where_the_tag_is() -> None:
    """A job that is run again puts its tag on the image that has it."""
    refusal = failed(put(2, "b", "prod-1"), "ImageTagAlreadyExists")
    [event] = tag_events(NAME, read(refusal), EXPECTED)
    assert event.expected is None
    again, overwrite = settled(event, ASKED), settled(event, A)
    assert (again.expected, again.reason) == (True, None)
    assert (overwrite.expected, overwrite.reason) == (False, REFUSED)


def test_without_pipeline_roles_everything_is_unexpected() -> None:
    nobody = replace(EXPECTED, pipeline_roles=frozenset())
    [event] = tag_events(NAME, read(PUT_LATEST), nobody)
    assert (event.expected, event.reason) == (False, NO_PIPELINE)


def test_what_names_no_repository_may_have_been_one_of_them() -> None:
    nowhere = failed(event("PutImage", 1, resources=None, **BY_STRANGER))
    assert trail.is_unnamed(nowhere)
    records = [replace(read(PUT_LATEST)[0], principal=STRANGER, tags=None, put=None)]
    [unnamed] = unnamed_events(records, {PIPELINE})
    assert (unnamed.repository, unnamed.tag, unnamed.expected) == (None, None, False)
    assert unnamed.reason == "CloudTrail does not say in which repository"
    assert unnamed_events(records, {STRANGER}) == []


@pytest.mark.parametrize(
    "named",
    [
        PUT_LATEST,
        put(1, "a", resources=[]),
        event("TagResource", 1, resources=[], requestParameters={"resourceArn": ARN}),
        event("PutImage", 1, resources=None, errorMessage=f"not authorized on {ARN}-2 because"),
        event("PutImage", 1, resources=None, eventSource="s3.amazonaws.com"),
    ],
)
def test_what_names_one_in_any_way_is_not_unnamed(named: dict[str, Any]) -> None:
    assert not trail.is_unnamed(named)


def test_the_unexpected_comes_first_and_the_newest_of_each() -> None:
    records = read(
        PUT_LATEST,
        put(2, "b", **BY_STRANGER),
        put(3, "a"),
        put(3, "b"),
        put(4, "a", **BY_STRANGER),
        put(5, "b"),
    )
    events = tag_events(NAME, records, EXPECTED)
    newest = newest_first(events, unexpected_first=False)
    assert [event.record.time.hour for event in newest] == [5, 4, 3, 3, 2, 1]
    ordered = newest_first(events, unexpected_first=True)
    assert [(event.record.time.hour, event.after) for event in ordered] == [
        (4, A),
        (2, B),
        (5, B),
        (3, B),
        (3, A),
        (1, A),
    ]


def test_an_image_is_called_by_the_last_tag_that_stays() -> None:
    records = read(
        put(1, "a", "merged-1"),
        put(2, "a", "prod-1"),
        PUT_LATEST,
        failed(put(3, "b", "prod-2")),
    )
    assert unique_tags(records, {"latest"}) == {A: "prod-1"}
