"""The repositories that a command is about, and the tag convention that it reads their tags by.

A command that reads takes any number of repositories, or all of a stack. A command that writes
takes one, and a stack gives it the convention and the movable tags alone.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import click

from container_images.aws.errors import RefusedError
from container_images.aws.images import Repository
from container_images.aws.reference import Reference, parse
from container_images.aws.session import Aws
from container_images.cli.command import (
    REPOSITORY_HELP,
    error_object,
    file_option,
    print_object,
    read,
    repository_of,
    work,
)
from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.policies.tag_convention import ADR040, TagConvention
from container_images.policies.tag_mutability import DEFAULT_MOVABLE_TAGS

if TYPE_CHECKING:
    from container_images.stack.declared import DeclaredStack

CONVENTION_VARIABLE: Final = "TAG_CONVENTION"
"""Of the environment: the path of a file such as --convention takes."""

_Command = Callable[..., None]
_Value = TypeVar("_Value")


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What a command is about."""

    references: Sequence[Reference]
    """The repositories, each with the image that was named with it."""
    stack: "DeclaredStack | None" = None
    convention: TagConvention = ADR040
    _session: Callable[[str | None], Aws] = field(default_factory=lambda: cache(Aws))

    @property
    def movable_tags(self) -> Sequence[str] | None:
        """Those of the stack. None where no stack is named."""
        return self.stack.settings.movable_tags if self.stack else None

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
        if self.movable_tags is not None and tag not in self.movable_tags:
            raise click.UsageError(
                f"{option} {tag} is not one of the stack's movableTags: "
                f"{', '.join(self.movable_tags)}"
            )

    def session(self, region: str | None) -> Aws:
        """AWS in a Region, or in the environment's. All repositories of a Region share it."""
        return self._session(region)

    def open(self, reference: Reference) -> AbstractContextManager[tuple[Aws, Repository]]:
        """AWS, and one of the repositories in it. AWS's errors within it become AwsError."""
        return work(reference, self.convention, self._session)


# --- Arguments and options ------------------------------------------------------------------------

_stack_option: Final = click.option(
    "--stack",
    metavar="NAME",
    help="The stack of Pulumi.NAME.yaml. Without REPOSITORY, all of its repositories. Its file "
    "gives account, Region, tag convention and movable tags.",
)


def reads_repositories(
    *, images: bool = False, optional: bool = False, undeclared: bool = False
) -> Callable[[_Command], _Command]:
    """Give a command that reads `REPOSITORY…` and `--stack NAME`; it gets them as `targets`.

    `images`: each REPOSITORY may end in :TAG or @DIGEST. `optional`: neither need be given, and
    then there are no references. `undeclared`: with --stack, a REPOSITORY may be one that the stack
    does not declare.
    """
    ending = " A name or a URI may end in :TAG or @DIGEST." if images else ""

    def decorate(command: _Command) -> _Command:
        @click.argument(
            "repositories",
            type=parse if images else repository_of,
            metavar="[REPOSITORY]...",
            nargs=-1,
            help=f"{REPOSITORY_HELP}.{ending}",
        )
        @_stack_option
        @wraps(command)
        def reading(
            *, repositories: Sequence[Reference], stack: str | None, **options: Any
        ) -> None:
            if not (repositories or stack or optional):
                raise click.UsageError(
                    "give REPOSITORY, or --stack for all repositories of a stack"
                )
            targets = _targets_of(repositories, stack, undeclared=undeclared)
            command(targets=targets, **options)

        return reading

    return decorate


def writes_repository(command: _Command) -> _Command:
    """Give a command that writes one REPOSITORY, --stack and --convention, as `target`."""

    @click.argument(
        "repository", type=repository_of, metavar="REPOSITORY", help=f"{REPOSITORY_HELP}."
    )
    @click.option(
        "--stack",
        metavar="NAME",
        help="The stack of Pulumi.NAME.yaml, for its tag convention and movable tags.",
    )
    @file_option(
        "--convention",
        help="The tag convention, as a YAML or JSON list of {stage: NAME, tag: TEMPLATE}. Default: "
        f"the stack's, or that of the file named in {CONVENTION_VARIABLE}, or ADR040's.",
    )
    @wraps(command)
    def writing(
        *, repository: Reference, stack: str | None, convention: Path | None, **options: Any
    ) -> None:
        if stack and convention:
            raise click.UsageError("--convention cannot be used with --stack, which has its own")
        declared = _declared(stack)
        if declared:
            declared.refuse_others([repository])
        target = Targets(
            references=[repository],
            stack=declared,
            convention=_convention_of(declared, convention),
        )
        command(target=target, **options)

    return writing


def _targets_of(
    repositories: Sequence[Reference], stack: str | None, *, undeclared: bool
) -> Targets:
    declared = _declared(stack)
    references = list(dict.fromkeys(repositories))
    if declared:
        declared.refuse_elsewhere(references)
        if not undeclared:
            declared.refuse_others(references)
        known = {reference.name: reference for reference in declared.repositories()}
        references = [_in_stack(reference, known) for reference in references] or [*known.values()]
    return Targets(references=references, stack=declared, convention=_convention_of(declared, None))


def _in_stack(reference: Reference, known: dict[str, Reference]) -> Reference:
    """Where the repository is, as its own reference says it, or else its stack."""
    if reference.registry_id is None and (declared := known.get(reference.name)):
        return replace(reference, registry_id=declared.registry_id, region=declared.region)
    return reference


def _declared(stack: str | None) -> "DeclaredStack | None":
    if stack is None:
        return None
    from container_images.stack.declared import declared  # noqa: PLC0415 pydantic takes its time

    return declared(stack)


def _convention_of(stack: "DeclaredStack | None", file: Path | None) -> TagConvention:
    if stack:
        return stack.settings.convention
    path = file or os.environ.get(CONVENTION_VARIABLE)
    return read(Path(path), _parsed_convention) if path else ADR040


def _parsed_convention(text: str) -> TagConvention:
    from ruamel.yaml import YAML  # noqa: PLC0415 only who has such a file waits for it
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    from container_images.settings import convention_in  # noqa: PLC0415

    try:
        stages = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        raise InvalidInputError(
            [Problem(where=(), rule=f"this is not YAML ({error})", fix="write a list of stages")]
        ) from None
    return convention_in(stages)


# --- Results of several repositories --------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Results(Generic[_Value]):
    """What a command read of each repository, in their order: a value, or why there is none."""

    of: Sequence[tuple[Reference, _Value | RefusedError]]

    @property
    def values(self) -> Sequence[_Value]:
        """Those that could be read."""
        return [value for _, value in self.of if not isinstance(value, RefusedError)]

    def to_json(self, object_of: Callable[[_Value], dict[str, Any]]) -> list[dict[str, Any]]:
        """An object for each repository: `{"repository", "error"}` where it could not be read."""
        return [
            {"repository": reference.name, "error": error_object(value)}
            if isinstance(value, RefusedError)
            else object_of(value)
            for reference, value in self.of
        ]

    def refuse_unread(self) -> None:
        """Raise RefusedError with the reasons if any could not be read. To be called at the end."""
        names: dict[str, list[str]] = {}
        for reference, value in self.of:
            if isinstance(value, RefusedError):
                names.setdefault(str(value), []).append(reference.name)
        if names:
            raise RefusedError(" | ".join(f"{', '.join(of)}: {why}" for why, of in names.items()))


def read_each(
    references: Sequence[Reference], read_one: Callable[[Reference], _Value]
) -> Results[_Value]:
    """Read each repository. One that cannot be read does not stop the others.

    Raises RefusedError where none can be read.
    """
    read: list[tuple[Reference, _Value | RefusedError]] = []
    for reference in references:
        try:
            read.append((reference, read_one(reference)))
        except RefusedError as error:
            if len(references) == 1:
                raise
            read.append((reference, error))
    results = Results(of=read)
    if references and not results.values:
        results.refuse_unread()
    return results


def print_results(
    results: Results[_Value],
    object_of: Callable[[_Value], dict[str, Any]],
    print_text: Callable[[_Value], None],
    *,
    as_json: bool,
) -> None:
    """`{"repositories": […]}`, or each as text. Raises RefusedError if one could not be read."""
    if as_json:
        print_object({"repositories": results.to_json(object_of)}, "", as_json=True)
    else:
        for value in results.values:
            print_text(value)
    results.refuse_unread()
