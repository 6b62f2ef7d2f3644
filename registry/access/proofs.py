"""Who can do what to the repositories: proved over every principal, not tried on a few.

A claim is proved where the solver finds no request that breaks it; the request that it does find is
the counterexample. Policies are read to refuse: of one with anything that cannot be told with
certainty, nothing is proved.

A principal has two sides. The Principal element of a policy names it by its ARN or its account's;
conditions see `aws:PrincipalArn`. The first goes by cases; the second is left free, so that one
question is about everybody of a case.

The organization's policies count where they are given, and only there.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from itertools import product
from typing import Any, Final

from policies.ecr_actions import ACTIONS
from policies.repository_policy import Access
from registry.access.evaluation import Principal, Request, may, question
from registry.access.policy import (
    ANY,
    EVERYTHING,
    NO_POLICY,
    SERVICE,
    Condition,
    NotModelledError,
    Policy,
    Reading,
    UnreadablePolicyError,
    account_in,
    parse,
)
from registry.access.solver import Question, witness

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
    return [
        Repositories(
            arns=tuple(arns),
            policy=json.loads(text) if text else {"Statement": []},
            access=access,
            resource_control_policy=resource_control_policy,
        )
        for key, arns in alike.items()
        for text, access in [json.loads(key)]
    ]


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
    """None where the claim is proved, and where a policy is not modelled."""
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
    """A repository, or the registry as a whole, and what policies there are about it."""

    arn: str
    """`*` for the registry, as IAM has it for calls about no resource of their own."""
    access: Access
    policy: Policy = NO_POLICY
    """Its own."""
    controls: tuple[Policy, ...] = ()
    """The organization's."""

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

    def find(
        self, caller: Principal, *actions: Sequence[str], denied: bool = False
    ) -> Counterexample | None:
        """Requests by the caller, one for an action of each of these, allowed or else denied.

        All that they share is the principal. The last one is told. None where there are none.
        """
        tried: set[tuple[Question, ...]] = set()
        for some in product(*actions):
            asked = tuple(question(caller, self.request(it)) for it in some)
            if asked in tried:
                continue
            tried.add(asked)
            found = witness(asked, self.iam, caller.account, denied=denied)
            if found is not None:
                name = found if caller.is_pattern else caller.arn
                return Counterexample(
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


def _read(groups: Iterable[Repositories]) -> tuple[list[Asked], str]:
    """The repositories to ask about, and what is not modelled of the others."""
    read: list[Asked] = []
    not_modelled = ""
    for group in groups:
        try:
            read += _parsed(group)
        except NotModelledError as error:
            not_modelled = not_modelled or str(error)
    return read, not_modelled


def _parsed(group: Repositories) -> list[Asked]:
    """Those of the repositories that have to be asked about."""
    policy = _policy(group.policy, _REPOSITORY_POLICY)
    asked = Asked(arn=group.arns[0], access=group.access, policy=policy)
    if group.resource_control_policy is None:
        return [asked]
    controls = (control_policy(group.resource_control_policy, "Principal"),)
    return [replace(asked, arn=arn, controls=controls) for arn in group.arns]


def control_policy(document: Mapping[str, Any], *more: str) -> Policy:
    """One of the organization's policies, beside the full access that AWS attaches with it.

    Raises NotModelledError where it says anything that cannot be told with certainty.
    """
    needed = {"Effect", "Action", "Resource", *more}
    for statement in _statements(document):
        if missing := needed - statement.keys():
            raise NotModelledError(f"statement without {', '.join(sorted(missing))}")
        # AWS takes no other Principal here, and none is asked for.
        if statement.get("Principal", ANY) != ANY:
            raise NotModelledError(f"Principal {statement['Principal']}")
    policy = _policy(document, {*needed, "Sid", "Condition"})
    return Policy((*EVERYTHING.statements, *policy.statements))


def _policy(document: Mapping[str, Any], elements: Iterable[str]) -> Policy:
    """A policy of these elements, of which all is certain. Raises NotModelledError for another."""
    for statement in _statements(document):
        if unknown := statement.keys() - elements:
            raise NotModelledError(", ".join(sorted(unknown)))
    try:
        return parse({"Statement": [], **document}, Reading.REFUSE)
    except UnreadablePolicyError as error:
        raise NotModelledError(str(error)) from None


def _statements(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    statements = document.get("Statement", [])
    return statements if isinstance(statements, list) else [statements]


_REPOSITORY_POLICY: Final = {"Sid", "Effect", "Principal", "Action", "NotAction", "Condition"}
"""Its elements. Without Resource, which a repository policy does not need: an answer for one
repository is to hold for all that have the same policy."""


def access_of(
    arn: str, pipeline_roles: Sequence[str] = (), administrator_roles: Sequence[str] = ()
) -> Access:
    """The access to a repository of these roles alone."""
    _, partition, _, region, account_id, _ = arn.split(":", maxsplit=5)
    return Access(
        partition=partition,
        account_id=account_id,
        region=region,
        pipeline_roles=list(pipeline_roles),
        administrator_roles=list(administrator_roles),
        pull_accounts=[],
        pull_organization="",
        lambda_pull=False,
    )


# --- One principal --------------------------------------------------------------------------------


def permits(
    policy: dict[str, Any], repository_arn: str, principal: str | None, action: str
) -> bool:
    """Whether a repository policy leaves it to a principal's own policies to allow it a call.

    It does where it denies it no such request, whatever else the request says, and, to a principal
    of another account, allows each. `principal` is the caller's aws:PrincipalArn; None is a caller
    without one, such as a service of AWS, of which only what is denied is known.

    Raises NotModelledError where that cannot be told, and so never takes a Deny that it does not
    know for none.
    """
    access = access_of(repository_arn)
    [asked] = _parsed(Repositories(arns=(repository_arn,), policy=policy, access=access))
    return asked.find(asked.exactly(principal or ""), [action], denied=True) is None


# --- Claims ---------------------------------------------------------------------------------------


Breaches = Iterator[Counterexample | None]
"""None where one of the ways to break a claim is none."""


def prove(groups: Sequence[Repositories], claims: Iterable[Claim] = Claim) -> list[Proof]:
    """Hold each claim, or these alone, against every repository."""
    repositories, not_modelled = _read(groups)
    return [
        proof(claim, (it for one in repositories for it in _BREACHES[claim](one)), not_modelled)
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


def table(groups: Sequence[Repositories]) -> list[Row]:
    """What each principal that the settings name can do, and the root, and anybody else."""
    repositories, _ = _read(groups)  # where one is not modelled, no claim is proved
    if not repositories:
        return []
    access, own = groups[0].access, groups[0].access["account_id"]

    def callers(it: Asked) -> dict[str, Principal]:
        listed = (*access["pipeline_roles"], *access["administrator_roles"])
        return {
            **{arn: it.exactly(arn) for arn in listed},
            **{root(one, access): it.others_of(one) for one in access["pull_accounts"]},
            root(own, access): it.exactly(root(own, access)),
            "anybody else in the account": it.others_of(own),
        }

    asked = [(it, callers(it)) for it in repositories]

    def can(name: str, *needed: Sequence[str]) -> bool:
        return any(
            all(any(may(who[name], it.request(action)) for action in step) for step in needed)
            for it, who in asked
        )

    return [
        Row(
            principal=name,
            pull=can(name, *([action] for action in PULL)),
            move_tags=can(name, MOVE_TAGS),
            delete_images=can(name, DELETE_IMAGES),
            change_guard=can(name, CHANGE_GUARD),
        )
        for name in asked[0][1]
    ]
