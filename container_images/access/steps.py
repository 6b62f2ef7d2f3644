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
from container_images.access.evaluation import Principal, Request, decide
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
    needs: tuple[Need, ...]
    held: Principal | None = None
    """Who has to be reached already, where the step only changes what that one may do."""
    then: str = ""
    """The action that follows, which these calls have made possible: no permission is asked for."""


class Boundary(NamedTuple):
    """A permissions boundary that may be put on somebody."""

    arn: str
    """Empty for none; a pattern for any that fits it, which may be made first."""
    policy: Policy | None
    """None where it sets no limit, or its text is not known."""


_UNBOUND: Final = Boundary("", None)
_KEY: Final = "iam:permissionsboundary"

# What is done to a role or a user, and the calls of which any one does it. `{}` is Role or User.
_TRUST: Final = ("UpdateAssumeRolePolicy",)
# https://docs.aws.amazon.com/IAM/latest/UserGuide/security-creds.html
_SIGN_IN: Final = ("CreateAccessKey", "CreateLoginProfile", "UpdateLoginProfile")
_ALLOW: Final = ("Put{}Policy", "Attach{}Policy")
_UNDENY: Final = ("Delete{}Policy", "Detach{}Policy")
_REWRITE: Final = ("CreatePolicyVersion", "SetDefaultPolicyVersion")
_ALLOW_GROUP: Final = ("PutGroupPolicy", "AttachGroupPolicy")
_UNDENY_GROUP: Final = ("DeleteGroupPolicy", "DetachGroupPolicy", "RemoveUserFromGroup")


@cache
def _iam(action: str, arn: str, *context: tuple[str, str | None], is_any: bool = False) -> Request:
    """A call about something of its caller's account. There is one object for each."""
    action, account = f"iam:{action}", account_in(arn)
    return Request(action=action, resource=arn, account=account, context=context, is_any=is_any)


def _iam_calls(actions: Iterable[str], arn: str, *context: tuple[str, str | None]) -> Need:
    kind = "Role" if ":role/" in arn else "User"
    return tuple(_iam(action.format(kind), arn, *context) for action in actions)


@cache
def any_call(action: str, resource: str, account: str) -> Request:
    """Any call that fits these patterns. There is one object for each."""
    return Request(action=action, resource=resource, account=account, is_any=True)


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
        self._boundaries = list(dict.fromkeys((_UNBOUND, *self._demanded_boundaries())))
        self._passed_to = _compared(self._policies, "iam:passedtoservice")
        self.principals = {it.arn: self._as_it_is(it) for it in account.identities}
        """The account's roles and users as they are, by ARN."""
        self._same_name: dict[tuple[str, ...], list[Identity]] = defaultdict(list)
        for identity in account.identities:
            self._same_name[identity.unique].append(identity)
        self.all: list[Step] = []
        names = self._names(listed)
        for identity in account.identities:
            principal = self.principals[identity.arn]
            if identity.is_service_linked:
                continue
            self.all += self._into(identity, principal)
            self._changed(identity, principal, [identity.arn])
            if not identity.is_role:
                self._renamed(identity, principal, names)
        for name in names:
            self._made(name)

    def _as_it_is(self, identity: Identity) -> Principal:
        # An organization's policies do not bind what belongs to AWS's services. See
        # https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html
        bound = identity.account in self._homes and not identity.is_service_linked
        return Principal(
            arn=identity.arn,
            account=identity.account,
            named=identity.arn,
            policies=identity.policies,
            boundary=identity.boundary,
            scps=self._scps if bound else (),
        )

    def _demanded_boundaries(self) -> Iterator[Boundary]:
        """What somebody's policies demand as a boundary of others."""
        managed = self._account.managed
        accounts = {it.account for it in self._account.identities}
        values = {
            value.replace("${aws:PrincipalAccount}", account)
            for value in _compared(self._policies, _KEY)
            for account in accounts
        }
        for value in sorted(values):
            texts = [Boundary(arn, managed[arn]) for arn in sorted(managed) if covers(value, arn)]
            yield from texts
            if is_pattern(value) or not texts:
                # One that may be made first allows whatever its maker likes.
                yield Boundary(value, None)

    def _names(self, listed: Collection[str]) -> list[str]:
        """ARNs, or patterns of them, of roles and users that it may help to make, or to be named.

        Those by which a policy tells callers apart, and those that somebody may make.
        """
        wanted = {*listed, *_compared(self._policies, PRINCIPAL_ARN)}
        wanted |= {it for trust in self._trusts for it in trust.compared(PRINCIPAL_ARN)}
        wanted |= {f"arn:*:user/{it}" for it in _compared(self._policies, USER_NAME)}
        for policy in self._policies:
            for statement in policy.statements:
                if statement.is_about("iam:CreateRole") or statement.is_about("iam:CreateUser"):
                    wanted.update(statement.resources)
        names = set[str]()
        for iam in {it.iam for it in self._account.identities}:
            for kind in (f"{iam}role/*", f"{iam}user/*"):
                names.add(kind)
                names.update(it for name in wanted if (it := within(name, kind)))
        return sorted(name for name in names if not _is_reserved(name))

    @property
    def _trusts(self) -> Iterator[Policy]:
        return (it.trust for it in self._account.identities)

    # --- Becoming somebody who exists -------------------------------------------------------------

    def _into(self, identity: Identity, to: Principal) -> Iterator[Step]:
        if not identity.is_role:
            yield Step(to=to, needs=(_iam_calls(_SIGN_IN, identity.arn),))
            return
        yield Step(to=to, needs=((_assuming(identity, ASSUME_ROLE, identity.trust),),))
        if not identity.is_protected:
            needs = (_iam_calls(_TRUST, identity.arn),)
            yield Step(to=to, needs=needs, then=ASSUME_ROLE)
        yield from _through_federations(identity, to)
        services = {it for it in identity.trust.admitted if it.startswith(SERVICE)}
        for name in sorted(services):
            yield from self._through_service(identity, to, name.removeprefix(SERVICE))

    def _through_service(self, identity: Identity, to: Principal, name: str) -> Iterator[Step]:
        """Passing the role to a service, or taking over what runs there as the role."""
        service = service_of(name)
        # How a service of one Region is named in a request is not documented.
        values = passed_to(name, self._passed_to) if service.name == name else ()
        passed = tuple(
            _iam("PassRole", identity.arn, ("iam:passedtoservice", value)) for value in values
        ) or (_iam("PassRole", identity.arn),)
        for source in _sources(identity, name, seen=bool(service.source)):
            # Only that resource, whoever makes it, is trusted with the role that it is given.
            made = () if source == ANY else ((any_call(service.source, source, to.account),),)
            yield Step(to=to, needs=(passed, *made))
            for action, resource in service.calls:
                yield _taking_over(identity, to, action, resource if source == ANY else source)
            for action, resource in service.elsewhere:
                yield _taking_over(identity, to, action, resource)

    # --- Changing what somebody may do ------------------------------------------------------------

    def _changed(self, identity: Identity, base: Principal, arns: list[str]) -> None:
        """The principal with more permissions, with another boundary, or with both.

        Whoever controls somebody's policies counts as able to do all that the boundary lets
        through. `arns` are those by which it is called.
        """
        statements = [it for policy in base.policies for it in policy.statements]
        granted = tuple(it for it in statements if it.allows)
        undenied = (policy_of(granted),) if len(granted) < len(statements) else None
        own = Boundary(identity.boundary_arn or "", base.boundary)
        for bound in dict.fromkeys((own, *self._boundaries)):
            rebound = () if bound == own else (self._bounding(identity, arns, own, bound),)
            if rebound == ((),):
                continue
            context = [(_KEY, bound.arn or None)]
            if bound.policy is None and own.arn:
                context.append((_KEY, own.arn))  # whose text has been rewritten
            changes = [
                (base.policies, ()),
                ((EVERYTHING,), (_allowing(identity, arns, context),)),
            ]
            if undenied is not None:
                changes.append((undenied, (_undenying(identity, arns),)))
            for policies, needs in changes:
                # A limit alone is no gain.
                if needs or (rebound and own.policy):
                    to = replace(base, policies=policies, boundary=bound.policy)
                    self.all.append(Step(to=to, needs=(*rebound, *needs), held=base))

    def _bounding(
        self, identity: Identity, arns: list[str], own: Boundary, bound: Boundary
    ) -> Need:
        """The calls of which any one gives the principal this boundary, or none."""
        if identity.is_protected:
            return _iam_calls(_REWRITE, own.arn) if own.arn and bound == _UNBOUND else ()
        put = [bound.arn] if bound.arn else []
        calls: list[Request] = []
        if bound == _UNBOUND:
            calls += (
                it for arn in arns for it in _iam_calls(("Delete{}PermissionsBoundary",), arn)
            )
            calls += _iam_calls(_REWRITE, own.arn) if _is_own_policy(own.arn) else ()
            # One of AWS's own, which sets no limit.
            put.append(f"arn:{identity.partition}:iam::aws:policy/AdministratorAccess")
        for arn in arns:
            for value in put:
                calls += _iam_calls(("Put{}PermissionsBoundary",), arn, (_KEY, value))
        return tuple(calls)

    def _renamed(self, identity: Identity, base: Principal, names: list[str]) -> None:
        """A user may be given any name that is free, or has been made free."""
        for name in names:
            if ":user/" not in name or name == identity.arn:
                continue
            taken = ((_iam("UpdateUser", name),),) if name in self.principals else ()
            renamed = replace(base, arn=name)
            needs = (*taken, (_iam("UpdateUser", identity.arn),))
            self.all.append(Step(to=renamed, needs=needs, held=base))
            self._changed(identity, renamed, [identity.arn, name])

    # --- Making somebody --------------------------------------------------------------------------

    def _made(self, name: str) -> None:
        """A role or a user made anew, by a name that is free, or has been made free.

        It has no policy, and a Principal element that had its name meant who was there before.
        """
        identity = Identity(arn=name)
        kind = identity.kind
        existing = self._same_name.get(identity.unique, [])
        if any(it.is_protected for it in existing):
            return
        removals = tuple((_iam(f"Delete{kind}", it.arn),) for it in existing)
        for bound in self._boundaries:
            made = Principal(
                arn=name,
                account=identity.account,
                named="",
                boundary=bound.policy,
                scps=self._scps if identity.account in self._homes else (),
            )
            context = (_KEY, bound.arn or None)
            create = (_iam(f"Create{kind}", name, context),)
            if identity.is_role:
                # Its trust policy is its creator's.
                step = Step(to=made, needs=(*removals, create), then=ASSUME_ROLE)
            else:
                keys = _iam_calls(_SIGN_IN[:2], name)
                step = Step(to=made, needs=(*removals, create, keys))
            self.all.append(step)
            self._changed(replace(identity, boundary_arn=bound.arn), made, [name])


def _compared(policies: Iterable[Policy], key: str) -> set[str]:
    return {value for policy in policies for value in policy.compared(key)}


def _is_reserved(arn: str) -> bool:
    return "/aws-service-role/" in arn or "/aws-reserved/" in arn


def _is_own_policy(arn: str) -> bool:
    """Whether a managed policy may be rewritten: AWS's own may not."""
    return bool(arn) and ":iam::aws:policy/" not in arn


def _allowing(identity: Identity, arns: list[str], contexts: list[tuple[str, str | None]]) -> Need:
    calls = [it for policy in sorted(identity.managed) for it in _rewriting(policy)]
    if not identity.is_protected:
        calls += (it for arn in arns for key in contexts for it in _iam_calls(_ALLOW, arn, key))
        calls += (it for group in sorted(identity.groups) for it in _iam_calls(_ALLOW_GROUP, group))
        if not identity.is_role:
            calls.append(_iam("AddUserToGroup", f"{identity.iam}group/*", is_any=True))
    return tuple(calls)


def _undenying(identity: Identity, arns: list[str]) -> Need:
    calls = [it for policy in sorted(identity.managed) for it in _rewriting(policy)]
    if not identity.is_protected:
        calls += (it for arn in arns for it in _iam_calls(_UNDENY, arn))
        calls += (it for grp in sorted(identity.groups) for it in _iam_calls(_UNDENY_GROUP, grp))
    return tuple(calls)


def _rewriting(policy: str) -> Need:
    return _iam_calls(_REWRITE, policy) if _is_own_policy(policy) else ()


# --- Becoming a role that others are trusted with -------------------------------------------------


def _assuming(identity: Identity, action: str, trust: Policy) -> Request:
    return Request(
        action=action,
        resource=identity.arn,
        account=identity.account,
        policy=trust,
        is_trust=True,
    )


def _taking_over(identity: Identity, to: Principal, action: str, resource: str) -> Step:
    return Step(to=to, needs=((any_call(action, resource, identity.account),),))


def _serves(identity: Identity, service: str, *keys: tuple[str, str | None]) -> bool:
    """Whether the role's trust policy allows the service to assume it, for its own account."""
    context = (("aws:sourceaccount", identity.account), *keys)
    request = replace(_assuming(identity, ASSUME_ROLE, identity.trust), context=context)
    caller = Principal(arn="", account="", named=f"{SERVICE}{service}")
    return decide(caller, request) is not None


_SOURCE: Final = "aws:sourcearn"


def _sources(identity: Identity, service: str, *, seen: bool) -> Iterator[str]:
    """ARNs of resources, or patterns, for which the service may assume the role; `*`: for any.

    The trust policy sees none of them, or sees it as aws:SourceArn.
    """
    if not seen:
        yield from [ANY] if _serves(identity, service) else ()
        return
    named = [it for it in identity.trust.compared(_SOURCE) if "${" not in it]
    yield from (it for it in named if _serves(identity, service, (_SOURCE, it)))
    if any(_serves(identity, service, (_SOURCE, it)) for it in (ANY, None)):
        yield ANY


_EKS: Final = "oidc.eks."


def _through_federations(identity: Identity, to: Principal) -> Iterator[Step]:
    federations = sorted(it for it in identity.trust.admitted if it.startswith(FEDERATED))
    if federations:
        anybodys = policy_of(tuple(it for it in identity.trust.statements if not is_pinned(it)))
        for action in ("sts:AssumeRoleWithWebIdentity", _WITH_SAML):
            yield Step(to=to, needs=((_assuming(identity, action, anybodys),),))
    for name in federations:
        provider = name.removeprefix(FEDERATED)
        if ":saml-provider/" in provider:
            # Whoever says what the provider is vouches for anybody.
            verbs = ("UpdateSAMLProvider", "CreateSAMLProvider")
            yield Step(to=to, needs=(_iam_calls(verbs, provider),), then=_WITH_SAML)
        elif _EKS in provider:
            # Whoever may do something in a cluster runs a pod as the service account.
            # https://docs.aws.amazon.com/eks/latest/userguide/iam-roles-for-service-accounts.html
            for action, resource in service_of("pods.eks.amazonaws.com").calls:
                yield _taking_over(identity, to, action, resource)


_WITH_SAML: Final = "sts:AssumeRoleWithSAML"
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
