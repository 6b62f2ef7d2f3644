"""Ways to act as a role through compute: a service that may assume it runs what one likes as it.

Either one passes the role to the service, for which AWS wants iam:PassRole on it besides the calls,
or one takes over what runs as the role already, for which AWS wants nothing of the role.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Compute:
    """A way to have a service run what one likes as a role that it may assume."""

    service: str
    """As trust policies name it: codebuild.amazonaws.com."""
    passes: bool
    """Whether the role has to be passed: iam:PassRole on it."""
    calls: tuple[tuple[str, str], ...]
    """Action and resource pattern of each call. All are needed. A pattern is IAM's, with
    `{partition}` and `{account}` to be filled in; it is `*` where the action takes no resource."""
    source: bool = False
    """Whether the trust policy sees the ARN of the first call's resource as aws:SourceArn."""


_Call = tuple[str, str]


def _arn(prefix: str, resource: str) -> str:
    return f"arn:{{partition}}:{prefix}:*:{{account}}:{resource}"


def _on(prefix: str, resource: str, actions: str) -> tuple[_Call, ...]:
    """Calls of one service's actions on resources of the account. Spaces part the actions."""
    return tuple((f"{prefix}:{action}", _arn(prefix, resource)) for action in actions.split())


def _at_large(prefix: str, actions: str) -> tuple[_Call, ...]:
    """Calls of one service's actions that take no resource. Spaces part them."""
    return tuple((f"{prefix}:{action}", "*") for action in actions.split())


def _passing(service: str, *calls: Iterable[_Call], source: bool = False) -> tuple[Compute, ...]:
    """Each of the calls by itself has the service run as a role that is passed."""
    return tuple(
        Compute(service=service, passes=True, calls=(call,), source=source)
        for call in chain(*calls)
    )


def _taking(service: str, *calls: Iterable[_Call], source: bool = False) -> tuple[Compute, ...]:
    """Each of the calls by itself takes over what the service runs as the role."""
    return tuple(
        Compute(service=service, passes=False, calls=(call,), source=source)
        for call in chain(*calls)
    )


_UNKNOWN: Final = "*"
"""Of actions that are newer than the Service Authorization Reference at hand."""

_INSTANCE: Final = _arn("ec2", "instance/*")
_MANAGED_NODE: Final = _arn("ssm", "managed-instance/*")

# AWS's own documents have no account in their ARN, and shared ones have another's.
_DOCUMENT: Final = "arn:{partition}:ssm:*:*:document/*"
_ASSOCIATING: Final = (
    ("ssm:CreateAssociation", _DOCUMENT),
    ("ssm:CreateAssociationBatch", _DOCUMENT),
    *_on("ssm", "association/*", "UpdateAssociation"),
)
_IN_A_WINDOW: Final = _on(
    "ssm", "maintenancewindow/*", "RegisterTaskWithMaintenanceWindow UpdateMaintenanceWindowTask"
)

# A say over the pods of a Kubernetes cluster. A pod reaches the role of its node, and its own.
_PODS: Final = (
    *_on("eks", "access-entry/*", "AssociateAccessPolicy UpdateAccessEntry"),
    *_on("eks", "cluster/*", "CreateAccessEntry"),
)


def _taking_nodes(service: str, *nodes: str) -> tuple[Compute, ...]:
    """Ways to have Systems Manager's agent run what one likes on a node: as root.

    Only SendCommand wants the right to send commands. Associations and maintenance windows send
    theirs with a right of Systems Manager's own, and whoever changes a document changes what every
    association runs that names it.
    https://docs.aws.amazon.com/systems-manager/latest/userguide/security-iam.html
    """
    commands = tuple(
        Compute(
            service=service,
            passes=False,
            calls=(("ssm:SendCommand", node), ("ssm:SendCommand", _DOCUMENT)),
        )
        for node in nodes
    )
    # Credentials for a session, for whoever asked for access where that is granted for a while.
    token = Compute(
        service=service,
        passes=False,
        calls=(
            ("ssm:StartAccessRequest", "*"),
            ("ssm:GetAccessToken", _arn("ssm", "opsitem/*")),
        ),
    )
    others = _taking(
        service,
        (("ssm:StartSession", node) for node in nodes),
        _ASSOCIATING,
        _IN_A_WINDOW,
        _on("ssm", "document/*", "UpdateDocument"),
    )
    return (*commands, token, *others)


_CODEBUILD: Final = (
    # A new project needs something to start it. That may be StartBuild, StartBuildBatch,
    # StartSandbox, CreateWebhook, or a pipeline, a rule or a schedule with a role of its own: too
    # many to demand one. A build may be given another role as it starts. aws:SourceArn is the ARN
    # of the project:
    # https://docs.aws.amazon.com/codebuild/latest/userguide/cross-service-confused-deputy-prevention.html
    *_passing(
        "codebuild.amazonaws.com",
        _on("codebuild", "project/*", "CreateProject UpdateProject StartBuild StartBuildBatch"),
        source=True,
    ),
    # Elastic Beanstalk makes a project for the role. The buildspec is in the source bundle.
    *_passing(
        "codebuild.amazonaws.com",
        _on("elasticbeanstalk", "applicationversion/*", "CreateApplicationVersion"),
    ),
    # A build may be given another buildspec as it starts, and a sandbox takes commands. A webhook
    # says whose pull requests are built, with the buildspec that they bring.
    *_taking(
        "codebuild.amazonaws.com",
        _on("codebuild", "project/*", "UpdateProject StartBuild StartBuildBatch StartSandbox"),
        _on("codebuild", "project/*", "CreateWebhook UpdateWebhook"),
        source=True,
    ),
    *_taking(
        "codebuild.amazonaws.com",
        _on("codebuild", "sandbox/*", "StartCommandExecution StartSandboxConnection"),
    ),
)

_LAMBDA: Final = (
    # A new function needs something to run it. That may be an invocation, an event source, a URL,
    # another service, or whoever calls a function of that name: too many to demand one. The roles
    # of web functions, MicroVMs and canaries trust the same service.
    # https://docs.aws.amazon.com/lambda/latest/dg/lambda-intro-execution-role.html
    # https://docs.aws.amazon.com/lambda/latest/dg/web-functions-permissions.html
    # https://docs.aws.amazon.com/lambda/latest/dg/microvms-security.html
    # https://docs.aws.amazon.com/AmazonSynthetics/latest/APIReference/API_CreateCanary.html
    *_passing(
        "lambda.amazonaws.com",
        _on("lambda", "function:*", "CreateFunction UpdateFunctionConfiguration"),
        _on("lambda", "web-function/*", "CreateWebFunction CreateWebFunctionRevision"),
        _on("lambda", "microvm-image:*", "CreateMicrovmImage UpdateMicrovmImage"),
        # The image may be one of AWS's.
        [("lambda:RunMicrovm", "arn:{partition}:lambda:*:*:microvm-image:*")],
        _at_large("synthetics", "CreateCanary"),
        _on("synthetics", "canary:*", "UpdateCanary StartCanaryDryRun"),
    ),
    # A layer, a handler or an environment variable brings code as well as the code itself does.
    *_taking(
        "lambda.amazonaws.com",
        _on("lambda", "function:*", "UpdateFunctionCode UpdateFunctionConfiguration"),
        _on("lambda", _UNKNOWN, "CreateMicrovmShellAuthToken"),
        _on("synthetics", "canary:*", "UpdateCanary StartCanaryDryRun"),
    ),
)

_ECS: Final = (
    # A task may be given another role and another command as it is run. A new revision of a task
    # definition needs nobody to run it: rules, schedules and jobs that name the family or the job
    # definition do. To run one as it is, its role has to be passed too, so that nothing is taken
    # over that way.
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
    *_passing(
        "ecs-tasks.amazonaws.com",
        _on("ecs", "task-definition/*", "RegisterTaskDefinition RunTask StartTask"),
        _on("ecs", _UNKNOWN, "RegisterDaemonTaskDefinition"),
        _on("ecs", "service/*", "CreateExpressGatewayService UpdateExpressGatewayService"),
        _on("batch", "job-definition/*", "RegisterJobDefinition"),
    ),
    # A session with a container needs no ExecuteCommand, and a job may be given another command as
    # it is submitted.
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html
    # https://docs.aws.amazon.com/batch/latest/APIReference/API_ContainerOverrides.html
    *_taking(
        "ecs-tasks.amazonaws.com",
        _on("ecs", "task/*", "ExecuteCommand"),
        [("ssm:StartSession", _arn("ecs", "task/*"))],
        _on("ecs", "service/*", "UpdateExpressGatewayService"),
        _on("batch", "job-queue/*", "SubmitJob"),
    ),
)

_EC2: Final = (
    # The role comes in an instance profile, and that in the call or in a launch template that may
    # be there already. Services that launch instances by the caller's own ec2:RunInstances or
    # autoscaling:CreateAutoScalingGroup are left out: whoever may use them so has these.
    # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/iam-roles-for-amazon-ec2.html
    *_passing(
        "ec2.amazonaws.com",
        _on("ec2", "instance/*", "RunInstances AssociateIamInstanceProfile"),
        _on("ec2", "instance/*", "ReplaceIamInstanceProfileAssociation"),
        _on("ec2", "spot-instances-request/*", "RequestSpotInstances"),
        _on("ec2", "spot-fleet-request/*", "RequestSpotFleet ModifySpotFleetRequest"),
        _on("ec2", "fleet/*", "CreateFleet ModifyFleet"),
        _at_large("ec2", "RunScheduledInstances"),
        _on("autoscaling", "autoScalingGroup:*", "CreateAutoScalingGroup UpdateAutoScalingGroup"),
        _on("autoscaling", "autoScalingGroup:*", "StartInstanceRefresh"),
        _on("batch", "compute-environment/*", "CreateComputeEnvironment UpdateComputeEnvironment"),
        _on("bedrock-agentcore", _UNKNOWN, "CreateCapacityProvider"),
        _on("datapipeline", "pipeline/*", "PutPipelineDefinition"),
        _on("ecs", "capacity-provider/*", "CreateCapacityProvider UpdateCapacityProvider"),
        # A cluster in Auto Mode takes the role of its nodes itself.
        _at_large("eks", "CreateCluster"),
        _on("eks", "cluster/*", "UpdateClusterConfig CreateNodegroup"),
        _on("elasticbeanstalk", "environment/*", "CreateEnvironment UpdateEnvironment"),
        _at_large("elasticmapreduce", "RunJobFlow"),
        _on("imagebuilder", "infrastructure-configuration/*", "CreateInfrastructureConfiguration"),
        _on("imagebuilder", "infrastructure-configuration/*", "UpdateInfrastructureConfiguration"),
        # RDS Custom gives the owner of the database its host.
        _on("rds", "db:*", "CreateDBInstance CreateDBInstanceReadReplica"),
        _on("rds", "db:*", "RestoreDBInstanceFromDBSnapshot RestoreDBInstanceToPointInTime"),
    ),
    *_taking_nodes("ec2.amazonaws.com", _INSTANCE),
    *_taking(
        "ec2.amazonaws.com",
        [("ec2-instance-connect:SendSSHPublicKey", _INSTANCE)],
        [("ec2-instance-connect:SendSerialConsoleSSHPublicKey", _INSTANCE)],
        # User data for the next start, another root volume, the newest version of the template
        # that an Auto Scaling group launches: others stop, start and replace instances too.
        _on("ec2", "instance/*", "ModifyInstanceAttribute CreateReplaceRootVolumeTask"),
        _on("ec2", "launch-template/*", "CreateLaunchTemplateVersion"),
        # What is deployed, stepped through or built brings commands of its own.
        _on("codedeploy", "deploymentgroup:*", "CreateDeployment"),
        _on("datapipeline", "pipeline/*", "PutPipelineDefinition"),
        _on("elasticbeanstalk", "environment/*", "UpdateEnvironment"),
        _on("elasticmapreduce", "cluster/*", "AddJobFlowSteps StartSession"),
        _on("imagebuilder", "image/*", "CreateImage"),
        _on("imagebuilder", "image-pipeline/*", "CreateImagePipeline UpdateImagePipeline"),
        # The members of an environment share the instance.
        _on("cloud9", "environment:*", "CreateEnvironmentMembership"),
        # A container reaches the role of the instance that it runs on:
        # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/instance_IAM_role.html
        _on("ecs", "task-definition/*", "RegisterTaskDefinition RunTask StartTask"),
        _on("batch", "job-definition/*", "RegisterJobDefinition"),
        _on("batch", "job-queue/*", "SubmitJob"),
        _PODS,
    ),
    # The root volume for one of one's own. Nobody else leaves an instance without one.
    Compute(
        service="ec2.amazonaws.com",
        passes=False,
        calls=(("ec2:AttachVolume", _INSTANCE), ("ec2:DetachVolume", _arn("ec2", "volume/*"))),
    ),
)

# A stack set does nothing until it has instances, which nobody else gives a new one.
_NEW_STACK_SET: Final = (
    *_at_large("cloudformation", "CreateStackSet"),
    *_on("cloudformation", "stackset/*", "CreateStackInstances"),
)

_CLOUDFORMATION: Final = (
    # Often somebody else carries change sets out. Those that only undo do it as the role too. The
    # Cloud Control API goes by CloudFormation's name.
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html
    # https://docs.aws.amazon.com/cloudcontrolapi/latest/userguide/resource-operations.html
    *_passing(
        "cloudformation.amazonaws.com",
        _on("cloudformation", "stack/*", "CreateStack UpdateStack CreateChangeSet"),
        _on("cloudformation", "stack/*", "DeleteStack RollbackStack ContinueUpdateRollback"),
        _on("cloudformation", "stackset/*", "UpdateStackSet"),
        _at_large("cloudformation", "CreateResource UpdateResource DeleteResource"),
        _on("sagemaker", "project/*", "CreateProject"),
    ),
    Compute(service="cloudformation.amazonaws.com", passes=True, calls=_NEW_STACK_SET),
    # A stack set that names no administrator role has the one of the usual name, which AWS does
    # not say has to be passed.
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-prereqs-self-managed.html
    *_taking(
        "cloudformation.amazonaws.com",
        _on("cloudformation", "stack/*", "UpdateStack CreateChangeSet"),
        _on("cloudformation", "stackset/*", "UpdateStackSet"),
    ),
    Compute(service="cloudformation.amazonaws.com", passes=False, calls=_NEW_STACK_SET),
)

_GLUE: Final = (
    # Triggers and workflows start jobs too. A crawler brings drivers, a blueprint Python, a
    # ruleset SQL for Spark.
    # https://docs.aws.amazon.com/glue/latest/dg/create-an-iam-role.html
    *_passing(
        "glue.amazonaws.com",
        _on("glue", "job/*", "CreateJob UpdateJob"),
        _at_large("glue", "CreateCrawler CreateDevEndpoint"),
        _on("glue", "crawler/*", "UpdateCrawler"),
        _on("glue", "session/*", "CreateSession"),
        _on("glue", "blueprint/*", "StartBlueprintRun"),
        _on("glue", "dataQualityRuleset/*", "StartDataQualityRulesetEvaluationRun"),
        _on("glue", "dataQualityRuleset/*", "StartDataQualityRuleRecommendationRun"),
        _on("glue", _UNKNOWN, "CreateDataQualityEvaluationConfig"),
        _on("glue", _UNKNOWN, "UpdateDataQualityEvaluationConfig"),
    ),
    # A run may be given another script as it starts (--scriptLocation), and so may the runs that a
    # trigger starts. AWS does not say that an update has to pass a role that stays the same.
    # https://docs.aws.amazon.com/glue/latest/dg/aws-glue-programming-etl-glue-arguments.html
    *_taking(
        "glue.amazonaws.com",
        _on("glue", "job/*", "StartJobRun UpdateJob UpdateJobFromSourceControl"),
        _on("glue", "trigger/*", "CreateTrigger UpdateTrigger"),
        _on("glue", "devEndpoint/*", "UpdateDevEndpoint"),
        _on("glue", "session/*", "RunStatement GetSessionEndpoint"),
    ),
)

_SAGEMAKER: Final = (
    # Whatever runs an image, a notebook or a script. A role that SageMaker's own code uses alone,
    # for feature groups, labels or artifacts, is left out.
    # https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html
    *_passing(
        "sagemaker.amazonaws.com",
        _on("sagemaker", "ai-benchmark-job/*", "CreateAIBenchmarkJob"),
        _on("sagemaker", "ai-recommendation-job/*", "CreateAIRecommendationJob"),
        _on("sagemaker", "algorithm/*", "CreateAlgorithm"),
        _on("sagemaker", "automl-job/*", "CreateAutoMLJob CreateAutoMLJobV2"),
        _on("sagemaker", "cluster/*", "CreateCluster UpdateCluster"),
        _on("sagemaker", "data-quality-job-definition/*", "CreateDataQualityJobDefinition"),
        _on("sagemaker", "domain/*", "CreateDomain UpdateDomain"),
        _on("sagemaker", "endpoint-config/*", "CreateEndpointConfig"),
        _on("sagemaker", "hyper-parameter-tuning-job/*", "CreateHyperParameterTuningJob"),
        _on("sagemaker", "inference-recommendations-job/*", "CreateInferenceRecommendationsJob"),
        _on("sagemaker", "job/*", "CreateJob"),
        _on("sagemaker", "model/*", "CreateModel"),
        _on("sagemaker", "model-bias-job-definition/*", "CreateModelBiasJobDefinition"),
        _on(
            "sagemaker",
            "model-explainability-job-definition/*",
            "CreateModelExplainabilityJobDefinition",
        ),
        # The resource is the package, or the group that it is put in.
        _on("sagemaker", "model-package*", "CreateModelPackage"),
        _on("sagemaker", "model-quality-job-definition/*", "CreateModelQualityJobDefinition"),
        _on("sagemaker", "monitoring-schedule/*", "CreateMonitoringSchedule"),
        _on("sagemaker", "monitoring-schedule/*", "UpdateMonitoringSchedule"),
        _on("sagemaker", "notebook-instance/*", "CreateNotebookInstance UpdateNotebookInstance"),
        _on("sagemaker", "optimization-job/*", "CreateOptimizationJob"),
        _on("sagemaker", "pipeline/*", "CreatePipeline UpdatePipeline"),
        _on("sagemaker", "processing-job/*", "CreateProcessingJob"),
        _on("sagemaker", "user-profile/*", "CreateUserProfile UpdateUserProfile"),
        # A job for SageMaker, whose request is what is submitted.
        _on("batch", "job-queue/*", "SubmitServiceJob"),
    ),
    # aws:SourceArn is the ARN of the training job. Of the others AWS does not say:
    # https://docs.aws.amazon.com/sagemaker/latest/dg/security-confused-deputy-prevention.html
    *_passing(
        "sagemaker.amazonaws.com",
        _on("sagemaker", "training-job/*", "CreateTrainingJob"),
        source=True,
    ),
    # A session, another image, or a lifecycle configuration: that runs as the notebook starts.
    *_taking(
        "sagemaker.amazonaws.com",
        _on("sagemaker", "domain/*", "UpdateDomain"),
        _on("sagemaker", "inference-component/*", "CreateInferenceComponent"),
        _on("sagemaker", "inference-component/*", "UpdateInferenceComponent"),
        _on("sagemaker", "notebook-instance/*", "CreatePresignedNotebookInstanceUrl"),
        _on("sagemaker", "notebook-instance/*", "UpdateNotebookInstance"),
        _on(
            "sagemaker",
            "notebook-instance-lifecycle-config/*",
            "UpdateNotebookInstanceLifecycleConfig",
        ),
        _on("sagemaker", "pipeline/*", "UpdatePipeline"),
        _on("sagemaker", "space/*", "StartSession UpdateSpace"),
        _on("sagemaker", "user-profile/*", "CreatePresignedDomainUrl UpdateUserProfile"),
        [("ssm:StartSession", _arn("sagemaker", "cluster/*"))],
    ),
)

_WORKFLOWS: Final = (
    # A state machine makes any call. Rules, schedules and APIs start one too. aws:SourceArn is the
    # ARN of the state machine, which a state that is tested by itself has not got:
    # https://docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html
    *_passing(
        "states.amazonaws.com",
        _on("states", "stateMachine:*", "CreateStateMachine UpdateStateMachine"),
        source=True,
    ),
    *_passing("states.amazonaws.com", _at_large("states", "TestState")),
    *_taking(
        "states.amazonaws.com",
        _on("states", "stateMachine:*", "UpdateStateMachine"),
        source=True,
    ),
    # A schedule makes any call. An update puts it anew, so that its role is always passed.
    # aws:SourceArn is the ARN of its group, not its own:
    # https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
    *_passing(
        "scheduler.amazonaws.com",
        _on("scheduler", "schedule/*", "CreateSchedule UpdateSchedule"),
    ),
    # Rules and pipes call their targets alone, which may be builds, tasks and state machines. The
    # subscribers of custom event buses have universal targets.
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-identity-based.html
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-permissions.html
    # https://docs.aws.amazon.com/eventbridgev2/latest/APIReference/API_InvokeConfiguration.html
    *_passing(
        "events.amazonaws.com",
        _on("events", "rule/*", "PutTargets PutRule"),
        _on("events", _UNKNOWN, "CreateSubscriber UpdateSubscriber"),
    ),
    *_passing("pipes.amazonaws.com", _on("pipes", "pipe/*", "CreatePipe UpdatePipe")),
    # Shell commands run as the pipeline's role. That is part of the pipeline that an update puts,
    # but AWS does not say that it has to be passed again.
    # https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-Commands.html
    *_passing(
        "codepipeline.amazonaws.com",
        _on("codepipeline", "*", "CreatePipeline UpdatePipeline"),
    ),
    *_taking("codepipeline.amazonaws.com", _on("codepipeline", "*", "UpdatePipeline")),
    # The role has to trust both services. aws:SourceArn is the ARN of the environment:
    # https://docs.aws.amazon.com/mwaa/latest/userguide/cross-service-confused-deputy-prevention.html
    *chain.from_iterable(
        (
            *_passing(
                service,
                _on("airflow", "environment/*", "CreateEnvironment UpdateEnvironment"),
                source=True,
            ),
            *_taking(service, _on("airflow", "environment/*", "UpdateEnvironment"), source=True),
        )
        for service in ("airflow.amazonaws.com", "airflow-env.amazonaws.com")
    ),
)

_SYSTEMS_MANAGER: Final = (
    # A runbook makes any call. It need not be one's own: AWS has hundreds, and other accounts may
    # share theirs. Policies may name it as either resource, for AWS went from one to the other.
    # https://docs.aws.amazon.com/systems-manager/latest/userguide/automation-setup-iam.html
    *_passing(
        "ssm.amazonaws.com",
        (
            (f"ssm:{action}", runbook)
            for action in ("StartAutomationExecution", "StartChangeRequestExecution")
            for runbook in (_DOCUMENT, "arn:{partition}:ssm:*:*:automation-definition/*")
        ),
        _ASSOCIATING,
        _IN_A_WINDOW,
        _on("config", "remediation-configuration/*", "PutRemediationConfigurations"),
        # A server of one's own, which becomes a node, gets the role; or every instance without a
        # role does, by default host management.
        # https://docs.aws.amazon.com/systems-manager/latest/userguide/activations.html
        # https://docs.aws.amazon.com/systems-manager/latest/userguide/fleet-manager-default-host-management-configuration.html
        _at_large("ssm", "CreateActivation"),
        _on("ssm", "managed-instance/*", "UpdateManagedInstanceRole"),
        _on("ssm", "servicesetting/ssm/managed-instance/*", "UpdateServiceSetting"),
    ),
    *_taking_nodes("ssm.amazonaws.com", _MANAGED_NODE, _INSTANCE),
)

_REST_APIS: Final = "arn:{partition}:apigateway:*::/restapis*"
_HTTP_APIS: Final = "arn:{partition}:apigateway:*::/apis*"

_APIS: Final = (
    # An integration makes any call. The actions are HTTP's methods: POST and PUT import APIs with
    # their integrations, or put one. Others deploy APIs too.
    # https://docs.aws.amazon.com/apigateway/latest/api/API_PutIntegration.html
    # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonapigatewaymanagement.html
    *_passing(
        "apigateway.amazonaws.com",
        ((f"apigateway:{method}", _REST_APIS) for method in ("POST", "PUT", "PATCH")),
        ((f"apigateway:{method}", _HTTP_APIS) for method in ("POST", "PUT", "PATCH")),
    ),
    # Another call for an integration that has the role.
    *_taking(
        "apigateway.amazonaws.com",
        [("apigateway:PATCH", _REST_APIS), ("apigateway:PATCH", _HTTP_APIS)],
    ),
    # An HTTP data source signs calls of AWS with the role, and resolvers write them.
    # https://docs.aws.amazon.com/appsync/latest/devguide/tutorial-http-resolvers.html
    *_passing("appsync.amazonaws.com", _at_large("appsync", "CreateDataSource UpdateDataSource")),
    *_taking(
        "appsync.amazonaws.com",
        _at_large("appsync", "UpdateDataSource CreateResolver UpdateResolver"),
        _at_large("appsync", "CreateFunction UpdateFunction"),
    ),
)

_APPLICATIONS: Final = (
    # https://docs.aws.amazon.com/apprunner/latest/dg/security_iam_service-with-iam.html
    *_passing(
        "tasks.apprunner.amazonaws.com",
        _on("apprunner", "service/*", "CreateService UpdateService"),
    ),
    *_taking("tasks.apprunner.amazonaws.com", _on("apprunner", "service/*", "UpdateService")),
    # Apps and branches have the commands that build them. aws:SourceArn is the ARN of the branch:
    # https://docs.aws.amazon.com/amplify/latest/userguide/cross-service-confused-deputy-prevention.html
    *_passing(
        "amplify.amazonaws.com",
        _at_large("amplify", "CreateApp"),
        _on("amplify", "apps/*", "UpdateApp"),
    ),
    *_passing(
        "amplify.amazonaws.com",
        _on("amplify", "apps/*/branches/*", "CreateBranch UpdateBranch"),
        source=True,
    ),
    *_taking("amplify.amazonaws.com", _on("amplify", "apps/*", "UpdateApp")),
    *_taking(
        "amplify.amazonaws.com",
        _on("amplify", "apps/*/branches/*", "CreateBranch UpdateBranch StartDeployment"),
        source=True,
    ),
    # https://docs.aws.amazon.com/gamelift/latest/apireference/API_GetComputeAccess.html
    *_passing("gamelift.amazonaws.com", _at_large("gamelift", "CreateFleet CreateContainerFleet")),
    *_taking(
        "gamelift.amazonaws.com",
        _on("gamelift", "fleet/*", "GetComputeAccess GetInstanceAccess"),
        _on("gamelift", "containerfleet/*", "GetComputeAccess UpdateContainerFleet"),
    ),
    # A code interpreter takes code, a runtime takes commands, a gateway makes the calls of its
    # targets, and a browser opens what it is told to on the machine that has the role.
    # https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/runtime-permissions.html
    *_passing(
        "bedrock-agentcore.amazonaws.com",
        _at_large("bedrock-agentcore", "CreateAgentRuntime CreateBrowser CreateCodeInterpreter"),
        _at_large("bedrock-agentcore", "CreateGateway"),
        _on("bedrock-agentcore", _UNKNOWN, "CreateHarness"),
        _on("bedrock-agentcore", "gateway/*", "UpdateGateway"),
        _on("bedrock-agentcore", "harness/*", "UpdateHarness"),
        _on("bedrock-agentcore", "runtime/*", "UpdateAgentRuntime"),
    ),
    *_taking(
        "bedrock-agentcore.amazonaws.com",
        _on("bedrock-agentcore", "browser-custom/*", "StartBrowserSession"),
        _on("bedrock-agentcore", "code-interpreter-custom/*", "InvokeCodeInterpreter"),
        _on("bedrock-agentcore", "gateway/*", "CreateGatewayTarget UpdateGatewayTarget"),
        _on("bedrock-agentcore", "harness/*", "UpdateHarness"),
        _on("bedrock-agentcore", "runtime/*", "InvokeAgentRuntimeCommand"),
    ),
)

_DATA: Final = (
    # The role is passed with each run or session. One that runs already may be joined.
    # https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/security-iam-runtime-role.html
    *_passing(
        "emr-serverless.amazonaws.com",
        _on("emr-serverless", "/applications/*", "StartJobRun StartSession"),
        _on("emr-serverless", "/applications/*", "AccessInteractiveEndpoints AccessLivyEndpoints"),
    ),
    *_taking(
        "emr-serverless.amazonaws.com",
        _on("emr-serverless", "/applications/*", "GetSessionEndpoint"),
    ),
    # https://docs.aws.amazon.com/managed-flink/latest/apiv2/API_CreateApplication.html
    *_passing(
        "kinesisanalytics.amazonaws.com",
        _at_large("kinesisanalytics", "CreateApplication"),
        _on("kinesisanalytics", "application/*", "UpdateApplication"),
    ),
    *_taking(
        "kinesisanalytics.amazonaws.com",
        _on("kinesisanalytics", "application/*", "UpdateApplication"),
        _on("kinesisanalytics", "application/*", "CreateApplicationPresignedUrl"),
    ),
    # https://docs.aws.amazon.com/msk/latest/developerguide/msk-connect-service-execution-role.html
    *_passing("kafkaconnect.amazonaws.com", _at_large("kafkaconnect", "CreateConnector")),
    # Workgroups for Spark. aws:SourceArn is the ARN of the workgroup:
    # https://docs.aws.amazon.com/athena/latest/ug/notebooks-spark-troubleshooting-workgroups.html
    *_passing(
        "athena.amazonaws.com",
        _on("athena", "workgroup/*", "CreateWorkGroup UpdateWorkGroup StartSession"),
        source=True,
    ),
    *_taking(
        "athena.amazonaws.com",
        _on("athena", "workgroup/*", "StartSession StartCalculationExecution"),
        _on("athena", "workgroup/*", "CreatePresignedNotebookUrl GetSessionEndpoint"),
        source=True,
    ),
    # https://docs.aws.amazon.com/braket/latest/developerguide/braket-manage-access.html
    *_passing("braket.amazonaws.com", _at_large("braket", "CreateJob")),
)

_CREDENTIALS: Final = (
    # These hand the role's credentials out: to whoever has a certificate, or to a pod.
    # aws:SourceArn is the ARN of the role alias:
    # https://docs.aws.amazon.com/iot/latest/developerguide/authorizing-direct-aws.html
    *_passing(
        "credentials.iot.amazonaws.com",
        _on("iot", "rolealias/*", "CreateRoleAlias UpdateRoleAlias"),
        source=True,
    ),
    # A policy that lets one's own certificate use the alias.
    *_taking(
        "credentials.iot.amazonaws.com",
        _on("iot", "cert/*", "AttachPolicy AttachPrincipalPolicy"),
        _on("iot", "thinggroup/*", "AttachPolicy"),
        _on("iot", "policy/*", "CreatePolicyVersion"),
    ),
    # aws:SourceArn is the ARN of the trust anchor. Of a new one, nobody chooses it.
    # https://docs.aws.amazon.com/rolesanywhere/latest/userguide/trust-model.html
    *_passing(
        "rolesanywhere.amazonaws.com",
        _at_large("rolesanywhere", "CreateProfile"),
        _on("rolesanywhere", "profile/*", "UpdateProfile EnableProfile"),
    ),
    *_taking(
        "rolesanywhere.amazonaws.com",
        _at_large("rolesanywhere", "CreateTrustAnchor"),
        _on("acm-pca", "certificate-authority/*", "IssueCertificate"),
    ),
    *_taking(
        "rolesanywhere.amazonaws.com",
        _on("rolesanywhere", "trust-anchor/*", "UpdateTrustAnchor"),
        source=True,
    ),
    # https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html
    *_passing(
        "pods.eks.amazonaws.com",
        _on("eks", "cluster/*", "CreatePodIdentityAssociation CreateAddon"),
        _on("eks", "podidentityassociation/*", "UpdatePodIdentityAssociation"),
        _on("eks", "addon/*", "UpdateAddon"),
    ),
    *_taking("pods.eks.amazonaws.com", _PODS),
)

COMPUTE: Final[tuple[Compute, ...]] = (
    *_CODEBUILD,
    *_LAMBDA,
    *_ECS,
    *_EC2,
    *_CLOUDFORMATION,
    *_GLUE,
    *_SAGEMAKER,
    *_WORKFLOWS,
    *_SYSTEMS_MANAGER,
    *_APIS,
    *_APPLICATIONS,
    *_DATA,
    *_CREDENTIALS,
)
"""The ways through compute, each with the calls that it cannot do without. A call that others may
make as well is left out, and so is one that AWS does not say is needed: rather a way that needs
luck than one that nobody sees.

A service that is here is here with all ways known to pass it a role. Of any other, the table says
nothing. What a service is given to run may also be changed where it is kept, in a repository, a
bucket or a registry: that is left out.

Actions and resources are from the Service Authorization Reference:
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""
