"""An image that reaches a stage: the tag that it gets there, and the tags that move to it."""

from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from container_images.aws.errors import RefusedError
from container_images.aws.images import Repository
from container_images.tags import moves
from container_images.tags.moves import move, promote
from tests.builds import ECRClient, build, place, push, sha, tag
from tests.tags.test_moves import DATED, convention, faulty, on, pushed

CANDIDATES = convention("rc-{semver}", "v{semver}")


def test_a_promotion_can_be_tried_dry(ecr: ECRClient, repository: Repository) -> None:
    older, newer = build(ecr, "a", "stable"), build(ecr, "b")
    before = list(repository.images())
    done = promote(repository, newer, "prod", movable=["stable"], dry_run=True)
    assert list(repository.images()) == before
    assert (done["digest"], done["added"]) == (newer, True)
    assert [(would["tag"], would["moved"]) for would in done["moves"]] == [("stable", False)]
    move(repository, newer, tag("prod", "b"))
    assert not promote(repository, newer, "prod", dry_run=True)["added"]
    move(repository, newer, "stable")
    with pytest.raises(RefusedError, match="is older than"):
        promote(repository, older, "prod", movable=["stable"], dry_run=True)


@pytest.mark.parametrize(
    ("moment", "at"), [("before", 4), ("before", 8), *(("after", at) for at in range(1, 11))]
)
def test_a_promotion_goes_on_where_it_was_interrupted(ecr: ECRClient, moment: str, at: int) -> None:
    """Before one of its two puts, or before the answer to any of its calls."""
    build(ecr, "a", "latest")
    newer = build(ecr, "b")
    wire = faulty(ecr, moment, at)
    # What fails after the unique tag was read back says that it was put.
    put = pytest.raises(RefusedError, match=f"^prod-.* put on {newer}, but Could not connect")
    with put if 5 < at < 10 else suppress(EndpointConnectionError):
        promote(on(wire), newer, "prod", movable=["latest"])
        assert (len(wire.calls), at) == (9, 10)  # a promotion has nine calls
    done = promote(on(ecr), newer, "prod", movable=["latest"])
    assert place(ecr, "latest") == place(ecr, done["tag"]) == newer
    image = on(ecr).image(newer)
    assert [name for name in (image and image.tags) or () if name[:4] == "prod"] == [done["tag"]]


def test_two_builds_of_one_commit_in_one_second_get_no_common_tag(
    ecr: ECRClient, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Second(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls(2026, 11, 24, 12, tzinfo=tz)

    monkeypatch.setattr(moves, "datetime", Second)
    first = build(ecr, "a")
    second = push(ecr, '{"mediaType": "x"}', f"pr-1-{sha('a')}-1764000000")
    promoted = promote(repository, first, "prod")["tag"]
    with pytest.raises(RefusedError, match=rf"{promoted} of .* already.*run the command again"):
        promote(repository, second, "prod")
    assert place(ecr, promoted) == first


def test_a_candidate_becomes_the_release_of_its_version(ecr: ECRClient) -> None:
    digest = pushed(ecr, "rc-1.2.0", 1000)
    there = on(ecr, CANDIDATES)
    assert promote(there, "rc-1.2.0", "s1", movable=["stable", "latest"])["added"]
    assert place(ecr, "v1.2.0") == place(ecr, "stable") == place(ecr, "latest") == digest
    assert not promote(there, digest, "s1")["added"]
    # Neither another image gets that tag, nor this one another of the stage.
    other = pushed(ecr, "other", 2000, "rc-1.2.0")
    with pytest.raises(RefusedError, match=r"v1\.2\.0 of .* already, and a unique tag stays"):
        promote(there, other, "s1")
    with pytest.raises(RefusedError, match=r"has v1\.2\.0 for the stage s1 already.*--as v1\.3\.0"):
        promote(there, digest, tag="v1.3.0")


def test_a_tag_that_cannot_be_made_is_asked_for(ecr: ECRClient, repository: Repository) -> None:
    digest = pushed(ecr, "rc-1.2.0", 1000)
    with pytest.raises(RefusedError, match="none with its commit"):
        promote(repository, digest, "stg")
    with pytest.raises(RefusedError, match="name it with --stack, or give the tag itself"):
        promote(on(ecr, DATED), digest, "s0")
    assert promote(on(ecr, DATED), digest, tag="2026-11-24.1")["added"]
    assert promote(on(ecr, DATED), digest, "s0")["tag"] == "2026-11-24.1"


def test_if_one_movable_tag_is_refused_nothing_is_put(ecr: ECRClient) -> None:
    older = pushed(ecr, "v1.0.0", 1000)
    pushed(ecr, "v2.0.0", 2000, "stable")
    there = on(ecr, convention("v{semver}"))
    before = list(there.images())
    for stage, unique_tag in (("s0", None), (None, "v1.0.0-final")):
        with pytest.raises(RefusedError, match="stable"):
            promote(there, older, stage, tag=unique_tag, movable=["latest", "stable"])
    assert list(there.images()) == before
