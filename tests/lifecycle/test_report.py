"""What the report says, and what it warns of."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from container_images.aws.image import Image
from container_images.lifecycle.document import rules_in
from container_images.lifecycle.files import Listing, read_images, read_policy
from container_images.lifecycle.report import (
    PolicyWarning,
    Report,
    examine,
    movable_tags_of,
    taker_of,
    why,
)
from container_images.policies.invalid_input import InvalidInputError
from container_images.policies.retention import MAX_IMAGES, RetentionRule, lifecycle_policy
from tests.lifecycle.documents import (
    ANY,
    ARCHIVE,
    IN_ARCHIVE,
    INDEX,
    NOW,
    UNTAGGED,
    count,
    days_ago,
    image,
    older,
    policy,
    prefixed,
    rule,
    tagged,
    verdicts,
)
from tests.lifecycle.strategies import TAGS, histories, policies, retentions

LATEST = tagged("latest") | count(1)


def examined(document: dict[str, Any], *images: Image, **more: Any) -> Report:
    listing = Listing(images=images, repository="forms-admin-deploy")
    return examine(rules_in(document), listing, NOW, **more)


def found(told: Report, kind: str) -> list[PolicyWarning]:
    return [it for it in told.warnings if it.kind == kind]


def number(warning: PolicyWarning) -> int | None:
    """Of the rule that the warning is about."""
    return warning.rule.priority if warning.rule else None


# --- The contract ---------------------------------------------------------------------------------

POLICY = json.dumps(policy(LATEST, tagged("prod-*") | count(1), UNTAGGED | older(7)))
IMAGES = json.dumps(
    {
        "imageDetails": [
            {
                "repositoryName": "forms-admin-deploy",
                "imageDigest": f"sha256:{number}",
                "imageSizeInBytes": 1000 + number,
                "imagePushedAt": days_ago(number).isoformat(),
                **({"imageTags": tags} if tags else {}),
            }
            for number, tags in (
                (1, ["prod-1"]),
                (2, ["prod-2", "latest"]),
                (3, ["prod-3"]),
                (8, []),
            )
        ]
    }
)


def test_the_report_in_json() -> None:
    assert examine(read_policy(POLICY), read_images(IMAGES), NOW).to_json() == {
        "images": [
            {
                "digest": "sha256:1",
                "tags": ["prod-1"],
                "action": "keep",
                "rule": None,
                "shieldedBy": 2,
            },
            {
                "digest": "sha256:2",
                "tags": ["prod-2", "latest"],
                "action": "keep",
                "rule": None,
                "shieldedBy": 1,
            },
            {
                "digest": "sha256:3",
                "tags": ["prod-3"],
                "action": "expire",
                "rule": 2,
                "shieldedBy": None,
            },
            {"digest": "sha256:8", "tags": [], "action": "expire", "rule": 3, "shieldedBy": None},
        ],
        "warnings": [
            {
                "warning": "kept-by-movable-tag-alone",
                "text": "rule 2 (tags prod-*) would expire the image that latest names as soon as "
                "the tag moves on; then no rollback to it is possible",
                "rule": 2,
                "digests": ["sha256:2"],
            }
        ],
        "totals": {
            "images": 4,
            "keep": 2,
            "expire": 2,
            "archive": 0,
            "bytes": 4014,
            "bytesFreed": 2011,
            "bytesArchived": 0,
        },
    }


def test_a_policy_that_aws_refuses_gives_no_report() -> None:
    with pytest.raises(InvalidInputError, match="rule 1: a number of images has no unit"):
        read_policy(json.dumps(policy(ANY | count(1) | {"countUnit": "days"})))


def test_the_report_takes_references_and_movable_tags() -> None:
    in_use, movable = ["forms-admin-deploy:prod-3"], ["prod-1"]
    told = examine(read_policy(POLICY), read_images(IMAGES), NOW, in_use, movable)
    assert [it.kind for it in told.warnings] == ["in-use-going", "movable-tag-unshielded"]


def test_an_index_has_no_bytes_of_its_own() -> None:
    told = examined(
        policy(UNTAGGED | older(1)),
        image("index", days=9, media_type=INDEX, size=70, children=("1",)),
        image("1", days=9, size=70),
    )
    assert (told.totals()["expire"], told.totals()["bytesFreed"]) == (2, 70)


def test_archived_bytes_are_not_freed() -> None:
    told = examined({"rules": [rule(1, ANY | older(1), ARCHIVE)]}, image("1", days=9, size=5))
    assert told.totals()["bytesFreed"] == 0
    assert told.totals()["bytesArchived"] == 5
    assert told.totals()["archive"] == 1


def test_the_reasons() -> None:
    images = [
        image("index", "a", children=("1",)),
        image("1", days=9),
        image("2", "b", days=9),
        image("3", subject="2"),
        image("4", "c"),
    ]
    told = verdicts(
        policy(tagged("b") | older(1), UNTAGGED | older(1), tagged("a") | count(1)), images
    )
    assert {digest: why(it) for digest, it in told.items()} == {
        "index": "rule 3 (tags a)",
        "1": "the index index lists it",
        "2": "rule 1 (tags b)",
        "3": "goes with 2, which rule 1 (tags b) takes",
        "4": "no rule matches it",
    }


# --- Images in use --------------------------------------------------------------------------------

OLD, ANOTHER = (f"sha256:{it * 64}" for it in "ab")
USED = image(OLD, "prod-1", days=9)


@pytest.mark.parametrize(
    "written",
    [
        OLD,
        "prod-1",
        "forms-admin-deploy:prod-1",
        f"forms-admin-deploy@{OLD}",
        f"forms-admin-deploy:other@{OLD}",
        "111122223333.dkr.ecr.eu-west-2.amazonaws.com/forms-admin-deploy:prod-1",
        f"111122223333.dkr.ecr.eu-west-2.amazonaws.com/forms-admin-deploy@{OLD}",
    ],
)
def test_an_image_in_use_that_would_go(written: str) -> None:
    told = examined(policy(tagged("*") | older(7)), USED, in_use=[written, written])
    [warning] = found(told, "in-use-going")
    assert (number(warning), warning.digests) == (1, (OLD,))
    assert warning.text == f"{written} is in use, and rule 1 (tags *) would expire it"
    assert told.loses


@pytest.mark.parametrize(
    "written",
    [
        "forms-runner-deploy:prod-1",
        f"111122223333.dkr.ecr.eu-west-2.amazonaws.com/forms-runner-deploy@{OLD}",
        "team/forms-admin-deploy:prod-1",
        ANOTHER,
    ],
)
def test_an_image_in_use_elsewhere(written: str) -> None:
    told = examined(policy(tagged("*") | older(7)), USED, in_use=[written])
    assert not told.loses
    assert not found(told, "in-use-missing")


@pytest.mark.parametrize(
    "written", ["forms-admin-deploy", "forms-admin-deploy:gone", f"forms-admin-deploy@{ANOTHER}"]
)
def test_an_image_in_use_that_is_gone(written: str) -> None:
    [warning] = found(examined(policy(LATEST), USED, in_use=[written]), "in-use-missing")
    assert warning.text == f"{written} is in use, but there is no such image"


def test_an_image_in_use_that_stays() -> None:
    told = examined(policy(tagged("*") | count(9)), USED, in_use=[OLD])
    assert not found(told, "in-use-going")


def test_references_are_taken_as_they_are_where_the_repository_has_no_name() -> None:
    listing = Listing(images=(USED,))
    rules = rules_in(policy(tagged("*") | older(7)))
    told = examine(rules, listing, NOW, ["a/b:prod-1", "a/b:gone"])
    assert [it.kind for it in told.warnings if "in-use" in it.kind] == ["in-use-going"]


# --- Movable tags ---------------------------------------------------------------------------------


def test_a_movable_tag_s_image_that_would_go() -> None:
    told = examined(policy(ANY | older(7)), image("1", "latest", days=9))
    [warning] = found(told, "movable-tag-going")
    assert (number(warning), warning.digests) == (1, ("1",))
    assert warning.text == "latest is on an image that rule 1 (any image) would expire"
    assert told.loses
    assert not examined(policy(ANY | older(7)), image("1", "late", days=9)).loses


def test_archiving_a_movable_tag_s_image_is_a_loss() -> None:
    told = examined({"rules": [rule(1, ANY | older(7), ARCHIVE)]}, image("1", "latest", days=9))
    assert told.loses


@pytest.mark.parametrize(
    ("document", "taker"),
    [
        (policy(LATEST), None),
        (policy(LATEST, ANY | count(1)), None),
        (policy(tagged("latest") | count(100), ANY | count(1)), None),
        (policy(tagged("latest", "*") | count(1), ANY | count(1)), None),
        (policy(tagged("stable") | count(1), LATEST, ANY | count(1)), None),
        (policy(UNTAGGED | older(1)), None),
        (policy(ANY | IN_ARCHIVE | older(90, "sinceImageTransitioned")), None),
        # The traps.
        (policy(ANY | count(9)), 1),
        (policy(tagged("prod-*") | count(1), LATEST), 1),
        (policy(prefixed("latest") | count(1)), 1),
        (policy(tagged("latest*") | count(1)), 1),
        (policy(tagged("latest") | older(9)), 1),
        (policy(tagged("latest", "prod-*") | count(1), tagged("prod-*") | count(1)), 2),
        (policy(tagged("stable") | count(1), ANY | count(1)), 2),
        ({"rules": [rule(8, ANY | count(1)), rule(5, UNTAGGED | count(1))]}, 8),
    ],
)
def test_a_movable_tag_without_a_shield(document: dict[str, Any], taker: int | None) -> None:
    warnings = found(examined(document), "movable-tag-unshielded")
    assert [number(it) for it in warnings] == ([] if taker is None else [taker])
    if taker is not None:
        assert warnings[0].text == (
            f"{warnings[0].rule} may take the image that latest names; before it, write a "
            'protective rule, with "tagPatternList": ["latest"] and "imageCountMoreThan" 1'
        )


@given(policies(), histories(referrers=False))
def test_what_is_called_shielded_is_never_taken(
    document: dict[str, Any], images: list[Image]
) -> None:
    rules = rules_in(document)
    shielded = {tag for tag in TAGS if taker_of(tag, rules) is None}
    for it in verdicts(document, images).values():
        if shielded & {*it.image.tags} and not it.image.archived:
            assert it.action == "keep"


@given(retentions())
def test_the_stack_shields_its_movable_tags(
    chosen: tuple[list[str], list[RetentionRule]],
) -> None:
    movable, rules = chosen
    if document := (lifecycle_policy(movable, rules) if movable or rules else None):
        for tag in movable:
            assert taker_of(tag, rules_in(document)) is None


def test_an_image_that_only_its_movable_tag_keeps() -> None:
    document = policy(LATEST, UNTAGGED | older(7))
    told = examined(document, image("1", "latest", days=9))
    [warning] = found(told, "kept-by-movable-tag-alone")
    assert (number(warning), warning.digests) == (2, ("1",))
    assert not told.loses
    assert not found(examined(document, image("1", "latest", days=6)), "kept-by-movable-tag-alone")
    other = image("1", "latest", "prod-1", days=9)
    assert not found(examined(document, other), "kept-by-movable-tag-alone")


def test_it_takes_all_movable_tags_of_an_image_to_move_on() -> None:
    document = policy(LATEST, tagged("stable") | count(1), UNTAGGED | older(7))
    told = examined(
        document, image("1", "latest", "stable", days=9), movable_tags=["latest", "stable"]
    )
    [warning] = found(told, "kept-by-movable-tag-alone")
    assert "that latest and stable names" in warning.text


@pytest.mark.parametrize(
    ("document", "mutability", "filters", "tags"),
    [
        (policy(LATEST), "MUTABLE", (), ["latest"]),
        (policy(tagged("stable") | count(1)), "MUTABLE", (), ["stable"]),
        (policy(ANY | count(1)), "MUTABLE", (), ["latest"]),
        (policy(ANY | count(1)), "MUTABLE_WITH_EXCLUSION", ("stable",), ["latest"]),
        (policy(ANY | count(1)), "IMMUTABLE_WITH_EXCLUSION", ("stable", "pr-*"), ["stable"]),
        (policy(ANY | count(1)), "IMMUTABLE_WITH_EXCLUSION", ("pr-*",), ["latest"]),
        (policy(LATEST), "IMMUTABLE_WITH_EXCLUSION", ("stable",), ["latest", "stable"]),
        # Near to protective, and not.
        (policy(tagged("stable") | count(2)), "MUTABLE", (), ["latest"]),
        (policy(tagged("stable") | older(1)), "MUTABLE", (), ["latest"]),
        (policy(tagged("stable*") | count(1)), "MUTABLE", (), ["latest"]),
        (policy(tagged("stable", "a") | count(1)), "MUTABLE", (), ["latest"]),
        (policy(prefixed("stable") | count(1)), "MUTABLE", (), ["latest"]),
        ({"rules": [rule(1, tagged("stable") | count(1), ARCHIVE)]}, "MUTABLE", (), ["latest"]),
    ],
)
def test_a_repository_s_own_movable_tags(
    document: dict[str, Any], mutability: str, filters: tuple[str, ...], tags: list[str]
) -> None:
    assert list(movable_tags_of(rules_in(document), mutability, filters)) == tags


@given(retentions())
def test_the_stack_s_policy_names_its_movable_tags(
    chosen: tuple[list[str], list[RetentionRule]],
) -> None:
    movable, rules = chosen
    if movable:
        assert {*movable} <= {*movable_tags_of(rules_in(lifecycle_policy(movable, rules)))}


# --- Rules and growth -----------------------------------------------------------------------------


def test_a_rule_that_matches_nothing() -> None:
    told = examined(policy(LATEST, tagged("prod-*") | count(1)), image("1", "prod-1"))
    [warning] = found(told, "rule-without-images")
    assert (number(warning), warning.text) == (1, "rule 1 (tags latest) matches no image")


def test_a_rule_that_decides_nothing() -> None:
    document = policy(tagged("prod-*") | count(9), tagged("prod-1*") | older(1))
    told = examined(document, image("1", "prod-1"), image("2", "prod-10"))
    [warning] = found(told, "rule-without-effect")
    assert (number(warning), found(told, "rule-without-images")) == (2, [])
    assert "earlier rules match all its images" in warning.text


def test_a_rule_all_of_whose_images_an_index_holds_decides() -> None:
    told = examined(
        policy(UNTAGGED | older(1), tagged("a") | count(1)),
        image("index", "a", children=("1",)),
        image("1", days=9),
    )
    assert not found(told, "rule-without-effect")


@pytest.mark.parametrize(
    ("document", "images", "texts"),
    [
        (policy(ANY | count(9)), (), []),
        (policy(UNTAGGED | older(9)), (), []),
        (policy(LATEST), (), ["no rule matches untagged images: an image that loses its last"]),
        (
            policy(UNTAGGED | IN_ARCHIVE | older(90, "sinceImageTransitioned")),
            (),
            ["no rule matches untagged images"],
        ),
        (
            policy(UNTAGGED | older(9)),
            (image("1", "a-1"),),
            ["no rule matches one tagged image, such as a-1: they stay"],
        ),
        (
            policy(UNTAGGED | older(9), tagged("c") | count(1)),
            (image("1", "a-1", days=1), image("2", "b-1"), image("3", "c"), image("4")),
            ["no rule matches 2 tagged images, such as b-1: they stay"],
        ),
        (
            policy(ANY | count(MAX_IMAGES)),
            (),
            ["rule 1 (any image) keeps as many images as a repository can hold"],
        ),
        (policy(ANY | count(MAX_IMAGES - 1)), (), []),
        (policy(ANY | older(MAX_IMAGES)), (), []),
        (
            {"rules": [rule(1, UNTAGGED | older(1)), rule(2, ANY | older(1), ARCHIVE)]},
            (),
            ["rule 2 (any image) archives images, and no rule expires archived images"],
        ),
        (
            {
                "rules": [
                    rule(2, ANY | older(1), ARCHIVE),
                    rule(3, ANY | IN_ARCHIVE | older(90, "sinceImageTransitioned")),
                ]
            },
            (),
            [],
        ),
    ],
)
def test_growth_without_bound(
    document: dict[str, Any], images: tuple[Image, ...], texts: list[str]
) -> None:
    warnings = found(examined(document, *images), "growth-without-bound")
    assert len(warnings) == len(texts)
    for warning, text in zip(warnings, texts, strict=True):
        assert warning.text.startswith(text)


def test_a_repository_without_a_policy_only_grows() -> None:
    told = examine((), Listing(images=(image("1", "latest"),)), NOW)
    assert [(it.kind, it.text) for it in told.warnings] == [
        ("growth-without-bound", "there is no lifecycle policy: all images stay")
    ]


# --- Indexes --------------------------------------------------------------------------------------


def test_untagged_images_beside_an_index_whose_list_is_not_known() -> None:
    index = image("index", "a", media_type=INDEX)
    images = [index, image("1", days=9), image("2")]
    [warning] = found(examined(policy(UNTAGGED | older(7)), *images), "children-unknown")
    assert warning.digests == ("2", "1")
    assert warning.text == (
        "it is not known here what the index lists: of the 2 untagged images, of which 1 are "
        "shown as going, those that an index lists stay"
    )
    [warning] = found(
        examined(policy(UNTAGGED | older(7)), image("another", "b", media_type=INDEX), *images),
        "children-unknown",
    )
    assert "what 2 indexes list: of the 2 untagged images" in warning.text


@pytest.mark.parametrize(
    "images",
    [
        (image("index", "a", media_type=INDEX, children=("1",)), image("1", days=9)),
        (image("index", "a", media_type=INDEX), image("1", "b")),
        (image("index", media_type=INDEX),),
        (image("1", "a"), image("2")),
    ],
)
def test_no_index_is_unknown(images: tuple[Image, ...]) -> None:
    assert not found(examined(policy(UNTAGGED | older(7)), *images), "children-unknown")


# --- The stack's own policy -----------------------------------------------------------------------


def test_the_stack_s_policy_on_a_repository_that_follows_the_convention() -> None:
    document = lifecycle_policy(
        ["latest"],
        [
            RetentionRule(tags="prod-*", keep_newest=2),
            RetentionRule(tags="merged-*", keep_newest=2),
            RetentionRule(untagged=True, expire_after_days=7),
        ],
    )
    releases = [
        image(f"release {number}", f"merged-{number}", f"prod-{number}", days=number)
        for number in range(1, 5)
    ]
    releases[0] = image("release 1", "merged-1", "prod-1", "latest", days=1)
    told = examined(document, *releases, image("merged", "merged-9"))
    assert [it.image.digest for it in told.verdicts if it.action == "expire"] == [
        "release 3",
        "release 4",
    ]
    assert [it.kind for it in told.warnings] == ["rule-without-images"]
    later = examine(rules_in(document), Listing(images=()), NOW + timedelta(days=9))
    assert later.totals()["images"] == 0
