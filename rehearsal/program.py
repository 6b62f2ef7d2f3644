"""Run a Pulumi program as the language host does, with another engine: the real program, mostly."""

import asyncio
import contextvars
import gc
import runpy
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import pulumi
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import ROOT, SETTINGS

from settings.stack_file import StackFile


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
    """Components by type and name, each with its children right behind it."""
    outputs: dict[str, Any]
    seconds: float


def run(stack: StackFile, cloud: pulumi.runtime.Mocks, *, preview: bool = False) -> Update:
    """Run the stack's program, as `execute` does."""

    def program() -> None:
        runpy.run_path(str(stack.directory / "__main__.py"), run_name="__main__")

    return execute(program, stack, cloud, preview=preview)


def execute(
    program: Callable[[], object],
    stack: StackFile,
    cloud: pulumi.runtime.Mocks,
    *,
    preview: bool = False,
) -> Update:
    """Run a Pulumi program with the configuration of a stack.

    `cloud` creates the resources and answers the invokes. Whatever it raises, or the program does,
    is raised here. Runs do not see each other: all of the SDK's state is in context variables.
    """
    return contextvars.copy_context().run(_execute, program, stack, cloud, preview)


def _execute(
    program: Callable[[], object],
    stack: StackFile,
    cloud: pulumi.runtime.Mocks,
    preview: bool,  # noqa: FBT001 Context.run passes it on by position
) -> Update:
    def main() -> None:
        program()

    monitor = _Monitor(cloud)
    with closing(asyncio.new_event_loop()) as loop, _worker() as worker, _no_collector():
        asyncio.set_event_loop(loop)
        loop.set_default_executor(worker)
        loop.set_exception_handler(lambda *_: None)  # what goes wrong is raised below, once
        pulumi.runtime.set_mocks(cloud, stack.project, stack.stack, preview, monitor=monitor)
        pulumi.runtime.set_all_config(dict(stack.config))
        SETTINGS.outputs = set()  # set_mocks leaves those of the run before
        ROOT.set(None)  # set_mocks has made a stack; run_in_stack makes its own
        start = time.perf_counter()
        try:
            loop.run_until_complete(pulumi.runtime.run_in_stack(main))
        finally:
            unfinished = asyncio.all_tasks(loop)
            for task in unfinished:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*unfinished, return_exceptions=True))
            asyncio.set_event_loop(None)
        seconds = time.perf_counter() - start
    return Update(resources=monitor.in_order(), outputs=monitor.outputs, seconds=seconds)


@contextmanager
def _no_collector() -> Iterator[None]:
    """A time without the cyclic garbage collector.

    What the SDK makes of a program lives until the program ends. The collector would walk through
    all of it again and again, longer with each resource, and free nothing.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def _worker() -> Iterator[ThreadPoolExecutor]:
    """The one thread in which the monitor works, so that its calls come one by one, in order.

    The mocks want an event loop there, and would leave behind one that nobody closes.
    """
    with (
        closing(asyncio.new_event_loop()) as loop,
        ThreadPoolExecutor(1, initializer=lambda: asyncio.set_event_loop(loop)) as worker,
    ):
        yield worker


_STACK = "pulumi:pulumi:Stack"


class _Monitor(MockMonitor):
    """Keeps what the engine is told and mocks are not: options, parents and outputs."""

    def __init__(self, mocks: pulumi.runtime.Mocks) -> None:
        super().__init__(mocks)
        self.recorded: dict[str, tuple[tuple[str, ...], Resource]] = {}
        """By URN: where it stands among the others, and what it is."""
        self.outputs: dict[str, Any] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 the protocol's name
        if request.type == _STACK:
            return super().RegisterResource(request)
        urn = self.make_urn(request.parent, request.type, request.name)
        if urn in self.recorded:
            raise ValueError(f"the program registers {request.type} {request.name!r} twice")
        response = super().RegisterResource(request)
        own, parent = (request.type, request.name), request.parent.split("::")
        at_the_top = parent[2] == _STACK
        place = own if at_the_top else (parent[2].rpartition("$")[2], parent[3], *own)
        self.recorded[urn] = (
            place,
            Resource(
                type=request.type,
                name=request.name,
                parent=None if at_the_top else parent[3],
                id=response.id,
                inputs=rpc.deserialize_properties(request.object),
                protect=request.protect,
                retain_on_delete=request.retainOnDelete,
                import_id=request.importId,
                depends_on=tuple(sorted(_name(urn) for urn in request.dependencies)),
            ),
        )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 the protocol's name
        if f"{_STACK}::" in request.urn:
            self.outputs = rpc.deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)

    def in_order(self) -> list[Resource]:
        return [resource for _, resource in sorted(self.recorded.values(), key=itemgetter(0))]


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]
