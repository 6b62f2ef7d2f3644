"""Ctrl-C, whenever it comes: one line, status 130, and the process is over."""

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from container_images.cli import interrupt


class OverError(BaseException):
    """In place of the end of the process."""


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def end(status: int) -> None:
        raise OverError(status)

    monkeypatch.setattr(os, "_exit", end)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ends")
@pytest.mark.parametrize(
    ("option", "terminal", "printed"),
    [
        ("--dry-run", False, "interrupted\n"),
        ("--json", False, '{"error": "interrupted", "kind": "interrupted", "code": null}\n'),
        # The progress bar gives way, and the cursor is back.
        ("--dry-run", True, "\r\x1b[K\x1b[?25hinterrupted\n"),
    ],
)
def test_one_line_and_the_status_that_shells_give(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    *,
    terminal: bool,
    printed: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["container-images", "move", "forms", "a", option])
    monkeypatch.setattr(os, "isatty", lambda _: terminal)
    interrupt.end_at_once()
    with pytest.raises(OverError, match="130"):
        signal.raise_signal(signal.SIGINT)
    assert tuple(capfd.readouterr()) == ("", printed)


@pytest.mark.usefixtures("ends")
def test_where_nobody_listens_it_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(os, "write", refuses)
    interrupt.end_at_once()
    with pytest.raises(OverError, match="130"):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("ends")
def test_an_interrupt_that_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupt.end_at_once()
    signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
