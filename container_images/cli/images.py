"""The command `images`: which images there are, and what a lifecycle policy does with each."""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import click
from rich.filesize import decimal

from container_images.aws import reference
from container_images.aws.errors import RefusedError, refused
from container_images.aws.image import moment
from container_images.aws.in_use import InUse, add_running
from container_images.aws.reference import Reference
from container_images.aws.session import Aws
from container_images.cli import targets as about
from container_images.cli import terminal
from container_images.lifecycle.document import read_policy, rules_in
from container_images.lifecycle.listing import read_images, read_in_use, subject_of
from container_images.lifecycle.live import live_images, live_movable_tags, live_rules
from container_images.lifecycle.report import examine, losses, movable_tags_of
from container_images.lifecycle.simulation import Verdict
from container_images.policies.tag_convention import TagConvention


@click.command("images")
@about.read_options
@about.file_option("--policy", help="Simulate this lifecycle policy. Default: the live one.")
@click.option("--planned", is_flag=True, help="Simulate the policy of the settings. With --stack.")
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
@about.file_option(
    "--from", "listing", help="Offline: the images, as aws ecr describe-images has them."
)
@click.option(
    "--repository-arn",
    type=about.repository_of,
    metavar="ARN",
    help="With --from: their repository.",
)
@click.option(
    "--now", type=moment, metavar="ISO", help="With --from: the time to simulate. Default: now."
)
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

    The youngest comes first. What an index lists, and what is attached to an image, follows it.
    "built" is the earliest time in an image's unique tags. ECR counts the reading of an index as a
    pull; it is read only if something would expire. A narrow terminal shows fewer columns.
    """
    targets = about.targets_of(repositories, stack)
    named, is_live = targets.references, "live" in in_use
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
    used = _in_use(in_use, {each.region: None for each in named}, profile)
    rules_of_file = about.read(policy, read_policy) if policy else ()

    def report(reference: Reference) -> dict[str, Any]:
        rules, tags = rules_of_file, movable_tag or targets.movable_tags
        if listing:
            images = about.read(listing, lambda text: read_images(text, repository_arn))
            tags = tags or movable_tags_of(rules)
        else:
            _, repository = targets.open(reference)
            if planned and targets.stack:
                rules = rules_in(targets.stack.settings.lifecycle_policy(repository.name))
            rules = rules or live_rules(repository)
            images = live_images(repository, rules, datetime.now(UTC))
            tags = tags or live_movable_tags(repository, terminal.note, rules)
        verdicts, warnings = examine(rules, images, now or datetime.now(UTC), used, tags)
        shown = _folded([each for each in verdicts if each.action != "keep" or not expiring])
        return {
            "repository": images.reference.name or reference.name,
            "images": [_to_json(each, targets.convention) for each in shown],
            "warnings": warnings,
            "totals": _totals(verdicts),
        }

    references = [Reference(name=str(listing))] if listing else named
    results = about.read_each(references, "Reading the images", report)
    if as_json:
        terminal.print_json({"repositories": results.to_json(dict)})
    else:
        for value in results.values:
            _print(value)
    results.refuse_unread()
    losing = [value["repository"] for value in results.values if losses(value["warnings"])]
    if fail_on_loss and losing:
        raise RefusedError(f"{', '.join(losing)} would lose images, or it is not known: see above")


def _in_use(
    sources: Sequence[str], regions: Iterable[str | None], profiles: Sequence[str]
) -> InUse:
    """What runs, by the files and, if that is one of the sources, live.

    In the caller's account and in those of the profiles; in the Regions of the repositories, or in
    that of a profile that has one of its own.
    """
    in_use = InUse()
    for file in sources:
        if file != "live":
            in_use.images |= {image: set() for image in about.read(Path(file), read_in_use)}
    for profile, region in product((None, *profiles), regions if "live" in sources else ()):
        with refused(f"profile {profile}" if profile else ""):
            aws = Aws(region, profile)
            place = " in ".join(filter(None, (aws.caller[0], aws.region)))
            with terminal.working(f"Reading what runs in account {place}") as counted:
                add_running(in_use, aws, counted)
    return in_use


def _to_json(verdict: Verdict, convention: TagConvention) -> dict[str, Any]:
    image, built_at = verdict.image, convention.built_at(verdict.image.tags)
    why = str(verdict.decided_by or "no rule matches it")
    if verdict.goes_with:
        why = f"goes with {verdict.goes_with}, which {verdict.decided_by} takes"
    elif verdict.held_by:
        why = f"the index {verdict.held_by} lists it"
    return {
        "digest": image.digest,
        "tags": list(image.tags),
        "subject": subject_of(image),
        "builtAt": terminal.iso(built_at) if built_at else None,
        "pushedAt": terminal.iso(image.pushed_at),
        "lastPulledAt": terminal.iso(image.pulled_at) if image.pulled_at else None,
        "size": image.size,
        "action": verdict.action,
        "rule": verdict.rule,
        "shieldedBy": verdict.shielded_by,
        "why": why,
    }


def _folded(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """In their order; but what is attached to an image, or untagged in an index, follows it."""
    images = [verdict.image for verdict in verdicts]
    places: dict[str | None, int] = {image.digest: place for place, image in enumerate(images)}
    indexes = {child: image.digest for image in images for child in image.children or ()}

    def key(verdict: Verdict) -> tuple[int, bool, int]:
        image = verdict.image
        index = None if image.tags else indexes.get(image.digest)
        parents = (subject_of(image), index, image.digest)
        parent = next(parent for parent in parents if parent in places)
        return places[parent], parent != image.digest, places[image.digest]

    return sorted(verdicts, key=key)


def _totals(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Numbers of images and bytes. What is attached to an image is counted apart.

    Images share layers, so that at most this many bytes are freed. An index counts for nothing:
    its size, as ECR gives it, is that of its largest image.
    """
    actions = ("keep", "expire", "archive")
    counts, sizes = Counter[tuple[bool, str]](), Counter[str]()
    for verdict in verdicts:
        counts[bool(subject_of(verdict.image)), verdict.action] += 1
        sizes[verdict.action] += 0 if verdict.image.is_index else verdict.image.size
    images, attached = ({each: counts[kind, each] for each in actions} for kind in (False, True))
    return {
        "images": sum(images.values()),
        **images,
        "attachments": attached,
        "bytes": sizes.total(),
        "bytesFreed": sizes["expire"],
        "bytesArchived": sizes["archive"],
    }


def _print(listing: Mapping[str, Any]) -> None:
    """The totals, the warnings, and the images. On a terminal digests and commits are brief."""
    totals, attached = listing["totals"], listing["totals"]["attachments"]
    text = f"{totals['expire']:,} of {totals['images']:,} images expire"
    if totals["archive"]:
        text += f", {totals['archive']:,} are archived"
    if number := sum(attached.values()):
        lost = number - attached["keep"]
        text += f", {lost:,} of {number:,} signatures and attestations are not kept"
    text += f"; at most {decimal(totals['bytesFreed'])} of {decimal(totals['bytes'])} are freed"
    terminal.print_paragraph(f"{listing['repository']}: {text}")
    for warning in listing["warnings"]:
        terminal.print_paragraph(f"warning: {terminal.brief(warning['text'])}")
    shown = terminal.brief if sys.stdout.isatty() else str
    rows = []
    for image in listing["images"]:
        times = (image["builtAt"], image["pushedAt"], image["lastPulledAt"])
        built, pushed, pulled = ((time or "-").partition("T")[0] for time in times)
        rows.append(
            (
                shown(image["digest"]),
                shown("\n".join(image["tags"]) or "-"),
                *(built, pushed, decimal(image["size"]), pulled, image["action"]),
                shown(image["why"]),
            )
        )
    if rows:
        headings = ("image", "tags", "built", "pushed", "size", "pulled", "action", "why")
        print()  # noqa: T201 an empty line
        spare = ("built", "size", "pulled", "pushed")
        terminal.print_table(headings, rows, folds=("why",), spare=spare)
