"""The components as a provider whose errors are sentences, without Python's traceback."""

import pulumi
from pulumi.errors import InputPropertiesError
from pulumi.provider import ConstructResult
from pulumi.provider.experimental.analyzer import ComponentDefinition
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.provider.server import ComponentInitError

from container_images.policies.document import plain
from container_images.policies.invalid_input import InvalidInputError

from . import refuse_outputs


class Provider(ComponentProvider):
    """Constructs a component from what a program in another language sends."""

    def construct(
        self,
        name: str,
        resource_type: str,
        inputs: pulumi.Inputs,
        options: pulumi.ResourceOptions | None = None,
    ) -> ConstructResult:
        """The component. Raises the SDK's error for inputs, which the engine prints."""
        try:
            return super().construct(name, resource_type, inputs, options)
        except (InvalidInputError, ComponentInitError) as error:
            reason = error.inner if isinstance(error, ComponentInitError) else error
            if not isinstance(reason, pulumi.RunError | InvalidInputError):
                raise
        raise InputPropertiesError(str(reason), [])

    def map_inputs(
        self, inputs: pulumi.Inputs, component_def: ComponentDefinition
    ) -> pulumi.Inputs:
        """The inputs as the component takes them. Registry's are the keys of a stack file."""
        declared = component_def.inputs
        refuse_outputs(
            {key: inputs[key] for key in inputs if key in declared and declared[key].plain}
        )
        whole = plain(inputs)
        is_registry = component_def.name == "Registry"
        return whole if is_registry else super().map_inputs(whole, component_def)
