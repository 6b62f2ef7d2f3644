"""The policies as Pulumi takes them. They report violations, and values that are not known yet."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Final

from pulumi.runtime import get_config_env
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyPack,
    ReportViolation,
    ResourceValidationPolicy,
    StackValidationPolicy,
    policy,
)
from pulumi_policy.proxy import UnknownValueError

from container_images.policies.forms import DEFAULT_MOVABLE_TAGS
from container_images.policies.invalid_input import InvalidInputError, Problem, printable
from container_images.policypack import guard, images

NAME: Final = "container-images"
"""The pack's name: it stands in every message of it, and in its configuration."""

_Check = Callable[[Any, guard.Config], guard.Findings]
_PRODUCTION: Final = ("prod", "production", "prod-*", "production-*", "*-prod", "*-production")


def serve() -> None:
    """Serve the policies until the engine ends."""
    # The SDK offers no other place for it.
    policy._PolicyAnalyzerServicer = _StrictServicer  # type: ignore[misc] # noqa: SLF001
    PolicyPack(name=NAME, policies=policies())


def policies() -> list[Policy]:
    """All policies of the pack.

    The keys of the configuration are lists of texts: docs/policy-pack.md says what they mean.
    """
    exempt: guard.Config = {"exempt": ()}
    allowed: guard.Config = {"allowed": ()}
    movable: guard.Config = {"movableTags": DEFAULT_MOVABLE_TAGS}
    guarded = {**exempt, **movable, "immutableTags": immutable_tags(get_config_env())}
    pinned = {**movable, "allowedImages": images.ALLOWED_IMAGES}
    production = {**pinned, "productionStacks": _PRODUCTION}
    by_tag = "runs images by a unique tag or a digest."
    return [
        _policy("guarded-repository", guard.check, guarded, "Tags and policies hold the guard."),
        _policy("complete-repository", guard.incomplete, exempt, "Both policies are declared."),
        _policy("pinned-production-image", images.check, production, f"Production {by_tag}"),
        _policy("pinned-image", images.check, pinned, f"A stack {by_tag}"),
        _policy("no-way-round-the-guard", guard.way_round, allowed, "Nothing goes round a guard."),
    ]


def _policy(name: str, check: _Check, defaults: guard.Config, description: str) -> Policy:
    """A policy that reports what a check finds. The keys of its configuration have defaults."""

    def validate(args: Any, report: ReportViolation) -> None:
        def tell(resource: Any, problem: Problem) -> None:
            # Names and values come from other people's programs.
            kind = resource.resource_type.rpartition(":")[2]
            report(printable(f"{kind} {resource.name}: {problem}"), resource.urn)

        unknown = None
        try:
            for finding in check(args, {**defaults, **args.get_config()}):
                if isinstance(finding, UnknownValueError):
                    unknown = finding
                else:
                    tell(*(finding if isinstance(finding, tuple) else (args, finding)))
        except InvalidInputError as error:
            for problem in error.problems:
                tell(args, replace(problem, where=("policy", *problem.where)))
        if unknown:
            raise unknown

    of_stack, advised = check is guard.incomplete, name == "pinned-image"
    texts = {"type": "array", "items": {"type": "string"}}
    schema = {key: {**texts, "default": [*default]} for key, default in defaults.items()}
    made: Policy = (StackValidationPolicy if of_stack else ResourceValidationPolicy)(
        name=name,
        description=description,
        enforcement_level=EnforcementLevel.ADVISORY if advised else EnforcementLevel.MANDATORY,
        config_schema=PolicyConfigSchema(schema),
        validate=validate,
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


class _StrictServicer(policy._PolicyAnalyzerServicer):  # noqa: SLF001 as above
    """The SDK's server, which besides refuses a misspelt name in the configuration.

    The engine accepts a name for which no policy has a schema: a misspelt key would be ignored, and
    its default would apply.
    """

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802 the protocol's name
        """Raise ValueError, which ends the preview, with every name that is not known."""
        known, written = ["all"], []
        for each in policies():
            keys = each.config_schema.properties if each.config_schema else ()
            known += [each.name, *(f"{each.name}.{key}" for key in keys)]
        for name, config in request.policyConfig.items():
            written += [name, *(f"{name}.{key}" for key in config.properties)]
        errors = [
            f"{name} is not known, did you mean {get_close_matches(name, known, 1, 0)[0]}?"
            for name in written
            if name not in known
        ]
        if errors:
            raise ValueError("; ".join(["the policy pack's configuration is wrong", *errors]))
        return super().Configure(request, context)  # type: ignore[no-untyped-call]
