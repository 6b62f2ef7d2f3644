"""A configuration in which each value has been checked on its own."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from container_images.policies.invalid_input import ABSENT, Problem
from container_images.settings.errors import Path, Schema, problems_in, suggested
from container_images.settings.model import (
    INHERITED,
    Account,
    PipelineRoleSettings,
    StackSettings,
    as_written,
)


@dataclass(frozen=True, kw_only=True)
class Level:
    """A place where settings of a repository may stand: the stack, or an entry."""

    where: Path
    own: Mapping[str, Any]
    """What is written there (or, for the stack, default) and valid."""
    effective: Mapping[str, Any]
    """What holds there. An invalid value is None."""


class Draft:
    """A configuration in which each value has been checked on its own.

    `values` is what is written, with the stack's defaults. Whatever is invalid there is None, an
    item of a list as a whole. `problems` says why; without any, `settings` is the result.
    """

    def __init__(self, written: Mapping[str, Any], account: Account) -> None:
        self.written = written
        self.account = account
        self.values: dict[str, Any] = {**_DEFAULTS, **written}
        self.problems: list[Problem] = []
        self.settings: StackSettings | None = None
        try:
            self.settings = StackSettings.model_validate(written)
        except ValidationError as refused:
            self.values = deepcopy(self.values)
            misspelt: set[str] = set()
            for problem, error in problems_in(refused, _schema()):
                self.problems.append(problem)
                unknown = error["type"] == "extra_forbidden"
                if unknown and len(problem.where) == 1:
                    near, _ = suggested(str(problem.where[0]), [*_schema()["properties"]], 0.5)
                    misspelt.update(near)
                if error["loc"][-1] != "[key]":  # what is under such a key may be valid
                    self._invalidate(problem.where, unknown=unknown)
            # A required key that is missing because it is misspelt is one mistake.
            self.problems = [
                problem
                for problem in self.problems
                if problem.value is not ABSENT or problem.where[0] not in misspelt
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
        own = {key: value for key, value in self.values.items() if value is not None}
        yield Level(where=(), own=own, effective=self.values)
        stack = {key: self.values[key] for key in map(to_camel, INHERITED)}
        for name, entry in sorted((self.values["repositories"] or {}).items()):
            own = {key: value for key, value in (entry or {}).items() if value is not None}
            yield Level(where=("repositories", name), own=own, effective={**stack, **(entry or {})})

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

    def _invalidate(self, where: Path, *, unknown: bool) -> None:
        """Put None in the place of what is invalid, or nothing where no key should be.

        Of an item of a list, the whole item is invalid.
        """
        items = (position for position, step in enumerate(where, 1) if isinstance(step, int))
        *outer, last = where[: next(items, None)]
        values: Any = self.values
        for step in outer:
            values = values[step]
            if values is None:  # was invalid as a whole
                return
        values[last] = None
        if unknown and last == where[-1]:
            del values[last]


_DEFAULTS: Final = {
    field.alias or name: None if field.is_required() else as_written(field.default)
    for name, field in StackSettings.model_fields.items()
}


@cache
def _schema() -> Schema:
    return StackSettings.model_json_schema()
