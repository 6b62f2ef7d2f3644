"""Pure: the model and the parser of IAM policies, for the proofs and for the evaluation.

What is not certain has one of two effects, by what the policy is read for: see Reading.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, cached_property
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

ASSUME_ROLE: Final = "sts:AssumeRole"

ANY: Final = "*"

SERVICE: Final = "service:"
FEDERATED: Final = "federated:"
"""Before the names of a Principal element that are no names of AWS's principals."""

PRINCIPAL_ARN: Final = "aws:principalarn"
_USER_NAME: Final = "aws:username"
"""Condition keys that say who a principal is."""


class Reading(Enum):
    """What becomes of what cannot be told with certainty of a policy."""

    WIDEN = "an Allow allows and a Deny denies nothing, so that no ability is overlooked"
    REFUSE = "NotModelledError, so that nothing is proved that may be otherwise"


class UnreadablePolicyError(ValueError):
    """A document that is no IAM policy."""


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


@dataclass(frozen=True, eq=False)
class Policy:
    """A policy, of whatever kind. There is one object for all documents that are the same."""

    statements: tuple[Statement, ...]
    _about: dict[str, tuple[Statement, ...]] = field(default_factory=dict, repr=False)
    _reach: dict[str, re.Pattern[str] | None] = field(default_factory=dict, repr=False)

    def about(self, action: str) -> tuple[Statement, ...]:
        """The statements that are about an action."""
        if action not in self._about:
            self._about[action] = tuple(it for it in self.statements if _is_about(it, action))
        return self._about[action]

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

    def reach(self, action: str) -> re.Pattern[str] | None:
        """The resources on which statements may allow an action, whatever is denied. None: none."""
        if action not in self._reach:
            allowed = [it for it in self.about(action) if it.allows]
            patterns = {pattern for it in allowed for pattern in it.resources}
            if any(it.all_but_resources for it in allowed) or any("${" in it for it in patterns):
                patterns = {"*"}
            regular = "|".join(map(_regular, sorted(patterns)))
            self._reach[action] = re.compile(regular) if patterns else None
        return self._reach[action]


def _plainly(name: str) -> tuple[str, ...]:
    if name.endswith(":root"):
        return (account_in(name),)
    if ":assumed-role/" in name:
        # It does not say the path of the session's role: somebody's of the account.
        return (ANY, account_in(name))
    return (name,)


def account_in(arn: str) -> str:
    """The account in an ARN. Empty in anything else."""
    parts = arn.split(":")
    return parts[4] if arn.startswith("arn:") and len(parts) > PARTS_OF_ARN else ""


PARTS_OF_ARN: Final = 5
"""Colons in an ARN, at the least."""


def parse(document: Any, reading: Reading = Reading.WIDEN) -> Policy:
    """The policy in a document: an object, or its text, percent-encoded or not.

    Raises UnreadablePolicyError with what is wrong; when REFUSE is the reading, NotModelledError
    with the first thing that evaluation would have to widen.
    """
    return _parse(document if isinstance(document, str) else json.dumps(document), reading)


_WITH_VARIABLES: Final = "2012-10-17"
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html"""


@cache
def _parse(text: str, reading: Reading) -> Policy:
    try:
        document = json.loads(text if text.lstrip()[:1] == "{" else unquote(text))
        if document.get("Version") != _WITH_VARIABLES:
            # What would be a variable is plain text there, and no resource has that in its name.
            document = json.loads(json.dumps(document).replace("${", "$ {"))
        policy = Policy(tuple(_statement(it) for it in _listed(document["Statement"])))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise UnreadablePolicyError(f"this is not a policy document ({problem})") from None
    if reading is Reading.REFUSE:
        for statement in policy.statements:
            _refuse_unclear(statement)
    return policy


def _refuse_unclear(statement: Statement) -> None:
    """Raise NotModelledError for what the solver reads otherwise than IAM does.

    It knows no absent key: a free variable stands for each, and its empty value for the absence.
    That is right as long as no value of a condition matches the empty string.
    """
    for name in statement.principals:
        if ":sts:" in name or statement.all_but_principals:
            # Of a session, aws:PrincipalArn is its role's.
            raise NotModelledError(f"Principal {name}")
    for resource in statement.resources:
        if "${" in resource:
            raise NotModelledError(f"Resource {resource}")
    for operator, key, values in statement.conditions:
        if operator not in _EXACT or not all(it.strip(ANY) and "${" not in it for it in values):
            raise NotModelledError(f"{operator} {key} {', '.join(values)}")


_EXACT: Final = {
    f"{kind}{negation}{comparison}"
    for kind in ("String", "Arn")
    for negation in ("", "Not")
    for comparison in ("Equals", "Like")
}
"""Operators that the solver reads as IAM does."""


def _is_about(statement: Statement, action: str) -> bool:
    is_listed = any(fits(it, action.lower()) for it in statement.actions)
    return is_listed is not statement.all_but_actions


def _statement(raw: Mapping[str, Any]) -> Statement:
    effect = raw["Effect"]
    if effect not in ("Allow", "Deny"):
        raise ValueError(f"an Effect is Allow or Deny, not {effect!r}")
    if "Action" not in raw and "NotAction" not in raw:
        raise ValueError("a statement without Action and NotAction")
    return Statement(
        allows=effect == "Allow",
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
    )


def _principals(raw: Any) -> Iterator[str]:
    if isinstance(raw, str):
        yield raw
        return
    for kind, names in raw.items():
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


def fits(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern, in which * stands for any characters and ? for one."""
    return _compiled(pattern).fullmatch(text) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(_regular(pattern))


def _regular(pattern: str) -> str:
    """The pattern as a regular expression, which does not try what is between two stars twice."""
    first, *rest = (
        "".join("(?s:.)" if it == "?" else re.escape(it) for it in part)
        for part in pattern.split(ANY)
    )
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>(?s:.*?){it})" for it in middle if it) + f"(?s:.*){last}"
