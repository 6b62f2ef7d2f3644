"""What PipelineRole registers, word for word, and what it leaves out."""

from typing import Any

import pytest

from components import pipeline_role
from components.pipeline_role import PipelineRole, PipelineRoleArgs
from container_images.policies.trust_policy import Trust, trust_policy
from tests.components.conftest import Mocks, build

ROLE = "aws:iam/role:Role"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"

TRUST = {
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
        },
        "path": "/ci/",
        "permissions_boundary": "arn:aws:iam::111122223333:policy/boundary",
    }


@pytest.fixture
def args(everything: PipelineRoleArgs) -> PipelineRoleArgs:
    """Only what has to be given."""
    trust = everything["trust"]
    trust["codebuild_projects"] = trust["github_subjects"] = []
    return {"trust": trust}


def test_a_role_and_its_policy_are_registered_and_nothing_else(
    mocks: Mocks, everything: PipelineRoleArgs
) -> None:
    """Types, names and parents make up the URNs: they stay as they are, for ever."""
    build(lambda: PipelineRole("push", everything))
    parents = {key: options.parent for key, options in mocks.options.items()}
    component = parents[ROLE, "push"]
    assert isinstance(component, PipelineRole)
    assert parents == {
        ("container-images:index:PipelineRole", "push"): None,
        ("aws:iam/role:Role", "push"): component,
        ("aws:iam/rolePolicy:RolePolicy", "push-login"): component,
    }
    assert mocks.inputs.keys() == parents.keys()


def test_the_role_with_whatever_can_be_given(mocks: Mocks, everything: PipelineRoleArgs) -> None:
    build(lambda: PipelineRole("push", everything))
    rest = {key: it for key, it in mocks.inputs[ROLE, "push"].items() if key != "assumeRolePolicy"}
    assert rest == {
        "name": "push",
        "path": "/ci/",
        "description": "Pushes images to ECR and moves their tags",
        "permissionsBoundary": "arn:aws:iam::111122223333:policy/boundary",
    }
    assert mocks.document(ROLE, "push", "assumeRolePolicy") == TRUST


def test_without_options_there_is_no_boundary_and_only_the_trust_that_is_given(
    mocks: Mocks, args: PipelineRoleArgs
) -> None:
    build(lambda: PipelineRole("push", args))
    assert mocks.inputs[ROLE, "push"].keys() == {
        *("name", "path", "description", "assumeRolePolicy")
    }
    assert mocks.inputs[ROLE, "push"]["path"] == "/"
    assert mocks.document(ROLE, "push", "assumeRolePolicy") == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Roles",
                "Effect": "Allow",
                "Principal": {"AWS": ["arn:aws:iam::444455556666:role/ci"]},
                "Action": ["sts:AssumeRole"],
            }
        ],
    }


def test_the_role_itself_may_log_in_to_the_registry_and_nothing_else(
    mocks: Mocks, everything: PipelineRoleArgs
) -> None:
    build(lambda: PipelineRole("push", everything))
    inputs = mocks.inputs[ROLE_POLICY, "push-login"]
    assert (inputs["name"], inputs["role"]) == ("registry-login", "push")
    assert inputs.keys() == {"name", "role", "policy"}
    assert mocks.document(ROLE_POLICY, "push-login") == {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}],
    }


def test_a_role_is_neither_protected_nor_retained(
    mocks: Mocks, everything: PipelineRoleArgs
) -> None:
    """It holds nothing that is lost with it: whoever stops using it may delete it."""
    build(lambda: PipelineRole("push", everything))
    options = [(it.protect, it.retain_on_delete, it.import_) for it in mocks.options.values()]
    assert options == [(None, None, None)] * 3


@pytest.mark.usefixtures("mocks")
def test_its_output_is_the_roles_arn(everything: PipelineRoleArgs) -> None:
    assert build(lambda: {"arn": PipelineRole("push", everything).arn}) == {
        "arn": "arn:aws:iam::111122223333:role/ci/push"
    }


@pytest.mark.parametrize("missing", range(3))
def test_a_statement_that_is_missing_is_seen(
    mocks: Mocks, everything: PipelineRoleArgs, monkeypatch: pytest.MonkeyPatch, missing: int
) -> None:
    def without_one(trust: Trust) -> dict[str, Any]:
        document = trust_policy(trust)
        del document["Statement"][missing]
        return document

    monkeypatch.setattr(pipeline_role, "trust_policy", without_one)
    with pytest.raises(AssertionError):
        test_the_role_with_whatever_can_be_given(mocks, everything)


def test_a_role_that_may_do_more_is_seen(
    mocks: Mocks, everything: PipelineRoleArgs, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}
    monkeypatch.setattr(pipeline_role, "pipeline_role_policy", lambda: {"Statement": [more]})
    with pytest.raises(AssertionError):
        test_the_role_itself_may_log_in_to_the_registry_and_nothing_else(mocks, everything)
