"""Whether IAM allows a request: worked out on concrete requests, one by one.

An oracle for tests, written from AWS's pages alone. It shares nothing with what it judges. It knows
no variables, sessions or federations, and raises NotImplementedError where the pages say nothing.
"""

import itertools
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who makes a request, and all policies that are about who that is."""

    arn: str | None
    """What aws:PrincipalArn says. None where it is absent."""
    account: str | None
    """None for somebody who is not signed in."""
    policies: Sequence[Document] = ()
    boundary: Document | None = None
    scps: Sequence[Sequence[Document]] = ()
    """The service control policies attached at each level, from the organization's root down."""


EVERYTHING: Final[Document] = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def possible(
    caller: Caller, action: str, resource: str, *, account: str, policy: Document | None
) -> bool:
    """Whether the request is allowed in any context; account and policy are the resource's.

    Of each key that a condition names it tries each value, another one and none, in every
    combination; of a pattern two strings that match.
    """
    case = _Case(caller, action, resource, account, policy)
    return any(case.allows(keys) for keys in _contexts(case))


def anybody(
    actions: Iterable[str],
    resource: str,
    *,
    account: str,
    policy: Document,
    besides: Collection[str | None],
) -> tuple[str | None, str] | None:
    """A principal besides these, with every permission, that may do one of the actions.

    It is one of those that the policy names, in a Principal element or in a condition, or of each
    account that it names, of the resource's own and of another one: the root, and a role and a user
    that it does not name. That is everybody as long as conditions have whole ARNs.
    """
    written = json.dumps(policy)
    named = [match[0] for match in _PRINCIPAL.finditer(written)]
    for each in sorted({account, "999999999999", *re.findall(r"\d{12}", written)}):
        named += [f"arn:aws:iam::{each}:{who}" for who in ("role/fresh", "user/fresh", "root")]
    callers = [Caller(arn=arn, account=arn.split(":")[4], policies=[EVERYTHING]) for arn in named]
    for caller in (*callers, Caller(arn=None, account=None)):
        for action in () if caller.arn in besides else actions:
            if possible(caller, action, resource, account=account, policy=policy):
                return caller.arn, action
    return None


_PRINCIPAL: Final = re.compile(r"arn:aws:iam::\d{12}:(root|(role|user)/[\w+=,.@/-]+)")


class _Case:
    """All but the context: a caller, an action, a resource, and every policy that has a say."""

    def __init__(
        self, caller: Caller, action: str, resource: str, account: str, policy: Document | None
    ) -> None:
        self.caller, self.resource, self.account = caller, resource, account
        self.identity = [body for one in caller.policies for body in _about(one, action)]
        self.boundary = None if caller.boundary is None else _about(caller.boundary, action)
        self.scps = [
            [body for one in level for body in _about(one, action)] for level in caller.scps
        ]
        self.policy = [
            (body, named)
            for body in _about(policy or {}, action)
            if (named := _named(body["Principal"], caller))
        ]
        limits = [*(self.boundary or ()), *itertools.chain(*self.scps)]
        self.statements = [*self.identity, *limits, *(body for body, _ in self.policy)]

    def allows(self, keys: Mapping[str, str]) -> bool:
        """Whether AWS allows it.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
        https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html
        """

        def applies(body: Document) -> bool:
            return _covers(body, self.resource) and all(
                _meets(operator, values, keys.get(key.lower()))
                for operator, conditions in body.get("Condition", {}).items()
                for key, values in conditions.items()
            )

        def allowed(statements: Iterable[Document]) -> bool:
            return any(body["Effect"] == "Allow" and applies(body) for body in statements)

        if any(body["Effect"] == "Deny" and applies(body) for body in self.statements):
            return False
        if not all(allowed(level) for level in self.scps):
            return False
        granted = {
            named for body, named in self.policy if body["Effect"] == "Allow" and applies(body)
        }
        within = self.boundary is None or allowed(self.boundary)
        if self.caller.account is None:
            return bool(granted)
        own = within and allowed(self.identity)
        if self.caller.account != self.account:
            # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
            return own and bool(granted)
        # A boundary limits what a role is granted by its ARN, and not what a user is. The account's
        # root only passes the question on to the account's own policies.
        is_user = ":user/" in str(self.caller.arn)
        return own or "everybody" in granted or ("itself" in granted and (within or is_user))


def _about(document: Document, action: str) -> list[Document]:
    """The statements about an action, whose prefix and name have no case."""
    statements = document.get("Statement", [])
    return [
        body
        for body in (statements if isinstance(statements, list) else [statements])
        for element in ("Action" if "Action" in body else "NotAction",)
        if any(_matches(name.lower(), action.lower()) for name in _texts(body[element]))
        == (element == "Action")
    ]


def _covers(body: Document, resource: str) -> bool:
    """Whether a statement is about a resource; that of a resource's policy is about its own."""
    element = "NotResource" if "NotResource" in body else "Resource"
    fits = any(_matches(pattern, resource) for pattern in _texts(body.get(element, "*")))
    return fits == (element == "Resource")


def _named(element: object, caller: Caller) -> str:
    """How a Principal element names the caller, if at all.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    names = ["*"] if element == "*" else _texts(element["AWS"])  # type: ignore[index]
    if "*" in names:
        return "everybody"
    if not all(re.fullmatch(r"\d{12}", name) or _PRINCIPAL.fullmatch(name) for name in names):
        raise NotImplementedError(names)
    if caller.arn in names:
        return "itself"
    return "account" if {caller.account, f"arn:aws:iam::{caller.account}:root"} & {*names} else ""


def _texts(values: object) -> list[str]:
    return [str(value) for value in values] if isinstance(values, list) else [str(values)]


@cache
def _pattern(text: str) -> re.Pattern[str]:
    regular = re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(regular, re.DOTALL)


def _matches(pattern: str, text: str) -> bool:
    return _pattern(pattern).fullmatch(text) is not None


def _meets(operator: str, values: object, value: str | None) -> bool:
    """Whether the request meets one condition on one key.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    """
    wanted = _texts(values)
    if operator == "Null":
        return any((value is None) == (text == "true") for text in wanted)
    base = operator.removesuffix("IfExists")
    is_negated = "Not" in base
    if value is None:
        return is_negated or base != operator
    positive = base.replace("Not", "")
    if positive in ("StringEquals", "Bool"):
        matches = value in wanted
    elif positive == "StringEqualsIgnoreCase":
        matches = value.lower() in [text.lower() for text in wanted]
    elif positive == "StringLike":
        matches = any(_matches(text, value) for text in wanted)
    elif positive in ("ArnEquals", "ArnLike"):
        matches = any(
            all(map(_matches, text.split(":", 5), value.split(":", 5)))
            for text in wanted
            if text.count(":") == value.count(":")
        )
    else:
        raise NotImplementedError(operator)
    return matches != is_negated


def _contexts(case: _Case) -> Iterator[Mapping[str, str]]:
    """Every context that the case's statements can tell apart."""
    arn, account = case.caller.arn, case.caller.account
    known = {"aws:principalarn": arn, "aws:principalaccount": account}
    domains: dict[str, set[str]] = {}
    for body in case.statements:
        for operator, conditions in body.get("Condition", {}).items():
            for key, values in conditions.items():
                domain = domains.setdefault(key.lower(), {"true", "false", "fresh"})
                for text in _texts(values):
                    domain |= {text, text.swapcase()} if "IgnoreCase" in operator else {text}
                    domain |= {text.replace("*", some).replace("?", "x") for some in ("", "x")}
    free = {key: [*sorted(texts), None] for key, texts in domains.items() if key not in known}
    for chosen in itertools.product(*free.values()):
        pairs = [*zip(free, chosen, strict=True), *known.items()]
        yield {key: value for key, value in pairs if value is not None}
