"""What an audit registers, whom its policies let in, and that nothing is there where it is off."""

import json
from typing import Any

import pulumi
import pytest
from pulumi.output import Unknown

from components.tag_audit import TagAudit, TagAuditArgs
from container_images.policies.document import to_json
from container_images.policies.event_patterns import event_rules
from container_images.rehearsal.program import Resource, Update, execute, run
from container_images.stack.declared import DeclaredStack
from tests.cloud import DEPLOYING_ROLE, Cloud
from tests.policies.audit_events import ACCOUNT, audit

HOME = f"eu-west-2:{ACCOUNT}"
THERE = f"us-east-1:{ACCOUNT}"
EVENTBRIDGE = {"Service": "events.amazonaws.com"}


def built(prod: DeclaredStack, cloud: Cloud, *, preview: bool = False, **changes: Any) -> Update:
    args: TagAuditArgs = {
        "audit": audit(**changes.pop("audit", {})),
        "email": ["a@example.org"],
        **changes,  # type: ignore[typeddict-item]
    }

    def program() -> None:
        pulumi.export("topicArn", TagAudit("audit", args).topic_arn)

    return execute(program, prod, cloud, preview=preview)


@pytest.fixture(scope="module")
def plain(prod: DeclaredStack) -> Update:
    """With nothing but what is required, once for all tests that look at it."""
    return built(prod, Cloud(DEPLOYING_ROLE))


def of(update: Update, kind: str) -> dict[str, Resource]:
    return {each.name: each for each in update.resources if each.type.rpartition(":")[2] == kind}


def policies(update: Update) -> dict[str, Any]:
    """The one statement of every policy, by type and name."""
    statements = {}
    for resource in update.resources:
        for key in {"policy", "assumeRolePolicy"} & resource.inputs.keys():
            [statement] = json.loads(resource.inputs[key])["Statement"]
            statements[f"{resource.type.rpartition(':')[2]} {resource.name}"] = statement
    return statements


def from_rules(action: str, resource: str, rules: str) -> dict[str, Any]:
    return {
        "Sid": "Rules",
        "Effect": "Allow",
        "Principal": EVENTBRIDGE,
        "Action": [action],
        "Resource": resource,
        "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:events:{rules}"}},
    }


def test_types_and_names(plain: Update) -> None:
    """They are part of every URN."""
    rules = {rule.name for rule in event_rules("audit", audit())}
    assert set(of(plain, "EventRule")) == set(of(plain, "EventTarget")) == rules
    first, *others = [
        (each.type, each.name, each.parent)
        for each in plain.resources
        if "cloudwatch" not in each.type
    ]
    assert first == ("container-images:index:TagAudit", "audit", None)
    assert sorted(others) == [
        ("aws:iam/role:Role", "audit-eu-west-2", "audit"),
        ("aws:iam/rolePolicy:RolePolicy", "audit-eu-west-2", "audit"),
        ("aws:sns/topic:Topic", "audit", "audit"),
        ("aws:sns/topicSubscription:TopicSubscription", "audit-a@example.org", "audit"),
        ("aws:sqs/queue:Queue", "audit-eu-west-2-undelivered", "audit"),
        ("aws:sqs/queue:Queue", "audit-undelivered", "audit"),
    ]
    assert plain.outputs == {"topicArn": f"arn:aws:sns:{HOME}:audit"}


def test_each_rule_has_its_pattern_and_its_target(plain: Update) -> None:
    for rule in event_rules("audit", audit()):
        inputs = of(plain, "EventRule")[rule.name].inputs
        assert inputs["eventPattern"] == to_json(rule.pattern)
        assert (inputs["region"], inputs["state"]) == (rule.region, rule.state)
        assert len(inputs["name"]) <= 64
        assert len(inputs["description"]) <= 512
        target = of(plain, "EventTarget")[rule.name]
        assert target.inputs["rule"] == rule.name
        there = {
            "region": "us-east-1",
            "arn": f"arn:aws:events:{HOME}:event-bus/default",
            "roleArn": f"arn:aws:iam::{ACCOUNT}:role/audit-eu-west-2",
            "deadLetterConfig": {"arn": f"arn:aws:sqs:{THERE}:audit-eu-west-2-undelivered"},
        }
        here = {
            "region": "eu-west-2",
            "arn": f"arn:aws:sns:{HOME}:audit",
            "deadLetterConfig": {"arn": f"arn:aws:sqs:{HOME}:audit-undelivered"},
        }
        paths, template = rule.input_transformer.values()
        here["inputTransformer"] = {"inputPaths": paths, "inputTemplate": template}
        of_target = {"rule": rule.name, "targetId": "audit"}
        assert target.inputs == of_target | (here if rule.region == "eu-west-2" else there)


def test_queues_are_encrypted_as_eventbridge_can_use_them(plain: Update) -> None:
    assert all(queue.inputs["sqsManagedSseEnabled"] for queue in of(plain, "Queue").values())
    assert "kmsMasterKeyId" not in of(plain, "Topic")["audit"].inputs


def test_in_the_region_of_iam_nothing_is_forwarded(prod: DeclaredStack, cloud: Cloud) -> None:
    update = built(prod, cloud, audit={"region": "us-east-1"})
    assert of(update, "Role") == {}
    assert len(of(update, "Queue")) == 1
    assert {rule.inputs["region"] for rule in of(update, "EventRule").values()} == {"us-east-1"}


def test_a_preview_shows_everything(prod: DeclaredStack, cloud: Cloud, plain: Update) -> None:
    before = built(prod, Cloud(cloud.caller, computed=False), preview=True)
    assert policies(before) == policies(plain)
    inputs = [pair for resource in before.resources for pair in resource.inputs.items()]
    unknown = {key for key, value in inputs if isinstance(value, Unknown)}
    assert unknown == {"arn", "roleArn", "topic"}, "what AWS names when it makes it"


def test_each_policy_lets_in_exactly_whom_it_names(plain: Update) -> None:
    queue, topic = f"arn:aws:sqs:{HOME}:audit-undelivered", f"arn:aws:sns:{HOME}:audit"
    queue_there = f"arn:aws:sqs:{THERE}:audit-eu-west-2-undelivered"
    rules, rules_there = f"{HOME}:rule/audit-*", f"{THERE}:rule/audit-eu-west-2-*"
    send = "sqs:SendMessage"
    assert policies(plain) == {
        "Topic audit": from_rules("sns:Publish", topic, rules),
        "Queue audit-undelivered": from_rules(send, queue, rules),
        "Queue audit-eu-west-2-undelivered": from_rules(send, queue_there, rules_there),
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


def test_the_stack_without_it_is_the_same_but_for_it(
    prod: DeclaredStack, cloud: Cloud, deployed: Update
) -> None:
    on, off = deployed, run(prod.changed(audit={}), cloud)
    assert "end-to-end-tests" in of(on, "EventRule")["tag-audit-tags-1"].inputs["eventPattern"]
    rest = [each for each in on.resources if "tag-audit" not in (each.name, each.parent)]
    assert off.resources == rest
    assert len(off.resources) == 24
    assert off.outputs == on.outputs
