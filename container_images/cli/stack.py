"""The commands about a stack's repositories in AWS: adopt, verify."""

import fnmatch
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING

import click
from botocore.exceptions import ClientError

from container_images.aws.errors import RefusedError, explain, is_denied
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.aws.session import Aws
from container_images.cli.command import (
    REPOSITORY_HELP,
    json_option,
    print_object,
    reported,
    repositories_argument,
)
from container_images.cli.terminal import working

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

    from container_images.lifecycle.files import Listing
    from container_images.stack.declared import DeclaredStack
    from container_images.stack.probe import Probed
    from container_images.stack.state import State

    _Found = tuple[Repository, State, str]
    """A repository, its state, and the ARN of whoever calls."""
    _SignedIn = tuple[ECRClient, str, str]
    """A client, and the account and the ARN of whoever calls."""

app = click.Group()


@app.command("adopt")
@repositories_argument(help=f"{REPOSITORY_HELP}.")
@click.option(
    "--stack", metavar="NAME", help="Compare the repositories with what this stack would declare."
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="All repositories of the account and Region.",
)
@click.option(
    "--filter",
    "pattern",
    metavar="PATTERN",
    help="With --all: only names that match, such as 'forms-*'.",
)
@json_option
def adopt_command(
    repositories: Sequence[Reference],
    *,
    stack: str | None,
    everything: bool,
    pattern: str | None,
    as_json: bool,
) -> None:
    """Print the settings that adopt existing repositories.

    With --stack also what its first update would change. Nothing is changed now. Exit 1 if a
    repository cannot be adopted: its entry is left out.
    """
    if bool(repositories) is everything:
        raise click.UsageError("give either REPOSITORY, one or more, or --all")
    if pattern is not None and not everything:
        raise click.UsageError("--filter goes with --all")
    # Here, and not above: no other command needs the settings.
    from container_images.cli import stack_output as output  # noqa: PLC0415
    from container_images.stack import adopt  # noqa: PLC0415
    from container_images.stack.declared import declared  # noqa: PLC0415

    of_stack = declared(stack) if stack is not None else None
    adoptions = []
    there = _found(repositories, of_stack, pattern or "*")
    with working("Reading the images") as counted:
        for it, found, _ in counted(there):
            images = _images(it) if of_stack else None
            adoptions.append(adopt.adoption(found, of_stack, images, datetime.now(UTC)))
    if not adoptions:
        raise RefusedError(
            f"no repository matches {pattern or '*'}; list their names with aws ecr "
            "describe-repositories"
        )
    if as_json:
        told = [it.to_json() for it in adoptions]
        yaml = adopt.to_yaml(adoptions)
        print_object({"stack": stack, "yaml": yaml, "repositories": told}, "", as_json=True)
    else:
        output.print_adoptions(adoptions, stack)
    if blocked := [it for it in adoptions if it.blocks]:
        reasons = (f"{it.found.name} ({'; '.join(it.blocks)})" for it in blocked)
        raise RefusedError(f"cannot be adopted: {', '.join(reasons)}")


@app.command("verify")
@repositories_argument(help=f"{REPOSITORY_HELP}.")
@click.option(
    "--stack", metavar="NAME", required=True, help="The stack that declares the repositories."
)
@click.option(
    "--probe",
    is_flag=True,
    help="Also make the guarded calls, in forms that change nothing, and print which are "
    "denied to you. CloudTrail records them.",
)
@json_option
def verify_command(
    repositories: Sequence[Reference], *, stack: str, probe: bool, as_json: bool
) -> None:
    """Prove a stack's guard in AWS, and compare AWS with its file.

    Without REPOSITORY, all repositories of the stack. Exit 1 if a claim is not proved, something is
    not as declared, or a probe has another result than the guard intends.
    """
    from container_images.cli import stack_output as output  # noqa: PLC0415 as above
    from container_images.stack import probe as probing  # noqa: PLC0415
    from container_images.stack import verify  # noqa: PLC0415
    from container_images.stack.declared import declared  # noqa: PLC0415

    of_stack = declared(stack)
    asked = repositories or of_stack.repositories()
    of_stack.refuse_others(asked)
    there = _found(asked, of_stack)
    probes: dict[str, Sequence[Probed]] = {}
    caller = None
    if probe:
        with working("Probing") as counted:
            for it, found, caller_arn in counted(there):
                caller = probing.caller_in(verify.access_of(of_stack, found.name), caller_arn)
                with reported(str(it)):
                    probes[found.name] = [*probing.probe(it, found.arn, caller)]
    with working("Proving"):
        verified = verify.verify([found for _, found, _ in there], of_stack, probes)
    left = [*verify.checklist(of_stack, verified)]
    failing = [it.found.name for it in verified if not it.ok]
    if as_json:
        told = [it.to_json() for it in verified]
        object_ = {"stack": stack, "ok": not failing, "caller": caller, "repositories": told}
        print_object({**object_, "checklist": left}, "", as_json=True)
    else:
        output.print_verifications(verified, stack, caller, left)
    if failing:
        raise RefusedError(
            f"verify failed for {', '.join(failing)}; make up STACK={stack} corrects what differs"
        )


def _found(
    asked: Sequence[Reference], stack: "DeclaredStack | None", pattern: str = "*"
) -> "list[_Found]":
    """The repositories as they are in AWS; of none in particular, those whose names match."""
    from container_images.stack.live import every  # noqa: PLC0415 as above

    signed_in = cache(partial(_signed_in, stack))
    with working("Reading the repositories") as counted:
        if asked:
            return [_one(it, signed_in) for it in counted(asked)]
        with reported("the registry"):
            ecr, _, caller = signed_in(None)
            states = [*every(ecr, lambda name: fnmatch.fnmatchcase(name, pattern))]
    return [(Repository(ecr, Reference(name=it.name)), it, caller) for it in states]


def _one(reference: Reference, signed_in: "Callable[[str | None], _SignedIn]") -> "_Found":
    from container_images.stack.live import live  # noqa: PLC0415 as above

    with reported(str(reference)):
        ecr, account_id, caller = signed_in(reference.region)
        holder = reference.registry_id or account_id
        if holder != account_id:
            raise RefusedError(
                f"{reference.name} is in account {holder}, and you call as {caller}; "
                "sign in to the account that holds it"
            )
    repository = Repository(ecr, reference)
    with reported(repository.in_region):
        return repository, live(repository), caller


def _signed_in(stack: "DeclaredStack | None", region: str | None) -> "_SignedIn":
    """ECR in a Region, for whoever calls.

    Raises RefusedError where that is not the stack's account or Region.
    """
    if stack and region and region != stack.account.region:
        raise RefusedError(
            f"stack {stack.name} is in {stack.account.region}, and the repository in {region}; "
            "name a repository in the stack's Region"
        )
    aws = Aws(stack.account.region if stack else region)
    account_id, caller = aws.caller()
    if stack and account_id != stack.account.id:
        raise RefusedError(
            f"stack {stack.name} is in account {stack.account.id}, and you call as {caller}; sign "
            "in to the stack's account"
        )
    return aws.ecr(), account_id, caller


def _images(repository: Repository) -> "Listing | str":
    """A repository's images, or why they are not known. Without indexes where those are denied."""
    from container_images.lifecycle.live import live_listing  # noqa: PLC0415 as above

    with reported(str(repository)):
        for lists in (True, False):
            try:
                return live_listing(repository, lists=lists)
            except ClientError as error:
                if not is_denied(error):
                    raise
                reason = explain(error, str(repository))
        return reason
