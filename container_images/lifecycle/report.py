"""Pure: what a lifecycle policy is about to do to a repository, and what it warns of."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from container_images.aws.image import Image
from container_images.aws.in_use import InUse
from container_images.aws.reference import Reference
from container_images.lifecycle.document import Rule
from container_images.lifecycle.listing import RepositoryImages, reference_of, subject_of
from container_images.lifecycle.simulation import Simulation, Verdict
from container_images.policies.document import ANY, compiled
from container_images.policies.forms import DEFAULT_MOVABLE_TAGS

Warnings = list[dict[str, Any]]
"""Of what in a policy or its outcome its author hardly meant: `warning`, its kind; `text`, a
sentence with the fix where there is one; `rule`, the priority of the rule, and `digests`, those of
the images that it is about."""

_Report = Iterator[dict[str, Any]]
_PARTS: Final = attrgetter("name", "registry_id", "region")
_LOSSES: Final = {"in-use-going", "in-use-unknown", "movable-tag-going", "signature-going"}


def losses(warnings: Warnings) -> Warnings:
    """Those for which nobody should apply the policy. What was not read may be in use."""
    return [warning for warning in warnings if warning["warning"] in _LOSSES]


def examine(
    rules: Sequence[Rule],
    repository: RepositoryImages,
    now: datetime,
    in_use: InUse | None = None,
    movable_tags: Sequence[str] = DEFAULT_MOVABLE_TAGS,
) -> tuple[list[Verdict], Warnings]:
    """What becomes of each image, the youngest first, and what there is to warn of: losses first.

    Without rules, there is no policy.
    """
    simulation = Simulation(rules, repository.images, now)
    warnings = [
        *_about_use(simulation.verdicts, repository.reference, in_use or InUse()),
        *_about_movable_tags(simulation, movable_tags),
        *_about_belongings(simulation.verdicts, repository.unread),
        *_about_rules(simulation),
    ]
    return simulation.verdicts, sorted(warnings, key=lambda each: each["warning"] not in _LOSSES)


def _warning(kind: str, text: str, rule: Rule | None = None, *images: Image) -> dict[str, Any]:
    digests = [image.digest for image in images]
    return {"warning": kind, "text": text, "rule": rule and rule.priority, "digests": digests}


def _expiry(verdict: Verdict) -> str:
    return f"{verdict.decided_by} would {verdict.action}"


def movable_tags_of(
    rules: Iterable[Rule], tag_mutability: str = "", exclusion_filters: Iterable[str] = ()
) -> tuple[str, ...]:
    """The tags, and behind them patterns of tags, that a repository itself says are moved.

    Those that a protective rule names: one pattern without a wildcard, of whose images it keeps
    one. And, where all other tags are immutable, those that the exclusion filters name. Where
    neither names a tag, DEFAULT_MOVABLE_TAGS.
    """
    tags = {
        rule.tags[0][0]
        for rule in rules
        if (rule.count_type, rule.number, rule.action) == ("imageCountMoreThan", 1, "expire")
        and [len(entry) for entry in rule.tags] == [1]
    }
    if tag_mutability == "IMMUTABLE_WITH_EXCLUSION":
        tags |= {*exclusion_filters}
    patterns = {tag for tag in tags if ANY in tag}
    return (*(sorted(tags - patterns) or DEFAULT_MOVABLE_TAGS), *sorted(patterns))


def taker_of(tag: str, rules: Iterable[Rule]) -> Rule | None:
    """The first rule that may take the image with a tag, whatever other tags the image has.

    None if the tag is protected: by a rule that selects at most one image, this one, and keeps one.
    """
    for rule in rules:
        if rule.archived or rule.tag_status == "untagged":
            continue
        # A pattern without a wildcard is one tag, and a tag is on one image.
        selects_one = any(len(entry) == 1 for entry in rule.tags)
        if not (selects_one and rule.count_type == "imageCountMoreThan"):
            return rule
        if all(compiled(entry).fullmatch(tag) for entry in rule.tags):
            return None
    return None


def _about_movable_tags(simulation: Simulation, movable_tags: Sequence[str]) -> _Report:
    for tag in (tag for tag in movable_tags if ANY not in tag):
        if unshielded := taker_of(tag, simulation.rules):
            text = (
                f"{unshielded} may take the image that {tag} names; before it, write a protective "
                f'rule, with "tagPatternList": ["{tag}"] and "imageCountMoreThan" 1'
            )
            yield _warning("movable-tag-unshielded", text, unshielded)
    movable = frozenset(movable_tags)
    kept = (verdict.image for verdict in simulation.verdicts if verdict.action == "keep")
    listed = {child for image in kept if not image.archived for child in image.children or ()}
    for place, verdict in enumerate(simulation.verdicts):
        image = verdict.image
        if movable.isdisjoint(image.tags):
            continue
        names = " and ".join(tag for tag in image.tags if tag in movable)
        bare = replace(image, tags=tuple(tag for tag in image.tags if tag not in movable))
        if verdict.action != "keep":
            text = f"{names} is on an image that {_expiry(verdict)}"
            yield _warning("movable-tag-going", text, verdict.decided_by, image)
        elif image.digest not in listed and (rule := simulation.taker(bare, place)):
            text = (
                f"{rule} would {rule.action} the image that {names} names as soon as the tag "
                "moves on; then no rollback to it is possible"
            )
            yield _warning("kept-by-movable-tag-alone", text, rule, image)


def _about_use(verdicts: Sequence[Verdict], here: Reference, in_use: InUse) -> _Report:
    for reason in in_use.unknown.values():
        yield _warning("in-use-unknown", f"it is not known what else is in use: {reason}")
    named = {tag: verdict for verdict in verdicts for tag in verdict.image.tags}
    named |= {verdict.image.digest: verdict for verdict in verdicts}
    for image, users in sorted(in_use.images.items()):
        reference = reference_of(image)
        # What either does not say of the repository is no difference. A tag may look like one.
        parts = zip(_PARTS(here), _PARTS(reference), strict=True)
        if image not in named and any(ours and its and ours != its for ours, its in parts):
            continue
        # Without tag and digest, it is the tag that Docker takes.
        use = named.get(image) or named.get(reference.image or "latest")
        user, *others = sorted(users) or [""]
        by = (f" by {user}" if user else "") + (f" and {len(others):,} more" if others else "")
        if use is None and reference.name and reference.name == here.name:
            yield _warning("in-use-missing", f"{image} is in use{by}, but there is no such image")
        if use is not None and use.action != "keep":
            text = f"{image} is in use{by}, and {_expiry(use)} it"
            yield _warning("in-use-going", text, use.decided_by, use.image)


def _about_belongings(verdicts: Sequence[Verdict], unread: str) -> _Report:
    """Of each image that stays and would lose a signature, an attestation or an SBOM.

    And of indexes, where it is not known what they list.
    """
    lost = [verdict for verdict in verdicts if verdict.action != "keep"]
    attached = defaultdict[str | None, list[Verdict]](list)
    for verdict in lost:
        attached[subject_of(verdict.image)].append(verdict)
    for image in (verdict.image for verdict in verdicts if verdict.action == "keep"):
        if going := attached.get(image.digest):
            parts = ", ".join(
                f"{(*each.image.tags, each.image.digest)[0]} ({_expiry(each)} it)" for each in going
            )
            name = " ".join((image.digest, *image.tags))
            text = f"{name} stays, and would lose what is attached to it: {parts}"
            gone = (each.image for each in going)
            yield _warning("signature-going", text, going[0].decided_by, image, *gone)
    images = [verdict.image for verdict in verdicts]
    unknown = sum(each.is_index and each.children is None and not each.archived for each in images)
    if unknown and lost:
        text = (
            f"it is not known what {unknown:,} of the indexes list: of the {len(lost):,} images "
            f"shown as going, those that an index lists stay{f' ({unread})' if unread else ''}"
        )
        yield _warning("children-unknown", text, None, *(each.image for each in lost))


def _about_rules(simulation: Simulation) -> _Report:
    """Of rules that do nothing, and of images that no rule ever takes."""
    rules, verdicts = simulation.rules, simulation.verdicts
    deciding = {verdict.decided_by.priority for verdict in verdicts if verdict.decided_by}
    for rule in (rule for rule in rules if rule.priority not in deciding):
        if simulation.selects(rule):
            text = f"{rule} has no effect: earlier rules match all its images"
            yield _warning("rule-without-effect", text, rule)
        else:
            yield _warning("rule-without-images", f"{rule} matches no image", rule)
    growth = "growth-without-bound"
    if not rules:
        yield _warning(growth, "there is no lifecycle policy: all images stay")
        return
    if not any(rule.tag_status != "tagged" and not rule.archived for rule in rules):
        text = "no rule matches untagged images: an image that loses its last tag stays"
        yield _warning(growth, text)
    unmatched = [each.image for each in verdicts if not each.decided_by and each.image.tags]
    for noun, is_attached in (("tagged images", False), ("attachments", True)):
        if stay := [image for image in unmatched if bool(subject_of(image)) is is_attached]:
            text = f"no rule matches {len(stay):,} of the {noun}, such as {stay[0].tags[0]}"
            yield _warning(growth, text, None, *stay)
    archiving = [rule for rule in rules if rule.action == "archive"]
    if archiving and not any(rule.archived for rule in rules):
        text = f"{archiving[0]} archives images, and no rule expires archived images"
        yield _warning(growth, text, archiving[0])
