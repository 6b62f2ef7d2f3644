"""The organization's two policies for a stack, and what is proved of them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from policies.repository_policy import Access
from registry.access.policy import NotModelledError
from registry.access.proofs import ANYTHING, Asked, Proof, but, control_policy, proof

CREATE_REPOSITORY: Final = ("ecr:CreateRepository",)
CHANGE_REGISTRY: Final = (
    "ecr:PutRegistryPolicy",
    "ecr:DeleteRegistryPolicy",
    "ecr:PutReplicationConfiguration",
    "ecr:StartReplicationBackfill",
    "ecr:StopReplicationBackfill",
    "ecr:CreatePullThroughCacheRule",
    "ecr:UpdatePullThroughCacheRule",
    "ecr:DeletePullThroughCacheRule",
    "ecr:CreateRepositoryCreationTemplate",
    "ecr:UpdateRepositoryCreationTemplate",
    "ecr:DeleteRepositoryCreationTemplate",
    "ecr:PutAccountSetting",
    "ecr:PutSigningConfiguration",
    "ecr:DeleteSigningConfiguration",
    "ecr:PutRegistryScanningConfiguration",
    "ecr:RegisterPullTimeUpdateExclusion",
    "ecr:DeregisterPullTimeUpdateExclusion",
)


class RegistryClaim(StrEnum):
    """What is proved of an account's registry under a service control policy."""

    CHANGED = (
        "Nobody in the account but the administrator roles can change the registry, or make a "
        "guarded repository anew (service-linked roles are not covered)"
    )
    LOCKED_OUT = "Every administrator role that its own policies allow it can do both (no lock-out)"
    KEPT_OUT = (
        "Nobody in the account is denied any other ECR call on the registry or a guarded repository"
    )


def prove_registry(
    service_control_policy: Mapping[str, Any], access: Access, arns: Iterable[str]
) -> list[Proof]:
    """Hold each claim about the registry against an account with this service control policy.

    `arns` are those of the repositories that are guarded.
    """
    try:
        controls = (control_policy(service_control_policy),)
    except NotModelledError as error:
        return [proof(claim, iter(()), str(error)) for claim in RegistryClaim]
    registry = Asked(arn="*", access=access, controls=controls)
    guarded = [replace(registry, arn=arn) for arn in arns]
    changes = [(registry, CHANGE_REGISTRY), *((it, CREATE_REPOSITORY) for it in guarded)]
    others = [it for it in ANYTHING if it not in (*CHANGE_REGISTRY, *CREATE_REPOSITORY)]
    own, administrators = access["account_id"], access["administrator_roles"]
    anybody = [registry.all_of(own), registry.without_arn_of(own)]
    breaches = {
        RegistryClaim.CHANGED: (
            it.find(other, change)
            for it, change in changes
            for one in anybody
            if (other := but(one, administrators))
        ),
        RegistryClaim.LOCKED_OUT: (
            it.find(it.exactly(arn), change, denied=True)
            for arn in administrators
            for it, change in changes
        ),
        RegistryClaim.KEPT_OUT: (
            it.find(one, others, denied=True) for it in (registry, *guarded) for one in anybody
        ),
    }
    return [proof(claim, found) for claim, found in breaches.items()]
