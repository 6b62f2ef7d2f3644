"""The embedded AWS: what the program declares of ECR and IAM is created through boto3, in moto.

Of every other type of resource the inputs are checked, and nothing is created. An unknown type, an
unknown input and an unknown invoke are errors.

Moto's parts that are put right below may move with any release: `patch` then raises AttributeError,
and the tests say which name is gone. Tried with 5.2.5.
"""

import inspect
import itertools
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from keyword import iskeyword
from types import SimpleNamespace
from typing import Any, get_args
from unittest.mock import patch

import boto3
import pulumi
import pulumi_aws
from moto import mock_aws
from moto.core.exceptions import JsonRESTError
from moto.ecr import models
from pulumi._types import input_type_py_to_pulumi_names, input_type_types, is_input_type
from pulumi.runtime import MockCallArgs, MockResourceArgs

from container_images.aws.errors import RefusedError
from container_images.lifecycle.document import read_policy
from container_images.policies.forms import is_immutable
from container_images.stack.declared import DeclaredStack


class EmbeddedAws(pulumi.runtime.Mocks):
    """The stack's account and Region, in which its first administrator role calls.

    Raises RefusedError for what AWS does not have, or is not embedded.
    """

    def __init__(self, stack: DeclaredStack, session: boto3.Session) -> None:
        self._stack = stack
        self.ecr: Any = session.client("ecr")
        self._iam: Any = session.client("iam")

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        """Create the resource, or check its inputs. Returns its id and its properties.

        What is to be imported cannot be seen here, and is created.
        """
        if args.typ.startswith("container-images:index:"):  # the components
            return "", {}
        _check(_args_class(args.typ), args.inputs, args.typ)
        name = args.inputs.get("name") or args.inputs.get("repository") or args.name
        here = self._stack.account
        service, region = args.typ[4:].partition("/")[0], args.inputs.get("region", here.region)
        computed = {"arn": f"arn:{here.partition}:{service}:{region}:{here.id}:{name}"}  # made up
        return name, {**args.inputs, **computed, **self._create(args.typ, name, args.inputs)}

    def _create(self, kind: str, name: str, inputs: dict[str, Any]) -> dict[str, str]:
        """Create what is of ECR and IAM. Returns what AWS says of it."""
        text = inputs.get("policy")
        match kind:
            case "aws:ecr/repository:Repository":
                tags = {**self._stack.default_tags, **(inputs.get("tags") or {})}
                options = {key: inputs[key] for key in inputs if key.startswith("image")}
                if encryption := inputs.get("encryptionConfigurations"):
                    options["encryptionConfiguration"] = encryption[0]
                repository = self.ecr.create_repository(
                    repositoryName=name,
                    tags=[{"Key": key, "Value": value} for key, value in tags.items()],
                    **{key: value for key, value in options.items() if value},
                )["repository"]
                arn, uri = repository["repositoryArn"], repository["repositoryUri"]
                return {"arn": arn, "repositoryUrl": uri}
            case "aws:ecr/lifecyclePolicy:LifecyclePolicy":
                self.ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=text)
            case "aws:ecr/repositoryPolicy:RepositoryPolicy":
                self.ecr.set_repository_policy(repositoryName=name, policyText=text)
            case "aws:iam/role:Role":
                path, trust = inputs.get("path", "/"), inputs["assumeRolePolicy"]
                role = self._iam.create_role(
                    RoleName=name, Path=path, AssumeRolePolicyDocument=trust
                )["Role"]
                return {"name": name, "arn": role["Arn"]}
            case "aws:iam/rolePolicy:RolePolicy":
                role = inputs["role"]
                self._iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=text)
        return {}

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        """Answer an invoke."""
        here, administrator = self._stack.account, self._stack.settings.administrator_roles[0]
        session = f"assumed-role/{administrator.rpartition('/')[2]}/rehearsal"
        caller = f"arn:{here.partition}:sts::{here.id}:{session}"
        answers = {
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": here.id, "arn": caller},
            "aws:index/getRegion:getRegion": {"region": here.region},
            "aws:iam/getSessionContext:getSessionContext": {"issuerArn": administrator},
        }
        if args.token not in answers:
            raise RefusedError(f"there is no {args.token} in the embedded AWS")
        return answers[args.token], []


@contextmanager
def embedded_aws(stack: DeclaredStack) -> Iterator[EmbeddedAws]:
    """An AWS for this stack, for as long as the context lasts. Nothing is left of it.

    The process's own AWS settings (profile, credentials, endpoints) are hidden meanwhile.
    Raises RefusedError for a Region that AWS does not have.
    """
    variables = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
    variables |= dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
    variables["MOTO_ACCOUNT_ID"] = stack.account.id
    with patch.dict(os.environ, variables, clear=True):
        region = stack.account.region
        session = boto3.Session(region_name=region)
        if region not in session.get_available_regions("ecr", stack.account.partition):
            raise RefusedError(
                f'Pulumi.{stack.name}.yaml: aws:region = "{region}": ECR is in no such Region; '
                "write one such as eu-west-2"
            )
        with (
            patch.object(models.ECRBackend, "_resolve_image_tag_mutability", _images_to_move),
            # Moto refuses names that ECR accepts, such as a--b. The settings check names.
            patch.object(models, "ECR_REPOSITORY_NAME_PATTERN", ".*"),
            patch.object(models, "Image", _Image),
            # It knows no archive, and refuses a transition: what the simulation reads is taken.
            patch.object(
                models,
                "EcrLifecyclePolicyValidator",
                lambda text: SimpleNamespace(validate=lambda: read_policy(text)),
            ),
            mock_aws(),
        ):
            yield EmbeddedAws(stack, session)


def _args_class(kind: str) -> type:
    """Of a type token such as aws:sns/topic:Topic. Raises RefusedError."""
    package, module, name = kind.split(":")
    service = module.partition("/")[0]
    service += "_" * iskeyword(service)  # lambda_
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of other classes
        args_class = getattr(getattr(pulumi_aws, service, None), f"{name}Args", None)
    if package != "aws" or not isinstance(args_class, type):
        raise RefusedError(f"there is no {kind} in pulumi-aws, and nothing else is rehearsed")
    return args_class


def _check(args_class: type, inputs: Mapping[str, Any], where: str) -> None:
    """Raise RefusedError unless the class takes these inputs, whose names are in camelCase."""
    types, required = _inputs_of(args_class)
    present = {key: value for key, value in inputs.items() if value is not None}
    if unknown := present.keys() - types.keys():
        raise RefusedError(f"{where} has no input {', '.join(sorted(unknown))}")
    if missing := required - present.keys():
        raise RefusedError(f"{where} requires {', '.join(sorted(missing))}")
    for key, value in present.items():
        for item in value if isinstance(value, list) else [value]:
            if is_input_type(types[key]) and isinstance(item, Mapping):
                _check(types[key], item, f"{where}'s {key}")


@cache
def _inputs_of(args_class: type) -> tuple[dict[str, type], set[str]]:
    """The types of all inputs, of lists that of an element; and which inputs are required."""
    types = {}
    for key, input_type in input_type_types(args_class).items():
        types[key] = input_type
        while arguments := get_args(types[key]):
            types[key] = arguments[0]
    names = input_type_py_to_pulumi_names(args_class)
    parameters = inspect.signature(args_class).parameters.values()
    return types, {names[each.name] for each in parameters if each.default is each.empty}


def _images_to_move(
    _: models.ECRBackend, repository: models.Repository, tag: str
) -> list[models.Image]:
    """The images with the tag, where it may be put on another one.

    To moto an exclusion filter is a regular expression: `latest` would be the filter for latest-2
    too, `prod-*` for prod alone, and `*-rc` would raise an error.
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
    """
    images = [image for image in repository.images if tag in image.image_tags]
    exclusions = repository.image_tag_mutability_exclusion_filters or []
    filters = [exclusion["filter"] for exclusion in exclusions]
    if images and is_immutable(tag, repository.image_tag_mutability, filters):
        raise JsonRESTError("ImageTagAlreadyExistsException", f"{tag} exists and is immutable")
    return images


class _Image(models.Image):
    """An image with a time of its push of its own: moto knows whole seconds alone, ECR more."""

    _pushes = itertools.count()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.image_pushed_at += next(self._pushes)
