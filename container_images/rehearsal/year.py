"""Pure: a year of one repository under its lifecycle policy, day by day, as ECR applies it.

An image that has expired is not counted the next day, and the tags that count are those of the day.
One simulation at the end of the year would count images that had expired long before.
"""

import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from container_images.aws.image import Image
from container_images.lifecycle.document import Rule
from container_images.lifecycle.simulation import Simulation
from container_images.policies.document import compiled
from container_images.policies.tag_convention import Stage, TagConvention

DAYS: Final = 365
RELEASES: Final = 10
"""So many of the newest are claimed to be kept, or as many as the policy is meant to keep."""

_START: Final = datetime(2025, 6, 2, 9, tzinfo=UTC)  # a Monday


def way_of(convention: TagConvention) -> list[Stage]:
    """The stages that the image of a release goes through: the last three, if there are more.

    Those before them are of images that never get further, such as the builds of pull requests.
    """
    return list(convention.stages.values())[-3:]


def tag_of(stage: Stage, commit: str, at: datetime, build: int) -> str:
    """The tag that a build of this commit gets when it reaches a stage. Later builds count more."""
    values = {"sha": commit, "epoch": int(at.timestamp()), "date": at.date()}
    return stage.write({**values, "semver": f"1.{build}.0", "number": build})


class Event(NamedTuple):
    """A tag is put on an image. With its first tag the image is pushed."""

    at: datetime
    digest: str
    tag: str


def history(convention: TagConvention, movable: Sequence[str]) -> list[Event]:
    """What pipeline and developers do in a year, always the same, in the order of time.

    On working days one merge goes as far as staging, every other day into production, each step
    under its own tag, and production moves the movable tags. Other builds get no further than their
    first stage. The last release was bad: the movable tags went back to the one before.
    """
    way = way_of(convention)
    dead_ends = [[stage] for stage in convention.stages.values() if stage not in way]
    events: list[Event] = []
    for day in [day for day in range(DAYS) if day % 7 in range(5)]:
        furthest = way if day % 2 else way[:-1] or way
        for number, stages in enumerate([way[:1], *dead_ends, furthest], start=1):
            build, at = 100 * day + number, _START + timedelta(days=day, hours=number)
            digits = hashlib.sha256(str(build).encode()).hexdigest()
            for stage in stages:
                events.append(Event(at, digits, tag_of(stage, digits[:40], at, build)))
                at += timedelta(minutes=10)
            if stages[-1] is way[-1]:
                events += (Event(at, digits, tag) for tag in movable)
    *_, before, last = (event for event in events if event.tag == movable[0])
    soon = last.at + timedelta(minutes=5)
    events += (Event(soon, before.digest, tag) for tag in movable)
    return sorted(events, key=lambda event: event.at)


def outcome(
    rules: Sequence[Rule],
    events: Sequence[Event],
    convention: TagConvention,
    movable: Sequence[str],
) -> tuple[bool, str]:
    """Whether what is claimed can be pulled at the end; how much is kept, and what breaks a claim.

    Claimed is always the image of each movable tag. The image before, and releases, only as far as
    the policy is meant to keep them: a team may want three, or none for longer than a month.
    """
    kept, taken_by = live(rules, events)
    release = way_of(convention)[-1]
    places = {tag: [event.digest for event in events if event.tag == tag] for tag in movable}
    claims = {f"the image of {tag}": digests[-1:] for tag, digests in places.items()}
    if number := _promised(rules, tag_of(release, "0" * 40, _START, 1)):
        first = places[movable[0]]
        before = [digest for digest in first if digest != first[-1]]
        claims[f"the image that {movable[0]} was on before"] = before[-1:]
        newest = f"the newest {number} releases" if number > 1 else "the newest release"
        releases = [event.digest for event in events if release.pattern.fullmatch(event.tag)]
        claims[newest] = releases[-number:]
    broken = [
        f"cannot be pulled any more: {claim} ({takers[0]} took it; put the rule that keeps "
        "releases before this one, or let it keep more)"
        for claim, digests in claims.items()
        if (takers := [taken_by[digest] for digest in digests if digest in taken_by])
    ]
    what = "; ".join(broken) or f"can be pulled: {', '.join(claims)}"
    archived = sum(image.archived for image in kept.values())
    where = f", {archived:,} of them in the archive" if archived else ""
    pushed = len({*kept, *taken_by})
    return not broken, f"{len(kept):,} of {pushed:,} images are kept{where}; {what}"


def live(rules: Sequence[Rule], events: Sequence[Event]) -> tuple[dict[str, Image], dict[str, str]]:
    """Apply the events of each day, and the policy at its end, as ECR does.

    Returns by digest the images that are kept, archived ones too, and the rules that took one.
    """
    kept, taken_by, places = dict[str, Image](), dict[str, str](), dict[str, str]()
    remaining, midnight = deque(events), events[0].at.replace(hour=0, minute=0)
    while remaining:
        midnight += timedelta(days=1)
        while remaining and remaining[0].at < midnight:
            at, digest, tag = remaining.popleft()
            if digest in taken_by and digest not in kept:
                continue  # the tag of an image that has expired is lost
            if before := kept.get(places.get(tag, "")):
                tags = tuple(other for other in before.tags if other != tag)
                kept[before.digest] = replace(before, tags=tags)
            image = kept.get(digest) or Image(digest=digest, pushed_at=at)
            kept[digest] = replace(image, tags=(*image.tags, tag))
            places[tag] = digest
        for verdict in Simulation(rules, kept.values(), midnight).verdicts:
            if verdict.action != "keep":
                image = kept.pop(verdict.image.digest)
                taken_by[image.digest] = str(verdict.decided_by)
            if verdict.action == "archive":
                kept[image.digest] = replace(image, archived=True, archived_at=midnight)
    return kept, taken_by


def _promised(rules: Sequence[Rule], release: str) -> int:
    """How many of the newest releases the policy is meant to keep; at most RELEASES.

    None where the rule that the releases come under counts images of all kinds, or goes by age.
    """
    for rule in rules:
        matches = all(compiled(pattern).fullmatch(release) for pattern in rule.tags)
        if rule.tag_status == "any" or (rule.tag_status == "tagged" and matches):
            counts = (rule.tag_status, rule.count_type) == ("tagged", "imageCountMoreThan")
            return min(rule.number, RELEASES) if counts else 0
    return RELEASES
