"""Pure: the unique tags that a pipeline gives its images, and what they tell of an image.

A convention is a list of stages in the order in which an image reaches them. Each stage has a
template of text and placeholders:

- `{sha}`: the git commit, 7 to 64 hex digits in lower case
- `{epoch}`: seconds since 1970 UTC, when the stage was reached
- `{date}`: the same as a date, such as 2026-11-24
- `{semver}`: a semantic version, such as 1.2.3 or 1.2.3-rc.1 (https://semver.org; a tag has no `+`)
- `{number}`: a whole number from 1, such as that of a pull request or of the day's build

A convention reads whatever it writes, and no tag can be of two stages: `problems_in` refuses
templates for which that is not so.
"""

import re
import string
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import date as Date  # noqa: N812 a tag has a part of that name
from functools import cache, cached_property, partial
from itertools import combinations, product
from typing import Any, Final, Literal

from container_images.policies.invalid_input import ABSENT, InvalidInputError, Problem

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


def stages_in(written: Any) -> list[Stage]:
    """The stages of a list of `{stage: NAME, tag: TEMPLATE}`, such as a file has it.

    Raises InvalidInputError where it has another shape.
    """
    if problems := list(_shape_problems(written)):
        raise InvalidInputError(problems)
    return [Stage(name=it["stage"], template=it["tag"]) for it in written]


def _shape_problems(written: Any) -> Iterator[Problem]:
    fix = "write each stage as {stage: prod, tag: 'prod-{sha}-{epoch}'}"
    if not isinstance(written, list):
        value = ABSENT if written is None else written
        yield Problem(where=(), value=value, rule="a convention is a list of stages", fix=fix)
        return
    for position, it in enumerate(written):
        if not isinstance(it, dict):
            rule = "a stage is a mapping with the keys stage and tag"
            yield Problem(where=(position,), value=it, rule=rule, fix=fix)
            continue
        for key in ("stage", "tag"):
            if key not in it:
                yield Problem(where=(position, key), rule="this key is required", fix=fix)
            elif not isinstance(it[key], str):
                yield Problem(where=(position, key), value=it[key], rule="must be text", fix=fix)
        for key in it:
            if key not in {"stage", "tag"}:
                rule = f"a stage has no key {key}"
                yield Problem(where=(position,), value=it, rule=rule, fix=fix)


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

    def to_data(self) -> list[dict[str, str]]:
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
        None where the tags do not tell: an image without a unique tag, a time against a date, or
        versions of different stages.
        """
        ours, theirs = self.unique_tags(tags), self.unique_tags(other)
        for part in ("epoch", "date"):
            one, two = (
                min((it.version for it in some if getattr(it, part) is not None), default=None)
                for some in (ours, theirs)
            )
            if one is not None and two is not None:
                return "convention", (one > two) - (one < two)
        for stage in reversed(self.stages.values()):
            one, two = (
                next((it.version for it in some if it.stage == stage.name and it.semver), None)
                for some in (ours, theirs)
            )
            if one is not None and two is not None:
                return "semver", (one > two) - (one < two)
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


def _precedence(semver: str) -> tuple[Any, ...]:
    """What orders versions: https://semver.org/#spec-item-11."""
    core, _, prerelease = semver.partition("-")
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

_DIGITS: Final = frozenset(string.digits)
_HEX: Final = frozenset(string.digits + "abcdef")
_WORD: Final = frozenset(string.ascii_letters + string.digits + "-.")
_TAG: Final = _WORD | {"_"}

_Run = tuple[frozenset[str], int, int | None]
"""Characters in a row: which, how many at least, and at the most (None: any number)."""

_DASH: Final[_Run] = (frozenset("-"), 1, 1)
_DOT: Final[_Run] = (frozenset("."), 1, 1)
_CORE: Final[tuple[_Run, ...]] = (
    (_DIGITS, 1, None),
    _DOT,
    (_DIGITS, 1, None),
    _DOT,
    (_DIGITS, 1, None),
)
_RUNS: Final[Mapping[str, tuple[tuple[_Run, ...], ...]]] = {
    "sha": (((_HEX, 7, 64),),),
    "epoch": (((_DIGITS, 1, 11),),),
    "date": (((_DIGITS, 4, 4), _DASH, (_DIGITS, 2, 2), _DASH, (_DIGITS, 2, 2)),),
    "semver": (_CORE, (*_CORE, _DASH, (_WORD, 1, None))),
    "number": (((_DIGITS, 1, 10),),),
}
"""Each placeholder's texts, and maybe some more: in alternatives, each of them a row of runs."""

_LONGEST: Final = {"sha": 64, "epoch": 11, "date": 10, "semver": 20, "number": 10}
"""Characters to reckon with. A version may be longer: ECR refuses a tag that is too long."""

STAGE_NAME: Final = re.compile(r"[A-Za-z][\w-]*", re.ASCII)
STAGE_NAME_RULE: Final = "a stage is named with letters, digits, _ and -, a letter first"


def problems_in(stages: Sequence[Stage | None]) -> Iterator[Problem]:
    """Everything that is wrong with a convention, each problem under the stage's position.

    None stands for a stage that is no stage at all, as has been told elsewhere.
    """
    if not stages:
        yield Problem(
            where=(),
            value=[],
            rule="a convention has at least one stage",
            fix="write it as [{stage: release, tag: 'v{semver}'}]",
        )
    sound: list[tuple[int, Stage]] = []
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
            sound.append((position, stage))
    for (other, one), (position, two) in combinations(sound, 2):
        if (shared := _example(_automaton(one), _automaton(two), both=True)) is not None:
            yield Problem(
                where=(position, "tag"),
                value=two.template,
                rule=f"stage [{other}] ({one.template}) has the same tags, such as {shared}",
                fix="begin the two with different text",
            )


def _problems_in_template(template: str) -> Iterator[tuple[str, str]]:
    """Rule and fix of everything that is wrong with one template."""
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
    if not set("".join(texts)) <= _TAG or texts[0].startswith((".", "-")):
        yield (
            "a tag has letters, digits and . _ -, and starts with none of . -",
            "write the text between the placeholders with these",
        )
    if repeated := [name for name in _READS if names.count(name) > 1]:
        yield f"{{{repeated[0]}}} stands there twice", "write it once"
    if len("".join(texts)) + sum(_LONGEST[name] for name in names) > MAX_TAG:
        yield f"its tags can be longer than {MAX_TAG} characters", "shorten the text"
    for position, (name, follows) in enumerate(zip(names, texts[1:], strict=True), start=1):
        ends = not follows and position == len(names)
        last, least, most = _RUNS[name][-1][-1]
        goes_on = last if least != most else ()  # a date always has the same length
        if goes_on and not ends and (not follows or follows[0] in goes_on):
            yield (
                f"it is ambiguous where {{{name}}} ends",
                f"put a character behind it that {{{name}}} does not have, such as _",
            )


def uncovered(stage: Stage, patterns: Iterable[str]) -> str | None:
    """A tag of the stage that none of these tag patterns matches. None if they match them all."""
    return _example(_automaton(stage), [_glob(it) for it in patterns], both=False)


def movable_in(stages: Iterable[Stage], movable_tags: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each movable tag that a stage's template reads too, with the template."""
    for tag, stage in product(movable_tags, stages):
        if stage.pattern.fullmatch(tag):
            yield tag, stage.template


# A row of runs is read like a finite automaton. Its state is the run and how many of it were read.
_Row = Sequence[_Run]
_State = frozenset[tuple[int, int, int]]
"""Where one may be: alternative, run, count."""


def _automaton(stage: Stage) -> list[_Row]:
    """The stage's tags, in alternatives."""
    text, *rest = _PLACEHOLDER.split(stage.template)
    parts: list[Sequence[_Row]] = [[_literal(text)]]
    for name, text in zip(rest[::2], rest[1::2], strict=True):
        parts += [_RUNS[name], [_literal(text)]]
    return [[run for part in choice for run in part] for choice in product(*parts)]


def _literal(text: str) -> _Row:
    return [(frozenset(it), 1, 1) for it in text]


def _glob(pattern: str) -> _Row:
    return [(_TAG, 0, None) if it == "*" else (frozenset(it), 1, 1) for it in pattern]


def _example(one: Sequence[_Row], other: Sequence[_Row], *, both: bool) -> str | None:
    """The shortest tag of the one that is of the other too, or that is not. None if there is none.

    All characters that no run tells apart stand for each other.
    """
    runs = {run[0] for row in (*one, *other) for run in row}
    alike = {tuple(it in run for run in runs): it for it in sorted(_TAG, reverse=True)}
    characters = sorted(alike.values())
    read_one, read_other = cache(partial(_read, one)), cache(partial(_read, other))
    start = (_closed(one, _started(one)), _closed(other, _started(other)))
    seen, waiting = {start}, deque([(start, "")])
    while waiting:
        (ours, theirs), text = waiting.popleft()
        if _is_over(one, ours) and _is_over(other, theirs) is both:
            return text
        for character in characters:
            after = read_one(ours, character), read_other(theirs, character)
            if after[0] and (after[1] or not both) and after not in seen:
                seen.add(after)
                waiting.append((after, text + character))
    return None


def _started(rows: Sequence[_Row]) -> Iterable[tuple[int, int, int]]:
    return ((row, 0, 0) for row in range(len(rows)))


def _closed(rows: Sequence[_Row], states: Iterable[tuple[int, int, int]]) -> _State:
    """Those, and where one may be without reading any more."""
    found, rest = set[tuple[int, int, int]](), list(states)
    while rest:
        state = rest.pop()
        found.add(state)
        row, run, count = state
        if run < len(rows[row]) and count >= rows[row][run][1]:
            rest.append((row, run + 1, 0))
    return frozenset(found)


def _read(rows: Sequence[_Row], states: _State, character: str) -> _State:
    after = []
    for row, run, count in states:
        if run < len(rows[row]):
            characters, least, most = rows[row][run]
            if character in characters and (most is None or count < most):
                # Beyond the least, an endless run makes no difference between one more and less.
                after.append((row, run, min(count + 1, least) if most is None else count + 1))
    return _closed(rows, after)


def _is_over(rows: Sequence[_Row], states: _State) -> bool:
    return any(run == len(rows[row]) for row, run, _ in states)


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
