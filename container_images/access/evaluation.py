"""Pure: whether IAM allows a call: no, yes, or under conditions, which are named.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html

Who calls is known, and what a call says by itself. Any other condition is open: an open Allow
counts, and an open Deny does not deny, so that nothing unknown hides an ability.

A name may be a pattern: it stands for all names that fit it and that no narrower pattern of the
policies fits. Whoever asks about a pattern therefore asks about the narrower ones as well.
"""

import itertools
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from container_images.access.policy import (
    COLONS_IN_ARN,
    NO_POLICY,
    PRINCIPAL_ARN,
    SERVICE,
    USER_NAME,
    Condition,
    Policy,
    Statement,
    about,
    as_in,
    covers,
    is_pattern,
    overlap,
)
from container_images.policies.document import ANY

Context = tuple[str, str | None]
"""A condition key, in lower case, and its value in a request. None: the key is absent."""

Answer = tuple[str, ...] | None
"""None: no. Empty: yes. Otherwise yes as far as all of this is so, which is not known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Principal:
    """Somebody who makes calls, in one state of its policies."""

    arn: str
    """What aws:PrincipalArn says: of a role's session, the role. A pattern for whoever fits it.
    Empty where the key is absent."""
    account: str
    """Empty for a service and for a federated identity, which are of no account; `*` for any."""
    named: str
    """How a Principal element names it. Empty for a role that was created again: AWS keeps a role's
    name there as the unique id that the role had."""
    policies: tuple[Policy, ...] = ()
    """What is attached to it, inline and managed, and to its groups."""
    boundary: Policy | None = None
    """Its permissions boundary."""
    scps: tuple[Policy, ...] = ()
    """Service control policies, one for each level of the organization."""
    context: tuple[Context, ...] = ()
    """What else is known of its requests."""

    @property
    def is_role(self) -> bool:
        """Whether it is a role, and not a user, a root, a service or a federated identity."""
        return ":role/" in self.arn

    @property
    def shown(self) -> str:
        """Its name for people."""
        return self.arn or self.named.partition(":")[2]

    @cached_property
    def keys(self) -> Mapping[str, str | None]:
        """The condition keys whose value is known, in lower case. None for absent ones.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
        """
        keys: dict[str, str | None] = {PRINCIPAL_ARN: self.arn or None}
        if self.account or self.named.startswith(SERVICE):
            keys["aws:principalisawsservice"] = "false" if self.account else "true"
        if self.account not in ("", ANY):
            keys["aws:principalaccount"] = self.account
        kind = self.arn.partition("/")[0].rpartition(":")[2]
        if kind in ("role", "root", "user"):
            keys[USER_NAME] = self.arn.rpartition("/")[2] if kind == "user" else None
        return keys | dict(self.context)


class Request(NamedTuple):
    """A call."""

    action: str
    resource: str
    account: str
    """The account that holds the resource."""
    policy: Policy = NO_POLICY
    """The resource's own policy."""
    is_trust: bool = False
    """Whether that is a role's trust policy: it has to allow the call in any case."""
    is_any: bool = False
    """Whether action and resource are patterns, and any call that fits both will do."""
    context: tuple[Context, ...] = ()
    """What is known of it by itself."""


class Call(NamedTuple):
    """A request as it is shown: who makes it, with which action, on what."""

    principal: str
    action: str
    resource: str


def decide(principal: Principal, request: Request) -> Answer:
    """Whether AWS allows the principal this request."""
    own = [each for policy in principal.policies for each in about(policy, request.action)]
    meant: dict[str, list[Statement]] = {"everybody": [], "itself": [], "account": []}
    for statement in about(request.policy, request.action):
        if how := _how_meant(statement, principal):
            meant[how].append(statement)
    keys = {**principal.keys, **dict(request.context)} if request.context else principal.keys
    by_own = _granted(own, request, keys)
    if by_own is None and not any(meant.values()):
        return None
    # A boundary's Deny counts for every grant, also for those that its limits do not reach.
    bounds = [about(principal.boundary, request.action)] if principal.boundary else []
    levels = [about(policy, request.action) for policy in principal.scps]
    denied = _denied(itertools.chain(own, *meant.values(), *bounds, *levels), request, keys)
    if denied is None:
        return None
    on_levels = _all(*(_granted(level, request, keys) for level in levels))
    within = _all(on_levels, *(_granted(bound, request, keys) for bound in bounds))
    to_everybody, to_itself, to_account = (
        _granted(statements, request, keys) for statements in meant.values()
    )
    by_own = _all(by_own, within)
    by_account = _all(to_account, on_levels)
    # A grant to a role's ARN stays within the role's boundary; one to everybody does not. See
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
    by_name = _all(to_itself, within if principal.is_role else on_levels)
    ways = [_all(to_everybody, on_levels), by_name]
    if principal.arn and principal.account != request.account:
        ways = [_all(by_own, way) for way in (*ways, by_account)]
    else:
        ways.append(_all(by_own, by_account) if request.is_trust else by_own)
    return _all(_least(ways), denied)


def _how_meant(statement: Statement, principal: Principal) -> str:
    """How a Principal element means somebody: by name, as one of everybody or of its account.

    The last is as far as its own policies allow it. Empty where it does not mean the principal.
    """
    if ANY in statement.principals:
        return "everybody"
    if principal.named in statement.principals:
        return "itself"
    return "account" if principal.arn and principal.account in statement.principals else ""


def _all(*answers: Answer) -> Answer:
    """All of it has to be so."""
    if None in answers:
        return None
    return tuple(dict.fromkeys(each for answer in answers for each in answer or ()))


def _least(answers: Iterable[Answer]) -> Answer:
    """The answer that asks for least."""
    return min((each for each in answers if each is not None), key=len, default=None)


_Keys = Mapping[str, str | None]
"""Condition keys of a request. None for those that it certainly does not have."""


def _granted(statements: Iterable[Statement], request: Request, keys: _Keys) -> Answer:
    return _least(_effect(each, request, keys) for each in statements if each.allows)


def _denied(statements: Iterable[Statement], request: Request, keys: _Keys) -> Answer:
    """What must not be so, for no Deny to apply. None where one applies."""
    met = [_effect(each, request, keys) for each in statements if not each.allows]
    return None if () in met else tuple(f"not ({' and '.join(each)})" for each in met if each)


def _effect(statement: Statement, request: Request, keys: _Keys) -> Answer:
    """Whether a statement about the action has its effect on the request."""
    assumptions = []
    matches = _match("StringLike", statement.resources, request.resource, keys)
    if matches is None:
        assumptions.append(f"the resource is one of {', '.join(statement.resources)}")
    elif matches is statement.all_but_resources:
        return None
    for condition in statement.conditions:
        holds = _holds(condition, keys)
        if holds is False:
            return None
        if holds is None:
            assumptions.append(str(condition))
    return tuple(assumptions)


def widened(pattern: str, keys: _Keys) -> str | None:
    """A Resource element's pattern with its variables: what is not known may be anything.

    None if one of them has no value: then the pattern matches nothing.
    """
    plain = _filled_in(pattern, keys)
    return plain and _VARIABLE.sub("*", plain)


def _filled_in(text: str, keys: _Keys) -> str | None:
    """The text with the variables that are known. None if one of them has no value.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
    """
    for variable in _VARIABLE.findall(text) if "${" in text else ():
        key = variable[2:-1].strip().lower()
        value = keys.get(key, variable)
        if value is None:
            return None
        text = text.replace(variable, value)
    return text


_VARIABLE: Final = re.compile(r"\$\{[^}]*\}")


def _holds(condition: Condition, keys: _Keys) -> bool | None:
    """Whether the condition is met. None where that is not known.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    """
    name, key, values = condition
    if key not in keys:
        return None
    value = keys[key]
    if name == "Null":
        return any((value is None) is (wanted.lower() == "true") for wanted in values)
    base = name.removesuffix("IfExists")
    positive = base.replace("Not", "")
    if positive not in _COMPARISONS:
        return None
    if value is None:
        return positive != base or base != name
    matches = _match(positive, values, value, keys)
    return matches if matches is None else matches is (positive == base)


def _match(comparison: str, wanted: Iterable[str], value: str, keys: _Keys) -> bool | None:
    """Whether any text matches a value: None where one may, and none certainly does."""
    texts = (_filled_in(text, keys) for text in wanted)
    matches = {_matches(comparison, text, value) for text in texts if text is not None}
    return True if True in matches else None if None in matches else False


def _matches(base: str, wanted: str, value: str) -> bool | None:
    if "${" in wanted and base == "StringLike":
        # A variable that is not known may stand for anything.
        return None if overlap(_VARIABLE.sub("*", wanted), value) else False
    # A pattern without all parts of an ARN: IAM compares ARNs part by part.
    no_arn = wanted != ANY and is_pattern(wanted) and wanted.count(":") < COLONS_IN_ARN
    if "${" in wanted or (base.startswith("Arn") and no_arn):
        return None
    # Whoever a pattern of callers stands for is of one account.
    return _COMPARISONS[base](as_in(wanted, value) if is_pattern(value) else wanted, value)


_COMPARISONS: Final[Mapping[str, Callable[[str, str], bool | None]]] = {
    "StringEquals": operator.eq,
    "StringEqualsIgnoreCase": lambda wanted, value: wanted.lower() == value.lower(),
    "Bool": lambda wanted, value: wanted.lower() == value.lower(),
    "StringLike": covers,
    # IAM makes no difference between these two.
    "ArnEquals": covers,
    "ArnLike": covers,
}
"""Each has a negation, with Not before the comparison, which is met if none of the values is."""
