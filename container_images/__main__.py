"""The command `container-images`, also `python -m container_images`."""

import io
import os
import sys

from container_images.cli.interrupt import end_at_once


def main() -> None:
    """Run the command."""
    end_at_once()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # not every encoding has a table's "…"
    from container_images.cli.app import app  # noqa: PLC0415 this takes up to half a second

    try:
        app(prog_name="container-images")
    except OSError as error:
        # Nothing can be printed, as on a full disk. Python would try once more when it ends.
        sys.stderr.write(f"the output cannot be written: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    main()
