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
    NOW,
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

LATEST = tagged("latest") | count(1)
RELEASES = [image("1", "latest", "prod-1", days=99), image("2", "prod-2")]
ARCHIVED = image("1", "a", days=99, archived=True, archived_at=days_ago(91))
NINETY = older(90, "sinceImageTransitioned")


@pytest.mark.parametrize(
    ("document", "images", "gone"),
    [
        # Which rule decides.
        pytest.param(
            {"rules": [rule(20, tagged("b") | older(1)), rule(3, tagged("a") | count(1))]},
            [image("1", "a", "b", days=2), image("2", "a", days=1)],
            {"1": 3},
            id="the lower number decides wherever it stands",
        ),
        pytest.param(
            policy(LATEST, tagged("prod-*") | count(1), ANY | count(1)),
            RELEASES,
            {},
            id="a rule shields what it selects from every later one",
        ),
        pytest.param(
            policy(tagged("prod-*") | count(1)),
            RELEASES,
            {"1": 1},
            id="without the shield the same image goes",
        ),
        pytest.param(
            policy(tagged("prod-*") | count(1), LATEST),
            RELEASES,
            {"1": 1},
            id="a shield behind the rule that takes shields nothing",
        ),
        pytest.param(
            policy(prefixed("latest") | count(1)),
            [image("1", "latest", days=9), image("2", "latest-arm64")],
            {"1": 1},
            id="a shield by prefix takes what it is to keep",
        ),
        # What a rule selects.
        pytest.param(
            policy(tagged("a-*", "b-*") | older(1)),
            [
                image("both", "a-1", "b-1", days=9),
                image("one", "a-2", days=9),
                image("other", "b-2", days=9),
            ],
            {"both": 1},
            id="all patterns must match, by whichever tags",
        ),
        pytest.param(
            policy(tagged("a-*", "*b") | older(1)),
            [image("in one tag", "a-b", "c", days=9)],
            {"in one tag": 1},
            id="one tag may match all patterns",
        ),
        pytest.param(
            policy(prefixed("a", "b") | older(1)),
            [image("both", "a-1", "b-1", days=9), image("one", "a-2", days=9)],
            {"both": 1},
            id="all prefixes must match",
        ),
        pytest.param(
            policy(prefixed("a*") | older(1)),
            [image("1", "a-1", days=9)],
            {},
            id="an asterisk in a prefix is no wildcard",
        ),
        pytest.param(
            policy(UNTAGGED | older(1)),
            [image("1", "a", days=9), image("2", days=9)],
            {"2": 1},
            id="untagged",
        ),
        pytest.param(policy(tagged("*") | older(1)), [image("1", days=9)], {}, id="tagged"),
        pytest.param(
            policy(ANY | older(1)),
            [image("1", "a", days=9), image("2", days=9)],
            {"1": 1, "2": 1},
            id="any",
        ),
        # Counts.
        pytest.param(
            policy(UNTAGGED | count(2)),
            [image("1", days=1), image("2", days=3), image("3", days=2)],
            {"2": 1},
            id="a count keeps the youngest",
        ),
        pytest.param(
            policy(tagged("a") | count(9), ANY | count(1)),
            [image("1", "a", days=1), image("2", days=2), image("3", days=3)],
            {"2": 2, "3": 2},
            id="a count counts what an earlier rule shields",
        ),
        pytest.param(
            policy(prefixed("a") | count(9), ANY | count(1)),
            [image("1", "a", days=8), image("2", "a-2", days=9), image("3", days=1)],
            {},
            id="a count leaves more where the shielded are old",
        ),
        pytest.param(
            policy(tagged("a") | older(1), ANY | count(2)),
            [image("1", "a", days=5), image("2", "a", days=6), image("3", days=7)],
            {"1": 1, "2": 1, "3": 2},
            id="a count counts what an earlier rule takes",
        ),
        pytest.param(
            policy(UNTAGGED | count(1)),
            [image("a", days=2), image("b", days=2)],
            {"a": 1},
            id="of the same age, the lower digest goes",
        ),
        # Ages.
        pytest.param(
            policy(UNTAGGED | older(7)),
            [image("exactly", days=7), image("a second more", days=7 + 1 / 86_400)],
            {"a second more": 1},
            id="older than the days, not as old",
        ),
        pytest.param(
            policy(UNTAGGED | older(10**12)), [image("1", days=9)], {}, id="beyond all time"
        ),
        pytest.param(
            policy(UNTAGGED | older(3)),
            [image("1", days=90, activated_at=days_ago(2)), image("2", days=4)],
            {"2": 1},
            id="age counts from the last activation",
        ),
        pytest.param(
            policy(UNTAGGED | count(1)),
            [image("1", days=90, activated_at=days_ago(3)), image("2", days=4)],
            {"2": 1},
            id="so does the order",
        ),
        # The archive.
        pytest.param(
            policy(tagged("a") | older(1)),
            [ARCHIVED, image("2", "a", days=99)],
            {"2": 1},
            id="a rule sees one storage class",
        ),
        pytest.param(
            policy(tagged("a") | IN_ARCHIVE | NINETY),
            [ARCHIVED, image("2", "a", days=99)],
            {"1": 1},
            id="or the other",
        ),
        pytest.param(
            policy(ANY | count(1)),
            [ARCHIVED, image("2", days=100)],
            {},
            id="an archived image takes no place in a count",
        ),
        pytest.param(
            policy(tagged("a") | count(1), ANY | IN_ARCHIVE | NINETY),
            [ARCHIVED],
            {"1": 2},
            id="a rule of one storage class shields nothing in the other",
        ),
        pytest.param(
            policy(ANY | IN_ARCHIVE | NINETY),
            [
                image("exactly", days=999, archived=True, archived_at=days_ago(90)),
                image("longer", days=999, archived=True, archived_at=days_ago(90.01)),
                image("not known", days=999, archived=True),
            ],
            {"longer": 1},
            id="time in the archive counts from the transition",
        ),
        # Indexes and referrers.
        pytest.param(
            policy(tagged("a") | older(7), UNTAGGED | older(7)),
            [image("index", "a", days=9, children=("1",)), image("1", days=9)],
            {"index": 1, "1": 2},
            id="an index that goes lets go",
        ),
        pytest.param(
            policy(UNTAGGED | older(7)),
            [image("1", days=9, children=("2",)), image("2", days=9, children=("1",))],
            {"1": 1, "2": 1},
            id="indexes that list each other go together",
        ),
        pytest.param(
            policy(UNTAGGED | older(7)),
            [
                image("index", "a", children=("1",), archived=True, archived_at=days_ago(1)),
                image("1", days=9),
            ],
            {"1": 1},
            id="an index in the archive holds nothing",
        ),
        pytest.param(
            policy(UNTAGGED | count(1)),
            [image("index", "a", children=("1",)), image("1", days=1), image("2", days=9)],
            {"2": 1},
            id="an image that is listed takes its place in a count",
        ),
        pytest.param(
            policy(tagged("a") | older(7)),
            [
                image("1", "a", days=9),
                image("signature", subject="1"),
                image("signature of the signature", subject="signature"),
                image("another", subject="2"),
            ],
            {"1": 1, "signature": 1, "signature of the signature": 1},
            id="a referrer goes with its subject",
        ),
        pytest.param(
            policy(UNTAGGED | older(7)),
            [image("1", "a", days=9), image("signature", subject="1", days=9)],
            {"signature": 1},
            id="a referrer is subject to the rules itself",
        ),
        pytest.param(
            policy(tagged("a") | older(7), UNTAGGED | older(7)),
            [image("1", "a", days=9), image("signature", subject="1", days=9)],
            {"1": 1, "signature": 2},
            id="and goes by its own rule then",
        ),
        pytest.param(
            policy(tagged("a") | older(7)),
            [
                image("1", "a", days=9),
                image("index", "b", children=("signature",)),
                image("signature", subject="1"),
            ],
            {"1": 1},
            id="a referrer that an index lists does not go with its subject",
        ),
        pytest.param(
            policy(tagged("a") | older(7)),
            [image("1", "a", days=9), image("signature", subject="1", archived=True)],
            {"1": 1, "signature": 1},
            id="a referrer in the archive expires with its subject",
        ),
    ],
)
def test_what_goes_by_which_rule(
    document: dict[str, Any], images: Sequence[Image], gone: dict[str, int]
) -> None:
    assert outcome(document, images) == gone


def test_a_verdict_names_what_takes_what_shields_and_what_holds() -> None:
    document = {
        "rules": [
            rule(7, tagged("a*") | count(1)),
            rule(30, UNTAGGED | older(5), ARCHIVE),
            rule(900, tagged("c") | count(1)),
        ]
    }
    images = [
        image("shielded", "a-1", days=1, children=("held", "inner")),
        image("inner", days=8, children=("part",)),
        *(image("part", days=9), image("held", days=9), image("taken", days=9)),
        image("free", "b", days=99),
    ]
    verdict = verdicts(document, images)
    assert {
        digest: (it.action, it.rule, it.shielded_by, it.held_by) for digest, it in verdict.items()
    } == {
        "shielded": ("keep", None, 7, None),
        "inner": ("keep", None, None, "shielded"),
        "part": ("keep", None, None, "inner"),
        "held": ("keep", None, None, "shielded"),
        "taken": ("archive", 30, None, None),
        "free": ("keep", None, None, None),
    }


@pytest.mark.parametrize(
    ("wanted", "tag", "found"),
    [
        ("prod", "prod", True),
        ("prod", "prod1", False),
        ("prod", "a-prod", False),
        ("prod*", "prod", True),
        ("prod*", "production-team1", True),
        ("prod*", "a-prod", False),
        ("*prod*", "repo-production", True),
        ("*prod", "repo-prod", True),
        ("*prod", "repo-production", False),
        ("a*b*c", "abc", True),
        ("a*b*c", "acb", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*ab*ab*", "aba", False),
        ("*ab*b", "ab", False),
        ("a.c*", "abc", False),
        ("**", "anything", True),
        ("*+*", "a", False),
    ],
)
def test_wildcards(wanted: str, tag: str, found: bool) -> None:  # noqa: FBT001 a column
    assert outcome(policy(tagged(wanted) | older(1)), [image("1", tag, days=9)]) == (
        {"1": 1} if found else {}
    )


def test_a_tag_is_found_among_its_neighbours() -> None:
    tags = ["prod", "prod-", "prod-1", "prod-2", "prod.", "proe", "prp", "a", "z"]
    images = [image(tag, tag, days=9) for tag in tags]
    assert set(outcome(policy(tagged("prod-*") | older(1)), images)) == {*tags[1:4]}
    assert set(outcome(policy(tagged("prod") | older(1)), images)) == {"prod"}
    assert set(outcome(policy(prefixed("prod") | older(1)), images)) == {*tags[:5]}


def test_four_wildcards_do_not_keep_the_search_busy() -> None:
    """With backtracking this takes millions of steps, and seconds for a hundred images."""
    images = [image(str(number), "a" * 127 + "b", days=9) for number in range(1000)]
    assert outcome(policy(tagged("a*a*a*a*a") | older(1)), images) == {}


@pytest.mark.parametrize(
    ("times", "archived"),
    [
        ({}, True),
        ({"pulled_at": days_ago(29)}, False),
        ({"pulled_at": days_ago(31)}, True),
        ({"activated_at": days_ago(29)}, False),
        ({"activated_at": days_ago(31)}, True),
        ({"activated_at": days_ago(29), "pulled_at": days_ago(60)}, False),
        ({"activated_at": days_ago(60), "pulled_at": days_ago(29)}, False),
        ({"activated_at": days_ago(40), "pulled_at": days_ago(60)}, True),
    ],
)
def test_time_without_a_pull(times: dict[str, object], archived: bool) -> None:  # noqa: FBT001
    document = {"rules": [rule(1, ANY | older(30, "sinceImagePulled"), ARCHIVE)]}
    verdict = verdicts(document, [image("1", days=90, **times)])["1"]
    assert verdict.action == ("archive" if archived else "keep")


def test_a_referrer_is_archived_with_its_subject_once() -> None:
    document = {"rules": [rule(1, tagged("a") | older(7), ARCHIVE)]}
    images = [
        image("1", "a", days=9),
        image("signature", subject="1"),
        image("in the archive", subject="1", archived=True),
    ]
    verdict = verdicts(document, images)
    assert (verdict["signature"].action, verdict["signature"].goes_with) == ("archive", "1")
    assert verdict["in the archive"].action == "keep"


def test_the_youngest_comes_first() -> None:
    images = [image("b", days=2), image("a", days=2), image("c", days=1)]
    order = simulate(rules_in(policy(UNTAGGED | count(2))), images, NOW)
    assert [verdict.image.digest for verdict in order] == ["c", "b", "a"]
