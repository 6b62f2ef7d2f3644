"""The search for paths: held against one that leaves nothing out and knows no short cuts."""

from itertools import chain as joined

from hypothesis import given
from hypothesis import strategies as st

from container_images.access.account import account_of
from container_images.access.escalations import Escalation, Escalations
from container_images.access.evaluation import Principal, Request, may
from container_images.access.movers import ABILITIES
from container_images.access.paths import EscalationPath, EscalationPaths, Network, Target
from container_images.access.policy import parse
from tests.access.accounts import (
    CODEBUILD,
    DEPLOY,
    GUARD,
    IAM,
    PIPELINE,
    PROJECT,
    REPOSITORY,
    THE_ACCOUNT,
    Document,
    allow,
    deny,
    details,
    managed,
    policy,
    role,
    trust,
    user,
)

NAMES = ["a", "b", "c"]
BOUNDARY = f"{IAM}policy/boundary"
ROLES = [PIPELINE, DEPLOY, *(f"{IAM}role/{name}" for name in NAMES)]
CALLS = [
    "sts:AssumeRole",
    "iam:PassRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:PutRolePolicy",
    "iam:DeleteRolePermissionsBoundary",
    "iam:CreateRole",
    "iam:DeleteRole",
    "iam:CreateAccessKey",
    "codebuild:CreateProject",
    "codebuild:StartBuild",
    "lambda:UpdateFunctionCode",
    "ecr:*",
]
ON = [*ROLES, f"{IAM}role/*", f"{IAM}user/u", PROJECT, "*"]


@st.composite
def statements(draw: st.DrawFn) -> list[Document]:
    some = st.sampled_from
    found = [allow(draw(some(CALLS)), on=draw(some(ON))) for _ in range(draw(st.integers(0, 3)))]
    if draw(st.integers(0, 4)) == 0:
        found.append(deny(draw(some(CALLS)), on=draw(some(ON))))
    if found and draw(st.integers(0, 4)) == 0:
        found[0] |= by_name(draw(some(ROLES)))
    return found


def by_name(arn: str) -> Document:
    return {"Condition": {"ArnEquals": {"aws:PrincipalArn": arn}}}


@st.composite
def accounts(draw: st.DrawFn) -> Document:
    trusts = st.sampled_from(
        [
            THE_ACCOUNT,
            CODEBUILD,
            trust({"Service": "lambda.amazonaws.com"}),
            *(trust({"AWS": f"{IAM}role/{name}"}) for name in NAMES),
            trust({"AWS": f"{IAM}root"}, **by_name(f"{IAM}role/a")),
            trust("*", **by_name(f"{IAM}role/b")),
            policy(
                *THE_ACCOUNT["Statement"],
                *trust({"AWS": f"{IAM}role/c"}, Effect="Deny")["Statement"],
            ),
        ]
    )
    bounded = st.sampled_from([None, None, BOUNDARY])
    roles = [
        role(name, *draw(statements()), trusts=draw(trusts), boundary=draw(bounded))
        for name in ("pipeline/push", "deploy", *NAMES)
    ]
    if draw(st.integers(0, 3)) == 0:
        del roles[draw(st.integers(0, 1))]
    limits = managed("boundary", *draw(statements()), allow("ecr:*"))
    return details(*roles, user("u", *draw(statements())), limits)


def everything_within_reach(ways: list[Escalation], start: Principal) -> set[Principal]:
    """All whom one can become: every way is tried with everybody, again and again."""
    held = {start}
    while True:
        more = {
            way.to
            for way in ways
            if (way.held is None or way.held in held)
            and all(any(may(one, call) for one in held) for call in way.calls)
        }
        if more <= held:
            return held
        held |= more


def replayed(
    path: EscalationPath, start: Principal, ways: list[Escalation], target: Target
) -> bool:
    """Whether each step of a path is a call that its maker may make, as whom one is by then."""
    held = {start}
    made: set[tuple[str, str]] = set()
    by_name: dict[tuple[str, str], list[Request]] = {}
    for call in joined.from_iterable(way.calls for way in ways):
        by_name.setdefault((call.action, call.resource), []).append(call)
    for step in path[:-1]:
        calls = by_name.get((step.action, step.resource), [])
        makers = [one for one in held if one.shown == step.principal]
        allowed = any(may(one, call) for one in makers for call in calls)
        follows = any(
            way.then == step.action and way.to.shown == step.resource
            and all((it.action, it.resource) in made for it in way.calls)
            for way in ways
        )  # fmt: skip
        if not (makers and (allowed or follows)):
            return False
        made.add((step.action, step.resource))
        held |= {
            way.to
            for way in ways
            if (way.held is None or way.held in held)
            and all((it.action, it.resource) in made for it in way.calls)
        }
    last = path[-1]
    requests = joined.from_iterable(target.abilities.values())
    calls = [it for it in requests if it.action == last.action]
    return last.resource == REPOSITORY and any(
        may(one, call) for one in held if one.shown == last.principal for call in calls
    )


@given(accounts())
def test_it_finds_what_can_be_found_and_nothing_else(details: Document) -> None:
    ways = Escalations(account_of(details), {PIPELINE, DEPLOY}, ())
    target = Target(REPOSITORY, parse(GUARD), ABILITIES)
    principals = list(ways.principals.values())
    paths = EscalationPaths(Network(ways.all), target, principals)
    for principal in principals:
        reach = everything_within_reach(ways.all, principal)
        for ability, path in paths.of(principal).items():
            calls = target.abilities[ability]
            able = any(may(one, call) for one in reach for call in calls)
            assert (path is not None) == able, (principal.arn, ability)
            if path is not None:
                assert replayed(path, principal, ways.all, target), path
