"""What ImageRepository registers, word for word, and what it leaves out."""

from typing import Any

import pulumi
import pytest

from components import image_repository
from components.image_repository import ImageRepository, ImageRepositoryArgs
from container_images.policies import retention
from container_images.policies.invalid_input import InvalidInputError
from container_images.policies.repository_policy import Access, repository_policy
from tests.components.conftest import Mocks, build

COMPONENT = "container-images:index:ImageRepository"
REPOSITORY = "aws:ecr/repository:Repository"
LIFECYCLE_POLICY = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
REPOSITORY_POLICY = "aws:ecr/repositoryPolicy:RepositoryPolicy"

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
            "Action": [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:BatchImportUpstreamImage",
                "ecr:CompleteLayerUpload",
                "ecr:DescribeImages",
                "ecr:GetDownloadUrlForLayer",
                "ecr:InitiateLayerUpload",
                "ecr:PutImage",
                "ecr:UploadLayerPart",
            ],
        },
        {
            "Sid": "ThePipelineOfOtherAccountsPushesAndPulls",
            "Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam::777788889999:root"]},
            "Action": [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:BatchImportUpstreamImage",
                "ecr:CompleteLayerUpload",
                "ecr:DescribeImages",
                "ecr:GetDownloadUrlForLayer",
                "ecr:InitiateLayerUpload",
                "ecr:PutImage",
                "ecr:UploadLayerPart",
            ],
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
            "Action": [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:DescribeImages",
                "ecr:GetDownloadUrlForLayer",
            ],
        },
        {
            "Sid": "TheOrganizationPulls",
            "Effect": "Allow",
            "Principal": "*",
            "Action": [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:DescribeImages",
                "ecr:GetDownloadUrlForLayer",
            ],
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
            "description": "Expire images tagged pr-* 14 days after their push",
            "selection": {
                "tagStatus": "tagged",
                "tagPatternList": ["pr-*"],
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 14,
            },
            "action": {"type": "expire"},
        },
        {
            "rulePriority": 4,
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

FILTERS = [
    {"filter": "prod-*", "filterType": "WILDCARD"},
    {"filter": "stg-*", "filterType": "WILDCARD"},
]


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
            {"tags": "pr-*", "expire_after_days": 14},
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
    parents = {key: options.parent for key, options in mocks.options.items()}
    component = parents[REPOSITORY, "app"]
    assert isinstance(component, ImageRepository)
    assert parents == {
        ("container-images:index:ImageRepository", "app"): None,
        ("aws:ecr/repository:Repository", "app"): component,
        ("aws:ecr/lifecyclePolicy:LifecyclePolicy", "app-lifecycle"): component,
        ("aws:ecr/repositoryPolicy:RepositoryPolicy", "app-policy"): component,
    }
    assert mocks.inputs.keys() == parents.keys()


def test_the_repository_with_whatever_can_be_given(
    mocks: Mocks, everything: ImageRepositoryArgs
) -> None:
    build(lambda: ImageRepository("app", everything))
    assert mocks.inputs[REPOSITORY, "app"] == {
        "name": "app",
        "imageTagMutability": "MUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": FILTERS,
        "imageScanningConfiguration": {"scanOnPush": False},
        "encryptionConfigurations": [
            {"encryptionType": "KMS", "kmsKey": "arn:aws:kms:eu-west-2:111122223333:key/1"}
        ],
        "tags": {"Team": "forms"},
    }


def test_the_repository_policy_with_whatever_can_be_given(
    mocks: Mocks, everything: ImageRepositoryArgs
) -> None:
    build(lambda: ImageRepository("app", everything))
    assert mocks.inputs[REPOSITORY_POLICY, "app-policy"].keys() == {"repository", "policy"}
    assert mocks.inputs[REPOSITORY_POLICY, "app-policy"]["repository"] == "app"
    assert mocks.document(REPOSITORY_POLICY, "app-policy") == GUARD


def test_the_lifecycle_policy_with_whatever_can_be_given(
    mocks: Mocks, everything: ImageRepositoryArgs
) -> None:
    build(lambda: ImageRepository("app", everything))
    assert mocks.inputs[LIFECYCLE_POLICY, "app-lifecycle"].keys() == {"repository", "policy"}
    assert mocks.inputs[LIFECYCLE_POLICY, "app-lifecycle"]["repository"] == "app"
    assert mocks.document(LIFECYCLE_POLICY, "app-lifecycle") == RETENTION


def test_without_options_there_are_no_filters_no_kms_key_and_no_tags(
    mocks: Mocks, args: ImageRepositoryArgs
) -> None:
    build(lambda: ImageRepository("app", args))
    assert mocks.inputs[REPOSITORY, "app"] == {
        "name": "app",
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfigurations": [{"encryptionType": "AES256"}],
    }


def test_without_retention_only_the_protective_rule_is_left(
    mocks: Mocks, args: ImageRepositoryArgs
) -> None:
    build(lambda: ImageRepository("app", args))
    assert mocks.document(LIFECYCLE_POLICY, "app-lifecycle") == {"rules": [PROTECTIVE_RULE]}


def test_without_others_only_the_pipeline_is_allowed_anything(
    mocks: Mocks, args: ImageRepositoryArgs
) -> None:
    args["access"]["pull_accounts"] = []
    build(lambda: ImageRepository("app", args))
    statements = mocks.document(REPOSITORY_POLICY, "app-policy")["Statement"]
    assert [it["Sid"] for it in statements] == [
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
    rules = mocks.document(LIFECYCLE_POLICY, "app-lifecycle")["rules"]
    assert [it for it in rules if "sha256-*.sig" in it["selection"].get("tagPatternList", ())] == []


def test_the_repository_is_protected_and_all_three_are_retained(
    mocks: Mocks, args: ImageRepositoryArgs
) -> None:
    build(lambda: ImageRepository("app", args))
    options = {key: (it.protect, it.retain_on_delete) for key, it in mocks.options.items()}
    assert options == {
        # What a component says its children inherit: a protected policy could not be replaced.
        (COMPONENT, "app"): (None, None),
        (REPOSITORY, "app"): (True, True),
        (LIFECYCLE_POLICY, "app-lifecycle"): (None, True),
        (REPOSITORY_POLICY, "app-policy"): (None, True),
    }


@pytest.mark.parametrize(("existing", "imported"), [(True, "app"), (False, None)])
def test_the_repository_alone_is_imported(
    mocks: Mocks,
    args: ImageRepositoryArgs,
    existing: bool,  # noqa: FBT001
    imported: str | None,
) -> None:
    args["import_existing"] = existing
    build(lambda: ImageRepository("app", args))
    assert {key: it.import_ for key, it in mocks.options.items()} == {
        (COMPONENT, "app"): None,
        (REPOSITORY, "app"): imported,
        (LIFECYCLE_POLICY, "app-lifecycle"): None,
        (REPOSITORY_POLICY, "app-policy"): None,
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
        it = ImageRepository("app", args)
        return {
            "url": it.repository_url,
            "arn": it.repository_arn,
            "tagMutability": it.tag_mutability,
        }

    assert build(program) == {
        "url": "111122223333.dkr.ecr.eu-west-2.amazonaws.com/app",
        "arn": "arn:aws:ecr:eu-west-2:111122223333:repository/app",
        "tagMutability": "MUTABLE",
    }


def test_a_tag_mutability_that_moves_no_tag_is_refused(
    mocks: Mocks, args: ImageRepositoryArgs
) -> None:
    args["tag_mutability"] = "IMMUTABLE"
    with pytest.raises(ValueError, match="'IMMUTABLE' is not one of MUTABLE, "):
        build(lambda: ImageRepository("app", args))
    assert (REPOSITORY, "app") not in mocks.inputs


def test_a_lifecycle_policy_that_could_take_latest_is_refused(
    mocks: Mocks, args: ImageRepositoryArgs
) -> None:
    args["retention"] = [{"tags": "latest", "keep_newest": 1}]
    with pytest.raises(InvalidInputError, match="movable tag latest has a protective rule"):
        build(lambda: ImageRepository("app", args))
    assert (REPOSITORY, "app") not in mocks.inputs


@pytest.mark.parametrize("number", [True, False, 1.5, "1"])
def test_a_number_that_is_none_is_refused(
    mocks: Mocks, args: ImageRepositoryArgs, number: Any
) -> None:
    """In Python True is an int, and equal to 1."""
    args["retention"] = [{"any": True, "keep_newest": number}]
    with pytest.raises(InvalidInputError, match=r"keepNewest = .*between 1 and 100,000"):
        build(lambda: ImageRepository("app", args))
    assert (REPOSITORY, "app") not in mocks.inputs


class TestAComponentThatIsBroken:
    """What the comparisons above are worth: each of these changes has to be seen."""

    @pytest.mark.parametrize("missing", range(7))
    def test_a_statement_that_is_missing_is_seen(
        self,
        mocks: Mocks,
        everything: ImageRepositoryArgs,
        monkeypatch: pytest.MonkeyPatch,
        missing: int,
    ) -> None:
        def without_one(access: Access) -> dict[str, Any]:
            document = repository_policy(access)
            del document["Statement"][missing]
            return document

        monkeypatch.setattr(image_repository, "repository_policy", without_one)
        with pytest.raises(AssertionError):
            test_the_repository_policy_with_whatever_can_be_given(mocks, everything)

    def test_an_action_that_is_not_denied_is_seen(
        self, mocks: Mocks, everything: ImageRepositoryArgs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def without_one(access: Access) -> dict[str, Any]:
            document = repository_policy(access)
            document["Statement"][1]["Action"].remove("ecr:SetRepositoryPolicy")
            return document

        monkeypatch.setattr(image_repository, "repository_policy", without_one)
        with pytest.raises(AssertionError):
            test_the_repository_policy_with_whatever_can_be_given(mocks, everything)

    def test_a_protective_rule_that_is_missing_is_seen(
        self, mocks: Mocks, args: ImageRepositoryArgs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "lifecycle_policy", lambda *_: {"rules": []})
        with pytest.raises(AssertionError):
            test_without_retention_only_the_protective_rule_is_left(mocks, args)

    def test_a_filter_that_is_missing_is_seen(
        self, mocks: Mocks, everything: ImageRepositoryArgs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(image_repository, "exclusion_filters", lambda *_: ["prod-*"])
        with pytest.raises(AssertionError):
            test_the_repository_with_whatever_can_be_given(mocks, everything)
