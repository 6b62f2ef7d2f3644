"""Who can do what to the repositories: proved over every principal, not tried on a few.

The evaluator is iamprover, which states IAM's rules to the solver Z3. A claim is proved where the
solver finds no request that breaks it; the request that it does find is the counterexample.

A principal has two sides. The Principal element of a policy names it by its ARN or its account's;
conditions see `aws:PrincipalArn`. The first goes by cases; the second is left free, so that one
question is about everybody of a case.

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

from policies.ecr_actions import ACTIONS
from policies.repository_policy import Access

# What the claims are about is written out here, and not taken from policies/ecr_actions.py: the
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


_Condition = Callable[[Context], z3.BoolRef]


@dataclass(frozen=True, kw_only=True)
class _Caller:
    """A set of principals that are alike but for what their requests' context says."""

    names: frozenset[str]
    """All by which a Principal element may name them."""
    identity: bool
    """Whether their own policies allow them everything, or nothing. Nothing is what counts for
    another account's: whatever it allows them, the repository's policy has to allow them too."""
    context: _Condition
    account_id: str = ""
    """Of none in particular where empty."""
    shown: str = ""
    """Whom a counterexample names. Otherwise the aws:PrincipalArn that the solver found."""

    def where(self, condition: _Condition) -> "_Caller":
        """Those of them whose requests meet a condition too."""
        return replace(self, context=lambda it: z3.And(self.context(it), condition(it)))

    def but(self, arns: Iterable[str]) -> "_Caller":
        """Them without these."""
        others = [z3.StringVal(arn) for arn in arns]
        return self.where(lambda it: z3.And(*(_arn(it) != arn for arn in others)))


_EVERYTHING: Final = parse_policy_document(
    "everything", {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
)


def _account(account_id: str, access: Access) -> _Caller:
    """Whoever is of an account: with its IAM in the ARN, or nobody's, or without an ARN."""
    # As one expression: of several the solver makes more work.
    own, every = (iam_pattern_to_re(f"{_iam(access, it)}*") for it in (account_id, ""))
    arn = z3.Union(own, z3.Complement(every))
    return _Caller(
        names=frozenset({"*", account_id, _root(account_id, access)}),
        identity=account_id == access["account_id"],
        context=lambda it: z3.InRe(_arn(it), arn),
        account_id=account_id,
    )


def _principal(arn: str, access: Access) -> _Caller:
    """Just this role, user or root."""
    account = _account(arn.split(":")[4], access)
    only = z3.StringVal(arn)
    return replace(account, names=account.names | {arn}, context=lambda it: _arn(it) == only)


def _others_of(account_id: str, access: Access) -> _Caller:
    """An account's roles and users, save those that have a line of their own in the table."""
    own_root = _root(access["account_id"], access)
    lines = (own_root, *access["pipeline_roles"], *access["administrator_roles"])
    iam = _iam(access, account_id)
    return replace(_account(account_id, access), context=lambda it: _begins(it, iam)).but(lines)


def _named(name: str, condition: _Condition) -> _Caller:
    """Whoever is named so, or as one of everybody only, of no account that matters."""
    return _Caller(names=frozenset({"*", name}), identity=False, context=condition, shown=name)


def _arn(context: Context) -> z3.SeqRef:
    return context.string(_PRINCIPAL_ARN)


def _begins(context: Context, text: str) -> z3.BoolRef:
    return z3.PrefixOf(z3.StringVal(text), _arn(context))


def _iam(access: Access, account_id: str = "") -> str:
    return f"arn:{access['partition']}:iam::" + (account_id and f"{account_id}:")


def _root(account_id: str, access: Access) -> str:
    return f"{_iam(access, account_id)}root"


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

    def everybody(self) -> Iterator[_Caller]:
        """Whoever there is, by cases.

        A Principal element names exact principals, accounts or everybody. So those whom the policy
        names, the rest of their accounts and of the repository's, and all others are all there are.
        """
        named = {name for it in self.policy.statements for name in it.principals} - {"*"}
        arns = {name for name in named if name.startswith("arn:") and not name.endswith(":root")}
        accounts = {name.split(":")[4] for name in named if name.startswith("arn:")}
        accounts |= {self.access["account_id"], *filter(str.isdigit, named)}
        for arn in sorted(arns):
            yield _principal(arn, self.access)
        for account_id in sorted(accounts):
            yield _account(account_id, self.access).but(arns)
        for name in sorted(named):
            if not name.startswith("arn:") and not name.isdigit():
                yield _named(name, lambda _: z3.BoolVal(val=True))
        known = [_iam(self.access, it) for it in accounts]
        yield _named("", lambda it: z3.Not(z3.Or(*(_begins(it, iam) for iam in known))))

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
        about = [it for it in self.policy.statements if not caller.names.isdisjoint(it.principals)]
        # The evaluator has no rule for accounts, and a principal has one name for it. So all that
        # counts for the caller is given to it as the caller's own.
        policies = [Policy("repository", about), *([_EVERYTHING] if caller.identity else [])]
        # It tells service control policies from resource control policies by what they fail to
        # allow. These fail to allow nothing: they deny.
        principal, resource = Principal(arn="", policies=policies), z3.StringVal(self.arn)
        return allowed(principal, action, resource, context, scps=self.controls)

    def _solution(
        self, solver: z3.Solver, context: Context, action: z3.SeqRef, caller: _Caller
    ) -> Counterexample | None:
        if not _answered(solver):
            return None
        model = solver.model()
        # The solver takes any string that will do. Where a role's ARN does, say that; but to find
        # that none does can take it minutes.
        solver.set("timeout", 200)  # milliseconds
        iam = _iam(self.access)
        digits, name = z3.Loop(z3.Range("0", "9"), 12, 12), z3.Plus(z3.Range("a", "z"))
        for role in (
            z3.Re(f"{iam}{caller.account_id or '9' * 12}:role/anybody"),
            z3.Concat(z3.Re(iam), digits, z3.Re(":role/"), name),
        ):
            if solver.check(z3.InRe(_arn(context), role)) == z3.sat:
                model = solver.model()
                break
        principal = model.eval(_arn(context), model_completion=True).as_string()
        found = model.eval(action, model_completion=True).as_string()
        return Counterexample(
            principal=caller.shown or principal or "a caller without an ARN",
            action=_SPELLING[found],
            resource=self.arn,
        )


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
    own = {group.access["account_id"], _root(group.access["account_id"], group.access)}
    for it in policy.statements:
        # A session, whose aws:PrincipalArn is its role's.
        if sessions := [name for name in it.principals if ":sts:" in name]:
            raise NotModelledError(f"Principal {sessions[0]}")
        if it.effect == "Allow":
            # To its own account, it leaves it to policies that are presumed to allow everything.
            it.principals = [name for name in it.principals if name not in own]
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
    caller = _WITHOUT_ARN if principal is None else _principal(principal, access)
    return repository.find(caller, [action], denied=True) is None


_WITHOUT_ARN: Final = replace(_named("", lambda it: _arn(it) == z3.StringVal("")), identity=True)


# --- Claims ---------------------------------------------------------------------------------------


_Breaches = Iterator[Counterexample | None]
"""None where one of the ways to break a claim is none."""


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
        found = next(filter(None, breaches), None)
    except NotModelledError as error:
        beyond = str(error)
    if found:
        return Proof(claim=claim, proved=False, counterexample=found)
    return Proof(claim=claim, proved=not beyond, counterexample=None, beyond=beyond)


def _by_others(repository: _Resource, roles: Sequence[str], actions: Sequence[str]) -> _Breaches:
    for anybody in repository.everybody():
        yield repository.find(anybody.but(roles), actions)


def _both(repository: _Resource, _: Access) -> _Breaches:
    for anybody in repository.everybody():
        yield repository.find_both(anybody, MOVE_TAGS, ADMINISTER)


def _pipeline_kept_out(repository: _Resource, access: Access) -> _Breaches:
    needed = (*MAY_PULL, *PUSH)
    for arn in access["pipeline_roles"]:
        # The repository's policy alone allows it, whatever the role's own say.
        caller = replace(_principal(arn, access), identity=False)
        yield repository.find(caller, needed, denied=True)


def _administrators_locked_out(repository: _Resource, access: Access) -> _Breaches:
    for arn in access["administrator_roles"]:
        yield repository.find(_principal(arn, access), ADMINISTER, denied=True)


def _strangers_let_in(repository: _Resource, access: Access) -> _Breaches:
    """Outsiders that can make a call they are not to make: save the pipeline roles."""
    more_than_pull = [action for action in ANYTHING if action not in MAY_PULL]
    for anybody in repository.everybody():
        if anybody.account_id == access["account_id"]:
            continue
        outsider = anybody.but(access["pipeline_roles"])
        yield repository.find(outsider, more_than_pull)
        if outsider.account_id in access["pull_accounts"]:
            continue
        if access["pull_organization"]:
            outsider = outsider.where(lambda it: z3.Not(_member(it, access)))
        if access["lambda_pull"] and _LAMBDA in outsider.names:
            outsider = outsider.where(lambda it: z3.Not(_own_function(it, access)))
        yield repository.find(outsider, ANYTHING)


def _member(context: Context, access: Access) -> z3.BoolRef:
    return context.string("aws:PrincipalOrgID") == z3.StringVal(access["pull_organization"])


_LAMBDA: Final = "service:lambda.amazonaws.com"


def _own_function(context: Context, access: Access) -> z3.BoolRef:
    place = f"{access['partition']}:lambda:{access['region']}:{access['account_id']}"
    functions = iam_pattern_to_re(f"arn:{place}:function:*")
    return z3.InRe(context.string("aws:SourceArn"), functions)


def _listed_kept_out(repository: _Resource, access: Access) -> _Breaches:
    listed = [_others_of(account_id, access) for account_id in access["pull_accounts"]]
    if access["pull_organization"]:
        listed.append(_named("a member of the organization", lambda it: _member(it, access)))
    if access["lambda_pull"]:
        listed.append(_named(_LAMBDA, lambda it: _own_function(it, access)))
    for caller in listed:
        yield repository.find(caller, PULL, denied=True)


_BREACHES: Final[dict[Claim, Callable[[_Resource, Access], _Breaches]]] = {
    Claim.MOVED: lambda it, access: _by_others(it, access["pipeline_roles"], MOVE_TAGS),
    Claim.ADMINISTERED: lambda it, access: _by_others(
        it, access["administrator_roles"], ADMINISTER
    ),
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
    anybody = _account(access["account_id"], access)
    anybody_else = anybody.but(administrators)
    breaches = {
        RegistryClaim.CHANGED: (it.find(anybody_else, change) for it, change in changes),
        RegistryClaim.LOCKED_OUT: (
            it.find(_principal(arn, access), change, denied=True)
            for arn in administrators
            for it, change in changes
        ),
        RegistryClaim.KEPT_OUT: (
            it.find(anybody, others, denied=True) for it in (registry, *guarded)
        ),
    }
    return [_proof(claim, found, "") for claim, found in breaches.items()]


# --- The access table -----------------------------------------------------------------------------


def table(groups: Sequence[Repositories]) -> list[Row]:
    """What each principal that the settings name can do, and the root, and anybody else."""
    access = groups[0].access
    root = _root(access["account_id"], access)
    callers = {
        arn: _principal(arn, access)
        for arn in (*access["pipeline_roles"], *access["administrator_roles"])
    }
    callers |= {_root(it, access): _others_of(it, access) for it in access["pull_accounts"]}
    callers[root] = _principal(root, access)
    callers["anybody else in the account"] = _others_of(access["account_id"], access)
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
