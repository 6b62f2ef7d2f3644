"""Pure: a year of one repository under a lifecycle policy, simulated day by day, as ECR applies it.

An image that has expired is not counted the next day, and the tags that count are those of the day.
One simulation at the end of the year would count images that had expired long before.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha1, sha256
from itertools import takewhile
from textwrap import wrap
from typing import Any, Final

from container_images.aws.image import Image
from container_images.lifecycle.document import Rule
from container_images.lifecycle.simulation import simulate
from container_images.policies.patterns import compiled
from container_images.policies.tag_convention import ADR040, Stage, TagConvention
from container_images.rehearsal.tags import way_of, written

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


@dataclass(kw_only=True)
class Year:
    """What becomes of the images that are pushed to a repository."""

    rules: Sequence[Rule]
    """The lifecycle policy."""
    convention: TagConvention
    movable: Sequence[str]
    """The movable tags, of which the first is followed in the figures."""
    end: datetime
    pushed: dict[str, Image] = field(default_factory=dict)
    """All of them, by digest, each with the last tags that it had."""
    kept: dict[str, Image] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)
    """The digests of the others, each with the rule that expired it."""
    places: dict[str, list[str]] = field(default_factory=dict)
    """The digests that each movable tag has been on, in the order in which it came to them."""
    missed: list[str] = field(default_factory=list)
    """The digests that the pipeline wanted to tag after they had expired."""

    @property
    def latest(self) -> list[str]:
        """Where the first movable tag has been."""
        return self.places.get(self.movable[0], [])

    def happen(self, event: Event) -> None:
        """A push, or a tag that moves."""
        if event.pushed:
            self._put(event.pushed)
        elif event.digest not in self.kept:
            self.missed.append(event.digest)
        elif event.tag:
            for image in [it for it in self.kept.values() if event.tag in it.tags]:
                rest = tuple(tag for tag in image.tags if tag != event.tag)
                self._put(replace(image, tags=rest))
            image = self.kept[event.digest]
            self._put(replace(image, tags=(*image.tags, event.tag)))
            if event.tag in self.movable:
                self.places.setdefault(event.tag, []).append(event.digest)

    def clean(self) -> None:
        """Apply the policy, as ECR does once a day."""
        for verdict in simulate(self.rules, self.kept.values(), self.end):
            digest = verdict.image.digest
            if verdict.action == "expire":
                del self.kept[digest]
                self.gone[digest] = verdict.rule or 0
            elif verdict.action == "archive":
                self._put(replace(verdict.image, archived=True, archived_at=self.end))

    def _put(self, image: Image) -> None:
        self.pushed[image.digest] = self.kept[image.digest] = image


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
    events: list[Event] = []
    way = way_of(convention)
    others = list(convention.stages.values())[: -len(way)]
    for day in range(DAYS):
        morning = _START + timedelta(days=day, hours=9)
        if morning.weekday() < _WEEKEND:
            events += _merges(day, morning, way, movable)
            events += _others(day, morning, others)
    releases = [event for event in events if event.tag == movable[0]]
    for bad in (len(releases) // 2, len(releases) - 1):
        at = releases[bad].at + timedelta(minutes=50)
        events += (Event(at=at, digest=releases[bad - 1].digest, tag=tag) for tag in movable)
    return sorted(events, key=lambda event: event.at)


_STAGING_ACCEPTS: Final = 80
_PRODUCTION_ACCEPTS: Final = 65
"""In percent: of the merges, and of each morning's first that staging has accepted."""


def _merges(
    day: int, morning: datetime, way: Sequence[Stage], movable: Sequence[str]
) -> Iterator[Event]:
    for number in range(1 + _chance(day, "merges") % 3):
        at = morning + timedelta(minutes=150 * number)
        commit, build = _commit(day, f"merge {number}"), _build(day, number)
        parts = [_push(at, f"{commit} {architecture}") for architecture in ("amd64", "arm64")]
        yield from parts
        listed = {"media_type": _INDEX, "children": tuple(part.digest for part in parts)}
        listing = at + timedelta(seconds=20)
        tag = written(way[0], commit, listing, build)
        yield (index := _push(listing, commit, tag, **listed))
        if _chance(day, f"staging {number}") % 100 < _STAGING_ACCEPTS:
            at += timedelta(minutes=25)
            for stage in way[1:-1]:
                yield Event(at=at, digest=index.digest, tag=written(stage, commit, at, build))
            if number == 0 and _chance(day, "production") % 100 < _PRODUCTION_ACCEPTS:
                at += timedelta(minutes=35)
                released = [written(stage, commit, at, build) for stage in way[1:][-1:]]
                for tag in (*released, *movable):
                    yield Event(at=at, digest=index.digest, tag=tag)


def _others(day: int, morning: datetime, stages: Sequence[Stage]) -> Iterator[Event]:
    for stage in stages[:1]:
        for number in range(_chance(day, "pull requests") % 5):
            at = morning + timedelta(minutes=40 + 90 * number)
            commit = _commit(day, f"pull request {number}")
            yield _push(at, commit, written(stage, commit, at, _build(day, number)))
    for number, stage in enumerate(stages[1:]):
        who = f"developer{number or ''}"
        if _chance(day, f"{who}s") % 3 == 0:
            at = morning + timedelta(hours=7)
            commit = _commit(day, who)
            yield _push(at, commit, written(stage, commit, at, _build(day, 0)))


def _build(day: int, number: int) -> int:
    """The number of a build. No day has more than five of a kind."""
    return 100 + 5 * day + number


def _push(at: datetime, content: str, *tags: str, **listed: Any) -> Event:
    digest = f"sha256:{sha256(content.encode()).hexdigest()}"
    size = 90_000_000 + int(digest[-6:], 16)
    image = {"media_type": _MANIFEST, "size": size, **listed}
    return Event(
        at=at, digest=digest, pushed=Image(digest=digest, tags=tags, pushed_at=at, **image)
    )


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
    movable: Sequence[str] = ("latest",),
) -> Year:
    """Apply the events of each day, and the policy at its end. `movable` are the tags to follow."""
    ordered = sorted(events, key=lambda event: event.at)
    midnight = ordered[0].at.replace(hour=0, minute=0, second=0, microsecond=0)
    year = Year(rules=rules, convention=convention, movable=movable, end=midnight + _DAY)
    for event in ordered:
        while event.at >= year.end:
            year.clean()
            year.end += _DAY
        year.happen(event)
    year.clean()
    return year


_DAY: Final = timedelta(days=1)

# --- Results --------------------------------------------------------------------------------------

RELEASES: Final = 10
"""So many of the newest are claimed to be kept for a rollback, or as many as the policy keeps."""


def figures(year: Year) -> dict[str, Any]:
    """The year in numbers, with the claims about it that hold or do not.

    It is always claimed that the image of each movable tag is kept; that releases are, only as far
    as the policy is meant to: a team may want to keep three, or none for longer than a month.
    `notClaimed` says where that is so.
    """
    by_stage = _by_stage(year)
    releases = by_stage[_last_stage(year).name]
    return {
        "end": year.end.isoformat(),
        "pushed": len(year.pushed),
        "kept": len(year.kept),
        "bytesPushed": sum(map(_size, year.pushed.values())),
        "bytesKept": sum(map(_size, year.kept.values())),
        "stages": {
            stage: {
                "pushed": len(images),
                "kept": sum(image.digest in year.kept for image in images),
                "newestKept": len([*takewhile(lambda it: it.digest in year.kept, images)]),
            }
            for stage, images in by_stage.items()
        },
        "goneByRule": {str(it): n for it, n in sorted(Counter(year.gone.values()).items())},
        "latest": _place(year.latest[-1:], releases),
        "predecessor": _place(_predecessor(year), releases),
        "missed": len(year.missed),
        "claims": [
            {"claim": claim, "holds": _can_be_pulled(digests, year)}
            for claim, digests in _claims(year, [it.digest for it in releases])
        ],
        "notClaimed": _not_claimed(year),
    }


def _claims(year: Year, releases: Sequence[str]) -> Iterator[tuple[str, Sequence[str]]]:
    """What is claimed to be kept; of the releases, the newest first."""
    first, *others = year.movable
    yield f"{first} can be pulled", year.latest[-1:]
    if not _not_claimed(year):
        rule = _rule_of_releases(year)
        promised = min(rule.number, RELEASES) if rule else RELEASES
        yield "the image that it was on before, too", _predecessor(year)
        number = f"newest {promised} releases" if promised > 1 else "newest release"
        yield f"so can the {number}", releases[:promised]
    for tag in others:
        yield f"{tag} can be pulled", year.places.get(tag, [])[-1:]


def _not_claimed(year: Year) -> list[str]:
    """What is not claimed, because the policy does not promise it."""
    rule = _rule_of_releases(year)
    if rule is None or (rule.tag_status, rule.count_type) == ("tagged", "imageCountMoreThan"):
        return []
    counts = rule.count_type == "imageCountMoreThan"
    how = "counts images of all kinds together" if counts else "goes by the age of images"
    what = f"the image before {year.movable[0]} and the newest releases can be pulled"
    return [f"it is not claimed that {what}: rule {rule.priority}, which they come under, {how}"]


def _rule_of_releases(year: Year) -> Rule | None:
    """The rule of the policy that the releases come under; None if they come under none."""
    release = written(_last_stage(year), "0" * 40, _START, 1)
    for rule in sorted(year.rules, key=lambda rule: rule.priority):
        if rule.tag_status == "any" or (
            rule.tag_status == "tagged" and all(compiled(it).fullmatch(release) for it in rule.tags)
        ):
            return rule
    return None


def picture(year: Year) -> list[str]:
    """The year in 80 columns: a line for each stage, a character for each week."""
    told = figures(year)
    weeks = DAYS // 7 + 1
    lines = [
        f"A year of one repository: {told['pushed']:,} images pushed, {told['kept']:,} kept",
        "",
        f"{'':9}{'a year ago':<{weeks - 5}}{'today':>5}{'pushed':>8}{'kept':>6}",
    ]
    for stage, images in _by_stage(year).items():
        columns: list[list[bool]] = [[] for _ in range(weeks)]
        for image in images:
            columns[_week(image, year)].append(image.digest in year.kept)
        drawn = "".join(
            "#" if it and all(it) else "+" if any(it) else "." if it else " " for it in columns
        )
        numbers = told["stages"][stage]
        lines.append(f"{stage[:8]:9}{drawn}{numbers['pushed']:>8,}{numbers['kept']:>6,}")
    tags = [(tag[:8], year.places.get(tag, [])[-1:]) for tag in year.movable]
    for name, digests in (tags[0], ("before it", _predecessor(year)), *tags[1:]):
        lines += (f"{name:9}{'':{_week(year.pushed[digest], year)}}^" for digest in digests)
    lines += [
        "",
        "# all images of a week are kept, + some of them, . none. An image counts for the",
        "furthest stage that it reached. Untagged images are those that an index lists.",
    ]
    if told["missed"]:
        lines.append(
            f"note    images that went before the pipeline had tagged them: {told['missed']:,}"
        )
    for it in told["notClaimed"]:
        lines += wrap(it, 80, initial_indent="note    ", subsequent_indent=" " * 8)
    lines += [f"{'ok' if it['holds'] else 'FAILED':8}{it['claim']}" for it in told["claims"]]
    return lines


def _by_stage(year: Year) -> dict[str, list[Image]]:
    """The images that were pushed, by the furthest stage that each reached, the newest first."""
    stages = [*reversed(year.convention.stages), "untagged"]
    found: dict[str, list[Image]] = {stage: [] for stage in stages}
    for image in sorted(year.pushed.values(), key=lambda it: it.pushed_at, reverse=True):
        tag = year.convention.unique_tag(image.tags)
        found[tag.stage if tag else "untagged"].append(image)
    return found


def _last_stage(year: Year) -> Stage:
    return list(year.convention.stages.values())[-1]


def _predecessor(year: Year) -> list[str]:
    """The digest that `latest` was on before its last move; nothing if it never moved."""
    return [it for it in year.latest if it != year.latest[-1]][-1:]


def _place(digests: Sequence[str], releases: Sequence[Image]) -> dict[str, Any] | None:
    """Where a release stands among all: 1 is the newest."""
    found = (
        {"digest": image.digest, "tags": list(image.tags), "place": place}
        for place, image in enumerate(releases, start=1)
        if image.digest in digests
    )
    return next(found, None)


def _can_be_pulled(digests: Sequence[str], year: Year) -> bool:
    """Whether they are all kept, with all that they list, and none is archived."""
    found = [year.kept.get(digest) for digest in digests]
    found += [year.kept.get(child) for image in found if image for child in image.children or ()]
    return bool(found) and all(image is not None and not image.archived for image in found)


def _size(image: Image) -> int:
    """In bytes. An index has none: its size, as ECR gives it, is that of its largest image."""
    return 0 if image.media_type == _INDEX else image.size


def _week(image: Image, year: Year) -> int:
    """The column of the picture; the last is the week that ends with the year."""
    return DAYS // 7 - (year.end - image.pushed_at).days // 7
