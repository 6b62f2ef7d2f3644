"""Pure: which roles a Deny of a repository policy exempts."""

from collections.abc import Mapping
from typing import Any, Final

from container_images.policies.document import listed
from container_images.policies.trust_policy import ROLE_ARN

_OPERATORS: Final = ("arnnotequals", "arnnotlike", "stringnotequals", "stringnotlike")


class NoGuardError(ValueError):
    """Why a Deny does not stop everybody but exact roles, as the predicate of a sentence."""


def exempted_roles(deny: Mapping[str, Any]) -> frozenset[str]:
    """The roles that a Deny exempts, where it applies to every other principal.

    That is a Deny of the form of AWS's replacement for NotPrincipal: every principal, and one
    condition, a negated operator on `aws:PrincipalArn` with the exact ARNs of roles.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html

    Raises NoGuardError for any other Deny.
    """
    principal = deny.get("Principal")
    if isinstance(principal, dict) and principal.keys() == {"AWS"}:
        principal = principal["AWS"]
    if listed(principal) != ["*"]:
        raise NoGuardError('does not apply to everybody ("Principal": "*")')
    if "Resource" in deny or "NotResource" in deny:
        raise NoGuardError("names a Resource, and a repository policy has its own repository")
    condition = deny.get("Condition")
    tests = list(condition.items()) if isinstance(condition, dict) else []
    if not tests:
        raise NoGuardError("exempts nobody, so that nobody could ever change the policy")
    if len(tests) != 1 or not isinstance(tests[0][1], dict) or len(tests[0][1]) != 1:
        raise NoGuardError("has more than one condition, and applies only where all are met")
    [(operator, test)] = tests
    [(key, values)] = test.items()
    if operator.lower() not in _OPERATORS or key.lower() != "aws:principalarn":
        raise NoGuardError(f"depends on {operator} {key} instead of ArnNotEquals aws:PrincipalArn")
    arns = [str(value) for value in listed(values)]
    if not arns:
        raise NoGuardError("exempts an empty list, for which AWS documents no meaning")
    if inexact := [arn for arn in arns if not ROLE_ARN.fullmatch(arn)]:
        raise NoGuardError(f"exempts {', '.join(inexact)}, which is not the exact ARN of one role")
    return frozenset(arns)
