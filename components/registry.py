"""Registry: a team's whole registry in one component, whose inputs are the settings of a stack."""

import inspect
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, cast, get_args, get_origin

import pulumi
import pulumi_aws as aws
from pulumi.runtime import get_config_env, get_root_resource
from pulumi.runtime.config import CONFIG
from pydantic import BaseModel

from container_images import settings
from container_images.policies.event_patterns import AUDIT_NAME
from container_images.policies.invalid_input import InvalidInputError, camel
from container_images.settings.model import Account, StackSettings

from . import refuse_outputs
from .image_repository import ImageRepository, ImageRepositoryArgs
from .pipeline_role import PipelineRole, PipelineRoleArgs
from .tag_audit import TagAudit, TagAuditArgs


def _schema_type(kind: Any) -> Any:
    """What Pulumi infers its schema from: a model as a plain class, a value without its rules."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return str
    if origin is Annotated:
        return _schema_type(parts[0])
    if origin:
        return GenericAlias(origin, tuple(map(_schema_type, parts)))
    if not issubclass(kind, BaseModel):
        return kind
    annotations = {}
    for name, field in kind.model_fields.items():
        plain = _schema_type(field.annotation)
        annotations[name] = plain if field.is_required() else NotRequired[plain]
    # By these, the schema has the descriptions that stand in the source.
    source = ("__module__", "__qualname__", "__doc__", "__firstlineno__")
    attributes = {key: value for key, value in vars(kind).items() if key in source}
    return type(kind.__name__, (), {**attributes, "__annotations__": annotations})


if TYPE_CHECKING:
    from collections.abc import Mapping

    RegistryArgs = Mapping[str, Any]
else:
    RegistryArgs = _schema_type(StackSettings)


class Registry(pulumi.ComponentResource):
    """The repositories, the pipeline role and the audit of a stack, from its settings.

    A stack has one: a repository, a role and the audit's alerts are named by the settings alone.
    """

    repository_urls: pulumi.Output[dict[str, str]]
    """URI of each repository, which an image reference starts with, by name."""
    repository_arns: pulumi.Output[dict[str, str]]
    """ARN of each repository, by name."""
    tag_mutability: pulumi.Output[dict[str, str]]
    """Tag mutability of each repository, by name."""
    pipeline_role_arn: pulumi.Output[str]
    """ARN of the role that pushes images and moves tags."""

    def __init__(
        self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Validate the settings, whose keys are those of a stack file, and register everything.

        Raises pulumi.RunError before anything is registered with all errors of the settings, and
        for a second Registry; and before anything in AWS is changed where AWS accepts no call, and
        where the guard would lock out the role that runs the update.
        """
        # A plugin has no root resource, and its process serves one update.
        holder: Any = get_root_resource() or Registry
        attribute = "_container_images_registry"
        if (first := getattr(holder, attribute, name)) != name:
            raise pulumi.RunError(
                f"the stack has the Registry {first} already, and {name} would be a second one; "
                f"put the repositories of {name} into {first}"
            )
        setattr(holder, attribute, name)
        project = pulumi.get_project()
        try:
            refuse_outputs(args)
            # The keys of a stack file, with or without their namespace.
            values = {key if ":" in key else f"{project}:{key}": args[key] for key in args}
            stack = settings.parse(values, project)
        except InvalidInputError as invalid:
            raise pulumi.RunError(settings.explain(invalid)) from None
        super().__init__("container-images:index:Registry", name, {}, opts)
        caller, account = _whoami(self)
        _refuse_lock_out(self, caller, stack.administrator_roles)
        if pulumi.runtime.is_dry_run() and (warning := stack.overwriting_warning("MUTABLE")):
            pulumi.log.warn(warning, self)

        child = pulumi.ResourceOptions(parent=self)
        role = None
        if (created := stack.pipeline_role).name:
            of_role = created.model_dump(include={"path", "permissions_boundary"})
            of_role["trust"] = created.trust(account)
            role = PipelineRole(created.name, cast("PipelineRoleArgs", of_role), child)
        # AWS takes no repository policy whose principals do not exist.
        behind = pulumi.ResourceOptions(parent=self, depends_on=role)
        repositories = {}  # in no comprehension: the SDK spends time on each call on the stack
        for key in stack.repositories:
            shared = {"access": stack.access(key, account), "movable_tags": stack.movable_tags}
            of_repository = cast("ImageRepositoryArgs", dict(stack.repositories[key]) | shared)
            repositories[key] = ImageRepository(key, of_repository, behind)
        if stack.audit.model_fields_set:
            of_audit = {**dict(stack.audit), "audit": stack.audit_of(account)}
            TagAudit(AUDIT_NAME, cast("TagAuditArgs", of_audit), child)

        self.repository_urls, self.repository_arns, self.tag_mutability = (
            pulumi.Output.all(**{key: getattr(each, name) for key, each in repositories.items()})
            for name in ("repository_url", "repository_arn", "tag_mutability")
        )
        self.pipeline_role_arn = role.arn if role else pulumi.Output.from_input(created.arn)
        outputs = inspect.get_annotations(Registry)
        self.register_outputs({camel(output): getattr(self, output) for output in outputs})

    @classmethod
    def from_config(
        cls, name: str = "registry", opts: pulumi.ResourceOptions | None = None
    ) -> "Registry":
        """The registry that the stack's configuration describes.

        Its keys are those in the namespace of the project's own name.
        """
        # pulumi.Config reads a key that is asked for by name. To find those that nobody asks for,
        # because their names are misspelt, takes the two places where the SDK keeps them: what the
        # language host hands over in PULUMI_CONFIG, and what `set_all_config` has put before it.
        return cls(name, settings.decoded({**get_config_env(), **CONFIG.get()}), opts)


def _whoami(registry: Registry) -> tuple[str, Account]:
    """ARN of the calling session, and where it calls."""
    opts = pulumi.InvokeOptions(parent=registry)
    try:
        caller, region = aws.get_caller_identity(opts=opts), aws.get_region(opts=opts).region
    except Exception as error:  # noqa: BLE001 the SDK raises just that for a failed invoke
        raise pulumi.RunError(
            f"AWS accepts no call ({' '.join(str(error).split())}); "
            "log in to the stack's account (aws sso login, AWS_PROFILE) and set aws:region"
        ) from None
    partition = caller.arn.split(":")[1]
    return caller.arn, Account(partition=partition, id=caller.account_id, region=region)


def _refuse_lock_out(registry: Registry, caller: str, administrator_roles: list[str]) -> None:
    """Fail where the repository policies would lock out the very role that writes them.

    A preview only warns: it may well run as another role, one that cannot change anything.
    """
    try:
        # Unlike a session's ARN, the role's has its path, as the administrators' have.
        opts = pulumi.InvokeOptions(parent=registry)
        role = aws.iam.get_session_context(arn=caller, opts=opts).issuer_arn
        reason = f"{role} is not one of the administratorRoles"
    except Exception as error:  # noqa: BLE001 the SDK raises just that for a failed invoke
        role, reason = None, f"the role of {caller} could not be looked up (iam:GetRole): {error}"
    if role in administrator_roles:
        return
    message = (
        f"{reason}. Only the administratorRoles may change a repository policy, so an update would "
        "lock itself out. Run it as one of them. To replace the role that deploys, update twice: "
        "as the old role, adding the new one; then as the new role, removing the old one."
    )
    if not pulumi.runtime.is_dry_run():
        raise pulumi.RunError(message)
    pulumi.log.warn(f"{message} An update would fail here.", registry)
