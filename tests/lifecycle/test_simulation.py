"""Each sentence of AWS's about the evaluator, with the smallest repository that shows it."""

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

RELEASES = images({"1 latest prod-1": 99, "2 prod-2": 0})
ARCHIVED = image("1", "a", days=99, archived=True, archived_at=days_ago(91))
NINETY = older(90, "sinceImageTransitioned")
INDEX = image("index", "a", children=("1",))
SIGNED = [image("1", "a", days=9), image("sig", subject="1")]


def case(sentence: str, document: Any, listed: Sequence[Image], gone: dict[str, int]) -> Any:
    return pytest.param(document, listed, gone, id=sentence)


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
        RELEASES,
        {},
    ),
    case("without the shield", policy(tagged("prod-*") | count(1)), RELEASES, {"1": 1}),
    case("a late shield", policy(tagged("prod-*") | count(1), LATEST), RELEASES, {"1": 1}),
    case(
        "a shield by prefix takes what it is to keep",
        policy(prefixed("latest") | count(1)),
        images({"1 latest": 9, "2 latest-arm64": 0}),
        {"1": 1},
    ),
    case(
        "all patterns must match, by whichever tags",
        policy(tagged("a-*", "b-*") | older(1)),
        images({"both a-1 b-1": 9, "one a-2": 9, "other b-2": 9}),
        {"both": 1},
    ),
    case(
        "one tag may match all patterns",
        policy(tagged("a-*", "*b") | older(1)),
        images({"one a-b c": 9}),
        {"one": 1},
    ),
    case(
        "all prefixes must match",
        policy(prefixed("a", "b") | older(1)),
        images({"both a-1 b-1": 9, "one a-2": 9}),
        {"both": 1},
    ),
    case("no wildcard", policy(prefixed("a*") | older(1)), images({"1 a-1": 9}), {}),
    case("untagged", policy(UNTAGGED | older(1)), images({"1 a": 9, "2": 9}), {"2": 1}),
    case("tagged", policy(tagged("*") | older(1)), images({"1 a": 9, "2": 9}), {"1": 1}),
    case("any", policy(ANY | older(1)), images({"1 a": 9, "2": 9}), {"1": 1, "2": 1}),
]
COUNTS = [
    case(
        "a count keeps the youngest",
        policy(UNTAGGED | count(2)),
        images({"1": 1, "2": 3, "3": 2}),
        {"2": 1},
    ),
    case(
        "a count counts what an earlier rule shields",
        policy(tagged("a") | count(9), ANY | count(1)),
        images({"1 a": 1, "2": 2, "3": 3}),
        {"2": 2, "3": 2},
    ),
    case(
        "a count leaves more where the shielded are old",
        policy(prefixed("a") | count(9), ANY | count(1)),
        images({"1 a": 8, "2 a-2": 9, "3": 1}),
        {},
    ),
    case(
        "a count counts what an earlier rule takes",
        policy(tagged("a*") | older(1), ANY | count(2)),
        images({"1 a": 5, "2 a2": 6, "3": 7}),
        {"1": 1, "2": 1, "3": 2},
    ),
    case("equally old", policy(UNTAGGED | count(1)), images({"a": 2, "b": 2}), {"a": 1}),
]
AGES = [
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
]
STORAGE_CLASSES = [
    case(
        "a rule sees one storage class",
        policy(tagged("a*") | older(1)),
        [ARCHIVED, image("2", "a2", days=99)],
        {"2": 1},
    ),
    case(
        "or the other",
        policy(tagged("a*") | IN_ARCHIVE | NINETY),
        [ARCHIVED, image("2", "a2", days=99)],
        {"1": 1},
    ),
    case("no place in a count", policy(ANY | count(1)), [ARCHIVED, image("2", days=100)], {}),
    case(
        "no shield in the other storage class",
        policy(tagged("a") | count(1), ANY | IN_ARCHIVE | NINETY),
        [ARCHIVED],
        {"1": 2},
    ),
    case(
        "time in the archive counts from the transition",
        policy(ANY | IN_ARCHIVE | NINETY),
        [
            image("exactly", days=999, archived=True, archived_at=days_ago(90)),
            image("longer", days=999, archived=True, archived_at=days_ago(90.01)),
            image("not known", days=999, archived=True),
        ],
        {"longer": 1},
    ),
]
INDEXES_AND_REFERRERS = [
    case(
        "an index that goes lets go",
        policy(tagged("a") | older(7), UNTAGGED | older(7)),
        [image("index", "a", days=9, children=("1",)), image("1", days=9)],
        {"index": 1, "1": 2},
    ),
    case(
        "indexes that list each other go together",
        policy(UNTAGGED | older(7)),
        [image("1", days=9, children=("2",)), image("2", days=9, children=("1",))],
        {"1": 1, "2": 1},
    ),
    case(
        "an index in the archive holds nothing",
        policy(UNTAGGED | older(7)),
        [
            image("index", "a", children=("1",), archived=True, archived_at=days_ago(1)),
            image("1", days=9),
        ],
        {"1": 1},
    ),
    case(
        "an image that is listed takes its place in a count",
        policy(UNTAGGED | count(1)),
        [INDEX, image("1", days=1), image("2", days=9)],
        {"2": 1},
    ),
    case(
        "a referrer goes with its subject",
        policy(tagged("a") | older(7)),
        [*SIGNED, image("sig of sig", subject="sig"), image("another", subject="2")],
        {"1": 1, "sig": 1, "sig of sig": 1},
    ),
    case(
        "a referrer is subject to the rules itself",
        policy(UNTAGGED | older(7)),
        [image("1", "a", days=9), image("sig", subject="1", days=9)],
        {"sig": 1},
    ),
    case(
        "and goes by its own rule then",
        policy(tagged("a") | older(7), UNTAGGED | older(7)),
        [image("1", "a", days=9), image("sig", subject="1", days=9)],
        {"1": 1, "sig": 2},
    ),
    case(
        "a referrer that an index lists does not go with its subject",
        policy(tagged("a") | older(7)),
        [*SIGNED, image("index", "b", children=("sig",))],
        {"1": 1},
    ),
    case(
        "a referrer in the archive expires with its subject",
        policy(tagged("a") | older(7)),
        [image("1", "a", days=9), image("sig", subject="1", archived=True)],
        {"1": 1, "sig": 1},
    ),
]


@pytest.mark.parametrize(
    ("document", "listed", "gone"),
    [*RULES, *COUNTS, *AGES, *STORAGE_CLASSES, *INDEXES_AND_REFERRERS],
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
