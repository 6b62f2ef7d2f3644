"""Pure: which images are kept, as an ECR lifecycle policy document.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final, NotRequired, TypedDict

from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.policies.patterns import ANY
from container_images.policies.tag_mutability import PATTERN

MAX_RULES: Final = 50
MAX_PATTERN_WILDCARDS: Final = 4
MAX_IMAGES: Final = 100_000
"""Images that one repository can hold: to keep more than that never expires anything."""


MIN_DAYS_IN_ARCHIVE: Final = 90
"""ECR keeps an archived image for so long, and charges for it."""


class RetentionRule(TypedDict):
    """Exactly one of `tags`, `untagged`, `any` and `archived`, with one of the numbers."""

    tags: NotRequired[str]
    """The images with a tag that matches this pattern."""
    untagged: NotRequired[bool]
    """The images without a tag."""
    any: NotRequired[bool]
    """All images that no rule before this one matches."""
    archived: NotRequired[bool]
    """The images in the archive. No other rule sees them, and this one sees no others."""
    keep_newest: NotRequired[int]
    """Keep this many of them, the last pushed first, and expire the others."""
    expire_after_days: NotRequired[int]
    """Expire each of them this many days after its push, an archived one after its archiving."""
    archive_after_days: NotRequired[int]
    """Archive each of them this many days after its push. An archived image cannot be pulled."""
    archive_after_days_unpulled: NotRequired[int]
    """Archive each of them this many days after its last pull, or after its push without one."""


_ARCHIVING: Final = ("archive_after_days", "archive_after_days_unpulled")
_NUMBERS: Final = {
    "tags": ("keep_newest", "expire_after_days", *_ARCHIVING),
    "untagged": ("expire_after_days", *_ARCHIVING),
    "any": ("keep_newest", *_ARCHIVING),
    "archived": ("expire_after_days",),
}
"""What each kind of rule may count."""

_LAST: Final = {
    "any": "the rule about any image comes last",
    "archived": "the rule about archived images comes last",
}
_NOTHING: Final = object()

_SHAPES: Final = (
    "write one of {tags: PATTERN, keepNewest: N}, {tags: PATTERN, expireAfterDays: N}, "
    "{untagged: true, expireAfterDays: N}, {any: true, keepNewest: N}, "
    "{archived: true, expireAfterDays: N}; or, but for archived, archiveAfterDays or "
    "archiveAfterDaysUnpulled as the number"
)


def lifecycle_policy(
    movable_tags: Sequence[str], rules: Sequence[RetentionRule]
) -> dict[str, list[dict[str, Any]]]:
    """The document: a protective rule for each movable tag, then the rules as they are written.

    No rule protects what a pattern among the movable tags matches, such as signatures: they go by
    the rules, as any image.

    A tag is on one image only, so "more than one image tagged `latest`" never comes true and the
    protective rule expires nothing. But an image that matches a rule is never expired by a later
    one: behind the protective rule no rule can expire the image that `latest` names.

    The first rule that matches an image decides about it. So the newest N of a rule that keeps
    them are expired neither by that rule nor by a later one, only by an earlier one that matches
    another of their tags. Images that an earlier rule keeps are counted among the N as well:
    `stg-*` behind `prod-*` counts the releases too.

    Raises InvalidInputError where AWS would refuse the document, or read it otherwise than meant.
    """
    if problems := list(problems_in(movable_tags, rules)):
        raise InvalidInputError(problems)
    parts = [
        (f"Keep the image that {tag} names", _tagged(tag) | _count(1), _EXPIRE)
        for tag in _protected(movable_tags)
    ]
    parts += [(_description(rule), _selection(rule), _action(rule)) for rule in rules]
    return {
        "rules": [
            {
                "rulePriority": priority,
                "description": description,
                "selection": selection,
                "action": dict(action),
            }
            for priority, (description, selection, action) in enumerate(parts, start=1)
        ]
    }


def problems_in(
    movable_tags: Sequence[str], rules: Sequence[RetentionRule | None]
) -> Iterator[Problem]:
    """Everything that is wrong with the rules, each problem under the rule's position.

    None stands for a rule that was refused already.
    """
    protected = _protected(movable_tags)
    movable = len(protected)
    if movable > MAX_RULES:
        yield Problem(
            where=(),
            value=len(rules),
            rule=f"a lifecycle policy has at most {MAX_RULES} rules, and each of the {movable} "
            "movable tags takes a protective one",
            fix=f"name at most {MAX_RULES} movable tags",
        )
    elif movable + len(rules) > MAX_RULES:
        yield Problem(
            where=(),
            value=len(rules),
            rule=f"a lifecycle policy has at most {MAX_RULES} rules, "
            f"{movable} of which protect the movable tags",
            fix=f"keep at most {MAX_RULES - movable} rules",
        )
    first_with: dict[object, int] = {}
    for position, rule in enumerate(rules):
        if rule is None:
            continue
        whole = partial(Problem, where=(position,), value=_as_written(rule))
        kinds = [kind for kind in _NUMBERS if kind in rule]
        if len(kinds) != 1:
            yield whole(
                rule="a rule is about exactly one of tags, untagged, any and archived", fix=_SHAPES
            )
            continue
        [kind] = kinds
        numbers = [key for key in _CAMEL if key in rule]
        if len(numbers) != 1 or numbers[0] not in _NUMBERS[kind]:
            allowed = " or ".join(_CAMEL[key] for key in _NUMBERS[kind])
            broken = f"a rule about {kind} has exactly one number, {allowed}"
            yield whole(rule=broken, fix=_SHAPES)
            continue
        yield from (problem.under(position) for problem in _problems_in_values(rule))

        subject = rule.get("tags", kind)
        if rule.get("tags") in protected:
            yield Problem(
                where=(position, "tags"),
                value=subject,
                rule=f"the movable tag {subject} has a protective rule already",
                fix="leave this rule out",
            )
        elif (first := first_with.setdefault((kind, subject), position)) != position:
            broken = f"rule [{first}] is about the same images, so this one never applies"
            yield whole(rule=broken, fix="make one rule of the two")
        # The archive is a class of its own: in AWS's example its rule stands behind the one about
        # any image.
        later = (it for it in rules[position + 1 :] if it is None or "archived" not in it)
        if kind in _LAST and next(later, _NOTHING) is not _NOTHING:
            yield whole(rule=_LAST[kind], fix="move it behind the others")


def _protected(movable_tags: Sequence[str]) -> list[str]:
    return [tag for tag in movable_tags if ANY not in tag]


def _problems_in_values(rule: RetentionRule) -> Iterator[Problem]:
    for kind in ("untagged", "any", "archived"):
        if (written := rule.get(kind, True)) is not True:
            broken = f"{kind} is true where it is written"
            fix = "write true, or leave the rule out"
            yield Problem(where=(kind,), value=written, rule=broken, fix=fix)
    for key, name in _CAMEL.items():
        number = rule.get(key, 1)
        # In Python True is an int, too.
        if type(number) is not int or not 1 <= number <= MAX_IMAGES:
            broken = f"the number is between 1 and {MAX_IMAGES:,}"
            yield Problem(where=(name,), value=number, rule=broken, fix="write such a number")
        elif rule.get("archived") and key in rule and number < MIN_DAYS_IN_ARCHIVE:
            broken = f"an image stays in the archive for at least {MIN_DAYS_IN_ARCHIVE} days"
            fix = f"write {MIN_DAYS_IN_ARCHIVE} or more"
            yield Problem(where=(name,), value=number, rule=broken, fix=fix)
    pattern = rule.get("tags", "*")
    of_tags = partial(Problem, where=("tags",), value=pattern)
    if not PATTERN.fullmatch(pattern):
        yield of_tags(
            rule="a tag pattern is 1 to 128 letters, digits and . _ - *, and starts as a tag does",
            fix="write one such as prod-*",
        )
    if pattern.count("*") > MAX_PATTERN_WILDCARDS:
        broken = f"a pattern in a lifecycle policy has at most {MAX_PATTERN_WILDCARDS} wildcards"
        yield of_tags(rule=broken, fix="use fewer *")


def _as_written(rule: RetentionRule) -> dict[str, Any]:
    return {_CAMEL.get(key, key): value for key, value in rule.items()}


_CAMEL: Final = {
    "keep_newest": "keepNewest",
    "expire_after_days": "expireAfterDays",
    "archive_after_days": "archiveAfterDays",
    "archive_after_days_unpulled": "archiveAfterDaysUnpulled",
}
_EXPIRE: Final = {"type": "expire"}
_ARCHIVE: Final = {"type": "transition", "targetStorageClass": "archive"}


def _tagged(pattern: str) -> dict[str, Any]:
    # A pattern list, never a prefix list: the prefix "latest" matches latest-arm64 too. And one
    # pattern only: the entries of a list are joined by AND over the tags of an image.
    return {"tagStatus": "tagged", "tagPatternList": [pattern]}


def _count(number: int) -> dict[str, Any]:
    return {"countType": "imageCountMoreThan", "countNumber": number}


def _days(count_type: str, number: int) -> dict[str, Any]:
    return {"countType": count_type, "countUnit": "days", "countNumber": number}


def _selection(rule: RetentionRule) -> dict[str, Any]:
    if "archived" in rule:
        # Said without a storage class, a rule is about the standard one.
        archived = {"tagStatus": "any", "storageClass": "archive"}
        return archived | _days("sinceImageTransitioned", rule["expire_after_days"])
    images = (
        _tagged(rule["tags"])
        if "tags" in rule
        else {"tagStatus": "untagged" if "untagged" in rule else "any"}
    )
    if "keep_newest" in rule:
        return images | _count(rule["keep_newest"])
    if "archive_after_days_unpulled" in rule:
        return images | _days("sinceImagePulled", rule["archive_after_days_unpulled"])
    return images | _days("sinceImagePushed", _number(rule))


def _number(rule: RetentionRule) -> int:
    """The days of a rule that counts from the push."""
    return rule["archive_after_days"] if "archive_after_days" in rule else rule["expire_after_days"]


def _action(rule: RetentionRule) -> dict[str, str]:
    return _ARCHIVE if any(key in rule for key in _ARCHIVING) else _EXPIRE


def _description(rule: RetentionRule) -> str:
    if "archived" in rule:
        return f"Expire archived images {_in_words(rule['expire_after_days'])} after that"
    if "any" in rule:
        images = "all other images"
    else:
        images = f"images tagged {rule['tags']}" if "tags" in rule else "untagged images"
    if "keep_newest" in rule:
        return f"Keep the newest {rule['keep_newest']} of {images}"
    if "archive_after_days_unpulled" in rule:
        days = _in_words(rule["archive_after_days_unpulled"])
        return f"Archive {images} {days} after their last pull"
    verb = "Archive" if "archive_after_days" in rule else "Expire"
    return f"{verb} {images} {_in_words(_number(rule))} after their push"


def _in_words(days: int) -> str:
    return f"{days} {'day' if days == 1 else 'days'}"
