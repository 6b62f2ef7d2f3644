import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from container_images.aws.errors import RefusedError
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.policies.tag_convention import ADR040
from container_images.tags import moves
from container_images.tags.moves import READ_AGAIN_SECONDS, Move, move, promote
from tests.builds import (
    NAME,
    OCI_MANIFEST,
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


def on(wire: Wire, name: str = NAME) -> Repository:
    """A repository, at the end of a wire."""
    return Repository(wire, Reference(name=name))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, which took none."""
    waited: list[float] = []
    monkeypatch.setattr(moves, "sleep", waited.append)
    return waited


# --- A move ---------------------------------------------------------------------------------------


def test_a_tag_moves_in_four_calls(ecr: "ECRClient") -> None:
    older, newer = build(ecr, "a", "latest"), build(ecr, "b")
    wire = Wire(ecr)
    moved = move(on(wire), tag("merged", "b"), "latest")
    assert wire.calls == ["describe_images", "batch_get_image", "put_image", "describe_images"]
    assert place(ecr, "latest") == newer
    assert moved.before is not None
    assert (moved.before.digest, moved.before.tags) == (older, ("latest", tag("merged", "a")))
    assert (moved.after.digest, moved.after.tags) == (newer, ("latest", tag("merged", "b")))
    assert datetime.now(UTC) - moved.time < timedelta(minutes=1)


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
    moved = move(on(wire), digest, "latest")
    assert wire.calls == ["describe_images"]
    assert not moved.moved
    assert moved.before == moved.after
    assert moved.after.digest == digest


def test_an_older_build_is_refused_unless_it_is_allowed(
    ecr: "ECRClient", repository: Repository
) -> None:
    older, newer = build(ecr, "a", tag("stg", "a", 1000)), build(ecr, "b", "latest")
    with pytest.raises(RefusedError) as refused:
        move(repository, older, "latest")
    assert place(ecr, "latest") == newer
    for word in (older, newer, "latest", NAME, "--allow-older", "rollback"):
        assert word in str(refused.value)
    assert move(repository, older, "latest", allow_older=True).moved
    assert place(ecr, "latest") == older


def test_an_unknown_build_time_is_refused_unless_it_is_allowed(
    ecr: "ECRClient", repository: Repository
) -> None:
    unknown = push(ecr, '{"mediaType": "x", "n": 1}', "v1", "old")
    known = build(ecr, "a")
    with pytest.raises(RefusedError, match=r"unknown.*old, v1.*--allow-older"):
        move(repository, unknown, "latest")
    assert move(repository, unknown, "latest", allow_older=True).moved
    with pytest.raises(RefusedError, match=f"{known} may be older.*--allow-older"):
        move(repository, known, "latest")
    assert move(repository, known, "latest", allow_older=True).moved


def test_another_place_than_expected_is_refused(ecr: "ECRClient", repository: Repository) -> None:
    older, newer = build(ecr, "a", "latest", tag("prod", "a")), build(ecr, "b")
    for expected in (newer, "prod-1"):
        with pytest.raises(RefusedError, match=f"on {older}.*not on the expected {expected}"):
            move(repository, newer, "latest", expect=expected, allow_older=True)
    with pytest.raises(RefusedError, match="on no image, and not on the expected"):
        move(repository, newer, "next", expect=older)
    assert place(ecr, "latest") == older
    assert move(repository, newer, "latest", expect=tag("prod", "a")).moved
    # A job that is run again.
    assert not move(repository, newer, "latest", expect=older).moved


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
        repository = Repository(client, Reference(name=NAME))
        if refusal:
            with pytest.raises(RefusedError, match=refusal):
                move(repository, wanted, "latest")
        else:
            # A second attempt finds what the first has done, although its answer was lost.
            assert move(repository, wanted, "latest").moved is bool(retries)


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


def test_a_tag_that_is_taken_back_at_once_is_a_lost_race(ecr: "ECRClient") -> None:
    older, newer = build(ecr, "a", "latest"), build(ecr, "b")

    def take_back(call: int) -> None:
        if call == 3:
            move(on(Wire(ecr)), older, "latest", allow_older=True)

    with pytest.raises(RefusedError, match=f"on {older}.*somebody has moved it back"):
        move(on(Wire(ecr, after=take_back)), newer, "latest")


# --- Faults ---------------------------------------------------------------------------------------


def faulty(ecr: "ECRClient", moment: str, at: int) -> Wire:
    """A client that loses its connection at one call: before it, or before the answer to it."""

    def lose(number: int) -> None:
        if number == at:
            raise EndpointConnectionError(endpoint_url="https://ecr")

    return Wire(ecr, before=lose) if moment == "before" else Wire(ecr, after=lose)


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
        assert on(Wire(ecr)).image("latest") is None
    again = move(on(Wire(ecr)), newer, "latest")
    assert again.moved is not put
    assert place(ecr, "latest") == newer
    assert {tag("merged", "a"), tag("merged", "b")} <= {
        name for image in on(Wire(ecr)).images() for name in image.tags
    }


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("at", range(1, 11))
def test_a_promotion_goes_on_where_it_was_interrupted(
    ecr: "ECRClient", at: int, moment: str
) -> None:
    build(ecr, "a", "latest")
    newer = build(ecr, "b")
    wire = faulty(ecr, moment, at)
    with suppress(EndpointConnectionError):
        promote(on(wire), newer, "prod", movable=["latest"])
        assert (len(wire.calls), at) == (9, 10)  # a promotion has nine calls
    done = promote(on(Wire(ecr)), newer, "prod", movable=["latest"])
    assert place(ecr, "latest") == place(ecr, done.tag) == newer
    image = on(Wire(ecr)).image(newer)
    assert image is not None
    assert [name for name in image.tags if name.startswith("prod-")] == [done.tag]


# --- Two movers -----------------------------------------------------------------------------------


class Turns:
    """Lets two threads make their calls in a given order."""

    def __init__(self, order: tuple[int, ...]) -> None:
        self._order = list(order)
        self._turn = threading.Condition()

    def take(self, mover: int) -> None:
        with self._turn:
            if not self._turn.wait_for(lambda: self._order[:1] == [mover], timeout=10):
                raise TimeoutError(f"mover {mover} never had its turn")

    def give(self) -> None:
        with self._turn:
            self._order.pop(0)
            self._turn.notify_all()

    def leave(self, mover: int) -> None:
        """A mover that is refused, or done, needs no more turns."""
        with self._turn:
            self._order = [turn for turn in self._order if turn != mover]
            self._turn.notify_all()


def run_both(
    ecr: "ECRClient", movers: list[Callable[[Wire], Move]], order: tuple[int, ...]
) -> list[object]:
    """What each mover came to, a Move or what it raised."""
    turns = Turns(order)
    results: list[object] = [None, None]

    def run(number: int) -> None:
        wire = Wire(ecr, before=lambda _: turns.take(number), after=lambda _: turns.give())
        try:
            results[number] = movers[number](wire)
        except Exception as error:  # noqa: BLE001 the test looks at whatever it is
            results[number] = error
        turns.leave(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def orders() -> Iterator[tuple[int, ...]]:
    """Of two movers' four calls each: it makes no difference which of them begins.

    The second call, which reads a manifest, comes right after the first: nobody changes that.
    """
    for turns in combinations(range(1, 6), 2):
        order = [0 if turn in (0, *turns) else 1 for turn in range(6)]
        other = order.index(1)
        yield (0, *order[:other], 1, *order[other:])


EVERY_ORDER = [*orders()]


def test_of_two_movers_the_last_to_put_wins_and_whoever_lost_is_told(ecr: "ECRClient") -> None:
    for order in EVERY_ORDER:
        name = "forms-" + "".join(map(str, order))
        ecr.create_repository(repositoryName=name)
        build(ecr, "a", "latest", name=name)
        targets = [build(ecr, letter, name=name) for letter in "bc"]

        def mover(target: str, name: str = name) -> Callable[[Wire], Move]:
            return lambda wire: move(on(wire, name), target, "latest", allow_older=True)

        results = run_both(ecr, [mover(target) for target in targets], order)
        # Of each mover's calls the third is the put, and the fourth reads it back.
        puts, reads = (
            [
                [turn for turn, mover in enumerate(order) if mover == number][call]
                for number in (0, 1)
            ]
            for call in (2, 3)
        )
        assert place(ecr, "latest", name) == targets[0 if puts[0] > puts[1] else 1], order
        for mine, other in ((0, 1), (1, 0)):
            result = results[mine]
            if puts[mine] < puts[other] < reads[mine]:
                assert isinstance(result, RefusedError), order
                assert f"is now on {targets[other]}" in str(result), order
            else:
                assert isinstance(result, Move), (order, result)
                assert result.after.digest == targets[mine], order


def test_two_movers_to_the_same_image_are_both_done_and_one_of_them_moved_it(
    ecr: "ECRClient",
) -> None:
    for order in EVERY_ORDER:
        name = "forms-" + "".join(map(str, order))
        ecr.create_repository(repositoryName=name)
        build(ecr, "a", "latest", name=name)
        newer = build(ecr, "b", name=name)

        def mover(wire: Wire, name: str = name, newer: str = newer) -> Move:
            return move(on(wire, name), newer, "latest")

        results = run_both(ecr, [mover, mover], order)
        assert place(ecr, "latest", name) == newer, order
        moves = [result for result in results if isinstance(result, Move)]
        assert len(moves) == 2, (order, results)
        assert sorted(done.moved for done in moves) == [False, True], order


# --- A promotion ----------------------------------------------------------------------------------


def test_an_image_is_promoted_through_all_stages(ecr: "ECRClient", repository: Repository) -> None:
    build(ecr, "a", "latest")
    digest = build(ecr, "b")
    before = int(datetime.now(UTC).timestamp())
    staged = promote(repository, tag("merged", "b"), "stg")
    assert (staged.digest, staged.added, staged.moves) == (digest, True, ())
    assert place(ecr, "latest") != digest
    produced = promote(repository, staged.tag, "prod", movable=["latest"])
    assert place(ecr, "latest") == digest
    assert [done.moved for done in produced.moves] == [True]
    for done, stage in ((staged, "stg"), (produced, "prod")):
        unique_tag = ADR040.read(done.tag)
        assert unique_tag
        assert unique_tag.epoch
        assert (unique_tag.stage, unique_tag.sha) == (stage, sha("b"))
        assert before <= unique_tag.epoch <= datetime.now(UTC).timestamp()


@pytest.mark.parametrize("movable", [["stable"], []])
def test_a_promotion_can_be_tried_dry(
    ecr: "ECRClient", repository: Repository, movable: list[str]
) -> None:
    older, newer = build(ecr, "a", "stable"), build(ecr, "b")
    before = list(repository.images())
    done = promote(repository, newer, "prod", movable=movable, dry_run=True)
    assert list(repository.images()) == before
    assert place(ecr, "stable") == older
    assert (done.digest, done.added, done.missing, done.dry_run) == (newer, False, True, True)
    assert done.tag.startswith(f"prod-{sha('b')}-")
    assert [(would.tag, would.moved, would.dry_run) for would in done.moves] == [
        (name, False, True) for name in movable
    ]
    move(repository, newer, tag("prod", "b"))
    assert not promote(repository, newer, "prod", dry_run=True).missing
    move(repository, newer, "stable")
    with pytest.raises(RefusedError, match="was built"):
        promote(repository, older, "prod", movable=["stable"], dry_run=True)


def test_an_image_of_unknown_commit_is_not_promoted(
    ecr: "ECRClient", repository: Repository
) -> None:
    digest = push(ecr, '{"mediaType": "x"}', "v1")
    with pytest.raises(RefusedError, match="none with its commit"):
        promote(repository, digest, "stg")
    torn = build(ecr, "a", tag("merged", "b"))
    with pytest.raises(RefusedError, match="disagree"):
        promote(repository, torn, "stg")
    assert [image.tags for image in repository.images() if image.digest == digest] == [("v1",)]


def test_two_builds_of_one_commit_in_one_second_get_no_common_tag(
    ecr: "ECRClient", repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Second(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls(2026, 11, 24, 12, tzinfo=tz)

    monkeypatch.setattr(moves, "datetime", Second)
    first = build(ecr, "a")
    second = push(ecr, '{"mediaType": "x"}', f"pr-1-{sha('a')}-1764000000")
    promoted = promote(repository, first, "prod")
    with pytest.raises(RefusedError, match=rf"{promoted.tag} of .* already.*run the command again"):
        promote(repository, second, "prod")
    assert place(ecr, promoted.tag) == first
