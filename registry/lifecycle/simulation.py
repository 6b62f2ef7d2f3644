"""Pure: what ECR will do to the images of a repository by a lifecycle policy, image by image.

The semantics are those of AWS's evaluator, as it is documented:
https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_examples.html

Where the documentation is silent, this is what is assumed here:
- Of two images that are equally old, the one with the lower digest goes first.
- Images that an index holds, and referrers, take a place in a count like any other image.
- A referrer (a signature, a list of contents) is subject to the rules like any other image, and
  besides goes with its subject.
- An index that goes lets go of its images at the same time, not a day later.
"""

import re
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from typing import Literal

from registry.lifecycle.document import Action, Rule


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """An image as ECR describes it. All times have an offset from UTC."""

    digest: str
    pushed_at: datetime
    tags: tuple[str, ...] = ()
    size: int = 0
    """In bytes, of the layers as they are pushed."""
    media_type: str = ""
    archived: bool = False
    """It lies in the archive, where it is listed but cannot be pulled."""
    archived_at: datetime | None = None
    activated_at: datetime | None = None
    """When it last came back from the archive."""
    pulled_at: datetime | None = None
    children: tuple[str, ...] | None = None
    """The digests that an index lists. None: not known, or no index."""
    subject: str | None = None
    """The digest of the image that a referrer is about."""

    @property
    def since(self) -> datetime:
        """When its age began: at its push, or when it came back from the archive."""
        return self.activated_at or self.pushed_at

    @property
    def used(self) -> datetime:
        """When it was last pulled; if never since its age began, then when that was."""
        if self.pulled_at is None:
            return self.since
        if self.activated_at is None:
            return self.pulled_at
        return max(self.pulled_at, self.activated_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What becomes of an image, and why."""

    image: Image
    action: Literal["keep"] | Action
    decided_by: int | None = None
    """The priority of the first rule that selects it: no later one may take it, whatever it says.
    For a referrer that goes with its subject, the rule that takes the subject."""
    held_by: str | None = None
    """The digest of an index that stays and lists it. Its rule would have taken it."""
    goes_with: str | None = None
    """The digest of the subject that a referrer follows."""

    @property
    def rule(self) -> int | None:
        """The priority of the rule by which it goes."""
        return None if self.action == "keep" else self.decided_by

    @property
    def shielded_by(self) -> int | None:
        """The priority of the rule that keeps it from every later one."""
        return None if self.action != "keep" or self.held_by else self.decided_by


def simulate(rules: Iterable[Rule], images: Iterable[Image], now: datetime) -> list[Verdict]:
    """What becomes of each image, the youngest first. Each digest may occur once."""
    ordered = sorted(images, key=lambda image: (image.since, image.digest), reverse=True)
    selecting: dict[str, Rule] = {}
    taking: dict[str, Rule] = {}
    shelves = _shelves(ordered)
    for rule in sorted(rules, key=lambda rule: rule.priority):
        shelves[rule.archived].apply(rule, now, selecting, taking)
    holding = _hold(ordered, taking)
    following = _follow(ordered, taking, holding)
    return [_verdict(image, selecting, taking, holding, following) for image in ordered]


def matched(rules: Iterable[Rule], images: Sequence[Image]) -> dict[int, int]:
    """How many images each rule is about, by its priority, whether or not it decides about them."""
    shelves = _shelves(images)
    return {rule.priority: len(shelves[rule.archived].select(rule)) for rule in rules}


def _verdict(
    image: Image,
    selecting: Mapping[str, Rule],
    taking: Mapping[str, Rule],
    holding: Mapping[str, str],
    following: Mapping[str, str],
) -> Verdict:
    digest = image.digest
    taker = taking.get(digest)
    rule = taker or selecting.get(digest)
    return Verdict(
        image=image,
        action=taker.action if taker else "keep",
        decided_by=rule.priority if rule else None,
        held_by=holding.get(digest),
        goes_with=following.get(digest),
    )


def _shelves(images: Sequence[Image]) -> "dict[bool, _Shelf]":
    """By whether they are in the archive, in the same order."""
    return {
        archived: _Shelf([image for image in images if image.archived is archived])
        for archived in (False, True)
    }


class _Shelf:
    """The images of one storage class, the youngest first. A rule sees one shelf, never both."""

    def __init__(self, images: Sequence[Image]) -> None:
        self._images = images
        carried = sorted((tag, place) for place, image in enumerate(images) for tag in image.tags)
        self._tags = _side_by_side([tag for tag, _ in carried])
        """In alphabetical order: those with the same beginning are one stretch."""
        self._places = [place for _, place in carried]
        """Of the images that carry them."""
        self._matching: dict[tuple[str, ...], set[int]] = {}

    def apply(
        self, rule: Rule, now: datetime, selecting: dict[str, Rule], taking: dict[str, Rule]
    ) -> None:
        """Let a rule take what it finds, save what an earlier rule has selected."""
        counts = rule.count_type == "imageCountMoreThan"
        limit = timedelta(days=min(rule.number, timedelta.max.days))
        for younger, place in enumerate(self.select(rule)):
            image = self._images[place]
            if image.digest in selecting:
                continue  # it keeps its place in the count, all the same
            selecting[image.digest] = rule
            if counts:
                goes = younger >= rule.number
            else:
                began = _began(image, rule)
                goes = began is not None and now - began > limit
            if goes:
                taking[image.digest] = rule

    def select(self, rule: Rule) -> Sequence[int]:
        """The places of the images that the rule is about, the youngest first."""
        match rule.tag_status:
            case "any":
                return range(len(self._images))
            case "untagged":
                return [place for place, image in enumerate(self._images) if not image.tags]
            case "tagged":
                return sorted(set.intersection(*map(self._with_tag, rule.tags)))

    def _with_tag(self, entry: tuple[str, ...]) -> set[int]:
        """The places of the images with a tag that matches."""
        if entry not in self._matching:
            self._matching[entry] = set(self._search(entry))
        return self._matching[entry]

    def _search(self, entry: tuple[str, ...]) -> Sequence[int]:
        head, *rest = entry
        start = bisect_left(self._tags, head)
        if not rest:
            return self._places[start : bisect_right(self._tags, head, start)]
        end = bisect_right(self._tags, head, start, key=lambda tag: tag[: len(head)])
        if not any(rest):
            return self._places[start:end]
        longest = max(rest, key=len)  # most tags fail here, at little cost
        matches = pattern(entry).fullmatch
        stretch = zip(self._tags[start:end], self._places[start:end], strict=True)
        return [place for tag, place in stretch if longest in tag and matches(tag)]


def _side_by_side(tags: Sequence[str]) -> list[str]:
    """The same tags, one behind the other in memory, where a search is four times as fast."""
    text = "".join(tags)
    ends = list(accumulate(map(len, tags)))
    return [text[start:end] for start, end in pairwise([0, *ends])]


def pattern(entry: Sequence[str]) -> re.Pattern[str]:
    """What matches the entry's pieces of text in their order, with anything in between.

    The groups are atomic: no piece is looked for again once it is found. Otherwise four wildcards
    could keep the search busy for seconds with a single tag.
    """
    if len(entry) == 1:
        return re.compile(re.escape(entry[0]))
    head, *between, tail = map(re.escape, entry)
    found = "".join(f"(?>.*?{piece})" for piece in between)
    return re.compile(f"{head}{found}.*{tail}")


def _began(image: Image, rule: Rule) -> datetime | None:
    """When the time began that the rule measures; None if it has not."""
    match rule.count_type:
        case "sinceImagePulled":
            return image.used
        case "sinceImageTransitioned":
            return image.archived_at
        case _:
            return image.since


def _hold(images: Sequence[Image], taking: dict[str, Rule]) -> dict[str, str]:
    """Take back what an index that stays lists: it goes with the index, or after it, never before.

    An index in the archive holds nothing any more.
    """
    indexes = {image.digest: image for image in images if image.children and not image.archived}
    staying = deque(index for index in indexes.values() if index.digest not in taking)
    holding: dict[str, str] = {}
    while staying:
        index = staying.popleft()
        for digest in index.children or ():
            if taking.pop(digest, None):
                holding[digest] = index.digest
                if digest in indexes:
                    staying.append(indexes[digest])
    return holding


def _follow(
    images: Sequence[Image], taking: dict[str, Rule], holding: Mapping[str, str]
) -> dict[str, str]:
    """Let referrers go with their subjects, and those that refer to them."""
    referrers: dict[str, list[Image]] = {}
    for image in images:
        if image.subject is not None:
            referrers.setdefault(image.subject, []).append(image)
    going = deque(digest for digest in referrers if digest in taking)
    following: dict[str, str] = {}
    while going:
        subject = going.popleft()
        rule = taking[subject]
        for image in referrers.get(subject, ()):
            stays = image.digest in holding or (image.archived and rule.action == "archive")
            if not stays and image.digest not in taking:
                taking[image.digest] = rule
                following[image.digest] = subject
                going.append(image.digest)
    return following
