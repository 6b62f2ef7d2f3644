"""What `would-deny` prints: a JSON object for machines, text for people."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

import click

from container_images.access.policy_files import RepositoryPolicies
from container_images.access.would_deny import Denied
from container_images.aws.trail import DAYS
from container_images.cli.terminal import iso, print_paragraph, print_table


def would_deny_json(
    plan: RepositoryPolicies, since: datetime, denied: Sequence[Denied]
) -> dict[str, Any]:
    """What has been done that the guard would deny."""
    return {
        "since": iso(since),
        "repositories": list(plan.policies),
        "denied": [asdict(it) | {"last": iso(it.last)} for it in denied],
    }


def print_would_deny(plan: RepositoryPolicies, since: datetime, denied: Sequence[Denied]) -> None:
    """What has been done that the guard would deny, a line for each principal and action."""
    groups: dict[tuple[str, str], list[Denied]] = {}
    for it in denied:
        groups.setdefault((it.principal, it.action), []).append(it)
    principals = {it.principal for it in denied}
    click.echo(f"{plan}, back to {iso(since)}: {len(principals) or 'nobody'} would be denied")
    if denied:
        print_table(_COLUMNS, _rows(plan, groups.values()), folds=_COLUMNS[:3], right=["times"])
        click.echo()
    for line in _next(plan, denied):
        print_paragraph(line)


_COLUMNS: Final = ("principal", "what", "repository", "times", "last")


def _rows(plan: RepositoryPolicies, groups: Iterable[list[Denied]]) -> Iterator[tuple[str, ...]]:
    own = f"{plan.account_id}:"
    for calls in sorted(groups, key=lambda calls: -sum(it.times for it in calls)):
        name = calls[0].repository.partition(":repository/")[2]
        yield (
            # Without "arn:aws:iam::" and the account that holds the repository, for the room.
            calls[0].principal.split(":", maxsplit=4)[-1].removeprefix(own),
            calls[0].action.removeprefix("ecr:"),
            name if len(calls) == 1 else f"{len(calls)} repositories",
            f"{sum(it.times for it in calls):,}",
            f"{max(it.last for it in calls):%Y-%m-%d}",
        )


def _next(plan: RepositoryPolicies, denied: Sequence[Denied]) -> Iterator[str]:
    """What to do about it."""
    stack = plan.stack or "STACK"
    if denied:
        yield (
            f"Next: in Pulumi.{stack}.yaml, add the roles that may push to "
            "additionalPipelineRoles, and those that may delete images or change the guard to "
            "administratorRoles; or give a cache or a signing tool a repository of its own, or let "
            f"the pipeline do its work. Run this again, then make up STACK={stack}."
        )
    else:
        yield f"It is safe to go on: make up STACK={stack}."
    if any(":role/" not in it.principal for it in denied):
        yield "Only roles can be named: users, the root and services would have to use one."
    yield (
        f"CloudTrail has no events that are older than {DAYS} days, of other Regions, or of the "
        "last minutes."
    )
