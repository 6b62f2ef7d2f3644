"""Pure: what became of the tags of a repository, and which of it is unexpected.

CloudTrail does not record where a tag was before an event: that is the last place that an earlier
event gave it.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from container_images.aws.trail import ARCHIVE, DELETE, EXPIRE, PUT, Record
from container_images.policies.ecr_actions import Effect, actions
from container_images.policies.exemptions import exempted_roles

EVENTS: Final = (
    *(
        action.removeprefix("ecr:")
        for action in actions(Effect.MOVE_TAG, Effect.DELETE_IMAGE, Effect.REPLICATE)
    ),
    EXPIRE,
)
"""Names of the events that write a tag, or delete, archive or expire an image."""

_TAG_EXISTS: Final = "ImageTagAlreadyExists"
"""ECR's refusal of a put where the tag is immutable and exists, even if it is on this very image:
so where a job is run again. AWS's documentation writes it with and without `Exception`."""

_OVERWRITE: Final = "a tag that does not move was to be put on another image"
_MAYBE_OVERWRITE: Final = (
    "the tag existed: it is not known whether on this image, as after a job that is run again"
)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What is expected in a repository: that these roles put images and move these tags."""

    movable_tags: frozenset[str]
    pipeline_roles: frozenset[str]
    """Their ARNs. Of none of them, a deletion is expected: the guard leaves that to others."""


@dataclass(frozen=True, kw_only=True)
class TagEvent:
    """What an event did, or would have done, to one tag of a repository."""

    repository: str | None
    """Its name. None where CloudTrail does not say it."""
    tag: str | None
    """None where CloudTrail does not say it, or there was none."""
    record: Record
    before: str | None = None
    """Digest of the image that the tag was on, as far as earlier events of the time span tell."""
    after: str | None
    """Digest of the image that it was put on, or was to be; None where it was taken away."""
    movable: bool = False
    """Whether it is one of the movable tags."""
    expected: bool | None
    """None where that cannot be known."""
    reason: str | None = None
    """Why it is unexpected, or may be."""


def tag_events(
    repository: str, records: Iterable[Record], expected: Expected, only: str | None = None
) -> list[TagEvent]:
    """What became of a repository's tags, given its records, the oldest first.

    Left out, unless unexpected: images pushed without a tag, and tags that expire and do not move.
    `only`: the events of this tag, and those that may be, as CloudTrail does not say the tag.
    """
    locations = _Locations()
    events = []
    for record in records:
        for tag in _tags(record, locations, expected, only):
            reason, is_expected = _judged(record, tag, locations, expected)
            if not _is_listed(record, tag, only, is_expected=is_expected):
                continue
            before = locations.now.get(tag) if tag else None
            events.append(
                TagEvent(
                    repository=repository,
                    tag=tag,
                    record=record,
                    before=before,
                    # What is archived keeps its tags.
                    after=before if record.event == ARCHIVE else record.put,
                    movable=tag in expected.movable_tags,
                    expected=is_expected,
                    reason=reason,
                )
            )
        locations.follow(record)
    return events


def unnamed_events(records: Iterable[Record], pipeline_roles: Collection[str]) -> list[TagEvent]:
    """The events of which CloudTrail does not say the repository, unless they are the pipeline's.

    They may be about another repository than those that were asked for: nobody can tell.
    """
    return [
        TagEvent(
            repository=None,
            tag=None,
            record=record,
            after=record.put,
            expected=False,
            reason="CloudTrail does not say in which repository",
        )
        for record in records
        if record.principal not in pipeline_roles
    ]


def newest_first(events: Sequence[TagEvent], *, unexpected_first: bool) -> list[TagEvent]:
    """Sorted; with `unexpected_first` those before the others, and the unknown between them.

    Of each repository they are given the oldest first.
    """
    newest = [*events][::-1]  # sorting leaves those of the same second as they are
    newest.sort(key=lambda event: event.record.time, reverse=True)
    if unexpected_first:
        newest.sort(key=lambda event: (False, None, True).index(event.expected))
    return newest


def settled(event: TagEvent, digest: str) -> TagEvent:
    """A refused put of an existing tag, judged by the digest of the image that the tag is on."""
    if digest == event.record.put:
        return replace(event, expected=True, reason=None)
    return replace(event, expected=False, reason=_OVERWRITE)


def unique_tags(records: Iterable[Record], movable_tags: Collection[str]) -> dict[str, str]:
    """The last tag that does not move of each image, by the image's digest."""
    return {
        record.put: tag
        for record in records
        if record.event == PUT and not record.error and record.put
        for tag in record.tags or ()
        if tag not in movable_tags
    }


def pipeline_roles(policy: str | None) -> frozenset[str]:
    """The roles that a repository policy lets move tags. Empty where no guard names them."""
    return exempted_roles(json.loads(policy or "{}"), f"ecr:{PUT}")


class _Locations:
    """Where the tags are, by the records so far."""

    def __init__(self) -> None:
        self.now: dict[str, str | None] = {}
        """Digest by tag. Of a tag that is not here, nothing is known."""
        self.last: dict[str, str] = {}
        """Where it was last put, whether or not it has been deleted since."""

    def on(self, digests: Collection[str]) -> set[str]:
        """The tags of these images."""
        return {tag for tag, digest in self.now.items() if digest in digests}

    def follow(self, record: Record) -> None:
        """Take in what an event did."""
        if record.error or record.event == ARCHIVE:
            return
        if record.tags is None:
            self.now.clear()  # it may have been any of them
        elif record.event == PUT:
            for tag in record.tags:
                self.now[tag] = record.put
                if record.put:
                    self.last[tag] = record.put
        else:
            for tag in record.tags | self.on(record.taken):
                self.now.pop(tag, None)


def _tags(
    record: Record, locations: _Locations, expected: Expected, only: str | None
) -> Sequence[str | None]:
    """The tags that an event is about; None for those that CloudTrail does not say."""
    if record.tags is None:
        return [None]
    # Whoever deletes an image by its digest takes its tags too, and need not name them.
    tags = record.tags | locations.on(record.taken)
    if record.event == EXPIRE:  # that others expire is the policy's work
        return sorted(tags & (expected.movable_tags | {only or ""}))
    return sorted(tags) or [None]


def _is_listed(
    record: Record, tag: str | None, only: str | None, *, is_expected: bool | None
) -> bool:
    if tag is not None:
        return only in {None, tag}
    if record.tags is None:  # it may be any of them
        return True
    return record.event != PUT if only else not is_expected


def _judged(
    record: Record, tag: str | None, locations: _Locations, expected: Expected
) -> tuple[str | None, bool | None]:
    """Why the event is unexpected, or may be; and whether it is expected."""
    if record.event == EXPIRE:
        if tag is None:
            return "CloudTrail does not say which images the lifecycle policy took", False
        if tag in expected.movable_tags:
            return "a lifecycle policy must not take the image of a movable tag", False
        return None, True
    moves = record.event == PUT and tag is not None and tag not in expected.movable_tags
    last = locations.last.get(tag or "")
    reasons = [*_who(record, expected)]
    exists = (record.error or "").removesuffix("Exception") == _TAG_EXISTS
    if moves and not record.error and last and record.put != last:
        reasons.append("a tag that does not move was put on another image")
    elif moves and exists and last and record.put and record.put != last:
        reasons.append(_OVERWRITE)
    elif moves and exists and not (last and record.put) and not reasons:
        return _MAYBE_OVERWRITE, None
    return "; ".join(reasons) or None, not reasons


def _who(record: Record, expected: Expected) -> Iterator[str]:
    if record.principal not in expected.pipeline_roles:
        yield "not by a pipeline role"
    elif record.event in {DELETE, ARCHIVE}:
        yield "a pipeline role neither deletes nor archives images"
    elif record.denied:
        yield "a pipeline role was denied its work"
