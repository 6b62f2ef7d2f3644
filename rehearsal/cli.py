"""The command: its options, its output and its exit status."""

import json
from pathlib import Path
from typing import Annotated

import typer
from pulumi import RunError
from rich.console import Console

from rehearsal.rehearse import rehearse
from rehearsal.report import Report
from settings.stack_file import StackFileError, read

FAILED = 1
BAD_SETTINGS = 2

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def main(
    *,
    stack: Annotated[str, typer.Option(metavar="NAME", help="The stack, as in Pulumi.NAME.yaml.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
    as_markdown: Annotated[
        bool,
        typer.Option(
            "--markdown",
            help="Print the claims and the access table as Markdown, and nothing else.",
        ),
    ] = False,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Run the program only: no acts and no proofs.")
    ] = False,
) -> None:
    """Bring a stack up on an embedded AWS, act ADR040 out on it, and prove who can do what.

    Exit status: 0 if every act is ok and every claim is proved, 1 if not, 2 if the settings or the
    command line are wrong.
    """
    if as_markdown and (as_json or plan_only):
        raise typer.BadParameter("--markdown cannot be used with --json or --plan-only")
    report = Report(Console(quiet=as_json or as_markdown))
    try:
        rehearsal = rehearse(read(Path.cwd(), stack), report, plan_only=plan_only)
    except (StackFileError, RunError) as error:
        typer.echo(f"Pulumi.{stack}.yaml: {error}", err=True)
        raise typer.Exit(BAD_SETTINGS) from None
    if as_json:
        typer.echo(json.dumps(rehearsal.to_json(), indent=2))
    if as_markdown:
        typer.echo(rehearsal.to_markdown())
    if not rehearsal.ok:
        raise typer.Exit(FAILED)
