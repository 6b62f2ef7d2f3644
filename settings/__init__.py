"""The configuration of a stack, read once and validated before any resource is registered.

`Pulumi.<stack>.yaml` → `load` → one frozen StackSettings. Nothing else reads configuration.

Pydantic checks each value for itself. Whatever passes is then held against the rules that several
values share. So a mistake in one place hides none in another, and all of them come in one error.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import pulumi
from pulumi.runtime import get_config_env
from pulumi.runtime.config import CONFIG

from policies.fault import InvalidInputError
from settings.draft import Draft
from settings.model import Account, PipelineRoleSettings, RepositorySettings, StackSettings
from settings.rules import SHARED_RULES, length_faults

__all__ = ["NAMESPACE", "Account", "StackSettings", "explain", "load", "parse"]

NAMESPACE: Final = "container-images"
"""Of the keys in the stack file: the project's name, as Pulumi has it."""


def load(account: Account) -> StackSettings:
    """The settings of the running stack. Raises pulumi.RunError, which names every problem."""
    try:
        return parse(stack_configuration(), account)
    except InvalidInputError as invalid:
        raise pulumi.RunError(explain(invalid)) from None


def explain(invalid: InvalidInputError) -> str:
    """Every fault of a configuration in one message."""
    count = len(invalid.faults)
    problems = "one problem" if count == 1 else f"{count} problems"
    listed = [f"  {number}. {fault}" for number, fault in enumerate(invalid.faults, start=1)]
    return "\n".join(
        [f"the {NAMESPACE} configuration has {problems}; nothing has been changed:", *listed]
    )


def stack_configuration() -> dict[str, str]:
    """The stack's keys in this project's namespace, without it, and their values as text.

    pulumi.Config reads a key that is asked for by name. To find those that nobody asks for, because
    their names are misspelt, takes the two places where the SDK keeps them: what the language host
    hands over in PULUMI_CONFIG, and what `set_all_config` has put before it.
    """
    keys = {**get_config_env(), **CONFIG.get()}
    prefix = f"{NAMESPACE}:"
    return {key.removeprefix(prefix): keys[key] for key in keys if key.startswith(prefix)}


def parse(configuration: Mapping[str, str], account: Account) -> StackSettings:
    """The settings that a configuration says, for a stack in this account.

    `configuration` has the values as Pulumi hands them over: text as it is, all else as JSON.
    Raises InvalidInputError with every fault.
    """
    draft = Draft({key: _decoded(key, text) for key, text in configuration.items()}, account)
    faults = [*draft.faults, *(fault for rule in SHARED_RULES for fault in rule(draft))]
    if faults:
        raise InvalidInputError(faults)
    settings = StackSettings(
        **draft.stack,
        pipeline_role=PipelineRoleSettings(**draft.role),
        repositories={
            name: RepositorySettings(**draft.effective(name)) for name in sorted(draft.entries)
        },
    )
    if faults := list(length_faults(settings, account)):
        raise InvalidInputError(faults)
    return settings


_TEXT: Final = {"tagMutability", "pullOrganization"}
"""The keys whose values are text, and so no JSON."""


def _decoded(key: str, text: str) -> Any:
    if key in _TEXT:
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
