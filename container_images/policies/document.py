"""Pure: what all IAM policy documents share: ARNs, form and text, wildcards, and how they are read.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import translate
from functools import cache
from typing import Any, Final

ANY: Final = "*"
"""Any number of characters, of which there may be none. In a tag pattern of ECR's it is the only
wildcard; IAM has `?` too."""


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


def tag_glob(pattern: str, tag: str) -> bool:
    """Whether the whole tag matches a pattern, in which `*` is the only wildcard."""
    return compiled(tuple(pattern.split(ANY))).fullmatch(tag) is not None


def iam_glob(pattern: str, text: str) -> bool:
    """Whether the whole text fits a pattern of IAM's, in which `?` is any one character too."""
    return expression(pattern).fullmatch(text) is not None


@cache
def expression(pattern: str) -> re.Pattern[str]:
    """A pattern of IAM's as a regular expression, which never backtracks over a `*`."""
    return re.compile(translate(pattern.replace("[", "[[]")))


@cache
def compiled(pieces: tuple[str, ...]) -> re.Pattern[str]:
    """What matches the pieces of text in their order, with anything in between."""
    literal = (re.sub(r"[*?[]", r"[\g<0>]", piece) for piece in pieces)
    return re.compile(translate(ANY.join(literal)))


def names_action(written: Any, action: str) -> bool:
    """Whether an Action or a NotAction is about an action: any case, with `*` and `?`.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html
    """
    return any(iam_glob(str(name).lower(), action.lower()) for name in listed(written))
