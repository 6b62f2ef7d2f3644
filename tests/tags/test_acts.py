"""The rehearsal's acts with these commands: each comes out well, and each can fail."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from container_images.aws.errors import RefusedError
from container_images.policies.tag_convention import ADR040
from container_images.rehearsal import acts
from container_images.rehearsal.moto_fixes import TagRule
from container_images.stack.state import State
from container_images.tags.moves import Promotion, move, promote
from container_images.tags.resolve import Resolved, resolve
from container_images.tags.rollback import Rollback, rollback
from tests.builds import NAME, place

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient


@pytest.fixture
def scene(ecr: "ECRClient") -> acts._Scene:
    """Two builds, and latest on the first."""
    repository = State(
        arn="",
        name=NAME,
        tag_mutability="MUTABLE",
        exclusion_filters=(),
        scan_on_push=True,
        encryption="AES256",
        kms_key=None,
        tags={},
        lifecycle_policy=None,
        policy=None,
    )
    found = acts._Scene(ecr, repository, ["latest"], ADR040)
    found.push_builds()
    return found


def test_a_build_is_promoted_refused_rolled_back_and_resolved(
    ecr: "ECRClient", scene: acts._Scene
) -> None:
    assert "latest is on it" in scene.promote()
    assert place(ecr, "latest") == scene.second.digest
    assert "would not go to the older build" in scene.refuse_backwards()
    assert "by the tags" in scene.roll_back()
    assert place(ecr, "latest") == scene.first.digest
    assert scene.first.commit[:7] in scene.resolve()


def never_latest(*given: Any, movable: Sequence[str]) -> Promotion:
    del movable
    return promote(*given)


def always_anew(repository: Any, source: str, stage: Any, *, movable: Sequence[str]) -> Promotion:
    found = promote(repository, source, stage, movable=movable)
    other = found.tag[:-10] + "1764999999"
    move(repository, found.tag, other, allow_older=True)
    return replace(found, tag=other)


def any_way(*given: Any) -> None:
    move(*given, allow_older=True)


def refuse_after_moving(*given: Any) -> None:
    any_way(*given)
    raise RefusedError("too late")


def only_say(*given: Any) -> Rollback:
    return rollback(*given, dry_run=True)


def another_commit(*given: Any) -> Resolved:
    return replace(resolve(*given), commit="0" * 40)


@pytest.mark.parametrize(
    ("act", "name", "broken"),
    [
        ("promote", "promote", never_latest),
        ("promote", "promote", always_anew),
        ("refuse_backwards", "move", any_way),
        ("refuse_backwards", "move", refuse_after_moving),
        ("roll_back", "rollback", only_say),
        ("resolve", "resolve", another_commit),
    ],
)
def test_an_act_fails_where_the_command_does_other_than_it_says(
    scene: acts._Scene,
    monkeypatch: pytest.MonkeyPatch,
    act: str,
    name: str,
    broken: Callable[..., Any],
) -> None:
    order = ["promote", "refuse_backwards", "roll_back", "resolve"]
    for earlier in order[: order.index(act)]:
        getattr(scene, earlier)()
    monkeypatch.setattr(acts, name, broken)
    with pytest.raises((acts._FailedError, RefusedError)):
        getattr(scene, act)()


def test_a_refusal_fails_an_act() -> None:
    def refuse() -> str:
        raise RefusedError("no")

    assert list(acts._played(TagRule(), "promote", [refuse])) == [
        acts.Act(act="promote", ok=False, detail="no", by="moto")
    ]
