"""What each value of the configuration may be, for itself: pydantic types with their rules."""

import re
from collections.abc import Callable
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from policies.tag_mutability import (
    MAX_EXCLUSION_FILTERS,
    MAX_FILTER_WILDCARDS,
    PATTERN,
    TAG,
    TagMutability,
)


def _broken(rule: str, fix: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{rule}", {"rule": rule, "fix": fix})


def _rule(holds: Callable[[str], object], rule: str, fix: str) -> AfterValidator:
    def check(value: str) -> str:
        if not holds(value):
            raise _broken(rule, fix)
        return value

    return AfterValidator(check)


def _shape(pattern: str, rule: str, fix: str) -> AfterValidator:
    return _rule(re.compile(pattern, re.ASCII).fullmatch, rule, fix)


def _length(least: int, most: int) -> AfterValidator:
    rule = f"it is to have {least} to {most} characters"
    return _rule(lambda value: least <= len(value) <= most, rule, "shorten or lengthen it")


_PARTITION: Final = r"aws[a-z-]*"
_PATH: Final = r"([!-#%-)+-.0->@-~]+/)*"
"""Of a role or policy: what IAM takes, save * and ?, which are wildcards in a condition, and $,
which begins a policy variable there."""

RepositoryName = Annotated[
    str,
    # The pattern of RepositoryName in the API reference; a test holds it against botocore's.
    _shape(
        r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*",
        "ECR takes lower-case letters and digits, joined by . _ __ - or /",
        "write a name such as forms-admin-deploy",
    ),
    _length(2, 256),
]
RoleArn = Annotated[
    str,
    _shape(
        rf"arn:{_PARTITION}:iam::\d{{12}}:role/{_PATH}[\w+=,.@-]{{1,64}}",
        "it is to be the exact ARN of one IAM role, path included, without wildcards or variables",
        "write one such as arn:aws:iam::111122223333:role/platform/deploy "
        "(an assumed-role ARN names a session: take its role's)",
    ),
]
CodeBuildProjectArn = Annotated[
    str,
    _shape(
        rf"arn:{_PARTITION}:codebuild:[a-z0-9-]+:\d{{12}}:project/[A-Za-z0-9][\w-]{{1,254}}",
        "it is to be the exact ARN of one CodeBuild project, without wildcards",
        "write one such as arn:aws:codebuild:eu-west-2:111122223333:project/deploy",
    ),
]
PolicyArn = Annotated[
    str,
    _shape(
        rf"arn:{_PARTITION}:iam::(\d{{12}}|aws):policy/{_PATH}[\w+=,.@-]{{1,128}}",
        "it is to be the ARN of a managed policy",
        "write one such as arn:aws:iam::111122223333:policy/boundary",
    ),
]
KmsKeyArn = Annotated[
    str,
    _shape(
        rf"arn:{_PARTITION}:kms:[a-z0-9-]+:\d{{12}}:key/[A-Za-z0-9-]+",
        "it is to be the ARN of a KMS key; ECR stores the key itself, never an alias",
        "write one such as arn:aws:kms:eu-west-2:111122223333:key/KEY-ID",
    ),
]
AccountId = Annotated[
    str,
    _shape(
        r"\d{12}",
        "an account id is 12 digits",
        'write all of them in quotes, such as "444455556666"',
    ),
]
OrganizationId = Annotated[
    str,
    _shape(
        r"(o-[a-z0-9]{10,32})?",
        "an organization id is o- and 10 to 32 lower-case letters or digits",
        "write it as `aws organizations describe-organization` prints it, or leave the key out",
    ),
]
GitHubSubject = Annotated[
    str,
    # Any branch, tag or pull request of the repository can send another `sub` than these two, and
    # a trust policy that lets them in lets everybody in who can push a branch.
    # https://docs.github.com/en/actions/reference/security/oidc
    _shape(
        r"repo:[^:*?/\s]+/[^:*?/\s]+:(environment:[^*?$\s]+|ref:refs/(heads|tags)/[^*?$\s]+)",
        "it is to be one exact `sub` claim that names an environment, a branch or a tag, without "
        "wildcards: all else lets in whoever can push any branch or open a pull request",
        "write one such as repo:OWNER/REPOSITORY:environment:production",
    ),
]
RoleName = Annotated[
    str,
    _shape(
        r"[\w+=,.@-]{1,64}",
        "a role name is 1 to 64 letters, digits and + = , . @ _ -",
        "write one such as image-pipeline",
    ),
]
RolePath = Annotated[
    str,
    _shape(
        rf"/{_PATH}",
        "a path is / or starts and ends with one, without wildcards",
        "write one such as /pipeline/",
    ),
    _length(1, 512),
]
MovableTag = Annotated[
    str,
    _rule(
        TAG.fullmatch,
        "a tag is 1 to 128 letters, digits and . _ -, and starts with none of . -",
        "write an exact tag such as latest",
    ),
]
WriteOncePattern = Annotated[
    str,
    _rule(
        PATTERN.fullmatch,
        "a tag pattern is 1 to 128 letters, digits and . _ - *, and starts as a tag does",
        "write one such as prod-*",
    ),
    _rule(
        lambda pattern: pattern.count("*") <= MAX_FILTER_WILDCARDS,
        f"ECR takes at most {MAX_FILTER_WILDCARDS} wildcards in an exclusion filter",
        "use fewer *",
    ),
]

Trail = Annotated[
    str,
    _rule(
        lambda trail: trail in {"existing", "create"},
        "the trail either exists or is created",
        "write existing or create",
    ),
]
EmailAddress = Annotated[
    str,
    _shape(
        r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+",
        "it is to be an e-mail address",
        "write one such as platform@example.org",
    ),
]


def _not_immutable(value: object) -> object:
    if value == "IMMUTABLE":
        raise _broken(
            "with it no tag can move, and ADR040 decided that latest does",
            "write MUTABLE_WITH_EXCLUSION with writeOnceTags, or IMMUTABLE_WITH_EXCLUSION, "
            "which lets only the movableTags move",
        )
    return value


def _not_empty(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise _broken("it has at least one entry", "write one")
    return values


def _without_repeats(values: tuple[str, ...]) -> tuple[str, ...]:
    if repeated := sorted({value for value in values if values.count(value) > 1}):
        raise _broken(f"{', '.join(repeated)} stands there twice", "write it once")
    return values


Mutability = Annotated[TagMutability, BeforeValidator(_not_immutable)]
MovableTags = Annotated[
    tuple[MovableTag, ...], AfterValidator(_not_empty), AfterValidator(_without_repeats)
]
AdministratorRoles = Annotated[tuple[RoleArn, ...], AfterValidator(_not_empty)]
WriteOnceTags = Annotated[
    tuple[WriteOncePattern, ...],
    Field(max_length=MAX_EXCLUSION_FILTERS),
    AfterValidator(_without_repeats),
]
ResourceTags = Annotated[
    dict[
        Annotated[
            str,
            _length(1, 128),
            _rule(
                lambda key: not key.lower().startswith("aws:"),
                "aws: is AWS's own prefix",
                "write another key",
            ),
        ],
        Annotated[str, _length(0, 256)],
    ],
    Field(max_length=50),
]
EmailAddresses = Annotated[tuple[EmailAddress, ...], AfterValidator(_without_repeats)]
