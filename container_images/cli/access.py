"""The commands about who may do what: who-can, would-deny."""

from collections.abc import Sequence
from pathlib import Path

import click

from container_images.access import who_can
from container_images.access.account import account_of, merged, read_account
from container_images.access.claims import Subject, guarded
from container_images.access.policy import repository_policy_in, service_control_policy_in
from container_images.aws.errors import RefusedError, refused
from container_images.aws.reference import Reference
from container_images.aws.trail import earliest, lookup, refuse_other_account
from container_images.cli import who_can_output, would_deny_output
from container_images.cli.targets import (
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
from container_images.cli.terminal import iso, print_json, print_paragraph, working
from container_images.policies.document import arn
from container_images.policies.repository_policy import repository_policy as repository_policy_of
from container_images.stack.would_deny import EVENTS, denied


def _repository_arn(text: str) -> str:
    if not (text.startswith("arn:") and repository_of(text).registry_id):
        raise ValueError(
            f"{text!r} is no repository's ARN: write arn:aws:ecr:REGION:ACCOUNT:repository/NAME"
        )
    return text


@click.command("who-can")
@repositories_argument
@stack_option
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
    metavar="ARN",
    multiple=True,
    help="Exit 1 if any other principal could move a tag. May be repeated.",
)
@json_option
def who_can_command(
    *,
    repositories: Sequence[Reference],
    stack: str | None,
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
    targets = targets_of(repositories, stack)
    if bool(targets.references) is bool(repository_arn):
        raise click.UsageError("give REPOSITORY, --stack or --repository-arn")
    if bool(repository_arn) is not bool(repository_policy) or (
        repository_arn and not authorization_details
    ):
        raise click.UsageError(
            "--repository-arn goes with --repository-policy and --authorization-details"
        )
    levels = tuple(read(file, service_control_policy_in) for file in scp)
    accounts = [read(file, read_account) for file in authorization_details]
    references = targets.references
    given = None
    if repository_arn and repository_policy:
        given = guarded(repository_arn, read(repository_policy, repository_policy_in))
        references = [repository_of(repository_arn)]
    results = read_each(
        references, "Reading the policies", lambda each: given or _subject_of(targets, each)
    )
    if not accounts:
        about = "the account's authorization details"
        with working("Reading the account's roles and users"), refused(about):
            details = targets.session(references[0].region).authorization_details()
            accounts = [account_of(details)]
    with working("Looking for privilege-escalation paths") as counted:
        findings = who_can.findings(merged(accounts), results.values, levels, counted)
        proofs = {subject.arn: who_can.proofs(subject) for subject in results.values}
    if as_json:
        by_arn = {each.repository: each for each in findings}
        objects = results.to_json(
            lambda subject: who_can_output.to_json(by_arn[subject.arn], proofs[subject.arn])
        )
        print_json({"repositories": objects})
    else:
        for subject in results.values:
            if not subject.policy.statements:
                print_paragraph(
                    f"{subject.arn.partition(':repository/')[2]} has no repository policy: whoever "
                    "has the IAM permission can do all of this."
                )
        who_can_output.print_findings(findings, proofs)
    results.refuse_unread()
    if only and not all(each.is_home for each in findings):
        raise RefusedError(
            "it is not known who could move a tag: the roles and users of the repository's own "
            "account are missing; give --authorization-details of that account too"
        )
    if only and (others := who_can.others(findings, only)):
        raise RefusedError(
            f"{len(others)} besides those of --only could move a tag: {', '.join(others)}"
        )


def _subject_of(targets: Targets, reference: Reference) -> Subject:
    """A repository with the policy that the stack's settings make, or else with that in AWS."""
    if targets.stack:
        access = targets.stack.settings.access(reference.name, targets.stack.account)
        return guarded(
            arn(access, "ecr", f"repository/{reference.name}"), repository_policy_of(access)
        )
    aws, repository = targets.open(reference)
    with refused(f"the policy of {reference}"):
        # Without a policy a repository is open to whoever has the permission.
        policy = repository_policy_in(repository.policy() or '{"Statement": []}')
    return guarded(repository.arn(reference.registry_id or aws.caller[0]), policy)


@click.command("would-deny")
@repositories_argument
@stack_option
@json_option
def would_deny_command(
    *, repositories: Sequence[Reference], stack: str | None, as_json: bool
) -> None:
    """List principals whose past calls a stack's guard would deny.

    The calls are those of the last 90 days in CloudTrail.
    """
    targets = targets_of(repositories, stack)
    if targets.stack is None:
        raise click.UsageError("give --stack: the guard is the one that its settings make")
    subjects = [_subject_of(targets, reference) for reference in targets.references]
    arns, since = [subject.arn for subject in subjects], earliest()
    with working("Reading CloudTrail") as counted:
        aws = targets.session(targets.stack.account.region)
        refuse_other_account(aws.caller[0], targets.stack.account.id)
        calls = denied(subjects, lookup(aws.cloudtrail(), counted(EVENTS), since))
    if as_json:
        print_json({"since": iso(since), "repositories": arns, "denied": calls})
    else:
        would_deny_output.print_denied(targets.stack.name, arns, since, calls)
