"""Pure: what an alert says, as the input transformers of EventBridge's targets.

A transformer takes values out of the event and puts them into a text. A value that the event does
not have leaves nothing: so each stands in brackets, and the text says what empty ones mean. A list
or an object is put in as JSON without its quotes.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Message:
    """What people are told of an event."""

    about: str
    """What has happened, in a few words."""
    paths: dict[str, str]
    """The values that the text has, by name: where they are in the event."""
    template: str
    """The text: a JSON string, in which <name> stands for a value."""


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
_WHO: Final = (
    "by [<arn>] (<type>, principal [<principal>], account [<account>], service [<service>]) at "
    "<time> from [<from>], error code [<error>]."
)
_NOTE: Final = (
    "An error code means that the call was refused or failed; empty brackets, that CloudTrail does "
    "not say or that there is none. CloudTrail event <event>."
)
_REPOSITORY: Final = {
    "resource": "$.detail.resources[0].ARN",
    "repository": "$.detail.requestParameters.repositoryName",
}


def _message(about: str, what: str, following: str, paths: dict[str, str]) -> Message:
    text = f"{about}: <call> on {what} {_WHO} Next: {following} {_NOTE}"
    return Message(about=about, paths=_COMMON | paths, template=f'"{text}"')


TAGS: Final = _message(
    "A tag written or an image deleted by someone who is not the pipeline, or an attempt at it",
    "tag [<tag>] images [<images>] of repository [<repository>] (<resource>)",
    "container-images history <resource> <tag>.",
    _REPOSITORY
    | {
        "tag": "$.detail.requestParameters.imageTag",
        "images": "$.detail.requestParameters.imageIds",
    },
)
GUARD: Final = _message(
    "The guard of a repository changed, or an attempt at it",
    "repository [<repository>] (<resource>)",
    "make preview; unless it was an update of the stack, make up puts the guard back; then python "
    "-m registry history <resource>.",
    _REPOSITORY,
)
EXPIRY: Final = Message(
    about="A lifecycle policy took an image that carried a movable tag, or tried to",
    paths={
        "repository": "$.detail.serviceEventDetails.repositoryName",
        "images": "$.detail.serviceEventDetails.lifecycleEventImageActions[*].lifecycleEventImage."
        "digest",
        "tags": "$.detail.serviceEventDetails.lifecycleEventImageActions[*].lifecycleEventImage."
        "tagList",
        "time": "$.detail.eventTime",
        "event": "$.detail.eventID",
    },
    template='"A lifecycle policy took an image that carried a movable tag, or tried to: tags '
    "<tags> of images <images> of repository [<repository>] at <time>, by ECR itself. Next: python "
    "-m registry history <repository>, then container-images rollback <repository>. CloudTrail "
    'event <event>."',
)
UNNAMED: Final = _message(
    "A tag or a guard changed, or an attempt at it, in a repository that CloudTrail does not name",
    "an unnamed repository, tag [<tag>], resource [<resource>], message [<message>],",
    "look the event up, and if it was about a repository of the stack, container-images history "
    "with its name.",
    {
        "tag": "$.detail.requestParameters.imageTag",
        "resource": "$.detail.requestParameters.resourceArn",
        "message": "$.detail.errorMessage",
    },
)
REGISTRY: Final = _message(
    "The registry changed as a whole, which no repository policy stops, or an attempt at it",
    "the registry",
    "make sure that an administrator meant it; the table in docs/organization.md says what the "
    "call can do; container-images history with each repository's name.",
    {},
)
ROLES: Final = _message(
    "A pipeline role or an administrator role changed, or an attempt at it",
    "role [<role>], message [<message>],",
    "make preview, and container-images movers with a repository's name.",
    {"role": "$.detail.requestParameters.roleName", "message": "$.detail.errorMessage"},
)
ASSUMED: Final = _message(
    "The pipeline role assumed by somebody whom the stack's settings do not trust, or an attempt",
    "role [<role>] as session [<session>], message [<message>],",
    "container-images history with each repository's name: the session's name is beside each move.",
    {
        "role": "$.detail.requestParameters.roleArn",
        "session": "$.detail.requestParameters.roleSessionName",
        "message": "$.detail.errorMessage",
    },
)
