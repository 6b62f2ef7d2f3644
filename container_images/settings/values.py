"""What each value of the configuration may be, on its own: pydantic types.

A type's description is its rule and its example is a valid value; `settings.errors` shows both.
"""

import re
from typing import Annotated, Any, Final

from pydantic import Field
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from container_images.policies import forms
from container_images.policies.retention import RetentionRule


def broken(rule: str, fix: str) -> PydanticCustomError:
    """What a validator raises for a rule of its own."""
    return PydanticCustomError("rule", "{rule}", {"rule": rule, "fix": fix})


def text(pattern: str, rule: str, example: str) -> Any:
    """Text that as a whole has this pattern, in ASCII."""
    whole = re.compile(rf"\A(?:{pattern})\Z", re.ASCII)
    return Field(pattern=whole, description=rule, examples=[example])


def _tag_pattern(example: str) -> Any:
    """A tag or a pattern, with no more wildcards than ECR takes in an exclusion filter."""
    most = forms.MAX_FILTER_WILDCARDS
    few = rf"(?!(.*\*){{{most + 1}}})"
    rule = f"{forms.TAG_PATTERN.rule}, with at most {most} *"
    return text(few + forms.TAG_PATTERN.pattern, rule, example)


_PART: Final = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
# The pattern of RepositoryName in the API reference; a test holds it against botocore's.
_NAME_RULE: Final = "a name has 2 to 256 lower-case letters and digits, joined by . _ __ - or /"
RepositoryName = Annotated[
    str, text(rf"(?=.{{2,256}}\Z){_PART}(/{_PART})*", _NAME_RULE, "forms-admin-deploy")
]
RoleArn = Annotated[str, text(*forms.ROLE_ARN, "arn:aws:iam::111122223333:role/ci/deploy")]
_PROJECT: Final = "arn:aws:codebuild:eu-west-2:111122223333:project/deploy"
CodeBuildProjectArn = Annotated[str, text(*forms.CODEBUILD_PROJECT_ARN, _PROJECT)]
Subject = Annotated[str, text(*forms.SUBJECT, "repo:OWNER/REPOSITORY:environment:production")]
OIDC: Final = {
    "provider": "gitlab.com",
    "audience": "sts.amazonaws.com",
    "subjects": ["project_path:GROUP/NAME:ref_type:branch:ref:main"],
}
OidcSubject = Annotated[str, text(*forms.SUBJECT, OIDC["subjects"][0])]
_POLICY: Final = (
    rf"arn:{forms.PARTITION}:iam::(\d{{12}}|aws):policy/{forms.PATH}[\w+=,.@-]{{1,128}}"
)
_BOUNDARY: Final = "arn:aws:iam::111122223333:policy/boundary"
PolicyArn = Annotated[str, text(_POLICY, "must be the ARN of a managed policy", _BOUNDARY)]
KmsKeyArn = Annotated[
    str,
    text(
        rf"arn:{forms.PARTITION}:kms:[a-z0-9-]+:\d{{12}}:key/[A-Za-z0-9-]+",
        "must be the ARN of a KMS key, never of an alias",
        "arn:aws:kms:eu-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    ),
]
AccountId = Annotated[str, text(*forms.ACCOUNT_ID, "444455556666")]
_ROLE_NAME_RULE: Final = "a role name has 1 to 64 letters, digits and + = , . @ _ -"
RoleName = Annotated[str, text(r"[\w+=,.@-]{1,64}", _ROLE_NAME_RULE, "image-pipeline")]
_PATH_RULE: Final = (
    "a path is / or starts and ends with one, without wildcards, of at most 512 characters"
)
RolePath = Annotated[str, text(rf"(?=.{{1,512}}\Z)/{forms.PATH}", _PATH_RULE, "/pipeline/")]
EmailAddress = Annotated[
    str, text(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+", "must be an e-mail address", "team@example.org")
]
MovableTag = Annotated[str, _tag_pattern("latest")]
ImmutableTags = Annotated[
    list[Annotated[str, _tag_pattern("prod-*")]], Field(max_length=forms.MAX_EXCLUSION_FILTERS)
]
Mutability = Annotated[forms.TagMutability, Field(examples=["MUTABLE_WITH_EXCLUSION"])]
TagValue = Annotated[str, text(r"[\s\S]*", "must be text", "forms")]

Retention = list[Annotated[RetentionRule, Field(examples=[{"tags": "prod-*", "keepNewest": 20}])]]
"""`policies.retention` has its other rules."""


class StageData(TypedDict):
    """A stage as the setting `tagConvention` and a file have it."""

    stage: str
    """Its name."""
    tag: str
    """Its template."""


_Stage = Annotated[StageData, Field(examples=[{"stage": "release", "tag": "v{semver}"}])]
Stages = Annotated[list[_Stage], Field(min_length=1)]
"""`policies.tag_convention` has its other rules."""
