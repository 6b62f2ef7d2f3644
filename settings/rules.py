"""The rules that several values of the configuration share."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from policies import retention
from policies.event_patterns import IAM_REGIONS, event_rules
from policies.fault import Fault, InvalidInputError, key_at
from policies.repository_policy import repository_policy
from policies.tag_mutability import MAX_EXCLUSION_FILTERS, matches
from policies.trust_policy import trust_policy
from settings.draft import Draft
from settings.model import Account, StackSettings


def _pipeline_role_faults(draft: Draft) -> Iterator[Fault]:
    """The pipeline role exists, or the stack creates one that somebody can become."""
    raw = draft.raw.get("pipelineRole")
    if not isinstance(raw, dict):
        return
    trusts = ("trustedCodeBuildProjects", "trustedGitHubSubjects", "trustedRoles")
    where = ("pipelineRole",)
    if "arn" in raw and len(raw) > 1:
        others = ", ".join(key_at([key]) for key in sorted(raw.keys() - {"arn"}))
        yield Fault(
            where=where,
            value=raw,
            rule="a role that exists is named by its arn alone: nothing is attached to it",
            fix=f"leave out {others}; or leave out arn, and the stack creates the role",
        )
    elif "arn" not in raw and "name" not in raw:
        yield Fault(
            where=where,
            value=raw,
            rule="the pipeline role either exists or is created",
            fix="write the arn of the one, or the name of the other",
        )
    elif "name" in raw and not any(raw.get(key) for key in trusts):
        yield Fault(
            where=where,
            value=raw,
            rule="somebody has to be able to become the role that the stack creates",
            fix=f"write one of {', '.join(trusts)}",
        )


def _role_faults(draft: Draft) -> Iterator[Fault]:
    """No role both moves tags and administers, or may become the one as the other.

    The paths do not matter: within an account, the names of roles are unique across paths.
    """
    pipeline = {_account_and_name(arn): (where, arn) for where, arn in draft.pipeline_roles()}
    trusted = {_account_and_name(arn) for arn in draft.role.get("trusted_roles", ()) if arn}
    for where, arn in draft.administrator_roles():
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
                rule="pipelineRole.trustedRoles lets this administrator become the pipeline role",
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
    for where, arn in draft.codebuild_projects():
        if _account(arn) != account.id:
            yield Fault(
                where=where,
                value=arn,
                rule="CodeBuild runs a project as a role of the project's own account, and the "
                f"stack's is {account.id}",
                fix="name a project of that account",
            )
    for name, entry in draft.entries.items():
        key_arn = entry.get("kms_key")
        if key_arn and key_arn.split(":")[3] != account.region:
            yield Fault(
                where=("repositories", name, "kmsKey"),
                value=key_arn,
                rule=f"the key is to be in the repository's own Region, {account.region}",
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
    for where, arn in draft.roles():
        created = (draft.account.id, draft.role.get("name"))
        if where[:2] == ("pipelineRole", "trustedRoles") and _account_and_name(arn) == created:
            yield Fault(
                where=where,
                value=arn,
                rule="that is the role that the stack is to create",
                fix="name another role, which may become it",
            )


def _account_faults(draft: Draft) -> Iterator[Fault]:
    """No account is listed under two names, and not the stack's own."""
    names: dict[str, str] = {}
    for name, account_id in draft.stack.get("pull_accounts", {}).items():
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


def _audit_faults(draft: Draft) -> Iterator[Fault]:
    """IAM's events arrive in one Region of the partition, which is known of these."""
    partition = draft.account.partition
    if draft.stack.get("audit") and partition not in IAM_REGIONS:
        yield Fault(
            where=("audit",),
            rule=f"in the partition {partition} it is not known in which Region IAM's events "
            f"arrive, only in {', '.join(sorted(IAM_REGIONS))}",
            fix="leave audit out",
        )


def _tag_faults(draft: Draft) -> Iterator[Fault]:
    """No tag is both movable and write-once."""
    for where, own, _ in draft.levels():
        for position, pattern in enumerate(own.get("write_once_tags", ())):
            movable = [tag for tag in draft.stack.get("movable_tags", ()) if tag]
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
    movable_tags = draft.stack.get("movable_tags", ())
    in_use = {effective.get("tag_mutability") for _, _, effective in draft.levels()}
    for where, own, effective in draft.levels():
        mode = effective.get("tag_mutability")
        patterns = effective.get("write_once_tags")
        # What a repository inherits whole is the stack's fault, told there.
        if mode == "MUTABLE_WITH_EXCLUSION" and patterns == () and own.keys() & _TAG_KEYS:
            yield Fault(
                where=(*where, "writeOnceTags"),
                rule=f"tagMutability {mode} takes 1 to {MAX_EXCLUSION_FILTERS} of them",
                fix="write patterns such as prod-*, or tagMutability: MUTABLE",
            )
        if (
            mode == "IMMUTABLE_WITH_EXCLUSION"
            and "tag_mutability" in own
            and len(movable_tags) > MAX_EXCLUSION_FILTERS
        ):
            yield Fault(
                where=(*where, "tagMutability"),
                value=mode,
                rule="its exclusion filters are the movableTags, of which ECR takes at most "
                f"{MAX_EXCLUSION_FILTERS}",
                fix="name fewer movableTags, or write MUTABLE_WITH_EXCLUSION",
            )
        readers = {mode} if where else in_use
        if own.get("write_once_tags") and not readers & {"MUTABLE_WITH_EXCLUSION", None}:
            yield Fault(
                where=(*where, "writeOnceTags"),
                value=list(own["write_once_tags"]),
                rule=f"with tagMutability {mode} they have no effect",
                fix="write tagMutability: MUTABLE_WITH_EXCLUSION beside them, or leave them out",
            )


_TAG_KEYS: Final = {"tag_mutability", "write_once_tags"}


def _retention_faults(draft: Draft) -> Iterator[Fault]:
    """Each list of rules makes a lifecycle policy that AWS takes and that means what it says."""
    movable_tags = [tag for tag in draft.stack.get("movable_tags", ()) if tag]
    for where, own, _ in draft.levels():
        rules = [rule and rule.to_args() for rule in own.get("retention", ())]
        for fault in retention.faults_in(movable_tags, rules):
            yield fault.under(*where, "retention")


SHARED_RULES: Final[Sequence[Callable[[Draft], Iterator[Fault]]]] = (
    _pipeline_role_faults,
    _role_faults,
    _place_faults,
    _one_path_faults,
    _account_faults,
    _audit_faults,
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
    if audit := settings.audit:
        watched = settings.audit_args(audit, account)["audit"]
        documents.append(lambda: event_rules("tag-audit", watched))
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
