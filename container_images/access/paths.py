"""The shortest privilege-escalation paths from principals to what they could do."""

import heapq
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Final

from container_images.access.escalations import Escalation
from container_images.access.evaluation import Call, Principal, Request, may
from container_images.access.policy import ASSUME_ROLE, Policy, account_in, is_pattern, reach
from container_images.policies.patterns import ANY

EscalationPath = tuple[Call, ...]
"""Calls, one after the other."""


class Target:
    """A resource, and what it takes to be able to do something to it."""

    def __init__(self, arn: str, policy: Policy, abilities: Mapping[str, Sequence[str]]) -> None:
        """`abilities` are the calls of which any one is enough, by the ability's name."""
        self.arn = arn
        self.policy = policy
        self.abilities = {
            ability: [
                Request(action=action, resource=arn, account=account_in(arn), policy=policy)
                for action in actions
            ]
            for ability, actions in abilities.items()
        }
        self._actions: dict[Hashable, dict[str, str]] = {}
        """By ability the action of the call, for each kind of principal."""

    def calls(self, principal: Principal) -> dict[str, Call]:
        """By ability, the call by which the principal, as it is, has it."""
        kind = principal.kind(self.policy)
        if kind not in self._actions:
            self._actions[kind] = {
                ability: request.action
                for ability, requests in self.abilities.items()
                if (request := next((it for it in requests if may(principal, it)), None))
            }
        return {
            ability: Call(principal=principal.shown, action=action, resource=self.arn)
            for ability, action in self._actions[kind].items()
        }


class Network:
    """Escalations, by the calls that they need and the principals that they lead to."""

    def __init__(self, ways: Iterable[Escalation]) -> None:
        self.into: dict[Principal, list[Escalation]] = defaultdict(list)
        self._after: dict[Principal, list[Escalation]] = defaultdict(list)
        """Those that need a principal that is held already."""
        self._with: dict[Request, list[Escalation]] = defaultdict(list)
        self._by_action: dict[str, list[Request]] = defaultdict(list)
        """The calls; without those to assume a role."""
        self._by_name: dict[str, list[Request]] = defaultdict(list)
        """The calls to assume a role, by whom its trust policy names."""
        self._made: dict[Principal, dict[Request, None]] = {}
        self._usual: dict[Any, list[Request]] = {}
        """What principals with the same policies may do, whoever they are."""
        for way in ways:
            self.into[way.to].append(way)
            if way.held is not None:
                self._after[way.held].append(way)
            for call in way.calls:
                if call not in self._with:
                    self._file(call)
                self._with[call].append(way)

    def _file(self, call: Request) -> None:
        if not call.is_trust:
            self._by_action[call.action].append(call)
            return
        for name in {ANY} if call.policy.names != frozenset() else call.policy.admitted:
            self._by_name[name].append(call)

    def made_by(self, principal: Principal) -> Mapping[Request, None]:
        """The calls that a principal may make, as it is."""
        if principal not in self._made:
            named = [*self._by_name[principal.named], *self._by_name[ANY]]
            usual = self._usually_made_by(principal)
            self._made[principal] = dict.fromkeys(
                (*usual, *(it for it in named if may(principal, it)))
            )
        return self._made[principal]

    def _usually_made_by(self, principal: Principal) -> list[Request]:
        """Those of the calls that go by what somebody may do, and not by who it is."""
        kind = principal.kind()
        if kind not in self._usual:
            actions = {ASSUME_ROLE: self._by_name[principal.account]} | self._by_action
            self._usual[kind] = [
                call
                for action, calls in actions.items()
                if (reaches := [it for one in principal.policies if (it := reach(one, action))])
                for call in calls
                if is_pattern(call.resource) or any(it.fullmatch(call.resource) for it in reaches)
                if (call.is_trust or call.account == principal.account) and may(principal, call)
            ]
        return self._usual[kind]

    def opened_by(self, one: Principal, team: "_Team") -> Iterator[Escalation]:
        """The ways that a team can go now that this principal has joined it, and no sooner."""
        new = [call for call in self.made_by(one) if call not in team.makers]
        team.makers |= dict.fromkeys(new, one)
        ways = (*self._after[one], *(way for call in new for way in self._with[call]))
        for way in ways:
            is_open = way.held is None or way.held in team.held
            if is_open and all(call in team.makers for call in way.calls):
                yield way


class _Team:
    """Whom one has come to be, all at once. Each call of a way is made by whoever may make it."""

    def __init__(self) -> None:
        self.held: dict[Principal, EscalationPath] = {}
        """How one came to be each."""
        self.makers: dict[Request, Principal] = {}
        """Who makes a call: the first of them that may."""

    def path(self, way: Escalation) -> EscalationPath:
        """All the calls that it takes to go this way, each of them once."""
        steps: dict[Call, None] = dict.fromkeys(self.held[way.held] if way.held else ())
        for call in way.calls:
            maker = self.makers[call]
            steps |= dict.fromkeys(self.held[maker])
            steps[Call(principal=maker.shown, action=call.action, resource=call.resource)] = None
        if way.then:
            maker = self.makers[way.calls[-1]]
            steps[Call(principal=maker.shown, action=way.then, resource=way.to.shown)] = None
        return tuple(steps)


class EscalationPaths:
    """The shortest paths from principals to the abilities on one target."""

    def __init__(self, network: Network, target: Target, principals: Sequence[Principal]) -> None:
        """`principals` are all that will be asked about."""
        self._network = network
        self._target = target
        self._short: dict[Principal, dict[str, EscalationPath]] = {}
        everybody = dict.fromkeys((*principals, *network.into))
        self._able = {
            ability: [it for it in everybody if ability in target.calls(it)]
            for ability in target.abilities
        }
        self._open = [ability for ability, able in self._able.items() if able]
        self._worthwhile = self._leading_on(principals)

    def of(self, start: Principal) -> dict[str, EscalationPath | None]:
        """The shortest path to each ability, with its last call on the target, or else None.

        Dijkstra's algorithm, but for the ways that lead on from several principals at once: whoever
        one is by then makes the calls.
        """
        found: dict[str, EscalationPath] = {}
        wanted = set(self._open) if start in self._worthwhile else set[str]()
        team, serial = _Team(), count()
        queue: list[tuple[int, int, Principal | str, EscalationPath]] = [
            (0, next(serial), start, ())
        ]
        while queue and not found.keys() >= wanted:
            _, _, one, path = heapq.heappop(queue)
            if isinstance(one, str):
                found.setdefault(one, path)
                continue
            if one in team.held:
                continue
            team.held[one] = path
            short = self._shortly(one)
            for ability, rest in short.items():
                whole = (*path, *rest)
                heapq.heappush(queue, (len(whole), next(serial), ability, whole))
            if not short.keys() >= wanted:
                for way in self._network.opened_by(one, team):
                    if way.to in self._worthwhile and way.to not in team.held:
                        longer = team.path(way)
                        heapq.heappush(queue, (len(longer), next(serial), way.to, longer))
        return {ability: found.get(ability) for ability in self._target.abilities}

    def directly_of(self, principal: Principal) -> dict[str, EscalationPath | None]:
        """What the principal can do as it is, without any escalation."""
        calls = self._target.calls(principal)
        return {it: (calls[it],) if it in calls else None for it in self._target.abilities}

    def _shortly(self, principal: Principal) -> dict[str, EscalationPath]:
        """What it can do as it is, or as a principal that it reaches with a call or two.

        By way of somebody else that takes two at the least, so none is shorter. An administrator,
        who reaches everybody, is done with here.
        """
        if principal not in self._short:
            paths: dict[str, EscalationPath] = {
                ability: (step,) for ability, step in self._target.calls(principal).items()
            }
            for ability in self._open:
                if ability not in paths:
                    found = [
                        (*steps, self._target.calls(to)[ability])
                        for to in self._able[ability]
                        for steps in self._jumps(principal, to)
                    ]
                    if found:
                        paths[ability] = min(found, key=len)
            self._short[principal] = paths
        return self._short[principal]

    def _jumps(self, principal: Principal, to: Principal) -> Iterator[EscalationPath]:
        """The short ways from the one to the other."""
        for way in self._network.into[to]:
            is_short = len(way.calls) + bool(way.then) <= _SHORT and way.held in (None, principal)
            if is_short and all(may(principal, call) for call in way.calls):
                team = _Team()
                team.held[principal] = ()
                team.makers = dict.fromkeys(way.calls, principal)
                yield team.path(way)

    def _leading_on(self, principals: Sequence[Principal]) -> set[Principal]:
        """Whom it may help to be.

        Found with all of the principals as one team, which can do whatever any of them can: what
        does not help that team helps none of them.
        """
        team = _Team()
        ways: dict[Principal, list[Escalation]] = defaultdict(list)
        makers: dict[Request, list[Principal]] = defaultdict(list)
        joining = list(principals)
        while joining:
            one = joining.pop()
            if one in team.held:
                continue
            team.held[one] = ()
            if len(self._shortly(one)) < len(self._open):
                for call in self._network.made_by(one):
                    makers[call].append(one)
                for way in self._network.opened_by(one, team):
                    ways[way.to].append(way)
                    joining.append(way.to)
        found = {one for one in team.held if self._shortly(one)}
        rest = list(found)
        while rest:
            for way in ways.pop(rest.pop(), ()):
                before = {one for call in way.calls for one in makers.pop(call, ())}
                before |= {way.held} if way.held else set()
                rest += before - found
                found |= before
        return found


_SHORT: Final = 2
"""Calls. See where it is used."""
