"""EventBridge, as far as the rules of a stack need it: which events match, and what is then sent.

What it does not know is an error, never a match and never a miss. docs/audit.md says with
which evaluator it was compared.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import jmespath  # type: ignore[import-untyped]

from container_images.policies.document import listed

Path = tuple[str, ...]


class UnknownPatternError(Exception):
    """The pattern or the transformer has something that this bus does not know."""


_Leaf = tuple[Any, Mapping[Path, int]]
"""A value of the event that is neither an object nor a list; the lists that it is in, and its place
in each."""


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether the event matches. Raises UnknownPatternError."""
    leaves: dict[Path, list[_Leaf]] = {}
    for path, leaf in _leaves(event, (), {}):
        leaves.setdefault(path, []).append(leaf)
    wanted = [
        [(path, {"exists": False} in them, list(map(_test, them))) for path, them in fields.items()]
        for fields in _alternatives(pattern, ())
    ]  # all of them first: what is not known may be where nothing depends on it
    return any(_hold(fields, leaves, {}) for fields in wanted)


def _leaves(value: Any, path: Path, places: Mapping[Path, int]) -> Iterator[tuple[Path, _Leaf]]:
    if isinstance(value, Mapping):
        for key, child in value.items():
            yield from _leaves(child, (*path, key), places)
    elif isinstance(value, list):
        for place, child in enumerate(value):
            if not isinstance(child, list):
                yield from _leaves(child, path, {**places, path: place})
            else:
                raise UnknownPatternError(f"a list within a list, at {'.'.join(path)}")
    else:
        yield path, (value, places)


def _alternatives(pattern: Mapping[str, Any], path: Path) -> Iterator[dict[Path, list[Any]]]:
    """The pattern without `$or`: each way to meet it, as fields with their matchers."""
    ways: list[dict[Path, list[Any]]] = [{}]
    for key, value in pattern.items():
        if key == "$or":
            choices = [it for one in value for it in _alternatives(one, path)]
        elif isinstance(value, Mapping):
            choices = list(_alternatives(value, (*path, key)))
        elif isinstance(value, list) and value:
            choices = [{(*path, key): value}]
        else:
            raise UnknownPatternError(f"{'.'.join((*path, key))} is {value!r}")
        if twice := {it for way in ways for one in choices for it in way.keys() & one.keys()}:
            raise UnknownPatternError(f"{sorted(twice)} is in an $or and beside it")
        ways = [way | choice for way in ways for choice in choices]
    yield from ways


def _hold(
    fields: Sequence[tuple[Path, bool, list[Callable[[Any], bool]]]],
    leaves: Mapping[Path, list[_Leaf]],
    places: Mapping[Path, int],
) -> bool:
    """Whether every field has a value that matches, all of them of the same elements of lists."""
    if not fields:
        return True
    (path, may_be_absent, tests), *others = fields
    # One match is about one element of each list.
    candidates = [
        (value, around)
        for value, around in leaves.get(path, [])
        if all(around.get(it, place) == place for it, place in places.items())
    ]
    if not candidates and may_be_absent:
        return _hold(others, leaves, places)
    return any(
        _hold(others, leaves, {**places, **around})
        for value, around in candidates
        if any(test(value) for test in tests)
    )


def _test(matcher: Any) -> Callable[[Any], bool]:
    """Whether a value that is there meets a matcher. Raises UnknownPatternError."""
    if isinstance(matcher, str | bool | int) or matcher is None:
        return lambda value: type(value) is type(matcher) and bool(value == matcher)
    kinds = matcher.items() if isinstance(matcher, Mapping) and len(matcher) == 1 else ()
    for kind, operand in kinds:
        if kind == "exists" and isinstance(operand, bool):
            return lambda _: operand
        if kind in _TEXTS and isinstance(operand, str) and "\\" not in operand:
            return lambda value: isinstance(value, str) and _TEXTS[kind](value, operand)
        others = [operand] if isinstance(operand, str) else operand
        if isinstance(operand, Mapping) and len(operand) == 1 and operand.keys() <= _TEXTS.keys():
            others = [{inner: it} for inner, them in operand.items() for it in listed(them)]
        elif not all(isinstance(it, str) for it in listed(others)):
            others = []
        if kind == "anything-but" and others:
            tests = list(map(_test, others))
            return lambda value: not any(test(value) for test in tests)
    raise UnknownPatternError(f"there is no {json.dumps(matcher)} here")


_TEXTS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "prefix": str.startswith,
    "suffix": str.endswith,
    "wildcard": lambda value, text: (
        re.fullmatch(".*".join(map(re.escape, text.split("*"))), value, re.DOTALL) is not None
    ),
}


# --- Input transformers ---------------------------------------------------------------------------


def transformed(paths: Mapping[str, str], template: str, event: Mapping[str, Any]) -> str:
    """The text that an input transformer makes of an event.

    `template` is a JSON string in which <name> stands for the value at the path of that name. A
    value that the event does not have leaves nothing; a list or an object loses its quotes.
    """

    def value_of(name: re.Match[str]) -> str:
        if name[1] not in paths:
            raise UnknownPatternError(f"<{name[1]}> has no path")
        found = _found(event, paths[name[1]])
        if found is None:
            return ""
        text = found if isinstance(found, str) else json.dumps(found, separators=(",", ":"))
        return text if isinstance(found, str) else text.replace('"', "")

    # EventBridge escapes nothing in the values, so the text is taken out of its quotes first.
    return re.sub(r"<([\w-]+)>", value_of, str(json.loads(template)))


def _found(event: Any, path: str) -> Any:
    """What is at a path such as $.detail.resources[0].ARN or $.images[*].tag; None for nothing."""
    if not re.fullmatch(r"\$(\.[\w-]+|\[(\d+|\*)\])+", path):
        raise UnknownPatternError(f"{path} is no path that is known here")
    # JMESPath has the same steps, and takes a key with a hyphen in quotes.
    found = jmespath.search(re.sub(r"\.([\w-]+)", r'."\1"', path[1:]).removeprefix("."), event)
    return None if found == [] else found
