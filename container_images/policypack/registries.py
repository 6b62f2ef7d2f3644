"""Resources that change images or make repositories where no repository's guard holds."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pulumi_policy import ResourceValidationArgs

from container_images.policies.document import names_action, statements_in
from container_images.policies.ecr_actions import Effect, actions
from container_images.policies.invalid_input import Problem
from container_images.policypack.guard import Config, document_in

_GUIDE: Final = "https://docs.aws.amazon.com/AmazonECR/latest/userguide"

WAYS_ROUND: Final[Mapping[str, str]] = {
    "aws:ecr/accountSetting:AccountSetting": (
        "it changes rules of the whole registry, such as what a registry policy can deny: "
        "https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutAccountSetting.html"
    ),
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": (
        "its repositories take their images, and what their tags mean, from another registry: "
        f"{_GUIDE}/pull-through-cache.html"
    ),
    "aws:ecr/replicationConfiguration:ReplicationConfiguration": (
        "ECR's own role puts images and tags wherever it points, and no repository policy is "
        f"documented to stop it: {_GUIDE}/replication.html"
    ),
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": (
        "ECR makes repositories from it that no stack declares, and so without the two Denies: "
        f"{_GUIDE}/repository-creation-templates.html"
    ),
}
"""By type: why the guard does not hold there."""

REGISTRY_POLICY: Final = "aws:ecr/registryPolicy:RegistryPolicy"

_READING: Final = {Effect.PULL, Effect.READ, Effect.READ_REGISTRY, Effect.HARMLESS}
_WRITING: Final = actions(*{*Effect} - _READING)


def check(args: ResourceValidationArgs, config: Config) -> Iterator[Problem]:
    """What in the resource goes round the guard, unless the configuration allows it by its address.

    Raises InvalidInputError for a policy that cannot be read.
    """
    stack, project, *_ = args.urn.removeprefix("urn:pulumi:").split("::")
    address = f"{project}/{stack}/{args.name}"
    if address in config["allowed"]:
        return
    fix = (
        f"leave it out, or have {address} added to `allowed` in the policy pack's "
        "configuration, by whoever answers for the registry"
    )
    if args.resource_type in WAYS_ROUND:
        yield Problem(where=(), rule=WAYS_ROUND[args.resource_type], fix=fix)
    elif args.resource_type == REGISTRY_POLICY and (granted := _granted(document_in(args.props))):
        rule = (
            "a registry policy that allows this lets others put or change what no repository's "
            f"guard sees: {_GUIDE}/registry-permissions.html"
        )
        yield Problem(where=("policy",), value=granted, rule=rule, fix=fix)


def _granted(document: Any) -> list[str]:
    """What the policy allows others to do to images. A Deny goes round nothing."""
    allows = statements_in(document, "Allow")
    return [
        action
        for action in _WRITING
        if any(names_action(allow.get("Action"), action) for allow in allows)
        or any(not names_action(allow.get("NotAction", "*"), action) for allow in allows)
    ]
