"""Whether ECR resources of any stack carry the guard that ADR040 relies on.

Properties are those that a policy is given, in camelCase: reading one that no preview can know
raises the SDK's UnknownValueError, which is reported as advisory and judged by the update.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pulumi_policy import ResourceValidationArgs, StackValidationArgs
from pulumi_policy.policy import PolicyResource
from pulumi_policy.proxy import UnknownValueError

from container_images.lifecycle.document import rules_in
from container_images.lifecycle.report import taker_of
from container_images.policies.document import plain
from container_images.policies.ecr_actions import Effect, actions
from container_images.policies.exemptions import exemptions
from container_images.policies.invalid_input import Problem, parse_json
from container_images.policies.patterns import tag_glob
from container_images.policies.tag_mutability import TAG_MUTABILITIES, is_immutable

REPOSITORY: Final = "aws:ecr/repository:Repository"
REPOSITORY_POLICY: Final = "aws:ecr/repositoryPolicy:RepositoryPolicy"
LIFECYCLE_POLICY: Final = "aws:ecr/lifecyclePolicy:LifecyclePolicy"

_DECLARE_IT: Final = "declare the repository with ImageRepository, which writes it"

Config = Mapping[str, Sequence[str]]
"""The configuration of a policy, with all its keys. docs/policy-pack.md says what they mean."""


def check(args: ResourceValidationArgs, config: Config) -> Iterator[Problem]:
    """Everything in which a repository, or a policy of one, is not as it was decided.

    Raises InvalidInputError for a policy that cannot be read.
    """
    checks = {
        REPOSITORY: _in_repository,
        REPOSITORY_POLICY: _in_repository_policy,
        LIFECYCLE_POLICY: _in_lifecycle_policy,
    }
    name = "name" if args.resource_type == REPOSITORY else "repository"
    if args.resource_type in checks and not _is_exempt(args.props, name, config):
        yield from checks[args.resource_type](args.props, config)


def _is_exempt(props: Mapping[str, Any], name: str, config: Config) -> bool:
    # Where none is exempt, the name need not be known.
    return bool(config["exempt"]) and props.get(name) in config["exempt"]


def document_in(props: Mapping[str, Any]) -> Any:
    """The document that is a resource's `policy`. Raises InvalidInputError for text without one."""
    written = plain(props.get("policy"))
    return parse_json(written, "policy", "use json.dumps") if isinstance(written, str) else written


def _in_repository(props: Mapping[str, Any], config: Config) -> Iterator[Problem]:
    mode = props.get("imageTagMutability") or "MUTABLE"  # AWS's default
    broken = Problem(
        where=("imageTagMutability",),
        value=mode,
        rule="no tag can move in it, and ADR040 needs one that does",
        fix=f"write one of {', '.join(TAG_MUTABILITIES)}",
    )
    if mode not in TAG_MUTABILITIES:
        yield broken
        return
    written = () if mode == "MUTABLE" else props.get("imageTagMutabilityExclusionFilters") or ()
    filters = [element["filter"] for element in written]
    for tag in config["movableTags"]:
        if is_immutable(tag, mode, filters):
            rule = f"with the exclusion filters {filters}, the tag {tag} cannot move"
            yield replace(broken, rule=rule, fix=f"leave {tag} out of the immutable tags")
    for pattern in config["immutableTags"]:
        if not _all_immutable(pattern, mode, filters):
            rule = f"with the exclusion filters {filters}, tags that match {pattern} can move"
            fix = f"write MUTABLE_WITH_EXCLUSION and the filter {pattern}"
            yield replace(broken, rule=rule, fix=fix)


def _all_immutable(pattern: str, mode: str, filters: Sequence[str]) -> bool:
    """Whether every tag that matches the pattern is immutable; False where that is unclear."""
    if mode == "IMMUTABLE_WITH_EXCLUSION":
        return not any("*" in other or tag_glob(pattern, other) for other in filters)
    # A filter that matches the pattern's own text, `*` included, matches whatever the pattern does.
    return mode == "MUTABLE_WITH_EXCLUSION" and any(tag_glob(other, pattern) for other in filters)


def _in_lifecycle_policy(props: Mapping[str, Any], config: Config) -> Iterator[Problem]:
    rules = rules_in(document_in(props))
    for tag in config["movableTags"]:
        if taker := taker_of(tag, rules):
            rule = f"rule {taker.priority} may expire the image that {tag} names"
            shield = f'"tagPatternList": ["{tag}"] and "imageCountMoreThan" 1'
            yield Problem(where=(), rule=rule, fix=f"before it, write a rule with {shield}")


_GUARDED: Final = {
    "the pipeline roles": actions(Effect.MOVE_TAG),
    "the administrators": actions(Effect.DELETE_IMAGE, Effect.CHANGE_GUARD),
}
"""What each Deny of the guard denies to everybody but these."""


def _in_repository_policy(props: Mapping[str, Any], _: Config) -> Iterator[Problem]:
    exempted, weak = exemptions(
        document_in(props), [each for of in _GUARDED.values() for each in of]
    )
    because = f" ({'; '.join(weak)})" if weak else ""
    for who, guarded in _GUARDED.items():
        if missing := ", ".join(sorted({*guarded} - exempted.keys())):
            rule = f"no Deny stops everybody but {who} from {missing}{because}"
            yield Problem(where=(), rule=rule, fix=_DECLARE_IT)
    pushers, administrators = (
        {role for action in guarded for role in exempted.get(action, ())}
        for guarded in _GUARDED.values()
    )
    if both := sorted(pushers & administrators):
        rule = "whoever may push and change the guard could move a tag without a trace"
        yield Problem(where=(), value=both, rule=rule, fix="make two roles of it")


# --- Repositories without their policies ----------------------------------------------------------

_MISSING: Final[Mapping[str, str]] = {
    REPOSITORY_POLICY: "every principal with ECR permissions in the account may move its tags",
    LIFECYCLE_POLICY: "nothing keeps movable tags, and nothing expires old images",
}


def incomplete(
    args: StackValidationArgs, config: Config
) -> Iterator[tuple[PolicyResource, Problem]]:
    """Each repository that lacks one of its policies, and which."""
    unknown, resources = None, args.resources
    for policy_type, missing in _MISSING.items():
        policies = [each for each in resources if each.resource_type == policy_type]
        policies.sort(key=lambda policy: not policy.property_dependencies.get("repository"))
        for repository in resources:
            if repository.resource_type != REPOSITORY:
                continue
            try:
                complete = any(_belongs(policy, repository) for policy in policies)
                if complete or _is_exempt(repository.props, "name", config):
                    continue
            except UnknownValueError as error:
                unknown = error
            else:
                kind = policy_type.rpartition(":")[2]
                rule = f"this stack has no {kind} for it: {missing}"
                yield repository, Problem(where=(), rule=rule, fix=_DECLARE_IT)
    if unknown:
        raise unknown


def _belongs(policy: PolicyResource, repository: PolicyResource) -> bool:
    """Whether a policy is a repository's.

    It is where its `repository` comes from, or else that of the name that is written there, in its
    account and Region as far as they are written.
    """
    if sources := policy.property_dependencies.get("repository"):
        return repository.urn in {source.urn for source in sources}
    both = (policy, repository)
    regions = {resource.props.get("region") for resource in both} - {None}
    providers = {resource.provider.urn if resource.provider else "" for resource in both}
    names = {policy.props.get("repository"), repository.props.get("name")}
    return len(names) == len(providers) == 1 and len(regions) <= 1
