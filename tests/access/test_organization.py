"""The two policies that docs/organization.md has for AWS Organizations, as they stand there."""

import json
import re

import pytest

from container_images.access.claims import ANYTHING, Claim, Subject, alike, prove
from container_images.access.evaluation import Principal, Request, decide
from container_images.access.policy import EVERYTHING
from container_images.cli.access import service_control_policy_in
from container_images.policies.ecr_actions import Effect, actions
from tests.access.accounts import ACCOUNT, IAM
from tests.builds import access
from tests.conftest import ROOT

PAGE = (ROOT / "docs/organization.md").read_text(encoding="utf-8")
CONTROL, RESOURCES = map(json.loads, re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
PIPELINE, ANY_ROLE = f"{IAM}role/pipeline/forms-image-pipeline", f"{IAM}role/*"
ADMINISTRATORS = [f"{IAM}role/break-glass", f"{IAM}role/platform/forms-registry-deploy"]
REPOSITORIES = RESOURCES["Statement"][0]["Resource"]
ACCESS = access(pipeline_roles=[PIPELINE], administrator_roles=ADMINISTRATORS, pull_accounts=[])


def denied(principal: str, action: str, resource: str = "*") -> bool:
    caller = Principal(
        arn=principal,
        account=ACCOUNT,
        named=principal,
        policies=(EVERYTHING,),
        scps=(service_control_policy_in(json.dumps(CONTROL)),),
    )
    return decide(caller, Request(action=action, resource=resource, account=ACCOUNT)) is None


@pytest.mark.parametrize("action", actions(Effect.CHANGE_REGISTRY))
def test_only_administrators_change_the_registry(action: str) -> None:
    assert all(denied(arn, action) for arn in (ANY_ROLE, f"{IAM}root", PIPELINE))
    assert not any(denied(arn, action) for arn in ADMINISTRATORS)


@pytest.mark.parametrize("repository", REPOSITORIES)
def test_only_administrators_make_the_repositories(repository: str) -> None:
    for action in actions(Effect.CREATE_REPOSITORY):
        assert denied(ANY_ROLE, action, repository)
        assert not denied(ANY_ROLE, action, f"{repository}-2")
        assert not any(denied(arn, action, repository) for arn in ADMINISTRATORS)


def test_nothing_else_is_denied() -> None:
    others = {*ANYTHING} - {*actions(Effect.CHANGE_REGISTRY, Effect.CREATE_REPOSITORY)}
    for action in others:
        assert not denied(ANY_ROLE, action, REPOSITORIES[0])


def test_the_resource_control_policy_guards_a_repository_without_a_policy() -> None:
    """It is held against the claims as if it were the repository's own, beside what IAM allows."""
    [repository] = alike([(REPOSITORIES[0], json.dumps(RESOURCES), ACCESS)])
    claims = (Claim.MOVED, Claim.ADMINISTERED, Claim.BOTH, Claim.LOCKED_OUT)
    assert all(proof.proved for proof in prove([repository], claims))
    for arn in REPOSITORIES:
        guarded = Subject(arns=[arn], access=ACCESS, policy=repository.policy)
        assert all(proof.proved for proof in prove([guarded], claims))
    bare = alike([(f"{REPOSITORIES[0]}-2", json.dumps(RESOURCES), ACCESS)])
    assert not any(proof.proved for proof in prove(bare, claims[:3]))


def test_the_page_names_the_repositories_and_roles_of_its_stack() -> None:
    assert CONTROL["Statement"][1]["Resource"] == REPOSITORIES
    assert all(each["Resource"] == REPOSITORIES for each in RESOURCES["Statement"])
