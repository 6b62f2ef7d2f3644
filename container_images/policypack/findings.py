"""Pure: a resource as the policies see it, and what they find."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from container_images.policies.invalid_input import Problem, key_at

Path = tuple[str | int, ...]
"""Where in a resource: keys and list positions, outermost first."""


UNKNOWN: Final = object()
"""A value that no preview can know, because the resource that it comes from does not exist yet."""


@dataclass(frozen=True)
class Unknown:
    """A value that decides, and is not known in this preview."""

    where: Path

    def __str__(self) -> str:
        """Where it stands."""
        return key_at(self.where)


def is_known(value: Any) -> bool:
    """Whether all of a value is known, whatever is in it."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return value is not UNKNOWN and all(map(is_known, parts))


Finding = Problem | Unknown
"""What a rule has to say about a resource. A rule that says nothing is kept."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource of any stack."""

    urn: str
    type: str
    name: str
    """Its name in the Pulumi program."""
    props: Mapping[str, Any]
    """Under Pulumi's names, in camelCase, with UNKNOWN for what is not known yet."""
    provider: str = ""
    """URN of the provider that makes it, empty where it is not told."""
    origins: Mapping[str, tuple[str, ...]]
    """By property: URNs of the resources that its value comes from."""

    @property
    def stack(self) -> str:
        """Name of the stack."""
        return self.urn.split("::")[0].rpartition(":")[2]

    @property
    def address(self) -> str:
        """PROJECT/STACK/NAME, which is how a configuration names one resource."""
        return f"{self.urn.split('::')[1]}/{self.stack}/{self.name}"

    def __str__(self) -> str:
        """The resource, for a message."""
        return f"{self.type.rpartition(':')[2]} {self.name}"
