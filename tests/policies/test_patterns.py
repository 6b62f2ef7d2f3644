"""The wildcards of tag patterns and of IAM, and which tags ECR lets move."""

import botocore.session
import pytest

from container_images.policies.document import compiled, iam_glob, tag_glob
from container_images.policies.forms import (
    MAX_EXCLUSION_FILTERS,
    TAG_MUTABILITIES,
    TAG_PATTERN,
    is_immutable,
)


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


@pytest.mark.parametrize(
    ("tag_mutability", "filters", "immutable"),
    [
        ("MUTABLE", [], set()),
        ("IMMUTABLE", [], {"latest", "prod-1", "other"}),
        ("MUTABLE_WITH_EXCLUSION", ["prod-*"], {"prod-1"}),
        ("IMMUTABLE_WITH_EXCLUSION", ["latest"], {"prod-1", "other"}),
    ],
)
def test_which_tags_stay(tag_mutability: str, filters: list[str], immutable: set[str]) -> None:
    tags = {"latest", "prod-1", "other"}
    assert {tag for tag in tags if is_immutable(tag, tag_mutability, filters)} == immutable


def test_the_limits_are_those_of_the_service_model() -> None:
    model = botocore.session.get_session().get_service_model("ecr")
    values = model.shape_for("ImageTagMutability").metadata["enum"]
    assert set(values) == {*TAG_MUTABILITIES, "IMMUTABLE"}
    filters = model.shape_for("ImageTagMutabilityExclusionFilters").metadata
    assert filters["max"] == MAX_EXCLUSION_FILTERS
    assert model.shape_for("ImageTagMutabilityExclusionFilterValue").metadata["max"] == 128


def test_no_pattern_that_ecr_refuses_or_that_matches_no_tag() -> None:
    assert not any(map(TAG_PATTERN.fits, ["-a", ".a", "", "a" * 129, "a b", "ä", "a\n"]))
