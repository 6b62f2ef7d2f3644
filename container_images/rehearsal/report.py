"""The rehearsal for people: a tree, the acts as they happen, the proofs, the access table.

And what it proves in Markdown, as a comment on a pull request.
"""

import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from container_images.access.proofs import Proof, Row
from container_images.rehearsal.acts import Act
from container_images.rehearsal.program import Resource, Update
from container_images.rehearsal.year import Year, picture

_MOST_COMPONENTS: Final = 10
"""In the tree: nobody reads a thousand of them."""
_MOST_CHILDREN: Final = 8
"""That are named. Of more, there is the number of each type."""

SIMULATED: Final = (
    "(simulated): ECR's exclusion filters and Pulumi's import are this project's own code; the "
    "rest is moto's."
)
ABILITIES: Final = ("pull", "move tags", "delete images", "change guard")
HOW_THEY_COUNT: Final = (
    "The account's own principals count with every permission, others with what the repositories "
    "allow them."
)


def verdict(proof: Proof, quote: Callable[[str], str] = str) -> tuple[str, str]:
    """Whether a claim is proved, in a word; and why it is not, in a sentence."""
    if proof.proved:
        return "proved", ""
    if found := proof.counterexample:
        action, resource, principal = map(quote, (found.action, found.resource, found.principal))
        return "FALSE", f"counterexample: {action} on {resource} by {principal}"
    return "FALSE", f"not known: the evaluator cannot read a policy's {quote(proof.not_modelled)}"


def abilities(row: Row) -> list[str]:
    """What somebody can do, in the order of ABILITIES."""
    can = (row.pull, row.move_tags, row.delete_images, row.change_guard)
    return ["yes" if it else "-" for it in can]


class Report:
    """Writes to a console: plain text where it is no terminal, nothing where it is quiet."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def registered(self, stack: str, update: Update) -> None:
        """Everything that the program has declared."""
        tree = Tree(Text(f"Stack {stack}", style="bold"))
        components: list[list[Resource]] = []
        for it in update.resources:
            if it.parent is None:  # a component, behind which come its children
                components.append([])
            components[-1].append(it)
        for component, *children in components[:_MOST_COMPONENTS]:
            branch = tree.add(_line(component))
            shown = [_line(it) for it in children]
            if len(children) > _MOST_CHILDREN:
                kinds = Counter(" ".join(_marks(it)) for it in children)
                counted = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
                shown = [Text(counted, style="dim")]
            for line in shown:
                branch.add(line)
        if len(components) > _MOST_COMPONENTS:
            tree.add(f"… and {len(components) - _MOST_COMPONENTS} more")
        self._console.print(tree)

    def acted(self, act: Act) -> None:
        """An act, right after it is over."""
        note = " (simulated)" if act.by == "simulated" else ""
        text = f"{act.act}: {act.detail}{note}"
        self._verdict("ok" if act.ok else "FAILED", text, good=act.ok)

    def explain(self, acts: Sequence[Act]) -> None:
        """What the marks of the acts mean, if there are any."""
        if any(act.by == "simulated" for act in acts):
            self._console.print(SIMULATED, style="dim")

    def warned(self, warnings: Sequence[str]) -> None:
        """What the settings allow and ADR040 would rather not."""
        for it in warnings:
            self._console.print()
            self._verdict("warning", it, style="yellow")

    def proved(self, proofs: Sequence[Proof]) -> None:
        """Each claim; where it does not hold, the request that breaks it."""
        self.heading("Claims, proved over every principal in every repository")
        for proof in proofs:
            word, reason = verdict(proof)
            self._verdict(word, f"{proof.claim}\n{reason}", good=proof.proved)

    def accessible(self, rows: Sequence[Row]) -> None:
        """Who can do what."""
        self.heading("Who can do what, in any repository")
        table = Table(box=None, padding=(0, 2, 0, 0))
        table.add_column("principal", overflow="fold")
        for column in ABILITIES:
            table.add_column(column, max_width=6)
        for row in rows:
            # Without "arn:aws:iam::", which is the same in every line and takes the room.
            principal = row.principal.split(":", maxsplit=4)[-1]
            table.add_row(Text(principal), *abilities(row))
        self._console.print(table)
        self._console.print(HOW_THEY_COUNT, style="dim")

    def lived(self, repository: str, year: Year) -> None:
        """What a year leaves of the images of a repository."""
        self.heading(f"{repository} after a year under its lifecycle policy (simulated)")
        for line in picture(year):
            self._console.print(Text(line), soft_wrap=True)

    def over(self, stack: str, *, ok: bool, seconds: float) -> None:
        """How it went, and what comes next."""
        self._console.print()
        if ok:
            self._verdict("ok", f"the stack {stack} was rehearsed in {seconds:.1f} s", good=ok)
            self._console.print(
                f"Next: change Pulumi.{stack}.yaml and rehearse again; with an AWS account,\n"
                f"make preview STACK={stack}."
            )
        else:
            self._verdict("FAILED", f"the stack {stack} does not do what ADR040 asks", good=ok)

    def heading(self, text: str) -> None:
        """What comes next is about this."""
        self._console.print()
        self._console.print(Text(text, style="bold"))

    def _verdict(self, word: str, text: str, *, good: bool = False, style: str = "") -> None:
        indent = " " * 9
        lines = [
            line
            for paragraph in text.splitlines()
            for line in textwrap.wrap(
                paragraph,
                self._console.width - len(indent),
                break_long_words=False,
                break_on_hyphens=False,
            )
        ]
        style = style or ("green" if good else "bold red")
        mark = Text(word.ljust(len(indent)), style=style)
        self._console.print(mark + Text(f"\n{indent}".join(lines)), soft_wrap=True)


def _line(resource: Resource) -> RenderableType:
    return Text(f"{resource.name}  ") + Text(", ".join(_marks(resource)), style="dim")


def _marks(resource: Resource) -> list[str]:
    """Its type, and the options that keep it from being deleted."""
    options = {
        "protected": resource.protect,
        "retained": resource.retain_on_delete,
        "imported": resource.import_id,
    }
    return [resource.type.rpartition(":")[2], *(mark for mark, on in options.items() if on)]


# --- A comment on a pull request ------------------------------------------------------------------


def comment(
    stack: str,
    proofs: Sequence[Proof],
    access: Sequence[Row],
    failures: Sequence[str],
    warnings: Sequence[str] = (),
) -> str:
    """The claims and the table of who can do what. `failures` are what else makes it fail."""
    blocks = [
        [f"## Who can do what in the stack {_text(stack)}"],
        [
            *(f"- **FAILED** {_text(it)}" for it in failures),
            *(f"- **warning** {_text(it)}" for it in warnings),
            *(line for proof in proofs for line in _claim(proof)),
        ],
        list(_table(access)),
    ]
    return "\n\n".join("\n".join(lines) for lines in blocks if lines)


def _claim(proof: Proof) -> Iterator[str]:
    word, reason = verdict(proof, _code)
    yield f"- **{word}** {_text(proof.claim)}"
    if reason:
        yield f"  {reason}"


def _table(access: Sequence[Row]) -> Iterator[str]:
    if not access:
        return
    yield _row("principal", *ABILITIES)
    yield _row(*["---"] * (1 + len(ABILITIES)))
    for it in access:
        named = _code(it.principal) if it.principal.startswith("arn:") else _text(it.principal)
        yield _row(named, *abilities(it))
    yield ""
    yield HOW_THEY_COUNT


def _row(*cells: str) -> str:
    # A cell ends at a bar, even within code.
    return " | ".join(["", *(it.replace("|", r"\|") for it in cells), ""]).strip()


def _text(text: str) -> str:
    """On one line, with whatever Markdown would interpret escaped."""
    return re.sub(r"([\\`*_\[\]<>~&])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    """As code: between more backticks than it has in a row."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"
