"""Pure: which images are kept, as an ECR lifecycle policy document.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NotRequired, TypedDict

from container_images.policies.forms import TAG_PATTERN
from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.policies.patterns import ANY

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


_EXPIRE: Final = {"type": "expire"}
_ARCHIVE: Final = {"type": "transition", "targetStorageClass": "archive"}
_NUMBERS: Final = {
    "keep_newest": ("keepNewest", "imageCountMoreThan", _EXPIRE, ""),
    "expire_after_days": ("expireAfterDays", "sinceImagePushed", _EXPIRE, "push"),
    "archive_after_days": ("archiveAfterDays", "sinceImagePushed", _ARCHIVE, "push"),
    "archive_after_days_unpulled": (
        *("archiveAfterDaysUnpulled", "sinceImagePulled", _ARCHIVE, "last pull"),
    ),
}
"""Each number as it is written in the settings, what it counts, what is done then, and after what.

An archived image's days count since its archiving."""
_ARCHIVING: Final = ("archive_after_days", "archive_after_days_unpulled")
_KINDS: Final = {
    "tags": ("keep_newest", "expire_after_days", *_ARCHIVING),
    "untagged": ("expire_after_days", *_ARCHIVING),
    "any": ("keep_newest", *_ARCHIVING),
    "archived": ("expire_after_days",),
}
"""What a rule is about, and the numbers that it may have."""
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
    protective = [
        (f"Keep the image that {tag} names", *_part({"tags": tag, "keep_newest": 1})[1:])
        for tag in _protected(movable_tags)
    ]
    return {
        "rules": [
            {
                "rulePriority": priority,
                "description": description,
                "selection": selection,
                "action": dict(action),
            }
            for priority, (description, selection, action) in enumerate(
                [*protective, *map(_part, rules)], start=1
            )
        ]
    }


def _part(rule: RetentionRule) -> tuple[str, dict[str, Any], dict[str, str]]:
    """A rule's description, selection and action."""
    [(key, number)] = [(key, value) for key, value in rule.items() if key in _NUMBERS]
    _, count_type, action, event = _NUMBERS[key]
    if "tags" in rule:
        # A pattern list, never a prefix list: the prefix "latest" matches latest-arm64 too. And one
        # pattern only: the entries of a list are joined by AND over the tags of an image.
        images = f"images tagged {rule['tags']}"
        selection: dict[str, Any] = {"tagStatus": "tagged", "tagPatternList": [rule["tags"]]}
    elif "untagged" in rule:
        images, selection = "untagged images", {"tagStatus": "untagged"}
    else:
        images, selection = "all other images", {"tagStatus": "any"}
    if "archived" in rule:
        # Said without a storage class, a rule is about the standard one.
        images, selection = "archived images", {"tagStatus": "any", "storageClass": "archive"}
        count_type, event = "sinceImageTransitioned", "archiving"
    days = "1 day" if number == 1 else f"{number} days"
    verb = "Expire" if action is _EXPIRE else "Archive"
    if key == "keep_newest":
        description, unit = f"Keep the newest {number} of {images}", {}
    else:
        description, unit = f"{verb} {images} {days} after their {event}", {"countUnit": "days"}
    return description, selection | {"countType": count_type, **unit, "countNumber": number}, action


def problems_in(
    movable_tags: Sequence[str], rules: Sequence[RetentionRule | None]
) -> Iterator[Problem]:
    """Everything that is wrong with the rules, each problem under the rule's position.

    None stands for a rule that was refused already.
    """
    protected = _protected(movable_tags)
    if len(protected) + len(rules) > MAX_RULES:
        broken = (
            f"a lifecycle policy has at most {MAX_RULES} rules, {len(protected)} of which protect "
            "the movable tags"
        )
        fix = f"write at most {MAX_RULES} movable tags and rules"
        yield Problem(where=(), value=len(rules), rule=broken, fix=fix)
    first_with: dict[object, int] = {}
    for position, rule in enumerate(rules):
        if rule is None:
            continue
        kinds = [kind for kind in _KINDS if kind in rule]
        numbers = [key for key in _NUMBERS if key in rule]
        broken, fix = "", _SHAPES
        if len(kinds) != 1:
            broken = "a rule is about exactly one of tags, untagged, any and archived"
        elif len(numbers) != 1 or numbers[0] not in _KINDS[kinds[0]]:
            allowed = " or ".join(_NUMBERS[key][0] for key in _KINDS[kinds[0]])
            broken = f"a rule about {kinds[0]} has exactly one number, {allowed}"
        else:
            yield from (problem.under(position) for problem in _problems_in_values(rule, protected))
            subject = (kinds[0], rule.get("tags"))
            first = first_with.setdefault(subject, position)
            if first != position:
                broken = f"rule [{first}] is about the same images, so this one never applies"
                fix = "make one rule of the two"
            # The archive is a class of its own: in AWS's example its rule stands behind the one
            # about any image.
            elif kinds[0] in {"any", "archived"} and any(
                not later or "archived" not in later for later in rules[position + 1 :]
            ):
                broken = f"the rule about {kinds[0]} comes last"
                fix = "move it behind the others; the one about archived images is the last of all"
        if broken:
            written = {_NUMBERS[key][0] if key in _NUMBERS else key: rule.get(key) for key in rule}
            yield Problem(where=(position,), value=written, rule=broken, fix=fix)


def _protected(movable_tags: Sequence[str]) -> list[str]:
    return [tag for tag in movable_tags if ANY not in tag]


def _problems_in_values(rule: RetentionRule, protected: Sequence[str]) -> Iterator[Problem]:
    for kind in _KINDS:
        if rule.get(kind) is False:
            broken, fix = f"{kind} is true where it is written", "write true, or leave the rule out"
            yield Problem(where=(kind,), value=False, rule=broken, fix=fix)
    [(key, number)] = [(key, value) for key, value in rule.items() if key in _NUMBERS]
    least = MIN_DAYS_IN_ARCHIVE if "archived" in rule else 1
    # In Python True is an int, too.
    if type(number) is not int or not least <= number <= MAX_IMAGES:
        broken = f"the number is between {least} and {MAX_IMAGES:,}"
        fix = "write such a number"
        yield Problem(where=(_NUMBERS[key][0],), value=number, rule=broken, fix=fix)
    pattern = rule.get("tags", "*")
    if not TAG_PATTERN.fits(pattern) or pattern.count("*") > MAX_PATTERN_WILDCARDS:
        broken = (
            "a tag pattern is 1 to 128 letters, digits and . _ - *, starts as a tag does, and has "
            f"at most {MAX_PATTERN_WILDCARDS} wildcards"
        )
        yield Problem(where=("tags",), value=pattern, rule=broken, fix="write one such as prod-*")
    if pattern in protected:
        broken = f"the movable tag {pattern} has a protective rule already"
        yield Problem(where=("tags",), value=pattern, rule=broken, fix="leave this rule out")
