"""An access, images as they are pushed, and a client whose calls can be seen and disturbed."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from container_images.policies.document import to_json
from container_images.policies.repository_policy import Access, repository_policy

if TYPE_CHECKING:
    import types_boto3_ecr

    ECRClient = types_boto3_ecr.ECRClient
else:
    ECRClient = Any  # the stubs are for the type checker alone

NAME = "forms-admin-deploy"
ACCOUNT = "123456789012"  # moto's own
REGION = "eu-west-2"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"

EPOCH = 1_764_000_000


def access(account: str = "111122223333", /, **changes: Any) -> Access:
    """An access with one of everything."""
    whole: Access = {
        "partition": "aws",
        "account_id": account,
        "region": REGION,
        "pipeline_roles": [f"arn:aws:iam::{account}:role/pipeline/push"],
        "administrator_roles": [f"arn:aws:iam::{account}:role/deploy"],
        "pull_accounts": ["444455556666"],
        "pull_organization": "",
        "lambda_pull": False,
    }
    return {**whole, **changes}  # type: ignore[typeddict-item]


def sha(letter: str) -> str:
    return letter * 40


def tag(stage: str, letter: str, hours: int = 0) -> str:
    """A unique tag. Builds of later letters of the alphabet are later."""
    return f"{stage}-{sha(letter)}-{EPOCH + 86_400 * ord(letter) + 3_600 * hours}"


def digest_of(manifest: str) -> str:
    return f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"


def push(
    ecr: ECRClient, manifest: str, *tags: str, media_type: str = OCI_MANIFEST, name: str = NAME
) -> str:
    for each in tags:
        ecr.put_image(
            repositoryName=name,
            imageManifest=manifest,
            imageManifestMediaType=media_type,
            imageDigest=digest_of(manifest),
            imageTag=each,
        )
    return digest_of(manifest)


def manifest(letter: str) -> str:
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "build": letter})


def build(ecr: ECRClient, letter: str, *tags: str, name: str = NAME) -> str:
    """An image that was merged, with other tags beside that one. Returns its digest."""
    return push(ecr, manifest(letter), tag("merged", letter), *tags, name=name)


def place(ecr: ECRClient, tag: str, name: str = NAME) -> str:
    """Digest of the image that a tag is on."""
    [image] = ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": tag}])["imageDetails"]
    return image["imageDigest"]


def put_guard(ecr: ECRClient, *pipeline: str, name: str = NAME) -> None:
    """Give a repository the policy that exempts these roles."""
    roles = [f"arn:aws:iam::{ACCOUNT}:role/admin"]
    guard = repository_policy(access(pipeline_roles=[*pipeline], administrator_roles=roles))
    ecr.set_repository_policy(repositoryName=name, policyText=to_json(guard))


def put_lifecycle(ecr: ECRClient, document: Any) -> None:
    ecr.put_lifecycle_policy(repositoryName=NAME, lifecyclePolicyText=json.dumps(document))


@dataclass
class Wire:
    """A client of ECR that counts its calls. `before` and `after` are told each call's number."""

    client: Any
    before: Callable[[int], None] = lambda _: None
    after: Callable[[int], None] = lambda _: None
    calls: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.client, name)
        if name in {"exceptions", "meta", "get_paginator"}:
            return attribute

        def call(**arguments: Any) -> Any:
            self.calls.append(name)
            number = len(self.calls)
            self.before(number)
            try:
                return attribute(**arguments)
            finally:
                self.after(number)

        return call
