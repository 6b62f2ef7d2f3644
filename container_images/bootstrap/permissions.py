"""Pure: what the roles of CI may do, and the policy documents that say it.

They follow from what the AWS provider calls for each type of resource in the stack. A test holds
these lists against the calls of a rehearsal, and fails for a type that is not here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, TypedDict

from container_images.policies import audit_policies
from container_images.policies.document import arn, document_of, only_with_tls
from container_images.policies.ecr_actions import Effect, actions
from container_images.policies.event_patterns import IAM_REGIONS

AUDIT: Final = "tag-audit"
"""What the names of the audit's resources begin with."""


@dataclass(frozen=True)
class Calls:
    """What the AWS provider calls for a type of resource, as IAM names it."""

    read: tuple[str, ...]
    """To preview and refresh."""
    write: tuple[str, ...]
    """To create and update; to delete as well, unless the stack retains the resource."""


def _calls(service: str, read: str, write: str) -> Calls:
    """Actions of one service, each list a text."""
    return Calls(*(tuple(f"{service}:{it}" for it in them.split()) for them in (read, write)))


RESOURCES: Final[Mapping[str, Calls]] = {
    "aws:ecr/repository:Repository": _calls(
        "ecr",
        # The provider reads the resource tags by themselves.
        read="DescribeRepositories ListTagsForResource",
        # Protected and retained: no DeleteRepository. Tags at creation need TagResource too.
        write="CreateRepository PutImageScanningConfiguration PutImageTagMutability"
        " TagResource UntagResource",
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": _calls(
        "ecr",
        read="GetLifecyclePolicy",
        write="PutLifecyclePolicy",  # retained
    ),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": _calls(
        "ecr",
        read="GetRepositoryPolicy",
        write="SetRepositoryPolicy",  # retained
    ),
    "aws:iam/role:Role": _calls(
        "iam",
        # Inline and attached policies are attributes of the provider's role.
        read="GetRole GetRolePolicy ListAttachedRolePolicies ListRolePolicies",
        # Another path replaces the role; before it deletes one, the provider asks for its instance
        # profiles. The boundary comes with CreateRole, and is never changed.
        write="CreateRole DeleteRole ListInstanceProfilesForRole TagRole UntagRole"
        " UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription",
    ),
    "aws:iam/rolePolicy:RolePolicy": _calls(
        "iam", read="GetRolePolicy", write="DeleteRolePolicy PutRolePolicy"
    ),
    "aws:cloudwatch/eventRule:EventRule": _calls(
        "events",
        read="DescribeRule ListTagsForResource",
        write="DeleteRule PutRule TagResource UntagResource",
    ),
    "aws:cloudwatch/eventTarget:EventTarget": _calls(
        "events", read="ListTargetsByRule", write="PutTargets RemoveTargets"
    ),
    "aws:sns/topic:Topic": _calls(
        "sns",
        read="GetTopicAttributes ListTagsForResource",
        write="CreateTopic DeleteTopic SetTopicAttributes TagResource UntagResource",
    ),
    "aws:sns/topicSubscription:TopicSubscription": _calls(
        "sns", read="GetSubscriptionAttributes", write="Subscribe Unsubscribe"
    ),
    "aws:sqs/queue:Queue": _calls(
        "sqs",
        read="GetQueueAttributes ListQueueTags",
        write="CreateQueue DeleteQueue SetQueueAttributes TagQueue UntagQueue",
    ),
    "aws:kms/key:Key": _calls(
        "kms",
        read="DescribeKey GetKeyPolicy GetKeyRotationStatus ListResourceTags",
        # Deleted by an administrator alone: see docs/ci.md.
        write="CreateKey EnableKey EnableKeyRotation PutKeyPolicy TagResource UntagResource"
        " UpdateKeyDescription",
    ),
    "aws:kms/alias:Alias": _calls(
        "kms",
        read="ListAliases",
        write="CreateAlias",  # moved and deleted by an administrator alone
    ),
    "aws:cloudtrail/trail:Trail": _calls(
        "cloudtrail",
        # Selectors are read where somebody has set some.
        read="DescribeTrails Get* ListTags",
        write="AddTags CreateTrail DeleteTrail PutEventSelectors RemoveTags StartLogging"
        " UpdateTrail",
    ),
    "aws:s3/bucket:Bucket": _calls(
        "s3",
        # The provider reads each setting of a bucket, and each of its releases may read more.
        read="Get*Configuration GetBucket* ListBucket ListTagsForResource",
        write="CreateBucket TagResource UntagResource",  # retained
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _calls(
        "s3", read="GetBucket*", write="PutBucketPublicAccessBlock"
    ),
    "aws:s3/bucketVersioning:BucketVersioning": _calls(
        "s3", read="GetBucket*", write="PutBucketVersioning"
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        _calls("s3", read="Get*Configuration", write="PutEncryptionConfiguration")
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _calls(
        "s3", read="Get*Configuration", write="PutLifecycleConfiguration"
    ),
    "aws:s3/bucketPolicy:BucketPolicy": _calls(
        "s3", read="GetBucket*", write="DeleteBucketPolicy PutBucketPolicy"
    ),
}
"""By type. What a new type of resource needs is added here.
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

BOUNDED: Final = frozenset({"iam:CreateRole", "iam:DeleteRolePolicy", "iam:PutRolePolicy"})
"""The calls of which IAM tells the role's boundary (`iam:PermissionsBoundary`): they are allowed
for a role with its own boundary alone.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagement.html
"""

ALIASED: Final = frozenset(
    {"kms:EnableKey", "kms:PutKeyPolicy", "kms:UntagResource", "kms:UpdateKeyDescription"}
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
    return _document(
        *_of_the_resources(place, "read"),
        _allow("Checks", CHECKS, "*"),
        *_state(place, state_key, objects=["s3:GetObject"], key=["kms:Decrypt"]),
        *_build(place, place["preview_projects"]),
    )


def deploy_policy(place: Place, state_key: str) -> dict[str, Any]:
    """What the deploy role may do, and what it may not, whatever it is given besides.

    It is both the role's policy and its boundary: a policy that somebody attaches to the role adds
    nothing. The Denies hold against what a policy of another resource would allow it, which a
    boundary alone does not: a trust policy, a repository policy.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html#access_policies_boundaries-eval-logic
    """
    # ECR asks this of whoever creates a repository with a key of their own:
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html
    by_ecr = {"StringEquals": {"kms:ViaService": f"ecr.{place['region']}.amazonaws.com"}}
    keys = ["kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant"]
    objects = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    moving = actions(Effect.MOVE_TAG, Effect.DELETE_IMAGE)
    own = [place["deploy_role"], place["preview_role"], f"{place['deploy_boundary']}*"]
    return _document(
        *_of_the_resources(place, "read", "write"),
        _allow("RepositoryKeys", keys, place["repository_keys"], by_ecr),
        *_state(place, state_key, objects=objects, key=["kms:Decrypt", "kms:GenerateDataKey"]),
        *_build(place, place["deploy_projects"]),
        *_other_roles(place),
        _on("Deny", "MovesNoTagsAndDeletesNoImages", moving, "*"),
        {
            "Sid": "OnlyReadsItselfAndItsBounds",
            "Effect": "Deny",
            "NotAction": ["iam:Get*", "iam:List*"],
            "Resource": own,
        },
    )


def pipeline_boundary() -> dict[str, Any]:
    """The most that a pipeline role can do, whatever the deploy role writes into it: its work."""
    push_and_pull = actions(Effect.PULL, Effect.READ, Effect.UPLOAD, Effect.MOVE_TAG)
    return document_of([_allow("Images", [*push_and_pull, "ecr:GetAuthorizationToken"], "*")])


def audit_boundary(place: Place) -> dict[str, Any]:
    """The most that the audit's role can do: send events to the repositories' Region."""
    return audit_policies.forwarding_policy(arn(place, "events", "event-bus/default"))


def bucket_policy(bucket_arn: str) -> dict[str, Any]:
    """Nobody reaches the state but by TLS."""
    return document_of([only_with_tls("TlsOnly", bucket_arn)])


_Scope = tuple[str, frozenset[str], list[str] | str, dict[str, Any] | None]
"""A Sid; the calls that it is about, of those in RESOURCES; ARNs; and a condition."""


def _scopes(place: Place) -> Iterable[_Scope]:
    """What is allowed on which resources of the stack. What it does not have is left out."""
    yield "Repositories", _of("ecr"), [arn(place, "ecr", "repository/*")], None
    bounded = {
        "PipelineRole": (place["pipeline_role"], place["pipeline_boundary"]),
        "ForwardingRole": (_forwarding_role(place), place["audit_boundary"]),
    }
    roles = {name: [role] if role else [] for name, (role, _) in bounded.items()}
    yield "Roles", _of("iam") - BOUNDED, [*chain(*roles.values())], None
    for name, (_, boundary) in bounded.items():
        condition = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
        yield name, BOUNDED, roles[name], condition
    if place["audit_boundary"]:
        yield from _audit_scopes(place)


def _audit_scopes(place: Place) -> Iterable[_Scope]:
    """The audit's resources, by their names. A key's name is an alias."""
    regions = _audit_regions(place).items()
    arns = [arn(place, "sns", AUDIT)]
    for prefix, region in regions:
        arns.append(arn(place, "events", f"rule/{prefix}-*", region))
        arns.append(arn(place, "sqs", f"{prefix}-undelivered", region))
    named = [f"alias/{prefix}" for prefix, _ in regions]
    aliases = [arn(place, "kms", f"alias/{prefix}", region) for prefix, region in regions]
    keys = [arn(place, "kms", "key/*", region) for _, region in regions]
    yield "Audit", _of("events", "sns", "sqs"), arns, None
    if place["audit_trail"]:
        bucket = f"{AUDIT}-{place['account_id']}-{place['region']}"
        trail = arn(place, "cloudtrail", f"trail/{AUDIT}")
        there = [trail, f"arn:{place['partition']}:s3:::{bucket}"]
        yield "Trail", _of("cloudtrail", "s3"), there, None
    # True of a key without any alias as well, as each of the audit's is at first.
    ours_or_new = {"ForAllValues:StringEquals": {"kms:ResourceAliases": named}}
    yield "AuditKeys", _of("kms") - CREATING - ALIASED, [*aliases, *keys], ours_or_new
    yield "NewKeys", CREATING, "*", ours_or_new
    ours = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": named}}
    yield "AuditKeysInUse", ALIASED, keys, ours


def _of(*services: str) -> frozenset[str]:
    """All calls of these services in RESOURCES."""
    return frozenset(
        action
        for calls in RESOURCES.values()
        for action in (*calls.read, *calls.write)
        if action.partition(":")[0] in services
    )


def _audit_regions(place: Place) -> dict[str, str]:
    """What the names of the audit's resources begin with, and in which Region."""
    iam_region = IAM_REGIONS[place["partition"]]
    there = {} if iam_region == place["region"] else {f"{AUDIT}-{place['region']}": iam_region}
    return {AUDIT: place["region"], **there}


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
    passing, becoming, role = "iam:PassRole", "sts:AssumeRole", _forwarding_role(place)
    service = {"StringEquals": {"iam:PassedToService": audit_policies.EVENTBRIDGE}}
    yield _allow("PassForwardingRole", [passing], role, service)
    yield _on("Deny", "BecomesNobodyElse", [becoming] if role else [passing, becoming], "*")
    if role:
        deny = {"Sid": "PassesNoOtherRole", "Effect": "Deny", "Action": [passing]}
        yield deny | {"NotResource": role}


def _of_the_resources(place: Place, *kinds: str) -> Iterable[dict[str, Any]]:
    asked = {
        action for calls in RESOURCES.values() for kind in kinds for action in getattr(calls, kind)
    }
    everywhere: set[str] = set()
    for sid, scope, arns, condition in _scopes(place):
        called = scope & asked
        everywhere |= called & WITHOUT_RESOURCE
        yield _allow(sid, called - WITHOUT_RESOURCE, arns, condition)
    yield _allow("NoOneResource", everywhere, "*")
    # The program looks up the path of the role that runs it.
    yield _allow("OwnRole", ["iam:GetRole"], [place["deploy_role"], place["preview_role"]])


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
    groups = [
        it.replace(":codebuild:", ":logs:").replace(":project/", ":log-group:/aws/codebuild/")
        for it in projects
    ]
    logging = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    yield _allow("BuildLogs", logging, [*groups, *(f"{it}:*" for it in groups)])
    objects = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
    bucket = place["artifact_bucket"]
    yield _allow("BuildSource", objects, bucket and f"{bucket}/*")
    yield _allow("BuildSourceKey", ["kms:Decrypt", "kms:GenerateDataKey"], place["artifact_key"])


def _document(*statements: dict[str, Any]) -> dict[str, Any]:
    """A policy. An Allow of nothing or on nothing, such as a bucket not there, is left out."""
    return document_of(
        it for it in statements if it["Effect"] == "Deny" or (it["Action"] and it["Resource"])
    )


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
