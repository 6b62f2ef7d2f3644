"""The program that declares what CI needs in AWS."""

import json
import runpy
import sys
import tomllib
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import MockResourceArgs
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from container_images.bootstrap import delivery
from container_images.bootstrap.permissions import (
    Delivery,
    audit_boundary,
    deploy_policy,
    pipeline_boundary,
    preview_policy,
)
from container_images.rehearsal.program import Update, execute
from container_images.settings.errors import check
from container_images.stack.declared import DeclaredStack
from tests import cloud
from tests.bootstrap.test_permissions import DELIVERY, IAM, KEY, SETTINGS
from tests.conftest import ROOT

FOLDER = ROOT / "bootstrap"
NAMESPACE = "container-images-delivery"
PROJECT = "arn:aws:codebuild:eu-west-2:111122223333:project/registry-deploy"


class Cloud(cloud.Cloud):
    """Answers as AWS would to an administrator."""

    def __init__(self) -> None:
        super().__init__(f"{IAM}:role/administrator")

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        path, name = args.inputs.get("path"), args.inputs.get("name")
        computed = {
            "policy": {"arn": f"{IAM}:policy{path}{name}"},
            "role": {"arn": f"{IAM}:role{path}{name}"},
            "key": {"arn": KEY, "keyId": "state"},
        }.get(args.typ.split("/")[1].split(":")[0], {})
        return args.name, {**args.inputs, **computed}


def load(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def stack_file(**changes: Any) -> DeclaredStack:
    """A stack as the CLI hands it over: with the defaults of Pulumi.yaml."""
    project = load(FOLDER / "Pulumi.yaml")
    assert project["name"] == NAMESPACE
    declared = project["config"]
    values = {key: declared[key]["default"] for key in declared if "default" in declared[key]}
    values |= SETTINGS | changes
    assert values.keys() == declared.keys()
    config = {
        f"{NAMESPACE}:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in values.items()
    }
    return DeclaredStack(directory=FOLDER, project=NAMESPACE, name="prod", config=config)


def declared(**changes: Any) -> Update:
    return execute(delivery.main, stack_file(**changes), Cloud())


@pytest.fixture(scope="module")
def built() -> Update:
    return declared()


def inputs(update: Update, kind: str, name: str) -> dict[str, Any]:
    [resource] = [
        resource
        for resource in update.resources
        if resource.type.endswith(f":{kind}") and resource.name == name
    ]
    return {
        key: json.loads(value) if key in {"policy", "assumeRolePolicy"} else value
        for key, value in resource.inputs.items()
    }


def test_everything_and_nothing_else(built: Update) -> None:
    """Types and names are part of the URNs. The bucket with its privacy, and the key, are kept."""
    state = {
        *("Alias", "Bucket", "BucketPolicy", "BucketPublicAccessBlock", "BucketVersioning", "Key"),
        "BucketServerSideEncryptionConfiguration",
    }
    registered = {
        (each.type.rpartition(":")[2], each.name, each.protect, each.retain_on_delete)
        for each in built.resources
    }
    assert registered == {(kind, "state", True, True) for kind in state} | {
        ("OpenIdConnectProvider", "github", False, False),
        ("Policy", "registry-deploy", False, False),
        ("Policy", "registry-deploy-audit-boundary", False, False),
        ("Policy", "registry-deploy-pipeline-boundary", False, False),
        ("Role", "registry-deploy", False, False),
        ("Role", "registry-preview", False, False),
        ("RolePolicy", "preview", False, False),
        ("RolePolicyAttachment", "deploy", False, False),
    }


def test_the_deploy_role_is_for_the_approved_job_alone_and_bound_by_its_policy(
    built: Update,
) -> None:
    role = inputs(built, "Role", "registry-deploy")
    [statement] = role["assumeRolePolicy"]["Statement"]
    claims = statement["Condition"]["StringEquals"]
    assert claims["token.actions.githubusercontent.com:sub"] == SETTINGS["githubDeploySubjects"]
    bound = f"{IAM}:policy{role['path']}{role['name']}"
    assert role["permissionsBoundary"] == bound
    attached = inputs(built, "RolePolicyAttachment", "deploy")
    assert attached == {"role": "registry-deploy", "policyArn": bound}
    codebuild = declared(githubDeploySubjects=[], codeBuildDeployProjects=[PROJECT])
    [statement] = inputs(codebuild, "Role", "registry-deploy")["assumeRolePolicy"]["Statement"]
    assert statement["Condition"]["ArnEquals"] == {"aws:SourceArn": [PROJECT]}


def test_the_roles_have_their_policies(built: Update) -> None:
    for kind, name, document in (
        ("Policy", "registry-deploy", deploy_policy(DELIVERY, KEY)),
        ("RolePolicy", "preview", preview_policy(DELIVERY, KEY)),
        ("Policy", "registry-deploy-pipeline-boundary", pipeline_boundary()),
        ("Policy", "registry-deploy-audit-boundary", audit_boundary(DELIVERY.location)),
    ):
        assert inputs(built, kind, name)["policy"] == document


def test_neither_audit_nor_provider_where_none_is_wanted() -> None:
    update = declared(audit=False, githubProvider=False)
    assert "auditBoundaryArn" not in update.outputs
    assert not [each for each in update.resources if "audit" in each.name or "Open" in each.type]


def test_the_state_is_versioned_encrypted_and_private(built: Update) -> None:
    by_key = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY}
    rule = {"applyServerSideEncryptionByDefault": by_key, "bucketKeyEnabled": True}
    private = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    parts: dict[str, dict[str, Any]] = {
        "Bucket": {},
        "BucketVersioning": {"versioningConfiguration": {"status": "Enabled"}},
        "BucketServerSideEncryptionConfiguration": {"rules": [rule]},
        "BucketPublicAccessBlock": dict.fromkeys(private, True),
    }
    for kind, expected in parts.items():
        assert inputs(built, kind, "state") == {"bucket": "registry-state", **expected}
    [deny] = inputs(built, "BucketPolicy", "state")["policy"]["Statement"]
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", ["s3:*"])
    assert deny["Resource"] == ["arn:aws:s3:::registry-state", "arn:aws:s3:::registry-state/*"]
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    key = inputs(built, "Key", "state")
    assert key["enableKeyRotation"] is True
    assert key["policy"]["Statement"][0]["Principal"] == {"AWS": f"{IAM}:root"}


def test_what_it_tells_the_workflows(built: Update) -> None:
    assert built.outputs == {
        "previewRoleArn": f"{IAM}:role/platform/registry-preview",
        "deployRoleArn": f"{IAM}:role/platform/registry-deploy",
        "pipelineBoundaryArn": f"{IAM}:policy/platform/registry-deploy-pipeline-boundary",
        "auditBoundaryArn": f"{IAM}:policy/platform/registry-deploy-audit-boundary",
        "backendUrl": "s3://registry-state?region=eu-west-2&awssdk=v2",
        "secretsProvider": "awskms://alias/container-images-state?region=eu-west-2",
    }


def test_the_program_finds_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulumi starts it in its own folder, from which there is no path to the rest."""
    monkeypatch.setattr(
        sys, "path", [each for each in sys.path if Path(each or ".").resolve() != ROOT]
    )

    def program() -> None:
        runpy.run_path(str(FOLDER / "__main__.py"), run_name="__main__")

    assert execute(program, stack_file(), Cloud()).resources
    assert sys.path[0] == str(ROOT)


def refusal(**changes: Any) -> list[str]:
    with pytest.raises(pulumi.RunError) as refused:
        declared(**changes)
    return str(refused.value).splitlines()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"deployRole": "registry-deploy"}, 'deployRole = "registry-deploy": must be the path and'),
        ({"deployRole": "/platform/*"}, 'deployRole = "/platform/*": must be the path and'),
        ({"githubDeploySubjects": []}, "nobody may assume the deploy role; give githubDeploySub"),
        ({"codeBuildDeployProjects": [PROJECT[:-3] + "*"]}, "must be the exact ARN of one CodeB"),
        ({"githubPreviewSubjects": SETTINGS["githubDeploySubjects"]}, "may assume both roles"),
        ({"previewRole": "/x/Registry-Deploy"}, "two roles have one name, whatever their paths"),
        ({"repositoryKeys": ["alias/x"]}, "must be the ARN of a KMS key, never of an alias"),
    ],
)
def test_what_would_be_wrong_or_let_in_the_wrong_ones_is_refused(
    changes: dict[str, Any], error: str
) -> None:
    [message] = refusal(**changes)
    assert error in message


@pytest.mark.parametrize(
    ("subject", "preview", "deploy"),
    [
        ("repo:o@1/r@2:environment:live", True, True),
        ("repo:o/r:ref:refs/heads/main", True, False),
        ("repo:o/r:pull_request", True, False),
        ("repo:o/r", False, False),
        ("repo:o/r:*", False, False),
        ("repo:o/*:pull_request", False, False),
        ("o/r:pull_request", False, False),
    ],
)
def test_which_github_subjects_each_role_takes(
    subject: str, *, preview: bool, deploy: bool
) -> None:
    """By the rule of the settings, whose tests have all forms; the deploy role, environments."""
    for key, takes in (("githubPreviewSubjects", preview), ("githubDeploySubjects", deploy)):
        written = {**SETTINGS, "location": DELIVERY.location, key: [subject]}
        _, _, problems = check(TypeAdapter(Delivery), written)
        assert [problem.where for problem in problems] == ([] if takes else [(key, 0)])


def test_all_errors_are_in_one_message() -> None:
    messages = refusal(deployRole="deploy", previewRole="x", githubDeploySubjects=["repo:o/r"])
    assert len(messages) == 3


@pytest.mark.parametrize("file", sorted(FOLDER.glob("Pulumi.*.yaml")), ids=lambda file: file.name)
def test_a_stack_file_can_be_deployed(file: Path) -> None:
    """With or without the namespace, which is the name that a team gives its project."""
    config = load(file)["config"]
    own = {key.rpartition(":")[2]: config[key] for key in config if not key.startswith("aws:")}
    assert declared(**own).resources


def test_the_template_needs_the_release_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert load(FOLDER / "Pulumi.yaml")["template"]["description"]
    requirement = f"container-images[program]=={version}\n"
    assert (FOLDER / "requirements.txt").read_text() == requirement
