"""The commands about tags: move, promote, rollback, resolve, history."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from io import RawIOBase
from pathlib import Path
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError

from registry.aws.errors import RefusedError, explain
from registry.aws.images import Repository
from registry.aws.reference import Reference
from registry.aws.session import Aws
from registry.aws.trail import DELETE, EXPIRE, PUT, NoTrailError, Record, earliest
from registry.command import (
    JsonOption,
    argument,
    file_option,
    image_of,
    note,
    option,
    role_of,
    tag_of,
    trail_of,
)
from registry.lifecycle.fate import UnknownFateError, fate
from registry.tags import output
from registry.tags.history import changes as changes_of
from registry.tags.history import pipeline_roles, places
from registry.tags.moves import Move, move, promote
from registry.tags.resolve import Resolved, resolve
from registry.tags.rollback import rollback
from registry.targets import (
    ConventionOption,
    MoreOption,
    RepositoryArgument,
    StackOption,
    Targets,
    Told,
    targets,
)
from registry.terminal import PATIENCE, working

app = typer.Typer()

_Source = Annotated[
    str | None,
    argument(str, "SOURCE", "The image: a tag or a digest. May be part of REPOSITORY instead."),
]
_DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be done, and change nothing.")
]
_Reason = Annotated[
    str | None, typer.Option(metavar="TEXT", help="The reason, for the record.", show_default=False)
]
_Record = Annotated[
    Path | None, file_option("Append a JSON line to this file for each tag that was moved.")
]


@app.command(name="move")
def move_command(
    repository: RepositoryArgument = None,
    source: _Source = None,
    more: MoreOption = None,
    stack: StackOption = None,
    convention: ConventionOption = None,
    to: Annotated[
        str, typer.Option(parser=tag_of, metavar="TAG", help="The tag to move.")
    ] = "latest",
    expect: Annotated[
        str | None,
        option(
            image_of,
            "IMAGE",
            "Move only if the tag is on this image now: a digest, or another tag of the image.",
        ),
    ] = None,
    allow_older: Annotated[
        bool,
        typer.Option(
            "--allow-older", help="Allow an image that is older, or whose age is unknown."
        ),
    ] = False,
    dry_run: _DryRun = False,
    reason: _Reason = None,
    record: _Record = None,
    as_json: JsonOption = False,
) -> None:
    """Move a tag to another image, without pulling the image.

    An image that is older than the one the tag is on is refused. The times or the versions in their
    tags decide, or else when they were pushed. If the tag is on the image already, nothing is done.
    With several repositories, nothing is done unless it can be done in all of them.
    """
    found = targets(repository, source, more=more, stack=stack, convention=convention)
    image = _source(found)
    if expect == to:
        raise typer.BadParameter(
            f"--expect {to} names the tag that moves: give a digest, or another tag"
        )

    def moved(reference: Reference, *, dry_run: bool) -> Told:
        with _moves(found, reference, reason, record) as (there, tell, _):
            done = move(there, image, to, expect=expect, allow_older=allow_older, dry_run=dry_run)
            return tell(done), output.move_text(there, done)

    found.each(partial(moved, dry_run=True), partial(moved, dry_run=dry_run), as_json=as_json)


@app.command(name="promote")
def promote_command(
    repository: RepositoryArgument = None,
    source: _Source = None,
    more: MoreOption = None,
    stack: StackOption = None,
    convention: ConventionOption = None,
    stage: Annotated[
        str | None,
        option(str, "STAGE", "The stage of the convention that the image was accepted for."),
    ] = None,
    tag: Annotated[
        str | None,
        typer.Option(
            "--as",
            parser=tag_of,
            metavar="TAG",
            help="The unique tag itself, instead of --stage.",
            show_default=False,
        ),
    ] = None,
    movable: Annotated[
        list[str] | None,
        typer.Option(
            "--move",
            parser=tag_of,
            metavar="TAG",
            help="Then move this tag to the image, as move does. May be repeated.",
            show_default=False,
        ),
    ] = None,
    latest: Annotated[bool, typer.Option("--latest", help="Short for --move latest.")] = False,
    dry_run: _DryRun = False,
    reason: _Reason = None,
    record: _Record = None,
    as_json: JsonOption = False,
) -> None:
    """Add the unique tag of a stage to an image, and move tags to it.

    The unique tag is made by the convention, or given with --as. An image that already has one for
    this stage gets no other, so the command may be run again. If one of the tags cannot be moved,
    nothing is changed.
    """
    found = targets(repository, source, more=more, stack=stack, convention=convention)
    image = _source(found)
    if (stage is None) is (tag is None):
        raise typer.BadParameter("give either --stage or --as: the stage, or the tag itself")
    if stage is not None and stage not in found.convention.stages:
        raise typer.BadParameter(
            f"--stage {stage} is not one of {', '.join(found.convention.stages)}"
        )
    moving = list(dict.fromkeys([*(movable or ()), *(["latest"] * latest)]))
    if wrong := [it for it in moving if it == tag or found.convention.read(it)]:
        raise typer.BadParameter(f"--move {wrong[0]} is a unique tag, which stays on its image")

    def promoted(reference: Reference, *, dry_run: bool) -> Told:
        with _moves(found, reference, reason, record) as (there, tell, _):
            done = promote(there, image, stage, tag=tag, movable=moving, dry_run=dry_run)
            told = output.promotion_json(done, [tell(it) for it in done.moves])
            return told, output.promotion_text(there, done)

    found.each(partial(promoted, dry_run=True), partial(promoted, dry_run=dry_run), as_json=as_json)


@app.command(name="rollback")
def rollback_command(
    repository: RepositoryArgument = None,
    more: MoreOption = None,
    stack: StackOption = None,
    convention: ConventionOption = None,
    tag: Annotated[
        str | None,
        option(tag_of, "TAG", "The tag to move back. Default: latest."),
    ] = None,
    to: Annotated[
        str | None,
        option(image_of, "IMAGE", "The image to go back to: a tag or a digest."),
    ] = None,
    dry_run: _DryRun = False,
    reason: _Reason = None,
    record: _Record = None,
    as_json: JsonOption = False,
) -> None:
    """Move a tag back to the image that it was on before.

    CloudTrail tells which image that was. If it cannot, the image with the next older unique tag of
    the same stage is taken. Run the command again to go back one further.
    """
    found = targets(repository, tag, more=more, stack=stack, convention=convention)
    moving = tag_of(found.image or "latest")

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


@app.command(name="resolve")
def resolve_command(
    repository: RepositoryArgument = None,
    image: Annotated[
        str | None,
        argument(str, "TAG", "The tag, or a digest. Default: latest."),
    ] = None,
    more: MoreOption = None,
    stack: StackOption = None,
    convention: ConventionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the image that a tag is on, as a reference by digest, which never changes.

    Needs only the permission to pull, also from another account. If the caller may read the
    lifecycle policy, a note says when the image is about to expire.
    """
    found = targets(repository, image, more=more, stack=stack, convention=convention)
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


@app.command(name="history")
def history_command(
    repository: RepositoryArgument = None,
    tag: Annotated[
        str | None,
        argument(str, "TAG", "The tag. Default: latest."),
    ] = None,
    more: MoreOption = None,
    stack: StackOption = None,
    convention: ConventionOption = None,
    pipeline_role: Annotated[
        list[str] | None,
        option(
            role_of,
            "ARN",
            "A role that may move tags. May be repeated. Default: the roles that the repository "
            "policy names.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List who moved a tag, tried to, or removed it, newest first.

    CloudTrail keeps 90 days of events, which arrive up to 15 minutes late. Principals other than
    the pipeline roles are marked with an exclamation mark.
    """
    found = targets(repository, tag, more=more, stack=stack, convention=convention)
    moving = tag_of(found.image or "latest")

    def traced(reference: Reference) -> Told:
        with found.work(reference) as (aws, there):
            account, _ = aws.caller()
            since = earliest()
            try:
                records = _records(aws, account, reference, (PUT, DELETE, EXPIRE), since)
            except NoTrailError as error:
                raise RefusedError(str(error)) from None
            roles = frozenset(pipeline_role or ()) or pipeline_roles(there.policy())
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
        raise typer.BadParameter("give SOURCE, a tag or a digest, or REPOSITORY:TAG")
    return found.image


_Records = Callable[[Sequence[str], datetime], list[Record]]


@contextmanager
def _moves(
    found: Targets, reference: Reference, reason: str | None, record: Path | None
) -> Iterator[tuple[Repository, Callable[[Move], dict[str, Any]], _Records]]:
    """What a command that moves tags needs: the repository; what reports a move; CloudTrail.

    A reported move is recorded, if it moved anything. The record is opened before that, so
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
    """Whether the image is about to expire, if the caller may know; with a note if it is."""
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
        with working("Reading CloudTrail", after=PATIENCE):
            return trail.records(aws.repository_arn(repository.name, holder), events, since)
    except (ClientError, BotoCoreError) as error:
        raise NoTrailError(explain(error, str(repository))) from None
