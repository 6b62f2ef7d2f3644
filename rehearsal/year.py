"""Pure: a year of one repository under a lifecycle policy, simulated day by day, as ECR applies it.

An image that has expired is not counted the next day, and the tags that count are those of the day.
One simulation at the end of the year would count images that had expired long before.
"""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha1, sha256
from typing import Any, Final

from policies.tag_convention import ADR040, Stage, TagConvention
from registry.aws.image import Image
from registry.lifecycle.document import Rule
from registry.lifecycle.simulation import pattern, taken
from rehearsal.tags import way_of, written

DAYS: Final = 365
_START: Final = datetime(2025, 6, 2, tzinfo=UTC)  # a Monday
_WEEKEND: Final = 5
_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, kw_only=True)
class Event:
    """An image is pushed, or an image that is there gets a tag, which leaves the one it was on."""

    at: datetime
    digest: str
    tag: str | None = None
    pushed: Image | None = None


@dataclass(frozen=True, kw_only=True)
class Year:
    """What became of the images that were pushed."""

    pushed: tuple[Image, ...]
    """All of them, each with the last tags that it had."""
    kept: tuple[Image, ...]
    gone: dict[str, int]
    """The digests of the others, each with the rule that expired it."""
    latest: tuple[str, ...]
    """The digests that the first movable tag has been on, in the order in which it came to them."""
    missed: tuple[str, ...]
    """The digests that the pipeline wanted to tag after they had expired."""
    end: datetime
    rules: tuple[Rule, ...]
    """The lifecycle policy."""
    movable: str
    """The first movable tag."""
    convention: TagConvention


def history(
    convention: TagConvention = ADR040, movable: Sequence[str] = ("latest",)
) -> list[Event]:
    """What the pipeline and the developers do in a year, always the same, in the order of time.

    On working days there are merges, built for two architectures: an index and two images without a
    tag. Staging accepts most of them and production some, each under a tag of that step, if there
    is one, and production moves the movable tags. Earlier stages than these are of builds of pull
    requests for review apps, and of developers. Two releases were bad, one amid the year and the
    last one: the movable tags went back to the one before.
    """
    events = [event for day in range(DAYS) for event in _day(day, convention, movable)]
    releases = [event for event in events if event.tag == movable[0]]
    for bad in (len(releases) // 2, len(releases) - 1):
        at = releases[bad].at + timedelta(minutes=50)
        events += (Event(at=at, digest=releases[bad - 1].digest, tag=tag) for tag in movable)
    return sorted(events, key=lambda event: event.at)


_STAGING_ACCEPTS: Final = 80
_PRODUCTION_ACCEPTS: Final = 65
"""In percent: of the merges, and of each morning's first that staging has accepted."""


def _day(day: int, convention: TagConvention, movable: Sequence[str]) -> Iterator[Event]:
    morning = _START + timedelta(days=day, hours=9)
    if morning.weekday() < _WEEKEND:
        way = way_of(convention)
        yield from _merges(day, morning, way, movable)
        yield from _others(day, morning, list(convention.stages.values())[: -len(way)])


def _merges(
    day: int, morning: datetime, way: Sequence[Stage], movable: Sequence[str]
) -> Iterator[Event]:
    for number in range(1 + _chance(day, "merges") % 3):
        at = morning + timedelta(minutes=150 * number)
        commit, build = _commit(day, f"merge {number}"), _build(day, number)
        index = yield from _index(at, commit, way[0], build)
        if _chance(day, f"staging {number}") % 100 < _STAGING_ACCEPTS:
            at += timedelta(minutes=25)
            for stage in way[1:-1]:
                yield Event(at=at, digest=index, tag=written(stage, commit, at, build))
            if number == 0 and _chance(day, "production") % 100 < _PRODUCTION_ACCEPTS:
                at += timedelta(minutes=35)
                released = [written(stage, commit, at, build) for stage in way[1:][-1:]]
                for tag in (*released, *movable):
                    yield Event(at=at, digest=index, tag=tag)


def _others(day: int, morning: datetime, stages: Sequence[Stage]) -> Iterator[Event]:
    for stage in stages[:1]:
        for number in range(_chance(day, "pull requests") % 5):
            at = morning + timedelta(minutes=40 + 90 * number)
            commit = _commit(day, f"pull request {number}")
            yield _push(at, commit, (written(stage, commit, at, _build(day, number)),))
    for number, stage in enumerate(stages[1:]):
        who = f"developer{number or ''}"
        if _chance(day, f"{who}s") % 3 == 0:
            at = morning + timedelta(hours=7)
            commit = _commit(day, who)
            yield _push(at, commit, (written(stage, commit, at, _build(day, 0)),))


def _build(day: int, number: int) -> int:
    """The number of a build. No day has more than five of a kind."""
    return 100 + 5 * day + number


def _index(at: datetime, commit: str, stage: Stage, build: int) -> Generator[Event, None, str]:
    """The images of two architectures, and then the index that lists them. Gives its digest."""
    parts = [_push(at, f"{commit} {architecture}") for architecture in ("amd64", "arm64")]
    yield from parts
    at += timedelta(seconds=20)
    index = _push(
        at,
        commit,
        (written(stage, commit, at, build),),
        media_type=_INDEX,
        children=tuple(part.digest for part in parts),
    )
    yield index
    return index.digest


def _push(at: datetime, content: str, tags: tuple[str, ...] = (), **more: Any) -> Event:
    digest = f"sha256:{sha256(content.encode()).hexdigest()}"
    image = Image(
        digest=digest,
        tags=tags,
        pushed_at=at,
        **{
            "media_type": _MANIFEST,
            "size": 90_000_000 + int(digest[-6:], 16),
            **more,
        },
    )
    return Event(at=at, digest=digest, pushed=image)


def _commit(day: int, what: str) -> str:
    return sha1(f"{day} {what}".encode(), usedforsecurity=False).hexdigest()


def _chance(day: int, what: str) -> int:
    """A pseudo-random number, the same each time."""
    return int(_commit(day, what)[:8], 16)


# --- Day by day -----------------------------------------------------------------------------------


def live(
    rules: Sequence[Rule],
    events: Sequence[Event],
    convention: TagConvention = ADR040,
    movable: str = "latest",
) -> Year:
    """Apply the events of each day, and the policy at its end. `movable` is the tag to follow."""
    days: dict[datetime, list[Event]] = {}
    for event in events:
        days.setdefault(_midnight_after(event.at), []).append(event)
    repository = _Repository(movable)
    first, last = min(days), max(days)
    for number in range((last - first).days + 1):
        midnight = first + timedelta(days=number)
        for event in days.get(midnight, []):
            repository.happen(event)
        repository.clean(rules, midnight)
    return Year(
        pushed=tuple(repository.pushed.values()),
        kept=tuple(repository.there.values()),
        gone=repository.gone,
        latest=tuple(repository.latest),
        missed=tuple(repository.missed),
        end=last,
        rules=tuple(rules),
        movable=movable,
        convention=convention,
    )


class _Repository:
    """The images of one repository, from push to expiry."""

    def __init__(self, movable: str) -> None:
        self._movable = movable
        self.pushed: dict[str, Image] = {}
        self.there: dict[str, Image] = {}
        self.gone: dict[str, int] = {}
        self.latest: list[str] = []
        self.missed: list[str] = []

    def happen(self, event: Event) -> None:
        """A push, or a tag that moves."""
        if event.pushed:
            self._put(event.pushed)
        elif event.digest not in self.there:
            self.missed.append(event.digest)
        elif event.tag:
            for image in [it for it in self.there.values() if event.tag in it.tags]:
                rest = tuple(tag for tag in image.tags if tag != event.tag)
                self._put(replace(image, tags=rest))
            image = self.there[event.digest]
            self._put(replace(image, tags=(*image.tags, event.tag)))
            if event.tag == self._movable:
                self.latest.append(event.digest)

    def clean(self, rules: Sequence[Rule], now: datetime) -> None:
        """Apply the policy, as ECR does once a day."""
        for digest, rule in taken(rules, self.there.values(), now).items():
            if rule.action == "expire":
                del self.there[digest]
                self.gone[digest] = rule.priority
            else:
                self._put(replace(self.there[digest], archived=True, archived_at=now))

    def _put(self, image: Image) -> None:
        self.pushed[image.digest] = self.there[image.digest] = image


def _midnight_after(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


# --- Results --------------------------------------------------------------------------------------

RELEASES: Final = 10
"""So many of the newest are claimed to be kept for a rollback, or as many as the policy keeps."""


def figures(year: Year) -> dict[str, Any]:
    """The year in numbers, with the claims about it that hold or do not.

    It is always claimed that the image of the movable tag is kept; that releases are, only as far
    as the policy is meant to: a team may want to keep three, or none for longer than a month.
    """
    kept = {image.digest: image for image in year.kept}
    by_stage = _by_stage(year)
    releases = by_stage[_last_stage(year).name]
    stages = {
        stage: {
            "pushed": len(images),
            "kept": sum(image.digest in kept for image in images),
            "newestKept": _newest_kept(images, kept),
        }
        for stage, images in by_stage.items()
    }
    return {
        "end": year.end.isoformat(),
        "pushed": len(year.pushed),
        "kept": len(year.kept),
        "bytesPushed": sum(_size(image) for image in year.pushed),
        "bytesKept": sum(_size(image) for image in year.kept),
        "stages": stages,
        "goneByRule": {
            str(rule): number for rule, number in sorted(Counter(year.gone.values()).items())
        },
        "latest": _place(year.latest[-1:], releases),
        "predecessor": _place(_predecessor(year), releases),
        "missed": len(year.missed),
        "claims": [
            {"claim": claim, "holds": _can_be_pulled(digests, kept)}
            for claim, digests in _claims(year, [it.digest for it in releases])
        ],
    }


def _claims(year: Year, releases: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """What is claimed to be kept; of the releases, the newest first."""
    yield f"{year.movable} can be pulled", year.latest[-1:]
    if promised := _promised(year):
        yield "the image that it was on before, too", _predecessor(year)
        number = f"newest {promised} releases" if promised > 1 else "newest release"
        yield f"so can the {number}", releases[:promised]


def _promised(year: Year) -> int:
    """How many of the newest releases the policy's own rule about them keeps, ten at the most."""
    release = written(_last_stage(year), "0" * 40, _START, 1)
    for rule in sorted(year.rules, key=lambda rule: rule.priority):
        if rule.tag_status == "tagged" and all(pattern(it).fullmatch(release) for it in rule.tags):
            counts = rule.count_type == "imageCountMoreThan"
            return min(rule.number, RELEASES) if counts else 0
        if rule.tag_status == "any":
            return 0
    return RELEASES


def picture(year: Year) -> list[str]:
    """The year in 80 columns: a line for each stage, a character for each week."""
    told = figures(year)
    weeks = DAYS // 7 + 1
    kept = {image.digest for image in year.kept}
    lines = [
        f"A year of one repository: {told['pushed']:,} images pushed, {told['kept']:,} kept",
        "",
        f"{'':9}{'a year ago':<{weeks - 5}}{'today':>5}{'pushed':>8}{'kept':>6}",
    ]
    for stage, images in _by_stage(year).items():
        columns: list[list[bool]] = [[] for _ in range(weeks)]
        for image in images:
            columns[_week(image, year)].append(image.digest in kept)
        drawn = "".join(map(_mark, columns))
        numbers = told["stages"][stage]
        lines.append(f"{stage[:8]:9}{drawn}{numbers['pushed']:>8,}{numbers['kept']:>6,}")
    pushed = {image.digest: image for image in year.pushed}
    for name, digests in ((year.movable[:8], year.latest[-1:]), ("before it", _predecessor(year))):
        lines += (f"{name:9}{'':{_week(pushed[digest], year)}}^" for digest in digests)
    lines += [
        "",
        "# all of a week's images are kept, + some of them, . none. An image is of the",
        "furthest stage that it reached. The untagged are those that an index lists.",
    ]
    if told["missed"]:
        lines.append(
            f"note    images that went before the pipeline had tagged them: {told['missed']:,}"
        )
    lines += [f"{'ok' if it['holds'] else 'FAILED':8}{it['claim']}" for it in told["claims"]]
    return lines


def _by_stage(year: Year) -> dict[str, list[Image]]:
    """The images that were pushed, by the furthest stage that each reached, the newest first."""
    stages = [*reversed(year.convention.stages), "untagged"]
    found: dict[str, list[Image]] = {stage: [] for stage in stages}
    for image in sorted(year.pushed, key=lambda image: image.pushed_at, reverse=True):
        tag = year.convention.unique_tag(image.tags)
        furthest = tag.stage if tag else "untagged"
        found[furthest].append(image)
    return found


def _last_stage(year: Year) -> Stage:
    return list(year.convention.stages.values())[-1]


def _newest_kept(images: Sequence[Image], kept: Mapping[str, Image]) -> int:
    """How many are kept, from the newest on, before the first that is not."""
    return next((at for at, image in enumerate(images) if image.digest not in kept), len(images))


def _predecessor(year: Year) -> tuple[str, ...]:
    """The digest that `latest` was on before its last move; nothing if it never moved."""
    return tuple(it for it in year.latest if it != year.latest[-1])[-1:]


def _place(digests: Sequence[str], releases: Sequence[Image]) -> dict[str, Any] | None:
    """Where a release stands among all: 1 is the newest."""
    for place, image in enumerate(releases, start=1):
        if image.digest in digests:
            return {"digest": image.digest, "tags": list(image.tags), "place": place}
    return None


def _can_be_pulled(digests: Sequence[str], kept: Mapping[str, Image]) -> bool:
    """Whether they are all kept, with all that they list, and none is archived."""
    found = [kept.get(digest) for digest in digests]
    found += [kept.get(child) for image in found if image for child in image.children or ()]
    return bool(found) and all(image is not None and not image.archived for image in found)


def _size(image: Image) -> int:
    """In bytes. An index has none: its size, as ECR gives it, is that of its largest image."""
    return 0 if image.media_type == _INDEX else image.size


def _week(image: Image, year: Year) -> int:
    """The column of the picture; the last is the week that ends with the year."""
    return DAYS // 7 - (year.end - image.pushed_at).days // 7


def _mark(kept: Sequence[bool]) -> str:
    if not kept:
        return " "
    return "#" if all(kept) else "+" if any(kept) else "."
