"""What the author of a retention list reads about each mistake, word for word."""

from typing import Any, cast

import pytest

from container_images.policies.retention import MAX_IMAGES, RetentionRule, problems_in

SHAPES = (
    "write one of {tags: PATTERN, keepNewest: N}, {tags: PATTERN, expireAfterDays: N}, "
    "{untagged: true, expireAfterDays: N}, {any: true, keepNewest: N}, "
    "{archived: true, expireAfterDays: N}; or, but for archived, archiveAfterDays or "
    "archiveAfterDaysUnpulled as the number"
)
PATTERN = "a tag pattern is 1 to 128 letters, digits and . _ - *, and starts as a tag does"


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (
            [{"keep_newest": 1}],
            [
                (
                    '[0] = {"keepNewest": 1}: a rule is about exactly one of tags, untagged, '
                    f"any and archived; {SHAPES}"
                )
            ],
        ),
        (
            [{"tags": "a", "keep_newest": 1, "expire_after_days": 2}],
            [
                (
                    '[0] = {"tags": "a", "keepNewest": 1, "expireAfterDays": 2}: a rule about '
                    f"tags has exactly one number, keepNewest or expireAfterDays or "
                    f"archiveAfterDays or archiveAfterDaysUnpulled; {SHAPES}"
                )
            ],
        ),
        (
            [{"any": True, "expire_after_days": 2}],
            [
                (
                    '[0] = {"any": true, "expireAfterDays": 2}: a rule about any has exactly one '
                    f"number, keepNewest or archiveAfterDays or archiveAfterDaysUnpulled; {SHAPES}"
                )
            ],
        ),
        *(
            (
                [{kind: False, key: 1}],
                [
                    (
                        f"[0].{kind} = false: {kind} is true where it is written; "
                        "write true, or leave the rule out"
                    )
                ],
            )
            for kind, key in (
                ("untagged", "expire_after_days"),
                ("any", "keep_newest"),
                ("archived", "expire_after_days"),
            )
        ),
        *(
            (
                [{"tags": "a", key: number}],
                [
                    (
                        f"[0].{written} = {number}: the number is between 1 and 100,000; "
                        "write such a number"
                    )
                ],
            )
            for key, written in (
                ("keep_newest", "keepNewest"),
                ("expire_after_days", "expireAfterDays"),
            )
            for number in (0, MAX_IMAGES + 1)
        ),
        (
            [{"tags": "-a", "keep_newest": 1}],
            [f'[0].tags = "-a": {PATTERN}; write one such as prod-*'],
        ),
        (
            [{"tags": "*a*b*c*d*", "keep_newest": 1}],
            [
                (
                    '[0].tags = "*a*b*c*d*": a pattern in a lifecycle policy has at most 4 '
                    "wildcards; use fewer *"
                )
            ],
        ),
        (
            [{"tags": "latest", "keep_newest": 1}],
            [
                (
                    '[0].tags = "latest": the movable tag latest has a protective rule already; '
                    "leave this rule out"
                )
            ],
        ),
        (
            [{"tags": "a", "keep_newest": 1}, {"tags": "a", "expire_after_days": 1}],
            [
                (
                    '[1] = {"tags": "a", "expireAfterDays": 1}: rule [0] is about the same images, '
                    "so this one never applies; make one rule of the two"
                )
            ],
        ),
        (
            [{"any": True, "keep_newest": 1}, {"tags": "a", "keep_newest": 1}],
            [
                (
                    '[0] = {"any": true, "keepNewest": 1}: the rule about any image comes last; '
                    "move it behind the others"
                )
            ],
        ),
        (
            [{"tags": f"{number}-*", "keep_newest": 1} for number in range(50)],
            [
                (
                    "50: a lifecycle policy has at most 50 rules, 1 of which protect the "
                    "movable tags; keep at most 49 rules"
                )
            ],
        ),
        # A rule that cannot be understood hides none behind it.
        (
            [{}, {"tags": "-a", "keep_newest": 1}],
            [
                (
                    f"[0] = {{}}: a rule is about exactly one of tags, untagged, any and archived; "
                    f"{SHAPES}"
                ),
                f'[1].tags = "-a": {PATTERN}; write one such as prod-*',
            ],
        ),
        # A tag may be called what a kind of rule is called.
        ([{"tags": "untagged", "keep_newest": 1}, {"untagged": True, "expire_after_days": 1}], []),
    ],
)
def test_the_words(rules: list[dict[str, Any]], said: list[str]) -> None:
    assert [
        str(problem) for problem in problems_in(["latest"], cast("list[RetentionRule]", rules))
    ] == said


def test_a_kind_of_rule_is_no_movable_tag() -> None:
    """Where a movable tag is called `any`, the rule about any image is about no tag."""
    rules: list[RetentionRule] = [{"any": True, "keep_newest": 1}]
    assert [str(problem) for problem in problems_in(["any"], rules)] == []


@pytest.mark.parametrize("key", ["keep_newest", "expire_after_days"])
@pytest.mark.parametrize("number", [True, False, 1.0, "1", None])
def test_a_number_is_an_integer(key: str, number: object) -> None:
    """True is an int in Python, and between 1 and 100,000."""
    rules = cast("list[RetentionRule]", [{"tags": "a", key: number}])
    [problem] = problems_in(["latest"], rules)
    assert (problem.value, problem.rule) == (number, "the number is between 1 and 100,000")


def test_too_many_movable_tags_are_not_blamed_on_the_rules() -> None:
    movable = [f"stable-{number}" for number in range(200)]
    for rules in ([], [RetentionRule(any=True, keep_newest=1)]):
        [problem] = problems_in(movable, rules)
        assert str(problem) == (
            f"{len(rules)}: a lifecycle policy has at most 50 rules, and each of the 200 "
            "movable tags takes a protective one; name at most 50 movable tags"
        )


def test_fifty_movable_tags_leave_room_for_no_rule() -> None:
    movable = [f"stable-{number}" for number in range(50)]
    assert list(problems_in(movable, [])) == []
    [problem] = problems_in(movable, [RetentionRule(any=True, keep_newest=1)])
    assert problem.fix == "keep at most 0 rules"
