"""Run the real program, `__main__.py`, as Pulumi's language host does, with another engine."""

import asyncio
import contextvars
import runpy
import time
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import ROOT

from rehearsal.stack_file import StackFile


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource or component as it reached the engine."""

    type: str
    name: str
    parent: str | None
    """Name of the component it belongs to."""
    id: str
    inputs: dict[str, Any]
    """Under Pulumi's names, in camelCase."""
    protect: bool
    retain_on_delete: bool
    import_id: str
    depends_on: tuple[str, ...]
    """Names of the resources that have to be there first."""


@dataclass(frozen=True, kw_only=True)
class Update:
    """What a run of the program registered."""

    resources: list[Resource]
    """Components before their children, otherwise by name."""
    outputs: dict[str, Any]
    seconds: float


def run(stack: StackFile, cloud: pulumi.runtime.Mocks, *, preview: bool = False) -> Update:
    """Run the program for a stack.

    `cloud` creates the resources and answers the invokes. Whatever it raises, or the program does,
    is raised here. Runs do not see each other: all of the SDK's state is in context variables.
    """
    return contextvars.copy_context().run(lambda: _run(stack, cloud, preview=preview))


def _run(stack: StackFile, cloud: pulumi.runtime.Mocks, *, preview: bool) -> Update:
    monitor = _Monitor(cloud)

    def main() -> None:
        runpy.run_path(str(stack.directory / "__main__.py"), run_name="__main__")

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        pulumi.runtime.set_mocks(cloud, stack.project, stack.stack, preview, monitor=monitor)
        pulumi.runtime.set_all_config(dict(stack.config))
        ROOT.set(None)  # set_mocks has made a stack; run_in_stack makes its own
        start = time.perf_counter()
        loop.run_until_complete(pulumi.runtime.run_in_stack(main))
        seconds = time.perf_counter() - start
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return Update(resources=monitor.in_order(), outputs=monitor.outputs, seconds=seconds)


_STACK = "pulumi:pulumi:Stack"


class _Monitor(MockMonitor):
    """Keeps what the engine is told and mocks are not: options, parents and outputs."""

    def __init__(self, mocks: pulumi.runtime.Mocks) -> None:
        super().__init__(mocks)
        self.recorded: dict[str, Resource] = {}
        self.outputs: dict[str, Any] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 the protocol's name
        if request.type == _STACK:
            return super().RegisterResource(request)
        urn = self.make_urn(request.parent, request.type, request.name)
        if urn in self.recorded:
            raise ValueError(f"the program registers {request.type} {request.name!r} twice")
        response = super().RegisterResource(request)
        self.recorded[urn] = Resource(
            type=request.type,
            name=request.name,
            parent=None if f"{_STACK}::" in request.parent else _name(request.parent),
            id=response.id,
            inputs=rpc.deserialize_properties(request.object),
            protect=request.protect,
            retain_on_delete=request.retainOnDelete,
            import_id=request.importId,
            depends_on=tuple(sorted(_name(urn) for urn in request.dependencies)),
        )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 the protocol's name
        if f"{_STACK}::" in request.urn:
            self.outputs = rpc.deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)

    def in_order(self) -> list[Resource]:
        return sorted(
            self.recorded.values(),
            key=lambda it: (it.parent or it.name, it.parent is not None, it.type, it.name),
        )


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]
