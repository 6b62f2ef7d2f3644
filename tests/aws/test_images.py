import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber

from container_images.aws.errors import RefusedError
from container_images.aws.image import Image
from container_images.aws.images import MEDIA_TYPES, Put, Repository
from container_images.aws.reference import Reference
from tests.builds import NAME, OCI_INDEX, OCI_MANIFEST, ECRClient, digest_of, push

TEXT = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST})
DIGEST = digest_of(TEXT)
ANY_STATUS = {"imageStatus": "ANY"}


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
    placed = {"imageManifest": TEXT, "imageManifestMediaType": OCI_MANIFEST, "imageTag": "latest"}
    by_digest = {"imageIds": [{"imageDigest": DIGEST}], "acceptedMediaTypes": [*MEDIA_TYPES]}
    first, second = (
        {"imageDetails": [{"imageDigest": DIGEST, "imageStatus": status}]}
        for status in ("ARCHIVED", "ACTIVATING")
    )
    page = {"filter": ANY_STATUS, "maxResults": 1000}
    answers: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        (
            "describe_images",
            {"imageDetails": []},
            {"imageIds": [{"imageTag": "x"}], "filter": ANY_STATUS},
        ),
        ("batch_get_image", {"images": [{"imageManifest": TEXT}]}, by_digest),
        ("put_image", {}, {**placed, "imageDigest": DIGEST}),
        ("get_repository_policy", {"policyText": "{}"}, {}),
        ("describe_images", {**first, "nextToken": "more"}, page),
        ("describe_images", second, {**page, "nextToken": "more"}),
    ]
    for operation, answer, request in answers:
        here = {"repositoryName": NAME, "registryId": "111122223333"}
        stub.add_response(operation, answer, {**here, **request})
    assert elsewhere.image("x") is None
    assert elsewhere.manifest(DIGEST) == TEXT
    assert elsewhere.put(TEXT, "latest") is Put.DONE
    assert elsewhere.policy() == "{}"
    images = list(elsewhere.images())
    assert images == [Image(digest=DIGEST, archived=True), Image(digest=DIGEST, activating=True)]
    assert not any(image.active for image in images)


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
def test_the_media_type_is_that_of_the_manifest(
    stub: Stubber, elsewhere: Repository, document: dict[str, object], media_type: str
) -> None:
    manifest = json.dumps(document)
    request = {"imageManifest": manifest, "imageManifestMediaType": media_type}
    others = dict.fromkeys(("repositoryName", "registryId", "imageDigest", "imageTag"), ANY)
    stub.add_response("put_image", {}, {**others, **request})
    assert elsewhere.put(manifest, "latest") is Put.DONE


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"images": [{"imageManifest": f"{TEXT} "}]}, f"has the digest {digest_of(f'{TEXT} ')}"),
        ({"images": [], "failures": [{"failureReason": "no key."}]}, r"\(no key\)"),
        ({"images": []}, r"no manifest of .* \(\)"),
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


def test_a_repository_without_a_policy_has_none(stub: Stubber, elsewhere: Repository) -> None:
    stub.add_client_error("get_repository_policy", "RepositoryPolicyNotFoundException")
    assert elsewhere.policy() is None


def test_a_uri_is_the_users_or_made_of_account_and_region(client: ECRClient) -> None:
    uri = f"111122223333.dkr-ecr.eu-west-2.on.aws/{NAME}"
    by_uri = Repository(client, Reference(name=NAME, registry_id="111122223333", uri=uri))
    assert by_uri.uri("444455556666") == uri
    in_china = Repository(boto3.client("ecr", "cn-north-1"), Reference(name=NAME))
    made = f"444455556666.dkr.ecr.cn-north-1.amazonaws.com.cn/{NAME}"
    assert in_china.uri("444455556666") == made
    assert in_china.arn("444455556666").startswith("arn:aws-cn:ecr:cn-north-1:444455556666:repo")
