"""The rules that several values of the configuration share.

They also hold for settings of which a part is invalid: that part is None.
"""

from collections.abc import Iterator
from itertools import chain

from container_images.policies import retention
from container_images.policies.event_patterns import IAM_REGIONS
from container_images.policies.invalid_input import key_at
from container_images.policies.patterns import ANY, tag_glob
from container_images.policies.tag_convention import ADR040, Stage, problems_in
from container_images.policies.tag_mutability import MAX_EXCLUSION_FILTERS
from container_images.settings.errors import Path
from container_images.settings.model import Account, RepositorySettings, StackSettings

Violations = Iterator[tuple[Path, str, str]]
"""Where, which rule is broken, and how to fix it."""


def violations(settings: StackSettings, account: Account) -> Violations:
    """Every rule that what is valid on its own breaks together."""
    return chain(
        _roles(settings, account),
        _accounts(settings, account),
        _locations(settings, account),
        _audit(settings, account),
        _mutability(settings),
        _convention(settings),
        _retention(settings),
    )


def _roles(settings: StackSettings, account: Account) -> Violations:
    """No role both moves tags and administers, or may assume the other.

    Within an account the names of roles are unique across paths, so that paths do not matter.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    unique = "within an account a role's name is unique across paths"
    role = settings.pipeline_role
    others = [*_items("additionalPipelineRoles", settings.additional_pipeline_roles)]
    administrators = [*_items("administratorRoles", settings.administrator_roles)]
    pipeline = {_identity(arn): where for where, arn in others}
    if role and (role.arn or role.name):
        pipeline[_identity(role.arn_in(account))] = ("pipelineRole", "arn" if role.arn else "name")
    trusted = {_identity(arn): where for where, arn in _trusted(settings)}
    if role and (place := trusted.get((account.id, role.name))):
        yield place, "that is the role that the stack creates", "name a role that may assume it"
    for roles in (others, administrators):
        first: dict[tuple[str, str], str] = {}
        for where, arn in roles:
            if (other := first.setdefault(_identity(arn), arn)) != arn:
                rule = f"{other} has the same name with another path, and {unique}"
                yield where, rule, "leave out the one that does not exist"
    for where, arn in administrators:
        fix = "take it out of one of the two"
        if same := pipeline.get(_identity(arn)):
            rule = f"no role both moves tags and administers, and {key_at(same)} is the same role"
            yield where, f"{rule}: {unique}", fix
        if _identity(arn) in trusted:
            rule = "pipelineRole.trustedRoles lets this administrator assume the pipeline role"
            yield where, rule, fix
        if not arn.startswith(_own(account)):
            rule = f"an administrator is a role of the stack's own account, {account.id}"
            yield where, rule, "name a role of that account, which others may assume"


def _accounts(settings: StackSettings, account: Account) -> Violations:
    """What is let in is of the stack's own account, or of one that the stack names."""
    named = {account.id, *(settings.pull_accounts or {}).values()}
    role = settings.pipeline_role
    if role and role.arn and not role.arn.startswith(_own(account)):
        rule = f"the pipeline role is one of the stack's own account, {account.id}"
        fix = "correct the account, or name the role in additionalPipelineRoles"
        yield ("pipelineRole", "arn"), rule, fix
    others = _items("additionalPipelineRoles", settings.additional_pipeline_roles)
    for where, arn in (*others, *_trusted(settings)):
        if _identity(arn)[0] not in named:
            rule = "a role of an account that the stack does not name could be a stranger's"
            yield where, rule, "correct the account, or add it to pullAccounts"
    for where, other in _items("lambdaPullAccounts", settings.lambda_pull_accounts):
        if other not in named and not settings.pull_organization:
            rule = "Lambda pulls for a function of another account only if that account may pull"
            yield where, rule, "add the account to pullAccounts"


def _locations(settings: StackSettings, account: Account) -> Violations:
    """What is named is where the stack can use it."""
    for name, other in (settings.pull_accounts or {}).items():
        if other == account.id:
            rule = "in the stack's own account, the principals' own policies say who may pull"
            yield ("pullAccounts", name), rule, "leave it out"
    others = _items("additionalPipelineRoles", settings.additional_pipeline_roles)
    for where, arn in (*others, *_trusted(settings)):
        if arn.split(":")[1] != account.partition:
            rule = "a role of another partition cannot reach the stack"
            yield where, rule, f"name one whose ARN starts with arn:{account.partition}:"
    role = settings.pipeline_role
    projects = role.trusted_code_build_projects if role else ()
    for where, arn in _items("trustedCodeBuildProjects", projects):
        if _identity(arn)[0] != account.id:
            rule = "CodeBuild runs a project as a role of the project's own account"
            yield ("pipelineRole", *where), rule, f"name a project of that account, {account.id}"


def _audit(settings: StackSettings, account: Account) -> Violations:
    """The audit is where it is known how IAM's events arrive; KMS keys are in the same Region."""
    keys: dict[Path, str] = {
        ("repositories", name, "kmsKey"): repository.kms_key
        for name, repository in settings.repositories.items()
    }
    keys["audit", "kmsKey"] = settings.audit.kms_key
    for where, key in keys.items():
        if account.region and key and key.split(":")[3] != account.region:
            rule = f"the key must be in the stack's own Region, {account.region}"
            yield where, rule, "name a key of that Region"
    if settings.audit.enabled and account.partition not in IAM_REGIONS:
        rule = f"in {account.partition} it is not known in which Region IAM's events arrive"
        yield ("audit",), rule, f"leave audit out; known are {', '.join(sorted(IAM_REGIONS))}"


def _mutability(settings: StackSettings) -> Violations:
    """Tag mutability and patterns fit each other, and no tag is both movable and immutable.

    A repository may inherit patterns that its own tag mutability does not use; but patterns that
    nothing uses where they are written are a mistake.
    """
    movable = [tag for _, tag in _items("movableTags", settings.movable_tags)]
    in_use = {of.tag_mutability for of in settings.repositories.values()}
    in_use.add(settings.tag_mutability)
    for place, tag in _items("movableTags", settings.movable_tags):
        if ANY in tag and not in_use & {"IMMUTABLE_WITH_EXCLUSION", None}:
            rule = "a pattern frees tags that are immutable otherwise, and none are"
            fix = "write tagMutability: IMMUTABLE_WITH_EXCLUSION, or leave it out"
            yield place, rule, fix
    for place, level in _levels(settings, "immutable_tags"):
        where, mode = (*place, "immutableTags"), level.tag_mutability
        for position, pattern in enumerate(level.immutable_tags or ()):
            if both := [tag for tag in movable if pattern and tag_glob(pattern, tag)]:
                rule = f"it matches {', '.join(both)} of the movableTags"
                yield (*where, position), rule, "narrow the pattern"
        readers = in_use if level is settings else {mode}
        if level.immutable_tags and not readers & {"MUTABLE_WITH_EXCLUSION", None}:
            rule = f"with tagMutability {mode} they have no effect"
            fix = "write tagMutability: MUTABLE_WITH_EXCLUSION beside them, or leave them out"
            yield where, rule, fix
    for place, level in _levels(settings, "tag_mutability", "immutable_tags"):
        mode, patterns = level.tag_mutability, level.immutable_tags
        if mode == "MUTABLE_WITH_EXCLUSION" and patterns is not None and not patterns:
            rule = f"tagMutability {mode} takes at least one of them"
            fix = "write patterns such as prod-*, or tagMutability: MUTABLE"
            yield (*place, "immutableTags"), rule, fix
        if mode == "IMMUTABLE_WITH_EXCLUSION" and len(movable) > MAX_EXCLUSION_FILTERS:
            rule = "its exclusion filters are the movableTags, of which ECR takes at most "
            fix = "name fewer movableTags, or write MUTABLE_WITH_EXCLUSION"
            yield (*place, "tagMutability"), f"{rule}{MAX_EXCLUSION_FILTERS}", fix


def _convention(settings: StackSettings) -> Violations:
    """The unique tags can be told apart, and from the movable ones; and they are immutable.

    The default is there whether or not a team follows it: it need not be within the patterns.
    """
    written = settings.tag_convention or ()
    if problems := list(problems_in(written)) if settings.tag_convention is not None else []:
        yield from ((("tagConvention", *each.where), each.rule, each.fix) for each in problems)
        return
    valid = {at: Stage(each["stage"], each["tag"]) for at, each in enumerate(written) if each}
    for where, tag in _items("movableTags", settings.movable_tags):
        for stage in (stage for stage in valid.values() if stage.may_be(tag)):
            rule = f"tagConvention has it as a unique tag ({stage.template}), which never moves"
            yield where, rule, "give the movable tag a name that no stage's tags have"
    if list(written) == ADR040.data:
        return
    for where, level in _levels(settings, "tag_mutability", "immutable_tags"):
        patterns = level.immutable_tags or ()
        if level.tag_mutability != "MUTABLE_WITH_EXCLUSION" or not patterns or not all(patterns):
            continue
        for position, stage in valid.items():
            if examples := stage.uncovered(patterns):
                filters = key_at((*where, "immutableTags"))
                rule = f"{filters} do not match all of its tags: {examples[0]}"
                fix = "write a pattern that does, or tagMutability: IMMUTABLE_WITH_EXCLUSION"
                yield ("tagConvention", position, "tag"), rule, fix


def _retention(settings: StackSettings) -> Violations:
    """Each list of rules makes a lifecycle policy that AWS takes and that means what it says."""
    movable = [tag for _, tag in _items("movableTags", settings.movable_tags)]
    for where, level in _levels(settings, "retention"):
        for problem in retention.problems_in(movable, level.retention or ()):
            yield (*where, "retention", *problem.where), problem.rule, problem.fix


def _levels(
    settings: StackSettings, *keys: str
) -> Iterator[tuple[Path, StackSettings | RepositorySettings]]:
    """Where one of these settings may be written: the stack, and each entry that has it."""
    yield (), settings
    for name, repository in settings.repositories.items():
        if not repository.model_fields_set.isdisjoint(keys):
            yield ("repositories", name), repository


def _items(key: str, values: tuple[str, ...] | None) -> Iterator[tuple[Path, str]]:
    """The valid items of a list, each with its place."""
    return (((key, position), value) for position, value in enumerate(values or ()) if value)


def _trusted(settings: StackSettings) -> list[tuple[Path, str]]:
    """The roles that may assume the one that the stack creates, each with its place."""
    role = settings.pipeline_role
    roles = _items("trustedRoles", role.trusted_roles if role else ())
    return [(("pipelineRole", *where), arn) for where, arn in roles]


def _own(account: Account) -> str:
    """What the ARN of a role of the account begins with."""
    return f"arn:{account.partition}:iam::{account.id}:"


def _identity(arn: str) -> tuple[str, str]:
    """Account and name."""
    return arn.split(":")[4], arn.rpartition("/")[2]
