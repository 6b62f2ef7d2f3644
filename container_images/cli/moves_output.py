"""What `moves` prints: a JSON object for machines, a table for people."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import click

from container_images.aws.trail import ARCHIVE, DELETE, EXPIRE, PUT
from container_images.cli.tags_output import who_of
from container_images.cli.terminal import brief, iso, print_table
from container_images.tags.stack_moves import TagEvent


def moves_json(
    stack: str | None, since: datetime, until: datetime, events: Sequence[TagEvent]
) -> dict[str, Any]:
    """The events of a time span. `stack` is null where repositories were named."""
    return {
        "stack": stack,
        "since": iso(since),
        "until": iso(until),
        "events": [
            {
                "repository": it.repository,
                "tag": it.tag,
                "time": iso(it.record.time),
                "event": it.record.event,
                "principal": it.record.principal,
                "session": it.record.session,
                "pipeline": it.pipeline,
                "from": it.before,
                "to": it.after,
                "error": it.record.error,
                "unexpected": it.unexpected,
            }
            for it in events
        ],
    }


def print_moves(
    title: str,
    since: datetime,
    until: datetime,
    events: Sequence[TagEvent],
    names: Mapping[str, str],
) -> None:
    """The events, as a table. `names` are tags of the images, by digest."""
    number = "1 event" if len(events) == 1 else f"{len(events) or 'no'} events"
    strange = sum(it.unexpected is not None for it in events)
    click.echo(f"{title}, {iso(since)} to {iso(until)}: {number}, {strange or 'none'} unexpected")
    rows = []
    for it in events:
        who = who_of(it.record)
        rows.append(
            (
                iso(it.record.time),
                f"{it.repository or '?'}\n{it.tag or '?'}",
                (f"! {who}", "bold red") if it.unexpected else who,
                "\n".join(_what(it, names)),
            )
        )
    if rows:
        print_table(_COLUMNS, rows, folds=_COLUMNS[1:])


_COLUMNS: Final = ("time", "repository, tag", "who", "what")

_VERBS: Final = {DELETE: "deleted", EXPIRE: "expired", ARCHIVE: "archived or restored"}


def _what(event: TagEvent, names: Mapping[str, str]) -> list[str]:
    def short(digest: str | None) -> str:
        return brief(names.get(digest, digest)) if digest else "?"

    name = event.record.event
    if name == PUT:
        lines = [f"from {short(event.before)}", f"to   {short(event.after)}"]
    else:
        lines = [_VERBS.get(name, name), *([f"from {short(event.before)}"] * bool(event.before))]
    if event.record.error:
        lines.insert(0, f"refused: {event.record.error}")
    return [*lines, f"({event.unexpected})"] if event.unexpected else lines
