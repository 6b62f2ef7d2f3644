"""Whether a repository in AWS is as its stack declares it, and holds what ADR040 asks of it."""

from typing import Any, NamedTuple

from container_images.access.claims import Proof, alike, prove
from container_images.stack.declared import DeclaredStack
from container_images.stack.differences import Difference, differences
from container_images.stack.state import State, intended


class Verification(NamedTuple):
    """What is true of one repository."""

    name: str
    proofs: list[Proof]
    """Each claim about access, on the policy as it is in AWS."""
    differences: list[Difference]

    @property
    def ok(self) -> bool:
        """Whether every claim holds, and nothing differs from what the stack declares."""
        return all(proof.proved for proof in self.proofs) and not self.differences

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        proofs = [proof.to_json() for proof in self.proofs]
        result = {"repository": self.name, "ok": self.ok, "proofs": proofs}
        return {**result, "differences": self.differences}


def verification(live: State, stack: DeclaredStack) -> Verification:
    """Hold a repository, which is one of the stack's, against what it declares."""
    access = stack.settings.access(live.name, stack.account)
    proofs = prove(alike([(live.arn, live.policy, access)]))
    return Verification(live.name, proofs, differences(live, intended(stack, live.name)))
