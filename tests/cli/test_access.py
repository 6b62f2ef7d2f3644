"""The command `access`: who can do what by the stack files, and what a branch changes in it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from container_images.cli.access_changes import NO_CHANGE, changes, stacks_in
from tests.cli.test_cli import done
from tests.cli.test_cli import run as run_command
from tests.conftest import FIXTURES

IAM = "arn:aws:iam::111122223333:role/"
TESTS = "    end-to-end-tests: {}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project below the top of its repository."""
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("Pulumi.yaml", "Pulumi.prod.yaml"):
        (folder / name).write_text((FIXTURES / name).read_text())
    return folder


@pytest.fixture
def project(folder: Path) -> Path:
    """The same, whose stack is committed as `main`."""
    commit = "-c user.name=a -c user.email=a@example.org commit --quiet --message a"
    for arguments in ("init --quiet --initial-branch=main", "add .", commit):
        command = ["git", *arguments.split()]
        subprocess.run(command, check=True, capture_output=True)
    return folder


def run(*arguments: str) -> Any:
    return run_command("access", *arguments)


def edit(folder: Path, old: str, new: str) -> None:
    file = folder / "Pulumi.prod.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("# latest moves", "# The tag latest moves", []),
        (
            "name: forms-image-pipeline",
            "name: push",
            [
                f"{IAM}pipeline/push gains push images and move tags",
                f"{IAM}pipeline/forms-image-pipeline loses push images and move tags",
            ],
        ),
        ('    review: "999999999999"\n', "", ["account 999999999999 (review) loses pull"]),
        (
            "  container-images:pullAccounts:",
            """  container-images:pullOrganization: o-exampleorgid
  container-images:lambdaPullAccounts: ["444455556666"]
  container-images:pullAccounts:""",
            [
                "Lambda functions of account 444455556666 gains pull",
                "every account of o-exampleorgid gains pull",
            ],
        ),
        (
            TESTS,
            "    end-to-end-tests: {lambdaPull: true}",
            ["Lambda functions of this account gains pull from end-to-end-tests"],
        ),
        (f"{TESTS}\n", "", ["the stack changes repositories: end-to-end-tests, "]),
        (
            TESTS,
            "    end-to-end-tests: {tagMutability: MUTABLE, retention: []}",
            [
                "end-to-end-tests changes mutability: MUTABLE_WITH_EXCLUSION merged-*, ",
                "end-to-end-tests changes retention: tags prod-*, keep newest 50; tags stg-*",
            ],
        ),
        (
            "environment:production",
            "environment:other",
            ["repo:example-org/forms-deploy:environment:other gains become "],
        ),
    ],
)
def test_what_an_edit_changes(folder: Path, old: str, new: str, lines: list[str]) -> None:
    before = stacks_in(folder, "prod")["prod"]
    edit(folder, old, new)
    changed = [
        " ".join(change.values()) for change in changes(before, stacks_in(folder, "prod")["prod"])
    ]
    assert bool(changed) is bool(lines)
    for line in lines:
        assert any(each.startswith(line) for each in changed), changed


def test_what_a_branch_changes(project: Path) -> None:
    assert run("--base", "main").stdout == f"{NO_CHANGE}\n"
    assert done("access", "--base", "main")["changed"] is False
    edit(project, f"{IAM}break-glass", f"{IAM}emergency")
    heading, *printed = run("--base", "main").stdout.splitlines()
    assert heading == "What changes in who can do what, in the stack prod"
    assert printed == [
        f"{IAM}emergency gains: delete images and change the guard",
        f"{IAM}break-glass loses: delete images and change the guard",
    ]
    changed = done("access", "--base", "main")
    assert changed["changed"] is True
    [stack] = changed["stacks"]
    assert [(each["who"], each["change"]) for each in stack["changes"]] == [
        (f"{IAM}emergency", "gains"),
        (f"{IAM}break-glass", "loses"),
    ]


def test_a_stack_that_is_new_or_removed(project: Path) -> None:
    (project / "Pulumi.prod.yaml").rename(project / "Pulumi.live.yaml")
    text = run("--base", "main", "--markdown").stdout
    assert text.startswith("## What changes in who can do what, in the stack live\n\n- `")
    assert f"- `{IAM}break-glass` **gains** `delete images and change the guard`" in text
    assert f"- `{IAM}break-glass` **loses** `delete images and change the guard`" in text
    assert "stack live" not in run("--base", "main", "--stack", "prod").stdout


@pytest.mark.usefixtures("folder")
def test_the_table_without_a_base() -> None:
    text = run().stdout
    assert text.startswith("Who can do what in end-to-end-tests, forms-admin-deploy, ")
    [stack] = done("access")["stacks"]
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
