"""The shortest privilege-escalation paths from principals to what they could do."""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from typing import NamedTuple

from container_images.access.compute import is_harmless
from container_images.access.evaluation import (
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
    assuming: tuple[str, ...] = ()

    def __add__(self, other: "Path") -> "Path":
        """Both, one after the other; nothing twice."""
        return Path(
            calls=tuple(dict.fromkeys((*self.calls, *other.calls))),
            assuming=tuple(dict.fromkeys((*self.assuming, *other.assuming))),
        )


# --- One call -------------------------------------------------------------------------------------


def attempt(principal: Principal, request: Request) -> Path | None:
    """The request, if the principal may make it; of any call of a pattern, the likeliest."""
    best: Path | None = None
    for action, resource in _narrowed(principal, request) if request.is_any else [_itself(request)]:
        call = Call(principal=principal.shown, action=action, resource=resource)
        narrow = Request(action=action, resource=resource, account=request.account)
        answer = decide(principal, narrow if request.is_any else request)
        if answer is not None and (best is None or len(answer) < len(best.assuming)):
            best = Path(calls=(call,), assuming=answer)
    return best


def _itself(request: Request) -> tuple[str, str]:
    return request.action, request.resource


def _narrowed(principal: Principal, request: Request) -> Iterator[tuple[str, str]]:
    """The request, and what it is in the narrower patterns of the principal's policies.

    They tell no more requests apart than these: see evaluation.py.
    """
    policies = (*principal.policies, principal.boundary or NO_POLICY, *principal.scps)
    prefix, _, name = request.action.partition(":")
    narrower = (it for policy in policies for it in _actions(policy, prefix) if name == ANY)
    for action in dict.fromkeys((request.action, *narrower)):
        if name == ANY and is_harmless(action):
            continue
        resources = {
            widened(resource, principal.keys)
            for policy in policies
            for statement in about(policy, action)
            for resource in statement.resources
        }
        yield action, request.resource
        for resource in sorted(it for it in resources if it):
            if covers(request.resource, resource) and _belongs(resource, prefix):
                yield action, resource


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


# --- Who may go which step ------------------------------------------------------------------------

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
        self.number = {principal: number for number, principal in enumerate(self.principals)}
        self.into: dict[int, list[Step]] = defaultdict(list)
        for step in self.steps:
            self.into[self.number[step.to]].append(step)
        groups: dict[Hashable, Members] = defaultdict(int)
        self._called: dict[str, Members] = defaultdict(int)
        """Principals by their ARN, and by their name in a Principal element."""
        for number, principal in enumerate(self.principals):
            groups[_likeness(principal)] |= 1 << number
            self._called[principal.arn] |= 1 << number
            self._called[principal.named] |= 1 << number
        self._groups = list(groups.values())
        """Principals whom no policy of their own tells apart."""
        self._able: dict[str, list[tuple[Members, str, re.Pattern[str]]]] = {}
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

    def movers(self, step: Step, among: Members) -> Members:
        """Who of some principals makes all calls of a step."""
        for need in step.needs:
            among = self.makers(need, among) if among else 0
        return among

    def way(self, step: Step, makers: Sequence[int]) -> Path:
        """A step, as these make its calls."""
        path = Path()
        for need, maker in zip(step.needs, makers, strict=True):
            tries = (attempt(self.principals[maker], request) for request in need)
            path += next(it for it in tries if it)
        if step.then:
            last = self.principals[makers[-1]].shown
            call = Call(principal=last, action=step.then, resource=step.to.shown)
            path += Path(calls=(call,))
        return path

    def _evaluated(self, request: Request, among: Members) -> Members:
        told_apart = request.policy.distinguished_arns
        alone: Members = 0
        for name in request.policy.admitted.union(told_apart or ()):
            alone |= self._called.get(name, 0)
        makers: Members = 0
        for part in self._candidates(request, among & ~alone):
            if told_apart is None:
                alone |= part
            elif attempt(self._one_of(part), request):
                makers |= part
        for number in numbers_in(alone & among):
            makers |= bool(attempt(self.principals[number], request)) << number
        return makers

    def _candidates(self, request: Request, among: Members) -> Iterator[Members]:
        """Groups that may be able to make a request, whoever they are, as far as they are meant."""
        admitted, action, resource = request.policy.admitted, request.action, request.resource
        if ANY in admitted:
            yield from (group & among for group in self._groups if group & among)
            return
        if action not in self._able:
            self._able[action] = [
                (group, one.account, reach)
                for group, one in ((it, self._one_of(it)) for it in self._groups)
                if (reach := _reach(one.policies, action))
            ]
        for group, account, reach in self._able[action]:
            is_meant = group & among and (not request.is_trust or account in admitted)
            if is_meant and (is_pattern(resource) or reach.fullmatch(resource)):
                yield group & among

    def _one_of(self, group: Members) -> Principal:
        return self.principals[group.bit_length() - 1]


def _likeness(principal: Principal) -> Hashable:
    """The same for principals that their own policies do not tell apart."""
    policies = (*principal.policies, *principal.scps, principal.boundary or NO_POLICY)
    names = [it.distinguished_arns for it in policies]
    is_apart = any(it is None or principal.arn in it for it in names)
    who = principal.arn if is_apart else principal.arn.partition("/")[0]
    return principal.account, who, principal.policies, principal.scps, principal.boundary


# --- The search -----------------------------------------------------------------------------------


class Leg(NamedTuple):
    """How a principal gets on."""

    length: int
    """Calls from here to the end."""
    steps: tuple[Step, ...] = ()
    """The steps that it goes alone."""
    path: Path = Path()
    """The calls, where several make them."""
    to: int | None = None
    """Whom that leads to. None: the principal has the ability itself."""


class PathSearch:
    """The shortest paths to one ability, which any of some requests is enough for.

    From the principals that have it back to those that can become one of them. So nobody is looked
    at twice, and nobody at all who leads nowhere.
    """

    def __init__(self, network: Network, requests: Need, starts: Iterable[Principal]) -> None:
        """`starts` are the principals that will be asked about."""
        self._network, self._requests = network, requests
        self._legs: dict[int, Leg] = {}
        self._able: Members = 0
        """Those that have the ability, or a path to it."""
        self._waiting: dict[int, list[tuple[Members, Leg]]] = defaultdict(list)
        """By length of the path: those that may have one."""
        self._seen: set[Need] = set()
        self._wait(network.makers(requests, network.everybody), Leg(1))
        self._run()
        self._together(sum(1 << network.number[it] for it in starts))

    def path(self, start: Principal) -> Path | None:
        """The path from a principal, with the last call; None if there is none."""
        at: int | None = self._network.number[start]
        path = Path()
        while at is not None:
            if at not in self._legs:
                return None
            leg = self._legs[at]
            for step in leg.steps:
                path += self._network.way(step, [at] * len(step.needs))
            path += leg.path if leg.to is not None else self._last(at)
            at = leg.to
        return path

    def direct(self, principal: Principal) -> Path | None:
        """The call of a principal that has the ability itself."""
        leg = self._legs.get(self._network.number[principal])
        return self.path(principal) if leg and leg.to is None else None

    def _last(self, number: int) -> Path:
        tries = (attempt(self._network.principals[number], it) for it in self._requests)
        return next(it for it in tries if it)

    def _wait(self, members: Members, leg: Leg) -> None:
        if members:
            self._waiting[leg.length].append((members, leg))

    def _run(self) -> None:
        """Dijkstra's algorithm, from the end, with all that have paths of one length at once."""
        while self._waiting:
            for members, leg in self._waiting.pop(min(self._waiting)):
                for number in numbers_in(members & ~self._able):
                    self._legs[number] = leg
                    self._able |= 1 << number
                    for step in self._network.into.get(number, ()):
                        self._look_behind(step, number)

    def _look_behind(self, step: Step, number: int) -> None:
        """Who can become a principal, which has a path, by going a step alone."""
        if len(step.needs) == 1 and step.held is None:
            # Whoever makes a call that is enough for several has been found by the first.
            if step.needs[0] in self._seen:
                return
            self._seen.add(step.needs[0])
        movers = self._network.movers(step, self._network.everybody & ~self._able)
        length = self._legs[number].length + _length(step)
        if not movers or step.held is None:
            self._wait(movers, Leg(length, (step,), to=number))
            return
        held = self._network.number[step.held]
        self._wait(movers & 1 << held, Leg(length, (step,), to=number))
        for entry in self._network.into.get(held, ()):
            if entry.held is None:
                leg = Leg(length + _length(entry), (entry, step), to=number)
                self._wait(self._network.movers(entry, movers), leg)

    # --- What several principals can do for one that can be all of them ---------------------------

    def _together(self, starts: Members) -> None:
        before = -1
        while before != self._able:
            before, helpful = self._able, self._helpful()
            for start in numbers_in(starts & helpful & ~self._able):
                self._forward(start, helpful)
            self._run()

    def _unable(self, step: Step) -> list[Members]:
        """For each need of a step, those that could meet it and have no path by themselves."""
        unable = self._network.everybody & ~self._able
        held = [] if step.held is None else [unable & 1 << self._network.number[step.held]]
        if held == [0]:
            return held
        return [*held, *(self._network.makers(need, unable) for need in step.needs)]

    def _helpful(self) -> Members:
        """Those that lead to a step that only several can go, to somebody who leads on."""
        rest: Members = 0
        for step in self._network.steps:
            if self._able >> self._network.number[step.to] & 1:
                groups = self._unable(step)
                rest |= sum_of(groups) if all(groups) else 0
        helpful: Members = 0
        while rest:
            helpful |= rest
            steps = (it for number in numbers_in(rest) for it in self._network.into.get(number, ()))
            rest = sum_of(it for step in steps for it in self._unable(step)) & ~helpful
        return helpful

    def _forward(self, start: int, helpful: Members) -> None:
        """Look for a way from a principal to somebody who leads on, as all whom it can be."""
        reached: dict[int, Path] = {start: Path()}
        network, before = self._network, 0
        steps = [(it, network.number[it.to]) for it in network.steps]
        steps = [(step, to) for step, to in steps if (self._able | helpful) >> to & 1]
        while before != len(reached):
            before = len(reached)
            for step, to in steps:
                members = sum(1 << it for it in reached)
                makers = [network.makers(need, members) for need in step.needs]
                held = start if step.held is None else network.number[step.held]
                if to in reached or held not in reached or not all(makers):
                    continue
                chosen = [(it & -it).bit_length() - 1 for it in makers]
                path = Path() if step.held is None else reached[held]
                for maker in chosen:
                    path += reached[maker]
                reached[to] = path + network.way(step, chosen)
                if self._able >> to & 1:
                    length = self._legs[to].length + len(reached[to].calls)
                    self._wait(1 << start, Leg(length, path=reached[to], to=to))
                    return


def sum_of(groups: Iterable[Members]) -> Members:
    """Everybody in any of some sets."""
    return reduce(or_, groups, 0)


def _length(step: Step) -> int:
    """The number of its calls."""
    return len(step.needs) + bool(step.then)
