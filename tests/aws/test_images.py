import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from container_images.aws.errors import RefusedError
from container_images.aws.image import Image
from container_images.aws.images import MEDIA_TYPES, Put, Repository
from container_images.aws.reference import Reference
from tests.builds import NAME, OCI_INDEX, OCI_MANIFEST, ECRClient, digest_of, push

TEXT = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST})
DIGEST = digest_of(TEXT)
HERE = {"repositoryName": NAME, "registryId": "111122223333"}
ANY_STATUS = {"filter": {"imageStatus": "ANY"}}


@pytest.fixture
def stub(client: ECRClient) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def elsewhere(client: ECRClient) -> Repository:
    """A repository of another account."""
    return Repository(client, Reference(name=NAME, registry_id="111122223333"))


def test_every_call_is_about_the_registry_of_the_repository(
    stub: Stubber, elsewhere: Repository
) -> None:
    by_tag = {"imageIds": [{"imageTag": "x"}], **ANY_STATUS}
    by_digest = {"imageIds": [{"imageDigest": DIGEST}], "acceptedMediaTypes": [*MEDIA_TYPES]}
    first, second = (
        {"imageDetails": [{"imageDigest": DIGEST, "imageStatus": status}]}
        for status in ("ARCHIVED", "ACTIVATING")
    )
    page = {**ANY_STATUS, "maxResults": 1000}
    answers: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("describe_images", {"imageDetails": []}, by_tag),
        ("batch_get_image", {"images": [{"imageManifest": TEXT}]}, by_digest),
        ("get_repository_policy", {"policyText": "{}"}, {}),
        ("describe_images", {**first, "nextToken": "more"}, page),
        ("describe_images", second, {**page, "nextToken": "more"}),
    ]
    for operation, answer, request in answers:
        stub.add_response(operation, answer, {**HERE, **request})
    stub.add_client_error("get_repository_policy", "RepositoryPolicyNotFoundException")
    assert elsewhere.image("x") is None
    assert elsewhere.manifest(DIGEST) == TEXT
    assert elsewhere.policy() == "{}"
    images = list(elsewhere.images())
    archived = Image(digest=DIGEST, archived=True, active=False)
    assert images == [archived, replace(archived, archived=False)]
    assert elsewhere.policy() is None


def test_a_manifest_is_read_byte_for_byte(ecr: ECRClient, repository: Repository) -> None:
    odd = f'{{\n\t"layers" : [ ],"mediaType":"{OCI_INDEX}",\r\n "schemaVersion":2 ,"x":"é\\u00e9"}}'
    digest = push(ecr, odd, "odd", media_type=OCI_INDEX)
    assert repository.manifest(digest) == odd


@pytest.mark.parametrize(
    ("document", "media_type"),
    [
        ({"mediaType": MEDIA_TYPES[0]}, MEDIA_TYPES[0]),
        ({"schemaVersion": 2, "layers": []}, OCI_MANIFEST),
        ({"schemaVersion": 2, "manifests": []}, OCI_INDEX),
    ],
)
def test_a_put_says_what_the_manifest_is(
    stub: Stubber, elsewhere: Repository, document: dict[str, object], media_type: str
) -> None:
    manifest = json.dumps(document)
    request = {"imageManifestMediaType": media_type, "imageDigest": digest_of(manifest)}
    placed = {**HERE, **request, "imageManifest": manifest, "imageTag": "latest"}
    stub.add_response("put_image", {}, placed)
    assert elsewhere.put(manifest, "latest") is Put.DONE


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"images": [{"imageManifest": f"{TEXT} "}]}, f"has the digest {digest_of(f'{TEXT} ')}"),
        ({"images": [], "failures": [{"failureReason": "no key."}]}, r"\(no key\)"),
    ],
)
def test_a_manifest_that_is_another_or_not_handed_out_is_refused(
    stub: Stubber, elsewhere: Repository, answer: dict[str, Any], error: str
) -> None:
    stub.add_response("batch_get_image", answer)
    with pytest.raises(RefusedError, match=error):
        elsewhere.manifest(DIGEST)


@pytest.mark.parametrize("code", ["ImageAlreadyExistsException", "ImageTagAlreadyExistsException"])
def test_either_exception_says_that_the_tag_exists(
    stub: Stubber, elsewhere: Repository, code: str
) -> None:
    for attempts, put in ((0, Put.EXISTS), (1, Put.EXISTS_AFTER_RETRY)):
        stub.add_client_error("put_image", code, response_meta={"RetryAttempts": attempts})
        assert elsewhere.put(TEXT, "latest") is put
    stub.add_client_error("put_image", "LayersNotFoundException")
    with pytest.raises(ClientError, match="LayersNotFoundException"):
        elsewhere.put(TEXT, "latest")


def test_a_uri_and_an_arn_are_of_the_regions_partition() -> None:
    there = Repository(boto3.client("ecr", "cn-north-1"), Reference(name=NAME))
    assert there.uri("111122223333").startswith("111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/")
    assert there.arn("111122223333").startswith(
        "arn:aws-cn:ecr:cn-north-1:111122223333:repository/"
    )
