"""Pure: whether ECR resources of any stack carry the guard that ADR040 relies on."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from container_images.lifecycle.document import rules_in
from container_images.lifecycle.report import taker_of
from container_images.policies.document import listed, names_action, statements_in
from container_images.policies.ecr_actions import Effect, actions
from container_images.policies.invalid_input import InvalidInputError, Problem, parse_json
from container_images.policies.patterns import tag_glob
from container_images.policies.tag_mutability import TAG_MUTABILITIES, is_immutable
from container_images.policypack.findings import UNKNOWN, Finding, Resource, Unknown, is_known

REPOSITORY: Final = "aws:ecr/repository:Repository"
REPOSITORY_POLICY: Final = "aws:ecr/repositoryPolicy:RepositoryPolicy"
LIFECYCLE_POLICY: Final = "aws:ecr/lifecyclePolicy:LifecyclePolicy"

_AS_HERE: Final = "declare the repository with ImageRepository, which writes it"


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What was decided of every repository."""

    movable_tags: Sequence[str] = ("latest",)
    """Exact names: they can move, and their images are never expired."""
    immutable_tags: Sequence[str] = ()
    """Patterns: no tag that matches one can be put on another image."""
    exempt: Sequence[str] = ()
    """Names of repositories that the rules are not about."""


def findings_in(resource: Resource, decided: Decided) -> Iterator[Finding]:
    """Everything in which a repository, or a policy of one, is not as it was decided."""
    key = "repository"
    if resource.type == REPOSITORY:
        key, judged = "name", _repository(resource.props, decided)
    elif resource.type == REPOSITORY_POLICY:
        judged = in_policy(resource, _repository_policy)
    elif resource.type == LIFECYCLE_POLICY:
        judged = in_policy(resource, partial(_lifecycle_policy, decided=decided))
    else:
        return
    name = resource.props.get(key)
    if name in decided.exempt:
        return
    found = list(judged)
    if name is UNKNOWN and decided.exempt and found:
        # It may be one of those that are exempt.
        found = [Unknown((key,))]
    yield from found


def in_policy(resource: Resource, judge: Callable[[Any], Iterator[Finding]]) -> Iterator[Finding]:
    """What a judge finds in the document that is a resource's `policy`, if it can be read."""
    written = resource.props.get("policy")
    if not is_known(written):
        yield Unknown(("policy",))
        return
    try:
        parsed = (
            parse_json(written, "policy", "use json.dumps") if isinstance(written, str) else written
        )
        yield from judge(parsed)
    except InvalidInputError as error:
        yield from (fault.under("policy") for fault in error.problems)


_LACKING: Final[Mapping[str, str]] = {
    REPOSITORY_POLICY: "every principal with ECR permissions in the account may move its tags",
    LIFECYCLE_POLICY: "nothing keeps movable tags, and nothing expires old images",
}


def incomplete(
    resources: Sequence[Resource], decided: Decided
) -> Iterator[tuple[Resource, Finding]]:
    """Each repository that lacks one of its policies, and which.

    A policy belongs to the repository that its `repository` comes from, or, where it is written
    out, to the one of that name, Region and provider.
    """
    repositories = [it for it in resources if it.type == REPOSITORY]
    urns = {it.urn for it in repositories}
    for kind, lacking in _LACKING.items():
        complete = set[str]()
        by_name: dict[Any, list[Resource]] = {}
        for policy in (it for it in resources if it.type == kind):
            if source := urns.intersection(policy.origins.get("repository", ())):
                complete |= source
            else:
                by_name.setdefault(policy.props.get("repository"), []).append(policy)
        for it in repositories:
            name = it.props.get("name")
            if it.urn in complete or name in decided.exempt:
                continue
            if name is UNKNOWN and (by_name or decided.exempt):
                yield it, Unknown(("name",))
            elif name is not UNKNOWN and any(_beside(it, one) for one in by_name.get(name, ())):
                continue
            elif UNKNOWN in by_name:
                yield it, Unknown(("repository",))
            else:
                what = kind.rpartition(":")[2]
                rule = f"this stack has no {what} for it: {lacking}"
                yield it, Problem(where=(), rule=rule, fix=_AS_HERE)


def _beside(one: Resource, other: Resource) -> bool:
    """Whether two resources are in one account and Region, as far as that is known."""
    regions = {it.props.get("region") for it in (one, other)} - {None, UNKNOWN}
    return len(regions) <= 1 and one.provider == other.provider


def _repository(props: Mapping[str, Any], decided: Decided) -> Iterator[Finding]:
    mode = props.get("imageTagMutability") or "MUTABLE"  # AWS's default
    written = props.get("imageTagMutabilityExclusionFilters") or []
    if not is_known(mode):
        yield Unknown(("imageTagMutability",))
    elif mode not in TAG_MUTABILITIES:
        rule = "no tag can move in it, and ADR040 needs one that does"
        yield _of_mode(mode, rule, f"write one of {', '.join(TAG_MUTABILITIES)}")
    elif mode != "MUTABLE" and not is_known(written):
        yield Unknown(("imageTagMutabilityExclusionFilters",))
    else:
        filters = [it["filter"] for it in written] if mode != "MUTABLE" else []
        which = f"with the exclusion filters {filters},"
        for tag in decided.movable_tags:
            if is_immutable(tag, mode, filters):
                fix = f"leave {tag} out of what stays on its image"
                yield _of_mode(mode, f"{which} the tag {tag} cannot move", fix)
        for pattern in decided.immutable_tags:
            if not _stays(pattern, mode, filters):
                fix = f"write MUTABLE_WITH_EXCLUSION and the filter {pattern}"
                yield _of_mode(mode, f"{which} tags that match {pattern} can move", fix)


def _of_mode(mode: str, rule: str, fix: str) -> Problem:
    return Problem(where=("imageTagMutability",), value=mode, rule=rule, fix=fix)


def _stays(pattern: str, mode: str, filters: Sequence[str]) -> bool:
    """Whether every tag that matches the pattern stays on its image; False where it is unclear."""
    if mode == "IMMUTABLE_WITH_EXCLUSION":
        return not any("*" in it or tag_glob(pattern, it) for it in filters)
    # A filter that matches the pattern's own text, `*` included, matches whatever the pattern does.
    return mode == "MUTABLE_WITH_EXCLUSION" and any(tag_glob(it, pattern) for it in filters)


def _lifecycle_policy(document: Any, decided: Decided) -> Iterator[Finding]:
    """Raises InvalidInputError for a document that AWS would refuse."""
    rules = rules_in(document)
    for tag in decided.movable_tags:
        if taker := taker_of(tag, rules):
            yield Problem(
                where=("policy",),
                rule=f"rule {taker.priority} may expire the image that {tag} names",
                fix=f'before it, write a rule with "tagPatternList": ["{tag}"] and '
                '"imageCountMoreThan" 1',
            )


# --- The Denies of a repository policy ------------------------------------------------------------

_PUSHING: Final = frozenset(actions(Effect.MOVE_TAG))
_ADMINISTERING: Final = frozenset(actions(Effect.DELETE_IMAGE, Effect.CHANGE_GUARD))

_OPERATORS: Final = ("arnnotequals", "arnnotlike", "stringnotequals", "stringnotlike")
_ROLE: Final = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:role/[\w+=,.@/-]+")
"""One role: no wildcard, and no policy variable, which only the caller's request fills in."""


def _repository_policy(document: Any) -> Iterator[Finding]:
    spared: dict[str, frozenset[str]] = {}
    reasons = []
    for position, it in enumerate(statements_in(document, "Deny")):
        denied = {act for act in _PUSHING | _ADMINISTERING if names_action(it.get("Action"), act)}
        if not denied:
            continue
        roles = _spared(it)
        if isinstance(roles, str):
            reasons.append(f"statement {it.get('Sid') or position + 1} {roles}")
            continue
        # What several Denies deny, only those may do whom all of them spare.
        spared |= {action: roles & spared.get(action, roles) for action in denied}
    for needed, who in ((_PUSHING, "the pipeline roles"), (_ADMINISTERING, "the administrators")):
        if missing := sorted(needed - spared.keys()):
            because = f" ({'; '.join(reasons)})" if reasons else ""
            yield Problem(
                where=("policy",),
                rule=f"no Deny stops everybody but {who} from {', '.join(missing)}{because}",
                fix=_AS_HERE,
            )
    pushers = frozenset[str]().union(*(spared.get(it, ()) for it in _PUSHING))
    administrators = frozenset[str]().union(*(spared.get(it, ()) for it in _ADMINISTERING))
    if both := sorted(pushers & administrators):
        yield Problem(
            where=("policy",),
            value=both,
            rule="whoever may push and change the guard could move a tag without a trace",
            fix="make two roles of it",
        )


def _spared(deny: Mapping[str, Any]) -> frozenset[str] | str:
    """The exact roles that a Deny spares, where it holds for everybody else; or why it does not."""
    principal = deny.get("Principal")
    if isinstance(principal, dict) and principal.keys() == {"AWS"}:
        principal = principal["AWS"]
    if listed(principal) != ["*"]:
        return 'is not about everybody ("Principal": "*")'
    if "Resource" in deny or "NotResource" in deny:
        return "names a Resource, and a repository policy is about its own repository"
    condition = deny.get("Condition")
    tests = list(condition.items()) if isinstance(condition, dict) else []
    if len(tests) != 1 or not isinstance(tests[0][1], dict) or len(tests[0][1]) != 1:
        many = "has more than one condition, and holds only where all of them are met"
        return many if tests else "exempts nobody, so that nobody could ever change it"
    [(operator, test)] = tests
    [(key, arns)] = test.items()
    if operator.lower() not in _OPERATORS or key.lower() != "aws:principalarn":
        return f"depends on {operator} {key} instead of ArnNotEquals aws:PrincipalArn"
    roles = [str(it) for it in listed(arns)]
    if inexact := [it for it in roles if not _ROLE.fullmatch(it)]:
        return f"exempts {', '.join(inexact)}, which is not the ARN of one role"
    return frozenset(roles)
