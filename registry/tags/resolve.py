"""Which image a tag is on, and what that image was built from."""

from dataclasses import dataclass
from datetime import UTC, datetime

from policies import tag_convention
from registry.aws.errors import RefusedError
from registry.aws.image import Image
from registry.aws.images import Repository


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What a tag means at this moment."""

    tag: str
    image: Image
    unique_tag: tag_convention.UniqueTag
    commit: str
    built_at: datetime


def resolve(repository: Repository, tag: str) -> Resolved:
    """The image that the tag is on. One call of ECR.

    Raises RefusedError where there is no such tag, where the image is archived, and where its tags
    do not tell or do not agree what it was built from.
    """
    image = repository.image(tag)
    if image is None:
        raise RefusedError(
            f"there is no tag {tag} in {repository}; list what there is with "
            f"aws ecr describe-images --repository-name {repository.name}"
        )
    repository.refuse_archived(image)
    try:
        commit = tag_convention.commit(image.tags)
    except tag_convention.UnknownBuildError as error:
        raise RefusedError(str(error)) from None
    [unique_tag, *_] = tags = tag_convention.unique_tags(image.tags)
    return Resolved(
        tag=tag,
        image=image,
        unique_tag=unique_tag,
        commit=commit,
        built_at=datetime.fromtimestamp(min(it.epoch for it in tags), UTC),
    )
