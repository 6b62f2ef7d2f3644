"""`python -m rehearsal`: see a stack come up and work, without an account or a network."""

import io
import sys

from registry.interrupt import end_at_once


def main() -> None:
    """Run the command."""
    end_at_once()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # not every encoding has the report's "…"
    from rehearsal.cli import app  # noqa: PLC0415 this takes most of a second

    app(prog_name="python -m rehearsal")


if __name__ == "__main__":
    main()
