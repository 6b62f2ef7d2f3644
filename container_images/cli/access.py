"""The commands about who may do what: who-can, would-deny."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from container_images.access import who_can
from container_images.access.account import account_of, merged
from container_images.access.claims import ABILITIES, Claim, Proof, Subject, guarded, prove
from container_images.access.policy import EVERYTHING, Policy, account_in, parse, policy_of
from container_images.aws.errors import RefusedError, refused
from container_images.aws.reference import Reference
from container_images.aws.trail import DAYS, earliest, lookup, refuse_other_account
from container_images.cli import targets as about
from container_images.cli.terminal import (
    iso,
    print_json,
    print_paragraph,
    print_section,
    print_table,
    working,
)
from container_images.policies.document import arn
from container_images.policies.invalid_input import parse_json
from container_images.policies.repository_policy import repository_policy as repository_policy_of
from container_images.stack.would_deny import EVENTS, denied


def _repository_arn(text: str) -> str:
    if not (text.startswith("arn:") and about.repository_of(text).registry_id):
        raise ValueError(
            f"{text!r} is no repository's ARN: write arn:aws:ecr:REGION:ACCOUNT:repository/NAME"
        )
    return text


def repository_policy_in(text: str) -> dict[str, Any]:
    """A repository policy, or what `aws ecr get-repository-policy` prints.

    Raises InvalidInputError with all errors in it.
    """
    document: dict[str, Any] = _unwrapped(text, "aws ecr get-repository-policy")
    parse(document)
    return document


def service_control_policy_in(text: str) -> Policy:
    """A service control policy, or what `aws organizations describe-policy` prints.

    A file stands for one level of the organization. AWS wants an Allow at each: a policy that only
    denies has AWS's own FullAWSAccess beside it. Raises InvalidInputError with all errors in it.
    https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html
    """
    policy = parse(_unwrapped(text, "aws organizations describe-policy"))
    if any(statement.allows for statement in policy.statements):
        return policy
    return policy_of((*EVERYTHING.statements, *policy.statements))


def _unwrapped(text: str, command: str) -> Any:
    """The document in a file, as such or as the command prints it."""
    what = "policy", f"print it with {command}"
    document = parse_json(text, *what)
    for key in ("policyText", "Policy", "Content"):
        document = document.get(key, document) if isinstance(document, dict) else document
    return parse_json(document, *what) if isinstance(document, str) else document


@click.command("who-can")
@about.read_options
@click.option(
    "--repository-arn",
    type=_repository_arn,
    metavar="ARN",
    help="The repository, to run without AWS: give --repository-policy and "
    "--authorization-details too.",
)
@about.file_option(
    "--repository-policy",
    help="The policy of --repository-arn, as aws ecr get-repository-policy prints it; - is "
    "standard input.",
)
@about.file_option(
    "--authorization-details",
    multiple=True,
    help="The roles and users of the account, as aws iam get-account-authorization-details prints "
    "them. Default: from AWS. May be repeated, for other accounts.",
)
@about.file_option(
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
    targets = about.targets_of(repositories, stack)
    offline = (repository_arn, repository_policy, authorization_details)
    if any(offline[:2]) and not all(offline):
        raise click.UsageError(
            "--repository-arn goes with --repository-policy and --authorization-details"
        )
    if bool(targets.references) is bool(repository_arn):
        raise click.UsageError("give REPOSITORY, --stack or --repository-arn")
    references = targets.references or [about.repository_of(repository_arn or "")]
    levels = tuple(about.read(file, service_control_policy_in) for file in scp)
    accounts = [about.read(file, account_of) for file in authorization_details]

    def subject(reference: Reference) -> Subject:
        if repository_arn and repository_policy:
            return guarded(repository_arn, about.read(repository_policy, repository_policy_in))
        return _subject_of(targets, reference)

    results = about.read_each(references, "Reading the policies", subject)
    if not accounts:
        what = "the account's authorization details"
        with working("Reading the account's roles and users"), refused(what):
            iam = targets.session(references[0].region).client("iam")
            pages = iam.get_paginator("get_account_authorization_details").paginate()
            accounts = [account_of(pages.build_full_result())]
    with working("Looking for privilege-escalation paths") as counted:
        findings = who_can.findings(merged(accounts), results.values, levels, counted)
    if as_json:
        by_arn = {name: each for each in findings for name in each.repositories}
        objects = results.to_json(lambda subject: _to_json(subject, by_arn[subject.arn]))
        print_json({"repositories": objects})
    else:
        subjects = {each.arn: each for each in results.values}
        for each in findings:  # once for repositories that are alike
            _print_findings(subjects[each.repositories[0]], each)
        print_section("Not modelled", [("-", NOT_MODELLED)])
        click.echo()
        print_paragraph(
            "Next: take the permission for the first call of each path from whoever should not "
            "have it, and run this again with --only ARN for each principal who should."
        )
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


def _proofs(repository: Subject) -> list[Proof]:
    """What holds of everybody, whether listed or not: nobody but those whom the policy exempts."""
    access = repository.access
    claims = [Claim.MOVED, Claim.ADMINISTERED, Claim.BOTH]
    # A claim about roles of which there are none says nothing.
    claims += [Claim.PUSHED] if access["pipeline_roles"] else []
    claims += [Claim.LOCKED_OUT] if access["administrator_roles"] else []
    return prove([repository], claims)


def _subject_of(targets: about.Targets, reference: Reference) -> Subject:
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


NOT_MODELLED: Final = (
    "whoever can change what is built or run where it is kept: code in CodeCommit, objects in S3, "
    "images in ECR, revisions of a pipeline, the workflow of a trusted repository; the account's "
    "root; what else docs/access.md lists"
)
"""What could add an ability or take one away, and is not looked at."""


def _to_json(subject: Subject, findings: who_can.Findings) -> dict[str, Any]:
    def path_json(path: who_can.Path | None) -> dict[str, Any]:
        steps = [call._asdict() for call in path.calls] if path else []
        for step in steps[-1:]:
            step["resource"] = subject.arn
        return {"can": bool(path), "steps": steps, "assuming": [*path.assuming] if path else []}

    return {
        "repository": subject.arn,
        "principals": [
            {"principal": principal, **{name: path_json(path) for name, path in paths.items()}}
            for principal, paths in findings.principals.items()
        ],
        "proofs": [proof.to_json() for proof in _proofs(subject)],
        "missing": findings.missing,
        "notModelled": [NOT_MODELLED],
    }


def _print_findings(subject: Subject, findings: who_can.Findings) -> None:
    """Who could do what, how, and what is not known."""
    repositories = _names(map(_name, findings.repositories))
    if not subject.policy.statements:
        print_paragraph(
            f"No repository policy in {repositories}: whoever has the IAM permission can do all of "
            "this."
        )
    account = subject.account
    # Those that differ in nothing but the name share a row, and their paths.
    rows: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for principal, paths in findings.principals.items():
        calls = tuple(tuple(_calls(path, principal, account)) for path in paths.values())
        rows.setdefault(calls, []).append(_short(principal, account))
    unable = len(rows.pop(((), (), ()), []))
    print_paragraph(f"Who could do what to {repositories} of account {account}")
    headings = ("principal", *(ABILITIES[ability] for ability in who_can.ABILITIES))
    if rows:
        lengths = {0: "-", 1: "itself"}
        cells = (
            (_names(names), *(lengths.get(len(path), f"in {len(path)}") for path in calls))
            for calls, names in rows.items()
        )
        print_table(headings, cells, folds=["principal"])
    if unable:
        print_paragraph(f"Roles and users that could do none of it: {unable:,}")
    if not findings.is_home:
        print_paragraph(
            f"No roles and users of account {account} were given: some of them may, too."
        )
    for missing in findings.missing:
        print_paragraph(f"Named in the policy, but does not exist: {_short(missing, account)}")
    for calls, names in rows.items():
        for ability, path in zip(headings[1:], calls, strict=True):
            if len(path) > 1:
                print_section(f"{_names(names)} could {ability}:", enumerate(path, start=1))
    print_section(
        "Claims about the roles that the policy exempts, over every principal",
        (
            ("FAILED", proof.failure) if proof.failure else ("holds", proof.claim)
            for proof in _proofs(subject)
        ),
    )


def _calls(path: who_can.Path | None, beginner: str, account: str) -> Iterator[str]:
    """The calls, each with its caller where that is another than before."""
    for call in path.calls if path else ():
        caller = "" if call.principal == beginner else f"as {_short(call.principal, account)}, "
        beginner = call.principal
        yield f"{caller}{call.action} on {_short(call.resource, account)}"


def _names(names: Iterable[str]) -> str:
    *others, last = dict.fromkeys(names)
    if others[2:]:  # more than three in all
        return f"{others[0]} and {len(others):,} others"
    return f"{', '.join(others)} and {last}" if others else last


def _name(repository_arn: str) -> str:
    return repository_arn.partition(":repository/")[2]


def _short(arn: str, account: str) -> str:
    """The ARN of a role, a user or a repository without what is the same in every line."""
    prefix, _, rest = arn.partition(f":{account}:")
    return rest if ":iam:" in prefix or ":ecr:" in prefix else arn


@click.command("would-deny")
@about.read_options
def would_deny_command(
    *, repositories: Sequence[Reference], stack: str | None, as_json: bool
) -> None:
    """List principals whose past calls a stack's guard would deny.

    The calls are those of the last 90 days in CloudTrail.
    """
    targets = about.targets_of(repositories, stack)
    if targets.stack is None:
        raise click.UsageError("give --stack: the guard is the one that its settings make")
    subjects = [_subject_of(targets, reference) for reference in targets.references]
    arns, since = [subject.arn for subject in subjects], earliest()
    with working("Reading CloudTrail") as counted:
        aws = targets.session(targets.stack.account.region)
        refuse_other_account(aws.caller[0], targets.stack.account.id)
        calls = denied(subjects, lookup(aws.client("cloudtrail"), counted(EVENTS), since))
    if as_json:
        print_json({"since": iso(since), "repositories": arns, "denied": calls})
    else:
        _print_denied(targets.stack.name, arns, since, calls)


def _print_denied(
    stack: str, arns: Sequence[str], since: datetime, calls: Sequence[Mapping[str, Any]]
) -> None:
    """What has been done that the guard will deny, a line for each principal and action."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for call in calls:
        groups.setdefault((call["principal"], call["action"]), []).append(call)
    print_paragraph(
        f"{_names(map(_name, arns))} of {stack}, back to {iso(since)}: "
        f"{len({principal for principal, _ in groups}) or 'nobody'} would be denied"
    )
    if not calls:
        print_paragraph(f"It is safe to go on: pulumi up --stack {stack}.")
    else:
        columns = ("principal", "what", "repository", "times", "last")
        rows = [
            (
                _short(principal, account_in(arns[0])),
                action.removeprefix("ecr:"),
                _names(_name(call["repository"]) for call in group),
                f"{sum(call['times'] for call in group):5,}",
                max(call["last"] for call in group)[:10],
            )
            for (principal, action), group in groups.items()
        ]
        print_table(columns, rows, folds=columns[:3])
        click.echo()
        print_paragraph(
            f"Next: in Pulumi.{stack}.yaml, add the roles that may push to "
            "additionalPipelineRoles, and those that may delete images or change the guard to "
            "administratorRoles; or give a cache or a signing tool a repository of its own, or let "
            f"the pipeline do its work. Run this again, then pulumi up --stack {stack}."
        )
    if any(":role/" not in principal for principal, _ in groups):
        print_paragraph(
            "Only roles can be named: users, the root and services would have to use one."
        )
    print_paragraph(
        f"CloudTrail has no events that are older than {DAYS} days, of other Regions, or of the "
        "last minutes."
    )
