"""A repository's images, by as few calls of ECR as there can be."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from container_images.aws.errors import RefusedError
from container_images.aws.image import INDEX_MEDIA_TYPES, Image, image_of
from container_images.aws.reference import Reference, is_digest
from container_images.policies.tag_convention import ADR040, TagConvention

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient
    from types_boto3_ecr.type_defs import DescribeImagesFilterTypeDef

MEDIA_TYPES: Final = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    *INDEX_MEDIA_TYPES,
)
"""Every kind of manifest that ECR holds: it hands out none that the caller does not accept.
https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-manifest-formats.html"""

_ANY_STATUS: "Final[DescribeImagesFilterTypeDef]" = {"imageStatus": "ANY"}
"""Without this filter, archived images are not described."""


class NoSuchImageError(RefusedError):
    """The image that was named is not there."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an image's digest is the digest of, to the byte."""

    digest: str
    media_type: str
    text: str


class Put(Enum):
    """What came of putting a tag on an image."""

    DONE = "ECR took it"
    EXISTS = "ECR says that the tag exists already"
    EXISTS_AFTER_RETRY = "ECR says so too, to a second attempt: the first may have been taken"


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
        self.location: dict[str, Any] = {"repositoryName": reference.name}
        """What each call says of it."""
        if reference.registry_id is not None:
            self.location["registryId"] = reference.registry_id

    def __str__(self) -> str:
        """The repository, for a message."""
        return str(self._reference)

    def named(self, image: Image) -> str:
        """An image of it, for a message: its digest and its unique tag."""
        tag = self.convention.unique_tag(image.tags)
        return f"{image.digest} ({tag})" if tag else image.digest

    def image(self, name: str) -> Image | None:
        """The image of this tag or digest, if there is one. One call."""
        return _named(name, self._describe(name))

    def image_and_place(self, name: str, tag: str) -> tuple[Image, Image | None]:
        """The image of this name, and the one that the tag is on. One call; two without such a tag.

        Raises NoSuchImageError where there is no image of this name.
        """
        # ECR describes none where one is missing, and does not say which.
        images = self._describe(name, tag) or self._describe(name)
        image = _named(name, images)
        if image is None:
            raise NoSuchImageError(
                f"there is no image {name} in {self}; container-images images {self.name} lists "
                "what there is"
            )
        return image, _named(tag, images)

    def images(self) -> Iterator[Image]:
        """All of them, a thousand to a call."""
        pages = self.client.get_paginator("describe_images").paginate(
            **self.location, filter=_ANY_STATUS, PaginationConfig={"PageSize": 1000}
        )
        for page in pages:
            yield from map(image_of, page["imageDetails"])

    def manifest(self, digest: str) -> Manifest:
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
            reason = "".join(reasons[:1]) or "no reason given"
            raise NoSuchImageError(
                f"ECR has no manifest of {digest} in {self} ({reason.rstrip('.')}); "
                "choose an image that can be pulled"
            )
        [image, *_] = answer["images"]
        text = image["imageManifest"]
        computed = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        if computed != digest:
            raise RefusedError(
                f"the manifest of {digest} in {self} has the digest {computed}; no tag was moved: "
                "check the proxy, if there is one, and AWS_ENDPOINT_URL"
            )
        media_type = image.get("imageManifestMediaType") or _media_type(text)
        return Manifest(digest=digest, media_type=media_type, text=text)

    def put(self, manifest: Manifest, tag: str) -> Put:
        """Put the tag on the image, wherever it was before. One call; the image stays as it is."""
        exceptions = self.client.exceptions
        try:
            self.client.put_image(
                **self.location,
                imageManifest=manifest.text,
                imageManifestMediaType=manifest.media_type,
                imageDigest=manifest.digest,
                imageTag=tag,
            )
        except (
            exceptions.ImageAlreadyExistsException,
            exceptions.ImageTagAlreadyExistsException,
        ) as error:
            retried = error.response["ResponseMetadata"].get("RetryAttempts", 0)
            return Put.EXISTS_AFTER_RETRY if retried else Put.EXISTS
        return Put.DONE

    def refuse_archived(self, image: Image) -> None:
        """Raise RefusedError for an image that nobody can pull."""
        if not image.active:
            raise RefusedError(
                f"the image {self.named(image)} of {self} is archived and cannot be pulled; "
                "restore it first (aws ecr update-image-storage-class --target-storage-class "
                "STANDARD), or choose another"
            )

    def uri(self, registry_id: str, dns_suffix: str) -> str:
        """Where images are pulled from, in the words of whoever named the repository by it."""
        region = self.client.meta.region_name
        made = f"{registry_id}.dkr.ecr.{region}.{dns_suffix}/{self.name}"
        return self._reference.uri or made

    def policy(self) -> str | None:
        """The repository policy, if it has one. One call."""
        try:
            return self.client.get_repository_policy(**self.location)["policyText"]
        except self.client.exceptions.RepositoryPolicyNotFoundException:
            return None

    def lifecycle_policy(self) -> str | None:
        """The lifecycle policy, if it has one. One call."""
        try:
            return self.client.get_lifecycle_policy(**self.location)["lifecyclePolicyText"]
        except self.client.exceptions.LifecyclePolicyNotFoundException:
            return None

    def _describe(self, *names: str) -> list[Image]:
        """Those images, or none where one of them is missing."""
        try:
            answer = self.client.describe_images(
                **self.location,
                imageIds=[
                    {"imageDigest": name} if is_digest(name) else {"imageTag": name}
                    for name in dict.fromkeys(names)
                ],
                filter=_ANY_STATUS,
            )
        except self.client.exceptions.ImageNotFoundException:
            return []
        # ECR documents no order of tags, and a move prints and records them the same each time.
        images = map(image_of, answer["imageDetails"])
        return [replace(image, tags=tuple(sorted(image.tags))) for image in images]


def _media_type(manifest: str) -> str:
    """What a manifest says that it is, where ECR leaves that out.

    https://github.com/opencontainers/image-spec/blob/main/manifest.md: `mediaType` is optional.
    """
    document = json.loads(manifest)
    kind = "index" if "manifests" in document else "manifest"
    return str(document.get("mediaType") or f"application/vnd.oci.image.{kind}.v1+json")


def _named(name: str, images: list[Image]) -> Image | None:
    return next((image for image in images if name in {image.digest, *image.tags}), None)
