"""Ctrl-C: a command ends at once, with one line or object and exit status 130."""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Final

INTERRUPTED: Final = 128 + signal.SIGINT
"""The exit status that shells give to an interrupted command."""

_STANDARD_ERROR: Final = 2
_OBJECT: Final = b'{"error": "interrupted", "kind": "interrupted", "code": null}\n'
_CLEAR_LINE_AND_SHOW_CURSOR: Final = b"\r\x1b[K\x1b[?25h"


def end_at_once() -> None:
    """Let Ctrl-C end the process from now on. To be called before anything slow is imported.

    Python's own KeyboardInterrupt does not do: within an import it prints a traceback, and Pulumi's
    SDK catches it in the program and goes on waiting for calls that never return. A command keeps
    everything in memory, so there is nothing to unwind but a progress bar, which hides the cursor.

    A process that is started with interrupts ignored (nohup, a job in the background) goes on so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def _end(_signal: int, _frame: FrameType | None) -> None:
    # Straight to the file: sys.stderr may be in the middle of a write.
    with suppress(OSError):
        if os.isatty(_STANDARD_ERROR):
            os.write(_STANDARD_ERROR, _CLEAR_LINE_AND_SHOW_CURSOR)
        os.write(_STANDARD_ERROR, _OBJECT if "--json" in sys.argv else b"interrupted\n")
    os._exit(INTERRUPTED)
