"""Pure: IAM policies as they are written: one model and one parser for all that reads them."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from container_images.policies.document import ANY, expression, iam_glob, listed
from container_images.policies.invalid_input import InvalidInputError, Problem, parse_json, refuse

ASSUME_ROLE: Final = "sts:AssumeRole"

SERVICE: Final = "service:"
FEDERATED: Final = "federated:"
"""Before the names in a Principal element that are not names of AWS's own principals."""
LAMBDA: Final = f"{SERVICE}lambda.amazonaws.com"

PRINCIPAL_ARN: Final = "aws:principalarn"
USER_NAME: Final = "aws:username"
"""Condition keys that say who a principal is."""

UNREAD: Final = "the principal"
"""In place of a condition's key: what a Principal element says that no case can decide."""


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
    conditions: tuple[Condition, ...]
    label: str = field(compare=False)
    """How people find it: its Sid, or its place in the policy."""

    @cached_property
    def _by_service(self) -> Mapping[str, list[str]]:
        names = defaultdict[str, list[str]](list)
        for name in self.actions:
            service, colon, _ = name.lower().partition(":")
            names[service if colon and not is_pattern(service) else ANY].append(name)
        return names

    def actions_of(self, service: str) -> list[str]:
        """The actions that are, or may be, a service's. Managed policies have thousands."""
        return [*self._by_service.get(service, ()), *self._by_service.get(ANY, ())]

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
        arns = {*self.compared(PRINCIPAL_ARN)}
        has_variables = False
        for statement in self.statements:
            arns.update(() if statement.allows else statement.principals)
            values = (value for condition in statement.conditions for value in condition.values)
            has_variables |= any("${" in text for text in (*statement.resources, *values))
        arns.discard(ANY)
        is_any = has_variables or self.compared(USER_NAME) or any(map(is_pattern, arns))
        return None if is_any else frozenset(arns)

    @cached_property
    def admitted(self) -> frozenset[str]:
        """Whom it may allow something: ARNs, account ids, services, federations; `*`: anybody."""
        allows = (statement for statement in self.statements if statement.allows)
        return frozenset(name for statement in allows for name in statement.principals)

    def compared(self, key: str) -> list[str]:
        """The values that its conditions compare a condition key with."""
        conditions = (each for statement in self.statements for each in statement.conditions)
        return [value for each in conditions if each.key == key for value in each.values]


@cache
def policy_of(statements: tuple[Statement, ...]) -> Policy:
    """The one policy of these statements."""
    return Policy(statements)


@cache
def about(policy: Policy, action: str) -> tuple[Statement, ...]:
    """The statements of a policy that are about an action, or a pattern of actions."""
    return tuple(statement for statement in policy.statements if statement.is_about(action))


COLONS_IN_ARN: Final = 5
"""At least."""


def account_in(arn: str) -> str:
    """The account in an ARN. Empty in anything else."""
    parts = arn.split(":")
    return parts[4] if arn.startswith("arn:") and len(parts) > COLONS_IN_ARN else ""


def is_pattern(text: str) -> bool:
    """Whether a text has one of IAM's wildcards."""
    return "*" in text or "?" in text


@cache
def covers(pattern: str, subject: str) -> bool | None:
    """Whether a pattern matches a text, or every text that fits another pattern.

    False where nothing fits both, and where the pattern is the narrower one: callers ask about
    that one by itself. None where the two overlap and neither lies within the other: the one case
    that cannot be decided by asking about the patterns alone.
    """
    if not is_pattern(subject):
        return iam_glob(pattern, subject)
    if _contains(pattern, subject):
        return True
    return None if not _contains(subject, pattern) and overlap(pattern, subject) else False


@cache
def _contains(outer: str, inner: str) -> bool:
    """Whether all that fits the inner pattern fits the outer one: its wildcards are characters."""
    # A `?` is one character, so it cannot stand for an asterisk, which may be many.
    regular = expression(outer.replace("?", "\0")).pattern.replace("\0", "[^*]")
    return re.fullmatch(regular, inner, re.DOTALL) is not None


@cache
def overlap(left: str, right: str) -> bool:
    """Whether a text may fit both patterns."""
    if "*" in (left[:1], right[:1]):
        star, other = (left, right) if left[:1] == "*" else (right, left)
        return overlap(star[1:], other) or bool(other and overlap(star, other[1:]))
    if not (left and right):
        return left == right
    same = left[0] == right[0] or "?" in (left[0], right[0])
    return same and overlap(left[1:], right[1:])


@cache
def as_in(name: str, arn: str) -> str:
    """A pattern of ARNs, as far as it is about the account and the service of an ARN."""
    parts, own = name.split(":", 5), arn.split(":", 5)
    if len(parts) != len(own):
        return name
    pairs = zip(parts[:-1], own, strict=False)
    return ":".join([*(mine if covers(part, mine) else part for part, mine in pairs), parts[-1]])


def within(name: str, kind: str) -> str | None:
    """A name, or what of a pattern is about one kind of ARN: `arn:aws:iam::111122223333:role/*`.

    None where it is about none of them, and where it says more than that kind.
    """
    name = as_in(name, kind)
    return name if covers(kind, name) else None


def parse(document: Any) -> Policy:
    """The policy in a document: an object, or its text, percent-encoded or not.

    Raises InvalidInputError with all errors.
    """
    if isinstance(document, str):
        text = document if document.lstrip()[:1] in ("{", "[") else unquote(document)
        document = parse_json(text, "policy", _FIX)
    written = document.get("Statement") if isinstance(document, dict) else None
    if not isinstance(written, list | dict):
        rule = "a policy has a Statement"
        raise InvalidInputError([Problem(where=(), value=document, rule=rule, fix=_FIX)])
    if document.get("Version") != "2012-10-17":
        # What would be a variable is plain text there, and no resource has that in its name. See
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html
        written = json.loads(json.dumps(written).replace("${", "$ {"))
    statements: list[Statement] = []
    wrong = []
    for position, raw in enumerate(listed(written)):
        try:
            statements += _statements(position + 1, raw)
        except (AttributeError, KeyError, TypeError, ValueError):
            wrong.append(Problem(where=("Statement", position), value=raw, rule=_RULE, fix=_FIX))
    refuse(wrong)
    return policy_of(tuple(statements))


_FIX: Final = "write it as IAM takes it"
_RULE: Final = (
    "a statement has an Effect, Allow or Deny, and an Action, a text or a list of texts; the "
    "Principal of a resource's policy is * or an object of names, and a Condition is an object of "
    "objects, by their operators"
)


def _statements(position: int, raw: Mapping[str, Any]) -> Iterator[Statement]:
    """A statement. NotPrincipal and sessions are principals under a condition that is open.

    Raises one of the errors that `parse` turns into a Problem for what is no statement.
    """
    named: Any = raw.get("Principal", raw.get("NotPrincipal", {}))
    names = tuple(
        # The root stands for its account. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-accounts
        f"{'' if kind == 'AWS' else f'{kind.lower()}:'}"
        f"{account_in(name) if name.endswith(':root') else name}"
        for kind, values in ({"AWS": ANY} if named == ANY else named).items()
        for name in listed(values)
    )
    sessions = [name for name in names if ":assumed-role/" in name]
    statement = Statement(
        allows={"Allow": True, "Deny": False}[raw["Effect"]],
        # The format takes texts alone.
        actions=tuple(f"{name:s}" for name in listed(raw.get("Action") or raw["NotAction"])),
        all_but_actions="Action" not in raw,
        # Trust policies and repository policies are about what they belong to.
        resources=_texts(raw.get("Resource", raw.get("NotResource", "*"))),
        all_but_resources="NotResource" in raw,
        principals=tuple(name for name in names if name not in sessions),
        conditions=tuple(
            Condition(operator, key.lower(), _texts(values))
            for operator, keys in raw.get("Condition", {}).items()
            for key, values in keys.items()
        ),
        label=str(raw.get("Sid") or f"statement {position}"),
    )
    if "NotPrincipal" in raw:
        yield _under(statement, Condition("is none of", UNREAD, names))
        return
    yield statement
    for session in sessions:
        # It does not say the path of the session's role.
        role = f"arn:*:iam::{account_in(session)}:role*/{session.split('/')[1]}"
        its_role = Condition("ArnLike", PRINCIPAL_ARN, (role,))
        yield _under(statement, its_role, Condition("is", UNREAD, (session,)))


def _under(statement: Statement, *conditions: Condition) -> Statement:
    """A statement about anybody who meets the conditions besides."""
    return replace(statement, principals=(ANY,), conditions=(*statement.conditions, *conditions))


def _texts(value: Any) -> tuple[str, ...]:
    """Values as IAM compares them: a JSON true is the text true."""
    return tuple(each if isinstance(each, str) else json.dumps(each) for each in listed(value))


NO_POLICY: Final = parse({"Statement": []})
EVERYTHING: Final = parse({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
