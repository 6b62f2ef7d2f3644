"""What is wrong with a value: pydantic's errors, as the value, the rule and the fix."""

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from container_images.policies.invalid_input import ABSENT, Problem

Path = tuple[str | int, ...]
Schema = Mapping[str, Any]


def check(adapter: TypeAdapter[Any], written: Any) -> tuple[Any, Any, list[Problem]]:
    """The value that is written; what of it is valid; and its errors.

    There is no value if there are errors. In what is valid, an invalid value is None, and so is an
    item of a list as a whole; an unknown key is left out.
    """
    try:
        return adapter.validate_python(written), written, []
    except ValidationError as refused:
        errors = refused.errors(include_url=False)
    # A list of which no item is valid is too short as well.
    errors = [each for each in errors if each["type"] != "too_short" or not each["input"]]
    valid = deepcopy(written)
    for error in errors:
        if error["loc"][-1:] not in {(), ("[key]",)}:  # what is under such a key may be valid
            _invalidate(valid, error)
    schema = adapter.json_schema()
    return None, valid, [_problem(error, schema) for error in errors]


def _invalidate(valid: Any, error: ErrorDetails) -> None:
    where = error["loc"]
    items = (position for position, step in enumerate(where, 1) if isinstance(step, int))
    *outer, last = where[: next(items, None)]
    for step in outer:
        valid = valid[step]
        if valid is None:  # was invalid as a whole
            return
    valid[last] = None
    if error["type"] == "extra_forbidden" and last == where[-1]:
        del valid[last]


def suggested(key: str, keys: Sequence[str]) -> str:
    """What to write in place of an unknown key."""
    near = difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"the keys here are {', '.join(keys)}"


def _problem(error: ErrorDetails, schema: Schema) -> Problem:
    where, value = error["loc"], error["input"]
    if error["type"] == "extra_forbidden":
        keys, _ = _node(schema, where[:-1])
        rule, fix = "there is no such key", suggested(str(where[-1]), sorted(keys["properties"]))
    else:
        node, example = _node(schema, where)
        rule, fix = _rule_and_fix(error, node, json.dumps(example))
    place = tuple(step for step in where if step != "[key]")
    value = ABSENT if error["type"] == "missing" or place != where else value
    return Problem(where=place, value=value, rule=rule, fix=fix)


_RULES: Final = {
    "missing": ("this key is required", "write it as {example}"),
    "too_short": ("must have at least one entry", "write it as {example}"),
    "too_long": ("AWS takes at most {max_length}", "leave the others out"),
    "literal_error": (
        "must be one of {expected}: ADR040 decided that latest moves, and with IMMUTABLE none can",
        "write it as {example}",
    ),
    "rule": ("{rule}", "{fix}"),
}
_KINDS: Final = {
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "string_type": "text",
}


def _rule_and_fix(error: ErrorDetails, node: Schema, example: str) -> tuple[str, str]:
    value, kind = error["input"], error["type"]
    if kind in _RULES:
        words = {**error.get("ctx", {}), "example": example}
        rule, fix = _RULES[kind]
        return rule.format(**words), fix.format(**words)
    if value is None:
        return "a key needs a value", f"leave it out, or write it as {example}"
    if isinstance(value, dict) and value.keys() == {"secure"}:
        rule = "it is encrypted, and only the Pulumi CLI can decrypt it"
        return rule, "use a stack file with a placeholder in plain text"
    as_meant = _as_meant(value, kind, node)
    if kind not in _KINDS or ("pattern" in node and not as_meant):
        return node["description"], f"write one such as {example}"
    return f"must be {_KINDS[kind]}", as_meant or f"write it as {example}"


def _as_meant(value: Any, kind: str, node: Schema) -> str | None:
    """The fix that keeps the value that is written, if there is one."""
    is_number = type(value) in {int, float}
    if is_number and "pattern" in node and re.match(node["pattern"], str(value)):
        # Of a number YAML does not keep how it was written, leading zeros for instance.
        return f'write it with all its digits in quotes, such as "{value}"'
    if kind == "list_type" and value and isinstance(value, str | dict):
        return f"write it as {json.dumps([value])}"
    if kind == "string_type" and isinstance(value, dict) and [*value.values()] == [None]:
        [name] = value  # YAML takes {semver} for a mapping
        return f'write it in quotes, such as "{{{name}}}"'
    if kind == "int_type" and isinstance(value, str) and value.isdecimal():
        return f"write it as {int(value)}, without quotes"
    return None


def _node(schema: Schema, where: Path) -> tuple[Schema, Any]:
    """The part of the schema that a place has to follow, and a valid value for it."""
    above, node, example = schema, schema, _example(schema, None)
    for step in where:
        if step == "[key]":
            below = above["propertyNames"]
        elif isinstance(step, int):
            below = node["items"]
        elif step in node.get("properties", {}):
            below = node["properties"][step]
        else:  # a mapping with any keys, or with those of a pattern
            [below] = node.get("patternProperties", {0: node.get("additionalProperties")}).values()
        reference = below.get("$ref", "").rpartition("/")[2]
        above, node = node, {**schema.get("$defs", {}).get(reference, {}), **below}
        around: Any = example if isinstance(example, dict) else {}
        example = _example(node, around.get(step))
    return node, example


def _example(node: Schema, within: Any) -> Any:
    """A valid value: its own, that of an item, the one in the example of what it is in, or any."""
    if "examples" in node:
        return node["examples"][0]
    items = node.get("items", {}).get("examples")
    of_type = {"boolean": True, "integer": 20, "string": "prod-*"}
    return items or within or of_type.get(node.get("type", ""))
