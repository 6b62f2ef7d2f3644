"""The table of ways through compute: as it says, and as AWS's service models know the calls."""

import functools
import re
import tomllib
from collections.abc import Mapping
from itertools import permutations
from typing import Annotated, Any, Final, Self

import pytest
from botocore.loaders import create_loader
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from container_images.access.compute import TABLE, Compute, ways_through_compute

COMPUTE: Final = ways_through_compute()

CallText = Annotated[str, Field(pattern=r"^[a-z0-9-]+:[A-Z][A-Za-z0-9]+ [^ ]+$")]
CALLED: Final = {action for way in COMPUTE for action, _ in way.calls}
PASSING: Final = {action for way in COMPUTE if way.passes for action, _ in way.calls}

MODELS: Final[Mapping[str, tuple[str, ...]]] = {
    "airflow": ("mwaa",),
    "bedrock-agentcore": ("bedrock-agentcore", "bedrock-agentcore-control"),
    "cloudformation": ("cloudformation", "cloudcontrol"),
    "elasticmapreduce": ("emr",),
    "events": ("events", "eventbridgev2"),
    "kinesisanalytics": ("kinesisanalyticsv2",),
    "lambda": ("lambda", "lambda-core", "lambda-microvms", "lambda-web"),
    "states": ("stepfunctions",),
}
"""botocore's models of the services whose actions have another prefix, or whose models are many."""

WITHOUT_OPERATION: Final = {
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonapigatewaymanagement.html
    "apigateway:PATCH",
    "apigateway:POST",
    "apigateway:PUT",
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonemrserverless.html
    "emr-serverless:AccessInteractiveEndpoints",
    "emr-serverless:AccessLivyEndpoints",
}

PASSING_UNNAMED: Final = {
    # In a launch template.
    "autoscaling:StartInstanceRefresh",
    "ec2:ModifySpotFleetRequest",
    # In text or a field of any name.
    "batch:SubmitServiceJob",
    "config:PutRemediationConfigurations",
    "datapipeline:PutPipelineDefinition",
    "elasticbeanstalk:UpdateEnvironment",
    "ssm:UpdateServiceSetting",
    # In what exists already.
    "rolesanywhere:EnableProfile",
}

PASSING_NOTHING_TO_RUN: Final[Mapping[str, str]] = {
    # The service writes logs, makes network interfaces, launches instances or reads artifacts.
    "amplify": "CreateDomainAssociation UpdateDomainAssociation",
    "appsync": "CreateApi CreateGraphqlApi UpdateApi UpdateGraphqlApi",
    "codebuild": "CreateFleet UpdateFleet UpdateProjectVisibility",
    "gamelift": "CreateBuild CreateGameServerGroup CreateScript UpdateGameServerGroup UpdateScript",
    "kinesisanalytics": "DiscoverInputSchema ExportSnapshot ImportSnapshot",
    "lambda": "CreateCapacityProvider CreateNetworkConnector UpdateNetworkConnector",
    # Events are replicated.
    "events": "CreateEndpoint UpdateEndpoint",
    # Extensions of CloudFormation trust resources.cloudformation.amazonaws.com.
    "cloudformation": "ActivateType RegisterType",
    # Load balancers, volumes and gateways, for ecs.amazonaws.com.
    "ecs": "CreateGateway CreateService CreateTaskSet UpdateGateway UpdateService",
    # Kept in the catalog, or used by Glue's own code.
    "glue": "CreateCatalog CreateColumnStatisticsTaskSettings CreateIntegrationResourceProperty "
    "CreateMLTransform CreateTableOptimizer PutDataCatalogEncryptionSettings "
    "StartColumnStatisticsTaskRun UpdateCatalog UpdateColumnStatisticsTaskSettings "
    "UpdateIntegrationResourceProperty UpdateMLTransform UpdateTableOptimizer",
    # SageMaker's own code, or AWS's own pipelines and partners' applications.
    "sagemaker": "CreateCompilationJob CreateDeviceFleet CreateEdgePackagingJob "
    "CreateFeatureGroup CreateFlowDefinition CreateImage CreateInferenceExperiment "
    "CreateLabelingJob CreateMlflowApp CreateMlflowTrackingServer CreatePartnerApp "
    "CreateTrainingSession RenderUiTemplate StartPipelineExecution UpdateDeviceFleet UpdateImage "
    "UpdatePartnerApp",
    # Notifications, another cloud, a preview; and what needs ssm:UpdateServiceSetting besides.
    "ssm": "CreateCloudConnector RegisterDefaultHostManagementConfiguration SendCommand "
    "StartExecutionPreview",
    # Memories, evaluations, payments and records.
    "bedrock-agentcore": "CreateABTest CreateConsentPortal CreateMemory "
    "CreateOnlineEvaluationConfig CreatePaymentManager CreateRegistryRecord UpdateABTest "
    "UpdateConsentPortal UpdateMemory UpdateOnlineEvaluationConfig UpdatePaymentManager "
    "UpdateRegistryRecord",
    # A launch template launches nothing by itself, nor does a launch configuration; the rest is for
    # other services of EC2's.
    "autoscaling": "CreateLaunchConfiguration PutLifecycleHook",
    "ec2": "AssociateEnclaveCertificateIamRole CreateFlowLogs CreateLaunchTemplate "
    "CreateLaunchTemplateVersion ExportImage ImportImage ImportSnapshot",
} | dict.fromkeys(
    (
        "airflow",
        "apprunner",
        "athena",
        "batch",
        "braket",
        "codepipeline",
        "datapipeline",
        "emr-serverless",
        "kafkaconnect",
        "pipes",
        "rolesanywhere",
        "scheduler",
        "states",
        "synthetics",
    ),
    "",
)
"""What else takes a role in the services that are here for what they run. Not looked through are
those whose other roles are many and trust services that are not here: rds, iot and the like."""


@functools.cache
def operations(prefix: str) -> Mapping[str, frozenset[str]]:
    """Actions of a service, each with the members of its request that name a role."""
    loader = create_loader()
    found = {}
    for name in MODELS.get(prefix, (prefix,)):
        model = loader.load_service_model(name, "service-2")
        for operation, spec in model["operations"].items():
            shape = spec.get("input", {}).get("shape")
            found[f"{prefix}:{operation}"] = frozenset(roles(model["shapes"], shape, set()))
    return found


def roles(shapes: Mapping[str, Any], name: str | None, seen: set[str]) -> set[str]:
    """Members of a shape, at any depth, that name a role or an instance profile."""
    if name is None or name in seen:
        return set()
    seen.add(name)
    shape = shapes[name]
    members: dict[str, Any] = shape.get("members", {})
    found = {it for it in members if re.search(r"role|instance_?profile", it, re.IGNORECASE)}
    inner = [*members.values(), *(shape[it] for it in ("member", "value") if it in shape)]
    return found.union(*(roles(shapes, it["shape"], seen) for it in inner))


def prefix_of(action: str) -> str:
    return action.partition(":")[0]


def ways(service: str, *, passes: bool, calls: str) -> list[Compute]:
    """The ways open to whoever may make these calls alone."""
    return [
        way
        for way in COMPUTE
        if (way.service, way.passes) == (service, passes)
        and {action for action, _ in way.calls} <= set(calls.split())
    ]


# --- What AWS knows -------------------------------------------------------------------------------


def test_every_action_is_an_operation() -> None:
    known = {action for prefix in map(prefix_of, CALLED) for action in operations(prefix)}
    assert CALLED - known == WITHOUT_OPERATION


def test_what_passes_a_role_takes_one() -> None:
    unnamed = {
        action
        for way in COMPUTE
        if way.passes and not any(operations(prefix_of(it)).get(it) for it, _ in way.calls)
        for action, _ in way.calls
    }
    assert unnamed == PASSING_UNNAMED | WITHOUT_OPERATION


@pytest.mark.parametrize("prefix", PASSING_NOTHING_TO_RUN)
def test_whatever_takes_a_role_passes_it_or_runs_nothing(prefix: str) -> None:
    """When AWS adds a call that does, this fails until somebody has decided about it."""
    taking = {
        action.partition(":")[2]
        for action, members in operations(prefix).items()
        # Roles of conversations and of reviewers are no roles of IAM's, and a policy is none.
        if members - {"role", "approverRoles", "ExecutionRoleSessionPolicy"}
        and action not in PASSING
    }
    reading = {
        it for it in taking if re.match("BatchGet|Delete|Describe|Disassociate|Get|List", it)
    }
    assert taking - reading == set(PASSING_NOTHING_TO_RUN[prefix].split())


# --- The table itself -----------------------------------------------------------------------------


class Entry(BaseModel):
    """An entry of the table: one of `any` and `all`, and no key that nobody reads."""

    model_config = ConfigDict(extra="forbid", strict=True)

    service: str = Field(pattern=r"^([a-z0-9-]+\.)+amazonaws\.com$")
    passes: bool
    source: bool = False
    note: str = Field(default="", min_length=1)
    pages: list[Annotated[str, Field(pattern=r"^https://docs\.aws\.amazon\.com/")]] = []
    any: list[CallText] = Field(default=[], min_length=1)
    all: list[CallText] = Field(default=[], min_length=2)

    @model_validator(mode="after")
    def one_of_both(self) -> Self:
        assert bool(self.any) is not bool(self.all), "one of any and all"
        return self


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    ways: list[Entry]


def test_every_entry_is_as_the_table_says() -> None:
    table = Table.model_validate(tomllib.loads(TABLE.read_text(encoding="utf-8")))
    assert sum(len(it.any) or 1 for it in table.ways) == len(COMPUTE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sources": True},
        {"service": "codebuild"},
        {"any": []},
        {"any": ["codebuild:StartBuild"]},
        {"any": ["codebuild:StartBuild project/* project/*"]},
        {"all": ["codebuild:StartBuild project/*", "codebuild:CreateProject project/*"]},
    ],
)
def test_a_wrong_entry_is_noticed(wrong: dict[str, Any]) -> None:
    right = {"service": "codebuild.amazonaws.com", "passes": True, "any": ["codebuild:Start *"]}
    Entry.model_validate(right)
    with pytest.raises(ValidationError):
        Entry.model_validate(right | wrong)


def test_actions_and_resources_are_well_formed() -> None:
    patterns = {pattern for way in COMPUTE for _, pattern in way.calls} - {"*"}
    arn = r"arn:\{partition\}:[a-z0-9-]+:\*:(\{account\}|\*|):[A-Za-z0-9*:/-]+"
    assert not [it for it in CALLED if not re.fullmatch(r"[a-z0-9-]+:[A-Z][A-Za-z0-9]+", it)]
    assert not [it for it in patterns if not re.fullmatch(arn, it)]


def test_the_source_is_a_resource() -> None:
    assert all(way.calls[0][1] != "*" for way in COMPUTE if way.source)


def test_no_way_demands_what_another_does_without() -> None:
    assert not [
        (longer, shorter)
        for longer, shorter in permutations(COMPUTE, 2)
        if (longer.service, longer.passes) == (shorter.service, shorter.passes)
        and set(longer.calls) >= set(shorter.calls)
    ]


def test_no_service_is_only_taken_over() -> None:
    """A service that is here is not asked whether the role could be passed to it some other way."""
    assert {way.service for way in COMPUTE if not way.passes} <= {
        way.service for way in COMPUTE if way.passes
    }


# --- Ways that are known --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "calls"),
    [
        ("codebuild", "codebuild:CreateProject"),
        ("codebuild", "codebuild:UpdateProject"),
        ("codebuild", "codebuild:StartBuild"),
        ("lambda", "lambda:CreateFunction lambda:InvokeFunction"),
        ("lambda", "lambda:UpdateFunctionConfiguration"),
        ("ecs-tasks", "ecs:RegisterTaskDefinition ecs:RunTask"),
        ("ecs-tasks", "ecs:RegisterTaskDefinition ecs:UpdateService"),
        ("ecs-tasks", "ecs:RunTask"),
        ("ecs-tasks", "ecs:StartTask"),
        ("ec2", "ec2:RunInstances"),
        ("ec2", "ec2:AssociateIamInstanceProfile"),
        ("cloudformation", "cloudformation:CreateStack"),
        ("cloudformation", "cloudformation:CreateChangeSet cloudformation:ExecuteChangeSet"),
        ("cloudformation", "cloudformation:CreateStackSet cloudformation:CreateStackInstances"),
        ("glue", "glue:CreateJob glue:StartJobRun"),
        ("glue", "glue:CreateDevEndpoint"),
        ("sagemaker", "sagemaker:CreateNotebookInstance"),
        ("sagemaker", "sagemaker:CreateTrainingJob"),
        ("states", "states:CreateStateMachine states:StartExecution"),
        ("scheduler", "scheduler:CreateSchedule"),
        ("ssm", "ssm:StartAutomationExecution"),
        ("ssm", "ssm:CreateActivation"),
        ("pods.eks", "eks:CreatePodIdentityAssociation"),
        ("rolesanywhere", "rolesanywhere:CreateProfile"),
    ],
)
def test_a_passed_role_is_run_as(service: str, calls: str) -> None:
    assert ways(f"{service}.amazonaws.com", passes=True, calls=calls)


@pytest.mark.parametrize(
    ("service", "calls"),
    [
        ("codebuild", "codebuild:StartBuild"),
        ("codebuild", "codebuild:StartBuildBatch"),
        ("codebuild", "codebuild:UpdateProject"),
        ("lambda", "lambda:UpdateFunctionCode"),
        ("ecs-tasks", "ecs:ExecuteCommand"),
        ("ec2", "ssm:SendCommand"),
        ("ec2", "ssm:StartSession"),
        ("cloudformation", "cloudformation:UpdateStack"),
        ("cloudformation", "cloudformation:CreateChangeSet"),
        ("glue", "glue:UpdateJob"),
        ("glue", "glue:UpdateDevEndpoint"),
        ("sagemaker", "sagemaker:CreatePresignedNotebookInstanceUrl"),
        ("states", "states:UpdateStateMachine"),
    ],
)
def test_what_runs_as_the_role_is_taken_over(service: str, calls: str) -> None:
    assert ways(f"{service}.amazonaws.com", passes=False, calls=calls)


@pytest.mark.parametrize(
    ("service", "calls"),
    [
        # What is started as it is does what it did before.
        ("codebuild", "codebuild:RetryBuild codebuild:BatchGetProjects"),
        ("lambda", "lambda:InvokeFunction lambda:CreateFunction"),
        ("cloudformation", "cloudformation:ExecuteChangeSet"),
        ("states", "states:StartExecution states:RedriveExecution"),
        # Whoever runs a task definition passes its role.
        ("ecs-tasks", "ecs:RegisterTaskDefinition ecs:RunTask ecs:StartTask ecs:UpdateService"),
        # A schedule's role is passed with every update.
        ("scheduler", "scheduler:CreateSchedule scheduler:UpdateSchedule"),
    ],
)
def test_what_takes_nothing_over(service: str, calls: str) -> None:
    assert not ways(f"{service}.amazonaws.com", passes=False, calls=calls)


def test_the_trust_of_a_role_for_codebuild_sees_the_project() -> None:
    sources = {
        (action, way.source)
        for way in COMPUTE
        if way.service == "codebuild.amazonaws.com"
        for action, pattern in way.calls
        if pattern == "arn:{partition}:codebuild:*:{account}:project/*"
    }
    assert {"codebuild:CreateProject", "codebuild:StartBuild"} <= {action for action, _ in sources}
    assert all(source for _, source in sources)
