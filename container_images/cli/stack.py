"""The commands about a stack's repositories in AWS: adopt, verify."""

from collections.abc import Sequence

import click

from container_images.aws.reference import Reference
from container_images.cli.command import json_option
from container_images.cli.targets import repositories_argument, stack_option, targets_of


@click.command("adopt")
@repositories_argument
@stack_option
@click.option(
    "--all", "everything", is_flag=True, help="All repositories of the account and Region."
)
@click.option(
    "--filter",
    "pattern",
    metavar="PATTERN",
    help="With --all: only names that match, such as 'forms-*'.",
)
@json_option
def adopt_command(
    *,
    repositories: Sequence[Reference],
    stack: str | None,
    everything: bool,
    pattern: str | None,
    as_json: bool,
) -> None:
    """Print the settings that adopt existing repositories.

    With --stack also what its first update would change. Nothing is changed now. Exit 1 if a
    repository cannot be adopted: its entry is left out.
    """
    targets = targets_of(repositories, stack, undeclared=True)
    if (everything and repositories) or not (everything or targets.references):
        raise click.UsageError("give either REPOSITORY, one or more, or --all")
    if pattern is not None and not everything:
        raise click.UsageError("--filter goes with --all")
    from container_images.cli.stack_report import adopt  # noqa: PLC0415 pydantic takes its time

    adopt(targets, "*" if everything and pattern is None else pattern, as_json=as_json)


@click.command("verify")
@repositories_argument
@stack_option
@json_option
def verify_command(*, repositories: Sequence[Reference], stack: str | None, as_json: bool) -> None:
    """Check a stack's guard in AWS, and compare AWS with its file.

    Without REPOSITORY, all repositories of the stack. Exit 1 if a claim does not hold or something
    is not as declared.
    """
    targets = targets_of(repositories, stack)
    if targets.stack is None:
        raise click.UsageError("give --stack: verify compares AWS with its file")
    from container_images.cli.stack_report import verify  # noqa: PLC0415 pydantic takes its time

    verify(targets, targets.stack, as_json=as_json)
