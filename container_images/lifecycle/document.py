"""Pure: an ECR lifecycle policy document, read into the rules that the simulation takes.

Whether ECR accepts a document is for ECR to say. Refused here is what the simulation cannot read,
and what it does not know: it would select other images than ECR.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from container_images.policies.invalid_input import ABSENT, InvalidInputError, Problem, parse_json

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
    rules = document.get("rules") if isinstance(document, dict) else None
    if not isinstance(rules, list) or not rules:
        says, fix = "a lifecycle policy is an object with rules", 'write {"rules": [...]}'
        raise InvalidInputError([Problem(where=(), value=document, rule=says, fix=fix)])
    problems = [
        problem.under("rules", position)
        for position, rule in enumerate(rules)
        for problem in _problems_in(rule)
    ]
    if problems:
        raise InvalidInputError(problems)
    ordered = sorted(map(_read, rules), key=lambda rule: rule.priority)
    counts = Counter(rule.priority for rule in ordered)
    if shared := [priority for priority in counts if counts[priority] > 1]:
        says, fix = "several rules have this priority", "give each rule a priority of its own"
        raise InvalidInputError([Problem(where=("rules",), value=shared, rule=says, fix=fix)])
    return tuple(ordered)


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
_WORDS: Final[Mapping[str, Mapping[str, tuple[object, ...]]]] = {
    "selection": {
        "tagStatus": get_args(TagStatus),
        "storageClass": ("standard", "archive", ABSENT),
        "countType": get_args(CountType),
        "countUnit": ("days", ABSENT),
    },
    "action": {"type": ("expire", "transition"), "targetStorageClass": ("archive", ABSENT)},
}
_KEYS: Final = {"countNumber", *_LISTS}.union(*_WORDS.values())


def _problems_in(rule: Any) -> Iterator[Problem]:
    if not isinstance(rule, dict) or not all(isinstance(rule.get(part), dict) for part in _WORDS):
        says = "a rule is an object with rulePriority, selection and action"
        yield Problem(where=(), value=rule, rule=says, fix="write all three")
        return
    for part, words in _WORDS.items():
        for key in (key for key in rule[part] if key not in _KEYS):
            says, fix = "this key is not known here", "leave it out, or do without the simulation"
            yield Problem(where=(part, key), value=rule[part][key], rule=says, fix=fix)
        for key, allowed in words.items():
            if (value := rule[part].get(key, ABSENT)) not in allowed:
                says = f"this is {' or '.join(word for word in allowed if isinstance(word, str))}"
                yield Problem(where=(part, key), value=value, rule=says, fix="write it so")
    selection = rule["selection"]
    for where, parent in ((("rulePriority",), rule), (("selection", "countNumber"), selection)):
        value = parent.get(where[-1], ABSENT)
        if type(value) is not int or value < 1:  # in Python, True is an int too
            says, fix = "this is a whole number from 1", "write such a number, without quotes"
            yield Problem(where=where, value=value, rule=says, fix=fix)
    lists = [selection[key] for key in _LISTS if key in selection]
    is_tagged = selection.get("tagStatus") == "tagged"
    if len(lists) != is_tagged or not all(map(_are_texts, lists)):
        says = "tagged has one list, tagPatternList or tagPrefixList, of text; others have none"
        fix = 'correct the status, or write a list such as ["prod-*"]'
        yield Problem(where=("selection",), value=selection, rule=says, fix=fix)


def _are_texts(entries: Any) -> bool:
    is_list = isinstance(entries, list) and entries != []
    return is_list and all(isinstance(entry, str) and entry for entry in entries)
