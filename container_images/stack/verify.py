"""Whether a repository in AWS is as its stack declares it, and holds what ADR040 asks of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from container_images.policies.repository_policy import Access
from container_images.stack.declared import DeclaredStack
from container_images.stack.probe import Probed
from container_images.stack.state import (
    REPLACING,
    REPOSITORY_POLICY,
    Difference,
    State,
    differences,
    intended,
)

if TYPE_CHECKING:
    from container_images.access.proofs import Proof


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What is found out about one repository."""

    found: State
    proofs: "Sequence[Proof]"
    """Each claim about access, on the policy as it is in AWS."""
    differences: Sequence[Difference]
    """What is not as the stack declares it."""
    probes: Sequence[Probed] = ()
    """Empty where nothing is probed."""

    @property
    def ok(self) -> bool:
        """Whether all is proved and as declared, and no probe says otherwise or nothing."""
        return (
            all(it.proved for it in self.proofs)
            and not self.differences
            and all(it.ok is not False for it in self.probes)
        )

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "repository": self.found.name,
            "ok": self.ok,
            "proofs": [it.to_json() for it in self.proofs],
            "differences": [it.to_json() for it in self.differences],
            "probes": [it.to_json() for it in self.probes],
        }


def access_of(stack: DeclaredStack, name: str) -> Access:
    """Who is meant to have access to a repository of the stack."""
    return stack.settings.repository_args(name, stack.account)["access"]


def verify(
    found: Sequence[State], stack: DeclaredStack, probes: Mapping[str, Sequence[Probed]]
) -> list[Verification]:
    """Hold repositories, all of them the stack's, against what it declares; `probes` by name."""
    from container_images.access.proofs import Claim, Proof, alike, prove  # noqa: PLC0415 needs the solver

    # What is alike has the same proofs, and is asked about once.
    proofs: dict[str, list[Proof]] = {}
    for group in alike((it.arn, it.policy, access_of(stack, it.name)) for it in found):
        proofs |= dict.fromkeys(group.arns, prove([group], Claim))
    return [
        Verification(
            found=it,
            proofs=proofs[it.arn],
            differences=differences(it, intended(stack, it.name)),
            probes=probes.get(it.name, ()),
        )
        for it in found
    ]


def fix_of(difference: Difference, stack: str) -> str:
    """What puts a difference right."""
    if difference.setting in REPLACING:
        return f"no update changes it: correct kmsKey in Pulumi.{stack}.yaml"
    return f"make up STACK={stack}"


def checklist(stack: DeclaredStack, verified: Sequence[Verification]) -> Iterator[str]:
    """What is left to see of the first update in an account: docs/adoption.md says how."""
    if any(one.setting == REPOSITORY_POLICY for it in verified for one in it.differences):
        yield "ECR has accepted every action that the Denies name: the policies are as declared"
    if not any(one.action == "PutImage" and one.by_guard for it in verified for one in it.probes):
        yield (
            "a push is denied by the repository policy: verify with --probe, as a role that is no "
            "pipeline role and has ecr:PutImage by its own policies"
        )
    pullers = ["ECS (or EKS, or whatever runs the images)", "the scanner"]
    if any(it.lambda_pull for it in stack.settings.repositories.values()):
        pullers.append("Lambda")
    yield from (f"{it} pulls from the guarded repositories" for it in pullers)
