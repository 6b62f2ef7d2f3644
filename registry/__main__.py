"""`python -m registry`: what a tag means, who moved it, and moving it."""

import os
import sys

from registry.interrupt import end_at_once


def main() -> None:
    """Run the command."""
    end_at_once()
    from registry.cli import app  # noqa: PLC0415 this takes up to half a second

    try:
        app(prog_name="python -m registry")
    except OSError as error:
        # Nothing can be printed, as on a full disk. Python would try once more when it ends.
        sys.stderr.write(f"the output cannot be written: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    main()
