"""verify: what holds in AWS, against what the stack declares."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from container_images.stack.declared import DeclaredStack
from container_images.stack.state import intended, verification
from tests.builds import ECRClient
from tests.cli.test_cli import refused, run
from tests.stack.conftest import NAME, create

ANYBODY = "arn:aws:iam::111122223333:role/anybody"


def test_a_policy_that_is_weaker_than_declared_is_seen(prod: DeclaredStack) -> None:
    declared = intended(prod, NAME)
    text = declared.policy or ""
    document = json.loads(text)
    document["Statement"][0]["Condition"]["ArnNotEquals"]["aws:PrincipalArn"].append(ANYBODY)
    for policy, failure in (
        (json.dumps(document), f"by {ANYBODY}"),
        (text.replace('"Principal":"*"', '"NotPrincipal":"*"'), "NotPrincipal, or a session as a"),
    ):
        verified = verification(replace(declared, policy=policy), prod)
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
