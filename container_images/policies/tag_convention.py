"""Pure: the unique tags that a pipeline gives its images, and what they tell of an image.

A convention is a list of stages in the order in which an image reaches them. Each stage has a
template of text and placeholders:

- `{sha}`: the git commit, 7 to 64 hex digits in lower case
- `{epoch}`: seconds since 1970 UTC, when the stage was reached
- `{date}`: the same as a date, such as 2026-11-24
- `{semver}`: a semantic version, such as 1.2.3, 1.2.3-rc.1 or 1.2.3_build.5 (https://semver.org; a
  tag has no `+`, and Helm writes it as `_`: https://helm.sh/docs/topics/registries/)
- `{number}`: a whole number from 1, such as that of a pull request or of the day's build

A convention reads what it writes. `problems_in` refuses templates that cannot be read back, and two
stages that share a sample tag.
"""

import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import date as Date  # noqa: N812 a tag has a part of that name
from functools import cached_property, partial
from itertools import combinations, product
from typing import Any, Final, Literal, TypedDict

from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.policies.patterns import ANY, tag_glob

MAX_TAG: Final = 128
"""Characters of a tag:
https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests"""

Order = Literal["convention", "semver"]
"""What tells which of two images was built first: the times in their tags, or their versions."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A step that an image takes on its way to production, and the tag that it gets there."""

    name: str
    template: str

    @cached_property
    def placeholders(self) -> tuple[str, ...]:
        """The names between braces, in their order."""
        return tuple(_PLACEHOLDER.findall(self.template))

    @property
    def has_time(self) -> bool:
        """Whether its tags tell when they were given."""
        return not {"epoch", "date"}.isdisjoint(self.placeholders)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What reads its tags."""
        text, *rest = _PLACEHOLDER.split(self.template)
        pattern = re.escape(text)
        for name, text in zip(rest[::2], rest[1::2], strict=True):
            pattern += f"(?P<{name}>{_READS[name]}){re.escape(text)}"
        return re.compile(pattern)

    def write(self, values: Mapping[str, object]) -> str:
        """The tag with these values. Raises KeyError for a placeholder that has none."""
        return _PLACEHOLDER.sub(lambda found: str(values[found[1]]), self.template)


@dataclass(frozen=True, kw_only=True)
class UniqueTag:
    """A tag of the convention, in its parts. None for what its template does not have."""

    text: str
    stage: str
    sha: str | None = None
    epoch: int | None = None
    date: Date | None = None
    semver: str | None = None
    number: int | None = None

    def __str__(self) -> str:
        """The tag itself."""
        return self.text

    @property
    def version(self) -> tuple[Any, ...]:
        """What orders it among the tags of its stage. Empty where nothing in it does."""
        if self.epoch is not None:
            return (self.epoch,)
        if self.date is not None:
            return (self.date, self.number or 0)
        return () if self.semver is None else _precedence(self.semver)


class UnknownCommitError(ValueError):
    """An image whose tags do not tell, or do not agree, what it was built from."""


class StageData(TypedDict):
    """A stage as the setting `tagConvention` and a file have it."""

    stage: str
    """Its name."""
    tag: str
    """Its template."""


def stages_in(written: Iterable[StageData]) -> list[Stage]:
    """The stages that are written so."""
    return [Stage(name=it["stage"], template=it["tag"]) for it in written]


class TagConvention:
    """The stages, and the tags that are read and written by them."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        """Raises InvalidInputError with everything that is wrong with the stages."""
        if problems := list(problems_in(stages)):
            raise InvalidInputError(problems)
        self.stages = {it.name: it for it in stages}
        """By name, production last."""
        self._rank = {name: rank for rank, name in enumerate(self.stages)}

    def __str__(self) -> str:
        """The templates, for a message."""
        return ", ".join(it.template for it in self.stages.values())

    def to_data(self) -> list[StageData]:
        """As the setting `tagConvention` and a file have it."""
        return [{"stage": it.name, "tag": it.template} for it in self.stages.values()]

    @cached_property
    def tells_time(self) -> bool:
        """Whether every unique tag has a time in it, so that images are ordered by nothing else."""
        return all(it.has_time for it in self.stages.values())

    def read(self, tag: str) -> UniqueTag | None:
        """The tag in its parts. None where it is of no stage."""
        for stage in self.stages.values():
            if len(tag) <= MAX_TAG and (found := stage.pattern.fullmatch(tag)):
                values = found.groupdict()
                try:
                    parts = {key: _CONVERTS[key](text) for key, text in values.items()}
                except ValueError:  # a date that is in no calendar
                    return None
                return UniqueTag(text=tag, stage=stage.name, **parts)
        return None

    def unique_tags(self, tags: Iterable[str]) -> list[UniqueTag]:
        """Those that follow the convention: the furthest stage first, the newest of a stage."""
        found = [it for it in map(self.read, tags) if it]
        # Tags of one stage have one template: their versions can be compared.
        return sorted(
            found, key=lambda it: (self._rank[it.stage], it.version, it.text), reverse=True
        )

    def unique_tag(self, tags: Iterable[str]) -> UniqueTag | None:
        """The tag that says most of the image: of the furthest stage, the newest."""
        return next(iter(self.unique_tags(tags)), None)

    def commit(self, tags: Iterable[str]) -> str:
        """What the image was built from, as long as one of its tags has it.

        A short sha and a longer one that begins with it are the same commit. Raises
        UnknownCommitError where no tag tells, or two tell of different commits.
        """
        tags = sorted(tags)
        found = sorted({it.sha for it in self.unique_tags(tags) if it.sha}, key=len)
        if not found:
            has = f"the image has {', '.join(tags)}" if tags else "the image has no tag"
            raise UnknownCommitError(f"{has}, and none with its commit; the convention is {self}")
        longest = found[-1]
        if not all(longest.startswith(sha) for sha in found):
            raise UnknownCommitError(
                f"the image's tags disagree on its commit ({', '.join(sorted(found))}): the same "
                "bytes were built twice, or a tag was put on the wrong image; delete the wrong tag"
            )
        return longest

    def built_at(self, tags: Iterable[str]) -> datetime | None:
        """When the image was built: the earliest time in its tags. None where no tag has one.

        A date counts as its first second. With dates alone, use `order`, which knows better.
        """
        return min(map(_moment, filter(_has_time, self.unique_tags(tags))), default=None)

    def order(self, tags: Iterable[str], other: Iterable[str]) -> tuple[Order, int] | None:
        """Which of two images was built first, by their tags, and what told it.

        Negative if the first one, positive if the other, 0 if they were built at the same time.
        None where the tags do not tell: an image without a unique tag, a time against a date, the
        number of a day's build against none, versions of different stages, or two builds of one
        version (https://semver.org/#spec-item-10).
        """
        ours, theirs = self.unique_tags(tags), self.unique_tags(other)
        epochs = [
            min((tag.epoch for tag in image if tag.epoch is not None), default=None)
            for image in (ours, theirs)
        ]
        if None not in epochs:
            return "convention", _compared(*epochs)
        built, other_built = _day_of_build(ours), _day_of_build(theirs)
        if built and other_built:
            (day, number), (other_day, other_number) = built, other_built
            if day != other_day:
                return "convention", _compared(day, other_day)
            if (number is None) != (other_number is None):
                return None
            return "convention", _compared(number or 0, other_number or 0)
        for stage in reversed(self.stages.values()):
            one, two = (
                next((tag for tag in image if tag.stage == stage.name and tag.semver), None)
                for image in (ours, theirs)
            )
            if one and two and (one.text == two.text or one.version != two.version):
                return "semver", _compared(one.version, two.version)
        return None

    def write(self, stage: str, tags: Iterable[str], now: datetime) -> str:
        """The tag of a stage for an image with these tags.

        The time is now; commit, version and number are those of the image's other tags. Raises
        UnknownCommitError, or ValueError where they do not tell one of them.
        """
        template, unique = self.stages[stage], self.unique_tags(tags)
        values: dict[str, object] = {
            "epoch": int(now.timestamp()),
            "date": now.astimezone(UTC).date(),
        }
        for name in template.placeholders:
            if name == "sha":
                values[name] = self.commit(tags)
            if name in ("semver", "number"):
                found = {getattr(it, name) for it in unique} - {None}
                # The number beside a date counts the day's builds: the next one is not known here.
                if len(found) != 1 or (name == "number" and "date" in template.placeholders):
                    raise ValueError(
                        f"no tag of the image tells the {{{name}}} of {template.template}"
                    )
                [values[name]] = found
        return template.write(values)


def _has_time(tag: UniqueTag) -> bool:
    return tag.epoch is not None or tag.date is not None


def _moment(tag: UniqueTag) -> datetime:
    if tag.epoch is not None:
        return datetime.fromtimestamp(tag.epoch, UTC)
    at = tag.date or Date.min
    return datetime(at.year, at.month, at.day, tzinfo=UTC)


def _day_of_build(tags: Iterable[UniqueTag]) -> tuple[Date, int | None] | None:
    """The earliest date in an image's tags, and the number of the day's build if a tag has it."""
    dated = [tag for tag in tags if tag.date is not None]
    if not dated:
        return None
    day = min(tag.date for tag in dated if tag.date)
    numbers = (tag.number for tag in dated if tag.date == day and tag.number is not None)
    return day, min(numbers, default=None)


def _compared(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


def _precedence(semver: str) -> tuple[Any, ...]:
    """What orders versions: https://semver.org/#spec-item-11. Build metadata does not."""
    core, _, prerelease = semver.partition("_")[0].partition("-")
    identifiers = tuple(
        (0, int(it), "") if it.isdigit() else (1, 0, it) for it in prerelease.split(".") if it
    )
    return (*map(int, core.split(".")), not prerelease, identifiers)


_PLACEHOLDER: Final = re.compile(r"\{(\w*)\}")

_NUMERIC: Final = r"(?:0|[1-9][0-9]{0,17})"
_READS: Final = {
    "sha": r"[0-9a-f]{7,64}",
    # The epoch ends in the year 5138; longer numbers are no times that a date could hold.
    "epoch": r"0|[1-9][0-9]{0,10}",
    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "semver": (
        rf"{_NUMERIC}\.{_NUMERIC}\.{_NUMERIC}"
        rf"(?:-(?:{_NUMERIC}|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
        rf"(?:\.(?:{_NUMERIC}|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
        r"(?:_[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
    ),
    "number": r"[1-9][0-9]{0,9}",
}
"""What each placeholder reads."""

_CONVERTS: Final[Mapping[str, Any]] = {
    "sha": str,
    "epoch": int,
    "date": Date.fromisoformat,
    "semver": str,
    "number": int,
}


# --- What is wrong with a convention --------------------------------------------------------------

_LETTERS: Final = string.ascii_letters + string.digits
_SAMPLES: Final[Mapping[str, Sequence[str]]] = {
    # Digits alone are what other placeholders read too.
    "sha": ("0000000", "0123456789" + "abcdef" * 9),
    "epoch": ("0", "99999999999"),
    "date": ("2026-11-24",),
    # A version may be longer: ECR refuses a tag that is too long.
    "semver": ("0.0.0", "10.20.30-alpha.1_b-2"),
    "number": ("1", "9999999999"),
}
"""Of each placeholder's texts the shortest and the longest."""

_GOES_ON: Final = {
    "sha": string.digits + "abcdef",
    "epoch": string.digits,
    "date": "",  # which always has the same length
    "semver": f"{_LETTERS}-.",
    "number": string.digits,
}
"""Characters that a placeholder may have at its end: behind it, any other has to follow."""

STAGE_NAME: Final = re.compile(r"[A-Za-z][\w-]*", re.ASCII)
STAGE_NAME_RULE: Final = "a stage is named with letters, digits, _ and -, a letter first"


def samples(stage: Stage) -> list[str]:
    """Tags of the stage: with the shortest and the longest text of each placeholder."""
    texts = product(*(_SAMPLES[name] for name in stage.placeholders))
    return [stage.write(dict(zip(stage.placeholders, it, strict=True))) for it in texts]


def problems_in(stages: Sequence[Stage | None]) -> Iterator[Problem]:
    """All errors of a convention, each under the stage's position.

    None stands for a stage that was refused already.
    """
    if not stages:
        yield Problem(
            where=(),
            value=[],
            rule="a convention has at least one stage",
            fix="write it as [{stage: release, tag: 'v{semver}'}]",
        )
    readable: list[tuple[int, Stage]] = []
    first: dict[str, int] = {}
    for position, stage in enumerate(stages):
        if stage is None:
            continue
        problems = list(_problems_in_template(stage.template))
        of_name = partial(Problem, where=(position, "stage"), value=stage.name)
        if not STAGE_NAME.fullmatch(stage.name):
            yield of_name(rule=STAGE_NAME_RULE, fix="write one such as prod")
        elif first.setdefault(stage.name, position) != position:
            broken = f"stage [{first[stage.name]}] has this name already"
            yield of_name(rule=broken, fix="give each stage a name of its own")
        yield from (
            Problem(where=(position, "tag"), value=stage.template, rule=rule, fix=fix)
            for rule, fix in problems
        )
        if not problems:
            readable.append((position, stage))
    for (other, one), (position, two) in combinations(readable, 2):
        shared = [it for it in samples(two) if one.pattern.fullmatch(it)]
        shared += [it for it in samples(one) if two.pattern.fullmatch(it)]
        if shared:
            yield Problem(
                where=(position, "tag"),
                value=two.template,
                rule=f"stage [{other}] ({one.template}) has the same tags, such as {shared[0]}",
                fix="begin the two with different text",
            )


def _problems_in_template(template: str) -> Iterator[tuple[str, str]]:
    """Rule and fix of each error of one template."""
    text, *rest = _PLACEHOLDER.split(template)
    names, texts = rest[::2], [text, *rest[1::2]]
    known = ", ".join(f"{{{name}}}" for name in _READS)
    if unknown := [name for name in names if name not in _READS]:
        yield f"there is no placeholder {{{unknown[0]}}}", f"use {known}"
        return
    if not names:
        yield (
            f"all tags of the stage would be the same without one of {known}",
            "write one such as v{semver}",
        )
        return
    if not set("".join(texts)) <= set(f"{_LETTERS}-._") or texts[0].startswith((".", "-")):
        yield (
            "a tag has letters, digits and . _ -, and starts with none of . -",
            "write the text between the placeholders with these",
        )
    if repeated := [name for name in _READS if names.count(name) > 1]:
        yield f"{{{repeated[0]}}} stands there twice", "write it once"
    if len("".join(texts)) + sum(len(_SAMPLES[name][-1]) for name in names) > MAX_TAG:
        yield f"its tags can be longer than {MAX_TAG} characters", "shorten the text"
    for position, (name, follows) in enumerate(zip(names, texts[1:], strict=True), start=1):
        if not follows and position == len(names):
            continue  # the end of the tag ends it
        if _GOES_ON[name] and (not follows or follows[0] in _GOES_ON[name]):
            yield (
                f"it is ambiguous where {{{name}}} ends",
                f"put a character behind it that {{{name}}} does not have, such as _",
            )


def uncovered(stage: Stage, patterns: Iterable[str]) -> str | None:
    """A sample tag of the stage that none of these tag patterns matches, if there is one."""
    patterns = list(patterns)
    return next(
        (tag for tag in samples(stage) if not any(tag_glob(it, tag) for it in patterns)), None
    )


def movable_in(stages: Iterable[Stage], movable_tag: str) -> Iterator[str]:
    """The templates of the stages whose tags would move: a movable tag, or pattern, is one."""
    for stage in stages:
        moves = (tag_glob(movable_tag, tag) for tag in samples(stage))
        if stage.pattern.fullmatch(movable_tag) or (ANY in movable_tag and any(moves)):
            yield stage.template


ADR040: Final = TagConvention(
    [
        Stage(name="pr", template="pr-{number}-{sha}-{epoch}"),
        Stage(name="dev", template="dev-{sha}-{epoch}"),
        Stage(name="merged", template="merged-{sha}-{epoch}"),
        Stage(name="stg", template="stg-{sha}-{epoch}"),
        Stage(name="prod", template="prod-{sha}-{epoch}"),
    ]
)
"""The convention of the team of ADR040, and the default."""
