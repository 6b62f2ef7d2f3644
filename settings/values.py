"""What each value of the configuration may be, for itself: pydantic types with their rules."""

import json
import re
from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from policies.fault import ABSENT
from policies.tag_mutability import (
    MAX_FILTER_WILDCARDS,
    MODE_ADVICE,
    PATTERN,
    TAG,
    TAG_MUTABILITIES,
    TagMutability,
)


def _broken(rule: str, fix: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{rule}", {"rule": rule, "fix": fix})


_KINDS: Final = {list: "a list", dict: "a mapping", bool: "true or false", int: "a whole number"}


def like(example: list[Any] | dict[str, Any] | bool | int) -> BeforeValidator:  # noqa: FBT001 any example
    """A value of the example's type. Whoever writes another is shown the example."""

    def check(value: Any) -> Any:
        fix = f"write it as {json.dumps(example)}"
        if value is ABSENT:
            raise _broken("this key is required", fix)
        if value is None:
            raise _broken("a key without a value means nothing", f"leave it out, or {fix}")
        if type(value) is not type(example):
            raise _broken(f"must be {_KINDS[type(example)]}", fix)
        return value

    return BeforeValidator(check)


def _text(holds: Callable[[str], object], rule: str, example: str) -> BeforeValidator:
    """Text of which the rule holds."""

    def check(value: Any) -> Any:
        if value is None:
            raise _broken("a key without a value means nothing", f"write one such as {example}")
        if type(value) in {int, float} and holds(json.dumps(value)):
            # Of a number YAML does not keep how it was written, leading zeros for instance.
            fix = f'write it with all its digits in quotes, such as "{json.dumps(value)}"'
            raise _broken("must be text", fix)
        if not isinstance(value, str) or not holds(value):
            raise _broken(rule, f"write one such as {example}")
        return value

    return BeforeValidator(check)


def _shape(pattern: str, rule: str, example: str) -> BeforeValidator:
    return _text(re.compile(pattern, re.ASCII).fullmatch, rule, example)


def _also(holds: Callable[[str], object], rule: str, fix: str) -> AfterValidator:
    def check(value: str) -> str:
        if not holds(value):
            raise _broken(rule, fix)
        return value

    return AfterValidator(check)


def _length(least: int, most: int) -> AfterValidator:
    return _also(
        lambda value: least <= len(value) <= most,
        f"must have {least} to {most} characters",
        "shorten or lengthen it",
    )


_PARTITION: Final = r"aws[a-z-]*"
_PATH: Final = r"([!-#%-)+-.0->@-~]+/)*"
"""Of a role or policy: what IAM takes, save * and ?, which are wildcards in a condition, and $,
which begins a policy variable there."""

Flag = Annotated[bool, like(example=True)]
Count = Annotated[int, like(20)]
RepositoryName = Annotated[
    str,
    # The pattern of RepositoryName in the API reference; a test holds it against botocore's.
    _shape(
        r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*",
        "ECR takes lower-case letters and digits, joined by . _ __ - or /",
        "forms-admin-deploy",
    ),
    _length(2, 256),
]
RoleArn = Annotated[
    str,
    _shape(
        rf"arn:{_PARTITION}:iam::\d{{12}}:role/{_PATH}[\w+=,.@-]{{1,64}}",
        "must be the exact ARN of one IAM role (of the role, never of its session), path "
        "included, without wildcards or variables",
        "arn:aws:iam::111122223333:role/platform/deploy",
    ),
]
CodeBuildProjectArn = Annotated[
    str,
    _shape(
        rf"arn:{_PARTITION}:codebuild:[a-z0-9-]+:\d{{12}}:project/[A-Za-z0-9][\w-]{{1,254}}",
        "must be the exact ARN of one CodeBuild project, without wildcards",
        "arn:aws:codebuild:eu-west-2:111122223333:project/deploy",
    ),
]
PolicyArn = Annotated[
    str,
    _shape(
        rf"arn:{_PARTITION}:iam::(\d{{12}}|aws):policy/{_PATH}[\w+=,.@-]{{1,128}}",
        "must be the ARN of a managed policy",
        "arn:aws:iam::111122223333:policy/boundary",
    ),
]
KmsKeyArn = Annotated[
    str,
    _shape(
        rf"arn:{_PARTITION}:kms:[a-z0-9-]+:\d{{12}}:key/[A-Za-z0-9-]+",
        "must be the ARN of a KMS key: ECR stores the key itself, never an alias",
        "arn:aws:kms:eu-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    ),
]
AccountId = Annotated[
    str,
    _shape(r"\d{12}", "must be an account id: 12 digits, in quotes", '"444455556666"'),
]
OrganizationId = Annotated[
    str,
    _shape(
        r"(o-[a-z0-9]{10,32})?",
        "must be an organization id: o- and 10 to 32 lower-case letters or digits",
        "o-exampleorgid",
    ),
]
GitHubSubject = Annotated[
    str,
    # Any branch, tag or pull request of the repository can send another `sub` than these two, and
    # a trust policy that lets them in lets everybody in who can push a branch.
    # https://docs.github.com/en/actions/reference/security/oidc
    _shape(
        r"repo:[^:*?/\s]+/[^:*?/\s]+:(environment:[^*?$\s]+|ref:refs/(heads|tags)/[^*?$\s]+)",
        "must be one exact `sub` claim that names an environment, a branch or a tag, without "
        "wildcards: all else lets in whoever can push any branch or open a pull request",
        "repo:OWNER/REPOSITORY:environment:production",
    ),
]
RoleName = Annotated[
    str,
    _shape(
        r"[\w+=,.@-]{1,64}",
        "a role name has 1 to 64 letters, digits and + = , . @ _ -",
        "image-pipeline",
    ),
]
RolePath = Annotated[
    str,
    _shape(
        rf"/{_PATH}", "a path is / or starts and ends with one, without wildcards", "/pipeline/"
    ),
    _length(1, 512),
]
MovableTag = Annotated[
    str,
    _text(
        TAG.fullmatch,
        "must be an exact tag: 1 to 128 letters, digits and . _ -, none of . - at the start",
        "latest",
    ),
]
WriteOncePattern = Annotated[
    str,
    _text(
        PATTERN.fullmatch,
        "a tag pattern has 1 to 128 letters, digits and . _ - *, and starts as a tag does",
        "prod-*",
    ),
    _also(
        lambda pattern: pattern.count("*") <= MAX_FILTER_WILDCARDS,
        f"ECR takes at most {MAX_FILTER_WILDCARDS} wildcards in an exclusion filter",
        "use fewer *",
    ),
]
RetainedTags = Annotated[str, _text(str, "must be a tag pattern", "prod-*")]
"""`policies.retention` has its rules."""


def _not_immutable(value: object) -> object:
    if value == "IMMUTABLE":
        raise _broken("ADR040 decided that latest moves, and with it no tag can", MODE_ADVICE)
    return value


Mutability = Annotated[
    TagMutability,
    _text(
        TAG_MUTABILITIES.__contains__,
        f"must be one of {', '.join(TAG_MUTABILITIES)}",
        "MUTABLE_WITH_EXCLUSION",
    ),
    BeforeValidator(_not_immutable),
]
MovableTags = Annotated[tuple[MovableTag, ...], like(["latest"])]
WriteOnceTags = Annotated[tuple[WriteOncePattern, ...], like(["prod-*"])]
RoleArns = Annotated[tuple[RoleArn, ...], like(["arn:aws:iam::111122223333:role/platform/deploy"])]
CodeBuildProjectArns = Annotated[
    tuple[CodeBuildProjectArn, ...],
    like(["arn:aws:codebuild:eu-west-2:111122223333:project/deploy"]),
]
GitHubSubjects = Annotated[
    tuple[GitHubSubject, ...], like(["repo:OWNER/REPOSITORY:environment:production"])
]
PullAccounts = Annotated[dict[str, AccountId], like({"staging": "444455556666"})]
ResourceTags = Annotated[
    dict[
        Annotated[
            str,
            _length(1, 128),
            _also(
                lambda key: not key.lower().startswith("aws:"),
                "aws: is AWS's own prefix",
                "write another key",
            ),
        ],
        Annotated[
            str, _text(lambda it: len(it) <= 256, "must have at most 256 characters", "forms")  # noqa: PLR2004 said in the rule
        ],
    ],
    like({"Service": "forms"}),
]
