"""Each shape of a rule, and the rules that AWS would refuse or read otherwise.

tests/components/test_image_repository.py has the document, word for word.
"""

from contextlib import nullcontext
from typing import Any

import pytest

from container_images.policies.invalid_input import InvalidInputError
from container_images.policies.retention import (
    MAX_IMAGES,
    RetentionRule,
    lifecycle_policy,
    problems_in,
)


def days(since: str, number: int) -> dict[str, Any]:
    return {"countType": f"sinceImage{since}", "countUnit": "days", "countNumber": number}


EXPIRE = {"type": "expire"}
ARCHIVE = {"type": "transition", "targetStorageClass": "archive"}
V: dict[str, Any] = {"tagStatus": "tagged", "tagPatternList": ["v*"]}
NEWEST: dict[str, Any] = {"countType": "imageCountMoreThan", "countNumber": 500}
UNTAGGED_IMAGES: dict[str, Any] = {"tagStatus": "untagged"}
IN_ARCHIVE: dict[str, Any] = {"tagStatus": "any", "storageClass": "archive"}


@pytest.mark.parametrize(
    ("rule", "selection", "action", "description"),
    [
        (
            *({"untagged": True, "archive_after_days": 2}, UNTAGGED_IMAGES | days("Pushed", 2)),
            *(ARCHIVE, "Archive untagged images 2 days after their push"),
        ),
        (
            *({"any": True, "keep_newest": 500}, {"tagStatus": "any"} | NEWEST, EXPIRE),
            "Keep the newest 500 of all other images",
        ),
        (
            *({"tags": "v*", "archive_after_days_unpulled": 90}, V | days("Pulled", 90), ARCHIVE),
            "Archive images tagged v* 90 days after their last pull",
        ),
        (
            *({"archived": True, "expire_after_days": 365}, IN_ARCHIVE | days("Transitioned", 365)),
            *(EXPIRE, "Expire archived images 365 days after their archiving"),
        ),
    ],
)
def test_each_shape_of_a_rule(
    rule: RetentionRule, selection: dict[str, Any], action: dict[str, str], description: str
) -> None:
    protective, written = lifecycle_policy(["latest"], [rule])["rules"]
    assert protective["action"] == EXPIRE  # and no later rule archives its image
    parts = {"description": description, "selection": selection, "action": action}
    assert written == {"rulePriority": 2} | parts


SHAPES = "a rule has exactly one of tags with keepNewest or expireAfterDays or archiveAfterDays"
NUMBER = "the number is between 1 and 100,000; write such a number"
PATTERN = "1 to 128 letters, digits and . _ - *, and starts as a tag does, with at most 4 *; write"
TWICE = "rule [0] is about the same images, so this one never applies; make one rule of the two"
LAST = "comes last; move it behind the others; the one about archived images is the last of all"
ONE: dict[str, Any] = {"tags": "a", "keep_newest": 1}
ANY: dict[str, Any] = {"any": True, "keep_newest": 1}
UNTAGGED: dict[str, Any] = {"untagged": True, "expire_after_days": 1}
ARCHIVED: dict[str, Any] = {"archived": True, "expire_after_days": 90}
FIFTY: list[dict[str, Any]] = [{"tags": f"{each}-*", "keep_newest": 1} for each in range(50)]


@pytest.mark.parametrize(
    ("rules", "messages"),
    [
        # What it is about, and its number.
        ([{"keep_newest": 1}], [f'[0] = {{"keepNewest": 1}}: {SHAPES}']),
        *(([ONE | {kind: False}], [f": {SHAPES}"]) for kind in ("untagged", "any", "archived")),
        ([ONE | {"untagged": True}], [f": {SHAPES}"]),
        ([UNTAGGED | {"untagged": False}], [f": {SHAPES}"]),
        ([{"tags": "a"}], [f'[0] = {{"tags": "a"}}: {SHAPES}']),
        ([ONE | {"expire_after_days": 1}], [f": {SHAPES}"]),
        ([{"any": True, "expire_after_days": 2}], ["any with keepNewest or archiveAfterDays or "]),
        ([{"untagged": True, "keep_newest": 1}], ["untagged with expireAfterDays or archiveAft"]),
        ([{"archived": True, "archive_after_days": 90}], ["archived with expireAfterDays; write"]),
        # The values.
        *(([ONE | {"keep_newest": value}], [NUMBER]) for value in (0, MAX_IMAGES + 1, True, "1")),
        ([UNTAGGED | {"expire_after_days": 0}], [f"[0].expireAfterDays = 0: {NUMBER}"]),
        ([ARCHIVED | {"expire_after_days": 89}], ["the number is between 90 and 100,000"]),
        *(([ONE | {"tags": tags}], [PATTERN]) for tags in ("", "-a", "*a*b*c*d*", "a" * 129)),
        ([ONE | {"tags": "latest"}], ["latest has a protective rule already; leave this rule out"]),
        # Together.
        ([ONE, {"tags": "a", "expire_after_days": 1}], [f'"expireAfterDays": 1}}: {TWICE}']),
        ([UNTAGGED, {"untagged": True, "archive_after_days": 1}], [f": {TWICE}"]),
        ([ANY, ONE], [f"the rule about any {LAST}"]),
        ([ANY, ANY], [f"the rule about any {LAST}", TWICE]),
        ([ARCHIVED, ANY], [f"the rule about archived {LAST}"]),
        (FIFTY, ["50: a lifecycle policy has at most 50 rules, one for each movable tag; write"]),
        (FIFTY[1:], []),
        # A rule that cannot be understood hides none behind it.
        ([{}, ONE | {"tags": "-a", "keep_newest": 0}], [SHAPES, "[1].keepNewest", "[1].tags"]),
        # A tag may be called what a kind of rule is called.
        ([ONE | {"tags": "untagged"}, UNTAGGED, ANY, ARCHIVED], []),
        ([ONE | {"keep_newest": MAX_IMAGES}, ONE | {"tags": "b*c*d*e*"}], []),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_its_fix(rules: Any, messages: list[str]) -> None:
    problems = [str(problem) for problem in problems_in(["latest"], rules)]
    assert len(problems) == len(messages)
    assert all(message in text for text, message in zip(problems, messages, strict=True)), problems
    with pytest.raises(InvalidInputError) if messages else nullcontext():
        assert len(lifecycle_policy(["latest"], rules)["rules"]) == len(rules) + 1


def test_a_kind_of_rule_is_no_movable_tag() -> None:
    """Where a movable tag is called `any`, the rule about any image is about no tag."""
    assert list(problems_in(["any"], [RetentionRule(any=True, keep_newest=1)])) == []
