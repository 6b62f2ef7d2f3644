"""Who could move a tag, delete an image or change the guard, and by which calls."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from container_images.access.account import Listing
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
from container_images.access.paths import Network, Path, shortest_paths
from container_images.access.policy import (
    FEDERATED,
    PRINCIPAL_ARN,
    SERVICE,
    UNREAD,
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


class PrincipalPaths(NamedTuple):
    """What a principal can do, by itself or by a privilege-escalation path."""

    principal: str
    paths: Mapping[str, Path | None]
    """The shortest path to each ability, by its name; None where there is none."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Who could do what to one repository."""

    repository: str
    like: str
    """ARN of the repository that was evaluated, which the last call of each path names. The same is
    true of all repositories that are like it."""
    principals: tuple[PrincipalPaths, ...]
    """Every role and user, and those of other accounts that have or are given a say."""
    is_home: bool
    """Whether the roles and users of the account that holds the repository are known."""
    missing: tuple[str, ...]
    """ARNs that its policy names, of roles and users that do not exist."""


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
    listed = {arn for it in repositories for arn in it.policy.compared(PRINCIPAL_ARN)}
    steps = Steps(account, listed, scps, {it.account for it in repositories})
    outsiders = list(_outsiders(account, repositories))
    network = Network(steps.all, [*steps.principals.values(), *outsiders])
    policies = (*steps.policies, *account.managed.values())
    patterns = {
        pattern for policy in policies for it in policy.statements for pattern in it.resources
    }
    evaluated: dict[Any, Findings] = {}
    found = []
    for repository in counted(repositories):
        key = _likeness(repository, patterns)
        if key not in evaluated:
            evaluated[key] = _evaluated(repository, steps, network, outsiders)
        found.append(replace(evaluated[key], repository=repository.arn))
    return found


def _likeness(repository: Subject, patterns: Collection[str]) -> Any:
    """The same for repositories of which everything said of one can be said of the other."""
    own = {pattern for it in repository.policy.statements for pattern in it.resources}
    patterns = own.union(patterns)
    if any("${" in it for it in patterns):
        return repository.arn
    fitting = frozenset(it for it in patterns if iam_glob(it, repository.arn))
    return repository.account, repository.policy, fitting


def _evaluated(
    repository: Subject, steps: Steps, network: Network, outsiders: Sequence[Principal]
) -> Findings:
    searches = {
        ability: shortest_paths(network, tuple(map(repository.request, actions)))
        for ability, actions in ABILITIES.items()
    }

    def paths_of(principal: Principal) -> PrincipalPaths:
        paths = {name: it.get(principal) for name, it in searches.items()}
        if ":role/aws-service-role/" in principal.arn:
            # Only its service assumes it, and does with it what it is for.
            paths = {name: it if it and not it.calls[1:] else None for name, it in paths.items()}
        return PrincipalPaths(principal.shown, paths)

    known = steps.principals
    rows = [paths_of(it) for it in known.values()]
    listed = {*repository.policy.compared(PRINCIPAL_ARN)}
    # Others' roles that are let in nowhere near are not worth a line.
    rows += (
        it for it in map(paths_of, outsiders) if any(it.paths.values()) or it.principal in listed
    )
    homes = {it.account for it in known.values()}
    missing = (it for it in sorted(listed - known.keys()) if is_exact(it))
    return Findings(
        repository=repository.arn,
        like=repository.arn,
        principals=tuple(rows),
        is_home=repository.account in homes,
        missing=tuple(it for it in missing if account_in(it) in homes),
    )


def _outsiders(account: Listing, repositories: Sequence[Subject]) -> Iterator[Principal]:
    """Whom a policy lets in from outside: other accounts, services, anybody of a federation.

    What their own accounts allow them is not known: so it is everything.
    """
    homes = {it.account for it in account.identities}
    repository, trusts = repositories[0], [it.trust for it in account.identities]
    admitted = {name for it in repositories for name in it.policy.admitted}
    named = {name for it in repositories for name in it.policy.compared(PRINCIPAL_ARN)}
    named = named.union(admitted, *(it.admitted for it in trusts))
    for trust in trusts:
        named.update(trust.compared(PRINCIPAL_ARN), trust.compared(UNREAD))
    elsewhere = {it for it in named if account_in(it) not in ("", *homes)}
    arns = {it for it in elsewhere if ":iam:" in it}
    foreign = {it for it in named if it.isdigit()} | {account_in(it) for it in elsewhere}
    accounts = sorted((foreign | ({ANY} & named)) - homes)
    partition = repository.access["partition"]
    yield from map(repository.caller, sorted(arns))
    yield from (repository.caller(f"arn:{partition}:iam::{it}:*") for it in accounts)
    for name in sorted(named):
        if name.startswith(FEDERATED) or (name.startswith(SERVICE) and name in admitted):
            yield Principal(arn="", account="", named=name)


def others(found: Iterable[Findings], only: Collection[str]) -> list[str]:
    """Who else could move a tag in any of the repositories."""
    able = {row.principal for it in found for row in it.principals if row.paths["moveTags"]}
    return sorted(able.difference(only))
