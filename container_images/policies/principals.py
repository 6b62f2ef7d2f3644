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


def refuse_access(
    access: Access, movable_tags: Sequence[str], immutable_tags: Sequence[str]
) -> None:
    """Raise InvalidInputError for what a repository's policies cannot be made of."""
    tags = {"movable_tags": movable_tags, "immutable_tags": immutable_tags}
    _refuse([*_mismatches(access, "access"), *_mismatches(tags)])
    own = f"arn:{access['partition']}:iam::{access['account_id']}:"
    administrators, where = access["administrator_roles"], ("access", "administratorRoles")
    # Within an account a role's name is unique, whatever its path.
    pushing = {arn.rpartition("/")[2] for arn in access["pipeline_roles"] if arn.startswith(own)}
    both = [arn for arn in administrators if arn.rpartition("/")[2] in pushing]
    foreign = [arn for arn in administrators if not arn.startswith(own)]
    exact = [tag for tag in movable_tags if ANY not in tag]
    overlaps = [each for each in immutable_tags if any(tag_glob(each, tag) for tag in exact)]
    everything = [tag for tag in movable_tags if not tag.strip(ANY)]
    one_of_them = "take it out of one of the two"
    checks: list[tuple[tuple[str, ...], list[str], str, str]] = [
        (where, both, "no role both moves tags and administers", one_of_them),
        (where, foreign, "must be of the repository's own account", "name one of it"),
        (("movableTags",), everything, "would let every tag move", "leave it out"),
        (("immutableTags",), overlaps, "match a movable tag", "narrow the pattern"),
    ]
    _refuse(
        [
            Problem(where=where, value=values, rule=rule, fix=fix)
            for where, values, rule, fix in checks
            if values
        ]
    )


def refuse_trust(trust: Trust) -> None:
    """Raise InvalidInputError for what a trust policy cannot be made of."""
    oidc = _mismatches(trust.get("oidc") or {}, "trust", "oidc")
    _refuse([*_mismatches(trust, "trust"), *oidc])


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise InvalidInputError(problems)


def _mismatches(inputs: Mapping[str, Any], *where: str) -> Iterator[Problem]:
    for key, form in _FORMS.items():
        values = listed(inputs.get(key))
        if key in {"pipeline_roles", "administrator_roles"} & inputs.keys() and not values:
            rule = "must have at least one role: without one, the guard would exempt nobody"
            fix = "write the ARN of a role"
            yield Problem(where=(*where, camel(key)), value=[], rule=rule, fix=fix)
        for position, value in enumerate(values):
            if not (isinstance(value, str) and form.fits(value)):
                place: tuple[str | int, ...] = (*where, camel(key), position)
                fix = "write the exact value; docs/settings.md has what each may be"
                yield Problem(where=place, value=value, rule=form.rule, fix=fix)
