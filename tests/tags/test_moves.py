"""A tag that moves: by which calls, which images it refuses, and what it makes of races."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber
from moto.backends import get_backend

from container_images.aws.errors import RefusedError
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.policies.tag_convention import ADR040, Stage, TagConvention
from container_images.tags import moves
from container_images.tags.moves import READ_AGAIN_SECONDS, Move, move
from tests.builds import (
    ACCOUNT,
    NAME,
    OCI_MANIFEST,
    REGION,
    Wire,
    build,
    digest_of,
    place,
    push,
    sha,
    tag,
)

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient


def on(wire: object, convention: TagConvention = ADR040) -> Repository:
    """A repository, at the end of a wire."""
    return Repository(wire, Reference(name=NAME), convention)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, which took none."""
    waited: list[float] = []
    monkeypatch.setattr(moves, "sleep", waited.append)
    return waited


def test_a_tag_moves_in_four_calls(ecr: "ECRClient") -> None:
    older, newer = build(ecr, "a", "latest"), build(ecr, "b")
    wire = Wire(ecr)
    moved = move(on(wire), tag("merged", "b"), "latest")
    assert wire.calls == ["describe_images", "batch_get_image", "put_image", "describe_images"]
    assert place(ecr, "latest") == newer
    assert moved.before is not None
    assert (moved.before.digest, moved.before.tags) == (older, ("latest", tag("merged", "a")))
    assert (moved.after.digest, moved.after.tags) == (newer, ("latest", tag("merged", "b")))


def test_a_tag_that_does_not_exist_yet_takes_five(ecr: "ECRClient") -> None:
    digest = build(ecr, "a")
    wire = Wire(ecr)
    moved = move(on(wire), digest, "latest")
    assert len(wire.calls) == 5
    assert place(ecr, "latest") == digest
    assert (moved.moved, moved.before, moved.order) == (True, None, None)


def test_a_tag_that_is_there_already_is_not_put(ecr: "ECRClient") -> None:
    digest = build(ecr, "a", "latest")
    wire = Wire(ecr)
    moved = move(on(wire), digest, "latest", expect="no-such-image")  # a job that is run again
    assert wire.calls == ["describe_images"]
    assert not moved.moved
    assert moved.before == moved.after
    assert moved.after.digest == digest


def test_another_place_than_expected_is_refused(ecr: "ECRClient", repository: Repository) -> None:
    older, newer = build(ecr, "a", "latest", tag("prod", "a")), build(ecr, "b")
    for expected in (newer, "prod-1"):
        with pytest.raises(RefusedError, match=f"on {older}.*not on the expected {expected}"):
            move(repository, newer, "latest", expect=expected, allow_older=True)
    with pytest.raises(RefusedError, match="on no image, and not on the expected"):
        move(repository, newer, "next", expect=older)
    assert place(ecr, "latest") == older
    assert move(repository, newer, "latest", expect=tag("prod", "a")).moved


# --- Which image is older -------------------------------------------------------------------------


def convention(*templates: str) -> TagConvention:
    return TagConvention(
        [Stage(name=f"s{rank}", template=template) for rank, template in enumerate(templates)]
    )


SEMVER, HASHES, DATED = map(convention, ("v{semver}", "{sha}", "{date}.{number}"))
MIXED = convention("b-{epoch}", "d-{date}")


def pushed(ecr: "ECRClient", name: str, at: int, *tags: str) -> str:
    """An image with this tag and others, that ECR says was pushed at this time."""
    digest = push(ecr, json.dumps({"mediaType": "x", "name": name}), name, *tags)
    for image in get_backend("ecr")[ACCOUNT][REGION].repositories[NAME].images:
        if image.get_image_digest() == digest:
            image.image_pushed_at = at
    return digest


@pytest.mark.parametrize(
    ("by", "older", "newer", "order", "refusal"),
    [
        (ADR040, tag("stg", "a"), tag("prod", "b"), "convention", "built 2026-03-02 16:00:00 UTC"),
        # A patch of an old release is pushed after the newer release.
        (SEMVER, "v1.9.1@3000", "v2.0.0", "semver", r"\(v1.9.1\) is older than .*\(v2.0.0\)"),
        (DATED, "2026-11-24.3", "2026-11-24.10", "convention", r"\(2026-11-24.3, built 2026-11"),
        (HASHES, sha("b"), sha("a"), "pushed", r"\(pushed 1970-01-01 00:16:40 UTC\) is older"),
        (MIXED, "b-1764000000", "d-2026-11-24", "pushed", "pushed"),
        (SEMVER, "v1.0.0", "main", "pushed", "pushed"),
    ],
)
def test_an_older_image_is_refused_unless_it_is_allowed(  # noqa: PLR0913, PLR0917 one case each
    ecr: "ECRClient", by: TagConvention, older: str, newer: str, order: str, refusal: str
) -> None:
    older, _, at = older.partition("@")
    first, second = pushed(ecr, older, int(at or 1000)), pushed(ecr, newer, 2000, "latest")
    with pytest.raises(RefusedError, match=refusal) as refused:
        move(on(ecr, by), older, "latest")
    for word in (first, second, "latest", NAME, "--allow-older", "rollback"):
        assert word in str(refused.value)
    assert place(ecr, "latest") == second
    allowed = move(on(ecr, by), first, "latest", allow_older=True)
    assert (allowed.moved, allowed.order) == (True, None)
    moved = move(on(ecr, by), newer, "latest")
    assert (moved.moved, moved.order) == (True, order)


@pytest.mark.parametrize(
    ("by", "current", "newer"),
    [
        (HASHES, (sha("a"), 1000), (sha("b"), 1000)),
        (HASHES, (sha("a"), 0), (sha("b"), 1000)),
        (HASHES, (sha("a"), 1000), (sha("b"), 0)),
        # Where both are outside the convention, the push orders nothing,
        (SEMVER, ("1.5", 1000), ("1.4", 2000)),
        # nor where the convention has a time in every tag.
        (ADR040, (tag("merged", "a"), 1000), ("v1.0.0", 2000)),
        (ADR040, ("v1.0.0", 1000), (tag("merged", "a"), 2000)),
    ],
)
def test_an_image_that_may_be_older_is_refused_unless_it_is_allowed(
    ecr: "ECRClient", by: TagConvention, current: tuple[str, int], newer: tuple[str, int]
) -> None:
    first, second = pushed(ecr, *current, "latest"), pushed(ecr, *newer)
    refusal = rf"{second} in .*{newer[0]}.* may be older than {first} .*--stack.*--allow-older"
    with pytest.raises(RefusedError, match=refusal):
        move(on(ecr, by), second, "latest")
    assert move(on(ecr, by), second, "latest", allow_older=True).moved


# --- What ECR may say to it -----------------------------------------------------------------------


def described(digest: str, *tags: str) -> list[dict[str, Any]]:
    return [{"imageDigest": digest, "imageTags": list(tags)}]


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize(
    ("outcome", "refusal"),
    [
        ("there", None),
        ("unmoved", "stays on sha256:1111.*immutable tag; choose another tag"),
        ("elsewhere", "moved by somebody else.*now on sha256:2222"),
        ("nowhere", "moved by somebody else.*now on no image"),
    ],
)
def test_already_there_is_believed_only_when_it_is_read_back(
    client: "ECRClient", retries: int, outcome: str, refusal: str | None
) -> None:
    manifest = json.dumps({"mediaType": OCI_MANIFEST})
    wanted, before, other = digest_of(manifest), f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    both = [*described(wanted, tag("prod", "b")), *described(before, "latest", tag("prod", "a"))]
    image = {"imageManifest": manifest, "imageManifestMediaType": OCI_MANIFEST}
    with Stubber(client) as stub:
        stub.add_response("describe_images", {"imageDetails": both})
        stub.add_response("batch_get_image", {"images": [image]})
        code = "ImageAlreadyExistsException"
        stub.add_client_error("put_image", code, response_meta={"RetryAttempts": retries})
        if outcome == "nowhere":
            stub.add_client_error("describe_images", "ImageNotFoundException")
        else:
            now = {"there": wanted, "unmoved": before, "elsewhere": other}[outcome]
            # Where a first attempt may have been taken, what is read may be out of date.
            late = len(READ_AGAIN_SECONDS) if retries and outcome == "unmoved" else 0
            for _ in range(1 + late):
                stub.add_response("describe_images", {"imageDetails": described(now, "latest")})
        if refusal:
            with pytest.raises(RefusedError, match=refusal):
                move(on(client), wanted, "latest")
        else:
            # A second attempt finds what the first has done, although its answer was lost.
            assert move(on(client), wanted, "latest").moved is bool(retries)


def late(ecr: "ECRClient", monkeypatch: pytest.MonkeyPatch, reads: int) -> Wire:
    """A client that shows the tag latest where it was before, for so many reads after the put."""
    wire = Wire(ecr)
    describe = ecr.describe_images
    before: Any
    try:
        before = describe(repositoryName=NAME, imageIds=[{"imageTag": "latest"}])
    except ecr.exceptions.ImageNotFoundException as error:
        before = error

    def answer(**asked: Any) -> Any:
        if "put_image" in wire.calls[: -reads - 1] or "put_image" not in wire.calls:
            return describe(**asked)
        if isinstance(before, Exception):
            raise before
        return before

    monkeypatch.setattr(ecr, "describe_images", answer)
    return wire


@pytest.mark.parametrize("existing", ["latest", ""], ids=["existing", "new"])
@pytest.mark.parametrize("reads", range(1, len(READ_AGAIN_SECONDS) + 1))
def test_a_put_that_ecr_is_slow_to_show_is_read_again(
    ecr: "ECRClient",
    monkeypatch: pytest.MonkeyPatch,
    waits: list[float],
    reads: int,
    existing: str,
) -> None:
    build(ecr, "a", *filter(None, [existing]))
    newer = build(ecr, "b")
    wire = late(ecr, monkeypatch, reads)
    moved = move(on(wire), newer, "latest")
    assert moved.moved
    assert (moved.after.digest, place(ecr, "latest")) == (newer, newer)
    assert waits == list(READ_AGAIN_SECONDS[:reads])
    assert wire.calls.count("describe_images") == (2 if existing else 3) + reads


def test_a_put_that_is_not_shown_at_all_is_not_called_somebody_elses(
    ecr: "ECRClient", monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    older, newer = build(ecr, "a", "latest"), build(ecr, "b")
    wire = late(ecr, monkeypatch, 99)
    refusal = f"is on {older}.* 3.75 s after ECR accepted its move to {newer}: .* or ECR is late"
    with pytest.raises(RefusedError, match=refusal):
        move(on(wire), newer, "latest")
    assert waits == list(READ_AGAIN_SECONDS)


# --- Faults and races -----------------------------------------------------------------------------


@pytest.mark.parametrize("existing", ["latest", ""], ids=["existing", "new"])
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
def test_a_tag_is_never_lost_and_the_next_run_finishes_the_job(
    ecr: "ECRClient", existing: str, moment: str, at: int
) -> None:
    older = build(ecr, "a", *filter(None, [existing]))
    newer = build(ecr, "b")
    wire = faulty(ecr, moment, at)
    if at == 5 and existing:
        assert move(on(wire), newer, "latest").moved
        return
    with pytest.raises(EndpointConnectionError):
        move(on(wire), newer, "latest")
    put = "put_image" in wire.calls[: at if moment == "after" else at - 1]
    if put or existing:
        assert place(ecr, "latest") == (newer if put else older)
    else:
        assert on(ecr).image("latest") is None
    again = move(on(ecr), newer, "latest")
    assert again.moved is not put
    assert place(ecr, "latest") == newer
    assert {tag("merged", "a"), tag("merged", "b")} <= {
        name for image in on(ecr).images() for name in image.tags
    }


def faulty(ecr: "ECRClient", moment: str, at: int) -> Wire:
    """A client that loses its connection at one call: before it, or before the answer to it."""

    def lose(number: int) -> None:
        if number == at:
            raise EndpointConnectionError(endpoint_url="https://ecr")

    return Wire(ecr, before=lose) if moment == "before" else Wire(ecr, after=lose)


def meanwhile(ecr: "ECRClient", at: int, other: Callable[[], Any]) -> tuple[Wire, list[Any]]:
    """A client after whose call of this number somebody else makes a whole move; and that move."""
    done: list[Any] = []

    def run(call: int) -> None:
        if call == at:
            done.append(other())

    return Wire(ecr, after=run), done


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_of_two_movers_the_last_to_put_wins_and_whoever_lost_is_told(
    ecr: "ECRClient", at: int
) -> None:
    build(ecr, "a", "latest")
    mine, other = build(ecr, "b"), build(ecr, "c")
    wire, done = meanwhile(ecr, at, lambda: move(on(ecr), other, "latest"))
    if at == 3:  # between the put and the look at it
        with pytest.raises(RefusedError, match=f"by somebody else meanwhile and is now on {other}"):
            move(on(wire), mine, "latest")
    else:
        assert move(on(wire), mine, "latest").after.digest == mine
    assert [moved.after.digest for moved in done] == [other]
    assert place(ecr, "latest") == (other if at > 2 else mine)


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_two_movers_to_the_same_image_are_both_done_and_one_of_them_moved_it(
    ecr: "ECRClient", at: int
) -> None:
    build(ecr, "a", "latest")
    newer = build(ecr, "b")
    wire, done = meanwhile(ecr, at, lambda: move(on(ecr), newer, "latest"))
    results: list[Move] = [move(on(wire), newer, "latest"), *done]
    assert place(ecr, "latest") == newer
    assert sorted(moved.moved for moved in results) == [False, True]


def test_a_tag_that_is_taken_back_at_once_is_a_lost_race(ecr: "ECRClient") -> None:
    older, newer = build(ecr, "a", "latest"), build(ecr, "b")
    wire, _ = meanwhile(ecr, 3, lambda: move(on(ecr), older, "latest", allow_older=True))
    with pytest.raises(RefusedError, match=f"on {older}.*somebody has moved it back"):
        move(on(wire), newer, "latest")
