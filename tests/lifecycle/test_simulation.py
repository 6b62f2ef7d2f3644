"""AWS's worked examples, and each sentence of its documentation with the smallest repository.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_examples.html
"""

from dataclasses import replace
from typing import Any

import pytest

from container_images.aws.image import Image
from tests.lifecycle.documents import (
    ANY,
    ARCHIVE,
    EXPIRE_ARCHIVED,
    LATEST,
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

Case = tuple[str, dict[str, Any], str | list[Image], str]


def archived(digest: str, *tags: str, days: float) -> Image:
    """An image that came into the archive so many days ago."""
    return image(digest, *tags, days=999, archived=True, archived_at=days_ago(days))


UNPULLED = [
    *images("1 a 91, 2 b 89"),
    image("3", "c", days=200, pulled_at=days_ago(80)),
    image("4", "d", days=200, pulled_at=days_ago(91)),
]
BETA, PROD = tagged("beta*") | count(1), tagged("prod*") | count(1)
BETA_PREFIX, PROD_PREFIX = prefixed("beta") | count(1), prefixed("prod") | count(1)
SEVERAL_RULES = "A beta-1 prod-1 10, B beta-2 prod-2 9, C beta-3 8"
SEVERAL_TAGS = "A alpha-1 12, B beta-1 11, C alpha-2 beta-2 10, D alpha-3 4, F alpha-4 beta-4 2"
SEVERAL_PREFIXES = "A alpha-1 beta-1 c-1 10, B alpha-2 beta-2 9, C alpha-3 beta-3 c-2 8"
ALPHA_THEN_ALL = policy(tagged("alpha*") | count(1), UNTAGGED | older(1), ANY | count(1))
EXAMPLES: list[Case] = [
    ("age", policy(tagged("prod*") | older(14)), "A prod-1 15, B prod-2 13, C stg-1 15", "A:1"),
    ("count", policy(UNTAGGED | count(1)), "A 3, B 2, C prod-1 4", "A:1"),
    ("several rules, A", policy(PROD, BETA), SEVERAL_RULES, "A:1"),
    ("its older edition", policy(PROD_PREFIX, BETA_PREFIX), SEVERAL_RULES, "A:1"),
    ("several rules, B", policy(BETA, PROD), SEVERAL_RULES, "A:1 B:1"),
    ("several tags, A", policy(tagged("alpha*", "beta*") | older(5)), SEVERAL_TAGS, "C:1"),
    ("B", policy(prefixed("alpha", "beta") | count(1)), SEVERAL_PREFIXES, "A:1 B:1"),
    ("all, A", policy(ANY | count(1)), "A alpha-1 4, B beta-1 3, C 2, D alpha-2 1", "A:1 B:1 C:1"),
    # D and E are a day old; AWS counts E as the newest.
    (
        "all, B",
        ALPHA_THEN_ALL,
        "A alpha-1 beta-1 4, B 3, C alpha-2 2, D hash 1.01, E 1",
        "A:1 B:2 D:3",
    ),
    (
        "archiving what is not pulled",
        archiving(ANY | older(90, "sinceImagePulled")),
        UNPULLED,
        "1:1 4:1",
    ),
    (
        "archiving and expiring",  # the first rule sees the other storage class
        {"rules": [rule(1, ANY | older(30), ARCHIVE), rule(2, EXPIRE_ARCHIVED)]},
        [*images("1 a 10, 2 b 31"), archived("3", days=89), archived("4", days=91)],
        "2:1 4:2",
    ),
]
PULLED = [
    image(name, days=90, activated_at=days_ago(activated), pulled_at=days_ago(pulled))
    for name, activated, pulled in (("1", 29, 60), ("2", 60, 29), ("3", 40, 60))
]
RESTORED = image("1", days=90, activated_at=days_ago(2))
ANY_ORDER = {"rules": [rule(20, tagged("b") | older(1)), rule(3, tagged("a*") | count(1))]}
RULES: list[Case] = [
    ("the lower number decides wherever it stands", ANY_ORDER, "1 a b 2, 2 a2 1", "1:3"),
    # What a rule selects is shielded from every later one, and from no earlier one.
    ("shield", policy(LATEST, PROD, ANY | count(1)), "1 latest prod-1 99, 2 prod-2 0", ""),
    ("shield behind it", policy(PROD, LATEST), "1 latest prod-1 99, 2 prod-2 0", "1:1"),
    ("shield by prefix", policy(prefixed("latest") | count(1)), "1 latest 9, 2 latest-a 0", "1:1"),
    ("one tag may match all", policy(tagged("a-*", "*b") | older(1)), "1 a-b c 9", "1:1"),
    ("no wildcard", policy(prefixed("a*") | older(1)), "1 a-1 9", ""),
    ("tagged", policy(tagged("*") | older(1)), "1 a 9, 2 9", "1:1"),
    # A count counts what an earlier rule shields or takes.
    ("count", policy(tagged("a") | count(9), ANY | count(1)), "1 a 1, 2 2, 3 3", "2:2 3:2"),
    ("", policy(tagged("a*") | older(1), ANY | count(2)), "1 a 5, 2 a2 6, 3 7", "1:1 2:1 3:2"),
    ("equally old", policy(UNTAGGED | count(1)), "a 2, b 2", "a:1"),
    ("older, not as old", policy(UNTAGGED | older(7)), "exactly 7, longer 7.0001", "longer:1"),
    ("beyond all time", policy(UNTAGGED | older(10**12)), "1 9", ""),
    # Age and order count from the last activation.
    ("restored", policy(UNTAGGED | older(3)), [RESTORED, image("2", days=4)], "2:1"),
    ("restored", policy(UNTAGGED | count(1)), [RESTORED, image("2", days=4)], "2:1"),
    ("restored since", archiving(ANY | older(30, "sinceImagePulled")), PULLED, "3:1"),
    # The archive is apart: in counts, in shields, and in when its time begins.
    ("archive", policy(ANY | count(1)), [archived("1", days=9), image("2", days=1000)], ""),
    ("", policy(tagged("a") | count(1), EXPIRE_ARCHIVED), [archived("1", "a", days=91)], "1:2"),
    (
        "",
        policy(EXPIRE_ARCHIVED),
        [archived("exactly", days=90), archived("longer", days=90.01), image("?", archived=True)],
        "longer:1",
    ),
]
TAKE_OLD = policy(tagged("a") | older(7), UNTAGGED | older(7))
OLD, INDEX = image("1", days=9), image("index", "a", children=("1",))
SUBJECT = image("1", "a", days=9)
SIGNED = [SUBJECT, image("sig", subject="1")]
SIGNATURES = [image("sig of sig", subject="sig"), image("another", subject="2")]
INDEXES_AND_REFERRERS: list[Case] = [
    (
        "an index that goes lets go",
        TAKE_OLD,
        [image("2", "a", days=9, children=("1",)), OLD],
        "1:2 2:1",
    ),
    (
        "indexes that list each other go together",
        TAKE_OLD,
        [replace(OLD, children=("2",)), image("2", days=9, children=("1",))],
        "1:2 2:2",
    ),
    ("an index in the archive", TAKE_OLD, [replace(INDEX, archived=True), OLD], "1:2"),
    ("takes a place", policy(UNTAGGED | count(1)), [INDEX, OLD, image("2", days=10)], "2:1"),
    ("goes with its subject", TAKE_OLD, [*SIGNED, *SIGNATURES], "1:1 sig:1 sig of sig:1"),
    ("by its own rule", TAKE_OLD, [SUBJECT, image("sig", subject="1", days=9)], "1:1 sig:2"),
    ("an index lists it", TAKE_OLD, [*SIGNED, image("index", "b", children=("sig",))], "1:1"),
    ("archived", TAKE_OLD, [SUBJECT, image("sig", subject="1", archived=True)], "1:1 sig:1"),
]


@pytest.mark.parametrize(
    ("sentence", "document", "listed", "gone"), [*EXAMPLES, *RULES, *INDEXES_AND_REFERRERS]
)
def test_what_goes_by_which_rule(
    sentence: str, document: dict[str, Any], listed: str | list[Image], gone: str
) -> None:
    """`DIGEST:RULE` of each image that goes."""
    listed = images(listed) if isinstance(listed, str) else listed
    rules = sorted(outcome(document, listed).items())
    assert " ".join(f"{digest}:{number}" for digest, number in rules) == gone, sentence


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
        *images("part 9, held 9, taken 9, free b 99"),
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


def test_a_referrer_is_archived_with_its_subject_once() -> None:
    old_signature = image("archived", subject="1", archived=True)
    verdict = verdicts(archiving(tagged("a") | older(7)), [*SIGNED, old_signature])
    assert (verdict["sig"].action, verdict["sig"].goes_with) == ("archive", "1")
    assert verdict["archived"].action == "keep"


def test_the_youngest_comes_first() -> None:
    assert [*verdicts(policy(UNTAGGED | count(2)), images("b 2, a 2, c 1"))] == ["c", "b", "a"]
