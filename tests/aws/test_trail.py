from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from container_images.aws import trail
from container_images.aws.trail import ARCHIVE, DELETE, EXPIRE, PUT, Record, records_of
from tests.builds import ACCOUNT, NAME, digest_of
from tests.events import ARN, DIGESTS, PIPELINE, event, expiry, identity, page, put

if TYPE_CHECKING:
    from types_boto3_cloudtrail import CloudTrailClient

SINCE = datetime(2026, 8, 25, tzinfo=UTC)
REST = {"StartTime": SINCE, "MaxResults": 50}
A, B, C = (DIGESTS[letter] for letter in "abc")


def read(raw: dict[str, Any]) -> Record:
    [record] = records_of([ARN], [raw])[ARN]
    return record


USER, ROOT = (f"arn:aws:iam::{ACCOUNT}:{name}" for name in ("user/mary", "root"))


@pytest.mark.parametrize(
    ("caller", "principal", "session"),
    [
        (identity(), PIPELINE, "build-7"),
        ({"type": "IAMUser", "arn": USER, "sessionContext": {}}, USER, None),
        ({"type": "Root", "arn": ROOT}, ROOT, None),
        ({"type": "AWSService", "invokedBy": "ecr.amazonaws.com"}, "ecr.amazonaws.com", None),
        ({"type": "AWSAccount", "accountId": "444455556666"}, "444455556666", None),
        (None, None, None),
    ],
)
def test_a_put_is_read_with_who_and_what(
    caller: dict[str, Any] | None, principal: str | None, session: str | None
) -> None:
    assert read(put(9, "a", userIdentity=caller)) == Record(
        time=datetime(2026, 11, 20, 9, tzinfo=UTC),
        event="PutImage",
        principal=principal,
        session=session,
        error=None,
        tags=frozenset({"latest"}),
        put=A,
    )


TAGGED, BOTH = {"imageTag": "latest"}, {"imageTag": "latest", "imageDigest": A}
MANIFEST = {"imageTag": "latest", "imageManifest": '{"a": 1}'}


def refused(**request: Any) -> dict[str, Any]:
    return {"requestParameters": request, "responseElements": None}


@pytest.mark.parametrize(
    ("name", "parts", "tags", "placed", "taken"),
    [
        # Of a put that is refused, the digest is that of the manifest.
        (PUT, refused(**MANIFEST), {"latest"}, digest_of('{"a": 1}'), set()),
        (PUT, refused(**MANIFEST, imageDigest=B), {"latest"}, B, set()),
        (PUT, refused(imageTag=None, imageDigest=B), set(), B, set()),
        (PUT, {}, None, None, set()),  # left out, as of a large call
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
    assert record.put == placed


NOTHING: dict[str, Any] = {"resources": None, "requestParameters": None}


@pytest.mark.parametrize(
    ("parts", "of"),
    [
        ({"resources": []}, ARN),
        ({"requestParameters": None}, ARN),
        ({**NOTHING, "errorMessage": f'denied on "{ARN}".'}, ARN),
        (NOTHING | refused(resourceArn=ARN), ARN),
        (NOTHING, None),
        # About another repository, or none of ECR's.
        ({"resources": [{"ARN": f"{ARN}-2"}]}, ""),
        ({"eventSource": "ecr-public.amazonaws.com"}, ""),
        (NOTHING | refused(repositoryName="other"), ""),
        (NOTHING | refused(repositoryName=f"x{NAME}"), ""),
        (NOTHING | refused(repositoryName=NAME, registryId="999999999999"), ""),
        ({**NOTHING, "errorMessage": f"denied on {ARN}-2 because"}, ""),
    ],
)
def test_an_event_is_the_repositorys_wherever_it_is_named(
    parts: dict[str, Any], of: str | None
) -> None:
    records = records_of([ARN], [put(9, "a", **parts)])
    assert [arn for arn, listed in records.items() if listed] == [*({of} - {""})]


def test_each_events_name_is_a_pass_of_its_own_and_comes_in_pages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits = [0.0]  # by a clock that only waiting moves on
    monkeypatch.setattr(trail, "sleep", waits.append)
    monkeypatch.setattr(trail, "monotonic", lambda: sum(waits))
    cloudtrail: CloudTrailClient = boto3.client("cloudtrail", "eu-west-2")
    puts, expiries = (
        {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}], **REST}
        for name in (PUT, EXPIRE)
    )
    with Stubber(cloudtrail) as stub:
        stub.add_response("lookup_events", page(put(9, "c"), more="1"), puts)
        # Within a second CloudTrail's order holds.
        answer = page(put(5, "b"), put(5, "a"))
        stub.add_response("lookup_events", answer, {**puts, "NextToken": "1"})
        stub.add_response("lookup_events", page(expiry(6, "b", "latest")), expiries)
        events = [*trail.lookup(cloudtrail, [PUT, EXPIRE], SINCE)]
        stub.assert_no_pending_responses()
    assert [
        (record.event, record.time.hour, record.put) for record in records_of([ARN], events)[ARN]
    ] == [(PUT, 5, A), (PUT, 5, B), (EXPIRE, 6, None), (PUT, 9, C)]
    assert waits[1:] == [0, 0.5, 0.5]  # no more than two lookups a second
