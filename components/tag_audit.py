"""TagAudit: alerts when a tag, a guard, the registry or a role changes unexpectedly."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from container_images.policies import audit_policies
from container_images.policies.document import Location, arn, to_json
from container_images.policies.event_patterns import IAM_REGIONS, Audit, EventRule, event_rules


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
        """Register the rules, the topic and the dead-letter queues.

        Raises InvalidInputError where a pattern would be longer than EventBridge takes.
        """
        super().__init__("container-images:index:TagAudit", name, {}, opts)
        audit = args["audit"]
        home: Location = {
            "partition": audit["partition"],
            "account_id": audit["account_id"],
            "region": audit["region"],
        }
        rules = event_rules(name, audit)
        undelivered = self._queue(home, name)
        topic = aws.sns.Topic(
            name,
            name=name,
            kms_master_key_id=args.get("kms_key"),
            policy=to_json(audit_policies.topic_policy(home, name)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        for address in args.get("email", []):
            aws.sns.TopicSubscription(
                f"{name}-{address}",
                topic=arn(home, "sns", name),
                protocol="email",
                endpoint=address,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[topic]),
            )
        queue_arn = arn(home, "sqs", f"{name}-undelivered")
        for rule in rules:
            if rule.message:
                self._rule(rule, arn(home, "sns", name), queue_arn, [topic, undelivered])
        if forwarding := [rule for rule in rules if not rule.message]:
            self._forward(forwarding, home, name, args.get("permissions_boundary"))

        self.topic_arn = topic.arn
        self.register_outputs({"topicArn": self.topic_arn})

    def _queue(self, location: Location, name: str) -> pulumi.Resource:
        """The dead-letter queue of the rules whose names begin with `name`."""
        return aws.sqs.Queue(
            f"{name}-undelivered",
            name=f"{name}-undelivered",
            sqs_managed_sse_enabled=True,  # which EventBridge can use without a key policy
            message_retention_seconds=14 * 24 * 3600,  # the longest that SQS keeps a message
            policy=to_json(audit_policies.queue_policy(location, name)),
            region=location["region"],
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _rule(
        self,
        rule: EventRule,
        target: str,
        undelivered: str,
        depends_on: Sequence[pulumi.Resource],
        role: str | None = None,
    ) -> None:
        state = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" if rule.read_only else "ENABLED"
        registered = aws.cloudwatch.EventRule(
            rule.name,
            name=rule.name,
            description=rule.description,
            event_pattern=to_json(rule.pattern),
            state=state,
            region=rule.region,
            opts=pulumi.ResourceOptions(parent=self),
        )
        transformer = None
        if rule.message:
            transformer = aws.cloudwatch.EventTargetInputTransformerArgs(
                input_paths=rule.message.paths, input_template=rule.message.template
            )
        aws.cloudwatch.EventTarget(
            rule.name,
            rule=rule.name,
            target_id="audit",
            arn=target,
            role_arn=role,
            input_transformer=transformer,
            dead_letter_config=aws.cloudwatch.EventTargetDeadLetterConfigArgs(arn=undelivered),
            region=rule.region,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[registered, *depends_on]),
        )

    def _forward(
        self, rules: Sequence[EventRule], home: Location, prefix: str, boundary: str | None
    ) -> None:
        """From the Region of IAM's events to the repositories'."""
        # The names there contain the Region, since another stack's audit may share IAM's.
        name = f"{prefix}-{home['region']}"
        there: Location = {**home, "region": IAM_REGIONS[home["partition"]]}
        bus = arn(home, "events", "event-bus/default")
        role = aws.iam.Role(
            name,
            name=name,
            description=f"Forwards events of IAM and STS to {home['region']}",
            assume_role_policy=to_json(audit_policies.forwarding_trust(home["account_id"])),
            path="/",
            permissions_boundary=boundary,
            opts=pulumi.ResourceOptions(parent=self),
        )
        policy = aws.iam.RolePolicy(
            name,
            name="put-events",
            role=name,
            policy=to_json(audit_policies.forwarding_policy(bus)),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[role]),
        )
        undelivered = self._queue(there, name)
        role_arn = f"arn:{home['partition']}:iam::{home['account_id']}:role/{name}"
        queue_arn = arn(there, "sqs", f"{name}-undelivered")
        for rule in rules:
            self._rule(rule, bus, queue_arn, [role, policy, undelivered], role_arn)
