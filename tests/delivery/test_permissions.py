"""The roles of CI may do what an update calls, and nothing else."""

from dataclasses import replace
from typing import Any

import botocore.session
import pytest
from botocore.client import BaseClient

from bootstrap import permissions
from bootstrap.permissions import (
    BOUNDED,
    MAX_MANAGED_POLICY,
    RESOURCES,
    Place,
    bucket_policy,
    deploy_policy,
    pipeline_boundary,
    preview_policy,
)
from policies.document import to_json
from rehearsal import embedded_aws, program
from settings.stack_file import read
from tests.conftest import ROOT

PLACE = Place(
    partition="aws",
    account_id="111122223333",
    region="eu-west-2",
    preview_role="arn:aws:iam::111122223333:role/platform/registry-preview",
    deploy_role="arn:aws:iam::111122223333:role/platform/registry-deploy",
    pipeline_role="arn:aws:iam::111122223333:role/pipeline/image-pipeline",
    pipeline_boundary="arn:aws:iam::111122223333:policy/platform/registry-deploy-pipeline-boundary",
    deploy_boundary="arn:aws:iam::111122223333:policy/platform/registry-deploy",
    repository_keys=["arn:aws:kms:eu-west-2:111122223333:key/images"],
    state_bucket="arn:aws:s3:::registry-state",
    codebuild_projects=[],
    artifact_bucket="",
    artifact_key="",
)
KEY = "arn:aws:kms:eu-west-2:111122223333:key/state"
NO_PERMISSION_NEEDED = {"sts:GetCallerIdentity"}
"""https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html"""


def allowed(document: dict[str, Any]) -> set[str]:
    return {
        action
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
    }


@pytest.fixture(scope="module")
def rehearsed() -> tuple[set[str], set[str]]:
    """What a run of the program calls, as IAM actions, and the types that it registers."""
    calls: set[str] = set()
    make_api_call: Any = BaseClient._make_api_call  # type: ignore[attr-defined]

    def recording(client: BaseClient, operation: str, parameters: Any) -> Any:
        calls.add(f"{client.meta.service_model.signing_name}:{operation}")
        return make_api_call(client, operation, parameters)

    stack = read(ROOT, "prod")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BaseClient, "_make_api_call", recording)
        with embedded_aws.embedded_aws(stack) as aws:
            calls.clear()  # the administrator was there before
            update = program.run(stack, aws)
    return calls, {it.type for it in update.resources if it.type.startswith("aws:")}


def lacking(types: set[str], calls: set[str], document: dict[str, Any]) -> list[str]:
    """What the table and a policy lack for a rehearsal."""
    return sorted((types - RESOURCES.keys()) | (calls - NO_PERMISSION_NEEDED - allowed(document)))


def test_the_deploy_role_may_make_each_call_of_a_rehearsal(
    rehearsed: tuple[set[str], set[str]],
) -> None:
    calls, types = rehearsed
    assert {"ecr:CreateRepository", "ecr:SetRepositoryPolicy", "iam:PutRolePolicy"} <= calls
    assert lacking(types, calls, deploy_policy(PLACE, KEY)) == []


def test_a_call_that_the_table_lacks_is_noticed(
    rehearsed: tuple[set[str], set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = "aws:ecr/repositoryPolicy:RepositoryPolicy"
    monkeypatch.setattr(
        permissions, "RESOURCES", {**RESOURCES, kind: replace(RESOURCES[kind], write=())}
    )
    calls, types = rehearsed
    assert lacking(types, calls, deploy_policy(PLACE, KEY)) == ["ecr:SetRepositoryPolicy"]


def test_a_type_that_the_table_lacks_is_noticed(rehearsed: tuple[set[str], set[str]]) -> None:
    calls, types = rehearsed
    topic = "aws:sns/topic:Topic"
    assert lacking({*types, topic}, calls, deploy_policy(PLACE, KEY)) == [topic]


def test_the_table_has_no_type_that_no_stack_registers(
    rehearsed: tuple[set[str], set[str]],
) -> None:
    _, types = rehearsed
    assert types == RESOURCES.keys()


@pytest.mark.parametrize("kind", RESOURCES)
def test_a_type_reads_what_it_reads_and_every_action_exists(kind: str) -> None:
    calls = RESOURCES[kind]
    assert all(it.split(":")[1].startswith(("Describe", "Get", "List")) for it in calls.read)
    for action in (*calls.read, *calls.write):
        service, operation = action.split(":")
        model = botocore.session.get_session().get_service_model(service)
        assert operation in model.operation_names


def test_the_preview_role_may_only_read() -> None:
    assert preview_policy(PLACE, KEY)["Statement"] == [
        {
            "Sid": "ReadRepositories",
            "Effect": "Allow",
            "Action": [
                "ecr:DescribeRepositories",
                "ecr:GetLifecyclePolicy",
                "ecr:GetRepositoryPolicy",
                "ecr:ListTagsForResource",
            ],
            "Resource": ["arn:aws:ecr:eu-west-2:111122223333:repository/*"],
        },
        {
            "Sid": "ReadPipelineRole",
            "Effect": "Allow",
            "Action": [
                "iam:GetRole",
                "iam:GetRolePolicy",
                "iam:ListAttachedRolePolicies",
                "iam:ListRolePolicies",
            ],
            "Resource": ["arn:aws:iam::111122223333:role/pipeline/image-pipeline"],
        },
        {
            "Sid": "ReadOwnRole",
            "Effect": "Allow",
            "Action": ["iam:GetRole"],
            "Resource": [
                "arn:aws:iam::111122223333:role/platform/registry-deploy",
                "arn:aws:iam::111122223333:role/platform/registry-preview",
            ],
        },
        {
            "Sid": "Checks",
            "Effect": "Allow",
            "Action": ["cloudtrail:LookupEvents", "iam:GetAccountAuthorizationDetails"],
            "Resource": "*",
        },
        {
            "Sid": "StateBucket",
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": "arn:aws:s3:::registry-state",
        },
        {
            "Sid": "State",
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": "arn:aws:s3:::registry-state/*",
        },
        {"Sid": "StateKey", "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": KEY},
    ]


def test_what_the_deploy_role_may_and_may_not() -> None:
    by_sid = {it["Sid"]: it for it in deploy_policy(PLACE, KEY)["Statement"]}
    assert by_sid["WriteRepositories"]["Action"] == [
        "ecr:CreateRepository",
        "ecr:PutImageScanningConfiguration",
        "ecr:PutImageTagMutability",
        "ecr:PutLifecyclePolicy",
        "ecr:SetRepositoryPolicy",
        "ecr:TagResource",
        "ecr:UntagResource",
    ]
    assert by_sid["WritePipelineRoleBounded"] == {
        "Sid": "WritePipelineRoleBounded",
        "Effect": "Allow",
        "Action": [
            "iam:CreateRole",
            "iam:DeleteRolePolicy",
            "iam:PutRolePolicy",
        ],
        "Resource": ["arn:aws:iam::111122223333:role/pipeline/image-pipeline"],
        "Condition": {
            "StringEquals": {
                "iam:PermissionsBoundary": "arn:aws:iam::111122223333:policy/platform/"
                "registry-deploy-pipeline-boundary"
            }
        },
    }
    assert [it for it in by_sid.values() if it["Effect"] == "Deny"] == [
        {
            "Sid": "BecomesNobodyElse",
            "Effect": "Deny",
            "Action": ["iam:PassRole", "sts:AssumeRole"],
            "Resource": "*",
        },
        {
            "Sid": "MovesNoTagsAndDeletesNoImages",
            "Effect": "Deny",
            "Action": [
                "ecr:BatchDeleteImage",
                "ecr:BatchImportUpstreamImage",
                "ecr:PutImage",
                "ecr:UpdateImageStorageClass",
            ],
            "Resource": "*",
        },
        {
            "Sid": "OnlyReadsItselfAndItsBounds",
            "Effect": "Deny",
            "NotAction": ["iam:Get*", "iam:List*"],
            "Resource": [
                "arn:aws:iam::111122223333:role/platform/registry-deploy",
                "arn:aws:iam::111122223333:role/platform/registry-preview",
                "arn:aws:iam::111122223333:policy/platform/registry-deploy",
                "arn:aws:iam::111122223333:policy/platform/registry-deploy-pipeline-boundary",
            ],
        },
    ]


def test_nothing_is_written_without_the_boundary_that_iam_could_ask_for() -> None:
    for statement in deploy_policy(PLACE, KEY)["Statement"]:
        if statement["Effect"] == "Allow" and BOUNDED & set(statement["Action"]):
            assert "iam:PermissionsBoundary" in statement["Condition"]["StringEquals"]


def test_the_only_allow_on_everything_reads_the_accounts_policies() -> None:
    for document in (preview_policy(PLACE, KEY), deploy_policy(PLACE, KEY)):
        everything = [it for it in document["Statement"] if it["Resource"] == "*"]
        assert {it["Sid"] for it in everything if it["Effect"] == "Allow"} <= {"Checks"}


def test_without_a_pipeline_role_no_role_is_written() -> None:
    document = deploy_policy({**PLACE, "pipeline_role": ""}, KEY)
    assert {it for it in allowed(document) if it.startswith("iam:")} == {"iam:GetRole"}


def test_a_build_in_codebuild_may_log_and_fetch_its_source() -> None:
    place: Place = {
        **PLACE,
        "codebuild_projects": ["arn:aws:codebuild:eu-west-2:111122223333:project/deploy"],
        "artifact_bucket": "arn:aws:s3:::artifacts",
        "artifact_key": "arn:aws:kms:eu-west-2:111122223333:key/artifacts",
    }
    group = "arn:aws:logs:eu-west-2:111122223333:log-group:/aws/codebuild/deploy"
    for document in (preview_policy(place, KEY), deploy_policy(place, KEY)):
        assert [it for it in document["Statement"] if it["Sid"].startswith("Build")] == [
            {
                "Sid": "BuildLogs",
                "Effect": "Allow",
                "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": [group, f"{group}:*"],
            },
            {
                "Sid": "BuildSource",
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"],
                "Resource": "arn:aws:s3:::artifacts/*",
            },
            {
                "Sid": "BuildSourceKey",
                "Effect": "Allow",
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": "arn:aws:kms:eu-west-2:111122223333:key/artifacts",
            },
        ]
        assert len(to_json(document)) <= MAX_MANAGED_POLICY


def test_a_pipeline_role_can_do_its_work_and_no_more() -> None:
    [statement] = pipeline_boundary()["Statement"]
    assert {"ecr:PutImage", "ecr:BatchGetImage", "ecr:GetAuthorizationToken"} <= set(
        statement["Action"]
    )
    assert not any(
        it.startswith(("iam:", "sts:", "ecr:Delete", "ecr:Set", "ecr:BatchDelete"))
        for it in statement["Action"]
    )


def test_the_documents_are_no_longer_than_iam_takes() -> None:
    for document in (preview_policy(PLACE, KEY), deploy_policy(PLACE, KEY), pipeline_boundary()):
        assert len(to_json(document)) <= MAX_MANAGED_POLICY


def test_the_state_is_reached_by_tls_alone() -> None:
    assert bucket_policy("arn:aws:s3:::registry-state") == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": ["arn:aws:s3:::registry-state", "arn:aws:s3:::registry-state/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }
