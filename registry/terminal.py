"""How the commands write for people, and that they are still at work."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.table import Table


def tracked(steps: Sequence[str], what: str) -> Iterable[str]:
    """The steps, one by one, with a bar on standard error where that is a terminal."""
    from rich.console import Console  # noqa: PLC0415 see above
    from rich.progress import track  # noqa: PLC0415

    console = Console(stderr=True)
    return track(steps, what, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def working(what: str) -> Iterator[None]:
    """A sign on standard error that work goes on, where that is a terminal."""
    from rich.console import Console  # noqa: PLC0415 see above

    console = Console(stderr=True)
    with console.status(what) if console.is_terminal else nullcontext():
        yield


def print_table(table: "Table") -> None:
    """A table. Without a terminal each row is one line, however wide, so that grep finds it."""
    from rich.console import Console  # noqa: PLC0415 see above

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _UNBOUNDED
    console.print(table)


_UNBOUNDED: Final = 10_000
"""Characters in a line."""


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
