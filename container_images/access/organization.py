"""The organization's two policies for a stack, and what is proved of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain
from typing import Any, Final

from container_images.access.policy import NotModelledError
from container_images.access.policy_files import Plan
from container_images.access.proofs import (
    ANYTHING,
    Asked,
    Claim,
    Proof,
    alike,
    control_policy,
    guarded,
    proof,
    prove,
)
from container_images.aws import reference
from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.policies.organization import resource_control_policy, service_control_policy
from container_images.policies.repository_policy import Access

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


@dataclass(frozen=True, kw_only=True)
class OrganizationPolicies:
    """Both policies, and what is proved of repositories that have no policy of their own."""

    service_control_policy: dict[str, Any]
    resource_control_policy: dict[str, Any]
    proofs: list[Proof]


UNGUARDED: Final = (Claim.MOVED, Claim.ADMINISTERED, Claim.BOTH, Claim.LOCKED_OUT)
"""What the resource control policy holds up over a repository without a policy."""


def policies_for(plan: Plan) -> OrganizationPolicies:
    """The policies for a stack: its roles are those that its guard leaves out.

    Raises InvalidInputError where a repository has no guard or another one, and where AWS would
    refuse a policy for its length.
    """
    asked = [guarded(arn, policy) for arn, policy in plan.policies.items()]
    access = asked[0].access
    faults = [
        Problem(
            where=(it.arn,),
            rule="a repository's policy exempts pipeline roles and administrator roles from its "
            "Denies, and all repositories' exempt the same ones",
            fix="give all repositories the same roles, or run the command for each one",
        )
        for it in asked
        if it.access != access or not (access["pipeline_roles"] and access["administrator_roles"])
    ]
    if faults:
        raise InvalidInputError(faults)
    names = [reference.parse(it).name for it in plan.policies]
    registry = service_control_policy(access, names)
    repositories = resource_control_policy(access, names)
    bare = alike(((it, None, access) for it in plan.policies), resource_control_policy=repositories)
    return OrganizationPolicies(
        service_control_policy=registry,
        resource_control_policy=repositories,
        proofs=[*prove_registry(registry, access, plan.policies), *prove(bare, UNGUARDED)],
    )


def prove_registry(document: Mapping[str, Any], access: Access, arns: Iterable[str]) -> list[Proof]:
    """Hold each claim about the registry against an account with this service control policy.

    `arns` are those of the repositories that are guarded.
    """
    try:
        controls = (control_policy(document),)
    except (NotModelledError, InvalidInputError) as error:
        return [proof(claim, iter(()), str(error)) for claim in RegistryClaim]
    registry = Asked(arns=("*",), access=access, controls=controls)
    repositories = [replace(registry, arns=(arn,)) for arn in arns]
    changes = [(registry, CHANGE_REGISTRY), *((it, CREATE_REPOSITORY) for it in repositories)]
    others = [it for it in ANYTHING if it not in (*CHANGE_REGISTRY, *CREATE_REPOSITORY)]
    own, administrators = access["account_id"], access["administrator_roles"]
    anybody, others_of_it = (
        (registry.all_of(own, but), registry.without_arn_of(own, but))
        for but in ((), administrators)
    )
    breaches = {
        RegistryClaim.CHANGED: (it.allowed(others_of_it, change) for it, change in changes),
        RegistryClaim.LOCKED_OUT: (
            it.denied([it.exactly(arn)], change) for arn in administrators for it, change in changes
        ),
        RegistryClaim.KEPT_OUT: (it.denied(anybody, others) for it in (registry, *repositories)),
    }
    return [proof(claim, chain.from_iterable(found)) for claim, found in breaches.items()]
