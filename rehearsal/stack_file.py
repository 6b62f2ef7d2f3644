"""What the Pulumi CLI makes of Pulumi.yaml and Pulumi.<stack>.yaml before it starts the program.

The rules are the CLI's own: `sdk/go/common/workspace/{project,config}.go` in pulumi/pulumi.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError


class StackFileError(Exception):
    """The CLI would refuse these files, or this stack cannot be rehearsed."""


@dataclass(frozen=True, kw_only=True)
class StackFile:
    """A stack as the program gets to see it."""

    directory: Path
    """Where Pulumi.yaml is, and `__main__.py` beside it."""
    project: str
    stack: str
    config: Mapping[str, str]
    """Every key with its namespace, defaults included. Text as it is, all else as JSON."""

    def config_in(self, namespace: str) -> dict[str, str]:
        """The keys of a namespace, without it."""
        prefix = f"{namespace}:"
        return {
            key.removeprefix(prefix): text
            for key, text in self.config.items()
            if key.startswith(prefix)
        }

    def of_provider(self, key: str) -> Any:
        """A setting of the AWS provider, decoded, or None."""
        text = self.config.get(f"aws:{key}")
        try:
            return text if text is None else json.loads(text)
        except json.JSONDecodeError:
            return text

    @property
    def default_tags(self) -> dict[str, str]:
        """What the AWS provider puts on every resource, as text."""
        tags = (self.of_provider("defaultTags") or {}).get("tags", {})
        return {key: _text(value) for key, value in tags.items()}


def read(directory: Path, stack: str) -> StackFile:
    """Read a stack of the project that `directory` belongs to. Raises StackFileError."""
    for candidate in (directory, *directory.parents):
        if (candidate / "Pulumi.yaml").is_file():
            directory = candidate
            break
    else:
        raise StackFileError(
            f"there is no Pulumi.yaml in {directory} or above it; start in the project's directory"
        )
    stack_file = directory / f"Pulumi.{stack}.yaml"
    if not stack_file.is_file():
        stacks = sorted(path.name.split(".")[1] for path in directory.glob("Pulumi.*.yaml"))
        raise StackFileError(f"there is no such stack; there is {', '.join(stacks) or 'none'}")
    project = _mapping(directory / "Pulumi.yaml")
    contents = _mapping(stack_file)
    written = contents.get("config") or {}
    if not isinstance(written, dict):
        raise StackFileError("config is to be a mapping")
    if "environment" in contents:
        raise StackFileError(
            "the stack imports a Pulumi ESC environment, whose values only the service "
            "knows; rehearse a stack file that has them itself"
        )
    config: dict[str, str] = {}
    for key, declared in (project.get("config") or {}).items():
        if isinstance(declared, dict) and "default" in declared:
            config[_namespaced(key, project["name"])] = _text(declared["default"])
    for key, value in written.items():
        if isinstance(value, dict) and value.keys() == {"secure"}:
            raise StackFileError(
                f"{key} is encrypted, and a rehearsal has no key to it; "
                "rehearse a stack file that has a stand-in"
            )
        config[_namespaced(key, project["name"])] = _text(value)
    read_stack = StackFile(directory=directory, project=project["name"], stack=stack, config=config)
    _refuse_misshapen_provider(read_stack)
    return read_stack


def _refuse_misshapen_provider(stack: StackFile) -> None:
    """What the AWS provider would not understand, of the keys that a rehearsal reads."""
    region = stack.of_provider("region")
    if not isinstance(region, str):
        raise StackFileError(
            "aws:region is to be the name of a Region, such as eu-west-2; a rehearsal takes none "
            "from the environment"
        )
    default_tags = stack.of_provider("defaultTags")
    if default_tags is not None and not (
        isinstance(default_tags, dict) and isinstance(default_tags.get("tags"), dict)
    ):
        raise StackFileError("aws:defaultTags is to be a mapping such as {tags: {Team: forms}}")
    accounts = stack.of_provider("allowedAccountIds")
    if accounts is not None and not (
        isinstance(accounts, list) and all(isinstance(it, str) for it in accounts)
    ):
        raise StackFileError('aws:allowedAccountIds is to be a list such as ["111122223333"]')


def _namespaced(key: str, project: str) -> str:
    return key if ":" in key else f"{project}:{key}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _mapping(path: Path) -> dict[str, Any]:
    """A file's contents: YAML 1.2, whose `no` is text, as the CLI reads it."""
    try:
        contents = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise StackFileError(
            f"line {line} is no YAML that the CLI reads: {error.problem}"
        ) from None
    except ValueError as error:  # of the encoding, or of a date
        raise StackFileError(f"the file is no YAML that the CLI reads: {error}") from None
    return _texts_for_keys(contents, "the file")


def _texts_for_keys(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise StackFileError(f"{where} is to be a mapping")
    for key, child in value.items():
        if not isinstance(key, str):
            raise StackFileError(f"in {where}, the key {key} is no text; write it in quotes")
        for it in child if isinstance(child, list) else [child]:
            if isinstance(it, dict):
                _texts_for_keys(it, key)
    return value
