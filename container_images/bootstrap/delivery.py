"""What CI needs in AWS: declared once, by an administrator of the account. See docs/ci.md."""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID

import pulumi
import pulumi_aws as aws

from container_images.bootstrap.permissions import (
    MAX_MANAGED_POLICY,
    Place,
    audit_boundary,
    bucket_policy,
    deploy_policy,
    pipeline_boundary,
    preview_policy,
)
from container_images.policies.document import allow, document_of, to_json
from container_images.policies.event_patterns import IAM_REGIONS
from container_images.policies.trust_policy import Trust, trust_policy

ALIAS: Final = "alias/container-images-state"
"""Of the key: the stack's secrets provider names it."""

KEPT: Final = pulumi.ResourceOptions(protect=True, retain_on_delete=True)
"""Without its state or its key, a stack knows nothing of what it has made."""


def main() -> None:
    """Declare it all."""
    config = pulumi.Config()
    caller = aws.get_caller_identity()
    partition, account = caller.arn.split(":")[1], caller.account_id
    iam = f"arn:{partition}:iam::{account}"
    preview, deploy = config.require("previewRole"), config.require("deployRole")
    pipeline = config.get("pipelineRole")
    audited = config.get_bool("audit") is not False
    bucket_name, artifacts = config.require("stateBucket"), config.get("artifactBucket")
    trusts = {
        kind: Trust(
            partition=partition,
            account_id=account,
            codebuild_projects=config.get_object(f"codeBuild{kind}Projects") or [],
            github_subjects=config.get_object(f"github{kind}Subjects") or [],
            roles=[],
        )
        for kind in ("Preview", "Deploy")
    }
    place = Place(
        partition=partition,
        account_id=account,
        region=aws.get_region().region,
        preview_role=f"{iam}:role{preview}",
        deploy_role=f"{iam}:role{deploy}",
        pipeline_role=f"{iam}:role{pipeline}" if pipeline else "",
        pipeline_boundary=f"{iam}:policy{deploy}-pipeline-boundary",
        audit_boundary=f"{iam}:policy{deploy}-audit-boundary" if audited else "",
        audit_trail=config.get_bool("auditTrail") is True,
        deploy_boundary=f"{iam}:policy{deploy}",
        repository_keys=config.get_object("repositoryKeys") or [],
        state_bucket=f"arn:{partition}:s3:::{bucket_name}",
        preview_projects=trusts["Preview"]["codebuild_projects"],
        deploy_projects=trusts["Deploy"]["codebuild_projects"],
        artifact_bucket=f"arn:{partition}:s3:::{artifacts}" if artifacts else "",
        artifact_key=config.get("artifactKey") or "",
    )
    roles = {"previewRole": preview, "deployRole": deploy, "pipelineRole": pipeline}
    if faults := [*_faults(place, roles, trusts)]:
        raise pulumi.RunError("\n".join(faults))

    provider = None
    if config.get_bool("githubProvider") is not False:
        provider = aws.iam.OpenIdConnectProvider(
            "github",
            url="https://token.actions.githubusercontent.com",
            client_id_lists=["sts.amazonaws.com"],
        )
    key = _state_key(iam)
    _state_bucket(bucket_name, place["state_bucket"], key)
    boundary = _policy(f"{deploy}-pipeline-boundary", to_json(pipeline_boundary()))
    if audited:
        auditing = _policy(f"{deploy}-audit-boundary", to_json(audit_boundary(place)))
        pulumi.export("auditBoundaryArn", auditing.arn)
    # The key's ARN is only known once it is there.
    bound = _policy(deploy, key.arn.apply(lambda arn: to_json(deploy_policy(place, arn))))

    def role(path_and_name: str, trust: Trust, **arguments: Any) -> aws.iam.Role:
        path, _, name = path_and_name.rpartition("/")
        return aws.iam.Role(
            name,
            name=name,
            path=f"{path}/",
            assume_role_policy=to_json(trust_policy(trust)),
            opts=pulumi.ResourceOptions(depends_on=provider),
            **arguments,
        )

    deploying = role(
        deploy,
        trusts["Deploy"],
        description="Updates the container-images stack",
        permissions_boundary=bound.arn,
    )
    aws.iam.RolePolicyAttachment("deploy", role=deploying.name, policy_arn=bound.arn)
    previewing = role(preview, trusts["Preview"], description="Previews the container-images stack")
    aws.iam.RolePolicy(
        "preview",
        role=previewing.name,
        policy=key.arn.apply(lambda arn: to_json(preview_policy(place, arn))),
    )

    pulumi.export("previewRoleArn", previewing.arn)
    pulumi.export("deployRoleArn", deploying.arn)
    pulumi.export("pipelineBoundaryArn", boundary.arn)
    pulumi.export("backendUrl", f"s3://{bucket_name}?region={place['region']}&awssdk=v2")
    pulumi.export("secretsProvider", f"awskms://{ALIAS}?region={place['region']}")


def _faults(
    place: Place, roles: Mapping[str, str | None], trusts: Mapping[str, Trust]
) -> Iterator[str]:
    """All that is wrong, before anything is declared."""
    for name, value in roles.items():
        if value and not (value.startswith("/") and not value.endswith("/")):
            yield f"{name} is {value!r}; write its path and name, such as /platform/{name.lower()}"
    names = [it.rpartition("/")[2] for it in roles.values() if it]
    if len(set(names)) < len(names):
        yield "previewRole, deployRole and pipelineRole need names that differ"
    for what, trust in trusts.items():
        if not (trust["github_subjects"] or trust["codebuild_projects"]):
            yield (
                f"nobody may assume the {what.lower()} role: "
                f"give github{what}Subjects or codeBuild{what}Projects"
            )
        yield from (
            f"{subject!r} has a wildcard; a sub claim is compared as it is, so write it whole"
            for subject in trust["github_subjects"]
            if "*" in subject or "?" in subject
        )
    trusted = ({*it["github_subjects"], *it["codebuild_projects"]} for it in trusts.values())
    yield from (
        f"{it} may assume both roles; a job that previews a pull request must not deploy"
        for it in sorted(set.intersection(*trusted))
    )
    if place["audit_boundary"] and place["partition"] not in IAM_REGIONS:
        yield (
            f"in the partition {place['partition']} it is not known where IAM's events arrive, so "
            "the stack can have no audit: set audit: false"
        )
        return
    # A key's id is a UUID: the document is as long with any other.
    key = f"arn:{place['partition']}:kms:{place['region']}:{place['account_id']}:key/{UUID(int=0)}"
    length = len(to_json(deploy_policy(place, key)))
    if length > MAX_MANAGED_POLICY:
        yield (
            f"the deploy role's policy would have {length:,} characters, and IAM takes "
            f"{MAX_MANAGED_POLICY:,}: name fewer repositoryKeys or codeBuildDeployProjects, or "
            "let an administrator create the trail (auditTrail: false) or the whole audit "
            "(audit: false)"
        )


def _policy(path_and_name: str, document: pulumi.Input[str]) -> aws.iam.Policy:
    path, _, name = path_and_name.rpartition("/")
    return aws.iam.Policy(name, name=name, path=f"{path}/", policy=document)


def _state_key(iam: str) -> aws.kms.Key:
    """The key that encrypts the stack's secrets and its state.

    Who may use it stands in IAM policies: the account's root, as principal, delegates to them.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
    """
    administered = allow("IamPoliciesDecide", {"AWS": f"{iam}:root"}, ["kms:*"])
    key = aws.kms.Key(
        "state",
        description="Secrets and state of the container-images stack",
        enable_key_rotation=True,
        policy=to_json(document_of([administered | {"Resource": "*"}])),
        opts=KEPT,
    )
    aws.kms.Alias("state", name=ALIAS, target_key_id=key.key_id)
    return key


def _state_bucket(name: str, arn: str, key: aws.kms.Key) -> None:
    """A bucket for Pulumi's state: versioned, encrypted, private, by TLS alone."""
    bucket = aws.s3.Bucket("state", bucket=name, opts=KEPT)
    aws.s3.BucketVersioning(
        "state", bucket=bucket.bucket, versioning_configuration={"status": "Enabled"}
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        "state",
        bucket=bucket.bucket,
        rules=[
            {
                "apply_server_side_encryption_by_default": {
                    "sse_algorithm": "aws:kms",
                    "kms_master_key_id": key.arn,
                },
                "bucket_key_enabled": True,
            }
        ],
    )
    private = aws.s3.BucketPublicAccessBlock(
        "state",
        bucket=bucket.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
    )
    aws.s3.BucketPolicy(
        "state",
        bucket=bucket.bucket,
        policy=to_json(bucket_policy(arn)),
        opts=pulumi.ResourceOptions(depends_on=private),
    )
