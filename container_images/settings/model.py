"""The settings of a stack: what the program is given, valid and frozen.

What stands below a key describes it in the schema of the plugin.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import shorten
from typing import Annotated, Any, Self, cast

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from container_images.policies import forms
from container_images.policies.document import ANY
from container_images.policies.event_patterns import Audit
from container_images.policies.repository_policy import Access, repository_policy
from container_images.policies.retention import MAX_RULES, lifecycle_policy
from container_images.policies.tag_convention import ADR040, TagConvention
from container_images.policies.trust_policy import Oidc, Trust
from container_images.settings import values


@dataclass(frozen=True, kw_only=True)
class Account:
    """Where the stack is, in AWS's words."""

    partition: str
    id: str
    region: str


class Settings(BaseModel):
    """What the models share: camelCase keys, no other keys, no changes, no conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, strict=True)

    @field_validator("*")
    @classmethod
    def _without_repetition(cls, value: Any) -> Any:
        texts = [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
        if repeated := sorted({text for text in texts if texts.count(text) > 1}):
            raise values.broken(f"{', '.join(repeated)} is written twice", "write it once")
        return value


class OidcSettings(Settings):
    """Jobs with tokens of an OIDC provider, such as GitLab's, that exists in the account."""

    provider: Annotated[str, values.text(*forms.OIDC_PROVIDER, "gitlab.com")]
    """The provider's URL without https://, such as gitlab.com."""
    audience: Annotated[str, values.text(*forms.AUDIENCE, "sts.amazonaws.com")]
    """The `aud` claim of the tokens."""
    subjects: Annotated[list[values.OidcSubject], Field(min_length=1)]
    """Their `sub` claims, exact, each with an environment, a branch or a tag."""


class PipelineRoleSettings(Settings):
    """The role that pushes images and moves tags: the arn of an existing one, or one to create."""

    arn: values.RoleArn = ""
    """ARN of an existing role, which the stack does not modify."""
    name: values.RoleName = ""
    """Name of the role to create."""
    path: values.RolePath = "/"
    """Its path, with a slash at both ends. Default: /."""
    permissions_boundary: values.PolicyArn = ""
    """ARN of its permissions boundary. Default: none."""
    trusted_code_build_projects: list[values.CodeBuildProjectArn] = []
    """ARNs of the CodeBuild projects whose builds run as the role."""
    trusted_git_hub_subjects: list[values.Subject] = []
    """`sub` claims of the GitHub Actions jobs that may assume the role."""
    trusted_oidc: Annotated[OidcSettings, Field(examples=[values.OIDC])] = (
        OidcSettings.model_construct(subjects=[])
    )
    """Jobs of another OIDC provider that may assume the role. Default: none."""
    trusted_roles: list[values.RoleArn] = []
    """ARNs of the roles that may assume the role."""

    @model_validator(mode="after")
    def _exists_or_is_created(self) -> Self:
        written = {to_camel(name) for name in self.model_fields_set}
        if "arn" in written and len(written) > 1:
            rule = "a role that exists is named by its arn alone: nothing is attached to it"
            others = ", ".join(sorted(written - {"arn"}))
            fix = f"leave out {others}; or leave out arn, and the stack creates the role"
            raise values.broken(rule, fix)
        if not self.arn and not self.name:
            rule = "the pipeline role either exists or is created"
            raise values.broken(rule, "write the arn of the one, or the name of the other")
        trusted = [name for name in type(self).model_fields if name.startswith("trusted")]
        own = [getattr(self, name) for name in trusted if name in self.model_fields_set]
        if self.name and not any(own):
            rule = "somebody must be able to assume the role that the stack creates"
            raise values.broken(rule, f"write one of {', '.join(map(to_camel, trusted))}")
        return self

    def arn_in(self, account: Account) -> str:
        """The ARN that the role has, or will have."""
        return self.arn or f"arn:{account.partition}:iam::{account.id}:role{self.path}{self.name}"

    def trust(self, account: Account) -> Trust:
        """Who may assume the role that the stack creates."""
        trust: Trust = {
            "partition": account.partition,
            "account_id": account.id,
            "codebuild_projects": self.trusted_code_build_projects,
            "github_subjects": self.trusted_git_hub_subjects,
            "roles": self.trusted_roles,
        }
        if self.trusted_oidc.subjects:
            trust["oidc"] = cast("Oidc", self.trusted_oidc.model_dump(mode="json"))
        return trust


class RepositorySettings(Settings):
    """What a repository has of its own. `{}` takes the defaults of the registry."""

    retention: values.Retention = []
    """Which images are kept. Default: the registry's."""
    immutable_tags: values.ImmutableTags = []
    """Patterns of immutable tags. Default: the registry's."""
    tag_mutability: values.Mutability = "MUTABLE"
    """Default: the registry's."""
    lambda_pull: bool = False
    """Whether Lambda functions of this account may be made from the images. Default: the
    registry's."""
    tags: Annotated[dict[str, values.TagValue], Field(examples=[{"Service": "forms"}])] = {}
    """Resource tags."""
    kms_key: values.KmsKeyArn = ""
    """ARN of the KMS key that encrypts the images. Default: AES256."""
    scan_on_push: bool = True
    """Whether an image is scanned when it is pushed. Default: true."""
    import_existing: bool = Field(
        default=False, alias="import", validation_alias=AliasChoices("import", "importExisting")
    )
    """Adopt the repository of this name that exists in AWS. In a stack file: `import`."""


class AuditSettings(Settings):
    """Who gets an alert of unexpected changes."""

    email: list[values.EmailAddress] = []
    """Addresses. Each has to confirm the subscription that SNS sends it."""
    kms_key: values.KmsKeyArn = ""
    """ARN of the KMS key that encrypts the topic. Default: none."""
    permissions_boundary: values.PolicyArn = ""
    """ARN of the permissions boundary of the role that takes events to another Region. Default:
    none."""


_Repository = Annotated[
    RepositorySettings,
    BeforeValidator(lambda entry: {} if entry is None else entry),
    Field(examples=[{}]),
]


class StackSettings(Settings):
    """The settings of a registry: the keys of a stack file. docs/settings.md explains each.

    They are plain values, not Inputs, so that a preview shows all policies whole.
    """

    repositories: Annotated[
        dict[values.RepositoryName, _Repository],
        Field(examples=[{"forms-admin-deploy": {}}], min_length=1),
    ]
    """The repositories, by name."""
    tag_mutability: values.Mutability = "MUTABLE"
    """MUTABLE, MUTABLE_WITH_EXCLUSION or IMMUTABLE_WITH_EXCLUSION. Default: MUTABLE."""
    movable_tags: Annotated[list[values.MovableTag], Field(min_length=1, max_length=MAX_RULES)] = [
        "latest"
    ]
    """Tags that the pipeline moves. Their images are never expired. Default: latest."""
    immutable_tags: values.ImmutableTags = []
    """With MUTABLE_WITH_EXCLUSION: 1 to 5 patterns of immutable tags."""
    tag_convention: values.Stages = cast("values.Stages", ADR040.data)
    """The unique tags of the images, production last. Default: ADR040's."""
    pipeline_role: Annotated[
        PipelineRoleSettings, Field(examples=[{"arn": "arn:aws:iam::111122223333:role/ci/push"}])
    ]
    """The role that pushes images and moves tags."""
    additional_pipeline_roles: list[values.RoleArn] = []
    """ARNs of other roles that push and move tags, also of other accounts."""
    administrator_roles: Annotated[list[values.RoleArn], Field(min_length=1)]
    """ARNs of this account's roles that delete images and change the guard; the role that runs the
    update must be one of them."""
    pull_accounts: Annotated[
        dict[str, values.AccountId], Field(examples=[{"staging": "444455556666"}])
    ] = {}
    """Accounts that may pull, name to id."""
    pull_organization: Annotated[str, values.text(*forms.ORGANIZATION_ID, "o-exampleorgid")] = ""
    """Id of an organization whose accounts may pull."""
    lambda_pull: bool = False
    """Whether Lambda functions of this account may be made from the images. Default: false."""
    lambda_pull_accounts: list[values.AccountId] = []
    """Ids of other accounts whose Lambda functions may be made from the images."""
    retention: values.Retention = []
    """Which images are kept, in the order in which the rules apply. Default: all of them."""
    audit: Annotated[AuditSettings, Field(examples=[{"email": ["platform@example.org"]}])] = (
        AuditSettings()
    )
    """Who gets an alert of unexpected changes. Default: nobody."""

    def with_inheritance(self) -> Self:
        """The settings with what each repository takes from the stack, in alphabetical order.

        The `model_fields_set` of a repository still has its own keys alone.
        """
        inherited = ("tag_mutability", "immutable_tags", "retention", "lambda_pull")
        repositories = {}
        for name, entry in sorted(self.repositories.items()):
            own = entry.model_fields_set
            whole = dict(entry) | {key: getattr(self, key) for key in inherited if key not in own}
            repositories[name] = RepositorySettings.model_construct(_fields_set=own, **whole)
        return self.model_copy(update={"repositories": repositories})

    @property
    def exact_movable_tags(self) -> tuple[str, ...]:
        """The tags that the pipeline moves: what is no pattern. There is one at least."""
        return tuple(tag for tag in self.movable_tags if ANY not in tag)

    @property
    def convention(self) -> TagConvention:
        """What reads and writes the unique tags."""
        return TagConvention(self.tag_convention)

    def access(self, name: str, account: Account) -> Access:
        """Who may do what to one of the repositories."""
        return {
            "partition": account.partition,
            "account_id": account.id,
            "region": account.region,
            "pipeline_roles": self.pipeline_roles_in(account),
            "administrator_roles": self.administrator_roles,
            "pull_accounts": list(self.pull_accounts.values()),
            "pull_organization": self.pull_organization,
            "lambda_pull": self.repositories[name].lambda_pull,
            "lambda_pull_accounts": self.lambda_pull_accounts,
        }

    def repository_policy(self, name: str, account: Account) -> dict[str, Any]:
        """The repository policy of one of the repositories."""
        return repository_policy(self.access(name, account))

    def lifecycle_policy(self, name: str) -> dict[str, Any]:
        """The lifecycle policy of one of the repositories: without retention, it protects alone."""
        return lifecycle_policy(self.movable_tags, self.repositories[name].retention)

    def audit_of(self, account: Account) -> Audit:
        """What the audit watches."""
        role = self.pipeline_role
        return {
            "access": self.access(next(iter(self.repositories)), account),
            "repositories": list(self.repositories),
            "movable_tags": list(self.exact_movable_tags),
            "created_role": role.arn_in(account) if role.name else "",
            "trust": role.trust(account),
        }

    def pipeline_roles_in(self, account: Account) -> list[str]:
        """ARNs of all roles that push and move tags."""
        return [self.pipeline_role.arn_in(account), *self.additional_pipeline_roles]

    def overwriting_warning(self, tag_mutability: str) -> str | None:
        """Which tags may be overwritten in the repositories of a tag mutability, if any may be."""
        of = self.repositories.items()
        names = ", ".join(name for name, each in of if each.tag_mutability == tag_mutability)
        if not names or tag_mutability == "IMMUTABLE_WITH_EXCLUSION":
            return None
        unmatched = " that no immutableTags pattern matches, such as scratch,"
        tags = "Tags" if tag_mutability == "MUTABLE" else f"Tags{unmatched}"
        where = shorten(names, 60, placeholder=" and others", break_on_hyphens=False)
        rule = "with IMMUTABLE_WITH_EXCLUSION only the movableTags could be"
        return f"{tags} can be overwritten in {where}: {rule}."


def partial_settings(valid: Mapping[str, Any]) -> StackSettings:
    """The settings of which a part is invalid: what is None."""
    entries = valid.get("repositories") or {}
    parts = {
        "administratorRoles": None,
        **valid,
        "pipelineRole": PipelineRoleSettings.model_construct(**(valid.get("pipelineRole") or {})),
        "repositories": {
            name: RepositorySettings.model_construct(**(entry or {}))
            for name, entry in entries.items()
        },
        "audit": AuditSettings.model_construct(**(valid.get("audit") or {})),
    }
    return StackSettings.model_construct(**parts)


class ProviderSettings(Settings):
    """What the stack file says to the AWS provider, as far as the settings depend on it."""

    model_config = ConfigDict(
        extra="ignore", alias_generator=lambda name: f"aws:{to_camel(name)}", strict=True
    )

    region: Annotated[str, values.text(*forms.REGION, "eu-west-2")] = ""
    allowed_account_ids: list[values.AccountId] = []
    default_tags: Annotated[
        dict[str, dict[str, Any]], Field(examples=[{"tags": {"Team": "forms"}}])
    ] = {}
