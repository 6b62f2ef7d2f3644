"""AWS's worked examples: each policy on each repository, with the result that AWS gives.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_examples.html
"""

from typing import Any

import pytest

from container_images.aws.image import Image
from tests.lifecycle.documents import (
    ANY,
    ARCHIVE,
    IN_ARCHIVE,
    UNTAGGED,
    archiving,
    count,
    days_ago,
    image,
    images,
    older,
    outcome,
    policy,
    prefixed,
    rule,
    tagged,
    verdicts,
)

SEVERAL_RULES = images({"A beta-1 prod-1": 10, "B beta-2 prod-2": 9, "C beta-3": 8})
SEVERAL_TAGS_BY_AGE = images(
    {"A alpha-1": 12, "B beta-1": 11, "C alpha-2 beta-2": 10}
    | {"D alpha-3": 4, "E beta-3": 3, "F alpha-4 beta-4": 2}
)
SEVERAL_TAGS_BY_NUMBER = images(
    {"A alpha-1 beta-1 gamma-1": 10, "B alpha-2 beta-2": 9, "C alpha-3 beta-3 gamma-2": 8}
)
ALL_IMAGES = images({"A alpha-1": 4, "B beta-1": 3, "C": 2, "D alpha-2": 1})
# D and E are a day old. AWS counts E as the newest, so it came a moment later.
ALL_KINDS = images({"A alpha-1 beta-1": 4, "B": 3, "C alpha-2": 2, "D hash": 1.01, "E": 1})
OLD_AND_NEW = images({"old prod-1": 15, "new prod-2": 13, "other stg-1": 15})
UNTAGGED_IMAGES = images({"A": 3, "B": 2, "C prod-1": 4})


@pytest.mark.parametrize(
    ("document", "listed", "gone"),
    [
        pytest.param(policy(tagged("prod*") | older(14)), OLD_AND_NEW, {"old": 1}, id="age"),
        pytest.param(policy(UNTAGGED | count(1)), UNTAGGED_IMAGES, {"A": 1}, id="count"),
        pytest.param(
            policy(tagged("prod*") | count(1), tagged("beta*") | count(1)),
            SEVERAL_RULES,
            {"A": 1},
            id="several rules, A",
        ),
        pytest.param(
            policy(prefixed("prod") | count(1), prefixed("beta") | count(1)),
            SEVERAL_RULES,
            {"A": 1},
            id="several rules, A, in its older edition with prefixes",
        ),
        pytest.param(
            policy(tagged("beta*") | count(1), tagged("prod*") | count(1)),
            SEVERAL_RULES,
            {"A": 1, "B": 1},
            id="several rules, B",
        ),
        pytest.param(
            policy(tagged("alpha*", "beta*") | older(5)),
            SEVERAL_TAGS_BY_AGE,
            {"C": 1},
            id="several tags, A",
        ),
        pytest.param(
            policy(prefixed("alpha", "beta") | count(1)),
            SEVERAL_TAGS_BY_NUMBER,
            {"A": 1, "B": 1},
            id="several tags, B",
        ),
        pytest.param(
            policy(ANY | count(1)), ALL_IMAGES, {"A": 1, "B": 1, "C": 1}, id="all images, A"
        ),
        pytest.param(
            policy(tagged("alpha*") | count(1), UNTAGGED | older(1), ANY | count(1)),
            ALL_KINDS,
            {"A": 1, "B": 2, "D": 3},
            id="all images, B",
        ),
    ],
)
def test_example(document: dict[str, Any], listed: list[Image], gone: dict[str, int]) -> None:
    assert outcome(document, listed) == gone


def archived(digest: str, days: float) -> Image:
    return image(digest, days=900, archived=True, archived_at=days_ago(days))


@pytest.mark.parametrize(
    ("document", "listed", "actions"),
    [
        (
            archiving(ANY | older(90, "sinceImagePulled")),
            [
                image("1", "a", days=200, pulled_at=days_ago(80)),
                image("2", "b", days=200, pulled_at=days_ago(91)),
                image("3 never pulled", "c", days=91),
                image("4", "d", days=89),
            ],
            ["keep", "archive", "archive", "keep"],
        ),
        (
            policy(ANY | IN_ARCHIVE | older(365, "sinceImageTransitioned")),
            [archived("1", 366), archived("2", 364), image("3", days=900)],
            ["expire", "keep", "keep"],
        ),
        (
            archiving(tagged("prod*") | older(30)),
            images({"1 prod-1": 31, "2 prod-2": 29}),
            ["archive", "keep"],
        ),
        # The rule about any image comes first here: it sees the other storage class.
        (
            {
                "rules": [
                    rule(1, ANY | older(30), ARCHIVE),
                    rule(2, ANY | IN_ARCHIVE | older(365, "sinceImageTransitioned")),
                ]
            },
            [*images({"1 a": 10, "2 b": 31}), archived("3", 364), archived("4", 366)],
            ["keep", "archive", "keep", "expire"],
        ),
    ],
    ids=["not pulled", "expiring the archive", "archiving by age", "archiving and expiring"],
)
def test_example_of_the_archive(
    document: dict[str, Any], listed: list[Image], actions: list[str]
) -> None:
    result = verdicts(document, listed)
    assert [result[digest].action for digest in sorted(result)] == actions
