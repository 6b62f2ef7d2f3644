"""What `rollback` makes of an image that is about to expire."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from container_images.aws.errors import RefusedError
from container_images.aws.images import Repository
from container_images.lifecycle.live import UnknownExpiryError
from container_images.tags.rollback import rollback
from tests.builds import NAME, build, place
from tests.lifecycle.documents import ANY, LATEST, count, policy, tagged
from tests.tags.test_rollback import seen

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

KEEP_ONE = policy(LATEST, tagged("merged-*") | count(1))
LOSE_LATEST = policy(ANY | count(1))
# Pushed within a second: then the image with the lower digest is the one that goes.
OLDER, NEWER = "b", "a"


def put_policy(ecr: "ECRClient", document: dict[str, Any]) -> None:
    ecr.put_lifecycle_policy(repositoryName=NAME, lifecyclePolicyText=json.dumps(document))


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
    put_policy(ecr, policy(LATEST, tagged("merged-*") | count(2)))
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
