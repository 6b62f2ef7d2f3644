"""Pure: what all IAM policy documents share: ARNs, form and text, and how they are read."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from container_images.policies.patterns import iam_glob


def arn(place: Mapping[str, Any], service: str, resource: str, region: str = "") -> str:
    """The ARN that a resource has, or will have, in this place, or else in another Region of it.

    The place has the partition, account_id and region that an Access has.
    """
    where = f"{place['partition']}:{service}:{region or place['region']}:{place['account_id']}"
    return f"arn:{where}:{resource}"


def document_of(statements: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A policy document with these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def to_json(document: Mapping[str, Any]) -> str:
    """The document as it is sent to AWS: without white space, which counts towards its length."""
    return json.dumps(document, separators=(",", ":"))


def allow(
    sid: str, principal: str | Mapping[str, Any], action: Iterable[str], **elements: Any
) -> dict[str, Any]:
    """An Allow of a policy that belongs to a resource, with these elements besides."""
    allowed = {"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": list(action)}
    return allowed | elements


def listed(value: Any) -> list[Any]:
    """What IAM takes as a list or as its one element."""
    return value if isinstance(value, list) else [] if value is None else [value]


def plain(value: Any) -> Any:
    """A value that came by Pulumi's protocol, without the SDK's proxies.

    The protocol has floating-point numbers alone, and policies have whole ones: 50 arrives as 50.0.
    """
    if isinstance(value, Mapping):
        return {key: plain(value[key]) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(element) for element in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def statements_in(document: Any, effect: str | None = None) -> list[dict[str, Any]]:
    """The statements of a policy, if it is one; with an effect, those that have it."""
    statements = listed(document.get("Statement")) if isinstance(document, dict) else []
    dicts = (statement for statement in statements if isinstance(statement, dict))
    return [each for each in dicts if effect in (None, each.get("Effect"))]


def names_action(written: Any, action: str) -> bool:
    """Whether an Action or a NotAction is about an action: any case, with `*` and `?`.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html
    """
    return any(iam_glob(str(name).lower(), action.lower()) for name in listed(written))
