"""The private names of moto that the rehearsal stands on."""

import inspect
from typing import Any

import pytest
from moto import mock_aws
from moto.ecr import models

from container_images.rehearsal.moto_fixes import moto_put_right

NAMES: list[tuple[Any, str]] = [
    (models.ECRBackend, "_resolve_image_tag_mutability"),
    (models, "ECR_REPOSITORY_NAME_PATTERN"),
    (models, "EcrLifecyclePolicyValidator"),
]


def test_moto_still_asks_before_a_put(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this fails, look in the new moto for what took the name's place, or is right by now."""
    asked = []

    def asks(_: Any, repository: Any, tag: str) -> list[Any]:
        asked.append((repository.name, tag))
        return []

    monkeypatch.setattr(models.ECRBackend, "_resolve_image_tag_mutability", asks)
    with mock_aws():
        backend = models.ecr_backends["111122223333"]["eu-west-2"]
        backend.create_repository("app", None, {}, {}, "MUTABLE", [])
        backend.put_image("app", '{"mediaType": "x"}', "latest", digest="sha256:0")
    assert asked == [("app", "latest")]
    for attribute in ("images", "image_tag_mutability", "image_tag_mutability_exclusion_filters"):
        assert attribute in inspect.getsource(models.Repository)


@pytest.mark.parametrize(("holder", "name"), NAMES)
def test_a_name_that_is_gone_is_an_error(
    monkeypatch: pytest.MonkeyPatch, holder: Any, name: str
) -> None:
    monkeypatch.delattr(holder, name)
    with pytest.raises(AttributeError, match=name), moto_put_right():
        pass
