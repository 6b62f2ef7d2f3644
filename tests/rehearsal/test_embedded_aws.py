"""The embedded AWS: it does what is asked or refuses, and is put right where moto is wrong."""

import os
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.ecr import models
from pulumi.runtime import MockCallArgs, MockResourceArgs

from container_images.aws.errors import RefusedError
from container_images.policies.document import to_json
from container_images.policies.invalid_input import InvalidInputError
from container_images.policies.retention import lifecycle_policy
from container_images.rehearsal.embedded_aws import (
    EmbeddedAws,
    embedded_aws,
)
from container_images.stack.declared import DeclaredStack
from container_images.stack.state import State, every

REPOSITORY = "aws:ecr/repository:Repository"
REPOSITORY_POLICY = "aws:ecr/repositoryPolicy:RepositoryPolicy"
LIFECYCLE_POLICY = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
POLICY = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"ecr:*"}]}'
)


@pytest.fixture
def aws(prod: DeclaredStack) -> Iterator[EmbeddedAws]:
    with embedded_aws(prod) as embedded:
        yield embedded


def create(aws: EmbeddedAws, kind: str = REPOSITORY, **inputs: Any) -> dict[str, Any]:
    named = {"name": "app", **inputs} if kind == REPOSITORY else inputs
    return aws.new_resource(MockResourceArgs(kind, "app", named))[1]


def invoke(aws: EmbeddedAws, token: str, **args: str) -> Any:
    return aws.call(MockCallArgs(f"aws:{token}", args, ""))


# --- Who and where --------------------------------------------------------------------------------


def test_the_update_runs_as_an_administrator_in_the_stacks_account_and_region(
    aws: EmbeddedAws,
) -> None:
    caller, _ = invoke(aws, "index/getCallerIdentity:getCallerIdentity")
    assert caller["accountId"] == "111122223333"
    session = "iam/getSessionContext:getSessionContext"
    context, _ = invoke(aws, session, arn=caller["arn"])
    assert context["issuerArn"] == "arn:aws:iam::111122223333:role/platform/forms-registry-deploy"
    assert invoke(aws, "index/getRegion:getRegion")[0] == {"region": "eu-west-2"}


def test_in_no_region_there_is_no_rehearsal(prod: DeclaredStack) -> None:
    stack = replace(prod, config={**prod.config, "aws:region": "eu-west-9"})
    message = 'Pulumi.prod.yaml: aws:region = "eu-west-9": ECR is in no such Region; write one such'
    with pytest.raises(RefusedError, match=message), embedded_aws(stack):
        pass


def test_the_processs_own_aws_settings_are_out_of_sight_and_nothing_is_left(
    prod: DeclaredStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With this endpoint and profile a call would go elsewhere, or fail."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    before = dict(os.environ), models.ECRBackend._resolve_image_tag_mutability
    for _ in range(2):
        with embedded_aws(prod) as aws:
            assert list(every(aws.ecr)) == []
            create(aws)
    assert (dict(os.environ), models.ECRBackend._resolve_image_tag_mutability) == before


# --- What it creates, and what it does not know ---------------------------------------------------


def test_a_repository_is_created_as_declared_with_the_providers_default_tags(
    aws: EmbeddedAws,
) -> None:
    """One that is to be imported too."""
    outputs = create(
        aws,
        imageTagMutability="MUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filter": "p*", "filterType": "WILDCARD"}],
        imageScanningConfiguration={"scanOnPush": True},
        encryptionConfigurations=[{"encryptionType": "KMS", "kmsKey": "key"}],
        tags={"Service": "other", "Own": "1"},
    )
    create(aws, REPOSITORY_POLICY, repository="app", policy=POLICY)
    rules = to_json(lifecycle_policy(["latest"], [{"archived": True, "expire_after_days": 365}]))
    create(aws, LIFECYCLE_POLICY, repository="app", policy=rules)
    [state] = every(aws.ecr)
    assert state == State(
        arn=outputs["arn"],
        name="app",
        tag_mutability="MUTABLE_WITH_EXCLUSION",
        exclusion_filters=("p*",),
        scan_on_push=True,
        encryption="KMS",
        kms_key="key",
        tags={"Service": "other", "Environment": "deploy", "ManagedBy": "pulumi", "Own": "1"},
        lifecycle_policy=rules,
        policy=POLICY,
    )
    outputs = create(aws, "aws:iam/role:Role", assumeRolePolicy="{}", tags={"Team": "forms"})
    assert outputs["arn"] == "arn:aws:iam::111122223333:role/app"
    outputs = create(aws, "aws:lambda/function:Function", role="r")  # of which nothing is created
    assert outputs["arn"] == "arn:aws:lambda:eu-west-2:111122223333:app"
    outputs = create(aws, "aws:sqs/queue:Queue", name="q", region="us-east-1")
    assert outputs["arn"] == "arn:aws:sqs:us-east-1:111122223333:q"


EVENT_TARGET = "aws:cloudwatch/eventTarget:EventTarget"
TARGET = {"arn": "a", "rule": "a"}
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("aws:sns/topic:Topics", {}, "there is no aws:sns/topic:Topics in pulumi-aws"),
    ("random:index/randomId:RandomId", {}, "there is no random:index/randomId:RandomId"),
    ("aws:sns/topic:Topic", {"nmae": "a"}, "aws:sns/topic:Topic has no input nmae"),
    (REPOSITORY, {"tagMutability": "MUTABLE"}, "Repository has no input tagMutability"),
    (REPOSITORY_POLICY, {"policy": "{}"}, "requires repository"),
    (EVENT_TARGET, {**TARGET, "deadLetterConfig": {"urn": "a"}}, "Config has no input urn"),
    (EVENT_TARGET, {**TARGET, "ecsTarget": {"taskCount": 1}}, "ecsTarget requires taskDefin"),
    (LIFECYCLE, {"bucket": "a", "rules": [{"id": "a", "status": "", "x": 1}]}, "rules has no"),
    (REPOSITORY_POLICY, {"repository": "none", "policy": POLICY}, "RepositoryNotFound"),
    (LIFECYCLE_POLICY, {"repository": "app", "policy": "{".ljust(100)}, "JSON"),
]
"""Type, inputs and what is said of them."""


@pytest.mark.parametrize(("kind", "inputs", "message"), REFUSED)
def test_what_it_or_aws_refuses(
    aws: EmbeddedAws, kind: str, inputs: dict[str, Any], message: str
) -> None:
    create(aws)
    with pytest.raises((RefusedError, InvalidInputError, ClientError), match=message):
        aws.new_resource(MockResourceArgs(kind, "a", inputs))


def test_an_invoke_that_it_does_not_know(aws: EmbeddedAws) -> None:
    with pytest.raises(RefusedError, match="getZones"):
        invoke(aws, "index/getZones:getZones")


# --- Moto put right -------------------------------------------------------------------------------

TAGS: list[tuple[str, list[str], str, bool]] = [
    ("MUTABLE", [], "prod-1", False),
    ("MUTABLE_WITH_EXCLUSION", ["prod-*"], "prod-1", True),
    # In moto a filter is a regular expression: prod-* is "prod" and any number of "-".
    ("MUTABLE_WITH_EXCLUSION", ["prod-*", "v"], "product", False),
    ("MUTABLE_WITH_EXCLUSION", ["*-rc"], "1-rc", True),
    ("IMMUTABLE_WITH_EXCLUSION", ["latest"], "latest", False),
    ("IMMUTABLE_WITH_EXCLUSION", ["latest"], "latest-2", True),
]
"""Tag mutability, filters, a tag, and whether it stays on its image."""


def test_a_filter_has_ecrs_wildcards(aws: EmbeddedAws) -> None:
    def put(name: str, tag: str, image: int) -> None:
        aws.ecr.put_image(
            repositoryName=name,
            imageManifest=f'{{"schemaVersion": 2, "image": {image}}}',
            imageManifestMediaType="application/vnd.oci.image.manifest.v1+json",
            imageTag=tag,
            imageDigest=f"sha256:{image:064}",
        )

    for number, (mode, patterns, tag, stays) in enumerate(TAGS):
        name = f"app--{number}"  # a name that moto alone refuses
        filters = [{"filter": pattern, "filterType": "WILDCARD"} for pattern in patterns]
        options: Any = {"imageTagMutabilityExclusionFilters": filters} if filters else {}
        create(aws, name=name, imageTagMutability=mode, **options)
        put(name, tag, 1)
        refused = pytest.raises(ClientError, match="ImageTagAlreadyExistsException")
        with refused if stays else nullcontext():
            put(name, tag, 2)
