"""The resources of the production stack, registered by hand: what `benchmarks/program.py` compares.

Each repository stands in a bare component. The documents are made once, and nothing is checked.
"""

from pathlib import Path

import pulumi
import pulumi_aws as aws
from pulumi import ComponentResource, ResourceOptions

from container_images.policies.document import to_json
from container_images.policies.trust_policy import pipeline_role_policy, trust_policy
from container_images.settings.stack_file import read
from container_images.stack.declared import declared_in
from container_images.stack.state import intended

_FILE = read(Path.cwd(), "prod")
_STACK = declared_in(_FILE, _FILE.account)
_ROLE = _STACK.settings.pipeline_role
_STATE = intended(_STACK, next(iter(_STACK.settings.repositories)))
_TRUST_POLICY = to_json(trust_policy(_ROLE.trust(_STACK.account)))


def main() -> None:
    """Register everything."""
    caller, _ = aws.get_caller_identity(), aws.get_region()
    aws.iam.get_session_context(arn=caller.arn)
    pipeline = ComponentResource("bench:index:Role", "pipeline")
    child, login = ResourceOptions(parent=pipeline), to_json(pipeline_role_policy())
    role = aws.iam.Role(
        "pipeline",
        name=_ROLE.name,
        path=_ROLE.path,
        description="Pushes images to ECR and moves their tags",
        assume_role_policy=_TRUST_POLICY,
        opts=child,
    )
    aws.iam.RolePolicy("login", name="registry-login", role=role.name, policy=login, opts=child)
    names = pulumi.Config().require_object("repositories")
    repositories = {name: register(name, pipeline) for name in names}
    for output in ("repository_url", "arn", "image_tag_mutability"):
        pulumi.export(output, {name: getattr(each, output) for name, each in repositories.items()})
    pulumi.export("role", role.arn)


class Component(ComponentResource):
    """A component without any logic."""

    def __init__(self, name: str, opts: ResourceOptions) -> None:
        """Register it."""
        super().__init__("bench:index:Repository", name, {}, opts)


def register(name: str, pipeline: pulumi.Resource) -> aws.ecr.Repository:
    """One repository with its policies."""
    behind = ResourceOptions(depends_on=pipeline)
    component = Component(name, behind)
    repository = aws.ecr.Repository(
        name,
        name=name,
        image_tag_mutability=_STATE.tag_mutability,
        image_tag_mutability_exclusion_filters=[
            aws.ecr.RepositoryImageTagMutabilityExclusionFilterArgs(
                filter=pattern, filter_type="WILDCARD"
            )
            for pattern in _STATE.exclusion_filters
        ],
        image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(
            scan_on_push=True
        ),
        encryption_configurations=[
            aws.ecr.RepositoryEncryptionConfigurationArgs(encryption_type="AES256")
        ],
        opts=ResourceOptions(parent=component, protect=True, retain_on_delete=True),
    )
    aws.ecr.LifecyclePolicy(
        f"{name}-lifecycle",
        repository=repository.name,
        policy=_STATE.lifecycle_policy or "",
        opts=ResourceOptions(parent=component, retain_on_delete=True),
    )
    aws.ecr.RepositoryPolicy(
        f"{name}-policy",
        repository=repository.name,
        policy=_STATE.policy or "",
        opts=ResourceOptions(parent=component, retain_on_delete=True, depends_on=pipeline),
    )
    component.register_outputs(
        {"url": repository.repository_url, "arn": repository.arn, "name": repository.name}
    )
    return repository
