"""Pure: what holds of every principal, whether it exists or not, checked by cases.

A policy tells apart only those whom it names: roles, users, accounts, services, and whoever fits
its patterns. One of each, and one of everybody else, stands for all. Nothing is claimed where a
policy could tell apart more than these, such as by two patterns that overlap.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from typing import Any, Final

from container_images.access.evaluation import Call, Principal, Request, decide
from container_images.access.policy import (
    COLONS_IN_ARN,
    EVERYTHING,
    LAMBDA,
    NO_POLICY,
    PRINCIPAL_ARN,
    UNREAD,
    USER_NAME,
    Policy,
    account_in,
    covers,
    is_pattern,
    parse,
    within,
)
from container_images.policies.document import ANY
from container_images.policies.ecr_actions import ACTIONS
from container_images.policies.invalid_input import InvalidInputError
from container_images.policies.repository_policy import Access, exempted_roles, lambda_functions

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
CALLS: Final[Mapping[str, Sequence[Sequence[str]]]] = {
    "pull": [[action] for action in PULL],
    "moveTags": [MOVE_TAGS],
    "deleteImages": [DELETE_IMAGES],
    "changeGuard": [CHANGE_GUARD],
}
"""What it takes to have an ability: a call of each of these."""
ABILITIES: Final = {
    "pull": "pull",
    "moveTags": "move tags",
    "deleteImages": "delete images",
    "changeGuard": "change guard",
}
"""The abilities by their names for people."""


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


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Repositories of which the same is claimed."""

    arns: list[str]
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

    def granted(self, arn: str) -> Principal:
        """Whoever has this ARN; one of the repository's account without policies of its own."""
        caller = self.caller(arn)
        return replace(caller, policies=()) if caller.account == self.account else caller

    def request(self, action: str) -> Request:
        """A call about the repository."""
        return Request(action=action, resource=self.arn, account=self.account, policy=self.policy)

    def everybody(self) -> Iterator[Principal]:
        """One of each that the policy or the access tells apart, and of everybody else."""
        organizations = {self.access["pull_organization"], *self.policy.compared(_ORGANIZATION)}
        members = [None, "o-anybody", *sorted(organizations)] if any(organizations) else []
        functions = lambda_functions(self.access)
        sources = [None, ANY, *functions, *self.policy.compared(_SOURCE)] if functions else []
        for caller in self._callers():
            of_lambda = sources if caller.named == LAMBDA else []
            keys = [[(_ORGANIZATION, each) for each in members], [(_SOURCE, s) for s in of_lambda]]
            for context in product(*filter(None, keys)):
                yield replace(caller, context=context) if context else caller

    def _callers(self) -> Iterator[Principal]:
        names = {name for each in self.policy.statements for name in each.principals} - {ANY}
        arns = {*names, *self.policy.compared(PRINCIPAL_ARN), *self.access["pipeline_roles"]}
        numbers = {*names, *map(account_in, arns), *self.policy.compared("aws:principalaccount")}
        numbers |= {*self.access["pull_accounts"], self.account}
        accounts = sorted(filter(str.isdigit, numbers))
        accounts.append(next(digit * 12 for digit in "9876543210" if digit * 12 not in numbers))
        for account in sorted(accounts, key=lambda number: number != self.account):
            iam = self.iam(account)
            arns |= {f"{iam}user/{name}" for name in self.policy.compared(USER_NAME)}
            for kind in (f"{iam}role/*", f"{iam}user/*"):
                narrower = {part for arn in arns if (part := within(arn, kind))}
                yield from map(self.caller, (kind, *sorted(narrower - {kind})))
            yield self.caller(f"{iam}root")
            # Whoever is of the account without an ARN of IAM's, such as a federated user.
            yield self.caller(iam.replace(":iam:", ":sts:") + ANY)
        for name in sorted({"", LAMBDA, *names}):
            if not name.startswith("arn:") and not name.isdigit():
                yield Principal(arn="", account="", named=name)

    def may_pull(self, outsider: Principal) -> bool:
        """Whether somebody of another account, or a service, is listed among those that pull."""
        keys, source = outsider.keys, outsider.keys.get(_SOURCE)
        organization = self.access["pull_organization"]
        is_member = bool(organization) and keys.get(_ORGANIZATION) == organization
        is_function = source and any(covers(each, source) for each in lambda_functions(self.access))
        return outsider.account in self.access["pull_accounts"] or is_member or bool(is_function)

    def breach(self, caller: Principal, *actions: Sequence[str]) -> Call | None:
        """Requests by the caller, one for an action of each of these, that may be allowed."""
        breach = None
        for group in actions:
            allowed = (name for name in group if decide(caller, self.request(name)) is not None)
            breach = self._call(caller, next(allowed, ""))
            if not breach:
                return None
        return breach

    def denial(self, caller: Principal, actions: Sequence[str]) -> Call | None:
        """A request by the caller that may be denied."""
        denied = (name for name in actions if decide(caller, self.request(name)) != ())
        return self._call(caller, next(denied, ""))

    def _call(self, caller: Principal, action: str) -> Call | None:
        name = caller.named or caller.arn.replace("*", "anybody") or "a caller without an ARN"
        return Call(principal=name, action=action, resource=self.arn) if action else None


def alike(repositories: Iterable[tuple[str, str | None, Access]]) -> list[Subject]:
    """Repositories by ARN, policy text and intended access, grouped by the last two."""
    groups: dict[Any, Subject] = {}
    for arn, text, access in repositories:
        written = text or '{"Statement": []}'
        # A policy that names resources, or has variables, may tell repositories apart.
        apart = any(each in written for each in ('"Resource"', '"NotResource"', "${"))
        key = (written, json.dumps(access), arn if apart else "")
        if key in groups:
            groups[key].arns.append(arn)
        else:
            groups[key] = _subject(arn, written, access)
    return [*groups.values()]


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
    return _subject(arn, document, access)


def _subject(arn: str, document: Any, access: Access) -> Subject:
    try:
        policy = parse(document)
    except InvalidInputError as error:
        return Subject(arns=[arn], access=access, errors=str(error))
    return Subject(arns=[arn], access=access, policy=policy, errors="; ".join(_unclear(policy)))


def _unclear(policy: Policy) -> Iterator[str]:
    """The statements that could tell more principals apart than there are cases, and why."""
    patterns = {name for name in policy.compared(PRINCIPAL_ARN) if is_pattern(name)}
    lasts = [name.split(":", COLONS_IN_ARN)[-1] for name in patterns]
    for statement in policy.statements:
        compared = {condition.key: condition.values for condition in statement.conditions}
        if UNREAD in compared or ":sts:" in "".join(statement.principals):
            yield f"{statement.label}: NotPrincipal, or a session as a principal"
        for name in patterns.intersection(compared.get(PRINCIPAL_ARN, ())):
            parts = name.split(":", COLONS_IN_ARN)
            if len(parts) <= COLONS_IN_ARN and name != ANY:
                yield f"{statement.label}: {name} is not a pattern of ARNs"
            if any(covers(parts[-1], last) is None for last in lasts):
                yield f"{statement.label}: {name} overlaps another pattern"


def prove(repositories: Sequence[Subject], claims: Iterable[Claim] = Claim) -> list[Proof]:
    """Hold each claim, or these alone, against every repository.

    A claim that nothing breaks is proved, as long as every policy can be read.
    """
    errors = next((each.errors for each in repositories if each.errors), "")
    known = [each for each in repositories if not each.errors]
    proofs = []
    for claim in claims:
        breaches = (breach for each in known for breach in _breaches(claim, each))
        breach = next(filter(None, breaches), None)
        undecided = "" if breach else errors
        proofs.append(Proof(claim=claim, counterexample=breach, undecided=undecided))
    return proofs


def _breaches(claim: Claim, repository: Subject) -> Iterator[Call | None]:
    """How a claim may be broken: by whom, with which calls, allowed or denied."""
    breach, denial = repository.breach, repository.denial
    pipeline = repository.access["pipeline_roles"]
    administrators = repository.access["administrator_roles"]
    everybody = repository.everybody()
    outsiders = (caller for caller in everybody if caller.account != repository.account)
    match claim:
        case Claim.MOVED:
            yield from (breach(each, MOVE_TAGS) for each in everybody if each.arn not in pipeline)
        case Claim.ADMINISTERED:
            others = (caller for caller in everybody if caller.arn not in administrators)
            yield from (breach(caller, ADMINISTER) for caller in others)
        case Claim.BOTH:
            yield from (breach(caller, MOVE_TAGS, ADMINISTER) for caller in everybody)
        case Claim.PUSHED:
            yield from (denial(repository.granted(arn), (*MAY_PULL, *PUSH)) for arn in pipeline)
        case Claim.LOCKED_OUT:
            yield from (denial(repository.caller(arn), ADMINISTER) for arn in administrators)
        case Claim.STRANGERS:
            yield from (
                breach(caller, _MORE_THAN_PULL if repository.may_pull(caller) else ANYTHING)
                for caller in outsiders
                if caller.arn not in pipeline
            )
        case Claim.LISTED:
            yield from (
                denial(caller, PULL)
                for caller in outsiders
                if ":iam:" in caller.arn or caller.named == LAMBDA
                if repository.may_pull(caller)
            )


_MORE_THAN_PULL: Final = [action for action in ANYTHING if action not in MAY_PULL]
_ORGANIZATION: Final = "aws:principalorgid"
_SOURCE: Final = "aws:sourcearn"

Row = dict[str, Any]
"""What a `principal` can do, by ABILITIES, in any of the repositories."""


def cells(row: Row) -> list[str]:
    """A row for people: yes or - for each of ABILITIES."""
    return ["yes" if row[ability] else "-" for ability in ABILITIES]


def table(repositories: Sequence[Subject]) -> list[Row]:
    """What each principal that the settings name can do, and the root, and anybody else."""
    known = [each for each in repositories if not each.errors]  # or else no claim is proved
    if not known:
        return []
    access, iam = known[0].access, known[0].iam
    named = {arn: arn for arn in (*access["pipeline_roles"], *access["administrator_roles"])}
    named |= {f"{iam(number)}root": f"{iam(number)}role/*" for number in access["pull_accounts"]}
    own = iam(access["account_id"])
    named |= {f"{own}root": f"{own}root", "anybody else in the account": f"{own}role/*"}
    return [
        {
            "principal": name,
            **{
                ability: any(each.breach(each.caller(arn), *calls) for each in known)
                for ability, calls in CALLS.items()
            },
        }
        for name, arn in named.items()
    ]
