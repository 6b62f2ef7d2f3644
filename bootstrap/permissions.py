"""Pure: what the roles of CI may do, and the policy documents that say it.

They follow from what the AWS provider calls for each type of resource in the stack. A test holds
these lists against the calls of a rehearsal, and fails for a type that is not here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

from policies import audit_policies
from policies.document import document_of
from policies.ecr_actions import Effect, actions
from policies.event_patterns import IAM_REGIONS

AUDIT: Final = "tag-audit"
"""What the names of the audit's resources begin with."""


@dataclass(frozen=True, kw_only=True)
class Calls:
    """What the AWS provider calls for a type of resource."""

    scope: str
    """Which resources the calls are about, as `_scopes` names them."""
    read: tuple[str, ...]
    """To preview and refresh."""
    write: tuple[str, ...]
    """To create and update; to delete as well, unless the stack retains the resource."""


RESOURCES: Final[Mapping[str, Calls]] = {
    "aws:ecr/repository:Repository": Calls(
        scope="Repositories",
        # The provider reads the resource tags by themselves.
        read=("ecr:DescribeRepositories", "ecr:ListTagsForResource"),
        # Protected and retained: no DeleteRepository. Tags at creation need TagResource too.
        write=(
            "ecr:CreateRepository",
            "ecr:PutImageScanningConfiguration",
            "ecr:PutImageTagMutability",
            "ecr:TagResource",
            "ecr:UntagResource",
        ),
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": Calls(
        scope="Repositories",
        read=("ecr:GetLifecyclePolicy",),
        write=("ecr:PutLifecyclePolicy",),  # retained
    ),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": Calls(
        scope="Repositories",
        read=("ecr:GetRepositoryPolicy",),
        write=("ecr:SetRepositoryPolicy",),  # retained
    ),
    "aws:iam/role:Role": Calls(
        scope="Roles",
        # Inline and attached policies are attributes of the provider's role.
        read=(
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
        ),
        # Another path replaces the role; before it deletes one, the provider asks for its instance
        # profiles. The boundary comes with CreateRole, and is never changed.
        write=(
            "iam:CreateRole",
            "iam:DeleteRole",
            "iam:ListInstanceProfilesForRole",
            "iam:TagRole",
            "iam:UntagRole",
            "iam:UpdateAssumeRolePolicy",
            "iam:UpdateRole",
            "iam:UpdateRoleDescription",
        ),
    ),
    "aws:iam/rolePolicy:RolePolicy": Calls(
        scope="Roles",
        read=("iam:GetRolePolicy",),
        write=("iam:DeleteRolePolicy", "iam:PutRolePolicy"),
    ),
    "aws:cloudwatch/eventRule:EventRule": Calls(
        scope="Audit",
        read=("events:DescribeRule", "events:ListTagsForResource"),
        write=(
            "events:DeleteRule",
            "events:PutRule",
            "events:TagResource",
            "events:UntagResource",
        ),
    ),
    "aws:cloudwatch/eventTarget:EventTarget": Calls(
        scope="Audit",
        read=("events:ListTargetsByRule",),
        write=("events:PutTargets", "events:RemoveTargets"),
    ),
    "aws:sns/topic:Topic": Calls(
        scope="Audit",
        read=("sns:GetTopicAttributes", "sns:ListTagsForResource"),
        write=(
            "sns:CreateTopic",
            "sns:DeleteTopic",
            "sns:SetTopicAttributes",
            "sns:TagResource",
            "sns:UntagResource",
        ),
    ),
    "aws:sns/topicSubscription:TopicSubscription": Calls(
        scope="Audit",
        read=("sns:GetSubscriptionAttributes",),
        write=("sns:Subscribe", "sns:Unsubscribe"),
    ),
    "aws:sqs/queue:Queue": Calls(
        scope="Audit",
        read=("sqs:GetQueueAttributes", "sqs:ListQueueTags"),
        write=(
            "sqs:CreateQueue",
            "sqs:DeleteQueue",
            "sqs:SetQueueAttributes",
            "sqs:TagQueue",
            "sqs:UntagQueue",
        ),
    ),
    "aws:kms/key:Key": Calls(
        scope="AuditKeys",
        read=(
            "kms:DescribeKey",
            "kms:GetKeyPolicy",
            "kms:GetKeyRotationStatus",
            "kms:ListResourceTags",
        ),
        # Deleted by an administrator alone: see docs/ci.md.
        write=(
            "kms:CreateKey",
            "kms:EnableKey",
            "kms:EnableKeyRotation",
            "kms:PutKeyPolicy",
            "kms:TagResource",
            "kms:UntagResource",
            "kms:UpdateKeyDescription",
        ),
    ),
    "aws:kms/alias:Alias": Calls(
        scope="AuditKeys",
        read=("kms:ListAliases",),
        write=("kms:CreateAlias",),  # moved and deleted by an administrator alone
    ),
    "aws:cloudtrail/trail:Trail": Calls(
        scope="Trail",
        # Selectors are read where somebody has set some.
        read=("cloudtrail:DescribeTrails", "cloudtrail:Get*", "cloudtrail:ListTags"),
        write=(
            "cloudtrail:AddTags",
            "cloudtrail:CreateTrail",
            "cloudtrail:DeleteTrail",
            "cloudtrail:PutEventSelectors",
            "cloudtrail:RemoveTags",
            "cloudtrail:StartLogging",
            "cloudtrail:UpdateTrail",
        ),
    ),
    "aws:s3/bucket:Bucket": Calls(
        scope="Trail",
        # The provider reads each setting of a bucket, and each of its releases may read more.
        read=(
            "s3:Get*Configuration",
            "s3:GetBucket*",
            "s3:ListBucket",
            "s3:ListTagsForResource",
        ),
        write=("s3:CreateBucket", "s3:TagResource", "s3:UntagResource"),  # retained
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Calls(
        scope="Trail",
        read=("s3:GetBucket*",),
        write=("s3:PutBucketPublicAccessBlock",),
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Calls(
        scope="Trail",
        read=("s3:GetBucket*",),
        write=("s3:PutBucketVersioning",),
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Calls(
        scope="Trail",
        read=("s3:Get*Configuration",),
        write=("s3:PutEncryptionConfiguration",),
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Calls(
        scope="Trail",
        read=("s3:Get*Configuration",),
        write=("s3:PutLifecycleConfiguration",),
    ),
    "aws:s3/bucketPolicy:BucketPolicy": Calls(
        scope="Trail",
        read=("s3:GetBucket*",),
        write=("s3:DeleteBucketPolicy", "s3:PutBucketPolicy"),
    ),
}
"""By type. What a new type of resource needs is added here.
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

BOUNDED: Final = frozenset(
    {
        "iam:CreateRole",
        "iam:DeleteRolePolicy",
        "iam:PutRolePolicy",
    }
)
"""The calls of which IAM tells the role's boundary (`iam:PermissionsBoundary`): they are allowed
for a role with the boundary of its scope alone.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagement.html
"""

ALIASED: Final = frozenset(
    {
        "kms:EnableKey",
        "kms:PutKeyPolicy",
        "kms:UntagResource",
        "kms:UpdateKeyDescription",
    }
)
"""The calls that change a key which is there: they are allowed for a key with an alias of the audit
alone. All other calls for keys precede the alias, and are allowed for a key without one as well.
https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html
"""

CREATING: Final = frozenset({"kms:CreateKey", "kms:TagResource"})
"""The calls that create a key with tags: KMS asks for both before the key has an ARN.
https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html
"""

WITHOUT_RESOURCE: Final = frozenset(
    {
        "cloudtrail:DescribeTrails",
        "kms:ListAliases",
        "sns:GetSubscriptionAttributes",
        "sns:Unsubscribe",
    }
)
"""The calls that a policy can allow for all resources only.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudtrail.html
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awskeymanagementservice.html
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html
"""

CHECKS: Final = ("cloudtrail:LookupEvents", "iam:GetAccountAuthorizationDetails")
"""What `make moves` and `make movers` read besides. It is about no one resource."""

MAX_MANAGED_POLICY: Final = 6_144
"""Characters of a managed policy, white space aside:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""


class Place(TypedDict):
    """Where the roles are, and what they are about. ARNs are exact."""

    partition: str
    account_id: str
    region: str
    preview_role: str
    """ARN of the role that previews."""
    deploy_role: str
    """ARN of the role that updates."""
    pipeline_role: str
    """ARN of the pipeline role, or nothing if the stack creates none."""
    pipeline_boundary: str
    """ARN of the policy that bounds the pipeline role."""
    audit_boundary: str
    """ARN of the policy that bounds the audit's role, or nothing if the stack has no audit."""
    audit_trail: bool
    """Whether the audit creates its trail."""
    deploy_boundary: str
    """ARN of the policy that is the deploy role's, and bounds it. The other two begin with it."""
    repository_keys: list[str]
    """ARNs of the keys that repositories are encrypted with."""
    state_bucket: str
    """ARN of the bucket that has Pulumi's state."""
    preview_projects: list[str]
    """ARNs of the projects of CodeBuild that run as the preview role."""
    deploy_projects: list[str]
    """ARNs of those that run as the deploy role."""
    artifact_bucket: str
    """ARN of the bucket in which CodePipeline hands them the source, or nothing."""
    artifact_key: str
    """ARN of the key of that bucket, or nothing where it is one that S3 manages."""


def preview_policy(place: Place, state_key: str) -> dict[str, Any]:
    """What the preview role may do: read what the stack manages, its state, and the account's IAM.

    A preview takes no lock and writes no state, so nothing here writes.
    """
    return document_of(
        [
            *_of_the_resources(place, "read"),
            _allow("Checks", CHECKS, "*"),
            *_state(place, state_key, objects=["s3:GetObject"], key=["kms:Decrypt"]),
            *_build(place, place["preview_projects"]),
        ]
    )


def deploy_policy(place: Place, state_key: str) -> dict[str, Any]:
    """What the deploy role may do, and what it may not, whatever it is given besides.

    It is both the role's policy and its boundary: a policy that somebody attaches to the role adds
    nothing. The Denies hold against what a policy of another resource would allow it, which a
    boundary alone does not: a trust policy, a repository policy.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html#access_policies_boundaries-eval-logic
    """
    own = [place["deploy_role"], place["preview_role"]]
    return document_of(
        [
            *_of_the_resources(place, "read", "write"),
            *_repository_keys(place),
            *_state(
                place,
                state_key,
                objects=["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
                key=["kms:Decrypt", "kms:GenerateDataKey"],
            ),
            *_build(place, place["deploy_projects"]),
            *_other_roles(place),
            _on(
                "Deny",
                "MovesNoTagsAndDeletesNoImages",
                actions(Effect.MOVE_TAG, Effect.DELETE_IMAGE),
                "*",
            ),
            {
                "Sid": "OnlyReadsItselfAndItsBounds",
                "Effect": "Deny",
                "NotAction": ["iam:Get*", "iam:List*"],
                "Resource": [*own, f"{place['deploy_boundary']}*"],
            },
        ]
    )


def pipeline_boundary() -> dict[str, Any]:
    """The most that a pipeline role can do, whatever the deploy role writes into it: its work."""
    push_and_pull = actions(Effect.PULL, Effect.READ, Effect.UPLOAD, Effect.MOVE_TAG)
    return document_of([_allow("Images", [*push_and_pull, "ecr:GetAuthorizationToken"], "*")])


def audit_boundary(place: Place) -> dict[str, Any]:
    """The most that the audit's role can do: send events to the repositories' Region."""
    return audit_policies.forwarding_policy(_arn(place, "events", "event-bus/default"))


def bucket_policy(bucket_arn: str) -> dict[str, Any]:
    """Nobody reaches the state but by TLS.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html
    """
    return document_of(
        [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [bucket_arn, f"{bucket_arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ]
    )


@dataclass(frozen=True, kw_only=True)
class _Guard:
    """A condition that some calls have, on some of a scope's resources."""

    name: str
    calls: frozenset[str]
    arns: str | list[str]
    condition: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Scope:
    """The resources of some types."""

    name: str
    arns: list[str]
    condition: dict[str, Any] | None = None
    """Of all calls but the guarded ones."""
    guards: list[_Guard] = field(default_factory=list)


def _scopes(place: Place) -> Iterable[_Scope]:
    """The resources of the stack. What it does not have is left out."""
    yield _Scope(name="Repositories", arns=[_arn(place, "ecr", "repository/*")])
    bounded = {
        "PipelineRole": (place["pipeline_role"], place["pipeline_boundary"]),
        "ForwardingRole": (_forwarding_role(place), place["audit_boundary"]),
    }
    if roles := [role for role, _ in bounded.values() if role]:
        yield _Scope(
            name="Roles",
            arns=roles,
            guards=[
                _Guard(
                    name=name,
                    calls=BOUNDED,
                    arns=[role],
                    condition={"StringEquals": {"iam:PermissionsBoundary": boundary}},
                )
                for name, (role, boundary) in bounded.items()
                if role
            ],
        )
    if place["audit_boundary"]:
        yield from _audit_scopes(place)


def _audit_scopes(place: Place) -> Iterable[_Scope]:
    """The audit's resources, by their names. A key's name is an alias."""
    arns = [_arn(place, "sns", AUDIT)]
    named, aliases, keys = [], [], []
    for prefix, region in _audit_regions(place).items():
        arns += [
            _arn(place, "events", f"rule/{prefix}-*", region),
            _arn(place, "sqs", f"{prefix}-undelivered", region),
        ]
        named.append(f"alias/{prefix}")
        aliases.append(_arn(place, "kms", f"alias/{prefix}", region))
        keys.append(_arn(place, "kms", "key/*", region))
    yield _Scope(name="Audit", arns=arns)
    if place["audit_trail"]:
        bucket = f"{AUDIT}-{place['account_id']}-{place['region']}"
        trail = [
            _arn(place, "cloudtrail", f"trail/{AUDIT}"),
            f"arn:{place['partition']}:s3:::{bucket}",
        ]
        yield _Scope(name="Trail", arns=trail)
    # True of a key without any alias as well, as each of the audit's is at first.
    ours_or_new = {"ForAllValues:StringEquals": {"kms:ResourceAliases": named}}
    yield _Scope(
        name="AuditKeys",
        arns=[*aliases, *keys],
        condition=ours_or_new,
        guards=[
            _Guard(name="NewKeys", calls=CREATING, arns="*", condition=ours_or_new),
            _Guard(
                name="AuditKeysInUse",
                calls=ALIASED,
                arns=keys,
                condition={"ForAnyValue:StringEquals": {"kms:ResourceAliases": named}},
            ),
        ],
    )


def _audit_regions(place: Place) -> dict[str, str]:
    """What the names of the audit's resources begin with, and in which Region."""
    iam_region = IAM_REGIONS[place["partition"]]
    there = {} if iam_region == place["region"] else {f"{AUDIT}-{place['region']}": iam_region}
    return {AUDIT: place["region"], **there}


def _arn(place: Place, service: str, resource: str, region: str = "") -> str:
    where = f"{place['partition']}:{service}:{region or place['region']}:{place['account_id']}"
    return f"arn:{where}:{resource}"


def _forwarding_role(place: Place) -> str:
    """ARN of the audit's role, or nothing if there is none."""
    name = f"{AUDIT}-{place['region']}"
    if not place["audit_boundary"] or name not in _audit_regions(place):
        return ""
    return f"arn:{place['partition']}:iam::{place['account_id']}:role/{name}"


def _other_roles(place: Place) -> Iterable[dict[str, Any]]:
    """The deploy role becomes no other role, and hands none to a service but the audit's.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
    """
    passing, becoming = "iam:PassRole", "sts:AssumeRole"
    if role := _forwarding_role(place):
        service = {"StringEquals": {"iam:PassedToService": audit_policies.EVENTBRIDGE}}
        yield _allow("PassForwardingRole", [passing], role, service)
        yield _on("Deny", "BecomesNobodyElse", [becoming], "*")
        yield {
            "Sid": "PassesNoOtherRole",
            "Effect": "Deny",
            "Action": [passing],
            "NotResource": role,
        }
    else:
        yield _on("Deny", "BecomesNobodyElse", [passing, becoming], "*")


def _of_the_resources(place: Place, *kinds: str) -> Iterable[dict[str, Any]]:
    everywhere: set[str] = set()
    for scope in _scopes(place):
        called = {
            action
            for calls in RESOURCES.values()
            if calls.scope == scope.name
            for kind in kinds
            for action in getattr(calls, kind)
        }
        everywhere |= called & WITHOUT_RESOURCE
        called -= WITHOUT_RESOURCE
        guarded = frozenset[str]().union(*(it.calls for it in scope.guards))
        yield _allow(scope.name, called - guarded, scope.arns, scope.condition)
        for it in scope.guards:
            if calls_ := called & it.calls:
                yield _allow(it.name, calls_, it.arns, it.condition)
    if everywhere:
        yield _allow("NoOneResource", everywhere, "*")
    # The program looks up the path of the role that runs it.
    yield _allow("OwnRole", ["iam:GetRole"], [place["deploy_role"], place["preview_role"]])


def _repository_keys(place: Place) -> Iterable[dict[str, Any]]:
    """What ECR asks of whoever creates a repository with a key of their own.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html
    """
    if keys := place["repository_keys"]:
        service = f"ecr.{place['region']}.amazonaws.com"
        yield _allow(
            "RepositoryKeys",
            ["kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant"],
            keys,
            {"StringEquals": {"kms:ViaService": service}},
        )


def _state(
    place: Place, state_key: str, *, objects: list[str], key: list[str]
) -> Iterable[dict[str, Any]]:
    """Pulumi's state, and the key of its secrets, which encrypts the bucket too."""
    bucket = place["state_bucket"]
    yield _allow("StateBucket", ["s3:ListBucket"], bucket)
    yield _allow("State", objects, f"{bucket}/*")
    yield _allow("StateKey", key, state_key)


def _build(place: Place, projects: list[str]) -> Iterable[dict[str, Any]]:
    """What a build in CodeBuild needs of its service role, whatever it builds.

    https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html
    """
    if projects:
        groups = [
            arn.replace(":codebuild:", ":logs:").replace(":project/", ":log-group:/aws/codebuild/")
            for arn in projects
        ]
        yield _allow(
            "BuildLogs",
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            [*groups, *(f"{it}:*" for it in groups)],
        )
    if bucket := place["artifact_bucket"]:
        yield _allow(
            "BuildSource", ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"], f"{bucket}/*"
        )
    if key := place["artifact_key"]:
        yield _allow("BuildSourceKey", ["kms:Decrypt", "kms:GenerateDataKey"], key)


def _allow(
    sid: str,
    called: Iterable[str],
    resource: str | list[str],
    condition: dict[str, Any] | None = None,
) -> dict[str, Any]:
    statement = _on("Allow", sid, called, resource)
    return statement | {"Condition": condition} if condition else statement


def _on(effect: str, sid: str, called: Iterable[str], resource: str | list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": effect, "Action": sorted(set(called)), "Resource": resource}
