"""The comment on a pull request, read as GitHub reads Markdown."""

from collections.abc import Iterator
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from container_images.access.evaluation import Call
from container_images.access.proofs import Proof, Row
from container_images.rehearsal.report import comment

ROW = Row(
    principal="arn:aws:iam::111122223333:role/push",
    pull=True,
    move_tags=True,
    delete_images=False,
    change_guard=False,
)
PROVED = Proof(claim="Nobody can", proved=True, counterexample=None)
ODD = [
    "a|b",
    "`a`",
    "a``|`",
    "*a* _b_ ~~c~~",
    "<b>a</b> [b](c) ![d](e)",
    "&amp; \\| \\",
    "# 1. - a",
]


def read_comment(markdown: str) -> list[Any]:
    """Its blocks: a text, the texts of a list, or the rows of a table."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    blocks: list[Any] = []
    for block in SyntaxTreeNode(tokens).children:
        if block.type == "table":
            rows = [row for part in block.children for row in part.children]
            blocks.append([[shown(cell) for cell in row.children] for row in rows])
        elif block.type == "bullet_list":
            blocks.append([shown(item) for item in block.children])
        else:
            blocks.append(shown(block))
    return blocks


def shown(node: SyntaxTreeNode) -> str:
    """A piece of text as it is shown, without any marks but what is bold and what is code."""
    return "".join(shown_pieces(node))


def shown_pieces(node: SyntaxTreeNode) -> Iterator[str]:
    for it in node.walk():
        if it.type in ("text", "code_inline"):
            yield it.content
        elif it.type == "softbreak":
            yield " "
        else:
            assert it.type in ("heading", "paragraph", "list_item", "td", "th", "inline", "strong")


def broken(principal: str) -> Proof:
    found = Call(principal=principal, action="ecr:PutImage", resource="arn:aws:ecr")
    return Proof(claim="Nobody can", proved=False, counterexample=found)


def test_everything_is_in_it() -> None:
    unknown = Proof(
        claim="Nobody does", proved=False, counterexample=None, not_modelled="Null a true"
    )
    told = comment("prod", [PROVED, broken("arn:aws:iam"), unknown], [ROW], ["promote: refused"])
    *blocks, last = read_comment(told)
    assert blocks == [
        "Who can do what in the stack prod",
        [
            "FAILED promote: refused",
            "proved Nobody can",
            "FALSE Nobody can counterexample: ecr:PutImage on arn:aws:ecr by arn:aws:iam",
            "FALSE Nobody does not known: the evaluator cannot read a policy's Null a true",
        ],
        [
            ["principal", "pull", "move tags", "delete images", "change guard"],
            ["arn:aws:iam::111122223333:role/push", "yes", "yes", "-", "-"],
        ],
    ]
    assert last.startswith("The account's own principals count with every permission")


@pytest.mark.parametrize("odd", ODD)
def test_nothing_is_taken_for_a_mark(odd: str) -> None:
    rows = [Row(**{**vars(ROW), "principal": principal}) for principal in (odd, f"arn:{odd}")]
    claim = Proof(claim=odd, proved=True, counterexample=None)
    told = comment(odd, [claim, broken(odd)], rows, [odd])
    heading, (failure, proved, false), table, _ = read_comment(told)
    assert heading.endswith(odd)
    assert failure == f"FAILED {odd}"
    assert proved == f"proved {odd}"
    assert false.endswith(f" by {odd}")
    assert [row[0] for row in table[1:]] == [odd, f"arn:{odd}"]


def test_a_failure_of_several_lines_stays_in_its_place() -> None:
    told = comment("prod", [], [], ["register: a\n\n# b\n- c"])
    assert read_comment(told) == [
        "Who can do what in the stack prod",
        ["FAILED register: a # b - c"],
    ]
