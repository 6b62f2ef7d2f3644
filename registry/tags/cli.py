"""The commands about tags: move, promote, rollback, resolve, history."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import typer
from botocore.exceptions import BotoCoreError, ClientError

from registry.aws import reference
from registry.aws.errors import RefusedError, explain
from registry.aws.images import Repository
from registry.aws.reference import Reference
from registry.aws.session import Aws
from registry.aws.trail import DELETE, EXPIRE, PUT, NoTrailError, Record, earliest
from registry.command import (
    JsonOption,
    RepositoryArgument,
    TagArgument,
    digest_of,
    note,
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
from registry.tags.moves import move, promote
from registry.tags.resolve import Resolved, resolve
from registry.tags.rollback import rollback

app = typer.Typer()


def _source(text: str) -> str:
    return text if reference.is_digest(text) else tag_of(text)


def _stage(text: str) -> str:
    if text not in get_args(_Stage):
        raise typer.BadParameter(f"{text!r} is none of {', '.join(get_args(_Stage))}")
    return text


_Stage = Literal["stg", "prod"]
"""What an image can be promoted to."""

_Source = Annotated[
    str,
    typer.Argument(
        parser=_source, metavar="SOURCE", help="The image: a tag or a digest.", show_default=False
    ),
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would move, and move nothing.")]
_Reason = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Why, for the record.", show_default=False)
]
_Record = Annotated[
    Path | None,
    typer.Option(
        parser=Path,
        metavar="FILE",
        help="Append a JSON line to this file for a tag that was moved.",
        show_default=False,
    ),
]


@app.command(name="move")
def move_command(
    repository: RepositoryArgument,
    source: _Source,
    to: Annotated[
        str, typer.Option(parser=tag_of, metavar="TAG", help="The tag that moves.")
    ] = "latest",
    expect: Annotated[
        str | None,
        typer.Option(
            parser=digest_of,
            metavar="DIGEST",
            help="Refuse unless the tag is on this image now.",
            show_default=False,
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
    with work(repository) as (aws, there), _recorded(record) as append:
        _, caller = aws.caller()
        moved = move(there, source, to, expect=expect, allow_older=allow_older, dry_run=dry_run)
        told = output.move_json(moved, caller, reason)
        append(told)
        print_object(told, output.move_text(moved), as_json=as_json)


@app.command(name="promote")
def promote_command(
    repository: RepositoryArgument,
    source: _Source,
    stage: Annotated[
        _Stage,
        typer.Option(
            parser=_stage, help="What the image has been accepted for.", show_default=False
        ),
    ],
    latest: Annotated[
        bool, typer.Option("--latest", help="Then move latest to the image, as move does.")
    ] = False,
    reason: _Reason = None,
    record: _Record = None,
    as_json: JsonOption = False,
) -> None:
    """Give an image the unique tag of a stage: STAGE-COMMIT-TIME.

    An image that has one for this stage keeps it, and gets no other: the command may be run again.
    """
    with work(repository) as (aws, there), _recorded(record) as append:
        _, caller = aws.caller()
        done = promote(there, source, stage, latest="latest" if latest else None)
        moved = None if done.latest is None else output.move_json(done.latest, caller, reason)
        if moved is not None:
            append(moved)
        told = {"tag": done.tag, "digest": done.digest, "added": done.added, "latest": moved}
        text = f"{done.tag} {'added to' if done.added else 'was already on'} {done.digest}"
        if done.latest is not None:
            text += f"\n{output.move_text(done.latest)}"
        print_object(told, text, as_json=as_json)


@app.command(name="rollback")
def rollback_command(
    repository: RepositoryArgument,
    tag: Annotated[
        str, typer.Option(parser=tag_of, metavar="TAG", help="The tag that moves.")
    ] = "latest",
    to: Annotated[
        str | None,
        typer.Option(
            parser=digest_of, metavar="DIGEST", help="The image to go back to.", show_default=False
        ),
    ] = None,
    dry_run: _DryRun = False,
    reason: _Reason = None,
    record: _Record = None,
    as_json: JsonOption = False,
) -> None:
    """Move a tag back to the image that it was on before.

    That is the last one in CloudTrail; where CloudTrail cannot tell, the image with the next older
    unique tag of the same stage. Done again, it goes back one further.
    """
    with work(repository) as (aws, there), _recorded(record) as append:
        account, caller = aws.caller()
        done = rollback(
            there, tag, lambda: _places(aws, account, repository, tag), to=to, dry_run=dry_run
        )
        for it in done.notes:
            note(it)
        told = output.move_json(done.move, caller, reason)
        append(told)
        text = f"{output.move_text(done.move)}\nbasis: {done.basis}"
        print_object({**told, "basis": done.basis}, text, as_json=as_json)


@app.command(name="resolve")
def resolve_command(
    repository: RepositoryArgument, tag: TagArgument = "latest", as_json: JsonOption = False
) -> None:
    """Say which image a tag is on, as a reference that can be pulled and never changes.

    Needs no more than permission to pull, so it works from any account that may. Whoever may read
    the lifecycle policy too is told if it is about to take the image.
    """
    with work(repository) as (aws, there):
        found = resolve(there, tag)
        uri = there.uri(found.image.registry_id, aws.dns_suffix())
        told = output.resolved_json(found, uri)
        told |= _expires(there, found)
        print_object(told, told["reference"], as_json=as_json)


@app.command(name="history")
def history_command(
    repository: RepositoryArgument,
    tag: TagArgument = "latest",
    pipeline_role: Annotated[
        list[str] | None,
        typer.Option(
            parser=role_of,
            metavar="ARN",
            help="A role that may move tags. Default: those that the repository policy names.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say who moved a tag, tried to, or took it away, the newest first.

    As CloudTrail has it: 90 days back, and up to a quarter of an hour late. Others than the
    pipeline's roles are marked with an exclamation mark.
    """
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
        changes = changes_of(records, tag)[::-1]
        if as_json:
            print_object(output.history_json(tag, since, changes, roles), "", as_json=True)
        else:
            names = {it.digest: it.tags for it in there.images()}
            output.print_history(f"{tag} of {there}", since, changes, roles, names)


@contextmanager
def _recorded(file: Path | None) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Takes what is to be recorded, where it moved anything.

    The file is opened first: nothing is moved where it cannot be recorded.
    """
    if file is None:
        yield lambda _: None
        return
    try:
        with file.open("a", encoding="utf-8") as lines:

            def append(told: Mapping[str, Any]) -> None:
                if told["moved"]:
                    lines.write(f"{json.dumps(told)}\n")

            yield append
    except OSError as error:
        raise RefusedError(
            f"the record {file} cannot be written ({error.strerror}); name another file, and see "
            "with resolve whether the tag has been moved"
        ) from None


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
    note(f"the image of {found.tag} is about to go: {going}")
    return {"expires": {"rule": going.rule}}


def _places(aws: Aws, account: str, repository: Reference, tag: str) -> list[str]:
    return places(_records(aws, account, repository, (PUT,), earliest()), tag)


def _records(
    aws: Aws, account: str, repository: Reference, events: tuple[str, ...], since: datetime
) -> list[Record]:
    """What CloudTrail has of the repository. Raises NoTrailError where it cannot be asked."""
    holder = repository.registry_id or account
    trail = trail_of(aws, account, holder)
    try:
        return trail.records(aws.repository_arn(repository.name, holder), events, since)
    except (ClientError, BotoCoreError) as error:
        raise NoTrailError(explain(error, str(repository))) from None
