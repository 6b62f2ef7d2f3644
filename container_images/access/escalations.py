"""The steps of privilege-escalation paths through an account, and the calls that each takes.

Whoever may assume a role, pass it to compute, change its trust policy or its permissions, or make
one anew by its name, can use its permissions. A step that may need more calls than stand here is
listed with fewer: no ability is left out.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import permutations
from typing import Final

from container_images.access.account import Identity, Listing
from container_images.access.compute import Compute, ways_through_compute
from container_images.access.evaluation import Principal, Request, may
from container_images.access.policy import (
    ASSUME_ROLE,
    EVERYTHING,
    FEDERATED,
    SERVICE,
    Policy,
    Statement,
    account_in,
    is_pattern,
    policy_of,
)
from container_images.access.solver import meet
from container_images.policies.patterns import ANY, iam_glob


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

_CALLS: Final = (
    ("trust", "itself", "UpdateAssumeRolePolicy"),
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/security-creds.html
    ("sign in", "itself", "CreateAccessKey CreateLoginProfile UpdateLoginProfile"),
    ("sign in anew", "itself", "CreateAccessKey CreateLoginProfile"),
    ("allow", "itself", "Put{kind}Policy Attach{kind}Policy"),
    ("allow", "any group", "AddUserToGroup"),
    ("allow", "its groups", "PutGroupPolicy AttachGroupPolicy"),
    ("allow", "its policies", "CreatePolicyVersion SetDefaultPolicyVersion"),
    ("undeny", "itself", "Delete{kind}Policy Detach{kind}Policy"),
    ("undeny", "its groups", "DeleteGroupPolicy DetachGroupPolicy RemoveUserFromGroup"),
    ("bind", "itself", "Put{kind}PermissionsBoundary"),
    ("unbind", "itself", "Delete{kind}PermissionsBoundary"),
    ("rewrite", "its boundary", "CreatePolicyVersion SetDefaultPolicyVersion"),
)
"""What is done to a role or a user, what that is asked on, and the calls of which any one does it.

Its caller is trusted or signs in as it; it may do what its caller likes, or nothing is denied to it
any more; it has another permissions boundary, or none, or one of another text.
"""


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
            self._names[it.unique].append(it)
        self.principals = {it.arn: self._as_it_is(it, it.arn) for it in account.identities}
        """The account's roles and users as they are, by ARN."""
        self.all: list[Escalation] = []
        for it in account.identities:
            if not it.is_service_linked:
                to = self.principals[it.arn]
                self.all += self._into(it, to)
                levels = self._reshaped(to, it)
                if not it.is_role:
                    self._renamed(it, levels)
            if not it.is_protected:
                self._made(Identity(arn=it.arn))
        for iam in sorted({it.iam for it in account.identities}):
            exact = [it for it in self._listed if it.startswith(iam) and not is_pattern(it)]
            for kind in ("role", "user"):
                for arn in exact:
                    if arn.startswith(f"{iam}{kind}/") and arn not in self.principals:
                        self._made(Identity(arn=arn))
                pattern = f"{iam}{kind}/*"
                taken = frozenset(it for it in (*self.principals, *exact) if iam_glob(pattern, it))
                self._made(Identity(arn=pattern, but=taken))

    def _as_it_is(self, it: Identity, named: str) -> Principal:
        return Principal(
            arn=it.arn,
            account=it.account,
            named=named,
            policies=it.policies,
            boundary=it.boundary,
            # An organization's policies do not bind what belongs to AWS's services. See
            # https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html
            scps=self._scps if it.account in self._homes and not it.is_service_linked else (),
            is_not=it.but,
        )

    # --- Becoming somebody who exists -------------------------------------------------------------

    def _into(self, it: Identity, to: Principal) -> Iterator[Escalation]:
        if not it.is_role:
            yield from _each(to, _calls("sign in", it))
            return
        yield Escalation(to=to, calls=(_assuming(it, ASSUME_ROLE, it.trust),))
        yield from _each(to, _calls("trust", it), then=ASSUME_ROLE)
        yield from _through_federations(it, to)
        yield from _through_compute(it, to)

    # --- Changing what somebody may do ------------------------------------------------------------

    def _reshaped(self, base: Principal, it: Identity) -> list[dict[_Bound, Principal]]:
        """What whoever is this one already may get out of it, by its policies and its boundary.

        It with more and more permissions, each time with each boundary: first with the policies
        that it has, last with all that there could be.
        """
        bound = (it.boundary_arn or "", it.boundary)
        known = [bound, *self._boundaries]
        if it.boundary_arn:
            # One of AWS's own, which sets no bounds.
            known.append((f"arn:{it.partition}:iam::aws:policy/AdministratorAccess", None))
        bounds = list(dict.fromkeys((*known, *((arn, None) for arn, policy in known if policy))))
        statements = [one for policy in base.policies for one in policy.statements]
        granted = tuple(one for one in statements if one.allows)
        undenied = [(policy_of(granted),)] if len(granted) < len(statements) else []
        levels = [
            {one: replace(base, policies=policies, boundary=one[1]) for one in bounds}
            for policies in (base.policies, *undenied, (EVERYTHING,))
        ]
        levels[0][bound] = base
        own, *_, everything = levels
        for one in bounds:
            for level in levels[1:-1]:
                self.all += _each(level[one], _calls("undeny", it), held=own[one])
            for level in levels[:-1]:
                self.all += _each(everything[one], _calls("allow", it, one), held=level[one])
        for before, after in permutations(bounds, 2):
            if before[0] != after[0]:
                calls = _calls("bind", it, after) if after[0] else _calls("unbind", it)
            else:
                calls = _calls("rewrite", it, before) if after[1] is None else []
            for level in levels:
                self.all += _each(level[after], calls, held=level[before])
        return levels

    def _renamed(self, it: Identity, levels: list[dict[_Bound, Principal]]) -> None:
        """A user may be given any name that is free, or has been made free."""
        users = f"{it.iam}user/"
        names = [f"{users}*", *(arn for arn in self._listed if arn.startswith(users))]
        for arn in dict.fromkeys(names):
            if arn == it.arn:
                continue
            away = [_iam("UpdateUser", arn)] if arn in self.principals else []
            others = frozenset(self.principals) if is_pattern(arn) else frozenset[str]()
            for state in (state for level in levels for state in level.values()):
                renamed = replace(state, arn=arn, is_not=others)
                calls = (*away, _iam("UpdateUser", it.arn))
                self.all.append(Escalation(to=renamed, calls=calls, held=state))
                if state is self.principals[it.arn]:
                    self._reshaped(renamed, replace(it, arn=arn, but=others))

    # --- Making somebody --------------------------------------------------------------------------

    def _made(self, it: Identity) -> None:
        """A role or a user made anew, by its own name or by any that is free.

        It has no policy, and a Principal element that had its name meant who was there before.
        """
        states, *_ = self._reshaped(self._as_it_is(it, ""), it)
        removals = [] if is_pattern(it.arn) else [*self._removals(it)]
        for bound in self._boundaries:
            create = _iam(f"Create{it.kind}", it.arn, *_bounded(bound), but=it.but)
            made = (*removals, create)
            if it.is_role:
                # Its trust policy is its creator's.
                self.all.append(Escalation(to=states[bound], calls=made, then=ASSUME_ROLE))
            else:
                keys = _calls("sign in anew", it)
                self.all += (Escalation(to=states[bound], calls=(*made, key)) for key in keys)

    def _removals(self, wanted: Identity) -> Iterator[Request]:
        """What it takes before a role or a user of this name can be made.

        Names are unique in an account whatever the path. IAM deletes nobody who still has policies,
        and no role that is in an instance profile.
        https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html
        """
        for it in self._names.get(wanted.unique, ()):
            if it.has_inline:
                yield _iam(f"Delete{it.kind}Policy", it.arn)
            if it.has_attached:
                yield _iam(f"Detach{it.kind}Policy", it.arn)
            if it.has_profile:
                yield _iam("RemoveRoleFromInstanceProfile", f"{it.iam}instance-profile/*")
            yield _iam(f"Delete{it.kind}", it.arn)

    @cached_property
    def _boundaries(self) -> list[_Bound]:
        """What may limit a role: nothing, or what somebody's policies demand for others."""
        found = [_UNBOUND]
        wanted = {
            value.replace("${aws:PrincipalAccount}", account)
            for policy in (*self._account.policies, *self._scps)
            for value in policy.compared("iam:permissionsboundary")
            for account in {it.account for it in self._account.identities}
        }
        for value in sorted(wanted):
            listed = sorted(arn for arn in self._account.managed if iam_glob(value, arn))
            found += ((arn, self._account.managed[arn]) for arn in listed)
            if is_pattern(value):
                # One that may be made first: it may allow everything, and have any name that fits.
                found.append(_ANY_BOUND)
            elif not listed:
                found.append((value, None))
        return list(dict.fromkeys(found))


# --- Calls ----------------------------------------------------------------------------------------


def _calls(what: str, it: Identity, bound: _Bound = _ANY_BOUND) -> list[Request]:
    """Any one of these calls does this to it, with this boundary: see _CALLS."""
    places = {"its policies": sorted(it.managed), "its boundary": [bound[0]]}
    if not it.is_protected:
        any_group = [] if it.is_role else [f"{it.iam}group/*"]
        places |= {"itself": [it.arn], "any group": any_group, "its groups": sorted(it.groups)}
    return [
        _iam(action.format(kind=it.kind), arn, *_bounded(bound), but=it.but)
        if on == "itself"
        else _iam(action, arn)
        for done, on, actions in _CALLS
        if done == what
        for arn in places.get(on, ())
        if ":iam::aws:policy/" not in arn  # AWS's own, which nobody can change
        for action in actions.split()
    ]


_request: Final = cache(Request)
"""A call about something of its caller's account. There is one object for each."""


def _iam(
    action: str, on: str, *context: tuple[str, str], but: frozenset[str] = frozenset()
) -> Request:
    action, account = f"iam:{action}", account_in(on)
    return _request(action=action, resource=on, account=account, context=context, but=but)


def _of_account(it: Identity, action: str, resource: str) -> Request:
    return _request(action=action, resource=resource, account=it.account)


def _assuming(it: Identity, action: str, trust: Policy) -> Request:
    return Request(action=action, resource=it.arn, account=it.account, policy=trust, is_trust=True)


def _bounded(bound: _Bound) -> list[tuple[str, str]]:
    """What a request says of a boundary. Nothing certain, where it may be any."""
    return [] if bound[0] == ANY else [("iam:permissionsboundary", bound[0])]


def _each(
    to: Principal, calls: Iterable[Request], then: str = "", held: Principal | None = None
) -> Iterator[Escalation]:
    """As many ways as calls: one of them is enough."""
    return (Escalation(to=to, calls=(call,), then=then, held=held) for call in calls)


# --- Becoming a role that others are trusted with -------------------------------------------------

_EC2: Final = "ec2.amazonaws.com"
_POD_IDENTITY: Final = "pods.eks.amazonaws.com"
_EKS: Final = "oidc.eks."
_WITH_SAML: Final = "sts:AssumeRoleWithSAML"
_WITH_WEB_IDENTITY: Final = "sts:AssumeRoleWithWebIdentity"
_WITH_FEDERATION: Final = (_WITH_WEB_IDENTITY, _WITH_SAML)


def _through_federations(it: Identity, to: Principal) -> Iterator[Escalation]:
    federations = sorted(name for name in it.trust.admitted if name.startswith(FEDERATED))
    if federations:
        anybodys = policy_of(tuple(one for one in it.trust.statements if not is_pinned(one)))
        yield from _each(to, (_assuming(it, action, anybodys) for action in _WITH_FEDERATION))
    for name in federations:
        provider = name.removeprefix(FEDERATED)
        action = _WITH_SAML if ":saml-provider/" in provider else _WITH_WEB_IDENTITY
        identity = Principal(arn="", account="", named=name)
        if not may(identity, _assuming(it, action, it.trust)):
            continue
        if action == _WITH_SAML:
            # Whoever says what the provider is vouches for anybody.
            verbs = ("Update", "Create")
            yield from _each(to, (_iam(f"{it}SAMLProvider", provider) for it in verbs), action)
        elif _EKS in provider:
            # Whoever may do something in a cluster runs a pod as the service account.
            # https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html
            for entry in ways_through_compute():
                if entry.service == _POD_IDENTITY and not entry.passes:
                    yield Escalation(to=to, calls=_through_calls(entry, it))
            jobs = f"arn:{it.partition}:emr-containers:*:{it.account}:*"
            yield from _each(to, [_of_account(it, "emr-containers:StartJobRun", jobs)])


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


def _through_compute(it: Identity, to: Principal) -> Iterator[Escalation]:
    named = it.trust.admitted
    services = {name.removeprefix(SERVICE) for name in named if name.startswith(SERVICE)}
    if ANY in named:
        services |= {entry.service for entry in ways_through_compute()}
    for service in sorted(services):
        passed = _passed(it, service)
        entries = [one for one in ways_through_compute() if one.service == _plain(service)]
        for entry in entries:
            first, *rest = _through_calls(entry, it)
            before = [passed] if entry.passes else []
            if entry.passes and entry.service == _EC2 and not it.has_profile:
                # An instance takes a role in an instance profile.
                before.append(_iam("AddRoleToInstanceProfile", f"{it.iam}instance-profile/*"))
            for source, seen in _sources(entry, it, first.resource):
                if any(_serves(it, service, context) for context in seen):
                    begin = _of_account(it, first.action, source)
                    yield Escalation(to=to, calls=(*before, begin, *rest))
        if not entries and _serves(it, service):
            # What this service does with a role is not known here, so it may be anything.
            yield Escalation(to=to, calls=(passed,))


def _through_calls(entry: Compute, it: Identity) -> tuple[Request, ...]:
    return tuple(
        _of_account(it, action, pattern.format(partition=it.partition, account=it.account))
        for action, pattern in entry.calls
    )


def _passed(it: Identity, service: str) -> Request:
    # How a service of one Region is named in a request is not documented.
    regional = _plain(service) != service.removesuffix(".cn")
    return _iam("PassRole", it.arn, *([] if regional else [("iam:passedtoservice", service)]))


def _plain(service: str) -> str:
    """A service's name without a Region, and without the ending that some have in China."""
    return _REGION.sub("", service.removesuffix(".cn"))


_REGION: Final = re.compile(r"(?<=\.)[a-z]{2,4}(-[a-z]+)+-[0-9]+\.(?=amazonaws\.com$)")


_Context = list[tuple[str, str]]


def _serves(it: Identity, service: str, context: _Context | None = None) -> bool:
    """Whether the role's trust policy allows the service to assume it, with these keys."""
    request = replace(_assuming(it, ASSUME_ROLE, it.trust), context=tuple(context or ()))
    return may(Principal(arn="", account="", named=f"{SERVICE}{service}"), request)


def _sources(entry: Compute, it: Identity, pattern: str) -> Iterator[tuple[str, list[_Context]]]:
    """Resources for which a service may assume a role, and what the trust policy may see of each.

    Any that fits the pattern, seen as one that no policy names or not at all; and those that this
    one names, which are not certain where they are patterns.
    """
    if not entry.source:
        yield pattern, [[]]
        return
    account = ("aws:sourceaccount", it.account)
    another = pattern.replace(ANY, "\0" * 99)
    yield pattern, [[account, (_SOURCE, another)], [account, (_SOURCE, "")]]
    for value in it.trust.compared(_SOURCE):
        if "${" not in value and meet(value, pattern) and not iam_glob(value, pattern):
            yield value, [[account] if is_pattern(value) else [account, (_SOURCE, value)]]


_SOURCE: Final = "aws:sourcearn"
