"""The commands move, promote and resolve, and what they share with rollback."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import click

from container_images.aws import reference
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.aws.session import Aws
from container_images.cli import targets as about
from container_images.cli.terminal import note, print_json, working
from container_images.policies.forms import DEFAULT_MOVABLE_TAGS
from container_images.policies.invalid_input import printable
from container_images.tags.moves import move, promote, resolve


def move_options(command: Callable[..., None]) -> Callable[..., None]:
    """REPOSITORY and the options of each command that moves tags."""
    for option in (
        about.json_option,
        click.option("--reason", help="The reason, for the JSON."),
        click.option("--dry-run", is_flag=True, help="Print what would be done; change nothing."),
        about.convention_option,
        about.stack_option,
        about.repository_argument,
    ):
        command = option(command)
    return command


tag_option: Final = click.option(
    "--tag",
    type=reference.tag,
    help="The movable tag. Default: the stack's first movable tag, or latest.",
)
_source_argument: Final = click.argument(
    "source", type=reference.image, metavar="SOURCE", help="The image: a tag or a digest."
)


def target_of(options: dict[str, Any]) -> about.Targets:
    """The repository, and what its tags mean."""
    references = [options["repository"]]
    return about.targets_of(references, options["stack"], options["convention"], writes=True)


def caller_and_reason(aws: Aws, options: dict[str, Any]) -> dict[str, Any]:
    """What the record of a move has besides. Only JSON has it: for text, STS is not asked."""
    if not options["as_json"]:
        return {}
    return {"caller": aws.caller[1], "reason": options["reason"]}


def move_text(repository: Repository, moved: dict[str, Any]) -> str:
    """A move, in one line."""
    tag, before, after = moved["tag"], moved["from"], repository.named(**moved["to"])
    if before and before["digest"] == moved["to"]["digest"]:
        return f"{tag} is on {after} already"
    verb = "would move" if moved["dryRun"] else "moved"
    return f"{tag} {verb} from {repository.named(**before) if before else 'no image'} to {after}"


def print_result(options: dict[str, Any], result: dict[str, Any], *lines: str) -> None:
    """The object for machines, or the lines for people."""
    if options["as_json"]:
        print_json(result)
    else:
        for line in lines:
            click.echo(printable(line))


@click.command("move")
@move_options
@_source_argument
@tag_option
@click.option(
    "--expect",
    type=reference.image,
    help="Move only if the tag is on this image now: a digest, or another tag of the image.",
)
@click.option(
    "--allow-older", is_flag=True, help="Allow an image that is older, or whose age is unknown."
)
def move_command(
    *, source: str, tag: str | None, expect: str | None, allow_older: bool, **options: Any
) -> None:
    """Move a tag to another image, without pulling the image.

    An image that is older than the one the tag is on is refused. The times or the versions in their
    tags decide, or else when they were pushed. If the tag is on the image already, nothing is done.
    """
    target = target_of(options)
    tag = tag or target.default_tag
    target.refuse_immovable("--tag", tag)
    if expect == tag:
        raise click.UsageError(
            f"--expect {tag} names the tag that moves: give a digest, or another tag"
        )
    aws, repository = target.open(target.references[0])
    with working("Moving the tag"):
        facts = caller_and_reason(aws, options)
        dry_run = options["dry_run"]
        moved = move(
            repository, source, tag, expect=expect, allow_older=allow_older, dry_run=dry_run
        )
    print_result(options, moved | facts, move_text(repository, moved))


@click.command("promote")
@move_options
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
    **options: Any,
) -> None:
    """Give an image a stage's unique tag, and move tags to it.

    The unique tag is made by the convention, or given with --as. An image that already has one for
    this stage gets no other: --stage keeps it, so that the command can be run again, and another
    one with --as is refused. If a tag to move is on a newer image, nothing is changed. What ECR
    itself refuses, an immutable tag, is known only when the tag is put, after the unique one.
    """
    target = target_of(options)
    movable = list(dict.fromkeys([*movable_tags, *(["latest"] * latest)]))
    _refuse_promotion(target, stage, tag, movable)
    aws, repository = target.open(target.references[0])
    with working("Promoting"):
        facts = caller_and_reason(aws, options)
        dry_run = options["dry_run"]
        promotion = promote(repository, source, stage, tag=tag, movable=movable, dry_run=dry_run)
    adding = "would be added to" if dry_run else "added to"
    verb = adding if promotion["added"] else "was already on"
    print_result(
        options,
        {
            **promotion,
            "added": promotion["added"] and not dry_run,
            "moves": [moved | facts for moved in promotion["moves"]],
        },
        f"{promotion['tag']} {verb} {promotion['digest']}",
        *(move_text(repository, moved) for moved in promotion["moves"]),
    )


def _refuse_promotion(
    target: about.Targets, stage: str | None, tag: str | None, movable: Sequence[str]
) -> None:
    """Raise UsageError for tags that do not go together; note a tag outside of the convention."""
    if (stage is None) is (tag is None):
        raise click.UsageError("give either --stage or --as: the stage, or the tag itself")
    if stage and stage not in (stages := target.convention.stages):
        raise click.UsageError(f"--stage {stage} is not one of {', '.join(stages)}")
    for name in movable:
        target.refuse_immovable("--move", name)
    if tag in (*movable, *(target.movable_tags or DEFAULT_MOVABLE_TAGS)):
        raise click.UsageError(f"--as {tag} is a movable tag: give it with --move")
    if tag is not None and not target.convention.read(tag):
        other = "" if target.stack else "; if the stack has another one, name it with --stack"
        note(
            f"--as {tag} does not follow the tag convention ({target.convention}){other}; see that "
            "ECR keeps the tag immutable"
        )


@click.command("resolve")
@partial(
    about.read_options, parse=reference.parse, more=" A name or a URI may end in :TAG or @DIGEST."
)
def resolve_command(*, repositories: Sequence[Reference], stack: str | None, as_json: bool) -> None:
    """Print the image that a tag is on, by its digest.

    The tag is the one in REPOSITORY:TAG, or else the stack's first movable tag, or latest. The
    reference can be pulled, and never changes. It takes only the permission to pull, also from
    another account.
    """
    targets = about.targets_of(repositories, stack)
    results = about.read_each(
        targets.references,
        "Resolving",
        lambda named: resolve(targets.open(named)[1], named.image or targets.default_tag, note),
    )
    if as_json:
        print_json({"repositories": results.to_json(dict)})
    else:
        for resolved in results.values:
            click.echo(printable(resolved["reference"]))
    results.refuse_unread()
