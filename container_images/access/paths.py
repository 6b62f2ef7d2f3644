"""Short privilege-escalation paths from principals to what they could do."""

import itertools
import math
import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_
from typing import Final

from container_images.access.evaluation import Call, Principal, Request, decide, widened
from container_images.access.policy import NO_POLICY, Policy, about, covers, is_pattern, overlap
from container_images.access.steps import Need, Step, is_harmless
from container_images.policies.patterns import ANY, expression


@dataclass(frozen=True)
class Path:
    """Calls, one after the other, and what is assumed about them."""

    calls: tuple[Call, ...] = ()
    assuming: tuple[str, ...] = ()

    def __add__(self, other: "Path") -> "Path":
        """Both, one after the other; nothing twice."""
        return Path(
            tuple(dict.fromkeys((*self.calls, *other.calls))),
            tuple(dict.fromkeys((*self.assuming, *other.assuming))),
        )


# --- One call -------------------------------------------------------------------------------------


def attempt(principal: Principal, request: Request) -> Path | None:
    """The request, if the principal may make it; of any call of a pattern, the likeliest."""
    best: Path | None = None
    for narrow in _narrowed(principal, request) if request.is_any else (request,):
        answer = decide(principal, narrow)
        if answer is not None and (best is None or len(answer) < len(best.assuming)):
            call = Call(principal=principal.shown, action=narrow.action, resource=narrow.resource)
            best = Path((call,), answer)
    return best


def _narrowed(principal: Principal, request: Request) -> Iterator[Request]:
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
        narrow = (it for it in resources if it and covers(request.resource, it))
        for resource in (request.resource, *sorted(it for it in narrow if _belongs(it, prefix))):
            yield Request(action=action, resource=resource, account=request.account)


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


# --- Who may make which calls ---------------------------------------------------------------------

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
        starts = dict.fromkeys(principals)
        self.starts: Members = (1 << len(starts)) - 1
        self.principals = list(dict.fromkeys((*starts, *(step.to for step in self.steps))))
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
            for name in {principal.arn, principal.named}:
                self._called[name] |= 1 << number
        self._groups = list(groups.values())
        """Principals whom no policy of their own tells apart."""
        self._able: dict[str, list[tuple[Members, str, re.Pattern[str]]]] = {}
        self._asked: dict[Need, tuple[Members, Members]] = {}
        """For each need those who have been asked about, and who of them can meet it."""

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

    def call(self, number: int, need: Need | Principal) -> Path:
        """The call by which a principal meets a need, which it can."""
        requests = () if isinstance(need, Principal) else need
        attempts = (attempt(self.principals[number], it) for it in requests)
        return next(filter(None, attempts), Path())

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


class PathSearch:
    """Paths to those who meet a need, such as to make one of some calls.

    They are the shortest, but where a path takes several principals at once.
    """

    def __init__(self, network: Network, need: Need) -> None:
        self._network, self._need = network, need
        self._legs: dict[int, tuple[Step | None, int]] = {}
        """The step that each takes, and to whom. No step: that one meets the need itself."""
        self._search()
        self._unable = network.everybody & ~sum(1 << number for number in self._legs)
        self._joined: dict[int, list[tuple[int, Members, Step]]] = defaultdict(list)
        """In which round some were found to become another, and by which step."""
        self._found: dict[tuple[int, int], Path] = {}
        self._tails = {_ABLE: Path()}
        self._join()

    def path(self, start: Principal) -> Path | None:
        """The path from a principal, with the last call; None if there is none."""
        number = self._network.number[start]
        if number in self._legs:
            return self._onward(number)
        return self._becoming(number, _ABLE)

    def _onward(self, start: int) -> Path:
        number, way = start, list[int]()
        while number not in self._tails:
            way.append(number)
            _, number = self._legs[number]
        for number in reversed(way):
            step, to = self._legs[number]
            path = Path()
            for need in step.needs if step else (self._need,):
                path += self._network.call(number, need)
            self._tails[number] = _followed(path, step) + self._tails[to]
        return self._tails[start]

    def _search(self) -> None:
        """Dijkstra's algorithm, from the end, with all that have paths of one length at once.

        From those that meet the need back to those that can become one of them. So nobody is looked
        at twice, and nobody at all who leads nowhere.
        """
        network = self._network
        unable, seen = network.everybody, set[Need | Principal]()
        waiting: dict[int, list[tuple[Members, Step | None, int]]] = defaultdict(list)
        waiting[1].append((network.makers(self._need, unable), None, _ABLE))
        while waiting:
            length = min(waiting)
            for members, taken, to in waiting.pop(length):
                for number in numbers_in(members & unable):
                    self._legs[number] = (taken, to)
                    unable &= ~(1 << number)
                    for step in network.into.get(number, ()):
                        if len(step.needs) == 1:
                            # Whoever makes a call that is enough for several is found by the first.
                            if step.needs[0] in seen:
                                continue
                            seen.add(step.needs[0])
                        makers = unable
                        for need in step.needs:
                            makers = network.makers(need, makers) if makers else 0
                        if makers:
                            waiting[length + step.length].append((makers, step, number))

    def _join(self) -> None:
        """Add those that can go a step because each of its needs has a path.

        A principal that can become one who makes one call, and one who makes another, makes both.
        In each round steps are gone by what was found in the rounds before.
        """
        starts = self._unable & self._network.starts
        steps = sorted(self._joint_steps(), key=lambda it: it[0].length)
        becomes: dict[int, Members] = defaultdict(int)
        becomes |= {number: 1 << number for number in numbers_in(starts)}
        before: dict[int, Members] = {}
        for number in itertools.count(1):
            if before == becomes:
                return
            before, meets = dict(becomes), dict[Members, Members]()
            for step, end, makers in steps:
                able = starts & ~becomes[end]
                for members in makers if able else ():
                    if members not in meets:
                        found = (before.get(maker, 0) for maker in numbers_in(members))
                        meets[members] = _union(found)
                    able &= meets[members]
                if able:
                    becomes[end] |= able
                    self._joined[end].append((number, able, step))

    def _joint_steps(self) -> Iterator[tuple[Step, int, list[Members]]]:
        """Steps that may help the others, whom they lead to, and who of the others meets each need.

        One that leads to somebody with a path leads to the end.
        """
        network = self._network
        waiting, seen = [*self._legs], 0
        while waiting:
            number = waiting.pop()
            for step in network.into.get(number, ()):
                makers = [network.makers(need, self._unable) for need in step.needs]
                if all(makers):
                    yield step, _ABLE if number in self._legs else number, makers
                    new = _union(makers) & ~seen
                    seen |= new
                    waiting += numbers_in(new)

    def _becoming(self, start: int, end: int, before: float = math.inf) -> Path | None:
        """The calls by which a principal becomes another, by way of several at once.

        None unless that was found before a round.
        """
        if start == end:
            return Path()
        entries = (it for it in self._joined[end] if it[1] >> start & 1 and it[0] < before)
        number, _, step = next(entries, (0, 0, None))
        if step is None:
            return None
        if (start, end) not in self._found:
            network, path = self._network, Path()
            for need in step.needs:
                makers = network.makers(need, self._unable)
                others = numbers_in(makers & ~(1 << start))
                for maker in itertools.chain([start] if makers >> start & 1 else [], others):
                    reached = self._becoming(start, maker, number)
                    if reached is not None:
                        path += reached + network.call(maker, need)
                        break
            path = _followed(path, step)
            to = network.number[step.to]
            self._found[start, end] = path + self._onward(to) if to in self._legs else path
        return self._found[start, end]


_ABLE: Final = -1
"""In place of a principal's number: whoever has a path."""


def _union(sets: Iterable[Members]) -> Members:
    return reduce(or_, sets, 0)


def _followed(path: Path, step: Step | None) -> Path:
    """The path with the call that a step has made possible."""
    if step is None or not step.then:
        return path
    last = path.calls[-1].principal
    return path + Path((Call(principal=last, action=step.then, resource=step.to.shown),))
