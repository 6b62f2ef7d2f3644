from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.stub import Stubber

from container_images.aws.errors import RefusedError
from container_images.aws.image import Image
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.aws.trail import NoTrailError
from container_images.policies.tag_convention import ADR040
from container_images.tags.rollback import next_older, place_before, rollback
from tests.builds import NAME, build, place, tag

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient


def seen(*places: str) -> Callable[[], Sequence[str]]:
    return lambda: list(places)


def unseen() -> Sequence[str]:
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


def test_a_tag_goes_back_to_where_cloudtrail_saw_it_before(
    ecr: "ECRClient", repository: Repository
) -> None:
    first, second = build(ecr, "a"), build(ecr, "b", "latest")
    done = rollback(repository, "latest", seen(first, second))
    assert place(ecr, "latest") == first
    assert (done.basis, done.notes) == ("cloudtrail", ())
    assert done.move.moved
    assert done.move.before is not None
    assert (done.move.before.digest, done.move.after.digest) == (second, first)


def test_another_rollback_goes_on_behind_the_first(
    ecr: "ECRClient", repository: Repository
) -> None:
    places = [build(ecr, "a"), build(ecr, "b"), build(ecr, "c", "latest")]
    for target in (places[1], places[0]):
        rollback(repository, "latest", seen(*places))
        assert place(ecr, "latest") == target
        places.append(target)
    with pytest.raises(RefusedError, match="it is not known where latest"):
        rollback(repository, "latest", seen(*places))


def test_that_cloudtrail_is_late_is_said(ecr: "ECRClient", repository: Repository) -> None:
    first, second = build(ecr, "a"), build(ecr, "b")
    third = build(ecr, "c", "latest")
    done = rollback(repository, "latest", seen(first, second))
    assert place(ecr, "latest") == second
    assert done.basis == "cloudtrail"
    [note] = done.notes
    assert f"on {second} last, and it is on {third} now" in note
    assert "late" in note


def test_a_rollback_that_cloudtrail_has_not_seen_yet_is_not_undone(
    ecr: "ECRClient", repository: Repository
) -> None:
    places = [build(ecr, letter, *["latest"] * (letter == "b")) for letter in "abc"]
    done = rollback(repository, "latest", seen(*places))
    assert place(ecr, "latest") == places[0]
    assert done.notes


def test_a_tag_that_was_deleted_goes_back_to_its_last_place(
    ecr: "ECRClient", repository: Repository
) -> None:
    first, second = build(ecr, "a"), build(ecr, "b")
    done = rollback(repository, "latest", seen(first, second))
    assert place(ecr, "latest") == second
    assert done.move.before is None
    assert done.notes


# --- By the unique tags ---------------------------------------------------------------------------


def test_without_cloudtrail_the_next_older_tag_of_the_stage_decides(
    ecr: "ECRClient", repository: Repository
) -> None:
    build(ecr, "a", tag("prod", "a"))
    second = build(ecr, "b", tag("prod", "b"))
    build(ecr, "c", tag("stg", "c"))  # never in production
    build(ecr, "d", tag("prod", "d"), "latest")
    build(ecr, "e", tag("prod", "e"))
    done = rollback(repository, "latest", unseen)
    assert place(ecr, "latest") == second
    assert done.basis == "tags"
    assert done.notes == ("the unique tags decided: nobody may look",)


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
    images = [late, early, current]
    assert next_older(ADR040, current, images) == late
    assert next_older(ADR040, late, images) == early
    assert next_older(ADR040, early, images) is None


def test_without_a_unique_tag_there_is_no_older_one() -> None:
    assert next_older(ADR040, image("1", "latest"), [image("2", tag("prod", "a"))]) is None


def test_where_nothing_tells_nothing_moves(ecr: "ECRClient", repository: Repository) -> None:
    digest = build(ecr, "a", "latest")
    with pytest.raises(RefusedError, match=r"nobody may look, or name the image with --to"):
        rollback(repository, "latest", unseen)
    assert place(ecr, "latest") == digest
    with pytest.raises(RefusedError, match="it is not known where next"):
        rollback(repository, "next", unseen)


# --- As given -------------------------------------------------------------------------------------


def test_a_given_image_is_gone_back_to_without_asking_cloudtrail(
    ecr: "ECRClient", repository: Repository
) -> None:
    first = build(ecr, "a")
    build(ecr, "b", "latest")
    done = rollback(repository, "latest", unseen, to=first)
    assert place(ecr, "latest") == first
    assert (done.basis, done.notes) == ("given", ())


def test_a_dry_run_moves_nothing(ecr: "ECRClient", repository: Repository) -> None:
    first, second = build(ecr, "a"), build(ecr, "b", "latest")
    done = rollback(repository, "latest", seen(first, second), dry_run=True)
    assert place(ecr, "latest") == second
    assert (done.move.moved, done.move.dry_run, done.move.after.digest) == (False, True, first)


# --- Targets that will not do ---------------------------------------------------------------------


def test_an_image_that_is_gone_is_refused(ecr: "ECRClient", repository: Repository) -> None:
    second = build(ecr, "b", "latest")
    gone = f"sha256:{'0' * 64}"
    with pytest.raises(RefusedError, match=f"{gone}.*is gone.*name another image with --to"):
        rollback(repository, "latest", seen(gone, second))
    assert place(ecr, "latest") == second


def test_an_archived_image_is_refused() -> None:
    first, second = (f"sha256:{letter * 64}" for letter in "01")
    current = {"imageDigest": second, "imageTags": ["latest", tag("prod", "b")]}
    archived = {"imageDigest": first, "imageTags": [tag("prod", "a")], "imageStatus": "ARCHIVED"}
    client = boto3.client("ecr")
    with Stubber(client) as stub:
        stub.add_response("describe_images", {"imageDetails": [current]})
        stub.add_response("describe_images", {"imageDetails": [current, archived]})
        with pytest.raises(RefusedError, match=f"{first}.*is archived"):
            rollback(Repository(client, Reference(name=NAME)), "latest", seen(first, second))


def test_a_tag_that_moves_meanwhile_is_left_where_it_is(
    ecr: "ECRClient", repository: Repository
) -> None:
    first = build(ecr, "a")
    second = build(ecr, "b", "latest")

    def slow() -> Sequence[str]:
        build(ecr, "c", "latest")
        return [first, second]

    with pytest.raises(RefusedError, match=f"not on the expected {second}"):
        rollback(repository, "latest", slow)
    assert place(ecr, "latest") == place(ecr, tag("merged", "c"))
