"""Pure: the unique tags that a pipeline gives its images, and what they tell of an image.

A convention is a list of stages in the order in which an image reaches them. Each stage has a
template of text and placeholders (docs/tag-convention.md). A convention reads what it writes:
`problems_in` refuses templates that cannot be read back, and two stages that share a sample tag.
"""

import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from itertools import product
from math import inf
from typing import Any, Final, NamedTuple

from container_images.policies.document import tag_glob
from container_images.policies.forms import TAG
from container_images.policies.invalid_input import Problem, refuse

_NUMERIC: Final = r"(?:0|[1-9][0-9]*)"
_IDENTIFIER: Final = rf"(?:{_NUMERIC}|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"


class _Placeholder(NamedTuple):
    """What a placeholder stands for."""

    pattern: str
    continuation: str
    """The characters that it may end in: what follows it must begin with another."""
    samples: tuple[str, ...]
    """The shortest and the longest. Of digits if possible: other placeholders read these too."""
    convert: Callable[[str], Any] = str


_PLACEHOLDERS: Final[Mapping[str, _Placeholder]] = {
    "sha": _Placeholder(
        r"[0-9a-f]{7,64}", "0123456789abcdef", ("0000000", "0123456789" + "abcdef" * 9)
    ),
    # The epoch ends in the year 5138; longer numbers are no times that a date could hold.
    "epoch": _Placeholder(r"0|[1-9][0-9]{0,10}", string.digits, ("0", "99999999999"), int),
    "date": _Placeholder(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "", ("2026-11-24",), date.fromisoformat),
    # https://semver.org, but that a tag has no `+`: Helm writes `_` instead
    # (https://helm.sh/docs/topics/registries/). The longest version has no end: ECR refuses it.
    "semver": _Placeholder(
        rf"{_NUMERIC}\.{_NUMERIC}\.{_NUMERIC}"
        rf"(?:-{_IDENTIFIER}(?:\.{_IDENTIFIER})*)?(?:_[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?",
        f"{string.ascii_letters}{string.digits}-.",
        ("0.0.0", "10.20.30-alpha.1_b-2"),
    ),
    "number": _Placeholder(r"[1-9][0-9]{0,9}", string.digits, ("1", "9999999999"), int),
}
_BRACES: Final = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True)
class Stage:
    """A step that an image takes on its way to production, and the tag that it gets there."""

    name: str
    template: str

    @cached_property
    def placeholders(self) -> tuple[str, ...]:
        """The names between braces, in their order."""
        return tuple(_BRACES.findall(self.template))

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What reads its tags."""
        parts = {name: f"(?P<{name}>{_PLACEHOLDERS[name].pattern})" for name in self.placeholders}
        escaped = re.escape(self.template)
        return re.compile(re.sub(r"\\{(\w+)\\}", lambda brace: parts[brace[1]], escaped))

    @cached_property
    def samples(self) -> list[str]:
        """Tags of the stage: with the shortest and the longest text of each placeholder."""
        texts = product(*(_PLACEHOLDERS[name].samples for name in self.placeholders))
        return [self.write(dict(zip(self.placeholders, values, strict=True))) for values in texts]

    def write(self, values: Mapping[str, object]) -> str:
        """The tag with these values. Raises KeyError for a placeholder that has none."""
        return _BRACES.sub(lambda match: str(values[match[1]]), self.template)

    def uncovered(self, patterns: Iterable[str]) -> list[str]:
        """The sample tags that none of these tag patterns matches."""
        return [tag for tag in self.samples if not any(tag_glob(each, tag) for each in patterns)]

    def may_be(self, movable_tag: str) -> bool:
        """Whether a movable tag is one of the stage's, or a movable pattern matches one."""
        is_one = self.pattern.fullmatch(movable_tag) is not None
        return is_one or self.uncovered([movable_tag]) != self.samples


@dataclass(frozen=True)
class UniqueTag:
    """A tag of the convention."""

    text: str
    stage: str
    parts: Mapping[str, Any]
    """What the placeholders of its template stand for, by name."""

    @property
    def time(self) -> datetime | None:
        """When it was given. A date counts as its first second."""
        if "epoch" in self.parts:
            return datetime.fromtimestamp(self.parts["epoch"], UTC)
        day = self.parts.get("date")
        return datetime.combine(day, datetime.min.time(), UTC) if day else None

    @property
    def ordered_by(self) -> str:
        """The placeholder that orders it among others. Empty where none does."""
        return next((part for part in ("epoch", "date", "semver") if part in self.parts), "")

    @property
    def version(self) -> tuple[Any, ...]:
        """What orders it among the tags of its stage. Empty where nothing in it does."""
        if self.time:  # the builds of a day are told apart by their number
            return self.time, self.parts.get("number", inf) if self.ordered_by == "date" else 0
        if not self.ordered_by:
            return ()
        # https://semver.org/#spec-item-11. Build metadata does not order.
        core, _, prerelease = self.parts["semver"].partition("_")[0].partition("-")
        identifiers = tuple(
            (0, int(identifier), "") if identifier.isdigit() else (1, 0, identifier)
            for identifier in prerelease.split(".")
        )
        return (*map(int, core.split(".")), not prerelease, identifiers)


class TagConvention:
    """The stages, and the tags that are read and written by them."""

    def __init__(self, data: Sequence[Mapping[str, Any]]) -> None:
        """Raises InvalidInputError with everything that is wrong with the stages."""
        refuse(problems_in(data))
        self.data = list(data)
        """As the setting `tagConvention` and a file have it."""
        self.stages = {each["stage"]: Stage(each["stage"], each["tag"]) for each in data}
        """By name, production last."""
        self.tells_time = all({"epoch", "date"} & {*of.placeholders} for of in self.stages.values())
        """Whether every unique tag has a time in it, so that images are ordered by nothing else."""

    def __str__(self) -> str:
        """The templates, for a message."""
        return ", ".join(stage.template for stage in self.stages.values())

    def read(self, tag: str) -> UniqueTag | None:
        """The tag in its parts. None where it is of no stage."""
        for stage in self.stages.values():
            if match := stage.pattern.fullmatch(tag):
                texts = match.groupdict().items()
                with suppress(ValueError):  # a date that is in no calendar
                    parts = {name: _PLACEHOLDERS[name].convert(text) for name, text in texts}
                    return UniqueTag(tag, stage.name, parts)
        return None

    def unique_tags(self, tags: Iterable[str]) -> list[UniqueTag]:
        """Those that follow the convention: the furthest stage first, the newest of a stage."""
        ranks = [*self.stages]
        # Tags of one stage have one template: their versions can be compared.
        return sorted(
            filter(None, map(self.read, tags)),
            key=lambda tag: (ranks.index(tag.stage), tag.version, tag.text),
            reverse=True,
        )

    def unique_tag(self, tags: Iterable[str]) -> UniqueTag | None:
        """The tag that says most of the image: of the furthest stage, the newest."""
        return next(iter(self.unique_tags(tags)), None)

    def commit(self, tags: Iterable[str]) -> str:
        """What the image was built from: the longest of the shas in its tags.

        Raises ValueError where no tag has one, or they disagree: the others begin it.
        """
        tags = sorted(tags)
        commits = sorted(self._parts(tags, "sha"), key=len)
        if not commits:
            names = ", ".join(tags) or "no tag"
            raise ValueError(
                f"the image has {names}, and none with its commit; the convention is {self}"
            )
        if not all(commits[-1].startswith(commit) for commit in commits):
            raise ValueError(
                f"the image's tags disagree on its commit ({', '.join(sorted(commits))}): the same "
                "bytes were built twice, or a tag was put on the wrong image; delete the wrong tag"
            )
        return str(commits[-1])

    def _parts(self, tags: Iterable[str], name: str) -> set[Any]:
        """What a placeholder stands for in an image's tags."""
        return {tag.parts[name] for tag in self.unique_tags(tags) if name in tag.parts}

    def built_at(self, tags: Iterable[str]) -> datetime | None:
        """When the image was built: the earliest time in its tags. None where no tag has one."""
        return min((tag.time for tag in self.unique_tags(tags) if tag.time), default=None)

    def order(self, tags: Iterable[str], other: Iterable[str]) -> tuple[str, int] | None:
        """Which of two images was built first: by what, and a negative number if the first one was.

        By "convention", the times in their tags, or by "semver". None where their tags do not tell:
        a time against a date, two builds of a day that have no numbers, versions of different
        stages, or two builds of one version (https://semver.org/#spec-item-10).
        """
        images = self.unique_tags(tags), self.unique_tags(other)
        for part in ("epoch", "date"):
            own, others = (
                min((tag.version for tag in image if tag.ordered_by == part), default=None)
                for image in images
            )
            if own and others:
                same_day = own[0] == others[0] and inf in {own[1], others[1]}
                return None if same_day else ("convention", (own > others) - (own < others))
        for stage in reversed(self.stages):
            one, two = (next((tag for tag in of if tag.stage == stage), None) for of in images)
            if not one or not two or one.ordered_by != "semver":
                continue
            if one.text == two.text or one.version != two.version:
                return "semver", (one.version > two.version) - (one.version < two.version)
        return None

    def write(self, stage: str, tags: Iterable[str], now: datetime) -> str:
        """The tag of a stage for an image with these tags.

        The time is now; commit, version and number are those of the image's other tags. Raises
        ValueError where they do not tell one of them.
        """
        template, names = self.stages[stage], self.stages[stage].placeholders
        values = {"epoch": int(now.timestamp()), "date": now.astimezone(UTC).date()}
        if "sha" in names:
            values["sha"] = self.commit(tags)
        for name in {"semver", "number"} & {*names}:
            known = self._parts(tags, name)
            # The number beside a date counts the day's builds: the next one is not known here.
            if len(known) != 1 or (name == "number" and "date" in names):
                raise ValueError(f"no tag of the image tells the {{{name}}} of {template.template}")
            [values[name]] = known
        return template.write(values)


def problems_in(data: Sequence[Mapping[str, Any] | None]) -> Iterator[Problem]:
    """All errors of a convention, each under the stage's position.

    None stands for a stage that was refused already.
    """
    readable: list[tuple[int, Stage]] = []
    for position, written in enumerate(data):
        if not written:
            continue
        stage = Stage(written["stage"], written["tag"])
        if error := next(_errors_in(stage, readable), None):
            key, rule, fix = error
            yield Problem(where=(position, key), value=written[key], rule=rule, fix=fix)
        else:
            readable.append((position, stage))


def _errors_in(stage: Stage, others: Iterable[tuple[int, Stage]]) -> Iterator[tuple[str, str, str]]:
    """Keys, rules and fixes: each error is looked for in what is free of those before it."""
    names, texts = stage.placeholders, _BRACES.split(stage.template)[2::2]
    if not names or len({*names} & _PLACEHOLDERS.keys()) < len(names):
        known = ", ".join(f"{{{name}}}" for name in _PLACEHOLDERS)
        rule = f"its placeholders are some of {known}, each once"
        yield "tag", rule, "write one such as v{semver}"
    if refused := [tag for tag in stage.samples if not TAG.fullmatch(tag)]:
        rule = f"ECR does not take its tags, such as {refused[0]}"
        yield "tag", rule, "write 1 to 128 letters, digits and . _ -, none of . - at the start"
    for name, text in zip(names, texts, strict=True):
        continuation = _PLACEHOLDERS[name].continuation
        is_last = name == names[-1] and not text
        if continuation and not is_last and (not text or text[0] in continuation):
            fix = f"put a character behind it that {{{name}}} does not have, such as _"
            yield "tag", f"it is ambiguous where {{{name}}} ends", fix
    for position, other in others:
        shared = [tag for tag in stage.samples if other.pattern.fullmatch(tag)]
        shared += [tag for tag in other.samples if stage.pattern.fullmatch(tag)]
        if shared:
            rule = f"stage [{position}] ({other.template}) has the same tags, such as {shared[0]}"
            yield "tag", rule, "begin the two with different text"
        if other.name == stage.name:
            rule = f"stage [{position}] has this name already"
            yield "stage", rule, "give each stage its own name"


ADR040: Final = TagConvention(
    [
        {"stage": "pr", "tag": "pr-{number}-{sha}-{epoch}"},
        {"stage": "dev", "tag": "dev-{sha}-{epoch}"},
        {"stage": "merged", "tag": "merged-{sha}-{epoch}"},
        {"stage": "stg", "tag": "stg-{sha}-{epoch}"},
        {"stage": "prod", "tag": "prod-{sha}-{epoch}"},
    ]
)
"""The convention of the team of ADR040, and the default."""
