"""What CloudTrail has recorded of a tag: who put it where, who tried to, and what took it away.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/logging-using-cloudtrail.html
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

from container_images.aws.errors import RefusedError
from container_images.aws.images import digest_of

if TYPE_CHECKING:
    from types_boto3_cloudtrail import CloudTrailClient
    from types_boto3_cloudtrail.type_defs import LookupEventsRequestTypeDef

DAYS: Final = 90
"""How long CloudTrail keeps the events that it lets everybody look up."""

SECONDS_PER_LOOKUP: Final = 0.5
"""Two requests a second are allowed, in an account and Region:
https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html"""

PUT: Final = "PutImage"
DELETE: Final = "BatchDeleteImage"
ARCHIVE: Final = "UpdateImageStorageClass"
"""The image goes to the archive, where it cannot be pulled, or comes back."""
EXPIRE: Final = "PolicyExecutionEvent"
"""The work of a lifecycle policy. It has no caller."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One event about the images of a repository, as CloudTrail has it."""

    time: datetime
    event: str
    principal: str | None
    """ARN of the role, of the user or of the account's root; or a service's name, or no more than
    the account's id."""
    session: str | None
    """Of a role: the session's name."""
    error: str | None
    """Why nothing came of it: AWS's name of the error, which CloudTrail writes with and without
    `Exception` at its end."""
    tags: frozenset[str] | None
    """The tags that it put or took. None where CloudTrail left them out: of calls that were denied
    it may, and of large ones it does."""
    put: str | None = None
    """Digest of the image that it put, if that is recorded."""
    taken: frozenset[str] = frozenset()
    """Digests of the images that it took away, or archived, with all their tags."""


def earliest(now: datetime | None = None) -> datetime:
    """How far back CloudTrail can be asked."""
    return (now or datetime.now(UTC)) - timedelta(days=DAYS)


def refuse_other_account(account: str, holder: str) -> None:
    """Raise RefusedError unless the caller's account is the one that holds the repository."""
    if holder != account:
        raise RefusedError(
            f"CloudTrail of account {account} has no events of account {holder}; run this as a "
            "role of that account"
        )


def lookup(
    cloudtrail: "CloudTrailClient", events: Iterable[str], since: datetime
) -> Iterator[dict[str, Any]]:
    """What happened under these names in the account and Region, as CloudTrail has it.

    A lookup takes one attribute, so each name is a pass of its own, over what happened in all
    repositories, with the newest first. It keeps to the rate that AWS allows.
    """
    due = monotonic()
    for event in events:
        request: LookupEventsRequestTypeDef = {
            "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": event}],
            "StartTime": since,
            "MaxResults": 50,
        }
        while True:
            sleep(max(due - monotonic(), 0))
            due = monotonic() + SECONDS_PER_LOOKUP
            page = cloudtrail.lookup_events(**request)
            yield from (json.loads(event["CloudTrailEvent"]) for event in page["Events"])
            if not page.get("NextToken"):
                break
            request["NextToken"] = page["NextToken"]


def records_of(
    repository_arns: Sequence[str], events: Iterable[Mapping[str, Any]]
) -> dict[str | None, list[Record]]:
    """What happened to the images of each repository, by its ARN, the oldest first.

    Under None: events of which CloudTrail does not say the repository.
    """
    records: dict[str | None, list[Record]] = {arn: [] for arn in (*repository_arns, None)}
    for event in events:
        if event.get("eventSource") != "ecr.amazonaws.com":
            continue
        names = _repositories_in(event)
        if not names:
            records[None].append(_record(event))
        for arn in repository_arns:
            if any(arn.endswith(name) for name in names):
                records[arn].append(_record(event))
    for of_repository in records.values():
        # CloudTrail gives the newest first, and so it counts within a second too: times are
        # whole seconds, and sorting leaves those that are equal as they were.
        of_repository.reverse()
        of_repository.sort(key=lambda record: record.time)
    return records


def _repositories_in(event: Mapping[str, Any]) -> list[str]:
    """The repositories that an event is about, each by its ARN, or by what ends that."""
    if arns := [part["ARN"] for part in event.get("resources") or [] if part.get("ARN")]:
        return arns
    details = event.get("requestParameters") or event.get("serviceEventDetails") or {}
    if "resourceArn" in details:  # TagResource, UntagResource
        return [details["resourceArn"]]
    if "repositoryName" in details:
        account = f":{details['registryId']}" if "registryId" in details else ""
        return [f"{account}:repository/{details['repositoryName']}"]
    # Of a denied call there may be no more than what its caller was told.
    words = (event.get("errorMessage") or "").split()
    return [word.strip(".,;:()'\"") for word in words if ":repository/" in word]


def _record(event: Mapping[str, Any]) -> Record:
    identity = event.get("userIdentity") or {}
    issuer = (identity.get("sessionContext") or {}).get("sessionIssuer") or {}
    arn = identity.get("arn") or ""
    # Of somebody from another account, CloudTrail may know the account and no more.
    principal = issuer.get("arn") or arn or identity.get("invokedBy") or identity.get("accountId")
    return Record(
        time=datetime.fromisoformat(event["eventTime"]),
        event=event["eventName"],
        principal=principal,
        session=arn.rpartition("/")[2] if ":assumed-role/" in arn else None,
        error=event.get("errorCode"),
        **_images_in(event),
    )


def _images_in(event: Mapping[str, Any]) -> dict[str, Any]:
    """The tags, `put` and `taken` of a record.

    AWS does not document the shape of other events (ReplicateImage, BatchImportUpstreamImage).
    """
    request, response = event.get("requestParameters") or {}, event.get("responseElements") or {}
    details = event.get("serviceEventDetails")
    match event["eventName"]:
        case "PutImage":
            put = ((response.get("image") or {}).get("imageId") or {}).get("imageDigest")
            put = put or request.get("imageDigest")
            if not put and (manifest := request.get("imageManifest")):
                put = digest_of(manifest)
            return {"tags": _values([request], "imageTag") if request else None, "put": put}
        case "BatchDeleteImage" if request:
            requested = request.get("imageIds") or []
            # The answer lists what was deleted; what could not be, it leaves to its failures.
            deleted = (response or request).get("imageIds") or []
            # With a tag beside it, a digest only says which image the tag has to be on.
            untagged = [image for image in requested if "imageTag" not in image]
            taken = _values(untagged, "imageDigest") & _values(deleted, "imageDigest")
            return {"tags": _values(deleted, "imageTag"), "taken": taken}
        case "UpdateImageStorageClass" if request:
            images = [request.get("imageId") or {}]
            return {"tags": _values(images, "imageTag"), "taken": _values(images, "imageDigest")}
        case "PolicyExecutionEvent" if details:
            expired = details.get("lifecycleEventImageActions") or []
            images = [action["lifecycleEventImage"] for action in expired]
            tags = frozenset(tag for image in images for tag in image.get("tagList") or [])
            return {"tags": tags, "taken": _values(images, "digest")}
    return {"tags": None}


def _values(images: Iterable[Mapping[str, Any]], key: str) -> frozenset[str]:
    return frozenset(image[key] for image in images if image.get(key))
