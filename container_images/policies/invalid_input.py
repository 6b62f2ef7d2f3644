"""Errors in an input: the value, the rule, and the fix."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

ABSENT: Final = object()
"""The value of a key that is not there."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One refused value: where it stands, what it is, the rule it breaks, and the fix.

    `where` is a path as Pulumi writes it: keys and list positions, outermost first.
    """

    where: tuple[str | int, ...]
    value: Any = ABSENT
    rule: str
    fix: str

    def __str__(self) -> str:
        """`KEY = VALUE: RULE; FIX`, printable, on one line however large the value."""
        value = "" if self.value is ABSENT else _excerpt(self.value)
        named = " = ".join(filter(None, (key_at(self.where), value)))
        return printable(f"{named and f'{named}: '}{self.rule}; {self.fix}")


class InvalidInputError(ValueError):
    """Refused input, with every problem that was found in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


def refuse(problems: Iterable[Problem]) -> None:
    """Raise InvalidInputError with the problems, if there are any."""
    if refused := list(problems):
        raise InvalidInputError(refused)


def parse_json(text: str, what: str, fix: str) -> Any:
    """The parsed JSON. Raises InvalidInputError, with the fix, for other text."""
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        rule = f"the {what} is not JSON ({error})"
        raise InvalidInputError([Problem(where=(), value=text, rule=rule, fix=fix)]) from None


def camel(name: str) -> str:
    """The name of an input as settings and Pulumi's schema have it: pull_accounts, pullAccounts."""
    return re.sub("_([a-z])", lambda letter: letter[1].upper(), name)


def key_at(where: Iterable[str | int]) -> str:
    """A path in the syntax of `pulumi config set --path`."""
    key = ""
    for step in where:
        if isinstance(step, int) or not re.fullmatch(r"[\w:/-]+", step):
            key += f"[{json.dumps(step, ensure_ascii=False)}]"
        else:
            key += f".{step}" if key else step
    return key


_CONTROLS: Final = re.compile(
    # C0, DEL and C1; the marks, embeddings, overrides and isolates that turn the direction of
    # writing; and Unicode's own line breaks. https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)


def printable(text: str) -> str:
    r"""The text with every control character as its escape, such as \x1b.

    Tags, principals and messages come from AWS, from events that anybody can cause, and from files:
    printed as they are, they could erase or reorder what stands beside them on a terminal.
    """
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _excerpt(value: object, limit: int = 100) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        text = repr(value)  # YAML has more keys, and aliases of what is above
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
