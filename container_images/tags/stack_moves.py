"""Pure: the moves of tags in many repositories, and which of them are unexpected.

`history` lists everything about one tag. This lists the moves of all tags, and leaves out most of
what a pipeline does: new images with new tags.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from container_images.aws.trail import ARCHIVE, DELETE, EXPIRE, PUT, Record
from container_images.policies.ecr_actions import Effect, actions

EVENTS: Final = (
    *(
        action.removeprefix("ecr:")
        for action in actions(Effect.MOVE_TAG, Effect.DELETE_IMAGE, Effect.REPLICATE)
    ),
    EXPIRE,
)
"""Names of the events that tell of a tag written, or of an image deleted, archived or expired."""

_REFUSED: Final = "ImageTagAlreadyExistsException"
"""The tag is immutable, and on an image already: maybe on this one, where a call was repeated."""


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
    before: str | None
    """Digest of the image that the tag was on, as far as earlier events of the time span tell."""
    after: str | None
    """Digest of the image that it was put on, or was to be; None where it was taken away."""
    pipeline: bool
    """Whether it was the call of a pipeline role."""
    unexpected: str | None
    """Why nobody expects it; None where it is as it should be."""


def tag_events(
    repository: str, records: Iterable[Record], expected: Expected, only: Collection[str] = ()
) -> list[TagEvent]:
    """What became of a repository's tags, given its records, the oldest first.

    It has every event about a movable tag, and about any other tag those that nobody expects. With
    `only`: every event about these tags. In both, also what may be about one of them, as CloudTrail
    does not say the tag.
    """
    places = _Places()
    found = []
    for record in records:
        for tag in _tags(record, places, expected):
            why = _why(record, tag, places, expected)
            if only:
                told = tag in only or (tag is None and (record.tags is None or record.event != PUT))
            else:
                told = bool(why) or tag in expected.movable_tags or record.tags is None
            if told:
                before = places.now.get(tag) if tag else None
                found.append(
                    TagEvent(
                        repository=repository,
                        tag=tag,
                        record=record,
                        before=before,
                        # What is archived keeps its tags.
                        after=before if record.event == ARCHIVE else record.put,
                        pipeline=record.principal in expected.pipeline_roles,
                        unexpected=why,
                    )
                )
        places.follow(record)
    return found


def unnamed_events(records: Iterable[Record], pipeline_roles: Collection[str]) -> list[TagEvent]:
    """The events of which CloudTrail does not say the repository, unless they are the pipeline's.

    They may be about another repository than those that were asked for: nobody can tell.
    """
    return [
        TagEvent(
            repository=None,
            tag=None,
            record=record,
            before=None,
            after=record.put,
            pipeline=False,
            unexpected="CloudTrail does not say in which repository",
        )
        for record in records
        if record.principal not in pipeline_roles
    ]


def unexpected_first(events: Iterable[TagEvent]) -> list[TagEvent]:
    """The unexpected before the others, and the newest first among each.

    Of each repository they are given the oldest first.
    """
    found = [*events]
    found.reverse()  # sorting leaves those of the same second as they are
    found.sort(key=lambda it: it.record.time, reverse=True)
    return sorted(found, key=lambda it: it.unexpected is None)


def names(records: Iterable[Record], movable_tags: Collection[str]) -> dict[str, str]:
    """A tag that stays on its image, the last that was put on it, by the image's digest."""
    return {
        record.put: tag
        for record in records
        if record.event == PUT and not record.error and record.put
        for tag in record.tags or ()
        if tag not in movable_tags
    }


class _Places:
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


def _tags(record: Record, places: _Places, expected: Expected) -> Sequence[str | None]:
    """The tags that an event is about."""
    if record.tags is None:
        return [None]
    # Whoever deletes an image by its digest takes its tags too, and need not name them.
    tags = record.tags | places.on(record.taken)
    if record.event == EXPIRE:
        return sorted(tags & expected.movable_tags)  # that others expire is the policy's work
    return sorted(tags) or [None]


def _why(record: Record, tag: str | None, places: _Places, expected: Expected) -> str | None:
    """Why nobody expects the event, or None."""
    if record.event == EXPIRE:
        if tag is None:
            return "CloudTrail does not say which images the lifecycle policy took"
        return "a lifecycle policy must not take the image of a movable tag"
    return "; ".join([*_who(record, expected), *_changed(record, tag, places, expected)]) or None


def _who(record: Record, expected: Expected) -> Iterator[str]:
    if record.principal not in expected.pipeline_roles:
        yield "not by a pipeline role"
    elif record.event in {DELETE, ARCHIVE}:
        yield "a pipeline role neither deletes nor archives images"
    elif record.denied:
        yield "a pipeline role was denied its work"


def _changed(record: Record, tag: str | None, places: _Places, expected: Expected) -> Iterator[str]:
    """A tag that does not move was put on another image, or may have been."""
    if record.event != PUT or tag is None or tag in expected.movable_tags:
        return
    last = places.last.get(tag)
    if not record.error and last and record.put != last:
        yield "a tag that does not move was put on another image"
    elif record.error == _REFUSED and (last is None or record.put != last):
        yield "a tag that does not move was to be put on another image"
