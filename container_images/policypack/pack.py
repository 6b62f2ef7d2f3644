"""The policies as Pulumi takes them. They report violations, and values that are not known yet."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

from pulumi.runtime import get_config_env
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
    policy,
)
from pulumi_policy.policy import PolicyResource

from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.policies.tag_mutability import DEFAULT_MOVABLE_TAGS
from container_images.policypack import guard, images, registries

NAME: Final = "container-images"
"""The pack's name: it stands in every message of it, and in its configuration."""

PRODUCTION_STACKS: Final[Sequence[str]] = (
    "prod", "production", "prod-*", "production-*", "*-prod", "*-production",
)  # fmt: skip


def serve() -> None:
    """Serve the policies until the engine ends."""
    # The SDK offers no other place for it.
    policy._PolicyAnalyzerServicer = _StrictServicer  # type: ignore[misc] # noqa: SLF001
    PolicyPack(name=NAME, policies=policies())


def policies() -> list[Policy]:
    """All policies of the pack."""
    exempt = {"exempt": _texts("Names of repositories that are exempt", ())}
    decided = exempt | {
        "movableTags": _texts(
            "Movable tags: they must be able to move, and never expire", DEFAULT_MOVABLE_TAGS
        ),
        "immutableTags": _texts(
            "Patterns of tags that must be immutable", immutable_tags(get_config_env())
        ),
    }
    pinned = {
        "movableTags": _texts("Patterns of tags that move", DEFAULT_MOVABLE_TAGS),
        "allowedImages": _texts("Patterns of images that are exempt", images.ALLOWED_IMAGES),
    }
    stacks = {"productionStacks": _texts("Patterns of stack names", PRODUCTION_STACKS)}
    allowed = {"allowed": _texts("Resources that are exempt, as PROJECT/STACK/NAME", ())}
    return [
        _of_resources(
            "guarded-repository",
            "An ECR repository has the decided tag mutability, a policy with both "
            "Denies, and a lifecycle policy that never expires what a movable tag names.",
            decided,
            guard.check,
        ),
        StackValidationPolicy(
            name="complete-repository",
            description="An ECR repository comes with a repository policy and a lifecycle policy.",
            enforcement_level=EnforcementLevel.MANDATORY,
            config_schema=PolicyConfigSchema(exempt),
            validate=_complete,
        ),
        _of_resources(
            "pinned-production-image",
            "A production stack runs images by a unique tag or a digest.",
            pinned | stacks,
            images.check_in_production,
        ),
        _of_resources(
            "pinned-image",
            "A stack runs images by a unique tag or a digest.",
            pinned,
            images.check,
            EnforcementLevel.ADVISORY,
        ),
        _of_resources(
            "no-way-round-the-guard",
            "No resource changes images where no repository's guard applies.",
            allowed,
            registries.check,
        ),
    ]


def immutable_tags(config: Mapping[str, str]) -> list[str]:
    """The immutable tags that a stack of this project declares for all of its repositories.

    `config` is the running stack's configuration, by NAMESPACE:KEY. A stack of another program has
    none there, and none hold for all where a repository has its own.
    """
    keys = {key.rpartition(":")[2]: value for key, value in config.items()}
    try:
        repositories = json.loads(keys.get("repositories", "{}"))
        tags = json.loads(keys.get("immutableTags", "[]"))
        own = {key for overrides in repositories.values() for key in overrides or ()}
    except (ValueError, AttributeError, TypeError):
        return []  # another program's keys of these names
    return tags if isinstance(tags, list) and not own & {"immutableTags", "tagMutability"} else []


def _texts(description: str, default: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "array",
        "items": {"type": "string"},
        "default": list(default),
        "description": description,
    }


def _of_resources(
    name: str,
    description: str,
    schema: dict[str, Any],
    check: Callable[[ResourceValidationArgs, guard.Config], Iterator[Problem]],
    level: EnforcementLevel = EnforcementLevel.MANDATORY,
) -> Policy:
    """A policy that checks one resource at a time."""
    defaults = {key: declared["default"] for key, declared in schema.items()}

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        try:
            for problem in check(args, {**defaults, **args.get_config()}):
                report(_message(args, problem), args.urn)
        except InvalidInputError as error:
            for problem in error.problems:
                report(_message(args, problem.under("policy")), args.urn)

    return ResourceValidationPolicy(
        name=name,
        description=description,
        enforcement_level=level,
        config_schema=PolicyConfigSchema(schema),
        validate=validate,
    )


def _message(resource: ResourceValidationArgs | PolicyResource, problem: Problem) -> str:
    name = f"{resource.resource_type.rpartition(':')[2]} {resource.name}"
    return f"{name} {problem}" if problem.where else f"{name}: {problem}"


def _complete(args: StackValidationArgs, report: ReportViolation) -> None:
    config = {"exempt": (), **args.get_config()}
    for resource, problem in guard.incomplete(args.resources, config):
        report(_message(resource, problem), resource.urn)


class _StrictServicer(policy._PolicyAnalyzerServicer):  # noqa: SLF001 as above
    """The SDK's server, which besides refuses a misspelt name in the configuration.

    The engine accepts a name for which no policy has a schema: a misspelt key would be ignored, and
    its default would apply.
    """

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802 the protocol's name
        """Raise ValueError, which ends the preview, with every name that is not known."""
        schemas = {check.name: check.config_schema for check in policies()}
        errors = []
        for name, config in request.policyConfig.items():
            schema = schemas.get(name)
            if schema:
                keys = schema.properties.keys()
                errors += [
                    _misspelt(f"{name}.{key}", key, keys) for key in {*config.properties} - keys
                ]
            elif name != "all":
                errors.append(_misspelt(name, name, schemas))
        if errors:
            raise ValueError(
                "; ".join(["the policy pack's configuration is wrong", *sorted(errors)])
            )
        return super().Configure(request, context)  # type: ignore[no-untyped-call]


def _misspelt(where: str, name: str, names: Iterable[str]) -> str:
    [nearest] = get_close_matches(name, names, n=1, cutoff=0)
    return f"{where} is not known, did you mean {nearest}?"
