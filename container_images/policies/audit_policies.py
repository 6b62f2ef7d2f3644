"""Pure: the policies of the resources that an alert passes through."""

from typing import Any, Final

from container_images.policies.document import Location, allow, arn, document_of

EVENTBRIDGE: Final = "events.amazonaws.com"


def topic_policy(location: Location, name: str) -> dict[str, Any]:
    """Only the rules whose names begin with `name` publish to the topic of this name.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
    """
    topic = arn(location, "sns", name)
    return document_of([_from_rules("RulesPublish", location, name, "sns:Publish", topic)])


def queue_policy(location: Location, name: str) -> dict[str, Any]:
    """Only the rules whose names begin with `name` send to their dead-letter queue.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
    """
    queue = arn(location, "sqs", f"{name}-undelivered")
    return document_of([_from_rules("RulesSend", location, name, "sqs:SendMessage", queue)])


def _from_rules(
    sid: str, location: Location, name: str, action: str, resource: str
) -> dict[str, Any]:
    # By the beginning of the rules' names: a queue's policy has no room for every ARN.
    condition = {"ArnLike": {"aws:SourceArn": arn(location, "events", f"rule/{name}-*")}}
    return allow(sid, {"Service": EVENTBRIDGE}, [action], Resource=resource, Condition=condition)


def forwarding_trust(account_id: str) -> dict[str, Any]:
    """EventBridge assumes the role that forwards events, on behalf of this account alone.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-region.html
    """
    condition = {"StringEquals": {"aws:SourceAccount": account_id}}
    return document_of(
        [allow("EventBridge", {"Service": EVENTBRIDGE}, ["sts:AssumeRole"], Condition=condition)]
    )


def forwarding_policy(bus_arn: str) -> dict[str, Any]:
    """That role may put events on this bus, and nothing else."""
    return document_of([{"Effect": "Allow", "Action": "events:PutEvents", "Resource": bus_arn}])
