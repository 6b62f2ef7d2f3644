"""The steps of privilege-escalation paths through an account, and the calls that each takes.

A step that may need more calls than stand here has fewer: no ability is left out.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, NamedTuple

from container_images.access.account import Identity, Listing
from container_images.access.compute import passed_to, service_of
from container_images.access.evaluation import Context, Principal, Request, decide
from container_images.access.patterns import covers, is_pattern, within
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
    policy_of,
)
from container_images.policies.patterns import ANY

Need = tuple[Request, ...]
"""Calls of which any one does."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """What gives access to a principal. Each call is made by anybody who is reached by then."""

    to: Principal
    needs: tuple[Need | Principal, ...]
    """A principal has to be reached already, where the step only changes what that one may do."""
    then: str = ""
    """The action that follows, which these calls have made possible: no permission is asked for."""


class Boundary(NamedTuple):
    """A permissions boundary that somebody may have."""

    values: tuple[str | None, ...]
    """What iam:PermissionsBoundary may be: ARNs, patterns of any that can be made; None: none."""
    policy: Policy | None
    """None where it sets no limit, or its text is not known."""


_KEY: Final = "iam:permissionsboundary"
_CALLS: Final = (
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/security-creds.html
    ("sign in", "itself", "CreateAccessKey CreateLoginProfile UpdateLoginProfile"),
    ("trust", "itself", "UpdateAssumeRolePolicy"),
    ("allow", "itself", "Put{}Policy Attach{}Policy"),
    ("allow", "its groups", "PutGroupPolicy AttachGroupPolicy"),
    ("allow", "any group", "AddUserToGroup"),
    ("allow", "its policies", "CreatePolicyVersion SetDefaultPolicyVersion"),
    ("undeny", "itself", "Delete{}Policy Detach{}Policy"),
    ("undeny", "its groups", "DeleteGroupPolicy DetachGroupPolicy RemoveUserFromGroup"),
    ("undeny", "its policies", "CreatePolicyVersion SetDefaultPolicyVersion"),
    ("bind", "itself", "Put{}PermissionsBoundary"),
    ("unbind", "itself", "Delete{}PermissionsBoundary"),
    ("unbind", "its boundary", "CreatePolicyVersion SetDefaultPolicyVersion"),
    ("rename", "itself", "UpdateUser"),
    ("delete", "itself", "Delete{}"),
    ("create", "itself", "Create{}"),
)
"""What is done to a role or a user, what is called for that, and the calls of which any one does
it. `{}` is Role or User."""


@cache
def request(
    action: str, resource: str, account: str, *context: Context, is_any: bool = False
) -> Request:
    """A call about something of its caller's account. There is one object for each."""
    return Request(
        action=action, resource=resource, account=account, context=context, is_any=is_any
    )


def _calls(
    done: str, identity: Identity, names: Iterable[str] = (), values: Iterable[str | None] = ()
) -> Need:
    """Any one of these calls does this to it, by these names, with these boundaries."""
    places = {"its policies": sorted(identity.managed)}
    places["its boundary"] = [identity.boundary_arn] if identity.boundary_arn else []
    if not identity.is_protected:
        places["itself"] = [*names] or [identity.arn]
        places["any group"] = [] if identity.is_role else [f"{identity.iam}group/*"]
        places["its groups"] = sorted(identity.groups)
    contexts: list[tuple[Context, ...]] = [((_KEY, value),) for value in values] or [()]
    return tuple(
        request(
            f"iam:{action.format(identity.kind)}",
            arn,
            identity.account,
            *context,
            is_any=on == "any group",
        )
        for what, on, actions in _CALLS
        if what == done
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
        self._account, self._scps, self._homes = account, scps, homes
        self._policies = {*account.policies, *scps}
        self._boundaries = [*self._demanded_boundaries()]
        self._passed_to = _compared(self._policies, "iam:passedtoservice")
        self.principals = {it.arn: self._bound(it) for it in account.identities}
        """The account's roles and users as they are, by ARN."""
        self._same_name: dict[tuple[str, ...], list[Identity]] = defaultdict(list)
        self.all: list[Step] = []
        names = self._names(listed)
        for identity in self.principals.values():
            self._same_name[identity.unique].append(identity)
            if not identity.is_service_linked:
                self.all += self._into(identity)
                own = Boundary((identity.boundary_arn,), identity.boundary)
                self._changed(identity, own, [identity.arn])
                self._renamed(identity, own, [] if identity.is_role else names)
        for name in names:
            self._made(self._bound(Identity(arn=name, account=account_in(name), named="")))

    def _bound(self, identity: Identity) -> Identity:
        """With the organization's policies, which do not bind what belongs to AWS's services.

        https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html
        """
        is_bound = identity.account in self._homes and not identity.is_service_linked
        return replace(identity, scps=self._scps if is_bound else ())

    def _demanded_boundaries(self) -> Iterator[Boundary]:
        """No boundary, and what somebody's policies demand as a boundary of others."""
        managed, identities = self._account.managed, self._account.identities
        unlimited: list[str | None] = [None]
        wanted = {
            value.replace("${aws:PrincipalAccount}", account)
            for value in _compared(self._policies, _KEY)
            for account in {it.account for it in identities}
        }
        for value in sorted(wanted):
            known = [arn for arn in sorted(managed) if covers(value, arn)]
            yield from (Boundary((arn,), managed[arn]) for arn in known)
            if is_pattern(value) or not known:
                # One that may be made first allows whatever its maker likes.
                unlimited.append(value)
        yield Boundary(tuple(unlimited), None)

    def _names(self, listed: Collection[str]) -> list[str]:
        """ARNs, or patterns of them, of roles and users that it may help to make, or to be named.

        Those by which a policy tells callers apart, and those that somebody may make.
        """
        policies = {*self._policies, *(it.trust for it in self._account.identities)}
        wanted = {*listed, *_compared(policies, PRINCIPAL_ARN)}
        wanted |= {f"arn:*:iam::*:user/{it}" for it in _compared(policies, USER_NAME)}
        for statement in (it for policy in self._policies for it in policy.statements):
            if statement.is_about("iam:CreateRole") or statement.is_about("iam:CreateUser"):
                wanted.update(statement.resources)
        kinds = {
            f"{it.iam}{kind}/*" for it in self._account.identities for kind in ("role", "user")
        }
        names = kinds | {it for name in wanted for kind in kinds if (it := within(name, kind))}
        return sorted(names)

    # --- Becoming somebody who exists -------------------------------------------------------------

    def _into(self, identity: Identity) -> Iterator[Step]:
        if not identity.is_role:
            yield Step(to=identity, needs=(_calls("sign in", identity),))
            return
        yield Step(to=identity, needs=((_assuming(identity, ASSUME_ROLE, identity.trust),),))
        yield Step(to=identity, needs=(_calls("trust", identity),), then=ASSUME_ROLE)
        yield from _through_federations(identity)
        for name in sorted(identity.trust.admitted):
            if name.startswith(SERVICE):
                yield from self._through_service(identity, name.removeprefix(SERVICE))

    def _through_service(self, identity: Identity, name: str) -> Iterator[Step]:
        """Passing the role to a service, or taking over what runs there as the role."""
        service, account = service_of(name), identity.account
        # How a service of one Region is named in a request is not documented.
        values = passed_to(name, self._passed_to) if service.name == name else ()
        passed = tuple(
            request("iam:PassRole", identity.arn, account, ("iam:passedtoservice", value))
            for value in values
        ) or (request("iam:PassRole", identity.arn, account),)
        for source in _sources(identity, name, seen=bool(service.source)):
            # Only that resource, whoever makes it, is trusted with the role that it is given.
            made = request(service.source, source, account, is_any=True)
            yield Step(to=identity, needs=(passed,) if source == ANY else (passed, (made,)))
            calls = [(action, source if source != ANY else it) for action, it in service.calls]
            for call in (*calls, *service.elsewhere):
                yield Step(to=identity, needs=((request(*call, account, is_any=True),),))

    # --- Changing what somebody may do ------------------------------------------------------------

    def _changed(self, base: Identity, own: Boundary, names: list[str]) -> None:
        """The principal with more permissions, with another boundary, or with both.

        Whoever controls somebody's policies counts as able to do all that the boundary lets
        through. `names` are the ARNs by which it is called.
        """
        statements = [it for policy in base.policies for it in policy.statements]
        granted = policy_of(tuple(it for it in statements if it.allows))
        for bound in (own, *(it for it in self._boundaries if it != own)):
            needs: tuple[Need, ...] = ()
            values = bound.values
            if bound is not own:
                if bound.policy is None:
                    # One of AWS's own, which sets no limit; and that whose text is rewritten.
                    partition = base.arn.split(":")[1]
                    values += (f"arn:{partition}:iam::aws:policy/AdministratorAccess",)
                    values += own.values
                unbound = () if bound.policy else _calls("unbind", base, names)
                needs = ((*_calls("bind", base, names, filter(None, values)), *unbound),)
            changes: list[tuple[tuple[Policy, ...], Need]] = [
                ((EVERYTHING,), _calls("allow", base, names, values))
            ]
            if len(granted.statements) < len(statements):
                changes.append(((granted,), _calls("undeny", base, names)))
            if needs and own.policy:  # a limit alone is no gain
                changes.append((base.policies, ()))
            for policies, calls in changes:
                to = replace(base, policies=policies, boundary=bound.policy)
                calls_made = (*needs, calls) if calls else needs
                self.all.append(Step(to=to, needs=(base, *calls_made)))

    def _renamed(self, base: Identity, own: Boundary, names: list[str]) -> None:
        """A user may be given any name that is free, or has been made free."""
        for name in names:
            if ":user/" in name and name != base.arn:
                taken = (_calls("rename", base, [name]),) if name in self.principals else ()
                renamed = replace(base, arn=name)
                self.all.append(Step(to=renamed, needs=(base, *taken, _calls("rename", base))))
                self._changed(renamed, own, [base.arn, name])

    # --- Making somebody --------------------------------------------------------------------------

    def _made(self, identity: Identity) -> None:
        """A role or a user made anew, by a name that is free, or has been made free.

        It has no policy, and a Principal element that had its name meant who was there before.
        """
        existing = self._same_name.get(identity.unique, [])
        if any(it.is_protected for it in (identity, *existing)):
            return
        removed = tuple(_calls("delete", it) for it in existing)
        for bound in self._boundaries:
            made = replace(identity, boundary=bound.policy, boundary_arn=bound.values[0])
            needs = (*removed, _calls("create", identity, values=bound.values))
            if identity.is_role:
                # Its trust policy is its creator's.
                self.all.append(Step(to=made, needs=needs, then=ASSUME_ROLE))
            else:
                self.all.append(Step(to=made, needs=(*needs, _calls("sign in", identity))))
            self._changed(made, bound, [identity.arn])


def _compared(policies: Iterable[Policy], key: str) -> set[str]:
    return {value for policy in policies for value in policy.compared(key)}


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


_SOURCE: Final = "aws:sourcearn"


def _sources(identity: Identity, service: str, *, seen: bool) -> Iterator[str]:
    """ARNs of resources, or patterns, for which the service may assume the role; `*`: for any.

    The trust policy sees none of them, or sees it as aws:SourceArn.
    """

    def serves(*keys: Context) -> bool:
        own = ("aws:sourceaccount", identity.account)
        caller = Principal(arn="", account="", named=f"{SERVICE}{service}")
        assuming = _assuming(identity, ASSUME_ROLE, identity.trust, own, *keys)
        return decide(caller, assuming) is not None

    if seen:
        named = [it for it in identity.trust.compared(_SOURCE) if "${" not in it]
        yield from (it for it in named if serves((_SOURCE, it)))
    if any(map(serves, [(_SOURCE, ANY), (_SOURCE, None)])) if seen else serves():
        yield ANY


_WITH_SAML: Final = "sts:AssumeRoleWithSAML"


def _through_federations(identity: Identity) -> Iterator[Step]:
    federations = sorted(it for it in identity.trust.admitted if it.startswith(FEDERATED))
    if federations:
        anybodys = policy_of(tuple(it for it in identity.trust.statements if not is_pinned(it)))
        for action in ("sts:AssumeRoleWithWebIdentity", _WITH_SAML):
            yield Step(to=identity, needs=((_assuming(identity, action, anybodys),),))
    for name in federations:
        provider = name.removeprefix(FEDERATED)
        if ":saml-provider/" in provider:
            # Whoever says what the provider is vouches for anybody.
            verbs = ("iam:UpdateSAMLProvider", "iam:CreateSAMLProvider")
            needs = tuple(request(it, provider, account_in(provider)) for it in verbs)
            yield Step(to=identity, needs=(needs,), then=_WITH_SAML)
        elif "oidc.eks." in provider:
            # Whoever may do something in a cluster runs a pod as the service account.
            # https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html
            for call in service_of("pods.eks.amazonaws.com").calls:
                need = (request(*call, identity.account, is_any=True),)
                yield Step(to=identity, needs=(need,))


_GITHUB: Final = "token.actions.githubusercontent.com:"
_EXACT: Final = ("StringEquals", "StringEqualsIgnoreCase", "StringLike")


def is_pinned(statement: Statement) -> bool:
    """Whether a statement of a trust policy is about exact subjects of a federation.

    Such as the jobs of one environment in GitHub Actions. Any other is about whomever the
    federation vouches for, and so are pull requests, which everybody opens who can push a branch.
    STS reads a repository with its environment or its ref as claims of their own, too.
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
        return not any(it.endswith(":pull_request") for it in subjects)
    is_repository = claims.keys() & {"repository", "repository_id"}
    return bool(is_repository and claims.keys() & {"environment", "ref"})
