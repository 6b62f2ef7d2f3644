"""The commands as the pipeline runs them: in their own process."""

import subprocess
import sys
from pathlib import Path

import pytest

INTERRUPT = """
import runpy, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # as a shell starts it

class Interrupt:
    def find_spec(self, name, *_):
        if name == "{module}":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv = ["container-images", "resolve", "forms"]
runpy.run_module("container_images", run_name="__main__")
"""


@pytest.mark.parametrize("module", ["click", "botocore.session"])
def test_an_interrupt_is_one_line_however_early_it_comes(module: str) -> None:
    """As the loading of the first module begins, and within a command."""
    result = subprocess.run(
        [sys.executable, "-c", INTERRUPT.format(module=module)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "interrupted\n")


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
