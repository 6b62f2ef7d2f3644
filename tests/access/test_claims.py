"""The proofs: they hold for the guard as it is, and see each way in which it can be weakened."""

import copy
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest

from container_images.access import claims as claims_module
from container_images.access.claims import Claim, Proof, Row, Subject, alike, prove, table
from container_images.policies.ecr_actions import ACTIONS, Effect, actions
from container_images.policies.repository_policy import Access, repository_policy
from tests.access.accounts import ACCOUNT, DEPLOY, IAM, OTHER, PIPELINE, Document, where
from tests.access.accounts import REPOSITORY as ARN
from tests.builds import access

FOREIGN = "arn:aws:iam::777788889999:role/ci/push"
CHINA = f"arn:aws-cn:iam::{ACCOUNT}:role/"
ANY_ROLE = f"{IAM}role/*"
NOBODY_ELSE = {Claim.MOVED, Claim.BOTH}
NO_OTHERS = {Claim.ADMINISTERED, Claim.BOTH}


def subjects(*policies: Document | None, to: Access | None = None) -> list[Subject]:
    """Repositories with these policies, meant for whom the settings name."""
    texts = [None if policy is None else json.dumps(policy) for policy in policies]
    return alike((f"{ARN}-{number}", text, to or access()) for number, text in enumerate(texts))


def proofs(policy: Document, to: Access | None = None) -> dict[Claim, Proof]:
    return dict(zip(Claim, prove(subjects(policy, to=to)), strict=True))


def broken(policy: Document, to: Access | None = None) -> set[Claim]:
    return {claim for claim, proof in proofs(policy, to).items() if not proof.proved}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"pull_organization": "o-exampleorgid"},
        {"lambda_pull": True},
        {"pipeline_roles": [FOREIGN]},
        {
            "pipeline_roles": [PIPELINE, FOREIGN],
            "administrator_roles": [DEPLOY, f"{IAM}role/break-glass"],
            "pull_accounts": [OTHER, "999999999999"],
        },
        {
            "partition": "aws-cn",
            "pipeline_roles": [f"{CHINA}push"],
            "administrator_roles": [f"{CHINA}deploy"],
        },
        {"pull_accounts": []},
    ],
)
def test_every_claim_is_proved_of_the_guard_as_it_is(change: Document) -> None:
    to = access(**change)
    by_claim = proofs(repository_policy(to), to)
    assert [(each.proved, each.counterexample) for each in by_claim.values()] == [(True, None)] * 7
    assert "replication is not covered" in by_claim[Claim.MOVED].claim
    assert "lifecycle expiry is not covered" in by_claim[Claim.ADMINISTERED].claim


Weaken = Callable[[Document], object]
MOVES_SID = "OnlyThePipelineMovesTags"


def weak(sid: str, *without: str, **elements: Any) -> Weaken:
    """A statement without these actions, and with these elements; None takes one away."""

    def change(policy: Document) -> None:
        [statement] = [each for each in policy["Statement"] if each["Sid"] == sid]
        statement["Action"] = [name for name in statement["Action"] if name not in without]
        for name, value in elements.items():
            statement[name] = value
            if value is None:
                del statement[name]

    return change


moves = partial(weak, MOVES_SID)
administers = partial(weak, "OnlyAdministratorsDeleteAndChangeTheGuard")


def exempt(*roles: str, operator: str = "ArnNotEquals") -> Document:
    return where(operator, "aws:PrincipalArn", *roles)


def allowing(principal: Document, action: str) -> Weaken:
    added = {"Sid": "Added", "Effect": "Allow", "Principal": principal, "Action": action}
    return lambda policy: policy["Statement"].append(added)


def weakened(change: Weaken, to: Access | None = None) -> Document:
    policy = repository_policy(to or access())
    before = copy.deepcopy(policy)
    change(policy)
    assert policy != before
    return policy


THERE = {"AWS": f"arn:aws:iam::{OTHER}:root"}
UNREADABLE = moves(Principal=None, NotPrincipal="*")
WEAKENED: list[tuple[Weaken, set[Claim]]] = [
    (moves("ecr:PutImage"), NOBODY_ELSE),
    (moves("ecr:BatchImportUpstreamImage"), NOBODY_ELSE),
    *(
        (administers(action), NO_OTHERS)
        for action in actions(Effect.DELETE_IMAGE, Effect.CHANGE_GUARD)
    ),
    (moves(Condition=None), {Claim.PUSHED}),
    (administers(Condition=None), {Claim.LOCKED_OUT}),
    (moves(**exempt(ANY_ROLE)), NOBODY_ELSE),
    (administers(**exempt(ANY_ROLE)), NO_OTHERS),
    (moves(**exempt(f"{PIPELINE}*")), {Claim.MOVED}),
    # Of any account: to others nothing is allowed.
    (moves(**exempt("arn:aws:iam::*:role/pipeline/push")), set()),
    (moves(**exempt(f"{IAM}*")), NOBODY_ELSE),
    (moves(**exempt(PIPELINE, operator="ArnEquals")), {*NOBODY_ELSE, Claim.PUSHED}),
    (administers(**exempt(DEPLOY, operator="ArnEquals")), {*NO_OTHERS, Claim.LOCKED_OUT}),
    (moves(**exempt(PIPELINE, DEPLOY)), NOBODY_ELSE),
    (administers(**exempt(DEPLOY, PIPELINE)), NO_OTHERS),
    (moves(Effect="Allow"), {*NOBODY_ELSE, Claim.STRANGERS}),
    (moves(Principal=THERE), NOBODY_ELSE),
    # A Deny for the account alone: to others nothing is allowed.
    (moves(Principal={"AWS": ACCOUNT}), set()),
    # A tag, which whoever sets tags can have.
    (
        moves(**where("StringNotEquals", "aws:PrincipalTag/ci", "yes")),
        {*NOBODY_ELSE, Claim.PUSHED},
    ),
    (allowing({"AWS": "*"}, "ecr:BatchGetImage"), {Claim.STRANGERS}),
    (allowing({"AWS": "*"}, "ecr:ListImages"), {Claim.STRANGERS}),
    (allowing({"AWS": "arn:aws:iam::999999999999:role/x"}, "ecr:BatchGetImage"), {Claim.STRANGERS}),
    (allowing({"AWS": "999999999999"}, "ecr:*"), {Claim.STRANGERS}),
    (allowing(THERE, "ecr:InitiateLayerUpload"), {Claim.STRANGERS}),
    (allowing({"Service": "lambda.amazonaws.com"}, "ecr:BatchGetImage"), {Claim.STRANGERS}),
    (lambda policy: policy["Statement"].pop(), {Claim.LISTED}),
    (weak("ThePipelinePushesAndPulls", "ecr:UploadLayerPart"), {Claim.PUSHED}),
    (
        lambda policy: policy["Statement"].clear(),
        {*Claim} - {Claim.LOCKED_OUT, Claim.STRANGERS},
    ),
    # Nobody is exempt.
    (moves(**exempt("x", operator="ArnNotEqualsIfExists")), {Claim.PUSHED}),
    # A neighbour of the repository could be unguarded.
    (moves(Resource=f"{ARN}-2"), NOBODY_ELSE),
    (moves(NotResource=f"{ARN}-2"), set()),
    *(
        (moves(Condition=exempt(PIPELINE)["Condition"] | more), NOBODY_ELSE)
        for more in (
            {"StringLike": {"aws:PrincipalTag/team": "*"}},
            {"StringNotLike": {"aws:PrincipalTag/team": "**"}},
            {"StringLike": {"aws:SourceVpce": "v*"}},
            {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
            {"Bool": {"aws:SecureTransport": False}},
            {"StringEquals": {"aws:username": "${aws:username}"}},
        )
    ),
    # AWS does not say how it means a role.
    (UNREADABLE, {*Claim}),
]


@pytest.mark.parametrize(("change", "claims"), WEAKENED)
def test_a_weakened_guard_is_seen(change: Weaken, claims: set[Claim]) -> None:
    assert broken(weakened(change)) == claims


def test_a_request_that_breaks_the_claim_is_named() -> None:
    call = proofs(weakened(moves(**exempt(ANY_ROLE))))[Claim.MOVED].counterexample
    assert call is not None
    assert re.fullmatch(rf"{IAM}role/[a-z/-]+", call.principal)
    assert call.principal != PIPELINE
    assert call.action in ("ecr:PutImage", "ecr:BatchImportUpstreamImage")
    assert call.resource == f"{ARN}-0"


def test_functions_of_another_account_and_another_organization_are_seen() -> None:
    lambdas = access(lambda_pull=True)
    assert broken(weakened(weak("LambdaPulls", Condition=None), lambdas), lambdas) == {
        Claim.STRANGERS
    }
    ours, theirs = (access(pull_organization=f"o-{name}") for name in ("exampleorgid", "anotherid"))
    assert broken(repository_policy(theirs), ours) == {Claim.STRANGERS, Claim.LISTED}


def test_two_requests_of_one_principal_may_come_from_two_networks() -> None:
    policy = weakened(moves(**where("StringNotEquals", "aws:SourceVpc", "vpc-a")))
    administers(**where("StringEquals", "aws:SourceVpc", "vpc-a"))(policy)
    assert Claim.BOTH in broken(policy)


@pytest.mark.parametrize(
    ("pattern", "other"),
    [
        ("arn:aws:iam::*:role/ci-*", "arn:aws:iam::*:role/*-prod"),
        ("*:role/ci-*", "*"),  # ARNs are compared part by part
    ],
)
def test_what_no_case_decides_is_named_and_nothing_is_claimed(pattern: str, other: str) -> None:
    policy = weakened(moves(**exempt(pattern, operator="ArnNotLike")))
    twice = {"Sid": "Twice", **exempt(other, operator="ArnNotLike")}
    policy["Statement"].append(policy["Statement"][0] | twice)
    proof = proofs(policy)[Claim.MOVED]
    assert (proof.proved, proof.counterexample) == (False, None)
    assert proof.undecided.partition(":")[0] in (MOVES_SID, "Twice")
    assert proof.failure == f"{Claim.MOVED}: not decided: {proof.undecided}"


def test_a_session_as_principal_is_not_read() -> None:
    session = {"AWS": f"arn:aws:sts::{OTHER}:assumed-role/x/session"}
    policy = weakened(allowing(session, "ecr:*"))
    policy["Statement"][-1]["Effect"] = "Deny"
    [undecided] = {proof.undecided for proof in proofs(policy).values()}
    assert undecided.startswith("Added: ")


@pytest.mark.parametrize("order", [1, -1])
def test_a_request_that_breaks_a_claim_is_told_whatever_else_is_not_known(order: int) -> None:
    repositories = subjects(*[weakened(UNREADABLE), None][::order])
    moved, locked_out = prove(repositories, [Claim.MOVED, Claim.LOCKED_OUT])
    assert moved.counterexample is not None
    assert (moved.proved, moved.undecided) == (False, "")
    assert (locked_out.proved, locked_out.counterexample) == (False, None)
    assert locked_out.undecided.startswith(MOVES_SID)


def row(principal: str, *abilities: str) -> Row:
    can = {name: name in ("pull", *abilities) for name in claims_module.ABILITIES}
    return {"principal": principal, **can}


def test_the_table_is_of_all_that_can_be_read() -> None:
    assert table(subjects(weakened(UNREADABLE), repository_policy(access()))) == [
        row(PIPELINE, "moveTags"),
        row(DEPLOY, "deleteImages", "changeGuard"),
        row(THERE["AWS"]),
        row(f"{IAM}root"),
        row("anybody else in the account"),
    ]


def test_the_claims_are_about_what_the_guard_denies() -> None:
    """They are written out on their own, so that a mistake in the guard is no mistake in both."""
    effects = {
        claims_module.MOVE_TAGS: [Effect.MOVE_TAG],
        claims_module.PUSH: [Effect.MOVE_TAG, Effect.UPLOAD],
        claims_module.DELETE_IMAGES: [Effect.DELETE_IMAGE],
        claims_module.CHANGE_GUARD: [Effect.CHANGE_GUARD],
        claims_module.MAY_PULL: [Effect.PULL],
    }
    assert {names: sorted(names) for names in effects} == {
        names: actions(*them) for names, them in effects.items()
    }
    assert set(claims_module.PULL) <= set(claims_module.MAY_PULL)


@pytest.mark.parametrize(
    ("action", "wrongly", "claims"),
    [
        ("PutImage", Effect.UPLOAD, NOBODY_ELSE),
        ("SetRepositoryPolicy", Effect.READ, NO_OTHERS),
        ("UpdateImageStorageClass", Effect.HARMLESS, NO_OTHERS),
        ("StartImageScan", Effect.PULL, {Claim.STRANGERS}),
        ("BatchGetImage", Effect.READ, {Claim.PUSHED, Claim.LISTED}),
    ],
)
def test_a_wrong_classification_is_seen(
    monkeypatch: pytest.MonkeyPatch, action: str, wrongly: Effect, claims: set[Claim]
) -> None:
    monkeypatch.setitem(cast("dict[str, Effect]", ACTIONS), action, wrongly)
    assert broken(repository_policy(access())) == claims


def test_repositories_that_are_alike_are_evaluated_once() -> None:
    guard = repository_policy(access())
    assert [len(group.arns) for group in subjects(*[guard] * 1000)] == [1000]
    of_resources = weakened(moves(Resource=ARN))
    assert len(subjects(guard, None, of_resources, of_resources)) == 4  # these may tell them apart
    text, lambdas = json.dumps(guard), access(lambda_pull=True)
    assert len(alike([(ARN, text, access()), (ARN, text, lambdas)])) == 2
