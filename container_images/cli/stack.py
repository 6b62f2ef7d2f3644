"""The commands about a stack's repositories in AWS: adopt, verify."""

import fnmatch
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from typing import TYPE_CHECKING

import click
from botocore.exceptions import BotoCoreError, ClientError

from container_images.aws.errors import RefusedError, explain, is_denied
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.aws.session import Aws
from container_images.cli.command import json_option, note, print_json
from container_images.cli.targets import (
    Targets,
    read_each,
    repositories_argument,
    stack_option,
    targets_of,
)
from container_images.cli.terminal import working

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

    from container_images.lifecycle.listing import RepositoryImages
    from container_images.stack.adopt import Adoption
    from container_images.stack.state import State

_SignIn = Callable[[str | None, str | None], "tuple[Aws, ECRClient]"]
"""AWS by Region and account, as far as they are known."""


@click.command("adopt")
@repositories_argument
@stack_option
@click.option(
    "--all", "everything", is_flag=True, help="All repositories of the account and Region."
)
@click.option(
    "--filter",
    "pattern",
    metavar="PATTERN",
    help="With --all: only names that match, such as 'forms-*'.",
)
@json_option
def adopt_command(
    *,
    repositories: Sequence[Reference],
    stack: str | None,
    everything: bool,
    pattern: str | None,
    as_json: bool,
) -> None:
    """Print the settings that adopt existing repositories.

    With --stack also what its first update would change. Nothing is changed now. Exit 1 if a
    repository cannot be adopted: its entry is left out.
    """
    targets = targets_of(repositories, stack, undeclared=True)
    if (everything and repositories) or not (everything or targets.references):
        raise click.UsageError("give either REPOSITORY, one or more, or --all")
    if pattern is not None and not everything:
        raise click.UsageError("--filter goes with --all")
    # Here, and not above: no other command needs the settings.
    from container_images.cli import stack_output as output  # noqa: PLC0415
    from container_images.stack.adopt import adoption, to_yaml  # noqa: PLC0415

    sign_in, prefixes_of = cache(partial(_sign_in, targets)), cache(_cache_prefixes)
    references = _all(sign_in, pattern or "*") if everything else targets.references

    def adopt(reference: Reference) -> "Adoption":
        aws, repository, state = _read(reference, sign_in)
        images = _images(repository) if targets.stack else None
        return adoption(state, targets.stack, images, datetime.now(UTC), prefixes_of(aws))

    results = read_each(references, "Reading the repositories", adopt)
    if as_json:
        objects = results.to_json(lambda adopted: adopted.to_json())
        print_json({"stack": stack, "yaml": to_yaml(results.values), "repositories": objects})
    else:
        output.print_adoptions(results.values, targets.stack)
    if blocked := [adopted for adopted in results.values if adopted.blocks]:
        reasons = (f"{each.live.name} ({'; '.join(each.blocks)})" for each in blocked)
        raise RefusedError(f"cannot be adopted: {', '.join(reasons)}")
    results.refuse_unread()


@click.command("verify")
@repositories_argument
@stack_option
@json_option
def verify_command(*, repositories: Sequence[Reference], stack: str | None, as_json: bool) -> None:
    """Check a stack's guard in AWS, and compare AWS with its file.

    Without REPOSITORY, all repositories of the stack. Exit 1 if a claim does not hold or something
    is not as declared.
    """
    targets = targets_of(repositories, stack)
    if targets.stack is None:
        raise click.UsageError("give --stack: verify compares AWS with its file")
    from container_images.cli import stack_output as output  # noqa: PLC0415 as above
    from container_images.stack.registry import registry_warnings  # noqa: PLC0415
    from container_images.stack.verify import checklist, verify  # noqa: PLC0415

    declared, sign_in = targets.stack, cache(partial(_sign_in, targets))
    results = read_each(
        targets.references,
        "Reading the repositories",
        lambda reference: verify(_read(reference, sign_in)[2], declared),
    )
    with working("Reading the registry"):
        aws, _ = sign_in(declared.account.region, declared.account.id)
        warnings = [*registry_warnings(aws, declared.account, [*declared.settings.repositories])]
    left = [*checklist(declared, results.values)]
    failed = [
        reference.name
        for reference, verified in results.of
        if isinstance(verified, RefusedError) or not verified.ok
    ]
    if as_json:
        objects = results.to_json(lambda verified: verified.to_json())
        verified = {"stack": stack, "ok": not failed, "repositories": objects}
        print_json({**verified, "warnings": warnings, "checklist": left})
    else:
        output.print_verifications(results.of, declared.name, warnings, left)
    if failed:
        raise RefusedError(
            f"verify failed for {', '.join(failed)}; make up STACK={stack} corrects what differs"
        )


def _all(sign_in: _SignIn, pattern: str) -> list[Reference]:
    """The repositories whose names match. Raises RefusedError where there are none."""
    from container_images.stack.live import repository_names  # noqa: PLC0415 as above

    with working("Reading the registry"):
        _, ecr = sign_in(None, None)
        names = fnmatch.filter(repository_names(ecr), pattern)
    if not names:
        raise RefusedError(
            f"no repository matches {pattern}; list their names with aws ecr describe-repositories"
        )
    return [Reference(name=name) for name in names]


def _read(reference: Reference, sign_in: _SignIn) -> "tuple[Aws, Repository, State]":
    from container_images.stack.live import live  # noqa: PLC0415 as above

    aws, ecr = sign_in(reference.region, reference.registry_id)
    repository = Repository(ecr, reference)
    return aws, repository, live(repository)


def _sign_in(
    targets: Targets, region: str | None, registry_id: str | None
) -> "tuple[Aws, ECRClient]":
    """AWS where a repository is, as a caller of the account that holds it.

    Raises RefusedError where the caller is of another account: ECR answers most of what is asked
    here only to its own.
    """
    place = targets.stack.account if targets.stack else None
    aws = targets.session(region or (place.region if place else None))
    account_id, caller = aws.caller()
    holder = registry_id or (place.id if place else account_id)
    if holder != account_id:
        raise RefusedError(
            f"the repository is in account {holder}, and you call as {caller}; sign in to the "
            "account that holds it"
        )
    return aws, aws.ecr()


def _cache_prefixes(aws: Aws) -> list[str]:
    from container_images.stack.registry import cache_prefixes  # noqa: PLC0415 as above

    try:
        return cache_prefixes(aws.ecr())
    except (ClientError, BotoCoreError) as error:
        note(f"pull-through caches are recognized by name alone: {explain(error)}")
        return []


def _images(repository: Repository) -> "RepositoryImages | str":
    """A repository's images, or why they are not known.

    Without rules, no index is read: to ECR that would be a pull.
    """
    from container_images.lifecycle.live import live_images  # noqa: PLC0415 as above

    try:
        return live_images(repository, rules=())
    except ClientError as error:
        if not is_denied(error):
            raise
        return explain(error)
