"""Pure: the text of each alert, as the input transformer of an EventBridge target.

A transformer puts values of the event into a text. A value that the event does not have is left
empty, so each stands in brackets. A list or an object is inserted as JSON without its quotes.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Message:
    """The text of one kind of alert."""

    about: str
    """What has happened, in a few words."""
    paths: dict[str, str]
    """The values in the text, by name: their paths in the event."""
    template: str
    """The text: a JSON string in which <name> stands for a value."""


_COMMON: Final = {
    "call": "$.detail.eventName",
    "type": "$.detail.userIdentity.type",
    "arn": "$.detail.userIdentity.arn",
    "principal": "$.detail.userIdentity.principalId",
    "account": "$.detail.userIdentity.accountId",
    "service": "$.detail.userIdentity.invokedBy",
    "time": "$.detail.eventTime",
    "from": "$.detail.sourceIPAddress",
    "error": "$.detail.errorCode",
    "event": "$.detail.eventID",
}
_REPOSITORY: Final = {
    "resource": "$.detail.resources[0].ARN",
    "repository": "$.detail.requestParameters.repositoryName",
}
_ROLE: Final = {"role": "$.detail.requestParameters.roleName"}
_REASON: Final = {"message": "$.detail.errorMessage"}
_TAG: Final = {"tag": "$.detail.requestParameters.imageTag"}


def _message(about: str, what: str, following: str, paths: dict[str, str]) -> Message:
    text = (
        f"{about}: <call> on {what} by [<arn>] (<type>, principal [<principal>], account "
        "[<account>], service [<service>]) at <time> from [<from>], error code [<error>]. "
        f"Next: {following} An error code means that the call was denied or failed. [] = not in "
        "the event. CloudTrail event <event>."
    )
    return Message(about=about, paths=_COMMON | paths, template=f'"{text}"')


TAGS: Final = _message(
    "A tag written or an image deleted by a principal that is not a pipeline role, or an attempt",
    "tag [<tag>] images [<images>] of repository [<repository>] (<resource>)",
    "container-images history <resource>.",
    _REPOSITORY | _TAG | {"images": "$.detail.requestParameters.imageIds"},
)
GUARD: Final = _message(
    "The guard of a repository changed, or an attempt",
    "repository [<repository>] (<resource>)",
    "make preview; unless this was an update of the stack, make up restores the guard; then "
    "container-images history <resource>.",
    _REPOSITORY,
)
EXPIRY: Final = Message(
    about="A lifecycle policy expired an image that carried a movable tag, or tried to",
    paths={
        "repository": "$.detail.serviceEventDetails.repositoryName",
        "images": "$.detail.serviceEventDetails.lifecycleEventImageActions[*].lifecycleEventImage."
        "digest",
        "tags": "$.detail.serviceEventDetails.lifecycleEventImageActions[*].lifecycleEventImage."
        "tagList",
        "time": "$.detail.eventTime",
        "event": "$.detail.eventID",
    },
    template='"A lifecycle policy expired an image that carried a movable tag, or tried to: tags '
    "<tags> of images <images> of repository [<repository>] at <time>. Next: container-images "
    "history <repository>, then container-images rollback <repository>. CloudTrail event "
    '<event>."',
)
UNNAMED: Final = _message(
    "A tag or a guard changed, or an attempt, in a repository that CloudTrail does not name",
    "an unnamed repository, tag [<tag>], resource [<resource>], message [<message>],",
    "find the event in CloudTrail; if it was about a repository of the stack, container-images "
    "history with its name.",
    _TAG | _REASON | {"resource": "$.detail.requestParameters.resourceArn"},
)
REGISTRY: Final = _message(
    "The registry as a whole changed, which no repository policy can deny, or an attempt",
    "the registry",
    "make sure that an administrator intended it; docs/organization.md says what the call can do; "
    "then container-images history with each repository's name.",
    {},
)
ROLES: Final = _message(
    "A pipeline role or an administrator role changed, or an attempt",
    "role [<role>], message [<message>],",
    "make preview, and container-images who-can with a repository's name.",
    _ROLE | _REASON,
)
ASSUMED: Final = _message(
    "The pipeline role assumed by a principal that the settings do not trust, or an attempt",
    "role [<role>] as session [<session>], message [<message>],",
    "container-images history with each repository's name: it shows the session of each move.",
    _REASON
    | {
        "role": "$.detail.requestParameters.roleArn",
        "session": "$.detail.requestParameters.roleSessionName",
    },
)
BUILDS: Final = _message(
    "A trusted CodeBuild project changed, or ran what is not its own, or an attempt",
    "project [<project>] [<started>], message [<message>],",
    "make sure that the pipeline's owners intended it: what the project runs, runs as the pipeline "
    "role; then container-images history with each repository's name.",
    _REASON
    | {
        "project": "$.detail.requestParameters.name",
        "started": "$.detail.requestParameters.projectName",
    },
)
