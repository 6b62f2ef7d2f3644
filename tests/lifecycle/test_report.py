"""What the report warns of."""

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
UNREAD = replace(HERE, unread="no permission")


def warnings(
    document: Any, *listed: Image, used: str = "", here: RepositoryImages = HERE, **more: Any
) -> Warnings:
    in_use = InUse(images={image: set() for image in read_in_use(used)} if used else {})
    rules = rules_in(document) if document else ()
    return examine(rules, replace(here, images=listed), NOW, in_use, **more)[1]


def of_kind(kind: str, warnings: Warnings) -> list[str]:
    """The texts of the warnings whose kind begins so."""
    return [each["text"] for each in warnings if each["warning"].startswith(kind)]


# --- Images in use --------------------------------------------------------------------------------

OLD, ANOTHER, STAYS = (f"sha256:{letter * 64}" for letter in "abc")
USED = image(OLD, "prod-1", days=9)
ALL_OLD = policy(tagged("*") | older(7))
OTHER_ACCOUNT = URI.replace("111122223333", "444455556666")
GOING = "{} is in use, and rule 1 (tags *) would expire it"
MISSING = "{} is in use, but there is no such image"


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
def test_an_image_in_use(expected: str | None, references: list[str]) -> None:
    for written in references:
        found = warnings(ALL_OLD, USED, image(STAYS, days=9), used=f"{written}\n{written}")
        assert of_kind("in-use", found) == ([expected.format(written)] if expected else [])
        kinds = [(loss["warning"], loss["digests"]) for loss in losses(found)]
        assert kinds == [("in-use-going", [OLD])] * (expected is GOING)


def test_an_image_in_use_without_its_tag_or_its_repository() -> None:
    latest = image(OLD, "latest", days=9)
    assert len(of_kind("in-use-going", warnings(ALL_OLD, latest, used="forms-admin-deploy"))) == 1
    unnamed = RepositoryImages(images=(), reference=Reference(name=""))
    used = warnings(ALL_OLD, USED, used="a/b:prod-1\na/b:gone", here=unnamed)
    assert of_kind("in-use", used) == [GOING.format("a/b:prod-1")]


def test_who_uses_an_image_and_what_is_not_known() -> None:
    users = {OLD: {"service/b", "service/a", "service/c"}}
    in_use = InUse(images=users, unknown={"a": "no permission"})
    _, found = examine(rules_in(ALL_OLD), replace(HERE, images=(USED,)), NOW, in_use)
    assert [loss["text"] for loss in losses(found)] == [
        "it is not known what else is in use: no permission",
        f"{OLD} is in use by service/a and 2 more, and rule 1 (tags *) would expire it",
    ]


# --- Movable tags ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("action", "document"), [("expire", policy), ("archive", archiving)])
def test_a_movable_tag_s_image_that_would_go(action: str, document: Any) -> None:
    written = document(ANY | older(7))
    [loss] = losses(warnings(written, image("1", "latest", days=9)))
    text = f"latest is on an image that rule 1 (any image) would {action}"
    assert loss == {"warning": "movable-tag-going", "text": text, "rule": 1, "digests": ["1"]}
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
    found = warnings(document, movable_tags=["latest", "latest-*"])  # of a pattern nothing is said
    unshielded = [each for each in found if each["warning"].endswith("unshielded")]
    assert [warning["rule"] for warning in unshielded] == takers
    fix = 'write a protective rule, with "tagPatternList": ["latest"]'
    assert all(fix in warning["text"] for warning in unshielded)


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
    kind, listed = "kept-by-movable-tag-alone", images(f"1 {tags} {days}")
    found = warnings(document, *listed, movable_tags=["latest", "stable"])
    assert not losses(found)
    text = f"rule 3 (untagged images) would expire the image that {names} names as soon"
    assert [warning.startswith(text) for warning in of_kind(kind, found)] == [True] * bool(names)
    few = policy(LATEST, UNTAGGED | count(5))
    assert not of_kind(kind, warnings(few, *listed, *images("2 0")))
    # An index that stays and lists it keeps it too.
    index = image("2", "stable", media_type=INDEX, children=("1",))
    assert not of_kind(kind, warnings(document, *listed, index, movable_tags=["latest"]))


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
    ("document", "listed", "text"),
    [
        (policy(LATEST, PROD), images("1 prod-1 0"), NO_IMAGE),
        (policy(PROD, tagged("prod-1*") | older(1)), images("1 prod-1 0, 2 prod-10 0"), NO_EFFECT),
    ],
)
def test_rules_that_do_nothing(document: Any, listed: list[Image], text: str) -> None:
    assert of_kind("rule-without", warnings(document, *listed)) == [text]
    # An index holds all the images of the first rule: it decides about them.
    held = policy(UNTAGGED | older(1), tagged("a") | count(1))
    assert of_kind("rule-without", warnings(held, *HELD)) == []


@pytest.mark.parametrize(
    ("document", "listed", "text"),
    [
        ((), images("1 a 0"), ALL_STAY),
        (policy(ANY | count(9)), [], ""),
        (policy(UNTAGGED_9), [], ""),
        (policy(LATEST), [], NO_RULE),
        (policy(UNTAGGED_9, LATEST), images("1 a-1 1, 2 b-1 0, 3 latest 0, 4 0"), TWO_STAY),
        (policy(UNTAGGED_9), [image("sig", SIGNATURE)], IT_STAYS),
        (archiving(ANY | older(1)), [], NONE_EXPIRES),
        ({"rules": [rule(2, ANY | older(1), ARCHIVE), rule(3, EXPIRE_ARCHIVED)]}, [], ""),
    ],
)
def test_growth_without_bound(document: Any, listed: list[Image], text: str) -> None:
    assert of_kind("growth", warnings(document, *listed)) == ([text] if text else [])


# --- Indexes --------------------------------------------------------------------------------------


def test_images_that_go_beside_an_index_whose_list_is_not_known() -> None:
    """Tagged or not: an index lists either."""
    document = policy(UNTAGGED | older(7), tagged("1-*") | count(1))
    index = image("index", "a", media_type=INDEX)
    others = images("1 9, 2 0, amd64 1-amd64 1, arm64 1-arm64 0")
    *_, unknown, _growth = warnings(document, index, *others, here=UNREAD)
    assert (unknown["warning"], unknown["digests"]) == ("children-unknown", ["amd64", "1"])
    assert unknown["text"] == (
        "it is not known what 1 of the indexes list: of the 2 images shown as going, those that an "
        "index lists stay (no permission)"
    )


def test_no_index_is_unknown() -> None:
    going = image("1", days=9)
    for listed in (
        (image("index", "a", media_type=INDEX, children=("1",)), going),
        (image("index", "a", media_type=INDEX), image("1", "b")),
        (image("index", media_type=INDEX, archived=True), going),
        (image("1", "a"), image("2", days=9)),
    ):
        assert not of_kind("children-unknown", warnings(policy(UNTAGGED | older(7)), *listed))


# --- Signatures and attestations ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "subject"),
    [
        ([SIGNATURE], OLD),
        ([SIGNATURE, f"sha256-{'b' * 64}.att"], OLD),
        ([f"sha256-{'a' * 64}.sbom"], OLD),
        ([f"sha256-{'a' * 64}"], OLD),
        ([], None),
        (["prod-1", SIGNATURE], None),
        ([f"sha256-{'a' * 63}.sig"], None),
        ([f"sha256-{'a' * 64}.exe"], None),
        ([f"{SIGNATURE}-1"], None),
    ],
)
def test_what_belongs_to_another_image(tags: list[str], subject: str | None) -> None:
    assert subject_of(image("1", *tags)) == subject
    assert subject_of(image("1", *tags, subject=STAYS)) == STAYS


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
    [loss] = losses(warnings(document, USED, signature, attestation, image("new", "pr-1")))
    going = f"{name} (rule 2 (any image) would expire it)"
    text = f"{OLD} prod-1 stays, and would lose what is attached to it: {going}"
    rest = {"rule": 2, "digests": [OLD, "sig"]}
    assert loss == {"warning": "signature-going", "text": text, **rest}
    # Where the image goes too, it is no loss.
    assert not losses(warnings(policy(ANY | older(7)), USED, signature))
