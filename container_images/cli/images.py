"""The command `images`: which images there are, and what a lifecycle policy does with each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Final

import click
from botocore.exceptions import ClientError

from container_images.aws import reference
from container_images.aws.errors import RefusedError, explain, is_denied, refused
from container_images.aws.image import moment
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.cli.command import file_option, json_option, note, print_json, read
from container_images.cli.images_output import Listing, listing_json, print_listing
from container_images.cli.targets import (
    Results,
    Targets,
    read_each,
    repositories_argument,
    repository_of,
    stack_option,
    targets_of,
)
from container_images.cli.terminal import working
from container_images.lifecycle.document import Rule, read_policy, rules_in
from container_images.lifecycle.in_use import InUse, as_in_use, read_in_use
from container_images.lifecycle.listing import read_images
from container_images.lifecycle.live import live_images, live_movable_tags, live_rules
from container_images.lifecycle.report import Report, examine, movable_tags_of
from container_images.lifecycle.simulation import simulate

_LIVE: Final = "live"
"""The --in-use that is no file."""


@dataclass(frozen=True, kw_only=True)
class _Options:
    """What the command was given besides its repositories."""

    listing: Path | None
    policy: Path | None
    planned: bool
    repository_arn: Reference | None
    now: datetime | None
    in_use: Sequence[str]
    profile: Sequence[str]
    movable_tag: Sequence[str]
    expiring: bool
    fail_on_loss: bool

    @property
    def live_use(self) -> bool:
        """Whether what runs is read from AWS."""
        return _LIVE in self.in_use

    def refuse_wrong_usage(self, targets: Targets) -> None:
        """Raise UsageError for options that contradict each other."""
        wrong = {
            "give REPOSITORY, --stack for all repositories of a stack, or --from with --policy": (
                not targets.references and not self.listing
            ),
            "--from has the images: leave REPOSITORY and --stack out": (
                targets.references and self.listing
            ),
            "--from needs --policy": self.listing and not self.policy,
            "--repository-arn and --now go with --from": (
                (self.repository_arn or self.now) and not self.listing
            ),
            "--in-use live reads AWS, and --from is without": self.live_use and self.listing,
            "--profile goes with --in-use live": self.profile and not self.live_use,
            "--planned needs --stack": self.planned and not targets.stack,
            "--policy and --planned are two policies: give one": self.planned and self.policy,
        }
        for sentence, applies in wrong.items():
            if applies:
                raise click.UsageError(sentence)


def _moment(text: str) -> datetime:
    try:
        return moment(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a time such as 2026-01-31T12:00:00Z: {error}") from None


@click.command("images")
@repositories_argument
@stack_option
@file_option("--policy", help="Simulate this lifecycle policy. Default: the live one.")
@click.option(
    "--planned", is_flag=True, help="Simulate the policy that the settings declare. With --stack."
)
@click.option(
    "--in-use",
    metavar="FILE|live",
    multiple=True,
    help="What is deployed. live: what ECS and Lambda run in the account. FILE: digests or image "
    "references, one a line or as a JSON list. May be repeated.",
)
@click.option(
    "--profile",
    metavar="NAME",
    multiple=True,
    help="With --in-use live: another account that runs images, by its profile. May be repeated.",
)
@click.option(
    "--movable-tag",
    type=reference.tag,
    metavar="TAG",
    multiple=True,
    help="A tag that the pipeline moves. May be repeated. Default: those of the stack; or those in "
    "the protective rules of the policy, and in the exclusion filters of a repository whose other "
    "tags are immutable; or else latest.",
)
@click.option("--expiring", is_flag=True, help="List only the images that will not be kept.")
@click.option(
    "--fail-on-loss",
    is_flag=True,
    help="Exit 1 if the image of a movable tag, an image in use, or what is attached to an image "
    "that is kept, would not be kept.",
)
@file_option(
    "--from",
    "listing",
    help="Without AWS: the images, as aws ecr describe-images prints them. With --policy.",
)
@click.option(
    "--repository-arn",
    type=repository_of,
    metavar="ARN",
    help="With --from: the repository that the images are of.",
)
@click.option(
    "--now", type=_moment, metavar="ISO", help="With --from: the time to simulate. Default: now."
)
@json_option
def images_command(
    *, repositories: Sequence[Reference], stack: str | None, as_json: bool, **given: object
) -> None:
    """List images, and what the lifecycle policy does with each.

    The newest push comes first. What an index lists, and what is attached to an image, follows it.
    "built" is the earliest time in an image's unique tags. ECR counts the reading of an index as a
    pull; it is read only if something would expire. A narrow terminal shows fewer columns.
    """
    targets = targets_of(repositories, stack)
    options = _Options(**given)  # type: ignore[arg-type]
    options.refuse_wrong_usage(targets)
    in_use = InUse()
    for file in options.in_use:
        in_use += _running(targets, options.profile) if file == _LIVE else _used_by(Path(file))
    if options.listing:
        results = Results([_from_files(options, options.listing, targets, in_use)])
    else:
        results = read_each(
            targets.references,
            "Reading the images",
            lambda named: _live(named, options, targets, in_use),
        )
    if as_json:
        print_json({"repositories": results.to_json(listing_json)})
    else:
        for listing in results.values:
            print_listing(listing)
    results.refuse_unread()
    if options.fail_on_loss:
        _refuse_losses(results.values)


def _used_by(file: Path) -> InUse:
    return read(file, read_in_use)


def _running(targets: Targets, profiles: Sequence[str]) -> InUse:
    """What runs in the caller's account, and in those of the profiles.

    In the Regions of the repositories; with a profile that has a Region of its own, in that one.
    """
    from container_images.aws.in_use import running_images  # noqa: PLC0415 most do not ask
    from container_images.aws.session import Aws  # noqa: PLC0415

    in_use, read_already = InUse(), set[tuple[str, str | None]]()
    regions = dict.fromkeys(named.region for named in targets.references)
    for profile, region in product((None, *profiles), regions):
        with refused(f"profile {profile}" if profile else ""):
            aws = Aws(region, profile)
            place = aws.caller()[0], aws.region
            if place not in read_already:
                read_already.add(place)
                with working(f"Reading what runs in {' '.join(filter(None, place))}") as counted:
                    in_use += as_in_use(running_images(aws, counted))
    return in_use


def _from_files(
    options: _Options, file: Path, targets: Targets, in_use: InUse
) -> tuple[Reference, Listing]:
    rules = read(options.policy, read_policy) if options.policy else ()
    images = read(file, lambda text: read_images(text, options.repository_arn))
    movable_tags = options.movable_tag or movable_tags_of(rules)
    report = examine(rules, images, options.now or datetime.now(UTC), in_use, movable_tags)
    listing = Listing(
        name=images.name or str(file),
        report=report,
        convention=targets.convention,
        expiring=options.expiring,
    )
    return Reference(name=listing.name), listing


def _live(named: Reference, options: _Options, targets: Targets, in_use: InUse) -> Listing:
    now = datetime.now(UTC)
    _, repository = targets.open(named)
    rules = _rules(repository, options, targets)
    images = live_images(repository, rules or (), now)
    if rules is None:
        report = Report(verdicts=simulate((), images.images, now))
    else:
        movable_tags = (
            options.movable_tag
            or targets.movable_tags
            or live_movable_tags(
                repository, lambda text: note(f"{text}; or name them with --movable-tag"), rules
            )
        )
        report = examine(rules, images, now, in_use, movable_tags)
    return Listing(
        name=repository.name,
        report=report,
        convention=targets.convention,
        judged=rules is not None,
        expiring=options.expiring,
    )


def _rules(repository: Repository, options: _Options, targets: Targets) -> Sequence[Rule] | None:
    """The rules to simulate. None, and a note, where the live ones cannot be read."""
    if options.policy:
        return read(options.policy, read_policy)
    if options.planned and targets.stack:
        return rules_in(targets.stack.settings.lifecycle_policy(repository.name))
    try:
        return live_rules(repository)
    except RefusedError as error:
        reason = str(error)
    except ClientError as error:
        if not is_denied(error):
            raise
        reason = explain(error)
    note(f"it is not known what the lifecycle policy will do: {reason}")
    return None


def _refuse_losses(listings: Sequence[Listing]) -> None:
    if unknown := [listing.name for listing in listings if not listing.judged]:
        raise RefusedError(
            f"it is not known what will be kept in {', '.join(unknown)}; let the caller read the "
            "lifecycle policy, or give one with --policy"
        )
    if losing := [listing.name for listing in listings if listing.report.losses]:
        raise RefusedError(f"{', '.join(losing)} would lose images; see the warnings")
