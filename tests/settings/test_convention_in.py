"""A convention in a file: its shape, and all errors at once."""

from typing import Any

import pytest

from container_images.policies.invalid_input import InvalidInputError
from container_images.policies.tag_convention import ADR040
from container_images.settings import convention_in

CIRCULAR: list[Any] = []
CIRCULAR.append(CIRCULAR)


@pytest.mark.parametrize(
    ("written", "errors"),
    [
        ("prod", ['"prod": must be a list; write it as ["prod"]']),
        ({"a": "b"}, ['{"a": "b"}: must be a list; write it as [{"a": "b"}]']),
        ([{"stage": "a", "tag": {"semver": None}}], ['write it in quotes, such as "{semver}"']),
        (["prod", None], ['[0] = "prod": must be a mapping', "[1] = null: a key needs a value"]),
        (CIRCULAR, ["[0] = [[...]]: must be a mapping"]),
        ([{"stage": "a", "tag": "{sha}", "x": 1}], ["[0].x = 1: there is no such key"]),
        ([{"stage": "a", "tag": "v"}], ['[0].tag = "v": all tags of the stage would be']),
        ([], ["[]: a convention has at least one stage"]),
    ],
)
def test_what_is_refused(written: Any, errors: list[str]) -> None:
    with pytest.raises(InvalidInputError) as refused:
        convention_in(written)
    for problem, expected in zip(refused.value.problems, errors, strict=True):
        assert expected in str(problem)


def test_a_valid_one_is_read_as_it_is_written() -> None:
    assert convention_in(ADR040.to_data()).to_data() == ADR040.to_data()
