"""What `expiring` and `images` tell: a JSON object for machines, text for people."""

import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from shutil import get_terminal_size
from textwrap import fill
from typing import Any, Final

import typer

from registry.aws.images import Repository
from registry.lifecycle.report import Report, outcome_json, why
from registry.lifecycle.simulation import Verdict
from registry.terminal import brief, iso, size


def print_expiring(
    title: str, report: Report, differences: Sequence[Mapping[str, str]] | None
) -> None:
    """What becomes of the images, those that go first; totals; warnings; what AWS says."""
    rows = [
        (
            brief(it.image.digest),
            brief("\n".join(it.image.tags)),
            f"{it.image.pushed_at:%Y-%m-%d}",
            it.action,
            brief(why(it)),
        )
        for it in sorted(report.verdicts, key=lambda it: it.action == "keep")
    ]
    columns = ("image", "tags", "pushed", "what", "why")
    lines = [_totals(title, report)]
    lines += [f"warning: {brief(it.text)}" for it in report.warnings]
    lines += [
        f"AWS's preview: {brief(it['digest'])}: {it['aws']}; here: {it['ours']}"
        for it in differences or ()
    ]
    if differences == []:
        lines.append("AWS's preview says the same.")
    _print(table(columns, rows, _width(), fold=("tags", "why")), lines)


def _totals(title: str, report: Report) -> str:
    totals = report.totals()
    archived = f", {totals['archive']:,} are archived" if totals["archive"] else ""
    return (
        f"{title}: of {totals['images']:,} images {totals['expire']:,} go{archived} and "
        f"{totals['keep']:,} stay; at most {size(totals['bytesFreed'])} of "
        f"{size(totals['bytes'])} are freed"
    )


# --- images ---------------------------------------------------------------------------------------


def images_json(repository: Repository, report: Report, *, judged: bool) -> dict[str, Any]:
    """The images, the newest first. `judged` is whether the lifecycle policy is known."""
    return {
        "repository": repository.name,
        "images": [
            {
                "digest": it.image.digest,
                "tags": list(it.image.tags),
                "builtAt": iso(built)
                if (built := repository.convention.built_at(it.image.tags))
                else None,
                "pushedAt": iso(it.image.pushed_at),
                "sizeBytes": it.image.size,
                "lastPulledAt": iso(it.image.pulled_at) if it.image.pulled_at else None,
                **(outcome_json(it) if judged else _UNKNOWN),
            }
            for it in newest_first(report.verdicts)
        ],
    }


_UNKNOWN: Final = {"action": None, "rule": None, "shieldedBy": None}


def newest_first(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """By the time of the push."""
    return sorted(verdicts, key=lambda it: (it.image.pushed_at, it.image.digest), reverse=True)


def folded(verdicts: Sequence[Verdict]) -> Iterator[tuple[Verdict, str | None]]:
    """The newest first; but the untagged images that an index lists follow it, with its digest."""
    ordered = newest_first(verdicts)
    there = {it.image.digest for it in ordered if not it.image.tags}
    parents: dict[str, str] = {}
    parts = defaultdict[str | None, list[Verdict]](list)
    for it in ordered:
        for child in there.intersection(it.image.children or ()):
            parents.setdefault(child, it.image.digest)
    for it in ordered:
        parts[parents.get(it.image.digest)].append(it)

    def under(index: str | None) -> Iterator[tuple[Verdict, str | None]]:
        for it in parts[index]:
            yield it, index
            yield from under(it.image.digest)

    return under(None)


def print_images(repository: Repository, report: Report, *, judged: bool) -> None:
    """The images and their totals."""
    columns = ("image", "tags", "built", "pushed", "size", "pulled", "what", "why")
    rows = [
        (
            it.image.digest,
            f"(in {index})" if index else "\n".join(it.image.tags) or "-",
            _day(repository.convention.built_at(it.image.tags)),
            _day(it.image.pushed_at),
            size(it.image.size),
            _day(it.image.pulled_at),
            it.action if judged else "?",
            why(it) if judged else "?",
        )
        for it, index in folded(report.verdicts)
    ]
    spare = ("built", "size", "pulled", "pushed")
    totals = report.totals()
    held = f"{repository}: {totals['images']:,} images, {size(totals['bytes'])}"
    _print(
        table(columns, rows, _width(), fold=("tags", "why"), spare=spare),
        [_totals(str(repository), report) if judged else held],
    )


def _day(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d}" if time else "-"


# --- On a terminal and elsewhere ------------------------------------------------------------------

_GAP: Final = "  "
_LEAST: Final = 10
"""Characters that a column which folds is left at the least: those of an epoch in a tag."""


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int | None,
    *,
    fold: Collection[str],
    spare: Sequence[str] = (),
) -> Iterator[str]:
    """The lines of a table, its heading first; an empty line ends it. None where it has no rows.

    Without a width, one line for each row, however long. Within a width, digests and commits are
    brief, and only the columns in `fold` break, between words and behind hyphens, the last of them
    first. Where that does not make room, those in `spare` are left out, one after the other.
    """
    if not rows:
        return
    cells = {
        name: list(column) for name, column in zip(columns, zip(*rows, strict=True), strict=True)
    }
    if width is None:
        cells = {name: [cell.replace("\n", " ") for cell in cells[name]] for name in cells}
    else:
        cells = {name: [*map(brief, cells[name])] for name in cells}
        wanted = {
            name: max(map(len, "\n".join([name, *cells[name]]).split("\n"))) for name in cells
        }
        given = {
            name: min(wanted[name], _LEAST) if name in fold else wanted[name] for name in cells
        }
        room = width - sum(given.values()) - len(_GAP) * (len(given) - 1)
        for name in spare:
            if room < 0:
                del cells[name]
                room += given[name] + len(_GAP)
        for name in fold:
            more = max(0, min(room, wanted[name] - given[name]))
            room -= more
            cells[name] = [_folded(cell, given[name] + more) for cell in cells[name]]
    split = [
        [cell.split("\n") for cell in row] for row in (cells, *zip(*cells.values(), strict=True))
    ]
    widths = [
        max(len(line) for cell in column for line in cell) for column in zip(*split, strict=True)
    ]
    for row in split:
        for line in zip_longest(*row, fillvalue=""):
            padded = (part.ljust(size) for part, size in zip(line, widths, strict=True))
            yield _GAP.join(padded).rstrip()
    yield ""


def _folded(cell: str, width: int) -> str:
    lines = [
        line if len(line) <= width else fill(line.replace("-", "- "), width).replace("- ", "-")
        for line in cell.split("\n")
    ]
    return "\n".join(lines)


def _width() -> int | None:
    """Of the terminal that standard output is; None where it is none."""
    return get_terminal_size().columns if sys.stdout.isatty() else None


def _print(table: Iterable[str], lines: Iterable[str]) -> None:
    """A table, and lines, which a terminal shows as paragraphs."""
    for line in table:
        typer.echo(line)
    width = _width()
    for line in lines:
        typer.echo(fill(line, width) if width else line)
