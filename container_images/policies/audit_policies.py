"""Pure: the policies of the resources that an alert passes through."""

from typing import Any, Final

from container_images.policies.document import Location, allow, arn, document_of

AUDIT_NAME: Final = "tag-audit"
"""Of the component, and so what the names of its resources begin with."""

EVENTBRIDGE: Final = "events.amazonaws.com"


def from_rules(location: Location, prefix: str, action: str, resource: str) -> dict[str, Any]:
    """Only the rules whose names begin so may do this: publish to a topic, send to a queue.

    By the beginning of the names: a queue's policy has no room for every ARN.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
    """
    of_rules = {"ArnLike": {"aws:SourceArn": arn(location, "events", f"rule/{prefix}-*")}}
    principal = {"Service": EVENTBRIDGE}
    return document_of([allow("Rules", principal, [action], Resource=resource, Condition=of_rules)])


def forwarding_trust(account_id: str) -> dict[str, Any]:
    """EventBridge assumes the role that forwards events, on behalf of this account alone.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-region.html
    """
    own = {"StringEquals": {"aws:SourceAccount": account_id}}
    principal = {"Service": EVENTBRIDGE}
    return document_of([allow("EventBridge", principal, ["sts:AssumeRole"], Condition=own)])


def forwarding_policy(bus_arn: str) -> dict[str, Any]:
    """That role may put events on this bus, and nothing else."""
    return document_of([{"Effect": "Allow", "Action": "events:PutEvents", "Resource": bus_arn}])
