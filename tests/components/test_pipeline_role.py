"""What PipelineRole registers, word for word, and what it leaves out."""

import json
from typing import Any

import pulumi
import pytest

from components.pipeline_role import PipelineRole, PipelineRoleArgs
from container_images.rehearsal.program import Update, execute
from container_images.stack.declared import DeclaredStack
from tests.cloud import Cloud

TRUST: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "CodeBuild",
            "Effect": "Allow",
            "Principal": {"Service": "codebuild.amazonaws.com"},
            "Action": ["sts:AssumeRole"],
            "Condition": {
                "ArnEquals": {
                    "aws:SourceArn": ["arn:aws:codebuild:eu-west-2:111122223333:project/deploy"]
                },
                "StringEquals": {"aws:SourceAccount": "111122223333"},
            },
        },
        {
            "Sid": "GitHubActions",
            "Effect": "Allow",
            "Principal": {
                "Federated": "arn:aws:iam::111122223333:oidc-provider/"
                "token.actions.githubusercontent.com"
            },
            "Action": ["sts:AssumeRoleWithWebIdentity"],
            "Condition": {
                "StringEquals": {
                    "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
                    "token.actions.githubusercontent.com:sub": [
                        "repo:example-org/forms-deploy:environment:production"
                    ],
                }
            },
        },
        {
            "Sid": "Oidc",
            "Effect": "Allow",
            "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/gitlab.com"},
            "Action": ["sts:AssumeRoleWithWebIdentity"],
            "Condition": {
                "StringEquals": {
                    "gitlab.com:aud": "https://gitlab.com",
                    "gitlab.com:sub": ["project_path:example/forms:ref_type:branch:ref:main"],
                }
            },
        },
        {
            "Sid": "Roles",
            "Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam::444455556666:role/ci"]},
            "Action": ["sts:AssumeRole"],
        },
    ],
}
"""The trust policy for the trust of `everything`."""


@pytest.fixture
def everything() -> PipelineRoleArgs:
    """Whatever can be given."""
    return {
        "trust": {
            "partition": "aws",
            "account_id": "111122223333",
            "codebuild_projects": ["arn:aws:codebuild:eu-west-2:111122223333:project/deploy"],
            "github_subjects": ["repo:example-org/forms-deploy:environment:production"],
            "roles": ["arn:aws:iam::444455556666:role/ci"],
            "oidc": {
                "provider": "gitlab.com",
                "audience": "https://gitlab.com",
                "subjects": ["project_path:example/forms:ref_type:branch:ref:main"],
            },
        },
        "path": "/ci/",
        "permissions_boundary": "arn:aws:iam::111122223333:policy/boundary",
    }


def built(prod: DeclaredStack, cloud: Cloud, args: PipelineRoleArgs) -> Update:
    def program() -> None:
        pulumi.export("arn", PipelineRole("push", args).arn)

    return execute(program, prod, cloud)


def test_everything_that_is_registered_with_whatever_can_be_given(
    prod: DeclaredStack, cloud: Cloud, everything: PipelineRoleArgs
) -> None:
    """Types, names and parents make up the URNs: they stay as they are, for ever.

    Nothing is protected: a role holds nothing that is lost with it.
    """
    update = built(prod, cloud, everything)
    assert update.outputs == {"arn": "arn:aws:iam::111122223333:role/ci/push"}
    assert [(each.type, each.name, each.parent) for each in update.resources] == [
        ("container-images:index:PipelineRole", "push", None),
        ("aws:iam/role:Role", "push", "push"),
        ("aws:iam/rolePolicy:RolePolicy", "push-login", "push"),
    ]
    for each in update.resources:
        assert (each.protect, each.retain_on_delete, each.options.import_) == (False, False, None)
    _, role, login = update.resources
    assert json.loads(role.inputs.pop("assumeRolePolicy")) == TRUST
    assert role.inputs == {
        "name": "push",
        "path": "/ci/",
        "description": "Pushes images to ECR and moves their tags",
        "permissionsBoundary": "arn:aws:iam::111122223333:policy/boundary",
    }
    assert json.loads(login.inputs.pop("policy")) == {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}],
    }
    assert login.inputs == {"name": "registry-login", "role": "push"}


def test_without_options_there_is_no_boundary_and_only_the_trust_that_is_given(
    prod: DeclaredStack, cloud: Cloud, everything: PipelineRoleArgs
) -> None:
    trust = everything["trust"]
    trust["codebuild_projects"] = trust["github_subjects"] = []
    del trust["oidc"]
    inputs = built(prod, cloud, {"trust": trust}).resources[1].inputs
    assert inputs.keys() == {"name", "path", "description", "assumeRolePolicy"}
    assert inputs["path"] == "/"
    assert json.loads(inputs["assumeRolePolicy"]) == {**TRUST, "Statement": TRUST["Statement"][-1:]}
