"""The command `history`: who moved, added or removed tags, or tried to."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import click

from container_images.aws import reference
from container_images.aws.errors import RefusedError, refused
from container_images.aws.reference import Reference
from container_images.aws.trail import (
    ARCHIVE,
    DAYS,
    DELETE,
    EXPIRE,
    PUT,
    earliest,
    lookup,
    records_of,
    refuse_other_account,
)
from container_images.cli.command import json_option, note, print_json
from container_images.cli.targets import (
    Targets,
    read_each,
    repositories_argument,
    stack_option,
    targets_of,
)
from container_images.cli.terminal import brief, iso, print_table, working
from container_images.lifecycle.live import live_movable_tags
from container_images.tags.history import (
    EVENTS,
    Expected,
    TagEvent,
    newest_first,
    pipeline_roles,
    settled,
    tag_events,
    unique_tags,
    unnamed_events,
)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A repository that is asked about."""

    reference: Reference
    arn: str
    expected: Expected


@click.command("history")
@repositories_argument
@stack_option
@click.option(
    "--tag",
    type=reference.tag,
    metavar="TAG",
    help="List the events of this tag alone. Default: of all tags.",
)
@click.option(
    "--since",
    metavar="TIME",
    default="7d",
    help="A date or a time (2026-01-31, 2026-01-31T12:00:00Z), or how long ago (36h, 7d), at most "
    f"{DAYS}d. Default: 7d.",
)
@click.option("--fail-on-unexpected", is_flag=True, help="Exit 1 if there is an unexpected event.")
@json_option
def history_command(
    *,
    repositories: Sequence[Reference],
    stack: str | None,
    tag: str | None,
    since: str,
    fail_on_unexpected: bool,
    as_json: bool,
) -> None:
    """List who moved, added or removed tags, or tried to.

    Unexpected are: a tag written by a principal other than the pipeline roles, also if denied; a
    call that a pipeline role was denied; an image deleted or archived; a lifecycle policy that
    removed the image of a movable tag; any other tag that was put on a second image. The stack
    names the pipeline roles and the movable tags; without --stack, the policies of each repository
    do. CloudTrail shows events up to 15 minutes late.
    """
    targets = targets_of(repositories, stack)
    start = since_of(since, datetime.now(UTC))
    title = ", ".join(map(str, targets.references))
    if targets.stack and len(targets.references) > 1:
        title = f"the stack {targets.stack.name}"
    _refuse_several_regions(targets)
    results = read_each(targets.references, "Reading the policies", partial(_subject, targets))
    aws = targets.session(targets.references[0].region)
    with working("Reading CloudTrail"):
        arns = [subject.arn for subject in results.values]
        records = records_of(arns, lookup(aws.cloudtrail(), EVENTS, start))
    events: dict[str | None, list[TagEvent]] = {}
    names: dict[str, str] = {}
    for subject in results.values:
        of_subject = tag_events(subject.reference.name, records[subject.arn], subject.expected, tag)
        events[subject.arn] = settled(of_subject, partial(_digest_of, targets, subject.reference))
        names |= unique_tags(records[subject.arn], subject.expected)
    # A pipeline role of one repository alone may have tried another.
    roles = [subject.expected.pipeline_roles for subject in results.values]
    events[None] = unnamed_events(records[None], frozenset.intersection(*roles))
    every = [event for of_subject in events.values() for event in of_subject]
    order = partial(
        newest_first, unexpected_first=fail_on_unexpected or len(targets.references) > 1
    )
    if as_json:
        objects = results.to_json(
            lambda subject: _to_json(subject.reference.name, start, order(events[subject.arn]))
        )
        if events[None]:
            objects.append(_to_json(None, start, order(events[None])))
        print_json({"repositories": objects})
    else:
        _print(title, start, order(every), names, listed_tag=tag)
    results.refuse_unread()
    unexpected = sum(event.expected is False for event in every)
    if fail_on_unexpected and unexpected:
        raise RefusedError(f"{title}: {unexpected} unexpected; docs/runbook.md says what to do")


# --- What it reads --------------------------------------------------------------------------------

_SPAN: Final = re.compile(r"([0-9]{1,5})([dh])")


def since_of(text: str, now: datetime) -> datetime:
    """The time that --since says: a date and a time in UTC, or a span before `now`.

    Raises UsageError for anything else, for the future, and for what CloudTrail no longer has.
    """
    try:
        if span := _SPAN.fullmatch(text):
            start = now - timedelta(hours=int(span[1]) * (24 if span[2] == "d" else 1))
        else:
            start = datetime.fromisoformat(text)
            start = start.astimezone(UTC) if start.tzinfo else start.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise click.UsageError(
            f"--since {text} is not a date such as 2026-01-31, a time such as "
            "2026-01-31T12:00:00Z, or a span such as 36h or 7d"
        ) from None
    if not earliest(now) <= start < now:
        raise click.UsageError(f"--since {text} is not in the {DAYS} days that CloudTrail keeps")
    return start


def _refuse_several_regions(targets: Targets) -> None:
    """Raise UsageError for repositories of several Regions: a lookup in CloudTrail is about one."""
    regions = {targets.session(named.region).region for named in targets.references}
    if len(regions) > 1:
        raise click.UsageError(
            f"the repositories are in several Regions ({', '.join(sorted(map(str, regions)))}): "
            "run the command once for each Region"
        )


def _subject(targets: Targets, named: Reference) -> Subject:
    """A repository and what is expected of it: by the stack, or else by its own policies."""
    aws, repository = targets.open(named)
    account, _ = aws.caller()
    holder = named.registry_id or account
    refuse_other_account(account, holder)
    if stack := targets.stack:
        movable = stack.settings.movable_tags
        roles = frozenset(stack.settings.pipeline_roles_in(stack.account))
    else:
        roles = pipeline_roles(repository.policy())
        movable = live_movable_tags(repository, note)
        if not roles:
            note(
                f"the policy of {repository} does not say which roles may move tags, so nobody "
                "counts as the pipeline"
            )
    return Subject(
        reference=named,
        arn=aws.repository_arn(named.name, holder),
        expected=Expected(movable_tags=frozenset(movable), pipeline_roles=roles),
    )


def _digest_of(targets: Targets, named: Reference, tag: str) -> str | None:
    """The image that a tag is on; None where it cannot be read."""
    with suppress(RefusedError), refused():
        _, repository = targets.open(named)
        image = repository.image(tag)
        return image.digest if image else None
    return None


# --- What it prints -------------------------------------------------------------------------------

MOST_ROWS: Final = 100
"""A row has at most some 400 characters, and GitHub takes 65,536 in an issue."""


def _to_json(repository: str | None, since: datetime, events: Sequence[TagEvent]) -> dict[str, Any]:
    return {
        "repository": repository,
        "since": iso(since),
        "events": [
            {
                "time": iso(event.record.time),
                "event": event.record.event,
                "tag": event.tag,
                "principal": event.record.principal,
                "session": event.record.session,
                "expected": event.expected,
                "from": event.before,
                "to": event.after,
                "error": event.record.error,
            }
            for event in events
        ],
    }


def _print(
    title: str,
    since: datetime,
    events: Sequence[TagEvent],
    names: Mapping[str, str],
    listed_tag: str | None,
) -> None:
    """The events, as a table. `names` are tags of images, by digest.

    Without --tag, the pipeline's work on tags that do not move is counted and not listed.
    """
    unexpected = sum(event.expected is False for event in events)
    count = "1 event" if len(events) == 1 else f"{len(events) or 'no'} events"
    click.echo(f"{title}, since {iso(since)}: {count}, {unexpected or 'none'} unexpected")
    listed = [
        event
        for event in events
        if listed_tag or event.movable or not event.expected or event.tag is None
    ]
    rows = []
    for event in listed[:MOST_ROWS]:
        mark = {False: "! ", None: "? ", True: ""}[event.expected]
        who = (mark + _who(event), "bold red" if event.expected is False else "")
        subject = f"{event.repository or '?'}\n{event.tag or '?'}"
        rows.append((iso(event.record.time), subject, who, "\n".join(_what(event, names))))
    if rows:
        print_table(_COLUMNS, rows, folds=_COLUMNS[1:])
    if len(listed) > MOST_ROWS:
        click.echo(f"more events, not listed: {len(listed) - MOST_ROWS}; --json has all")
    if others := len(events) - len(listed):
        click.echo(f"expected events of other tags, not listed: {others}; --json has all")


_COLUMNS: Final = ("time", "repository, tag", "who", "what")


def _who(event: TagEvent) -> str:
    """Whose call it was: the last part of the name, and below it the session's."""
    record = event.record
    if record.event == EXPIRE:
        return "the lifecycle policy"
    name = (record.principal or "unknown").rpartition("/")[2]
    return f"{name}\n{record.session}" if record.session else name


_VERBS: Final = {DELETE: "deleted", EXPIRE: "expired", ARCHIVE: "archived or restored"}


def _what(event: TagEvent, names: Mapping[str, str]) -> list[str]:
    def short(digest: str | None) -> str:
        return brief(names.get(digest, digest)) if digest else "?"

    name = event.record.event
    if name == PUT:
        lines = [f"from {short(event.before)}", f"to   {short(event.after)}"]
    else:
        lines = [_VERBS.get(name, name), *([f"from {short(event.before)}"] * bool(event.before))]
    if event.record.error:
        lines.insert(0, f"refused: {event.record.error}")
    return [*lines, f"({event.reason})"] if event.reason else lines
