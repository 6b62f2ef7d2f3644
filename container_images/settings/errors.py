"""What is wrong with a value: pydantic's errors, told as the value, the rule and the fix."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from container_images.policies.invalid_input import ABSENT, Problem
from container_images.policies.tag_mutability import MODE_ADVICE

Path = tuple[str | int, ...]
Schema = Mapping[str, Any]

_KINDS: Final = {
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "string_type": "text",
}


def problems_in(refused: ValidationError, schema: Schema) -> Iterator[tuple[Problem, ErrorDetails]]:
    """Each error, told, with pydantic's own. `schema` is the JSON schema of what was validated."""
    for error in refused.errors(include_url=False):
        where = error["loc"]
        value = ABSENT if error["type"] == "missing" else error["input"]
        if where[-1:] == ("[key]",):
            rule, fix = _of_key(_node(schema, where[:-2]))
            yield Problem(where=where[:-1], rule=rule, fix=fix), error
        elif error["type"] == "extra_forbidden":
            keys = sorted(_node(schema, where[:-1])["properties"])
            _, fix = suggested(str(where[-1]), keys, cutoff=0.5)
            rule = "there is no such key"
            yield Problem(where=where, value=value, rule=rule, fix=fix), error
        else:
            rule, fix = _told(error, _node(schema, where), _example(schema, where))
            yield Problem(where=where, value=value, rule=rule, fix=fix), error


def suggested(key: str, keys: Sequence[str], cutoff: float = 0.6) -> tuple[list[str], str]:
    """The key that an unknown one resembles, if any; and what to write in its place."""
    near = difflib.get_close_matches(key, keys, n=1, cutoff=cutoff)
    return near, f"did you mean {near[0]}?" if near else f"the keys here are {', '.join(keys)}"


def _told(error: ErrorDetails, node: Schema, example: str) -> tuple[str, str]:
    """Rule and fix. The fix shows the value that is written there, where that can be kept."""
    value, kind = error["input"], error["type"]
    fix = f"write it as {example}"
    if kind == "missing":
        return "this key is required", fix
    if value is None:
        return "a key needs a value", f"leave it out, or {fix}"
    if value == "IMMUTABLE" and kind == "literal_error":
        return "ADR040 decided that latest moves, and with it no tag can", MODE_ADVICE
    if kind == "literal_error":
        rule = f"must be one of {', '.join(node['enum'])}"
    elif kind in _KINDS and not _breaks_pattern(value, node):
        rule, fix = f"must be {_KINDS[kind]}", _converted(value, kind, node) or fix
    else:
        rule, fix = node["description"], f"write one such as {example}"
    return rule, fix


def _example(schema: Schema, where: Path) -> str:
    """A valid value of a place, as JSON: its own, or the one in the example of what it is in."""
    node = _node(schema, where)
    if "examples" in node:
        example = node["examples"][0]
    else:
        [around] = _node(schema, where[:-1])["examples"]
        example = around.get(where[-1], _OF_TYPE.get(node["type"]))
    return json.dumps(example)


_OF_TYPE: Final = {"boolean": True, "integer": 20, "string": "prod-*"}


def _breaks_pattern(value: Any, node: Schema) -> bool:
    """Whether a number would not do as text either."""
    is_number = type(value) in {int, float} and "pattern" in node
    return is_number and not re.match(node["pattern"], json.dumps(value))


def _converted(value: Any, kind: str, node: Schema) -> str | None:
    """How to write a value as one of the right kind."""
    if kind == "string_type" and type(value) in {int, float} and "pattern" in node:
        # Of a number YAML does not keep how it was written, leading zeros for instance.
        return f'write it with all its digits in quotes, such as "{json.dumps(value)}"'
    if kind == "tuple_type" and isinstance(value, str) and value:
        return f"write it as {json.dumps([value])}"
    if kind == "int_type" and isinstance(value, str) and value.isdecimal():
        return f"write it as {int(value)}, without quotes"
    return None


def _of_key(mapping: Schema) -> tuple[str, str]:
    names = mapping["propertyNames"]
    return names["description"], f"write one such as {json.dumps(names['examples'][0])}"


def _node(schema: Schema, where: Path) -> Schema:
    """The part of the schema that a place has to follow."""
    node = schema
    for step in where:
        if isinstance(step, int):
            below = node["items"]
        elif step in node.get("properties", {}):
            below = node["properties"][step]
        else:  # a mapping with any keys, or with those of a pattern
            [below] = node.get("patternProperties", {0: node.get("additionalProperties")}).values()
        reference = below.get("$ref", "").rpartition("/")[2]
        node = {**schema["$defs"].get(reference, {}), **below}
    return node
