"""Whether a repository in AWS is as its stack declares it, and holds what ADR040 asks of it."""

from typing import Any

from container_images.access.claims import alike, prove
from container_images.stack.declared import DeclaredStack
from container_images.stack.differences import differences
from container_images.stack.state import State, intended


def verification(live: State, stack: DeclaredStack) -> dict[str, Any]:
    """What is true of one of the stack's repositories, as the command prints it in JSON."""
    access = stack.settings.access(live.name, stack.account)
    proofs = prove(alike([(live.arn, live.policy, access)]))
    differing = differences(live, intended(stack, live.name))
    return {
        "repository": live.name,
        "ok": all(proof.proved for proof in proofs) and not differing,
        "proofs": [{**proof.to_json(), "failure": proof.failure} for proof in proofs],
        "differences": differing,
    }
