"""Pure: the tags and tag patterns that ECR accepts, and which tags a repository lets move.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
"""

import re
from collections.abc import Sequence
from typing import Final, Literal, get_args

from container_images.policies.document import tag_glob

TagMutability = Literal["MUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"]
"""The settings of this stack. ECR's fourth, IMMUTABLE, lets no tag move at all: ADR040 rules it
out."""

TAG_MUTABILITIES: Final[tuple[TagMutability, ...]] = get_args(TagMutability)

TAG: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
"""A tag, as the OCI distribution specification and Docker's client write it."""

DEFAULT_MOVABLE_TAGS: Final = ("latest",)
"""The tags that the pipeline moves where nothing says which: ADR040's."""

MAX_EXCLUSION_FILTERS: Final = 5
MAX_FILTER_WILDCARDS: Final = 2


def exclusion_filters(
    tag_mutability: str, movable_tags: Sequence[str], immutable_tags: Sequence[str]
) -> list[str]:
    """The patterns that are excluded from the repository's general rule."""
    if tag_mutability == "MUTABLE":
        return []
    return list(movable_tags if tag_mutability.startswith("IMMUTABLE") else immutable_tags)


def is_immutable(tag: str, tag_mutability: str, filters: Sequence[str]) -> bool:
    """Whether ECR refuses to put the tag on another image, in a repository so configured."""
    excluded = any(tag_glob(pattern, tag) for pattern in filters)
    return excluded != tag_mutability.startswith("IMMUTABLE")
