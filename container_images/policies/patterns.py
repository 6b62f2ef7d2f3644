"""Pure: AWS's wildcards. In a tag pattern of ECR's `*` is the only one; IAM has `?` too.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
"""

import re
from fnmatch import translate
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


@cache
def expression(pattern: str) -> re.Pattern[str]:
    """A pattern of IAM's as a regular expression, which never backtracks over a `*`."""
    return re.compile(translate(pattern.replace("[", "[[]")))


@cache
def compiled(pieces: tuple[str, ...]) -> re.Pattern[str]:
    """What matches the pieces of text in their order, with anything in between."""
    literal = (re.sub(r"[*?[]", r"[\g<0>]", piece) for piece in pieces)
    return re.compile(translate(ANY.join(literal)))
