"""Everything for which AWS refuses a lifecycle policy.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
"""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from container_images.lifecycle.document import MAX_LENGTH, faults_in, rules_in
from container_images.policies.invalid_input import ABSENT, InvalidInputError, key_at
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

PULLED = older(9, "sinceImagePulled")
TRANSITIONED = older(90, "sinceImageTransitioned")
EMPTY: tuple[Any, ...] = ([], "a", None)
SELECTION_KEYS = (
    "tagStatus, tagPatternList, tagPrefixList, storageClass, countType, countUnit, countNumber"
)
PARTS = (("selection", SELECTION_KEYS), ("action", "type, targetStorageClass"))
NO_RULES = ("a lifecycle policy is an object with a list of rules", 'write {"rules": [...]}')
LETTERS = "write it in just these letters"
VALID = rule(1, ANY | count(1))


def without(whole: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: whole[name] for name in whole if name != key}


def one(selection: dict[str, Any], action: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"rules": [rule(1, selection, action)]}


@pytest.mark.parametrize(
    "document",
    [
        policy(tagged("latest") | count(1), prefixed("a", "b") | older(1), UNTAGGED | older(1)),
        policy(*(tagged(f"a-{number}") | count(1) for number in range(50))),
        one(tagged("*test*1*2*3") | count(1)),
        one(ANY | IN_ARCHIVE | TRANSITIONED),
        one(ANY | PULLED, ARCHIVE),
        one(ANY | count(1), ARCHIVE),
        one(ANY | {"storageClass": "standard"} | older(1), ARCHIVE),
        {"rules": [{**VALID, "description": ""}]},
        {"rules": [rule(9, ANY | count(1)), rule(2, UNTAGGED | count(1))]},
        # One of a kind for each storage class.
        {"rules": [rule(1, ANY | PULLED, ARCHIVE), rule(2, ANY | IN_ARCHIVE | TRANSITIONED)]},
        policy(UNTAGGED | count(1), UNTAGGED | IN_ARCHIVE | TRANSITIONED),
        policy(prefixed("a") | count(1), prefixed("a") | IN_ARCHIVE | TRANSITIONED),
        # Different sets of prefixes, though not disjoint ones.
        policy(prefixed("a") | count(1), prefixed("a", "b") | count(1), prefixed("ab") | count(1)),
    ],
)
def test_valid(document: dict[str, Any]) -> None:
    assert [str(fault) for fault in faults_in(document)] == []
    priorities = [it.priority for it in rules_in(document)]
    assert priorities == sorted(priorities)
    assert len(priorities) == len(document["rules"])


@pytest.mark.parametrize(
    ("document", "key", "rule_says", "fix"),
    [
        ([], "", *NO_RULES),
        ({}, "", *NO_RULES),
        (
            {"rules": {}},
            "",
            "a lifecycle policy is an object with a list of rules",
            'write {"rules": [...]}',
        ),
        (
            {"rules": []},
            "rules",
            "a lifecycle policy has 1 to 50 rules",
            "delete the policy instead",
        ),
        (
            policy(*(tagged(f"a-{number}") | count(1) for number in range(51))),
            "rules",
            "a lifecycle policy has 1 to 50 rules",
            "make fewer rules of them",
        ),
        (
            {"rules": [VALID], "version": 1},
            "version",
            "AWS knows no such key here",
            "write one of rules",
        ),
        (
            {"rules": ["a"]},
            "rules[0]",
            "a rule without a number: a rule is an object",
            "write rulePriority, selection and action",
        ),
        (
            {"rules": [{**VALID, "name": "a"}]},
            "rules[0].name",
            "rule 1: AWS knows no such key",
            "write one of rulePriority, description, selection, action",
        ),
        (
            {"rules": [without(VALID, "rulePriority")]},
            "rules[0].rulePriority",
            "a rule without a number: this is missing",
            "write it",
        ),
        (
            {"rules": [without(VALID, "selection")]},
            "rules[0].selection",
            "rule 1: this is missing",
            "write it",
        ),
        (
            {"rules": [without(VALID, "action")]},
            "rules[0].action",
            "rule 1: this is missing",
            "write it",
        ),
        *(
            (
                {"rules": [{**VALID, "rulePriority": value}]},
                "rules[0].rulePriority",
                "a rule without a number: the priority is a whole number from 1",
                "number the rules in the order in which they decide",
            )
            for value in (0, -1, "1", True, 1.5, None)
        ),
        (
            {"rules": [{**VALID, "description": 1}]},
            "rules[0].description",
            "rule 1: the description is text",
            "quote it, or leave it out",
        ),
        *(
            (
                {"rules": [{**VALID, part: "a"}]},
                f"rules[0].{part}",
                f"rule 1: the {part} is an object",
                f"write {keys} in it, as far as they apply",
            )
            for part, keys in (
                ("selection", SELECTION_KEYS),
                ("action", "type, targetStorageClass"),
            )
        ),
        *(
            (
                one(without(ANY | count(1), key)),
                f"rules[0].selection.{key}",
                "rule 1: this is missing",
                "write it",
            )
            for key in ("tagStatus", "countType", "countNumber")
        ),
        (
            one(ANY | count(1) | {"a": 1}),
            "rules[0].selection.a",
            "rule 1: AWS knows no such key",
            f"write one of {SELECTION_KEYS}",
        ),
        (
            one(ANY | count(1), {"type": "expire", "a": 1}),
            "rules[0].action.a",
            "rule 1: AWS knows no such key",
            "write one of type, targetStorageClass",
        ),
        (
            one({"tagStatus": "ANY"} | count(1)),
            "rules[0].selection.tagStatus",
            "rule 1: this is tagged or untagged or any",
            LETTERS,
        ),
        (
            one(ANY | count(1) | {"countType": "age"}),
            "rules[0].selection.countType",
            "rule 1: this is imageCountMoreThan or sinceImagePushed or sinceImagePulled or",
            LETTERS,
        ),
        (
            one(ANY | older(1) | {"countUnit": "hours"}),
            "rules[0].selection.countUnit",
            "rule 1: this is days",
            LETTERS,
        ),
        (
            one(ANY | older(1) | {"storageClass": "glacier"}),
            "rules[0].selection.storageClass",
            "rule 1: this is standard or archive",
            LETTERS,
        ),
        (
            one(ANY | count(1), {"type": "delete"}),
            "rules[0].action.type",
            "rule 1: this is expire or transition",
            LETTERS,
        ),
        (one(ANY | count(1), {}), "rules[0].action.type", "rule 1: this is missing", "write it"),
        (
            one(ANY | count(1), {"type": "transition", "targetStorageClass": "standard"}),
            "rules[0].action.targetStorageClass",
            "rule 1: this is archive",
            LETTERS,
        ),
        (
            one(ANY | count(1), {"type": "transition"}),
            "rules[0].action.targetStorageClass",
            "rule 1: a transition has a target",
            'write "targetStorageClass": "archive"',
        ),
        (
            one(ANY | count(1), {"type": "expire", "targetStorageClass": "archive"}),
            "rules[0].action.targetStorageClass",
            "rule 1: an image that expires goes to no storage class",
            "leave it out",
        ),
        (
            one({"tagStatus": "tagged"} | count(1)),
            "rules[0].selection.tagStatus",
            "rule 1: tagged goes with either a tagPatternList or a tagPrefixList",
            'write "tagPatternList": ["PATTERN"]',
        ),
        (
            one(tagged("a") | prefixed("a") | count(1)),
            "rules[0].selection.tagStatus",
            "rule 1: tagged goes with either a tagPatternList or a tagPrefixList",
            "leave one of them out",
        ),
        *(
            (
                one(tags | {"tagStatus": status} | count(1)),
                f"rules[0].selection.{key}",
                f"rule 1: {status} images are not selected by their tags",
                "leave the list out, or write tagged",
            )
            for status in ("any", "untagged")
            for tags, key in ((tagged("a"), "tagPatternList"), (prefixed("a"), "tagPrefixList"))
        ),
        *(
            (
                one({"tagStatus": "tagged", key: value} | count(1)),
                f"rules[0].selection.{key}",
                "rule 1: this is a list with at least one entry",
                "write one such as prod-",
            )
            for key in ("tagPatternList", "tagPrefixList")
            for value in EMPTY
        ),
        *(
            (
                one(tagged("a") | {"tagPatternList": ["a", value]} | count(1)),
                "rules[0].selection.tagPatternList[1]",
                "rule 1: an entry is text with at least one character",
                "write the tag, or the beginning of it",
            )
            for value in ("", 1, None)
        ),
        (
            one(prefixed("") | count(1)),
            "rules[0].selection.tagPrefixList[0]",
            "rule 1: an entry is text with at least one character",
            "write the tag, or the beginning of it",
        ),
        (
            one(tagged("test*1*2*3*4*5*6") | count(1)),
            "rules[0].selection.tagPatternList[0]",
            "rule 1: a pattern has at most 4 wildcards",
            "use fewer *",
        ),
        *(
            (
                one(ANY | count(1) | {"countNumber": value}),
                "rules[0].selection.countNumber",
                "rule 1: the number is a whole number from 1",
                "write such a number, without quotes",
            )
            for value in (0, -1, "1", True, 1.5, None)
        ),
        (
            one(ANY | count(1) | {"countUnit": "days"}),
            "rules[0].selection.countUnit",
            "rule 1: a number of images has no unit",
            "leave countUnit out",
        ),
        *(
            (
                one(without(ANY | IN_ARCHIVE | measured, "countUnit"), action),
                "rules[0].selection.countUnit",
                f"rule 1: {measured['countType']} counts in days",
                'write "countUnit": "days"',
            )
            for measured, action in (
                (older(1) | {"storageClass": "standard"}, None),
                (PULLED | {"storageClass": "standard"}, ARCHIVE),
                (TRANSITIONED, None),
            )
        ),
        (
            one(ANY | IN_ARCHIVE | older(89, "sinceImageTransitioned")),
            "rules[0].selection.countNumber",
            "rule 1: an image stays in the archive for at least 90 days",
            "write 90 or more",
        ),
        *(
            (
                one(ANY | IN_ARCHIVE | measured, ARCHIVE),
                "rules[0].selection.storageClass",
                f"rule 1: {measured['countType']} is about images of the storage class standard",
                'write "storageClass": "standard"',
            )
            for measured in (count(1), older(1), PULLED)
        ),
        *(
            (
                one(ANY | TRANSITIONED | storage),
                "rules[0].selection.storageClass",
                "rule 1: sinceImageTransitioned is about images of the storage class archive only",
                'write "storageClass": "archive"',
            )
            for storage in ({}, {"storageClass": "standard"})
        ),
        (
            one(ANY | PULLED),
            "rules[0].action.type",
            "rule 1: sinceImagePulled goes with the action transition only",
            "write transition, or count otherwise",
        ),
        (
            one(ANY | IN_ARCHIVE | TRANSITIONED, ARCHIVE),
            "rules[0].action.type",
            "rule 1: sinceImageTransitioned goes with the action expire only",
            "write expire, or count otherwise",
        ),
        (
            {"rules": [rule(3, tagged("a") | count(1)), rule(3, tagged("b") | count(1))]},
            "rules[1].rulePriority",
            "rule 3: rules[0] has this priority already",
            "give each rule a number of its own",
        ),
        (
            policy(UNTAGGED | count(1), tagged("a") | count(1), UNTAGGED | older(1)),
            "rules[2].selection.tagStatus",
            "rule 3: rules[0] is about the untagged images of the storage class standard already",
            "make one rule of the two",
        ),
        (
            policy(prefixed("a", "b") | count(1), prefixed("b", "a", "b") | older(1)),
            "rules[1].selection.tagPrefixList",
            "rule 2: rules[0] has these prefixes already",
            "make one rule of the two",
        ),
        (
            {"rules": [rule(5, ANY | count(1)), rule(6, tagged("a") | count(1))]},
            "rules[0].rulePriority",
            "rule 5: the rule about any image decides last",
            "give it a number above 6",
        ),
        (
            {"rules": [rule(7, tagged("a") | count(1)), rule(5, ANY | count(1))]},
            "rules[1].rulePriority",
            "rule 5: the rule about any image decides last",
            "give it a number above 7",
        ),
        (
            policy(ANY | count(1), ANY | older(1)),
            "rules[0].rulePriority",
            "rule 1: the rule about any image decides last",
            "give it a number above 2",
        ),
        (
            {"rules": [{**VALID, "description": "é" * MAX_LENGTH}]},
            "",
            "the text of a lifecycle policy has at most 30,720 characters",
            "shorten the descriptions, or write fewer patterns",
        ),
    ],
)
def test_refused(document: Any, key: str, rule_says: str, fix: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        rules_in(document)
    [fault] = caught.value.problems
    assert key_at(fault.where) == key
    assert fault.rule.startswith(rule_says)
    assert fault.fix == fix
    assert fault.value == value_at(document, fault.where)


def value_at(document: Any, where: Sequence[str | int]) -> Any:
    """What stands there; of what is too much of something, how much it is."""
    for step in where:
        if isinstance(step, str) and step not in document:
            return ABSENT
        document = document[step]
    if isinstance(document, list) and document and where == ("rules",):
        return len(document)
    if isinstance(document, dict) and not where and document.get("rules"):
        return len(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
    return document


def test_the_longest_text_is_taken_and_no_longer_one() -> None:
    # Counted as it is written shortest; spaces and escapes are the sender's.
    length = len('{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any",') + len(
        '"countType":"imageCountMoreThan","countNumber":1},"action":{"type":"expire"},'
        '"description":""}]}'
    )
    room = MAX_LENGTH - length
    assert list(faults_in({"rules": [{**VALID, "description": "é" * room}]})) == []
    [fault] = faults_in({"rules": [{**VALID, "description": "é" * (room + 1)}]})
    assert fault.value == MAX_LENGTH + 1


def test_all_faults_come_at_once() -> None:
    """A mistake in a rule does not hide what it has in common with another."""
    document = {
        "rules": [
            rule(1, UNTAGGED | count(0)),
            rule(1, UNTAGGED | older(1) | {"countUnit": "weeks"}, {"type": "move"}),
            rule(2, {"tagStatus": "any", "storageClass": 1, "countType": []}),
            "?",
            {"rulePriority": 4, "selection": 1, "action": {"type": "expire"}, "more": 1},
            {"rulePriority": 5, "selection": 1, "action": {"type": "move"}},
            rule(6, {**tagged(), **prefixed("")} | count(1)),
        ],
        "Rules": [],
    }
    assert [(fault.where, fault.rule.partition(":")[0]) for fault in faults_in(document)] == [
        (("Rules",), "AWS knows no such key here"),
        (("rules", 0, "selection", "countNumber"), "rule 1"),
        (("rules", 1, "selection", "countUnit"), "rule 1"),
        (("rules", 1, "action", "type"), "rule 1"),
        (("rules", 2, "selection", "storageClass"), "rule 2"),
        (("rules", 2, "selection", "countType"), "rule 2"),
        (("rules", 2, "selection", "countNumber"), "rule 2"),
        (("rules", 3), "a rule without a number"),
        (("rules", 4, "more"), "rule 4"),
        (("rules", 4, "selection"), "rule 4"),
        (("rules", 5, "selection"), "rule 5"),
        (("rules", 5, "action", "type"), "rule 5"),
        (("rules", 6, "selection", "tagPatternList"), "rule 6"),
        (("rules", 6, "selection", "tagStatus"), "rule 6"),
        (("rules", 6, "selection", "tagPrefixList", 0), "rule 6"),
        (("rules", 1, "rulePriority"), "rule 1"),
        (("rules", 1, "selection", "tagStatus"), "rule 1"),
    ]


def test_a_rule_is_read_as_it_is_written() -> None:
    document = {
        "rules": [
            rule(2, prefixed("a", "b") | PULLED, ARCHIVE),
            rule(1, tagged("latest", "*-*") | count(3)),
            rule(3, ANY | IN_ARCHIVE | TRANSITIONED),
        ]
    }
    first, second, third = rules_in(document)
    assert (first.priority, first.tag_status, first.count_type, first.number, first.action) == (
        1,
        "tagged",
        "imageCountMoreThan",
        3,
        "expire",
    )
    assert first.tags == (("latest",), ("", "-", ""))
    assert (second.tags, second.action, second.archived) == (
        (("a", ""), ("b", "")),
        "archive",
        False,
    )
    assert (third.tags, third.action, third.archived, third.number) == ((), "expire", True, 90)


@pytest.mark.parametrize(
    ("selection", "text"),
    [
        (tagged("latest", "prod-*-*") | count(1), "rule 1 (tags latest and prod-*-*)"),
        (prefixed("prod-") | count(1), "rule 1 (tags prod-*)"),
        (UNTAGGED | count(1), "rule 1 (untagged images)"),
        (ANY | IN_ARCHIVE | TRANSITIONED, "rule 1 (any image, archived)"),
    ],
)
def test_a_rule_is_named_by_its_images(selection: dict[str, Any], text: str) -> None:
    assert [str(it) for it in rules_in(one(selection))] == [text]
