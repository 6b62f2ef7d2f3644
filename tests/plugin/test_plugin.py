"""The components, as programs in other languages see and use them."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import struct_pb2
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.runtime import rpc
from ruamel.yaml import YAML

from components.image_repository import ImageRepository
from components.pipeline_role import PipelineRole
from container_images.rehearsal.program import Update, execute
from container_images.settings.stack_file import StackFile
from tests.conftest import ROOT, Cloud
from tests.plugin.served import PLUGIN, schema

COMPONENTS: list[type] = [ImageRepository, PipelineRole]
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
    repository = pinned["resources"]["container-images:index:ImageRepository"]["inputProperties"]
    role = pinned["resources"]["container-images:index:PipelineRole"]["inputProperties"]
    assert {key for key, it in {**repository, **role}.items() if not it.get("plain")} == {
        "scanOnPush"
    }
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


def construct(inputs: Mapping[str, Any], prod: StackFile, cloud: Cloud) -> Update:
    """A repository, from what a program in another language sends: all numbers as floats."""
    sent = struct_pb2.Struct()
    sent.update(inputs)
    received = rpc.deserialize_properties(sent, keep_unknowns=True)
    provider = ComponentProvider(COMPONENTS, "container-images")
    kind = "container-images:index:ImageRepository"
    return execute(lambda: provider.construct("forms", kind, received), prod, cloud)


def of_example(name: str) -> dict[str, Any]:
    found: dict[str, Any] = load(EXAMPLES / "yaml" / "Pulumi.yaml")["resources"][name]
    return found


def test_a_repository_of_another_language_is_the_one_that_python_makes(
    prod: StackFile, cloud: Cloud
) -> None:
    made = construct(of_example("repository")["properties"], prod, cloud).resources
    assert [it.type for it in made] == [
        "container-images:index:ImageRepository",
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        "aws:ecr/repository:Repository",
        "aws:ecr/repositoryPolicy:RepositoryPolicy",
    ]
    rules = json.loads(made[1].inputs["policy"])["rules"]
    assert [it["selection"]["countNumber"] for it in rules] == [1, 50, 7]
    assert all(isinstance(it["selection"]["countNumber"], int) for it in rules)


def test_a_number_that_is_not_whole_is_refused(prod: StackFile, cloud: Cloud) -> None:
    properties = of_example("repository")["properties"]
    properties["retention"] = [{"any": True, "keepNewest": 1.5}]
    with pytest.raises(Exception, match=re.escape("keepNewest = 1.5")):
        construct(properties, prod, cloud)


# --- The examples ---------------------------------------------------------------------------------


def misfits(value: Any, prop: Mapping[str, Any], types: Mapping[str, Any]) -> Iterator[str]:
    """Where a value is not of the schema's type."""
    if "$ref" in prop:
        of = types[prop["$ref"].removeprefix("#/types/")]
        yield from in_object(value, of["properties"], of.get("required", []), types)
    elif prop["type"] == "array" and isinstance(value, list):
        for element in value:
            yield from misfits(element, prop["items"], types)
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


@pytest.mark.parametrize("name", ["pipeline", "repository"])
def test_the_example_in_yaml_fits_the_schema(pinned: dict[str, Any], name: str) -> None:
    package, _, component = (example := of_example(name))["type"].partition(":")
    of = pinned["resources"][f"{package}:index:{component}"]
    inputs, required = of["inputProperties"], of["requiredInputs"]
    assert [*in_object(example["properties"], inputs, required, pinned["types"])] == []


def test_the_example_in_typescript_has_the_same_inputs() -> None:
    """With a Pulumi CLI, .ci/engine compiles and previews it."""

    def keys(value: Any) -> set[str]:
        inner = value.values() if isinstance(value, dict) else value
        own = set(value) if isinstance(value, dict) else set()
        return own.union(*map(keys, inner)) if isinstance(value, dict | list) else own

    program = (EXAMPLES / "typescript" / "index.ts").read_text()
    written = set(re.findall(r"(\w+)(?=:|,\n)", program))
    for name in ("pipeline", "repository"):
        assert keys(of_example(name)["properties"]) <= written


@pytest.mark.parametrize("example", ["yaml", "typescript"])
def test_an_example_names_the_plugin(example: str) -> None:
    project = load(EXAMPLES / example / "Pulumi.yaml")
    assert (EXAMPLES / example / project["packages"]["container-images"]).resolve() == PLUGIN
