"""Pure: an ECR lifecycle policy document, read into the rules that the simulation takes.

Whether ECR accepts a document is for ECR to say. Refused here is what the simulation cannot read,
and what it does not know: it would select other images than ECR.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from container_images.policies.invalid_input import ABSENT, InvalidInputError, Problem, parse_json

Action = Literal["expire", "archive"]
"""What a rule does. AWS's word for the second is `transition`, and `archive` is its only target."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of a document. As text, its number and the images that it selects."""

    priority: int
    """AWS's number of the rule. The lower one decides first."""
    tag_status: str
    tags: tuple[tuple[str, ...], ...] = ()
    """What a tagged image's tags must match, entry by entry, all of them: AND, over all the tags.

    An entry is the text between its wildcards: `prod-*` is `("prod-", "")`, which the prefix
    `prod-` is too; `latest` without a wildcard is `("latest",)`.
    """
    archived: bool = False
    """The rule selects among the images in the archive, and sees no others; or the reverse."""
    count_type: str
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
    fix = "write it as aws ecr get-lifecycle-policy has it, with --output json"
    document = parse_json(text, "policy", fix)
    if isinstance(document, dict) and isinstance(document.get("lifecyclePolicyText"), str):
        return read_policy(document["lifecyclePolicyText"])
    return rules_in(document)


def rules_in(document: Any) -> tuple[Rule, ...]:
    """The rules of a parsed document, in the order in which they decide.

    Raises InvalidInputError with everything that the simulation cannot read.
    """
    rules = document.get("rules") if isinstance(document, dict) else None
    if not isinstance(rules, list) or not rules:
        raise InvalidInputError([_problem("a lifecycle policy is an object with rules", document)])
    if problems := [each for place, rule in enumerate(rules) for each in _errors_in(place, rule)]:
        raise InvalidInputError(problems)
    return tuple(sorted(map(_read, rules), key=lambda rule: rule.priority))


def _problem(says: str, value: Any, *where: str | int) -> Problem:
    fix = "correct the policy, or do without the simulation"
    return Problem(where=where, value=value, rule=says, fix=fix)


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
        "tagStatus": ("tagged", "untagged", "any"),
        "storageClass": ("standard", "archive", ABSENT),
        "countType": (
            "imageCountMoreThan",
            "sinceImagePushed",
            "sinceImagePulled",
            "sinceImageTransitioned",
        ),
        "countUnit": ("days", ABSENT),
    },
    "action": {"type": ("expire", "transition"), "targetStorageClass": ("archive", ABSENT)},
}


def _errors_in(position: int, rule: Any) -> Iterator[Problem]:
    place = ("rules", position)
    if not isinstance(rule, dict) or not all(isinstance(rule.get(part), dict) for part in _WORDS):
        yield _problem("a rule is an object with rulePriority, selection and action", rule, *place)
        return
    known = {"countNumber", *_LISTS}.union(*_WORDS.values())
    for part, words in _WORDS.items():
        for key in (key for key in rule[part] if key not in known):
            yield _problem("this key is not known here", rule[part][key], *place, part, key)
        for key, allowed in words.items():
            if (value := rule[part].get(key, ABSENT)) not in allowed:
                texts = (word for word in allowed if isinstance(word, str))
                yield _problem(f"this is {' or '.join(texts)}", value, *place, part, key)
    selection = rule["selection"]
    for parent, where in ((rule, ["rulePriority"]), (selection, ["selection", "countNumber"])):
        value = parent.get(where[-1], ABSENT)
        if type(value) is not int or value < 1:  # in Python, True is an int too
            yield _problem("this is a whole number from 1", value, *place, *where)
    lists = [selection[key] for key in _LISTS if key in selection]
    are_texts = all(
        isinstance(each, list) and each and all(isinstance(text, str) and text for text in each)
        for each in lists
    )
    if len(lists) != (selection.get("tagStatus") == "tagged") or not are_texts:
        says = "tagged has one list, tagPatternList or tagPrefixList, of text; others have none"
        yield _problem(says, selection, *place, "selection")
