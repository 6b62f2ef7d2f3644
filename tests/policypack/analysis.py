"""A policy of the pack, asked about resources as the Pulumi engine would ask it."""

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi_policy import (
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

_BY_NAME = {policy.name: policy for policy in policies()}
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
GOOD: Verdict = ([], None)


def later(where: str) -> Verdict:
    """What the SDK says of a string that is not known in a preview."""
    return [], f"string value at .{where} can't be known during preview"


def urn(type_: str, name: str, stack: str = "prod") -> str:
    return f"urn:pulumi:{stack}::shop::{type_}::{name}"


def judge(
    policy: str, type_: str, props: Mapping[str, Any], stack: str = "prod", **config: Any
) -> Verdict:
    """What a policy about one resource says of one named "it"."""
    about_resource = _BY_NAME[policy]
    assert isinstance(about_resource, ResourceValidationPolicy)
    read = unknown_checking_proxy(dict(props))
    args = ResourceValidationArgs(
        type_, read, urn(type_, "it", stack), "it", _OPTIONS, None, config
    )
    return _verdict(about_resource, args)


def judge_stack(*resources: PolicyResource, exempt: Sequence[str] = ()) -> Verdict:
    """What the policy about a whole stack says."""
    return _verdict(
        _BY_NAME["complete-repository"],
        StackValidationArgs(list(resources), {"exempt": list(exempt)}),
    )


def _verdict(policy: Any, args: ResourceValidationArgs | StackValidationArgs) -> Verdict:
    assert isinstance(policy, ResourceValidationPolicy | StackValidationPolicy)
    violations: list[str] = []

    def report(message: str, _of: str | None = None) -> None:
        violations.append(message)

    try:
        policy.validate(args, report)  # type: ignore[arg-type]
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
    kind = "pulumi:providers:aws"
    return PolicyResource(
        type_,
        unknown_checking_proxy(dict(props)),
        urn(type_, name),
        name,
        _OPTIONS,
        PolicyProviderResource(kind, {}, urn(kind, provider), provider),
        None,
        list(origins),
        {"repository": list(origins)},
    )
