"""Pure: resources that change images or make repositories where no repository's guard holds."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from container_images.policies.document import names_action, statements_in
from container_images.policies.ecr_actions import Effect, actions
from container_images.policies.invalid_input import Problem
from container_images.policypack.findings import Finding, Resource
from container_images.policypack.guard import in_policy

WAYS_ROUND: Final[Mapping[str, str]] = {
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": (
        "its repositories take their images, and what their tags mean, from another registry: "
        "https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html"
    ),
    "aws:ecr/replicationConfiguration:ReplicationConfiguration": (
        "ECR's own role puts images and tags wherever it points, and no repository policy is "
        "documented to stop it: "
        "https://docs.aws.amazon.com/AmazonECR/latest/userguide/replication.html"
    ),
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": (
        "ECR makes repositories from it that no stack declares, and so without the two Denies: "
        "https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates.html"
    ),
}
"""By type: why the guard does not hold there."""

REGISTRY_POLICY: Final = "aws:ecr/registryPolicy:RegistryPolicy"

_READING: Final = {Effect.PULL, Effect.READ, Effect.READ_REGISTRY, Effect.HARMLESS}
_WRITING: Final = actions(*{*Effect} - _READING)


def findings_in(resource: Resource, allowed: Sequence[str]) -> Iterator[Finding]:
    """What in the resource goes round the guard, unless its address is in `allowed`."""
    if resource.address in allowed:
        return
    fix = (
        f"leave it out, or have {resource.address} added to `allowed` in the policy pack's "
        "configuration, by whoever answers for the registry"
    )
    if resource.type in WAYS_ROUND:
        yield Problem(where=(), rule=WAYS_ROUND[resource.type], fix=fix)
    elif resource.type == REGISTRY_POLICY:
        yield from in_policy(resource, partial(_registry_policy, fix=fix))


def _registry_policy(document: Any, fix: str) -> Iterator[Finding]:
    """What the policy allows others to do to images. A Deny goes round nothing."""
    granted = {
        action
        for it in statements_in(document, "Allow")
        for action in _WRITING
        if ("NotAction" in it and not names_action(it["NotAction"], action))
        or names_action(it.get("Action"), action)
    }
    if granted:
        yield Problem(
            where=("policy",),
            value=sorted(granted),
            rule="a registry policy that allows this lets others put or change what no "
            "repository's guard sees: "
            "https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry-permissions.html",
            fix=fix,
        )
