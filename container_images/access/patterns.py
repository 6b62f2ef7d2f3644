"""Pure: what one IAM pattern says about a text, or about another pattern."""

import re
from functools import cache

from container_images.policies.patterns import expression, iam_glob


def is_pattern(text: str) -> bool:
    """Whether a text has one of IAM's wildcards."""
    return "*" in text or "?" in text


@cache
def covers(pattern: str, subject: str) -> bool | None:
    """Whether a pattern matches a text, or every text that fits another pattern.

    False where nothing fits both, and where the pattern is the narrower one: callers ask about
    that one by itself. None where the two overlap and neither lies within the other: the one case
    that cannot be decided by asking about the patterns alone.
    """
    if not is_pattern(subject):
        return iam_glob(pattern, subject)
    if _contains(pattern, subject):
        return True
    return None if not _contains(subject, pattern) and overlap(pattern, subject) else False


@cache
def _contains(outer: str, inner: str) -> bool:
    """Whether all that fits the inner pattern fits the outer one: its wildcards are characters."""
    # A `?` is one character, so it cannot stand for an asterisk, which may be many.
    regular = expression(outer.replace("?", "\0")).pattern.replace("\0", "[^*]")
    return re.fullmatch(regular, inner, re.DOTALL) is not None


@cache
def overlap(left: str, right: str) -> bool:
    """Whether a text may fit both patterns."""
    if "*" in (left[:1], right[:1]):
        star, other = (left, right) if left[:1] == "*" else (right, left)
        return overlap(star[1:], other) or bool(other and overlap(star, other[1:]))
    if not (left and right):
        return left == right
    same = left[0] == right[0] or "?" in (left[0], right[0])
    return same and overlap(left[1:], right[1:])


@cache
def as_in(name: str, arn: str) -> str:
    """A pattern of ARNs, as far as it is about the account and the service of an ARN."""
    parts, own = name.split(":", 5), arn.split(":", 5)
    if len(parts) != len(own):
        return name
    pairs = zip(parts[:-1], own, strict=False)
    return ":".join([*(mine if covers(part, mine) else part for part, mine in pairs), parts[-1]])


def within(name: str, kind: str) -> str | None:
    """A name, or what of a pattern is about one kind of ARN: `arn:aws:iam::111122223333:role/*`.

    None where it is about none of them, and where it says more than that kind.
    """
    name = as_in(name, kind)
    return name if covers(kind, name) else None
