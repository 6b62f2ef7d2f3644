"""Pure: what each ECR action can do to the images and the guard of a repository."""

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Effect(Enum):
    """What an ECR action can do to the images and the guard of a repository."""

    PULL = "reads what a deployment needs to run an image"
    READ = "reads other facts about a repository"
    UPLOAD = "adds layers, which no tag names until a manifest does"
    MOVE_TAG = "puts an image, and with it a tag"
    DELETE_IMAGE = "deletes an image or a tag, or archives an image, which cannot be pulled then"
    CHANGE_GUARD = "changes who may do what, which tags may move, or which images are kept"
    HARMLESS = "starts a scan or a preview, which changes neither image nor guard"
    REPLICATE = "puts an image for ECR's replication, which only its service-linked role calls"
    CREATE_REPOSITORY = "makes a repository, which has no policy yet"
    CHANGE_REGISTRY = "changes the registry as a whole, which no repository policy can deny"
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
    # An archived image cannot be pulled: for a deployment it is gone.
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
