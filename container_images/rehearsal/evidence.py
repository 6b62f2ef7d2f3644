"""What is claimed of who may do what: the only module here that calls the rules of access."""

from collections.abc import Sequence

from container_images.access.claims import Proof, Row, alike, prove, table
from container_images.stack.declared import DeclaredStack
from container_images.stack.state import State

__all__ = ["Proof", "Row", "evidence"]


def evidence(live: Sequence[State], stack: DeclaredStack) -> tuple[list[Proof], list[Row]]:
    """Each claim over all repositories, and what each principal can do in any of them."""
    settings, account = stack.settings, stack.account
    groups = alike(
        (state.arn, state.policy, settings.access(state.name, account))
        for state in live
        if state.name in settings.repositories
    )
    return prove(groups), table(groups)
