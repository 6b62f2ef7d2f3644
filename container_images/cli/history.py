"""The commands that read CloudTrail: history, and rollback, which goes by it."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any, Final

import click

from container_images.aws import reference, trail
from container_images.aws.errors import RefusedError, refused
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.cli import tags
from container_images.cli import targets as about
from container_images.cli.terminal import Cell, brief, iso, note, print_json, print_table, working
from container_images.lifecycle.live import live_movable_tags
from container_images.tags.history import EVENTS, TagEvent, newest_first, tag_events
from container_images.tags.rollback import Puts, rollback


@click.command("rollback")
@tags.move_options
@tags.tag_option
@click.option("--to", type=reference.image, help="The image to go to: a tag or a digest.")
def rollback_command(*, tag: str | None, to: str | None, **options: Any) -> None:
    """Move a tag back to the image that it was on before.

    CloudTrail has which image that was; an image on which another principal than the pipeline put
    the tag is skipped. If CloudTrail cannot be read, the image with the next older unique tag of
    the same stage is taken. Run the command again to go back one further.
    """
    target = tags.target_of(options)
    tag = tag or target.default_tag
    target.refuse_immovable("--tag", tag)
    aws, repository = target.open(target.references[0])

    def read_puts() -> Puts:
        with refused():
            _, arn, roles = _pipeline_of(target, target.references[0])
            events = trail.lookup(aws.client("cloudtrail"), (trail.PUT,), trail.earliest())
            return trail.records_of([arn], events)[arn], roles

    with working("Reading CloudTrail"):
        facts = tags.caller_and_reason(aws, options)
        moved = rollback(repository, tag, read_puts, note, to=to, dry_run=options["dry_run"])
    lines = tags.move_text(repository, moved), f"basis: {moved['basis']}"
    tags.print_result(options, moved | facts, *lines)


@click.command("history")
@about.read_options
@click.option("--tag", type=reference.tag, help="List only events of this tag, or without one.")
@click.option(
    "--since",
    metavar="TIME",
    default="7d",
    help="A date or a time (2026-01-31, 2026-01-31T12:00:00Z), or how long ago (36h, 7d), at most "
    f"{trail.DAYS}d. Default: 7d.",
)
@click.option("--fail-on-unexpected", is_flag=True, help="Exit 1 if there is an unexpected event.")
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
    targets = about.targets_of(repositories, stack)
    start = since_of(since, datetime.now(UTC))
    title = ", ".join(map(str, targets.references))
    if targets.stack and len(targets.references) > 1:
        title = f"the stack {targets.stack.name}"
    regions = {targets.session(named.region).region for named in targets.references}
    if len(regions) > 1:  # a lookup in CloudTrail is about one
        raise click.UsageError(
            f"the repositories are in several Regions ({', '.join(sorted(map(str, regions)))}): "
            "run the command once for each Region"
        )
    results = about.read_each(
        targets.references, "Reading the policies", partial(_expected, targets)
    )
    with working("Reading CloudTrail"):
        cloudtrail = targets.session(targets.references[0].region).client("cloudtrail")
        by_arn = {value[0]: value for value in results.values}  # one may be named twice
        records = trail.records_of([*by_arn], trail.lookup(cloudtrail, EVENTS, start))
    events: list[TagEvent] = []
    for arn, repository, movable, roles in by_arn.values():
        digest_of = cache(partial(_digest_of, repository))
        events += tag_events(repository.name, records[arn], movable, roles, digest_of)
    names = {
        event.json["to"]: event.json["tag"]
        for event in events
        if event.unique and event.json["event"] == trail.PUT and not event.json["error"]
    }
    # A pipeline role of one repository alone may have tried another.
    everywhere = frozenset.intersection(*(roles for *_, roles in results.values))
    unnamed = [record for record in records[None] if record.principal not in everywhere]
    events += tag_events(None, unnamed, (), ())
    events = newest_first(
        [event for event in events if tag is None or event.json["tag"] in {tag, None}],
        unexpected_first=fail_on_unexpected or len(targets.references) > 1,
    )
    unexpected = sum(event.json["expected"] is False for event in events)
    if as_json:

        def object_of(name: str | None) -> dict[str, Any]:
            own = [event.json for event in events if event.repository == name]
            return {"repository": name, "since": iso(start), "events": own}

        objects = results.to_json(lambda value: object_of(value[1].name))
        unnamed_events = object_of(None)
        objects += [unnamed_events] if unnamed_events["events"] else []
        print_json({"repositories": objects})
    else:
        count = "1 event" if len(events) == 1 else f"{len(events) or 'no'} events"
        click.echo(f"{title}, since {iso(start)}: {count}, {unexpected or 'none'} unexpected")
        _print(events, names, tag)
    results.refuse_unread()
    if fail_on_unexpected and unexpected:
        raise RefusedError(f"{title}: {unexpected} unexpected; docs/runbook.md says what to do")


def since_of(text: str, now: datetime) -> datetime:
    """The time that --since says: a date and a time in UTC, or a span before `now`.

    Raises UsageError for anything else, for the future, and for what CloudTrail no longer has.
    """
    start = None
    with suppress(ValueError, OverflowError):
        if span := re.fullmatch(r"([0-9]{1,5})([dh])", text):
            start = now - timedelta(hours=int(span[1]) * (24 if span[2] == "d" else 1))
        else:
            start = datetime.fromisoformat(text)
            start = start.astimezone(UTC) if start.tzinfo else start.replace(tzinfo=UTC)
    if start is None or not trail.earliest(now) <= start < now:
        raise click.UsageError(
            f"--since {text} is not in the {trail.DAYS} days that CloudTrail keeps: write a date "
            "such as 2026-01-31, a time such as 2026-01-31T12:00:00Z, or a span such as 36h or 7d"
        )
    return start


def _expected(
    targets: about.Targets, named: Reference
) -> tuple[str, Repository, Sequence[str], frozenset[str]]:
    """A repository, and what is expected in it: its movable tags, and its pipeline roles."""
    repository, arn, roles = _pipeline_of(targets, named)
    if targets.stack:
        return arn, repository, targets.stack.settings.movable_tags, roles
    if not roles:
        note(
            f"the policy of {repository} does not say which roles may move tags, so nobody "
            "counts as the pipeline"
        )
    return arn, repository, live_movable_tags(repository, note), roles


def _pipeline_of(
    targets: about.Targets, named: Reference
) -> tuple[Repository, str, frozenset[str]]:
    """A repository, its ARN, and its pipeline roles: the stack's, or those its guard exempts.

    Raises RefusedError for a repository of another account than the caller's.
    """
    aws, repository = targets.open(named)
    account, _ = aws.caller
    holder = named.registry_id or account
    trail.refuse_other_account(account, holder)
    if stack := targets.stack:
        roles = frozenset(stack.settings.pipeline_roles_in(stack.account))
    else:
        roles = repository.pipeline_roles()
    return repository, repository.arn(holder), roles


def _digest_of(repository: Repository, tag: str) -> str | None:
    """The image that a tag is on; None where it cannot be read."""
    with suppress(RefusedError), refused():
        image = repository.image(tag)
        return image.digest if image else None
    return None


MOST_ROWS: Final = 100
"""A row has at most some 400 characters, and GitHub takes 65,536 in an issue."""


def _print(events: Sequence[TagEvent], names: Mapping[str, str], listed_tag: str | None) -> None:
    """The events, as a table. `names` are tags of images, by digest.

    Without --tag, the pipeline's work on tags that do not move is counted and not listed.
    """
    listed = [
        event
        for event in events
        if listed_tag or event.movable or event.reason or event.json["tag"] is None
    ]
    if listed:
        columns = ("time", "repository, tag", "who", "what")
        rows = (_row(event, names) for event in listed[:MOST_ROWS])
        print_table(columns, rows, folds=columns[1:])
    if len(listed) > MOST_ROWS:
        click.echo(f"more events, not listed: {len(listed) - MOST_ROWS}; --json has all")
    if others := len(events) - len(listed):
        click.echo(f"expected events of other tags, not listed: {others}; --json has all")


def _row(event: TagEvent, names: Mapping[str, str]) -> Sequence[Cell]:
    """When, what it is about, whose call it was, and what that did."""

    def short(digest: str | None) -> str:
        return brief(names.get(digest, digest)) if digest else "?"

    json, is_put = event.json, event.json["event"] == trail.PUT
    who = "the lifecycle policy" if json["event"] == trail.EXPIRE else json["principal"]
    # The last part of the name, and below it the session's.
    name = (who or "unknown").rpartition("/")[2]
    mark, style = {False: ("! ", "bold red"), None: ("? ", ""), True: ("", "")}[json["expected"]]
    verbs = {
        trail.PUT: "",
        trail.DELETE: "deleted",
        trail.EXPIRE: "expired",
        trail.ARCHIVE: "archived or restored",
    }
    what = [
        f"refused: {json['error']}" if json["error"] else "",
        verbs.get(json["event"], json["event"]),
        f"from {short(json['from'])}" if json["from"] or is_put else "",
        f"to   {short(json['to'])}" if is_put else "",
        f"({event.reason})" if event.reason else "",
    ]
    return (
        json["time"],
        f"{event.repository or '?'}\n{json['tag'] or '?'}",
        (f"{mark}{name}\n{json['session'] or ''}".rstrip(), style),
        "\n".join(filter(None, what)),
    )
