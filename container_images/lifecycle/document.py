"""Pure: an ECR lifecycle policy document, held against AWS's rules and read into ours.

Any document that AWS takes, not only those that this project writes.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Literal, TypeGuard

from container_images.policies.invalid_input import ABSENT, InvalidInputError, Problem
from container_images.policies.retention import MAX_PATTERN_WILDCARDS, MAX_RULES

MAX_LENGTH: Final = 30_720
"""Of the document as text. AWS's minimum of 100 is below that of any document with a rule."""
MIN_DAYS_IN_ARCHIVE: Final = 90

Action = Literal["expire", "archive"]
"""What a rule does. AWS's word for the second is `transition`, and `archive` is its only target."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of a valid document. As text, its number and the images that it is about."""

    priority: int
    """AWS's number of the rule. The lower one decides first."""
    tag_status: Literal["tagged", "untagged", "any"]
    tags: tuple[tuple[str, ...], ...] = ()
    """What a tagged image's tags must match, entry by entry, all of them: AND, over all the tags.

    An entry is the text between its wildcards: `prod-*` is `("prod-", "")`, which the prefix
    `prod-` is too; `latest` without a wildcard is `("latest",)`.
    """
    archived: bool = False
    """The rule is about images in the archive, and sees no others; or the other way round."""
    count_type: Literal[
        "imageCountMoreThan", "sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned"
    ]
    number: int
    action: Action = "expire"

    def __str__(self) -> str:
        """`rule 2 (tags prod-*)`."""
        about = " and ".join(map("*".join, self.tags))
        others = "untagged images" if self.tag_status == "untagged" else "any image"
        images = f"tags {about}" if about else others
        return f"rule {self.priority} ({images}{', archived' if self.archived else ''})"


def rules_in(document: Any) -> tuple[Rule, ...]:
    """The rules of a document, in the order in which they decide.

    Raises InvalidInputError with everything for which AWS would refuse the document.
    """
    if faults := list(faults_in(document)):
        raise InvalidInputError(faults)
    return tuple(sorted(map(_read, document["rules"]), key=lambda rule: rule.priority))


def _read(written: Mapping[str, Any]) -> Rule:
    selection = written["selection"]
    patterns = [tuple(pattern.split("*")) for pattern in selection.get("tagPatternList", [])]
    prefixes = [(prefix, "") for prefix in selection.get("tagPrefixList", [])]
    return Rule(
        priority=written["rulePriority"],
        tag_status=selection["tagStatus"],
        tags=(*patterns, *prefixes),
        archived=selection.get("storageClass") == "archive",
        count_type=selection["countType"],
        number=selection["countNumber"],
        action="expire" if written["action"]["type"] == "expire" else "archive",
    )


# --- What AWS refuses -----------------------------------------------------------------------------

_PRIORITY: Final = ("rulePriority",)
_STATUS: Final = ("selection", "tagStatus")
_PREFIXES: Final = ("selection", "tagPrefixList")
_MERGE: Final = "make one rule of the two"

RuleProblem = tuple[tuple[str | int, ...], str, str]
"""Where it is in a rule, the rule of AWS's that it breaks, and the fix."""


@dataclass(frozen=True)
class _Key:
    """A key that AWS knows, and what its value is for itself."""

    valid: Callable[[Any], bool]
    rule: str
    fix: str
    required: bool = True


def _is_positive(number: Any) -> TypeGuard[int]:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1


def _one_of(*values: str, required: bool = True) -> _Key:
    says = f"this is {' or '.join(values)}"
    return _Key(lambda it: it in values, says, "write it in just these letters", required)


_LIST: Final = _Key(
    lambda it: isinstance(it, list) and bool(it),
    "this is a list with at least one entry",
    "write one such as prod-",
    required=False,
)
_LISTS: Final = ("tagPatternList", "tagPrefixList")
_SELECTION: Final = {
    "tagStatus": _one_of("tagged", "untagged", "any"),
    **dict.fromkeys(_LISTS, _LIST),
    "storageClass": _one_of("standard", "archive", required=False),
    "countType": _one_of(
        "imageCountMoreThan", "sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned"
    ),
    "countUnit": _one_of("days", required=False),
    "countNumber": _Key(
        _is_positive, "the number is a whole number from 1", "write such a number, without quotes"
    ),
}
_ACTION: Final = {
    "type": _one_of("expire", "transition"),
    "targetStorageClass": _one_of("archive", required=False),
}


def _object_of(part: str, keys: Collection[str]) -> _Key:
    fix = f"write {', '.join(keys)} in it, as far as they apply"
    return _Key(lambda it: isinstance(it, dict), f"the {part} is an object", fix)


_RULE: Final = {
    "rulePriority": _Key(
        _is_positive,
        "the priority is a whole number from 1",
        "number the rules in the order in which they decide",
    ),
    "description": _Key(
        lambda it: isinstance(it, str),
        "the description is text",
        "quote it, or leave it out",
        required=False,
    ),
    "selection": _object_of("selection", _SELECTION),
    "action": _object_of("action", _ACTION),
}


def faults_in(document: Any) -> Iterator[Problem]:
    """Everything for which AWS would refuse the document, each with the number of its rule."""
    if not isinstance(document, dict) or not isinstance(document.get("rules"), list):
        rule, fix = "a lifecycle policy is an object with a list of rules", 'write {"rules": [...]}'
        yield Problem(where=(), value=document, rule=rule, fix=fix)
        return
    for where, rule, fix in _key_problems(document, {"rules": _LIST}):
        if where != ("rules",):
            yield Problem(where=where, value=document[where[0]], rule=rule, fix=fix)
    rules = document["rules"]
    if not 1 <= len(rules) <= MAX_RULES:
        yield Problem(
            where=("rules",),
            value=rules and len(rules),
            rule=f"a lifecycle policy has 1 to {MAX_RULES} rules",
            fix="make fewer rules of them" if rules else "delete the policy instead",
        )
    length = len(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
    if length > MAX_LENGTH:
        yield Problem(
            where=(),
            value=length,
            rule=f"the text of a lifecycle policy has at most {MAX_LENGTH:,} characters",
            fix="shorten the descriptions, or write fewer patterns",
        )
    found = [(at, problem) for at, rule in enumerate(rules) for problem in _problems_in(rule)]
    for at, (where, says, fix) in (*found, *_problems_between(rules)):
        priority = _at(rules[at], _PRIORITY)
        number = f"rule {priority}" if _is_positive(priority) else "a rule without a number"
        value = _at(rules[at], where)
        yield Problem(where=("rules", at, *where), value=value, rule=f"{number}: {says}", fix=fix)


def _at(written: Any, where: Sequence[str | int]) -> Any:
    """What stands there; ABSENT where nothing does."""
    for step in where:
        if isinstance(step, str) and not (isinstance(written, dict) and step in written):
            return ABSENT
        written = written[step]
    return written


def _key_problems(written: Mapping[str, Any], keys: Mapping[str, _Key]) -> Iterator[RuleProblem]:
    for unknown in (key for key in written if key not in keys):
        yield (unknown,), "AWS knows no such key here", f"write one of {', '.join(keys)}"
    for name, key in keys.items():
        if name not in written:
            if key.required:
                yield (name,), "this is missing", "write it"
        elif not key.valid(written[name]):
            yield (name,), key.rule, key.fix


def _problems_in(rule: Any) -> Iterator[RuleProblem]:
    if not isinstance(rule, dict):
        yield (), "a rule is an object", "write rulePriority, selection and action"
        return
    yield from _key_problems(rule, _RULE)
    selection, action = rule.get("selection"), rule.get("action")
    count_type = None
    if isinstance(selection, dict):
        count_type = selection.get("countType")
        parts = _key_problems(selection, _SELECTION), _tag_problems(selection)
        yield from _under("selection", *parts, _count_problems(selection))
    if isinstance(action, dict):
        parts = _key_problems(action, _ACTION), _action_problems(action, count_type)
        yield from _under("action", *parts)


def _under(part: str, *problems: Iterable[RuleProblem]) -> Iterator[RuleProblem]:
    return (((part, *where), says, fix) for where, says, fix in chain(*problems))


def _tag_problems(selection: Mapping[str, Any]) -> Iterator[RuleProblem]:
    status, there = selection.get("tagStatus"), [key for key in _LISTS if key in selection]
    if status == "tagged" and len(there) != 1:
        fix = "leave one of them out" if there else 'write "tagPatternList": ["PATTERN"]'
        yield ("tagStatus",), "tagged goes with either a tagPatternList or a tagPrefixList", fix
    if status in ("untagged", "any") and there:
        says = f"{status} images are not selected by their tags"
        yield (there[0],), says, "leave the list out, or write tagged"
    for key in there:
        for position, entry in enumerate(selection[key] if _LIST.valid(selection[key]) else ()):
            if not isinstance(entry, str) or not entry:
                says = "an entry is text with at least one character"
                yield (key, position), says, "write the tag, or the beginning of it"
            elif key == "tagPatternList" and entry.count("*") > MAX_PATTERN_WILDCARDS:
                says = f"a pattern has at most {MAX_PATTERN_WILDCARDS} wildcards"
                yield (key, position), says, "use fewer *"


def _count_problems(selection: Mapping[str, Any]) -> Iterator[RuleProblem]:
    number, count_type = selection.get("countNumber"), selection.get("countType")
    if not _SELECTION["countType"].valid(count_type):
        return
    in_archive = count_type == "sinceImageTransitioned"
    if in_archive and _is_positive(number) and number < MIN_DAYS_IN_ARCHIVE:
        says = f"an image stays in the archive for at least {MIN_DAYS_IN_ARCHIVE} days"
        yield ("countNumber",), says, f"write {MIN_DAYS_IN_ARCHIVE} or more"
    counts = count_type == "imageCountMoreThan"
    if counts and "countUnit" in selection:
        yield ("countUnit",), "a number of images has no unit", "leave countUnit out"
    if not counts and "countUnit" not in selection:
        yield ("countUnit",), f"{count_type} counts in days", 'write "countUnit": "days"'
    wanted = "archive" if in_archive else "standard"
    written = selection.get("storageClass", "standard")
    if written != wanted and _SELECTION["storageClass"].valid(written):
        says = f"{count_type} is about images of the storage class {wanted} only"
        yield ("storageClass",), says, f'write "storageClass": "{wanted}"'


def _action_problems(action: Mapping[str, Any], count_type: Any) -> Iterator[RuleProblem]:
    kind, targeted = action.get("type"), "targetStorageClass" in action
    if kind == "transition" and not targeted:
        fix = 'write "targetStorageClass": "archive"'
        yield ("targetStorageClass",), "a transition has a target", fix
    # Not even null: https://github.com/cloudposse/terraform-aws-ecr/issues/158
    if kind == "expire" and targeted:
        says = "an image that expires goes to no storage class"
        yield ("targetStorageClass",), says, "leave it out"
    for only, wanted, other in (
        ("sinceImagePulled", "transition", "expire"),
        ("sinceImageTransitioned", "expire", "transition"),
    ):
        if (count_type, kind) == (only, other):
            says = f"{only} goes with the action {wanted} only"
            yield ("type",), says, f"write {wanted}, or count otherwise"


def _problems_between(rules: Sequence[Any]) -> Iterator[tuple[int, RuleProblem]]:
    """What rules must not have in common, each with the position of its rule."""
    first_with: dict[object, int] = {}
    highest: dict[str, int] = {}
    about_any: list[tuple[int, int, str]] = []
    for position, rule in enumerate(rules):
        status, priority = _at(rule, _STATUS), _at(rule, _PRIORITY)
        prefixes, storage = _at(rule, _PREFIXES), _at(rule, ("selection", "storageClass"))
        storage = "standard" if storage is ABSENT else str(storage)
        claims: list[tuple[object, RuleProblem]] = []
        if _is_positive(priority):
            fix = "give each rule a number of its own"
            claims.append((priority, (_PRIORITY, "has this priority already", fix)))
            highest[storage] = max(priority, highest.get(storage, 0))
            if status == "any":
                about_any.append((position, priority, storage))
        if status == "untagged":
            says = f"is about the untagged images of the storage class {storage} already"
            claims.append(((status, storage), (_STATUS, says, _MERGE)))
        if isinstance(prefixes, list):
            same = frozenset(map(str, prefixes)), storage
            claims.append((same, (_PREFIXES, "has these prefixes already", _MERGE)))
        for claim, (where, says, fix) in claims:
            if (first := first_with.setdefault(claim, position)) != position:
                yield position, (where, f"rules[{first}] {says}", fix)
    # AWS's own example has a rule about any image of each storage class, so that the first of the
    # two is not the last of all: it is the last of those that see the same images.
    for position, priority, storage in about_any:
        if priority < highest[storage]:
            fix = f"give it a number above {highest[storage]}"
            yield position, (_PRIORITY, "the rule about any image decides last", fix)
