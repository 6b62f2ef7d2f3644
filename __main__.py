"""The program that Pulumi runs: settings in, one Registry, outputs out."""

import pulumi

from components.registry import Registry


def main() -> None:
    """Declare the stack."""
    registry = Registry.from_config()
    pulumi.export("repositoryUrls", registry.repository_urls)
    pulumi.export("repositoryArns", registry.repository_arns)
    pulumi.export("tagMutability", registry.tag_mutability)
    pulumi.export("pipelineRoleArn", registry.pipeline_role_arn)


main()
