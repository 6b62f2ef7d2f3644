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

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import compress, islice, repeat
from operator import attrgetter, contains
from typing import Literal, NamedTuple

from container_images.aws.image import Image
from container_images.lifecycle.document import Action, Rule
from container_images.policies.document import compiled


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


class Simulation:
    """What becomes of the images of a repository, the youngest first, by rules in their order.

    An image's place says how many are younger. It is decided in as few steps as can be: a rule
    looks at the images that no earlier one selects and, to count, at the youngest ones.
    """

    def __init__(self, rules: Sequence[Rule], images: Iterable[Image], now: datetime) -> None:
        """Each digest may occur once. Of images that are equally old, the higher one is younger."""
        self.rules = rules
        self.images = sorted(images, key=attrgetter("since", "digest"), reverse=True)
        self._now = now
        # Each image's tags in one text, each between line ends: a piece is found there quickly.
        self._texts = ["\n".join(("", *each.tags, "")) if each.tags else "" for each in self.images]
        self._classes: dict[bool, list[int]] = {False: [], True: []}
        for place, image in enumerate(self.images):
            self._classes[image.archived].append(place)
        deciding: dict[int, Rule] = {}
        taking: dict[int, Rule] = {}
        undecided = {**self._classes}
        for rule in rules:
            if places := self._select(rule, undecided[rule.archived]):
                is_due = self._due(rule)
                due = (place for place in places if is_due(place, self.images[place]))
                taking |= dict.fromkeys(due, rule)
                deciding |= dict.fromkeys(places, rule)
                decided = {*places}
                rest = [place for place in undecided[rule.archived] if place not in decided]
                undecided[rule.archived] = rest
        holding, following = _join(self.images, taking)
        self.verdicts = [
            Verdict(
                image,
                taken.action if (taken := taking.get(place)) else "keep",
                taken or deciding.get(place),
                holding.get(place),
                following.get(place),
            )
            for place, image in enumerate(self.images)
        ]

    def taker(self, image: Image, place: int) -> Rule | None:
        """The rule that would take the image in a place if it were so: with fewer tags, say.

        Indexes are not looked at.
        """
        alone = Simulation((), [image], self._now)
        rule = next((rule for rule in self.rules if alone.selects(rule)), None)
        return rule if rule and self._due(rule)(place, image) else None

    def selects(self, rule: Rule) -> bool:
        """Whether a rule is about any image, even if it decides about none."""
        return any(True for _ in self._selected(rule))

    def _selected(self, rule: Rule) -> Iterator[int]:
        """The places of all images that a rule is about, looked for as they are asked for.

        A rule sees one storage class, never both.
        """
        places = self._classes[rule.archived]
        for start in range(0, len(places), 1_000):  # a count needs few of them
            yield from self._select(rule, places[start : start + 1_000])

    def _select(self, rule: Rule, places: list[int]) -> list[int]:
        """Those of the places, all in its storage class, whose images a rule is about."""
        texts = self._texts
        if rule.tag_status == "untagged":
            places = [place for place in places if not texts[place]]
        for entry in rule.tags:
            pieces = [*entry]
            pieces[0] = f"\n{pieces[0]}"
            pieces[-1] += "\n"
            longest = max(pieces, key=len)
            matching = map(contains, map(texts.__getitem__, places), repeat(longest))
            places = [*compress(places, matching)]
            pieces.remove(longest)
            if "".join(pieces).strip("\n"):  # otherwise the longest piece is all that must be there
                matches = compiled(entry).fullmatch
                places = [place for place in places if any(map(matches, self.images[place].tags))]
        return places

    def _due(self, rule: Rule) -> Callable[[int, Image], bool]:
        """Whether a rule takes an image that it selects, in its place."""
        limit = timedelta(days=min(rule.number, timedelta.max.days))
        now = self._now
        match rule.count_type:
            case "imageCountMoreThan":
                # What an earlier rule selects keeps its place in the count all the same.
                number = min(rule.number, len(self.images))
                last = next(islice(self._selected(rule), number - 1, None), len(self.images))
                return lambda place, _: place > last
            case "sinceImagePushed":
                return lambda _, image: now - image.since > limit
            case "sinceImagePulled":
                return lambda _, image: now - image.used > limit
        return lambda _, image: now - (image.archived_at or now) > limit


def _join(
    images: Sequence[Image], taking: dict[int, Rule]
) -> tuple[dict[int, str], dict[int, str]]:
    """Correct what rules take by what belongs together, all by their places.

    What an index that stays lists goes with the index, or after it, never before; one in the
    archive holds nothing. Referrers go with their subjects, and those that refer to them; but no
    listed ones. Returns what is held, each with its index, and what follows, each with its subject.
    """
    holding, following = dict[int, str](), dict[int, str]()
    if not any(image.children or image.subject for image in images):
        return holding, following
    places = {image.digest: place for place, image in enumerate(images)}
    indexes = {place for place, image in enumerate(images) if image.children and not image.archived}
    staying, listed = deque(indexes.difference(taking)), set[int]()
    while staying:
        index = images[staying.popleft()]
        children = {places[digest] for digest in index.children or () if digest in places}
        listed |= children
        for place in children.intersection(taking):
            del taking[place]
            holding[place] = index.digest
            if place in indexes:
                staying.append(place)
    referrers = defaultdict[int | None, list[int]](list)
    for place, image in enumerate(images):
        if image.subject is not None:
            referrers[places.get(image.subject)].append(place)
    going = deque(taking.keys() & referrers)
    while going:
        subject = going.popleft()
        rule = taking[subject]
        for place in referrers[subject]:
            stays = place in listed or (images[place].archived and rule.action == "archive")
            if not stays and place not in taking:
                taking[place] = rule
                following[place] = images[subject].digest
                going.append(place)
    return holding, following
