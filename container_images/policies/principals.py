"""Pure: what a component refuses of the principals and tags that its policies are made of.

A wildcard in a Deny's list of roles would exempt whoever matches it. The settings of a stack have
the same rules; here they hold whoever calls a component.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from container_images.policies import forms
from container_images.policies.document import listed
from container_images.policies.invalid_input import InvalidInputError, Problem, camel
from container_images.policies.patterns import ANY, tag_glob
from container_images.policies.repository_policy import Access
from container_images.policies.trust_policy import Trust

_FORMS: Final = {
    "partition": forms.Form(forms.PARTITION, "must be a partition, such as aws"),
    "account_id": forms.ACCOUNT_ID,
    "region": forms.REGION,
    "pipeline_roles": forms.ROLE_ARN,
    "administrator_roles": forms.ROLE_ARN,
    "pull_accounts": forms.ACCOUNT_ID,
    "lambda_pull_accounts": forms.ACCOUNT_ID,
    "pull_organization": forms.ORGANIZATION_ID,
    "movable_tags": forms.TAG_PATTERN,
    "immutable_tags": forms.TAG_PATTERN,
    "codebuild_projects": forms.CODEBUILD_PROJECT_ARN,
    "github_subjects": forms.SUBJECT,
    "provider": forms.OIDC_PROVIDER,
    "audience": forms.AUDIENCE,
    "subjects": forms.SUBJECT,
    "roles": forms.ROLE_ARN,
}


_ADMINISTRATORS: Final = ("access", "administratorRoles")
_ONE_OF_THEM: Final = "take it out of one of the two"


def _account(arn: str) -> tuple[str, str]:
    """Partition and id. Within an account a role's name is unique, whatever its path."""
    parts = f"{arn}:::::".split(":")
    return parts[1], parts[4]


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
    own = (access["partition"], access["account_id"])
    pushing = {arn.rpartition("/")[2] for arn in pipeline if _account(arn) == own}
    both = [arn for arn in administrators if arn.rpartition("/")[2] in pushing]
    foreign = [arn for arn in administrators if _account(arn) != own]
    open_tags = [tag for tag in movable_tags if not tag.strip(ANY)]
    overlaps = [
        pattern
        for pattern in immutable_tags
        if any(tag_glob(pattern, tag) for tag in movable_tags if ANY not in tag)
    ]
    problems += [
        Problem(where=where, value=values, rule=rule, fix=fix)
        for where, values, rule, fix in (
            (_ADMINISTRATORS, both, "no role both moves tags and administers", _ONE_OF_THEM),
            (_ADMINISTRATORS, foreign, "must be of the repository's own account", "name one of it"),
            (("movableTags",), open_tags, "would let every tag move", "leave it out"),
            (("immutableTags",), overlaps, "match a movable tag", "narrow the pattern"),
        )
        if values
    ]
    if problems:
        raise InvalidInputError(problems)


def refuse_trust(trust: Trust) -> None:
    """Raise InvalidInputError with all errors of what a trust policy is made of."""
    oidc = _mismatches(trust.get("oidc") or {}, "trust", "oidc")
    if problems := [*_mismatches(trust, "trust"), *oidc]:
        raise InvalidInputError(problems)


def _mismatches(inputs: Mapping[str, Any], *where: str) -> Iterator[Problem]:
    fix = "write the exact value; docs/settings.md has what each may be"
    for key, form in _FORMS.items():
        for position, value in enumerate(listed(inputs.get(key))):
            if not (isinstance(value, str) and form.fits(value)):
                place: tuple[str | int, ...] = (*where, camel(key), position)
                yield Problem(where=place, value=value, rule=form.rule, fix=fix)
