"""Each sentence of AWS's about the evaluator, with the smallest repository that shows it."""

import pytest

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


def test_the_lower_number_decides_wherever_it_stands() -> None:
    one, two = image("1", "a", "b", days=2), image("2", "a", days=1)
    document = {"rules": [rule(20, tagged("b") | older(1)), rule(3, tagged("a") | count(1))]}
    assert outcome(document, [one, two]) == {"1": 3}


def test_the_numbers_need_not_be_consecutive() -> None:
    document = {"rules": [rule(7, tagged("a*") | count(1)), rule(900, ANY | count(1))]}
    found = verdicts(document, [image("1", "a-1", days=1), image("2"), image("3", days=2)])
    assert (found["1"].shielded_by, found["3"].rule) == (7, 900)


def test_a_rule_shields_what_it_selects_from_every_later_one() -> None:
    images = [image("1", "latest", "prod-1", days=99), image("2", "prod-2")]
    found = verdicts(policy(LATEST, tagged("prod-*") | count(1), ANY | count(1)), images)
    assert (found["1"].action, found["1"].rule, found["1"].shielded_by) == ("keep", None, 1)


def test_without_the_shield_the_same_image_goes() -> None:
    images = [image("1", "latest", "prod-1", days=99), image("2", "prod-2")]
    assert outcome(policy(tagged("prod-*") | count(1)), images) == {"1": 1}


def test_a_shield_behind_the_rule_that_takes_shields_nothing() -> None:
    images = [image("1", "latest", "prod-1", days=99), image("2", "prod-2")]
    assert outcome(policy(tagged("prod-*") | count(1), LATEST), images) == {"1": 1}


def test_a_shield_by_prefix_takes_what_it_is_to_keep() -> None:
    images = [image("1", "latest", days=9), image("2", "latest-arm64")]
    assert outcome(policy(prefixed("latest") | count(1)), images) == {"1": 1}


def test_an_image_that_no_rule_selects_is_kept_by_none() -> None:
    found = verdicts(policy(UNTAGGED | older(1)), [image("1", "a", days=99)])
    assert (found["1"].action, found["1"].rule, found["1"].shielded_by) == ("keep", None, None)


def test_an_image_that_goes_is_not_called_shielded() -> None:
    found = verdicts(policy(UNTAGGED | older(1)), [image("1", days=99)])
    assert (found["1"].action, found["1"].rule, found["1"].shielded_by) == ("expire", 1, None)


def test_all_patterns_of_a_rule_must_match_by_whichever_tags() -> None:
    images = [
        image("both", "a-1", "b-1", days=9),
        image("one", "a-2", days=9),
        image("other", "b-2", days=9),
        image("in one tag", "a-b", "c", days=9),
    ]
    assert outcome(policy(tagged("a-*", "b-*") | older(1)), images) == {"both": 1}
    assert outcome(policy(tagged("a-*", "*b") | older(1)), images) == {"in one tag": 1}


def test_all_prefixes_of_a_rule_must_match() -> None:
    images = [image("both", "a-1", "b-1", days=9), image("one", "a-2", days=9)]
    assert outcome(policy(prefixed("a", "b") | older(1)), images) == {"both": 1}


def test_an_asterisk_in_a_prefix_is_no_wildcard() -> None:
    assert outcome(policy(prefixed("a*") | older(1)), [image("1", "a-1", days=9)]) == {}


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
        ("a*b*c", "a-b-c", True),
        ("a*b*c", "abc", True),
        ("a*b*c", "acb", False),
        ("a*b*c", "a-c-b", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*ab*ab*", "abab", True),
        ("*ab*ab*", "aba", False),
        ("*ab*b", "ab", False),
        ("a.c*", "abc", False),
        ("*", "anything", True),
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
    assert set(outcome(policy(tagged("prod-*") | older(1)), images)) == {
        "prod-",
        "prod-1",
        "prod-2",
    }
    assert set(outcome(policy(tagged("prod") | older(1)), images)) == {"prod"}
    assert set(outcome(policy(prefixed("prod") | older(1)), images)) == {*tags[:5]}


def test_four_wildcards_do_not_keep_the_search_busy() -> None:
    """With backtracking this takes millions of steps, and seconds for a hundred images."""
    images = [image(str(number), "a" * 127 + "b", days=9) for number in range(1000)]
    assert outcome(policy(tagged("a*a*a*a*a") | older(1)), images) == {}


def test_untagged_is_about_images_without_a_tag() -> None:
    images = [image("1", "a", days=9), image("2", days=9)]
    assert outcome(policy(UNTAGGED | older(1)), images) == {"2": 1}


def test_tagged_is_never_about_images_without_a_tag() -> None:
    assert outcome(policy(tagged("*") | older(1)), [image("1", days=9)]) == {}


def test_any_is_about_all_images() -> None:
    images = [image("1", "a", days=9), image("2", days=9)]
    assert outcome(policy(ANY | older(1)), images) == {"1": 1, "2": 1}


def test_a_count_keeps_the_youngest() -> None:
    images = [image("1", days=1), image("2", days=3), image("3", days=2)]
    assert outcome(policy(UNTAGGED | count(2)), images) == {"2": 1}
    assert outcome(policy(UNTAGGED | count(3)), images) == {}


def test_a_count_counts_what_an_earlier_rule_shields() -> None:
    images = [image("1", "a", days=1), image("2", days=2), image("3", days=3)]
    assert outcome(policy(tagged("a") | count(9), ANY | count(2)), images) == {"3": 2}
    assert outcome(policy(tagged("a") | count(9), ANY | count(1)), images) == {"2": 2, "3": 2}


def test_a_count_leaves_more_where_the_shielded_are_old() -> None:
    images = [image("1", "a", days=8), image("2", "a-2", days=9), image("3", days=1)]
    found = verdicts(policy(prefixed("a") | count(9), ANY | count(1)), images)
    assert [it.action for it in found.values()] == ["keep", "keep", "keep"]


def test_a_count_counts_what_an_earlier_rule_takes() -> None:
    images = [image("1", "a", days=5), image("2", "a", days=6), image("3", days=7)]
    document = policy(tagged("a") | older(1), ANY | count(2))
    assert outcome(document, images) == {"1": 1, "2": 1, "3": 2}


def test_an_image_goes_when_it_is_older_than_the_days_not_before() -> None:
    images = [image("exactly", days=7), image("a second more", days=7 + 1 / 86_400)]
    assert outcome(policy(UNTAGGED | older(7)), images) == {"a second more": 1}


def test_days_beyond_all_time_take_nothing() -> None:
    assert outcome(policy(UNTAGGED | older(10**12)), [image("1", days=9)]) == {}


def test_age_counts_from_the_last_activation() -> None:
    images = [image("1", days=90, activated_at=days_ago(3)), image("2", days=4)]
    assert outcome(policy(UNTAGGED | older(5)), images) == {}
    assert outcome(policy(UNTAGGED | older(2)), images) == {"1": 1, "2": 1}
    assert outcome(policy(UNTAGGED | count(1)), images) == {"2": 1}


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
    found = verdicts(document, [image("1", days=90, **times)])
    assert found["1"].action == ("archive" if archived else "keep")


def test_a_rule_sees_one_storage_class() -> None:
    archived = image("1", "a", days=99, archived=True, archived_at=days_ago(91))
    there = image("2", "a", days=99)
    in_archive = tagged("a") | IN_ARCHIVE | older(90, "sinceImageTransitioned")
    assert outcome(policy(tagged("a") | older(1)), [archived, there]) == {"2": 1}
    assert outcome(policy(in_archive), [archived, there]) == {"1": 1}


def test_an_archived_image_takes_no_place_in_a_count() -> None:
    images = [image("1", archived=True, archived_at=days_ago(0)), image("2", days=9)]
    assert outcome(policy(UNTAGGED | count(1)), images) == {}


def test_a_rule_of_one_storage_class_shields_nothing_in_the_other() -> None:
    archived = image("1", "latest", days=999, archived=True, archived_at=days_ago(91))
    in_archive = ANY | IN_ARCHIVE | older(90, "sinceImageTransitioned")
    assert outcome(policy(LATEST, in_archive), [archived]) == {"1": 2}


def test_time_in_the_archive_counts_from_the_transition() -> None:
    document = policy(ANY | IN_ARCHIVE | older(90, "sinceImageTransitioned"))
    images = [
        image("exactly", days=999, archived=True, archived_at=days_ago(90)),
        image("longer", days=999, archived=True, archived_at=days_ago(90.01)),
        image("not known", days=999, archived=True),
    ]
    assert outcome(document, images) == {"longer": 1}


def test_a_transition_is_no_expiry() -> None:
    document = {"rules": [rule(1, ANY | count(1), ARCHIVE)]}
    found = verdicts(document, [image("1"), image("2", days=1)])
    assert (found["2"].action, found["2"].rule) == ("archive", 1)


# --- What belongs together ------------------------------------------------------------------------


def test_an_index_holds_what_it_lists() -> None:
    images = [image("index", "a", children=("1", "2")), image("1", days=9), image("3", days=9)]
    found = verdicts(policy(UNTAGGED | older(7)), images)
    assert (found["1"].action, found["1"].rule, found["1"].held_by) == ("keep", None, "index")
    assert found["1"].shielded_by is None
    assert (found["3"].action, found["3"].held_by) == ("expire", None)


def test_an_index_that_goes_lets_go() -> None:
    images = [image("index", "a", days=9, children=("1",)), image("1", days=9)]
    document = policy(tagged("a") | older(7), UNTAGGED | older(7))
    assert outcome(document, images) == {"index": 1, "1": 2}


def test_one_index_that_stays_is_enough() -> None:
    images = [
        image("gone", "a", days=9, children=("1",)),
        image("there", "b", days=9, children=("1",)),
        image("1", days=9),
    ]
    document = policy(tagged("a") | older(7), UNTAGGED | older(7))
    found = verdicts(document, images)
    assert (found["gone"].action, found["1"].held_by) == ("expire", "there")


def test_an_index_in_an_index_holds_too() -> None:
    images = [
        image("outer", "a", days=9, children=("inner",)),
        image("inner", days=9, children=("1",)),
        image("1", days=9),
    ]
    found = verdicts(policy(UNTAGGED | older(7)), images)
    assert (found["inner"].held_by, found["1"].held_by) == ("outer", "inner")


def test_indexes_that_list_each_other_go_together() -> None:
    images = [image("1", days=9, children=("2",)), image("2", days=9, children=("1",))]
    assert outcome(policy(UNTAGGED | older(7)), images) == {"1": 1, "2": 1}


def test_an_index_in_the_archive_holds_nothing() -> None:
    index = image("index", "a", children=("1",), archived=True, archived_at=days_ago(1))
    assert outcome(policy(UNTAGGED | older(7)), [index, image("1", days=9)]) == {"1": 1}


def test_an_inner_index_in_the_archive_holds_nothing_either() -> None:
    document = {
        "rules": [
            rule(1, UNTAGGED | older(7)),
            rule(2, UNTAGGED | IN_ARCHIVE | older(90, "sinceImageTransitioned")),
        ]
    }
    images = [
        image("outer", "a", days=9, children=("inner",)),
        image("inner", children=("1",), archived=True, archived_at=days_ago(91)),
        image("1", days=9),
    ]
    found = verdicts(document, images)
    assert (found["inner"].held_by, found["1"].action) == ("outer", "expire")


def test_an_index_holds_back_an_archiving_too() -> None:
    images = [image("index", "a", children=("1",)), image("1", days=9)]
    found = verdicts({"rules": [rule(1, UNTAGGED | older(7), ARCHIVE)]}, images)
    assert found["1"].held_by == "index"


def test_an_image_that_is_listed_takes_its_place_in_a_count() -> None:
    images = [image("index", "a", children=("1",)), image("1", days=1), image("2", days=9)]
    assert outcome(policy(UNTAGGED | count(1)), images) == {"2": 1}


def test_a_referrer_goes_with_its_subject() -> None:
    images = [
        image("1", "a", days=9),
        image("signature", subject="1"),
        image("signature of the signature", subject="signature"),
        image("another", subject="2"),
    ]
    found = verdicts(policy(tagged("a") | older(7)), images)
    assert {digest for digest, it in found.items() if it.action == "expire"} == {
        "1",
        "signature",
        "signature of the signature",
    }
    assert (found["signature"].rule, found["signature"].goes_with) == (1, "1")
    assert (found["1"].goes_with, found["another"].shielded_by) == (None, None)


def test_a_referrer_is_subject_to_the_rules_itself() -> None:
    images = [image("1", "a", days=9), image("signature", subject="1", days=9)]
    found = verdicts(policy(UNTAGGED | older(7)), images)
    assert (found["1"].action, found["signature"].rule) == ("keep", 1)
    assert found["signature"].goes_with is None


def test_a_referrer_that_goes_anyhow_goes_by_its_own_rule() -> None:
    images = [image("1", "a", days=9), image("signature", subject="1", days=9)]
    found = verdicts(policy(tagged("a") | older(7), UNTAGGED | older(7)), images)
    assert (found["signature"].rule, found["signature"].goes_with) == (2, None)


def test_a_referrer_that_an_index_holds_stays() -> None:
    images = [
        image("1", "a", days=9),
        image("index", "b", children=("signature",)),
        image("signature", subject="1", days=9),
    ]
    found = verdicts(policy(tagged("a") | older(7), UNTAGGED | older(7)), images)
    assert found["signature"].held_by == "index"


def test_a_referrer_that_an_index_lists_does_not_go_with_its_subject() -> None:
    images = [
        image("1", "a", days=9),
        image("index", "b", children=("signature",)),
        image("signature", subject="1"),
    ]
    assert outcome(policy(tagged("a") | older(7)), images) == {"1": 1}


def test_a_referrer_is_archived_with_its_subject_once() -> None:
    document = {"rules": [rule(1, tagged("a") | older(7), ARCHIVE)]}
    images = [
        image("1", "a", days=9),
        image("signature", subject="1"),
        image("in the archive", subject="1", archived=True),
    ]
    found = verdicts(document, images)
    assert (found["signature"].action, found["in the archive"].action) == ("archive", "keep")


def test_a_referrer_in_the_archive_expires_with_its_subject() -> None:
    images = [image("1", "a", days=9), image("signature", subject="1", archived=True)]
    assert outcome(policy(tagged("a") | older(7)), images) == {"1": 1, "signature": 1}


# --- Order ----------------------------------------------------------------------------------------


def test_the_youngest_is_told_first_and_ties_are_by_digest() -> None:
    images = [image("b", days=2), image("a", days=2), image("c", days=1)]
    told = [it.image.digest for it in simulate(rules_in(policy(UNTAGGED | count(2))), images, NOW)]
    assert told == ["c", "b", "a"]
    assert outcome(policy(UNTAGGED | count(2)), images) == {"a": 1}


def test_without_rules_everything_stays() -> None:
    found = simulate((), [image("1", days=999), image("2", "a", days=999)], NOW)
    assert [it.action for it in found] == ["keep", "keep"]
