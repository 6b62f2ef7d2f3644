"""The images that run in an account and Region, by ECS and by Lambda.

With as few calls as the APIs allow: pages of the largest size, descriptions of many at once, and,
where only one can be described, several calls at a time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError

from container_images.aws.errors import code_of, explain, is_denied
from container_images.aws.reference import InvalidReferenceError, parse
from container_images.aws.session import Aws

_GONE: Final = ("ClusterNotFoundException", "ServiceNotFoundException", "ResourceNotFoundException")
"""Said of what was deleted since it was listed."""


@dataclass(kw_only=True)
class InUse:
    """What is in use, and what may be besides."""

    images: dict[str, set[str]] = field(default_factory=dict)
    """Each as what runs it names it, with the ARNs of what does, as far as they are known."""
    unknown: dict[str, str] = field(default_factory=dict)
    """By the operation that failed, why it did, the first time: there, any image may run."""


def add_running(
    in_use: InUse, aws: Aws, count: Callable[[Sequence[Any]], Iterable[Any]] = iter
) -> None:
    """Add what ECS and Lambda run, as far as it comes from ECR.

    `count` shows the progress through a sequence of calls. What the caller may not read is unknown.
    Raises ClientError for any other failure.
    """
    about = f"account {aws.caller[0]} in {aws.region}"
    _read_ecs(_Reader(aws.client("ecs"), about, in_use, count))
    _read_lambda(_Reader(aws.client("lambda"), about, in_use, count))


@dataclass(frozen=True)
class _Reader:
    """One service's client, which notes what may not be read."""

    client: Any
    about: str
    in_use: InUse
    count: Callable[[Sequence[Any]], Iterable[Any]]

    def add(self, image: str, by: str) -> None:
        """An image that is in use. Without a host in its name, it is one of Docker Hub."""
        with suppress(InvalidReferenceError):
            if parse(image).registry_id:
                self.in_use.images.setdefault(image, set()).add(by)

    def ask(self, operation: str, key: str, **about: Any) -> Any:
        """A part of an answer, all its pages; an empty one where that is gone or not to be read."""
        try:
            if self.client.can_paginate(operation):
                pages = self.client.get_paginator(operation).paginate
                largest = {"PageSize": 100}  # Lambda takes it for 50
                return [
                    part for page in pages(**about, PaginationConfig=largest) for part in page[key]
                ]
            answer = getattr(self.client, operation)(**about)
        except ClientError as error:
            if is_denied(error):
                self._unknown(error.operation_name, explain(error))
            elif code_of(error) not in _GONE:
                raise
            return {}
        for failure in answer.get("failures", ()):
            if failure.get("reason") != "MISSING":
                self._unknown(operation, f"{failure.get('arn')}: {failure.get('reason')}")
        return answer[key]

    def each(self, read: Callable[[str], None], names: Sequence[str]) -> None:
        """Read what has each of the names, eight at a time."""
        with ThreadPoolExecutor(8) as pool:
            for _ in zip(self.count(names), pool.map(read, names), strict=True):
                pass

    def described(self, kind: str, at_once: int, cluster: str) -> Iterator[dict[str, Any]]:
        """The services or the tasks of a cluster."""
        arns = self.ask(f"list_{kind}", f"{kind[:-1]}Arns", cluster=cluster)
        for start in range(0, len(arns), at_once):
            batch = {kind: arns[start : start + at_once]}
            yield from self.ask(f"describe_{kind}", kind, cluster=cluster, **batch)

    def _unknown(self, operation: str, reason: str) -> None:
        self.in_use.unknown.setdefault(f"{operation} in {self.about}", f"{self.about}: {reason}")


def _read_ecs(ecs: _Reader) -> None:
    """Tasks, the task definitions of services and tasks, and the newest ones of active families.

    The newest one of a family is what a schedule or a person starts next. A task has the digest
    that it runs; a task definition has the image that its next task will pull.
    """
    users: dict[str, str] = {}  # of task definitions
    for cluster in ecs.ask("list_clusters", "clusterArns"):
        for service in ecs.described("services", 10, cluster):
            # Deployments of ECS's own, and the task sets of CodeDeploy and others.
            for part in (service, *service["deployments"], *service.get("taskSets", ())):
                users.setdefault(part.get("taskDefinition", ""), service["serviceArn"])
        for task in ecs.described("tasks", 100, cluster):
            users.setdefault(task["taskDefinitionArn"], task["taskArn"])
            for container in task["containers"]:
                image, digest = container.get("image", ""), container.get("imageDigest")
                pulled = f"{image}@{digest}" if digest and "@" not in image else image
                ecs.add(pulled, task["taskArn"])

    def add_definition(name: str) -> None:
        definition = ecs.ask("describe_task_definition", "taskDefinition", taskDefinition=name)
        arn = definition.get("taskDefinitionArn", "")
        by = users.pop(arn, arn)
        for container in definition.get("containerDefinitions", ()):
            ecs.add(container.get("image", ""), by)

    families = ecs.ask("list_task_definition_families", "families", status="ACTIVE")
    ecs.each(add_definition, families)
    ecs.each(add_definition, [arn for arn in users if arn])


def _read_lambda(functions: _Reader) -> None:
    """The images of functions, and of the versions that an alias sends calls to.

    Lambda runs the digest that the tag was on when the code was set.
    """

    def add_versions(arn: str) -> None:
        versions = {"$LATEST"}
        for alias in functions.ask("list_aliases", "Aliases", FunctionName=arn):
            weights = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
            versions |= {alias["FunctionVersion"], *weights}
        for version in sorted(versions):
            code = functions.ask("get_function", "Code", FunctionName=arn, Qualifier=version)
            functions.add(code.get("ResolvedImageUri") or code.get("ImageUri", ""), arn)

    listed = functions.ask("list_functions", "Functions")
    arns = [each["FunctionArn"] for each in listed if each.get("PackageType") == "Image"]
    functions.each(add_versions, arns)
