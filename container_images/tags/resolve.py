"""Which image a tag is on, and what that image was built from."""

from collections.abc import Callable
from typing import Any

from container_images.aws.images import Repository
from container_images.aws.reference import is_digest
from container_images.policies.tag_convention import UnknownCommitError


def resolve(
    repository: Repository, name: str, note: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """What a tag means at this moment, or what a digest names, as in JSON. One call of ECR.

    It notes why the tags do not tell what was built. Raises NoSuchImageError where there is no such
    image, and RefusedError where it is archived.
    """
    image, _ = repository.image_and_place(name, name)
    convention = repository.convention
    tags = convention.unique_tags(image.tags)
    commit = None
    try:
        commit = convention.commit(image.tags)
    except UnknownCommitError as error:
        # A convention that leaves the commit out still tells which build it is.
        if not tags or any("sha" in tag.parts for tag in tags):
            tags = []
            note(f"commit, unique tag and build time of {name} are unknown: {error}")
    built = convention.built_at(image.tags) if tags else None
    return {
        "reference": f"{repository.uri(image.registry_id)}@{image.digest}",
        "digest": image.digest,
        "tag": None if is_digest(name) else name,
        "uniqueTag": tags[0].text if tags else None,
        "commit": commit,
        "builtAt": f"{built:%Y-%m-%dT%H:%M:%SZ}" if built else None,
        "tags": list(image.tags),
    }
