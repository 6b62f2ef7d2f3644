"""A tag that moves: by which calls, which images it refuses, and what it makes of races."""

import json
from collections.abc import Callable

import pytest
from botocore.exceptions import EndpointConnectionError
from moto.backends import get_backend

from container_images.aws.errors import RefusedError
from container_images.aws.image import Image
from container_images.aws.images import Put, Repository
from container_images.aws.reference import Reference
from container_images.policies.ecr_actions import Effect, actions
from container_images.policies.tag_convention import ADR040, TagConvention
from container_images.tags import moves
from container_images.tags.moves import READ_AGAIN_SECONDS, move, promote, resolve
from tests.builds import ACCOUNT, NAME, REGION, ECRClient, Wire, build, place, push, sha, tag


def on(wire: object, convention: TagConvention = ADR040) -> Repository:
    """A repository, at the end of a wire."""
    return Repository(wire, Reference(name=NAME), convention)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, which took none."""
    waited: list[float] = []
    monkeypatch.setattr(moves, "sleep", waited.append)
    return waited


def test_a_tag_moves_in_four_calls_in_five_if_it_is_new_and_in_one_if_it_is_there(
    ecr: ECRClient,
) -> None:
    build(ecr, "a", "latest")
    newer = build(ecr, "b")
    wire, fresh, again = Wire(ecr), Wire(ecr), Wire(ecr)
    move(on(wire), tag("merged", "b"), "latest")
    assert wire.calls == ["describe_images", "batch_get_image", "put_image", "describe_images"]
    first = move(on(fresh), newer, "next")
    assert (len(fresh.calls), place(ecr, "next"), place(ecr, "latest")) == (5, newer, newer)
    assert (first["moved"], first["from"], first["order"]) == (True, None, None)
    second = move(on(again), newer, "next", expect="no-such-image")  # a job that is run again
    assert (again.calls, second["moved"]) == (["describe_images"], False)
    tags = ["latest", tag("merged", "b"), "next"]
    assert second["from"] == second["to"] == {"digest": newer, "tags": tags}


def test_another_place_than_expected_is_refused(ecr: ECRClient, repository: Repository) -> None:
    older, newer = build(ecr, "a", "latest", tag("prod", "a")), build(ecr, "b")
    for expected in (newer, "prod-1"):
        with pytest.raises(RefusedError, match=f"on {older}.*not on the expected {expected}"):
            move(repository, newer, "latest", expect=expected, allow_older=True)
    with pytest.raises(RefusedError, match="on no image, and not on the expected"):
        move(repository, newer, "next", expect=older)
    assert place(ecr, "latest") == older
    assert move(repository, newer, "latest", expect=tag("prod", "a"))["moved"]


def convention(*templates: str) -> TagConvention:
    return TagConvention(
        [{"stage": f"s{rank}", "tag": template} for rank, template in enumerate(templates)]
    )


SEMVER, HASHES, DATED = map(convention, ("v{semver}", "{sha}", "{date}.{number}"))
MIXED = convention("b-{epoch}", "d-{date}")


def pushed(ecr: ECRClient, name: str, at: int, *tags: str) -> str:
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
    ecr: ECRClient, by: TagConvention, older: str, newer: str, order: str, refusal: str
) -> None:
    older, _, at = older.partition("@")
    first, second = pushed(ecr, older, int(at or 1000)), pushed(ecr, newer, 2000, "latest")
    with pytest.raises(RefusedError, match=refusal) as refused:
        move(on(ecr, by), older, "latest")
    assert {first, second, "latest", NAME, "--allow-older"} <= {*str(refused.value).split()}
    assert place(ecr, "latest") == second
    allowed = move(on(ecr, by), first, "latest", allow_older=True)
    assert (allowed["moved"], allowed["order"]) == (True, None)
    moved = move(on(ecr, by), newer, "latest")
    assert (moved["moved"], moved["order"]) == (True, order)


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
    ecr: ECRClient, by: TagConvention, current: tuple[str, int], newer: tuple[str, int]
) -> None:
    first, second = pushed(ecr, *current, "latest"), pushed(ecr, *newer)
    refusal = rf"{second} in .*{newer[0]}.* may be older than {first} .*--stack.*--allow-older"
    with pytest.raises(RefusedError, match=refusal):
        move(on(ecr, by), second, "latest")
    assert move(on(ecr, by), second, "latest", allow_older=True)["moved"]


@pytest.mark.parametrize(
    ("answer", "places", "outcome"),
    [
        (Put.DONE, "on", "moved"),
        # A read right after a put may show what was there before.
        (Put.DONE, "oon", "moved"),
        (Put.DONE, "--n", "moved"),
        (Put.DONE, "ooooon", "moved"),
        (Put.DONE, "oooooo", "on old, not on new: 3.75 s after ECR accepted .* ECR is late"),
        (Put.DONE, "oox", "is on x, not on new: somebody else has moved it meanwhile"),
        (Put.DONE, "o-", "is on no image, not on new: somebody else"),
        # "Exists already" is believed only when it is read back.
        (Put.EXISTS, "on", "there"),
        (Put.EXISTS, "oo", "is on old, not on new: .*immutable tag; choose another tag"),
        (Put.EXISTS, "ox", "somebody else has moved it"),
        # A second attempt finds what the first has done, although its answer was lost.
        (Put.EXISTS_AFTER_RETRY, "oon", "moved"),
        (Put.EXISTS_AFTER_RETRY, "oooooo", "immutable tag"),
    ],
)
def test_a_put_is_read_back(
    monkeypatch: pytest.MonkeyPatch, waits: list[float], answer: Put, places: str, outcome: str
) -> None:
    """`places`: where the tag is before the put, and in each read after it; - is nowhere."""
    old, new, other = (Image(digest=name, tags=("latest",)) for name in ("old", "new", "x"))
    before, *reads = ({"o": old, "n": new, "x": other}.get(letter) for letter in places)
    repository, answers = on(None), iter(reads)
    monkeypatch.setattr(repository, "image_and_place", lambda *_: (new, before))
    monkeypatch.setattr(repository, "manifest", lambda _: None)
    monkeypatch.setattr(repository, "put", lambda *_: answer)
    monkeypatch.setattr(repository, "image", lambda _: next(answers))
    if outcome in {"moved", "there"}:
        moved = move(repository, "new", "latest", allow_older=True)["moved"]
        assert moved is (outcome == "moved")
    else:
        with pytest.raises(RefusedError, match=outcome):
            move(repository, "new", "latest", allow_older=True)
    assert waits == list(READ_AGAIN_SECONDS[: len(reads) - 1])


def faulty(ecr: ECRClient, moment: str, at: int) -> Wire:
    """A client that loses its connection at one call: before it, or before the answer to it."""

    def lose(number: int) -> None:
        if number == at:
            raise EndpointConnectionError(endpoint_url="https://ecr")

    return Wire(ecr, before=lose) if moment == "before" else Wire(ecr, after=lose)


@pytest.mark.parametrize(("existing", "put"), [(["latest"], 3), ([], 4)], ids=["existing", "new"])
@pytest.mark.parametrize(
    ("moment", "at"), [("before", 3), ("before", 4), *(("after", at) for at in (1, 2, 3, 4))]
)
def test_a_tag_is_never_lost_and_the_next_run_finishes_the_job(
    ecr: ECRClient, existing: list[str], put: int, moment: str, at: int
) -> None:
    older, newer = build(ecr, "a", *existing), build(ecr, "b")
    with pytest.raises(EndpointConnectionError):
        move(on(faulty(ecr, moment, at)), newer, "latest")
    is_put = at > put or (at == put and moment == "after")
    image = on(ecr).image("latest")
    assert (image and image.digest) == (newer if is_put else older if existing else None)
    assert move(on(ecr), newer, "latest")["moved"] is not is_put
    assert (place(ecr, "latest"), place(ecr, tag("merged", "a"))) == (newer, older)


@pytest.mark.parametrize("theirs", ["b", "c"], ids=["to the same image", "to another"])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_of_two_movers_the_last_to_put_wins_and_whoever_lost_is_told(
    ecr: ECRClient, theirs: str, at: int
) -> None:
    """After one's call of this number, the other makes a whole move."""
    build(ecr, "a", "latest")
    digests = {letter: build(ecr, letter) for letter in {"b", theirs}}
    mine, other = digests["b"], digests[theirs]
    moved: list[bool] = []

    def interrupt(call: int) -> None:
        if call == at:
            moved.append(move(on(ecr), other, "latest")["moved"])

    wire = Wire(ecr, after=interrupt)
    if other != mine and at == 3:  # between the put and the look at it
        with pytest.raises(RefusedError, match=f"is on {other}.*somebody else has moved it"):
            move(on(wire), mine, "latest")
    else:
        moved.append(move(on(wire), mine, "latest")["moved"])
    assert place(ecr, "latest") == (other if at > 2 else mine)
    assert other != mine or sorted(moved) == [False, True]


def test_to_resolve_the_permission_to_pull_is_enough(ecr: ECRClient) -> None:
    build(ecr, "a", "latest")
    resolve(on(wire := Wire(ecr)), "latest")
    [call] = wire.calls
    assert f"ecr:{call.title().replace('_', '')}" in actions(Effect.PULL)


@pytest.mark.parametrize("use", [resolve, move, promote])
def test_an_archived_image_is_refused(
    ecr: ECRClient, answers: dict[str, object], use: Callable[..., object]
) -> None:
    tags = ["latest", tag("prod", "a")]
    detail = {"imageDigest": f"sha256:{'0' * 64}", "imageTags": tags, "imageStatus": "ARCHIVED"}
    answers["DescribeImages"] = {"imageDetails": [detail]}
    arguments = {resolve: tags[:1], move: tags[::-1], promote: [tags[0], "stg"]}[use]
    with pytest.raises(RefusedError, match="is archived and cannot be pulled; restore it"):
        use(on(ecr), *arguments)
