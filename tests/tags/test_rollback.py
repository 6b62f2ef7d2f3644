from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from container_images.aws.errors import RefusedError
from container_images.aws.image import Image
from container_images.aws.images import Repository
from container_images.aws.trail import PUT, Record
from container_images.policies.tag_convention import ADR040, TagConvention
from container_images.tags.rollback import Puts, next_older, place_before, rollback
from tests.builds import ECRClient, build, digest_of, manifest, place, put_lifecycle, sha, tag
from tests.events import PIPELINE
from tests.lifecycle.documents import ANY, LATEST, count, policy, tagged
from tests.tags.test_moves import HASHES, SEMVER

MARY = "arn:aws:iam::123456789012:role/mary"
KINDS: dict[str, dict[str, Any]] = {
    "": {},
    "M": {"principal": MARY},
    "M-stable": {"principal": MARY, "tags": frozenset({"stable"})},
    "?": {"principal": "444455556666"},
    "refused": {"error": "AccessDenied"},
    "stable": {"tags": frozenset({"stable"})},
}


def seen(puts: str, roles: Sequence[str] = (PIPELINE,)) -> Callable[[], Puts]:
    """CloudTrail with puts of builds, such as `a M:b`: of latest by the pipeline, then by mary."""
    records = []
    for kind, _, letter in (put.rpartition(":") for put in puts.split()):
        parts = {"principal": PIPELINE, "error": None, "tags": frozenset({"latest"}), **KINDS[kind]}
        time, put = datetime(2026, 11, 20, tzinfo=UTC), digest_of(manifest(letter))
        records.append(Record(time=time, event=PUT, session=None, put=put, **parts))
    return lambda: (records, roles)


def unseen() -> Puts:
    raise RefusedError("nobody may look")


def rolled_back(
    repository: Repository, puts: Callable[[], Puts], **options: Any
) -> tuple[str, str, list[str]]:
    """The image that latest was put on, what told it, and the notes."""
    notes: list[str] = []
    moved = rollback(repository, "latest", puts, notes.append, **options)
    return moved["to"]["digest"], moved["basis"], notes


@pytest.mark.parametrize(
    ("places", "before"),
    [
        ("", None),
        ("aa", None),
        ("ab", "a"),
        ("abb", "a"),
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
        ("a b", "c", "b"),
        ("a b c", "b", "a"),  # a rollback that CloudTrail does not have yet is not undone
        ("a b", "", "b"),  # the tag was deleted
    ],
)
def test_that_cloudtrail_is_late_is_said(
    ecr: ECRClient, repository: Repository, puts: str, now: str, target: str
) -> None:
    digests = {letter: build(ecr, letter, *["latest"] * (letter == now)) for letter in "abc"}
    *done, [note] = rolled_back(repository, seen(puts))
    assert done == [place(ecr, "latest"), "cloudtrail"] == [digests[target], "cloudtrail"]
    assert f"on {digests[puts[-1]]} last, and it is on {digests.get(now, 'no image')} now" in note


@pytest.mark.parametrize(
    ("puts", "target"),
    [
        ("a M:b M:c d", "a"),
        ("a M:b", "a"),  # the present image is the attacker's
        ("M:a b c", "b"),
        ("a b M:a c", "b"),  # rolled back by somebody else
        ("a b M:a a c", "a"),
        ("a b M:a", "b"),  # back to an older image, by somebody else
        ("M:a b", None),
        ("?:a b", None),
        ("a refused:b stable:b c", "a"),  # only puts of the tag that were done count
    ],
)
def test_where_somebody_else_put_the_tag_is_no_place_to_go_back_to(
    ecr: ECRClient, repository: Repository, puts: str, target: str | None
) -> None:
    digests = {letter: build(ecr, letter, *["latest"] * (letter == puts[-1])) for letter in "abcd"}
    if target is None:
        with pytest.raises(RefusedError, match="it is not known where latest"):
            rolled_back(repository, seen(puts))
    else:
        assert rolled_back(repository, seen(puts))[0] == digests[target]


def test_a_skipped_place_is_noted_and_to_goes_there(ecr: ECRClient, repository: Repository) -> None:
    good, bad = build(ecr, "a"), build(ecr, "b")
    build(ecr, "c", "latest")
    *done, [note] = rolled_back(repository, seen("a M:b c"), dry_run=True)
    assert done == [good, "cloudtrail"]
    assert note == (
        f"skipped {bad}: {MARY}, which is no pipeline role, put latest on it at "
        "2026-11-20 00:00:00 UTC; --to goes there all the same"
    )
    # Without a guard everybody's places count.
    assert rolled_back(repository, seen("M:b c", roles=()), dry_run=True)[0] == bad
    assert rolled_back(repository, seen("a M:b c"), to=bad) == (bad, "given", [])
    assert place(ecr, "latest") == bad


def test_what_cloudtrail_does_not_reach_the_tags_do(ecr: ECRClient, repository: Repository) -> None:
    good, *_ = (build(ecr, letter, tag("prod", letter)) for letter in "ab")
    build(ecr, "c", tag("prod", "c"), "latest")
    # But they do not lead to an image that only others put.
    puts = seen("M-stable:b M-stable:a stable:a c")
    *done, [note] = rolled_back(repository, puts, dry_run=True)
    assert done == [good, "tags"]
    assert "no image that latest was on before the present one" in note
    assert rolled_back(repository, unseen, dry_run=True)[2][0].endswith("nobody may look")


LATE, EARLY = f"{tag('merged', 'a')} {tag('prod', 'a', 500)}", tag("prod", "b")
CURRENT, STAGED = tag("prod", "c", 500), tag("stg", "c")


@pytest.mark.parametrize(
    ("by", "images", "current", "older"),
    [
        # By the time of the stage, and not of the build; and among images of the stage.
        (ADR040, [LATE, EARLY, CURRENT, STAGED], CURRENT, LATE),
        (ADR040, [LATE, EARLY, CURRENT, STAGED], LATE, EARLY),
        (ADR040, [LATE, EARLY, CURRENT, STAGED], EARLY, None),
        (ADR040, [LATE, "latest"], "latest", None),
        (SEMVER, ["v1.11.0", "v1.10.0", "v1.9.0"], "v1.11.0", "v1.10.0"),
        (SEMVER, ["v1.1.0", "v1.1.1-rc.1", "v1.1.1"], "v1.1.1", "v1.1.0"),  # to a release
        # Where tags tell no age, the next older was pushed before.
        (HASHES, [sha("c"), sha("a"), sha("b")], sha("b"), sha("a")),
        (HASHES, [sha("c"), sha("a"), sha("b")], sha("c"), None),
    ],
)
def test_what_a_rollback_by_tags_goes_to(
    by: TagConvention, images: list[str], current: str, older: str | None
) -> None:
    known = {}
    for day, tags in enumerate(images, 1):
        pushed_at = datetime(2026, 11, day, tzinfo=UTC)
        known[tags] = Image(digest=tags, tags=tuple(tags.split()), pushed_at=pushed_at)
    assert next_older(by, known[current], known.values()) == (known[older] if older else None)


def test_where_nothing_tells_nothing_moves(ecr: ECRClient, repository: Repository) -> None:
    build(ecr, "a", "latest")
    with pytest.raises(RefusedError, match=r"nobody may look; name the image with --to"):
        rollback(repository, "latest", unseen)


def test_an_image_that_is_gone_is_refused(ecr: ECRClient, repository: Repository) -> None:
    build(ecr, "b", "latest")
    with pytest.raises(RefusedError, match=r"sha256:.*is gone.*name another image with --to"):
        rollback(repository, "latest", seen("a b"))


def test_a_tag_that_moves_meanwhile_is_left_where_it_is(
    ecr: ECRClient, repository: Repository
) -> None:
    build(ecr, "a")
    second = build(ecr, "b", "latest")

    def slow() -> Puts:
        build(ecr, "c", "latest")
        return seen("a b")()

    with pytest.raises(RefusedError, match=f"not on the expected {second}"):
        rollback(repository, "latest", slow)


MERGED = tagged("merged-*")


def test_rollback_refuses_an_image_that_is_about_to_go(
    ecr: ECRClient, repository: Repository
) -> None:
    # Pushed within a second: then the image with the lower digest is the one that goes.
    before, latest = build(ecr, "b"), build(ecr, "a", "latest")
    for selections in ((LATEST, MERGED | count(1)), (ANY | count(1),)):
        put_lifecycle(ecr, policy(*selections))
        refusal = rf"will not be kept: rule {len(selections)} \(.*\) of.*move --allow-older"
        with pytest.raises(RefusedError, match=refusal):
            rollback(repository, "latest", seen("b a"))
        with pytest.raises(RefusedError, match="will not be kept"):
            rollback(repository, "latest", seen(""), to=before)
    assert place(ecr, "latest") == latest
    put_lifecycle(ecr, policy(LATEST, MERGED | count(2)))
    assert rolled_back(repository, seen("b a")) == (before, "cloudtrail", [])
    assert place(ecr, "latest") == before


def test_rollback_says_where_it_cannot_know(
    ecr: ECRClient, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, _ = build(ecr, "b"), build(ecr, "a", "latest")
    monkeypatch.setattr("container_images.tags.rollback.expiry_of", lambda *_: unseen())
    *_, [note] = rolled_back(repository, seen("b a"))
    unknown_expiry = f"it is not known whether the lifecycle policy would keep {before}"
    assert note == f"{unknown_expiry}: nobody may look"
    assert place(ecr, "latest") == before
