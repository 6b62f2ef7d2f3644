"""The components, as programs in other languages see and use them."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import struct_pb2
from packaging.requirements import Requirement
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.runtime import rpc
from ruamel.yaml import YAML

from components.image_repository import ImageRepository
from components.pipeline_role import PipelineRole
from container_images.rehearsal.program import Update, execute
from container_images.settings.stack_file import StackFile
from tests.conftest import ROOT, Cloud
from tests.plugin.served import PLUGIN, schema
from tests.plugin.typescript import declarations

COMPONENTS: list[type] = [ImageRepository, PipelineRole]
EXAMPLES = ROOT / "examples"
TSC = EXAMPLES / "typescript" / "node_modules" / ".bin" / "tsc"


def load(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def pinned() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "tests" / "plugin" / "schema.json").read_text())
    return found


# --- The schema -----------------------------------------------------------------------------------


def test_the_schema_is_the_one_that_other_languages_have(pinned: dict[str, Any]) -> None:
    """A change here is one of every SDK made from it. To make it: tests/plugin/served.py."""
    assert schema() == pinned


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
def test_its_requirements_resolve_there_as_they_do_in_the_project(folder: str) -> None:
    lines = (ROOT / folder / "requirements.txt").read_text().splitlines()
    [constraints] = [line.removeprefix("-c ") for line in lines if line.startswith("-c ")]
    pinned = re.findall(r"^[\w-]+==\S+", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert (ROOT / folder / constraints).resolve() == ROOT / "constraints.txt"
    own = {Requirement(line).name for line in lines if line and line[0] not in "-#"}
    assert own
    assert own <= {Requirement(line).name for line in pinned}


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


# --- The example in YAML --------------------------------------------------------------------------


def misfits(
    value: Any, prop: Mapping[str, Any], types: Mapping[str, Any], at: str
) -> Iterator[str]:
    """Where a value is not of the schema's type."""
    if "$ref" in prop:
        of = types[prop["$ref"].removeprefix("#/types/")]
        yield from in_object(value, of["properties"], of.get("required", []), types, at)
    elif prop["type"] == "array" and isinstance(value, list):
        for position, it in enumerate(value):
            yield from misfits(it, prop["items"], types, f"{at}[{position}]")
    elif prop["type"] == "object" and isinstance(value, dict):
        for key, it in value.items():
            yield from misfits(it, prop["additionalProperties"], types, f"{at}.{key}")
    elif type(value) is not {"string": str, "boolean": bool, "integer": int}.get(prop["type"]):
        yield f"{at} is no {prop['type']}"


def in_object(
    value: Any,
    properties: Mapping[str, Any],
    required: list[str],
    types: Mapping[str, Any],
    at: str,
) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at} is no object"
        return
    yield from (f"{at} lacks {it}" for it in sorted(set(required) - value.keys()))
    yield from (f"{at} has no {it}" for it in sorted(value.keys() - properties.keys()))
    for key in value.keys() & properties.keys():
        yield from misfits(value[key], properties[key], types, f"{at}.{key}")


def faults_in_yaml(program: Mapping[str, Any], pinned: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    outputs = {}
    for name, it in program["resources"].items():
        package, _, component = it["type"].partition(":")
        of = pinned["resources"].get(f"{package}:index:{component}")
        if of is None:
            found.append(f"{name} is a {it['type']}, which the plugin does not have")
            continue
        outputs[name] = of["properties"].keys()
        inputs, required = of["inputProperties"], of["requiredInputs"]
        found += in_object(it["properties"], inputs, required, pinned["types"], name)
    for text in re.findall(r"\$\{([^}]*)\}", json.dumps(program)):
        name, _, output = text.partition(".")
        if name not in outputs or (output and output not in outputs[name]):
            found.append(f"there is no {text}")
    return found


def test_the_example_in_yaml_fits_the_schema(pinned: dict[str, Any]) -> None:
    program = load(EXAMPLES / "yaml" / "Pulumi.yaml")
    assert program["runtime"] == "yaml"
    assert faults_in_yaml(program, pinned) == []


def test_what_does_not_fit_would_be_noticed(pinned: dict[str, Any]) -> None:
    program = load(EXAMPLES / "yaml" / "Pulumi.yaml")
    repository = program["resources"]["repository"]["properties"]
    repository["immutable"] = repository.pop("immutableTags")
    repository["movableTags"] = "latest"
    repository["retention"][0]["keepNewest"] = "50"
    del repository["access"]["region"]
    program["resources"]["pipeline"]["type"] = "container-images:Pipeline"
    assert sorted(faults_in_yaml(program, pinned)) == [
        "pipeline is a container-images:Pipeline, which the plugin does not have",
        "repository has no immutable",
        "repository.access lacks region",
        "repository.movableTags is no array",
        "repository.retention[0].keepNewest is no integer",
        "there is no pipeline",
        "there is no pipeline.arn",
    ]


@pytest.mark.parametrize("example", ["yaml", "typescript"])
def test_an_example_names_the_plugin(example: str) -> None:
    project = load(EXAMPLES / example / "Pulumi.yaml")
    assert (EXAMPLES / example / project["packages"]["container-images"]).resolve() == PLUGIN


# --- The example in TypeScript --------------------------------------------------------------------


@pytest.mark.skipif(not TSC.exists(), reason="run npm install in examples/typescript")
def test_the_example_in_typescript_fits_the_schema(pinned: dict[str, Any], tmp_path: Path) -> None:
    """tsc finds nothing in it, and what is wrong with a spoiled copy."""
    (tmp_path / "sdk.d.ts").write_text(declarations(pinned))
    program = (TSC.parents[2] / "index.ts").read_text()
    (tmp_path / "example.ts").write_text(program)
    (tmp_path / "spoiled.ts").write_text(program.replace("movableTags", "movingTags"))
    modules = TSC.parents[1]
    config = {
        "extends": str(TSC.parents[2] / "tsconfig.json"),
        "compilerOptions": {
            "baseUrl": ".",
            "paths": {"@pulumi/pulumi": [str(modules / "@pulumi" / "pulumi")]},
            "typeRoots": [str(modules / "@types")],
        },
        "files": ["example.ts", "spoiled.ts", "sdk.d.ts"],
    }
    (tmp_path / "tsconfig.json").write_text(json.dumps(config))
    done = subprocess.run(
        [TSC, "--pretty", "false"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    [fault] = done.stdout.splitlines()
    assert fault.startswith("spoiled.ts(")
    assert "'movingTags' does not exist in type 'ImageRepositoryArgs'" in fault
