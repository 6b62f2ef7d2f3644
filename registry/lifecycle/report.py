"""Pure: what a lifecycle policy is about to do to a repository, and what to beware of in it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from policies.retention import MAX_IMAGES
from registry.lifecycle.document import Rule
from registry.lifecycle.files import Listing, read_images, read_policy, reference
from registry.lifecycle.simulation import Image, Verdict, matched, pattern, simulate

MOVABLE_TAGS: Final = ("latest",)

INDEX_MEDIA_TYPES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)

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


@dataclass(frozen=True, kw_only=True)
class Caution:
    """Something in the policy or its outcome that its author hardly meant."""

    kind: Kind
    text: str
    """A sentence, with the fix where there is one."""
    rule: int | None = None
    """The priority of the rule that it is about."""
    digests: tuple[str, ...] = ()
    """Of the images that it is about."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What becomes of each image, the youngest first, and what to beware of."""

    verdicts: Sequence[Verdict]
    cautions: Sequence[Caution]

    @property
    def loses(self) -> bool:
        """Whether a movable tag's image, or one in use, would go."""
        return any(it.kind in _LOSSES for it in self.cautions)

    def totals(self) -> dict[str, int]:
        """Numbers of images and bytes.

        Images share layers, so that at most this many bytes are freed. An index counts for nothing:
        its size, as ECR gives it, is that of its largest image.
        """
        images, sizes = Counter[str](), Counter[str]()
        for it in self.verdicts:
            images[it.action] += 1
            sizes[it.action] += 0 if is_index(it.image) else it.image.size
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
                {
                    "digest": it.image.digest,
                    "tags": list(it.image.tags),
                    "action": it.action,
                    "rule": it.rule,
                    "shieldedBy": it.shielded_by,
                }
                for it in self.verdicts
            ],
            "warnings": [
                {
                    "warning": it.kind,
                    "text": it.text,
                    "rule": it.rule,
                    "digests": list(it.digests),
                }
                for it in self.cautions
            ],
            "totals": self.totals(),
        }


def report(
    policy_text: str,
    images_text: str,
    now: datetime,
    in_use: Iterable[str] = (),
    movable_tags: Sequence[str] = MOVABLE_TAGS,
) -> Report:
    """What the policy in one file does to the images in another.

    `in_use` has digests and image references. Raises InvalidInputError with all that is wrong with
    the first file that cannot be read.
    """
    return examine(read_policy(policy_text), read_images(images_text), now, in_use, movable_tags)


def examine(
    rules: Sequence[Rule],
    listing: Listing,
    now: datetime,
    in_use: Iterable[str] = (),
    movable_tags: Sequence[str] = MOVABLE_TAGS,
) -> Report:
    """What rules do to the images of a repository. No rules are a repository without a policy."""
    verdicts = simulate(rules, listing.images, now)
    cautions = [
        *_about_use(verdicts, listing, in_use),
        *_about_movable_tags(rules, verdicts, movable_tags, now),
        *_about_rules(rules, verdicts),
        *_about_growth(rules, verdicts),
        *_about_indexes(verdicts),
    ]
    return Report(verdicts=verdicts, cautions=cautions)


def why(verdict: Verdict) -> str:
    """The reason for a verdict, in a few words."""
    if verdict.goes_with:
        return f"goes with {verdict.goes_with}, which rule {verdict.rule} takes"
    if verdict.held_by:
        return f"the index {verdict.held_by} lists it"
    if verdict.action != "keep":
        return f"rule {verdict.rule}"
    return "no rule is about it" if verdict.decided_by is None else f"rule {verdict.decided_by}"


def is_index(image: Image) -> bool:
    """Whether it lists other images, one for each architecture."""
    return image.media_type in INDEX_MEDIA_TYPES


# --- What to beware of ----------------------------------------------------------------------------


def _about_use(
    verdicts: Sequence[Verdict], listing: Listing, in_use: Iterable[str]
) -> Iterator[Caution]:
    by_digest = {it.image.digest: it for it in verdicts}
    by_tag = {tag: it for it in verdicts for tag in it.image.tags}
    for written in sorted(set(in_use)):
        name, tag, digest = ("", written, "") if written in by_tag else reference(written)
        if name and listing.repository and name != listing.repository:
            continue
        found = by_digest.get(digest) if digest else by_tag.get(tag)
        if found is None and name and name == listing.repository:
            yield Caution(
                kind="in-use-missing",
                text=f"{written} is in use, and there is no such image any more",
            )
        if found is not None and found.action != "keep":
            yield Caution(
                kind="in-use-going",
                text=f"{written} is in use, and rule {found.rule} would {found.action} it",
                rule=found.rule,
                digests=(found.image.digest,),
            )


def _about_movable_tags(
    rules: Sequence[Rule], verdicts: Sequence[Verdict], movable_tags: Sequence[str], now: datetime
) -> Iterator[Caution]:
    for tag in movable_tags:
        if taker := taker_of(tag, rules):
            yield Caution(
                kind="movable-tag-unshielded",
                text=f"rule {taker.priority} may take the image that {tag} names; before it, write "
                f'a rule with "tagPatternList": ["{tag}"] and "imageCountMoreThan" 1',
                rule=taker.priority,
            )
    images = [it.image for it in verdicts]
    for it in verdicts:
        own = [tag for tag in it.image.tags if tag in movable_tags]
        if not own:
            continue
        names = " and ".join(own)
        if it.action != "keep":
            yield Caution(
                kind="movable-tag-going",
                text=f"{names} is on an image that rule {it.rule} would {it.action}",
                rule=it.rule,
                digests=(it.image.digest,),
            )
            continue
        rest = tuple(tag for tag in it.image.tags if tag not in own)
        bare = replace(it.image, tags=rest)
        others = [image for image in images if image is not it.image]
        [after] = [one for one in simulate(rules, [*others, bare], now) if one.image is bare]
        if after.action != "keep":
            yield Caution(
                kind="kept-by-movable-tag-alone",
                text=f"rule {after.rule} would {after.action} the image that {names} names as soon "
                "as the tag moves on; then there is no way back to it",
                rule=after.rule,
                digests=(it.image.digest,),
            )


def taker_of(tag: str, rules: Iterable[Rule]) -> Rule | None:
    """The first rule that may take the image with a tag, whatever other tags the image has.

    None if the tag is shielded: by a rule that selects at most one image, this one, and keeps one.
    """
    for rule in sorted(rules, key=lambda rule: rule.priority):
        if rule.archived or rule.tag_status == "untagged":
            continue
        # A pattern without a wildcard is one tag, and a tag is on one image.
        alone = any(len(entry) == 1 for entry in rule.tags)
        if not (alone and rule.count_type == "imageCountMoreThan"):
            return rule
        if all(pattern(entry).fullmatch(tag) for entry in rule.tags):
            return None
    return None


def _about_rules(rules: Sequence[Rule], verdicts: Sequence[Verdict]) -> Iterator[Caution]:
    found = matched(rules, [it.image for it in verdicts])
    deciding = {it.decided_by for it in verdicts}
    for rule in rules:
        if not found[rule.priority]:
            yield Caution(
                kind="rule-without-images",
                text=f"rule {rule.priority} matches no image",
                rule=rule.priority,
            )
        elif rule.priority not in deciding:
            yield Caution(
                kind="rule-without-effect",
                text=f"rule {rule.priority} decides nothing: earlier rules have all its images",
                rule=rule.priority,
            )


def _about_growth(rules: Sequence[Rule], verdicts: Sequence[Verdict]) -> Iterator[Caution]:
    if not rules:
        yield Caution(
            kind="growth-without-bound", text="there is no lifecycle policy: all images stay"
        )
        return
    if not any(rule.tag_status != "tagged" and not rule.archived for rule in rules):
        yield Caution(
            kind="growth-without-bound",
            text="no rule is about untagged images: each image that loses its last tag stays",
        )
    stay = [it.image for it in verdicts if it.decided_by is None and it.image.tags]
    if stay:
        number = "one tagged image" if len(stay) == 1 else f"{len(stay):,} tagged images"
        yield Caution(
            kind="growth-without-bound",
            text=f"no rule is about {number}, such as {stay[0].tags[0]}: they stay",
            digests=tuple(image.digest for image in stay),
        )
    for rule in rules:
        if rule.count_type == "imageCountMoreThan" and rule.number >= MAX_IMAGES:
            yield Caution(
                kind="growth-without-bound",
                text=f"rule {rule.priority} keeps as many images as a repository holds",
                rule=rule.priority,
            )
    archiving = [rule for rule in rules if rule.action == "archive"]
    if archiving and not any(rule.archived for rule in rules):
        yield Caution(
            kind="growth-without-bound",
            text=f"rule {archiving[0].priority} archives images, and no rule takes them from there",
            rule=archiving[0].priority,
        )


def _about_indexes(verdicts: Sequence[Verdict]) -> Iterator[Caution]:
    unknown = [it for it in verdicts if is_index(it.image) and it.image.children is None]
    untagged = [it for it in verdicts if not it.image.tags and not is_index(it.image)]
    going = sum(it.action != "keep" for it in untagged)
    lists = "the index lists" if len(unknown) == 1 else f"{len(unknown):,} indexes list"
    if unknown and untagged:
        yield Caution(
            kind="children-unknown",
            text=f"it is not known here what {lists}: of the {len(untagged):,} untagged images, "
            f"{going:,} of which are said to go, those stay that an index lists",
            digests=tuple(it.image.digest for it in untagged),
        )
