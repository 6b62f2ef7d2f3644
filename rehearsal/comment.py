"""What a rehearsal proves, in Markdown, as a comment on a pull request."""

import re
from collections.abc import Iterator, Sequence

from registry.access.proofs import Proof, Row
from rehearsal.report import ABILITIES, HOW_THEY_COUNT, abilities, verdict


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
