"""The program that declares what CI needs in AWS."""

import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import MockCallArgs, MockResourceArgs
from ruamel.yaml import YAML

from container_images.bootstrap import delivery
from container_images.bootstrap.permissions import (
    audit_boundary,
    deploy_policy,
    pipeline_boundary,
    preview_policy,
)
from container_images.rehearsal.program import Update, execute
from container_images.settings.stack_file import StackFile, read
from tests.conftest import ROOT

FOLDER = ROOT / "bootstrap"
IAM = "arn:aws:iam::111122223333"
KEY = "arn:aws:kms:eu-west-2:111122223333:key/state"


class Cloud(pulumi.runtime.Mocks):
    """Answers as AWS would. Whatever it does not know, it refuses."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        path, name = args.inputs.get("path"), args.inputs.get("name")
        computed = {
            "aws:iam/openIdConnectProvider:OpenIdConnectProvider": {},
            "aws:iam/policy:Policy": {"arn": f"{IAM}:policy{path}{name}"},
            "aws:iam/role:Role": {"arn": f"{IAM}:role{path}{name}"},
            "aws:iam/rolePolicy:RolePolicy": {},
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment": {},
            "aws:kms/alias:Alias": {},
            "aws:kms/key:Key": {"arn": KEY, "keyId": "state"},
            "aws:s3/bucket:Bucket": {},
            "aws:s3/bucketPolicy:BucketPolicy": {},
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": {},
            "aws:s3/bucketServerSideEncryptionConfiguration:"
            "BucketServerSideEncryptionConfiguration": {},
            "aws:s3/bucketVersioning:BucketVersioning": {},
        }[args.typ]
        return args.name, {**args.inputs, **computed}

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        caller = "arn:aws:sts::111122223333:assumed-role/administrator/mary"
        answers: dict[str, dict[str, Any]] = {
            "aws:index/getCallerIdentity:getCallerIdentity": {
                "accountId": "111122223333",
                "arn": caller,
            },
            "aws:index/getRegion:getRegion": {"region": "eu-west-2"},
        }
        return answers[args.token], []


def stack_file() -> StackFile:
    """The stack as the CLI hands it over: settings.stack_file knows the registry's keys alone."""
    load = YAML(typ="safe", pure=True).load
    project = load((FOLDER / "Pulumi.yaml").read_text())
    defaults = {
        f"{project['name']}:{key}": it["default"]
        for key, it in project["config"].items()
        if "default" in it
    }
    written = load((FOLDER / "Pulumi.prod.yaml").read_text())["config"]
    config = {
        key: it if isinstance(it, str) else json.dumps(it)
        for key, it in (defaults | written).items()
    }
    return StackFile(directory=FOLDER, project=project["name"], stack="prod", config=config)


def declared(**changes: Any) -> Update:
    stack = stack_file()
    config = {f"{stack.project}:{key}": json.dumps(value) for key, value in changes.items()}
    texts = {
        key: value.strip('"') if value.startswith('"') else value for key, value in config.items()
    }
    return execute(delivery.main, replace(stack, config={**stack.config, **texts}), Cloud())


@pytest.fixture(scope="module")
def built() -> Update:
    return declared()


def inputs(update: Update, kind: str, name: str) -> dict[str, Any]:
    [found] = [it for it in update.resources if it.type.endswith(f":{kind}") and it.name == name]
    return {
        key: json.loads(value) if key in {"policy", "assumeRolePolicy"} else value
        for key, value in found.inputs.items()
    }


def test_everything_and_nothing_else(built: Update) -> None:
    assert sorted((it.type.rpartition(":")[2], it.name) for it in built.resources) == [
        ("Alias", "state"),
        ("Bucket", "state"),
        ("BucketPolicy", "state"),
        ("BucketPublicAccessBlock", "state"),
        ("BucketServerSideEncryptionConfiguration", "state"),
        ("BucketVersioning", "state"),
        ("Key", "state"),
        ("OpenIdConnectProvider", "github"),
        ("Policy", "forms-registry-deploy"),
        ("Policy", "forms-registry-deploy-audit-boundary"),
        ("Policy", "forms-registry-deploy-pipeline-boundary"),
        ("Role", "forms-registry-deploy"),
        ("Role", "forms-registry-preview"),
        ("RolePolicy", "preview"),
        ("RolePolicyAttachment", "deploy"),
    ]


def test_the_deploy_role_is_for_the_approved_job_alone_and_bound_by_its_policy(
    built: Update,
) -> None:
    assert inputs(built, "Role", "forms-registry-deploy") == {
        "name": "forms-registry-deploy",
        "path": "/platform/",
        "description": "Updates the container-images stack",
        "permissionsBoundary": f"{IAM}:policy/platform/forms-registry-deploy",
        "assumeRolePolicy": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "GitHubActions",
                    "Effect": "Allow",
                    "Principal": {
                        "Federated": f"{IAM}:oidc-provider/token.actions.githubusercontent.com"
                    },
                    "Action": ["sts:AssumeRoleWithWebIdentity"],
                    "Condition": {
                        "StringEquals": {
                            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
                            "token.actions.githubusercontent.com:sub": [
                                "repo:example-org/forms-registry:environment:registry"
                            ],
                        }
                    },
                }
            ],
        },
    }
    assert inputs(built, "RolePolicyAttachment", "deploy") == {
        "role": "forms-registry-deploy",
        "policyArn": f"{IAM}:policy/platform/forms-registry-deploy",
    }


def test_the_roles_have_the_policies_of_their_place(built: Update) -> None:
    place = {
        "partition": "aws",
        "account_id": "111122223333",
        "region": "eu-west-2",
        "preview_role": f"{IAM}:role/platform/forms-registry-preview",
        "deploy_role": f"{IAM}:role/platform/forms-registry-deploy",
        "pipeline_role": f"{IAM}:role/pipeline/forms-image-pipeline",
        "pipeline_boundary": f"{IAM}:policy/platform/forms-registry-deploy-pipeline-boundary",
        "audit_boundary": f"{IAM}:policy/platform/forms-registry-deploy-audit-boundary",
        "audit_trail": False,
        "deploy_boundary": f"{IAM}:policy/platform/forms-registry-deploy",
        "repository_keys": [],
        "state_bucket": "arn:aws:s3:::example-org-registry-state",
        "preview_projects": [],
        "deploy_projects": [],
        "artifact_bucket": "",
        "artifact_key": "",
    }
    deploying = inputs(built, "Policy", "forms-registry-deploy")
    assert deploying["policy"] == deploy_policy(place, KEY)  # type: ignore[arg-type]
    assert deploying["path"] == "/platform/"
    previewing = inputs(built, "RolePolicy", "preview")
    assert previewing["policy"] == preview_policy(place, KEY)  # type: ignore[arg-type]
    boundary = inputs(built, "Policy", "forms-registry-deploy-pipeline-boundary")
    assert boundary["policy"] == pipeline_boundary()
    boundary = inputs(built, "Policy", "forms-registry-deploy-audit-boundary")
    assert boundary["policy"] == audit_boundary(place)  # type: ignore[arg-type]


def test_without_an_audit_there_is_no_boundary_for_it() -> None:
    update = declared(audit=False)
    assert "auditBoundaryArn" not in update.outputs
    assert not [it for it in update.resources if "audit" in it.name]
    assert "tag-audit" not in json.dumps(
        [inputs(update, "Policy", "forms-registry-deploy"), inputs(update, "RolePolicy", "preview")]
    )


def test_a_trail_is_created_where_it_is_asked_for() -> None:
    for asked in (False, True):
        update = declared(auditTrail=asked)
        document = inputs(update, "Policy", "forms-registry-deploy")["policy"]
        assert ("Trail" in {it["Sid"] for it in document["Statement"]}) == asked


def test_the_stack_of_production_needs_what_is_the_default() -> None:
    audit = json.loads(read(ROOT, "prod").config["container-images:audit"])
    config = stack_file().config
    assert json.loads(config["container-images-delivery:audit"]) == bool(audit)
    creates = json.loads(config["container-images-delivery:auditTrail"])
    assert creates == (audit["trail"] == "create")


def test_a_policy_that_iam_would_not_take_is_refused_before_anything_is_declared() -> None:
    keys = [f"arn:aws:kms:eu-west-2:111122223333:key/{number:036}" for number in range(15)]
    told = r"would have 6,\d+ characters, and IAM takes 6,144: name fewer repositoryKeys"
    with pytest.raises(pulumi.RunError, match=told):
        declared(repositoryKeys=keys)
    assert declared(repositoryKeys=keys, audit=False).resources


def test_a_partition_whose_region_of_iam_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "IAM_REGIONS", {})
    with pytest.raises(pulumi.RunError, match=r"partition aws .* set audit: false"):
        declared()
    assert declared(audit=False).resources


def test_the_state_is_versioned_encrypted_and_private(built: Update) -> None:
    assert inputs(built, "Bucket", "state") == {"bucket": "example-org-registry-state"}
    assert inputs(built, "BucketVersioning", "state")["versioningConfiguration"] == {
        "status": "Enabled"
    }
    encryption = inputs(built, "BucketServerSideEncryptionConfiguration", "state")
    assert encryption["rules"] == [
        {
            "applyServerSideEncryptionByDefault": {
                "sseAlgorithm": "aws:kms",
                "kmsMasterKeyId": KEY,
            },
            "bucketKeyEnabled": True,
        }
    ]
    assert inputs(built, "BucketPublicAccessBlock", "state") == {
        "bucket": "example-org-registry-state",
        "blockPublicAcls": True,
        "blockPublicPolicy": True,
        "ignorePublicAcls": True,
        "restrictPublicBuckets": True,
    }
    assert inputs(built, "BucketPolicy", "state")["policy"]["Statement"][0]["Sid"] == "TlsOnly"
    assert inputs(built, "Key", "state")["enableKeyRotation"] is True


def test_state_and_key_are_kept_whatever_happens(built: Update) -> None:
    kept = {(it.type.rpartition(":")[2], it.name) for it in built.resources if it.protect}
    assert kept == {("Bucket", "state"), ("Key", "state")}
    assert all(it.retain_on_delete == it.protect for it in built.resources)


def test_what_it_tells_the_workflows(built: Update) -> None:
    assert built.outputs == {
        "previewRoleArn": f"{IAM}:role/platform/forms-registry-preview",
        "deployRoleArn": f"{IAM}:role/platform/forms-registry-deploy",
        "pipelineBoundaryArn": f"{IAM}:policy/platform/forms-registry-deploy-pipeline-boundary",
        "auditBoundaryArn": f"{IAM}:policy/platform/forms-registry-deploy-audit-boundary",
        "backendUrl": "s3://example-org-registry-state?region=eu-west-2&awssdk=v2",
        "secretsProvider": "awskms://alias/container-images-state?region=eu-west-2",
    }


def test_the_program_finds_the_registrys_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulumi starts it in its own folder, from which there is no path to the rest."""
    monkeypatch.setattr(sys, "path", [it for it in sys.path if Path(it or ".").resolve() != ROOT])

    def program() -> None:
        runpy.run_path(str(FOLDER / "__main__.py"), run_name="__main__")

    assert execute(program, stack_file(), Cloud()).resources
    assert sys.path[0] == str(ROOT)


def test_an_account_that_has_the_provider_gets_no_second_one() -> None:
    kinds = {it.type for it in declared(githubProvider=False).resources}
    assert not any("openIdConnectProvider" in it for it in kinds)


def test_codebuild_instead_of_github() -> None:
    project = "arn:aws:codebuild:eu-west-2:111122223333:project/registry-deploy"
    update = declared(githubDeploySubjects=[], codeBuildDeployProjects=[project])
    trust = inputs(update, "Role", "forms-registry-deploy")["assumeRolePolicy"]["Statement"]
    assert trust == [
        {
            "Sid": "CodeBuild",
            "Effect": "Allow",
            "Principal": {"Service": "codebuild.amazonaws.com"},
            "Action": ["sts:AssumeRole"],
            "Condition": {
                "ArnEquals": {"aws:SourceArn": [project]},
                "StringEquals": {"aws:SourceAccount": "111122223333"},
            },
        }
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"deployRole": "forms-registry-deploy"}, "deployRole is 'forms-registry-deploy'; write"),
        ({"deployRole": "/pipeline/forms-image-pipeline"}, "need names that differ"),
        ({"githubDeploySubjects": []}, "nobody may assume the deploy role"),
        ({"githubDeploySubjects": ["repo:o/r:*"]}, "'repo:o/r:.' has a wildcard"),
        (
            {"githubDeploySubjects": ["repo:example-org/forms-registry:pull_request"]},
            "pull_request may assume both roles",
        ),
    ],
)
def test_what_would_let_in_the_wrong_ones_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(pulumi.RunError, match=told):
        declared(**changes)


def test_no_job_that_deploys_may_become_the_pipeline() -> None:
    """A token of GitHub's opens each role that trusts its subject."""
    deploying = json.loads(stack_file().config["container-images-delivery:githubDeploySubjects"])
    stack = json.loads(read(ROOT, "prod").config["container-images:pipelineRole"])
    assert deploying
    assert not set(deploying) & set(stack["trustedGitHubSubjects"])


def test_the_stack_names_the_deploy_role_and_the_pipeline_role() -> None:
    ours, stack = stack_file().config, read(ROOT, "prod").config
    deploying = f"{IAM}:role{ours['container-images-delivery:deployRole']}"
    assert deploying in json.loads(stack["container-images:administratorRoles"])
    role = json.loads(stack["container-images:pipelineRole"])
    assert role["path"] + role["name"] == ours["container-images-delivery:pipelineRole"]
