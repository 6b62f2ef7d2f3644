"""What holds for every repository and every policy, and a second evaluator to compare with."""

import random
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container_images.aws.image import Image
from container_images.aws.reference import Reference
from container_images.lifecycle import simulation
from container_images.lifecycle.attachments import subject_of
from container_images.lifecycle.document import problems_in, rules_in
from container_images.lifecycle.in_use import InUse, Use
from container_images.lifecycle.listing import RepositoryImages
from container_images.lifecycle.report import examine
from container_images.lifecycle.simulation import Verdict, simulate
from container_images.policies.patterns import tag_glob
from container_images.policies.retention import RetentionRule, lifecycle_policy
from tests.lifecycle.documents import NOW, days_ago, image, verdicts
from tests.lifecycle.strategies import (
    TAGS,
    histories,
    policies,
    retentions,
    signed_histories,
    spoilt_policies,
)

# --- Any policy -----------------------------------------------------------------------------------


@given(policies(), histories(), st.randoms(use_true_random=False))
def test_the_order_of_images_and_rules_changes_nothing(
    document: dict[str, Any], images: list[Image], chance: random.Random
) -> None:
    rules = list(rules_in(document))
    told = simulate(rules, images, NOW)
    for order in (rules, images):
        chance.shuffle(order)
    assert simulate(rules, images, NOW) == told


@given(policies(), histories())
def test_each_image_is_told_once_and_goes_by_one_rule_that_exists(
    document: dict[str, Any], images: list[Image]
) -> None:
    rules = {rule.priority: rule for rule in rules_in(document)}
    told = simulate(rules.values(), images, NOW)
    assert sorted(it.image.digest for it in told) == sorted(it.digest for it in images)
    for it in told:
        assert (it.rule is None) is (it.action == "keep")
        if it.rule is not None:
            assert rules[it.rule].action == it.action
            assert it.shielded_by is None
            assert it.held_by is None
        assert it.shielded_by is None or it.shielded_by in rules


@given(spoilt_policies(), histories())
def test_whatever_stands_in_a_document_is_refused_in_words_or_simulated(
    document: Any, images: list[Image]
) -> None:
    if found := list(problems_in(document)):
        assert all(str(fault) for fault in found)
    else:
        assert len(simulate(rules_in(document), images, NOW)) == len(images)


@given(histories())
def test_without_rules_all_images_stay(images: list[Image]) -> None:
    assert {it.action for it in simulate((), images, NOW)} <= {"keep"}


@given(policies(), histories(referrers=False), st.data())
def test_a_rule_before_all_others_can_shield_any_image(
    document: dict[str, Any], images: list[Image], data: st.DataObject
) -> None:
    tagged = [it for it in images if it.tags and not it.archived]
    if tagged:
        one = data.draw(st.sampled_from(tagged))
        shield = {
            "rulePriority": 1,
            "selection": {
                "tagStatus": "tagged",
                "tagPatternList": [one.tags[0]],
                "countType": "imageCountMoreThan",
                "countNumber": 1,
            },
            "action": {"type": "expire"},
        }
        for rule in document["rules"]:
            rule["rulePriority"] += 1
        found = verdicts({"rules": [*document["rules"], shield]}, images)
        assert (found[one.digest].action, found[one.digest].shielded_by) == ("keep", 1)


# --- A second evaluator ---------------------------------------------------------------------------
# Straight from the sentences of
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
# as slow as they are read, and with nothing of the simulator's but its types.


def evaluate(document: dict[str, Any], images: list[Image]) -> dict[str, tuple[str, int | None]]:
    """What becomes of each image, by its digest: the action, and the rule that takes it."""
    rules = sorted(document["rules"], key=lambda rule: int(rule["rulePriority"]))
    # "All rules are evaluated at the same time, regardless of rule priority."
    identified = {rule["rulePriority"]: [it for it in images if sees(rule, it)] for rule in rules}
    marked = {rule["rulePriority"]: marks(rule, identified[rule["rulePriority"]]) for rule in rules}
    # "After all rules are evaluated, they are then applied based on rule priority."
    result: dict[str, tuple[str, int | None]] = {}
    for it in images:
        result[it.digest] = ("keep", None)
        for rule in rules:
            priority = rule["rulePriority"]
            if it in marked[priority]:
                action = "expire" if rule["action"]["type"] == "expire" else "archive"
                result[it.digest] = (action, priority)
            # "An image that matches the tagging requirements of a rule cannot be expired or
            # archived by a rule with a lower priority."
            if it in identified[priority]:
                break
    held = hold(images, result)
    changed = True
    while changed:
        changed = False
        for it in images:
            # "ECR lifecycle policies automatically expire or archive [reference artifacts] within
            # 24 hours of the deletion or archival of the subject image."
            subject = result.get(it.subject or "", ("keep", None))
            already = it.digest in held or (it.archived and subject[0] == "archive")
            if result[it.digest][0] == "keep" and subject[0] != "keep" and not already:
                result[it.digest] = subject
                changed = True
    return result


def hold(images: list[Image], result: dict[str, tuple[str, int | None]]) -> set[str]:
    held: set[str] = set()  # whatever an index that stays lists
    changed = True
    while changed:
        changed = False
        for it in images:
            # "If an image is referenced by a manifest list, it cannot be expired or archived
            # without the manifest list being deleted or archived first."
            parents = [
                index
                for index in images
                if it.digest in (index.children or ())
                and not index.archived
                and result[index.digest][0] == "keep"
            ]
            if parents:
                held.add(it.digest)
            if result[it.digest][0] != "keep" and parents:
                result[it.digest] = ("keep", None)
                changed = True
    return held


def sees(rule: dict[str, Any], it: Image) -> bool:
    selection = rule["selection"]
    # "The rule will only select images of this storage class."
    if it.archived != (selection.get("storageClass", "standard") == "archive"):
        return False
    match selection["tagStatus"]:
        case "any":
            return True
        case "untagged":
            return not it.tags
    # "An image is successfully matched if all of the tags in the tagPatternList or tagPrefixList
    # value are matched against any of the image's tags."
    if "tagPrefixList" in selection:
        return all(
            any(tag.startswith(prefix) for tag in it.tags) for prefix in selection["tagPrefixList"]
        )
    return all(
        any(re.fullmatch(pattern.replace("*", ".*"), tag) for tag in it.tags)
        for pattern in selection["tagPatternList"]
    )


def marks(rule: dict[str, Any], found: list[Image]) -> list[Image]:
    selection = rule["selection"]
    number = selection["countNumber"]

    # "If an image was archived and then restored at any point in the past, the image's
    # last_activated_at is used instead of pushed_at_time."
    def age(it: Image) -> timedelta:
        return NOW - (it.activated_at or it.pushed_at)

    match selection["countType"]:
        case "imageCountMoreThan":
            # "Images are sorted from youngest to oldest based on pushed_at_time and then all images
            # greater than the specified count are expired or archived."
            return [
                it
                for it in found
                if sum((age(one), it.digest) < (age(it), one.digest) for one in found) >= number
            ]
        case "sinceImagePushed":
            return [it for it in found if age(it) > timedelta(days=number)]
        case "sinceImageTransitioned":
            return [
                it
                for it in found
                if it.archived_at is not None and NOW - it.archived_at > timedelta(days=number)
            ]
    unused = []
    for it in found:
        pulled = it.pulled_at
        # "If an image was never pulled, the image's pushed_at_time is used instead."
        if pulled is None:
            pulled = it.pushed_at
            if it.activated_at is not None:
                pulled = it.activated_at
        # "If an image was archived and then restored at any point in the past, but never pulled
        # since the image was restored, the image's last_activated_at is used instead."
        elif it.activated_at is not None and pulled < it.activated_at:
            pulled = it.activated_at
        if NOW - pulled > timedelta(days=number):
            unused.append(it)
    return unused


def decided(document: dict[str, Any], images: list[Image]) -> dict[str, tuple[str, int | None]]:
    return {key: (it.action, it.rule) for key, it in verdicts(document, images).items()}


@given(policies(), histories())
@settings(max_examples=2 * settings().max_examples)  # of the profile's
def test_a_second_evaluator_agrees(document: dict[str, Any], images: list[Image]) -> None:
    assert list(problems_in(document)) == []
    assert decided(document, images) == evaluate(document, images)


@pytest.mark.parametrize("fault", ["ages", "holds", "shields"])
def test_the_second_evaluator_notices_a_mistake(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time one sentence is broken, and the comparison sees it."""
    document = {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": 3,
                },
                "action": {"type": "expire"},
            },
            {
                "rulePriority": 2,
                "selection": {
                    "tagStatus": "any",
                    "countType": "imageCountMoreThan",
                    "countNumber": 1,
                },
                "action": {"type": "expire"},
            },
        ]
    }
    images = [
        image("index", "b", children=("child",)),
        image("young", days=2),
        image("child", days=9),
        image("restored", days=9, activated_at=days_ago(1)),
    ]
    assert decided(document, images) == evaluate(document, images)
    match fault:
        case "ages":
            monkeypatch.setattr(Image, "since", property(lambda it: it.pushed_at))
        case "holds":
            monkeypatch.setattr(simulation, "_hold", lambda *_: ({}, ()))
        case "shields":
            due = simulation._due
            monkeypatch.setattr(
                simulation,
                "selections",
                lambda rules, images: [
                    (rule, [it for it in images if rule.number == 1 or due(rule, it, 0, NOW)])
                    for rule in rules
                ],
            )
    assert decided(document, images) != evaluate(document, images)


# --- The policy that this stack writes ------------------------------------------------------------
# The guarantee, for valid settings and any history of standard images:
#
# 1. An image with a movable tag stays.
# 2. No image among the newest N that match the pattern of a rule {tags: PATTERN, keepNewest: N} is
#    taken by that rule or by a later one. It can go only by an *earlier* rule which one of its tags
#    matches as well: by that rule's own number. So a rule that no earlier one overlaps keeps its N,
#    all of them. The same goes for {any: true, keepNewest: N} and all images.
# 3. An image that an index lists stays as long as the index.
#
# A referrer is left out: it goes with its subject, whatever its own tags say.


def broken_promises(
    movable: list[str], rules: list[RetentionRule], told: list[Verdict]
) -> list[str]:
    """Each image that the settings promise to keep and the policy takes."""
    # The youngest first, as the simulator tells them: the order is the order of age.
    standard = [it for it in told if not it.image.archived]
    broken = [
        f"{it.image.digest} has a movable tag"
        for it in standard
        if it.action != "keep" and set(it.image.tags) & set(movable)
    ]
    offset = len(movable)
    for position, rule in enumerate(rules):
        if "keep_newest" not in rule:
            continue
        found = [
            it
            for it in standard
            if "any" in rule or any(tag_glob(rule["tags"], tag) for tag in it.image.tags)
        ]
        for it in found[: rule["keep_newest"]]:
            if it.rule is None:
                continue
            taker = rules[it.rule - offset - 1] if it.rule > offset else None
            earlier = taker is not None and it.rule - offset - 1 < position
            if not (earlier and taker is not None and _about(taker, it.image)):
                broken.append(f"{it.image.digest} is one of the newest of [{position}]")
    return broken


def _about(rule: RetentionRule, it: Image) -> bool:
    if "tags" in rule:
        return any(tag_glob(rule["tags"], tag) for tag in it.tags)
    if "archived" in rule:
        return it.archived
    return not it.tags if "untagged" in rule else True


@given(retentions(), histories(referrers=False))
@settings(max_examples=2 * settings().max_examples)  # of the profile's
def test_the_stack_s_policy_keeps_what_it_promises(
    settings_: tuple[list[str], list[RetentionRule]], images: list[Image]
) -> None:
    movable, rules = settings_
    document = lifecycle_policy(movable, rules)
    if document["rules"]:
        assert list(problems_in(document)) == []
    told = simulate(rules_in(document) if document["rules"] else (), images, NOW)
    assert broken_promises(movable, rules, told) == []
    for it in told:
        alone = [rule for rule in rules if _about(rule, it.image)]
        if alone and "keep_newest" in alone[0] and not it.image.archived:
            # The first rule about an image is the one that decides: no age, however high, counts.
            number = len(movable) + rules.index(alone[0]) + 1
            assert it.rule in (None, number)


@pytest.mark.parametrize("weakness", ["shield last", "no shield", "prefix", "count less", "age"])
def test_a_policy_that_breaks_the_promise_is_noticed(weakness: str) -> None:
    movable = ["latest"]
    rules = [RetentionRule(tags="prod-*", keep_newest=2), RetentionRule(any=True, keep_newest=1)]
    images = [
        image("1", "prod-1", days=5, activated_at=None),
        image("2", "latest", "prod-2", days=9),
        image("3", "prod-3", days=4),
        image("4", "latest-arm64", days=3),
    ]
    document = lifecycle_policy(movable, rules)
    assert broken_promises(movable, rules, simulate(rules_in(document), images, NOW)) == []
    written = document["rules"]
    match weakness:
        case "shield last":
            written[0]["rulePriority"], written[1]["rulePriority"] = 2, 1
        case "no shield":
            written[0]["selection"]["tagPatternList"] = ["lates"]
        case "prefix":
            written[0]["selection"]["tagPatternList"] = ["latest*"]
        case "count less":
            written[1]["selection"]["countNumber"] = 1
        case "age":
            del written[1]["selection"]["tagPatternList"]
            written[1]["selection"].update(
                tagPatternList=["prod-*"],
                countType="sinceImagePushed",
                countUnit="days",
                countNumber=1,
            )
    assert broken_promises(movable, rules, simulate(rules_in(document), images, NOW))


# --- What belongs together, and what is in use ----------------------------------------------------


@given(policies(), signed_histories())
def test_what_stays_keeps_what_belongs_to_it_or_there_is_a_warning(
    document: dict[str, Any], images: list[Image]
) -> None:
    rules, repository = rules_in(document), RepositoryImages(images=tuple(images))
    report = examine(rules, repository, NOW)
    stays = {it.image.digest for it in report.verdicts if it.action == "keep"}
    warned = {
        (warning.digests[0], digest)
        for warning in report.losses
        if warning.kind == "signature-going"
        for digest in warning.digests[1:]
    }
    for it in report.verdicts:
        kept = it.image.digest in stays
        if kept and not it.image.archived:
            assert {*(it.image.children or ())} & {one.digest for one in images} <= stays
        subject = subject_of(it.image)
        lost = it.action != "keep" and subject in stays
        assert ((subject, it.image.digest) in warned) is lost


@given(policies(), histories(), st.data())
def test_what_is_in_use_and_would_go_is_in_the_warnings(
    document: dict[str, Any], images: list[Image], data: st.DataObject
) -> None:
    names = [(it.digest, name) for it in images for name in (it.digest, *it.tags)]
    some = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    uses = [
        Use(
            written=f"app:{name}",
            reference=Reference(name="app", image=name, registry_id="1", region="eu-west-2"),
        )
        for _, name in some
    ]
    unknown = data.draw(st.lists(st.just("no permission"), max_size=1))
    for account in ("1", "2"):
        repository = RepositoryImages(images=tuple(images), name="app", registry_id=account)
        in_use = InUse(uses=uses, unknown=unknown)
        report = examine(rules_in(document), repository, NOW, in_use, ())
        goes = {it.image.digest for it in report.verdicts if it.action != "keep"}
        lost = {digest for digest, _ in some if digest in goes} if account == "1" else set()
        going = [it for it in report.warnings if it.kind == "in-use-going"]
        assert {digest for it in going for digest in it.digests} == lost
        assert bool(report.losses) >= bool(lost or unknown)


@given(policies(), histories(referrers=False), st.lists(st.sampled_from(TAGS), unique=True))
def test_an_image_that_its_movable_tag_alone_keeps_goes_without_it(
    document: dict[str, Any], images: list[Image], movable: list[str]
) -> None:
    """The warning simulates one image; here the whole repository is simulated again."""
    rules = rules_in(document)
    # No index lists itself, or one that lists it: its digest is made of those that it lists.
    images = [
        replace(it, children=tuple(child for child in it.children or () if child < it.digest))
        for it in images
    ]
    report = examine(rules, RepositoryImages(images=tuple(images)), NOW, movable_tags=movable)
    warned = {it.digests[0] for it in report.warnings if it.kind == "kept-by-movable-tag-alone"}
    for it in report.verdicts:
        bare = replace(it.image, tags=tuple(tag for tag in it.image.tags if tag not in movable))
        others = [one for one in images if one.digest != bare.digest]
        [after] = [one for one in simulate(rules, [*others, bare], NOW) if one.image is bare]
        alone = bare.tags != it.image.tags and it.action == "keep" and after.action != "keep"
        assert (bare.digest in warned) is alone
