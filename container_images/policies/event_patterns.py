"""Pure: which events of CloudTrail are told about, as the patterns of EventBridge's rules.

A pattern says what an event must have: every field that it names, with one of the values listed.
A field that is not there matches nothing but `exists: false`, so a pattern about everybody *but*
some roles says both.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html

No pattern names a detail-type: `detail.eventSource` is in CloudTrail's events alone, and some calls
of ECR come as "AWS API Call via CloudTrail" and some as "AWS Service Event via CloudTrail".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypedDict

from container_images.policies import alert_messages
from container_images.policies.alert_messages import Message
from container_images.policies.document import arn, to_json
from container_images.policies.ecr_actions import Effect, actions
from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.policies.trust_policy import Trust, github_provider

MAX_EVENT_PATTERN: Final = 2_048
"""Characters of a pattern, unless AWS raised the account's quota:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html"""

IAM_REGIONS: Final[Mapping[str, str]] = {
    "aws": "us-east-1",
    "aws-cn": "cn-north-1",
    "aws-us-gov": "us-gov-west-1",
}
"""Where the events of IAM arrive, by partition, and nowhere else.
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html
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
    """Who may become that role."""


@dataclass(frozen=True, kw_only=True)
class EventRule:
    """A rule on the default event bus of a Region."""

    name: str
    region: str
    description: str
    pattern: dict[str, Any]
    read_only: bool
    """Whether it is also about read-only calls, which reach no rule that does not ask for them.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail-management.html"""
    message: Message | None
    """What people are told; None where the event goes on to the bus of the repositories' Region."""


def event_rules(name: str, audit: Audit) -> list[EventRule]:
    """All rules. Their names begin with `name`.

    A list that is too long for one pattern goes over several rules. Raises InvalidInputError where
    even that does not help.
    """
    region, iam_region = audit["region"], IAM_REGIONS[audit["partition"]]
    forwarded = _role_kinds(audit) if region != iam_region else ()
    return [
        EventRule(
            name=f"{name}-{region}-{kind}" if forwards else f"{name}-{kind}",
            region=iam_region if forwards else region,
            description=f"To {region}: {message.about}" if forwards else message.about,
            pattern=pattern,
            read_only=kind.startswith(_READ_ONLY),
            message=None if forwards else message,
        )
        for forwards, kinds in ((False, _kinds(audit)), (True, forwarded))
        for kind, pattern, message in kinds
    ]


_READ_ONLY: Final = ("expiry", "assumed")
"""The work of a lifecycle policy counts as read-only, and so does AssumeRole."""


def _kinds(audit: Audit) -> Iterator[tuple[str, dict[str, Any], Message]]:
    names = sorted(set(audit["repositories"]))
    for kind, pattern, message in (
        ("tags", _tags, alert_messages.TAGS),
        ("guard", _guard, alert_messages.GUARD),
        ("expiry", _expiry, alert_messages.EXPIRY),
    ):
        yield from _numbered(kind, names, partial(pattern, audit), message)
    yield "unnamed", _fitting(_unnamed(audit)), alert_messages.UNNAMED
    yield "registry", _fitting(_registry()), alert_messages.REGISTRY
    yield from _role_kinds(audit)


def _role_kinds(audit: Audit) -> Iterator[tuple[str, dict[str, Any], Message]]:
    """What becomes of the roles. Their events arrive in the Region of IAM.

    Those of STS arrive where it was asked, which may be either Region.
    """
    account = f":{audit['account_id']}:"
    roles = {*audit["pipeline_roles"], *audit["administrator_roles"]}
    local = sorted(arn for arn in roles if account in arn)
    yield from _numbered("roles", local, _roles, alert_messages.ROLES, _MOST_ROLES)
    if audit["created_role"]:
        yield "assumed", _fitting(_assumed(audit)), alert_messages.ASSUMED


# --- Patterns -------------------------------------------------------------------------------------

_ABSENT: Final = {"exists": False}


def _calls(*effects: Effect) -> list[str]:
    return [it.removeprefix("ecr:") for it in actions(*effects)]


_TAG_CALLS: Final = _calls(Effect.MOVE_TAG, Effect.DELETE_IMAGE, Effect.REPLICATE)
# A repository that is made anew under its name has no guard.
_GUARD_CALLS: Final = _calls(Effect.CHANGE_GUARD, Effect.CREATE_REPOSITORY)


def _of(service: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "source": [f"aws.{service}"],
        "detail": {"eventSource": [f"{service}.amazonaws.com"], **detail},
    }


def _by_anybody_but(roles: Sequence[str]) -> dict[str, Any]:
    """The role of a session is its issuer. Users, the root and services have none."""
    others = [{"anything-but": sorted(set(roles))}, _ABSENT]
    return {"userIdentity": {"sessionContext": {"sessionIssuer": {"arn": others}}}}


def _on(audit: Audit, names: Sequence[str]) -> dict[str, Any]:
    """On these repositories: by `resources`, or where there is none, by the request.

    CloudTrail leaves the request out where it is too large, and a manifest may be.
    """
    return {
        "$or": [
            {"resources": {"ARN": [arn(audit, "ecr", f"repository/{name}") for name in names]}},
            {
                "resources": {"ARN": [_ABSENT]},
                "requestParameters": {
                    "repositoryName": list(names),
                    "registryId": [audit["account_id"], _ABSENT],
                },
            },
        ]
    }


def _tags(audit: Audit, names: Sequence[str]) -> dict[str, Any]:
    """A tag was written or an image deleted, done or denied, by anyone but the pipeline."""
    who = _by_anybody_but(audit["pipeline_roles"])
    return _of("ecr", {"eventName": _TAG_CALLS, **who, **_on(audit, names)})


def _guard(audit: Audit, names: Sequence[str]) -> dict[str, Any]:
    """A guard was changed, done or denied, by anyone."""
    return _of("ecr", {"eventName": _GUARD_CALLS, **_on(audit, names)})


def _expiry(audit: Audit, names: Sequence[str]) -> dict[str, Any]:
    """A lifecycle policy took an image that carried a movable tag."""
    image = {"lifecycleEventImage": {"tagList": sorted(audit["movable_tags"])}}
    details = {"repositoryName": list(names), "lifecycleEventImageActions": image}
    return _of("ecr", {"eventName": ["PolicyExecutionEvent"], "serviceEventDetails": details})


def _unnamed(audit: Audit) -> dict[str, Any]:
    """One of these calls, of which CloudTrail does not say on which repository it was.

    It may have been on one that is not ours: then the alert is one too many.
    """
    return _of(
        "ecr",
        {
            "resources": {"ARN": [_ABSENT]},
            "requestParameters": {
                "repositoryName": [_ABSENT],
                "resourceArn": [{"prefix": arn(audit, "ecr", "repository/")}, _ABSENT],
            },
            "$or": [
                {"eventName": _TAG_CALLS, **_by_anybody_but(audit["pipeline_roles"])},
                {"eventName": _GUARD_CALLS},
            ],
        },
    )


def _registry() -> dict[str, Any]:
    """The registry was changed as a whole: no repository policy has a say in it."""
    return _of("ecr", {"eventName": _calls(Effect.CHANGE_REGISTRY)})


_MOST_ROLES: Final = 2
"""In one pattern, which has two wildcards for each: EventBridge refuses a rule with many of them as
too complex."""


def _roles(arns: Sequence[str]) -> dict[str, Any]:
    """A role was changed, done or denied.

    Of a denied call IAM leaves the request out; its message names the role, as `role NAME` or by
    its ARN.
    """
    names = [arn.rpartition("/")[2] for arn in arns]
    messages = [f"*resource: {it} *" for it in (*map("role {}".format, names), *arns)]
    return _of(
        "iam",
        {
            "eventName": [{"anything-but": {"prefix": ["Get", "List"]}}],
            "$or": [
                {"requestParameters": {"roleName": names}},
                {
                    "requestParameters": {"roleName": [_ABSENT]},
                    "errorMessage": [{"wildcard": it} for it in messages],
                },
            ],
        },
    )


def _assumed(audit: Audit) -> dict[str, Any]:
    """The created role was assumed, done or denied, by somebody outside its trust policy.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
    https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html
    """
    role, trust = audit["created_role"], audit["trust"]
    roles = sorted(trust["roles"])
    # Of a caller of another account CloudTrail only tells the account.
    accounts = sorted({arn.split(":")[4] for arn in roles} - {trust["account_id"]})
    identity: dict[str, Any] = {}
    if roles:
        identity |= _by_anybody_but(roles)["userIdentity"]
    if trust["codebuild_projects"]:
        identity["invokedBy"] = [{"anything-but": ["codebuild.amazonaws.com"]}, _ABSENT]
    if trust["github_subjects"]:
        provider = github_provider(trust)
        jobs = [f"{provider}:sts.amazonaws.com:{it}" for it in sorted(trust["github_subjects"])]
        identity["principalId"] = [{"anything-but": jobs}, _ABSENT]
    if accounts:
        identity["$or"] = [
            {"type": [{"anything-but": ["AWSAccount"]}, _ABSENT]},
            {"accountId": [{"anything-but": accounts}, _ABSENT]},
        ]
    return _of(
        "sts",
        {
            "eventName": [{"prefix": "AssumeRole"}],
            **({"userIdentity": identity} if identity else {}),
            "$or": [
                {"requestParameters": {"roleArn": [role]}},
                {
                    "requestParameters": {"roleArn": [_ABSENT]},
                    "errorMessage": [
                        {"suffix": f" on resource: {role}"},
                        {"wildcard": f"*resource: {role} *"},
                    ],
                },
            ],
        },
    )


# --- Within the limit -----------------------------------------------------------------------------


def _numbered(
    kind: str,
    items: Sequence[str],
    pattern: Callable[[Sequence[str]], dict[str, Any]],
    message: Message,
    most: int | None = None,
) -> Iterator[tuple[str, dict[str, Any], Message]]:
    """As many patterns as the items take, each with as many items as fit, or with the most."""
    chunks: list[list[str]] = []
    for item in items:
        last = [*chunks[-1], item] if chunks and len(chunks[-1]) != most else []
        if last and _length(pattern(last)) <= MAX_EVENT_PATTERN:
            chunks[-1] = last
        else:
            chunks.append([item])
    for number, chunk in enumerate(chunks, start=1):
        yield f"{kind}-{number}", _fitting(pattern(chunk)), message


def _length(pattern: Mapping[str, Any]) -> int:
    return len(to_json(pattern))


def _fitting(pattern: dict[str, Any]) -> dict[str, Any]:
    if (length := _length(pattern)) <= MAX_EVENT_PATTERN:
        return pattern
    problem = Problem(
        where=("audit",),
        value=f"{length:,} characters",
        rule=f"EventBridge takes an event pattern of at most {MAX_EVENT_PATTERN:,} "
        "characters, and each has to name all pipeline roles, or all principals that the created "
        "role trusts",
        fix="name fewer of them, or leave audit out",
    )
    raise InvalidInputError([problem])
