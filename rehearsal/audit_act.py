"""The act `audit`: sample events go through the stack's rules, and show which alerts they make.

The events have the shape that CloudTrail gives them, in the stack's own account and Region.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from policies.event_patterns import IAM_REGIONS
from rehearsal.acts import Act
from rehearsal.embedded_audit import EmbeddedAudit
from settings import Account, StackSettings

_TIME: Final = "2026-11-24T10:00:00Z"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Something that may happen."""

    what: str
    event: dict[str, Any]
    alert: str
    """The kind of rule that is to tell of it; empty if nobody is to be told."""


def audited(aws: EmbeddedAudit, stack: StackSettings, account: Account) -> Act:
    """Each sample makes one alert, by its rule, or none."""
    prefix, told, sentence = "tag-audit-", 0, ""
    for sample in samples(stack, account):
        alerts = list(aws.alerts(sample.event, prefix))
        kinds = [name.removeprefix(prefix).split("-")[0] for name, _ in alerts]
        if kinds != ([sample.alert] if sample.alert else []):
            wanted = sample.alert or "none"
            detail = f"{sample.what}: expected the alert {wanted}, got {kinds or 'none'}"
            return Act(act="audit", ok=False, detail=detail, by="simulated")
        told += len(alerts)
        sentence = sentence or next((text for _, text in alerts), "")
    count = len(list(samples(stack, account)))
    detail = f"{told} of {count} sample events alert: {sentence}"
    return Act(act="audit", ok=True, detail=detail, by="simulated")


def samples(stack: StackSettings, account: Account) -> Iterator[Sample]:
    """Events about the first repository that make an alert, and some that make none."""
    place = f"arn:{account.partition}:iam::{account.id}:"
    name, tag = next(iter(stack.repositories)), stack.movable_tags[0]
    pipeline = stack.pipeline_role.arn_in(account)
    developer = _role(f"{place}role/developer", "mary")
    user = {"type": "IAMUser", "arn": f"{place}user/mary", "accountId": account.id}

    def ecr(call: str, who: Any, repository: str = name, **detail: Any) -> dict[str, Any]:
        place = f"arn:{account.partition}:ecr:{account.region}:{account.id}"
        parts: dict[str, Any] = {
            "requestParameters": {"repositoryName": repository, "imageTag": tag},
            "resources": [{"ARN": f"{place}:repository/{repository}", "accountId": account.id}],
        }
        return _event(account, account.region, "ecr", call, who, {**parts, **detail})

    refused = {"errorCode": "AccessDenied"}
    other = f"{name}-other"
    yield Sample(
        what="a developer's refused move", event=ecr("PutImage", developer, **refused), alert="tags"
    )
    yield Sample(what="the pipeline's move", event=ecr("PutImage", _role(pipeline)), alert="")
    yield Sample(
        what="a move too large to be recorded whole",
        event=ecr("PutImage", user, requestParameters=None),
        alert="tags",
    )
    if other not in stack.repositories:
        yield Sample(
            what="a push to another repository", event=ecr("PutImage", user, other), alert=""
        )
    yield Sample(
        what="an administrator's change of the guard",
        event=ecr("SetRepositoryPolicy", _role(stack.administrator_roles[0])),
        alert="guard",
    )
    yield Sample(
        what="a refused call on a repository that is not named",
        event=ecr("PutImage", user, requestParameters=None, resources=None, **refused),
        alert="unnamed",
    )
    yield Sample(
        what="replication", event=ecr("PutReplicationConfiguration", user), alert="registry"
    )
    for tags, alert in ([tag], "expiry"), (["merged-0"], ""):
        image = {"lifecycleEventImage": {"digest": "sha256:0", "tagList": tags}}
        details = {"repositoryName": name, "lifecycleEventImageActions": [image]}
        by_ecr = {"accountId": account.id, "invokedBy": "AWS Internal"}
        yield Sample(
            what=f"the expiry of {tags[0]}",
            event=ecr("PolicyExecutionEvent", by_ecr, serviceEventDetails=details),
            alert=alert,
        )
    for role, alert in (
        (stack.administrator_roles[0].rpartition("/")[2], "roles"),
        ("developer", ""),
    ):
        request = {"requestParameters": {"roleName": role}}
        region = IAM_REGIONS[account.partition]
        yield Sample(
            what=f"a new trust policy of {role}",
            event=_event(account, region, "iam", "UpdateAssumeRolePolicy", user, request),
            alert=alert,
        )
    if stack.pipeline_role.name:
        request = {"requestParameters": {"roleArn": pipeline, "roleSessionName": "mary"}}
        yield Sample(
            what="a developer who becomes the pipeline",
            event=_event(account, account.region, "sts", "AssumeRole", developer, request),
            alert="assumed",
        )


def _role(arn: str, session: str = "rehearsal") -> dict[str, Any]:
    _, partition, _, _, account, path = arn.split(":", maxsplit=5)
    name = path.rpartition("/")[2]
    return {
        "type": "AssumedRole",
        "arn": f"arn:{partition}:sts::{account}:assumed-role/{name}/{session}",
        "accountId": account,
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": arn, "userName": name}},
    }


def _event(  # noqa: PLR0913, PLR0917 an event has that many parts
    account: Account, region: str, service: str, call: str, who: Any, detail: dict[str, Any]
) -> dict[str, Any]:
    return {
        "source": f"aws.{service}",
        "detail-type": "AWS API Call via CloudTrail",
        "account": account.id,
        "region": region,
        "detail": {
            "eventSource": f"{service}.amazonaws.com",
            "eventName": call,
            "eventTime": _TIME,
            "eventID": "2bfd4ee2-2178-4a82-a27d-b12939923f0f",
            "sourceIPAddress": "203.0.113.12",
            "userIdentity": who,
            **{key: value for key, value in detail.items() if value is not None},
        },
    }
