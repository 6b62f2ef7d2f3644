"""Registry: what it takes as inputs, refuses, and reads from the configuration."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pulumi
import pytest
from pulumi.provider.experimental.analyzer import Analyzer

from components.image_repository import ImageRepository, ImageRepositoryArgs
from components.pipeline_role import PipelineRole, PipelineRoleArgs
from components.registry import Registry, RegistryArgs
from components.tag_audit import TagAudit
from container_images.policies.invalid_input import InvalidInputError
from container_images.policies.repository_policy import Access
from container_images.rehearsal.program import Update, execute
from container_images.settings import StackSettings
from container_images.settings.stack_file import StackFile
from tests.conftest import Cloud

ARGS: RegistryArgs = {
    "repositories": {"app": {"scan_on_push": False, "tags": {"the_team": "forms"}}, "my_web": {}},
    "tag_mutability": "IMMUTABLE_WITH_EXCLUSION",
    "pipeline_role": {"arn": "arn:aws:iam::111122223333:role/ci/push"},
    "administrator_roles": ["arn:aws:iam::111122223333:role/platform/forms-registry-deploy"],
    "retention": [{"tags": "prod-*", "keep_newest": 2}],
}


def registered(prod: StackFile, cloud: Cloud, args: Any, name: str = "registry") -> Update:
    return execute(lambda: Registry(name, cast("RegistryArgs", args)), prod, cloud)


def of_type(update: Update, kind: str) -> list[dict[str, Any]]:
    return [it.inputs for it in update.resources if it.type.endswith(f":{kind}")]


def test_its_inputs_are_the_settings() -> None:
    inputs = Analyzer("container-images").analyze([Registry])["component_definitions"]
    keys = {field.alias for field in StackSettings.model_fields.values()}
    assert inputs["Registry"].inputs.keys() == keys
    required = {key for key, field in inputs["Registry"].inputs.items() if not field.optional}
    assert required == {
        field.alias for field in StackSettings.model_fields.values() if field.is_required()
    }


def test_other_languages_could_use_all_four() -> None:
    components: list[type] = [Registry, ImageRepository, PipelineRole, TagAudit]
    analyzed = Analyzer("container-images").analyze(components)
    assert len(analyzed["component_definitions"]) == 4
    registry = analyzed["component_definitions"]["Registry"]
    assert set(registry.outputs) == {
        *("repositoryUrls", "repositoryArns", "tagMutability", "pipelineRoleArn"),
    }
    assert all(field.plain for field in registry.inputs.values()), "no Outputs"


def test_python_values_mean_what_a_stack_file_says(prod: StackFile, cloud: Cloud) -> None:
    update = registered(prod, cloud, ARGS)
    app, web = of_type(update, "Repository")
    assert (app["name"], web["name"]) == ("app", "my_web")
    assert app["imageScanningConfiguration"] == {"scanOnPush": False}
    assert app["tags"] == {"the_team": "forms"}
    assert [it["policy"].count("prod-*") for it in of_type(update, "LifecyclePolicy")] == [2, 2]


def test_whole_numbers_may_come_as_floats(prod: StackFile, cloud: Cloud) -> None:
    """Pulumi's protocol has no others."""
    args = {**ARGS, "retention": [{"tags": "prod-*", "keep_newest": 2.0}]}
    assert of_type(registered(prod, cloud, args), "LifecyclePolicy") == of_type(
        registered(prod, cloud, ARGS), "LifecyclePolicy"
    )


def test_all_errors_come_at_once(prod: StackFile, cloud: Cloud) -> None:
    args = {**ARGS, "lambda_pull": "x", "administrator_roles": ["arn:aws:iam::1:role/*"], "no": 1}
    with pytest.raises(pulumi.RunError) as refused:
        registered(prod, cloud, args)
    message = str(refused.value)
    assert "the configuration has 3 errors; nothing has been changed" in message
    assert all(key in message for key in ("lambdaPull = ", "administratorRoles[0]", "no = 1"))


def test_a_second_one_is_refused_by_name(prod: StackFile, cloud: Cloud) -> None:
    def program() -> None:
        Registry("first", ARGS)
        Registry("second", ARGS)

    with pytest.raises(pulumi.RunError, match="has the Registry first already, and second would"):
        execute(program, prod, cloud)


@pytest.mark.parametrize("project", ["container-images", "a-teams-own"])
def test_from_config_reads_the_namespace_of_the_project(
    prod: StackFile, cloud: Cloud, project: str
) -> None:
    config = {key.replace(prod.project, project, 1): text for key, text in prod.config.items()}
    stack = replace(prod, project=project, config=config)
    assert len(of_type(execute(Registry.from_config, stack, cloud), "Repository")) == 5


def test_a_namespace_like_the_projects_is_told_with_the_rest(prod: StackFile, cloud: Cloud) -> None:
    changes = {"container-image:lambdaPull": "true", "container-images:lambdaPull": '"x"'}
    stack = replace(prod, config={**prod.config, **changes})
    with pytest.raises(pulumi.RunError, match="2 errors") as refused:
        execute(Registry.from_config, stack, cloud)
    assert "did you mean container-images:lambdaPull?" in str(refused.value)


# --- What the components refuse, whoever calls them -----------------------------------------------


def test_an_output_is_refused_by_name(prod: StackFile, cloud: Cloud) -> None:
    def program() -> None:
        account = pulumi.Output.from_input("444455556666")
        Registry("registry", cast("RegistryArgs", {**ARGS, "pull_accounts": {"dev": account}}))

    with pytest.raises(pulumi.RunError, match=r"pullAccounts\.dev: must be a plain value"):
        execute(program, prod, cloud)


def repository_args(access: Access, **changes: Any) -> ImageRepositoryArgs:
    args = {"tag_mutability": "MUTABLE", "movable_tags": ["latest"], "access": access, **changes}
    return cast("ImageRepositoryArgs", args)


def wrong_access(**changes: Any) -> Callable[[Access], ImageRepositoryArgs]:
    return lambda access: repository_args(cast("Access", {**access, **changes}))


@pytest.mark.parametrize(
    ("args_of", "error"),
    [
        (
            wrong_access(pipeline_roles=["arn:aws:iam::111122223333:role/*"]),
            "access.pipelineRoles[0] = ",
        ),
        (
            wrong_access(administrator_roles=["arn:aws:iam::111122223333:role/a?"]),
            "access.administratorRoles[0] = ",
        ),
        (wrong_access(pipeline_roles=[]), "access.pipelineRoles = []: must have at least one"),
        (wrong_access(pull_accounts=["12"]), 'access.pullAccounts[0] = "12": must be an account'),
        (wrong_access(lambda_pull_accounts=["*"]), "access.lambdaPullAccounts[0] = "),
        (wrong_access(pull_organization="o-*"), "access.pullOrganization[0] = "),
        (
            lambda access: repository_args(
                cast("Access", {**access, "administrator_roles": access["pipeline_roles"]})
            ),
            "no role both moves tags and administers",
        ),
        (lambda access: repository_args(access, movable_tags=["-la"]), "movableTags[0] = "),
        (lambda access: repository_args(access, immutable_tags=["-x"]), "immutableTags[0] = "),
        (
            lambda access: repository_args(access, movable_tags=[pulumi.Output.from_input("x")]),
            "movableTags[0]: must be a plain value",
        ),
    ],
)
def test_an_image_repository_refuses(
    prod: StackFile,
    cloud: Cloud,
    access: Access,
    args_of: Callable[[Access], ImageRepositoryArgs],
    error: str,
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        execute(lambda: ImageRepository("app", args_of(access)), prod, cloud)
    assert error in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("roles", "arn:aws:iam::111122223333:role/*", "trust.roles[0] = "),
        ("github_subjects", "repo:o/r:pull_request", "trust.githubSubjects[0] = "),
        ("codebuild_projects", "*", "trust.codebuildProjects[0] = "),
    ],
)
def test_a_pipeline_role_refuses(
    prod: StackFile, cloud: Cloud, key: str, value: str, error: str
) -> None:
    trust = {"partition": "aws", "account_id": "111122223333", "codebuild_projects": []}
    trust |= {"github_subjects": [], "roles": [], key: [value]}
    args = cast("PipelineRoleArgs", {"trust": trust})
    with pytest.raises(InvalidInputError) as refused:
        execute(lambda: PipelineRole("push", args), prod, cloud)
    assert error in str(refused.value)


def test_the_policies_let_functions_of_other_accounts_pull(
    prod: StackFile, cloud: Cloud, access: Access
) -> None:
    access["lambda_pull"], access["lambda_pull_accounts"] = True, ["444455556666"]
    update = execute(lambda: ImageRepository("app", repository_args(access)), prod, cloud)
    [policy] = of_type(update, "RepositoryPolicy")
    [statement] = [
        it for it in json.loads(policy["policy"])["Statement"] if it["Sid"] == "LambdaPulls"
    ]
    assert statement["Condition"] == {
        "ArnLike": {
            "aws:SourceArn": [
                "arn:aws:lambda:eu-west-2:111122223333:function:*",
                "arn:aws:lambda:eu-west-2:444455556666:function:*",
            ]
        }
    }
