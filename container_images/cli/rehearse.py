"""`container-images rehearse`: its options, its output and its exit status."""

from pathlib import Path

import click

from container_images.cli.command import FAILED, json_option, print_json
from container_images.cli.terminal import printable, working

BAD_SETTINGS = 2


@click.command("rehearse")
@click.option("--stack", metavar="NAME", required=True, help="The stack, as in Pulumi.NAME.yaml.")
@json_option
@click.option(
    "--markdown",
    "as_markdown",
    is_flag=True,
    help="Print the claims and the access table as Markdown, and nothing else.",
)
@click.option("--verbose", is_flag=True, help="Show each act and each resource.")
def rehearse_command(*, stack: str, as_json: bool, as_markdown: bool, verbose: bool) -> None:
    """Run a stack and ADR040's workflow on an embedded AWS.

    Exit status: 0 if every act is ok and every claim holds, 1 if not, 2 if the settings or the
    command line are wrong.
    """
    if as_markdown + as_json + verbose > 1:
        raise click.UsageError("give one of --json, --markdown and --verbose")
    if Path(stack).name != stack:
        raise click.BadParameter(
            f"--stack {stack} is not the name of a stack; give NAME of a file Pulumi.NAME.yaml"
        )
    # These take a second, which no other command should wait for.
    from pulumi import RunError  # noqa: PLC0415

    from container_images.rehearsal.rehearse import rehearse  # noqa: PLC0415
    from container_images.rehearsal.report import markdown, print_rehearsal  # noqa: PLC0415
    from container_images.settings.stack_file import StackFileError, read  # noqa: PLC0415

    try:
        with working("Rehearsing"):
            rehearsal = rehearse(read(Path.cwd(), stack))
    except (StackFileError, RunError) as error:
        message = f"Pulumi.{stack}.yaml: {error}"
        if as_json:
            raise click.UsageError(message) from None
        click.echo("\n".join(map(printable, message.split("\n"))), err=True)  # an error a line
        raise click.exceptions.Exit(BAD_SETTINGS) from None
    if as_json:
        print_json(rehearsal.to_json())
    elif as_markdown:
        click.echo(markdown(rehearsal))
    else:
        print_rehearsal(rehearsal, verbose=verbose)
    if not rehearsal.ok:
        raise click.exceptions.Exit(FAILED)
