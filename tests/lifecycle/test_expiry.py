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


def put_policy(ecr: ECRClient, *selections: dict[str, Any]) -> None:
    text = json.dumps(policy(*selections))
    ecr.put_lifecycle_policy(repositoryName=NAME, lifecyclePolicyText=text)


def test_rollback_refuses_an_image_that_is_about_to_go(
    ecr: ECRClient, repository: Repository
) -> None:
    # Pushed within a second: then the image with the lower digest is the one that goes.
    before, latest = build(ecr, "b"), build(ecr, "a", "latest")
    for selections in ((LATEST, MERGED | count(1)), (ANY | count(1),)):
        put_policy(ecr, *selections)
        refusal = rf"will not be kept: rule {len(selections)} \(.*\) of.*move --allow-older"
        with pytest.raises(RefusedError, match=refusal):
            rollback(repository, "latest", seen("b a"))
        with pytest.raises(RefusedError, match="will not be kept"):
            rollback(repository, "latest", seen(""), to=before)
    assert place(ecr, "latest") == latest
    put_policy(ecr, LATEST, MERGED | count(2))
    assert rolled_back(repository, seen("b a")) == (before, "cloudtrail", [])
    assert place(ecr, "latest") == before


def test_rollback_says_where_it_cannot_know(
    ecr: ECRClient, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any) -> None:
        raise RefusedError("nobody may look")

    before, _ = build(ecr, "b"), build(ecr, "a", "latest")
    monkeypatch.setattr("container_images.tags.rollback.expiry_of", unknown)
    *_, [note] = rolled_back(repository, seen("b a"))
    unknown_expiry = f"it is not known whether the lifecycle policy would keep {before}"
    assert note == f"{unknown_expiry}: nobody may look"
    assert place(ecr, "latest") == before
