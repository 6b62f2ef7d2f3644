"""Pure: the text of each alert, as the input transformer of an EventBridge target.

A value that the event does not have is left empty, so each stands in brackets. A list or an object
is inserted as JSON without its quotes.
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
"""

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Alert:
    """One kind of alert. Its texts have fields of CloudTrail's event in angle brackets."""

    about: str
    """What has happened, in a few words."""
    subject: str
    """What the call was on."""
    following: str
    """What to do next."""

    @property
    def _text(self) -> str:
        return (
            f"{self.about}, or an attempt: <eventName> on {self.subject} by [<userIdentity.arn>] "
            "(type [<userIdentity.type>], principal [<userIdentity.principalId>], account "
            "[<userIdentity.accountId>], service [<userIdentity.invokedBy>]) at <eventTime> from "
            "[<sourceIPAddress>], error code [<errorCode>], message [<errorMessage>]. Next: "
            f"{self.following}. An error code means that the call was denied or failed. [] = not "
            "in the event. CloudTrail event <eventID>."
        )

    @property
    def paths(self) -> dict[str, str]:
        """The values in the text, by name: their paths in the event."""
        return {_name(field): f"$.detail.{field[1]}" for field in _FIELD.finditer(self._text)}

    @property
    def template(self) -> str:
        """The text: a JSON string in which <name> stands for a value."""
        return f'"{_FIELD.sub(lambda field: f"<{_name(field)}>", self._text)}"'


_FIELD: Final = re.compile("<(.+?)>")


def _name(field: re.Match[str]) -> str:
    return re.sub(r"\W+", "-", field[1])


_TAG: Final = "tag [<requestParameters.imageTag>]"
_REPOSITORY: Final = "repository [<requestParameters.repositoryName>] (<resources[0].ARN>)"
_EXPIRED: Final = "serviceEventDetails.lifecycleEventImageActions[*].lifecycleEventImage"
_EXPIRED_IN: Final = "<serviceEventDetails.repositoryName>"

ALERTS: Final = {
    "tags": Alert(
        "A tag written or an image deleted by a principal that is not a pipeline role",
        f"{_TAG} images [<requestParameters.imageIds>] of {_REPOSITORY}",
        "container-images history <resources[0].ARN>",
    ),
    "guard": Alert(
        "The guard of a repository changed",
        _REPOSITORY,
        "pulumi preview; unless this was an update of the stack, pulumi up restores it; then "
        "container-images history <resources[0].ARN>",
    ),
    "expiry": Alert(
        "A lifecycle policy expired an image that carried a movable tag",
        f"tags <{_EXPIRED}.tagList> of images <{_EXPIRED}.digest> of [{_EXPIRED_IN}]",
        f"container-images history {_EXPIRED_IN}, then container-images rollback {_EXPIRED_IN}",
    ),
    "unnamed": Alert(
        "A tag or a guard changed in a repository that CloudTrail does not name",
        f"an unnamed repository, {_TAG}, resource [<requestParameters.resourceArn>]",
        "find the event in CloudTrail; if it was about a repository of the stack, container-images "
        "history with its name",
    ),
    "registry": Alert(
        "The registry as a whole changed, which no repository policy can deny",
        "the registry",
        "make sure that an administrator intended it; docs/organization.md says what the call can "
        "do; then container-images history with each repository's name",
    ),
    "roles": Alert(
        "A pipeline role or an administrator role changed",
        "role [<requestParameters.roleName>]",
        "pulumi preview, and container-images who-can with a repository's name",
    ),
    "assumed": Alert(
        "The pipeline role assumed by a principal that the settings do not trust",
        "role [<requestParameters.roleArn>] as session [<requestParameters.roleSessionName>]",
        "container-images history with each repository's name: it shows the session of each move",
    ),
    "builds": Alert(
        "A trusted CodeBuild project changed, or ran what is not its own",
        "project [<requestParameters.name>] [<requestParameters.projectName>]",
        "make sure that the pipeline's owners intended it: what the project runs, runs as the "
        "pipeline role; then container-images history with each repository's name",
    ),
}
