"""What CI needs in AWS: declared once, by an administrator of the account. See docs/ci.md."""

from collections.abc import Iterator
from typing import Any, Final

import pulumi
import pulumi_aws as aws
from pydantic import TypeAdapter

from container_images.bootstrap.permissions import (
    Delivery,
    audit_boundary,
    deploy_policy,
    pipeline_boundary,
    preview_policy,
)
from container_images.policies.document import allow, document_of, to_json
from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.policies.trust_policy import trust_policy
from container_images.settings import decoded
from container_images.settings.errors import check

ALIAS: Final = "alias/container-images-state"
"""Of the key: the stack's secrets provider names it."""

KEPT: Final = pulumi.ResourceOptions(protect=True, retain_on_delete=True)
"""Without its state or its key, a stack knows nothing of what it has made. All parts of the bucket
are kept with it: it would lose its privacy, its policy and its versions before it."""


def main() -> None:
    """Declare it all. Raises pulumi.RunError with the errors of the configuration."""
    delivery = _read()
    provider = None
    if delivery.github_provider:
        url, audience = "https://token.actions.githubusercontent.com", "sts.amazonaws.com"
        provider = aws.iam.OpenIdConnectProvider("github", url=url, client_id_lists=[audience])
    key = _state_key(delivery)
    _state_bucket(delivery, key)
    boundaries = {"pipeline": pipeline_boundary()}
    if delivery.audit:
        boundaries["audit"] = audit_boundary(delivery.location)
    for kind, document in boundaries.items():
        boundary = _named(aws.iam.Policy, delivery.boundary(kind), policy=to_json(document))
        pulumi.export(f"{kind}BoundaryArn", boundary.arn)
    # The key's ARN is only known once it is there.
    allowed = key.arn.apply(lambda arn: to_json(deploy_policy(delivery, arn)))
    bound = _named(aws.iam.Policy, delivery.deploy_role, policy=allowed)

    def role(kind: str, does: str, boundary: pulumi.Input[str] | None = None) -> Any:
        return _named(
            aws.iam.Role,
            getattr(delivery, f"{kind}_role"),
            description=f"{does} the container-images stack",
            assume_role_policy=to_json(trust_policy(delivery.trust(kind))),
            permissions_boundary=boundary,
            opts=pulumi.ResourceOptions(depends_on=provider),
        )

    deploying, previewing = role("deploy", "Updates", bound.arn), role("preview", "Previews")
    aws.iam.RolePolicyAttachment("deploy", role=deploying.name, policy_arn=bound.arn)
    reading = key.arn.apply(lambda arn: to_json(preview_policy(delivery, arn)))
    aws.iam.RolePolicy("preview", role=previewing.name, policy=reading)

    region = delivery.location["region"]
    pulumi.export("previewRoleArn", previewing.arn)
    pulumi.export("deployRoleArn", deploying.arn)
    pulumi.export("backendUrl", f"s3://{delivery.state_bucket}?region={region}&awssdk=v2")
    pulumi.export("secretsProvider", f"awskms://{ALIAS}?region={region}")


def _read() -> Delivery:
    """What the configuration says. Raises pulumi.RunError with what is wrong with it."""
    caller, config = aws.get_caller_identity(), pulumi.Config()
    location = {
        "partition": caller.arn.split(":")[1],
        "account_id": caller.account_id,
        "region": aws.get_region().region,
    }
    keys = [str(field.alias) for field in Delivery.model_fields.values()]
    written = decoded({key: text for key in keys if (text := config.get(key))})
    delivery: Delivery
    delivery, _, problems = check(TypeAdapter(Delivery), written | {"location": location})
    if problems := problems or list(_problems_in(delivery)):
        raise pulumi.RunError(str(InvalidInputError(problems)))
    return delivery


def _problems_in(delivery: Delivery) -> Iterator[Problem]:
    """What is wrong with values that are each valid."""
    trusted = {}
    for kind in ("Preview", "Deploy"):
        trust = delivery.trust(kind.lower())
        trusted[kind] = {*trust["github_subjects"], *trust["codebuild_projects"]}
        if not trusted[kind]:
            fix = f"give github{kind}Subjects or codeBuild{kind}Projects"
            rule = f"nobody may assume the {kind.lower()} role"
            yield Problem(where=(), rule=rule, fix=fix)
    roles = (delivery.preview_role, delivery.deploy_role, delivery.pipeline_role)
    names = [role.rpartition("/")[2].lower() for role in roles if role]
    if len({*names}) < len(names):
        rule, fix = "two roles have one name, whatever their paths", "give each a name of its own"
        yield Problem(where=(), value=names, rule=rule, fix=fix)
    for name in sorted(trusted["Preview"] & trusted["Deploy"]):
        rule = "may assume both roles, and a job that previews a pull request must not deploy"
        yield Problem(where=(), value=name, rule=rule, fix="trust it for one of the two")


def _named(kind: Any, path_and_name: str, **arguments: Any) -> Any:
    """A role or a policy."""
    path, _, name = path_and_name.rpartition("/")
    return kind(name, name=name, path=f"{path}/", **arguments)


def _state_key(delivery: Delivery) -> aws.kms.Key:
    """The key that encrypts the stack's secrets and its state.

    Who may use it stands in IAM policies: the account's root, as principal, delegates to them.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
    """
    root = delivery.iam_arn("root")
    administered = allow("IamPoliciesDecide", {"AWS": root}, ["kms:*"], Resource="*")
    key = aws.kms.Key(
        "state",
        description="Secrets and state of the container-images stack",
        enable_key_rotation=True,
        policy=to_json(document_of([administered])),
        opts=KEPT,
    )
    aws.kms.Alias("state", name=ALIAS, target_key_id=key.key_id, opts=KEPT)
    return key


def _state_bucket(delivery: Delivery, key: aws.kms.Key) -> None:
    """A bucket for Pulumi's state: versioned, encrypted, private, by TLS alone."""
    bucket = aws.s3.Bucket("state", bucket=delivery.state_bucket, opts=KEPT)
    of_bucket: dict[str, Any] = {"bucket": bucket.bucket, "opts": KEPT}
    aws.s3.BucketVersioning("state", versioning_configuration={"status": "Enabled"}, **of_bucket)
    by_key = {"sse_algorithm": "aws:kms", "kms_master_key_id": key.arn}
    rule: Any = {"apply_server_side_encryption_by_default": by_key, "bucket_key_enabled": True}
    aws.s3.BucketServerSideEncryptionConfiguration("state", rules=[rule], **of_bucket)
    private = aws.s3.BucketPublicAccessBlock(
        "state",
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        **of_bucket,
    )
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html
    arn = delivery.bucket_arn(delivery.state_bucket)
    deny = {"Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": ["s3:*"]}
    by_tls = {
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    # S3 refuses two changes to a bucket's access at once.
    after = pulumi.ResourceOptions.merge(KEPT, pulumi.ResourceOptions(depends_on=private))
    policy = to_json(document_of([deny | by_tls]))
    aws.s3.BucketPolicy("state", bucket=bucket.bucket, policy=policy, opts=after)
