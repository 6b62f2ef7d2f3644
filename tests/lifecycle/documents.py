"""Policies and images, written briefly."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from container_images.aws.image import Image
from container_images.lifecycle.document import rules_in
from container_images.lifecycle.simulation import Simulation, Verdict

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
INDEX = "application/vnd.oci.image.index.v1+json"


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def image(digest: str, *tags: str, days: float = 0, **more: Any) -> Image:
    """An image that was pushed so many days ago."""
    return Image(digest=digest, tags=tags, pushed_at=days_ago(days), **more)


def images(written: str) -> list[Image]:
    """Images as `DIGEST TAG… DAYS, …`, such as `1 latest prod-1 9, 2 0`."""
    return [
        image(*names, days=float(age))
        for *names, age in (each.split() for each in written.split(","))
    ]


def count(number: int) -> dict[str, Any]:
    return {"countType": "imageCountMoreThan", "countNumber": number}


def older(days: int, count_type: str = "sinceImagePushed") -> dict[str, Any]:
    return {"countType": count_type, "countUnit": "days", "countNumber": days}


def tagged(*patterns: str) -> dict[str, Any]:
    return {"tagStatus": "tagged", "tagPatternList": list(patterns)}


def prefixed(*prefixes: str) -> dict[str, Any]:
    return {"tagStatus": "tagged", "tagPrefixList": list(prefixes)}


UNTAGGED: dict[str, Any] = {"tagStatus": "untagged"}
ANY: dict[str, Any] = {"tagStatus": "any"}
EXPIRE: dict[str, Any] = {"type": "expire"}
ARCHIVE: dict[str, Any] = {"type": "transition", "targetStorageClass": "archive"}
IN_ARCHIVE: dict[str, Any] = {"storageClass": "archive"}
LATEST = tagged("latest") | count(1)
EXPIRE_ARCHIVED = ANY | IN_ARCHIVE | older(90, "sinceImageTransitioned")


def rule(
    priority: int, selection: dict[str, Any], action: dict[str, Any] = EXPIRE
) -> dict[str, Any]:
    return {"rulePriority": priority, "selection": selection, "action": {**action}}


def policy(*selections: dict[str, Any]) -> dict[str, Any]:
    """A policy that expires, its rules numbered from 1."""
    return {"rules": [rule(number, selection) for number, selection in enumerate(selections, 1)]}


def archiving(selection: dict[str, Any]) -> dict[str, Any]:
    """A policy of one rule that archives."""
    return {"rules": [rule(1, selection, ARCHIVE)]}


def verdicts(document: dict[str, Any], images: Sequence[Image]) -> dict[str, Verdict]:
    """What becomes of each image, by its digest."""
    simulated = Simulation(rules_in(document), images, NOW).verdicts
    return {verdict.image.digest: verdict for verdict in simulated}


def outcome(document: dict[str, Any], images: Sequence[Image]) -> dict[str, int]:
    """The images that go, each with the number of the rule that takes it."""
    rules = {digest: verdict.rule for digest, verdict in verdicts(document, images).items()}
    return {digest: number for digest, number in rules.items() if number is not None}
