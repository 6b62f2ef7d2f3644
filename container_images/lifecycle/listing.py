"""Pure: the images of a repository, and the file of them that the AWS CLI prints."""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Final

from container_images.aws.image import Image, image_of
from container_images.aws.reference import Reference, is_tag
from container_images.policies.invalid_input import InvalidInputError, Problem, parse_json


@dataclass(frozen=True, kw_only=True)
class RepositoryImages:
    """All images of one repository. Its name, account and Region are empty where not known."""

    images: tuple[Image, ...]
    name: str = ""
    registry_id: str = ""
    region: str = ""
    unread: str = ""
    """Why it is not known what the indexes list, where that could not be read."""

    def is_named_by(self, reference: Reference) -> bool:
        """Whether a reference is to this repository. What either does not say is no difference."""
        here = (self.name, self.registry_id, self.region)
        there = (reference.name, reference.registry_id, reference.region)
        return all(ours == its or not (ours and its) for ours, its in zip(here, there, strict=True))


_ATTACHED: Final = re.compile(r"sha256-([0-9a-f]{64})(?:\.(?:sig|att|sbom))?")
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
    tags = [_ATTACHED.fullmatch(tag) for tag in image.tags]
    return f"sha256:{tags[0][1]}" if tags[0] and all(tags) else None


# --- From a file ----------------------------------------------------------------------------------

_PRINT: Final = (
    "print it with aws ecr describe-images --output json, without --max-items, --max-results and "
    "--no-paginate"
)


def read_images(text: str, repository: Reference | None = None) -> RepositoryImages:
    """The images that `aws ecr describe-images` prints, in either version of the AWS CLI.

    It does not print what an index lists. `repository` says which one the images must be of.
    Raises InvalidInputError with everything that cannot be read, and for a listing that is not
    whole: it would make images count as the newest that are not, and hide losses.
    """
    written = parse_json(text, "list of images", _PRINT)
    whole = written if isinstance(written, dict) else {"imageDetails": written}
    details = whole.get("imageDetails")
    if not isinstance(details, list) or not all(isinstance(detail, dict) for detail in details):
        says = "the file of images is an object with imageDetails"
        raise InvalidInputError([Problem(where=(), value=written, rule=says, fix=_PRINT)])
    problems = [
        Problem(where=(key,), value=token, rule="the listing is not whole", fix=_PRINT)
        for key in ("nextToken", "NextToken")
        if (token := whole.get(key))
    ]
    images: dict[str, Image] = {}
    for position, detail in enumerate(details):
        try:
            image = _image(detail, images)
            images[image.digest] = image
        except ValueError as error:
            where, says = ("imageDetails", position), f"this is no image of its own ({error})"
            problems.append(Problem(where=where, value=detail, rule=says, fix=_PRINT))
    named = repository or Reference(name="")
    owner = {}
    for key, name in (("repositoryName", named.name), ("registryId", named.registry_id)):
        names = {name or "", *(str(detail.get(key) or "") for detail in details)} - {""}
        owner[key] = "".join(names)
        if len(names) > 1:
            says, fix = "these are not the images of one repository", "take one file for each"
            problems.append(Problem(where=(key,), value=sorted(names), rule=says, fix=fix))
    if problems:
        raise InvalidInputError(problems)
    return RepositoryImages(
        images=tuple(images.values()),
        name=owner["repositoryName"],
        registry_id=owner["registryId"],
        region=named.region or "",
    )


def _image(detail: Mapping[str, Any], others: Container[str]) -> Image:
    """The image of an ImageDetail. Raises ValueError for anything else, and for one of others."""
    tags = detail.get("imageTags") or []
    for key, is_right in (
        ("imageDigest", isinstance(detail.get("imageDigest"), str)),
        ("imageTags", isinstance(tags, list) and all(map(_is_tag, tags))),
        ("imageSizeInBytes", isinstance(detail.get("imageSizeInBytes") or 0, int)),
        ("imagePushedAt", "imagePushedAt" in detail),
    ):
        if not is_right:
            raise ValueError(f"{key} is {detail.get(key)!r}")
    if detail["imageDigest"] in others:
        raise ValueError("it stands there twice")
    return image_of(detail)


def _is_tag(tag: Any) -> bool:
    return isinstance(tag, str) and is_tag(tag)
