"""verify: what holds in AWS, against what the stack declares; and the probes."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from click.testing import Result

from container_images.access.proofs import Claim, Proof
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.cli import stack as cli
from container_images.policies.ecr_actions import ACTIONS, Effect
from container_images.stack import probe
from container_images.stack.declared import DeclaredStack, declared
from container_images.stack.live import live
from container_images.stack.probe import caller_in
from container_images.stack.state import State, differences
from container_images.stack.verify import Verification, access_of, fix_of
from tests.aws_fixtures import Bars
from tests.builds import build
from tests.cli.test_cli import refused, run
from tests.stack.conftest import (
    ADMINISTRATOR,
    ANYBODY,
    NAME,
    PIPELINE,
    as_declared,
    create,
)

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

SignIn = Callable[[str], None]


def told(done: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# --- As declared, or not --------------------------------------------------------------------------


def test_what_is_as_declared_is_proved(ecr: "ECRClient", stack: DeclaredStack) -> None:
    for name in stack.settings.repositories:
        create(ecr, as_declared(stack, name))
    done = run("verify", "--stack", "prod", "--json")
    assert done.exit_code == 0, done.output
    found = told(done)
    assert found["ok"]
    assert {it["repository"] for it in found["repositories"]} == set(stack.settings.repositories)
    for it in found["repositories"]:
        assert (it["differences"], it["probes"]) == ([], [])
        assert {proof["claim"] for proof in it["proofs"]} == set(Claim)
        assert all(proof["proved"] for proof in it["proofs"])
    assert any("pulls" in it for it in found["checklist"])


def _without(text: str | None, sid: str) -> str:
    document = json.loads(text or "")
    document["Statement"] = [it for it in document["Statement"] if it["Sid"] != sid]
    return json.dumps(document)


def _weakened(text: str | None) -> str:
    document = json.loads(text or "")
    spared = document["Statement"][0]["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
    spared.append(ANYBODY)
    return json.dumps(document)


POLICIES: dict[str, Callable[[str | None], str | None]] = {
    "no guard at all": lambda _: None,
    "no Deny of pushes": lambda it: _without(it, "OnlyThePipelineMovesTags"),
    "one more role may push": _weakened,
    "a statement that no proof covers": lambda it: (it or "").replace('"Action"', '"NotAction"'),
    "no account may pull": lambda it: _without(it, "OtherAccountsPull"),
}


@pytest.mark.parametrize("case", POLICIES)
def test_a_policy_that_is_weaker_than_declared_is_noticed(
    case: str, ecr: "ECRClient", stack: DeclaredStack
) -> None:
    declared = as_declared(stack)
    create(ecr, replace(declared, policy=POLICIES[case](declared.policy)))
    done = run("verify", NAME, "--stack", "prod", "--json")
    assert done.exit_code == 1, done.output
    assert json.loads(done.stderr)["error"].startswith(f"verify failed for {NAME}")
    [found] = told(done)["repositories"]
    assert not found["ok"]
    assert [it["setting"] for it in found["differences"]] == ["repository policy"]
    assert not all(it["proved"] for it in found["proofs"])


OTHERS: dict[str, tuple[Callable[[State], dict[str, Any]], set[str]]] = {
    "an older version of the policy language": (
        lambda it: {"policy": (it.policy or "").replace("2012-10-17", "2008-10-17")},
        {"repository policy"},
    ),
    "tags may be overwritten": (
        lambda _: {"tag_mutability": "MUTABLE", "exclusion_filters": ()},
        {"tagMutability", "tagMutability's exclusion filters"},
    ),
    "a filter fewer": (
        lambda it: {"exclusion_filters": it.exclusion_filters[1:]},
        {"tagMutability's exclusion filters"},
    ),
    "no lifecycle policy": (lambda _: {"lifecycle_policy": None}, {"lifecycle policy"}),
    "fewer releases are kept": (
        lambda it: {"lifecycle_policy": (it.lifecycle_policy or "").replace("50", "5")},
        {"lifecycle policy"},
    ),
    "no scan": (lambda _: {"scan_on_push": False}, {"scanOnPush"}),
    "a tag more": (lambda it: {"tags": {**it.tags, "Owner": "x"}}, {"resource tag Owner"}),
    "a tag fewer": (
        lambda _: {"tags": {"Service": "forms", "ManagedBy": "pulumi"}},
        {"resource tag Environment"},
    ),
    "a key": (lambda _: {"encryption": "KMS", "kms_key": "x"}, {"encryption", "kmsKey"}),
}


@pytest.mark.parametrize("case", OTHERS)
def test_whatever_else_is_not_as_declared_is_noticed(case: str, stack: DeclaredStack) -> None:
    declared = as_declared(stack)
    change, settings = OTHERS[case]
    found = replace(declared, **change(declared))
    differing = differences(found, declared)
    assert {it.setting for it in differing} == settings
    assert not Verification(found=found, proofs=(), differences=differing).ok
    assert Verification(found=found, proofs=(), differences=()).ok
    unproved = Proof(claim="x", proved=False, counterexample=None)
    assert not Verification(found=found, proofs=(unproved,), differences=()).ok
    fixes = {fix_of(it, "prod") for it in differing}
    assert ("make up STACK=prod" in fixes) is (case != "a key")


def test_a_policy_is_compared_by_what_it_means(stack: DeclaredStack) -> None:
    """ECR may write a list of one as a text, and an account by its id."""
    declared = as_declared(stack)
    document = json.loads(declared.policy or "")
    for it in document["Statement"]:
        if isinstance(it["Principal"], dict) and "AWS" in it["Principal"]:
            roots = it["Principal"]["AWS"]
            it["Principal"]["AWS"] = [
                arn.split(":")[4] if arn.endswith(":root") else arn for arn in reversed(roots)
            ]
            if len(roots) == 1:
                [it["Principal"]["AWS"]] = roots
        elif it["Principal"] == "*":
            it["Principal"] = {"AWS": "*"}
        it["Action"].reverse()
    document["Statement"].reverse()
    rewritten = json.dumps(document, indent=1)
    assert rewritten != declared.policy
    assert differences(replace(declared, policy=rewritten), declared) == []
    tagged = {**declared.tags, "aws:cloudformation:stack-name": "x"}
    assert differences(replace(declared, tags=tagged), declared) == []


def test_a_table_says_it_without_json(ecr: "ECRClient", stack: DeclaredStack) -> None:
    declared = as_declared(stack)
    create(ecr, replace(declared, policy=None, tag_mutability="IMMUTABLE", exclusion_filters=()))
    done = run("verify", NAME, "--stack", "prod")
    assert done.exit_code == 1
    assert "NOT PROVED" in done.stdout
    assert "tagMutability: IMMUTABLE -> MUTABLE_WITH_EXCLUSION; make up STACK=prod" in done.stdout
    assert "[ ] ECR has accepted every action" in done.stdout


# --- Probes ---------------------------------------------------------------------------------------

GUARD = "with an explicit deny in a resource-based policy"
MOVES = {"PutImage"}
ADMINISTERS = {
    "BatchDeleteImage",
    "UpdateImageStorageClass",
    "SetRepositoryPolicy",
    "PutLifecyclePolicy",
    "TagResource",
    "UntagResource",
}


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, str]]:
    """Errors that ECR answers with, by operation. Moto answers the others, and allows all."""
    given = {"UpdateImageStorageClass": ("ImageNotFoundException", "no such image")}
    create_client = botocore.session.Session.create_client

    def creating(self: Any, service_name: str, *arguments: Any, **named: Any) -> Any:
        client = create_client(self, service_name, *arguments, **named)

        def answer(model: Any, **_: Any) -> Any:
            if service_name != "ecr" or model.name not in given:
                return None
            code, message = given[model.name]
            status = 400
            error = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {}}
            return type("Response", (), {"status_code": status})(), error

        client.meta.events.register("before-call.ecr", answer)
        return client

    monkeypatch.setattr(botocore.session.Session, "create_client", creating)
    return given


@pytest.fixture
def _unproved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the proofs, which the other tests are about."""
    monkeypatch.setattr("container_images.access.proofs.prove", lambda *_: [])


def probed() -> tuple[int, dict[str, dict[str, Any]], dict[str, Any]]:
    done = run("verify", NAME, "--stack", "prod", "--probe", "--json")
    found = told(done)
    return (
        done.exit_code,
        {it["action"]: it for it in found["repositories"][0]["probes"]},
        found,
    )


ROLES = pytest.mark.parametrize(
    ("role", "may"), [(PIPELINE, MOVES), (ADMINISTRATOR, ADMINISTERS), (ANYBODY, set[str]())]
)


@ROLES
@pytest.mark.usefixtures("guarded", "answers", "_unproved")
def test_a_call_that_aws_allows_though_it_must_not_is_noticed(
    role: str, may: set[str], sign_in: SignIn
) -> None:
    """Moto enforces nothing: every probe is allowed."""
    sign_in(role)
    status, found, _ = probed()
    assert status == 1
    for action in MOVES | ADMINISTERS:
        must = "allowed" if action in may else "denied"
        assert (found[action]["must"], found[action]["answer"]) == (must, "allowed")
        assert found[action]["ok"] is (action in may)


@ROLES
@pytest.mark.usefixtures("guarded", "_unproved")
def test_a_guard_that_holds_is_seen(
    role: str, may: set[str], answers: dict[str, tuple[str, str]], sign_in: SignIn
) -> None:
    sign_in(role)
    denied = (MOVES | ADMINISTERS) - may
    answers |= dict.fromkeys(
        denied, ("AccessDeniedException", f"User: x is not authorized {GUARD}")
    )
    status, found, told_of = probed()
    assert status == 0
    assert {key for key, it in found.items() if it["ok"] and it["answer"] == "denied"} == denied
    assert {key for key, it in found.items() if it["answer"] == "allowed"} == may
    left = any("a push is denied" in it for it in told_of["checklist"])
    assert left is ("PutImage" in may)


@pytest.mark.parametrize(
    ("role", "action", "error", "expected"),
    [
        (PIPELINE, "PutImage", ("AccessDeniedException", f"x {GUARD}"), ("denied", False)),
        # The repository policy alone is to be enough for it.
        (PIPELINE, "PutImage", ("AccessDeniedException", "because no"), ("denied", False)),
        (ADMINISTRATOR, "TagResource", ("AccessDeniedException", f"x {GUARD}"), ("denied", False)),
        (
            ADMINISTRATOR,
            "TagResource",
            ("AccessDeniedException", "x because no identity-based policy allows the action"),
            ("denied", None),
        ),
        (ADMINISTRATOR, "TagResource", ("AccessDeniedException", "no"), ("unclear", False)),
        (ADMINISTRATOR, "BatchDeleteImage", ("ServerException", "oh"), ("unclear", False)),
        (ANYBODY, "PutImage", ("500", "<!doctype html>\n<html>"), ("unclear", False)),
        (ANYBODY, "PutImage", ("RepositoryNotFoundException", "oh"), ("unclear", False)),
        (ANYBODY, "PutImage", ("AccessDeniedException", "because no"), ("denied", True)),
    ],
)
def test_every_other_answer_is_judged(
    role: str,
    action: str,
    error: tuple[str, str],
    expected: tuple[str, bool | None],
    guarded: "ECRClient",
) -> None:
    session = f"arn:aws:sts::111122223333:assumed-role/{role.rpartition('/')[2]}/me"
    caller = caller_in(access_of(declared("prod"), NAME), session)

    def answer(model: Any, **_: Any) -> None:
        if model.name == action:
            told = {"Error": {"Code": error[0], "Message": error[1]}}
            raise ClientError(told, action)  # type: ignore[arg-type]

    guarded.meta.events.register("before-call.ecr", answer)
    guarded.meta.events.register("before-call.ecr.UpdateImageStorageClass", _no_image)
    there = Repository(guarded, Reference(name=NAME))
    [found] = [it for it in probe.probe(there, live(there).arn, caller) if it.action == action]
    assert (found.answer, found.ok) == expected
    assert "html" not in found.detail


def _no_image(**_: Any) -> None:
    told = {"Error": {"Code": "ImageNotFoundException", "Message": "none"}}
    raise ClientError(told, "UpdateImageStorageClass")  # type: ignore[arg-type]


@pytest.mark.usefixtures("guarded", "answers", "_unproved")
def test_bars_count_the_repositories(
    bars: Bars,
) -> None:
    shown = bars(cli)
    probed()
    assert [(what, len(bar)) for what, bar in shown] == [
        ("Reading the repositories", 1),
        ("Probing", 1),
        ("Proving", 0),
    ]


def test_every_guarded_action_is_probed_or_said_not_to_be() -> None:
    guarded = {
        action
        for action, effect in ACTIONS.items()
        if effect in {Effect.MOVE_TAG, Effect.DELETE_IMAGE, Effect.CHANGE_GUARD}
    }
    assert probe._PROBES.keys() | probe._NOT_PROBED.keys() == guarded
    assert not probe._PROBES.keys() & probe._NOT_PROBED.keys()


def test_a_probe_that_is_allowed_changes_nothing(guarded: "ECRClient") -> None:
    build(guarded, "a", "latest")
    guarded.meta.events.register("before-call.ecr.UpdateImageStorageClass", _no_image)
    there = Repository(guarded, Reference(name=NAME))
    before = live(there), [*there.images()]
    probes = [*probe.probe(there, before[0].arn, "neither pipeline nor administrator")]
    assert {it.action for it in probes if it.answer == "allowed"} == MOVES | ADMINISTERS
    assert (live(there), [*there.images()]) == before


@pytest.mark.parametrize(
    ("caller", "is_"),
    [
        ("arn:aws:sts::111122223333:assumed-role/forms-image-pipeline/x", "a pipeline role"),
        ("arn:aws:sts::444455556666:assumed-role/forms-image-pipeline/x", "neither"),
        ("arn:aws:sts::111122223333:assumed-role/break-glass/x", "an administrator role"),
        ("arn:aws:iam::111122223333:user/break-glass", "neither"),
        ("arn:aws:iam::111122223333:root", "neither"),
    ],
)
def test_who_calls(caller: str, is_: str, stack: DeclaredStack) -> None:
    assert caller_in(access_of(stack, NAME), caller).startswith(is_)


# --- Bad input ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("ecr")
def test_what_cannot_be_verified_is_told_in_a_sentence(sign_in: SignIn) -> None:
    assert "failed (RepositoryNotFoundException" in refused("verify", NAME, "--stack", "prod")
    assert "Pulumi.prod.yaml has no repository nobodys" in refused(
        "verify", "nobodys", "--stack", "prod"
    )
    arn = f"arn:aws:ecr:eu-west-2:444455556666:repository/{NAME}"
    assert "is in account 444455556666, and you call as" in refused(
        "verify", arn, "--stack", "prod"
    )
    arn = f"arn:aws:ecr:eu-west-1:111122223333:repository/{NAME}"
    assert "stack prod is in eu-west-2" in refused("verify", arn, "--stack", "prod")
    assert "there is no such stack" in refused("verify", NAME, "--stack", "nobodys")
    sign_in("arn:aws:iam::444455556666:role/anybody")
    assert "stack prod is in account 111122223333" in refused("verify", NAME, "--stack", "prod")


@pytest.mark.parametrize(
    "action",
    [
        "DescribeRepositories",
        "GetRepositoryPolicy",
        "GetLifecyclePolicy",
        "ListTagsForResource",
    ],
)
@pytest.mark.parametrize("command", ["verify", "adopt"])
@pytest.mark.usefixtures("guarded")
def test_a_permission_that_is_missing_is_told_by_name(
    action: str, command: str, answers: dict[str, tuple[str, str]]
) -> None:
    answers[action] = ("AccessDeniedException", "not authorized")
    done = run(command, NAME, "--stack", "prod")
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"no permission for ecr:{action} on {NAME}" in done.stderr
