"""`container-images rehearse`: what is printed of a rehearsal, and its exit status.

In text what decides comes first. Markdown is for pull requests.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import click

from container_images.access.claims import ABILITIES, cells
from container_images.aws.errors import RefusedError
from container_images.cli.targets import json_option
from container_images.cli.terminal import print_json, print_table, working
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
        lines = map(printable, str(error).split("\n"))  # an error a line
        click.echo("\n".join(lines), err=True)
        raise click.exceptions.Exit(2) from None
    if as_json:
        print_json(rehearsal)
    elif as_markdown:
        click.echo(markdown(rehearsal, failures))
    else:
        print_rehearsal(rehearsal, failures, verbose=verbose)
    raise click.exceptions.Exit(bool(failures))


def _judgements(rehearsal: dict[str, Any], failures: Sequence[str]) -> list[tuple[str, str]]:
    """What decides: a mark and a text each."""
    return [
        *(("FAILED", failure) for failure in failures),
        *(("warning", warning) for warning in rehearsal["warnings"]),
        *(("holds", proof["claim"]) for proof in rehearsal["proofs"] if proof["proved"]),
    ]


def print_rehearsal(rehearsal: dict[str, Any], failures: Sequence[str], *, verbose: bool) -> None:
    """On standard output: the verdict, what failed, the evidence, and what comes next."""
    stack, seconds = rehearsal["stack"], rehearsal["seconds"]["total"]
    does = (
        "does not do what ADR040 asks" if failures else f"does what ADR040 asks ({seconds:.1f} s)"
    )
    judgements = _judgements(rehearsal, failures)
    _print(("FAILED" if failures else "ok", f"the stack {stack} {does}"))
    _print(*(line for line in judgements if line[0] != "holds"))
    if rehearsal["access"]:
        _print(heading="Who can do what, in any repository")
        # Without "arn:aws:iam::", which is the same in every line and takes the room.
        rows = [(row["principal"].split(":", 4)[-1], *cells(row)) for row in rehearsal["access"]]
        print_table(("principal", *ABILITIES.values()), rows, folds=("principal",))
        claims = [line for line in judgements if line[0] == "holds"]
        _print(*claims, heading="Claims over every principal, in every repository")
    _print(*_workflow(rehearsal["acts"], verbose=verbose), heading="ADR040's workflow")
    _print(*_declared(rehearsal["resources"], verbose=verbose))
    if verbose:
        click.echo(f"\n{_HOW_THEY_COUNT}\n{_SIMULATED}")
    if not failures:
        more = "" if verbose else "; --verbose shows each act and resource"
        click.echo(f"\nNext: with an AWS account, pulumi preview --stack {stack}{more}.")


def _workflow(acts: Sequence[Any], *, verbose: bool) -> Iterator[tuple[str, str]]:
    if not verbose:
        names = [act["act"] for act in acts if act["ok"] and act["act"] != "year"]
        yield "ok", ", ".join(names) or "nothing"
    for act in acts:
        if act["ok"] and (verbose or act["act"] == "year"):
            by = " (simulated)" if act["by"] == "simulated" else ""
            yield "ok", f"{act['act']}: {act['detail']}{by}"


def _declared(resources: Sequence[Any], *, verbose: bool) -> Iterator[tuple[str, str]]:
    types = Counter(each["type"] for each in resources if each["type"].startswith("aws:"))
    kinds = (f"{number} {kind.rpartition(':')[2]}" for kind, number in types.items())
    yield "declared", ", ".join(kinds) or "nothing"
    for resource in resources if verbose else ():
        marks = [resource["type"].rpartition(":")[2]]
        marks += ["protected"] * resource["protect"] + ["retained"] * resource["retainOnDelete"]
        yield "", f"{'  ' * bool(resource['parent'])}{resource['name']}  {', '.join(marks)}"


def _print(*lines: tuple[str, str], heading: str = "") -> None:
    if heading:
        click.echo(f"\n{click.style(heading, bold=True)}")
    for mark, text in lines:
        color = {"FAILED": "red", "warning": "yellow"}.get(mark, "green")
        styled = click.style(f"{mark:9}", fg=color, bold=mark == "FAILED")
        click.echo(f"{styled}{printable(text)}")


def markdown(rehearsal: dict[str, Any], failures: Sequence[str]) -> str:
    """A comment on a pull request: what failed, warnings, claims, and who can do what."""
    judgements, access = _judgements(rehearsal, failures), rehearsal["access"]
    lines = [
        f"## Who can do what in the stack {_literal(rehearsal['stack'])}\n",
        *(f"- **{mark}** {_literal(text)}" for mark, text in judgements),
    ]
    if access:
        table = [["principal", *ABILITIES.values()], ["---"] * (1 + len(ABILITIES))]
        # As code, in which GitHub sees no names of people.
        table += [[f"<code>{_literal(row['principal'])}</code>", *cells(row)] for row in access]
        lines += ["", *(f"| {' | '.join(row)} |" for row in table), f"\n{_HOW_THEY_COUNT}"]
    return "\n".join(lines)


def _literal(text: str) -> str:
    """On one line, printable, with whatever Markdown would interpret as a character reference."""
    line = printable(" ".join(text.split()))
    return re.sub(r"[^\w ,.:;/()'=-]|_", lambda match: f"&#{ord(match[0])};", line)
