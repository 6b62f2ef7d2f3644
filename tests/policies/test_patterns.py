"""The wildcards of tag patterns and of IAM."""

import pytest

from container_images.policies.patterns import compiled, iam_glob, tag_glob


@pytest.mark.parametrize(
    ("pattern", "text", "of_tag", "of_iam"),
    [
        ("latest", "latest", True, True),
        ("latest", "latest-2", False, False),
        ("latest", "the-latest", False, False),
        ("prod-*", "prod-", True, True),
        ("prod-*", "preprod-0", False, False),
        ("*", "a\nb", True, True),
        ("v1.2", "v1x2", False, False),
        ("a*b**c", "axbc", True, True),
        ("a*b*c", "acb", False, False),
        ("a*a", "a", False, False),
        ("a?c", "abc", False, True),
        ("a?c", "a?c", True, True),
        ("[ab]", "a", False, False),
        ("[ab]*", "[ab]c", True, True),
    ],
)
def test_a_pattern_matches_the_whole_text(
    pattern: str, text: str, *, of_tag: bool, of_iam: bool
) -> None:
    assert tag_glob(pattern, text) is of_tag
    assert iam_glob(pattern, text) is of_iam


def test_a_prefix_has_no_wildcards() -> None:
    assert compiled(("a*", "")).fullmatch("a*b")
    assert not compiled(("a*", "")).fullmatch("ab")


def test_a_pattern_of_many_stars_is_no_trap() -> None:
    """With backtracking this takes millions of steps, and minutes."""
    assert not iam_glob("*a?" * 400, "a" * 900 + "b" * 200)
    assert not tag_glob("a*" * 400 + "c", "a" * 900 + "b" * 200)
