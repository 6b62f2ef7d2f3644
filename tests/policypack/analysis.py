"""A policy of the pack, asked about resources as the Pulumi engine would ask it."""

from collections.abc import Mapping, Sequence
from typing import Any

from pulumi_policy import ResourceValidationArgs, StackValidationArgs
from pulumi_policy.policy import PolicyProviderResource, PolicyResource
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError, unknown_checking_proxy

from container_images.policypack.pack import policies

UNKNOWN = UNKNOWN_STRING_VALUE
"""What the engine puts for a value that a preview does not know."""

_BY_NAME: dict[str, Any] = {policy.name: policy for policy in policies()}
_OPTIONS: Any = None  # no policy of the pack reads the options of a resource

Verdict = tuple[list[str], str | None]
"""The violations, and what could not be judged in this preview."""
GOOD: Verdict = ([], None)


def later(where: str) -> Verdict:
    """What the SDK says of a string that is not known in a preview."""
    return [], f"string value at .{where} can't be known during preview"


def urn(type_: str, name: str, stack: str = "prod") -> str:
    return f"urn:pulumi:{stack}::shop::{type_}::{name}"


def resource(
    type_: str,
    props: Mapping[str, Any],
    *origins: PolicyResource,
    name: str = "it",
    stack: str = "prod",
    provider: str = "default",
) -> PolicyResource:
    """A resource of a stack; `origins` are where its `repository` comes from."""
    read = unknown_checking_proxy(dict(props))
    aws = PolicyProviderResource("pulumi:providers:aws", {}, provider, provider)
    dependencies = {"repository": [*origins]}
    address = urn(type_, name, stack)
    return PolicyResource(type_, read, address, name, _OPTIONS, aws, None, [*origins], dependencies)


def judge(
    policy: str, type_: str, props: Mapping[str, Any], stack: str = "prod", **config: Any
) -> Verdict:
    """What a policy about one resource says of one named "it"."""
    about = resource(type_, props, stack=stack)
    args = ResourceValidationArgs(type_, about.props, about.urn, about.name, _OPTIONS, None, config)
    return _verdict(policy, args)


def judge_stack(*resources: PolicyResource, exempt: Sequence[str] = ()) -> Verdict:
    """What the policy about a whole stack says."""
    config = {"exempt": [*exempt]}
    return _verdict("complete-repository", StackValidationArgs([*resources], config))


def _verdict(policy: str, args: Any) -> Verdict:
    violations: list[str] = []
    try:
        _BY_NAME[policy].validate(args, lambda message, _urn=None: violations.append(message))
    except UnknownValueError as error:
        return violations, error.message
    return violations, None
