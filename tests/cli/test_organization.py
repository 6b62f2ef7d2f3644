"""The command `organization`: both policies for a stack, and the proofs about them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from container_images.access import organization
from container_images.access.organization import UNGUARDED, RegistryClaim
from container_images.cli.app import app
from container_images.policies.organization import resource_control_policy, service_control_policy
from container_images.policies.repository_policy import repository_policy
from tests.access.accounts import GUARD, REPOSITORY, Document, access, allow, policy
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "organization.md").read_text(encoding="utf-8")
SHOWN = [json.loads(it) for it in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["organization", *arguments])


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., str]:
    """A plan in a file: repositories with these policies."""

    def written(*guards: Document) -> str:
        arns = {f"app-{number}": f"{REPOSITORY}-{number}" for number in range(len(guards))}
        resources = [
            {
                "type": "aws:ecr/repositoryPolicy:RepositoryPolicy",
                "inputs": {"repository": name, "policy": json.dumps(guard)},
            }
            for name, guard in zip(arns, guards, strict=True)
        ]
        file = tmp_path / "plan.json"
        plan = {"stack": "x", "outputs": {"repositoryArns": arns}, "resources": resources}
        file.write_text(json.dumps(plan))
        return str(file)

    return written


def test_the_text_is_the_two_policies_as_they_are_sent(plan: Callable[..., str]) -> None:
    result = run("--plan", plan(GUARD, GUARD))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    names = ["app-0", "app-1"]
    expected = [service_control_policy(access(), names), resource_control_policy(access(), names)]
    assert [json.loads(it) for it in lines] == expected
    assert not any(" " in it for it in lines)
    proofs = result.stderr.splitlines()
    assert len(proofs) == len(RegistryClaim) + len(UNGUARDED)
    assert all(it.startswith("proved ") for it in proofs)


def test_the_object_is_one(plan: Callable[..., str]) -> None:
    result = run("--plan", plan(GUARD), "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found["serviceControlPolicy"] == service_control_policy(access(), ["app-0"])
    assert found["resourceControlPolicy"] == resource_control_policy(access(), ["app-0"])
    assert [it["claim"] for it in found["proofs"]] == [*RegistryClaim, *UNGUARDED]
    assert all(it["proved"] for it in found["proofs"])


def test_a_policy_that_is_weak_fails(
    plan: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = policy()
    monkeypatch.setattr(organization, "service_control_policy", lambda *_: nothing)
    result = run("--plan", plan(GUARD), "--json")
    assert result.exit_code == 1
    told = json.loads(result.stderr)["error"]
    assert told.startswith("FALSE Nobody in the account but the administrator roles")


@pytest.mark.parametrize(
    "guards",
    [
        [policy()],
        [policy(allow("ecr:*"))],
        [GUARD, repository_policy(access(pipeline_roles=["arn:aws:iam::111122223333:role/other"]))],
    ],
)
def test_a_stack_without_one_guard_is_refused(
    plan: Callable[..., str], guards: list[Document]
) -> None:
    for it in guards:
        for one in it["Statement"]:
            one.setdefault("Principal", "*")
    result = run("--plan", plan(*guards), "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"[{json.dumps(f'{REPOSITORY}-{len(guards) - 1}')}]" in result.stderr or (
        f"{REPOSITORY}-{len(guards) - 1}: " in result.stderr
    )


def test_without_a_plan_it_is_wrong_usage() -> None:
    assert run().exit_code == 2


def test_the_page_shows_those_of_the_production_stack(tmp_path: Path, prod_plan: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(prod_plan)
    result = run("--plan", str(file))
    assert [json.loads(it) for it in result.stdout.splitlines()] == SHOWN
