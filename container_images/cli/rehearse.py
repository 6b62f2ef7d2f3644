"""`container-images rehearse`: what is printed of a rehearsal, and its exit status.

In text what decides comes first. Markdown is for pull requests.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import click

from container_images.access.claims import ABILITIES, cells
from container_images.aws.errors import RefusedError
from container_images.cli.targets import json_option
from container_images.cli.terminal import (
    print_json,
    print_paragraph,
    print_section,
    print_table,
    working,
)
from container_images.policies.invalid_input import printable

_HOW_THEY_COUNT: Final = (
    "The account's own principals count with every permission, others with what the repositories "
    "allow them."
)
_SIMULATED: Final = (
    "What is of ECR and IAM was created in moto; of other types the inputs were checked. "
    "(simulated): ECR's exclusion filters, its lifecycle policies and Pulumi's import are this "
    "project's own code; the rest is moto's."
)


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
    from container_images.stack.declared import declared  # noqa: PLC0415

    try:
        with working("Rehearsing"):
            rehearsal, failures = rehearse(declared(stack))
    except RefusedError as error:
        if as_json:
            raise click.UsageError(str(error)) from None
        for line in str(error).split("\n"):  # an error a line
            click.echo(printable(line), err=True)
        raise click.exceptions.Exit(2) from None
    if as_json:
        print_json(rehearsal)
    elif as_markdown:
        print_markdown(rehearsal, failures)
    else:
        print_rehearsal(rehearsal, failures, verbose=verbose)
    raise click.exceptions.Exit(bool(failures))


def print_rehearsal(rehearsal: dict[str, Any], failures: Sequence[str], *, verbose: bool) -> None:
    """On standard output: the verdict, what failed, the evidence, and what comes next."""
    stack, seconds = rehearsal["stack"], rehearsal["seconds"]["total"]
    mark, verb = ("FAILED", "does not do") if failures else ("ok", "does")
    print_paragraph(f"the stack {stack} {verb} what ADR040 asks ({seconds:.1f} s)", mark)
    _print_evidence(rehearsal, failures)
    acts = [act for act in rehearsal["acts"] if act["ok"]]
    detailed = [act for act in acts if verbose or act["act"] == "year"]
    names = [act["act"] for act in acts if act not in detailed]
    texts = [", ".join(names)] if names else []
    for act in detailed:
        by = " (simulated)" if act["by"] == "simulated" else ""
        texts.append(f"{act['act']}: {act['detail']}{by}")
    print_section("ADR040's workflow", (("ok", text) for text in texts))
    resources = [(each["type"], each["name"]) for each in rehearsal["resources"]]
    kinds = Counter(kind.rpartition(":")[2] for kind, _ in resources if kind.startswith("aws:"))
    counts = (f"{number} {kind}" for kind, number in kinds.items())
    print_paragraph(", ".join(counts) or "nothing", "declared")
    for kind, name in resources if verbose else ():
        print_paragraph(f"{kind} {name}", " ")
    if verbose:
        click.echo(f"\n{_HOW_THEY_COUNT}\n{_SIMULATED}")
    if not failures:
        more = "" if verbose else "; --verbose shows each act and resource"
        click.echo(f"\nNext: with an AWS account, pulumi preview --stack {stack}{more}.")


def _print_evidence(rehearsal: dict[str, Any], failures: Sequence[str]) -> None:
    for failure in failures:
        print_paragraph(failure, "FAILED")
    for warning in rehearsal["warnings"]:
        print_paragraph(warning, "warning")
    if rehearsal["access"]:
        print_section("Who can do what, in any repository", ())
        # Without "arn:aws:iam::", which is the same in every line and takes the room.
        rows = [(row["principal"].split(":", 4)[-1], *cells(row)) for row in rehearsal["access"]]
        print_table(("principal", *ABILITIES.values()), rows, folds=("principal",))
        claims = [proof["claim"] for proof in rehearsal["proofs"] if proof["proved"]]
        print_section(
            "Claims over every principal, in every repository", (("holds", each) for each in claims)
        )


def print_markdown(rehearsal: dict[str, Any], failures: Sequence[str]) -> None:
    """For a pull request: what failed, warnings, claims, and who can do what.

    As code, in which GitHub sees no marks, and no names of people.
    """
    click.echo(f"## Who can do what in the stack {rehearsal['stack']}\n\n~~~~~~~~text")
    _print_evidence(rehearsal, failures)
    click.echo(f"~~~~~~~~\n\n{_HOW_THEY_COUNT}")
