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

from container_images.policies.retention import lifecycle_policy
from container_images.policypack.guard import LIFECYCLE_POLICY, REPOSITORY, REPOSITORY_POLICY
from container_images.policypack.pack import NAME, POLICIES, immutable_tags
from container_images.policypack.registries import WAYS_ROUND
from container_images.rehearsal.program import Resource, run
from container_images.settings.stack_file import StackFile
from tests.conftest import ROOT, Cloud
from tests.policypack.analysis import UNKNOWN, later, urn

PACK = ROOT / "policypack"
FUNCTION = "aws:lambda/function:Function"
LATEST = "111122223333.dkr.ecr.eu-west-2.amazonaws.com/forms-admin-deploy:latest"


@pytest.fixture(scope="module")
def resources(prod: StackFile) -> list[Resource]:
    """What the production stack registers."""
    return run(
        prod, Cloud("arn:aws:iam::111122223333:role/platform/forms-registry-deploy")
    ).resources


@pytest.fixture(scope="module")
def analyzer(prod: StackFile) -> Iterator[analyzer_pb2_grpc.AnalyzerStub]:
    """The pack, started as the engine does it for the production stack: in the pack's folder."""
    command = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:9", "."]
    environment = os.environ | {"PULUMI_CONFIG": json.dumps(prod.config)}
    with subprocess.Popen(command, cwd=PACK, stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield analyzer_pb2_grpc.AnalyzerStub(channel)
        finally:
            process.terminate()


def struct(props: dict[str, Any]) -> struct_pb2.Struct:
    message = struct_pb2.Struct()
    message.update(props)
    return message


def analyze(
    analyzer: analyzer_pb2_grpc.AnalyzerStub,
    type_: str,
    name: str,
    props: dict[str, Any],
    stack: str = "prod",
) -> list[AnalyzeDiagnostic]:
    request = analyzer_pb2.AnalyzeRequest(
        type=type_, name=name, urn=urn(type_, name, stack), properties=struct(props)
    )
    return list(analyzer.Analyze(request).diagnostics)


def analyze_stack(
    analyzer: analyzer_pb2_grpc.AnalyzerStub, resources: list[Resource]
) -> list[AnalyzeDiagnostic]:
    request = analyzer_pb2.AnalyzeStackRequest()
    for each in resources:
        properties, address = struct(each.inputs), urn(each.type, each.name)
        request.resources.add(type=each.type, name=each.name, urn=address, properties=properties)
    return list(analyzer.AnalyzeStack(request).diagnostics)


def test_a_stack_of_this_project_breaks_no_rule(
    analyzer: analyzer_pb2_grpc.AnalyzerStub, resources: list[Resource], prod: StackFile
) -> None:
    assert {each.type for each in resources} >= {REPOSITORY, REPOSITORY_POLICY, LIFECYCLE_POLICY}
    for each in resources:
        assert analyze(analyzer, each.type, each.name, each.inputs) == []

    # The immutable tags are those of the stack's configuration.
    broken = analyze(analyzer, REPOSITORY, "it", {"imageTagMutability": "MUTABLE"})
    assert len(broken) == len(json.loads(prod.config["container-images:immutableTags"]))
    assert analyze_stack(analyzer, resources) == []
    unguarded = [each for each in resources if each.name != "forms-admin-deploy-policy"]
    [lacking] = analyze_stack(analyzer, unguarded)
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
    analyzer: analyzer_pb2_grpc.AnalyzerStub,
) -> None:
    page = (ROOT / "docs" / "policy-pack.md").read_text(encoding="utf-8")
    [text] = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    written = {
        name: {key: value for key, value in config.items() if key != "enforcementLevel"}
        for name, config in json.loads(text).items()
    }
    try:
        configure(analyzer, **written)
        broken = analyze(analyzer, FUNCTION, "it", {"imageUri": LATEST}, stack="live-eu")
        assert {each.policyName for each in broken} == {"pinned-production-image", "pinned-image"}
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


@pytest.mark.parametrize(
    ("type_", "props", "broken"),
    [
        (REPOSITORY, {"name": "shop", "imageTagMutability": "IMMUTABLE"}, {"guarded-repository"}),
        (next(iter(WAYS_ROUND)), {}, {"no-way-round-the-guard"}),
        (FUNCTION, {"imageUri": LATEST}, {"pinned-production-image", "pinned-image"}),
    ],
)
def test_a_resource_that_breaks_a_rule_fails(
    analyzer: analyzer_pb2_grpc.AnalyzerStub, type_: str, props: dict[str, Any], broken: set[str]
) -> None:
    diagnostics = analyze(analyzer, type_, "it", props)
    assert {each.policyName for each in diagnostics} == broken
    for each in diagnostics:
        advises = each.policyName == "pinned-image"
        level = analyzer_pb2.ADVISORY if advises else analyzer_pb2.MANDATORY
        assert each.enforcementLevel == level


def test_values_are_read_as_the_protocol_sends_them(
    analyzer: analyzer_pb2_grpc.AnalyzerStub,
) -> None:
    """All numbers are floating-point numbers, and AWS takes whole ones; some values are unknown."""
    props: dict[str, Any] = {"repository": "a", "policy": lifecycle_policy(["latest"], [])}
    assert analyze(analyzer, LIFECYCLE_POLICY, "it", props) == []
    [advice] = analyze(analyzer, REPOSITORY_POLICY, "it", {"repository": "a", "policy": UNKNOWN})
    assert advice.enforcementLevel == analyzer_pb2.ADVISORY
    assert str(later("policy")[1]) in advice.message


def test_the_pack_says_what_its_policies_are(analyzer: analyzer_pb2_grpc.AnalyzerStub) -> None:
    info = analyzer.GetAnalyzerInfo(empty_pb2.Empty())
    assert info.name == NAME
    assert {each.name for each in info.policies} == POLICIES.keys()
    assert all(each.configSchema.properties for each in info.policies)


def test_the_pack_runs_in_the_virtual_environment_that_make_sets_up() -> None:
    project = YAML(typ="safe", pure=True).load((PACK / "PulumiPolicy.yaml").read_text())
    virtualenv = os.path.normpath(PACK / project["runtime"]["options"]["virtualenv"])
    assert virtualenv == str(ROOT / ".venv")
    assert "VENV := .venv\n" in (ROOT / "Makefile").read_text()
