"""Policies in files, by themselves, as the AWS CLI prints them, or as they are planned."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from policies.fault import ABSENT, Fault, InvalidInputError, parse_json
from registry.access.policy import EVERYTHING, Policy, account_in, parse
from registry.aws import reference


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
        return account_in(self._arn)

    @property
    def _arn(self) -> str:
        return next(iter(self.policies))

    def __str__(self) -> str:
        """The repositories, for a message."""
        names = [reference.parse(arn).name for arn in self.policies]
        which = names[0] if len(names) == 1 else f"{len(names)} repositories"
        return which if self.stack is None else f"{which} of {self.stack}"


_PRINT_PLAN: Final = "print it with python -m rehearsal --stack STACK --plan-only --json"
_PRINT_POLICY: Final = "print it with aws ecr get-repository-policy --output json"
_PRINT_SCP: Final = "print it with aws organizations describe-policy --output json"

_ARNS: Final = ("outputs", "repositoryArns")
_POLICY_TYPE: Final = "aws:ecr/repositoryPolicy:RepositoryPolicy"


def read_plan(text: str) -> Plan:
    """What `python -m rehearsal --plan-only --json` prints.

    Raises InvalidInputError with all that keeps anybody from being held against it.
    """
    written = parse_json(text, "plan", _PRINT_PLAN)
    plan = written if isinstance(written, dict) else {}
    outputs, resources = plan.get("outputs"), plan.get("resources")
    arns = outputs.get("repositoryArns") if isinstance(outputs, dict) else None
    missing: list[tuple[tuple[str, ...], str]] = []
    if not isinstance(resources, list):
        missing.append((("resources",), "a plan has a list of resources"))
    if not (isinstance(arns, dict) and arns):
        missing.append((_ARNS, "a plan has the ARN of each repository among its outputs"))
    if missing or not isinstance(arns, dict) or not isinstance(resources, list):
        fix = f"see that make rehearse ends with ok, then {_PRINT_PLAN}"
        raise InvalidInputError([Fault(where=it, rule=rule, fix=fix) for it, rule in missing])
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
            where=_ARNS,
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
    places = set()
    for name, arn in arns.items():
        try:
            found = reference.parse(str(arn))
        except reference.InvalidReferenceError:
            found = None
        if found is None or found.registry_id is None or found.uri:
            yield Fault(
                where=(*_ARNS, name),
                value=arn,
                rule="this is the ARN of a repository",
                fix=_PRINT_PLAN,
            )
        else:
            places.add((found.registry_id, found.region))
    if len(places) > 1:
        yield Fault(
            where=_ARNS,
            value=arns,
            rule="a stack has one account and Region",
            fix="ask of each by itself",
        )


def read_repository_policy(text: str) -> dict[str, Any]:
    """A repository policy, or what `aws ecr get-repository-policy` prints.

    Raises InvalidInputError with all that is wrong with it.
    """
    written = parse_json(text, "repository policy", _PRINT_POLICY)
    if isinstance(written, dict) and isinstance(written.get("policyText"), str):
        return read_repository_policy(written["policyText"])
    return _policy(written, _PRINT_POLICY, *_ELEMENTS)


def read_service_control_policy(text: str) -> Policy:
    """A service control policy, or what `aws organizations describe-policy` prints.

    A file stands for one level of the organization. AWS wants an Allow at each: a policy that only
    denies has AWS's own FullAWSAccess beside it. Raises InvalidInputError with all that is wrong.
    https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html
    """
    written = parse_json(text, "service control policy", _PRINT_SCP)
    if isinstance(written, dict) and isinstance(written.get("Policy"), dict):
        return read_service_control_policy(str(written["Policy"].get("Content")))
    policy = parse(_policy(written, _PRINT_SCP, "Effect", "Action", "Condition"))
    if any(it.allows for it in policy.statements):
        return policy
    return Policy((*EVERYTHING.statements, *policy.statements))


def _policy(document: Any, fix: str, *elements: str) -> dict[str, Any]:
    """The document, if its statements have these elements as IAM takes them."""
    faults = list(_faults_in_policy(document, fix, elements))
    if faults:
        raise InvalidInputError(faults)
    policy: dict[str, Any] = document
    return policy


def _faults_in_policy(document: Any, fix: str, elements: Iterable[str]) -> Iterator[Fault]:
    statements = document.get("Statement") if isinstance(document, dict) else None
    if not isinstance(statements, list | dict):
        yield Fault(where=(), value=document, rule="a policy has a Statement", fix=fix)
        return
    for position, it in enumerate(statements if isinstance(statements, list) else [statements]):
        statement = it if isinstance(it, dict) else {}
        for element in elements:
            is_right, rule = _ELEMENTS[element]
            # NotPrincipal and NotAction stand in the place of the others.
            name = element if element in statement else f"Not{element}"
            name = name if name in statement else element
            if not is_right(statement.get(name)):
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


_ELEMENTS: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "Effect": (lambda it: it in ("Allow", "Deny"), "the effect is Allow or Deny"),
    "Principal": (_is_principal, 'the principal is "*" or an object of names'),
    "Action": (_is_text, "the actions are a text or a list of texts"),
    "Condition": (_is_condition, "a condition is an object of objects, by its operators"),
}
"""Elements of a statement, and what they are."""
