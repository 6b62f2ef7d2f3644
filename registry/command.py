"""What the commands share: arguments and options, errors, and output."""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from botocore.exceptions import BotoCoreError, ClientError
from typer.core import TyperGroup

from policies.fault import InvalidInputError
from policies.tag_convention import TagConvention
from registry.aws import reference
from registry.aws.errors import AwsError, RefusedError, explain
from registry.aws.images import Repository
from registry.aws.reference import InvalidReferenceError, Reference
from registry.aws.session import Aws
from registry.aws.trail import NoTrailError, Trail

FAILED: Final = 1

_T = TypeVar("_T")

# --- Arguments and options ------------------------------------------------------------------------


def _usage(parse: Callable[[str], _T]) -> Callable[[str], _T]:
    """A parser whose faults are wrong usage: exit status 2."""

    def parsed(text: str) -> _T:
        try:
            return parse(text)
        except InvalidReferenceError as error:
            raise typer.BadParameter(str(error)) from None

    return parsed


image_reference_of: Final = _usage(reference.parse)
"""A REPOSITORY argument, maybe with a tag or a digest."""

tag_of: Final = _usage(reference.tag)
"""A TAG argument."""

image_of: Final = _usage(reference.image)
"""An argument that is a tag or a digest."""


def repository_of(text: str) -> Reference:
    """A REPOSITORY argument, without an image."""
    found = image_reference_of(text)
    if found.image is not None:
        raise typer.BadParameter(f"{text!r} names an image: leave {found.image} out")
    return found


def option(parser: Callable[[str], Any], metavar: str, help_text: str) -> Any:
    """An option with a value. Its help text names the default, if there is one."""
    return typer.Option(parser=parser, metavar=metavar, help=help_text, show_default=False)


def argument(parser: Callable[[str], Any], metavar: str, help_text: str) -> Any:
    """An argument, likewise."""
    return typer.Argument(parser=parser, metavar=metavar, help=help_text, show_default=False)


def file_option(help_text: str) -> Any:
    """An option that names a file."""
    return option(Path, "FILE", help_text)


def role_of(text: str) -> str:
    """The ARN of a role, as an argument."""
    if not text.startswith("arn:") or ":role/" not in text:
        raise typer.BadParameter(f"{text!r} is not a role: write arn:aws:iam::ACCOUNT:role/NAME")
    return text


REPOSITORY_HELP: Final = (
    "Name, ARN or URI of the repository. An ARN or a URI also gives account and Region"
)
JsonOption = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one JSON object and nothing else; a failure prints one on standard error.",
    ),
]

# --- Around every command -------------------------------------------------------------------------


class Commands(TyperGroup):
    """The commands. A failure is one line of text, or with --json one object.

    The object is `{"error": sentence, "kind": "refused" | "aws" | "usage", "code": AWS's name of
    the error, or null}`.
    """

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command. Its help names an argument by its metavar alone, as it does an option.

        typer would add the type, such as <list[Reference]>.
        """
        command = super().get_command(ctx, cmd_name)
        for it in command.params if command else ():
            if it.param_type_name == "argument":
                vars(it)["display_type_rich"] = lambda **_: ""
        return command

    def invoke(self, ctx: Any) -> Any:  # a Context, of a module that typer keeps to itself
        """Run the command that is asked for. A failure ends it with exit status 1 or 2."""
        as_json = "--json" in ctx.args
        try:
            return super().invoke(ctx)
        except RefusedError as error:
            problem, kind, code, status = str(error), error.kind, error.code, FAILED
        except ModuleNotFoundError as error:
            package = _package_of(error.name or "")
            if package is None:
                raise
            problem = f"the package {package} is not installed; run pip install -r requirements.txt"
            kind, code, status = "refused", None, FAILED
        except typer.TyperException as error:
            if not as_json:
                raise  # typer tells of wrong usage with the command's synopsis
            problem, kind, code, status = error.format_message(), "usage", None, error.exit_code
        told = {"error": " ".join(problem.split()), "kind": kind, "code": code}
        say(json.dumps(told) if as_json else problem)
        raise typer.Exit(status)


_REQUIREMENTS: Final = Path(__file__).parents[1] / "requirements.txt"


def _package_of(module: str) -> str | None:
    """The requirement that a missing module is, such as z3-solver for z3. None: it is none."""
    for package in re.findall(r"^([\w.-]+)==", _REQUIREMENTS.read_text(), re.MULTILINE):
        if module in {package.replace("-", "_"), re.split(r"[.-]", package)[0]}:
            return str(package)
    return None


@contextmanager
def work(
    repository: Reference, convention: TagConvention, sessions: dict[str | None, Aws]
) -> Iterator[tuple[Aws, Repository]]:
    """AWS, by the session of the Region, which is in `sessions` then; and the repository in it."""
    with reported(str(repository)):
        aws = sessions.get(repository.region) or Aws(repository.region)
        sessions[repository.region] = aws
        client = aws.ecr()
    with reported(f"{repository} in {aws.region}"):
        yield aws, Repository(client, repository, convention)


@contextmanager
def reported(about: str) -> Iterator[None]:
    """Turn the errors of AWS's SDK into AwsError, which says what to do and ends the command."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise AwsError(explain(error, about), error) from None
    except Exception as error:
        from botocore.parsers import ResponseParserError  # noqa: PLC0415 loaded by now, if raised

        if not isinstance(error, ResponseParserError):
            raise
        raise AwsError(
            f"{about}: the answer is not from AWS; check the proxy, if there is one, and "
            "AWS_ENDPOINT_URL",
            error,
        ) from None


def read(file: Path, parse: Callable[[str], _T]) -> _T:
    """Parse a file, or standard input. Raises RefusedError with all faults."""
    standard_input = str(file) == "-"
    name = "standard input" if standard_input else str(file)
    try:
        return parse(sys.stdin.read() if standard_input else file.read_text(encoding="utf-8"))
    except InvalidInputError as error:
        raise RefusedError(f"{name}: {faults(error)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"{name} cannot be read ({error}); name another file") from None


def faults(error: InvalidInputError) -> str:
    """All of them, in one line."""
    return " | ".join(map(str, error.faults))


def trail_of(aws: Aws, account: str, holder: str) -> Trail:
    """What happened in the account that holds a repository. Raises NoTrailError for another's."""
    if holder != account:
        raise NoTrailError(
            f"CloudTrail of account {account} has no events of account {holder}; run this as a "
            "role of that account"
        )
    return Trail(aws.cloudtrail())


def print_object(told: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """The result: the object for machines, or the text for people."""
    typer.echo(json.dumps(told, indent=2) if as_json else text)


def note(text: str) -> None:
    """A note on standard error."""
    say(f"note: {text}")


def say(text: str) -> None:
    """A line on standard error, whatever AWS's messages are made up of."""
    typer.echo(" ".join(text.split()), err=True)
