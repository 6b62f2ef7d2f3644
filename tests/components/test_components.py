"""What the components register, with which inputs and options, and what they leave out."""

import json
from collections.abc import Callable

import pulumi
import pytest
from pulumi.provider.experimental.analyzer import Analyzer

from components.image_repository import ImageRepository, ImageRepositoryArgs
from components.pipeline_role import PipelineRole, PipelineRoleArgs
from policies import retention
from policies.document import to_json
from policies.fault import InvalidInputError
from policies.repository_policy import Access, repository_policy
from policies.trust_policy import Trust, pipeline_role_policy, trust_policy
from rehearsal.program import Resource, execute
from settings.stack_file import StackFile
from tests.conftest import Cloud

REPOSITORY = "aws:ecr/repository:Repository"
LIFECYCLE_POLICY = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
REPOSITORY_POLICY = "aws:ecr/repositoryPolicy:RepositoryPolicy"

Build = Callable[[Callable[[], object]], dict[str, Resource]]


@pytest.fixture
def build(prod: StackFile, cloud: Cloud) -> Build:
    """Runs a program; gives what it registered, by type."""

    def run(program: Callable[[], object]) -> dict[str, Resource]:
        resources = execute(program, prod, cloud).resources
        by_type = {resource.type: resource for resource in resources}
        assert len(by_type) == len(resources), "one of each"
        return by_type

    return run


@pytest.fixture
def args(access: Access) -> ImageRepositoryArgs:
    return {"access": access, "tag_mutability": "MUTABLE", "movable_tags": ["latest"]}


class TestImageRepository:
    def test_a_repository_and_two_policies_and_nothing_else(
        self, build: Build, args: ImageRepositoryArgs
    ) -> None:
        built = build(lambda: ImageRepository("app", args))
        assert {(it.type, it.name, it.parent) for it in built.values()} == {
            ("container-images:index:ImageRepository", "app", None),
            (REPOSITORY, "app", "app"),
            (LIFECYCLE_POLICY, "app-lifecycle", "app"),
            (REPOSITORY_POLICY, "app-policy", "app"),
        }

    def test_the_inputs_of_a_plain_one(self, build: Build, args: ImageRepositoryArgs) -> None:
        built = build(lambda: ImageRepository("app", args))
        assert built[REPOSITORY].inputs == {
            "name": "app",
            "imageTagMutability": "MUTABLE",
            "imageScanningConfiguration": {"scanOnPush": True},
            "encryptionConfigurations": [{"encryptionType": "AES256"}],
        }
        assert built[LIFECYCLE_POLICY].inputs == {
            "repository": "app",
            "policy": to_json(retention.lifecycle_policy(["latest"], [])),
        }
        assert built[REPOSITORY_POLICY].inputs == {
            "repository": "app",
            "policy": to_json(repository_policy(args["access"])),
        }

    def test_the_inputs_of_one_with_everything(
        self, build: Build, args: ImageRepositoryArgs
    ) -> None:
        args["tag_mutability"] = "MUTABLE_WITH_EXCLUSION"
        args["write_once_tags"] = ["prod-*", "stg-*"]
        args["retention"] = [{"tags": "prod-*", "keep_newest": 3}]
        args["kms_key"] = "arn:aws:kms:eu-west-2:111122223333:key/1"
        args["scan_on_push"] = False
        args["tags"] = {"Team": "forms"}
        args["access"]["lambda_pull"] = True
        built = build(lambda: ImageRepository("app", args))
        assert built[REPOSITORY].inputs == {
            "name": "app",
            "imageTagMutability": "MUTABLE_WITH_EXCLUSION",
            "imageTagMutabilityExclusionFilters": [
                {"filter": "prod-*", "filterType": "WILDCARD"},
                {"filter": "stg-*", "filterType": "WILDCARD"},
            ],
            "imageScanningConfiguration": {"scanOnPush": False},
            "encryptionConfigurations": [
                {
                    "encryptionType": "KMS",
                    "kmsKey": "arn:aws:kms:eu-west-2:111122223333:key/1",
                }
            ],
            "tags": {"Team": "forms"},
        }
        assert "LambdaPulls" in built[REPOSITORY_POLICY].inputs["policy"]
        [_, rule] = json.loads(built[LIFECYCLE_POLICY].inputs["policy"])["rules"]
        assert rule["selection"]["countNumber"] == 3

    def test_with_immutable_tags_the_movable_ones_are_excluded(
        self, build: Build, args: ImageRepositoryArgs
    ) -> None:
        args["tag_mutability"] = "IMMUTABLE_WITH_EXCLUSION"
        args["write_once_tags"] = ["prod-*"]
        built = build(lambda: ImageRepository("app", args))
        assert built[REPOSITORY].inputs["imageTagMutabilityExclusionFilters"] == [
            {"filter": "latest", "filterType": "WILDCARD"}
        ]

    def test_the_repository_is_protected_and_all_three_are_retained(
        self, build: Build, args: ImageRepositoryArgs
    ) -> None:
        built = build(lambda: ImageRepository("app", args))
        options = {kind: (it.protect, it.retain_on_delete) for kind, it in built.items()}
        assert options == {
            "container-images:index:ImageRepository": (False, False),
            REPOSITORY: (True, True),
            # A protected policy could never be replaced.
            LIFECYCLE_POLICY: (False, True),
            REPOSITORY_POLICY: (False, True),
        }

    @pytest.mark.parametrize(("wanted", "import_id"), [(True, "app"), (False, "")])
    def test_an_import_is_of_the_repository_alone(
        self,
        build: Build,
        args: ImageRepositoryArgs,
        wanted: bool,  # noqa: FBT001
        import_id: str,
    ) -> None:
        args["import_existing"] = wanted
        built = build(lambda: ImageRepository("app", args))
        assert built[REPOSITORY].import_id == import_id
        assert built[LIFECYCLE_POLICY].import_id == built[REPOSITORY_POLICY].import_id == ""

    def test_the_policy_waits_for_what_the_component_depends_on(
        self, prod: StackFile, cloud: Cloud, args: ImageRepositoryArgs, trust: Trust
    ) -> None:
        def program() -> None:
            role = PipelineRole("push", {"trust": trust})
            ImageRepository("app", args, pulumi.ResourceOptions(depends_on=role))

        resources = {it.name: it for it in execute(program, prod, cloud).resources}
        assert {"push", "app"} <= set(resources["app-policy"].depends_on)
        assert resources["app-lifecycle"].depends_on == ("app",)

    def test_a_tag_mutability_that_moves_no_tag_is_refused(
        self, build: Build, args: ImageRepositoryArgs
    ) -> None:
        args["tag_mutability"] = "IMMUTABLE"
        with pytest.raises(ValueError, match="IMMUTABLE"):
            build(lambda: ImageRepository("app", args))

    def test_a_lifecycle_policy_that_could_take_latest_is_refused(
        self, build: Build, args: ImageRepositoryArgs
    ) -> None:
        args["retention"] = [{"tags": "latest", "keep_newest": 1}]
        with pytest.raises(InvalidInputError, match="a shield already"):
            build(lambda: ImageRepository("app", args))

    def test_its_outputs_are_the_repositorys(
        self, prod: StackFile, cloud: Cloud, args: ImageRepositoryArgs
    ) -> None:
        def program() -> None:
            it = ImageRepository("app", args)
            pulumi.export("url", it.repository_url)
            pulumi.export("arn", it.repository_arn)
            pulumi.export("tagMutability", it.tag_mutability)

        assert execute(program, prod, cloud).outputs == {
            "url": "111122223333.dkr.ecr.eu-west-2.amazonaws.com/app",
            "arn": "arn:aws:ecr:eu-west-2:111122223333:repository/app",
            "tagMutability": "MUTABLE",
        }


@pytest.fixture
def trust() -> Trust:
    return {
        "partition": "aws",
        "account_id": "111122223333",
        "codebuild_projects": [],
        "github_subjects": ["repo:o/r:environment:production"],
        "roles": [],
    }


class TestPipelineRole:
    def test_a_role_with_a_login_and_nothing_else(
        self, prod: StackFile, cloud: Cloud, trust: Trust
    ) -> None:
        def program() -> None:
            PipelineRole("push", {"trust": trust})

        component, role, policy = execute(program, prod, cloud).resources
        assert (component.type, component.name) == ("container-images:index:PipelineRole", "push")
        assert (role.type, role.name, role.parent) == ("aws:iam/role:Role", "push", "push")
        assert role.inputs == {
            "name": "push",
            "path": "/",
            "description": "Pushes images to ECR and moves their tags",
            "assumeRolePolicy": to_json(trust_policy(trust)),
        }
        assert (policy.type, policy.name, policy.parent) == (
            "aws:iam/rolePolicy:RolePolicy",
            "push-login",
            "push",
        )
        assert policy.inputs == {
            "name": "registry-login",
            "role": "push",
            "policy": to_json(pipeline_role_policy()),
        }

    def test_a_path_and_a_boundary(self, prod: StackFile, cloud: Cloud, trust: Trust) -> None:
        boundary = "arn:aws:iam::111122223333:policy/boundary"

        def program() -> None:
            args: PipelineRoleArgs = {
                "trust": trust,
                "path": "/ci/",
                "permissions_boundary": boundary,
            }
            pulumi.export("arn", PipelineRole("push", args).arn)

        update = execute(program, prod, cloud)
        inputs = update.resources[1].inputs
        assert (inputs["path"], inputs["permissionsBoundary"]) == ("/ci/", boundary)
        assert update.outputs == {"arn": "arn:aws:iam::111122223333:role/ci/push"}


def test_other_languages_could_use_the_components() -> None:
    """Pulumi infers a component's schema from its args; it raises where it knows no type."""
    analyzed = Analyzer("container-images").analyze([ImageRepository, PipelineRole])
    repository = analyzed["component_definitions"]["ImageRepository"]
    assert repository.inputs.keys() == {
        "access",
        "tagMutability",
        "movableTags",
        "writeOnceTags",
        "retention",
        "kmsKey",
        "scanOnPush",
        "tags",
        "importExisting",
    }
    assert repository.outputs.keys() == {"repositoryUrl", "repositoryArn", "tagMutability"}
    role = analyzed["component_definitions"]["PipelineRole"]
    assert role.inputs.keys() == {"trust", "path", "permissionsBoundary"}
    assert role.outputs.keys() == {"arn"}
    types = analyzed["type_definitions"].values()
    fields = {
        **repository.inputs,
        **role.inputs,
        **{f"{it.name}.{name}": field for it in types for name, field in it.properties.items()},
    }
    assert [name for name, field in fields.items() if not field.description] == []
