"""Repositories as they are in AWS."""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.stack.state import State

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient


def live(repository: Repository) -> State:
    """One repository, of the caller's account. Four calls; ECR's errors come as they are."""
    ecr = repository.client
    [description] = ecr.describe_repositories(repositoryNames=[repository.name])["repositories"]
    encryption = description.get("encryptionConfiguration") or {"encryptionType": "AES256"}
    tags = ecr.list_tags_for_resource(resourceArn=description["repositoryArn"])["tags"]
    filters = description.get("imageTagMutabilityExclusionFilters") or []
    lifecycle_policy: str | None = None
    with suppress(ecr.exceptions.LifecyclePolicyNotFoundException):
        lifecycle_policy = ecr.get_lifecycle_policy(**repository.location)["lifecyclePolicyText"]
    return State(
        arn=description["repositoryArn"],
        name=description["repositoryName"],
        tag_mutability=description["imageTagMutability"],
        exclusion_filters=tuple(exclusion["filter"] for exclusion in filters),
        scan_on_push=(description.get("imageScanningConfiguration") or {}).get("scanOnPush", False),
        encryption=encryption["encryptionType"],
        kms_key=encryption.get("kmsKey"),
        tags={tag["Key"]: tag["Value"] for tag in tags},
        lifecycle_policy=lifecycle_policy,
        policy=repository.policy(),
    )


def repository_names(ecr: "ECRClient") -> list[str]:
    """Those of the caller's registry in the client's Region, in alphabetical order."""
    pages = ecr.get_paginator("describe_repositories").paginate()
    return sorted(each["repositoryName"] for page in pages for each in page["repositories"])


def every(ecr: "ECRClient") -> Iterator[State]:
    """All repositories of the caller's registry in the client's Region, by name."""
    for name in repository_names(ecr):
        yield live(Repository(ecr, Reference(name=name)))
