"""The time and memory of simulating a lifecycle policy, by the number of images."""

import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from rich.console import Console

from container_images.aws.image import Image
from container_images.lifecycle.document import rules_in
from container_images.lifecycle.simulation import simulate

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_TEAMS = 12


def main(console: Console) -> None:
    """Print a line for each size. Memory is measured in a run of its own: measuring takes time."""
    rules = rules_in(fifty_rules())
    for number in (1_000, 10_000, 100_000):
        images = some_images(number)
        start = time.perf_counter()
        simulate(rules, images, _NOW)
        seconds = time.perf_counter() - start
        tracemalloc.start()
        simulate(rules, some_images(number), _NOW)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        console.print(
            f"{number:>7,} images under {len(rules)} rules: {seconds:6.3f} s, "
            f"{peak / 1_000_000:6.1f} MB with the images"
        )


def fifty_rules() -> dict[str, Any]:
    """As many rules as AWS allows, of each kind, with wildcards wherever they cost time."""
    selections: list[dict[str, Any]] = [
        {"tagStatus": "tagged", "tagPatternList": ["latest"], **_count(1)}
    ]
    for team in range(_TEAMS):
        selections += [
            {"tagStatus": "tagged", "tagPatternList": [f"prod-{team}-*"], **_count(50)},
            {"tagStatus": "tagged", "tagPatternList": [f"*-{team}-*", "*a*b*"], **_count(100)},
            {"tagStatus": "tagged", "tagPatternList": [f"stg-{team}*f*"], **_days(90)},
            {"tagStatus": "tagged", "tagPrefixList": [f"pr-{team}", "pr-"], **_days(14)},
        ]
    selections.append({"tagStatus": "any", **_count(1_000)})
    return {
        "rules": [
            {"rulePriority": priority, "selection": selection, "action": {"type": "expire"}}
            for priority, selection in enumerate(selections, start=1)
        ]
    }


def _count(number: int) -> dict[str, Any]:
    return {"countType": "imageCountMoreThan", "countNumber": number}


def _days(number: int) -> dict[str, Any]:
    return {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": number}


def some_images(number: int) -> list[Image]:
    """A year's pushes, three tags to an image, every tenth without one."""
    images = []
    for serial in range(number):
        digest = sha256(str(serial).encode()).hexdigest()
        team = int(digest[:2], 16) % _TEAMS
        stages = ("merged", "stg", "prod") if serial % 3 else ("pr", "dev", "pr")
        tags = tuple(
            f"{stage}-{team}-{digest[:40]}-{serial}{at}" for at, stage in enumerate(stages)
        )
        images.append(
            Image(
                digest=f"sha256:{digest}",
                pushed_at=_NOW - timedelta(days=365 * int(digest[:8], 16) / 0xFFFFFFFF),
                tags=tags if serial % 10 else (),
                size=100_000_000,
            )
        )
    return images


if __name__ == "__main__":
    main(Console())
