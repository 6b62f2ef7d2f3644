"""What `images` prints: a JSON object for machines, text for people."""

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.filesize import decimal

from container_images.cli.terminal import brief, iso, print_paragraph, print_table
from container_images.lifecycle.attachments import subject_of
from container_images.lifecycle.report import Report, why
from container_images.lifecycle.simulation import Verdict
from container_images.policies.tag_convention import TagConvention


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The images of a repository, and what a lifecycle policy does with each."""

    name: str
    report: Report
    convention: TagConvention
    judged: bool = True
    """Whether the lifecycle policy is known."""
    expiring: bool = False
    """Only the images that are not kept are listed."""

    @property
    def verdicts(self) -> list[Verdict]:
        """The images to list, the newest push first."""
        return sorted(
            (it for it in self.report.verdicts if it.action != "keep" or not self.expiring),
            key=lambda verdict: (verdict.image.pushed_at, verdict.image.digest),
            reverse=True,
        )


def listing_json(listing: Listing) -> dict[str, Any]:
    """For machines."""
    return {
        "repository": listing.name,
        "images": [_image_json(verdict, listing) for verdict in listing.verdicts],
        "warnings": [warning.to_json() for warning in listing.report.warnings],
        "totals": listing.report.totals(),
    }


def _image_json(verdict: Verdict, listing: Listing) -> dict[str, Any]:
    image = verdict.image
    built = listing.convention.built_at(image.tags)
    return {
        "digest": image.digest,
        "tags": list(image.tags),
        "subject": subject_of(image),
        "builtAt": iso(built) if built else None,
        "pushedAt": iso(image.pushed_at),
        "lastPulledAt": iso(image.pulled_at) if image.pulled_at else None,
        "size": image.size,
        "action": verdict.action if listing.judged else None,
        "rule": verdict.rule,
        "shieldedBy": verdict.shielded_by,
    }


def print_listing(listing: Listing) -> None:
    """The totals, the warnings, and the images. On a terminal digests and commits are brief."""
    print_paragraph(_totals(listing))
    for warning in listing.report.warnings:
        print_paragraph(f"warning: {brief(warning.text)}")
    shown = brief if sys.stdout.isatty() else str
    rows = [
        (
            shown(verdict.image.digest),
            shown("\n".join(verdict.image.tags) or (f"(in {parent})" if parent else "-")),
            _day(listing.convention.built_at(verdict.image.tags)),
            _day(verdict.image.pushed_at),
            decimal(verdict.image.size),
            _day(verdict.image.pulled_at),
            verdict.action if listing.judged else "?",
            shown(why(verdict)) if listing.judged else "?",
        )
        for verdict, parent in _folded(listing.verdicts)
    ]
    if rows:
        headings = ("image", "tags", "built", "pushed", "size", "pulled", "action", "why")
        print()  # noqa: T201 an empty line
        print_table(headings, rows, folds=("why",), spare=("built", "size", "pulled", "pushed"))


def _totals(listing: Listing) -> str:
    totals = listing.report.totals()
    attached = totals["attachments"]
    held = f"{totals['images']:,} images"
    attachments = sum(attached.values())
    if not listing.judged:
        beside = f" and {attachments:,} attachments" if attachments else ""
        return f"{listing.name}: {held}{beside}, {decimal(totals['bytes'])}"
    parts = [f"{totals['expire']:,} of {held} expire"]
    if totals["archive"]:
        parts.append(f"{totals['archive']:,} are archived")
    if attachments:
        lost = attachments - attached["keep"]
        parts.append(f"{lost:,} of {attachments:,} signatures and attestations are not kept")
    freed = f"at most {decimal(totals['bytesFreed'])} of {decimal(totals['bytes'])} are freed"
    return f"{listing.name}: {', '.join(parts)}; {freed}"


def _folded(verdicts: Sequence[Verdict]) -> Iterator[tuple[Verdict, str | None]]:
    """The same; but what belongs to another of them follows it, with its digest.

    That is what is attached to an image, and the untagged images that an index lists.
    """
    listed = {verdict.image.digest for verdict in verdicts}
    untagged = {verdict.image.digest for verdict in verdicts if not verdict.image.tags}
    parents: dict[str, str] = {}
    for verdict in verdicts:
        digest, subject = verdict.image.digest, subject_of(verdict.image)
        if subject in listed:
            parents[digest] = subject
        for child in untagged.intersection(verdict.image.children or ()):
            parents.setdefault(child, digest)
    parts = defaultdict[str | None, list[Verdict]](list)
    for verdict in verdicts:
        parts[parents.get(verdict.image.digest)].append(verdict)

    def under(parent: str | None) -> Iterator[tuple[Verdict, str | None]]:
        for verdict in parts.pop(parent, ()):
            yield verdict, parent
            yield from under(verdict.image.digest)

    yield from under(None)
    for parent in list(parts):  # only tags that name each other can leave any
        yield from under(parent)


def _day(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d}" if time else "-"
