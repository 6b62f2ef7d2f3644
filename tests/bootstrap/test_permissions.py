"""The roles of CI may do what an update calls, and nothing else."""

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import botocore.session
import pytest

from container_images.bootstrap.permissions import (
    MAX_MANAGED_POLICY,
    SERVICES,
    Delivery,
    audit_boundary,
    bucket_policy,
    deploy_policy,
    pipeline_boundary,
    preview_policy,
)
from container_images.policies.document import to_json
from container_images.policies.trust_policy import Trust
from container_images.rehearsal.program import run
from container_images.settings.stack_file import StackFile
from tests.conftest import Cloud

IAM = "arn:aws:iam::111122223333"
KEY = "arn:aws:kms:eu-west-2:111122223333:key/state"


def trust(*projects: str) -> Trust:
    return {
        "partition": "aws",
        "account_id": "111122223333",
        "codebuild_projects": list(projects),
        "github_subjects": [],
        "roles": [],
    }


DELIVERY = Delivery(
    location={"partition": "aws", "account_id": "111122223333", "region": "eu-west-2"},
    preview=trust(),
    deploy=trust(),
    preview_role="/platform/registry-preview",
    deploy_role="/platform/registry-deploy",
    pipeline_role="/pipeline/image-pipeline",
    repository_keys=["arn:aws:kms:eu-west-2:111122223333:key/images"],
    state_bucket="registry-state",
)
CODEBUILD = replace(
    DELIVERY,
    preview=trust("arn:aws:codebuild:eu-west-2:111122223333:project/preview"),
    deploy=trust("arn:aws:codebuild:eu-west-2:111122223333:project/deploy"),
    artifact_bucket="artifacts",
    artifact_key="arn:aws:kms:eu-west-2:111122223333:key/artifacts",
)
FORWARDING_ROLE = f"{IAM}:role/tag-audit-eu-west-2"
READING = ("Decrypt", "Describe", "Get", "List", "Lookup")
AUDIT = [
    "arn:aws:sns:eu-west-2:111122223333:tag-audit",
    "arn:aws:events:eu-west-2:111122223333:rule/tag-audit-*",
    "arn:aws:sqs:eu-west-2:111122223333:tag-audit-undelivered",
    "arn:aws:events:*:111122223333:rule/tag-audit-eu-west-2-*",
    "arn:aws:sqs:*:111122223333:tag-audit-eu-west-2-undelivered",
]


def allows(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [statement for statement in document["Statement"] if statement["Effect"] == "Allow"]


def allowed(document: dict[str, Any]) -> set[str]:
    return {action for statement in allows(document) for action in statement["Action"]}


def by_sid(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {statement["Sid"]: statement for statement in document["Statement"]}


# --- The table of calls ---------------------------------------------------------------------------


def test_the_table_has_the_types_that_a_stack_registers(prod: StackFile, cloud: Cloud) -> None:
    types = {it.type for it in run(prod, cloud).resources if it.type.startswith("aws:")}
    names = [name for calls in SERVICES.values() for name in calls.types.split()]
    assert sorted(type_.rpartition(":")[2] for type_ in types) == sorted(names)


@pytest.mark.parametrize("service", SERVICES)
def test_what_reads_reads_and_every_action_exists(service: str) -> None:
    calls, model = SERVICES[service], botocore.session.get_session().get_service_model(service)
    assert all(call.startswith(READING) for call in calls.read.split())
    assert {*calls.read.split(), *calls.write.split()} <= set(model.operation_names)


# --- The preview role -----------------------------------------------------------------------------


def test_what_the_preview_role_may_do() -> None:
    deploy, preview = (
        f"{IAM}:role/platform/registry-deploy",
        f"{IAM}:role/platform/registry-preview",
    )
    reads = {
        "Repositories": ["arn:aws:ecr:eu-west-2:111122223333:repository/*"],
        "Roles": [f"{IAM}:role/pipeline/image-pipeline", FORWARDING_ROLE],
        "Audit": AUDIT,
        "Subscriptions": "*",
        "OwnRole": [deploy, preview],
        "Checks": "*",
        "StateBucket": "arn:aws:s3:::registry-state",
        "State": "arn:aws:s3:::registry-state/*",
        "StateKey": KEY,
    }
    statements = preview_policy(DELIVERY, KEY)["Statement"]
    assert {it["Sid"]: it["Resource"] for it in statements} == reads
    actions = by_sid(preview_policy(DELIVERY, KEY))
    assert actions["State"]["Action"] == ["s3:GetObject"]
    assert actions["StateKey"]["Action"] == ["kms:Decrypt"]


@pytest.mark.parametrize("delivery", [DELIVERY, CODEBUILD], ids=["GitHub", "CodePipeline"])
def test_the_preview_role_writes_nothing_but_the_logs_of_its_builds(delivery: Delivery) -> None:
    """Every branch's program runs as it."""
    for statement in allows(preview_policy(delivery, KEY)):
        writing = {
            action for action in statement["Action"] if not action.split(":")[1].startswith(READING)
        }
        if statement["Sid"] == "BuildLogs":
            assert all(action.startswith("logs:") for action in writing)
            assert all("/aws/codebuild/preview" in arn for arn in statement["Resource"])
        else:
            assert not writing


# --- The deploy role ------------------------------------------------------------------------------


def test_what_the_deploy_role_may_do() -> None:
    statements = by_sid(deploy_policy(DELIVERY, KEY))
    assert statements["Audit"]["Resource"] == AUDIT
    for sid, role, bounds in (
        ("PipelineRole", f"{IAM}:role/pipeline/image-pipeline", "pipeline"),
        ("ForwardingRole", FORWARDING_ROLE, "audit"),
    ):
        boundary = f"{IAM}:policy/platform/registry-deploy-{bounds}-boundary"
        assert statements[sid] == {
            "Sid": sid,
            "Effect": "Allow",
            "Action": ["iam:CreateRole", "iam:DeleteRolePolicy", "iam:PutRolePolicy"],
            "Resource": role,
            "Condition": {"StringEquals": {"iam:PermissionsBoundary": boundary}},
        }
    assert statements["PassForwardingRole"] == {
        "Sid": "PassForwardingRole",
        "Effect": "Allow",
        "Action": ["iam:PassRole"],
        "Resource": FORWARDING_ROLE,
        "Condition": {"StringEquals": {"iam:PassedToService": "events.amazonaws.com"}},
    }


def test_what_the_deploy_role_may_not_do() -> None:
    document = deploy_policy(DELIVERY, KEY)
    denies = [
        {key: statement[key] for key in statement if key != "Effect"}
        for statement in document["Statement"]
        if statement["Effect"] == "Deny"
    ]
    assert denies == [
        {
            "Sid": "PassesNoOtherRole",
            "Action": ["iam:PassRole"],
            "NotResource": FORWARDING_ROLE,
        },
        {
            "Sid": "BecomesNoOtherRole",
            "Action": ["sts:AssumeRole"],
            "Resource": "*",
        },
        {
            "Sid": "MovesNoTagsAndDeletesNoImages",
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
            "NotAction": ["iam:Get*", "iam:List*"],
            "Resource": [
                f"{IAM}:role/platform/registry-deploy",
                f"{IAM}:role/platform/registry-preview",
                f"{IAM}:policy/platform/registry-deploy*",
            ],
        },
    ]


def test_the_audits_resources_have_the_names_that_the_deploy_role_may_use(
    prod: StackFile, cloud: Cloud
) -> None:
    statements = by_sid(deploy_policy(DELIVERY, KEY))
    services = {"EventRule": ("events", "rule/"), "Topic": ("sns", ""), "Queue": ("sqs", "")}
    arns = []
    for resource in run(prod, cloud).resources:
        kind, name = resource.type.rpartition(":")[2], resource.inputs.get("name", "")
        if kind in services:
            service, prefix = services[kind]
            region = resource.inputs.get("region", "eu-west-2")
            arns.append(f"arn:aws:{service}:{region}:111122223333:{prefix}{name}")
        elif kind == "Role" and "audit" in name:
            assert f"{IAM}:role/{name}" == statements["ForwardingRole"]["Resource"]
    for arn in arns:
        assert any(fnmatchcase(arn, pattern) for pattern in AUDIT), arn
    for pattern in AUDIT:
        assert any(fnmatchcase(arn, pattern) for arn in arns), pattern


def test_without_an_audit_there_is_nothing_of_it() -> None:
    delivery = replace(DELIVERY, audit=False)
    services = {action.split(":")[0] for action in allowed(deploy_policy(delivery, KEY))}
    assert services == {"ecr", "iam", "kms", "s3"}
    assert "tag-audit" not in to_json(preview_policy(delivery, KEY))
    assert "iam:PassRole" not in allowed(deploy_policy(delivery, KEY))


def test_without_a_role_to_create_none_is_written() -> None:
    document = deploy_policy(replace(DELIVERY, pipeline_role="", audit=False), KEY)
    assert {it for it in allowed(document) if it.startswith("iam:")} == {"iam:GetRole"}


# --- Both -----------------------------------------------------------------------------------------


def test_which_allows_are_on_everything() -> None:
    for document, sids in (
        (preview_policy(DELIVERY, KEY), {"Checks", "Subscriptions"}),
        (deploy_policy(DELIVERY, KEY), {"Subscriptions"}),
    ):
        everything = {it["Sid"] for it in allows(document) if it["Resource"] == "*"}
        assert everything == sids


@pytest.mark.parametrize("kind", ["preview", "deploy"])
def test_a_build_in_codebuild_may_log_and_read_its_source(kind: str) -> None:
    document = {"preview": preview_policy, "deploy": deploy_policy}[kind](CODEBUILD, KEY)
    group = f"arn:aws:logs:eu-west-2:111122223333:log-group:/aws/codebuild/{kind}"
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
            "Action": ["s3:GetObject", "s3:GetObjectVersion"],
            "Resource": "arn:aws:s3:::artifacts/*",
        },
        {
            "Sid": "BuildSourceKey",
            "Effect": "Allow",
            "Action": ["kms:Decrypt"],
            "Resource": "arn:aws:kms:eu-west-2:111122223333:key/artifacts",
        },
    ]


def test_the_documents_are_no_longer_than_iam_takes() -> None:
    for document in (
        preview_policy(CODEBUILD, KEY),
        deploy_policy(CODEBUILD, KEY),
        pipeline_boundary(),
        audit_boundary(DELIVERY.location),
    ):
        assert len(to_json(document)) <= MAX_MANAGED_POLICY


# --- The boundaries and the bucket ----------------------------------------------------------------


def test_a_pipeline_role_can_do_its_work_and_no_more() -> None:
    actions = allowed(pipeline_boundary())
    assert {"ecr:PutImage", "ecr:BatchGetImage", "ecr:GetAuthorizationToken"} <= actions
    assert not [
        action
        for action in actions
        if action.startswith(("iam:", "sts:", "ecr:Delete", "ecr:Set", "ecr:BatchDelete"))
    ]


def test_the_audits_role_can_send_events_and_no_more() -> None:
    assert allows(audit_boundary(DELIVERY.location)) == [
        {
            "Effect": "Allow",
            "Action": "events:PutEvents",
            "Resource": "arn:aws:events:eu-west-2:111122223333:event-bus/default",
        }
    ]


def test_the_state_is_reached_by_tls_alone() -> None:
    [statement] = bucket_policy("arn:aws:s3:::registry-state")["Statement"]
    assert statement["Principal"] == "*"
    assert statement["Effect"] == "Deny"
    assert statement["Resource"] == ["arn:aws:s3:::registry-state", "arn:aws:s3:::registry-state/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
