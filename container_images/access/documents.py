"""Policies in files: alone, or as the AWS CLI prints them."""

from typing import Any, Final

from container_images.access.policy import EVERYTHING, Policy, parse, policy_of
from container_images.policies.invalid_input import parse_json

_PRINT_POLICY: Final = "print it with aws ecr get-repository-policy --output json"
_PRINT_SCP: Final = "print it with aws organizations describe-policy --output json"


def read_repository_policy(text: str) -> Policy:
    """A repository policy, or what `aws ecr get-repository-policy` prints.

    Raises InvalidInputError with all errors in it.
    """
    document = _unwrapped(text, "repository policy", _PRINT_POLICY, "policyText")
    return parse(document, what="repository policy", fix=_PRINT_POLICY, has_principal=True)


def read_service_control_policy(text: str) -> Policy:
    """A service control policy, or what `aws organizations describe-policy` prints.

    A file stands for one level of the organization. AWS wants an Allow at each: a policy that only
    denies has AWS's own FullAWSAccess beside it. Raises InvalidInputError with all errors in it.
    https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html
    """
    document = _unwrapped(text, "service control policy", _PRINT_SCP, "Policy", "Content")
    policy = parse(document, what="service control policy", fix=_PRINT_SCP)
    if any(it.allows for it in policy.statements):
        return policy
    return policy_of((*EVERYTHING.statements, *policy.statements))


def _unwrapped(text: str, what: str, fix: str, *keys: str) -> Any:
    """The document in a file: what stands under these keys, where AWS prints it so."""
    written = inner = parse_json(text, what, fix)
    for key in keys:
        inner = inner.get(key) if isinstance(inner, dict) else None
    return written if inner is None else inner
