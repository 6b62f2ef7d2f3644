import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from container_images.aws import trail
from container_images.aws.trail import ARCHIVE, DELETE, EXPIRE, PUT, Record, records_of
from tests.builds import ACCOUNT, NAME
from tests.events import ARN, DIGESTS, PIPELINE, event, expiry, page, put

if TYPE_CHECKING:
    from types_boto3_cloudtrail import CloudTrailClient

SINCE = datetime(2026, 8, 25, tzinfo=UTC)
A, B, C = (DIGESTS[letter] for letter in "abc")


def read(raw: dict[str, Any]) -> Record:
    [record] = records_of([ARN], [raw])[ARN]
    return record


# --- One event ------------------------------------------------------------------------------------


def test_a_put_is_read_with_who_and_what() -> None:
    assert read(put(9, "a")) == Record(
        time=datetime(2026, 11, 20, 9, tzinfo=UTC),
        event="PutImage",
        principal=PIPELINE,
        session="build-7",
        error=None,
        tags=frozenset({"latest"}),
        put=A,
    )


USER, ROOT = (f"arn:aws:iam::{ACCOUNT}:{name}" for name in ("user/mary", "root"))


@pytest.mark.parametrize(
    ("identity", "principal"),
    [
        ({"type": "IAMUser", "arn": USER, "sessionContext": {}}, USER),
        ({"type": "Root", "arn": ROOT}, ROOT),
        ({"type": "AWSService", "invokedBy": "ecr.amazonaws.com"}, "ecr.amazonaws.com"),
        ({"type": "AWSAccount", "accountId": "444455556666"}, "444455556666"),
        (None, None),
    ],
)
def test_users_root_and_services_have_no_session(
    identity: dict[str, Any] | None, principal: str | None
) -> None:
    record = read(put(9, "a", userIdentity=identity))
    assert (record.principal, record.session) == (principal, None)


TAGGED, BOTH = {"imageTag": "latest"}, {"imageTag": "latest", "imageDigest": A}
MANIFEST = {"imageTag": "latest", "imageManifest": '{"a": 1}'}


def refused(**request: Any) -> dict[str, Any]:
    return {"requestParameters": request, "responseElements": None}


@pytest.mark.parametrize(
    ("name", "parts", "tags", "placed", "taken"),
    [
        # Of a put that is refused, the digest is that of the manifest.
        (PUT, refused(**MANIFEST), {"latest"}, hashlib.sha256(b'{"a": 1}').hexdigest(), set()),
        (PUT, refused(**MANIFEST, imageDigest=B), {"latest"}, B, set()),
        (PUT, refused(imageTag=None, imageDigest=B), set(), B, set()),
        (PUT, {}, None, None, set()),  # left out, as of a large call
        (DELETE, refused(imageIds=[TAGGED]), {"latest"}, None, set()),
        (DELETE, refused(imageIds=[{"imageDigest": A}]), set(), None, {A}),
        # What was deleted counts, and a digest beside a tag only says where the tag has to be.
        (
            DELETE,
            refused(imageIds=[BOTH, {"imageDigest": B}, {"imageDigest": C}])
            | {"responseElements": {"imageIds": [BOTH, {"imageDigest": C}], "failures": [{}]}},
            {"latest"},
            None,
            {C},
        ),
        (DELETE, {}, None, None, set()),
        (ARCHIVE, refused(imageId=TAGGED), {"latest"}, None, set()),
        (ARCHIVE, refused(imageId={"imageDigest": A}), set(), None, {A}),
        (ARCHIVE, {}, None, None, set()),
        (EXPIRE, {**expiry(9, "a", "x", "y")}, {"x", "y"}, None, {A}),
        (EXPIRE, {}, None, None, set()),
        ("ReplicateImage", refused(imageId=TAGGED), None, None, set()),
    ],
)
def test_which_tags_and_images_an_event_is_about(
    name: str, parts: dict[str, Any], tags: set[str] | None, placed: str | None, taken: set[str]
) -> None:
    record = read(event(name, 9, **parts))
    assert (None if record.tags is None else {*record.tags}) == tags
    assert {*record.taken} == taken
    assert (record.put or "").removeprefix("sha256:") == (placed or "").removeprefix("sha256:")


NOTHING: dict[str, Any] = {"resources": None, "requestParameters": None}


def asked(**request: Any) -> dict[str, Any]:
    return {"resources": [], "requestParameters": request}


@pytest.mark.parametrize(
    ("parts", "of"),
    [
        ({"resources": []}, ARN),
        ({"requestParameters": None}, ARN),
        ({**NOTHING, "errorMessage": f"denied on {ARN} because"}, ARN),
        ({**NOTHING, "errorMessage": f'denied on "{ARN}".'}, ARN),
        (asked(resourceArn=ARN), ARN),
        (NOTHING, None),
        # About another repository, or none of ECR's.
        ({"resources": [{"ARN": f"{ARN}-2"}]}, ""),
        ({"eventSource": "ecr-public.amazonaws.com"}, ""),
        ({**NOTHING, "eventSource": "s3.amazonaws.com"}, ""),
        (asked(repositoryName="other"), ""),
        (asked(repositoryName=f"x{NAME}"), ""),
        (asked(repositoryName=NAME, registryId="999999999999"), ""),
        ({**NOTHING, "errorMessage": f"denied on {ARN}-2 because"}, ""),
        (asked(resourceArn=f"{ARN}-2"), ""),
    ],
)
def test_an_event_is_the_repositorys_wherever_it_is_named(
    parts: dict[str, Any], of: str | None
) -> None:
    records = records_of([ARN], [put(9, "a", **parts)])
    assert [arn for arn, listed in records.items() if listed] == [*({of} - {""})]


# --- Looking them up ------------------------------------------------------------------------------


def request(name: str, token: str | None = None) -> dict[str, Any]:
    attributes = [{"AttributeKey": "EventName", "AttributeValue": name}]
    first = {"LookupAttributes": attributes, "StartTime": SINCE, "MaxResults": 50}
    return {**first, "NextToken": token} if token else first


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, by a clock that only waiting moves on."""
    waited = [0.0]
    monkeypatch.setattr(trail, "sleep", waited.append)
    monkeypatch.setattr(trail, "monotonic", lambda: sum(waited))
    return waited


def test_each_events_name_is_a_pass_of_its_own_and_comes_in_pages(waits: list[float]) -> None:
    cloudtrail: CloudTrailClient = boto3.client("cloudtrail")
    with Stubber(cloudtrail) as stub:
        stub.add_response("lookup_events", page(put(9, "c"), more="1"), request(PUT))
        # Within a second CloudTrail's order holds.
        stub.add_response("lookup_events", page(put(5, "b"), put(5, "a")), request(PUT, "1"))
        stub.add_response("lookup_events", page(expiry(6, "b", "latest")), request(EXPIRE))
        events = [*trail.lookup(cloudtrail, [PUT, EXPIRE], SINCE)]
        stub.assert_no_pending_responses()
    assert [
        (record.event, record.time.hour, record.put) for record in records_of([ARN], events)[ARN]
    ] == [(PUT, 5, A), (PUT, 5, B), (EXPIRE, 6, None), (PUT, 9, C)]
    assert waits[1:] == [0, 0.5, 0.5]  # no more than two lookups a second


def test_cloudtrail_goes_back_ninety_days() -> None:
    now = datetime(2026, 11, 23, 7, tzinfo=UTC)
    assert trail.earliest(now) == datetime(2026, 8, 25, 7, tzinfo=UTC)
