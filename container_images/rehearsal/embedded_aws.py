"""The embedded AWS: what the program declares of ECR and IAM is created through boto3, in moto.

Of every other type of resource the inputs are checked, and nothing is created. An unknown type, an
unknown input and an unknown invoke are errors.
"""

import inspect
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Final
from unittest.mock import patch

import boto3
import pulumi
import pulumi_aws
from botocore.exceptions import BotoCoreError, ClientError
from pulumi.runtime import MockCallArgs, MockResourceArgs

from container_images.aws.errors import RefusedError
from container_images.policies.invalid_input import InvalidInputError
from container_images.rehearsal.moto_fixes import moto_put_right
from container_images.stack.declared import DeclaredStack

EMBEDDED: Final = {
    "aws:ecr/repository:Repository",
    "aws:ecr/lifecyclePolicy:LifecyclePolicy",
    "aws:ecr/repositoryPolicy:RepositoryPolicy",
    "aws:iam/role:Role",
    "aws:iam/rolePolicy:RolePolicy",
}
"""The types that are created."""

_OF_REPOSITORY: Final = (
    "imageTagMutability",
    "imageTagMutabilityExclusionFilters",
    "imageScanningConfiguration",
)
"""A repository's inputs that boto3 takes as they are."""


class NotEmbeddedError(Exception):
    """The program asks for something that AWS, or the embedded AWS, does not have."""


REFUSALS: Final = (NotEmbeddedError, InvalidInputError, ClientError, BotoCoreError)
"""What a program may come up against here."""


class EmbeddedAws(pulumi.runtime.Mocks):
    """The stack's account and Region, empty but for the role that the update runs as."""

    def __init__(self, stack: DeclaredStack, session: boto3.Session) -> None:
        self._session, self._sts = session, session.client("sts")
        self._stack = stack
        administrator = stack.settings.administrator_roles[0]
        self.ecr = self.client("ecr", administrator)
        self._iam = self.client("iam", administrator)
        path, _, self._caller = administrator.partition(":role")[2].rpartition("/")
        self._iam.create_role(RoleName=self._caller, Path=f"{path}/", AssumeRolePolicyDocument="{}")

    def client(self, service: Any, role_arn: str) -> Any:
        """A client of the role's. Moto lets everybody assume every role."""
        keys = self._sts.assume_role(RoleArn=role_arn, RoleSessionName="rehearsal")["Credentials"]
        return self._session.client(
            service,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """Create the resource, or check its inputs. Returns its id and its properties.

        What is to be imported cannot be seen here, and is created.
        """
        if args.typ.startswith("container-images:index:"):  # the components
            return "", {}
        check_inputs(args.typ, args.inputs)
        resource_id, computed = self._create(args.typ, args.name, args.inputs)
        return resource_id, {**args.inputs, **computed}

    def _create(
        self, kind: str, resource_name: str, inputs: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        name, iam = inputs.get("name", resource_name), self._iam
        match kind.rpartition(":")[2] if kind in EMBEDDED else "":
            case "Repository":
                tags = {**self._stack.default_tags, **(inputs.get("tags") or {})}
                encryption = inputs.get("encryptionConfigurations")
                repository = self.ecr.create_repository(
                    repositoryName=name,
                    tags=[{"Key": key, "Value": value} for key, value in tags.items()],
                    **{key: inputs[key] for key in _OF_REPOSITORY if inputs.get(key)},
                    **({"encryptionConfiguration": encryption[0]} if encryption else {}),
                )["repository"]
                arn, uri = repository["repositoryArn"], repository["repositoryUri"]
                return name, {"arn": arn, "repositoryUrl": uri}
            case "LifecyclePolicy":
                name, text = inputs["repository"], inputs["policy"]
                self.ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=text)
                return name, {}
            case "RepositoryPolicy":
                name, text = inputs["repository"], inputs["policy"]
                self.ecr.set_repository_policy(repositoryName=name, policyText=text)
                return name, {}
            case "Role":
                text, path = inputs["assumeRolePolicy"], inputs.get("path", "/")
                answer = iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=text)
                return name, {"name": name, "arn": answer["Role"]["Arn"]}
            case "RolePolicy":
                role, text = inputs["role"], inputs["policy"]
                iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=text)
                return f"{role}:{name}", {}
        here, service = self._stack.account, kind.split(":")[1].partition("/")[0]
        region = inputs.get("region", here.region)
        arn = f"arn:{here.partition}:{service}:{region}:{here.id}:{name}"  # made up
        return resource_name, {"arn": arn}

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        """Answer an invoke; or the properties at fault, with what AWS says."""
        here = self._stack.account
        match args.token:
            case "aws:index/getCallerIdentity:getCallerIdentity":
                session = f"assumed-role/{self._caller}/rehearsal"
                arn = f"arn:{here.partition}:sts::{here.id}:{session}"
                return {"accountId": here.id, "arn": arn}, []
            case "aws:index/getRegion:getRegion":
                return {"region": here.region}, []
            case "aws:iam/getSessionContext:getSessionContext":
                name = args.args["arn"].split("/")[1]
                try:
                    return {"issuerArn": self._iam.get_role(RoleName=name)["Role"]["Arn"]}, []
                except ClientError as error:
                    return {}, [("arn", str(error))]
        raise NotEmbeddedError(f"there is no {args.token} in the embedded AWS")


@contextmanager
def embedded_aws(stack: DeclaredStack) -> Iterator[EmbeddedAws]:
    """An AWS for this stack, for as long as the context lasts. Nothing is left of it.

    The process's own AWS settings (profile, credentials, endpoints) are hidden meanwhile.
    Raises RefusedError for a Region that AWS does not have.
    """
    with patch.dict(os.environ):
        for variable in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[variable]
        os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
        session, region = boto3.Session(region_name=stack.account.region), stack.account.region
        if region not in session.get_available_regions("ecr", stack.account.partition):
            raise RefusedError(
                f'Pulumi.{stack.name}.yaml: aws:region = "{region}": ECR is in no such Region; '
                "write one such as eu-west-2"
            )
        with moto_put_right():
            yield EmbeddedAws(stack, session)


# --- Inputs: the `…Args` classes of the SDK say which a type has, and which it requires ----------


def check_inputs(kind: str, inputs: Mapping[str, Any]) -> None:
    """Raise NotEmbeddedError unless the provider has this type, and it takes these inputs.

    `kind` is a type token such as aws:sns/topic:Topic; names are in camelCase.
    """
    package, module, name = kind.split(":")
    service = module.partition("/")[0]
    if package != "aws" or not _class_of(service, f"{name}Args"):
        raise NotEmbeddedError(f"there is no {kind} in pulumi-aws, and nothing else is rehearsed")
    _check(service, f"{name}Args", inputs, kind)


def _check(service: str, class_name: str, inputs: Mapping[str, Any], where: str) -> None:
    known = _inputs_of(service, class_name)
    if unknown := sorted(inputs.keys() - known.keys()):
        raise NotEmbeddedError(f"{where} has no input {', '.join(unknown)}")
    required = (key for key, (is_required, _) in known.items() if is_required)
    if missing := [key for key in required if inputs.get(key) is None]:
        raise NotEmbeddedError(f"{where} requires {', '.join(missing)}")
    for key, value in inputs.items():
        nested = known[key][1]
        for item in value if isinstance(value, list) else [value]:
            if nested and isinstance(item, Mapping):
                _check(service, nested, item, f"{where}'s {key}")


def _class_of(service: str, name: str) -> Any:
    # A module named like a keyword of Python's ends with an underscore: lambda_.
    modules = (getattr(pulumi_aws, module, None) for module in (service, f"{service}_"))
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of other classes
        return next((getattr(module, name) for module in modules if hasattr(module, name)), None)


@cache
def _inputs_of(service: str, class_name: str) -> dict[str, tuple[bool, str]]:
    """Of each input, in camelCase: whether it is required, and the class of its objects or ""."""
    inputs = {}
    for parameter in inspect.signature(_class_of(service, class_name)).parameters.values():
        key = re.sub("_([a-z0-9])", lambda match: match[1].upper(), parameter.name.rstrip("_"))
        annotation = str(parameter.annotation)
        nested = re.search(r"ForwardRef\('(\w+Args)'\)", annotation)
        is_required = parameter.default is inspect.Parameter.empty
        inputs[key] = (is_required, nested[1] if nested and "Mapping[" not in annotation else "")
    return inputs
