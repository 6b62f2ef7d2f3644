"""Pure: every way to come to act as somebody else in an account, and the calls that it takes.

Nobody has to hold only what they were given. Whoever may assume a role, pass it to compute, rewrite
its trust or its policies, or make one anew by its name, can have what it has. A way that may need
more than what stands here is listed with less: no ability is left out.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, Final

from registry.account import Account, Identity
from registry.compute import COMPUTE, Compute
from registry.evaluation import (
    ASSUME_ROLE,
    EVERYTHING,
    Policy,
    Principal,
    Request,
    Statement,
    fits,
    may,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Way:
    """A way to become somebody. All of the calls are needed, made by whomever one is already."""

    to: Principal
    calls: tuple[Request, ...]
    held: Principal | None = None
    """Who one has to be already, where the way only changes what that one may do."""
    then: str = ""
    """The action that follows, and which these calls have made possible."""


class Ways:
    """The ways through one account, or through several."""

    def __init__(self, account: Account, listed: Collection[str], scps: tuple[Policy, ...]) -> None:
        """`listed` are the ARNs that a guard names, of roles that exist or do not."""
        self._account = account
        self._scps = scps
        self.principals = {
            it.arn: Principal(
                arn=it.arn,
                account=it.account,
                named=it.arn,
                policies=it.policies,
                boundary=it.boundary,
                # An organization's policies do not bind what belongs to AWS's services. See
                # https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html
                scps=() if it.is_service_linked else scps,
            )
            for it in account.identities
        }
        """The account's roles and users as they are, by ARN."""
        self._requests: dict[tuple[Any, ...], Request] = {}
        self.all: list[Way] = []
        for it in account.identities:
            if not it.is_service_linked:
                self.all += self._into(it)
                self.all += self._changing(it)
        for iam in sorted({_iam_of(it.arn) for it in account.identities}):
            here = sorted(it for it in listed if it.startswith(iam))
            self.all += self._new(iam, [*self.principals, *here])
            for arn in here:
                if "*" not in arn and "?" not in arn:
                    self.all += self._by_name(arn)

    # --- Becoming somebody who exists -------------------------------------------------------------

    def _into(self, it: Identity) -> Iterator[Way]:
        to = self.principals[it.arn]
        if not it.is_role:
            # https://docs.aws.amazon.com/IAM/latest/UserGuide/security-creds.html
            for action in ("CreateAccessKey", "CreateLoginProfile", "UpdateLoginProfile"):
                yield Way(to=to, calls=(self._iam(action, it.arn),))
            return
        named = {name for statement in it.trust.statements for name in statement.principals}
        anybodys = Policy(tuple(one for one in it.trust.statements if not is_pinned(one)))
        assumed = {ASSUME_ROLE: it.trust}
        if any(name.startswith(FEDERATED) for name in named):
            assumed |= dict.fromkeys(_WITH_FEDERATION, anybodys)
        for action, trust in assumed.items():
            request = Request(
                action=action, resource=it.arn, account=it.account, policy=trust, is_trust=True
            )
            yield Way(to=to, calls=(request,))
        rewritten = self._iam("UpdateAssumeRolePolicy", it.arn)
        yield Way(to=to, calls=(rewritten,), then=ASSUME_ROLE)
        yield from self._through_compute(it, to)

    def _through_compute(self, it: Identity, to: Principal) -> Iterator[Way]:
        named = {
            name
            for statement in it.trust.statements
            if statement.allows
            for name in statement.principals
        }
        open_to_all = "*" in named or any(one.all_but_principals for one in it.trust.statements)
        services = {name.removeprefix(SERVICE) for name in named if name.startswith(SERVICE)}
        if open_to_all:
            services |= {entry.service for entry in COMPUTE}
        for service in sorted(services):
            # In China the names of some services end so.
            entries = [one for one in COMPUTE if one.service == service.removesuffix(".cn")]
            for entry in entries:
                yield from self._through(entry, service, it, to)
            if not entries and _serves(it, service):
                # What this service does with a role is not known here, so it may be anything.
                yield Way(to=to, calls=(self._passed(it, service),))

    def _through(self, entry: Compute, service: str, it: Identity, to: Principal) -> Iterator[Way]:
        place = {"partition": it.arn.split(":")[1], "account": it.account}
        calls = [
            self._request(it.account, action, pattern.format(**place))
            for action, pattern in entry.calls
        ]
        before = [self._passed(it, service)] if entry.passes else []
        if entry.passes and entry.service == _EC2 and not it.has_profile:
            # An instance takes a role in an instance profile.
            profile = f"{_iam_of(it.arn)}instance-profile/*"
            before.append(self._iam("AddRoleToInstanceProfile", profile))
        if not entry.source:
            if _serves(it, service):
                yield Way(to=to, calls=(*before, *calls))
            return
        for source in _sources(it, calls[0].resource):
            if _serves(it, service, source):
                first = self._request(it.account, calls[0].action, source)
                yield Way(to=to, calls=(*before, first, *calls[1:]))

    def _passed(self, it: Identity, service: str) -> Request:
        return self._iam("PassRole", it.arn, ("iam:passedtoservice", service))

    # --- Changing what somebody may do ------------------------------------------------------------

    def _changing(self, it: Identity) -> Iterator[Way]:
        """What whoever is this one already may get out of it."""
        as_is = self.principals[it.arn]
        states = {as_is: replace(as_is, policies=(EVERYTHING,))}
        yield from _each(states[as_is], self._grants(it), held=as_is)
        statements = [one for policy in it.policies for one in policy.statements]
        granted = [one for one in statements if one.allows]
        if granted != statements:
            undenied = replace(as_is, policies=(Policy(tuple(granted)),))
            states[undenied] = states[as_is]
            yield from _each(undenied, self._revocations(it), held=as_is)
        if it.boundary is None:
            return
        unbound = {state: replace(state, boundary=None) for state in {*states, *states.values()}}
        for state, free in unbound.items():
            yield from _each(free, self._releases(it), held=state)
            if state in states:
                yield from _each(unbound[states[state]], self._grants(it), held=free)

    def _grants(self, it: Identity) -> list[Request]:
        """Any one of these gives it what its caller likes: new text, or another policy's."""
        bounded = ("iam:permissionsboundary", it.boundary_arn or "")
        if it.is_role:
            own = [self._iam(f"{verb}RolePolicy", it.arn, bounded) for verb in ("Put", "Attach")]
        else:
            own = [self._iam(f"{verb}UserPolicy", it.arn, bounded) for verb in ("Put", "Attach")]
            own.append(self._iam("AddUserToGroup", f"{_iam_of(it.arn)}group/*"))
        groups = [
            self._iam(f"{verb}GroupPolicy", group)
            for group in sorted(it.groups)
            for verb in ("Put", "Attach")
        ]
        return [*own, *groups, *self._rewrites(it.managed)]

    def _revocations(self, it: Identity) -> list[Request]:
        """Any one of these takes something from it that denies."""
        kind = "Role" if it.is_role else "User"
        own = [self._iam(f"{verb}{kind}Policy", it.arn) for verb in ("Delete", "Detach")]
        groups = [
            self._iam(action, group)
            for group in sorted(it.groups)
            for action in ("DeleteGroupPolicy", "DetachGroupPolicy", "RemoveUserFromGroup")
        ]
        return [*own, *groups]

    def _releases(self, it: Identity) -> list[Request]:
        """Any one of these takes its permissions boundary away."""
        kind = "Role" if it.is_role else "User"
        own = [self._iam(f"{verb}{kind}PermissionsBoundary", it.arn) for verb in ("Delete", "Put")]
        return [*own, *self._rewrites({it.boundary_arn or ""})]

    def _rewrites(self, policies: Iterable[str]) -> list[Request]:
        """Any one of these changes what a managed policy says. AWS's own nobody can change."""
        return [
            self._iam(action, arn)
            for arn in sorted(policies)
            if ":iam::aws:policy/" not in arn
            for action in ("CreatePolicyVersion", "SetDefaultPolicyVersion")
        ]

    # --- Making somebody --------------------------------------------------------------------------

    def _new(self, iam: str, taken: Collection[str]) -> Iterator[Way]:
        """Roles and users of any name that is free, and with any policy."""
        for boundary_arn, boundary in self._boundaries:
            bounded = ("iam:permissionsboundary", boundary_arn)
            for kind, rest in _MAKING.items():
                pattern = f"{iam}{kind.lower()}/*"
                others = frozenset(it for it in taken if fits(pattern, it))
                to = Principal(
                    arn=pattern,
                    account=_account_of(iam),
                    named="",
                    policies=(EVERYTHING,),
                    boundary=boundary,
                    scps=self._scps,
                    is_not=others,
                )
                create = self._iam(f"Create{kind}", pattern, bounded, but=others)
                grants = [
                    self._iam(f"{verb}{kind}Policy", pattern, bounded, but=others)
                    for verb in ("Put", "Attach")
                ]
                if kind == "User":
                    grants.append(self._iam("AddUserToGroup", f"{iam}group/*"))
                for grant, sign_in in product(grants, rest):
                    keys = [self._iam(sign_in, pattern, but=others)] if sign_in else []
                    then = "" if sign_in else ASSUME_ROLE
                    yield Way(to=to, calls=(create, grant, *keys), then=then)

    def _by_name(self, arn: str) -> Iterator[Way]:
        """The role or the user with exactly this ARN, made anew: a guard knows them by ARN.

        Names are unique in an account whatever the path, so one that has the name has to go first.
        """
        kind = "Role" if ":role/" in arn else "User"
        same = (it for it in self._account.identities if _name_of(it.arn) == _name_of(arn))
        removal = [call for it in same for call in self._removal(it)]
        for boundary_arn, boundary in self._boundaries:
            bounded = ("iam:permissionsboundary", boundary_arn)
            bare = Principal(
                arn=arn, account=_account_of(arn), named="", boundary=boundary, scps=self._scps
            )
            create = self._iam(f"Create{kind}", arn, bounded)
            for sign_in in _MAKING[kind]:
                keys = [self._iam(sign_in, arn)] if sign_in else []
                then = "" if sign_in else ASSUME_ROLE
                yield Way(to=bare, calls=(*removal, create, *keys), then=then)
            grants = [self._iam(f"{verb}{kind}Policy", arn, bounded) for verb in ("Put", "Attach")]
            yield from _each(replace(bare, policies=(EVERYTHING,)), grants, held=bare)

    def _removal(self, it: Identity) -> Iterator[Request]:
        """IAM deletes nobody who still has policies, and no role that is in an instance profile.

        https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html
        """
        kind = "Role" if it.is_role else "User"
        if it.has_inline:
            yield self._iam(f"Delete{kind}Policy", it.arn)
        if it.has_attached:
            yield self._iam(f"Detach{kind}Policy", it.arn)
        if it.has_profile:
            yield self._iam("RemoveRoleFromInstanceProfile", f"{_iam_of(it.arn)}instance-profile/*")
        yield self._iam(f"Delete{kind}", it.arn)

    @cached_property
    def _boundaries(self) -> list[tuple[str, Policy | None]]:
        """What may limit a new role: nothing, or what somebody's policies demand for it."""
        found: list[tuple[str, Policy | None]] = [("", None)]
        wanted = {
            value
            for policy in self._account.policies
            for statement in policy.statements
            for condition in statement.conditions
            if condition.key == "iam:permissionsboundary"
            for value in condition.values
        }
        for value in sorted(wanted):
            listed = sorted(arn for arn in self._account.managed if fits(value, arn))
            found += ((arn, self._account.managed[arn]) for arn in listed)
            if not listed or "*" in value:
                # One that is not listed, or that may be made first: it may allow everything.
                found.append((value.replace("*", "any").replace("?", "a"), None))
        return found

    # --- Calls ------------------------------------------------------------------------------------

    def _iam(
        self,
        action: str,
        resource: str,
        *context: tuple[str, str],
        but: frozenset[str] = frozenset(),
    ) -> Request:
        return self._request(_account_of(resource), f"iam:{action}", resource, *context, but=but)

    def _request(
        self,
        account: str,
        action: str,
        resource: str,
        *context: tuple[str, str],
        but: frozenset[str] = frozenset(),
    ) -> Request:
        """A call about something of its caller's account. There is one object for each."""
        key = (account, action, resource, context)
        if key not in self._requests:
            self._requests[key] = Request(
                action=action, resource=resource, account=account, context=context, but=but
            )
        return self._requests[key]


SERVICE: Final = "service:"
FEDERATED: Final = "federated:"
_EC2: Final = "ec2.amazonaws.com"

_WITH_FEDERATION: Final = ("sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML")

_MAKING: Final[Mapping[str, tuple[str, ...]]] = {
    "Role": ("",),  # its trust policy is its creator's
    "User": ("CreateAccessKey", "CreateLoginProfile"),
}
"""What it takes besides to act as a new role, or as a new user."""


def is_pinned(statement: Statement) -> bool:
    """Whether a statement of a trust policy is about exact subjects of a federation.

    Such as the jobs of one environment in GitHub Actions. Any other is about whomever the
    federation vouches for.
    """
    return any(
        it.operator == "StringEquals" and it.key.endswith(":sub") for it in statement.conditions
    )


def _each(to: Principal, calls: Iterable[Request], *, held: Principal) -> Iterator[Way]:
    """As many ways as calls: one of them is enough."""
    return (Way(to=to, calls=(call,), held=held) for call in calls)


def _iam_of(arn: str) -> str:
    """What the ARNs of all roles, users and policies of an account begin with."""
    return arn[: arn.index(":", arn.index(":iam::") + len(":iam::")) + 1]


def _account_of(arn: str) -> str:
    return arn.split(":")[4]


def _name_of(arn: str) -> tuple[str, str, str]:
    """What has to be unique: account, kind and name, in which letters' case does not count."""
    return _account_of(arn), arn.split(":")[5].partition("/")[0], arn.rpartition("/")[2].lower()


def _serves(it: Identity, service: str, source: str = "") -> bool:
    """Whether the role's trust policy lets the service assume it, for the sake of this source."""
    principal = Principal(arn="", account="", named=f"{SERVICE}{service}")
    context = [("aws:sourceaccount", it.account)] if source else []
    if source and "*" not in source and "?" not in source:
        context.append(("aws:sourcearn", source))
    request = Request(
        action=ASSUME_ROLE,
        resource=it.arn,
        account=it.account,
        policy=it.trust,
        is_trust=True,
        context=tuple(context),
    )
    return may(principal, request)


def _sources(it: Identity, pattern: str) -> list[str]:
    """For which resources a service may assume the role: those of its trust policy, or any."""
    named = {
        value
        for statement in it.trust.statements
        for condition in statement.conditions
        if condition.key == "aws:sourcearn"
        for value in condition.values
    }
    return sorted({it for it in named if "${" not in it}) or [pattern]
