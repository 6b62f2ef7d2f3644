"""The command about lifecycle policies: expiring."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from policies.fault import InvalidInputError
from registry.aws.errors import RefusedError
from registry.aws.images import Repository
from registry.aws.reference import Reference
from registry.aws.session import Aws
from registry.command import (
    FAILED,
    JsonOption,
    faults,
    file_option,
    print_object,
    read,
    reported,
    repository_of,
    say,
)
from registry.lifecycle import output
from registry.lifecycle.document import Rule
from registry.lifecycle.files import Listing, moment, read_images, read_in_use, read_policy
from registry.lifecycle.live import Difference, differences, live_listing, live_rules
from registry.lifecycle.live import aws_preview as preview_of
from registry.lifecycle.report import examine

app = typer.Typer()


def _moment(text: str) -> datetime:
    try:
        return moment(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no time such as 2026-01-31T12:00:00Z: {error}"
        ) from None


@app.command(name="expiring")
def expiring_command(
    repository: Annotated[
        Reference | None,
        typer.Argument(
            parser=repository_of,
            metavar="REPOSITORY",
            help="Name, ARN or URI of the repository. Not with --policy and --images.",
            show_default=False,
        ),
    ] = None,
    policy: Annotated[
        Path | None, file_option("A lifecycle policy to try, instead of a live one.")
    ] = None,
    images: Annotated[
        Path | None, file_option("Its images, as aws ecr describe-images prints them.")
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
        file_option(
            "What is deployed: digests and image references, one to a line or a JSON list."
        ),
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
    as_json: JsonOption = False,
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
    with reported(str(repository or policy)):
        used = read(in_use, read_in_use) if in_use else []
        if files is not None:
            rules, listing = read(files[0], read_policy), read(files[1], read_images)
        elif repository is not None:
            there = Repository(Aws(repository.region).ecr(), repository)
            rules, listing = _live(there)
        report = examine(rules, listing, now or datetime.now(UTC), used)
        if aws_preview:
            # AWS previews no policy that is not there; and without one nothing goes.
            preview = preview_of(there.client, there.place) if rules else {}
            found = differences(report.verdicts, preview)
    if as_json:
        print_object(output.expiring_json(report, found), "", as_json=True)
    else:
        output.print_expiring(str(repository or images), report, found)
    if fail_on_loss and report.loses:
        say("the image of a movable tag, or one in use, would go; see the warnings")
        raise typer.Exit(FAILED)


def _live(repository: Repository) -> tuple[tuple[Rule, ...], Listing]:
    client, place = repository.client, repository.place
    try:
        return live_rules(client, place), live_listing(client, place)
    except InvalidInputError as error:
        raise RefusedError(f"the lifecycle policy of {repository}: {faults(error)}") from None
