"""Teams with other tags than ADR040's: their stacks are rehearsed to the end, with all acts."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from pulumi import RunError

from container_images.lifecycle.document import rules_in
from container_images.policies.patterns import tag_glob
from container_images.policies.retention import RetentionRule, lifecycle_policy
from container_images.policies.tag_convention import ADR040, Stage, TagConvention
from container_images.rehearsal.tags import convention_of, way_of, written
from container_images.rehearsal.year import figures, history, live, picture
from container_images.settings.stack_file import StackFile
from tests.conftest import ROOT
from tests.rehearsal.conftest import Told, told
from tests.rehearsal.test_acts import ALL, settings_of, with_setting

EXAMPLES = sorted((ROOT / "examples" / "stacks").glob("Pulumi.*.yaml"))
NAMES = [it.name.split(".")[1] for it in EXAMPLES]


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    """The rehearsal of each example, once."""
    project = tmp_path_factory.mktemp("examples")
    for file in (ROOT / "Pulumi.yaml", ROOT / "__main__.py", *EXAMPLES):
        shutil.copy(file, project)
    return {name: told(project, name) for name in NAMES}


def test_the_examples_are_of_three_teams() -> None:
    assert NAMES == ["hashes", "semver", "two-tags"]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_rehearsed_to_the_end_with_all_acts(
    examples: dict[str, Told], name: str
) -> None:
    it = examples[name]
    assert it.rehearsal.ok, it.text
    assert [act.act for act in it.rehearsal.acts] == [*ALL, "verify", "adopt"]
    unplayed = [act.act for act in it.rehearsal.acts if "not played" in act.detail]
    assert (
        unplayed
        == {
            "hashes": ["overwrite-other-tag"],
            "semver": [],
            "two-tags": ["refuse-overwriting"],
        }[name]
    )
    assert "latest can be pulled" in [claim["claim"] for claim in it.json["year"]["claims"]]
    assert len(it.json["year"]["notClaimed"]) == (name == "hashes")
    assert ("note    it is not claimed that the image before latest" in it.text) is (
        name == "hashes"
    )
    assert ("ok      stable can be pulled" in it.text) is (name != "hashes")
    assert max(map(len, it.text.splitlines())) <= 80


def test_what_is_shown_are_the_teams_own_tags(examples: dict[str, Told]) -> None:
    semver = {it.act: it.detail for it in examples["semver"].rehearsal.acts}
    assert semver["promote"] == "the second build is v1.2.0; latest and stable are on it"
    assert semver["resolve"] == "latest and stable are v1.1.0"
    for stage in ("merged", "stg", "prod"):
        assert stage not in examples["semver"].text
        assert f"{stage}-" not in examples["hashes"].text
    assert list(examples["semver"].json["year"]["stages"]) == ["release", "untagged"]
    assert list(examples["hashes"].json["year"]["stages"]) == ["build", "untagged"]
    assert list(examples["two-tags"].json["year"]["stages"]) == [
        *("prod", "stg", "merged", "dev", "pr"),
        "untagged",
    ]


# --- Which convention -----------------------------------------------------------------------------


def of(stack: StackFile, entry: object) -> TagConvention:
    changed = with_setting(stack, "repositories", {"app": entry})
    return convention_of(settings_of(changed), "app")


def templates(convention: TagConvention) -> list[str]:
    return [it.template for it in convention.stages.values()]


@pytest.mark.parametrize(
    ("patterns", "suggested"),
    [
        (["v*"], ["v{semver}"]),
        (["release-v*"], ["release-v{semver}"]),
        (["build-*", "ship-*"], ["build-{sha}-{epoch}", "ship-{sha}-{epoch}"]),
        (["*.*"], ["{sha}.{epoch}"]),
        (["v*.*"], ["v{sha}.{epoch}"]),
        (["x-*", "x-a-*"], ["x-{sha}-{epoch}", "x-a-{sha}-{epoch}"]),
        (["x*", "x-1*"], ["x{sha}-{epoch}", "x-1{sha}-{epoch}"]),
    ],
)
def test_patterns_suggest_tags_that_they_match(
    prod: StackFile, patterns: list[str], suggested: list[str]
) -> None:
    entry = {"tagMutability": "MUTABLE_WITH_EXCLUSION", "immutableTags": patterns, "retention": []}
    convention = of(prod, entry)
    assert templates(convention) == suggested
    for stage in convention.stages.values():
        tag = written(stage, "a" * 40, history()[0].at, 7)
        assert any(tag_glob(it, tag) for it in patterns)


def test_where_any_pattern_fits_the_releases_of_adr040_so_does_its_convention(
    prod: StackFile,
) -> None:
    assert of(prod, {}) is ADR040
    mode = {"tagMutability": "MUTABLE_WITH_EXCLUSION", "retention": []}
    assert of(prod, mode | {"immutableTags": ["p*"]}) is ADR040
    assert of(prod, mode | {"immutableTags": ["*-*"]}) is ADR040
    assert of(prod, mode | {"immutableTags": ["fixed"]}) is ADR040, "it suggests no tags of builds"
    assert of(prod, {"tagMutability": "IMMUTABLE_WITH_EXCLUSION", "retention": []}) is ADR040


def test_without_immutable_patterns_those_of_the_retention_suggest_the_tags(
    prod: StackFile,
) -> None:
    rules = [{"tags": "v*", "keepNewest": 20}, {"untagged": True, "expireAfterDays": 3}]
    entry = {"tagMutability": "IMMUTABLE_WITH_EXCLUSION", "retention": rules}
    assert templates(of(prod, entry)) == ["v{semver}"]


def test_the_stacks_own_convention_counts_more_than_any_pattern(prod: StackFile) -> None:
    own = [{"stage": "build", "tag": "merged-{sha}"}]
    assert templates(of(with_setting(prod, "tagConvention", own), {})) == ["merged-{sha}"]


def test_a_release_goes_through_the_last_three_stages() -> None:
    assert [it.name for it in way_of(ADR040)] == ["merged", "stg", "prod"]


# --- The year -------------------------------------------------------------------------------------

CONVENTIONS = [
    [Stage(name="release", template="v{semver}")],
    [Stage(name="build", template="{sha}")],
    [Stage(name="build", template="{date}.{number}")],
    [Stage(name="candidate", template="rc-{semver}"), Stage(name="release", template="v{semver}")],
    [
        *(Stage(name=it, template=it + "-{number}") for it in ("pull", "try", "play")),
        *(Stage(name=it, template=it + "-{sha}-{epoch}") for it in ("build", "test", "ship")),
    ],
]


@pytest.mark.parametrize("stages", CONVENTIONS, ids=lambda it: it[-1].template)
def test_a_year_is_lived_with_the_teams_own_tags(stages: Sequence[Stage]) -> None:
    convention = TagConvention(stages)
    events = history(convention, ["stable", "latest"])
    given: list[str] = []
    for event in events:
        given += event.pushed.tags if event.pushed else [event.tag or ""]
    unique = [it for it in given if it not in {"stable", "latest"}]
    assert len(unique) == len(set(unique)), "a unique tag is given once"
    found = [convention.read(it) for it in unique]
    assert {it and it.stage for it in found} == set(convention.stages)
    assert given.count("stable") == given.count("latest") > 100
    rules = rules_in(
        lifecycle_policy(
            ["stable", "latest"],
            [
                RetentionRule(untagged=True, expire_after_days=7),
                RetentionRule(any=True, keep_newest=400),
            ],
        )
    )
    year = live(rules, events, convention, ["stable", "latest"])
    told = figures(year)
    assert [it for it in told["claims"] if not it["holds"]] == []
    assert told["claims"][0]["claim"] == "stable can be pulled"
    assert told["claims"][-1]["claim"] == "latest can be pulled"
    assert all(len(line) <= 80 and line.isascii() for line in picture(year))
    [carrier] = [it for it in year.kept.values() if "stable" in it.tags]
    assert "latest" in carrier.tags
    assert carrier.digest == year.latest[-1] == year.latest[-3]


def test_without_a_protective_rule_the_loss_of_another_movable_tag_is_seen() -> None:
    convention = TagConvention(CONVENTIONS[0])
    rules = rules_in(lifecycle_policy([], [RetentionRule(tags="v*", keep_newest=1)]))
    year = live(rules, history(convention, ["stable"]), convention, ["stable"])
    assert {"claim": "stable can be pulled", "holds": False} in figures(year)["claims"]


def test_an_example_that_leaves_its_tags_open_is_refused(tmp_path: Path) -> None:
    text = (ROOT / "examples/stacks/Pulumi.semver.yaml").read_text().replace("[v*]", "[v2*]")
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "Pulumi.open.yaml").write_text(text)
    with pytest.raises(RunError, match=r"immutableTags do not match all of its tags: v0\.0\.0"):
        told(tmp_path, "open")
