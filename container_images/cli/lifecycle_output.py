"""What `expiring` and `images` print: a JSON object for machines, text for people."""

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from container_images.aws.images import Repository
from container_images.cli.terminal import brief, iso, print_paragraph, print_table, size
from container_images.lifecycle.report import Report, outcome_json, why
from container_images.lifecycle.simulation import Verdict


def print_expiring(
    title: str, report: Report, differences: Sequence[Mapping[str, str]] | None
) -> None:
    """What becomes of the images, those that go first; totals; warnings; what AWS says."""
    rows = [
        (
            brief(it.image.digest),
            brief("\n".join(it.image.tags)),
            _day(it.image.pushed_at),
            it.action,
            brief(why(it)),
        )
        for it in sorted(report.verdicts, key=lambda it: it.action == "keep")
    ]
    _print_rows(("image", "tags", "pushed", "what", "why"), rows)
    print_paragraph(_totals(title, report))
    for warning in report.warnings:
        print_paragraph(f"warning: {brief(warning.text)}")
    for it in differences or ():
        print_paragraph(f"AWS's preview: {brief(it['digest'])}: {it['aws']}; here: {it['ours']}")
    if differences == []:
        print_paragraph("AWS's preview says the same.")


def _totals(title: str, report: Report) -> str:
    totals = report.totals()
    archived = f", {totals['archive']:,} are archived" if totals["archive"] else ""
    return (
        f"{title}: of {totals['images']:,} images {totals['expire']:,} go{archived} and "
        f"{totals['keep']:,} stay; at most {size(totals['bytesFreed'])} of "
        f"{size(totals['bytes'])} are freed"
    )


def _print_rows(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table, and an empty line; nothing where it has no rows."""
    if rows:
        spare = ("built", "size", "pulled", "pushed")
        print_table(headings, rows, folds=("tags", "why"), spare=spare)
        print()  # noqa: T201 what a command tells


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
                **{key: value if judged else None for key, value in outcome_json(it).items()},
            }
            for it in _newest_first(report.verdicts)
        ],
    }


def _newest_first(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """By the time of the push."""
    return sorted(verdicts, key=lambda it: (it.image.pushed_at, it.image.digest), reverse=True)


def _folded(verdicts: Sequence[Verdict]) -> Iterator[tuple[Verdict, str | None]]:
    """The newest first; but the untagged images that an index lists follow it, with its digest."""
    ordered = _newest_first(verdicts)
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
    """The images and their totals. On a terminal digests and commits are brief."""
    shown = brief if sys.stdout.isatty() else str
    rows = [
        (
            shown(it.image.digest),
            shown(f"(in {index})" if index else "\n".join(it.image.tags) or "-"),
            _day(repository.convention.built_at(it.image.tags)),
            _day(it.image.pushed_at),
            size(it.image.size),
            _day(it.image.pulled_at),
            it.action if judged else "?",
            shown(why(it)) if judged else "?",
        )
        for it, index in _folded(report.verdicts)
    ]
    headings = ("image", "tags", "built", "pushed", "size", "pulled", "what", "why")
    _print_rows(headings, rows)
    totals = report.totals()
    held = f"{repository}: {totals['images']:,} images, {size(totals['bytes'])}"
    print_paragraph(_totals(str(repository), report) if judged else held)


def _day(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d}" if time else "-"
