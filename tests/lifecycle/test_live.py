"""The calls to ECR, each with the response that botocore's model of ECR allows."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.lifecycle.document import rules_in
from container_images.lifecycle.live import live_images, live_rules
from tests.lifecycle.documents import (
    ANY,
    INDEX,
    NOW,
    UNTAGGED,
    count,
    days_ago,
    older,
    policy,
    tagged,
)

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

REFERENCE = Reference(name="forms-admin-deploy", registry_id="111122223333")
PLACE = {"repositoryName": "forms-admin-deploy", "registryId": "111122223333"}
TEXT = json.dumps(policy(UNTAGGED | older(7), ANY | count(9)))
TAKE_ALL = rules_in(policy(ANY | older(7)))
OLD = days_ago(9)


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
        "imagePushedAt": OLD,
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
    repository = live_images(there, TAKE_ALL, NOW)
    assert (repository.name, repository.region) == ("forms-admin-deploy", "eu-west-2")
    assert {it.digest: it.children for it in repository.images} == {
        "sha256:index": ("sha256:1", "sha256:2"),
        "sha256:archived": None,
        "sha256:gone": None,
        "sha256:1": None,
        "sha256:2": None,
    }


def test_no_index_is_pulled_where_nothing_goes(there: Repository, aws: Stubber) -> None:
    details = [detail("sha256:1", "a", media_type=INDEX), detail("sha256:2")]
    aws.add_response("describe_images", {"imageDetails": details})
    assert len(live_images(there, rules_in(policy(ANY | older(10))), NOW).images) == 2


def test_an_index_is_read_where_a_tagged_image_goes(there: Repository, aws: Stubber) -> None:
    """`docker manifest create` lists images that have tags of their own."""
    details = [detail("sha256:1", "v1", media_type=INDEX), detail("sha256:2", "1-amd64")]
    aws.add_response("describe_images", {"imageDetails": details})
    manifest = json.dumps({"manifests": [{"digest": "sha256:2"}]})
    images = [{"imageId": {"imageDigest": "sha256:1"}, "imageManifest": manifest}]
    aws.add_response("batch_get_image", {"images": images})
    [index, _] = live_images(there, rules_in(policy(tagged("1-*") | older(7))), NOW).images
    assert index.children == ("sha256:2",)


def test_why_the_indexes_are_not_read(there: Repository, aws: Stubber) -> None:
    details = [detail("sha256:1", "a", media_type=INDEX)]
    for code in ("AccessDeniedException", "ServerException"):
        aws.add_response("describe_images", {"imageDetails": details})
        aws.add_client_error("batch_get_image", code)
    repository = live_images(there, TAKE_ALL, NOW)
    assert repository.unread.startswith("no permission for BatchGetImage")
    assert repository.images[0].children is None
    with pytest.raises(there.client.exceptions.ServerException):
        live_images(there, TAKE_ALL, NOW)


def test_a_hundred_indexes_at_once(there: Repository, aws: Stubber) -> None:
    indexes = [detail(f"sha256:{number}", "a", media_type=INDEX) for number in range(101)]
    aws.add_response("describe_images", {"imageDetails": indexes})
    for digests in (range(100), [100]):
        ids = [{"imageDigest": f"sha256:{number}"} for number in digests]
        images = [{"imageId": one, "imageManifest": "{}"} for one in ids]
        asked = {**PLACE, "imageIds": ids, "acceptedMediaTypes": [INDEX, *OTHER]}
        aws.add_response("batch_get_image", {"images": images}, asked)
    assert [it.children for it in live_images(there, TAKE_ALL, NOW).images] == [()] * 101


OTHER = ["application/vnd.docker.distribution.manifest.list.v2+json"]
