"""Pure: two policies for AWS Organizations, which deny what no repository policy can.

A repository policy has no effect on calls about the registry as a whole, and a repository that is
deleted and created again has none. A service control policy binds the account's principals, a
resource control policy its repositories, whoever calls. Neither grants anything to anybody.

Neither binds a service-linked role, of which ECR has several (replication, pull-through cache,
creation templates), nor anything in the organization's management account: the repositories must
be in another.
https://docs.aws.amazon.com/AmazonECR/latest/userguide/using-service-linked-roles.html

The documents are made here and applied by the organization: docs/organization.md.
"""

from collections.abc import Iterable
from typing import Any, Final

from container_images.policies.document import arn, document_of, refuse_longer_than
from container_images.policies.ecr_actions import Effect, actions
from container_images.policies.repository_policy import Access, denies, everybody_but

# https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html
# has both. Unlike IAM, Organizations counts white space too, where it is sent any.
MAX_SERVICE_CONTROL_POLICY: Final = 10_240
"""Characters of a service control policy. They were 5,120 until May 2026:
https://aws.amazon.com/about-aws/whats-new/2026/05/aws-organizations-increased-scp-quotas/"""

MAX_RESOURCE_CONTROL_POLICY: Final = 5_120
"""Characters of a resource control policy."""


def service_control_policy(access: Access, repositories: Iterable[str]) -> dict[str, Any]:
    """Only the administrators change the registry, or make one of these repositories anew.

    It binds every principal of the account that it is attached to, root included, save those that
    no such policy binds (see above). It binds nobody of another account, who needs the leave of the
    registry's own policy for any of this: which only the administrators can give.
    https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry-permissions.html

    A statement has no Principal, which such a policy does not know.
    https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_syntax.html

    Raises InvalidInputError where AWS would refuse the document for its length.
    """
    arns = _arns(access, repositories)
    condition = everybody_but(access["administrator_roles"])
    document = document_of(
        [
            {
                "Sid": "OnlyAdministratorsChangeTheRegistry",
                "Effect": "Deny",
                "Action": actions(Effect.CHANGE_REGISTRY),
                # None of these calls is about a resource, so this holds in every Region. Rightly:
                # a registry replicates into those of its own account without their policy's leave.
                "Resource": "*",
                "Condition": condition,
            },
            {
                "Sid": "OnlyAdministratorsMakeTheRepositories",
                "Effect": "Deny",
                "Action": actions(Effect.CREATE_REPOSITORY),
                "Resource": arns,
                "Condition": condition,
            },
        ]
    )
    lists = {"repositories": arns, "administrator roles": access["administrator_roles"]}
    refuse_longer_than(MAX_SERVICE_CONTROL_POLICY, "service control policy", document, lists)
    return document


def resource_control_policy(access: Access, repositories: Iterable[str]) -> dict[str, Any]:
    """The guard's Denies once more, for these repositories by name: they hold without their policy.

    It binds whoever asks, of whatever account, root included, save those that no such policy binds
    (see above). ECR is in this page's list of the services that heed such policies:
    https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html

    A statement can only deny, to everybody (`*`), and has to say on which resources.
    https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps_syntax.html

    AWS's own examples spare its services (`aws:PrincipalIsAWSService`). The guard spares none, and
    this is to say the same.

    Raises InvalidInputError where AWS would refuse the document for its length.
    """
    arns = _arns(access, repositories)
    document = document_of(it | {"Resource": arns} for it in denies(access))
    lists = {
        "repositories": arns,
        "pipeline roles": access["pipeline_roles"],
        "administrator roles": access["administrator_roles"],
    }
    refuse_longer_than(MAX_RESOURCE_CONTROL_POLICY, "resource control policy", document, lists)
    return document


def _arns(access: Access, repositories: Iterable[str]) -> list[str]:
    return sorted(arn(access, "ecr", f"repository/{name}") for name in set(repositories))
