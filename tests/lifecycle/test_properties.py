"""What holds for every repository and every policy, and a second evaluator to compare with."""

import random
import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container_images.aws.image import Image
from container_images.aws.in_use import InUse, Use
from container_images.aws.reference import Reference
from container_images.lifecycle import simulation
from container_images.lifecycle.document import rules_in
from container_images.lifecycle.listing import RepositoryImages, subject_of
from container_images.lifecycle.report import examine, movable_tags_of, taker_of
from container_images.lifecycle.simulation import Verdict, simulate
from container_images.policies.patterns import tag_glob
from container_images.policies.retention import RetentionRule, lifecycle_policy
from tests.lifecycle.documents import (
    ANY,
    NOW,
    UNTAGGED,
    count,
    days_ago,
    image,
    images,
    older,
    policy,
    tagged,
    verdicts,
)
from tests.lifecycle.strategies import TAGS, histories, policies, retentions, signed_histories

# --- Any policy -----------------------------------------------------------------------------------


@given(policies(), histories(), st.randoms(use_true_random=False))
def test_the_order_of_images_and_rules_changes_nothing(
    document: dict[str, Any], listed: list[Image], chance: random.Random
) -> None:
    rules = list(rules_in(document))
    before = simulate(rules, listed, NOW)
    for order in (rules, listed):
        chance.shuffle(order)
    assert simulate(rules, listed, NOW) == before


@given(policies(), histories())
def test_each_image_has_one_verdict_by_a_rule_that_exists(
    document: dict[str, Any], listed: list[Image]
) -> None:
    rules = {rule.priority: rule for rule in rules_in(document)}
    result = simulate(rules.values(), listed, NOW)
    assert sorted(it.image.digest for it in result) == sorted(it.digest for it in listed)
    for verdict in result:
        assert (verdict.rule is None) is (verdict.action == "keep")
        if verdict.rule is not None:
            assert rules[verdict.rule].action == verdict.action
            assert (verdict.shielded_by, verdict.held_by) == (None, None)
        assert verdict.shielded_by is None or verdict.shielded_by in rules


@given(policies(), histories(referrers=False), st.data())
def test_a_rule_before_all_others_can_shield_any_image(
    document: dict[str, Any], listed: list[Image], data: st.DataObject
) -> None:
    if candidates := [it for it in listed if it.tags and not it.archived]:
        shielded = data.draw(st.sampled_from(candidates))
        for later in document["rules"]:
            later["rulePriority"] += 1
        document["rules"] += policy(tagged(shielded.tags[0]) | count(1))["rules"]
        verdict = verdicts(document, listed)[shielded.digest]
        assert (verdict.action, verdict.shielded_by) == ("keep", 1)


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
    number = rule["selection"]["countNumber"]
    limit = timedelta(days=number)
    match rule["selection"]["countType"]:
        case "imageCountMoreThan":
            # "Images are sorted from youngest to oldest based on pushed_at_time and then all images
            # greater than the specified count are expired or archived."
            return [
                it
                for it in found
                if sum((age(one), it.digest) < (age(it), one.digest) for one in found) >= number
            ]
        case "sinceImagePushed":
            return [it for it in found if age(it) > limit]
        case "sinceImageTransitioned":
            return [it for it in found if it.archived_at and NOW - it.archived_at > limit]
    return [it for it in found if NOW - used(it) > limit]


def age(it: Image) -> timedelta:
    # "If an image was archived and then restored at any point in the past, the image's
    # last_activated_at is used instead of pushed_at_time."
    return NOW - (it.activated_at or it.pushed_at)


def used(it: Image) -> datetime:
    # "If an image was never pulled, the image's pushed_at_time is used instead."
    if it.pulled_at is None:
        return it.activated_at or it.pushed_at
    # "If an image was archived and then restored at any point in the past, but never pulled since
    # the image was restored, the image's last_activated_at is used instead."
    if it.activated_at is not None and it.pulled_at < it.activated_at:
        return it.activated_at
    return it.pulled_at


def agree(document: dict[str, Any], listed: list[Image]) -> bool:
    result = verdicts(document, listed).items()
    return {key: (it.action, it.rule) for key, it in result} == evaluate(document, listed)


@given(policies(), histories())
@settings(max_examples=2 * settings().max_examples)  # of the profile's
def test_a_second_evaluator_agrees(document: dict[str, Any], listed: list[Image]) -> None:
    assert agree(document, listed)


@pytest.mark.parametrize("fault", ["ages", "holds", "shields"])
def test_the_second_evaluator_notices_a_mistake(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time one sentence is broken, and the comparison sees it."""
    document = policy(UNTAGGED | older(3), ANY | count(1))
    listed = [
        image("index", "b", children=("child",)),
        *images({"young": 2, "child": 9}),
        image("restored", days=9, activated_at=days_ago(1)),
    ]
    assert agree(document, listed)
    if fault == "ages":
        monkeypatch.setattr(Image, "since", property(lambda it: it.pushed_at))
    elif fault == "holds":
        monkeypatch.setattr(simulation, "_hold", lambda *_: ({}, ()))
    else:
        due = simulation._due
        monkeypatch.setattr(
            simulation,
            "selections",
            lambda rules, ordered: [
                (
                    rule,
                    [
                        n
                        for n, it in enumerate(ordered)
                        if rule.number == 1 or due(rule, it, 0, NOW)
                    ],
                )
                for rule in rules
            ],
        )
    assert not agree(document, listed)


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
    movable: list[str], rules: list[RetentionRule], result: list[Verdict]
) -> list[str]:
    """Each image that the settings promise to keep and the policy takes."""
    # The youngest first, as the simulator has them: the order is the order of age.
    standard = [it for it in result if not it.image.archived]
    broken = [
        f"{it.image.digest} has a movable tag"
        for it in standard
        if it.action != "keep" and {*it.image.tags} & {*movable}
    ]
    for position, promise in enumerate(rules):
        matching = [it for it in standard if _about(promise, it.image)]
        for it in matching[: promise.get("keep_newest", 0)]:
            number = len(rules) if it.rule is None else it.rule - len(movable) - 1
            earlier = 0 <= number < position and _about(rules[number], it.image)
            if it.rule is not None and not earlier:
                broken.append(f"{it.image.digest} is one of the newest of [{position}]")
    return broken


def _about(promise: RetentionRule, it: Image) -> bool:
    if "tags" in promise:
        return any(tag_glob(promise["tags"], tag) for tag in it.tags)
    if "archived" in promise:
        return it.archived
    return not it.tags if "untagged" in promise else True


@given(retentions(), histories(referrers=False))
@settings(max_examples=2 * settings().max_examples)  # of the profile's
def test_the_stack_s_policy_keeps_what_it_promises(
    chosen: tuple[list[str], list[RetentionRule]], listed: list[Image]
) -> None:
    movable, promises = chosen
    document = lifecycle_policy(movable, promises)
    rules = rules_in(document) if document["rules"] else ()
    result = simulate(rules, listed, NOW)
    assert broken_promises(movable, promises, result) == []
    assert {tag for tag in movable if taker_of(tag, rules)} == set()
    assert not movable or {*movable} <= {*movable_tags_of(rules)}
    for it in result:
        first = next((rule for rule in promises if _about(rule, it.image)), None)
        if first and "keep_newest" in first and not it.image.archived:
            # The first rule about an image is the one that decides: no age, however high, counts.
            assert it.rule in (None, len(movable) + promises.index(first) + 1)


@pytest.mark.parametrize(
    ("number", "weakness"),
    [
        (0, {"tagPatternList": ["lates"]}),
        (0, {"tagPatternList": ["latest*"]}),
        (1, {"countNumber": 1}),
        (1, older(1)),
    ],
)
def test_a_policy_that_breaks_the_promise_is_noticed(number: int, weakness: dict[str, Any]) -> None:
    promises = [RetentionRule(tags="prod-*", keep_newest=2), RetentionRule(any=True, keep_newest=1)]
    listed = images({"1 prod-1": 5, "2 latest prod-2": 9, "3 prod-3": 4, "4 latest-arm64": 3})
    document = lifecycle_policy(["latest"], promises)
    assert broken_promises(["latest"], promises, simulate(rules_in(document), listed, NOW)) == []
    document["rules"][number]["selection"].update(weakness)
    assert broken_promises(["latest"], promises, simulate(rules_in(document), listed, NOW))


# --- What belongs together, and what is in use ----------------------------------------------------


@given(policies(), signed_histories())
def test_what_stays_keeps_what_belongs_to_it_or_there_is_a_warning(
    document: dict[str, Any], listed: list[Image]
) -> None:
    report = examine(rules_in(document), RepositoryImages(images=tuple(listed)), NOW)
    stays = {it.image.digest for it in report.verdicts if it.action == "keep"}
    warned = {
        (warning.digests[0], digest)
        for warning in report.losses
        if warning.kind == "signature-going"
        for digest in warning.digests[1:]
    }
    for it in report.verdicts:
        if it.image.digest in stays and not it.image.archived:
            assert {*(it.image.children or ())} & {one.digest for one in listed} <= stays
        subject = subject_of(it.image)
        lost = it.action != "keep" and subject in stays
        assert ((subject, it.image.digest) in warned) is lost


@given(policies(), histories(), st.data())
def test_what_is_in_use_and_would_go_is_in_the_warnings(
    document: dict[str, Any], listed: list[Image], data: st.DataObject
) -> None:
    names = [(it.digest, name) for it in listed for name in (it.digest, *it.tags)]
    used = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    here = Reference(name="app", registry_id="1", region="eu-west-2")
    uses = [Use(written=f"app:{name}", reference=replace(here, image=name)) for _, name in used]
    unknown = {"a": "no permission"} if data.draw(st.booleans()) else {}
    for account in ("1", "2"):
        repository = RepositoryImages(images=tuple(listed), name="app", registry_id=account)
        in_use = InUse(uses=uses, unknown=unknown)
        report = examine(rules_in(document), repository, NOW, in_use, ())
        goes = {it.image.digest for it in report.verdicts if it.action != "keep"}
        lost = {digest for digest, _ in used if digest in goes} if account == "1" else set()
        going = [it for it in report.warnings if it.kind == "in-use-going"]
        assert {digest for it in going for digest in it.digests} == lost
        assert bool(report.losses) >= bool(lost or unknown)


@given(policies(), histories(referrers=False))
def test_what_is_called_shielded_is_never_taken(
    document: dict[str, Any], listed: list[Image]
) -> None:
    shielded = {tag for tag in TAGS if taker_of(tag, rules_in(document)) is None}
    for it in verdicts(document, listed).values():
        assert it.action == "keep" or it.image.archived or not shielded & {*it.image.tags}


@given(policies(), histories(referrers=False), st.lists(st.sampled_from(TAGS), unique=True))
def test_an_image_that_its_movable_tag_alone_keeps_goes_without_it(
    document: dict[str, Any], listed: list[Image], movable: list[str]
) -> None:
    """The warning simulates one image; here the whole repository is simulated again."""
    rules = rules_in(document)
    # No index lists itself, or one that lists it: its digest is made of those that it lists.
    listed = [
        replace(it, children=tuple(child for child in it.children or () if child < it.digest))
        for it in listed
    ]
    report = examine(rules, RepositoryImages(images=tuple(listed)), NOW, movable_tags=movable)
    warned = {it.digests[0] for it in report.warnings if it.kind == "kept-by-movable-tag-alone"}
    for it in report.verdicts:
        bare = replace(it.image, tags=tuple(tag for tag in it.image.tags if tag not in movable))
        others = [one for one in listed if one.digest != bare.digest]
        [after] = [one for one in simulate(rules, [*others, bare], NOW) if one.image is bare]
        alone = bare.tags != it.image.tags and it.action == "keep" and after.action != "keep"
        assert (bare.digest in warned) is alone
