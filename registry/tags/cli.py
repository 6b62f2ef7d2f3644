"""The commands about tags: move, promote, rollback, resolve, history."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from io import RawIOBase
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer
from botocore.exceptions import BotoCoreError, ClientError

from registry.aws.errors import RefusedError, explain
from registry.aws.images import Repository
from registry.aws.reference import Reference
from registry.aws.session import Aws
from registry.aws.trail import DELETE, EXPIRE, PUT, NoTrailError, Record, earliest
from registry.command import (
    REPOSITORY_HELP,
    JsonOption,
    argument,
    file_option,
    image_of,
    image_reference_of,
    note,
    option,
    print_object,
    role_of,
    tag_of,
    trail_of,
    work,
)
from registry.lifecycle.fate import UnknownFateError, fate
from registry.tags import output
from registry.tags.history import changes as changes_of
from registry.tags.history import pipeline_roles, places
from registry.tags.moves import Move, move, promote
from registry.tags.resolve import Resolved, resolve
from registry.tags.rollback import rollback
from registry.terminal import working

app = typer.Typer()

_Stage = Literal["stg", "prod"]
"""What an image can be promoted to."""


def _stage(text: str) -> str:
    if text not in get_args(_Stage):
        raise typer.BadParameter(f"{text!r} is none of {', '.join(get_args(_Stage))}")
    return text


_Repository = Annotated[
    Reference,
    argument(
        image_reference_of,
        "REPOSITORY",
        f"{REPOSITORY_HELP}. :TAG or @DIGEST after a name or a URI stands for the next argument.",
    ),
]
_RepositoryAndTag = Annotated[
    Reference,
    argument(
        image_reference_of,
        "REPOSITORY",
        f"{REPOSITORY_HELP}. :TAG after a name or a URI is the tag.",
    ),
]
_Source = Annotated[
    str | None,
    argument(image_of, "SOURCE", "The image: a tag or a digest. REPOSITORY may say it instead."),
]
_DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")
]
_Reason = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Why, for the record.", show_default=False)
]
_Record = Annotated[
    Path | None, file_option("Append a JSON line to this file for a tag that was moved.")
]


@app.command(name="move")
def move_command(
    repository: _Repository,
    source: _Source = None,
    to: Annotated[
        str, typer.Option(parser=tag_of, metavar="TAG", help="The tag that moves.")
    ] = "latest",
    expect: Annotated[
        str | None,
        option(
            image_of,
            "IMAGE",
            "Refuse unless the tag is on this image now: a digest, or another tag of it.",
        ),
    ] = None,
    allow_older: Annotated[
        bool,
        typer.Option("--allow-older", help="Also to an image whose build is older, or unknown."),
    ] = False,
    dry_run: _DryRun = False,
    reason: _Reason = None,
    record: _Record = None,
    as_json: JsonOption = False,
) -> None:
    """Put a tag on another image, without pulling it.

    Refused where the image was built before the one that the tag is on. Nothing is done where the
    tag is on the image already.
    """
    image = _image(repository, source)
    if expect == to:
        raise typer.BadParameter(f"--expect {to} is always so: name a digest, or another tag")
    with _moves(repository, reason, record) as (there, tell, _):
        moved = move(there, image, to, expect=expect, allow_older=allow_older, dry_run=dry_run)
        print_object(tell(moved), output.move_text(moved), as_json=as_json)


@app.command(name="promote")
def promote_command(
    repository: _Repository,
    source: _Source = None,
    *,
    stage: Annotated[
        _Stage,
        typer.Option(
            parser=_stage, help="What the image has been accepted for.", show_default=False
        ),
    ],
    latest: Annotated[
        bool, typer.Option("--latest", help="Then move latest to the image, as move does.")
    ] = False,
    movable_tag: Annotated[
        str | None,
        option(tag_of, "TAG", "Then move this tag, instead of latest."),
    ] = None,
    dry_run: _DryRun = False,
    reason: _Reason = None,
    record: _Record = None,
    as_json: JsonOption = False,
) -> None:
    """Give an image the unique tag of a stage: STAGE-COMMIT-TIME.

    An image that has one for this stage keeps it, and gets no other: the command may be run again.
    """
    image = _image(repository, source)
    tag = movable_tag or ("latest" if latest else None)
    with _moves(repository, reason, record) as (there, tell, _):
        done = promote(there, image, stage, latest=tag, dry_run=dry_run)
        told = output.promotion_json(done, tell(done.latest) if done.latest else None)
        print_object(told, output.promotion_text(done), as_json=as_json)


@app.command(name="rollback")
def rollback_command(
    repository: _RepositoryAndTag,
    tag: Annotated[
        str | None,
        option(tag_of, "TAG", "The tag that moves. Default: latest."),
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

    That is the last one in CloudTrail; where CloudTrail cannot tell, the image with the next older
    unique tag of the same stage. Run again, it goes back one further.
    """
    moving = _tag(repository, tag)
    with _moves(repository, reason, record) as (there, tell, records):

        def read_places() -> list[str]:
            return places(records((PUT,), earliest()), moving)

        done = rollback(there, moving, read_places, to=to, dry_run=dry_run)
        told = tell(done.move) | {"basis": done.basis}
        for it in done.notes:
            note(it)
        text = f"{output.move_text(done.move)}\nbasis: {done.basis}"
        print_object(told, text, as_json=as_json)


@app.command(name="resolve")
def resolve_command(
    repository: _Repository,
    image: Annotated[
        str | None,
        argument(image_of, "TAG", "The tag, or a digest. Default: latest."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say which image a tag is on, as a reference that can be pulled and never changes.

    Needs no more than permission to pull, so it works from any account that may. Whoever may read
    the lifecycle policy too is told if it is about to take the image.
    """
    name = _image(repository, image, "latest")
    with work(repository) as (aws, there):
        found = resolve(there, name)
        uri = there.uri(found.image.registry_id, aws.dns_suffix())
        told = output.resolved_json(found, uri)
        told |= _expires(there, found)
        if found.unknown:
            note(f"commit, unique tag and build time of {name} are not known: {found.unknown}")
        print_object(told, told["reference"], as_json=as_json)


@app.command(name="history")
def history_command(
    repository: _RepositoryAndTag,
    tag: Annotated[
        str | None,
        argument(tag_of, "TAG", "The tag. Default: latest."),
    ] = None,
    pipeline_role: Annotated[
        list[str] | None,
        option(
            role_of,
            "ARN",
            "A role that may move tags. Default: those that the repository policy names.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say who moved a tag, tried to, or took it away, the newest first.

    As CloudTrail has it: 90 days back, and up to a quarter of an hour late. Others than the
    pipeline's roles are marked with an exclamation mark.
    """
    moving = _tag(repository, tag)
    with work(repository) as (aws, there):
        account, _ = aws.caller()
        since = earliest()
        try:
            records = _records(aws, account, repository, (PUT, DELETE, EXPIRE), since)
        except NoTrailError as error:
            raise RefusedError(str(error)) from None
        roles = frozenset(pipeline_role or ()) or pipeline_roles(there.policy())
        if not roles:
            note(
                f"the policy of {there} does not say which roles may move tags, so nobody counts "
                "as the pipeline; name them with --pipeline-role"
            )
        changes = changes_of(records, moving)[::-1]
        if as_json:
            print_object(output.history_json(moving, since, changes, roles), "", as_json=True)
        else:
            names = {it.digest: it.tags for it in there.images()}
            output.print_history(f"{moving} of {there}", since, changes, roles, names)


def _image(repository: Reference, given: str | None, default: str | None = None) -> str:
    """The image that the arguments name: one of them, or both alike."""
    if repository.image and given and given != repository.image:
        raise typer.BadParameter(
            f"REPOSITORY names {repository.image}, and the next argument {given}: leave one out"
        )
    image = given or repository.image or default
    if image is None:
        raise typer.BadParameter("SOURCE is missing: a tag or a digest, or REPOSITORY:TAG")
    return image


def _tag(repository: Reference, given: str | None) -> str:
    """The tag that the arguments name; latest where they name none."""
    return tag_of(_image(repository, given, "latest"))


_Records = Callable[[Sequence[str], datetime], list[Record]]


@contextmanager
def _moves(
    repository: Reference, reason: str | None, record: Path | None
) -> Iterator[tuple[Repository, Callable[[Move], dict[str, Any]], _Records]]:
    """What a command needs that moves tags: the repository; what tells of a move; CloudTrail.

    A move that is told of is recorded, if it moved anything. The record is opened before that, so
    that nothing is moved where it cannot be recorded.
    """
    with work(repository) as (aws, there), _opened(record) as lines:
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

        yield there, tell, partial(_records, aws, account, repository)


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


_PATIENCE = 2.0
"""Seconds before a command says that it still reads CloudTrail."""


def _records(
    aws: Aws, account: str, repository: Reference, events: Sequence[str], since: datetime
) -> list[Record]:
    """What CloudTrail has of the repository. Raises NoTrailError where it cannot be asked."""
    holder = repository.registry_id or account
    trail = trail_of(aws, account, holder)
    try:
        with working("Reading CloudTrail", after=_PATIENCE):
            return trail.records(aws.repository_arn(repository.name, holder), events, since)
    except (ClientError, BotoCoreError) as error:
        raise NoTrailError(explain(error, str(repository))) from None
