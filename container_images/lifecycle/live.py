"""Read from ECR what a report needs, and AWS's own preview to compare it with."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from botocore.exceptions import ClientError

from container_images.aws.errors import explain, faults_refused, is_denied
from container_images.aws.image import INDEX_MEDIA_TYPES
from container_images.aws.images import Repository
from container_images.lifecycle.document import Rule
from container_images.lifecycle.files import Listing, read_policy
from container_images.lifecycle.report import movable_tags_of
from container_images.lifecycle.simulation import Verdict

_MOST_AT_ONCE: Final = 100
"""Of the images that one BatchGetImage names."""


def live_rules(repository: Repository) -> tuple[Rule, ...]:
    """The rules of the repository's policy; none if it has no policy. One call.

    Raises RefusedError for a policy that breaks AWS's rules as they are known here.
    """
    ecr = repository.client
    try:
        text = ecr.get_lifecycle_policy(**repository.place)["lifecyclePolicyText"]
    except ecr.exceptions.LifecyclePolicyNotFoundException:
        return ()
    with faults_refused(f"the lifecycle policy of {repository}"):
        return read_policy(text)


def live_movable_tags(
    repository: Repository, note: Callable[[str], None], rules: Sequence[Rule] | None = None
) -> tuple[str, ...]:
    """The tags that the repository says are moved, by its rules and its mutability.

    Two calls, one where the rules are given. What the caller may not read counts as if it were not
    there, with a note of it.
    """
    known = rules or ()
    try:
        known = live_rules(repository) if rules is None else rules
        return _movable_tags(repository, known)
    except ClientError as error:
        if not is_denied(error):
            raise
        found = movable_tags_of(known)
        reason = explain(error, str(repository))
        note(f"the movable tags are taken to be {', '.join(found)}: {reason}")
        return found


def _movable_tags(repository: Repository, rules: Sequence[Rule]) -> tuple[str, ...]:
    names, ecr, place = [repository.name], repository.client, repository.place
    if "registryId" in place:
        answer = ecr.describe_repositories(repositoryNames=names, registryId=place["registryId"])
    else:
        answer = ecr.describe_repositories(repositoryNames=names)
    [found] = answer["repositories"]
    filters = [it["filter"] for it in found.get("imageTagMutabilityExclusionFilters", [])]
    return movable_tags_of(rules, found["imageTagMutability"], filters)


def live_listing(repository: Repository, *, lists: bool = True) -> Listing:
    """The images of the repository, archived ones too, with what its indexes list if asked for.

    To read an index is to pull it, as ECR sees it, and sets back the time without a pull that a
    rule may measure; unless the reader's role is excluded from that:
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-time-update-exclusions.html
    So indexes are read only where there are untagged images that they could list. One in the
    archive cannot be read, and holds nothing.
    """
    images = list(repository.images())
    if lists and any(not it.tags and not it.is_index for it in images):
        indexes = [it.digest for it in images if it.is_index and not it.archived]
        children = dict(_lists(repository, indexes))
        images = [replace(it, children=children.get(it.digest)) for it in images]
    return Listing(images=tuple(images), repository=repository.name)


def _lists(repository: Repository, indexes: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What each index lists. One that has gone in the meantime is left out."""
    for start in range(0, len(indexes), _MOST_AT_ONCE):
        response = repository.client.batch_get_image(
            **repository.place,
            imageIds=[{"imageDigest": it} for it in indexes[start : start + _MOST_AT_ONCE]],
            acceptedMediaTypes=list(INDEX_MEDIA_TYPES),
        )
        for image in response["images"]:
            manifest = json.loads(image["imageManifest"])
            children = tuple(part["digest"] for part in manifest.get("manifests", []))
            yield image["imageId"]["imageDigest"], children


def aws_preview(repository: Repository) -> dict[str, tuple[str, int]]:
    """The images that go, as AWS's preview of the repository's policy has it: action and rule.

    It takes AWS some seconds, some minutes for a large repository. Raises botocore's WaiterError
    where it fails or takes longer, and LifecyclePolicyPreviewInProgressException where somebody
    else's is under way: that may be of another policy.
    """
    ecr, place = repository.client, repository.place
    ecr.start_lifecycle_policy_preview(**place)
    ecr.get_waiter("lifecycle_policy_preview_complete").wait(**place)
    pages = ecr.get_paginator("get_lifecycle_policy_preview").paginate(**place)
    return {
        result["imageDigest"]: (
            "expire" if result["action"]["type"] == "EXPIRE" else "archive",
            result["appliedRulePriority"],
        )
        for page in pages
        for result in page["previewResults"]
    }


def differences(
    verdicts: Iterable[Verdict], preview: Mapping[str, tuple[str, int]]
) -> list[dict[str, str]]:
    """Where AWS's preview says something else: `digest`, `ours`, `aws`. Ours first."""
    ours = {it.image.digest: _said(it.action, it.rule) for it in verdicts}
    theirs = dict.fromkeys(ours, "keep") | {key: _said(*said) for key, said in preview.items()}
    return [
        {"digest": digest, "ours": ours.get(digest, "not there"), "aws": aws}
        for digest, aws in theirs.items()
        if ours.get(digest) != aws
    ]


def _said(action: str, rule: int | None) -> str:
    return action if rule is None else f"{action} by rule {rule}"
