"""`python -m registry`: what a tag means, who moved it, and moving it."""

from registry.interrupt import end_at_once


def main() -> None:
    """Run the command."""
    end_at_once()
    from registry.cli import app  # noqa: PLC0415 this takes up to half a second

    app(prog_name="python -m registry")


if __name__ == "__main__":
    main()
