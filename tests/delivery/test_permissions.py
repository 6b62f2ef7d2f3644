"""The roles of CI may do what an update calls, and nothing else."""

from collections import defaultdict
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import botocore.session
import pytest
from botocore.client import BaseClient

from container_images.bootstrap import permissions
from container_images.bootstrap.permissions import (
    ALIASED,
    BOUNDED,
    MAX_MANAGED_POLICY,
    RESOURCES,
    Place,
    audit_boundary,
    bucket_policy,
    deploy_policy,
    pipeline_boundary,
    preview_policy,
)
from container_images.policies.document import to_json
from container_images.rehearsal import embedded_aws, program
from container_images.settings.stack_file import read
from tests.conftest import ROOT
from tests.test_program import changed

PLACE = Place(
    partition="aws",
    account_id="111122223333",
    region="eu-west-2",
    preview_role="arn:aws:iam::111122223333:role/platform/registry-preview",
    deploy_role="arn:aws:iam::111122223333:role/platform/registry-deploy",
    pipeline_role="arn:aws:iam::111122223333:role/pipeline/image-pipeline",
    pipeline_boundary="arn:aws:iam::111122223333:policy/platform/registry-deploy-pipeline-boundary",
    audit_boundary="arn:aws:iam::111122223333:policy/platform/registry-deploy-audit-boundary",
    audit_trail=True,
    deploy_boundary="arn:aws:iam::111122223333:policy/platform/registry-deploy",
    repository_keys=["arn:aws:kms:eu-west-2:111122223333:key/images"],
    state_bucket="arn:aws:s3:::registry-state",
    preview_projects=[],
    deploy_projects=[],
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
def recorded() -> tuple[set[str], program.Update]:
    """What a run of the program calls, as SERVICE:OPERATION, and what it registers."""
    calls: set[str] = set()
    make_api_call: Any = BaseClient._make_api_call  # type: ignore[attr-defined]

    def recording(client: BaseClient, operation: str, parameters: Any) -> Any:
        calls.add(f"{client.meta.service_model.signing_name}:{operation}")
        return make_api_call(client, operation, parameters)

    audit = {
        "trail": "create",
        "email": ["a@example.org"],
        "permissionsBoundary": PLACE["audit_boundary"],
    }
    stack = changed(read(ROOT, "prod"), audit=audit)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BaseClient, "_make_api_call", recording)
        with embedded_aws.embedded_aws(stack) as aws:
            calls.clear()  # the administrator was there before
            update = program.run(stack, aws)
    return calls, update


@pytest.fixture(scope="module")
def updated(recorded: tuple[set[str], program.Update]) -> program.Update:
    """What a run of the program registers."""
    return recorded[1]


@pytest.fixture(scope="module")
def rehearsed(recorded: tuple[set[str], program.Update]) -> tuple[set[str], set[str]]:
    """What a run of the program calls, as IAM actions, and the types that it registers."""
    calls, update = recorded
    actions = {operation: action for action, operation in OPERATIONS.items()}
    return {actions.get(it, it) for it in calls}, {
        it.type for it in update.resources if it.type.startswith("aws:")
    }


def lacking(types: set[str], calls: set[str], document: dict[str, Any]) -> list[str]:
    """What the table and a policy lack for a rehearsal."""
    return sorted((types - RESOURCES.keys()) | (calls - NO_PERMISSION_NEEDED - allowed(document)))


def test_the_deploy_role_may_make_each_call_of_a_rehearsal(
    rehearsed: tuple[set[str], set[str]],
) -> None:
    calls, types = rehearsed
    assert {"ecr:CreateRepository", "ecr:SetRepositoryPolicy", "iam:PutRolePolicy"} <= calls
    assert {"events:PutTargets", "kms:CreateKey", "cloudtrail:CreateTrail"} <= calls
    assert lacking(types, calls, deploy_policy(PLACE, KEY)) == []


def test_a_call_that_the_table_lacks_is_noticed(
    rehearsed: tuple[set[str], set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    without = {
        kind: replace(RESOURCES[kind], write=())
        for kind in (
            "aws:ecr/repositoryPolicy:RepositoryPolicy",
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        )
    }
    monkeypatch.setattr(permissions, "RESOURCES", {**RESOURCES, **without})
    calls, types = rehearsed
    assert lacking(types, calls, deploy_policy(PLACE, KEY)) == [
        "ecr:SetRepositoryPolicy",
        "s3:PutBucketPublicAccessBlock",
    ]


def test_a_type_that_the_table_lacks_is_noticed(rehearsed: tuple[set[str], set[str]]) -> None:
    calls, types = rehearsed
    table = "aws:dynamodb/table:Table"
    assert lacking({*types, table}, calls, deploy_policy(PLACE, KEY)) == [table]


def test_the_table_has_no_type_that_no_stack_registers(
    rehearsed: tuple[set[str], set[str]],
) -> None:
    _, types = rehearsed
    assert types == RESOURCES.keys()


OPERATIONS = {
    "s3:Get*Configuration": "s3:GetBucketEncryption",
    "s3:GetBucket*": "s3:GetBucketVersioning",
    "s3:ListBucket": "s3:HeadBucket",
    "s3:ListTagsForResource": "s3control:ListTagsForResource",
    "s3:PutBucketPublicAccessBlock": "s3:PutPublicAccessBlock",
    "s3:PutEncryptionConfiguration": "s3:PutBucketEncryption",
    "s3:PutLifecycleConfiguration": "s3:PutBucketLifecycleConfiguration",
    "s3:TagResource": "s3control:TagResource",
    "s3:UntagResource": "s3control:UntagResource",
    "cloudtrail:Get*": "cloudtrail:GetTrailStatus",
}
"""An operation that each action allows, where it is not the one of its name.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html"""


@pytest.mark.parametrize("kind", RESOURCES)
def test_a_type_reads_what_it_reads_and_every_action_exists(kind: str) -> None:
    calls = RESOURCES[kind]
    assert all(it.split(":")[1].startswith(("Describe", "Get", "List")) for it in calls.read)
    for action in (*calls.read, *calls.write):
        service, operation = OPERATIONS.get(action, action).split(":")
        model = botocore.session.get_session().get_service_model(service)
        assert operation in model.operation_names


def test_a_wildcard_reads_no_contents() -> None:
    for service in ("s3", "cloudtrail"):
        model = botocore.session.get_session().get_service_model(service)
        wildcards = {it for it in allowed(preview_policy(PLACE, KEY)) if "*" in it}
        matched = {
            it
            for it in model.operation_names
            if any(fnmatchcase(f"{service}:{it}", pattern) for pattern in wildcards)
        }
        assert matched
        assert all(it.startswith("Get") and "Object" not in it for it in matched - LOCK)


LOCK = {"GetObjectLockConfiguration"}
"""A setting of a bucket. Its action is s3:GetBucketObjectLockConfiguration."""


def arns_of(update: program.Update) -> dict[str, set[str]]:
    """By the Sid that is to cover them: the ARNs of what a rehearsal registers."""
    found: dict[str, set[str]] = defaultdict(set)
    for it in update.resources:
        region = it.inputs.get("region", "eu-west-2")
        there = f"{region}:111122223333"
        match it.type.rpartition(":")[2]:
            case "EventRule":
                found["Audit"].add(f"arn:aws:events:{there}:rule/{it.inputs['name']}")
            case "Topic":
                found["Audit"].add(f"arn:aws:sns:{there}:{it.inputs['name']}")
            case "Queue":
                found["Audit"].add(f"arn:aws:sqs:{there}:{it.inputs['name']}")
            case "Alias":
                found["AuditKeys"].add(f"arn:aws:kms:{there}:{it.inputs['name']}")
            case "Trail":
                found["Trail"].add(f"arn:aws:cloudtrail:{there}:trail/{it.inputs['name']}")
            case "Bucket":
                found["Trail"].add(f"arn:aws:s3:::{it.inputs['bucket']}")
            case "Role" if it.inputs["name"].startswith("tag-audit"):
                role = f"arn:aws:iam::111122223333:role/{it.inputs['name']}"
                found["Roles"].add(role)
                found["ForwardingRole"].add(role)
                found["PassForwardingRole"].add(role)
    return found


def test_the_audits_resources_have_the_names_that_the_deploy_role_may_use(
    updated: program.Update,
) -> None:
    by_sid = {it["Sid"]: it for it in deploy_policy(PLACE, KEY)["Statement"]}
    registered = arns_of(updated)
    assert registered.keys() == {
        *("Audit", "AuditKeys", "Trail", "Roles", "ForwardingRole", "PassForwardingRole")
    }
    for sid, arns in registered.items():
        named = by_sid[sid]["Resource"]
        named = [named] if isinstance(named, str) else named
        assert not [arn for arn in arns if not any(fnmatchcase(arn, it) for it in named)], sid
        used = [it for it in named if any(fnmatchcase(arn, it) for arn in arns)]
        others = {it for it in named if it not in used}
        assert all(it.endswith(("key/*", PLACE["pipeline_role"])) for it in others), sid
    aliases = {it.partition(":alias/")[2] for it in registered["AuditKeys"]}
    for sid, operator in (("NewKeys", "ForAllValues"), ("AuditKeysInUse", "ForAnyValue")):
        named = by_sid[sid]["Condition"][f"{operator}:StringEquals"]["kms:ResourceAliases"]
        assert {f"alias/{it}" for it in aliases} == set(named)


AUDIT_KEYS = {
    "Resource": [
        "arn:aws:kms:eu-west-2:111122223333:alias/tag-audit",
        "arn:aws:kms:us-east-1:111122223333:alias/tag-audit-eu-west-2",
        "arn:aws:kms:eu-west-2:111122223333:key/*",
        "arn:aws:kms:us-east-1:111122223333:key/*",
    ],
    "Condition": {
        "ForAllValues:StringEquals": {
            "kms:ResourceAliases": ["alias/tag-audit", "alias/tag-audit-eu-west-2"]
        }
    },
}
AUDIT = [
    "arn:aws:sns:eu-west-2:111122223333:tag-audit",
    "arn:aws:events:eu-west-2:111122223333:rule/tag-audit-*",
    "arn:aws:sqs:eu-west-2:111122223333:tag-audit-undelivered",
    "arn:aws:events:us-east-1:111122223333:rule/tag-audit-eu-west-2-*",
    "arn:aws:sqs:us-east-1:111122223333:tag-audit-eu-west-2-undelivered",
]
TRAIL = [
    "arn:aws:cloudtrail:eu-west-2:111122223333:trail/tag-audit",
    "arn:aws:s3:::tag-audit-111122223333-eu-west-2",
]
FORWARDING_ROLE = "arn:aws:iam::111122223333:role/tag-audit-eu-west-2"


def test_the_preview_role_may_only_read() -> None:
    assert preview_policy(PLACE, KEY)["Statement"] == [
        {
            "Sid": "Repositories",
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
            "Sid": "Roles",
            "Effect": "Allow",
            "Action": [
                "iam:GetRole",
                "iam:GetRolePolicy",
                "iam:ListAttachedRolePolicies",
                "iam:ListRolePolicies",
            ],
            "Resource": [
                "arn:aws:iam::111122223333:role/pipeline/image-pipeline",
                FORWARDING_ROLE,
            ],
        },
        {
            "Sid": "Audit",
            "Effect": "Allow",
            "Action": [
                "events:DescribeRule",
                "events:ListTagsForResource",
                "events:ListTargetsByRule",
                "sns:GetTopicAttributes",
                "sns:ListTagsForResource",
                "sqs:GetQueueAttributes",
                "sqs:ListQueueTags",
            ],
            "Resource": AUDIT,
        },
        {
            "Sid": "Trail",
            "Effect": "Allow",
            "Action": [
                "cloudtrail:Get*",
                "cloudtrail:ListTags",
                "s3:Get*Configuration",
                "s3:GetBucket*",
                "s3:ListBucket",
                "s3:ListTagsForResource",
            ],
            "Resource": TRAIL,
        },
        {
            "Sid": "AuditKeys",
            "Effect": "Allow",
            "Action": [
                "kms:DescribeKey",
                "kms:GetKeyPolicy",
                "kms:GetKeyRotationStatus",
                "kms:ListResourceTags",
            ],
            **AUDIT_KEYS,
        },
        {
            "Sid": "NoOneResource",
            "Effect": "Allow",
            "Action": [
                "cloudtrail:DescribeTrails",
                "kms:ListAliases",
                "sns:GetSubscriptionAttributes",
            ],
            "Resource": "*",
        },
        {
            "Sid": "OwnRole",
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
    assert by_sid["Repositories"]["Action"] == [
        "ecr:CreateRepository",
        "ecr:DescribeRepositories",
        "ecr:GetLifecyclePolicy",
        "ecr:GetRepositoryPolicy",
        "ecr:ListTagsForResource",
        "ecr:PutImageScanningConfiguration",
        "ecr:PutImageTagMutability",
        "ecr:PutLifecyclePolicy",
        "ecr:SetRepositoryPolicy",
        "ecr:TagResource",
        "ecr:UntagResource",
    ]
    for sid, role, bounds in (
        ("PipelineRole", "arn:aws:iam::111122223333:role/pipeline/image-pipeline", "pipeline"),
        ("ForwardingRole", FORWARDING_ROLE, "audit"),
    ):
        assert by_sid[sid] == {
            "Sid": sid,
            "Effect": "Allow",
            "Action": [
                "iam:CreateRole",
                "iam:DeleteRolePolicy",
                "iam:PutRolePolicy",
            ],
            "Resource": [role],
            "Condition": {
                "StringEquals": {
                    "iam:PermissionsBoundary": "arn:aws:iam::111122223333:policy/platform/"
                    f"registry-deploy-{bounds}-boundary"
                }
            },
        }
    assert by_sid["Audit"] == {
        "Sid": "Audit",
        "Effect": "Allow",
        "Action": [
            "events:DeleteRule",
            "events:DescribeRule",
            "events:ListTagsForResource",
            "events:ListTargetsByRule",
            "events:PutRule",
            "events:PutTargets",
            "events:RemoveTargets",
            "events:TagResource",
            "events:UntagResource",
            "sns:CreateTopic",
            "sns:DeleteTopic",
            "sns:GetTopicAttributes",
            "sns:ListTagsForResource",
            "sns:SetTopicAttributes",
            "sns:Subscribe",
            "sns:TagResource",
            "sns:UntagResource",
            "sqs:CreateQueue",
            "sqs:DeleteQueue",
            "sqs:GetQueueAttributes",
            "sqs:ListQueueTags",
            "sqs:SetQueueAttributes",
            "sqs:TagQueue",
            "sqs:UntagQueue",
        ],
        "Resource": AUDIT,
    }
    assert by_sid["Trail"] == {
        "Sid": "Trail",
        "Effect": "Allow",
        "Action": [
            "cloudtrail:AddTags",
            "cloudtrail:CreateTrail",
            "cloudtrail:DeleteTrail",
            "cloudtrail:Get*",
            "cloudtrail:ListTags",
            "cloudtrail:PutEventSelectors",
            "cloudtrail:RemoveTags",
            "cloudtrail:StartLogging",
            "cloudtrail:UpdateTrail",
            "s3:CreateBucket",
            "s3:DeleteBucketPolicy",
            "s3:Get*Configuration",
            "s3:GetBucket*",
            "s3:ListBucket",
            "s3:ListTagsForResource",
            "s3:PutBucketPolicy",
            "s3:PutBucketPublicAccessBlock",
            "s3:PutBucketVersioning",
            "s3:PutEncryptionConfiguration",
            "s3:PutLifecycleConfiguration",
            "s3:TagResource",
            "s3:UntagResource",
        ],
        "Resource": TRAIL,
    }
    assert by_sid["NoOneResource"]["Action"] == [
        "cloudtrail:DescribeTrails",
        "kms:ListAliases",
        "sns:GetSubscriptionAttributes",
        "sns:Unsubscribe",
    ]
    assert by_sid["PassForwardingRole"] == {
        "Sid": "PassForwardingRole",
        "Effect": "Allow",
        "Action": ["iam:PassRole"],
        "Resource": FORWARDING_ROLE,
        "Condition": {"StringEquals": {"iam:PassedToService": "events.amazonaws.com"}},
    }
    assert [it for it in by_sid.values() if it["Effect"] == "Deny"] == [
        {
            "Sid": "BecomesNobodyElse",
            "Effect": "Deny",
            "Action": ["sts:AssumeRole"],
            "Resource": "*",
        },
        {
            "Sid": "PassesNoOtherRole",
            "Effect": "Deny",
            "Action": ["iam:PassRole"],
            "NotResource": FORWARDING_ROLE,
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
                "arn:aws:iam::111122223333:policy/platform/registry-deploy*",
            ],
        },
    ]


def test_which_keys_the_deploy_role_may_change() -> None:
    """With an alias of the audit, any; without any alias, nothing that says who may use it."""
    statements = deploy_policy({**PLACE, "repository_keys": []}, KEY)["Statement"]
    keys = [it for it in statements if any(one.startswith("kms:") for one in it.get("Action", []))]
    assert keys[:3] == [
        {
            "Sid": "AuditKeys",
            "Effect": "Allow",
            "Action": [
                "kms:CreateAlias",
                "kms:DescribeKey",
                "kms:EnableKeyRotation",
                "kms:GetKeyPolicy",
                "kms:GetKeyRotationStatus",
                "kms:ListResourceTags",
            ],
            **AUDIT_KEYS,
        },
        {
            "Sid": "NewKeys",
            "Effect": "Allow",
            "Action": ["kms:CreateKey", "kms:TagResource"],
            "Resource": "*",
            "Condition": AUDIT_KEYS["Condition"],
        },
        {
            "Sid": "AuditKeysInUse",
            "Effect": "Allow",
            "Action": [
                "kms:EnableKey",
                "kms:PutKeyPolicy",
                "kms:UntagResource",
                "kms:UpdateKeyDescription",
            ],
            "Resource": [
                "arn:aws:kms:eu-west-2:111122223333:key/*",
                "arn:aws:kms:us-east-1:111122223333:key/*",
            ],
            "Condition": {
                "ForAnyValue:StringEquals": {
                    "kms:ResourceAliases": ["alias/tag-audit", "alias/tag-audit-eu-west-2"]
                }
            },
        },
    ]
    assert [it["Sid"] for it in keys[3:]] == ["NoOneResource", "StateKey"]


def test_without_an_audit_there_is_nothing_of_it() -> None:
    place: Place = {**PLACE, "audit_boundary": ""}
    services = {it.split(":")[0] for it in allowed(deploy_policy(place, KEY))}
    assert services == {"ecr", "iam", "kms", "s3"}
    for document in (preview_policy(place, KEY), deploy_policy(place, KEY)):
        assert "tag-audit" not in to_json(document)
    [deny] = [it for it in deploy_policy(place, KEY)["Statement"] if it["Sid"][:7] == "Becomes"]
    assert deny == {
        "Sid": "BecomesNobodyElse",
        "Effect": "Deny",
        "Action": ["iam:PassRole", "sts:AssumeRole"],
        "Resource": "*",
    }


def test_without_a_trail_of_the_stacks_own_none_is_written() -> None:
    document = deploy_policy({**PLACE, "audit_trail": False}, KEY)
    assert not [
        it
        for it in allowed(document)
        if it.startswith(("cloudtrail:", "s3:PutBucket", "s3:GetBucket"))
    ]
    assert TRAIL[1] not in to_json(document)


def test_in_the_region_of_iam_no_role_is_passed() -> None:
    place: Place = {**PLACE, "region": "us-east-1"}
    by_sid = {it["Sid"]: it for it in deploy_policy(place, KEY)["Statement"]}
    assert by_sid["Audit"]["Resource"] == [
        "arn:aws:sns:us-east-1:111122223333:tag-audit",
        "arn:aws:events:us-east-1:111122223333:rule/tag-audit-*",
        "arn:aws:sqs:us-east-1:111122223333:tag-audit-undelivered",
    ]
    assert by_sid["BecomesNobodyElse"]["Action"] == ["iam:PassRole", "sts:AssumeRole"]
    assert by_sid["Roles"]["Resource"] == [PLACE["pipeline_role"]]


def test_the_audits_role_can_send_events_and_no_more() -> None:
    assert audit_boundary(PLACE)["Statement"] == [
        {
            "Effect": "Allow",
            "Action": "events:PutEvents",
            "Resource": "arn:aws:events:eu-west-2:111122223333:event-bus/default",
        }
    ]


def test_nothing_is_written_without_the_boundary_that_iam_could_ask_for() -> None:
    for statement in deploy_policy(PLACE, KEY)["Statement"]:
        called = set(statement.get("Action", ())) if statement["Effect"] == "Allow" else set()
        if called & BOUNDED:
            assert "iam:PermissionsBoundary" in statement["Condition"]["StringEquals"]
        if called & ALIASED:
            [aliases] = statement["Condition"]["ForAnyValue:StringEquals"].values()
            assert all(it.startswith("alias/tag-audit") for it in aliases)


def test_which_allows_are_on_everything() -> None:
    for document, sids in (
        (preview_policy(PLACE, KEY), {"Checks", "NoOneResource"}),
        (deploy_policy(PLACE, KEY), {"NewKeys", "NoOneResource"}),
    ):
        everything = [it for it in document["Statement"] if it.get("Resource") == "*"]
        assert {it["Sid"] for it in everything if it["Effect"] == "Allow"} == sids


def test_without_a_role_to_create_none_is_written() -> None:
    document = deploy_policy({**PLACE, "pipeline_role": "", "audit_boundary": ""}, KEY)
    assert {it for it in allowed(document) if it.startswith("iam:")} == {"iam:GetRole"}


def test_a_build_in_codebuild_may_log_and_fetch_its_source() -> None:
    place: Place = {
        **PLACE,
        "preview_projects": ["arn:aws:codebuild:eu-west-2:111122223333:project/preview"],
        "deploy_projects": ["arn:aws:codebuild:eu-west-2:111122223333:project/deploy"],
        "audit_trail": False,
        "artifact_bucket": "arn:aws:s3:::artifacts",
        "artifact_key": "arn:aws:kms:eu-west-2:111122223333:key/artifacts",
    }
    for document, project in (
        (preview_policy(place, KEY), "preview"),
        (deploy_policy(place, KEY), "deploy"),
    ):
        group = f"arn:aws:logs:eu-west-2:111122223333:log-group:/aws/codebuild/{project}"
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
    for document in (
        preview_policy(PLACE, KEY),
        deploy_policy(PLACE, KEY),
        pipeline_boundary(),
        audit_boundary(PLACE),
    ):
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
