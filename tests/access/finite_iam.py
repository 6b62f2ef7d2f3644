"""Whether IAM allows a request: worked out on concrete requests, one by one, without a solver.

An oracle for tests. It is written from AWS's pages alone and shares nothing with what it judges.
Where the pages leave a question open it raises NotImplementedError: an oracle never guesses.

Not here: session policies and sessions as principals, federated callers, resource control
policies, keys with several values, and the encryption keys' own rule (as for roles' trust).
"""

import ipaddress
import itertools
import operator
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum, auto
from functools import cache
from typing import Any, Final

Document = Mapping[str, Any]
"""A policy, as JSON is read."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who makes a request, and all policies that are about who that is."""

    arn: str | None
    """What aws:PrincipalArn says: a role's ARN with its path, a user's, the root's. None where it
    is absent: for somebody who is not signed in, and for an AWS service."""
    account: str | None
    """12 digits. None for somebody who is not signed in, and for an AWS service."""
    service: str | None = None
    """Of a service principal its name, such as lambda.amazonaws.com."""
    policies: Sequence[Document] = ()
    """Its identity policies, those of a user's groups among them."""
    boundary: Document | None = None
    """Its permissions boundary."""
    scps: Sequence[Sequence[Document]] = ()
    """The service control policies attached at each level, from the organization's root down to
    the account itself. None at all for an account outside, and for the management account."""


def allowed(  # noqa: PLR0913 - the caller, its request, and what the request is about
    caller: Caller,
    action: str,
    resource: str,
    *,
    account: str,
    policy: Document | None,
    context: Mapping[str, str],
    trust: bool = False,
) -> bool:
    """Whether a request is allowed: one action on one resource, in one context.

    The account and the policy are the resource's. The context is what the caller's ARN, account
    and service do not say already. Trust: the resource is a role, and the policy says who may
    become it.
    """
    case = _Case(caller, action, resource, account=account, policy=policy, trust=trust)
    return case.allows(_with_known(caller, context))


def possible(  # noqa: PLR0913 - as above
    caller: Caller,
    action: str,
    resource: str,
    *,
    account: str,
    policy: Document | None,
    trust: bool = False,
) -> bool:
    """Whether the request is allowed in any context.

    Of each key that a condition names it tries each value named, one that none names, and its
    absence, in every combination. That is all there is for exact values, whole numbers, seconds
    and addresses; of a pattern it tries two strings that match. Each key may be absent, also one
    that AWS always sends, such as aws:SecureTransport.
    """
    case = _Case(caller, action, resource, account=account, policy=policy, trust=trust)
    return any(case.allows(keys) for keys in _contexts(case))


def anybody(  # noqa: PLR0913 - as above
    actions: Iterable[str],
    resource: str,
    *,
    account: str,
    policy: Document | None,
    besides: Collection[str | None],
    everything: bool = True,
) -> tuple[str | None, str] | None:
    """A principal besides these that may do one of the actions, by its ARN, and the action.

    Everything: it has every permission that its own account can give; otherwise none, and only
    the resource's policy can allow it something. An account's root always has all.
    """
    distinct = _told_apart(actions, policy)
    for caller in principals(policy, account=account, everything=everything):
        if caller.arn in besides:
            continue
        for action in distinct:
            if possible(caller, action, resource, account=account, policy=policy):
                return caller.arn, action
    return None


EVERYTHING: Final[Document] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
"""What AdministratorAccess says, and FullAWSAccess among the service control policies."""


def principals(policy: Document | None, *, account: str, everything: bool = True) -> list[Caller]:
    """One of each kind that the policy of a resource in the account can tell apart.

    Whomever it names, in a Principal element or in a condition. Of each account that it names, of
    the resource's own and of one that it does not name: the root, and a role and a user that it
    does not name. The services that it names. Somebody of the account whose requests do not say
    who it is, and somebody who is not signed in.

    That is everybody as long as conditions name principals by their whole ARN.
    """
    texts = sorted(_texts_in(policy))
    named = [text for text in texts if _PRINCIPAL.fullmatch(text)]
    partition = named[0].split(":")[1] if named else "aws"
    accounts = {account, *(text for text in texts if _ACCOUNT.fullmatch(text))}
    accounts |= {arn.split(":")[4] for arn in named}
    accounts.add(next(it for it in _FRESH_ACCOUNTS if it not in accounts))
    for it in sorted(accounts, key=lambda it: (it != account, it)):
        iam = f"arn:{partition}:iam::{it}:"
        named += [f"{iam}role/{_FRESH}", f"{iam}user/{_FRESH}", f"{iam}root"]
    own = (EVERYTHING,) if everything else ()
    return [
        *(
            Caller(arn=arn, account=arn.split(":")[4], policies=() if _is_root(arn) else own)
            for arn in dict.fromkeys(named)
        ),
        Caller(arn=None, account=account, policies=own),
        *(Caller(arn=None, account=None, service=it) for it in sorted(_services_in(policy))),
        Caller(arn=None, account=None),
    ]


_PRINCIPAL: Final = re.compile(r"arn:[a-z-]+:iam::\d{12}:(root|(role|user)/[\w+=,.@/-]+)")
_ACCOUNT: Final = re.compile(r"\d{12}")
_FRESH: Final = "whom-no-policy-names"
_FRESH_ACCOUNTS: Final = [digit * 12 for digit in "9876543210"]


def _texts_in(part: object) -> set[str]:
    if isinstance(part, str):
        return {part}
    if isinstance(part, Mapping):
        return {text for it in part.values() for text in _texts_in(it)}
    if isinstance(part, list | tuple):
        return {text for it in part for text in _texts_in(it)}
    return set()


def _services_in(policy: Document | None) -> set[str]:
    principals = [
        statement.get(element)
        for statement in _statements_of(policy)
        for element in ("Principal", "NotPrincipal")
    ]
    return {
        name
        for it in principals
        if isinstance(it, Mapping)
        for name in _texts(it.get("Service", []))
    }


def _told_apart(actions: Iterable[str], policy: Document | None) -> list[str]:
    """Of the actions that the same statements of the policy are about, one."""
    one: dict[tuple[bool, ...], str] = {}
    for action in actions:
        same = tuple(_is_about_action(it, action) for it in _statements_of(policy))
        one.setdefault(same, action)
    return list(one.values())


# --- The decision ---------------------------------------------------------------------------------


class _As(Enum):
    """How a Principal element names a caller."""

    EVERYBODY = auto()
    ACCOUNT = auto()
    ITSELF = auto()
    SERVICE = auto()


@dataclass(frozen=True)
class _Statement:
    """A statement that is about the case's action and caller."""

    allow: bool
    body: Mapping[str, Any]
    variables: bool
    """Whether ${…} stands for a value. Only in the language's second version:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html"""
    named: frozenset[_As] = frozenset()

    def applies(self, resource: str, keys: "_Keys") -> bool:
        return self._is_about(resource, keys) and all(
            _meets(name, key, values, keys, variables=self.variables)
            for name, key, values in _conditions_of(self.body)
        )

    def _is_about(self, resource: str, keys: "_Keys") -> bool:
        for element, wanted in (("Resource", True), ("NotResource", False)):
            if element in self.body:
                return wanted == any(
                    _covers(text, resource, keys, variables=self.variables)
                    for text in _texts(self.body[element])
                )
        return True  # the policy of a resource, which is about its own


class _Case:
    """All but the context: a caller, an action, a resource, and every policy that has a say."""

    def __init__(  # noqa: PLR0913 - as `allowed`
        self,
        caller: Caller,
        action: str,
        resource: str,
        *,
        account: str,
        policy: Document | None,
        trust: bool,
    ) -> None:
        _refuse_impossible(caller, action, trust=trust)
        self.caller, self.resource, self.account, self.trust = caller, resource, account, trust
        self.identity = [it for one in caller.policies for it in _own(one, action)]
        self.boundary = None if caller.boundary is None else _own(caller.boundary, action)
        # "SCPs do not affect any service-linked role."
        # https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html
        bound = caller.arn is None or ":role/aws-service-role/" not in caller.arn
        self.scps = [
            [it for one in level for it in _own(one, action)]
            for level in (caller.scps if bound else ())
        ]
        self.policy = _of_resource(policy, action, caller, trust=trust)

    def statements(self) -> list[_Statement]:
        every = [self.identity, self.boundary or [], *self.scps, self.policy]
        return [it for statements in every for it in statements]

    def allows(self, keys: "_Keys") -> bool:
        """As the flow chart and its exceptions have it.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
        """
        # "If the enforcement code finds even one explicit deny that applies, the enforcement code
        # returns a final decision of Deny."
        if any(not it.allow and it.applies(self.resource, keys) for it in self.statements()):
            return False
        # "there must be an explicit Allow statement at every level from the root through each OU in
        # the direct path to the account (including the target account itself)"
        # https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html
        if not all(self._any(level, keys) for level in self.scps):
            return False
        granted = {
            named
            for it in self.policy
            if it.allow and it.applies(self.resource, keys)
            for named in it.named
        }
        within = self.boundary is None or self._any(self.boundary, keys)
        # "all requests are implicitly denied with the exception of the AWS account root user,
        # which has full access"
        own = _is_root(self.caller.arn) or (within and self._any(self.identity, keys))
        return self._decides(granted, within=within, own=own)

    def _any(self, statements: Iterable[_Statement], keys: "_Keys") -> bool:
        return any(it.allow and it.applies(self.resource, keys) for it in statements)

    def _decides(self, granted: set[_As], *, within: bool, own: bool) -> bool:
        if self.trust and _is_root(self.caller.arn):
            # So it is: "You cannot use AWS account root user credentials to call AssumeRole".
            # https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
            return False
        if self.caller.account is None:
            # Nobody's policies but the resource's: a service, or somebody who is not signed in.
            return bool(granted) and not (self.trust and self.caller.service is None)
        if self.caller.account != self.account:
            # So: "The request is allowed only if both evaluations return a decision of Allow".
            # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
            return own and bool(granted)
        if self.trust:
            return self._trusts(granted, within=within, own=own)
        return own or self._is_granted(granted, within=within)

    def _is_granted(self, granted: set[_As], *, within: bool) -> bool:
        """Whether the resource's policy alone allows it somebody of its own account."""
        if _As.EVERYBODY in granted:
            # "For IAM users and role principals within your account, no other permissions are
            # required." Nor does a boundary limit it.
            # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-anonymous
            return True
        # A user's ARN: "not limited by an implicit deny in an identity-based policy or permissions
        # boundary". A role's: "limited by an implicit deny in a permissions boundary".
        # The account's root only passes the question on to the account's own policies.
        return _As.ITSELF in granted and (within or _is_user(self.caller.arn))

    def _trusts(self, granted: set[_As], *, within: bool, own: bool) -> bool:
        """Whether the caller may become a role of its own account.

        "Attach a policy to the user that allows the user to call AssumeRole (as long as the role's
        trust policy trusts the account)", or "Add the user as a principal directly".
        https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
        "If a permissions boundary is set for the user, then it must allow the sts:AssumeRole
        action", said of a user listed as the principal.
        https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_update-role-trust-policy.html
        """
        if granted and own:
            return True
        if _As.EVERYBODY in granted and not within:
            raise NotImplementedError("a boundary before a trust policy that trusts everybody")
        return within and bool(granted & {_As.ITSELF, _As.EVERYBODY})


def _refuse_impossible(caller: Caller, action: str, *, trust: bool) -> None:
    if _is_root(caller.arn) and (caller.policies or caller.boundary is not None):
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html
        raise ValueError("no identity policy and no boundary can be attached to the root")
    if caller.arn is not None and not _PRINCIPAL.fullmatch(caller.arn):
        raise NotImplementedError(caller.arn)
    if caller.arn is not None and caller.arn.split(":")[4] != caller.account:
        raise ValueError(f"{caller.arn} is not of account {caller.account}")
    if caller.service is not None and caller.account is not None:
        raise ValueError("a service principal is of no account")
    if trust and action.lower() not in (
        "sts:assumerole",
        "sts:tagsession",
        "sts:setsourceidentity",
    ):
        raise NotImplementedError(f"{action} by a trust policy")


def _is_root(arn: str | None) -> bool:
    return arn is not None and arn.endswith(":root")


def _is_user(arn: str | None) -> bool:
    return arn is not None and ":user/" in arn


# --- Statements -----------------------------------------------------------------------------------


def _statements_of(document: Document | None) -> list[Mapping[str, Any]]:
    if document is None:
        return []
    _refuse_unknown(document, {"Version", "Id", "Statement"})
    statements = document.get("Statement", [])
    return list(statements) if isinstance(statements, list | tuple) else [statements]


def _own(document: Document, action: str) -> list[_Statement]:
    """The statements of a policy that is attached to its principal."""
    found = []
    for body in _statements_of(document):
        _refuse_unknown(body, _ELEMENTS)
        if len(body.keys() & {"Resource", "NotResource"}) != 1:
            raise NotImplementedError("an identity policy that names no resource")
        if _is_about_action(body, action):
            found.append(_Statement(_is_allow(body), body, _has_variables(document)))
    return found


def _of_resource(
    document: Document | None, action: str, caller: Caller, *, trust: bool
) -> list[_Statement]:
    """The statements of a resource's policy that are about the caller."""
    found = []
    for body in _statements_of(document):
        _refuse_unknown(body, _ELEMENTS | {"Principal", "NotPrincipal"})
        if len(body.keys() & {"Principal", "NotPrincipal"}) != 1:
            raise NotImplementedError("a resource's policy that names no principal")
        allow = _is_allow(body)
        if "NotPrincipal" in body:
            named = _not_spared(body["NotPrincipal"], caller, allow=allow, trust=trust)
        else:
            named = _named(body["Principal"], caller)
        if named and _is_about_action(body, action):
            variables = _has_variables(document or {})
            found.append(_Statement(allow, body, variables, frozenset(named)))
    return found


_ELEMENTS: Final = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)


def _refuse_unknown(body: Mapping[str, Any], known: Collection[str]) -> None:
    if unknown := body.keys() - known:
        raise NotImplementedError(", ".join(sorted(unknown)))


def _is_allow(body: Mapping[str, Any]) -> bool:
    if body.get("Effect") not in ("Allow", "Deny"):
        raise NotImplementedError(f"Effect {body.get('Effect')}")
    return bool(body["Effect"] == "Allow")


def _has_variables(document: Document) -> bool:
    version = document.get("Version", "2008-10-17")
    if version not in ("2008-10-17", "2012-10-17"):
        raise NotImplementedError(f"Version {version}")
    return bool(version == "2012-10-17")


def _is_about_action(body: Mapping[str, Any], action: str) -> bool:
    """Whether a statement is about the action, whose prefix and name have no case.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html
    """
    if len(body.keys() & {"Action", "NotAction"}) != 1:
        raise NotImplementedError("a statement with neither Action nor NotAction, or with both")
    element = "Action" if "Action" in body else "NotAction"
    found = any(
        _matches(_tokens(pattern.lower()), action.lower()) for pattern in _texts(body[element])
    )
    return found == (element == "Action")


def _conditions_of(body: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    for name, keys in body.get("Condition", {}).items():
        for key, values in keys.items():
            texts = _texts(values)
            if not texts:
                raise NotImplementedError(f"{name} {key} without a value")
            yield name, key.lower(), texts


def _texts(values: object) -> list[str]:
    """One or several, as text. "Quotation marks are optional for numeric and Boolean values."

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
    """
    if isinstance(values, list | tuple):
        return [text for it in values for text in _texts(it)]
    if isinstance(values, bool):
        return ["true" if values else "false"]
    if isinstance(values, str | int | float):
        return [str(values)]
    raise NotImplementedError(f"{values!r} for a value")


# --- Principals -----------------------------------------------------------------------------------


def _named(element: object, caller: Caller) -> set[_As]:
    """How a Principal element names the caller, if at all.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    if element == "*":
        return {_As.EVERYBODY}
    if not isinstance(element, Mapping):
        raise NotImplementedError(f"Principal {element}")
    found = set()
    for kind, values in element.items():
        for name in _texts(values):
            if kind == "AWS":
                found |= _named_by_aws(name, caller)
            elif kind == "Service" and name != "*":
                found |= {_As.SERVICE} if name == caller.service else set()
            elif kind != "Federated":  # which no caller here is
                raise NotImplementedError(f"Principal {kind} {name}")
    return found


def _named_by_aws(name: str, caller: Caller) -> set[_As]:
    if name == "*":
        if caller.service is not None:
            # "For anonymous users" it is the same as a bare "*". For services AWS does not say.
            raise NotImplementedError('a service, and {"AWS": "*"}')
        return {_As.EVERYBODY}
    if _ACCOUNT.fullmatch(name) or (_PRINCIPAL.fullmatch(name) and _is_root(name)):
        # "The account ARN and the shortened account ID behave the same way. Both delegate
        # permissions to the account." That is "any principal defined within that account".
        if caller.account != (name if name.isdigit() else name.split(":")[4]):
            return set()
        return {_As.ACCOUNT, _As.ITSELF} if _is_root(caller.arn) else {_As.ACCOUNT}
    if _PRINCIPAL.fullmatch(name):
        return {_As.ITSELF} if name == caller.arn else set()
    # Sessions, which a Caller does not tell apart; the ids of what was deleted; wildcards.
    raise NotImplementedError(f"Principal AWS {name}")


def _not_spared(element: object, caller: Caller, *, allow: bool, trust: bool) -> set[_As]:
    """Everybody, as whom a Deny with NotPrincipal names the caller, or nobody where it spares it.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
    """
    if allow or trust or element == "*":
        # 'Using it with "Effect":"Allow" is not supported', nor can it be in a trust policy.
        raise NotImplementedError("NotPrincipal but in a resource's Deny")
    named = _named(element, caller)
    if _As.EVERYBODY in named:
        raise NotImplementedError("NotPrincipal that names everybody")
    if caller.boundary is not None:
        # It "will always deny any IAM principal that has a permissions boundary policy attached,
        # regardless of the values specified".
        return {_As.EVERYBODY}
    if named and caller.account is not None and named != {_As.ACCOUNT, _As.ITSELF}:
        # "you must also specify the account ARN of the not-denied principal. Otherwise, the
        # policy might deny access to the entire account containing the principal."
        raise NotImplementedError("NotPrincipal that names a principal without its account")
    return set() if named else {_As.EVERYBODY}


# --- Patterns -------------------------------------------------------------------------------------


class _Wild(Enum):
    ANY = "*"
    ONE = "?"


_Tokens = tuple[str | _Wild, ...]
"""Characters, and wildcards."""

_Keys = Mapping[str, str]
"""The request's context, by the names of keys in lower case: "Key names are case-insensitive."
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html"""

_VARIABLE: Final = re.compile(r"\$\{(?P<name>[^},]*)(?P<default>, *'[^'}]*' *)?\}")


@cache
def _tokens(text: str) -> _Tokens:
    return tuple(_Wild(it) if it in "*?" else it for it in text)


def _filled(text: str, keys: _Keys, *, variables: bool) -> _Tokens | None:
    """The text with its variables' values. None where one has none.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
    """
    if "${" not in text or not variables:
        return _tokens(text)
    found: list[str | _Wild] = []
    end = 0
    for variable in _VARIABLE.finditer(text):
        found += _tokens(text[end : variable.start()])
        end = variable.end()
        name, default = variable["name"].strip().lower(), variable["default"]
        if name in ("*", "?", "$"):  # "predefined policy variables that have fixed values"
            found.append(name)
            continue
        value = keys.get(name, default and default.strip(", ").strip("'"))
        if value is None:
            return None
        if "*" in value or "?" in value:
            raise NotImplementedError(f"{value} for ${{{name}}}: a wildcard, or not?")
        found += value
    if "${" in text[end:]:
        raise NotImplementedError(text)
    return (*found, *_tokens(text[end:]))


def _plain(tokens: _Tokens) -> str:
    """The text without wildcards, where * is nothing but itself."""
    return "".join(it.value if isinstance(it, _Wild) else it for it in tokens)


@cache
def _pattern(tokens: _Tokens) -> re.Pattern[str]:
    regex = {_Wild.ANY: ".*", _Wild.ONE: "."}
    parts = [regex[it] if isinstance(it, _Wild) else re.escape(it) for it in tokens]
    return re.compile("".join(parts), re.DOTALL)


def _matches(tokens: _Tokens, text: str) -> bool:
    return _pattern(tokens).fullmatch(text) is not None


def _covers(text: str, resource: str, keys: _Keys, *, variables: bool) -> bool:
    """Whether a Resource element's text covers the resource.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """
    if variables and "${" in ":".join(_VARIABLE.sub("${}", text).split(":")[:5]):
        # "You can't use a variable to replace parts of the ARN before the fifth colon".
        raise NotImplementedError(text)
    tokens = _filled(text, keys, variables=variables)
    if tokens is None:
        # "a policy variable with no value will not match any resource", in NotResource either
        return False
    found = _matches(tokens, resource)
    if found != (_within_segments(tokens).fullmatch(resource) is not None):
        raise NotImplementedError(f"whether {text} covers {resource}, across colons")
    return found


@cache
def _within_segments(tokens: _Tokens) -> re.Pattern[str]:
    """Wildcards "within the individual segments of an ARN (the parts separated by colons)".

    "If the * wildcard is the last character of a resource ARN segment, it can expand to match
    beyond the colon boundaries."
    """
    parts = []
    for token, following in itertools.zip_longest(tokens, tokens[1:], fillvalue=":"):
        if token is _Wild.ANY:
            parts.append(".*" if following == ":" else "[^:]*")
        else:
            parts.append("[^:]" if token is _Wild.ONE else re.escape(str(token)))
    return re.compile("".join(parts), re.DOTALL)


# --- Conditions -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Operator:
    family: str
    """What it compares: String, Arn, Bool, Numeric, Date, Ip or Null."""
    meets: Callable[[str, str], bool] | None
    """Whether a request's value meets the policy's. None where the text has to be filled first."""
    negated: bool
    base: str
    each: str
    """ForAllValues, ForAnyValue or nothing."""
    if_exists: bool


@cache
def _operator(name: str) -> _Operator:
    """The operator of that name.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    """
    each, _, rest = name.rpartition(":")
    base = rest.removesuffix("IfExists")
    positive = _POSITIVE.get(base, base)
    if each not in ("", "ForAllValues", "ForAnyValue") or positive not in _FAMILY:
        raise NotImplementedError(name)
    if base == "Null" and base != name:
        raise NotImplementedError(name)  # "any condition operator name except the Null condition"
    return _Operator(
        family=_FAMILY[positive],
        meets=_TYPED.get(positive),
        negated=base != positive,
        base=positive,
        each=each,
        if_exists=rest != base,
    )


def _meets(name: str, key: str, values: Sequence[str], keys: _Keys, *, variables: bool) -> bool:
    """Whether the request meets one condition on one key."""
    it = _operator(name)
    value = keys.get(key)
    if it.base == "Null":
        # "true (the key doesn't exist — it is null) or false (the key exists and its value is not
        # null)"
        return any(_boolean(wanted) == (value is None) for wanted in values)
    if value is None:
        return _met_without_key(it, name)
    if value == "":
        # "a null dataset, such as an empty string": as if it were absent, or not?
        raise NotImplementedError(f"{key} with an empty value")
    found = [_agrees(it, wanted, value, keys, variables=variables) for wanted in values]
    if None in found and True in found:
        # "any attempt to match it fails and causes the statement to be invalid"; or is it just
        # that value of several?
        raise NotImplementedError(f"{name} {key} {values} without a value for a variable")
    # "Inverted condition operators like StringNotEquals or StringNotLike do match against a null
    # value"
    return (True in found) != it.negated


def _met_without_key(it: _Operator, name: str) -> bool:
    """Whether a condition is met whose key is absent.

    "If the key that you specify in a policy condition is not present in the request context, the
    values do not match and the condition is false. If the policy condition requires that the key
    is not matched, such as StringNotLike or ArnNotLike, and the right key is not present, the
    condition is true." And IfExists: "If the key is not present, evaluate the condition element
    as true."
    """
    if it.each == "ForAllValues":
        if it.negated:
            # "returns true if there are no context keys in the request", but the page's table of
            # ForAllValues:StringNotLike says "No match".
            raise NotImplementedError(f"{name} without its key")
        return True
    if it.each == "ForAnyValue":
        # And: "For no matching context key or a null dataset, the condition returns false".
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
        if it.if_exists:
            raise NotImplementedError(f"{name} without its key: both rules apply")
        return False
    return it.if_exists or it.negated


def _agrees(it: _Operator, wanted: str, value: str, keys: _Keys, *, variables: bool) -> bool | None:
    """Whether a value is what a policy wants. None where a variable has no value."""
    if it.meets is not None:
        return it.meets(wanted, value)
    tokens = _filled(wanted, keys, variables=variables)
    if tokens is None:
        return None
    return _TEXTUAL[it.base](tokens, value)


def _arn_matches(tokens: _Tokens, arn: str) -> bool:
    """By components: "Each of the six colon-delimited components is checked separately"."""
    wanted: list[list[str | _Wild]] = [[]]
    for it in tokens:
        if it == ":" and len(wanted) < _COMPONENTS:
            wanted.append([])
        else:
            wanted[-1].append(it)
    found = arn.split(":", _COMPONENTS - 1)
    if len(wanted) < _COMPONENTS or len(found) < _COMPONENTS:
        raise NotImplementedError(f"{_plain(tokens)} and {arn} as ARNs")
    return all(_matches(tuple(part), text) for part, text in zip(wanted, found, strict=True))


_COMPONENTS: Final = 6

_TEXTUAL: Final[Mapping[str, Callable[[_Tokens, str], bool]]] = {
    "StringEquals": lambda tokens, value: _plain(tokens) == value,
    "StringEqualsIgnoreCase": lambda tokens, value: _plain(tokens).lower() == value.lower(),
    "StringLike": _matches,
    "ArnEquals": _arn_matches,
    "ArnLike": _arn_matches,
}


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise NotImplementedError(f"{text} for true or false")
    return text == "true"


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise NotImplementedError(f"{text} for a number") from None


def _date(text: str) -> datetime:
    """In one of "the ISO 8601 date formats or in epoch (UNIX) time"."""
    if re.fullmatch(r"\d{9,}", text):
        return datetime.fromtimestamp(int(text), UTC)
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text):
        raise NotImplementedError(f"{text} for a date")
    return datetime.fromisoformat(text)


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(text: str) -> _Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise NotImplementedError(f"{text} for a network") from None
    if network.version != 4 and "/" not in text:
        # "If you specify an IP address without the associated routing prefix, IAM uses the default
        # prefix value of /32", which of an IPv6 address would be a vast network.
        raise NotImplementedError(f"{text} without a prefix")
    return network


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise NotImplementedError(f"{text} for an address") from None


_COMPARISONS: Final = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}


def _compared(
    read: Callable[[str], Any], compare: Callable[[Any, Any], bool]
) -> Callable[[str, str], bool]:
    return lambda wanted, value: compare(read(value), read(wanted))


_TYPED: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "Bool": _compared(_boolean, operator.eq),
    "IpAddress": lambda wanted, value: _address(value) in _network(wanted),
    **{f"Numeric{name}": _compared(_number, it) for name, it in _COMPARISONS.items()},
    **{f"Date{name}": _compared(_date, it) for name, it in _COMPARISONS.items()},
}

_POSITIVE: Final = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}
"""Each negated operator, and what it negates. With several values it is met by none of them."""

_FAMILY: Final = {
    name: re.match("[A-Z][a-z]+", name)[0]  # type: ignore[index] # each begins so
    for name in (*_TEXTUAL, *_TYPED, "Null")
}


# --- Contexts -------------------------------------------------------------------------------------


def _known(caller: Caller) -> dict[str, str | None]:
    """What the caller alone says of the context. None: the key is absent. The rest is open.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principal-properties
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#principaltable
    """
    if caller.service is not None:  # AWS does not say what its account and its type are
        return {
            "aws:principalarn": None,
            "aws:username": None,
            "aws:principalisawsservice": "true",
            "aws:principalservicename": caller.service,
        }
    if caller.account is None:
        return {
            "aws:principalarn": None,
            "aws:principalaccount": "anonymous",
            "aws:principaltype": "Anonymous",
            "aws:userid": "anonymous",
            "aws:username": None,
            "aws:principalisawsservice": None,
            "aws:principalservicename": None,
        }
    known: dict[str, str | None] = {
        "aws:principalarn": caller.arn,
        "aws:principalaccount": caller.account,
        "aws:username": None,
        "aws:principalisawsservice": "false",
        "aws:principalservicename": None,
    }
    if _is_root(caller.arn):
        known |= {"aws:principaltype": "Account", "aws:userid": caller.account}
    elif caller.arn is not None and _is_user(caller.arn):
        known |= {"aws:principaltype": "User", "aws:username": caller.arn.rpartition("/")[2]}
    elif caller.arn is not None:
        known["aws:principaltype"] = "AssumedRole"
    return known


def _with_known(caller: Caller, context: Mapping[str, str]) -> _Keys:
    known = _known(caller)
    keys = {name.lower(): value for name, value in context.items()}
    for name, value in keys.items():
        if name in known and known[name] != value:
            raise ValueError(f"{name} of {caller.arn or caller.service} is {known[name]}")
    return keys | {name: value for name, value in known.items() if value is not None}


def _contexts(case: _Case) -> Iterator[_Keys]:
    """Every context that the case's statements can tell apart."""
    known = {name: value for name, value in _known(case.caller).items() if value is not None}
    domains = _domains(case, known)
    for chosen in itertools.product(*([*sorted(it), None] for it in domains.values())):
        values = zip(domains, chosen, strict=True)
        yield known | {name: value for name, value in values if value is not None}


def _domains(case: _Case, known: _Keys) -> dict[str, set[str]]:
    """The values to try for each key that is not known, besides its absence."""
    families: dict[str, set[str]] = {}
    domains: dict[str, set[str]] = {}
    tests = [
        (_operator(name), key, text, it.variables and "${" in text)
        for it in case.statements()
        for name, key, texts in _conditions_of(it.body)
        for text in texts
    ]
    for it, key, text, filled in tests:
        families.setdefault(key, set()).add(it.family)
        domains.setdefault(key, set())
        if not filled:
            domains[key] |= _samples(it, text)
    variables = _variables_of(case)
    for name, values in variables.items():
        domains.setdefault(name, set()).update(values, (_FRESH, f"another-{_FRESH}"))
    for name, value in known.items():
        domains[name] = {value}
    for it, key, text, filled in tests * 2:  # so that each can have the other's values
        if filled:
            domains[key] |= {
                sample for one in _fillings(text, domains) for sample in _samples(it, one)
            }
            if alone := _VARIABLE.fullmatch(text):
                domains[alone["name"].strip().lower()] |= domains[key]
    absent = _known(case.caller).keys()
    return {
        key: {
            value
            for value in values | _fresh(families.get(key, set()))
            # An empty value is open, above.
            if value and all(_is_one(family, value) for family in families.get(key, set()))
        }
        for key, values in domains.items()
        if key not in absent
    }


def _variables_of(case: _Case) -> dict[str, set[str]]:
    """Each variable, with values that make a Resource element cover the resource."""
    found: dict[str, set[str]] = {}
    for it in case.statements():
        if not it.variables:
            continue
        texts = [text for _, _, texts in _conditions_of(it.body) for text in texts]
        resources = [
            text for key in ("Resource", "NotResource") for text in _texts(it.body.get(key, []))
        ]
        for text in (*texts, *resources):
            for variable in _VARIABLE.finditer(text):
                if (name := variable["name"].strip().lower()) not in ("*", "?", "$"):
                    found.setdefault(name, set())
                    if text in resources:
                        found[name] |= _values_between(text, variable, case.resource)
    return found


def _values_between(text: str, variable: re.Match[str], resource: str) -> set[str]:
    """What stands in the resource where the variable stands in the text: the shortest, longest."""
    before, after = (
        _pattern(_tokens(_VARIABLE.sub("*", part))).pattern
        for part in (text[: variable.start()], text[variable.end() :])
    )
    found = (re.fullmatch(f"{before}({many}){after}", resource) for many in (".+?", ".+"))
    return {it[1] for it in found if it}


def _fillings(text: str, domains: Mapping[str, set[str]]) -> Iterator[str]:
    """The text with each value of its variables that is to be tried."""
    names = list(dict.fromkeys(it["name"].strip().lower() for it in _VARIABLE.finditer(text)))
    names = [name for name in names if name not in ("*", "?", "$")]
    for values in itertools.product(*(sorted(domains[name]) for name in names)):
        tokens = _filled(text, dict(zip(names, values, strict=True)), variables=True)
        yield _plain(tokens or ())


def _samples(it: _Operator, text: str) -> set[str]:
    """Values on either side of what a condition tells apart."""
    if it.family in ("String", "Arn"):
        return _alike(it.base, text)
    if it.family == "Numeric":
        return {str(_number(text) + step) for step in (-1, 0, 1)}
    if it.family == "Date":
        step = timedelta(seconds=1)
        return {f"{_date(text) + n * step:%Y-%m-%dT%H:%M:%SZ}" for n in (-1, 0, 1)}
    if it.family == "Ip":
        network = _network(text)
        ends = [int(network.network_address), int(network.broadcast_address) + 1]
        address = type(network.network_address)
        return {str(address(end % 2**network.max_prefixlen)) for end in (0, *ends)}
    return set()


def _alike(base: str, text: str) -> set[str]:
    if base == "StringEquals":
        return {text}
    if base == "StringEqualsIgnoreCase":
        return {text, text.swapcase()}
    return {text.replace("*", many).replace("?", "x") for many in ("", "x")}


def _fresh(families: AbstractSet[str]) -> set[str]:
    """A value that no policy names, of a kind that the operators can read."""
    if "Bool" in families:
        return {"true", "false"}
    if families & {"Numeric", "Date", "Ip"}:
        return set()
    return {f"arn:aws:iam::{_FRESH_ACCOUNTS[-1]}:role/{_FRESH}" if "Arn" in families else _FRESH}


def _is_one(family: str, value: str) -> bool:
    """Whether the operators of the family can read the value."""
    if family == "Arn":
        return value.count(":") >= _COMPONENTS - 1
    read = {"Bool": _boolean, "Numeric": _number, "Date": _date, "Ip": _address}.get(family, str)
    try:
        read(value)
    except NotImplementedError:
        return False
    return True
