"""Pure: what a lifecycle policy is about to do to a repository, and what it warns of."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from container_images.aws.image import Image
from container_images.aws.reference import Reference
from container_images.lifecycle.attachments import subject_of
from container_images.lifecycle.document import Rule
from container_images.lifecycle.in_use import InUse
from container_images.lifecycle.listing import RepositoryImages
from container_images.lifecycle.simulation import Verdict, by_age, judge, selections, taker
from container_images.policies.patterns import compiled
from container_images.policies.retention import MAX_IMAGES
from container_images.policies.tag_mutability import DEFAULT_MOVABLE_TAGS

Kind = Literal[
    "in-use-going",
    "in-use-unknown",
    "movable-tag-going",
    "signature-going",
    "movable-tag-unshielded",
    "kept-by-movable-tag-alone",
    "in-use-missing",
    "rule-without-images",
    "rule-without-effect",
    "growth-without-bound",
    "children-unknown",
]

LOSSES: Final = frozenset[Kind](
    ("in-use-going", "in-use-unknown", "movable-tag-going", "signature-going")
)
"""What was not read may be in use: it counts as a loss, too."""

_Selected = Sequence[tuple[Rule, Sequence[Image]]]


@dataclass(frozen=True)
class PolicyWarning:
    """Something in the policy or its outcome that its author hardly meant."""

    kind: Kind
    text: str
    """A sentence, with the fix where there is one."""
    rule: Rule | None = None
    """The rule that it is about."""
    digests: tuple[str, ...] = ()
    """Of the images that it is about."""

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "warning": self.kind,
            "text": self.text,
            "rule": self.rule and self.rule.priority,
            "digests": list(self.digests),
        }


@dataclass(frozen=True, kw_only=True)
class Report:
    """What becomes of each image, the youngest first, and what there is to warn of."""

    verdicts: Sequence[Verdict]
    warnings: Sequence[PolicyWarning] = ()

    @property
    def losses(self) -> list[PolicyWarning]:
        """The warnings for which nobody should apply the policy."""
        return [warning for warning in self.warnings if warning.kind in LOSSES]

    def totals(self) -> dict[str, Any]:
        """Numbers of images and bytes. What is attached to an image is counted apart.

        Images share layers, so that at most this many bytes are freed. An index counts for nothing:
        its size, as ECR gives it, is that of its largest image.
        """
        images, attached, sizes = Counter[str](), Counter[str](), Counter[str]()
        for verdict in self.verdicts:
            number = attached if subject_of(verdict.image) else images
            number[verdict.action] += 1
            sizes[verdict.action] += 0 if verdict.image.is_index else verdict.image.size
        actions = ("keep", "expire", "archive")
        return {
            "images": images.total(),
            **{action: images[action] for action in actions},
            "attachments": {action: attached[action] for action in actions},
            "bytes": sizes.total(),
            "bytesFreed": sizes["expire"],
            "bytesArchived": sizes["archive"],
        }


def examine(
    rules: Sequence[Rule],
    repository: RepositoryImages,
    now: datetime,
    in_use: InUse | None = None,
    movable_tags: Sequence[str] = DEFAULT_MOVABLE_TAGS,
) -> Report:
    """What rules do to the images of a repository. No rules are a repository without a policy."""
    ordered = by_age(repository.images)
    selected = list(selections(rules, ordered))
    verdicts = judge(selected, ordered, now)
    warnings = [
        *_about_use(verdicts, repository, in_use or InUse()),
        *_about_movable_tags(selected, verdicts, movable_tags, now),
        *_about_attachments(verdicts),
        *_about_rules(selected, verdicts),
        *_about_growth(rules, verdicts),
        *_about_indexes(verdicts, repository.unread),
    ]
    # Stable: the losses come first, and the others stay as they are.
    warnings.sort(key=lambda warning: warning.kind not in LOSSES)
    return Report(verdicts=verdicts, warnings=warnings)


def why(verdict: Verdict) -> str:
    """The reason for a verdict, in a few words."""
    if verdict.goes_with:
        return f"goes with {verdict.goes_with}, which {verdict.decided_by} takes"
    if verdict.held_by:
        return f"the index {verdict.held_by} lists it"
    return str(verdict.decided_by or "no rule matches it")


# --- Movable tags ---------------------------------------------------------------------------------


def movable_tags_of(
    rules: Iterable[Rule], tag_mutability: str = "", exclusion_filters: Iterable[str] = ()
) -> tuple[str, ...]:
    """The tags that a repository itself says are moved, in alphabetical order.

    Those that a protective rule names: one pattern without a wildcard, of whose images it keeps
    one. And, where all other tags are immutable, those that the exclusion filters name. Where
    neither names any, DEFAULT_MOVABLE_TAGS.
    """
    tags = {rule.tags[0][0] for rule in rules if _is_protective(rule)}
    if tag_mutability == "IMMUTABLE_WITH_EXCLUSION":
        tags |= {pattern for pattern in exclusion_filters if "*" not in pattern}
    return tuple(sorted(tags)) or DEFAULT_MOVABLE_TAGS


def _is_protective(rule: Rule) -> bool:
    names_one_tag = len(rule.tags) == 1 and len(rule.tags[0]) == 1
    return names_one_tag and (rule.count_type, rule.number, rule.action) == (
        "imageCountMoreThan",
        1,
        "expire",
    )


def taker_of(tag: str, rules: Iterable[Rule]) -> Rule | None:
    """The first rule that may take the image with a tag, whatever other tags the image has.

    None if the tag is protected: by a rule that selects at most one image, this one, and keeps one.
    """
    for rule in sorted(rules, key=lambda rule: rule.priority):
        if rule.archived or rule.tag_status == "untagged":
            continue
        # A pattern without a wildcard is one tag, and a tag is on one image.
        selects_one = any(len(entry) == 1 for entry in rule.tags)
        if not (selects_one and rule.count_type == "imageCountMoreThan"):
            return rule
        if all(compiled(entry).fullmatch(tag) for entry in rule.tags):
            return None
    return None


def _about_movable_tags(
    selected: _Selected, verdicts: Sequence[Verdict], movable_tags: Sequence[str], now: datetime
) -> Iterator[PolicyWarning]:
    for tag in movable_tags:
        if unshielded := taker_of(tag, (rule for rule, _ in selected)):
            text = (
                f"{unshielded} may take the image that {tag} names; before it, write a protective "
                f'rule, with "tagPatternList": ["{tag}"] and "imageCountMoreThan" 1'
            )
            yield PolicyWarning("movable-tag-unshielded", text, unshielded)
    listed = {
        child
        for verdict in verdicts
        if verdict.action == "keep" and not verdict.image.archived
        for child in verdict.image.children or ()
    }
    for verdict in verdicts:
        image = verdict.image
        own = [tag for tag in image.tags if tag in movable_tags]
        if not own:
            continue
        names, digests = " and ".join(own), (image.digest,)
        if verdict.action != "keep":
            text = f"{names} is on an image that {verdict.decided_by} would {verdict.action}"
            yield PolicyWarning("movable-tag-going", text, verdict.decided_by, digests)
            continue
        others = tuple(tag for tag in image.tags if tag not in own)
        rule = taker(selected, replace(image, tags=others), now)
        if rule and image.digest not in listed:
            text = (
                f"{rule} would {rule.action} the image that {names} names as soon as the tag "
                "moves on; then no rollback to it is possible"
            )
            yield PolicyWarning("kept-by-movable-tag-alone", text, rule, digests)


# --- Other warnings -------------------------------------------------------------------------------


def _about_use(
    verdicts: Sequence[Verdict], repository: RepositoryImages, in_use: InUse
) -> Iterator[PolicyWarning]:
    for reason in in_use.unknown:
        yield PolicyWarning("in-use-unknown", f"it is not known what else is in use: {reason}")
    if not in_use.uses:
        return
    by_digest = {verdict.image.digest: verdict for verdict in verdicts}
    by_tag = {tag: verdict for verdict in verdicts for tag in verdict.image.tags}
    users = defaultdict[str, list[str]](list)
    references = {}
    for use in in_use.uses:
        users[use.written].append(use.by)
        # A tag by itself may look like the name of a repository.
        is_tag = use.written in by_tag
        references[use.written] = Reference(name="", image=use.written) if is_tag else use.reference
    for written, reference in sorted(references.items()):
        if not repository.is_named_by(reference):
            continue
        # Without tag and digest, it is the tag that Docker takes.
        image = reference.image or "latest"
        verdict = by_digest.get(image) or by_tag.get(image)
        by = _users(users[written])
        if verdict is None and reference.name and reference.name == repository.name:
            text = f"{written} is in use{by}, but there is no such image"
            yield PolicyWarning("in-use-missing", text)
        if verdict is not None and verdict.action != "keep":
            text = f"{written} is in use{by}, and {verdict.decided_by} would {verdict.action} it"
            digests = (verdict.image.digest,)
            yield PolicyWarning("in-use-going", text, verdict.decided_by, digests)


def _users(names: Sequence[str]) -> str:
    known = sorted({name for name in names if name})
    more = f" and {len(known) - 1:,} more" if len(known) > 1 else ""
    return f" by {known[0]}{more}" if known else ""


def _about_attachments(verdicts: Sequence[Verdict]) -> Iterator[PolicyWarning]:
    """Of each image that stays and would lose a signature, an attestation or an SBOM."""
    going = defaultdict[str, list[Verdict]](list)
    for verdict in verdicts:
        if verdict.action != "keep" and (subject := subject_of(verdict.image)):
            going[subject].append(verdict)
    for verdict in verdicts:
        lost = going.get(verdict.image.digest, ()) if verdict.action == "keep" else ()
        if lost:
            image = " ".join((verdict.image.digest, *verdict.image.tags))
            attached = ", ".join(_expiry_of_attachment(attachment) for attachment in lost)
            text = f"{image} stays, and would lose what is attached to it: {attached}"
            digests = (verdict.image.digest, *(attachment.image.digest for attachment in lost))
            yield PolicyWarning("signature-going", text, lost[0].decided_by, digests)


def _expiry_of_attachment(verdict: Verdict) -> str:
    name = verdict.image.tags[0] if verdict.image.tags else verdict.image.digest
    return f"{name} ({verdict.decided_by} would {verdict.action} it)"


def _about_rules(selected: _Selected, verdicts: Sequence[Verdict]) -> Iterator[PolicyWarning]:
    deciding = {verdict.decided_by.priority for verdict in verdicts if verdict.decided_by}
    for rule, images in selected:
        if not images:
            yield PolicyWarning("rule-without-images", f"{rule} matches no image", rule)
        elif rule.priority not in deciding:
            text = f"{rule} has no effect: earlier rules match all its images"
            yield PolicyWarning("rule-without-effect", text, rule)


def _about_growth(rules: Sequence[Rule], verdicts: Sequence[Verdict]) -> Iterator[PolicyWarning]:
    kind: Kind = "growth-without-bound"
    if not rules:
        yield PolicyWarning(kind, "there is no lifecycle policy: all images stay")
        return
    if not any(rule.tag_status != "tagged" and not rule.archived for rule in rules):
        text = "no rule matches untagged images: an image that loses its last tag stays"
        yield PolicyWarning(kind, text)
    unmatched = [
        verdict.image for verdict in verdicts if verdict.decided_by is None and verdict.image.tags
    ]
    for attached, noun in ((False, "tagged image"), (True, "attachment")):
        stay = [image for image in unmatched if (subject_of(image) is not None) is attached]
        if stay:
            number = f"one {noun}" if len(stay) == 1 else f"{len(stay):,} {noun}s"
            text = f"no rule matches {number}, such as {stay[0].tags[0]}: they stay"
            yield PolicyWarning(kind, text, digests=tuple(image.digest for image in stay))
    for rule in rules:
        if rule.count_type == "imageCountMoreThan" and rule.number >= MAX_IMAGES:
            yield PolicyWarning(kind, f"{rule} keeps as many images as a repository can hold", rule)
    archiving = [rule for rule in rules if rule.action == "archive"]
    if archiving and not any(rule.archived for rule in rules):
        text = f"{archiving[0]} archives images, and no rule expires archived images"
        yield PolicyWarning(kind, text, archiving[0])


def _about_indexes(verdicts: Sequence[Verdict], unread: str) -> Iterator[PolicyWarning]:
    indexes = [
        verdict.image
        for verdict in verdicts
        if verdict.image.is_index and verdict.image.children is None and not verdict.image.archived
    ]
    going = [verdict.image.digest for verdict in verdicts if verdict.action != "keep"]
    if indexes and going:
        lists = "the index lists" if len(indexes) == 1 else f"{len(indexes):,} indexes list"
        text = (
            f"it is not known what {lists}: of the {len(going):,} images shown as going, those "
            f"that an index lists stay{unread and f' ({unread})'}"
        )
        yield PolicyWarning("children-unknown", text, digests=tuple(going))
