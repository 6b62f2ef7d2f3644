"""Pure: the policies that the program registers for a repository, from its settings alone."""

from typing import Any

from container_images.policies.repository_policy import repository_policy
from container_images.policies.retention import lifecycle_policy
from container_images.settings.model import Account, StackSettings


def planned_repository_policy(
    settings: StackSettings, name: str, account: Account
) -> dict[str, Any]:
    """The repository policy of one of the stack's repositories."""
    return repository_policy(settings.access(name, account))


def planned_lifecycle_policy(settings: StackSettings, name: str) -> dict[str, Any]:
    """The lifecycle policy of one of the stack's repositories.

    There always is one: the rules that protect the movable tags are in it without any retention.
    """
    rules = [rule.to_args() for rule in settings.repositories[name].retention]
    return lifecycle_policy(list(settings.movable_tags), rules)
