"""What the commands about tags tell: JSON objects for machines, text for people."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from policies import tag_convention
from registry.aws.image import Image
from registry.aws.trail import DELETE, EXPIRE
from registry.tags.history import Change
from registry.tags.moves import Move
from registry.tags.resolve import Resolved
from registry.terminal import iso


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


def resolved_json(resolved: Resolved, uri: str) -> dict[str, Any]:
    """What a tag means."""
    return {
        "reference": f"{uri}@{resolved.image.digest}",
        "digest": resolved.image.digest,
        "tag": resolved.tag,
        "uniqueTag": str(resolved.unique_tag),
        "commit": resolved.commit,
        "builtAt": iso(resolved.built_at),
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
    from rich.console import Console  # noqa: PLC0415 no other command draws anything
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=False)
    events = "1 event" if len(changes) == 1 else f"{len(changes) or 'no'} events"
    console.print(Text(f"{title}, back to {iso(since)}: {events}"))
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("time", "who", "what"):
        table.add_column(column, overflow="fold")
    for change in changes:
        record = change.record
        stranger = bool(pipeline) and record.principal is not None and record.event != EXPIRE
        mark = "! " if stranger and record.principal not in pipeline else ""
        table.add_row(
            Text(iso(record.time)),
            Text(mark + _who(change), style="bold red" if mark else ""),
            Text("\n".join(_what(change, tags))),
        )
    if changes:
        console.print(table)


def _who(change: Change) -> str:
    record = change.record
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
