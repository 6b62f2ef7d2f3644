"""Policies in files: alone, as the AWS CLI prints them, or in a plan."""

from collections.abc import Callable, Iterator, Mapping
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
    plan = _object(parse_json(text, "plan", _PRINT_PLAN))
    arns = _object(_object(plan.get("outputs")).get("repositoryArns"))
    resources = plan.get("resources")
    missing = {
        ("resources",): "" if isinstance(resources, list) else "a plan has a list of resources",
        _ARNS: "" if arns else "a plan has the ARN of each repository among its outputs",
    }
    fix = f"see that make rehearse ends with ok, then {_PRINT_PLAN}"
    faults = [Fault(where=it, rule=rule, fix=fix) for it, rule in missing.items() if rule]
    if faults or not isinstance(resources, list):
        raise InvalidInputError(faults)
    faults = list(_faults_in_arns(arns))
    policies: dict[str, dict[str, Any]] = {}
    for position, it in enumerate(map(_object, resources)):
        if it.get("type") == _POLICY_TYPE:
            inputs = _object(it.get("inputs"))
            name = str(inputs.get("repository"))
            policies[name] = {}
            try:
                policies[name] = read_repository_policy(str(inputs.get("policy")))
            except InvalidInputError as error:
                where = ("resources", position, "inputs", "policy")
                faults += (fault.under(*where) for fault in error.faults)
    rule = "each repository of a plan has its ARN here, and a policy among the resources"
    faults += (
        Fault(where=_ARNS, value=name, rule=rule, fix=_PRINT_PLAN)
        for name in sorted(arns.keys() ^ policies.keys())
    )
    if faults:
        raise InvalidInputError(faults)
    return Plan(
        policies={arn: policies[name] for name, arn in arns.items()}, stack=plan.get("stack")
    )


def _object(value: Any) -> dict[str, Any]:
    """The value; an empty object for anything else."""
    return value if isinstance(value, dict) else {}


def _faults_in_arns(arns: Mapping[str, Any]) -> Iterator[Fault]:
    places = set()
    for name, arn in arns.items():
        try:
            found = reference.parse(str(arn))
        except reference.InvalidReferenceError:
            found = None
        if found is None or found.registry_id is None or found.uri:
            rule = "this is the ARN of a repository"
            yield Fault(where=(*_ARNS, name), value=arn, rule=rule, fix=_PRINT_PLAN)
        else:
            places.add((found.registry_id, found.region))
    if len(places) > 1:
        rule = "a stack has one account and Region"
        yield Fault(where=_ARNS, value=arns, rule=rule, fix="run the command once for each")


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
    policy = _object(document)
    written = policy.get("Statement")
    if not isinstance(written, list | dict):
        rule = "a policy has a Statement"
        raise InvalidInputError([Fault(where=(), value=document, rule=rule, fix=fix)])
    faults = []
    for position, it in enumerate(written if isinstance(written, list) else [written]):
        for element in elements:
            is_right, rule = _ELEMENTS[element]
            # NotPrincipal and NotAction stand in the place of the others.
            names = [name for name in (element, f"Not{element}") if name in _object(it)]
            name, *_ = *names, element
            value = _object(it).get(name, ABSENT)
            if not is_right(value):
                where = ("Statement", position, name)
                fix = "write it as IAM takes it"
                faults.append(Fault(where=where, value=value, rule=rule, fix=fix))
    if faults:
        raise InvalidInputError(faults)
    return policy


def _is_text(value: Any) -> bool:
    """Whether it is a text or a list of texts."""
    return all(isinstance(it, str) for it in (value if isinstance(value, list) else [value]))


_ELEMENTS: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "Effect": (lambda it: it in ("Allow", "Deny"), "the effect is Allow or Deny"),
    "Principal": (
        lambda it: it == "*" or (isinstance(it, dict) and all(map(_is_text, it.values()))),
        'the principal is "*" or an object of names',
    ),
    "Action": (_is_text, "the actions are a text or a list of texts"),
    "Condition": (
        lambda it: (
            it in (ABSENT, None)
            or (isinstance(it, dict) and all(isinstance(keys, dict) for keys in it.values()))
        ),
        "a condition is an object of objects, by its operators",
    ),
}
"""Elements of a statement, and what they are."""
