"""Errors of AWS and of the commands: each is one sentence with the fix."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from container_images.policies.invalid_input import InvalidInputError


class RefusedError(Exception):
    """What was asked for is against a rule, or AWS did not do it.

    Nothing was changed unless the message says so. `code` is AWS's name of the error.
    """

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code

    def to_json(self) -> dict[str, str | None]:
        """For machines."""
        kind = "refused" if self.code is None else "aws"
        return {"error": " ".join(str(self).split()), "kind": kind, "code": self.code}


@contextmanager
def refused(about: str = "") -> Iterator[None]:
    """Turn AWS's errors, and all errors of an input at once, into RefusedError."""
    prefix = f"{about}: " if about else ""
    try:
        yield
    except InvalidInputError as error:
        raise RefusedError(prefix + " | ".join(map(str, error.problems))) from None
    except (ClientError, BotoCoreError) as error:
        raise RefusedError(prefix + explain(error), code_of(error)) from None


_AGAIN: Final = "run the command again: repeating it is safe"

_FIXES: Final[Mapping[str, str]] = {
    "RepositoryNotFound": "check the name and the Region, or give the repository's ARN or URI",
    "Region": "set AWS_DEFAULT_REGION, or give the repository as an ARN or a URI",
    "ProfileNotFound|ConfigParse|ConfigNotFound": (
        "correct AWS_PROFILE, or AWS's configuration files"
    ),
    "Credential|Token|SSO|Login|Metadata|MFA|Signature|RequestExpired|Unauthorized|Unrecognized": (
        "sign in to AWS again (AWS_PROFILE, the AWS_ACCESS_KEY_ID variables, or the job's role)"
    ),
    "Connect|Timeout|HTTPClient|SSL|Proxy": (
        f"check the network to AWS, and the Region in the URL, then {_AGAIN}"
    ),
    "Throttl|RequestLimit|TooManyRequests|Server|Unavailable|Internal|HTTP 5": _AGAIN,
}
"""How to fix an error, by words of AWS's code or of botocore's class."""

DENIED_BY_RESOURCE: Final = "explicit deny in a resource-based policy"

_DENIAL_FIXES: Final[Mapping[str, str]] = {
    DENIED_BY_RESOURCE: (
        "the guard, or another Deny in the resource's own policy, refuses this role, and no grant "
        "helps: run as a role that it exempts"
    ),
    "control policy": "the organization refuses it: ask those who manage its policies",
    "explicit deny|permissions boundary|session policy|endpoint policy": (
        "that policy refuses it, and no grant helps: run as another role"
    ),
    "": "grant it, or run as a role that has it",
}
"""By the words of AWS's message: "with an explicit deny in a …" or "because no … allows the …".
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"""


def explain(error: ClientError | BotoCoreError) -> str:
    """The error in AWS's words and, where they do not say it, the fix, in one sentence."""
    code = code_of(error)
    fix = next((f"; {fix}" for words, fix in _FIXES.items() if re.search(words, code)), "")
    if isinstance(error, BotoCoreError):
        return f"{str(error).rstrip('.')}{fix}"
    reason = " ".join(error.response.get("Error", {}).get("Message", "").split()).rstrip(".")
    if reason.startswith("<"):  # of a load balancer or a proxy
        reason = "a web page instead of an answer"
    reason = reason or "no reason given"
    if is_denied(error):
        fix = next(fix for words, fix in _DENIAL_FIXES.items() if re.search(words, reason))
        return f"no permission for {error.operation_name}: {reason}; {fix}"
    return f"{error.operation_name} failed ({code}: {reason}){fix}"


def is_denied(error: Exception) -> bool:
    """Whether the caller lacks the permission."""
    code = code_of(error).removesuffix("Exception")
    return code in {"AccessDenied", "UnauthorizedOperation", "NotAuthorized"}


def code_of(error: Exception) -> str:
    """AWS's name of the error, or the HTTP status of an answer without one; or botocore's class."""
    if not isinstance(error, ClientError):
        return type(error).__name__
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return error.response.get("Error", {}).get("Code") or (f"HTTP {status}" if status else "")
