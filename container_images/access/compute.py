"""The table of what takes over a role, and the services of AWS that act as one.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-service.html

The table lists what is harmless, and not what is dangerous: AWS adds ways to run something as a
role every year.
"""

import re
import tomllib
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from container_images.access.patterns import covers, is_pattern, overlap

TABLE: Final[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
)
_SUFFIX: Final = ".amazonaws.com"
_REGION: Final = re.compile(r"(?<=\.)[a-z]{2,4}(-[a-z]+)+-[0-9]+\.(?=amazonaws\.com$)")


class Service(NamedTuple):
    """What acts as a role that trusts a service of AWS."""

    name: str
    """As trust policies have it, without a Region: codebuild.amazonaws.com."""
    prefixes: list[str]
    """Of the actions of the service, and of those that run things there. Whoever may make any such
    call, save the harmless ones, takes over what runs there."""
    calls: list[str]
    """More calls that do: an action, and a pattern of the resources that it has to be about."""
    source: str
    """The action that makes what its trust policies see as aws:SourceArn, which is the resource
    that is called. Empty where they see none, or another."""
    passers: list[str]
    """First labels of other services that a role for this one may be passed to."""


@cache
def service_of(name: str) -> Service:
    """The service of that name. One that the table does not have acts by its own calls alone."""
    plain = _REGION.sub("", name.removesuffix(".cn"))
    label = plain.removesuffix(_SUFFIX)
    entry = TABLE["services"].get(label, {})
    *_, own = labels = label.split(".")
    prefixes = entry.get("prefixes", [own])
    others = [it for it in prefixes if it != own]
    passers = [*entry.get("passers", []), *labels[1:], *others]
    return Service(plain, prefixes, entry.get("calls", []), entry.get("source", ""), passers)


def passed_to(service: Service, named: Collection[str]) -> Iterator[str]:
    """What iam:PassedToService may be where a role for the service is passed.

    That is the service that is called, which need not be the one that assumes the role. AWS does
    not document what the others send. So any value that policies have counts, but for the services
    that are known to pass no role to this one.
    """
    yield service.name
    yield from (f"{passer}{_SUFFIX}" for passer in service.passers)
    for value in sorted(named):
        label = value.partition(".")[0].partition("-")[0]
        known = value.removesuffix(_SUFFIX) in TABLE["services"] or is_pattern(value)
        if label in service.passers or (service.passers and not known):
            yield value


@cache
def is_harmless(action: str) -> bool:
    """Whether an action, or every action of a pattern, takes nothing over.

    A read does not, as long as its answer carries no credentials; nor does what the table has.
    """
    prefix, _, name = action.lower().partition(":")
    handed_out = TABLE["hand-out"].get(prefix, "").lower().split()
    harmless = f"{TABLE['reads']} {TABLE['harmless'].get(prefix, '')}".lower().split()
    return any(covers(it, name) for it in harmless) and not any(
        overlap(it, name) for it in handed_out
    )
