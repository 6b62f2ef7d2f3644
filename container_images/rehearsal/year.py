"""Pure: a year of one repository under its lifecycle policy, day by day, as ECR applies it.

An image that has expired is not counted the next day, and the tags that count are those of the day.
One simulation at the end of the year would count images that had expired long before.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from container_images.aws.image import Image
from container_images.lifecycle.document import Rule
from container_images.lifecycle.simulation import simulate
from container_images.policies.patterns import compiled
from container_images.policies.tag_convention import Stage, TagConvention
from container_images.rehearsal.tags import tag_of, way_of

DAYS: Final = 365
RELEASES: Final = 10
"""So many of the newest are claimed to be kept, or as many as the policy is meant to keep."""

_START: Final = datetime(2025, 6, 2, tzinfo=UTC)  # a Monday
_WEEKEND: Final = 5
_DAY: Final = timedelta(days=1)
_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, kw_only=True)
class Event:
    """An image is pushed, or an image that is there gets a tag, which leaves the one it was on."""

    at: datetime
    digest: str
    tag: str | None = None
    pushed: Image | None = None


# --- What happens in it ---------------------------------------------------------------------------


def history(convention: TagConvention, movable: Sequence[str]) -> list[Event]:
    """What pipeline and developers do in a year, always the same, in the order of time.

    On working days there are merges, built for two architectures: an index and two images without a
    tag. Staging accepts most of them and production some, each under a tag of that step, if there
    is one, and production moves the movable tags. Stages before these are of builds that never get
    further. Two releases were bad, one amid the year and the last one: the movable tags went back
    to the one before.
    """
    chance = random.Random("ADR040")  # noqa: S311 the same each time
    events: list[Event] = []
    way = way_of(convention)
    others = list(convention.stages.values())[: -len(way)]
    for day in range(DAYS):
        morning = _START + timedelta(days=day, hours=9)
        if morning.weekday() >= _WEEKEND:
            continue
        for number in range(chance.randint(1, 3)):
            at = morning + timedelta(minutes=150 * number)
            is_released = number == 0 and chance.random() < 0.5  # noqa: PLR2004 half of the days
            build = 100 + 10 * day + number
            events += _merge(chance, at, build, way, movable if is_released else ())
        for stage in others:
            for number in range(chance.randint(0, 3)):
                at = morning + timedelta(minutes=40 + 90 * number)
                commit = f"{chance.getrandbits(160):040x}"
                tag = tag_of(stage, commit, at, 100 + 10 * day + number)
                events.append(_push(chance, at, tag))
    releases = [event for event in events if event.tag == movable[0]]
    for bad in (len(releases) // 2, len(releases) - 1):
        at = releases[bad].at + timedelta(minutes=50)
        events += (Event(at=at, digest=releases[bad - 1].digest, tag=tag) for tag in movable)
    return sorted(events, key=lambda event: event.at)


def _merge(
    chance: random.Random, at: datetime, build: int, way: Sequence[Stage], movable: Sequence[str]
) -> Iterator[Event]:
    """A build for two architectures, and the stages that accept it; the last moves the tags."""
    commit = f"{chance.getrandbits(160):040x}"
    parts = [_push(chance, at), _push(chance, at)]
    yield from parts
    listed = {"media_type": _INDEX, "children": tuple(part.digest for part in parts)}
    yield (index := _push(chance, at, tag_of(way[0], commit, at, build), **listed))
    accepted = way[1:] if movable else way[1:-1] if chance.random() < 0.7 else ()  # noqa: PLR2004
    for stage in accepted:
        at += timedelta(minutes=30)
        yield Event(at=at, digest=index.digest, tag=tag_of(stage, commit, at, build))
    for tag in movable:
        yield Event(at=at, digest=index.digest, tag=tag)


def _push(chance: random.Random, at: datetime, *tags: str, **listed: Any) -> Event:
    digest = f"sha256:{chance.getrandbits(256):064x}"
    described = {"media_type": _MANIFEST, "size": 90_000_000, **listed}
    image = Image(digest=digest, tags=tags, pushed_at=at, **described)
    return Event(at=at, digest=digest, pushed=image)


# --- Day by day -----------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Year:
    """What becomes of the images that are pushed to a repository."""

    rules: Sequence[Rule]
    """The lifecycle policy."""
    pushed: dict[str, Image] = field(default_factory=dict)
    """All of them, by digest, each with the last tags that it had."""
    kept: dict[str, Image] = field(default_factory=dict)
    taken_by: dict[str, int | None] = field(default_factory=dict)
    """The rule that expired or archived an image, by its digest."""
    tagged: dict[str, list[str]] = field(default_factory=dict)
    """The digests that each tag was put on afterwards, in their order."""

    _place: dict[str, str] = field(default_factory=dict)
    """The digest that each tag is on."""

    def happen(self, event: Event) -> None:
        """A push, or a tag that moves. A tag for an image that has expired is lost."""
        if event.pushed:
            self._set(event.pushed)
            self._place |= dict.fromkeys(event.pushed.tags, event.digest)
        elif event.tag and event.digest in self.kept:
            if before := self.kept.get(self._place.get(event.tag, "")):
                self._set(replace(before, tags=tuple(it for it in before.tags if it != event.tag)))
            image = self.kept[event.digest]
            self._set(replace(image, tags=(*image.tags, event.tag)))
            self._place[event.tag] = event.digest
            self.tagged.setdefault(event.tag, []).append(event.digest)

    def clean(self, now: datetime) -> None:
        """Apply the policy, as ECR does once a day."""
        for verdict in simulate(self.rules, self.kept.values(), now):
            digest = verdict.image.digest
            if verdict.action != "keep":
                self.taken_by[digest] = verdict.rule
            if verdict.action == "expire":
                del self.kept[digest]
            elif verdict.action == "archive":
                self._set(replace(verdict.image, archived=True, archived_at=now))

    def _set(self, image: Image) -> None:
        self.pushed[image.digest] = self.kept[image.digest] = image


def live(rules: Sequence[Rule], events: Sequence[Event]) -> Year:
    """Apply the events of each day, and the policy at its end. The events are in order."""
    year = Year(rules=rules)
    end = events[0].at.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
    for event in events:
        while event.at >= end:
            year.clean(end)
            end += _DAY
        year.happen(event)
    year.clean(end)
    return year


# --- What is claimed of it ------------------------------------------------------------------------


def broken_claims(year: Year, convention: TagConvention, movable: Sequence[str]) -> list[str]:
    """Each claim about the year that does not hold, with the rule that breaks it, and the fix."""
    broken = []
    for claim, digests in claims(year, convention, movable):
        if lost := [digest for digest in digests if not _can_be_pulled(digest, year)]:
            broken.append(f"cannot be pulled any more: {claim} ({_reason(lost[0], year)})")
        elif not digests:
            broken.append(
                f"cannot be pulled: {claim} (all expired before the pipeline tagged them)"
            )
    return broken


def claims(
    year: Year, convention: TagConvention, movable: Sequence[str]
) -> Iterator[tuple[str, Sequence[str]]]:
    """What is claimed to be pullable, and its digests.

    Always the image of each movable tag. The image before, and releases, only as far as the policy
    is meant to keep them: a team may want three, or none for longer than a month.
    """
    for tag in movable:
        yield f"the image of {tag}", year.tagged.get(tag, [])[-1:]
    if unclaimed(year, convention, movable):
        return
    places = year.tagged.get(movable[0], [])
    yield (
        f"the image that {movable[0]} was on before",
        [it for it in places if it != places[-1]][-1:],
    )
    last = way_of(convention)[-1].name
    releases = sorted(
        (it for it in year.pushed.values() if _stage_of(it, convention) == last),
        key=lambda image: image.pushed_at,
    )
    rule = _rule_of_releases(year, convention)
    number = min(rule.number, RELEASES) if rule else RELEASES
    named = f"the newest {number} releases" if number > 1 else "the newest release"
    yield named, [it.digest for it in releases[-number:]]


def unclaimed(year: Year, convention: TagConvention, movable: Sequence[str]) -> str:
    """Why nothing is claimed of releases, if the policy promises nothing of them; else empty."""
    rule = _rule_of_releases(year, convention)
    if rule is None or (rule.tag_status, rule.count_type) == ("tagged", "imageCountMoreThan"):
        return ""
    counts = rule.count_type == "imageCountMoreThan"
    how = "counts images of all kinds together" if counts else "goes by the age of images"
    return f"not claimed for the image before {movable[0]} and for releases: {rule} {how}"


def _rule_of_releases(year: Year, convention: TagConvention) -> Rule | None:
    """The rule of the policy that the releases come under; None if they come under none."""
    release = tag_of(way_of(convention)[-1], "0" * 40, _START, 1)
    for rule in sorted(year.rules, key=lambda rule: rule.priority):
        matches = all(compiled(pattern).fullmatch(release) for pattern in rule.tags)
        if rule.tag_status == "any" or (rule.tag_status == "tagged" and matches):
            return rule
    return None


def _stage_of(image: Image, convention: TagConvention) -> str | None:
    tag = convention.unique_tag(image.tags)
    return tag.stage if tag else None


def _can_be_pulled(digest: str, year: Year) -> bool:
    """Whether it is kept, with all that it lists, and none is archived."""
    needed = [digest, *(year.pushed[digest].children or ())]
    images = [year.kept.get(it) for it in needed]
    return all(image is not None and not image.archived for image in images)


def _reason(digest: str, year: Year) -> str:
    """The rule that took an image, or one that it lists, and what would keep it."""
    needed = [digest, *(year.pushed[digest].children or ())]
    taken = next((it for it in needed if it in year.taken_by), None)
    if taken is None:
        return "an image that it lists was never pushed"
    rule = next(it for it in year.rules if it.priority == year.taken_by[taken])
    return f"{rule} took it; put the rule that keeps releases before this one, or let it keep more"
