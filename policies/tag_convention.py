"""Pure: the tags that the pipeline gives an image, and what they tell of it.

`merged-`, `stg-`, `prod-` and `dev-<sha>-<epoch>`, `pr-<number>-<sha>-<epoch>`: the stage that the
image has reached, the git commit it was built from, and when that step was taken, in seconds since
1970 UTC.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

Stage = Literal["pr", "dev", "merged", "stg", "prod"]
"""How far an image has come."""

STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
"""The stages, production last."""

EXPECTED: Final = (
    "merged-, stg-, prod- or dev-<sha>-<epoch>, or pr-<number>-<sha>-<epoch>, "
    "where <sha> is 7 to 64 hex digits in lower case and <epoch> the seconds since 1970"
)

# The epoch ends in the year 5138; longer numbers are no times that a date could hold.
_UNIQUE_TAG: Final = re.compile(
    r"(?:(?P<stage>merged|stg|prod|dev)|pr-(?P<number>[1-9][0-9]{0,9}))"
    r"-(?P<sha>[0-9a-f]{7,64})-(?P<epoch>0|[1-9][0-9]{0,10})"
)


class InvalidTagError(ValueError):
    """A tag that does not follow the convention."""


class UnknownBuildError(ValueError):
    """An image whose tags do not tell, or do not agree, what it was built from."""


@dataclass(frozen=True, kw_only=True)
class UniqueTag:
    """A tag of the convention. As text it is the tag itself."""

    stage: Stage
    sha: str
    epoch: int
    number: int | None = None
    """Of the pull request, with the stage pr and no other."""

    def __str__(self) -> str:
        """The tag."""
        stage = self.stage if self.number is None else f"{self.stage}-{self.number}"
        return f"{stage}-{self.sha}-{self.epoch}"


def parse(tag: str) -> UniqueTag:
    """The tag's parts. Raises InvalidTagError where it does not follow the convention."""
    found = _UNIQUE_TAG.fullmatch(tag)
    if not found:
        raise InvalidTagError(f"the tag {tag!r} does not say its build; expected {EXPECTED}")
    return _parsed(found)


def unique_tags(tags: Iterable[str]) -> list[UniqueTag]:
    """Those that follow the convention, the furthest stage first, and the newest of a stage."""
    found = (_UNIQUE_TAG.fullmatch(tag) for tag in tags)
    parsed = [_parsed(it) for it in found if it]
    return sorted(parsed, key=lambda it: (STAGES.index(it.stage), it.epoch, str(it)), reverse=True)


def unique_tag(tags: Iterable[str]) -> UniqueTag | None:
    """The tag that says most of the image: of the furthest stage, the newest."""
    return next(iter(unique_tags(tags)), None)


def build_time(tags: Iterable[str]) -> int | None:
    """When the image was built: the lowest epoch in its tags. None where no tag tells."""
    return min((it.epoch for it in unique_tags(tags)), default=None)


def commit(tags: Iterable[str]) -> str:
    """What the image was built from, as long as one of its tags has it.

    A short sha and a longer one that begins with it are the same commit. Raises UnknownBuildError
    where no tag tells, or two tell of different commits: nothing is guessed.
    """
    tags = list(tags)
    found = sorted({it.sha for it in unique_tags(tags)}, key=len)
    if not found:
        has = f"the image has {', '.join(sorted(tags))}" if tags else "the image has no tag"
        raise UnknownBuildError(f"{has}, and none that says its build; tag it {EXPECTED}")
    longest = found[-1]
    if not all(longest.startswith(sha) for sha in found):
        raise UnknownBuildError(
            f"the image's tags disagree on its commit ({', '.join(sorted(found))}): the same bytes "
            "were built twice, or a tag was put on the wrong image; delete the wrong tag"
        )
    return longest


def _parsed(found: re.Match[str]) -> UniqueTag:
    number = found["number"]
    return UniqueTag(
        stage=next((it for it in STAGES if it == found["stage"]), "pr"),
        sha=found["sha"],
        epoch=int(found["epoch"]),
        number=int(number) if number else None,
    )
