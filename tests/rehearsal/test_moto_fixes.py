"""The private names of moto that the rehearsal stands on."""

import inspect
from typing import Any

import boto3
import moto.ecr.models
import pytest
from moto import mock_aws

from container_images.policies.document import to_json
from container_images.policies.retention import RetentionRule, lifecycle_policy
from container_images.rehearsal.moto_fixes import (
    NAME_PATTERN,
    POLICY_CHECK,
    TAG_CHECK,
    moto_put_right,
)


def test_moto_still_has_what_is_put_right() -> None:
    """Where this fails, look in the new moto for what took the name's place, or is right by now."""
    check = inspect.signature(getattr(moto.ecr.models.ECRBackend, TAG_CHECK))
    assert len(check.parameters) == 3, "the backend, the repository, the tag"
    assert isinstance(getattr(moto.ecr.models, NAME_PATTERN), str)
    for attribute in ("images", "image_tag_mutability", "image_tag_mutability_exclusion_filters"):
        assert attribute in inspect.getsource(moto.ecr.models.Repository)


def test_moto_still_asks_before_a_put(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def asks(_: Any, repository: Any, tag: str) -> list[Any]:
        asked.append((repository.name, tag))
        return []

    monkeypatch.setattr(moto.ecr.models.ECRBackend, TAG_CHECK, asks)
    with mock_aws():
        backend = moto.ecr.models.ecr_backends["111122223333"]["eu-west-2"]
        backend.create_repository("app", None, {}, {}, "MUTABLE", [])
        backend.put_image("app", '{"mediaType": "x"}', "latest", digest="sha256:0")
    assert asked == [("app", "latest")]


@pytest.mark.parametrize("name", [TAG_CHECK, NAME_PATTERN, POLICY_CHECK])
def test_a_name_that_is_gone_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    holder: Any = moto.ecr.models.ECRBackend if name == TAG_CHECK else moto.ecr.models
    monkeypatch.delattr(holder, name)
    with pytest.raises(AttributeError, match=name), moto_put_right(".*"):
        pass


@pytest.mark.usefixtures("moto_listens")
def test_a_lifecycle_policy_that_archives_is_taken_and_no_other_text() -> None:
    """Moto alone refuses both."""
    rules: list[RetentionRule] = [
        {"tags": "v*", "archive_after_days_unpulled": 90},
        {"archived": True, "expire_after_days": 365},
    ]
    text = to_json(lifecycle_policy(["latest"], rules))
    with moto_put_right(".*"):
        ecr = boto3.client("ecr")
        ecr.create_repository(repositoryName="app")
        ecr.put_lifecycle_policy(repositoryName="app", lifecyclePolicyText=text)
        assert ecr.get_lifecycle_policy(repositoryName="app")["lifecyclePolicyText"] == text
        for wrong in (text[:-1], text.replace("sinceImagePulled", "sinceImageUsed")):
            with pytest.raises(ecr.exceptions.InvalidParameterException, match="LifecyclePolicy"):
                ecr.put_lifecycle_policy(repositoryName="app", lifecyclePolicyText=wrong)
