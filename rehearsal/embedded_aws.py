"""An AWS of our own: what the program declares is created through boto3, in moto.

What it does not know is an error: a rehearsal passes nothing that it has not done.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, cast
from unittest.mock import patch

import boto3
import botocore.loaders
import botocore.session
import moto.ecr.models
import pulumi
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.exceptions import ServiceException
from pulumi.runtime import MockCallArgs, MockResourceArgs
from pydantic import TypeAdapter, ValidationError

from policies.tag_mutability import is_write_once
from settings import Account
from settings.stack_file import StackFile, StackFileError
from settings.values import RoleArn

COMPONENTS = ("container-images:index:ImageRepository", "container-images:index:PipelineRole")


class NotEmbeddedError(Exception):
    """The program asks for something that the embedded AWS does not have."""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository, as far as the program has a say in it."""

    arn: str
    name: str
    tag_mutability: str
    exclusion_filters: tuple[str, ...]
    scan_on_push: bool
    kms_key: str | None
    tags: dict[str, str]
    lifecycle_policy: str | None
    policy: str | None


_Answer = tuple[dict[str, Any], list[tuple[str, str]] | None]
"""An invoke's result, and the properties at fault with the reasons."""


class EmbeddedAws(pulumi.runtime.Mocks):
    """One account and Region of an AWS in which only the stack's administrator has been."""

    def __init__(self, stack: StackFile) -> None:
        self.on_created: Callable[[], None] = lambda: None
        """Called after each resource."""
        self.region = str(stack.of_provider("region"))
        self.default_tags = stack.default_tags
        administrator = _administrator(stack)
        self._caller = self.session_as(administrator)
        _, partition, _, _, account_id, _ = administrator.split(":", maxsplit=5)
        self.account = Account(partition=partition, id=account_id, region=self.region)
        self._ecr = self._caller.client("ecr")
        self._iam = self._caller.client("iam")
        _, _, path_and_name = administrator.partition(":role")
        path, _, name = path_and_name.rpartition("/")
        self._iam.create_role(RoleName=name, Path=f"{path}/", AssumeRolePolicyDocument="{}")

    def session_as(self, role_arn: str) -> boto3.Session:
        """A session of the role, in the stack's Region; moto lets everybody assume every role."""
        nobody = boto3.Session(botocore_session=_botocore_session(), region_name=self.region)
        sts = nobody.client("sts")
        role = sts.assume_role(RoleArn=role_arn, RoleSessionName="rehearsal")["Credentials"]
        return boto3.Session(
            botocore_session=_botocore_session(),
            aws_access_key_id=role["AccessKeyId"],
            aws_secret_access_key=role["SecretAccessKey"],
            aws_session_token=role["SessionToken"],
            region_name=self.region,
        )

    def repositories(self) -> Iterator[Repository]:
        """What the API says of every repository, by name."""
        pages = self._ecr.get_paginator("describe_repositories").paginate()
        for it in sorted(pages.search("repositories"), key=itemgetter("repositoryName")):
            name = it["repositoryName"]
            tags = self._ecr.list_tags_for_resource(resourceArn=it["repositoryArn"])["tags"]
            yield Repository(
                arn=it["repositoryArn"],
                name=name,
                tag_mutability=it["imageTagMutability"],
                exclusion_filters=tuple(
                    one["filter"] for one in it.get("imageTagMutabilityExclusionFilters") or []
                ),
                scan_on_push=it["imageScanningConfiguration"]["scanOnPush"],
                kms_key=it["encryptionConfiguration"].get("kmsKey"),
                tags={tag["Key"]: tag["Value"] for tag in tags},
                lifecycle_policy=self._text_or_none(
                    self._ecr.get_lifecycle_policy, name, "lifecyclePolicyText"
                ),
                policy=self._text_or_none(self._ecr.get_repository_policy, name, "policyText"),
            )

    def _text_or_none(self, get: Callable[..., Any], name: str, key: str) -> str | None:
        missing = (
            self._ecr.exceptions.LifecyclePolicyNotFoundException,
            self._ecr.exceptions.RepositoryPolicyNotFoundException,
        )
        try:
            return cast("str", get(repositoryName=name)[key])
        except missing:
            return None

    # --- Pulumi's side: resources and invokes, as the AWS provider would see to them --------------

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """Create the resource. Returns its id and its properties."""
        if args.typ in COMPONENTS:
            return "", {}
        creators: dict[str, Callable[[_Inputs], tuple[str, dict[str, Any]]]] = {
            "aws:ecr/repository:Repository": self._repository,
            "aws:ecr/lifecyclePolicy:LifecyclePolicy": self._lifecycle_policy,
            "aws:ecr/repositoryPolicy:RepositoryPolicy": self._repository_policy,
            "aws:iam/role:Role": self._role,
            "aws:iam/rolePolicy:RolePolicy": self._role_policy,
        }
        if args.typ not in creators:
            raise NotEmbeddedError(f"{args.name}: there is no {args.typ} in the embedded AWS")
        inputs = _Inputs(args.inputs)
        try:
            resource_id, computed = creators[args.typ](inputs)
        except KeyError as missing:
            raise NotEmbeddedError(
                f"{args.name}: the embedded AWS has no default for the {missing.args[0]} of "
                f"{args.typ}"
            ) from None
        if unread := args.inputs.keys() - inputs.read:
            raise NotEmbeddedError(
                f"{args.name}: {', '.join(sorted(unread))} of {args.typ} would have no effect in "
                "the embedded AWS"
            )
        self.on_created()
        return resource_id, {**args.inputs, **computed}

    def call(self, args: MockCallArgs) -> _Answer:
        """Answer an invoke, or say why AWS would not."""
        match args.token:
            case "aws:index/getCallerIdentity:getCallerIdentity":
                caller = self._caller.client("sts").get_caller_identity()
                account_id = caller["Account"]
                return {"id": account_id, "accountId": account_id, "arn": caller["Arn"]}, []
            case "aws:index/getRegion:getRegion":
                return {"id": self.region, "region": self.region}, []
            case "aws:iam/getSessionContext:getSessionContext":
                return self._session_context(args.args["arn"])
        raise NotEmbeddedError(f"there is no {args.token} in the embedded AWS")

    def _session_context(self, arn: str) -> _Answer:
        role, session = arn.split(":assumed-role/")[1].split("/")
        try:
            found = self._iam.get_role(RoleName=role)["Role"]
        except ClientError as error:
            return {}, [("arn", str(error))]
        return {"id": arn, "arn": arn, "issuerArn": found["Arn"], "sessionName": session}, []

    def _repository(self, inputs: "_Inputs") -> tuple[str, dict[str, Any]]:
        settings: dict[str, Any] = {
            "repositoryName": inputs["name"],
            "imageTagMutability": inputs["imageTagMutability"],
            "imageScanningConfiguration": inputs["imageScanningConfiguration"],
            "encryptionConfiguration": inputs["encryptionConfigurations"][0],
            "tags": [
                {"Key": key, "Value": value}
                for key, value in {**self.default_tags, **(inputs.get("tags") or {})}.items()
            ],
        }
        if filters := inputs.get("imageTagMutabilityExclusionFilters"):
            settings["imageTagMutabilityExclusionFilters"] = filters
        repository = self._ecr.create_repository(**settings)["repository"]
        return repository["repositoryName"], {
            "arn": repository["repositoryArn"],
            "registryId": repository["registryId"],
            "repositoryUrl": repository["repositoryUri"],
        }

    def _lifecycle_policy(self, inputs: "_Inputs") -> tuple[str, dict[str, Any]]:
        put = self._ecr.put_lifecycle_policy(
            repositoryName=inputs["repository"], lifecyclePolicyText=inputs["policy"]
        )
        return put["repositoryName"], {"registryId": put["registryId"]}

    def _repository_policy(self, inputs: "_Inputs") -> tuple[str, dict[str, Any]]:
        put = self._ecr.set_repository_policy(
            repositoryName=inputs["repository"], policyText=inputs["policy"]
        )
        return put["repositoryName"], {"registryId": put["registryId"]}

    def _role(self, inputs: "_Inputs") -> tuple[str, dict[str, Any]]:
        settings: dict[str, Any] = {
            "RoleName": inputs["name"],
            "Path": inputs["path"],
            "Description": inputs["description"],
            "AssumeRolePolicyDocument": inputs["assumeRolePolicy"],
        }
        if boundary := inputs.get("permissionsBoundary"):
            settings["PermissionsBoundary"] = boundary
        role = self._iam.create_role(**settings)["Role"]
        return role["RoleName"], {"arn": role["Arn"], "uniqueId": role["RoleId"]}

    def _role_policy(self, inputs: "_Inputs") -> tuple[str, dict[str, Any]]:
        self._iam.put_role_policy(
            RoleName=inputs["role"],
            PolicyName=inputs["name"],
            PolicyDocument=inputs["policy"],
        )
        return f"{inputs['role']}:{inputs['name']}", {}


class _Inputs(Mapping[str, Any]):
    """A resource's inputs, which remember what has been read of them."""

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self._inputs = inputs
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return self._inputs[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._inputs)

    def __len__(self) -> int:
        return len(self._inputs)


_ROLE_ARN: Final = TypeAdapter(RoleArn)


def _administrator(stack: StackFile) -> str:
    """The role that the update runs as: the first administrator that can be told.

    Where the stack names none as it should, any role does: the program will say what is wrong.
    """
    try:
        roles = json.loads(stack.config.get(f"{stack.project}:administratorRoles", ""))
    except json.JSONDecodeError:
        roles = []
    account = next(iter(stack.of_provider("allowedAccountIds") or []), None)
    for role in roles if isinstance(roles, list) else []:
        try:
            arn = _ROLE_ARN.validate_python(role)
        except ValidationError:
            continue
        if account in (None, arn.split(":")[4]):
            return arn
    partition = boto3.Session().get_partition_for_region(stack.of_provider("region"))
    return f"arn:{partition}:iam::{account or '123456789012'}:role/rehearsal"


_LOADER: Final = botocore.loaders.create_loader()
"""Keeps the service models, which are large, for all sessions."""


def _botocore_session() -> botocore.session.Session:
    session = botocore.session.Session()
    session.register_component("data_loader", _LOADER)
    return session


# --- Moto, put right ------------------------------------------------------------------------------


@contextmanager
def embedded_aws(stack: StackFile) -> Iterator[EmbeddedAws]:
    """An AWS for this stack, for as long as the context lasts. It ends with no trace.

    The process's own AWS settings (profile, credentials, endpoints) are out of sight meanwhile.
    Raises StackFileError for a Region that AWS does not have.
    """
    out_of_sight = {name for name in os.environ if name.startswith("AWS_")}
    environment = {name: value for name, value in os.environ.items() if name not in out_of_sight}
    environment |= dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
    with ExitStack() as contexts:
        contexts.enter_context(patch.dict(os.environ, environment, clear=True))
        _refuse_unknown_region(str(stack.of_provider("region")))
        contexts.enter_context(
            patch.multiple(
                moto.ecr.models.ECRBackend, _resolve_image_tag_mutability=_images_with_the_tag
            )
        )
        # Moto's own pattern refuses some names that ECR takes, such as a--b.
        names = _botocore_session().get_service_model("ecr").shape_for("RepositoryName")
        contexts.enter_context(
            patch.object(moto.ecr.models, "ECR_REPOSITORY_NAME_PATTERN", names.metadata["pattern"])
        )
        contexts.enter_context(mock_aws())
        yield EmbeddedAws(stack)


def _refuse_unknown_region(region: str) -> None:
    session = boto3.Session(botocore_session=_botocore_session())
    partitions = session.get_available_partitions()
    if not any(region in session.get_available_regions("ecr", it) for it in partitions):
        raise StackFileError(f"aws:region is {region}, which is no Region that has ECR")


class _ImageTagAlreadyExists(ServiceException):
    code = "ImageTagAlreadyExistsException"


def _images_with_the_tag(
    _: moto.ecr.models.ECRBackend, repository: moto.ecr.models.Repository, tag: str
) -> list[moto.ecr.models.Image]:
    """Moto's check of a tag before it is put, with ECR's wildcards instead of regular expressions.

    In moto `latest` would also be the filter for latest-2, and `prod-*` for prod alone.
    """
    images = [image for image in repository.images if tag in image.image_tags]
    filters = [it["filter"] for it in repository.image_tag_mutability_exclusion_filters or []]
    if images and is_write_once(tag, repository.image_tag_mutability, filters):
        raise _ImageTagAlreadyExists(
            f"The image tag '{tag}' already exists in the '{repository.name}' repository "
            "and cannot be overwritten because the tag is immutable."
        )
    return images
