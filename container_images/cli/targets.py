"""The repositories that a command is about, and the convention of their tags."""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cache, wraps
from pathlib import Path
from typing import Any, Final

import click

from container_images.aws import reference
from container_images.aws.errors import RefusedError
from container_images.aws.images import Repository
from container_images.aws.reference import InvalidReferenceError, Reference
from container_images.aws.session import Aws
from container_images.cli.command import (
    REPOSITORY_HELP,
    file_option,
    print_object,
    read,
    repository_of,
    say,
    work,
)
from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.policies.tag_convention import ADR040, TagConvention, stages_in
from container_images.policies.tag_mutability import DEFAULT_MOVABLE_TAGS

CONVENTION_VARIABLE: Final = "TAG_CONVENTION"
"""Of the environment: the path of a file such as --convention takes."""

Told = tuple[dict[str, Any], str | Callable[[], None]]
"""What a command prints of one repository: the object for machines; the text for people, or what
prints it."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """The repositories that a command is about."""

    references: Sequence[Reference]
    convention: TagConvention
    image: str | None
    """The tag or the digest that the arguments name, if they do."""
    movable_tags: Sequence[str] | None
    """Those of the stack. None where no stack is named."""
    many: bool
    """Whether each is printed with its name, even if there is only one."""
    _session: Callable[[str | None], Aws] = field(default_factory=lambda: cache(Aws))

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

    def work(self, reference: Reference) -> AbstractContextManager[tuple[Aws, Repository]]:
        """AWS and one of the repositories in it. Those of a Region share their session."""
        return work(reference, self.convention, self._session)

    def each(self, *steps: Callable[[Reference], Told], as_json: bool) -> None:
        """Take each step with every repository, and print what the last one returns.

        With one repository only the last step is taken, and what it raises is raised. With many, a
        step that fails with one of them is taken with the others, and the next is not: the failure
        is printed in place of the object, and RefusedError is raised.
        """
        if not self.many:
            told, text = steps[-1](self.references[0])
            _print(told, text, as_json=as_json)
            return
        listed: list[dict[str, Any]] = []
        failed: list[str] = []
        last = False
        for number, step in enumerate(steps, start=1):
            last = number == len(steps)
            listed = [self._of_one(step, it, as_json=as_json, last=last) for it in self.references]
            if failed := [it["repository"] for it in listed if "error" in it]:
                break
        if as_json:
            print_object({"repositories": listed}, "", as_json=True)
        if failed:
            nothing = "" if last else "; nothing was changed in any of the repositories"
            raise RefusedError(f"failed in {', '.join(failed)}{nothing}")

    def _of_one(
        self, step: Callable[[Reference], Told], reference: Reference, *, as_json: bool, last: bool
    ) -> dict[str, Any]:
        name = {"repository": reference.name}
        try:
            told, text = step(reference)
        except RefusedError as error:
            if not as_json:
                say(f"{reference.name}: {error}")
            problem = {"message": " ".join(str(error).split()), "kind": error.kind}
            return name | {"error": problem | {"code": error.code}}
        if last and not as_json:
            _print(told, text if callable(text) else f"{reference.name}: {text}", as_json=False)
        return name | told


def _print(told: dict[str, Any], text: str | Callable[[], None], *, as_json: bool) -> None:
    if callable(text) and not as_json:
        text()
    else:
        print_object(told, str(text), as_json=as_json)


_NAMES: Final = ("first", "second", "more", "stack", "convention")
_Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def takes_targets(second: _Decorator | None = None) -> _Decorator:
    """Give a command the arguments and options that say what it is about: as its first, a Targets.

    `second` declares the argument or option `second`, a tag or a digest, if the command takes one.
    """
    decorators: list[_Decorator] = [
        click.argument(
            "first",
            metavar="[REPOSITORY]",
            required=False,
            help=f"{REPOSITORY_HELP}. "
            + ("A name or a URI may end in :TAG or @DIGEST. " if second else "")
            + "With --stack, it may be left out for all repositories of the stack.",
        ),
        click.option(
            "--repository",
            "-r",
            "more",
            type=repository_of,
            metavar="REPOSITORY",
            multiple=True,
            help="Another repository to do the same with. May be repeated.",
        ),
        click.option(
            "--stack",
            metavar="NAME",
            help="The stack whose repositories are meant. Its file gives account, Region and tag "
            "convention.",
        ),
        file_option(
            "--convention",
            help="The tag convention, as a YAML or JSON list of {stage: NAME, tag: TEMPLATE}. "
            f"Default: the stack's, or that of the file named in {CONVENTION_VARIABLE}, or "
            "ADR040's.",
        ),
    ]
    if second:
        decorators.insert(1, second)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def asked(**given: Any) -> None:
            named = {it: given.pop(it, None) for it in _NAMES}
            try:
                found = targets(**named, image=second is not None)
            except InvalidReferenceError as error:
                raise click.UsageError(str(error)) from None
            command(found, **given)

        declared: Callable[..., None] = wraps(command)(asked)
        for decorator in reversed(decorators):
            declared = decorator(declared)
        return declared

    return decorate


def targets(
    first: str | None,
    second: str | None = None,
    *,
    more: Iterable[Reference] | None = None,
    stack: str | None = None,
    convention: Path | None = None,
    image: bool = True,
) -> Targets:
    """What the arguments REPOSITORY and TAG name, or SOURCE, and the options beside them.

    With a stack, an argument that stands alone and names none of its repositories is the tag or the
    digest, in all of them. `image` is whether the command takes one at all.
    """
    known: dict[str, Reference] = {}
    of_stack = None
    if stack is None:
        tags = _convention(convention or os.environ.get(CONVENTION_VARIABLE))
    else:
        from container_images.stack.declared import declared  # noqa: PLC0415 pydantic takes its time

        if convention:
            raise click.UsageError("--convention cannot be used with --stack, which has its own")
        of_stack = declared(stack)
        tags = of_stack.settings.convention
        known = {it.name: it for it in of_stack.repositories()}
        if image and first is not None and second is None and _name(first) not in known:
            first, second = None, first
    named = [] if first is None else [_reference(first, image=image)]
    given = reference.image(second) if second is not None else None
    inside = named[0].image if named else None
    if given and inside and given != inside:
        raise click.UsageError(
            f"REPOSITORY names {inside}, and {given} is given too: leave one of the two out"
        )
    named += more or ()
    if not named and not known:
        raise click.UsageError("give REPOSITORY, or --stack for all repositories of a stack")
    if of_stack:
        of_stack.refuse_others(named)
    references = _distinct(_of_stack(it, known) for it in named) or list(known.values())
    return Targets(
        references=references,
        convention=tags,
        image=given or inside,
        movable_tags=of_stack.settings.movable_tags if of_stack else None,
        many=not named or len(references) > 1,
    )


def _reference(text: str, *, image: bool) -> Reference:
    return reference.parse(text) if image else repository_of(text)


def _name(text: str) -> str | None:
    """The name of the repository that a text names, if it names one."""
    try:
        return reference.parse(text).name
    except InvalidReferenceError:
        return None


def _of_stack(reference: Reference, known: dict[str, Reference]) -> Reference:
    """Where the repository is, as its own reference says it, or else its stack."""
    if reference.registry_id is None and (there := known.get(reference.name)):
        return replace(reference, registry_id=there.registry_id, region=there.region)
    return reference


def _distinct(named: Iterable[Reference]) -> list[Reference]:
    """Each repository once: with it twice, a tag would be rolled back by two."""
    places: dict[tuple[str, str | None, str | None], Reference] = {}
    for it in named:
        places.setdefault((it.name, it.registry_id, it.region), it)
    for name, registry_id, _ in places:
        if registry_id is None and sum(it.name == name for it in places.values()) > 1:
            raise click.UsageError(
                f"{name} and another with its account may be the same repository: give both with "
                "their account, as an ARN or a URI, or one of them alone"
            )
    return list(places.values())


def _convention(file: Path | str | None) -> TagConvention:
    return read(Path(file), _parsed) if file else ADR040


def _parsed(text: str) -> TagConvention:
    from ruamel.yaml import YAML  # noqa: PLC0415 only who has such a file waits for it
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415

    try:
        written = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        raise InvalidInputError(
            [Problem(where=(), rule=f"this is not YAML ({error})", fix="write a list of stages")]
        ) from None
    return TagConvention(stages_in(written))
