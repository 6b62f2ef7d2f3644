"""The wildcards of tag patterns and of IAM."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_images.policies.patterns import iam_glob, tag_glob


@pytest.mark.parametrize(
    ("pattern", "tag", "expected"),
    [
        ("latest", "latest", True),
        ("latest", "latest-2", False),
        ("latest", "the-latest", False),
        ("prod-*", "prod-", True),
        ("prod-*", "preprod-0", False),
        ("*", "anything", True),
        ("v1.2", "v1x2", False),
        ("a?c", "abc", False),
        ("a?c", "a?c", True),
    ],
)
def test_a_pattern_matches_the_whole_tag(pattern: str, tag: str, expected: bool) -> None:  # noqa: FBT001
    assert tag_glob(pattern, tag) is expected


@given(st.text("ab*", max_size=9), st.text("ab\n", max_size=12))
def test_a_tag_matches_as_in_the_standard_library(pattern: str, tag: str) -> None:
    assert tag_glob(pattern, tag) == fnmatchcase(tag, pattern)


@given(st.text("ab*?", max_size=9), st.text("ab\n", max_size=12))
def test_a_text_fits_as_in_the_standard_library(pattern: str, text: str) -> None:
    assert iam_glob(pattern, text) == fnmatchcase(text, pattern)


def test_a_pattern_of_many_stars_is_no_trap() -> None:
    """With backtracking this takes millions of steps, and minutes."""
    assert not iam_glob("*a?" * 400, "a" * 900 + "b" * 200)
    assert not tag_glob("a*" * 400 + "c", "a" * 900 + "b" * 200)
