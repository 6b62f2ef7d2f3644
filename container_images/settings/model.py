"""The settings of a stack: what the program is given, valid and frozen."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from container_images.policies.patterns import ANY
from container_images.policies.repository_policy import Access
from container_images.policies.tag_convention import ADR040, TagConvention, stages_in
from container_images.policies.tag_mutability import (
    exclusion_filters,
    left_open,
    overwriting_warning,
)
from container_images.policies.trust_policy import Trust
from container_images.settings import values


@dataclass(frozen=True, kw_only=True)
class Account:
    """Where the stack is, in AWS's words."""

    partition: str
    id: str
    region: str


class Settings(BaseModel):
    """What the models share: camelCase keys, no other keys, no changes, no conversions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, strict=True
    )


def as_written(default: Any) -> Any:
    """A default as it is written in YAML."""
    if isinstance(default, Settings):
        return default.model_dump(by_alias=True, exclude_defaults=True)
    return list(default) if isinstance(default, tuple) else default


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

    def trust(self, account: Account) -> Trust:
        """Who may assume the role that the stack creates."""
        return {
            "partition": account.partition,
            "account_id": account.id,
            "codebuild_projects": list(self.trusted_code_build_projects),
            "github_subjects": list(self.trusted_git_hub_subjects),
            "roles": list(self.trusted_roles),
        }


class RepositorySettings(Settings):
    """One repository. The first four are the stack's, unless its own entry says otherwise."""

    tag_mutability: values.Mutability = "MUTABLE"
    immutable_tags: values.ImmutableTags = ()
    retention: values.Retention = ()
    lambda_pull: values.Flag = False
    tags: values.ResourceTags = {}
    kms_key: values.KmsKeyArn = ""
    scan_on_push: values.Flag = True
    import_existing: values.Flag = Field(default=False, alias="import")

    def in_stack(self, stack: "StackSettings") -> Self:
        """The repository with what it inherits. `model_fields_set` still has its own keys alone."""
        own = self.model_fields_set
        inherited = {key: getattr(stack, key) for key in INHERITED if key not in own}
        return self.model_construct(_fields_set=set(own), **(dict(self) | inherited))


INHERITED: Final = ("tag_mutability", "immutable_tags", "retention", "lambda_pull")
"""The settings of a repository that are the stack's where its entry does not have them."""


class AuditSettings(Settings):
    """Who gets an alert of unexpected changes."""

    email: values.EmailAddresses = ()
    kms_key: values.KmsKeyArn = ""
    """Of the topic. EventBridge must be allowed to use it: docs/audit.md."""
    permissions_boundary: values.PolicyArn = ""
    """Of the role that takes events of IAM to the repositories' Region."""

    @property
    def enabled(self) -> bool:
        """Whether there is an audit: any of its keys is written."""
        return bool(self.model_fields_set)


_Repository = Annotated[
    RepositorySettings,
    BeforeValidator(lambda entry: {} if entry is None else entry),
    Field(examples=[{}]),
]


class StackSettings(Settings):
    """The whole configuration, valid, with every default filled in."""

    repositories: Annotated[
        dict[values.RepositoryName, _Repository], Field(examples=[{"forms-admin-deploy": {}}])
    ]
    """By name, in alphabetical order."""
    tag_mutability: values.Mutability = "MUTABLE"
    movable_patterns: values.MovableTags = Field(default=("latest",), alias="movableTags")
    """The tags that move, and patterns of tags that may: `sha256-*.sig`, `v1.*`."""
    immutable_tags: values.ImmutableTags = ()
    tag_convention: values.Stages = tuple(ADR040.to_data())
    """The stages that an image reaches, in their order, and the unique tag that each gives it."""
    pipeline_role: Annotated[
        PipelineRoleSettings, Field(examples=[{"arn": "arn:aws:iam::111122223333:role/ci/push"}])
    ]
    additional_pipeline_roles: values.RoleArns = ()
    administrator_roles: values.RoleArns
    pull_accounts: values.PullAccounts = {}
    pull_organization: values.OrganizationId = ""
    lambda_pull: values.Flag = False
    lambda_pull_accounts: values.AccountIds = ()
    retention: values.Retention = ()
    audit: Annotated[AuditSettings, Field(examples=[{"email": ["platform@example.org"]}])] = (
        AuditSettings()
    )

    @property
    def movable_tags(self) -> tuple[str, ...]:
        """The tags that the pipeline moves: what is no pattern. There is one at least."""
        return tuple(tag for tag in self.movable_patterns if ANY not in tag)

    @property
    def convention(self) -> TagConvention:
        """What reads and writes the unique tags."""
        return TagConvention(stages_in(self.tag_convention))

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
            "lambda_pull_accounts": list(self.lambda_pull_accounts),
        }

    def pipeline_roles_in(self, account: Account) -> list[str]:
        """ARNs of all roles that push and move tags."""
        return [self.pipeline_role.arn_in(account), *self.additional_pipeline_roles]

    def overwriting_warning(self) -> str | None:
        """Which tags may be overwritten in which repositories, or None where none may be."""
        return overwriting_warning(
            {
                name: left_open(
                    repository.tag_mutability,
                    exclusion_filters(
                        repository.tag_mutability,
                        self.movable_patterns,
                        repository.immutable_tags,
                    ),
                    [rule["tags"] for rule in repository.retention if "tags" in rule],
                )
                for name, repository in self.repositories.items()
            }
        )
