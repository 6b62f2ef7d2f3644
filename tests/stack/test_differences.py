"""What differs between a repository in AWS and what its stack declares."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from container_images.stack.declared import DeclaredStack
from container_images.stack.differences import describe, differences
from container_images.stack.state import State, intended
from tests.stack.conftest import BARE, NAME, policy

OTHER = "444455556666"
FINAL = "; no update changes it: correct kmsKey, or leave it out"
KEPT = "Keep the newest 50 of images tagged prod-*"
STATEMENTS = (
    "statement ThePipelinePushesAndPulls",
    "statement OtherAccountsPull",
    "statement OnlyAdministratorsDeleteAndChangeTheGuard",
    "statement OnlyThePipelineMovesTags",
)


def fewer_releases(document: str | None) -> str:
    lifecycle = json.loads(document or "")
    lifecycle["rules"][1]["selection"]["countNumber"] = 5
    del lifecycle["rules"][1]["description"]
    return json.dumps(lifecycle)


def swapped(document: str | None) -> str:
    lifecycle = json.loads(document or "")
    first, second, *_ = lifecycle["rules"]
    first["rulePriority"], second["rulePriority"] = second["rulePriority"], first["rulePriority"]
    return json.dumps(lifecycle)


Change = Callable[[State], dict[str, Any]]
CHANGES: dict[str, tuple[Change, list[str]]] = {
    "an older version of the policy language": (
        lambda state: {"policy": (state.policy or "").replace("2012-10-17", "2008-10-17")},
        ["repository policy: missing: version 2012-10-17; not declared: version 2008-10-17"],
    ),
    "no repository policy": (
        lambda _: {"policy": None},
        ["repository policy: missing: version 2012-10-17, " + ", ".join(STATEMENTS)],
    ),
    "tags may be overwritten": (
        lambda _: {"tag_mutability": "MUTABLE", "exclusion_filters": ()},
        [
            "tagMutability: MUTABLE -> MUTABLE_WITH_EXCLUSION",
            "tagMutability's exclusion filters: none -> dev-*, merged-*, pr-*, prod-*, stg-*",
        ],
    ),
    "fewer releases are kept": (
        lambda state: {"lifecycle_policy": fewer_releases(state.lifecycle_policy)},
        [f"lifecycle policy: missing: rule 2 ({KEPT}); not declared: rule 2"],
    ),
    "the rules decide in another order": (
        lambda state: {"lifecycle_policy": swapped(state.lifecycle_policy)},
        ["lifecycle policy: the rules are in another order"],
    ),
    "no scan": (lambda _: {"scan_on_push": False}, ["scanOnPush: false -> true"]),
    "other tags": (
        lambda _: {"tags": {"Service": "forms", "ManagedBy": "pulumi", "Owner": "x"}},
        ["resource tag Environment: none -> deploy", "resource tag Owner: x -> none"],
    ),
    "a key": (
        lambda _: {"encryption": "KMS", "kms_key": "x"},
        [f"encryption: KMS -> AES256{FINAL}", f"kmsKey: x -> none{FINAL}"],
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_whatever_is_not_as_declared_differs(case: str, stack: DeclaredStack) -> None:
    declared = intended(stack, NAME)
    change, expected = CHANGES[case]
    differing = differences(replace(declared, **change(declared)), declared)
    assert [*map(describe, differing)] == expected


def test_what_only_is_written_otherwise_does_not_differ(stack: DeclaredStack) -> None:
    declared = intended(stack, NAME)
    document = json.loads(declared.policy or "")
    document["Statement"].reverse()
    lifecycle = json.loads(declared.lifecycle_policy or "")
    for rule in lifecycle["rules"]:
        rule["rulePriority"] *= 10
        rule["description"] = "another"
    live = replace(
        declared,
        policy=json.dumps(document, indent=1),
        lifecycle_policy=json.dumps(lifecycle),
        tags={**declared.tags, "aws:cloudformation:stack-name": "x"},
    )
    assert differences(live, declared) == []


@pytest.mark.parametrize(
    ("rewritten", "same"),
    [
        ({"Principal": {"AWS": OTHER}}, True),
        ({"Principal": {"AWS": [f"arn:aws:iam::{OTHER}:root"]}}, True),
        ({"Action": ["ecr:PutImage", "ecr:BatchGetImage"]}, True),
        ({"Condition": {"Bool": {"aws:SecureTransport": ["true"]}}}, True),
        ({"Action": "ecr:PutImage"}, False),
        ({"Principal": "*"}, False),
    ],
    ids=str,
)
def test_a_statement_is_known_by_what_it_means(rewritten: dict[str, Any], *, same: bool) -> None:
    """ECR may write a list of one as a text, and an account by its id."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
        "Action": ["ecr:BatchGetImage", "ecr:PutImage"],
        "Condition": {"Bool": {"aws:SecureTransport": "true"}},
    }
    declared = replace(BARE, policy=policy(statement))
    differing = differences(replace(BARE, policy=policy(statement | rewritten)), declared)
    assert (differing == []) is same
    for difference in differing:
        assert difference["missing"] == [f"statement 1: {json.dumps(statement)}"]
        assert difference["undeclared"] == [f"statement 1: {json.dumps(statement | rewritten)}"]
