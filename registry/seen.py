"""Pure: who did, by CloudTrail, what repository policies that are planned would deny them."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from components.fault import ABSENT, Fault, InvalidInputError
from components.guard import Effect, actions
from registry import reference, trail
from registry.expiry_files import parse_json
from registry.proofs import NotModelledError, lets

EVENTS: Final = tuple(
    action.removeprefix("ecr:")
    for action in actions(Effect.MOVE_TAG, Effect.DELETE_IMAGE, Effect.CHANGE_GUARD)
)
"""Names of the events that tell of what the guard denies to all but a few.

Lifecycle expiry is none of them: it has no caller, and no policy of a repository stops it.
"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The policies that repositories of one account and Region are to have."""

    policies: Mapping[str, dict[str, Any]]
    """By the repository's ARN."""
    stack: str | None = None
    """The stack that plans them, where it is known."""

    @property
    def region(self) -> str:
        """The Region that holds the repositories."""
        return self._arn.split(":")[3]

    @property
    def account_id(self) -> str:
        """The account that holds them."""
        return self._arn.split(":")[4]

    @property
    def _arn(self) -> str:
        return next(iter(self.policies))

    def __str__(self) -> str:
        """The repositories, for a message."""
        names = [reference.parse(arn).name for arn in self.policies]
        which = names[0] if len(names) == 1 else f"{len(names)} repositories"
        return which if self.stack is None else f"{which} of {self.stack}"


@dataclass(frozen=True, kw_only=True)
class Denied:
    """Calls of one kind that somebody made on a repository, and that its policy would deny them."""

    principal: str
    """ARN of a role, a user or the root; a service's name; or no more than an account's id."""
    session: str | None
    """Of a role: the name of the last session."""
    action: str
    repository: str
    """Its ARN."""
    times: int
    last: datetime


def denied(plan: Plan, events: Iterable[Mapping[str, Any]]) -> list[Denied]:
    """What the plan would deny of what has been done, the most frequent first.

    Of calls that failed nothing is said: whoever made them has managed without. Raises
    NotModelledError where the evaluator cannot tell.
    """
    calls: dict[tuple[str, str, str], list[tuple[datetime, str | None]]] = {}
    for raw in events:
        if raw["eventName"] not in EVENTS or raw.get("errorCode"):
            continue
        principal, session = trail.caller(raw)
        # Of somebody from another account, CloudTrail may know the account and no more.
        principal = principal or (raw.get("userIdentity") or {}).get("accountId") or "unknown"
        for repository in plan.policies:
            if trail.is_about(raw, repository):
                key = (principal, f"ecr:{raw['eventName']}", repository)
                calls.setdefault(key, []).append(
                    (datetime.fromisoformat(raw["eventTime"]), session)
                )
    texts = {arn: json.dumps(policy) for arn, policy in plan.policies.items()}

    @cache
    def is_let(policy: str, principal: str, action: str) -> bool:
        # Any repository of the account will do: the policies are about their own repository.
        arn = principal if principal.startswith("arn:") else None
        return lets(json.loads(policy), next(iter(texts)), arn, action)

    found = []
    for (principal, action, repository), made in calls.items():
        if not is_let(texts[repository], principal, action):
            last, session = max(made, key=lambda it: it[0])
            found.append(
                Denied(
                    principal=principal,
                    session=session,
                    action=action,
                    repository=repository,
                    times=len(made),
                    last=last,
                )
            )
    return sorted(found, key=lambda it: (-it.times, it.principal, it.action, it.repository))


# --- Files ----------------------------------------------------------------------------------------

_PRINT_PLAN: Final = "print it with python -m rehearsal --stack STACK --plan-only --json"
_PRINT_POLICY: Final = "print it with aws ecr get-repository-policy --output json"

_POLICY_TYPE: Final = "aws:ecr/repositoryPolicy:RepositoryPolicy"


def read_plan(text: str) -> Plan:
    """What `python -m rehearsal --plan-only --json` prints.

    Raises InvalidInputError with all that keeps anybody from being held against it.
    """
    written = parse_json(text, "plan", _PRINT_PLAN)
    plan = written if isinstance(written, dict) else {}
    outputs, resources = plan.get("outputs"), plan.get("resources")
    arns = outputs.get("repositoryArns") if isinstance(outputs, dict) else None
    if not (isinstance(arns, dict) and arns and isinstance(resources, list)):
        raise InvalidInputError(
            [
                Fault(
                    where=(),
                    value=written,
                    rule="a plan has resources, and repositoryArns among its outputs",
                    fix=f"see that make rehearse ends with ok, then {_PRINT_PLAN}",
                )
            ]
        )
    faults = list(_faults_in_arns(arns))
    policies: dict[str, dict[str, Any]] = {}
    for position, it in enumerate(resources):
        if not (isinstance(it, dict) and it.get("type") == _POLICY_TYPE):
            continue
        inputs = it["inputs"] if isinstance(it.get("inputs"), dict) else {}
        name = str(inputs.get("repository"))
        policies[name] = {}
        try:
            policies[name] = read_repository_policy(str(inputs.get("policy")))
        except InvalidInputError as error:
            faults += (it.under("resources", position, "inputs", "policy") for it in error.faults)
    faults += (
        Fault(
            where=("outputs", "repositoryArns"),
            value=name,
            rule="each repository of a plan has its ARN here, and a policy among the resources",
            fix=_PRINT_PLAN,
        )
        for name in sorted(arns.keys() ^ policies.keys())
    )
    if faults:
        raise InvalidInputError(faults)
    return Plan(
        policies={arn: policies[name] for name, arn in arns.items()}, stack=plan.get("stack")
    )


def _faults_in_arns(arns: Mapping[str, Any]) -> Iterator[Fault]:
    where = ("outputs", "repositoryArns")
    places = set()
    for name, arn in arns.items():
        try:
            found = reference.parse(str(arn))
        except reference.InvalidReferenceError:
            found = None
        if found is None or found.registry_id is None or found.uri:
            yield Fault(
                where=(*where, name),
                value=arn,
                rule="this is the ARN of a repository",
                fix=_PRINT_PLAN,
            )
        else:
            places.add((found.registry_id, found.region))
    if len(places) > 1:
        yield Fault(
            where=where,
            value=arns,
            rule="CloudTrail is asked of one account and Region",
            fix="ask of each by itself",
        )


def read_repository_policy(text: str) -> dict[str, Any]:
    """A repository policy, or what `aws ecr get-repository-policy` prints.

    Raises InvalidInputError with all that keeps anybody from being held against it.
    """
    document = parse_json(text, "repository policy", _PRINT_POLICY)
    if isinstance(document, dict) and isinstance(document.get("policyText"), str):
        return read_repository_policy(document["policyText"])
    faults = list(_faults_in_policy(document))
    if faults:
        raise InvalidInputError(faults)
    policy: dict[str, Any] = document
    try:
        lets(policy, _ANY_REPOSITORY, None, f"ecr:{trail.PUT}")
    except NotModelledError as error:
        raise InvalidInputError(
            [
                Fault(
                    where=("Statement",),
                    value=str(error),
                    rule="the evaluator does not know this, and so not whom the policy denies what",
                    fix="take it out of the policy, or ask with the policy that is planned",
                )
            ]
        ) from None
    return policy


_ANY_REPOSITORY: Final = "arn:aws:ecr:eu-west-2:111122223333:repository/any"
"""What the evaluator knows does not depend on the repository."""


def _faults_in_policy(document: Any) -> Iterator[Fault]:
    statements = document.get("Statement") if isinstance(document, dict) else None
    if not isinstance(statements, list | dict):
        yield Fault(where=(), value=document, rule="a policy has a Statement", fix=_PRINT_POLICY)
        return
    for position, it in enumerate(statements if isinstance(statements, list) else [statements]):
        statement = it if isinstance(it, dict) else {}
        for elements, fits, rule in _ELEMENTS:
            name = next((it for it in elements if it in statement), elements[0])
            if not fits(statement.get(name)):
                yield Fault(
                    where=("Statement", position, name),
                    value=statement.get(name, ABSENT),
                    rule=rule,
                    fix="write it as IAM takes it",
                )


def _is_text(value: Any) -> bool:
    """Whether it is a text or a list of texts."""
    return isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(it, str) for it in value)
    )


def _is_principal(value: Any) -> bool:
    return value == "*" or (isinstance(value, dict) and all(map(_is_text, value.values())))


def _is_condition(value: Any) -> bool:
    operators = {} if value is None else value
    return isinstance(operators, dict) and all(isinstance(it, dict) for it in operators.values())


_ELEMENTS: Final[Sequence[tuple[Sequence[str], Callable[[Any], bool], str]]] = (
    (("Effect",), lambda it: it in ("Allow", "Deny"), "the effect is Allow or Deny"),
    (("Principal", "NotPrincipal"), _is_principal, 'the principal is "*" or an object of names'),
    (("Action", "NotAction"), _is_text, "the actions are a text or a list of texts"),
    (("Condition",), _is_condition, "a condition is an object of objects, by its operators"),
)
"""Of a statement: under which names each stands, and what it is. What AWS refuses besides does not
matter here; the evaluator refuses what it does not know."""
