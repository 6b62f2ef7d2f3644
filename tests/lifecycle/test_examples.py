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
    count,
    days_ago,
    image,
    older,
    outcome,
    policy,
    prefixed,
    rule,
    tagged,
    verdicts,
)

SEVERAL_RULES = [
    image("A", "beta-1", "prod-1", days=10),
    image("B", "beta-2", "prod-2", days=9),
    image("C", "beta-3", days=8),
]
SEVERAL_TAGS_BY_AGE = [
    image("A", "alpha-1", days=12),
    image("B", "beta-1", days=11),
    image("C", "alpha-2", "beta-2", days=10),
    image("D", "alpha-3", days=4),
    image("E", "beta-3", days=3),
    image("F", "alpha-4", "beta-4", days=2),
]
SEVERAL_TAGS_BY_NUMBER = [
    image("A", "alpha-1", "beta-1", "gamma-1", days=10),
    image("B", "alpha-2", "beta-2", days=9),
    image("C", "alpha-3", "beta-3", "gamma-2", days=8),
]
ALL_IMAGES = [
    image("A", "alpha-1", days=4),
    image("B", "beta-1", days=3),
    image("C", days=2),
    image("D", "alpha-2", days=1),
]
ALL_KINDS = [
    image("A", "alpha-1", "beta-1", days=4),
    image("B", days=3),
    image("C", "alpha-2", days=2),
    # Both are a day old. AWS counts the second as the newest, so it came a moment later.
    image("D", "git hash", days=1.01),
    image("E", days=1),
]
OLD_AND_NEW = [
    image("old", "prod-1", days=15),
    image("new", "prod-2", days=13),
    image("other", "stg-1", days=15),
]
UNTAGGED_IMAGES = [image("A", days=3), image("B", days=2), image("C", "prod-1", days=4)]


@pytest.mark.parametrize(
    ("document", "images", "gone"),
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
def test_example(document: dict[str, Any], images: list[Image], gone: dict[str, int]) -> None:
    assert outcome(document, images) == gone


def test_example_of_archiving_what_is_not_pulled() -> None:
    document = {"rules": [rule(1, ANY | older(90, "sinceImagePulled"), ARCHIVE)]}
    images = [
        image("pulled", "a", days=200, pulled_at=days_ago(80)),
        image("not pulled for long", "b", days=200, pulled_at=days_ago(91)),
        image("never pulled", "c", days=91),
        image("new", "d", days=89),
    ]
    found = verdicts(document, images)
    assert {it.image.digest for it in found.values() if it.action == "archive"} == {
        "not pulled for long",
        "never pulled",
    }


def test_example_of_expiring_what_was_archived() -> None:
    document = policy(ANY | IN_ARCHIVE | older(365, "sinceImageTransitioned"))
    images = [
        image("long", days=900, archived=True, archived_at=days_ago(366)),
        image("short", days=900, archived=True, archived_at=days_ago(364)),
        image("not archived", days=900),
    ]
    assert outcome(document, images) == {"long": 1}


def test_example_of_archiving_by_age() -> None:
    document = {"rules": [rule(1, tagged("prod*") | older(30), ARCHIVE)]}
    images = [image("old", "prod-1", days=31), image("new", "prod-2", days=29)]
    assert [it.action for it in verdicts(document, images).values()] == ["keep", "archive"]


def test_example_of_archiving_and_expiring() -> None:
    """The rule about any image comes first here: it sees the other storage class."""
    document = {
        "rules": [
            rule(1, ANY | older(30), ARCHIVE),
            rule(2, ANY | IN_ARCHIVE | older(365, "sinceImageTransitioned")),
        ]
    }
    images = [
        image("new", "a", days=10),
        image("old", "b", days=31),
        image("archived", "c", days=400, archived=True, archived_at=days_ago(364)),
        image("archived long ago", "d", days=400, archived=True, archived_at=days_ago(366)),
    ]
    assert {digest: it.action for digest, it in verdicts(document, images).items()} == {
        "new": "keep",
        "old": "archive",
        "archived": "keep",
        "archived long ago": "expire",
    }
