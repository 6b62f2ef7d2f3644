"""Pure: how a command's user names a repository and an image."""

import re
from dataclasses import dataclass
from typing import Final

from policies.tag_mutability import TAG

_WORD: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_NAME: Final = rf"(?P<name>{_WORD}(?:/{_WORD})*)"
"""https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html"""

_ARN: Final = re.compile(
    rf"arn:[a-z-]+:ecr:(?P<region>[a-z0-9-]+):(?P<registry>[0-9]{{12}}):repository/{_NAME}"
)

_URI: Final = re.compile(
    # Also the FIPS endpoints, and the ones that know IPv6, dkr-ecr.REGION.on.aws.
    r"(?P<registry>[0-9]{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+/" + _NAME
)

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")

LONGEST_NAME: Final = 256


class InvalidReferenceError(ValueError):
    """Text that names no repository, or no image."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A repository as its user named it."""

    name: str
    registry_id: str | None = None
    """The account that holds it; None for the caller's own."""
    region: str | None = None
    """None for the environment's."""
    uri: str | None = None
    """Where it is pulled from, if that is how it was named."""

    def __str__(self) -> str:
        """The repository, for a message."""
        return self.name if self.registry_id is None else f"{self.name} ({self.registry_id})"


def parse(text: str) -> Reference:
    """A repository's name, ARN or URI. Raises InvalidReferenceError for anything else."""
    # A URI has the form of a name too: names have dots and slashes.
    found = _ARN.fullmatch(text) or _URI.fullmatch(text) or re.fullmatch(_NAME, text)
    if found is None or len(found["name"]) > LONGEST_NAME:
        raise InvalidReferenceError(
            f"{text!r} is no repository: give its name, its ARN, or its URI without a tag"
        )
    parts = found.groupdict()
    return Reference(
        name=found["name"],
        registry_id=parts.get("registry"),
        region=parts.get("region"),
        uri=text if found.re is _URI else None,
    )


def is_digest(text: str) -> bool:
    """Whether an image is named by what is in it."""
    return _DIGEST.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Whether an image is named by a tag."""
    return TAG.fullmatch(text) is not None
