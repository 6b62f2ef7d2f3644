"""What the commands about tags print: JSON objects for machines, text for people."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import click

from container_images.aws.image import Image
from container_images.aws.images import Repository
from container_images.aws.reference import is_digest
from container_images.aws.trail import DELETE, EXPIRE, Record
from container_images.cli.terminal import iso, print_table, printable
from container_images.policies.tag_convention import TagConvention
from container_images.tags.history import Change
from container_images.tags.moves import Move, Promotion
from container_images.tags.resolve import Resolved


def move_json(move: Move, caller: str, reason: str | None) -> dict[str, Any]:
    """A move, and the line that records it."""
    return {
        "repository": move.repository,
        "tag": move.tag,
        "from": _image_json(move.before) if move.before else None,
        "to": _image_json(move.after),
        "moved": move.moved,
        "dryRun": move.dry_run,
        "order": move.order,
        "caller": caller,
        "time": iso(move.time),
        "reason": reason,
    }


def move_text(repository: Repository, move: Move) -> str:
    """A move, in one line."""
    before, after = (it and repository.named(it) for it in (move.before, move.after))
    if move.before and move.before.digest == move.after.digest:
        return f"{move.tag} is on {after} already"
    verb = "would move" if move.dry_run else "moved"
    return f"{move.tag} {verb} from {before or 'no image'} to {after}"


def promotion_json(promotion: Promotion, caller: str, reason: str | None) -> dict[str, Any]:
    """A promotion, with the moves of the movable tags."""
    return {
        "tag": promotion.tag,
        "digest": promotion.digest,
        "added": promotion.added,
        "moves": [move_json(move, caller, reason) for move in promotion.moves],
    }


def promotion_text(repository: Repository, promotion: Promotion) -> str:
    """A promotion, and below it the moves."""
    if promotion.added:
        verb = "added to"
    else:
        verb = "would be added to" if promotion.missing else "was already on"
    lines = [f"{promotion.tag} {verb} {promotion.digest}"]
    return "\n".join([*lines, *(move_text(repository, it) for it in promotion.moves)])


@dataclass(frozen=True, kw_only=True)
class ResolvedReference:
    """A tag or a digest with its image, and the URI of the image's repository."""

    resolved: Resolved
    uri: str

    def __str__(self) -> str:
        """The reference by digest, which can be pulled."""
        return f"{self.uri}@{self.resolved.image.digest}"


def resolved_json(reference: ResolvedReference) -> dict[str, Any]:
    """What a tag means, or a digest; that has no tag of its own, and `tag` is null."""
    resolved = reference.resolved
    return {
        "reference": str(reference),
        "digest": resolved.image.digest,
        "tag": None if is_digest(resolved.name) else resolved.name,
        "uniqueTag": str(resolved.unique_tag) if resolved.unique_tag else None,
        "commit": resolved.commit,
        "builtAt": iso(resolved.built_at) if resolved.built_at else None,
        "tags": list(resolved.image.tags),
    }


def print_resolved(reference: ResolvedReference) -> None:
    """The reference by digest, on a line."""
    click.echo(printable(str(reference)))


@dataclass(frozen=True, kw_only=True)
class History:
    """What became of a tag."""

    title: str
    tag: str
    since: datetime
    changes: Sequence[Change]
    pipeline: frozenset[str]
    name: Callable[[str], str]
    """Of an image, by its digest."""


def history_json(history: History) -> dict[str, Any]:
    """What became of a tag."""
    return {
        "tag": history.tag,
        "since": iso(history.since),
        "events": [
            {
                "time": iso(change.record.time),
                "event": change.record.event,
                "principal": change.record.principal,
                "session": change.record.session,
                "pipeline": change.record.principal in history.pipeline,
                "from": change.before,
                "to": change.after,
                "error": change.record.error,
            }
            for change in history.changes
        ],
    }


def print_history(history: History) -> None:
    """What became of a tag, as a table."""
    changes, pipeline, name = history.changes, history.pipeline, history.name
    events = "1 event" if len(changes) == 1 else f"{len(changes) or 'no'} events"
    click.echo(f"{history.title}, back to {iso(history.since)}: {events}")
    rows = []
    for change in changes:
        record = change.record
        stranger = bool(pipeline) and record.principal is not None and record.event != EXPIRE
        mark = "! " if stranger and record.principal not in pipeline else ""
        who = (mark + who_of(record), "bold red" if mark else "")
        rows.append((iso(record.time), who, "\n".join(_what(change, name))))
    if rows:
        print_table(("time", "who", "what"), rows, folds=("who", "what"))


def who_of(record: Record) -> str:
    """Whose call it was, in a table: the last part of the name, and below it the session's."""
    if record.event == EXPIRE:
        return "the lifecycle policy"
    name = (record.principal or "unknown").rpartition("/")[2]
    return f"{name}\n{record.session}" if record.session else name


def _what(change: Change, name: Callable[[str], str]) -> list[str]:
    record = change.record
    before, after = (it and name(it) for it in (change.before, change.after))
    lines = [f"from {before or '?'}", _ENDS.get(record.event, f"to   {after or '?'}")]
    return [f"refused: {record.error}", *lines] if record.error else lines


_SHORT_SHA: Final = 8
"""Digits of a commit in a table: the lines of a build's log are 80 characters long."""

_ENDS: Final = {DELETE: "deleted", EXPIRE: "expired"}


def short_name(convention: TagConvention, tags: Mapping[str, Sequence[str]], digest: str) -> str:
    """An image by its unique tag where it still has one, with no more of the commit than needed."""
    tag = convention.unique_tag(tags.get(digest, ()))
    if tag is None:
        return digest[:19]
    return tag.text.replace(tag.sha, tag.sha[:_SHORT_SHA]) if tag.sha else tag.text


def _image_json(image: Image) -> dict[str, Any]:
    return {"digest": image.digest, "tags": list(image.tags)}
