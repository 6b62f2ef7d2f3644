"""The roles and users of an account, with all of their policies, as IAM lists them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from policies.fault import ABSENT, Fault, InvalidInputError
from registry.access.policy import NO_POLICY, Policy, UnreadablePolicyError, account_in, parse

COMMAND: Final = "aws iam get-account-authorization-details"


@dataclass(frozen=True, kw_only=True, eq=False)
class Identity:
    """A role or a user of an account."""

    arn: str
    policies: tuple[Policy, ...]
    """Inline and managed ones, and those of its groups."""
    boundary_arn: str | None = None
    boundary: Policy | None = None
    """Its permissions boundary. None too where the text of the boundary is not listed: who may be
    limited counts as unlimited."""
    trust: Policy = NO_POLICY
    """Who may assume it, if it is a role."""
    managed: frozenset[str] = frozenset()
    """ARNs of the managed policies among its own and its groups'."""
    groups: frozenset[str] = frozenset()
    """ARNs of the groups of a user."""
    has_inline: bool = False
    has_attached: bool = False
    """Whether it has inline policies, managed ones, of its own: IAM deletes none that has."""
    has_profile: bool = False
    """Whether a role is in an instance profile."""

    @property
    def account(self) -> str:
        """The account that holds it."""
        return account_in(self.arn)

    @property
    def is_role(self) -> bool:
        """Whether it is a role, and not a user."""
        return ":role/" in self.arn

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
    try:
        written = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(
            [
                Fault(
                    where=(),
                    rule=f"the authorization details are JSON ({error})",
                    fix=f"print them with {COMMAND} --output json",
                )
            ]
        ) from None
    return account_of(written)


def account_of(details: Any) -> Listing:
    """The account in a response of GetAccountAuthorizationDetails, all of its pages in one.

    Raises InvalidInputError as `read_account` does.
    """
    try:
        listing = _Details.model_validate(details)
    except ValidationError as error:
        raise InvalidInputError(
            [
                Fault(
                    where=tuple(it["loc"]),
                    value=ABSENT if it["type"] == "missing" else it["input"],
                    rule=f"these are no authorization details: {it['msg']}",
                    fix=f"print them with {COMMAND} --output json",
                )
                for it in error.errors()
            ]
        ) from None
    faults = list(_missing(listing))
    if faults:
        raise InvalidInputError(faults)
    policies = {
        it.arn: one.document
        for it in listing.policies
        for one in it.versions
        if one.id == it.default
    }
    groups = {it.name: it for it in listing.groups}
    everybody: list[_Role | _User] = [*listing.roles, *listing.users]
    return Listing(
        identities=tuple(
            _identity(it, [groups[name] for name in it.groups], policies) for it in everybody
        ),
        managed=policies,
    )


def merged(accounts: list[Listing]) -> Listing:
    """Several listings as one."""
    return Listing(
        identities=tuple(it for account in accounts for it in account.identities),
        managed={arn: it for account in accounts for arn, it in account.managed.items()},
    )


# --- As IAM writes it -----------------------------------------------------------------------------
# https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html


def _parsed(document: Any) -> Policy:
    try:
        return parse(document)
    except UnreadablePolicyError as error:
        raise ValueError(str(error)) from None


_Document = Annotated[Any, BeforeValidator(_parsed)]


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Inline(_Written):
    document: _Document = Field(alias="PolicyDocument")


class _Attached(_Written):
    arn: str = Field(alias="PolicyArn")


class _Boundary(_Written):
    arn: str = Field(alias="PermissionsBoundaryArn")


_Arn = Annotated[str, Field(alias="Arn", pattern=r"^arn:[^:]+:iam::[0-9]{12}:[a-z]+/.+$")]


class _Group(_Written):
    arn: _Arn
    name: str = Field(alias="GroupName")
    inline: tuple[_Inline, ...] = Field(default=(), alias="GroupPolicyList")
    attached: tuple[_Attached, ...] = Field(default=(), alias="AttachedManagedPolicies")


class _User(_Written):
    arn: _Arn
    inline: tuple[_Inline, ...] = Field(default=(), alias="UserPolicyList")
    attached: tuple[_Attached, ...] = Field(default=(), alias="AttachedManagedPolicies")
    boundary: _Boundary | None = Field(default=None, alias="PermissionsBoundary")
    groups: tuple[str, ...] = Field(default=(), alias="GroupList")


class _Role(_Written):
    arn: _Arn
    trust: _Document = Field(alias="AssumeRolePolicyDocument")
    inline: tuple[_Inline, ...] = Field(default=(), alias="RolePolicyList")
    attached: tuple[_Attached, ...] = Field(default=(), alias="AttachedManagedPolicies")
    boundary: _Boundary | None = Field(default=None, alias="PermissionsBoundary")
    profiles: tuple[Any, ...] = Field(default=(), alias="InstanceProfileList")
    groups: tuple[str, ...] = ()


class _Version(_Written):
    id: str = Field(alias="VersionId")
    document: _Document = Field(alias="Document")


class _Managed(_Written):
    arn: str = Field(alias="Arn")
    default: str = Field(alias="DefaultVersionId")
    versions: tuple[_Version, ...] = Field(default=(), alias="PolicyVersionList")


class _Details(_Written):
    users: tuple[_User, ...] = Field(alias="UserDetailList")
    roles: tuple[_Role, ...] = Field(alias="RoleDetailList")
    # What these lack is found missing with whoever has it.
    groups: tuple[_Group, ...] = Field(default=(), alias="GroupDetailList")
    policies: tuple[_Managed, ...] = Field(default=(), alias="Policies")
    is_truncated: bool = Field(default=False, alias="IsTruncated")
    next_token: str | None = Field(default=None, alias="NextToken")


def _missing(listing: _Details) -> Iterator[Fault]:
    """What is referred to and does not stand there."""
    whole = f"print all of it with {COMMAND}, without --filter, --max-items and --no-paginate"
    if listing.is_truncated or listing.next_token:
        yield Fault(
            where=("IsTruncated",), value=True, rule="this is only a part of the account", fix=whole
        )
    known = {it.arn for it in listing.policies if any(one.id == it.default for one in it.versions)}
    holders: dict[str, tuple[_User | _Group | _Role, ...]] = {
        "UserDetailList": listing.users,
        "GroupDetailList": listing.groups,
        "RoleDetailList": listing.roles,
    }
    for kind, some in holders.items():
        for it in some:
            for arn in sorted({one.arn for one in it.attached} - known):
                rule = f"the policy {arn} is attached, and its text does not stand under Policies"
                yield Fault(where=(kind, it.arn), rule=rule, fix=whole)
    names = {it.name for it in listing.groups}
    for user in listing.users:
        for name in sorted(set(user.groups) - names):
            yield Fault(
                where=("UserDetailList", user.arn),
                rule=f"the group {name} does not stand under GroupDetailList",
                fix=whole,
            )


def _identity(it: _Role | _User, groups: list[_Group], policies: Mapping[str, Policy]) -> Identity:
    holders: tuple[_Role | _User | _Group, ...] = (it, *groups)
    managed = [one.arn for holder in holders for one in holder.attached]
    inline = [one.document for holder in holders for one in holder.inline]
    profiles = it.profiles if isinstance(it, _Role) else ()
    return Identity(
        arn=it.arn,
        policies=(*inline, *(policies[arn] for arn in managed)),
        boundary_arn=it.boundary.arn if it.boundary else None,
        boundary=policies.get(it.boundary.arn) if it.boundary else None,
        trust=it.trust if isinstance(it, _Role) else NO_POLICY,
        managed=frozenset(managed),
        groups=frozenset(group.arn for group in groups),
        has_inline=bool(it.inline),
        has_attached=bool(it.attached),
        has_profile=bool(profiles),
    )
