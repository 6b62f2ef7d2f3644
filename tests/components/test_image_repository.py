"""What ImageRepository registers, word for word, and what it leaves out."""

from typing import Any

import pulumi
import pytest

from components.image_repository import ImageRepository, ImageRepositoryArgs
from container_images.policies.repository_policy import Access
from tests.components.conftest import Mocks, build

COMPONENT = "container-images:index:ImageRepository"
REPOSITORY = "aws:ecr/repository:Repository"
LIFECYCLE_POLICY = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
REPOSITORY_POLICY = "aws:ecr/repositoryPolicy:RepositoryPolicy"

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
GUARD = {
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
                "ArnLike": {"aws:SourceArn": "arn:aws:lambda:eu-west-2:111122223333:function:*"}
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
def everything() -> ImageRepositoryArgs:
    """Whatever can be given."""
    return {
        "access": {
            "partition": "aws",
            "account_id": "111122223333",
            "region": "eu-west-2",
            "pipeline_roles": [
                "arn:aws:iam::777788889999:role/ci/push",
                "arn:aws:iam::111122223333:role/pipeline/push",
            ],
            "administrator_roles": [
                "arn:aws:iam::111122223333:role/platform/deploy",
                "arn:aws:iam::111122223333:role/break-glass",
            ],
            "pull_accounts": ["444455556666", "123456789012"],
            "pull_organization": "o-exampleorgid",
            "lambda_pull": True,
        },
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


def test_a_repository_and_two_policies_are_registered_and_nothing_else(
    mocks: Mocks, everything: ImageRepositoryArgs
) -> None:
    """Types, names and parents make up the URNs: they stay as they are, for ever."""
    build(lambda: ImageRepository("app", everything))
    component = mocks.options[REPOSITORY, "app"].parent
    assert isinstance(component, ImageRepository)
    assert {key: options.parent for key, options in mocks.options.items()} == {
        ("container-images:index:ImageRepository", "app"): None,
        ("aws:ecr/repository:Repository", "app"): component,
        ("aws:ecr/lifecyclePolicy:LifecyclePolicy", "app-lifecycle"): component,
        ("aws:ecr/repositoryPolicy:RepositoryPolicy", "app-policy"): component,
    }
    assert mocks.inputs.keys() == mocks.options.keys()


def test_all_inputs_with_whatever_can_be_given(
    mocks: Mocks, everything: ImageRepositoryArgs
) -> None:
    build(lambda: ImageRepository("app", everything))
    assert mocks.inputs[REPOSITORY, "app"] == {
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
    for key, document in (
        ((REPOSITORY_POLICY, "app-policy"), GUARD),
        ((LIFECYCLE_POLICY, "app-lifecycle"), RETENTION),
    ):
        assert mocks.inputs[key].keys() == {"repository", "policy"}
        assert mocks.inputs[key]["repository"] == "app"
        assert mocks.document(*key) == document


def test_all_inputs_with_only_what_has_to_be_given(mocks: Mocks, args: ImageRepositoryArgs) -> None:
    args["access"]["pull_accounts"] = []
    build(lambda: ImageRepository("app", args))
    assert mocks.inputs[REPOSITORY, "app"] == {
        "name": "app",
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfigurations": [{"encryptionType": "AES256"}],
    }
    assert mocks.document(LIFECYCLE_POLICY, "app-lifecycle") == {"rules": [PROTECTIVE_RULE]}
    statements = mocks.document(REPOSITORY_POLICY, "app-policy")["Statement"]
    assert [statement["Sid"] for statement in statements] == [
        "OnlyThePipelineMovesTags",
        "OnlyAdministratorsDeleteAndChangeTheGuard",
        "ThePipelinePushesAndPulls",
    ]


def test_with_immutable_tags_the_movable_ones_are_excluded(
    mocks: Mocks, everything: ImageRepositoryArgs
) -> None:
    everything["tag_mutability"] = "IMMUTABLE_WITH_EXCLUSION"
    everything["movable_tags"] = ["latest", "sha256-*.sig"]
    build(lambda: ImageRepository("app", everything))
    assert mocks.inputs[REPOSITORY, "app"]["imageTagMutabilityExclusionFilters"] == [
        {"filter": "latest", "filterType": "WILDCARD"},
        {"filter": "sha256-*.sig", "filterType": "WILDCARD"},
    ]
    # A pattern of movable tags has no protective rule.
    assert mocks.document(LIFECYCLE_POLICY, "app-lifecycle") == RETENTION


@pytest.mark.parametrize("imported", ["app", None])
def test_the_repository_is_protected_and_imported_and_all_three_are_retained(
    mocks: Mocks, args: ImageRepositoryArgs, imported: str | None
) -> None:
    args["import_existing"] = imported is not None
    build(lambda: ImageRepository("app", args))
    options = {
        key: (it.protect, it.retain_on_delete, it.import_) for key, it in mocks.options.items()
    }
    assert options == {
        # What a component says its children inherit: a protected policy could not be replaced.
        (COMPONENT, "app"): (None, None, None),
        (REPOSITORY, "app"): (True, True, imported),
        (LIFECYCLE_POLICY, "app-lifecycle"): (None, True, None),
        (REPOSITORY_POLICY, "app-policy"): (None, True, None),
    }


def test_the_repository_policy_waits_for_what_the_component_depends_on(
    mocks: Mocks, args: ImageRepositoryArgs
) -> None:
    waited_for: list[pulumi.Resource] = []

    def program() -> None:
        waited_for.append(pulumi.ComponentResource("container-images:index:PipelineRole", "push"))
        ImageRepository("app", args, pulumi.ResourceOptions(depends_on=waited_for))

    build(program)
    assert len(waited_for) == 1
    assert mocks.options[REPOSITORY_POLICY, "app-policy"].depends_on == waited_for
    assert mocks.options[LIFECYCLE_POLICY, "app-lifecycle"].depends_on == []
    assert mocks.options[REPOSITORY, "app"].depends_on == []


@pytest.mark.usefixtures("mocks")
def test_its_outputs_are_the_repositorys(args: ImageRepositoryArgs) -> None:
    def program() -> dict[str, pulumi.Output[Any]]:
        component = ImageRepository("app", args)
        return {
            "url": component.repository_url,
            "arn": component.repository_arn,
            "tagMutability": component.tag_mutability,
        }

    assert build(program) == {
        "url": "111122223333.dkr.ecr.eu-west-2.amazonaws.com/app",
        "arn": "arn:aws:ecr:eu-west-2:111122223333:repository/app",
        "tagMutability": "MUTABLE",
    }


NUMBER = r"keepNewest = .*between 1 and 100,000"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"tag_mutability": "IMMUTABLE"}, "'IMMUTABLE' is not one of MUTABLE, "),
        (
            {"retention": [{"tags": "latest", "keep_newest": 1}]},
            "movable tag latest has a protective rule",
        ),
        # In Python True is an int, and equal to 1.
        ({"retention": [{"any": True, "keep_newest": True}]}, NUMBER),
        ({"retention": [{"any": True, "keep_newest": 1.5}]}, NUMBER),
        ({"retention": [{"any": True, "keep_newest": "1"}]}, NUMBER),
    ],
)
def test_what_is_refused_registers_nothing(
    mocks: Mocks, args: ImageRepositoryArgs, change: Any, error: str
) -> None:
    with pytest.raises(ValueError, match=error):
        build(lambda: ImageRepository("app", {**args, **change}))
    assert (REPOSITORY, "app") not in mocks.inputs
