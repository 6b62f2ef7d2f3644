"""Errors of AWS and of the commands: each is one sentence with the fix."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar, Final

from botocore.exceptions import BotoCoreError, ClientError

from container_images.policies.invalid_input import InvalidInputError


class RefusedError(Exception):
    """What was asked for is against a rule. Nothing was changed unless the message says so."""

    kind: ClassVar[str] = "refused"
    code: str | None = None
    """AWS's name of the error, where AWS is the one who refused."""


@contextmanager
def faults_refused(about: str = "") -> Iterator[None]:
    """Turn InvalidInputError into RefusedError, which has all its faults in one line."""
    try:
        yield
    except InvalidInputError as error:
        problems = " | ".join(map(str, error.problems))
        raise RefusedError(f"{about}: {problems}" if about else problems) from None


class NotFromAwsError(BotoCoreError):
    """A success that is no answer to the call, such as a proxy's login page."""

    fmt = "the answer is not from AWS"


class AwsError(RefusedError):
    """AWS did not do what was asked, or could not be asked."""

    kind = "aws"

    def __init__(self, message: str, error: Exception) -> None:
        super().__init__(message)
        self.code = code_of(error) if isinstance(error, ClientError) else type(error).__name__


_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"}
)

_BAD_CREDENTIALS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidIdentityToken",
        "InvalidSignatureException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnauthorizedException",
        "UnrecognizedClientException",
    }
)

_SERVICES: Final[Mapping[str, str]] = {
    "AssumeRole": "sts",
    "AssumeRoleWithWebIdentity": "sts",
    "DescribeRegions": "ec2",
    "GetAccountAuthorizationDetails": "iam",
    "GetCallerIdentity": "sts",
    "GetRoleCredentials": "sso",
    "LookupEvents": "cloudtrail",
    **dict.fromkeys(
        (
            *("ListClusters", "ListServices", "DescribeServices", "ListTasks", "DescribeTasks"),
            *("ListTaskDefinitionFamilies", "DescribeTaskDefinition"),
        ),
        "ecs",
    ),
    **dict.fromkeys(("ListFunctions", "ListAliases", "GetFunction"), "lambda"),
}
"""Of the operations that are not ECR's. botocore makes some of them itself, for credentials."""

_AGAIN: Final = "run the command again: repeating it is safe"
_SIGN_IN: Final = (
    "sign in to AWS again (AWS_PROFILE, the AWS_ACCESS_KEY_ID variables, or the job's role)"
)
_SET_REGION: Final = "set AWS_DEFAULT_REGION, or give the repository as an ARN or a URI"

_AWS_FIXES: Final[Mapping[str, str]] = {
    "NoRegion": _SET_REGION,
    "InvalidRegion": "correct AWS_DEFAULT_REGION, or the repository's ARN or URI",
    "ProfileNotFound": "correct AWS_PROFILE, or unset it",
    "Credential|Token|SSO|Login|Metadata|MFA": _SIGN_IN,
    "Connect|Connection|Timeout|HTTPClient|SSL|Proxy": (
        f"check the network to AWS, and the Region in the URL, then {_AGAIN}"
    ),
    "NotFromAws": "check the proxy, if there is one, and AWS_ENDPOINT_URL",
}
"""How to fix what botocore finds wrong before it has an answer, by words of its name."""

_MISCONFIGURED: Final = "correct AWS's configuration files, or the variables that begin with AWS_"

_ECR_FIXES: Final[Mapping[str, str]] = {
    "RepositoryNotFoundException": (
        "check the name and the Region, or give the repository's ARN or URI"
    ),
    "LimitExceededException": "delete tags of the image that nobody needs",
    "LayersNotFoundException": "push the image again: it is incomplete",
    "ReferencedImagesNotFoundException": "push the image again: it is incomplete",
    "KmsException": "let the role use the KMS key of the repository",
}
"""How to fix errors of ECR that a repeated call does not fix, by their code."""


def explain(error: ClientError | BotoCoreError, repository: str) -> str:
    """The error and its fix, in one sentence."""
    if isinstance(error, BotoCoreError):
        name = type(error).__name__
        fixes = (fix for words, fix in _AWS_FIXES.items() if re.search(words, name))
        return f"{repository}: {str(error).rstrip('.')}; {next(fixes, _MISCONFIGURED)}"
    action = f"{_SERVICES.get(error.operation_name, 'ecr')}:{error.operation_name}"
    code = code_of(error)
    said = reason(error)
    if code in _DENIED:
        return f"no permission for {action} on {repository}: {said}; {_denial_fix(said, action)}"
    if code in _BAD_CREDENTIALS:
        return f"{repository}: AWS rejects the credentials ({code}: {said}); {_SIGN_IN}"
    return f"{action} on {repository} failed ({code}: {said}); {_ECR_FIXES.get(code, _AGAIN)}"


_DENIED_BY_RESOURCE: Final = "explicit deny in a resource-based policy"

_DENIAL_FIXES: Final[Mapping[str, str]] = {
    _DENIED_BY_RESOURCE: (
        "the guard, or another Deny in the resource's own policy, refuses this role, and no grant "
        "helps: run as a role that it exempts"
    ),
    "service control policy": "the organization refuses it: ask those who manage its policies",
    "resource control policy": "the organization refuses it: ask those who manage its policies",
    "permissions boundary": "the caller's permissions boundary refuses it: run as another role",
    "session policy": "the session's own policy refuses it: sign in without that policy",
    "VPC endpoint policy": "the VPC endpoint refuses it: correct the endpoint's policy",
    "explicit deny": "a Deny refuses it, and no grant helps: run as another role",
}
"""Why a call is denied, by the words of AWS's message, the most specific first: "with an explicit
deny in a …" or "because no … allows the … action".
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"""


def _denial_fix(message: str, action: str) -> str:
    for words, fix in _DENIAL_FIXES.items():
        if words in message:
            return fix
    # No policy allows it, or AWS does not say which one denies it.
    return f"grant {action}, or run as a role that has it"


def is_denied_by_resource(error: ClientError | BotoCoreError) -> bool:
    """Whether a Deny in the policy of the resource refused the caller."""
    return is_denied(error) and _DENIED_BY_RESOURCE in str(error)


def reason(error: ClientError) -> str:
    """AWS's own words."""
    said = " ".join(error.response.get("Error", {}).get("Message", "").split()).rstrip(".")
    if said.startswith("<"):  # of a load balancer or a proxy
        return "a web page instead of an answer"
    return said or "no reason given"


def is_denied(error: ClientError | BotoCoreError) -> bool:
    """Whether the caller lacks the permission."""
    return isinstance(error, ClientError) and code_of(error) in _DENIED


def code_of(error: ClientError) -> str:
    """AWS's name of the error, or the HTTP status of an answer without one."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return error.response.get("Error", {}).get("Code") or (f"HTTP {status}" if status else "")
