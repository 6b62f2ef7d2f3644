import itertools
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from container_images.policies.invalid_input import InvalidInputError
from container_images.policies.patterns import tag_glob
from container_images.policies.tag_convention import (
    ADR040,
    Order,
    Stage,
    TagConvention,
    UniqueTag,
    UnknownCommitError,
    movable_in,
    problems_in,
    uncovered,
)
from container_images.policies.tag_mutability import TAG

SHA = "3f9c2a1b9c0d4e5f60718293a4b5c6d7e8f90a1b"
OTHER = "0123456789abcdef0123456789abcdef01234567"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

SEMVER = TagConvention([Stage(name="release", template="v{semver}")])
DATED = TagConvention([Stage(name="build", template="{date}.{number}")])
HASHES = TagConvention([Stage(name="build", template="{sha}")])

VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "sha": st.text("0123456789abcdef", min_size=7, max_size=64),
    "epoch": st.integers(0, 99_999_999_999),
    "date": st.dates().map(lambda it: it.isoformat()),
    "semver": st.from_regex(
        r"\A(0|[1-9]\d?)(\.(0|[1-9]\d?)){2}(-(0|[1-9]\d?|[a-z]\d?)(\.(0|[1-9]|[a-z-]+))?)?\Z",
    ).filter(lambda it: it.isascii() and len(it) < 30),
    "number": st.integers(1, 9_999_999_999),
}


def stages(*templates: str) -> list[Stage]:
    return [Stage(name=f"s{rank}", template=it) for rank, it in enumerate(templates)]


texts = st.text("abxv01._-", max_size=4)
parts = st.lists(
    st.tuples(texts, st.sampled_from(sorted(VALUES))),
    min_size=1,
    max_size=3,
    unique_by=lambda it: it[1],
)
# Each by itself can be read; what stages have in common is what the tests are about.
templates = st.builds(
    lambda parts, end: "".join(f"{text}{{{name}}}" for text, name in parts) + end, parts, texts
).filter(lambda it: not list(problems_in(stages(it))))
conventions = st.lists(templates, min_size=1, max_size=3).map(lambda it: stages(*it))


def values_of(stage: Stage) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({name: VALUES[name] for name in stage.placeholders})


class TestWhateverTheConvention:
    @given(st.data())
    def test_what_it_writes_it_reads_in_the_same_parts(self, data: st.DataObject) -> None:
        drawn = data.draw(conventions.filter(lambda it: not list(problems_in(it))))
        stage = data.draw(st.sampled_from(drawn))
        values = data.draw(values_of(stage))
        tag = stage.write(values)
        found = TagConvention(drawn).read(tag)
        assert found
        assert (found.text, found.stage) == (tag, stage.name)
        assert {name: str(getattr(found, name)) for name in values} == {
            name: str(value) for name, value in values.items()
        }
        assert TAG.fullmatch(tag)

    @given(conventions, st.lists(st.text("abv01*-", min_size=1, max_size=5), max_size=3))
    def test_a_tag_that_no_pattern_matches_is_of_the_stage(
        self, drawn: list[Stage], patterns: list[str]
    ) -> None:
        for stage in drawn:
            example = uncovered(stage, patterns)
            if example is not None:
                assert not any(tag_glob(it, example) for it in patterns)

    @given(st.data())
    def test_no_tag_is_uncovered_where_nothing_is_found(self, data: st.DataObject) -> None:
        drawn = data.draw(conventions.filter(lambda it: not list(problems_in(it))))
        patterns = [it.template.split("{")[0] + "*" for it in drawn]
        for stage in drawn:
            assert uncovered(stage, patterns) is None
            tag = stage.write(data.draw(values_of(stage)))
            assert any(tag_glob(it, tag) for it in patterns)

    @given(st.lists(VALUES["semver"], min_size=3, max_size=3, unique=True))
    def test_versions_are_in_one_order(self, versions: list[str]) -> None:
        def before(one: str, two: str) -> bool:
            found = SEMVER.order([f"v{one}"], [f"v{two}"])
            assert found
            assert found[0] == "semver"
            return found[1] < 0

        for one, two in itertools.permutations(versions, 2):
            assert before(one, two) is not before(two, one)
        ordered = [it.semver for it in SEMVER.unique_tags(f"v{it}" for it in versions)]
        for newer, older in itertools.combinations(ordered, 2):
            assert before(str(older), str(newer))

    @given(st.data())
    def test_times_are_in_one_order(self, data: st.DataObject) -> None:
        """Of images with a time in every tag: each pair is ordered, and no three go in a circle."""
        drawn = data.draw(
            conventions.filter(
                lambda it: (
                    not list(problems_in(it))
                    and len({frozenset({"epoch", "date"} & {*stage.placeholders}) for stage in it})
                    == 1
                )
            )
        )
        convention = TagConvention(drawn)
        assume(convention.tells_time)
        tags = st.sampled_from(drawn).flatmap(lambda it: values_of(it).map(it.write))
        images = [data.draw(st.lists(tags, min_size=1, max_size=2)) for _ in range(3)]

        def compared(one: list[str], two: list[str]) -> int:
            found = convention.order(one, two)
            assert found
            assert found[0] == "convention"
            return found[1]

        for one, two in itertools.permutations(images, 2):
            assert compared(one, two) == -compared(two, one)
        for one, two, three in itertools.permutations(images, 3):
            if compared(one, two) <= 0 and compared(two, three) <= 0:
                assert compared(one, three) <= 0


def test_an_order_by_text_would_be_noticed() -> None:
    """What the tests of the order look for: here the tenth build of a day is before the third."""

    class ByText(TagConvention):
        def order(self, tags: Iterable[str], other: Iterable[str]) -> tuple[Order, int]:
            one, two = min(tags), min(other)
            return "convention", (one > two) - (one < two)

    assert ByText(stages(DATED.stages["build"].template)).order(
        ["2026-11-24.3"], ["2026-11-24.10"]
    ) != DATED.order(["2026-11-24.3"], ["2026-11-24.10"])


# https://semver.org/#spec-item-11 has these in this order.
PRECEDENCE = [
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "2.0.0",
    "2.1.0",
    "2.1.1",
    "2.10.0",
]


def test_versions_are_ordered_as_semver_has_them() -> None:
    tags = [f"v{it}" for it in PRECEDENCE]
    assert [str(it) for it in SEMVER.unique_tags(tags)] == tags[::-1]


def test_builds_of_a_day_are_ordered_by_their_number() -> None:
    assert DATED.order(["2026-11-24.3"], ["2026-11-24.10"]) == ("convention", -1)
    assert DATED.order(["2026-11-24.3"], ["2026-11-23.10"]) == ("convention", 1)
    assert DATED.order(["2026-11-24.3", "x"], ["2026-11-24.3"]) == ("convention", 0)


def test_an_image_is_as_old_as_its_oldest_tag() -> None:
    late, early = f"prod-{SHA}-99", f"prod-{OTHER}-50"
    assert ADR040.order([late, f"merged-{SHA}-10"], [early]) == ("convention", -1)


@pytest.mark.parametrize(
    ("convention", "one", "other"),
    [
        (HASHES, [SHA], [OTHER]),
        (ADR040, [f"merged-{SHA}-1"], ["latest"]),
        (ADR040, [], [f"merged-{SHA}-1"]),
        (SEMVER, ["v1.0.0"], ["stable"]),
    ],
)
def test_where_the_tags_do_not_tell_no_order_is_claimed(
    convention: TagConvention, one: list[str], other: list[str]
) -> None:
    assert convention.order(one, other) is None


def test_versions_of_different_stages_are_not_compared() -> None:
    convention = TagConvention(stages("rc{semver}", "v{semver}"))
    assert convention.order(["rc1.0.0"], ["v2.0.0"]) is None
    assert convention.order(["rc1.0.0", "v3.0.0"], ["v2.0.0"]) == ("semver", 1)


class TestOfTheTeamOfAdr040:
    def test_a_tag_is_read_in_its_parts(self) -> None:
        assert ADR040.read(f"pr-1204-{SHA}-1764000000") == UniqueTag(
            text=f"pr-1204-{SHA}-1764000000",
            stage="pr",
            sha=SHA,
            epoch=1_764_000_000,
            number=1204,
        )

    @pytest.mark.parametrize(
        "tag",
        [
            "latest",
            "prod",
            f"prod-{SHA}",
            f"prod-{SHA}-",
            f"prod-{SHA}-now",
            f"prod-{SHA}-01764000000",
            f"prod-{SHA}-176400000000",  # a time in milliseconds is no time in seconds
            f"prod-{SHA}-1764000000\n",
            f"prod-{SHA}-١٧٦٤٠٠٠٠٠٠",  # digits, but not those that a pipeline writes
            f"PROD-{SHA}-1764000000",
            f"prod-{SHA.upper()}-1764000000",
            f"prod-{SHA[:6]}-1764000000",
            f"prod-{'a' * 65}-1764000000",
            f"prod-{SHA[:-1]}g-1764000000",
            f"prod-12-{SHA}-1764000000",
            f"pr-{SHA}-1764000000",
            f"pr-0-{SHA}-1764000000",
            f"release-{SHA}-1764000000",
            f"xprod-{SHA}-1764000000",
        ],
    )
    def test_another_tag_is_of_no_stage(self, tag: str) -> None:
        assert ADR040.read(tag) is None
        assert ADR040.unique_tag([tag]) is None

    def test_the_unique_tag_is_of_the_furthest_stage_and_the_newest_of_it(self) -> None:
        newest_first = [
            f"prod-{SHA}-10",
            f"prod-{SHA}-9",
            f"stg-{SHA}-8",
            f"merged-{SHA}-9",
            f"dev-{SHA}-99",
            f"pr-7-{SHA}-999",
        ]
        tags = ["latest", *sorted(newest_first)]
        assert str(ADR040.unique_tag(tags)) == newest_first[0]
        assert [str(tag) for tag in ADR040.unique_tags(tags)] == newest_first

    def test_an_image_was_built_at_the_earliest_time_in_its_tags(self) -> None:
        tags = [f"prod-{SHA}-30", "latest", f"merged-{SHA}-9"]
        assert ADR040.built_at(tags) == datetime.fromtimestamp(9, UTC)
        assert ADR040.built_at(["latest", "v1"]) is None

    def test_the_commit_is_as_long_as_a_tag_has_it(self) -> None:
        assert ADR040.commit([f"prod-{SHA[:7]}-3", f"merged-{SHA}-1", "latest"]) == SHA

    def test_no_commit_is_guessed_where_tags_disagree(self) -> None:
        with pytest.raises(UnknownCommitError) as refused:
            ADR040.commit([f"merged-{SHA}-1", f"merged-{OTHER}-2"])
        assert SHA in str(refused.value)
        assert OTHER in str(refused.value)

    def test_two_commits_that_share_a_short_sha_disagree(self) -> None:
        tags = [f"merged-{SHA[:7]}-1", f"merged-{SHA[:7]}000-2", f"merged-{SHA}-2"]
        with pytest.raises(UnknownCommitError, match="disagree"):
            ADR040.commit(tags)

    @pytest.mark.parametrize(("tags", "told"), [(["latest", "a"], "a, latest"), ([], "no tag")])
    def test_no_commit_is_known_where_no_tag_has_it(self, tags: list[str], told: str) -> None:
        with pytest.raises(UnknownCommitError, match=told):
            ADR040.commit(tags)

    def test_every_tag_of_its_has_a_time(self) -> None:
        assert ADR040.tells_time
        assert not HASHES.tells_time
        assert not SEMVER.tells_time

    def test_a_stages_tag_is_made_of_the_images_commit_and_the_time(self) -> None:
        assert ADR040.write("prod", [f"merged-{SHA}-1"], NOW) == f"prod-{SHA}-1795521600"


@pytest.mark.parametrize(
    ("tags", "other", "expected"),
    [
        # Helm writes the + of a version as _: https://semver.org/#spec-item-10
        (["1.4.0_up1.9.9"], ["1.5.0_up2.0.0", "stable"], ("semver", -1)),
        (["1.4.0_up2"], ["1.4.0-rc.1_up3"], ("semver", 1)),
        (["1.4.0_up1"], ["1.4.0_up1", "x"], ("semver", 0)),
        (["1.4.0_up1"], ["1.4.0_up2"], None),
    ],
)
def test_build_metadata_orders_nothing(
    tags: list[str], other: list[str], expected: tuple[Order, int] | None
) -> None:
    assert TagConvention(stages("{semver}")).order(tags, other) == expected


@pytest.mark.parametrize(
    ("tags", "other", "expected"),
    [
        (["dev-2026-11-24.2"], ["prod-2026-11-24"], None),
        (["dev-2026-11-24.2"], ["prod-2026-11-23"], ("convention", 1)),
        (["dev-2026-11-24.2", "prod-2026-11-24"], ["dev-2026-11-24.3"], ("convention", -1)),
        (["prod-2026-11-24"], ["prod-2026-11-24"], ("convention", 0)),
    ],
)
def test_a_number_that_is_not_there_orders_nothing(
    tags: list[str], other: list[str], expected: tuple[Order, int] | None
) -> None:
    convention = TagConvention(stages("dev-{date}.{number}", "prod-{date}"))
    assert convention.order(tags, other) == expected


def test_a_version_is_carried_to_the_next_stage() -> None:
    convention = TagConvention(stages("rc-{semver}", "v{semver}"))
    assert convention.write("s1", ["rc-1.2.3"], NOW) == "v1.2.3"
    with pytest.raises(ValueError, match="no tag of the image tells"):
        convention.write("s1", ["rc-1.2.3", "rc-1.2.4"], NOW)


def test_the_number_of_the_next_build_of_a_day_is_not_known() -> None:
    with pytest.raises(ValueError, match="no tag of the image tells"):
        DATED.write("build", ["2026-11-23.1"], NOW)


def test_a_date_is_one_of_the_calendar() -> None:
    assert DATED.read("2026-02-29.1") is None
    assert DATED.read("2024-02-29.1")
    assert DATED.built_at(["2024-02-29.1"]) == datetime(2024, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("templates", "rule"),
    [
        ([], "at least one stage"),
        (["release"], "would be the same"),
        (["v{version}"], "no placeholder {version}"),
        (["v{}"], "no placeholder {}"),
        (["v {semver}"], "letters, digits"),
        ([".{sha}"], "starts with none"),
        (["{sha}-{sha}"], "twice"),
        (["{sha}{epoch}"], "it is ambiguous where"),
        (["{sha}a{number}"], "it is ambiguous where"),
        (["{semver}-{sha}"], "it is ambiguous where"),
        (["x" * 125 + "{sha}"], "longer than 128"),
        (["{sha}", "{number}"], "has the same tags, such as 9999999999"),
        (["v{semver}", "v{semver}"], "has the same tags, such as v0.0.0"),
        (["a-{semver}", "{semver}", "a-{number}.0.{epoch}"], "has the same tags, such as a-1.0.0"),
    ],
)
def test_a_convention_that_could_not_be_read_is_refused(templates: list[str], rule: str) -> None:
    problems = list(problems_in(stages(*templates)))
    assert any(rule in it.rule for it in problems), problems
    with pytest.raises(InvalidInputError, match=rule.replace("{", r"\{").replace("}", r"\}")):
        TagConvention(stages(*templates))


def test_stages_have_names_of_their_own() -> None:
    twice = [Stage(name="a", template="a{sha}"), Stage(name="a", template="x{sha}")]
    assert ["has this name" in it.rule for it in problems_in(twice)] == [True]
    assert [
        "named with" in it.rule for it in problems_in([Stage(name="a b", template="{sha}")])
    ] == [True]


@pytest.mark.parametrize(
    ("template", "patterns", "example"),
    [
        ("v{semver}", ["v*"], None),
        ("v{semver}", ["v1*", "v2*"], "v0.0.0"),
        ("v{semver}", ["v*.*", "x"], None),
        ("{sha}", ["*"], None),
        ("{sha}", [], "0000000"),
        ("prod-{sha}-{epoch}", ["prod-*-9*"], "prod-0000000-0"),
        ("{sha}-{number}", ["*-*"], None),
        ("{date}.{number}", ["2025-*"], "2026-11-24.1"),
    ],
)
def test_patterns_cover_a_stage_or_an_example_shows_that_they_do_not(
    template: str, patterns: list[str], example: str | None
) -> None:
    assert uncovered(Stage(name="s", template=template), patterns) == example


@pytest.mark.parametrize(
    ("movable", "templates"),
    [
        ("latest", []),
        ("deadbeef", ["{sha}"]),
        ("v1.0.0", ["v{semver}"]),
        ("v*", ["v{semver}"]),
        ("*", ["v{semver}", "{sha}"]),
        ("sha256-*.sig", []),
    ],
)
def test_a_movable_tag_or_pattern_that_is_of_a_stage_too(
    movable: str, templates: list[str]
) -> None:
    assert list(movable_in(stages("v{semver}", "{sha}"), movable)) == templates
