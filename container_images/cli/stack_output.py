"""What `adopt` and `verify` print."""

from collections.abc import Iterable, Iterator, Sequence

import click

from container_images.aws.errors import RefusedError
from container_images.aws.reference import Reference
from container_images.cli.terminal import Cell, print_table
from container_images.stack.adopt import Adoption, to_yaml
from container_images.stack.declared import DeclaredStack
from container_images.stack.state import REPLACING
from container_images.stack.verify import Verification

_INDENT = "    "
"""Of the entries, below the settings' key in a stack file."""


def print_adoptions(adoptions: Sequence[Adoption], stack: DeclaredStack | None) -> None:
    """The entries, to paste, and what comes with them: first what decides."""
    if entries := to_yaml(adoptions):
        project, name = (stack.file.project, stack.name) if stack else ("container-images", "STACK")
        click.echo(f"{_INDENT}# {project}:repositories, Pulumi.{name}.yaml")
        click.echo("".join(f"{_INDENT}{line}\n" for line in entries.splitlines()))
    kinds: Iterable[tuple[Cell, str]] = (
        (("blocked", "bold red"), "blocks"),
        (("warning", "yellow"), "warnings"),
        (("loses", "yellow"), "loses"),
        ("changes", "changes"),
    )
    rows = [
        (adopted.live.name, kind, str(what))
        for kind, attribute in kinds
        for adopted in adoptions
        for what in getattr(adopted, attribute) or ()
    ]
    print_table(("repository", "adoption", "what"), rows, folds=("what",))


def print_verifications(
    verified: Sequence[tuple[Reference, Verification | RefusedError]],
    stack: str,
    warnings: Sequence[str],
    left: Sequence[str],
) -> None:
    """The results, first what fails; what goes round the guard, and what is left to see."""
    rows: list[tuple[str, Cell, Cell, Cell]] = []
    for reference, each in verified:
        if isinstance(each, RefusedError):
            rows.append((reference.name, "read", ("FAILED", "bold red"), str(each)))
        else:
            rows += [(reference.name, *row) for row in _verification_rows(each, stack)]
    rows.sort(key=lambda row: row[2] in _GOOD)
    print_table(("repository", "check", "result", "detail"), rows, folds=("check", "detail"))
    if warnings:
        click.echo("\nThe registry as a whole:")
        print_table(("warning",), [(warning,) for warning in warnings], folds=("warning",))
    click.echo("\nNot checked here; check it once in each account (docs/adoption.md):")
    click.echo("\n".join(f"[ ] {item}" for item in left))


_GOOD: tuple[Cell, Cell] = (("holds", "green"), ("yes", "green"))


def _verification_rows(verified: Verification, stack: str) -> Iterator[tuple[Cell, Cell, Cell]]:
    broken = [proof for proof in verified.proofs if not proof.proved]
    for proof in broken:
        call = proof.counterexample
        broken_by = f"{call.principal} can break it with {call.action}" if call else ""
        detail = broken_by or f"not decided: {proof.undecided}"
        yield proof.claim, ("DOES NOT HOLD", "bold red"), detail
    if not broken:
        yield "access", _GOOD[0], f"all {len(verified.proofs)} claims"
    for difference in verified.differences:
        is_final = difference.setting in REPLACING
        fix = f"; no update changes it: correct kmsKey in Pulumi.{stack}.yaml" if is_final else ""
        yield "as declared", ("DIFFERS", "bold red"), f"{difference}{fix}"
    if not verified.differences:
        yield "as declared", _GOOD[1], ""
