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
    StackValidationPolicy,
    policy,
)
from pulumi_policy.policy import PolicyResource

from container_images.policies.invalid_input import InvalidInputError, Problem, printable
from container_images.policies.tag_mutability import DEFAULT_MOVABLE_TAGS
from container_images.policypack import guard, images, registries

NAME: Final = "container-images"
"""The pack's name: it stands in every message of it, and in its configuration."""

_PRODUCTION: Final = ("prod", "production", "prod-*", "production-*", "*-prod", "*-production")

_Policy = tuple[EnforcementLevel, str, Callable[..., Iterator[Any]], Sequence[str]]
_REFUSED, _ADVISED = EnforcementLevel.MANDATORY, EnforcementLevel.ADVISORY

POLICIES: Final[Mapping[str, _Policy]] = {
    "guarded-repository": (
        _REFUSED,
        "Tag mutability is as decided, and repository and lifecycle policies hold the guard.",
        guard.check,
        ("exempt", "movableTags", "immutableTags"),
    ),
    "complete-repository": (
        _REFUSED,
        "An ECR repository comes with a repository policy and a lifecycle policy.",
        guard.incomplete,
        ("exempt",),
    ),
    "pinned-production-image": (
        _REFUSED,
        "A production stack runs images by a unique tag or a digest.",
        images.check_in_production,
        ("movableTags", "allowedImages", "productionStacks"),
    ),
    "pinned-image": (
        _ADVISED,
        "A stack runs images by a unique tag or a digest.",
        images.check,
        ("movableTags", "allowedImages"),
    ),
    "no-way-round-the-guard": (
        _REFUSED,
        "No resource changes images where no repository's guard applies.",
        registries.check,
        ("allowed",),
    ),
}
"""By name: level, description, check, and the keys of the configuration."""


def serve() -> None:
    """Serve the policies until the engine ends."""
    # The SDK offers no other place for it.
    policy._PolicyAnalyzerServicer = _StrictServicer  # type: ignore[misc] # noqa: SLF001
    PolicyPack(name=NAME, policies=policies())


def policies() -> list[Policy]:
    """All policies of the pack. The one about a whole stack is of another class.

    The keys of the configuration are lists of texts: docs/policy-pack.md says what they mean.
    """
    defaults: Mapping[str, Sequence[str]] = {
        "allowed": (),
        "allowedImages": images.ALLOWED_IMAGES,
        "exempt": (),
        "immutableTags": immutable_tags(get_config_env()),
        "movableTags": DEFAULT_MOVABLE_TAGS,
        "productionStacks": _PRODUCTION,
    }
    texts = {"type": "array", "items": {"type": "string"}}
    made: list[Policy] = []
    for name, (level, description, check, keys) in POLICIES.items():
        own = {key: defaults[key] for key in keys}
        kind = StackValidationPolicy if check is guard.incomplete else ResourceValidationPolicy
        schema = {key: {**texts, "default": [*default]} for key, default in own.items()}
        made.append(
            kind(
                name=name,
                description=description,
                enforcement_level=level,
                config_schema=PolicyConfigSchema(schema),
                validate=_validation(check, own),
            )
        )
    return made


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


def _validation(check: Callable[..., Iterator[Any]], defaults: guard.Config) -> Any:
    def validate(args: Any, report: ReportViolation) -> None:
        try:
            for finding in check(args, {**defaults, **args.get_config()}):
                # The policy about a stack says which resource its finding is about.
                resource, problem = finding if isinstance(finding, tuple) else (args, finding)
                report(_message(resource, problem), resource.urn)
        except InvalidInputError as error:
            for problem in error.problems:
                report(_message(args, problem.under("policy")), args.urn)

    return validate


def _message(resource: ResourceValidationArgs | PolicyResource, problem: Problem) -> str:
    """One line, printable: names and values come from other people's programs."""
    name = f"{resource.resource_type.rpartition(':')[2]} {resource.name}"
    return printable(f"{name} {problem}" if problem.where else f"{name}: {problem}")


class _StrictServicer(policy._PolicyAnalyzerServicer):  # noqa: SLF001 as above
    """The SDK's server, which besides refuses a misspelt name in the configuration.

    The engine accepts a name for which no policy has a schema: a misspelt key would be ignored, and
    its default would apply.
    """

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802 the protocol's name
        """Raise ValueError, which ends the preview, with every name that is not known."""
        errors = []
        for name, config in request.policyConfig.items():
            if name in POLICIES:
                *_, keys = POLICIES[name]
                wrong = sorted({*config.properties} - {*keys})
                errors += [_misspelt(f"{name}.{key}", key, keys) for key in wrong]
            elif name != "all":
                errors.append(_misspelt(name, name, POLICIES))
        if errors:
            raise ValueError("; ".join(["the policy pack's configuration is wrong", *errors]))
        return super().Configure(request, context)  # type: ignore[no-untyped-call]


def _misspelt(where: str, name: str, names: Iterable[str]) -> str:
    [nearest] = get_close_matches(name, names, n=1, cutoff=0)
    return f"{where} is not known, did you mean {nearest}?"
