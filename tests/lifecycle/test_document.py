"""What the simulation cannot read in a lifecycle policy."""

import json
from typing import Any

import pytest
from hypothesis import given

from container_images.lifecycle.document import problems_in, read_policy, rules_in
from container_images.policies.invalid_input import InvalidInputError, key_at
from tests.lifecycle.documents import (
    ANY,
    ARCHIVE,
    IN_ARCHIVE,
    UNTAGGED,
    count,
    older,
    policy,
    prefixed,
    rule,
    tagged,
)
from tests.lifecycle.strategies import policies

VALID = rule(1, ANY | count(1))


@given(policies())
def test_a_document_that_ecr_accepts_is_read(document: dict[str, Any]) -> None:
    rules = rules_in(document)
    assert [it.priority for it in rules] == sorted(it["rulePriority"] for it in document["rules"])


def test_a_rule_has_what_the_simulation_asks_for() -> None:
    first, second, third = rules_in(
        {
            "rules": [
                rule(3, UNTAGGED | IN_ARCHIVE | older(90, "sinceImageTransitioned")),
                rule(2, tagged("prod-*", "latest") | older(9, "sinceImagePulled"), ARCHIVE),
                {**rule(1, prefixed("pr-") | count(4)), "description": "of pull requests"},
            ]
        }
    )
    assert (str(first), first.tags, first.number) == ("rule 1 (tags pr-*)", (("pr-", ""),), 4)
    assert str(second) == "rule 2 (tags prod-* and latest)"
    assert (second.action, second.count_type) == ("archive", "sinceImagePulled")
    assert str(third) == "rule 3 (untagged images, archived)"
    assert str(rules_in(policy(ANY | count(1)))[0]) == "rule 1 (any image)"


def changed(part: str, key: str, value: Any, whole: dict[str, Any] = VALID) -> dict[str, Any]:
    return {**whole, part: {**whole[part], key: value}}


def without(part: str, key: str, whole: dict[str, Any] = VALID) -> dict[str, Any]:
    return {**whole, part: {name: it for name, it in whole[part].items() if name != key}}


NO_RULE = "a rule is an object with rulePriority, selection and action"
LISTS = "tagged has either a tagPatternList or a tagPrefixList; untagged and any have none"
NUMBER = "this is a whole number from 1"


@pytest.mark.parametrize(
    ("written", "where", "says"),
    [
        (3, "", NO_RULE),
        ({}, "", NO_RULE),
        ({**VALID, "selection": []}, "", NO_RULE),
        ({**VALID, "action": None}, "", NO_RULE),
        *(({**VALID, "rulePriority": it}, "rulePriority", NUMBER) for it in (0, "1", True, 1.0)),
        *(
            (changed("selection", "countNumber", it), "selection.countNumber", NUMBER)
            for it in (0, "5", None)
        ),
        (without("selection", "countNumber"), "selection.countNumber", NUMBER),
        (without("selection", "tagStatus"), "selection.tagStatus", "this is tagged or untagged or"),
        (changed("selection", "tagStatus", "TAGGED"), "selection.tagStatus", "this is tagged or"),
        (changed("selection", "countType", "sinceImageUsed"), "selection.countType", "this is im"),
        (changed("selection", "countUnit", "hours"), "selection.countUnit", "this is days"),
        (changed("selection", "storageClass", None), "selection.storageClass", "this is standard"),
        (changed("action", "type", "delete"), "action.type", "this is expire or transition"),
        (changed("action", "targetStorageClass", "glacier"), "action.targetStorageClass", "this"),
        # What AWS may add one day: it would select fewer images than are simulated.
        (changed("selection", "minimumAge", 3), "selection.minimumAge", "this key is not known"),
        (changed("action", "notify", []), "action.notify", "this key is not known here"),
        (changed("selection", "tagPatternList", ["a"]), "selection.tagStatus", LISTS),
        (rule(1, UNTAGGED | count(1) | {"tagPrefixList": ["a"]}), "selection.tagStatus", LISTS),
        (rule(1, {"tagStatus": "tagged"} | count(1)), "selection.tagStatus", LISTS),
        (rule(1, prefixed("a") | tagged("a") | count(1)), "selection.tagStatus", LISTS),
        *(
            (rule(1, tagged() | count(1) | {"tagPatternList": it}), "selection.tagPatternList", "")
            for it in ([], "a", [1], [""], None)
        ),
    ],
)
def test_what_cannot_be_read(written: Any, where: str, says: str) -> None:
    [problem] = problems_in({"rules": [written]})
    assert key_at(problem.where) == "rules[0]" + (where and f".{where}")
    assert problem.rule.startswith(says)


@pytest.mark.parametrize("document", [3, None, [], {}, {"rules": 3}, {"rules": []}])
def test_what_is_no_policy(document: Any) -> None:
    [problem] = problems_in(document)
    assert problem.rule == "a lifecycle policy is an object with at least one rule"


def test_rules_with_the_same_priority_have_no_order() -> None:
    rules = [rule(2, ANY | count(1)), rule(1, UNTAGGED | count(1)), rule(2, tagged("a") | count(1))]
    [problem] = problems_in({"rules": rules})
    assert (key_at(problem.where), problem.rule) == (
        "rules[2].rulePriority",
        "rules[0] has this priority",
    )


def test_all_errors_are_in_one_exception() -> None:
    rules: Any = (3, changed("action", "type", "?"), changed("selection", "x", 1))
    with pytest.raises(InvalidInputError) as caught:
        rules_in({"rules": list(rules)})
    assert len(caught.value.problems) == 3


def test_the_policy_by_itself_or_as_the_cli_prints_it() -> None:
    text = json.dumps(policy(ANY | count(3)))
    [only] = read_policy(text)
    assert only.number == 3
    printed = {"registryId": "111122223333", "lifecyclePolicyText": text}
    assert read_policy(json.dumps(printed)) == (only,)


def test_a_policy_that_is_no_json() -> None:
    with pytest.raises(InvalidInputError, match="the policy is not JSON"):
        read_policy("rules:")
