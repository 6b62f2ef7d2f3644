"""Pure: what the roles of CI may do, and the policy documents that say it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from container_images.policies import audit_policies
from container_images.policies.document import Location, arn, document_of, refuse_longer_than
from container_images.policies.ecr_actions import Effect, actions
from container_images.policies.trust_policy import Trust

AUDIT: Final = "tag-audit"
"""What the names of the audit's resources begin with."""

MAX_MANAGED_POLICY: Final = 6_144
"""Characters of a managed policy, white space aside:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What CI has in AWS. A role is named by path and name, such as /platform/registry-deploy."""

    location: Location
    preview: Trust
    """Who may assume the preview role."""
    deploy: Trust
    """Who may assume the deploy role."""
    preview_role: str
    deploy_role: str
    """The names of its policy and of the two boundaries begin with it."""
    pipeline_role: str = ""
    """Empty if the stack creates none."""
    audit: bool = True
    """Whether the stack has an audit."""
    repository_keys: Sequence[str] = ()
    """ARNs of the KMS keys that repositories are encrypted with."""
    state_bucket: str
    """Name of the bucket for Pulumi's state."""
    artifact_bucket: str = ""
    """Name of the bucket in which CodePipeline hands the source to CodeBuild; empty for none."""
    artifact_key: str = ""
    """ARN of the KMS key of that bucket; empty if it is one that S3 manages."""

    def iam_arn(self, kind: str, path_and_name: str = "") -> str:
        """ARN of a role, a policy or the root of the account."""
        account = f"arn:{self.location['partition']}:iam::{self.location['account_id']}"
        return f"{account}:{kind}{path_and_name}"

    def bucket_arn(self, name: str) -> str:
        """ARN of a bucket; empty for no name."""
        return name and f"arn:{self.location['partition']}:s3:::{name}"

    @property
    def ci_roles(self) -> list[str]:
        """ARNs of the roles that deploy and preview."""
        return [self.iam_arn("role", name) for name in (self.deploy_role, self.preview_role)]

    @property
    def pipeline_boundary(self) -> str:
        """Path and name of the policy that bounds the pipeline role."""
        return f"{self.deploy_role}-pipeline-boundary"

    @property
    def audit_boundary(self) -> str:
        """Path and name of the policy that bounds the audit's role."""
        return f"{self.deploy_role}-audit-boundary"

    @property
    def forwarding_role(self) -> str:
        """ARN of the audit's role, which sends IAM's events to the stack's Region."""
        return self.iam_arn("role", f"/{AUDIT}-{self.location['region']}")


@dataclass(frozen=True)
class Calls:
    """What the AWS provider calls at a service, to manage what the stack has there."""

    types: str
    """The stack's types of resources there."""
    read: str
    """To preview and refresh."""
    write: str
    """To create and update; to delete as well, unless the stack retains the resource."""


SERVICES: Final[Mapping[str, Calls]] = {
    "ecr": Calls(
        types="Repository LifecyclePolicy RepositoryPolicy",
        read="DescribeRepositories GetLifecyclePolicy GetRepositoryPolicy ListTagsForResource",
        # All are retained: nothing is deleted. Tags at creation need TagResource too.
        write="CreateRepository PutImageScanningConfiguration PutImageTagMutability"
        " PutLifecyclePolicy SetRepositoryPolicy TagResource UntagResource",
    ),
    "iam": Calls(
        types="Role RolePolicy",
        # Inline and attached policies are attributes of the provider's role.
        read="GetRole GetRolePolicy ListAttachedRolePolicies ListRolePolicies",
        # Another path replaces the role; before it deletes one, the provider asks for its instance
        # profiles. The boundary comes with CreateRole, and is never changed.
        write="CreateRole DeleteRole DeleteRolePolicy ListInstanceProfilesForRole PutRolePolicy"
        " TagRole UntagRole UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription",
    ),
    "events": Calls(
        types="EventRule EventTarget",
        read="DescribeRule ListTagsForResource ListTargetsByRule",
        write="DeleteRule PutRule PutTargets RemoveTargets TagResource UntagResource",
    ),
    "sns": Calls(
        types="Topic TopicSubscription",
        read="GetSubscriptionAttributes GetTopicAttributes ListTagsForResource",
        write="CreateTopic DeleteTopic SetTopicAttributes Subscribe TagResource Unsubscribe"
        " UntagResource",
    ),
    "sqs": Calls(
        types="Queue",
        read="GetQueueAttributes ListQueueTags",
        write="CreateQueue DeleteQueue SetQueueAttributes TagQueue UntagQueue",
    ),
}
"""By service. The calls of roles, rules, topics and subscriptions are those of the provider's code
(read in November 2026); those of queues, targets and ECR's policies are from memory. What a new
type of resource needs is added here. A folder for each service, and in it a file for each type:
https://github.com/hashicorp/terraform-provider-aws/tree/main/internal/service"""

BOUNDED: Final = frozenset({"iam:CreateRole", "iam:DeleteRolePolicy", "iam:PutRolePolicy"})
"""The calls for which IAM knows the role's boundary (`iam:PermissionsBoundary`): they are allowed
for a role with the boundary of the bootstrap alone.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
"""

WITHOUT_RESOURCE: Final = frozenset({"sns:GetSubscriptionAttributes", "sns:Unsubscribe"})
"""The calls that a policy can allow for all resources only.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html"""

# --- The documents --------------------------------------------------------------------------------


def preview_policy(delivery: Delivery, state_key: str) -> dict[str, Any]:
    """What the preview role may do: read what the stack manages, its state, and the account's IAM.

    A preview takes no lock and writes no state, and every branch's program runs as this role: it
    may write the logs of its own builds and nothing else.
    """
    return _document(
        *_stack(delivery, "read"),
        # For `history` and `who-can`. Neither belongs to one resource.
        _allow("Checks", ["cloudtrail:LookupEvents", "iam:GetAccountAuthorizationDetails"], "*"),
        *_state(delivery, state_key, objects=["s3:GetObject"], key=["kms:Decrypt"]),
        *_build(delivery, delivery.preview),
    )


def deploy_policy(delivery: Delivery, state_key: str) -> dict[str, Any]:
    """What the deploy role may do, and what it may not, whatever it is given besides.

    It is both the role's policy and its boundary: a policy that somebody attaches to the role adds
    nothing. The Denies hold against what a policy of another resource would allow it, which a
    boundary alone does not: a trust policy, a repository policy.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html#access_policies_boundaries-eval-logic

    Raises InvalidInputError where the document is longer than AWS accepts.
    """
    # ECR asks this of whoever creates a repository with a key of their own:
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html
    by_ecr = {
        "StringEquals": {"kms:ViaService": f"ecr.{delivery.location['region']}.amazonaws.com"}
    }
    keys = ["kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant"]
    objects = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    moving = actions(Effect.MOVE_TAG, Effect.DELETE_IMAGE)
    forwarding_role = delivery.forwarding_role if delivery.audit else ""
    to_eventbridge = {"StringEquals": {"iam:PassedToService": audit_policies.EVENTBRIDGE}}
    document = _document(
        *_stack(delivery, "read", "write"),
        _allow("RepositoryKeys", keys, list(delivery.repository_keys), by_ecr),
        *_state(delivery, state_key, objects=objects, key=["kms:Decrypt", "kms:GenerateDataKey"]),
        *_build(delivery, delivery.deploy),
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
        _allow("PassForwardingRole", ["iam:PassRole"], forwarding_role, to_eventbridge),
        {
            "Sid": "PassesNoOtherRole",
            "Effect": "Deny",
            "Action": ["iam:PassRole"],
            "NotResource": delivery.forwarding_role,
        },
        _deny("BecomesNoOtherRole", ["sts:AssumeRole"], "*"),
        _deny("MovesNoTagsAndDeletesNoImages", moving, "*"),
        {
            "Sid": "OnlyReadsItselfAndItsBounds",
            "Effect": "Deny",
            "NotAction": ["iam:Get*", "iam:List*"],
            "Resource": [
                *delivery.ci_roles,
                f"{delivery.iam_arn('policy', delivery.deploy_role)}*",
            ],
        },
    )
    lists = {
        "repositoryKeys": delivery.repository_keys,
        "codeBuildDeployProjects": delivery.deploy["codebuild_projects"],
    }
    refuse_longer_than(MAX_MANAGED_POLICY, "managed policy", document, lists)
    return document


def pipeline_boundary() -> dict[str, Any]:
    """The most that a pipeline role can do, whatever the deploy role writes into it: its work."""
    push_and_pull = actions(Effect.PULL, Effect.READ, Effect.UPLOAD, Effect.MOVE_TAG)
    return document_of([_allow("Images", [*push_and_pull, "ecr:GetAuthorizationToken"], "*")])


def audit_boundary(location: Location) -> dict[str, Any]:
    """The most that the audit's role can do: send events to the stack's Region."""
    return audit_policies.forwarding_policy(arn(location, "events", "event-bus/default"))


def bucket_policy(bucket_arn: str) -> dict[str, Any]:
    """Nobody reaches the state but by TLS.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html
    """
    tls = {"Bool": {"aws:SecureTransport": "false"}}
    deny = _deny("TlsOnly", ["s3:*"], [bucket_arn, f"{bucket_arn}/*"], tls)
    return document_of([{**deny, "Principal": "*"}])


def _stack(delivery: Delivery, *kinds: str) -> Iterator[dict[str, Any]]:
    """What is allowed, of these kinds of calls, on the resources of the stack."""

    def of(*services: str) -> frozenset[str]:
        return frozenset(
            f"{service}:{call}"
            for service in services
            for kind in kinds
            for call in getattr(SERVICES[service], kind).split()
        )

    yield _allow("Repositories", of("ecr"), [arn(delivery.location, "ecr", "repository/*")])
    bounded = []
    if delivery.pipeline_role:
        role = delivery.iam_arn("role", delivery.pipeline_role)
        bounded.append(("PipelineRole", role, delivery.pipeline_boundary))
    if delivery.audit:
        bounded.append(("ForwardingRole", delivery.forwarding_role, delivery.audit_boundary))
    yield _allow("Roles", of("iam") - BOUNDED, [role for _, role, _ in bounded])
    for sid, role, boundary in bounded:
        bounds = {"iam:PermissionsBoundary": delivery.iam_arn("policy", boundary)}
        yield _allow(sid, of("iam") & BOUNDED, role, {"StringEquals": bounds})
    if delivery.audit:
        called = of("events", "sns", "sqs")
        yield _allow("Audit", called - WITHOUT_RESOURCE, _audit_arns(delivery.location))
        yield _allow("Subscriptions", called & WITHOUT_RESOURCE, "*")
    # The program looks up the path of the role that runs it.
    yield _allow("OwnRole", ["iam:GetRole"], delivery.ci_roles)


def _audit_arns(location: Location) -> list[str]:
    """Patterns of what the audit has in the stack's Region, and in that of IAM's events."""
    here, elsewhere = AUDIT, f"{AUDIT}-{location['region']}"
    return [
        arn(location, "sns", here),
        arn(location, "events", f"rule/{here}-*"),
        arn(location, "sqs", f"{here}-undelivered"),
        arn(location, "events", f"rule/{elsewhere}-*", "*"),
        arn(location, "sqs", f"{elsewhere}-undelivered", "*"),
    ]


def _state(
    delivery: Delivery, state_key: str, *, objects: list[str], key: list[str]
) -> Iterator[dict[str, Any]]:
    """Pulumi's state, and the key of its secrets, which encrypts the bucket too."""
    bucket = delivery.bucket_arn(delivery.state_bucket)
    yield _allow("StateBucket", ["s3:ListBucket"], bucket)
    yield _allow("State", objects, f"{bucket}/*")
    yield _allow("StateKey", key, state_key)


def _build(delivery: Delivery, trust: Trust) -> Iterator[dict[str, Any]]:
    """What a build in CodeBuild needs of its service role: to log, and to read its source.

    It hands nothing on. Whoever could write to the bucket of the source could replace, after the
    approval, what the deploy role runs.
    https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html
    """
    groups = [
        project.replace(":codebuild:", ":logs:").replace(":project/", ":log-group:/aws/codebuild/")
        for project in trust["codebuild_projects"]
    ]
    logging = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    yield _allow("BuildLogs", logging, [*groups, *(f"{group}:*" for group in groups)])
    bucket = delivery.bucket_arn(delivery.artifact_bucket)
    yield _allow("BuildSource", ["s3:GetObject", "s3:GetObjectVersion"], bucket and f"{bucket}/*")
    yield _allow("BuildSourceKey", ["kms:Decrypt"], delivery.artifact_key)


def _document(*statements: dict[str, Any]) -> dict[str, Any]:
    """A policy, without the Allows of nothing or on nothing, such as a bucket that is not there."""
    return document_of(
        statement
        for statement in statements
        if statement["Effect"] == "Deny" or (statement["Action"] and statement["Resource"])
    )


def _statement(
    effect: str,
    sid: str,
    called: Iterable[str],
    resource: str | list[str],
    condition: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": effect, "Action": sorted(called), "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


_allow = partial(_statement, "Allow")
_deny = partial(_statement, "Deny")
