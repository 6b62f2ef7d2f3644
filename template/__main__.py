"""The registry that Pulumi.STACK.yaml describes."""

from container_images.components.registry import Registry

Registry.from_config()
