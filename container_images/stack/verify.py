"""Whether a repository in AWS is as its stack declares it, and holds what ADR040 asks of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from container_images.access.claims import Claim, Proof, alike, prove
from container_images.stack.declared import DeclaredStack
from container_images.stack.state import (
    REPOSITORY_POLICY,
    Difference,
    State,
    differences,
    intended,
)


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What is true of one repository."""

    live: State
    proofs: Sequence[Proof]
    """Each claim about access, on the policy as it is in AWS."""
    differences: Sequence[Difference]

    @property
    def ok(self) -> bool:
        """Whether every claim holds, and nothing differs from what the stack declares."""
        return all(proof.proved for proof in self.proofs) and not self.differences

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "repository": self.live.name,
            "ok": self.ok,
            "proofs": [proof.to_json() for proof in self.proofs],
            "differences": [difference.to_json() for difference in self.differences],
        }


def verify(live: State, stack: DeclaredStack) -> Verification:
    """Hold a repository, which is one of the stack's, against what it declares."""
    access = stack.settings.access(live.name, stack.account)
    return Verification(
        live=live,
        proofs=prove(alike([(live.arn, live.policy, access)]), Claim),
        differences=differences(live, intended(stack, live.name)),
    )


def checklist(stack: DeclaredStack, verified: Sequence[Verification]) -> Iterator[str]:
    """What no command can check after the first update in an account: docs/adoption.md says how."""
    if any(
        difference.setting == REPOSITORY_POLICY
        for each in verified
        for difference in each.differences
    ):
        yield "ECR has accepted every action that the Denies name: the policies are as declared"
    yield "the repository policy denies a push to a role that is no pipeline role"
    pullers = ["ECS (or EKS, or whatever runs the images)", "the scanner"]
    if any(repository.lambda_pull for repository in stack.settings.repositories.values()):
        pullers.append("Lambda")
    yield from (f"{puller} pulls from the guarded repositories" for puller in pullers)
