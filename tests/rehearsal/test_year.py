"""A year of one repository: what happens in it, and what a policy leaves."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from container_images.lifecycle.document import rules_in
from container_images.policies.retention import RetentionRule, lifecycle_policy
from container_images.rehearsal.year import Event, Year, figures, history, live, picture
from tests.lifecycle.documents import (
    ANY,
    ARCHIVE,
    count,
    image,
    older,
    policy,
    rule,
    tagged,
)

RETENTION = [
    RetentionRule(tags="prod-*", keep_newest=50),
    RetentionRule(tags="stg-*", keep_newest=50),
    RetentionRule(tags="merged-*", keep_newest=100),
    RetentionRule(tags="dev-*", expire_after_days=30),
    RetentionRule(tags="pr-*", expire_after_days=14),
    RetentionRule(untagged=True, expire_after_days=7),
]


HISTORY = history()
LATE = [event for event in HISTORY if event.at > HISTORY[-1].at - timedelta(days=90)]
"""Three months, which end with a bad release and the way back: enough for the claims."""


def year_under(
    movable: Sequence[str], rules: Sequence[RetentionRule], events: Sequence[Event] = LATE
) -> Year:
    return live(rules_in(lifecycle_policy(movable, rules)), events)


@pytest.fixture(scope="module")
def untouched() -> Year:
    """A year without any policy."""
    return live((), HISTORY)


@pytest.fixture(scope="module")
def year() -> Year:
    return year_under(["latest"], RETENTION, HISTORY)


def failing(year: Year) -> list[str]:
    return [it["claim"] for it in figures(year)["claims"] if not it["holds"]]


def test_the_history_is_always_the_same() -> None:
    assert history() == history()


def test_the_history_follows_the_convention() -> None:
    events = history()
    assert events == sorted(events, key=lambda event: event.at)
    for event in events:
        tags = event.pushed.tags if event.pushed else (event.tag or "",)
        for tag in tags:
            if tag == "latest":
                continue
            stage, *rest = tag.split("-")
            assert stage in {"merged", "stg", "prod", "dev", "pr"}
            assert len(rest[-2]) == 40
            assert abs(int(rest[-1]) - event.at.timestamp()) < 60
            assert len(rest) == (3 if stage == "pr" else 2)


def test_not_every_merge_reaches_production_and_every_release_came_through_staging(
    untouched: Year,
) -> None:
    images = untouched.pushed.values()
    stages = [[tag.partition("-")[0] for tag in it.tags] for it in images]
    number = {stage: sum(stage in it for it in stages) for stage in ("merged", "stg", "prod")}
    assert 0 < number["prod"] < number["stg"] < number["merged"]
    assert all("prod" not in it or {"merged", "stg"} < {*it} for it in stages)


def test_a_merge_is_built_for_two_architectures() -> None:
    images = [event.pushed for event in history() if event.pushed]
    lists = [it.children for it in images if it.children]
    assert {len(children) for children in lists} == {2}
    listed = {child for children in lists for child in children}
    assert {it.digest for it in images if not it.tags} == listed


def test_latest_is_on_one_image_and_was_rolled_back(year: Year) -> None:
    [carrier] = [it for it in year.pushed.values() if "latest" in it.tags]
    assert carrier.digest == year.latest[-1]
    assert year.latest[-1] == year.latest[-3]
    told = figures(year)
    assert told["latest"]["place"] == 2
    assert told["predecessor"]["place"] == 1


def test_without_a_policy_all_is_kept(untouched: Year) -> None:
    assert len(untouched.kept) == len(untouched.pushed)
    assert untouched.gone == {}
    assert failing(untouched) == []


def test_the_figures_add_up(year: Year) -> None:
    told = figures(year)
    json.dumps(told)
    for of in ("pushed", "kept"):
        assert told[of] == sum(stage[of] for stage in told["stages"].values())
    assert told["pushed"] - told["kept"] == sum(told["goneByRule"].values())
    assert 0 < told["bytesKept"] < told["bytesPushed"]


def test_the_stack_s_retention_keeps_what_it_should(year: Year) -> None:
    told = figures(year)
    assert failing(year) == []
    assert told["stages"]["prod"]["newestKept"] == 50
    assert told["stages"]["prod"]["kept"] == 50
    assert told["kept"] < told["pushed"] / 4
    # A repository that is cleaned stays bounded: two images for each index.
    assert told["stages"]["untagged"]["kept"] == 2 * sum(
        told["stages"][stage]["kept"] for stage in ("prod", "stg", "merged")
    )


def test_a_policy_that_keeps_one_release_loses_latest_without_a_protective_rule() -> None:
    rules = [RetentionRule(tags="prod-*", keep_newest=1)]
    assert failing(year_under([], rules)) == ["latest can be pulled"]
    assert failing(year_under(["latest"], rules)) == []


@pytest.mark.parametrize(
    ("rules", "claimed"),
    [
        ([RetentionRule(tags="prod-*", keep_newest=1)], "so can the newest release"),
        ([RetentionRule(tags="prod-*", keep_newest=3)], "so can the newest 3 releases"),
        ([RetentionRule(tags="prod-*", keep_newest=50)], "so can the newest 10 releases"),
        ([RetentionRule(tags="dev-*", keep_newest=1)], "so can the newest 10 releases"),
        ([RetentionRule(tags="p*", expire_after_days=30)], "latest can be pulled"),
        ([RetentionRule(any=True, keep_newest=5)], "latest can be pulled"),
    ],
)
def test_as_many_releases_are_claimed_as_the_policy_wants(
    rules: list[RetentionRule], claimed: str
) -> None:
    """A team that wants to keep three is not told that it loses seven."""
    found = year_under(["latest"], rules)
    assert figures(found)["claims"][-1] == {"claim": claimed, "holds": True}


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (RetentionRule(any=True, keep_newest=5), "counts images of all kinds together"),
        (RetentionRule(tags="p*", expire_after_days=30), "goes by the age of images"),
        (RetentionRule(tags="prod-*", keep_newest=3), None),
        (RetentionRule(tags="dev-*", keep_newest=3), None),
    ],
)
def test_what_is_not_claimed_is_said_with_the_reason(last: RetentionRule, why: str | None) -> None:
    found = year_under(["latest"], [RetentionRule(untagged=True, expire_after_days=7), last])
    told = figures(found)
    text = " ".join(" ".join(picture(found)).split())
    assert ("so can the newest" in text) is (why is None)
    if why is None:
        assert told["notClaimed"] == []
        assert "not claimed" not in text
    else:
        number = max(it.priority for it in found.rules)
        sentence = (
            "it is not claimed that the image before latest and the newest releases can be pulled: "
            f"rule {number}, which they come under, {why}"
        )
        assert told["notClaimed"] == [sentence]
        assert f"note {sentence} ok" in text


def test_each_movable_tag_is_followed() -> None:
    """The second stays on an image that the policy takes, while the first moves on."""
    one, two = image("1", "prod-1", days=9), image("2", "prod-2", days=1)
    events = [
        Event(at=one.pushed_at, digest="1", pushed=one),
        *(Event(at=one.pushed_at, digest="1", tag=tag) for tag in ("latest", "stable")),
        Event(at=two.pushed_at, digest="2", pushed=two),
        Event(at=two.pushed_at, digest="2", tag="latest"),
    ]
    rules = rules_in(policy(tagged("latest") | count(1), tagged("prod-*") | count(1)))
    assert "stable can be pulled" in failing(live(rules, events, movable=["latest", "stable"]))
    assert "stable can be pulled" not in failing(live((), events, movable=["latest", "stable"]))


def test_a_rule_before_that_of_the_releases_takes_them() -> None:
    rules = [
        RetentionRule(tags="merged-*", expire_after_days=3),
        RetentionRule(tags="prod-*", keep_newest=50),
    ]
    assert failing(year_under(["latest"], rules)) == ["so can the newest 10 releases"]


def test_a_policy_may_take_what_is_still_to_be_tagged() -> None:
    found = live(
        rules_in(policy(ANY | count(1))),
        [
            Event(at=image("1").pushed_at, digest="1", pushed=image("1", "a", days=9)),
            Event(at=image("2").pushed_at, digest="2", pushed=image("2", "b", days=1)),
            Event(at=image("1").pushed_at + timedelta(days=1), digest="1", tag="latest"),
        ],
    )
    assert (found.missed, found.gone) == (["1"], {"1": 1})
    assert figures(found)["missed"] == 1
    assert "note    images that went before the pipeline had tagged them: 1" in picture(found)


def test_an_index_without_its_images_cannot_be_pulled() -> None:
    index = image("index", "prod-1", children=("1",))
    events = [Event(at=index.pushed_at, digest="index", pushed=index)]
    events.append(Event(at=index.pushed_at, digest="index", tag="latest"))
    assert "latest can be pulled" in failing(live((), events))
    part = image("1")
    events.insert(0, Event(at=part.pushed_at, digest="1", pushed=part))
    assert "latest can be pulled" not in failing(live((), events))


def test_what_is_archived_cannot_be_pulled() -> None:
    one = image("1", "prod-1", days=9)
    events = [
        Event(at=one.pushed_at, digest="1", pushed=one),
        Event(at=one.pushed_at, digest="1", tag="latest"),
        Event(at=one.pushed_at + timedelta(days=5), digest="2", pushed=image("2", days=4)),
    ]
    found = live(rules_in({"rules": [rule(1, ANY | older(2), ARCHIVE)]}), events)
    assert [it.digest for it in found.kept.values() if it.archived] == ["1"]
    assert "latest can be pulled" in failing(found)


def test_an_image_goes_on_its_day_not_at_the_end_of_the_year() -> None:
    """Its last day's tags alone would have kept the first: `latest` was on its way back to it."""
    one, two = image("1", "latest", days=9), image("2", days=6)
    events = [
        Event(at=one.pushed_at, digest="1", pushed=one),
        Event(at=two.pushed_at, digest="2", pushed=two),
        Event(at=two.pushed_at, digest="2", tag="latest"),
        Event(at=two.pushed_at + timedelta(days=3), digest="1", tag="latest"),
    ]
    found = live(rules_in(policy(tagged("latest") | count(1), ANY | older(2))), events)
    assert (found.gone, found.missed) == ({"1": 2}, ["1"])
    assert [(it.digest, it.tags) for it in found.kept.values()] == [("2", ("latest",))]
    early = [replace(event, at=min(event.at, two.pushed_at)) for event in events]
    assert live(rules_in(policy(tagged("latest") | count(1), ANY | older(2))), early).missed == []


def test_the_picture_fits_a_terminal_and_needs_no_colour(year: Year) -> None:
    lines = picture(year)
    assert all(line.isascii() and len(line) <= 80 for line in lines)
    assert (
        lines[0]
        == f"A year of one repository: {len(year.pushed):,} images pushed, {len(year.kept):,} kept"
    )
    rows = {line[:9].strip(): line for line in lines}
    prod = rows["prod"][9:62]
    assert prod.index("#") > prod.rindex(".")
    assert rows["prod"].split()[-2:] == ["130", "50"]
    # Each mark of latest stands below a week whose releases are there.
    for name in ("latest", "before it"):
        assert rows[name].endswith("^")
        assert rows["prod"][len(rows[name]) - 1] in "#+"
    assert [line.split()[0] for line in lines[-4:]] == ["furthest", *["ok"] * 3]


def test_the_picture_says_what_fails() -> None:
    lines = picture(year_under([], [RetentionRule(tags="prod-*", keep_newest=1)]))
    assert "FAILED  latest can be pulled" in lines
    assert all(len(line) <= 80 for line in lines)
