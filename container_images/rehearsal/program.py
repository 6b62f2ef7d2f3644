"""Run a Pulumi program under Pulumi's mocks, and see all that it registers."""

import asyncio
import contextvars
import runpy
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from unittest.mock import patch

import pulumi
from pulumi.runtime import MockCallArgs, MockResourceArgs

from container_images.stack.declared import DeclaredStack


@dataclass(kw_only=True)
class Resource:
    """A resource or component, as the program declares it."""

    type: str
    name: str
    parent: str | None
    """Name of the component it belongs to."""
    id: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)
    """Under Pulumi's names, in camelCase."""
    protect: bool
    retain_on_delete: bool
    options: pulumi.ResourceOptions = field(compare=False)
    """As the program gives them."""


class Update(NamedTuple):
    """What a run of the program registered."""

    resources: list[Resource]
    """In the order of the program: each component, and its children right behind it."""
    outputs: dict[str, Any]
    """Empty in a preview in which they are not known."""


def run(stack: DeclaredStack, cloud: pulumi.runtime.Mocks, *, preview: bool = False) -> Update:
    """Run the stack's program, as `execute` does, with the modules that are beside it."""

    def program() -> None:
        runpy.run_path(str(stack.directory / "__main__.py"), run_name="__main__")

    with patch.object(sys, "path", [str(stack.directory), *sys.path]):
        return execute(program, stack, cloud, preview=preview)


def execute(
    program: Callable[[], object],
    stack: DeclaredStack,
    cloud: pulumi.runtime.Mocks,
    *,
    preview: bool = False,
) -> Update:
    """Run a Pulumi program with the configuration of a stack.

    `cloud` creates the resources and answers the invokes. Whatever it raises, or the program does,
    is raised here. Runs do not see each other: all of the SDK's state is in context variables.
    """
    recorder = _Recorder(cloud)
    outputs: dict[str, Any] = {}

    def update() -> None:
        pulumi.runtime.register_stack_transformation(recorder.record)
        program()
        root: Any = pulumi.runtime.get_root_resource()
        pulumi.Output.from_input(root.outputs).apply(outputs.update)

    def with_mocks() -> None:
        pulumi.runtime.reset_options()
        pulumi.runtime.set_mocks(recorder, stack.project, stack.name, preview)
        pulumi.runtime.set_all_config(dict(stack.config))
        pulumi.runtime.test(update)()

    with (
        # Mocks want an event loop in their thread, and would leave behind one that nobody closes.
        closing(asyncio.new_event_loop()) as mock_loop,
        # One thread, so that they are called one by one, in order.
        ThreadPoolExecutor(1, initializer=asyncio.set_event_loop, initargs=(mock_loop,)) as mocks,
        asyncio.Runner() as runner,
    ):
        runner.get_loop().set_default_executor(mocks)
        # What goes wrong is raised here, once.
        runner.get_loop().set_exception_handler(lambda *_: None)
        contextvars.copy_context().run(with_mocks)
    return Update(list(recorder.declared.values()), outputs)


class _Recorder(pulumi.runtime.Mocks):
    """Keeps what the cloud is told, and beside it the options, which mocks are not told."""

    def __init__(self, cloud: pulumi.runtime.Mocks) -> None:
        self._cloud = cloud
        self.declared: dict[tuple[str, str], Resource] = {}
        """By type and name."""

    def record(self, args: pulumi.ResourceTransformationArgs) -> None:
        key, options = (args.type_, args.name), args.opts
        if key in self.declared:
            # The engine would take two whose parents are of different types. Mocks cannot tell them
            # apart, as they are not told the parent.
            raise ValueError(
                f"the program registers {args.type_} {args.name!r} twice; give each its own name"
            )
        parent = options.parent and self.declared.get(
            (options.parent.pulumi_resource_type, options.parent.pulumi_resource_name)
        )

        def inherited(option: str) -> bool:
            own = getattr(options, option)
            return bool(getattr(parent, option, False) if own is None else own)

        self.declared[key] = Resource(
            type=args.type_,
            name=args.name,
            parent=parent.name if parent else None,
            protect=inherited("protect"),
            retain_on_delete=inherited("retain_on_delete"),
            options=options,
        )

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        resource_id, state = self._cloud.new_resource(args)
        resource = self.declared[args.typ, args.name]
        resource.id, resource.inputs = resource_id or "", args.inputs
        return resource_id, state

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        return self._cloud.call(args)
