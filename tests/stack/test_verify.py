"""verify: what holds in AWS, against what the stack declares."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from container_images.stack.declared import DeclaredStack
from container_images.stack.state import describe, differences, intended, verification
from tests.builds import ECRClient
from tests.cli.test_cli import refused, run
from tests.stack.conftest import BARE, NAME, create, policy

ANYBODY = "arn:aws:iam::111122223333:role/anybody"


def test_a_policy_that_is_weaker_than_declared_is_seen(prod: DeclaredStack) -> None:
    declared = intended(prod, NAME)
    text = declared.policy or ""
    document = json.loads(text)
    document["Statement"][0]["Condition"]["ArnNotEquals"]["aws:PrincipalArn"].append(ANYBODY)
    for weakened, failure in (
        (json.dumps(document), f"by {ANYBODY}"),
        (text.replace('"Principal":"*"', '"NotPrincipal":"*"'), "NotPrincipal, or a session as a"),
    ):
        verified = verification(replace(declared, policy=weakened), prod)
        assert not verified["ok"]
        assert [each["setting"] for each in verified["differences"]] == ["repository policy"]
        failures = [proof["failure"] for proof in verified["proofs"] if not proof["proved"]]
        assert failures
        assert failure in "".join(failures)


def test_what_fails_is_printed_first_and_ends_in_a_failure(
    ecr: ECRClient, prod: DeclaredStack
) -> None:
    create(ecr, intended(prod, "end-to-end-tests"))
    immutable = replace(intended(prod, NAME), tag_mutability="IMMUTABLE", exclusion_filters=())
    create(ecr, replace(immutable, policy=None, encryption="KMS", kms_key="x"))
    done = run("verify", "end-to-end-tests", NAME, "--stack", "prod")
    assert done.exit_code == 1
    assert done.stdout.index("DIFFERS") < done.stdout.index("all claims hold")
    assert "DOES NOT HOLD" in done.stdout
    assert "tagMutability: IMMUTABLE -> MUTABLE_WITH_EXCLUSION" in done.stdout
    assert "kmsKey: x -> none; no update changes it: correct kmsKey" in done.stdout
    assert f"verify failed for {NAME}; pulumi up --stack prod corrects" in done.stderr


def test_a_repository_that_is_missing_does_not_stop_the_others(
    ecr: ECRClient, prod: DeclaredStack
) -> None:
    missing, *there = prod.settings.repositories
    for name in there:
        create(ecr, intended(prod, name))
    done = run("verify", "--stack", "prod", "--json")
    assert done.exit_code == 1
    verified = json.loads(done.stdout)
    repositories = {each["repository"]: each for each in verified["repositories"]}
    assert "RepositoryNotFound" in repositories.pop(missing)["error"]["error"]
    assert repositories.keys() == set(there)
    for repository in repositories.values():
        assert (repository["ok"], repository["differences"]) == (True, [])
        assert all(proof["proved"] for proof in repository["proofs"])
    assert run("verify", there[0], "--stack", "prod").exit_code == 0


def test_what_cannot_be_verified_is_refused(sign_in: Callable[[str], None]) -> None:
    sign_in("arn:aws:iam::444455556666:role/anybody")
    reason = refused("verify", NAME, "--stack", "prod")
    assert "the repository is in account 111122223333, and you call as arn:aws:sts::4444" in reason
    for place in ("eu-west-1:111122223333", "eu-west-2:444455556666"):
        reason = refused("verify", f"arn:aws:ecr:{place}:repository/{NAME}", "--stack", "prod")
        assert "is elsewhere: stack prod is in account 111122223333, Region eu-west-2" in reason
    assert "give --stack" in refused("verify", NAME, status=2)


@pytest.mark.usefixtures("guarded")
def test_a_permission_that_is_missing_is_named(answers: dict[str, str]) -> None:
    answers["ListTagsForResource"] = "AccessDeniedException"
    for command in ("verify", "adopt"):
        reason = refused(command, NAME, "--stack", "prod")
        assert "no permission for ListTagsForResource" in reason


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
