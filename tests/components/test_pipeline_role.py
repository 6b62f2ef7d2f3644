"""What PipelineRole registers, word for word, and what it leaves out."""

from typing import Any

import pytest

from components.pipeline_role import PipelineRole, PipelineRoleArgs
from container_images.access.policy import parse
from container_images.access.steps import is_pinned
from tests.components.conftest import Mocks, build

ROLE = "aws:iam/role:Role"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"

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


def test_a_role_and_its_policy_are_registered_and_nothing_else(
    mocks: Mocks, everything: PipelineRoleArgs
) -> None:
    """Types, names and parents make up the URNs: they stay as they are, for ever.

    Nothing is protected: a role holds nothing that is lost with it.
    """
    assert build(lambda: {"arn": PipelineRole("push", everything).arn}) == {
        "arn": "arn:aws:iam::111122223333:role/ci/push"
    }
    component = mocks.options[ROLE, "push"].parent
    assert isinstance(component, PipelineRole)
    assert {key: options.parent for key, options in mocks.options.items()} == {
        ("container-images:index:PipelineRole", "push"): None,
        ("aws:iam/role:Role", "push"): component,
        ("aws:iam/rolePolicy:RolePolicy", "push-login"): component,
    }
    assert mocks.inputs.keys() == mocks.options.keys()
    options = [(it.protect, it.retain_on_delete, it.import_) for it in mocks.options.values()]
    assert options == [(None, None, None)] * 3


def test_all_inputs_with_whatever_can_be_given(mocks: Mocks, everything: PipelineRoleArgs) -> None:
    build(lambda: PipelineRole("push", everything))
    assert mocks.document(ROLE, "push", "assumeRolePolicy") == TRUST
    del mocks.inputs[ROLE, "push"]["assumeRolePolicy"]
    assert mocks.inputs[ROLE, "push"] == {
        "name": "push",
        "path": "/ci/",
        "description": "Pushes images to ECR and moves their tags",
        "permissionsBoundary": "arn:aws:iam::111122223333:policy/boundary",
    }
    inputs = mocks.inputs[ROLE_POLICY, "push-login"]
    assert inputs.keys() == {"name", "role", "policy"}
    assert (inputs["name"], inputs["role"]) == ("registry-login", "push")
    assert mocks.document(ROLE_POLICY, "push-login") == {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}],
    }


def test_without_options_there_is_no_boundary_and_only_the_trust_that_is_given(
    mocks: Mocks, everything: PipelineRoleArgs
) -> None:
    trust = everything["trust"]
    trust["codebuild_projects"] = trust["github_subjects"] = []
    del trust["oidc"]
    build(lambda: PipelineRole("push", {"trust": trust}))
    inputs = mocks.inputs[ROLE, "push"]
    assert inputs.keys() == {"name", "path", "description", "assumeRolePolicy"}
    assert inputs["path"] == "/"
    trusted = mocks.document(ROLE, "push", "assumeRolePolicy")
    assert trusted == {**TRUST, "Statement": TRUST["Statement"][-1:]}


def test_who_can_reads_exact_subjects_of_any_provider_as_a_restriction() -> None:
    statements = parse(TRUST).statements
    assert [is_pinned(statement) for statement in statements] == [False, True, True, False]
