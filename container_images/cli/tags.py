"""The commands that move tags, and the one that resolves them: move, promote, rollback, resolve."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from container_images.aws import reference
from container_images.aws.errors import AwsError, refused
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.aws.session import Aws
from container_images.aws.trail import (
    PUT,
    NoTrailError,
    earliest,
    lookup,
    records_of,
    refuse_other_account,
)
from container_images.cli import tags_output as output
from container_images.cli.command import json_option, note, print_json, print_text
from container_images.cli.targets import (
    Targets,
    convention_option,
    images_argument,
    read_each,
    repository_argument,
    stack_option,
    target_of,
    targets_of,
)
from container_images.cli.terminal import working
from container_images.policies.tag_mutability import exclusion_filters, is_immutable
from container_images.tags.history import pipeline_roles
from container_images.tags.moves import move, promote
from container_images.tags.resolve import resolve

if TYPE_CHECKING:
    from container_images.tags.rollback import Puts

_source_argument: Final = click.argument(
    "source", type=reference.image, metavar="SOURCE", help="The image: a tag or a digest."
)
_tag_option: Final = click.option(
    "--tag",
    type=reference.tag,
    metavar="TAG",
    help="The movable tag. Default: the stack's first movable tag, or latest.",
)


def _trial_and_reason_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of all commands that move tags."""
    for option in (
        json_option,
        click.option("--reason", metavar="TEXT", help="The reason, for the JSON."),
        click.option("--dry-run", is_flag=True, help="Print what would be done; change nothing."),
    ):
        command = option(command)
    return command


@click.command("move")
@repository_argument
@stack_option
@convention_option
@_source_argument
@_tag_option
@click.option(
    "--expect",
    type=reference.image,
    metavar="IMAGE",
    help="Move only if the tag is on this image now: a digest, or another tag of the image.",
)
@click.option(
    "--allow-older", is_flag=True, help="Allow an image that is older, or whose age is unknown."
)
@_trial_and_reason_options
def move_command(
    *,
    repository: Reference,
    stack: str | None,
    convention: Path | None,
    source: str,
    tag: str | None,
    expect: str | None,
    allow_older: bool,
    dry_run: bool,
    reason: str | None,
    as_json: bool,
) -> None:
    """Move a tag to another image, without pulling the image.

    An image that is older than the one the tag is on is refused. The times or the versions in their
    tags decide, or else when they were pushed. If the tag is on the image already, nothing is done.
    """
    target = target_of(repository, stack, convention)
    tag = tag or target.default_tag
    target.refuse_immovable("--tag", tag)
    if expect == tag:
        raise click.UsageError(
            f"--expect {tag} names the tag that moves: give a digest, or another tag"
        )
    aws, opened = target.open(repository)
    with working("Moving the tag"):
        _, caller = aws.caller()
        moved = move(opened, source, tag, expect=expect, allow_older=allow_older, dry_run=dry_run)
    if as_json:
        print_json(output.move_json(moved, caller, reason))
    else:
        print_text(output.move_text(opened, moved))


@click.command("promote")
@repository_argument
@stack_option
@convention_option
@_source_argument
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
    "movable_tags",
    type=reference.tag,
    metavar="TAG",
    multiple=True,
    help="Then move this tag to the image, as move does. May be repeated.",
)
@click.option("--latest", is_flag=True, help="Short for --move latest.")
@_trial_and_reason_options
def promote_command(
    *,
    repository: Reference,
    stack: str | None,
    convention: Path | None,
    source: str,
    stage: str | None,
    tag: str | None,
    movable_tags: Sequence[str],
    latest: bool,
    dry_run: bool,
    reason: str | None,
    as_json: bool,
) -> None:
    """Give an image a stage's unique tag, and move tags to it.

    The unique tag is made by the convention, or given with --as. An image that already has one for
    this stage gets no other: --stage keeps it, so that the command can be run again, and another
    one with --as is refused. If a tag to move is on a newer image, nothing is changed. What ECR
    itself refuses, an immutable tag, is known only when the tag is put, after the unique one.
    """
    target = target_of(repository, stack, convention)
    if (stage is None) is (tag is None):
        raise click.UsageError("give either --stage or --as: the stage, or the tag itself")
    if stage is not None and stage not in target.convention.stages:
        raise click.UsageError(
            f"--stage {stage} is not one of {', '.join(target.convention.stages)}"
        )
    movable = list(dict.fromkeys([*movable_tags, *(["latest"] * latest)]))
    for name in movable:
        target.refuse_immovable("--move", name)
        if name == tag:
            raise click.UsageError(
                f"--move {name} is a unique tag by --as, which stays on its image"
            )
    if tag is not None:
        _note_unknown_tag(target, tag)
    aws, opened = target.open(repository)
    with working("Promoting"):
        _, caller = aws.caller()
        promotion = promote(opened, source, stage, tag=tag, movable=movable, dry_run=dry_run)
    if as_json:
        print_json(output.promotion_json(promotion, caller, reason))
    else:
        print_text(output.promotion_text(opened, promotion))


def _note_unknown_tag(target: Targets, tag: str) -> None:
    """Note a tag that is given as a unique one and that nothing knows as one."""
    if target.convention.read(tag):
        return
    text = f"--as {tag} does not follow the tag convention ({target.convention})"
    if target.stack:
        settings = target.stack.settings
        repository = settings.repositories[target.references[0].name]
        mode = repository.tag_mutability
        filters = exclusion_filters(mode, settings.movable_tags, repository.immutable_tags)
        if not is_immutable(tag, mode, filters):
            text += f", and {mode} with {', '.join(filters) or 'no pattern'} lets it move"
    else:
        text += "; if the stack has another one, name it with --stack"
    note(text)


@click.command("rollback")
@repository_argument
@stack_option
@convention_option
@_tag_option
@click.option(
    "--to",
    type=reference.image,
    metavar="IMAGE",
    help="The image to go to: a tag or a digest.",
)
@_trial_and_reason_options
def rollback_command(
    *,
    repository: Reference,
    stack: str | None,
    convention: Path | None,
    tag: str | None,
    to: str | None,
    dry_run: bool,
    reason: str | None,
    as_json: bool,
) -> None:
    """Move a tag back to the image that it was on before.

    CloudTrail has which image that was; an image on which another principal than the pipeline put
    the tag is skipped. If CloudTrail cannot be read, the image with the next older unique tag of
    the same stage is taken. Run the command again to go back one further.
    """
    # Here, and not above: no other command waits for the simulation of lifecycle policies.
    from container_images.tags.rollback import rollback  # noqa: PLC0415

    target = target_of(repository, stack, convention)
    moving = tag or target.default_tag
    target.refuse_immovable("--tag", moving)
    aws, opened = target.open(repository)
    with working("Reading CloudTrail"):
        account, caller = aws.caller()
        rolled_back = rollback(
            opened, moving, lambda: _puts(target, aws, account, opened), to=to, dry_run=dry_run
        )
    for text in rolled_back.notes:
        note(text)
    basis = rolled_back.basis
    if as_json:
        print_json(output.move_json(rolled_back.move, caller, reason) | {"basis": basis})
    else:
        print_text(f"{output.move_text(opened, rolled_back.move)}\nbasis: {basis}")


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
        image = resolve(repository, named.image or targets.default_tag)
        uri = repository.uri(image.image.registry_id, aws.dns_suffix())
        if image.unknown:
            note(f"commit, unique tag and build time of {image.name} are unknown: {image.unknown}")
        return output.resolved_json(image, uri)

    results = read_each(targets.references, "Resolving", resolved)
    if as_json:
        print_json({"repositories": results.to_json(dict)})
    else:
        print_text("\n".join(image["reference"] for image in results.values))
    results.refuse_unread()


def _puts(target: Targets, aws: Aws, account: str, repository: Repository) -> "Puts":
    """What CloudTrail has of the repository, and whose puts count.

    Raises NoTrailError where either cannot be read.
    """
    from container_images.tags.rollback import Puts  # noqa: PLC0415 as above

    named = target.references[0]
    holder = named.registry_id or account
    refuse_other_account(account, holder)
    try:
        with refused():
            if target.stack:
                roles = frozenset(target.stack.settings.pipeline_roles_in(target.stack.account))
            else:
                roles = pipeline_roles(repository.policy())
            arn = aws.repository_arn(named.name, holder)
            records = records_of([arn], lookup(aws.cloudtrail(), (PUT,), earliest()))[arn]
    except AwsError as error:
        raise NoTrailError(str(error)) from None
    return Puts(records=records, pipeline_roles=roles)
