"""The settings of a stack: what the program is given, valid and frozen."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from container_images.policies import retention
from container_images.policies.repository_policy import Access
from container_images.policies.tag_convention import ADR040, TagConvention, stages_in
from container_images.policies.tag_mutability import (
    exclusion_filters,
    left_open,
    overwriting_warning,
)
from container_images.settings import values
from container_images.settings.values import like

if TYPE_CHECKING:  # so that who only reads settings does not load Pulumi
    from components.image_repository import ImageRepositoryArgs
    from components.pipeline_role import PipelineRoleArgs
    from components.tag_audit import TagAuditArgs


@dataclass(frozen=True, kw_only=True)
class Account:
    """Where the stack is, in AWS's words."""

    partition: str
    id: str
    region: str


class Settings(BaseModel):
    """What the models share: camelCase keys, no other keys, no changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


def as_written(default: Any) -> Any:
    """A default as it is written in YAML."""
    if isinstance(default, Settings):
        return default.model_dump(by_alias=True, exclude_defaults=True)
    return list(default) if isinstance(default, tuple) else default


class RetentionRule(Settings):
    """One rule of a `retention` list; `policies/retention.py` says what it means."""

    tags: values.RetainedTags = ""
    untagged: values.Flag = False
    any: values.Flag = False
    archived: values.Flag = False
    keep_newest: values.Count = 0
    expire_after_days: values.Count = 0
    archive_after_days: values.Count = 0
    archive_after_days_unpulled: values.Count = 0

    def to_args(self) -> retention.RetentionRule:
        """The rule as the component takes it: without what was not written."""
        return cast("retention.RetentionRule", self.model_dump(exclude_unset=True))


Retention = Annotated[
    tuple[Annotated[RetentionRule, like({"tags": "prod-*", "keepNewest": 20})], ...],
    like([{"tags": "prod-*", "keepNewest": 20}]),
]


class PipelineRoleSettings(Settings):
    """The role that pushes and moves tags: an existing one, by its ARN, or one to create."""

    arn: values.RoleArn = ""
    name: values.RoleName = ""
    path: values.RolePath = "/"
    permissions_boundary: values.PolicyArn = ""
    trusted_code_build_projects: values.CodeBuildProjectArns = ()
    trusted_git_hub_subjects: values.GitHubSubjects = ()
    trusted_roles: values.RoleArns = ()

    def arn_in(self, account: Account) -> str:
        """The ARN that the role has, or will have."""
        return self.arn or f"arn:{account.partition}:iam::{account.id}:role{self.path}{self.name}"

    def to_args(self, account: Account) -> "PipelineRoleArgs":
        """What the component takes, where the stack creates the role."""
        args: PipelineRoleArgs = {
            "path": self.path,
            "trust": {
                "partition": account.partition,
                "account_id": account.id,
                "codebuild_projects": list(self.trusted_code_build_projects),
                "github_subjects": list(self.trusted_git_hub_subjects),
                "roles": list(self.trusted_roles),
            },
        }
        if self.permissions_boundary:
            args["permissions_boundary"] = self.permissions_boundary
        return args


class StageSettings(Settings):
    """A stage of `tagConvention`; `policies/tag_convention.py` says what its template may have."""

    stage: values.StageName = ""
    tag: values.TagTemplate = ""


class RepositorySettings(Settings):
    """One repository: the stack's settings, save where the repository's own entry says otherwise.

    The first four have no default of their own: they are inherited.
    """

    tag_mutability: values.Mutability
    immutable_tags: values.ImmutableTags
    retention: Retention
    lambda_pull: values.Flag
    tags: values.ResourceTags = {}
    kms_key: values.KmsKeyArn = ""
    scan_on_push: values.Flag = True
    import_existing: values.Flag = Field(default=False, alias="import")


class AuditSettings(Settings):
    """Who is told of unexpected changes, and by which trail they are known."""

    trail: values.Trail = ""
    """Empty where there is no audit."""
    email: values.EmailAddresses = ()
    permissions_boundary: values.PolicyArn = ""
    """Of the role that takes events of IAM to the repositories' Region."""


_STAGE: Final = {"stage": "release", "tag": "v{semver}"}


class StackSettings(Settings):
    """The whole configuration, valid, with every default filled in."""

    repositories: Annotated[
        dict[values.RepositoryName, Annotated[RepositorySettings, like({})]],
        like({"forms-admin-deploy": {}}),
    ]
    """By name, in alphabetical order."""
    tag_mutability: values.Mutability = "MUTABLE"
    movable_tags: values.MovableTags = ("latest",)
    immutable_tags: values.ImmutableTags = ()
    tag_convention: Annotated[
        tuple[Annotated[StageSettings, like(_STAGE)], ...], like([_STAGE])
    ] = cast("tuple[StageSettings, ...]", ADR040.to_data())
    """The stages that an image reaches, in their order, and the unique tag that each gives it."""
    pipeline_role: Annotated[
        PipelineRoleSettings, like({"arn": "arn:aws:iam::111122223333:role/pipeline/push"})
    ]
    additional_pipeline_roles: values.RoleArns = ()
    administrator_roles: values.RoleArns
    pull_accounts: values.PullAccounts = {}
    pull_organization: values.OrganizationId = ""
    lambda_pull: values.Flag = False
    retention: Retention = ()
    audit: Annotated[AuditSettings, like({"trail": "existing"})] = AuditSettings()

    @property
    def convention(self) -> TagConvention:
        """What reads and writes the unique tags."""
        return TagConvention(stages_in([it.model_dump() for it in self.tag_convention]))

    def repository_args(self, name: str, account: Account) -> "ImageRepositoryArgs":
        """What the component takes for one of the repositories."""
        repository = self.repositories[name]
        args: ImageRepositoryArgs = {
            "access": self.access(name, account),
            "tag_mutability": repository.tag_mutability,
            "movable_tags": list(self.movable_tags),
            "immutable_tags": list(repository.immutable_tags),
            "retention": [rule.to_args() for rule in repository.retention],
            "scan_on_push": repository.scan_on_push,
            "import_existing": repository.import_existing,
        }
        if repository.tags:
            args["tags"] = {key: repository.tags[key] for key in sorted(repository.tags)}
        if repository.kms_key:
            args["kms_key"] = repository.kms_key
        return args

    def access(self, name: str, account: Account) -> Access:
        """Who may do what to one of the repositories."""
        return {
            "partition": account.partition,
            "account_id": account.id,
            "region": account.region,
            "pipeline_roles": self.pipeline_roles_in(account),
            "administrator_roles": list(self.administrator_roles),
            "pull_accounts": list(self.pull_accounts.values()),
            "pull_organization": self.pull_organization,
            "lambda_pull": self.repositories[name].lambda_pull,
        }

    def pipeline_roles_in(self, account: Account) -> list[str]:
        """ARNs of all roles that push and move tags."""
        return [self.pipeline_role.arn_in(account), *self.additional_pipeline_roles]

    def overwriting_warning(self) -> str | None:
        """Which tags may be overwritten in which repositories, or None where none may be."""
        return overwriting_warning(
            {
                name: left_open(
                    it.tag_mutability,
                    exclusion_filters(it.tag_mutability, self.movable_tags, it.immutable_tags),
                    [rule.tags for rule in it.retention if rule.tags],
                )
                for name, it in self.repositories.items()
            }
        )

    def audit_args(self, account: Account) -> "TagAuditArgs":
        """What the component takes, where there is an audit."""
        role = self.pipeline_role
        args: TagAuditArgs = {
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
            "email": list(self.audit.email),
        }
        if self.audit.permissions_boundary:
            args["permissions_boundary"] = self.audit.permissions_boundary
        return args
