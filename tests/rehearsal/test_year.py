"""A year of one repository: what happens in it, and what a policy leaves."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from container_images.lifecycle.document import rules_in
from container_images.policies.retention import RetentionRule, lifecycle_policy
from container_images.policies.tag_convention import ADR040, Stage, TagConvention
from container_images.rehearsal.year import (
    Event,
    Year,
    broken_claims,
    claims,
    history,
    live,
    unclaimed,
)
from tests.lifecycle.documents import ANY, ARCHIVE, count, image, older, policy, rule, tagged

RETENTION = [
    RetentionRule(tags="prod-*", keep_newest=50),
    RetentionRule(tags="stg-*", keep_newest=50),
    RetentionRule(tags="merged-*", keep_newest=100),
    RetentionRule(tags="dev-*", expire_after_days=30),
    RetentionRule(tags="pr-*", expire_after_days=14),
    RetentionRule(untagged=True, expire_after_days=7),
]
LATEST = ["latest"]
HISTORY = history(ADR040, LATEST)
LATE = [event for event in HISTORY if event.at > HISTORY[-1].at - timedelta(days=90)]
"""Three months, which end with a bad release and the way back: enough for the claims."""


def year_under(movable: Sequence[str], rules: Sequence[RetentionRule]) -> Year:
    return live(rules_in(lifecycle_policy(movable, rules)), LATE)


def broken(year: Year, movable: Sequence[str] = LATEST) -> list[str]:
    return broken_claims(year, ADR040, movable)


def claimed(year: Year) -> list[str]:
    return [claim for claim, _ in claims(year, ADR040, LATEST)]


def pushed_and_tagged(*images: str, tag: str = "latest") -> list[Event]:
    """Images of different age, the oldest first; the tag goes from each to the next."""
    events = []
    for number, name in enumerate(images):
        one = image(name, f"prod-{name}", days=9 - number)
        events.append(Event(at=one.pushed_at, digest=name, pushed=one))
        events.append(Event(at=one.pushed_at, digest=name, tag=tag))
    return events


# --- The history ----------------------------------------------------------------------------------


def test_the_history_is_always_the_same_and_follows_the_convention() -> None:
    assert history(ADR040, LATEST) == HISTORY
    assert sorted(HISTORY, key=lambda event: event.at) == HISTORY
    stages = {
        tag.stage
        for event in HISTORY
        for tag in ADR040.unique_tags(event.pushed.tags if event.pushed else [event.tag or ""])
    }
    assert stages == set(ADR040.stages)


def test_some_merges_reach_production_through_staging_and_each_is_for_two_architectures() -> None:
    year = live((), LATE)
    assert len(year.kept) == len(year.pushed), "without a policy"
    tags = [[tag.partition("-")[0] for tag in it.tags] for it in year.pushed.values()]
    number = {stage: sum(stage in it for it in tags) for stage in ("merged", "stg", "prod")}
    assert 0 < number["prod"] < number["stg"] < number["merged"]
    assert all("prod" not in it or {"merged", "stg"} < {*it} for it in tags)
    children = [it.children for it in year.pushed.values() if it.children]
    assert {len(them) for them in children} == {2}
    places = year.tagged["latest"]
    assert places[-1] == places[-3], "the last release was bad"


CONVENTIONS = [
    [Stage(name="release", template="v{semver}")],
    [Stage(name="build", template="{date}.{number}")],
    [Stage(name="candidate", template="rc-{semver}"), Stage(name="release", template="v{semver}")],
    [
        *(Stage(name=it, template=it + "-{number}") for it in ("pull", "try", "play")),
        *(Stage(name=it, template=it + "-{sha}-{epoch}") for it in ("build", "test", "ship")),
    ],
]


@pytest.mark.parametrize("stages", CONVENTIONS, ids=lambda it: it[-1].template)
def test_a_year_is_lived_with_the_teams_own_tags(stages: Sequence[Stage]) -> None:
    convention, movable = TagConvention(stages), ["stable", "latest"]
    events = history(convention, movable)
    given = [tag for it in events for tag in (it.pushed.tags if it.pushed else [str(it.tag)])]
    unique = [tag for tag in given if tag not in movable]
    assert len(unique) == len(set(unique)), "a unique tag is given once"
    read = {tag.stage for tag in map(convention.read, unique) if tag}
    assert read == set(convention.stages)
    rules = [
        RetentionRule(untagged=True, expire_after_days=7),
        RetentionRule(any=True, keep_newest=400),
    ]
    year = live(rules_in(lifecycle_policy(movable, rules)), events)
    assert broken_claims(year, convention, movable) == []
    said = [claim for claim, _ in claims(year, convention, movable)]
    assert said == ["the image of stable", "the image of latest"]


# --- The claims -----------------------------------------------------------------------------------


def test_the_production_stacks_retention_keeps_what_it_should() -> None:
    year = live(rules_in(lifecycle_policy(LATEST, RETENTION)), HISTORY)
    assert broken(year) == []
    assert claimed(year) == [
        "the image of latest",
        "the image that latest was on before",
        "the newest 10 releases",
    ]
    assert len(year.kept) < len(year.pushed) / 4
    kept = [tag.stage for it in year.kept.values() if (tag := ADR040.unique_tag(it.tags))]
    assert kept.count("prod") == 50


def test_without_its_protective_rule_latest_is_lost() -> None:
    rules = [RetentionRule(tags="prod-*", keep_newest=1)]
    [sentence] = broken(year_under([], rules))
    assert sentence.startswith("cannot be pulled any more: the image of latest (rule 1 (tags prod-")
    assert "put the rule that keeps releases before this one, or let it keep more" in sentence
    assert broken(year_under(LATEST, rules)) == []


def test_a_rule_before_that_of_the_releases_takes_them() -> None:
    """What breaks the claim is named, with the fix."""
    rules = [
        RetentionRule(tags="merged-*", expire_after_days=3),
        RetentionRule(tags="prod-*", keep_newest=50),
    ]
    *_, sentence = broken(year_under(LATEST, rules))
    assert sentence.startswith("cannot be pulled any more: the newest 10 releases (rule 2 (tags me")


@pytest.mark.parametrize(
    ("rules", "last"),
    [
        ([RetentionRule(tags="prod-*", keep_newest=1)], "the newest release"),
        ([RetentionRule(tags="prod-*", keep_newest=3)], "the newest 3 releases"),
        ([RetentionRule(tags="dev-*", keep_newest=1)], "the newest 10 releases"),
        ([RetentionRule(tags="p*", expire_after_days=30)], "the image of latest"),
        ([RetentionRule(any=True, keep_newest=5)], "the image of latest"),
    ],
)
def test_as_many_releases_are_claimed_as_the_policy_wants(
    rules: list[RetentionRule], last: str
) -> None:
    """A team that wants to keep three is not told that it loses seven."""
    year = year_under(LATEST, rules)
    assert claimed(year)[-1] == last
    assert broken(year) == []


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (RetentionRule(any=True, keep_newest=5), "(any image) counts images of all kinds together"),
        (RetentionRule(tags="p*", expire_after_days=30), "(tags p*) goes by the age of images"),
        (RetentionRule(tags="prod-*", keep_newest=3), ""),
        (RetentionRule(tags="dev-*", keep_newest=3), ""),
    ],
)
def test_what_is_not_claimed_is_said_with_the_reason(last: RetentionRule, why: str) -> None:
    year = year_under(LATEST, [RetentionRule(untagged=True, expire_after_days=7), last])
    sentence = unclaimed(year, ADR040, LATEST)
    assert sentence.endswith(why)
    assert bool(sentence) == bool(why)


def test_each_movable_tag_is_followed() -> None:
    """The second stays on an image that the policy takes, while the first moves on."""
    events = pushed_and_tagged("1", "2")
    events.insert(2, Event(at=events[0].at, digest="1", tag="stable"))
    movable = ["latest", "stable"]
    rules = rules_in(policy(tagged("latest") | count(1), tagged("prod-*") | count(1)))
    assert "the image of stable" in broken(live(rules, events), movable)[0]
    assert "stable" not in broken(live((), events), movable)[0]


def test_an_image_that_expires_before_it_is_tagged() -> None:
    first, _, second, _ = pushed_and_tagged("1", "2")
    late = Event(at=first.at + timedelta(days=2), digest="1", tag="latest")
    year = live(rules_in(policy(ANY | count(1))), [first, second, late])
    assert broken(year)[0].startswith("cannot be pulled: the image of latest (all expired before")


def test_an_index_without_its_images_cannot_be_pulled() -> None:
    index = image("index", "prod-1", children=("1",))
    events = [Event(at=index.pushed_at, digest="index", pushed=index)]
    events.append(Event(at=index.pushed_at, digest="index", tag="latest"))
    assert "an image that it lists was never pushed" in broken(live((), events))[0]
    part = image("1")
    events.insert(0, Event(at=part.pushed_at, digest="1", pushed=part))
    assert "the image of latest" not in broken(live((), events))[0]


def test_what_is_archived_cannot_be_pulled() -> None:
    events = pushed_and_tagged("1")
    later = image("2", days=4)
    events.append(Event(at=later.pushed_at, digest="2", pushed=later))
    year = live(rules_in({"rules": [rule(1, ANY | older(2), ARCHIVE)]}), events)
    assert [it.digest for it in year.kept.values() if it.archived] == ["1"]
    assert "the image of latest (rule 1 (any image) took it" in broken(year)[0]


def test_an_image_goes_on_its_day_not_at_the_end_of_the_year() -> None:
    """Its last day's tags alone would have kept the first: `latest` was on its way back to it."""
    one, two = image("1", "latest", days=9), image("2", days=6)
    events = [
        Event(at=one.pushed_at, digest="1", pushed=one),
        Event(at=two.pushed_at, digest="2", pushed=two),
        Event(at=two.pushed_at, digest="2", tag="latest"),
        Event(at=two.pushed_at + timedelta(days=3), digest="1", tag="latest"),
    ]
    rules = rules_in(policy(tagged("latest") | count(1), ANY | older(2)))
    year = live(rules, events)
    assert (year.taken_by, list(year.kept)) == ({"1": 2}, ["2"])
    early = [replace(event, at=min(event.at, two.pushed_at)) for event in events]
    assert live(rules, early).taken_by == {}
