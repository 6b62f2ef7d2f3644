"""What keeps a command from being done, in one sentence each, with the fix."""

from collections.abc import Mapping
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError


class RefusedError(Exception):
    """What was asked for is against a rule. Nothing was changed unless the message says so."""


_DENIED: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"}
)

_BAD_CREDENTIALS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)

_SERVICES: Final[Mapping[str, str]] = {
    "LookupEvents": "cloudtrail",
    "GetCallerIdentity": "sts",
    "GetAccountAuthorizationDetails": "iam",
}
"""Of the operations that are not ECR's."""

_SIGN_IN: Final = (
    "sign in to AWS anew (AWS_PROFILE, the AWS_ACCESS_KEY_ID variables, or the job's role)"
)

_AWS_FIXES: Final[Mapping[str, str]] = {
    "NoCredentialsError": _SIGN_IN,
    "PartialCredentialsError": _SIGN_IN,
    "CredentialRetrievalError": _SIGN_IN,
    "TokenRetrievalError": _SIGN_IN,
    "UnauthorizedSSOTokenError": _SIGN_IN,
    "SSOTokenLoadError": _SIGN_IN,
    "NoRegionError": "set AWS_DEFAULT_REGION, or give the repository as an ARN or a URI",
    "ProfileNotFound": "correct AWS_PROFILE, or unset it",
    "WaiterError": "see what aws ecr get-lifecycle-policy-preview says, or leave --aws-preview out",
    "InvalidRegionError": "correct AWS_DEFAULT_REGION, or the repository's ARN or URI",
}
"""How to mend what botocore finds wrong before it has an answer, by the name of its exception."""


_ECR_FIXES: Final[Mapping[str, str]] = {
    "RepositoryNotFoundException": (
        "check the name and the Region, or give the repository's ARN or URI"
    ),
    "LifecyclePolicyPreviewInProgressException": (
        "somebody's preview is under way, maybe of another policy: run the command again after it"
    ),
    "LimitExceededException": "delete tags of the image that nobody needs",
    "LayersNotFoundException": "push the image anew: it is not whole",
    "ReferencedImagesNotFoundException": "push the image anew: it is not whole",
    "KmsException": "let the role use the KMS key of the repository",
}
"""How to mend what ECR does not do, however often it is asked, by the code of its error."""


def explain(error: ClientError | BotoCoreError, repository: str) -> str:
    """Why AWS did not do it, and what helps."""
    if isinstance(error, BotoCoreError):
        fix = _AWS_FIXES.get(type(error).__name__, f"check the network to AWS, then {_AGAIN}")
        return f"{repository}: {str(error).rstrip('.')}; {fix}"
    action = f"{_SERVICES.get(error.operation_name, 'ecr')}:{error.operation_name}"
    code = _code(error)
    said = error.response.get("Error", {}).get("Message", "").rstrip(".") or "no reason given"
    if code in _DENIED:
        fix = f"grant {action}, or run as a role that has it"
        return f"no permission for {action} on {repository}: {said}; {fix}"
    if code in _BAD_CREDENTIALS:
        return f"{repository}: AWS does not take the credentials ({code}: {said}); {_SIGN_IN}"
    return f"{action} on {repository} failed ({code}: {said}); {_ECR_FIXES.get(code, _AGAIN)}"


_AGAIN: Final = "run the command again: it takes up where this one stopped"


def is_denied(error: ClientError | BotoCoreError) -> bool:
    """Whether the caller lacks the permission."""
    return isinstance(error, ClientError) and _code(error) in _DENIED


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
