"""The command about the tags of many repositories: moves."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from container_images.aws import reference
from container_images.aws.errors import RefusedError
from container_images.aws.image import moment
from container_images.aws.reference import Reference
from container_images.aws.session import Aws
from container_images.aws.trail import DAYS, NoTrailError, earliest
from container_images.cli import moves_output
from container_images.cli.command import (
    REPOSITORY_HELP,
    json_option,
    note,
    print_object,
    reported,
    repositories_argument,
    trail_of,
    work,
)
from container_images.cli.terminal import working
from container_images.lifecycle.live import live_movable_tags
from container_images.tags import stack_moves
from container_images.tags.history import pipeline_roles
from container_images.tags.stack_moves import Expected

app = click.Group()


@app.command("moves")
@repositories_argument(help=f"{REPOSITORY_HELP}. Instead of --stack.")
@click.option(
    "--stack",
    metavar="NAME",
    help="All repositories of this stack. Its settings name the pipeline roles and the movable "
    "tags. For REPOSITORY, its policies do.",
)
@click.option(
    "--since",
    metavar="TIME",
    default="7d",
    help="A date or a time (2026-01-31, 2026-01-31T12:00:00Z), or how long ago (36h, 7d), at most "
    f"{DAYS}d. Default: 7d.",
)
@click.option(
    "--tag",
    "tags",
    type=reference.tag,
    metavar="TAG",
    multiple=True,
    help="List all events of this tag, and no others. May be repeated. Default: all events of the "
    "movable tags, and the unexpected ones of other tags.",
)
@click.option("--fail-on-unexpected", is_flag=True, help="Exit 1 if there is an unexpected event.")
@json_option
def moves_command(
    repositories: Sequence[Reference],
    *,
    stack: str | None,
    since: str,
    tags: Sequence[str],
    fail_on_unexpected: bool,
    as_json: bool,
) -> None:
    """List who moved tags in a stack, unexpected events first.

    Unexpected are: a tag written by a principal other than the pipeline roles, also if denied; a
    call that a pipeline role was denied; an image deleted or archived; a lifecycle policy that
    removed the image of a movable tag; any other tag that was put on a second image. CloudTrail
    shows events up to 15 minutes late.
    """
    if bool(repositories) is (stack is not None):
        raise click.UsageError("give either REPOSITORY, one or more, or --stack")
    until = datetime.now(UTC)
    start = since_of(since, until)
    expected, references = None, repositories
    if stack is not None:
        from container_images.stack.declared import declared  # noqa: PLC0415 pydantic takes its time

        found = declared(stack)
        references = found.repositories()
        expected = Expected(
            movable_tags=frozenset(found.settings.movable_tags),
            pipeline_roles=frozenset(found.settings.pipeline_roles_in(found.account)),
        )
    title = f"the stack {stack}" if stack else ", ".join(map(str, references))
    with reported(title):
        aws = _one_region(references)
        account, _ = aws.caller()
        try:
            trails = [trail_of(aws, account, it.registry_id or account) for it in references]
        except NoTrailError as error:
            raise RefusedError(str(error)) from None
        asked = {
            aws.repository_arn(it.name, account): (it.name, expected or _guarded(aws, it))
            for it in references
        }
        with working("Reading CloudTrail"):
            records = trails[0].records_of_all(list(asked), stack_moves.EVENTS, start)
    # Whoever is the pipeline in one of them alone may have tried another.
    everywhere = frozenset.intersection(*(its.pipeline_roles for _, its in asked.values()))
    events = stack_moves.unnamed_events(records[None], everywhere)
    names: dict[str, str] = {}
    for arn, (name, its) in asked.items():
        events += stack_moves.tag_events(name, records[arn], its, tags)
        names |= stack_moves.names(records[arn], its.movable_tags)
    events = stack_moves.unexpected_first(events)
    if as_json:
        print_object(moves_output.moves_json(stack, start, until, events), "", as_json=True)
    else:
        moves_output.print_moves(title, start, until, events, names)
    if fail_on_unexpected and (number := sum(it.unexpected is not None for it in events)):
        raise RefusedError(f"{title}: {number} unexpected; docs/runbook.md says what to do")


_SPAN: Final = re.compile(r"([0-9]{1,5})([dh])")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def since_of(text: str, now: datetime) -> datetime:
    """The time that --since says: a date and a time in UTC, or a span before `now`.

    Raises UsageError for anything else, for the future, and for what CloudTrail no longer has.
    """
    try:
        if span := _SPAN.fullmatch(text):
            found = now - timedelta(hours=int(span[1]) * (24 if span[2] == "d" else 1))
        else:
            found = moment(f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text)
    except (ValueError, OverflowError):
        raise click.UsageError(
            f"--since {text} is not a date such as 2026-01-31, a time with its offset "
            "from UTC such as 2026-01-31T12:00:00Z, or a span such as 36h or 7d"
        ) from None
    if found >= now:
        raise click.UsageError(f"--since {text} is not in the past")
    if found < earliest(now):
        raise click.UsageError(f"--since {text}: CloudTrail keeps {DAYS} days, so at most {DAYS}d")
    return found


def _one_region(references: Sequence[Reference]) -> Aws:
    """AWS in the Region of the repositories: a lookup in CloudTrail is about one."""
    found = {aws.region: aws for aws in map(Aws, {it.region for it in references})}
    if len(found) > 1:
        raise click.UsageError(
            f"the repositories are in several Regions ({', '.join(sorted(map(str, found)))}): run "
            "the command once for each Region"
        )
    return next(iter(found.values()))


def _guarded(aws: Aws, reference: Reference) -> Expected:
    """What is expected of a repository, by its policy."""
    with work(reference, session=lambda _: aws) as (_, there):
        roles = pipeline_roles(there.policy())
        if not roles:
            note(
                f"the policy of {there} does not say which roles may move tags, so nobody counts "
                "as the pipeline"
            )
        movable = live_movable_tags(there, note)
    return Expected(movable_tags=frozenset(movable), pipeline_roles=roles)
