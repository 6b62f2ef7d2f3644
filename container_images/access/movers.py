"""Who could move a tag, delete an image or change the guard, and by which calls."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from container_images.access.account import Identity, Listing
from container_images.access.claims import (
    CHANGE_GUARD,
    DELETE_IMAGES,
    MOVE_TAGS,
    Claim,
    Proof,
    Subject,
    prove,
)
from container_images.access.evaluation import Principal
from container_images.access.paths import Network, Path, PathSearch
from container_images.access.policy import (
    EVERYTHING,
    FEDERATED,
    PRINCIPAL_ARN,
    SERVICE,
    Policy,
    account_in,
    is_exact,
)
from container_images.access.steps import Steps
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
    paths: Mapping[str, Path | None]
    """The shortest path to each ability, by its name; None where there is none."""


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
    """ARN of the repository that was evaluated, which the last call of each path names. The same is
    true of all repositories that are like it."""
    movers: tuple[Mover, ...]
    """Every role and user, and those of other accounts that have or are given a say."""
    root: Mover
    is_home: bool
    """Whether the roles and users of the account that holds the repository are known."""
    missing: tuple[str, ...]
    """ARNs that its policy names, of roles and users that do not exist."""
    entrances: tuple[Entrance, ...]
    """Into the roles that could do something."""


def proofs(repository: Subject) -> list[Proof]:
    """What holds of everybody, whether listed or not: nobody but those whom the policy exempts."""
    access = repository.access
    claims = [Claim.MOVED, Claim.ADMINISTERED, Claim.BOTH]
    # A claim about roles of which there are none says nothing.
    claims += [Claim.PUSHED] if access["pipeline_roles"] else []
    claims += [Claim.LOCKED_OUT] if access["administrator_roles"] else []
    return prove([repository], claims)


def findings(
    account: Listing,
    repositories: Sequence[Subject],
    scps: tuple[Policy, ...] = (),
    counted: Callable[[Sequence[Subject]], Iterable[Subject]] = iter,
) -> list[Findings]:
    """Who could do what to each repository, and how.

    `scps` are the service control policies of the account that holds them, one for each level of
    the organization. Repositories for which no policy makes a difference are evaluated once.
    """
    listed = frozenset[str]().union(*(_listed(it.policy) for it in repositories))
    steps = Steps(account, listed, scps, {it.account for it in repositories})
    outsiders = list(_outsiders(account, repositories))
    roots = [_root(it, scps) for it in {it.account: it for it in repositories}.values()]
    network = Network(steps.all, [*steps.principals.values(), *outsiders, *roots])
    policies = (*account.policies, *account.managed.values(), *scps)
    patterns = {
        pattern for policy in policies for it in policy.statements for pattern in it.resources
    }
    evaluated: dict[Any, Findings] = {}
    found = []
    for repository in counted(repositories):
        key = _likeness(repository, patterns)
        if key not in evaluated:
            evaluated[key] = _Evaluation(account, steps, network, outsiders, roots).of(repository)
        found.append(replace(evaluated[key], repository=repository.arn))
    return found


def others(found: Iterable[Findings], only: Collection[str]) -> list[str]:
    """Who else could move a tag in any of the repositories."""
    able = {mover.principal for it in found for mover in it.movers if mover.paths["moveTags"]}
    return sorted(able.difference(only))


def _listed(policy: Policy) -> frozenset[str]:
    """The ARNs by which a policy tells its callers apart: those that its guard names."""
    return frozenset(policy.compared(PRINCIPAL_ARN))


def _likeness(repository: Subject, patterns: Collection[str]) -> Any:
    """The same for repositories of which everything said of one can be said of the other."""
    own = {pattern for it in repository.policy.statements for pattern in it.resources}
    patterns = own.union(patterns)
    if any("${" in it for it in patterns):
        return repository.arn
    fitting = frozenset(it for it in patterns if iam_glob(it, repository.arn))
    return account_in(repository.arn), repository.policy, fitting


def _root(repository: Subject, scps: tuple[Policy, ...]) -> Principal:
    arn = f"{repository.iam(repository.account)}root"
    return Principal(
        arn=arn, account=repository.account, named=arn, policies=(EVERYTHING,), scps=scps
    )


@dataclass(frozen=True)
class _Evaluation:
    """What is the same for every repository."""

    account: Listing
    steps: Steps
    network: Network
    outsiders: Sequence[Principal]
    roots: Sequence[Principal]

    def of(self, repository: Subject) -> Findings:
        identities, listed = self.account.identities, _listed(repository.policy)
        [root] = [it for it in self.roots if it.account == repository.account]
        searches = {
            ability: PathSearch(
                self.network,
                [repository.request(it) for it in actions],
                [*self.steps.principals.values(), *self.outsiders, root],
            )
            for ability, actions in ABILITIES.items()
        }
        movers = []
        for identity in identities:
            principal = self.steps.principals[identity.arn]
            # Only its service assumes a service-linked role, and does with it what it is for.
            direct = identity.is_service_linked
            paths = {
                name: it.direct(principal) if direct else it.path(principal)
                for name, it in searches.items()
            }
            movers.append(Mover(principal=identity.arn, paths=paths))
        able = {it.principal for it in movers if any(it.paths.values())}
        for outsider in self.outsiders:
            paths = {name: it.path(outsider) for name, it in searches.items()}
            # Others' roles that are let in nowhere near are not worth a line.
            if any(paths.values()) or outsider.arn in listed:
                movers.append(Mover(principal=outsider.shown, paths=paths))
        homes = {it.account for it in identities}
        exact = [it for it in sorted(listed) if is_exact(it) and account_in(it) in homes]
        return Findings(
            repository=repository.arn,
            like=repository.arn,
            movers=tuple(movers),
            root=Mover(
                principal=root.arn, paths={name: it.path(root) for name, it in searches.items()}
            ),
            is_home=repository.account in homes,
            missing=tuple(it for it in exact if it not in self.steps.principals),
            entrances=tuple(
                entrance for it in identities if it.arn in able for entrance in _entrances(it)
            ),
        )


def _outsiders(account: Listing, repositories: Sequence[Subject]) -> Iterator[Principal]:
    """Whom a policy lets in from outside: other accounts, services, anybody of a federation.

    What their own accounts allow them is not known: so it is everything.
    """
    homes = {it.account for it in account.identities}
    policies = {it.policy for it in repositories}
    admitted = {name for policy in policies for name in policy.admitted}
    named = {name for policy in policies for name in _listed(policy)}
    named = named.union(admitted, *(it.trust.admitted for it in account.identities))
    exact = sorted(it for it in named if is_exact(it) and account_in(it) not in homes)
    for arn in exact:
        yield Principal(arn=arn, account=account_in(arn), named=arn, policies=(EVERYTHING,))
    foreign = {it for it in named if it.isdigit()} | {account_in(it) for it in exact}
    partition = repositories[0].access["partition"]
    for number in sorted((foreign | ({ANY} & named)) - homes):
        arn = f"arn:{partition}:iam::{number}:*"
        yield Principal(arn=arn, account=number, named="", policies=(EVERYTHING,))
    for name in sorted(named):
        if name.startswith(FEDERATED) or (name.startswith(SERVICE) and name in admitted):
            yield Principal(arn="", account="", named=name)


def _entrances(identity: Identity) -> Iterator[Entrance]:
    for statement in identity.trust.statements:
        for name in statement.principals:
            if statement.allows and name.startswith((SERVICE, FEDERATED)):
                yield Entrance(
                    role=identity.arn,
                    trusts=name.partition(":")[2],
                    conditions=tuple(
                        f"{key}: {', '.join(values)}" for _, key, values in statement.conditions
                    ),
                )
