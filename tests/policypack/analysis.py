"""A policy of the pack, asked about resources as the Pulumi engine would ask it."""

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi_policy import (
    Policy,
    PolicyResourceOptions,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.policy import PolicyCustomTimeouts, PolicyProviderResource, PolicyResource
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError, unknown_checking_proxy

from container_images.policypack.pack import policies

UNKNOWN = UNKNOWN_STRING_VALUE
"""What the engine puts for a value that a preview does not know."""

POLICIES: Mapping[str, Policy] = {it.name: it for it in policies()}

_OPTIONS = PolicyResourceOptions(
    protect=False,
    ignore_changes=[],
    delete_before_replace=None,
    aliases=[],
    custom_timeouts=PolicyCustomTimeouts(0, 0, 0),
    additional_secret_outputs=[],
)

Verdict = tuple[list[str], str | None]
"""The violations, and what could not be judged in this preview."""


def later(where: str) -> str:
    """What the SDK says of a string that is not known in a preview."""
    return f"string value at .{where} can't be known during preview"


def urn(type_: str, name: str, stack: str = "prod") -> str:
    return f"urn:pulumi:{stack}::shop::{type_}::{name}"


def judge(
    policy: str,
    type_: str,
    props: Mapping[str, Any],
    *,
    stack: str = "prod",
    config: Mapping[str, Any] | None = None,
) -> Verdict:
    """What a resource policy says of a resource named "it"."""
    found = POLICIES[policy]
    assert isinstance(found, ResourceValidationPolicy)
    args = ResourceValidationArgs(
        type_,
        unknown_checking_proxy(dict(props)),
        urn(type_, "it", stack),
        "it",
        _OPTIONS,
        None,
        dict(config or {}),
    )
    violations: list[str] = []

    def report(message: str, _of: str | None = None) -> None:
        violations.append(message)

    try:
        found.validate(args, report)
    except UnknownValueError as error:
        return violations, error.message
    return violations, None


def resource(
    type_: str,
    name: str,
    props: Mapping[str, Any],
    *origins: PolicyResource,
    provider: str = "default",
) -> PolicyResource:
    """A resource of a stack; `origins` are where its `repository` comes from."""
    return PolicyResource(
        type_,
        unknown_checking_proxy(dict(props)),
        urn(type_, name),
        name,
        _OPTIONS,
        PolicyProviderResource(
            "pulumi:providers:aws", {}, urn("pulumi:providers:aws", provider), provider
        ),
        None,
        list(origins),
        {"repository": list(origins)},
    )


def judge_stack(
    policy: str, resources: Sequence[PolicyResource], config: Mapping[str, Any] | None = None
) -> tuple[list[tuple[str, str | None]], str | None]:
    """What a stack policy says, and of which URN."""
    found = POLICIES[policy]
    assert isinstance(found, StackValidationPolicy)
    violations: list[tuple[str, str | None]] = []

    def report(message: str, of: str | None = None) -> None:
        violations.append((message, of))

    try:
        found.validate(StackValidationArgs(list(resources), dict(config or {})), report)
    except UnknownValueError as error:
        return violations, error.message
    return violations, None
