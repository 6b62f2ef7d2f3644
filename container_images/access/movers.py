"""Who could move a tag, delete an image or change the guard, and by which calls."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from container_images.access.account import Identity, Listing
from container_images.access.escalations import Escalations
from container_images.access.evaluation import Principal
from container_images.access.paths import EscalationPath, EscalationPaths, Network, Target
from container_images.access.policy import (
    EVERYTHING,
    FEDERATED,
    PRINCIPAL_ARN,
    SERVICE,
    Policy,
    account_in,
    is_exact,
)
from container_images.access.proofs import (
    CHANGE_GUARD,
    DELETE_IMAGES,
    MOVE_TAGS,
    Asked,
    Claim,
    Proof,
    prove,
)
from container_images.policies.patterns import ANY, iam_glob

ABILITIES: Final[Mapping[str, tuple[str, ...]]] = {
    "moveTags": MOVE_TAGS,
    "deleteImages": DELETE_IMAGES,
    "changeGuard": CHANGE_GUARD,
}
"""What is asked of everybody, and the calls on a repository of which any one is enough."""


@dataclass(frozen=True, kw_only=True)
class Mover:
    """What a principal can do, by itself or by a privilege-escalation path."""

    principal: str
    paths: Mapping[str, EscalationPath | None]
    """The shortest way to each ability, by its name; None where there is none."""


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """Somebody outside of the account whom the trust policy of an able role allows to assume it."""

    role: str
    trusts: str
    """A service, or a federated identity provider."""
    conditions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Who could do what to one repository."""

    repository: str
    like: str
    """ARN of the repository that was evaluated. What was found is told of all that are like it."""
    movers: tuple[Mover, ...]
    """Every role and user, and those of other accounts that have or are given a say."""
    root: Mover
    is_home: bool
    """Whether the roles and users of the account that holds the repository are known."""
    missing: tuple[str, ...]
    """ARNs that its policy names, of roles and users that do not exist."""
    entrances: tuple[Entrance, ...]
    """Into the roles that could do something."""


def proofs(repository: Asked) -> list[Proof]:
    """What holds of everybody, whether listed or not: nobody but those whom the policy exempts."""
    access = repository.access
    claims = [Claim.MOVED, Claim.ADMINISTERED, Claim.BOTH]
    # Of nobody everything is true.
    claims += [Claim.PUSHED] if access["pipeline_roles"] else []
    claims += [Claim.LOCKED_OUT] if access["administrator_roles"] else []
    return prove([repository], claims)


def findings(
    account: Listing,
    repositories: Sequence[Asked],
    scps: tuple[Policy, ...] = (),
    counted: Callable[[Sequence[Asked]], Iterable[Asked]] = iter,
) -> list[Findings]:
    """Who could do what to each repository, and how.

    `scps` are the service control policies of the account that holds them, one for each level of
    the organization. Repositories for which no policy makes a difference are evaluated once.
    """
    listed = frozenset[str]().union(*(_listed(it.policy) for it in repositories))
    ways = Escalations(account, listed, scps, {it.access["account_id"] for it in repositories})
    network = Network(ways.all)
    policies = (*account.policies, *account.managed.values(), *scps)
    patterns = {
        pattern for policy in policies for it in policy.statements for pattern in it.resources
    }
    evaluated: dict[Any, Findings] = {}
    found = []
    for repository in counted(repositories):
        key = _likeness(repository, patterns)
        if key not in evaluated:
            evaluated[key] = _findings(account, ways, network, repository, scps)
        found.append(_of(repository.arn, evaluated[key]))
    return found


def others(found: Iterable[Findings], only: Collection[str]) -> list[str]:
    """Who else could move a tag in any of the repositories."""
    able = {mover.principal for it in found for mover in it.movers if mover.paths["moveTags"]}
    return sorted(able.difference(only))


def _listed(policy: Policy) -> frozenset[str]:
    """The ARNs by which a policy tells its callers apart: those that its guard names."""
    return frozenset(policy.compared(PRINCIPAL_ARN))


def _likeness(repository: Asked, patterns: Collection[str]) -> Any:
    """The same for repositories of which everything said of one can be said of the other."""
    own = {pattern for it in repository.policy.statements for pattern in it.resources}
    patterns = own.union(patterns)
    if any("${" in it for it in patterns):
        return repository.arn
    fitting = frozenset(it for it in patterns if iam_glob(it, repository.arn))
    return account_in(repository.arn), repository.policy, fitting


def _of(arn: str, found: Findings) -> Findings:
    """The same findings, said of another repository."""

    def said(mover: Mover) -> Mover:
        paths = mover.paths.items()
        last = {it: path and (*path[:-1], replace(path[-1], resource=arn)) for it, path in paths}
        return replace(mover, paths=last)

    movers = tuple(map(said, found.movers))
    return replace(found, repository=arn, movers=movers, root=said(found.root))


def _findings(
    account: Listing,
    ways: Escalations,
    network: Network,
    repository: Asked,
    scps: tuple[Policy, ...],
) -> Findings:
    own, listed = account_in(repository.arn), _listed(repository.policy)
    root = f"{repository.iam}{own}:root"
    the_root = Principal(arn=root, account=own, named=root, policies=(EVERYTHING,), scps=scps)
    target = Target(repository.arn, repository.policy, ABILITIES)
    outsiders = list(_outsiders(account, repository))
    paths = EscalationPaths(network, target, [*ways.principals.values(), *outsiders, the_root])
    movers = []
    for it in account.identities:
        principal = ways.principals[it.arn]
        # Only its service assumes a service-linked role, and does with it what it is for.
        of = paths.directly_of if it.is_service_linked else paths.of
        movers.append(Mover(principal=it.arn, paths=of(principal)))
    able = {it.principal for it in movers if any(it.paths.values())}
    for outsider in outsiders:
        mover = Mover(principal=outsider.shown, paths=paths.of(outsider))
        # Others' roles that are let in nowhere near are not worth a line.
        if any(mover.paths.values()) or outsider.arn in listed:
            movers.append(mover)
    homes = {it.account for it in account.identities}
    exact = [it for it in sorted(listed) if is_exact(it) and account_in(it) in homes]
    return Findings(
        repository=repository.arn,
        like=repository.arn,
        movers=tuple(movers),
        root=Mover(principal=root, paths=paths.of(the_root)),
        is_home=own in homes,
        missing=tuple(it for it in exact if it not in ways.principals),
        entrances=tuple(
            entrance for it in account.identities if it.arn in able for entrance in _entrances(it)
        ),
    )


def _outsiders(account: Listing, repository: Asked) -> Iterator[Principal]:
    """Whom a policy lets in from outside: other accounts, services, anybody of a federation.

    What their own accounts allow them is not known: so it is everything.
    """
    homes = {it.account for it in account.identities}
    named = _listed(repository.policy).union(
        repository.policy.admitted, *(it.trust.admitted for it in account.identities)
    )
    exact = sorted(it for it in named if is_exact(it) and account_in(it) not in homes)
    for arn in exact:
        yield Principal(arn=arn, account=account_in(arn), named=arn, policies=(EVERYTHING,))
    foreign = {it for it in named if it.isdigit()} | {account_in(it) for it in exact}
    own = {f"{repository.iam}{home}:*" for home in homes}
    for one in sorted((foreign | ({ANY} & named)) - homes):
        yield Principal(
            arn=f"{repository.iam}{one}:*",
            account=one,
            named="",
            policies=(EVERYTHING,),
            is_not=frozenset({*exact, *own}),
        )
    for name in sorted(named):
        if name.startswith(FEDERATED) or (
            name.startswith(SERVICE) and name in repository.policy.admitted
        ):
            yield Principal(arn="", account="", named=name)


def _entrances(it: Identity) -> Iterator[Entrance]:
    for statement in it.trust.statements:
        for name in statement.principals:
            if statement.allows and name.startswith((SERVICE, FEDERATED)):
                yield Entrance(
                    role=it.arn,
                    trusts=name.partition(":")[2],
                    conditions=tuple(
                        f"{key}: {', '.join(values)}" for _, key, values in statement.conditions
                    ),
                )
