"""The components, as programs in other languages see and use them."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
from google.protobuf import struct_pb2
from pulumi.errors import InputPropertiesError, InputPropertyError
from pulumi.runtime import rpc
from ruamel.yaml import YAML

from components.image_repository import ImageRepository
from components.pipeline_role import PipelineRole
from components.provider import Provider
from components.registry import Registry
from components.tag_audit import TagAudit
from container_images.rehearsal.program import Update, execute
from container_images.settings.stack_file import StackFile
from tests.conftest import ROOT, Cloud
from tests.plugin.served import PLUGIN, schema

COMPONENTS: list[type] = [Registry, ImageRepository, PipelineRole, TagAudit]
EXAMPLES = ROOT / "examples"


def load(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pinned() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "tests" / "plugin" / "schema.json").read_text())
    return found


# --- The schema -----------------------------------------------------------------------------------


def test_the_schema_is_the_one_that_other_languages_have(pinned: dict[str, Any]) -> None:
    """A change here is one of every SDK made from it. To make it: tests/plugin/served.py."""
    assert {**schema(), "version": ""} == {**pinned, "version": ""}


def test_a_name_of_the_schema_is_one_of_the_components(pinned: dict[str, Any]) -> None:
    assert pinned["resources"].keys() == {
        f"container-images:index:{it.__name__}" for it in COMPONENTS
    }


def test_everything_in_the_schema_is_described(pinned: dict[str, Any]) -> None:
    for it in [*pinned["types"].values(), *pinned["resources"].values()]:
        assert it["description"]
        for key, prop in {**it["properties"], **it.get("inputProperties", {})}.items():
            assert prop.get("description"), key


def test_policies_are_made_of_plain_values(pinned: dict[str, Any]) -> None:
    """An Output in them would hide them from the first preview: the SDKs' types refuse it."""
    outputs = {
        (token.rpartition(":")[2], key)
        for token, resource in pinned["resources"].items()
        for key, prop in resource["inputProperties"].items()
        if not prop.get("plain")
    }
    assert outputs == {("ImageRepository", "scanOnPush")}
    for it in pinned["types"].values():
        assert all(prop["plain"] for prop in it["properties"].values())


# --- The folder -----------------------------------------------------------------------------------


def test_the_plugin_is_not_beside_the_project() -> None:
    assert (PLUGIN / "PulumiPlugin.yaml").exists()
    assert not (PLUGIN / "Pulumi.yaml").exists()
    assert load(PLUGIN / "PulumiPlugin.yaml")["runtime"]["name"] == "python"


@pytest.mark.parametrize("folder", ["plugin", "policypack"])
def test_its_requirements_have_the_versions_of_the_project(folder: str) -> None:
    lines = (ROOT / folder / "requirements.txt").read_text().splitlines()
    [constraints] = [line.removeprefix("-c ") for line in lines if line.startswith("-c ")]
    assert (ROOT / folder / constraints).resolve() == ROOT / "constraints.txt"
    pinned = re.findall(r"^([\w-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert {line for line in lines if line and line[0] not in "-#"} <= set(pinned)


def test_plugin_package_and_policy_pack_have_one_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert schema()["version"] == version
    assert load(ROOT / "policypack" / "PulumiPolicy.yaml")["version"] == version


# --- The components at work -----------------------------------------------------------------------


def construct(kind: str, inputs: Mapping[str, Any], prod: StackFile, cloud: Cloud) -> Update:
    """A component, from what a program in another language sends: all numbers as floats."""
    sent = struct_pb2.Struct()
    sent.update(inputs)
    received = rpc.deserialize_properties(sent, keep_unknowns=True)
    provider = Provider(COMPONENTS, "container-images")
    token = f"container-images:index:{kind}"
    return execute(lambda: provider.construct("forms", token, received), prod, cloud)


def example() -> dict[str, Any]:
    [resource] = load(EXAMPLES / "yaml" / "Pulumi.yaml")["resources"].values()
    assert resource["type"] == "container-images:Registry"
    properties: dict[str, Any] = resource["properties"]
    return properties


def test_a_registry_of_another_language_is_the_one_that_python_makes(
    prod: StackFile, cloud: Cloud
) -> None:
    resources = construct("Registry", example(), prod, cloud).resources
    assert sorted(it.type for it in resources if it.type.startswith("container-images:")) == [
        "container-images:index:ImageRepository",
        "container-images:index:PipelineRole",
        "container-images:index:Registry",
    ]
    [policy] = [it for it in resources if it.type == "aws:ecr/lifecyclePolicy:LifecyclePolicy"]
    rules = json.loads(policy.inputs["policy"])["rules"]
    assert [rule["selection"]["countNumber"] for rule in rules] == [1, 50, 7]
    assert all(isinstance(rule["selection"]["countNumber"], int) for rule in rules)


def test_errors_of_the_settings_are_told_at_once_and_without_a_traceback(
    prod: StackFile, cloud: Cloud
) -> None:
    wrong = {
        **example(),
        "pullAccounts": {"staging": "12"},
        "administratorRoles": ["arn:aws:iam::111122223333:role/*"],
    }
    with pytest.raises(InputPropertiesError) as refused:
        construct("Registry", wrong, prod, cloud)
    assert "administratorRoles[0]" in refused.value.message
    assert "pullAccounts.staging" in refused.value.message


def test_an_output_in_a_policy_is_refused_by_name(prod: StackFile, cloud: Cloud) -> None:
    provider = Provider(COMPONENTS, "container-images")

    def program() -> None:
        role = {"arn": pulumi.Output.from_input("arn:aws:iam::111122223333:role/pipeline")}
        inputs: Any = {**example(), "pipelineRole": role}
        provider.construct("forms", "container-images:index:Registry", inputs)

    with pytest.raises(InputPropertyError) as refused:
        execute(program, prod, cloud)
    assert refused.value.property_path == "pipelineRole"
    assert "must be a plain value, not an output" in refused.value.reason


# --- The examples ---------------------------------------------------------------------------------


def misfits(value: Any, prop: Mapping[str, Any], types: Mapping[str, Any]) -> Iterator[str]:
    """Where a value is not of the schema's type."""
    if "$ref" in prop:
        of = types[prop["$ref"].removeprefix("#/types/")]
        yield from in_object(value, of["properties"], of.get("required", []), types)
    elif prop["type"] == "array" and isinstance(value, list):
        for element in value:
            yield from misfits(element, prop["items"], types)
    elif prop["type"] == "object" and isinstance(value, dict):
        for element in value.values():
            yield from misfits(element, prop["additionalProperties"], types)
    elif type(value) is not {"string": str, "boolean": bool, "integer": int}.get(prop["type"]):
        yield f"{value} is no {prop['type']}"


def in_object(
    value: Mapping[str, Any],
    properties: Mapping[str, Any],
    required: list[str],
    types: Mapping[str, Any],
) -> Iterator[str]:
    yield from (f"{key} is missing" for key in sorted(set(required) - value.keys()))
    yield from (f"there is no {key}" for key in sorted(value.keys() - properties.keys()))
    for key in value.keys() & properties.keys():
        yield from misfits(value[key], properties[key], types)


def test_the_example_in_yaml_fits_the_schema(pinned: dict[str, Any]) -> None:
    registry = pinned["resources"]["container-images:index:Registry"]
    inputs, required = registry["inputProperties"], registry["requiredInputs"]
    assert [*in_object(example(), inputs, required, pinned["types"])] == []


def test_the_example_in_typescript_has_the_same_inputs() -> None:
    """With a Pulumi CLI, .ci/engine compiles and previews it."""

    def keys(value: Any) -> set[str]:
        inner = value.values() if isinstance(value, dict) else value
        own = set(value) if isinstance(value, dict) else set()
        return own.union(*map(keys, inner)) if isinstance(value, dict | list) else own

    program = (EXAMPLES / "typescript" / "index.ts").read_text()
    assert keys(example()) <= set(re.findall(r"([\w-]+)\"?:", program))


@pytest.mark.parametrize("language", ["yaml", "typescript"])
def test_an_example_names_the_plugin(language: str) -> None:
    project = load(EXAMPLES / language / "Pulumi.yaml")
    assert (EXAMPLES / language / project["packages"]["container-images"]).resolve() == PLUGIN
