from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from container_images.aws.errors import RefusedError
from container_images.aws.image import Image
from container_images.aws.images import Repository
from container_images.aws.trail import DELETE, PUT, NoTrailError, Record
from container_images.policies.tag_convention import ADR040
from container_images.tags.rollback import Puts, next_older, place_before, rollback
from tests.builds import build, place, tag
from tests.events import PIPELINE

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient


MARY = "arn:aws:iam::123456789012:role/mary"


def record(digest: str, principal: str = PIPELINE, tag: str = "latest", **parts: Any) -> Record:
    parts = {"event": PUT, "session": None, "error": None} | parts
    time = datetime(2026, 11, 20, tzinfo=UTC)
    return Record(time=time, principal=principal, tags=frozenset({tag}), put=digest, **parts)


def seen(*places: str | Record) -> Callable[[], Puts]:
    """CloudTrail with these puts of latest, by the pipeline where it says nobody else."""
    records = [record(place) if isinstance(place, str) else place for place in places]
    return lambda: Puts(records=records, pipeline_roles=frozenset({PIPELINE}))


def unseen() -> Puts:
    raise NoTrailError("nobody may look")


# --- By CloudTrail --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("places", "before"),
    [
        ("", None),
        ("a", None),
        ("aa", None),
        ("ab", "a"),
        ("abb", "a"),
        ("aab", "a"),
        ("abc", "b"),
        # Rolled back, once, twice, and all the way.
        ("abcb", "a"),
        ("abcba", None),
        ("abca", None),
        # On again after that: what was rolled back from is not gone back to.
        ("abcbd", "b"),
        ("abad", "a"),
        ("abab", "a"),
        ("abcad", "a"),
    ],
)
def test_the_place_before_is_behind_the_last_one(places: str, before: str | None) -> None:
    assert place_before(list(places)) == before


@pytest.mark.parametrize(
    ("puts", "now", "target"),
    [
        ("ab", "c", "b"),
        ("abc", "b", "a"),  # a rollback that CloudTrail does not have yet is not undone
        ("ab", "", "b"),  # the tag was deleted
    ],
)
def test_that_cloudtrail_is_late_is_said(
    ecr: "ECRClient", repository: Repository, puts: str, now: str, target: str
) -> None:
    digests = {letter: build(ecr, letter, *["latest"] * (letter == now)) for letter in "abc"}
    done = rollback(repository, "latest", seen(*(digests[letter] for letter in puts)))
    assert place(ecr, "latest") == digests[target]
    assert done.basis == "cloudtrail"
    [note] = done.notes
    assert f"on {digests[puts[-1]]} last, and it is on {digests.get(now, 'no image')} now" in note
    assert "late" in note


# --- What others put ------------------------------------------------------------------------------


def test_where_somebody_else_put_the_tag_is_no_place_to_go_back_to(
    ecr: "ECRClient", repository: Repository
) -> None:
    good, bad = build(ecr, "a"), build(ecr, "b")
    build(ecr, "c", "latest")
    places = seen(good, record(bad, MARY), place(ecr, "latest"))
    done = rollback(repository, "latest", places, dry_run=True)
    assert (done.basis, done.move.after.digest) == ("cloudtrail", good)
    [note] = done.notes
    assert note == (
        f"skipped {bad}: {MARY}, which is no pipeline role, put latest on it at "
        "2026-11-20 00:00:00 UTC; --to goes there all the same"
    )
    rollback(repository, "latest", places, to=bad)
    assert place(ecr, "latest") == bad


@pytest.mark.parametrize(
    ("puts", "target"),
    [
        ("a M:b M:c d", "a"),
        ("a M:b", "a"),  # the present image is the attacker's
        ("M:a b c", "b"),
        ("a b M:a c", "b"),  # rolled back by somebody else
        ("a b M:a a c", "a"),
        ("M:a b", None),
        ("?:a b", None),
    ],
)
def test_places_of_others_are_skipped(
    ecr: "ECRClient", repository: Repository, puts: str, target: str | None
) -> None:
    digests = {letter: build(ecr, letter, *["latest"] * (letter == puts[-1])) for letter in "abcd"}
    principals = {"M": MARY, "?": "444455556666", "": PIPELINE}
    placed = [written.rpartition(":") for written in puts.split()]
    places = seen(*(record(digests[letter], principals[who]) for who, _, letter in placed))
    if target is None:
        with pytest.raises(RefusedError, match=r"it is not known where latest .*\(skipped sha256"):
            rollback(repository, "latest", places)
    else:
        assert rollback(repository, "latest", places).move.after.digest == digests[target]


def test_without_a_guard_everybodys_places_count(ecr: "ECRClient", repository: Repository) -> None:
    first, second = build(ecr, "a"), build(ecr, "b", "latest")
    puts = Puts(records=[record(first, MARY), record(second)])
    done = rollback(repository, "latest", lambda: puts)
    assert (done.move.after.digest, done.notes) == (first, ())


def test_the_tags_do_not_lead_to_an_image_that_only_others_put(
    ecr: "ECRClient", repository: Repository
) -> None:
    good = build(ecr, "a", tag("prod", "a"))
    bad = build(ecr, "b", tag("prod", "b"))
    build(ecr, "c", tag("prod", "c"), "latest")
    puts = seen(record(bad, MARY, tag("prod", "b")), record(good, MARY), record(good, tag="x"))
    done = rollback(repository, "latest", puts, dry_run=True)
    assert (done.basis, done.move.after.digest) == ("tags", good)


def test_only_puts_that_were_done_count() -> None:
    puts = Puts(
        records=[
            record("a"),
            record("b", error="AccessDenied"),
            record("b", tag="prod"),
            record("c", event=DELETE),
            record("c"),
        ]
    )
    assert [put.put for put in puts.of("latest")] == ["a", "c"]


# --- By the unique tags ---------------------------------------------------------------------------


def test_what_cloudtrail_does_not_reach_the_tags_do(
    ecr: "ECRClient", repository: Repository
) -> None:
    first = build(ecr, "a", tag("prod", "a"))
    second = build(ecr, "b", tag("prod", "b"), "latest")
    for places in (seen(), seen(second)):
        done = rollback(repository, "latest", places, dry_run=True)
        assert (done.basis, done.move.after.digest) == ("tags", first)
        assert "no image that latest was on before the present one" in done.notes[0]


def image(letter: str, *tags: str) -> Image:
    return Image(digest=letter, tags=tags)


def test_the_next_older_is_told_by_the_time_of_the_stage_and_not_of_the_build() -> None:
    late = image("1", tag("merged", "a"), tag("prod", "a", 500))
    early = image("2", tag("merged", "b"), tag("prod", "b"))
    current = image("3", tag("prod", "c", 500))
    never_in_production = image("4", tag("merged", "c"), tag("stg", "c"))
    images = [late, early, current, never_in_production]
    assert next_older(ADR040, current, images) == late
    assert next_older(ADR040, late, images) == early
    assert next_older(ADR040, early, images) is None
    assert next_older(ADR040, image("5", "latest"), images) is None


def test_where_nothing_tells_nothing_moves(ecr: "ECRClient", repository: Repository) -> None:
    digest = build(ecr, "a", "latest")
    with pytest.raises(RefusedError, match=r"nobody may look, or name the image with --to"):
        rollback(repository, "latest", unseen)
    assert place(ecr, "latest") == digest
    with pytest.raises(RefusedError, match="it is not known where next"):
        rollback(repository, "next", unseen)


# --- Targets that will not do ---------------------------------------------------------------------


def test_an_image_that_is_gone_is_refused(ecr: "ECRClient", repository: Repository) -> None:
    second = build(ecr, "b", "latest")
    gone = f"sha256:{'0' * 64}"
    with pytest.raises(RefusedError, match=f"{gone}.*is gone.*name another image with --to"):
        rollback(repository, "latest", seen(gone, second))
    assert place(ecr, "latest") == second


def test_a_tag_that_moves_meanwhile_is_left_where_it_is(
    ecr: "ECRClient", repository: Repository
) -> None:
    first = build(ecr, "a")
    second = build(ecr, "b", "latest")

    def slow() -> Puts:
        build(ecr, "c", "latest")
        return seen(first, second)()

    with pytest.raises(RefusedError, match=f"not on the expected {second}"):
        rollback(repository, "latest", slow)
    assert place(ecr, "latest") == place(ecr, tag("merged", "c"))
