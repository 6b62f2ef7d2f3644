"""Pure: references to repositories and images, as users write them."""

import re
from dataclasses import dataclass
from typing import Final

from container_images.policies.forms import TAG

_WORD: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_NAME: Final = rf"(?P<name>{_WORD}(?:/{_WORD})*)"
"""https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html"""

_ARN: Final = re.compile(
    rf"arn:[a-z-]+:ecr:(?P<region>[a-z0-9-]+):(?P<registry_id>[0-9]{{12}}):repository/{_NAME}"
)

_NAME_OR_URI: Final = re.compile(
    # Also the FIPS endpoints, and the ones that know IPv6, dkr-ecr.REGION.on.aws.
    r"(?:(?P<registry_id>[0-9]{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+/)?"
    rf"{_NAME}(?::(?P<tag>[^/:@]*))?(?:@(?P<digest>sha256:.*))?"
)

_OTHER_REGISTRY: Final = re.compile(
    r"(?![0-9]{12}\.dkr[.-]ecr)((?:[^/]+\.[a-z]{2,}|localhost)(?::[0-9]+)?|[^/]+:[0-9]+)/.+"
)
"""As container tools tell a registry's host from a name: by a dot or a port in its first part.
https://distribution.github.io/reference/"""

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


class InvalidReferenceError(ValueError):
    """Text that names no repository, or no image."""


class OtherRegistryError(InvalidReferenceError):
    """The image that is named is of no ECR repository."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A repository as its user named it, and an image of it, if one was named with it."""

    name: str
    registry_id: str | None = None
    """The account that holds it; None for the caller's own."""
    region: str | None = None
    """None for the environment's."""
    image: str | None = None
    """The tag or digest after the name. Of both the digest, as for every container tool."""

    def __str__(self) -> str:
        """The repository, for a message."""
        return self.name if self.registry_id is None else f"{self.name} ({self.registry_id})"


def parse(text: str) -> Reference:
    """A repository's ARN; or its name or URI, maybe with `:TAG` or `@DIGEST`.

    Raises InvalidReferenceError for anything else.
    """
    if arn := _ARN.fullmatch(text):
        return Reference(**arn.groupdict())
    if other := _OTHER_REGISTRY.fullmatch(text):
        raise OtherRegistryError(
            f"{text!r} is an image of {other[1]}, and not of a private ECR repository; if a "
            "repository has this name, give its ARN"
        )
    match = _NAME_OR_URI.fullmatch(text)
    if not match:
        raise InvalidReferenceError(
            f"{text!r} is not a repository: give its name, its ARN, or its URI, such as "
            "111122223333.dkr.ecr.eu-west-2.amazonaws.com/NAME"
        )
    parts = match.groupdict()
    tagged, digest = parts.pop("tag"), parts.pop("digest")
    named = tagged if digest is None else digest
    return Reference(**parts, image=None if named is None else image(named))


def image(text: str) -> str:
    """A tag or a digest, as it is. Raises InvalidReferenceError for what is neither."""
    if ":" not in text:
        return tag(text)
    if not is_digest(text):
        raise InvalidReferenceError(
            f"{text!r} is a malformed digest: sha256: and 64 hex digits in lower case"
        )
    return text


def tag(text: str) -> str:
    """A tag, as it is. Raises InvalidReferenceError for anything else."""
    if not TAG.fullmatch(text):
        raise InvalidReferenceError(
            f"{text!r} is not a tag: 1 to 128 letters, digits and . _ -, and first none of . -"
        )
    return text


def is_digest(text: str) -> bool:
    """Whether an image is named by what is in it."""
    return _DIGEST.fullmatch(text) is not None
