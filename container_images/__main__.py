"""The command `container-images`, also `python -m container_images`."""

import io
import os
import signal
import sys
from contextlib import suppress
from types import FrameType


def main() -> None:
    """Run the command."""
    # Python's own KeyboardInterrupt does not do: within an import it prints a traceback, and
    # Pulumi's SDK catches it and waits for calls that never return. Interrupts that the process
    # ignores (nohup, a job in the background) stay ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, end_at_once)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # not every encoding has a table's "…"
    from container_images.cli.app import app  # noqa: PLC0415 this takes up to half a second

    try:
        app(prog_name="container-images")
    except OSError as error:
        # Nothing can be printed, as on a full disk. Python would try once more when it ends.
        what = error.filename or "the output"
        sys.stderr.write(f"{what} cannot be read or written: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(1)


def end_at_once(_signal: int, _frame: FrameType | None) -> None:
    """End the process, with one line or object. A command keeps everything in memory."""
    # Straight to the file: sys.stderr may be in the middle of a write.
    with suppress(OSError):
        if os.isatty(2):  # where a progress bar may have hidden the cursor: clear line, show cursor
            os.write(2, b"\r\x1b[K\x1b[?25h")
        as_json = b'{"error": "interrupted", "kind": "interrupted", "code": null}\n'
        os.write(2, as_json if "--json" in sys.argv else b"interrupted\n")
    os._exit(128 + signal.SIGINT)  # as shells have it


if __name__ == "__main__":
    main()
