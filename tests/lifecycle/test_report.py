"""What the report says, and what it warns of."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from container_images.aws.image import Image
from container_images.aws.in_use import InUse
from container_images.lifecycle.document import rules_in
from container_images.lifecycle.in_use import read_in_use
from container_images.lifecycle.listing import RepositoryImages, subject_of
from container_images.lifecycle.report import Report, examine, movable_tags_of
from tests.lifecycle.documents import (
    ANY,
    ARCHIVE,
    EXPIRE_ARCHIVED,
    INDEX,
    LATEST,
    NOW,
    UNTAGGED,
    archiving,
    count,
    image,
    images,
    older,
    policy,
    prefixed,
    rule,
    tagged,
)

HERE = RepositoryImages(
    images=(), name="forms-admin-deploy", registry_id="111122223333", region="eu-west-2"
)


def examined(document: Any, *listed: Image, in_use: Sequence[str] = (), **more: Any) -> Report:
    used = InUse(uses=read_in_use("\n".join(in_use))) if in_use else None
    rules = rules_in(document) if document else ()
    return examine(rules, replace(HERE, images=listed), NOW, used, **more)


def warned(report: Report, kind: str) -> list[tuple[int | None, str]]:
    """Rules and texts of the warnings of a kind."""
    return [
        (warning.rule.priority if warning.rule else None, warning.text)
        for warning in report.warnings
        if warning.kind == kind
    ]


def test_bytes() -> None:
    """An index has none of its own, and those in the archive are not freed."""
    listed = [
        image("index", days=9, media_type=INDEX, size=70, children=("1",)),
        image("1", days=9, size=70),
    ]
    freed = examined(policy(UNTAGGED | older(1)), *listed).totals()
    assert (freed["expire"], freed["bytesFreed"]) == (2, 70)
    archived = examined(archiving(ANY | older(1)), *listed).totals()
    assert (archived["archive"], archived["bytesFreed"], archived["bytesArchived"]) == (2, 0, 70)


# --- Images in use --------------------------------------------------------------------------------

OLD, ANOTHER, STAYS = (f"sha256:{letter * 64}" for letter in "abc")
USED = image(OLD, "prod-1", days=9)
URI = "111122223333.dkr.ecr.eu-west-2.amazonaws.com/forms-admin-deploy"
OTHER_ACCOUNT = URI.replace("111122223333", "444455556666")
GOING = "in-use-going", "{} is in use, and rule 1 (tags *) would expire it"
MISSING = "in-use-missing", "{} is in use, but there is no such image"


@pytest.mark.parametrize(
    ("expected", "references"),
    [
        (GOING, [OLD, "prod-1", "forms-admin-deploy:prod-1", f"forms-admin-deploy:other@{OLD}"]),
        (GOING, [f"{URI}:prod-1", f"{URI}@{OLD}"]),
        (GOING, [f"docker-pullable://{URI.replace('amazonaws.com', 'on.aws')}@{OLD}"]),
        (MISSING, ["forms-admin-deploy", "forms-admin-deploy:gone", f"{URI}@{ANOTHER}"]),
        # Elsewhere.
        (None, ["forms-runner-deploy:prod-1", "team/forms-admin-deploy:prod-1", ANOTHER]),
        (None, [f"{OTHER_ACCOUNT}:prod-1", f"{OTHER_ACCOUNT}:gone"]),
        (None, [f"{URI.replace('eu-west-2', 'us-east-1')}@{OLD}", f"{URI}@{STAYS}"]),
    ],
)
def test_an_image_in_use(expected: tuple[str, str] | None, references: list[str]) -> None:
    document = policy(tagged("*") | older(7))
    for written in references:
        report = examined(document, USED, image(STAYS, days=9), in_use=[written, written])
        warnings = {warning.kind: warning.text for warning in report.warnings}
        in_use = {kind: text for kind, text in warnings.items() if kind.startswith("in-use")}
        assert in_use == ({expected[0]: expected[1].format(written)} if expected else {})
        assert [loss.digests for loss in report.losses] == [(OLD,)] * (expected is GOING)


def test_without_a_tag_latest_is_in_use() -> None:
    document, latest = policy(tagged("*") | older(7)), image(OLD, "latest", days=9)
    report = examined(document, latest, in_use=["forms-admin-deploy"])
    assert [loss.kind for loss in report.losses] == ["in-use-going", "movable-tag-going"]


def test_references_are_taken_as_they_are_where_the_repository_has_no_name() -> None:
    in_use = InUse(uses=read_in_use("a/b:prod-1\na/b:gone"))
    rules = rules_in(policy(tagged("*") | older(7)))
    report = examine(rules, RepositoryImages(images=(USED,)), NOW, in_use)
    assert [loss.kind for loss in report.losses] == ["in-use-going"]


def test_who_uses_an_image_and_what_is_not_known() -> None:
    [use] = read_in_use(OLD)
    uses = [replace(use, by=by) for by in ("service/b", "service/a", "service/c", "service/a")]
    rules, repository = rules_in(policy(ANY | older(7))), RepositoryImages(images=(USED,))
    report = examine(rules, repository, NOW, InUse(uses=uses, unknown={"a": "no permission"}))
    assert [loss.text for loss in report.losses] == [
        "it is not known what else is in use: no permission",
        f"{OLD} is in use by service/a and 2 more, and rule 1 (any image) would expire it",
    ]


# --- Movable tags ---------------------------------------------------------------------------------


def test_a_movable_tag_s_image_that_would_go() -> None:
    for action, document in (("expire", policy), ("archive", archiving)):
        written = document(ANY | older(7))
        [loss] = examined(written, image("1", "latest", days=9)).losses
        text = f"latest is on an image that rule 1 (any image) would {action}"
        assert (loss.kind, loss.text, loss.digests) == ("movable-tag-going", text, ("1",))
        assert not examined(written, image("1", "late", days=9)).losses


@pytest.mark.parametrize(
    ("document", "takers"),
    [
        (policy(LATEST), []),
        (policy(LATEST, ANY | count(1)), []),
        (policy(tagged("latest") | count(100), ANY | count(1)), []),
        (policy(tagged("latest", "*") | count(1), ANY | count(1)), []),
        (policy(tagged("stable") | count(1), LATEST, ANY | count(1)), []),
        (policy(UNTAGGED | older(1)), []),
        (policy(EXPIRE_ARCHIVED), []),
        # The traps.
        (policy(ANY | count(9)), [1]),
        (policy(tagged("prod-*") | count(1), LATEST), [1]),
        (policy(prefixed("latest") | count(1)), [1]),
        (policy(tagged("latest*") | count(1)), [1]),
        (policy(tagged("latest") | older(9)), [1]),
        (policy(tagged("latest", "prod-*") | count(1), tagged("prod-*") | count(1)), [2]),
        (policy(tagged("stable") | count(1), ANY | count(1)), [2]),
        ({"rules": [rule(8, ANY | count(1)), rule(5, UNTAGGED | count(1))]}, [8]),
    ],
)
def test_a_movable_tag_without_a_shield(document: dict[str, Any], takers: list[int]) -> None:
    unshielded = warned(examined(document), "movable-tag-unshielded")
    assert [number for number, _ in unshielded] == takers
    for _, text in unshielded:
        assert 'write a protective rule, with "tagPatternList": ["latest"]' in text


@pytest.mark.parametrize(
    ("tags", "days", "names"),
    [
        ("latest", 9, "latest"),
        ("latest stable", 9, "latest and stable"),
        ("latest", 6, ""),
        ("latest prod-1", 9, ""),
    ],
)
def test_an_image_that_only_its_movable_tags_keep(tags: str, days: int, names: str) -> None:
    document = policy(LATEST, tagged("stable") | count(1), UNTAGGED | older(7))
    movable = ["latest", "stable"]
    report = examined(document, *images(f"1 {tags} {days}"), movable_tags=movable)
    assert not report.losses
    text = f"rule 3 (untagged images) would expire the image that {names} names as soon"
    kept = warned(report, "kept-by-movable-tag-alone")
    assert [warning.startswith(text) for _, warning in kept] == [True] * bool(names)
    # An index that stays and lists it keeps it too.
    index = image("2", "stable", media_type=INDEX, children=("1",))
    held = examined(document, *images(f"1 {tags} {days}"), index, movable_tags=["latest"])
    assert not warned(held, "kept-by-movable-tag-alone")


@pytest.mark.parametrize(
    ("selection", "mutability", "filters", "tags"),
    [
        (LATEST, "MUTABLE", (), ["latest"]),
        (tagged("stable") | count(1), "MUTABLE", (), ["stable"]),
        (ANY | count(1), "MUTABLE_WITH_EXCLUSION", ("stable",), ["latest"]),
        (ANY | count(1), "IMMUTABLE_WITH_EXCLUSION", ("pr-*", "stable"), ["stable", "pr-*"]),
        (ANY | count(1), "IMMUTABLE_WITH_EXCLUSION", ("pr-*",), ["latest", "pr-*"]),
        (LATEST, "IMMUTABLE_WITH_EXCLUSION", ("stable",), ["latest", "stable"]),
        # Near to protective, and not.
        (tagged("stable") | count(2), "MUTABLE", (), ["latest"]),
        (tagged("stable") | older(1), "MUTABLE", (), ["latest"]),
        (tagged("stable*") | count(1), "MUTABLE", (), ["latest"]),
        (tagged("stable", "a") | count(1), "MUTABLE", (), ["latest"]),
        (prefixed("stable") | count(1), "MUTABLE", (), ["latest"]),
    ],
)
def test_a_repository_s_own_movable_tags(
    selection: dict[str, Any], mutability: str, filters: tuple[str, ...], tags: list[str]
) -> None:
    assert list(movable_tags_of(rules_in(policy(selection)), mutability, filters)) == tags
    archives = rules_in(archiving(tagged("stable") | count(1)))
    assert movable_tags_of(archives) == ("latest",)


# --- Rules and growth -----------------------------------------------------------------------------


SIGNATURE, ATTESTATION = (f"sha256-{'a' * 64}.{kind}" for kind in ("sig", "att"))
HELD = [image("index", "a", children=("1",)), image("1", days=9)]
PROD, UNTAGGED_9 = tagged("prod-*") | count(9), UNTAGGED | older(9)
NO_IMAGE = "rule 1 (tags latest) matches no image"
NO_EFFECT = "rule 2 (tags prod-1*) has no effect: earlier rules match all its images"
ALL_STAY = "there is no lifecycle policy: all images stay"
NO_RULE = "no rule matches untagged images: an image that loses its last tag stays"
TWO_STAY = "no rule matches 2 of the tagged images, such as b-1"
IT_STAYS = f"no rule matches 1 of the attachments, such as {SIGNATURE}"
NONE_EXPIRES = "rule 1 (any image) archives images, and no rule expires archived images"


@pytest.mark.parametrize(
    ("kind", "document", "listed", "text"),
    [
        ("without-images", policy(LATEST, PROD), images("1 prod-1 0"), NO_IMAGE),
        (
            "without-effect",
            policy(PROD, tagged("prod-1*") | older(1)),
            images("1 prod-1 0, 2 prod-10 0"),
            NO_EFFECT,
        ),
        # An index holds all its images: it decides about them.
        ("without-effect", policy(UNTAGGED | older(1), tagged("a") | count(1)), HELD, ""),
        ("growth", (), images("1 a 0"), ALL_STAY),
        ("growth", policy(ANY | count(9)), [], ""),
        ("growth", policy(UNTAGGED_9), [], ""),
        ("growth", policy(LATEST), [], NO_RULE),
        (
            "growth",
            policy(UNTAGGED_9, tagged("c") | count(1)),
            images("1 a-1 1, 2 b-1 0, 3 c 0, 4 0"),
            TWO_STAY,
        ),
        ("growth", policy(UNTAGGED_9), [image("sig", SIGNATURE)], IT_STAYS),
        ("growth", archiving(ANY | older(1)), [], NONE_EXPIRES),
        ("growth", {"rules": [rule(2, ANY | older(1), ARCHIVE), rule(3, EXPIRE_ARCHIVED)]}, [], ""),
    ],
)
def test_rules_and_growth(kind: str, document: Any, listed: list[Image], text: str) -> None:
    warnings = examined(document, *listed).warnings
    texts = [warning.text for warning in warnings if kind in warning.kind]
    assert texts == ([text] if text else [])


# --- Indexes --------------------------------------------------------------------------------------


def test_images_that_go_beside_an_index_whose_list_is_not_known() -> None:
    """Tagged or not: an index lists either."""
    document = policy(UNTAGGED | older(7), tagged("1-*") | count(1))
    listed = [
        image("index", "a", media_type=INDEX),
        *images("1 9, 2 0, amd64 1-amd64 1, arm64 1-arm64 0"),
    ]
    repository = replace(HERE, images=tuple(listed), unread="no permission")
    report = examine(rules_in(document), repository, NOW)
    [warning] = [warning for warning in report.warnings if warning.kind == "children-unknown"]
    assert warning.digests == ("amd64", "1")
    assert warning.text == (
        "it is not known what 1 of the indexes list: of the 2 images shown as going, those that an "
        "index lists stay (no permission)"
    )


@pytest.mark.parametrize(
    "listed",
    [
        (image("index", "a", media_type=INDEX, children=("1",)), image("1", days=9)),
        (image("index", "a", media_type=INDEX), image("1", "b")),
        (image("index", media_type=INDEX, archived=True), image("1", days=9)),
        (image("1", "a"), image("2", days=9)),
    ],
)
def test_no_index_is_unknown(listed: tuple[Image, ...]) -> None:
    assert not warned(examined(policy(UNTAGGED | older(7)), *listed), "children-unknown")


# --- Signatures and attestations ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attached", "subject"),
    [
        (image("1", SIGNATURE), OLD),
        (image("1", SIGNATURE, f"sha256-{'b' * 64}.att"), OLD),
        (image("1", f"sha256-{'a' * 64}.sbom"), OLD),
        (image("1", f"sha256-{'a' * 64}"), OLD),
        (image("1", subject=OLD), OLD),
        (image("1"), None),
        (image("1", "prod-1", SIGNATURE), None),
        (image("1", f"sha256-{'a' * 63}.sig"), None),
        (image("1", f"sha256-{'a' * 64}.exe"), None),
        (image("1", f"{SIGNATURE}-1"), None),
    ],
)
def test_what_belongs_to_another_image(attached: Image, subject: str | None) -> None:
    assert subject_of(attached) == subject


@pytest.mark.parametrize(
    ("signature", "attestation", "name"),
    [
        (image("sig", SIGNATURE, days=9), image("att", ATTESTATION, days=8), SIGNATURE),
        (image("sig", subject=OLD, days=9), image("att", subject=OLD, days=8), "sig"),
    ],
)
def test_an_image_that_stays_and_loses_its_signature(
    signature: Image, attestation: Image, name: str
) -> None:
    document = policy(tagged("prod-*") | count(50), ANY | count(2))
    report = examined(document, USED, signature, attestation, image("new", "pr-1"))
    assert [loss.digests for loss in report.losses] == [(OLD, "sig")]
    text = (
        f"{OLD} prod-1 stays, and would lose what is attached to it: {name} (rule 2 (any image) "
        "would expire it)"
    )
    assert warned(report, "signature-going") == [(2, text)]
    totals = report.totals()
    assert (totals["images"], totals["expire"]) == (2, 0)
    assert totals["attachments"] == {"keep": 1, "expire": 1, "archive": 0}
    # Where the image goes too, it is no loss.
    assert not examined(policy(ANY | older(7)), USED, signature).losses
