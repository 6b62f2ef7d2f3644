"""What the Pulumi CLI makes of Pulumi.yaml and Pulumi.<stack>.yaml before it starts the program.

The rules are the CLI's own: `sdk/go/common/workspace/{project,config}.go` in pulumi/pulumi.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.settings import Account, explain, misspelt_namespaces, parse
from container_images.settings.errors import suggested


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

    def config_in(self, namespace: str) -> dict[str, str]:
        """The keys of a namespace, without it. The settings are in that of the project's name."""
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
    def account(self) -> Account:
        """Where the stack is, as far as its own file tells: the Region may be empty.

        The account is the first of aws:allowedAccountIds, or that of the first administrator role.
        """
        arns = self.config.get(f"{self.project}:administratorRoles", "")
        role = re.search(r"arn:(aws[a-z-]*):iam::(\d{12}):", arns)
        partition, account = role.groups() if role else ("aws", "123456789012")
        allowed, region = self.of_provider("allowedAccountIds"), self.of_provider("region")
        if isinstance(allowed, list) and allowed and isinstance(allowed[0], str):
            account = allowed[0]
        return Account(
            partition=partition, id=account, region=region if isinstance(region, str) else ""
        )

    @property
    def default_tags(self) -> dict[str, str]:
        """What the AWS provider puts on every resource, as text."""
        tags = (self.of_provider("defaultTags") or {}).get("tags", {})
        return {key: _text(value) for key, value in tags.items()}


def read(directory: Path, stack: str) -> StackFile:
    """Read a stack of the project that `directory` belongs to.

    Raises StackFileError. Where the files can be read, it names every problem at once, those of the
    settings too.
    """
    directory = _project_directory(directory)
    stack_file = _stack_file(directory, stack)
    project = _mapping(directory / "Pulumi.yaml")
    contents = _mapping(stack_file)
    problems = [*_top_level_problems(contents)]
    if "environment" in contents:
        raise StackFileError(explain(InvalidInputError(problems)))
    # Under a misspelt `config`, the CLI reads nothing; what is there is told of all the same.
    meant = next((it for it in contents if suggested(it, _TOP_LEVEL)[0] == ["config"]), "config")
    written = contents.get("config" if "config" in contents else meant) or {}
    if not isinstance(written, dict):
        problems.append(_misshapen(("config",), written, "a mapping", "{aws:region: eu-west-2}"))
        written = {}
    declared = (project.get("config") or {}).items()
    defaults = {
        key: it["default"] for key, it in declared if isinstance(it, dict) and "default" in it
    }
    problems += (
        Problem(
            where=(key,),
            rule="it is encrypted, and only the Pulumi CLI can decrypt it",
            fix="use a stack file with a placeholder in plain text",
        )
        for key, value in written.items()
        if isinstance(value, dict) and value.keys() == {"secure"}
    )
    config = {
        key if ":" in key else f"{project['name']}:{key}": _text(value)
        for key, value in [*defaults.items(), *written.items()]
    }
    read_stack = StackFile(directory=directory, project=project["name"], stack=stack, config=config)
    problems += [*_provider_problems(read_stack), *misspelt_namespaces(config, read_stack.project)]
    if problems:
        try:
            parse(read_stack.config_in(read_stack.project), read_stack.account, problems)
        except InvalidInputError as invalid:
            raise StackFileError(explain(invalid)) from None
    return read_stack


def _project_directory(directory: Path) -> Path:
    for candidate in (directory, *directory.parents):
        if (candidate / "Pulumi.yaml").is_file():
            return candidate
    raise StackFileError(
        f"there is no Pulumi.yaml in {directory} or above it; start in the project's directory"
    )


def _stack_file(directory: Path, stack: str) -> Path:
    files = {
        it.name.removeprefix("Pulumi.").removesuffix(".yaml"): it
        for it in sorted(directory.glob("Pulumi.*.yaml"))
        if it.is_file()
    }
    if stack not in files:
        near = difflib.get_close_matches(stack, files, n=1)
        known = f"the stacks are {', '.join(files)}" if files else "there is none yet"
        fix = f"did you mean {near[0]}?" if near else f"make new STACK={stack} makes one"
        raise StackFileError(f"there is no such stack: {known}; {fix}")
    return files[stack]


_TOP_LEVEL: Final = ("config", "secretsprovider", "encryptedkey", "encryptionsalt", "environment")
"""https://www.pulumi.com/docs/iac/concepts/projects/stack-settings-file/"""


def _top_level_problems(contents: Mapping[str, Any]) -> Iterator[Problem]:
    """The CLI passes over a key that it does not know, so that a misspelt `config` is empty."""
    for key in (it for it in contents if it not in _TOP_LEVEL):
        _, fix = suggested(key, _TOP_LEVEL)
        yield Problem(where=(key,), rule="a stack file has no such key", fix=fix)
    if "environment" in contents:
        yield Problem(
            where=("environment",),
            rule="only the Pulumi service knows the values of a Pulumi ESC environment",
            fix="use a stack file that contains them",
        )


def _provider_problems(stack: StackFile) -> Iterator[Problem]:
    """What the AWS provider would not understand, of the keys that this project reads."""
    region, tags, accounts = map(stack.of_provider, ("region", "defaultTags", "allowedAccountIds"))
    if not isinstance(region, str):
        yield _misshapen(("aws:region",), region, "the name of a Region", "eu-west-2")
    if tags is not None and not (isinstance(tags, dict) and isinstance(tags.get("tags"), dict)):
        yield _misshapen(("aws:defaultTags",), tags, "a mapping", "{tags: {Team: forms}}")
    if accounts is not None and not (
        isinstance(accounts, list) and all(isinstance(it, str) for it in accounts)
    ):
        yield _misshapen(
            ("aws:allowedAccountIds",), accounts, "a list of texts", '["111122223333"]'
        )


def _misshapen(where: tuple[str], value: Any, kind: str, example: str) -> Problem:
    fix = f"write it as {example}"
    if value is None:
        return Problem(where=where, rule="this key is required", fix=fix)
    return Problem(where=where, value=value, rule=f"must be {kind}", fix=fix)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _mapping(path: Path) -> dict[str, Any]:
    """A file's contents: YAML 1.2, whose `no` is text, as the CLI reads it."""
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        contents = YAML(typ="safe", pure=True).load(text)
    except ReaderError as error:
        number = text[: text.index(chr(error.character))].count("\n") + 1
        raise StackFileError(
            f"line {number} has the character U+{error.character:04X}, which YAML does not allow; "
            "delete it"
        ) from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise StackFileError(
            f"line {line} is invalid YAML: {error.problem}; write text with * or {{ in quotes"
        ) from None
    # Of the encoding, of a date, of a version, or nested too deeply.
    except (ValueError, YAMLError, RecursionError) as error:
        raise StackFileError(f"the file is invalid YAML: {error}") from None
    if not isinstance(contents, dict):
        raise StackFileError("the file must be a mapping")
    _check_keys(contents, "the file")
    return contents


def _check_keys(value: Any, where: str, above: tuple[Any, ...] = ()) -> None:
    """Every key is text, and nothing contains itself: the CLI refuses both."""
    if any(it is value for it in above):
        raise StackFileError(
            f"{where} contains itself through a YAML alias; write out what is meant"
        )
    if isinstance(value, dict):
        for key, child in value.items():
            if not isinstance(key, str):
                raise StackFileError(f"in {where}, the key {key} is not text; write it in quotes")
            _check_keys(child, key, (*above, value))
    elif isinstance(value, list):
        for child in value:
            _check_keys(child, where, (*above, value))
