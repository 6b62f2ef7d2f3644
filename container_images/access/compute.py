"""Escalations to act as a role through compute, read from compute.toml."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

TABLE: Final = Path(__file__).with_suffix(".toml")

Call = tuple[str, str]
"""Action and resource pattern: IAM's, with `{partition}` and `{account}` to be filled in. It is `*`
where the action takes no resource."""


@dataclass(frozen=True, kw_only=True)
class Compute:
    """A way to have a service run what one likes as a role that it may assume."""

    service: str
    """As trust policies name it: codebuild.amazonaws.com."""
    passes: bool
    """Whether the role has to be passed: iam:PassRole on it."""
    calls: tuple[Call, ...]
    """All are needed."""
    source: bool = False
    """Whether the trust policy sees the ARN of the first call's resource as aws:SourceArn."""


@cache
def ways_through_compute() -> tuple[Compute, ...]:
    """Every way in the table, in its order."""
    return tuple(
        Compute(
            service=entry["service"],
            passes=entry["passes"],
            calls=tuple(map(_call, calls)),
            source=entry.get("source", False),
        )
        for entry in tomllib.loads(TABLE.read_text(encoding="utf-8"))["ways"]
        for calls in ([entry["all"]] if "all" in entry else [[it] for it in entry["any"]])
    )


def _call(text: str) -> Call:
    action, resource = text.split(" ")
    if resource != "*" and not resource.startswith("arn:"):
        resource = f"arn:{{partition}}:{action.partition(':')[0]}:*:{{account}}:{resource}"
    return action, resource
