"""What the commands share: arguments and options, errors, and output."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from botocore.exceptions import BotoCoreError, ClientError

from container_images.aws.errors import (
    AwsError,
    RefusedError,
    explain,
    faults_refused,
    is_denied_by_resource,
)
from container_images.aws.images import Repository
from container_images.aws.reference import InvalidReferenceError, Reference, parse
from container_images.aws.session import Aws
from container_images.aws.trail import NoTrailError, Trail
from container_images.cli.terminal import printable
from container_images.policies.exemptions import exempted_roles
from container_images.policies.tag_convention import ADR040, TagConvention

FAILED: Final = 1

_T = TypeVar("_T")

# --- Arguments and options: types of values, whose ValueErrors are wrong usage --------------------


def repository_of(text: str) -> Reference:
    """A REPOSITORY argument, without an image."""
    reference = parse(text)
    if reference.image is not None:
        raise InvalidReferenceError(f"{text!r} names an image: leave {reference.image} out")
    return reference


REPOSITORY_HELP: Final = (
    "Name, ARN or URI of the repository. An ARN or a URI also gives account and Region"
)
file_option: Final = partial(click.option, type=Path, metavar="FILE")
json_option: Final = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object and nothing else; a failure prints one on standard error.",
)

# --- Around every command -------------------------------------------------------------------------


class Commands(click.Group):
    """The commands. A failure is one line of text, or with --json one object.

    The object is `{"error": sentence, "kind": "refused" | "aws" | "usage", "code": AWS's name of
    the error, or null}`.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what stands before the command's name."""
        with _failures(as_json="--json" in args):
            if args[:1] == ["--json"]:
                raise click.UsageError("--json comes after the command: write COMMAND --json", ctx)
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that is asked for. A failure ends it with exit status 1 or 2."""
        as_json = "--json" in ctx.args
        notes: list[str] = ctx.meta.setdefault(_NOTES, []) if as_json else []
        with _failures(as_json=as_json, notes=notes):
            result = super().invoke(ctx)
        for text in notes:
            say(f"note: {text}")
        return result


_NOTES: Final = "container_images.notes"
"""Where a context keeps the notes of a command with --json: its failure has them, as one object."""


@contextmanager
def _failures(*, as_json: bool, notes: Sequence[str] = ()) -> Iterator[None]:
    try:
        yield
    except RefusedError as error:
        object_, status = error_object(error), FAILED
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in _EXTRAS:
            raise
        fix = f"run pip install 'container-images[{_EXTRAS[module]}]'"
        missing = RefusedError(f"this command needs {module}, which is not installed; {fix}")
        object_, status = error_object(missing), FAILED
    except click.ClickException as error:
        if not as_json:
            raise  # click prints wrong usage with the command's synopsis
        sentence = " ".join(error.format_message().split())
        object_, status = {"error": sentence, "kind": "usage", "code": None}, error.exit_code
    else:
        return
    if as_json:
        with_notes = {**object_, "notes": [*notes]} if notes else object_
        click.echo(json.dumps(with_notes), err=True)
    else:
        say(str(object_["error"]))
    raise click.exceptions.Exit(status)


def error_object(error: RefusedError) -> dict[str, str | None]:
    """An error for machines."""
    return {"error": " ".join(str(error).split()), "kind": error.kind, "code": error.code}


_EXTRAS: Final = {
    "moto": "rehearse",
    "pulumi": "rehearse",
    "pulumi_aws": "rehearse",
    "pulumi_policy": "policy-pack",
}
"""The packages that not every command needs, and the extra of pyproject.toml that brings each."""


@contextmanager
def work(
    repository: Reference, convention: TagConvention = ADR040, session: Callable[..., Aws] = Aws
) -> Iterator[tuple[Aws, Repository]]:
    """AWS, by the session of the repository's Region, and the repository in it."""
    with reported(str(repository)):
        aws = session(repository.region)
        opened = Repository(aws.ecr(), repository, convention)
    with reported(opened.in_region):
        try:
            yield aws, opened
        except ClientError as error:
            if is_denied_by_resource(error):
                raise _denied_by_guard(error, opened) from None
            raise


def _denied_by_guard(error: ClientError, repository: Repository) -> AwsError:
    """What the guard refused, with the roles that it exempts where its policy can be read."""
    message = explain(error, repository.in_region)
    with suppress(ClientError, BotoCoreError):
        policy = json.loads(repository.policy() or "{}")
        if roles := exempted_roles(policy, f"ecr:{error.operation_name}"):
            message += f" ({', '.join(sorted(roles))})"
    return AwsError(message, error)


@contextmanager
def reported(about: str) -> Iterator[None]:
    """Turn the errors of AWS's SDK into AwsError, which says what to do and ends the command."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise AwsError(explain(error, about), error) from None


def read(file: Path, parse: Callable[[str], _T]) -> _T:
    """Parse a file, or standard input. Raises RefusedError with all faults."""
    standard_input = str(file) == "-"
    name = "standard input" if standard_input else str(file)
    try:
        with faults_refused(name):
            return parse(sys.stdin.read() if standard_input else file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"{name} cannot be read ({error}); name another file") from None


def trail_of(aws: Aws, account: str, holder: str) -> Trail:
    """What happened in the account that holds a repository. Raises NoTrailError for another's."""
    if holder != account:
        raise NoTrailError(
            f"CloudTrail of account {account} has no events of account {holder}; run this as a "
            "role of that account"
        )
    return Trail(aws.cloudtrail())


def print_object(result: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """The result: the object for machines, or lines of text for people."""
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        print_text(text)


def print_text(text: str) -> None:
    """Lines on standard output."""
    click.echo("\n".join(map(printable, text.split("\n"))))


def note(text: str) -> None:
    """A note on standard error."""
    context = click.get_current_context(silent=True)
    notes = context.meta.get(_NOTES) if context else None
    if notes is None:
        say(f"note: {text}")
    else:
        notes.append(text)


def say(text: str) -> None:
    """A line on standard error, whatever AWS's messages are made up of."""
    click.echo(printable(" ".join(text.split())), err=True)
