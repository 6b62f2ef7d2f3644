from collections.abc import Callable

import pytest
from botocore.stub import Stubber

from container_images.aws.errors import RefusedError
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.policies.ecr_actions import Effect, actions
from container_images.tags.moves import move, promote, resolve
from tests.builds import NAME, ECRClient, Wire, build, tag


def test_the_permission_to_pull_is_enough(ecr: ECRClient) -> None:
    build(ecr, "a", "latest")
    wire = Wire(ecr)
    resolve(Repository(wire, Reference(name=NAME)), "latest")  # type: ignore[arg-type]
    called = {f"ecr:{call.title().replace('_', '')}" for call in wire.calls}
    assert called <= set(actions(Effect.PULL))
    assert len(wire.calls) == 1


@pytest.mark.parametrize(
    "use",
    [
        lambda repository: resolve(repository, "latest"),
        lambda repository: move(repository, tag("prod", "a"), "latest"),  # where the tag is there
        lambda repository: promote(repository, tag("prod", "a"), "stg"),
    ],
    ids=["resolve", "move", "promote"],
)
def test_an_archived_image_is_refused(
    client: ECRClient, use: Callable[[Repository], object]
) -> None:
    detail = {
        "imageDigest": f"sha256:{'0' * 64}",
        "imageTags": ["latest", tag("prod", "a")],
        "imageStatus": "ARCHIVED",
    }
    with Stubber(client) as stub:
        stub.add_response("describe_images", {"imageDetails": [detail]})
        with pytest.raises(RefusedError, match="is archived and cannot be pulled; restore it"):
            use(Repository(client, Reference(name=NAME)))
