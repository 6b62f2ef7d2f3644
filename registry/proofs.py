"""Who can do what to the repositories: proved over every principal, not tried on a few.

The evaluator is iamprover, which states IAM's rules to the solver Z3. A claim is proved where the
solver finds no request that breaks it; the request that it does find is the counterexample.

A principal has two sides. The Principal element of a policy names it by its ARN or its account's;
conditions see `aws:PrincipalArn`. The second is left free, so that one question is about everybody.

The organization's policies count where they are given, and only there.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
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
CREATE_REPOSITORY: Final = ("ecr:CreateRepository",)
CHANGE_REGISTRY: Final = (
    "ecr:PutRegistryPolicy",
    "ecr:DeleteRegistryPolicy",
    "ecr:PutReplicationConfiguration",
    "ecr:StartReplicationBackfill",
    "ecr:StopReplicationBackfill",
    "ecr:CreatePullThroughCacheRule",
    "ecr:UpdatePullThroughCacheRule",
    "ecr:DeletePullThroughCacheRule",
    "ecr:CreateRepositoryCreationTemplate",
    "ecr:UpdateRepositoryCreationTemplate",
    "ecr:DeleteRepositoryCreationTemplate",
    "ecr:PutAccountSetting",
    "ecr:PutSigningConfiguration",
    "ecr:DeleteSigningConfiguration",
    "ecr:PutRegistryScanningConfiguration",
    "ecr:RegisterPullTimeUpdateExclusion",
    "ecr:DeregisterPullTimeUpdateExclusion",
)
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
    resource_control_policy: dict[str, Any] | None = None
    """The organization's, if it counts. It tells repositories apart by name: none then stands for
    another."""


def alike(
    repositories: Iterable[tuple[str, str | None, Access]],
    *,
    resource_control_policy: dict[str, Any] | None = None,
) -> list[Repositories]:
    """Repositories by ARN, policy text and intended access, grouped by the last two.

    What is proved of them is proved under the resource control policy, where one is given.
    """
    alike: dict[str, list[str]] = {}
    for arn, text, access in repositories:
        alike.setdefault(json.dumps([text, access]), []).append(arn)
    groups = []
    for key, arns in alike.items():
        text, access = json.loads(key)
        policy = json.loads(text) if text else {"Statement": []}
        groups.append(
            Repositories(
                arns=tuple(arns),
                policy=policy,
                access=access,
                resource_control_policy=resource_control_policy,
            )
        )
    return groups


class Claim(StrEnum):
    """What is proved of repositories, in the words in which it is told."""

    MOVED = (
        "Nobody but the pipeline roles can move a tag, by ECR calls on a repository (replication "
        "is not covered)"
    )
    ADMINISTERED = (
        "Nobody but the administrator roles can delete an image or change the guard, by ECR calls "
        "on a repository (lifecycle expiry is not covered)"
    )
    BOTH = "No principal can do both, in one state of the guard"
    PUSHED = "Every pipeline role can push, pull and move tags"
    LOCKED_OUT = (
        "Every administrator role that its own policies allow it can delete images and change the "
        "guard (no lock-out)"
    )
    STRANGERS = (
        "Accounts, organizations and services that are not listed can make no call on a "
        "repository, and those that are listed none but a pull"
    )
    LISTED = (
        "Accounts, organizations and services that are listed can pull, as far as they allow their "
        "own principals"
    )


class RegistryClaim(StrEnum):
    """What is proved of an account's registry under a service control policy."""

    CHANGED = (
        "Nobody in the account but the administrator roles can change the registry, or make a "
        "guarded repository anew (service-linked roles are not covered)"
    )
    LOCKED_OUT = "Every administrator role that its own policies allow it can do both (no lock-out)"
    KEPT_OUT = (
        "Nobody in the account is denied any other ECR call on the registry or a guarded repository"
    )


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

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "claim": self.claim,
            "proved": self.proved,
            "counterexample": self.counterexample and asdict(self.counterexample),
        }


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
    account_id: str = "999999999999"
    """The account whose role a counterexample names, where any role will do."""

    def principal(self) -> Principal:
        return Principal(arn=self.named, policies=[_EVERYTHING] if self.identity else [])


_EVERYTHING: Final = parse_policy_document(
    "everything", {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
)


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


@dataclass(frozen=True, kw_only=True)
class _Resource:
    """What a call is about, ready to be asked about: a repository, or the registry as a whole."""

    arn: str
    """`*` for the registry, as IAM has it for calls about no resource of their own."""
    access: Access
    policy: Policy
    """Its own."""
    controls: Sequence[Policy]
    """The organization's."""

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
        # The evaluator tells service control policies from resource control policies by what they
        # fail to allow. These fail to allow nothing: they deny.
        return allowed(
            caller.principal(), action, resource, context, [self.policy], scps=self.controls
        )

    def _solution(
        self, solver: z3.Solver, context: Context, action: z3.SeqRef, caller: _Caller
    ) -> Counterexample | None:
        if not _answered(solver):
            return None
        model = solver.model()
        # The solver takes any string that will do. Where a role's ARN does, say that.
        iam = f"arn:{self.access['partition']}:iam::"
        for account in (z3.Re(caller.account_id), z3.Loop(z3.Range("0", "9"), 12, 12)):
            role = z3.Concat(z3.Re(iam), account, z3.Re(":role/"), _NAME)
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


def _read(groups: Iterable[Repositories]) -> tuple[list[_Resource], str]:
    """The repositories to ask about, and what is beyond the evaluator in the others."""
    read: list[_Resource] = []
    beyond = ""
    for group in groups:
        try:
            read += _parsed(group)
        except NotModelledError as error:
            beyond = beyond or str(error)
    return read, beyond


def _parsed(group: Repositories) -> list[_Resource]:
    """Those of the repositories that have to be asked about."""
    policy = _policy(group.policy, _REPOSITORY_POLICY)
    for it in policy.statements:
        # IAM reads a bare account id as that account's root; the evaluator does not.
        it.principals = [
            _root(name, group.access) if name.isdigit() else name for name in it.principals
        ]
    arns, controls = group.arns[:1], []
    if group.resource_control_policy is not None:
        arns, controls = group.arns, [_control_policy(group.resource_control_policy, "Principal")]
    return [
        _Resource(arn=arn, access=group.access, policy=policy, controls=controls) for arn in arns
    ]


def _control_policy(document: Mapping[str, Any], *more: str) -> Policy:
    """One of the organization's policies, beside the full access that AWS attaches with it.

    Without that, the evaluator takes a policy that only denies to deny everything, and whatever
    nobody is to do is proved.
    """
    needed = {"Effect", "Action", "Resource", *more}
    for statement in _statements(document):
        if missing := needed - statement.keys():
            raise NotModelledError(f"statement without {', '.join(sorted(missing))}")
        # The evaluator heeds no Principal here, and AWS takes no other.
        if statement.get("Principal", "*") != "*":
            raise NotModelledError(f"Principal {statement['Principal']}")
        # It takes a variable to be anything, which for a Deny is too much.
        if "${" in json.dumps(statement["Resource"]):
            raise NotModelledError(f"Resource {statement['Resource']}")
    policy = _policy(document, {*needed, "Sid", "Condition"})
    return Policy(policy.name, [*_EVERYTHING.statements, *policy.statements])


def _policy(document: Mapping[str, Any], elements: Iterable[str]) -> Policy:
    """A policy in the evaluator's terms. Raises NotModelledError where they do not say it all."""
    for statement in _statements(document):
        if unknown := statement.keys() - elements:
            raise NotModelledError(", ".join(sorted(unknown)))
        if (effect := statement.get("Effect")) not in ("Allow", "Deny"):
            raise NotModelledError(f"Effect {effect}")
        for operator, keys in statement.get("Condition", {}).items():
            for key, value in keys.items():
                _refuse_unknown(operator, key, value)
    return parse_policy_document("policy", document)


def _statements(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    statements = document.get("Statement", [])
    return statements if isinstance(statements, list) else [statements]


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


_REPOSITORY_POLICY: Final = {"Sid", "Effect", "Principal", "Action", "NotAction", "Condition"}
"""Its elements. Without Resource, which a repository policy does not need: an answer for one
repository is to hold for all that have the same policy."""

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
    [repository] = _parsed(Repositories(arns=(repository_arn,), policy=policy, access=access))
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


_Breaches = Iterator[Counterexample]


def prove(groups: Sequence[Repositories], claims: Iterable[Claim] = Claim) -> list[Proof]:
    """Hold each claim, or these alone, against every repository."""
    repositories, beyond = _read(groups)
    return [
        _proof(
            claim, (it for one in repositories for it in _BREACHES[claim](one, one.access)), beyond
        )
        for claim in claims
    ]


def _proof(claim: str, breaches: _Breaches, beyond: str) -> Proof:
    """A claim that nothing breaks is proved, as long as nothing was beyond the evaluator."""
    found = None
    try:
        found = next(breaches, None)
    except NotModelledError as error:
        beyond = str(error)
    if found:
        return Proof(claim=claim, proved=False, counterexample=found)
    return Proof(claim=claim, proved=not beyond, counterexample=None, beyond=beyond)


def _moved_by_others(repository: _Resource, access: Access) -> _Breaches:
    others = _anybody_but(access["pipeline_roles"])
    yield from _found(repository.find(others, MOVE_TAGS))


def _administered_by_others(repository: _Resource, access: Access) -> _Breaches:
    others = _anybody_but(access["administrator_roles"])
    yield from _found(repository.find(others, ADMINISTER))


def _both(repository: _Resource, _: Access) -> _Breaches:
    anybody = _anybody_but([])
    yield from _found(repository.find_both(anybody, MOVE_TAGS, ADMINISTER))


def _pipeline_kept_out(repository: _Resource, access: Access) -> _Breaches:
    needed = (*MAY_PULL, *PUSH)
    for arn in access["pipeline_roles"]:
        # The repository's policy alone allows it, whatever the role's own say.
        caller = replace(_role(arn, access), identity=False)
        yield from _found(repository.find(caller, needed, denied=True))


def _administrators_locked_out(repository: _Resource, access: Access) -> _Breaches:
    for arn in access["administrator_roles"]:
        caller = _role(arn, access)
        yield from _found(repository.find(caller, ADMINISTER, denied=True))


def _strangers_let_in(repository: _Resource, access: Access) -> _Breaches:
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


def _listed_kept_out(repository: _Resource, access: Access) -> _Breaches:
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


_BREACHES: Final[dict[Claim, Callable[[_Resource, Access], _Breaches]]] = {
    Claim.MOVED: _moved_by_others,
    Claim.ADMINISTERED: _administered_by_others,
    Claim.BOTH: _both,
    Claim.PUSHED: _pipeline_kept_out,
    Claim.LOCKED_OUT: _administrators_locked_out,
    Claim.STRANGERS: _strangers_let_in,
    Claim.LISTED: _listed_kept_out,
}
"""How each claim is broken."""


def prove_registry(
    service_control_policy: Mapping[str, Any], access: Access, arns: Iterable[str]
) -> list[Proof]:
    """Hold each claim about the registry against an account with this service control policy.

    `arns` are those of the repositories that are guarded.
    """
    try:
        controls = [_control_policy(service_control_policy)]
    except NotModelledError as error:
        return [_proof(claim, iter(()), str(error)) for claim in RegistryClaim]
    policy = Policy("none", [])
    registry = _Resource(arn="*", access=access, policy=policy, controls=controls)
    guarded = [replace(registry, arn=arn) for arn in arns]
    changes = [(registry, CHANGE_REGISTRY), *((it, CREATE_REPOSITORY) for it in guarded)]
    others = [it for it in ANYTHING if it not in (*CHANGE_REGISTRY, *CREATE_REPOSITORY)]

    administrators = access["administrator_roles"]
    anybody = replace(_anybody_but([]), account_id=access["account_id"])
    anybody_else = replace(_anybody_but(administrators), account_id=access["account_id"])
    breaches = {
        RegistryClaim.CHANGED: (it.find(anybody_else, change) for it, change in changes),
        RegistryClaim.LOCKED_OUT: (
            it.find(_role(arn, access), change, denied=True)
            for arn in administrators
            for it, change in changes
        ),
        RegistryClaim.KEPT_OUT: (
            it.find(anybody, others, denied=True) for it in (registry, *guarded)
        ),
    }
    return [_proof(claim, (it for it in found if it), "") for claim, found in breaches.items()]


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
    repositories, _ = _read(groups)  # where one is beyond the evaluator, no claim is proved
    if not repositories:
        return []
    return [_row(principal, caller, repositories) for principal, caller in callers.items()]


def _row(principal: str, caller: _Caller, repositories: Sequence[_Resource]) -> Row:
    def can(*needed: Sequence[str]) -> bool:
        return any(all(it.allows(caller, step) for step in needed) for it in repositories)

    return Row(
        principal=principal,
        pull=can(*([action] for action in PULL)),
        move_tags=can(MOVE_TAGS),
        delete_images=can(DELETE_IMAGES),
        change_guard=can(CHANGE_GUARD),
    )
