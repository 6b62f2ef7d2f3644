"""Pure: what ECR will do to the images of a repository by a lifecycle policy, image by image.

The semantics are those of AWS's evaluator, as it is documented:
https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_examples.html

Where the documentation is silent, this is what is assumed here:
- Of two images that are equally old, the one with the lower digest goes first.
- Images that an index holds, and referrers, take a place in a count like any other image.
- A referrer (a signature, a list of contents) is subject to the rules like any other image, and
  besides goes with its subject, unless an index that stays lists it.
- An index that goes lets go of its images at the same time, not a day later.
- The age of an image that came back from the archive counts from then on, for sinceImagePushed too.
  AWS says so of the order of images and of sinceImagePulled only.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache, partial
from itertools import compress, repeat
from operator import attrgetter, contains
from typing import Final, Literal, NamedTuple

from container_images.aws.image import Image
from container_images.lifecycle.document import Action, Rule
from container_images.policies.patterns import compiled


class Verdict(NamedTuple):
    """What becomes of an image, and why."""

    image: Image
    action: Literal["keep"] | Action
    decided_by: Rule | None = None
    """The first rule that selects it: no later one may take it, whatever it says. For a referrer
    that goes with its subject, the rule that takes the subject."""
    held_by: str | None = None
    """The digest of an index that stays and lists it. Its rule would have taken it."""
    goes_with: str | None = None
    """The digest of the subject that a referrer follows."""

    @property
    def rule(self) -> int | None:
        """The priority of the rule by which it goes."""
        return self.decided_by.priority if self.decided_by and self.action != "keep" else None

    @property
    def shielded_by(self) -> int | None:
        """The priority of the rule that keeps it from every later one."""
        keeps = self.action == "keep" and not self.held_by
        return self.decided_by.priority if self.decided_by and keeps else None


def simulate(rules: Iterable[Rule], images: Iterable[Image], now: datetime) -> list[Verdict]:
    """What becomes of each image, the youngest first. Each digest may occur once."""
    ordered = by_age(images)
    return judge(selections(rules, ordered), ordered, now)


def by_age(images: Iterable[Image]) -> list[Image]:
    """The youngest first; of those that are equally old, the one with the higher digest."""
    return sorted(images, key=attrgetter("since", "digest"), reverse=True)


Selected = Iterable[tuple[Rule, Sequence[int]]]
"""Each rule with the places of the images that it is about, in a list that has the youngest first.

They are in order, so that an image's place among them says how many younger ones there are.
"""


def judge(selected: Selected, images: Sequence[Image], now: datetime) -> list[Verdict]:
    """What becomes of each image, given what each rule selects."""
    deciding: dict[int, Rule] = {}
    taking: dict[str, Rule] = {}
    for rule, places in selected:
        for younger, place in enumerate(places):
            # What an earlier rule has selected keeps its place in the count all the same.
            if place not in deciding:
                deciding[place] = rule
                if _due(rule, images[place], younger, now):
                    taking[images[place].digest] = rule
    holding, listed = _hold(images, taking)
    following = _follow(images, taking, listed)
    return [
        Verdict(
            image,
            taken.action if (taken := taking.get(image.digest)) else "keep",
            taken or deciding.get(place),
            holding.get(image.digest),
            following.get(image.digest),
        )
        for place, image in enumerate(images)
    ]


def taker(selected: Selected, image: Image, place: int, now: datetime) -> Rule | None:
    """The rule that would take an image, if it were as it is given here: with fewer tags, say.

    Indexes are not looked at.
    """
    for rule, places in selected:
        if selects(rule, image):
            return rule if _due(rule, image, bisect_left(places, place), now) else None
    return None


def selects(rule: Rule, image: Image) -> bool:
    """Whether a rule is about an image."""
    if rule.archived is not image.archived:
        return False
    if rule.tag_status != "tagged":
        return rule.tag_status == "any" or not image.tags
    return all(any(map(compiled(entry).fullmatch, image.tags)) for entry in rule.tags)


def _due(rule: Rule, image: Image, younger: int, now: datetime) -> bool:
    """Whether a rule takes an image that it selects, and so many younger ones."""
    match rule.count_type:
        case "imageCountMoreThan":
            return younger >= rule.number
        case "sinceImagePulled":
            began: datetime | None = image.used
        case "sinceImageTransitioned":
            began = image.archived_at
        case _:
            began = image.since
    return began is not None and (now - began).total_seconds() > rule.number * _DAY


_DAY: Final = 86_400


def selections(
    rules: Iterable[Rule], images: Sequence[Image]
) -> Iterator[tuple[Rule, Sequence[int]]]:
    """Each rule, in the order in which they decide, with the places of the images it is about.

    Whether or not it decides about them. A rule sees one storage class, never both.
    """
    tags, owners = list[str](), list[int]()
    for place, image in enumerate(images):
        tags += image.tags
        owners += repeat(place, len(image.tags))
    order = sorted(range(len(tags)), key=tags.__getitem__)
    search = cache(partial(_places, tags, owners, order))
    archived = {place for place, image in enumerate(images) if image.archived}
    standard = set(range(len(images))) - archived
    for rule in sorted(rules, key=lambda rule: rule.priority):
        seen = archived if rule.archived else standard
        places = seen.intersection(*map(search, rule.tags))
        if rule.tag_status == "untagged":
            places = {place for place in places if not images[place].tags}
        yield rule, sorted(places)


def _places(
    tags: Sequence[str], owners: Sequence[int], order: Sequence[int], entry: tuple[str, ...]
) -> set[int]:
    """The places of the images with a tag that matches. `order` is the alphabetical one."""
    head, *rest = entry
    numbers: Sequence[int] = range(len(tags))  # without a head, in the order of memory
    if head:
        start = bisect_left(order, head, key=tags.__getitem__)
        length = len(head)
        end = bisect_right(order, head, start, key=lambda number: tags[number][:length])
        numbers = order[start:end]
    if rest != [""]:
        longest = max(rest, key=len, default=head)  # most tags fail here, at little cost
        with_longest = map(contains, map(tags.__getitem__, numbers), repeat(longest))
        matches = compiled(entry).fullmatch
        numbers = [number for number in compress(numbers, with_longest) if matches(tags[number])]
    return {owners[number] for number in numbers}


def _hold(
    images: Sequence[Image], taking: dict[str, Rule]
) -> tuple[dict[str, str], frozenset[str]]:
    """Take back what an index that stays lists: it goes with the index, or after it, never before.

    An index in the archive holds nothing any more. Returns what is taken back, each with its index,
    and everything that an index that stays lists.
    """
    indexes = {image.digest: image for image in images if image.children and not image.archived}
    staying = deque(index for index in indexes.values() if index.digest not in taking)
    holding: dict[str, str] = {}
    listed = set[str]()
    while staying:
        index = staying.popleft()
        listed.update(index.children or ())
        for digest in index.children or ():
            if taking.pop(digest, None):
                holding[digest] = index.digest
                if digest in indexes:
                    staying.append(indexes[digest])
    return holding, frozenset(listed)


def _follow(
    images: Sequence[Image], taking: dict[str, Rule], listed: Container[str]
) -> dict[str, str]:
    """Let referrers go with their subjects, and those that refer to them; but no listed ones."""
    referrers = defaultdict[str, list[Image]](list)
    for image in images:
        if image.subject is not None:
            referrers[image.subject].append(image)
    going = deque(digest for digest in referrers if digest in taking)
    following: dict[str, str] = {}
    while going:
        subject = going.popleft()
        rule = taking[subject]
        for image in referrers.get(subject, ()):
            stays = image.digest in listed or (image.archived and rule.action == "archive")
            if not stays and image.digest not in taking:
                taking[image.digest] = rule
                following[image.digest] = subject
                going.append(image.digest)
    return following
