"""The images that run in an account and Region, by ECS and by Lambda.

With as few calls as the APIs allow: pages of the largest size, descriptions of many at once, and,
where only one can be described, several calls at a time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from botocore.exceptions import ClientError

from container_images.aws.errors import code_of, explain, is_denied
from container_images.aws.reference import InvalidReferenceError, Reference, parse
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


@dataclass(frozen=True, kw_only=True)
class Use:
    """An image, as what runs it names it."""

    written: str
    reference: Reference
    """No repository is named with a digest or a tag by itself."""
    by: str = ""
    """The ARN of the service, task, task definition or function, where it is known."""


@dataclass(kw_only=True)
class InUse:
    """What is in use, and what may be besides."""

    uses: list[Use] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)
    """By the operation that failed, why it did, the first time: there, any image may run."""


def add_running(
    in_use: InUse, aws: Aws, count: Callable[[Sequence[Any]], Iterable[Any]] = iter
) -> None:
    """Add what ECS and Lambda run, as far as it comes from ECR.

    `count` shows the progress through a sequence of calls. What the caller may not read is unknown.
    Raises ClientError for any other failure.
    """
    account, _ = aws.caller()
    about = f"account {account} in {aws.region}"
    _read_ecs(_Reader(aws.client("ecs"), about, in_use, count))
    _read_lambda(_Reader(aws.client("lambda"), about, in_use, count))


@dataclass(frozen=True)
class _Reader:
    """One service's client, which notes what may not be read."""

    client: Any
    about: str
    in_use: InUse
    count: Callable[[Sequence[Any]], Iterable[Any]]

    def add(self, image: str | None, by: str) -> None:
        """An image that is in use. Without a host in its name, it is one of Docker Hub."""
        try:
            reference = parse(image or "")
        except InvalidReferenceError:
            return
        if image and reference.registry_id:
            self.in_use.uses.append(Use(written=image, reference=reference, by=by))

    def pages(self, operation: str, key: str, size: int = 100, **about: Any) -> list[Any]:
        """All that an operation lists; nothing where that may not be read."""
        paginator = self.client.get_paginator(operation)
        listed: list[Any] = []
        try:
            for page in paginator.paginate(**about, PaginationConfig={"PageSize": size}):
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
                reason = f"{operation} in {self.about}: {failure.get('arn')}: {failure['reason']}"
                self.in_use.unknown.setdefault(f"{operation} in {self.about}", reason)
        return answer

    def each(self, read: Callable[[str], Any], names: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Each name with what is read of it, some at a time."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            yield from zip(self.count(names), pool.map(read, names), strict=True)

    def described(
        self, kind: Literal["service", "task"], cluster: str, at_once: int
    ) -> Iterator[dict[str, Any]]:
        """The services or the tasks of a cluster."""
        arns = self.pages(f"list_{kind}s", f"{kind}Arns", cluster=cluster)
        for start in range(0, len(arns), at_once):
            batch = {f"{kind}s": arns[start : start + at_once]}
            yield from self.ask(f"describe_{kind}s", cluster=cluster, **batch).get(f"{kind}s", ())

    def _note(self, error: ClientError) -> None:
        if is_denied(error):
            key, reason = (
                f"{error.operation_name} in {self.about}",
                f"{self.about}: {explain(error)}",
            )
            self.in_use.unknown.setdefault(key, reason)
        elif code_of(error) not in _GONE:
            raise error


def _read_ecs(ecs: _Reader) -> None:
    """Tasks, the task definitions of services and tasks, and the newest ones of active families.

    The newest one of a family is what a schedule or a person starts next. A task has the digest
    that it runs; a task definition has the image that its next task will pull.
    """
    users: dict[str, str] = {}  # of task definitions
    for cluster in ecs.pages("list_clusters", "clusterArns"):
        for service in ecs.described("service", cluster, _SERVICES):
            # Deployments of ECS's own, and the task sets of CodeDeploy and others.
            for part in (service, *service["deployments"], *service.get("taskSets", ())):
                users.setdefault(part.get("taskDefinition", ""), service["serviceArn"])
        for task in ecs.described("task", cluster, _TASKS):
            users.setdefault(task["taskDefinitionArn"], task["taskArn"])
            for container in task["containers"]:
                names = [container.get("image"), container.get("imageDigest")]
                whole = "@" in (names[0] or "")
                ecs.add(names[0] if whole else "@".join(filter(None, names)), task["taskArn"])

    def describe(name: str) -> Any:
        return ecs.ask("describe_task_definition", taskDefinition=name).get("taskDefinition", {})

    def add_definitions(names: Sequence[str]) -> None:
        for _, definition in ecs.each(describe, names):
            arn = definition.get("taskDefinitionArn", "")
            by = users.pop(arn, arn)
            for container in definition.get("containerDefinitions", ()):
                ecs.add(container.get("image"), by)

    add_definitions(ecs.pages("list_task_definition_families", "families", status="ACTIVE"))
    add_definitions([arn for arn in users if arn])


def _read_lambda(functions: _Reader) -> None:
    """The images of functions, and of the versions that an alias sends calls to.

    Lambda runs the digest that the tag was on when the code was set.
    """

    def codes(arn: str) -> list[dict[str, Any]]:
        versions = {"$LATEST"}
        for alias in functions.pages("list_aliases", "Aliases", _FUNCTIONS, FunctionName=arn):
            weights = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
            versions |= {alias["FunctionVersion"], *weights}
        answers = (
            functions.ask("get_function", FunctionName=arn, Qualifier=version)
            for version in sorted(versions)
        )
        return [answer.get("Code", {}) for answer in answers]

    listed = functions.pages("list_functions", "Functions", _FUNCTIONS)
    arns = [each["FunctionArn"] for each in listed if each.get("PackageType") == "Image"]
    for arn, versions in functions.each(codes, arns):
        for code in versions:
            functions.add(code.get("ResolvedImageUri") or code.get("ImageUri"), arn)
