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
    return [record for it in raw if (record := trail.record_of(it, ARN))]


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
    ("who", "principal"),
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
    who: dict[str, Any] | None, principal: str | None
) -> None:
    [record] = read(put(9, "a", userIdentity=who))
    assert (record.principal, record.session) == (principal, None)


@pytest.mark.parametrize(
    "other",
    [
        put(9, "a", resources=[{"ARN": f"{ARN}-2"}]),
        put(9, "a", eventSource="ecr-public.amazonaws.com"),
        put(9, "a", resources=[], requestParameters={"repositoryName": "other"}),
        put(
            9,
            "a",
            resources=[],
            requestParameters={"repositoryName": NAME, "registryId": "999999999999"},
        ),
        event("PutImage", 9, resources=None, errorMessage=f"not authorized on {ARN}-2 because"),
    ],
)
def test_another_repositorys_events_are_left_out(other: dict[str, Any]) -> None:
    assert read(other) == []


@pytest.mark.parametrize(
    "same",
    [
        put(9, "a", resources=[]),
        put(9, "a", requestParameters=None),
        event("PutImage", 9, resources=None, errorMessage=f"not authorized on {ARN} because"),
        event("PutImage", 9, resources=None, errorMessage=f'not authorized on "{ARN}".'),
    ],
    ids=["named", "by its ARN", "in the refusal", "in quotes"],
)
def test_an_event_is_the_repositorys_wherever_it_is_named(same: dict[str, Any]) -> None:
    assert len(read(same)) == 1


def test_a_resource_tag_is_its_repositorys() -> None:
    def tagged(arn: str) -> dict[str, Any]:
        return event("TagResource", 9, resources=[], requestParameters={"resourceArn": arn})

    assert trail.is_about(tagged(ARN), ARN)
    assert not trail.is_about(tagged(f"{ARN}-2"), ARN)


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


def page(*raw: dict[str, Any], more: str | None = None) -> dict[str, Any]:
    events = {"Events": [{"CloudTrailEvent": json.dumps(it)} for it in raw]}
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
        stub.add_response("lookup_events", page(put(5, "b"), put(1, "a")), asked(PUT, "1"))
        stub.add_response("lookup_events", page(expiry(6, "b", "latest")), asked(EXPIRE))
        found = looked_up(Trail(cloudtrail, time.clock, time.sleep), PUT, EXPIRE)
        stub.assert_no_pending_responses()
    assert [(it.event, it.time.hour) for it in found] == [
        (PUT, 1),
        (PUT, 5),
        (EXPIRE, 6),
        (PUT, 9),
    ]


def test_there_are_no_more_than_two_lookups_a_second(cloudtrail: "CloudTrailClient") -> None:
    time = Time()
    with Stubber(cloudtrail) as stub:
        for number in range(4):
            stub.add_response("lookup_events", page(more=str(number)))
        stub.add_response("lookup_events", page())
        reader = Trail(cloudtrail, time.clock, time.sleep)
        looked_up(reader, PUT)
    assert time.slept == [0.5] * 4


def test_a_slow_lookup_is_not_followed_by_a_pause(cloudtrail: "CloudTrailClient") -> None:
    ticks = iter(range(100))
    time = Time()
    with Stubber(cloudtrail) as stub:
        stub.add_response("lookup_events", page(more="1"))
        stub.add_response("lookup_events", page())
        looked_up(Trail(cloudtrail, lambda: float(next(ticks)), time.sleep), PUT)
    assert time.slept == []


def test_within_a_second_cloudtrails_order_holds(cloudtrail: "CloudTrailClient") -> None:
    time = Time()
    with Stubber(cloudtrail) as stub:
        stub.add_response("lookup_events", page(put(1, "b"), put(1, "a"), put(1, "c")))
        found = looked_up(Trail(cloudtrail, time.clock, time.sleep), PUT)
    assert [it.put for it in found] == [C, A, B]


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
