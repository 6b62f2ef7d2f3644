"""What people see: tables on terminals of every width and off them, and signs of work."""

import io
import re
import sys
import threading
from time import sleep
from typing import Any

import click
import pytest
from click.testing import CliRunner
from rich.progress import Progress

from container_images.cli import terminal
from container_images.cli.targets import json_option
from container_images.cli.terminal import note, print_paragraph, print_table, working
from container_images.policies.invalid_input import Problem, printable

TIME = "2026-11-23T07:58:22Z"
TAG = "prod-356a192b-1795003600"
ROWS = [
    (TIME, "forms-image-pipeline\nrelease-412", f"from {TAG} to nothing"),
    (TIME, ("! developer", "bold red"), "x"),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")


def printed(
    patch: pytest.MonkeyPatch, out: io.StringIO, width: int, rows: Any = ROWS, **options: Any
) -> list[str]:
    patch.setenv("COLUMNS", str(width))
    patch.setattr(sys, "stdout", out)
    print_table(("time", "who", "what"), rows, **{"folds": ("who", "what"), **options})
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    return [line.rstrip() for line in plain.splitlines()]


def test_without_a_terminal_a_row_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    head, first, second = printed(monkeypatch, io.StringIO(), 20)
    assert head.split() == ["time", "who", "what"]
    assert first == f"{TIME}  forms-image-pipeline release-412  from {TAG} to nothing"
    assert second.split() == [TIME, "!", "developer", "x"]
    assert head.index("what") == first.index("from") == second.index("x")


@pytest.mark.parametrize(
    ("width", "rows", "folds", "longest"),
    [
        # However narrow the terminal is, only the columns that may be are folded, between words.
        (40, ROWS, "who what", 69),
        (80, ROWS, "who what", 80),
        # The widest column stays whole if another one can be folded.
        (66, [["d" * 50, "", "word " * 8]], "what", 66),
        # No column is left out beside two that are folded.
        (66, [[f"{'a' * 50} {'b' * 49}", "word " * 8, "last"]], "time who", 70),
    ],
)
def test_no_word_is_lost(
    monkeypatch: pytest.MonkeyPatch, width: int, rows: Any, folds: str, longest: int
) -> None:
    _, *lines = printed(monkeypatch, Terminal(), width, rows=rows, folds=folds.split())
    cells = [cell[0] if isinstance(cell, tuple) else cell for row in rows for cell in row]
    assert sorted(" ".join(lines).split()) == sorted(" ".join(cells).split())
    assert max(map(len, lines)) <= longest


@pytest.mark.parametrize(
    ("width", "out", "shown"),
    [
        (70, Terminal, ["time", "who", "what"]),
        (46, Terminal, ["time", "what"]),
        (10, Terminal, ["what"]),
        (10, io.StringIO, ["time", "who", "what"]),
    ],
)
def test_columns_without_room_are_left_out_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, width: int, out: type[io.StringIO], shown: list[str]
) -> None:
    lines = printed(monkeypatch, out(), width, spare=("who", "time"))
    assert lines[0].split() == shown
    assert ("developer" in "".join(lines)) is ("who" in shown)


def test_long_work_shows_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    started = threading.Event()
    start = Progress.start

    def start_and_say(bar: Progress) -> None:
        start(bar)
        started.set()

    monkeypatch.setattr(Progress, "start", start_and_say)
    monkeypatch.setattr(sys, "stderr", out := Terminal())
    for patience, shown in ((600.0, False), (0.0, True)):
        monkeypatch.setattr(terminal, "PATIENCE", patience)
        with working("Reading") as counted:
            assert not shown or started.wait(60)
            assert list(counted("abcd")) == ["a", "b", "c", "d"]
        assert ("Reading" in out.getvalue()) is ("100%" in out.getvalue()) is shown


@pytest.mark.parametrize(
    ("arguments", "patience", "shown"),
    [([], 0.0, "Reading …\n"), (["--json"], 0.0, ""), (["--markdown"], 0.0, ""), ([], 600.0, "")],
)
def test_off_a_terminal_long_work_is_a_line(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], patience: float, shown: str
) -> None:
    @click.command()
    @json_option
    @click.option("--markdown", "as_markdown", is_flag=True)
    def command(**_options: bool) -> None:
        with working("Reading") as counted:
            sleep(0.1)
            assert [*counted("xyz")] == ["x", "y", "z"]

    monkeypatch.setattr(terminal, "PATIENCE", patience)
    result = CliRunner().invoke(command, arguments)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", shown)


ERASING = "\x1b[2K\rsafe\x9b1A\x7f\u202egnp.exe\u2066"
ESCAPED = r"\x1b[2K\rsafe\x9b1A\x7f\u202egnp.exe\u2066"


def test_control_characters_are_printed_as_their_escapes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert printable(ERASING) == ESCAPED
    assert printable("a\tb\nc\u2028\u200f") == r"a\tb\nc\u2028\u200f"
    assert printable("prod-é-日本 \U0001f600") == "prod-é-日本 \U0001f600"
    problem = Problem(where=("a",), value="\x9b1A\x7f", rule="b", fix="c")
    assert str(problem) == r'a = "\x9b1A\x7f": b; c'
    monkeypatch.setenv("COLUMNS", "200")
    print_table(("tag", "who"), [(ERASING, (f"! {ERASING}", "bold red"))], folds=("who",))
    print_paragraph(ERASING)
    note(ERASING.replace("\r", ""))  # which is space like any other
    out, err = capsys.readouterr()
    assert [line.count(ESCAPED) for line in out.splitlines()] == [0, 2, 1]
    assert err == f"note: {ESCAPED}\n".replace(r"\r", "")
