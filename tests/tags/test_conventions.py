"""The tags of teams other than ADR040's: what orders their builds, and how they are promoted."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from moto.backends import get_backend

from container_images.aws.errors import RefusedError
from container_images.aws.image import Image
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.policies.tag_convention import ADR040, Stage, TagConvention
from container_images.tags.moves import move, promote
from container_images.tags.resolve import resolve
from container_images.tags.rollback import next_older
from tests.builds import ACCOUNT, NAME, REGION, Wire, place, push, sha, tag

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

SEMVER = TagConvention([Stage(name="release", template="v{semver}")])
CHARTS = TagConvention([Stage(name="release", template="{semver}")])
HASHES = TagConvention([Stage(name="build", template="{sha}")])
CANDIDATES = TagConvention(
    [Stage(name="candidate", template="rc-{semver}"), Stage(name="release", template="v{semver}")]
)
DATED = TagConvention([Stage(name="build", template="{date}.{number}")])
DAYS = TagConvention(
    [Stage(name="dev", template="dev-{date}.{number}"), Stage(name="prod", template="prod-{date}")]
)
MIXED = TagConvention(
    [Stage(name="build", template="b-{epoch}"), Stage(name="day", template="d-{date}")]
)
NOTHING_ORDERS = "neither the tags .* nor the times of the push tell"


def pushed(ecr: "ECRClient", *tags: str, at: int = 1000) -> str:
    """An image of its own, that ECR says was pushed at this time."""
    digest = push(ecr, json.dumps({"mediaType": "x", "tags": tags}), *tags)
    for image in get_backend("ecr")[ACCOUNT][REGION].repositories[NAME].images:
        if image.get_image_digest() == digest:
            image.image_pushed_at = at
    return digest


def by(ecr: object, convention: TagConvention) -> Repository:
    return Repository(ecr, Reference(name=NAME), convention)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("convention", "older", "newer", "order", "refusal"),
    [
        (SEMVER, "v1.9.0", "v1.10.0", "semver", "is v1.9.0, before the image"),
        # A patch of an old release is pushed after the newer release.
        (SEMVER, "v1.9.1@3000", "v2.0.0", "semver", "is v1.9.1, before the image"),
        (CHARTS, "1.4.0_up1.9.9@3000", "1.5.0_up2.0.0", "semver", "is 1.4.0_up1.9.9, before"),
        (HASHES, sha("b"), sha("a"), "pushed", "was pushed 1970-01-01 00:16:40 UTC, before"),
        (DATED, "2026-11-24.3", "2026-11-24.10", "convention", "was built as 2026-11-24.3"),
        # A number of the day does not order against none.
        (DAYS, "dev-2026-11-24.9", "prod-2026-11-24", "pushed", "was pushed"),
        (DAYS, "prod-2026-11-24", "dev-2026-11-24.1", "pushed", "was pushed"),
        (CANDIDATES, "rc-1.0.0", "v0.1.0", "pushed", "was pushed"),
        (MIXED, "b-1764000000", "d-2026-11-24", "pushed", "was pushed"),
    ],
)
def test_what_orders_builds_is_told_and_the_older_one_refused(  # noqa: PLR0913, PLR0917 one case each
    ecr: "ECRClient", convention: TagConvention, older: str, newer: str, order: str, refusal: str
) -> None:
    older, _, at = older.partition("@")
    first, second = pushed(ecr, older, at=int(at or 1000)), pushed(ecr, newer, "latest", at=2000)
    with pytest.raises(RefusedError, match=refusal):
        move(by(ecr, convention), older, "latest")
    assert place(ecr, "latest") == second
    allowed = move(by(ecr, convention), first, "latest", allow_older=True)
    assert (allowed.moved, allowed.order) == (True, None)
    wire = Wire(ecr)
    moved = move(by(wire, convention), newer, "latest")
    assert (moved.moved, moved.order, len(wire.calls)) == (True, order, 4)


@pytest.mark.parametrize(
    ("convention", "current", "newer", "refusal"),
    [
        (HASHES, (sha("a"), 1000), (sha("b"), 1000), NOTHING_ORDERS),
        (HASHES, (sha("a"), 0), (sha("b"), 1000), NOTHING_ORDERS),
        (HASHES, (sha("a"), 1000), (sha("b"), 0), NOTHING_ORDERS),
        # Where both are outside the convention, the push orders nothing,
        (SEMVER, ("1.5", 1000), ("1.4", 2000), r"neither has a tag of the .*--stack.*older"),
        (HASHES, ("1.5", 1000), ("1.4", 2000), r"neither has a tag of the .*--stack.*older"),
        # nor where the convention has a time in every tag.
        (ADR040, (tag("merged", "a"), 1000), ("v1.0.0", 2000), r"build time .* is unknown"),
    ],
)
def test_what_nothing_orders_is_refused(
    ecr: "ECRClient",
    convention: TagConvention,
    current: tuple[str, int],
    newer: tuple[str, int],
    refusal: str,
) -> None:
    pushed(ecr, current[0], "latest", at=current[1])
    digest = pushed(ecr, newer[0], at=newer[1])
    with pytest.raises(RefusedError, match=refusal):
        move(by(ecr, convention), digest, "latest")
    assert move(by(ecr, convention), digest, "latest", allow_older=True).moved


def test_a_candidate_becomes_the_release_of_its_version(ecr: "ECRClient") -> None:
    digest = pushed(ecr, "rc-1.2.0")
    there = by(ecr, CANDIDATES)
    done = promote(there, "rc-1.2.0", "release", movable=["stable", "latest"])
    assert (done.tag, done.added, [moved.tag for moved in done.moves]) == (
        "v1.2.0",
        True,
        ["stable", "latest"],
    )
    assert place(ecr, "v1.2.0") == place(ecr, "stable") == place(ecr, "latest") == digest
    assert promote(there, digest, "release").added is False


def test_a_release_that_another_image_has_is_not_made_again(ecr: "ECRClient") -> None:
    first = pushed(ecr, "rc-1.1.0", "v1.2.0")
    pushed(ecr, "rc-1.2.0")
    with pytest.raises(RefusedError, match=r"v1\.2\.0 of .* already, and a unique tag stays"):
        promote(by(ecr, CANDIDATES), "rc-1.2.0", "release")
    assert place(ecr, "v1.2.0") == first


def test_a_tag_that_cannot_be_made_is_asked_for(ecr: "ECRClient") -> None:
    digest = pushed(ecr, "rc-1.2.0")
    with pytest.raises(RefusedError, match="name it with --stack, or give the tag itself"):
        promote(by(ecr, DATED), digest, "build")
    assert promote(by(ecr, DATED), digest, tag="2026-11-24.1").added
    assert promote(by(ecr, DATED), digest, "build").tag == "2026-11-24.1"


def test_if_one_movable_tag_is_refused_nothing_is_put(ecr: "ECRClient") -> None:
    older = pushed(ecr, "v1.0.0", at=1000)
    newer = pushed(ecr, "v2.0.0", "stable", at=2000)
    before = list(by(ecr, SEMVER).images())
    for stage, unique_tag in (("release", None), (None, "v1.0.0-final")):
        with pytest.raises(RefusedError, match="stable"):
            promote(by(ecr, SEMVER), older, stage, tag=unique_tag, movable=["latest", "stable"])
    assert list(by(ecr, SEMVER).images()) == before
    assert place(ecr, "stable") == newer


@pytest.mark.parametrize(
    ("convention", "tag", "commit", "built"),
    [
        (SEMVER, "v1.0.0", None, None),
        (HASHES, sha("a"), sha("a"), None),
        (DATED, "2026-11-24.1", None, "2026-11-24T00:00:00+00:00"),
    ],
)
def test_what_a_convention_leaves_out_is_none_and_no_fault(
    ecr: "ECRClient", convention: TagConvention, tag: str, commit: str | None, built: str | None
) -> None:
    pushed(ecr, "latest", tag)
    resolved = resolve(by(ecr, convention), "latest")
    assert str(resolved.unique_tag) == tag
    assert (resolved.commit, resolved.unknown) == (commit, None)
    assert (resolved.built_at and resolved.built_at.isoformat()) == built


@pytest.mark.parametrize(
    ("convention", "tags", "current", "older"),
    [
        (SEMVER, ["v1.11.0", "v1.10.0", "v1.9.0"], "v1.11.0", "v1.10.0"),
        (SEMVER, ["v1.1.0", "v1.1.1-rc.1", "v1.1.1"], "v1.1.1", "v1.1.0"),  # to a release
        # Where tags tell no age, the next older was pushed before.
        (HASHES, [sha("c"), sha("a"), sha("b")], sha("b"), sha("a")),
        (HASHES, [sha("c"), sha("a"), sha("b")], sha("c"), None),
    ],
)
def test_what_a_rollback_by_tags_goes_to(
    convention: TagConvention, tags: list[str], current: str, older: str | None
) -> None:
    images = {
        name: Image(digest=name, tags=(name,), pushed_at=datetime(2026, 11, day, tzinfo=UTC))
        for day, name in enumerate(tags, 1)
    }
    target = next_older(convention, images[current], images.values())
    assert target == (images[older] if older else None)
