"""The configuration of a stack, read once and validated before any resource is registered.

`Pulumi.<stack>.yaml` → `parse` → one frozen StackSettings. `settings.stack_file` reads it as the
Pulumi CLI does, the component Registry what the CLI has handed to the running program.

Pydantic checks each value for itself. Whatever passes is then held against the rules that several
values share. So a mistake in one place hides none in another, and all of them come in one error.
"""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.policies.tag_convention import TagConvention, stages_in
from container_images.settings import values
from container_images.settings.draft import Draft
from container_images.settings.errors import problems_in
from container_images.settings.model import (
    Account,
    Settings,
    StackSettings,
)
from container_images.settings.planned import length_problems
from container_images.settings.rules import shared_problems

__all__ = [
    "Account",
    "StackSettings",
    "convention_in",
    "decoded",
    "explain",
    "misspelt_namespaces",
    "parse",
    "validated",
]


def parse(
    configuration: Mapping[str, str], account: Account, problems: Sequence[Problem] = ()
) -> StackSettings:
    """The settings that a configuration says, for a stack in this account.

    `configuration` has the values as Pulumi hands them over: text as it is, all else as JSON.
    Raises InvalidInputError with all errors, behind those found elsewhere.
    """
    return validated(decoded(configuration), account, problems)


def validated(
    written: Mapping[str, Any], account: Account, problems: Sequence[Problem] = ()
) -> StackSettings:
    """The settings that plain values say, under the keys of the stack file.

    Raises InvalidInputError with all errors, behind those found elsewhere.
    """
    draft = Draft(written, account)
    problems = [*problems, *draft.problems, *shared_problems(draft)]
    settings = draft.settings
    if settings and not problems:
        repositories = sorted(settings.repositories.items())
        inherited = {name: repository.in_stack(settings) for name, repository in repositories}
        settings = settings.model_copy(update={"repositories": inherited})
        problems = [*length_problems(settings, account)]
    if problems or not settings:
        raise InvalidInputError(problems)
    return settings


def convention_in(written: Any) -> TagConvention:
    """The convention that a list of stages says, such as a file has it.

    Raises InvalidInputError with all errors.
    """
    return TagConvention(stages_in(_checked(written, values.Stages)))


def _checked(written: Any, kind: Any) -> Any:
    """The values, of this type. Raises InvalidInputError."""
    adapter = TypeAdapter(kind, config=Settings.model_config)
    try:
        return adapter.validate_python(written)
    except ValidationError as refused:
        told = [problem for problem, _ in problems_in(refused, adapter.json_schema())]
    raise InvalidInputError(told)


def explain(invalid: InvalidInputError) -> str:
    """All errors of a configuration in one message."""
    count = len(invalid.problems)
    errors = "one error" if count == 1 else f"{count} errors"
    listed = [f"  {number}. {problem}" for number, problem in enumerate(invalid.problems, start=1)]
    return "\n".join([f"the configuration has {errors}; nothing has been changed:", *listed])


def misspelt_namespaces(keys: Iterable[str], project: str) -> Iterator[Problem]:
    """Each key whose namespace resembles the project's. Nobody would read it, and nobody say so.

    Any other namespace may be that of a provider: https://www.pulumi.com/docs/iac/concepts/config/
    """
    for key in keys:
        namespace, _, name = key.partition(":")
        near = difflib.get_close_matches(namespace, [project], cutoff=0.85)
        if near and namespace != project:
            yield Problem(
                where=(key,),
                rule=f"nothing reads the namespace {namespace}",
                fix=f"did you mean {project}:{name}?",
            )


def decoded(configuration: Mapping[str, str]) -> dict[str, Any]:
    """The values of a configuration: `_TEXT` as it is, all else from JSON."""
    return {key: _decoded(key, text) for key, text in configuration.items()}


_TEXT: Final = {"tagMutability", "pullOrganization"}
"""The keys whose values are text, and so no JSON."""


def _decoded(key: str, text: str) -> Any:
    if key in _TEXT:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
