"""What `access` prints: who can do what by the stack files alone, and what a branch changes."""

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from container_images.access.claims import ABILITIES, Row, alike, cells, table
from container_images.aws.errors import RefusedError
from container_images.cli.terminal import print_paragraph, print_table
from container_images.policies.document import to_json
from container_images.policies.invalid_input import printable
from container_images.stack.declared import DeclaredStack, declared

NO_CHANGE: Final = "No change in who can do what."

Change = dict[str, str]
"""`who`, `change` and `what`: who gains or loses what, or what of a repository changes."""


def stacks_in(directory: Path, only: str | None, label: str = "") -> dict[str, DeclaredStack]:
    """The stacks of a directory by name, or the one of this name. Raises RefusedError."""
    names = [
        file.name.split(".", 1)[1][: -len(".yaml")] for file in directory.glob("Pulumi.*.yaml")
    ]
    stacks = {}
    for name in sorted(names):
        if only in (None, name):
            stacks[name] = declared(name, directory, label)
    return stacks


def stacks_at(base: str, only: str | None) -> dict[str, DeclaredStack]:
    """The stacks of this directory at a Git revision. Raises RefusedError."""
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}")
    if not commit:
        raise RefusedError(
            f"{base} is no commit of this repository: fetch it, such as git fetch origin {base}"
        )
    with tempfile.TemporaryDirectory() as directory:
        for name in _git("ls-tree", "--name-only", commit.strip()).split("\n"):
            if name.startswith("Pulumi.") and name.endswith(".yaml"):
                contents = _git("show", f"{commit.strip()}:./{name}")
                (Path(directory) / name).write_text(contents, encoding="utf-8")
        return stacks_in(Path(directory), only, f"{base}: ")


def _git(*arguments: str) -> str:
    command = ["git", *arguments]  # of whoever runs this, by PATH
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout if done.returncode == 0 else ""


# --- What changes ---------------------------------------------------------------------------------


def changes(base: DeclaredStack | None, head: DeclaredStack | None) -> list[Change]:
    """What a stack's file changes: who gains or loses what, and which rules are others."""
    before, after = {*_abilities(base)}, {*_abilities(head)}
    rules, new_rules = dict(_rules(base)), dict(_rules(head))
    return [
        *({"who": who, "change": "gains", "what": what} for who, what in sorted(after - before)),
        *({"who": who, "change": "loses", "what": what} for who, what in sorted(before - after)),
        *(
            {"who": who, "change": "changes", "what": f"{rule}: {rules[who, rule]} → {new}"}
            for (who, rule), new in new_rules.items()
            if rules.get((who, rule), new) != new
        ),
    ]


def _abilities(stack: DeclaredStack | None) -> Iterator[tuple[str, str]]:
    """Everybody who can do something by the settings, and what; and the repositories."""
    if stack is None:
        return
    settings, account = stack.settings, stack.account
    for role in settings.pipeline_roles_in(account):
        yield role, "push images and move tags"
    for role in settings.administrator_roles:
        yield role, "delete images and change the guard"
    for name, number in settings.pull_accounts.items():
        yield f"account {number} ({name})", "pull"
    if settings.pull_organization:
        yield f"every account of {settings.pull_organization}", "pull"
    for number in settings.lambda_pull_accounts:
        yield f"Lambda functions of account {number}", "pull"
    trust = settings.pipeline_role.trust(account)
    jobs = [*trust["codebuild_projects"], *trust["github_subjects"], *trust["roles"]]
    for job in (*jobs, *settings.pipeline_role.trusted_oidc.subjects):
        yield job, f"become {settings.pipeline_role.arn_in(account)}"
    for name, repository in settings.repositories.items():
        if repository.lambda_pull:
            yield "Lambda functions of this account", f"pull from {name}"


def _rules(stack: DeclaredStack | None) -> Iterator[tuple[tuple[str, str], str]]:
    """What holds of a stack and of each repository, besides who can do what."""
    if stack is None:
        return
    settings, account = stack.settings, stack.account
    yield ("the stack", "repositories"), ", ".join(settings.repositories)
    yield ("the stack", "account and Region"), f"{account.id or 'any'}, {account.region}"
    yield ("the stack", "movable tags"), ", ".join(settings.movable_tags)
    for name, repository in settings.repositories.items():
        tags = ", ".join(repository.immutable_tags)
        yield (name, "mutability"), f"{repository.tag_mutability} {tags}".strip()
        rules = (
            ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in rule.items())
            for rule in repository.retention
        )
        yield (name, "retention"), "; ".join(rules) or "everything is kept"


# --- Output ---------------------------------------------------------------------------------------


def print_changes(by_stack: Mapping[str, Sequence[Change]], *, is_markdown: bool) -> None:
    """The changes for people, one a line."""
    if not any(by_stack.values()):
        click.echo(NO_CHANGE)
    for stack, stack_changes in by_stack.items():
        heading = printable(f"What changes in who can do what, in the stack {stack}")
        if stack_changes:
            click.echo(f"## {heading}\n" if is_markdown else heading)
        for change in stack_changes:
            who, verb, what = (printable(text).replace("`", "") for text in change.values())
            click.echo(f"- `{who}` **{verb}** `{what}`" if is_markdown else f"{who} {verb}: {what}")


def tables(stack: DeclaredStack) -> dict[str, list[Row]]:
    """Who can do what by the planned policies, by the repositories that have the same policy."""
    repositories = (
        (f"{name}", to_json(stack.settings.repository_policy(name, stack.account)), access)
        for name in stack.settings.repositories
        for access in [stack.settings.access(name, stack.account)]
    )
    return {", ".join(subject.arns): table([subject]) for subject in alike(repositories)}


def print_tables(stack: DeclaredStack) -> None:
    """The tables for people."""
    for repositories, rows in tables(stack).items():
        print_paragraph(f"Who can do what in {repositories} of the stack {stack.name}")
        lines = [(row["principal"], *cells(row)) for row in rows]
        print_table(("principal", *ABILITIES.values()), lines, folds=["principal"])
