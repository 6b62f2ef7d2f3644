import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from container_images.aws import trail
from container_images.aws.trail import DELETE, EXPIRE, PUT, Record, Trail
from container_images.policies.document import to_json
from container_images.policies.repository_policy import Access, repository_policy
from container_images.tags import history
from container_images.tags.history import Change
from tests.builds import ACCOUNT, NAME, REGION
from tests.events import ARN, DIGESTS, PIPELINE, deletion, event, expiry, identity, put

if TYPE_CHECKING:
    from types_boto3_cloudtrail import CloudTrailClient

SINCE = datetime(2026, 8, 25, tzinfo=UTC)
A, B, C = (DIGESTS[letter] for letter in "abc")


def read(*raw: dict[str, Any]) -> list[Record]:
    return [record for it in raw if (record := trail.record_of(it, ARN))]


def told(*raw: dict[str, Any], tag: str = "latest") -> list[tuple[str, str | None, str | None]]:
    """Event, from and to, of each change."""
    changes = history.changes(read(*raw), tag)
    return [(it.record.event, it.before, it.after) for it in changes]


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


# --- What became of a tag -------------------------------------------------------------------------


def test_each_put_starts_from_the_one_before() -> None:
    assert told(put(1, "a"), put(2, "b"), put(3, "c", tag="prod"), put(4, "c")) == [
        (PUT, None, A),
        (PUT, A, B),
        (PUT, B, C),
    ]


def test_an_image_without_a_tag_moves_none() -> None:
    untagged = put(2, "b", requestParameters={"repositoryName": NAME, "imageManifest": "{}"})
    assert told(put(1, "a"), untagged) == [(PUT, None, A)]


def test_a_denied_put_is_told_and_moves_nothing() -> None:
    denied = put(2, "b", errorCode="AccessDenied", responseElements=None)
    found = history.changes(read(put(1, "a"), denied, put(3, "c")), "latest")
    assert [it.record.error for it in found] == [None, "AccessDenied", None]
    assert [it.before for it in found] == [None, A, A]


def test_a_denied_put_of_which_nothing_is_known_counts_as_an_attempt() -> None:
    denied = event("PutImage", 2, errorCode="AccessDenied")
    assert told(put(1, "a"), denied, put(3, "b")) == [(PUT, None, A), (PUT, A, None), (PUT, A, B)]


def test_a_put_too_large_to_be_recorded_leaves_the_place_unknown() -> None:
    large = event("PutImage", 2)
    assert told(put(1, "a"), large, put(3, "b")) == [(PUT, None, A), (PUT, A, None), (PUT, None, B)]


def test_deleting_the_tag_takes_it() -> None:
    done = [{"imageDigest": A, "imageTag": "latest"}]
    assert told(put(1, "a"), deletion(2, [{"imageTag": "latest"}], done), put(3, "b")) == [
        (PUT, None, A),
        (DELETE, A, None),
        (PUT, None, B),
    ]


def test_deleting_the_image_by_its_digest_takes_the_tag() -> None:
    asked = [{"imageDigest": A}]
    assert told(put(1, "a"), deletion(2, asked, asked))[1:] == [(DELETE, A, None)]
    assert told(put(1, "b"), deletion(2, asked, asked))[1:] == []


def test_deleting_another_tag_of_the_image_does_not() -> None:
    done = [{"imageDigest": A, "imageTag": "prod"}]
    assert told(put(1, "a"), deletion(2, [{"imageTag": "prod"}], done))[1:] == []
    both = [{"imageDigest": A, "imageTag": "prod"}]
    assert told(put(1, "a"), deletion(2, both, done))[1:] == []


def test_what_could_not_be_deleted_is_not_told() -> None:
    assert told(put(1, "a"), deletion(2, [{"imageTag": "latest"}], []))[1:] == []
    assert told(put(1, "a"), deletion(2, [{"imageDigest": A}], []))[1:] == []


def test_a_denied_deletion_is_told_and_takes_nothing() -> None:
    request = {"repositoryName": NAME, "imageIds": [{"imageTag": "latest"}]}
    denied = event("BatchDeleteImage", 2, errorCode="AccessDenied", requestParameters=request)
    unknown = event("BatchDeleteImage", 3, errorCode="AccessDenied")
    assert told(put(1, "a"), denied, unknown, put(4, "b")) == [
        (PUT, None, A),
        (DELETE, A, None),
        (DELETE, A, None),
        (PUT, A, B),
    ]


def test_expiry_takes_the_tag_where_it_names_the_tag_or_the_image() -> None:
    assert told(put(1, "a"), expiry(2, "a", "latest"))[1:] == [(EXPIRE, A, None)]
    # AWS lists a hundred tags of an image and no more.
    assert told(put(1, "a"), expiry(2, "a", "prod"))[1:] == [(EXPIRE, A, None)]
    assert told(put(1, "a"), expiry(2, "b", "prod"))[1:] == []
    assert read(expiry(2, "b"))[0].principal == "AWS Internal"


def test_places_are_what_was_put_with_success() -> None:
    records = read(
        put(1, "a"),
        put(2, "b", errorCode="AccessDenied"),
        put(3, "b", tag="prod"),
        event("PutImage", 4),
        deletion(5, [{"imageTag": "latest"}], [{"imageTag": "latest", "imageDigest": A}]),
        put(6, "c"),
        put(7, "c"),
    )
    assert history.places(records, "latest") == [A, C, C]


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
        found = Trail(cloudtrail, time.clock, time.sleep).records(ARN, (PUT, EXPIRE), SINCE)
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
        reader.records(ARN, (PUT,), SINCE)
    assert time.slept == [0.5] * 4


def test_a_slow_lookup_is_not_followed_by_a_pause(cloudtrail: "CloudTrailClient") -> None:
    ticks = iter(range(100))
    time = Time()
    with Stubber(cloudtrail) as stub:
        stub.add_response("lookup_events", page(more="1"))
        stub.add_response("lookup_events", page())
        Trail(cloudtrail, lambda: float(next(ticks)), time.sleep).records(ARN, (PUT,), SINCE)
    assert time.slept == []


def test_within_a_second_cloudtrails_order_holds(cloudtrail: "CloudTrailClient") -> None:
    time = Time()
    with Stubber(cloudtrail) as stub:
        stub.add_response("lookup_events", page(put(1, "b"), put(1, "a"), put(1, "c")))
        found = Trail(cloudtrail, time.clock, time.sleep).records(ARN, (PUT,), SINCE)
    assert history.places(found, "latest") == [C, A, B]


def test_cloudtrail_goes_back_ninety_days() -> None:
    assert trail.earliest(datetime(2026, 11, 23, 7, tzinfo=UTC)) == datetime(
        2026, 8, 25, 7, tzinfo=UTC
    )


# --- Who may --------------------------------------------------------------------------------------


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


def test_the_guard_says_which_roles_are_the_pipeline() -> None:
    other = "arn:aws:iam::111122223333:role/pipeline"
    policy = to_json(repository_policy(access(PIPELINE, other)))
    assert history.pipeline_roles(policy) == {PIPELINE, other}


def test_one_value_stands_for_a_list_of_one() -> None:
    condition = {"ArnNotEquals": {"aws:PrincipalArn": PIPELINE}}
    statement = {"Effect": "Deny", "Action": "ecr:PutImage", "Condition": condition}
    assert history.pipeline_roles(json.dumps({"Statement": [statement]})) == {PIPELINE}


@pytest.mark.parametrize(
    "policy",
    [
        None,
        '{"Statement": []}',
        '{"Statement": [{"Effect": "Allow", "Action": ["ecr:PutImage"]}]}',
        '{"Statement": [{"Effect": "Deny", "Action": ["ecr:PutImage"]}]}',
    ],
)
def test_no_other_policy_says_so(policy: str | None) -> None:
    assert history.pipeline_roles(policy) == frozenset()


def test_a_change_keeps_the_record_that_it_is_read_from() -> None:
    [record] = read(put(1, "a", userIdentity=identity(session="x")))
    assert history.changes([record], "latest") == [Change(record=record, before=None, after=A)]
