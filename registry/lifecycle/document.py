"""Pure: an ECR lifecycle policy document, held against AWS's rules and read into ours.

Any document that AWS takes, not only those that this project writes.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeGuard

from policies.fault import ABSENT, Fault, InvalidInputError
from policies.retention import MAX_PATTERN_WILDCARDS, MAX_RULES

MAX_LENGTH: Final = 30_720
"""Of the document as text. AWS's minimum of 100 is below that of any document with a rule."""
MIN_DAYS_IN_ARCHIVE: Final = 90

Action = Literal["expire", "archive"]
"""What a rule does. AWS's word for the second is `transition`, and `archive` is its only target."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of a valid document."""

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

_RULE_KEYS: Final = {"rulePriority": True, "description": False, "selection": True, "action": True}
_SELECTION_KEYS: Final = {
    "tagStatus": True,
    "tagPatternList": False,
    "tagPrefixList": False,
    "storageClass": False,
    "countType": True,
    "countUnit": False,
    "countNumber": True,
}
_ACTION_KEYS: Final = {"type": True, "targetStorageClass": False}
"""The keys that AWS knows, and whether they must be there."""

_VALUES: Final = {
    "tagStatus": ("tagged", "untagged", "any"),
    "storageClass": ("standard", "archive"),
    "countType": (
        "imageCountMoreThan",
        "sinceImagePushed",
        "sinceImagePulled",
        "sinceImageTransitioned",
    ),
    "countUnit": ("days",),
    "type": ("expire", "transition"),
    "targetStorageClass": ("archive",),
}

_LISTS: Final = ("tagPatternList", "tagPrefixList")


def faults_in(document: Any) -> Iterator[Fault]:
    """Everything for which AWS would refuse the document, each with the number of its rule."""
    if not isinstance(document, dict) or not isinstance(document.get("rules"), list):
        yield Fault(
            where=(),
            value=document,
            rule="a lifecycle policy is an object with a list of rules",
            fix='write {"rules": [...]}',
        )
        return
    yield from _unknown_keys(document, ["rules"])
    rules = document["rules"]
    if not 1 <= len(rules) <= MAX_RULES:
        yield Fault(
            where=("rules",),
            value=len(rules),
            rule=f"a lifecycle policy has 1 to {MAX_RULES} rules",
            fix="delete the policy instead" if not rules else "make fewer rules of them",
        )
    length = len(json.dumps(document, separators=(",", ":"), ensure_ascii=False))
    if length > MAX_LENGTH:
        yield Fault(
            where=(),
            value=length,
            rule=f"the text of a lifecycle policy has at most {MAX_LENGTH:,} characters",
            fix="shorten the descriptions, or write fewer patterns",
        )
    for position, rule in enumerate(rules):
        for fault in _faults_in_rule(rule):
            yield _numbered(fault, rule).under("rules", position)
    for position, fault in _faults_between(rules):
        yield _numbered(fault, rules[position]).under("rules", position)


def _numbered(fault: Fault, rule: Any) -> Fault:
    priority = _object(rule).get("rulePriority")
    number = f"rule {priority}" if _is_positive(priority) else "a rule without a number"
    return replace(fault, rule=f"{number}: {fault.rule}")


def _faults_in_rule(rule: Any) -> Iterator[Fault]:
    if not isinstance(rule, dict):
        yield Fault(
            where=(),
            value=rule,
            rule="a rule is an object",
            fix="write rulePriority, selection and action",
        )
        return
    yield from _unknown_keys(rule, _RULE_KEYS)
    yield from _missing_keys(rule, _RULE_KEYS)
    if not _is_positive(rule.get("rulePriority", 1)):
        yield Fault(
            where=("rulePriority",),
            value=rule["rulePriority"],
            rule="the priority is a whole number from 1",
            fix="number the rules in the order in which they decide",
        )
    if not isinstance(rule.get("description", ""), str):
        yield Fault(
            where=("description",),
            value=rule["description"],
            rule="the description is text",
            fix="quote it, or leave it out",
        )
    for part, keys, faults_in_part in (
        ("selection", _SELECTION_KEYS, _faults_in_selection),
        ("action", _ACTION_KEYS, _faults_in_action),
    ):
        written = rule.get(part, {})
        if not isinstance(written, dict):
            yield Fault(
                where=(part,),
                value=written,
                rule=f"the {part} is an object",
                fix=f"write {', '.join(keys)} in it, as far as they apply",
            )
            continue
        faults = [*_unknown_keys(written, keys), *_unknown_values(written)]
        if part in rule:
            faults += _missing_keys(written, keys)
        faults += faults_in_part(written)
        yield from (fault.under(part) for fault in faults)
    yield from _faults_between_count_and_action(rule)


def _faults_in_selection(selection: Mapping[str, Any]) -> Iterator[Fault]:
    yield from _faults_in_tags(selection)
    number = selection.get("countNumber", 1)
    count_type = selection.get("countType")
    if not _is_positive(number):
        yield Fault(
            where=("countNumber",),
            value=number,
            rule="the number is a whole number from 1",
            fix="write such a number, without quotes",
        )
    elif count_type == "sinceImageTransitioned" and number < MIN_DAYS_IN_ARCHIVE:
        yield Fault(
            where=("countNumber",),
            value=number,
            rule=f"an image stays in the archive for at least {MIN_DAYS_IN_ARCHIVE} days",
            fix=f"write {MIN_DAYS_IN_ARCHIVE} or more",
        )
    if count_type not in _VALUES["countType"]:
        return
    counts = count_type == "imageCountMoreThan"
    if counts and "countUnit" in selection:
        yield Fault(
            where=("countUnit",),
            value=selection["countUnit"],
            rule="a number of images has no unit",
            fix="leave countUnit out",
        )
    if not counts and "countUnit" not in selection:
        yield Fault(
            where=("countUnit",),
            rule=f"{count_type} counts in days",
            fix='write "countUnit": "days"',
        )
    wanted = "archive" if count_type == "sinceImageTransitioned" else "standard"
    written = selection.get("storageClass", "standard")
    if written in _VALUES["storageClass"] and written != wanted:
        yield Fault(
            where=("storageClass",),
            value=selection.get("storageClass", ABSENT),
            rule=f"{count_type} is about images of the storage class {wanted} only",
            fix=f'write "storageClass": "{wanted}"',
        )


def _faults_in_tags(selection: Mapping[str, Any]) -> Iterator[Fault]:
    there = [key for key in _LISTS if key in selection]
    status = selection.get("tagStatus")
    if status == "tagged" and len(there) != 1:
        yield Fault(
            where=("tagStatus",),
            value=status,
            rule="tagged goes with either a tagPatternList or a tagPrefixList",
            fix="leave one of them out" if there else 'write "tagPatternList": ["PATTERN"]',
        )
    if status in ("untagged", "any") and there:
        yield Fault(
            where=(there[0],),
            value=selection[there[0]],
            rule=f"{status} images are not selected by their tags",
            fix="leave the list out, or write tagged",
        )
    for key in there:
        entries = selection[key]
        if not isinstance(entries, list) or not entries:
            yield Fault(
                where=(key,),
                value=entries,
                rule="this is a list with at least one entry",
                fix="write one such as prod-",
            )
            continue
        for position, entry in enumerate(entries):
            if not isinstance(entry, str) or not entry:
                yield Fault(
                    where=(key, position),
                    value=entry,
                    rule="an entry is text with at least one character",
                    fix="write the tag, or the beginning of it",
                )
            elif key == "tagPatternList" and entry.count("*") > MAX_PATTERN_WILDCARDS:
                yield Fault(
                    where=(key, position),
                    value=entry,
                    rule=f"a pattern has at most {MAX_PATTERN_WILDCARDS} wildcards",
                    fix="use fewer *",
                )


def _faults_in_action(action: Mapping[str, Any]) -> Iterator[Fault]:
    if action.get("type") == "transition" and "targetStorageClass" not in action:
        yield Fault(
            where=("targetStorageClass",),
            rule="a transition has a target",
            fix='write "targetStorageClass": "archive"',
        )
    # Not even null: https://github.com/cloudposse/terraform-aws-ecr/issues/158
    if action.get("type") == "expire" and "targetStorageClass" in action:
        yield Fault(
            where=("targetStorageClass",),
            value=action["targetStorageClass"],
            rule="an image that expires goes to no storage class",
            fix="leave it out",
        )


_ONLY_WITH: Final = {"sinceImagePulled": "transition", "sinceImageTransitioned": "expire"}
"""The count types that AWS takes with one action only."""


def _faults_between_count_and_action(rule: Mapping[str, Any]) -> Iterator[Fault]:
    selection, action = rule.get("selection"), rule.get("action")
    if not isinstance(selection, dict) or not isinstance(action, dict):
        return
    count_type, written = selection.get("countType"), action.get("type")
    for only, wanted in _ONLY_WITH.items():
        if count_type == only and written in _VALUES["type"] and written != wanted:
            yield Fault(
                where=("action", "type"),
                value=written,
                rule=f"{only} goes with the action {wanted} only",
                fix=f"write {wanted}, or count otherwise",
            )


def _faults_between(rules: list[Any]) -> Iterator[tuple[int, Fault]]:
    """What rules must not have in common. Whatever is wrong with one by itself is not repeated."""
    first_with: dict[object, int] = {}
    highest: dict[str, int] = {}
    about_any: list[tuple[int, int, str]] = []
    for position, rule in enumerate(rules):
        selection = _object(_object(rule).get("selection"))
        storage = selection.get("storageClass", "standard")
        priority = _object(rule).get("rulePriority")
        for claim, fault in _claims(priority, selection, storage):
            if (first := first_with.setdefault(claim, position)) != position:
                yield position, replace(fault, rule=f"rules[{first}] {fault.rule}")
        if _is_positive(priority) and isinstance(storage, str):
            highest[storage] = max(priority, highest.get(storage, 0))
            if selection.get("tagStatus") == "any":
                about_any.append((position, priority, storage))
    # AWS's own example has a rule about any image of each storage class, so that the first of the
    # two is not the last of all: it is the last of those that see the same images.
    for position, priority, storage in about_any:
        if priority < highest[storage]:
            yield (
                position,
                Fault(
                    where=("rulePriority",),
                    value=priority,
                    rule="the rule about any image decides last",
                    fix=f"give it a number above {highest[storage]}",
                ),
            )


def _claims(
    priority: Any, selection: Mapping[str, Any], storage: Any
) -> Iterator[tuple[object, Fault]]:
    """What only one rule may have, each with the fault of the next that has it too."""
    if _is_positive(priority):
        yield (
            priority,
            Fault(
                where=("rulePriority",),
                value=priority,
                rule="has this priority already",
                fix="give each rule a number of its own",
            ),
        )
    status, prefixes = selection.get("tagStatus"), selection.get("tagPrefixList")
    if status == "untagged":
        yield (
            f"untagged, {storage}",
            Fault(
                where=("selection", "tagStatus"),
                value=status,
                rule=f"is about the untagged images of the storage class {storage} already",
                fix="make one rule of the two",
            ),
        )
    if isinstance(prefixes, list):
        yield (
            f"{sorted(set(map(str, prefixes)))}, {storage}",
            Fault(
                where=("selection", "tagPrefixList"),
                value=prefixes,
                rule="has these prefixes already",
                fix="make one rule of the two",
            ),
        )


def _object(written: Any) -> Mapping[str, Any]:
    return written if isinstance(written, dict) else {}


def _unknown_keys(written: Mapping[str, Any], known: Collection[str]) -> Iterator[Fault]:
    for key in written:
        if key not in known:
            yield Fault(
                where=(key,),
                value=written[key],
                rule="AWS knows no such key here",
                fix=f"write one of {', '.join(known)}",
            )


def _missing_keys(written: Mapping[str, Any], known: Mapping[str, bool]) -> Iterator[Fault]:
    for key, required in known.items():
        if required and key not in written:
            yield Fault(where=(key,), rule="this is missing", fix="write it")


def _unknown_values(written: Mapping[str, Any]) -> Iterator[Fault]:
    for key, values in _VALUES.items():
        if key in written and written[key] not in values:
            yield Fault(
                where=(key,),
                value=written[key],
                rule=f"this is {' or '.join(values)}",
                fix="write it in just these letters",
            )


def _is_positive(number: Any) -> TypeGuard[int]:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 1
