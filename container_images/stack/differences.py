"""Pure: what differs between a live repository and the declared one.

Policies are compared by what their statements and rules mean, not by how they are written.
"""

import json
import re
from operator import itemgetter
from typing import Any, Final

from container_images.policies.document import listed, statements_in
from container_images.stack.state import State

AWS_TAGS: Final = "aws:"
"""Begins the keys of the resource tags that AWS's own services set: nobody else can."""

REPLACING: Final = frozenset({"encryption", "kmsKey"})
"""The settings that no update changes: another value means another repository, and Pulumi refuses
to replace it."""


Difference = dict[str, Any]
"""A `setting` that is not as declared: what was `found`, and what is `declared`, of a policy the
list of its parts. Of a policy also the parts that are `missing` in AWS, and those `undeclared`,
which an update takes away."""


def differences(live: State, declared: State) -> list[Difference]:
    """What is not as declared. Tags that AWS's services have set do not count."""
    in_aws, in_stack = _settings(live), _settings(declared)
    differing = []
    for setting in {**in_stack, **in_aws}:
        there, wanted = in_aws.get(setting), in_stack.get(setting)
        missing, undeclared = [], []
        if isinstance(there, dict) and isinstance(wanted, dict):
            missing = [part for meaning, part in wanted.items() if meaning not in there]
            undeclared = [part for meaning, part in there.items() if meaning not in wanted]
            if [*there] == [*wanted]:
                continue
            there, wanted = [*there.values()], [*wanted.values()]
        if there != wanted:
            parts = {"missing": missing, "undeclared": undeclared}
            differing.append({"setting": setting, "found": there, "declared": wanted, **parts})
    return differing


def _settings(state: State) -> dict[str, Any]:
    """What is compared, under the names that messages give it; a policy as its parts."""
    tags = {key: value for key, value in state.tags.items() if not key.startswith(AWS_TAGS)}
    return {
        "encryption": state.encryption,
        "kmsKey": state.kms_key,
        "tagMutability": state.tag_mutability,
        "scanOnPush": state.scan_on_push,
        "tagMutability's exclusion filters": sorted(state.exclusion_filters),
        **{f"resource tag {key}": value for key, value in tags.items()},
        "repository policy": _statements(state.policy),
        "lifecycle policy": _rules(state.lifecycle_policy),
    }


def describe(difference: Difference) -> str:
    """`tagMutability: IMMUTABLE -> MUTABLE`; of a policy, the names of what differs."""
    setting = difference["setting"]
    names = [
        f"{what}: {', '.join(part.partition(': {')[0] for part in difference[what])}"
        for what in ("missing", "undeclared")
        if difference[what]
    ]
    if not names and setting.endswith("policy"):
        names = ["the rules are in another order"]
    values = f"{_text(difference['found'])} -> {_text(difference['declared'])}"
    is_final = setting in REPLACING
    final = "; no update changes it: correct kmsKey, or leave it out" if is_final else ""
    return f"{setting}: {'; '.join(names) or values}{final}"


def _text(value: Any) -> str:
    values = (each if isinstance(each, str) else json.dumps(each) for each in listed(value))
    return ", ".join(values) or "none"


def _rules(policy: str | None) -> dict[str, str]:
    """Each rule of a lifecycle policy in the order of their numbers, which alone does not count."""
    rules = sorted(json.loads(policy)["rules"] if policy else [], key=itemgetter("rulePriority"))
    return {
        json.dumps([rule["selection"], rule["action"]], sort_keys=True): (
            f"rule {rule['rulePriority']} ({rule.get('description') or 'no description'}): "
            f"{json.dumps(rule)}"
        )
        for rule in rules
    }


def _statements(policy: str | None) -> dict[str, str]:
    """Each statement as it is, after its name, under what it means; the order does not count.

    Nor does the version of the policy language: no declared statement has a variable.
    """
    parts = {}
    for number, statement in enumerate(statements_in(json.loads(policy or "{}")), start=1):
        text = json.dumps(statement)
        # ECR may hand back an account's root as its id.
        same = _ROOT.sub(r"\1", text).replace('"Principal": "*"', '"Principal": {"AWS": "*"}')
        meaning = json.dumps(_sorted(json.loads(same)), sort_keys=True)
        parts[meaning] = f"statement {statement.get('Sid') or number}: {text}"
    return dict(sorted(parts.items()))


_ROOT: Final = re.compile(r"arn:[a-z-]+:iam::(\d{12}):root")


def _sorted(value: Any) -> Any:
    """The same for a list in any order, and for a list of one and its element."""
    if isinstance(value, dict):
        return {key: _sorted(part) for key, part in value.items()}
    return sorted({json.dumps(part) for part in listed(value)})
