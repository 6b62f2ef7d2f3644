"""The commands that move tags, and the one that resolves them: move, promote, rollback, resolve."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from container_images.aws import reference
from container_images.aws.errors import AwsError, refused
from container_images.aws.images import Repository
from container_images.aws.reference import Reference, is_digest
from container_images.aws.session import Aws
from container_images.cli.command import json_option, note, print_json, print_text
from container_images.cli.targets import (
    Targets,
    convention_option,
    images_argument,
    read_each,
    repository_argument,
    stack_option,
    targets_of,
)
from container_images.cli.terminal import iso, working
from container_images.policies.tag_mutability import DEFAULT_MOVABLE_TAGS
from container_images.tags.moves import Move, move, promote
from container_images.tags.resolve import resolve

if TYPE_CHECKING:
    from container_images.tags.rollback import Puts

# --- What the commands that move tags share -------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class MoveContext:
    """The options that these commands share, and how they print moves."""

    repository: Reference
    stack: str | None
    convention: Path | None
    dry_run: bool
    reason: str | None
    as_json: bool

    @cached_property
    def target(self) -> Targets:
        """The repository, and what its tags mean."""
        return targets_of([self.repository], self.stack, self.convention, writes=True)

    def caller(self, aws: Aws) -> str:
        """Who moves the tag. Only the JSON says it: in text, no client of STS is made."""
        return aws.caller[1] if self.as_json else ""

    def move_json(self, move: Move, caller: str) -> dict[str, Any]:
        """A move, and so its record."""
        images = [
            image and {"digest": image.digest, "tags": list(image.tags)}
            for image in (move.before, move.after)
        ]
        return {
            "repository": self.repository.name,
            "tag": move.tag,
            "from": images[0],
            "to": images[1],
            "moved": move.moved,
            "order": move.order,
            "dryRun": self.dry_run,
            "caller": caller,
            "time": iso(datetime.now(UTC)),
            "reason": self.reason,
        }

    def move_text(self, move: Move, repository: Repository) -> str:
        """A move, in one line."""
        before, after = (image and repository.named(image) for image in (move.before, move.after))
        if move.before and move.before.digest == move.after.digest:
            return f"{move.tag} is on {after} already"
        verb = "would move" if self.dry_run else "moved"
        return f"{move.tag} {verb} from {before or 'no image'} to {after}"

    def print(self, result: dict[str, Any], *lines: str) -> None:
        """The object for machines, or the lines for people."""
        if self.as_json:
            print_json(result)
        else:
            print_text("\n".join(lines))


def _shared_options(command: Callable[..., None]) -> Callable[..., None]:
    """REPOSITORY and the options of a MoveContext."""
    for option in (
        json_option,
        click.option("--reason", help="The reason, for the JSON."),
        click.option("--dry-run", is_flag=True, help="Print what would be done; change nothing."),
        convention_option,
        stack_option,
        repository_argument,
    ):
        command = option(command)
    return command


_source_argument: Final = click.argument(
    "source", type=reference.image, metavar="SOURCE", help="The image: a tag or a digest."
)
_tag_option: Final = click.option(
    "--tag",
    type=reference.tag,
    help="The movable tag. Default: the stack's first movable tag, or latest.",
)

# --- The commands ---------------------------------------------------------------------------------


@click.command("move")
@_shared_options
@_source_argument
@_tag_option
@click.option(
    "--expect",
    type=reference.image,
    help="Move only if the tag is on this image now: a digest, or another tag of the image.",
)
@click.option(
    "--allow-older", is_flag=True, help="Allow an image that is older, or whose age is unknown."
)
def move_command(
    *, source: str, tag: str | None, expect: str | None, allow_older: bool, **shared: Any
) -> None:
    """Move a tag to another image, without pulling the image.

    An image that is older than the one the tag is on is refused. The times or the versions in their
    tags decide, or else when they were pushed. If the tag is on the image already, nothing is done.
    """
    context = MoveContext(**shared)
    tag = tag or context.target.default_tag
    context.target.refuse_immovable("--tag", tag)
    if expect == tag:
        raise click.UsageError(
            f"--expect {tag} names the tag that moves: give a digest, or another tag"
        )
    aws, repository = context.target.open(context.repository)
    with working("Moving the tag"):
        caller = context.caller(aws)
        moved = move(
            repository, source, tag, expect=expect, allow_older=allow_older, dry_run=context.dry_run
        )
    context.print(context.move_json(moved, caller), context.move_text(moved, repository))


@click.command("promote")
@_shared_options
@_source_argument
@click.option(
    "--stage", metavar="STAGE", help="The stage of the convention that the image was accepted for."
)
@click.option("--as", "tag", type=reference.tag, help="The unique tag itself, instead of --stage.")
@click.option(
    "--move",
    "movable_tags",
    type=reference.tag,
    multiple=True,
    help="Then move this tag to the image, as move does. May be repeated.",
)
@click.option("--latest", is_flag=True, help="Short for --move latest.")
def promote_command(
    *,
    source: str,
    stage: str | None,
    tag: str | None,
    movable_tags: Sequence[str],
    latest: bool,
    **shared: Any,
) -> None:
    """Give an image a stage's unique tag, and move tags to it.

    The unique tag is made by the convention, or given with --as. An image that already has one for
    this stage gets no other: --stage keeps it, so that the command can be run again, and another
    one with --as is refused. If a tag to move is on a newer image, nothing is changed. What ECR
    itself refuses, an immutable tag, is known only when the tag is put, after the unique one.
    """
    context = MoveContext(**shared)
    target = context.target
    if (stage is None) is (tag is None):
        raise click.UsageError("give either --stage or --as: the stage, or the tag itself")
    if stage and stage not in (stages := target.convention.stages):
        raise click.UsageError(f"--stage {stage} is not one of {', '.join(stages)}")
    movable = list(dict.fromkeys([*movable_tags, *(["latest"] * latest)]))
    for name in movable:
        target.refuse_immovable("--move", name)
    if tag in movable:
        raise click.UsageError(f"--move {tag} is a unique tag by --as, which stays on its image")
    if tag in (target.movable_tags or DEFAULT_MOVABLE_TAGS):
        raise click.UsageError(f"--as {tag} is a movable tag: give it with --move")
    if tag is not None and not target.convention.read(tag):
        other = "" if target.stack else "; if the stack has another one, name it with --stack"
        note(
            f"--as {tag} does not follow the tag convention ({target.convention}){other}; see that "
            "ECR keeps the tag immutable"
        )
    aws, repository = context.target.open(context.repository)
    with working("Promoting"):
        caller = context.caller(aws)
        promotion = promote(
            repository, source, stage, tag=tag, movable=movable, dry_run=context.dry_run
        )
    adding = "would be added to" if context.dry_run else "added to"
    verb = adding if promotion.missing else "was already on"
    context.print(
        {
            "tag": promotion.tag,
            "digest": promotion.digest,
            "added": promotion.missing and not context.dry_run,
            "moves": [context.move_json(moved, caller) for moved in promotion.moves],
        },
        f"{promotion.tag} {verb} {promotion.digest}",
        *(context.move_text(moved, repository) for moved in promotion.moves),
    )


@click.command("rollback")
@_shared_options
@_tag_option
@click.option("--to", type=reference.image, help="The image to go to: a tag or a digest.")
def rollback_command(*, tag: str | None, to: str | None, **shared: Any) -> None:
    """Move a tag back to the image that it was on before.

    CloudTrail has which image that was; an image on which another principal than the pipeline put
    the tag is skipped. If CloudTrail cannot be read, the image with the next older unique tag of
    the same stage is taken. Run the command again to go back one further.
    """
    # Here, and not above: no other command waits for the simulation of lifecycle policies.
    from container_images.tags.rollback import rollback  # noqa: PLC0415

    context = MoveContext(**shared)
    target = context.target
    moving = tag or target.default_tag
    target.refuse_immovable("--tag", moving)
    aws, repository = context.target.open(context.repository)
    with working("Reading CloudTrail"):
        caller = context.caller(aws)
        read_puts = partial(_puts, target, aws)
        result = rollback(repository, moving, read_puts, to=to, dry_run=context.dry_run)
    for text in result.notes:
        note(text)
    context.print(
        context.move_json(result.move, caller) | {"basis": result.basis},
        context.move_text(result.move, repository),
        f"basis: {result.basis}",
    )


def _puts(target: Targets, aws: Aws) -> "Puts":
    """What CloudTrail has of the repository. Raises NoTrailError where that cannot be read."""
    from container_images.aws.trail import (  # noqa: PLC0415 as above
        PUT,
        NoTrailError,
        earliest,
        lookup,
        records_of,
    )
    from container_images.cli.history import pipeline_of  # noqa: PLC0415
    from container_images.tags.rollback import Puts  # noqa: PLC0415

    try:
        with refused():
            arn, roles = pipeline_of(target, target.references[0])
            records = records_of([arn], lookup(aws.cloudtrail(), (PUT,), earliest()))[arn]
    except AwsError as error:
        raise NoTrailError(str(error)) from None
    return Puts(records=records, pipeline_roles=roles)


@click.command("resolve")
@images_argument
@stack_option
@json_option
def resolve_command(*, repositories: Sequence[Reference], stack: str | None, as_json: bool) -> None:
    """Print the image that a tag is on, by its digest.

    The tag is the one in REPOSITORY:TAG, or else the stack's first movable tag, or latest. The
    reference can be pulled, and never changes. It takes only the permission to pull, also from
    another account.
    """
    targets = targets_of(repositories, stack)

    def resolved(named: Reference) -> dict[str, Any]:
        aws, repository = targets.open(named)
        name = named.image or targets.default_tag
        resolved = resolve(repository, name)
        if resolved.unknown:
            note(f"commit, unique tag and build time of {name} are unknown: {resolved.unknown}")
        uri = repository.uri(resolved.image.registry_id, aws.dns_suffix())
        return {
            "reference": f"{uri}@{resolved.image.digest}",
            "digest": resolved.image.digest,
            "tag": None if is_digest(name) else name,
            "uniqueTag": str(resolved.unique_tag) if resolved.unique_tag else None,
            "commit": resolved.commit,
            "builtAt": iso(resolved.built_at) if resolved.built_at else None,
            "tags": list(resolved.image.tags),
        }

    results = read_each(targets.references, "Resolving", resolved)
    if as_json:
        print_json({"repositories": results.to_json(dict)})
    else:
        for resolution in results.values:
            print_text(resolution["reference"])
    results.refuse_unread()
