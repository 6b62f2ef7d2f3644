"""What each value of the configuration may be, on its own: pydantic types.

A type's description is its rule and its example is a valid value; `settings.errors` shows both.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar, get_type_hints

import typing_extensions
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from container_images.policies import forms, retention, tag_convention
from container_images.policies import tag_mutability as mutability
from container_images.policies.patterns import ANY

_Values = TypeVar("_Values", bound=Iterable[str])


def broken(rule: str, fix: str) -> PydanticCustomError:
    """What a validator raises for a rule of its own."""
    return PydanticCustomError("rule", "{rule}", {"rule": rule, "fix": fix})


def _text(pattern: str, rule: str, example: str) -> Any:
    whole = re.compile(rf"\A(?:{pattern})\Z", re.ASCII)
    return Field(pattern=whole, description=rule, examples=[example])


def _tag_pattern(example: str) -> Any:
    """A tag or a pattern, with no more wildcards than ECR takes in an exclusion filter."""
    most = mutability.MAX_FILTER_WILDCARDS
    few = rf"(?!(.*\*){{{most + 1}}})"
    rule = f"{forms.TAG_PATTERN.rule}, with at most {most} *"
    return _text(few + forms.TAG_PATTERN.pattern, rule, example)


def _unique(values: _Values) -> _Values:
    written = list(values.values() if isinstance(values, dict) else values)
    if repeated := sorted({value for value in written if written.count(value) > 1}):
        raise broken(f"{', '.join(repeated)} is written twice", "write it once")
    return values


def _with_a_tag(tags: tuple[str, ...]) -> tuple[str, ...]:
    if all(ANY in tag for tag in tags):
        raise broken("must have at least one tag that is no pattern", "write one such as latest")
    return tags


_UNIQUE: Final = AfterValidator(_unique)
_PART: Final = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_LISTED: Final = Field(strict=False)  # JSON has lists where the models have tuples
_OIDC_SUBJECT: Final = "project_path:GROUP/NAME:ref_type:branch:ref:main"
OIDC: Final = {
    "provider": "gitlab.com",
    "audience": "sts.amazonaws.com",
    "subjects": [_OIDC_SUBJECT],
}

# The pattern of RepositoryName in the API reference; a test holds it against botocore's.
_NAME_RULE: Final = "a name has 2 to 256 lower-case letters and digits, joined by . _ __ - or /"
RepositoryName = Annotated[
    str,
    _text(rf"(?=.{{2,256}}\Z){_PART}(/{_PART})*", _NAME_RULE, "forms-admin-deploy"),
]
RoleArn = Annotated[str, _text(*forms.ROLE_ARN, "arn:aws:iam::111122223333:role/ci/deploy")]
_PROJECT: Final = "arn:aws:codebuild:eu-west-2:111122223333:project/deploy"
CodeBuildProjectArn = Annotated[str, _text(*forms.CODEBUILD_PROJECT_ARN, _PROJECT)]
Subject = Annotated[str, _text(*forms.SUBJECT, "repo:OWNER/REPOSITORY:environment:production")]
OidcSubject = Annotated[str, _text(*forms.SUBJECT, _OIDC_SUBJECT)]
OidcProvider = Annotated[str, _text(*forms.OIDC_PROVIDER, "gitlab.com")]
Audience = Annotated[str, _text(*forms.AUDIENCE, "sts.amazonaws.com")]
_POLICY: Final = (
    rf"arn:{forms.PARTITION}:iam::(\d{{12}}|aws):policy/{forms.PATH}[\w+=,.@-]{{1,128}}"
)
_BOUNDARY: Final = "arn:aws:iam::111122223333:policy/boundary"
PolicyArn = Annotated[str, _text(_POLICY, "must be the ARN of a managed policy", _BOUNDARY)]
KmsKeyArn = Annotated[
    str,
    _text(
        rf"arn:{forms.PARTITION}:kms:[a-z0-9-]+:\d{{12}}:key/[A-Za-z0-9-]+",
        "must be the ARN of a KMS key, never of an alias",
        "arn:aws:kms:eu-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    ),
]
AccountId = Annotated[str, _text(*forms.ACCOUNT_ID, "444455556666")]
OrganizationId = Annotated[str, _text(*forms.ORGANIZATION_ID, "o-exampleorgid")]
Region = Annotated[str, _text(*forms.REGION, "eu-west-2")]
_ROLE_NAME_RULE: Final = "a role name has 1 to 64 letters, digits and + = , . @ _ -"
RoleName = Annotated[str, _text(r"[\w+=,.@-]{1,64}", _ROLE_NAME_RULE, "image-pipeline")]
_PATH_RULE: Final = (
    "a path is / or starts and ends with one, without wildcards, of at most 512 characters"
)
RolePath = Annotated[str, _text(rf"(?=.{{1,512}}\Z)/{forms.PATH}", _PATH_RULE, "/pipeline/")]
EmailAddress = Annotated[
    str, _text(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+", "must be an e-mail address", "team@example.org")
]
MovableTag = Annotated[str, _tag_pattern("latest")]
ImmutablePattern = Annotated[str, _tag_pattern("prod-*")]
_TagValue = Annotated[
    str, _text(r"[\s\S]{0,256}", "must be text of at most 256 characters", "forms")
]

Flag = Annotated[bool, Field(examples=[True])]
Mutability = Annotated[mutability.TagMutability, Field(examples=["MUTABLE_WITH_EXCLUSION"])]
MovableTags = Annotated[
    tuple[MovableTag, ...],
    Field(strict=False, min_length=1, max_length=retention.MAX_RULES),
    _UNIQUE,
    AfterValidator(_with_a_tag),
]
ImmutableTags = Annotated[
    tuple[ImmutablePattern, ...],
    Field(strict=False, max_length=mutability.MAX_EXCLUSION_FILTERS),
    _UNIQUE,
]
RoleArns = Annotated[tuple[RoleArn, ...], _LISTED, _UNIQUE]
AdministratorRoles = Annotated[RoleArns, Field(min_length=1)]
CodeBuildProjectArns = Annotated[tuple[CodeBuildProjectArn, ...], _LISTED, _UNIQUE]
Subjects = Annotated[tuple[Subject, ...], _LISTED, _UNIQUE]
OidcSubjects = Annotated[tuple[OidcSubject, ...], Field(strict=False, min_length=1), _UNIQUE]
EmailAddresses = Annotated[tuple[EmailAddress, ...], _LISTED, _UNIQUE]
AccountIds = Annotated[tuple[AccountId, ...], _LISTED, _UNIQUE]
PullAccounts = Annotated[
    dict[str, AccountId], Field(examples=[{"staging": "444455556666"}]), _UNIQUE
]
_TAG_KEY_RULE: Final = "a resource tag's key has 1 to 128 characters, and never begins with aws:"
_TagKey = Annotated[str, _text(r"(?![aA][wW][sS]:)[\s\S]{1,128}", _TAG_KEY_RULE, "Service")]
ResourceTags = Annotated[
    dict[_TagKey, _TagValue], Field(examples=[{"Service": "forms"}], max_length=50)
]
"""https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-using-tags.html"""


def _for_pydantic(kind: Any) -> Any:
    """The same TypedDict, of the one kind that pydantic takes before Python 3.12."""
    fields = get_type_hints(kind, include_extras=True)
    typed_dict: Any = typing_extensions.TypedDict
    same = typed_dict(kind.__name__, fields)
    same.declared = kind
    return same


if TYPE_CHECKING:
    from container_images.policies.retention import RetentionRule
    from container_images.policies.tag_convention import StageData
else:
    RetentionRule = _for_pydantic(retention.RetentionRule)
    StageData = _for_pydantic(tag_convention.StageData)

_Rule = Annotated[RetentionRule, Field(examples=[{"tags": "prod-*", "keepNewest": 20}])]
Retention = Annotated[tuple[_Rule, ...], _LISTED]
"""`policies.retention` has its other rules."""
_Stage = Annotated[StageData, Field(examples=[{"stage": "release", "tag": "v{semver}"}])]
Stages = Annotated[tuple[_Stage, ...], _LISTED]
"""`policies.tag_convention` has its other rules."""
