"""Pure: the tags that the images of a rehearsal get, by the stack's tag convention."""

from datetime import UTC, datetime
from typing import Final

from container_images.policies.tag_convention import Stage, TagConvention

_LONGEST_WAY: Final = 3


def way_of(convention: TagConvention) -> list[Stage]:
    """The stages that the image of a release goes through: the last three, if there are more.

    Those before them are of images that never get further, such as the builds of pull requests.
    """
    return list(convention.stages.values())[-_LONGEST_WAY:]


def tag_of(stage: Stage, commit: str, at: datetime, build: int) -> str:
    """The tag that a build of this commit gets when it reaches a stage. Later builds count more."""
    return stage.write(
        {
            "sha": commit,
            "epoch": int(at.timestamp()),
            "date": at.astimezone(UTC).date(),
            "semver": f"1.{build}.0",
            "number": build,
        }
    )
