"""Calls that a guard must deny, in forms that change nothing if it does not.

A probe names an image that cannot exist, sends nothing, or sends a text that is not a document. AWS
documents no order of its checks. A denial is certain; and if ECR rejects the request itself, it has
allowed the caller.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from botocore.exceptions import ClientError

from policies.ecr_actions import ACTIONS, Effect
from policies.repository_policy import Access
from registry.aws.errors import is_denied
from registry.aws.images import Repository

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

Caller = Literal["a pipeline role", "an administrator role", "neither pipeline nor administrator"]
Answer = Literal["allowed", "denied", "unclear", "not probed"]

NO_IMAGE: Final = f"sha256:{'0' * 64}"
"""The digest of no image: nobody knows content with this hash."""

_NO_DOCUMENT: Final = "This is no document, and AWS refuses it. " * 3
"""Longer than the 100 characters that botocore wants of a lifecycle policy."""


@dataclass(frozen=True, kw_only=True)
class _Probe:
    call: Callable[["ECRClient", Mapping[str, Any], str], object]
    """Makes the call, given where the repository is and its ARN."""
    faults: frozenset[str]
    """The errors by which ECR refuses the request itself."""


_INVALID: Final = frozenset({"InvalidParameterException"})
_INVALID_TAG: Final = _INVALID | {"InvalidTagParameterException"}

_PROBES: Final[Mapping[str, _Probe]] = {
    "PutImage": _Probe(
        # Without a tag, and with a digest that is not the manifest's.
        call=lambda ecr, place, _: ecr.put_image(
            **place, imageManifest=_NO_DOCUMENT, imageDigest=NO_IMAGE
        ),
        faults=_INVALID | {"ImageDigestDoesNotMatchException"},
    ),
    "BatchDeleteImage": _Probe(
        # A miss is no error in this operation; it stands in the answer.
        call=lambda ecr, place, _: ecr.batch_delete_image(
            **place, imageIds=[{"imageDigest": NO_IMAGE}]
        ),
        faults=frozenset(),
    ),
    "UpdateImageStorageClass": _Probe(
        call=lambda ecr, place, _: ecr.update_image_storage_class(
            **place, imageId={"imageDigest": NO_IMAGE}, targetStorageClass="STANDARD"
        ),
        faults=frozenset({"ImageNotFoundException"}),
    ),
    "SetRepositoryPolicy": _Probe(
        call=lambda ecr, place, _: ecr.set_repository_policy(**place, policyText=_NO_DOCUMENT),
        faults=_INVALID,
    ),
    "PutLifecyclePolicy": _Probe(
        call=lambda ecr, place, _: ecr.put_lifecycle_policy(
            **place, lifecyclePolicyText=_NO_DOCUMENT
        ),
        faults=_INVALID,
    ),
    # No tags, which change none.
    "TagResource": _Probe(
        call=lambda ecr, _, arn: ecr.tag_resource(resourceArn=arn, tags=[]), faults=_INVALID_TAG
    ),
    "UntagResource": _Probe(
        call=lambda ecr, _, arn: ecr.untag_resource(resourceArn=arn, tagKeys=[]),
        faults=_INVALID_TAG,
    ),
}

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
    detail: str = ""
    by_guard: bool = False
    """AWS says that it was the repository policy that denied it."""

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        told = {"action": self.action, "must": self.must, "answer": self.answer}
        return told | {"ok": self.ok, "byGuard": self.by_guard, "detail": self.detail}


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
    try:
        _PROBES[action].call(repository.client, repository.place, arn)
    except ClientError as error:
        return error
    return None


def _judged(
    action: str, must: Literal["allowed", "denied"], caller: Caller, error: ClientError | None
) -> Probed:
    found = (error.response.get("Error") or {}) if error else {}
    code, message = found.get("Code", ""), " ".join(found.get("Message", "").split())
    if error is None or code in _PROBES[action].faults:
        detail = "" if must == "allowed" else "the guard should deny it"
        return Probed(
            action=action, must=must, answer="allowed", ok=must == "allowed", detail=detail
        )
    if not is_denied(error):
        detail = f"neither allowed nor denied, {code}: {message}"
        return Probed(action=action, must=must, answer="unclear", ok=False, detail=detail)
    by_guard = _BY_GUARD in message
    if must == "denied":
        ok: bool | None = True
        detail = "by the repository policy" if by_guard else f"maybe not by the guard: {message}"
    elif by_guard or caller == "a pipeline role":
        ok, detail = False, f"the guard should allow it: {message}"
    elif _BY_OWN_POLICIES in message:
        ok, detail = None, "no policy of the administrator's own allows it"
    else:
        return Probed(action=action, must=must, answer="unclear", ok=False, detail=message)
    return Probed(
        action=action, must=must, answer="denied", ok=ok, detail=detail, by_guard=by_guard
    )


_BY_GUARD: Final = "with an explicit deny in a resource-based policy"
_BY_OWN_POLICIES: Final = "because no identity-based policy allows"
