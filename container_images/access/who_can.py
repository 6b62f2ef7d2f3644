"""Who could move a tag, delete an image or change the guard, and by which calls."""

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

from container_images.access.account import Listing
from container_images.access.claims import CALLS, Subject
from container_images.access.evaluation import Call, Principal, Request, decide, widened
from container_images.access.policy import (
    FEDERATED,
    NO_POLICY,
    PRINCIPAL_ARN,
    SERVICE,
    UNREAD,
    Policy,
    about,
    account_in,
    covers,
    is_pattern,
    overlap,
)
from container_images.access.steps import Need, Step, Steps, is_harmless
from container_images.policies.document import ANY, iam_glob


class Path(NamedTuple):
    """Calls, one after the other, and what is assumed about them."""

    calls: tuple[Call, ...]
    assuming: tuple[str, ...]


@cache
def attempt(principal: Principal, request: Request) -> Path | None:
    """The request, if the principal may make it; of any call of a pattern, the likeliest."""
    paths = []
    for narrow in _narrowed(principal, request) if request.is_any else (request,):
        assuming = decide(principal, narrow)
        if assuming is not None:
            paths.append(Path((Call(principal.shown, narrow.action, narrow.resource),), assuming))
    return min(paths, key=lambda path: len(path.assuming), default=None)


def _narrowed(principal: Principal, request: Request) -> Iterator[Request]:
    """The request, and what it is in the narrower patterns of the principal's policies.

    They tell no more requests apart than these: see evaluation.py.
    """
    policies = (*principal.policies, principal.boundary or NO_POLICY, *principal.scps)
    prefix, _, name = request.action.partition(":")
    narrower = (each for policy in policies for each in _actions(policy, prefix) if name == ANY)
    for action in dict.fromkeys((request.action, *narrower)):
        if name == ANY and is_harmless(action):
            continue
        statements = (each for policy in policies for each in about(policy, action))
        resources = {
            resource
            for statement in statements
            for pattern in statement.resources
            if (resource := widened(pattern, principal.keys))
            and covers(request.resource, resource)
            and _belongs(resource, prefix)
        }
        for resource in (request.resource, *sorted(resources)):
            yield Request(action, resource, request.account)


def _belongs(resource: str, prefix: str) -> bool:
    """Whether a service's action may be about a resource: not about one of another service's."""
    service = resource.split(":")[2] if resource.startswith("arn:") else ANY
    return prefix in ("iam", "ssm") or bool(covers(service, prefix)) or prefix.startswith(service)


@cache
def _actions(policy: Policy, prefix: str) -> tuple[str, ...]:
    """The patterns of a policy that are within all actions of a service."""
    return tuple(
        f"{prefix}:{name.partition(':')[2]}"
        for statement in policy.statements
        for name in statement.actions_of(prefix)
        if ":" in name and covers(name.lower().partition(":")[0], prefix)
    )


Members = int
"""A set of principals: the bits whose positions are their numbers."""


def numbers_in(members: Members) -> Iterator[int]:
    """The numbers of the principals in a set."""
    while members:
        yield (members & -members).bit_length() - 1
        members &= members - 1


class Network:
    """Principals, the steps between them, and who makes the calls that these take."""

    def __init__(self, steps: Iterable[Step], principals: Iterable[Principal]) -> None:
        """`principals` are all that will be asked about, besides those that the steps lead to."""
        self.steps = list(steps)
        self.principals = list(dict.fromkeys((*principals, *(step.to for step in self.steps))))
        self.everybody: Members = (1 << len(self.principals)) - 1
        self.into: dict[Principal, list[Step]] = defaultdict(list)
        for step in self.steps:
            self.into[step.to].append(step)
        groups: dict[Hashable, Members] = defaultdict(int)
        self._called: dict[str, Members] = defaultdict(int)
        """Principals by their ARN, and by their name in a Principal element."""
        for number, principal in enumerate(self.principals):
            groups[_likeness(principal)] |= 1 << number
            for name in {principal.arn, principal.named}:
                self._called[name] |= 1 << number
        self._groups = list(groups.values())
        """Principals whom no policy of their own tells apart."""
        self._able: dict[str, list[Members]] = {}
        self._asked: dict[Need, tuple[Members, Members]] = {}
        """For each need those who have been asked about, and who of them can meet it."""

    def makers(self, need: Need, among: Members) -> Members:
        """Who of some principals may make one of some requests."""
        asked, able = self._asked.get(need, (0, 0))
        if new := among & ~asked:
            for request in need:
                able |= self._evaluated(request, new & ~able)
            self._asked[need] = (asked | new, able)
        return able & among

    def _evaluated(self, request: Request, among: Members) -> Members:
        """Who of some principals may make a request: of each group one is asked."""
        policy, makers = request.policy, 0
        told_apart = policy.distinguished_arns
        alone: Members = 0
        for name in policy.admitted.union(told_apart or ()):
            alone |= self._called[name]
        for group in self._candidates(request):
            others = group & among & ~alone
            if told_apart is None:
                alone |= others
            elif others and attempt(self._one_of(others), request):
                makers |= others
        for number in numbers_in(alone & among):
            makers |= bool(attempt(self.principals[number], request)) << number
        return makers

    def _candidates(self, request: Request) -> list[Members]:
        """Groups that may be able to make a request: those that have an Allow about it.

        Of another account's only if the resource's policy means that account.
        """
        action, admitted = request.action, request.policy.admitted
        if ANY in admitted:
            return self._groups
        if action not in self._able:
            self._able[action] = [
                group
                for group in self._groups
                if any(_may_allow(policy, action) for policy in self._one_of(group).policies)
            ]
        accounts = admitted if request.is_trust else {request.account, *admitted}
        return [group for group in self._able[action] if self._one_of(group).account in accounts]

    def _one_of(self, group: Members) -> Principal:
        return self.principals[group.bit_length() - 1]


@cache
def _may_allow(policy: Policy, action: str) -> bool:
    """Whether a policy has an Allow about an action, or about one of a pattern."""
    service = action.partition(":")[0]
    return any(
        statement.is_about(action)
        if statement.all_but_actions
        else any(overlap(name.lower(), action.lower()) for name in statement.actions_of(service))
        for statement in policy.statements
        if statement.allows
    )


def _likeness(principal: Principal) -> Hashable:
    """The same for principals that their own policies do not tell apart."""
    policies = (*principal.policies, *principal.scps, principal.boundary or NO_POLICY)
    names = [policy.distinguished_arns for policy in policies]
    is_apart = any(arns is None or principal.arn in arns for arns in names)
    who = principal.arn if is_apart else principal.arn.partition("/")[0]
    return principal.account, who, principal.policies, principal.scps, principal.boundary


def shortest_paths(network: Network, need: Need) -> dict[Principal, Path]:
    """The shortest path, with the last call, of everybody who has one to such a call.

    The search goes from the end, with all that have paths of one length at once: from those that
    make the call back to those that can become one of them. So nobody is looked at twice, and
    nobody at all who leads nowhere.
    """
    paths: dict[Principal, Path] = {}
    unable = network.everybody
    waiting: dict[int, list[tuple[Need, Step | None]]] = {1: [(need, None)]}
    while waiting:
        length = min(waiting)
        for calls, step in waiting.pop(length):
            makers = network.makers(calls, unable)
            unable &= ~makers
            for maker in (network.principals[number] for number in numbers_in(makers)):
                attempts = (attempt(maker, call) for call in calls)
                paths[maker] = _leg(next(filter(None, attempts)), step, paths)
                for before in network.into[maker]:
                    waiting.setdefault(length + before.length, []).append((before.need, before))
    return paths


def _leg(path: Path, step: Step | None, paths: Mapping[Principal, Path]) -> Path:
    """The path of a call, with what follows the step that it makes."""
    if step is None:
        return path
    rest = paths[step.to]
    then = [Call(path.calls[0].principal, step.then, step.to.shown)] if step.then else []
    assuming = dict.fromkeys((*path.assuming, *rest.assuming))
    return Path((*path.calls, *then, *rest.calls), tuple(assuming))


ABILITIES: Final = ("moveTags", "deleteImages", "changeGuard")
"""What is asked of everybody."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Who could do what to repositories that no policy tells apart."""

    repositories: list[str]
    """Their ARNs. The first was evaluated: the last call of each path names it."""
    principals: Mapping[str, Mapping[str, Path | None]]
    """The shortest path to each of ABILITIES, or None, of every role and user, and of those of
    other accounts that have or are given a say."""
    is_home: bool
    """Whether the roles and users of the account that holds the repositories are known."""
    missing: Sequence[str]
    """ARNs that their policy names, of roles and users that do not exist."""


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
        key = _told_apart(repository, patterns)
        if key in groups:
            groups[key].repositories.append(repository.arn)
        else:
            groups[key] = _evaluated(repository, steps, network, outsiders)
    return [*groups.values()]


def _told_apart(repository: Subject, patterns: Collection[str]) -> Any:
    """The same for repositories of which everything said of one can be said of the other."""
    own = {pattern for each in repository.policy.statements for pattern in each.resources}
    if any("${" in pattern for pattern in own.union(patterns)):
        return repository.arn
    fitting = (pattern for pattern in own.union(patterns) if iam_glob(pattern, repository.arn))
    return repository.account, repository.policy, frozenset(fitting)


def _evaluated(
    repository: Subject, steps: Steps, network: Network, outsiders: Sequence[Principal]
) -> Findings:
    searches = {
        ability: shortest_paths(network, tuple(map(repository.request, CALLS[ability][0])))
        for ability in ABILITIES
    }

    listed = {*repository.policy.compared(PRINCIPAL_ARN)}
    known = listed.union(steps.principals)
    rows: dict[str, dict[str, Path | None]] = {}
    for principal in (*steps.principals.values(), *outsiders):
        paths = {ability: searches[ability].get(principal) for ability in ABILITIES}
        if ":role/aws-service-role/" in principal.arn:
            # Only its service assumes it, and does with it what it is for.
            own = {name: path for name, path in paths.items() if path and not path.calls[1:]}
            paths = {**dict.fromkeys(ABILITIES), **own}
        # Others' roles that are let in nowhere near are not worth a line.
        if any(paths.values()) or principal.arn in known:
            rows[principal.shown] = paths
    homes = {principal.account for principal in steps.principals.values()}
    return Findings(
        repositories=[repository.arn],
        principals=rows,
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
    rows = (row for result in results for row in result.principals.items())
    return sorted({name for name, paths in rows if paths["moveTags"]}.difference(only))
