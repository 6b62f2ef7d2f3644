"""The commands about who may do what: movers, seen, organization."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from policies.document import to_json
from policies.fault import InvalidInputError
from registry.aws import reference
from registry.aws.errors import RefusedError
from registry.aws.images import Repository
from registry.aws.reference import Reference
from registry.aws.session import Aws
from registry.aws.trail import NoTrailError, earliest
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
    trail_of,
)
from registry.terminal import tracked, working

if TYPE_CHECKING:
    from registry.access.account import Listing
    from registry.access.policy_files import Plan

app = typer.Typer()


def _repository_arn(text: str) -> str:
    if not text.startswith("arn:"):
        raise typer.BadParameter(f"{text!r} is no ARN of a repository")
    repository_of(text)
    return text


def _principal(text: str) -> str:
    if not text.startswith("arn:") and "." not in text:
        raise typer.BadParameter(f"{text!r} is no ARN of a role or a user, and no service")
    return text


_PLAN: Final = file_option(
    "All repositories of a stack, with the policies that it plans for them: what python "
    "-m rehearsal --plan-only --json prints; - is standard input."
)
PlanOption = Annotated[Path | None, _PLAN]
RequiredPlanOption = Annotated[Path, _PLAN]
OptionalRepository = Annotated[
    Reference | None,
    typer.Argument(
        parser=repository_of,
        metavar="REPOSITORY",
        help="Name, ARN or URI of the repository, instead of a plan's.",
        show_default=False,
    ),
]


@app.command(name="movers")
def movers_command(
    repository: OptionalRepository = None,
    plan: PlanOption = None,
    repository_arn: Annotated[
        str | None,
        typer.Option(
            parser=_repository_arn,
            metavar="ARN",
            help="The repository, without AWS: with --repository-policy and "
            "--authorization-details.",
            show_default=False,
        ),
    ] = None,
    repository_policy: Annotated[
        Path | None,
        file_option(
            "The repository's policy, instead of the live one: planned, or as aws ecr "
            "get-repository-policy prints it; - is standard input."
        ),
    ] = None,
    authorization_details: Annotated[
        list[Path] | None,
        file_option(
            "The account, instead of the live one: as aws iam get-account-authorization-details "
            "prints it. May be repeated, for other accounts."
        ),
    ] = None,
    scp: Annotated[
        list[Path] | None,
        file_option(
            "The service control policy that binds the repository's account at one level of the "
            "organization, as aws organizations describe-policy prints it: all statements of the "
            "level in one file. May be repeated, for each level."
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            parser=_principal,
            metavar="ARN",
            help="Exit 1 if anybody else could move a tag. May be repeated.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say who could move a tag, delete an image or change the guard, and by which steps.

    Every role and user of the account counts, with all privilege-escalation paths: assuming roles,
    passing them to compute, changing trust policies and permissions, making roles anew.
    """
    if sum(it is not None for it in (repository, plan, repository_arn)) != 1:
        raise typer.BadParameter("give one of REPOSITORY, --plan and --repository-arn")
    if plan and repository_policy:
        raise typer.BadParameter("--plan has its own policies: leave --repository-policy out")
    if repository_arn and not (repository_policy and authorization_details):
        raise typer.BadParameter(
            "--repository-arn is for files: give --repository-policy and --authorization-details"
        )
    # Here, and not above: no other command needs the solver.
    from registry.access import account, movers, movers_report, policy_files  # noqa: PLC0415
    from registry.access.proofs import guarded  # noqa: PLC0415

    with reported(str(repository or repository_arn or plan)):
        levels = [read(it, policy_files.read_service_control_policy) for it in scp or []]
        files = [read(it, account.read_account) for it in authorization_details or []]
        planned, aws = _asked(repository, plan, repository_arn, repository_policy)
        if not files:
            with working("Reading the account's roles and users"):
                files = [_account(aws)]
        asked = [guarded(arn, policy) for arn, policy in planned.policies.items()]
        with working("Looking for privilege-escalation paths"):
            found = movers.findings(account.merged(files), asked, tuple(levels))
            proofs = [movers.proofs(it) for it in asked]
    if as_json:
        told = [movers_report.movers_json(*it) for it in zip(found, proofs, strict=True)]
        print_object({"repositories": told} if plan else told[0], "", as_json=True)
    else:
        bare = [arn for arn, policy in planned.policies.items() if not policy.statements]
        movers_report.print_movers(found, proofs, bare)
    if only and not all(it.is_home for it in found):
        say(
            "the roles and users of the account that holds the repository are not given: who could "
            "move a tag is not known; give --authorization-details of that account too"
        )
        raise typer.Exit(FAILED)
    if only and (others := movers.others(found, only)):
        say(f"{len(others)} besides those of --only could move a tag: {', '.join(others)}")
        raise typer.Exit(FAILED)


def _asked(
    repository: Reference | None, plan: Path | None, arn: str | None, policy: Path | None
) -> "tuple[Plan, Aws]":
    """The repositories that are asked about, with their policies; and the AWS that they are in."""
    from registry.access.policy_files import Plan, read_plan, read_repository_policy  # noqa: PLC0415

    if plan is not None:
        planned = read(plan, read_plan)
        return planned, Aws(planned.region)
    place = repository or reference.parse(arn or "")
    document = read(policy, read_repository_policy) if policy else None
    aws = Aws(place.region)
    arn = arn or aws.repository_arn(place.name, place.registry_id or aws.caller()[0])
    if document is None:
        # Without a policy a repository is open to whoever has the permission.
        text = Repository(aws.ecr(), place).policy() or '{"Statement": []}'
        try:
            document = read_repository_policy(text)
        except InvalidInputError as error:
            raise RefusedError(f"the policy of {place}: {faults(error)}") from None
    return Plan(policies={arn: document}), aws


def _account(aws: Aws) -> "Listing":
    """The live account. Raises RefusedError where a part of it is missing."""
    from registry.access.account import account_of  # noqa: PLC0415

    try:
        return account_of(aws.authorization_details())
    except InvalidInputError as error:
        raise RefusedError(f"the account's authorization details: {faults(error)}") from None


@app.command(name="seen")
def seen_command(
    repository: OptionalRepository = None,
    plan: PlanOption = None,
    repository_policy: Annotated[
        Path | None,
        file_option("The policy that is planned for REPOSITORY; - is standard input."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say who has done what a planned policy would deny them, by CloudTrail."""
    if (plan is None) is (repository is None) or (repository is None) is not (
        repository_policy is None
    ):
        raise typer.BadParameter("give --plan, or REPOSITORY and --repository-policy")
    from registry.access import seen_output  # noqa: PLC0415
    from registry.access.policy import NotModelledError  # noqa: PLC0415
    from registry.access.seen import EVENTS, denied  # noqa: PLC0415

    since = earliest()
    with reported(str(repository or "the plan's repositories")):
        planned, aws = _asked(repository, plan, None, repository_policy)
        account, _ = aws.caller()
        try:
            trail = trail_of(aws, account, planned.account_id)
            steps = tracked(EVENTS, "Reading CloudTrail")
            found = denied(planned, (raw for name in steps for raw in trail.events(name, since)))
        except (NoTrailError, NotModelledError) as error:
            raise RefusedError(str(error)) from None
    if as_json:
        print_object(seen_output.seen_json(planned, since, found), "", as_json=True)
    else:
        seen_output.print_seen(planned, since, found)


@app.command(name="organization")
def organization_command(plan: RequiredPlanOption, as_json: JsonOption = False) -> None:
    """Print the two policies with which an AWS organization stops what no repository policy can.

    A service control policy and a resource control policy for the stack, each on one line as
    Organizations is to be sent it, and the proofs about them. Nothing is attached.
    """
    from registry.access.organization import policies_for  # noqa: PLC0415
    from registry.access.policy_files import read_plan  # noqa: PLC0415

    with reported("the plan"):
        planned = read(plan, read_plan)
        try:
            found = policies_for(planned)
        except InvalidInputError as error:
            raise RefusedError(faults(error)) from None
    told = {
        "serviceControlPolicy": found.service_control_policy,
        "resourceControlPolicy": found.resource_control_policy,
        "proofs": [it.to_json() for it in found.proofs],
    }
    lines = [to_json(found.service_control_policy), to_json(found.resource_control_policy)]
    print_object(told, "\n".join(lines), as_json=as_json)
    for it in found.proofs:
        if not as_json or not it.proved:
            say(str(it))
    if not all(it.proved for it in found.proofs):
        raise typer.Exit(FAILED)
