"""What each value of the configuration may be, on its own: pydantic types.

A type's description is its rule and its example is a valid value; `settings.errors` shows both.
"""

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, get_type_hints

import typing_extensions
from pydantic import Field

from container_images.policies import retention, tag_convention
from container_images.policies.principals import (
    ACCOUNT_ID,
    ACCOUNT_ID_RULE,
    ORGANIZATION_ID,
    ORGANIZATION_ID_RULE,
)
from container_images.policies.tag_mutability import (
    IMMUTABLE_PATTERN_RULE,
    MOVABLE_TAG_RULE,
    PATTERN,
    TagMutability,
)
from container_images.policies.trust_policy import (
    CODEBUILD_PROJECT_ARN,
    CODEBUILD_PROJECT_ARN_RULE,
    GITHUB_SUBJECT,
    GITHUB_SUBJECT_RULE,
    PARTITION,
    PATH,
    ROLE_ARN,
    ROLE_ARN_RULE,
)


def _text(pattern: str, rule: str, example: str, most: int | None = None) -> Any:
    whole = re.compile(rf"\A(?:{pattern})\Z", re.ASCII)
    return Field(pattern=whole, description=rule, examples=[example], max_length=most)


def _listed(example: object) -> Any:
    return Field(examples=[[example]], strict=False)  # JSON has lists where the models have tuples


_DEPLOY_ROLE: Final = "arn:aws:iam::111122223333:role/platform/deploy"
_PROJECT: Final = "arn:aws:codebuild:eu-west-2:111122223333:project/deploy"
_SUBJECT: Final = "repo:OWNER/REPOSITORY:environment:production"
RepositoryName = Annotated[
    str,
    # The pattern of RepositoryName in the API reference; a test holds it against botocore's.
    _text(
        r"(?=..)[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*",
        "a name has 2 to 256 lower-case letters and digits, joined by . _ __ - or /",
        "forms-admin-deploy",
        most=256,
    ),
]
RoleArn = Annotated[str, _text(ROLE_ARN.pattern, ROLE_ARN_RULE, _DEPLOY_ROLE)]
CodeBuildProjectArn = Annotated[
    str, _text(CODEBUILD_PROJECT_ARN.pattern, CODEBUILD_PROJECT_ARN_RULE, _PROJECT)
]
PolicyArn = Annotated[
    str,
    _text(
        rf"arn:{PARTITION}:iam::(\d{{12}}|aws):policy/{PATH}[\w+=,.@-]{{1,128}}",
        "must be the ARN of a managed policy",
        "arn:aws:iam::111122223333:policy/boundary",
    ),
]
KmsKeyArn = Annotated[
    str,
    _text(
        rf"arn:{PARTITION}:kms:[a-z0-9-]+:\d{{12}}:key/[A-Za-z0-9-]+",
        "must be the ARN of a KMS key, never of an alias",
        "arn:aws:kms:eu-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    ),
]
AccountId = Annotated[str, _text(ACCOUNT_ID.pattern, ACCOUNT_ID_RULE, "444455556666")]
OrganizationId = Annotated[
    str, _text(ORGANIZATION_ID.pattern, ORGANIZATION_ID_RULE, "o-exampleorgid")
]
GitHubSubject = Annotated[str, _text(GITHUB_SUBJECT.pattern, GITHUB_SUBJECT_RULE, _SUBJECT)]
RoleName = Annotated[
    str,
    _text(
        r"[\w+=,.@-]{1,64}",
        "a role name has 1 to 64 letters, digits and + = , . @ _ -",
        "image-pipeline",
    ),
]
RolePath = Annotated[
    str,
    _text(
        f"/{PATH}",
        "a path is / or starts and ends with one, without wildcards, of at most 512 characters",
        "/pipeline/",
        most=512,
    ),
]
MovableTag = Annotated[
    str,
    _text(
        PATTERN.pattern,
        MOVABLE_TAG_RULE,
        "latest",
    ),
]
ImmutablePattern = Annotated[
    str,
    _text(
        PATTERN.pattern,
        IMMUTABLE_PATTERN_RULE,
        "prod-*",
    ),
]
EmailAddress = Annotated[
    str,
    _text(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+", "must be an e-mail address", "platform@example.org"),
]

Flag = Annotated[bool, Field(examples=[True])]
Mutability = Annotated[TagMutability, Field(examples=["MUTABLE_WITH_EXCLUSION"])]
MovableTags = Annotated[tuple[MovableTag, ...], _listed("latest")]
ImmutableTags = Annotated[tuple[ImmutablePattern, ...], _listed("prod-*")]
RoleArns = Annotated[tuple[RoleArn, ...], _listed(_DEPLOY_ROLE)]
CodeBuildProjectArns = Annotated[tuple[CodeBuildProjectArn, ...], _listed(_PROJECT)]
GitHubSubjects = Annotated[tuple[GitHubSubject, ...], _listed(_SUBJECT)]
EmailAddresses = Annotated[tuple[EmailAddress, ...], _listed("platform@example.org")]
AccountIds = Annotated[tuple[AccountId, ...], _listed("444455556666")]
PullAccounts = Annotated[dict[str, AccountId], Field(examples=[{"staging": "444455556666"}])]
_TagKey = Annotated[str, _text(r"[\s\S]{1,128}", "must have 1 to 128 characters", "Service")]
_TagValue = Annotated[str, _text(r"[\s\S]{0,256}", "must have at most 256 characters", "forms")]
ResourceTags = Annotated[dict[_TagKey, _TagValue], Field(examples=[{"Service": "forms"}])]


def _for_pydantic(kind: Any) -> Any:
    """The same TypedDict, of the one kind that pydantic takes before Python 3.12."""
    fields = get_type_hints(kind, include_extras=True)
    return typing_extensions.TypedDict(kind.__name__, fields)  # type: ignore[operator]


if TYPE_CHECKING:
    from container_images.policies.retention import RetentionRule
    from container_images.policies.tag_convention import StageData
else:
    RetentionRule = _for_pydantic(retention.RetentionRule)
    StageData = _for_pydantic(tag_convention.StageData)

_RULE: Final = {"tags": "prod-*", "keepNewest": 20}
Retention = Annotated[tuple[Annotated[RetentionRule, Field(examples=[_RULE])], ...], _listed(_RULE)]
"""`policies.retention` has its other rules."""
_STAGE: Final = {"stage": "release", "tag": "v{semver}"}
Stages = Annotated[tuple[Annotated[StageData, Field(examples=[_STAGE])], ...], _listed(_STAGE)]
"""`policies.tag_convention` has its other rules."""
