"""What a command is about: repositories, their tag convention, files. The options that say it.

A command that reads takes any number of repositories, or all of a stack. A command that writes
takes one, and a stack gives it the convention and the movable tags alone.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import click

from container_images.aws import reference
from container_images.aws.errors import RefusedError, refused
from container_images.aws.images import Repository
from container_images.aws.reference import InvalidReferenceError, Reference
from container_images.aws.session import Aws
from container_images.cli.terminal import working
from container_images.policies.forms import DEFAULT_MOVABLE_TAGS
from container_images.policies.tag_convention import ADR040, TagConvention

if TYPE_CHECKING:
    from container_images.stack.declared import DeclaredStack

_Value = TypeVar("_Value")

file_option: Final = partial(click.option, type=Path, metavar="FILE")
json_option: Final = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object and nothing else; a failure prints one on standard error.",
)


def read(file: Path, parse: Callable[[str], _Value]) -> _Value:
    """Parse a file, or standard input. Raises RefusedError with all errors."""
    standard_input = str(file) == "-"
    name = "standard input" if standard_input else str(file)
    try:
        with refused(name):
            return parse(sys.stdin.read() if standard_input else file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"{name} cannot be read ({error}); name another file") from None


def repository_of(text: str) -> Reference:
    """A REPOSITORY argument, without an image."""
    named = reference.parse(text)
    if named.image is not None:
        raise InvalidReferenceError(f"{text!r} names an image: leave {named.image} out")
    return named


_HELP: Final = "Name, ARN or URI of the repository. An ARN or a URI also gives account and Region."
repository_argument: Final = click.argument(
    "repository", type=repository_of, metavar="REPOSITORY", help=_HELP
)
stack_option: Final = click.option(
    "--stack",
    metavar="NAME",
    help="The stack of Pulumi.NAME.yaml. Its file gives tag convention and movable tags; to a "
    "command that reads also account, Region and, without REPOSITORY, all of its repositories.",
)
convention_option: Final = file_option(
    "--convention",
    help="The tag convention, as a YAML or JSON list of {stage: NAME, tag: TEMPLATE}. Default: "
    "the stack's, or that of the file named in TAG_CONVENTION, or ADR040's.",
)


def read_options(
    command: Callable[..., None], parse: Callable[[str], Reference] = repository_of, more: str = ""
) -> Callable[..., None]:
    """[REPOSITORY]… and the options of each command that reads."""
    argument = click.argument(
        "repositories", type=parse, metavar="[REPOSITORY]...", nargs=-1, help=_HELP + more
    )
    return argument(stack_option(json_option(command)))


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What a command is about."""

    references: Sequence[Reference]
    """The repositories, each with the image that was named with it."""
    stack: "DeclaredStack | None" = None
    convention: TagConvention = ADR040
    movable_tags: Sequence[str] = ()
    """Those of the stack."""
    session: Callable[[str | None], Aws] = field(default_factory=lambda: cache(Aws))
    """AWS in a Region, or in the environment's. All repositories of a Region share it."""

    @property
    def default_tag(self) -> str:
        """The tag that is meant where none is named: the first movable one."""
        return (self.movable_tags or DEFAULT_MOVABLE_TAGS)[0]

    def refuse_immovable(self, option: str, tag: str) -> None:
        """Raise UsageError for a tag that must stay on its image."""
        if self.convention.read(tag):
            raise click.UsageError(
                f"{option} {tag} is a unique tag, which stays on its image; promote --as {tag} "
                "gives it to an image that has none"
            )
        if self.stack and tag not in self.movable_tags:
            raise click.UsageError(
                f"{option} {tag} is not one of the stack's movableTags: "
                f"{', '.join(self.movable_tags)}"
            )

    def open(self, named: Reference) -> tuple[Aws, Repository]:
        """AWS in the Region of a repository, and the repository in it."""
        aws = self.session(named.region)
        return aws, Repository(aws.ecr(), named, self.convention)


def targets_of(
    repositories: Sequence[Reference],
    stack: str | None,
    convention: Path | None = None,
    *,
    writes: bool = False,
    undeclared: bool = False,
) -> Targets:
    """What a command is about. `undeclared`: also repositories that are not in the stack."""
    references = list(dict.fromkeys(repositories))
    if stack and convention:
        raise click.UsageError("--convention cannot be used with --stack, which has its own")
    file = convention or os.environ.get("TAG_CONVENTION")
    if not stack and not file:
        return Targets(references=references)
    from container_images.settings import convention_in  # noqa: PLC0415 pydantic takes time
    from container_images.stack.declared import declared, yaml_in  # noqa: PLC0415 as above

    if not stack:
        parsed = read(Path(file or ""), lambda text: convention_in(yaml_in(text)))
        return Targets(references=references, convention=parsed)
    named = declared(stack)
    if not undeclared:
        named.refuse_others(references)
    if not writes:
        references = named.located(references)
    return Targets(
        references=references,
        stack=named,
        convention=named.settings.convention,
        movable_tags=named.settings.exact_movable_tags,
    )


@dataclass(frozen=True)
class Results(Generic[_Value]):
    """What a command read of each repository, in their order: a value, or why there is none."""

    of: list[tuple[Reference, _Value | RefusedError]]

    @property
    def values(self) -> Sequence[_Value]:
        """Those that could be read."""
        return [value for _, value in self.of if not isinstance(value, RefusedError)]

    def to_json(self, object_of: Callable[[_Value], dict[str, Any]]) -> list[dict[str, Any]]:
        """An object for each repository: `{"repository", "error"}` where it could not be read."""
        return [
            {"repository": named.name, "error": value.to_json()}
            if isinstance(value, RefusedError)
            else object_of(value)
            for named, value in self.of
        ]

    def refuse_unread(self) -> None:
        """Raise RefusedError with the reasons if any could not be read. To be called at the end."""
        names: dict[str, list[str]] = {}
        for named, value in self.of:
            if isinstance(value, RefusedError):
                names.setdefault(str(value), []).append(named.name)
        if names:
            raise RefusedError(" | ".join(f"{', '.join(of)}: {why}" for why, of in names.items()))


def read_each(
    references: Sequence[Reference], work: str, reader: Callable[[Reference], _Value]
) -> Results[_Value]:
    """Read each repository, with a sign of the work. Failing to read one does not stop the others.

    Where AWS gives no answer at all, they fail likewise: to wait for each would take minutes.
    Raises UsageError where there is none, and RefusedError where none can be read.
    """
    if not references:
        raise click.UsageError("give REPOSITORY, or --stack for all repositories of a stack")
    results = Results[_Value]([])
    silence: RefusedError | None = None
    with working(work) as counted:
        for named in counted(references):
            try:
                if silence:
                    raise silence
                with refused():
                    results.of.append((named, reader(named)))
            except RefusedError as error:
                if len(references) == 1:
                    raise
                results.of.append((named, error))
                if error.code in {"ConnectTimeoutError", "ReadTimeoutError"}:
                    silence = error
    if not results.values:
        results.refuse_unread()
    return results
