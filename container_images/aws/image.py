"""Pure: an image as ECR describes it, in a response or in a file of the AWS CLI's."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

INDEX_MEDIA_TYPES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
"""Of the manifests that list other images, one for each architecture."""

NEVER: Final = datetime.fromtimestamp(0, UTC)
"""The time of a push that is not told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """An image in a repository. All times have an offset from UTC."""

    digest: str
    tags: tuple[str, ...] = ()
    pushed_at: datetime = NEVER
    """ECR always tells it. Without it the image counts as the oldest, so that no loss is missed."""
    size: int = 0
    """In bytes, of the layers as they are pushed."""
    media_type: str = ""
    archived: bool = False
    """It lies in the archive, where it is listed but cannot be pulled."""
    active: bool = True
    """It can be pulled: it is not in the archive, nor on its way back from there."""
    archived_at: datetime | None = None
    activated_at: datetime | None = None
    """When it last came back from the archive."""
    pulled_at: datetime | None = None
    children: tuple[str, ...] | None = None
    """The digests that an index lists. None: not known, or no index."""
    subject: str | None = None
    """The digest of the image that a referrer (a signature, an SBOM) is about."""
    registry_id: str = ""

    @property
    def is_index(self) -> bool:
        """Whether it lists other images."""
        return self.media_type in INDEX_MEDIA_TYPES

    @property
    def since(self) -> datetime:
        """When its age began: at its push, or when it came back from the archive."""
        return self.activated_at or self.pushed_at

    @property
    def used(self) -> datetime:
        """When it was last pulled; if never since its age began, then when that was."""
        pulled = self.pulled_at or self.since
        return max(pulled, self.activated_at or pulled)


def image_of(detail: Mapping[str, Any]) -> Image:
    """The image of an ImageDetail.

    https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageDetail.html
    """

    def optional_moment(key: str) -> datetime | None:
        written = detail.get(key)
        return None if written is None else moment(written)

    return Image(
        digest=detail["imageDigest"],
        tags=tuple(sorted(detail.get("imageTags") or ())),  # ECR documents no order
        pushed_at=moment(detail.get("imagePushedAt", 0)),
        size=int(detail.get("imageSizeInBytes") or 0),
        media_type=detail.get("imageManifestMediaType") or "",
        archived=detail.get("imageStatus") == "ARCHIVED",
        active=detail.get("imageStatus") not in {"ARCHIVED", "ACTIVATING"},
        archived_at=optional_moment("lastArchivedAt"),
        activated_at=optional_moment("lastActivatedAt"),
        pulled_at=optional_moment("lastRecordedPullTime"),
        subject=detail.get("subjectManifestDigest"),
        registry_id=detail.get("registryId") or "",
    )


def moment(written: Any) -> datetime:
    """A time as either version of the AWS CLI prints it, or as boto3 has it, in UTC.

    Version 1 prints seconds since 1970 unless it is told otherwise, version 2 prints ISO 8601.
    Raises ValueError for anything else, and for a time without an offset from UTC.
    """
    try:
        if type(written) in {int, float}:  # and not bool
            return datetime.fromtimestamp(written, UTC)
        time = written if isinstance(written, datetime) else datetime.fromisoformat(str(written))
        if time.tzinfo is None:
            raise ValueError(f"{written} needs an offset from UTC, such as Z at its end")
        return time.astimezone(UTC)
    except (OverflowError, OSError) as error:  # before the year 1, or after 9999
        raise ValueError(str(error)) from None
