"""What the commands share: options, files, notes and output."""

import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from container_images.aws.errors import RefusedError, refused
from container_images.policies.invalid_input import printable

_T = TypeVar("_T")

file_option: Final = partial(click.option, type=Path, metavar="FILE")
json_option: Final = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object and nothing else; a failure prints one on standard error.",
)


def read(file: Path, parse: Callable[[str], _T]) -> _T:
    """Parse a file, or standard input. Raises RefusedError with all errors."""
    standard_input = str(file) == "-"
    name = "standard input" if standard_input else str(file)
    try:
        with refused(name):
            return parse(sys.stdin.read() if standard_input else file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"{name} cannot be read ({error}); name another file") from None


def print_json(result: Mapping[str, Any]) -> None:
    """A command's result, for machines."""
    click.echo(json.dumps(result, indent=2))


def print_text(text: str) -> None:
    """Lines on standard output."""
    click.echo("\n".join(map(printable, text.split("\n"))))


def note(text: str) -> None:
    """A note on standard error; with --json, when the command ends."""
    context = click.get_current_context(silent=True)
    if context and context.obj is not None:
        context.obj.append(text)
    else:
        say(f"note: {text}")


def say(text: str) -> None:
    """A line on standard error, whatever AWS's messages are made up of."""
    click.echo(printable(" ".join(text.split())), err=True)
