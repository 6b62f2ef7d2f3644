"""What the commands share: how they are asked, how they fail, and how they print."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from botocore.exceptions import BotoCoreError, ClientError

from policies.fault import InvalidInputError
from registry.aws import reference
from registry.aws.errors import RefusedError, explain
from registry.aws.images import Repository
from registry.aws.reference import InvalidReferenceError, Reference
from registry.aws.session import Aws
from registry.aws.trail import NoTrailError, Trail

FAILED: Final = 1

_T = TypeVar("_T")

# --- What is asked --------------------------------------------------------------------------------


def repository_of(text: str) -> Reference:
    """A REPOSITORY argument."""
    try:
        return reference.parse(text)
    except InvalidReferenceError as error:
        raise typer.BadParameter(str(error)) from None


def tag_of(text: str) -> str:
    """A TAG argument."""
    if not reference.is_tag(text):
        raise typer.BadParameter(f"{text!r} is no tag: 1 to 128 letters, digits and . _ -")
    return text


def digest_of(text: str) -> str:
    """A DIGEST argument."""
    if not reference.is_digest(text):
        raise typer.BadParameter(f"{text!r} is no digest: sha256: and 64 hex digits, lower case")
    return text


def file_option(help_text: str) -> Any:
    """An option that names a file."""
    return typer.Option(parser=Path, metavar="FILE", help=help_text, show_default=False)


def role_of(text: str) -> str:
    """The ARN of a role, as an argument."""
    if not text.startswith("arn:") or ":role/" not in text:
        raise typer.BadParameter(f"{text!r} is no ARN of a role: arn:aws:iam::ACCOUNT:role/NAME")
    return text


RepositoryArgument = Annotated[
    Reference,
    typer.Argument(
        parser=repository_of,
        metavar="REPOSITORY",
        help="Name, ARN or URI of the repository. An ARN and a URI say the account and Region too.",
        show_default=False,
    ),
]
TagArgument = Annotated[str, typer.Argument(parser=tag_of, metavar="TAG", help="The tag.")]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, and nothing else.")
]

# --- Around every command -------------------------------------------------------------------------


@contextmanager
def work(repository: Reference) -> Iterator[tuple[Aws, Repository]]:
    """AWS and the repository in it."""
    with reported(str(repository)):
        aws = Aws(repository.region)
        yield aws, Repository(aws.ecr(), repository)


@contextmanager
def reported(about: str) -> Iterator[None]:
    """What goes wrong ends the command, in one line."""
    try:
        yield
    except RefusedError as error:
        problem = str(error)
    except (ClientError, BotoCoreError) as error:
        problem = explain(error, about)
    else:
        return
    say(problem)
    raise typer.Exit(FAILED)


def read(file: Path, parse: Callable[[str], _T]) -> _T:
    """What is in a file, or on standard input. Raises RefusedError with all that is wrong."""
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
            f"CloudTrail in account {account} does not hold what happened in {holder}; run as a "
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
