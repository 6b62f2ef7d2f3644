"""Tables, text and progress for people."""

import re
import sys
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from shutil import get_terminal_size
from textwrap import fill
from typing import Final, Literal, Protocol, TypeVar

Cell = str | tuple[str, str]
"""What stands in a table: a text, or a text and its style in rich's words ("bold red")."""

_Step = TypeVar("_Step")

_NARROWEST: Final = 12
"""Characters of a line in a column or a paragraph that is folded, at the least."""

_GAP: Final = 2
"""Spaces between columns."""

_CONTROLS: Final = re.compile(
    # C0, DEL and C1; the marks, embeddings, overrides and isolates that turn the direction of
    # writing; and Unicode's own line breaks. https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)


def printable(text: str) -> str:
    r"""The text with every control character as its escape, such as \x1b.

    Tags, principals and messages come from AWS, from events that anybody can cause, and from files:
    printed as they are, they could erase or reorder what stands beside them on a terminal.
    """
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def print_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    folds: Collection[str] = (),
    right: Collection[str] = (),
    spare: Sequence[str] = (),
) -> None:
    """Print a table on standard output: headings, and one line for each row.

    Where standard output is no terminal, that holds without exception, so that grep finds whole
    rows: nothing is folded or cut, and a line break in a cell becomes a space. On a terminal cells
    keep their line breaks, and the columns of `folds` are folded to the terminal's width, between
    words: a tag or a digest is never broken. All else stays whole, however narrow it is; where that
    does not fit, the columns of `spare` are left out, one after the other. The columns of `right`
    are set to the right.
    """
    from rich.cells import cell_len  # noqa: PLC0415 no command but those with tables needs rich
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    on_terminal = sys.stdout.isatty()
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False)
    cells = [[_printable_cell(cell, breaks_lines=on_terminal) for cell in row] for row in rows]
    longest, widths = {}, {}
    for number, heading in enumerate(headings):
        texts = [heading, *(row[number][0] for row in cells)]
        longest[heading] = max(cell_len(line) for text in texts for line in text.split("\n"))
        widths[heading] = longest[heading]
        if on_terminal and heading in folds:
            word = max(cell_len(word) for text in texts for word in text.split() or [""])
            widths[heading] = max(word, min(longest[heading], _NARROWEST))
    console = Console(highlight=False)
    for heading in spare:
        if on_terminal and _total(widths) > console.width:
            del widths[heading]
    for heading, width in widths.items():  # what is left over goes to the first that need it
        room = max(console.width - _total(widths), 0)
        widths[heading] = min(longest[heading], width + room) if on_terminal else width
        side: Literal["left", "right"] = "right" if heading in right else "left"
        table.add_column(heading, overflow="fold", width=widths[heading], justify=side)
    for row in cells:
        shown = zip(headings, row, strict=True)
        table.add_row(*(Text(text, style) for name, (text, style) in shown if name in widths))
    console.width = max(console.width, _total(widths))
    console.print(table)


def _total(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + _GAP * (len(widths) - 1)


def _printable_cell(cell: Cell, *, breaks_lines: bool) -> tuple[str, str]:
    text, style = cell if isinstance(cell, tuple) else (cell, "")
    lines = [printable(line) for line in text.split("\n")]
    if breaks_lines:
        return "\n".join(lines), style
    return re.sub(" +", " ", " ".join(lines)), style


PATIENCE: Final = 2.0
"""Seconds that a command works before it says so."""


class Counted(Protocol):
    """Gives the steps of some work, one by one, and may show how many of them are done."""

    def __call__(self, steps: Sequence[_Step], /) -> Iterable[_Step]:
        """The same steps."""


@contextmanager
def working(what: str) -> Iterator[Counted]:
    """A bar on standard error where work takes its time, on a terminal only.

    It pulses until it is given steps to count.
    """
    if not sys.stderr.isatty():
        yield iter
        return
    from rich.console import Console  # noqa: PLC0415 see above
    from rich.progress import Progress  # noqa: PLC0415

    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task(what, total=None)
    timer = threading.Timer(PATIENCE, bar.start)
    timer.daemon = True  # an interrupt does not wait for it
    timer.start()
    try:
        yield partial(bar.track, task_id=task, description=what)
    finally:
        timer.cancel()
        timer.join()
        if bar.live.is_started:  # or it would end a line that it has not begun
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


def size(number: int) -> str:
    """Bytes, in the unit that fits."""
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < _THOUSAND:
            return f"{amount:.3g} {unit}"
        amount /= _THOUSAND
    return f"{amount:,.3g} TB"


_THOUSAND: Final = 1000


def iso(time: datetime) -> str:
    """A time in UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
