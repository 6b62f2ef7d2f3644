"""Pure: what a component refuses of the principals and tags that its policies are made of.

A wildcard in a Deny's list of roles would exempt whoever matches it. The settings of a stack have
the same rules; here they hold whoever calls a component.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.policies.repository_policy import Access
from container_images.policies.tag_mutability import (
    IMMUTABLE_PATTERN_RULE,
    MOVABLE_TAG_RULE,
    PATTERN,
)
from container_images.policies.trust_policy import (
    CODEBUILD_PROJECT_ARN,
    CODEBUILD_PROJECT_ARN_RULE,
    GITHUB_SUBJECT,
    GITHUB_SUBJECT_RULE,
    ROLE_ARN,
    ROLE_ARN_RULE,
    Trust,
)

ACCOUNT_ID: Final = re.compile(r"\d{12}", re.ASCII)
ACCOUNT_ID_RULE: Final = "must be an account id: 12 digits, in quotes"
ORGANIZATION_ID: Final = re.compile(r"(o-[a-z0-9]{10,32})?")
ORGANIZATION_ID_RULE: Final = "must be o- and 10 to 32 lower-case letters or digits"


def refuse_access(
    access: Access, movable_tags: Sequence[str], immutable_tags: Sequence[str]
) -> None:
    """Raise InvalidInputError with all errors of what a repository's policies are made of."""
    pipeline, administrators = access["pipeline_roles"], access["administrator_roles"]
    problems = [
        *_mismatches(("access", "pipelineRoles"), pipeline, ROLE_ARN, ROLE_ARN_RULE),
        *_mismatches(("access", "administratorRoles"), administrators, ROLE_ARN, ROLE_ARN_RULE),
        *_mismatches(
            ("access", "pullAccounts"), access["pull_accounts"], ACCOUNT_ID, ACCOUNT_ID_RULE
        ),
        *_mismatches(
            ("access", "lambdaPullAccounts"),
            access.get("lambda_pull_accounts", ()),
            ACCOUNT_ID,
            ACCOUNT_ID_RULE,
        ),
        *_mismatches(
            ("access", "pullOrganization"),
            [access["pull_organization"]],
            ORGANIZATION_ID,
            ORGANIZATION_ID_RULE,
        ),
        *_mismatches(("movableTags",), movable_tags, PATTERN, MOVABLE_TAG_RULE),
        *_mismatches(("immutableTags",), immutable_tags, PATTERN, IMMUTABLE_PATTERN_RULE),
    ]
    for key, roles in (("pipelineRoles", pipeline), ("administratorRoles", administrators)):
        if not roles:
            rule = "must have at least one role: without one, the guard would exempt nobody"
            problems.append(
                Problem(where=("access", key), value=[], rule=rule, fix="write the ARN of a role")
            )
    if both := sorted(set(pipeline) & set(administrators)):
        rule = "no role both moves tags and administers"
        fix = "take it out of one of the two"
        where = ("access", "administratorRoles")
        problems.append(Problem(where=where, value=both, rule=rule, fix=fix))
    if problems:
        raise InvalidInputError(problems)


def refuse_trust(trust: Trust) -> None:
    """Raise InvalidInputError with all errors of what a trust policy is made of."""
    problems = [
        *_mismatches(
            ("trust", "codebuildProjects"),
            trust["codebuild_projects"],
            CODEBUILD_PROJECT_ARN,
            CODEBUILD_PROJECT_ARN_RULE,
        ),
        *_mismatches(
            ("trust", "githubSubjects"),
            trust["github_subjects"],
            GITHUB_SUBJECT,
            GITHUB_SUBJECT_RULE,
        ),
        *_mismatches(("trust", "roles"), trust["roles"], ROLE_ARN, ROLE_ARN_RULE),
    ]
    if problems:
        raise InvalidInputError(problems)


def _mismatches(
    where: tuple[str, ...], values: Iterable[str], pattern: re.Pattern[str], rule: str
) -> Iterator[Problem]:
    for position, value in enumerate(values):
        if not pattern.fullmatch(value):
            fix = "write the exact value; docs/settings.md has what each may be"
            yield Problem(where=(*where, position), value=value, rule=rule, fix=fix)
