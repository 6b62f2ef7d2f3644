"""Who can do what to the repositories: proved over every principal, not tried on a few.

A claim is proved where the solver finds no request that breaks it; the request that it does find is
the counterexample. Of a policy with anything that cannot be told with certainty, nothing is proved.

A principal has two sides. The Principal element of a policy names it by its ARN or its account's;
conditions see `aws:PrincipalArn`. The first goes by cases; the second is left free, so that one
question is about everybody of a case.

The organization's policies count where they are given, and only there.
"""

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from itertools import product
from typing import Any, Final

from container_images.access.evaluation import Call, Principal, Request, may, question
from container_images.access.policy import (
    EVERYTHING,
    NO_POLICY,
    PRINCIPAL_ARN,
    SERVICE,
    Condition,
    NotModelledError,
    Policy,
    about,
    account_in,
    is_exact,
    parse,
    policy_of,
)
from container_images.access.solver import Question, witness
from container_images.policies.ecr_actions import ACTIONS
from container_images.policies.invalid_input import InvalidInputError
from container_images.policies.patterns import ANY
from container_images.policies.repository_policy import Access

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
ANYTHING: Final = tuple(f"ecr:{action}" for action in ACTIONS)


class Claim(StrEnum):
    """What is proved of repositories, in the words in which it is printed."""

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


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Whether a claim holds in every repository."""

    claim: str
    proved: bool
    counterexample: Call | None
    """That breaks the claim. None where it is proved, and where a policy is not modelled."""
    not_modelled: str = ""
    """What cannot be told with certainty of a policy."""

    def __str__(self) -> str:
        """For people. The claim begins at the tenth character."""
        if it := self.counterexample:
            return f"FALSE    {self.claim} - counterexample: {it.action} by {it.principal}"
        if self.not_modelled:
            return f"FALSE    {self.claim} - not known. Not modelled: {self.not_modelled}"
        return f"proved   {self.claim}"

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


# --- Callers and questions ------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Repositories of which everything below is the same, or the registry as a whole."""

    arns: tuple[str, ...]
    """The first stands for all. `*` is the registry, as IAM has it for calls about no resource."""
    access: Access
    """Who is meant to have access: the policies are held against this."""
    policy: Policy = NO_POLICY
    """Their own."""
    controls: tuple[Policy, ...] = ()
    """The organization's."""
    not_modelled: str = ""
    """What cannot be told with certainty of the policies: then nothing is asked."""

    @property
    def arn(self) -> str:
        """What stands for all."""
        return self.arns[0]

    def caller(
        self, arn: str, *, named: str = "", account: str = "", but: Iterable[str] = ()
    ) -> Principal:
        """Whoever has an ARN that fits, with every permission that an account can give.

        That is what counts of another account's too: the repository's policy has to allow them what
        they do, whatever their own allow. So only what that says is asked.
        """
        return Principal(
            arn=arn,
            account=account or account_in(arn),
            named=named,
            policies=(EVERYTHING,),
            scps=self.controls,
            is_not=frozenset(but),
        )

    def exactly(self, arn: str) -> Principal:
        """Just this role, user or root."""
        return self.caller(arn, named=arn)

    def all_of(self, account_id: str, but: Iterable[str] = ()) -> Principal:
        """Roles, users and the root of an account, without these."""
        return self.caller(f"{self.iam}{account_id}:*", but=but)

    def without_arn_of(self, account_id: str, but: Iterable[str] = ()) -> Principal:
        """Whoever is of an account and has no ARN of IAM's, without these."""
        return self.caller(ANY, account=account_id, but=[f"{self.iam}*", *but])

    def others_of(self, account_id: str) -> Principal:
        """An account's roles and users, save those that have a line of their own in the table."""
        roles = (*self.access["pipeline_roles"], *self.access["administrator_roles"])
        return self.all_of(account_id, (root(self.access["account_id"], self.access), *roles))

    @property
    def iam(self) -> str:
        """What the ARNs of IAM begin with."""
        return f"arn:{self.access['partition']}:iam::"

    def pipeline(self) -> Iterator[Principal]:
        """The pipeline roles: those of the repository's account without policies of their own.

        To them the repository's policy alone allows what they do.
        """
        for caller in map(self.exactly, self.access["pipeline_roles"]):
            is_own = caller.account == self.access["account_id"]
            yield replace(caller, policies=()) if is_own else caller

    def everybody(self, but: Iterable[str] = ()) -> Iterator[Principal]:
        """Whoever there is, by cases, without these roles.

        A Principal element names exact principals, accounts or everybody. So those whom the policy
        names, the rest of their accounts and of the repository's, and all others are all there are.
        """
        but = frozenset(but)
        named = {name for it in self.policy.statements for name in it.principals} - {ANY}
        arns = {name for name in named if name.startswith("arn:") and not name.endswith(":root")}
        accounts = {account_in(name) for name in named if name.startswith("arn:")}
        accounts |= {self.access["account_id"], *filter(str.isdigit, named)}
        yield from map(self.exactly, sorted(arns - but))
        for account_id in sorted(accounts):
            yield self.all_of(account_id, arns | but)
            yield self.without_arn_of(account_id, but)
        for name in sorted(named):
            if not name.startswith("arn:") and not name.isdigit():
                # That a service has no ARN of its own is documented nowhere.
                yield self.caller(ANY, named=name, but=but)
        yield self.caller(ANY, but=but.union(f"{self.iam}{it}:*" for it in accounts))

    def allowed(self, callers: Iterable[Principal], *actions: Sequence[str]) -> "Breaches":
        """Requests by each of the callers, one for an action of each of these, that are allowed."""
        return (self.find(it, *actions) for it in callers)

    def denied(self, callers: Iterable[Principal], actions: Sequence[str]) -> "Breaches":
        """Requests by each of the callers that are denied."""
        return (self.find(it, actions, denied=True) for it in callers)

    def find(self, caller: Principal, *actions: Sequence[str], denied: bool = False) -> Call | None:
        """Requests by the caller, one for an action of each of these, allowed or else denied.

        All that they share is the principal. The last one is told. None where there are none.
        """
        tried: set[tuple[Question, ...]] = set()
        for some in product(*actions):
            questions = tuple(question(caller, self.request(it)) for it in some)
            if questions in tried:
                continue
            tried.add(questions)
            found = witness(questions, self.iam, caller.account, denied=denied)
            if found is not None:
                name = found if caller.is_pattern else caller.arn
                return Call(
                    principal=caller.named or name or "a caller without an ARN",
                    action=some[-1],
                    resource=self.arn,
                )
        return None

    def request(self, action: str) -> Request:
        """A call about it."""
        account_id = self.access["account_id"]
        return Request(action=action, resource=self.arn, account=account_id, policy=self.policy)


def root(account_id: str, access: Access) -> str:
    """The ARN of an account's root."""
    return f"arn:{access['partition']}:iam::{account_id}:root"


def alike(
    repositories: Iterable[tuple[str, str | None, Access]],
    *,
    resource_control_policy: dict[str, Any] | None = None,
) -> list[Asked]:
    """Repositories by ARN, policy text and intended access, grouped by the last two.

    The organization's resource control policy, where it counts, tells repositories apart by name:
    none then stands for another.
    """
    control = resource_control_policy
    groups: dict[tuple[Any, ...], tuple[str, ...]] = {}
    for arn, text, access in repositories:
        key = (text, json.dumps(access), arn if control is not None else "")
        groups[key] = (*groups.get(key, ()), arn)
    return [
        asked(arns, NO_POLICY if text is None else text, json.loads(access), control)
        for (text, access, _), arns in groups.items()
    ]


def asked(
    arns: tuple[str, ...], policy: Policy | str, access: Access, control: Any = None
) -> Asked:
    """Repositories with this policy, under this resource control policy if there is one."""
    found = Asked(arns=arns, access=access)
    try:
        found = replace(found, policy=policy if isinstance(policy, Policy) else parse(policy))
        certain(found.policy, _REPOSITORY_POLICY)
        controls = () if control is None else (control_policy(control, "Principal"),)
        return replace(found, controls=controls)
    except (NotModelledError, InvalidInputError) as error:
        return replace(found, not_modelled=str(error))


def control_policy(document: Mapping[str, Any], *more: str) -> Policy:
    """One of the organization's policies, beside the full access that AWS attaches with it.

    Raises NotModelledError where it says anything that cannot be told with certainty, and
    InvalidInputError where it is no policy.
    """
    needed = {"Effect", "Action", "Resource", *more}
    policy = parse(document)
    for statement in policy.statements:
        if missing := needed - statement.elements:
            raise NotModelledError(f"statement without {', '.join(sorted(missing))}")
        # AWS takes no other Principal here, and none is asked for.
        if more and statement.principals != (ANY,):
            raise NotModelledError(f"Principal {', '.join(statement.principals)}")
    policy = certain(policy, {*needed, "Condition"})
    return policy_of((*EVERYTHING.statements, *policy.statements))


_REPOSITORY_POLICY: Final = {"Effect", "Principal", "Action", "NotAction", "Condition"}
"""Its elements. Without Resource, which a repository policy does not need: an answer for one
repository is to hold for all that have the same policy."""


def certain(policy: Policy, elements: Container[str]) -> Policy:
    """The policy, if it has these elements only, and all of it is read by the solver as by IAM.

    The solver knows no absent key: a free variable stands for each, and its empty value for the
    absence. That is right as long as no value of a condition matches the empty string. Raises
    NotModelledError with the first thing that evaluation would have to widen.
    """
    for statement in policy.statements:
        if unknown := sorted(it for it in statement.elements if it not in elements):
            raise NotModelledError(", ".join(unknown))
        for name in statement.principals:
            if ":sts:" in name:
                # Of a session, aws:PrincipalArn is its role's.
                raise NotModelledError(f"Principal {name}")
        for resource in statement.resources:
            if "${" in resource:
                raise NotModelledError(f"Resource {resource}")
        for operator, key, values in statement.conditions:
            if operator not in _EXACT or not all(it.strip(ANY) and "${" not in it for it in values):
                raise NotModelledError(f"{operator} {key} {', '.join(values)}")
    return policy


_EXACT: Final = {
    f"{kind}{negation}{comparison}"
    for kind in ("String", "Arn")
    for negation in ("", "Not")
    for comparison in ("Equals", "Like")
}
"""Operators that the solver reads as IAM does."""


def guarded(arn: str, policy: Policy) -> Asked:
    """A repository that is meant for those alone whom its policy's Denies exempt."""
    _, partition, _, region, account_id, _ = arn.split(":", maxsplit=5)
    access = Access(
        partition=partition,
        account_id=account_id,
        region=region,
        pipeline_roles=_exempted(policy, "ecr:PutImage"),
        administrator_roles=_exempted(policy, "ecr:SetRepositoryPolicy"),
        pull_accounts=[],
        pull_organization="",
        lambda_pull=False,
    )
    return asked((arn,), policy, access)


def _exempted(policy: Policy, action: str) -> list[str]:
    """The roles and users that the Denies of an action leave out, one by one."""
    return sorted(
        {
            value
            for statement in about(policy, action)
            if not statement.allows
            for operator, key, values in statement.conditions
            if key == PRINCIPAL_ARN and "Not" in operator
            for value in values
            if is_exact(value)
        }
    )


# --- One principal --------------------------------------------------------------------------------


def permits(policy: Policy, repository_arn: str, principal: str | None, action: str) -> bool:
    """Whether a repository policy leaves it to a principal's own policies to allow it a call.

    It does where it denies it no such request, whatever else the request says, and, to a principal
    of another account, allows each. `principal` is the caller's aws:PrincipalArn; None is a caller
    without one, such as a service of AWS, of which only what is denied is known.

    Raises NotModelledError where that cannot be told, and so never takes a Deny that it does not
    know for none.
    """
    one = guarded(repository_arn, policy)
    if one.not_modelled:
        raise NotModelledError(one.not_modelled)
    return one.find(one.exactly(principal or ""), [action], denied=True) is None


# --- Claims ---------------------------------------------------------------------------------------


Breaches = Iterator[Call | None]
"""None where one of the ways to break a claim is none."""


def prove(repositories: Sequence[Asked], claims: Iterable[Claim] = Claim) -> list[Proof]:
    """Hold each claim, or these alone, against every repository."""
    not_modelled = next((it.not_modelled for it in repositories if it.not_modelled), "")
    known = [it for it in repositories if not it.not_modelled]
    return [
        proof(claim, (it for one in known for it in _BREACHES[claim](one)), not_modelled)
        for claim in claims
    ]


def proof(claim: str, breaches: Breaches, not_modelled: str = "") -> Proof:
    """A claim that nothing breaks is proved, as long as everything is modelled."""
    try:
        found = next(filter(None, breaches), None)
    except NotModelledError as error:
        found, not_modelled = None, str(error)
    not_modelled = "" if found else not_modelled
    proved = not (found or not_modelled)
    return Proof(claim=claim, proved=proved, counterexample=found, not_modelled=not_modelled)


def _strangers_let_in(asked: Asked) -> Breaches:
    """Outsiders that can make a call they are not to make: save the pipeline roles."""
    access = asked.access
    more_than_pull = [action for action in ANYTHING if action not in MAY_PULL]
    for outsider in asked.everybody(but=access["pipeline_roles"]):
        if outsider.account == access["account_id"]:
            continue
        yield asked.find(outsider, more_than_pull)
        if outsider.account not in access["pull_accounts"]:
            unlisted = []
            if access["pull_organization"]:
                unlisted.append(_organization(access, "StringNotEquals"))
            if access["lambda_pull"] and outsider.named == _LAMBDA:
                unlisted.append(_own_functions(access, "StringNotLike"))
            yield asked.find(replace(outsider, where=tuple(unlisted)), ANYTHING)


def _listed(asked: Asked) -> Iterator[Principal]:
    """Those of other accounts, of the organization and of Lambda that are to pull."""
    access = asked.access
    yield from map(asked.others_of, access["pull_accounts"])
    if access["pull_organization"]:
        member = asked.caller(ANY, named="a member of the organization")
        yield replace(member, where=(_organization(access, "StringEquals"),))
    if access["lambda_pull"]:
        function = asked.caller(ANY, named=_LAMBDA)
        yield replace(function, where=(_own_functions(access, "StringLike"),))


def _organization(access: Access, operator: str) -> Condition:
    return Condition(operator, "aws:principalorgid", (access["pull_organization"],))


_LAMBDA: Final = f"{SERVICE}lambda.amazonaws.com"


def _own_functions(access: Access, operator: str) -> Condition:
    place = f"{access['partition']}:lambda:{access['region']}:{access['account_id']}"
    return Condition(operator, "aws:sourcearn", (f"arn:{place}:function:*",))


_BREACHES: Final[dict[Claim, Callable[[Asked], Breaches]]] = {
    Claim.MOVED: lambda it: it.allowed(it.everybody(but=it.access["pipeline_roles"]), MOVE_TAGS),
    Claim.ADMINISTERED: lambda it: it.allowed(
        it.everybody(but=it.access["administrator_roles"]), ADMINISTER
    ),
    Claim.BOTH: lambda it: it.allowed(it.everybody(), MOVE_TAGS, ADMINISTER),
    Claim.PUSHED: lambda it: it.denied(it.pipeline(), (*MAY_PULL, *PUSH)),
    Claim.LOCKED_OUT: lambda it: it.denied(
        map(it.exactly, it.access["administrator_roles"]), ADMINISTER
    ),
    Claim.STRANGERS: _strangers_let_in,
    Claim.LISTED: lambda it: it.denied(_listed(it), PULL),
}
"""How each claim is broken: by whom, with which calls, allowed or denied."""


# --- The access table -----------------------------------------------------------------------------


def table(repositories: Sequence[Asked]) -> list[Row]:
    """What each principal that the settings name can do, and the root, and anybody else."""
    known = [it for it in repositories if not it.not_modelled]  # or else no claim is proved
    if not known:
        return []
    access = repositories[0].access
    own = access["account_id"]

    def callers(it: Asked) -> dict[str, Principal]:
        listed = (*access["pipeline_roles"], *access["administrator_roles"])
        return {
            **{arn: it.exactly(arn) for arn in listed},
            **{root(one, access): it.others_of(one) for one in access["pull_accounts"]},
            root(own, access): it.exactly(root(own, access)),
            "anybody else in the account": it.others_of(own),
        }

    everybody = [(it, callers(it)) for it in known]

    def can(name: str, *needed: Sequence[str]) -> bool:
        return any(
            all(any(may(who[name], it.request(action)) for action in step) for step in needed)
            for it, who in everybody
        )

    return [
        Row(
            principal=name,
            pull=can(name, *([action] for action in PULL)),
            move_tags=can(name, MOVE_TAGS),
            delete_images=can(name, DELETE_IMAGES),
            change_guard=can(name, CHANGE_GUARD),
        )
        for name in everybody[0][1]
    ]
