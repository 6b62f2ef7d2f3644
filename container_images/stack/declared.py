"""A stack as its files declare it: `--stack NAME`, and what the rehearsal runs.

It is what the Pulumi CLI makes of Pulumi.yaml and Pulumi.<stack>.yaml before it starts the program,
by the CLI's own rules: `sdk/go/common/workspace/{project,config}.go` in pulumi/pulumi.
"""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from container_images import settings as configuration
from container_images.aws.errors import RefusedError
from container_images.aws.reference import Reference
from container_images.policies.invalid_input import InvalidInputError, Problem, refuse
from container_images.settings.errors import suggested


@dataclass(frozen=True, kw_only=True)
class DeclaredStack:
    """A stack as the program sees it."""

    directory: Path
    """Where Pulumi.yaml is, and `__main__.py` beside it."""
    project: str
    name: str
    config: Mapping[str, str]
    """Every key with its namespace, defaults included. Text as it is, all else as JSON."""

    @cached_property
    def values(self) -> dict[str, Any]:
        """The configuration as plain values."""
        return configuration.decoded(self.config)

    @cached_property
    def settings(self) -> configuration.StackSettings:
        """What the configuration says. Raises InvalidInputError with all errors."""
        return configuration.parse(self.values, self.project)

    @cached_property
    def account(self) -> configuration.Account:
        """Where the stack is, as far as its own file tells."""
        return configuration.account_in(self.values, self.project)

    @cached_property
    def default_tags(self) -> dict[str, str]:
        """What the AWS provider puts on every resource, as text."""
        tags = (self.values.get("aws:defaultTags") or {}).get("tags", {})
        return {key: _text(value) for key, value in tags.items()}

    def changed(self, **changes: Any) -> "DeclaredStack":
        """The stack with other values under some of its keys. None takes a key away."""
        values = {**self.config, **{f"{self.project}:{key}": changes[key] for key in changes}}
        texts = {key: _text(value) for key, value in values.items() if value is not None}
        return replace(self, config=texts)

    def located(self, references: Sequence[Reference]) -> list[Reference]:
        """These repositories in the stack's account and Region; without any, all of the stack's.

        Raises RefusedError for one of another account or Region.
        """
        account, region = self.account.id, self.account.region
        for reference in references:
            if (reference.registry_id or account, reference.region or region) != (account, region):
                raise RefusedError(
                    f"{reference} is elsewhere: stack {self.name} is in account {account}, Region "
                    f"{region}"
                )
        references = references or [Reference(name=name) for name in self.settings.repositories]
        return [replace(each, registry_id=account, region=region) for each in references]

    def refuse_others(self, references: Iterable[Reference]) -> None:
        """Raise RefusedError for repositories that the stack does not declare."""
        known = self.settings.repositories
        if unknown := [each.name for each in references if each.name not in known]:
            raise RefusedError(
                f"Pulumi.{self.name}.yaml has no repository {', '.join(unknown)}; it has "
                f"{', '.join(known)}"
            )


def stacks_in(directory: Path) -> list[str]:
    """The names of the stacks that have a file in a project's directory."""
    files = [path.name for path in directory.glob("Pulumi.*.yaml") if path.is_file()]
    return sorted(name.removeprefix("Pulumi.").removesuffix(".yaml") for name in files)


_KEYS: Final = ("config", "encryptedkey", "encryptionsalt", "environment", "secretsprovider")
"""https://www.pulumi.com/docs/iac/concepts/projects/stack-settings-file/"""


def declared(name: str, directory: Path | None = None, label: str = "") -> DeclaredStack:
    """The stack NAME of the project that a directory belongs to, or this one.

    Raises RefusedError. Where the files can be read, it names all errors at once, those of the
    settings too. `label` begins its text.
    """
    try:
        return _read(directory or Path.cwd(), name)
    except (InvalidInputError, RefusedError) as error:
        reason = configuration.explain(error) if isinstance(error, InvalidInputError) else error
        raise RefusedError(f"{label}Pulumi.{name}.yaml: {reason}") from None


def _read(directory: Path, name: str) -> DeclaredStack:
    above = [each for each in (directory, *directory.parents) if (each / "Pulumi.yaml").is_file()]
    if not above:
        reason = f"there is no Pulumi.yaml in {directory} or above it"
        raise RefusedError(f"{reason}; start in the project's directory")
    directory, names = above[0], stacks_in(above[0])
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        fix = f"did you mean {near[0]}?" if near else f"copy one to Pulumi.{name}.yaml"
        known = f"the stacks are {', '.join(names)}" if names else "there is none yet"
        raise RefusedError(f"there is no such stack: {known}; {fix}")
    project = _mapping(directory / "Pulumi.yaml")
    contents = _mapping(directory / f"Pulumi.{name}.yaml")
    if "environment" in contents:
        raise RefusedError(
            "only the Pulumi service knows the values of a Pulumi ESC environment; use a stack "
            "file that contains them"
        )
    written, problems = contents.get("config"), []
    for key in sorted(contents.keys() - {*_KEYS}):
        rule, fix = "there is no such key", suggested(key, _KEYS)
        problems.append(Problem(where=(key,), value=contents[key], rule=rule, fix=fix))
        if fix.endswith(" config?"):  # where the CLI reads nothing
            written = written or contents[key]
    written = written or {}
    if not isinstance(written, dict):
        raise RefusedError("config must be a mapping, such as {aws:region: eu-west-2}")
    defaults = {
        key: setting["default"]
        for key, setting in (project.get("config") or {}).items()
        if isinstance(setting, dict) and "default" in setting
    }
    config = {
        key if ":" in key else f"{project['name']}:{key}": _text(value)
        for key, value in {**defaults, **written}.items()
    }
    if "aws:region" not in config:
        rule, fix = "this key is required", "write it as eu-west-2"
        problems.append(Problem(where=("aws:region",), rule=rule, fix=fix))
    stack = DeclaredStack(directory=directory, project=project["name"], name=name, config=config)
    try:
        _ = stack.settings  # read once, for its errors
    except InvalidInputError as invalid:
        problems += invalid.problems
    refuse(problems)
    return stack


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _mapping(path: Path) -> dict[str, Any]:
    contents = yaml_in(path.read_bytes())
    if not isinstance(contents, dict):
        raise RefusedError("the file must be a mapping")
    return contents


def yaml_in(text: str | bytes) -> Any:
    """What YAML 1.2 says, whose `no` is text, as the CLI reads it. Raises InvalidInputError."""
    try:
        # As JSON nothing contains itself, every key is text, and so is a date.
        return json.loads(json.dumps(YAML(typ="safe", pure=True).load(text), default=str))
    # Of the encoding, of a version, of an alias of itself, of a key, or nested too deeply.
    except (ValueError, TypeError, YAMLError, RecursionError) as error:
        rule, fix = f"invalid YAML: {error}", "write text with * or { in quotes"
        if isinstance(error, MarkedYAMLError):
            line = error.problem_mark.line + 1 if error.problem_mark else "?"
            rule = f"line {line} is invalid YAML: {error.problem}"
        raise InvalidInputError([Problem(where=(), rule=rule, fix=fix)]) from None
