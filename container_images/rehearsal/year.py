"""Pure: a year of one repository under its lifecycle policy, day by day, as ECR applies it.

An image that has expired is not counted the next day, and the tags that count are those of the day.
One simulation at the end of the year would count images that had expired long before.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

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


@dataclass(frozen=True, kw_only=True)
class Event:
    """A tag is put on an image, which is pushed with it if it is not there."""

    at: datetime
    digest: str
    tag: str
    pushed: bool = False


# --- What happens in it ---------------------------------------------------------------------------


def history(convention: TagConvention, movable: Sequence[str]) -> list[Event]:
    """What pipeline and developers do in a year, always the same, in the order of time.

    On working days there are merges. Staging accepts most of them and production some, each under a
    tag of that step, if there is one, and production moves the movable tags. Stages before these
    are of builds that never get further. Two releases were bad, one amid the year and the last one:
    the movable tags went back to the one before.
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
            is_staged, is_released = chance.random() < 0.8, number == 0 and chance.random() < 0.5  # noqa: PLR2004
            stages = way if is_released else way[: -1 if is_staged else 1] or way
            at, build = morning + timedelta(minutes=150 * number), 100 + 10 * day + number
            events += _build(chance, at, build, stages, movable if is_released else ())
        for stage in others:
            for number in range(chance.randint(0, 3)):
                at, build = morning + timedelta(minutes=90 * number), 100 + 10 * day + number
                events += _build(chance, at, build, [stage], ())
    releases = [event for event in events if event.tag == movable[0]]
    for bad in (len(releases) // 2, len(releases) - 1):
        at = releases[bad].at + timedelta(minutes=50)
        events += (Event(at=at, digest=releases[bad - 1].digest, tag=tag) for tag in movable)
    return sorted(events, key=lambda event: event.at)


def _build(
    chance: random.Random, at: datetime, build: int, stages: Sequence[Stage], movable: Sequence[str]
) -> Iterator[Event]:
    """An image, and the stages that it reaches, half an hour after each other."""
    commit, digest = f"{chance.getrandbits(160):040x}", f"sha256:{chance.getrandbits(256):064x}"
    for number, stage in enumerate(stages):
        tag = tag_of(stage, commit, at, build)
        yield Event(at=at, digest=digest, tag=tag, pushed=number == 0)
        at += timedelta(minutes=30)
    for tag in movable:
        yield Event(at=at, digest=digest, tag=tag)


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
    places: dict[str, list[str]] = field(default_factory=dict)
    """The digests that each tag was put on, in their order."""

    def happen(self, event: Event) -> None:
        """A push, or a tag that moves. A tag for an image that has expired is lost."""
        if event.pushed:
            self._set(Image(digest=event.digest, tags=(), pushed_at=event.at))
        elif event.digest not in self.kept:
            return
        places = self.places.setdefault(event.tag, [])
        if places and (before := self.kept.get(places[-1])):
            self._set(replace(before, tags=tuple(it for it in before.tags if it != event.tag)))
        image = self.kept[event.digest]
        self._set(replace(image, tags=(*image.tags, event.tag)))
        places.append(event.digest)

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


def claims(
    year: Year, convention: TagConvention, movable: Sequence[str]
) -> Iterator[tuple[str, Sequence[str]]]:
    """What is claimed to be pullable, and its digests.

    Always the image of each movable tag. The image before, and releases, only as far as the policy
    is meant to keep them: a team may want three, or none for longer than a month.
    """
    for tag in movable:
        yield f"the image of {tag}", year.places.get(tag, [])[-1:]
    number = _promised(year, convention)
    if number == 0:
        return
    places = year.places.get(movable[0], [])
    yield (
        f"the image that {movable[0]} was on before",
        [digest for digest in places if digest != places[-1]][-1:],
    )
    last = way_of(convention)[-1].name
    releases = [
        image
        for image in sorted(year.pushed.values(), key=lambda image: image.pushed_at)
        if (unique := convention.unique_tag(image.tags)) and unique.stage == last
    ]
    named = f"the newest {number} releases" if number > 1 else "the newest release"
    yield named, [image.digest for image in releases[-number:]]


def _promised(year: Year, convention: TagConvention) -> int:
    """How many of the newest releases the policy is meant to keep; at most RELEASES.

    None where the rule that the releases come under counts images of all kinds, or goes by age.
    """
    release = tag_of(way_of(convention)[-1], "0" * 40, _START, 1)
    for rule in sorted(year.rules, key=lambda rule: rule.priority):
        matches = all(compiled(pattern).fullmatch(release) for pattern in rule.tags)
        if rule.tag_status == "any" or (rule.tag_status == "tagged" and matches):
            counts = (rule.tag_status, rule.count_type) == ("tagged", "imageCountMoreThan")
            return min(rule.number, RELEASES) if counts else 0
    return RELEASES


def kept(year: Year) -> str:
    """How many images are kept, and how many of them nobody can pull as they are."""
    archived = sum(image.archived for image in year.kept.values())
    where = f", {archived:,} of them in the archive" if archived else ""
    return f"{len(year.kept):,} of {len(year.pushed):,} images are kept{where}"


def broken_claims(year: Year, convention: TagConvention, movable: Sequence[str]) -> list[str]:
    """Each claim about the year that does not hold, with the rule that breaks it, and the fix."""
    broken = []
    for claim, digests in claims(year, convention, movable):
        if lost := [digest for digest in digests if digest in year.taken_by]:
            rule = next(it for it in year.rules if it.priority == year.taken_by[lost[0]])
            broken.append(
                f"cannot be pulled any more: {claim} ({rule} took it; put the rule that keeps "
                "releases before this one, or let it keep more)"
            )
        elif not digests:
            broken.append(f"cannot be pulled: {claim} (it expired before the pipeline tagged it)")
    return broken
