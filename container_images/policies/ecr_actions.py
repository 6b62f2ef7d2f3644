"""Pure: what each ECR action can do to the images and the guard of a repository."""

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Effect(Enum):
    """What ECR's actions can do to the images and the guard of a repository: the actions by that.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html
    """

    PULL = "BatchCheckLayerAvailability BatchGetImage DescribeImages GetDownloadUrlForLayer"
    """Reads what a deployment needs to run an image."""
    READ = (
        "BatchGetRepositoryScanningConfiguration DescribeImageReplicationStatus "
        "DescribeImageScanFindings DescribeImageSigningStatus DescribeRepositories "
        "GetImageCopyStatus GetLifecyclePolicy GetLifecyclePolicyPreview GetRepositoryPolicy "
        "ListImageReferrers ListImages ListTagsForResource"
    )
    """Reads other facts about a repository."""
    UPLOAD = "CompleteLayerUpload InitiateLayerUpload UploadLayerPart"
    """Adds layers, which no tag names until a manifest does."""
    MOVE_TAG = "BatchImportUpstreamImage PutImage"
    """Puts an image, and with it a tag."""
    DELETE_IMAGE = "BatchDeleteImage UpdateImageStorageClass"
    """Deletes an image or a tag, or archives an image: for a deployment it is gone then."""
    # Resource tags too: the account's own policies may grant by them (aws:ResourceTag).
    CHANGE_GUARD = (
        "DeleteLifecyclePolicy DeleteRepository DeleteRepositoryPolicy "
        "PutImageScanningConfiguration PutImageTagMutability PutLifecyclePolicy "
        "SetRepositoryPolicy TagResource UntagResource"
    )
    """Changes who may do what, which tags may move, or which images are kept."""
    HARMLESS = "StartImageScan StartLifecyclePolicyPreview"
    """Changes neither image nor guard."""
    REPLICATE = "ReplicateImage"
    """Puts an image for ECR's replication, which only its service-linked role calls."""
    CREATE_REPOSITORY = "CreateRepository"
    """Makes a repository, which has no policy yet."""
    CHANGE_REGISTRY = (
        "CreatePullThroughCacheRule CreateRepositoryCreationTemplate DeletePullThroughCacheRule "
        "DeleteRegistryPolicy DeleteRepositoryCreationTemplate DeleteSigningConfiguration "
        "DeregisterPullTimeUpdateExclusion PutAccountSetting PutRegistryPolicy "
        "PutRegistryScanningConfiguration PutReplicationConfiguration PutSigningConfiguration "
        "RegisterPullTimeUpdateExclusion StartReplicationBackfill StopReplicationBackfill "
        "UpdatePullThroughCacheRule UpdateRepositoryCreationTemplate"
    )
    """Changes the registry as a whole, which no repository policy can deny."""
    READ_REGISTRY = (
        "DescribePullThroughCacheRules DescribeRegistry DescribeReplicationBackfillResults "
        "DescribeRepositoryCreationTemplates GetAccountSetting GetAuthorizationToken "
        "GetRegistryPolicy GetRegistryScanningConfiguration GetSigningConfiguration "
        "ListPullTimeUpdateExclusions ListReplicationBackfills ValidatePullThroughCacheRule"
    )
    """Reads from the registry, or logs in to it."""


ACTIONS: Final[Mapping[str, Effect]] = {
    action: effect for effect in Effect for action in effect.value.split()
}
"""Every action of ECR, by what it can do."""

LAMBDA_PULL: Final = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


def actions(*effects: Effect) -> list[str]:
    """The actions with one of these effects, as a policy names them, in alphabetical order."""
    return sorted(f"ecr:{action}" for action, effect in ACTIONS.items() if effect in effects)
