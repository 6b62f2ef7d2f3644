"""What a TagAudit is made of, in the embedded AWS: events, topics, queues, keys, trails, buckets.

moto keeps the rules and does not run them: rehearsal/event_bus.py does.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from rehearsal.event_bus import matches, transformed

if TYPE_CHECKING:
    import boto3

Created = tuple[str, dict[str, Any]]
"""A resource's id, and what AWS adds to its inputs."""


class EmbeddedAudit:
    """Creates the resources, each in the Region that its inputs name, or else in the session's."""

    def __init__(self, session: "boto3.Session", credentials: Mapping[str, str]) -> None:
        self._region = session.region_name
        self._connect: Callable[..., Any] = partial(session.client, **credentials)

    def creators(self) -> dict[str, Callable[[Mapping[str, Any]], Created]]:
        """By resource type."""
        return {
            "aws:cloudwatch/eventRule:EventRule": self._rule,
            "aws:cloudwatch/eventTarget:EventTarget": self._target,
            "aws:sns/topic:Topic": self._topic,
            "aws:sns/topicSubscription:TopicSubscription": self._subscription,
            "aws:sqs/queue:Queue": self._queue,
            "aws:kms/key:Key": self._key,
            "aws:kms/alias:Alias": self._alias,
            "aws:cloudtrail/trail:Trail": self._trail,
            "aws:s3/bucket:Bucket": self._bucket,
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": self._public_access_block,
            "aws:s3/bucketVersioning:BucketVersioning": self._versioning,
            "aws:s3/bucketServerSideEncryptionConfiguration:"
            "BucketServerSideEncryptionConfiguration": self._encryption,
            "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": self._lifecycle,
            "aws:s3/bucketPolicy:BucketPolicy": self._bucket_policy,
        }

    def alerts(self, event: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
        """The rules of the event's Region that it meets, by name, and what each sends.

        Of an event that goes on to another Region's bus, what the rules there send.
        """
        events = self._connect("events", region_name=event["region"])
        for rule in events.list_rules(NamePrefix=prefix)["Rules"]:
            if rule["State"] == "DISABLED" or not matches(json.loads(rule["EventPattern"]), event):
                continue
            for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
                arn = target["Arn"].split(":")
                if arn[2] == "events":
                    yield from self.alerts({**event, "region": arn[3]}, prefix)
                else:
                    made = target["InputTransformer"]
                    text = transformed(made["InputPathsMap"], made["InputTemplate"], event)
                    yield rule["Name"], text

    def _client(self, service: str, inputs: Mapping[str, Any]) -> Any:
        return self._connect(service, region_name=inputs.get("region"))

    def _rule(self, inputs: Mapping[str, Any]) -> Created:
        made = self._client("events", inputs).put_rule(
            Name=inputs["name"],
            Description=inputs["description"],
            EventPattern=inputs["eventPattern"],
            State=inputs["state"],
        )
        return inputs["name"], {"arn": made["RuleArn"]}

    def _target(self, inputs: Mapping[str, Any]) -> Created:
        target: dict[str, Any] = {
            "Id": inputs["targetId"],
            "Arn": inputs["arn"],
            "DeadLetterConfig": {"Arn": inputs["deadLetterConfig"]["arn"]},
        }
        if role := inputs.get("roleArn"):
            target["RoleArn"] = role
        if transformer := inputs.get("inputTransformer"):
            target["InputTransformer"] = {
                "InputPathsMap": transformer["inputPaths"],
                "InputTemplate": transformer["inputTemplate"],
            }
        self._client("events", inputs).put_targets(Rule=inputs["rule"], Targets=[target])
        return f"{inputs['rule']}-{inputs['targetId']}", {}

    def _topic(self, inputs: Mapping[str, Any]) -> Created:
        attributes = {"KmsMasterKeyId": inputs["kmsMasterKeyId"], "Policy": inputs["policy"]}
        made = self._client("sns", inputs).create_topic(Name=inputs["name"], Attributes=attributes)
        return made["TopicArn"], {"arn": made["TopicArn"]}

    def _subscription(self, inputs: Mapping[str, Any]) -> Created:
        made = self._client("sns", inputs).subscribe(
            TopicArn=inputs["topic"],
            Protocol=inputs["protocol"],
            Endpoint=inputs["endpoint"],
            ReturnSubscriptionArn=True,
        )
        return made["SubscriptionArn"], {"arn": made["SubscriptionArn"]}

    def _queue(self, inputs: Mapping[str, Any]) -> Created:
        sqs = self._client("sqs", inputs)
        attributes = {
            "KmsMasterKeyId": inputs["kmsMasterKeyId"],
            "MessageRetentionPeriod": str(int(inputs["messageRetentionSeconds"])),
            "Policy": inputs["policy"],
        }
        url = sqs.create_queue(QueueName=inputs["name"], Attributes=attributes)["QueueUrl"]
        got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, {"url": url, "arn": got["Attributes"]["QueueArn"]}

    def _key(self, inputs: Mapping[str, Any]) -> Created:
        kms = self._client("kms", inputs)
        made = kms.create_key(
            Description=inputs["description"],
            Policy=inputs["policy"],
            BypassPolicyLockoutSafetyCheck=inputs["bypassPolicyLockoutSafetyCheck"],
        )
        key = made["KeyMetadata"]
        if inputs["enableKeyRotation"]:
            kms.enable_key_rotation(KeyId=key["KeyId"])
        return key["KeyId"], {"keyId": key["KeyId"], "arn": key["Arn"]}

    def _alias(self, inputs: Mapping[str, Any]) -> Created:
        self._client("kms", inputs).create_alias(
            AliasName=inputs["name"], TargetKeyId=inputs["targetKeyId"]
        )
        return inputs["name"], {}

    def _trail(self, inputs: Mapping[str, Any]) -> Created:
        cloudtrail = self._client("cloudtrail", inputs)
        made = cloudtrail.create_trail(
            Name=inputs["name"],
            S3BucketName=inputs["s3BucketName"],
            IsMultiRegionTrail=inputs["isMultiRegionTrail"],
            IncludeGlobalServiceEvents=inputs["includeGlobalServiceEvents"],
            EnableLogFileValidation=inputs["enableLogFileValidation"],
        )
        # As the AWS provider does, where it is not told otherwise.
        cloudtrail.start_logging(Name=made["TrailARN"])
        return made["TrailARN"], {"arn": made["TrailARN"]}

    def _bucket(self, inputs: Mapping[str, Any]) -> Created:
        region = self._region
        where = {} if region == "us-east-1" else {"LocationConstraint": region}
        more = {"CreateBucketConfiguration": where} if where else {}
        self._client("s3", inputs).create_bucket(Bucket=inputs["bucket"], **more)
        return inputs["bucket"], {}

    def _public_access_block(self, inputs: Mapping[str, Any]) -> Created:
        self._client("s3", inputs).put_public_access_block(
            Bucket=inputs["bucket"],
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": inputs["blockPublicAcls"],
                "BlockPublicPolicy": inputs["blockPublicPolicy"],
                "IgnorePublicAcls": inputs["ignorePublicAcls"],
                "RestrictPublicBuckets": inputs["restrictPublicBuckets"],
            },
        )
        return inputs["bucket"], {}

    def _versioning(self, inputs: Mapping[str, Any]) -> Created:
        status = {"Status": inputs["versioningConfiguration"]["status"]}
        self._client("s3", inputs).put_bucket_versioning(
            Bucket=inputs["bucket"], VersioningConfiguration=status
        )
        return inputs["bucket"], {}

    def _encryption(self, inputs: Mapping[str, Any]) -> Created:
        rules = [
            {
                "ApplyServerSideEncryptionByDefault": {
                    "SSEAlgorithm": it["applyServerSideEncryptionByDefault"]["sseAlgorithm"]
                }
            }
            for it in inputs["rules"]
        ]
        self._client("s3", inputs).put_bucket_encryption(
            Bucket=inputs["bucket"], ServerSideEncryptionConfiguration={"Rules": rules}
        )
        return inputs["bucket"], {}

    def _lifecycle(self, inputs: Mapping[str, Any]) -> Created:
        rules = [
            {
                "ID": it["id"],
                "Status": it["status"],
                "Filter": {"Prefix": it["filter"]["prefix"]},
                "Expiration": {"Days": int(it["expiration"]["days"])},
                "NoncurrentVersionExpiration": {
                    "NoncurrentDays": int(it["noncurrentVersionExpiration"]["noncurrentDays"])
                },
            }
            for it in inputs["rules"]
        ]
        self._client("s3", inputs).put_bucket_lifecycle_configuration(
            Bucket=inputs["bucket"], LifecycleConfiguration={"Rules": rules}
        )
        return inputs["bucket"], {}

    def _bucket_policy(self, inputs: Mapping[str, Any]) -> Created:
        self._client("s3", inputs).put_bucket_policy(
            Bucket=inputs["bucket"], Policy=inputs["policy"]
        )
        return inputs["bucket"], {}
