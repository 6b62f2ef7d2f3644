"""The rules that several values of the configuration share.

They also hold for settings of which a part is invalid: that part is None.
"""

from collections.abc import Iterable, Iterator

from container_images.policies import retention
from container_images.policies.document import ANY, tag_glob
from container_images.policies.event_patterns import IAM_REGIONS
from container_images.policies.forms import MAX_EXCLUSION_FILTERS
from container_images.policies.invalid_input import key_at
from container_images.policies.tag_convention import ADR040, Stage, problems_in
from container_images.settings.errors import Path
from container_images.settings.model import Account, RepositorySettings, StackSettings

Violations = Iterator[tuple[Path, str, str]]
"""Where, which rule is broken, and how to fix it."""


def violations(settings: StackSettings, account: Account) -> Violations:
    """Every rule that what is valid on its own breaks together."""
    yield from _principals(settings, account)
    if settings.audit.model_fields_set and account.partition not in IAM_REGIONS:
        rule = f"in {account.partition} it is not known in which Region IAM's events arrive"
        yield ("audit",), rule, f"leave audit out; known are {', '.join(sorted(IAM_REGIONS))}"
    yield from _mutability(settings)
    yield from _convention(settings)
    # Each list makes a lifecycle policy that AWS takes and that means what it says.
    movable = [tag for _, tag in _items(settings.movable_tags)]
    for where, level in _levels(settings, "retention"):
        for problem in retention.problems_in(movable, level.retention or ()):
            yield (*where, "retention", *problem.where), problem.rule, problem.fix


def _principals(settings: StackSettings, account: Account) -> Violations:
    """No role both moves tags and administers; and who is let in is of an account that is named.

    Within an account the names of roles are unique across paths, so that paths do not matter.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    role = settings.pipeline_role
    others = [*_items(settings.additional_pipeline_roles, "additionalPipelineRoles")]
    administrators = [*_items(settings.administrator_roles, "administratorRoles")]
    trusted = [*_items(role.trusted_roles, "pipelineRole", "trustedRoles")]
    projects = _items(role.trusted_code_build_projects, "pipelineRole", "trustedCodeBuildProjects")
    existing: list[tuple[Path, str]] = [(("pipelineRole", "arn"), role.arn)] if role.arn else []
    pipeline = {_identity(arn): where for where, arn in (*others, *existing)}
    if role.name:
        created = _identity(role.arn_in(account))
        pipeline[created] = ("pipelineRole", "name")
        rule, fix = "that is the role that the stack creates", "name a role that may assume it"
        yield from ((where, rule, fix) for where, arn in trusted if _identity(arn) == created)
    for where, arn in administrators:
        fix = "take it out of one of the two"
        if same := pipeline.get(_identity(arn)):
            rule = f"no role both moves tags and administers, and {key_at(same)} is the same role"
            yield where, f"{rule}: within an account a role's name is unique across paths", fix
        if _identity(arn) in {_identity(other) for _, other in trusted}:
            rule = "pipelineRole.trustedRoles lets this administrator assume the pipeline role"
            yield where, rule, fix
    named = {account.id, *(settings.pull_accounts or {}).values()}
    own, of_own = {account.id}, f"of the stack's own account, {account.id}"
    stranger = "a role of an account that the stack does not name could be a stranger's"
    for arns, accounts, rule, fix in (
        (administrators, own, f"an administrator is a role {of_own}", "name a role of it"),
        (existing, own, f"the role is one {of_own}", "name others in additionalPipelineRoles"),
        (projects, own, f"the role is for projects {of_own}", "name a project of it"),
        ([*others, *trusted], named, stranger, "correct the account, or add it to pullAccounts"),
    ):
        for where, arn in arns:
            partition, other, _ = _identity(arn)
            if partition != account.partition or other not in accounts:
                yield where, rule, fix
    for where, other in _items(settings.lambda_pull_accounts, "lambdaPullAccounts"):
        if other not in named and not settings.pull_organization:
            rule = "Lambda pulls for a function of another account only if that account may pull"
            yield where, rule, "add the account to pullAccounts"


def _identity(arn: str) -> tuple[str, str, str]:
    """Partition, account and name."""
    _, partition, _, _, account, resource = arn.split(":", 5)
    return partition, account, resource.rpartition("/")[2]


def _mutability(settings: StackSettings) -> Violations:
    """Tag mutability and patterns fit each other, and no tag is both movable and immutable.

    A repository may inherit patterns that its own tag mutability does not use; but patterns that
    nothing uses where they are written are a mistake.
    """
    movable = dict(_items(settings.movable_tags, "movableTags"))
    in_use = {each.tag_mutability for each in settings.repositories.values()}
    in_use.add(settings.tag_mutability)
    patterns = {place: tag for place, tag in movable.items() if ANY in tag}
    if patterns and len(patterns) == len(settings.movable_tags):
        rule, fix = "must have at least one tag that is no pattern", "write one such as latest"
        yield ("movableTags",), rule, fix
    elif not in_use & {"IMMUTABLE_WITH_EXCLUSION", None}:
        rule = "a pattern frees tags that are immutable otherwise, and none are"
        fix = "write tagMutability: IMMUTABLE_WITH_EXCLUSION, or leave it out"
        yield from ((place, rule, fix) for place in patterns)
    for place, level in _levels(settings, "immutable_tags"):
        where, mode = (*place, "immutableTags"), level.tag_mutability
        for position, pattern in _items(level.immutable_tags, *where):
            if both := [tag for tag in movable.values() if tag_glob(pattern, tag)]:
                rule = f"it matches {', '.join(both)} of the movableTags"
                yield position, rule, "narrow the pattern"
        readers = in_use if level is settings else {mode}
        if level.immutable_tags and not readers & {"MUTABLE_WITH_EXCLUSION", None}:
            rule = f"with tagMutability {mode} they have no effect"
            fix = "write tagMutability: MUTABLE_WITH_EXCLUSION beside them, or leave them out"
            yield where, rule, fix
    for place, level in _levels(settings, "tag_mutability", "immutable_tags"):
        mode = level.tag_mutability
        if mode == "MUTABLE_WITH_EXCLUSION" and level.immutable_tags == []:
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
    written = settings.tag_convention
    if written is None:
        return
    if problems := list(problems_in(written)):
        yield from ((("tagConvention", *each.where), each.rule, each.fix) for each in problems)
        return
    valid = {at: Stage(each["stage"], each["tag"]) for at, each in enumerate(written) if each}
    for where, tag in _items(settings.movable_tags, "movableTags"):
        for stage in (stage for stage in valid.values() if stage.may_be(tag)):
            rule = f"tagConvention has it as a unique tag ({stage.template}), which never moves"
            yield where, rule, "give the movable tag a name that no stage's tags have"
    if written == ADR040.data:
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


def _levels(
    settings: StackSettings, *keys: str
) -> Iterator[tuple[Path, StackSettings | RepositorySettings]]:
    """Where one of these settings may be written: the stack, and each entry that has it."""
    yield (), settings
    for name, repository in settings.repositories.items():
        if not repository.model_fields_set.isdisjoint(keys):
            yield ("repositories", name), repository


def _items(values: Iterable[str] | None, *where: str | int) -> Iterator[tuple[Path, str]]:
    """The valid items of the list in a place, each with its own place."""
    return (((*where, position), value) for position, value in enumerate(values or ()) if value)
