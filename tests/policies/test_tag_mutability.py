"""Which tags match a pattern, and which of them ECR lets move."""

import botocore.session
import pytest

from container_images.policies.forms import TAG_PATTERN
from container_images.policies.tag_mutability import (
    MAX_EXCLUSION_FILTERS,
    TAG_MUTABILITIES,
    is_immutable,
)


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


@pytest.mark.parametrize("pattern", ["-a", ".a", "", "a" * 129, "a b", "ä", "a\n"])
def test_no_pattern_that_ecr_refuses_or_that_matches_no_tag(pattern: str) -> None:
    assert not TAG_PATTERN.fits(pattern)
