"""What `who-can` prints: JSON for machines, a table and paths for people."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import click

from container_images.access.claims import Proof
from container_images.access.paths import Path
from container_images.access.policy import account_in
from container_images.access.who_can import Findings
from container_images.cli.terminal import print_paragraph, print_table

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

_VERBS: Final = {
    "moveTags": "move tags",
    "deleteImages": "delete images",
    "changeGuard": "change guard",
}
_MOST_NAMES: Final = 3


def to_json(findings: Findings, proofs: Sequence[Proof]) -> dict[str, Any]:
    """All that was found."""
    return {
        "repository": findings.repository,
        "principals": [
            {
                "principal": row.principal,
                **{name: _path_json(path, findings) for name, path in row.paths.items()},
            }
            for row in findings.principals
        ],
        "proofs": [proof.to_json() for proof in proofs],
        "missing": findings.missing,
        "notModelled": NOT_MODELLED,
    }


def _path_json(path: Path | None, findings: Findings) -> dict[str, Any]:
    steps = [call._asdict() for call in path.calls] if path else []
    for step in steps[-1:]:
        step["resource"] = findings.repository
    return {"can": bool(path), "steps": steps, "assuming": list(path.assuming) if path else []}


def print_findings(findings: Sequence[Findings], proofs: Mapping[str, Sequence[Proof]]) -> None:
    """Who could do what, how, and what is not known. Once for repositories that are alike."""
    alike: dict[str, list[str]] = {}
    for each in findings:
        alike.setdefault(each.like, []).append(each.repository.partition(":repository/")[2])
    for each in findings:
        if each.repository == each.like:
            _print_one(_names(alike[each.like]), each)
            _print_lines(
                "Claims about the roles that the policy exempts, over every principal",
                (
                    f"FALSE    {proof.failure}" if proof.failure else f"proved   {proof.claim}"
                    for proof in proofs[each.like]
                ),
            )
    _print_lines("Not modelled", (f"- {text}" for text in NOT_MODELLED))
    click.echo()
    print_paragraph(
        "Next: take the permission for the first call of each path from whoever should not have "
        "it, and run this again with --only ARN for each principal who should."
    )


def _print_lines(heading: str, lines: Iterable[str]) -> None:
    click.echo()
    for line in (heading, *lines):
        print_paragraph(line)


def _print_one(repositories: str, findings: Findings) -> None:
    account = account_in(findings.repository)
    rows: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    paths: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for principal, by_ability in findings.principals:
        name = _short(principal, account)
        calls = tuple(tuple(_lines(by_ability[verb], principal, account)) for verb in _VERBS)
        rows.setdefault(calls, []).append(name)
        for verb, lines in zip(_VERBS.values(), calls, strict=True):
            if len(lines) > 1:
                paths.setdefault((verb, lines), []).append(name)
    unable = len(rows.pop(((), (), ()), []))
    print_paragraph(f"Who could do what to {repositories} of account {account}")
    if rows:
        cells = [
            (name, *map(_length, calls))
            for calls, names in rows.items()
            # Many that differ in nothing but the name share a row.
            for name in (names if len(names) <= _MOST_NAMES else [_names(names)])
        ]
        print_table(["principal", *_VERBS.values()], cells, folds=["principal"])
    if unable:
        print_paragraph(f"Roles and users that could do none of it: {unable:,}")
    if not findings.is_home:
        print_paragraph(
            f"No roles and users of account {account} were given: some of them may, too."
        )
    for arn in findings.missing:
        print_paragraph(f"Named in the policy, but does not exist: {_short(arn, account)}")
    for (verb, lines), names in paths.items():
        _print_lines(f"{_names(names)} could {verb}:", lines)


def _lines(path: Path | None, beginner: str, account: str) -> Iterator[str]:
    """The calls, each with its caller where that is another than before."""
    for number, call in enumerate(path.calls if path else (), start=1):
        caller = "" if call.principal == beginner else f"as {_short(call.principal, account)}, "
        beginner = call.principal
        yield f"    {number} {caller}{call.action} on {_short(call.resource, account)}"


def _length(lines: Sequence[str]) -> str:
    return {0: "-", 1: "itself"}.get(len(lines), f"in {len(lines)}")


def _names(names: Sequence[str]) -> str:
    if len(names) > _MOST_NAMES:
        return f"{names[0]} and {len(names) - 1:,} others"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _short(arn: str, account: str) -> str:
    """The ARN of a role, a user or a repository without what is the same in every line."""
    prefix, _, rest = arn.partition(f":{account}:")
    return rest if ":iam:" in prefix or ":ecr:" in prefix else arn
