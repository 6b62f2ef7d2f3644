"""Pure: IAM policies as they are written: one model and one parser for all that reads them."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from container_images.access.patterns import covers, is_pattern
from container_images.policies.invalid_input import ABSENT, InvalidInputError, Problem, parse_json
from container_images.policies.patterns import ANY

ASSUME_ROLE: Final = "sts:AssumeRole"

SERVICE: Final = "service:"
FEDERATED: Final = "federated:"
"""Before the names in a Principal element that are not names of AWS's own principals."""

PRINCIPAL_ARN: Final = "aws:principalarn"
USER_NAME: Final = "aws:username"
"""Condition keys that say who a principal is."""


class Condition(NamedTuple):
    """One key of a Condition element. All conditions of a statement have to be met."""

    operator: str
    key: str
    """In lower case."""
    values: tuple[str, ...]
    """Of which one has to match; with a negated operator, none may."""

    def __str__(self) -> str:
        """For people: the key, the operator and the values."""
        return f"{self.key} {self.operator} {', '.join(self.values)}"


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement, with lists where IAM also takes a single value."""

    allows: bool
    actions: tuple[str, ...]
    all_but_actions: bool
    """Whether the actions are those of a NotAction."""
    resources: tuple[str, ...]
    all_but_resources: bool
    principals: tuple[str, ...]
    """`*`, ARNs and account ids; services and federations with their prefix. Empty in a policy that
    belongs to its principal."""
    all_but_principals: bool
    conditions: tuple[Condition, ...]
    label: str = field(compare=False)
    """How people find it: its Sid, or its place in the policy."""

    @cached_property
    def _by_service(self) -> Mapping[str, Sequence[str]]:
        """The actions by their services, in lower case; `*` has those of several."""
        names: dict[str, list[str]] = defaultdict(list)
        for name in self.actions:
            service, colon, _ = name.lower().partition(":")
            names[service if colon and not is_pattern(service) else ANY].append(name)
        return names

    def actions_of(self, service: str) -> Iterator[str]:
        """The actions that are, or may be, a service's."""
        yield from self._by_service.get(service, ())
        yield from self._by_service.get(ANY, ())

    def is_about(self, action: str) -> bool:
        """Whether the statement is about an action, or about all actions of a pattern.

        An Allow counts if it may be about one of them that no narrower pattern names.
        """
        action = action.lower()
        names = self.actions_of(action.partition(":")[0])
        matches = [covers(name.lower(), action) for name in names]
        if self.all_but_actions:
            return True not in matches and (self.allows or None not in matches)
        return True in matches or (self.allows and None in matches)


@dataclass(frozen=True, eq=False)
class Policy:
    """A policy of any kind. There is one object for all documents that say the same."""

    statements: tuple[Statement, ...]

    @cached_property
    def distinguished_arns(self) -> frozenset[str] | None:
        """The ARNs of the principals whom it treats differently from the rest of their account.

        None if it could tell any two apart. Those that an Allow names are in `admitted`.
        """
        arns = set[str]()
        for statement in self.statements:
            arns.update(
                name
                for name in statement.principals
                if not statement.allows or ":assumed-role/" in name
            )
            for _, key, values in statement.conditions:
                arns.update(values if key == PRINCIPAL_ARN else ())
                if key == USER_NAME or "${" in "".join(values):
                    return None
            if statement.all_but_principals or "${" in "".join(statement.resources):
                return None
        arns.discard(ANY)
        return (
            None
            if any(is_pattern(arn) or ":assumed-role/" in arn for arn in arns)
            else (frozenset(arns))
        )

    def compared(self, key: str) -> list[str]:
        """The values that its conditions compare a condition key with."""
        conditions = (it for statement in self.statements for it in statement.conditions)
        return [value for it in conditions if it.key == key for value in it.values]

    @cached_property
    def admitted(self) -> frozenset[str]:
        """Whom it may allow something: ARNs, account ids, services, federations; `*`: anybody."""
        return frozenset(
            name
            for statement in self.statements
            if statement.allows
            for names in (statement.principals, (ANY,) if statement.all_but_principals else ())
            for named in names
            for name in _accounts_of(named)
        )


def _accounts_of(name: str) -> tuple[str, ...]:
    if name.endswith(":root"):
        return (account_in(name),)
    if ":assumed-role/" in name:
        # It does not say the path of the session's role: a role of that account.
        return (ANY, account_in(name))
    return (name,)


def is_exact(arn: str) -> bool:
    """Whether it is the ARN of one role or user."""
    return (
        bool(account_in(arn))
        and not is_pattern(arn)
        and arn.split(":")[5].startswith(("role/", "user/"))
    )


def account_in(arn: str) -> str:
    """The account in an ARN. Empty in anything else."""
    parts = arn.split(":")
    return parts[4] if arn.startswith("arn:") and len(parts) > COLONS_IN_ARN else ""


COLONS_IN_ARN: Final = 5
"""At least."""

AS_IAM_TAKES_IT: Final = "write it as IAM takes it"


def parse(
    document: Any, *, what: str = "policy", fix: str = AS_IAM_TAKES_IT, has_principal: bool = False
) -> Policy:
    """The policy in a document: an object, or its text, percent-encoded or not.

    `has_principal` says that each statement needs a Principal, as in a repository policy. Raises
    InvalidInputError with all errors: `what` names the document there, and `fix` says where to get
    a right one.
    """
    if isinstance(document, str):
        document = parse_json(
            document if document.lstrip()[:1] == "{" else unquote(document), what, fix
        )
    written = document.get("Statement") if isinstance(document, dict) else None
    if not isinstance(written, list | dict):
        rule = "a policy has a Statement"
        raise InvalidInputError([Problem(where=(), value=document, rule=rule, fix=fix)])
    if document.get("Version") != _WITH_VARIABLES:
        # What would be a variable is plain text there, and no resource has that in its name.
        written = json.loads(json.dumps(written).replace("${", "$ {"))
    optional = {"Condition"} if has_principal else {"Condition", "Principal"}
    problems = [
        problem.under("Statement", position)
        for position, raw in enumerate(_listed(written))
        for problem in _problems(raw, optional)
    ]
    if problems:
        raise InvalidInputError(problems)
    return policy_of(tuple(_statement(*raw) for raw in enumerate(_listed(written))))


_WITH_VARIABLES: Final = "2012-10-17"
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html"""


@cache
def policy_of(statements: tuple[Statement, ...]) -> Policy:
    """The one policy of these statements."""
    return Policy(statements)


def _problems(raw: Any, optional: set[str]) -> Iterator[Problem]:
    """What is not as IAM takes it in a statement."""
    written = raw if isinstance(raw, dict) else {}
    for element, (is_right, rule) in _ELEMENTS.items():
        # NotPrincipal and NotAction stand in the place of the others.
        name = next((it for it in (element, f"Not{element}") if it in written), element)
        value = written.get(name, ABSENT)
        if not (is_right(value) or (value is ABSENT and element in optional)):
            yield Problem(where=(name,), value=value, rule=rule, fix=AS_IAM_TAKES_IT)


def _are_texts(value: Any) -> bool:
    return all(isinstance(it, str) for it in _listed(value))


_ELEMENTS: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "Effect": (lambda value: value in ("Allow", "Deny"), "the effect is Allow or Deny"),
    "Principal": (
        lambda value: (
            value == ANY or (isinstance(value, dict) and all(map(_are_texts, value.values())))
        ),
        'the principal is "*" or an object of names',
    ),
    "Action": (_are_texts, "the actions are a text or a list of texts"),
    "Condition": (
        lambda value: (
            value is None
            or (isinstance(value, dict) and all(isinstance(keys, dict) for keys in value.values()))
        ),
        "a condition is an object of objects, by its operators",
    ),
}
"""Elements of a statement, and what they are."""


@cache
def about(policy: Policy, action: str) -> tuple[Statement, ...]:
    """The statements of a policy that are about an action, or a pattern of actions."""
    return tuple(it for it in policy.statements if it.is_about(action))


def _statement(position: int, raw: Mapping[str, Any]) -> Statement:
    return Statement(
        allows=raw["Effect"] == "Allow",
        actions=_texts(raw.get("Action", raw.get("NotAction"))),
        all_but_actions="Action" not in raw,
        # Trust policies and repository policies are about what they belong to.
        resources=_texts(raw.get("Resource", raw.get("NotResource", "*"))),
        all_but_resources="NotResource" in raw,
        principals=tuple(_principals(raw.get("Principal", raw.get("NotPrincipal", {})))),
        all_but_principals="NotPrincipal" in raw,
        conditions=tuple(
            Condition(operator, key.lower(), _texts(values))
            for operator, keys in (raw.get("Condition") or {}).items()
            for key, values in keys.items()
        ),
        label=str(raw.get("Sid") or f"statement {position + 1}"),
    )


def _principals(raw: Any) -> Iterator[str]:
    for kind, names in ({"AWS": raw} if isinstance(raw, str) else raw).items():
        prefix = "" if kind == "AWS" else f"{kind.lower()}:"
        yield from (f"{prefix}{name}" for name in _texts(names))


def _texts(value: Any) -> tuple[str, ...]:
    """Values as IAM compares them: a JSON true is the text true."""
    return tuple(it if isinstance(it, str) else json.dumps(it) for it in _listed(value))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


NO_POLICY: Final = parse({"Statement": []})
EVERYTHING: Final = parse({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
