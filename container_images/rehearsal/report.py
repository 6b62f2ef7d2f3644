"""The rehearsal for people: what decides first. And its evidence in Markdown, for pull requests."""

import re
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from shutil import get_terminal_size
from typing import Final

import click

from container_images.cli.terminal import print_table, printable
from container_images.rehearsal.embedded_aws import EMBEDDED
from container_images.rehearsal.evidence import Proof, Row
from container_images.rehearsal.program import Resource
from container_images.rehearsal.rehearse import Rehearsal

ABILITIES: Final = ("pull", "move tags", "delete images", "change guard")
HOW_THEY_COUNT: Final = (
    "The account's own principals count with every permission, others with what the repositories "
    "allow them."
)
SIMULATED: Final = (
    "(simulated): ECR's exclusion filters, its lifecycle policies and Pulumi's import are this "
    "project's own code; the rest is moto's."
)


def print_rehearsal(rehearsal: Rehearsal, *, verbose: bool) -> None:
    """On standard output: the verdict, what failed, the evidence, and what comes next."""
    stack, ok = rehearsal.stack, rehearsal.ok
    if ok:
        _marked("ok", f"the stack {stack} does what ADR040 asks ({rehearsal.seconds:.1f} s)")
    else:
        _marked("FAILED", f"the stack {stack} does not do what ADR040 asks")
    for failure in _failures(rehearsal):
        _marked("FAILED", failure)
    for warning in rehearsal.warnings:
        _marked("warning", warning)
    if rehearsal.access:
        _heading("Who can do what, in any repository")
        # Without "arn:aws:iam::", which is the same in every line and takes the room.
        rows = [
            (it.principal.split(":", maxsplit=4)[-1], *_abilities(it)) for it in rehearsal.access
        ]
        print_table(("principal", *ABILITIES), rows, folds=("principal",))
        if verbose:
            _marked("", HOW_THEY_COUNT)
    if rehearsal.proofs:
        _heading("Claims over every principal, in every repository")
    for proof in rehearsal.proofs:
        _marked("holds" if proof.proved else "FALSE", proof.claim)
    _print_acts(rehearsal, verbose=verbose)
    _print_resources(rehearsal.update.resources, verbose=verbose)
    if ok:
        more = "" if verbose else "; --verbose shows each act and resource"
        click.echo(f"\nNext: with an AWS account, pulumi preview --stack {stack}{more}.")


def _failures(rehearsal: Rehearsal) -> list[str]:
    """Everything for which the rehearsal fails."""
    return [
        *(f"{act.act}: {act.detail}" for act in rehearsal.acts if not act.ok),
        *(f"{it.claim}: {reason_of(it)}" for it in rehearsal.proofs if not it.proved),
    ]


def reason_of(proof: Proof) -> str:
    """Why a claim does not hold."""
    if call := proof.counterexample:
        return f"counterexample: {call.action} on {call.resource} by {call.principal}"
    return f"not decided: {proof.undecided}"


def _abilities(row: Row) -> list[str]:
    can = (row.pull, row.move_tags, row.delete_images, row.change_guard)
    return ["yes" if it else "-" for it in can]


def _print_acts(rehearsal: Rehearsal, *, verbose: bool) -> None:
    done = [act for act in rehearsal.acts if act.ok]
    if not done:
        return
    _heading("ADR040's workflow")
    if not verbose:
        brief = [act for act in done if act.act != "year"]
        _marked("ok", ", ".join(act.act for act in brief))
        done = [act for act in done if act.act == "year"]
    for act in done:
        mark = " (simulated)" if act.by == "simulated" else ""
        _marked("ok", f"{act.act}: {act.detail}{mark}")
    if verbose:
        _marked("", SIMULATED)


def _print_resources(resources: Sequence[Resource], *, verbose: bool) -> None:
    if not resources:
        return
    created = Counter(_kind(it) for it in resources if it.type in EMBEDDED)
    others = Counter(_kind(it) for it in resources if it.type.startswith("aws:")) - created
    checked = f"; only the inputs checked of {_counted(others)}" if others else ""
    _marked("created", f"{_counted(created)}{checked}")
    if verbose:
        _heading("Resources")
        for it in resources:
            options = {"protected": it.protect, "retained": it.retain_on_delete}
            options["imported"] = bool(it.import_id)
            marks = ", ".join([_kind(it), *(mark for mark, on in options.items() if on)])
            _marked("", f"{'  ' if it.parent else ''}{it.name}  {marks}")


def _kind(resource: Resource) -> str:
    return resource.type.rpartition(":")[2]


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in kinds.items())


def _heading(text: str) -> None:
    click.echo(f"\n{click.style(text, bold=True)}")


_STYLES: Final = {"ok": "green", "holds": "green", "warning": "yellow"}
_MARK: Final = 9
"""Characters of the column that says how it is."""


def _marked(mark: str, text: str) -> None:
    """A line with its mark; on a terminal within its width."""
    lines = [printable(text)]
    if sys.stdout.isatty():
        width = max(get_terminal_size().columns, 4 * _MARK) - _MARK
        lines = textwrap.wrap(lines[0], width, break_on_hyphens=False)
    styled = click.style(mark, fg=_STYLES.get(mark, "red"), bold=mark.isupper())
    click.echo(styled + " " * (_MARK - len(mark)) + f"\n{' ' * _MARK}".join(lines))


# --- A comment on a pull request ------------------------------------------------------------------


def markdown(rehearsal: Rehearsal) -> str:
    """What failed, the warnings, the claims, and the table of who can do what."""
    blocks = [
        [f"## Who can do what in the stack {_text(rehearsal.stack)}"],
        [
            *(f"- **FAILED** {_text(failure)}" for failure in _failures(rehearsal)),
            *(f"- **warning** {_text(warning)}" for warning in rehearsal.warnings),
            *(f"- **holds** {_text(it.claim)}" for it in rehearsal.proofs if it.proved),
        ],
        list(_table(rehearsal.access)),
        [HOW_THEY_COUNT] if rehearsal.access else [],
    ]
    return "\n\n".join("\n".join(lines) for lines in blocks if lines)


def _table(access: Sequence[Row]) -> Iterator[str]:
    if not access:
        return
    yield _row("principal", *ABILITIES)
    yield _row(*["---"] * (1 + len(ABILITIES)))
    for row in access:
        is_arn = row.principal.startswith("arn:")
        named = _code(row.principal) if is_arn else _text(row.principal)
        yield _row(named, *_abilities(row))


def _row(*cells: str) -> str:
    # A cell ends at a bar, even within code.
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _text(text: str) -> str:
    """On one line, printable, with whatever Markdown would interpret escaped."""
    return re.sub(r"([\\`*_\[\]<>~&])", r"\\\1", printable(" ".join(text.split())))


def _code(text: str) -> str:
    """As code, in which GitHub sees no names of people: between more backticks than it has."""
    text = printable(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"
