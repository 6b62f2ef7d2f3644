"""What `expiring` and `images` tell: a JSON object for machines, text for people."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import typer

from policies import tag_convention
from registry.aws.image import Image
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
    print_table(("image", "tags", "pushed", "what", "why"), rows, fold=("tags", "why"))
    lines = [_totals(title, report)]
    lines += [f"warning: {brief(it.text)}" for it in report.warnings]
    lines += [
        f"AWS's preview: {brief(it['digest'])}: {it['aws']}; here: {it['ours']}"
        for it in differences or ()
    ]
    if differences == []:
        lines.append("AWS's preview says the same.")
    _print_lines(lines)


def _totals(title: str, report: Report) -> str:
    totals = report.totals()
    archived = f", {totals['archive']:,} are archived" if totals["archive"] else ""
    return (
        f"{title}: of {totals['images']:,} images {totals['expire']:,} go{archived} and "
        f"{totals['keep']:,} stay; at most {size(totals['bytesFreed'])} of "
        f"{size(totals['bytes'])} are freed"
    )


# --- images ---------------------------------------------------------------------------------------


def images_json(repository: str, report: Report, *, judged: bool) -> dict[str, Any]:
    """The images, the newest first. `judged` is whether the lifecycle policy is known."""
    return {
        "repository": repository,
        "images": [
            {
                "digest": it.image.digest,
                "tags": list(it.image.tags),
                "builtAt": iso(built) if (built := built_at(it.image)) else None,
                "pushedAt": iso(it.image.pushed_at),
                "sizeBytes": it.image.size,
                "lastPulledAt": iso(it.image.pulled_at) if it.image.pulled_at else None,
                **(outcome_json(it) if judged else _UNKNOWN),
            }
            for it in newest_first(report.verdicts)
        ],
    }


_UNKNOWN: Final = {"action": None, "rule": None, "shieldedBy": None}


def built_at(image: Image) -> datetime | None:
    """When the image was built, by its tags. None where none of them tells."""
    epoch = tag_convention.build_time(image.tags)
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC)


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


def print_images(title: str, report: Report, *, judged: bool) -> None:
    """The images and their totals."""
    columns = ("image", "tags", "built", "pushed", "size", "pulled", "what", "why")
    rows = [
        (
            it.image.digest,
            f"(in {index})" if index else "\n".join(it.image.tags) or "-",
            _day(built_at(it.image)),
            _day(it.image.pushed_at),
            size(it.image.size),
            _day(it.image.pulled_at),
            it.action if judged else "?",
            why(it) if judged else "?",
        )
        for it, index in folded(report.verdicts)
    ]
    print_table(columns, rows, fold=("tags", "why"), spare=("built", "size", "pulled", "pushed"))
    totals = report.totals()
    held = f"{title}: {totals['images']:,} images, {size(totals['bytes'])}"
    _print_lines([_totals(title, report) if judged else held])


def _day(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d}" if time else "-"


# --- On a terminal and elsewhere ------------------------------------------------------------------

_GAP: Final = 2
_LEAST: Final = 10
"""Characters that a column which folds is left at the least."""


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    fold: Collection[str],
    spare: Sequence[str] = (),
) -> None:
    """A table, and an empty line; nothing where there are no rows.

    Where standard output is no terminal, one line for each row, however long. On a terminal, with
    digests and commits in brief, only the columns in `fold` break; where not even these would make
    room, those in `spare` are left out, one after the other.
    """
    if not rows:
        return
    from rich.console import Console  # noqa: PLC0415 a command's help does not need it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    if not console.is_terminal:
        lines = [[cell.replace("\n", " ") for cell in row] for row in (columns, *rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            typer.echo((" " * _GAP).join(padded).rstrip())
        typer.echo()
        return
    cells = dict(zip(columns, zip(*[map(brief, row) for row in rows], strict=True), strict=True))
    needed = {
        name: _GAP + (_LEAST if name in fold else max(map(len, (name, *cells[name]))))
        for name in columns
    }
    for name in spare:
        if sum(needed.values()) - _GAP > console.width:
            del needed[name]
    table = Table(box=None, padding=(0, _GAP, 0, 0))
    for name in needed:
        table.add_column(name, overflow="fold", no_wrap=name not in fold)
    for row in zip(*(cells[name] for name in needed), strict=True):
        table.add_row(*(Text(it, "bold red" if it in _GOING else "") for it in row))
    console.print(table)
    console.print()


_GOING: Final = ("expire", "archive")


def _print_lines(lines: Sequence[str]) -> None:
    """Each line as a paragraph where standard output is a terminal, and as one line elsewhere."""
    from rich.console import Console  # noqa: PLC0415 see above
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    for line in lines:
        console.print(Text(line), soft_wrap=not console.is_terminal)
