"""What a report is made from, read from ECR; and AWS's own preview, to hold the report against."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from registry.lifecycle.document import Rule
from registry.lifecycle.files import Listing, image_of, read_policy
from registry.lifecycle.report import INDEX_MEDIA_TYPES, is_index
from registry.lifecycle.simulation import Image, Verdict

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

_MOST_AT_ONCE: Final = 100
"""Of the images that one BatchGetImage names."""


def live_rules(ecr: "ECRClient", place: Mapping[str, Any]) -> tuple[Rule, ...]:
    """The rules of the repository's policy; none if it has no policy.

    `place` is what each call says of the repository: repositoryName, and registryId where it is
    another account's.
    """
    try:
        text = ecr.get_lifecycle_policy(**place)["lifecyclePolicyText"]
    except ecr.exceptions.LifecyclePolicyNotFoundException:
        return ()
    return read_policy(text)


def live_listing(ecr: "ECRClient", place: Mapping[str, Any], *, lists: bool = True) -> Listing:
    """The images of the repository, archived ones too, with what its indexes list if asked for.

    To read an index is to pull it, as ECR sees it, and sets back the time without a pull that a
    rule may measure; unless the reader's role is excluded from that:
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-time-update-exclusions.html
    So indexes are read only where there are untagged images that they could list. One in the
    archive cannot be read, and holds nothing.
    """
    pages = ecr.get_paginator("describe_images").paginate(
        **place, filter={"imageStatus": "ANY"}, PaginationConfig={"PageSize": 1000}
    )
    images = [image_of(detail) for page in pages for detail in page["imageDetails"]]
    if lists and any(not image.tags and not is_index(image) for image in images):
        indexes = [it.digest for it in images if is_index(it) and not it.archived]
        children = dict(_lists(ecr, place, indexes))
        images = [replace(it, children=children.get(it.digest)) for it in images]
    return Listing(images=tuple(images), repository=place["repositoryName"])


def _lists(
    ecr: "ECRClient", place: Mapping[str, Any], indexes: Sequence[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What each index lists. Nothing is told of one that has gone in the meantime."""
    for start in range(0, len(indexes), _MOST_AT_ONCE):
        response = ecr.batch_get_image(
            **place,
            imageIds=[{"imageDigest": it} for it in indexes[start : start + _MOST_AT_ONCE]],
            acceptedMediaTypes=list(INDEX_MEDIA_TYPES),
        )
        for image in response["images"]:
            manifest = json.loads(image["imageManifest"])
            children = tuple(part["digest"] for part in manifest.get("manifests", []))
            yield image["imageId"]["imageDigest"], children


# --- AWS's own preview ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Difference:
    """An image of which AWS's preview says something else."""

    image: Image | None
    """None if AWS names an image that was not there when the images were read."""
    digest: str
    ours: str
    aws: str


def aws_preview(ecr: "ECRClient", place: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """The images that go, as AWS's preview of the repository's policy has it: action and rule.

    It takes AWS some seconds, some minutes for a large repository. Raises botocore's WaiterError
    where it fails or takes longer, and LifecyclePolicyPreviewInProgressException where somebody
    else's is under way: that may be of another policy.
    """
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
) -> list[Difference]:
    """The images of which the two say something else, ours first, then those that only AWS has."""
    ours = {it.image.digest: it for it in verdicts}
    found = [
        Difference(
            image=it.image,
            digest=digest,
            ours=_said(it.action, it.rule),
            aws=_said(*preview.get(digest, ("keep", None))),
        )
        for digest, it in ours.items()
        if (it.action, it.rule) != preview.get(digest, ("keep", None))
    ]
    return found + [
        Difference(image=None, digest=digest, ours="not there", aws=_said(*said))
        for digest, said in preview.items()
        if digest not in ours
    ]


def _said(action: str, rule: int | None) -> str:
    return action if rule is None else f"{action} by rule {rule}"
