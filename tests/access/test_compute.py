"""Which calls take a role over: AWS's models, AWS's own policies, published paths."""

import json
import sys
import textwrap
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from container_images.access.evaluation import Principal
from container_images.access.paths import Network
from container_images.access.policy import parse
from container_images.access.steps import TABLE, is_harmless, request, service_of
from tests.access.accounts import (
    ACCOUNT,
    GUARD,
    IAM,
    Document,
    able,
    allow,
    details,
    role,
    trust,
    user,
)
from tests.access.botocore_models import operations, secrets_in

SERVICES: Final = {name: service_of(f"{name}.amazonaws.com") for name in TABLE["services"]}
CALLS: Final = {
    name: {
        *((f"{prefix}:*", "*") for prefix in service["prefixes"]),
        *((it.split(" ")[0], it.split(" ")[1]) for it in service["calls"]),
    }
    for name, service in SERVICES.items()
}
PREFIXES: Final = sorted(
    {action[:-2] for calls in CALLS.values() for action, _ in calls if action.endswith(":*")}
)
SNAPSHOT: Final = Path(__file__).with_name("harmless.txt")


# --- What AWS knows -------------------------------------------------------------------------------


def snapshot() -> str:
    """Every operation of the services that is harmless by the table."""
    paragraphs = []
    for prefix in PREFIXES:
        names = sorted(name for name, *_ in operations(prefix) if is_harmless(f"{prefix}:{name}"))
        text = f"{prefix}: {' '.join(names)}"
        paragraphs.append(textwrap.fill(text, 120, subsequent_indent="  "))
    return "\n".join(paragraphs) + "\n"


def test_somebody_has_decided_about_every_call_that_is_harmless() -> None:
    """Look at each new one, then: python -m tests.access.test_compute >tests/access/harmless.txt"""
    pinned = SNAPSHOT.read_text(encoding="utf-8")
    assert [it for it in snapshot().split() if it not in set(pinned.split())] == []
    assert snapshot() == pinned


NO_SECRETS: Final[Mapping[str, str]] = {
    "apigateway": "the ARN of a role",
    "bedrock:GetDocumentContent": "a document of a knowledge base",
    "bedrock-agentcore": "a secret's ARN, and the id of a payment",
    "codebuild": "the name of a secret",
    "codepipeline": "what approves a stage, and what a source signs its webhooks with",
    "eks": "what installs a cluster elsewhere",
    "elasticbeanstalk": "where an application answers",
    "emr-containers": "an address, where GetManagedEndpointSessionCredentials lets one in",
    "events": "where events go to",
    "gamelift": "logs",
    "glue": "of a repository of code, and where a stream is",
    "iot": "the key in a secret, and settings",
    "pipes:DescribePipe": "the ARNs of secrets",
    "rolesanywhere:GetSubject": "certificates",
}
"""What is in answers that have a member of such a name, by service or by call."""


def test_nothing_harmless_hands_out_credentials_a_token_or_a_session() -> None:
    handing_out = {
        f"{prefix}:{name}"
        for prefix in PREFIXES
        for name, operation, shapes in operations(prefix)
        if is_harmless(f"{prefix}:{name}") and secrets_in(operation, shapes)
    }
    known = {it for it in handing_out if {it, it.partition(":")[0]} & NO_SECRETS.keys()}
    assert handing_out - known == set()
    assert {
        it for it in NO_SECRETS if not any(f"{one}:".startswith(f"{it}:") for one in known)
    } == (set())


@pytest.mark.parametrize("prefix", TABLE["hand-out"])
def test_what_hands_something_out_is_an_operation(prefix: str) -> None:
    names = {name for name, *_ in operations(prefix)}
    for name in TABLE["hand-out"][prefix].split():
        assert any(it.startswith(name.rstrip("*")) for it in names), name
        assert not is_harmless(f"{prefix}:{name}")
    assert not is_harmless(f"{prefix}:Get*")


@pytest.mark.parametrize(
    ("action", "harmless"),
    [
        ("lambda:Get*", True),
        ("lambda:GetFunction", True),
        ("LAMBDA:getfunction", True),
        ("lambda:*", False),
        ("lambda:G*", False),
        ("lambda:*Function", False),
        ("lambda:InvokeFunction", True),
        ("lambda:Invoke*", False),
        ("lambda:BrandNewCall", False),
        ("glue:Get*", False),
        ("glue:GetTable*", True),
        ("glue:GetS*", False),
        ("unheard-of:DescribeIt", True),
        ("unheard-of:DoIt", False),
    ],
)
def test_a_pattern_is_harmless_if_all_that_fits_it_is(action: str, *, harmless: bool) -> None:
    assert is_harmless(action) is harmless


# --- AWS's own policies ---------------------------------------------------------------------------


@cache
def managed_policies() -> Mapping[str, Document]:
    return {
        name: policy["Document"] for name, policy in json.loads(aws_managed_policies_data).items()
    }


def taken_over(names: list[str]) -> dict[str, set[str]]:
    """The services whose roles the holder of each policy could act as, without passing one."""
    holders = {
        name: Principal(
            arn=f"{IAM}role/{name}",
            account=ACCOUNT,
            named=f"{IAM}role/{name}",
            policies=(parse(managed_policies()[name]),),
        )
        for name in names
    }
    network = Network([], holders.values())
    found: dict[str, set[str]] = {name: set() for name in names}
    for service, calls in CALLS.items():
        need = tuple(
            request(action, resource, ACCOUNT, is_any=True) for action, resource in sorted(calls)
        )
        makers = network.makers(need, network.everybody)
        for name, holder in holders.items():
            if makers >> network.number[holder] & 1:
                found[name].add(service)
    return found


def test_no_read_only_policy_of_awss_takes_over_a_role() -> None:
    names = [name for name in managed_policies() if "ReadOnly" in name]
    assert len(names) > 230
    found = {name: services for name, services in taken_over(names).items() if services}
    tokens = {"ec2", "ssm"}  # ssm:GetAccessToken
    assert found == {
        "AmazonSSMReadOnlyAccess": tokens,
        # athena:GetSessionEndpoint, codepipeline:GetJobDetails, gamelift:GetComputeAccess
        "ReadOnlyAccess": {*tokens, "athena", "codepipeline", "gamelift"},
    }


def test_full_access_takes_over_the_roles_of_its_services() -> None:
    names = [name for name in managed_policies() if name.endswith("FullAccess")]
    found = taken_over([*names, "AdministratorAccess", "PowerUserAccess"])
    assert found["AdministratorAccess"] == found["PowerUserAccess"] == SERVICES.keys()
    for name in names:
        written = json.dumps(managed_policies()[name])
        whole = {
            service
            for service, calls in CALLS.items()
            for action, _ in calls
            if f'"{action}"' in written
        }
        assert whole <= found[name], name
    assert {"lambda", "codebuild", "ecs-tasks", "ec2"} <= set().union(*found.values())


def test_the_full_access_to_iam_passes_any_role() -> None:
    statements = managed_policies()["IAMFullAccess"]["Statement"]
    for service in SERVICES:
        assert "role/dev" in reaching(service, *statements), service


# --- Accounts -------------------------------------------------------------------------------------


def reaching(service: str, *statements: Document, **more: Any) -> list[str]:
    """Who could move a tag, where the pipeline role trusts a service and dev has these."""
    pipeline = role("pipeline/push", trusts=trust({"Service": f"{service}.amazonaws.com"}))
    return able(details(pipeline, role("dev", *statements, **more)), GUARD)


EVERYDAY: Final[Mapping[str, tuple[str, str]]] = {
    "airflow": ("UpdateEnvironment", "PublishMetrics"),
    "airflow-env": ("airflow:CreateWebLoginToken", "airflow:GetEnvironment"),
    "amplify": ("UpdateApp", "StartJob"),
    "apigateway": ("PATCH", "GET"),
    "athena": ("StartSession", "StartQueryExecution"),
    "batch": ("SubmitJob", "DescribeJobs"),
    "bedrock": ("UpdateAgent", "InvokeModel"),
    "bedrock-agentcore": ("InvokeCodeInterpreter", "RetrieveMemoryRecords"),
    "cloudformation": ("UpdateStack", "ExecuteChangeSet"),
    "codebuild": ("StartBuild", "RetryBuild"),
    "codedeploy": ("CreateDeployment", "BatchGetDeployments"),
    "codepipeline": ("UpdatePipeline", "PutApprovalResult"),
    "credentials.iot": ("iot:UpdateRoleAlias", "iot:Publish"),
    "ec2": ("ssm:SendCommand", "ec2:StartInstances"),
    "ecs-tasks": ("ecs:ExecuteCommand", "ecs:UpdateService"),
    "edgelambda": ("lambda:UpdateFunctionCode", "lambda:InvokeFunction"),
    "elasticbeanstalk": ("UpdateEnvironment", "RequestEnvironmentInfo"),
    "elasticmapreduce": ("AddJobFlowSteps", "DescribeCluster"),
    "emr-containers": ("StartJobRun", "DescribeJobRun"),
    "emr-serverless": ("GetSessionEndpoint", "StartApplication"),
    "events": ("UpdateConnection", "PutEvents"),
    "gamelift": ("GetComputeAccess", "CreateGameSession"),
    "glue": ("StartJobRun", "UpdateTable"),
    "imagebuilder": ("CreateImage", "GetImage"),
    "kafkaconnect": ("UpdateConnector", "RestartConnector"),
    "kinesisanalytics": ("UpdateApplication", "StartApplication"),
    "lambda": ("UpdateFunctionConfiguration", "InvokeFunction"),
    "pipes": ("BrandNewCall", "StartPipe"),
    "pods.eks": ("eks-auth:AssumeRoleForPodIdentity", "eks:AccessKubernetesApi"),
    "rolesanywhere": ("CreateTrustAnchor", "ListProfiles"),
    "sagemaker": ("CreatePresignedDomainUrl", "InvokeEndpoint"),
    "scheduler": ("BrandNewCall", "CreateSchedule"),
    "ssm": ("StartSession", "PutParameter"),
    "states": ("UpdateStateMachine", "StartExecution"),
    "tasks.apprunner": ("apprunner:UpdateService", "apprunner:StartDeployment"),
}
"""For each service a takeover, and what somebody does every day."""


@pytest.mark.parametrize("service", EVERYDAY)
def test_a_takeover_is_found_and_an_everyday_permission_is_none(service: str) -> None:
    takeover, everyday = (
        action if ":" in action else f"{service}:{action}" for action in EVERYDAY[service]
    )
    assert reaching(service, allow(takeover)) == ["role/pipeline/push", "role/dev"]
    assert reaching(service, allow(everyday)) == ["role/pipeline/push"]
    assert reaching(service, allow("iam:PassRole")) == ["role/pipeline/push", "role/dev"]


def test_a_service_that_the_table_does_not_have_acts_by_its_own_calls() -> None:
    assert "role/dev" in reaching("brand-new", allow("brand-new:DoIt"))
    assert "role/dev" in reaching("brand-new", allow("iam:PassRole"))
    assert "role/dev" not in reaching("brand-new", allow("brand-new:DescribeIt", "other:DoIt"))
    assert "role/dev" in reaching("brand-new.eu-west-2", allow("brand-new:DoIt"))


@pytest.mark.parametrize(
    ("service", "value", "found"),
    [
        ("codebuild", "codebuild.amazonaws.com", True),
        ("codebuild", "lambda.amazonaws.com", False),
        ("codebuild", "elasticbeanstalk.amazonaws.com", True),
        ("states", "brand-new.amazonaws.com", False),
        ("ec2", "eks.amazonaws.com", True),
        ("ec2", "eks-nodegroup.amazonaws.com", True),
        ("ec2", "elasticmapreduce.amazonaws.com", True),
        ("ec2", "lambda.amazonaws.com", False),
        ("lambda", "synthetics.amazonaws.com", True),
        ("ecs-tasks", "batch.amazonaws.com", True),
        ("pods.eks", "eks.amazonaws.com", True),
        ("tasks.apprunner", "apprunner.amazonaws.com", True),
        ("ec2", "*.amazonaws.com", True),
    ],
)
def test_the_service_that_a_role_is_passed_to(service: str, value: str, *, found: bool) -> None:
    """It need not be the one that assumes it, and what it is called then is not documented."""
    condition = {"StringLike": {"iam:PassedToService": value}}
    assert ("role/dev" in reaching(service, allow("iam:PassRole", Condition=condition))) is found


# --- Published paths ------------------------------------------------------------------------------
# Facts from https://pathfinding.cloud, which has those of Rhino Security Labs and of others: the
# service that the role trusts, and the permissions that are enough.

PUBLISHED: Final = """
apprunner: iam:PassRole apprunner:CreateService
tasks.apprunner: apprunner:UpdateService
batch: batch:SubmitJob
ecs-tasks: batch:SubmitJob
bedrock-agentcore: iam:PassRole bedrock-agentcore:CreateCodeInterpreter
bedrock-agentcore: bedrock-agentcore:StartCodeInterpreterSession
bedrock-agentcore: bedrock-agentcore:InvokeCodeInterpreter
bedrock-agentcore: bedrock-agentcore:InvokeAgentRuntimeCommand
cloudformation: iam:PassRole cloudformation:CreateStack
cloudformation: cloudformation:UpdateStack
cloudformation: iam:PassRole cloudformation:CreateStackSet cloudformation:CreateStackInstances
cloudformation: cloudformation:CreateChangeSet cloudformation:ExecuteChangeSet
codebuild: iam:PassRole codebuild:CreateProject codebuild:StartBuild
codebuild: codebuild:StartBuildBatch
codebuild: codebuild:UpdateProject
codedeploy: codedeploy:CreateDeployment
datapipeline: iam:PassRole datapipeline:CreatePipeline datapipeline:PutPipelineDefinition
ec2: ec2-instance-connect:SendSSHPublicKey
ec2: ec2:ModifyInstanceAttribute ec2:StopInstances ec2:StartInstances
ec2: ec2:CreateLaunchTemplateVersion ec2:ModifyLaunchTemplate
ec2: iam:PassRole ec2:RequestSpotInstances
ec2: iam:PassRole iam:AddRoleToInstanceProfile iam:RemoveRoleFromInstanceProfile
ec2: ssm:StartSession
ec2: iam:PassRole imagebuilder:CreateInfrastructureConfiguration
ec2: elasticmapreduce:AddJobFlowSteps
ecs-tasks: iam:PassRole ecs:RegisterTaskDefinition ecs:RunTask
ecs-tasks: iam:PassRole ecs:StartTask ecs:RegisterContainerInstance
ecs-tasks: ecs:ExecuteCommand
ecs-tasks: ecs:Poll ecs:DiscoverPollEndpoint
emr-serverless: iam:PassRole emr-serverless:StartJobRun
gamelift: iam:PassRole gamelift:CreateBuild gamelift:CreateFleet
glue: iam:PassRole glue:CreateDevEndpoint
glue: glue:UpdateDevEndpoint
glue: glue:UpdateJob glue:StartJobRun
glue: iam:PassRole glue:CreateJob glue:CreateTrigger
kinesisanalytics: kinesisanalytics:UpdateApplication
lambda: lambda:UpdateFunctionCode lambda:AddPermission
lambda: iam:PassRole lambda:CreateFunction lambda:CreateEventSourceMapping
lambda: lambda:UpdateFunctionConfiguration
omics: iam:PassRole omics:StartRun
sagemaker: sagemaker:CreatePresignedNotebookInstanceUrl
sagemaker: sagemaker:CreateNotebookInstanceLifecycleConfig sagemaker:UpdateNotebookInstance
sagemaker: iam:PassRole sagemaker:CreateProcessingJob
ssm: ssm:StartSession
ssm: iam:PassRole ssm:StartAutomationExecution
scheduler: iam:PassRole scheduler:CreateSchedule
states: iam:PassRole states:CreateStateMachine
apigateway: apigateway:PATCH
appsync: appsync:UpdateResolver
braket: iam:PassRole braket:CreateJob
unused: iam:UpdateAssumeRolePolicy
"""


@pytest.mark.parametrize("path", PUBLISHED.strip().splitlines())
def test_a_published_path_through_a_service_is_found(path: str) -> None:
    service, _, actions = path.partition(": ")
    assert "role/dev" in reaching(service, allow(*actions.split()))


PUBLISHED_OF_IAM: Final = """
CreatePolicyVersion SetDefaultPolicyVersion PutRolePolicy AttachRolePolicy PutUserPolicy
AttachUserPolicy PutGroupPolicy AttachGroupPolicy AddUserToGroup CreateAccessKey CreateLoginProfile
UpdateLoginProfile UpdateAssumeRolePolicy"""
SEVERAL: Final = (
    "sts:AssumeRole",
    "iam:AttachUserPolicy iam:CreateAccessKey",
    "iam:PutRolePolicy iam:UpdateAssumeRolePolicy",
)


@pytest.mark.parametrize("actions", [*(f"iam:{it}" for it in PUBLISHED_OF_IAM.split()), *SEVERAL])
def test_a_published_path_through_iam_is_found(actions: str) -> None:
    own = {
        "Arn": f"{IAM}policy/own",
        "DefaultVersionId": "v1",
        "PolicyVersionList": [
            {"VersionId": "v1", "Document": {"Version": "2012-10-17", "Statement": []}}
        ],
    }
    statements = [allow(*actions.split())]
    administrator = trust({"AWS": f"{IAM}role/somebody-else"})
    account = details(
        role("pipeline/push"),
        role("dev", *statements, managed=[f"{IAM}policy/own"]),
        user("amy", *statements, groups=["staff"]),
        user("admin", allow("*")),
        role("admin", allow("*"), trusts=trust({"AWS": f"{IAM}root"})),
        role("other", allow("*"), trusts=administrator),
        {"Arn": f"{IAM}group/staff", "GroupName": "staff"},
        own,
    )
    found = able(account, GUARD)
    is_users = any(kind in actions for kind in ("User", "Group"))
    assert ("user/amy" if is_users else "role/dev") in found


if __name__ == "__main__":
    sys.stdout.write(snapshot())
