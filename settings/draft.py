"""A configuration in which each value has been checked for itself."""

import difflib
import json
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final, get_origin

from pydantic import TypeAdapter, ValidationError

from policies.fault import Fault
from policies.tag_mutability import TAG_MUTABILITIES
from settings.model import (
    Account,
    AuditSettings,
    PipelineRoleSettings,
    RepositorySettings,
    RetentionRule,
    Settings,
    StackSettings,
)
from settings.values import RepositoryName

Path = tuple[str | int, ...]

Level = tuple[Path, dict[str, Any], dict[str, Any]]
"""Where it is, what is written there (with the stack's defaults), and what holds there."""


class Draft:
    """A configuration in which each value has been checked on its own.

    What is valid stands, by attribute name, in `stack` (defaults filled in), `role` (the same) and
    `entries` (by repository, only what is written there). Of a list, the invalid items are None.
    `faults` is about the rest.
    """

    def __init__(self, raw: Mapping[str, Any], account: Account) -> None:
        self.raw = raw
        self.account = account
        self.faults = list(_nulls(raw))
        self.stack = self._fields(
            StackSettings, raw, (), nested=("pipelineRole", "repositories", "audit")
        )
        self.role: dict[str, Any] = {}
        if raw.get("pipelineRole") is not None:
            self.role = self._fields(PipelineRoleSettings, raw["pipelineRole"], ("pipelineRole",))
        if "audit" in raw:
            # {} is for no audit.
            audit = {} if raw["audit"] in ({}, None) else raw["audit"]
            fields = audit != {} and self._fields(AuditSettings, audit, ("audit",))
            self.stack["audit"] = fields or None
        self.entries: dict[str, dict[str, Any]] = {}
        if raw.get("repositories") is not None:
            self.entries = self._entries(raw["repositories"])

    def effective(self, name: str) -> dict[str, Any]:
        """What holds for one repository: the stack's settings, save where its entry says others."""
        written = self.raw["repositories"][name]
        written = written if isinstance(written, dict) else {}
        inherited = {
            attribute: self.stack[attribute]
            for key, attribute in _INHERITED.items()
            # What is written there but invalid is not what the stack says either.
            if attribute in self.stack and key not in written
        }
        return inherited | self.entries[name]

    def levels(self) -> Iterator[Level]:
        """Where settings stand: in the stack, and in each repository's entry."""
        yield (), self.stack, self.stack
        for name, entry in self.entries.items():
            yield ("repositories", name), entry, self.effective(name)

    def pipeline_roles(self) -> Iterator[tuple[Path, str]]:
        """Where each pipeline role is named, and its ARN."""
        arn, name, path = (self.role.get(key) for key in ("arn", "name", "path"))
        if arn:
            yield ("pipelineRole", "arn"), arn
        elif name and path:
            role = PipelineRoleSettings(name=name, path=path)
            yield ("pipelineRole", "name"), role.arn_in(self.account)
        yield from _placed(self.stack, "additional_pipeline_roles", "additionalPipelineRoles")

    def roles(self) -> Iterator[tuple[Path, str]]:
        """Where each role of any kind is named, and its ARN."""
        yield from self.pipeline_roles()
        yield from _placed(self.role, "trusted_roles", "pipelineRole", "trustedRoles")
        yield from self.administrator_roles()

    def administrator_roles(self) -> Iterator[tuple[Path, str]]:
        """Where each administrator role is named, and its ARN."""
        yield from _placed(self.stack, "administrator_roles", "administratorRoles")

    def codebuild_projects(self) -> Iterator[tuple[Path, str]]:
        """Where each trusted project is named, and its ARN."""
        key = "trusted_codebuild_projects"
        yield from _placed(self.role, key, "pipelineRole", "trustedCodeBuildProjects")

    def _entries(self, raw: Any) -> dict[str, dict[str, Any]]:
        where = ("repositories",)
        if not isinstance(raw, dict):
            self.faults.append(_wrong_type(where, raw, "a mapping"))
            return {}
        if not raw:
            self.faults.append(
                Fault(
                    where=where,
                    value=raw,
                    rule="a stack has at least one repository",
                    fix="write the name of one, with {} to have all from the stack",
                )
            )
        for name in raw:
            try:
                _REPOSITORY_NAME.validate_python(name)
            except ValidationError as invalid:
                self.faults += _explained(invalid, (*where, name))
        return {
            name: self._fields(
                RepositorySettings,
                {} if entry is None else entry,
                (*where, name),
                defaults=False,
            )
            for name, entry in raw.items()
        }

    def _fields(
        self,
        model: type[Settings],
        raw: Any,
        where: tuple[str, ...],
        *,
        nested: Container[str] = (),
        defaults: bool = True,
    ) -> dict[str, Any]:
        """The valid values of a mapping, without the nested ones, which are checked elsewhere."""
        if not isinstance(raw, dict):
            self.faults.append(_wrong_type(where, raw, "a mapping"))
            return {}
        names = _names(model)
        values: dict[str, Any] = {}
        for key in raw:
            if key not in names:
                self.faults.append(_unknown_key((*where, key), raw[key], names))
        for key, name in names.items():
            field = model.model_fields[name]
            if key not in raw:
                if defaults and field.is_required():
                    self.faults.append(_missing((*where, key)))
                elif defaults:
                    values[name] = field.default
            elif key not in nested:
                values |= self._value(model, name, raw[key], (*where, key))
        return values

    def _value(
        self, model: type[Settings], name: str, raw: Any, where: tuple[str, ...]
    ) -> dict[str, Any]:
        """One attribute with its value, or with what is valid of it; empty if nothing is."""
        adapter = _adapter(model, name)
        try:
            return {name: adapter.validate_python(raw)}
        except ValidationError as invalid:
            self.faults += _explained(invalid, where)
        kind = get_origin(model.model_fields[name].annotation)
        if kind is tuple and isinstance(raw, list):
            return {name: tuple(_valid_items(adapter, raw))}
        if kind is dict and isinstance(raw, dict):
            return {name: dict(_valid_entries(adapter, raw))}
        return {}


def _placed(values: Mapping[str, Any], name: str, *where: str) -> Iterator[tuple[Path, str]]:
    """The valid items of a list, each with its place."""
    for position, item in enumerate(values.get(name, ())):
        if item is not None:
            yield (*where, position), item


def _valid_items(adapter: TypeAdapter[Any], raw: list[Any]) -> Iterator[Any]:
    """The items of a list that is not valid as a whole, with None in the place of each at fault."""
    for item in raw:
        try:
            yield adapter.validate_python([item])[0]
        except ValidationError:
            yield None


def _valid_entries(adapter: TypeAdapter[Any], raw: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The entries of a mapping that is not valid as a whole, without those at fault."""
    for key, value in raw.items():
        try:
            yield key, adapter.validate_python({key: value})[key]
        except ValidationError:
            continue


@cache
def _names(model: type[Settings]) -> dict[str, str]:
    """The model's keys, as they are written, and its attributes."""
    return {field.alias or name: name for name, field in model.model_fields.items()}


@cache
def _adapter(model: type[Settings], name: str) -> TypeAdapter[Any]:
    return TypeAdapter(model.model_fields[name].rebuild_annotation())


_REPOSITORY_NAME: Final = TypeAdapter(RepositoryName)

_INHERITED: Final = {
    key: name
    for key, name in _names(RepositorySettings).items()
    if RepositorySettings.model_fields[name].is_required()
}


def _nulls(raw: Any, *where: str | int) -> Iterator[Fault]:
    """Every null in the tree, save as a repository's whole entry: that means "as the stack"."""
    children: Iterable[tuple[str | int, Any]] = ()
    if isinstance(raw, dict):
        children = raw.items()
    elif isinstance(raw, list):
        children = enumerate(raw)
    for key, value in children:
        if value is not None:
            yield from _nulls(value, *where, key)
        elif where != ("repositories",):
            yield Fault(
                where=(*where, key),
                value=None,
                rule="a key without a value means nothing",
                fix="write the value, or leave the key out to have the default",
            )


def _missing(where: tuple[str, ...]) -> Fault:
    return Fault(
        where=where, rule="this key is required", fix="write it; the README's table says how"
    )


def _wrong_type(where: tuple[str | int, ...], value: Any, expected: str) -> Fault:
    fix = f"write it as {_EXAMPLES[expected]}" if expected in _EXAMPLES else "choose one of them"
    if expected == "text" and isinstance(value, bool | int | float):
        # Of a number YAML has not kept how it was written, leading zeros for instance.
        fix = f'write it in quotes, such as "{json.dumps(value)}", with every digit it has'
    return Fault(where=where, value=value, rule=f"it is to be {expected}", fix=fix)


def _unknown_key(where: tuple[str | int, ...], value: Any, keys: Iterable[str]) -> Fault:
    valid = sorted(keys)
    near = difflib.get_close_matches(str(where[-1]), valid, n=1, cutoff=0.5)
    return Fault(
        where=where,
        value=value,
        rule="there is no such key",
        fix=f"did you mean {near[0]}?" if near else f"the keys here are {', '.join(valid)}",
    )


_EXAMPLES: Final = {
    "text": '"latest"',
    "a whole number": "20",
    "true or false": "true, without quotes",
    "a list": "[latest]",
    "a mapping": "{tags: prod-*, keepNewest: 20}",
}

_TYPES: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}


def _explained(invalid: ValidationError, where: tuple[str | int, ...]) -> Iterator[Fault]:
    """Pydantic's errors about the value at this place, each as a fault."""
    for error in invalid.errors(include_url=False):
        at = (*where, *(step for step in error["loc"] if step != "[key]"))
        value, context = error["input"], error.get("ctx", {})
        if value is None:
            continue  # _nulls has said it
        match error["type"]:
            case "rule":
                yield Fault(where=at, value=value, rule=context["rule"], fix=context["fix"])
            case "extra_forbidden":
                yield _unknown_key(at, value, _names(RetentionRule))
            case "literal_error":
                yield _wrong_type(at, value, f"one of {', '.join(TAG_MUTABILITIES)}")
            case "too_long":
                most = context["max_length"]
                yield Fault(
                    where=at, value=value, rule=f"AWS takes at most {most}", fix="leave some out"
                )
            case kind:
                yield _wrong_type(at, value, _TYPES.get(kind, error["msg"]))
