"""Pure: what a component refuses of the principals and tags that its policies are made of.

A wildcard in a Deny's list of roles would exempt whoever matches it. The settings of a stack have
the same rules; here they hold whoever calls a component.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from container_images.policies.document import listed
from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.policies.repository_policy import Access
from container_images.policies.tag_mutability import PATTERN, PATTERN_RULE
from container_images.policies.trust_policy import (
    AUDIENCE,
    AUDIENCE_RULE,
    CODEBUILD_PROJECT_ARN,
    CODEBUILD_PROJECT_ARN_RULE,
    OIDC_PROVIDER,
    OIDC_PROVIDER_RULE,
    ROLE_ARN,
    ROLE_ARN_RULE,
    SUBJECT,
    SUBJECT_RULE,
    Trust,
)

ACCOUNT_ID: Final = re.compile(r"\d{12}", re.ASCII)
ACCOUNT_ID_RULE: Final = "must be an account id: 12 digits, in quotes"
ORGANIZATION_ID: Final = re.compile(r"(o-[a-z0-9]{10,32})?")
ORGANIZATION_ID_RULE: Final = "must be o- and 10 to 32 lower-case letters or digits"

_RULES: Final = {
    "pipeline_roles": (ROLE_ARN, ROLE_ARN_RULE),
    "administrator_roles": (ROLE_ARN, ROLE_ARN_RULE),
    "pull_accounts": (ACCOUNT_ID, ACCOUNT_ID_RULE),
    "lambda_pull_accounts": (ACCOUNT_ID, ACCOUNT_ID_RULE),
    "pull_organization": (ORGANIZATION_ID, ORGANIZATION_ID_RULE),
    "movable_tags": (PATTERN, PATTERN_RULE),
    "immutable_tags": (PATTERN, PATTERN_RULE),
    "codebuild_projects": (CODEBUILD_PROJECT_ARN, CODEBUILD_PROJECT_ARN_RULE),
    "github_subjects": (SUBJECT, SUBJECT_RULE),
    "provider": (OIDC_PROVIDER, OIDC_PROVIDER_RULE),
    "audience": (AUDIENCE, AUDIENCE_RULE),
    "subjects": (SUBJECT, SUBJECT_RULE),
    "roles": (ROLE_ARN, ROLE_ARN_RULE),
}


def refuse_access(
    access: Access, movable_tags: Sequence[str], immutable_tags: Sequence[str]
) -> None:
    """Raise InvalidInputError with all errors of what a repository's policies are made of."""
    tags = {"movable_tags": movable_tags, "immutable_tags": immutable_tags}
    problems = [*_mismatches(access, "access"), *_mismatches(tags)]
    pipeline, administrators = access["pipeline_roles"], access["administrator_roles"]
    for key, roles in (("pipelineRoles", pipeline), ("administratorRoles", administrators)):
        if not roles:
            rule = "must have at least one role: without one, the guard would exempt nobody"
            fix = "write the ARN of a role"
            problems.append(Problem(where=("access", key), value=[], rule=rule, fix=fix))
    if both := sorted(set(pipeline) & set(administrators)):
        rule, fix = "no role both moves tags and administers", "take it out of one of the two"
        where = ("access", "administratorRoles")
        problems.append(Problem(where=where, value=both, rule=rule, fix=fix))
    if problems:
        raise InvalidInputError(problems)


def refuse_trust(trust: Trust) -> None:
    """Raise InvalidInputError with all errors of what a trust policy is made of."""
    oidc = _mismatches(trust.get("oidc") or {}, "trust", "oidc")
    if problems := [*_mismatches(trust, "trust"), *oidc]:
        raise InvalidInputError(problems)


def _mismatches(inputs: Mapping[str, Any], *where: str) -> Iterator[Problem]:
    fix = "write the exact value; docs/settings.md has what each may be"
    for key, (pattern, rule) in _RULES.items():
        for position, value in enumerate(listed(inputs.get(key))):
            if not pattern.fullmatch(value):
                name = re.sub(r"_(.)", lambda letter: letter[1].upper(), key)
                place: tuple[str | int, ...] = (*where, name, position)
                yield Problem(where=place, value=value, rule=rule, fix=fix)
