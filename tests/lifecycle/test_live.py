"""The calls to ECR, each with the response that botocore's model of ECR allows."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import Stubber

from container_images.aws.errors import RefusedError
from container_images.aws.image import INDEX_MEDIA_TYPES
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.lifecycle.document import rules_in
from container_images.lifecycle.live import expiry_of, live_images, live_movable_tags
from tests.lifecycle.documents import ANY, INDEX, LATEST, NOW, days_ago, older, policy, tagged

PLACE = {"repositoryName": "forms-admin-deploy", "registryId": "111122223333"}
TAKE_ALL = rules_in(policy(ANY | older(7)))


@pytest.fixture
def there(client: Any) -> Repository:
    reference = Reference(name="forms-admin-deploy", registry_id="111122223333")
    return Repository(client, reference)


@pytest.fixture
def aws(there: Repository) -> Iterator[Stubber]:
    with Stubber(there.client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def detail(digest: str, *tags: str, media_type: str = "", **more: Any) -> dict[str, Any]:
    times = {"imagePushedAt": days_ago(9), "imageManifestMediaType": media_type}
    return {"imageDigest": digest, "imageTags": list(tags), **times, **more}


def add_policy(aws: Stubber, document: Any) -> None:
    text = json.dumps(document).ljust(100)
    aws.add_response("get_lifecycle_policy", {"lifecyclePolicyText": text}, PLACE)


def add_images(aws: Stubber, *details: dict[str, Any]) -> None:
    aws.add_response("describe_images", {"imageDetails": list(details)})


def add_indexes(aws: Stubber, lists: dict[str, list[str]]) -> None:
    """What BatchGetImage says of these indexes: what each lists."""
    images = []
    for digest, children in lists.items():
        manifest = {"manifests": [{"digest": child} for child in children]}
        images.append({"imageId": {"imageDigest": digest}, "imageManifest": json.dumps(manifest)})
    ids = [{"imageDigest": digest} for digest in lists]
    request = {**PLACE, "imageIds": ids, "acceptedMediaTypes": [*INDEX_MEDIA_TYPES]}
    aws.add_response("batch_get_image", {"images": images}, request)


def test_the_movable_tags_of_a_repository_of_another_account(
    there: Repository, aws: Stubber
) -> None:
    filters = [{"filterType": "WILDCARD", "filter": "stable"}]
    mutability = {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"}
    described = {**mutability, "imageTagMutabilityExclusionFilters": filters}
    request = {"repositoryNames": ["forms-admin-deploy"], "registryId": "111122223333"}
    add_policy(aws, policy(LATEST))
    aws.add_response("describe_repositories", {"repositories": [described]}, request)
    assert live_movable_tags(there, pytest.fail) == ("latest", "stable")


def test_all_pages_and_what_the_indexes_list_a_hundred_at_once(
    there: Repository, aws: Stubber
) -> None:
    digests = [f"sha256:{number}" for number in range(101)]
    request = {**PLACE, "maxResults": 1000, "filter": {"imageStatus": "ANY"}}
    archived = detail("archived", media_type=INDEX, imageStatus="ARCHIVED")
    indexes = [detail(digest, "a", media_type=INDEX) for digest in digests]
    first: dict[str, Any] = {"imageDetails": [archived, *indexes], "nextToken": "more"}
    aws.add_response("describe_images", first, request)
    second = {"imageDetails": [detail("1")]}
    aws.add_response("describe_images", second, {**request, "nextToken": "more"})
    for batch in (digests[:100], digests[100:]):
        add_indexes(aws, {digest: ["1", "2"] for digest in batch})
    repository = live_images(there, TAKE_ALL, NOW)
    assert (repository.reference.name, repository.reference.region) == (there.name, "eu-west-2")
    children = {image.digest: image.children for image in repository.images}
    assert children == {**dict.fromkeys(digests, ("1", "2")), "archived": None, "1": None}


@pytest.mark.parametrize(
    ("selection", "children"),
    [
        (ANY | older(10), None),  # nothing goes: it is not read
        (tagged("1-*") | older(7), ["2"]),  # `docker manifest create` lists tagged images
    ],
)
def test_an_index_is_read_only_where_something_goes(
    there: Repository, aws: Stubber, selection: dict[str, Any], children: list[str] | None
) -> None:
    add_images(aws, detail("1", "v1", media_type=INDEX), detail("2", "1-amd64"))
    if children:
        add_indexes(aws, {"1": children})
    [index, _] = live_images(there, rules_in(policy(selection)), NOW).images
    assert index.children == (tuple(children) if children else None)


def test_why_the_indexes_are_not_read(there: Repository, aws: Stubber) -> None:
    for code in ("AccessDeniedException", "ServerException"):
        add_images(aws, detail("1", "a", media_type=INDEX))
        aws.add_client_error("batch_get_image", code)
    repository = live_images(there, TAKE_ALL, NOW)
    assert repository.unread.startswith("no permission for BatchGetImage")
    assert repository.images[0].children is None
    with pytest.raises(there.client.exceptions.ServerException):
        live_images(there, TAKE_ALL, NOW)


def test_what_an_index_lists_is_read_only_where_it_may_save_the_image(
    there: Repository, aws: Stubber
) -> None:
    for digest in ("index", "part", "old"):
        add_policy(aws, policy(LATEST, ANY | older(1)))
        add_images(aws, detail("index", "latest", media_type=INDEX), detail("part"), detail("old"))
        if digest != "index":
            add_indexes(aws, {"index": ["part"]})
        expiry = "rule 2 (any image) of the lifecycle policy would expire it within a day"
        assert expiry_of(there, digest) == (expiry if digest == "old" else None)
    aws.add_client_error("get_lifecycle_policy", "LifecyclePolicyNotFoundException")
    assert expiry_of(there, "part") is None


def test_what_may_not_or_cannot_be_read_leaves_it_open(there: Repository, aws: Stubber) -> None:
    add_policy(aws, {"rules": [{}]})
    with pytest.raises(RefusedError, match=r"policy of forms-admin-deploy .*: rules"):
        expiry_of(there, "a")
    for operation in ("describe_images", "batch_get_image"):
        add_policy(aws, policy(ANY | older(1)))
        if operation == "batch_get_image":
            add_images(aws, detail("a", media_type=INDEX))
        aws.add_client_error(operation, "AccessDeniedException")
        reason = f"no permission for {operation.title().replace('_', '')}"
        with pytest.raises(RefusedError, match=reason):
            expiry_of(there, "a")
