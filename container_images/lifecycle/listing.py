"""Pure: the images of a repository, and the file of them that the AWS CLI prints."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from container_images.aws import reference as references
from container_images.aws.image import Image, image_of
from container_images.aws.reference import InvalidReferenceError, OtherRegistryError, Reference
from container_images.policies.forms import TAG
from container_images.policies.invalid_input import InvalidInputError, Problem, parse_json, refuse


@dataclass(frozen=True, kw_only=True)
class RepositoryImages:
    """All images of one repository."""

    images: Sequence[Image]
    reference: Reference
    """The repository. Its name is empty where that is not known."""
    unread: str = ""
    """Why it is not known what the indexes list, where that could not be read."""


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


def read_images(text: str, repository: Reference | None = None) -> RepositoryImages:
    """The images that `aws ecr describe-images` prints, in either version of the AWS CLI.

    It does not print what an index lists. `repository` says which one the images must be of.
    Raises InvalidInputError with everything that cannot be read, and for a listing that is not
    whole: it would make images count as the newest that are not, and hide losses.
    """
    fix = (
        "print it with aws ecr describe-images --output json, without --max-items, --max-results "
        "and --no-paginate"
    )
    written = parse_json(text, "list of images", fix)
    whole = written if isinstance(written, dict) else {"imageDetails": written}
    details = whole.get("imageDetails")
    if not isinstance(details, list) or not all(isinstance(detail, dict) for detail in details):
        rule = "the file of images is an object with imageDetails"
        raise InvalidInputError([Problem(where=(), value=written, rule=rule, fix=fix)])
    errors: list[tuple[tuple[str | int, ...], Any, str]] = [
        ((key,), whole[key], "the listing is not whole")
        for key in ("nextToken", "NextToken")
        if whole.get(key)
    ]
    images: dict[str, Image] = {}
    for position, detail in enumerate(details):
        reason = "its digest or a tag is none, or it stands there twice"
        try:
            image, tags = image_of({"imagePushedAt": None, **detail}), detail.get("imageTags") or []
            are_tags = isinstance(tags, list) and all(map(TAG.fullmatch, tags))
            if "sha256:" in image.digest and are_tags and image.digest not in images:
                images[image.digest] = image
                continue
        except (KeyError, TypeError, ValueError) as error:
            reason = str(error)
        where = ("imageDetails", position)
        errors.append((where, detail, f"this is no image of its own ({reason})"))
    named = repository or Reference(name="")
    owner = {"repositoryName": named.name, "registryId": named.registry_id}
    for key, name in owner.items():
        names = {name or "", *(str(detail.get(key) or "") for detail in details)} - {""}
        owner[key] = "".join(names)
        if len(names) > 1:
            errors.append(((key,), sorted(names), "these are not the images of one repository"))
    refuse(Problem(where=where, value=value, rule=rule, fix=fix) for where, value, rule in errors)
    name, registry_id = owner.values()
    reference = Reference(name=name or "", registry_id=registry_id, region=named.region)
    return RepositoryImages(images=[*images.values()], reference=reference)


def read_in_use(text: str) -> list[str]:
    """Digests and image references, one to a line or as a JSON list, which `ecrm scan` prints.

    Those of other registries than ECR are left out. Raises InvalidInputError with everything that
    names no image.
    """
    fix = "write one digest or image reference to a line, or leave out --in-use"
    written: Any = [line.strip() for line in text.splitlines() if line.strip()]
    if text.lstrip().startswith("["):
        written = parse_json(text, "list of images in use", fix)
    in_use: list[str] = []
    problems: list[Problem] = []
    if not written:
        problems.append(Problem(where=(), rule="no image in use is named in it", fix=fix))
    for image in written:
        try:
            reference_of(image if isinstance(image, str) else "null")
            in_use.append(image)
        except OtherRegistryError:
            continue
        except InvalidReferenceError as error:
            rule = f"images in use are digests and image references ({error})"
            problems.append(Problem(where=(), value=image, rule=rule, fix=fix))
    refuse(problems)
    return in_use


@cache
def reference_of(image: str) -> Reference:
    """The repository and the image that is in use. Without a repository, its name is empty.

    Raises InvalidReferenceError for what names no image.
    """
    name = image.removeprefix("docker-pullable://")  # of a pod's status, where Docker runs it
    if name == "null":  # what is printed of a field that is not there
        raise InvalidReferenceError("this is no text")
    if name.startswith("sha256:"):
        return Reference(name="", image=references.image(name))
    try:
        return references.parse(name)
    except InvalidReferenceError:
        if TAG.fullmatch(name):
            return Reference(name="", image=name)
        raise
