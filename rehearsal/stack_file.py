"""What the Pulumi CLI makes of Pulumi.yaml and Pulumi.<stack>.yaml before it starts the program.

The rules are the CLI's own: `sdk/go/common/workspace/{project,config}.go` in pulumi/pulumi.
"""

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


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
    if "environment" in contents:
        raise StackFileError(
            f"{stack_file.name} imports a Pulumi ESC environment, whose values only the service "
            "knows; rehearse a stack file that has them itself"
        )
    config: dict[str, str] = {}
    for key, declared in (project.get("config") or {}).items():
        if isinstance(declared, dict) and "default" in declared:
            config[_namespaced(key, project["name"])] = _text(declared["default"])
    for key, value in (contents.get("config") or {}).items():
        if isinstance(value, dict) and value.keys() == {"secure"}:
            raise StackFileError(
                f"{key} in {stack_file.name} is encrypted, and a rehearsal has no key to it; "
                "rehearse a stack file that has a stand-in"
            )
        config[_namespaced(key, project["name"])] = _text(value)
    return StackFile(directory=directory, project=project["name"], stack=stack, config=config)


def _namespaced(key: str, project: str) -> str:
    return key if ":" in key else f"{project}:{key}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


class _Loader(yaml.SafeLoader):
    """Refuses what the CLI refuses and PyYAML lets pass: the same key twice, and keys not text."""

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 as PyYAML has it
    ) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
                raise StackFileError(f"line {line}: the key {key.value} is no text; quote it")
            if key.value in seen:
                raise StackFileError(f"line {line}: the key {key.value} stands there twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _mapping(path: Path) -> dict[str, Any]:
    try:
        contents = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 a SafeLoader
    except yaml.YAMLError as error:
        raise StackFileError(f"{path.name} is no YAML: {error}") from None
    except StackFileError as error:
        raise StackFileError(f"{path.name}, {error}") from None
    if not isinstance(contents, dict):
        raise StackFileError(f"{path.name} is to be a mapping")
    return contents
