"""AWS's worked examples, and each sentence of its documentation with the smallest repository.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_examples.html
"""

from collections.abc import Sequence
from typing import Any

import pytest

from container_images.aws.image import Image
from container_images.lifecycle.document import rules_in
from container_images.lifecycle.simulation import simulate
from tests.lifecycle.documents import (
    ANY,
    ARCHIVE,
    IN_ARCHIVE,
    LATEST,
    NOW,
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

EXPIRE_ARCHIVED = ANY | IN_ARCHIVE | older(90, "sinceImageTransitioned")


def case(sentence: str, document: Any, listed: Sequence[Image], gone: dict[str, int]) -> Any:
    return pytest.param(document, listed, gone, id=sentence)


def archived(digest: str, *tags: str, days: float) -> Image:
    """An image that came into the archive so many days ago."""
    return image(digest, *tags, days=999, archived=True, archived_at=days_ago(days))


SEVERAL_RULES = images({"A beta-1 prod-1": 10, "B beta-2 prod-2": 9, "C beta-3": 8})
BETA, PROD = tagged("beta*") | count(1), tagged("prod*") | count(1)
EXAMPLES = [
    case(
        "age",
        policy(tagged("prod*") | older(14)),
        images({"old prod-1": 15, "new prod-2": 13, "other stg-1": 15}),
        {"old": 1},
    ),
    case("count", policy(UNTAGGED | count(1)), images({"A": 3, "B": 2, "C prod-1": 4}), {"A": 1}),
    case("several rules, A", policy(PROD, BETA), SEVERAL_RULES, {"A": 1}),
    case(
        "several rules, A, in its older edition with prefixes",
        policy(prefixed("prod") | count(1), prefixed("beta") | count(1)),
        SEVERAL_RULES,
        {"A": 1},
    ),
    case("several rules, B", policy(BETA, PROD), SEVERAL_RULES, {"A": 1, "B": 1}),
    case(
        "several tags, A",
        policy(tagged("alpha*", "beta*") | older(5)),
        images(
            {"A alpha-1": 12, "B beta-1": 11, "C alpha-2 beta-2": 10}
            | {"D alpha-3": 4, "E beta-3": 3, "F alpha-4 beta-4": 2}
        ),
        {"C": 1},
    ),
    case(
        "several tags, B",
        policy(prefixed("alpha", "beta") | count(1)),
        images(
            {"A alpha-1 beta-1 gamma-1": 10, "B alpha-2 beta-2": 9, "C alpha-3 beta-3 gamma-2": 8}
        ),
        {"A": 1, "B": 1},
    ),
    case(
        "all images, A",
        policy(ANY | count(1)),
        images({"A alpha-1": 4, "B beta-1": 3, "C": 2, "D alpha-2": 1}),
        {"A": 1, "B": 1, "C": 1},
    ),
    case(
        "all images, B",  # D and E are a day old; AWS counts E as the newest
        policy(tagged("alpha*") | count(1), UNTAGGED | older(1), ANY | count(1)),
        images({"A alpha-1 beta-1": 4, "B": 3, "C alpha-2": 2, "D hash": 1.01, "E": 1}),
        {"A": 1, "B": 2, "D": 3},
    ),
    case(
        "archiving what is not pulled",
        archiving(ANY | older(90, "sinceImagePulled")),
        [
            image("1", "a", days=200, pulled_at=days_ago(80)),
            image("2", "b", days=200, pulled_at=days_ago(91)),
            *images({"3 c": 91, "4 d": 89}),
        ],
        {"2": 1, "3": 1},
    ),
    case(
        "archiving and expiring",  # the first rule sees the other storage class
        {"rules": [rule(1, ANY | older(30), ARCHIVE), rule(2, EXPIRE_ARCHIVED)]},
        [*images({"1 a": 10, "2 b": 31}), archived("3", days=89), archived("4", days=91)],
        {"2": 1, "4": 2},
    ),
]
RULES = [
    case(
        "the lower number decides wherever it stands",
        {"rules": [rule(20, tagged("b") | older(1)), rule(3, tagged("a*") | count(1))]},
        images({"1 a b": 2, "2 a2": 1}),
        {"1": 3},
    ),
    case(
        "a rule shields what it selects from every later one",
        policy(LATEST, tagged("prod-*") | count(1), ANY | count(1)),
        images({"1 latest prod-1": 99, "2 prod-2": 0}),
        {},
    ),
    case(
        "a shield behind the rule that takes shields nothing",
        policy(tagged("prod-*") | count(1), LATEST),
        images({"1 latest prod-1": 99, "2 prod-2": 0}),
        {"1": 1},
    ),
    case(
        "a shield by prefix takes what it is to keep",
        policy(prefixed("latest") | count(1)),
        images({"1 latest": 9, "2 latest-arm64": 0}),
        {"1": 1},
    ),
    case(
        "one tag may match all patterns",
        policy(tagged("a-*", "*b") | older(1)),
        images({"one a-b c": 9}),
        {"one": 1},
    ),
    case("no wildcard", policy(prefixed("a*") | older(1)), images({"1 a-1": 9}), {}),
    case("tagged", policy(tagged("*") | older(1)), images({"1 a": 9, "2": 9}), {"1": 1}),
    case(
        "a count counts what an earlier rule shields",
        policy(tagged("a") | count(9), ANY | count(1)),
        images({"1 a": 1, "2": 2, "3": 3}),
        {"2": 2, "3": 2},
    ),
    case(
        "a count counts what an earlier rule takes",
        policy(tagged("a*") | older(1), ANY | count(2)),
        images({"1 a": 5, "2 a2": 6, "3": 7}),
        {"1": 1, "2": 1, "3": 2},
    ),
    case("equally old", policy(UNTAGGED | count(1)), images({"a": 2, "b": 2}), {"a": 1}),
    case(
        "older than the days, not as old",
        policy(UNTAGGED | older(7)),
        images({"exactly": 7, "longer": 7 + 1 / 86_400}),
        {"longer": 1},
    ),
    case("beyond all time", policy(UNTAGGED | older(10**12)), images({"1": 9}), {}),
    case(
        "age counts from the last activation",
        policy(UNTAGGED | older(3)),
        [image("1", days=90, activated_at=days_ago(2)), image("2", days=4)],
        {"2": 1},
    ),
    case(
        "so does the order",
        policy(UNTAGGED | count(1)),
        [image("1", days=90, activated_at=days_ago(3)), image("2", days=4)],
        {"2": 1},
    ),
    case(
        "an archived image takes no place in a count",
        policy(ANY | count(1)),
        [archived("1", days=9), image("2", days=1000)],
        {},
    ),
    case(
        "a rule of one storage class shields nothing in the other",
        policy(tagged("a") | count(1), EXPIRE_ARCHIVED),
        [archived("1", "a", days=91)],
        {"1": 2},
    ),
    case(
        "time in the archive counts from the transition",
        policy(EXPIRE_ARCHIVED),
        [archived("exactly", days=90), archived("longer", days=90.01), image("?", archived=True)],
        {"longer": 1},
    ),
]
TAKE_OLD = policy(tagged("a") | older(7), UNTAGGED | older(7))
SIGNED = [image("1", "a", days=9), image("sig", subject="1")]
INDEXES_AND_REFERRERS = [
    case(
        "an index that goes lets go",
        TAKE_OLD,
        [image("index", "a", days=9, children=("1",)), image("1", days=9)],
        {"index": 1, "1": 2},
    ),
    case(
        "indexes that list each other go together",
        TAKE_OLD,
        [image("1", days=9, children=("2",)), image("2", days=9, children=("1",))],
        {"1": 2, "2": 2},
    ),
    case(
        "an index in the archive holds nothing",
        TAKE_OLD,
        [image("index", "a", children=("1",), archived=True), image("1", days=9)],
        {"1": 2},
    ),
    case(
        "an image that is listed takes its place in a count",
        policy(UNTAGGED | count(1)),
        [image("index", "a", children=("1",)), image("1", days=1), image("2", days=9)],
        {"2": 1},
    ),
    case(
        "a referrer goes with its subject",
        TAKE_OLD,
        [*SIGNED, image("sig of sig", subject="sig"), image("another", subject="2")],
        {"1": 1, "sig": 1, "sig of sig": 1},
    ),
    case(
        "and goes by its own rule if there is one",
        TAKE_OLD,
        [image("1", "a", days=9), image("sig", subject="1", days=9)],
        {"1": 1, "sig": 2},
    ),
    case(
        "a referrer that an index lists does not go with its subject",
        TAKE_OLD,
        [*SIGNED, image("index", "b", children=("sig",))],
        {"1": 1},
    ),
    case(
        "a referrer in the archive expires with its subject",
        TAKE_OLD,
        [image("1", "a", days=9), image("sig", subject="1", archived=True)],
        {"1": 1, "sig": 1},
    ),
]


@pytest.mark.parametrize(
    ("document", "listed", "gone"), [*EXAMPLES, *RULES, *INDEXES_AND_REFERRERS]
)
def test_what_goes_by_which_rule(
    document: dict[str, Any], listed: Sequence[Image], gone: dict[str, int]
) -> None:
    assert outcome(document, listed) == gone


def test_a_verdict_names_what_takes_what_shields_and_what_holds() -> None:
    document = {
        "rules": [
            rule(7, tagged("a*") | count(1)),
            rule(30, UNTAGGED | older(5), ARCHIVE),
            rule(900, tagged("c") | count(1)),
        ]
    }
    listed = [
        image("shielded", "a-1", days=1, children=("held", "inner")),
        image("inner", days=8, children=("part",)),
        *images({"part": 9, "held": 9, "taken": 9, "free b": 99}),
    ]
    assert {
        digest: (verdict.action, verdict.rule, verdict.shielded_by, verdict.held_by)
        for digest, verdict in verdicts(document, listed).items()
    } == {
        "shielded": ("keep", None, 7, None),
        "inner": ("keep", None, None, "shielded"),
        "part": ("keep", None, None, "inner"),
        "held": ("keep", None, None, "shielded"),
        "taken": ("archive", 30, None, None),
        "free": ("keep", None, None, None),
    }


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("prod", "prod", "prod1 a-prod"),
        ("prod*", "prod production-team1", "a-prod"),
        ("prod-*", "prod- prod-1 prod-2", "prod prod. proe prp a z"),
        ("*prod*", "repo-production", "prd"),
        ("*prod", "repo-prod", "repo-production"),
        ("a*b*c", "abc", "acb"),
        ("a*a", "aa", "a"),
        ("*ab*ab*", "abab", "aba"),
        ("*ab*b", "abb", "ab"),
        ("a.c*", "a.c", "abc"),
        ("**", "anything", ""),
        ("*+*", "", "a"),
    ],
)
def test_wildcards(pattern: str, matching: str, others: str) -> None:
    listed = [image(tag, tag, days=9) for tag in f"{matching} {others}".split()]
    assert {*outcome(policy(tagged(pattern) | older(1)), listed)} == {*matching.split()}


def test_four_wildcards_do_not_keep_the_search_busy() -> None:
    """With backtracking this takes millions of steps, and seconds for a hundred images."""
    listed = [image(str(number), f"{'a' * 120}b{number}", days=9) for number in range(1000)]
    assert outcome(policy(tagged("a*a*a*a*a") | older(1)), listed) == {}


@pytest.mark.parametrize(
    ("activated", "pulled", "action"),
    [
        (None, None, "archive"),
        (None, 29, "keep"),
        (None, 31, "archive"),
        (29, None, "keep"),
        (31, None, "archive"),
        (29, 60, "keep"),
        (60, 29, "keep"),
        (40, 60, "archive"),
    ],
)
def test_time_without_a_pull(activated: int | None, pulled: int | None, action: str) -> None:
    times = {"activated_at": activated, "pulled_at": pulled}
    ago = {key: days_ago(days) for key, days in times.items() if days}
    document = archiving(ANY | older(30, "sinceImagePulled"))
    assert verdicts(document, [image("1", days=90, **ago)])["1"].action == action


def test_a_referrer_is_archived_with_its_subject_once() -> None:
    archived = image("archived", subject="1", archived=True)
    verdict = verdicts(archiving(tagged("a") | older(7)), [*SIGNED, archived])
    assert (verdict["sig"].action, verdict["sig"].goes_with) == ("archive", "1")
    assert verdict["archived"].action == "keep"


def test_the_youngest_comes_first() -> None:
    order = simulate(rules_in(policy(UNTAGGED | count(2))), images({"b": 2, "a": 2, "c": 1}), NOW)
    assert [verdict.image.digest for verdict in order] == ["c", "b", "a"]
