"""Pure: what became of the tags of a repository, and which of it is unexpected.

CloudTrail does not record where a tag was before an event: that is the last place that an earlier
event gave it.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from container_images.aws.trail import ARCHIVE, DELETE, EXPIRE, PUT, Record
from container_images.policies.ecr_actions import Effect, actions
from container_images.policies.exemptions import exempted_roles
from container_images.policies.patterns import tag_glob

_ACTIONS: Final = actions(Effect.MOVE_TAG, Effect.DELETE_IMAGE, Effect.REPLICATE)
EVENTS: Final = (*(action.removeprefix("ecr:") for action in _ACTIONS), EXPIRE)
"""Names of the events that write a tag, or delete, archive or expire an image."""

_OVERWRITE: Final = "a tag that does not move, put on another image"
_MAYBE_OVERWRITE: Final = (
    "the tag existed: it is not known whether on this image, as after a job that is run again"
)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What is expected in a repository: that these roles put images and move these tags."""

    movable_tags: frozenset[str]
    """And patterns of tags, which may move too."""
    pipeline_roles: frozenset[str]
    """Their ARNs. Of none of them, a deletion is expected: the guard leaves that to others."""

    def lets_move(self, tag: str) -> bool:
        """Whether the tag may be put on another image."""
        return any(tag_glob(pattern, tag) for pattern in self.movable_tags)


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

    @property
    def may_be_any(self) -> bool:
        """Whether it may be about any tag: it names none, and is no push without one."""
        return self.tag is None and (self.record.tags is None or self.record.event != PUT)


def tag_events(
    repository: str | None,
    records: Iterable[Record],
    expected: Expected,
    digest_of: Callable[[str], str | None] = lambda _: None,
) -> list[TagEvent]:
    """What became of a repository's tags, given its records, the oldest first.

    `digest_of` says which image a tag is on now, if that is known. Left out, unless unexpected:
    what was done with images that have no tag.
    """
    locations = _Locations()
    events = []
    for record in records:
        # Whoever deletes an image by its digest takes its tags too, and need not name them.
        tags = None if record.tags is None else record.tags | locations.on(record.taken)
        named: list[str | None] = [*sorted(tags or ())]
        for tag in named or [None]:
            reason, is_expected = _judged(record, tag, expected, locations.last, digest_of)
            if tag or tags is None or not is_expected:
                before = locations.now.get(tag or "")
                event = TagEvent(
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
                events.append(event)
        locations.follow(record)
    return events


def newest_first(events: Sequence[TagEvent], *, unexpected_first: bool) -> list[TagEvent]:
    """Sorted; with `unexpected_first` those before the others, and the unknown between them.

    What was done comes before what was refused: refusals anybody can cause, as many as hide it.
    Of each repository they are given the oldest first.
    """
    newest = sorted(events, key=lambda event: event.record.time)
    newest.reverse()
    if unexpected_first:
        newest.sort(
            key=lambda event: ((False, None, True).index(event.expected), bool(event.record.error))
        )
    return newest


def unique_tags(records: Iterable[Record], expected: Expected) -> dict[str, str]:
    """The last tag that does not move of each image, by the image's digest."""
    return {
        record.put: tag
        for record in records
        if record.put and not record.error
        for tag in record.tags or ()
        if not expected.lets_move(tag)
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
            self.now |= dict.fromkeys(record.tags, record.put)
            if record.put:
                self.last |= dict.fromkeys(record.tags, record.put)
        else:
            for tag in record.tags | self.on(record.taken):
                self.now.pop(tag, None)


def _judged(
    record: Record,
    tag: str | None,
    expected: Expected,
    last_puts: Mapping[str, str],
    digest_of: Callable[[str], str | None],
) -> tuple[str | None, bool | None]:
    """Why the event is unexpected, or may be; and whether it is expected."""
    error = _error_in(record, tag, expected)
    reasons = [error] if error else []
    if record.event == PUT and tag and not expected.lets_move(tag):
        last = last_puts.get(tag)
        if record.tag_exists and not (last or reasons):
            last = digest_of(tag)
        if last and (not record.error or (record.put and record.tag_exists)):
            if record.put != last:
                reasons.append(_OVERWRITE)
        elif record.tag_exists and not reasons:
            return _MAYBE_OVERWRITE, None
    return "; ".join(reasons) or None, not reasons


def _error_in(record: Record, tag: str | None, expected: Expected) -> str | None:
    """Why the event is unexpected, whatever was before it."""
    reason = None
    if record.event == EXPIRE and record.tags is None:
        reason = "CloudTrail does not say which images the lifecycle policy took"
    elif record.event == EXPIRE:
        if tag in expected.movable_tags:
            reason = "a lifecycle policy must not take the image of a movable tag"
    elif record.principal not in expected.pipeline_roles:
        reason = "not by a pipeline role"
    elif record.event in {DELETE, ARCHIVE}:
        reason = "a pipeline role neither deletes nor archives images"
    elif record.denied:
        reason = "a pipeline role was denied its work"
    return reason
