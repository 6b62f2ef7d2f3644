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
DEV: Final = role(DEVELOPER)
PIPE: Final = role(PIPELINE)

_EVENTS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "tags": {
        "a move by another role": put(DEV),
        "by a role of the pipeline's name with another path": put(
            role(f"{IAM}role/forms-image-pipeline")
        ),
        "by a role whose name begins as the pipeline's": put(role(f"{PIPELINE}-2")),
        "by an IAM user": put(USER),
        "by the root": put(ROOT),
        "by a federated user": put(FEDERATED),
        "by another account": put(OTHER_ACCOUNT),
        "by a role of another account": put(role(f"arn:aws:iam::{FOREIGN}:role/ci/pull")),
        "by a service for a role": put(role(DEVELOPER, invokedBy="cloudformation.amazonaws.com")),
        "by a service": put(
            {"type": "AWSService", "invokedBy": "imagebuilder.amazonaws.com"},
            sourceIPAddress="imagebuilder.amazonaws.com",
        ),
        "by replication": call(
            "ReplicateImage", {"accountId": ACCOUNT, "invokedBy": "AWS Internal"}
        ),
        "by an administrator": put(role(DEPLOY)),
        "a Docker client's push": put(DEV, "dev-1", sourceIPAddress="ecr.amazonaws.com"),
        "a push without a tag": call("PutImage", DEV, imageManifest="{}"),
        "too large to be recorded whole": put(DEV, **TOO_LARGE),
        "denied": denied(put(DEV)),
        "denied, without the request": denied(put(DEV), requestParameters=None),
        "denied, without resources": without(denied(put(DEV)), "resources"),
        "somebody else's retried move": denied(
            put(USER), "Image with digest ...", errorCode="ImageAlreadyExistsException"
        ),
        "in the other repository": put(DEV, name="team/app"),
        "a deletion": call("BatchDeleteImage", DEV, imageIds=[{"imageTag": "latest"}]),
        "archiving": call("UpdateImageStorageClass", USER),
    },
    "unnamed": {
        "denied, with neither": without(denied(put(DEV), requestParameters=None), "resources"),
        "a resource tag, without resources": tag_resource("app"),
    },
    "guard": {
        "an update of the guard": call("SetRepositoryPolicy", role(DEPLOY), policyText="{}"),
        "of the tag mutability by the pipeline": call(
            "PutImageTagMutability", PIPE, imageTagMutability="MUTABLE"
        ),
        "a lifecycle policy by the root": call("PutLifecyclePolicy", ROOT),
        "a denied deletion of the repository": denied(call("DeleteRepository", USER)),
        "the repository made anew": call("CreateRepository", USER),
        "a resource tag": tag_resource("app", resources=on("app")),
    },
    "registry": {
        "replication": event(
            "ecr", "PutReplicationConfiguration", USER, {"replicationConfiguration": {}}
        ),
        "a pull-through cache, denied": denied(
            event("ecr", "CreatePullThroughCacheRule", DEV, None)
        ),
    },
    "expiry": {
        "latest expires": expiry("app", ["prod-1"], ["prod-2", "latest"]),
        "another movable tag expires": expiry("team/app", ["stable"]),
    },
    "roles": {
        "a trust policy rewritten": on_role("UpdateAssumeRolePolicy", "forms-image-pipeline", DEV),
        "a policy put by an administrator": on_role("PutRolePolicy", "break-glass", role(DEPLOY)),
        "a role by its name in other capitals": on_role(
            "UpdateAssumeRolePolicy", "Forms-Image-PIPELINE", DEV
        ),
        "a denied change by name": denied_on_role("role break-glass"),
        "a denied change by ARN": denied_on_role(PIPELINE),
    },
    "builds": {
        "a build with another buildspec": build(
            "StartBuild", projectName="push", buildspecOverride="phases: {}"
        ),
        "a batch from another source, by the project's ARN": build(
            "StartBuildBatch", projectName=PROJECT, sourceLocationOverride="https://x"
        ),
        "a denied build with another image": denied(
            build("StartBuild", projectName="push", imageOverride="x")
        ),
        "a changed project": build("UpdateProject", name="push", source={}),
        "a shell": build("StartSandbox", projectName="push"),
    },
    "assumed": {
        "a developer": assume(DEV),
        "a user": assume(USER),
        "another service": assume({"type": "AWSService", "invokedBy": "lambda.amazonaws.com"}),
        "a job of another branch": assume(github("repo:example-org/forms-deploy:ref:refs/heads/x")),
        "a job by another provider": assume(github(provider=f"{IAM}oidc-provider/example.com")),
        "an account that is not trusted": assume(OTHER_ACCOUNT),
        "a developer who writes the role in other capitals": assume(
            DEV, PIPELINE.replace("forms", "Forms")
        ),
        "a denied attempt": denied_assume(PIPELINE),
        "a denied attempt, explained": denied_assume(
            PIPELINE, " because no identity-based policy allows it"
        ),
    },
    "": {
        "by a listed role of another account": put(role(FOREIGN_PIPELINE)),
        "by the pipeline": put(role(PIPELINE, "release-412")),
        "the pipeline's, too large to be recorded whole": put(PIPE, **TOO_LARGE),
        "the pipeline's, with neither": without(put(PIPE, requestParameters=None), "resources"),
        "a retried move": denied(
            put(PIPE), "Image with digest ...", errorCode="ImageAlreadyExistsException"
        ),
        "in another repository": put(DEV, name="other"),
        "in one whose name begins so": put(DEV, name="app-2"),
        "in one whose name ends so": put(DEV, name="my/app"),
        "denied in another repository": without(denied(put(DEV, name="other")), "resources"),
        "in the same repository of another account": put(DEV, resources=on("app", FOREIGN)),
        "a pull": call("BatchGetImage", DEV),
        "a layer": call("CompleteLayerUpload", DEV),
        "a resource tag elsewhere": tag_resource("other", resources=on("other")),
        "the guard of another repository": call("SetRepositoryPolicy", USER, "other"),
        "a guard that is read": call("GetRepositoryPolicy", USER),
        "a login": event("ecr", "GetAuthorizationToken", DEV, None),
        "others expire": expiry("app", ["prod-1"], [], ["latest-2"]),
        "latest of another repository expires": expiry("other", ["latest"]),
        "another role": on_role("PutRolePolicy", "developer", USER),
        "a role whose name begins so": on_role("PutRolePolicy", "break-glass-2", USER),
        "a role that is read": on_role("GetRole", "break-glass", USER),
        "a denied change of another role": denied_on_role("role break-glass-2"),
        "an administrator's denied change of another role": denied(
            event("iam", "PutRolePolicy", role(DEPLOY), None),
            f"User: {DEPLOY} is not authorized to perform: iam:PutRolePolicy on resource: role x "
            "because of a boundary",
        ),
        "a build of the project as it is": build(
            "StartBuild", projectName="push", sourceVersion="main"
        ),
        "another project": build(
            "StartBuild", projectName="push-2", buildspecOverride="phases: {}"
        ),
        "another project changed": build("UpdateProject", name="push-2"),
        "a build": assume(CODEBUILD),
        "a job": assume(github(), name="AssumeRoleWithWebIdentity"),
        "a trusted role": assume(role(f"{IAM}role/ci/start")),
        "a trusted role of another account": assume({**OTHER_ACCOUNT, "accountId": "777788889999"}),
        "a developer who becomes another role": assume(DEV, DEPLOY),
        "a denied attempt at another role": denied_assume(f"{PIPELINE}-2"),
        "ECR's own event": {
            **event("ecr", "x", USER, None),
            "detail-type": "ECR Image Action",
            "detail": {
                "action-type": "PUSH",
                "result": "SUCCESS",
                "repository-name": "app",
                "image-tag": "latest",
            },
        },
    },
}
CASES: Final = {
    name: (event, alert) for alert, events in _EVENTS.items() for name, event in events.items()
}
"""By name: the event, and the alert that it makes; empty where there is none."""
