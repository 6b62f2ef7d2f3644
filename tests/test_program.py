"""The whole program, with the stack files of this repository."""

import json
from typing import Any

import pulumi
import pytest
from pulumi.output import Unknown
from pulumi.runtime import MockCallArgs

from container_images.rehearsal.program import Update, execute, run
from container_images.settings import parse
from container_images.stack.declared import DeclaredStack
from tests.conftest import Cloud

NAMES = [
    "end-to-end-tests",
    "forms-admin-deploy",
    "forms-product-page-deploy",
    "forms-runner-deploy",
    "pipeline-visualiser",
]
INVOKES = [
    "aws:index/getCallerIdentity:getCallerIdentity",
    "aws:index/getRegion:getRegion",
    "aws:iam/getSessionContext:getSessionContext",
]
ROLE = "arn:aws:iam::111122223333:role"


def documents(update: Update) -> set[str]:
    return {each.inputs["policy"] for each in update.resources if "policy" in each.inputs}


class Refusing(Cloud):
    """Keeps what is registered, and fails the invoke that `failing` names."""

    def __init__(self, caller: str, failing: str = "none", refusal: str = "") -> None:
        super().__init__(caller)
        self.registered: list[str] = []
        self.failing, self.refusal = failing, refusal

    def new_resource(
        self, args: pulumi.runtime.MockResourceArgs
    ) -> tuple[str | None, dict[str, Any]]:
        self.registered.append(args.name)
        return super().new_resource(args)

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        return ({}, [("", self.refusal)]) if self.failing in args.token else super().call(args)


class TestTheProductionStack:
    def test_what_is_registered(self, prod: DeclaredStack, cloud: Cloud) -> None:
        """Types, names and parents make up the URNs: they stay as they are, for ever."""
        role = "forms-image-pipeline"
        expected = {
            ("container-images:index:Registry", "registry", None),
            ("container-images:index:PipelineRole", role, "registry"),
            ("aws:iam/role:Role", role, role),
            ("aws:iam/rolePolicy:RolePolicy", f"{role}-login", role),
        }
        for name in NAMES:
            expected |= {
                ("container-images:index:ImageRepository", name, "registry"),
                ("aws:ecr/repository:Repository", name, name),
                ("aws:ecr/lifecyclePolicy:LifecyclePolicy", f"{name}-lifecycle", name),
                ("aws:ecr/repositoryPolicy:RepositoryPolicy", f"{name}-policy", name),
            }
        # tests/components/test_tag_audit.py has the audit's.
        resources = run(prod.changed(audit={}), cloud).resources
        assert len(resources) == len(expected)
        assert {(each.type, each.name, each.parent) for each in resources} == expected
        policies = [each for each in resources if each.name.endswith("-policy")]
        assert all(role in each.depends_on for each in policies)

    def test_its_outputs(self, prod: DeclaredStack, cloud: Cloud) -> None:
        host = "111122223333.dkr.ecr.eu-west-2.amazonaws.com"
        arn = "arn:aws:ecr:eu-west-2:111122223333:repository"
        assert run(prod, cloud).outputs == {
            "repositoryUrls": {name: f"{host}/{name}" for name in NAMES},
            "repositoryArns": {name: f"{arn}/{name}" for name in NAMES},
            "tagMutability": dict.fromkeys(NAMES, "MUTABLE_WITH_EXCLUSION"),
            "pipelineRoleArn": f"{ROLE}/pipeline/forms-image-pipeline",
        }

    def test_every_repository_is_mutable_but_for_the_five_stages(
        self, prod: DeclaredStack, cloud: Cloud
    ) -> None:
        stages = ["merged-*", "stg-*", "prod-*", "dev-*", "pr-*"]
        for each in run(prod, cloud).resources:
            if each.type == "aws:ecr/repository:Repository":
                assert each.inputs["imageTagMutability"] == "MUTABLE_WITH_EXCLUSION"
                filters = each.inputs["imageTagMutabilityExclusionFilters"]
                assert [exclusion["filter"] for exclusion in filters] == stages

    def test_its_policies_are_those_that_the_settings_plan(
        self, prod: DeclaredStack, cloud: Cloud
    ) -> None:
        own = {"retention": [{"any": True, "keepNewest": 1}], "lambdaPull": True}
        entries = {"as-the-stack": {}, "of-its-own": own, "keeps-all": {"retention": []}}
        stack = prod.changed(repositories=entries)
        settings = parse(stack.config, stack.project)
        registered = {
            each.name: json.loads(each.inputs["policy"])
            for each in run(stack, cloud).resources
            if each.type.endswith((":LifecyclePolicy", ":RepositoryPolicy"))
        }
        planned: dict[str, Any] = {}
        for name in settings.repositories:
            planned[f"{name}-policy"] = settings.repository_policy(name, stack.account)
            planned[f"{name}-lifecycle"] = settings.lifecycle_policy(name)
        assert registered == planned

    def test_keys_boundaries_and_import_reach_the_resources(
        self, prod: DeclaredStack, cloud: Cloud
    ) -> None:
        key, other = (f"arn:aws:kms:eu-west-2:111122223333:key/{number}" for number in (1, 2))
        boundary = "arn:aws:iam::111122223333:policy/boundary"
        role = {"name": "push", "trustedRoles": [f"{ROLE}/ci"], "permissionsBoundary": boundary}
        app = {"kmsKey": key, "import": True, "scanOnPush": False}
        audit = {"kmsKey": other, "permissionsBoundary": boundary}
        stack = prod.changed(repositories={"app": app}, pipelineRole=role, audit=audit)
        resources = run(stack, cloud).resources
        by_type = {each.type: each for each in resources}
        repository = by_type["aws:ecr/repository:Repository"]
        assert repository.import_id == "app"
        assert repository.inputs["imageScanningConfiguration"] == {"scanOnPush": False}
        encryption = {"encryptionType": "KMS", "kmsKey": key}
        assert repository.inputs["encryptionConfigurations"] == [encryption]
        assert by_type["aws:sns/topic:Topic"].inputs["kmsMasterKeyId"] == other
        roles = [each for each in resources if each.type == "aws:iam/role:Role"]
        assert [each.inputs["permissionsBoundary"] for each in roles] == [boundary, boundary]

    def test_no_role_is_registered_where_one_exists(
        self, prod: DeclaredStack, cloud: Cloud
    ) -> None:
        update = run(prod.changed(pipelineRole={"arn": f"{ROLE}/ci/push"}, audit={}), cloud)
        assert update.outputs["pipelineRoleArn"] == f"{ROLE}/ci/push"
        assert not any("iam" in each.type for each in update.resources)
        assert all(set(each.depends_on) <= set(NAMES) for each in update.resources)

    def test_a_preview_shows_every_document_whole(self, prod: DeclaredStack) -> None:
        """With nothing known that AWS only tells when it has created something."""
        caller, prod = f"{ROLE}/platform/forms-registry-deploy", prod.changed(audit={})
        preview = run(prod, Cloud(caller, computed=False), preview=True)
        inputs = [(each.name, each.type, each.inputs) for each in preview.resources]
        update = run(prod, Cloud(caller))
        assert inputs == [(each.name, each.type, each.inputs) for each in update.resources]
        assert not any(isinstance(value, Unknown) for *_, its in inputs for value in its.values())


@pytest.mark.parametrize("count", [1, 40])
def test_neither_invokes_nor_documents_grow_with_the_repositories(
    prod: DeclaredStack, cloud: Cloud, count: int
) -> None:
    prod = prod.changed(audit={})
    base = documents(run(prod, cloud))
    cloud.invokes.clear()
    entries: dict[str, Any] = {f"app-{number}": {} for number in range(count)}
    update = run(prod.changed(repositories=entries), cloud)
    assert cloud.invokes == INVOKES
    assert documents(update) == base
    assert len(update.resources) == 4 + 4 * count


class TestLockOut:
    """The guard must not keep out the role that puts it up."""

    @pytest.mark.parametrize(
        "caller",
        [
            f"{ROLE}/somebody",
            f"{ROLE}/forms-registry-deploy",  # the name is right, and the path is not
            f"{ROLE}/pipeline/forms-image-pipeline",
            "arn:aws:iam::111122223333:root",
            "arn:aws:iam::444455556666:role/platform/forms-registry-deploy",
        ],
    )
    def test_an_update_as_anybody_else_fails_and_a_preview_warns(
        self, prod: DeclaredStack, caplog: pytest.LogCaptureFixture, caller: str
    ) -> None:
        cloud = Refusing(caller)
        with pytest.raises(pulumi.RunError) as refused:
            run(prod, cloud)
        assert cloud.registered == ["registry"], "the component, and nothing in AWS"
        assert f"{caller} is not one of the administratorRoles" in str(refused.value)
        twice = "as the old role, adding the new one; then as the new role, removing the old one"
        assert twice in str(refused.value)

        assert run(prod, Cloud(caller), preview=True).resources
        [warning] = [each.message for each in caplog.records if each.levelname == "WARNING"]
        assert f"{caller} is not one of the administratorRoles" in warning
        assert "An update would fail here" in warning

    def test_an_administrator_may_update(
        self, prod: DeclaredStack, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert run(prod, Cloud(f"{ROLE}/break-glass")).resources
        assert run(prod, Cloud(f"{ROLE}/break-glass"), preview=True).resources
        assert caplog.records == []

    def test_a_role_that_cannot_be_looked_up(
        self, prod: DeclaredStack, caplog: pytest.LogCaptureFixture
    ) -> None:
        cloud = Refusing(f"{ROLE}/break-glass", "SessionContext", "AccessDenied: iam:GetRole")
        with pytest.raises(pulumi.RunError, match=r"could not be looked up.*AccessDenied"):
            run(prod, cloud)
        assert run(prod, cloud, preview=True).resources
        assert "could not be looked up (iam:GetRole)" in caplog.text


@pytest.mark.parametrize("token", ["getCallerIdentity", "getRegion"])
@pytest.mark.parametrize(
    "refusal",
    [
        "returned an error: 1 error occurred:\n\t* No valid credential sources found.",
        "ExpiredToken",
    ],
)
def test_that_aws_accepts_no_call_is_one_sentence(
    prod: DeclaredStack, token: str, refusal: str
) -> None:
    """Where the SDK would print a traceback."""
    cloud = Refusing(f"{ROLE}/break-glass", token, refusal)
    with pytest.raises(pulumi.RunError) as refused:
        run(prod, cloud)
    message = str(refused.value)
    assert "\n" not in message
    assert " ".join(refusal.split()) in message
    assert message.endswith("(aws sso login, AWS_PROFILE) and set aws:region")
    assert cloud.registered == ["registry"], "the component, and nothing in AWS"


def test_a_preview_warns_once_of_every_repository_that_leaves_tags_open(
    prod: DeclaredStack, cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    """The README promises that no other tag ever changes its meaning."""
    entries = {
        "one": {"tagMutability": "MUTABLE"},
        "other": {"tagMutability": "MUTABLE"},
        "partly": {"immutableTags": ["prod-*"]},
        "none": {"tagMutability": "IMMUTABLE_WITH_EXCLUSION"},
        "as-the-stack": {},
    }
    run(prod.changed(repositories=entries), cloud, preview=True)
    [warning] = [each.message for each in caplog.records if each.levelname == "WARNING"]
    assert "one (*), other (*)" in warning
    assert "partly (stg-*, merged-*, dev-*, pr-*)" in warning
    assert "none (" not in warning
    assert "as-the-stack" not in warning


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
