"""What differs between a repository in AWS and what its stack declares."""

import json
from dataclasses import replace
from typing import Any

import pytest

from container_images.stack.declared import DeclaredStack
from container_images.stack.state import describe, differences, intended
from tests.stack.conftest import BARE, NAME, policy

OTHER = "444455556666"
FINAL = "; no update changes it: correct kmsKey, or leave it out"
STATEMENTS = (
    "statement ThePipelinePushesAndPulls",
    "statement OtherAccountsPull",
    "statement OnlyAdministratorsDeleteAndChangeTheGuard",
    "statement OnlyThePipelineMovesTags",
)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"policy": None}, [f"repository policy: missing: {', '.join(STATEMENTS)}"]),
        (
            {"tag_mutability": "MUTABLE", "exclusion_filters": ()},
            [
                "tagMutability: MUTABLE -> MUTABLE_WITH_EXCLUSION",
                "tagMutability's exclusion filters: none -> dev-*, merged-*, pr-*, prod-*, stg-*",
            ],
        ),
        ({"scan_on_push": False}, ["scanOnPush: false -> true"]),
        (
            {"tags": {"Service": "forms", "ManagedBy": "pulumi", "Owner": "x", "aws:x": "y"}},
            ["resource tag Environment: none -> deploy", "resource tag Owner: x -> none"],
        ),
        (
            {"encryption": "KMS", "kms_key": "x"},
            [f"encryption: KMS -> AES256{FINAL}", f"kmsKey: x -> none{FINAL}"],
        ),
    ],
    ids=str,
)
def test_whatever_is_not_as_declared_differs(
    change: dict[str, Any], expected: list[str], prod: DeclaredStack
) -> None:
    declared = intended(prod, NAME)
    differing = differences(replace(declared, **change), declared)
    assert [*map(describe, differing)] == expected


def test_the_rules_of_a_lifecycle_policy_are_known_by_what_they_do(prod: DeclaredStack) -> None:
    declared = intended(prod, NAME)
    first, second, *others = json.loads(declared.lifecycle_policy or "")["rules"]

    def differing(*rules: dict[str, Any]) -> str:
        live = replace(declared, lifecycle_policy=json.dumps({"rules": rules}))
        return "".join(map(describe, differences(live, declared)))

    fewer = {**second, "selection": {**second["selection"], "countNumber": 5}, "description": ""}
    assert differing(first, fewer, *others) == (
        f"lifecycle policy: missing: rule 2 ({second['description']}); undeclared: rule 2 (no "
        "description)"
    )
    swapped = {**first, "rulePriority": 2}, {**second, "rulePriority": 1}
    assert differing(*swapped, *others) == "lifecycle policy: the rules are in another order"
    written = (
        {**rule, "rulePriority": 10 * rule["rulePriority"], "description": "another"}
        for rule in (first, second, *others)
    )
    assert differing(*written) == ""


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
    everybody, anybody = ({"Effect": "Deny", "Principal": it} for it in ("*", {"AWS": "*"}))
    declared = replace(BARE, policy=policy(statement, everybody))
    live = replace(BARE, policy=policy(anybody, statement | rewritten))
    differing = differences(live, declared)
    assert (differing == []) is same
    for difference in differing:
        assert difference["missing"] == [f"statement 1: {json.dumps(statement)}"]
        assert difference["undeclared"] == [f"statement 2: {json.dumps(statement | rewritten)}"]
