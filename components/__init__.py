"""What the stack declares: its Pulumi components."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .registry import Registry

__all__ = ["Registry"]


def __getattr__(name: str) -> Any:
    """Registry, which a program imports from here. The other components need no settings."""
    if name == "Registry":
        from .registry import Registry  # noqa: PLC0415

        return Registry
    raise AttributeError(name)
