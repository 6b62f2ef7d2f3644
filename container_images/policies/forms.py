"""Pure: what a value has to be: the form of the whole text, and the rule in words.

The settings of a stack, bootstrap and the components all hold their values to these.
"""

import re
from typing import Final, NamedTuple


class Form(NamedTuple):
    """The form of a value."""

    pattern: str
    """A regular expression for the whole of it, in ASCII."""
    rule: str

    def fits(self, text: str) -> bool:
        """Whether a text has this form."""
        return re.fullmatch(self.pattern, text, re.ASCII) is not None


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
