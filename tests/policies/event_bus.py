"""EventBridge, as far as the stack's rules need it: which events match, and which text is sent.

What it does not know raises, and is never a match or a miss. test_event_patterns.py compares it
with EventBridge's own matcher.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import jmespath  # type: ignore[import-untyped]

from container_images.policies.document import listed, tag_glob

Path = tuple[str, ...]
_Leaf = tuple[Path, Any, Mapping[Path, int]]
"""The path of a value that is neither an object nor a list; the value; and its place in each list
that it is in."""
_Test = Callable[[Any], bool]
_ABSENT: Final = object()


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether the event matches."""
    leaves = list(_leaves(event, (), {}))
    return any(_hold(list(way.items()), leaves, {}) for way in _alternatives(pattern, ()))


def _leaves(value: Any, path: Path, places: Mapping[Path, int]) -> Iterator[_Leaf]:
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from _leaves(child, (*path, key), places)
    elif isinstance(value, list):
        for place, child in enumerate(value):
            yield from _leaves(child, path, {**places, path: place})
    else:
        yield path, value, places


def _alternatives(pattern: Mapping[str, Any], path: Path) -> list[dict[Path, list[_Test]]]:
    """The pattern without `$or`: each way to meet it, as fields with the tests of their values."""
    ways: list[dict[Path, list[_Test]]] = [{}]
    for key, value in pattern.items():
        if key == "$or":
            choices = [choice for branch in value for choice in _alternatives(branch, path)]
        elif isinstance(value, Mapping):
            choices = _alternatives(value, (*path, key))
        else:
            assert isinstance(value, list), f"{key} is {value!r}"
            choices = [{(*path, key): [_test(matcher) for matcher in value]}]
        twice = [way.keys() & choice.keys() for way in ways for choice in choices]
        assert not any(twice), f"a field of {key} is in an $or and beside it"
        ways = [way | choice for way in ways for choice in choices]
    return ways


def _hold(
    fields: Sequence[tuple[Path, list[_Test]]], leaves: list[_Leaf], places: Mapping[Path, int]
) -> bool:
    """Whether every field has a value that matches, all of them in the same elements of lists."""
    if not fields:
        return True
    (path, tests), *others = fields
    candidates = [
        (value, around)
        for at, value, around in leaves
        if at == path
        and all(around.get(a_list, place) == place for a_list, place in places.items())
    ] or [(_ABSENT, {})]
    return any(
        any(test(value) for test in tests) and _hold(others, leaves, {**places, **around})
        for value, around in candidates
    )


def _test(matcher: Any) -> _Test:
    if not isinstance(matcher, Mapping):
        return lambda value: type(value) is type(matcher) and bool(value == matcher)
    [(kind, operand)] = matcher.items()
    if kind == "exists":
        return lambda value: (value is not _ABSENT) is operand
    if kind == "anything-but":
        [(kind, texts)] = (operand if isinstance(operand, Mapping) else {"equals": operand}).items()
        tests = [_text_test(kind, text) for text in listed(texts)]
        return lambda value: value is not _ABSENT and not any(test(value) for test in tests)
    return _text_test(kind, operand)


def _text_test(kind: str, text: str) -> _Test:
    compare = _TEXTS[kind]
    return lambda value: isinstance(value, str) and compare(value, text)


_TEXTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "equals": str.__eq__,
    "equals-ignore-case": lambda value, text: value.lower() == text.lower(),
    "prefix": str.startswith,
    "suffix": str.endswith,
    "wildcard": lambda value, text: tag_glob(text, value),
}


def transformed(transformer: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """The text that an input transformer makes of an event: <name> is the value at its path."""
    paths = transformer["input_paths"]

    def value_of(name: re.Match[str]) -> str:
        value = jmespath.search(paths[name[1]].removeprefix("$."), event)
        if value is None or value == []:
            return ""
        is_text = isinstance(value, str)
        return value if is_text else json.dumps(value, separators=(",", ":")).replace('"', "")

    # EventBridge escapes nothing in the values, so the text is taken out of its quotes first.
    return re.sub(r"<([\w-]+)>", value_of, str(json.loads(transformer["input_template"])))
