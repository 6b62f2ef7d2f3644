"""The calls to ECR, each with the response that botocore's model of ECR allows."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import WaiterError
from botocore.stub import Stubber

from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.lifecycle.live import aws_preview, differences, live_listing, live_rules
from tests.lifecycle.documents import (
    ANY,
    INDEX,
    NOW,
    UNTAGGED,
    count,
    image,
    older,
    policy,
    verdicts,
)

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

REFERENCE = Reference(name="forms-admin-deploy", registry_id="111122223333")
PLACE = {"repositoryName": "forms-admin-deploy", "registryId": "111122223333"}
TEXT = json.dumps(policy(UNTAGGED | older(7), ANY | count(9)))


@pytest.fixture
def ecr() -> "ECRClient":
    return boto3.client(
        "ecr",
        region_name="eu-west-2",
        aws_access_key_id="nobody",
        aws_secret_access_key="nothing",  # noqa: S106 nothing leaves this process
    )


@pytest.fixture
def there(ecr: "ECRClient") -> Repository:
    return Repository(ecr, REFERENCE)


@pytest.fixture
def aws(ecr: "ECRClient") -> Iterator[Stubber]:
    with Stubber(ecr) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def detail(digest: str, *tags: str, media_type: str = "", **more: Any) -> dict[str, Any]:
    return {
        "imageDigest": digest,
        "imageTags": list(tags),
        "imagePushedAt": NOW,
        "imageManifestMediaType": media_type,
        **more,
    }


def test_the_rules_of_the_repository(there: Repository, aws: Stubber) -> None:
    aws.add_response("get_lifecycle_policy", {"lifecyclePolicyText": TEXT}, PLACE)
    assert [rule.priority for rule in live_rules(there)] == [1, 2]


def test_a_repository_without_a_policy_has_no_rules(there: Repository, aws: Stubber) -> None:
    aws.add_client_error("get_lifecycle_policy", "LifecyclePolicyNotFoundException")
    assert live_rules(there) == ()


def test_another_refusal_is_no_missing_policy(there: Repository, aws: Stubber) -> None:
    aws.add_client_error("get_lifecycle_policy", "RepositoryNotFoundException")
    with pytest.raises(there.client.exceptions.RepositoryNotFoundException):
        live_rules(there)


def test_all_pages_and_what_the_indexes_list(there: Repository, aws: Stubber) -> None:
    asked = {**PLACE, "maxResults": 1000, "filter": {"imageStatus": "ANY"}}
    aws.add_response(
        "describe_images",
        {
            "imageDetails": [
                detail("sha256:index", "latest", media_type=INDEX),
                detail("sha256:archived", media_type=INDEX, imageStatus="ARCHIVED"),
                detail("sha256:gone", "a", media_type=INDEX),
            ],
            "nextToken": "more",
        },
        asked,
    )
    aws.add_response(
        "describe_images",
        {"imageDetails": [detail("sha256:1"), detail("sha256:2")]},
        {**asked, "nextToken": "more"},
    )
    manifest = {"manifests": [{"digest": "sha256:1"}, {"digest": "sha256:2"}]}
    aws.add_response(
        "batch_get_image",
        {
            "images": [
                {
                    "imageId": {"imageDigest": "sha256:index"},
                    "imageManifest": json.dumps(manifest),
                }
            ],
            "failures": [{"imageId": {"imageDigest": "sha256:gone"}}],
        },
        {
            **PLACE,
            "imageIds": [{"imageDigest": "sha256:index"}, {"imageDigest": "sha256:gone"}],
            "acceptedMediaTypes": [
                "application/vnd.oci.image.index.v1+json",
                "application/vnd.docker.distribution.manifest.list.v2+json",
            ],
        },
    )
    listing = live_listing(there)
    assert listing.repository == "forms-admin-deploy"
    assert {it.digest: it.children for it in listing.images} == {
        "sha256:index": ("sha256:1", "sha256:2"),
        "sha256:archived": None,
        "sha256:gone": None,
        "sha256:1": None,
        "sha256:2": None,
    }


def test_no_index_is_pulled_where_nothing_can_be_listed(there: Repository, aws: Stubber) -> None:
    details = [detail("sha256:1", "a", media_type=INDEX), detail("sha256:2", "b")]
    aws.add_response("describe_images", {"imageDetails": details})
    assert len(live_listing(there).images) == 2


def test_a_hundred_indexes_at_once(there: Repository, aws: Stubber) -> None:
    indexes = [detail(f"sha256:{number}", "a", media_type=INDEX) for number in range(101)]
    aws.add_response("describe_images", {"imageDetails": [*indexes, detail("sha256:part")]})
    for digests in (range(100), [100]):
        ids = [{"imageDigest": f"sha256:{number}"} for number in digests]
        images = [{"imageId": one, "imageManifest": "{}"} for one in ids]
        asked = {**PLACE, "imageIds": ids, "acceptedMediaTypes": [INDEX, *OTHER]}
        aws.add_response("batch_get_image", {"images": images}, asked)
    lists = [it.children for it in live_listing(there).images]
    assert lists == [()] * 101 + [None]


OTHER = ["application/vnd.docker.distribution.manifest.list.v2+json"]


# --- AWS's own preview ----------------------------------------------------------------------------

RESULT = {
    "imageDigest": "sha256:1",
    "action": {"type": "EXPIRE"},
    "appliedRulePriority": 3,
}
ARCHIVED = {
    "imageDigest": "sha256:2",
    "action": {"type": "TRANSITION", "targetStorageClass": "ARCHIVE"},
    "appliedRulePriority": 4,
}


def previewed(aws: Stubber) -> None:
    complete = {"status": "COMPLETE", "previewResults": [RESULT]}
    aws.add_response("get_lifecycle_policy_preview", complete, PLACE)
    aws.add_response("get_lifecycle_policy_preview", {**complete, "nextToken": "more"}, PLACE)
    aws.add_response(
        "get_lifecycle_policy_preview",
        {"status": "COMPLETE", "previewResults": [ARCHIVED]},
        {**PLACE, "nextToken": "more"},
    )


def test_the_preview_of_aws(there: Repository, aws: Stubber) -> None:
    aws.add_response("start_lifecycle_policy_preview", {"status": "IN_PROGRESS"}, PLACE)
    previewed(aws)
    assert aws_preview(there) == {"sha256:1": ("expire", 3), "sha256:2": ("archive", 4)}


def test_somebody_else_s_preview_may_be_of_another_policy(there: Repository, aws: Stubber) -> None:
    aws.add_client_error(
        "start_lifecycle_policy_preview", "LifecyclePolicyPreviewInProgressException"
    )
    with pytest.raises(there.client.exceptions.LifecyclePolicyPreviewInProgressException):
        aws_preview(there)


def test_a_preview_that_fails(there: Repository, aws: Stubber) -> None:
    aws.add_response("start_lifecycle_policy_preview", {"status": "IN_PROGRESS"}, PLACE)
    aws.add_response("get_lifecycle_policy_preview", {"status": "FAILED"}, PLACE)
    with pytest.raises(WaiterError):
        aws_preview(there)


def test_where_aws_and_the_simulator_agree() -> None:
    told = verdicts(policy(UNTAGGED | older(7)), [image("1", days=9), image("2")])
    assert differences(told.values(), {"1": ("expire", 1)}) == []


@pytest.mark.parametrize(
    ("preview", "said"),
    [
        ({}, [("1", "expire by rule 1", "keep")]),
        ({"1": ("expire", 2)}, [("1", "expire by rule 1", "expire by rule 2")]),
        ({"1": ("archive", 1)}, [("1", "expire by rule 1", "archive by rule 1")]),
        ({"1": ("expire", 1), "2": ("expire", 1)}, [("2", "keep", "expire by rule 1")]),
        ({"1": ("expire", 1), "3": ("expire", 1)}, [("3", "not there", "expire by rule 1")]),
    ],
)
def test_where_they_differ(
    preview: dict[str, tuple[str, int]], said: list[tuple[str, str, str]]
) -> None:
    told = verdicts(policy(UNTAGGED | older(7)), [image("1", days=9), image("2")])
    found = differences(told.values(), preview)
    assert [(it["digest"], it["ours"], it["aws"]) for it in found] == said
