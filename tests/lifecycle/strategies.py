"""Arbitrary repositories, policies and retention settings."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

from hypothesis import strategies as st

from container_images.aws.image import Image
from container_images.policies.retention import RetentionRule, problems_in
from tests.lifecycle.documents import IN_ARCHIVE, NOW, older, rule

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


_expire: dict[str, Any] = {"type": "expire"}
_archive: dict[str, Any] = {"type": "transition", "targetStorageClass": "archive"}
_standard = st.one_of(
    st.tuples(
        st.integers(1, 5).map(lambda it: {"countType": "imageCountMoreThan", "countNumber": it}),
        st.sampled_from((_expire, _archive)),
    ),
    st.tuples(st.integers(1, 6).map(older), st.sampled_from((_expire, _archive))),
    st.tuples(
        st.integers(1, 6).map(lambda days: older(days, "sinceImagePulled")), st.just(_archive)
    ),
)
_in_archive = st.tuples(
    st.integers(90, 92).map(lambda it: IN_ARCHIVE | older(it, "sinceImageTransitioned")),
    st.just(_expire),
)
_measures = {"standard": _standard, "archive": _in_archive}
"""What rules measure and do, by the storage class that they see."""


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """Any valid document, its rules in any order."""
    rules = []
    seen = set()
    for priority in sorted(draw(st.sets(st.integers(1, 99), min_size=1, max_size=7))):
        storage = draw(st.sampled_from(("standard", "standard", "archive")))
        measure, action = draw(_measures[storage])
        status = draw(st.sampled_from(("tagged", "tagged", "untagged")))
        selection: dict[str, Any] = {"tagStatus": status, **measure}
        if status == "tagged" and draw(st.booleans()):
            prefixes = draw(st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=2))
            selection["tagPrefixList"] = prefixes
            same = (storage, frozenset(prefixes))
        elif status == "tagged":
            selection["tagPatternList"] = draw(
                st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2)
            )
            same = (storage, frozenset({str(priority)}))
        else:
            same = (storage, frozenset())
        if same not in seen:
            seen.add(same)
            rules.append(rule(priority, selection, action))
    for number, storage in enumerate(("standard", "archive")):
        if draw(st.booleans()) or not rules:
            measure, action = draw(_measures[storage])
            rules.append(rule(100 + number, {"tagStatus": "any", **measure}, action))
    return {"rules": draw(st.permutations(rules))}


_retention_rules = st.one_of(
    st.builds(
        lambda tags, number: RetentionRule(tags=tags, keep_newest=number),
        st.sampled_from(PATTERNS),
        st.integers(1, 5),
    ),
    st.builds(
        lambda tags, number: RetentionRule(tags=tags, expire_after_days=number),
        st.sampled_from(PATTERNS),
        st.integers(1, 6),
    ),
    st.builds(
        lambda number: RetentionRule(untagged=True, expire_after_days=number), st.integers(1, 6)
    ),
    st.builds(lambda number: RetentionRule(any=True, keep_newest=number), st.integers(1, 5)),
    st.builds(
        lambda tags, number: RetentionRule(tags=tags, archive_after_days=number),
        st.sampled_from(PATTERNS),
        st.integers(1, 6),
    ),
    st.builds(
        lambda number: RetentionRule(untagged=True, archive_after_days_unpulled=number),
        st.integers(1, 6),
    ),
    st.builds(
        lambda number: RetentionRule(archived=True, expire_after_days=number),
        st.integers(90, 92),
    ),
)


@st.composite
def retentions(draw: st.DrawFn) -> tuple[list[str], list[RetentionRule]]:
    """Valid settings: the movable tags, and the rules."""
    movable = draw(
        st.lists(st.sampled_from(("latest", "latest-2", "prod-1", "a")), max_size=3, unique=True)
    )
    rules: list[RetentionRule] = []
    for it in draw(st.lists(_retention_rules, max_size=6)):
        if valid(movable, [*rules, it]):
            rules.append(it)
    return movable, rules


def valid(movable: Sequence[str], rules: Sequence[RetentionRule]) -> bool:
    return not list(problems_in(movable, rules))


_keys = st.sampled_from(
    (
        *("rules", "rulePriority", "description", "selection", "action", "tagStatus", "type"),
        *("tagPatternList", "tagPrefixList", "storageClass", "countType", "countUnit"),
        *("countNumber", "targetStorageClass", "other"),
    )
)
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 100),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from(("any", "tagged", "untagged", "archive", "days", "sinceImagePushed", "expire")),
)
anything = st.recursive(
    _scalars,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(_keys, parts, max_size=4),
    max_leaves=8,
)


@st.composite
def spoilt_policies(draw: st.DrawFn) -> Any:
    """A document with anything in one of its places, or in the place of all of it."""
    document = draw(policies())
    where = draw(st.integers(0, 3))
    if where == 0:
        return draw(anything)
    rules = document["rules"]
    at = draw(st.integers(0, len(rules) - 1))
    if where == 1:
        rules[at] = draw(anything)
    elif where == 2:
        rules[at][draw(_keys)] = draw(anything)
    else:
        part = draw(st.sampled_from(("selection", "action")))
        rules[at][part] = {**rules[at][part], draw(_keys): draw(anything)}
    return document


@st.composite
def signed_histories(draw: st.DrawFn) -> list[Image]:
    """The same, and for some images a signature by tag, as cosign makes it."""
    images = [replace(it, digest=_long(it.digest)) for it in draw(histories())]
    images = [
        replace(
            it,
            children=it.children and tuple(map(_long, it.children)),
            subject=it.subject and _long(it.subject),
        )
        for it in images
    ]
    signed = draw(st.lists(st.sampled_from(images), unique=True, max_size=4)) if images else []
    return [
        *images,
        *(
            Image(
                digest=_long(f"signature {number}"),
                tags=(f"{it.digest.replace(':', '-')}.sig",),
                pushed_at=draw(_times),
            )
            for number, it in enumerate(signed)
        ),
    ]


def _long(digest: str) -> str:
    return f"sha256:{sha256(digest.encode()).hexdigest()}"
