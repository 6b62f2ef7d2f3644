"""Services that act as a role, and the calls that cannot take over what runs as one.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-service.html

The table lists what is harmless, and not what is dangerous: AWS adds ways to run something as a
role every year.
"""

import re
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from container_images.access.patterns import covers, is_pattern, overlap
from container_images.policies.patterns import ANY

TABLE: Final[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
)
_SUFFIX: Final = ".amazonaws.com"


@dataclass(frozen=True, kw_only=True)
class Service:
    """What acts as a role that trusts a service of AWS."""

    name: str
    """As trust policies have it, without a Region: codebuild.amazonaws.com."""
    calls: tuple[tuple[str, str], ...]
    """Patterns of actions and of resources: whoever may make any such call, save the harmless ones,
    takes over what runs there."""
    elsewhere: tuple[tuple[str, str], ...]
    """The same, about resources that the trust policy does not see."""
    source: str = ""
    """The action that makes what its trust policies see as aws:SourceArn, which is the resource
    that is called. Empty where they see none, or another."""
    passers: tuple[str, ...]
    """First labels of other services that a role for this one may be passed to."""


@cache
def service_of(name: str) -> Service:
    """The service of that name. One that the table does not have acts by its own calls alone."""
    plain = plain_name(name)
    label = plain.removesuffix(_SUFFIX)
    entry = TABLE["services"].get(label, {})
    *_, own = labels = label.split(".")
    prefixes = entry.get("prefixes", [own])
    return Service(
        name=plain,
        calls=tuple((f"{prefix}:*", ANY) for prefix in prefixes) + _calls(entry, "calls"),
        elsewhere=_calls(entry, "elsewhere"),
        source=entry.get("source", ""),
        passers=(*entry.get("passers", ()), *labels[1:], *(it for it in prefixes if it != own)),
    )


def _calls(entry: dict[str, Any], key: str) -> tuple[tuple[str, str], ...]:
    return tuple(
        (action, resource) for action, resource in (it.split(" ") for it in entry.get(key, ()))
    )


def plain_name(service: str) -> str:
    """A service's name without a Region, and without the ending that some have in China."""
    return _REGION.sub("", service.removesuffix(".cn"))


_REGION: Final = re.compile(r"(?<=\.)[a-z]{2,4}(-[a-z]+)+-[0-9]+\.(?=amazonaws\.com$)")


def passed_to(service: str, named: Collection[str]) -> Iterator[str]:
    """What iam:PassedToService may be where a role for the service is passed.

    That is the service that is called, which need not be the one that assumes the role. AWS does
    not document what the others send. So any value that policies have counts, but for the services
    that are known to pass no role to this one.
    """
    entry = service_of(service)
    yield service
    yield from (f"{passer}{_SUFFIX}" for passer in entry.passers)
    for value in sorted(named):
        label = value.partition(".")[0].partition("-")[0]
        known = value.removesuffix(_SUFFIX) in TABLE["services"] or is_pattern(value)
        if label in entry.passers or (entry.passers and not known):
            yield value


@cache
def is_harmless(action: str) -> bool:
    """Whether an action, or every action of a pattern, takes nothing over.

    A read does not, as long as its answer carries no credentials; nor does what the table has.
    """
    prefix, _, name = action.lower().partition(":")
    handed_out = TABLE["hand-out"].get(prefix, "").lower().split()
    if any(overlap(it, name) for it in handed_out):
        return False
    harmless = f"{TABLE['reads']} {TABLE['harmless'].get(prefix, '')}".lower().split()
    return any(covers(it, name) for it in harmless)
