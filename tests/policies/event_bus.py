"""EventBridge, as far as the stack's rules need it: which events match, and which text is sent.

What it does not know raises, and is never a match or a miss. test_event_bus.py compares it with
EventBridge's own matcher.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import jmespath  # type: ignore[import-untyped]

from container_images.policies.document import listed

Path = tuple[str, ...]
_Leaf = tuple[Any, Mapping[Path, int]]
"""A value that is neither an object nor a list, and its place in each list that it is in."""
_Test = Callable[[Any], bool]


class UnknownPatternError(Exception):
    """The pattern or the transformer has something that is not known here."""


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether the event matches. Raises UnknownPatternError."""
    leaves: dict[Path, list[_Leaf]] = {}
    for path, leaf in _leaves(event, (), {}):
        leaves.setdefault(path, []).append(leaf)
    alternatives = [
        [(path, {"exists": False} in values, list(map(_test, values))) for path, values in fields]
        for fields in (way.items() for way in _alternatives(pattern, ()))
    ]  # all of them first: what is not known may be where nothing depends on it
    return any(_hold(fields, leaves, {}) for fields in alternatives)


def _leaves(value: Any, path: Path, places: Mapping[Path, int]) -> Iterator[tuple[Path, _Leaf]]:
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from _leaves(child, (*path, key), places)
    elif isinstance(value, list):
        for place, child in enumerate(value):
            if isinstance(child, list):
                raise UnknownPatternError(f"a list within a list, at {'.'.join(path)}")
            yield from _leaves(child, path, {**places, path: place})
    else:
        yield path, (value, places)


def _alternatives(pattern: Mapping[str, Any], path: Path) -> Iterator[dict[Path, list[Any]]]:
    """The pattern without `$or`: each way to meet it, as fields with their matchers."""
    ways: list[dict[Path, list[Any]]] = [{}]
    for key, value in pattern.items():
        if key == "$or":
            choices = [choice for branch in value for choice in _alternatives(branch, path)]
        elif isinstance(value, Mapping):
            choices = list(_alternatives(value, (*path, key)))
        elif isinstance(value, list) and value:
            choices = [{(*path, key): value}]
        else:
            raise UnknownPatternError(f"{'.'.join((*path, key))} is {value!r}")
        if any(way.keys() & choice.keys() for way in ways for choice in choices):
            raise UnknownPatternError(f"a field of {key} is in an $or and beside it")
        ways = [way | choice for way in ways for choice in choices]
    yield from ways


def _hold(
    fields: Sequence[tuple[Path, bool, list[_Test]]],
    leaves: Mapping[Path, list[_Leaf]],
    places: Mapping[Path, int],
) -> bool:
    """Whether every field has a value that matches, all of them in the same elements of lists."""
    if not fields:
        return True
    (path, may_be_absent, tests), *others = fields
    candidates = [
        (value, around)
        for value, around in leaves.get(path, [])
        if all(around.get(a_list, place) == place for a_list, place in places.items())
    ]
    if not candidates and may_be_absent:
        return _hold(others, leaves, places)
    return any(
        _hold(others, leaves, {**places, **around})
        for value, around in candidates
        if any(test(value) for test in tests)
    )


def _test(matcher: Any) -> _Test:
    """What tells whether a value that is there meets a matcher. Raises UnknownPatternError."""
    if isinstance(matcher, str | bool | int) or matcher is None:
        return lambda value: type(value) is type(matcher) and bool(value == matcher)
    if isinstance(matcher, Mapping) and len(matcher) == 1:
        [(kind, operand)] = matcher.items()
        if kind == "exists" and isinstance(operand, bool):
            return lambda _: operand
        if kind == "anything-but" and operand:
            if isinstance(operand, Mapping):
                [(inner, values)] = operand.items()
                tests = [_text_test(inner, value) for value in listed(values)]
            else:
                tests = [_text_test("equals", value) for value in listed(operand)]
            return lambda value: not any(test(value) for test in tests)
        return _text_test(kind, operand)
    raise UnknownPatternError(f"{json.dumps(matcher)} is not known")


def _text_test(kind: str, operand: Any) -> _Test:
    if kind not in _TEXTS or not isinstance(operand, str) or not operand or "\\" in operand:
        raise UnknownPatternError(f"{kind} {operand!r} is not known")
    return lambda value: isinstance(value, str) and _TEXTS[kind](value, operand)


_TEXTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "equals": str.__eq__,
    "equals-ignore-case": lambda value, text: value.lower() == text.lower(),
    "prefix": str.startswith,
    "suffix": str.endswith,
    "wildcard": lambda value, text: (
        re.fullmatch(".*".join(map(re.escape, text.split("*"))), value, re.DOTALL) is not None
    ),
}


def transformed(paths: Mapping[str, str], template: str, event: Mapping[str, Any]) -> str:
    """The text that an input transformer makes of an event.

    `template` is a JSON string in which <name> stands for the value at the path of that name, such
    as $.detail.resources[0].ARN or $.images[*].tag.
    """

    def value_of(name: re.Match[str]) -> str:
        path = paths[name[1]]
        if not re.fullmatch(r"\$(\.[\w-]+|\[(\d+|\*)\])+", path):
            raise UnknownPatternError(f"{path} is not known")
        # JMESPath has the same steps, and takes a key with a hyphen in quotes.
        query = re.sub(r"\.([\w-]+)", r'."\1"', path[1:]).removeprefix(".")
        value = jmespath.search(query, event)
        if value is None or value == []:
            return ""
        is_text = isinstance(value, str)
        return value if is_text else json.dumps(value, separators=(",", ":")).replace('"', "")

    # EventBridge escapes nothing in the values, so the text is taken out of its quotes first.
    return re.sub(r"<([\w-]+)>", value_of, str(json.loads(template)))
