"""Pure: who may use the resources that alerts pass through, and those that keep the trail."""

from typing import Any, Final

from container_images.policies.document import Location, allow, arn, document_of, only_with_tls

EVENTBRIDGE: Final = "events.amazonaws.com"
CLOUDTRAIL: Final = "cloudtrail.amazonaws.com"


class Place(Location):
    """Where resources are, and what their names begin with."""

    name: str


def topic_policy(place: Place) -> dict[str, Any]:
    """Only our rules publish alerts.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
    """
    topic = arn(place, "sns", place["name"])
    return document_of([_from_our_rules("RulesPublish", place, "sns:Publish", topic)])


def queue_policy(place: Place) -> dict[str, Any]:
    """Only our rules leave there what could not be delivered.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
    """
    queue = arn(place, "sqs", f"{place['name']}-undelivered")
    return document_of([_from_our_rules("RulesSend", place, "sqs:SendMessage", queue)])


def _from_our_rules(sid: str, place: Place, action: str, resource: str) -> dict[str, Any]:
    """What our own rules may do, by the beginning of their names.

    A queue's policy has not the room for every ARN.
    """
    rules = arn(place, "events", f"rule/{place['name']}-*")
    condition = {"ArnLike": {"aws:SourceArn": rules}}
    eventbridge = {"Service": EVENTBRIDGE}
    return allow(sid, eventbridge, [action], Resource=resource, Condition=condition)


def key_policy(place: Place) -> dict[str, Any]:
    """The account's own policies say who uses the key; EventBridge does for this account's rules.

    Keys of AWS (`alias/aws/sns`, SQS's own) do not let EventBridge in, and what it sends is lost.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html#targets-specifics-sqs
    """
    root = {"AWS": f"arn:{place['partition']}:iam::{place['account_id']}:root"}
    encrypt = ["kms:Decrypt", "kms:GenerateDataKey*"]
    return document_of(
        [
            allow("AccountPolicies", root, ["kms:*"], Resource="*"),
            _for_this_account(place, encrypt, Resource="*"),
        ]
    )


def forwarding_trust(place: Place) -> dict[str, Any]:
    """EventBridge becomes the role that takes events to another Region, for this account alone.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-region.html
    """
    return document_of([_for_this_account(place, ["sts:AssumeRole"])])


def _for_this_account(place: Place, actions: list[str], **elements: Any) -> dict[str, Any]:
    """What EventBridge may do on behalf of this account."""
    condition = {"StringEquals": {"aws:SourceAccount": place["account_id"]}}
    eventbridge = {"Service": EVENTBRIDGE}
    return allow("EventBridge", eventbridge, actions, **elements, Condition=condition)


def forwarding_policy(bus_arn: str) -> dict[str, Any]:
    """That role may put events on the one bus."""
    return document_of([{"Effect": "Allow", "Action": "events:PutEvents", "Resource": bus_arn}])


def trail_bucket_policy(place: Place, bucket: str) -> dict[str, Any]:
    """Only the one trail writes to the bucket, and nobody uses it without TLS.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html
    """
    bucket_arn = f"arn:{place['partition']}:s3:::{bucket}"
    trail = {"aws:SourceArn": arn(place, "cloudtrail", f"trail/{place['name']}")}
    cloudtrail = {"Service": CLOUDTRAIL}
    return document_of(
        [
            allow(
                "TrailLooks",
                cloudtrail,
                ["s3:GetBucketAcl"],
                Resource=bucket_arn,
                Condition={"StringEquals": trail},
            ),
            allow(
                "TrailWrites",
                cloudtrail,
                ["s3:PutObject"],
                Resource=f"{bucket_arn}/AWSLogs/{place['account_id']}/*",
                Condition={"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control", **trail}},
            ),
            only_with_tls("OnlyWithTls", bucket_arn),
        ]
    )
