"""What the commands tell: JSON objects for machines, text for people."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from registry import convention
from registry.expiry import Report, why
from registry.expiry_live import Difference
from registry.images import Image
from registry.moves import Move
from registry.resolve import Resolved
from registry.trail import DAYS, DELETE, EXPIRE, Change

if TYPE_CHECKING:
    from registry.policy_files import Plan
    from registry.seen import Denied


def move_json(move: Move, caller: str, reason: str | None) -> dict[str, Any]:
    """A move, and the line that records it."""
    return {
        "repository": move.repository,
        "tag": move.tag,
        "from": _image_json(move.before) if move.before else None,
        "to": _image_json(move.after),
        "moved": move.moved,
        "dryRun": move.dry_run,
        "caller": caller,
        "time": _iso(move.time),
        "reason": reason,
    }


def move_text(move: Move) -> str:
    """A move, in one line."""
    if move.before and move.before.digest == move.after.digest:
        return f"{move.tag} is on {move.after} already"
    verb = "would move" if move.dry_run else "moved"
    return f"{move.tag} {verb} from {move.before or 'no image'} to {move.after}"


def resolved_json(resolved: Resolved, uri: str) -> dict[str, Any]:
    """What a tag means."""
    return {
        "reference": f"{uri}@{resolved.image.digest}",
        "digest": resolved.image.digest,
        "tag": resolved.tag,
        "uniqueTag": str(resolved.unique_tag),
        "commit": resolved.commit,
        "builtAt": _iso(resolved.built_at),
        "tags": list(resolved.image.tags),
    }


def history_json(
    tag: str, since: datetime, changes: Sequence[Change], pipeline: frozenset[str]
) -> dict[str, Any]:
    """What became of a tag."""
    return {
        "tag": tag,
        "since": _iso(since),
        "events": [
            {
                "time": _iso(it.record.time),
                "event": it.record.event,
                "principal": it.record.principal,
                "session": it.record.session,
                "pipeline": it.record.principal in pipeline,
                "from": it.before,
                "to": it.after,
                "error": it.record.error,
            }
            for it in changes
        ],
    }


def print_history(
    title: str,
    since: datetime,
    changes: Sequence[Change],
    pipeline: frozenset[str],
    tags: Mapping[str, Sequence[str]],
) -> None:
    """What became of a tag, as a table. `tags` are those of the images, by digest."""
    from rich.console import Console  # noqa: PLC0415 no other command draws anything
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=False)
    events = "1 event" if len(changes) == 1 else f"{len(changes) or 'no'} events"
    console.print(Text(f"{title}, back to {_iso(since)}: {events}"))
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("time", "who", "what"):
        table.add_column(column, overflow="fold")
    for change in changes:
        record = change.record
        stranger = bool(pipeline) and record.principal is not None and record.event != EXPIRE
        mark = "! " if stranger and record.principal not in pipeline else ""
        table.add_row(
            Text(_iso(record.time)),
            Text(mark + _who(change), style="bold red" if mark else ""),
            Text("\n".join(_what(change, tags))),
        )
    if changes:
        console.print(table)


def _who(change: Change) -> str:
    record = change.record
    if record.event == EXPIRE:
        return "the lifecycle policy"
    name = (record.principal or "unknown").rpartition("/")[2]
    return f"{name}\n{record.session}" if record.session else name


def _what(change: Change, tags: Mapping[str, Sequence[str]]) -> list[str]:
    record = change.record
    lines = [f"from {_short(change.before, tags)}"]
    if record.event in _ENDS:
        lines.append(_ENDS[record.event])
    else:
        lines.append(f"to   {_short(change.after, tags)}")
    return [f"refused: {record.error}", *lines] if record.error else lines


_SHORT_SHA: Final = 8
"""Digits of a commit in a table: the lines of a build's log are 80 characters long."""

_ENDS: Final = {DELETE: "deleted", EXPIRE: "expired"}


def _short(digest: str | None, tags: Mapping[str, Sequence[str]]) -> str:
    """An image by its unique tag where it still has one, with no more of the commit than needed."""
    if digest is None:
        return "?"
    tag = convention.unique_tag(tags.get(digest, ()))
    return str(replace(tag, sha=tag.sha[:_SHORT_SHA])) if tag else digest[:19]


def expiring_json(report: Report, differences: Sequence[Difference] | None) -> dict[str, Any]:
    """What becomes of the images, and where AWS's preview says something else, if it was asked."""
    told = report.to_json()
    if differences is not None:
        told["differences"] = [
            {"digest": it.digest, "ours": it.ours, "aws": it.aws} for it in differences
        ]
    return told


def print_expiring(title: str, report: Report, differences: Sequence[Difference] | None) -> None:
    """What becomes of the images, those that go first; totals; what to beware of."""
    from rich.console import Console  # noqa: PLC0415 see above
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=False)
    totals = report.totals()
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("image", "tags", "pushed", "what", "why"):
        table.add_column(column, overflow="fold", no_wrap=column in {"image", "pushed", "what"})
    for it in sorted(report.verdicts, key=lambda it: it.action == "keep"):
        table.add_row(
            Text(_brief(it.image.digest)),
            Text("\n".join(map(_brief, it.image.tags))),
            Text(f"{it.image.pushed_at:%Y-%m-%d}"),
            Text(it.action, style="" if it.action == "keep" else "bold red"),
            Text(_brief(why(it))),
        )
    if report.verdicts:
        console.print(table)
        console.print()
    archived = f", {totals['archive']:,} are archived" if totals["archive"] else ""
    console.print(
        Text(
            f"{title}: of {totals['images']:,} images {totals['expire']:,} go{archived} and "
            f"{totals['keep']:,} stay; at most {_size(totals['bytesFreed'])} of "
            f"{_size(totals['bytes'])} are freed"
        )
    )
    for caution in report.cautions:
        console.print(Text(f"warning: {_brief(caution.text)}"))
    if differences is not None:
        for each in differences:
            console.print(
                Text(f"AWS's preview: {_brief(each.digest)}: {each.aws}; here: {each.ours}")
            )
        if not differences:
            console.print(Text("AWS's preview says the same."))


def seen_json(plan: "Plan", since: datetime, denied: "Sequence[Denied]") -> dict[str, Any]:
    """What has been done that the plan would deny."""
    return {
        "since": _iso(since),
        "repositories": list(plan.policies),
        "denied": [
            {
                "principal": it.principal,
                "session": it.session,
                "action": it.action,
                "repository": it.repository,
                "times": it.times,
                "last": _iso(it.last),
            }
            for it in denied
        ],
    }


def print_seen(plan: "Plan", since: datetime, denied: "Sequence[Denied]") -> None:
    """What has been done that the plan would deny, a line for each principal and action."""
    from rich.console import Console  # noqa: PLC0415 see above
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=False)
    groups: dict[tuple[str, str], list[Denied]] = {}
    for it in denied:
        groups.setdefault((it.principal, it.action), []).append(it)
    principals = {it.principal for it in denied}
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in ("principal", "what", "repository"):
        table.add_column(column, overflow="fold", no_wrap=column == "what")
    table.add_column("times", justify="right", no_wrap=True)
    table.add_column("last", width=len("2026-01-31"))
    own = f"{plan.account_id}:"
    for calls in sorted(groups.values(), key=lambda calls: -sum(it.times for it in calls)):
        name = calls[0].repository.partition(":repository/")[2]
        table.add_row(
            # Without "arn:aws:iam::" and the account that holds the repository, for the room.
            Text(calls[0].principal.split(":", maxsplit=4)[-1].removeprefix(own)),
            Text(calls[0].action.removeprefix("ecr:")),
            Text(name if len(calls) == 1 else f"{len(calls)} repositories"),
            Text(f"{sum(it.times for it in calls):,}"),
            Text(f"{max(it.last for it in calls):%Y-%m-%d}"),
        )
    console.print(
        Text(f"{plan}, back to {_iso(since)}: {len(principals) or 'nobody'} would be denied")
    )
    if denied:
        console.print(table)
        console.print()
    for line in _next(plan, denied):
        console.print(Text(line))


def _next(plan: "Plan", denied: "Sequence[Denied]") -> Iterator[str]:
    """What to do about it."""
    stack = plan.stack or "STACK"
    if denied:
        yield (
            f"Next: in Pulumi.{stack}.yaml, name a role that is to push among the "
            "additionalPipelineRoles, one that is to delete or to change the guard among the "
            "administratorRoles; or give a cache or a signing tool a repository of its own, or let "
            f"the pipeline do its work. Ask again, then make up STACK={stack}."
        )
    else:
        yield f"It is safe to go on: make up STACK={stack}."
    if any(":role/" not in it.principal for it in denied):
        yield "Only roles can be named: users, the root and services would have to use one."
    yield (
        f"CloudTrail tells nothing of what is older than {DAYS} days, of other Regions, or of the "
        "last minutes."
    )


def tracked(steps: Sequence[str], what: str) -> Iterable[str]:
    """The steps, one by one, with a bar on standard error where that is a terminal."""
    from rich.console import Console  # noqa: PLC0415 see above
    from rich.progress import track  # noqa: PLC0415

    console = Console(stderr=True)
    return track(steps, what, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def working(what: str) -> Iterator[None]:
    """A sign on standard error that work goes on, where that is a terminal."""
    from rich.console import Console  # noqa: PLC0415 see above

    console = Console(stderr=True)
    with console.status(what) if console.is_terminal else nullcontext():
        yield


def _brief(text: str) -> str:
    """Digests and commits by their first digits."""
    return re.sub(r"\b(sha256:[0-9a-f]{8}|[0-9a-f]{8})[0-9a-f]{8,}\b", r"\1", text)


def _size(number: int) -> str:
    """Bytes, in the unit that fits."""
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < _THOUSAND:
            return f"{amount:.3g} {unit}"
        amount /= _THOUSAND
    return f"{amount:,.3g} TB"


_THOUSAND: Final = 1000


def _image_json(image: Image) -> dict[str, Any]:
    return {"digest": image.digest, "tags": list(image.tags)}


def _iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
