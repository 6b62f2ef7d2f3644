"""What `would-deny` prints: a JSON object for machines, text for people."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import click

from container_images.access.policy import account_in
from container_images.aws.trail import DAYS
from container_images.cli.terminal import iso, print_paragraph, print_table

Denial = dict[str, Any]
_COLUMNS: Final = ("principal", "what", "repository", "times", "last")


def print_denied(
    stack: str, arns: Collection[str], since: datetime, denied: Sequence[Denial]
) -> None:
    """What has been done that the guard will deny, a line for each principal and action."""
    principals = {call["principal"] for call in denied}
    print_paragraph(
        f"{_repositories(arns)} of {stack}, back to {iso(since)}: "
        f"{len(principals) or 'nobody'} would be denied"
    )
    if not denied:
        print_paragraph(f"It is safe to go on: pulumi up --stack {stack}.")
    else:
        print_table(_COLUMNS, _rows(denied), folds=_COLUMNS[:3])
        click.echo()
        print_paragraph(
            f"Next: in Pulumi.{stack}.yaml, add the roles that may push to "
            "additionalPipelineRoles, and those that may delete images or change the guard to "
            "administratorRoles; or give a cache or a signing tool a repository of its own, or let "
            f"the pipeline do its work. Run this again, then pulumi up --stack {stack}."
        )
    if any(":role/" not in principal for principal in principals):
        print_paragraph(
            "Only roles can be named: users, the root and services would have to use one."
        )
    print_paragraph(
        f"CloudTrail has no events that are older than {DAYS} days, of other Regions, or of the "
        "last minutes."
    )


def _rows(denied: Sequence[Denial]) -> Iterator[tuple[str, ...]]:
    groups: dict[tuple[str, str], list[Denial]] = {}
    for call in denied:
        groups.setdefault((call["principal"], call["action"]), []).append(call)
    for calls in sorted(groups.values(), key=lambda calls: -sum(call["times"] for call in calls)):
        own = f"{account_in(calls[0]['repository'])}:"
        yield (
            # Without "arn:aws:iam::" and the account that holds the repository, for the room.
            calls[0]["principal"].split(":", maxsplit=4)[-1].removeprefix(own),
            calls[0]["action"].removeprefix("ecr:"),
            _repositories([call["repository"] for call in calls]),
            f"{sum(call['times'] for call in calls):5,}",
            max(call["last"] for call in calls)[:10],
        )


def _repositories(arns: Collection[str]) -> str:
    name = next(iter(arns)).partition(":repository/")[2]
    return name if len(arns) == 1 else f"{len(arns)} repositories"
