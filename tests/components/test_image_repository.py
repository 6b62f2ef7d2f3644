"""What ImageRepository registers, word for word, and what it leaves out."""

import json
import re
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.image_repository import ImageRepository, ImageRepositoryArgs
from container_images.policies.invalid_input import InvalidInputError
from container_images.policies.repository_policy import Access
from container_images.rehearsal.program import Resource, execute
from container_images.stack.declared import DeclaredStack
from tests.cloud import Cloud

REPOSITORY = "aws:ecr/repository:Repository"
LIFECYCLE_POLICY = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
REPOSITORY_POLICY = "aws:ecr/repositoryPolicy:RepositoryPolicy"

Build = Callable[[ImageRepositoryArgs], dict[str, Resource]]

PULL = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
]
PUSH_AND_PULL = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:BatchImportUpstreamImage",
    "ecr:CompleteLayerUpload",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
]
GUARD: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "OnlyThePipelineMovesTags",
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["ecr:BatchImportUpstreamImage", "ecr:PutImage"],
            "Condition": {
                "ArnNotEquals": {
                    "aws:PrincipalArn": [
                        "arn:aws:iam::111122223333:role/pipeline/push",
                        "arn:aws:iam::777788889999:role/ci/push",
                    ]
                }
            },
        },
        {
            "Sid": "OnlyAdministratorsDeleteAndChangeTheGuard",
            "Effect": "Deny",
            "Principal": "*",
            "Action": [
                "ecr:BatchDeleteImage",
                "ecr:DeleteLifecyclePolicy",
                "ecr:DeleteRepository",
                "ecr:DeleteRepositoryPolicy",
                "ecr:PutImageScanningConfiguration",
                "ecr:PutImageTagMutability",
                "ecr:PutLifecyclePolicy",
                "ecr:SetRepositoryPolicy",
                "ecr:TagResource",
                "ecr:UntagResource",
                "ecr:UpdateImageStorageClass",
            ],
            "Condition": {
                "ArnNotEquals": {
                    "aws:PrincipalArn": [
                        "arn:aws:iam::111122223333:role/break-glass",
                        "arn:aws:iam::111122223333:role/platform/deploy",
                    ]
                }
            },
        },
        {
            "Sid": "ThePipelinePushesAndPulls",
            "Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam::111122223333:role/pipeline/push"]},
            "Action": PUSH_AND_PULL,
        },
        {
            "Sid": "ThePipelineOfOtherAccountsPushesAndPulls",
            "Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam::777788889999:root"]},
            "Action": PUSH_AND_PULL,
            "Condition": {
                "ArnEquals": {"aws:PrincipalArn": ["arn:aws:iam::777788889999:role/ci/push"]}
            },
        },
        {
            "Sid": "OtherAccountsPull",
            "Effect": "Allow",
            "Principal": {
                "AWS": ["arn:aws:iam::123456789012:root", "arn:aws:iam::444455556666:root"]
            },
            "Action": PULL,
        },
        {
            "Sid": "TheOrganizationPulls",
            "Effect": "Allow",
            "Principal": "*",
            "Action": PULL,
            "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-exampleorgid"}},
        },
        {
            "Sid": "LambdaPulls",
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            "Condition": {
                "ArnLike": {
                    "aws:SourceArn": [
                        "arn:aws:lambda:eu-west-2:111122223333:function:*",
                        "arn:aws:lambda:eu-west-2:444455556666:function:*",
                    ]
                }
            },
        },
    ],
}
"""The repository policy for the access of `everything`."""

PROTECTIVE_RULE = {
    "rulePriority": 1,
    "description": "Keep the image that latest names",
    "selection": {
        "tagStatus": "tagged",
        "tagPatternList": ["latest"],
        "countType": "imageCountMoreThan",
        "countNumber": 1,
    },
    "action": {"type": "expire"},
}
RETENTION = {
    "rules": [
        PROTECTIVE_RULE,
        {
            "rulePriority": 2,
            "description": "Keep the newest 3 of images tagged prod-*",
            "selection": {
                "tagStatus": "tagged",
                "tagPatternList": ["prod-*"],
                "countType": "imageCountMoreThan",
                "countNumber": 3,
            },
            "action": {"type": "expire"},
        },
        {
            "rulePriority": 3,
            "description": "Expire untagged images 1 day after their push",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 1,
            },
            "action": {"type": "expire"},
        },
    ]
}
"""The lifecycle policy for the retention of `everything`."""


@pytest.fixture
def args(access: Access) -> ImageRepositoryArgs:
    """Only what has to be given."""
    return {"access": access, "tag_mutability": "MUTABLE", "movable_tags": ["latest"]}


@pytest.fixture
def everything(args: ImageRepositoryArgs) -> ImageRepositoryArgs:
    """Whatever can be given."""
    roles = "arn:aws:iam::111122223333:role"
    access: Access = {
        **args["access"],
        "pipeline_roles": ["arn:aws:iam::777788889999:role/ci/push", f"{roles}/pipeline/push"],
        "administrator_roles": [f"{roles}/platform/deploy", f"{roles}/break-glass"],
        "pull_accounts": ["444455556666", "123456789012"],
        "pull_organization": "o-exampleorgid",
        "lambda_pull": True,
        "lambda_pull_accounts": ["444455556666"],
    }
    return {
        "access": access,
        "tag_mutability": "MUTABLE_WITH_EXCLUSION",
        "movable_tags": ["latest"],
        "immutable_tags": ["prod-*", "stg-*"],
        "retention": [
            {"tags": "prod-*", "keep_newest": 3},
            {"untagged": True, "expire_after_days": 1},
        ],
        "kms_key": "arn:aws:kms:eu-west-2:111122223333:key/1",
        "scan_on_push": False,
        "tags": {"Team": "forms"},
        "import_existing": True,
    }


@pytest.fixture
def build(prod: DeclaredStack, cloud: Cloud) -> Build:
    """Registers a component named app, and gives what is registered, by type."""

    def registered(args: ImageRepositoryArgs) -> dict[str, Resource]:
        def program() -> None:
            component = ImageRepository("app", args)
            pulumi.export("url", component.repository_url)
            pulumi.export("arn", component.repository_arn)
            pulumi.export("tagMutability", component.tag_mutability)

        update = execute(program, prod, cloud)
        assert update.outputs == {
            "url": "111122223333.dkr.ecr.eu-west-2.amazonaws.com/app",
            "arn": "arn:aws:ecr:eu-west-2:111122223333:repository/app",
            "tagMutability": args["tag_mutability"],
        }
        return {resource.type: resource for resource in update.resources}

    return registered


def policy(resource: Resource) -> Any:
    assert resource.inputs.keys() == {"repository", "policy"}
    assert resource.inputs["repository"] == "app"
    return json.loads(resource.inputs["policy"])


@pytest.mark.parametrize("imported", ["app", ""])
def test_a_repository_and_two_policies_are_registered_and_nothing_else(
    build: Build, args: ImageRepositoryArgs, imported: str
) -> None:
    """Types, names and parents make up the URNs: they stay as they are, for ever.

    The component is not protected: its children would inherit it, and a protected policy could not
    be replaced.
    """
    args["import_existing"] = bool(imported)
    assert {
        (
            each.type,
            each.name,
            each.parent,
            each.protect,
            each.retain_on_delete,
            each.options.import_,
        )
        for each in build(args).values()
    } == {
        ("container-images:index:ImageRepository", "app", None, False, False, None),
        ("aws:ecr/repository:Repository", "app", "app", True, True, imported or None),
        ("aws:ecr/lifecyclePolicy:LifecyclePolicy", "app-lifecycle", "app", False, True, None),
        ("aws:ecr/repositoryPolicy:RepositoryPolicy", "app-policy", "app", False, True, None),
    }


def test_all_inputs_with_whatever_can_be_given(
    build: Build, everything: ImageRepositoryArgs
) -> None:
    resources = build(everything)
    assert resources[REPOSITORY].inputs == {
        "name": "app",
        "imageTagMutability": "MUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [
            {"filter": "prod-*", "filterType": "WILDCARD"},
            {"filter": "stg-*", "filterType": "WILDCARD"},
        ],
        "imageScanningConfiguration": {"scanOnPush": False},
        "encryptionConfigurations": [
            {"encryptionType": "KMS", "kmsKey": "arn:aws:kms:eu-west-2:111122223333:key/1"}
        ],
        "tags": {"Team": "forms"},
    }
    assert policy(resources[REPOSITORY_POLICY]) == GUARD
    assert policy(resources[LIFECYCLE_POLICY]) == RETENTION


def test_all_inputs_with_only_what_has_to_be_given(build: Build, args: ImageRepositoryArgs) -> None:
    args["access"]["pull_accounts"] = []
    resources = build(args)
    assert resources[REPOSITORY].inputs == {
        "name": "app",
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfigurations": [{"encryptionType": "AES256"}],
    }
    assert policy(resources[LIFECYCLE_POLICY]) == {"rules": [PROTECTIVE_RULE]}
    statements = policy(resources[REPOSITORY_POLICY])["Statement"]
    every = [statement["Sid"] for statement in GUARD["Statement"]]
    assert [statement["Sid"] for statement in statements] == every[:3]


def test_with_immutable_tags_the_movable_ones_are_excluded(
    build: Build, everything: ImageRepositoryArgs
) -> None:
    everything["tag_mutability"] = "IMMUTABLE_WITH_EXCLUSION"
    everything["movable_tags"] = ["latest", "sha256-*.sig"]
    resources = build(everything)
    assert resources[REPOSITORY].inputs["imageTagMutabilityExclusionFilters"] == [
        {"filter": "latest", "filterType": "WILDCARD"},
        {"filter": "sha256-*.sig", "filterType": "WILDCARD"},
    ]
    # A pattern of movable tags has no protective rule.
    assert policy(resources[LIFECYCLE_POLICY]) == RETENTION


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"movable_tags": [pulumi.Output.from_input("latest")]}, "movable_tags[0]"),
        ({"kms_key": pulumi.Output.from_input("x")}, "kms_key"),
        ({"import_existing": pulumi.Output.from_input(0)}, "import_existing"),
    ],
)
def test_an_output_where_a_plain_value_is_needed_is_refused_by_its_name(
    args: ImageRepositoryArgs, changes: Any, place: str
) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(f"{place}: must be a plain value")):
        ImageRepository("app", {**args, **changes})
