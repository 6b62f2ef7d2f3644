"""What `images` prints: a JSON object for machines, text for people."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.filesize import decimal

from container_images.cli.terminal import brief, iso, print_paragraph, print_table
from container_images.lifecycle.listing import subject_of
from container_images.lifecycle.report import Report
from container_images.lifecycle.simulation import Verdict
from container_images.policies.tag_convention import TagConvention


def report_json(report: Report, convention: TagConvention, *, expiring: bool) -> dict[str, Any]:
    """For machines. `expiring`: without the images that are kept."""
    images = []
    for verdict in _folded(report.lost if expiring else report.verdicts):
        image, built_at = verdict.image, convention.built_at(verdict.image.tags)
        listed = {
            "digest": image.digest,
            "tags": list(image.tags),
            "subject": subject_of(image),
            "builtAt": iso(built_at) if built_at else None,
            "pushedAt": iso(image.pushed_at),
            "lastPulledAt": iso(image.pulled_at) if image.pulled_at else None,
            "size": image.size,
            "action": verdict.action if report.judged else None,
            "rule": verdict.rule,
            "shieldedBy": verdict.shielded_by,
            "why": _why(verdict) if report.judged else None,
        }
        images.append(listed)
    warnings = [
        {
            "warning": warning.kind,
            "text": warning.text,
            "rule": warning.rule and warning.rule.priority,
            "digests": list(warning.digests),
        }
        for warning in report.warnings
    ]
    totals = report.totals()
    return {"repository": report.name, "images": images, "warnings": warnings, "totals": totals}


def _why(verdict: Verdict) -> str:
    if verdict.goes_with:
        return f"goes with {verdict.goes_with}, which {verdict.decided_by} takes"
    if verdict.held_by:
        return f"the index {verdict.held_by} lists it"
    return str(verdict.decided_by or "no rule matches it")


def print_report(listing: Mapping[str, Any], *, is_judged: bool) -> None:
    """The totals, the warnings, and the images. On a terminal digests and commits are brief."""
    print_paragraph(f"{listing['repository']}: {_totals(listing, is_judged=is_judged)}")
    for warning in listing["warnings"]:
        print_paragraph(f"warning: {brief(warning['text'])}")
    shown = brief if sys.stdout.isatty() else str
    rows = [
        (
            shown(image["digest"]),
            shown("\n".join(image["tags"]) or "-"),
            *((image[key] or "-").partition("T")[0] for key in ("builtAt", "pushedAt")),
            decimal(image["size"]),
            (image["lastPulledAt"] or "-").partition("T")[0],
            image["action"] or "?",
            shown(image["why"] or "?"),
        )
        for image in listing["images"]
    ]
    if rows:
        headings = ("image", "tags", "built", "pushed", "size", "pulled", "action", "why")
        print()  # noqa: T201 an empty line
        print_table(headings, rows, folds=("why",), spare=("built", "size", "pulled", "pushed"))


def _totals(listing: Mapping[str, Any], *, is_judged: bool) -> str:
    totals = listing["totals"]
    attached = sum(totals["attachments"].values())
    if not is_judged:
        return f"{totals['images']:,} images, {decimal(totals['bytes'])}"
    parts = [f"{totals['expire']:,} of {totals['images']:,} images expire"]
    if totals["archive"]:
        parts.append(f"{totals['archive']:,} are archived")
    if attached:
        lost = attached - totals["attachments"]["keep"]
        parts.append(f"{lost:,} of {attached:,} signatures and attestations are not kept")
    freed = f"at most {decimal(totals['bytesFreed'])} of {decimal(totals['bytes'])} are freed"
    return f"{', '.join(parts)}; {freed}"


def _folded(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The newest push first; but what belongs to another of them follows it.

    That is what is attached to an image, and the untagged images that an index lists.
    """
    images = [verdict.image for verdict in verdicts]
    images.sort(key=lambda image: (image.pushed_at, image.digest), reverse=True)
    places = {image.digest: place for place, image in enumerate(images)}
    untagged = {image.digest for image in images if not image.tags}
    parents = {
        child: image.digest
        for image in images
        for child in untagged.intersection(image.children or ())
    }
    parents |= {
        image.digest: subject for image in images if (subject := subject_of(image)) in places
    }

    def path(verdict: Verdict) -> list[int]:
        digests = [verdict.image.digest]
        while (parent := parents.get(digests[0], digests[0])) not in digests:
            digests.insert(0, parent)
        return [places[digest] for digest in digests]

    return sorted(verdicts, key=path)
