"""The commands about tags: move, promote, rollback, resolve, history."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from io import RawIOBase
from pathlib import Path
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError

from registry.aws import reference
from registry.aws.errors import RefusedError, explain
from registry.aws.images import Repository
from registry.aws.reference import InvalidReferenceError, Reference
from registry.aws.session import Aws
from registry.aws.trail import DELETE, EXPIRE, PUT, NoTrailError, Record, earliest
from registry.command import file_option, json_option, note, role_of, trail_of
from registry.tags import output
from registry.tags.history import changes as changes_of
from registry.tags.history import pipeline_roles, places
from registry.tags.moves import Move, move, promote
from registry.tags.resolve import Resolved, resolve
from registry.targets import Targets, Told, takes_targets
from registry.terminal import working

app = click.Group()

_takes_source = takes_targets(
    click.argument(
        "second",
        metavar="[SOURCE]",
        required=False,
        help="The image: a tag or a digest. REPOSITORY may say it instead.",
    )
)
_reason_option = click.option("--reason", metavar="TEXT", help="Why, for the record.")
_record_option = file_option(
    "--record", help="Append a JSON line to this file for a tag that was moved."
)
_dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Say what would be done, and change nothing."
)


@app.command("move")
@_takes_source
@click.option(
    "--to",
    type=reference.tag,
    metavar="TAG",
    default="latest",
    show_default=True,
    help="The tag that moves.",
)
@click.option(
    "--expect",
    type=reference.image,
    metavar="IMAGE",
    help="Refuse unless the tag is on this image now: a digest, or another tag of it.",
)
@click.option(
    "--allow-older", is_flag=True, help="Also to an image whose build is older, or unknown."
)
@_dry_run_option
@_reason_option
@_record_option
@json_option
def move_command(
    found: Targets,
    *,
    to: str,
    expect: str | None,
    allow_older: bool,
    dry_run: bool,
    reason: str | None,
    record: Path | None,
    as_json: bool,
) -> None:
    """Put a tag on another image, without pulling it.

    Refused where the image is older than the one that the tag is on: by the times in their tags, or
    their versions, or when they were pushed. Nothing is done where the tag is on the image already.
    With several repositories nothing is done unless it can be done in each.
    """
    image = _source(found)
    if expect == to:
        raise click.BadParameter(f"--expect {to} is always so: name a digest, or another tag")

    def moved(reference: Reference, *, dry_run: bool) -> Told:
        with _moves(found, reference, reason, record) as (there, tell, _):
            done = move(there, image, to, expect=expect, allow_older=allow_older, dry_run=dry_run)
            return tell(done), output.move_text(there, done)

    found.each(partial(moved, dry_run=True), partial(moved, dry_run=dry_run), as_json=as_json)


@app.command("promote")
@_takes_source
@click.option(
    "--stage",
    metavar="STAGE",
    help="What the image has been accepted for: a stage of the convention.",
)
@click.option(
    "--as",
    "tag",
    type=reference.tag,
    metavar="TAG",
    help="The unique tag itself, instead of a stage for which one is made.",
)
@click.option(
    "--move",
    "movable",
    type=reference.tag,
    metavar="TAG",
    multiple=True,
    help="Then move this tag to the image, as move does; may be given several times.",
)
@click.option("--latest", is_flag=True, help="The short form of --move latest.")
@_dry_run_option
@_reason_option
@_record_option
@json_option
def promote_command(
    found: Targets,
    *,
    stage: str | None,
    tag: str | None,
    movable: Sequence[str],
    latest: bool,
    dry_run: bool,
    reason: str | None,
    record: Path | None,
    as_json: bool,
) -> None:
    """Give an image the unique tag of a stage, made by the convention, or the one that is given.

    An image that has one for this stage keeps it, and gets no other: the command may be run again.
    Nothing is put where one of the tags that are to move would not.
    """
    image = _source(found)
    if (stage is None) is (tag is None):
        raise click.BadParameter("give either --stage or --as: the stage, or the tag itself")
    if stage is not None and stage not in found.convention.stages:
        raise click.BadParameter(f"--stage {stage} is none of {', '.join(found.convention.stages)}")
    moving = list(dict.fromkeys([*movable, *(["latest"] * latest)]))
    if wrong := [it for it in moving if it == tag or found.convention.read(it)]:
        raise click.BadParameter(f"--move {wrong[0]} is a unique tag, which stays on its image")

    def promoted(reference: Reference, *, dry_run: bool) -> Told:
        with _moves(found, reference, reason, record) as (there, tell, _):
            done = promote(there, image, stage, tag=tag, movable=moving, dry_run=dry_run)
            told = output.promotion_json(done, [tell(it) for it in done.moves])
            return told, output.promotion_text(there, done)

    found.each(partial(promoted, dry_run=True), partial(promoted, dry_run=dry_run), as_json=as_json)


@app.command("rollback")
@takes_targets(
    click.option(
        "--tag",
        "second",
        type=reference.tag,
        metavar="TAG",
        help="The tag that moves. Default: latest.",
    )
)
@click.option(
    "--to",
    type=reference.image,
    metavar="IMAGE",
    help="The image to go back to: a tag or a digest.",
)
@_dry_run_option
@_reason_option
@_record_option
@json_option
def rollback_command(
    found: Targets,
    *,
    to: str | None,
    dry_run: bool,
    reason: str | None,
    record: Path | None,
    as_json: bool,
) -> None:
    """Move a tag back to the image that it was on before.

    That is the last one in CloudTrail; where CloudTrail cannot tell, the image with the next older
    unique tag of the same stage. Run again, it goes back one further.
    """
    from registry.tags.rollback import rollback  # noqa: PLC0415 as in _expires

    moving = _tag(found)

    def rolled_back(reference: Reference, *, dry_run: bool) -> Told:
        with _moves(found, reference, reason, record) as (there, tell, records):

            def read_places() -> list[str]:
                return places(records((PUT,), earliest()), moving)

            done = rollback(there, moving, read_places, to=to, dry_run=dry_run)
            told = tell(done.move) | {"basis": done.basis}
            for it in done.notes:
                note(it)
            return told, f"{output.move_text(there, done.move)}\nbasis: {done.basis}"

    found.each(
        partial(rolled_back, dry_run=True), partial(rolled_back, dry_run=dry_run), as_json=as_json
    )


@app.command("resolve")
@takes_targets(
    click.argument(
        "second", metavar="[TAG]", required=False, help="The tag, or a digest. Default: latest."
    )
)
@json_option
def resolve_command(found: Targets, *, as_json: bool) -> None:
    """Say which image a tag is on, as a reference that can be pulled and never changes.

    Needs no more than permission to pull, so it works from any account that may. Whoever may read
    the lifecycle policy too is told if it is about to take the image.
    """
    name = found.image or "latest"

    def resolved(reference: Reference) -> Told:
        with found.work(reference) as (aws, there):
            it = resolve(there, name)
            told = output.resolved_json(it, there.uri(it.image.registry_id, aws.dns_suffix()))
            told |= _expires(there, it)
            if it.unknown:
                note(f"commit, unique tag and build time of {name} are not known: {it.unknown}")
            return told, told["reference"]

    found.each(resolved, as_json=as_json)


@app.command("history")
@takes_targets(
    click.argument("second", metavar="[TAG]", required=False, help="The tag. Default: latest.")
)
@click.option(
    "--pipeline-role",
    type=role_of,
    metavar="ARN",
    multiple=True,
    help="A role that may move tags. Default: those that the repository policy names.",
)
@json_option
def history_command(found: Targets, *, pipeline_role: Sequence[str], as_json: bool) -> None:
    """Say who moved a tag, tried to, or took it away, the newest first.

    As CloudTrail has it: 90 days back, and up to a quarter of an hour late. Others than the
    pipeline's roles are marked with an exclamation mark.
    """
    moving = _tag(found)

    def traced(reference: Reference) -> Told:
        with found.work(reference) as (aws, there):
            account, _ = aws.caller()
            since = earliest()
            try:
                records = _records(aws, account, reference, (PUT, DELETE, EXPIRE), since)
            except NoTrailError as error:
                raise RefusedError(str(error)) from None
            roles = frozenset(pipeline_role) or pipeline_roles(there.policy())
            if not roles:
                note(
                    f"the policy of {there} does not say which roles may move tags, so nobody "
                    "counts as the pipeline; name them with --pipeline-role"
                )
            changes = changes_of(records, moving)[::-1]

            def show() -> None:
                tags = {it.digest: it.tags for it in there.images()}
                name = partial(output.short_name, there.convention, tags)
                output.print_history(f"{moving} of {there}", since, changes, roles, name)

            return output.history_json(moving, since, changes, roles), show

    found.each(traced, as_json=as_json)


def _source(found: Targets) -> str:
    if found.image is None:
        raise click.BadParameter("SOURCE is missing: a tag or a digest, or REPOSITORY:TAG")
    return found.image


def _tag(found: Targets) -> str:
    try:
        return reference.tag(found.image or "latest")
    except InvalidReferenceError as error:
        raise click.BadParameter(str(error)) from None


_Records = Callable[[Sequence[str], datetime], list[Record]]


@contextmanager
def _moves(
    found: Targets, reference: Reference, reason: str | None, record: Path | None
) -> Iterator[tuple[Repository, Callable[[Move], dict[str, Any]], _Records]]:
    """What a command needs that moves tags: the repository; what tells of a move; CloudTrail.

    A move that is told of is recorded, if it moved anything. The record is opened before that, so
    that nothing is moved where it cannot be recorded.
    """
    with found.work(reference) as (aws, there), _opened(record) as lines:
        account, caller = aws.caller()

        def tell(move: Move) -> dict[str, Any]:
            told = output.move_json(move, caller, reason)
            if lines and move.moved:
                line = json.dumps(told)
                try:
                    lines.write(f"{line}\n".encode())
                except OSError as error:
                    raise RefusedError(
                        f"{move.tag} of {there} was moved, but {record} could not be written "
                        f"({error.strerror}); record it yourself: {line}"
                    ) from None
            return told

        yield there, tell, partial(_records, aws, account, reference)


@contextmanager
def _opened(record: Path | None) -> Iterator[RawIOBase | None]:
    """The file, to append to. Raises RefusedError where it cannot be written."""
    if record is None:
        yield None
        return
    try:
        lines = record.open("ab", buffering=0)
    except OSError as error:
        raise RefusedError(
            f"the record {record} cannot be written ({error.strerror}); name another file: "
            "nothing was moved"
        ) from None
    with lines:
        yield lines


def _expires(repository: Repository, found: Resolved) -> dict[str, Any]:
    """Whether the image is about to go, as far as the caller may know; a note if it is."""
    from registry.lifecycle.fate import UnknownFateError, fate  # noqa: PLC0415 a move does not ask

    try:
        going = fate(repository, found.image.digest)
    except UnknownFateError as error:
        if not error.denied:
            note(f"not known whether the image is about to go: {error}")
        return {}
    if going is None:
        return {"expires": None}
    note(f"the image of {found.name} is about to go: {going}")
    return {"expires": {"rule": going.rule}}


def _records(
    aws: Aws, account: str, repository: Reference, events: Sequence[str], since: datetime
) -> list[Record]:
    """What CloudTrail has of the repository. Raises NoTrailError where it cannot be asked."""
    holder = repository.registry_id or account
    trail = trail_of(aws, account, holder)
    try:
        with working("Reading CloudTrail"):
            return trail.records(aws.repository_arn(repository.name, holder), events, since)
    except (ClientError, BotoCoreError) as error:
        raise NoTrailError(explain(error, str(repository))) from None
