"""What the report says, and what it warns of."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from container_images.aws.image import Image
from container_images.lifecycle.attachments import subject_of
from container_images.lifecycle.document import rules_in
from container_images.lifecycle.in_use import InUse, read_in_use
from container_images.lifecycle.listing import RepositoryImages
from container_images.lifecycle.report import (
    PolicyWarning,
    Report,
    examine,
    movable_tags_of,
    taker_of,
    why,
)
from container_images.policies.retention import MAX_IMAGES, RetentionRule, lifecycle_policy
from tests.lifecycle.documents import (
    ANY,
    ARCHIVE,
    IN_ARCHIVE,
    INDEX,
    NOW,
    UNTAGGED,
    count,
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


def examined(
    document: dict[str, Any], *images: Image, in_use: Sequence[str] = (), **more: Any
) -> Report:
    repository = RepositoryImages(
        images=images,
        name="forms-admin-deploy",
        registry_id="111122223333",
        region="eu-west-2",
    )
    used = read_in_use("\n".join(in_use)) if in_use else InUse()
    return examine(rules_in(document), repository, NOW, used, **more)


def warnings(report: Report, kind: str) -> list[PolicyWarning]:
    return [warning for warning in report.warnings if warning.kind == kind]


def number(warning: PolicyWarning) -> int | None:
    """Of the rule that the warning is about."""
    return warning.rule.priority if warning.rule else None


def test_an_index_has_no_bytes_of_its_own() -> None:
    report = examined(
        policy(UNTAGGED | older(1)),
        image("index", days=9, media_type=INDEX, size=70, children=("1",)),
        image("1", days=9, size=70),
    )
    assert (report.totals()["expire"], report.totals()["bytesFreed"]) == (2, 70)


def test_archived_bytes_are_not_freed() -> None:
    report = examined({"rules": [rule(1, ANY | older(1), ARCHIVE)]}, image("1", days=9, size=5))
    assert report.totals()["bytesFreed"] == 0
    assert report.totals()["bytesArchived"] == 5
    assert report.totals()["archive"] == 1


def test_the_reasons() -> None:
    images = [
        image("index", "a", children=("1",)),
        image("1", days=9),
        image("2", "b", days=9),
        image("3", subject="2"),
        image("4", "c"),
    ]
    report = verdicts(
        policy(tagged("b") | older(1), UNTAGGED | older(1), tagged("a") | count(1)), images
    )
    assert {digest: why(it) for digest, it in report.items()} == {
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
        f"docker-pullable://111122223333.dkr-ecr.eu-west-2.on.aws/forms-admin-deploy@{OLD}",
    ],
)
def test_an_image_in_use_that_would_go(written: str) -> None:
    report = examined(policy(tagged("*") | older(7)), USED, in_use=[written, written])
    [warning] = warnings(report, "in-use-going")
    assert (number(warning), warning.digests) == (1, (OLD,))
    assert warning.text == f"{written} is in use, and rule 1 (tags *) would expire it"
    assert report.losses


@pytest.mark.parametrize(
    "written",
    [
        "forms-runner-deploy:prod-1",
        f"111122223333.dkr.ecr.eu-west-2.amazonaws.com/forms-runner-deploy@{OLD}",
        "team/forms-admin-deploy:prod-1",
        "444455556666.dkr.ecr.eu-west-2.amazonaws.com/forms-admin-deploy:prod-1",
        "111122223333.dkr.ecr.us-east-1.amazonaws.com/forms-admin-deploy:prod-1",
        f"111122223333.dkr.ecr.us-east-1.amazonaws.com/forms-admin-deploy@{OLD}",
        "444455556666.dkr.ecr.eu-west-2.amazonaws.com/forms-admin-deploy:gone",
        ANOTHER,
    ],
)
def test_an_image_in_use_elsewhere(written: str) -> None:
    report = examined(policy(tagged("*") | older(7)), USED, in_use=[written])
    assert not report.losses
    assert not warnings(report, "in-use-missing")


@pytest.mark.parametrize(
    "written", ["forms-admin-deploy", "forms-admin-deploy:gone", f"forms-admin-deploy@{ANOTHER}"]
)
def test_an_image_in_use_that_is_gone(written: str) -> None:
    [warning] = warnings(examined(policy(LATEST), USED, in_use=[written]), "in-use-missing")
    assert warning.text == f"{written} is in use, but there is no such image"


def test_an_image_in_use_that_stays() -> None:
    report = examined(policy(tagged("*") | count(9)), USED, in_use=[OLD])
    assert not warnings(report, "in-use-going")


def test_references_are_taken_as_they_are_where_the_repository_has_no_name() -> None:
    repository = RepositoryImages(images=(USED,))
    rules = rules_in(policy(tagged("*") | older(7)))
    report = examine(rules, repository, NOW, read_in_use("a/b:prod-1\na/b:gone"))
    assert [it.kind for it in report.warnings if "in-use" in it.kind] == ["in-use-going"]


def test_who_uses_an_image() -> None:
    [use] = read_in_use(OLD).uses
    uses = [replace(use, by=by) for by in ("service/b", "service/a", "service/c", "service/a")]
    rules, repository = rules_in(policy(ANY | older(7))), RepositoryImages(images=(USED,))
    report = examine(rules, repository, NOW, InUse(uses=uses))
    [warning] = warnings(report, "in-use-going")
    assert warning.text == (
        f"{OLD} is in use by service/a and 2 more, and rule 1 (any image) would expire it"
    )


def test_what_is_not_known_is_not_called_unused() -> None:
    in_use = InUse(unknown=["no permission for ListClusters"])
    report = examine((), RepositoryImages(images=()), NOW, in_use)
    [warning] = report.losses
    assert (warning.kind, warning.text) == (
        "in-use-unknown",
        "it is not known what else is in use: no permission for ListClusters",
    )


# --- Movable tags ---------------------------------------------------------------------------------


def test_a_movable_tag_s_image_that_would_go() -> None:
    report = examined(policy(ANY | older(7)), image("1", "latest", days=9))
    [warning] = warnings(report, "movable-tag-going")
    assert (number(warning), warning.digests) == (1, ("1",))
    assert warning.text == "latest is on an image that rule 1 (any image) would expire"
    assert report.losses
    assert not examined(policy(ANY | older(7)), image("1", "late", days=9)).losses


def test_archiving_a_movable_tag_s_image_is_a_loss() -> None:
    report = examined({"rules": [rule(1, ANY | older(7), ARCHIVE)]}, image("1", "latest", days=9))
    assert report.losses


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
    unshielded = warnings(examined(document), "movable-tag-unshielded")
    assert [number(it) for it in unshielded] == ([] if taker is None else [taker])
    if taker is not None:
        assert unshielded[0].text == (
            f"{unshielded[0].rule} may take the image that latest names; before it, write a "
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
    report = examined(document, image("1", "latest", days=9))
    [warning] = warnings(report, "kept-by-movable-tag-alone")
    assert (number(warning), warning.digests) == (2, ("1",))
    assert not report.losses
    assert not warnings(
        examined(document, image("1", "latest", days=6)), "kept-by-movable-tag-alone"
    )
    other = image("1", "latest", "prod-1", days=9)
    assert not warnings(examined(document, other), "kept-by-movable-tag-alone")


def test_it_takes_all_movable_tags_of_an_image_to_move_on() -> None:
    document = policy(LATEST, tagged("stable") | count(1), UNTAGGED | older(7))
    report = examined(
        document, image("1", "latest", "stable", days=9), movable_tags=["latest", "stable"]
    )
    [warning] = warnings(report, "kept-by-movable-tag-alone")
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
    report = examined(policy(LATEST, tagged("prod-*") | count(1)), image("1", "prod-1"))
    [warning] = warnings(report, "rule-without-images")
    assert (number(warning), warning.text) == (1, "rule 1 (tags latest) matches no image")


def test_a_rule_that_decides_nothing() -> None:
    document = policy(tagged("prod-*") | count(9), tagged("prod-1*") | older(1))
    report = examined(document, image("1", "prod-1"), image("2", "prod-10"))
    [warning] = warnings(report, "rule-without-effect")
    assert (number(warning), warnings(report, "rule-without-images")) == (2, [])
    assert "earlier rules match all its images" in warning.text


def test_a_rule_all_of_whose_images_an_index_holds_decides() -> None:
    report = examined(
        policy(UNTAGGED | older(1), tagged("a") | count(1)),
        image("index", "a", children=("1",)),
        image("1", days=9),
    )
    assert not warnings(report, "rule-without-effect")


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
    growing = warnings(examined(document, *images), "growth-without-bound")
    assert len(growing) == len(texts)
    for warning, text in zip(growing, texts, strict=True):
        assert warning.text.startswith(text)


def test_a_repository_without_a_policy_only_grows() -> None:
    report = examine((), RepositoryImages(images=(image("1", "latest"),)), NOW)
    assert [(it.kind, it.text) for it in report.warnings] == [
        ("growth-without-bound", "there is no lifecycle policy: all images stay")
    ]


# --- Indexes --------------------------------------------------------------------------------------


def test_images_that_go_beside_an_index_whose_list_is_not_known() -> None:
    """Tagged or not: an index lists either."""
    document = policy(UNTAGGED | older(7), tagged("1-*") | count(1))
    images = [
        *(image("index", "a", media_type=INDEX), image("1", days=9), image("2")),
        *(image("amd64", "1-amd64", days=1), image("arm64", "1-arm64")),
    ]
    [warning] = warnings(examined(document, *images), "children-unknown")
    assert warning.digests == ("amd64", "1")
    assert warning.text == (
        "it is not known what the index lists: of the 2 images shown as going, those that an index "
        "lists stay"
    )
    another = image("another", "b", media_type=INDEX)
    [warning] = warnings(examined(document, another, *images), "children-unknown")
    assert "what 2 indexes list: of the 2 images" in warning.text
    denied = RepositoryImages(images=tuple(images), unread="no permission")
    [warning] = warnings(examine(rules_in(document), denied, NOW), "children-unknown")
    assert warning.text.endswith("stay (no permission)")


@pytest.mark.parametrize(
    "images",
    [
        (image("index", "a", media_type=INDEX, children=("1",)), image("1", days=9)),
        (image("index", "a", media_type=INDEX), image("1", "b")),
        (image("index", media_type=INDEX, archived=True), image("1", days=9)),
        (image("1", "a"), image("2", days=9)),
    ],
)
def test_no_index_is_unknown(images: tuple[Image, ...]) -> None:
    assert not warnings(examined(policy(UNTAGGED | older(7)), *images), "children-unknown")


# --- Signatures and attestations ------------------------------------------------------------------

SIGNATURE, ATTESTATION = (f"sha256-{'a' * 64}.{kind}" for kind in ("sig", "att"))


@pytest.mark.parametrize(
    ("attached", "subject"),
    [
        (image("1", SIGNATURE), OLD),
        (image("1", SIGNATURE, f"sha256-{'b' * 64}.att"), OLD),
        (image("1", f"sha256-{'a' * 64}.sbom"), OLD),
        (image("1", f"sha256-{'a' * 64}"), OLD),
        (image("1", subject=OLD), OLD),
        (image("1"), None),
        (image("1", "prod-1"), None),
        (image("1", "prod-1", SIGNATURE), None),
        (image("1", f"sha256-{'a' * 63}.sig"), None),
        (image("1", f"sha256-{'a' * 64}.exe"), None),
        (image("1", f"{SIGNATURE}-1"), None),
    ],
)
def test_what_belongs_to_another_image(attached: Image, subject: str | None) -> None:
    assert subject_of(attached) == subject


@pytest.mark.parametrize(
    "attached",
    [
        (image("sig", SIGNATURE, days=9), image("att", ATTESTATION, days=8)),
        (image("sig", subject=OLD, days=9), image("att", subject=OLD, days=8)),
    ],
)
def test_an_image_that_stays_and_loses_its_signature(attached: tuple[Image, ...]) -> None:
    document = policy(tagged("prod-*") | count(50), ANY | count(2))
    report = examined(document, USED, *attached, image("new", "pr-1"))
    [warning] = report.losses
    assert (warning.kind, number(warning)) == ("signature-going", 2)
    assert warning.digests == (OLD, "sig")
    name = attached[0].tags[0] if attached[0].tags else "sig"
    assert warning.text == (
        f"{OLD} prod-1 stays, and would lose what is attached to it: {name} (rule 2 (any image) "
        "would expire it)"
    )
    totals = report.totals()
    assert (totals["images"], totals["expire"]) == (2, 0)
    assert totals["attachments"] == {"keep": 1, "expire": 1, "archive": 0}


@pytest.mark.parametrize(
    "signature", [image("sig", SIGNATURE, days=9), image("sig", subject=OLD, days=9)]
)
def test_a_signature_that_goes_with_its_image_is_no_loss(signature: Image) -> None:
    assert not examined(policy(ANY | older(7)), USED, signature).losses


def test_signatures_that_no_rule_matches_only_grow() -> None:
    report = examined(policy(UNTAGGED | older(9)), image("sig", SIGNATURE), image("1", "a"))
    texts = [warning.text for warning in warnings(report, "growth-without-bound")]
    assert texts == [
        "no rule matches one tagged image, such as a: they stay",
        f"no rule matches one attachment, such as {SIGNATURE}: they stay",
    ]


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
    report = examined(document, *releases, image("merged", "merged-9"))
    assert [it.image.digest for it in report.verdicts if it.action == "expire"] == [
        "release 3",
        "release 4",
    ]
    assert [it.kind for it in report.warnings] == ["rule-without-images"]
    later = examine(rules_in(document), RepositoryImages(images=()), NOW + timedelta(days=9))
    assert later.totals()["images"] == 0
