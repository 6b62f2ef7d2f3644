"""Pure: signatures, attestations and SBOMs, which belong to another image."""

import re
from typing import Final

from container_images.aws.image import Image

_TAG: Final = re.compile(r"sha256-([0-9a-f]{64})(?:\.(?:sig|att|sbom))?")
"""Of what cosign attaches, and of the list of referrers that clients keep where a registry has no
API for it: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema
"""


def subject_of(image: Image) -> str | None:
    """The digest of the image that this one is attached to; None for an image of its own kind.

    Attached is a referrer, which names its subject, and what has no other tags than such as cosign
    gives. To ECR the second is an image like any other: it does not go with its subject.
    """
    if image.subject or not image.tags or not image.tags[0].startswith("sha256-"):
        return image.subject
    tags = [_TAG.fullmatch(tag) for tag in image.tags]
    return f"sha256:{tags[0][1]}" if tags[0] and all(tags) else None
