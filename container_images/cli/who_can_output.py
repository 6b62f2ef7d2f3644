"""What `who-can` prints: JSON for machines, tables and paths for people."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from container_images.access.claims import Proof
from container_images.access.evaluation import Call
from container_images.access.paths import Path
from container_images.access.policy import account_in
from container_images.access.who_can import Findings, PrincipalPaths
from container_images.cli.terminal import print_table

NOT_MODELLED: Final = (
    "the account's root, which can do all of it: only a service control policy binds it",
    "service control policies other than those given with --scp, and resource control policies",
    "session policies, which only take away",
    (
        "service-linked roles, which their services alone assume: ECR's replication writes images "
        "past every repository policy"
    ),
    "the registry's own policy, which may allow others what no Deny stops",
    "pull-through caches, which fill repositories by themselves",
    (
        "whoever can change what is built or run where it is kept: code in CodeCommit, objects in "
        "S3, images in ECR, the revisions of a pipeline, the workflow of a trusted repository"
    ),
    (
        "whether anything runs as a role now: every principal that could take over such a build, "
        "function or instance counts"
    ),
    "policies of other resources, such as a function's, and Amazon Cognito",
    "federated users of sts:GetFederationToken that a policy names",
    "the organization's management account, and IAM Identity Center",
    "other accounts' own policies: their principals count with every permission",
)
"""What could add an ability or take one away, and is not looked at."""

Calls = tuple[Call, ...]

_VERBS: Final = {
    "moveTags": "move tags",
    "deleteImages": "delete images",
    "changeGuard": "change the guard",
}


def to_json(found: Findings, proofs: Sequence[Proof]) -> dict[str, Any]:
    """Everything that was found."""
    return {
        "repository": found.repository,
        "principals": [
            {
                "principal": row.principal,
                **{name: _ability_json(it, found.repository) for name, it in row.paths.items()},
            }
            for row in found.principals
        ],
        "proofs": [it.to_json() for it in proofs],
        "missing": found.missing,
        "notModelled": NOT_MODELLED,
    }


def _ability_json(path: Path | None, repository: str) -> dict[str, Any]:
    if path is None:
        return {"can": False, "steps": [], "assuming": []}
    *calls, last = path.calls
    steps = [asdict(call) for call in (*calls, replace(last, resource=repository))]
    return {"can": True, "steps": steps, "assuming": list(path.assuming)}


def print_findings(
    found: Sequence[Findings],
    proofs: Mapping[str, Sequence[Proof]],
    without_policy: Sequence[str] = (),
) -> None:
    """Who could do what, how, and what is not known. Once for repositories that are alike.

    `without_policy` are the ARNs of repositories that have none: said first.
    """
    console = Console(highlight=False, soft_wrap=False)
    for arn in without_policy:
        text = "has no repository policy: whoever has the IAM permission can do all of this"
        _say(console, f"{arn.partition(':repository/')[2]} {text}.")
    alike: dict[str, list[Findings]] = {}
    for it in found:
        alike.setdefault(it.like, []).append(it)
    for number, group in enumerate(alike.values()):
        names = [it.repository.partition(":repository/")[2] for it in group]
        console.print("\n" if number else "", end="")
        _print_one(console, _names(names), group[0])
        heading = "Claims about the roles that the policy exempts, over every principal"
        claims = map(str, proofs[group[0].repository])
        _print_lines(console, heading, claims, bullet="", hang=9)
    _print_lines(console, "Not modelled", NOT_MODELLED)
    console.print()
    _say(
        console,
        "Next: take the permission for the first call of each path from whoever should not have "
        "it, and run this again with --only ARN for each principal who should.",
        hang=0,
    )


def _print_one(console: Console, names: str, found: Findings) -> None:
    able = [it for it in found.principals if any(it.paths.values())]
    account = account_in(found.repository)
    console.print(Text(f"Who could do what to {names} of account {account}", style="bold"))
    if able:
        verbs = [verb.replace(" the ", " ") for verb in _VERBS.values()]
        print_table(["principal", *verbs], _rows(able, account), folds=["principal"])
    unable = len(found.principals) - len(able)
    who = "role or user" if unable == 1 else "roles and users"
    if unable:
        _say(console, f"{unable:,} {'other ' if able else ''}{who} could do none of it.")
    if not found.is_home:
        _say(console, f"No roles and users of account {account} were given: some of them may, too.")
    for arn in found.missing:
        _say(console, f"Named in the policy, but does not exist: {_short(arn, account)}")
    _print_chains(console, able, account)


def _rows(able: Iterable[PrincipalPaths], account: str) -> Iterator[tuple[str, ...]]:
    """A row for each principal; of several that differ in nothing but the name, one for all."""
    alike: dict[Any, list[PrincipalPaths]] = {}
    for mover in able:
        told = [tuple(_lines(_calls(mover, it), mover.principal, account)) for it in _VERBS]
        alike.setdefault(tuple(told), []).append(mover)
    for some in alike.values():
        names = [_short(it.principal, account) for it in some]
        if len(names) > _MOST_NAMES:
            names = [f"{names[0]} and {len(names) - 1:,} others"]
        for name in names:
            lengths = [len(_calls(some[0], it)) for it in _VERBS]
            yield name, *({0: "-", 1: "itself"}.get(it, f"in {it}") for it in lengths)


def _print_chains(console: Console, able: Sequence[PrincipalPaths], account: str) -> None:
    """The paths that take more than a call, once for all principals that go alike."""
    told: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for mover in able:
        ends: dict[tuple[Calls, str], dict[str, Call]] = {}
        for ability in _VERBS:
            calls = _calls(mover, ability)
            if len(calls) > 1:
                ends.setdefault((calls[:-1], calls[-1].principal), {})[ability] = calls[-1]
        for (way, _), last in ends.items():
            actions = _listing([it.action for it in last.values()], "or")
            end = replace(next(iter(last.values())), action=actions)
            lines = tuple(_lines((*way, end), mover.principal, account))
            abilities = _listing([_VERBS[it] for it in last])
            told.setdefault((abilities, lines), []).append(_short(mover.principal, account))
    if told:
        console.print(Text("\nPrivilege-escalation paths", style="bold"))
    for (abilities, lines), principals in told.items():
        _say(console, f"{_names(principals)} could {abilities}:")
        for line in lines:
            _say(console, line, indent="    ")


def _calls(mover: PrincipalPaths, ability: str) -> Calls:
    path = mover.paths[ability]
    return path.calls if path else ()


def _lines(path: Calls, beginner: str, account: str) -> Iterator[str]:
    at = beginner
    for number, step in enumerate(path, start=1):
        who = "" if step.principal == at else f"as {_short(step.principal, account)}, "
        at = step.principal
        yield f"{number} {who}{step.action} on {_short(step.resource, account)}"


def _names(principals: Sequence[str]) -> str:
    shown = principals[:_MOST_NAMES]
    more = len(principals) - len(shown)
    return _listing([*shown, f"{more:,} more"] if more else shown)


_MOST_NAMES: Final = 3


def _listing(words: Sequence[str], last: str = "and") -> str:
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def _print_lines(
    console: Console, heading: str, lines: Iterable[str], *, bullet: str = "- ", hang: int = 2
) -> None:
    for number, line in enumerate(lines):
        if number == 0:
            console.print(Text(f"\n{heading}", style="bold"))
        _say(console, f"{bullet}{line}", hang=hang)


def _say(console: Console, text: str, *, indent: str = "", hang: int = 4) -> None:
    """A paragraph. ARNs are not broken: who copies one needs all of it."""
    lines = textwrap.wrap(
        text,
        console.width,
        initial_indent=indent,
        subsequent_indent=indent + " " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    )
    console.print(Text("\n".join(lines)), soft_wrap=True)


def _short(arn: str, account: str) -> str:
    """An ARN of IAM without what is the same in every line."""
    prefix, _, rest = arn.partition(f":iam::{account}:")
    return rest if rest and prefix.count(":") == 1 else arn
