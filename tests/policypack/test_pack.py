"""The pack as a whole: this project's own stack, one that breaks every rule, and the engine."""

import json
import re
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import AnalyzeDiagnostic, analyzer_pb2
from pulumi.runtime.proto.analyzer_pb2_grpc import AnalyzerStub

from container_images.policies.retention import lifecycle_policy
from container_images.policypack.guard import LIFECYCLE_POLICY, REPOSITORY, REPOSITORY_POLICY
from container_images.policypack.pack import immutable_tags
from container_images.rehearsal.program import Resource, Update
from container_images.stack.declared import DeclaredStack
from tests.conftest import ROOT
from tests.plugin.served import serving
from tests.policypack.analysis import UNKNOWN, later, urn

PACK = ROOT / "policypack"
FUNCTION = "aws:lambda/function:Function"
LATEST = "111122223333.dkr.ecr.eu-west-2.amazonaws.com/forms-admin-deploy:latest"


@pytest.fixture(scope="module")
def analyzer(prod: DeclaredStack) -> Iterator[AnalyzerStub]:
    """The pack, started as the engine does it for the production stack: in the pack's folder."""
    arguments = ("-m", "pulumi.policy", "127.0.0.1:9", ".")
    with serving(*arguments, cwd=PACK, PULUMI_CONFIG=json.dumps(prod.config)) as channel:
        yield AnalyzerStub(channel)


def struct(props: dict[str, Any]) -> struct_pb2.Struct:
    message = struct_pb2.Struct()
    message.update(props)
    return message


def fields_of(type_: str, name: str, props: dict[str, Any], stack: str = "prod") -> dict[str, Any]:
    """A resource in the messages of the protocol."""
    address = urn(type_, name, stack)
    return {"type": type_, "name": name, "urn": address, "properties": struct(props)}


def analyze(
    analyzer: AnalyzerStub, type_: str, props: dict[str, Any], stack: str = "prod"
) -> list[AnalyzeDiagnostic]:
    request = analyzer_pb2.AnalyzeRequest(**fields_of(type_, "it", props, stack))
    return list(analyzer.Analyze(request).diagnostics)


def analyze_stack(analyzer: AnalyzerStub, resources: list[Resource]) -> list[AnalyzeDiagnostic]:
    request = analyzer_pb2.AnalyzeStackRequest()
    for each in resources:
        request.resources.add(**fields_of(each.type, each.name, each.inputs))
    return list(analyzer.AnalyzeStack(request).diagnostics)


def test_a_stack_of_this_project_breaks_no_rule(
    analyzer: AnalyzerStub, deployed: Update, prod: DeclaredStack
) -> None:
    resources = deployed.resources
    assert {each.type for each in resources} >= {REPOSITORY, REPOSITORY_POLICY, LIFECYCLE_POLICY}
    for each in resources:
        assert analyze(analyzer, each.type, each.inputs) == []

    # The immutable tags are those of the stack's configuration.
    broken = analyze(analyzer, REPOSITORY, {"imageTagMutability": "MUTABLE"})
    assert len(broken) == len(json.loads(prod.config["container-images:immutableTags"]))
    assert analyze_stack(analyzer, resources) == []
    unguarded = [each for each in resources if each.name != "forms-admin-deploy-policy"]
    [lacking] = analyze_stack(analyzer, unguarded)
    assert lacking.urn == urn(REPOSITORY, "forms-admin-deploy")


# --- The configuration ----------------------------------------------------------------------------


def configure(analyzer: AnalyzerStub, policies: dict[str, dict[str, Any]]) -> None:
    """As the engine hands over --policy-pack-config."""
    level = analyzer_pb2.MANDATORY
    config = {
        name: analyzer_pb2.PolicyConfig(enforcementLevel=level, properties=struct(properties))
        for name, properties in policies.items()
    }
    analyzer.Configure(analyzer_pb2.ConfigureAnalyzerRequest(policyConfig=config))


def test_the_configuration_of_the_documentation_is_taken(analyzer: AnalyzerStub) -> None:
    page = (ROOT / "docs" / "policy-pack.md").read_text(encoding="utf-8")
    [text] = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    written = json.loads(text)
    for config in written.values():
        config.pop("enforcementLevel", None)
    try:
        configure(analyzer, written)
        broken = analyze(analyzer, FUNCTION, {"imageUri": LATEST}, stack="live-eu")
        assert {each.policyName for each in broken} == {"pinned-production-image", "pinned-image"}
    finally:
        configure(analyzer, {})


def test_a_misspelt_name_in_the_configuration_is_an_error(analyzer: AnalyzerStub) -> None:
    """It would leave a default in force, or an exemption out."""
    config = {
        "guarded-repository": {"immutableTag": ["prod-*"], "exempt": ["a"]},
        "pinned-production-images": {"productionStacks": ["live"]},
    }
    with pytest.raises(grpc.RpcError) as refused:
        configure(analyzer, config)
    details = str(refused.value.details())
    assert "immutableTag is not known, did you mean guarded-repository.immutableTags?" in details
    assert "pinned-production-images is not known, did you mean pinned-production-image?" in details
    assert analyze(analyzer, "aws:s3/bucket:Bucket", {}) == []


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


# --- What a pack is for the engine ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "props", "broken"),
    [
        (REPOSITORY, {"imageTagMutability": "IMMUTABLE"}, ["guarded-repository"]),
        ("aws:ecr/accountSetting:AccountSetting", {}, ["no-way-round-the-guard"]),
        (FUNCTION, {"imageUri": LATEST}, ["pinned-production-image", "pinned-image"]),
    ],
)
def test_a_resource_that_breaks_a_rule_fails(
    analyzer: AnalyzerStub, type_: str, props: dict[str, Any], broken: list[str]
) -> None:
    levels = {each.policyName: each.enforcementLevel for each in analyze(analyzer, type_, props)}
    mandatory = dict.fromkeys(broken, analyzer_pb2.MANDATORY)
    assert levels == mandatory | dict.fromkeys(broken[1:], analyzer_pb2.ADVISORY)


def test_values_are_read_as_the_protocol_sends_them(analyzer: AnalyzerStub) -> None:
    """All numbers are floating-point numbers, and AWS takes whole ones; some values are unknown."""
    props: dict[str, Any] = {"repository": "a", "policy": lifecycle_policy(["latest"], [])}
    assert analyze(analyzer, LIFECYCLE_POLICY, props) == []
    [advice] = analyze(analyzer, REPOSITORY_POLICY, {"repository": "a", "policy": UNKNOWN})
    assert advice.enforcementLevel == analyzer_pb2.ADVISORY
    assert str(later("policy")[1]) in advice.message
