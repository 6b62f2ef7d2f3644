"""What the Pulumi CLI makes of Pulumi.yaml and Pulumi.<stack>.yaml before it starts the program.

The rules are the CLI's own: `sdk/go/common/workspace/{project,config}.go` in pulumi/pulumi.
"""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.settings import Account, account_in, decoded, explain, parse
from container_images.settings.errors import check, suggested


class StackFileError(Exception):
    """The CLI would refuse these files, or what they say is not known without the service."""


@dataclass(frozen=True, kw_only=True)
class StackFile:
    """A stack as the program sees it."""

    directory: Path
    """Where Pulumi.yaml is, and `__main__.py` beside it."""
    project: str
    stack: str
    config: Mapping[str, str]
    """Every key with its namespace, defaults included. Text as it is, all else as JSON."""

    def of_provider(self, key: str) -> Any:
        """A setting of the AWS provider, or None."""
        return decoded(self.config).get(f"aws:{key}")

    @property
    def account(self) -> Account:
        """Where the stack is, as far as its own file tells."""
        return account_in(self.config, self.project)

    @property
    def default_tags(self) -> dict[str, str]:
        """What the AWS provider puts on every resource, as text."""
        tags = (self.of_provider("defaultTags") or {}).get("tags", {})
        return {key: _text(value) for key, value in tags.items()}


class _Contents(BaseModel):
    """https://www.pulumi.com/docs/iac/concepts/projects/stack-settings-file/ has these keys."""

    model_config = ConfigDict(extra="forbid", strict=True)

    config: Annotated[dict[str, Any], Field(examples=[{"aws:region": "eu-west-2"}])] = {}
    secretsprovider: Any = None
    encryptedkey: Any = None
    encryptionsalt: Any = None
    environment: Any = None


_CONTENTS: Final = TypeAdapter(_Contents)


def read(directory: Path, stack: str) -> StackFile:
    """Read a stack of the project that `directory` belongs to.

    Raises StackFileError. Where the files can be read, it names all errors at once, those of the
    settings too.
    """
    directory = _project_directory(directory)
    stack_file = _stack_file(directory, stack)
    project, contents = _mapping(directory / "Pulumi.yaml"), _mapping(stack_file)
    if "environment" in contents:
        raise StackFileError(
            "only the Pulumi service knows the values of a Pulumi ESC environment; use a stack "
            "file that contains them"
        )
    # Under a misspelt `config`, the CLI reads nothing; its errors are reported all the same.
    meant = next((key for key in contents if suggested(key, ["config"]).endswith("config?")), "")
    _, _, problems = check(_CONTENTS, {**contents, "config": contents.get("config") or {}})
    written = contents.get("config") or contents.get(meant)
    written = written if isinstance(written, dict) else {}
    defaults = {
        key: declared["default"]
        for key, declared in (project.get("config") or {}).items()
        if isinstance(declared, dict) and "default" in declared
    }
    config = {
        key if ":" in key else f"{project['name']}:{key}": _text(value)
        for key, value in {**defaults, **written}.items()
    }
    if "aws:region" not in config:
        rule, fix = "this key is required", "write it as eu-west-2"
        problems.append(Problem(where=("aws:region",), rule=rule, fix=fix))
    try:
        parse(config, project["name"], problems)
    except InvalidInputError as invalid:
        raise StackFileError(explain(invalid)) from None
    return StackFile(directory=directory, project=project["name"], stack=stack, config=config)


def _project_directory(directory: Path) -> Path:
    for candidate in (directory, *directory.parents):
        if (candidate / "Pulumi.yaml").is_file():
            return candidate
    raise StackFileError(
        f"there is no Pulumi.yaml in {directory} or above it; start in the project's directory"
    )


def _stack_file(directory: Path, stack: str) -> Path:
    files = {
        path.name.removeprefix("Pulumi.").removesuffix(".yaml"): path
        for path in sorted(directory.glob("Pulumi.*.yaml"))
        if path.is_file()
    }
    if stack not in files:
        near = difflib.get_close_matches(stack, files, n=1)
        known = f"the stacks are {', '.join(files)}" if files else "there is none yet"
        fix = f"did you mean {near[0]}?" if near else f"copy one to Pulumi.{stack}.yaml"
        raise StackFileError(f"there is no such stack: {known}; {fix}")
    return files[stack]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _mapping(path: Path) -> dict[str, Any]:
    """A file's contents: YAML 1.2, whose `no` is text, as the CLI reads it."""
    try:
        contents = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        # As JSON nothing contains itself, every key is text, and so is a date.
        contents = json.loads(json.dumps(contents, default=str))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise StackFileError(
            f"line {line} is invalid YAML: {error.problem}; write text with * or {{ in quotes"
        ) from None
    # Of the encoding, of a version, of an alias of itself, of a key, or nested too deeply.
    except (ValueError, TypeError, YAMLError, RecursionError) as error:
        raise StackFileError(f"the file is invalid YAML: {error}") from None
    if not isinstance(contents, dict):
        raise StackFileError("the file must be a mapping")
    return contents
