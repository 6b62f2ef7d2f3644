"""Past calls, by CloudTrail, that planned repository policies would deny."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any, Final

from container_images.access.claims import Subject
from container_images.aws.trail import Record, records_of
from container_images.policies.ecr_actions import Effect, actions

EVENTS: Final = tuple(
    action.removeprefix("ecr:")
    for action in actions(Effect.MOVE_TAG, Effect.DELETE_IMAGE, Effect.CHANGE_GUARD)
)
"""Names of the events about what the guard denies to all but a few.

Lifecycle expiry is none of them: it has no caller, and no policy of a repository stops it.
"""


def denied(
    repositories: Iterable[Subject], events: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What the policies would deny of what has been done, as in JSON; most frequent first.

    Of calls that failed nothing is said: whoever made them has managed without. A Deny under a
    condition counts: nobody knows whether the next call meets it. So does what cannot be read.
    """
    subjects = {repository.arn: repository for repository in repositories}
    calls: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for arn, records in records_of([*subjects], events).items():
        for record in records:
            if arn and record.event in EVENTS and not record.error:
                calls[record.principal or "unknown", f"ecr:{record.event}", arn].append(record)
    refused: list[dict[str, Any]] = []
    for (principal, action, arn), made in sorted(calls.items()):
        subject = subjects[arn]
        caller = subject.caller(principal if principal.startswith("arn:") else "")
        if subject.errors or subject.denial(caller, [action]):
            refused.append(
                {
                    "principal": principal,
                    "session": made[-1].session,
                    "action": action,
                    "repository": arn,
                    "times": len(made),
                    "last": f"{made[-1].time:%Y-%m-%dT%H:%M:%SZ}",
                }
            )
    return sorted(refused, key=itemgetter("times"), reverse=True)
