"""The settings of a stack: what the program is given, valid and frozen."""

from dataclasses import dataclass
from typing import cast

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt
from pydantic.alias_generators import to_camel

from components.image_repository import ImageRepositoryArgs
from components.pipeline_role import PipelineRoleArgs
from components.tag_audit import TagAuditArgs
from policies import retention
from settings.values import (
    AccountId,
    AdministratorRoles,
    CodeBuildProjectArn,
    EmailAddresses,
    GitHubSubject,
    KmsKeyArn,
    MovableTags,
    Mutability,
    OrganizationId,
    PolicyArn,
    RepositoryName,
    ResourceTags,
    RoleArn,
    RoleName,
    RolePath,
    Trail,
    WriteOnceTags,
)


@dataclass(frozen=True, kw_only=True)
class Account:
    """Where the stack lives, as AWS says it."""

    partition: str
    id: str
    region: str


class Settings(BaseModel):
    """What the models share: camelCase keys, no other keys, no changes."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True
    )


class RetentionRule(Settings):
    """One rule of a `retention` list; `components/retention.py` says what it means."""

    tags: str | None = None
    untagged: StrictBool | None = None
    any: StrictBool | None = None
    keep_newest: StrictInt | None = None
    expire_after_days: StrictInt | None = None

    def to_args(self) -> retention.RetentionRule:
        """The rule as the component takes it: without what was not written."""
        return cast("retention.RetentionRule", self.model_dump(exclude_none=True))


class PipelineRoleSettings(Settings):
    """The role that pushes and moves tags: an existing one, by its ARN, or one to create."""

    arn: RoleArn | None = None
    name: RoleName | None = None
    path: RolePath = "/"
    permissions_boundary: PolicyArn | None = None
    trusted_codebuild_projects: tuple[CodeBuildProjectArn, ...] = Field(
        default=(), alias="trustedCodeBuildProjects"
    )
    trusted_github_subjects: tuple[GitHubSubject, ...] = Field(
        default=(), alias="trustedGitHubSubjects"
    )
    trusted_roles: tuple[RoleArn, ...] = ()

    def arn_in(self, account: Account) -> str:
        """The ARN that the role has, or will have."""
        return self.arn or f"arn:{account.partition}:iam::{account.id}:role{self.path}{self.name}"

    def to_args(self, account: Account) -> PipelineRoleArgs:
        """What the component takes, where the stack creates the role."""
        args: PipelineRoleArgs = {
            "path": self.path,
            "trust": {
                "partition": account.partition,
                "account_id": account.id,
                "codebuild_projects": list(self.trusted_codebuild_projects),
                "github_subjects": list(self.trusted_github_subjects),
                "roles": list(self.trusted_roles),
            },
        }
        if self.permissions_boundary:
            args["permissions_boundary"] = self.permissions_boundary
        return args


class RepositorySettings(Settings):
    """One repository: the stack's settings, save where the repository's own entry says otherwise.

    The first four have no default of their own: they are inherited.
    """

    tag_mutability: Mutability
    write_once_tags: WriteOnceTags
    retention: tuple[RetentionRule, ...]
    lambda_pull: StrictBool
    tags: ResourceTags = {}
    kms_key: KmsKeyArn | None = None
    scan_on_push: StrictBool = True
    import_existing: StrictBool = Field(default=False, alias="import")


class AuditSettings(Settings):
    """Who is told of unexpected changes, and by which trail they are known."""

    trail: Trail
    email: EmailAddresses = ()


class StackSettings(Settings):
    """The whole configuration, valid, with every default filled in."""

    repositories: dict[RepositoryName, RepositorySettings]
    """By name, in alphabetical order."""
    tag_mutability: Mutability = "MUTABLE"
    movable_tags: MovableTags = ("latest",)
    write_once_tags: WriteOnceTags = ()
    pipeline_role: PipelineRoleSettings
    additional_pipeline_roles: tuple[RoleArn, ...] = ()
    administrator_roles: AdministratorRoles
    pull_accounts: dict[str, AccountId] = {}
    pull_organization: OrganizationId = ""
    lambda_pull: StrictBool = False
    retention: tuple[RetentionRule, ...] = ()
    audit: AuditSettings | None = None
    """None, which is written `{}`, for no audit."""

    def repository_args(self, name: str, account: Account) -> ImageRepositoryArgs:
        """What the component takes for one of the repositories."""
        repository = self.repositories[name]
        args: ImageRepositoryArgs = {
            "access": {
                "partition": account.partition,
                "account_id": account.id,
                "region": account.region,
                "pipeline_roles": self.pipeline_roles_in(account),
                "administrator_roles": list(self.administrator_roles),
                "pull_accounts": list(self.pull_accounts.values()),
                "pull_organization": self.pull_organization,
                "lambda_pull": repository.lambda_pull,
            },
            "tag_mutability": repository.tag_mutability,
            "movable_tags": list(self.movable_tags),
            "write_once_tags": list(repository.write_once_tags),
            "retention": [rule.to_args() for rule in repository.retention],
            "scan_on_push": repository.scan_on_push,
            "import_existing": repository.import_existing,
        }
        if repository.tags:
            args["tags"] = {key: repository.tags[key] for key in sorted(repository.tags)}
        if repository.kms_key:
            args["kms_key"] = repository.kms_key
        return args

    def pipeline_roles_in(self, account: Account) -> list[str]:
        """ARNs of all roles that push and move tags."""
        return [self.pipeline_role.arn_in(account), *self.additional_pipeline_roles]

    def audit_args(self, audit: AuditSettings, account: Account) -> TagAuditArgs:
        """What the component takes, where there is an audit."""
        role = self.pipeline_role
        return {
            "audit": {
                "partition": account.partition,
                "account_id": account.id,
                "region": account.region,
                "repositories": list(self.repositories),
                "movable_tags": list(self.movable_tags),
                "pipeline_roles": self.pipeline_roles_in(account),
                "administrator_roles": list(self.administrator_roles),
                "created_role": role.arn_in(account) if role.name else "",
                "trust": role.to_args(account)["trust"],
            },
            "trail": audit.trail,
            "email": list(audit.email),
        }
