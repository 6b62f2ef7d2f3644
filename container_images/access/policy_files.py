"""Policies in files: alone, as the AWS CLI prints them, or in a plan."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from container_images.access.policy import (
    EVERYTHING,
    NO_POLICY,
    Policy,
    account_in,
    parse,
    policy_of,
)
from container_images.aws import reference
from container_images.policies.invalid_input import InvalidInputError, Problem, parse_json


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The policies that repositories of one account and Region are to have."""

    policies: Mapping[str, Policy]
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


_PRINT_PLAN: Final = "print it with container-images rehearse --stack STACK --plan-only --json"
_PRINT_POLICY: Final = "print it with aws ecr get-repository-policy --output json"
_PRINT_SCP: Final = "print it with aws organizations describe-policy --output json"

_ARNS: Final = ("outputs", "repositoryArns")
_POLICY_TYPE: Final = "aws:ecr/repositoryPolicy:RepositoryPolicy"


def read_plan(text: str) -> Plan:
    """What `container-images rehearse --plan-only --json` prints.

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
    faults = [Problem(where=it, rule=rule, fix=fix) for it, rule in missing.items() if rule]
    if faults or not isinstance(resources, list):
        raise InvalidInputError(faults)
    faults = list(_faults_in_arns(arns))
    policies: dict[str, Policy] = {}
    for position, it in enumerate(map(_object, resources)):
        if it.get("type") == _POLICY_TYPE:
            inputs = _object(it.get("inputs"))
            name = str(inputs.get("repository"))
            policies[name] = NO_POLICY
            try:
                policies[name] = read_repository_policy(str(inputs.get("policy")))
            except InvalidInputError as error:
                where = ("resources", position, "inputs", "policy")
                faults += (fault.under(*where) for fault in error.problems)
    rule = "each repository of a plan has its ARN here, and a policy among the resources"
    faults += (
        Problem(where=_ARNS, value=name, rule=rule, fix=_PRINT_PLAN)
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


def _faults_in_arns(arns: Mapping[str, Any]) -> Iterator[Problem]:
    places = set()
    for name, arn in arns.items():
        try:
            found = reference.parse(str(arn))
        except reference.InvalidReferenceError:
            found = None
        if found is None or found.registry_id is None or found.uri:
            rule = "this is the ARN of a repository"
            yield Problem(where=(*_ARNS, name), value=arn, rule=rule, fix=_PRINT_PLAN)
        else:
            places.add((found.registry_id, found.region))
    if len(places) > 1:
        rule = "a stack has one account and Region"
        yield Problem(where=_ARNS, value=arns, rule=rule, fix="run the command once for each")


def read_repository_policy(text: str) -> Policy:
    """A repository policy, or what `aws ecr get-repository-policy` prints.

    Raises InvalidInputError with all that is wrong with it.
    """
    document = _unwrapped(text, "repository policy", _PRINT_POLICY, "policyText")
    return parse(document, what="repository policy", fix=_PRINT_POLICY, has_principal=True)


def read_service_control_policy(text: str) -> Policy:
    """A service control policy, or what `aws organizations describe-policy` prints.

    A file stands for one level of the organization. AWS wants an Allow at each: a policy that only
    denies has AWS's own FullAWSAccess beside it. Raises InvalidInputError with all that is wrong.
    https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html
    """
    document = _unwrapped(text, "service control policy", _PRINT_SCP, "Policy", "Content")
    policy = parse(document, what="service control policy", fix=_PRINT_SCP)
    if any(it.allows for it in policy.statements):
        return policy
    return policy_of((*EVERYTHING.statements, *policy.statements))


def _unwrapped(text: str, what: str, fix: str, *keys: str) -> Any:
    """The document in a file: what stands under these keys, where AWS prints it so."""
    written = found = parse_json(text, what, fix)
    for key in keys:
        found = _object(found).get(key)
    return written if found is None else found
