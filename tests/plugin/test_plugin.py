"""The components, as programs in other languages see and use them."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import pytest
from google.protobuf import struct_pb2
from pulumi.errors import InputPropertiesError
from pulumi.runtime import rpc
from ruamel.yaml import YAML

from components.image_repository import ImageRepository
from components.pipeline_role import PipelineRole
from components.provider import Provider
from components.registry import Registry
from components.tag_audit import TagAudit
from container_images.rehearsal.program import Update, execute
from container_images.stack.declared import DeclaredStack
from tests.cloud import Cloud
from tests.conftest import ROOT
from tests.plugin.served import PLUGIN, schema

COMPONENTS: list[type] = [Registry, ImageRepository, PipelineRole, TagAudit]
EXAMPLES = ROOT / "examples"


def load(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


PINNED: dict[str, Any] = json.loads((ROOT / "tests" / "plugin" / "schema.json").read_text())


# --- The schema -----------------------------------------------------------------------------------


def test_the_schema_is_the_one_that_other_languages_have() -> None:
    """A change here is one of every SDK made from it. To make it: tests/plugin/served.py."""
    served, pinned = (
        # From Python 3.13 on, docstrings are without their indentation.
        json.loads(re.sub(r"\\n +", r"\\n", json.dumps({**each, "version": ""})))
        for each in (schema(), PINNED)
    )
    assert served == pinned


def test_policies_are_made_of_plain_values() -> None:
    """An Output in them would hide them from the first preview: the SDKs' types refuse it."""
    inputs = {token: each["properties"] for token, each in PINNED["types"].items()}
    inputs |= {token: each["inputProperties"] for token, each in PINNED["resources"].items()}
    outputs = [
        (token, key)
        for token, properties in inputs.items()
        for key, described in properties.items()
        if not described.get("plain")
    ]
    assert outputs == [("container-images:index:ImageRepository", "scanOnPush")]


# --- The folder -----------------------------------------------------------------------------------


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


def construct(kind: str, inputs: Mapping[str, Any], prod: DeclaredStack, cloud: Cloud) -> Update:
    """A component, from what a program in another language sends: all numbers as floats."""

    def program() -> None:
        sent = struct_pb2.Struct()
        sent.update({key: value for key, value in inputs.items() if not callable(value)})
        received = rpc.deserialize_properties(sent, keep_unknowns=True)
        received |= {key: value() for key, value in inputs.items() if callable(value)}
        provider = Provider(COMPONENTS, "container-images")
        provider.construct("forms", f"container-images:index:{kind}", received)

    return execute(program, prod, cloud)


def example() -> dict[str, Any]:
    [resource] = load(EXAMPLES / "yaml" / "Pulumi.yaml")["resources"].values()
    assert resource["type"] == "container-images:Registry"
    properties: dict[str, Any] = resource["properties"]
    return properties


def test_a_registry_of_another_language_is_the_one_that_python_makes(
    prod: DeclaredStack, cloud: Cloud
) -> None:
    entries = {"my_web": {"tags": {"the_team": "forms"}}}
    resources = construct("Registry", {**example(), "repositories": entries}, prod, cloud).resources
    ours = [each.type for each in resources if each.type.startswith("container-images:")]
    assert sorted(ours) == [
        "container-images:index:ImageRepository",
        "container-images:index:PipelineRole",
        "container-images:index:Registry",
    ]
    repository, policy = (
        next(each.inputs for each in resources if each.type.endswith(kind))
        for kind in (":Repository", ":LifecyclePolicy")
    )
    assert (repository["name"], repository["tags"]) == ("my_web", {"the_team": "forms"})
    rules = json.loads(policy["policy"])["rules"]
    assert [repr(rule["selection"]["countNumber"]) for rule in rules] == ["1", "50", "7"]


@pytest.mark.parametrize(
    ("kind", "changes", "errors"),
    [
        (
            "Registry",
            {"pullAccounts": {"staging": "12"}, "administratorRoles": ["x"], "audits": {}},
            [
                'pullAccounts.staging = "12": must be an account id',
                'administratorRoles[0] = "x": must be the exact ARN',
                "audits = {}: there is no such key; did you mean audit?",
            ],
        ),
        (
            "Registry",
            {"pipelineRole": lambda: {"arn": pulumi.Output.from_input("x")}},
            ["pipelineRole.arn: must be a plain value, no Output"],
        ),
        (
            "ImageRepository",
            {"access": lambda: pulumi.Output.from_input({})},
            ["access: must be a plain value, no Output"],
        ),
    ],
)
def test_wrong_inputs_are_errors_without_a_traceback(
    prod: DeclaredStack, cloud: Cloud, kind: str, changes: dict[str, Any], errors: list[str]
) -> None:
    with pytest.raises(InputPropertiesError) as refused:
        construct(kind, {**(example() if kind == "Registry" else {}), **changes}, prod, cloud)
    assert all(error in refused.value.message for error in errors)


# --- The examples ---------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["yaml", "typescript"])
def test_an_example_names_the_plugin(language: str) -> None:
    project = load(EXAMPLES / language / "Pulumi.yaml")
    assert (EXAMPLES / language / project["packages"]["container-images"]).resolve() == PLUGIN
