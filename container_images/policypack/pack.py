"""The policies as Pulumi takes them. They report violations, and values that are not known yet."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, cast

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
from container_images.policies.patterns import tag_glob
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
            _guarded,
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
            _pinned_in_production,
        ),
        _of_resources(
            "pinned-image",
            "A stack runs images by a unique tag or a digest.",
            pinned,
            _pinned,
            EnforcementLevel.ADVISORY,
        ),
        _of_resources(
            "no-way-round-the-guard",
            "No resource changes images where no repository's guard applies.",
            allowed,
            _no_way_round,
        ),
    ]


def immutable_tags(config: Mapping[str, str]) -> list[str]:
    """The immutable tags that the running stack declares for all of its repositories.

    `config` is the stack's configuration. A stack of this project has them there; one in which a
    repository has its own, or one of another program, has none.
    """
    prefix = f"{NAME}:"
    own = json.loads(config.get(f"{prefix}repositories", "{}"))
    if any(overrides.keys() & {"immutableTags", "tagMutability"} for overrides in own.values()):
        return []
    return cast("list[str]", json.loads(config.get(f"{prefix}immutableTags", "[]")))


def _texts(description: str, default: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "array",
        "items": {"type": "string"},
        "default": list(default),
        "description": description,
    }


Check = Callable[[ResourceValidationArgs, Mapping[str, Any]], Iterable[Problem]]
"""What is wrong with a resource, given the configuration of the policy with all its keys."""


def _of_resources(
    name: str,
    description: str,
    schema: dict[str, Any],
    check: Check,
    level: EnforcementLevel = EnforcementLevel.MANDATORY,
) -> Policy:
    """A policy about one resource at a time."""
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


def _guarded(args: ResourceValidationArgs, config: Mapping[str, Any]) -> Iterable[Problem]:
    decided = guard.Decided(
        movable_tags=config["movableTags"],
        immutable_tags=config["immutableTags"],
        exempt=config["exempt"],
    )
    return guard.problems_in(args.resource_type, args.props, decided)


def _complete(args: StackValidationArgs, report: ReportViolation) -> None:
    for resource, problem in guard.incomplete(args.resources, args.get_config().get("exempt", ())):
        report(_message(resource, problem), resource.urn)


def _pinned(args: ResourceValidationArgs, config: Mapping[str, Any]) -> Iterable[Problem]:
    tags, allowed = config["movableTags"], config["allowedImages"]
    return images.problems_in(args.resource_type, args.props, tags, allowed)


def _pinned_in_production(
    args: ResourceValidationArgs, config: Mapping[str, Any]
) -> Iterable[Problem]:
    _, stack = _project_and_stack(args.urn)
    production = any(tag_glob(pattern, stack) for pattern in config["productionStacks"])
    return _pinned(args, config) if production else ()


def _no_way_round(args: ResourceValidationArgs, config: Mapping[str, Any]) -> Iterable[Problem]:
    address = "/".join((*_project_and_stack(args.urn), args.name))
    allowed = address in config["allowed"]
    return () if allowed else registries.problems_in(args.resource_type, args.props, address)


def _project_and_stack(urn: str) -> tuple[str, str]:
    stack, project, *_ = urn.removeprefix("urn:pulumi:").split("::")
    return project, stack


class _StrictServicer(policy._PolicyAnalyzerServicer):  # noqa: SLF001 as above
    """The SDK's server, which besides refuses a misspelt name in the configuration.

    The engine accepts a name for which no policy has a schema: a misspelt key would be ignored, and
    its default would apply.
    """

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802 the protocol's name
        """Raise ValueError, which ends the preview, with every name that is not known."""
        schemas = {it.name: it.config_schema for it in policies()}
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
