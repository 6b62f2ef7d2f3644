"""What `adopt` and `verify` print."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import click

from container_images.cli.terminal import Cell, print_table
from container_images.stack.adopt import Adoption, to_yaml
from container_images.stack.state import lost_rules, spoken_of, statements
from container_images.stack.verify import Verification, fix_of

_INDENT = "    "
"""Of the entries, below the settings' key in a stack file."""


def print_adoptions(adoptions: Sequence[Adoption], stack: str | None) -> None:
    """The entries, to paste, and what comes with them."""
    if entries := to_yaml(adoptions):
        click.echo(f"{_INDENT}# container-images:repositories, Pulumi.{stack or 'STACK'}.yaml")
        click.echo("".join(f"{_INDENT}{line}\n" for line in entries.splitlines()))
    rows = [(it.found.name, *row) for it in adoptions for row in _adoption_rows(it)]
    print_table(("repository", "adoption", "what"), rows, folds=("what",))


def _adoption_rows(it: Adoption) -> Iterator[tuple[Cell, Cell]]:
    yield from ((("blocked", "bold red"), one) for one in it.blocks)
    yield from ((("warning", "yellow"), one) for one in it.warnings)
    if it.changes is None:
        yield from (("has", one) for one in _has(it))
        return
    yield from ((("loses", "yellow"), one) for one in it.loses)
    yield from (("changes", str(one)) for one in it.changes)
    if not it.changes:
        yield "changes", "nothing"


def _has(it: Adoption) -> Iterator[str]:
    """What a stack might change, where none is there to compare with."""
    found = it.found
    filters = f" ({', '.join(found.exclusion_filters)})" if found.exclusion_filters else ""
    yield f"tagMutability {found.tag_mutability}{filters}"
    for number, one in enumerate(statements(found.policy), start=1):
        yield f"policy {spoken_of(one, number)}: {one.get('Effect')}"
    yield from lost_rules(found.lifecycle_policy, None)


def print_verifications(
    verified: Sequence[Verification], stack: str, caller: str | None, left: Sequence[str]
) -> None:
    """The results, and what is left to see."""
    rows = [(it.found.name, *row) for it in verified for row in _verification_rows(it, stack)]
    print_table(("repository", "check", "result", "detail"), rows, folds=("check", "detail"))
    if caller is not None:
        click.echo(f"\nThe caller of the probes is {caller}.")
    if left:
        click.echo("\nNot checked here; check it once in each account (docs/adoption.md):")
        click.echo("\n".join(f"[ ] {it}" for it in left))


_UNKNOWN = "the policy has an element that the proofs do not cover"


def _verification_rows(it: Verification, stack: str) -> Iterator[tuple[Cell, Cell, Cell]]:
    broken = [one for one in it.proofs if not one.proved]
    for one in broken:
        by = one.counterexample
        detail = f"{by.principal} can break it with {by.action}" if by else _UNKNOWN
        yield one.claim, ("NOT PROVED", "bold red"), f"{detail}; make up STACK={stack}"
    if not broken:
        yield "access", ("proved", "green"), f"all {len(it.proofs)} claims"
    for differing in it.differences:
        yield "as declared", ("DIFFERS", "bold red"), f"{differing}; {fix_of(differing, stack)}"
    if not it.differences:
        yield "as declared", ("yes", "green"), ""
    unprobed = defaultdict[str, list[str]](list)
    for probed in it.probes:
        if probed.answer == "not probed":
            unprobed[probed.detail].append(f"ecr:{probed.action}")
            continue
        result: dict[bool | None, Cell] = {
            True: (f"{probed.answer}, as intended", "green"),
            False: (probed.answer.upper(), "bold red"),
            None: probed.answer,
        }
        yield f"ecr:{probed.action}", result[probed.ok], probed.detail
    yield from ((", ".join(them), "not probed", why) for why, them in unprobed.items())
