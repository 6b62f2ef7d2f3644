from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.stub import Stubber

from container_images.aws.errors import RefusedError
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.policies.ecr_actions import Effect, actions
from container_images.tags.resolve import resolve
from tests.builds import NAME, Wire, build, sha, tag

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient


def test_a_tag_is_resolved_to_the_build_of_its_image(
    ecr: "ECRClient", repository: Repository
) -> None:
    digest = build(ecr, "a", "latest", tag("prod", "a", 2), tag("stg", "a", 1))
    found = resolve(repository, "latest")
    assert found.image.digest == digest
    assert str(found.unique_tag) == tag("prod", "a", 2)
    assert found.commit == sha("a")
    built = int(tag("merged", "a").rpartition("-")[2])
    assert found.built_at == datetime.fromtimestamp(built, UTC)
    assert found.name == "latest"


def test_the_permission_to_pull_is_enough(ecr: "ECRClient") -> None:
    build(ecr, "a", "latest")
    wire = Wire(ecr)
    resolve(Repository(wire, Reference(name=NAME)), "latest")  # type: ignore[arg-type]
    called = {f"ecr:{call.title().replace('_', '')}" for call in wire.calls}
    assert called <= set(actions(Effect.PULL))
    assert len(wire.calls) == 1


def test_an_archived_image() -> None:
    client = boto3.client("ecr")
    detail = {
        "imageDigest": f"sha256:{'0' * 64}",
        "imageTags": ["latest", tag("prod", "a")],
        "imageStatus": "ARCHIVED",
    }
    with Stubber(client) as stub:
        stub.add_response("describe_images", {"imageDetails": [detail]})
        with pytest.raises(RefusedError, match="is archived and cannot be pulled"):
            resolve(Repository(client, Reference(name=NAME)), "latest")
