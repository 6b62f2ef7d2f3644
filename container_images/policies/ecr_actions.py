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


_NAMES: Final = {
    Effect.PULL: (
        "BatchCheckLayerAvailability BatchGetImage DescribeImages GetDownloadUrlForLayer"
    ),
    Effect.READ: (
        "BatchGetRepositoryScanningConfiguration DescribeImageReplicationStatus "
        "DescribeImageScanFindings DescribeImageSigningStatus DescribeRepositories "
        "GetImageCopyStatus GetLifecyclePolicy GetLifecyclePolicyPreview GetRepositoryPolicy "
        "ListImageReferrers ListImages ListTagsForResource"
    ),
    Effect.UPLOAD: "CompleteLayerUpload InitiateLayerUpload UploadLayerPart",
    Effect.MOVE_TAG: "BatchImportUpstreamImage PutImage",
    # An archived image cannot be pulled: for a deployment it is gone.
    Effect.DELETE_IMAGE: "BatchDeleteImage UpdateImageStorageClass",
    # Resource tags too: the account's own policies may grant by them (aws:ResourceTag).
    Effect.CHANGE_GUARD: (
        "DeleteLifecyclePolicy DeleteRepository DeleteRepositoryPolicy "
        "PutImageScanningConfiguration PutImageTagMutability PutLifecyclePolicy "
        "SetRepositoryPolicy TagResource UntagResource"
    ),
    Effect.HARMLESS: "StartImageScan StartLifecyclePolicyPreview",
    Effect.REPLICATE: "ReplicateImage",
    Effect.CREATE_REPOSITORY: "CreateRepository",
    Effect.CHANGE_REGISTRY: (
        "CreatePullThroughCacheRule CreateRepositoryCreationTemplate DeletePullThroughCacheRule "
        "DeleteRegistryPolicy DeleteRepositoryCreationTemplate DeleteSigningConfiguration "
        "DeregisterPullTimeUpdateExclusion PutAccountSetting PutRegistryPolicy "
        "PutRegistryScanningConfiguration PutReplicationConfiguration PutSigningConfiguration "
        "RegisterPullTimeUpdateExclusion StartReplicationBackfill StopReplicationBackfill "
        "UpdatePullThroughCacheRule UpdateRepositoryCreationTemplate"
    ),
    Effect.READ_REGISTRY: (
        "DescribePullThroughCacheRules DescribeRegistry DescribeReplicationBackfillResults "
        "DescribeRepositoryCreationTemplates GetAccountSetting GetAuthorizationToken "
        "GetRegistryPolicy GetRegistryScanningConfiguration GetSigningConfiguration "
        "ListPullTimeUpdateExclusions ListReplicationBackfills ValidatePullThroughCacheRule"
    ),
}

ACTIONS: Final[Mapping[str, Effect]] = {
    name: effect for effect, names in _NAMES.items() for name in names.split()
}
"""Every action of ECR, by what it can do.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html
"""

LAMBDA_PULL: Final = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


def actions(*effects: Effect) -> list[str]:
    """The actions with one of these effects, as a policy names them, in alphabetical order."""
    return sorted(f"ecr:{action}" for action, effect in ACTIONS.items() if effect in effects)
