"""Which image a tag is on, and what that image was built from."""

from dataclasses import dataclass
from datetime import UTC, datetime

from policies import tag_convention
from registry.aws.image import Image
from registry.aws.images import Repository


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What a tag means at this moment, or what a digest names."""

    name: str
    """The tag or the digest that was asked about."""
    image: Image
    unique_tag: tag_convention.UniqueTag | None
    """This, the commit and the build time are None where the tags do not tell what was built."""
    commit: str | None
    built_at: datetime | None
    unknown: str | None
    """Why they are."""


def resolve(repository: Repository, name: str) -> Resolved:
    """The image of a tag or a digest. One call of ECR.

    Raises NoSuchImageError where there is none, and RefusedError where it is archived.
    """
    image, _ = repository.image_and_place(name, name)
    repository.refuse_archived(image)
    try:
        commit = tag_convention.commit(image.tags)
    except tag_convention.UnknownBuildError as error:
        return Resolved(
            name=name, image=image, unique_tag=None, commit=None, built_at=None, unknown=str(error)
        )
    [unique_tag, *_] = tags = tag_convention.unique_tags(image.tags)
    return Resolved(
        name=name,
        image=image,
        unique_tag=unique_tag,
        commit=commit,
        built_at=datetime.fromtimestamp(min(it.epoch for it in tags), UTC),
        unknown=None,
    )
