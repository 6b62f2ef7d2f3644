"""What the embedded AWS does for each type of resource: a call, made of the resource's inputs.

All types but the repository, which can be imported too: rehearsal/embedded_aws.py sees to it.
"""

from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Inputs = Mapping[str, Any]
Created = tuple[str, dict[str, Any]]
"""A resource's id, and what AWS adds to its inputs."""


@dataclass(frozen=True)
class Call:
    """How a type of resource is created."""

    request: str
    """A service and its operation, in boto3's words, and the parameters: `AWS's name=input`, one
    after the other. Dots lead into objects; an input that ends with `?` need not be there; one that
    is not named is called as AWS calls it, with a small letter."""
    result: str
    """The id, as a format string over the inputs and the answer; then `output=part of the answer`,
    likewise."""
    fixed: Callable[[str], dict[str, Any]] = lambda _: {}
    """Parameters that no input says, in a Region."""
    then: Callable[[Any, Mapping[str, Any]], Any] = lambda *_: None
    """A second call: given the client, and the inputs with the answer to the first."""

    def create(self, connect: Callable[..., Any], inputs: Inputs) -> Created:
        """Create the resource. Raises KeyError for an input that is missing."""
        service, operation, *parameters = self.request.split()
        client = connect(service, inputs.get("region"))
        request = self.fixed(client.meta.region_name)
        for name, value in _read(parameters, inputs):
            *objects, last = name.split(".")
            place = request
            for step in objects:
                place = place.setdefault(step, {})
            # All attributes of a topic and a queue are text.
            place[last] = str(value) if objects == ["Attributes"] else value
        if "Targets" in request:  # a list, of one here
            request["Targets"] = [request["Targets"]]
        told = ChainMap(getattr(client, operation)(**request), inputs)  # type: ignore[arg-type]
        told = told.new_child(self.then(client, told) or {})
        resource_id, *outputs = self.result.split()
        return resource_id.format_map(told), dict(_read(outputs, told))


def _read(words: Iterable[str], inputs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each name, with the value of the input or of the part of an answer."""
    for word in words:
        name, _, source = word.partition("=")
        last = name.rpartition(".")[2]
        path = source.removesuffix("?") or last[0].lower() + last[1:]
        value: Any = inputs
        for step in path.split("."):
            value = (value or {}).get(step) if source.endswith("?") else value[step]
        if value is not None:
            # The keys of an object by itself, such as inputPaths, are its author's own.
            yield name, value if isinstance(value, Mapping) else _in_aws_words(value)


def _in_aws_words(value: Any) -> Any:
    """With AWS's names for keys, and whole numbers: to Pulumi's mocks every number is a float."""
    if isinstance(value, list):
        return [_in_aws_words(it) for it in value]
    if isinstance(value, Mapping):
        capital = {key: _NAMES.get(key, key[0].upper() + key[1:]) for key in value}
        return {capital[key]: _in_aws_words(it) for key, it in value.items()}
    return int(value) if isinstance(value, float) else value


_NAMES: Final = {"id": "ID", "sseAlgorithm": "SSEAlgorithm"}

CALLS: Final = {
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": Call(
        "ecr put_lifecycle_policy repositoryName=repository lifecyclePolicyText=policy",
        "{repositoryName} registryId",
    ),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": Call(
        "ecr set_repository_policy repositoryName=repository policyText=policy",
        "{repositoryName} registryId",
    ),
    "aws:iam/role:Role": Call(
        "iam create_role RoleName=name Path Description AssumeRolePolicyDocument=assumeRolePolicy"
        " PermissionsBoundary=permissionsBoundary?",
        "{name} arn=Role.Arn uniqueId=Role.RoleId",
    ),
    "aws:iam/rolePolicy:RolePolicy": Call(
        "iam put_role_policy RoleName=role PolicyName=name PolicyDocument=policy", "{role}:{name}"
    ),
    "aws:cloudwatch/eventRule:EventRule": Call(
        "events put_rule Name Description EventPattern State", "{name} arn=RuleArn"
    ),
    "aws:cloudwatch/eventTarget:EventTarget": Call(
        "events put_targets Rule Targets.Id=targetId Targets.Arn=arn Targets.RoleArn=roleArn?"
        " Targets.DeadLetterConfig.Arn=deadLetterConfig.arn"
        " Targets.InputTransformer.InputPathsMap=inputTransformer.inputPaths?"
        " Targets.InputTransformer.InputTemplate=inputTransformer.inputTemplate?",
        "{rule}-{targetId}",
    ),
    "aws:sns/topic:Topic": Call(
        "sns create_topic Name Attributes.KmsMasterKeyId Attributes.Policy",
        "{TopicArn} arn=TopicArn",
    ),
    "aws:sns/topicSubscription:TopicSubscription": Call(
        "sns subscribe TopicArn=topic Protocol Endpoint",
        "{SubscriptionArn} arn=SubscriptionArn",
        fixed=lambda _: {"ReturnSubscriptionArn": True},
    ),
    "aws:sqs/queue:Queue": Call(
        "sqs create_queue QueueName=name Attributes.KmsMasterKeyId Attributes.Policy"
        " Attributes.MessageRetentionPeriod=messageRetentionSeconds",
        "{QueueUrl} url=QueueUrl arn=Attributes.QueueArn",
        then=lambda sqs, told: sqs.get_queue_attributes(
            QueueUrl=told["QueueUrl"], AttributeNames=["QueueArn"]
        ),
    ),
    "aws:kms/key:Key": Call(
        "kms create_key Description Policy BypassPolicyLockoutSafetyCheck",
        "{KeyMetadata[KeyId]} keyId=KeyMetadata.KeyId arn=KeyMetadata.Arn",
        then=lambda kms, told: (
            told["enableKeyRotation"]
            and kms.enable_key_rotation(KeyId=told["KeyMetadata"]["KeyId"])
        ),
    ),
    "aws:kms/alias:Alias": Call("kms create_alias AliasName=name TargetKeyId", "{name}"),
    "aws:cloudtrail/trail:Trail": Call(
        "cloudtrail create_trail Name S3BucketName IsMultiRegionTrail IncludeGlobalServiceEvents"
        " EnableLogFileValidation",
        "{TrailARN} arn=TrailARN",
        # As the AWS provider does, where it is not told otherwise.
        then=lambda cloudtrail, told: cloudtrail.start_logging(Name=told["TrailARN"]),
    ),
    "aws:s3/bucket:Bucket": Call(
        "s3 create_bucket Bucket",
        "{bucket}",
        fixed=lambda region: (
            {}  # which S3 takes for this Region, and not its name
            if region == "us-east-1"
            else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        ),
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Call(
        "s3 put_public_access_block Bucket PublicAccessBlockConfiguration.BlockPublicAcls"
        " PublicAccessBlockConfiguration.BlockPublicPolicy"
        " PublicAccessBlockConfiguration.IgnorePublicAcls"
        " PublicAccessBlockConfiguration.RestrictPublicBuckets",
        "{bucket}",
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Call(
        "s3 put_bucket_versioning Bucket"
        " VersioningConfiguration.Status=versioningConfiguration.status",
        "{bucket}",
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Call(
        "s3 put_bucket_encryption Bucket ServerSideEncryptionConfiguration.Rules", "{bucket}"
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Call(
        "s3 put_bucket_lifecycle_configuration Bucket LifecycleConfiguration.Rules", "{bucket}"
    ),
    "aws:s3/bucketPolicy:BucketPolicy": Call("s3 put_bucket_policy Bucket Policy", "{bucket}"),
}
"""By resource type."""
