"""Which events make an alert, by an evaluator that is held against EventBridge's own."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from container_images.policies.document import to_json
from container_images.policies.event_patterns import (
    IAM_REGIONS,
    MAX_EVENT_PATTERN,
    Audit,
    EventRule,
    event_rules,
)
from tests.policies.audit_events import (
    CASES,
    DEPLOY,
    IAM,
    PIPELINE,
    UNRECORDED,
    audit,
    expiry,
    put,
    role,
)
from tests.policies.event_bus import matches, transformed

TRUST = audit()["trust"]
NOBODY: dict[str, Any] = {
    key: [] for key in ("codebuild_projects", "github_subjects", "roles", "oidc")
}


def home(audit: Audit) -> list[EventRule]:
    region = audit["access"]["region"]
    return [rule for rule in event_rules("audit", audit) if rule.region == region]


def kind_of(rule: EventRule) -> str:
    return rule.name.split("-")[1]


def kinds(event: dict[str, Any], watched: Audit) -> list[str]:
    """The kind of each rule of the repositories' Region that the event meets."""
    return [kind_of(rule) for rule in home(watched) if matches(rule.pattern, event)]


def test_an_event_makes_its_alert_or_none() -> None:
    rules, all_met = home(audit()), set()
    for case, (event, alert) in CASES.items():
        met = [rule for rule in rules if matches(rule.pattern, event)]
        assert [*map(kind_of, met)] == ([alert] if alert else []), case
        reads = event["detail"].get("readOnly", False)
        assert all((rule.state != "ENABLED") is reads for rule in met), case
        all_met |= {rule.name for rule in met}
    # A pattern that nothing met would pass for no reason.
    assert all_met == {rule.name for rule in rules}


@pytest.mark.parametrize(
    ("weakened", "case"),
    [
        ({"pipeline_roles": [DEPLOY]}, "by the pipeline"),
        ({"pipeline_roles": [PIPELINE, f"{IAM}role/team/developer"]}, "a move by another role"),
        ({"repositories": ["other"]}, "a move by another role"),
        ({"repositories": ["other"]}, "an update of the guard"),
        ({"movable_tags": ["prod-1"]}, "another movable tag expires"),
        ({"administrator_roles": []}, "a policy put by an administrator"),
        ({"created_role": DEPLOY}, "a developer"),
        ({"created_role": ""}, "a developer"),
        # Whom the settings do not trust makes an alert.
        ({"trust": {**TRUST, "codebuild_projects": []}}, "a build"),
        ({"trust": {**TRUST, "github_subjects": []}}, "a job"),
        ({"trust": {**TRUST, "roles": []}}, "a trusted role"),
        ({"trust": {**TRUST, "roles": []}}, "a trusted role of another account"),
        ({"trust": {**TRUST, "oidc": []}}, "a GitLab job"),
        ({"trust": {**TRUST, **NOBODY}}, "a build"),
    ],
)
def test_an_audit_of_something_else_alerts_otherwise(weakened: dict[str, Any], case: str) -> None:
    event, kind = CASES[case]
    usual = [kind] if kind else []
    assert kinds(event, audit()) == usual
    others = kinds(event, audit(**weakened))
    assert others != usual
    assert others == ["assumed"] or "trust" not in weakened


def test_the_rules_names_and_regions() -> None:
    """The names are part of every URN. What is forwarded meets the same pattern at home."""
    here = ("tags-1", "guard-1", "expiry-1", "unnamed", "registry", "builds-1")
    both = ("roles-1", "roles-2", "assumed")
    rules = {rule.name: rule for rule in event_rules("audit", audit())}
    regions = {f"audit-{kind}": "eu-west-2" for kind in (*here, *both)}
    regions |= {f"audit-eu-west-2-{kind}": "us-east-1" for kind in both}
    assert {name: rule.region for name, rule in rules.items()} == regions
    for kind in both:
        there, at_home = rules[f"audit-eu-west-2-{kind}"], rules[f"audit-{kind}"]
        assert (there.pattern, there.state) == (at_home.pattern, at_home.state)


@pytest.mark.parametrize(("partition", "region"), IAM_REGIONS.items())
def test_nothing_is_forwarded_in_the_region_of_iam(partition: str, region: str) -> None:
    rules = event_rules("audit", audit(partition=partition, region=region))
    assert {rule.region for rule in rules} == {region}
    # The trusted project is of another Region, and a rule about it would meet nothing.
    assert not [rule for rule in rules if "builds" in rule.name]


@pytest.mark.parametrize(("count", "number"), [(5, 12), (100, 27), (500, 90)])
def test_patterns_stay_short_at_any_number_of_repositories(count: int, number: int) -> None:
    """The figures are those of docs/audit.md."""
    names = [f"forms-application-{index:03}-deploy" for index in range(count)]
    rules = event_rules("audit", audit(repositories=names, pipeline_roles=[PIPELINE]))
    assert len({rule.name for rule in rules}) == len(rules) == number
    assert all(len(to_json(rule.pattern)) <= MAX_EVENT_PATTERN for rule in rules)
    for event in (put(role(DEPLOY), names[-1]), expiry(names[0], ["latest"])):
        assert len([rule for rule in rules if matches(rule.pattern, event)]) == 1
    reversed_names = audit(repositories=names[::-1], pipeline_roles=[PIPELINE])
    assert rules == event_rules("audit", reversed_names)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            CASES["denied"][0],
            "by [arn:aws:sts::111122223333:assumed-role/developer/mary] (type [AssumedRole], princ",
        ),
        (CASES["denied"][0], "at 2026-11-24T10:00:00Z from [203.0.113.12], error code [AccessDen"),
        (
            CASES["denied"][0],
            "PutImage on tag [latest] images [] of repository [app] (arn:aws:ecr:eu-west-2:1",
        ),
        (CASES["by a service"][0], "service [imagebuilder.amazonaws.com]) at"),
        (put(role(DEPLOY), **UNRECORDED), "on tag [] images [] of repository [] (arn:aws:ecr:eu"),
        (
            expiry("app", ["prod-2", "latest"], ["prod-1"]),
            "tags [[prod-2,latest],[prod-1]] of images [sha256:aaa,sha256:aaa] of [app]",
        ),
    ],
)
def test_an_alert_says_who_did_what_when_from_where_and_what_next(
    event: dict[str, Any], text: str
) -> None:
    [alert] = [rule for rule in home(audit()) if matches(rule.pattern, event)]
    paths, template = alert.input_transformer.values()
    assert len(paths) <= 100  # TransformerPaths of the API, and TransformerInput
    assert len(template) <= 8192
    sent = transformed(alert.input_transformer, event)
    assert text in sent
    assert f"docs/runbook.md#an-alert-came ({kind_of(alert)})" in sent


FOLDER = Path(__file__).parent
TABLE: dict[str, Any] = json.loads((FOLDER / "event_ruler.json").read_text())
CLASSPATH = os.environ.get("EVENT_RULER_CLASSPATH", "")


def verdicts(patterns: list[Any], events: list[Any]) -> list[list[int]]:
    """The numbers of the events that meet each pattern."""
    return [
        [number for number, event in enumerate(events) if matches(pattern, event)]
        for pattern in patterns
    ]


def test_the_verdicts_are_those_of_event_ruler() -> None:
    assert verdicts(TABLE["patterns"], TABLE["events"]) == TABLE["matched"]


@pytest.mark.skipif(
    not CLASSPATH or not shutil.which("javac"), reason="CONTRIBUTING.md says how to get event-ruler"
)
def test_event_ruler_agrees_on_the_table_and_on_the_audit(tmp_path: Path) -> None:
    java = ["-cp", f"{CLASSPATH}:{tmp_path}"]
    subprocess.run(["javac", *java, "-d", tmp_path, FOLDER / "EventRuler.java"], check=True)  # noqa: S607
    patterns = [rule.pattern for rule in event_rules("audit", audit())]
    events = [event for event, _ in CASES.values()]
    for table in (TABLE, {"patterns": patterns, "events": events}):
        done = subprocess.run(
            ["java", *java, "EventRuler"],  # noqa: S607 whichever Java there is
            input=json.dumps(table),
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout) == verdicts(table["patterns"], table["events"])
