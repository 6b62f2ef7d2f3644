"""Registry: what it takes as inputs, refuses, and reads from the configuration."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pulumi
import pytest

from components.image_repository import ImageRepository, ImageRepositoryArgs
from components.pipeline_role import PipelineRole, PipelineRoleArgs
from components.registry import Registry
from container_images.policies.invalid_input import InvalidInputError
from container_images.policies.repository_policy import Access
from container_images.rehearsal.program import execute
from container_images.stack.declared import DeclaredStack
from tests.cloud import Cloud

ROLE = "arn:aws:iam::111122223333:role"
ARGS: dict[str, Any] = {
    "repositories": {"app": {}},
    "pipelineRole": {"arn": f"{ROLE}/ci/push"},
    "administratorRoles": [f"{ROLE}/platform/forms-registry-deploy"],
}


def test_a_second_one_is_refused_by_name(prod: DeclaredStack, cloud: Cloud) -> None:
    def program() -> None:
        Registry("first", ARGS)
        Registry("second", ARGS)

    with pytest.raises(pulumi.RunError, match="has the Registry first already, and second would"):
        execute(program, prod, cloud)


def test_from_config_reads_the_namespace_of_the_project(prod: DeclaredStack, cloud: Cloud) -> None:
    config = {key.replace(prod.project, "ours", 1): text for key, text in prod.config.items()}
    stack = replace(prod, project="ours", config=config)
    resources = execute(Registry.from_config, stack, cloud).resources
    assert [each.type for each in resources].count("aws:ecr/repository:Repository") == 5


def repository_args(access: Mapping[str, Any], **changes: Any) -> ImageRepositoryArgs:
    """The least that it takes, with changes of it and of its access."""
    of_access = {key: changes.pop(key) for key in changes.keys() & Access.__annotations__.keys()}
    args = {"tag_mutability": "MUTABLE", "movable_tags": ["latest"], **changes}
    return cast("ImageRepositoryArgs", {**args, "access": {**access, **of_access}})


BOTH = "no role both moves tags and administers"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"pipeline_roles": [f"{ROLE}/*"]}, "access.pipelineRoles[0] = "),
        ({"administrator_roles": [f"{ROLE}/a?"]}, "access.administratorRoles[0] = "),
        ({"pipeline_roles": []}, "access.pipelineRoles = []: must have at least one"),
        ({"pull_accounts": ["12"]}, 'access.pullAccounts[0] = "12": must be an account'),
        ({"lambda_pull_accounts": ["*"]}, "access.lambdaPullAccounts[0] = "),
        ({"pull_organization": "o-*"}, "access.pullOrganization[0] = "),
        ({"pipeline_roles": [f"{ROLE}/a"], "administrator_roles": [f"{ROLE}/a"]}, BOTH),
        ({"pipeline_roles": [f"{ROLE}/ci/a"], "administrator_roles": [f"{ROLE}/a"]}, BOTH),
        ({"administrator_roles": ["arn:aws:iam::444455556666:role/a"]}, "own account"),
        ({"account_id": "*"}, "access.accountId[0] = "),
        ({"region": "*"}, "access.region[0] = "),
        ({"tag_mutability": "IMMUTABLE"}, "must be one of MUTABLE, "),
        ({"movable_tags": ["latest", "*"]}, "would let every tag move"),
        ({"immutable_tags": ["l*"]}, "match a movable tag"),
        ({"movable_tags": ["-la"]}, "movableTags[0] = "),
        ({"immutable_tags": ["-x"]}, "immutableTags[0] = "),
        # tests/policies/test_retention.py has all that a rule may not be.
        ({"retention": [{"any": True, "keep_newest": "1"}]}, "keepNewest = "),
    ],
)
def test_an_image_repository_refuses(access: Access, changes: Any, error: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(error)):
        ImageRepository("app", repository_args(access, **changes))


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("roles", f"{ROLE}/*", "trust.roles[0] = "),
        ("github_subjects", "repo:o/r:pull_request", "trust.githubSubjects[0] = "),
        ("codebuild_projects", "*", "trust.codebuildProjects[0] = "),
    ],
)
def test_a_pipeline_role_refuses(key: str, value: str, error: str) -> None:
    trust = {"partition": "aws", "account_id": "111122223333", "codebuild_projects": []}
    trust |= {"github_subjects": [], "roles": [], key: [value]}
    args = cast("PipelineRoleArgs", {"trust": trust})
    with pytest.raises(InvalidInputError, match=re.escape(error)):
        PipelineRole("push", args)
