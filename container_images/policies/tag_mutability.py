"""Pure: the tags and tag patterns that ECR accepts, and which tags a repository lets move.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal, get_args

from container_images.policies.patterns import tag_glob

TagMutability = Literal["MUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"]
"""The settings of this stack. ECR's fourth, IMMUTABLE, lets no tag move at all: ADR040 rules it
out."""

TAG_MUTABILITIES: Final[tuple[TagMutability, ...]] = get_args(TagMutability)

MODE_ADVICE: Final = (
    "choose MUTABLE_WITH_EXCLUSION with immutableTags for tags of a few patterns such as prod-*, "
    "or IMMUTABLE_WITH_EXCLUSION for any others (semantic versions, bare commit hashes): only the "
    "movableTags move then"
)

TAG: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
"""A tag, as the OCI distribution specification and Docker's client write it."""

DEFAULT_MOVABLE_TAGS: Final = ("latest",)
"""The tags that the pipeline moves where nothing says which: ADR040's."""

MAX_EXCLUSION_FILTERS: Final = 5
MAX_FILTER_WILDCARDS: Final = 2


def exclusion_filters(
    tag_mutability: str, movable_tags: Sequence[str], immutable_tags: Sequence[str]
) -> list[str]:
    """The patterns that are excluded from the repository's general rule.

    Raises ValueError for a tag mutability that the stack does not have.
    """
    filters = {
        "MUTABLE": (),
        "MUTABLE_WITH_EXCLUSION": immutable_tags,
        "IMMUTABLE_WITH_EXCLUSION": movable_tags,
    }
    if tag_mutability not in filters:
        raise ValueError(f"{tag_mutability!r} is not one of {', '.join(filters)}")
    return list(filters[tag_mutability])


def is_immutable(tag: str, tag_mutability: str, filters: Sequence[str]) -> bool:
    """Whether ECR refuses to put the tag on another image, in a repository so configured."""
    excluded = any(tag_glob(pattern, tag) for pattern in filters)
    return excluded != tag_mutability.startswith("IMMUTABLE")


def left_open(
    tag_mutability: str, filters: Sequence[str], patterns: Sequence[str]
) -> tuple[str, ...]:
    """Patterns of the tags, besides the movable ones, that ECR lets a push put on another image.

    `*` stands for every tag. With MUTABLE_WITH_EXCLUSION, the answer is which of the given
    `patterns`, of tags that the repository is known to have, no filter covers. (A filter that
    matches a pattern, with its `*` taken as a character, matches whatever the pattern does.)
    """
    if tag_mutability == "MUTABLE":
        return ("*",)
    known = patterns if tag_mutability == "MUTABLE_WITH_EXCLUSION" else ()
    return tuple(  # "*" says nothing of what there is
        tag for tag in known if tag != "*" and not any(tag_glob(other, tag) for other in filters)
    )


def overwriting_warning(open_tags: Mapping[str, Sequence[str]]) -> str | None:
    """One sentence about the repositories, by name, of which `left_open` says something.

    Of many, three are named.
    """
    repositories = [f"{name} ({', '.join(tags)})" for name, tags in open_tags.items() if tags]
    if not repositories:
        return None
    named = ", ".join(repositories[:3])
    if others := repositories[3:]:
        named += f" and {len(others)} more"
    return f"A push can change which image a tag names in {named}: {MODE_ADVICE}."
