"""The roles and users of an account, with all of their policies, as IAM lists them.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from container_images.access.evaluation import Principal
from container_images.access.policy import NO_POLICY, Policy, account_in, parse
from container_images.policies.invalid_input import InvalidInputError, Problem, parse_json

_COMMAND: Final = "aws iam get-account-authorization-details"
_PRINT: Final = f"print them with {_COMMAND} --output json"
_WHOLE: Final = f"print all of it with {_COMMAND}, without --filter, --max-items and --no-paginate"


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
    def unique(self) -> tuple[str, ...]:
        """What nobody else has: account, kind and name, in which letters' case does not count."""
        return self.account, self.kind, self.arn.rpartition("/")[2].lower()

    @property
    def kind(self) -> str:
        """Role or User, as in the names of IAM's actions."""
        return "Role" if self.is_role else "User"

    @property
    def is_protected(self) -> bool:
        """Whether nobody of the account can change it: it is a service's, or single sign-on's.

        https://docs.aws.amazon.com/singlesignon/latest/userguide/referencingpermissionsets.html
        """
        return self.is_service_linked or ":role/aws-reserved/" in self.arn

    @property
    def is_service_linked(self) -> bool:
        """Whether it belongs to a service of AWS, which alone assumes it; nobody can change it.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html
        """
        return ":role/aws-service-role/" in self.arn


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What IAM lists of one account, or of several."""

    identities: tuple[Identity, ...]
    managed: Mapping[str, Policy]
    """The managed policies, by ARN."""

    @cached_property
    def policies(self) -> frozenset[Policy]:
        """Everything that allows somebody something, or limits it."""
        held = {one for it in self.identities for one in (*it.policies, it.boundary)}
        return frozenset(it for it in held if it is not None)


def read_account(text: str) -> Listing:
    """The account that `aws iam get-account-authorization-details` prints.

    Raises InvalidInputError with everything that is missing: without a policy of somebody's, what
    they can do is not known.
    """
    return account_of(parse_json(text, "listing of the account", _PRINT))


def account_of(details: Any) -> Listing:
    """The account in a response of GetAccountAuthorizationDetails, all of its pages in one.

    Raises InvalidInputError as `read_account` does.
    """
    reader = _Reader()
    try:
        listing = reader.listing(details)
    except (AttributeError, KeyError, TypeError) as error:
        rule = f"this is not what {_COMMAND} prints ({type(error).__name__}: {error})"
        raise InvalidInputError([Problem(where=(), rule=rule, fix=_PRINT)]) from None
    if reader.problems:
        raise InvalidInputError(list({str(it): it for it in reader.problems}.values()))
    return listing


def merged(accounts: list[Listing]) -> Listing:
    """Several listings as one."""
    return Listing(
        identities=tuple(it for account in accounts for it in account.identities),
        managed={arn: it for account in accounts for arn, it in account.managed.items()},
    )


class _Reader:
    """Reads a listing, and keeps what is wrong with it."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._managed: dict[str, Policy] = {}
        self._groups: dict[str, Any] = {}

    def listing(self, details: Any) -> Listing:
        if details.get("IsTruncated") or details.get("NextToken"):
            self._problem(("IsTruncated",), "this is only a part of the account")
        for raw in details.get("Policies", ()):
            for version in raw["PolicyVersionList"]:
                if version["VersionId"] == raw["DefaultVersionId"]:
                    where = ("Policies", raw["Arn"], "Document")
                    self._managed[raw["Arn"]] = self._policy(version["Document"], *where)
        self._groups = {raw["GroupName"]: raw for raw in details.get("GroupDetailList", ())}
        kinds = ("RoleDetailList", "UserDetailList")
        identities = tuple(self._identity(kind, raw) for kind in kinds for raw in details[kind])
        return Listing(identities=identities, managed=self._managed)

    def _identity(self, kind: str, raw: Any) -> Identity:
        arn, where = raw["Arn"], (kind, raw["Arn"])
        if not account_in(arn):
            self._problem((kind,), f"{arn} is the ARN of no role and no user")
        groups = [self._groups[it] for it in raw.get("GroupList", ()) if it in self._groups]
        for name in sorted({*raw.get("GroupList", ())} - self._groups.keys()):
            self._problem(where, f"the group {name} is missing from GroupDetailList")
        holders = [raw, *groups]
        attached = {
            it["PolicyArn"] for one in holders for it in one.get("AttachedManagedPolicies", ())
        }
        for missing in sorted(attached - self._managed.keys()):
            rule = f"the policy {missing} is attached, but its text is missing from Policies"
            self._problem(where, rule)
        inline = [
            self._policy(it["PolicyDocument"], *where, it.get("PolicyName", ""))
            for one in holders
            for key in ("RolePolicyList", "UserPolicyList", "GroupPolicyList")
            for it in one.get(key, ())
        ]
        boundary = (raw.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn", "")
        trust = raw["AssumeRolePolicyDocument"] if kind == "RoleDetailList" else {"Statement": []}
        return Identity(
            arn=arn,
            account=account_in(arn),
            named=arn,
            policies=(*inline, *(self._managed[it] for it in sorted(attached & {*self._managed}))),
            boundary_arn=boundary or None,
            boundary=self._managed.get(boundary),
            trust=self._policy(trust, *where, "AssumeRolePolicyDocument"),
            managed=frozenset(attached),
            groups=frozenset(it["Arn"] for it in groups),
        )

    def _policy(self, document: Any, *where: str) -> Policy:
        try:
            return parse(document)
        except InvalidInputError as error:
            self.problems += (it.under(*where) for it in error.problems)
            return NO_POLICY

    def _problem(self, where: tuple[str, ...], rule: str) -> None:
        self.problems.append(Problem(where=where, rule=rule, fix=_WHOLE))
