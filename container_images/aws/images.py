"""A repository's images, by as few calls of ECR as there can be."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from container_images.aws.errors import RefusedError
from container_images.aws.image import INDEX_MEDIA_TYPES, Image, image_of
from container_images.aws.reference import Reference, is_digest
from container_images.policies.repository_policy import exempted_roles
from container_images.policies.tag_convention import ADR040, TagConvention

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

MEDIA_TYPES: Final = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    *INDEX_MEDIA_TYPES,
)
"""Every kind of manifest that ECR holds: it hands out none that the caller does not accept.
https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-manifest-formats.html"""


class NoSuchImageError(RefusedError):
    """The image that was named is not there."""


class Put(Enum):
    """What came of putting a tag on an image."""

    DONE = "ECR took it"
    EXISTS = "ECR says that the tag exists already"
    EXISTS_AFTER_RETRY = "ECR says so too, to a second attempt: the first may have been taken"


def digest_of(manifest: str) -> str:
    """The digest of the image that has this manifest."""
    return f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"


class Repository:
    """A repository in ECR, by a client of its Region."""

    def __init__(
        self, ecr: "ECRClient", reference: Reference, convention: TagConvention = ADR040
    ) -> None:
        """The convention says what the tags of its images mean."""
        self.client = ecr
        self.name = reference.name
        self.convention = convention
        self._reference = reference
        registry = {"registryId": reference.registry_id} if reference.registry_id else {}
        self.location: dict[str, Any] = {"repositoryName": reference.name, **registry}
        """What each call says of it."""

    def __str__(self) -> str:
        """The repository, for a message."""
        return str(self._reference)

    def named(self, digest: str, tags: Iterable[str]) -> str:
        """An image of it, for a message: its digest and its unique tag."""
        tag = self.convention.unique_tag(tags)
        return f"{digest} ({tag.text})" if tag else digest

    def image(self, name: str) -> Image | None:
        """The image of this tag or digest, if there is one. One call."""
        return self._describe(name).get(name)

    def image_and_place(self, name: str, tag: str) -> tuple[Image, Image | None]:
        """The image of this name, and the one that the tag is on. One call; two without such a tag.

        Raises NoSuchImageError where there is no image of this name, and RefusedError for one that
        nobody can pull.
        """
        # ECR describes none where one is missing, and does not say which.
        images = self._describe(name, tag) or self._describe(name)
        if name not in images:
            raise NoSuchImageError(
                f"there is no image {name} in {self}; container-images images {self.name} lists "
                "what there is"
            )
        image = images[name]
        if not image.active:
            raise RefusedError(
                f"the image {self.named(image.digest, image.tags)} of {self} is archived and "
                "cannot be pulled; restore it first (aws ecr update-image-storage-class "
                "--target-storage-class STANDARD), or choose another"
            )
        return image, images.get(tag)

    def images(self) -> Iterator[Image]:
        """All of them, a thousand to a call."""
        # Without this filter, archived images are not described.
        pages = self.client.get_paginator("describe_images").paginate(
            **self.location, filter={"imageStatus": "ANY"}, PaginationConfig={"PageSize": 1000}
        )
        for page in pages:
            yield from map(image_of, page["imageDetails"])

    def manifest(self, digest: str) -> str:
        """The image's manifest, unconverted: that is what asking by digest is for. One call.

        https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-retag.html
        """
        answer = self.client.batch_get_image(
            **self.location,
            imageIds=[{"imageDigest": digest}],
            acceptedMediaTypes=list(MEDIA_TYPES),
        )
        if not answer["images"]:
            # A miss is no error in this operation; it stands in the answer.
            reasons = [failure.get("failureReason", "") for failure in answer.get("failures", [])]
            raise NoSuchImageError(
                f"ECR has no manifest of {digest} in {self} ({''.join(reasons).rstrip('.')}); "
                "choose an image that can be pulled"
            )
        manifest: str = answer["images"][0]["imageManifest"]
        if (computed := digest_of(manifest)) != digest:
            raise RefusedError(
                f"the manifest of {digest} in {self} has the digest {computed}; no tag was moved: "
                "check the proxy, if there is one, and AWS_ENDPOINT_URL"
            )
        return manifest

    def put(self, manifest: str, tag: str) -> Put:
        """Put the tag on the image, wherever it was before. One call; the image stays as it is."""
        exceptions = self.client.exceptions
        document = json.loads(manifest)
        kind = "index" if "manifests" in document else "manifest"  # OCI's need not say their type
        media_type = document.get("mediaType") or f"application/vnd.oci.image.{kind}.v1+json"
        try:
            self.client.put_image(
                **self.location,
                imageManifest=manifest,
                imageManifestMediaType=media_type,
                imageDigest=digest_of(manifest),
                imageTag=tag,
            )
        except (
            exceptions.ImageAlreadyExistsException,
            exceptions.ImageTagAlreadyExistsException,
        ) as error:
            retried = error.response["ResponseMetadata"].get("RetryAttempts", 0)
            return Put.EXISTS_AFTER_RETRY if retried else Put.EXISTS
        return Put.DONE

    def arn(self, registry_id: str) -> str:
        """Its ARN, in this registry."""
        meta = self.client.meta
        return f"arn:{meta.partition}:ecr:{meta.region_name}:{registry_id}:repository/{self.name}"

    def uri(self, registry_id: str) -> str:
        """Where its images are pulled from."""
        meta = self.client.meta
        suffixes = {"aws-cn": "amazonaws.com.cn", "aws-eusc": "amazonaws.eu"}
        suffix = suffixes.get(meta.partition, "amazonaws.com")
        return f"{registry_id}.dkr.ecr.{meta.region_name}.{suffix}/{self.name}"

    def policy(self) -> str | None:
        """The repository policy, if it has one. One call."""
        try:
            return self.client.get_repository_policy(**self.location)["policyText"]
        except self.client.exceptions.RepositoryPolicyNotFoundException:
            return None

    def pipeline_roles(self) -> frozenset[str]:
        """The roles that its policy lets move tags. Empty where no guard names them. One call."""
        return exempted_roles(json.loads(self.policy() or "{}"), "ecr:PutImage")

    def lifecycle_policy(self) -> str | None:
        """The lifecycle policy, if it has one. One call."""
        try:
            return self.client.get_lifecycle_policy(**self.location)["lifecyclePolicyText"]
        except self.client.exceptions.LifecyclePolicyNotFoundException:
            return None

    def _describe(self, *names: str) -> dict[str, Image]:
        """Those images, each by its digest and its tags, or none where one of them is missing."""
        try:
            answer = self.client.describe_images(
                **self.location,
                imageIds=[
                    {"imageDigest": name} if is_digest(name) else {"imageTag": name}
                    for name in dict.fromkeys(names)
                ],
                filter={"imageStatus": "ANY"},
            )
        except self.client.exceptions.ImageNotFoundException:
            return {}
        images = map(image_of, answer["imageDetails"])
        return {name: image for image in images for name in (image.digest, *image.tags)}
