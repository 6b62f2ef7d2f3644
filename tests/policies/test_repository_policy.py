"""The classification of ECR's actions, and the documents, word for word."""

import json
from typing import Any, Literal

import botocore.session
import pytest

from container_images.policies.document import to_json
from container_images.policies.ecr_actions import ACTIONS, Effect, actions
from container_images.policies.invalid_input import InvalidInputError
from container_images.policies.repository_policy import (
    MAX_REPOSITORY_POLICY,
    Access,
    repository_policy,
)
from container_images.policies.trust_policy import Trust, pipeline_role_policy, trust_policy

PIPELINE = "arn:aws:iam::111122223333:role/pipeline/push"
DEPLOY = "arn:aws:iam::111122223333:role/deploy"

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


def statements(access: Access) -> dict[str, dict[str, Any]]:
    document = repository_policy(access)
    assert document["Version"] == "2012-10-17"
    return {statement["Sid"]: statement for statement in document["Statement"]}


REGISTRY = {Effect.CHANGE_REGISTRY, Effect.READ_REGISTRY}


class TestClassification:
    def test_every_operation_of_ecr_is_classified(self) -> None:
        """When AWS adds one, this fails until somebody has decided about it."""
        model = botocore.session.get_session().get_service_model("ecr")
        assert set(model.operation_names) <= ACTIONS.keys()

    def test_nothing_else_is_but_permissions_without_an_operation(self) -> None:
        model = botocore.session.get_session().get_service_model("ecr")
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html
        assert ACTIONS.keys() - set(model.operation_names) == {
            "BatchImportUpstreamImage",
            "GetImageCopyStatus",
            "ReplicateImage",
        }

    def test_whatever_writes_to_a_repository_is_denied_to_somebody(self) -> None:
        """Reads, uploads of layers and ECR's own replication aside."""
        free = {Effect.PULL, Effect.READ, Effect.UPLOAD, Effect.HARMLESS, Effect.REPLICATE}
        beyond = {Effect.CREATE_REPOSITORY, *REGISTRY}
        writes = {action for action, effect in ACTIONS.items() if effect not in free | beyond}
        assert writes == {
            "PutImage",
            "BatchImportUpstreamImage",
            "BatchDeleteImage",
            "UpdateImageStorageClass",
            "SetRepositoryPolicy",
            "DeleteRepositoryPolicy",
            "PutImageTagMutability",
            "PutLifecyclePolicy",
            "DeleteLifecyclePolicy",
            "DeleteRepository",
            "PutImageScanningConfiguration",
            "TagResource",
            "UntagResource",
        }

    def test_what_begins_like_a_read_is_one_and_nothing_else_is(self) -> None:
        for action, effect in ACTIONS.items():
            begins = ("BatchCheck", "BatchGet", "Describe", "Get", "List", "Validate")
            reads = {Effect.PULL, Effect.READ, Effect.READ_REGISTRY}
            assert (effect in reads) is action.startswith(begins), action

    def test_little_that_writes_is_left_to_everybody(self) -> None:
        assert actions(Effect.HARMLESS) == [
            "ecr:StartImageScan",
            "ecr:StartLifecyclePolicyPreview",
        ]
        assert actions(Effect.REPLICATE) == ["ecr:ReplicateImage"]

    def test_what_names_no_repository_is_about_the_registry(self) -> None:
        """A repository's policy has a say in just those calls that say which repository."""
        model = botocore.session.get_session().get_service_model("ecr")
        for name in model.operation_names:
            request = model.operation_model(name).input_shape
            assert request, name
            names_one = request.members.keys() & {
                "repositoryName",
                "repositoryNames",
                "resourceArn",
            }
            assert (ACTIONS[name] in REGISTRY) is not bool(names_one), name


class TestRepositoryPolicy:
    def test_word_for_word(self, access: Access) -> None:
        assert repository_policy(access) == {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "OnlyThePipelineMovesTags",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": ["ecr:BatchImportUpstreamImage", "ecr:PutImage"],
                    "Condition": {"ArnNotEquals": {"aws:PrincipalArn": [PIPELINE]}},
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
                    "Condition": {"ArnNotEquals": {"aws:PrincipalArn": [DEPLOY]}},
                },
                {
                    "Sid": "ThePipelinePushesAndPulls",
                    "Effect": "Allow",
                    "Principal": {"AWS": [PIPELINE]},
                    "Action": PUSH_AND_PULL,
                },
                {
                    "Sid": "OtherAccountsPull",
                    "Effect": "Allow",
                    "Principal": {"AWS": ["arn:aws:iam::444455556666:root"]},
                    "Action": PULL,
                },
            ],
        }

    def test_without_others_only_the_pipeline_is_allowed_anything(self, access: Access) -> None:
        access["pull_accounts"] = []
        allowed = [it for it in statements(access).values() if it["Effect"] == "Allow"]
        assert [it["Sid"] for it in allowed] == ["ThePipelinePushesAndPulls"]

    def test_a_pipeline_role_of_another_account_is_named_in_a_condition(
        self, access: Access
    ) -> None:
        foreign = "arn:aws:iam::777788889999:role/ci/push"
        access["pipeline_roles"] = [foreign]
        assert "ThePipelinePushesAndPulls" not in statements(access)
        assert statements(access)["ThePipelineOfOtherAccountsPushesAndPulls"] == {
            "Sid": "ThePipelineOfOtherAccountsPushesAndPulls",
            "Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam::777788889999:root"]},
            "Action": PUSH_AND_PULL,
            "Condition": {"ArnEquals": {"aws:PrincipalArn": [foreign]}},
        }

    def test_an_organization_is_allowed_to_pull(self, access: Access) -> None:
        access["pull_organization"] = "o-exampleorgid"
        assert statements(access)["TheOrganizationPulls"] == {
            "Sid": "TheOrganizationPulls",
            "Effect": "Allow",
            "Principal": "*",
            "Action": PULL,
            "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-exampleorgid"}},
        }

    def test_functions_of_the_account_are_allowed_to_pull(self, access: Access) -> None:
        access["lambda_pull"] = True
        functions = "arn:aws:lambda:eu-west-2:111122223333:function:*"
        assert statements(access)["LambdaPulls"] == {
            "Sid": "LambdaPulls",
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            "Condition": {"ArnLike": {"aws:SourceArn": functions}},
        }

    def test_the_partition_is_the_accounts(self, access: Access) -> None:
        access["partition"] = "aws-cn"
        access["pipeline_roles"] = ["arn:aws-cn:iam::111122223333:role/push"]
        access["administrator_roles"] = ["arn:aws-cn:iam::111122223333:role/deploy"]
        access["lambda_pull"] = True
        text = to_json(repository_policy(access))
        assert "arn:aws-cn:iam::444455556666:root" in text
        assert "arn:aws-cn:lambda:" in text
        assert "arn:aws:" not in text

    def test_the_order_in_which_roles_are_listed_does_not_matter(self, access: Access) -> None:
        roles = [f"arn:aws:iam::111122223333:role/{name}" for name in "cab"]
        documents = set()
        for order in (roles, sorted(roles), [*roles, roles[0]]):
            access["pipeline_roles"] = access["administrator_roles"] = order
            documents.add(to_json(repository_policy(access)))
        assert len(documents) == 1

    def test_no_resource_is_named(self, access: Access) -> None:
        """A repository policy is about its repository; AWS's page says to leave it out."""
        assert all("Resource" not in statement for statement in statements(access).values())

    def test_it_says_what_to_shorten_when_aws_would_refuse_it(self, access: Access) -> None:
        access["pull_accounts"] = [f"{number:012}" for number in range(300)]
        with pytest.raises(InvalidInputError) as refused:
            repository_policy(access)
        assert str(refused.value) == (
            '["repository policy"] = "11,173 characters": AWS takes a repository policy of at most '
            "10,240 characters; shorten it by 933: the longest list is that of the 300 pull "
            "accounts"
        )

    @pytest.mark.parametrize("roles", ["pipeline_roles", "administrator_roles"])
    def test_it_says_that_roles_are_too_many(
        self, access: Access, roles: Literal["pipeline_roles", "administrator_roles"]
    ) -> None:
        access[roles] = [f"{DEPLOY}-{number}" for number in range(300)]
        with pytest.raises(InvalidInputError, match=f"300 {roles.replace('_', ' ')}$"):
            repository_policy(access)

    def test_the_last_character_that_fits_is_accepted(self, access: Access) -> None:
        spare = MAX_REPOSITORY_POLICY - len(to_json(repository_policy(access)))
        access["administrator_roles"] = [DEPLOY + "x" * spare]
        assert len(to_json(repository_policy(access))) == 10_240
        access["administrator_roles"] = [DEPLOY + "x" * (spare + 1)]
        with pytest.raises(InvalidInputError, match="shorten it by 1"):
            repository_policy(access)


@pytest.fixture
def trust() -> Trust:
    return {
        "partition": "aws",
        "account_id": "111122223333",
        "codebuild_projects": [],
        "github_subjects": [],
        "roles": [],
    }


class TestTrustPolicy:
    def test_builds_of_named_projects_of_the_account(self, trust: Trust) -> None:
        project = "arn:aws:codebuild:eu-west-2:111122223333:project/deploy"
        trust["codebuild_projects"] = [project]
        assert trust_policy(trust)["Statement"] == [
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

    def test_jobs_with_named_subjects(self, trust: Trust) -> None:
        trust["partition"] = "aws-us-gov"
        trust["github_subjects"] = ["repo:o/r:ref:refs/heads/main", "repo:o/r:environment:prod"]
        assert trust_policy(trust)["Statement"] == [
            {
                "Sid": "GitHubActions",
                "Effect": "Allow",
                "Principal": {
                    "Federated": "arn:aws-us-gov:iam::111122223333:oidc-provider/"
                    "token.actions.githubusercontent.com"
                },
                "Action": ["sts:AssumeRoleWithWebIdentity"],
                "Condition": {
                    "StringEquals": {
                        "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
                        "token.actions.githubusercontent.com:sub": [
                            "repo:o/r:environment:prod",
                            "repo:o/r:ref:refs/heads/main",
                        ],
                    }
                },
            }
        ]

    def test_named_roles(self, trust: Trust) -> None:
        trust["roles"] = [DEPLOY]
        assert trust_policy(trust)["Statement"] == [
            {
                "Sid": "Roles",
                "Effect": "Allow",
                "Principal": {"AWS": [DEPLOY]},
                "Action": ["sts:AssumeRole"],
            }
        ]

    @pytest.mark.parametrize(
        ("key", "one", "said"),
        [
            (
                "codebuild_projects",
                "arn:aws:codebuild:eu-west-2:111122223333:project/deploy",
                "CodeBuild projects",
            ),
            ("github_subjects", "repo:o/r:environment:production", "GitHub subjects"),
            ("roles", DEPLOY, "roles"),
        ],
    )
    def test_it_says_what_to_shorten_when_aws_would_refuse_it(
        self,
        trust: Trust,
        key: Literal["codebuild_projects", "github_subjects", "roles"],
        one: str,
        said: str,
    ) -> None:
        trust["roles"] = [DEPLOY]
        trust[key] = [f"{one}-{number}" for number in range(60)]
        sentence = f"AWS takes a trust policy of at most 2,048 characters; .* the 60 {said}$"
        with pytest.raises(InvalidInputError, match=sentence):
            trust_policy(trust)


def test_the_pipeline_role_itself_may_only_log_in() -> None:
    assert pipeline_role_policy() == {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}],
    }


def test_documents_are_sent_without_white_space(access: Access) -> None:
    text = to_json(repository_policy(access))
    assert json.loads(text) == repository_policy(access)
    assert " " not in text
