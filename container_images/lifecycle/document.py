"""Pure: an ECR lifecycle policy document, read into the rules that the simulation takes.

Whether ECR accepts a document is for ECR to say. Refused here is what the simulation cannot read,
and what it does not know: it would select other images than ECR.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, Literal

from container_images.policies.invalid_input import (
    ABSENT,
    InvalidInputError,
    Problem,
    parse_json,
    refuse,
)

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

    Raises InvalidInputError with every rule that the simulation cannot read.
    """
    written = document.get("rules") if isinstance(document, dict) else None
    fix = "correct the policy"
    if not isinstance(written, list) or not written:
        says = "a lifecycle policy is an object with rules"
        raise InvalidInputError([Problem(where=(), value=document, rule=says, fix=fix)])
    rules = [_read(rule) for rule in written]
    says = "AWS documents no such rule, or the simulation does not know it"
    refuse(
        Problem(where=("rules", position), value=written[position], rule=says, fix=fix)
        for position, rule in enumerate(rules)
        if rule is None
    )
    read = sorted(filter(None, rules), key=attrgetter("priority"))
    if len({rule.priority for rule in read}) < len(read):
        says = "several rules have one rulePriority"
        raise InvalidInputError([Problem(where=("rules",), value=written, rule=says, fix=fix)])
    return tuple(read)


_VALUES: Final[Mapping[str, Sequence[object]]] = {
    "tagStatus": ("tagged", "untagged", "any"),
    "storageClass": ("standard", "archive", ABSENT),
    "countType": (
        ["imageCountMoreThan", "sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned"]
    ),
    "countUnit": ("days", ABSENT),
    "type": ("expire", "transition"),
    "targetStorageClass": ("archive", ABSENT),
}


def _read(written: Any) -> Rule | None:
    """The rule, unless it has other keys or values than the simulation knows."""
    match written:
        case {
            "rulePriority": priority,
            "selection": {"countNumber": number, **selection},
            "action": {**action},
        }:
            keys: dict[Any, Any] = {**selection, **action}
        case _:
            return None
    lists = {key: keys.pop(key) for key in ("tagPatternList", "tagPrefixList") if key in keys}
    is_known = (
        all(keys.get(key, ABSENT) in values for key, values in _VALUES.items())
        and keys.keys() <= _VALUES.keys()
        and action.keys() == keys.keys() & {"type", "targetStorageClass"}
        # In Python, True is an int too.
        and all(type(count) is int and count > 0 for count in (priority, number))
        and len(lists) == (keys["tagStatus"] == "tagged")
        and all(isinstance(each, list) and each for each in lists.values())
        and all(isinstance(text, str) and text for each in lists.values() for text in each)
    )
    if not is_known:
        return None
    patterns = [tuple(pattern.split("*")) for pattern in lists.get("tagPatternList", ())]
    prefixes = [(prefix, "") for prefix in lists.get("tagPrefixList", ())]
    return Rule(
        priority=priority,
        tag_status=keys["tagStatus"],
        tags=(*patterns, *prefixes),
        archived=keys.get("storageClass") == "archive",
        count_type=keys["countType"],
        number=number,
        action="expire" if keys["type"] == "expire" else "archive",
    )
