from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import tag_convention
from policies.tag_convention import InvalidTagError, UniqueTag, UnknownBuildError

SHA = "3f9c2a1b9c0d4e5f60718293a4b5c6d7e8f90a1b"
OTHER = "0123456789abcdef0123456789abcdef01234567"

shas = st.text("0123456789abcdef", min_size=7, max_size=64)
epochs = st.integers(0, 99_999_999_999)
staged = st.builds(
    UniqueTag, stage=st.sampled_from(["dev", "merged", "stg", "prod"]), sha=shas, epoch=epochs
)
pull_requests = st.builds(
    UniqueTag,
    stage=st.just("pr"),
    sha=shas,
    epoch=epochs,
    number=st.integers(1, 9_999_999_999),
)


@given(staged | pull_requests)
def test_a_tag_that_is_written_reads_the_same(tag: UniqueTag) -> None:
    assert tag_convention.parse(str(tag)) == tag


@given(st.text("prdevmgst-0123456789abc", max_size=60))
def test_a_tag_that_reads_is_written_the_same(text: str) -> None:
    for tag in tag_convention.unique_tags([text]):
        assert str(tag) == text


@given(staged | pull_requests)
def test_every_unique_tag_holds_a_date(tag: UniqueTag) -> None:
    assert datetime.fromtimestamp(tag.epoch, UTC).year >= 1970


def test_a_tag_is_read_in_its_parts() -> None:
    assert tag_convention.parse(f"pr-1204-{SHA}-1764000000") == UniqueTag(
        stage="pr", sha=SHA, epoch=1_764_000_000, number=1204
    )


@pytest.mark.parametrize(
    "tag",
    [
        "latest",
        "prod",
        f"prod-{SHA}",
        f"prod-{SHA}-",
        f"prod-{SHA}-now",
        f"prod-{SHA}-01764000000",
        f"prod-{SHA}-176400000000",  # a time in milliseconds is no time in seconds
        f"prod-{SHA}-1764000000\n",
        f"prod-{SHA}-١٧٦٤٠٠٠٠٠٠",  # digits, but not those that a pipeline writes
        f"PROD-{SHA}-1764000000",
        f"prod-{SHA.upper()}-1764000000",
        f"prod-{SHA[:6]}-1764000000",
        f"prod-{'a' * 65}-1764000000",
        f"prod-{SHA[:-1]}g-1764000000",
        f"prod-12-{SHA}-1764000000",
        f"pr-{SHA}-1764000000",
        f"pr-0-{SHA}-1764000000",
        f"release-{SHA}-1764000000",
        f"xprod-{SHA}-1764000000",
    ],
)
def test_another_tag_is_refused_with_what_was_expected(tag: str) -> None:
    with pytest.raises(InvalidTagError) as refused:
        tag_convention.parse(tag)
    assert repr(tag) in str(refused.value)
    assert "pr-<number>-<sha>-<epoch>" in str(refused.value)
    assert tag_convention.unique_tags([tag]) == []


def test_the_unique_tag_is_of_the_furthest_stage_and_the_newest_of_it() -> None:
    tags = [
        "latest",
        f"merged-{SHA}-9",
        f"stg-{SHA}-8",
        f"prod-{SHA}-10",
        f"prod-{SHA}-9",
        f"dev-{SHA}-99",
        f"pr-7-{SHA}-999",
    ]
    assert str(tag_convention.unique_tag(tags)) == f"prod-{SHA}-10"
    found = [str(tag) for tag in tag_convention.unique_tags(tags)]
    assert found == [
        f"prod-{SHA}-10",
        f"prod-{SHA}-9",
        f"stg-{SHA}-8",
        f"merged-{SHA}-9",
        f"dev-{SHA}-99",
        f"pr-7-{SHA}-999",
    ]


def test_an_image_was_built_at_the_lowest_epoch_in_its_tags() -> None:
    assert tag_convention.build_time([f"prod-{SHA}-30", "latest", f"merged-{SHA}-9"]) == 9
    assert tag_convention.build_time(["latest", "v1"]) is None
    assert tag_convention.unique_tag(["latest", "v1"]) is None


def test_the_commit_is_as_long_as_a_tag_has_it() -> None:
    assert tag_convention.commit([f"prod-{SHA[:7]}-3", f"merged-{SHA}-1", "latest"]) == SHA


def test_no_commit_is_guessed_where_tags_disagree() -> None:
    with pytest.raises(UnknownBuildError) as refused:
        tag_convention.commit([f"merged-{SHA}-1", f"merged-{OTHER}-2"])
    assert SHA in str(refused.value)
    assert OTHER in str(refused.value)


def test_two_commits_that_share_a_short_sha_disagree() -> None:
    with pytest.raises(UnknownBuildError, match="disagree"):
        tag_convention.commit([f"merged-{SHA[:7]}-1", f"merged-{SHA[:7]}000-2", f"merged-{SHA}-2"])


@pytest.mark.parametrize(("tags", "told"), [(["latest", "a"], "a, latest"), ([], "no tag")])
def test_no_commit_is_known_where_no_tag_has_it(tags: list[str], told: str) -> None:
    with pytest.raises(UnknownBuildError, match=told):
        tag_convention.commit(tags)
