"""Pure: which of CloudTrail's events send an alert, what it says, and what lets it through.

A pattern lists fields and the values that each may have. A field that is absent matches nothing but
`exists: false`, so a pattern about everybody *but* some roles says both.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html

No pattern names a detail-type: `detail.eventSource` is in CloudTrail's events alone, and some calls
of ECR come as "AWS API Call via CloudTrail" and some as "AWS Service Event via CloudTrail".
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypedDict

from container_images.policies.document import allow, arn, document_of, to_json
from container_images.policies.ecr_actions import Effect, actions
from container_images.policies.repository_policy import Access
from container_images.policies.trust_policy import Trust, federations

AUDIT_NAME: Final = "tag-audit"
"""Of the component, and so what the names of its resources begin with."""

EVENTBRIDGE: Final = "events.amazonaws.com"

MAX_EVENT_PATTERN: Final = 2_048
"""Characters of a pattern, unless AWS raised the account's quota:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html"""

IAM_REGIONS: Final = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
"""The only Region in which IAM's events arrive, by partition.
https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html"""


class Audit(TypedDict):
    """What is watched. ARNs are exact."""

    access: Access
    """Who may do what to the repositories: what the pipeline roles do is expected."""
    repositories: list[str]
    """Names of the repositories."""
    movable_tags: list[str]
    """Tags whose images must never expire."""
    created_role: str
    """ARN of the pipeline role whose trust policy the stack writes; empty if it writes none."""
    trust: Trust
    """Who may assume that role."""


class EventRule(NamedTuple):
    """A rule on the default event bus of the repositories' Region, or one that forwards to it."""

    name: str
    region: str
    state: str
    pattern: dict[str, Any]
    description: str
    input_transformer: dict[str, Any]


def event_rules(name: str, audit: Audit) -> list[EventRule]:
    """All rules. Their names begin with `name`.

    A list that is too long for one pattern is spread over several rules.
    """
    region, iam_region = audit["access"]["region"], IAM_REGIONS[audit["access"]["partition"]]
    rules: list[EventRule] = []
    for suffix, pattern in _patterns(audit):
        kind = suffix.partition("-")[0]
        prefixes = {region: name}
        if kind in ("roles", "assumed"):
            # IAM's events arrive in IAM's Region only; those of STS where it was called, which may
            # be either Region.
            prefixes.setdefault(iam_region, f"{name}-{region}")
        # Of read-only calls, such as AssumeRole or a lifecycle policy's work, a rule has to ask:
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail-management.html
        reads = "_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" if kind in ("expiry", "assumed") else ""
        rules += (
            EventRule(f"{prefix}-{suffix}", place, f"ENABLED{reads}", pattern, *_alert(kind))
            for place, prefix in prefixes.items()
        )
    return rules


def _patterns(audit: Audit) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each pattern, with what the name of its rule ends with: its kind, and a number."""
    access, names = audit["access"], sorted(set(audit["repositories"]))
    roles = {*access["pipeline_roles"], *access["administrator_roles"]}
    own = sorted(role for role in roles if f":{access['account_id']}:" in role)
    # Done or denied, by anyone but the pipeline.
    tags = {
        "eventName": _calls(Effect.MOVE_TAG, Effect.DELETE_IMAGE, Effect.REPLICATE),
        "userIdentity": _by_anybody_but(access["pipeline_roles"]),
    }
    # Done or denied, by anyone. A repository that is created again under its name has no guard.
    guard = {"eventName": _calls(Effect.CHANGE_GUARD, Effect.CREATE_REPOSITORY)}
    yield from _spread("tags", names, lambda some: _of("ecr", tags | _on(access, some)))
    yield from _spread("guard", names, lambda some: _of("ecr", guard | _on(access, some)))
    image = {"lifecycleEventImage": {"tagList": sorted(audit["movable_tags"])}}

    def expiry(some: Sequence[str]) -> dict[str, Any]:
        details = {"repositoryName": some, "lifecycleEventImageActions": image}
        return _of("ecr", {"eventName": ["PolicyExecutionEvent"], "serviceEventDetails": details})

    yield from _spread("expiry", names, expiry)
    # EventBridge refuses a rule with many wildcards as too complex.
    yield from _spread("roles", own, _roles, most=2)
    # A repository that CloudTrail does not name may be another stack's: a false alarm then.
    some_arn = [{"prefix": arn(access, "ecr", "repository/")}, _ABSENT]
    request = {"repositoryName": [_ABSENT], "resourceArn": some_arn}
    unnamed = {"resources": {"ARN": [_ABSENT]}, "requestParameters": request}
    yield "unnamed", _of("ecr", unnamed | {"$or": [tags, guard]})
    yield "registry", _of("ecr", {"eventName": _calls(Effect.CHANGE_REGISTRY)})
    if audit["created_role"]:
        here = arn(access, "codebuild", "project/")
        projects = [arn for arn in audit["trust"]["codebuild_projects"] if arn.startswith(here)]
        yield from _spread("builds", sorted(projects), _builds)
        yield "assumed", _assumed(audit["created_role"], audit["trust"])


def _spread(
    kind: str,
    items: Sequence[str],
    pattern_of: Callable[[Sequence[str]], dict[str, Any]],
    most: int = MAX_EVENT_PATTERN,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """As many patterns as the items take, each with as many items as fit, or with the most."""
    chunks: list[list[str]] = []
    for item in items:
        longer = [*chunks[-1], item] if chunks else []
        if 0 < len(longer) <= most and len(to_json(pattern_of(longer))) <= MAX_EVENT_PATTERN:
            chunks[-1] = longer
        else:
            chunks.append([item])
    return ((f"{kind}-{number}", pattern_of(some)) for number, some in enumerate(chunks, start=1))


_REQUEST: Final = "requestParameters"
_DETAILS: Final = "serviceEventDetails"
_IMAGE: Final = f"{_DETAILS}.lifecycleEventImageActions[*].lifecycleEventImage"
_REPOSITORY: Final = f"repository [<{_REQUEST}.repositoryName>] (<resources[0].ARN>)"
_ALERTS: Final = {
    "tags": (
        "A tag written or an image deleted by a principal that is not a pipeline role",
        f"tag [<{_REQUEST}.imageTag>] images [<{_REQUEST}.imageIds>] of {_REPOSITORY}",
    ),
    "guard": ("The guard of a repository changed", _REPOSITORY),
    "expiry": (
        "A lifecycle policy expired an image that carried a movable tag",
        f"tags <{_IMAGE}.tagList> of images <{_IMAGE}.digest> of [<{_DETAILS}.repositoryName>]",
    ),
    "unnamed": (
        "A tag or a guard changed in a repository that CloudTrail does not name",
        f"tag [<{_REQUEST}.imageTag>], resource [<{_REQUEST}.resourceArn>]",
    ),
    "registry": ("The registry changed, which no repository policy can deny", "the registry"),
    "roles": ("A pipeline or an administrator role changed", f"role [<{_REQUEST}.roleName>]"),
    "assumed": (
        "The pipeline role assumed by a principal that the settings do not trust",
        f"role [<{_REQUEST}.roleArn>] as session [<{_REQUEST}.roleSessionName>]",
    ),
    "builds": (
        "A trusted CodeBuild project changed, or ran what is not its own",
        f"project [<{_REQUEST}.name>] [<{_REQUEST}.projectName>]",
    ),
}
"""What has happened, and what the call was on, with fields of the event in angle brackets."""


def _alert(kind: str) -> tuple[str, dict[str, Any]]:
    """The description of a rule, and the input transformer that makes its alert's text.

    A value that the event does not have is left empty, so each stands in brackets. A list or an
    object is inserted as JSON without its quotes.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
    """
    event, subject = _ALERTS[kind]
    text = (
        f"{event}, or an attempt: <eventName> on {subject} by [<userIdentity.arn>] (type "
        "[<userIdentity.type>], principal [<userIdentity.principalId>], account "
        "[<userIdentity.accountId>], service [<userIdentity.invokedBy>]) at <eventTime> from "
        "[<sourceIPAddress>], error code [<errorCode>], message [<errorMessage>]. Next: "
        "container-images history with the repository's name, then docs/runbook.md#an-alert-came "
        f"({kind}). An error code means that the call was denied or failed. [] = not in the event. "
        "CloudTrail event <eventID>."
    )
    paths = {}
    for field in dict.fromkeys(re.findall("<(.+?)>", text)):
        name = re.sub(r"\W+", "-", field)
        paths[name] = f"$.detail.{field}"
        text = text.replace(f"<{field}>", f"<{name}>")
    return event, {"input_paths": paths, "input_template": f'"{text}"'}


_ABSENT: Final = {"exists": False}


def _calls(*effects: Effect) -> list[str]:
    return [action.removeprefix("ecr:") for action in actions(*effects)]


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


def _on(access: Access, names: Sequence[str]) -> dict[str, Any]:
    """On these repositories: by `resources`, or where there is none, by the request.

    CloudTrail leaves the request out where it is too large, and a manifest may be.
    """
    by_request = {"repositoryName": names, "registryId": [access["account_id"], _ABSENT]}
    unnamed = {"resources": {"ARN": [_ABSENT]}, "requestParameters": by_request}
    arns = [arn(access, "ecr", f"repository/{name}") for name in names]
    return {"$or": [{"resources": {"ARN": arns}}, unnamed]}


def _roles(arns: Sequence[str]) -> dict[str, Any]:
    """A role was changed, done or denied. The message names it as `role NAME` or by its ARN."""
    names = [arn.rpartition("/")[2] for arn in arns]
    roles = (*map("role {}".format, names), *arns)
    messages = [{"wildcard": f"*resource: {role} *"} for role in roles]
    changes = [{"anything-but": {"prefix": ["Get", "List"]}}]
    return _of("iam", {"eventName": changes, **_on_role("roleName", names, messages)})


def _on_role(field: str, names: Sequence[str], messages: Sequence[Any]) -> dict[str, Any]:
    """On a role: by the request, or where there is none, by the message of the denial.

    IAM does not distinguish names by case, and an event has the name as the caller wrote it. Of a
    denied call IAM leaves the request out.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-names
    """
    same = [{"equals-ignore-case": name} for name in names]
    denied = {"requestParameters": {field: [_ABSENT]}, "errorMessage": messages}
    return {"$or": [{"requestParameters": {field: same}}, denied]}


def _builds(arns: Sequence[str]) -> dict[str, Any]:
    """A trusted CodeBuild project was changed, made anew, or started with what is not its own.

    What a project runs, runs as the pipeline role. An override of the buildspec, the image or the
    source brings other code; so does a sandbox, which gives a shell.
    https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html
    """
    projects = [*(arn.partition(":project/")[2] for arn in arns), *arns]
    overrides = ("buildspecOverride", "imageOverride", "sourceLocationOverride")
    overridden = {"$or": [{override: [{"exists": True}]} for override in overrides]}
    calls: list[tuple[list[Any], dict[str, Any]]] = [
        (["CreateProject", "UpdateProject"], {"name": projects}),
        (["StartSandbox"], {"projectName": projects}),
        ([{"prefix": "StartBuild"}], {"projectName": projects, **overridden}),
    ]
    either = [{"eventName": names, "requestParameters": request} for names, request in calls]
    return _of("codebuild", {"$or": either})


def _assumed(role: str, trust: Trust) -> dict[str, Any]:
    """The created role was assumed, done or denied, by a principal outside its trust policy.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
    https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html
    """
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
    who = {"userIdentity": identity} if identity else {}
    call = {"eventName": [{"prefix": "AssumeRole"}], **who}
    return _of("sts", call | _on_role("roleArn", [role], denial))


def from_rules(place: Mapping[str, Any], prefix: str, action: str, resource: str) -> dict[str, Any]:
    """Only the rules whose names begin so may do this: publish to a topic, send to a queue.

    By the beginning of the names: a queue's policy has no room for every ARN.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
    """
    of_rules = {"ArnLike": {"aws:SourceArn": arn(place, "events", f"rule/{prefix}-*")}}
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
