"""What CI needs in AWS: declared once, by an administrator of the account. See docs/ci.md."""

from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

import pulumi
import pulumi_aws as aws

from container_images.bootstrap.permissions import (
    Delivery,
    audit_boundary,
    bucket_policy,
    deploy_policy,
    pipeline_boundary,
    preview_policy,
)
from container_images.policies import forms
from container_images.policies.document import Location, allow, arn, document_of, to_json
from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.policies.trust_policy import Trust, trust_policy

ALIAS: Final = "alias/container-images-state"
"""Of the key: the stack's secrets provider names it."""

KEPT: Final = pulumi.ResourceOptions(protect=True, retain_on_delete=True)
"""Without its state or its key, a stack knows nothing of what it has made. All parts of the bucket
are kept with it: it would lose its privacy, its policy and its versions before it."""


def main() -> None:
    """Declare it all. Raises pulumi.RunError with all errors of the configuration."""
    config = pulumi.Config()
    delivery = _read(config)
    if problems := list(problems_in(delivery)):
        raise pulumi.RunError(str(InvalidInputError(problems)))

    provider = None
    if config.get_bool("githubProvider") is not False:
        url, audience = "https://token.actions.githubusercontent.com", "sts.amazonaws.com"
        provider = aws.iam.OpenIdConnectProvider("github", url=url, client_id_lists=[audience])
    key = _state_key(delivery)
    _state_bucket(delivery, key)
    boundary = _policy(delivery.boundary("pipeline"), to_json(pipeline_boundary()))
    if delivery.audit:
        auditing = _policy(delivery.boundary("audit"), to_json(audit_boundary(delivery.location)))
        pulumi.export("auditBoundaryArn", auditing.arn)
    # The key's ARN is only known once it is there.
    bound = _policy(
        delivery.deploy_role, key.arn.apply(lambda arn: to_json(deploy_policy(delivery, arn)))
    )

    def role(path_and_name: str, trust: Trust, **arguments: Any) -> aws.iam.Role:
        named, after = _named(path_and_name), pulumi.ResourceOptions(depends_on=provider)
        trusted = to_json(trust_policy(trust))
        return aws.iam.Role(
            named["name"], **named, assume_role_policy=trusted, opts=after, **arguments
        )

    deploying = role(
        delivery.deploy_role,
        delivery.deploy,
        description="Updates the container-images stack",
        permissions_boundary=bound.arn,
    )
    aws.iam.RolePolicyAttachment("deploy", role=deploying.name, policy_arn=bound.arn)
    reading = key.arn.apply(lambda arn: to_json(preview_policy(delivery, arn)))
    description = "Previews the container-images stack"
    previewing = role(delivery.preview_role, delivery.preview, description=description)
    aws.iam.RolePolicy("preview", role=previewing.name, policy=reading)

    region = delivery.location["region"]
    pulumi.export("previewRoleArn", previewing.arn)
    pulumi.export("deployRoleArn", deploying.arn)
    pulumi.export("pipelineBoundaryArn", boundary.arn)
    pulumi.export("backendUrl", f"s3://{delivery.state_bucket}?region={region}&awssdk=v2")
    pulumi.export("secretsProvider", f"awskms://{ALIAS}?region={region}")


def _read(config: pulumi.Config) -> Delivery:
    caller = aws.get_caller_identity()
    location: Location = {
        "partition": caller.arn.split(":")[1],
        "account_id": caller.account_id,
        "region": aws.get_region().region,
    }

    def trust(kind: str) -> Trust:
        return {
            "partition": location["partition"],
            "account_id": location["account_id"],
            "codebuild_projects": config.get_object(f"codeBuild{kind}Projects") or [],
            "github_subjects": config.get_object(f"github{kind}Subjects") or [],
            "roles": [],
        }

    return Delivery(
        location=location,
        preview=trust("Preview"),
        deploy=trust("Deploy"),
        preview_role=config.require("previewRole"),
        deploy_role=config.require("deployRole"),
        pipeline_role=config.get("pipelineRole") or "",
        audit=config.get_bool("audit") is not False,
        repository_keys=config.get_object("repositoryKeys") or [],
        state_bucket=config.require("stateBucket"),
        artifact_bucket=config.get("artifactBucket") or "",
        artifact_key=config.get("artifactKey") or "",
    )


def problems_in(delivery: Delivery) -> Iterator[Problem]:
    """Everything that is wrong with the configuration, under its keys."""
    roles = {
        "previewRole": delivery.preview_role,
        "deployRole": delivery.deploy_role,
        "pipelineRole": delivery.pipeline_role,
    }
    for key, name in roles.items():
        if name and not forms.ROLE_ARN.fits(delivery.iam_arn("role", name)):
            rule = "must be the path and name of one role, without wildcards"
            fix = f"write one such as /platform/{key.lower()}"
            yield Problem(where=(key,), value=name, rule=rule, fix=fix)
    names = [name.rpartition("/")[2] for name in roles.values() if name]
    if len({name.lower() for name in names}) < len(names):
        rule = "two of these roles have one name, and the path does not tell them apart"
        yield Problem(where=(), value=names, rule=rule, fix="give each role a name of its own")
    yield from _trust_problems("Preview", delivery.preview, _PREVIEW_SUBJECT)
    yield from _trust_problems("Deploy", delivery.deploy, _DEPLOY_SUBJECT)
    for name in sorted(_trusted(delivery.preview) & _trusted(delivery.deploy)):
        rule = "may assume both roles, and a job that previews a pull request must not deploy"
        yield Problem(where=(), value=name, rule=rule, fix="trust it for one of the two")
    try:  # a key's id is a UUID: the document is as long with any other
        deploy_policy(delivery, arn(delivery.location, "kms", f"key/{UUID(int=0)}"))
    except InvalidInputError as too_long:
        yield from too_long.problems


_PREVIEW_SUBJECT: Final = forms.SUBJECT._replace(
    pattern=rf"{forms.SUBJECT.pattern}|repo:[^:*?$/\s]+/[^:*?$/\s]+:pull_request"
)
"""Whoever can push a branch may preview: that is what the preview role is for."""
_DEPLOY_SUBJECT: Final = forms.Form(
    rf"(?=.*:environment:){forms.SUBJECT.pattern}",
    "must name one environment, whose reviewers approve what is deployed",
)


def _trust_problems(kind: str, trust: Trust, subject: forms.Form) -> Iterator[Problem]:
    subjects, projects = f"github{kind}Subjects", f"codeBuild{kind}Projects"
    if not _trusted(trust):
        nobody = f"nobody may assume the {kind.lower()} role"
        yield Problem(where=(), rule=nobody, fix=f"give {subjects} or {projects}")
    example = "write one such as repo:OWNER/NAME:environment:live"
    for key, values, form, fix in (
        (subjects, trust["github_subjects"], subject, example),
        (projects, trust["codebuild_projects"], forms.CODEBUILD_PROJECT_ARN, "copy its ARN"),
    ):
        for position, value in enumerate(values):
            if not form.fits(value):
                yield Problem(where=(key, position), value=value, rule=form.rule, fix=fix)


def _trusted(trust: Trust) -> set[str]:
    return {*trust["github_subjects"], *trust["codebuild_projects"]}


def _policy(path_and_name: str, document: pulumi.Input[str]) -> aws.iam.Policy:
    named = _named(path_and_name)
    return aws.iam.Policy(named["name"], **named, policy=document)


def _named(path_and_name: str) -> dict[str, Any]:
    path, _, name = path_and_name.rpartition("/")
    return {"name": name, "path": f"{path}/"}


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
    by_tls = to_json(bucket_policy(delivery.bucket_arn(delivery.state_bucket)))
    # S3 refuses two changes to a bucket's access at once.
    after = pulumi.ResourceOptions.merge(KEPT, pulumi.ResourceOptions(depends_on=private))
    aws.s3.BucketPolicy("state", bucket=bucket.bucket, policy=by_tls, opts=after)
