"""The roles of CI may do what an update calls, and nothing else, also by the steps of who-can."""

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import botocore.session
import pytest

from container_images.access.account import account_of
from container_images.access.claims import guarded
from container_images.access.who_can import findings
from container_images.bootstrap.permissions import (
    READS,
    WRITES,
    Delivery,
    audit_boundary,
    deploy_policy,
    pipeline_boundary,
    preview_policy,
)
from container_images.policies.ecr_actions import Effect, actions
from container_images.policies.repository_policy import repository_policy
from container_images.policies.trust_policy import pipeline_role_policy, trust_policy
from container_images.rehearsal.program import Update
from tests.access.accounts import REPOSITORY, allow, details, managed, role
from tests.builds import access

IAM = "arn:aws:iam::111122223333"
KEY = "arn:aws:kms:eu-west-2:111122223333:key/state"
LOCATION = {"partition": "aws", "account_id": "111122223333", "region": "eu-west-2"}
SETTINGS: dict[str, Any] = {
    "previewRole": "/platform/registry-preview",
    "deployRole": "/platform/registry-deploy",
    "pipelineRole": "/pipeline/image-pipeline",
    "repositoryKeys": ["arn:aws:kms:eu-west-2:111122223333:key/images"],
    "stateBucket": "registry-state",
    "githubPreviewSubjects": ["repo:example-org/registry:pull_request"],
    "githubDeploySubjects": ["repo:example-org/registry:environment:registry"],
}
PROJECT = "arn:aws:codebuild:eu-west-2:111122223333:project"


def delivery(**changes: Any) -> Delivery:
    return Delivery.model_validate({**SETTINGS, "location": LOCATION, **changes})


DELIVERY = delivery()
CODEBUILD = delivery(
    codeBuildPreviewProjects=[f"{PROJECT}/preview"],
    codeBuildDeployProjects=[f"{PROJECT}/deploy"],
    artifactBucket="artifacts",
    artifactKey="arn:aws:kms:eu-west-2:111122223333:key/artifacts",
)
MOST = 3
READING = ("Decrypt", "Describe", "Get", "List", "Lookup")


def allows(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [statement for statement in document["Statement"] if statement["Effect"] == "Allow"]


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


def test_what_the_deploy_role_may_do() -> None:
    assert sentences(deploy_policy(CODEBUILD, KEY)).split() == DEPLOY.split()


def test_the_preview_role_may_read_the_same_and_write_nothing_but_its_builds_logs() -> None:
    """Every branch's program runs as it."""
    *common, checks = allows(preview_policy(CODEBUILD, KEY))
    assert checks["Action"] == ["cloudtrail:LookupEvents", "iam:GetAccountAuthorizationDetails"]
    deploying = {statement["Sid"]: statement for statement in allows(deploy_policy(CODEBUILD, KEY))}
    for statement in common:
        others = deploying.pop(statement["Sid"])
        if statement["Sid"] == "BuildLogs":
            assert all("/aws/codebuild/preview" in arn for arn in statement["Resource"])
            continue
        assert statement["Resource"] == others["Resource"]
        reading = {call for call in others["Action"] if call.split(":")[1].startswith(READING)}
        # This one is called before a role is deleted.
        assert {*statement["Action"]} == reading - {"iam:ListInstanceProfilesForRole"}
    writing = {"PipelineRole", "ForwardingRole", "PassForwardingRole", "RepositoryKeys"}
    assert deploying.keys() == writing


def test_the_calls_are_those_for_the_types_that_a_stack_registers(deployed: Update) -> None:
    """What a new type of resource needs is added to permissions.py, and the type here."""
    types = {each.type for each in deployed.resources if each.type.startswith("aws:")}
    assert {type_.rpartition(":")[2] for type_ in types} == {
        *("LifecyclePolicy", "Repository", "RepositoryPolicy", "Role", "RolePolicy"),
        *("EventRule", "EventTarget", "Topic", "TopicSubscription", "Queue"),
    }


@pytest.mark.parametrize("service", READS)
def test_what_reads_reads_and_every_action_exists(service: str) -> None:
    model = botocore.session.get_session().get_service_model(service)
    assert all(call.startswith(READING) for call in READS[service].split())
    assert {*READS[service].split(), *WRITES[service].split()} <= set(model.operation_names)


def test_the_audits_resources_have_the_names_that_the_deploy_role_may_use(
    deployed: Update,
) -> None:
    [patterns] = [
        statement["Resource"]
        for statement in allows(deploy_policy(DELIVERY, KEY))
        if statement["Sid"] == "Audit"
    ]
    services = {"EventRule": "events:{}:rule/", "Topic": "sns:{}:", "Queue": "sqs:{}:"}
    arns = []
    for resource in deployed.resources:
        if service := services.get(resource.type.rpartition(":")[2]):
            place = service.format(f"{resource.inputs.get('region', 'eu-west-2')}:111122223333")
            arns.append(f"arn:aws:{place}{resource.inputs['name']}")
    assert all(any(fnmatchcase(arn, pattern) for pattern in patterns) for arn in arns)
    assert all(any(fnmatchcase(arn, pattern) for arn in arns) for pattern in patterns)


def test_what_a_stack_has_not_is_not_in_the_policies() -> None:
    """IAM takes no empty list of resources."""
    lacking = {"audit": False, "repository_keys": [], "pipeline_role": ""}
    least = DELIVERY.model_copy(update=lacking)
    common = ["Repositories", "OwnRole", "StateBucket", "State", "StateKey"]
    sids = [statement["Sid"] for statement in allows(preview_policy(least, KEY))]
    assert sids == [*common, "Checks"]
    assert [statement["Sid"] for statement in allows(deploy_policy(least, KEY))] == common


def test_the_created_roles_are_bound_to_their_work() -> None:
    [images] = allows(pipeline_boundary())
    assert {*images["Action"]} >= {"ecr:PutImage", "ecr:BatchGetImage", "ecr:GetAuthorizationToken"}
    refused = actions(Effect.DELETE_IMAGE, Effect.CHANGE_GUARD, Effect.CREATE_REPOSITORY)
    assert not {*images["Action"]} & {*refused}
    assert all(re.fullmatch(r"ecr:\w+", action) for action in images["Action"])
    [events] = allows(audit_boundary(DELIVERY.location))
    bus = "arn:aws:events:eu-west-2:111122223333:event-bus/default"
    assert (events["Action"], events["Resource"]) == ("events:PutEvents", bus)


# --- What the roles of CI could do to a repository ------------------------------------------------

DEPLOY_ROLE, PREVIEW_ROLE = DELIVERY.ci_roles
PIPELINE = DELIVERY.iam_arn("role", DELIVERY.pipeline_role)
BOUNDARY = DELIVERY.iam_arn("policy", DELIVERY.deploy_role)
EVERYTHING = allow("*")
EXISTING = deploy_policy(DELIVERY.model_copy(update={"pipeline_role": ""}), KEY)["Statement"]
"""The deploy role's policy where the stack creates no pipeline role."""


def abilities(deploying: list[Any], *more: dict[str, Any]) -> dict[str, set[str]]:
    """What each role could do, in an account with the three roles and the deploy role's policy."""
    of_pipeline, of_audit = pipeline_boundary(), audit_boundary(DELIVERY.location)
    account = details(
        role(
            DEPLOY_ROLE,
            *more,
            trusts=trust_policy(DELIVERY.trust("deploy")),
            boundary=BOUNDARY,
            managed=[BOUNDARY],
        ),
        role(
            PREVIEW_ROLE,
            *preview_policy(DELIVERY, KEY)["Statement"],
            trusts=trust_policy(DELIVERY.trust("preview")),
        ),
        # The pipeline role itself trusts the deploy role: the Deny has to hold alone.
        role(
            PIPELINE,
            *pipeline_role_policy()["Statement"],
            trusts=trust_policy(
                {**DELIVERY.trust("deploy"), "github_subjects": [], "roles": [DEPLOY_ROLE]}
            ),
            boundary=f"{BOUNDARY}-pipeline-boundary",
        ),
        managed("platform/registry-deploy", *deploying),
        managed("platform/registry-deploy-pipeline-boundary", *of_pipeline["Statement"]),
        managed("platform/registry-deploy-audit-boundary", *of_audit["Statement"]),
    )
    guard = repository_policy(access(pipeline_roles=[PIPELINE], administrator_roles=[DEPLOY_ROLE]))
    [finding] = findings(account_of(account), [guarded(REPOSITORY, guard)])
    return {
        principal: {ability for ability, path in paths.items() if path}
        for principal, paths in finding.principals.items()
    }


@pytest.mark.parametrize(
    ("deploying", "more", "expected"),
    [
        (EXISTING, [], {"changeGuard"}),
        (EXISTING, [EVERYTHING], {"changeGuard"}),  # its policy is its boundary too
        # Where the stack creates the pipeline role it may also say who becomes it, which
        # docs/ci.md says. But it makes no more of that role than a pipeline.
        (deploy_policy(DELIVERY, KEY)["Statement"], [], {"moveTags", "changeGuard"}),
    ],
)
def test_the_deploy_role_changes_the_guard_and_nothing_else(
    deploying: list[Any], more: list[dict[str, Any]], expected: set[str]
) -> None:
    could = abilities(deploying, *more)
    assert could[DEPLOY_ROLE] == expected
    assert could[PREVIEW_ROLE] == set()


def test_what_holds_it_is_seen_to_be_missing() -> None:
    """The Denies; and the boundary of the audit's role, which it creates."""
    allows = [statement for statement in EXISTING if statement["Effect"] == "Allow"]
    assert "moveTags" in abilities([*allows, EVERYTHING])[DEPLOY_ROLE]
    unbounded = [
        {key: statement[key] for key in statement if key != "Condition"} for statement in EXISTING
    ]
    assert "deleteImages" in abilities(unbounded)[DEPLOY_ROLE]
