"""The command `images`: which images there are, and what a lifecycle policy does with each."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import Final

import click

from container_images.aws import reference
from container_images.aws.errors import RefusedError, refused
from container_images.aws.image import moment
from container_images.aws.images import Repository
from container_images.aws.in_use import InUse, add_running
from container_images.aws.reference import Reference
from container_images.aws.session import Aws
from container_images.cli.images_output import print_report, report_json
from container_images.cli.targets import (
    Results,
    Targets,
    file_option,
    json_option,
    read,
    read_each,
    repositories_argument,
    repository_of,
    stack_option,
    targets_of,
)
from container_images.cli.terminal import note, print_json, working
from container_images.lifecycle.document import Rule, read_policy, rules_in
from container_images.lifecycle.in_use import read_in_use
from container_images.lifecycle.listing import read_images
from container_images.lifecycle.live import live_images, live_movable_tags, live_rules
from container_images.lifecycle.report import Report, examine, movable_tags_of
from container_images.policies.patterns import ANY

_LIVE: Final = "live"
"""The --in-use that is no file."""


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
    "--now", type=moment, metavar="ISO", help="With --from: the time to simulate. Default: now."
)
@json_option
def images_command(
    *,
    repositories: Sequence[Reference],
    stack: str | None,
    policy: Path | None,
    planned: bool,
    in_use: Sequence[str],
    profile: Sequence[str],
    movable_tag: Sequence[str],
    expiring: bool,
    fail_on_loss: bool,
    listing: Path | None,
    repository_arn: Reference | None,
    now: datetime | None,
    as_json: bool,
) -> None:
    """List images, and what the lifecycle policy does with each.

    The newest push comes first. What an index lists, and what is attached to an image, follows it.
    "built" is the earliest time in an image's unique tags. ECR counts the reading of an index as a
    pull; it is read only if something would expire. A narrow terminal shows fewer columns.
    """
    targets = targets_of(repositories, stack)
    named, is_live = targets.references, _LIVE in in_use
    for contradiction, sentence in (
        (named and listing, "--from has the images: leave REPOSITORY and --stack out"),
        (listing and not policy, "--from needs --policy"),
        ((repository_arn or now) and not listing, "--repository-arn and --now go with --from"),
        (is_live and listing, "--in-use live reads AWS, and --from is without"),
        (profile and not is_live, "--profile goes with --in-use live"),
        (planned and not targets.stack, "--planned needs --stack"),
        (planned and policy, "--policy and --planned are two policies: give one"),
    ):
        if contradiction:
            raise click.UsageError(sentence)
    used = _in_use(in_use, named, profile)
    given_rules = read(policy, read_policy) if policy else None

    def live(reference: Reference) -> Report:
        _, repository = targets.open(reference)
        rules = _rules(repository, targets, planned=planned) if given_rules is None else given_rules
        images = live_images(repository, rules or ())
        tags = movable_tag or targets.movable_tags
        if rules is not None and not tags:
            tags = [tag for tag in live_movable_tags(repository, note, rules) if ANY not in tag]
        return examine(rules, images, datetime.now(UTC), used, tags or ())

    if listing:
        images = read(listing, lambda text: read_images(text, repository_arn))
        tags = movable_tag or movable_tags_of(given_rules or ())
        report = examine(given_rules, images, now or datetime.now(UTC), used, tags)
        report = replace(report, name=report.name or str(listing))
        results = Results([(Reference(name=report.name), report)])
    else:
        results = read_each(named, "Reading the images", live)
    to_json = partial(report_json, convention=targets.convention, expiring=expiring)
    if as_json:
        print_json({"repositories": results.to_json(to_json)})
    else:
        for report in results.values:
            print_report(to_json(report), is_judged=report.judged)
    results.refuse_unread()
    losing = [report.name for report in results.values if report.losses or not report.judged]
    if fail_on_loss and losing:
        raise RefusedError(
            f"{', '.join(losing)} would lose images, or it is not known; see the warnings and notes"
        )


def _in_use(files: Sequence[str], named: Sequence[Reference], profiles: Sequence[str]) -> InUse:
    """What runs, by the files and, if that is one of them, live.

    In the caller's account and in those of the profiles; in the Regions of the repositories, or in
    that of a profile that has one of its own.
    """
    in_use, read_already = InUse(), set[tuple[str, str | None]]()
    for file in files:
        if file != _LIVE:
            in_use.uses += read(Path(file), read_in_use)
    regions = dict.fromkeys(reference.region for reference in named) if _LIVE in files else ()
    for profile, region in product((None, *profiles), regions):
        with refused(f"profile {profile}" if profile else ""):
            aws = Aws(region, profile)
            place = aws.caller[0], aws.region
            if place not in read_already:
                read_already.add(place)
                with working(f"Reading what runs in {' '.join(filter(None, place))}") as counted:
                    add_running(in_use, aws, counted)
    return in_use


def _rules(repository: Repository, targets: Targets, *, planned: bool) -> Sequence[Rule] | None:
    """The rules to simulate. None, and a note, where the live ones cannot be read."""
    if planned and targets.stack:
        return rules_in(targets.stack.settings.lifecycle_policy(repository.name))
    try:
        with refused():
            return live_rules(repository)
    except RefusedError as error:
        note(f"it is not known what the lifecycle policy will do: {error}")
        return None
