"""A year of one repository: what happens in it, and what a policy leaves."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from container_images.lifecycle.document import rules_in
from container_images.policies.retention import RetentionRule, lifecycle_policy
from container_images.policies.tag_convention import ADR040, TagConvention
from container_images.rehearsal.year import Event, history, live, outcome
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
START = HISTORY[0].at
LATE = [event for event in HISTORY if event.at > HISTORY[-1].at - timedelta(days=90)]
"""Months that end with a bad release and the way back: enough for the claims."""
PULLED = "can be pulled: the image of latest, the image that latest was on before, "
LOST = "cannot be pulled any more: "


def under(
    rules: Sequence[RetentionRule], protected: Sequence[str] = LATEST, events: Any = LATE
) -> tuple[bool, str]:
    """The outcome of some months under a stack's rules."""
    return outcome(rules_in(lifecycle_policy(protected, rules)), events, ADR040, LATEST)


def events(*happened: tuple[float, str, str]) -> list[Event]:
    return [Event(START + timedelta(days=day), digest, tag) for day, digest, tag in happened]


# --- The history ----------------------------------------------------------------------------------


def test_the_history_follows_the_convention_and_the_last_release_was_bad() -> None:
    assert history(ADR040, LATEST) == HISTORY
    assert sorted(HISTORY, key=lambda event: event.at) == HISTORY
    stages = [tag.stage for tag in ADR040.unique_tags(event.tag for event in HISTORY)]
    number = {stage: stages.count(stage) for stage in ADR040.stages}
    assert 0 < number["prod"] < number["stg"] < number["merged"]
    assert min(number["dev"], number["pr"]) > 0
    kept, _ = live((), LATE)
    tags = [[tag.partition("-")[0] for tag in image.tags] for image in kept.values()]
    assert all("prod" not in stages or {"merged", "stg"} < {*stages} for stages in tags)
    latest = [stages for stages in tags if "latest" in stages]
    assert latest == [["merged", "stg", "prod", "latest"]]
    places = [event.digest for event in HISTORY if event.tag == "latest"]
    assert places[-1] == places[-3]


@pytest.mark.parametrize("template", ["v{semver}", "{date}.{number}", "{sha}"])
def test_a_team_of_one_stage_has_its_own_tags(template: str) -> None:
    convention, movable = TagConvention([{"stage": "release", "tag": template}]), ["stable"]
    unique = [event.tag for event in history(convention, movable) if event.tag != "stable"]
    assert len(unique) == len(set(unique)), "a unique tag is given once"
    assert all(map(convention.read, unique))


# --- The claims -----------------------------------------------------------------------------------


def test_the_production_stacks_retention_keeps_what_it_should() -> None:
    kept, _ = live(rules_in(lifecycle_policy(LATEST, RETENTION)), HISTORY)
    pushed = len({event.digest for event in HISTORY})
    assert len(kept) < pushed / 4
    text = f"{len(kept)} of {pushed:,} images are kept; {PULLED}the newest 10 releases"
    assert under(RETENTION, events=HISTORY) == (True, text)
    stages = [tag.stage for image in kept.values() if (tag := ADR040.unique_tag(image.tags))]
    assert stages.count("prod") == 50


def test_without_its_protective_rule_latest_is_lost() -> None:
    rules = [RetentionRule(tags="prod-*", keep_newest=1)]
    ok, text = under(rules, protected=[])
    assert not ok
    assert f"{LOST}the image of latest (rule 1 (tags prod-*) took it; put the rule that " in text
    assert under(rules)[0]


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
    ok, text = under(rules)
    assert ok
    assert text.partition("; can be pulled: ")[2].split(", ")[-1] == last


def test_each_movable_tag_is_followed() -> None:
    """The second stays on an image that the policy takes, while the first moves on."""
    first = [(0, "1", tag) for tag in ("prod-1", "latest", "stable")]
    happened = events(*first, (1, "2", "prod-2"), (1, "2", "latest"))
    rules = rules_in(policy(tagged("latest") | count(1), tagged("prod-*") | count(1)))
    movable = ["latest", "stable"]
    assert f"{LOST}the image of stable" in outcome(rules, happened, ADR040, movable)[1]
    assert outcome((), happened, ADR040, movable)[0]


@pytest.mark.parametrize(
    ("happened", "rules", "taker"),
    [
        pytest.param(
            events((0, "1", "merged-1"), (1, "2", "merged-2"), (3, "1", "latest")),
            policy(ANY | count(1)),
            "rule 1 (any image)",
            id="before it is tagged",
        ),
        pytest.param(
            events((0, "1", "prod-1"), (0, "1", "latest"), (5, "2", "dev-1")),
            {"rules": [rule(1, ANY | older(2), ARCHIVE)]},
            "rule 1 (any image)",
            id="into the archive",
        ),
        pytest.param(
            # Its last day's tags alone would have kept it.
            events((0, "1", "latest"), (3, "2", "prod-2"), (3, "2", "latest"), (6, "1", "latest")),
            policy(tagged("latest") | count(1), ANY | older(2)),
            "rule 2 (any image)",
            id="on its day, not at the end of the year",
        ),
    ],
)
def test_an_image_is_lost(happened: list[Event], rules: Any, taker: str) -> None:
    _, text = outcome(rules_in(rules), happened, ADR040, LATEST)
    assert f"the image of latest ({taker} took it" in text
    kept, _ = live(rules_in(rules), happened)
    assert "1" not in kept or kept["1"].archived


def test_what_is_in_the_archive_is_kept_and_counted() -> None:
    rules = [
        RetentionRule(tags="prod-*", keep_newest=50),
        RetentionRule(any=True, archive_after_days_unpulled=30),
        RetentionRule(archived=True, expire_after_days=90),
    ]
    kept, _ = live(rules_in(lifecycle_policy(LATEST, rules)), LATE)
    archived = sum(image.archived for image in kept.values())
    assert archived
    ok, text = under(rules)
    assert ok
    assert f"images are kept, {archived:,} of them in the archive; " in text
