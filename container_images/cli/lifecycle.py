"""The commands about the images of a repository and its lifecycle policy: images, expiring."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from botocore.exceptions import ClientError

from container_images.aws import reference
from container_images.aws.errors import RefusedError, explain, is_denied
from container_images.aws.image import Image, moment
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.cli import lifecycle_output as output
from container_images.cli.command import (
    REPOSITORY_HELP,
    file_option,
    json_option,
    note,
    print_object,
    read,
    repository_of,
    work,
)
from container_images.cli.targets import Targets, print_results, read_each, reads_repositories
from container_images.cli.terminal import working
from container_images.lifecycle.document import Rule
from container_images.lifecycle.files import read_images, read_in_use, read_policy
from container_images.lifecycle.live import aws_preview as preview_of
from container_images.lifecycle.live import differences, live_listing, live_movable_tags, live_rules
from container_images.lifecycle.report import Report, examine, movable_tags_of
from container_images.lifecycle.simulation import simulate

app = click.Group()


def _moment(text: str) -> datetime:
    try:
        return moment(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a time such as 2026-01-31T12:00:00Z: {error}") from None


@app.command("expiring")
@click.argument(
    "repository",
    type=repository_of,
    metavar="[REPOSITORY]",
    required=False,
    help=f"{REPOSITORY_HELP}. Not with --policy and --images.",
)
@file_option("--policy", help="A lifecycle policy to simulate, without AWS.")
@file_option("--images", help="The images, as aws ecr describe-images prints them.")
@click.option(
    "--now",
    type=_moment,
    metavar="ISO",
    help="With files: the time to simulate. Default: now.",
)
@file_option(
    "--in-use",
    help="What is deployed: digests or image references, one a line or as a JSON list.",
)
@click.option(
    "--movable-tag",
    type=reference.tag,
    metavar="TAG",
    multiple=True,
    help="A tag that the pipeline moves. May be repeated. Default: the tags in the protective "
    "rules of the policy, and in the exclusion filters of a repository whose other tags are "
    "immutable; or else latest.",
)
@click.option(
    "--fail-on-loss",
    is_flag=True,
    help="Exit 1 if the image of a movable tag, or an image in use, would not be kept.",
)
@click.option(
    "--aws-preview", is_flag=True, help="Also run AWS's own preview, and print what differs."
)
@json_option
def expiring_command(
    repository: Reference | None,
    *,
    policy: Path | None,
    images: Path | None,
    now: datetime | None,
    in_use: Path | None,
    movable_tag: Sequence[str],
    fail_on_loss: bool,
    aws_preview: bool,
    as_json: bool,
) -> None:
    """Simulate a lifecycle policy, and warn of losses.

    Give REPOSITORY to simulate the policy that it has, or --policy and --images to run without AWS.
    """
    files = None if policy is None or images is None else (policy, images)
    if (repository is None) is (files is None) or (policy is None) is not (images is None):
        raise click.UsageError("give either REPOSITORY, or both --policy and --images")
    if files is not None and aws_preview:
        raise click.UsageError("--aws-preview needs REPOSITORY: AWS cannot preview files")
    if repository is not None and now is not None:
        raise click.UsageError("--now goes with --policy and --images")
    used = read(in_use, read_in_use) if in_use else []
    preview = None
    if files is not None:
        rules, listing = read(files[0], read_policy), read(files[1], read_images)
        movable = movable_tag or movable_tags_of(rules)
    elif repository is not None:
        with work(repository) as (_, there):
            with working(f"Reading {there}"):
                rules, listing = live_rules(there), live_listing(there)
            movable = movable_tag or live_movable_tags(
                there, lambda it: note(f"{it}; or name them with --movable-tag"), rules
            )
            if aws_preview:
                # AWS previews no policy that is not there; and without one nothing goes.
                with working("Waiting for AWS's preview"):
                    preview = preview_of(there) if rules else {}
    report = examine(rules, listing, now or datetime.now(UTC), used, movable)
    found = None if preview is None else differences(report.verdicts, preview)
    if as_json:
        told = report.to_json() | ({} if found is None else {"differences": found})
        print_object(told, "", as_json=True)
    else:
        output.print_expiring(str(repository or images), report, found)
    if fail_on_loss and report.loses:
        raise RefusedError(
            "the image of a movable tag, or an image in use, would not be kept; see the warnings"
        )


@app.command("images")
@reads_repositories()
@json_option
def images_command(*, targets: Targets, as_json: bool) -> None:
    """List the images, and what the lifecycle policy will do.

    The newest push comes first, and untagged images follow the index that lists them. "built" is
    the earliest time in an image's unique tags. ECR counts the reading of an index as a pull. A
    narrow terminal shows fewer columns; --json has everything, by the time of the push.
    """

    def listed(reference: Reference) -> tuple[Repository, Report, bool]:
        with targets.open(reference) as (_, repository):
            with working(f"Reading {repository}"):
                rules, images = _rules_if_known(repository), _images(repository)
            report = Report(verdicts=simulate(rules or (), images, datetime.now(UTC)))
            return repository, report, rules is not None

    print_results(
        read_each(targets.references, listed),
        lambda listing: output.images_json(listing[0], listing[1], judged=listing[2]),
        lambda listing: output.print_images(listing[0], listing[1], judged=listing[2]),
        as_json=as_json,
    )


def _images(there: Repository) -> Sequence[Image]:
    """All of them. With a note, where their indexes cannot be read, without what these list."""
    try:
        return live_listing(there).images
    except ClientError as error:
        if not (is_denied(error) and error.operation_name == "BatchGetImage"):
            raise
        reason = explain(error, str(there))
    note(f"it is not known which untagged images an index lists, and so keeps: {reason}")
    return live_listing(there, lists=False).images


def _rules_if_known(there: Repository) -> Sequence[Rule] | None:
    """The rules of the repository's policy. None, and a note, where they cannot be read."""
    try:
        rules = live_rules(there)
    except RefusedError as error:
        reason = str(error)
    except ClientError as error:
        if not is_denied(error):
            raise
        reason = explain(error, str(there))
    else:
        if not rules:
            note(f"{there} has no lifecycle policy: all images stay")
        return rules
    note(f"it is not known what the lifecycle policy will do: {reason}")
    return None
