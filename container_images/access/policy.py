"""Pure: IAM policies as they are written: one model and one parser for all that reads them."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from container_images.policies.invalid_input import ABSENT, InvalidInputError, Problem, parse_json
from container_images.policies.patterns import ANY, expression, iam_glob

ASSUME_ROLE: Final = "sts:AssumeRole"

SERVICE: Final = "service:"
FEDERATED: Final = "federated:"
"""Before the names of a Principal element that are no names of AWS's principals."""

PRINCIPAL_ARN: Final = "aws:principalarn"
_USER_NAME: Final = "aws:username"
"""Condition keys that say who a principal is."""


class NotModelledError(Exception):
    """Something cannot be told with certainty of a policy: nothing is proved about it."""


class Condition(NamedTuple):
    """One key of a Condition element. Several conditions have to be met all."""

    operator: str
    key: str
    """In lower case."""
    values: tuple[str, ...]
    """Of which one has to fit; with a negated operator, none may."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement, with lists where IAM also takes a single value."""

    allows: bool
    actions: tuple[str, ...]
    """In lower case."""
    all_but_actions: bool
    """Whether the actions are those of a NotAction."""
    resources: tuple[str, ...]
    all_but_resources: bool
    principals: tuple[str, ...]
    """`*`, ARNs and account ids; services and federations with that before their names. Empty in a
    policy that belongs to its principal."""
    all_but_principals: bool
    conditions: tuple[Condition, ...]
    elements: frozenset[str]
    """Names of what it is made of, without Sid."""


@dataclass(frozen=True, eq=False)
class Policy:
    """A policy, of whatever kind. There is one object for all documents that say the same."""

    statements: tuple[Statement, ...]

    @cached_property
    def names(self) -> frozenset[str] | None:
        """The ARNs, in lower case, of those whom it tells from others of their account.

        None where it may tell any two apart. Whom its Allows name exactly is in `admitted`.
        """
        found = set[str]()
        for it in self.statements:
            found.update(
                name for name in it.principals if not it.allows or ":assumed-role/" in name
            )
            for _, key, values in it.conditions:
                found.update(values if key == PRINCIPAL_ARN else ())
                if key == _USER_NAME or "${" in "".join(values):
                    return None
            if it.all_but_principals or "${" in "".join(it.resources):
                return None
        found.discard(ANY)
        if any(is_pattern(it) or ":assumed-role/" in it for it in found):
            return None
        return frozenset(it.lower() for it in found)

    def compared(self, key: str) -> list[str]:
        """What its conditions compare a condition key with."""
        conditions = (one for it in self.statements for one in it.conditions)
        return [value for one in conditions if one.key == key for value in one.values]

    @cached_property
    def admitted(self) -> frozenset[str]:
        """Whom it may allow something: ARNs, account ids, services, federations; `*`: anybody."""
        return frozenset(
            name
            for it in self.statements
            if it.allows
            for names in (it.principals, (ANY,) if it.all_but_principals else ())
            for named in names
            for name in _plainly(named)
        )


def _plainly(name: str) -> tuple[str, ...]:
    if name.endswith(":root"):
        return (account_in(name),)
    if ":assumed-role/" in name:
        # It does not say the path of the session's role: somebody's of the account.
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
    return parts[4] if arn.startswith("arn:") and len(parts) > PARTS_OF_ARN else ""


PARTS_OF_ARN: Final = 5
"""Colons in an ARN, at the least."""


AS_IAM_TAKES_IT: Final = "write it as IAM takes it"


def parse(
    document: Any, *, what: str = "policy", fix: str = AS_IAM_TAKES_IT, has_principal: bool = False
) -> Policy:
    """The policy in a document: an object, or its text, percent-encoded or not.

    `has_principal` says that each statement needs a Principal, as those of a repository policy do.
    Raises InvalidInputError with all that is wrong: `what` names the document there, and `fix` is
    where to have it from.
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
    faults = [
        fault.under("Statement", position)
        for position, it in enumerate(_listed(written))
        for fault in _faults(it, optional)
    ]
    if faults:
        raise InvalidInputError(faults)
    return policy_of(tuple(map(_statement, _listed(written))))


_WITH_VARIABLES: Final = "2012-10-17"
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html"""


@cache
def policy_of(statements: tuple[Statement, ...]) -> Policy:
    """The one policy of these statements."""
    return Policy(statements)


def _faults(raw: Any, optional: set[str]) -> Iterator[Problem]:
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
    "Effect": (lambda it: it in ("Allow", "Deny"), "the effect is Allow or Deny"),
    "Principal": (
        lambda it: it == ANY or (isinstance(it, dict) and all(map(_are_texts, it.values()))),
        'the principal is "*" or an object of names',
    ),
    "Action": (_are_texts, "the actions are a text or a list of texts"),
    "Condition": (
        lambda it: (
            it is None
            or (isinstance(it, dict) and all(isinstance(keys, dict) for keys in it.values()))
        ),
        "a condition is an object of objects, by its operators",
    ),
}
"""Elements of a statement, and what they are."""


@cache
def about(policy: Policy, action: str) -> tuple[Statement, ...]:
    """The statements of a policy that are about an action."""
    return tuple(
        it
        for it in policy.statements
        if any(iam_glob(one, action.lower()) for one in it.actions) is not it.all_but_actions
    )


@cache
def reach(policy: Policy, action: str) -> re.Pattern[str] | None:
    """The resources on which a policy may allow an action, whatever is denied. None: none."""
    allowed = [it for it in about(policy, action) if it.allows]
    patterns = {pattern for it in allowed for pattern in it.resources}
    if any(it.all_but_resources for it in allowed) or any("${" in it for it in patterns):
        patterns = {ANY}
    regular = "|".join(expression(it).pattern for it in sorted(patterns))
    return re.compile(regular, re.DOTALL) if patterns else None


def _statement(raw: Mapping[str, Any]) -> Statement:
    return Statement(
        allows=raw["Effect"] == "Allow",
        actions=tuple(it.lower() for it in _texts(raw.get("Action", raw.get("NotAction")))),
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
        elements=frozenset(raw) - {"Sid"},
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


# --- Patterns -------------------------------------------------------------------------------------


def is_pattern(text: str) -> bool:
    """Whether a text is a pattern of IAM's, and no ARN."""
    return "*" in text or "?" in text
