"""Repositories as they are in AWS, read by as few calls of ECR as there can be."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from operator import itemgetter
from typing import TYPE_CHECKING

from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.stack.state import State

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient
    from types_boto3_ecr.type_defs import RepositoryTypeDef


def live(repository: Repository) -> State:
    """One repository, of the caller's account. Four calls; ECR's errors come as they are."""
    answer = repository.client.describe_repositories(repositoryNames=[repository.name])
    return _state(repository.client, answer["repositories"][0])


def every(ecr: "ECRClient", wanted: Callable[[str], bool] = lambda _: True) -> Iterator[State]:
    """The repositories of the caller's registry and Region whose names are wanted, by name."""
    pages = ecr.get_paginator("describe_repositories").paginate()
    found = [it for page in pages for it in page["repositories"] if wanted(it["repositoryName"])]
    for it in sorted(found, key=itemgetter("repositoryName")):
        yield _state(ecr, it)


def _state(ecr: "ECRClient", found: "RepositoryTypeDef") -> State:
    repository = Repository(ecr, Reference(name=found["repositoryName"]))
    encryption = found.get("encryptionConfiguration") or {"encryptionType": "AES256"}
    tags = ecr.list_tags_for_resource(resourceArn=found["repositoryArn"])["tags"]
    filters = found.get("imageTagMutabilityExclusionFilters") or []
    lifecycle_policy: str | None = None
    with suppress(ecr.exceptions.LifecyclePolicyNotFoundException):
        lifecycle_policy = ecr.get_lifecycle_policy(**repository.place)["lifecyclePolicyText"]
    return State(
        arn=found["repositoryArn"],
        name=found["repositoryName"],
        tag_mutability=found["imageTagMutability"],
        exclusion_filters=tuple(it["filter"] for it in filters),
        scan_on_push=(found.get("imageScanningConfiguration") or {}).get("scanOnPush", False),
        encryption=encryption["encryptionType"],
        kms_key=encryption.get("kmsKey"),
        tags={it["Key"]: it["Value"] for it in tags},
        lifecycle_policy=lifecycle_policy,
        policy=repository.policy(),
    )
