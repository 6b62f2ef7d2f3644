"""Pure: the history of a tag, from the CloudTrail records of its repository."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from container_images.aws.trail import PUT, Record


@dataclass(frozen=True, kw_only=True)
class Change:
    """What an event did, or would have done, to one tag."""

    record: Record
    before: str | None
    """Digest of the image that the tag was on, as far as the events tell."""
    after: str | None
    """Digest of the image that it was put on, or was to be; None where it was taken away."""


def changes(records: Iterable[Record], tag: str) -> list[Change]:
    """What became of a tag, given the records of its repository, the oldest first.

    No event says where the tag was before: that is the last place that an earlier event gave it.
    """
    found = []
    at: str | None = None
    for record in records:
        if record.event == PUT:
            if record.tags is not None and tag not in record.tags:
                continue
            after = record.put
        else:
            # Whoever deletes an image by its digest takes its tags too, and need not name them.
            named = record.tags is None or tag in record.tags
            if not named and (at is None or at not in record.taken):
                continue
            after = None
        found.append(Change(record=record, before=at, after=after))
        if record.error is None:
            at = after
    return found


def places(records: Iterable[Record], tag: str) -> list[str]:
    """Where a tag was put, the oldest first, as far as CloudTrail has the digest and the tag."""
    return [
        record.put
        for record in records
        if record.event == PUT and not record.error and tag in (record.tags or ()) and record.put
    ]


def pipeline_roles(policy: str | None) -> frozenset[str]:
    """The roles that a repository policy lets move tags: those that its Deny leaves out.

    Empty where there is no policy, or none with such a Deny as the guard writes it.
    """
    found: set[str] = set()
    for statement in json.loads(policy or "{}").get("Statement", []):
        condition = statement.get("Condition", {}).get("ArnNotEquals", {})
        roles = condition.get("aws:PrincipalArn", [])
        if statement.get("Effect") == "Deny" and f"ecr:{PUT}" in _listed(statement.get("Action")):
            found.update(_listed(roles))
    return frozenset(found)


def _listed(value: str | list[str] | None) -> list[str]:
    """An element of a policy, where one value may stand for a list of one."""
    return [value] if isinstance(value, str) else value or []
