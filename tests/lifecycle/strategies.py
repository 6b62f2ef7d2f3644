"""Arbitrary repositories, policies and retention settings."""

from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any, cast

from hypothesis import strategies as st

from container_images.aws.image import Image
from container_images.policies.retention import RetentionRule, problems_in
from tests.lifecycle.documents import (
    ANY,
    ARCHIVE,
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


@st.composite
def histories(draw: st.DrawFn, *, referrers: bool = True) -> list[Image]:
    """A repository: each tag on one image at most, indexes, images that were in the archive."""
    size = draw(st.integers(0, 12))
    digests = [f"sha256:{number:02}" for number in draw(st.permutations(range(size)))]
    # Where each tag is; past the end, nowhere.
    places = [draw(st.integers(0, size)) for _ in TAGS]
    some = st.lists(st.sampled_from(digests), max_size=3, unique=True) if size else st.just([])
    return [
        Image(
            digest=digest,
            tags=tuple(tag for tag, at in zip(TAGS, places, strict=True) if at == place),
            pushed_at=draw(_times),
            archived=draw(st.integers(0, 3)) == 0,
            archived_at=draw(st.none() | _long_ago),
            activated_at=draw(st.none() | _times),
            pulled_at=draw(st.none() | _times),
            children=tuple(draw(some)) if draw(st.booleans()) else None,
            subject=draw(st.none() | st.sampled_from(digests)) if referrers else None,
        )
        for place, digest in enumerate(digests)
    ]


_actions = st.sampled_from(({"type": "expire"}, ARCHIVE))
_measures = {
    "standard": st.one_of(
        st.tuples(st.integers(1, 5).map(count), _actions),
        st.tuples(st.integers(1, 6).map(older), _actions),
        st.tuples(
            st.integers(1, 6).map(lambda days: older(days, "sinceImagePulled")), st.just(ARCHIVE)
        ),
    ),
    "archive": st.tuples(
        st.integers(90, 92).map(lambda days: IN_ARCHIVE | older(days, "sinceImageTransitioned")),
        st.just({"type": "expire"}),
    ),
}
"""What rules measure and do, by the storage class that they see."""
_tagged = st.one_of(
    st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=2).map(
        lambda prefixes: prefixed(*prefixes)
    ),
    st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2).map(
        lambda patterns: tagged(*patterns)
    ),
)


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """Any valid document, its rules in any order."""
    rules = []
    seen = set()
    for priority in sorted(draw(st.sets(st.integers(1, 99), min_size=1, max_size=7))):
        storage = draw(st.sampled_from(("standard", "standard", "archive")))
        measure, action = draw(_measures[storage])
        status = draw(st.one_of(_tagged, _tagged, st.just(UNTAGGED)))
        # Of rules with the same prefixes, and of those about untagged images, ECR takes one.
        same = (
            storage,
            *sorted(status.get("tagPrefixList", [])),
            *status.get("tagPatternList", []),
        )
        if same not in seen:
            seen.add(same)
            rules.append(rule(priority, status | measure, action))
    for number, storage in enumerate(("standard", "archive")):
        if draw(st.booleans()) or not rules:
            measure, action = draw(_measures[storage])
            rules.append(rule(100 + number, ANY | measure, action))
    return {"rules": draw(st.permutations(rules))}


_retention_rules = st.one_of(
    st.fixed_dictionaries({"tags": st.sampled_from(PATTERNS), "keep_newest": st.integers(1, 5)}),
    st.fixed_dictionaries({"any": st.just(value=True), "keep_newest": st.integers(1, 5)}),
    st.fixed_dictionaries(
        {"archived": st.just(value=True), "expire_after_days": st.integers(90, 92)}
    ),
    *(
        st.fixed_dictionaries({kind: which, key: st.integers(1, 6)})
        for kind, which in (("tags", st.sampled_from(PATTERNS)), ("untagged", st.just(value=True)))
        for key in ("expire_after_days", "archive_after_days", "archive_after_days_unpulled")
    ),
)


@st.composite
def retentions(draw: st.DrawFn) -> tuple[list[str], list[RetentionRule]]:
    """Valid settings: the movable tags, and the rules."""
    movable = draw(
        st.lists(st.sampled_from(("latest", "latest-2", "prod-1", "a")), max_size=3, unique=True)
    )
    rules: list[RetentionRule] = []
    for drawn in draw(st.lists(_retention_rules, max_size=6)):
        rule = cast("RetentionRule", drawn)
        if not list(problems_in(movable, [*rules, rule])):
            rules.append(rule)
    return movable, rules


@st.composite
def signed_histories(draw: st.DrawFn) -> list[Image]:
    """The same, and for some images a signature by tag, as cosign makes it."""
    images = [
        replace(
            image,
            digest=_long(image.digest),
            children=image.children and tuple(map(_long, image.children)),
            subject=image.subject and _long(image.subject),
        )
        for image in draw(histories())
    ]
    signed = draw(st.lists(st.sampled_from(images), unique=True, max_size=4)) if images else []
    signatures = [
        Image(digest=_long(tag), tags=(tag,), pushed_at=draw(_times))
        for tag in (f"{image.digest.replace(':', '-')}.sig" for image in signed)
    ]
    return [*images, *signatures]


def _long(digest: str) -> str:
    return f"sha256:{sha256(digest.encode()).hexdigest()}"
