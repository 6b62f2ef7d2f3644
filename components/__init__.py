"""What the stack declares: its Pulumi components, and what they refuse of their inputs."""

from collections.abc import Iterator, Mapping
from typing import Any

import pulumi

from container_images.policies.invalid_input import Problem, refuse


def refuse_outputs(args: Mapping[str, Any]) -> None:
    """Raise InvalidInputError, which names them, for Outputs where plain values are needed."""
    rule = "must be a plain value, no Output: policies are made of it, and previews show them whole"
    fix = "write the value itself, or take it from the configuration"
    refuse(Problem(where=where, rule=rule, fix=fix) for where in _outputs_in(args))


def _outputs_in(value: Any, *where: str | int) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, pulumi.Output):
        yield where
    elif isinstance(value, dict | list | tuple):
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _outputs_in(item, *where, step)
