"""The roles and users of an account, with all of their policies, as IAM lists them."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Final

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails

from container_images.access.policy import NO_POLICY, Policy, account_in, parse
from container_images.policies.invalid_input import ABSENT, InvalidInputError, Problem, parse_json

_COMMAND: Final = "aws iam get-account-authorization-details"
_PRINT: Final = f"print them with {_COMMAND} --output json"


@dataclass(frozen=True, kw_only=True, eq=False)
class Identity:
    """A role or a user of an account, or one that could be made."""

    arn: str
    """A pattern, where the name may be chosen."""
    policies: tuple[Policy, ...] = ()
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

    @property
    def account(self) -> str:
        """The account that holds it."""
        return account_in(self.arn)

    @property
    def partition(self) -> str:
        """The AWS partition of that account."""
        return self.arn.split(":")[1]

    @property
    def iam(self) -> str:
        """What the ARNs of all roles, users and policies of that account begin with."""
        return f"arn:{self.partition}:iam::{self.account}:"

    @property
    def unique(self) -> tuple[str, ...]:
        """What nobody else has: account, kind and name, in which letters' case does not count."""
        return self.account, self.kind, self.arn.rpartition("/")[2].lower()

    @property
    def is_role(self) -> bool:
        """Whether it is a role, and not a user."""
        return ":role/" in self.arn

    @property
    def kind(self) -> str:
        """The same as in the names of IAM's actions."""
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
    try:
        listing = _Details.model_validate(details)
    except ValidationError as error:
        raise InvalidInputError([one for it in error.errors() for one in _problems(it)]) from None
    managed = {
        it.arn: one.policy
        for it in listing.policies
        for one in it.versions
        if one.version == it.default
    }
    groups = {it.name: it for it in listing.groups}
    if problems := list(_missing(listing, managed, groups)):
        raise InvalidInputError(problems)
    return Listing(
        identities=tuple(
            _identity(it, [it, *(groups[name] for name in it.group_names)], managed)
            for it in (*listing.roles, *listing.users)
        ),
        managed=managed,
    )


_HAVE: Final = {
    "missing": "this key, which is missing",
    "model_type": "an object here",
    "tuple_type": "a list here",
    "string_type": "a text here",
    "string_pattern_mismatch": "the ARN of a role, a user or a group here",
}
"""What stands where pydantic finds an error of this type."""


def _problems(error: ErrorDetails) -> Iterator[Problem]:
    """An error of pydantic's. Of a policy, those that its own reader found."""
    where, problem = error["loc"], error.get("ctx", {}).get("error")
    if isinstance(problem, InvalidInputError):
        yield from (it.under(*where) for it in problem.problems)
        return
    yield Problem(
        where=where,
        value=ABSENT if error["type"] == "missing" else error["input"],
        rule=f"authorization details have {_HAVE.get(error['type'], 'another value here')}",
        fix=_PRINT,
    )


def merged(accounts: list[Listing]) -> Listing:
    """Several listings as one."""
    return Listing(
        identities=tuple(it for account in accounts for it in account.identities),
        managed={arn: it for account in accounts for arn, it in account.managed.items()},
    )


# --- As IAM writes it -----------------------------------------------------------------------------
# https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html


_Document = Annotated[Any, BeforeValidator(parse)]


class _Text(BaseModel):
    """An inline policy, or a version of a managed one."""

    policy: _Document = Field(validation_alias=AliasChoices("PolicyDocument", "Document"))
    version: str = Field(default="", alias="VersionId")


class _Reference(BaseModel):
    arn: str = Field(validation_alias=AliasChoices("PolicyArn", "PermissionsBoundaryArn"))


class _Holder(BaseModel):
    """A user, a group or a role."""

    arn: str = Field(alias="Arn", pattern=r"^arn:[^:]+:iam::[0-9]{12}:[a-z]+/.+$")
    inline: tuple[_Text, ...] = Field(
        default=(),
        validation_alias=AliasChoices("UserPolicyList", "GroupPolicyList", "RolePolicyList"),
    )
    attached: tuple[_Reference, ...] = Field(default=(), alias="AttachedManagedPolicies")
    boundary: _Reference | None = Field(default=None, alias="PermissionsBoundary")
    trust: Any = NO_POLICY
    group_names: tuple[str, ...] = Field(default=(), alias="GroupList")


class _Group(_Holder):
    name: str = Field(alias="GroupName")


class _Role(_Holder):
    trust: _Document = Field(alias="AssumeRolePolicyDocument")


class _Managed(BaseModel):
    arn: str = Field(alias="Arn")
    default: str = Field(alias="DefaultVersionId")
    versions: tuple[_Text, ...] = Field(default=(), alias="PolicyVersionList")


class _Details(BaseModel):
    users: tuple[_Holder, ...] = Field(alias="UserDetailList")
    roles: tuple[_Role, ...] = Field(alias="RoleDetailList")
    # What these lack is found missing with whoever has it.
    groups: tuple[_Group, ...] = Field(default=(), alias="GroupDetailList")
    policies: tuple[_Managed, ...] = Field(default=(), alias="Policies")
    is_truncated: bool = Field(default=False, alias="IsTruncated")
    next_token: str | None = Field(default=None, alias="NextToken")


def _missing(
    listing: _Details, managed: Collection[str], groups: Collection[str]
) -> Iterator[Problem]:
    """What is referred to and does not stand there."""
    whole = f"print all of it with {_COMMAND}, without --filter, --max-items and --no-paginate"
    if listing.is_truncated or listing.next_token:
        yield Problem(
            where=("IsTruncated",), value=True, rule="this is only a part of the account", fix=whole
        )
    lists = ("UserDetailList", "GroupDetailList", "RoleDetailList")
    for kind, some in zip(lists, (listing.users, listing.groups, listing.roles), strict=True):
        for it in some:
            for arn in sorted({one.arn for one in it.attached}.difference(managed)):
                rule = f"the policy {arn} is attached, but its text is missing from Policies"
                yield Problem(where=(kind, it.arn), rule=rule, fix=whole)
            for name in sorted(set(it.group_names).difference(groups)):
                rule = f"the group {name} is missing from GroupDetailList"
                yield Problem(where=(kind, it.arn), rule=rule, fix=whole)


def _identity(it: _Holder, holders: list[_Holder], policies: Mapping[str, Policy]) -> Identity:
    """A role or a user; `holders` are itself and its groups."""
    managed = [one.arn for holder in holders for one in holder.attached]
    inline = [one.policy for holder in holders for one in holder.inline]
    return Identity(
        arn=it.arn,
        policies=(*inline, *(policies[arn] for arn in managed)),
        boundary_arn=it.boundary.arn if it.boundary else None,
        boundary=policies.get(it.boundary.arn) if it.boundary else None,
        trust=it.trust,
        managed=frozenset(managed),
        groups=frozenset(group.arn for group in holders[1:]),
    )
