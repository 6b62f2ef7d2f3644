"""The act `audit`: sample events go through the stack's rules, and show which alerts they make.

The events have the shape that CloudTrail gives them, in the stack's own account and Region.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from container_images.policies.event_patterns import IAM_REGIONS
from container_images.rehearsal.acts import Act
from container_images.rehearsal.event_bus import matches, transformed
from container_images.settings import Account, StackSettings


@dataclass(frozen=True)
class Sample:
    """Something that may happen."""

    what: str
    alert: str
    """The kind of rule that alerts; empty if none does."""
    event: dict[str, Any]


def audited(connect: Callable[..., Any], stack: StackSettings, account: Account) -> Act:
    """Each sample makes one alert, by its rule, or none.

    `connect` gives the client of a service in a Region.
    """
    prefix, told, happened = "tag-audit-", list[str](), list(samples(stack, account))
    for sample in happened:
        alerts = list(_alerts(connect, sample.event, prefix))
        kinds = [name.removeprefix(prefix).split("-")[0] for name, _ in alerts]
        if kinds != ([sample.alert] if sample.alert else []):
            wanted = sample.alert or "none"
            detail = f"{sample.what}: expected the alert {wanted}, got {kinds or 'none'}"
            return Act(act="audit", ok=False, detail=detail, by="simulated")
        told += (text for _, text in alerts)
    # Without the advice, and without the event's id, which is another each time.
    first = told[0].partition(" Next:")[0]
    detail = f"{len(told)} of {len(happened)} sample events alert, such as: {first}"
    return Act(act="audit", ok=True, detail=detail, by="simulated")


def _alerts(
    connect: Callable[..., Any], event: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, str]]:
    """The rules of the event's Region that it meets, by name, and what each sends.

    Of an event that goes on to another Region's bus, what the rules there send. Moto keeps the
    rules, and does not run them.
    """
    events = connect("events", event["region"])
    for rule in events.list_rules(NamePrefix=prefix)["Rules"]:
        if rule["State"] == "DISABLED" or not matches(json.loads(rule["EventPattern"]), event):
            continue
        for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
            arn = target["Arn"].split(":")
            if arn[2] == "events":
                yield from _alerts(connect, {**event, "region": arn[3]}, prefix)
            else:
                made = target["InputTransformer"]
                text = transformed(made["InputPathsMap"], made["InputTemplate"], event)
                yield rule["Name"], text


def samples(stack: StackSettings, account: Account) -> Iterator[Sample]:
    """Events about the first repository that make an alert, and some that make none."""
    iam = f"arn:{account.partition}:iam::{account.id}:"
    place = f"arn:{account.partition}:ecr:{account.region}:{account.id}:"
    name, tag = next(iter(stack.repositories)), stack.movable_tags[0]
    other, administrator = f"{name}-other", stack.administrator_roles[0]
    pipeline = stack.pipeline_role.arn_in(account)
    developer = _role(f"{iam}role/developer", "mary")
    user = {"type": "IAMUser", "arn": f"{iam}user/mary", "accountId": account.id}
    refused = {"errorCode": "AccessDenied"}

    def ecr(call: str, who: Any, repository: str = name, **detail: Any) -> dict[str, Any]:
        parts: dict[str, Any] = {
            "requestParameters": {"repositoryName": repository, "imageTag": tag},
            "resources": [{"ARN": f"{place}repository/{repository}", "accountId": account.id}],
        }
        return _event(account, account.region, f"ecr:{call}", who, parts | detail)

    def expiry(tags: list[str]) -> dict[str, Any]:
        image = {"lifecycleEventImage": {"digest": "sha256:0", "tagList": tags}}
        details = {"repositoryName": name, "lifecycleEventImageActions": [image]}
        by_ecr = {"accountId": account.id, "invokedBy": "AWS Internal"}
        return ecr("PolicyExecutionEvent", by_ecr, serviceEventDetails=details)

    def trusting(role: str) -> dict[str, Any]:
        request = {"requestParameters": {"roleName": role}}
        region = IAM_REGIONS[account.partition]
        return _event(account, region, "iam:UpdateAssumeRolePolicy", user, request)

    large = ecr("PutImage", user, requestParameters=None)
    unnamed = ecr("PutImage", user, requestParameters=None, resources=None, **refused)
    guard = ecr("SetRepositoryPolicy", _role(administrator))
    role = administrator.rpartition("/")[2]
    yield Sample("a developer's refused move", "tags", ecr("PutImage", developer, **refused))
    yield Sample("the pipeline's move", "", ecr("PutImage", _role(pipeline)))
    yield Sample("a move too large to be recorded whole", "tags", large)
    if other not in stack.repositories:
        yield Sample("a push to another repository", "", ecr("PutImage", user, other))
    yield Sample("an administrator's change of the guard", "guard", guard)
    yield Sample("a refused call on a repository that is not named", "unnamed", unnamed)
    yield Sample("replication", "registry", ecr("PutReplicationConfiguration", user))
    yield Sample(f"the expiry of {tag}", "expiry", expiry([tag]))
    yield Sample("the expiry of merged-0", "", expiry(["merged-0"]))
    yield Sample(f"a new trust policy of {role}", "roles", trusting(role))
    yield Sample("a new trust policy of developer", "", trusting("developer"))
    if stack.pipeline_role.name:
        request = {"requestParameters": {"roleArn": pipeline, "roleSessionName": "mary"}}
        assumed = _event(account, account.region, "sts:AssumeRole", developer, request)
        yield Sample("a developer who becomes the pipeline", "assumed", assumed)


def _role(arn: str, session: str = "rehearsal") -> dict[str, Any]:
    _, partition, _, _, account, path = arn.split(":", maxsplit=5)
    name = path.rpartition("/")[2]
    return {
        "type": "AssumedRole",
        "arn": f"arn:{partition}:sts::{account}:assumed-role/{name}/{session}",
        "accountId": account,
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": arn, "userName": name}},
    }


def _event(
    account: Account, region: str, action: str, who: Any, detail: dict[str, Any]
) -> dict[str, Any]:
    service, _, call = action.partition(":")
    return {
        "source": f"aws.{service}",
        "detail-type": "AWS API Call via CloudTrail",
        "account": account.id,
        "region": region,
        "detail": {
            "eventSource": f"{service}.amazonaws.com",
            "eventName": call,
            "eventTime": "2026-11-24T10:00:00Z",
            "eventID": "2bfd4ee2-2178-4a82-a27d-b12939923f0f",
            "sourceIPAddress": "203.0.113.12",
            "userIdentity": who,
            **{key: value for key, value in detail.items() if value is not None},
        },
    }
