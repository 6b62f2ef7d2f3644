"""What the simulation cannot read in a lifecycle policy."""

import json
from typing import Any

import pytest

from container_images.lifecycle.document import read_policy, rules_in
from container_images.policies.invalid_input import InvalidInputError, key_at
from tests.lifecycle.documents import (
    ANY,
    ARCHIVE,
    EXPIRE_ARCHIVED,
    UNTAGGED,
    count,
    older,
    policy,
    prefixed,
    rule,
    tagged,
)


def test_a_rule_has_what_the_simulation_asks_for() -> None:
    rules = [
        rule(3, EXPIRE_ARCHIVED | UNTAGGED),
        rule(2, tagged("prod-*", "latest") | older(9, "sinceImagePulled"), ARCHIVE),
        rule(4, ANY | count(1)),
        {**rule(1, prefixed("pr-") | count(4)), "description": "of pull requests"},
    ]
    first, second, third, last = rules_in({"rules": rules})
    assert (str(first), first.tags, first.number) == ("rule 1 (tags pr-*)", (("pr-", ""),), 4)
    assert (second.action, second.count_type) == ("archive", "sinceImagePulled")
    assert [*map(str, (second, third, last))] == [
        "rule 2 (tags prod-* and latest)",
        "rule 3 (untagged images, archived)",
        "rule 4 (any image)",
    ]


def problems(document: Any) -> list[tuple[str, str]]:
    """Where each problem is, and the rule."""
    with pytest.raises(InvalidInputError) as refused:
        rules_in(document)
    return [(key_at(problem.where), problem.rule) for problem in refused.value.problems]


UNKNOWN = "AWS documents no such rule, or the simulation does not know it"


@pytest.mark.parametrize(
    ("where", "values"),
    [
        ("", [3, {}, {"selection": []}]),
        ("rulePriority", [0, "1", True, 1.0]),
        ("selection.countNumber", [0, "5", None]),
        ("selection.tagStatus", ["TAGGED", None]),
        ("selection.countType", ["sinceImageUsed"]),
        ("selection.countUnit", ["hours"]),
        ("selection.storageClass", [None]),
        ("selection.tagPatternList", [["a"]]),
        ("action", [3]),
        ("action.type", ["delete"]),
        ("action.targetStorageClass", ["glacier"]),
        # What AWS may add one day: it would select fewer images than are simulated.
        ("selection.minimumAge", [3]),
        ("action.notify", [[]]),
        ("action.tagStatus", ["untagged"]),
    ],
)
def test_a_value_that_cannot_be_read(where: str, values: list[Any]) -> None:
    for value in values:
        written: Any = rule(1, ANY | count(1))
        *parts, key = where.split(".")
        if where:
            (written[parts[0]] if parts else written)[key] = value
        document = {"rules": [written if where else value]}
        assert problems(document) == [("rules[0]", UNKNOWN)]


@pytest.mark.parametrize(
    "selection",
    [
        UNTAGGED | {"tagPrefixList": ["a"]},
        {"tagStatus": "tagged"},
        prefixed("a") | tagged("a"),
        *(tagged() | {"tagPatternList": entries} for entries in ([], "a", [1], [""], None)),
    ],
)
def test_tags_that_cannot_be_read(selection: dict[str, Any]) -> None:
    assert problems({"rules": [rule(1, selection | count(1))]}) == [("rules[0]", UNKNOWN)]


def test_what_is_no_policy_and_all_errors_at_once() -> None:
    documents: list[Any] = [3, None, [], {}, {"rules": 3}, {"rules": []}]
    for document in documents:
        assert problems(document) == [("", "a lifecycle policy is an object with rules")]
    rules = [3, rule(1, ANY | count(0), {"type": "?"}), rule(2, ANY | count(1) | {"x": 1})]
    assert len(problems({"rules": rules})) == 3
    twins = [rule(1, tagged("latest") | count(1)), rule(1, UNTAGGED | count(1))]
    assert problems({"rules": twins}) == [("rules", "several rules have one rulePriority")]


def test_the_policy_by_itself_or_as_the_cli_prints_it() -> None:
    text = json.dumps(policy(ANY | count(3)))
    [only] = read_policy(text)
    assert only.number == 3
    printed = {"registryId": "111122223333", "lifecyclePolicyText": text}
    assert read_policy(json.dumps(printed)) == (only,)
    with pytest.raises(InvalidInputError, match="the policy is not JSON"):
        read_policy("rules:")
