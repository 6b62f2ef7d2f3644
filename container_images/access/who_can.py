"""Who could move a tag, delete an image or change the guard, and by which calls."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from container_images.access.account import Listing
from container_images.access.claims import CALLS, Claim, Proof, Subject, prove
from container_images.access.evaluation import Principal
from container_images.access.paths import Network, Path, shortest_paths
from container_images.access.policy import (
    FEDERATED,
    PRINCIPAL_ARN,
    SERVICE,
    UNREAD,
    Policy,
    account_in,
    is_pattern,
)
from container_images.access.steps import Steps
from container_images.policies.patterns import ANY, iam_glob

ABILITIES: Final = ("moveTags", "deleteImages", "changeGuard")
"""What is asked of everybody."""


class PrincipalPaths(NamedTuple):
    """What a principal can do, by itself or by a privilege-escalation path."""

    principal: str
    paths: Mapping[str, Path | None]
    """The shortest path to each of ABILITIES; None where there is none."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Who could do what to repositories that no policy tells apart."""

    repositories: list[str]
    """Their ARNs. The first was evaluated: the last call of each path names it."""
    principals: Sequence[PrincipalPaths]
    """Every role and user, and those of other accounts that have or are given a say."""
    is_home: bool
    """Whether the roles and users of the account that holds the repositories are known."""
    missing: Sequence[str]
    """ARNs that their policy names, of roles and users that do not exist."""


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
    """Who could do what to the repositories, and how.

    `scps` are the service control policies of the account that holds them, one for each level of
    the organization. Repositories for which no policy makes a difference are evaluated once.
    """
    listed = {arn for each in repositories for arn in each.policy.compared(PRINCIPAL_ARN)}
    steps = Steps(account, listed, scps, {each.account for each in repositories})
    outsiders = list(_outsiders(account, repositories))
    network = Network(steps.all, [*steps.principals.values(), *outsiders])
    policies = (*steps.policies, *account.managed.values())
    patterns = {
        pattern for policy in policies for each in policy.statements for pattern in each.resources
    }
    groups: dict[Any, Findings] = {}
    for repository in counted(repositories):
        key = _likeness(repository, patterns)
        if key in groups:
            groups[key].repositories.append(repository.arn)
        else:
            groups[key] = _evaluated(repository, steps, network, outsiders)
    return [*groups.values()]


def _likeness(repository: Subject, patterns: Collection[str]) -> Any:
    """The same for repositories of which everything said of one can be said of the other."""
    own = {pattern for each in repository.policy.statements for pattern in each.resources}
    if any("${" in pattern for pattern in own.union(patterns)):
        return repository.arn
    fitting = (pattern for pattern in own.union(patterns) if iam_glob(pattern, repository.arn))
    return repository.account, repository.policy, frozenset(fitting)


def _evaluated(
    repository: Subject, steps: Steps, network: Network, outsiders: Sequence[Principal]
) -> Findings:
    found = {
        ability: shortest_paths(network, tuple(map(repository.request, CALLS[ability][0])))
        for ability in ABILITIES
    }

    def paths_of(principal: Principal) -> PrincipalPaths:
        paths = {ability: found[ability].get(principal) for ability in ABILITIES}
        if ":role/aws-service-role/" in principal.arn:
            # Only its service assumes it, and does with it what it is for.
            own = {name: path for name, path in paths.items() if path and not path.calls[1:]}
            paths = {**dict.fromkeys(ABILITIES), **own}
        return PrincipalPaths(principal.shown, paths)

    listed = {*repository.policy.compared(PRINCIPAL_ARN)}
    # Others' roles that are let in nowhere near are not worth a line.
    others = (
        row
        for row in map(paths_of, outsiders)
        if any(row.paths.values()) or row.principal in listed
    )
    homes = {principal.account for principal in steps.principals.values()}
    return Findings(
        repositories=[repository.arn],
        principals=[*map(paths_of, steps.principals.values()), *others],
        is_home=repository.account in homes,
        missing=[
            arn
            for arn in sorted(listed - steps.principals.keys())
            if account_in(arn) in homes and "/" in arn and not is_pattern(arn)
        ],
    )


def _outsiders(account: Listing, repositories: Sequence[Subject]) -> Iterator[Principal]:
    """Whom a policy lets in from outside: other accounts, services, anybody of a federation.

    What their own accounts allow them is not known: so it is everything.
    """
    homes = {identity.account for identity in account.identities}
    trusts = [identity.trust for identity in account.identities]
    policies = [repository.policy for repository in repositories]
    admitted = {name for policy in policies for name in policy.admitted}
    named = admitted.union(*(trust.admitted for trust in trusts))
    named.update(*(policy.compared(PRINCIPAL_ARN) for policy in (*policies, *trusts)))
    named.update(*(trust.compared(UNREAD) for trust in trusts))
    elsewhere = {name for name in named if account_in(name) not in ("", *homes)}
    accounts = {name for name in named if name.isdigit() or name == ANY} - homes
    accounts.update(map(account_in, elsewhere))
    caller, partition = repositories[0].caller, repositories[0].access["partition"]
    yield from (caller(arn) for arn in sorted(elsewhere) if ":iam:" in arn)
    yield from (caller(f"arn:{partition}:iam::{number}:*") for number in sorted(accounts))
    for name in sorted(named):
        if name.startswith(FEDERATED) or (name.startswith(SERVICE) and name in admitted):
            yield Principal(arn="", account="", named=name)


def others(results: Iterable[Findings], only: Collection[str]) -> list[str]:
    """Who else could move a tag in any of the repositories."""
    rows = (row for result in results for row in result.principals)
    return sorted({row.principal for row in rows if row.paths["moveTags"]}.difference(only))
