"""The act `audit` sees rules that do not tell, and tells what the real ones would."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from container_images import settings
from container_images.rehearsal import program
from container_images.rehearsal.acts import Act
from container_images.rehearsal.audit_act import audited, samples
from container_images.rehearsal.embedded_aws import EmbeddedAws, embedded_aws
from container_images.settings import Account
from container_images.settings.stack_file import StackFile


def act(aws: EmbeddedAws, stack: StackFile) -> Act:
    configured = settings.parse(stack.config_in(settings.NAMESPACE), aws.account)
    return audited(aws.connect, configured, aws.account)


@pytest.fixture
def creating(prod: StackFile) -> StackFile:
    audit = json.dumps({"trail": "create", "email": ["a@example.org"]})
    return replace(prod, config={**prod.config, "container-images:audit": audit})


@pytest.fixture
def up(creating: StackFile) -> Iterator[EmbeddedAws]:
    with embedded_aws(creating) as aws:
        program.run(creating, aws)
        yield aws


def test_it_shows_what_would_be_sent_and_all_is_there(up: EmbeddedAws, creating: StackFile) -> None:
    played = act(up, creating)
    assert played.ok
    assert played.detail.startswith("8 of 12 sample events alert, such as: A tag written or an")
    assert "PutImage on tag [latest]" in played.detail
    assert "assumed-role/developer/mary" in played.detail
    assert "error code [AccessDenied]" in played.detail
    [trail] = up.connect("cloudtrail").describe_trails()["trailList"]
    assert trail["IsMultiRegionTrail"]
    assert trail["LogFileValidationEnabled"]
    s3, bucket = up.connect("s3"), trail["S3BucketName"]
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == "eu-west-2"
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    [expiry] = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert (expiry["Status"], expiry["Expiration"]) == ("Enabled", {"Days": 400})
    [key, *_] = up.connect("kms").list_keys()["Keys"]
    assert up.connect("kms").get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]
    [queue] = up.connect("sqs").list_queues()["QueueUrls"]
    kept = up.connect("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])
    assert kept["Attributes"]["MessageRetentionPeriod"] == str(14 * 24 * 3600)


def test_a_rule_that_is_off_is_noticed(up: EmbeddedAws, creating: StackFile) -> None:
    events = up.connect("events")
    for kind in ("tags-1", "guard-1", "expiry-1", "unnamed", "registry"):
        events.disable_rule(Name=f"tag-audit-{kind}")
        played = act(up, creating)
        assert not played.ok
        assert f"expected the alert {kind.partition('-')[0]}, got none" in played.detail
        events.enable_rule(Name=f"tag-audit-{kind}")
    assert act(up, creating).ok


def test_so_is_one_in_the_region_of_iam(up: EmbeddedAws, creating: StackFile) -> None:
    events = up.connect("events", "us-east-1")
    for rule in events.list_rules()["Rules"]:
        events.disable_rule(Name=rule["Name"])
    assert "a new trust policy of forms-registry-deploy: expected the alert roles" in (
        act(up, creating).detail
    )


def test_one_that_tells_of_the_pipeline_is_noticed(up: EmbeddedAws, creating: StackFile) -> None:
    up.connect("events").put_rule(
        Name="tag-audit-tags-1", EventPattern='{"source": ["aws.ecr"]}', State="ENABLED"
    )
    assert not act(up, creating).ok


def test_some_samples_are_not_told(creating: StackFile, account: Account) -> None:
    configured = settings.parse(creating.config_in(settings.NAMESPACE), account)
    assert {bool(it.alert) for it in samples(configured, account)} == {True, False}
