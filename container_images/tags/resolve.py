"""Which image a tag is on, and what that image was built from."""

from dataclasses import dataclass
from datetime import datetime

from container_images.aws.image import Image
from container_images.aws.images import Repository
from container_images.policies.tag_convention import UniqueTag, UnknownCommitError


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What a tag means at this moment, or what a digest names."""

    image: Image
    unique_tag: UniqueTag | None
    """This, the commit and the build time are None where the tags do not tell what was built."""
    commit: str | None
    """None too where the convention leaves it out; so is the build time."""
    built_at: datetime | None
    unknown: str | None
    """Why the tags do not tell what was built."""


def resolve(repository: Repository, name: str) -> Resolved:
    """The image of a tag or a digest. One call of ECR.

    Raises NoSuchImageError where there is none, and RefusedError where it is archived.
    """
    image, _ = repository.image_and_place(name, name)
    repository.refuse_archived(image)
    convention = repository.convention
    tags = convention.unique_tags(image.tags)
    commit = unknown = None
    try:
        commit = convention.commit(image.tags)
    except UnknownCommitError as error:
        # A convention that leaves the commit out still tells which build it is.
        if not tags or any(tag.sha for tag in tags):
            tags, unknown = [], str(error)
    return Resolved(
        image=image,
        unique_tag=next(iter(tags), None),
        commit=commit,
        built_at=convention.built_at(image.tags) if tags else None,
        unknown=unknown,
    )
