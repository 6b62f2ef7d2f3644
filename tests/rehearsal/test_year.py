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
    kept,
    live,
)
from tests.lifecycle.documents import ANY, ARCHIVE, count, older, policy, rule, tagged

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


def late(events: Sequence[Event]) -> list[Event]:
    """The last three months, which end with a bad release and the way back."""
    return [event for event in events if event.at > events[-1].at - timedelta(days=90)]


LATE = late(HISTORY)
"""Enough for the claims."""


def year_under(movable: Sequence[str], rules: Sequence[RetentionRule]) -> Year:
    return live(rules_in(lifecycle_policy(movable, rules)), LATE)


def broken(year: Year, movable: Sequence[str] = LATEST) -> list[str]:
    return broken_claims(year, ADR040, movable)


def claimed(year: Year) -> list[str]:
    return [claim for claim, _ in claims(year, ADR040, LATEST)]


START = HISTORY[0].at


def at(day: float, digest: str, tag: str, *, pushed: bool = False) -> Event:
    return Event(at=START + timedelta(days=day), digest=digest, tag=tag, pushed=pushed)


# --- The history ----------------------------------------------------------------------------------


def test_the_history_is_always_the_same_and_follows_the_convention() -> None:
    assert history(ADR040, LATEST) == HISTORY
    assert sorted(HISTORY, key=lambda event: event.at) == HISTORY
    stages = [tag.stage for tag in ADR040.unique_tags(event.tag for event in HISTORY)]
    number = {stage: stages.count(stage) for stage in ADR040.stages}
    assert 0 < number["prod"] < number["stg"] < number["merged"]
    assert min(number["dev"], number["pr"]) > 0


def test_releases_came_through_staging_and_the_last_one_was_bad() -> None:
    year = live((), LATE)
    assert len(year.kept) == len(year.pushed), "without a policy"
    tags = [[tag.partition("-")[0] for tag in it.tags] for it in year.pushed.values()]
    assert all("prod" not in it or {"merged", "stg"} < {*it} for it in tags)
    assert [it for it in tags if "latest" in it] == [["merged", "stg", "prod", "latest"]]
    places = year.places["latest"]
    assert places[-1] == places[-3]


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
    unique = [event.tag for event in events if event.tag not in movable]
    assert len(unique) == len(set(unique)), "a unique tag is given once"
    read = {tag.stage for tag in map(convention.read, unique) if tag}
    assert read == set(convention.stages)
    rules = [
        RetentionRule(untagged=True, expire_after_days=7),
        RetentionRule(any=True, keep_newest=400),
    ]
    year = live(rules_in(lifecycle_policy(movable, rules)), late(events))
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


def test_each_movable_tag_is_followed() -> None:
    """The second stays on an image that the policy takes, while the first moves on."""
    events = [
        at(0, "1", "prod-1", pushed=True),
        at(0, "1", "latest"),
        at(0, "1", "stable"),
        at(1, "2", "prod-2", pushed=True),
        at(1, "2", "latest"),
    ]
    movable = ["latest", "stable"]
    rules = rules_in(policy(tagged("latest") | count(1), tagged("prod-*") | count(1)))
    assert "the image of stable" in broken(live(rules, events), movable)[0]
    assert "stable" not in "".join(broken(live((), events), movable))


def test_an_image_that_expires_before_it_is_tagged() -> None:
    events = [
        at(0, "1", "merged-1", pushed=True),
        at(1, "2", "merged-2", pushed=True),
        at(3, "1", "latest"),
    ]
    year = live(rules_in(policy(ANY | count(1))), events)
    assert broken(year)[0].startswith("cannot be pulled: the image of latest (it expired before")


def test_what_is_archived_cannot_be_pulled() -> None:
    events = [
        at(0, "1", "prod-1", pushed=True),
        at(0, "1", "latest"),
        at(5, "2", "dev-1", pushed=True),
    ]
    year = live(rules_in({"rules": [rule(1, ANY | older(2), ARCHIVE)]}), events)
    assert [it.digest for it in year.kept.values() if it.archived] == ["1"]
    assert "the image of latest (rule 1 (any image) took it" in broken(year)[0]


def test_an_image_goes_on_its_day_not_at_the_end_of_the_year() -> None:
    """Its last day's tags alone would have kept the first: `latest` was on its way back to it."""
    events = [
        at(0, "1", "latest", pushed=True),
        at(3, "2", "prod-2", pushed=True),
        at(3, "2", "latest"),
        at(6, "1", "latest"),
    ]
    rules = rules_in(policy(tagged("latest") | count(1), ANY | older(2)))
    year = live(rules, events)
    assert year.taken_by["1"] == 2
    assert "latest" in year.kept["2"].tags
    early = [replace(event, at=min(event.at, events[1].at)) for event in events]
    assert live(rules, early).taken_by == {}


def test_what_is_in_the_archive_is_kept_and_counted() -> None:
    rules = [
        RetentionRule(tags="prod-*", keep_newest=50),
        RetentionRule(any=True, archive_after_days_unpulled=30),
        RetentionRule(archived=True, expire_after_days=90),
    ]
    year = year_under(LATEST, rules)
    archived = [image for image in year.kept.values() if image.archived]
    assert archived
    assert kept(year) == (
        f"{len(year.kept):,} of {len(year.pushed):,} images are kept, {len(archived):,} of them in "
        "the archive"
    )
    assert broken(year) == []
    assert "archive" not in kept(year_under(LATEST, RETENTION))
