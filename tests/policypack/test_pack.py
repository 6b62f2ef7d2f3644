"""The pack as a whole: this project's own stack, one that breaks every rule, and the engine."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import AnalyzeDiagnostic, analyzer_pb2, analyzer_pb2_grpc
from ruamel.yaml import YAML

from container_images.policypack.guard import LIFECYCLE_POLICY, REPOSITORY, REPOSITORY_POLICY
from container_images.policypack.pack import NAME, immutable_tags
from container_images.policypack.registries import WAYS_ROUND
from container_images.rehearsal.program import Resource, run
from container_images.settings.stack_file import StackFile
from tests.conftest import ROOT, Cloud
from tests.policypack.analysis import POLICIES, UNKNOWN, later, urn

PACK = ROOT / "policypack"
LATEST = "111122223333.dkr.ecr.eu-west-2.amazonaws.com/forms-admin-deploy:latest"


@pytest.fixture(scope="module")
def resources(prod: StackFile) -> list[Resource]:
    """What the production stack registers."""
    return run(
        prod, Cloud("arn:aws:iam::111122223333:role/platform/forms-registry-deploy")
    ).resources


@pytest.fixture(scope="module")
def analyzer() -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    """The pack, started in its folder as the engine's pulumi-analyzer-policy-python does it."""
    command = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:9", "."]
    with subprocess.Popen(command, cwd=PACK, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield analyzer_pb2_grpc.AnalyzerStub(channel)
        finally:
            process.terminate()


def struct(props: dict[str, Any]) -> struct_pb2.Struct:
    found = struct_pb2.Struct()
    found.update(props)
    return found


def analyze(
    analyzer: analyzer_pb2_grpc.AnalyzerStub, type_: str, name: str, props: dict[str, Any]
) -> list[AnalyzeDiagnostic]:
    request = analyzer_pb2.AnalyzeRequest(
        type=type_, name=name, urn=urn(type_, name), properties=struct(props)
    )
    return list(analyzer.Analyze(request).diagnostics)


def analyze_stack(
    analyzer: analyzer_pb2_grpc.AnalyzerStub, resources: list[tuple[str, str, dict[str, Any]]]
) -> list[AnalyzeDiagnostic]:
    request = analyzer_pb2.AnalyzeStackRequest(
        resources=[
            analyzer_pb2.AnalyzerResource(
                type=type_, name=name, urn=urn(type_, name), properties=struct(props)
            )
            for type_, name, props in resources
        ]
    )
    return list(analyzer.AnalyzeStack(request).diagnostics)


def test_a_stack_of_this_project_breaks_no_rule(
    analyzer: analyzer_pb2_grpc.AnalyzerStub, resources: list[Resource]
) -> None:
    assert {it.type for it in resources} >= {REPOSITORY, REPOSITORY_POLICY, LIFECYCLE_POLICY}
    for it in resources:
        assert analyze(analyzer, it.type, it.name, it.inputs) == []
    whole = [(it.type, it.name, it.inputs) for it in resources]
    assert analyze_stack(analyzer, whole) == []
    without = [it for it in whole if it[1] != "forms-admin-deploy-policy"]
    [lacking] = analyze_stack(analyzer, without)
    assert lacking.urn == urn(REPOSITORY, "forms-admin-deploy")


# --- The configuration ----------------------------------------------------------------------------


def configure(analyzer: analyzer_pb2_grpc.AnalyzerStub, **policies: dict[str, Any]) -> None:
    """As the engine hands over --policy-pack-config."""
    request = analyzer_pb2.ConfigureAnalyzerRequest(
        policyConfig={
            name.replace("_", "-"): analyzer_pb2.PolicyConfig(
                enforcementLevel=analyzer_pb2.MANDATORY, properties=struct(properties)
            )
            for name, properties in policies.items()
        }
    )
    analyzer.Configure(request)


def test_the_configuration_of_the_documentation_is_taken(
    analyzer: analyzer_pb2_grpc.AnalyzerStub, resources: list[Resource]
) -> None:
    page = (ROOT / "docs" / "policy-pack.md").read_text(encoding="utf-8")
    [text] = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    written = {
        name: {key: value for key, value in config.items() if key != "enforcementLevel"}
        for name, config in json.loads(text).items()
    }
    try:
        configure(analyzer, **written)
        for it in resources:
            assert analyze(analyzer, it.type, it.name, it.inputs) == []
        broken = analyze(analyzer, REPOSITORY, "it", {"imageTagMutability": "MUTABLE"})
        assert len(broken) == len(written["guarded-repository"]["immutableTags"])
    finally:
        configure(analyzer)


def test_a_misspelt_name_in_the_configuration_is_an_error(
    analyzer: analyzer_pb2_grpc.AnalyzerStub,
) -> None:
    """It would leave a default in force, or an exemption out."""
    with pytest.raises(grpc.RpcError) as refused:
        configure(
            analyzer,
            guarded_repository={"immutableTag": ["prod-*"], "exempt": ["a"]},
            pinned_production_images={"productionStacks": ["live"]},
        )
    details = str(refused.value.details())
    assert "guarded-repository.immutableTag is not known, did you mean immutableTags?" in details
    assert "pinned-production-images is not known, did you mean pinned-production-image?" in details
    assert analyze(analyzer, "aws:s3/bucket:Bucket", "it", {}) == []


@pytest.mark.parametrize(
    ("config", "tags"),
    [
        ({}, []),
        ({"immutableTags": ["prod-*"], "repositories": {"a": {}}}, ["prod-*"]),
        ({"immutableTags": ["prod-*"], "repositories": {"a": {"tagMutability": "MUTABLE"}}}, []),
        ({"immutableTags": "prod", "repositories": ["a"]}, []),  # another program's
    ],
)
def test_the_immutable_tags_of_a_stack_of_this_project(
    config: dict[str, Any], tags: list[str]
) -> None:
    texts = {f"container-images:{key}": json.dumps(value) for key, value in config.items()}
    assert immutable_tags(texts) == tags


# --- A stack that breaks every rule ---------------------------------------------------------------

SAMPLE: list[tuple[str, dict[str, Any], set[str]]] = [
    (REPOSITORY, {"name": "shop", "imageTagMutability": "IMMUTABLE"}, {"guarded-repository"}),
    (next(iter(WAYS_ROUND)), {}, {"no-way-round-the-guard"}),
    (
        "aws:ecs/taskDefinition:TaskDefinition",
        {"containerDefinitions": json.dumps([{"image": LATEST}])},
        {"pinned-production-image", "pinned-image"},
    ),
]


@pytest.mark.parametrize(("type_", "props", "broken"), SAMPLE)
def test_a_resource_that_breaks_a_rule_fails(
    analyzer: analyzer_pb2_grpc.AnalyzerStub, type_: str, props: dict[str, Any], broken: set[str]
) -> None:
    diagnostics = analyze(analyzer, type_, "it", props)
    assert {it.policyName for it in diagnostics} == broken
    for it in diagnostics:
        advises = it.policyName == "pinned-image"
        assert it.enforcementLevel == (analyzer_pb2.ADVISORY if advises else analyzer_pb2.MANDATORY)


def test_what_is_not_known_yet_is_only_advised_about(
    analyzer: analyzer_pb2_grpc.AnalyzerStub,
) -> None:
    props = {"repository": "a", "policy": UNKNOWN}
    [found] = analyze(analyzer, REPOSITORY_POLICY, "it", props)
    assert found.enforcementLevel == analyzer_pb2.ADVISORY
    assert later("policy") in found.message


def test_numbers_reach_a_policy_as_the_protocol_sends_them(
    analyzer: analyzer_pb2_grpc.AnalyzerStub,
) -> None:
    """All of them are floating-point numbers, and AWS takes whole ones."""
    shield = {
        "rulePriority": 1,
        "selection": {
            "tagStatus": "tagged",
            "tagPatternList": ["latest"],
            "countType": "imageCountMoreThan",
            "countNumber": 1,
        },
        "action": {"type": "expire"},
    }
    props = {"repository": "a", "policy": {"rules": [shield]}}
    assert analyze(analyzer, LIFECYCLE_POLICY, "it", props) == []


def test_the_engine_is_told_of_every_policy_and_its_configuration(
    analyzer: analyzer_pb2_grpc.AnalyzerStub,
) -> None:
    info = analyzer.GetAnalyzerInfo(empty_pb2.Empty())
    assert info.name == NAME
    assert {it.name for it in info.policies} == POLICIES.keys()
    for it in info.policies:
        assert it.configSchema.properties


def test_the_pack_runs_in_the_virtual_environment_that_make_sets_up() -> None:
    project = YAML(typ="safe", pure=True).load((PACK / "PulumiPolicy.yaml").read_text())
    assert project["runtime"]["name"] == "python"
    virtualenv = os.path.normpath(PACK / project["runtime"]["options"]["virtualenv"])
    assert virtualenv == str(ROOT / ".venv")
    assert "VENV := .venv\n" in (ROOT / "Makefile").read_text()
