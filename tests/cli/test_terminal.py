"""What people see: tables on terminals of every width and off them, and signs of work."""

import io
import re
import sys
import threading
from collections.abc import Sequence
from time import sleep

import click
import pytest
from click.testing import CliRunner
from rich.progress import Progress

from container_images.cli import terminal
from container_images.cli.targets import json_option
from container_images.cli.terminal import (
    Cell,
    note,
    print_paragraph,
    print_table,
    print_text,
    working,
)
from container_images.policies.invalid_input import Problem, printable

TIME = "2026-11-23T07:58:22Z"
TAG = "prod-356a192b-1795003600"
ROWS: list[tuple[Cell, ...]] = [
    (TIME, "forms-image-pipeline\nrelease-412", f"from {TAG} to nothing"),
    (TIME, ("! developer", "bold red"), "x"),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(
    monkeypatch: pytest.MonkeyPatch, out: io.StringIO, width: int, spare: Sequence[str] = ()
) -> list[str]:
    for variable, value in {"COLUMNS": str(width), "NO_COLOR": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(sys, "stdout", out)
    print_table(("time", "who", "what"), ROWS, folds=("who", "what"), spare=spare)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    return [line.rstrip() for line in plain.splitlines()]


def test_without_a_terminal_a_row_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    head, first, second = printed(monkeypatch, io.StringIO(), 20)
    assert head.split() == ["time", "who", "what"]
    assert first == f"{TIME}  forms-image-pipeline release-412  from {TAG} to nothing"
    assert second.split() == [TIME, "!", "developer", "x"]
    assert head.index("what") == first.index("from") == second.index("x")


@pytest.mark.parametrize("width", [40, 60, 80])
def test_on_a_terminal_only_the_columns_that_may_be_are_folded(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    lines = printed(monkeypatch, Terminal(), width)
    assert sum(line.startswith(TIME) for line in lines) == len(ROWS)
    narrowest = len(TIME) + 2 + len("forms-image-pipeline") + 2 + len(TAG)
    assert max(map(len, lines)) <= max(width, narrowest)
    # Between words, and never within one, however narrow the terminal is.
    assert {TIME, "forms-image-pipeline", "release-412", TAG} <= set(" ".join(lines).split())


def test_the_widest_column_stays_whole_if_another_one_can_be_folded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stdout", out := Terminal())
    print_table(("digest", "why"), [("d" * 60, "word " * 8)], folds=("why",))
    _, *lines = out.getvalue().splitlines()
    assert ("d" * 60 in lines[0], max(map(len, lines)) <= 80) == (True, True)


def test_no_column_is_left_out_beside_two_that_are_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "64")
    monkeypatch.setattr(sys, "stdout", out := Terminal())
    cells = (f"{'a' * 50} {'b' * 49}", "word " * 8, "last")
    print_table(("first", "second", "third"), [cells], folds=("first", "second"))
    assert sorted(out.getvalue().split()[-11:]) == sorted(" ".join(cells).split())


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


@pytest.mark.parametrize(
    ("term", "patience", "shown"),
    [("xterm", 0.0, True), ("xterm", 600.0, False), ("dumb", 0.0, False)],
)
def test_long_work_shows_a_bar(
    monkeypatch: pytest.MonkeyPatch, *, term: str, patience: float, shown: bool
) -> None:
    started = threading.Event()
    start = Progress.start

    def start_and_say(bar: Progress) -> None:
        start(bar)
        started.set()

    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(Progress, "start", start_and_say)
    monkeypatch.setattr(sys, "stderr", out := Terminal())
    monkeypatch.setattr(terminal, "PATIENCE", patience)
    with working("Reading") as counted:
        if shown:
            assert started.wait(60)
        assert list(counted("abcd")) == ["a", "b", "c", "d"]
    assert ("Reading" in out.getvalue()) is ("100%" in out.getvalue()) is shown
    assert bool(out.getvalue().strip()) is shown


@pytest.mark.parametrize(
    ("arguments", "patience", "shown"),
    [
        ([], 0.0, "Reading …\n"),
        (["--json"], 0.0, ""),
        (["--markdown"], 0.0, ""),
        ([], 600.0, ""),
    ],
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
    assert (
        str(Problem(where=("a",), value="\x9b1A\x7f", rule="b", fix="c"))
        == r'a = "\x9b1A\x7f": b; c'
    )
    monkeypatch.setenv("COLUMNS", "200")
    print_table(("tag", "who"), [(ERASING, (f"! {ERASING}", "bold red"))], folds=("who",))
    print_paragraph(ERASING)
    print_text(ERASING)
    note(ERASING.replace("\r", ""))  # which is space like any other
    out, err = capsys.readouterr()
    assert [line.count(ESCAPED) for line in out.splitlines()] == [0, 2, 1, 1]
    assert err == f"note: {ESCAPED}\n".replace(r"\r", "")
