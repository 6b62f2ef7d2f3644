"""What each value of the configuration may be, for itself: pydantic types with their rules."""

import json
import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from container_images.policies.invalid_input import ABSENT
from container_images.policies.tag_convention import STAGE_NAME, STAGE_NAME_RULE
from container_images.policies.tag_mutability import (
    MAX_FILTER_WILDCARDS,
    MODE_ADVICE,
    PATTERN,
    TAG,
    TAG_MUTABILITIES,
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
            raise _broken("a key needs a value", f"leave it out, or {fix}")
        if type(value) is not type(example):
            raise _broken(f"must be {_KINDS[type(example)]}", fix)
        return value

    return BeforeValidator(check)


def _text(example: str, *rules: tuple[str, str]) -> BeforeValidator:
    """Text that matches each pattern. Whoever writes another is told what the pattern means."""

    def broken_by(text: str) -> list[str]:
        return [rule for pattern, rule in rules if not re.fullmatch(pattern, text, re.ASCII)]

    def check(value: Any) -> Any:
        fix = f"write one such as {example}"
        if value is None:
            raise _broken("a key needs a value", fix)
        if type(value) in {int, float} and not broken_by(json.dumps(value)):
            # Of a number YAML does not keep how it was written, leading zeros for instance.
            fix = f'write it with all its digits in quotes, such as "{json.dumps(value)}"'
            raise _broken("must be text", fix)
        if broken := broken_by(value) if isinstance(value, str) else [rules[0][1]]:
            raise _broken(broken[0], fix)
        return value

    return BeforeValidator(check)


Flag = Annotated[bool, like(example=True)]
Count = Annotated[int, like(20)]
RepositoryName = Annotated[
    str,
    _text(
        "forms-admin-deploy",
        # The pattern of RepositoryName in the API reference; a test holds it against botocore's.
        (
            r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*",
            "ECR takes lower-case letters and digits, joined by . _ __ - or /",
        ),
        (r".{2,256}", "must have 2 to 256 characters"),
    ),
]
RoleArn = Annotated[
    str, _text("arn:aws:iam::111122223333:role/platform/deploy", (ROLE_ARN.pattern, ROLE_ARN_RULE))
]
CodeBuildProjectArn = Annotated[
    str,
    _text(
        "arn:aws:codebuild:eu-west-2:111122223333:project/deploy",
        (CODEBUILD_PROJECT_ARN.pattern, CODEBUILD_PROJECT_ARN_RULE),
    ),
]
PolicyArn = Annotated[
    str,
    _text(
        "arn:aws:iam::111122223333:policy/boundary",
        (
            rf"arn:{PARTITION}:iam::(\d{{12}}|aws):policy/{PATH}[\w+=,.@-]{{1,128}}",
            "must be the ARN of a managed policy",
        ),
    ),
]
KmsKeyArn = Annotated[
    str,
    _text(
        "arn:aws:kms:eu-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        (
            rf"arn:{PARTITION}:kms:[a-z0-9-]+:\d{{12}}:key/[A-Za-z0-9-]+",
            "must be the ARN of a KMS key: ECR stores the key itself, never an alias",
        ),
    ),
]
AccountId = Annotated[
    str, _text('"444455556666"', (r"\d{12}", "must be an account id: 12 digits, in quotes"))
]
OrganizationId = Annotated[
    str,
    _text(
        "o-exampleorgid",
        (r"(o-[a-z0-9]{10,32})?", "must be o- and 10 to 32 lower-case letters or digits"),
    ),
]
GitHubSubject = Annotated[
    str,
    _text(
        "repo:OWNER/REPOSITORY:environment:production",
        (GITHUB_SUBJECT.pattern, GITHUB_SUBJECT_RULE),
    ),
]
RoleName = Annotated[
    str,
    _text(
        "image-pipeline",
        (r"[\w+=,.@-]{1,64}", "a role name has 1 to 64 letters, digits and + = , . @ _ -"),
    ),
]
RolePath = Annotated[
    str,
    _text(
        "/pipeline/",
        (rf"/{PATH}", "a path is / or starts and ends with one, without wildcards"),
        (r".{1,512}", "must have 1 to 512 characters"),
    ),
]
MovableTag = Annotated[
    str,
    _text(
        "latest",
        (
            TAG.pattern,
            "must be an exact tag: 1 to 128 letters, digits and . _ -, none of . - at the start",
        ),
    ),
]
ImmutablePattern = Annotated[
    str,
    _text(
        "prod-*",
        (
            PATTERN.pattern,
            "a tag pattern has 1 to 128 letters, digits and . _ - *, and starts as a tag does",
        ),
        (
            rf"[^*]*(\*[^*]*){{0,{MAX_FILTER_WILDCARDS}}}",
            f"ECR takes at most {MAX_FILTER_WILDCARDS} wildcards in an exclusion filter",
        ),
    ),
]
StageName = Annotated[str, _text("prod", (STAGE_NAME.pattern, STAGE_NAME_RULE))]
TagTemplate = Annotated[
    str,
    _text("v{semver}", (r"(?s).*\{.*", "must be text with a placeholder such as {sha}")),
]
"""`policies.tag_convention` has its other rules."""
RetainedTags = Annotated[str, _text("prod-*", (r"(?s).*", "must be a tag pattern"))]
"""`policies.retention` has its rules."""

Trail = Annotated[str, _text("existing", ("existing|create", "must be existing or create"))]
"""`existing`: a trail of this account and Region sends its events to EventBridge. `create`: the
stack makes one."""
_EMAIL: Final = (r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+", "must be an e-mail address")
EmailAddresses = Annotated[
    tuple[Annotated[str, _text("platform@example.org", _EMAIL)], ...],
    like(["platform@example.org"]),
]


def _not_immutable(value: object) -> object:
    if value == "IMMUTABLE":
        raise _broken("ADR040 decided that latest moves, and with it no tag can", MODE_ADVICE)
    return value


_modes = _text(
    "MUTABLE_WITH_EXCLUSION",
    ("|".join(TAG_MUTABILITIES), f"must be one of {', '.join(TAG_MUTABILITIES)}"),
)
Mutability = Annotated[TagMutability, _modes, BeforeValidator(_not_immutable)]
MovableTags = Annotated[tuple[MovableTag, ...], like(["latest"])]
ImmutableTags = Annotated[tuple[ImmutablePattern, ...], like(["prod-*"])]
RoleArns = Annotated[tuple[RoleArn, ...], like(["arn:aws:iam::111122223333:role/platform/deploy"])]
CodeBuildProjectArns = Annotated[
    tuple[CodeBuildProjectArn, ...],
    like(["arn:aws:codebuild:eu-west-2:111122223333:project/deploy"]),
]
GitHubSubjects = Annotated[
    tuple[GitHubSubject, ...], like(["repo:OWNER/REPOSITORY:environment:production"])
]
PullAccounts = Annotated[dict[str, AccountId], like({"staging": "444455556666"})]
_tag_key = _text(
    "Service",
    (r"(?s).{1,128}", "must have 1 to 128 characters"),
    (r"(?si)(?!aws:).*", "aws: is AWS's own prefix"),
)
_tag_value = _text("forms", (r"(?s).{0,256}", "must have at most 256 characters"))
ResourceTags = Annotated[
    dict[Annotated[str, _tag_key], Annotated[str, _tag_value]], like({"Service": "forms"})
]
