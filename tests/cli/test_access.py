"""The command `access`: who can do what by the stack files, and what a branch changes in it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from container_images.cli.app import app
from tests.conftest import FIXTURES

IAM = "arn:aws:iam::111122223333:role/"


def git(*arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    command = ["git", *identity, *arguments]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project below the top of its repository, whose stack is committed as `main`."""
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("Pulumi.yaml", "Pulumi.prod.yaml"):
        (folder / name).write_text((FIXTURES / name).read_text())
    git("init", "--quiet", "--initial-branch=main")
    git("add", ".")
    git("commit", "--quiet", "--message", "a")
    return folder


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["access", *arguments])


def edit(folder: Path, old: str, new: str) -> None:
    file = folder / "Pulumi.prod.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("# latest moves", "# The tag latest moves", []),
        (
            f"{IAM}break-glass",
            f"{IAM}emergency",
            [
                f"{IAM}emergency gains: delete images and change the guard",
                f"{IAM}break-glass loses: delete images and change the guard",
            ],
        ),
        (
            "name: forms-image-pipeline",
            "name: push",
            [
                f"{IAM}pipeline/push gains: push images and move tags",
                f"{IAM}pipeline/forms-image-pipeline loses: push images and move tags",
            ],
        ),
        ('    review: "999999999999"\n', "", ["account 999999999999 (review) loses: pull"]),
        (
            "  container-images:pullAccounts:",
            """  container-images:pullOrganization: o-exampleorgid
  container-images:lambdaPullAccounts: ["444455556666"]
  container-images:pullAccounts:""",
            [
                "Lambda functions of account 444455556666 gains: pull",
                "every account of o-exampleorgid gains: pull",
            ],
        ),
        (
            "    end-to-end-tests: {}",
            "    end-to-end-tests: {lambdaPull: true}",
            ["Lambda functions of this account gains: pull from end-to-end-tests"],
        ),
        ("    end-to-end-tests: {}\n", "", ["the stack changes: repositories: end-to-end-tests, "]),
        (
            "    end-to-end-tests: {}",
            "    end-to-end-tests: {tagMutability: MUTABLE, retention: []}",
            [
                "end-to-end-tests changes: mutability: MUTABLE_WITH_EXCLUSION merged-*, ",
                "end-to-end-tests changes: retention: tags prod-*, keep newest 50; tags stg-*",
            ],
        ),
        (
            "environment:production",
            "environment:other",
            ["repo:example-org/forms-deploy:environment:other gains: become "],
        ),
    ],
)
def test_what_a_branch_changes(project: Path, old: str, new: str, lines: list[str]) -> None:
    edit(project, old, new)
    result = run("--base", "main")
    assert result.exit_code == 0, result.output
    first, *printed = result.stdout.splitlines()
    assert (first == "No change in who can do what.") is (lines == [])
    for line in lines:
        assert any(each.startswith(line) for each in printed), printed
    changed = json.loads(run("--base", "main", "--json").stdout)
    assert changed["changed"] is bool(lines)
    assert len(changed["stacks"][0]["changes"]) == len(printed)


def test_a_stack_that_is_new_or_removed(project: Path) -> None:
    (project / "Pulumi.prod.yaml").rename(project / "Pulumi.live.yaml")
    text = run("--base", "main", "--markdown").stdout
    assert text.startswith("## What changes in who can do what, in the stack live\n\n- `")
    assert f"- `{IAM}break-glass` **gains** `delete images and change the guard`" in text
    assert f"- `{IAM}break-glass` **loses** `delete images and change the guard`" in text
    assert "stack live" not in run("--base", "main", "--stack", "prod").stdout


@pytest.mark.usefixtures("project")
def test_the_table_without_a_base() -> None:
    text = run().stdout
    assert text.startswith("Who can do what in end-to-end-tests, forms-admin-deploy, ")
    [stack] = json.loads(run("--json").stdout)["stacks"]
    [(_, rows)] = stack["access"].items()
    assert rows[0] == {
        "principal": f"{IAM}pipeline/forms-image-pipeline",
        "pull": True,
        "moveTags": True,
        "deleteImages": False,
        "changeGuard": False,
    }


def test_what_is_wrong(project: Path) -> None:
    assert "nowhere is no commit of this repository" in run("--base", "nowhere").stderr
    assert "Pulumi.prd.yaml: there is no such stack" in run("--stack", "prd").stderr
    assert "did you mean prod?" in run("--stack", "prd").stderr
    assert run("--markdown").exit_code == 2
    edit(project, "pullAccounts", "pullAccuonts")
    assert "did you mean pullAccounts" in run("--base", "main").stderr
