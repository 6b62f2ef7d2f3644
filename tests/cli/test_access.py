"""The command `access`: who can do what by the stack files, and what a branch changes in it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from container_images.cli.access_changes import changes
from container_images.stack.declared import DeclaredStack
from tests.cli.test_cli import done, refused, run
from tests.conftest import FIXTURES

IAM = "arn:aws:iam::111122223333:role/"
NO_CHANGE = "No change in who can do what.\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project below the top of its repository, whose stack is committed as `main`."""
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("Pulumi.yaml", "Pulumi.prod.yaml"):
        (folder / name).write_text((FIXTURES / name).read_text())
    commit = "-c user.name=a -c user.email=a@example.org commit --quiet --message a"
    for arguments in ("init --quiet --initial-branch=main", "add .", commit):
        command = ["git", *arguments.split()]
        subprocess.run(command, check=True, capture_output=True)
    return folder


def edit(folder: Path, old: str, new: str) -> None:
    file = folder / "Pulumi.prod.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        (
            {"pipelineRole": {"name": "push", "trustedGitHubSubjects": ["repo:a/b:ref:x"]}},
            [
                f"{IAM}push gains push images and move tags",
                f"repo:a/b:ref:x gains become {IAM}push",
                f"{IAM}pipeline/forms-image-pipeline loses push images and move tags",
                "repo:example-org/forms-deploy:environment:production loses become ",
            ],
        ),
        (
            {
                "pullAccounts": {"staging": "123456789012"},
                "pullOrganization": "o-exampleorgid",
                "lambdaPullAccounts": ["444455556666"],
            },
            [
                "Lambda functions of account 444455556666 gains pull",
                "every account of o-exampleorgid gains pull",
                "account 999999999999 (review) loses pull",
            ],
        ),
        (
            {
                "repositories": {
                    "forms-admin-deploy": {"lambdaPull": True},
                    "forms-runner-deploy": {"tagMutability": "MUTABLE", "retention": []},
                }
            },
            [
                "Lambda functions of this account gains pull from forms-admin-deploy",
                "end-to-end-tests loses mutability: MUTABLE_WITH_EXCLUSION merged-*, ",
                "forms-runner-deploy changes mutability: MUTABLE_WITH_EXCLUSION merged-*, ",
                "forms-runner-deploy changes retention: tags prod-*, keep newest 50; tags stg-*",
                "the stack changes repositories: end-to-end-tests, ",
            ],
        ),
    ],
    ids=str,
)
def test_what_an_edit_changes(
    prod: DeclaredStack, values: dict[str, Any], lines: list[str]
) -> None:
    changed = [" ".join(change.values()) for change in changes(prod, prod.changed(**values))]
    for line in lines:
        assert any(each.startswith(line) for each in changed), changed


def test_what_a_branch_changes(project: Path) -> None:
    assert run("access", "--base", "main").stdout == NO_CHANGE
    assert done("access", "--base", "main")["changed"] is False
    edit(project, f"{IAM}break-glass", f"{IAM}emergency")
    assert run("access", "--base", "main").stdout.splitlines() == [
        "What changes in who can do what, in the stack prod",
        f"{IAM}emergency gains: delete images and change the guard",
        f"{IAM}break-glass loses: delete images and change the guard",
    ]
    loss = {"change": "loses", "what": "delete images and change the guard"}
    changed = done("access", "--base", "main")
    assert changed["changed"] is True
    assert changed["stacks"][0]["changes"][1] == {"who": f"{IAM}break-glass", **loss}


def test_a_stack_that_is_new_or_removed(project: Path) -> None:
    (project / "Pulumi.prod.yaml").rename(project / "Pulumi.live.yaml")
    text = run("access", "--base", "main", "--markdown").stdout
    assert text.startswith("## What changes in who can do what, in the stack live\n\n- `")
    assert f"- `{IAM}break-glass` **gains** `delete images and change the guard`" in text
    assert f"- `{IAM}break-glass` **loses** `delete images and change the guard`" in text
    assert "- `the stack` **loses** `repositories: end-to-end-tests, " in text
    assert "stack live" not in run("access", "--base", "main", "--stack", "prod").stdout


def test_the_table_without_a_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES)
    text = run("access", "--stack", "prod").stdout
    assert text.startswith("Who can do what in end-to-end-tests, forms-admin-deploy, ")
    [stack] = done("access", "--stack", "prod")["stacks"]
    [(_, rows)] = stack["access"].items()
    assert rows[0] == {
        "principal": f"{IAM}pipeline/forms-image-pipeline",
        "pull": True,
        "moveTags": True,
        "deleteImages": False,
        "changeGuard": False,
    }


def test_what_is_wrong(project: Path) -> None:
    assert "nowhere is no commit of this repository" in refused("access", "--base", "nowhere")
    reason = refused("access", "--stack", "prd")
    assert "Pulumi.prd.yaml: there is no such stack" in reason
    assert "did you mean prod?" in reason
    assert run("access", "--markdown").exit_code == 2
    edit(project, "pullAccounts", "pullAccuonts")
    assert "did you mean pullAccounts" in refused("access", "--base", "main")
