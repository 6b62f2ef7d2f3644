"""The resources of the production stack, written by hand: what `benchmarks/program.py` beats.

Each repository stands in a bare component. The documents are made once, and nothing is checked.
"""

import pulumi
import pulumi_aws as aws

from container_images.policies import retention
from container_images.policies.document import to_json
from container_images.policies.repository_policy import repository_policy
from container_images.policies.trust_policy import pipeline_role_policy, trust_policy

IAM = "arn:aws:iam::111122223333:role"
POLICY = to_json(
    repository_policy(
        {
            "partition": "aws",
            "account_id": "111122223333",
            "region": "eu-west-2",
            "pipeline_roles": [f"{IAM}/pipeline/forms-image-pipeline"],
            "administrator_roles": [f"{IAM}/platform/forms-registry-deploy", f"{IAM}/break-glass"],
            "pull_accounts": ["444455556666", "123456789012", "777788889999", "999999999999"],
            "pull_organization": "",
            "lambda_pull": False,
        }
    )
)
LIFECYCLE_POLICY = to_json(
    retention.lifecycle_policy(
        ["latest"],
        [
            {"tags": "prod-*", "keep_newest": 50},
            {"tags": "stg-*", "keep_newest": 50},
            {"tags": "merged-*", "keep_newest": 100},
            {"tags": "dev-*", "expire_after_days": 30},
            {"tags": "pr-*", "expire_after_days": 14},
            {"untagged": True, "expire_after_days": 7},
        ],
    )
)
TRUST_POLICY = to_json(
    trust_policy(
        {
            "partition": "aws",
            "account_id": "111122223333",
            "codebuild_projects": [
                "arn:aws:codebuild:eu-west-2:111122223333:project/forms-image-pipeline"
            ],
            "github_subjects": ["repo:example-org/forms-deploy:environment:production"],
            "roles": [],
        }
    )
)
IMMUTABLE_TAGS = ["merged-*", "stg-*", "prod-*", "dev-*", "pr-*"]


def main() -> None:
    """Register everything."""
    caller, _ = aws.get_caller_identity(), aws.get_region()
    aws.iam.get_session_context(arn=caller.arn)

    pipeline = pulumi.ComponentResource("bench:index:Role", "pipeline")
    child = pulumi.ResourceOptions(parent=pipeline)
    role = aws.iam.Role(
        "pipeline",
        name="forms-image-pipeline",
        path="/pipeline/",
        description="Pushes images to ECR and moves their tags",
        assume_role_policy=TRUST_POLICY,
        opts=child,
    )
    aws.iam.RolePolicy(
        "pipeline-login",
        name="registry-login",
        role=role.name,
        policy=to_json(pipeline_role_policy()),
        opts=child,
    )
    names = pulumi.Config().require_object("repositories")
    repositories = {name: repository(name, pipeline) for name in names}

    pulumi.export("urls", {name: it.repository_url for name, it in repositories.items()})
    pulumi.export("arns", {name: it.arn for name, it in repositories.items()})
    pulumi.export("modes", {name: it.image_tag_mutability for name, it in repositories.items()})
    pulumi.export("role", role.arn)


def repository(name: str, pipeline: pulumi.Resource) -> aws.ecr.Repository:
    """One repository with its policies."""
    component = pulumi.ComponentResource(
        "bench:index:Repository", name, {}, pulumi.ResourceOptions(depends_on=pipeline)
    )
    it = aws.ecr.Repository(
        name,
        name=name,
        image_tag_mutability="MUTABLE_WITH_EXCLUSION",
        image_tag_mutability_exclusion_filters=[
            aws.ecr.RepositoryImageTagMutabilityExclusionFilterArgs(
                filter=pattern, filter_type="WILDCARD"
            )
            for pattern in IMMUTABLE_TAGS
        ],
        image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(
            scan_on_push=True
        ),
        encryption_configurations=[
            aws.ecr.RepositoryEncryptionConfigurationArgs(encryption_type="AES256")
        ],
        opts=pulumi.ResourceOptions(parent=component, protect=True, retain_on_delete=True),
    )
    aws.ecr.LifecyclePolicy(
        f"{name}-lifecycle",
        repository=it.name,
        policy=LIFECYCLE_POLICY,
        opts=pulumi.ResourceOptions(parent=component, retain_on_delete=True),
    )
    aws.ecr.RepositoryPolicy(
        f"{name}-policy",
        repository=it.name,
        policy=POLICY,
        opts=pulumi.ResourceOptions(parent=component, retain_on_delete=True, depends_on=pipeline),
    )
    component.register_outputs(
        {"url": it.repository_url, "arn": it.arn, "mode": it.image_tag_mutability}
    )
    return it


if __name__ == "__main__":
    main()
