"""Pure: AWS's wildcards. In a tag pattern of ECR's `*` is the only one; IAM has `?` too.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
"""

import re
from functools import cache
from typing import Final

ANY: Final = "*"
"""Any number of characters, of which there may be none."""


def tag_glob(pattern: str, tag: str) -> bool:
    """Whether the whole tag matches a pattern, in which `*` is the only wildcard."""
    return compiled(tuple(pattern.split(ANY))).fullmatch(tag) is not None


def iam_glob(pattern: str, text: str) -> bool:
    """Whether the whole text fits a pattern of IAM's, in which `?` is any one character too."""
    return expression(pattern).fullmatch(text) is not None


def expression(pattern: str) -> re.Pattern[str]:
    """A pattern of IAM's as a regular expression."""
    return compiled(tuple(pattern.split(ANY)), one="?")


@cache
def compiled(pieces: tuple[str, ...], one: str | None = None) -> re.Pattern[str]:
    """What matches the pieces of text in their order, with anything in between.

    The character `one` in a piece is any one. The groups are atomic: no piece is looked for again
    once it is found. Otherwise four wildcards could keep a search busy for seconds with one text.
    """
    head, *rest = ("".join("." if it == one else re.escape(it) for it in piece) for piece in pieces)
    if not rest:
        return re.compile(head, re.DOTALL)
    *between, tail = rest
    found = "".join(f"(?>.*?{piece})" for piece in between)
    return re.compile(f"{head}{found}.*{tail}", re.DOTALL)
