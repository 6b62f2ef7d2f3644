"""The solver. This module alone knows Z3 and iamprover, which states IAM's conditions to it.

Of iamprover it uses what its package does not promise to keep: the context of a request, the
encoding of conditions and that of patterns. tests/registry/access/test_solver.py says so when one
of them moves.

No question is asked without a limit of the solver's steps, and none by the clock: a question has
the same answer on every machine.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

import z3
from iamprover import model
from iamprover.engine.conditions import encode_conditions
from iamprover.engine.context import Context
from iamprover.engine.patterns import globs_intersect, iam_pattern_to_re, matches_any

from container_images.access.policy import PRINCIPAL_ARN, Condition, NotModelledError
from container_images.policies.patterns import ANY

STEPS: Final = 2_000_000
"""Of the solver for one question: two seconds or so. Ordinary ones take a thousandth of it."""

NAMING_STEPS: Final = 200_000
"""Of the solver for a name that can be read. To find that there is none can take it minutes."""


class Clause(NamedTuple):
    """What is left of a statement for a request: what may still keep it from having its effect."""

    allows: bool
    resources: tuple[str, ...]
    all_but_resources: bool
    conditions: tuple[Condition, ...]

    @property
    def is_certain(self) -> bool:
        """Whether nothing keeps it from having its effect."""
        return self.resources == (ANY,) and not self.all_but_resources and not self.conditions


Layer = tuple[Clause, ...]
"""Allows of which one has to hold: the principal's own, or a boundary's, and so on."""


@dataclass(frozen=True)
class Question:
    """When a request is allowed. Many requests come down to the same question."""

    paths: tuple[tuple[Layer, ...], ...]
    """It is allowed where every layer of one of these holds. Never where there is none."""
    denies: Layer
    """And none of these."""
    where: tuple[Condition, ...]
    """What is certain of the request."""
    resource: str
    """The pattern of its resource, where that may be chosen. Otherwise empty."""


@cache
def possible(question: Question) -> bool:
    """Whether the request may be allowed. What the solver cannot decide counts as an ability."""
    if not question.paths:
        return False
    if question.paths == ((),) and not question.denies and not question.where:
        return True
    solver = z3.Solver()
    _, terms = _stated(question, denied=False)
    solver.add(*terms)
    return bool(_answer(solver, STEPS) != z3.unsat)


@cache
def witness(
    questions: tuple[Question, ...], iam: str, account: str, *, denied: bool = False
) -> str | None:
    """The aws:PrincipalArn of somebody of whom each of the requests may be allowed, or else denied.

    The requests have nothing but the principal in common. A role's name is preferred, for people to
    read: in this account, or else in any, where `iam` is what ARNs of IAM's begin with. None where
    there is nobody. Raises NotModelledError where the solver cannot decide.
    """
    stated = [_stated(it, f"{number}:", denied=denied) for number, it in enumerate(questions)]
    solver, arn = z3.Solver(), stated[0][0]
    for its_arn, terms in stated:
        solver.add(*terms, its_arn == arn)
    answer = _answer(solver, STEPS)
    if answer == z3.unknown:
        raise NotModelledError(f"the solver gave up after {STEPS:,} steps")
    if answer == z3.unsat:
        return None
    found = solver.model()
    digits, name = z3.Loop(z3.Range("0", "9"), 12, 12), z3.Plus(z3.Range("a", "z"))
    for role in (
        z3.Re(f"{iam}{account or '9' * 12}:role/anybody"),
        z3.Concat(z3.Re(iam), digits, z3.Re(":role/"), name),
    ):
        if _answer(solver, NAMING_STEPS, z3.InRe(arn, role)) == z3.sat:
            found = solver.model()
            break
    return str(found.eval(arn, model_completion=True).as_string())


def meet(pattern: str, other: str) -> bool:
    """Whether a text may fit both patterns."""
    try:
        return ANY in (pattern, other) or globs_intersect(pattern, other)
    except RecursionError:  # very long ones: they may, then
        return True


def _answer(solver: z3.Solver, steps: int, *assumptions: z3.BoolRef) -> z3.CheckSatResult:
    """What the solver says within so many steps: unknown where they do not suffice.

    Z3 5.4 may say that there is no solution where it was stopped: the steps tell that it was.
    """
    solver.set("rlimit", steps)
    before = _steps_taken(solver)
    answer = solver.check(*assumptions)
    stopped = _steps_taken(solver) - before >= steps
    return z3.unknown if stopped and answer == z3.unsat else answer


def _steps_taken(solver: z3.Solver) -> int:
    """By all solvers together."""
    return int(solver.statistics().get_key_value("rlimit count"))


def _stated(question: Question, prefix: str = "", *, denied: bool) -> tuple[Any, list[z3.BoolRef]]:
    """A request's aws:PrincipalArn, and what holds where the request is allowed, or else denied.

    Each condition key that is not known is free. `prefix` tells requests apart.
    """
    context, resource = Context(prefix), z3.String(f"{prefix}resource")

    def met(conditions: Iterable[Condition], *, unknown: bool) -> z3.BoolRef:
        encoded = [model.Condition(operator, key, list(it)) for operator, key, it in conditions]
        return encode_conditions(encoded, context, unknown_default=unknown)

    def any_of(layer: Layer) -> z3.BoolRef:
        holds = []
        for it in layer:
            about = matches_any(resource, list(it.resources))
            about = z3.Not(about) if it.all_but_resources else about
            holds.append(z3.And(about, met(it.conditions, unknown=it.allows)))
        return z3.Or(*holds)

    paths = z3.Or(*(z3.And(*map(any_of, path)) for path in question.paths))
    allowed = z3.And(paths, z3.Not(any_of(question.denies)))
    return context.string(PRINCIPAL_ARN), [
        z3.Not(allowed) if denied else allowed,
        met(question.where, unknown=True),
        z3.InRe(resource, iam_pattern_to_re(question.resource or ANY)),
    ]
