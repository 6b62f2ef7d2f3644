import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from container_images.aws import trail
from container_images.aws.trail import EXPIRE, PUT, Record, Trail
from container_images.policies.repository_policy import Access
from tests.builds import ACCOUNT, NAME, REGION
from tests.events import ARN, DIGESTS, PIPELINE, event, expiry, put

if TYPE_CHECKING:
    from types_boto3_cloudtrail import CloudTrailClient

SINCE = datetime(2026, 8, 25, tzinfo=UTC)
A, B, C = (DIGESTS[letter] for letter in "abc")


def read(*raw: dict[str, Any]) -> list[Record]:
    return [record for event in raw if (record := trail.record_of(event, ARN))]


# --- One event ------------------------------------------------------------------------------------


def test_a_put_is_read_with_who_and_what() -> None:
    [record] = read(put(9, "a"))
    assert record == Record(
        time=datetime(2026, 11, 20, 9, tzinfo=UTC),
        event="PutImage",
        principal=PIPELINE,
        session="build-7",
        error=None,
        tags=frozenset({"latest"}),
        put=A,
    )


@pytest.mark.parametrize(
    ("identity", "principal"),
    [
        (
            {"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/mary", "sessionContext": {}},
            f"arn:aws:iam::{ACCOUNT}:user/mary",
        ),
        ({"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root"}, f"arn:aws:iam::{ACCOUNT}:root"),
        ({"type": "AWSService", "invokedBy": "ecr.amazonaws.com"}, "ecr.amazonaws.com"),
        ({"type": "AWSAccount", "accountId": "444455556666"}, "444455556666"),
        (None, None),
    ],
)
def test_users_root_and_services_have_no_session(
    identity: dict[str, Any] | None, principal: str | None
) -> None:
    [record] = read(put(9, "a", userIdentity=identity))
    assert (record.principal, record.session) == (principal, None)


def tagged(arn: str) -> dict[str, Any]:
    return event("TagResource", 9, resources=[], requestParameters={"resourceArn": arn})


@pytest.mark.parametrize(
    ("raw", "about"),
    [
        (put(9, "a", resources=[]), True),
        (put(9, "a", requestParameters=None), True),
        (event("PutImage", 9, resources=None, errorMessage=f"denied on {ARN} because"), True),
        (event("PutImage", 9, resources=None, errorMessage=f'denied on "{ARN}".'), True),
        (tagged(ARN), True),
        (put(9, "a", resources=[{"ARN": f"{ARN}-2"}]), False),
        (put(9, "a", eventSource="ecr-public.amazonaws.com"), False),
        (put(9, "a", resources=[], requestParameters={"repositoryName": "other"}), False),
        (
            put(
                9,
                "a",
                resources=[],
                requestParameters={"repositoryName": NAME, "registryId": "999999999999"},
            ),
            False,
        ),
        (event("PutImage", 9, resources=None, errorMessage=f"denied on {ARN}-2 because"), False),
        (tagged(f"{ARN}-2"), False),
    ],
)
def test_an_event_is_the_repositorys_wherever_it_is_named(
    raw: dict[str, Any], *, about: bool
) -> None:
    assert trail.is_about(raw, ARN) is about


def test_the_digest_of_a_refused_put_is_that_of_its_manifest() -> None:
    request = {"repositoryName": NAME, "imageTag": "latest", "imageManifest": '{"a": 1}'}
    refused = put(9, "a", requestParameters=request, responseElements=None)
    computed = hashlib.sha256(b'{"a": 1}').hexdigest()
    assert read(refused)[0].put == f"sha256:{computed}"
    given = {**request, "imageDigest": B}
    assert read(put(9, "a", requestParameters=given, responseElements=None))[0].put == B


# --- Looking them up ------------------------------------------------------------------------------


class Time:
    """A clock that only sleeping and calling moves on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


def page(*raw: dict[str, Any], more: str | None = None) -> dict[str, Any]:
    events = {"Events": [{"CloudTrailEvent": json.dumps(event)} for event in raw]}
    return {**events, "NextToken": more} if more else events


def asked(name: str, token: str | None = None) -> dict[str, Any]:
    request = {
        "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": name}],
        "StartTime": SINCE,
        "MaxResults": 50,
    }
    return {**request, "NextToken": token} if token else request


def looked_up(trail: Trail, *events: str) -> list[Record]:
    return trail.records_of_all([ARN], events, SINCE)[ARN]


@pytest.fixture
def cloudtrail() -> "CloudTrailClient":
    return boto3.client("cloudtrail")


def test_each_events_name_is_a_pass_of_its_own_and_comes_in_pages(
    cloudtrail: "CloudTrailClient",
) -> None:
    time = Time()
    with Stubber(cloudtrail) as stub:
        stub.add_response("lookup_events", page(put(9, "c"), more="1"), asked(PUT))
        # Within a second CloudTrail's order holds.
        stub.add_response("lookup_events", page(put(5, "b"), put(5, "a")), asked(PUT, "1"))
        stub.add_response("lookup_events", page(expiry(6, "b", "latest")), asked(EXPIRE))
        records = looked_up(Trail(cloudtrail, time.clock, time.sleep), PUT, EXPIRE)
        stub.assert_no_pending_responses()
    assert [(record.event, record.time.hour, record.put) for record in records] == [
        (PUT, 5, A),
        (PUT, 5, B),
        (EXPIRE, 6, None),
        (PUT, 9, C),
    ]


@pytest.mark.parametrize(("seconds", "pauses"), [(0.0, [0.5] * 4), (0.2, [0.3] * 4), (1.0, [])])
def test_there_are_no_more_than_two_lookups_a_second(
    cloudtrail: "CloudTrailClient", seconds: float, pauses: list[float]
) -> None:
    time = Time()
    cloudtrail.meta.events.register("before-parameter-build", lambda **_: time.pass_by(seconds))
    with Stubber(cloudtrail) as stub:
        for number in range(4):
            stub.add_response("lookup_events", page(more=str(number)))
        stub.add_response("lookup_events", page())
        looked_up(Trail(cloudtrail, time.clock, time.sleep), PUT)
    assert time.slept == pauses


def test_cloudtrail_goes_back_ninety_days() -> None:
    assert trail.earliest(datetime(2026, 11, 23, 7, tzinfo=UTC)) == datetime(
        2026, 8, 25, 7, tzinfo=UTC
    )


def access(*pipeline: str) -> Access:
    return Access(
        partition="aws",
        account_id=ACCOUNT,
        region=REGION,
        pipeline_roles=list(pipeline),
        administrator_roles=[f"arn:aws:iam::{ACCOUNT}:role/admin"],
        pull_accounts=[],
        pull_organization="",
        lambda_pull=False,
    )
