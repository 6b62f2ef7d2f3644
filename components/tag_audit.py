"""TagAudit: alerts when a tag, a guard, the registry or a role changes unexpectedly."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from container_images.policies import audit_policies
from container_images.policies.audit_policies import Place
from container_images.policies.document import arn, to_json
from container_images.policies.event_patterns import IAM_REGIONS, Audit, EventRule, event_rules

LOG_DAYS = 400
"""How long the logs of a created trail are kept: a year, and a month to look."""


class TagAuditArgs(TypedDict):
    """What an audit is made of.

    These are plain values, not Inputs: patterns and policies are made of them, and a preview has to
    show them whole.
    """

    audit: Audit
    """What is watched."""
    trail: str
    """`create` for a trail of the stack's own, `existing` where the account has one."""
    email: NotRequired[list[str]]
    """Addresses that are told. Each has to confirm the subscription that SNS sends it."""
    permissions_boundary: NotRequired[str]
    """ARN of the permissions boundary of the role that takes events to another Region. Default:
    none."""


class TagAudit(pulumi.ComponentResource):
    """EventBridge rules on what CloudTrail records, and the SNS topic where they tell it.

    IAM's events arrive in one Region of the partition only. Rules there send them on to the bus of
    the repositories' Region. The names of all resources begin with the component's name: an account
    has one of that name in a Region.
    """

    topic_arn: pulumi.Output[str]
    """ARN of the topic, to which chat or a webhook may subscribe too."""

    def __init__(
        self, name: str, args: TagAuditArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Register the rules, the topic, the dead-letter queues and, if asked, the trail.

        Raises InvalidInputError where a pattern would be longer than EventBridge takes.
        """
        super().__init__("container-images:index:TagAudit", name, {}, opts)
        audit = args["audit"]
        home: Place = {
            "name": name,
            "partition": audit["partition"],
            "account_id": audit["account_id"],
            "region": audit["region"],
        }
        rules = event_rules(name, audit)
        iam: Place = {**home, "region": IAM_REGIONS[audit["partition"]]}

        undelivered = self._queue(home, name)
        topic = aws.sns.Topic(
            name,
            name=name,
            # By its alias, which is known before the key is there.
            kms_master_key_id=f"alias/{name}",
            policy=to_json(audit_policies.topic_policy(home)),
            opts=pulumi.ResourceOptions(parent=self, depends_on=undelivered),
        )
        for address in args.get("email", []):
            aws.sns.TopicSubscription(
                f"{name}-{address}",
                topic=arn(home, "sns", name),
                protocol="email",
                endpoint=address,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[topic]),
            )
        for rule in rules:
            if rule.message:
                self._rule(rule, home, arn(home, "sns", name), [topic, undelivered])
        if forwarded := [rule for rule in rules if not rule.message]:
            self._forward(forwarded, home, iam, args.get("permissions_boundary"))
        if args["trail"] == "create":
            self._trail(home)

        self.topic_arn = topic.arn
        self.register_outputs({"topicArn": self.topic_arn})

    def _queue(self, place: Place, prefix: str) -> pulumi.Resource:
        """A dead-letter queue, with the key that encrypts it and, at home, the topic."""
        name, region = place["name"], place["region"]
        key = aws.kms.Key(
            f"{prefix}-key",
            description=f"Encrypts what {name} tells",
            enable_key_rotation=True,
            policy=to_json(audit_policies.key_policy(place)),
            # Whoever creates the key may not have to be able to change its policy: KMS would ask
            # for that, and the deploy role of docs/ci.md may only once the key has its alias.
            # The policy lets the account's own policies decide, so nobody is locked out.
            # https://docs.aws.amazon.com/kms/latest/developerguide/customer-managed-policies.html#iam-policy-example-create-key
            bypass_policy_lockout_safety_check=True,
            region=region,
            opts=pulumi.ResourceOptions(parent=self),
        )
        alias = aws.kms.Alias(
            f"{prefix}-key",
            name=f"alias/{name}",
            target_key_id=key.key_id,
            region=region,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return aws.sqs.Queue(
            f"{prefix}-undelivered",
            name=f"{name}-undelivered",
            kms_master_key_id=f"alias/{name}",
            message_retention_seconds=14 * 24 * 3600,  # the longest that SQS keeps a message
            policy=to_json(audit_policies.queue_policy(place)),
            region=region,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[alias]),
        )

    def _rule(
        self,
        rule: EventRule,
        place: Place,
        target: str,
        needs: Sequence[pulumi.Resource],
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
        aws.cloudwatch.EventTarget(
            rule.name,
            rule=rule.name,
            target_id="audit",
            arn=target,
            role_arn=role,
            input_transformer=aws.cloudwatch.EventTargetInputTransformerArgs(
                input_paths=rule.message.paths, input_template=rule.message.template
            )
            if rule.message
            else None,
            dead_letter_config=aws.cloudwatch.EventTargetDeadLetterConfigArgs(
                arn=arn(place, "sqs", f"{place['name']}-undelivered")
            ),
            region=rule.region,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[registered, *needs]),
        )

    def _forward(
        self, rules: Sequence[EventRule], home: Place, iam: Place, boundary: str | None
    ) -> None:
        """From the Region of IAM's events to the repositories'."""
        # The names there bear the Region, which another stack's audit may share.
        name = f"{home['name']}-{home['region']}"
        there: Place = {**iam, "name": name}
        bus = arn(home, "events", "event-bus/default")
        role = aws.iam.Role(
            name,
            name=name,
            description=f"Sends events of IAM and STS on to {home['region']}",
            assume_role_policy=to_json(audit_policies.forwarding_trust(home)),
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
        for rule in rules:
            self._rule(rule, there, bus, [role, policy, undelivered], role_arn)

    def _trail(self, home: Place) -> None:
        """A trail of all Regions, in a bucket that only it writes to."""
        name = home["name"]
        bucket = f"{name}-{home['account_id']}-{home['region']}"
        child = pulumi.ResourceOptions(parent=self)
        logs = aws.s3.Bucket(
            f"{name}-logs",
            bucket=bucket,
            # Records of what happened outlive the stack, and a bucket with objects cannot be
            # deleted anyway.
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        there = pulumi.ResourceOptions(parent=self, depends_on=[logs])
        aws.s3.BucketPublicAccessBlock(
            f"{name}-logs",
            bucket=bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=there,
        )
        aws.s3.BucketVersioning(
            f"{name}-logs",
            bucket=bucket,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(
                status="Enabled"
            ),
            opts=there,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-logs",
            bucket=bucket,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                        sse_algorithm="AES256"
                    )
                )
            ],
            opts=there,
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-logs",
            bucket=bucket,
            rules=[
                aws.s3.BucketLifecycleConfigurationRuleArgs(
                    id="expire",
                    status="Enabled",
                    filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                    expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=LOG_DAYS),
                    noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                        noncurrent_days=LOG_DAYS
                    ),
                )
            ],
            opts=there,
        )
        policy = aws.s3.BucketPolicy(
            f"{name}-logs",
            bucket=bucket,
            policy=to_json(audit_policies.trail_bucket_policy(home, bucket)),
            opts=there,
        )
        aws.cloudtrail.Trail(
            name,
            name=name,
            s3_bucket_name=bucket,
            is_multi_region_trail=True,
            include_global_service_events=True,
            enable_log_file_validation=True,
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[policy])),
        )
