"""verify: what holds in AWS, against what the stack declares."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from container_images.access.claims import Proof
from container_images.aws.reference import Reference
from container_images.cli.stack_output import print_verifications
from container_images.stack.declared import DeclaredStack
from container_images.stack.verify import Verification, verify
from tests.cli.test_cli import refused, run
from tests.stack.conftest import NAME, Answers, as_declared, create

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

ANYBODY = "arn:aws:iam::111122223333:role/anybody"


def test_what_is_as_declared_is_ok(ecr: "ECRClient", stack: DeclaredStack) -> None:
    for name in stack.settings.repositories:
        create(ecr, as_declared(stack, name))
    done = run("verify", "--stack", "prod", "--json")
    assert done.exit_code == 0, done.output
    verified = json.loads(done.stdout)
    assert {it["repository"] for it in verified["repositories"]} == {*stack.settings.repositories}
    for repository in verified["repositories"]:
        assert repository["ok"]
        assert repository["differences"] == []
        assert all(proof["proved"] for proof in repository["proofs"])
    assert any("pulls" in it for it in verified["checklist"])


def _without(policy: str | None, sid: str) -> str:
    document = json.loads(policy or "")
    document["Statement"] = [it for it in document["Statement"] if it["Sid"] != sid]
    return json.dumps(document)


def _weakened(policy: str | None) -> str:
    document = json.loads(policy or "")
    exempt = document["Statement"][0]["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
    exempt.append(ANYBODY)
    return json.dumps(document)


POLICIES: dict[str, Callable[[str | None], str | None]] = {
    "no guard at all": lambda _: None,
    "no Deny of pushes": lambda it: _without(it, "OnlyThePipelineMovesTags"),
    "one more role may push": _weakened,
    "no account may pull": lambda it: _without(it, "OtherAccountsPull"),
}


@pytest.mark.parametrize("case", POLICIES)
def test_a_policy_that_is_weaker_than_declared_is_seen(case: str, stack: DeclaredStack) -> None:
    declared = as_declared(stack)
    verified = verify(replace(declared, policy=POLICIES[case](declared.policy)), stack)
    assert not verified.ok
    assert [it.setting for it in verified.differences] == ["repository policy"]
    assert not all(it.proved for it in verified.proofs)


def test_what_fails_is_printed_first_and_ends_in_a_failure(
    ecr: "ECRClient", stack: DeclaredStack
) -> None:
    create(ecr, as_declared(stack, "end-to-end-tests"))
    declared = as_declared(stack)
    immutable = replace(declared, tag_mutability="IMMUTABLE", exclusion_filters=())
    create(ecr, replace(immutable, policy=None, encryption="KMS", kms_key="x"))
    done = run("verify", "end-to-end-tests", NAME, "--stack", "prod")
    assert done.exit_code == 1
    assert done.stdout.index("DIFFERS") < done.stdout.index("all 7 claims")
    assert "DOES NOT HOLD" in done.stdout
    assert "tagMutability: IMMUTABLE -> MUTABLE_WITH_EXCLUSION" in done.stdout
    assert (
        "kmsKey: x -> none; no update changes it: correct kmsKey in Pulumi.prod.yaml" in done.stdout
    )
    assert "[ ] ECR has accepted every action" in done.stdout
    assert f"verify failed for {NAME}; make up STACK=prod corrects" in done.stderr


def test_a_claim_that_is_not_decided_says_why(
    stack: DeclaredStack, capsys: pytest.CaptureFixture[str]
) -> None:
    proof = Proof(claim="Nobody", proved=False, counterexample=None, undecided="statement Two")
    verified = Verification(live=as_declared(stack), proofs=[proof], differences=[])
    print_verifications([(Reference(name=NAME), verified)], "prod", [], [])
    assert "not decided: statement Two" in capsys.readouterr().out
    assert not verified.ok


def test_a_repository_that_is_missing_does_not_stop_the_others(
    ecr: "ECRClient", stack: DeclaredStack
) -> None:
    create(ecr, as_declared(stack))
    done = run("verify", "--stack", "prod", "--json")
    assert done.exit_code == 1
    repositories = {it["repository"]: it for it in json.loads(done.stdout)["repositories"]}
    assert repositories.keys() == set(stack.settings.repositories)
    assert repositories.pop(NAME)["ok"]
    assert all("RepositoryNotFound" in it["error"]["error"] for it in repositories.values())


def test_what_cannot_be_verified_is_refused(sign_in: Callable[[str], None]) -> None:
    sign_in(ANYBODY)
    assert "RepositoryNotFoundException" in refused("verify", NAME, "--stack", "prod")
    assert "has no repository nobodys" in refused("verify", "nobodys", "--stack", "prod")
    arn = f"arn:aws:ecr:eu-west-1:111122223333:repository/{NAME}"
    assert "is elsewhere: stack prod is in account 111122223333, Region eu-west-2" in refused(
        "verify", arn, "--stack", "prod"
    )
    arn = f"arn:aws:ecr:eu-west-2:444455556666:repository/{NAME}"
    assert "is elsewhere: stack prod is in account 111122223333" in refused(
        "verify", arn, "--stack", "prod"
    )
    assert "there is no such stack" in refused("verify", NAME, "--stack", "nobodys")
    sign_in("arn:aws:iam::444455556666:role/anybody")
    assert "is in account 111122223333, and you" in refused("verify", NAME, "--stack", "prod")
    assert "give --stack" in run("verify", NAME).stderr


@pytest.mark.parametrize(
    "action",
    ["DescribeRepositories", "GetRepositoryPolicy", "GetLifecyclePolicy", "ListTagsForResource"],
)
@pytest.mark.parametrize("command", ["verify", "adopt"])
def test_a_permission_that_is_missing_is_named(
    action: str, command: str, ecr: "ECRClient", stack: DeclaredStack, answers: Answers
) -> None:
    create(ecr, as_declared(stack))
    answers[action, "eu-west-2"] = ("AccessDeniedException", "not authorized")
    done = run(command, NAME, "--stack", "prod")
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"no permission for {action}" in done.stderr
