"""What became of tags and is unexpected."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from container_images.aws.trail import ARCHIVE, DELETE, EXPIRE, PUT, Record
from container_images.tags.history import EVENTS, TagEvent, newest_first, tag_events

NAMES = {"put": PUT, "delete": DELETE, "archive": ARCHIVE, "expire": EXPIRE}
ERRORS = {
    "denied": "AccessDeniedException",
    "exists": "ImageTagAlreadyExistsException",
    "there": "ImageAlreadyExistsException",
}


def records(*events: str) -> list[Record]:
    """An event an hour: `EVENT TAGS DIGEST`, then `by WHO` if not the pipeline, and an error.

    Commas are between the tags. `-`: no tags, or no digest; `?`: CloudTrail does not say the tags.
    """
    past = []
    for hour, written in enumerate(events, start=1):
        event, tags, digest, *rest = written.split()
        name, digests = NAMES.get(event, event), frozenset({digest} - {"-"})
        past.append(
            Record(
                time=datetime(2026, 11, 20, tzinfo=UTC) + timedelta(hours=hour),
                event=name,
                principal=rest[rest.index("by") + 1] if "by" in rest else "pipeline",
                session=None,
                error=next((ERRORS[word] for word in rest if word in ERRORS), None),
                tags=None if tags == "?" else frozenset(tags.split(",")) - {"-"},
                put=next(iter(digests), None) if name == PUT else None,
                taken=frozenset() if name == PUT else digests,
            )
        )
    return past


def events_of(past: list[Record], **tags: str | None) -> list[TagEvent]:
    """What became of the tags, some of which are on an image now."""
    return tag_events("forms", past, ["latest", "sha256-*.sig"], ["pipeline"], tags.get)


WHO = "not by a pipeline role"
REMOVAL = "a pipeline role neither deletes nor archives images"
DENIED = "a pipeline role was denied its work"
EXPIRED = "a lifecycle policy must not take the image of a movable tag"
UNSAID = "CloudTrail does not say which images the lifecycle policy took"
CHANGED = "a tag that does not move, put on another image"
MAYBE = "the tag existed: it is not known whether on this image, as after a job that is run again"


@pytest.mark.parametrize(
    ("events", "changes"),
    [
        # As it should be.
        (["put prod-1 a"], []),
        (["put prod-1 a", "expire prod-1 a", "expire - b"], []),
        (["put sha256-1.sig a", "put sha256-1.sig b", "expire sha256-1.sig b"], []),
        (["put latest a", "put latest b"], ["latest - a", "latest a b"]),
        (["put latest a", "put latest a there"], ["latest - a", "latest a a"]),
        (
            ["put latest a", "put ? -", "put latest b"],  # a large call
            ["latest - a", "? - -", "latest - b"],
        ),
        # By whom.
        (["put latest a", "put latest b by mary"], ["latest - a", f"latest a b {WHO}"]),
        (["put dev-1 a by mary"], [f"dev-1 - a {WHO}"]),
        (["ReplicateImage ? - by AWS"], [f"? - - {WHO}"]),
        (
            ["put latest a", "put latest b by mary denied", "put latest b"],
            ["latest - a", f"latest a b {WHO}", "latest a b"],
        ),
        (["put prod-1 a denied"], [f"prod-1 - a {DENIED}"]),
        # Deleted: an image that is deleted by its digest with the tags that it is known to have.
        (
            ["put latest a", "delete latest -", "put latest b"],
            ["latest - a", f"latest a - {REMOVAL}", "latest - b"],
        ),
        (
            ["put latest a", "put prod-1 a", "delete - a"],
            ["latest - a", f"latest a - {REMOVAL}", f"prod-1 a - {REMOVAL}"],
        ),
        (["delete - a"], [f"? - - {REMOVAL}"]),
        (["delete ? - by mary denied"], [f"? - - {WHO}"]),
        # Archived: it stays where it is.
        (
            ["put latest a", "archive latest -", "put latest b"],
            ["latest - a", f"latest a a {REMOVAL}", "latest a b"],
        ),
        (["put latest a", "archive - a by mary"], ["latest - a", f"latest a a {WHO}"]),
        # Expired, even where latest is not among the tags that are listed, and another one is.
        (["put latest a", "expire prod-1 a"], ["latest - a", f"latest a - {EXPIRED}"]),
        (["expire ? -"], [f"? - - {UNSAID}"]),
        # Tags that do not move.
        (["put prod-1 a", "put prod-1 b", "put prod-1 b"], [f"prod-1 a b {CHANGED}"]),
        (["put prod-1 a", "put prod-1 -"], [f"prod-1 a - {CHANGED}"]),  # nobody knows where to
        (["put prod-1 a", "put prod-1 b by mary"], [f"prod-1 a b {WHO}; {CHANGED}"]),
        (
            ["put prod-1 a", "delete prod-1 -", "put prod-1 b"],
            [f"prod-1 a - {REMOVAL}", f"prod-1 - b {CHANGED}"],
        ),
        (["put prod-1 a", "put ? -", "put prod-1 b"], ["? - -", f"prod-1 - b {CHANGED}"]),
        (["put prod-1 a", "put prod-1 b exists"], [f"prod-1 a b {CHANGED}"]),
        (["put prod-1 b exists"], [f"prod-1 - b {MAYBE}"]),
        (["put prod-1 b exists by mary"], [f"prod-1 - b {WHO}; {MAYBE}"]),
    ],
)
def test_what_became_of_the_tags_and_why_it_is_unexpected(
    events: list[str], changes: list[str]
) -> None:
    """`TAG FROM TO REASON`, without the pipeline's work on tags that do not move."""
    listed = []
    for event in events_of(records(*events)):
        if event.movable or event.reason or event.json["tag"] is None:
            places = [event.json[key] or "-" for key in ("from", "to")]
            change = [event.json["tag"] or "?", *places, event.reason or ""]
            listed.append(" ".join(change).strip())
    assert listed == changes


@pytest.mark.parametrize("name", EVENTS)
def test_nobody_but_the_pipeline_writes_or_deletes_unnoticed(name: str) -> None:
    """Done or denied, with all left out that CloudTrail may leave out."""
    past = records(f"{name} ? - by mary", f"{name} ? - by mary denied")
    assert [event.json["expected"] for event in events_of(past)] == [False, False]


def test_all_tags_are_listed_and_no_images_without_one() -> None:
    past = records("put latest a", "put prod-1 a", "put - b", "expire - b", "expire x.sig c")
    assert [(event.json["tag"], event.movable, event.unique) for event in events_of(past)] == [
        ("latest", True, False),
        ("prod-1", False, True),
        ("x.sig", False, True),
    ]


@pytest.mark.parametrize(
    ("digest", "judged"), [("b", (True, None)), ("a", (False, CHANGED)), (None, (None, MAYBE))]
)
def test_a_refused_put_is_judged_by_where_the_tag_is(
    digest: str | None, judged: tuple[bool | None, str | None]
) -> None:
    """A job that is run again puts its tag on the image that has it."""
    [event] = events_of(records("put unique b exists"), unique=digest)
    assert (event.json["expected"], event.reason) == judged


def test_the_unexpected_comes_first_and_the_newest_of_each() -> None:
    past = records(
        "put latest a",
        "put latest b by mary",
        "put latest c",
        "put latest d",
        "put prod-1 e exists",
        "put latest f by mary denied",
    )
    past[3] = replace(past[3], time=past[2].time)  # in the same second
    for unexpected_first, order in ((False, "fedcba"), (True, "bfedca")):
        events = newest_first(events_of(past), unexpected_first=unexpected_first)
        assert "".join(event.json["to"] for event in events) == order
