"""Whether IAM allows a call. What is known of a request is filled in; the solver finds the rest.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html

Nothing that is unknown hides an ability. An unknown condition key may have any value and may be
absent. A Deny that cannot be read with certainty denies nothing, and an Allow allows.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache, cached_property
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import z3
from iamprover import model
from iamprover.engine.context import Context
from iamprover.engine.encoder import allowed
from iamprover.engine.patterns import globs_intersect, iam_pattern_to_re

ASSUME_ROLE: Final = "sts:AssumeRole"

SERVICE: Final = "service:"
FEDERATED: Final = "federated:"
"""Before the names of a Principal element that are no names of AWS's principals."""

# --- Policies -------------------------------------------------------------------------------------


class UnreadablePolicyError(ValueError):
    """A document that is no IAM policy."""


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
    def is_personal(self) -> bool:
        """Whether it may tell principals of one account apart that have the same policies.

        By their names, that is. That an Allow names somebody does not count.
        """
        return any(
            any(key in _NAMES or "${" in "".join(values) for _, key, values in it.conditions)
            or "${" in "".join(it.resources)
            or it.all_but_principals
            or not (it.allows or it.principals in ((), ("*",)))
            for it in self.statements
        )

    @cached_property
    def lets_in(self) -> frozenset[str]:
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
    return parts[4] if arn.startswith("arn:") and len(parts) > _PARTS else ""


_PARTS: Final = 5


def parse(document: Any) -> Policy:
    """The policy in a document: an object, or its text, percent-encoded or not.

    Raises UnreadablePolicyError with what is wrong.
    """
    return _parse(document if isinstance(document, str) else json.dumps(document))


_WITH_VARIABLES: Final = "2012-10-17"
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html"""


@cache
def _parse(text: str) -> Policy:
    try:
        document = json.loads(text if text.lstrip()[:1] == "{" else unquote(text))
        if document.get("Version") != _WITH_VARIABLES:
            # What would be a variable is plain text there, and no resource has that in its name.
            document = json.loads(json.dumps(document).replace("${", "$ {"))
        return Policy(tuple(_statement(it) for it in _listed(document["Statement"])))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise UnreadablePolicyError(f"this is no policy document ({problem})") from None


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


_NAMES: Final = ("aws:principalarn", "aws:username")
"""Of the keys below, those that say who a principal is."""

ANY: Final = "*"

NO_POLICY: Final = parse({"Statement": []})
EVERYTHING: Final = parse({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})


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

    @cached_property
    def keys(self) -> Mapping[str, str | None]:
        """The condition keys whose value is certain, in lower case. None for absent ones.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
        """
        found: dict[str, str | None] = {}
        if not self.is_pattern:
            found["aws:principalarn"] = self.arn or None
        if self.arn:
            found["aws:principalisawsservice"] = "false"
            if self.account != ANY:
                found["aws:principalaccount"] = self.account
            if self.is_role or not self.is_pattern:
                is_user = ":user/" in self.arn
                found["aws:username"] = self.arn.rpartition("/")[2] if is_user else None
        return found


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


# --- Evaluation -----------------------------------------------------------------------------------


def may(principal: Principal, request: Request) -> bool:
    """Whether there are circumstances in which AWS allows the principal this request."""
    keys = principal.keys
    if request.context:
        keys = {**keys, **{key: value or None for key, value in request.context}}

    def relevant(statements: Iterable[Statement]) -> _Clauses:
        clauses = [_clause(it, request, keys) for it in statements]
        return tuple(it for it in clauses if it is not None)

    # A grant to a role's ARN stays within the role's boundary; one to everybody does not. See
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
    granted, within, delegated = [], [], []
    for statement in request.policy.about(request.action):
        match _meant(statement, principal):
            case _Meant.BY_NAME if principal.is_role:
                within.append(statement)
            case _Meant.BY_NAME | _Meant.BY_SESSION | _Meant.WITH_ALL:
                granted.append(statement)
            case _Meant.BY_ACCOUNT:
                delegated.append(statement)
    own = relevant(it for one in principal.policies for it in one.about(request.action))
    if not granted and not within and not any(it.allows for it in own):
        return False
    return _answer(
        _Question(
            own=own,
            boundary=relevant(principal.boundary.about(request.action))
            if principal.boundary
            else None,
            scps=tuple(relevant(it.about(request.action)) for it in principal.scps),
            granted=relevant(granted),
            granted_within=relevant(within),
            delegated=relevant(delegated),
            is_foreign=bool(principal.arn) and principal.account != request.account,
            is_trust=request.is_trust,
            resource=request.resource if is_pattern(request.resource) else "",
            arn=principal.arn if principal.is_pattern else "",
            is_not=principal.is_not if principal.is_pattern else frozenset(),
        )
    )


class _Meant(Enum):
    """How a Principal element means somebody."""

    BY_NAME = "its own ARN"
    BY_SESSION = "one of its sessions"
    WITH_ALL = "everybody"
    BY_ACCOUNT = "all of its account, as far as their own policies allow it them"


def _meant(statement: Statement, principal: Principal) -> _Meant | None:
    root = f":iam::{principal.account}:root"
    by_account = any(it == principal.account or it.endswith(root) for it in statement.principals)
    if statement.all_but_principals:
        # Who is listed without its account or its sessions, or the other way round, may be meant or
        # not: by an Allow it counts as meant.
        listed = by_account or principal.named in statement.principals
        return None if listed and not statement.allows else _Meant.WITH_ALL
    if "*" in statement.principals:
        return _Meant.WITH_ALL
    if statement.allows and any(_is_session(name, principal) for name in statement.principals):
        return _Meant.BY_SESSION
    if principal.named in statement.principals:
        return _Meant.BY_NAME
    return _Meant.BY_ACCOUNT if principal.arn and by_account else None


def _is_session(name: str, principal: Principal) -> bool:
    """Whether the name is that of a role's session, in which a role's path is left out."""
    if f":sts::{principal.account}:assumed-role/" not in name:
        return False
    return principal.is_pattern or (
        principal.is_role and name.split("/")[1] == principal.arn.rpartition("/")[2]
    )


class _Clause(NamedTuple):
    """What is left of a statement for a request: what may still keep it from having its effect."""

    allows: bool
    resources: tuple[str, ...]
    all_but_resources: bool
    conditions: tuple[Condition, ...]


_Clauses = tuple[_Clause, ...]


@dataclass(frozen=True, kw_only=True)
class _Question:
    """A request, reduced to what matters. Many requests come down to the same question."""

    own: _Clauses
    boundary: _Clauses | None
    scps: tuple[_Clauses, ...]
    granted: _Clauses
    granted_within: _Clauses
    """Grants that the boundary limits."""
    delegated: _Clauses
    """Grants to the account, which the principal's own policies have to pass on."""
    is_foreign: bool
    is_trust: bool
    resource: str
    """The pattern, if it is one."""
    arn: str
    is_not: frozenset[str]


_STEPS: Final = 5_000_000
"""Of the solver for one question: a second or so. Ordinary questions take a thousandth of it, and
what takes more counts as an ability."""


@cache
def _answer(question: _Question) -> bool:
    """Whether the solver finds circumstances in which the request is allowed."""
    context, resource, solver = Context(), z3.String("resource"), z3.Solver()
    solver.set("rlimit", _STEPS)
    if question.resource:
        solver.add(z3.InRe(resource, iam_pattern_to_re(question.resource)))
    if question.arn:
        arn = context.string("aws:PrincipalArn")
        solver.add(z3.InRe(arn, iam_pattern_to_re(question.arn)))
        for other in sorted(question.is_not):
            if is_pattern(other):
                solver.add(z3.Not(z3.InRe(arn, iam_pattern_to_re(other))))
            else:
                solver.add(arn != z3.StringVal(other))

    boundary = None if question.boundary is None else _policy(question.boundary)
    scps = [_policy(it) for it in question.scps]
    policies = (question.granted, question.granted_within, question.delegated)
    # A boundary's Deny counts for every grant, also for those that its limits do not reach.
    denied = _only(question.own, question.boundary or (), *policies, allows=False)

    def allowed_by(clauses: _Clauses, *, within: model.Policy | None) -> z3.BoolRef:
        """Whether one of the clauses allows it, and nothing whatsoever denies it."""
        somebody = model.Principal(
            arn="", policies=[_policy(clauses + denied)], permission_boundary=within
        )
        return allowed(somebody, z3.StringVal(""), resource, context, [], scps)

    by_own = allowed_by(_only(question.own, allows=True), within=boundary)
    by_policy = z3.Or(
        allowed_by(_only(question.granted, allows=True), within=None),
        allowed_by(_only(question.granted_within, allows=True), within=boundary),
    )
    by_account = allowed_by(_only(question.delegated, allows=True), within=None)
    if question.is_foreign:
        solver.add(by_own, z3.Or(by_policy, by_account))
    elif question.is_trust:
        solver.add(z3.Or(by_policy, z3.And(by_own, by_account)))
    else:
        solver.add(z3.Or(by_policy, by_own))
    # What the solver cannot decide counts as an ability.
    return bool(solver.check() != z3.unsat)


def _only(*clauses: _Clauses, allows: bool) -> _Clauses:
    return tuple(dict.fromkeys(it for some in clauses for it in some if it.allows is allows))


def _policy(clauses: _Clauses) -> model.Policy:
    """The clauses in the evaluator's terms."""
    return model.Policy(
        name="",
        statements=[
            model.Statement(
                effect="Allow" if it.allows else "Deny",
                actions=["*"],
                resources=[] if it.all_but_resources else list(it.resources),
                not_resources=list(it.resources) if it.all_but_resources else [],
                conditions=[
                    model.Condition(operator, key, list(values))
                    for operator, key, values in it.conditions
                ],
            )
            for it in clauses
        ],
    )


# --- What is left of a statement for a request ----------------------------------------------------

_Keys = Mapping[str, str | None]
"""Condition keys of a request. None for those that it certainly does not have."""


def _clause(statement: Statement, request: Request, keys: _Keys) -> _Clause | None:
    """What a statement about the action leaves open. None where it has no effect on the request."""
    resources = _patterns(statement, keys)
    if is_pattern(request.resource):
        resources = tuple(it for it in resources if it not in request.but)
        meets = any(meet(it, request.resource) for it in resources)
        if not meets and not statement.all_but_resources:
            return None
    else:
        is_listed = any(fits(it, request.resource) for it in resources)
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
    return _Clause(
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
    operator, key, values = condition
    if key not in keys:
        return None
    value = keys[key]
    if operator == "Null":
        return any((value is None) is (it.lower() == "true") for it in values)
    base = operator.removesuffix("IfExists")
    if base not in _COMPARISONS:
        return None
    if value is None:
        return base in _NEGATED or base != operator
    wanted = [_filled_in(it, keys) for it in values]
    is_uncertain = _is_no_arn_pattern if base.startswith("Arn") else _is_variable
    if any(it is not None and (_is_variable(it) or is_uncertain(it)) for it in wanted):
        return None
    compare = _COMPARISONS[base]
    return any(it is not None and compare(it, value) for it in wanted) is not (base in _NEGATED)


def _is_variable(text: str) -> bool:
    return "${" in text


def _is_no_arn_pattern(text: str) -> bool:
    """Whether it is a pattern without all the parts of an ARN, which are compared one by one."""
    return text != ANY and is_pattern(text) and text.count(":") < _PARTS


def _is_equal(wanted: str, value: str) -> bool:
    return wanted == value


def _is_equal_in_any_case(wanted: str, value: str) -> bool:
    return wanted.lower() == value.lower()


def is_pattern(text: str) -> bool:
    """Whether a text is a pattern of IAM's, and no ARN."""
    return "*" in text or "?" in text


def meet(pattern: str, other: str) -> bool:
    """Whether a text may fit both patterns."""
    try:
        return ANY in (pattern, other) or globs_intersect(pattern, other)
    except RecursionError:  # very long ones: they may, then
        return True


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


_COMPARISONS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "StringEquals": _is_equal,
    "StringNotEquals": _is_equal,
    "StringEqualsIgnoreCase": _is_equal_in_any_case,
    "StringNotEqualsIgnoreCase": _is_equal_in_any_case,
    "Bool": _is_equal_in_any_case,
    "StringLike": fits,
    "StringNotLike": fits,
    # IAM makes no difference between these two and ArnLike, ArnNotLike.
    "ArnEquals": fits,
    "ArnNotEquals": fits,
    "ArnLike": fits,
    "ArnNotLike": fits,
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
