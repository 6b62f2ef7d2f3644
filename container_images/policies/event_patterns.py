"""Pure: which of CloudTrail's events send an alert, as the patterns of EventBridge's rules.

A pattern lists fields and the values that each may have. A field that is absent matches nothing but
`exists: false`, so a pattern about everybody *but* some roles says both.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html

No pattern names a detail-type: `detail.eventSource` is in CloudTrail's events alone, and some calls
of ECR come as "AWS API Call via CloudTrail" and some as "AWS Service Event via CloudTrail".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypedDict

from container_images.policies.alert_messages import ALERTS, Alert
from container_images.policies.document import arn, refuse_longer_than, to_json
from container_images.policies.ecr_actions import Effect, actions
from container_images.policies.trust_policy import Trust, federations

MAX_EVENT_PATTERN: Final = 2_048
"""Characters of a pattern, unless AWS raised the account's quota:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html"""

IAM_REGIONS: Final[Mapping[str, str]] = {
    "aws": "us-east-1",
    "aws-cn": "cn-north-1",
    "aws-us-gov": "us-gov-west-1",
}
"""The only Region in which IAM's events arrive, by partition.
https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html"""


class Audit(TypedDict):
    """What is watched. ARNs are exact."""

    partition: str
    """The AWS partition: aws, aws-cn or aws-us-gov."""
    account_id: str
    """The account that holds the repositories: 12 digits."""
    region: str
    """The Region that holds the repositories."""
    repositories: list[str]
    """Names of the repositories."""
    movable_tags: list[str]
    """Tags whose images must never expire."""
    pipeline_roles: list[str]
    """ARNs of the roles that push and move tags: what they do is expected."""
    administrator_roles: list[str]
    """ARNs of the roles that delete images and change the guard."""
    created_role: str
    """ARN of the pipeline role whose trust policy the stack writes; empty if it writes none."""
    trust: Trust
    """Who may assume that role."""


@dataclass(frozen=True, kw_only=True)
class EventRule:
    """A rule on the default event bus of a Region."""

    name: str
    region: str
    pattern: dict[str, Any]
    state: str
    """Read-only calls reach no rule that does not ask for them.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail-management.html"""
    alert: Alert
    forwards: bool = False
    """To the bus of the repositories' Region, where another rule makes the alert."""


_READS: Final = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
"""CloudTrail counts the work of a lifecycle policy as read-only, and AssumeRole too."""
_GLOBAL: Final = ("roles", "assumed")
"""IAM's events arrive in IAM's Region only; those of STS where it was called, which may be either
Region."""


def event_rules(name: str, audit: Audit) -> list[EventRule]:
    """All rules. Their names begin with `name`.

    A list that is too long for one pattern is spread over several rules. Raises InvalidInputError
    where even that does not help: a pattern names all pipeline roles, or all trusted principals.
    """
    region, iam_region = audit["region"], IAM_REGIONS[audit["partition"]]
    named = {"pipeline_roles": audit["pipeline_roles"], **audit["trust"]}
    rules = []
    for kind, pattern in _patterns(audit):
        refuse_longer_than(MAX_EVENT_PATTERN, "pattern of events", pattern, named)
        topic = kind.partition("-")[0]
        rule = EventRule(
            name=f"{name}-{kind}",
            region=region,
            pattern=pattern,
            state=_READS if topic in ("expiry", "assumed") else "ENABLED",
            alert=ALERTS[topic],
        )
        rules.append(rule)
        if topic in _GLOBAL and region != iam_region:
            there = f"{name}-{region}-{kind}"
            rules.append(replace(rule, name=there, region=iam_region, forwards=True))
    return rules


def _patterns(audit: Audit) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each pattern, with its kind, which the name of its rule ends with."""
    names = sorted(set(audit["repositories"]))
    for kind, pattern in (("tags", _tags), ("guard", _guard), ("expiry", _expiry)):
        yield from _spread(kind, names, partial(pattern, audit))
    yield "unnamed", _unnamed(audit)
    yield "registry", _of("ecr", {"eventName": _calls(Effect.CHANGE_REGISTRY)})
    roles = {*audit["pipeline_roles"], *audit["administrator_roles"]}
    own = sorted(role for role in roles if f":{audit['account_id']}:" in role)
    yield from _spread("roles", own, _roles, most=2)
    if audit["created_role"]:
        here = arn(audit, "codebuild", "project/")
        projects = [arn for arn in audit["trust"]["codebuild_projects"] if arn.startswith(here)]
        yield from _spread("builds", sorted(projects), _builds)
        yield "assumed", _assumed(audit)


def _spread(
    kind: str,
    items: Sequence[str],
    pattern: Callable[[Sequence[str]], dict[str, Any]],
    most: int = MAX_EVENT_PATTERN,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """As many patterns as the items take, each with as many items as fit, or with the most."""
    chunks: list[list[str]] = []
    for item in items:
        longer = [*chunks[-1], item] if chunks else []
        if 0 < len(longer) <= most and len(to_json(pattern(longer))) <= MAX_EVENT_PATTERN:
            chunks[-1] = longer
        else:
            chunks.append([item])
    for number, chunk in enumerate(chunks, start=1):
        yield f"{kind}-{number}", pattern(chunk)


# --- Patterns -------------------------------------------------------------------------------------

_ABSENT: Final = {"exists": False}


def _calls(*effects: Effect) -> list[str]:
    return [action.removeprefix("ecr:") for action in actions(*effects)]


_TAG_CALLS: Final = _calls(Effect.MOVE_TAG, Effect.DELETE_IMAGE, Effect.REPLICATE)
# A repository that is created again under its name has no guard.
_GUARD_CALLS: Final = _calls(Effect.CHANGE_GUARD, Effect.CREATE_REPOSITORY)


def _of(service: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "source": [f"aws.{service}"],
        "detail": {"eventSource": [f"{service}.amazonaws.com"], **detail},
    }


def _but(values: Sequence[str]) -> list[dict[str, Any]]:
    return [{"anything-but": values}, _ABSENT]


def _by_anybody_but(roles: Sequence[str]) -> dict[str, Any]:
    """The role of a session is its issuer. Users, the root and services have none."""
    return {"sessionContext": {"sessionIssuer": {"arn": _but(sorted(set(roles)))}}}


def _on(audit: Audit, names: Sequence[str]) -> dict[str, Any]:
    """On these repositories: by `resources`, or where there is none, by the request.

    CloudTrail leaves the request out where it is too large, and a manifest may be.
    """
    by_request = {"repositoryName": names, "registryId": [audit["account_id"], _ABSENT]}
    return {
        "$or": [
            {"resources": {"ARN": [arn(audit, "ecr", f"repository/{name}") for name in names]}},
            {"resources": {"ARN": [_ABSENT]}, "requestParameters": by_request},
        ]
    }


def _tag_calls(audit: Audit) -> dict[str, Any]:
    """A tag was written or an image deleted, done or denied, by anyone but the pipeline."""
    return {"eventName": _TAG_CALLS, "userIdentity": _by_anybody_but(audit["pipeline_roles"])}


def _tags(audit: Audit, names: Sequence[str]) -> dict[str, Any]:
    return _of("ecr", _tag_calls(audit) | _on(audit, names))


def _guard(audit: Audit, names: Sequence[str]) -> dict[str, Any]:
    """A guard was changed, done or denied, by anyone."""
    return _of("ecr", {"eventName": _GUARD_CALLS, **_on(audit, names)})


def _expiry(audit: Audit, names: Sequence[str]) -> dict[str, Any]:
    """A lifecycle policy took an image that carried a movable tag."""
    image = {"lifecycleEventImage": {"tagList": sorted(audit["movable_tags"])}}
    details = {"repositoryName": names, "lifecycleEventImageActions": image}
    return _of("ecr", {"eventName": ["PolicyExecutionEvent"], "serviceEventDetails": details})


def _unnamed(audit: Audit) -> dict[str, Any]:
    """A call of `_tags` or `_guard` on a repository that CloudTrail does not name.

    It may be another stack's: a false alarm then.
    """
    request = {
        "repositoryName": [_ABSENT],
        "resourceArn": [{"prefix": arn(audit, "ecr", "repository/")}, _ABSENT],
    }
    unnamed = {"resources": {"ARN": [_ABSENT]}, "requestParameters": request}
    return _of("ecr", unnamed | {"$or": [_tag_calls(audit), {"eventName": _GUARD_CALLS}]})


def _roles(arns: Sequence[str]) -> dict[str, Any]:
    """A role was changed, done or denied.

    IAM does not distinguish names by case, and an event has the name as the caller wrote it. Of a
    denied call IAM leaves the request out; its message names the role, as `role NAME` or by its
    ARN. EventBridge refuses a rule with many wildcards as too complex, so a pattern has two roles.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-names
    """
    names = [arn.rpartition("/")[2] for arn in arns]
    messages = [f"*resource: {role} *" for role in (*map("role {}".format, names), *arns)]
    either = [
        {"requestParameters": {"roleName": [{"equals-ignore-case": name} for name in names]}},
        {
            "requestParameters": {"roleName": [_ABSENT]},
            "errorMessage": [{"wildcard": message} for message in messages],
        },
    ]
    changes = [{"anything-but": {"prefix": ["Get", "List"]}}]
    return _of("iam", {"eventName": changes, "$or": either})


def _builds(arns: Sequence[str]) -> dict[str, Any]:
    """A trusted CodeBuild project was changed, made anew, or started with what is not its own.

    What a project runs, runs as the pipeline role. An override of the buildspec, the image or the
    source brings other code; so does a sandbox, which gives a shell.
    https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html
    """
    projects = [*(arn.partition(":project/")[2] for arn in arns), *arns]
    overrides = ("buildspecOverride", "imageOverride", "sourceLocationOverride")
    overridden = {"$or": [{override: [{"exists": True}]} for override in overrides]}
    either = [
        {"eventName": ["CreateProject", "UpdateProject"], "requestParameters": {"name": projects}},
        {"eventName": ["StartSandbox"], "requestParameters": {"projectName": projects}},
        {
            "eventName": [{"prefix": "StartBuild"}],
            "requestParameters": {"projectName": projects, **overridden},
        },
    ]
    return _of("codebuild", {"$or": either})


def _assumed(audit: Audit) -> dict[str, Any]:
    """The created role was assumed, done or denied, by a principal outside its trust policy.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
    https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html
    """
    role, trust = audit["created_role"], audit["trust"]
    # Of a caller of another account CloudTrail has only the account.
    accounts = sorted({arn.split(":")[4] for arn in trust["roles"]} - {trust["account_id"]})
    identity = _by_anybody_but(trust["roles"]) if trust["roles"] else {}
    if trust["codebuild_projects"]:
        identity["invokedBy"] = _but(["codebuild.amazonaws.com"])
    if jobs := [
        f"{federation}:{oidc['audience']}:{subject}"
        for _, federation, oidc in federations(trust)
        for subject in sorted(oidc["subjects"])
    ]:
        identity["principalId"] = _but(jobs)
    if accounts:
        identity["$or"] = [{"type": _but(["AWSAccount"])}, {"accountId": _but(accounts)}]
    denial = [{"suffix": f" on resource: {role}"}, {"wildcard": f"*resource: {role} *"}]
    either = [
        {"requestParameters": {"roleArn": [{"equals-ignore-case": role}]}},
        {"requestParameters": {"roleArn": [_ABSENT]}, "errorMessage": denial},
    ]
    who = {"userIdentity": identity} if identity else {}
    return _of("sts", {"eventName": [{"prefix": "AssumeRole"}], **who, "$or": either})
