"""Pure: what a value has to be: the form of the whole text, and the rule in words; tags among them.

The settings of a stack and bootstrap hold their values to these; a component holds to them what its
policies are made of, whoever calls it. Which tags may move:
https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, get_args

from container_images.policies.document import ANY, listed, tag_glob
from container_images.policies.invalid_input import Problem, camel


class Form(NamedTuple):
    """The form of a value."""

    pattern: str
    """A regular expression for the whole of it, in ASCII."""
    rule: str

    def fits(self, text: str) -> bool:
        """Whether a text has this form."""
        return re.fullmatch(self.pattern, text, re.ASCII) is not None


TagMutability = Literal["MUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"]
"""The settings of this stack. ECR's fourth, IMMUTABLE, lets no tag move at all: ADR040 rules it
out."""

TAG_MUTABILITIES: Final[tuple[TagMutability, ...]] = get_args(TagMutability)

TAG: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
"""A tag, as the OCI distribution specification and Docker's client write it."""

DEFAULT_MOVABLE_TAGS: Final = ("latest",)
"""The tags that the pipeline moves where nothing says which: ADR040's."""

MAX_EXCLUSION_FILTERS: Final = 5
MAX_FILTER_WILDCARDS: Final = 2

PARTITION: Final = r"aws[a-z-]*"
PATH: Final = r"([!-#%-)+-.0->@-~]+/)*"
"""Of a role or policy: what IAM takes, save * and ?, which are wildcards in a condition, and $,
which begins a policy variable there."""

ROLE_ARN: Final = Form(
    rf"arn:{PARTITION}:iam::\d{{12}}:role/{PATH}[\w+=,.@-]{{1,64}}",
    "must be the exact ARN of one IAM role, never of its session, without wildcards or $",
)
CODEBUILD_PROJECT_ARN: Final = Form(
    rf"arn:{PARTITION}:codebuild:[a-z0-9-]+:\d{{12}}:project/[A-Za-z0-9][\w-]{{1,254}}",
    "must be the exact ARN of one CodeBuild project, without wildcards",
)
SUBJECT: Final = Form(
    r"[a-z_]+:[^:*?$/\s]+(/[^:*?$/\s]+)+:([^*?$\s]+:)?(environment|ref):(?!refs/pull/)[^*?$\s]+",
    "must name one environment, branch or tag: others let in all who can push a branch",
)
"""A `sub` claim of GitHub or GitLab: repo:OWNER/NAME:environment:production, or
project_path:GROUP/NAME:ref_type:branch:ref:main. Any branch or pull request can send another.
https://docs.github.com/en/actions/reference/security/oidc
https://docs.gitlab.com/ci/secrets/id_token_authentication/"""
OIDC_PROVIDER: Final = Form(
    r"[a-z0-9.-]+(:\d+)?(/[\w.~-]+)*", "must be the URL of an OIDC provider, without https://"
)
AUDIENCE: Final = Form(r"[^*?$\s]+", "must be the exact aud claim")
ACCOUNT_ID: Final = Form(r"\d{12}", "must be an account id: 12 digits, in quotes")
REGION: Final = Form(r"[a-z]{2,}(-[a-z]+)+-\d+", "must be the name of a Region")
ORGANIZATION_ID: Final = Form(
    "(o-[a-z0-9]{10,32})?", "must be o- and 10 to 32 lower-case letters or digits"
)
TAG_PATTERN: Final = Form(
    "[0-9a-zA-Z_*][0-9a-zA-Z._*-]{0,127}",
    "a tag or a tag pattern has 1 to 128 letters, digits and . _ - *, and starts as a tag does",
)
"""ECR also takes a leading `.` or `-`, with which no tag can begin: such a pattern would protect
nothing, and nobody would notice."""

_FORMS: Final = {
    **dict.fromkeys(("pipeline_roles", "administrator_roles", "roles"), ROLE_ARN),
    **dict.fromkeys(("account_id", "pull_accounts", "lambda_pull_accounts"), ACCOUNT_ID),
    **dict.fromkeys(("movable_tags", "immutable_tags"), TAG_PATTERN),
    **dict.fromkeys(("github_subjects", "subjects"), SUBJECT),
    "codebuild_projects": CODEBUILD_PROJECT_ARN,
    "provider": OIDC_PROVIDER,
    "audience": AUDIENCE,
    "pull_organization": ORGANIZATION_ID,
    "region": REGION,
    "partition": Form(PARTITION, "must be a partition, such as aws"),
    "tag_mutability": Form(
        "|".join(TAG_MUTABILITIES), f"must be one of {', '.join(TAG_MUTABILITIES)}"
    ),
}
"""What an input of a component has to be, or each element of it."""


def contradictions(inputs: Mapping[str, Any]) -> Iterator[Problem]:
    """What an image repository's inputs, each of which has its form, say against each other."""
    access, movable, immutable = inputs["access"], inputs["movable_tags"], inputs["immutable_tags"]
    own = f"arn:{access['partition']}:iam::{access['account_id']}:"
    # Within an account a role's name is unique, whatever its path.
    pushing = {arn.rpartition("/")[2] for arn in access["pipeline_roles"] if arn.startswith(own)}
    administrators = access["administrator_roles"]
    both = [arn for arn in administrators if arn.rpartition("/")[2] in pushing]
    foreign = [arn for arn in administrators if not arn.startswith(own)]
    exact = [tag for tag in movable if ANY not in tag]
    overlaps = [each for each in immutable if any(tag_glob(each, tag) for tag in exact)]
    everything = [tag for tag in movable if not tag.strip(ANY)]
    where, one_of_them = ("access", "administratorRoles"), "take it out of one of the two"
    checks: list[tuple[tuple[str, ...], list[str], str, str]] = [
        (where, both, "no role both moves tags and administers", one_of_them),
        (where, foreign, "must be of the repository's own account", "name one of it"),
        (("movableTags",), everything, "would let every tag move", "leave it out"),
        (("immutableTags",), overlaps, "match a movable tag", "narrow the pattern"),
    ]
    for key, values, rule, fix in checks:
        if values:
            yield Problem(where=key, value=values, rule=rule, fix=fix)


def mismatches(inputs: Mapping[str, Any], *around: str) -> Iterator[Problem]:
    """Each input, or each element of it, that has not the form of its name.

    A wildcard in a Deny's list of roles would exempt whoever matches it.
    """
    for key, value in inputs.items():
        where = (*around, camel(key))
        if isinstance(value, Mapping):
            yield from mismatches(value, *where)
        if not value and key in {"pipeline_roles", "administrator_roles"}:
            rule = "must have at least one role: without one, the guard would exempt nobody"
            yield Problem(where=where, value=[], rule=rule, fix="write the ARN of a role")
        for position, text in enumerate(listed(value) if key in _FORMS else ()):
            if not (isinstance(text, str) and _FORMS[key].fits(text)):
                fix = "write the exact value; docs/settings.md has what each may be"
                place: tuple[str | int, ...] = (*where, position)
                yield Problem(where=place, value=text, rule=_FORMS[key].rule, fix=fix)


def exclusion_filters(
    tag_mutability: str, movable_tags: Sequence[str], immutable_tags: Sequence[str]
) -> list[str]:
    """The patterns that are excluded from the repository's general rule."""
    if tag_mutability == "MUTABLE":
        return []
    return list(movable_tags if tag_mutability.startswith("IMMUTABLE") else immutable_tags)


def is_immutable(tag: str, tag_mutability: str, filters: Sequence[str]) -> bool:
    """Whether ECR refuses to put the tag on another image, in a repository so configured."""
    excluded = any(tag_glob(pattern, tag) for pattern in filters)
    return excluded != tag_mutability.startswith("IMMUTABLE")
