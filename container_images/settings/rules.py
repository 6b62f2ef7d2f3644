"""The rules that several values of the configuration share."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydantic import TypeAdapter

from container_images.policies import retention
from container_images.policies.event_patterns import IAM_REGIONS
from container_images.policies.invalid_input import Problem, key_at
from container_images.policies.patterns import ANY, tag_glob
from container_images.policies.tag_convention import (
    ADR040,
    Stage,
    movable_in,
    problems_in,
    uncovered,
)
from container_images.policies.tag_mutability import MAX_EXCLUSION_FILTERS, MAX_FILTER_WILDCARDS
from container_images.settings import values
from container_images.settings.draft import Draft, Level
from container_images.settings.errors import Path
from container_images.settings.model import Settings

Broken = Iterator[tuple[Path, str, str]]
"""Where, which rule is broken, and how to fix it."""

MAX_RESOURCE_TAGS: Final = 50
"""https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-using-tags.html"""


def shared_problems(draft: Draft) -> Iterator[Problem]:
    """Every rule that what is valid on its own breaks together."""
    for rule in (
        _lists,
        _resource_tags,
        _pipeline_role,
        _roles,
        _locations,
        _accounts,
        _strangers,
        _audit,
        _mutability,
        _movable_patterns,
        _convention,
        _retention,
    ):
        yield from (draft.problem(*broken) for broken in rule(draft))


def _lists(draft: Draft) -> Broken:
    """A list has entries where it must, no more than AWS takes, and none twice."""
    for key, fix in (
        ("repositories", "write the name of one, with {} to take everything from the stack"),
        ("movableTags", "write one such as latest"),
        ("administratorRoles", "write the ARN of the role that runs pulumi up"),
    ):
        if draft.values[key] in ([], {}):
            yield (key,), "must have at least one entry", fix
    movable = [tag for _, tag in draft.listed("movableTags")]
    if movable and all(tag and ANY in tag for tag in movable):
        yield ("movableTags",), "has patterns only", "write a tag that the pipeline moves: latest"
    for level in draft.levels():
        for key, most, what in (
            ("movableTags", retention.MAX_RULES, "rules in a lifecycle policy, one for each"),
            ("immutableTags", MAX_EXCLUSION_FILTERS, "exclusion filters"),
            ("tags", MAX_RESOURCE_TAGS, "tags"),
        ):
            values = [*level.own.get(key, ())]
            where = (*level.where, key)
            if len(values) > most:
                yield where, f"AWS takes at most {most} {what}", f"leave {len(values) - most} out"
            yield from _twice(where, values)
    emails = [email for _, email in draft.listed("audit", "email")]
    yield from _twice(("audit", "email"), emails)


def _twice(where: Path, values: Sequence[Any]) -> Broken:
    if twice := sorted({value for value in values if value and values.count(value) > 1}):
        yield where, f"{', '.join(twice)} is written twice", "write it once"


def _resource_tags(draft: Draft) -> Broken:
    """No resource tag has AWS's prefix."""
    for level in draft.levels():
        for key in level.own.get("tags", {}):
            if key.lower().startswith("aws:"):
                yield (*level.where, "tags", key), "aws: is AWS's own prefix", "rename the tag"


def _pipeline_role(draft: Draft) -> Broken:
    """The pipeline role exists, or the stack creates one that somebody can assume."""
    role, where = draft.values["pipelineRole"], ("pipelineRole",)
    trusts = ("trustedCodeBuildProjects", "trustedGitHubSubjects", "trustedRoles")
    if role is None:
        return
    if "arn" in role and len(role) > 1:
        others = ", ".join(sorted(role.keys() - {"arn"}))
        rule = "a role that exists is named by its arn alone: nothing is attached to it"
        yield where, rule, f"leave out {others}; or leave out arn, and the stack creates the role"
    elif not role.keys() & {"arn", "name"}:
        rule = "the pipeline role either exists or is created"
        yield where, rule, "write the arn of the one, or the name of the other"
    elif "name" in role and all(role.get(key, []) == [] for key in trusts):
        rule = "somebody must be able to assume the role that the stack creates"
        yield where, rule, f"write one of {', '.join(trusts)}"


def _roles(draft: Draft) -> Broken:
    """No role both moves tags and administers, may assume the other, or is named with two paths.

    Within an account the names of roles are unique across paths, so that paths do not matter.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    unique = "within an account a role's name is unique across paths"
    pipeline = {_identity(arn): (where, arn) for where, arn in draft.pipeline_roles()}
    trusted = {_identity(arn): where for where, arn in draft.listed("pipelineRole", "trustedRoles")}
    for where, arn in draft.listed("administratorRoles"):
        if other := pipeline.get(_identity(arn)):
            rule = "no role both moves tags and administers"
            rule += f", and {key_at(other[0])} is the same role ({other[1]}): {unique}"
            yield where, rule, "take it out of one of the two"
        if _identity(arn) in trusted:
            rule = "pipelineRole.trustedRoles lets this administrator assume the pipeline role"
            yield where, rule, "take it out of one of the two"
        if _identity(arn)[0] != draft.account.id:
            rule = f"an administrator is a role of the stack's own account, {draft.account.id}"
            yield where, rule, "name a role of that account, which others may assume"
    created = (draft.account.id, (draft.values["pipelineRole"] or {}).get("name"))
    if created in trusted:
        rule = "that is the role that the stack creates"
        yield trusted[created], rule, "name another role, which may assume it"
    first: dict[tuple[Path, tuple[str, str]], tuple[Path, str]] = {}
    for where, arn in draft.roles():
        there, other_arn = first.setdefault((where[:-1], _identity(arn)), (where, arn))
        if other_arn != arn:
            rule = f"{key_at(there)} has the same name with another path, and {unique}"
            yield where, rule, "leave out the one that does not exist"


def _locations(draft: Draft) -> Broken:
    """Roles, builds and keys are where the stack can reach them: its partition, account, Region."""
    account = draft.account
    for where, arn in draft.roles():
        if arn.split(":")[1] != account.partition:
            rule = "a role of another partition cannot reach the stack"
            yield where, rule, f"name a role whose ARN starts with arn:{account.partition}:"
    for where, arn in draft.listed("pipelineRole", "trustedCodeBuildProjects"):
        if arn.split(":")[4] != account.id:
            rule = "CodeBuild runs a project as a role of the project's own account"
            yield where, rule, f"name a project of that account, here {account.id}"
    keys = [((*level.where, "kmsKey"), level.own.get("kmsKey")) for level in draft.levels()]
    keys.append((("audit", "kmsKey"), (draft.values["audit"] or {}).get("kmsKey")))
    for where, key in keys:
        if account.region and key and key.split(":")[3] != account.region:
            rule = f"the key must be in the stack's own Region, {account.region}"
            yield where, rule, "name a key of that Region"


def _accounts(draft: Draft) -> Broken:
    """No account is listed under two names, and not the stack's own."""
    names: dict[str | None, str] = {None: ""}
    for name, account in (draft.values["pullAccounts"] or {}).items():
        where = ("pullAccounts", name)
        if (other := names.setdefault(account, name)) != name and account:
            rule = f"{key_at((where[0], other))} has the same id"
            yield where, rule, "correct one of the two, or leave it out"
        if account == draft.account.id:
            rule = "in the stack's own account, the principals' own policies say who may pull"
            yield where, rule, "leave it out"


def _strangers(draft: Draft) -> Broken:
    """What is let in from another account is of an account that the stack names."""
    named = {draft.account.id, *(draft.values["pullAccounts"] or {}).values()}
    for where, account in draft.listed("lambdaPullAccounts"):
        if account not in named and not draft.values["pullOrganization"]:
            rule = "Lambda pulls for a function of another account only if that account may pull"
            yield where, rule, "add the account to pullAccounts"
    role = draft.values["pipelineRole"] or {}
    if role.get("arn") and role["arn"].split(":")[4] != draft.account.id:
        rule = f"the pipeline role is one of the stack's own account, {draft.account.id}"
        fix = "correct the account, or name the role in additionalPipelineRoles"
        yield ("pipelineRole", "arn"), rule, fix
    for where, arn in draft.listed("additionalPipelineRoles"):
        if arn.split(":")[4] not in named:
            rule = "a role of an account that the stack does not name could be a stranger's"
            yield where, rule, "correct the account, or add it to pullAccounts"


def _audit(draft: Draft) -> Broken:
    """The audit is in a partition of which it is known where IAM's events arrive."""
    partition = draft.account.partition
    if draft.values["audit"] and partition not in IAM_REGIONS:
        rule = f"in the partition {partition} it is not known in which Region IAM's events arrive"
        yield ("audit",), rule, f"leave audit out; known are {', '.join(sorted(IAM_REGIONS))}"


def _mutability(draft: Draft) -> Broken:
    """Tag mutability and patterns fit each other, and no tag is both movable and immutable.

    A repository may inherit patterns that its own tag mutability does not use; but patterns that
    nothing uses where they are written are a mistake.
    """
    movable = [tag for _, tag in draft.listed("movableTags")]
    in_use = {level.effective["tagMutability"] for level in draft.levels()}
    for level in draft.levels():
        mode, patterns = level.effective["tagMutability"], level.own.get("immutableTags", [])
        where = (*level.where, "immutableTags")
        for position, pattern in enumerate(patterns):
            if both := [tag for tag in movable if pattern and tag_glob(pattern, tag)]:
                rule = f"it matches {', '.join(both)} of the movableTags"
                yield (*where, position), rule, "narrow the pattern"
            elif pattern and pattern.count(ANY) > MAX_FILTER_WILDCARDS:
                rule = f"ECR takes at most {MAX_FILTER_WILDCARDS} wildcards in an exclusion filter"
                yield (*where, position), rule, "use fewer *"
        readers = {mode} if level.where else in_use
        if patterns and not readers & {"MUTABLE_WITH_EXCLUSION", None}:
            rule = f"with tagMutability {mode} they have no effect"
            fix = "write tagMutability: MUTABLE_WITH_EXCLUSION beside them, or leave them out"
            yield where, rule, fix
        if not _decides_on_tags(level):
            continue
        if mode == "MUTABLE_WITH_EXCLUSION" and level.effective["immutableTags"] == []:
            rule = f"tagMutability {mode} takes 1 to {MAX_EXCLUSION_FILTERS} of them"
            yield where, rule, "write patterns such as prod-*, or tagMutability: MUTABLE"
        if mode == "IMMUTABLE_WITH_EXCLUSION" and "tagMutability" in level.own:
            rule = "its exclusion filters are the movableTags, of which ECR takes at most "
            if len(movable) > MAX_EXCLUSION_FILTERS:
                fix = "name fewer movableTags, or write MUTABLE_WITH_EXCLUSION"
                yield (*level.where, "tagMutability"), f"{rule}{MAX_EXCLUSION_FILTERS}", fix


def _movable_patterns(draft: Draft) -> Broken:
    """A pattern of movable tags is an exclusion filter where all other tags are immutable."""
    in_use = {level.effective["tagMutability"] for level in draft.levels()}
    for where, tag in draft.listed("movableTags"):
        if tag and tag.count(ANY) > MAX_FILTER_WILDCARDS:
            rule = f"ECR takes at most {MAX_FILTER_WILDCARDS} wildcards in an exclusion filter"
            yield where, rule, "use fewer *"
        elif tag and ANY in tag and not in_use & {"IMMUTABLE_WITH_EXCLUSION", None}:
            rule = "a pattern frees tags that are immutable otherwise, and none are"
            yield where, rule, "write tagMutability: IMMUTABLE_WITH_EXCLUSION, or leave it out"


def _decides_on_tags(level: Level) -> bool:
    """Whether tag mutability or patterns are written there. What is inherited is the stack's."""
    return not level.own.keys().isdisjoint({"tagMutability", "immutableTags"})


def _convention(draft: Draft) -> Broken:
    """The unique tags can be told apart, and from the movable ones; and they are immutable.

    The default is there whether or not a team follows it: it need not be within the patterns.
    """
    written = draft.values["tagConvention"]
    if written is None:
        return
    stages = [stage and Stage(name=stage["stage"], template=stage["tag"]) for stage in written]
    if problems := list(problems_in(stages)):
        yield from ((("tagConvention", *it.where), it.rule, it.fix) for it in problems)
        return
    valid = {position: stage for position, stage in enumerate(stages) if stage}
    for where, tag in draft.listed("movableTags"):
        for template in movable_in(valid.values(), tag):
            rule = f"tagConvention has it as a unique tag ({template}), which never moves"
            yield where, rule, "give the movable tag a name that no stage's tags have"
    if written == ADR040.to_data():
        return
    for level in draft.levels():
        patterns = level.effective["immutableTags"]
        has_patterns = patterns and None not in patterns
        mode = level.effective["tagMutability"]
        if mode != "MUTABLE_WITH_EXCLUSION" or not has_patterns or not _decides_on_tags(level):
            continue
        for position, stage in valid.items():
            if (example := uncovered(stage, patterns)) is not None:
                filters = key_at((*level.where, "immutableTags"))
                rule = f"{filters} do not match all of its tags: {example}"
                fix = "write a pattern that does, or tagMutability: IMMUTABLE_WITH_EXCLUSION"
                yield ("tagConvention", position, "tag"), rule, fix


def _retention(draft: Draft) -> Broken:
    """Each list of rules makes a lifecycle policy that AWS takes and that means what it says."""
    movable = [tag for _, tag in draft.listed("movableTags")]
    for level in draft.levels():
        rules = [
            rule and _ONE_RULE.validate_python([rule])[0] for rule in level.own.get("retention", ())
        ]
        for problem in retention.problems_in(movable, rules):
            # Of too many movable tags alone, _lists tells.
            if problem.where or len(movable) <= retention.MAX_RULES:
                yield (*level.where, "retention", *problem.where), problem.rule, problem.fix


_ONE_RULE: Final = TypeAdapter(values.Retention, config=Settings.model_config)


def _identity(arn: str) -> tuple[str, str]:
    """Account and name of a role."""
    return arn.split(":")[4], arn.rpartition("/")[2]
