"""PipelineRole: the role that pushes images and moves tags, and its trust policy."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from container_images.policies.document import to_json
from container_images.policies.forms import mismatches
from container_images.policies.invalid_input import refuse
from container_images.policies.trust_policy import Trust, pipeline_role_policy, trust_policy

from . import refuse_outputs


class PipelineRoleArgs(TypedDict):
    """The settings of a pipeline role.

    They are plain values, not Inputs, so that a preview shows the trust policy whole.
    """

    trust: Trust
    """Who may assume the role."""
    path: NotRequired[str]
    """The role's path, with a slash at both ends. Default: /."""
    permissions_boundary: NotRequired[str]
    """ARN of the role's permissions boundary. Default: none."""


class PipelineRole(pulumi.ComponentResource):
    """An IAM role, named like the component, that may log in to the registry.

    Its permissions on a repository are in that repository's policy (see ImageRepository), so that
    the role's own policy does not grow with the number of repositories.
    """

    arn: pulumi.Output[str]
    """ARN of the role."""

    def __init__(
        self, name: str, args: PipelineRoleArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Register the role and its policy.

        Raises InvalidInputError for an Output, and for a principal that is not exact.
        """
        refuse_outputs(args)
        refuse(mismatches({"trust": args["trust"]}))
        super().__init__("container-images:index:PipelineRole", name, {}, opts)
        role = aws.iam.Role(
            name,
            name=name,
            path=args.get("path", "/"),
            description="Pushes images to ECR and moves their tags",
            assume_role_policy=to_json(trust_policy(args["trust"])),
            permissions_boundary=args.get("permissions_boundary") or None,
            opts=pulumi.ResourceOptions(parent=self),
        )
        aws.iam.RolePolicy(
            f"{name}-login",
            name="registry-login",
            role=role.name,
            policy=to_json(pipeline_role_policy()),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn = role.arn
        self.register_outputs({"arn": self.arn})
