"""What an audit registers, whom its policies let in, and that nothing is there where it is off."""

import json
from typing import Any

import pulumi
import pytest
from pulumi.output import Unknown
from pulumi.provider.experimental.analyzer import Analyzer

from components.tag_audit import TagAudit, TagAuditArgs
from container_images.policies.document import to_json
from container_images.policies.event_patterns import event_rules
from container_images.rehearsal.program import Resource, Update, execute, run
from container_images.settings.stack_file import StackFile
from tests.conftest import Cloud
from tests.policies.audit_events import ACCOUNT, audit
from tests.test_program import changed

HOME = f"eu-west-2:{ACCOUNT}"
THERE = f"us-east-1:{ACCOUNT}"
EVENTBRIDGE = {"Service": "events.amazonaws.com"}


def built(prod: StackFile, cloud: Cloud, *, preview: bool = False, **changes: Any) -> Update:
    args: TagAuditArgs = {
        "audit": audit(**changes.pop("audit", {})),
        "email": ["a@example.org"],
        **changes,  # type: ignore[typeddict-item]
    }

    def program() -> None:
        pulumi.export("topicArn", TagAudit("audit", args).topic_arn)

    return execute(program, prod, cloud, preview=preview)


@pytest.fixture(scope="module")
def plain(prod: StackFile) -> Update:
    """With nothing but what is required, once for all tests that look at it."""
    return built(prod, Cloud(f"arn:aws:iam::{ACCOUNT}:role/platform/forms-registry-deploy"))


def of(update: Update, kind: str) -> dict[str, Resource]:
    return {it.name: it for it in update.resources if it.type.rpartition(":")[2] == kind}


def policies(update: Update) -> dict[str, Any]:
    """The one statement of every policy, by type and name."""
    statements = {}
    for it in update.resources:
        for key in {"policy", "assumeRolePolicy"} & it.inputs.keys():
            [statement] = json.loads(it.inputs[key])["Statement"]
            statements[f"{it.type.rpartition(':')[2]} {it.name}"] = statement
    return statements


def from_rules(sid: str, action: str, resource: str, rules: str) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": EVENTBRIDGE,
        "Action": [action],
        "Resource": resource,
        "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:events:{rules}"}},
    }


def test_types_and_names(plain: Update) -> None:
    """They are part of every URN."""
    kinds = ("tags-1", "guard-1", "expiry-1", "unnamed", "registry", "roles-1", "roles-2")
    there = ("eu-west-2-roles-1", "eu-west-2-roles-2", "eu-west-2-assumed")
    rules = {f"audit-{kind}" for kind in (*kinds, "builds-1", "assumed", *there)}
    assert set(of(plain, "EventRule")) == set(of(plain, "EventTarget")) == rules
    others = [
        (it.type, it.name, it.parent) for it in plain.resources if "cloudwatch" not in it.type
    ]
    assert others[0] == ("container-images:index:TagAudit", "audit", None)
    assert sorted(others[1:]) == [
        ("aws:iam/role:Role", "audit-eu-west-2", "audit"),
        ("aws:iam/rolePolicy:RolePolicy", "audit-eu-west-2", "audit"),
        ("aws:sns/topic:Topic", "audit", "audit"),
        ("aws:sns/topicSubscription:TopicSubscription", "audit-a@example.org", "audit"),
        ("aws:sqs/queue:Queue", "audit-eu-west-2-undelivered", "audit"),
        ("aws:sqs/queue:Queue", "audit-undelivered", "audit"),
    ]
    assert all(it.parent == "audit" for it in plain.resources[1:])
    assert plain.outputs == {"topicArn": f"arn:aws:sns:{HOME}:audit"}


def test_the_rules_are_those_of_the_patterns(plain: Update) -> None:
    rules = of(plain, "EventRule")
    for rule in event_rules("audit", audit()):
        inputs = rules[rule.name].inputs
        assert inputs["eventPattern"] == to_json(rule.pattern)
        assert inputs["region"] == rule.region
        assert inputs["state"] == rule.state
        assert len(inputs["name"]) <= 64
        assert len(inputs["description"]) <= 512


def test_each_target_is_in_its_rules_region_or_takes_the_role(plain: Update) -> None:
    for name, target in of(plain, "EventTarget").items():
        inputs = target.inputs
        assert inputs["rule"] == name
        queue = inputs["deadLetterConfig"]["arn"]
        if "eu-west-2" in name:
            assert inputs["region"] == "us-east-1"
            assert inputs["arn"] == f"arn:aws:events:{HOME}:event-bus/default"
            assert inputs["roleArn"] == f"arn:aws:iam::{ACCOUNT}:role/audit-eu-west-2"
            assert queue == f"arn:aws:sqs:{THERE}:audit-eu-west-2-undelivered"
            assert "inputTransformer" not in inputs
        else:
            assert inputs["arn"] == f"arn:aws:sns:{HOME}:audit"
            assert queue == f"arn:aws:sqs:{HOME}:audit-undelivered"
            assert "roleArn" not in inputs
            assert inputs["inputTransformer"]["inputTemplate"].startswith('"')
        assert name in target.depends_on


def test_the_topic_is_encrypted_with_the_teams_key_if_there_is_one(
    prod: StackFile, cloud: Cloud, plain: Update
) -> None:
    key = f"arn:aws:kms:{HOME}:key/1"
    assert of(built(prod, cloud, kms_key=key), "Topic")["audit"].inputs["kmsMasterKeyId"] == key
    assert "kmsMasterKeyId" not in of(plain, "Topic")["audit"].inputs
    assert all(it.inputs["sqsManagedSseEnabled"] for it in of(plain, "Queue").values())


def test_the_role_that_forwards_has_the_boundary_it_is_given(
    prod: StackFile, cloud: Cloud, plain: Update
) -> None:
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/audit-boundary"
    [bounded] = of(built(prod, cloud, permissions_boundary=boundary), "Role").values()
    assert bounded.inputs["permissionsBoundary"] == boundary
    [free] = of(plain, "Role").values()
    assert "permissionsBoundary" not in free.inputs


def test_in_the_region_of_iam_nothing_is_forwarded(prod: StackFile, cloud: Cloud) -> None:
    update = built(prod, cloud, audit={"region": "us-east-1"})
    assert of(update, "Role") == {}
    assert len(of(update, "Queue")) == 1
    assert {it.inputs["region"] for it in of(update, "EventRule").values()} == {"us-east-1"}


def test_a_preview_shows_everything(prod: StackFile, cloud: Cloud, plain: Update) -> None:
    before = built(prod, Cloud(cloud.caller, computed=False), preview=True)
    assert policies(before) == policies(plain)
    assert not any(isinstance(it, Unknown) for all_ in before.resources for it in all_.inputs)


def test_each_policy_lets_in_exactly_whom_it_names(plain: Update) -> None:
    queues, topic = f"arn:aws:sqs:{HOME}:audit-undelivered", f"arn:aws:sns:{HOME}:audit"
    iam_queue = f"arn:aws:sqs:{THERE}:audit-eu-west-2-undelivered"
    iam_rules = f"{THERE}:rule/audit-eu-west-2-*"
    assert policies(plain) == {
        "Topic audit": from_rules("Rules", "sns:Publish", topic, f"{HOME}:rule/audit-*"),
        "Queue audit-undelivered": from_rules(
            "Rules", "sqs:SendMessage", queues, f"{HOME}:rule/audit-*"
        ),
        "Queue audit-eu-west-2-undelivered": from_rules(
            "Rules", "sqs:SendMessage", iam_queue, iam_rules
        ),
        "Role audit-eu-west-2": {
            "Sid": "EventBridge",
            "Effect": "Allow",
            "Principal": EVENTBRIDGE,
            "Action": ["sts:AssumeRole"],
            "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
        },
        "RolePolicy audit-eu-west-2": {
            "Effect": "Allow",
            "Action": "events:PutEvents",
            "Resource": f"arn:aws:events:{HOME}:event-bus/default",
        },
    }


class TestTheStack:
    def test_without_it_registers_the_same_but_for_it(self, prod: StackFile, cloud: Cloud) -> None:
        on, off = run(prod, cloud), run(changed(prod, audit={}), cloud)
        rules = of(on, "EventRule")
        assert "end-to-end-tests" in rules["tag-audit-tags-1"].inputs["eventPattern"]
        rest = [it for it in on.resources if "tag-audit" not in (it.name, it.parent)]
        assert off.resources == rest
        assert len(off.resources) == 24
        assert off.outputs == on.outputs

    def test_names_whatever_role_exists(self, prod: StackFile, cloud: Cloud) -> None:
        arn = f"arn:aws:iam::{ACCOUNT}:role/ci/push"
        rules = of(run(changed(prod, pipelineRole={"arn": arn}), cloud), "EventRule")
        assert arn in rules["tag-audit-tags-1"].inputs["eventPattern"]
        assert not [it for it in rules if "assumed" in it], "its trust policy is not the stack's"


def test_other_languages_could_use_it() -> None:
    definition = Analyzer("container-images").analyze([TagAudit])["component_definitions"]
    inputs = definition["TagAudit"].inputs.keys()
    assert inputs == {"audit", "email", "kmsKey", "permissionsBoundary"}
    assert definition["TagAudit"].outputs.keys() == {"topicArn"}
