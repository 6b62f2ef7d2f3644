"""Pure: what each ECR action can do, and the IAM documents that say who may do it.

Three documents: the policy of a repository, which is the guard; the trust policy of a pipeline
role; and that role's own policy. All are made of names alone, so that the first preview shows them
whole, and all have a fixed order, so that no update is ever only a reordering.

What is beyond a repository's policy is the organization's: components/organization.py.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, TypedDict

from components.fault import Fault, InvalidInputError

MAX_REPOSITORY_POLICY: Final = 10_240
"""Characters of a repository policy: `RepositoryPolicyText` in
https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_SetRepositoryPolicy.html"""

MAX_TRUST_POLICY: Final = 2_048
"""Characters of a trust policy, white space aside, unless AWS raised the account's quota:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""


class Effect(Enum):
    """What an ECR action can do to the images and the guard of a repository."""

    PULL = "reads what a deployment needs to run an image"
    READ = "reads other facts about a repository"
    UPLOAD = "adds layers, which no tag names until a manifest does"
    MOVE_TAG = "puts an image, and with it a tag"
    DELETE_IMAGE = "takes an image away, or its tag, or puts it out of reach"
    CHANGE_GUARD = "changes who may do what, which tags may move, or which images are kept"
    HARMLESS = "starts a scan or a preview, which changes neither image nor guard"
    REPLICATE = "puts an image for ECR's replication, which only its service-linked role calls"
    CREATE_REPOSITORY = "makes a repository, which has no policy yet"
    CHANGE_REGISTRY = "changes the registry as a whole: no repository policy has a say in it"
    READ_REGISTRY = "reads from the registry, or logs in to it"


ACTIONS: Final[Mapping[str, Effect]] = {
    "BatchCheckLayerAvailability": Effect.PULL,
    "BatchGetImage": Effect.PULL,
    "DescribeImages": Effect.PULL,
    "GetDownloadUrlForLayer": Effect.PULL,
    "BatchGetRepositoryScanningConfiguration": Effect.READ,
    "DescribeImageReplicationStatus": Effect.READ,
    "DescribeImageScanFindings": Effect.READ,
    "DescribeImageSigningStatus": Effect.READ,
    "DescribeRepositories": Effect.READ,
    "GetImageCopyStatus": Effect.READ,
    "GetLifecyclePolicy": Effect.READ,
    "GetLifecyclePolicyPreview": Effect.READ,
    "GetRepositoryPolicy": Effect.READ,
    "ListImageReferrers": Effect.READ,
    "ListImages": Effect.READ,
    "ListTagsForResource": Effect.READ,
    "CompleteLayerUpload": Effect.UPLOAD,
    "InitiateLayerUpload": Effect.UPLOAD,
    "UploadLayerPart": Effect.UPLOAD,
    "BatchImportUpstreamImage": Effect.MOVE_TAG,
    "PutImage": Effect.MOVE_TAG,
    # An archived image cannot be pulled: for whoever deploys, it is gone.
    "BatchDeleteImage": Effect.DELETE_IMAGE,
    "UpdateImageStorageClass": Effect.DELETE_IMAGE,
    "DeleteLifecyclePolicy": Effect.CHANGE_GUARD,
    "DeleteRepository": Effect.CHANGE_GUARD,
    "DeleteRepositoryPolicy": Effect.CHANGE_GUARD,
    "PutImageScanningConfiguration": Effect.CHANGE_GUARD,
    "PutImageTagMutability": Effect.CHANGE_GUARD,
    "PutLifecyclePolicy": Effect.CHANGE_GUARD,
    "SetRepositoryPolicy": Effect.CHANGE_GUARD,
    # Resource tags, which the account's own policies may grant by (aws:ResourceTag).
    "TagResource": Effect.CHANGE_GUARD,
    "UntagResource": Effect.CHANGE_GUARD,
    "StartImageScan": Effect.HARMLESS,
    "StartLifecyclePolicyPreview": Effect.HARMLESS,
    "ReplicateImage": Effect.REPLICATE,
    "CreateRepository": Effect.CREATE_REPOSITORY,
    "CreatePullThroughCacheRule": Effect.CHANGE_REGISTRY,
    "CreateRepositoryCreationTemplate": Effect.CHANGE_REGISTRY,
    "DeletePullThroughCacheRule": Effect.CHANGE_REGISTRY,
    "DeleteRegistryPolicy": Effect.CHANGE_REGISTRY,
    "DeleteRepositoryCreationTemplate": Effect.CHANGE_REGISTRY,
    "DeleteSigningConfiguration": Effect.CHANGE_REGISTRY,
    "DeregisterPullTimeUpdateExclusion": Effect.CHANGE_REGISTRY,
    "PutAccountSetting": Effect.CHANGE_REGISTRY,
    "PutRegistryPolicy": Effect.CHANGE_REGISTRY,
    "PutRegistryScanningConfiguration": Effect.CHANGE_REGISTRY,
    "PutReplicationConfiguration": Effect.CHANGE_REGISTRY,
    "PutSigningConfiguration": Effect.CHANGE_REGISTRY,
    "RegisterPullTimeUpdateExclusion": Effect.CHANGE_REGISTRY,
    "StartReplicationBackfill": Effect.CHANGE_REGISTRY,
    "StopReplicationBackfill": Effect.CHANGE_REGISTRY,
    "UpdatePullThroughCacheRule": Effect.CHANGE_REGISTRY,
    "UpdateRepositoryCreationTemplate": Effect.CHANGE_REGISTRY,
    "DescribePullThroughCacheRules": Effect.READ_REGISTRY,
    "DescribeRegistry": Effect.READ_REGISTRY,
    "DescribeReplicationBackfillResults": Effect.READ_REGISTRY,
    "DescribeRepositoryCreationTemplates": Effect.READ_REGISTRY,
    "GetAccountSetting": Effect.READ_REGISTRY,
    "GetAuthorizationToken": Effect.READ_REGISTRY,
    "GetRegistryPolicy": Effect.READ_REGISTRY,
    "GetRegistryScanningConfiguration": Effect.READ_REGISTRY,
    "GetSigningConfiguration": Effect.READ_REGISTRY,
    "ListPullTimeUpdateExclusions": Effect.READ_REGISTRY,
    "ListReplicationBackfills": Effect.READ_REGISTRY,
    "ValidatePullThroughCacheRule": Effect.READ_REGISTRY,
}
"""Every action of ECR, by what it can do.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html
"""

LAMBDA_PULL: Final = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


def actions(*effects: Effect) -> list[str]:
    """The actions with one of these effects, as a policy names them, in alphabetical order."""
    return sorted(f"ecr:{action}" for action, effect in ACTIONS.items() if effect in effects)


class Access(TypedDict):
    """Who may do what to a repository. ARNs are exact: no wildcards, a role's path included."""

    partition: str
    """The AWS partition of the stack's account: aws, aws-cn, aws-us-gov, …"""
    account_id: str
    """The account that holds the repository: 12 digits."""
    region: str
    """The Region that holds the repository."""
    pipeline_roles: list[str]
    """ARNs of the roles that may push images and move tags, of this account or of another."""
    administrator_roles: list[str]
    """ARNs of the roles of this account that may delete images and change the guard."""
    pull_accounts: list[str]
    """Ids of the accounts whose principals may pull, as far as those accounts allow it them."""
    pull_organization: str
    """Id of the organization whose principals may pull; empty for none."""
    lambda_pull: bool
    """Whether functions of this account may be made from the images."""


def denies(access: Access) -> list[dict[str, Any]]:
    """What the guard is: two Denies that nothing outweighs.

    They follow AWS's replacement for NotPrincipal: everybody (`*`), save those whose
    `aws:PrincipalArn` is in the list. ArnNotEquals is true for a caller without that key, so they
    hold for whoever cannot be told, and they bind the account's root too.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html

    No Resource is named: a repository policy is about its own repository. ReplicateImage stays
    out: only ECR's service-linked role makes that call, and AWS documents no effect of a
    repository policy on it.
    """
    return [
        {
            "Sid": "OnlyThePipelineMovesTags",
            "Effect": "Deny",
            "Principal": "*",
            "Action": actions(Effect.MOVE_TAG),
            "Condition": everybody_but(access["pipeline_roles"]),
        },
        {
            "Sid": "OnlyAdministratorsDeleteAndChangeTheGuard",
            "Effect": "Deny",
            "Principal": "*",
            "Action": actions(Effect.DELETE_IMAGE, Effect.CHANGE_GUARD),
            "Condition": everybody_but(access["administrator_roles"]),
        },
    ]


def everybody_but(roles: Iterable[str]) -> dict[str, Any]:
    """The condition of a Deny that spares these roles alone."""
    return {"ArnNotEquals": {"aws:PrincipalArn": sorted(set(roles))}}


def repository_policy(access: Access) -> dict[str, Any]:
    """The policy of a repository: what is denied, then what is allowed.

    Raises InvalidInputError where AWS would refuse the document for its length.
    """
    iam = f"arn:{access['partition']}:iam::"
    pipeline = sorted(set(access["pipeline_roles"]))
    local = [arn for arn in pipeline if arn.startswith(f"{iam}{access['account_id']}:")]
    foreign = [arn for arn in pipeline if arn not in local]
    push_and_pull = actions(Effect.PULL, Effect.UPLOAD, Effect.MOVE_TAG)
    pull = actions(Effect.PULL)

    statements = denies(access)
    if local:
        # The role itself is the principal: in its own account that grants without any policy
        # attached to it.
        statements.append(_allow("ThePipelinePushesAndPulls", {"AWS": local}, push_and_pull))
    if foreign:
        # The account is the principal and the condition names the role: a role as principal is
        # stored by its unique id, and would be lost with the role when it is created anew.
        roots = sorted({f"{iam}{arn.split(':')[4]}:root" for arn in foreign})
        statements.append(
            _allow("ThePipelineOfOtherAccountsPushesAndPulls", {"AWS": roots}, push_and_pull)
            | {"Condition": {"ArnEquals": {"aws:PrincipalArn": foreign}}}
        )
    if access["pull_accounts"]:
        roots = sorted({f"{iam}{account}:root" for account in access["pull_accounts"]})
        statements.append(_allow("OtherAccountsPull", {"AWS": roots}, pull))
    if access["pull_organization"]:
        organization = {"aws:PrincipalOrgID": access["pull_organization"]}
        statements.append(
            _allow("TheOrganizationPulls", "*", pull)
            | {"Condition": {"StringEquals": organization}}
        )
    if access["lambda_pull"]:
        # Without this statement Lambda writes one like it by itself, against the guard.
        # https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#gettingstarted-images-permissions
        functions = (
            f"arn:{access['partition']}:lambda:{access['region']}:{access['account_id']}:function:*"
        )
        statements.append(
            _allow("LambdaPulls", {"Service": "lambda.amazonaws.com"}, LAMBDA_PULL)
            | {"Condition": {"ArnLike": {"aws:SourceArn": functions}}}
        )
    document = document_of(statements)
    lists = {
        "pipeline roles": pipeline,
        "administrator roles": access["administrator_roles"],
        "pull accounts": access["pull_accounts"],
    }
    refuse_longer_than(MAX_REPOSITORY_POLICY, "repository policy", document, lists)
    return document


class Trust(TypedDict):
    """Who may become a pipeline role. ARNs and subjects are exact: no wildcards."""

    partition: str
    """The AWS partition of the role's account: aws, aws-cn, aws-us-gov, …"""
    account_id: str
    """The account that holds the role: 12 digits."""
    codebuild_projects: list[str]
    """ARNs of the CodeBuild projects of this account whose builds run as the role."""
    github_subjects: list[str]
    """`sub` claims of the GitHub Actions jobs that may become the role. The account's OIDC
    provider for token.actions.githubusercontent.com has to exist."""
    roles: list[str]
    """ARNs of the roles that may assume the role."""


def trust_policy(trust: Trust) -> dict[str, Any]:
    """The policy that lets them become the role.

    https://docs.aws.amazon.com/codebuild/latest/userguide/cross-service-confused-deputy-prevention.html
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html

    Raises InvalidInputError where AWS would refuse the document for its length.
    """
    partition, account_id = trust["partition"], trust["account_id"]
    projects = sorted(trust["codebuild_projects"])
    subjects = sorted(trust["github_subjects"])
    roles = sorted(trust["roles"])
    statements = []
    if projects:
        conditions = {
            "ArnEquals": {"aws:SourceArn": projects},
            "StringEquals": {"aws:SourceAccount": account_id},
        }
        principal: dict[str, Any] = {"Service": "codebuild.amazonaws.com"}
        statements.append(
            _allow("CodeBuild", principal, ["sts:AssumeRole"]) | {"Condition": conditions}
        )
    if subjects:
        issuer = "token.actions.githubusercontent.com"
        claims = {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": subjects}
        principal = {"Federated": f"arn:{partition}:iam::{account_id}:oidc-provider/{issuer}"}
        statements.append(
            _allow("GitHubActions", principal, ["sts:AssumeRoleWithWebIdentity"])
            | {"Condition": {"StringEquals": claims}}
        )
    if roles:
        statements.append(_allow("Roles", {"AWS": roles}, ["sts:AssumeRole"]))
    document = document_of(statements)
    lists = {"CodeBuild projects": projects, "GitHub subjects": subjects, "roles": roles}
    refuse_longer_than(MAX_TRUST_POLICY, "trust policy", document, lists)
    return document


def pipeline_role_policy() -> dict[str, Any]:
    """What the pipeline role holds by itself: a login to the registry.

    AWS grants that on `*` only, in an identity policy. All else that the role may do stands in the
    policy of each repository.
    """
    return document_of(
        [{"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}]
    )


def document_of(statements: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A policy document with these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def to_json(document: Mapping[str, Any]) -> str:
    """The document as AWS is sent it: without white space, which counts towards its length."""
    return json.dumps(document, separators=(",", ":"))


def refuse_longer_than(
    limit: int, name: str, document: Mapping[str, Any], lists: Mapping[str, Sequence[str]]
) -> None:
    """Raise InvalidInputError where AWS would refuse the document for its length.

    `lists` are what it is made of: the error names the one that takes most of it.
    """
    length = len(to_json(document))
    if length <= limit:
        return
    longest = max(lists, key=lambda what: len("".join(lists[what])))
    raise InvalidInputError(
        [
            Fault(
                where=(name,),
                value=f"{length:,} characters",
                rule=f"AWS takes a {name} of at most {limit:,} characters",
                fix=f"shorten it by {length - limit:,}: the longest list is that of the "
                f"{len(lists[longest])} {longest}",
            )
        ]
    )


def _allow(sid: str, principal: str | dict[str, Any], action: Iterable[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": list(action)}
