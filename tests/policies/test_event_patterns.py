"""Which events are told about, by an evaluator that is held against EventBridge's own."""

from collections.abc import Iterator
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
from container_images.policies.invalid_input import InvalidInputError
from tests.policies.audit_events import (
    CASES,
    CODEBUILD,
    DEPLOY,
    FOREIGN_PIPELINE,
    IAM,
    PIPELINE,
    PROJECT,
    TOO_LARGE,
    assume,
    audit,
    expiry,
    github,
    on,
    put,
    role,
    without,
)
from tests.policies.event_bus import matches, transformed


def home(rules: list[EventRule]) -> list[EventRule]:
    return [rule for rule in rules if rule.message]


def kinds(event: dict[str, Any], watched: Audit | None = None) -> list[str]:
    """The kind of each rule of the repositories' Region that the event meets."""
    rules = home(event_rules("audit", watched or audit()))
    return [it.name.split("-")[1] for it in rules if matches(it.pattern, event)]


def test_an_event_makes_its_alert_or_none() -> None:
    rules = home(event_rules("audit", audit()))
    made = {
        case: [it.name.split("-")[1] for it in rules if matches(it.pattern, event)]
        for case, (event, _) in CASES.items()
    }
    assert made == {case: [alert] if alert else [] for case, (_, alert) in CASES.items()}
    # A pattern that nothing met, or everything, would pass for no reason.
    assert {alert for alerts in made.values() for alert in alerts} == {
        rule.name.split("-")[1] for rule in rules
    }


@pytest.mark.parametrize(
    ("broken", "case"),
    [
        ({"pipeline_roles": [DEPLOY]}, "by the pipeline"),
        ({"pipeline_roles": [PIPELINE, f"{IAM}role/team/developer"]}, "a move by another role"),
        ({"repositories": ["other"]}, "a move by another role"),
        ({"repositories": ["other"]}, "an update of the guard"),
        ({"movable_tags": ["prod-1"]}, "another movable tag expires"),
        ({"administrator_roles": []}, "a policy put by an administrator"),
        ({"created_role": DEPLOY}, "a developer"),
        ({"created_role": ""}, "a developer"),
    ],
)
def test_an_audit_of_something_else_tells_otherwise(broken: dict[str, Any], case: str) -> None:
    event, kind = CASES[case]
    assert kinds(event, audit(**broken)) != ([kind] if kind else [])


class TestTrust:
    @pytest.mark.parametrize(
        ("left_out", "who"),
        [
            ("codebuild_projects", CODEBUILD),
            ("github_subjects", github()),
            ("roles", role(f"{IAM}role/ci/start")),
            ("roles", {"type": "AWSAccount", "accountId": "777788889999"}),
        ],
    )
    def test_whom_the_settings_do_not_trust_is_told(self, left_out: str, who: Any) -> None:
        event, trust = assume(who), audit()["trust"]
        assert kinds(event) == []
        assert kinds(event, audit(trust={**trust, left_out: []})) == ["assumed"]

    def test_nothing_is_told_of_a_role_whose_trust_is_not_the_stacks(self) -> None:
        rules = event_rules("audit", audit(created_role=""))
        assert not [it.name for it in rules if "assumed" in it.name]

    def test_a_role_that_nobody_is_trusted_with_is_assumed_by_nobody(self) -> None:
        trust = audit()["trust"] | {"codebuild_projects": [], "github_subjects": [], "roles": []}
        assert kinds(assume(CODEBUILD), audit(trust=trust)) == ["assumed"]


def test_the_rules_names_and_regions() -> None:
    """The names are part of every URN."""
    here = ("tags-1", "guard-1", "expiry-1", "unnamed", "registry", "roles-1", "roles-2")
    rules = event_rules("audit", audit())
    assert {(it.name, it.region) for it in rules if it.message} == {
        (f"audit-{kind}", "eu-west-2") for kind in (*here, "builds-1", "assumed")
    }
    assert {(it.name, it.region) for it in rules if not it.message} == {
        (f"audit-eu-west-2-{kind}", "us-east-1") for kind in ("roles-1", "roles-2", "assumed")
    }


def test_what_is_forwarded_meets_the_same_pattern_where_it_arrives() -> None:
    rules = {it.name: it for it in event_rules("audit", audit())}
    for kind in ("roles-1", "roles-2", "assumed"):
        forwarded, at_home = rules[f"audit-eu-west-2-{kind}"], rules[f"audit-{kind}"]
        assert forwarded.pattern == at_home.pattern
        assert forwarded.read_only == at_home.read_only


@pytest.mark.parametrize(("partition", "region"), IAM_REGIONS.items())
def test_nothing_is_forwarded_in_the_region_of_iam(partition: str, region: str) -> None:
    rules = event_rules("audit", audit(partition=partition, region=region))
    assert {it.region for it in rules} == {region}
    assert all(it.message for it in rules)


def test_read_only_calls_reach_the_rules_that_are_about_them() -> None:
    asked = {it.name for it in home(event_rules("audit", audit())) if it.read_only}
    assert asked == {"audit-expiry-1", "audit-assumed"}
    for event, kind in CASES.values():
        if kind and event["detail"]["readOnly"]:
            assert {f"audit-{kind}", f"audit-{kind}-1"} & asked


def test_a_project_of_another_region_has_no_rule_here() -> None:
    trust = audit()["trust"] | {"codebuild_projects": [PROJECT.replace("eu-west-2", "eu-west-1")]}
    assert not [it for it in event_rules("audit", audit(trust=trust)) if "builds" in it.name]


class TestTheLimit:
    @pytest.mark.parametrize(("count", "rules"), [(1, 12), (5, 12), (100, 27), (500, 90)])
    def test_of_a_pattern_holds_at_any_number_of_repositories(self, count: int, rules: int) -> None:
        """The figures are those of docs/audit.md."""
        names = [f"forms-application-{number:03}-deploy" for number in range(count)]
        made = event_rules("audit", audit(repositories=names, pipeline_roles=[PIPELINE]))
        assert len(made) == rules
        assert all(len(to_json(it.pattern)) <= MAX_EVENT_PATTERN for it in made)
        assert len({it.name for it in made}) == len(made)
        for event in (put(role(DEPLOY), name=names[-1]), expiry(names[0], ["latest"])):
            assert len([it for it in made if matches(it.pattern, event)]) == 1
        assert made == event_rules(
            "audit", audit(repositories=names[::-1], pipeline_roles=[PIPELINE])
        )

    def test_the_longest_names_fit(self) -> None:
        names = [f"{number}{'a' * 255}" for number in range(3)]
        rules = event_rules("audit", audit(repositories=names))
        assert all(len(to_json(it.pattern)) <= MAX_EVENT_PATTERN for it in rules)

    def test_roles_that_no_pattern_can_name_are_refused(self) -> None:
        roles = [f"{IAM}role/pipeline/{'a' * 50}-{number:02}" for number in range(20)]
        with pytest.raises(InvalidInputError, match="at most 2,048 characters") as refused:
            event_rules("audit", audit(pipeline_roles=roles))
        assert "name fewer of them" in str(refused.value)


class TestMessages:
    @staticmethod
    def sentences(event: dict[str, Any]) -> Iterator[str]:
        for rule in home(event_rules("audit", audit())):
            if rule.message and matches(rule.pattern, event):
                yield transformed(rule.message.paths, rule.message.template, event)

    def test_who_did_what_to_which_tag_when_from_where_and_what_next(self) -> None:
        [said] = self.sentences(CASES["denied"][0])
        for part in (
            "or an attempt: PutImage on tag [latest]",
            "of repository [app]",
            "by [arn:aws:sts::111122223333:assumed-role/developer/mary] (AssumedRole,",
            "at 2026-11-24T10:00:00Z from [203.0.113.12], error code [AccessDenied]",
            "container-images history arn:aws:ecr:eu-west-2:111122223333:repository/app.",
        ):
            assert part in said

    def test_one_by_a_service_names_it(self) -> None:
        [said] = self.sentences(CASES["by a service"][0])
        assert "by [] (AWSService, principal [], account [], service [imagebuilder" in said
        assert "from [imagebuilder.amazonaws.com], error code []" in said

    def test_what_is_not_recorded_leaves_the_rest(self) -> None:
        [said] = self.sentences(put(role(DEPLOY), **TOO_LARGE))
        assert "PutImage on tag [] images [] of repository [] (arn:aws:ecr:" in said
        assert "history arn:aws:ecr:eu-west-2:111122223333:repository/app." in said

    def test_expiry(self) -> None:
        [said] = self.sentences(expiry("app", ["prod-2", "latest"], ["prod-1"]))
        assert "tags [[prod-2,latest],[prod-1]] of images [sha256:aaa" in said
        assert "container-images rollback app" in said

    @pytest.mark.parametrize("rule", home(event_rules("audit", audit())), ids=lambda it: it.name)
    def test_are_within_eventbridges_limits(self, rule: EventRule) -> None:
        """TransformerPaths and TransformerInput of the API."""
        assert rule.message
        assert len(rule.message.paths) <= 100
        assert len(rule.message.template) <= 8192
        assert all(len(path) <= 256 for path in rule.message.paths.values())
        used = {name for name in rule.message.paths if f"<{name}>" in rule.message.template}
        assert used == rule.message.paths.keys()


def test_one_element_of_a_list_has_to_meet_the_whole_of_it() -> None:
    """CloudTrail lists several resources, and one of them is enough."""
    event = put(role(DEPLOY), resources=[*on("other"), *on("app")])
    assert kinds(event) == ["tags"]
    assert kinds(without(event, "resources")) == ["tags"]
    assert FOREIGN_PIPELINE in audit()["pipeline_roles"]
