"""The roles of CI may do what an update calls, and nothing else."""

import json
import re
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import botocore.session
import pytest

from container_images.bootstrap.permissions import (
    READS,
    WRITES,
    Delivery,
    audit_boundary,
    bucket_policy,
    deploy_policy,
    pipeline_boundary,
    preview_policy,
)
from container_images.policies.document import to_json
from container_images.policies.trust_policy import Trust
from container_images.rehearsal.program import Resource, run
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
MOST = 3
READING = ("Decrypt", "Describe", "Get", "List", "Lookup")


def allows(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [statement for statement in document["Statement"] if statement["Effect"] == "Allow"]


def allowed(document: dict[str, Any]) -> set[str]:
    return {action for statement in allows(document) for action in statement["Action"]}


def sentences(document: dict[str, Any]) -> str:
    """A document as text, a sentence for each statement, ARNs without partition and account.

    … are the AWS provider's calls, of which READS and WRITES are the only account.
    """
    text = ""
    for statement in document["Statement"]:
        not_actions, not_on = "NotAction" in statement, "NotResource" in statement
        actions = statement["NotAction" if not_actions else "Action"]
        called = "…" if len(actions) > MOST else " ".join(actions)
        resources = statement["NotResource" if not_on else "Resource"]
        resources = " ".join([resources] if isinstance(resources, str) else resources)
        condition = json.dumps(statement.get("Condition", "")).strip('"')
        text += (
            f"{statement['Effect']} {statement['Sid']}: {'all but ' * not_actions}"
            f"{called} on {'all but ' * not_on}{resources} {condition}\n"
        )
    return re.sub(r"arn:aws:(\w+:)([\w*-]*:?)(111122223333)?:", r"\1\2", text)


# --- The documents --------------------------------------------------------------------------------

PREVIEW = """
Allow Repositories: … on ecr:eu-west-2:repository/*
Allow Roles: … on iam::role/pipeline/image-pipeline iam::role/tag-audit-eu-west-2
Allow Audit: … on sns:eu-west-2:tag-audit events:eu-west-2:rule/tag-audit-*
    sqs:eu-west-2:tag-audit-undelivered events:*:rule/tag-audit-eu-west-2-*
    sqs:*:tag-audit-eu-west-2-undelivered
Allow Subscriptions: sns:GetSubscriptionAttributes on *
Allow OwnRole: iam:GetRole on iam::role/platform/registry-deploy
    iam::role/platform/registry-preview
Allow StateBucket: s3:ListBucket on s3::registry-state
Allow State: s3:GetObject on s3::registry-state/*
Allow StateKey: kms:Decrypt on kms:eu-west-2:key/state
Allow BuildLogs: logs:CreateLogGroup logs:CreateLogStream logs:PutLogEvents on
    logs:eu-west-2:log-group:/aws/codebuild/preview
    logs:eu-west-2:log-group:/aws/codebuild/preview:*
Allow BuildSource: s3:GetObject s3:GetObjectVersion on s3::artifacts/*
Allow BuildSourceKey: kms:Decrypt on kms:eu-west-2:key/artifacts
Allow Checks: cloudtrail:LookupEvents iam:GetAccountAuthorizationDetails on *
"""

DEPLOY = """
Allow Repositories: … on ecr:eu-west-2:repository/*
Allow Roles: … on iam::role/pipeline/image-pipeline iam::role/tag-audit-eu-west-2
Allow PipelineRole: iam:CreateRole iam:DeleteRolePolicy iam:PutRolePolicy on
    iam::role/pipeline/image-pipeline {"StringEquals": {"iam:PermissionsBoundary":
    "iam::policy/platform/registry-deploy-pipeline-boundary"}}
Allow ForwardingRole: iam:CreateRole iam:DeleteRolePolicy iam:PutRolePolicy on
    iam::role/tag-audit-eu-west-2 {"StringEquals": {"iam:PermissionsBoundary":
    "iam::policy/platform/registry-deploy-audit-boundary"}}
Allow Audit: … on sns:eu-west-2:tag-audit events:eu-west-2:rule/tag-audit-*
    sqs:eu-west-2:tag-audit-undelivered events:*:rule/tag-audit-eu-west-2-*
    sqs:*:tag-audit-eu-west-2-undelivered
Allow Subscriptions: sns:GetSubscriptionAttributes sns:Unsubscribe on *
Allow PassForwardingRole: iam:PassRole on iam::role/tag-audit-eu-west-2 {"StringEquals":
    {"iam:PassedToService": "events.amazonaws.com"}}
Allow OwnRole: iam:GetRole on iam::role/platform/registry-deploy
    iam::role/platform/registry-preview
Allow RepositoryKeys: kms:CreateGrant kms:DescribeKey kms:RetireGrant on kms:eu-west-2:key/images
    {"StringEquals": {"kms:ViaService": "ecr.eu-west-2.amazonaws.com"}}
Allow StateBucket: s3:ListBucket on s3::registry-state
Allow State: s3:DeleteObject s3:GetObject s3:PutObject on s3::registry-state/*
Allow StateKey: kms:Decrypt kms:GenerateDataKey on kms:eu-west-2:key/state
Allow BuildLogs: logs:CreateLogGroup logs:CreateLogStream logs:PutLogEvents on
    logs:eu-west-2:log-group:/aws/codebuild/deploy
    logs:eu-west-2:log-group:/aws/codebuild/deploy:*
Allow BuildSource: s3:GetObject s3:GetObjectVersion on s3::artifacts/*
Allow BuildSourceKey: kms:Decrypt on kms:eu-west-2:key/artifacts
Deny PassesNoOtherRole: iam:PassRole on all but iam::role/tag-audit-eu-west-2
Deny BecomesNoOtherRole: sts:AssumeRole on *
Deny MovesNoTagsAndDeletesNoImages: … on *
Deny OnlyReadsItselfAndItsBounds: all but iam:Get* iam:List* on iam::role/platform/registry-deploy
    iam::role/platform/registry-preview iam::policy/platform/registry-deploy*
"""


def test_what_the_roles_may_do() -> None:
    assert sentences(preview_policy(CODEBUILD, KEY)).split() == PREVIEW.split()
    assert sentences(deploy_policy(CODEBUILD, KEY)).split() == DEPLOY.split()


@pytest.fixture(scope="module")
def resources(prod: StackFile) -> list[Resource]:
    """What a stack registers."""
    return run(
        prod, Cloud("arn:aws:iam::111122223333:role/platform/forms-registry-deploy")
    ).resources


def test_the_calls_are_those_for_the_types_that_a_stack_registers(
    resources: list[Resource],
) -> None:
    """What a new type of resource needs is added to permissions.py, and the type here."""
    names = {each.type.rpartition(":")[2] for each in resources if each.type.startswith("aws:")}
    assert names == {
        *("LifecyclePolicy", "Repository", "RepositoryPolicy", "Role", "RolePolicy"),
        *("EventRule", "EventTarget", "Topic", "TopicSubscription", "Queue"),
    }


@pytest.mark.parametrize("service", READS)
def test_what_reads_reads_and_every_action_exists(service: str) -> None:
    model = botocore.session.get_session().get_service_model(service)
    assert all(call.startswith(READING) for call in READS[service].split())
    assert {*READS[service].split(), *WRITES[service].split()} <= set(model.operation_names)


@pytest.mark.parametrize("delivery", [DELIVERY, CODEBUILD], ids=["GitHub", "CodePipeline"])
def test_the_preview_role_writes_nothing_but_the_logs_of_its_builds(delivery: Delivery) -> None:
    """Every branch's program runs as it."""
    for statement in allows(preview_policy(delivery, KEY)):
        calls = [action.split(":")[1] for action in statement["Action"]]
        logs = all("/aws/codebuild/preview" in arn for arn in statement["Resource"])
        assert all(call.startswith(READING) for call in calls) or logs


def test_the_audits_resources_have_the_names_that_the_deploy_role_may_use(
    resources: list[Resource],
) -> None:
    statements = {each["Sid"]: each for each in allows(deploy_policy(DELIVERY, KEY))}
    patterns = statements["Audit"]["Resource"]
    services = {"EventRule": "events:{}:rule/", "Topic": "sns:{}:", "Queue": "sqs:{}:"}
    arns = []
    for resource in resources:
        if service := services.get(resource.type.rpartition(":")[2]):
            place = service.format(f"{resource.inputs.get('region', 'eu-west-2')}:111122223333")
            arns.append(f"arn:aws:{place}{resource.inputs['name']}")
    assert all(any(fnmatchcase(arn, pattern) for pattern in patterns) for arn in arns)
    assert all(any(fnmatchcase(arn, pattern) for arn in arns) for pattern in patterns)


def test_what_a_stack_has_not_is_not_in_the_policies() -> None:
    delivery = replace(DELIVERY, audit=False, repository_keys=[])
    services = {action.split(":")[0] for action in allowed(deploy_policy(delivery, KEY))}
    assert services == {"ecr", "iam", "kms", "s3"}
    assert "tag-audit" not in to_json(preview_policy(delivery, KEY))
    assert "iam:PassRole" not in allowed(deploy_policy(delivery, KEY))
    document = deploy_policy(replace(delivery, pipeline_role=""), KEY)
    assert {action for action in allowed(document) if action.startswith("iam:")} == {"iam:GetRole"}
    assert "kms:CreateGrant" not in allowed(document)


def test_the_boundaries_and_the_buckets_policy() -> None:
    actions = allowed(pipeline_boundary())
    assert {"ecr:PutImage", "ecr:BatchGetImage", "ecr:GetAuthorizationToken"} <= actions
    denied = ("iam:", "sts:", "ecr:Delete", "ecr:Set", "ecr:BatchDelete", "ecr:PutImageTag")
    assert not any(action.startswith(denied) for action in actions)
    [bound] = allows(audit_boundary(DELIVERY.location))
    assert (bound["Action"], bound["Resource"]) == (
        "events:PutEvents",
        "arn:aws:events:eu-west-2:111122223333:event-bus/default",
    )
    [statement] = bucket_policy("arn:aws:s3:::registry-state")["Statement"]
    assert (statement["Principal"], statement["Effect"]) == ("*", "Deny")
    assert statement["Resource"] == ["arn:aws:s3:::registry-state", "arn:aws:s3:::registry-state/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
