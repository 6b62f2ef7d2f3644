"""The commands about who may do what: who-can, would-deny."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import click

from container_images.access import account, movers, policy_files
from container_images.access.claims import guarded
from container_images.access.policy import Policy, parse
from container_images.access.policy_files import RepositoryPolicies, read_repository_policy
from container_images.access.would_deny import EVENTS, Denied, denied
from container_images.aws.errors import RefusedError, faults_refused
from container_images.aws.reference import Reference
from container_images.aws.trail import NoTrailError, earliest
from container_images.cli import who_can_output, would_deny_output
from container_images.cli.command import (
    file_option,
    json_option,
    print_object,
    read,
    reported,
    repository_of,
    trail_of,
)
from container_images.cli.targets import Targets, reads_repositories
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


@app.command("who-can")
@reads_repositories(optional=True)
@click.option(
    "--repository-arn",
    type=_repository_arn,
    metavar="ARN",
    help="The repository, to run without AWS: give --repository-policy and "
    "--authorization-details too.",
)
@file_option(
    "--repository-policy",
    help="The policy of --repository-arn, as aws ecr get-repository-policy prints it; - is "
    "standard input.",
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
def who_can(
    *,
    targets: Targets,
    repository_arn: str | None,
    repository_policy: Path | None,
    authorization_details: Sequence[Path],
    scp: Sequence[Path],
    only: Sequence[str],
    as_json: bool,
) -> None:
    """List who could move a tag, and by which steps.

    And who could delete an image, or change the guard. Every role and user of the account counts,
    with its privilege-escalation paths: assuming roles, passing them to compute, changing trust
    policies and permissions, creating roles with a listed name. With --stack, the repository
    policies are those that the stack's settings make.
    """
    if bool(targets.references) is (repository_arn is not None):
        raise click.UsageError("give REPOSITORY, --stack or --repository-arn")
    if (repository_arn is None) is not (repository_policy is None) or (
        repository_arn and not authorization_details
    ):
        raise click.UsageError(
            "--repository-arn goes with --repository-policy and --authorization-details"
        )
    levels = [read(file, policy_files.read_service_control_policy) for file in scp]
    listings = [read(file, account.read_account) for file in authorization_details]
    if repository_arn and repository_policy:
        policies = RepositoryPolicies(
            policies={repository_arn: read(repository_policy, read_repository_policy)}
        )
    else:
        policies = _policies(targets)
    with reported(str(policies)):
        if not listings:
            about = "the account's authorization details"
            with working("Reading the account's roles and users"), faults_refused(about):
                details = targets.session(policies.region).authorization_details()
                listings = [account.account_of(details)]
        subjects = [guarded(arn, policy) for arn, policy in policies.policies.items()]
        with working("Looking for privilege-escalation paths") as counted:
            findings = movers.findings(account.merged(listings), subjects, tuple(levels), counted)
            proofs = [movers.proofs(subject) for subject in subjects]
    if as_json:
        objects = [who_can_output.movers_json(*pair) for pair in zip(findings, proofs, strict=True)]
        print_object({"repositories": objects}, "", as_json=True)
    else:
        bare = [arn for arn, policy in policies.policies.items() if not policy.statements]
        who_can_output.print_movers(findings, proofs, bare)
    _refuse_others(findings, only)


def _refuse_others(findings: Sequence[movers.Findings], only: Sequence[str]) -> None:
    if only and not all(finding.is_home for finding in findings):
        raise RefusedError(
            "it is not known who could move a tag: the roles and users of the repository's own "
            "account are missing; give --authorization-details of that account too"
        )
    if only and (others := movers.others(findings, only)):
        raise RefusedError(
            f"{len(others)} besides those of --only could move a tag: {', '.join(others)}"
        )


def _policies(targets: Targets) -> RepositoryPolicies:
    """The policies that the stack's settings make, or those that the repositories have in AWS.

    Raises RefusedError for repositories of more than one account or Region.
    """
    policies: dict[str, Policy] = {}
    for reference in targets.references:
        arn, policy = _planned(targets, reference) if targets.stack else _live(targets, reference)
        policies[arn] = policy
    registries = {tuple(arn.split(":")[3:5]) for arn in policies}
    if len(registries) > 1:
        raise RefusedError(
            "the repositories are in more than one account or Region: run this once for each"
        )
    return RepositoryPolicies(
        policies=policies, stack=targets.stack.name if targets.stack else None
    )


def _planned(targets: Targets, reference: Reference) -> tuple[str, Policy]:
    from container_images.settings.planned import (  # noqa: PLC0415 pydantic takes its time
        planned_repository_policy,
    )

    stack = targets.stack
    assert stack is not None  # noqa: S101 the caller has looked
    place = stack.account
    arn = f"arn:{place.partition}:ecr:{place.region}:{place.id}:repository/{reference.name}"
    document = planned_repository_policy(stack.settings, reference.name, place)
    return arn, parse(document, what="repository policy", has_principal=True)


def _live(targets: Targets, reference: Reference) -> tuple[str, Policy]:
    with targets.open(reference) as (aws, repository), faults_refused(f"the policy of {reference}"):
        # Without a policy a repository is open to whoever has the permission.
        policy = read_repository_policy(repository.policy() or '{"Statement": []}')
        registry_id = reference.registry_id or aws.caller()[0]
        return aws.repository_arn(reference.name, registry_id), policy


@app.command("would-deny")
@reads_repositories(optional=True)
@json_option
def would_deny(*, targets: Targets, as_json: bool) -> None:
    """List principals whose past calls a stack's guard would deny.

    The calls are those of the last 90 days in CloudTrail.
    """
    if targets.stack is None:
        raise click.UsageError("give --stack: the guard is the one that its settings make")
    policies = _policies(targets)
    since = earliest()
    with reported("the stack's repositories"):
        calls = _denied_calls(targets, policies, since)
    if as_json:
        print_object(would_deny_output.would_deny_json(policies, since, calls), "", as_json=True)
    else:
        would_deny_output.print_would_deny(policies, since, calls)


def _denied_calls(targets: Targets, policies: RepositoryPolicies, since: datetime) -> list[Denied]:
    aws = targets.session(policies.region)
    account_id, _ = aws.caller()
    try:
        trail = trail_of(aws, account_id, policies.account_id)
    except NoTrailError as error:
        raise RefusedError(str(error)) from None
    with working("Reading CloudTrail") as counted:
        events = (raw for event in counted(EVENTS) for raw in trail.events(event, since))
        return denied(policies, events)
