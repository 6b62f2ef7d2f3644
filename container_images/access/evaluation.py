"""Whether IAM allows a call. What is known of a request is filled in; the solver finds the rest.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html

Nothing that is unknown hides an ability. An unknown condition key may have any value and may be
absent. A Deny that cannot be read with certainty denies nothing, and an Allow allows. Claims are
proved of policies alone that leave nothing to widen: see `certain` in proofs.py.
"""

import operator
import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

from container_images.access.policy import (
    NO_POLICY,
    PARTS_OF_ARN,
    PRINCIPAL_ARN,
    Condition,
    Policy,
    Statement,
    about,
    is_pattern,
)
from container_images.access.solver import Clause, Layer, Question, meet, possible
from container_images.policies.patterns import ANY, iam_glob

# --- Principals -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class Principal:
    """Somebody who makes calls, in one state of its policies."""

    arn: str
    """What aws:PrincipalArn says of it: of a role's session, the role. A pattern where its creator
    may choose the name. Empty where the key is absent."""
    account: str
    """Empty for a service and for a federated identity, which are of no account; `*` for any."""
    named: str
    """How a Principal element names it. Empty for a role that was created anew: AWS keeps a role's
    name there as the unique id that the role had."""
    policies: tuple[Policy, ...] = ()
    """What is attached to it, inline and managed, its groups' policies too."""
    boundary: Policy | None = None
    """Its permissions boundary."""
    scps: tuple[Policy, ...] = ()
    """Service control policies, one for each level of the organization."""
    is_not: frozenset[str] = frozenset()
    """ARNs, and patterns of ARNs, that fit the pattern and are others'."""
    where: tuple[Condition, ...] = ()
    """What else is certain of its requests."""

    @property
    def is_pattern(self) -> bool:
        """Whether its name may be chosen."""
        return is_pattern(self.arn)

    @property
    def is_role(self) -> bool:
        """Whether it is a role, and not a user, a root, a service or a federated identity."""
        return ":role/" in self.arn

    @property
    def shown(self) -> str:
        """Its name for people."""
        return self.arn or self.named.partition(":")[2]

    def kind(self, *others: Policy) -> Hashable:
        """The same for principals that neither these policies nor their own tell apart."""
        own = (*self.policies, *self.scps, self.boundary or NO_POLICY)
        names = [it.names for it in (*own, *others)]
        # Up to "role", "user" or "root"; a pattern is as a whole what is known of a name.
        who: Hashable = self.arn if self.is_pattern else self.arn.partition("/")[0]
        if any(it is None or self.arn.lower() in it or (it and self.is_pattern) for it in names):
            who = (self.arn, self.is_not, self.named)
        elif any(self.named in it.admitted for it in others):
            who = (self.arn, self.named)
        return self.account, who, self.policies, self.scps, self.boundary, self.where

    @cached_property
    def keys(self) -> Mapping[str, str | None]:
        """The condition keys whose value is certain, in lower case. None for absent ones.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
        """
        found: dict[str, str | None] = {}
        if not self.is_pattern:
            found[PRINCIPAL_ARN] = self.arn or None
        if self.account:
            found["aws:principalisawsservice"] = "false"
            if self.account != ANY:
                found["aws:principalaccount"] = self.account
            if self.is_role or not self.is_pattern:
                is_user = ":user/" in self.arn
                found["aws:username"] = self.arn.rpartition("/")[2] if is_user else None
        return found

    @cached_property
    def certain(self) -> tuple[Condition, ...]:
        """What is certain of its requests' keys that are not known, in terms of conditions."""
        if not self.is_pattern:
            return self.where
        found = (
            ("StringLike", [self.arn] if self.arn != ANY else []),
            ("StringNotLike", [it for it in self.is_not if is_pattern(it)]),
            ("StringNotEquals", [it for it in self.is_not if not is_pattern(it)]),
        )
        conditions = [
            Condition(name, PRINCIPAL_ARN, tuple(sorted(values)))
            for name, values in found
            if values
        ]
        return (*conditions, *self.where)


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """A call."""

    action: str
    resource: str
    """An ARN, or a pattern for any resource that fits it."""
    but: frozenset[str] = frozenset()
    """ARNs that fit the pattern and are not meant."""
    account: str
    """The account that holds the resource."""
    policy: Policy = NO_POLICY
    """The resource's own policy."""
    is_trust: bool = False
    """Whether that is a role's trust policy: it has to allow the call in any case."""
    context: tuple[tuple[str, str], ...] = ()
    """Condition keys of this request, in lower case, and their values. Empty for absent ones."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request as it is told: who makes it, with which action, on what."""

    principal: str
    action: str
    resource: str


# --- Evaluation -----------------------------------------------------------------------------------


def may(principal: Principal, request: Request) -> bool:
    """Whether there are circumstances in which AWS allows the principal this request."""
    return possible(question(principal, request))


def question(principal: Principal, request: Request) -> Question:
    """What has to be so for the request to be allowed."""
    keys = principal.keys
    if request.context:
        keys = {**keys, **{key: value or None for key, value in request.context}}
    denies: list[Clause] = []

    def layer(statements: Iterable[Statement]) -> Layer:
        """The Allows of which one has to hold. What denies is put aside."""
        found: list[Clause] = []
        for one in statements:
            clause = _clause(one, request, keys)
            if clause is not None:
                (found if clause.allows else denies).append(clause)
        return tuple(found)

    own = layer(it for one in principal.policies for it in about(one, request.action))
    meant: dict[_Meant, list[Statement]] = defaultdict(list)
    for statement in about(request.policy, request.action):
        meant[_meant(statement, principal)].append(statement)
    by_name, to_all = layer(meant["by name"]), layer(meant["with all"])
    levels = tuple(layer(about(it, request.action)) for it in principal.scps)
    # A boundary's Deny counts for every grant, also for those that its limits do not reach.
    bounds = (principal.boundary,) if principal.boundary else ()
    limits = (*(layer(about(it, request.action)) for it in bounds), *levels)
    by_own = (own, *limits)
    # A grant to a role's ARN stays within the role's boundary; one to everybody does not. See
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
    by_policy = [(to_all, *levels), (by_name, *(limits if principal.is_role else levels))]
    by_account = (layer(meant["by account"]), *levels)
    if principal.arn and principal.account != request.account:
        paths = [by_own + it for it in (*by_policy, by_account)]
    else:
        paths = [*by_policy, by_own + by_account if request.is_trust else by_own]
    # What is certain is left out of the question.
    is_denied = any(it.is_certain for it in denies)
    left = [
        tuple(tuple(dict.fromkeys(it)) for it in path if not any(one.is_certain for one in it))
        for path in paths
        if all(path) and not is_denied
    ]
    whole = ((),) if () in left else tuple(dict.fromkeys(left))
    return Question(
        paths=whole,
        denies=tuple(dict.fromkeys(denies)) if whole else (),
        where=principal.certain,
        resource=request.resource if is_pattern(request.resource) else "",
    )


_Meant = Literal["by name", "with all", "by account", "not"]
"""How a Principal element means somebody: by its name; as one of everybody, or by one of its
sessions; as far as its own policies allow it; or not at all."""


def _meant(statement: Statement, principal: Principal) -> _Meant:
    root = f":iam::{principal.account}:root"
    by_account = any(it == principal.account or it.endswith(root) for it in statement.principals)
    if statement.all_but_principals:
        # Who is listed without its account or its sessions, or the other way round, may be meant or
        # not: by an Allow it counts as meant.
        listed = by_account or principal.named in statement.principals
        return "not" if listed and not statement.allows else "with all"
    if ANY in statement.principals or (
        statement.allows and any(_is_session(name, principal) for name in statement.principals)
    ):
        return "with all"
    if principal.named in statement.principals:
        return "by name"
    return "by account" if principal.arn and by_account else "not"


def _is_session(name: str, principal: Principal) -> bool:
    """Whether the name is that of a role's session, in which a role's path is left out."""
    if f":sts::{principal.account}:assumed-role/" not in name:
        return False
    return principal.is_pattern or (
        principal.is_role and name.split("/")[1] == principal.arn.rpartition("/")[2]
    )


# --- What is left of a statement for a request ----------------------------------------------------

_Keys = Mapping[str, str | None]
"""Condition keys of a request. None for those that it certainly does not have."""


def _clause(statement: Statement, request: Request, keys: _Keys) -> Clause | None:
    """What a statement about the action leaves open. None where it has no effect on the request."""
    resources = _patterns(statement, keys)
    if is_pattern(request.resource):
        resources = tuple(it for it in resources if it not in request.but)
        meets = any(meet(it, request.resource) for it in resources)
        if not meets and not statement.all_but_resources:
            return None
    else:
        is_listed = any(iam_glob(it, request.resource) for it in resources)
        if is_listed is statement.all_but_resources:
            return None
        resources = ()
    conditions = []
    for condition in statement.conditions:
        holds = _holds(condition, keys)
        if holds is None and _takes_absence_for_a_value(condition):
            holds = statement.allows
        if holds is False:
            return None
        if holds is None:
            conditions.append(condition)
    return Clause(
        allows=statement.allows,
        resources=resources or ("*",),
        all_but_resources=statement.all_but_resources and bool(resources),
        conditions=tuple(conditions),
    )


def _patterns(statement: Statement, keys: _Keys) -> tuple[str, ...]:
    """The statement's resources, with the values of the policy variables in them.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html

    A variable that is not known may stand for anything: an Allow is about that much, and a Deny
    for certain about nothing.
    """
    patterns = []
    for pattern in statement.resources:
        plain = _filled_in(pattern, keys)
        if plain is not None and "${" in plain:
            widest = statement.allows is not statement.all_but_resources
            plain = _VARIABLE.sub("*", plain) if widest else None
        if plain is not None:
            patterns.append(plain)
    return tuple(patterns)


def _filled_in(text: str, keys: _Keys) -> str | None:
    """The text with the variables that are known. None if one has no value: then nothing fits."""
    if "${" not in text:
        return text
    for variable in _VARIABLE.findall(text):
        key = variable[2:-1].strip().lower()
        if key in keys:
            value = keys[key]
            if value is None:
                return None
            text = text.replace(variable, value)
    return text


_VARIABLE: Final = re.compile(r"\$\{[^}]*\}")


def _holds(condition: Condition, keys: _Keys) -> bool | None:
    """Whether the condition is met, for a key that is known. None where that cannot be told.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    """
    name, key, values = condition
    if key not in keys:
        return None
    value = keys[key]
    if name == "Null":
        return any((value is None) is (it.lower() == "true") for it in values)
    base = name.removesuffix("IfExists")
    if base not in _COMPARISONS:
        return None
    if value is None:
        return base in _NEGATED or base != name
    wanted = [_filled_in(it, keys) for it in values]
    of_arns = base.startswith("Arn")
    if any(it and ("${" in it or (of_arns and _is_no_arn_pattern(it))) for it in wanted):
        return None
    compare = _COMPARISONS[base]
    return any(it is not None and compare(it, value) for it in wanted) is not (base in _NEGATED)


def _is_no_arn_pattern(text: str) -> bool:
    """Whether it is a pattern without all the parts of an ARN, which are compared one by one."""
    return text != ANY and is_pattern(text) and text.count(":") < PARTS_OF_ARN


def _is_equal_in_any_case(wanted: str, value: str) -> bool:
    return wanted.lower() == value.lower()


_COMPARISONS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "StringEquals": operator.eq,
    "StringNotEquals": operator.eq,
    "StringEqualsIgnoreCase": _is_equal_in_any_case,
    "StringNotEqualsIgnoreCase": _is_equal_in_any_case,
    "Bool": _is_equal_in_any_case,
    "StringLike": iam_glob,
    "StringNotLike": iam_glob,
    # IAM makes no difference between these two and ArnLike, ArnNotLike.
    "ArnEquals": iam_glob,
    "ArnNotEquals": iam_glob,
    "ArnLike": iam_glob,
    "ArnNotLike": iam_glob,
}

_NEGATED: Final = frozenset(it for it in _COMPARISONS if "Not" in it)


def _takes_absence_for_a_value(condition: Condition) -> bool:
    """Whether the solver could not tell that the key is absent.

    It knows no absent key: an empty value stands for it. So it goes wrong where that would fit, as
    it fits `*`; and for addresses, which are numbers to it.
    """
    if condition.operator in ("IpAddress", "NotIpAddress"):
        return True
    return condition.operator in _COMPARISONS and not all(it.strip("*") for it in condition.values)
