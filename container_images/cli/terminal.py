"""Tables, text and signs of work for people."""

import re
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING, Any, Final

import click

from container_images.policies.invalid_input import printable

if TYPE_CHECKING:
    from rich.text import Text

Cell = str | tuple[str, str]
"""What stands in a table: a text, or a text and its style in rich's words ("bold red")."""

_NARROWEST: Final = 12
"""Characters of a line in a column or a paragraph that is folded, at the least."""

_GAP: Final = 2
"""Spaces between columns."""

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
    from rich.cells import cell_len  # noqa: PLC0415 no command but those with tables needs rich
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    on_terminal = sys.stdout.isatty()
    cells = [[_text(cell, breaks_lines=on_terminal) for cell in row] for row in rows]
    longest, widths = {}, {}
    for number, heading in enumerate(headings):
        texts = [heading, *(row[number].plain for row in cells)]
        longest[heading] = max(cell_len(line) for text in texts for line in text.split("\n"))
        widths[heading] = longest[heading]
        if on_terminal and heading in folds:
            word = max(cell_len(word) for text in texts for word in text.split() or [""])
            widths[heading] = max(word, min(widths[heading], _NARROWEST))
    console = Console(highlight=False)
    for heading in spare:
        if on_terminal and _total(widths) > console.width:
            del widths[heading]
    console.width = max(console.width, _total(widths))
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False)
    for heading, width in widths.items():  # what is left over goes to the first that need it
        widths[heading] = min(longest[heading], width + console.width - _total(widths))
        # Told no exact width, rich would cut what does not fit, or leave a column out.
        table.add_column(heading, width=widths[heading])
    for row in cells:
        shown = zip(headings, row, strict=True)
        table.add_row(*(text for heading, text in shown if heading in widths))
    console.print(table)


def _total(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + _GAP * (len(widths) - 1)


def _text(cell: Cell, *, breaks_lines: bool) -> "Text":
    from rich.text import Text  # noqa: PLC0415 as above

    text, style = cell if isinstance(cell, tuple) else (cell, "")
    lines = [printable(line) for line in text.split("\n")]
    return Text("\n".join(lines) if breaks_lines else re.sub(" +", " ", " ".join(lines)), style)


@contextmanager
def working(what: str) -> Iterator[Callable[[Sequence[Any]], Iterable[Any]]]:
    """A sign on standard error where work takes its time: a bar, or off a terminal a line.

    The bar pulses until it is given steps to count. The line comes once in a command, and not with
    --json or --markdown.
    """
    bar = None
    if sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 as above
        from rich.progress import Progress  # noqa: PLC0415

        bar = Progress(console=Console(stderr=True), transient=True)
        bar.add_task(what, total=None)
    context = click.get_current_context(silent=True)
    if context and (context.params.get("as_json") or context.params.get("as_markdown")):
        context = None

    def start() -> None:
        if bar:
            bar.start()
        elif context and not context.meta.get(__name__):
            context.meta[__name__] = True
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


def print_paragraph(text: str) -> None:
    """A sentence or more on standard output: on a terminal within its width, else on one line."""
    text = printable(text)
    if sys.stdout.isatty():
        text = fill(text, max(get_terminal_size().columns, _NARROWEST), break_on_hyphens=False)
    print(text)  # noqa: T201 what a command prints


def brief(text: str) -> str:
    """Digests and commits by their first digits."""
    return re.sub(r"\b(sha256:[0-9a-f]{8}|[0-9a-f]{8})[0-9a-f]{8,}\b", r"\1", text)


def iso(time: datetime) -> str:
    """A time in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
