"""verify: what holds in AWS, against what the stack declares."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from container_images.aws.reference import Reference
from container_images.cli.stack_report import print_verifications
from container_images.stack.declared import DeclaredStack
from container_images.stack.state import intended
from container_images.stack.verify import verification
from tests.cli.test_cli import refused, run
from tests.conftest import FIXTURES
from tests.stack.conftest import NAME, Answers, create

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

ANYBODY = "arn:aws:iam::111122223333:role/anybody"
ARN, HERE = "arn:aws:ecr:", f"repository/{NAME}"
ELSEWHERE = "is elsewhere: stack prod is in account 111122223333, Region eu-west-2"


def test_a_policy_that_is_weaker_than_declared_is_seen(stack: DeclaredStack) -> None:
    declared = intended(stack, NAME)
    document = json.loads(declared.policy or "")
    document["Statement"][0]["Condition"]["ArnNotEquals"]["aws:PrincipalArn"].append(ANYBODY)
    verified = verification(replace(declared, policy=json.dumps(document)), stack)
    assert not verified["ok"]
    assert [each["setting"] for each in verified["differences"]] == ["repository policy"]
    assert not all(proof["proved"] for proof in verified["proofs"])


def test_what_fails_is_printed_first_and_ends_in_a_failure(
    ecr: "ECRClient", stack: DeclaredStack
) -> None:
    create(ecr, intended(stack, "end-to-end-tests"))
    immutable = replace(intended(stack, NAME), tag_mutability="IMMUTABLE", exclusion_filters=())
    create(ecr, replace(immutable, policy=None, encryption="KMS", kms_key="x"))
    done = run("verify", "end-to-end-tests", NAME, "--stack", "prod")
    assert done.exit_code == 1
    assert done.stdout.index("DIFFERS") < done.stdout.index("all 7 claims")
    assert "DOES NOT HOLD" in done.stdout
    assert "tagMutability: IMMUTABLE -> MUTABLE_WITH_EXCLUSION" in done.stdout
    assert "kmsKey: x -> none; no update changes it: correct kmsKey" in done.stdout
    assert f"verify failed for {NAME}; pulumi up --stack prod corrects" in done.stderr


def test_a_claim_that_is_not_decided_says_why(
    stack: DeclaredStack, capsys: pytest.CaptureFixture[str]
) -> None:
    declared = intended(stack, NAME)
    every = (declared.policy or "").replace('"Principal":"*"', '"NotPrincipal":"*"')
    verified = verification(replace(declared, policy=every), stack)
    print_verifications([(Reference(name=NAME), verified)], [])
    assert "NotPrincipal, or a session as a principal" in capsys.readouterr().out


def test_a_repository_that_is_missing_does_not_stop_the_others(
    ecr: "ECRClient", stack: DeclaredStack
) -> None:
    missing, *there = stack.settings.repositories
    for name in there:
        create(ecr, intended(stack, name))
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


@pytest.mark.parametrize(
    ("caller", "arguments", "reason"),
    [
        (ANYBODY, ["nobodys", "--stack", "prod"], "has no repository nobodys"),
        (ANYBODY, [f"{ARN}eu-west-1:111122223333:{HERE}", "--stack", "prod"], ELSEWHERE),
        (ANYBODY, [f"{ARN}eu-west-2:444455556666:{HERE}", "--stack", "prod"], ELSEWHERE),
        (
            "arn:aws:iam::444455556666:role/anybody",
            [NAME, "--stack", "prod"],
            "is in account 111122223333, and you call as",
        ),
        (ANYBODY, [NAME, "--stack", "nobodys"], "there is no such stack"),
        (ANYBODY, ["--stack", "acme/prod"], "there is no such stack"),
    ],
)
def test_what_cannot_be_verified_is_refused(
    sign_in: Callable[[str], None], caller: str, arguments: list[str], reason: str
) -> None:
    sign_in(caller)
    assert reason in refused("verify", *arguments)


def test_a_stack_is_needed_and_all_its_errors_are_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "give --stack" in run("verify", NAME).stderr
    (tmp_path / "Pulumi.yaml").write_text((FIXTURES / "Pulumi.yaml").read_text())
    prod = (FIXTURES / "Pulumi.prod.yaml").read_text()
    (tmp_path / "Pulumi.prod.yaml").write_text(prod.replace("MUTABLE_WITH_EXCLUSION", "IMMUTABLE"))
    monkeypatch.chdir(tmp_path)
    reason = refused("verify", "--stack", "prod")
    assert reason.startswith("Pulumi.prod.yaml: the configuration has one error")
    assert "tagMutability" in reason


@pytest.mark.usefixtures("guarded")
def test_a_permission_that_is_missing_is_named(answers: Answers) -> None:
    answers["ListTagsForResource", "eu-west-2"] = "AccessDeniedException"
    for command in ("verify", "adopt"):
        reason = run(command, NAME, "--stack", "prod").stderr
        assert "no permission for ListTagsForResource" in reason
