"""Read from ECR what a report needs, and ask what is about to become of one image."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from botocore.exceptions import ClientError

from container_images.aws.errors import RefusedError, explain, is_denied, refused
from container_images.aws.image import INDEX_MEDIA_TYPES, Image
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.lifecycle.document import Rule, read_policy
from container_images.lifecycle.listing import RepositoryImages
from container_images.lifecycle.report import movable_tags_of
from container_images.lifecycle.simulation import Simulation


def live_rules(repository: Repository) -> tuple[Rule, ...]:
    """The rules of the repository's policy; none if it has no policy. One call.

    Raises RefusedError for a policy that the simulation cannot read.
    """
    text = repository.lifecycle_policy()
    if text is None:
        return ()
    with refused(f"the lifecycle policy of {repository}"):
        return read_policy(text)


def live_movable_tags(
    repository: Repository, note: Callable[[str], None], rules: Sequence[Rule] | None = None
) -> tuple[str, ...]:
    """The tags and patterns that the repository says are moved, by its rules and its mutability.

    Two calls, one where the rules are given. What the caller may not read counts as if it were not
    there, with a note of it.
    """
    try:
        rules = live_rules(repository) if rules is None else rules
        place = repository.location
        registry = {key: place[key] for key in place if key == "registryId"}
        [described] = repository.client.describe_repositories(
            repositoryNames=[repository.name], **registry
        )["repositories"]
        filters = described.get("imageTagMutabilityExclusionFilters", [])
        patterns = [exclusion["filter"] for exclusion in filters]
        return movable_tags_of(rules, described["imageTagMutability"], patterns)
    except ClientError as error:
        if not is_denied(error):
            raise
        tags = movable_tags_of(rules or ())
        note(f"the movable tags are taken to be {', '.join(tags)}: {explain(error)}")
        return tags


def live_images(
    repository: Repository, rules: Sequence[Rule], now: datetime, digest: str | None = None
) -> RepositoryImages:
    """The images of the repository, archived ones too.

    With what its indexes list only if that decides whether an image, or the one of that digest,
    goes by the rules: to read an index is to pull it, as ECR sees it, and sets back the time
    without a pull that a rule may measure; unless the reader's role is excluded from that:
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-time-update-exclusions.html
    """
    images = [*repository.images()]
    reference = Reference(
        name=repository.name,
        registry_id=images[0].registry_id if images else None,
        region=repository.client.meta.region_name,
    )
    unread = ""
    # An index in the archive cannot be read, and holds nothing.
    indexes = [image.digest for image in images if image.is_index and not image.archived]
    if indexes and _expiry(rules, images, now, digest):
        try:
            children = dict(_children(repository, indexes))
            images = [replace(image, children=children.get(image.digest)) for image in images]
        except ClientError as error:
            if not is_denied(error):
                raise
            unread = explain(error)
    return RepositoryImages(images=images, reference=reference, unread=unread)


def _children(
    repository: Repository, indexes: Sequence[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What each index lists. One that has gone in the meantime is left out."""
    for start in range(0, len(indexes), 100):  # the most that one call may name
        answer = repository.client.batch_get_image(
            **repository.location,
            imageIds=[{"imageDigest": index} for index in indexes[start : start + 100]],
            acceptedMediaTypes=list(INDEX_MEDIA_TYPES),
        )
        for image in answer["images"]:
            manifest = json.loads(image["imageManifest"])
            children = tuple(part["digest"] for part in manifest.get("manifests", []))
            yield image["imageId"]["imageDigest"], children


def expiry_of(repository: Repository, digest: str) -> str | None:
    """What is about to become of the image as it is now, with the tags that it has.

    None if it stays. One call without a policy; otherwise one more for each thousand images.
    Raises RefusedError where the caller may not know, or AWS does not say.
    """
    now = datetime.now(UTC)
    with refused():
        if not (rules := live_rules(repository)):
            return None
        images = live_images(repository, rules, now, digest)
    expiry = _expiry(rules, images.images, now, digest)
    if expiry and images.unread:
        raise RefusedError(images.unread)
    return expiry


def _expiry(
    rules: Sequence[Rule], images: Sequence[Image], now: datetime, digest: str | None
) -> str | None:
    """By which rule an image, or the one of that digest, goes."""
    for verdict in Simulation(rules, images, now).verdicts:
        if verdict.action != "keep" and digest in {None, verdict.image.digest}:
            by = f"{verdict.decided_by} of the lifecycle policy"
            return f"{by} would {verdict.action} it within a day"
    return None
