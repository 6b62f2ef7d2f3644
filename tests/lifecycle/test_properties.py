"""What holds for every repository and every policy, and a second evaluator to compare with."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from container_images.aws.image import Image
from container_images.aws.in_use import InUse
from container_images.aws.reference import Reference, parse
from container_images.lifecycle.document import rules_in
from container_images.lifecycle.listing import RepositoryImages, subject_of
from container_images.lifecycle.report import examine, losses, movable_tags_of, taker_of
from container_images.lifecycle.simulation import Simulation
from container_images.policies.document import tag_glob
from container_images.policies.retention import RetentionRule, lifecycle_policy
from tests.lifecycle.documents import NOW, verdicts
from tests.lifecycle.strategies import (
    HISTORIES,
    HISTORIES_WITHOUT_REFERRERS,
    TAGS,
    policies,
    retentions,
    signed_histories,
)

# --- A second evaluator ---------------------------------------------------------------------------
# Straight from the sentences of
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
# as slow as they are read, and with nothing of the simulator's but its types.


def evaluate(document: dict[str, Any], images: list[Image]) -> dict[str, tuple[str, int | None]]:
    """What becomes of each image, by its digest: the action, and the rule that takes it."""
    rules = sorted(document["rules"], key=lambda rule: int(rule["rulePriority"]))
    # "All rules are evaluated at the same time, regardless of rule priority."
    identified = {
        rule["rulePriority"]: [item for item in images if sees(rule, item)] for rule in rules
    }
    marked = {rule["rulePriority"]: marks(rule, identified[rule["rulePriority"]]) for rule in rules}
    # "After all rules are evaluated, they are then applied based on rule priority."
    result: dict[str, tuple[str, int | None]] = {}
    for item in images:
        result[item.digest] = ("keep", None)
        for rule in rules:
            priority = rule["rulePriority"]
            if item in marked[priority]:
                action = "expire" if rule["action"]["type"] == "expire" else "archive"
                result[item.digest] = (action, priority)
            # "An image that matches the tagging requirements of a rule cannot be expired or
            # archived by a rule with a lower priority."
            if item in identified[priority]:
                break
    held = hold(images, result)
    changed = True
    while changed:
        changed = False
        for item in images:
            # "ECR lifecycle policies automatically expire or archive [reference artifacts] within
            # 24 hours of the deletion or archival of the subject image."
            subject = result.get(item.subject or "", ("keep", None))
            already = item.digest in held or (item.archived and subject[0] == "archive")
            if result[item.digest][0] == "keep" and subject[0] != "keep" and not already:
                result[item.digest] = subject
                changed = True
    return result


def hold(images: list[Image], result: dict[str, tuple[str, int | None]]) -> set[str]:
    held: set[str] = set()  # whatever an index that stays lists
    changed = True
    while changed:
        changed = False
        for item in images:
            # "If an image is referenced by a manifest list, it cannot be expired or archived
            # without the manifest list being deleted or archived first."
            parents = [
                index
                for index in images
                if item.digest in (index.children or ())
                and not index.archived
                and result[index.digest][0] == "keep"
            ]
            if parents:
                held.add(item.digest)
            if result[item.digest][0] != "keep" and parents:
                result[item.digest] = ("keep", None)
                changed = True
    return held


def sees(rule: dict[str, Any], item: Image) -> bool:
    selection = rule["selection"]
    # "The rule will only select images of this storage class."
    if item.archived != (selection.get("storageClass", "standard") == "archive"):
        return False
    match selection["tagStatus"]:
        case "any":
            return True
        case "untagged":
            return not item.tags
    # "An image is successfully matched if all of the tags in the tagPatternList or tagPrefixList
    # value are matched against any of the image's tags."
    if "tagPrefixList" in selection:
        return all(
            any(tag.startswith(prefix) for tag in item.tags)
            for prefix in selection["tagPrefixList"]
        )
    return all(
        any(re.fullmatch(pattern.replace("*", ".*"), tag) for tag in item.tags)
        for pattern in selection["tagPatternList"]
    )


def marks(rule: dict[str, Any], identified: list[Image]) -> list[Image]:
    number = rule["selection"]["countNumber"]
    limit = timedelta(days=number)
    match rule["selection"]["countType"]:
        case "imageCountMoreThan":
            # "Images are sorted from youngest to oldest based on pushed_at_time and then all images
            # greater than the specified count are expired or archived."
            return [
                item
                for item in identified
                if sum(
                    (age(other), item.digest) < (age(item), other.digest) for other in identified
                )
                >= number
            ]
        case "sinceImagePushed":
            return [item for item in identified if age(item) > limit]
        case "sinceImageTransitioned":
            return [
                item for item in identified if item.archived_at and NOW - item.archived_at > limit
            ]
    return [item for item in identified if NOW - used(item) > limit]


def age(item: Image) -> timedelta:
    # "If an image was archived and then restored at any point in the past, the image's
    # last_activated_at is used instead of pushed_at_time."
    return NOW - (item.activated_at or item.pushed_at)


def used(item: Image) -> datetime:
    # "If an image was never pulled, the image's pushed_at_time is used instead."
    if item.pulled_at is None:
        return item.activated_at or item.pushed_at
    # "If an image was archived and then restored at any point in the past, but never pulled since
    # the image was restored, the image's last_activated_at is used instead."
    if item.activated_at is not None and item.pulled_at < item.activated_at:
        return item.activated_at
    return item.pulled_at


@given(policies(), HISTORIES)
@settings(max_examples=2 * settings().max_examples)  # of the profile's
def test_a_second_evaluator_agrees(document: dict[str, Any], listed: list[Image]) -> None:
    assert {
        digest: (verdict.action, verdict.rule)
        for digest, verdict in verdicts(document, listed).items()
    } == evaluate(document, listed)


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


def _about(promise: RetentionRule, item: Image) -> bool:
    if "tags" in promise:
        return any(tag_glob(promise["tags"], tag) for tag in item.tags)
    if "archived" in promise:
        return item.archived
    return not item.tags if "untagged" in promise else True


@given(retentions(), HISTORIES_WITHOUT_REFERRERS)
@settings(max_examples=2 * settings().max_examples)  # of the profile's
def test_the_stack_s_policy_keeps_what_it_promises(
    chosen: tuple[list[str], list[RetentionRule]], listed: list[Image]
) -> None:
    movable, promises = chosen
    document = lifecycle_policy(movable, promises)
    rules = rules_in(document) if document["rules"] else ()
    assert {tag for tag in movable if taker_of(tag, rules)} == set()
    assert not movable or {*movable} <= {*movable_tags_of(rules)}
    # The youngest first, as the simulator has them: the order is the order of age.
    simulated = Simulation(rules, listed, NOW).verdicts
    standard = [verdict for verdict in simulated if not verdict.image.archived]
    for verdict in standard:
        assert verdict.action == "keep" or not {*verdict.image.tags} & {*movable}
        first = next((rule for rule in promises if _about(rule, verdict.image)), None)
        if first and "keep_newest" in first:
            # The first rule about an image is the one that decides: no age, however high, counts.
            assert verdict.rule in (None, len(movable) + promises.index(first) + 1)
    for position, promise in enumerate(promises):
        matching = [verdict for verdict in standard if _about(promise, verdict.image)]
        for verdict in matching[: promise.get("keep_newest", 0)]:
            if verdict.rule is not None:
                number = verdict.rule - len(movable) - 1
                assert 0 <= number < position
                assert _about(promises[number], verdict.image)


# --- What belongs together, and what is in use ----------------------------------------------------


def unnamed(listed: list[Image]) -> RepositoryImages:
    return RepositoryImages(images=tuple(listed), reference=Reference(name=""))


@given(policies(), signed_histories())
def test_what_stays_keeps_what_belongs_to_it_or_there_is_a_warning(
    document: dict[str, Any], listed: list[Image]
) -> None:
    simulated, warnings = examine(rules_in(document), unnamed(listed), NOW)
    stays = {verdict.image.digest for verdict in simulated if verdict.action == "keep"}
    warned = {
        (warning["digests"][0], digest)
        for warning in losses(warnings)
        if warning["warning"] == "signature-going"
        for digest in warning["digests"][1:]
    }
    for verdict in simulated:
        if verdict.image.digest in stays and not verdict.image.archived:
            assert {*(verdict.image.children or ())} & {item.digest for item in listed} <= stays
        subject = subject_of(verdict.image)
        lost = verdict.action != "keep" and subject in stays
        assert ((subject, verdict.image.digest) in warned) is lost


@given(policies(), signed_histories(), st.data())
def test_what_is_in_use_and_would_go_is_in_the_warnings(
    document: dict[str, Any], listed: list[Image], data: st.DataObject
) -> None:
    account, other = "111122223333", "444455556666"
    here = f"{account}.dkr.ecr.eu-west-2.amazonaws.com/app"
    names = [(item.digest, f"@{item.digest}") for item in listed]
    names += [(item.digest, f":{tag}") for item in listed for tag in item.tags]
    used = data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    unknown = {"a": "no permission"} if data.draw(st.booleans()) else {}
    in_use = InUse(images={f"{here}{name}": set() for _, name in used}, unknown=unknown)
    for uri, is_ours in ((here, True), (here.replace(account, other), False)):
        repository = RepositoryImages(images=tuple(listed), reference=parse(uri))
        simulated, warnings = examine(rules_in(document), repository, NOW, in_use, ())
        goes = {verdict.image.digest for verdict in simulated if verdict.action != "keep"}
        lost = {digest for digest, _ in used if digest in goes and is_ours}
        going = [warning for warning in warnings if warning["warning"] == "in-use-going"]
        assert {digest for warning in going for digest in warning["digests"]} == lost
        assert bool(losses(warnings)) >= bool(lost or unknown)


@given(policies(), HISTORIES_WITHOUT_REFERRERS, st.lists(st.sampled_from(TAGS), unique=True))
def test_an_image_that_its_movable_tag_alone_keeps_goes_without_it(
    document: dict[str, Any], listed: list[Image], movable: list[str]
) -> None:
    """The warning simulates one image; here the whole repository is simulated again."""
    rules = rules_in(document)
    # No index lists itself, or one that lists it: its digest is made of those that it lists.
    listed = [
        replace(
            index, children=tuple(child for child in index.children or () if child < index.digest)
        )
        for index in listed
    ]
    simulated, warnings = examine(rules, unnamed(listed), NOW, movable_tags=movable)
    warned = {
        warning["digests"][0]
        for warning in warnings
        if warning["warning"] == "kept-by-movable-tag-alone"
    }
    for verdict in simulated:
        digest, tags = verdict.image.digest, verdict.image.tags
        bare = replace(verdict.image, tags=tuple(tag for tag in tags if tag not in movable))
        others = [other for other in listed if other.digest != digest]
        after = verdicts(document, [*others, bare])[digest].action
        alone = bare.tags != tags and verdict.action == "keep" != after
        assert (digest in warned) is alone
