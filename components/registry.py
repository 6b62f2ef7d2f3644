"""Registry: a team's whole registry in one component, whose inputs are the settings of a stack."""

from collections.abc import Mapping
from typing import Any, Final, NotRequired, TypedDict, cast

import pulumi
import pulumi_aws as aws
from pulumi.runtime import get_config_env, get_root_resource
from pulumi.runtime.config import CONFIG

from container_images import settings
from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.policies.retention import RetentionRule
from container_images.policies.tag_convention import StageData
from container_images.settings.model import Account, StackSettings
from container_images.settings.planned import AUDIT_NAME, planned_audit
from container_images.settings.written import written_settings

from .image_repository import ImageRepository, ImageRepositoryArgs
from .pipeline_role import PipelineRole, PipelineRoleArgs
from .plain_inputs import refuse_outputs
from .tag_audit import TagAudit, TagAuditArgs


class RepositorySettings(TypedDict):
    """What a repository has of its own. `{}` takes the defaults of the registry."""

    retention: NotRequired[list[RetentionRule]]
    """Which images are kept. Default: the registry's."""
    immutable_tags: NotRequired[list[str]]
    """Patterns of immutable tags. Default: the registry's."""
    tag_mutability: NotRequired[str]
    """Default: the registry's."""
    lambda_pull: NotRequired[bool]
    """Whether Lambda functions of this account may be made from the images. Default: the
    registry's."""
    tags: NotRequired[dict[str, str]]
    """Resource tags."""
    kms_key: NotRequired[str]
    """ARN of the KMS key that encrypts the images. Default: AES256."""
    scan_on_push: NotRequired[bool]
    """Whether an image is scanned when it is pushed. Default: true."""
    import_existing: NotRequired[bool]
    """Adopt the repository of this name that exists in AWS. In a stack file: `import`."""


class PipelineRoleSettings(TypedDict):
    """The role that pushes images and moves tags: the arn of an existing one, or one to create."""

    arn: NotRequired[str]
    """ARN of an existing role, which the stack does not modify."""
    name: NotRequired[str]
    """Name of the role to create."""
    path: NotRequired[str]
    """Its path, with a slash at both ends. Default: /."""
    permissions_boundary: NotRequired[str]
    """ARN of its permissions boundary. Default: none."""
    trusted_code_build_projects: NotRequired[list[str]]
    """ARNs of the CodeBuild projects whose builds run as the role."""
    trusted_git_hub_subjects: NotRequired[list[str]]
    """`sub` claims of the GitHub Actions jobs that may assume the role."""
    trusted_roles: NotRequired[list[str]]
    """ARNs of the roles that may assume the role."""


class AuditSettings(TypedDict):
    """Who gets an alert of unexpected changes."""

    email: NotRequired[list[str]]
    """Addresses. Each has to confirm the subscription that SNS sends it."""
    kms_key: NotRequired[str]
    """ARN of the KMS key that encrypts the topic. Default: none."""
    permissions_boundary: NotRequired[str]
    """ARN of the permissions boundary of the role that takes events to another Region. Default:
    none."""


class RegistryArgs(TypedDict):
    """The settings of a registry: the keys of a stack file. docs/settings.md explains each.

    They are plain values, not Inputs, so that a preview shows all policies whole.
    """

    repositories: dict[str, RepositorySettings]
    """The repositories, by name."""
    tag_mutability: NotRequired[str]
    """MUTABLE, MUTABLE_WITH_EXCLUSION or IMMUTABLE_WITH_EXCLUSION. Default: MUTABLE."""
    movable_tags: NotRequired[list[str]]
    """Tags that the pipeline moves. Their images are never expired. Default: latest."""
    immutable_tags: NotRequired[list[str]]
    """With MUTABLE_WITH_EXCLUSION: 1 to 5 patterns of immutable tags."""
    tag_convention: NotRequired[list[StageData]]
    """The unique tags of the images, production last. Default: ADR040's."""
    pipeline_role: PipelineRoleSettings
    """The role that pushes images and moves tags."""
    additional_pipeline_roles: NotRequired[list[str]]
    """ARNs of other roles that push and move tags, also of other accounts."""
    administrator_roles: list[str]
    """ARNs of this account's roles that delete images and change the guard; the role that runs the
    update must be one of them."""
    pull_accounts: NotRequired[dict[str, str]]
    """Accounts that may pull, name to id."""
    pull_organization: NotRequired[str]
    """Id of an organization whose accounts may pull."""
    lambda_pull: NotRequired[bool]
    """Whether Lambda functions of this account may be made from the images. Default: false."""
    lambda_pull_accounts: NotRequired[list[str]]
    """Ids of other accounts whose Lambda functions may be made from the images."""
    retention: NotRequired[list[RetentionRule]]
    """Which images are kept, in the order in which the rules apply. Default: all of them."""
    audit: NotRequired[AuditSettings]
    """Who gets an alert of unexpected changes. Default: nobody."""


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
        """Validate the settings, and register everything.

        Raises pulumi.RunError before anything in AWS is changed: with all errors of the settings;
        where the guard would lock out the role that runs the update; where AWS accepts no call; and
        for a second Registry.
        """
        super().__init__("container-images:index:Registry", name, {}, opts)
        if (first := _first_registry(name)) != name:
            raise pulumi.RunError(
                f"the stack has the Registry {first} already, and {name} would be a second one; "
                f"put the repositories of {name} into {first}"
            )
        caller, account = _whoami(self)
        stack = _validated(args, account)
        _refuse_lock_out(self, caller, stack.administrator_roles)
        if pulumi.runtime.is_dry_run() and (warning := stack.overwriting_warning()):
            pulumi.log.warn(warning, self)

        child = pulumi.ResourceOptions(parent=self)
        role = None
        if stack.pipeline_role.name:
            role = PipelineRole(stack.pipeline_role.name, _role_args(stack, account), child)
        # AWS takes no repository policy whose principals do not exist.
        behind = pulumi.ResourceOptions(parent=self, depends_on=role)
        repositories: dict[str, ImageRepository] = {}
        for repository in stack.repositories:
            repository_args = _repository_args(stack, repository, account)
            repositories[repository] = ImageRepository(repository, repository_args, behind)
        if stack.audit.enabled:
            TagAudit(AUDIT_NAME, _audit_args(stack, account), child)

        self.repository_urls, self.repository_arns, self.tag_mutability = (
            pulumi.Output.all(**{name: getattr(it, output) for name, it in repositories.items()})
            for output in ("repository_url", "repository_arn", "tag_mutability")
        )
        self.pipeline_role_arn = (
            role.arn if role else pulumi.Output.from_input(stack.pipeline_role.arn)
        )
        self.register_outputs(
            {
                "repositoryUrls": self.repository_urls,
                "repositoryArns": self.repository_arns,
                "tagMutability": self.tag_mutability,
                "pipelineRoleArn": self.pipeline_role_arn,
            }
        )

    @classmethod
    def from_config(
        cls, name: str = "registry", opts: pulumi.ResourceOptions | None = None
    ) -> "Registry":
        """The registry that the stack's configuration describes.

        Its keys are those in the namespace of the project's own name.
        """
        return cls(name, cast("RegistryArgs", _Configuration(stack_configuration())), opts)


class _Configuration(dict[str, Any]):
    """What a stack's configuration says in the project's namespace, and which keys miss it."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        project = pulumi.get_project()
        prefix = f"{project}:"
        own = {key.removeprefix(prefix): keys[key] for key in keys if key.startswith(prefix)}
        super().__init__(settings.decoded(own))
        self.problems = [*settings.misspelt_namespaces(keys, project)]


def stack_configuration() -> dict[str, str]:
    """All of the stack's keys, with their namespaces, and their values as text.

    pulumi.Config reads a key that is asked for by name. To find those that nobody asks for, because
    their names are misspelt, takes the two places where the SDK keeps them: what the language host
    hands over in PULUMI_CONFIG, and what `set_all_config` has put before it.
    """
    return {**get_config_env(), **CONFIG.get()}


_KEY: Final = "_container_images_registry"
_OF_PLUGIN: Final[dict[str, Any]] = {}


def _first_registry(name: str) -> str:
    """Name of the first Registry of the stack.

    A program has a root resource. In a plugin there is none, and its process serves one update.
    """
    root = get_root_resource()
    of_stack = _OF_PLUGIN if root is None else vars(root)
    return str(of_stack.setdefault(_KEY, name))


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


def _validated(args: RegistryArgs, account: Account) -> StackSettings:
    problems: list[Problem] = getattr(args, "problems", [])
    try:
        refuse_outputs(args)
        return settings.validated(written_settings(args), account, problems)
    except InvalidInputError as invalid:
        raise pulumi.RunError(settings.explain(invalid)) from None


def _refuse_lock_out(registry: Registry, caller: str, administrator_roles: tuple[str, ...]) -> None:
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


def _role_args(stack: StackSettings, account: Account) -> PipelineRoleArgs:
    role = stack.pipeline_role
    args: PipelineRoleArgs = {"path": role.path, "trust": role.trust(account)}
    if role.permissions_boundary:
        args["permissions_boundary"] = role.permissions_boundary
    return args


def _repository_args(stack: StackSettings, name: str, account: Account) -> ImageRepositoryArgs:
    repository = stack.repositories[name]
    args: ImageRepositoryArgs = {
        "access": stack.access(name, account),
        "tag_mutability": repository.tag_mutability,
        "movable_tags": list(stack.movable_patterns),
        "immutable_tags": list(repository.immutable_tags),
        "retention": list(repository.retention),
        "scan_on_push": repository.scan_on_push,
        "import_existing": repository.import_existing,
    }
    if repository.tags:
        args["tags"] = {key: repository.tags[key] for key in sorted(repository.tags)}
    if repository.kms_key:
        args["kms_key"] = repository.kms_key
    return args


def _audit_args(stack: StackSettings, account: Account) -> TagAuditArgs:
    args: TagAuditArgs = {"audit": planned_audit(stack, account), "email": list(stack.audit.email)}
    if stack.audit.kms_key:
        args["kms_key"] = stack.audit.kms_key
    if stack.audit.permissions_boundary:
        args["permissions_boundary"] = stack.audit.permissions_boundary
    return args
