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


def built(prod: StackFile, cloud: Cloud, *, preview: bool = False, **changes: Any) -> Update:
    args: TagAuditArgs = {
        "audit": audit(**changes.pop("audit", {})),
        "trail": "existing",
        "email": ["a@example.org"],
        **changes,  # type: ignore[typeddict-item]
    }
    return execute(lambda: TagAudit("audit", args), prod, cloud, preview=preview)


def of(update: Update, kind: str) -> dict[str, Resource]:
    return {it.name: it for it in update.resources if it.type.rpartition(":")[2] == kind}


def policies(update: Update) -> dict[str, dict[str, Any]]:
    """Every policy document, by type and name."""
    found = {}
    for it in update.resources:
        for key in ("policy", "assumeRolePolicy"):
            if key in it.inputs:
                found[f"{it.type.rpartition(':')[2]} {it.name}"] = json.loads(it.inputs[key])
    return found


class TestWhatIsRegistered:
    def test_names(self, prod: StackFile, cloud: Cloud) -> None:
        """They are part of every URN, and the rules' are in the policies."""
        update = built(prod, cloud)
        kinds = ("tags-1", "guard-1", "expiry-1", "unnamed", "registry", "roles-1", "roles-2")
        there = ("eu-west-2-roles-1", "eu-west-2-roles-2", "eu-west-2-assumed")
        rules = {f"audit-{kind}" for kind in (*kinds, "assumed", *there)}
        assert set(of(update, "EventRule")) == set(of(update, "EventTarget")) == rules
        others = [
            (it.type, it.name, it.parent) for it in update.resources if "cloudwatch" not in it.type
        ]
        assert sorted(others, key=str) == sorted(
            [
                ("container-images:index:TagAudit", "audit", None),
                ("aws:iam/role:Role", "audit-eu-west-2", "audit"),
                ("aws:iam/rolePolicy:RolePolicy", "audit-eu-west-2", "audit"),
                ("aws:kms/alias:Alias", "audit-key", "audit"),
                ("aws:kms/alias:Alias", "audit-eu-west-2-key", "audit"),
                ("aws:kms/key:Key", "audit-key", "audit"),
                ("aws:kms/key:Key", "audit-eu-west-2-key", "audit"),
                ("aws:sns/topic:Topic", "audit", "audit"),
                ("aws:sns/topicSubscription:TopicSubscription", "audit-a@example.org", "audit"),
                ("aws:sqs/queue:Queue", "audit-undelivered", "audit"),
                ("aws:sqs/queue:Queue", "audit-eu-west-2-undelivered", "audit"),
            ],
            key=str,
        )
        assert all(it.parent == "audit" for it in update.resources[1:])

    def test_the_rules_are_those_of_the_patterns(self, prod: StackFile, cloud: Cloud) -> None:
        rules = of(built(prod, cloud), "EventRule")
        for rule in event_rules("audit", audit()):
            inputs = rules[rule.name].inputs
            assert inputs["eventPattern"] == to_json(rule.pattern)
            assert inputs["region"] == rule.region
            all_events = inputs["state"] == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
            assert all_events == rule.read_only
            assert len(inputs["name"]) <= 64
            assert len(inputs["description"]) <= 512

    def test_each_target_is_in_its_rules_region_or_takes_the_role(
        self, prod: StackFile, cloud: Cloud
    ) -> None:
        for name, target in of(built(prod, cloud), "EventTarget").items():
            inputs = target.inputs
            assert inputs["rule"] == name
            queue = inputs["deadLetterConfig"]["arn"]
            if "eu-west-2" in name:
                assert inputs["region"] == "us-east-1"
                assert inputs["arn"] == f"arn:aws:events:{HOME}:event-bus/default"
                assert inputs["roleArn"] == f"arn:aws:iam::{ACCOUNT}:role/audit-eu-west-2"
                assert queue == f"arn:aws:sqs:us-east-1:{ACCOUNT}:audit-eu-west-2-undelivered"
                assert "inputTransformer" not in inputs
            else:
                assert inputs["arn"] == f"arn:aws:sns:{HOME}:audit"
                assert queue == f"arn:aws:sqs:{HOME}:audit-undelivered"
                assert "roleArn" not in inputs
                assert inputs["inputTransformer"]["inputTemplate"].startswith('"')
            assert name in target.depends_on

    def test_the_role_that_forwards_has_the_boundary_it_is_given(
        self, prod: StackFile, cloud: Cloud
    ) -> None:
        boundary = f"arn:aws:iam::{ACCOUNT}:policy/audit-boundary"
        [bounded] = of(built(prod, cloud, permissions_boundary=boundary), "Role").values()
        assert bounded.inputs["permissionsBoundary"] == boundary
        [free] = of(built(prod, cloud), "Role").values()
        assert "permissionsBoundary" not in free.inputs

    def test_a_key_is_made_without_leave_to_change_its_policy(
        self, prod: StackFile, cloud: Cloud
    ) -> None:
        """So nobody may be locked out by it: the account's own policies decide."""
        for key in of(built(prod, cloud), "Key").values():
            assert key.inputs["bypassPolicyLockoutSafetyCheck"] is True
            root = json.loads(key.inputs["policy"])["Statement"][0]
            assert root["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
            assert (root["Action"], "Condition" in root) == (["kms:*"], False)

    def test_in_the_region_of_iam_nothing_is_forwarded(self, prod: StackFile, cloud: Cloud) -> None:
        update = built(prod, cloud, audit={"region": "us-east-1"})
        assert of(update, "Role") == {}
        assert len(of(update, "Queue")) == 1
        assert {it.inputs["region"] for it in of(update, "EventRule").values()} == {"us-east-1"}

    def test_a_preview_shows_all_but_the_key_that_an_alias_is_of(
        self, prod: StackFile, cloud: Cloud
    ) -> None:
        before = built(prod, Cloud(cloud.caller, computed=False), preview=True, trail="create")
        after = built(prod, cloud, trail="create")
        unknown = {
            f"{it.type} {key}"
            for it in before.resources
            for key, value in it.inputs.items()
            if isinstance(value, Unknown)
        }
        assert unknown <= {"aws:kms/alias:Alias targetKeyId"}
        assert policies(before) == policies(after)

    def test_its_output(self, prod: StackFile, cloud: Cloud) -> None:
        args: TagAuditArgs = {"audit": audit(), "trail": "existing"}

        def program() -> None:
            pulumi.export("topicArn", TagAudit("audit", args).topic_arn)

        outputs = execute(program, prod, cloud).outputs
        assert outputs == {"topicArn": f"arn:aws:sns:{HOME}:audit"}


class TestTheTrail:
    def test_is_made_where_it_is_asked_for(self, prod: StackFile, cloud: Cloud) -> None:
        bucket = f"audit-{ACCOUNT}-eu-west-2"
        update = built(prod, cloud, trail="create")
        [trail] = of(update, "Trail").values()
        assert trail.inputs == {
            "name": "audit",
            "s3BucketName": bucket,
            "isMultiRegionTrail": True,
            "includeGlobalServiceEvents": True,
            "enableLogFileValidation": True,
        }
        assert "audit-logs" in trail.depends_on
        [logs] = of(update, "Bucket").values()
        assert (logs.inputs, logs.retain_on_delete) == ({"bucket": bucket}, True)
        [block] = of(update, "BucketPublicAccessBlock").values()
        assert [it for it in block.inputs.values() if it is not True] == [bucket]
        [versions] = of(update, "BucketVersioning").values()
        assert versions.inputs["versioningConfiguration"] == {"status": "Enabled"}
        assert len(of(update, "BucketServerSideEncryptionConfiguration")) == 1
        [lifecycle] = of(update, "BucketLifecycleConfiguration").values()
        assert lifecycle.inputs["rules"][0]["expiration"] == {"days": 400}

    def test_exists_otherwise(self, prod: StackFile, cloud: Cloud) -> None:
        kinds = {it.type for it in built(prod, cloud).resources}
        assert not [it for it in kinds if "s3" in it or "cloudtrail" in it]


class TestPolicies:
    def test_each_lets_in_exactly_whom_it_names(self, prod: StackFile, cloud: Cloud) -> None:
        found = policies(built(prod, cloud, trail="create"))
        allowed = {
            name: [
                (it.get("Principal"), it["Action"], it.get("Condition"))
                for it in document["Statement"]
                if it["Effect"] == "Allow"
            ]
            for name, document in found.items()
        }
        eventbridge = {"Service": "events.amazonaws.com"}
        cloudtrail = {"Service": "cloudtrail.amazonaws.com"}
        account = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
        trail = {"aws:SourceArn": f"arn:aws:cloudtrail:{HOME}:trail/audit"}
        key = [
            ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, ["kms:*"], None),
            (eventbridge, ["kms:Decrypt", "kms:GenerateDataKey*"], account),
        ]
        there = f"us-east-1:{ACCOUNT}:rule/audit-eu-west-2-*"

        def rules(place: str) -> dict[str, Any]:
            return {"ArnLike": {"aws:SourceArn": f"arn:aws:events:{place}"}}

        assert allowed == {
            "Topic audit": [(eventbridge, ["sns:Publish"], rules(f"{HOME}:rule/audit-*"))],
            "Queue audit-undelivered": [
                (eventbridge, ["sqs:SendMessage"], rules(f"{HOME}:rule/audit-*"))
            ],
            "Queue audit-eu-west-2-undelivered": [(eventbridge, ["sqs:SendMessage"], rules(there))],
            "Key audit-key": key,
            "Key audit-eu-west-2-key": key,
            "Role audit-eu-west-2": [(eventbridge, ["sts:AssumeRole"], account)],
            "RolePolicy audit-eu-west-2": [(None, "events:PutEvents", None)],
            "BucketPolicy audit-logs": [
                (cloudtrail, ["s3:GetBucketAcl"], {"StringEquals": trail}),
                (
                    cloudtrail,
                    ["s3:PutObject"],
                    {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control", **trail}},
                ),
            ],
        }

    def test_none_is_about_everybody_without_a_condition(
        self, prod: StackFile, cloud: Cloud
    ) -> None:
        for name, document in policies(built(prod, cloud, trail="create")).items():
            for statement in document["Statement"]:
                assert statement.get("Principal") != "*" or statement["Condition"], name

    def test_every_rule_is_one_that_the_topic_and_the_queues_let_in(
        self, prod: StackFile, cloud: Cloud
    ) -> None:
        update = built(prod, cloud)
        for name, rule in of(update, "EventRule").items():
            there = rule.inputs["region"] == "us-east-1"
            assert name.startswith("audit-eu-west-2-") == there


class TestTheStack:
    def test_of_production_has_it(self, prod: StackFile, cloud: Cloud) -> None:
        rules = of(run(prod, cloud), "EventRule")
        assert "tag-audit-tags-1" in rules
        assert "end-to-end-tests" in rules["tag-audit-tags-1"].inputs["eventPattern"]

    def test_without_it_registers_the_same_but_for_it(self, prod: StackFile, cloud: Cloud) -> None:
        on, off = run(prod, cloud), run(changed(prod, audit={}), cloud)
        rest = [it for it in on.resources if "tag-audit" not in (it.name, it.parent)]
        assert off.resources == rest
        assert len(off.resources) == 23
        assert off.outputs == on.outputs

    def test_names_whatever_role_exists(self, prod: StackFile, cloud: Cloud) -> None:
        arn = f"arn:aws:iam::{ACCOUNT}:role/ci/push"
        update = run(changed(prod, pipelineRole={"arn": arn}), cloud)
        rules = of(update, "EventRule")
        assert arn in rules["tag-audit-tags-1"].inputs["eventPattern"]
        assert not [it for it in rules if "assumed" in it], "its trust policy is not the stack's"


def test_other_languages_could_use_it() -> None:
    analyzed = Analyzer("container-images").analyze([TagAudit])
    audit_ = analyzed["component_definitions"]["TagAudit"]
    assert audit_.inputs.keys() == {"audit", "trail", "email", "permissionsBoundary"}
    assert audit_.outputs.keys() == {"topicArn"}


@pytest.mark.parametrize("trail", ["existing", "create"])
def test_nothing_is_registered_twice(prod: StackFile, cloud: Cloud, trail: str) -> None:
    resources = built(prod, cloud, trail=trail).resources
    assert len({(it.type, it.name) for it in resources}) == len(resources)
