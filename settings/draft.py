"""A configuration in which each value has been checked on its own."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from policies.fault import ABSENT, Fault
from settings.model import (
    Account,
    PipelineRoleSettings,
    RepositorySettings,
    RetentionRule,
    Settings,
    StackSettings,
)

Path = tuple[str | int, ...]

Level = tuple[Path, Iterable[str], dict[str, Any]]
"""Where it is, which keys are written there (or have defaults), and what holds there."""


class Draft:
    """A configuration in which each value has been checked on its own.

    `values` is what is written, completed: with the defaults, and in each repository's entry with
    what it inherits. Whatever is invalid there is None. `faults` says why; without any, `settings`
    is the result.
    """

    def __init__(self, written: Mapping[str, Any], account: Account) -> None:
        self.written = written
        self.account = account
        self.faults: list[Fault] = []
        self.settings: StackSettings | None = None
        completed = _completed(written)
        unknown, invalid = set[Path](), set[Path]()
        try:
            self.settings = StackSettings.model_validate(completed)
        except ValidationError as refused:
            for error in refused.errors(include_url=False):
                where = error["loc"]
                if where[-1] == "[key]":  # of a mapping: what is under it may be valid
                    where = where[:-1]
                elif error["type"] == "extra_forbidden":
                    unknown.add(where)
                if where == error["loc"]:
                    # An item of a list is valid as a whole, or not at all.
                    items = (n for n, step in enumerate(where, 1) if isinstance(step, int))
                    invalid.add(where[: next(items, None)])
                if not self._is_inherited(where):
                    self.faults.append(_fault(error, where))
        # A required key that is missing because it is misspelt is one mistake.
        renamed = {_nearest(str(where[0]), StackSettings) for where in unknown if len(where) == 1}
        self.faults = [
            it for it in self.faults if it.value is not ABSENT or it.where[0] not in renamed
        ]
        self.values: dict[str, Any] = _nulled(completed, invalid, unknown)

    def levels(self) -> Iterator[Level]:
        """Where settings stand: in the stack, and in each repository's entry."""
        yield (), self.values, self.values
        for name, entry in (self.values["repositories"] or {}).items():
            if entry is not None:
                yield ("repositories", name), self._entry(name), entry

    def listed(self, *where: str) -> Iterator[tuple[Path, Any]]:
        """The valid items of a list, each with its place."""
        values: Any = self.values
        for step in where:
            values = (values or {}).get(step)
        for position, item in enumerate(values or ()):
            if item is not None:
                yield (*where, position), item

    def pipeline_roles(self) -> Iterator[tuple[Path, str]]:
        """Where each pipeline role is named, and its ARN."""
        role = self.values["pipelineRole"] or {}
        if role.get("arn"):
            yield ("pipelineRole", "arn"), role["arn"]
        elif role.get("name") and (path := role.get("path", "/")):
            created = PipelineRoleSettings(name=role["name"], path=path)
            yield ("pipelineRole", "name"), created.arn_in(self.account)
        yield from self.listed("additionalPipelineRoles")

    def roles(self) -> Iterator[tuple[Path, str]]:
        """Where each role of any kind is named, and its ARN."""
        yield from self.pipeline_roles()
        yield from self.listed("pipelineRole", "trustedRoles")
        yield from self.listed("administratorRoles")

    def _entry(self, name: str | int) -> Mapping[str, Any]:
        """What is written in a repository's own entry."""
        entry = self.written["repositories"][name]
        return entry if isinstance(entry, dict) else {}

    def _is_inherited(self, where: Path) -> bool:
        """Whether a value is the stack's, where what is wrong with it is told."""
        match where:
            case ("repositories", name, str(key), *_):
                return key in _INHERITED and key not in self._entry(name)
        return False


def _keys(model: type[Settings]) -> list[str]:
    """The keys of a model as they are written."""
    return sorted(field.alias or name for name, field in model.model_fields.items())


_INHERITED: Final = {
    field.alias or name
    for name, field in RepositorySettings.model_fields.items()
    if field.is_required()
}


def _completed(written: Mapping[str, Any]) -> dict[str, Any]:
    completed: dict[str, Any] = {}
    for name, field in StackSettings.model_fields.items():
        default = field.get_default()
        if field.is_required():
            default = ABSENT
        completed[field.alias or name] = list(default) if isinstance(default, tuple) else default
    completed |= written
    entries = completed["repositories"]
    if isinstance(entries, dict):
        inherited = {key: completed[key] for key in _INHERITED}
        completed["repositories"] = {
            name: inherited | (entry or {}) if isinstance(entry, dict | None) else entry
            for name, entry in sorted(entries.items())
        }
    return completed


def _nulled(value: Any, invalid: set[Path], unknown: set[Path], where: Path = ()) -> Any:
    """The value without unknown keys, and with None for whatever else is invalid in it."""
    if where in invalid:
        return None
    if isinstance(value, dict):
        return {
            key: _nulled(it, invalid, unknown, (*where, key))
            for key, it in value.items()
            if (*where, key) not in unknown
        }
    if isinstance(value, list):
        return [_nulled(it, invalid, unknown, (*where, n)) for n, it in enumerate(value)]
    return value


def _fault(error: ErrorDetails, where: Path) -> Fault:
    """Pydantic's error as a fault."""
    if error["type"] == "extra_forbidden":
        model = _model_with(where)
        near = _nearest(str(where[-1]), model)
        rule = "there is no such key"
        fix = f"did you mean {near}?" if near else f"the keys here are {', '.join(_keys(model))}"
    else:
        rule, fix = error["ctx"]["rule"], error["ctx"]["fix"]
    return Fault(where=where, value=error["input"], rule=rule, fix=fix)


def _model_with(where: Path) -> type[Settings]:
    """The model that has, or should have, the key in this place."""
    match where:
        case (_,):
            return StackSettings
        case ("pipelineRole", _):
            return PipelineRoleSettings
        case ("repositories", _, _):
            return RepositorySettings
        case _:
            return RetentionRule


def _nearest(key: str, model: type[Settings]) -> str | None:
    return next(iter(difflib.get_close_matches(key, _keys(model), n=1, cutoff=0.5)), None)
