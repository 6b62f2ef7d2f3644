"""What the commands print: JSON, tables, text, notes and signs of work."""

import json
import re
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from shutil import get_terminal_size
from textwrap import fill
from typing import Any, Final

import click

from container_images.policies.invalid_input import printable

Cell = str | tuple[str, str]
"""What stands in a table: a text, or a text and its style in rich's words ("bold red")."""

PATIENCE: Final = 2.0
"""Seconds that a command works before it says so."""


def print_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    folds: Collection[str] = (),
    spare: Sequence[str] = (),
) -> None:
    """Print a table on standard output: headings, and one line for each row.

    Where standard output is no terminal, that holds without exception, so that grep finds whole
    rows. On a terminal cells keep their line breaks, and the columns of `folds` are folded between
    words: a tag or a digest is never broken. All else stays whole; where that does not fit, the
    columns of `spare` are left out, one after the other.
    """
    from rich.console import Console  # noqa: PLC0415 no command but those with tables needs rich
    from rich.measure import measure_renderables  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    def text(cell: Cell) -> Text:
        plain, style = cell if isinstance(cell, tuple) else (cell, "")
        lines = [printable(line) for line in plain.split("\n")]
        return Text("\n".join(lines) if on_terminal else " ".join(" ".join(lines).split()), style)

    on_terminal = sys.stdout.isatty()
    table_rows = [[text(cell) for cell in row] for row in rows]
    console = Console(highlight=False)
    unlimited = console.options.update_width(sys.maxsize)
    longest, widths = {}, {}
    for number, heading in enumerate(headings):
        column = [Text(heading), *(row[number] for row in table_rows)]
        word, longest[heading] = measure_renderables(console, unlimited, column)
        can_fold = on_terminal and heading in folds
        widths[heading] = min(longest[heading], max(word, 12)) if can_fold else longest[heading]
    for heading in spare:
        if on_terminal and _total(widths) > console.width:
            del widths[heading]
    console.width = max(console.width, _total(widths))
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading, width in widths.items():  # what is left over goes to the first that need it
        widths[heading] = min(longest[heading], width + console.width - _total(widths))
        # Told no exact width, rich would cut what does not fit, or leave a column out.
        table.add_column(heading, width=widths[heading])
    for row in table_rows:
        shown = zip(headings, row, strict=True)
        table.add_row(*(cell for heading, cell in shown if heading in widths))
    console.print(table)


def _total(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + 2 * (len(widths) - 1)  # spaces between the columns


@contextmanager
def working(what: str) -> Iterator[Callable[[Sequence[Any]], Iterable[Any]]]:
    """A sign on standard error where work takes its time: a bar, or off a terminal a line.

    The bar pulses until it is given steps to count. No line comes with --json or --markdown.
    """
    context = click.get_current_context(silent=True)
    options = context.params if context else {}
    is_quiet = not context or options.get("as_json") or options.get("as_markdown")
    bar = None
    if sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 as above
        from rich.progress import Progress  # noqa: PLC0415

        bar = Progress(console=Console(stderr=True), transient=True)
        bar.add_task(what, total=None)

    def start() -> None:
        if bar:
            bar.start()
        elif not is_quiet:
            click.echo(f"{what} …", err=True)

    timer = threading.Timer(PATIENCE, start)
    timer.daemon = True  # an interrupt does not wait for it
    timer.start()
    try:
        yield partial(bar.track, task_id=bar.task_ids[0], description=what) if bar else iter
    finally:
        timer.cancel()
        timer.join()
        if bar and bar.live.is_started:  # or it would end a line that it has not begun
            bar.stop()


def print_json(result: Mapping[str, Any]) -> None:
    """A command's result, for machines."""
    click.echo(json.dumps(result, indent=2))


def note(text: str) -> None:
    """A note on standard error; with --json, when the command ends."""
    context = click.get_current_context(silent=True)
    if context and context.obj is not None:
        context.obj.append(text)
    else:
        say(f"note: {text}")


def say(text: str) -> None:
    """A line on standard error, whatever AWS's messages are made up of."""
    click.echo(printable(" ".join(text.split())), err=True)


def print_paragraph(text: str, mark: object = "") -> None:
    """A sentence or more on standard output, behind a mark such as FAILED, if there is one.

    On a terminal within its width, else on one line.
    """
    start = f"{mark:<9}" if mark else ""
    line = f"{start}{printable(text)}"
    if sys.stdout.isatty():
        line = fill(
            line,
            get_terminal_size().columns,
            subsequent_indent=" " * len(start),
            break_long_words=False,
            break_on_hyphens=False,
        )
    color = {"FAILED": "red", "warning": "yellow", "holds": "green", "ok": "green"}.get(str(mark))
    styled = click.style(start, fg=color, bold=mark == "FAILED") if start else ""
    click.echo(styled + line[len(start) :])


def print_section(heading: str, lines: Iterable[tuple[object, str]]) -> None:
    """A heading, and lines with a mark each."""
    click.echo(f"\n{click.style(printable(heading), bold=True)}")
    for mark, text in lines:
        print_paragraph(text, mark)


def brief(text: str) -> str:
    """Digests and commits by their first digits."""
    return re.sub(r"\b(sha256:[0-9a-f]{8}|[0-9a-f]{8})[0-9a-f]{8,}\b", r"\1", text)


def iso(time: datetime) -> str:
    """A time in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
