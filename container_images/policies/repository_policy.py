"""Pure: the repository policy: which principals may do what to the images, and whom it exempts.

It is made from names alone, so that the first preview shows it whole, and in a fixed order, so that
no update only reorders it. What no repository policy can deny is on docs/organization.md.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NotRequired, TypedDict

from container_images.policies.document import (
    allow,
    document_of,
    listed,
    names_action,
    statements_in,
    to_json,
)
from container_images.policies.ecr_actions import LAMBDA_PULL, Effect, actions
from container_images.policies.forms import ROLE_ARN
from container_images.policies.invalid_input import InvalidInputError, Problem

MAX_REPOSITORY_POLICY: Final = 10_240
"""Characters of a repository policy: `RepositoryPolicyText` in
https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_SetRepositoryPolicy.html"""

_OPERATORS: Final = ("arnnotequals", "arnnotlike", "stringnotequals", "stringnotlike")
_FORM: Final = 'Principal "*", no Resource, and one condition, ArnNotEquals aws:PrincipalArn'


class Access(TypedDict):
    """Who may do what to a repository. ARNs are exact: no wildcards, a role's path included."""

    partition: str
    """The AWS partition of the stack's account: aws, aws-cn, aws-us-gov, …"""
    account_id: str
    """The account that holds the repository: 12 digits."""
    region: str
    """The Region that holds the repository."""
    pipeline_roles: list[str]
    """ARNs of the roles that may push images and move tags, of this account or of another."""
    administrator_roles: list[str]
    """ARNs of the roles of this account that may delete images and change the guard."""
    pull_accounts: list[str]
    """Ids of the accounts whose principals may pull, as far as those accounts allow it them."""
    pull_organization: str
    """Id of the organization whose principals may pull; empty for none."""
    lambda_pull: bool
    """Whether functions of this account may be made from the images."""
    lambda_pull_accounts: NotRequired[list[str]]
    """Ids of other accounts whose functions may be made from the images. Default: none."""


def denies(access: Access) -> list[dict[str, Any]]:
    """The two Denies of the guard, which no Allow overrides.

    They follow AWS's replacement for NotPrincipal: every principal (`*`) whose `aws:PrincipalArn`
    is not in the list, the account's root too, and any request without that key.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html

    ReplicateImage is left out: only ECR's service-linked role makes that call, and AWS documents no
    effect of a repository policy on it.
    """
    administering = [Effect.DELETE_IMAGE, Effect.CHANGE_GUARD]
    exempted = (
        ("OnlyThePipelineMovesTags", access["pipeline_roles"], [Effect.MOVE_TAG]),
        ("OnlyAdministratorsDeleteAndChangeTheGuard", access["administrator_roles"], administering),
    )
    return [
        {
            "Sid": sid,
            "Effect": "Deny",
            "Principal": "*",
            "Action": actions(*effects),
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": sorted(set(roles))}},
        }
        for sid, roles, effects in exempted
    ]


def lambda_functions(access: Access) -> list[str]:
    """The Lambda functions that may be made from the images, as patterns of ARNs.

    Lambda pulls for a function of another account only if that account may pull too.
    https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#gettingstarted-images-permissions
    """
    accounts = [access["account_id"]] if access["lambda_pull"] else []
    accounts += sorted(set(access.get("lambda_pull_accounts", ())))
    place = f"arn:{access['partition']}:lambda:{access['region']}"
    return [f"{place}:{account}:function:*" for account in accounts]


def repository_policy(access: Access) -> dict[str, Any]:
    """The repository policy: first the Denies, then the Allows.

    Raises InvalidInputError where the document is longer than AWS accepts.
    """
    iam = f"arn:{access['partition']}:iam::"
    pipeline = sorted(set(access["pipeline_roles"]))
    local = [role for role in pipeline if role.startswith(f"{iam}{access['account_id']}:")]
    foreign = [role for role in pipeline if role not in local]
    push_and_pull = actions(Effect.PULL, Effect.UPLOAD, Effect.MOVE_TAG)
    pull = actions(Effect.PULL)

    def roots(accounts: Iterable[str]) -> dict[str, list[str]]:
        return {"AWS": [f"{iam}{account}:root" for account in sorted(set(accounts))]}

    statements = denies(access)
    if local:
        # The role itself is the principal: in its own account that is enough, without any policy
        # attached to the role.
        statements.append(allow("ThePipelinePushesAndPulls", {"AWS": local}, push_and_pull))
    if foreign:
        # The account is the principal and the condition names the role: a role as principal is
        # stored by its unique id, and would no longer match when the role is created again.
        accounts = roots(role.split(":")[4] for role in foreign)
        condition: dict[str, Any] = {"ArnEquals": {"aws:PrincipalArn": foreign}}
        sid = "ThePipelineOfOtherAccountsPushesAndPulls"
        statements.append(allow(sid, accounts, push_and_pull, Condition=condition))
    if access["pull_accounts"]:
        statements.append(allow("OtherAccountsPull", roots(access["pull_accounts"]), pull))
    if access["pull_organization"]:
        condition = {"StringEquals": {"aws:PrincipalOrgID": access["pull_organization"]}}
        statements.append(allow("TheOrganizationPulls", "*", pull, Condition=condition))
    if functions := lambda_functions(access):
        # Without this statement Lambda adds one like it itself, which the guard denies.
        source: Any = functions[0] if len(functions) == 1 else functions
        condition = {"ArnLike": {"aws:SourceArn": source}}
        principal = {"Service": "lambda.amazonaws.com"}
        statements.append(allow("LambdaPulls", principal, LAMBDA_PULL, Condition=condition))
    document = document_of(statements)
    if (excess := len(to_json(document)) - MAX_REPOSITORY_POLICY) > 0:
        rule = f"AWS takes a repository policy of at most {MAX_REPOSITORY_POLICY:,} characters"
        fix = f"shorten the lists of roles and accounts by {excess:,}"
        raise InvalidInputError([Problem(where=("repository policy",), rule=rule, fix=fix)])
    return document


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
