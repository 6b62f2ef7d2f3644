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
PROVIDER: Final = f"{IAM}oidc-provider/token.actions.githubusercontent.com:sts.amazonaws.com"
SUBJECT: Final = "repo:example-org/forms-deploy:environment:production"
GITLAB: Final = f"{IAM}oidc-provider/gitlab.com:https://gitlab.com"
GITLAB_SUBJECT: Final = "project_path:example/forms:ref_type:branch:ref:main"
PROJECT: Final = f"arn:aws:codebuild:eu-west-2:{ACCOUNT}:project/push"


def audit(**changes: Any) -> Audit:
    """An audit with one of everything."""
    access: Any = {
        "partition": "aws",
        "account_id": ACCOUNT,
        "region": "eu-west-2",
        "pipeline_roles": [PIPELINE, FOREIGN_PIPELINE],
        "administrator_roles": [DEPLOY, f"{IAM}role/break-glass"],
    }
    everything: Any = {
        "access": access | {key: changes.pop(key) for key in access.keys() & changes.keys()},
        "repositories": ["app", "team/app"],
        "movable_tags": ["latest", "stable"],
        "created_role": PIPELINE,
        "trust": {
            "partition": "aws",
            "account_id": ACCOUNT,
            "codebuild_projects": [PROJECT],
            "github_subjects": [SUBJECT],
            "roles": [f"{IAM}role/ci/start", "arn:aws:iam::777788889999:role/ci/start"],
            "oidc": {
                "provider": "gitlab.com",
                "audience": "https://gitlab.com",
                "subjects": [GITLAB_SUBJECT],
            },
        },
    }
    return {**everything, **changes}  # type: ignore[typeddict-item]


# --- Who ------------------------------------------------------------------------------------------


def role(arn: str, session: str = "mary", **more: Any) -> dict[str, Any]:
    account, name = arn.split(":")[4], arn.rpartition("/")[2]
    return {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
        "accountId": account,
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": arn, "userName": name}},
        **more,
    }


def service(name: str) -> dict[str, Any]:
    return {"type": "AWSService", "invokedBy": f"{name}.amazonaws.com"}


def job(subject: str = SUBJECT, provider: str = PROVIDER) -> dict[str, Any]:
    principal = f"{provider}:{subject}"
    return {"type": "WebIdentityUser", "principalId": principal, "userName": subject}


def account(number: str) -> dict[str, Any]:
    return {"type": "AWSAccount", "principalId": "AROA:deploy", "accountId": number}


DEV: Final = role(DEVELOPER)
PIPE: Final = role(PIPELINE)
USER: Final = {"type": "IAMUser", "arn": f"{IAM}user/Mary_Major", "accountId": ACCOUNT}
ROOT: Final = {"type": "Root", "arn": f"{IAM}root"}
ISSUED_BY_USER: Final = {"sessionContext": {"sessionIssuer": {"type": "IAMUser", "arn": "a:user"}}}
FEDERATED: Final = {"type": "FederatedUser", "arn": "federated-user/Bob", **ISSUED_BY_USER}
ECR: Final = {"accountId": ACCOUNT, "invokedBy": "AWS Internal"}


# --- What -----------------------------------------------------------------------------------------


def event(source: str, call: str, who: Any, request: Any, **detail: Any) -> dict[str, Any]:
    return {
        "detail-type": "AWS API Call via CloudTrail",
        "source": f"aws.{source}",
        "account": ACCOUNT,
        "resources": [],
        "detail": {
            "userIdentity": who,
            "eventTime": "2026-11-24T10:00:00Z",
            "eventSource": f"{source}.amazonaws.com",
            "eventName": call,
            "sourceIPAddress": "203.0.113.12",
            "requestParameters": request,
            "responseElements": None,
            "eventID": "2bfd4ee2-2178-4a82-a27d-b12939923f0f",
            "readOnly": call.startswith(("AssumeRole", "Get", "PolicyExecution")),
            **detail,
        },
    }


def changed(event: dict[str, Any], **detail: Any) -> dict[str, Any]:
    return {**event, "detail": {**event["detail"], **detail}}


def denied(event: dict[str, Any], message: str = "explicit deny", **detail: Any) -> dict[str, Any]:
    return changed(event, **{"errorCode": "AccessDenied", "errorMessage": message, **detail})


def retried(event: dict[str, Any]) -> dict[str, Any]:
    return denied(event, "Image with digest ...", errorCode="ImageAlreadyExistsException")


def on(name: str, number: str = ACCOUNT) -> list[dict[str, str]]:
    return [{"ARN": f"arn:aws:ecr:eu-west-2:{number}:repository/{name}", "accountId": number}]


def ecr(call: str, who: Any, name: str = "app", **request: Any) -> dict[str, Any]:
    parameters = {"repositoryName": name, "registryId": ACCOUNT, **request}
    return event("ecr", call, who, parameters, resources=on(name))


def put(who: Any, name: str = "app", **detail: Any) -> dict[str, Any]:
    return changed(ecr("PutImage", who, name, imageTag="latest"), **detail)


UNRECORDED: Final[dict[str, Any]] = {"requestParameters": None, "responseElements": None}
UNNAMED: Final[dict[str, Any]] = {"requestParameters": None, "resources": None}
OTHERS: Final = {"repositoryName": "app", "registryId": FOREIGN}


def tag_resource(name: str, **detail: Any) -> dict[str, Any]:
    return event("ecr", "TagResource", DEV, {"resourceArn": on(name)[0]["ARN"]}, **detail)


def expiry(name: str, *tags: list[str]) -> dict[str, Any]:
    images = [{"lifecycleEventImage": {"digest": "sha256:aaa", "tagList": names}} for names in tags]
    details = {"repositoryName": name, "lifecycleEventImageActions": images}
    expired = event("ecr", "PolicyExecutionEvent", ECR, None, serviceEventDetails=details)
    return {**expired, "detail-type": "AWS Service Event via CloudTrail"}


def on_role(call: str, target: str, who: Any) -> dict[str, Any]:
    return event("iam", call, who, {"roleName": target})


def denied_on(resource: str, call: str = "iam:PutRolePolicy", ending: str = "") -> dict[str, Any]:
    """As IAM has it: the request is left out, and the message names the role."""
    message = f"User: {DEPLOY} is not authorized to perform: {call} on resource: {resource}{ending}"
    source, _, name = call.partition(":")
    return denied(event(source, name, role(DEPLOY), None), message)


def assume(who: Any, target: str = PIPELINE, call: str = "AssumeRole") -> dict[str, Any]:
    return event("sts", call, who, {"roleArn": target, "roleSessionName": "release-412"})


def build(call: str, **request: Any) -> dict[str, Any]:
    return event("codebuild", call, DEV, request)


BECAUSE: Final = " because no identity-based policy allows it"

_EVENTS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "tags": {
        "a move by another role": put(DEV),
        "by a role of the pipeline's name": put(role(f"{IAM}role/forms-image-pipeline")),
        "by a role whose name begins as the pipeline's": put(role(f"{PIPELINE}-2")),
        "by an IAM user": put(USER),
        "by the root": put(ROOT),
        "by a federated user": put(FEDERATED),
        "by another account": put(account(FOREIGN)),
        "by a service for a role": put(role(DEVELOPER, invokedBy="cloudformation.amazonaws.com")),
        "by a service": put(service("imagebuilder")),
        "by replication": ecr("ReplicateImage", ECR),
        "by an administrator": put(role(DEPLOY)),
        "too large to be recorded whole": put(DEV, **UNRECORDED),
        "denied": denied(put(DEV)),
        "denied, without resources": denied(put(DEV, resources=None)),
        "somebody else's retried move": retried(put(USER)),
        "in one of two resources": put(DEV, resources=[*on("other"), *on("app")]),
        "a deletion": ecr("BatchDeleteImage", DEV, imageIds=[{"imageTag": "latest"}]),
        "archiving": ecr("UpdateImageStorageClass", USER),
    },
    "unnamed": {
        "denied, with neither": denied(put(DEV, **UNNAMED)),
        "a resource tag, without resources": tag_resource("app"),
    },
    "guard": {
        "an update of the guard": ecr("SetRepositoryPolicy", role(DEPLOY), policyText="{}"),
        "of the tag mutability by the pipeline": ecr("PutImageTagMutability", PIPE),
        "a denied deletion of the repository": denied(ecr("DeleteRepository", USER)),
        "the repository made anew": ecr("CreateRepository", USER),
        "a resource tag": tag_resource("app", resources=on("app")),
    },
    "registry": {
        "replication": event("ecr", "PutReplicationConfiguration", USER, {}),
        "a cache, denied": denied(event("ecr", "CreatePullThroughCacheRule", DEV, None)),
    },
    "expiry": {
        "latest expires": expiry("app", ["prod-1"], ["prod-2", "latest"]),
        "another movable tag expires": expiry("team/app", ["stable"]),
    },
    "roles": {
        "a trust policy rewritten": on_role("UpdateAssumeRolePolicy", "forms-image-pipeline", DEV),
        "a policy put by an administrator": on_role("PutRolePolicy", "break-glass", role(DEPLOY)),
        "a role in other capitals": on_role("PutRolePolicy", "Forms-Image-PIPELINE", DEV),
        "a denied change by name": denied_on("role break-glass", ending=BECAUSE),
        "a denied change by ARN": denied_on(DEPLOY, ending=BECAUSE),
    },
    "builds": {
        "another buildspec": build("StartBuild", projectName="push", buildspecOverride="x"),
        "a batch by ARN": build("StartBuildBatch", projectName=PROJECT, sourceLocationOverride="x"),
        "a denied image": denied(build("StartBuild", projectName="push", imageOverride="x")),
        "a changed project": build("UpdateProject", name="push", source={}),
        "a project made anew": build("CreateProject", name="push", source={}),
        "a shell": build("StartSandbox", projectName="push"),
    },
    "assumed": {
        "a developer": assume(DEV),
        "another service": assume(service("lambda")),
        "a job of another branch": assume(job("repo:example-org/forms-deploy:ref:refs/heads/x")),
        "a job by another provider": assume(job(provider=GITLAB)),
        "a GitLab job of another branch": assume(job(f"{GITLAB_SUBJECT}-2", GITLAB)),
        "an account that is not trusted": assume(account(FOREIGN)),
        "the role in other capitals": assume(DEV, PIPELINE.replace("forms", "Forms")),
        "a denied attempt": denied_on(PIPELINE, "sts:AssumeRole"),
        "a denied attempt, explained": denied_on(PIPELINE, "sts:AssumeRole", BECAUSE),
    },
    "": {
        "by a listed role of another account": put(role(FOREIGN_PIPELINE)),
        "by the pipeline": put(role(PIPELINE, "release-412")),
        "the pipeline's, with neither": put(PIPE, **UNNAMED),
        "a retried move": retried(put(PIPE)),
        "in another repository": put(DEV, "other"),
        "in one whose name ends so": put(DEV, "my/app"),
        "denied in another repository": denied(put(DEV, "other", resources=None)),
        "in the same repository of another account": put(DEV, resources=on("app", FOREIGN)),
        "denied in another account's registry": denied(
            put(DEV, resources=None, requestParameters=OTHERS)
        ),
        "a pull": ecr("BatchGetImage", DEV),
        "a resource tag elsewhere": tag_resource("other", resources=on("other")),
        "the guard of another repository": ecr("SetRepositoryPolicy", USER, "other"),
        "a guard that is read": ecr("GetRepositoryPolicy", USER),
        "others expire": expiry("app", ["prod-1"], [], ["latest-2"]),
        "latest of another repository expires": expiry("other", ["latest"]),
        "a role whose name begins so": on_role("PutRolePolicy", "break-glass-2", USER),
        "a role that is read": on_role("GetRole", "break-glass", USER),
        "a denied change of another role": denied_on("role break-glass-2", ending=BECAUSE),
        "the project as it is": build("StartBuild", projectName="push", sourceVersion="main"),
        "another project": build("StartBuild", projectName="push-2", buildspecOverride="x"),
        "a build": assume(service("codebuild")),
        "a job": assume(job(), call="AssumeRoleWithWebIdentity"),
        "a GitLab job": assume(job(GITLAB_SUBJECT, GITLAB), call="AssumeRoleWithWebIdentity"),
        "a trusted role": assume(role(f"{IAM}role/ci/start")),
        "a trusted role of another account": assume(account("777788889999")),
        "a developer who becomes another role": assume(DEV, DEPLOY),
        "a denied attempt at another role": denied_on(f"{PIPELINE}-2", "sts:AssumeRole"),
        "ECR's own event": {**put(DEV), "detail": {"action-type": "PUSH", "image-tag": "latest"}},
    },
}
CASES: Final = {
    name: (event, alert) for alert, events in _EVENTS.items() for name, event in events.items()
}
"""By name: the event, and the alert that it makes; empty where there is none."""
