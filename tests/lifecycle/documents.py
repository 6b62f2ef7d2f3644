"""Policies and images, written briefly."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from container_images.aws.image import Image
from container_images.lifecycle.document import rules_in
from container_images.lifecycle.simulation import Verdict, simulate

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
INDEX = "application/vnd.oci.image.index.v1+json"


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def image(digest: str, *tags: str, days: float = 0, **more: Any) -> Image:
    """An image that was pushed so many days ago."""
    return Image(digest=digest, tags=tags, pushed_at=days_ago(days), **more)


def images(days: Mapping[str, float]) -> list[Image]:
    """Images by digest and tags, `"1 latest prod-1"`, with the days since their push."""
    return [image(*names.split(), days=age) for names, age in days.items()]


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
ARCHIVE: dict[str, Any] = {"type": "transition", "targetStorageClass": "archive"}
IN_ARCHIVE: dict[str, Any] = {"storageClass": "archive"}
LATEST = tagged("latest") | count(1)


def rule(
    priority: int, selection: dict[str, Any], action: dict[str, Any] | None = None
) -> dict[str, Any]:
    action = {"type": "expire"} if action is None else action
    return {"rulePriority": priority, "selection": selection, "action": action}


def policy(*selections: dict[str, Any]) -> dict[str, Any]:
    """A policy that expires, its rules numbered from 1."""
    return {"rules": [rule(number, each) for number, each in enumerate(selections, start=1)]}


def archiving(selection: dict[str, Any]) -> dict[str, Any]:
    """A policy of one rule that archives."""
    return {"rules": [rule(1, selection, ARCHIVE)]}


def verdicts(document: dict[str, Any], images: Sequence[Image]) -> dict[str, Verdict]:
    """What becomes of each image, by its digest."""
    return {each.image.digest: each for each in simulate(rules_in(document), images, NOW)}


def outcome(document: dict[str, Any], images: Sequence[Image]) -> dict[str, int]:
    """The images that go, each with the number of the rule that takes it."""
    of = verdicts(document, images)
    return {digest: verdict.rule for digest, verdict in of.items() if verdict.rule is not None}
