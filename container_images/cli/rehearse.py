"""`container-images rehearse`: its options, its output and its exit status."""

import json
from pathlib import Path

import click

from container_images.cli.command import FAILED, Commands, json_option

BAD_SETTINGS = 2


@click.group(cls=Commands)
def app() -> None:
    """See a stack come up and work, without an account or a network."""


@app.command()
@click.option("--stack", metavar="NAME", required=True, help="The stack, as in Pulumi.NAME.yaml.")
@json_option
@click.option(
    "--markdown",
    "as_markdown",
    is_flag=True,
    help="Print the claims and the access table as Markdown, and nothing else.",
)
@click.option("--plan-only", is_flag=True, help="Run the program only: no acts and no proofs.")
def rehearse(*, stack: str, as_json: bool, as_markdown: bool, plan_only: bool) -> None:
    """Run a stack and ADR040's workflow on an embedded AWS.

    Exit status: 0 if every act is ok and every claim is proved, 1 if not, 2 if the settings or
    the command line are wrong.
    """
    if as_markdown and (as_json or plan_only):
        raise click.BadParameter("--markdown cannot be used with --json or --plan-only")
    if Path(stack).name != stack:
        raise click.BadParameter(
            f"--stack {stack} is not the name of a stack; give NAME of a file Pulumi.NAME.yaml"
        )
    # Pulumi and moto, for this command alone: the list of commands needs neither.
    from pulumi import RunError  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    from container_images.rehearsal.rehearse import rehearse as rehearsed  # noqa: PLC0415
    from container_images.rehearsal.report import Report  # noqa: PLC0415
    from container_images.settings.stack_file import StackFileError, read  # noqa: PLC0415

    report = Report(Console(quiet=as_json or as_markdown))
    try:
        rehearsal = rehearsed(read(Path.cwd(), stack), report, plan_only=plan_only)
    except (StackFileError, RunError) as error:
        click.echo(f"Pulumi.{stack}.yaml: {error}", err=True)
        raise click.exceptions.Exit(BAD_SETTINGS) from None
    if as_json:
        click.echo(json.dumps(rehearsal.to_json(), indent=2))
    if as_markdown:
        click.echo(rehearsal.to_markdown())
    if not rehearsal.ok:
        raise click.exceptions.Exit(FAILED)
