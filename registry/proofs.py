"""Who can do what to the repositories: proved over every principal, not tried on a few.

The evaluator is iamprover, which states IAM's rules to the solver Z3. A claim is proved where the
solver finds no request that breaks it; the request that it does find is the counterexample.

A principal has two sides. The Principal element of a policy names it by its ARN or its account's;
conditions see `aws:PrincipalArn`. The second is left free, so that one question is about everybody.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

import z3
from iamprover.engine.context import Context
from iamprover.engine.encoder import allowed
from iamprover.engine.patterns import iam_pattern_to_re
from iamprover.model import Policy, Principal
from iamprover.parsers.iam import parse_policy_document

from components.guard import ACTIONS, Access

# What the claims are about is written out here, and not taken from components/guard.py: the
# policies are made from that, and would be held against themselves.
PULL: Final = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
"""What it takes to have an image: its manifest and its layers."""
MAY_PULL: Final = (*PULL, "ecr:BatchCheckLayerAvailability", "ecr:DescribeImages")
"""All that is granted to those who are to pull."""
MOVE_TAGS: Final = ("ecr:PutImage", "ecr:BatchImportUpstreamImage")
PUSH: Final = (
    *MOVE_TAGS,
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
)
DELETE_IMAGES: Final = ("ecr:BatchDeleteImage", "ecr:UpdateImageStorageClass")
CHANGE_GUARD: Final = (
    "ecr:SetRepositoryPolicy",
    "ecr:DeleteRepositoryPolicy",
    "ecr:PutImageTagMutability",
    "ecr:PutLifecyclePolicy",
    "ecr:DeleteLifecyclePolicy",
    "ecr:DeleteRepository",
    "ecr:PutImageScanningConfiguration",
    "ecr:TagResource",
    "ecr:UntagResource",
)
ADMINISTER: Final = (*DELETE_IMAGES, *CHANGE_GUARD)
ANYTHING: Final = tuple(f"ecr:{action}" for action in ACTIONS)

_PRINCIPAL_ARN: Final = "aws:PrincipalArn"


@dataclass(frozen=True, kw_only=True)
class Repositories:
    """Repositories for which everything below has the same answer: the first stands for all."""

    arns: tuple[str, ...]
    policy: dict[str, Any]
    """Their policy, as AWS has it. Without statements where there is none."""
    access: Access
    """Who is meant to have access: the policy is held against this."""


def alike(repositories: Iterable[tuple[str, str | None, Access]]) -> list[Repositories]:
    """Repositories by ARN, policy text and intended access, grouped by the last two."""
    alike: dict[str, list[str]] = {}
    for arn, text, access in repositories:
        alike.setdefault(json.dumps([text, access]), []).append(arn)
    groups = []
    for key, arns in alike.items():
        text, access = json.loads(key)
        policy = json.loads(text) if text else {"Statement": []}
        groups.append(Repositories(arns=tuple(arns), policy=policy, access=access))
    return groups


@dataclass(frozen=True, kw_only=True)
class Counterexample:
    """A request that breaks a claim."""

    principal: str
    action: str
    resource: str


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Whether a claim holds in every repository."""

    claim: str
    proved: bool
    counterexample: Counterexample | None
    """None where the claim is proved, and where a policy is beyond the evaluator."""
    beyond: str = ""
    """What the evaluator does not know of the policy."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a principal can do, in any of the repositories."""

    principal: str
    pull: bool
    move_tags: bool
    delete_images: bool
    change_guard: bool


class NotModelledError(Exception):
    """A policy has an element that the evaluator does not know; it proves nothing about it."""


# --- Callers --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Caller:
    """A set of principals that are alike but for what their requests' context says."""

    named: str
    """The ARN or service by which a Principal element names them."""
    identity: bool
    """Whether their own policies allow them everything, or nothing. Nothing is what counts for
    another account's: whatever it allows them, the repository's policy has to allow them too."""
    context: Callable[[Context], z3.BoolRef]
    shown: str = ""
    """Whom a counterexample names. Otherwise the aws:PrincipalArn that the solver found."""

    def principal(self) -> Principal:
        everything = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        own = [parse_policy_document("own", everything)] if self.identity else []
        return Principal(arn=self.named, policies=own)


def _anybody_but(roles: Sequence[str]) -> _Caller:
    """Whoever it is, of whatever account, with every permission, save these roles."""
    return _Caller(
        named="anybody",
        identity=True,
        context=lambda context: z3.And(*(_arn(context) != z3.StringVal(arn) for arn in roles)),
    )


def _role(arn: str, access: Access) -> _Caller:
    """Just this role. One of another account is named by its account in the policies."""
    own = arn.split(":")[4] == access["account_id"]
    return _Caller(
        named=arn if own else _root(arn.split(":")[4], access),
        identity=own,
        context=lambda context: _arn(context) == z3.StringVal(arn),
    )


def _account(account_id: str, access: Access, *, identity: bool = False) -> _Caller:
    """Any principal of an account, save those that have a line of their own in the table."""
    pattern = f"arn:{access['partition']}:iam::{account_id}:*"
    own_root = _root(access["account_id"], access)
    others = [own_root, *access["pipeline_roles"], *access["administrator_roles"]]
    return _Caller(
        named=_root(account_id, access),
        identity=identity,
        context=lambda context: z3.And(
            z3.InRe(_arn(context), iam_pattern_to_re(pattern)),
            *(_arn(context) != z3.StringVal(arn) for arn in others),
        ),
    )


def _arn(context: Context) -> z3.SeqRef:
    return context.string(_PRINCIPAL_ARN)


def _root(account_id: str, access: Access) -> str:
    return f"arn:{access['partition']}:iam::{account_id}:root"


# --- Questions ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Repository:
    """One repository's policy, ready to be asked about."""

    arn: str
    policy: Policy

    def find(
        self, caller: _Caller, actions: Sequence[str], *, denied: bool = False
    ) -> Counterexample | None:
        """A request by the caller for one of the actions that is allowed, or else denied.

        None where there is no such request at all.
        """
        solver, context, action = self._asked(caller, actions, denied=denied)
        return self._solution(solver, context, action, caller)

    def allows(self, caller: _Caller, actions: Sequence[str]) -> bool:
        """Whether there is a request by the caller for one of the actions that is allowed."""
        solver, _, _ = self._asked(caller, actions, denied=False)
        return _answered(solver)

    def _asked(
        self, caller: _Caller, actions: Sequence[str], *, denied: bool
    ) -> tuple[z3.Solver, Context, z3.SeqRef]:
        solver, context, action = z3.Solver(), Context(), z3.String("action")
        is_allowed = self._allowed(caller, action, context)
        solver.add(z3.Not(is_allowed) if denied else is_allowed)
        solver.add(_one_of(action, actions), caller.context(context))
        return solver, context, action

    def find_both(
        self, caller: _Caller, one: Sequence[str], other: Sequence[str]
    ) -> Counterexample | None:
        """A principal that is allowed one of the first actions and one of the others.

        The two are requests of their own, from wherever it likes: all they share is the principal.
        """
        solver = z3.Solver()
        contexts, asked = (
            (Context("one:"), Context("other:")),
            (z3.String("one"), z3.String("other")),
        )
        for context, action, among in zip(contexts, asked, (one, other), strict=True):
            solver.add(_one_of(action, among), self._allowed(caller, action, context))
            solver.add(caller.context(context))
        solver.add(_arn(contexts[0]) == _arn(contexts[1]))
        return self._solution(solver, contexts[1], asked[1], caller)

    def _allowed(self, caller: _Caller, action: z3.SeqRef, context: Context) -> z3.BoolRef:
        resource = z3.StringVal(self.arn)
        return allowed(caller.principal(), action, resource, context, [self.policy])

    def _solution(
        self, solver: z3.Solver, context: Context, action: z3.SeqRef, caller: _Caller
    ) -> Counterexample | None:
        if not _answered(solver):
            return None
        model = solver.model()
        # The solver takes any string that will do. Where a role's ARN does, say that.
        partition = self.arn.split(":")[1]
        for account in (z3.Re("999999999999"), z3.Loop(z3.Range("0", "9"), 12, 12)):
            role = z3.Concat(z3.Re(f"arn:{partition}:iam::"), account, z3.Re(":role/"), _NAME)
            if solver.check(z3.InRe(_arn(context), role)) == z3.sat:
                model = solver.model()
                break
        principal = model.eval(_arn(context), model_completion=True).as_string()
        found = model.eval(action, model_completion=True).as_string()
        return Counterexample(
            principal=caller.shown or principal or caller.named,
            action=_SPELLING[found],
            resource=self.arn,
        )


_NAME: Final = z3.Plus(z3.Range("a", "z"))
"""Of a role in a counterexample: one that can be read."""

_SPELLING: Final = {f"ecr:{action}".lower(): f"ecr:{action}" for action in ACTIONS}


def _answered(solver: z3.Solver) -> bool:
    """Whether there is a solution. Raises NotModelledError where the solver cannot tell."""
    if (answer := solver.check()) == z3.unknown:
        raise NotModelledError(f"the solver gave up: {solver.reason_unknown()}")
    return bool(answer == z3.sat)


def _one_of(action: z3.SeqRef, among: Sequence[str]) -> z3.BoolRef:
    return z3.Or(*(action == z3.StringVal(name.lower()) for name in among))


def _parsed(repositories: Repositories) -> _Repository:
    """The policy in the evaluator's terms. Raises NotModelledError where they do not say it all."""
    document = repositories.policy
    statements = document.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        if unknown := statement.keys() - _ELEMENTS:
            raise NotModelledError(", ".join(sorted(unknown)))
        for operator, keys in statement.get("Condition", {}).items():
            for key, value in keys.items():
                _refuse_unknown(operator, key, value)
    policy = parse_policy_document("repository", document)
    for it in policy.statements:
        # IAM reads a bare account id as that account's root; the evaluator does not.
        it.principals = [
            _root(name, repositories.access) if name.isdigit() else name for name in it.principals
        ]
    return _Repository(repositories.arns[0], policy)


def _refuse_unknown(operator: str, key: str, value: Any) -> None:
    """Raise NotModelledError for a condition that the evaluator reads otherwise than IAM does.

    It knows no absent key: a free variable stands for each, and its empty value for the absence.
    That is right as long as no value of a condition matches the empty string.
    """
    values = value if isinstance(value, list) else [value]
    if operator not in _OPERATORS or not all(
        isinstance(it, str) and it.strip("*") and "${" not in it for it in values
    ):
        raise NotModelledError(f"{operator} {key} {value}")


_ELEMENTS: Final = {"Sid", "Effect", "Principal", "Action", "NotAction", "Condition"}
"""Without Resource, which a repository policy does not need: an answer for one repository is to
hold for all that have the same policy."""

_OPERATORS: Final = {
    f"{kind}{negation}{comparison}"
    for kind in ("String", "Arn")
    for negation in ("", "Not")
    for comparison in ("Equals", "Like")
}


# --- One principal --------------------------------------------------------------------------------


def lets(policy: dict[str, Any], repository_arn: str, principal: str | None, action: str) -> bool:
    """Whether a repository policy leaves it to a principal's own policies to allow it a call.

    It does where it denies it no such request, whatever else the request says, and, to a principal
    of another account, allows each. `principal` is the caller's aws:PrincipalArn; None is a caller
    without one, such as a service of AWS, of which only what is denied is known.

    Raises NotModelledError where the evaluator cannot tell, and so never takes a Deny that it does
    not know for none.
    """
    _, partition, _, region, account_id, _ = repository_arn.split(":", maxsplit=5)
    access = Access(
        partition=partition,
        account_id=account_id,
        region=region,
        pipeline_roles=[],
        administrator_roles=[],
        pull_accounts=[],
        pull_organization="",
        lambda_pull=False,
    )
    repository = _parsed(Repositories(arns=(repository_arn,), policy=policy, access=access))
    caller = _WITHOUT_ARN if principal is None else _role(principal, access)
    if principal is not None:
        # A policy may name somebody, or the account: for the evaluator that is to be one name.
        names = {principal, _root(principal.split(":")[4], access)}
        for it in repository.policy.statements:
            if names.intersection(it.principals):
                it.principals.append(caller.named)
    return repository.find(caller, [action], denied=True) is None


_WITHOUT_ARN: Final = _Caller(
    named="a caller without an ARN",
    identity=True,
    context=lambda context: _arn(context) == z3.StringVal(""),
)


# --- Claims ---------------------------------------------------------------------------------------


def prove(groups: Sequence[Repositories]) -> list[Proof]:
    """Hold every claim against every repository."""
    proofs = []
    for claim, breaches in _CLAIMS.items():
        proof = Proof(claim=claim, proved=True, counterexample=None)
        for group in groups:
            try:
                found = next(breaches(_parsed(group), group.access), None)
            except NotModelledError as error:
                proof = replace(proof, proved=False, beyond=str(error))
            else:
                proof = replace(proof, proved=found is None, counterexample=found)
            if not proof.proved:
                break
        proofs.append(proof)
    return proofs


_Breaches = Iterator[Counterexample]


def _moved_by_others(repository: _Repository, access: Access) -> _Breaches:
    others = _anybody_but(access["pipeline_roles"])
    yield from _found(repository.find(others, MOVE_TAGS))


def _administered_by_others(repository: _Repository, access: Access) -> _Breaches:
    others = _anybody_but(access["administrator_roles"])
    yield from _found(repository.find(others, ADMINISTER))


def _both(repository: _Repository, _: Access) -> _Breaches:
    anybody = _anybody_but([])
    yield from _found(repository.find_both(anybody, MOVE_TAGS, ADMINISTER))


def _pipeline_kept_out(repository: _Repository, access: Access) -> _Breaches:
    needed = (*MAY_PULL, *PUSH)
    for arn in access["pipeline_roles"]:
        # The repository's policy alone allows it, whatever the role's own say.
        caller = replace(_role(arn, access), identity=False)
        yield from _found(repository.find(caller, needed, denied=True))


def _administrators_locked_out(repository: _Repository, access: Access) -> _Breaches:
    for arn in access["administrator_roles"]:
        caller = _role(arn, access)
        yield from _found(repository.find(caller, ADMINISTER, denied=True))


def _strangers_let_in(repository: _Repository, access: Access) -> _Breaches:
    """Outsiders that can make a call they are not to make.

    A Principal element names exact principals, or everybody. So all whom the policy names, and one
    whom it does not, are all the cases there are.
    """
    named = {name for it in repository.policy.statements for name in it.principals}
    more_than_pull = [action for action in ANYTHING if action not in MAY_PULL]
    for name in sorted(named | {_STRANGER}):
        yield from _found(repository.find(_outsider(name, access), more_than_pull))
        yield from _found(repository.find(_outsider(name, access, listed=False), ANYTHING))


_STRANGER: Final = "somebody whom the policy does not name"


def _outsider(name: str, access: Access, *, listed: bool = True) -> _Caller:
    """Whoever is named so, save the account's own principals and the pipeline roles.

    Those that are listed count too, or not.
    """
    account_id = name.split(":")[4] if name.startswith("arn:") else ""

    def outside(context: Context) -> z3.BoolRef:
        inside = [_arn(context) == z3.StringVal(arn) for arn in access["pipeline_roles"]]
        inside.append(z3.BoolVal(account_id == access["account_id"]))
        if not listed:
            inside.append(z3.BoolVal(account_id in access["pull_accounts"]))
        if not listed and access["pull_organization"]:
            inside.append(_member(context, access))
        if not listed and access["lambda_pull"] and name == _LAMBDA:
            inside.append(_own_function(context, access))
        return z3.Not(z3.Or(*inside))

    shown = "" if name in ("*", _STRANGER) else name
    return _Caller(named=name, identity=False, context=outside, shown=shown)


def _member(context: Context, access: Access) -> z3.BoolRef:
    return context.string("aws:PrincipalOrgID") == z3.StringVal(access["pull_organization"])


_LAMBDA: Final = "service:lambda.amazonaws.com"


def _own_function(context: Context, access: Access) -> z3.BoolRef:
    place = f"{access['partition']}:lambda:{access['region']}:{access['account_id']}"
    functions = iam_pattern_to_re(f"arn:{place}:function:*")
    return z3.InRe(context.string("aws:SourceArn"), functions)


def _listed_kept_out(repository: _Repository, access: Access) -> _Breaches:
    for account_id in access["pull_accounts"]:
        yield from _found(repository.find(_account(account_id, access), PULL, denied=True))
    if access["pull_organization"]:
        member = _Caller(
            named="a member of the organization",
            identity=False,
            context=lambda context: _member(context, access),
            shown="a member of the organization",
        )
        yield from _found(repository.find(member, PULL, denied=True))
    if access["lambda_pull"]:
        functions = _Caller(
            named=_LAMBDA,
            identity=False,
            context=lambda context: _own_function(context, access),
            shown=_LAMBDA,
        )
        yield from _found(repository.find(functions, PULL, denied=True))


def _found(counterexample: Counterexample | None) -> _Breaches:
    if counterexample is not None:
        yield counterexample


_CLAIMS: Final[dict[str, Callable[[_Repository, Access], _Breaches]]] = {
    "Nobody but the pipeline roles can move a tag, by ECR calls on a repository (replication is "
    "not covered)": _moved_by_others,
    "Nobody but the administrator roles can delete an image or change the guard, by ECR calls on a "
    "repository (lifecycle expiry is not covered)": _administered_by_others,
    "No principal can do both, in one state of the guard": _both,
    "Every pipeline role can push, pull and move tags": _pipeline_kept_out,
    "Every administrator role that its own policies allow it can delete images and change the "
    "guard (no lock-out)": _administrators_locked_out,
    "Accounts, organizations and services that are not listed can make no call on a repository, "
    "and those that are listed none but a pull": _strangers_let_in,
    "Accounts, organizations and services that are listed can pull, as far as they allow their own "
    "principals": _listed_kept_out,
}


# --- The access table -----------------------------------------------------------------------------


def table(groups: Sequence[Repositories]) -> list[Row]:
    """What each principal that the settings name can do, and the root, and anybody else."""
    access = groups[0].access
    root = _root(access["account_id"], access)
    callers = {
        arn: _role(arn, access)
        for arn in (*access["pipeline_roles"], *access["administrator_roles"])
    }
    callers |= {_root(it, access): _account(it, access) for it in access["pull_accounts"]}
    callers[root] = _role(root, access)
    callers["anybody else in the account"] = _account(access["account_id"], access, identity=True)
    repositories = []
    for group in groups:
        with suppress(NotModelledError):  # then no claim is proved, and the table is of the others
            repositories.append(_parsed(group))
    if not repositories:
        return []
    return [_row(principal, caller, repositories) for principal, caller in callers.items()]


def _row(principal: str, caller: _Caller, repositories: Sequence[_Repository]) -> Row:
    def can(*needed: Sequence[str]) -> bool:
        return any(all(it.allows(caller, step) for step in needed) for it in repositories)

    return Row(
        principal=principal,
        pull=can(*([action] for action in PULL)),
        move_tags=can(MOVE_TAGS),
        delete_images=can(DELETE_IMAGES),
        change_guard=can(CHANGE_GUARD),
    )
