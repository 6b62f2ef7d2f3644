"""Arbitrary policies in a small world: of repositories, of roles and users, and their limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

from container_images.policies.ecr_actions import Effect, actions

Document = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class World:
    """Two accounts, and what there is in them."""

    account: str
    other_account: str
    region: str
    repository: str
    pipeline: str
    administrator: str
    developer: str
    user: str
    foreign: str
    """A role of the other account."""

    @property
    def principals(self) -> tuple[str, ...]:
        """The account's own."""
        return (self.pipeline, self.administrator, self.developer, self.user)

    def root(self, account: str) -> str:
        return f"arn:aws:iam::{account}:root"


WORLD: Final = World(
    account="111122223333",
    other_account="444455556666",
    region="eu-west-2",
    repository="arn:aws:ecr:eu-west-2:111122223333:repository/team/app",
    pipeline="arn:aws:iam::111122223333:role/pipeline/push",
    administrator="arn:aws:iam::111122223333:role/deploy",
    developer="arn:aws:iam::111122223333:role/people/dev",
    user="arn:aws:iam::111122223333:user/people/alice",
    foreign="arn:aws:iam::444455556666:role/ci/push",
)

VALUES: Final[dict[str, tuple[str, ...]]] = {
    "aws:SourceVpc": ("vpc-a", "vpc-b"),
    "aws:PrincipalTag/team": ("forms", "platform"),
    "iam:PassedToService": ("codebuild.amazonaws.com", "lambda.amazonaws.com"),
    "aws:PrincipalArn": (WORLD.pipeline, WORLD.user, WORLD.foreign),
    "aws:MultiFactorAuthPresent": ("true", "false"),
}
"""The keys that conditions name, and the values that they compare them with."""

ACTIONS: Final = (
    "ecr:PutImage",
    "ecr:BatchGetImage",
    "ecr:SetRepositoryPolicy",
    "iam:PassRole",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
    "iam:CreateAccessKey",
    "sts:AssumeRole",
    "lambda:UpdateFunctionCode",
    "codebuild:StartBuild",
    "codebuild:UpdateProject",
)
"""What identity policies, boundaries and service control policies are about."""

_PATTERNS: Final = (
    *("*", "ecr:*", "ecr:Put*", "ecr:*Image", "iam:*", "iam:Put*", "iam:*Role*", "IAM:passrole"),
    *("sts:*", "sts:Assume*", "lambda:*", "lambda:Update*", "codebuild:*", "codebuild:Start?uild"),
)

RESOURCES: Final = (
    WORLD.repository,
    f"arn:aws:lambda:{WORLD.region}:{WORLD.account}:function:app",
    f"arn:aws:codebuild:{WORLD.region}:{WORLD.account}:project/app",
)
"""What they are about besides roles and users."""

_RESOURCE_PATTERNS: Final = (
    *("*", "arn:aws:iam::*:role/*", f"arn:aws:iam::{WORLD.account}:role/p*"),
    *("arn:aws:iam::*:role/pipeline/*", f"arn:aws:iam::{WORLD.account}:user/*"),
    *("arn:aws:ecr:*:*:repository/*", f"arn:aws:ecr:*:{WORLD.account}:repository/team/???"),
    *("arn:aws:lambda:*", "arn:aws:codebuild:*:*:project/*"),
)


# --- Policies of roles and users ------------------------------------------------------------------


def resources(principals: Sequence[str]) -> tuple[str, ...]:
    """What a request may be about in a world of these principals."""
    return (*RESOURCES, *principals)


def contexts() -> st.SearchStrategy[dict[str, str]]:
    """What the caller alone does not say, of the keys that conditions name."""
    keys = {key: values for key, values in VALUES.items() if key != "aws:PrincipalArn"}
    return st.fixed_dictionaries(
        {},
        optional={
            key: st.sampled_from(
                values if key == "aws:MultiFactorAuthPresent" else (*values, "another")
            )
            for key, values in keys.items()
        },
    )


def identity_policies(principals: Sequence[str] = WORLD.principals) -> st.SearchStrategy[Document]:
    """Policies of a few statements about these principals, and about what else there is."""
    return _documents(_statements(principals, denies=4), largest=4)


def boundaries(principals: Sequence[str] = WORLD.principals) -> st.SearchStrategy[Document | None]:
    """None; one that leaves much; or any policy."""
    wide = st.sampled_from(("*", ["ecr:*", "sts:*"], ["iam:*", "codebuild:*", "lambda:*"])).map(
        lambda action: {"Effect": "Allow", "Action": action, "Resource": "*"}
    )
    limits = st.tuples(wide, st.none() | _statements(principals, denies=1)).map(_document)
    return st.one_of(st.none(), st.none(), limits, identity_policies(principals))


def organizations(
    principals: Sequence[str] = WORLD.principals,
) -> st.SearchStrategy[list[list[Document]]]:
    """The service control policies at each level: none; full access and Denies; or less."""
    full = _document([{"Effect": "Allow", "Action": "*", "Resource": "*"}])
    more = st.lists(_documents(_statements(principals, denies=1), largest=2), max_size=1)
    only = _documents(_statements(principals, denies=4), largest=2).map(lambda it: [it])
    levels = st.one_of(more.map(lambda it: [full, *it]), more.map(lambda it: [full, *it]), only)
    return st.one_of(st.just([]), st.just([]), st.lists(levels, min_size=1, max_size=3))


def _document(statements: Sequence[Document | None]) -> Document:
    return {"Version": "2012-10-17", "Statement": [it for it in statements if it is not None]}


def _documents(
    statements: st.SearchStrategy[Document], largest: int
) -> st.SearchStrategy[Document]:
    return st.lists(statements, min_size=1, max_size=largest).map(_document)


@st.composite
def _statements(draw: st.DrawFn, principals: Sequence[str], *, denies: int) -> Document:
    """A statement without a principal. One of so many is a Deny, and these are narrower."""
    allow = draw(st.integers(1, denies)) > 1
    without = draw(st.sampled_from(("", "", "", "Action", "Resource")))
    wide = ("*",) * 15 if allow and not without else ()
    about = (*resources(principals), *_RESOURCE_PATTERNS)
    statement: Document = {
        "Effect": "Allow" if allow else "Deny",
        "NotAction" if without == "Action" else "Action": draw(
            _some((*ACTIONS, *_PATTERNS, *wide))
        ),
        "NotResource" if without == "Resource" else "Resource": draw(_some((*about, *wide))),
    }
    if draw(st.integers(0, 2)) == 0:
        statement["Condition"] = draw(_conditions(principals))
    return statement


def _some(values: Sequence[str]) -> st.SearchStrategy[str | list[str]]:
    """One, or several in a list, as AWS takes either."""
    one = st.sampled_from(values)
    return one | st.lists(one, min_size=1, max_size=3, unique=True)


@st.composite
def _conditions(draw: st.DrawFn, principals: Sequence[str]) -> Document:
    conditions: Document = {}
    for key in draw(st.lists(st.sampled_from(tuple(VALUES)), min_size=1, max_size=2, unique=True)):
        values = tuple(principals) if key == "aws:PrincipalArn" else VALUES[key]
        kind = "Bool" if values == ("true", "false") else "String"
        operator = draw(st.sampled_from(_OPERATORS[kind]))
        if operator == "Null":
            values = ("true", "false")
        elif "Like" in operator:
            values = (*values, *(f"{it[:-1]}?" for it in values), *(f"{it[:3]}*" for it in values))
        spelled = draw(st.sampled_from((key, key, key.lower())))
        conditions.setdefault(operator, {})[spelled] = draw(_some(values))
    return conditions


_OPERATORS: Final = {
    "Bool": ("Bool", "BoolIfExists", "Null"),
    "String": (
        *("StringEquals", "StringEquals", "StringNotEquals", "StringLike", "StringNotLike"),
        *("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "Null"),
        *("StringEqualsIfExists", "StringNotEqualsIfExists", "StringLikeIfExists"),
    ),
}


# --- Policies of repositories ---------------------------------------------------------------------

_MOVE: Final = tuple(actions(Effect.MOVE_TAG))
_ADMINISTER: Final = tuple(actions(Effect.DELETE_IMAGE, Effect.CHANGE_GUARD))
_PUSH: Final = tuple(actions(Effect.PULL, Effect.UPLOAD, Effect.MOVE_TAG))


@st.composite
def repository_policies(draw: st.DrawFn) -> Document:
    """Policies near the guard, in which principals and other values are exact.

    Most Denies are as in the guard in most of their parts.
    """
    statements = []
    for denied, spared in ((_MOVE, WORLD.pipeline), (_ADMINISTER, WORLD.administrator)):
        for few, condition in draw(_shapes(denied)):
            statements.append(draw(_denies(few, spared, condition)))
    statements += draw(st.lists(_denies_of_some(), max_size=1))
    statements += draw(st.lists(_allows(), max_size=3))
    return {"Version": "2012-10-17", "Statement": draw(st.permutations(statements))}


@st.composite
def _shapes(draw: st.DrawFn, denied: Sequence[str]) -> list[tuple[Sequence[str], Document]]:
    """How the Deny of some actions is made: of which statements, and with which more conditions.

    Whole, twice, one part of the actions after the other, under a condition and its opposite,
    under a condition only, not at all.
    """
    part = draw(st.integers(1, len(denied) - 1))
    key = draw(st.sampled_from(("aws:SourceVpc", "aws:PrincipalTag/team")))
    value = VALUES[key][0]
    here, elsewhere = {"StringEquals": {key: value}}, {"StringNotEquals": {key: value}}
    whole: list[tuple[Sequence[str], Document]] = [(denied, {})]
    shapes = [
        whole * 2,
        [(denied[:part], {}), (denied[part:], {})],
        [(denied, here), (denied, elsewhere)],
        [(denied, draw(st.sampled_from((here, elsewhere))))],
        [],
    ]
    return draw(st.sampled_from([whole] * 4 + shapes))


@st.composite
def _denies(draw: st.DrawFn, denied: Sequence[str], spared: str, condition: Document) -> Document:
    """A Deny for everybody save one, or nearly so."""
    others = (WORLD.pipeline, WORLD.administrator, WORLD.user, WORLD.foreign)
    more = draw(st.lists(st.sampled_from(others), min_size=1, max_size=2))
    exempt = draw(st.sampled_from([[spared]] * 4 + [sorted({spared, *more}), more]))
    not_equal = draw(st.sampled_from(("ArnNotEquals", "ArnNotLike", "StringNotEquals")))
    operator = draw(_mostly(not_equal, "ArnEquals", "StringEquals"))
    conditions = {operator: {"aws:PrincipalArn": exempt}}
    for name, keys in condition.items():
        conditions[name] = conditions.get(name, {}) | keys
    everybody = draw(st.sampled_from(("*", {"AWS": "*"}, {"AWS": ["*"]})))
    return {
        "Effect": draw(_mostly("Deny", "Allow")),
        "Principal": draw(_mostly(everybody, *_SOME)),
        "Action": draw(_mostly(list(denied), list(denied[1:]) or ["ecr:ListImages"], "ecr:*")),
        "Condition": conditions,
    }


_SOME: Final = (
    {"AWS": WORLD.root(WORLD.account)},
    {"AWS": [WORLD.user, WORLD.administrator]},
    {"AWS": WORLD.other_account},
)
"""Principal elements that name some principals, an account by its root or its id among them."""


@st.composite
def _denies_of_some(draw: st.DrawFn) -> Document:
    """A Deny that says itself whom it denies something, by either side of a principal."""
    statement: Document = {"Effect": "Deny", "Principal": "*", "Action": draw(_actions)}
    if draw(st.booleans()):
        return statement | {"Principal": draw(st.sampled_from(_SOME))}
    arns = st.lists(st.sampled_from((*WORLD.principals, WORLD.foreign)), min_size=1, max_size=3)
    return statement | {"Condition": {"ArnEquals": {"aws:PrincipalArn": draw(arns)}}}


@st.composite
def _allows(draw: st.DrawFn) -> Document:
    """An Allow, as in the guard or beside it."""
    principal = draw(
        st.sampled_from(("*", {"AWS": WORLD.pipeline}, {"AWS": WORLD.foreign}, *_SOME))
    )
    statement: Document = {"Effect": "Allow", "Principal": principal, "Action": draw(_actions)}
    if draw(st.booleans()):
        key = draw(st.sampled_from(("aws:SourceVpc", "aws:PrincipalTag/team", "aws:PrincipalArn")))
        operator = draw(st.sampled_from(("StringEquals", "StringNotEquals", "StringLike")))
        statement["Condition"] = {operator: {key: draw(_some(VALUES[key]))}}
    return statement


_actions: Final = st.sampled_from(
    (list(_PUSH), list(_MOVE), list(_ADMINISTER), "ecr:PutImage", "ecr:Put*", "ecr:*")
)


def _mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    """The usual value in nine of ten cases."""
    return st.sampled_from([usual] * 9 * len(others) + list(others))
