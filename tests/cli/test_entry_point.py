"""The commands as the pipeline runs them: in their own process, with Ctrl-C."""

import subprocess
import sys
from pathlib import Path

import pytest

INTERRUPT = """
import os, runpy, signal, sys

signal.signal(signal.SIGINT, signal.{before})  # as a shell starts it
os.isatty = lambda _: {terminal}

class Interrupt:
    def find_spec(self, name, *_):
        if name == "{module}":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv = ["container-images", "resolve", "forms", "{option}"]
runpy.run_module("container_images", run_name="__main__")
"""
SHELL = {"before": "default_int_handler", "terminal": False, "module": "click", "option": "--stack"}
LINE = "interrupted\n"
OBJECT = '{"error": "interrupted", "kind": "interrupted", "code": null}\n'


@pytest.mark.parametrize(
    ("changes", "status", "printed"),
    [
        ({}, 130, LINE),  # as the loading of the first module begins
        ({"module": "botocore.session", "option": "--json"}, 130, OBJECT),  # within a command
        # The progress bar gives way, and the cursor is back.
        ({"terminal": True}, 130, f"\r\x1b[K\x1b[?25h{LINE}"),
        ({"before": "SIG_IGN"}, 2, "Error: Option"),  # a job in the background goes on
    ],
)
def test_an_interrupt_is_one_line_or_object_however_early_it_comes(
    changes: dict[str, object], status: int, printed: str
) -> None:
    program = INTERRUPT.format(**SHELL | changes)
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, timeout=60
    )
    assert (result.returncode, result.stdout) == (status, b"")
    assert result.stderr.startswith(printed.encode())


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
    error = "the output cannot be read or written: No space left on device\n"
    assert (result.returncode, result.stderr) == (1, error)
