"""What `rollback` makes of an image that is about to expire."""

import json
from typing import Any

import pytest

from container_images.aws.errors import RefusedError
from container_images.aws.images import Repository
from container_images.tags.rollback import rollback
from tests.builds import NAME, ECRClient, build, place
from tests.lifecycle.documents import ANY, LATEST, count, policy, tagged
from tests.tags.test_rollback import rolled_back, seen

MERGED = tagged("merged-*")


@pytest.fixture
def pushed(ecr: ECRClient) -> tuple[str, str]:
    """Two images; latest is on the second."""
    # Pushed within a second: then the image with the lower digest is the one that goes.
    return build(ecr, "b"), build(ecr, "a", "latest")


def put_policy(ecr: ECRClient, *selections: dict[str, Any]) -> None:
    text = json.dumps(policy(*selections))
    ecr.put_lifecycle_policy(repositoryName=NAME, lifecyclePolicyText=text)


@pytest.mark.parametrize("selections", [(LATEST, MERGED | count(1)), (ANY | count(1),)])
def test_rollback_refuses_an_image_that_is_about_to_go(
    ecr: ECRClient,
    repository: Repository,
    pushed: tuple[str, str],
    selections: tuple[dict[str, Any], ...],
) -> None:
    put_policy(ecr, *selections)
    refusal = rf"will not be kept: rule {len(selections)} \(.*\) of.*move --allow-older"
    with pytest.raises(RefusedError, match=refusal):
        rollback(repository, "latest", seen("b a"))
    assert place(ecr, "latest") == pushed[1]
    with pytest.raises(RefusedError, match="will not be kept"):
        rollback(repository, "latest", seen(""), to=pushed[0])


def test_rollback_goes_to_an_image_that_stays(
    ecr: ECRClient, repository: Repository, pushed: tuple[str, str]
) -> None:
    put_policy(ecr, LATEST, MERGED | count(2))
    assert rolled_back(repository, seen("b a")) == (pushed[0], "cloudtrail", [])
    assert place(ecr, "latest") == pushed[0]


def test_rollback_says_where_it_cannot_know(
    ecr: ECRClient,
    repository: Repository,
    pushed: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*_: Any) -> None:
        raise RefusedError("nobody may look")

    monkeypatch.setattr("container_images.tags.rollback.expiry_of", unknown)
    *_, [note] = rolled_back(repository, seen("b a"))
    unknown_expiry = f"it is not known whether the lifecycle policy would keep {pushed[0]}"
    assert note == f"{unknown_expiry}: nobody may look"
    assert place(ecr, "latest") == pushed[0]
