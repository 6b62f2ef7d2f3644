"""The steps of privilege-escalation paths through an account, and the call that each takes.

A step that may need more calls than stand here has fewer: no ability is left out.
"""

import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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
from container_images.policies.document import ANY
from container_images.policies.forms import SUBJECT

TABLE: Final[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
)

Need = tuple[Request, ...]
"""Calls of which any one does."""


class Step(NamedTuple):
    """What gives access to a principal."""

    to: Principal
    need: Need
    then: str = ""
    """The action that follows, which the call has made possible: no permission is asked for."""
    length: int = 1
    """What it adds to a path: paths without calls that only count as access come first."""


_COUNTS_AS: Final = 3


_BOUNDARY: Final = "iam:permissionsboundary"


def _calls(
    done: str, identity: Identity, values: Iterable[str | None] = (), name: str = ""
) -> Need:
    """The calls of which any one does this to it, under any of these boundaries.

    `name` is another ARN that it may have by then.
    """
    places = {
        "policies": sorted(identity.managed),
        "boundary": [identity.boundary_arn] if identity.boundary_arn else [],
    }
    if not identity.is_protected:
        places["itself"] = sorted({identity.arn, name or identity.arn})
        places["groups"] = sorted(identity.groups)
        places["any-group"] = [] if identity.is_role else [f"{identity.iam}group/*"]
    return tuple(
        Request(
            f"iam:{action.format('Role' if identity.is_role else 'User')}",
            arn,
            identity.account,
            is_any=place == "any-group",
            context=context,
        )
        for place, actions in TABLE["iam"][done].items()
        for arn in places.get(place, ())
        if ":iam::aws:policy/" not in arn  # AWS's own, which nobody can change
        for action in actions.split()
        for context in _contexts(_BOUNDARY, values if place == "itself" else ())
    )


def _contexts(key: str, values: Iterable[str | None]) -> list[tuple[Context, ...]]:
    """What a call may say of a key; if no values are given, nothing is known."""
    return [((key, value),) for value in dict.fromkeys(values)] or [()]


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
        self.principals = {
            # https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html
            each.arn: replace(each, scps=scps)
            if each.account in homes and not each.is_service_linked
            else each
            for each in account.identities
        }
        """The account's roles and users as they are, by ARN."""
        held = (policy for each in account.identities for policy in (*each.policies, each.boundary))
        self.policies = {policy for policy in (*held, *scps) if policy is not None}
        """Everything that allows somebody something, or limits it."""
        self._boundaries = [*self._limits(account)]
        self._passed_to = _compared(self.policies, "iam:passedtoservice")
        self._names = self._names_that_help(listed)
        steps: list[Step] = []
        for identity in self.principals.values():
            if not identity.is_service_linked:
                steps += self._into(identity)
                steps += self._changed(identity)
        for name in self._names:
            home = account_in(name)
            made = Identity(arn=name, account=home, named="", scps=scps if home in homes else ())
            steps += self._made(made)
        self.all = [step for step in steps if step.need]

    def _limits(self, account: Listing) -> Iterator[tuple[Sequence[str | None], Policy | None]]:
        """No boundary, and what somebody's policies demand as a boundary of others.

        That is what iam:PermissionsBoundary may be: ARNs, patterns of any that can be made; None:
        none. And the limit: None where it sets none, or its text is not known.
        """
        # One of AWS's own sets no limit.
        partitions = {each.arn.split(":")[1] for each in account.identities}
        administrators = (f"arn:{each}:iam::aws:policy/AdministratorAccess" for each in partitions)
        unlimited: list[str | None] = [None, *administrators]
        wanted = {
            value.replace("${aws:PrincipalAccount}", home)
            for value in _compared(self.policies, _BOUNDARY)
            for home in {each.account for each in account.identities}
        }
        for value in sorted(wanted):
            known = [arn for arn in sorted(account.managed) if covers(value, arn)]
            yield from (([arn], account.managed[arn]) for arn in known)
            if is_pattern(value) or not known:
                # One that may be made first allows whatever its maker likes.
                unlimited.append(value)
        yield unlimited, None

    def _names_that_help(self, listed: Collection[str]) -> list[str]:
        """ARNs, or patterns of them, of roles and users that it may help to make, or to be named.

        Those by which a policy tells callers apart, and those that somebody may make.
        """
        identities = self.principals.values()
        policies = {*self.policies, *(each.trust for each in identities)}
        wanted = {*listed, *_compared(policies, PRINCIPAL_ARN)}
        wanted |= {f"arn:*:iam::*:user/{name}" for name in _compared(policies, USER_NAME)}
        for statement in (each for policy in self.policies for each in policy.statements):
            if statement.is_about("iam:CreateRole") or statement.is_about("iam:CreateUser"):
                wanted.update(statement.resources)
        kinds = {f"{each.iam}{kind}/*" for each in identities for kind in ("role", "user")}
        return sorted(
            kinds | {part for name in wanted for kind in kinds if (part := within(name, kind))}
        )

    def _into(self, identity: Identity) -> Iterator[Step]:
        if not identity.is_role:
            yield Step(identity, _calls("sign-in", identity))
            return
        yield Step(identity, (_assuming(identity, ASSUME_ROLE, identity.trust),))
        yield Step(identity, _calls("trust", identity), ASSUME_ROLE, length=2)
        yield from _through_federations(identity)
        for name in sorted(identity.trust.admitted):
            if name.startswith(SERVICE):
                yield from self._through_service(identity, name.removeprefix(SERVICE))

    def _through_service(self, identity: Identity, name: str) -> Iterator[Step]:
        """Passing the role to a service, or taking over what runs there as the role."""
        service, account = service_of(name), identity.account
        # How a service of one Region is named in a request is not documented.
        values = passed_to(service, self._passed_to) if service["name"] == name else ()
        passed = Request("iam:PassRole", identity.arn, account)
        sources = _sources(identity, name, is_seen=bool(service["source"]))
        calls = [
            *((f"{prefix}:*", source) for prefix in service["prefixes"] for source in sources),
            *(call.split(" ") for call in service["calls"] if sources),
            # Only that resource, whoever makes it, is trusted with the role that it is given.
            *((service["source"], source) for source in sources if source != ANY),
        ]
        if ANY in sources:
            contexts = _contexts("iam:passedtoservice", values)
            yield Step(identity, tuple(passed._replace(context=context) for context in contexts))
        for action, resource in calls:
            yield Step(identity, (Request(action, resource, account, is_any=True),))

    # Whoever controls somebody's policies counts as able to do all that the boundary lets through,
    # and all if the boundary can be removed: one call is enough.

    def _changed(self, base: Identity) -> Iterator[Step]:
        """Somebody with more permissions; and a user by another name as well."""
        statements = [statement for policy in base.policies for statement in policy.statements]
        granted = policy_of(tuple(statement for statement in statements if statement.allows))
        names = [name for name in self._names if name.startswith(f"{base.iam}user/")]
        for name in (base.arn, *(() if base.is_role else names)):
            at = replace(base, arn=name)
            if name != base.arn:
                yield Step(at, _calls("rename", base))
            if len(granted.statements) < len(statements):
                undenied = replace(at, policies=(granted,))
                calls = _calls("undeny", base, [base.boundary_arn], name)
                yield Step(undenied, calls, length=_COUNTS_AS)
            for boundary, calls in self._controlled(base, name):
                everything = replace(at, policies=(EVERYTHING,), boundary=boundary)
                yield Step(everything, calls, length=_COUNTS_AS)

    def _controlled(self, base: Identity, name: str) -> Iterator[tuple[Policy | None, Need]]:
        """The calls by which somebody comes to do all that a boundary lets through."""
        if base.boundary:
            yield base.boundary, _calls("allow", base, [base.boundary_arn], name)
        for values, boundary in self._boundaries:
            if boundary:
                yield boundary, _calls("bind", base, values, name)
            elif base.boundary:
                bind = _calls("bind", base, filter(None, values), name)
                yield None, (*bind, *_calls("unbind", base, name=name))
            else:
                yield None, _calls("allow", base, [base.boundary_arn, *values], name)

    def _made(self, identity: Identity) -> Iterator[Step]:
        """A role or a user made anew: what it may do its maker says, and who may be it.

        A Principal element that had its name meant who was there before.
        """
        demanded = [arn for values, boundary in self._boundaries if boundary for arn in values]
        for values, boundary in self._boundaries:
            calls = _calls("create", identity, values)
            if demanded:
                # One that was made within another boundary.
                calls += _calls("bind", identity, filter(None, values))
            for arn in () if boundary else demanded:
                calls += _calls("unbind", replace(identity, boundary_arn=arn))
            made = replace(identity, policies=(EVERYTHING,), boundary=boundary)
            yield Step(made, calls, ASSUME_ROLE if identity.is_role else "", _COUNTS_AS)


def _compared(policies: Iterable[Policy], key: str) -> set[str]:
    return {value for policy in policies for value in policy.compared(key)}


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
    others = [prefix for prefix in service["prefixes"] if prefix != own]
    return service | {"passers": [*entry.get("passers", []), *labels[1:], *others]}


def passed_to(service: Mapping[str, Any], named: Collection[str]) -> Iterator[str]:
    """What iam:PassedToService may be where a role for the service is passed.

    That is the service that is called, which need not be the one that assumes the role. AWS does
    not document what the others send. So any value that policies have counts, but for the services
    that are known to pass no role to this one.
    """
    passers = service["passers"]
    yield from (service["name"], *(f"{passer}{_SUFFIX}" for passer in passers))
    for value in sorted(named if passers else ()):
        is_known = value.removesuffix(_SUFFIX) in TABLE["services"] or is_pattern(value)
        if not is_known or value.partition(".")[0].partition("-")[0] in passers:
            yield value


@cache
def is_harmless(action: str) -> bool:
    """Whether an action, or every action of a pattern, takes nothing over.

    A read does not, as long as its answer carries no credentials; nor does what the table has.
    """
    prefix, _, name = action.lower().partition(":")
    handed_out = TABLE["hand-out"].get(prefix, "").lower().split()
    harmless = f"{TABLE['reads']} {TABLE['harmless'].get(prefix, '')}".lower().split()
    is_listed = any(covers(pattern, name) for pattern in harmless)
    return is_listed and not any(overlap(pattern, name) for pattern in handed_out)


def _assuming(identity: Identity, action: str, trust: Policy, *context: Context) -> Request:
    place = identity.arn, identity.account
    return Request(action, *place, policy=trust, is_trust=True, context=context)


def _sources(identity: Identity, service: str, *, is_seen: bool) -> list[str]:
    """ARNs of resources, or patterns, for which the service may assume the role; `*`: for any.

    The trust policy sees none of them, or sees it as aws:SourceArn.
    """
    trust, key = identity.trust, "aws:sourcearn"
    caller = Principal(arn="", account="", named=f"{SERVICE}{service}")
    account = ("aws:sourceaccount", identity.account)
    sources: list[str | None] = [arn for arn in trust.compared(key) if "${" not in arn]
    serving = dict[str, None]()
    for source in (*sources, ANY, None) if is_seen else (None,):
        seen: list[Context] = [(key, source)] if is_seen else []
        if decide(caller, _assuming(identity, ASSUME_ROLE, trust, account, *seen)) is not None:
            serving[source or ANY] = None
    return [*serving]


def _through_federations(identity: Identity) -> Iterator[Step]:
    trust = identity.trust
    anybodys = policy_of(tuple(each for each in trust.statements if not is_pinned(each)))
    for provider in sorted(trust.admitted):
        if not provider.startswith(FEDERATED):
            continue
        for action in ("sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML"):
            yield Step(identity, (_assuming(identity, action, anybodys),))
        if ":saml-provider/" in provider:
            # Whoever says what the provider is vouches for anybody.
            arn = provider.removeprefix(FEDERATED)
            verbs = ("iam:UpdateSAMLProvider", "iam:CreateSAMLProvider")
            calls = tuple(Request(verb, arn, account_in(arn)) for verb in verbs)
            yield Step(identity, calls, "sts:AssumeRoleWithSAML", length=2)
        elif "oidc.eks." in provider:
            # Whoever may do something in a cluster runs a pod as the service account.
            # https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html
            for prefix in service_of("pods.eks.amazonaws.com")["prefixes"]:
                call = Request(f"{prefix}:*", ANY, identity.account, is_any=True)
                yield Step(identity, (call,))


def is_pinned(statement: Statement) -> bool:
    """Whether a statement of a trust policy is about exact subjects of a federation.

    Such as the jobs of one environment in GitHub Actions. Any other is about whomever the
    federation vouches for, and so is a subject of GitHub that everybody can get who can push a
    branch. STS reads a repository with its environment or its ref as claims of their own, too.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
    """
    claims = {
        key.removeprefix("token.actions.githubusercontent.com:"): values
        for operator, key, values in statement.conditions
        # Operators that an absent key meets pin nothing.
        if operator.removeprefix("ForAnyValue:")
        in ("StringEquals", "StringEqualsIgnoreCase", "StringLike")
        and not any("${" in value for value in values)
        and not ("Like" in operator and any(map(is_pattern, values)))
    }
    subjects = [value for key, values in claims.items() if key.endswith("sub") for value in values]
    if subjects:
        return "sub" not in claims or all(map(SUBJECT.fits, subjects))
    is_repository = claims.keys() & {"repository", "repository_id"}
    refs = claims.get("ref", ())
    is_ref = bool(refs) and not any(ref.startswith("refs/pull/") for ref in refs)
    return bool(is_repository) and ("environment" in claims or is_ref)
