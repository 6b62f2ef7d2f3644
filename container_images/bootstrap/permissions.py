"""Pure: what CI has in AWS, and the policy documents that say what its roles may do."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from container_images.policies import forms
from container_images.policies.document import arn, document_of
from container_images.policies.ecr_actions import Effect, actions
from container_images.policies.event_patterns import AUDIT_NAME, EVENTBRIDGE, forwarding_policy
from container_images.policies.trust_policy import Trust
from container_images.settings import values
from container_images.settings.model import Settings

_ROLE_RULE: Final = "must be the path and name of one role, without wildcards"
_ENVIRONMENT: Final = "repo:OWNER/NAME:environment:live"
_APPROVED: Final = "must name one environment, whose reviewers approve what is deployed"
# Whoever can push a branch may preview: that is what the preview role is for.
_PREVIEW: Final = rf"{forms.SUBJECT.pattern}|repo:[^:*?$/\s]+/[^:*?$/\s]+:pull_request"
_DEPLOY: Final = rf"(?=.*:environment:){forms.SUBJECT.pattern}"

Role = Annotated[
    str, values.text(rf"/{forms.PATH}[\w+=,.@-]{{1,64}}", _ROLE_RULE, "/platform/deploy")
]
PreviewSubject = Annotated[str, values.text(_PREVIEW, forms.SUBJECT.rule, _ENVIRONMENT)]
DeploySubject = Annotated[str, values.text(_DEPLOY, _APPROVED, _ENVIRONMENT)]


class Delivery(Settings):
    """What CI has in AWS, by the keys of bootstrap/Pulumi.yaml, which say what each is."""

    location: Any
    """Where AWS says that the caller is: partition, account_id and region."""
    preview_role: Role
    deploy_role: Role
    pipeline_role: Role = ""
    github_preview_subjects: list[PreviewSubject] = Field(default=[])
    github_deploy_subjects: list[DeploySubject] = Field(default=[])
    code_build_preview_projects: list[values.CodeBuildProjectArn] = Field(default=[])
    code_build_deploy_projects: list[values.CodeBuildProjectArn] = Field(default=[])
    github_provider: bool = True
    audit: bool = True
    repository_keys: list[values.KmsKeyArn] = Field(default=[])
    state_bucket: str = Field(examples=["example-org-registry-state"])
    artifact_bucket: str = ""
    artifact_key: values.KmsKeyArn = ""

    def trust(self, kind: str) -> Trust:
        """Whose jobs may assume the role of this kind: `preview` or `deploy`."""
        return {
            "partition": self.location["partition"],
            "account_id": self.location["account_id"],
            "codebuild_projects": getattr(self, f"code_build_{kind}_projects"),
            "github_subjects": getattr(self, f"github_{kind}_subjects"),
            "roles": [],
        }

    def iam_arn(self, kind: str, path_and_name: str = "") -> str:
        """ARN of a role, a policy or the root of the account."""
        account = f"arn:{self.location['partition']}:iam::{self.location['account_id']}"
        return f"{account}:{kind}{path_and_name}"

    def bucket_arn(self, name: str) -> str:
        """ARN of a bucket."""
        return f"arn:{self.location['partition']}:s3:::{name}"

    def boundary(self, role: str) -> str:
        """Path and name of the policy that bounds the `pipeline` role or that of the `audit`."""
        return f"{self.deploy_role}-{role}-boundary"

    @property
    def ci_roles(self) -> list[str]:
        """ARNs of the roles that deploy and preview."""
        return [self.iam_arn("role", name) for name in (self.deploy_role, self.preview_role)]

    @property
    def forwarding_role(self) -> str:
        """ARN of the audit's role, which sends IAM's events to the stack's Region."""
        return self.iam_arn("role", f"/{AUDIT_NAME}-{self.location['region']}")


READS: Final[Mapping[str, str]] = {
    "ecr": "DescribeRepositories GetLifecyclePolicy GetRepositoryPolicy ListTagsForResource",
    # Inline and attached policies are attributes of the provider's role.
    "iam": "GetRole GetRolePolicy ListAttachedRolePolicies ListRolePolicies",
    "events": "DescribeRule ListTagsForResource ListTargetsByRule",
    "sns": "GetSubscriptionAttributes GetTopicAttributes ListTagsForResource",
    "sqs": "GetQueueAttributes ListQueueTags",
}
"""What the AWS provider calls to preview and refresh the stack's resources, by service. Here and
below the calls of roles, rules, topics and subscriptions are those of the provider's code (read in
November 2026); those of queues, targets and ECR's policies are from memory. What a new type of
resource needs is added here. A folder for each service, and in it a file for each type:
https://github.com/hashicorp/terraform-provider-aws/tree/main/internal/service"""

WRITES: Final[Mapping[str, str]] = {
    # All are retained: nothing is deleted. Tags at creation need TagResource too.
    "ecr": """CreateRepository PutImageScanningConfiguration PutImageTagMutability
        PutLifecyclePolicy SetRepositoryPolicy TagResource UntagResource""",
    # Another path replaces the role; before it deletes one, the provider asks for its instance
    # profiles. The boundary comes with CreateRole, and is never changed.
    "iam": """CreateRole DeleteRole DeleteRolePolicy ListInstanceProfilesForRole PutRolePolicy
        TagRole UntagRole UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription""",
    "events": "DeleteRule PutRule PutTargets RemoveTargets TagResource UntagResource",
    "sns": """CreateTopic DeleteTopic SetTopicAttributes Subscribe TagResource Unsubscribe
        UntagResource""",
    "sqs": "CreateQueue DeleteQueue SetQueueAttributes TagQueue UntagQueue",
}
"""To create and update; to delete as well, unless the stack retains the resource."""

BOUNDED: Final = frozenset({"iam:CreateRole", "iam:DeleteRolePolicy", "iam:PutRolePolicy"})
"""The calls for which IAM knows the role's boundary (`iam:PermissionsBoundary`): they are allowed
for a role with the boundary of the bootstrap alone.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
"""

WITHOUT_RESOURCE: Final = frozenset({"sns:GetSubscriptionAttributes", "sns:Unsubscribe"})
"""The calls that a policy can allow for all resources only.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html"""


def preview_policy(delivery: Delivery, state_key: str) -> dict[str, Any]:
    """What the preview role may do: read what the stack manages, its state, and the account's IAM.

    A preview takes no lock and writes no state, and every branch's program runs as this role: it
    may write the logs of its own builds and nothing else.
    """
    # For `history` and `who-can`. Neither belongs to one resource.
    checks = ["cloudtrail:LookupEvents", "iam:GetAccountAuthorizationDetails"]
    return document_of([*_allows(delivery, state_key, writes=False), _allow("Checks", checks, "*")])


def deploy_policy(delivery: Delivery, state_key: str) -> dict[str, Any]:
    """What the deploy role may do, and what it may not, whatever it is given besides.

    It is both the role's policy and its boundary: a policy that somebody attaches to the role adds
    nothing. The Denies hold against what a policy of another resource would allow it, which a
    boundary alone does not: a trust policy, a repository policy.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html#access_policies_boundaries-eval-logic
    """
    moving = actions(Effect.MOVE_TAG, Effect.DELETE_IMAGE)
    itself = [*delivery.ci_roles, f"{delivery.iam_arn('policy', delivery.deploy_role)}*"]
    denies = [
        _deny("PassesNoOtherRole", Action=["iam:PassRole"], NotResource=delivery.forwarding_role),
        _deny("BecomesNoOtherRole", Action=["sts:AssumeRole"], Resource="*"),
        _deny("MovesNoTagsAndDeletesNoImages", Action=moving, Resource="*"),
        _deny("OnlyReadsItselfAndItsBounds", NotAction=["iam:Get*", "iam:List*"], Resource=itself),
    ]
    return document_of([*_allows(delivery, state_key, writes=True), *denies])


def pipeline_boundary() -> dict[str, Any]:
    """The most that a pipeline role can do, whatever the deploy role writes into it: its work."""
    push_and_pull = actions(Effect.PULL, Effect.READ, Effect.UPLOAD, Effect.MOVE_TAG)
    return document_of([_allow("Images", [*push_and_pull, "ecr:GetAuthorizationToken"], "*")])


def audit_boundary(location: Mapping[str, Any]) -> dict[str, Any]:
    """The most that the audit's role can do: send events to the stack's Region."""
    return forwarding_policy(arn(location, "events", "event-bus/default"))


def _allows(delivery: Delivery, state_key: str, *, writes: bool) -> Iterator[dict[str, Any]]:
    """What a role of CI may do: read, and the deploy role write."""

    def calls(service: str) -> set[str]:
        names = f"{READS[service]} {WRITES[service] if writes else ''}".split()
        return {f"{service}:{name}" for name in names}

    location, bounded = delivery.location, []
    yield _allow("Repositories", calls("ecr"), arn(location, "ecr", "repository/*"))
    if delivery.pipeline_role:
        bounded = [("PipelineRole", delivery.iam_arn("role", delivery.pipeline_role), "pipeline")]
    if delivery.audit:
        bounded.append(("ForwardingRole", delivery.forwarding_role, "audit"))
    if bounded:
        yield _allow("Roles", calls("iam") - BOUNDED, [role for _, role, _ in bounded])
    for sid, role, boundary in bounded if writes else ():
        bounds = delivery.iam_arn("policy", delivery.boundary(boundary))
        yield _allow(sid, BOUNDED, role, {"iam:PermissionsBoundary": bounds})
    if delivery.audit:
        called = calls("events") | calls("sns") | calls("sqs")
        elsewhere = f"{AUDIT_NAME}-{location['region']}"
        audit = [
            arn(location, "sns", AUDIT_NAME),
            arn(location, "events", f"rule/{AUDIT_NAME}-*"),
            arn(location, "sqs", f"{AUDIT_NAME}-undelivered"),
            # In the Region of IAM's events.
            arn(location, "events", f"rule/{elsewhere}-*", "*"),
            arn(location, "sqs", f"{elsewhere}-undelivered", "*"),
        ]
        yield _allow("Audit", called - WITHOUT_RESOURCE, audit)
        yield _allow("Subscriptions", called & WITHOUT_RESOURCE, "*")
    if delivery.audit and writes:
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
        service = {"iam:PassedToService": EVENTBRIDGE}
        yield _allow("PassForwardingRole", ["iam:PassRole"], delivery.forwarding_role, service)
    # The program looks up the path of the role that runs it.
    yield _allow("OwnRole", ["iam:GetRole"], delivery.ci_roles)
    if delivery.repository_keys and writes:
        # ECR asks this of whoever creates a repository with a key of their own:
        # https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html
        keys = ["kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant"]
        by_ecr = {"kms:ViaService": f"ecr.{location['region']}.amazonaws.com"}
        yield _allow("RepositoryKeys", keys, list(delivery.repository_keys), by_ecr)
    # Pulumi's state, and the key of its secrets, which encrypts the bucket too.
    bucket = delivery.bucket_arn(delivery.state_bucket)
    yield _allow("StateBucket", ["s3:ListBucket"], bucket)
    objects = ["s3:GetObject", *(["s3:DeleteObject", "s3:PutObject"] if writes else [])]
    yield _allow("State", objects, f"{bucket}/*")
    key = ["kms:Decrypt", *(["kms:GenerateDataKey"] if writes else [])]
    yield _allow("StateKey", key, state_key)
    yield from _build(delivery, "deploy" if writes else "preview")


def _build(delivery: Delivery, kind: str) -> Iterator[dict[str, Any]]:
    """What a build in CodeBuild needs of its service role: to log, and to read its source.

    It hands nothing on. Whoever could write to the bucket of the source could replace, after the
    approval, what the deploy role runs.
    https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html
    """
    groups = [
        project.replace(":codebuild:", ":logs:").replace(":project/", ":log-group:/aws/codebuild/")
        for project in delivery.trust(kind)["codebuild_projects"]
    ]
    if groups:
        logging = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
        yield _allow("BuildLogs", logging, [*groups, *(f"{group}:*" for group in groups)])
    if delivery.artifact_bucket:
        objects = f"{delivery.bucket_arn(delivery.artifact_bucket)}/*"
        yield _allow("BuildSource", ["s3:GetObject", "s3:GetObjectVersion"], objects)
    if delivery.artifact_key:
        yield _allow("BuildSourceKey", ["kms:Decrypt"], delivery.artifact_key)


def _allow(sid: str, called: Iterable[str], resource: Any, equal: Any = None) -> dict[str, Any]:
    """`equal`: the values that condition keys have to have."""
    statement = {"Sid": sid, "Effect": "Allow", "Action": sorted(called), "Resource": resource}
    return statement | ({"Condition": {"StringEquals": equal}} if equal else {})


def _deny(sid: str, **elements: Any) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Deny", **elements}
