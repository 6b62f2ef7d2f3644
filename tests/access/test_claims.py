"""The proofs: they hold for the guard as it is, and see each way in which it can be weakened."""

import copy
import json
import re
from collections.abc import Callable
from typing import Any, cast

import pytest

from container_images.access import claims as claims_module
from container_images.access.claims import Claim, Proof, Row, alike, prove, table
from container_images.policies.ecr_actions import ACTIONS, Effect, actions
from container_images.policies.repository_policy import Access, repository_policy

ARN = "arn:aws:ecr:eu-west-2:111122223333:repository/app"
PIPELINE = "arn:aws:iam::111122223333:role/pipeline/push"
DEPLOY = "arn:aws:iam::111122223333:role/deploy"

MOVED = "Nobody but the pipeline roles can move a tag"
ADMINISTERED = "Nobody but the administrator roles can delete"
BOTH = "No principal can do both"
PUSHED = "Every pipeline role can push"
LOCKED_OUT = "Every administrator role"
STRANGERS = "Accounts, organizations and services that are not listed"
LISTED = "Accounts, organizations and services that are listed"
CLAIMS = [MOVED, ADMINISTERED, BOTH, PUSHED, LOCKED_OUT, STRANGERS, LISTED]

Document = dict[str, Any]


def proofs(access: Access, policy: Document | None, *others: Document) -> dict[str, Proof]:
    """Each claim's proof, by how the claim begins."""
    repositories = [(f"{ARN}-{number}", json.dumps(it), access) for number, it in enumerate(others)]
    text = None if policy is None else json.dumps(policy)
    found = prove(alike([*repositories, (ARN, text, access)]))
    return {
        begin: it for it, begin in zip(found, CLAIMS, strict=True) if it.claim.startswith(begin)
    }


def broken(found: dict[str, Proof]) -> set[str]:
    assert len(found) == len(CLAIMS)
    return {begin for begin, proof in found.items() if not proof.proved}


def of_statement(sid: str, change: Callable[[Document], object]) -> Callable[[Document], None]:
    def weaken(policy: Document) -> None:
        [statement] = [it for it in policy["Statement"] if it["Sid"] == sid]
        change(statement)

    return weaken


def only_pipeline(change: Callable[[Document], object]) -> Callable[[Document], None]:
    return of_statement("OnlyThePipelineMovesTags", change)


def only_administrators(change: Callable[[Document], object]) -> Callable[[Document], None]:
    return of_statement("OnlyAdministratorsDeleteAndChangeTheGuard", change)


def exempt(*roles: str, operator: str = "ArnNotEquals") -> Callable[[Document], None]:
    def change(statement: Document) -> None:
        statement["Condition"] = {operator: {"aws:PrincipalArn": list(roles)}}

    return change


def without(action: str) -> Callable[[Document], None]:
    return lambda statement: statement["Action"].remove(action)


def adding(statement: Document) -> Callable[[Document], None]:
    return lambda policy: policy["Statement"].append({"Sid": "Added", **statement})


def under(condition: Document) -> Callable[[Document], None]:
    return lambda statement: statement["Condition"].update(condition)


MOVES_SID = "OnlyThePipelineMovesTags"
ANY_ROLE = "arn:aws:iam::111122223333:role/*"


FOREIGN = "arn:aws:iam::777788889999:role/ci/push"
BREAK_GLASS = "arn:aws:iam::111122223333:role/break-glass"
CHINA = "arn:aws-cn:iam::111122223333:role/"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"pull_organization": "o-exampleorgid"},
        {"lambda_pull": True},
        {"pipeline_roles": [FOREIGN]},
        {
            "pipeline_roles": [PIPELINE, FOREIGN],
            "administrator_roles": [DEPLOY, BREAK_GLASS],
            "pull_accounts": ["444455556666", "999999999999"],
        },
        {
            "partition": "aws-cn",
            "pipeline_roles": [f"{CHINA}push"],
            "administrator_roles": [f"{CHINA}deploy"],
        },
        {"pull_accounts": []},
    ],
)
def test_every_claim_is_proved_of_the_guard_as_it_is(access: Access, change: Document) -> None:
    whoever: Access = {**access, **change}  # type: ignore[typeddict-item]
    found = proofs(whoever, repository_policy(whoever))
    assert broken(found) == set()
    assert all(proof.counterexample is None for proof in found.values())
    assert "replication is not covered" in found[MOVED].claim
    assert "lifecycle expiry is not covered" in found[ADMINISTERED].claim


def allowing(principal: Document, action: str) -> Callable[[Document], None]:
    return adding({"Effect": "Allow", "Principal": principal, "Action": action})


def instead(**elements: Any) -> Callable[[Document], None]:
    return lambda statement: statement.update(elements)


THERE = {"AWS": "arn:aws:iam::444455556666:root"}
BY_TAG = {"StringNotEquals": {"aws:PrincipalTag/ci": "yes"}}
WEAKENED: list[tuple[Callable[[Document], object], set[str]]] = [
    (only_pipeline(without("ecr:PutImage")), {MOVED, BOTH}),
    (only_pipeline(without("ecr:BatchImportUpstreamImage")), {MOVED, BOTH}),
    *(
        (only_administrators(without(action)), {ADMINISTERED, BOTH})
        for action in actions(Effect.DELETE_IMAGE, Effect.CHANGE_GUARD)
    ),
    (only_pipeline(lambda it: it.pop("Condition")), {PUSHED}),
    (only_administrators(lambda it: it.pop("Condition")), {LOCKED_OUT}),
    (only_pipeline(exempt(ANY_ROLE)), {MOVED, BOTH}),
    (only_administrators(exempt(ANY_ROLE)), {ADMINISTERED, BOTH}),
    (only_pipeline(exempt(f"{PIPELINE}*")), {MOVED}),
    # Of any account: to others nothing is allowed.
    (only_pipeline(exempt("arn:aws:iam::*:role/pipeline/push")), set()),
    (only_pipeline(exempt("arn:aws:iam::111122223333:*")), {MOVED, BOTH}),
    (only_pipeline(exempt(PIPELINE, operator="ArnEquals")), {MOVED, BOTH, PUSHED}),
    (
        only_administrators(exempt(DEPLOY, operator="ArnEquals")),
        {ADMINISTERED, BOTH, LOCKED_OUT},
    ),
    (only_pipeline(exempt(PIPELINE, DEPLOY)), {MOVED, BOTH}),
    (only_administrators(exempt(DEPLOY, PIPELINE)), {ADMINISTERED, BOTH}),
    (only_pipeline(instead(Effect="Allow")), {MOVED, BOTH, STRANGERS}),
    (only_pipeline(instead(Principal=THERE)), {MOVED, BOTH}),
    # A Deny for the account alone: to others nothing is allowed.
    (only_pipeline(instead(Principal={"AWS": "111122223333"})), set()),
    # A tag, which whoever sets tags can have.
    (only_pipeline(instead(Condition=BY_TAG)), {MOVED, BOTH, PUSHED}),
    *(
        (allowing({"AWS": "*"}, action), {STRANGERS})
        for action in ("ecr:*", "ecr:BatchGetImage", "ecr:ListImages", "ecr:InitiateLayerUpload")
    ),
    (allowing({"AWS": "arn:aws:iam::999999999999:role/x"}, "ecr:BatchGetImage"), {STRANGERS}),
    (allowing({"AWS": "999999999999"}, "ecr:*"), {STRANGERS}),
    (allowing(THERE, "ecr:InitiateLayerUpload"), {STRANGERS}),
    (allowing({"Service": "lambda.amazonaws.com"}, "ecr:BatchGetImage"), {STRANGERS}),
    (lambda policy: policy["Statement"].pop(), {LISTED}),
    (of_statement("ThePipelinePushesAndPulls", without("ecr:UploadLayerPart")), {PUSHED}),
    (lambda policy: policy["Statement"].clear(), {*CLAIMS} - {LOCKED_OUT, STRANGERS}),
    # Nobody is exempt.
    (only_pipeline(exempt("x", operator="ArnNotEqualsIfExists")), {PUSHED}),
    # A neighbour of the repository could be unguarded.
    (only_pipeline(instead(Resource=f"{ARN}-2")), {MOVED, BOTH}),
    (only_pipeline(instead(NotResource=f"{ARN}-2")), set()),
    *(
        (only_pipeline(under(more)), {MOVED, BOTH})
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
    (only_pipeline(lambda it: it.update(NotPrincipal=it.pop("Principal"))), {*CLAIMS}),
]


class TestAWeakenedGuard:
    @pytest.mark.parametrize(("weaken", "claims"), WEAKENED)
    def test_is_seen(
        self, access: Access, weaken: Callable[[Document], None], claims: set[str]
    ) -> None:
        policy = repository_policy(access)
        before = copy.deepcopy(policy)
        weaken(policy)
        assert policy != before
        assert broken(proofs(access, policy)) == claims

    def test_comes_with_a_request_that_breaks_the_claim(self, access: Access) -> None:
        policy = repository_policy(access)
        only_pipeline(exempt(ANY_ROLE))(policy)
        found = proofs(access, policy)[MOVED].counterexample
        assert found is not None
        assert re.fullmatch(r"arn:aws:iam::111122223333:role/[a-z/-]+", found.principal)
        assert found.principal != PIPELINE
        assert found.action in ("ecr:PutImage", "ecr:BatchImportUpstreamImage")
        assert found.resource == ARN

    def test_functions_of_another_account_are_seen(self, access: Access) -> None:
        access["lambda_pull"] = True
        policy = repository_policy(access)
        of_statement("LambdaPulls", lambda it: it.pop("Condition"))(policy)
        assert broken(proofs(access, policy)) == {STRANGERS}

    def test_another_organization_is_seen(self, access: Access) -> None:
        access["pull_organization"] = "o-exampleorgid"
        policy = repository_policy({**access, "pull_organization": "o-anotherorgid"})
        assert broken(proofs(access, policy)) == {STRANGERS, LISTED}


@pytest.mark.parametrize(
    ("pattern", "other"),
    [
        ("arn:aws:iam::*:role/ci-*", "arn:aws:iam::*:role/*-prod"),
        ("*:role/ci-*", "*"),  # ARNs are compared part by part
    ],
)
def test_what_no_case_decides_is_named_and_nothing_is_claimed(
    access: Access, pattern: str, other: str
) -> None:
    policy = repository_policy(access)
    only_pipeline(exempt(pattern, operator="ArnNotLike"))(policy)
    twice = copy.deepcopy(policy["Statement"][0])
    exempt(other, operator="ArnNotLike")(twice)
    policy["Statement"].append(twice | {"Sid": "Twice"})
    found = proofs(access, policy)[MOVED]
    assert not found.proved
    assert found.counterexample is None
    assert found.undecided.partition(":")[0] in (MOVES_SID, "Twice")
    assert str(found).endswith(f"not decided: {found.undecided}")


def test_a_session_as_principal_is_not_read(access: Access) -> None:
    principal = "arn:aws:sts::444455556666:assumed-role/x/session"
    policy = repository_policy(access)
    adding({"Effect": "Deny", "Principal": {"AWS": principal}, "Action": "ecr:*"})(policy)
    [undecided] = {it.undecided for it in proofs(access, policy).values()}
    assert undecided.startswith("Added: ")


class TestTheTable:
    def test_of_the_guard_as_it_is(self, access: Access) -> None:
        groups = alike([(ARN, json.dumps(repository_policy(access)), access)])
        assert table(groups) == [
            row(PIPELINE, move_tags=True),
            row(DEPLOY, delete_images=True, change_guard=True),
            row("arn:aws:iam::444455556666:root"),
            row("arn:aws:iam::111122223333:root"),
            row("anybody else in the account"),
        ]


def row(principal: str, **can: bool) -> Row:
    nothing = {"pull": True, "move_tags": False, "delete_images": False, "change_guard": False}
    return Row(principal=principal, **nothing | can)


def unreadable(access: Access) -> Document:
    policy = repository_policy(access)
    only_pipeline(lambda it: it.update(NotPrincipal=it.pop("Principal")))(policy)
    return policy


def test_the_table_leaves_out_what_cannot_be_read(access: Access) -> None:
    policy = unreadable(access)
    known = repository_policy(access)
    groups = alike([(ARN, json.dumps(policy), access), (ARN, json.dumps(known), access)])
    assert table(groups) == table(groups[1:])
    assert [proof.undecided.partition(":")[0] for proof in prove(groups)] == [MOVES_SID] * 7


def test_a_request_that_breaks_a_claim_is_told_whatever_else_is_not_known(access: Access) -> None:
    unknown = unreadable(access)
    for texts in ([json.dumps(unknown), None], [None, json.dumps(unknown)]):
        groups = alike((f"{ARN}-{number}", text, access) for number, text in enumerate(texts))
        moved, locked_out = prove(groups, [Claim.MOVED, Claim.LOCKED_OUT])
        assert moved.counterexample is not None
        assert (moved.proved, moved.undecided) == (False, "")
        assert locked_out.counterexample is None
        assert not locked_out.proved
        assert locked_out.undecided.startswith(MOVES_SID)


def test_the_claims_are_about_what_the_guard_denies() -> None:
    """They are written out on their own, so that a mistake in the guard is no mistake in both."""
    effects = {
        claims_module.MOVE_TAGS: [Effect.MOVE_TAG],
        claims_module.PUSH: [Effect.MOVE_TAG, Effect.UPLOAD],
        claims_module.DELETE_IMAGES: [Effect.DELETE_IMAGE],
        claims_module.CHANGE_GUARD: [Effect.CHANGE_GUARD],
        claims_module.MAY_PULL: [Effect.PULL],
    }
    for written, them in effects.items():
        assert sorted(written) == actions(*them)
    assert set(claims_module.PULL) <= set(claims_module.MAY_PULL)


@pytest.mark.parametrize(
    ("action", "wrongly", "claims"),
    [
        ("PutImage", Effect.UPLOAD, {MOVED, BOTH}),
        ("SetRepositoryPolicy", Effect.READ, {ADMINISTERED, BOTH}),
        ("UpdateImageStorageClass", Effect.HARMLESS, {ADMINISTERED, BOTH}),
        ("StartImageScan", Effect.PULL, {STRANGERS}),
        ("BatchGetImage", Effect.READ, {PUSHED, LISTED}),
    ],
)
def test_a_wrong_classification_is_seen(
    access: Access,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    wrongly: Effect,
    claims: set[str],
) -> None:
    monkeypatch.setitem(cast("dict[str, Effect]", ACTIONS), action, wrongly)
    assert broken(proofs(access, repository_policy(access))) == claims


def test_two_requests_of_one_principal_may_come_from_two_networks(access: Access) -> None:
    policy = repository_policy(access)
    network = {"aws:SourceVpc": "vpc-a"}
    only_pipeline(lambda it: it.update(Condition={"StringNotEquals": network}))(policy)
    only_administrators(lambda it: it.update(Condition={"StringEquals": network}))(policy)
    assert BOTH in broken(proofs(access, policy))


def test_repositories_that_are_alike_are_evaluated_once(access: Access) -> None:
    text = json.dumps(repository_policy(access))
    groups = alike((f"{ARN}-{number}", text, access) for number in range(1000))
    assert [len(group.arns) for group in groups] == [1000]
    with_lambda: Access = {**access, "lambda_pull": True}
    assert len(alike([(ARN, text, access), (ARN, text, with_lambda), (ARN, None, access)])) == 3
