"""What `expiring` tells: a JSON object for machines, text for people."""

from collections.abc import Sequence
from typing import Any

from registry.lifecycle.live import Difference
from registry.lifecycle.report import Report, why
from registry.terminal import brief, size


def expiring_json(report: Report, differences: Sequence[Difference] | None) -> dict[str, Any]:
    """What becomes of the images, and where AWS's preview says something else, if it was asked."""
    told = report.to_json()
    if differences is not None:
        told["differences"] = [
            {"digest": it.digest, "ours": it.ours, "aws": it.aws} for it in differences
        ]
    return told


def print_expiring(title: str, report: Report, differences: Sequence[Difference] | None) -> None:
    """What becomes of the images, those that go first; totals; what to beware of."""
    from rich.console import Console  # noqa: PLC0415 see above
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=False)
    totals = report.totals()
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("image", "tags", "pushed", "what", "why"):
        table.add_column(column, overflow="fold", no_wrap=column in {"image", "pushed", "what"})
    for it in sorted(report.verdicts, key=lambda it: it.action == "keep"):
        table.add_row(
            Text(brief(it.image.digest)),
            Text("\n".join(map(brief, it.image.tags))),
            Text(f"{it.image.pushed_at:%Y-%m-%d}"),
            Text(it.action, style="" if it.action == "keep" else "bold red"),
            Text(brief(why(it))),
        )
    if report.verdicts:
        console.print(table)
        console.print()
    archived = f", {totals['archive']:,} are archived" if totals["archive"] else ""
    console.print(
        Text(
            f"{title}: of {totals['images']:,} images {totals['expire']:,} go{archived} and "
            f"{totals['keep']:,} stay; at most {size(totals['bytesFreed'])} of "
            f"{size(totals['bytes'])} are freed"
        )
    )
    for caution in report.cautions:
        console.print(Text(f"warning: {brief(caution.text)}"))
    if differences is not None:
        for each in differences:
            console.print(
                Text(f"AWS's preview: {brief(each.digest)}: {each.aws}; here: {each.ours}")
            )
        if not differences:
            console.print(Text("AWS's preview says the same."))
