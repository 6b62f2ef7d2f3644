"""The configuration of a stack, read once and validated before any resource is registered.

`Pulumi.<stack>.yaml` → `parse` → one frozen StackSettings. `settings.stack_file` reads it as the
Pulumi CLI does, `settings.program` reads what the CLI has handed to the running program. Only the
latter loads Pulumi.

Pydantic checks each value for itself. Whatever passes is then held against the rules that several
values share. So a mistake in one place hides none in another, and all of them come in one error.
"""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.settings.draft import Draft
from container_images.settings.model import Account, StackSettings
from container_images.settings.rules import length_problems, shared_problems

__all__ = ["NAMESPACE", "Account", "StackSettings", "explain", "misspelt_namespaces", "parse"]

NAMESPACE: Final = "container-images"
"""Of the keys in the stack file: the project's name, as Pulumi has it."""


def parse(
    configuration: Mapping[str, str], account: Account, found: Sequence[Problem] = ()
) -> StackSettings:
    """The settings that a configuration says, for a stack in this account.

    `configuration` has the values as Pulumi hands them over: text as it is, all else as JSON.
    Raises InvalidInputError with every problem, behind those already found elsewhere.
    """
    draft = Draft({key: _decoded(key, text) for key, text in configuration.items()}, account)
    problems = [*found, *draft.problems, *shared_problems(draft)]
    if draft.settings and not problems:
        problems += length_problems(draft.settings, account)
    if problems or not draft.settings:
        raise InvalidInputError(problems)
    return draft.settings


def explain(invalid: InvalidInputError) -> str:
    """All errors of a configuration in one message."""
    count = len(invalid.problems)
    errors = "one error" if count == 1 else f"{count} errors"
    listed = [f"  {number}. {problem}" for number, problem in enumerate(invalid.problems, start=1)]
    return "\n".join(
        [f"the {NAMESPACE} configuration has {errors}; nothing has been changed:", *listed]
    )


def misspelt_namespaces(keys: Iterable[str]) -> Iterator[Problem]:
    """Each key whose namespace resembles the project's. Nobody would read it, and nobody say so.

    Any other namespace may be that of a provider: https://www.pulumi.com/docs/iac/concepts/config/
    """
    for key in keys:
        namespace, _, name = key.partition(":")
        near = difflib.get_close_matches(namespace, [NAMESPACE], cutoff=0.85)
        if near and namespace != NAMESPACE:
            yield Problem(
                where=(key,),
                rule=f"nothing reads the namespace {namespace}",
                fix=f"did you mean {NAMESPACE}:{name}?",
            )


_TEXT: Final = {"tagMutability", "pullOrganization"}
"""The keys whose values are text, and so no JSON."""


def _decoded(key: str, text: str) -> Any:
    if key in _TEXT:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
