"""Pure: what became of the tags of a repository, and which of it is unexpected.

CloudTrail does not record where a tag was before an event: that is the last place that an earlier
event gave it.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, NamedTuple

from container_images.aws.trail import ARCHIVE, DELETE, EXPIRE, PUT, Record
from container_images.policies.document import tag_glob
from container_images.policies.ecr_actions import Effect, actions

_ACTIONS: Final = actions(Effect.MOVE_TAG, Effect.DELETE_IMAGE, Effect.REPLICATE)
EVENTS: Final = (*(action.removeprefix("ecr:") for action in _ACTIONS), EXPIRE)
"""Names of the events that write a tag, or delete, archive or expire an image."""

_OVERWRITE: Final = "a tag that does not move, put on another image"
_MAYBE_OVERWRITE: Final = (
    "the tag existed: it is not known whether on this image, as after a job that is run again"
)


class TagEvent(NamedTuple):
    """What an event did, or would have done, to one tag of a repository."""

    repository: str | None
    """Its name. None where CloudTrail does not say it."""
    json: dict[str, Any]
    """For machines. `tag` is None where CloudTrail does not say it, or there was none; `from` as
    far as earlier events tell; `expected` where that cannot be known."""
    reason: str | None
    """Why it is unexpected, or may be."""
    movable: bool
    """Whether the tag is one of the movable tags."""
    unique: bool
    """Whether it has to stay on its image."""


def tag_events(
    repository: str | None,
    records: Iterable[Record],
    movable_tags: Collection[str],
    pipeline_roles: Collection[str],
    digest_of: Callable[[str], str | None] = lambda _: None,
) -> list[TagEvent]:
    """What became of a repository's tags, given its records, the oldest first.

    The pipeline roles, by their ARNs, may put images, and move the movable tags and patterns of
    tags. `digest_of` says which image a tag is on now, if that is known. Left out, unless
    unexpected: what was done with images that have no tag.
    """
    now: dict[str, str | None] = {}  # where the tags are; of one that is missing nothing is known
    last: dict[str, str] = {}  # where they were last put, whether or not they were deleted since
    events = []
    for record in records:
        # Whoever deletes an image by its digest takes its tags too, and need not name them.
        of_images = {tag for tag, digest in now.items() if digest in record.taken}
        tags = None if record.tags is None else record.tags | of_images
        for tag in sorted(tags or ()) or [""]:
            reason = _error_in(record, tag, movable_tags, pipeline_roles)
            unique = bool(tag) and not any(tag_glob(pattern, tag) for pattern in movable_tags)
            if unique and record.event == PUT:
                overwrite = _overwrite(record, tag, last, digest_of)
                reason = "; ".join(filter(None, [reason, overwrite])) or None
            if not (tag or tags is None or reason):
                continue
            before = now.get(tag)
            json = {
                "time": f"{record.time:%Y-%m-%dT%H:%M:%SZ}",
                "event": record.event,
                "tag": tag or None,
                "principal": record.principal,
                "session": record.session,
                "expected": None if reason == _MAYBE_OVERWRITE else not reason,
                "from": before,
                # What is archived keeps its tags.
                "to": before if record.event == ARCHIVE else record.put,
                "error": record.error,
            }
            events.append(TagEvent(repository, json, reason, tag in movable_tags, unique))
        if record.error or record.event == ARCHIVE:
            continue
        if tags is None:
            now.clear()  # it may have been any of them
        for tag in tags or ():
            if record.event != PUT:
                now.pop(tag, None)
                continue
            now[tag] = record.put
            if record.put:
                last[tag] = record.put
    return events


def newest_first(events: Iterable[TagEvent], *, unexpected_first: bool) -> list[TagEvent]:
    """Sorted; with `unexpected_first` those before the others, and the unknown between them.

    What was done comes before what was refused: refusals anybody can cause, as many as hide it.
    Of each repository they are given the oldest first.
    """
    newest = sorted(events, key=lambda event: str(event.json["time"]))
    newest.reverse()
    if unexpected_first:
        order = (False, None, True)
        newest.sort(
            key=lambda event: (order.index(event.json["expected"]), bool(event.json["error"]))
        )
    return newest


def _error_in(
    record: Record, tag: str, movable_tags: Collection[str], pipeline_roles: Collection[str]
) -> str | None:
    """Why the event is unexpected, wherever the tag was before."""
    if record.event == EXPIRE and record.tags is None:
        return "CloudTrail does not say which images the lifecycle policy took"
    if record.event == EXPIRE:
        taken = tag in movable_tags
        return "a lifecycle policy must not take the image of a movable tag" if taken else None
    if record.principal not in pipeline_roles:
        return "not by a pipeline role"
    if record.event in {DELETE, ARCHIVE}:
        return "a pipeline role neither deletes nor archives images"
    denied = (record.error or "").startswith(("AccessDenied", "NotAuthorized"))
    return "a pipeline role was denied its work" if denied else None


def _overwrite(
    record: Record, tag: str, last: dict[str, str], digest_of: Callable[[str], str | None]
) -> str | None:
    """Why the put of a unique tag is unexpected, or may be."""
    # Even on the image that has it already.
    exists = (record.error or "").startswith("ImageTagAlreadyExists")
    if record.error and not exists:
        return None
    place = last.get(tag) or (digest_of(tag) if exists else None)
    if place and (record.put or not record.error):
        return None if record.put == place else _OVERWRITE
    return _MAYBE_OVERWRITE if exists else None
