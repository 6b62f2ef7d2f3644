import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber

from container_images.aws.errors import RefusedError
from container_images.aws.image import Image
from container_images.aws.images import MEDIA_TYPES, Manifest, NoSuchImageError, Put, Repository
from container_images.aws.reference import Reference
from tests.builds import NAME, OCI_INDEX, OCI_MANIFEST, build, digest_of, push, tag

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST})
DIGEST = digest_of(MANIFEST)


@pytest.fixture
def stub(client: "ECRClient") -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def elsewhere(client: "ECRClient") -> Repository:
    """A repository of another account."""
    return Repository(client, Reference(name=NAME, registry_id="111122223333"))


def test_an_image_is_found_by_tag_and_by_digest(ecr: "ECRClient", repository: Repository) -> None:
    digest = build(ecr, "a", "latest")
    image = repository.image("latest")
    assert image is not None
    assert (image.digest, image.tags) == (digest, ("latest", tag("merged", "a")))
    assert (image.registry_id, image.media_type) == ("123456789012", OCI_MANIFEST)
    assert repository.image(digest) == image
    assert repository.image("nothing") is None


def test_an_image_and_a_tags_place_come_in_one_call_where_both_exist(
    ecr: "ECRClient", repository: Repository
) -> None:
    older, newer = build(ecr, "a", "latest"), build(ecr, "b")
    image, current = repository.image_and_place(newer, "latest")
    assert image.digest == newer
    assert current is not None
    assert current.digest == older
    image, current = repository.image_and_place(newer, "nothing")
    assert (image.digest, current) == (newer, None)
    with pytest.raises(NoSuchImageError, match=f"no image nothing in {NAME}"):
        repository.image_and_place("nothing", "latest")


def test_every_call_is_about_the_registry_of_the_repository(
    stub: Stubber, elsewhere: Repository
) -> None:
    here = {"repositoryName": NAME, "registryId": "111122223333"}
    stub.add_response(
        "describe_images",
        {"imageDetails": []},
        {**here, "imageIds": [{"imageTag": "latest"}], "filter": {"imageStatus": "ANY"}},
    )
    stub.add_response(
        "batch_get_image",
        {"images": [{"imageManifest": MANIFEST, "imageManifestMediaType": OCI_MANIFEST}]},
        {**here, "imageIds": [{"imageDigest": DIGEST}], "acceptedMediaTypes": list(MEDIA_TYPES)},
    )
    stub.add_response(
        "put_image",
        {},
        {
            **here,
            "imageManifest": MANIFEST,
            "imageManifestMediaType": OCI_MANIFEST,
            "imageDigest": DIGEST,
            "imageTag": "latest",
        },
    )
    stub.add_response("get_repository_policy", {"policyText": "{}"}, here)
    stub.add_response(
        "describe_images",
        {"imageDetails": [{"imageDigest": DIGEST}]},
        {**here, "filter": {"imageStatus": "ANY"}, "maxResults": 1000},
    )
    assert elsewhere.image("latest") is None
    manifest = elsewhere.manifest(DIGEST)
    assert manifest == Manifest(digest=DIGEST, media_type=OCI_MANIFEST, text=MANIFEST)
    assert elsewhere.put(manifest, "latest") is Put.DONE
    assert elsewhere.policy() == "{}"
    assert list(elsewhere.images()) == [Image(digest=DIGEST, tags=())]


@pytest.mark.parametrize("status", ["ARCHIVED", "ACTIVATING"])
def test_an_archived_image_is_known_as_such(
    stub: Stubber, elsewhere: Repository, status: str
) -> None:
    detail = {"imageDigest": DIGEST, "imageTags": ["latest"], "imageStatus": status}
    stub.add_response("describe_images", {"imageDetails": [detail]})
    image = elsewhere.image("latest")
    assert image is not None
    assert not image.active


def test_a_manifest_is_read_byte_for_byte(ecr: "ECRClient", repository: Repository) -> None:
    odd = (
        '{\n\t"layers" : [ ],"mediaType":"'
        + OCI_INDEX
        + '",\r\n "schemaVersion":2 ,"x":"é\\u00e9"}'
    )
    digest = push(ecr, odd, "odd", media_type=OCI_INDEX)
    assert repository.manifest(digest) == Manifest(digest=digest, media_type=OCI_INDEX, text=odd)


@pytest.mark.parametrize(
    ("document", "media_type"),
    [
        ({"mediaType": MEDIA_TYPES[0]}, MEDIA_TYPES[0]),
        ({"schemaVersion": 2, "layers": []}, OCI_MANIFEST),
        ({"schemaVersion": 2, "manifests": []}, OCI_INDEX),
    ],
)
def test_the_media_type_that_ecr_leaves_out_is_that_of_the_manifest(
    stub: Stubber, elsewhere: Repository, document: dict[str, object], media_type: str
) -> None:
    text = json.dumps(document)
    stub.add_response("batch_get_image", {"images": [{"imageManifest": text}]})
    assert elsewhere.manifest(digest_of(text)).media_type == media_type


def test_other_bytes_than_the_digest_says_are_refused(stub: Stubber, elsewhere: Repository) -> None:
    other = MANIFEST + " "
    image = {"imageManifest": other, "imageManifestMediaType": OCI_MANIFEST}
    stub.add_response("batch_get_image", {"images": [image]})
    with pytest.raises(RefusedError, match=f"has the digest {digest_of(other)}; no tag was moved"):
        elsewhere.manifest(DIGEST)


@pytest.mark.parametrize(
    ("failures", "reason"),
    [
        ([{"failureCode": "KmsError", "failureReason": "no key."}], r"\(no key\)"),
        ([], "no reason given"),
    ],
)
def test_a_manifest_that_is_not_handed_out_is_a_miss_however_the_call_went(
    stub: Stubber, elsewhere: Repository, failures: list[dict[str, str]], reason: str
) -> None:
    stub.add_response("batch_get_image", {"images": [], "failures": failures})
    with pytest.raises(NoSuchImageError, match=reason):
        elsewhere.manifest(DIGEST)


@pytest.mark.parametrize("code", ["ImageAlreadyExistsException", "ImageTagAlreadyExistsException"])
@pytest.mark.parametrize(
    ("attempts", "put"), [(0, Put.EXISTS), (1, Put.EXISTS_AFTER_RETRY)], ids=["first", "second"]
)
def test_either_exception_says_that_the_tag_exists(
    stub: Stubber, elsewhere: Repository, code: str, attempts: int, put: Put
) -> None:
    stub.add_client_error("put_image", code, response_meta={"RetryAttempts": attempts})
    manifest = Manifest(digest=DIGEST, media_type=OCI_MANIFEST, text=MANIFEST)
    assert elsewhere.put(manifest, "latest") is put


def test_any_other_exception_of_a_put_is_raised(stub: Stubber, elsewhere: Repository) -> None:
    stub.add_client_error("put_image", "LayersNotFoundException")
    manifest = Manifest(digest=DIGEST, media_type=OCI_MANIFEST, text=MANIFEST)
    with pytest.raises(ClientError, match="LayersNotFoundException"):
        elsewhere.put(manifest, "latest")


def test_a_repository_without_a_policy_has_none(stub: Stubber, elsewhere: Repository) -> None:
    stub.add_client_error("get_repository_policy", "RepositoryPolicyNotFoundException")
    assert elsewhere.policy() is None


def test_images_come_in_pages(stub: Stubber, elsewhere: Repository) -> None:
    here = {"repositoryName": NAME, "registryId": ANY, "filter": ANY, "maxResults": 1000}
    first, second = ({"imageDetails": [{"imageDigest": f"sha256:{page}"}]} for page in "12")
    stub.add_response("describe_images", {**first, "nextToken": "more"}, here)
    stub.add_response("describe_images", second, {**here, "nextToken": "more"})
    assert [image.digest for image in elsewhere.images()] == ["sha256:1", "sha256:2"]


def test_a_uri_is_the_users_or_made_of_account_and_region(client: "ECRClient") -> None:
    uri = f"111122223333.dkr-ecr.eu-west-2.on.aws/{NAME}"
    by_uri = Repository(client, Reference(name=NAME, registry_id="111122223333", uri=uri))
    assert by_uri.uri("444455556666", "amazonaws.com") == uri
    by_name = Repository(client, Reference(name=NAME)).uri("444455556666", "amazonaws.com.cn")
    assert by_name == f"444455556666.dkr.ecr.eu-west-2.amazonaws.com.cn/{NAME}"
