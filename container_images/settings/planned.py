"""Pure: the policies that the program registers, from the settings alone."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from container_images.policies.event_patterns import Audit, event_rules
from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.policies.repository_policy import repository_policy
from container_images.policies.retention import lifecycle_policy
from container_images.policies.trust_policy import trust_policy
from container_images.settings.model import Account, StackSettings

AUDIT_NAME: Final = "tag-audit"
"""Of the component, and so what the names of its resources begin with."""


def planned_repository_policy(
    settings: StackSettings, name: str, account: Account
) -> dict[str, Any]:
    """The repository policy of one of the stack's repositories."""
    return repository_policy(settings.access(name, account))


def planned_lifecycle_policy(settings: StackSettings, name: str) -> dict[str, Any]:
    """The lifecycle policy of one of the stack's repositories.

    There always is one: the rules that protect the movable tags are in it without any retention.
    """
    return lifecycle_policy(list(settings.movable_tags), settings.repositories[name].retention)


def planned_audit(settings: StackSettings, account: Account) -> Audit:
    """What the audit watches."""
    role = settings.pipeline_role
    return {
        "partition": account.partition,
        "account_id": account.id,
        "region": account.region,
        "repositories": list(settings.repositories),
        "movable_tags": list(settings.movable_tags),
        "pipeline_roles": settings.pipeline_roles_in(account),
        "administrator_roles": list(settings.administrator_roles),
        "created_role": role.arn_in(account) if role.name else "",
        "trust": role.trust(account),
    }


def length_problems(settings: StackSettings, account: Account) -> Iterator[Problem]:
    """What AWS would refuse for its length.

    All repositories have the same lists, and at most one statement more.
    """
    longest = max(settings.repositories, key=lambda name: settings.repositories[name].lambda_pull)
    documents: list[Callable[[], object]] = [
        lambda: planned_repository_policy(settings, longest, account),
        lambda: trust_policy(settings.pipeline_role.trust(account)),
    ]
    if settings.audit.enabled:
        documents.append(lambda: event_rules(AUDIT_NAME, planned_audit(settings, account)))
    for document in documents:
        try:
            document()
        except InvalidInputError as invalid:
            yield from invalid.problems
