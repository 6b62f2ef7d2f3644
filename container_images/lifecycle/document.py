"""Pure: an ECR lifecycle policy document, read into the rules that the simulation takes.

Whether ECR accepts a document is for ECR to say. Refused here is what the simulation cannot read,
and what it does not know: it would select other images than ECR.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from container_images.policies.invalid_input import (
    ABSENT,
    InvalidInputError,
    Problem,
    parse_json,
)

Action = Literal["expire", "archive"]
"""What a rule does. AWS's word for the second is `transition`, and `archive` is its only target."""
TagStatus = Literal["tagged", "untagged", "any"]
CountType = Literal[
    "imageCountMoreThan", "sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned"
]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of a document. As text, its number and the images that it selects."""

    priority: int
    """AWS's number of the rule. The lower one decides first."""
    tag_status: TagStatus
    tags: tuple[tuple[str, ...], ...] = ()
    """What a tagged image's tags must match, entry by entry, all of them: AND, over all the tags.

    An entry is the text between its wildcards: `prod-*` is `("prod-", "")`, which the prefix
    `prod-` is too; `latest` without a wildcard is `("latest",)`.
    """
    archived: bool = False
    """The rule selects among the images in the archive, and sees no others; or the reverse."""
    count_type: CountType
    number: int
    action: Action = "expire"

    def __str__(self) -> str:
        """`rule 2 (tags prod-*)`."""
        patterns = " and ".join(map("*".join, self.tags))
        others = "untagged images" if self.tag_status == "untagged" else "any image"
        images = f"tags {patterns}" if patterns else others
        return f"rule {self.priority} ({images}{', archived' if self.archived else ''})"


def read_policy(text: str) -> tuple[Rule, ...]:
    """The rules of a policy, or of what `aws ecr get-lifecycle-policy` prints.

    Raises InvalidInputError with everything that the simulation cannot read.
    """
    document = parse_json(
        text, "policy", "write it as aws ecr get-lifecycle-policy has it, with --output json"
    )
    if isinstance(document, dict) and isinstance(document.get("lifecyclePolicyText"), str):
        return read_policy(document["lifecyclePolicyText"])
    return rules_in(document)


def rules_in(document: Any) -> tuple[Rule, ...]:
    """The rules of a parsed document, in the order in which they decide.

    Raises InvalidInputError with everything that the simulation cannot read.
    """
    if problems := list(problems_in(document)):
        raise InvalidInputError(problems)
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


# --- What cannot be read --------------------------------------------------------------------------

_LISTS: Final = ("tagPatternList", "tagPrefixList")
_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "selection": (
        *("tagStatus", *_LISTS, "storageClass", "countType", "countUnit", "countNumber"),
    ),
    "action": ("type", "targetStorageClass"),
}
_WORDS: Final[Mapping[tuple[str, str], tuple[object, ...]]] = {
    ("selection", "tagStatus"): get_args(TagStatus),
    ("selection", "storageClass"): ("standard", "archive", ABSENT),
    ("selection", "countType"): get_args(CountType),
    ("selection", "countUnit"): ("days", ABSENT),
    ("action", "type"): ("expire", "transition"),
    ("action", "targetStorageClass"): ("archive", ABSENT),
}
_NUMBERS: Final = (("rulePriority",), ("selection", "countNumber"))


def problems_in(document: Any) -> Iterator[Problem]:
    """Everything in a parsed document that the simulation cannot read."""
    rules = document.get("rules") if isinstance(document, dict) else None
    if not isinstance(rules, list) or not rules:
        rule, fix = (
            "a lifecycle policy is an object with at least one rule",
            'write {"rules": [...]}',
        )
        yield Problem(where=(), value=document, rule=rule, fix=fix)
        return
    first_with: dict[int, int] = {}
    for position, written in enumerate(rules):
        problems = list(_problems_in(written))
        yield from (problem.under("rules", position) for problem in problems)
        if problems:
            continue
        priority = written["rulePriority"]
        if (first := first_with.setdefault(priority, position)) != position:
            rule, fix = f"rules[{first}] has this priority", "give each rule a priority of its own"
            where = ("rules", position, "rulePriority")
            yield Problem(where=where, value=priority, rule=rule, fix=fix)


def _problems_in(rule: Any) -> Iterator[Problem]:
    if not isinstance(rule, dict) or not all(isinstance(rule.get(part), dict) for part in _KEYS):
        says = "a rule is an object with rulePriority, selection and action"
        yield Problem(where=(), value=rule, rule=says, fix="write all three")
        return
    for part, known in _KEYS.items():
        for key in (key for key in rule[part] if key not in known):
            says, fix = "this key is not known here", f"write one of {', '.join(known)}"
            yield Problem(where=(part, key), value=rule[part][key], rule=says, fix=fix)
    for (part, key), words in _WORDS.items():
        value = rule[part].get(key, ABSENT)
        if value not in words:
            says = f"this is {' or '.join(word for word in words if isinstance(word, str))}"
            fix = "write it in these letters"
            yield Problem(where=(part, key), value=value, rule=says, fix=fix)
    for *parts, key in _NUMBERS:
        value = (rule["selection"] if parts else rule).get(key, ABSENT)
        if type(value) is not int or value < 1:  # in Python, True is an int too
            says, fix = "this is a whole number from 1", "write such a number, without quotes"
            yield Problem(where=(*parts, key), value=value, rule=says, fix=fix)
    yield from _problems_with_tags(rule["selection"])


def _problems_with_tags(selection: Mapping[str, Any]) -> Iterator[Problem]:
    lists = [key for key in _LISTS if key in selection]
    if len(lists) != (selection.get("tagStatus") == "tagged"):
        says = "tagged has either a tagPatternList or a tagPrefixList; untagged and any have none"
        fix = "correct the status, or the lists"
        yield Problem(where=("selection", "tagStatus"), value=lists, rule=says, fix=fix)
    for key in lists:
        entries = selection[key]
        if not (isinstance(entries, list) and entries and all(map(_is_text, entries))):
            says, fix = "this is a list of text, with at least one entry", "write one such as prod-"
            yield Problem(where=("selection", key), value=entries, rule=says, fix=fix)


def _is_text(entry: Any) -> bool:
    return isinstance(entry, str) and entry != ""
