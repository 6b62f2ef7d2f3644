"""The commands about tags: move, promote, rollback, resolve, history."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial, wraps
from pathlib import Path
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError

from container_images.aws import reference
from container_images.aws.errors import RefusedError, explain
from container_images.aws.images import Repository
from container_images.aws.reference import InvalidReferenceError, Reference
from container_images.aws.session import Aws
from container_images.aws.trail import DELETE, EXPIRE, PUT, NoTrailError, Record, earliest
from container_images.cli import tags_output as output
from container_images.cli.command import file_option, json_option, note, role_of, trail_of
from container_images.cli.targets import Targets, Told, takes_targets
from container_images.cli.terminal import working
from container_images.tags.history import changes as changes_of
from container_images.tags.history import pipeline_roles, places
from container_images.tags.moves import Move, move, promote
from container_images.tags.resolve import Resolved, resolve

app = click.Group()

_takes_source = takes_targets(
    click.argument(
        "second",
        metavar="[SOURCE]",
        required=False,
        help="The image: a tag or a digest. May be part of REPOSITORY instead.",
    )
)


@dataclass(frozen=True)
class _Place:
    """One repository in which a command moves tags, or tries to."""

    repository: Repository
    dry_run: bool
    tell: Callable[[Move], dict[str, Any]]
    """Reports a move, and records it if it moved anything."""
    note: Callable[[str], None]
    records: Callable[[Sequence[str], datetime], list[Record]]
    """From CloudTrail."""


_InEach = Callable[[Callable[[_Place], Told]], None]


def _moves_tags(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of all that move tags; and `in_each`, which takes a step by them.

    The step is taken in each repository; with many, first as a dry run in each, without its notes.
    The record is opened before it, so that nothing is moved where it cannot be recorded.
    """

    @click.option("--dry-run", is_flag=True, help="Print what would be done, and change nothing.")
    @click.option("--reason", metavar="TEXT", help="The reason, for the record.")
    @file_option(
        "--record",
        type=_record_of,
        help="Append a JSON line to this file for each tag that was moved.",
    )
    @json_option
    @wraps(command)
    def moving(
        found: Targets,
        *,
        dry_run: bool,
        reason: str | None,
        record: Path | None,
        as_json: bool,
        **more: Any,
    ) -> None:
        def take(step: Callable[[_Place], Told], reference: Reference, *, check: bool) -> Told:
            trial = check or dry_run
            with found.work(reference) as (aws, there), _open(None if trial else record) as append:
                account, caller = aws.caller()

                def tell(move: Move) -> dict[str, Any]:
                    return append(output.move_json(move, caller, reason))

                records = partial(_records, aws, account, reference)
                noting = (lambda _: None) if check else note
                return step(_Place(there, dry_run=trial, tell=tell, note=noting, records=records))

        def in_each(step: Callable[[_Place], Told]) -> None:
            steps = (partial(take, step, check=it) for it in (True, False))
            found.each(*steps, as_json=as_json)

        command(found, in_each=in_each, **more)

    return moving


def _record_of(text: str) -> Path:
    if text == "-":
        raise ValueError("- names no file to append to; --json prints the move, for a pipe to keep")
    return Path(text)


@contextmanager
def _open(record: Path | None) -> Iterator[Callable[[dict[str, Any]], dict[str, Any]]]:
    """What appends a move to the file, if it moved anything, and gives it back.

    Raises RefusedError where the file cannot be written.
    """
    if record is None:
        yield lambda told: told
        return
    try:
        lines = record.open("ab", buffering=0)
    except OSError as error:
        raise RefusedError(
            f"the record {record} cannot be written ({error.strerror}); name another file: "
            "nothing was moved"
        ) from None

    def append(told: dict[str, Any]) -> dict[str, Any]:
        line = json.dumps(told)
        try:
            if told["moved"]:
                lines.write(f"{line}\n".encode())
        except OSError as error:
            raise RefusedError(
                f"{told['tag']} of {told['repository']} was moved, but {record} could not be "
                f"written ({error.strerror}); record it yourself: {line}"
            ) from None
        return told

    with lines:
        yield append


@app.command("move")
@_takes_source
@click.option(
    "--to",
    type=reference.tag,
    metavar="TAG",
    help="The tag to move. Default: the stack's first movable tag, or latest.",
)
@click.option(
    "--expect",
    type=reference.image,
    metavar="IMAGE",
    help="Move only if the tag is on this image now: a digest, or another tag of the image.",
)
@click.option(
    "--allow-older",
    is_flag=True,
    help="Allow an image that is older, or whose age is unknown.",
)
@_moves_tags
def move_command(
    found: Targets, *, to: str | None, expect: str | None, allow_older: bool, in_each: _InEach
) -> None:
    """Move a tag to another image, without pulling the image.

    An image that is older than the one the tag is on is refused. The times or the versions in their
    tags decide, or else when they were pushed. If the tag is on the image already, nothing is done.
    With several repositories, nothing is done unless each has the image, and a newer one than the
    tag is on. What ECR itself refuses, an immutable tag, is known only when the tag is put.
    """
    image, tag = _source(found), to or found.default_tag
    found.refuse_immovable("--to", tag)
    if expect == tag:
        raise click.UsageError(
            f"--expect {tag} names the tag that moves: give a digest, or another tag"
        )

    def moved(at: _Place) -> Told:
        there = at.repository
        done = move(there, image, tag, expect=expect, allow_older=allow_older, dry_run=at.dry_run)
        return at.tell(done), output.move_text(there, done)

    in_each(moved)


@app.command("promote")
@_takes_source
@click.option(
    "--stage",
    metavar="STAGE",
    help="The stage of the convention that the image was accepted for.",
)
@click.option(
    "--as",
    "tag",
    type=reference.tag,
    metavar="TAG",
    help="The unique tag itself, instead of --stage.",
)
@click.option(
    "--move",
    "movable",
    type=reference.tag,
    metavar="TAG",
    multiple=True,
    help="Then move this tag to the image, as move does. May be repeated.",
)
@click.option("--latest", is_flag=True, help="Short for --move latest.")
@_moves_tags
def promote_command(
    found: Targets,
    *,
    stage: str | None,
    tag: str | None,
    movable: Sequence[str],
    latest: bool,
    in_each: _InEach,
) -> None:
    """Give an image a stage's unique tag, and move tags to it.

    The unique tag is made by the convention, or given with --as. An image that already has one for
    this stage gets no other, so the command may be run again. If a tag to move is on a newer image,
    nothing is changed. What ECR itself refuses, an immutable tag, is known only when the tag is
    put, after the unique one.
    """
    image = _source(found)
    if (stage is None) is (tag is None):
        raise click.UsageError("give either --stage or --as: the stage, or the tag itself")
    if stage is not None and stage not in found.convention.stages:
        raise click.UsageError(
            f"--stage {stage} is not one of {', '.join(found.convention.stages)}"
        )
    moving = list(dict.fromkeys([*movable, *(["latest"] * latest)]))
    for it in moving:
        found.refuse_immovable("--move", it)
        if it == tag:
            raise click.UsageError(f"--move {it} is a unique tag by --as, which stays on its image")

    def promoted(at: _Place) -> Told:
        done = promote(at.repository, image, stage, tag=tag, movable=moving, dry_run=at.dry_run)
        told = output.promotion_json(done, [at.tell(it) for it in done.moves])
        return told, output.promotion_text(at.repository, done)

    in_each(promoted)


@app.command("rollback")
@takes_targets(
    click.option(
        "--tag",
        "second",
        type=reference.tag,
        metavar="TAG",
        help="The tag to move back. Default: the stack's first movable tag, or latest.",
    )
)
@click.option(
    "--to",
    type=reference.image,
    metavar="IMAGE",
    help="The image to go back to: a tag or a digest.",
)
@_moves_tags
def rollback_command(found: Targets, *, to: str | None, in_each: _InEach) -> None:
    """Move a tag back to the image that it was on before.

    CloudTrail tells which image that was. If it cannot, the image with the next older unique tag of
    the same stage is taken. Run the command again to go back one further.
    """
    from container_images.tags.rollback import rollback  # noqa: PLC0415 as in _expires

    moving = _tag(found)
    found.refuse_immovable("--tag", moving)

    def rolled_back(at: _Place) -> Told:
        def read_places() -> list[str]:
            return places(at.records((PUT,), earliest()), moving)

        done = rollback(at.repository, moving, read_places, to=to, dry_run=at.dry_run)
        for it in done.notes:
            at.note(it)
        told = at.tell(done.move) | {"basis": done.basis}
        return told, f"{output.move_text(at.repository, done.move)}\nbasis: {done.basis}"

    in_each(rolled_back)


@app.command("resolve")
@takes_targets(
    click.argument(
        "second",
        metavar="[TAG]",
        required=False,
        help="The tag, or a digest. Default: the stack's first movable tag, or latest.",
    )
)
@json_option
def resolve_command(found: Targets, *, as_json: bool) -> None:
    """Print the image that a tag is on, by its digest.

    That reference can be pulled, and never changes. It takes only the permission to pull, also from
    another account. If the caller may read the lifecycle policy, a note says when the image is
    about to expire.
    """
    name = found.image or found.default_tag

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
    click.argument(
        "second",
        metavar="[TAG]",
        required=False,
        help="The tag. Default: the stack's first movable tag, or latest.",
    )
)
@click.option(
    "--pipeline-role",
    type=role_of,
    metavar="ARN",
    multiple=True,
    help="A role that may move tags. May be repeated. Default: the roles that the repository "
    "policy names.",
)
@json_option
def history_command(found: Targets, *, pipeline_role: Sequence[str], as_json: bool) -> None:
    """List who moved a tag, tried to, or removed it, newest first.

    CloudTrail keeps 90 days of events, which arrive up to 15 minutes late. Principals other than
    the pipeline roles are marked with an exclamation mark.
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
        raise click.UsageError("give SOURCE, a tag or a digest, or REPOSITORY:TAG")
    return found.image


def _tag(found: Targets) -> str:
    try:
        return reference.tag(found.image or found.default_tag)
    except InvalidReferenceError as error:
        raise click.UsageError(str(error)) from None


def _expires(repository: Repository, found: Resolved) -> dict[str, Any]:
    """Whether the image is about to expire, if the caller may know; with a note if it is."""
    from container_images.lifecycle.fate import UnknownFateError, fate  # noqa: PLC0415 a move does not ask

    try:
        going = fate(repository, found.image.digest)
    except UnknownFateError as error:
        if not error.denied:
            note(f"it is not known whether the image will be kept: {error}")
        return {}
    if going is None:
        return {"expires": None}
    note(f"the image of {found.name} will not be kept: {going}")
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
