"""Pure: whether ECR resources of any stack carry the guard that ADR040 relies on."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from policies.ecr_actions import Effect, actions
from policies.fault import Fault, InvalidInputError, parse_json
from policies.patterns import matches
from policies.tag_mutability import TAG_MUTABILITIES, is_write_once
from policypack.findings import UNKNOWN, Finding, Resource, Unknown, is_known
from registry.lifecycle.document import rules_in
from registry.lifecycle.report import taker_of

REPOSITORY: Final = "aws:ecr/repository:Repository"
REPOSITORY_POLICY: Final = "aws:ecr/repositoryPolicy:RepositoryPolicy"
LIFECYCLE_POLICY: Final = "aws:ecr/lifecyclePolicy:LifecyclePolicy"

_AS_HERE: Final = "declare the repository with ImageRepository, which writes it"


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What was decided of every repository."""

    movable_tags: Sequence[str] = ("latest",)
    """Exact names: they can move, and their images are never expired."""
    write_once_tags: Sequence[str] = ()
    """Patterns: no tag that matches one can be put on another image."""
    exempt: Sequence[str] = ()
    """Names of repositories that the rules are not about."""


def findings_in(resource: Resource, decided: Decided) -> Iterator[Finding]:
    """Everything in which a repository, or a policy of one, is not as it was decided."""
    if resource.type not in {REPOSITORY, REPOSITORY_POLICY, LIFECYCLE_POLICY}:
        return
    key = "name" if resource.type == REPOSITORY else "repository"
    name = resource.props.get(key)
    if name in decided.exempt:
        return
    found = list(_judged(resource, decided))
    if name is UNKNOWN and decided.exempt and found:
        # It may be one of those that are exempt.
        yield Unknown((key,))
        return
    yield from found


def _judged(resource: Resource, decided: Decided) -> Iterator[Finding]:
    if resource.type == REPOSITORY:
        return _repository(resource.props, decided)
    if resource.type == REPOSITORY_POLICY:
        return in_policy(resource, _repository_policy)
    return in_policy(resource, partial(_lifecycle_policy, decided=decided))


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
        yield from (fault.under("policy") for fault in error.faults)


_LACKING: Final[Mapping[str, str]] = {
    REPOSITORY_POLICY: "every principal with ECR permissions in the account may move its tags",
    LIFECYCLE_POLICY: "nothing keeps movable tags, and nothing expires old images",
}


def incomplete(resources: Sequence[Resource], decided: Decided) -> Iterator[tuple[str, Finding]]:
    """The URN of each repository that lacks one of its policies, and which.

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
                yield it.urn, Unknown(("name",))
            elif name is not UNKNOWN and any(_beside(it, one) for one in by_name.get(name, ())):
                continue
            elif UNKNOWN in by_name:
                yield it.urn, Unknown(("repository",))
            else:
                what = kind.rpartition(":")[2]
                rule = f"this stack has no {what} for it: {lacking}"
                yield it.urn, Fault(where=(), rule=rule, fix=_AS_HERE)


def _beside(one: Resource, other: Resource) -> bool:
    """Whether two resources are in one account and Region, as far as that is known."""
    regions = {it.props.get("region") for it in (one, other)} - {None, UNKNOWN}
    return len(regions) <= 1 and one.provider == other.provider


def _repository(props: Mapping[str, Any], decided: Decided) -> Iterator[Finding]:
    mode = props.get("imageTagMutability") or "MUTABLE"  # AWS's default
    written = props.get("imageTagMutabilityExclusionFilters") or []
    if not is_known(mode):
        yield Unknown(("imageTagMutability",))
        return
    if mode not in TAG_MUTABILITIES:
        yield Fault(
            where=("imageTagMutability",),
            value=mode,
            rule="no tag can move in it, and ADR040 needs one that does",
            fix=f"write one of {', '.join(TAG_MUTABILITIES)}",
        )
        return
    if mode != "MUTABLE" and not is_known(written):
        yield Unknown(("imageTagMutabilityExclusionFilters",))
        return
    filters = [it["filter"] for it in written] if mode != "MUTABLE" else []
    for tag in decided.movable_tags:
        if is_write_once(tag, mode, filters):
            yield Fault(
                where=("imageTagMutability",),
                value=mode,
                rule=f"with the exclusion filters {filters}, the tag {tag} cannot move",
                fix=f"leave {tag} out of what stays on its image",
            )
    for pattern in decided.write_once_tags:
        if not _stays(pattern, mode, filters):
            yield Fault(
                where=("imageTagMutability",),
                value=mode,
                rule=f"with the exclusion filters {filters}, tags that match {pattern} can move",
                fix=f"write MUTABLE_WITH_EXCLUSION and the filter {pattern}",
            )


def _stays(pattern: str, mode: str, filters: Sequence[str]) -> bool:
    """Whether every tag that matches the pattern stays on its image; False where it is unclear."""
    if mode == "IMMUTABLE_WITH_EXCLUSION":
        return not any("*" in it or matches(pattern, it) for it in filters)
    # A filter that matches the pattern's own text, `*` included, matches whatever the pattern does.
    return mode == "MUTABLE_WITH_EXCLUSION" and any(matches(it, pattern) for it in filters)


def _lifecycle_policy(document: Any, decided: Decided) -> Iterator[Finding]:
    """Raises InvalidInputError for a document that AWS would refuse."""
    rules = rules_in(document)
    for tag in decided.movable_tags:
        if taker := taker_of(tag, rules):
            yield Fault(
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
        denied = {act for act in _PUSHING | _ADMINISTERING if names(it.get("Action"), act)}
        if not denied:
            continue
        if reason := _why_void(it):
            reasons.append(f"statement {it.get('Sid') or position + 1} {reason}")
            continue
        # What several Denies deny, only those may do whom all of them spare.
        roles = frozenset(_spared(it))
        spared |= {action: roles & spared.get(action, roles) for action in denied}
    for needed, who in ((_PUSHING, "the pipeline roles"), (_ADMINISTERING, "the administrators")):
        if missing := sorted(needed - spared.keys()):
            because = f" ({'; '.join(reasons)})" if reasons else ""
            yield Fault(
                where=("policy",),
                rule=f"no Deny stops everybody but {who} from {', '.join(missing)}{because}",
                fix=_AS_HERE,
            )
    pushers = frozenset[str]().union(*(spared.get(it, ()) for it in _PUSHING))
    administrators = frozenset[str]().union(*(spared.get(it, ()) for it in _ADMINISTERING))
    if both := sorted(pushers & administrators):
        yield Fault(
            where=("policy",),
            value=both,
            rule="whoever may push and change the guard could move a tag without a trace",
            fix="make two roles of it",
        )


def statements_in(document: Any, effect: str) -> list[Mapping[str, Any]]:
    """The statements of a policy with this effect. None of what is no policy."""
    statements = document.get("Statement") if isinstance(document, dict) else None
    return [it for it in _listed(statements) if isinstance(it, dict) and it.get("Effect") == effect]


def names(written: Any, action: str) -> bool:
    """Whether an Action or a NotAction is about an action: any case, with `*` and `?`.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_action.html
    """
    patterns = (
        re.escape(str(it)).replace(r"\*", ".*").replace(r"\?", ".") for it in _listed(written)
    )
    return any(re.fullmatch(it, action, re.IGNORECASE) for it in patterns)


def _listed(value: Any) -> list[Any]:
    """What IAM takes as a list or as its one element."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _why_void(deny: Mapping[str, Any]) -> str | None:
    """Why the Deny does not hold for everybody but some exact roles; None if it does."""
    principal = deny.get("Principal")
    if isinstance(principal, dict) and principal.keys() == {"AWS"}:
        principal = principal["AWS"]
    if _listed(principal) != ["*"]:
        return 'is not about everybody ("Principal": "*")'
    if "Resource" in deny or "NotResource" in deny:
        return "names a Resource, and a repository policy is about its own repository"
    return _why_not_of_roles(deny.get("Condition"))


def _why_not_of_roles(condition: Any) -> str | None:
    tests = list(condition.items()) if isinstance(condition, dict) else []
    if not tests:
        return "exempts nobody, so that nobody could ever change it"
    if len(tests) != 1 or not isinstance(tests[0][1], dict) or len(tests[0][1]) != 1:
        return "has more than one condition, and holds only where all of them are met"
    [(operator, test)] = tests
    [(key, arns)] = test.items()
    if operator.lower() not in _OPERATORS or key.lower() != "aws:principalarn":
        return f"depends on {operator} {key} instead of ArnNotEquals aws:PrincipalArn"
    if inexact := [str(it) for it in _listed(arns) if not _ROLE.fullmatch(str(it))]:
        return f"exempts {', '.join(inexact)}, which is not the ARN of one role"
    return None


def _spared(deny: Mapping[str, Any]) -> list[str]:
    """What the Deny's one condition names."""
    [test] = deny["Condition"].values()
    [arns] = test.values()
    return [str(it) for it in _listed(arns)]
