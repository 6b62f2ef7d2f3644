"""Pure: the settings of a stack as a program's own values, under Python's names."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic.alias_generators import to_camel

_OTHER_NAMES: Final = {"import_existing": "import", "importExisting": "import"}
"""`import` is a word of Python's."""

_NAMES_ARE_DATA: Final = {"repositories", "pullAccounts", "tags"}
"""The mappings whose keys are the team's, and no names of settings."""


def written_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values under the keys of a stack file: `tag_mutability` is `tagMutability`.

    Whole numbers are ints: Pulumi's protocol has floating-point numbers alone, and a program in
    another language hands 50 over as 50.0.
    """
    written = {}
    for name, value in values.items():
        key = _OTHER_NAMES.get(name) or to_camel(name)
        if key in _NAMES_ARE_DATA and isinstance(value, Mapping):
            written[key] = {data: _converted(item) for data, item in value.items()}
        else:
            written[key] = _converted(value)
    return written


def _converted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return written_settings(value)
    if isinstance(value, list | tuple):
        return [_converted(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
