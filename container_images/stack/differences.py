"""Pure: what differs between a live repository and the declared one.

Policies are compared by what their statements and rules mean, not by how they are written.
"""

import json
import re
from collections.abc import Mapping
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
    there, wanted = _settings(live), _settings(declared)
    differing = [
        _difference(setting, there.get(setting), wanted.get(setting))
        for setting in {**wanted, **there}
        if there.get(setting) != wanted.get(setting)
    ]
    for setting, in_aws, in_stack in (
        (_REPOSITORY_POLICY, _statements(live.policy), _statements(declared.policy)),
        (_LIFECYCLE_POLICY, _rules(live.lifecycle_policy), _rules(declared.lifecycle_policy)),
    ):
        if [*in_aws] != [*in_stack]:
            difference = _difference(setting, [*in_aws.values()], [*in_stack.values()])
            missing = [part for meaning, part in in_stack.items() if meaning not in in_aws]
            undeclared = [part for meaning, part in in_aws.items() if meaning not in in_stack]
            differing.append(difference | {"missing": missing, "undeclared": undeclared})
    return differing


_REPOSITORY_POLICY: Final = "repository policy"
_LIFECYCLE_POLICY: Final = "lifecycle policy"


def _difference(setting: str, live: Any, declared: Any) -> Difference:
    difference = {"setting": setting, "found": live, "declared": declared}
    return {**difference, "missing": [], "undeclared": []}


def _settings(state: State) -> dict[str, Any]:
    """What is compared as it is, under the names that messages give it."""
    tags = {key: value for key, value in state.tags.items() if not key.startswith(AWS_TAGS)}
    return {
        "encryption": state.encryption,
        "kmsKey": state.kms_key,
        "tagMutability": state.tag_mutability,
        "scanOnPush": state.scan_on_push,
        "tagMutability's exclusion filters": sorted(state.exclusion_filters),
        **{f"resource tag {key}": value for key, value in tags.items()},
    }


def describe(difference: Difference) -> str:
    """`tagMutability: IMMUTABLE -> MUTABLE`; of a policy, the names of what differs."""
    setting = difference["setting"]
    values = f"{_text(difference['found'])} -> {_text(difference['declared'])}"
    parts = {"missing": difference["missing"], "not declared": difference["undeclared"]}
    names = [
        f"{what}: {', '.join(part.partition(': {')[0] for part in those)}"
        for what, those in parts.items()
        if those
    ]
    if not names and setting == _LIFECYCLE_POLICY:
        names = ["the rules are in another order"]
    text = f"{setting}: {'; '.join(names) or values}"
    is_final = setting in REPLACING
    return f"{text}; no update changes it: correct kmsKey, or leave it out" if is_final else text


def _text(value: Any) -> str:
    values = (each if isinstance(each, str) else json.dumps(each) for each in listed(value))
    return ", ".join(values) or "none"


def _rules(policy: str | None) -> dict[str, str]:
    """Each rule of a lifecycle policy in the order of their numbers, which alone does not count."""
    rules = sorted(json.loads(policy)["rules"] if policy else [], key=itemgetter("rulePriority"))
    return {
        json.dumps([rule["selection"], rule["action"]], sort_keys=True): (
            f"rule {rule['rulePriority']}{_description(rule)}: {json.dumps(rule)}"
        )
        for rule in rules
    }


def _description(rule: Mapping[str, Any]) -> str:
    return f" ({rule['description']})" if rule.get("description") else ""


def _statements(policy: str | None) -> dict[str, str]:
    """Each statement as it is, after its name, under what it means; the order does not count.

    The version of the policy language changes what a statement means, so it counts as a part:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html
    """
    document = json.loads(policy or "{}")
    version = f"version {document.get('Version', '2008-10-17')}"
    parts = {version: version} if policy else {}
    for number, statement in enumerate(statements_in(document), start=1):
        name = f"statement {statement.get('Sid') or number}"
        parts[json.dumps(_sorted(statement), sort_keys=True)] = f"{name}: {json.dumps(statement)}"
    return dict(sorted(parts.items()))


_ROOT: Final = re.compile(r"arn:[a-z-]+:iam::(\d{12}):root")


def _sorted(value: Any, element: str = "") -> Any:
    """The same for all ways in which ECR may hand a part of a statement back.

    A list of one entry may be a text, and an account's root its id; the order does not count.
    """
    if element in {"Principal", "NotPrincipal"}:
        by_kind = value if isinstance(value, dict) else {"AWS": value}
        return _sorted(json.loads(_ROOT.sub(r"\1", json.dumps(by_kind))))
    if isinstance(value, dict):
        return {key: _sorted(part, key) for key, part in value.items()}
    return sorted({json.dumps(part) for part in listed(value)})
