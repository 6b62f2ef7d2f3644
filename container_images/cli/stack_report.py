"""What `adopt` and `verify` read, and what they print of it."""

import fnmatch
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final

import click
from botocore.exceptions import BotoCoreError, ClientError

from container_images.aws.errors import RefusedError, explain
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.aws.session import Aws
from container_images.cli.command import note, print_json
from container_images.cli.targets import Targets, read_each
from container_images.cli.terminal import Cell, print_table, working
from container_images.lifecycle.live import live_images
from container_images.stack.adopt import Adoption, adoption, to_yaml
from container_images.stack.declared import DeclaredStack
from container_images.stack.differences import describe
from container_images.stack.registry import pull_through_rules, registry_warnings
from container_images.stack.state import State, live, repository_names
from container_images.stack.verify import verification


def adopt(targets: Targets, pattern: str | None, *, as_json: bool) -> None:
    """Adopt the repositories, or with a pattern all of the registry whose names match."""
    stack = targets.stack

    def read(reference: Reference) -> Adoption:
        aws, repository, state = _read(targets, reference)
        # Without rules, no index is read: to ECR that would be a pull.
        images = live_images(repository, rules=()) if stack else None
        return adoption(state, stack, images, _cache_prefixes(aws))

    references = targets.references if pattern is None else _all(targets, pattern)
    results = read_each(references, "Reading the repositories", read)
    if as_json:
        objects = results.to_json(dict)
        adopted = {"yaml": to_yaml(results.values), "repositories": objects}
        print_json({"stack": stack.name if stack else None, **adopted})
    else:
        print_adoptions(results.values, stack)
    if blocked := [adopted for adopted in results.values if adopted["blocks"]]:
        reasons = (f"{each['repository']} ({'; '.join(each['blocks'])})" for each in blocked)
        raise RefusedError(f"cannot be adopted: {', '.join(reasons)}")
    results.refuse_unread()


def verify(targets: Targets, stack: DeclaredStack, *, as_json: bool) -> None:
    """Verify the repositories and the registry of a stack."""
    results = read_each(
        targets.references,
        "Reading the repositories",
        lambda reference: verification(_read(targets, reference)[2], stack),
    )
    with working("Reading the registry"):
        aws = targets.session(stack.account.region)
        warnings = [*registry_warnings(aws, stack.account, [*stack.settings.repositories])]
    failed = [
        reference.name
        for reference, verified in results.of
        if isinstance(verified, RefusedError) or not verified["ok"]
    ]
    if as_json:
        objects = results.to_json(dict)
        verified = {"stack": stack.name, "ok": not failed, "repositories": objects}
        print_json({**verified, "warnings": warnings})
    else:
        print_verifications(results.of, warnings)
    if failed:
        raise RefusedError(
            f"verify failed for {', '.join(failed)}; pulumi up --stack {stack.name} corrects "
            "what differs"
        )


def _all(targets: Targets, pattern: str) -> Sequence[Reference]:
    """The repositories whose names match. Raises RefusedError where there are none."""
    with working("Reading the registry"):
        place = targets.stack.account if targets.stack else None
        aws = targets.session(place.region if place else None)
        names = fnmatch.filter(repository_names(aws.ecr()), pattern)
    if not names:
        raise RefusedError(
            f"no repository matches {pattern}; list their names with aws ecr describe-repositories"
        )
    holder = place.id if place else None
    return [Reference(name=name, registry_id=holder, region=aws.region) for name in names]


def _read(targets: Targets, reference: Reference) -> tuple[Aws, Repository, State]:
    """A repository of the caller's account: ECR answers most of this to no other."""
    aws, repository = targets.open(reference)
    account, caller = aws.caller
    if reference.registry_id not in {None, account}:
        raise RefusedError(
            f"the repository is in account {reference.registry_id}, and you call as {caller}; "
            "sign in to the account that holds it"
        )
    return aws, repository, live(repository)


@cache
def _cache_prefixes(aws: Aws) -> list[str]:
    try:
        return [rule["ecrRepositoryPrefix"] for rule in pull_through_rules(aws.ecr())]
    except (ClientError, BotoCoreError) as error:
        note(f"pull-through caches are recognized by name alone: {explain(error)}")
        return []


# --- Text ---------------------------------------------------------------------------------------


def print_adoptions(adoptions: Sequence[Adoption], stack: DeclaredStack | None) -> None:
    """The entries, to paste, and what comes with them: first what decides."""
    if entries := to_yaml(adoptions):
        project, name = (stack.project, stack.name) if stack else ("container-images", "STACK")
        text = f"# {project}:repositories, Pulumi.{name}.yaml\n{entries}"
        click.echo("".join(f"    {line}\n" for line in text.splitlines()))
    rows: list[tuple[str, Cell, str]] = []
    for key, style in _STYLES.items():
        for adopted in adoptions:
            texts = map(describe, adopted[key] or ()) if key == "changes" else adopted[key]
            rows += [(adopted["repository"], (key, style), text) for text in texts]
    print_table(("repository", "adoption", "what"), rows, folds=("what",))


_STYLES: Final = {"blocks": "bold red", "warnings": "yellow", "loses": "yellow", "changes": ""}


def print_verifications(
    verified: Sequence[tuple[Reference, dict[str, Any] | RefusedError]], warnings: Sequence[str]
) -> None:
    """The results, first what fails; what goes round the guard, and what is left to check."""
    rows = [(reference.name, *row) for reference, each in verified for row in _results(each)]
    rows.sort(key=lambda row: row[1] == _GOOD)
    print_table(("repository", "result", "detail"), rows, folds=("detail",))
    if warnings:
        click.echo("\nThe registry as a whole:")
        print_table(("warning",), [(warning,) for warning in warnings], folds=("warning",))
    click.echo("\ndocs/adoption.md lists what to check once in each account, which no command can.")


_GOOD: Final[Cell] = ("ok", "green")


def _results(verified: dict[str, Any] | RefusedError) -> Iterator[tuple[Cell, str]]:
    if isinstance(verified, RefusedError):
        yield ("FAILED", "bold red"), str(verified)
        return
    for proof in verified["proofs"]:
        if not proof["proved"]:
            yield ("DOES NOT HOLD", "bold red"), proof["failure"]
    for difference in verified["differences"]:
        yield ("DIFFERS", "bold red"), describe(difference)
    if verified["ok"]:
        yield _GOOD, f"all {len(verified['proofs'])} claims hold, and it is as declared"
