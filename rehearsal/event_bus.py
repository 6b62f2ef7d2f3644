"""EventBridge, as far as the rules of a stack need it: which events match, and what is then sent.

What it does not know is an error, never a match and never a miss. docs/audit.md says against which
evaluator it was held.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jmespath  # type: ignore[import-untyped]

Path = tuple[str, ...]


class UnknownPatternError(Exception):
    """The pattern or the transformer has something that this bus does not know."""


@dataclass(frozen=True, kw_only=True)
class _Leaf:
    """A value of the event that is neither an object nor a list."""

    value: Any
    places: Mapping[Path, int] = field(default_factory=dict)
    """The lists that it is in, and its place in each."""

    def goes_with(self, places: Mapping[Path, int]) -> bool:
        """Whether it can be of the same elements: one match is about one element of each list."""
        return all(self.places.get(path, place) == place for path, place in places.items())


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether the event matches. Raises UnknownPatternError."""
    leaves: dict[Path, list[_Leaf]] = {}
    for path, leaf in _leaves(event, (), {}):
        leaves.setdefault(path, []).append(leaf)
    wanted = [list(fields.items()) for fields in _alternatives(pattern, ())]
    for fields in wanted:
        for _, matchers in fields:
            _refuse_unknown(matchers)
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
        yield path, _Leaf(value=value, places=places)


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
    fields: Sequence[tuple[Path, list[Any]]],
    leaves: Mapping[Path, list[_Leaf]],
    places: Mapping[Path, int],
) -> bool:
    """Whether every field has a value that matches, all of them of the same elements of lists."""
    if not fields:
        return True
    (path, matchers), *others = fields
    candidates = [leaf for leaf in leaves.get(path, []) if leaf.goes_with(places)]
    if not candidates and {"exists": False} in matchers:
        return _hold(others, leaves, places)
    return any(
        _hold(others, leaves, {**places, **leaf.places})
        for leaf in candidates
        if any(_is_met(it, leaf.value) for it in matchers)
    )


_TEXTS = {
    "prefix": str.startswith,
    "suffix": str.endswith,
    "wildcard": lambda value, text: (
        re.fullmatch(".*".join(map(re.escape, text.split("*"))), value, re.DOTALL) is not None
    ),
}


def _is_met(matcher: Any, value: Any) -> bool:
    """Whether a value that is there meets a matcher."""
    if not isinstance(matcher, Mapping):
        return type(matcher) is type(value) and bool(matcher == value)
    [(kind, operand)] = matcher.items()
    if kind == "exists":
        return bool(operand)
    if kind == "anything-but":
        if isinstance(operand, Mapping):
            [(inner, texts)] = operand.items()
            return not any(_is_met({inner: text}, value) for text in _listed(texts))
        return not any(_is_met(it, value) for it in _listed(operand))
    return isinstance(value, str) and _TEXTS[kind](value, operand)


def _refuse_unknown(matchers: list[Any]) -> None:
    for matcher in matchers:
        known = isinstance(matcher, str | bool | int) or matcher is None
        if isinstance(matcher, Mapping) and len(matcher) == 1:
            [(kind, operand)] = matcher.items()
            if kind == "exists":
                known = isinstance(operand, bool)
            elif kind == "anything-but" and isinstance(operand, Mapping):
                texts = [{inner: it} for inner in operand for it in _listed(operand[inner])]
                known = len(operand) == 1 and bool(texts) and operand.keys() <= _TEXTS.keys()
                _refuse_unknown(texts)
            elif kind == "anything-but":
                known = bool(operand) and all(isinstance(it, str) for it in _listed(operand))
            else:
                known = kind in _TEXTS and isinstance(operand, str) and "\\" not in operand
        if not known:
            raise UnknownPatternError(f"there is no {json.dumps(matcher)} here")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


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
