"""What the components refuse of their inputs before they register anything in AWS."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pulumi

from container_images.policies.invalid_input import InvalidInputError, Problem, camel


def refuse_outputs(args: Mapping[str, Any], inputs: Collection[str] = ()) -> None:
    """Raise InvalidInputError, which names them, for Outputs where plain values are needed.

    `inputs` may be Outputs: no policy is made of them.
    """
    rule = "must be a plain value, no Output: policies are made of it, and previews show them whole"
    fix = "write the value itself, or take it from the configuration"
    plain = {key: value for key, value in args.items() if key not in inputs}
    if problems := [Problem(where=where, rule=rule, fix=fix) for where in _outputs_in(plain)]:
        raise InvalidInputError(problems)


def _outputs_in(value: Any, *where: str | int) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, pulumi.Output):
        # By the names that the inputs have in the schema.
        yield tuple(step if isinstance(step, int) else camel(step) for step in where)
    elif isinstance(value, dict | list | tuple):
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _outputs_in(item, *where, step)
