"""The command: its options, its output and its exit status."""

import json
from pathlib import Path

import click
from pulumi import RunError
from rich.console import Console

from rehearsal.rehearse import rehearse
from rehearsal.report import Report
from settings.stack_file import StackFileError, read

FAILED = 1
BAD_SETTINGS = 2


@click.command()
@click.option("--stack", metavar="NAME", required=True, help="The stack, as in Pulumi.NAME.yaml.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option(
    "--markdown",
    "as_markdown",
    is_flag=True,
    help="Print the claims and the access table as Markdown, and nothing else.",
)
@click.option("--plan-only", is_flag=True, help="Run the program only: no acts and no proofs.")
def app(*, stack: str, as_json: bool, as_markdown: bool, plan_only: bool) -> None:
    """Bring a stack up on an embedded AWS, act ADR040 out on it, and prove who can do what.

    Exit status: 0 if every act is ok and every claim is proved, 1 if not, 2 if the settings or
    the command line are wrong.
    """
    if as_markdown and (as_json or plan_only):
        raise click.BadParameter("--markdown cannot be used with --json or --plan-only")
    if Path(stack).name != stack:
        raise click.BadParameter(
            f"--stack {stack} is not the name of a stack; give NAME of a file Pulumi.NAME.yaml"
        )
    report = Report(Console(quiet=as_json or as_markdown))
    try:
        rehearsal = rehearse(read(Path.cwd(), stack), report, plan_only=plan_only)
    except (StackFileError, RunError) as error:
        click.echo(f"Pulumi.{stack}.yaml: {error}", err=True)
        raise click.exceptions.Exit(BAD_SETTINGS) from None
    if as_json:
        click.echo(json.dumps(rehearsal.to_json(), indent=2))
    if as_markdown:
        click.echo(rehearsal.to_markdown())
    if not rehearsal.ok:
        raise click.exceptions.Exit(FAILED)
