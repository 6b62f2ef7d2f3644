"""Events as CloudTrail hands them to EventBridge, in the shapes that AWS documents.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/logging-using-cloudtrail.html
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html
https://repost.aws/knowledge-center/ecr-lifecycle-policy-events
"""

from typing import Any, Final

from container_images.policies.event_patterns import Audit

ACCOUNT: Final = "111122223333"
FOREIGN: Final = "444455556666"
IAM: Final = f"arn:aws:iam::{ACCOUNT}:"
PIPELINE: Final = f"{IAM}role/pipeline/forms-image-pipeline"
FOREIGN_PIPELINE: Final = f"arn:aws:iam::{FOREIGN}:role/ci/push"
DEPLOY: Final = f"{IAM}role/platform/forms-registry-deploy"
DEVELOPER: Final = f"{IAM}role/team/developer"
PROVIDER: Final = f"{IAM}oidc-provider/token.actions.githubusercontent.com"
SUBJECT: Final = "repo:example-org/forms-deploy:environment:production"
PROJECT: Final = f"arn:aws:codebuild:eu-west-2:{ACCOUNT}:project/push"
DIGEST: Final = f"sha256:{'a' * 64}"


def audit(**changes: Any) -> Audit:
    """An audit with one of everything."""
    made: Any = {
        "partition": "aws",
        "account_id": ACCOUNT,
        "region": "eu-west-2",
        "repositories": ["app", "team/app"],
        "movable_tags": ["latest", "stable"],
        "pipeline_roles": [PIPELINE, FOREIGN_PIPELINE],
        "administrator_roles": [DEPLOY, f"{IAM}role/break-glass"],
        "created_role": PIPELINE,
        "trust": {
            "partition": "aws",
            "account_id": ACCOUNT,
            "codebuild_projects": [PROJECT],
            "github_subjects": [SUBJECT],
            "roles": [f"{IAM}role/ci/start", "arn:aws:iam::777788889999:role/ci/start"],
        },
    }
    return {**made, **changes}  # type: ignore[typeddict-item]


# --- Who ------------------------------------------------------------------------------------------


def role(arn: str, session: str = "mary", **more: Any) -> dict[str, Any]:
    account, _, name = arn.split(":")[4], *arn.rpartition("/")[1:]
    return {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
        "accountId": account,
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": arn, "userName": name}},
        **more,
    }


USER: Final = {"type": "IAMUser", "arn": f"{IAM}user/Mary_Major", "accountId": ACCOUNT}
ROOT: Final = {
    "type": "Root",
    "arn": f"{IAM}root",
    "sessionContext": {"attributes": {"mfaAuthenticated": "true"}},
}
FEDERATED: Final = {
    "type": "FederatedUser",
    "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/Bob",
    "sessionContext": {"sessionIssuer": {"type": "IAMUser", "arn": USER["arn"]}},
}
OTHER_ACCOUNT: Final = {"type": "AWSAccount", "principalId": "AROA:deploy", "accountId": FOREIGN}
CODEBUILD: Final = {"type": "AWSService", "invokedBy": "codebuild.amazonaws.com"}


def github(subject: str = SUBJECT, provider: str = PROVIDER) -> dict[str, Any]:
    principal = f"{provider}:sts.amazonaws.com:{subject}"
    return {"type": "WebIdentityUser", "principalId": principal, "userName": subject}


# --- What -----------------------------------------------------------------------------------------


def event(service: str, call: str, who: Any, request: Any, **detail: Any) -> dict[str, Any]:
    return {
        "detail-type": "AWS API Call via CloudTrail",
        "source": f"aws.{service}",
        "account": ACCOUNT,
        "resources": [],
        "detail": {
            "userIdentity": who,
            "eventTime": "2026-11-24T10:00:00Z",
            "eventSource": f"{service}.amazonaws.com",
            "eventName": call,
            "sourceIPAddress": "203.0.113.12",
            "requestParameters": request,
            "responseElements": None,
            "eventID": "2bfd4ee2-2178-4a82-a27d-b12939923f0f",
            "readOnly": call.startswith(("AssumeRole", "Get", "PolicyExecution")),
            **detail,
        },
    }


def arn(name: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:ecr:eu-west-2:{account}:repository/{name}"


def on(name: str, account: str = ACCOUNT) -> list[dict[str, str]]:
    return [{"ARN": arn(name, account), "accountId": account}]


def put(who: Any, tag: str = "latest", name: str = "app", **detail: Any) -> dict[str, Any]:
    request = {"repositoryName": name, "imageTag": tag, "registryId": ACCOUNT}
    return event("ecr", "PutImage", who, request, **{"resources": on(name), **detail})


def denied(made: dict[str, Any], message: str = "explicit deny", **detail: Any) -> dict[str, Any]:
    """The same call, denied: with the request, unless `detail` says otherwise."""
    parts = {"errorCode": "AccessDenied", "errorMessage": message, **detail}
    return {**made, "detail": {**made["detail"], **parts}}


def without(made: dict[str, Any], *fields: str) -> dict[str, Any]:
    return {**made, "detail": {key: it for key, it in made["detail"].items() if key not in fields}}


def call(name: str, who: Any, repository: str = "app", **request: Any) -> dict[str, Any]:
    asked = {"repositoryName": repository, "registryId": ACCOUNT, **request}
    return event("ecr", name, who, asked, resources=on(repository))


def tag_resource(name: str, **detail: Any) -> dict[str, Any]:
    return event("ecr", "TagResource", role(DEVELOPER), {"resourceArn": arn(name)}, **detail)


def expiry(name: str, *tags: list[str]) -> dict[str, Any]:
    images = [{"lifecycleEventImage": {"digest": DIGEST, "tagList": them}} for them in tags]
    details = {"repositoryName": name, "lifecycleEventImageActions": images}
    by_ecr = {"accountId": ACCOUNT, "invokedBy": "AWS Internal"}
    made = event("ecr", "PolicyExecutionEvent", by_ecr, None, serviceEventDetails=details)
    return {**made, "detail-type": "AWS Service Event via CloudTrail"}


def on_role(name: str, target: str, who: Any) -> dict[str, Any]:
    return event("iam", name, who, {"roleName": target})


def denied_on_role(resource: str) -> dict[str, Any]:
    """As IAM has it: the request is left out, and the message names the role."""
    message = (
        f"User: {USER['arn']} is not authorized to perform: iam:PutRolePolicy on resource: "
        f"{resource} because no identity-based policy allows the iam:PutRolePolicy action"
    )
    return denied(event("iam", "PutRolePolicy", USER, None), message)


def assume(who: Any, target: str = PIPELINE, name: str = "AssumeRole") -> dict[str, Any]:
    return event("sts", name, who, {"roleArn": target, "roleSessionName": "release-412"})


def denied_assume(resource: str, ending: str = "") -> dict[str, Any]:
    action = "sts:AssumeRole on resource"
    message = f"User: {USER['arn']} is not authorized to perform: {action}: {resource}{ending}"
    return denied(event("sts", "AssumeRole", USER, None), message)


def build(call: str, **request: Any) -> dict[str, Any]:
    return event("codebuild", call, role(DEVELOPER), request)


TOO_LARGE: Final[dict[str, Any]] = {"requestParameters": None, "responseElements": None}
CASES: Final[dict[str, tuple[dict[str, Any], str]]] = {
    # The call by each kind of caller.
    "a move by another role": (put(role(DEVELOPER)), "tags"),
    "by a role of the pipeline's name with another path": (
        put(role(f"{IAM}role/forms-image-pipeline")),
        "tags",
    ),
    "by a role whose name begins as the pipeline's": (put(role(f"{PIPELINE}-2")), "tags"),
    "by an IAM user": (put(USER), "tags"),
    "by the root": (put(ROOT), "tags"),
    "by a federated user": (put(FEDERATED), "tags"),
    "by another account": (put(OTHER_ACCOUNT), "tags"),
    "by a listed role of another account": (put(role(FOREIGN_PIPELINE)), ""),
    "by a role of another account": (put(role(f"arn:aws:iam::{FOREIGN}:role/ci/pull")), "tags"),
    "by a service for a role": (
        put(role(DEVELOPER, invokedBy="cloudformation.amazonaws.com")),
        "tags",
    ),
    "by a service": (
        put(
            {"type": "AWSService", "invokedBy": "imagebuilder.amazonaws.com"},
            sourceIPAddress="imagebuilder.amazonaws.com",
        ),
        "tags",
    ),
    "by replication": (
        call("ReplicateImage", {"accountId": ACCOUNT, "invokedBy": "AWS Internal"}),
        "tags",
    ),
    "by an administrator": (put(role(DEPLOY)), "tags"),
    "by the pipeline": (put(role(PIPELINE, "release-412")), ""),
    "a Docker client's push": (
        put(role(DEVELOPER), "dev-1", sourceIPAddress="ecr.amazonaws.com"),
        "tags",
    ),
    "a push without a tag": (
        call("PutImage", role(DEVELOPER), imageManifest="{}"),
        "tags",
    ),
    # What is recorded of it.
    "too large to be recorded whole": (put(role(DEVELOPER), **TOO_LARGE), "tags"),
    "the pipeline's, too large to be recorded whole": (put(role(PIPELINE), **TOO_LARGE), ""),
    "denied": (denied(put(role(DEVELOPER))), "tags"),
    "denied, without the request": (denied(put(role(DEVELOPER)), requestParameters=None), "tags"),
    "denied, without resources": (without(denied(put(role(DEVELOPER))), "resources"), "tags"),
    "denied, with neither": (
        without(denied(put(role(DEVELOPER)), requestParameters=None), "resources"),
        "unnamed",
    ),
    "the pipeline's, with neither": (
        without(put(role(PIPELINE), requestParameters=None), "resources"),
        "",
    ),
    "a retried move": (
        denied(
            put(role(PIPELINE)), "Image with digest ...", errorCode="ImageAlreadyExistsException"
        ),
        "",
    ),
    "somebody else's retried move": (
        denied(put(USER), "Image with digest ...", errorCode="ImageAlreadyExistsException"),
        "tags",
    ),
    # Where.
    "in the other repository": (put(role(DEVELOPER), name="team/app"), "tags"),
    "in another repository": (put(role(DEVELOPER), name="other"), ""),
    "in one whose name begins so": (put(role(DEVELOPER), name="app-2"), ""),
    "in one whose name ends so": (put(role(DEVELOPER), name="my/app"), ""),
    "denied in another repository": (
        without(denied(put(role(DEVELOPER), name="other")), "resources"),
        "",
    ),
    "in the same repository of another account": (
        put(role(DEVELOPER), resources=on("app", FOREIGN)),
        "",
    ),
    # Deletion.
    "a deletion": (
        call("BatchDeleteImage", role(DEVELOPER), imageIds=[{"imageTag": "latest"}]),
        "tags",
    ),
    "archiving": (call("UpdateImageStorageClass", USER), "tags"),
    "a pull": (call("BatchGetImage", role(DEVELOPER)), ""),
    "a layer": (call("CompleteLayerUpload", role(DEVELOPER)), ""),
    # The guard.
    "an update of the guard": (call("SetRepositoryPolicy", role(DEPLOY), policyText="{}"), "guard"),
    "of the tag mutability by the pipeline": (
        call("PutImageTagMutability", role(PIPELINE), imageTagMutability="MUTABLE"),
        "guard",
    ),
    "a lifecycle policy by the root": (call("PutLifecyclePolicy", ROOT), "guard"),
    "a denied deletion of the repository": (denied(call("DeleteRepository", USER)), "guard"),
    "the repository made anew": (call("CreateRepository", USER), "guard"),
    "a resource tag": (tag_resource("app", resources=on("app")), "guard"),
    "a resource tag, without resources": (tag_resource("app"), "unnamed"),
    "a resource tag elsewhere": (tag_resource("other", resources=on("other")), ""),
    "the guard of another repository": (call("SetRepositoryPolicy", USER, "other"), ""),
    "a guard that is read": (call("GetRepositoryPolicy", USER), ""),
    # The registry.
    "replication": (
        event("ecr", "PutReplicationConfiguration", USER, {"replicationConfiguration": {}}),
        "registry",
    ),
    "a pull-through cache, denied": (
        denied(event("ecr", "CreatePullThroughCacheRule", role(DEVELOPER), None)),
        "registry",
    ),
    "a login": (event("ecr", "GetAuthorizationToken", role(DEVELOPER), None), ""),
    # Expiry.
    "latest expires": (expiry("app", ["prod-1"], ["prod-2", "latest"]), "expiry"),
    "another movable tag expires": (expiry("team/app", ["stable"]), "expiry"),
    "others expire": (expiry("app", ["prod-1"], [], ["latest-2"]), ""),
    "latest of another repository expires": (expiry("other", ["latest"]), ""),
    # Roles.
    "a trust policy rewritten": (
        on_role("UpdateAssumeRolePolicy", "forms-image-pipeline", role(DEVELOPER)),
        "roles",
    ),
    "a policy put by an administrator": (
        on_role("PutRolePolicy", "break-glass", role(DEPLOY)),
        "roles",
    ),
    "a role by its name in other capitals": (
        on_role("UpdateAssumeRolePolicy", "Forms-Image-PIPELINE", role(DEVELOPER)),
        "roles",
    ),
    "another role": (on_role("PutRolePolicy", "developer", USER), ""),
    "a role whose name begins so": (on_role("PutRolePolicy", "break-glass-2", USER), ""),
    "a role that is read": (on_role("GetRole", "break-glass", USER), ""),
    "a denied change by name": (denied_on_role("role break-glass"), "roles"),
    "a denied change by ARN": (denied_on_role(PIPELINE), "roles"),
    "a denied change of another role": (denied_on_role("role break-glass-2"), ""),
    "an administrator's denied change of another role": (
        denied(
            event("iam", "PutRolePolicy", role(DEPLOY), None),
            f"User: {DEPLOY} is not authorized to perform: iam:PutRolePolicy on resource: role x "
            "because of a boundary",
        ),
        "",
    ),
    # The pipeline's CodeBuild project.
    "a build with another buildspec": (
        build("StartBuild", projectName="push", buildspecOverride="phases: {}"),
        "builds",
    ),
    "a batch from another source, by the project's ARN": (
        build("StartBuildBatch", projectName=PROJECT, sourceLocationOverride="https://x"),
        "builds",
    ),
    "a denied build with another image": (
        denied(build("StartBuild", projectName="push", imageOverride="x")),
        "builds",
    ),
    "a changed project": (build("UpdateProject", name="push", source={}), "builds"),
    "a shell": (build("StartSandbox", projectName="push"), "builds"),
    "a build of the project as it is": (
        build("StartBuild", projectName="push", sourceVersion="main"),
        "",
    ),
    "another project": (
        build("StartBuild", projectName="push-2", buildspecOverride="phases: {}"),
        "",
    ),
    "another project changed": (build("UpdateProject", name="push-2"), ""),
    # Becoming the pipeline.
    "a build": (assume(CODEBUILD), ""),
    "a job": (assume(github(), name="AssumeRoleWithWebIdentity"), ""),
    "a trusted role": (assume(role(f"{IAM}role/ci/start")), ""),
    "a trusted role of another account": (
        assume({**OTHER_ACCOUNT, "accountId": "777788889999"}),
        "",
    ),
    "a developer": (assume(role(DEVELOPER)), "assumed"),
    "a user": (assume(USER), "assumed"),
    "another service": (
        assume({"type": "AWSService", "invokedBy": "lambda.amazonaws.com"}),
        "assumed",
    ),
    "a job of another branch": (
        assume(github("repo:example-org/forms-deploy:ref:refs/heads/x")),
        "assumed",
    ),
    "a job by another provider": (
        assume(github(provider=f"{IAM}oidc-provider/example.com")),
        "assumed",
    ),
    "an account that is not trusted": (assume(OTHER_ACCOUNT), "assumed"),
    "a developer who writes the role in other capitals": (
        assume(role(DEVELOPER), PIPELINE.replace("forms", "Forms")),
        "assumed",
    ),
    "a developer who becomes another role": (assume(role(DEVELOPER), DEPLOY), ""),
    "a denied attempt": (denied_assume(PIPELINE), "assumed"),
    "a denied attempt, explained": (
        denied_assume(PIPELINE, " because no identity-based policy allows it"),
        "assumed",
    ),
    "a denied attempt at another role": (denied_assume(f"{PIPELINE}-2"), ""),
    # Others.
    "ECR's own event": (
        {
            **event("ecr", "x", USER, None),
            "detail-type": "ECR Image Action",
            "detail": {
                "action-type": "PUSH",
                "result": "SUCCESS",
                "repository-name": "app",
                "image-tag": "latest",
            },
        },
        "",
    ),
}
"""By name: the event, and the rule that it is for; empty where there is no alert."""
