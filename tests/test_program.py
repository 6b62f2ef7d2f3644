"""The whole program, with the stack files of this repository."""

import json
from dataclasses import asdict, replace
from typing import Any, ClassVar

import pulumi
import pytest
from pulumi.output import Unknown
from pulumi.runtime import MockCallArgs

from container_images.rehearsal.program import Update, execute, run
from container_images.settings import parse
from container_images.settings.planned import planned_lifecycle_policy, planned_repository_policy
from container_images.settings.stack_file import StackFile
from tests.conftest import Cloud

NAMES = [
    "end-to-end-tests",
    "forms-admin-deploy",
    "forms-product-page-deploy",
    "forms-runner-deploy",
    "pipeline-visualiser",
]
POLICY_TYPE = "aws:ecr/repositoryPolicy:RepositoryPolicy"
INVOKES = [
    "aws:index/getCallerIdentity:getCallerIdentity",
    "aws:index/getRegion:getRegion",
    "aws:iam/getSessionContext:getSessionContext",
]


def changed(stack: StackFile, **changes: Any) -> StackFile:
    """The stack, with other values under some of its keys; None takes a key away."""
    config = dict(stack.config)
    for key, value in changes.items():
        if value is None:
            del config[f"container-images:{key}"]
        else:
            config[f"container-images:{key}"] = json.dumps(value)
    return replace(stack, config=config)


def documents(update: Update) -> set[str]:
    return {it.inputs["policy"] for it in update.resources if "policy" in it.inputs}


class TestTheProductionStack:
    def test_what_is_registered(self, prod: StackFile, cloud: Cloud) -> None:
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
        registered = [
            (it.type, it.name, it.parent) for it in run(changed(prod, audit={}), cloud).resources
        ]
        assert len(registered) == len(expected)
        assert set(registered) == expected

    def test_its_outputs(self, prod: StackFile, cloud: Cloud) -> None:
        host = "111122223333.dkr.ecr.eu-west-2.amazonaws.com"
        arn = "arn:aws:ecr:eu-west-2:111122223333:repository"
        assert run(prod, cloud).outputs == {
            "repositoryUrls": {name: f"{host}/{name}" for name in NAMES},
            "repositoryArns": {name: f"{arn}/{name}" for name in NAMES},
            "tagMutability": dict.fromkeys(NAMES, "MUTABLE_WITH_EXCLUSION"),
            "pipelineRoleArn": "arn:aws:iam::111122223333:role/pipeline/forms-image-pipeline",
        }

    def test_every_repository_is_mutable_but_for_the_five_stages(
        self, prod: StackFile, cloud: Cloud
    ) -> None:
        stages = ["merged-*", "stg-*", "prod-*", "dev-*", "pr-*"]
        for it in run(prod, cloud).resources:
            if it.type == "aws:ecr/repository:Repository":
                assert it.inputs["imageTagMutability"] == "MUTABLE_WITH_EXCLUSION"
                filters = it.inputs["imageTagMutabilityExclusionFilters"]
                assert [one["filter"] for one in filters] == stages

    def test_every_repository_policy_waits_for_the_role(
        self, prod: StackFile, cloud: Cloud
    ) -> None:
        policies = [it for it in run(prod, cloud).resources if it.name.endswith("-policy")]
        assert len(policies) == len(NAMES)
        assert all("forms-image-pipeline" in it.depends_on for it in policies)

    def test_its_policies_are_those_planned_from_the_settings(
        self, prod: StackFile, cloud: Cloud
    ) -> None:
        stack = changed(
            prod,
            repositories={
                "as-the-stack": {},
                "of-its-own": {"retention": [{"any": True, "keepNewest": 1}], "lambdaPull": True},
                "keeps-all": {"retention": []},
            },
        )
        settings = parse(stack.config_in("container-images"), stack.account)
        registered = {
            it.name: json.loads(it.inputs["policy"])
            for it in run(stack, cloud).resources
            if it.type in {"aws:ecr/lifecyclePolicy:LifecyclePolicy", POLICY_TYPE}
        }
        planned: dict[str, Any] = {}
        for name in settings.repositories:
            planned[f"{name}-policy"] = planned_repository_policy(settings, name, stack.account)
            planned[f"{name}-lifecycle"] = planned_lifecycle_policy(settings, name)
        assert registered == planned

    def test_no_role_is_registered_where_one_exists(self, prod: StackFile, cloud: Cloud) -> None:
        arn = "arn:aws:iam::111122223333:role/ci/push"
        update = run(changed(prod, pipelineRole={"arn": arn}, audit={}), cloud)
        assert update.outputs["pipelineRoleArn"] == arn
        assert {it.type for it in update.resources if "iam" in it.type} == set()
        assert all(set(it.depends_on) <= set(NAMES) for it in update.resources), (
            "nothing to wait for but the repository"
        )

    def test_a_preview_shows_every_document_whole(self, prod: StackFile) -> None:
        """With nothing known that AWS only tells when it has created something."""
        caller = "arn:aws:iam::111122223333:role/platform/forms-registry-deploy"
        prod = changed(prod, audit={})
        preview = run(prod, Cloud(caller, computed=False), preview=True)
        update = run(prod, Cloud(caller))
        assert documents(preview) == documents(update)
        inputs = [(it.name, it.type, it.inputs) for it in preview.resources]
        assert inputs == [(it.name, it.type, it.inputs) for it in update.resources]
        assert not any(isinstance(value, Unknown) for *_, its in inputs for value in its.values())


class TestGrowth:
    @pytest.mark.parametrize("count", [1, 3, 40])
    def test_neither_invokes_nor_documents_grow_with_the_repositories(
        self, prod: StackFile, cloud: Cloud, count: int
    ) -> None:
        prod = changed(prod, audit={})
        base = documents(run(prod, cloud))
        cloud.invokes.clear()
        entries: dict[str, Any] = {f"app-{number}": {} for number in range(count)}
        update = run(changed(prod, repositories=entries), cloud)
        assert cloud.invokes == INVOKES
        assert documents(update) == base
        assert len(update.resources) == 4 + 4 * count

    def test_the_order_of_the_keys_does_not_matter(self, prod: StackFile, cloud: Cloud) -> None:
        def reversed_keys(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: reversed_keys(value[key]) for key in reversed(value)}
            return [reversed_keys(it) for it in value] if isinstance(value, list) else value

        prod = changed(
            prod,
            repositories={
                "bb": {"tags": {"x": "1", "a": "2"}, "scanOnPush": False},
                "aa": {"retention": [{"tags": "v*", "keepNewest": 1}]},
            },
        )
        mixed = {
            key: json.dumps(reversed_keys(json.loads(text)))
            if text.startswith(("{", "["))
            else text
            for key, text in reversed([*prod.config.items()])
        }
        one, other = run(prod, cloud), run(replace(prod, config=mixed), cloud)
        assert prod.config != mixed
        assert [json.dumps(asdict(it)) for it in one.resources] == [
            json.dumps(asdict(it)) for it in other.resources
        ]


class TestLockOut:
    """The guard must not keep out the role that puts it up."""

    def test_an_administrator_may_update(self, prod: StackFile) -> None:
        assert run(prod, Cloud("arn:aws:iam::111122223333:role/break-glass")).resources

    @pytest.mark.parametrize(
        "caller",
        [
            "arn:aws:iam::111122223333:role/somebody",
            # The name is right, and the path is not.
            "arn:aws:iam::111122223333:role/forms-registry-deploy",
            "arn:aws:iam::111122223333:role/pipeline/forms-image-pipeline",
            "arn:aws:iam::111122223333:root",
        ],
    )
    def test_an_update_as_anybody_else_fails_before_anything_is_registered(
        self, prod: StackFile, caller: str
    ) -> None:
        cloud = Recording(caller)
        with pytest.raises(pulumi.RunError) as refused:
            run(prod, cloud)
        assert cloud.registered == ["registry"], "the component, and nothing in AWS"
        message = str(refused.value)
        assert f"{caller} is not one of the administratorRoles" in message
        assert (
            "as the old role, adding the new one; then as the new role, removing the old one"
            in message
        )

    def test_a_preview_as_anybody_else_warns(
        self, prod: StackFile, caplog: pytest.LogCaptureFixture
    ) -> None:
        caller = "arn:aws:iam::111122223333:role/previews"
        assert run(prod, Cloud(caller), preview=True).resources
        [warning] = [it.message for it in caplog.records if it.levelname == "WARNING"]
        assert f"{caller} is not one of the administratorRoles" in warning
        assert "An update would fail here" in warning

    def test_an_administrators_preview_does_not(
        self, prod: StackFile, cloud: Cloud, caplog: pytest.LogCaptureFixture
    ) -> None:
        run(prod, cloud, preview=True)
        assert caplog.records == []

    def test_an_update_fails_where_the_role_cannot_be_looked_up(self, prod: StackFile) -> None:
        cloud = WithoutGetRole("arn:aws:iam::111122223333:role/break-glass")
        with pytest.raises(pulumi.RunError, match=r"could not be looked up.*AccessDenied"):
            run(prod, cloud)

    def test_and_a_preview_warns(self, prod: StackFile, caplog: pytest.LogCaptureFixture) -> None:
        cloud = WithoutGetRole("arn:aws:iam::111122223333:role/break-glass")
        assert run(prod, cloud, preview=True).resources
        assert "could not be looked up (iam:GetRole)" in caplog.text


class TestCredentials:
    """One sentence, where the SDK would print a traceback."""

    REFUSALS: ClassVar[list[str]] = [
        "invocation returned an error: 1 error occurred:\n\t* No valid credential sources found.",
        "ExpiredToken: The security token included in the request is expired",
        "AWS account ID not allowed: 444455556666",
        "missing region information",
    ]

    @pytest.mark.parametrize("refusal", REFUSALS)
    @pytest.mark.parametrize("token", ["getCallerIdentity", "getRegion"])
    def test_that_aws_refuses(self, prod: StackFile, token: str, refusal: str) -> None:
        cloud = Refusing("arn:aws:iam::111122223333:role/break-glass", token, refusal)
        with pytest.raises(pulumi.RunError) as refused:
            run(prod, cloud)
        message = str(refused.value)
        assert "\n" not in message
        assert " ".join(refusal.split()) in message
        assert message.endswith(
            "log in to the stack's account (aws sso login, AWS_PROFILE) and set aws:region"
        )
        assert cloud.registered == ["registry"], "the component, and nothing in AWS"


class TestOverwriting:
    """The README promises that no other tag ever changes its meaning."""

    @staticmethod
    def warnings(
        prod: StackFile, cloud: Cloud, caplog: pytest.LogCaptureFixture, **changes: Any
    ) -> list[str]:
        run(changed(prod, **changes), cloud, preview=True)
        return [it.message for it in caplog.records if it.levelname == "WARNING"]

    def test_a_preview_warns_once_of_every_repository_that_leaves_tags_open(
        self, prod: StackFile, cloud: Cloud, caplog: pytest.LogCaptureFixture
    ) -> None:
        entries = {
            "one": {"tagMutability": "MUTABLE"},
            "other": {"tagMutability": "MUTABLE"},
            "partly": {"immutableTags": ["prod-*"]},
            "none": {"tagMutability": "IMMUTABLE_WITH_EXCLUSION"},
            "as-the-stack": {},
        }
        [warning] = self.warnings(prod, cloud, caplog, repositories=entries)
        assert "one (*), other (*)" in warning
        assert "partly (stg-*, merged-*, dev-*, pr-*)" in warning
        assert "none (" not in warning
        assert "as-the-stack" not in warning
        assert "choose MUTABLE_WITH_EXCLUSION with immutableTags for" in warning
        assert "or IMMUTABLE_WITH_EXCLUSION for any others" in warning

    def test_the_production_stack_leaves_none_open(
        self, prod: StackFile, cloud: Cloud, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert self.warnings(prod, cloud, caplog) == []


class Recording(Cloud):
    registered: list[str]

    def __init__(self, caller: str) -> None:
        super().__init__(caller)
        self.registered = []

    def new_resource(
        self, args: pulumi.runtime.MockResourceArgs
    ) -> tuple[str | None, dict[str, Any]]:
        self.registered.append(args.name)
        return super().new_resource(args)


class Refusing(Recording):
    """AWS, or the provider on its behalf, answers one of the invokes with a failure."""

    def __init__(self, caller: str, token: str, refusal: str) -> None:
        super().__init__(caller)
        self.token, self.refusal = token, refusal

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        if self.token in args.token:
            return {}, [("", self.refusal)]
        return super().call(args)


class WithoutGetRole(Cloud):
    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        if "SessionContext" in args.token:
            return {}, [("arn", "AccessDenied: not authorized to perform iam:GetRole")]
        return super().call(args)


def test_bad_settings_fail_before_anything_is_registered(prod: StackFile) -> None:
    cloud = Recording("arn:aws:iam::111122223333:role/break-glass")
    with pytest.raises(pulumi.RunError, match="2 errors"):
        run(changed(prod, lambdaPull="x", movableTag="x"), cloud)
    assert cloud.registered == ["registry"], "the component, and nothing in AWS"


def test_one_run_leaves_nothing_to_the_next(prod: StackFile, cloud: Cloud) -> None:
    with pytest.raises(pulumi.RunError):
        run(changed(prod, repositories=None), cloud)
    assert len(run(changed(prod, audit={}), cloud).resources) == 24
    assert pulumi.runtime.get_root_resource() is None


def test_the_same_resource_twice_is_refused_as_the_engine_does(
    prod: StackFile, cloud: Cloud
) -> None:
    def program() -> None:
        for _ in range(2):
            pulumi.ComponentResource("container-images:index:PipelineRole", "twice")

    with pytest.raises(ValueError, match="'twice' twice"):
        execute(program, prod, cloud)
