"""Pure: what a lifecycle policy is about to do to a repository, and what it warns of."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from container_images.aws.reference import Reference
from container_images.lifecycle.document import Rule
from container_images.lifecycle.files import Listing, image_in_use
from container_images.lifecycle.simulation import Verdict, selections, simulate
from container_images.policies.patterns import compiled
from container_images.policies.retention import MAX_IMAGES
from container_images.policies.tag_mutability import DEFAULT_MOVABLE_TAGS

Kind = Literal[
    "in-use-going",
    "movable-tag-going",
    "movable-tag-unshielded",
    "kept-by-movable-tag-alone",
    "in-use-missing",
    "rule-without-images",
    "rule-without-effect",
    "growth-without-bound",
    "children-unknown",
]

_LOSSES: Final = ("in-use-going", "movable-tag-going")


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


@dataclass(frozen=True, kw_only=True)
class Report:
    """What becomes of each image, the youngest first, and what there is to warn of."""

    verdicts: Sequence[Verdict]
    warnings: Sequence[PolicyWarning] = ()

    @property
    def loses(self) -> bool:
        """Whether a movable tag's image, or one in use, would go."""
        return any(it.kind in _LOSSES for it in self.warnings)

    def totals(self) -> dict[str, int]:
        """Numbers of images and bytes.

        Images share layers, so that at most this many bytes are freed. An index counts for nothing:
        its size, as ECR gives it, is that of its largest image.
        """
        images, sizes = Counter[str](), Counter[str]()
        for it in self.verdicts:
            images[it.action] += 1
            sizes[it.action] += 0 if it.image.is_index else it.image.size
        return {
            "images": images.total(),
            "keep": images["keep"],
            "expire": images["expire"],
            "archive": images["archive"],
            "bytes": sizes.total(),
            "bytesFreed": sizes["expire"],
            "bytesArchived": sizes["archive"],
        }

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "images": [
                {"digest": it.image.digest, "tags": list(it.image.tags), **outcome_json(it)}
                for it in self.verdicts
            ],
            "warnings": [
                {
                    "warning": it.kind,
                    "text": it.text,
                    "rule": it.rule and it.rule.priority,
                    "digests": list(it.digests),
                }
                for it in self.warnings
            ],
            "totals": self.totals(),
        }


def outcome_json(verdict: Verdict) -> dict[str, Any]:
    """What becomes of one image, for machines."""
    return {
        "action": verdict.action,
        "rule": verdict.rule,
        "shieldedBy": verdict.shielded_by,
    }


def examine(
    rules: Sequence[Rule],
    listing: Listing,
    now: datetime,
    in_use: Iterable[str] = (),
    movable_tags: Sequence[str] = DEFAULT_MOVABLE_TAGS,
) -> Report:
    """What rules do to the images of a repository. No rules are a repository without a policy.

    `in_use` has digests and image references. Raises InvalidReferenceError for what is neither.
    """
    verdicts = simulate(rules, listing.images, now)
    warnings = [
        *_about_use(verdicts, listing, in_use),
        *_about_movable_tags(rules, verdicts, movable_tags, now),
        *_about_rules(rules, verdicts),
        *_about_growth(rules, verdicts),
        *_about_indexes(verdicts),
    ]
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
    named = {rule.tags[0][0] for rule in rules if _is_protective(rule)}
    if tag_mutability == "IMMUTABLE_WITH_EXCLUSION":
        named |= {it for it in exclusion_filters if "*" not in it}
    return tuple(sorted(named)) or DEFAULT_MOVABLE_TAGS


def _is_protective(rule: Rule) -> bool:
    one_tag = len(rule.tags) == 1 and len(rule.tags[0]) == 1
    return one_tag and (rule.count_type, rule.number, rule.action) == (
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
        alone = any(len(entry) == 1 for entry in rule.tags)
        if not (alone and rule.count_type == "imageCountMoreThan"):
            return rule
        if all(compiled(entry).fullmatch(tag) for entry in rule.tags):
            return None
    return None


# --- Warnings -------------------------------------------------------------------------------------


def _about_use(
    verdicts: Sequence[Verdict], listing: Listing, in_use: Iterable[str]
) -> Iterator[PolicyWarning]:
    by_digest = {it.image.digest: it for it in verdicts}
    by_tag = {tag: it for it in verdicts for tag in it.image.tags}
    for written in sorted(set(in_use)):
        used = Reference(name="", image=written) if written in by_tag else image_in_use(written)
        if used.name and listing.repository and used.name != listing.repository:
            continue
        # Without tag and digest, it is the tag that Docker takes.
        image = used.image or "latest"
        found = by_digest.get(image) or by_tag.get(image)
        if found is None and used.name and used.name == listing.repository:
            text = f"{written} is in use, but there is no such image"
            yield PolicyWarning("in-use-missing", text)
        if found is not None and found.action != "keep":
            text = f"{written} is in use, and {found.decided_by} would {found.action} it"
            yield PolicyWarning("in-use-going", text, found.decided_by, (found.image.digest,))


def _about_movable_tags(
    rules: Sequence[Rule], verdicts: Sequence[Verdict], movable_tags: Sequence[str], now: datetime
) -> Iterator[PolicyWarning]:
    for tag in movable_tags:
        if taker := taker_of(tag, rules):
            text = (
                f"{taker} may take the image that {tag} names; before it, write a protective rule, "
                f'with "tagPatternList": ["{tag}"] and "imageCountMoreThan" 1'
            )
            yield PolicyWarning("movable-tag-unshielded", text, taker)
    images = [it.image for it in verdicts]
    for it in verdicts:
        own = [tag for tag in it.image.tags if tag in movable_tags]
        if not own:
            continue
        names, digests = " and ".join(own), (it.image.digest,)
        if it.action != "keep":
            text = f"{names} is on an image that {it.decided_by} would {it.action}"
            yield PolicyWarning("movable-tag-going", text, it.decided_by, digests)
            continue
        bare = replace(it.image, tags=tuple(tag for tag in it.image.tags if tag not in own))
        others = [image for image in images if image is not it.image]
        [after] = [one for one in simulate(rules, [*others, bare], now) if one.image is bare]
        if after.action != "keep":
            text = (
                f"{after.decided_by} would {after.action} the image that {names} names as soon as "
                "the tag moves on; then no rollback to it is possible"
            )
            yield PolicyWarning("kept-by-movable-tag-alone", text, after.decided_by, digests)


def _about_rules(rules: Sequence[Rule], verdicts: Sequence[Verdict]) -> Iterator[PolicyWarning]:
    deciding = {it.decided_by.priority for it in verdicts if it.decided_by}
    for rule, images in selections(rules, [it.image for it in verdicts]):
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
    stay = [it.image for it in verdicts if it.decided_by is None and it.image.tags]
    if stay:
        number = "one tagged image" if len(stay) == 1 else f"{len(stay):,} tagged images"
        text = f"no rule matches {number}, such as {stay[0].tags[0]}: they stay"
        yield PolicyWarning(kind, text, digests=tuple(image.digest for image in stay))
    for rule in rules:
        if rule.count_type == "imageCountMoreThan" and rule.number >= MAX_IMAGES:
            yield PolicyWarning(kind, f"{rule} keeps as many images as a repository can hold", rule)
    archiving = [rule for rule in rules if rule.action == "archive"]
    if archiving and not any(rule.archived for rule in rules):
        text = f"{archiving[0]} archives images, and no rule expires archived images"
        yield PolicyWarning(kind, text, archiving[0])


def _about_indexes(verdicts: Sequence[Verdict]) -> Iterator[PolicyWarning]:
    unknown = [it for it in verdicts if it.image.is_index and it.image.children is None]
    untagged = [it for it in verdicts if not it.image.tags and not it.image.is_index]
    going = sum(it.action != "keep" for it in untagged)
    lists = "the index lists" if len(unknown) == 1 else f"{len(unknown):,} indexes list"
    if unknown and untagged:
        text = (
            f"it is not known here what {lists}: of the {len(untagged):,} untagged images, of "
            f"which {going:,} are shown as going, those that an index lists stay"
        )
        digests = tuple(it.image.digest for it in untagged)
        yield PolicyWarning("children-unknown", text, digests=digests)
