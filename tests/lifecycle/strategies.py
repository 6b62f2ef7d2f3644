"""Arbitrary repositories, policies and retention settings."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from hypothesis import strategies as st

from container_images.aws.image import Image
from container_images.policies.retention import RetentionRule, problems_in
from tests.lifecycle.documents import (
    ANY,
    ARCHIVE,
    EXPIRE,
    IN_ARCHIVE,
    NOW,
    UNTAGGED,
    count,
    older,
    prefixed,
    rule,
    tagged,
)

TAGS = ("latest", "latest-2", "prod-1", "prod-2", "stg-1", "pr-1", "a", "ab", "aba")
PATTERNS = ("latest", "late*", "prod-*", "*-1", "a*a", "*", "p*-*", "stg-1", "a", "*b*")
PREFIXES = ("l", "latest", "prod", "p", "a", "stg-")

# Few different times: many images of the same age, and many exactly as old as a rule says.
_times = st.integers(0, 12).map(lambda half_days: NOW - timedelta(days=half_days / 2))
_long_ago = st.integers(88, 93).map(lambda days: NOW - timedelta(days=days))
_places = st.integers(0, 12)
_images = st.fixed_dictionaries(
    {
        "pushed_at": _times,
        "archived": st.integers(0, 3).map(lambda number: not number),
        "archived_at": st.none() | _long_ago,
        "activated_at": st.none() | _times,
        "pulled_at": st.none() | _times,
        "children": st.none() | st.lists(_places, max_size=3),
        "subject": st.none() | _places,
    }
)
_contents = st.tuples(
    _places.flatmap(lambda size: st.lists(_images, min_size=size, max_size=size)),
    st.tuples(*[_places] * len(TAGS)),
)


def _repository(contents: Any) -> list[Image]:
    """Images with their digests: each tag on one of them, or past the last on none."""
    listed, tag_places = contents
    digests = [f"sha256:{5 * place % 13:064}" for place in range(len(listed))]
    tags = [*zip(TAGS, tag_places, strict=True)]

    def digest_at(place: int) -> str:
        return digests[place % len(listed)]

    def made(place: int, *, children: list[int] | None, subject: int | None, **more: Any) -> Image:
        return Image(
            digest=digests[place],
            tags=tuple(tag for tag, at in tags if at % (len(listed) + 1) == place),
            children=None if children is None else tuple(dict.fromkeys(map(digest_at, children))),
            subject=None if subject is None else digest_at(subject),
            **more,
        )

    return [made(place, **parts) for place, parts in enumerate(listed)]


HISTORIES = _contents.map(_repository)
"""A repository: each tag on one image at most, indexes, images that were in the archive."""
HISTORIES_WITHOUT_REFERRERS = HISTORIES.map(
    lambda images: [replace(image, subject=None) for image in images]
)


@st.composite
def signed_histories(draw: st.DrawFn) -> list[Image]:
    """The same with signatures by tag, as cosign makes them."""
    images = draw(HISTORIES)
    signed = draw(st.lists(st.sampled_from(images), unique=True, max_size=4)) if images else []
    times = draw(st.tuples(*[_times] * len(signed)))
    for number, (image, time) in enumerate(zip(signed, times, strict=True), 13):
        tag = f"{image.digest.replace(':', '-')}.sig"
        images.append(Image(digest=f"sha256:{number:064}", tags=(tag,), pushed_at=time))
    return images


def _some(texts: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(texts), min_size=1, max_size=2)


_statuses = st.one_of(
    _some(PREFIXES).map(lambda prefixes: prefixed(*prefixes)),
    _some(PATTERNS).map(lambda patterns: tagged(*patterns)),
    st.just(UNTAGGED),
)
_actions = st.sampled_from((EXPIRE, ARCHIVE))
_measures = st.one_of(
    st.tuples(st.integers(1, 5).map(count), _actions),
    st.tuples(st.integers(1, 6).map(older), _actions),
    st.tuples(
        st.integers(1, 6).map(lambda days: older(days, "sinceImagePulled")), st.just(ARCHIVE)
    ),
)
_measures_in_archive = st.tuples(
    st.integers(90, 92).map(lambda days: IN_ARCHIVE | older(days, "sinceImageTransitioned")),
    st.just(EXPIRE),
)


_rules = st.lists(
    st.tuples(_statuses, st.one_of(_measures, _measures, _measures_in_archive)), max_size=7
)


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """Any document, its rules in any order."""
    rules = draw(_rules)
    rules += [(ANY, measure) for measure in draw(st.lists(_measures, max_size=1))]
    if not rules or draw(st.booleans()):
        rules.append((ANY, draw(_measures_in_archive)))
    numbered = [
        rule(3 * number, status | measure, action)
        for number, (status, (measure, action)) in enumerate(rules, 1)
    ]
    return {"rules": draw(st.permutations(numbered))}


_patterns = st.sampled_from(PATTERNS)
_retention_rules = st.one_of(
    st.fixed_dictionaries({"tags": _patterns, "keep_newest": st.integers(1, 5)}),
    st.fixed_dictionaries({"any": st.just(value=True), "keep_newest": st.integers(1, 5)}),
    st.fixed_dictionaries(
        {"archived": st.just(value=True), "expire_after_days": st.integers(90, 92)}
    ),
    *(
        st.fixed_dictionaries({kind: which, key: st.integers(1, 6)})
        for kind, which in (("tags", _patterns), ("untagged", st.just(value=True)))
        for key in ("expire_after_days", "archive_after_days", "archive_after_days_unpulled")
    ),
)
_movable_tags = st.lists(
    st.sampled_from(("latest", "latest-2", "prod-1", "a")), max_size=3, unique=True
)


@st.composite
def retentions(draw: st.DrawFn) -> tuple[list[str], list[RetentionRule]]:
    """Valid settings: the movable tags, and the rules."""
    movable = draw(_movable_tags)
    rules: list[RetentionRule] = []
    for drawn in draw(st.lists(_retention_rules, max_size=6)):
        rule = cast("RetentionRule", drawn)
        if not list(problems_in(movable, [*rules, rule])):
            rules.append(rule)
    return movable, rules
