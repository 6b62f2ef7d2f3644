"""`container-images rehearse`: its options, its output and its exit status."""

import click

from container_images.aws.errors import RefusedError
from container_images.cli.command import json_option, print_json
from container_images.cli.terminal import working
from container_images.policies.invalid_input import printable


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
    # These take a second, which no other command should wait for.
    from container_images.rehearsal.rehearse import rehearse  # noqa: PLC0415
    from container_images.rehearsal.report import markdown, print_rehearsal  # noqa: PLC0415
    from container_images.stack.declared import declared  # noqa: PLC0415

    try:
        with working("Rehearsing"):
            rehearsal = rehearse(declared(stack))
    except RefusedError as error:
        if as_json:
            raise click.UsageError(str(error)) from None
        lines = map(printable, str(error).split("\n"))  # an error a line
        click.echo("\n".join(lines), err=True)
        raise click.exceptions.Exit(2) from None
    if as_json:
        print_json(rehearsal.to_json())
    elif as_markdown:
        click.echo(markdown(rehearsal))
    else:
        print_rehearsal(rehearsal, verbose=verbose)
    if not rehearsal.ok:
        raise click.exceptions.Exit(1)
