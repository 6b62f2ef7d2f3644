"""Whether an image is about to expire, and what `rollback` makes of it."""

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from container_images.aws.errors import RefusedError
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.lifecycle.live import UnknownExpiryError, expiry_of
from container_images.tags.rollback import rollback
from tests.builds import NAME, Wire, build, place
from tests.lifecycle.documents import ANY, INDEX, NOW, count, older, policy, tagged
from tests.tags.test_rollback import seen

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

KEEP_ONE = policy(tagged("latest") | count(1), tagged("merged-*") | count(1))
LOSE_LATEST = policy(ANY | count(1))
# Pushed within a second: then the image with the lower digest is the one that goes.
OLDER, NEWER = "b", "a"


def put_policy(ecr: "ECRClient", document: dict[str, Any]) -> None:
    ecr.put_lifecycle_policy(repositoryName=NAME, lifecyclePolicyText=json.dumps(document))


# --- One image ------------------------------------------------------------------------------


def test_an_image_without_a_policy_costs_one_call(ecr: "ECRClient") -> None:
    wire = Wire(ecr)
    assert expiry_of(Repository(wire, Reference(name=NAME)), build(ecr, "a")) is None  # type: ignore[arg-type]
    assert wire.calls == ["get_lifecycle_policy"]


def test_what_an_index_lists_is_read_only_where_it_may_save_the_image() -> None:
    client = boto3.client("ecr")
    details = [
        {
            "imageDigest": "index",
            "imageTags": ["latest"],
            "imagePushedAt": NOW,
            "imageManifestMediaType": INDEX,
        },
        {"imageDigest": "part", "imagePushedAt": NOW},
    ]
    text = json.dumps(policy(tagged("latest") | count(1), ANY | older(1)))
    manifest = json.dumps({"manifests": [{"digest": "part"}]})
    images = [{"imageId": {"imageDigest": "index"}, "imageManifest": manifest}]
    there = Repository(client, Reference(name=NAME))
    with Stubber(client) as stub:
        stub.add_response("get_lifecycle_policy", {"lifecyclePolicyText": text})
        stub.add_response("describe_images", {"imageDetails": details})
        assert expiry_of(there, "index") is None
        stub.add_response("get_lifecycle_policy", {"lifecyclePolicyText": text})
        stub.add_response("describe_images", {"imageDetails": details})
        stub.add_response("batch_get_image", {"images": images})
        assert expiry_of(there, "part") is None
        stub.assert_no_pending_responses()


def test_a_policy_that_cannot_be_read_leaves_it_open() -> None:
    client = boto3.client("ecr")
    text = json.dumps({"rules": [{}]}).ljust(100)
    with Stubber(client) as stub:
        stub.add_response("get_lifecycle_policy", {"lifecyclePolicyText": text})
        with pytest.raises(UnknownExpiryError, match=f"policy of {NAME}: rules"):
            expiry_of(Repository(client, Reference(name=NAME)), "a")


# --- rollback -------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [KEEP_ONE, LOSE_LATEST])
def test_rollback_refuses_an_image_that_is_about_to_go(
    ecr: "ECRClient", repository: Repository, document: dict[str, Any]
) -> None:
    first, second = build(ecr, OLDER), build(ecr, NEWER, "latest")
    put_policy(ecr, document)
    rule = len(document["rules"])
    with pytest.raises(
        RefusedError, match=rf"will not be kept: rule {rule} \(.*\) of.*move --allow-older"
    ):
        rollback(repository, "latest", seen(first, second))
    assert place(ecr, "latest") == second
    with pytest.raises(RefusedError, match="will not be kept"):
        rollback(repository, "latest", seen(), to=first)


def test_rollback_goes_to_an_image_that_stays(ecr: "ECRClient", repository: Repository) -> None:
    first, second = build(ecr, OLDER), build(ecr, NEWER, "latest")
    put_policy(ecr, policy(tagged("latest") | count(1), tagged("merged-*") | count(2)))
    assert rollback(repository, "latest", seen(first, second)).notes == ()
    assert place(ecr, "latest") == first


def test_rollback_says_where_it_cannot_know(
    ecr: "ECRClient", repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = build(ecr, OLDER), build(ecr, NEWER, "latest")

    def unknown(*_: Any) -> None:
        raise UnknownExpiryError("nobody may look")

    monkeypatch.setattr("container_images.tags.rollback.expiry_of", unknown)
    [note] = rollback(repository, "latest", seen(first, second)).notes
    assert note == (
        f"it is not known whether the lifecycle policy would keep {first}: nobody may look"
    )
    assert place(ecr, "latest") == first
