"""A repository as far as a stack has a say in it: as declared, and as it is in AWS."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.policies.document import arn, to_json
from container_images.policies.tag_mutability import exclusion_filters
from container_images.stack.declared import DeclaredStack

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient


@dataclass(frozen=True, kw_only=True)
class State:
    """A repository, declared or live."""

    arn: str
    name: str
    tag_mutability: str
    exclusion_filters: tuple[str, ...]
    scan_on_push: bool
    encryption: str
    """AES256, KMS or KMS_DSSE."""
    kms_key: str | None
    tags: Mapping[str, str]
    lifecycle_policy: str | None
    policy: str | None


def intended(stack: DeclaredStack, name: str) -> State:
    """The repository of this name, as the stack declares it."""
    account, settings = stack.account, stack.settings
    repository = settings.repositories[name]
    filters = exclusion_filters(
        repository.tag_mutability, settings.movable_tags, repository.immutable_tags
    )
    return State(
        arn=arn(settings.access(name, account), "ecr", f"repository/{name}"),
        name=name,
        tag_mutability=repository.tag_mutability,
        exclusion_filters=tuple(filters),
        scan_on_push=repository.scan_on_push,
        encryption="KMS" if repository.kms_key else "AES256",
        kms_key=repository.kms_key or None,
        tags={**stack.default_tags, **repository.tags},
        lifecycle_policy=to_json(settings.lifecycle_policy(name)),
        policy=to_json(settings.repository_policy(name, account)),
    )


def live(repository: Repository) -> State:
    """One repository in AWS, of the caller's account. Four calls; ECR's errors come as they are."""
    ecr = repository.client
    [description] = ecr.describe_repositories(repositoryNames=[repository.name])["repositories"]
    encryption = description.get("encryptionConfiguration") or {"encryptionType": "AES256"}
    tags = ecr.list_tags_for_resource(resourceArn=description["repositoryArn"])["tags"]
    filters = description.get("imageTagMutabilityExclusionFilters") or []
    return State(
        arn=description["repositoryArn"],
        name=description["repositoryName"],
        tag_mutability=description["imageTagMutability"],
        exclusion_filters=tuple(exclusion["filter"] for exclusion in filters),
        scan_on_push=(description.get("imageScanningConfiguration") or {}).get("scanOnPush", False),
        encryption=encryption["encryptionType"],
        kms_key=encryption.get("kmsKey"),
        tags={tag["Key"]: tag["Value"] for tag in tags},
        lifecycle_policy=repository.lifecycle_policy(),
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
