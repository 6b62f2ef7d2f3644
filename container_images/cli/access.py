"""The commands about who may do what: movers, seen."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import click

from container_images.access import account, movers, policy_files
from container_images.access.claims import guarded
from container_images.access.policy_files import Plan, read_plan, read_repository_policy
from container_images.access.seen import EVENTS, denied
from container_images.aws import reference
from container_images.aws.errors import RefusedError, faults_refused
from container_images.aws.reference import Reference
from container_images.aws.session import Aws
from container_images.aws.trail import NoTrailError, earliest
from container_images.cli import movers_output, seen_output
from container_images.cli.command import (
    file_option,
    json_option,
    print_object,
    read,
    reported,
    repository_of,
    trail_of,
    work,
)
from container_images.cli.terminal import working

app = click.Group()


def _repository_arn(text: str) -> str:
    with suppress(ValueError):
        if text.startswith("arn:") and repository_of(text).registry_id:
            return text
    raise ValueError(
        f"{text!r} is not the ARN of a repository: write arn:aws:ecr:REGION:ACCOUNT:repository/NAME"
    )


def _principal(text: str) -> str:
    if not text.startswith("arn:") and "." not in text:
        raise ValueError(f"{text!r} is not the ARN of a role or a user, or a service")
    return text


_plan_option: Final = partial(
    file_option,
    "--plan",
    help="All repositories of a stack with their planned policies, as container-images rehearse "
    "--plan-only --json prints them; - is standard input.",
)
_repository_argument: Final = click.argument(
    "repository",
    type=repository_of,
    metavar="[REPOSITORY]",
    required=False,
    help="Name, ARN or URI of the repository. Instead of --plan.",
)


@app.command("movers")
@_repository_argument
@_plan_option()
@click.option(
    "--repository-arn",
    type=_repository_arn,
    metavar="ARN",
    help="The repository, to run without AWS: give --repository-policy and "
    "--authorization-details too.",
)
@file_option(
    "--repository-policy",
    help="The repository policy, instead of the one in AWS: a planned one, or as aws ecr "
    "get-repository-policy prints it; - is standard input.",
)
@file_option(
    "--authorization-details",
    multiple=True,
    help="The roles and users of the account, as aws iam get-account-authorization-details prints "
    "them. Default: from AWS. May be repeated, for other accounts.",
)
@file_option(
    "--scp",
    multiple=True,
    help="A service control policy, attached at one level of the organization above the "
    "repository's account, as aws organizations describe-policy prints it: all statements of the "
    "level in one file. May be repeated, for each level.",
)
@click.option(
    "--only",
    type=_principal,
    metavar="ARN",
    multiple=True,
    help="Exit 1 if any other principal could move a tag. May be repeated.",
)
@json_option
def movers_command(
    repository: Reference | None,
    *,
    plan: Path | None,
    repository_arn: str | None,
    repository_policy: Path | None,
    authorization_details: Sequence[Path],
    scp: Sequence[Path],
    only: Sequence[str],
    as_json: bool,
) -> None:
    """List who could move a tag, and by which steps.

    And who could delete an image, or change the guard. Every role and user of the account counts,
    with all privilege-escalation paths: assuming roles, passing them to compute, changing trust
    policies and permissions, creating roles with a listed name.
    """
    if sum(it is not None for it in (repository, plan, repository_arn)) != 1:
        raise click.UsageError("give one of REPOSITORY, --plan and --repository-arn")
    if plan and repository_policy:
        raise click.UsageError("--plan has its own policies: leave --repository-policy out")
    if repository_arn and not (repository_policy and authorization_details):
        raise click.UsageError(
            "--repository-arn needs --repository-policy and --authorization-details"
        )
    with reported(str(repository or repository_arn or plan)):
        levels = [read(it, policy_files.read_service_control_policy) for it in scp]
        files = [read(it, account.read_account) for it in authorization_details]
        planned, aws = _asked(repository, plan, repository_arn, repository_policy)
        if not files:
            about = "the account's authorization details"
            with working("Reading the account's roles and users"), faults_refused(about):
                files = [account.account_of(aws.authorization_details())]
        asked = [guarded(arn, policy) for arn, policy in planned.policies.items()]
        with working("Looking for privilege-escalation paths") as counted:
            found = movers.findings(account.merged(files), asked, tuple(levels), counted)
            proofs = [movers.proofs(it) for it in asked]
    if as_json:
        told = [movers_output.movers_json(*it) for it in zip(found, proofs, strict=True)]
        print_object({"repositories": told} if plan else told[0], "", as_json=True)
    else:
        bare = [arn for arn, policy in planned.policies.items() if not policy.statements]
        movers_output.print_movers(found, proofs, bare)
    if only and not all(it.is_home for it in found):
        raise RefusedError(
            "it is not known who could move a tag: the roles and users of the repository's own "
            "account are missing; give --authorization-details of that account too"
        )
    if only and (others := movers.others(found, only)):
        raise RefusedError(
            f"{len(others)} besides those of --only could move a tag: {', '.join(others)}"
        )


def _asked(
    repository: Reference | None, plan: Path | None, arn: str | None, policy: Path | None
) -> tuple[Plan, Aws]:
    """The repositories that are asked about, with their policies; and the AWS that they are in."""
    if plan is not None:
        planned = read(plan, read_plan)
        return planned, Aws(planned.region)
    place = repository or reference.parse(arn or "")
    document = read(policy, read_repository_policy) if policy else None
    aws = Aws(place.region)
    arn = arn or aws.repository_arn(place.name, place.registry_id or aws.caller()[0])
    if document is None:
        # Without a policy a repository is open to whoever has the permission.
        with (
            work(place, session=lambda _: aws) as (_, there),
            faults_refused(f"the policy of {place}"),
        ):
            text = there.policy() or '{"Statement": []}'
            document = read_repository_policy(text)
    return Plan(policies={arn: document}), aws


@app.command("seen")
@_repository_argument
@_plan_option()
@file_option(
    "--repository-policy",
    help="The policy that is planned for REPOSITORY; - is standard input.",
)
@json_option
def seen_command(
    repository: Reference | None,
    *,
    plan: Path | None,
    repository_policy: Path | None,
    as_json: bool,
) -> None:
    """List principals whose past calls a planned policy denies.

    The calls are those of the last 90 days in CloudTrail.
    """
    if (plan is None) is (repository is None) or (repository is None) is not (
        repository_policy is None
    ):
        raise click.UsageError("give --plan, or REPOSITORY and --repository-policy")
    since = earliest()
    with reported(str(repository or "the plan's repositories")):
        planned, aws = _asked(repository, plan, None, repository_policy)
        account_id, _ = aws.caller()
        try:
            trail = trail_of(aws, account_id, planned.account_id)
            with working("Reading CloudTrail") as counted:
                events = (raw for it in counted(EVENTS) for raw in trail.events(it, since))
                found = denied(planned, events)
        except NoTrailError as error:
            raise RefusedError(str(error)) from None
    if as_json:
        print_object(seen_output.seen_json(planned, since, found), "", as_json=True)
    else:
        seen_output.print_seen(planned, since, found)
