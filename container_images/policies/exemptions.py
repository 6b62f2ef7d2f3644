"""Pure: which roles the Denies of a repository policy exempt."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from container_images.policies.document import listed, names_action, statements_in
from container_images.policies.forms import ROLE_ARN

_OPERATORS: Final = ("arnnotequals", "arnnotlike", "stringnotequals", "stringnotlike")
_FORM: Final = 'Principal "*", no Resource, and one condition, ArnNotEquals aws:PrincipalArn'


def exempted_roles(policy: Any, action: str) -> frozenset[str]:
    """The roles that a policy's Denies of an action exempt. Empty where that is unknown."""
    roles, _ = exemptions(policy, [action])
    return roles.get(action, frozenset())


def exemptions(
    policy: Any, actions: Collection[str]
) -> tuple[dict[str, frozenset[str]], list[str]]:
    """The exempted roles by action, as far as they are known, and what is wrong with other Denies.

    What several Denies deny, only those may do whom all of them exempt. A Deny from which nobody
    can tell whom it exempts counts as exempting nobody: it adds no role and takes none away.
    """
    roles: dict[str, frozenset[str]] = {}
    errors = []
    for position, deny in enumerate(statements_in(policy, "Deny"), start=1):
        denied = [action for action in actions if names_action(deny.get("Action"), action)]
        exempted = _exempted_by(deny) if denied else frozenset()
        if isinstance(exempted, str):
            errors.append(f"statement {deny.get('Sid') or position} {exempted}")
        else:
            roles |= {action: exempted & roles.get(action, exempted) for action in denied}
    return roles, errors


def _exempted_by(deny: Mapping[str, Any]) -> frozenset[str] | str:
    """The roles that a Deny exempts, or the predicate of a sentence about why that is unknown.

    Known is the form of AWS's replacement for NotPrincipal: every principal, and one condition, a
    negated operator on `aws:PrincipalArn` with the exact ARNs of roles.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
    """
    principal = deny.get("Principal")
    if isinstance(principal, dict) and principal.keys() == {"AWS"}:
        principal = principal["AWS"]
    written: Any = deny.get("Condition")
    tests = written if isinstance(written, dict) else {}
    keys = [(name, key) for name, test in tests.items() if isinstance(test, dict) for key in test]
    matched = [key.lower() for name, key in keys if name.lower() in _OPERATORS]
    elements = {"Resource", "NotResource"} & deny.keys()
    if listed(principal) != ["*"] or elements or matched != ["aws:principalarn"] or len(tests) > 1:
        return f"has not the one form that exempts roles and nobody else: {_FORM}"
    [(operator, key)] = keys
    arns = [str(value) for value in listed(tests[operator][key])]
    if not arns:
        return "exempts an empty list, for which AWS documents no meaning"
    if inexact := [arn for arn in arns if not ROLE_ARN.fits(arn)]:
        return f"exempts {', '.join(inexact)}, which is not the exact ARN of one role"
    return frozenset(arns)
