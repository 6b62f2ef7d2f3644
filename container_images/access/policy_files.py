"""Policies in files, alone or as the AWS CLI prints them, and those of several repositories."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from container_images.access.policy import (
    EVERYTHING,
    Policy,
    account_in,
    parse,
    policy_of,
)
from container_images.aws import reference
from container_images.policies.invalid_input import parse_json


@dataclass(frozen=True, kw_only=True)
class RepositoryPolicies:
    """The policies of repositories of one account and Region."""

    policies: Mapping[str, Policy]
    """By the repository's ARN."""
    stack: str | None = None
    """The stack whose settings make them; None for those in AWS or in a file."""

    @property
    def region(self) -> str:
        """The Region that holds the repositories."""
        return self._arn.split(":")[3]

    @property
    def account_id(self) -> str:
        """The account that holds them."""
        return account_in(self._arn)

    @property
    def _arn(self) -> str:
        return next(iter(self.policies))

    def __str__(self) -> str:
        """The repositories, for a message."""
        names = [reference.parse(arn).name for arn in self.policies]
        which = names[0] if len(names) == 1 else f"{len(names)} repositories"
        return which if self.stack is None else f"{which} of {self.stack}"


_PRINT_POLICY: Final = "print it with aws ecr get-repository-policy --output json"
_PRINT_SCP: Final = "print it with aws organizations describe-policy --output json"


def _object(value: Any) -> dict[str, Any]:
    """The value; an empty object for anything else."""
    return value if isinstance(value, dict) else {}


def read_repository_policy(text: str) -> Policy:
    """A repository policy, or what `aws ecr get-repository-policy` prints.

    Raises InvalidInputError with all that is wrong with it.
    """
    document = _unwrapped(text, "repository policy", _PRINT_POLICY, "policyText")
    return parse(document, what="repository policy", fix=_PRINT_POLICY, has_principal=True)


def read_service_control_policy(text: str) -> Policy:
    """A service control policy, or what `aws organizations describe-policy` prints.

    A file stands for one level of the organization. AWS wants an Allow at each: a policy that only
    denies has AWS's own FullAWSAccess beside it. Raises InvalidInputError with all that is wrong.
    https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html
    """
    document = _unwrapped(text, "service control policy", _PRINT_SCP, "Policy", "Content")
    policy = parse(document, what="service control policy", fix=_PRINT_SCP)
    if any(it.allows for it in policy.statements):
        return policy
    return policy_of((*EVERYTHING.statements, *policy.statements))


def _unwrapped(text: str, what: str, fix: str, *keys: str) -> Any:
    """The document in a file: what stands under these keys, where AWS prints it so."""
    written = found = parse_json(text, what, fix)
    for key in keys:
        found = _object(found).get(key)
    return written if found is None else found
