"""The roles and users of an account, with all of their policies, as IAM lists them.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from container_images.access.evaluation import Principal
from container_images.access.policy import NO_POLICY, Policy, account_in, parse
from container_images.policies.invalid_input import InvalidInputError, Problem, parse_json, refuse

_COMMAND: Final = "aws iam get-account-authorization-details"
_PRINT: Final = f"print them with {_COMMAND} --output json"
_WHOLE: Final = f"print all of it with {_COMMAND}, without --filter, --max-items and --no-paginate"

_Raw = Mapping[str, Any]
"""A role, a user or a group, as IAM lists it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Identity(Principal):
    """A role or a user of an account, or one that could be made.

    Whose permissions boundary is not listed counts as unlimited.
    """

    boundary_arn: str | None = None
    trust: Policy = NO_POLICY
    """Who may assume it, if it is a role."""
    managed: frozenset[str] = frozenset()
    """ARNs of the managed policies among its own and its groups'."""
    groups: frozenset[str] = frozenset()
    """ARNs of the groups of a user."""

    @property
    def iam(self) -> str:
        """What the ARNs of all roles, users and policies of its account begin with."""
        return f"arn:{self.arn.split(':')[1]}:iam::{self.account}:"

    @property
    def is_service_linked(self) -> bool:
        """Whether it belongs to a service of AWS, which alone assumes it; nobody can change it.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html
        """
        return ":role/aws-service-role/" in self.arn

    @property
    def is_protected(self) -> bool:
        """Whether nobody of the account can change it: it is a service's, or single sign-on's.

        https://docs.aws.amazon.com/singlesignon/latest/userguide/referencingpermissionsets.html
        """
        return self.is_service_linked or ":role/aws-reserved/" in self.arn


class Listing(NamedTuple):
    """What IAM lists of one account, or of several."""

    identities: tuple[Identity, ...]
    managed: Mapping[str, Policy]
    """The managed policies, by ARN."""


def merged(accounts: Sequence[Listing]) -> Listing:
    """Several listings as one."""
    identities = tuple(identity for account in accounts for identity in account.identities)
    managed = (pair for account in accounts for pair in account.managed.items())
    return Listing(identities, dict(managed))


def account_of(details: Any) -> Listing:
    """The account in a response of GetAccountAuthorizationDetails, all of its pages in one.

    Or in its text, as the AWS CLI prints it.
    Raises InvalidInputError with everything that is missing: without a policy of somebody's, what
    they can do is not known.
    """
    if isinstance(details, str):
        details = parse_json(details, "listing of the account", _PRINT)
    missing: set[str] = set()
    try:
        if details.get("IsTruncated") or details.get("NextToken"):
            missing.add("this is only a part of the account")
        managed = {
            raw["Arn"]: parse(version["Document"])
            for raw in details.get("Policies", ())
            for version in raw["PolicyVersionList"]
            if version["VersionId"] == raw["DefaultVersionId"]
        }
        groups = {raw["GroupName"]: raw for raw in details.get("GroupDetailList", ())}
        listed = (*details["RoleDetailList"], *details["UserDetailList"])
        identities = tuple(_identity(raw, managed, groups, missing) for raw in listed)
    except (AttributeError, KeyError, TypeError) as error:
        rule = f"this is not what {_COMMAND} prints ({type(error).__name__}: {error})"
        raise InvalidInputError([Problem(where=(), rule=rule, fix=_PRINT)]) from None
    refuse(Problem(where=(), rule=rule, fix=_WHOLE) for rule in sorted(missing))
    return Listing(identities, managed)


def _identity(
    raw: _Raw, managed: Mapping[str, Policy], groups: Mapping[str, _Raw], missing: set[str]
) -> Identity:
    """A role or a user with its groups' policies. What the listing lacks is added to `missing`."""
    arn = raw["Arn"]
    names = raw.get("GroupList", ())
    missing.update(f"the group {name} is missing" for name in names if name not in groups)
    own_groups = [groups[name] for name in names if name in groups]
    attached, inline = set[str](), list[Policy]()
    for holder in (raw, *own_groups):
        attached.update(each["PolicyArn"] for each in holder.get("AttachedManagedPolicies", ()))
        for key in ("RolePolicyList", "UserPolicyList", "GroupPolicyList"):
            inline += (parse(each["PolicyDocument"]) for each in holder.get(key, ()))
    unknown = attached - managed.keys()
    missing.update(f"the text of the policy {policy} is missing" for policy in unknown)
    if not account_in(arn):
        missing.add(f"the account in the ARN {arn} is missing")
    boundary = (raw.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn") or None
    return Identity(
        arn=arn,
        account=account_in(arn),
        named=arn,
        policies=(*inline, *(managed[policy] for policy in sorted(attached - unknown))),
        boundary_arn=boundary,
        boundary=managed.get(boundary or ""),
        # moto keeps roles with the trust {}, which nobody may assume.
        trust=parse(raw["AssumeRolePolicyDocument"] or {"Statement": []})
        if ":role/" in arn
        else NO_POLICY,
        managed=frozenset(attached),
        groups=frozenset(group["Arn"] for group in own_groups),
    )
