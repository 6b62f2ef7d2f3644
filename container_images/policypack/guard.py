"""Whether ECR resources of any stack carry the guard that ADR040 relies on, or go round it.

Properties are those that a policy is given, in camelCase: reading one that no preview can know
raises the SDK's UnknownValueError, which is reported as advisory and judged by the update.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pulumi_policy import ResourceValidationArgs, StackValidationArgs
from pulumi_policy.policy import PolicyResource
from pulumi_policy.proxy import UnknownValueError

from container_images.lifecycle.document import rules_in
from container_images.lifecycle.report import taker_of
from container_images.policies.document import names_action, plain, statements_in, tag_glob
from container_images.policies.ecr_actions import Effect, actions
from container_images.policies.forms import TAG_MUTABILITIES, is_immutable
from container_images.policies.invalid_input import Problem, parse_json
from container_images.policies.repository_policy import exemptions

REPOSITORY: Final = "aws:ecr/repository:Repository"
REPOSITORY_POLICY: Final = "aws:ecr/repositoryPolicy:RepositoryPolicy"
LIFECYCLE_POLICY: Final = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
REGISTRY_POLICY: Final = "aws:ecr/registryPolicy:RegistryPolicy"

_DECLARE_IT: Final = "declare the repository with ImageRepository, which writes it"

Config = Mapping[str, Sequence[str]]
"""The configuration of a policy, with all its keys. docs/policy-pack.md says what they mean."""
Findings = Iterator[Problem | tuple[PolicyResource, Problem] | UnknownValueError]
"""What a check finds: problems of its resource or of another one, and what is not known yet."""


def check(args: ResourceValidationArgs, config: Config) -> Findings:
    """Everything in which a repository, or a policy of one, is not as it was decided."""
    checks = {
        REPOSITORY: _in_repository,
        REPOSITORY_POLICY: _in_repository_policy,
        LIFECYCLE_POLICY: _in_lifecycle_policy,
    }
    if args.resource_type in checks and not _is_exempt(args.props, config):
        yield from checks[args.resource_type](args.props, config)


def _is_exempt(props: Mapping[str, Any], config: Config) -> bool:
    # Where none is exempt, the name need not be known.
    return any(name in (props.get("repository"), props.get("name")) for name in config["exempt"])


def _document_in(props: Mapping[str, Any]) -> Any:
    """The document that is a resource's `policy`. Raises InvalidInputError for text without one."""
    written = plain(props.get("policy"))
    return parse_json(written, "policy", "use json.dumps") if isinstance(written, str) else written


def _in_repository(props: Mapping[str, Any], config: Config) -> Iterator[Problem]:
    mode, errors = props.get("imageTagMutability") or "MUTABLE", {}  # AWS's default
    if mode in TAG_MUTABILITIES:
        written = () if mode == "MUTABLE" else props.get("imageTagMutabilityExclusionFilters") or ()
        filters = [element["filter"] for element in written]
        for tag in config["movableTags"]:
            if is_immutable(tag, mode, filters):
                rule = f"with the exclusion filters {filters}, the tag {tag} cannot move"
                errors[rule] = f"leave {tag} out of the immutable tags"
        for pattern in config["immutableTags"]:
            if not _all_immutable(pattern, mode, filters):
                rule = f"with the exclusion filters {filters}, tags that match {pattern} can move"
                errors[rule] = f"write MUTABLE_WITH_EXCLUSION and the filter {pattern}"
    else:
        rule = "no tag can move in it, and ADR040 needs one that does"
        errors[rule] = f"write one of {', '.join(TAG_MUTABILITIES)}"
    for rule, fix in errors.items():
        yield Problem(where=("imageTagMutability",), value=mode, rule=rule, fix=fix)


def _all_immutable(pattern: str, mode: str, filters: Sequence[str]) -> bool:
    """Whether every tag that matches the pattern is immutable; False where that is unclear."""
    if mode == "IMMUTABLE_WITH_EXCLUSION":
        return not any("*" in other or tag_glob(pattern, other) for other in filters)
    # A filter that matches the pattern's own text, `*` included, matches whatever the pattern does.
    return mode == "MUTABLE_WITH_EXCLUSION" and any(tag_glob(other, pattern) for other in filters)


def _in_lifecycle_policy(props: Mapping[str, Any], config: Config) -> Iterator[Problem]:
    rules = rules_in(_document_in(props))
    for tag in config["movableTags"]:
        if taker := taker_of(tag, rules):
            rule = f"rule {taker.priority} may expire the image that {tag} names"
            shield = f'"tagPatternList": ["{tag}"] and "imageCountMoreThan" 1'
            yield Problem(where=(), rule=rule, fix=f"before it, write a rule with {shield}")


def _in_repository_policy(props: Mapping[str, Any], _: Config) -> Iterator[Problem]:
    pushing = actions(Effect.MOVE_TAG)
    administering = actions(Effect.DELETE_IMAGE, Effect.CHANGE_GUARD)
    exempted, weak = exemptions(_document_in(props), [*pushing, *administering])
    because = f" ({'; '.join(weak)})" if weak else ""
    for who, guarded in (("pipeline roles", pushing), ("administrators", administering)):
        if missing := ", ".join(sorted({*guarded} - exempted.keys())):
            rule = f"no Deny stops everybody but the {who} from {missing}{because}"
            yield Problem(where=(), rule=rule, fix=_DECLARE_IT)
    pushers, administrators = (
        {role for action in guarded for role in exempted.get(action, ())}
        for guarded in (pushing, administering)
    )
    if both := sorted(pushers & administrators):
        rule = "whoever may push and change the guard could move a tag without a trace"
        yield Problem(where=(), value=both, rule=rule, fix="make two roles of it")


_MISSING: Final = {
    REPOSITORY_POLICY: "every principal with ECR permissions in the account may move its tags",
    LIFECYCLE_POLICY: "nothing keeps movable tags, and nothing expires old images",
}


def incomplete(args: StackValidationArgs, config: Config) -> Findings:
    """Each repository that lacks one of its policies, and which."""
    repositories = [each for each in args.resources if each.resource_type == REPOSITORY]
    for policy_type, missing in _MISSING.items():
        policies = [each for each in args.resources if each.resource_type == policy_type]
        policies.sort(key=lambda policy: not policy.property_dependencies.get("repository"))
        rule = f"this stack has no {policy_type.rpartition(':')[2]} for it: {missing}"
        for repository in repositories:
            try:
                complete = any(_belongs(policy, repository) for policy in policies)
                if not complete and not _is_exempt(repository.props, config):
                    yield repository, Problem(where=(), rule=rule, fix=_DECLARE_IT)
            except UnknownValueError as error:
                yield error


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


WAYS_ROUND: Final = {
    "AccountSetting": "it changes rules of the registry, such as what its policy can deny",
    "PullThroughCacheRule": "images and their tags come from another registry",
    "ReplicationConfiguration": "ECR's own role puts images and tags, and no Deny stops it",
    "RepositoryCreationTemplate": "ECR makes repositories from it without the two Denies",
}
"""By type of ECR: why no repository's guard holds there."""


def way_round(args: ResourceValidationArgs, config: Config) -> Findings:
    """What in a resource goes round the guard, unless the configuration allows its address."""
    stack, project, *_ = args.urn.removeprefix("urn:pulumi:").split("::")
    address = f"{project}/{stack}/{args.name}"
    if address in config["allowed"]:
        return
    fix = f"leave it out, or have {address} added to `allowed` in the policy pack's configuration"
    service, _, kind = args.resource_type.rpartition(":")
    if service.startswith("aws:ecr/") and kind in WAYS_ROUND:
        yield Problem(where=(), rule=WAYS_ROUND[kind], fix=fix)
    elif args.resource_type == REGISTRY_POLICY and (granted := _granted(_document_in(args.props))):
        rule = "with these, others put or change images, which no repository's guard sees"
        yield Problem(where=("policy",), value=granted, rule=rule, fix=fix)


def _granted(document: Any) -> list[str]:
    """What the policy allows others to do to images. A Deny goes round nothing."""
    reading = {Effect.PULL, Effect.READ, Effect.READ_REGISTRY, Effect.HARMLESS}
    allows = statements_in(document, "Allow")
    return [
        action
        for action in actions(*{*Effect} - reading)
        if any(names_action(allow.get("Action"), action) for allow in allows)
        or any(not names_action(allow.get("NotAction", "*"), action) for allow in allows)
    ]
