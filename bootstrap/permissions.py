"""Pure: what the roles of CI may do, and the policy documents that say it.

They follow from what the AWS provider calls for each type of resource in the stack. A test holds
these lists against the calls of a rehearsal, and fails for a type that is not here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from policies.document import document_of
from policies.ecr_actions import Effect, actions


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
        scope="repositories",
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
        scope="repositories",
        read=("ecr:GetLifecyclePolicy",),
        write=("ecr:PutLifecyclePolicy",),  # retained
    ),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": Calls(
        scope="repositories",
        read=("ecr:GetRepositoryPolicy",),
        write=("ecr:SetRepositoryPolicy",),  # retained
    ),
    "aws:iam/role:Role": Calls(
        scope="pipeline role",
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
        scope="pipeline role",
        read=("iam:GetRolePolicy",),
        write=("iam:DeleteRolePolicy", "iam:PutRolePolicy"),
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
for a role with the pipeline's boundary alone.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagement.html
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
    deploy_boundary: str
    """ARN of the policy that is the deploy role's, and bounds it."""
    repository_keys: list[str]
    """ARNs of the keys that repositories are encrypted with."""
    state_bucket: str
    """ARN of the bucket that has Pulumi's state."""
    codebuild_projects: list[str]
    """ARNs of the projects of CodeBuild that run as the roles."""
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
            *_build(place),
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
    bounds = [place["deploy_boundary"], place["pipeline_boundary"]]
    return document_of(
        [
            *_of_the_resources(place, "read"),
            *_of_the_resources(place, "write"),
            *_repository_keys(place),
            *_state(
                place,
                state_key,
                objects=["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
                key=["kms:Decrypt", "kms:GenerateDataKey"],
            ),
            *_build(place),
            _on("Deny", "BecomesNobodyElse", ["iam:PassRole", "sts:AssumeRole"], "*"),
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
                "Resource": [*own, *bounds],
            },
        ]
    )


def pipeline_boundary() -> dict[str, Any]:
    """The most that a pipeline role can do, whatever the deploy role writes into it: its work."""
    push_and_pull = actions(Effect.PULL, Effect.READ, Effect.UPLOAD, Effect.MOVE_TAG)
    return document_of([_allow("Images", [*push_and_pull, "ecr:GetAuthorizationToken"], "*")])


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


def _scopes(place: Place) -> dict[str, list[str]]:
    """The resources of each scope; without any, its calls are left out."""
    arn = f"arn:{place['partition']}:ecr:{place['region']}:{place['account_id']}:repository/*"
    role = place["pipeline_role"]
    return {"repositories": [arn], "pipeline role": [role] if role else []}


def _of_the_resources(place: Place, kind: str) -> Iterable[dict[str, Any]]:
    for scope, arns in _scopes(place).items():
        if not arns:
            continue
        called = {
            action
            for calls in RESOURCES.values()
            if calls.scope == scope
            for action in getattr(calls, kind)
        }
        name = "".join(word.capitalize() for word in [kind, *scope.split()])
        yield _allow(name, called - BOUNDED, arns)
        if bounded := called & BOUNDED:
            boundary = {"iam:PermissionsBoundary": place["pipeline_boundary"]}
            yield _allow(f"{name}Bounded", bounded, arns) | {
                "Condition": {"StringEquals": boundary}
            }
    if kind == "read":
        # The program looks up the path of the role that runs it.
        own = [place["deploy_role"], place["preview_role"]]
        yield _allow("ReadOwnRole", ["iam:GetRole"], own)


def _repository_keys(place: Place) -> Iterable[dict[str, Any]]:
    """What ECR asks of whoever creates a repository with a key of their own.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html
    """
    if keys := place["repository_keys"]:
        service = f"ecr.{place['region']}.amazonaws.com"
        yield _allow(
            "RepositoryKeys", ["kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant"], keys
        ) | {"Condition": {"StringEquals": {"kms:ViaService": service}}}


def _state(
    place: Place, state_key: str, *, objects: list[str], key: list[str]
) -> Iterable[dict[str, Any]]:
    """Pulumi's state, and the key of its secrets, which encrypts the bucket too."""
    bucket = place["state_bucket"]
    yield _allow("StateBucket", ["s3:ListBucket"], bucket)
    yield _allow("State", objects, f"{bucket}/*")
    yield _allow("StateKey", key, state_key)


def _build(place: Place) -> Iterable[dict[str, Any]]:
    """What a build in CodeBuild needs of its service role, whatever it builds.

    https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html
    """
    if projects := place["codebuild_projects"]:
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


def _allow(sid: str, called: Iterable[str], resource: str | list[str]) -> dict[str, Any]:
    return _on("Allow", sid, called, resource)


def _on(effect: str, sid: str, called: Iterable[str], resource: str | list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": effect, "Action": sorted(set(called)), "Resource": resource}
