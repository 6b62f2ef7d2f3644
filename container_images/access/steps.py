"""The steps of privilege-escalation paths through an account, and the calls that each takes.

A step that may need more calls than stand here has fewer: no ability is left out.
"""

import re
import tomllib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from container_images.access.account import Identity, Listing
from container_images.access.evaluation import Context, Principal, Request, decide
from container_images.access.policy import (
    ASSUME_ROLE,
    EVERYTHING,
    FEDERATED,
    PRINCIPAL_ARN,
    SERVICE,
    USER_NAME,
    Policy,
    Statement,
    account_in,
    covers,
    is_pattern,
    overlap,
    policy_of,
    within,
)
from container_images.policies.forms import SUBJECT
from container_images.policies.patterns import ANY

TABLE: Final[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
)

Need = tuple[Request, ...]
"""Calls of which any one does."""


class Step(NamedTuple):
    """What gives access to a principal. Each call is made by anybody who is reached by then."""

    to: Principal
    needs: tuple[Need | Principal, ...]
    """A principal has to be reached already, where the step only changes what that one may do."""
    then: str = ""
    """The action that follows, which these calls have made possible: no permission is asked for."""

    @property
    def length(self) -> int:
        """The number of its calls."""
        return sum(not isinstance(need, Principal) for need in self.needs) + bool(self.then)


class Boundary(NamedTuple):
    """A permissions boundary that somebody may have."""

    values: tuple[str | None, ...]
    """What iam:PermissionsBoundary may be: ARNs, patterns of any that can be made; None: none."""
    policy: Policy | None
    """None where it sets no limit, or its text is not known."""


_BOUNDARY: Final = "iam:permissionsboundary"


@cache
def request(
    action: str, resource: str, account: str, *context: Context, is_any: bool = False
) -> Request:
    """A call about something of its caller's account. There is one object for each."""
    return Request(
        action=action, resource=resource, account=account, context=context, is_any=is_any
    )


def _calls(done: str, identity: Identity, values: Iterable[str | None] = ()) -> Need:
    """The calls of which any one does this to it, with any of these boundaries."""
    places = {
        "policies": sorted(identity.managed),
        "boundary": [identity.boundary_arn] if identity.boundary_arn else [],
    }
    if not identity.is_protected:
        places["itself"] = [identity.arn, *identity.former]
        places["groups"] = sorted(identity.groups)
        places["any-group"] = [] if identity.is_role else [f"{identity.iam}group/*"]
    contexts: list[tuple[Context, ...]] = [((_BOUNDARY, value),) for value in values] or [()]
    return tuple(
        request(
            f"iam:{action.format(identity.kind)}",
            arn,
            identity.account,
            *context,
            is_any=on == "any-group",
        )
        for on, actions in TABLE["iam"][done].items()
        for arn in places.get(on, ())
        if ":iam::aws:policy/" not in arn  # AWS's own, which nobody can change
        for action in actions.split()
        for context in (contexts if on == "itself" else [()])
    )


class Steps:
    """Every step in one account, or in several."""

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
        held = (one for it in account.identities for one in (*it.policies, it.boundary))
        self.policies = {it for it in (*held, *scps) if it is not None}
        """Everything that allows somebody something, or limits it."""
        self._boundaries = [*self._demanded_boundaries(account)]
        self._passed_to = _compared(self.policies, "iam:passedtoservice")
        self.principals: dict[str, Identity] = {}
        """The account's roles and users as they are, by ARN."""
        for it in account.identities:
            # https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html
            is_bound = it.account in homes and not it.is_service_linked
            self.principals[it.arn] = replace(it, scps=scps if is_bound else ())
        self._same_name: dict[tuple[str, ...], list[Identity]] = defaultdict(list)
        self.all: list[Step] = []
        names = self._names(listed)
        for identity in self.principals.values():
            self._same_name[identity.unique].append(identity)
            if not identity.is_service_linked:
                self.all += self._into(identity)
                self.all += self._changed(identity)
                self.all += self._renamed(identity, names)
        for name in names:
            home = account_in(name)
            made = Identity(arn=name, account=home, named="", scps=scps if home in homes else ())
            self.all += self._made(made)

    def _demanded_boundaries(self, account: Listing) -> Iterator[Boundary]:
        """No boundary, and what somebody's policies demand as a boundary of others."""
        unlimited: list[str | None] = [None]
        wanted = {
            value.replace("${aws:PrincipalAccount}", home)
            for value in _compared(self.policies, _BOUNDARY)
            for home in {it.account for it in account.identities}
        }
        for value in sorted(wanted):
            known = [arn for arn in sorted(account.managed) if covers(value, arn)]
            yield from (Boundary((arn,), account.managed[arn]) for arn in known)
            if is_pattern(value) or not known:
                # One that may be made first allows whatever its maker likes.
                unlimited.append(value)
        yield Boundary(tuple(unlimited), None)

    def _names(self, listed: Collection[str]) -> list[str]:
        """ARNs, or patterns of them, of roles and users that it may help to make, or to be named.

        Those by which a policy tells callers apart, and those that somebody may make.
        """
        identities = self.principals.values()
        policies = {*self.policies, *(it.trust for it in identities)}
        wanted = {*listed, *_compared(policies, PRINCIPAL_ARN)}
        wanted |= {f"arn:*:iam::*:user/{it}" for it in _compared(policies, USER_NAME)}
        for statement in (it for policy in self.policies for it in policy.statements):
            if statement.is_about("iam:CreateRole") or statement.is_about("iam:CreateUser"):
                wanted.update(statement.resources)
        kinds = {f"{it.iam}{kind}/*" for it in identities for kind in ("role", "user")}
        return sorted(
            kinds | {it for name in wanted for kind in kinds if (it := within(name, kind))}
        )

    # --- Becoming somebody who exists -------------------------------------------------------------

    def _into(self, identity: Identity) -> Iterator[Step]:
        if not identity.is_role:
            yield Step(identity, (_calls("sign-in", identity),))
            return
        yield Step(identity, ((_assuming(identity, ASSUME_ROLE, identity.trust),),))
        yield Step(identity, (_calls("trust", identity),), ASSUME_ROLE)
        yield from _through_federations(identity)
        for name in sorted(identity.trust.admitted):
            if name.startswith(SERVICE):
                yield from self._through_service(identity, name.removeprefix(SERVICE))

    def _through_service(self, identity: Identity, name: str) -> Iterator[Step]:
        """Passing the role to a service, or taking over what runs there as the role."""
        service, account = service_of(name), identity.account
        # How a service of one Region is named in a request is not documented.
        values = passed_to(service, self._passed_to) if service["name"] == name else ()
        contexts: list[tuple[Context, ...]]
        contexts = [(("iam:passedtoservice", value),) for value in values] or [()]
        passed = tuple(request("iam:PassRole", identity.arn, account, *it) for it in contexts)
        sources = [*_sources(identity, name, is_seen=bool(service["source"]))]
        for source in sources:
            # Only that resource, whoever makes it, is trusted with the role that it is given.
            made = request(service["source"], source, account, is_any=True)
            yield Step(identity, (passed,) if source == ANY else (passed, (made,)))
        calls = [
            *((f"{prefix}:*", source) for prefix in service["prefixes"] for source in sources),
            *(it.split(" ") for it in service["calls"] if sources),
        ]
        for action, resource in calls:
            yield Step(identity, ((request(action, resource, account, is_any=True),),))

    # --- Changing what somebody may do ------------------------------------------------------------

    def _changed(self, base: Identity, own: Boundary | None = None) -> Iterator[Step]:
        """The principal with more permissions, with another boundary, or with both.

        Whoever controls somebody's policies counts as able to do all that the boundary lets
        through.
        """
        statements = [it for policy in base.policies for it in policy.statements]
        granted = policy_of(tuple(it for it in statements if it.allows))
        own = own or Boundary((base.boundary_arn,), base.boundary)
        for bound in (own, *(it for it in self._boundaries if it != own)):
            at, values = base, bound.values
            if bound != own:
                at = replace(base, boundary=bound.policy)
                if bound.policy is None:
                    # One of AWS's own, which sets no limit; and that whose text is rewritten.
                    administrator = (
                        f"arn:{base.arn.split(':')[1]}:iam::aws:policy/AdministratorAccess"
                    )
                    values += (administrator, *own.values)
                unbound = () if bound.policy else _calls("unbind", base)
                yield Step(at, (base, (*_calls("bind", base, filter(None, values)), *unbound)))
            everything = replace(at, policies=(EVERYTHING,))
            yield Step(everything, (at, _calls("allow", base, values)))
            if len(granted.statements) < len(statements):
                yield Step(replace(at, policies=(granted,)), (at, _calls("undeny", base)))

    def _renamed(self, base: Identity, names: Iterable[str]) -> Iterator[Step]:
        """A user may be given any name that is free, or has been made free."""
        for name in () if base.is_role else names:
            if ":user/" in name and name != base.arn:
                taken = self.principals.get(name)
                renamed = replace(base, arn=name, former=(base.arn,))
                needs = (_calls("rename", it) for it in (taken, base) if it)
                yield Step(renamed, (base, *needs))
                yield from self._changed(renamed)

    # --- Making somebody --------------------------------------------------------------------------

    def _made(self, identity: Identity) -> Iterator[Step]:
        """A role or a user made anew, by a name that is free, or has been made free.

        It has no policy, and a Principal element that had its name meant who was there before.
        """
        existing = self._same_name.get(identity.unique, [])
        if any(it.is_protected for it in (identity, *existing)):
            return
        removed = tuple(_calls("delete", it) for it in existing)
        for bound in self._boundaries:
            made = replace(identity, boundary=bound.policy, boundary_arn=bound.values[0])
            needs = (*removed, _calls("create", identity, bound.values))
            if identity.is_role:
                # Its trust policy is its creator's.
                yield Step(made, needs, ASSUME_ROLE)
            else:
                yield Step(made, (*needs, _calls("sign-in", identity)))
            yield from self._changed(made, bound)


def _compared(policies: Iterable[Policy], key: str) -> set[str]:
    return {value for policy in policies for value in policy.compared(key)}


# --- Services of AWS that act as a role -----------------------------------------------------------
# The table lists what is harmless, and not what is dangerous: AWS adds ways to run something as a
# role every year. https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-service.html

_SUFFIX: Final = ".amazonaws.com"
_REGION: Final = re.compile(r"(?<=\.)[a-z]{2,4}(-[a-z]+)+-[0-9]+\.(?=amazonaws\.com$)")


@cache
def service_of(name: str) -> Mapping[str, Any]:
    """The service of that name, by the keys that the table has.

    One that is not in the table acts by its own calls alone.
    """
    plain = _REGION.sub("", name.removesuffix(".cn"))
    label = plain.removesuffix(_SUFFIX)
    *_, own = labels = label.split(".")
    entry = TABLE["services"].get(label, {})
    service = {"name": plain, "prefixes": [own], "calls": [], "source": "", **entry}
    others = [it for it in service["prefixes"] if it != own]
    return service | {"passers": [*entry.get("passers", []), *labels[1:], *others]}


def passed_to(service: Mapping[str, Any], named: Collection[str]) -> Iterator[str]:
    """What iam:PassedToService may be where a role for the service is passed.

    That is the service that is called, which need not be the one that assumes the role. AWS does
    not document what the others send. So any value that policies have counts, but for the services
    that are known to pass no role to this one.
    """
    yield service["name"]
    yield from (f"{passer}{_SUFFIX}" for passer in service["passers"])
    for value in sorted(named):
        label = value.partition(".")[0].partition("-")[0]
        known = value.removesuffix(_SUFFIX) in TABLE["services"] or is_pattern(value)
        if label in service["passers"] or (service["passers"] and not known):
            yield value


@cache
def is_harmless(action: str) -> bool:
    """Whether an action, or every action of a pattern, takes nothing over.

    A read does not, as long as its answer carries no credentials; nor does what the table has.
    """
    prefix, _, name = action.lower().partition(":")
    handed_out = TABLE["hand-out"].get(prefix, "").lower().split()
    harmless = f"{TABLE['reads']} {TABLE['harmless'].get(prefix, '')}".lower().split()
    return any(covers(it, name) for it in harmless) and not any(
        overlap(it, name) for it in handed_out
    )


# --- Becoming a role that others are trusted with -------------------------------------------------


def _assuming(identity: Identity, action: str, trust: Policy, *context: Context) -> Request:
    return Request(
        action=action,
        resource=identity.arn,
        account=identity.account,
        policy=trust,
        is_trust=True,
        context=context,
    )


def _sources(identity: Identity, service: str, *, is_seen: bool) -> Iterator[str]:
    """ARNs of resources, or patterns, for which the service may assume the role; `*`: for any.

    The trust policy sees none of them, or sees it as aws:SourceArn.
    """
    key = "aws:sourcearn"
    caller = Principal(arn="", account="", named=f"{SERVICE}{service}")

    def serves(*keys: Context) -> bool:
        own = ("aws:sourceaccount", identity.account)
        assuming = _assuming(identity, ASSUME_ROLE, identity.trust, own, *keys)
        return decide(caller, assuming) is not None

    if is_seen:
        named = [it for it in identity.trust.compared(key) if "${" not in it]
        yield from (it for it in named if serves((key, it)))
    if any(map(serves, [(key, ANY), (key, None)])) if is_seen else serves():
        yield ANY


_WITH_SAML: Final = "sts:AssumeRoleWithSAML"


def _through_federations(identity: Identity) -> Iterator[Step]:
    federations = sorted(it for it in identity.trust.admitted if it.startswith(FEDERATED))
    if federations:
        anybodys = policy_of(tuple(it for it in identity.trust.statements if not is_pinned(it)))
        for action in ("sts:AssumeRoleWithWebIdentity", _WITH_SAML):
            yield Step(identity, ((_assuming(identity, action, anybodys),),))
    for provider in (it.removeprefix(FEDERATED) for it in federations):
        if ":saml-provider/" in provider:
            # Whoever says what the provider is vouches for anybody.
            verbs = ("iam:UpdateSAMLProvider", "iam:CreateSAMLProvider")
            calls = tuple(request(it, provider, account_in(provider)) for it in verbs)
            yield Step(identity, (calls,), _WITH_SAML)
        elif "oidc.eks." in provider:
            # Whoever may do something in a cluster runs a pod as the service account.
            # https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html
            for prefix in service_of("pods.eks.amazonaws.com")["prefixes"]:
                call = request(f"{prefix}:*", ANY, identity.account, is_any=True)
                yield Step(identity, ((call,),))


_GITHUB: Final = "token.actions.githubusercontent.com:"
_EXACT: Final = ("StringEquals", "StringEqualsIgnoreCase", "StringLike")


def is_pinned(statement: Statement) -> bool:
    """Whether a statement of a trust policy is about exact subjects of a federation.

    Such as the jobs of one environment in GitHub Actions. Any other is about whomever the
    federation vouches for, and so is a subject of GitHub that everybody can get who can push a
    branch. STS reads a repository with its environment or its ref as claims of their own, too.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
    """
    claims = {
        it.key.removeprefix(_GITHUB): it.values
        for it in statement.conditions
        # Operators that an absent key meets pin nothing.
        if it.operator.removeprefix("ForAnyValue:") in _EXACT
        and not any("${" in value for value in it.values)
        and not ("Like" in it.operator and any(map(is_pattern, it.values)))
    }
    subjects = [value for key, values in claims.items() if key.endswith("sub") for value in values]
    if subjects:
        return "sub" not in claims or all(map(SUBJECT.fits, subjects))
    is_repository = claims.keys() & {"repository", "repository_id"}
    refs = claims.get("ref", ())
    is_ref = bool(refs) and not any(it.startswith("refs/pull/") for it in refs)
    return bool(is_repository) and ("environment" in claims or is_ref)
