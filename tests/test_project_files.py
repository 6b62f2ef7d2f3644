"""Pulumi.yaml and the stack files, as the Pulumi CLI reads them before the program runs."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from container_images.settings import StackSettings
from container_images.settings.model import Settings
from container_images.stack.declared import declared
from tests.conftest import FIXTURES, ROOT

PROJECT = YAML(typ="safe", pure=True).load((ROOT / "Pulumi.yaml").read_text())
DECLARED: dict[str, dict[str, Any]] = PROJECT["config"]
FIELDS = {field.alias: field for field in StackSettings.model_fields.values()}
STACKS = sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))
OURS = [
    *(ROOT / f"Pulumi.{name}.yaml" for name in ("starter", "local")),
    *FIXTURES.glob("Pulumi.*.yaml"),
    *(ROOT / "examples" / "stacks").glob("Pulumi.*.yaml"),
]
"""The stack files that no user edits."""

# https://www.pulumi.com/docs/iac/concepts/projects/project-file/#config
TYPES = {"string": str, "boolean": bool, "array": list, "object": dict}


def as_written(default: Any) -> Any:
    """A default of the settings, as it is written in YAML."""
    if isinstance(default, Settings):
        return default.model_dump(by_alias=True, exclude_defaults=True)
    return list(default) if isinstance(default, tuple) else default


def test_the_project() -> None:
    assert PROJECT["name"] == "container-images"
    options = {"toolchain": "pip", "virtualenv": ".venv"}
    assert PROJECT["runtime"] == {"name": "python", "options": options}
    assert DECLARED.keys() == FIELDS.keys()


@pytest.mark.parametrize("key", DECLARED)
def test_a_declared_key_has_a_type_a_description_and_the_models_default(key: str) -> None:
    """The CLI refuses a stack that lacks a declared key without a default."""
    declared, field = DECLARED[key], FIELDS[key]
    assert declared["description"]
    # The CLI refuses an array without the type of its items.
    assert ("items" in declared) == (declared["type"] == "array")
    assert ("default" in declared) == (not field.is_required())
    default = declared.get("default", TYPES[declared["type"]]())
    assert isinstance(default, TYPES[declared["type"]])
    assert field.is_required() or default == as_written(field.default)


@pytest.mark.parametrize("stack", STACKS)
def test_each_stack_file_is_valid(stack: str) -> None:
    """Whatever its account and its name: a copy of the repository has others."""
    assert declared(stack, ROOT).settings


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_the_cli_would_start_the_program_for(file: Path) -> None:
    text = file.read_text()
    config = YAML(typ="safe", pure=True).load(text)["config"]
    prefix = f"{PROJECT['name']}:"
    assert all(":" in key for key in config), "every key has its namespace"
    written = {key.removeprefix(prefix): config[key] for key in config if key.startswith(prefix)}
    assert {key for key, field in FIELDS.items() if field.is_required()} <= written.keys()
    for key, value in written.items():
        assert isinstance(value, TYPES[DECLARED[key]["type"]]), key
        if isinstance(value, list):
            item = TYPES[DECLARED[key]["items"]["type"]]
            assert all(isinstance(element, item) for element in value), key
    of_documentation = {"111122223333", "444455556666", "123456789012", "777788889999"}
    assert set(re.findall(r"\b\d{12}\b", text)) <= {*of_documentation, "999999999999"}
