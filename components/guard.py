"""Pure: what each ECR action can do, and the IAM documents that say who may do it.

Three documents: the policy of a repository, which is the guard; the trust policy of a pipeline
role; and that role's own policy. All are made of names alone, so that the first preview shows them
whole, and all have a fixed order, so that no update is ever only a reordering.
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
    REGISTRY = "is about the registry: no repository policy has a say in it"


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
    "CreatePullThroughCacheRule": Effect.REGISTRY,
    "CreateRepository": Effect.REGISTRY,
    "CreateRepositoryCreationTemplate": Effect.REGISTRY,
    "DeletePullThroughCacheRule": Effect.REGISTRY,
    "DeleteRegistryPolicy": Effect.REGISTRY,
    "DeleteRepositoryCreationTemplate": Effect.REGISTRY,
    "DeleteSigningConfiguration": Effect.REGISTRY,
    "DeregisterPullTimeUpdateExclusion": Effect.REGISTRY,
    "DescribePullThroughCacheRules": Effect.REGISTRY,
    "DescribeRegistry": Effect.REGISTRY,
    "DescribeReplicationBackfillResults": Effect.REGISTRY,
    "DescribeRepositoryCreationTemplates": Effect.REGISTRY,
    "GetAccountSetting": Effect.REGISTRY,
    "GetAuthorizationToken": Effect.REGISTRY,
    "GetRegistryPolicy": Effect.REGISTRY,
    "GetRegistryScanningConfiguration": Effect.REGISTRY,
    "GetSigningConfiguration": Effect.REGISTRY,
    "ListPullTimeUpdateExclusions": Effect.REGISTRY,
    "ListReplicationBackfills": Effect.REGISTRY,
    "PutAccountSetting": Effect.REGISTRY,
    "PutRegistryPolicy": Effect.REGISTRY,
    "PutRegistryScanningConfiguration": Effect.REGISTRY,
    "PutReplicationConfiguration": Effect.REGISTRY,
    "PutSigningConfiguration": Effect.REGISTRY,
    "RegisterPullTimeUpdateExclusion": Effect.REGISTRY,
    "StartReplicationBackfill": Effect.REGISTRY,
    "StopReplicationBackfill": Effect.REGISTRY,
    "UpdatePullThroughCacheRule": Effect.REGISTRY,
    "UpdateRepositoryCreationTemplate": Effect.REGISTRY,
    "ValidatePullThroughCacheRule": Effect.REGISTRY,
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


def repository_policy(access: Access) -> dict[str, Any]:
    """The policy of a repository: two Denies that nothing outweighs, then what is allowed.

    The Denies follow AWS's replacement for NotPrincipal: everybody (`*`), save those whose
    `aws:PrincipalArn` is in the list. ArnNotEquals is true for a caller without that key, so they
    hold for whoever cannot be told, and they bind the account's root too.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html

    No Resource is named: a repository policy is about its own repository. ReplicateImage stays
    out of the Denies: only ECR's service-linked role makes that call, and AWS documents no effect
    of a repository policy on it.

    Raises InvalidInputError where AWS would refuse the document for its length.
    """
    iam = f"arn:{access['partition']}:iam::"
    pipeline = sorted(set(access["pipeline_roles"]))
    local = [arn for arn in pipeline if arn.startswith(f"{iam}{access['account_id']}:")]
    foreign = [arn for arn in pipeline if arn not in local]
    push_and_pull = actions(Effect.PULL, Effect.UPLOAD, Effect.MOVE_TAG)
    pull = actions(Effect.PULL)

    statements = [
        _deny_all_but("OnlyThePipelineMovesTags", pipeline, actions(Effect.MOVE_TAG)),
        _deny_all_but(
            "OnlyAdministratorsDeleteAndChangeTheGuard",
            sorted(set(access["administrator_roles"])),
            actions(Effect.DELETE_IMAGE, Effect.CHANGE_GUARD),
        ),
    ]
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
    document = _document(statements)
    lists = {
        "pipeline roles": pipeline,
        "administrator roles": access["administrator_roles"],
        "pull accounts": access["pull_accounts"],
    }
    _refuse_longer_than(MAX_REPOSITORY_POLICY, "repository policy", document, lists)
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
    document = _document(statements)
    lists = {"CodeBuild projects": projects, "GitHub subjects": subjects, "roles": roles}
    _refuse_longer_than(MAX_TRUST_POLICY, "trust policy", document, lists)
    return document


def pipeline_role_policy() -> dict[str, Any]:
    """What the pipeline role holds by itself: a login to the registry.

    AWS grants that on `*` only, in an identity policy. All else that the role may do stands in the
    policy of each repository.
    """
    return _document([{"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}])


def to_json(document: Mapping[str, Any]) -> str:
    """The document as AWS is sent it: without white space, which counts towards its length."""
    return json.dumps(document, separators=(",", ":"))


def _document(statements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(sid: str, principal: str | dict[str, Any], action: Iterable[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": list(action)}


def _deny_all_but(sid: str, roles: Sequence[str], action: Sequence[str]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": roles}},
    }


def _refuse_longer_than(
    limit: int, name: str, document: Mapping[str, Any], lists: Mapping[str, Sequence[str]]
) -> None:
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
