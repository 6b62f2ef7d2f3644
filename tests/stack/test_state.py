"""What differs between a repository in AWS and what its stack declares."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from container_images.stack.declared import DeclaredStack
from container_images.stack.state import REPLACING, State, differences
from container_images.stack.verify import Verification
from tests.stack.conftest import as_declared


def _keeping(policy: str | None, number: int) -> str:
    document = json.loads(policy or "")
    document["rules"][1]["selection"]["countNumber"] = number
    del document["rules"][1]["description"]
    return json.dumps(document)


def _swapped(policy: str | None) -> str:
    document = json.loads(policy or "")
    first, second, *_ = document["rules"]
    first["rulePriority"], second["rulePriority"] = second["rulePriority"], first["rulePriority"]
    return json.dumps(document)


Change = Callable[[State], dict[str, Any]]
CHANGES: dict[str, tuple[Change, dict[str, str]]] = {
    "an older version of the policy language": (
        lambda it: {"policy": (it.policy or "").replace("2012-10-17", "2008-10-17")},
        {"repository policy": "missing: version 2012-10-17; not declared: version 2008-10-17"},
    ),
    "no repository policy": (
        lambda _: {"policy": None},
        {
            "repository policy": "missing: version 2012-10-17, "
            "statement ThePipelinePushesAndPulls, statement OtherAccountsPull, statement "
            "OnlyAdministratorsDeleteAndChangeTheGuard, statement OnlyThePipelineMovesTags"
        },
    ),
    "tags may be overwritten": (
        lambda _: {"tag_mutability": "MUTABLE", "exclusion_filters": ()},
        {
            "tagMutability": "MUTABLE -> MUTABLE_WITH_EXCLUSION",
            "tagMutability's exclusion filters": "none -> dev-*, merged-*, pr-*, prod-*, stg-*",
        },
    ),
    "a filter less": (
        lambda it: {"exclusion_filters": it.exclusion_filters[1:]},
        {
            "tagMutability's exclusion filters": "dev-*, pr-*, prod-*, stg-* -> "
            "dev-*, merged-*, pr-*, prod-*, stg-*"
        },
    ),
    "no lifecycle policy": (
        lambda _: {"lifecycle_policy": None},
        {
            "lifecycle policy": "missing: rule 1 (Keep the image that latest names), "
            "rule 2 (Keep the newest 50 of images tagged prod-*), "
            "rule 3 (Keep the newest 50 of images tagged stg-*), "
            "rule 4 (Keep the newest 100 of images tagged merged-*), "
            "rule 5 (Expire images tagged dev-* 30 days after their push), "
            "rule 6 (Expire images tagged pr-* 14 days after their push), "
            "rule 7 (Expire untagged images 7 days after their push)"
        },
    ),
    "fewer releases are kept": (
        lambda it: {"lifecycle_policy": _keeping(it.lifecycle_policy, 5)},
        {
            "lifecycle policy": "missing: rule 2 (Keep the newest 50 of images tagged prod-*); "
            "not declared: rule 2"
        },
    ),
    "the rules decide in another order": (
        lambda it: {"lifecycle_policy": _swapped(it.lifecycle_policy)},
        {"lifecycle policy": "the rules are in another order"},
    ),
    "no scan": (lambda _: {"scan_on_push": False}, {"scanOnPush": "false -> true"}),
    "a tag more": (
        lambda it: {"tags": {**it.tags, "Owner": "x"}},
        {"resource tag Owner": "x -> none"},
    ),
    "a tag less": (
        lambda _: {"tags": {"Service": "forms", "ManagedBy": "pulumi"}},
        {"resource tag Environment": "none -> deploy"},
    ),
    "a key": (
        lambda _: {"encryption": "KMS", "kms_key": "x"},
        {"encryption": "KMS -> AES256", "kmsKey": "x -> none"},
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_whatever_is_not_as_declared_differs(case: str, stack: DeclaredStack) -> None:
    declared = as_declared(stack)
    change, expected = CHANGES[case]
    live = replace(declared, **change(declared))
    differing = differences(live, declared)
    assert [str(it) for it in differing] == [f"{name}: {text}" for name, text in expected.items()]
    assert not Verification(live=live, proofs=(), differences=differing).ok
    assert {it.setting in REPLACING for it in differing} == {case == "a key"}


def test_what_only_is_written_otherwise_does_not_differ(stack: DeclaredStack) -> None:
    declared = as_declared(stack)
    policy = json.loads(declared.policy or "")
    policy["Statement"].reverse()
    rules = json.loads(declared.lifecycle_policy or "")
    for rule in rules["rules"]:
        rule["rulePriority"] *= 10
        rule["description"] = "another"
    live = replace(
        declared,
        policy=json.dumps(policy, indent=1),
        lifecycle_policy=json.dumps(rules),
        tags={**declared.tags, "aws:cloudformation:stack-name": "x"},
    )
    assert differences(live, declared) == []
