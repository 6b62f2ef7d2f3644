"""The whole program, with a production stack of one of everything."""

import json
from typing import Any

import pulumi
import pytest
from pulumi.output import Unknown
from pulumi.runtime import MockCallArgs, MockResourceArgs

from container_images.rehearsal.program import Update, execute, run
from container_images.stack.declared import DeclaredStack
from tests.cloud import DEPLOYING_ROLE, Cloud, awaited

INVOKES = [
    "aws:index/getCallerIdentity:getCallerIdentity",
    "aws:index/getRegion:getRegion",
    "aws:iam/getSessionContext:getSessionContext",
]
ROLE = "arn:aws:iam::111122223333:role"


class Refusing(Cloud):
    """Keeps what is registered, and fails the invoke that `failing` names."""

    def __init__(self, caller: str, failing: str = "none", refusal: str = "") -> None:
        super().__init__(caller)
        self.registered: list[str] = []
        self.failing, self.refusal = failing, refusal

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.registered.append(args.name)
        return super().new_resource(args)

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        return ({}, [("", self.refusal)]) if self.failing in args.token else super().call(args)


@pytest.fixture(scope="module")
def plain(prod: DeclaredStack) -> DeclaredStack:
    """The production stack without its audit, which tests/components/test_tag_audit.py has."""
    return prod.changed(audit={})


def documents(update: Update) -> dict[str, Any]:
    """Every policy of the repositories, by name."""
    ours = [each for each in update.resources if "policy" in each.inputs]
    return {each.name: json.loads(each.inputs["policy"]) for each in ours}


# --- What is registered ---------------------------------------------------------------------------


def test_what_is_registered(plain: DeclaredStack, deployed: Update, cloud: Cloud) -> None:
    """Types, names and parents make up the URNs: they stay as they are, for ever."""
    role, names = "forms-image-pipeline", list(plain.settings.repositories)
    expected = {
        ("container-images:index:Registry", "registry", None),
        ("container-images:index:PipelineRole", role, "registry"),
        ("aws:iam/role:Role", role, role),
        ("aws:iam/rolePolicy:RolePolicy", f"{role}-login", role),
    }
    for name in names:
        expected |= {
            ("container-images:index:ImageRepository", name, "registry"),
            ("aws:ecr/repository:Repository", name, name),
            ("aws:ecr/lifecyclePolicy:LifecyclePolicy", f"{name}-lifecycle", name),
            ("aws:ecr/repositoryPolicy:RepositoryPolicy", f"{name}-policy", name),
        }
    resources = run(plain, cloud).resources
    assert len(resources) == len(expected)
    assert {(each.type, each.name, each.parent) for each in resources} == expected
    waiting = {each.name for each in resources if role in awaited(each)}
    assert waiting == {*names, *(f"{name}-policy" for name in names)}
    host = "111122223333.dkr.ecr.eu-west-2.amazonaws.com"
    arn = "arn:aws:ecr:eu-west-2:111122223333:repository"
    assert deployed.outputs == {
        "repositoryUrls": {name: f"{host}/{name}" for name in names},
        "repositoryArns": {name: f"{arn}/{name}" for name in names},
        "tagMutability": dict.fromkeys(names, "MUTABLE_WITH_EXCLUSION"),
        "pipelineRoleArn": f"{ROLE}/pipeline/forms-image-pipeline",
    }


def test_its_policies_are_those_that_the_settings_plan(prod: DeclaredStack, cloud: Cloud) -> None:
    own = {"retention": [{"any": True, "keepNewest": 1}], "lambdaPull": True}
    entries = {"as-the-stack": {}, "of-its-own": own, "keeps-all": {"retention": []}}
    stack = prod.changed(repositories=entries, audit={})
    planned: dict[str, Any] = {}
    for name in entries:
        planned[f"{name}-policy"] = stack.settings.repository_policy(name, stack.account)
        planned[f"{name}-lifecycle"] = stack.settings.lifecycle_policy(name)
    registered = documents(run(stack, cloud))
    del registered["forms-image-pipeline-login"]
    assert registered == planned


def test_keys_boundaries_and_import_reach_the_resources(prod: DeclaredStack, cloud: Cloud) -> None:
    key, other = (f"arn:aws:kms:eu-west-2:111122223333:key/{number}" for number in (1, 2))
    boundary = "arn:aws:iam::111122223333:policy/boundary"
    subject = "project_path:example/forms:ref_type:branch:ref:main"
    oidc = {"provider": "gitlab.com", "audience": "https://gitlab.com", "subjects": [subject]}
    role = {"name": "push", "trustedOidc": oidc, "permissionsBoundary": boundary}
    app = {"kmsKey": key, "import": True, "scanOnPush": False}
    audit = {"kmsKey": other, "permissionsBoundary": boundary}
    stack = prod.changed(repositories={"app": app}, pipelineRole=role, audit=audit)
    resources = run(stack, cloud).resources
    by_type = {each.type: each for each in resources}
    repository = by_type["aws:ecr/repository:Repository"]
    assert repository.options.import_ == "app"
    assert repository.inputs["imageScanningConfiguration"] == {"scanOnPush": False}
    encryption = {"encryptionType": "KMS", "kmsKey": key}
    assert repository.inputs["encryptionConfigurations"] == [encryption]
    assert by_type["aws:sns/topic:Topic"].inputs["kmsMasterKeyId"] == other
    roles = [each for each in resources if each.type == "aws:iam/role:Role"]
    assert [each.inputs["permissionsBoundary"] for each in roles] == [boundary, boundary]
    assert subject in roles[0].inputs["assumeRolePolicy"]


def test_no_role_is_registered_where_one_exists(plain: DeclaredStack, cloud: Cloud) -> None:
    update = run(plain.changed(pipelineRole={"arn": f"{ROLE}/ci/push"}), cloud)
    assert update.outputs["pipelineRoleArn"] == f"{ROLE}/ci/push"
    assert not any("iam" in each.type for each in update.resources)
    names = plain.settings.repositories.keys()
    assert all(awaited(each) <= names for each in update.resources)


def test_a_preview_shows_every_document_whole(plain: DeclaredStack, cloud: Cloud) -> None:
    """With nothing known that AWS only tells when it has created something."""
    preview = run(plain, Cloud(DEPLOYING_ROLE, computed=False), preview=True)
    inputs = [(each.name, each.type, each.inputs) for each in preview.resources]
    update = run(plain, cloud)
    assert inputs == [(each.name, each.type, each.inputs) for each in update.resources]
    assert not any(isinstance(value, Unknown) for *_, its in inputs for value in its.values())


@pytest.mark.parametrize("count", [1, 40])
def test_neither_invokes_nor_documents_grow_with_the_repositories(
    plain: DeclaredStack, cloud: Cloud, count: int
) -> None:
    entries: dict[str, Any] = {f"app-{number}": {} for number in range(count)}
    update = run(plain.changed(repositories=entries), cloud)
    assert cloud.invokes == INVOKES
    assert len({json.dumps(each) for each in documents(update).values()}) == 3
    assert len(update.resources) == 4 + 4 * count


# --- What is refused, and before what -------------------------------------------------------------


@pytest.mark.parametrize(
    "caller",
    [
        f"{ROLE}/forms-registry-deploy",  # the name is right, and the path is not
        f"{ROLE}/pipeline/forms-image-pipeline",
        "arn:aws:iam::111122223333:root",
        "arn:aws:iam::444455556666:role/platform/forms-registry-deploy",
    ],
)
def test_the_guard_must_not_lock_out_the_role_that_puts_it_up(
    plain: DeclaredStack, caplog: pytest.LogCaptureFixture, caller: str
) -> None:
    """An update as anybody else fails, and a preview warns."""
    cloud = Refusing(caller)
    with pytest.raises(pulumi.RunError) as refused:
        run(plain, cloud)
    assert cloud.registered == ["registry"], "the component, and nothing in AWS"
    assert f"{caller} is not one of the administratorRoles" in str(refused.value)
    twice = "as the old role, adding the new one; then as the new role, removing the old one"
    assert twice in str(refused.value)

    assert run(plain, cloud, preview=True).resources
    [warning] = [each.message for each in caplog.records if each.levelname == "WARNING"]
    assert f"{caller} is not one of the administratorRoles" in warning
    assert "An update would fail here" in warning


def test_any_administrator_may_update(
    plain: DeclaredStack, caplog: pytest.LogCaptureFixture
) -> None:
    for preview in (False, True):
        assert run(plain, Cloud(f"{ROLE}/break-glass"), preview=preview).resources
    assert caplog.records == []


def test_a_role_that_cannot_be_looked_up(
    plain: DeclaredStack, caplog: pytest.LogCaptureFixture
) -> None:
    cloud = Refusing(f"{ROLE}/break-glass", "SessionContext", "AccessDenied: iam:GetRole")
    with pytest.raises(pulumi.RunError, match=r"could not be looked up.*AccessDenied"):
        run(plain, cloud)
    assert run(plain, cloud, preview=True).resources
    assert "could not be looked up (iam:GetRole)" in caplog.text


@pytest.mark.parametrize("token", ["getCallerIdentity", "getRegion"])
def test_that_aws_accepts_no_call_is_one_sentence(plain: DeclaredStack, token: str) -> None:
    """Where the SDK would print a traceback."""
    refusal = "returned an error: 1 error occurred:\n\t* No valid credential sources found."
    cloud = Refusing(f"{ROLE}/break-glass", token, refusal)
    with pytest.raises(pulumi.RunError) as refused:
        run(plain, cloud)
    message = str(refused.value)
    assert "\n" not in message
    assert " ".join(refusal.split()) in message
    assert message.endswith("(aws sso login, AWS_PROFILE) and set aws:region")
    assert cloud.registered == ["registry"], "the component, and nothing in AWS"


def test_a_preview_warns_once_of_every_repository_that_leaves_tags_open(
    prod: DeclaredStack, cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    """The README promises that no other tag ever changes its meaning."""
    entries = {"one": {"tagMutability": "MUTABLE"}, "as-the-stack": {}}
    run(prod.changed(repositories=entries, audit={}), cloud, preview=True)
    [warning] = [each.message for each in caplog.records if each.levelname == "WARNING"]
    assert "Tags can be overwritten in one: " in warning


def test_bad_settings_fail_before_anything_is_registered(prod: DeclaredStack) -> None:
    """So that the state has nothing of it; and the next run is none the wiser."""
    cloud = Refusing(f"{ROLE}/break-glass")
    with pytest.raises(pulumi.RunError, match="2 errors"):
        run(prod.changed(lambdaPull="x", movableTag="x"), cloud)
    assert (cloud.registered, cloud.invokes) == ([], [])
    assert len(run(prod.changed(audit={}), cloud).resources) == 24
    assert pulumi.runtime.get_root_resource() is None


def test_the_same_resource_twice_is_refused_as_the_engine_does(
    prod: DeclaredStack, cloud: Cloud
) -> None:
    def program() -> None:
        for _ in range(2):
            pulumi.ComponentResource("container-images:index:PipelineRole", "twice")

    with pytest.raises(ValueError, match="'twice' twice"):
        execute(program, prod, cloud)
