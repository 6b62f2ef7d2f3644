"""Pulumi's mocks: https://www.pulumi.com/docs/iac/guides/testing/unit/."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pulumi
import pytest
from pulumi.runtime import MockCallArgs, MockResourceArgs

ACCOUNT = "111122223333"


class Mocks(pulumi.runtime.Mocks):
    """An AWS that creates what it knows and keeps what it was told. The components ask nothing."""

    def __init__(self) -> None:
        self.inputs: dict[tuple[str, str], dict[str, Any]] = {}
        """By type and name, in camelCase, as the provider gets them."""
        self.options: dict[tuple[str, str], pulumi.ResourceOptions] = {}
        """By type and name, as the components give them."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        computed = {
            "container-images:index:ImageRepository": {},
            "container-images:index:PipelineRole": {},
            "aws:ecr/repository:Repository": {
                "arn": f"arn:aws:ecr:eu-west-2:{ACCOUNT}:repository/{args.name}",
                "repositoryUrl": f"{ACCOUNT}.dkr.ecr.eu-west-2.amazonaws.com/{args.name}",
            },
            "aws:ecr/lifecyclePolicy:LifecyclePolicy": {},
            "aws:ecr/repositoryPolicy:RepositoryPolicy": {},
            "aws:iam/role:Role": {
                "arn": f"arn:aws:iam::{ACCOUNT}:role{args.inputs.get('path')}{args.name}"
            },
            "aws:iam/rolePolicy:RolePolicy": {},
        }[args.typ]
        assert (args.typ, args.name) not in self.inputs, f"{args.typ} {args.name} twice"
        self.inputs[args.typ, args.name] = args.inputs
        return args.name, args.inputs | computed

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"a component asks for {args.token}")

    def see_options(self, args: pulumi.ResourceTransformationArgs) -> None:
        """A stack transformation: mocks are not told of options."""
        self.options[args.type_, args.name] = args.opts

    def document(self, kind: str, name: str, key: str = "policy") -> Any:
        """A policy that a resource was given as text."""
        return json.loads(self.inputs[kind, name][key])


@pytest.fixture
def mocks() -> Iterator[Mocks]:
    """Mocks in place of the engine, in an event loop of the test's own."""
    it = Mocks()
    with (
        # In the thread where the mocks are called, Pulumi's SDK would leave a loop open.
        closing(asyncio.new_event_loop()) as loop,
        ThreadPoolExecutor(1, initializer=asyncio.set_event_loop, initargs=(loop,)) as worker,
        asyncio.Runner() as runner,
    ):
        runner.get_loop().set_default_executor(worker)
        runner.get_loop().set_exception_handler(lambda *_: None)  # `build` raises it already
        pulumi.runtime.set_mocks(it, project="container-images", stack="test", preview=False)
        pulumi.runtime.register_stack_transformation(it.see_options)
        yield it
        pulumi.runtime.reset_options()


def build(program: Callable[[], Mapping[str, pulumi.Output[Any]] | object]) -> dict[str, Any]:
    """Run a program until all of it is over. Gives the values of the outputs that it returns.

    Tests compare these, and what the mocks have kept, afterwards: an assertion within an `apply`
    would never be made where the output does not come to be known. Here that is an error.
    """
    values: dict[str, Any] = {}

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def run() -> None:
        outputs = program()
        if isinstance(outputs, Mapping):
            values.update(outputs)
            for name in outputs:
                outputs[name].apply(lambda value, name=name: values.update({name: value}))

    run()
    unknown = [name for name, value in values.items() if isinstance(value, pulumi.Output)]
    assert unknown == [], "these outputs never came to be known"
    return values
