"""The commands as the pipeline runs them: in their own process, with Ctrl-C."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from container_images import __main__ as entry_point

INTERRUPT = """
import runpy, signal, sys

signal.signal(signal.SIGINT, signal.{before})  # as a shell starts it

class Interrupt:
    def find_spec(self, name, *_):
        if name == "{module}":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv = ["container-images", "resolve", "forms"]
runpy.run_module("container_images", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("module", "before", "status"),
    [
        ("click", "default_int_handler", 130),
        ("botocore.session", "default_int_handler", 130),
        ("click", "SIG_IGN", 1),  # a job in the background goes on
    ],
)
def test_an_interrupt_is_one_line_however_early_it_comes(
    module: str, before: str, status: int
) -> None:
    """As the loading of the first module begins, and within a command."""
    program = INTERRUPT.format(module=module, before=before)
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (result.returncode, result.stdout) == (status, "")
    assert (result.stderr == "interrupted\n") is (status == 130)


def test_a_full_disk_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "container_images", "resolve", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    error = "the output cannot be written: No space left on device\n"
    assert (result.returncode, result.stderr) == (1, error)


class OverError(BaseException):
    """In place of the end of the process."""


@pytest.mark.parametrize(
    ("option", "terminal", "printed"),
    [
        ("--dry-run", False, "interrupted\n"),
        ("--json", False, '{"error": "interrupted", "kind": "interrupted", "code": null}\n'),
        # The progress bar gives way, and the cursor is back.
        ("--dry-run", True, "\r\x1b[K\x1b[?25hinterrupted\n"),
    ],
)
def test_an_interrupt_gives_the_status_that_shells_give(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    *,
    terminal: bool,
    printed: str,
) -> None:
    def end(status: int) -> None:
        raise OverError(status)

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(sys, "argv", ["container-images", "move", "forms", "a", option])
    monkeypatch.setattr(os, "isatty", lambda _: terminal)
    with pytest.raises(OverError, match="130"):
        entry_point.end_at_once(signal.SIGINT, None)
    assert tuple(capfd.readouterr()) == ("", printed)
