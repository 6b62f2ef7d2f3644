"""What the report warns of."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from container_images.aws.image import Image
from container_images.aws.in_use import InUse
from container_images.aws.reference import Reference, parse
from container_images.lifecycle.document import rules_in
from container_images.lifecycle.listing import RepositoryImages, read_in_use, subject_of
from container_images.lifecycle.report import Warnings, examine, losses, movable_tags_of
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

URI = "111122223333.dkr.ecr.eu-west-2.amazonaws.com/forms-admin-deploy"
HERE = RepositoryImages(images=(), reference=parse(URI))


def warnings(
    document: Any,
    *listed: Image,
    in_use: Sequence[str] = (),
    here: RepositoryImages = HERE,
    **more: Any,
) -> Warnings:
    used = {each: set[str]() for each in read_in_use("\n".join(in_use))} if in_use else {}
    rules = rules_in(document) if document else ()
    repository = replace(here, images=listed)
    return examine(rules, repository, NOW, InUse(images=used), **more)[1]


def of_kind(kind: str, warnings: Warnings) -> list[tuple[int | None, str]]:
    """Rules and texts of the warnings whose kind has this in it."""
    return [(each["rule"], each["text"]) for each in warnings if kind in each["warning"]]


def kinds(warnings: Warnings) -> list[str]:
    return [warning["warning"] for warning in warnings]


# --- Images in use --------------------------------------------------------------------------------

OLD, ANOTHER, STAYS = (f"sha256:{letter * 64}" for letter in "abc")
USED = image(OLD, "prod-1", days=9)
ALL_OLD = policy(tagged("*") | older(7))
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
    for written in references:
        all_warnings = warnings(ALL_OLD, USED, image(STAYS, days=9), in_use=[written, written])
        in_use = {
            warning["warning"]: warning["text"]
            for warning in all_warnings
            if warning["warning"].startswith("in-use")
        }
        assert in_use == ({expected[0]: expected[1].format(written)} if expected else {})
        digests = [loss["digests"] for loss in losses(all_warnings)]
        assert digests == [[OLD]] * (expected is GOING)


def test_an_image_in_use_without_its_tag_or_its_repository() -> None:
    latest = image(OLD, "latest", days=9)
    found = warnings(ALL_OLD, latest, in_use=["forms-admin-deploy"])
    assert kinds(losses(found)) == ["in-use-going", "movable-tag-going"]
    unnamed = RepositoryImages(images=(), reference=Reference(name=""))
    found = warnings(ALL_OLD, USED, in_use=["a/b:prod-1", "a/b:gone"], here=unnamed)
    assert kinds(losses(found)) == ["in-use-going"]


def test_who_uses_an_image_and_what_is_not_known() -> None:
    in_use = InUse(
        images={OLD: {"service/b", "service/a", "service/c"}}, unknown={"a": "no permission"}
    )
    rules = rules_in(policy(ANY | older(7)))
    _, all_warnings = examine(rules, replace(HERE, images=(USED,)), NOW, in_use)
    assert [loss["text"] for loss in losses(all_warnings)] == [
        "it is not known what else is in use: no permission",
        f"{OLD} is in use by service/a and 2 more, and rule 1 (any image) would expire it",
    ]


# --- Movable tags ---------------------------------------------------------------------------------


def test_a_movable_tag_s_image_that_would_go() -> None:
    for action, document in (("expire", policy), ("archive", archiving)):
        written = document(ANY | older(7))
        [loss] = losses(warnings(written, image("1", "latest", days=9)))
        text = f"latest is on an image that rule 1 (any image) would {action}"
        assert loss == {
            "warning": "movable-tag-going",
            "text": text,
            "rule": 1,
            "digests": ["1"],
        }
        assert not losses(warnings(written, image("1", "late", days=9)))


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
    unshielded = of_kind("movable-tag-unshielded", warnings(document))
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
    movable, kind = ["latest", "stable"], "kept-by-movable-tag-alone"
    all_warnings = warnings(document, *images(f"1 {tags} {days}"), movable_tags=movable)
    assert not losses(all_warnings)
    text = f"rule 3 (untagged images) would expire the image that {names} names as soon"
    kept = of_kind(kind, all_warnings)
    assert [warning.startswith(text) for _, warning in kept] == [True] * bool(names)
    # An index that stays and lists it keeps it too.
    index = image("2", "stable", media_type=INDEX, children=("1",))
    held = warnings(document, *images(f"1 {tags} {days}"), index, movable_tags=["latest"])
    assert not of_kind(kind, held)


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
    texts = [text for _, text in of_kind(kind, warnings(document, *listed))]
    assert texts == ([text] if text else [])


# --- Indexes --------------------------------------------------------------------------------------


def test_images_that_go_beside_an_index_whose_list_is_not_known() -> None:
    """Tagged or not: an index lists either."""
    document = policy(UNTAGGED | older(7), tagged("1-*") | count(1))
    listed = [
        image("index", "a", media_type=INDEX),
        *images("1 9, 2 0, amd64 1-amd64 1, arm64 1-arm64 0"),
    ]
    unread = replace(HERE, unread="no permission")
    [unknown] = [
        warning
        for warning in warnings(document, *listed, here=unread)
        if warning["warning"] == "children-unknown"
    ]
    assert unknown["digests"] == ["amd64", "1"]
    assert unknown["text"] == (
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
    assert not of_kind("children-unknown", warnings(policy(UNTAGGED | older(7)), *listed))


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
    all_warnings = warnings(document, USED, signature, attestation, image("new", "pr-1"))
    assert [loss["digests"] for loss in losses(all_warnings)] == [[OLD, "sig"]]
    text = (
        f"{OLD} prod-1 stays, and would lose what is attached to it: {name} (rule 2 (any image) "
        "would expire it)"
    )
    assert of_kind("signature-going", all_warnings) == [(2, text)]
    # Where the image goes too, it is no loss.
    assert not losses(warnings(policy(ANY | older(7)), USED, signature))
