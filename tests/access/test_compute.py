"""Which calls take a role over: AWS's models, AWS's own policies, published paths."""

import gzip
import json
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import botocore
import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data

from container_images.access.evaluation import Principal, Request
from container_images.access.policy import parse
from container_images.access.steps import TABLE, is_harmless, service_of
from container_images.access.who_can import Network, numbers_in
from tests.access.accounts import (
    ACCOUNT,
    IAM,
    THE_ACCOUNT,
    Document,
    able,
    allow,
    group,
    managed,
    role,
    service,
    trust,
    user,
    where,
)

SERVICES: Final = {name: service_of(f"{name}.amazonaws.com") for name in TABLE["services"]}
CALLS: Final = {
    name: {
        *((f"{prefix}:*", "*") for prefix in service["prefixes"]),
        *(tuple(call.split(" ")) for call in service["calls"]),
    }
    for name, service in SERVICES.items()
}
PREFIXES: Final = sorted(
    {action[:-2] for calls in CALLS.values() for action, _ in calls if action.endswith(":*")}
)
SNAPSHOT: Final = Path(__file__).with_name("harmless.txt")


MODELS: Final[Mapping[str, str]] = {
    "airflow": "mwaa",
    "bedrock": "bedrock bedrock-agent bedrock-agent-runtime bedrock-runtime",
    "bedrock-agentcore": "bedrock-agentcore bedrock-agentcore-control",
    "cloudformation": "cloudformation cloudcontrol",
    "elasticmapreduce": "emr",
    "events": "events eventbridgev2",
    "kinesisanalytics": "kinesisanalyticsv2",
    "lambda": "lambda lambda-core lambda-microvms lambda-web",
    "states": "stepfunctions",
}
"""botocore's models of the services whose actions have another prefix, or whose models are many."""

Operation = tuple[str, Mapping[str, Any], Mapping[str, Any]]


@cache
def operations(prefix: str) -> list[Operation]:
    """The operations of a service: their names, their models, and the shapes there are."""
    folders = (
        Path(botocore.__file__).with_name("data") / name
        for name in MODELS.get(prefix, prefix).split()
    )
    # Of several versions the last; botocore's own loader takes four times as long.
    files = (max(folder.glob("*/service-2.json.gz")) for folder in folders)
    models = [json.loads(gzip.decompress(file.read_bytes())) for file in files]
    return [
        (name, operation, model["shapes"])
        for model in models
        for name, operation in model["operations"].items()
    ]


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
    assert snapshot() == SNAPSHOT.read_text(encoding="utf-8")


SECRET: Final = re.compile(
    r"(secret|session)(access)?(key|token)|(auth|access|bearer|id|workloadaccess)token(value)?|"
    r"tokenvalue|token|password|private_?key|credentials?|.*presigned.*|.*signedurl|"
    r".*(sessionendpoint|endpointurl|authproxyurl|sessionurl)",
    re.IGNORECASE,
)
"""Names of what is, or carries, credentials, a token or the way into a session."""

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


def members(shapes: Mapping[str, Any], name: str, seen: set[str]) -> Iterator[str]:
    """The names of the members of a shape, at any depth."""
    if name in seen:
        return
    seen.add(name)
    shape = shapes[name]
    named = shape.get("members", {})
    yield from named
    for part in (*named.values(), *(shape[key] for key in ("member", "value") if key in shape)):
        yield from members(shapes, part["shape"], seen)


def hands_out(operation: Mapping[str, Any], shapes: Mapping[str, Any]) -> bool:
    output = operation.get("output")
    names = members(shapes, output["shape"], set()) if output else ()
    return any(SECRET.fullmatch(name) for name in names)


def test_nothing_harmless_hands_out_credentials_a_token_or_a_session() -> None:
    handing_out = {
        f"{prefix}:{name}"
        for prefix in PREFIXES
        for name, operation, shapes in operations(prefix)
        if is_harmless(f"{prefix}:{name}") and hands_out(operation, shapes)
    }
    keys = {call: {call, call.partition(":")[0]} for call in handing_out}
    assert [call for call in keys if not keys[call] & NO_SECRETS.keys()] == []
    assert NO_SECRETS.keys() <= set().union(*keys.values())


def test_what_hands_something_out_is_an_operation() -> None:
    for prefix, names in TABLE["hand-out"].items():
        existing = {name for name, *_ in operations(prefix)}
        for name in names.split():
            assert any(operation.startswith(name.rstrip("*")) for operation in existing), name
            assert not is_harmless(f"{prefix}:{name}")


def test_a_pattern_is_harmless_if_all_that_fits_it_is() -> None:
    harmless = """lambda:Get* lambda:GetFunction LAMBDA:getfunction lambda:InvokeFunction
        glue:GetTable* unheard-of:DescribeIt"""
    others = """lambda:* lambda:G* lambda:*Function lambda:Invoke* lambda:BrandNewCall
        glue:Get* glue:GetS* unheard-of:DoIt"""
    every = f"{harmless} {others}".split()
    assert [action for action in every if is_harmless(action)] == harmless.split()


@cache
def managed_policies() -> Mapping[str, Document]:
    policies = json.loads(aws_managed_policies_data)
    return {name: policy["Document"] for name, policy in policies.items()}


def taken_over(names: list[str]) -> dict[str, set[str]]:
    """The services whose roles the holder of each policy could act as, without passing one."""
    arns = {name: f"{IAM}role/{name}" for name in names}
    policies = {name: (parse(managed_policies()[name]),) for name in names}
    network = Network(
        [],
        [
            Principal(arn=arn, account=ACCOUNT, named=arn, policies=policies[name])
            for name, arn in arns.items()
        ],
    )
    services: dict[str, set[str]] = {name: set() for name in names}
    for each, calls in CALLS.items():
        need = tuple(Request(call[0], call[1], ACCOUNT, is_any=True) for call in sorted(calls))
        for number in numbers_in(network.makers(need, network.everybody)):
            services[names[number]].add(each)
    return services


def test_no_read_only_policy_of_awss_takes_over_a_role() -> None:
    names = [name for name in managed_policies() if "ReadOnly" in name]
    assert len(names) > 230
    tokens = {"ec2", "ssm"}  # ssm:GetAccessToken
    assert {name: services for name, services in taken_over(names).items() if services} == {
        "AmazonSSMReadOnlyAccess": tokens,
        # athena:GetSessionEndpoint, codepipeline:GetJobDetails, gamelift:GetComputeAccess
        "ReadOnlyAccess": {*tokens, "athena", "codepipeline", "gamelift"},
    }


def written_in(document: Document) -> set[str]:
    """The services of which a policy names a call that takes over, or every call."""
    names = {*re.findall(r'"(\S+:\S+)"', json.dumps(document))}
    return {
        each
        for each, calls in CALLS.items()
        if any({action, f"{action.partition(':')[0]}:*"} & names for action, _ in calls)
    }


def test_full_access_takes_over_the_roles_of_its_services() -> None:
    full = {
        name: services
        for name, document in managed_policies().items()
        if name.endswith(("FullAccess", "AdminAccess")) and (services := written_in(document))
    }
    assert {"lambda", "codebuild", "ecs-tasks", "ec2"} <= set().union(*full.values())
    full |= {name: {*SERVICES} for name in ("AdministratorAccess", "PowerUserAccess")}
    able_to = taken_over([*full])
    assert {name for name, services in full.items() if not services <= able_to[name]} == set()


def reaching(name: str, *statements: Document) -> list[str]:
    """Who could move a tag, where the pipeline role trusts a service and dev has these."""
    return able(role("pipeline/push", trusts=service(name)), role("dev", *statements))


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


@pytest.mark.parametrize("name", EVERYDAY)
def test_a_takeover_is_found_and_an_everyday_permission_is_none(name: str) -> None:
    takeover, everyday = (
        action if ":" in action else f"{name}:{action}" for action in EVERYDAY[name]
    )
    assert able(
        role("pipeline/push", trusts=service(name)),
        role("takes-over", allow(takeover)),
        role("works", allow(everyday)),
        role("passes", allow("iam:PassRole")),
        role("administers", *managed_policies()["IAMFullAccess"]["Statement"]),
    ) == ["role/pipeline/push", "role/takes-over", "role/passes", "role/administers"]


def test_a_service_that_the_table_does_not_have_acts_by_its_own_calls() -> None:
    assert "role/dev" in reaching("brand-new", allow("brand-new:DoIt"))
    assert "role/dev" in reaching("brand-new", allow("iam:PassRole"))
    assert "role/dev" not in reaching("brand-new", allow("brand-new:DescribeIt", "other:DoIt"))
    assert "role/dev" in reaching("brand-new.eu-west-2", allow("brand-new:DoIt"))


@pytest.mark.parametrize(
    ("name", "value", "is_passed"),
    [
        ("codebuild", "codebuild", True),
        ("codebuild", "lambda", False),
        ("codebuild", "elasticbeanstalk", True),
        ("states", "brand-new", False),
        ("ec2", "eks", True),
        ("ec2", "eks-nodegroup", True),
        ("ec2", "elasticmapreduce", True),
        ("ec2", "lambda", False),
        ("lambda", "synthetics", True),
        ("ecs-tasks", "batch", True),
        ("pods.eks", "eks", True),
        ("tasks.apprunner", "apprunner", True),
        ("ec2", "*", True),
    ],
)
def test_the_service_that_a_role_is_passed_to(name: str, value: str, *, is_passed: bool) -> None:
    """It need not be the one that assumes it, and what it is called then is not documented."""
    condition = where("StringLike", "iam:PassedToService", f"{value}.amazonaws.com")
    answer = reaching(name, allow("iam:PassRole", **condition))
    assert ("role/dev" in answer) is is_passed


# Facts from https://pathfinding.cloud, which has those of Rhino Security Labs and of others: the
# service that the role trusts, and the permissions that are enough. Of those that pass it, a few;
# those of EVERYDAY are not repeated.

PUBLISHED: Final = """
apprunner: iam:PassRole apprunner:CreateService
ecs-tasks: batch:SubmitJob
bedrock-agentcore: bedrock-agentcore:StartCodeInterpreterSession
bedrock-agentcore: bedrock-agentcore:InvokeAgentRuntimeCommand
cloudformation: cloudformation:CreateChangeSet cloudformation:ExecuteChangeSet
codebuild: codebuild:StartBuildBatch
codebuild: codebuild:UpdateProject
ec2: ec2-instance-connect:SendSSHPublicKey
ec2: ec2:ModifyInstanceAttribute ec2:StopInstances ec2:StartInstances
ec2: ec2:CreateLaunchTemplateVersion ec2:ModifyLaunchTemplate
ec2: iam:PassRole iam:AddRoleToInstanceProfile iam:RemoveRoleFromInstanceProfile
ec2: ssm:StartSession
ec2: elasticmapreduce:AddJobFlowSteps
ecs-tasks: ecs:Poll ecs:DiscoverPollEndpoint
glue: glue:UpdateDevEndpoint
glue: glue:UpdateJob glue:StartJobRun
lambda: lambda:UpdateFunctionCode lambda:AddPermission
omics: iam:PassRole omics:StartRun
sagemaker: sagemaker:CreatePresignedNotebookInstanceUrl
sagemaker: sagemaker:CreateNotebookInstanceLifecycleConfig sagemaker:UpdateNotebookInstance
appsync: appsync:UpdateResolver
braket: iam:PassRole braket:CreateJob
unused: iam:UpdateAssumeRolePolicy
"""


@pytest.mark.parametrize("path", PUBLISHED.strip().splitlines())
def test_a_published_path_through_a_service_is_found(path: str) -> None:
    name, _, actions = path.partition(": ")
    assert "role/dev" in reaching(name, allow(*actions.split()))


PUBLISHED_OF_IAM: Final = """
CreatePolicyVersion SetDefaultPolicyVersion PutRolePolicy AttachRolePolicy PutUserPolicy
AttachUserPolicy PutGroupPolicy AttachGroupPolicy AddUserToGroup CreateAccessKey CreateLoginProfile
UpdateLoginProfile UpdateAssumeRolePolicy"""
SEVERAL: Final = (
    "sts:AssumeRole",
    "iam:AttachUserPolicy iam:CreateAccessKey",
    "iam:PutRolePolicy iam:UpdateAssumeRolePolicy",
)


@pytest.mark.parametrize(
    "actions", [*(f"iam:{name}" for name in PUBLISHED_OF_IAM.split()), *SEVERAL]
)
def test_a_published_path_through_iam_is_found(actions: str) -> None:
    allowed, everything = allow(*actions.split()), allow("*")
    who = "user/amy" if "User" in actions or "Group" in actions else "role/dev"
    assert who in able(
        role("pipeline/push"),
        role("dev", allowed, managed=[f"{IAM}policy/own"]),
        user("amy", allowed, groups=["staff"]),
        user("admin", everything),
        role("admin", everything, trusts=THE_ACCOUNT),
        role("other", everything, trusts=trust({"AWS": f"{IAM}role/somebody-else"})),
        group("staff"),
        managed("own"),
    )


if __name__ == "__main__":
    sys.stdout.write(snapshot())
