"""The steps of privilege-escalation paths through an account, and the calls that each takes.

Whoever may assume a role, pass it to compute, change its trust policy or its permissions, or make
one anew by its name, can use its permissions. A step that may need more calls than stand here is
listed with fewer: no ability is left out.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations
from typing import Any, Final

from registry.access.account import Identity, Listing
from registry.access.compute import Compute, ways_through_compute
from registry.access.evaluation import Principal, Request, may
from registry.access.policy import (
    ANY,
    ASSUME_ROLE,
    EVERYTHING,
    FEDERATED,
    SERVICE,
    Policy,
    Statement,
    account_in,
    fits,
    is_pattern,
)
from registry.access.solver import meet


@dataclass(frozen=True, kw_only=True, eq=False)
class Escalation:
    """Calls that give access to a principal. All are needed, by any principals reached so far."""

    to: Principal
    calls: tuple[Request, ...]
    held: Principal | None = None
    """Who one has to be already, where the way only changes what that one may do."""
    then: str = ""
    """The action that follows, which these calls have made possible: no permission is asked for."""


_Bound = tuple[str, Policy | None]
"""A permissions boundary: its ARN, or nothing; and what it says, None for anything."""

_UNBOUND: Final[_Bound] = ("", None)
_ANY_BOUND: Final[_Bound] = (ANY, None)

_CHANGES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "grant": {
        "Role": ("PutRolePolicy", "AttachRolePolicy"),
        "User": ("PutUserPolicy", "AttachUserPolicy"),
        "AnyGroup": ("AddUserToGroup",),
        "Group": ("PutGroupPolicy", "AttachGroupPolicy"),
    },
    "revoke": {
        "Role": ("DeleteRolePolicy", "DetachRolePolicy"),
        "User": ("DeleteUserPolicy", "DetachUserPolicy"),
        "AnyGroup": (),
        "Group": ("DeleteGroupPolicy", "DetachGroupPolicy", "RemoveUserFromGroup"),
    },
}
"""IAM's calls of which any one gives a role or a user what its caller likes, or takes from it what
denies: on itself, on any group that a user may join, on a group that it is in."""

_Levels = list[dict[_Bound, Principal]]
"""Somebody with more and more permissions, each time with each boundary."""


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """Whom a call of IAM's is about: a role or a user."""

    arn: str
    """A pattern, where the name may be chosen."""
    but: frozenset[str] = frozenset()
    """ARNs that fit the pattern and are others'."""
    managed: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    """ARNs of its managed policies, and of its groups."""
    is_protected: bool = False
    """Whether nobody can change it. What its managed policies say can be changed all the same."""


class Escalations:
    """Every escalation in one account, or in several."""

    def __init__(
        self,
        account: Listing,
        listed: Collection[str],
        scps: tuple[Policy, ...] = (),
        homes: Collection[str] = (),
    ) -> None:
        """`listed` are the ARNs, or patterns of ARNs, that a guard names.

        `scps` bind the principals of the accounts `homes`, whose service control policies they are.
        """
        self._account = account
        self._scps, self._homes = scps, homes
        self._listed = sorted(listed)
        self._names: dict[tuple[str, ...], list[Identity]] = defaultdict(list)
        for it in account.identities:
            self._names[_name_of(it.arn)].append(it)
        self.principals = {
            it.arn: Principal(
                arn=it.arn,
                account=it.account,
                named=it.arn,
                policies=it.policies,
                boundary=it.boundary,
                # An organization's policies do not bind what belongs to AWS's services. See
                # https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html
                scps=() if it.is_service_linked else self._scps_of(it.account),
            )
            for it in account.identities
        }
        """The account's roles and users as they are, by ARN."""
        self._requests: dict[tuple[Any, ...], Request] = {}
        self.all: list[Escalation] = []
        for it in account.identities:
            if not it.is_service_linked:
                self.all += self._into(it)
                bound = (it.boundary_arn or "", it.boundary)
                target = _Subject(
                    arn=it.arn, managed=it.managed, groups=it.groups, is_protected=it.is_protected
                )
                levels = self._reshaped(self.principals[it.arn], bound, target)
                if not it.is_role:
                    self._renamed(it, bound, levels)
            if not it.is_protected:
                self._made(_Subject(arn=it.arn), self._removals(it.arn))
        for iam in sorted({_iam_of(it.arn) for it in account.identities}):
            exact = [it for it in self._listed if it.startswith(iam) and not is_pattern(it)]
            for kind in ("role", "user"):
                for arn in exact:
                    if arn.startswith(f"{iam}{kind}/") and arn not in self.principals:
                        self._made(_Subject(arn=arn), self._removals(arn))
                pattern = f"{iam}{kind}/*"
                taken = frozenset(it for it in (*self.principals, *exact) if fits(pattern, it))
                self._made(_Subject(arn=pattern, but=taken), [])

    def _scps_of(self, account: str) -> tuple[Policy, ...]:
        return self._scps if account in self._homes else ()

    # --- Becoming somebody who exists -------------------------------------------------------------

    def _into(self, it: Identity) -> Iterator[Escalation]:
        to = self.principals[it.arn]
        if not it.is_role:
            for action in _SIGNING_IN:
                yield Escalation(to=to, calls=(self._iam(action, it.arn),))
            return
        yield Escalation(to=to, calls=(_assuming(it, ASSUME_ROLE, it.trust),))
        if not it.is_protected:
            rewritten = self._iam("UpdateAssumeRolePolicy", it.arn)
            yield Escalation(to=to, calls=(rewritten,), then=ASSUME_ROLE)
        yield from self._through_federations(it, to)
        yield from self._through_compute(it, to)

    def _through_federations(self, it: Identity, to: Principal) -> Iterator[Escalation]:
        federations = sorted(name for name in it.trust.admitted if name.startswith(FEDERATED))
        if federations:
            anybodys = Policy(tuple(one for one in it.trust.statements if not is_pinned(one)))
            for action in _WITH_FEDERATION:
                yield Escalation(to=to, calls=(_assuming(it, action, anybodys),))
        for name in federations:
            provider = name.removeprefix(FEDERATED)
            action = _WITH_SAML if ":saml-provider/" in provider else _WITH_WEB_IDENTITY
            identity = Principal(arn="", account="", named=name)
            if not may(identity, _assuming(it, action, it.trust)):
                continue
            if action == _WITH_SAML:
                # Whoever says what the provider is vouches for anybody.
                for verb in ("Update", "Create"):
                    change = self._iam(f"{verb}SAMLProvider", provider)
                    yield Escalation(to=to, calls=(change,), then=action)
            elif _EKS in provider:
                # Whoever may do something in a cluster runs a pod as the service account.
                # https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html
                for entry in ways_through_compute():
                    if entry.service == _POD_IDENTITY and not entry.passes:
                        yield Escalation(to=to, calls=tuple(self._calls(entry, it)))
                jobs = f"arn:{_partition_of(it.arn)}:emr-containers:*:{it.account}:*"
                job = self._request(it.account, "emr-containers:StartJobRun", jobs)
                yield Escalation(to=to, calls=(job,))

    def _through_compute(self, it: Identity, to: Principal) -> Iterator[Escalation]:
        named = it.trust.admitted
        services = {name.removeprefix(SERVICE) for name in named if name.startswith(SERVICE)}
        if ANY in named:
            services |= {entry.service for entry in ways_through_compute()}
        for service in sorted(services):
            entries = [one for one in ways_through_compute() if one.service == _plain(service)]
            for entry in entries:
                yield from self._through(entry, service, it, to)
            if not entries and _serves(it, service):
                # What this service does with a role is not known here, so it may be anything.
                yield Escalation(to=to, calls=(self._passed(it, service),))

    def _through(
        self, entry: Compute, service: str, it: Identity, to: Principal
    ) -> Iterator[Escalation]:
        calls = self._calls(entry, it)
        before = [self._passed(it, service)] if entry.passes else []
        if entry.passes and entry.service == _EC2 and not it.has_profile:
            # An instance takes a role in an instance profile.
            profile = f"{_iam_of(it.arn)}instance-profile/*"
            before.append(self._iam("AddRoleToInstanceProfile", profile))
        first, *rest = calls
        for source in _sources(it, service, first.resource) if entry.source else [""]:
            if _serves(it, service, source):
                begin = self._request(it.account, first.action, source) if source else first
                yield Escalation(to=to, calls=(*before, begin, *rest))

    def _calls(self, entry: Compute, it: Identity) -> list[Request]:
        place = {"partition": _partition_of(it.arn), "account": it.account}
        return [
            self._request(it.account, action, pattern.format(**place))
            for action, pattern in entry.calls
        ]

    def _passed(self, it: Identity, service: str) -> Request:
        # How a service of one Region is named in a request is not documented.
        regional = _plain(service) != service.removesuffix(".cn")
        context = [] if regional else [("iam:passedtoservice", service)]
        return self._iam("PassRole", it.arn, *context)

    # --- Changing what somebody may do ------------------------------------------------------------

    def _reshaped(self, base: Principal, bound: _Bound, it: _Subject) -> _Levels:
        """What whoever is this one already may get out of it, by its policies and its boundary.

        First with the policies that it has, last with all that there could be.
        """
        known = [bound, *self._boundaries]
        if bound[0]:
            # One of AWS's own, which sets no bounds.
            partition = _partition_of(it.arn)
            known.append((f"arn:{partition}:iam::aws:policy/AdministratorAccess", None))
        rewritten = ((arn, None) for arn, policy in known if policy)
        bounds = list(dict.fromkeys((*known, *rewritten)))
        own = {one: replace(base, boundary=one[1]) for one in bounds} | {bound: base}
        statements = [one for policy in base.policies for one in policy.statements]
        granted = tuple(one for one in statements if one.allows)
        levels = [own]
        if len(granted) < len(statements):
            undenied = Policy(granted)
            levels.append({one: replace(own[one], policies=(undenied,)) for one in bounds})
            for one in bounds:
                self.all += _each(levels[1][one], self._changes("revoke", it), held=own[one])
        everything = {one: replace(own[one], policies=(EVERYTHING,)) for one in bounds}
        for one in bounds:
            for level in levels:
                self.all += _each(
                    everything[one],
                    (*self._changes("grant", it, one), *self._rewrites(it.managed)),
                    held=level[one],
                )
        for before, after in permutations(bounds, 2):
            for level in (*levels, everything):
                calls = self._rebindings(it, before, after)
                self.all += _each(level[after], calls, held=level[before])
        return [*levels, everything]

    def _renamed(self, it: Identity, bound: _Bound, levels: _Levels) -> None:
        """A user may be given any name that is free, or has been made free."""
        iam = _iam_of(it.arn)
        rename = self._iam("UpdateUser", it.arn)
        names = [f"{iam}user/*", *(arn for arn in self._listed if arn.startswith(f"{iam}user/"))]
        for arn in dict.fromkeys(names):
            if arn == it.arn:
                continue
            away = [self._iam("UpdateUser", arn)] if arn in self.principals else []
            others = frozenset(self.principals) if is_pattern(arn) else frozenset[str]()
            for level in levels:
                for state in level.values():
                    renamed = replace(state, arn=arn, is_not=others)
                    self.all.append(Escalation(to=renamed, calls=(*away, rename), held=state))
                    if state is levels[0][bound]:
                        target = _Subject(arn=arn, but=others, managed=it.managed, groups=it.groups)
                        self._reshaped(renamed, bound, target)

    def _changes(self, kind: str, it: _Subject, bound: _Bound = _ANY_BOUND) -> list[Request]:
        """Any one of these calls changes what it may do: see _CHANGES."""
        if it.is_protected:
            return []
        own = _kind(it.arn)
        any_group = [f"{_iam_of(it.arn)}group/*"] if own == "User" else []
        found = [
            self._iam(action, it.arn, *_bounded(bound), but=it.but)
            for action in _CHANGES[kind][own]
        ]
        for name, arns in (("AnyGroup", any_group), ("Group", sorted(it.groups))):
            found += (self._iam(action, arn) for arn in arns for action in _CHANGES[kind][name])
        return found

    def _rewrites(self, policies: Iterable[str]) -> list[Request]:
        """Any one of these changes what a managed policy says. AWS's own nobody can change."""
        return [
            self._iam(action, arn)
            for arn in sorted(policies)
            if ":iam::aws:policy/" not in arn
            for action in ("CreatePolicyVersion", "SetDefaultPolicyVersion")
        ]

    def _rebindings(self, it: _Subject, before: _Bound, after: _Bound) -> list[Request]:
        """Any one of these gives it another permissions boundary, or none, or changes its text."""
        if before[0] == after[0]:
            return self._rewrites({before[0]}) if after[1] is None else []
        if it.is_protected:
            return []
        action = f"{'Put' if after[0] else 'Delete'}{_kind(it.arn)}PermissionsBoundary"
        context = _bounded(after) if after[0] else []
        return [self._iam(action, it.arn, *context, but=it.but)]

    # --- Making somebody --------------------------------------------------------------------------

    def _made(self, it: _Subject, removals: Sequence[Request]) -> None:
        """A role or a user made anew, by its own name or by any that is free.

        It has no policy, and a Principal element that had its name meant who was there before.
        """
        account = account_in(it.arn)
        bare = Principal(
            arn=it.arn, account=account, named="", scps=self._scps_of(account), is_not=it.but
        )
        states = self._reshaped(bare, _UNBOUND, it)[0]
        for bound in self._boundaries:
            create = self._iam(f"Create{_kind(it.arn)}", it.arn, *_bounded(bound), but=it.but)
            made = (*removals, create)
            if _kind(it.arn) == "Role":
                # Its trust policy is its creator's.
                self.all.append(Escalation(to=states[bound], calls=made, then=ASSUME_ROLE))
            else:
                keys = (self._iam(sign_in, it.arn, but=it.but) for sign_in in _SIGNING_IN[:2])
                self.all += (Escalation(to=states[bound], calls=(*made, key)) for key in keys)

    def _removals(self, arn: str) -> list[Request]:
        """What it takes before a role or a user of this name can be made.

        Names are unique in an account whatever the path. IAM deletes nobody who still has policies,
        and no role that is in an instance profile.
        https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html
        """
        calls = []
        for it in self._names.get(_name_of(arn), ()):
            kind = _kind(it.arn)
            if it.has_inline:
                calls.append(self._iam(f"Delete{kind}Policy", it.arn))
            if it.has_attached:
                calls.append(self._iam(f"Detach{kind}Policy", it.arn))
            if it.has_profile:
                profile = f"{_iam_of(it.arn)}instance-profile/*"
                calls.append(self._iam("RemoveRoleFromInstanceProfile", profile))
            calls.append(self._iam(f"Delete{kind}", it.arn))
        return calls

    @cached_property
    def _boundaries(self) -> list[_Bound]:
        """What may limit a role: nothing, or what somebody's policies demand for others."""
        found = [_UNBOUND]
        wanted = {
            value.replace("${aws:PrincipalAccount}", account)
            for policy in (*self._account.policies, *self._scps)
            for statement in policy.statements
            for condition in statement.conditions
            if condition.key == "iam:permissionsboundary"
            for value in condition.values
            for account in {it.account for it in self._account.identities}
        }
        for value in sorted(wanted):
            listed = sorted(arn for arn in self._account.managed if fits(value, arn))
            found += ((arn, self._account.managed[arn]) for arn in listed)
            if is_pattern(value):
                # One that may be made first: it may allow everything, and have any name that fits.
                found.append(_ANY_BOUND)
            elif not listed:
                found.append((value, None))
        return list(dict.fromkeys(found))

    # --- Calls ------------------------------------------------------------------------------------

    def _iam(
        self, action: str, on: str, *context: tuple[str, str], but: frozenset[str] = frozenset()
    ) -> Request:
        return self._request(account_in(on), f"iam:{action}", on, context, but)

    def _request(
        self,
        account: str,
        action: str,
        resource: str,
        context: tuple[tuple[str, str], ...] = (),
        but: frozenset[str] = frozenset(),
    ) -> Request:
        """A call about something of its caller's account. There is one object for each."""
        key = (account, action, resource, context, but)
        if key not in self._requests:
            self._requests[key] = Request(
                action=action, resource=resource, account=account, context=context, but=but
            )
        return self._requests[key]


_EC2: Final = "ec2.amazonaws.com"
_POD_IDENTITY: Final = "pods.eks.amazonaws.com"
_EKS: Final = "oidc.eks."
_WITH_SAML: Final = "sts:AssumeRoleWithSAML"
_WITH_WEB_IDENTITY: Final = "sts:AssumeRoleWithWebIdentity"
_WITH_FEDERATION: Final = (_WITH_WEB_IDENTITY, _WITH_SAML)

_SIGNING_IN: Final = ("CreateAccessKey", "CreateLoginProfile", "UpdateLoginProfile")
"""What it takes to act as a user; a new one has no password to change.
https://docs.aws.amazon.com/IAM/latest/UserGuide/security-creds.html"""


def is_pinned(statement: Statement) -> bool:
    """Whether a statement of a trust policy is about exact subjects of a federation.

    Such as the jobs of one environment in GitHub Actions. Any other is about whomever the
    federation vouches for. Operators that an absent key meets pin nothing.
    """
    return any(
        it.operator.removeprefix("ForAnyValue:") in _EXACT
        and it.key.endswith(":sub")
        and not any("${" in value for value in it.values)
        and not ("Like" in it.operator and any(map(is_pattern, it.values)))
        for it in statement.conditions
    )


_EXACT: Final = ("StringEquals", "StringEqualsIgnoreCase", "StringLike")


def _bounded(bound: _Bound) -> list[tuple[str, str]]:
    """What a request says of a boundary. Nothing certain, where it may be any."""
    return [] if bound[0] == ANY else [("iam:permissionsboundary", bound[0])]


def _kind(arn: str) -> str:
    """Whether it is a role's or a user's, as in the names of IAM's actions."""
    return "Role" if ":role/" in arn else "User"


def _each(to: Principal, calls: Iterable[Request], *, held: Principal) -> Iterator[Escalation]:
    """As many ways as calls: one of them is enough."""
    return (Escalation(to=to, calls=(call,), held=held) for call in calls)


def _iam_of(arn: str) -> str:
    """What the ARNs of all roles, users and policies of an account begin with."""
    return arn[: arn.index(":", arn.index(":iam::") + len(":iam::")) + 1]


def _partition_of(arn: str) -> str:
    return arn.split(":")[1]


def _name_of(arn: str) -> tuple[str, ...]:
    """What has to be unique: account, kind and name, in which letters' case does not count."""
    return account_in(arn), arn.split(":")[5].partition("/")[0], arn.rpartition("/")[2].lower()


def _plain(service: str) -> str:
    """A service's name without a Region, and without the ending that some have in China."""
    return _REGION.sub("", service.removesuffix(".cn"))


_REGION: Final = re.compile(r"(?<=\.)[a-z]{2,4}(-[a-z]+)+-[0-9]+\.(?=amazonaws\.com$)")


def _assuming(it: Identity, action: str, trust: Policy) -> Request:
    return Request(action=action, resource=it.arn, account=it.account, policy=trust, is_trust=True)


def _serves(it: Identity, service: str, source: str = "") -> bool:
    """Whether the role's trust policy allows the service to assume it, for this source."""
    context = [("aws:sourceaccount", it.account)] if source else []
    if source and not is_pattern(source):
        context.append(("aws:sourcearn", source))
    request = replace(_assuming(it, ASSUME_ROLE, it.trust), context=tuple(context))
    return may(Principal(arn="", account="", named=f"{SERVICE}{service}"), request)


def _sources(it: Identity, service: str, pattern: str) -> list[str]:
    """For which resources, as far as they fit the pattern, the service may assume the role.

    Those that the trust policy names, where each Allow names some; or any.
    """
    found = []
    for statement in it.trust.statements:
        meant = {f"{SERVICE}{service}", ANY} & {*statement.principals}
        if not statement.allows or not (meant or statement.all_but_principals):
            continue
        named = [
            value
            for operator, key, values in statement.conditions
            if key == "aws:sourcearn" and operator in _POSITIVE
            for value in values
        ]
        if not named or any("${" in value for value in named):
            found.append(pattern)
        found += (
            pattern if is_pattern(value) and fits(value, pattern) else value
            for value in named
            if "${" not in value and meet(value, pattern)
        )
    return list(dict.fromkeys(found))


_POSITIVE: Final = ("StringEquals", "StringLike", "ArnEquals", "ArnLike")
