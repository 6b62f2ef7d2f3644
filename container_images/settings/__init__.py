"""The configuration of a stack, read once and validated before any resource is registered.

`Pulumi.<stack>.yaml` → `parse` → one frozen StackSettings. `stack.declared` reads it as the
Pulumi CLI does, the component Registry what the CLI has handed to the running program.

Pydantic checks each value for itself. Whatever passes is then held against the rules that several
values share. So a mistake in one place hides none in another, and all of them come in one error.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import AliasPath, TypeAdapter
from pydantic_core import PydanticUndefined

from container_images.policies import forms
from container_images.policies.invalid_input import ABSENT, InvalidInputError, Problem, refuse
from container_images.policies.tag_convention import TagConvention
from container_images.settings import values
from container_images.settings.errors import check
from container_images.settings.model import (
    Account,
    ProviderSettings,
    Settings,
    StackSettings,
    partial_settings,
)
from container_images.settings.rules import violations

__all__ = ["Account", "StackSettings"]


def parse(configuration: Mapping[str, Any], project: str) -> StackSettings:
    """The settings that a stack's configuration says: plain values, whose keys have namespaces.

    Raises InvalidInputError with all errors.
    """
    prefix, account = f"{project}:", account_in(configuration, project)
    own = [key for key in configuration if key.startswith(prefix)]
    written = {key.removeprefix(prefix): configuration[key] for key in own}
    settings, valid, problems = check(TypeAdapter(StackSettings), written)
    settings = (settings or partial_settings(valid)).with_inheritance()
    _, _, of_provider = check(TypeAdapter(ProviderSettings), configuration)
    problems = [*of_provider, *_misspelt_namespaces(configuration, project), *problems]
    for where, rule, fix in violations(settings, account):
        value = AliasPath(str(where[0]), *where[1:]).search_dict_for_path(written)
        value = ABSENT if value is PydanticUndefined else value
        problems.append(Problem(where=where, value=value, rule=rule, fix=fix))
    refuse(problems)
    # Where AWS refuses a policy for its length, the repository is left without its guard. All have
    # the same lists, and at most a statement more.
    longest = max(settings.repositories.items(), key=lambda item: item[1].lambda_pull)
    settings.repository_policy(longest[0], account)
    return settings


def account_in(configuration: Mapping[str, Any], project: str) -> Account:
    """Where a stack is, as far as its configuration tells: the Region may be empty.

    The account is that of the first of the roles, or, where aws:allowedAccountIds leaves it out,
    the first of those.
    """
    keys = ("administratorRoles", "pipelineRole", "additionalPipelineRoles")
    roles = str([configuration.get(f"{project}:{key}") for key in keys])
    arns = re.findall(r"arn:(aws[a-z-]*):iam::(\d{12}):", roles)
    # If none says so, it is one of AWS's documentation.
    partition, account = next(iter(arns), ("aws", "123456789012"))
    allowed = re.findall(r"\b\d{12}\b", str(configuration.get("aws:allowedAccountIds")))
    if allowed and account not in allowed:
        account = allowed[0]
    region = str(configuration.get("aws:region"))
    region = region if forms.REGION.fits(region) else ""
    return Account(partition=partition, id=account, region=region)


def decoded(configuration: Mapping[str, str]) -> dict[str, Any]:
    """The values of a configuration as Pulumi hands it over: text as it is, all else as JSON."""
    values_of: dict[str, Any] = {}
    for key, text in configuration.items():
        try:
            values_of[key] = json.loads(text)
        except (ValueError, RecursionError):
            values_of[key] = text
    return values_of


def _misspelt_namespaces(configuration: Mapping[str, Any], project: str) -> Iterator[Problem]:
    """Each key whose namespace resembles the project's, or that of a clone, which samples have.

    Nobody would read it, and nobody say so.

    Any other namespace may be that of a provider: https://www.pulumi.com/docs/iac/concepts/config/
    """
    for key, value in configuration.items():
        namespace, _, name = key.partition(":")
        near = [project, "container-images"]
        if namespace != project and difflib.get_close_matches(namespace, near, cutoff=0.85):
            rule = f"nothing reads the namespace {namespace}"
            fix = f"did you mean {project}:{name}?"
            yield Problem(where=(key,), value=value, rule=rule, fix=fix)


def convention_in(written: Any) -> TagConvention:
    """The convention that a list of stages says, such as a file has it.

    Raises InvalidInputError with all errors.
    """
    stages, _, problems = check(TypeAdapter(values.Stages, config=Settings.model_config), written)
    refuse(problems)
    return TagConvention(stages)


def explain(invalid: InvalidInputError) -> str:
    """All errors of a configuration in one message."""
    count = len(invalid.problems)
    errors = "one error" if count == 1 else f"{count} errors"
    listed = [f"  {number}. {problem}" for number, problem in enumerate(invalid.problems, start=1)]
    return "\n".join([f"the configuration has {errors}; nothing has been changed:", *listed])
