"""ImageRepository: an ECR repository with its lifecycle policy and its repository policy."""

import inspect
import json
from functools import cache
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from container_images.policies import retention
from container_images.policies.document import to_json
from container_images.policies.forms import contradictions, exclusion_filters, mismatches
from container_images.policies.invalid_input import camel, refuse
from container_images.policies.repository_policy import Access, repository_policy

from . import refuse_outputs


class ImageRepositoryArgs(TypedDict):
    """The settings of an image repository.

    Those that its policies are made from are plain values, not Inputs, so that a preview shows both
    policies whole.
    """

    access: Access
    """Who may push, pull, delete, and change the guard."""
    tag_mutability: str
    """MUTABLE, MUTABLE_WITH_EXCLUSION or IMMUTABLE_WITH_EXCLUSION."""
    movable_tags: list[str]
    """Tags that the pipeline moves from image to image. Their images are never expired."""
    immutable_tags: NotRequired[list[str]]
    """With MUTABLE_WITH_EXCLUSION: 1 to 5 patterns of immutable tags."""
    retention: NotRequired[list[retention.RetentionRule]]
    """Which images are kept, in the order in which the rules apply. Default: all of them."""
    kms_key: NotRequired[str]
    """ARN of the KMS key that encrypts the images. Default: AES256, with keys that ECR manages. A
    repository's encryption cannot be changed: another value means another repository."""
    scan_on_push: NotRequired[pulumi.Input[bool]]
    """Whether an image is scanned when it is pushed. Default: true."""
    tags: NotRequired[dict[str, pulumi.Input[str]]]
    """Resource tags."""
    import_existing: NotRequired[bool]
    """Adopt the repository of this name that exists in AWS. Pulumi imports it and updates its
    settings in the same deployment, and its policies are overwritten by these. Only what would
    replace it is refused ("unable to replace resource"): its encryption and KMS key have to be
    those given here. Default: false, which creates the repository."""


class ImageRepository(pulumi.ComponentResource):
    """An ECR repository, named like the component, with a lifecycle policy and a repository policy.

    The repository is protected: Pulumi refuses to delete it. All three are retained: a repository
    that is taken out of the stack keeps its images and its policies in AWS, and a policy that has
    to be replaced is overwritten by AWS's Put and never deleted
    (https://github.com/pulumi/pulumi-aws/issues/2075).

    Give `depends_on` where the same stack creates a role named in `access`: AWS refuses a
    repository policy whose principals do not exist.
    """

    repository_url: pulumi.Output[str]
    """The repository's URI, which an image reference starts with."""
    repository_arn: pulumi.Output[str]
    """ARN of the repository."""
    tag_mutability: pulumi.Output[str | None]
    """The repository's tag mutability."""

    def __init__(
        self, name: str, args: ImageRepositoryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Register the repository and its policies.

        Raises InvalidInputError for an Output where a plain value is needed, for a principal or a
        tag that is not exact, for a tag mutability that the stack does not have, and where AWS
        would refuse a policy, or read it otherwise than meant.
        """
        plain = {key: value for key, value in args.items() if key not in {"scan_on_push", "tags"}}
        try:
            guard, lifecycle_policy, filters = _policies(json.dumps(plain))
        except TypeError:
            refuse_outputs(plain)
            raise
        kms_key = args.get("kms_key")
        super().__init__("container-images:index:ImageRepository", name, {}, opts)
        repository = aws.ecr.Repository(
            name,
            name=name,
            image_tag_mutability=args["tag_mutability"],
            image_tag_mutability_exclusion_filters=[
                {"filter": pattern, "filter_type": "WILDCARD"} for pattern in filters
            ]
            or None,
            image_scanning_configuration={"scan_on_push": args.get("scan_on_push", True)},
            # Without a key there is no null either: the mocks leave it out, the provider does not.
            encryption_configurations=[
                {"encryption_type": "KMS", "kms_key": kms_key}
                if kms_key
                else {"encryption_type": "AES256"}
            ],
            tags=args.get("tags") or None,
            opts=pulumi.ResourceOptions(
                parent=self,
                # On the repository alone: children inherit it from a component, and on the policies
                # it would block every replacement.
                protect=True,
                retain_on_delete=True,
                import_=name if args.get("import_existing") else None,
            ),
        )
        aws.ecr.LifecyclePolicy(
            f"{name}-lifecycle",
            repository=repository.name,
            policy=lifecycle_policy,
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        waits_for = opts.depends_on if opts else None
        aws.ecr.RepositoryPolicy(
            f"{name}-policy",
            repository=repository.name,
            policy=guard,
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True, depends_on=waits_for),
        )
        self.repository_url = repository.repository_url
        self.repository_arn = repository.arn
        self.tag_mutability = repository.image_tag_mutability
        outputs = inspect.get_annotations(ImageRepository)
        self.register_outputs({camel(output): getattr(self, output) for output in outputs})


@cache
def _policies(text: str) -> tuple[str, str, list[str]]:
    """Both policies and the exclusion filters, made once for all repositories of equal inputs."""
    inputs = {"immutable_tags": [], "retention": [], **json.loads(text)}
    refuse(mismatches(inputs))
    refuse(contradictions(inputs))
    movable = inputs["movable_tags"]
    lifecycle_policy = retention.lifecycle_policy(movable, inputs["retention"])
    filters = exclusion_filters(inputs["tag_mutability"], movable, inputs["immutable_tags"])
    return to_json(repository_policy(inputs["access"])), to_json(lifecycle_policy), filters
