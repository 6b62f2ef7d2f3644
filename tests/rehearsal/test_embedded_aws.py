"""The embedded AWS: it does what is asked or refuses, and is put right where moto is wrong."""

import itertools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, ClassVar

import moto.ecr.models
import pytest
from botocore.exceptions import ClientError
from pulumi.runtime import MockCallArgs, MockResourceArgs

from container_images.policies.retention import lifecycle_policy
from container_images.rehearsal.embedded_aws import (
    EmbeddedAws,
    NotEmbeddedError,
    embedded_aws,
)
from container_images.rehearsal.provider_inputs import InputError
from container_images.settings.stack_file import StackFile, StackFileError

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def aws(prod: StackFile) -> Iterator[EmbeddedAws]:
    with embedded_aws(prod) as it:
        yield it


def without(stack: StackFile, *keys: str) -> StackFile:
    return replace(stack, config={key: it for key, it in stack.config.items() if key not in keys})


def repository(**changes: Any) -> MockResourceArgs:
    inputs = {
        "name": "app",
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfigurations": [{"encryptionType": "AES256"}],
    }
    return MockResourceArgs("aws:ecr/repository:Repository", "app", inputs | changes)


class TestWhoAndWhere:
    def test_the_update_runs_as_an_administrator_in_the_stacks_account_and_region(
        self, aws: EmbeddedAws
    ) -> None:
        caller, _ = aws.call(MockCallArgs("aws:index/getCallerIdentity:getCallerIdentity", {}, ""))
        assert caller["accountId"] == "111122223333"
        context, failures = aws.call(
            MockCallArgs("aws:iam/getSessionContext:getSessionContext", {"arn": caller["arn"]}, "")
        )
        administrator = "arn:aws:iam::111122223333:role/platform/forms-registry-deploy"
        assert context["issuerArn"] == administrator
        assert not failures

        arn = "arn:aws:sts::111122223333:assumed-role/nobody/session"
        invoke = "aws:iam/getSessionContext:getSessionContext"
        _, failures = aws.call(MockCallArgs(invoke, {"arn": arn}, ""))
        assert failures, "a role that is not there cannot be looked up"
        assert "NoSuchEntity" in failures[0][1]
        region, _ = aws.call(MockCallArgs("aws:index/getRegion:getRegion", {}, ""))
        assert region["region"] == "eu-west-2"

    def test_in_no_region_there_is_no_rehearsal(self, prod: StackFile) -> None:
        stack = replace(prod, config={**prod.config, "aws:region": "eu-west-9"})
        with (
            pytest.raises(
                StackFileError,
                match='"eu-west-9": ECR is in no such Region; write one such as eu-west-2',
            ),
            embedded_aws(stack),
        ):
            pass

    def test_an_administrator_is_whatever_the_settings_take(self, prod: StackFile) -> None:
        role = "arn:aws:iam::111122223333:role/a!b/deploy"
        config = {**prod.config, "container-images:administratorRoles": f'["{role}"]'}
        with embedded_aws(replace(prod, config=config)) as aws:
            caller, _ = aws.call(
                MockCallArgs("aws:index/getCallerIdentity:getCallerIdentity", {}, "")
            )
            assert ":assumed-role/deploy/" in caller["arn"]

    @pytest.mark.parametrize("missing", ["administratorRoles", None])
    def test_a_stack_that_names_no_administrator_still_has_somebody_to_run_it(
        self, prod: StackFile, missing: str | None
    ) -> None:
        """The program is to say what is wrong, not the embedded AWS."""
        key = "container-images:administratorRoles"
        stack = without(prod, key) if missing else replace(prod, config={**prod.config, key: "[7]"})
        with embedded_aws(stack) as aws:
            assert aws.account.id == "111122223333"

    def test_without_allowed_accounts_the_administrators_tell(self, prod: StackFile) -> None:
        with embedded_aws(without(prod, "aws:allowedAccountIds")) as aws:
            assert aws.account.id == "111122223333"

    def test_the_processs_own_aws_settings_are_out_of_sight(
        self, prod: StackFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With this endpoint and profile a call would go elsewhere, or fail."""
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_PROFILE", "nobody")
        before = dict(os.environ)
        with embedded_aws(prod) as aws:
            aws.new_resource(repository())
        assert dict(os.environ) == before

    def test_another_partition(self, prod: StackFile) -> None:
        role = '["arn:aws-cn:iam::111122223333:role/deploy"]'
        config = {
            **prod.config,
            "aws:region": "cn-north-1",
            "container-images:administratorRoles": role,
        }
        with embedded_aws(replace(prod, config=config)) as aws:
            caller, _ = aws.call(
                MockCallArgs("aws:index/getCallerIdentity:getCallerIdentity", {}, "")
            )
            assert caller["arn"].startswith("arn:aws-cn:sts::")


WRONG_INPUTS: list[tuple[str, dict[str, Any], str]] = [
    ("aws:sns/topic:Topics", {}, "there is no aws:sns/topic:Topics in pulumi-aws"),
    ("random:index/randomId:RandomId", {}, "there is no random:index/randomId:RandomId"),
    ("aws:sns/topic:Topic", {"nmae": "a"}, "aws:sns/topic:Topic has no input nmae"),
    ("aws:sqs/queuePolicy:QueuePolicy", {"policy": "{}"}, "requires queueUrl"),
    (
        "aws:cloudwatch/eventTarget:EventTarget",
        {"arn": "a", "rule": "a", "deadLetterConfig": {"urn": "a"}},
        "EventTarget's deadLetterConfig has no input urn",
    ),
    (
        "aws:cloudwatch/eventTarget:EventTarget",
        {"arn": "a", "rule": "a", "ecsTarget": {"taskCount": 1}},
        "EventTarget's ecsTarget requires taskDefinitionArn",
    ),
    (
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        {"bucket": "a", "rules": [{"id": "a", "status": "Enabled", "colour": "red"}]},
        "BucketLifecycleConfiguration's rules has no input colour",
    ),
]
"""Type, inputs and what is said of them."""


class TestWhatItDoesNotKnow:
    def test_of_other_types_the_inputs_are_checked(self, aws: EmbeddedAws) -> None:
        for kind, inputs, said in WRONG_INPUTS:
            with pytest.raises(InputError, match=said):
                aws.new_resource(MockResourceArgs(kind, "a", inputs))

    def test_what_the_provider_takes_is_taken(self, aws: EmbeddedAws) -> None:
        kind = "aws:lambda/function:Function"
        name, outputs = aws.new_resource(MockResourceArgs(kind, "a", {"role": "r"}))
        assert (name, outputs["role"]) == ("a", "r")
        assert outputs["arn"] == "arn:aws:lambda:eu-west-2:111122223333:a"
        role = {"assumeRolePolicy": "{}", "tags": {"Team": "forms"}}
        name, outputs = aws.new_resource(MockResourceArgs("aws:iam/role:Role", "r", role))
        assert (name, outputs["arn"]) == ("r", "arn:aws:iam::111122223333:role/r")

    def test_an_invoke_and_inputs_that_are_not_embedded(self, aws: EmbeddedAws) -> None:
        with pytest.raises(NotEmbeddedError, match="getZones"):
            aws.call(MockCallArgs("aws:index/getZones:getZones", {}, ""))
        with pytest.raises(NotEmbeddedError, match=r"forceDelete of aws:ecr.*no effect"):
            aws.new_resource(repository(forceDelete=True))
        args = repository()
        del args.inputs["imageTagMutability"]
        with pytest.raises(NotEmbeddedError, match=r"imageTagMutability of aws.*has no default"):
            aws.new_resource(args)

    def test_what_aws_itself_refuses(self, aws: EmbeddedAws) -> None:
        aws.new_resource(repository())
        with pytest.raises(ClientError, match="RepositoryAlreadyExists"):
            aws.new_resource(repository())
        inputs = {"repository": "none", "policy": '{"Version": "2012-10-17", "Statement": []}'}
        kind = "aws:ecr/repositoryPolicy:RepositoryPolicy"
        with pytest.raises(ClientError, match="RepositoryNotFound"):
            aws.new_resource(MockResourceArgs(kind, "p", inputs))


class TestMotoPutRight:
    CASES: ClassVar[list[tuple[str, list[str], str, bool]]] = [
        ("MUTABLE", [], "prod-1", False),
        ("MUTABLE_WITH_EXCLUSION", ["prod-*"], "prod-1", True),
        # In moto a filter is a regular expression: prod-* is "prod" and any number of "-".
        ("MUTABLE_WITH_EXCLUSION", ["prod-*"], "product", False),
        ("MUTABLE_WITH_EXCLUSION", ["v"], "v2", False),
        ("MUTABLE_WITH_EXCLUSION", ["*-rc"], "1-rc", True),
        ("IMMUTABLE_WITH_EXCLUSION", ["latest"], "latest", False),
        ("IMMUTABLE_WITH_EXCLUSION", ["latest"], "latest-2", True),
        ("IMMUTABLE_WITH_EXCLUSION", ["latest"], "prod-1", True),
    ]
    """Tag mutability, filters, a tag, and whether it stays on its image."""

    def test_a_filter_has_ecrs_wildcards(self, aws: EmbeddedAws) -> None:
        ecr = aws.ecr_as("arn:aws:iam::111122223333:role/push")

        def put(name: str, tag: str, image: int) -> None:
            ecr.put_image(
                repositoryName=name,
                imageManifest=f'{{"schemaVersion": 2, "image": {image}}}',
                imageManifestMediaType=MANIFEST,
                imageTag=tag,
                imageDigest=f"sha256:{image:064}",
            )

        for number, (mode, patterns, tag, stays) in enumerate(self.CASES):
            name = f"app-{number}"
            filters = [{"filter": pattern, "filterType": "WILDCARD"} for pattern in patterns]
            more = {"imageTagMutabilityExclusionFilters": filters} if filters else {}
            aws.new_resource(repository(name=name, imageTagMutability=mode, **more))
            put(name, tag, 1)
            expected = (
                pytest.raises(ClientError, match="ImageTagAlreadyExistsException")
                if stays
                else nullcontext()
            )
            with expected:
                put(name, tag, 2)

    def test_the_names_that_ecr_takes_are_taken_and_no_others(self, aws: EmbeddedAws) -> None:
        for name in ("a--b", "a__b", "a/b-c_d.e"):
            assert aws.new_resource(repository(name=name))[0] == name
        with pytest.raises(ClientError, match="InvalidParameter"):
            aws.new_resource(repository(name="-a"))

    def test_it_leaves_no_trace(self, prod: StackFile) -> None:
        before = moto.ecr.models.ECRBackend._resolve_image_tag_mutability
        with embedded_aws(prod) as aws:
            aws.new_resource(repository())
        with embedded_aws(prod) as aws:
            assert list(aws.repositories()) == []
        assert moto.ecr.models.ECRBackend._resolve_image_tag_mutability is before


def test_only_a_repository_is_imported_and_stands_for_one_that_cannot_be_seen(
    aws: EmbeddedAws,
) -> None:
    args = repository()
    args.resource_id = "app"
    created, state = aws.new_resource(args)
    assert created == "app"
    assert state["arn"] == "arn:aws:ecr:eu-west-2:111122223333:repository/app"
    kind, inputs = "aws:ecr/repositoryPolicy:RepositoryPolicy", {"repository": "a", "policy": "{}"}
    with pytest.raises(NotEmbeddedError, match="no import of aws:ecr/repositoryPolicy"):
        aws.new_resource(MockResourceArgs(kind, "p", inputs, resource_id="app"))


def test_every_change_made_through_the_api_is_read_back(aws: EmbeddedAws) -> None:
    ecr: Any = aws.ecr_as("arn:aws:iam::111122223333:role/break-glass")
    allow = {"Effect": "Allow", "Principal": "*", "Action": "ecr:*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    rules = json.dumps(lifecycle_policy(["latest"], []))
    aws.new_resource(repository(tags={"Team": "forms"}))
    [first] = aws.repositories()
    seen = [[first]]
    changes: list[Callable[[], object]] = [
        lambda: ecr.set_repository_policy(repositoryName="app", policyText=text),
        lambda: ecr.put_lifecycle_policy(repositoryName="app", lifecyclePolicyText=rules),
        lambda: ecr.put_image_tag_mutability(
            repositoryName="app",
            imageTagMutability="MUTABLE_WITH_EXCLUSION",
            imageTagMutabilityExclusionFilters=[{"filter": "p*", "filterType": "WILDCARD"}],
        ),
        lambda: ecr.put_image_tag_mutability(repositoryName="app", imageTagMutability="IMMUTABLE"),
        lambda: ecr.put_image_scanning_configuration(
            repositoryName="app", imageScanningConfiguration={"scanOnPush": False}
        ),
        lambda: ecr.untag_resource(resourceArn=first.arn, tagKeys=["Team"]),
        lambda: ecr.create_repository(repositoryName="another"),
        lambda: ecr.delete_repository_policy(repositoryName="app"),
        lambda: ecr.delete_lifecycle_policy(repositoryName="app"),
        lambda: ecr.delete_repository(repositoryName="app"),
    ]
    for change in changes:
        change()
        seen.append(list(aws.repositories()))
    assert all(one != other for one, other in itertools.combinations(seen, 2))
    assert seen[1][0].policy == text
    assert seen[2][0].lifecycle_policy == rules


def test_default_tags_are_on_every_repository(prod: StackFile) -> None:
    with embedded_aws(prod) as aws:
        aws.new_resource(repository(tags={"Service": "other", "Own": "1"}))
        [found] = aws.repositories()
    assert found.tags == {
        "Service": "other",
        "Environment": "deploy",
        "ManagedBy": "pulumi",
        "Own": "1",
    }
