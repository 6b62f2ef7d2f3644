"""Pure: what a lifecycle policy is about to do to a repository, and what it warns of."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from container_images.aws.in_use import InUse, Use
from container_images.lifecycle.document import Rule
from container_images.lifecycle.listing import RepositoryImages, subject_of
from container_images.lifecycle.simulation import (
    Selected,
    Verdict,
    by_age,
    judge,
    selections,
    taker,
)
from container_images.policies.patterns import ANY, compiled
from container_images.policies.tag_mutability import DEFAULT_MOVABLE_TAGS

LOSSES: Final = frozenset(
    {"in-use-going", "in-use-unknown", "movable-tag-going", "signature-going"}
)
"""What was not read may be in use: it counts as a loss, too."""


@dataclass(frozen=True)
class PolicyWarning:
    """Something in the policy or its outcome that its author hardly meant."""

    kind: str
    text: str
    """A sentence, with the fix where there is one."""
    rule: Rule | None = None
    """The rule that it is about."""
    digests: tuple[str, ...] = ()
    """Of the images that it is about."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What becomes of each image, the youngest first, and what there is to warn of."""

    name: str
    """The repository's."""
    verdicts: Sequence[Verdict]
    warnings: Sequence[PolicyWarning] = ()
    judged: bool = True
    """Whether the rules are known. Otherwise all verdicts are to keep the image."""

    @property
    def lost(self) -> list[Verdict]:
        """On the images that will not be kept."""
        return [verdict for verdict in self.verdicts if verdict.action != "keep"]

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
    rules: Sequence[Rule] | None,
    repository: RepositoryImages,
    now: datetime,
    in_use: InUse | None = None,
    movable_tags: Sequence[str] = DEFAULT_MOVABLE_TAGS,
) -> Report:
    """What rules do to the images of a repository: () without a policy, None if it is not known."""
    ordered = by_age(repository.images)
    selected = list(selections(rules or (), ordered))
    verdicts = judge(selected, ordered, now)
    if rules is None:
        return Report(name=repository.name, verdicts=verdicts, judged=False)
    lost = [verdict for verdict in verdicts if verdict.action != "keep"]
    warnings = [
        *_about_use(verdicts, repository, in_use or InUse()),
        *_about_movable_tags(selected, verdicts, movable_tags, now),
        *_about_attachments(verdicts, lost),
        *_about_rules(selected, verdicts),
        *_about_growth(rules, verdicts),
        *_about_indexes(repository, lost),
    ]
    # Stable: the losses come first, and the others stay as they are.
    warnings.sort(key=lambda warning: warning.kind not in LOSSES)
    return Report(name=repository.name, verdicts=verdicts, warnings=warnings)


def _expiry(verdict: Verdict) -> str:
    return f"{verdict.decided_by} would {verdict.action}"


# --- Movable tags ---------------------------------------------------------------------------------


def movable_tags_of(
    rules: Iterable[Rule], tag_mutability: str = "", exclusion_filters: Iterable[str] = ()
) -> tuple[str, ...]:
    """The tags, and behind them patterns of tags, that a repository itself says are moved.

    Those that a protective rule names: one pattern without a wildcard, of whose images it keeps
    one. And, where all other tags are immutable, those that the exclusion filters name. Where
    neither names a tag, DEFAULT_MOVABLE_TAGS.
    """
    tags = set[str]()
    for rule in rules:
        if (rule.count_type, rule.number, rule.action) == ("imageCountMoreThan", 1, "expire"):
            tags |= {entry[0] for entry in rule.tags if len(entry) == len(rule.tags) == 1}
    filters = {*exclusion_filters} if tag_mutability == "IMMUTABLE_WITH_EXCLUSION" else set[str]()
    patterns = {pattern for pattern in filters if ANY in pattern}
    return (*(sorted(tags | (filters - patterns)) or DEFAULT_MOVABLE_TAGS), *sorted(patterns))


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
    selected: Selected, verdicts: Sequence[Verdict], movable_tags: Sequence[str], now: datetime
) -> Iterator[PolicyWarning]:
    for tag in movable_tags:
        if unshielded := taker_of(tag, (rule for rule, _ in selected)):
            text = (
                f"{unshielded} may take the image that {tag} names; before it, write a protective "
                f'rule, with "tagPatternList": ["{tag}"] and "imageCountMoreThan" 1'
            )
            yield PolicyWarning("movable-tag-unshielded", text, unshielded)
    movable = frozenset(movable_tags)
    kept = (verdict.image for verdict in verdicts if verdict.action == "keep")
    listed = {child for image in kept if not image.archived for child in image.children or ()}
    for place, verdict in enumerate(verdicts):
        image = verdict.image
        if movable.isdisjoint(image.tags):
            continue
        names = " and ".join(tag for tag in image.tags if tag in movable)
        bare = replace(image, tags=tuple(tag for tag in image.tags if tag not in movable))
        if verdict.action != "keep":
            text = f"{names} is on an image that {_expiry(verdict)}"
            yield PolicyWarning("movable-tag-going", text, verdict.decided_by, (image.digest,))
        elif image.digest not in listed and (rule := taker(selected, bare, place, now)):
            text = (
                f"{rule} would {rule.action} the image that {names} names as soon as the tag "
                "moves on; then no rollback to it is possible"
            )
            yield PolicyWarning("kept-by-movable-tag-alone", text, rule, (image.digest,))


# --- Other warnings -------------------------------------------------------------------------------


def _about_use(
    verdicts: Sequence[Verdict], repository: RepositoryImages, in_use: InUse
) -> Iterator[PolicyWarning]:
    for reason in in_use.unknown.values():
        yield PolicyWarning("in-use-unknown", f"it is not known what else is in use: {reason}")
    uses = defaultdict[str, list[Use]](list)
    for use in in_use.uses:
        uses[use.written].append(use)
    # Without tag and digest, it is the tag that Docker takes. A tag may look like a repository.
    names = {use.reference.image or "latest" for use in in_use.uses}.union(uses)
    named = {verdict.image.digest: verdict for verdict in verdicts}
    for each in verdicts:
        named |= dict.fromkeys(names.intersection(each.image.tags), each)
    for written in sorted(uses):
        reference = uses[written][0].reference
        if not (written in named or repository.is_named_by(reference)):
            continue
        verdict = named.get(written) or named.get(reference.image or "latest")
        users = sorted({use.by for use in uses[written] if use.by})
        by = f" by {users[0]}" if users else ""
        by += f" and {len(users) - 1:,} more" if users[1:] else ""
        if verdict is None and reference.name and reference.name == repository.name:
            text = f"{written} is in use{by}, but there is no such image"
            yield PolicyWarning("in-use-missing", text)
        if verdict is not None and verdict.action != "keep":
            text = f"{written} is in use{by}, and {_expiry(verdict)} it"
            yield PolicyWarning("in-use-going", text, verdict.decided_by, (verdict.image.digest,))


def _about_attachments(
    verdicts: Sequence[Verdict], lost: Sequence[Verdict]
) -> Iterator[PolicyWarning]:
    """Of each image that stays and would lose a signature, an attestation or an SBOM."""
    attached = defaultdict[str | None, list[Verdict]](list)
    for verdict in lost:
        attached[subject_of(verdict.image)].append(verdict)
    for image in (verdict.image for verdict in verdicts if verdict.action == "keep"):
        if going := attached.get(image.digest):
            name = " ".join((image.digest, *image.tags))
            parts = [
                f"{(*each.image.tags, each.image.digest)[0]} ({_expiry(each)} it)" for each in going
            ]
            text = f"{name} stays, and would lose what is attached to it: {', '.join(parts)}"
            digests = (image.digest, *(each.image.digest for each in going))
            yield PolicyWarning("signature-going", text, going[0].decided_by, digests)


def _about_rules(selected: Selected, verdicts: Sequence[Verdict]) -> Iterator[PolicyWarning]:
    deciding = {verdict.decided_by.priority for verdict in verdicts if verdict.decided_by}
    for rule, images in selected:
        if not images:
            yield PolicyWarning("rule-without-images", f"{rule} matches no image", rule)
        elif rule.priority not in deciding:
            text = f"{rule} has no effect: earlier rules match all its images"
            yield PolicyWarning("rule-without-effect", text, rule)


def _about_growth(rules: Sequence[Rule], verdicts: Sequence[Verdict]) -> Iterator[PolicyWarning]:
    kind = "growth-without-bound"
    if not rules:
        yield PolicyWarning(kind, "there is no lifecycle policy: all images stay")
        return
    if not any(rule.tag_status != "tagged" and not rule.archived for rule in rules):
        text = "no rule matches untagged images: an image that loses its last tag stays"
        yield PolicyWarning(kind, text)
    images = (verdict.image for verdict in verdicts if verdict.decided_by is None)
    unmatched = [image for image in images if image.tags]
    for noun, stay in (
        ("tagged images", [image for image in unmatched if not subject_of(image)]),
        ("attachments", [image for image in unmatched if subject_of(image)]),
    ):
        if stay:
            text = f"no rule matches {len(stay):,} of the {noun}, such as {stay[0].tags[0]}"
            yield PolicyWarning(kind, text, digests=tuple(image.digest for image in stay))
    archiving = [rule for rule in rules if rule.action == "archive"]
    if archiving and not any(rule.archived for rule in rules):
        text = f"{archiving[0]} archives images, and no rule expires archived images"
        yield PolicyWarning(kind, text, archiving[0])


def _about_indexes(
    repository: RepositoryImages, lost: Sequence[Verdict]
) -> Iterator[PolicyWarning]:
    unknown = sum(
        image.is_index and image.children is None and not image.archived
        for image in repository.images
    )
    if unknown and lost:
        text = (
            f"it is not known what {unknown:,} of the indexes list: of the {len(lost):,} images "
            "shown as going, those that an index lists stay"
        )
        text += f" ({repository.unread})" if repository.unread else ""
        digests = tuple(verdict.image.digest for verdict in lost)
        yield PolicyWarning("children-unknown", text, digests=digests)
