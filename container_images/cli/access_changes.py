"""The command access: who can do what by the stack files alone, and what a branch changes in it."""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from container_images.access.claims import ABILITIES, Row, alike, cells, table
from container_images.aws.errors import RefusedError
from container_images.cli.targets import json_option
from container_images.cli.terminal import print_json, print_paragraph, print_table
from container_images.policies.document import to_json
from container_images.policies.invalid_input import printable
from container_images.stack.declared import DeclaredStack, declared, stacks_in


@click.command("access")
@click.option("--base", metavar="REF", help="A Git revision: print what changes from it.")
@click.option("--stack", metavar="NAME", help="Only the stack of Pulumi.NAME.yaml.")
@click.option("--markdown", "is_markdown", is_flag=True, help="Print Markdown, for a comment.")
@json_option
def access_command(
    *, base: str | None, stack: str | None, is_markdown: bool, as_json: bool
) -> None:
    """Print who can do what, or what the stack files change in it.

    It takes the stack files alone: no account, and no Pulumi. With --base, who gains or loses what
    between the stack files of a Git revision and those of this directory; without, a table.
    """
    if is_markdown and (as_json or not base):
        raise click.UsageError("--markdown goes with --base, and without --json")
    heads = _stacks_in(Path.cwd(), stack)
    bases = _stacks_at(base, stack) if base else {}
    names = sorted({*heads, *bases})
    if stack and not names:
        declared(stack)  # refuses it, with the nearest name
    if not names:
        raise RefusedError("there is no stack file here")
    report: dict[str, Any]
    if base:
        by_stack = {name: changes(bases.get(name), heads.get(name)) for name in names}
        stacks = [{"stack": name, "changes": changed} for name, changed in by_stack.items()]
        report = {"base": base, "changed": any(by_stack.values()), "stacks": stacks}
    else:
        report = {"stacks": [{"stack": name, "access": _tables(heads[name])} for name in names]}
    if as_json:
        print_json(report)
    elif base:
        _print_changes(report["stacks"], is_markdown=is_markdown)
    else:
        _print_tables(report["stacks"])


def _stacks_in(directory: Path, only: str | None, label: str = "") -> dict[str, DeclaredStack]:
    """The stacks of a directory by name, or the one of this name. Raises RefusedError."""
    names = [name for name in stacks_in(directory) if only in (None, name)]
    return {name: declared(name, directory, label) for name in names}


def _stacks_at(base: str, only: str | None) -> dict[str, DeclaredStack]:
    """The stacks of this directory at a Git revision. Raises RefusedError."""
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}")
    if not commit:
        raise RefusedError(
            f"{base} is no commit of this repository: fetch it, such as git fetch origin {base}"
        )
    with tempfile.TemporaryDirectory() as directory:
        for name in _git("ls-tree", "--name-only", commit).split("\n"):
            if name.startswith("Pulumi.") and name.endswith(".yaml"):
                contents = _git("show", f"{commit}:./{name}")
                (Path(directory) / name).write_text(contents, encoding="utf-8")
        return _stacks_in(Path(directory), only, f"{base}: ")


def _git(*arguments: str) -> str:
    command = ["git", *arguments]  # of whoever runs this, by PATH
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.rstrip() if done.returncode == 0 else ""


def changes(base: DeclaredStack | None, head: DeclaredStack | None) -> list[dict[str, str]]:
    """`who` gains or loses `what`, or what of a repository changes: gains first."""
    before, after = (dict(_facts(stack)) if stack else {} for stack in (base, head))
    changed = []
    for who, what in sorted(before | after):
        old, new = before.get((who, what)), after.get((who, what))
        if old != new:
            verb = "gains" if old is None else "loses" if new is None else "changes"
            values = " → ".join(filter(None, (old, new)))
            text = f"{what}: {values}" if values else what
            changed.append({"who": who, "change": verb, "what": text})
    return sorted(changed, key=lambda change: ("gains", "loses", "changes").index(change["change"]))


def _facts(stack: DeclaredStack) -> Iterator[tuple[tuple[str, str], str]]:
    """Who can do what by the settings, and by which rules the stack and each repository go."""
    settings, account = stack.settings, stack.account
    for role in settings.pipeline_roles_in(account):
        yield (role, "push images and move tags"), ""
    for role in settings.administrator_roles:
        yield (role, "delete images and change the guard"), ""
    for name, number in settings.pull_accounts.items():
        yield (f"account {number} ({name})", "pull"), ""
    if settings.pull_organization:
        yield (f"every account of {settings.pull_organization}", "pull"), ""
    for number in settings.lambda_pull_accounts:
        yield (f"Lambda functions of account {number}", "pull"), ""
    trust = settings.pipeline_role.trust(account)
    jobs = [*trust["codebuild_projects"], *trust["github_subjects"], *trust["roles"]]
    for job in (*jobs, *settings.pipeline_role.trusted_oidc.subjects):
        yield (job, f"become {settings.pipeline_role.arn_in(account)}"), ""
    yield ("the stack", "repositories"), ", ".join(settings.repositories)
    yield ("the stack", "account and Region"), f"{account.id or 'any'}, {account.region}"
    yield ("the stack", "movable tags"), ", ".join(settings.movable_tags)
    for name, repository in settings.repositories.items():
        if repository.lambda_pull:
            yield ("Lambda functions of this account", f"pull from {name}"), ""
        tags = ", ".join(repository.immutable_tags)
        yield (name, "mutability"), f"{repository.tag_mutability} {tags}".strip()
        rules = (
            ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in rule.items())
            for rule in repository.retention
        )
        yield (name, "retention"), "; ".join(rules) or "everything is kept"


def _print_changes(stacks: Sequence[dict[str, Any]], *, is_markdown: bool) -> None:
    if not any(each["changes"] for each in stacks):
        click.echo("No change in who can do what.")
    for each in stacks:
        heading = printable(f"What changes in who can do what, in the stack {each['stack']}")
        if each["changes"]:
            click.echo(f"## {heading}\n" if is_markdown else heading)
        for change in each["changes"]:
            who, verb, what = (printable(text).replace("`", "") for text in change.values())
            click.echo(f"- `{who}` **{verb}** `{what}`" if is_markdown else f"{who} {verb}: {what}")


def _tables(stack: DeclaredStack) -> dict[str, list[Row]]:
    """Who can do what by the planned policies, by the repositories that have the same policy."""
    repositories = (
        (name, to_json(stack.settings.repository_policy(name, stack.account)), access)
        for name in stack.settings.repositories
        for access in [stack.settings.access(name, stack.account)]
    )
    return {", ".join(subject.arns): table([subject]) for subject in alike(repositories)}


def _print_tables(stacks: Sequence[dict[str, Any]]) -> None:
    for stack in stacks:
        for repositories, rows in stack["access"].items():
            print_paragraph(f"Who can do what in {repositories} of the stack {stack['stack']}")
            lines = [(row["principal"], *cells(row)) for row in rows]
            print_table(("principal", *ABILITIES.values()), lines, folds=["principal"])
