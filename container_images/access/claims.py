"""Pure: what holds of every principal, whether it exists or not, checked by cases.

A policy tells apart only those whom it names: roles, users, accounts, services, and whoever fits
its patterns. One of each, and one of everybody else, stands for all. Nothing is claimed where a
policy could tell apart more than these, such as by two patterns that overlap.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from typing import Any, Final

from container_images.access.evaluation import Call, Principal, Request, decide
from container_images.access.policy import (
    COLONS_IN_ARN,
    EVERYTHING,
    NO_POLICY,
    PRINCIPAL_ARN,
    SERVICE,
    UNREAD,
    USER_NAME,
    Policy,
    account_in,
    covers,
    is_pattern,
    parse,
    within,
)
from container_images.policies.ecr_actions import ACTIONS
from container_images.policies.exemptions import exempted_roles
from container_images.policies.invalid_input import InvalidInputError
from container_images.policies.patterns import ANY
from container_images.policies.repository_policy import Access, lambda_functions

# What the claims are about is written out here, and not taken from policies/ecr_actions.py: the
# policies are made from that, and would be held against themselves.


def _ecr(names: str) -> tuple[str, ...]:
    return tuple(f"ecr:{name}" for name in names.split())


PULL: Final = _ecr("BatchGetImage GetDownloadUrlForLayer")
"""What it takes to have an image: its manifest and its layers."""
MAY_PULL: Final = (*PULL, *_ecr("BatchCheckLayerAvailability DescribeImages"))
"""All that is granted to those who are to pull."""
MOVE_TAGS: Final = _ecr("PutImage BatchImportUpstreamImage")
PUSH: Final = (*MOVE_TAGS, *_ecr("InitiateLayerUpload UploadLayerPart CompleteLayerUpload"))
DELETE_IMAGES: Final = _ecr("BatchDeleteImage UpdateImageStorageClass")
CHANGE_GUARD: Final = _ecr(
    "SetRepositoryPolicy DeleteRepositoryPolicy PutImageTagMutability PutLifecyclePolicy "
    "DeleteLifecyclePolicy DeleteRepository PutImageScanningConfiguration TagResource UntagResource"
)
ADMINISTER: Final = (*DELETE_IMAGES, *CHANGE_GUARD)
ANYTHING: Final = _ecr(" ".join(ACTIONS))


class Claim(StrEnum):
    """What is checked of repositories, in the words in which it is printed."""

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
        "Every administrator role whose own policies permit it can delete images and change the "
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
    counterexample: Call | None
    """A request that breaks the claim. None where it is proved or cannot be decided."""
    undecided: str = ""
    """What keeps it from being decided: a statement, or what is wrong with a policy."""

    @property
    def proved(self) -> bool:
        """Whether nothing breaks it, and every policy can be read."""
        return not self.failure

    @property
    def failure(self) -> str:
        """For people: the claim, and why it does not hold. Empty where it is proved."""
        if call := self.counterexample:
            breach = f"{call.action} on {call.resource} by {call.principal}"
            return f"{self.claim}: counterexample: {breach}"
        return f"{self.claim}: not decided: {self.undecided}" if self.undecided else ""

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "claim": self.claim,
            "proved": self.proved,
            "counterexample": self.counterexample and self.counterexample._asdict(),
        }


# --- Repositories and callers ---------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Repositories of which the same is claimed."""

    arns: tuple[str, ...]
    """The first stands for all."""
    access: Access
    """Who is meant to have access: the policy is held against this."""
    policy: Policy = NO_POLICY
    errors: str = ""
    """What keeps the policy from being read: then nothing is claimed."""

    @property
    def arn(self) -> str:
        """The repository that stands for all."""
        return self.arns[0]

    @property
    def account(self) -> str:
        """The account that holds the repositories."""
        return self.access["account_id"]

    def iam(self, account_id: str) -> str:
        """What ARNs of an account's roles and users begin with."""
        return f"arn:{self.access['partition']}:iam::{account_id}:"

    def caller(self, arn: str) -> Principal:
        """Whoever has this ARN or fits it, with every permission that an account can give.

        That is what counts of another account's too: the repository's policy has to allow them what
        they do, whatever their own allow. So only what that says is asked.
        """
        named = "" if is_pattern(arn) else arn
        return Principal(arn=arn, account=account_in(arn), named=named, policies=(EVERYTHING,))

    def request(self, action: str) -> Request:
        """A call about the repository."""
        return Request(action=action, resource=self.arn, account=self.account, policy=self.policy)

    def everybody(self) -> Iterator[Principal]:
        """One of each that the policy tells apart, and of everybody else."""
        names = {name for it in self.policy.statements for name in it.principals} - {ANY}
        arns = {*names, *self.policy.compared(PRINCIPAL_ARN), *self.access["pipeline_roles"]}
        accounts = {*names, *map(account_in, arns), *self.policy.compared("aws:principalaccount")}
        accounts |= {*self.access["pull_accounts"], self.account}
        accounts = {it for it in accounts if it.isdigit()}
        accounts.add(next(it for it in _FRESH_ACCOUNTS if it not in accounts))
        for account in sorted(accounts, key=lambda it: (it != self.account, it)):
            iam = self.iam(account)
            arns |= {f"{iam}user/{name}" for name in self.policy.compared(USER_NAME)}
            for kind in (f"{iam}role/*", f"{iam}user/*"):
                narrower = {it for arn in arns if (it := within(arn, kind))}
                yield from map(self.caller, (kind, *sorted(narrower - {kind})))
            yield self.caller(f"{iam}root")
            # Whoever is of the account without an ARN of IAM's, such as a federated user.
            yield self.caller(iam.replace(":iam:", ":sts:") + ANY)
        for name in sorted(names):
            if not name.startswith("arn:") and not name.isdigit():
                yield Principal(arn="", account="", named=name)
        yield Principal(arn="", account="", named="")

    def breach(self, caller: Principal, *actions: Sequence[str]) -> Call | None:
        """Requests by the caller, one for an action of each of these, that may be allowed."""
        last = ""
        for group in actions:
            allowed = (it for it in group if decide(caller, self.request(it)) is not None)
            last = next(allowed, "")
            if not last:
                return None
        return self._call(caller, last)

    def denial(self, caller: Principal, actions: Sequence[str]) -> Call | None:
        """A request by the caller that may be denied."""
        denied = (it for it in actions if decide(caller, self.request(it)) != ())
        return next((self._call(caller, it) for it in denied), None)

    def _call(self, caller: Principal, action: str) -> Call:
        name = caller.named or caller.arn.replace("*", "anybody") or "a caller without an ARN"
        return Call(principal=name, action=action, resource=self.arn)


_FRESH_ACCOUNTS: Final = [digit * 12 for digit in "9876543210"]


def alike(repositories: Iterable[tuple[str, str | None, Access]]) -> list[Subject]:
    """Repositories by ARN, policy text and intended access, grouped by the last two."""
    groups: dict[tuple[Any, ...], tuple[str, ...]] = {}
    for arn, text, access in repositories:
        # A policy that names resources, or has variables, may tell repositories apart.
        apart = any(it in (text or "") for it in ('"Resource"', '"NotResource"', "${"))
        key = (text, json.dumps(access), arn if apart else "")
        groups[key] = (*groups.get(key, ()), arn)
    return [
        _subject(arns, text or _NONE, json.loads(access))
        for (text, access, _), arns in groups.items()
    ]


_NONE: Final = '{"Statement": []}'


def guarded(arn: str, document: Any) -> Subject:
    """A repository that is meant for those alone whom its policy's Denies exempt."""
    _, partition, _, region, account_id, _ = arn.split(":", maxsplit=COLONS_IN_ARN)
    access = Access(
        partition=partition,
        account_id=account_id,
        region=region,
        pipeline_roles=sorted(exempted_roles(document, "ecr:PutImage")),
        administrator_roles=sorted(exempted_roles(document, "ecr:SetRepositoryPolicy")),
        pull_accounts=[],
        pull_organization="",
        lambda_pull=False,
    )
    return _subject((arn,), document, access)


def _subject(arns: tuple[str, ...], document: Any, access: Access) -> Subject:
    try:
        policy = parse(document)
    except InvalidInputError as error:
        return Subject(arns=arns, access=access, errors=str(error))
    return Subject(arns=arns, access=access, policy=policy, errors="; ".join(_unclear(policy)))


def _unclear(policy: Policy) -> Iterator[str]:
    """The statements that could tell more principals apart than there are cases, and why."""
    names = [it for it in policy.compared(PRINCIPAL_ARN) if is_pattern(it)]
    for statement in policy.statements:
        conditions = statement.conditions
        if UNREAD in {it.key for it in conditions} or ":sts:" in "".join(statement.principals):
            yield f"{statement.label}: NotPrincipal, or a session as a principal"
        values = {value for it in conditions if it.key == PRINCIPAL_ARN for value in it.values}
        for value in values.intersection(names):
            parts = value.split(":", COLONS_IN_ARN)
            if len(parts) <= COLONS_IN_ARN and value != ANY:
                yield f"{statement.label}: {value} is not a pattern of ARNs"
            if any(covers(parts[-1], it.split(":", COLONS_IN_ARN)[-1]) is None for it in names):
                yield f"{statement.label}: {value} overlaps another pattern"


# --- Claims ---------------------------------------------------------------------------------------


def prove(repositories: Sequence[Subject], claims: Iterable[Claim] = Claim) -> list[Proof]:
    """Hold each claim, or these alone, against every repository.

    A claim that nothing breaks is proved, as long as every policy can be read.
    """
    errors = next((it.errors for it in repositories if it.errors), "")
    proofs = []
    for claim in claims:
        known = (it for it in repositories if not it.errors)
        breaches = (breach for it in known for breach in _BREACHES[claim](it))
        breach = next(filter(None, breaches), None)
        undecided = "" if breach else errors
        proofs.append(Proof(claim=claim, counterexample=breach, undecided=undecided))
    return proofs


def _others(
    repository: Subject, exempt: Sequence[str], *actions: Sequence[str]
) -> Iterator[Call | None]:
    """Requests by anybody but the exempt roles."""
    callers = (it for it in repository.everybody() if it.arn not in exempt)
    return (repository.breach(it, *actions) for it in callers)


def _strangers_let_in(repository: Subject) -> Iterator[Call | None]:
    """Outsiders that can make a call they are not to make: save the pipeline roles."""
    access = repository.access
    more_than_pull = [action for action in ANYTHING if action not in MAY_PULL]
    for outsider in repository.everybody():
        if outsider.account == repository.account or outsider.arn in access["pipeline_roles"]:
            continue
        yield repository.breach(outsider, more_than_pull)
        if outsider.account not in access["pull_accounts"]:
            for unlisted in _unlisted(repository, outsider):
                yield repository.breach(unlisted, ANYTHING)


def _unlisted(repository: Subject, outsider: Principal) -> Iterator[Principal]:
    """The outsider, without the organization and the function that are listed."""
    access, compared = repository.access, repository.policy.compared
    keys: list[list[tuple[str, str | None]]] = []
    if access["pull_organization"]:
        others = {"o-anybody", *compared(_ORGANIZATION)} - {access["pull_organization"]}
        keys.append([(_ORGANIZATION, it) for it in (None, *sorted(others))])
    functions = lambda_functions(access)
    if functions and outsider.named == _LAMBDA:
        others = {
            it
            for it in (ANY, *compared(_SOURCE))
            if not any(covers(listed, it) is True for listed in functions)
        }
        keys.append([(_SOURCE, it) for it in (None, *sorted(others))])
    yield from (replace(outsider, context=context) for context in product(*keys))


def _listed(repository: Subject) -> Iterator[Principal]:
    """Those of other accounts, of the organization and of Lambda that are to pull."""
    access = repository.access
    for caller in repository.everybody():
        if caller.account in access["pull_accounts"] and ":iam:" in caller.arn:
            yield caller
    if access["pull_organization"]:
        member = repository.caller(f"{repository.iam(_FRESH_ACCOUNTS[-1])}role/*")
        yield replace(member, context=((_ORGANIZATION, access["pull_organization"]),))
    for functions in lambda_functions(access):
        yield Principal(arn="", account="", named=_LAMBDA, context=((_SOURCE, functions),))


def _pushing(repository: Subject) -> Iterator[Principal]:
    """The pipeline roles: those of the repository's account without policies of their own.

    To them the repository's policy alone allows what they do.
    """
    for caller in map(repository.caller, repository.access["pipeline_roles"]):
        is_own = caller.account == repository.account
        yield replace(caller, policies=()) if is_own else caller


_ORGANIZATION: Final = "aws:principalorgid"
_SOURCE: Final = "aws:sourcearn"
_LAMBDA: Final = f"{SERVICE}lambda.amazonaws.com"

_BREACHES: Final[dict[Claim, Callable[[Subject], Iterator[Call | None]]]] = {
    Claim.MOVED: lambda it: _others(it, it.access["pipeline_roles"], MOVE_TAGS),
    Claim.ADMINISTERED: lambda it: _others(it, it.access["administrator_roles"], ADMINISTER),
    Claim.BOTH: lambda it: _others(it, (), MOVE_TAGS, ADMINISTER),
    Claim.PUSHED: lambda it: (it.denial(one, (*MAY_PULL, *PUSH)) for one in _pushing(it)),
    Claim.LOCKED_OUT: lambda it: (
        it.denial(it.caller(arn), ADMINISTER) for arn in it.access["administrator_roles"]
    ),
    Claim.STRANGERS: _strangers_let_in,
    Claim.LISTED: lambda it: (it.denial(one, PULL) for one in _listed(it)),
}
"""How each claim is broken: by whom, with which calls, allowed or denied."""


# --- The access table -----------------------------------------------------------------------------


ABILITIES: Final = {
    "pull": "pull",
    "moveTags": "move tags",
    "deleteImages": "delete images",
    "changeGuard": "change guard",
}
"""What a row of the table is about: its keys, and their names for people."""

Row = dict[str, Any]
"""What a `principal` can do, by the keys of ABILITIES, in any of the repositories."""


def cells(row: Row) -> list[str]:
    """A row for people: yes or - for each of ABILITIES."""
    return ["yes" if row[ability] else "-" for ability in ABILITIES]


def table(repositories: Sequence[Subject]) -> list[Row]:
    """What each principal that the settings name can do, and the root, and anybody else."""
    known = [it for it in repositories if not it.errors]  # or else no claim is proved
    if not known:
        return []
    access, iam = repositories[0].access, known[0].iam
    own = access["account_id"]
    named = {arn: arn for arn in (*access["pipeline_roles"], *access["administrator_roles"])}
    named |= {f"{iam(it)}root": f"{iam(it)}role/*" for it in access["pull_accounts"]}
    named |= {f"{iam(own)}root": f"{iam(own)}root"}
    named["anybody else in the account"] = f"{iam(own)}role/*"

    def can(arn: str, *needed: Sequence[str]) -> bool:
        return any(it.breach(it.caller(arn), *needed) is not None for it in known)

    return [
        {
            "principal": name,
            "pull": can(arn, *([action] for action in PULL)),
            "moveTags": can(arn, MOVE_TAGS),
            "deleteImages": can(arn, DELETE_IMAGES),
            "changeGuard": can(arn, CHANGE_GUARD),
        }
        for name, arn in named.items()
    ]
