"""Pure: the tags that the images of a rehearsal get, by the settings of the stack."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from container_images.policies.tag_convention import (
    ADR040,
    Stage,
    TagConvention,
    problems_in,
    uncovered,
)
from container_images.settings import StackSettings

_LONGEST_WAY: Final = 3


def way_of(convention: TagConvention) -> list[Stage]:
    """The stages that the image of a release goes through: the last three, if there are more.

    Those before them are of images that never get further, such as the builds of pull requests.
    """
    return list(convention.stages.values())[-_LONGEST_WAY:]


def written(stage: Stage, commit: str, at: datetime, build: int) -> str:
    """The tag that a build of this commit gets when it reaches a stage. Later ones count more."""
    return stage.write(
        {
            "sha": commit,
            "epoch": int(at.timestamp()),
            "date": at.astimezone(UTC).date(),
            "semver": f"1.{build}.0",
            "number": build,
        }
    )


def convention_of(settings: StackSettings, name: str) -> TagConvention:
    """By which the images of a repository get their tags.

    The stack's own convention; without one ADR040's, unless the immutable patterns, or without any
    those of the retention, do not match the tags of its releases: then what the patterns suggest.
    """
    if (own := settings.convention).to_data() != ADR040.to_data():
        return own
    repository = settings.repositories[name]
    immutable = (
        repository.immutable_tags if repository.tag_mutability == "MUTABLE_WITH_EXCLUSION" else ()
    )
    patterns = immutable or [rule.tags for rule in repository.retention if rule.tags]
    if not patterns or uncovered(way_of(ADR040)[-1], patterns) is None:
        return ADR040
    stages = _suggested(patterns)
    return TagConvention(stages) if stages else ADR040


def _suggested(patterns: Iterable[str]) -> list[Stage]:
    """A stage for each pattern that has tags of builds, and none of another's."""
    stages: list[Stage] = []
    for pattern in dict.fromkeys(patterns):
        text, *rest = pattern.split("*")
        name = re.sub(r"[^a-z]", "", text, flags=re.IGNORECASE) or "build"
        if name in {it.name for it in stages}:
            name += str(len(stages))
        templates = ["{sha}*{epoch}", "{sha}*{number}"] if rest[1:] else ["{sha}-{epoch}", "{sha}"]
        if text.endswith("v"):
            templates = ["{semver}", *templates]
        for template in templates if rest else ():
            parts = re.split(r"(?<=\})\*(?=\{)", template)
            filled = text + "".join(map("".join, zip(parts, rest, strict=False)))
            stage = Stage(name=name, template=filled)
            if filled.count("{") and not list(problems_in([*stages, stage])):
                stages.append(stage)
                break
    return stages
