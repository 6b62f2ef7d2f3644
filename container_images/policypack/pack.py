"""The policies as Pulumi takes them. They report violations, and values that are not known yet."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.policy import PolicyResource
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, UnknownValueError

from container_images.policies.patterns import tag_glob
from container_images.policypack import guard, images, registries
from container_images.policypack.findings import UNKNOWN, Finding, Resource, Unknown

NAME: Final = "container-images"
"""The pack's name: it stands in every message of it, and in its configuration."""

MOVABLE_TAGS: Final[Sequence[str]] = ("latest",)
PRODUCTION_STACKS: Final[Sequence[str]] = (
    "prod", "production", "prod-*", "production-*", "*-prod", "*-production",
)  # fmt: skip


class NotKnownYetError(UnknownValueError):
    """Values that decide and that no preview knows.

    The SDK reports it as advisory, whatever the policy's own level: `pulumi up` knows the values,
    and judges them before the resource is made.
    """

    def __init__(self, unknown: Iterable[str]) -> None:
        super().__init__(UNKNOWN_STRING_VALUE, [])
        self.message = (
            f"{', '.join(dict.fromkeys(unknown))}: not known yet; `pulumi up` will judge it"
        )


def policies() -> list[Policy]:
    """All policies of the pack."""
    exempt = {"exempt": _texts("Names of repositories that are exempt", ())}
    decided = exempt | {
        "movableTags": _texts(
            "Movable tags: they must be able to move, and never expire", MOVABLE_TAGS
        ),
        "immutableTags": _texts("Patterns of tags that must stay on their image", ()),
    }
    movable = {
        "movableTags": _texts("Patterns of tags that move from image to image", MOVABLE_TAGS)
    }
    stacks = {"productionStacks": _texts("Patterns of stack names", PRODUCTION_STACKS)}
    allowed = {"allowed": _texts("Resources that are exempt, as PROJECT/STACK/NAME", ())}
    return [
        _of_resources(
            "guarded-repository",
            "An ECR repository has the decided tag mutability, a policy with both "
            "Denies, and a lifecycle policy that never expires what a movable tag names.",
            decided,
            lambda it, config: guard.findings_in(it, _decided(config)),
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
            movable | stacks,
            _pinned_in_production,
        ),
        _of_resources(
            "pinned-image",
            "A stack runs images by a unique tag or a digest.",
            movable,
            _pinned,
            EnforcementLevel.ADVISORY,
        ),
        _of_resources(
            "no-way-round-the-guard",
            "No resource changes images where no repository's guard applies.",
            allowed,
            lambda it, config: registries.findings_in(it, config.get("allowed", ())),
        ),
    ]


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
    find: Callable[[Resource, Mapping[str, Any]], Iterable[Finding]],
    level: EnforcementLevel = EnforcementLevel.MANDATORY,
) -> Policy:
    """A policy about one resource at a time: what is found in it, given the configuration."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = _resource(args)
        _tell(((resource, it) for it in find(resource, args.get_config())), report)

    return ResourceValidationPolicy(
        name=name,
        description=description,
        enforcement_level=level,
        config_schema=PolicyConfigSchema(schema),
        validate=validate,
    )


def _decided(config: Mapping[str, Any]) -> guard.Decided:
    return guard.Decided(
        movable_tags=config.get("movableTags", MOVABLE_TAGS),
        immutable_tags=config.get("immutableTags", ()),
        exempt=config.get("exempt", ()),
    )


def _complete(args: StackValidationArgs, report: ReportViolation) -> None:
    resources = [_resource(it) for it in args.resources if it.resource_type.startswith("aws:ecr/")]
    _tell(guard.incomplete(resources, _decided(args.get_config())), report)


def _pinned(resource: Resource, config: Mapping[str, Any]) -> Iterable[Finding]:
    return images.findings_in(resource, config.get("movableTags", MOVABLE_TAGS))


def _pinned_in_production(resource: Resource, config: Mapping[str, Any]) -> Iterable[Finding]:
    stacks = config.get("productionStacks", PRODUCTION_STACKS)
    return _pinned(resource, config) if any(tag_glob(it, resource.stack) for it in stacks) else ()


def _tell(found: Iterable[tuple[Resource, Finding]], report: ReportViolation) -> None:
    """Report every fault first, and only then what could not be judged, which ends the policy."""
    unknown = []
    for resource, it in found:
        if isinstance(it, Unknown):
            unknown.append(f"{it} of {resource}")
        else:
            report(f"{resource} {it}" if it.where else f"{resource}: {it}", resource.urn)
    if unknown:
        raise NotKnownYetError(unknown)


def _resource(args: ResourceValidationArgs | PolicyResource) -> Resource:
    origins = args.property_dependencies if isinstance(args, PolicyResource) else {}
    return Resource(
        urn=args.urn,
        type=args.resource_type,
        name=args.name,
        props=cast("dict[str, Any]", _plain(args.props)),
        provider=args.provider.urn if args.provider else "",
        origins={key: tuple(it.urn for it in found) for key, found in origins.items()},
    )


def _plain(value: Any) -> Any:
    """A value as JSON has it, with UNKNOWN where the SDK's proxy would raise."""
    if isinstance(value, Mapping):
        return {key: _at(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_at(value, position) for position in range(len(value))]
    # The protocol has no whole numbers.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _at(container: Any, key: str | int) -> Any:
    try:
        return _plain(container[key])
    except UnknownValueError:
        return UNKNOWN
