"""The classification of ECR's actions, and what holds for the documents.

tests/components has the documents, word for word.
"""

import re
from contextlib import nullcontext
from typing import Any

import botocore.session
import pytest

from container_images.policies.document import to_json
from container_images.policies.ecr_actions import ACTIONS, Effect, actions
from container_images.policies.forms import mismatches
from container_images.policies.invalid_input import InvalidInputError, refuse
from container_images.policies.repository_policy import (
    MAX_REPOSITORY_POLICY,
    Access,
    denies,
    exempted_roles,
    exemptions,
    repository_policy,
)
from container_images.policies.trust_policy import Oidc, Trust

DEPLOY = "arn:aws:iam::111122223333:role/deploy"

MODEL = botocore.session.get_session().get_service_model("ecr")
READS = ("BatchCheck", "BatchGet", "Describe", "Get", "List", "Validate")
REGISTRY = {Effect.CHANGE_REGISTRY, Effect.READ_REGISTRY}


class TestClassification:
    def test_every_operation_of_ecr_is_classified(self) -> None:
        """When AWS adds one, this fails until somebody has decided about it."""
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html
        no_operations = {"BatchImportUpstreamImage", "GetImageCopyStatus", "ReplicateImage"}
        assert ACTIONS.keys() == {*MODEL.operation_names, *no_operations}

    def test_what_begins_like_a_read_is_one_and_nothing_else_is(self) -> None:
        reads = actions(Effect.PULL, Effect.READ, Effect.READ_REGISTRY)
        assert reads == sorted(f"ecr:{name}" for name in ACTIONS if name.startswith(READS))

    def test_little_that_writes_to_a_repository_is_left_to_everybody(self, access: Access) -> None:
        denied = {action for statement in denies(access) for action in statement["Action"]}
        writes = {f"ecr:{action}" for action in ACTIONS if not action.startswith(READS)}
        assert writes - denied - {*actions(Effect.CHANGE_REGISTRY)} == {
            *("ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload"),
            *("ecr:StartImageScan", "ecr:StartLifecyclePolicyPreview"),
            *("ecr:CreateRepository", "ecr:ReplicateImage"),
        }

    def test_what_names_no_repository_is_about_the_registry(self) -> None:
        """A repository's policy has a say in just those calls that say which repository."""
        for name in MODEL.operation_names:
            request = MODEL.operation_model(name).input_shape
            assert request, name
            fields = {"repositoryName", "repositoryNames", "resourceArn"}
            names_one = request.members.keys() & fields
            assert (ACTIONS[name] in REGISTRY) is not bool(names_one), name


def test_the_partition_is_the_accounts(access: Access) -> None:
    access["partition"] = "aws-cn"
    access["pipeline_roles"] = ["arn:aws-cn:iam::111122223333:role/push"]
    access["administrator_roles"] = ["arn:aws-cn:iam::111122223333:role/deploy"]
    access["lambda_pull"] = True
    text = to_json(repository_policy(access))
    assert "arn:aws-cn:iam::444455556666:root" in text
    assert "arn:aws-cn:lambda:" in text
    assert "arn:aws:" not in text
    assert " " not in text, "white space counts towards the length"


def test_the_order_in_which_roles_are_listed_does_not_matter(access: Access) -> None:
    roles = [f"arn:aws:iam::111122223333:role/{name}" for name in "cab"]
    documents = set()
    for order in (roles, sorted(roles), [*roles, roles[0]]):
        access["pipeline_roles"] = access["administrator_roles"] = order
        documents.add(to_json(repository_policy(access)))
    assert len(documents) == 1


NOBODY: Trust = {
    "partition": "aws",
    "account_id": "111122223333",
    "codebuild_projects": [],
    "github_subjects": [],
    "roles": [],
}


def test_the_last_character_that_fits_is_accepted(access: Access) -> None:
    spare = MAX_REPOSITORY_POLICY - len(to_json(repository_policy(access)))
    access["administrator_roles"] = [DEPLOY + "x" * spare]
    assert len(to_json(repository_policy(access))) == 10_240
    access["administrator_roles"] = [DEPLOY + "x" * (spare + 1)]
    with pytest.raises(InvalidInputError, match="of roles and accounts by 1"):
        repository_policy(access)


WIDE = [
    *("project_path:g/app:ref_type:branch:ref:*", "project_path:g/*:ref_type:branch:ref:main"),
    *("project_path:g/app", "ref_type:branch:ref:main", "project_path:g/app:ref:${aws:username}"),
    *("*", "repo:o/*", "repo:o/r:*", "repo:o/r", "repo:o/r:pull_request", "repo:o/r:environment:*"),
    *("repo:o/r:ref:refs/heads/*", "repo:o/r:ref:refs/heads/?ain", "o/r:environment:x"),
    *("repo:o/r:ref:refs/pull/1/merge", "repo:*/r:environment:x"),
]
"""Subjects of more than one environment, branch or tag: of all who can push a branch."""
EXACT = [
    *("project_path:g/sub/app:ref_type:branch:ref:main", "project_path:g/app:ref_type:tag:ref:v1"),
    *("repo:o/r:environment:live", "repo:o/r:ref:refs/heads/main", "repo:o/r:ref:refs/tags/v1.0"),
    "repo:o@1/r@2:environment:live",  # repositories since 15 July 2026 send their ids too
]


@pytest.mark.parametrize(
    ("provider", "subject", "error"),
    [
        *(("gitlab.example.org:8443/a", subject, "") for subject in EXACT),
        *(("gitlab.com", subject, "oidc.subjects[0]") for subject in WIDE),
        ("https://gitlab.com", EXACT[0], "oidc.provider[0]"),
    ],
)
def test_subjects_of_any_provider_name_an_environment_a_branch_or_a_tag(
    provider: str, subject: str, error: str
) -> None:
    oidc: Oidc = {"provider": provider, "audience": "sts.amazonaws.com", "subjects": [subject]}
    refused = pytest.raises(InvalidInputError, match=re.escape(error)) if error else nullcontext()
    with refused:
        refuse(mismatches({"trust": {**NOBODY, "oidc": oidc}}))


PUT = "ecr:PutImage"
ROLE, OTHER = (f"arn:aws:iam::111122223333:role/{name}" for name in ("ci/push", "other"))


def deny(*roles: str, operator: str = "ArnNotEquals", **elements: Any) -> dict[str, Any]:
    condition = {operator: {"aws:PrincipalArn": list(roles)}}
    return {"Effect": "Deny", "Principal": "*", "Action": [PUT], "Condition": condition, **elements}


INSECURE = deny(Action="ecr:*", Condition={"Bool": {"aws:SecureTransport": "false"}})


@pytest.mark.parametrize(
    ("statements", "roles"),
    [
        ([deny(ROLE)], {ROLE}),
        ([deny(ROLE, OTHER)], {ROLE, OTHER}),
        ([deny(Condition={"StringNotLike": {"AWS:principalARN": ROLE}})], {ROLE}),
        ([deny(ROLE, Action="ECR:put*", Principal={"AWS": ["*"]})], {ROLE}),
        (deny(ROLE), {ROLE}),
        # What several deny, only those may do whom all of them exempt.
        ([deny(ROLE, OTHER, Action="ecr:*"), deny(ROLE)], {ROLE}),
        ([deny(ROLE), deny(OTHER)], set()),
        # What is not decided exempts nobody, and takes no exemption away.
        ([INSECURE, deny(ROLE)], {ROLE}),
        ([INSECURE], set()),
        ([deny(ROLE, f"{OTHER}*")], set()),
        # About something else.
        ([deny(ROLE, Effect="Allow")], set()),
        ([deny(ROLE, Action=["ecr:SetRepositoryPolicy"])], set()),
        ([], set()),
        (None, set()),
    ],
)
def test_whom_the_denies_exempt(statements: Any, roles: set[str]) -> None:
    assert exempted_roles({"Statement": statements}, PUT) == roles


def test_the_guard_exempts_the_pipeline_and_the_administrators(access: Access) -> None:
    policy = repository_policy(access)
    assert exempted_roles(policy, PUT) == {*access["pipeline_roles"]}
    assert exempted_roles(policy, "ecr:DeleteRepository") == {*access["administrator_roles"]}


EXEMPT: dict[str, Any] = {"aws:PrincipalArn": ROLE}
WEAK = {
    'the one form that exempts roles and nobody else: Principal "*", no Resource, and one': [
        *(deny(ROLE, Principal={"AWS": who}) for who in (ROLE, ["*", ROLE])),
        deny(ROLE, Principal={"AWS": "*", "Service": "x"}),
        deny(ROLE, Resource="*"),
        deny(Condition=None),
        deny(Condition={"ArnNotEquals": EXEMPT | {"aws:SourceArn": "x"}}),
        deny(Condition={"ArnNotEquals": EXEMPT, "Bool": {"aws:x": 0}}),
        deny(Condition={"StringNotEquals": {"aws:PrincipalTag/ci": "x"}}),
        *(deny(ROLE, operator=operator) for operator in ("ArnEquals", "ArnNotEqualsIfExists")),
    ],
    "exempts an empty list": [deny()],
    "push*, which is not the exact ARN of one role": [deny(f"{ROLE}*")],
    ":root, which is not the exact ARN of one role": [deny("arn:aws:iam::111122223333:root")],
}


@pytest.mark.parametrize(
    ("error", "weak"), [(error, each) for error in WEAK for each in WEAK[error]]
)
def test_of_another_deny_it_is_unknown(error: str, weak: dict[str, Any]) -> None:
    roles, [message] = exemptions({"Statement": [weak]}, [PUT])
    assert roles == {}
    assert message.startswith("statement 1 ")
    assert error in message
