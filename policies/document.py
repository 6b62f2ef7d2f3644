"""Pure: what all IAM policy documents share: form, text and length."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from policies.fault import Fault, InvalidInputError


def document_of(statements: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A policy document with these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def to_json(document: Mapping[str, Any]) -> str:
    """The document as it is sent to AWS: without white space, which counts towards its length."""
    return json.dumps(document, separators=(",", ":"))


def refuse_longer_than(
    limit: int, name: str, document: Mapping[str, Any], lists: Mapping[str, Sequence[str]]
) -> None:
    """Raise InvalidInputError where the document is longer than AWS accepts.

    `lists` are what it is made from: the error names the one that takes up most of it.
    """
    length = len(to_json(document))
    if length <= limit:
        return
    longest = max(lists, key=lambda what: len("".join(lists[what])))
    raise InvalidInputError(
        [
            Fault(
                where=(name,),
                value=f"{length:,} characters",
                rule=f"AWS takes a {name} of at most {limit:,} characters",
                fix=f"shorten it by {length - limit:,}: the longest list is that of the "
                f"{len(lists[longest])} {longest}",
            )
        ]
    )


def allow(sid: str, principal: str | dict[str, Any], action: Iterable[str]) -> dict[str, Any]:
    """An Allow of a policy that belongs to a resource."""
    return {"Sid": sid, "Effect": "Allow", "Principal": principal, "Action": list(action)}
