"""The shortest privilege-escalation paths from principals to what they could do."""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from container_images.access.compute import is_harmless
from container_images.access.evaluation import (
    Assumption,
    Call,
    Principal,
    Request,
    decide,
    widened,
)
from container_images.access.patterns import covers, is_pattern, overlap
from container_images.access.policy import NO_POLICY, Policy, about
from container_images.access.steps import Need, Step
from container_images.policies.patterns import ANY, expression


@dataclass(frozen=True, kw_only=True)
class Path:
    """Calls, one after the other, and what is assumed about them."""

    calls: tuple[Call, ...] = ()
    assuming: tuple[Assumption, ...] = ()

    def __add__(self, other: "Path") -> "Path":
        """Both, one after the other; nothing twice."""
        return Path(
            calls=tuple(dict.fromkeys((*self.calls, *other.calls))),
            assuming=tuple(dict.fromkeys((*self.assuming, *other.assuming))),
        )


# --- Who makes a call -----------------------------------------------------------------------------


class Attempt(NamedTuple):
    """A request that is allowed, as far as the assumptions are so."""

    action: str
    resource: str
    assuming: tuple[Assumption, ...]

    def by(self, principal: Principal) -> Path:
        """The request as a step of a path."""
        call = Call(principal=principal.shown, action=self.action, resource=self.resource)
        return Path(calls=(call,), assuming=self.assuming)


def attempt(principal: Principal, request: Request) -> Attempt | None:
    """The request, if the principal may make it; of any call of a pattern, the likeliest."""
    if not request.is_any:
        answer = decide(principal, request)
        return None if answer is None else Attempt(request.action, request.resource, answer)
    best: Attempt | None = None
    for action, resource in _narrowed(principal, request):
        call = Request(action=action, resource=resource, account=request.account)
        answer = decide(principal, call)
        if answer is not None and (best is None or len(answer) < len(best.assuming)):
            best = Attempt(action, resource, answer)
    return best


def _narrowed(principal: Principal, request: Request) -> Iterator[tuple[str, str]]:
    """The request, and what it is in the narrower patterns of the principal's policies.

    They tell no more requests apart than these: see evaluation.py.
    """
    policies = (*principal.policies, principal.boundary or NO_POLICY, *principal.scps)
    prefix, _, name = request.action.partition(":")
    narrower = (
        it for policy in policies for it in (_actions(policy, prefix) if name == ANY else ())
    )
    for action in dict.fromkeys((request.action, *narrower)):
        if name == ANY and is_harmless(action):
            continue
        resources = {
            widened(resource, principal.keys)
            for policy in policies
            for statement in about(policy, action)
            for resource in statement.resources
        }
        within = sorted(
            it for it in resources if it and covers(request.resource, it) and _belongs(it, action)
        )
        for resource in dict.fromkeys((request.resource, *within)):
            yield action, resource


def _belongs(resource: str, action: str) -> bool:
    """Whether an action may be about a resource: not about one of another service's."""
    service = resource.split(":")[2] if resource.startswith("arn:") else ANY
    prefix = action.partition(":")[0]
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


# --- Who may go which step ------------------------------------------------------------------------

Members = int
"""A set of principals: the bits whose positions are their numbers."""


class Network:
    """Principals, the steps between them, and who makes the calls that these take."""

    def __init__(self, steps: Iterable[Step], principals: Iterable[Principal]) -> None:
        """`principals` are all that will be asked about, besides those that the steps lead to."""
        self.steps = list(steps)
        self.principals = list(dict.fromkeys((*principals, *(step.to for step in self.steps))))
        self.number = {principal: number for number, principal in enumerate(self.principals)}
        self.into: dict[int, list[Step]] = defaultdict(list)
        for step in self.steps:
            self.into[self.number[step.to]].append(step)
        self._called: dict[str, set[int]] = defaultdict(set)
        """Principals by their ARN, and by their name in a Principal element."""
        groups: dict[Hashable, Members] = defaultdict(int)
        for number, principal in enumerate(self.principals):
            groups[_likeness(principal)] |= 1 << number
            self._called[principal.arn].add(number)
            self._called[principal.named].add(number)
        self.everybody: Members = (1 << len(self.principals)) - 1
        self._groups = list(groups.values())
        """Principals whom no policy of their own tells apart."""
        self._able: dict[str, list[tuple[Members, str, re.Pattern[str]]]] = {}
        self._asked: dict[Request, tuple[Members, Members]] = {}
        """For each request those who have been asked about, and who of them may make it."""

    def makers(self, need: Need, among: Members) -> Members:
        """Who of some principals may make one of some requests."""
        makers = 0
        for request in need:
            asked, able = self._asked.get(request, (0, 0))
            if among & ~asked:
                able |= self._evaluated(request, among & ~asked)
                self._asked[request] = (asked | among, able)
            makers |= able
        return makers & among

    def _evaluated(self, request: Request, among: Members) -> Members:
        told_apart = request.policy.distinguished_arns
        names = request.policy.admitted.union(told_apart or ())
        apart = {number for name in names for number in self._called.get(name, ())}
        alone: Members = sum(1 << number for number in apart)
        parts = [it for it in self._candidates(request, among & ~alone) if it]
        if told_apart is None:
            parts = [1 << number for part in parts for number in numbers_in(part)]
        makers: Members = 0
        for part in (*parts, *(1 << number for number in numbers_in(alone & among))):
            if attempt(self._one_of(part), request):
                makers |= part
        return makers

    def _candidates(self, request: Request, among: Members) -> Iterator[Members]:
        """Groups that may be able to make a request, whoever they are, as far as they are meant."""
        admitted, action, resource = request.policy.admitted, request.action, request.resource
        if ANY in admitted:
            yield from (group & among for group in self._groups)
            return
        if action not in self._able:
            self._able[action] = [
                (group, one.account, reach)
                for group, one in ((it, self._one_of(it)) for it in self._groups)
                if (reach := _reach(one.policies, action))
            ]
        for group, account, reach in self._able[action]:
            part = group & among
            is_meant = part and (not request.is_trust or account in admitted)
            if is_meant and (is_pattern(resource) or reach.fullmatch(resource)):
                yield part

    def _one_of(self, group: Members) -> Principal:
        return self.principals[group.bit_length() - 1]

    def movers(self, step: Step, among: Members) -> Members:
        """Who of some principals makes all calls of a step."""
        for need in step.needs:
            if among:
                among = self.makers(need, among)
        return among

    def way(self, step: Step, maker: int) -> Path:
        """A step as a maker of all its calls goes it."""
        return self.team_way(step, [maker] * len(step.needs))

    def team_way(self, step: Step, makers: Sequence[int]) -> Path:
        """A step as several go it, of whom each makes a call."""
        path = Path()
        for need, maker in zip(step.needs, makers, strict=True):
            request = next(it for it in need if self.makers((it,), 1 << maker))
            principal = self.principals[maker]
            tried = attempt(principal, request)
            path += tried.by(principal) if tried else Path()
        if step.then:
            last = self.principals[makers[-1]].shown
            call = Call(principal=last, action=step.then, resource=step.to.shown)
            path += Path(calls=(call,))
        return path


@cache
def _reach(policies: tuple[Policy, ...], action: str) -> re.Pattern[str] | None:
    """The resources on which policies may allow an action, or one of a pattern. None: none."""
    prefix, pattern = action.partition(":")[0], action.lower()
    allows = [
        it
        for policy in policies
        for it in policy.statements
        if it.allows
        and (
            any(overlap(name.lower(), pattern) for name in it.actions_of(prefix))
            if is_pattern(action) and not it.all_but_actions
            else it.is_about(action)
        )
    ]
    patterns = {pattern for it in allows for pattern in it.resources}
    if any(it.all_but_resources for it in allows) or any("${" in it for it in patterns):
        patterns = {ANY}
    regular = "|".join(expression(it).pattern for it in sorted(patterns))
    return re.compile(regular, re.DOTALL) if patterns else None


def numbers_in(members: Members) -> Iterator[int]:
    """The numbers of the principals in a set."""
    while members:
        lowest = members & -members
        yield lowest.bit_length() - 1
        members ^= lowest


def _likeness(principal: Principal) -> Hashable:
    """The same for principals that their own policies do not tell apart."""
    policies = (*principal.policies, *principal.scps, principal.boundary or NO_POLICY)
    names = [it.distinguished_arns for it in policies]
    who = principal.arn.partition("/")[0]
    if any(it is None or principal.arn in it for it in names):
        who = principal.arn
    return principal.account, who, principal.policies, principal.scps, principal.boundary


# --- The search -----------------------------------------------------------------------------------


class Leg(NamedTuple):
    """How a principal gets on."""

    path: Path | None
    """The calls, where several make them or where they are the last."""
    steps: tuple[Step, ...] = ()
    """The steps, where the principal goes them alone."""
    to: int | None = None
    """The number of whom they lead to. None where there is nowhere to get to."""


class PathSearch:
    """The shortest paths to one ability, which any of some requests is enough for.

    From the principals that have it back to those that can become one of them. So nobody is looked
    at twice, and nobody at all who leads nowhere.
    """

    def __init__(
        self, network: Network, requests: Sequence[Request], starts: Iterable[Principal]
    ) -> None:
        """`starts` are the principals that will be asked about."""
        self._network = network
        self._legs: dict[int, Leg] = {}
        self._able: Members = 0
        """Those that have the ability, or a path to it."""
        self._waiting: dict[int, list[tuple[Members, Leg]]] = defaultdict(list)
        """By length of the path: those that may have one."""
        self._lengths: dict[int, int] = {}
        self._seen: set[Need] = set()
        self._requests = requests
        self._waiting[1].append((network.makers(tuple(requests), network.everybody), Leg(None)))
        self._run()
        self._together(sum(1 << network.number[it] for it in starts) & ~self._able)

    def path(self, start: Principal) -> Path | None:
        """The path from a principal, with the last call; None if there is none."""
        at: int | None = self._network.number[start]
        if at not in self._legs:
            return None
        path = Path()
        while at is not None:
            leg = self._legs[at]
            path += leg.path or self._alone(at, leg)
            at = leg.to
        return path

    def direct(self, principal: Principal) -> Path | None:
        """The call of a principal that has the ability itself."""
        number = self._network.number[principal]
        leg = self._legs.get(number)
        return None if leg is None or leg.to is not None else self._alone(number, leg)

    def _alone(self, number: int, leg: Leg) -> Path:
        if leg.to is None:
            principal = self._network.principals[number]
            tries = (attempt(principal, it) for it in self._requests)
            return next(it for it in tries if it).by(principal)
        path = Path()
        for step in leg.steps:
            path += self._network.way(step, number)
        return path

    def _run(self) -> None:
        """Dijkstra's algorithm, from the end, with all that have paths of one length at once."""
        while self._waiting:
            length = min(self._waiting)
            for members, leg in self._waiting.pop(length):
                for number in numbers_in(members & ~self._able):
                    self._legs[number] = leg
                    self._lengths[number] = length
                    self._able |= 1 << number
                    self._look_behind(number, length)

    def _look_behind(self, number: int, length: int) -> None:
        """Who can become a principal that has a path."""
        for step in self._network.into.get(number, ()):
            # Whoever makes a call that is enough for several has been found by the first.
            if len(step.needs) == 1 and step.held is None:
                if step.needs[0] in self._seen:
                    continue
                self._seen.add(step.needs[0])
            unable = self._network.everybody & ~self._able
            movers = self._network.movers(step, unable)
            if not movers:
                continue
            cost = length + _cost(step)
            if step.held is None:
                self._waiting[cost].append((movers, Leg(None, (step,), number)))
                continue
            held = self._network.number[step.held]
            self._waiting[cost].append((movers & 1 << held, Leg(None, (step,), number)))
            for entry in self._network.into.get(held, ()):
                if entry.held is None:
                    both = self._network.movers(entry, movers)
                    leg = Leg(None, (entry, step), number)
                    self._waiting[cost + _cost(entry)].append((both, leg))

    # --- What several principals can do for one that can be all of them ---------------------------

    def _together(self, starts: Members) -> None:
        while starts:
            helpful = self._helpful()
            before = self._able
            for start in numbers_in(starts & helpful):
                self._forward(start, helpful)
            self._run()
            starts &= ~self._able
            if self._able == before:
                return

    def _helpful(self) -> Members:
        """Those that lead to a step that only several can go, to somebody who leads on."""
        helpful: Members = 0
        rest: Members = 0
        for step in self._network.steps:
            if self._able >> self._network.number[step.to] & 1:
                groups = self._unable(step)
                if all(groups):
                    for group in groups:
                        rest |= group
        while rest:
            helpful |= rest
            new: Members = 0
            for number in numbers_in(rest):
                for step in self._network.into.get(number, ()):
                    for group in self._unable(step):
                        new |= group
            rest = new & ~helpful
        return helpful

    def _unable(self, step: Step) -> list[Members]:
        """For each need of a step, those that could meet it and have no path by themselves."""
        unable = self._network.everybody & ~self._able
        groups = [] if step.held is None else [unable & 1 << self._network.number[step.held]]
        if groups == [0]:
            return groups
        return [*groups, *(self._network.makers(need, unable) for need in step.needs)]

    def _forward(self, start: int, helpful: Members) -> None:
        """Look for a way from a principal to somebody who leads on, as all whom it can be."""
        reached: dict[int, Path] = {start: Path()}
        members: Members = 1 << start
        steps = [
            step
            for step in self._network.steps
            if (self._able | helpful) >> self._network.number[step.to] & 1
        ]
        grown = True
        while grown:
            grown = False
            for step in steps:
                to = self._network.number[step.to]
                held = members if step.held is None else 1 << self._network.number[step.held]
                makers = [self._network.makers(need, members) for need in step.needs]
                if members >> to & 1 or not (held & members and all(makers)):
                    continue
                chosen = [(it & -it).bit_length() - 1 for it in makers]
                path = Path() if step.held is None else reached[self._network.number[step.held]]
                for maker in chosen:
                    path += reached[maker]
                path += self._network.team_way(step, chosen)
                if self._able >> to & 1:
                    length = self._lengths[to] + len(path.calls)
                    self._waiting[length].append((1 << start, Leg(path, (), to)))
                    return
                reached[to] = path
                members |= 1 << to
                grown = True


def _cost(step: Step) -> int:
    """The number of its calls."""
    return len(step.needs) + bool(step.then)
