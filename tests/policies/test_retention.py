"""The lifecycle policy document, and the rules that AWS would refuse or read otherwise."""

import pytest

from container_images.policies.invalid_input import InvalidInputError
from container_images.policies.retention import (
    MAX_IMAGES,
    RetentionRule,
    lifecycle_policy,
    problems_in,
)


def test_the_document_word_for_word() -> None:
    rules: list[RetentionRule] = [
        {"tags": "prod-*", "keep_newest": 20},
        {"tags": "pr-*", "expire_after_days": 14},
        {"untagged": True, "expire_after_days": 1},
        {"any": True, "keep_newest": 500},
    ]
    assert lifecycle_policy(["latest", "stable"], rules) == {
        "rules": [
            {
                "rulePriority": 1,
                "description": "Keep the image that latest names",
                "selection": {
                    "tagStatus": "tagged",
                    "tagPatternList": ["latest"],
                    "countType": "imageCountMoreThan",
                    "countNumber": 1,
                },
                "action": {"type": "expire"},
            },
            {
                "rulePriority": 2,
                "description": "Keep the image that stable names",
                "selection": {
                    "tagStatus": "tagged",
                    "tagPatternList": ["stable"],
                    "countType": "imageCountMoreThan",
                    "countNumber": 1,
                },
                "action": {"type": "expire"},
            },
            {
                "rulePriority": 3,
                "description": "Keep the newest 20 of images tagged prod-*",
                "selection": {
                    "tagStatus": "tagged",
                    "tagPatternList": ["prod-*"],
                    "countType": "imageCountMoreThan",
                    "countNumber": 20,
                },
                "action": {"type": "expire"},
            },
            {
                "rulePriority": 4,
                "description": "Expire images tagged pr-* 14 days after their push",
                "selection": {
                    "tagStatus": "tagged",
                    "tagPatternList": ["pr-*"],
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": 14,
                },
                "action": {"type": "expire"},
            },
            {
                "rulePriority": 5,
                "description": "Expire untagged images 1 day after their push",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": 1,
                },
                "action": {"type": "expire"},
            },
            {
                "rulePriority": 6,
                "description": "Keep the newest 500 of all other images",
                "selection": {
                    "tagStatus": "any",
                    "countType": "imageCountMoreThan",
                    "countNumber": 500,
                },
                "action": {"type": "expire"},
            },
        ]
    }


def test_rules_that_archive_and_the_rule_about_the_archive() -> None:
    rules: list[RetentionRule] = [
        {"tags": "v*", "archive_after_days_unpulled": 90},
        {"untagged": True, "archive_after_days": 1},
        {"any": True, "keep_newest": 500},
        {"archived": True, "expire_after_days": 365},
    ]
    [latest, *others] = lifecycle_policy(["latest"], rules)["rules"]
    assert latest["action"] == {"type": "expire"}  # and no later rule archives its image
    archive = {"type": "transition", "targetStorageClass": "archive"}
    assert [(it["description"], it["selection"], it["action"]) for it in others] == [
        (
            "Archive images tagged v* 90 days after their last pull",
            {
                "tagStatus": "tagged",
                "tagPatternList": ["v*"],
                "countType": "sinceImagePulled",
                "countUnit": "days",
                "countNumber": 90,
            },
            archive,
        ),
        (
            "Archive untagged images 1 day after their push",
            {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 1,
            },
            archive,
        ),
        (
            "Keep the newest 500 of all other images",
            {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 500},
            {"type": "expire"},
        ),
        (
            "Expire archived images 365 days after that",
            {
                "tagStatus": "any",
                "storageClass": "archive",
                "countType": "sinceImageTransitioned",
                "countUnit": "days",
                "countNumber": 365,
            },
            {"type": "expire"},
        ),
    ]


def test_without_rules_only_the_protective_ones_are_left_and_nothing_expires() -> None:
    [rule] = lifecycle_policy(["latest"], [])["rules"]
    assert rule["selection"]["tagPatternList"] == ["latest"]
    assert rule["selection"]["countNumber"] == 1


@pytest.mark.parametrize(
    ("rules", "where", "said"),
    [
        pytest.param([{"keep_newest": 1}], (0,), "exactly one of tags, untagged", id="no subject"),
        pytest.param(
            [{"tags": "a", "untagged": True, "expire_after_days": 1}],
            (0,),
            "exactly one of tags, untagged",
            id="two subjects",
        ),
        pytest.param([{"tags": "a"}], (0,), "keepNewest or expireAfterDays", id="no number"),
        pytest.param(
            [{"tags": "a", "keep_newest": 1, "expire_after_days": 1}],
            (0,),
            "exactly one number",
            id="two numbers",
        ),
        pytest.param(
            [{"untagged": True, "keep_newest": 1}], (0,), "number, expireAfterDays", id="untagged"
        ),
        pytest.param([{"any": True, "expire_after_days": 1}], (0,), "number, keepNewest", id="any"),
        pytest.param(
            [{"untagged": False, "expire_after_days": 1}], (0, "untagged"), "is true", id="false"
        ),
        pytest.param(
            [{"tags": "a", "keep_newest": 0}], (0, "keepNewest"), "between 1", id="below one"
        ),
        pytest.param(
            [{"tags": "a", "expire_after_days": 0}],
            (0, "expireAfterDays"),
            "between 1",
            id="no days",
        ),
        pytest.param(
            [{"tags": "a", "keep_newest": MAX_IMAGES + 1}],
            (0, "keepNewest"),
            "100,000",
            id="more than a repository holds",
        ),
        pytest.param([{"tags": "-a", "keep_newest": 1}], (0, "tags"), "starts as", id="pattern"),
        pytest.param([{"tags": "", "keep_newest": 1}], (0, "tags"), "1 to 128", id="empty"),
        pytest.param(
            [{"tags": "*a*b*c*d*", "keep_newest": 1}], (0, "tags"), "at most 4", id="wildcards"
        ),
        pytest.param(
            [{"tags": "latest", "keep_newest": 1}],
            (0, "tags"),
            "a protective rule already",
            id="protected",
        ),
        pytest.param(
            [{"tags": "a*", "keep_newest": 1}, {"tags": "a*", "expire_after_days": 1}],
            (1,),
            "rule [0] is about the same images",
            id="pattern twice",
        ),
        pytest.param(
            [
                {"untagged": True, "expire_after_days": 1},
                {"untagged": True, "expire_after_days": 2},
            ],
            (1,),
            "rule [0] is about the same images",
            id="untagged twice",
        ),
        pytest.param(
            [{"any": True, "keep_newest": 1}, {"tags": "a", "keep_newest": 1}],
            (0,),
            "comes last",
            id="any not last",
        ),
        pytest.param(
            [{"archived": True, "expire_after_days": 90}, {"any": True, "keep_newest": 1}],
            (0,),
            "the rule about archived images comes last",
            id="archived not last",
        ),
        pytest.param(
            [{"archived": True, "expire_after_days": 89}],
            (0, "expireAfterDays"),
            "stays in the archive for at least 90 days",
            id="archived too short",
        ),
        pytest.param(
            [{"archived": True, "archive_after_days": 90}],
            (0,),
            "a rule about archived has exactly one number, expireAfterDays",
            id="archived twice over",
        ),
        pytest.param(
            [{"tags": "a", "archive_after_days": 9, "archive_after_days_unpulled": 9}],
            (0,),
            "exactly one number",
            id="two ways to archive",
        ),
        pytest.param(
            [{"tags": "a", "archive_after_days_unpulled": 0}],
            (0, "archiveAfterDaysUnpulled"),
            "between 1",
            id="no days unpulled",
        ),
        pytest.param(
            [
                {"untagged": True, "expire_after_days": 1},
                {"untagged": True, "archive_after_days": 2},
            ],
            (1,),
            "rule [0] is about the same images",
            id="one rule for a class",
        ),
    ],
)
def test_one_error_is_told_with_its_place(
    rules: list[RetentionRule], where: tuple[str | int, ...], said: str
) -> None:
    [problem] = problems_in(["latest"], rules)
    assert problem.where == where
    assert said in str(problem)
    with pytest.raises(InvalidInputError):
        lifecycle_policy(["latest"], rules)


def test_two_rules_about_any_image_are_one_too_many_and_one_too_early() -> None:
    rules: list[RetentionRule] = [{"any": True, "keep_newest": 1}, {"any": True, "keep_newest": 2}]
    assert [problem.where for problem in problems_in(["latest"], rules)] == [(0,), (1,)]


def test_fifty_rules_fit_the_protective_ones_among_them() -> None:
    rules: list[RetentionRule] = [{"tags": f"{n}-*", "keep_newest": 1} for n in range(49)]
    assert len(lifecycle_policy(["latest"], rules)["rules"]) == 50
    [problem] = problems_in(["latest", "stable"], rules)
    assert "at most 50 rules, 2 of which protect" in str(problem)
    assert "keep at most 48 rules" in str(problem)


def test_the_numbers_at_the_limits_are_fine() -> None:
    rules: list[RetentionRule] = [
        {"tags": "a", "keep_newest": 1},
        {"tags": "b*c*d*e*", "keep_newest": MAX_IMAGES},
    ]
    assert list(problems_in(["latest"], rules)) == []


def test_all_problems_come_at_once() -> None:
    rules: list[RetentionRule] = [
        {"any": True, "keep_newest": 0},
        {"tags": "*a*b*c*d*", "keep_newest": 0},
        {"untagged": True, "keep_newest": 1},
    ]
    with pytest.raises(InvalidInputError) as refused:
        lifecycle_policy(["latest"], rules)
    assert len(refused.value.problems) == 5
