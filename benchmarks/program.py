"""The program's time per repository, beside the same resources registered by hand.

By hand each repository stands in a bare component. The documents are made once, and nothing is
checked.
"""

import gc
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi import ComponentResource, ResourceOptions
from rich.console import Console

from components.registry import Registry
from container_images.policies.document import to_json
from container_images.policies.trust_policy import pipeline_role_policy, trust_policy
from container_images.rehearsal.program import execute
from container_images.stack.state import intended
from tests.cloud import Cloud, fixture_stack

TARGET = 1.10
SIZES = (100, 1_000)
ROUNDS = 7

_STACK = fixture_stack()
_ROLE = _STACK.settings.pipeline_role
_STATE = intended(_STACK, next(iter(_STACK.settings.repositories)))
_TRUST_POLICY = to_json(trust_policy(_ROLE.trust(_STACK.account)))


def declare() -> None:
    """What `__main__.py` does, as deep in calls as `by_hand`: each costs the SDK time."""
    registry = Registry.from_config()
    for output in ("repository_urls", "repository_arns", "tag_mutability", "pipeline_role_arn"):
        pulumi.export(output, getattr(registry, output))


def by_hand() -> None:
    """Register the same."""
    caller, _ = aws.get_caller_identity(), aws.get_region()
    aws.iam.get_session_context(arn=caller.arn)
    pipeline = ComponentResource("bench:index:Role", "pipeline")
    child, login = ResourceOptions(parent=pipeline), to_json(pipeline_role_policy())
    role = aws.iam.Role(
        "pipeline",
        name=_ROLE.name,
        path=_ROLE.path,
        description="Pushes images to ECR and moves their tags",
        assume_role_policy=_TRUST_POLICY,
        opts=child,
    )
    aws.iam.RolePolicy("login", name="registry-login", role=role.name, policy=login, opts=child)
    names = pulumi.Config().require_object("repositories")
    repositories = {name: register(name, pipeline) for name in names}
    for output in ("repository_url", "arn", "image_tag_mutability"):
        pulumi.export(output, {name: getattr(each, output) for name, each in repositories.items()})
    pulumi.export("role", role.arn)


class Component(ComponentResource):
    """A component without any logic."""

    def __init__(self, name: str, opts: ResourceOptions) -> None:
        """Register it."""
        super().__init__("bench:index:Repository", name, {}, opts)


def register(name: str, pipeline: pulumi.Resource) -> aws.ecr.Repository:
    """One repository with its policies."""
    component = Component(name, ResourceOptions(depends_on=pipeline))
    retained = partial(ResourceOptions, parent=component, retain_on_delete=True)
    filters: list[Any] = [
        aws.ecr.RepositoryImageTagMutabilityExclusionFilterArgs(
            filter=pattern, filter_type="WILDCARD"
        )
        for pattern in _STATE.exclusion_filters
    ]
    encryption = aws.ecr.RepositoryEncryptionConfigurationArgs(encryption_type="AES256")
    repository = aws.ecr.Repository(
        name,
        name=name,
        image_tag_mutability=_STATE.tag_mutability,
        image_tag_mutability_exclusion_filters=filters,
        image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(
            scan_on_push=True
        ),
        encryption_configurations=[encryption],
        opts=retained(protect=True),
    )
    rules, policy = _STATE.lifecycle_policy or "", _STATE.policy or ""
    aws.ecr.LifecyclePolicy(
        f"{name}-lifecycle", repository=repository.name, policy=rules, opts=retained()
    )
    aws.ecr.RepositoryPolicy(
        f"{name}-policy",
        repository=repository.name,
        policy=policy,
        opts=retained(depends_on=pipeline),
    )
    component.register_outputs(
        {"url": repository.repository_url, "arn": repository.arn, "name": repository.name}
    )
    return repository


def milliseconds(program: Callable[[], object]) -> float:
    """Processor time, which other processes do not lengthen as they do wall time.

    Without the garbage collector, as in timeit: what it costs depends on what else is in memory.
    """
    gc.collect()
    gc.disable()
    start = time.process_time()
    program()
    seconds = time.process_time() - start
    gc.enable()
    return 1_000 * seconds


def main(console: Console) -> None:
    """Run both programs in turn, without the audit, and print the time per repository."""
    cloud = Cloud(_STACK.settings.administrator_roles[0])
    console.print(f"The program, processor time per repository, median of {ROUNDS} runs")
    for size in SIZES:
        entries: dict[str, Any] = {f"app-{number:04}": {} for number in range(size)}
        sized = _STACK.changed(repositories=entries, audit=None)
        programs = [partial(execute, program, sized, cloud) for program in (declare, by_hand)]
        times = [[milliseconds(program) / size for program in programs] for _ in range(ROUNDS)]
        ours, theirs = map(statistics.median, zip(*times, strict=True))
        ratio = statistics.median(one / other for one, other in times)
        console.print(
            f"  {size:>5,} repositories: this project {ours:.2f} ms, by hand {theirs:.2f} ms; "
            f"ratio {ratio:.2f}, target: at most {TARGET:.2f}"
        )
