"""The shortest privilege-escalation paths from principals to what they could do."""

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
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
        self._searches: dict[Need | Principal, PathSearch] = {}

    def makers(self, need: Need | Principal, among: Members) -> Members:
        """Who of some principals may make one of some requests; or who is this principal."""
        if isinstance(need, Principal):
            return 1 << self.number[need] & among
        asked, able = self._asked.get(need, (0, 0))
        if new := among & ~asked:
            for request in need:
                able |= self._evaluated(request, new & ~able)
            self._asked[need] = (asked | new, able)
        return able & among

    def search(self, need: Need | Principal) -> "PathSearch":
        """The paths to whoever meets a need."""
        if need not in self._searches:
            self._searches[need] = PathSearch(self, need)
        return self._searches[need]

    def complete(self, need: Need) -> "PathSearch":
        """All paths to whoever meets a need, those too that take several principals at once."""
        search = PathSearch(self, need)
        while any(each.join() for each in (search, *self._searches.values())):
            pass
        return search

    def way(self, number: int, need: Need | Principal) -> Path:
        """How a principal meets a need, which it can, itself or by a path."""
        principal = self.principals[number]
        if not self.makers(need, 1 << number):
            return self.search(need).path(principal) or Path()
        requests = () if isinstance(need, Principal) else need
        return next(filter(None, (attempt(principal, it) for it in requests)), Path())

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
    step: Step | None = None
    """None: the principal meets the need itself."""
    to: int = -1


class PathSearch:
    """The shortest paths to those who meet a need, such as to make one of some calls.

    From them back to those that can become one of them. So nobody is looked at twice, and nobody at
    all who leads nowhere.
    """

    def __init__(self, network: Network, need: Need | Principal) -> None:
        self.able: Members = 0
        """Those that meet the need, or have a path to one who does."""
        self._network, self._need = network, need
        self._legs: dict[int, Leg] = {}
        self._waiting: dict[int, list[tuple[Members, Leg]]] = defaultdict(list)
        """By length of the path: those that may have one."""
        self._seen: set[Need | Principal] = set()
        self._wait(network.makers(need, network.everybody), Leg(_length(need)))
        self._run()

    def join(self) -> bool:
        """Add those that can go a step because each of its needs has a path. Whether there are any.

        A principal that can become one who makes one call, and one who makes another, makes both.
        """
        before = self.able
        for number in numbers_in(self.able):
            for step in self._network.into.get(number, ()):
                unable = self._network.everybody & ~self.able
                # Whoever leads to nobody but those who are able is so already.
                if len(step.needs) > 1 and all(
                    self._network.makers(need, unable) for need in step.needs
                ):
                    searches = [self._network.search(need) for need in step.needs]
                    for each in searches:
                        unable &= each.able
                    for start in numbers_in(unable):
                        length = sum(each.length(start) for each in searches)
                        self._wait(1 << start, Leg(self.length(number) + length, step, number))
        self._run()
        return self.able != before

    def length(self, number: int) -> int:
        """The number of calls from a principal that is able to the end."""
        return self._legs[number].length

    def path(self, start: Principal) -> Path | None:
        """The path from a principal, with the last call; None if there is none."""
        number, path = self._network.number[start], Path()
        if number not in self._legs:
            return None
        while step := self._legs[number].step:
            for need in step.needs:
                path += self._network.way(number, need)
            if step.then:
                last = path.calls[-1].principal
                call = Call(principal=last, action=step.then, resource=step.to.shown)
                path += Path(calls=(call,))
            number = self._legs[number].to
        return path + self._network.way(number, self._need)

    def direct(self, principal: Principal) -> Path | None:
        """The call of a principal that meets the need itself."""
        leg = self._legs.get(self._network.number[principal])
        return self.path(principal) if leg and leg.step is None else None

    def _wait(self, members: Members, leg: Leg) -> None:
        if members:
            self._waiting[leg.length].append((members, leg))

    def _run(self) -> None:
        """Dijkstra's algorithm, from the end, with all that have paths of one length at once."""
        while self._waiting:
            for members, leg in self._waiting.pop(min(self._waiting)):
                for number in numbers_in(members & ~self.able):
                    self._legs[number] = leg
                    self.able |= 1 << number
                    for step in self._network.into.get(number, ()):
                        self._look_behind(step, number)

    def _look_behind(self, step: Step, number: int) -> None:
        """Who can become a principal, which has a path, by going a step alone."""
        if len(step.needs) == 1:
            # Whoever makes a call that is enough for several has been found by the first.
            if step.needs[0] in self._seen:
                return
            self._seen.add(step.needs[0])
        members = self._network.everybody & ~self.able
        for need in step.needs:
            members = self._network.makers(need, members) if members else 0
        length = sum(map(_length, step.needs)) + bool(step.then)
        self._wait(members, Leg(self.length(number) + length, step, number))


def _length(need: Need | Principal) -> int:
    """The number of calls that it takes to meet it."""
    return 0 if isinstance(need, Principal) else 1
