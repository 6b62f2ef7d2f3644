"""A configuration in which each value has been checked on its own."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from pydantic import ValidationError

from container_images.policies.invalid_input import ABSENT, Problem
from container_images.settings.model import (
    Account,
    AuditSettings,
    PipelineRoleSettings,
    RepositorySettings,
    RetentionRule,
    Settings,
    StackSettings,
    StageSettings,
    as_written,
)

Path = tuple[str | int, ...]

Level = tuple[Path, dict[str, Any], dict[str, Any]]
"""Where it is, what is written there (or default), and what holds there. Only the last has None."""


class Draft:
    """A configuration in which each value has been checked on its own.

    `values` is what is written, completed: with the defaults, and in each repository's entry with
    what it inherits. Whatever is invalid there is None, an item of a list as a whole. `problems`
    say why; without any, `settings` is the result.
    """

    def __init__(self, written: Mapping[str, Any], account: Account) -> None:
        self.written = written
        self.account = account
        self.values = completed(written)
        self.problems: list[Problem] = []
        self.settings: StackSettings | None = None
        try:
            self.settings = StackSettings.model_validate(self.values)
        except ValidationError as refused:
            self.values = deepcopy(self.values)
            renamed: list[str] = []
            for error in refused.errors(include_url=False):
                where, context = error["loc"], error.get("ctx", {})
                if unknown := error["type"] == "extra_forbidden":
                    near, context = _unknown(where)
                    renamed += near if len(where) == 1 else []
                if where[-1] == "[key]":  # of a mapping: what is under it may be valid
                    where = where[:-1]
                else:
                    self._strike(where, unknown=unknown)
                if not self._is_inherited(where):
                    self.problems.append(self.problem(where, context["rule"], context["fix"]))
            # A required key that is missing because it is misspelt is one mistake.
            self.problems = [
                it for it in self.problems if it.value is not ABSENT or it.where[0] not in renamed
            ]

    def problem(self, where: Path, rule: str, fix: str) -> Problem:
        """A problem of the value that is written there, if any is."""
        value: Any = self.written
        for step in where:
            try:
                value = value[step]
            except (KeyError, TypeError):
                value = ABSENT
        return Problem(where=where, value=value, rule=rule, fix=fix)

    def levels(self) -> Iterator[Level]:
        """Where settings stand: in the stack, and in each repository's entry."""
        yield (), {key: it for key, it in self.values.items() if it is not None}, self.values
        for name, entry in (self.values["repositories"] or {}).items():
            if entry is not None:
                own = {key: entry[key] for key in self._entry(name) if entry.get(key) is not None}
                yield ("repositories", name), own, entry

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

    def _strike(self, where: Path, *, unknown: bool) -> None:
        """Put None in the place of what is invalid, or nothing where no key should be."""
        items = (position for position, step in enumerate(where, 1) if isinstance(step, int))
        *outer, last = where[: next(items, None)]
        values: Any = self.values
        for step in outer:
            values = values[step]
        values[last] = None
        if unknown and last == where[-1]:
            del values[last]

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


_INHERITED: Final = {
    field.alias or name
    for name, field in RepositorySettings.model_fields.items()
    if field.is_required()
}


def completed(written: Mapping[str, Any]) -> dict[str, Any]:
    """What is written, with the defaults, and in each repository's entry with what it inherits."""
    values = {
        field.alias or name: ABSENT if field.is_required() else as_written(field.default)
        for name, field in StackSettings.model_fields.items()
    } | dict(written)
    entries = values["repositories"]
    if isinstance(entries, dict):
        inherited = {key: values[key] for key in _INHERITED}
        values["repositories"] = {
            name: inherited | (entry or {}) if isinstance(entry, dict | None) else entry
            for name, entry in sorted(entries.items())
        }
    return values


def _unknown(where: Path) -> tuple[list[str], dict[str, str]]:
    """The keys that a key, which there is not, resembles; and what to say of it."""
    match where:
        case (_,):
            model: type[Settings] = StackSettings
        case ("pipelineRole", _):
            model = PipelineRoleSettings
        case ("audit", _):
            model = AuditSettings
        case ("repositories", _, _):
            model = RepositorySettings
        case ("tagConvention", *_):
            model = StageSettings
        case _:
            model = RetentionRule
    keys = sorted(field.alias or name for name, field in model.model_fields.items())
    near, fix = suggested(str(where[-1]), keys, cutoff=0.5)
    return near, {"rule": "there is no such key", "fix": fix}


def suggested(key: str, keys: Sequence[str], cutoff: float = 0.6) -> tuple[list[str], str]:
    """The key that one resembles which there is not, if any; and what to write in its place."""
    near = difflib.get_close_matches(key, keys, n=1, cutoff=cutoff)
    return near, f"did you mean {near[0]}?" if near else f"the keys here are {', '.join(keys)}"
