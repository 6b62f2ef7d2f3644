"""Calls that a guard must deny, in forms that change nothing if it does not.

A probe names an image that cannot exist, sends nothing, or sends a text that is not a document. AWS
documents no order of its checks. A denial is certain; and if ECR rejects the request itself, it has
allowed the caller.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from botocore import xform_name
from botocore.exceptions import ClientError
from pydantic.alias_generators import to_camel

from container_images.aws.errors import code_of, is_denied, reason
from container_images.aws.images import Repository
from container_images.policies.ecr_actions import ACTIONS, Effect
from container_images.policies.repository_policy import Access

Caller = Literal["a pipeline role", "an administrator role", "neither pipeline nor administrator"]
Answer = Literal["allowed", "denied", "unclear", "not probed"]

NO_IMAGE: Final = f"sha256:{'0' * 64}"
"""The digest of no image: nobody knows content with this hash."""

_NO_DOCUMENT: Final = "This is no document, and AWS refuses it. " * 3
"""Longer than the 100 characters that botocore wants of a lifecycle policy."""


_INVALID: Final = frozenset({"InvalidParameterException"})
_INVALID_TAG: Final = _INVALID | {"InvalidTagParameterException"}

_PROBES: Final[Mapping[str, tuple[dict[str, Any], frozenset[str]]]] = {
    # Without a tag, and with a digest that is not the manifest's.
    "PutImage": (
        {"imageManifest": _NO_DOCUMENT, "imageDigest": NO_IMAGE},
        _INVALID | {"ImageDigestDoesNotMatchException"},
    ),
    # A miss is no error in this operation; it stands in the answer.
    "BatchDeleteImage": ({"imageIds": [{"imageDigest": NO_IMAGE}]}, frozenset()),
    "UpdateImageStorageClass": (
        {"imageId": {"imageDigest": NO_IMAGE}, "targetStorageClass": "STANDARD"},
        frozenset({"ImageNotFoundException"}),
    ),
    "SetRepositoryPolicy": ({"policyText": _NO_DOCUMENT}, _INVALID),
    "PutLifecyclePolicy": ({"lifecyclePolicyText": _NO_DOCUMENT}, _INVALID),
    # No tags, which change none.
    "TagResource": ({"tags": []}, _INVALID_TAG),
    "UntagResource": ({"tagKeys": []}, _INVALID_TAG),
}
"""By action: the parameters, beside those that name the repository, and the errors by which ECR
refuses the request itself."""

_EFFECTIVE: Final = "every request that ECR accepts has an effect"
_NOT_PROBED: Final[Mapping[str, str]] = {
    "BatchImportUpstreamImage": "ECR makes this call itself, for a pull through cache rule",
    "DeleteLifecyclePolicy": _EFFECTIVE,
    "DeleteRepository": _EFFECTIVE,
    "DeleteRepositoryPolicy": _EFFECTIVE,
    "PutImageScanningConfiguration": _EFFECTIVE,
    "PutImageTagMutability": _EFFECTIVE,
}


@dataclass(frozen=True, kw_only=True)
class Probed:
    """One action, and what came of calling it."""

    action: str
    must: Literal["allowed", "denied"]
    """What the guard means this caller to be."""
    answer: Answer
    ok: bool | None
    """Whether the answer agrees with the guard. None where there is none, or one that tells nothing
    of the guard."""
    by_guard: bool = False
    """AWS says that it was the repository policy that denied it."""
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {to_camel(key): it for key, it in asdict(self).items()}


def caller_in(access: Access, caller_arn: str) -> Caller:
    """Who a caller is to a repository, by the ARN that STS gives, which has no role's path.

    The names of roles are unique in an account, whatever their paths:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """

    def is_one_of(roles: list[str]) -> bool:
        return any((arn.split(":")[4], arn.rpartition("/")[2]) == (account, name) for arn in roles)

    parts = caller_arn.split(":")
    account, (kind, _, rest) = parts[4], parts[5].partition("/")
    name = rest.partition("/")[0] if kind == "assumed-role" else ""
    if is_one_of(access["pipeline_roles"]):
        return "a pipeline role"
    if is_one_of(access["administrator_roles"]):
        return "an administrator role"
    return "neither pipeline nor administrator"


def probe(repository: Repository, arn: str, caller: Caller) -> Iterator[Probed]:
    """Call each guarded action, if it can be called without effect, and judge the answer."""
    for action, effect in ACTIONS.items():
        if effect not in _GUARDED:
            continue
        must: Literal["allowed", "denied"] = "allowed" if _GUARDED[effect] == caller else "denied"
        if action in _NOT_PROBED:
            detail = _NOT_PROBED[action]
            yield Probed(action=action, must=must, answer="not probed", ok=None, detail=detail)
        else:
            yield _judged(action, must, caller, _error(repository, arn, action))


_GUARDED: Final[Mapping[Effect, Caller]] = {
    Effect.MOVE_TAG: "a pipeline role",
    Effect.DELETE_IMAGE: "an administrator role",
    Effect.CHANGE_GUARD: "an administrator role",
}


def _error(repository: Repository, arn: str, action: str) -> ClientError | None:
    parameters, _ = _PROBES[action]
    place = {"resourceArn": arn} if action in {"TagResource", "UntagResource"} else repository.place
    try:
        getattr(repository.client, xform_name(action))(**place, **parameters)
    except ClientError as error:
        return error
    return None


def _judged(
    action: str, must: Literal["allowed", "denied"], caller: Caller, error: ClientError | None
) -> Probed:
    code, message = (code_of(error), reason(error)) if error else ("", "")
    by_guard = False
    answer: Answer = "unclear"
    ok: bool | None = False
    _, faults = _PROBES[action]
    if error is None or code in faults:
        answer, ok = "allowed", must == "allowed"
        detail = "" if ok else "the guard should deny it"
    elif not is_denied(error):
        detail = f"neither allowed nor denied, {code}: {message}"
    else:
        by_guard = _BY_GUARD in message
        if must == "denied":
            answer, ok = "denied", True
            detail = (
                "by the repository policy" if by_guard else f"maybe not by the guard: {message}"
            )
        elif by_guard or caller == "a pipeline role":
            answer, detail = "denied", f"the guard should allow it: {message}"
        elif _BY_OWN_POLICIES in message:
            answer, ok = "denied", None
            detail = "no policy of the administrator's own allows it"
        else:
            detail = message
    return Probed(action=action, must=must, answer=answer, ok=ok, detail=detail, by_guard=by_guard)


_BY_GUARD: Final = "with an explicit deny in a resource-based policy"
_BY_OWN_POLICIES: Final = "because no identity-based policy allows"
