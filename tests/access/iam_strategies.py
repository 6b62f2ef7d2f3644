"""Arbitrary policies in a small world: of repositories, of roles and users, and their limits."""

from collections.abc import Sequence
from typing import Any, Final

from hypothesis import strategies as st

from container_images.policies.ecr_actions import Effect, actions
from tests.access.accounts import ACCOUNT, DEPLOY, IAM, PIPELINE, REPOSITORY, Document, policy

DEVELOPER, USER = f"{IAM}role/people/dev", f"{IAM}user/people/alice"
OTHER = "444455556666"
FOREIGN = f"arn:aws:iam::{OTHER}:role/ci/push"
PRINCIPALS: Final = (PIPELINE, DEPLOY, DEVELOPER, USER)
RESOURCES: Final = (
    *(REPOSITORY, *PRINCIPALS),
    f"arn:aws:lambda:eu-west-2:{ACCOUNT}:function:app",
)
ACTIONS: Final = (
    *("ecr:PutImage", "ecr:SetRepositoryPolicy", "iam:PassRole", "iam:PutRolePolicy"),
    *("iam:CreateAccessKey", "sts:AssumeRole", "lambda:UpdateFunctionCode"),
)
VALUES: Final[dict[str, tuple[str, ...]]] = {
    "aws:SourceVpc": ("vpc-a", "vpc-b"),
    "aws:PrincipalTag/team": ("forms", "platform"),
    "aws:PrincipalArn": (PIPELINE, USER, FOREIGN),
}
"""The keys that conditions name, and the values that they compare them with."""

_ACTION_PATTERNS: Final = ("*", "ecr:*", "ecr:Put*", "ecr:*Image", "iam:*", "iam:*Role*", "sts:*")
_RESOURCE_PATTERNS: Final = (
    *("*", "arn:aws:iam::*:role/*", f"{IAM}role/p*", "arn:aws:ecr:*:*:repository/*"),
    f"arn:aws:ecr:*:{ACCOUNT}:repository/a??",
)
_OPERATORS: Final = (
    *("StringEquals", "StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "Null"),
    *("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringEqualsIfExists"),
    *("StringNotEqualsIfExists", "StringLikeIfExists"),
)


def _some(values: Sequence[str]) -> st.SearchStrategy[str | list[str]]:
    """One, or several in a list, as AWS takes either."""
    one = st.sampled_from(values)
    return one | st.lists(one, min_size=1, max_size=3, unique=True)


@st.composite
def _conditions(draw: st.DrawFn) -> Document:
    conditions: Document = {}
    for key in draw(st.lists(st.sampled_from(tuple(VALUES)), min_size=1, max_size=2, unique=True)):
        values = VALUES[key]
        operator = draw(st.sampled_from(_OPERATORS))
        if operator == "Null":
            values = ("true", "false")
        elif "Like" in operator:
            patterns = (text for value in values for text in (f"{value[:-1]}?", f"{value[:3]}*"))
            values = (*values, *patterns)
        conditions.setdefault(operator, {})[key] = draw(_some(values))
    return conditions


@st.composite
def _statements(draw: st.DrawFn, denies: int) -> Document:
    """A statement without a principal. One of so many is a Deny."""
    is_allow = draw(st.integers(1, denies)) > 1
    without = draw(st.sampled_from(("", "", "", "Action", "Resource")))
    wide = ("*",) * 15 if is_allow and not without else ()
    statement: Document = {
        "Effect": "Allow" if is_allow else "Deny",
        "NotAction" if without == "Action" else "Action": draw(
            _some((*ACTIONS, *_ACTION_PATTERNS, *wide))
        ),
        "NotResource" if without == "Resource" else "Resource": draw(
            _some((*RESOURCES, *_RESOURCE_PATTERNS, *wide))
        ),
    }
    if draw(st.integers(0, 2)) == 0:
        statement["Condition"] = draw(_conditions())
    return statement


def identity_policies(denies: int = 4) -> st.SearchStrategy[Document]:
    some = st.lists(_statements(denies), min_size=1, max_size=3)
    return some.map(lambda statements: policy(*statements))


def organizations() -> st.SearchStrategy[list[list[Document]]]:
    """The service control policies at each level: none, or full access with Denies beside it."""
    full = policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
    level = identity_policies(denies=1).map(lambda own: [full, own])
    return st.just([]) | st.lists(level | st.just([full]), min_size=1, max_size=2)


@st.composite
def repository_policies(draw: st.DrawFn) -> Document:
    """Policies near the guard, in which principals and other values are exact."""
    move = actions(Effect.MOVE_TAG)
    administer = actions(Effect.DELETE_IMAGE, Effect.CHANGE_GUARD)
    names: tuple[Any, ...] = ("*", {"AWS": "*"}, {"AWS": USER}, {"AWS": ACCOUNT}, {"AWS": OTHER})
    statements = []
    for denied, exempt in ((move, PIPELINE), (administer, DEPLOY)):
        more = draw(st.lists(st.sampled_from((PIPELINE, DEPLOY, USER, FOREIGN)), max_size=1))
        operators = ("ArnNotEquals",) * 6 + ("StringNotEquals", "ArnNotLike", "ArnEquals")
        condition = {draw(st.sampled_from(operators)): {"aws:PrincipalArn": [exempt, *more]}}
        if draw(st.integers(0, 5)) == 0:
            condition |= draw(_conditions())
        denies = {"Effect": "Deny", "Principal": "*", "Action": denied, "Condition": condition}
        statements += [denies] * draw(st.integers(0, 4).map(bool).map(int))
    for _ in range(draw(st.integers(0, 2))):
        statement = {
            "Effect": draw(st.sampled_from(("Allow", "Allow", "Deny"))),
            "Principal": draw(st.sampled_from((*names, {"AWS": FOREIGN}, {"AWS": [DEPLOY]}))),
            "Action": draw(st.sampled_from(("ecr:*", "ecr:Put*", "ecr:PutImage", administer))),
        }
        if draw(st.booleans()):
            statement["Condition"] = draw(_conditions())
        statements.append(statement)
    return policy(*draw(st.permutations(statements)))
