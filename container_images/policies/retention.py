"""Pure: which images are kept, as an ECR lifecycle policy document.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NotRequired

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from container_images.policies.document import ANY
from container_images.policies.forms import TAG_PATTERN
from container_images.policies.invalid_input import Problem, camel, refuse

MAX_RULES: Final = 50
MAX_PATTERN_WILDCARDS: Final = 4
MAX_IMAGES: Final = 100_000
"""Images that one repository can hold: to keep more than that never expires anything."""


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
    "keepNewest": ("imageCountMoreThan", _EXPIRE, ""),
    "expireAfterDays": ("sinceImagePushed", _EXPIRE, "push"),
    "archiveAfterDays": ("sinceImagePushed", _ARCHIVE, "push"),
    "archiveAfterDaysUnpulled": ("sinceImagePulled", _ARCHIVE, "last pull"),
}
"""What each counts, what is done then, and after what. An archived image's days count since its
archiving."""
_ARCHIVING: Final = ("archiveAfterDays", "archiveAfterDaysUnpulled")
_KINDS: Final = {
    "tags": ("keepNewest", "expireAfterDays", *_ARCHIVING),
    "untagged": ("expireAfterDays", *_ARCHIVING),
    "any": ("keepNewest", *_ARCHIVING),
    "archived": ("expireAfterDays",),
}
"""What a rule is about, and the numbers that it may have."""
_SHAPES: Final = ", ".join(f"{kind} with {' or '.join(keys)}" for kind, keys in _KINDS.items())


def lifecycle_policy(
    movable_tags: Sequence[str], rules: Sequence[RetentionRule]
) -> dict[str, list[dict[str, Any]]]:
    """The document: a protective rule for each movable tag, then the rules as they are written.

    A tag is on one image only, so "more than one image tagged `latest`" never comes true and the
    protective rule expires nothing. But an image that matches a rule is never expired by a later
    one: behind the protective rule no rule can expire the image that `latest` names. No rule
    protects what a pattern among the movable tags matches, such as signatures.

    The first rule that matches an image decides about it. Images that an earlier rule keeps are
    counted among the newest N of a later one: `stg-*` behind `prod-*` counts the releases too.

    Raises InvalidInputError where AWS would refuse the document, or read it otherwise than meant.
    """
    refuse(problems_in(movable_tags, rules))
    protective = [
        _part({"tags": tag, "keep_newest": 1}) | {"description": f"Keep the image that {tag} names"}
        for tag in movable_tags
        if ANY not in tag
    ]
    parts = enumerate([*protective, *map(_part, rules)], start=1)
    return {"rules": [{"rulePriority": priority, **part} for priority, part in parts]}


def _part(rule: RetentionRule) -> dict[str, Any]:
    """A rule as ECR has it, but for its priority."""
    [(number, (count_type, action, event))] = [
        (value, _NUMBERS[camel(key)]) for key, value in rule.items() if camel(key) in _NUMBERS
    ]
    selection: dict[str, Any] = {"tagStatus": "any"}
    images = "all other images"
    if "tags" in rule:
        # A pattern list, never a prefix list: the prefix "latest" matches latest-arm64 too. And one
        # pattern only: the entries of a list are joined by AND over the tags of an image.
        images = f"images tagged {rule['tags']}"
        selection = {"tagStatus": "tagged", "tagPatternList": [rule["tags"]]}
    elif "untagged" in rule:
        images, selection = "untagged images", {"tagStatus": "untagged"}
    elif "archived" in rule:
        # Said without a storage class, a rule is about the standard one.
        images, selection["storageClass"] = "archived images", "archive"
        count_type, event = "sinceImageTransitioned", "archiving"
    selection["countType"] = count_type
    description = f"Keep the newest {number} of {images}"
    if event:
        days = "1 day" if number == 1 else f"{number} days"
        verb = "Expire" if action is _EXPIRE else "Archive"
        description = f"{verb} {images} {days} after their {event}"
        selection["countUnit"] = "days"
    selection["countNumber"] = number
    return {"description": description, "selection": selection, "action": dict(action)}


def problems_in(
    movable_tags: Sequence[str], rules: Sequence[RetentionRule | None]
) -> Iterator[Problem]:
    """Everything that is wrong with the rules, each problem under the rule's position.

    Their keys may be those of the settings, too. None stands for a rule that was refused already.
    """
    protected = [tag for tag in movable_tags if ANY not in tag]
    if len(protected) + len(rules) > MAX_RULES:
        broken = f"a lifecycle policy has at most {MAX_RULES} rules, one for each movable tag"
        fix = f"write at most {MAX_RULES} movable tags and rules"
        yield Problem(where=(), value=len(rules), rule=broken, fix=fix)
    written: list[Any] = [
        rule and {camel(key): value for key, value in rule.items()} for rule in rules
    ]
    for position, rule in enumerate(written):
        for key, broken, fix in () if rule is None else _errors_in(written, position, protected):
            where = (position, key) if key else (position,)
            yield Problem(where=where, value=rule[key] if key else rule, rule=broken, fix=fix)


def _errors_in(
    rules: Sequence[Any], position: int, protected: Sequence[str]
) -> Iterator[tuple[str, str, str]]:
    """The wrong key, or none where it is the whole rule; what it breaks; and the fix."""
    rule = rules[position]
    kind = next((kind for kind in _KINDS if kind in rule), "tags")
    key = next((key for key in _KINDS[kind] if key in rule), "")
    if rule.keys() != {kind, key} or rule[kind] is False:
        yield "", f"a rule has exactly one of {_SHAPES}", "write {tags: prod-*, keepNewest: 20}"
        return
    # ECR keeps an archived image for so long, and charges for it.
    least = 90 if kind == "archived" else 1
    # In Python True is an int, too.
    if type(rule[key]) is not int or not least <= rule[key] <= MAX_IMAGES:
        yield key, f"the number is between {least} and {MAX_IMAGES:,}", "write such a number"
    pattern = rule.get("tags", ANY)
    if not TAG_PATTERN.fits(pattern) or pattern.count(ANY) > MAX_PATTERN_WILDCARDS:
        broken = f"{TAG_PATTERN.rule}, with at most {MAX_PATTERN_WILDCARDS} *"
        yield "tags", broken, "write one such as prod-*"
    if pattern in protected:
        broken = f"the movable tag {pattern} has a protective rule already"
        yield "tags", broken, "leave this rule out"
    for earlier, other in enumerate(rules[:position]):
        if other and kind in other and other.get("tags") == rule.get("tags"):
            broken = f"rule [{earlier}] is about the same images, so this one never applies"
            yield "", broken, "make one rule of the two"
            return
    # The archive is a class of its own: in AWS's example its rule stands behind the one about any
    # image.
    behind = rules[position + 1 :]
    if kind in {"any", "archived"} and any("archived" not in (other or ()) for other in behind):
        fix = "move it behind the others; the one about archived images is the last of all"
        yield "", f"the rule about {kind} comes last", fix
