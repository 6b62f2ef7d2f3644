"""The embedded AWS: what the program declares of ECR and IAM is created through boto3, in moto.

Of every other type of resource the inputs are checked, and nothing is created. An unknown type, an
unknown input and an unknown invoke are errors.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import boto3
import botocore.loaders
import botocore.session
import pulumi
from botocore.exceptions import BotoCoreError, ClientError
from pulumi.runtime import MockCallArgs, MockResourceArgs

from container_images.rehearsal.moto_fixes import moto_put_right
from container_images.rehearsal.provider_inputs import InputError, check_inputs
from container_images.settings.stack_file import StackFile, StackFileError
from container_images.stack.state import State, every

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient
    from types_boto3_iam import IAMClient

_REPOSITORY: Final = "aws:ecr/repository:Repository"
_LIFECYCLE_POLICY: Final = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
_REPOSITORY_POLICY: Final = "aws:ecr/repositoryPolicy:RepositoryPolicy"
_ROLE: Final = "aws:iam/role:Role"
_ROLE_POLICY: Final = "aws:iam/rolePolicy:RolePolicy"

_INPUTS: Final[Mapping[str, tuple[set[str], set[str]]]] = {
    _REPOSITORY: (
        {"name", "imageTagMutability", "imageScanningConfiguration", "encryptionConfigurations"},
        {"imageTagMutabilityExclusionFilters", "tags"},
    ),
    _LIFECYCLE_POLICY: ({"repository", "policy"}, set()),
    _REPOSITORY_POLICY: ({"repository", "policy"}, set()),
}
"""Of ECR: the inputs that a type has to have, as there are no defaults here, and those that it may
have. Any other would have no effect."""

EMBEDDED: Final = frozenset({*_INPUTS, _ROLE, _ROLE_POLICY})
"""The types that are created."""


class NotEmbeddedError(Exception):
    """The program asks for something that the embedded AWS does not have."""


REFUSALS: Final = (NotEmbeddedError, InputError, ClientError, BotoCoreError)
"""What a program may come up against here."""

_Created = tuple[str, dict[str, Any]]
"""A resource's id, and what AWS adds to its inputs."""
_Answer = tuple[dict[str, Any], list[tuple[str, str]] | None]
"""An invoke's result, and the properties at fault with the reasons."""


class EmbeddedAws(pulumi.runtime.Mocks):
    """One account and Region, empty but for the administrator role that the update runs as."""

    def __init__(self, stack: StackFile, session: boto3.Session) -> None:
        self._session = session
        self._sts = session.client("sts")
        self.default_tags = stack.default_tags
        administrator = _administrator(stack, session)
        self.account = replace(stack.account, partition=administrator.split(":")[1])
        credentials = self._credentials(administrator)
        self._caller = session.client("sts", **credentials).get_caller_identity()
        self._ecr: ECRClient = session.client("ecr", **credentials)
        self._iam: IAMClient = session.client("iam", **credentials)
        path, _, name = administrator.partition(":role")[2].rpartition("/")
        self._iam.create_role(RoleName=name, Path=f"{path}/", AssumeRolePolicyDocument="{}")

    def ecr_as(self, role_arn: str) -> "ECRClient":
        """The role's client of ECR, in the stack's Region."""
        return self._session.client("ecr", **self._credentials(role_arn))

    def _credentials(self, role_arn: str) -> dict[str, Any]:
        """Moto lets everybody assume every role."""
        role = self._sts.assume_role(RoleArn=role_arn, RoleSessionName="rehearsal")["Credentials"]
        return {
            "aws_access_key_id": role["AccessKeyId"],
            "aws_secret_access_key": role["SecretAccessKey"],
            "aws_session_token": role["SessionToken"],
        }

    def repositories(self) -> Iterator[State]:
        """What the API says of every repository, by name."""
        return every(self._ecr)

    def new_resource(self, args: MockResourceArgs) -> _Created:
        """Create the resource, or check its inputs. Returns its id and its properties."""
        kind, inputs = args.typ, args.inputs
        if kind.startswith("container-images:index:"):  # the components
            return "", {}
        if kind in _INPUTS:
            self._refuse_others(args, *_INPUTS[kind])
        else:
            check_inputs(kind, inputs)
        resource_id, computed = self._create(args)
        return resource_id, {**inputs, **computed}

    @staticmethod
    def _refuse_others(args: MockResourceArgs, required: set[str], optional: set[str]) -> None:
        of_kind, there = f"of {args.typ}", "in the embedded AWS"
        if args.resource_id and args.typ != _REPOSITORY:
            raise NotEmbeddedError(f"{args.name}: there is no import {of_kind} {there}")
        if missing := sorted(required - args.inputs.keys()):
            raise NotEmbeddedError(f"{args.name}: {missing[0]} {of_kind} has no default {there}")
        if unknown := sorted(args.inputs.keys() - required - optional):
            names = ", ".join(unknown)
            raise NotEmbeddedError(f"{args.name}: {names} {of_kind} would have no effect {there}")

    def _create(self, args: MockResourceArgs) -> _Created:
        kind, inputs, name = args.typ, args.inputs, args.inputs.get("name", args.name)
        if kind == _REPOSITORY:
            return self._repository(inputs)
        if kind == _ROLE:
            boundary = inputs.get("permissionsBoundary")
            role = self._iam.create_role(
                RoleName=name,
                Path=inputs.get("path", "/"),
                AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
                **({"PermissionsBoundary": boundary} if boundary else {}),
            )["Role"]
            return name, {"name": name, "arn": role["Arn"], "uniqueId": role["RoleId"]}
        if kind == _ROLE_POLICY:
            role_name, policy = inputs["role"], inputs["policy"]
            self._iam.put_role_policy(RoleName=role_name, PolicyName=name, PolicyDocument=policy)
            return f"{role_name}:{name}", {}
        if kind == _LIFECYCLE_POLICY:
            name = inputs["repository"]
            self._ecr.put_lifecycle_policy(
                repositoryName=name, lifecyclePolicyText=inputs["policy"]
            )
            return name, {"registryId": self.account.id}
        if kind == _REPOSITORY_POLICY:
            name = inputs["repository"]
            self._ecr.set_repository_policy(repositoryName=name, policyText=inputs["policy"])
            return name, {"registryId": self.account.id}
        here, service = self.account, kind.split(":")[1].partition("/")[0]
        arn = f"arn:{here.partition}:{service}:{here.region}:{here.id}:{name}"  # made up
        return args.name, {"arn": arn}

    def call(self, args: MockCallArgs) -> _Answer:
        """Answer an invoke, or say why AWS would not."""
        match args.token:
            case "aws:index/getCallerIdentity:getCallerIdentity":
                account_id = self._caller["Account"]
                return {"id": account_id, "accountId": account_id, "arn": self._caller["Arn"]}, []
            case "aws:index/getRegion:getRegion":
                return {"id": self.account.region, "region": self.account.region}, []
            case "aws:iam/getSessionContext:getSessionContext":
                return self._session_context(args.args["arn"])
        raise NotEmbeddedError(f"there is no {args.token} in the embedded AWS")

    def _session_context(self, arn: str) -> _Answer:
        role, session = arn.split(":assumed-role/")[1].split("/")
        try:
            issuer = self._iam.get_role(RoleName=role)["Role"]["Arn"]
        except ClientError as error:
            return {}, [("arn", str(error))]
        return {"id": arn, "arn": arn, "issuerArn": issuer, "sessionName": session}, []

    def _repository(self, inputs: Mapping[str, Any]) -> _Created:
        """Create a repository. One that is to be imported cannot be seen here, and is created."""
        tags = self.default_tags | (inputs.get("tags") or {})
        filters = inputs.get("imageTagMutabilityExclusionFilters")
        declared: dict[str, Any] = {
            "repositoryName": inputs["name"],
            "imageTagMutability": inputs["imageTagMutability"],
            "imageScanningConfiguration": inputs["imageScanningConfiguration"],
            "encryptionConfiguration": inputs["encryptionConfigurations"][0],
            "tags": [{"Key": key, "Value": value} for key, value in tags.items()],
            **({"imageTagMutabilityExclusionFilters": filters} if filters else {}),
        }
        repository = self._ecr.create_repository(**declared)["repository"]
        return repository["repositoryName"], {
            "arn": repository["repositoryArn"],
            "registryId": repository["registryId"],
            "repositoryUrl": repository["repositoryUri"],
        }


def _administrator(stack: StackFile, session: boto3.Session) -> str:
    """The role that the update runs as: the first of the administrator roles that is an exact ARN.

    Where there is none any role will do: the program says what is wrong with the settings.
    """
    account, roles = stack.account, stack.config.get(f"{stack.project}:administratorRoles", "")
    if exact := re.search(rf'"(arn:[a-z-]+:iam::{account.id}:role/[^"*?$\s]+)"', roles):
        return exact[1]
    partition = session.get_partition_for_region(account.region)
    return f"arn:{partition}:iam::{account.id}:role/rehearsal"


_LOADER: Final = botocore.loaders.create_loader()
"""Keeps the service models, which are large, for all sessions."""


@contextmanager
def embedded_aws(stack: StackFile) -> Iterator[EmbeddedAws]:
    """An AWS for this stack, for as long as the context lasts. Nothing is left of it.

    The process's own AWS settings (profile, credentials, endpoints) are hidden meanwhile.
    Raises StackFileError for a Region that AWS does not have.
    """
    out_of_sight = {name for name in os.environ if name.startswith("AWS_")}
    environment = {name: value for name, value in os.environ.items() if name not in out_of_sight}
    environment |= dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
    region = str(stack.of_provider("region"))
    with patch.dict(os.environ, environment, clear=True):
        core = botocore.session.Session()
        core.register_component("data_loader", _LOADER)
        session = boto3.Session(botocore_session=core, region_name=region)
        partitions = session.get_available_partitions()
        if not any(region in session.get_available_regions("ecr", it) for it in partitions):
            raise StackFileError(
                f'aws:region = "{region}": ECR is in no such Region; write one such as eu-west-2'
            )
        names = core.get_service_model("ecr").shape_for("RepositoryName").metadata["pattern"]
        with moto_put_right(names):
            yield EmbeddedAws(stack, session)
