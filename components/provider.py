"""The components as a provider whose errors are sentences, without Python's traceback."""

from typing import Any

import pulumi
from pulumi.errors import InputPropertiesError, InputPropertyError
from pulumi.provider import ConstructResult
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.provider.server import ComponentInitError

from container_images.policies.invalid_input import InvalidInputError


class Provider(ComponentProvider):
    """Constructs a component from what a program in another language sends."""

    def construct(
        self,
        name: str,
        resource_type: str,
        inputs: pulumi.Inputs,
        options: pulumi.ResourceOptions | None = None,
    ) -> ConstructResult:
        """The component. Raises the SDK's errors for inputs, which the engine prints."""
        definition = self._component_defs[resource_type.rpartition(":")[2]]
        for key, declared in definition.inputs.items():
            if declared.plain and _has_output(inputs.get(key)):
                reason = "must be a plain value, not an output: a preview shows the policies whole"
                raise InputPropertyError(key, reason)
        try:
            return super().construct(name, resource_type, inputs, options)
        except ComponentInitError as error:
            if isinstance(error.inner, pulumi.RunError | InvalidInputError):
                raise InputPropertiesError(str(error.inner), []) from None
            raise


def _has_output(value: Any) -> bool:
    """Whether an output stands anywhere in a value."""
    if isinstance(value, dict | list):
        return any(map(_has_output, value.values() if isinstance(value, dict) else value))
    return isinstance(value, pulumi.Output)
