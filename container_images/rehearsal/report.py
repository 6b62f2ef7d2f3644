"""The rehearsal for people: what decides first. And its evidence in Markdown, for pull requests."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

import click

from container_images.access.claims import ABILITIES, cells
from container_images.cli.terminal import print_table
from container_images.policies.invalid_input import printable
from container_images.rehearsal.embedded_aws import EMBEDDED
from container_images.rehearsal.program import Resource
from container_images.rehearsal.rehearse import Act, Rehearsal

_HOW_THEY_COUNT: Final = (
    "The account's own principals count with every permission, others with what the repositories "
    "allow them."
)
_SIMULATED: Final = (
    "(simulated): ECR's exclusion filters, its lifecycle policies and Pulumi's import are this "
    "project's own code; the rest is moto's."
)


def print_rehearsal(rehearsal: Rehearsal, *, verbose: bool) -> None:
    """On standard output: the verdict, what failed, the evidence, and what comes next."""
    stack = f"the stack {rehearsal.stack}"
    if rehearsal.ok:
        _marked("ok", f"{stack} does what ADR040 asks ({rehearsal.seconds:.1f} s)")
    else:
        _marked("FAILED", f"{stack} does not do what ADR040 asks")
    for failure in _failures(rehearsal):
        _marked("FAILED", failure)
    for warning in rehearsal.warnings:
        _marked("warning", warning)
    if rehearsal.access:
        _heading("Who can do what, in any repository")
        # Without "arn:aws:iam::", which is the same in every line and takes the room.
        rows = [(row["principal"].split(":", 4)[-1], *cells(row)) for row in rehearsal.access]
        print_table(("principal", *ABILITIES.values()), rows, folds=("principal",))
        _heading("Claims over every principal, in every repository")
        for proof in rehearsal.proofs:
            _marked("holds" if proof.proved else "FALSE", proof.claim)
    _print_acts([act for act in rehearsal.acts if act.ok], verbose=verbose)
    _print_resources(rehearsal.resources, verbose=verbose)
    if verbose:
        click.echo(f"\n{_HOW_THEY_COUNT}\n{_SIMULATED}")
    if rehearsal.ok:
        more = "" if verbose else "; --verbose shows each act and resource"
        click.echo(f"\nNext: with an AWS account, pulumi preview --stack {rehearsal.stack}{more}.")


def _failures(rehearsal: Rehearsal) -> list[str]:
    """Everything for which the rehearsal fails."""
    failures = [f"{act.act}: {act.detail}" for act in rehearsal.acts if not act.ok]
    return failures + [proof.failure for proof in rehearsal.proofs if not proof.proved]


def _print_acts(acts: Sequence[Act], *, verbose: bool) -> None:
    if acts:
        _heading("ADR040's workflow")
    if acts and not verbose:
        _marked("ok", ", ".join(act.act for act in acts if act.act != "year"))
    for act in acts:
        if verbose or act.act == "year":
            mark = " (simulated)" if act.by == "simulated" else ""
            _marked("ok", f"{act.act}: {act.detail}{mark}")


def _print_resources(resources: Sequence[Resource], *, verbose: bool) -> None:
    created = Counter(_kind(each) for each in resources if each.type in EMBEDDED)
    checked = Counter(_kind(each) for each in resources if each.type.startswith("aws:")) - created
    for mark, kinds in {"created": created, "checked": checked}.items():
        if kinds:
            _marked(mark, ", ".join(f"{number} {kind}" for kind, number in kinds.items()))
    for resource in resources if verbose else ():
        options = {
            _kind(resource): True,
            "protected": resource.protect,
            "retained": resource.retain_on_delete,
            "imported": resource.import_id,
        }
        marks = ", ".join(mark for mark, on in options.items() if on)
        _marked("", f"{'  ' if resource.parent else ''}{resource.name}  {marks}")


def _kind(resource: Resource) -> str:
    return resource.type.rpartition(":")[2]


def _heading(text: str) -> None:
    click.echo(f"\n{click.style(text, bold=True)}")


_STYLES: Final = {"ok": "green", "holds": "green", "warning": "yellow"}


def _marked(mark: str, text: str) -> None:
    styled = click.style(f"{mark:9}", fg=_STYLES.get(mark, "red"), bold=mark.isupper())
    click.echo(f"{styled}{printable(text)}")


def markdown(rehearsal: Rehearsal) -> str:
    """A comment on a pull request: what failed, warnings, claims, and who can do what."""
    lines = [
        f"## Who can do what in the stack {_literal(rehearsal.stack)}\n",
        *(f"- **FAILED** {_literal(failure)}" for failure in _failures(rehearsal)),
        *(f"- **warning** {_literal(warning)}" for warning in rehearsal.warnings),
        *(f"- **holds** {_literal(proof.claim)}" for proof in rehearsal.proofs if proof.proved),
    ]
    if rehearsal.access:
        rows = [
            ("principal", *ABILITIES.values()),
            ["---"] * (1 + len(ABILITIES)),
            # As code, in which GitHub sees no names of people.
            *(
                [f"<code>{_literal(row['principal'])}</code>", *cells(row)]
                for row in rehearsal.access
            ),
        ]
        lines += ["", *(f"| {' | '.join(row)} |" for row in rows), f"\n{_HOW_THEY_COUNT}"]
    return "\n".join(lines)


def _literal(text: str) -> str:
    """On one line, printable, with whatever Markdown would interpret as a character reference."""
    line = printable(" ".join(text.split()))
    return re.sub(r"[^\w ,.:;/()'=-]|_", lambda match: f"&#{ord(match[0])};", line)
