"""What the commands share: options, errors, notes and output."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from container_images.aws.errors import RefusedError, refused
from container_images.policies.invalid_input import printable

FAILED: Final = 1

_T = TypeVar("_T")

file_option: Final = partial(click.option, type=Path, metavar="FILE")
json_option: Final = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object and nothing else; a failure prints one on standard error.",
)


class Commands(click.Group):
    """The commands. A failure is one line of text, or with --json one object.

    The object is `{"error": sentence, "kind": "refused" | "aws" | "usage", "code": AWS's name of
    the error, or null}`, with the `notes` of the command, if there are any.
    """

    def main(self, args: Sequence[str] | None = None, *others: Any, **options: Any) -> Any:
        """Run the command line. The exit status is 1 after a failure and 2 after wrong usage."""
        arguments = [*(sys.argv[1:] if args is None else args)]
        notes: list[str] | None = [] if "--json" in arguments else None
        try:
            with refused():
                options |= {"standalone_mode": False, "obj": notes}
                status = super().main(arguments, *others, **options)
            for text in notes or ():
                say(f"note: {text}")
        except RefusedError as error:
            status = _fail(error.to_json(), notes)
        except ModuleNotFoundError as error:
            fix = "run pip install 'container-images[rehearse,policy-pack]'"
            status = _fail(RefusedError(f"{error}; {fix}").to_json(), notes)
        except click.ClickException as error:
            status = error.exit_code
            if notes is None:
                error.show()  # with the command's synopsis
            else:
                sentence = " ".join(error.format_message().split())
                _fail({"error": sentence, "kind": "usage", "code": None}, notes)
        sys.exit(status)


def _fail(failure: Mapping[str, Any], notes: Sequence[str] | None) -> int:
    if notes is None:
        say(failure["error"])
    else:
        click.echo(json.dumps({**failure, **({"notes": notes} if notes else {})}), err=True)
    return FAILED


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
