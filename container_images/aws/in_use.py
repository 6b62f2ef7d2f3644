"""The images that run in an account and Region, by ECS and by Lambda.

With as few calls as the APIs allow: pages of the largest size, descriptions of many at once, and,
where only one can be described, several calls at a time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from botocore.exceptions import ClientError

from container_images.aws.errors import code_of, explain, is_denied
from container_images.aws.session import Aws

_AT_ONCE: Final = 8
"""Calls under way at the same time."""
_SERVICES: Final = 10
_TASKS: Final = 100
"""Of those, DescribeServices and DescribeTasks take so many at once."""
_FUNCTIONS: Final = 50
"""Of those, and of aliases, Lambda lists so many on a page."""
_GONE: Final = frozenset(
    {"ClusterNotFoundException", "ServiceNotFoundException", "ResourceNotFoundException"}
)
"""Said of what was deleted since it was listed."""

_Item = TypeVar("_Item")
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class RunningImage:
    """An image, as a container or a function names it."""

    image: str
    by: str
    """The ARN of the service, the task, the task definition or the function."""


@dataclass(kw_only=True)
class Running:
    """What runs, and what could not be read: there, any image may run."""

    images: list[RunningImage] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    """By the operation that failed, why it did, the first time."""


def running_images(aws: Aws, count: Callable[[Sequence[Any]], Iterable[Any]] = iter) -> Running:
    """What ECS and Lambda run. `count` shows the progress through a sequence of calls.

    What the caller may not read is told in `unread`. Raises ClientError for any other failure.
    """
    account, _ = aws.caller()
    running = Running()
    about = f"account {account} in {aws.region}"
    ecs = _Reader(client=aws.client("ecs"), about=about, running=running, count=count)
    functions = _Reader(client=aws.client("lambda"), about=about, running=running, count=count)
    _read_ecs(ecs)
    _read_lambda(functions)
    return running


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """One service's client, which notes what may not be read."""

    client: Any
    about: str
    running: Running
    count: Callable[[Sequence[Any]], Iterable[Any]]

    def add(self, image: str | None, by: str) -> None:
        """An image that is in use."""
        if image:
            self.running.images.append(RunningImage(image=image, by=by))

    def pages(self, operation: str, key: str, size: int = 100, **about: Any) -> list[Any]:
        """All that an operation lists; nothing where that may not be read."""
        pages = self.client.get_paginator(operation).paginate(
            **about, PaginationConfig={"PageSize": size}
        )
        listed: list[Any] = []
        try:
            for page in pages:
                listed += page[key]
        except ClientError as error:
            self._note(error)
        return listed

    def ask(self, operation: str, **about: Any) -> dict[str, Any]:
        """An answer; an empty one where the thing is gone, or may not be read."""
        try:
            answer: dict[str, Any] = getattr(self.client, operation)(**about)
        except ClientError as error:
            self._note(error)
            return {}
        for failure in answer.get("failures", ()):
            if failure.get("reason") != "MISSING":
                said = f"{failure.get('arn')}: {failure.get('reason')}"
                self.running.unread.setdefault(operation, f"{operation} in {self.about}: {said}")
        return answer

    def each(self, read: Callable[[_Item], _T], items: Sequence[_Item]) -> Iterator[_T]:
        """What is read of each item, in their order, some at a time."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _, answer in zip(self.count(items), pool.map(read, items), strict=True):
                yield answer

    def _note(self, error: ClientError) -> None:
        if is_denied(error):
            self.running.unread.setdefault(error.operation_name, f"{self.about}: {explain(error)}")
        elif code_of(error) not in _GONE:
            raise error


def _batches(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _read_ecs(ecs: _Reader) -> None:
    """Tasks, the task definitions of services and tasks, and the newest ones of active families.

    The newest one of a family is what a schedule or a person starts next. A task has the digest
    that it runs; a task definition has the image that its next task will pull.
    """
    definitions: dict[str, str] = {}
    for cluster in ecs.pages("list_clusters", "clusterArns"):
        definitions |= _read_cluster(ecs, cluster)

    def describe(name: str) -> dict[str, Any]:
        answer = ecs.ask("describe_task_definition", taskDefinition=name)
        definition: dict[str, Any] = answer.get("taskDefinition", {})
        return definition

    families = ecs.pages("list_task_definition_families", "families", status="ACTIVE")
    for newest in ecs.each(describe, families):
        arn = newest.get("taskDefinitionArn", "")
        _add_containers(ecs, newest, definitions.pop(arn, arn))
    older = [arn for arn in definitions if arn]
    for arn, definition in zip(older, ecs.each(describe, older), strict=True):
        _add_containers(ecs, definition, definitions[arn])


def _read_cluster(ecs: _Reader, cluster: str) -> dict[str, str]:
    """The task definitions of its services and tasks, each with the ARN of what uses it."""
    definitions: dict[str, str] = {}
    services = ecs.pages("list_services", "serviceArns", cluster=cluster)
    for batch in _batches(services, _SERVICES):
        answer = ecs.ask("describe_services", cluster=cluster, services=batch)
        for service in answer.get("services", ()):
            # Deployments of ECS's own, and the task sets of CodeDeploy and others.
            for part in (service, *service["deployments"], *service.get("taskSets", ())):
                definitions.setdefault(part.get("taskDefinition", ""), service["serviceArn"])
    tasks = ecs.pages("list_tasks", "taskArns", cluster=cluster)
    for batch in _batches(tasks, _TASKS):
        answer = ecs.ask("describe_tasks", cluster=cluster, tasks=batch)
        for task in answer.get("tasks", ()):
            definitions.setdefault(task["taskDefinitionArn"], task["taskArn"])
            for container in task["containers"]:
                ecs.add(_by_digest(container), task["taskArn"])
    return definitions


def _add_containers(ecs: _Reader, definition: dict[str, Any], by: str) -> None:
    for container in definition.get("containerDefinitions", ()):
        ecs.add(container.get("image"), by)


def _by_digest(container: dict[str, Any]) -> str | None:
    image, digest = container.get("image"), container.get("imageDigest")
    if not image or not digest or "@" in image:
        return image
    name, _, tag = image.rpartition(":")
    return f"{image if '/' in tag or not name else name}@{digest}"


def _read_lambda(functions: _Reader) -> None:
    """The images of functions, and of the versions that an alias sends calls to.

    Lambda runs the digest that the tag was on when the code was set.
    """
    listed = functions.pages("list_functions", "Functions", size=_FUNCTIONS)
    arns = [it["FunctionArn"] for it in listed if it.get("PackageType") == "Image"]

    def versions_of(arn: str) -> list[tuple[str, str]]:
        versions = {"$LATEST"}
        for alias in functions.pages("list_aliases", "Aliases", _FUNCTIONS, FunctionName=arn):
            weights = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
            versions |= {alias["FunctionVersion"], *weights}
        return [(arn, version) for version in sorted(versions)]

    def code_of_version(of: tuple[str, str]) -> dict[str, Any]:
        answer = functions.ask("get_function", FunctionName=of[0], Qualifier=of[1])
        code: dict[str, Any] = answer.get("Code", {})
        return code

    versions = [it for of_one in functions.each(versions_of, arns) for it in of_one]
    for (arn, _), code in zip(versions, functions.each(code_of_version, versions), strict=True):
        functions.add(code.get("ResolvedImageUri") or code.get("ImageUri"), arn)
