"""What CloudTrail has recorded of a tag: who put it where, who tried to, and what took it away.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/logging-using-cloudtrail.html
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from container_images.aws.errors import RefusedError

if TYPE_CHECKING:
    from types_boto3_cloudtrail import CloudTrailClient
    from types_boto3_cloudtrail.type_defs import LookupEventsRequestTypeDef

    from container_images.aws.session import Aws

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


class NoTrailError(RefusedError):
    """CloudTrail cannot be asked, and why."""


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
    """Why nothing came of it."""
    tags: frozenset[str] | None
    """The tags that it put or took. None where CloudTrail left them out: of calls that were denied
    it may, and of large ones it does."""
    put: str | None = None
    """Digest of the image that it put, if that is recorded."""
    taken: frozenset[str] = frozenset()
    """Digests of the images that it took away, or archived, with all their tags."""

    @property
    def denied(self) -> bool:
        """Whether nothing came of it because the caller lacked the permission."""
        return (self.error or "").removesuffix("Exception") in {"AccessDenied", "NotAuthorized"}


class Trail:
    """CloudTrail's event history of one account and Region, at the rate that AWS allows."""

    def __init__(
        self,
        cloudtrail: "CloudTrailClient",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`clock` and `sleep` count in seconds."""
        self._cloudtrail = cloudtrail
        self._clock = clock
        self._sleep = sleep
        self._next = clock()

    def records_of_all(
        self, repository_arns: Sequence[str], events: Sequence[str], since: datetime
    ) -> dict[str | None, list[Record]]:
        """What happened to the images of each repository, by its ARN, the oldest first.

        Under None: events of which CloudTrail does not say the repository. A lookup takes one
        attribute, so each event's name is a pass of its own over all that happened under that name
        in the account: one for all repositories.
        """
        records: dict[str | None, list[Record]] = {arn: [] for arn in (*repository_arns, None)}
        for event in events:
            for raw in self.events(event, since):
                if is_unnamed(raw):
                    records[None].append(_record(raw))
                for arn in repository_arns:
                    if record := record_of(raw, arn):
                        records[arn].append(record)
        for of_repository in records.values():
            # CloudTrail gives the newest first, and so it counts within a second too: times are
            # whole seconds, and sorting leaves those that are equal as they were.
            of_repository.reverse()
            of_repository.sort(key=lambda record: record.time)
        return records

    def events(self, name: str, since: datetime) -> Iterator[dict[str, Any]]:
        """All that happened under a name in the account, the newest first, as CloudTrail has it."""
        request: LookupEventsRequestTypeDef = {
            "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}],
            "StartTime": since,
            "MaxResults": 50,
        }
        while True:
            wait = self._next - self._clock()
            if wait > 0:
                self._sleep(wait)
            self._next = self._clock() + SECONDS_PER_LOOKUP
            page = self._cloudtrail.lookup_events(**request)
            yield from (json.loads(event["CloudTrailEvent"]) for event in page["Events"])
            if not page.get("NextToken"):
                return
            request["NextToken"] = page["NextToken"]


def trail_of(aws: "Aws", account: str, holder: str) -> Trail:
    """What happened in the account that holds a repository. Raises NoTrailError for another's."""
    if holder != account:
        raise NoTrailError(
            f"CloudTrail of account {account} has no events of account {holder}; run this as a "
            "role of that account"
        )
    return Trail(aws.cloudtrail())


def earliest(now: datetime | None = None) -> datetime:
    """How far back CloudTrail can be asked."""
    return (now or datetime.now(UTC)) - timedelta(days=DAYS)


def record_of(raw: Mapping[str, Any], repository_arn: str) -> Record | None:
    """An event, if it is about this repository."""
    return _record(raw) if is_about(raw, repository_arn) else None


def _record(raw: Mapping[str, Any]) -> Record:
    principal, session = caller(raw)
    recorded: dict[str, Any] = {
        "time": datetime.fromisoformat(raw["eventTime"]),
        "event": raw["eventName"],
        "principal": principal,
        "session": session,
        "error": raw.get("errorCode"),
    }
    return Record(**recorded, **_READERS.get(raw["eventName"], _read_nothing)(raw))


def caller(raw: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Whose call it was: the ARN of a role, of a user or of the root, or a service; None if unsaid.

    Of somebody from another account, CloudTrail may know the account and no more: then its id. And
    of a role, the session's name.
    """
    identity = raw.get("userIdentity") or {}
    issuer = (identity.get("sessionContext") or {}).get("sessionIssuer") or {}
    arn = identity.get("arn") or ""
    session = arn.rpartition("/")[2] if ":assumed-role/" in arn else None
    who = issuer.get("arn") or arn or identity.get("invokedBy") or identity.get("accountId")
    return who, session


def is_about(raw: Mapping[str, Any], repository_arn: str) -> bool:
    """Whether an event is ECR's, and about this repository."""
    if raw.get("eventSource") != "ecr.amazonaws.com":
        return False
    _, _, _, _, registry_id, resource = repository_arn.split(":", maxsplit=5)
    arns = [resource["ARN"] for resource in raw.get("resources") or [] if resource.get("ARN")]
    if arns:
        return repository_arn in arns
    details = raw.get("requestParameters") or raw.get("serviceEventDetails") or {}
    if "resourceArn" in details:  # TagResource, UntagResource
        return bool(details["resourceArn"] == repository_arn)
    if "repositoryName" in details:
        named = f"repository/{details['repositoryName']}"
        return named == resource and details.get("registryId", registry_id) == registry_id
    # Of a denied call there may be no more than what its caller was told.
    words = (raw.get("errorMessage") or "").split()
    return repository_arn in {word.strip(".,;:()'\"") for word in words}


def is_unnamed(raw: Mapping[str, Any]) -> bool:
    """Whether an event is ECR's, and does not say in any way which repository it is about."""
    details = raw.get("requestParameters") or raw.get("serviceEventDetails") or {}
    return (
        raw.get("eventSource") == "ecr.amazonaws.com"
        and not any(resource.get("ARN") for resource in raw.get("resources") or [])
        and not details.keys() & {"repositoryName", "resourceArn"}
        and ":repository/" not in (raw.get("errorMessage") or "")
    )


def _read_put(raw: Mapping[str, Any]) -> dict[str, Any]:
    request, response = raw.get("requestParameters"), raw.get("responseElements") or {}
    put = ((response.get("image") or {}).get("imageId") or {}).get("imageDigest")
    if not request:
        return {"tags": None, "put": put}
    tag, manifest = request.get("imageTag"), request.get("imageManifest")
    if not put:
        put = request.get("imageDigest")
    if not put and manifest:
        put = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
    return {"tags": frozenset({tag} if tag else ()), "put": put}


def _read_delete(raw: Mapping[str, Any]) -> dict[str, Any]:
    request, response = raw.get("requestParameters"), raw.get("responseElements")
    if not request:
        return {"tags": None}
    asked: list[dict[str, str]] = request.get("imageIds") or []
    # The answer lists what was deleted; what could not be, it leaves to its failures.
    done: list[dict[str, str]] = asked if response is None else response.get("imageIds") or []
    digests = {image["imageDigest"] for image in done if "imageDigest" in image}
    return {
        "tags": frozenset(image["imageTag"] for image in done if "imageTag" in image),
        # With a tag beside it, a digest only says which image the tag has to be on.
        "taken": frozenset(
            image["imageDigest"]
            for image in asked
            if "imageTag" not in image and image.get("imageDigest") in digests
        ),
    }


def _read_expiry(raw: Mapping[str, Any]) -> dict[str, Any]:
    details = raw.get("serviceEventDetails")
    if not details:
        return {"tags": None}
    actions = details.get("lifecycleEventImageActions") or []
    images = [action["lifecycleEventImage"] for action in actions]
    return {
        "tags": frozenset(tag for image in images for tag in image.get("tagList") or []),
        "taken": frozenset(image["digest"] for image in images),
    }


def _read_archive(raw: Mapping[str, Any]) -> dict[str, Any]:
    request = raw.get("requestParameters")
    if not request:
        return {"tags": None}
    image = request.get("imageId") or {}
    tag, digest = image.get("imageTag"), image.get("imageDigest")
    return {
        "tags": frozenset({tag} if tag else ()),
        "taken": frozenset({digest} if digest else ()),
    }


def _read_nothing(_: Mapping[str, Any]) -> dict[str, Any]:
    """Of an event whose shape AWS does not document (ReplicateImage, BatchImportUpstreamImage)."""
    return {"tags": None}


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    PUT: _read_put,
    DELETE: _read_delete,
    ARCHIVE: _read_archive,
    EXPIRE: _read_expiry,
}
