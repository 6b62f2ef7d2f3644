"""The commands about a stack's repositories in AWS: adopt, verify."""

import fnmatch
from collections.abc import Sequence
from functools import cache

import click
from botocore.exceptions import BotoCoreError, ClientError

from container_images.aws.errors import RefusedError, explain
from container_images.aws.images import Repository
from container_images.aws.reference import Reference
from container_images.aws.session import Aws
from container_images.cli import targets as about
from container_images.cli.terminal import Cell, note, print_json, print_table, working
from container_images.stack.adopt import Adoption, adoption, to_yaml
from container_images.stack.declared import DeclaredStack
from container_images.stack.registry import pull_through_rules, registry_warnings
from container_images.stack.state import describe, live, repository_names, verification


@click.command("adopt")
@about.read_options
@click.option(
    "--all", "everything", is_flag=True, help="All repositories of the account and Region."
)
@click.option(
    "--filter",
    "pattern",
    metavar="PATTERN",
    help="With --all: only names that match, such as 'forms-*'.",
)
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
    targets = about.targets_of(repositories, stack, undeclared=True)
    if (everything and repositories) or not (everything or targets.references):
        raise click.UsageError("give either REPOSITORY, one or more, or --all")
    if pattern is not None and not everything:
        raise click.UsageError("--filter goes with --all")

    def read(reference: Reference) -> Adoption:
        aws, repository = _open(targets, reference)
        images = [*repository.images()] if stack else []
        return adoption(live(repository), targets.stack, images, _cache_prefixes(aws))

    pattern = "*" if pattern is None else pattern
    references = _matching(targets, pattern) if everything else targets.references
    results = about.read_each(references, "Reading the repositories", read)
    if as_json:
        objects = results.to_json(dict)
        print_json({"stack": stack, "yaml": to_yaml(results.values), "repositories": objects})
    else:
        _print_adoptions(results.values, targets.stack)
    if blocked := [adopted for adopted in results.values if adopted["blocks"]]:
        reasons = (f"{each['repository']} ({'; '.join(each['blocks'])})" for each in blocked)
        raise RefusedError(f"cannot be adopted: {', '.join(reasons)}")
    results.refuse_unread()


def _matching(targets: about.Targets, pattern: str) -> Sequence[Reference]:
    """The registry's repositories of these names. Raises RefusedError where there are none."""
    aws = targets.session(targets.stack.account.region if targets.stack else None)
    with working("Reading the registry"):
        names = fnmatch.filter(repository_names(aws.ecr()), pattern)
    if not names:
        raise RefusedError(f"no repository matches {pattern}; --all alone takes every one")
    references = [Reference(name=name) for name in names]
    return targets.stack.located(references) if targets.stack else references


def _open(targets: about.Targets, reference: Reference) -> tuple[Aws, Repository]:
    """A repository of the caller's account: ECR answers most of this to no other."""
    aws, repository = targets.open(reference)
    account, caller = aws.caller
    if reference.registry_id not in {None, account}:
        raise RefusedError(
            f"the repository is in account {reference.registry_id}, and you call as {caller}; "
            "sign in to the account that holds it"
        )
    return aws, repository


@cache
def _cache_prefixes(aws: Aws) -> list[str]:
    try:
        return [rule["ecrRepositoryPrefix"] for rule in pull_through_rules(aws.ecr())]
    except (ClientError, BotoCoreError) as error:
        note(f"pull-through caches are recognized by name alone: {explain(error)}")
        return []


def _print_adoptions(adoptions: Sequence[Adoption], stack: DeclaredStack | None) -> None:
    """The entries, to paste, and what comes with them: first what decides."""
    if entries := to_yaml(adoptions):
        project, name = (stack.project, stack.name) if stack else ("container-images", "STACK")
        text = f"# {project}:repositories, Pulumi.{name}.yaml\n{entries}"
        click.echo("".join(f"    {line}\n" for line in text.splitlines()))
    rows: list[tuple[str, Cell, str]] = []
    for key in ("blocks", "warnings", "loses", "changes"):
        style = {"blocks": "bold red", "changes": ""}.get(key, "yellow")
        for adopted in adoptions:
            texts = map(describe, adopted[key] or ()) if key == "changes" else adopted[key]
            rows += ((adopted["repository"], (key, style), text) for text in texts)
    print_table(("repository", "result", "detail"), rows, folds=("detail",))


@click.command("verify")
@about.read_options
def verify_command(*, repositories: Sequence[Reference], stack: str | None, as_json: bool) -> None:
    """Check a stack's guard in AWS, and compare AWS with its file.

    Without REPOSITORY, all repositories of the stack. Exit 1 if a claim does not hold or something
    is not as declared.
    """
    targets = about.targets_of(repositories, stack)
    declared = targets.stack
    if declared is None:
        raise click.UsageError("give --stack: verify compares AWS with its file")
    results = about.read_each(
        targets.references,
        "Reading the repositories",
        lambda reference: verification(live(_open(targets, reference)[1]), declared),
    )
    with working("Reading the registry"):
        warnings = [*registry_warnings(targets.session(declared.account.region), declared)]
    rows: list[tuple[str, Cell, str]] = []
    sound = []
    for reference, verified in results.of:
        if isinstance(verified, RefusedError):
            failures = [("FAILED", str(verified))]
        else:
            failures = [("DOES NOT HOLD", proof["failure"]) for proof in verified["proofs"]]
            failures += [("DIFFERS", describe(each)) for each in verified["differences"]]
        failures = [(what, text) for what, text in failures if text]
        rows += ((reference.name, (what, "bold red"), text) for what, text in failures)
        if not failures:
            sound.append((reference.name, ("ok", "green"), "as declared; all claims hold"))
    failed = list(dict.fromkeys(name for name, _, _ in rows))
    if as_json:
        report = {"stack": stack, "ok": not failed, "repositories": results.to_json(dict)}
        print_json({**report, "warnings": warnings})
    else:
        rows += (("the registry", ("warning", "yellow"), warning) for warning in warnings)
        print_table(("repository", "result", "detail"), [*rows, *sound], folds=("detail",))
    if failed:
        reason = f"verify failed for {', '.join(failed)}"
        raise RefusedError(f"{reason}; pulumi up --stack {stack} corrects what differs")
