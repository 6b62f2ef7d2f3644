"""The rules that several values of the configuration share."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from policies import retention
from policies.fault import Fault, InvalidInputError, key_at
from policies.repository_policy import repository_policy
from policies.tag_mutability import MAX_EXCLUSION_FILTERS, matches
from policies.trust_policy import trust_policy
from settings.draft import Draft
from settings.model import Account, RetentionRule, StackSettings


def _list_faults(draft: Draft) -> Iterator[Fault]:
    """A list has entries where it must, no more than AWS takes, and none twice."""
    for key, fix in (
        ("repositories", "write the name of one, with {} to take everything from the stack"),
        ("movableTags", "write one such as latest"),
        ("administratorRoles", "write the ARN of the role that runs pulumi up"),
    ):
        if draft.values[key] in ([], {}):
            yield Fault(
                where=(key,), value=draft.values[key], rule="must have at least one entry", fix=fix
            )
    for where, own, effective in draft.levels():
        for key in ("movableTags", "writeOnceTags"):
            values = effective.get(key) or []
            repeated = sorted({it for it in values if it and values.count(it) > 1})
            if key in own and repeated:
                yield Fault(
                    where=(*where, key),
                    value=values,
                    rule=f"{', '.join(repeated)} is written twice",
                    fix="write it once",
                )
        for key, most in (("writeOnceTags", MAX_EXCLUSION_FILTERS), ("tags", MAX_RESOURCE_TAGS)):
            values = effective.get(key) or []
            if key in own and len(values) > most:
                yield Fault(
                    where=(*where, key),
                    value=values,
                    rule=f"AWS takes at most {most}",
                    fix=f"leave {len(values) - most} out",
                )


MAX_RESOURCE_TAGS: Final = 50
"""https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-using-tags.html"""


def _pipeline_role_faults(draft: Draft) -> Iterator[Fault]:
    """The pipeline role exists, or the stack creates one that somebody can assume."""
    role = draft.values["pipelineRole"]
    if role is None:
        return
    trusts = ("trustedCodeBuildProjects", "trustedGitHubSubjects", "trustedRoles")
    rule = None
    if "arn" in role and len(role) > 1:
        rule = "a role that exists is named by its arn alone: nothing is attached to it"
        fix = f"leave out {', '.join(sorted(role.keys() - {'arn'}))}; or leave out arn, and the "
        fix += "stack creates the role"
    elif not role.keys() & {"arn", "name"}:
        rule = "the pipeline role either exists or is created"
        fix = "write the arn of the one, or the name of the other"
    elif "name" in role and all(role.get(key, []) == [] for key in trusts):
        rule = "somebody must be able to assume the role that the stack creates"
        fix = f"write one of {', '.join(trusts)}"
    if rule:
        yield Fault(
            where=("pipelineRole",), value=draft.written["pipelineRole"], rule=rule, fix=fix
        )


def _role_faults(draft: Draft) -> Iterator[Fault]:
    """No role both moves tags and administers, or may assume the one as the other.

    The paths do not matter: within an account, the names of roles are unique across paths.
    """
    pipeline = {_account_and_name(arn): (where, arn) for where, arn in draft.pipeline_roles()}
    trusted = {_account_and_name(arn) for _, arn in draft.listed("pipelineRole", "trustedRoles")}
    for where, arn in draft.listed("administratorRoles"):
        identity = _account_and_name(arn)
        if identity in pipeline:
            other, its_arn = pipeline[identity]
            yield Fault(
                where=where,
                value=arn,
                rule=f"no role both moves tags and administers, and {key_at(other)} is the same "
                f"role ({its_arn}): within an account a role's name is unique across paths",
                fix="take it out of one of the two",
            )
        if identity in trusted:
            yield Fault(
                where=where,
                value=arn,
                rule="pipelineRole.trustedRoles lets this administrator assume the pipeline role",
                fix="take it out of one of the two",
            )
        if _account(arn) != draft.account.id:
            yield Fault(
                where=where,
                value=arn,
                rule=f"an administrator is a role of the stack's own account, {draft.account.id}",
                fix="name a role of that account, which others may assume",
            )


def _place_faults(draft: Draft) -> Iterator[Fault]:
    """Roles, builds and keys are where the stack can reach them: its partition, account, Region."""
    account = draft.account
    for where, arn in draft.roles():
        if _partition(arn) != account.partition:
            yield Fault(
                where=where,
                value=arn,
                rule=f"a role of another partition cannot reach the stack, which is in "
                f"{account.partition}",
                fix=f"name a role whose ARN starts with arn:{account.partition}:",
            )
    for where, arn in draft.listed("pipelineRole", "trustedCodeBuildProjects"):
        if _account(arn) != account.id:
            yield Fault(
                where=where,
                value=arn,
                rule="CodeBuild runs a project as a role of the project's own account, and the "
                f"stack's is {account.id}",
                fix="name a project of that account",
            )
    for where, _, effective in draft.levels():
        key_arn = effective.get("kmsKey")
        if key_arn and account.region and key_arn.split(":")[3] != account.region:
            yield Fault(
                where=(*where, "kmsKey"),
                value=key_arn,
                rule=f"the key must be in the repository's own Region, {account.region}",
                fix="name a key of that Region",
            )


def _one_path_faults(draft: Draft) -> Iterator[Fault]:
    """No role is named with two paths: within an account, only one of the two can exist."""
    first: dict[tuple[str, str], tuple[str, tuple[str | int, ...]]] = {}
    for where, arn in draft.roles():
        other, there = first.setdefault(_account_and_name(arn), (arn, where))
        if other != arn and where[0] == there[0]:
            yield Fault(
                where=where,
                value=arn,
                rule=f"{key_at(there)} has the same name with another path, and within an account "
                "a role's name is unique across paths",
                fix="leave out the one that does not exist",
            )
    created = (draft.account.id, (draft.values["pipelineRole"] or {}).get("name"))
    for where, arn in draft.listed("pipelineRole", "trustedRoles"):
        if _account_and_name(arn) == created:
            yield Fault(
                where=where,
                value=arn,
                rule="that is the very role that the stack creates",
                fix="name another role, which may assume it",
            )


def _account_faults(draft: Draft) -> Iterator[Fault]:
    """No account is listed under two names, and not the stack's own."""
    names: dict[str, str] = {}
    for name, account_id in (draft.values["pullAccounts"] or {}).items():
        if account_id is None:
            continue
        if names.setdefault(account_id, name) != name:
            yield Fault(
                where=("pullAccounts", name),
                value=account_id,
                rule=f"{key_at(('pullAccounts', names[account_id]))} has the same id",
                fix="correct one of the two, or leave it out",
            )
        if account_id == draft.account.id:
            yield Fault(
                where=("pullAccounts", name),
                value=account_id,
                rule="that is the stack's own account, whose principals pull as far as their own "
                "policies allow it",
                fix="leave it out",
            )


def _tag_faults(draft: Draft) -> Iterator[Fault]:
    """No tag is both movable and write-once."""
    movable = [tag for _, tag in draft.listed("movableTags")]
    for where, own, effective in draft.levels():
        patterns = effective.get("writeOnceTags") or () if "writeOnceTags" in own else ()
        for position, pattern in enumerate(patterns):
            if pattern and (both := [tag for tag in movable if matches(pattern, tag)]):
                yield Fault(
                    where=(*where, "writeOnceTags", position),
                    value=pattern,
                    rule=f"it matches {', '.join(both)} of the movableTags",
                    fix="narrow the pattern",
                )


def _mutability_faults(draft: Draft) -> Iterator[Fault]:
    """Tag mutability and patterns fit each other.

    A repository may inherit patterns that its own tag mutability does not use; but patterns that
    nothing uses where they are written are a mistake.
    """
    movable = draft.values["movableTags"] or ()
    in_use = {effective["tagMutability"] for _, _, effective in draft.levels()}
    for where, own, effective in draft.levels():
        mode, patterns = effective["tagMutability"], effective["writeOnceTags"]
        # What a repository inherits whole is the stack's fault, told there.
        if (
            mode == "MUTABLE_WITH_EXCLUSION"
            and patterns == []
            and {"tagMutability", "writeOnceTags"} & {*own}
        ):
            yield Fault(
                where=(*where, "writeOnceTags"),
                rule=f"tagMutability {mode} takes 1 to {MAX_EXCLUSION_FILTERS} of them",
                fix="write patterns such as prod-*, or tagMutability: MUTABLE",
            )
        if (
            mode == "IMMUTABLE_WITH_EXCLUSION"
            and "tagMutability" in own
            and len(movable) > MAX_EXCLUSION_FILTERS
        ):
            yield Fault(
                where=(*where, "tagMutability"),
                value=mode,
                rule="its exclusion filters are the movableTags, of which ECR takes at most "
                f"{MAX_EXCLUSION_FILTERS}",
                fix="name fewer movableTags, or write MUTABLE_WITH_EXCLUSION",
            )
        readers = {mode} if where else in_use
        if "writeOnceTags" in own and patterns and not readers & {"MUTABLE_WITH_EXCLUSION", None}:
            yield Fault(
                where=(*where, "writeOnceTags"),
                value=patterns,
                rule=f"with tagMutability {mode} they have no effect",
                fix="write tagMutability: MUTABLE_WITH_EXCLUSION beside them, or leave them out",
            )


def _retention_faults(draft: Draft) -> Iterator[Fault]:
    """Each list of rules makes a lifecycle policy that AWS takes and that means what it says."""
    movable = [tag for _, tag in draft.listed("movableTags")]
    too_many = len(movable) > retention.MAX_RULES
    if too_many:
        yield Fault(
            where=("movableTags",),
            value=movable,
            rule="each has a rule in every lifecycle policy that keeps its image, and AWS takes "
            f"at most {retention.MAX_RULES} rules",
            fix=f"leave {len(movable) - retention.MAX_RULES} out",
        )
    for where, own, effective in draft.levels():
        written = effective["retention"] or () if "retention" in own else ()
        rules = [rule and RetentionRule.model_validate(rule).to_args() for rule in written]
        for fault in retention.faults_in(movable, rules):
            if fault.where or not too_many:
                yield fault.under(*where, "retention")


SHARED_RULES: Final[Sequence[Callable[[Draft], Iterator[Fault]]]] = (
    _list_faults,
    _pipeline_role_faults,
    _role_faults,
    _place_faults,
    _one_path_faults,
    _account_faults,
    _tag_faults,
    _mutability_faults,
    _retention_faults,
)


def length_faults(settings: StackSettings, account: Account) -> Iterator[Fault]:
    """The documents fit. Every repository has the same lists, and at most one statement more."""
    longest = max(settings.repositories, key=lambda it: settings.repositories[it].lambda_pull)
    documents: list[Callable[[], object]] = [
        lambda: repository_policy(settings.repository_args(longest, account)["access"]),
        lambda: trust_policy(settings.pipeline_role.to_args(account)["trust"]),
    ]
    for document in documents:
        try:
            document()
        except InvalidInputError as invalid:
            yield from invalid.faults


def _partition(arn: str) -> str:
    return arn.split(":")[1]


def _account(arn: str) -> str:
    return arn.split(":")[4]


def _account_and_name(arn: str) -> tuple[str, str]:
    return _account(arn), arn.rpartition("/")[2]
