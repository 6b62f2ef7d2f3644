"""TagAudit: alerts when a tag, a guard, the registry or a role changes unexpectedly."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from container_images.policies import event_patterns
from container_images.policies.document import arn, to_json
from container_images.policies.event_patterns import Audit, EventRule, event_rules


class TagAuditArgs(TypedDict):
    """The settings of an audit.

    They are plain values, not Inputs, so that a preview shows patterns and policies whole.
    """

    audit: Audit
    """What is watched. The account needs a trail that records it: docs/audit.md."""
    email: NotRequired[list[str]]
    """Addresses that get the alerts. Each has to confirm the subscription that SNS sends it."""
    kms_key: NotRequired[str]
    """ARN of the KMS key that encrypts the topic, whose policy admits EventBridge. Default: none,
    as EventBridge cannot use SNS's own key."""
    permissions_boundary: NotRequired[str]
    """ARN of the permissions boundary of the role that forwards events to another Region. Default:
    none."""


class TagAudit(pulumi.ComponentResource):
    """EventBridge rules on CloudTrail's events, and the SNS topic to which they publish.

    IAM's events arrive in one Region of the partition only. Rules there forward them to the bus of
    the repositories' Region. The names of all resources begin with the component's name, so an
    account has one audit of that name in a Region.
    """

    topic_arn: pulumi.Output[str]
    """ARN of the topic, to which a chat or a webhook may subscribe too."""

    def __init__(
        self, name: str, args: TagAuditArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Register the rules, the topic and the dead-letter queues."""
        home = args["audit"]["access"]
        rules = event_rules(name, args["audit"])
        super().__init__("container-images:index:TagAudit", name, {}, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        policy = event_patterns.from_rules(home, name, "sns:Publish", arn(home, "sns", name))
        kms_key = args.get("kms_key") or None
        topic = aws.sns.Topic(
            name, name=name, kms_master_key_id=kms_key, policy=to_json(policy), opts=self._child
        )
        for address in args.get("email", []):
            aws.sns.TopicSubscription(
                f"{name}-{address}",
                topic=topic.arn,
                protocol="email",
                endpoint=address,
                opts=self._child,
            )
        queue = self._queue(home, name)
        for rule in rules:
            if rule.region == home["region"]:
                self._rule(rule, queue, arn=topic.arn, input_transformer=rule.input_transformer)
        if forwarding := [rule for rule in rules if rule.region != home["region"]]:
            self._forward(forwarding, home, name, args.get("permissions_boundary"))

        self.topic_arn = topic.arn
        self.register_outputs({"topicArn": self.topic_arn})

    def _queue(self, location: Mapping[str, Any], rules: str) -> aws.sqs.Queue:
        """The dead-letter queue of the rules whose names begin so."""
        name = f"{rules}-undelivered"
        queue_arn = arn(location, "sqs", name)
        policy = event_patterns.from_rules(location, rules, "sqs:SendMessage", queue_arn)
        return aws.sqs.Queue(
            name,
            name=name,
            sqs_managed_sse_enabled=True,  # which EventBridge can use without a key policy
            message_retention_seconds=14 * 24 * 3600,  # the longest that SQS keeps a message
            policy=to_json(policy),
            region=location["region"],
            opts=self._child,
        )

    def _rule(self, rule: EventRule, undelivered: aws.sqs.Queue, **target: Any) -> None:
        registered = aws.cloudwatch.EventRule(
            rule.name,
            name=rule.name,
            description=rule.description,
            event_pattern=to_json(rule.pattern),
            state=rule.state,
            region=rule.region,
            opts=self._child,
        )
        aws.cloudwatch.EventTarget(
            rule.name,
            rule=registered.name,
            target_id="audit",
            dead_letter_config={"arn": undelivered.arn},
            region=rule.region,
            opts=self._child,
            **target,
        )

    def _forward(
        self, rules: Sequence[EventRule], home: Mapping[str, Any], prefix: str, boundary: str | None
    ) -> None:
        """From the Region of IAM's events to the repositories'."""
        # The names there contain the Region, since another stack's audit may share IAM's.
        name = f"{prefix}-{home['region']}"
        bus = arn(home, "events", "event-bus/default")
        role = aws.iam.Role(
            name,
            name=name,
            description=f"Forwards events of IAM and STS to {home['region']}",
            assume_role_policy=to_json(event_patterns.forwarding_trust(home["account_id"])),
            permissions_boundary=boundary or None,
            path="/",
            opts=self._child,
        )
        aws.iam.RolePolicy(
            name,
            name="put-events",
            role=role.name,
            policy=to_json(event_patterns.forwarding_policy(bus)),
            opts=self._child,
        )
        queue = self._queue({**home, "region": rules[0].region}, name)
        for rule in rules:
            self._rule(rule, queue, arn=bus, role_arn=role.arn)
