"""The commands: what is asked is parsed, the work is called, and what came of it is printed."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar, get_args

import typer
from botocore.exceptions import BotoCoreError, ClientError

from components.fault import InvalidInputError
from registry import output, reference
from registry.aws import Aws
from registry.errors import RefusedError, explain
from registry.expiry import examine
from registry.expiry_files import Listing, moment, read_images, read_in_use, read_policy
from registry.expiry_live import Difference, differences, live_listing, live_rules
from registry.expiry_live import aws_preview as preview_of
from registry.fate import UnknownFateError, fate
from registry.images import Repository
from registry.lifecycle_document import Rule
from registry.moves import move, promote
from registry.plain_values import PlainCommand, PlainGroup
from registry.reference import InvalidReferenceError, Reference
from registry.resolve import Resolved, resolve
from registry.rollback import NoTrailError, rollback
from registry.trail import DELETE, EXPIRE, PUT, Record, Trail, earliest, pipeline_roles, places
from registry.trail import changes as changes_of

if TYPE_CHECKING:
    from registry.account import Account
    from registry.policy_files import Plan

FAILED: Final = 1

_T = TypeVar("_T")

app = typer.Typer(
    cls=PlainGroup,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text: readable in a build's log, and quicker to start
    no_args_is_help=True,
    help="Move, promote, roll back, resolve and trace the tags of a repository in Amazon ECR. "
    "Region, profile and endpoint come from the environment, as with any AWS tool. Exit status: "
    "0 done, 1 refused or failed (the reason is on standard error), 2 wrong usage.",
)


# --- What is asked --------------------------------------------------------------------------------


def _repository(text: str) -> Reference:
    try:
        return reference.parse(text)
    except InvalidReferenceError as error:
        raise typer.BadParameter(str(error)) from None


def _repository_arn(text: str) -> str:
    if not text.startswith("arn:"):
        raise typer.BadParameter(f"{text!r} is no ARN of a repository")
    _repository(text)
    return text


def _principal(text: str) -> str:
    if not text.startswith("arn:") and "." not in text:
        raise typer.BadParameter(f"{text!r} is no ARN of a role or a user, and no service")
    return text


def _tag(text: str) -> str:
    if not reference.is_tag(text):
        raise typer.BadParameter(f"{text!r} is no tag: 1 to 128 letters, digits and . _ -")
    return text


def _digest(text: str) -> str:
    if not reference.is_digest(text):
        raise typer.BadParameter(f"{text!r} is no digest: sha256: and 64 hex digits, lower case")
    return text


def _source(text: str) -> str:
    return text if reference.is_digest(text) else _tag(text)


def _stage(text: str) -> str:
    if text not in get_args(_Stage):
        raise typer.BadParameter(f"{text!r} is none of {', '.join(get_args(_Stage))}")
    return text


def _file(help_text: str) -> Any:
    return typer.Option(parser=Path, metavar="FILE", help=help_text, show_default=False)


def _role(text: str) -> str:
    if not text.startswith("arn:") or ":role/" not in text:
        raise typer.BadParameter(f"{text!r} is no ARN of a role: arn:aws:iam::ACCOUNT:role/NAME")
    return text


def _moment(text: str) -> datetime:
    try:
        return moment(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no time such as 2026-01-31T12:00:00Z: {error}"
        ) from None


_Stage = Literal["stg", "prod"]
"""What an image can be promoted to."""

_Repository = Annotated[
    Reference,
    typer.Argument(
        parser=_repository,
        metavar="REPOSITORY",
        help="Name, ARN or URI of the repository. An ARN and a URI say the account and Region too.",
        show_default=False,
    ),
]
_Source = Annotated[
    str,
    typer.Argument(
        parser=_source, metavar="SOURCE", help="The image: a tag or a digest.", show_default=False
    ),
]
_TagArgument = Annotated[str, typer.Argument(parser=_tag, metavar="TAG", help="The tag.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else.")]
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


# --- The commands ---------------------------------------------------------------------------------


@app.command(name="move", cls=PlainCommand)
def move_command(
    repository: _Repository,
    source: _Source,
    to: Annotated[
        str, typer.Option(parser=_tag, metavar="TAG", help="The tag that moves.")
    ] = "latest",
    expect: Annotated[
        str | None,
        typer.Option(
            parser=_digest,
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
    as_json: _Json = False,
) -> None:
    """Put a tag on another image, without pulling it.

    Refused where the image was built before the one that the tag is on. Nothing is done where the
    tag is on the image already.
    """
    with _work(repository) as (aws, there), _recorded(record) as append:
        _, caller = aws.caller()
        moved = move(there, source, to, expect=expect, allow_older=allow_older, dry_run=dry_run)
        told = output.move_json(moved, caller, reason)
        append(told)
        _print(told, output.move_text(moved), as_json=as_json)


@app.command(name="promote", cls=PlainCommand)
def promote_command(
    repository: _Repository,
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
    as_json: _Json = False,
) -> None:
    """Give an image the unique tag of a stage: STAGE-COMMIT-TIME.

    An image that has one for this stage keeps it, and gets no other: the command may be run again.
    """
    with _work(repository) as (aws, there), _recorded(record) as append:
        _, caller = aws.caller()
        done = promote(there, source, stage, latest="latest" if latest else None)
        moved = None if done.latest is None else output.move_json(done.latest, caller, reason)
        if moved is not None:
            append(moved)
        told = {"tag": done.tag, "digest": done.digest, "added": done.added, "latest": moved}
        text = f"{done.tag} {'added to' if done.added else 'was already on'} {done.digest}"
        if done.latest is not None:
            text += f"\n{output.move_text(done.latest)}"
        _print(told, text, as_json=as_json)


@app.command(name="rollback", cls=PlainCommand)
def rollback_command(
    repository: _Repository,
    tag: Annotated[
        str, typer.Option(parser=_tag, metavar="TAG", help="The tag that moves.")
    ] = "latest",
    to: Annotated[
        str | None,
        typer.Option(
            parser=_digest, metavar="DIGEST", help="The image to go back to.", show_default=False
        ),
    ] = None,
    dry_run: _DryRun = False,
    reason: _Reason = None,
    record: _Record = None,
    as_json: _Json = False,
) -> None:
    """Move a tag back to the image that it was on before.

    That is the last one in CloudTrail; where CloudTrail cannot tell, the image with the next older
    unique tag of the same stage. Done again, it goes back one further.
    """
    with _work(repository) as (aws, there), _recorded(record) as append:
        account, caller = aws.caller()
        done = rollback(
            there, tag, lambda: _places(aws, account, repository, tag), to=to, dry_run=dry_run
        )
        for note in done.notes:
            _note(note)
        told = output.move_json(done.move, caller, reason)
        append(told)
        text = f"{output.move_text(done.move)}\nbasis: {done.basis}"
        _print({**told, "basis": done.basis}, text, as_json=as_json)


@app.command(name="resolve", cls=PlainCommand)
def resolve_command(
    repository: _Repository, tag: _TagArgument = "latest", as_json: _Json = False
) -> None:
    """Say which image a tag is on, as a reference that can be pulled and never changes.

    Needs no more than permission to pull, so it works from any account that may. Whoever may read
    the lifecycle policy too is told if it is about to take the image.
    """
    with _work(repository) as (aws, there):
        found = resolve(there, tag)
        uri = there.uri(found.image.registry_id, aws.dns_suffix())
        told = output.resolved_json(found, uri)
        told |= _expires(there, found)
        _print(told, told["reference"], as_json=as_json)


@app.command(name="history", cls=PlainCommand)
def history_command(
    repository: _Repository,
    tag: _TagArgument = "latest",
    pipeline_role: Annotated[
        list[str] | None,
        typer.Option(
            parser=_role,
            metavar="ARN",
            help="A role that may move tags. Default: those that the repository policy names.",
            show_default=False,
        ),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Say who moved a tag, tried to, or took it away, the newest first.

    As CloudTrail has it: 90 days back, and up to a quarter of an hour late. Others than the
    pipeline's roles are marked with an exclamation mark.
    """
    with _work(repository) as (aws, there):
        account, _ = aws.caller()
        since = earliest()
        try:
            records = _records(aws, account, repository, (PUT, DELETE, EXPIRE), since)
        except NoTrailError as error:
            raise RefusedError(str(error)) from None
        roles = frozenset(pipeline_role or ()) or pipeline_roles(there.policy())
        if not roles:
            _note(
                f"the policy of {there} does not say which roles may move tags, so nobody counts "
                "as the pipeline; name them with --pipeline-role"
            )
        changes = changes_of(records, tag)[::-1]
        if as_json:
            _print(output.history_json(tag, since, changes, roles), "", as_json=True)
        else:
            names = {it.digest: it.tags for it in there.images()}
            output.print_history(f"{tag} of {there}", since, changes, roles, names)


@app.command(name="expiring", cls=PlainCommand)
def expiring_command(
    repository: Annotated[
        Reference | None,
        typer.Argument(
            parser=_repository,
            metavar="REPOSITORY",
            help="Name, ARN or URI of the repository. Not with --policy and --images.",
            show_default=False,
        ),
    ] = None,
    policy: Annotated[
        Path | None, _file("A lifecycle policy to try, instead of a live one.")
    ] = None,
    images: Annotated[
        Path | None, _file("Its images, as aws ecr describe-images prints them.")
    ] = None,
    now: Annotated[
        datetime | None,
        typer.Option(
            parser=_moment,
            metavar="ISO",
            help="With files: the time for which it is said. Default: this moment.",
            show_default=False,
        ),
    ] = None,
    in_use: Annotated[
        Path | None,
        _file("What is deployed: digests and image references, one to a line or a JSON list."),
    ] = None,
    fail_on_loss: Annotated[
        bool,
        typer.Option(
            "--fail-on-loss", help="Exit 1 if the image of latest, or one in use, would go."
        ),
    ] = False,
    aws_preview: Annotated[
        bool,
        typer.Option("--aws-preview", help="Run AWS's own preview too, and say what differs."),
    ] = False,
    as_json: _Json = False,
) -> None:
    """Say what a lifecycle policy is about to do to a repository's images, and what to beware of.

    Either REPOSITORY, with the policy that it has; or --policy and --images, without AWS.
    """
    files = None if policy is None or images is None else (policy, images)
    if (repository is None) is (files is None) or (policy is None) is not (images is None):
        raise typer.BadParameter("give either REPOSITORY, or both --policy and --images")
    if files is not None and aws_preview:
        raise typer.BadParameter("--aws-preview needs REPOSITORY: AWS knows nothing of the files")
    if repository is not None and now is not None:
        raise typer.BadParameter("--now goes with --policy and --images")
    found: list[Difference] | None = None
    with _told(str(repository or policy)):
        used = _read(in_use, read_in_use) if in_use else []
        if files is not None:
            rules, listing = _read(files[0], read_policy), _read(files[1], read_images)
        elif repository is not None:
            there = Repository(Aws(repository.region).ecr(), repository)
            rules, listing = _live(there)
        report = examine(rules, listing, now or datetime.now(UTC), used)
        if aws_preview:
            # AWS previews no policy that is not there; and without one nothing goes.
            preview = preview_of(there.client, there.place) if rules else {}
            found = differences(report.verdicts, preview)
    if as_json:
        _print(output.expiring_json(report, found), "", as_json=True)
    else:
        output.print_expiring(str(repository or images), report, found)
    if fail_on_loss and report.loses:
        _say("the image of a movable tag, or one in use, would go; see the warnings")
        raise typer.Exit(FAILED)


@app.command(name="movers", cls=PlainCommand)
def movers_command(
    repository: Annotated[
        Reference | None,
        typer.Argument(
            parser=_repository,
            metavar="REPOSITORY",
            help="Name, ARN or URI of the repository. Not with --plan and --repository-arn.",
            show_default=False,
        ),
    ] = None,
    plan: Annotated[
        Path | None,
        _file(
            "All repositories of a stack, with the policies that it plans for them: what python "
            "-m rehearsal --plan-only --json prints; - is standard input."
        ),
    ] = None,
    repository_arn: Annotated[
        str | None,
        typer.Option(
            parser=_repository_arn,
            metavar="ARN",
            help="The repository, without AWS: with --repository-policy and "
            "--authorization-details.",
            show_default=False,
        ),
    ] = None,
    repository_policy: Annotated[
        Path | None,
        _file(
            "The repository's policy, instead of the live one: planned, or as aws ecr "
            "get-repository-policy prints it; - is standard input."
        ),
    ] = None,
    authorization_details: Annotated[
        list[Path] | None,
        _file(
            "The account, instead of the live one: as aws iam get-account-authorization-details "
            "prints it. May be repeated, for other accounts."
        ),
    ] = None,
    scp: Annotated[
        list[Path] | None,
        _file(
            "The service control policy that binds the repository's account at one level of the "
            "organization, as aws organizations describe-policy prints it: all statements of the "
            "level in one file. May be repeated, for each level."
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            parser=_principal,
            metavar="ARN",
            help="Exit 1 if anybody else could move a tag. May be repeated.",
            show_default=False,
        ),
    ] = None,
    seen: Annotated[
        bool,
        typer.Option(
            "--seen",
            help="Instead: who has, by CloudTrail, done what the planned policy would deny them. "
            "With --plan, or REPOSITORY and --repository-policy.",
        ),
    ] = False,
    as_json: _Json = False,
) -> None:
    """Say who could move a tag, delete an image or change the guard, and by which steps.

    Every role and user of the account counts, with all that they could do by becoming others: by
    assuming roles, passing them to compute, rewriting trusts and policies, making them anew.
    """
    if seen:
        if repository_arn or authorization_details or scp or only:
            raise typer.BadParameter("--seen asks CloudTrail, and takes no other files than a plan")
        _movers_seen(repository, plan, repository_policy, as_json=as_json)
        return
    if sum(it is not None for it in (repository, plan, repository_arn)) != 1:
        raise typer.BadParameter("give one of REPOSITORY, --plan and --repository-arn")
    if plan and repository_policy:
        raise typer.BadParameter("--plan has its own policies: leave --repository-policy out")
    if repository_arn and not (repository_policy and authorization_details):
        raise typer.BadParameter(
            "--repository-arn is for files: give --repository-policy and --authorization-details"
        )
    # Here, and not above: no other command needs the solver.
    from registry import account, movers, movers_report, policy_files  # noqa: PLC0415

    with _told(str(repository or repository_arn or plan)):
        levels = [_read(it, policy_files.read_service_control_policy) for it in scp or []]
        files = [_read(it, account.read_account) for it in authorization_details or []]
        planned, aws = _asked(repository, plan, repository_arn, repository_policy)
        if not files:
            with output.working("Reading the account's roles and users"):
                files = [_account(aws)]
        asked = [
            movers.Guarded(arn=arn, text=json.dumps(policy))
            for arn, policy in planned.policies.items()
        ]
        with output.working("Looking for ways"):
            found = movers.findings(account.merged(files), asked, tuple(levels))
            proofs = [movers.proofs(it) for it in asked]
    if as_json:
        told = [movers_report.movers_json(*it) for it in zip(found, proofs, strict=True)]
        _print({"repositories": told} if plan else told[0], "", as_json=True)
    else:
        movers_report.print_movers(found, proofs)
    if only and not all(it.is_home for it in found):
        _say(
            "the roles and users of the account that holds the repository are not given: who could "
            "move a tag is not known; give --authorization-details of that account too"
        )
        raise typer.Exit(FAILED)
    if only and (others := movers.others(found, only)):
        _say(f"{len(others)} besides those of --only could move a tag: {', '.join(others)}")
        raise typer.Exit(FAILED)


def _asked(
    repository: Reference | None, plan: Path | None, arn: str | None, policy: Path | None
) -> "tuple[Plan, Aws]":
    """The repositories that are asked about, with their policies; and the AWS that they are in."""
    from registry.policy_files import Plan, read_plan, read_repository_policy  # noqa: PLC0415

    if plan is not None:
        planned = _read(plan, read_plan)
        return planned, Aws(planned.region)
    place = repository or reference.parse(arn or "")
    document = _read(policy, read_repository_policy) if policy else None
    aws = Aws(place.region)
    arn = arn or aws.repository_arn(place.name, place.registry_id or aws.caller()[0])
    if document is None:
        # Without a policy a repository is open to whoever has the permission.
        text = Repository(aws.ecr(), place).policy() or '{"Statement": []}'
        try:
            document = read_repository_policy(text)
        except InvalidInputError as error:
            raise RefusedError(f"the policy of {place}: {_faults(error)}") from None
    return Plan(policies={arn: document}), aws


def _account(aws: Aws) -> "Account":
    """The live account. Raises RefusedError where a part of it is missing."""
    from registry.account import account_of  # noqa: PLC0415

    try:
        return account_of(aws.authorization_details())
    except InvalidInputError as error:
        raise RefusedError(f"the account's authorization details: {_faults(error)}") from None


def _movers_seen(
    repository: Reference | None, plan: Path | None, policy: Path | None, *, as_json: bool
) -> None:
    from registry.proofs import NotModelledError  # noqa: PLC0415
    from registry.seen import EVENTS, denied  # noqa: PLC0415

    if (plan is None) is not (repository is not None and policy is not None) or (
        plan and (repository or policy)
    ):
        raise typer.BadParameter("--seen needs --plan, or REPOSITORY and --repository-policy")
    since = earliest()
    with _told(str(repository or "the plan's repositories")):
        planned, aws = _asked(repository, plan, None, policy)
        account, _ = aws.caller()
        try:
            trail = _trail(aws, account, planned.account_id)
            steps = output.tracked(EVENTS, "Reading CloudTrail")
            found = denied(planned, (raw for name in steps for raw in trail.events(name, since)))
        except (NoTrailError, NotModelledError) as error:
            raise RefusedError(str(error)) from None
    if as_json:
        _print(output.seen_json(planned, since, found), "", as_json=True)
    else:
        output.print_seen(planned, since, found)


# --- Around every command -------------------------------------------------------------------------


@contextmanager
def _work(repository: Reference) -> Iterator[tuple[Aws, Repository]]:
    """AWS and the repository in it."""
    with _told(str(repository)):
        aws = Aws(repository.region)
        yield aws, Repository(aws.ecr(), repository)


@contextmanager
def _told(about: str) -> Iterator[None]:
    """What goes wrong ends the command, in one line."""
    try:
        yield
    except RefusedError as error:
        problem = str(error)
    except (ClientError, BotoCoreError) as error:
        problem = explain(error, about)
    else:
        return
    _say(problem)
    raise typer.Exit(FAILED)


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


def _read(file: Path, parse: Callable[[str], _T]) -> _T:
    """What is in a file, or on standard input. Raises RefusedError with all that is wrong."""
    standard_input = str(file) == "-"
    name = "standard input" if standard_input else str(file)
    try:
        return parse(sys.stdin.read() if standard_input else file.read_text(encoding="utf-8"))
    except InvalidInputError as error:
        raise RefusedError(f"{name}: {_faults(error)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(f"{name} cannot be read ({error}); name another file") from None


def _live(repository: Repository) -> tuple[tuple[Rule, ...], Listing]:
    client, place = repository.client, repository.place
    try:
        return live_rules(client, place), live_listing(client, place)
    except InvalidInputError as error:
        raise RefusedError(f"the lifecycle policy of {repository}: {_faults(error)}") from None


def _faults(error: InvalidInputError) -> str:
    """All of them, in one line."""
    return " | ".join(map(str, error.faults))


def _expires(repository: Repository, found: Resolved) -> dict[str, Any]:
    """Whether the image is about to go, as far as the caller may know; a note if it is."""
    try:
        going = fate(repository, found.image.digest)
    except UnknownFateError as error:
        if not error.denied:
            _note(f"not known whether the image is about to go: {error}")
        return {}
    if going is None:
        return {"expires": None}
    _note(f"the image of {found.tag} is about to go: {going}")
    return {"expires": {"rule": going.rule}}


def _places(aws: Aws, account: str, repository: Reference, tag: str) -> list[str]:
    return places(_records(aws, account, repository, (PUT,), earliest()), tag)


def _records(
    aws: Aws, account: str, repository: Reference, events: tuple[str, ...], since: datetime
) -> list[Record]:
    """What CloudTrail has of the repository. Raises NoTrailError where it cannot be asked."""
    holder = repository.registry_id or account
    trail = _trail(aws, account, holder)
    try:
        return trail.records(aws.repository_arn(repository.name, holder), events, since)
    except (ClientError, BotoCoreError) as error:
        raise NoTrailError(explain(error, str(repository))) from None


def _trail(aws: Aws, account: str, holder: str) -> Trail:
    """What happened in the account that holds a repository. Raises NoTrailError for another's."""
    if holder != account:
        raise NoTrailError(
            f"CloudTrail in account {account} does not hold what happened in {holder}; run as a "
            "role of that account"
        )
    return Trail(aws.cloudtrail())


def _print(told: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(told, indent=2) if as_json else text)


def _note(text: str) -> None:
    _say(f"note: {text}")


def _say(text: str) -> None:
    """A line on standard error, whatever AWS's messages are made up of."""
    typer.echo(" ".join(text.split()), err=True)
