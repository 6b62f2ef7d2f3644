import itertools
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from string import ascii_lowercase, digits
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from container_images.policies.forms import TAG
from container_images.policies.invalid_input import InvalidInputError
from container_images.policies.tag_convention import (
    ADR040,
    Stage,
    TagConvention,
    UniqueTag,
    problems_in,
)

SHA = "3f9c2a1b9c0d4e5f60718293a4b5c6d7e8f90a1b"
OTHER = "0123456789abcdef0123456789abcdef01234567"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def data(*templates: str) -> list[dict[str, str]]:
    return [{"stage": f"s{rank}", "tag": template} for rank, template in enumerate(templates)]


def convention(*templates: str) -> TagConvention:
    return TagConvention(data(*templates))


SEMVER, DATED, HASHES = map(convention, ("v{semver}", "{date}.{number}", "{sha}"))


# --- Whatever the convention ----------------------------------------------------------------------

VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "sha": st.text("0123456789abcdef", min_size=7, max_size=64),
    "epoch": st.integers(0, 99_999_999_999),
    "date": st.dates().map(date.isoformat),
    "semver": st.from_regex(
        r"\A(0|[1-9]\d?)(\.(0|[1-9]\d?)){2}(-(0|[1-9]\d?|[a-z]\d?)(\.(0|[1-9]|[a-z-]+))?)?\Z",
        alphabet=f"{ascii_lowercase}{digits}.-",
    ).filter(lambda text: len(text) < 30),
    "number": st.integers(1, 9_999_999_999),
}


@st.composite
def conventions(
    draw: st.DrawFn, names: Sequence[str] = sorted(VALUES), also: Sequence[str] = ()
) -> TagConvention:
    """One to three stages with some of these placeholders and with the others."""
    starts, ends = (st.sampled_from(texts.split(" ")) for texts in (" a v b- 1. x0", " _ x -v .1"))
    templates: list[str] = []
    for start in draw(st.lists(starts, min_size=1, max_size=3)):
        some = draw(st.lists(st.sampled_from(names), min_size=not also, max_size=2, unique=True))
        parts = [f"{{{name}}}{draw(ends)}" for name in draw(st.permutations([*also, *some]))]
        if not list(problems_in(data(*templates, start + "".join(parts)))):
            templates.append(start + "".join(parts))
    assume(templates)
    return convention(*templates)


def values_of(stage: Stage) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({name: VALUES[name] for name in stage.placeholders})


@given(st.data())
def test_what_it_writes_it_reads_in_the_same_parts(data: st.DataObject) -> None:
    drawn = data.draw(conventions())
    stage = data.draw(st.sampled_from([*drawn.stages.values()]))
    values = data.draw(values_of(stage))
    tag = stage.write(values)
    unique_tag = drawn.read(tag)
    assert unique_tag
    assert (unique_tag.text, unique_tag.stage) == (tag, stage.name)
    parts = {name: str(value) for name, value in unique_tag.parts.items()}
    assert parts == {name: str(value) for name, value in values.items()}
    assert TAG.fullmatch(tag)


@pytest.mark.parametrize("time", ["epoch", "date"])
@given(st.data())
def test_times_are_in_one_order(time: str, data: st.DataObject) -> None:
    """Of images with a time in every tag: no three go in a circle, and only a day has no order."""
    drawn = data.draw(conventions(["sha", "semver"], [time]))
    tags = st.sampled_from([*drawn.stages.values()]).flatmap(
        lambda stage: values_of(stage).map(stage.write)
    )
    images = [data.draw(st.lists(tags, min_size=1, max_size=2)) for _ in range(3)]

    def compared(one: list[str], two: list[str]) -> int:
        order = drawn.order(one, two)
        assert (order or ("convention", 0))[0] == "convention"
        assert order or time == "date"
        return order[1] if order else 0

    for one, two in itertools.permutations(images, 2):
        assert compared(one, two) == -compared(two, one)
    for one, two, three in itertools.permutations(images, 3):
        if compared(one, two) <= 0 and compared(two, three) <= 0:
            assert compared(one, three) <= 0


# --- What is read ---------------------------------------------------------------------------------


def test_a_tag_is_read_in_its_parts() -> None:
    parts: dict[str, Any] = {"sha": SHA, "epoch": 17, "number": 12}
    assert ADR040.read(f"pr-12-{SHA}-17") == UniqueTag(f"pr-12-{SHA}-17", "pr", parts)
    parts = {"date": date(2024, 2, 29), "number": 1}
    assert DATED.read("2024-02-29.1") == UniqueTag("2024-02-29.1", "s0", parts)
    parts = {"semver": "1.2.3-rc.1_5"}
    assert SEMVER.read("v1.2.3-rc.1_5") == UniqueTag("v1.2.3-rc.1_5", "s0", parts)


def test_other_tags_are_of_no_stage() -> None:
    times = ["", "-01764000000", "-176400000000", "-1764000000\n", "-١٧٦٤٠٠٠٠٠٠"]
    shas = [SHA.upper(), SHA[:6], "a" * 65]
    tags = [f"prod-{SHA}{time}" for time in times] + [f"prod-{sha}-1764000000" for sha in shas]
    starts = ["PROD-", "xprod-", "pr-0-", ""]
    tags += ["latest", *(f"{start}{SHA}-1764000000" for start in starts)]
    assert ADR040.unique_tags(tags) == []
    assert DATED.read("2026-02-29.1") is None  # no date of the calendar


def test_the_unique_tag_is_of_the_furthest_stage_and_the_newest_of_it() -> None:
    steps = "prod- -10", "prod- -9", "stg- -8", "merged- -9", "dev- -99", "pr-7- -999"
    newest_first = [step.replace(" ", SHA) for step in steps]
    tags = ["latest", *sorted(newest_first)]
    assert ADR040.unique_tags(tags)[0].text == newest_first[0]
    assert [tag.text for tag in ADR040.unique_tags(tags)] == newest_first


def test_an_image_was_built_at_the_earliest_time_in_its_tags() -> None:
    tags = [f"prod-{SHA}-30", "latest", f"merged-{SHA}-9"]
    assert ADR040.built_at(tags) == datetime.fromtimestamp(9, UTC)
    assert ADR040.built_at(["latest", "v1"]) is None
    assert DATED.built_at(["2024-02-29.1"]) == datetime(2024, 2, 29, tzinfo=UTC)


def test_the_commit_is_as_long_as_a_tag_has_it_and_never_guessed() -> None:
    assert ADR040.commit([f"prod-{SHA[:7]}-3", f"merged-{SHA}-1", "latest"]) == SHA
    for tags, error in (
        ([f"merged-{SHA}-1", f"merged-{OTHER}-2"], f"disagree.*{OTHER}, {SHA}"),
        ([f"merged-{SHA[:7]}-1", f"merged-{SHA[:7]}000-2", f"merged-{SHA}-2"], "disagree"),
        (["latest", "a"], "has a, latest, and none with its commit"),
        ([], "has no tag"),
    ):
        with pytest.raises(ValueError, match=error):
            ADR040.commit(tags)


# --- What orders builds ---------------------------------------------------------------------------

UP = convention("{semver}")
DAYS = convention("dev-{date}.{number}", "prod-{date}")
DATED_HASHES = convention("{date}-{sha}")
CANDIDATES = convention("rc{semver}", "v{semver}")


@pytest.mark.parametrize(
    ("reader", "tags", "other", "expected"),
    [
        # The oldest tag of each image counts.
        (ADR040, f"prod-{SHA}-99 merged-{SHA}-10", f"prod-{OTHER}-50", ("convention", -1)),
        (DATED, "2026-11-24.3", "2026-11-24.10", ("convention", -1)),
        (DATED, "2026-11-24.3", "2026-11-23.10", ("convention", 1)),
        (DATED, "2026-11-24.3 x", "2026-11-24.3", ("convention", 0)),
        (DAYS, "dev-2026-11-24.2", "prod-2026-11-23", ("convention", 1)),
        (DAYS, "dev-2026-11-24.2 prod-2026-11-24", "dev-2026-11-24.3", ("convention", -1)),
        # Helm writes the + of a version as _: https://semver.org/#spec-item-10
        (UP, "1.4.0_up1.9.9", "1.5.0_up2.0.0 stable", ("semver", -1)),
        (UP, "1.4.0_up2", "1.4.0-rc.1_up3", ("semver", 1)),
        (UP, "1.4.0_up1", "1.4.0_up1 x", ("semver", 0)),
        (CANDIDATES, "rc1.0.0 v3.0.0", "v2.0.0", ("semver", 1)),
        # The tags do not tell: a number that is not there, two builds of a version, two stages.
        (DAYS, "dev-2026-11-24.2", "prod-2026-11-24", None),
        (DATED_HASHES, f"2026-11-24-{SHA}", f"2026-11-24-{OTHER}", None),
        (UP, "1.4.0_up1", "1.4.0_up2", None),
        (CANDIDATES, "rc1.0.0", "v2.0.0", None),
        (HASHES, SHA, OTHER, None),
        (ADR040, f"merged-{SHA}-1", "latest", None),
        (SEMVER, "v1.0.0", "stable", None),
    ],
)
def test_which_of_two_images_was_built_first(
    reader: TagConvention, tags: str, other: str, expected: tuple[str, int] | None
) -> None:
    assert reader.order(tags.split(), other.split()) == expected
    opposite = reader.order(other.split(), tags.split())
    assert opposite == (expected and (expected[0], -expected[1]))


def test_versions_are_ordered_as_semver_has_them() -> None:
    # https://semver.org/#spec-item-11 has these in this order.
    ends = ["-alpha", "-alpha.1", "-alpha.beta", "-beta", "-beta.2", "-beta.11", "-rc.1", ""]
    tags = [*(f"v1.0.0{end}" for end in ends), "v2.0.0", "v2.1.0", "v2.1.1", "v2.10.0"]
    assert [tag.text for tag in SEMVER.unique_tags(tags)] == tags[::-1]
    for older, newer in itertools.combinations(tags, 2):
        assert SEMVER.order([older], [newer]) == ("semver", -1)


# --- What is written ------------------------------------------------------------------------------


def test_a_stages_tag_is_made_of_the_images_tags_and_the_time() -> None:
    assert ADR040.write("prod", [f"merged-{SHA}-1"], NOW) == f"prod-{SHA}-1795521600"
    assert CANDIDATES.write("s1", ["rc1.2.3"], NOW) == "v1.2.3"
    assert convention("d-{date}").write("s0", [], NOW) == "d-2026-11-24"
    with pytest.raises(ValueError, match="no tag of the image tells"):
        CANDIDATES.write("s1", ["rc1.2.3", "rc1.2.4"], NOW)
    # The number of the day's next build is not known.
    with pytest.raises(ValueError, match="no tag of the image tells"):
        DATED.write("s0", ["2026-11-23.1"], NOW)


# --- What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refused", "rule"),
    [
        *(([tag], "placeholders are some of {sha}, ") for tag in ("x", "{x}", "{sha}-{sha}")),
        (["v {semver}"], "ECR does not take its tags, such as v 0.0.0"),
        ([".{sha}"], "ECR does not take its tags, such as .0000000"),
        (["x" * 125 + "{sha}"], "ECR does not take its tags, such as xxx"),
        (["{sha}{epoch}"], "it is ambiguous where {sha} ends"),
        (["{epoch}0{number}"], "it is ambiguous where {epoch} ends"),
        (["{semver}-{sha}"], "it is ambiguous where {semver} ends"),
        (["{sha}", "{number}"], "has the same tags, such as 9999999999"),
        (["{number}", "{sha}"], "has the same tags, such as 9999999999"),
        (["a-{semver}", "{semver}", "a-{number}.0.{epoch}"], "has the same tags, such as a-1.0.0"),
    ],
)
def test_a_convention_that_could_not_be_read_is_refused(refused: list[str], rule: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(rule)):
        convention(*refused)


def test_stages_have_names_of_their_own() -> None:
    with pytest.raises(InvalidInputError, match=r"\[1\].stage .* stage \[0\] has this"):
        TagConvention([{"stage": "a", "tag": "a{sha}"}, {"stage": "a", "tag": "x{sha}"}])


def test_patterns_cover_a_stage_or_samples_show_that_they_do_not() -> None:
    version, build = Stage("a", "v{semver}"), Stage("b", "{date}.{number}")
    assert version.uncovered(["v*.*", "x"]) == build.uncovered(["2026-*"]) == []
    assert version.uncovered(["v1*", "v2*"]) == ["v0.0.0"]
    assert build.uncovered(["2025-*"]) == ["2026-11-24.1", "2026-11-24.9999999999"]


def test_a_movable_tag_or_pattern_may_be_of_a_stage() -> None:
    version, commit = Stage("a", "v{semver}"), Stage("b", "{sha}")
    assert [version.may_be(tag) for tag in ("v1.0.0", "*", "v")] == [True, True, False]
    assert [commit.may_be(tag) for tag in ("deadbeef", "*", "v1")] == [True, True, False]
    assert not any(stage.may_be(tag) for stage in (version, commit) for tag in ("x", "x*.sig"))
