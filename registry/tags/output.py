"""What the commands about tags tell: JSON objects for machines, text for people."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import typer

from policies import tag_convention
from registry.aws.image import Image
from registry.aws.reference import is_digest
from registry.aws.trail import DELETE, EXPIRE, Record
from registry.tags.history import Change
from registry.tags.moves import Move, Promotion
from registry.tags.resolve import Resolved
from registry.terminal import iso, print_table


def move_json(move: Move, caller: str, reason: str | None) -> dict[str, Any]:
    """A move, and the line that records it."""
    return {
        "repository": move.repository,
        "tag": move.tag,
        "from": _image_json(move.before) if move.before else None,
        "to": _image_json(move.after),
        "moved": move.moved,
        "dryRun": move.dry_run,
        "caller": caller,
        "time": iso(move.time),
        "reason": reason,
    }


def move_text(move: Move) -> str:
    """A move, in one line."""
    if move.before and move.before.digest == move.after.digest:
        return f"{move.tag} is on {move.after} already"
    verb = "would move" if move.dry_run else "moved"
    return f"{move.tag} {verb} from {move.before or 'no image'} to {move.after}"


def promotion_json(promotion: Promotion, latest: Mapping[str, Any] | None) -> dict[str, Any]:
    """A promotion, with the move of the movable tag; `dryRun` is there if it was one."""
    told = {
        "tag": promotion.tag,
        "digest": promotion.digest,
        "added": promotion.added,
        "latest": latest,
    }
    return told | ({"dryRun": True} if promotion.dry_run else {})


def promotion_text(promotion: Promotion) -> str:
    """A promotion, and below it the move."""
    if promotion.added:
        verb = "added to"
    else:
        verb = "would be added to" if promotion.missing else "was already on"
    lines = [f"{promotion.tag} {verb} {promotion.digest}"]
    return "\n".join([*lines, *([move_text(promotion.latest)] if promotion.latest else [])])


def resolved_json(resolved: Resolved, uri: str) -> dict[str, Any]:
    """What a tag means, or a digest; that has no tag of its own, and `tag` is null."""
    return {
        "reference": f"{uri}@{resolved.image.digest}",
        "digest": resolved.image.digest,
        "tag": None if is_digest(resolved.name) else resolved.name,
        "uniqueTag": str(resolved.unique_tag) if resolved.unique_tag else None,
        "commit": resolved.commit,
        "builtAt": iso(resolved.built_at) if resolved.built_at else None,
        "tags": list(resolved.image.tags),
    }


def history_json(
    tag: str, since: datetime, changes: Sequence[Change], pipeline: frozenset[str]
) -> dict[str, Any]:
    """What became of a tag."""
    return {
        "tag": tag,
        "since": iso(since),
        "events": [
            {
                "time": iso(it.record.time),
                "event": it.record.event,
                "principal": it.record.principal,
                "session": it.record.session,
                "pipeline": it.record.principal in pipeline,
                "from": it.before,
                "to": it.after,
                "error": it.record.error,
            }
            for it in changes
        ],
    }


def print_history(
    title: str,
    since: datetime,
    changes: Sequence[Change],
    pipeline: frozenset[str],
    tags: Mapping[str, Sequence[str]],
) -> None:
    """What became of a tag, as a table. `tags` are those of the images, by digest."""
    events = "1 event" if len(changes) == 1 else f"{len(changes) or 'no'} events"
    typer.echo(f"{title}, back to {iso(since)}: {events}")
    rows = []
    for change in changes:
        record = change.record
        stranger = bool(pipeline) and record.principal is not None and record.event != EXPIRE
        mark = "! " if stranger and record.principal not in pipeline else ""
        who = (mark + who_of(record), "bold red" if mark else "")
        rows.append((iso(record.time), who, "\n".join(_what(change, tags))))
    if rows:
        print_table(("time", "who", "what"), rows, folds=("who", "what"))


def who_of(record: Record) -> str:
    """Whose call it was, in a table: the last part of the name, and below it the session's."""
    if record.event == EXPIRE:
        return "the lifecycle policy"
    name = (record.principal or "unknown").rpartition("/")[2]
    return f"{name}\n{record.session}" if record.session else name


def _what(change: Change, tags: Mapping[str, Sequence[str]]) -> list[str]:
    record = change.record
    lines = [f"from {_short(change.before, tags)}"]
    if record.event in _ENDS:
        lines.append(_ENDS[record.event])
    else:
        lines.append(f"to   {_short(change.after, tags)}")
    return [f"refused: {record.error}", *lines] if record.error else lines


_SHORT_SHA: Final = 8
"""Digits of a commit in a table: the lines of a build's log are 80 characters long."""

_ENDS: Final = {DELETE: "deleted", EXPIRE: "expired"}


def _short(digest: str | None, tags: Mapping[str, Sequence[str]]) -> str:
    """An image by its unique tag where it still has one, with no more of the commit than needed."""
    if digest is None:
        return "?"
    tag = tag_convention.unique_tag(tags.get(digest, ()))
    return str(replace(tag, sha=tag.sha[:_SHORT_SHA])) if tag else digest[:19]


def _image_json(image: Image) -> dict[str, Any]:
    return {"digest": image.digest, "tags": list(image.tags)}
