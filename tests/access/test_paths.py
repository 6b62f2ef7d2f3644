"""The search for paths: held against one that leaves nothing out and knows no short cuts."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from container_images.access.account import account_of
from container_images.access.claims import CHANGE_GUARD, MOVE_TAGS, guarded
from container_images.access.evaluation import Call, Principal
from container_images.access.steps import Need, Steps
from container_images.access.who_can import Network, attempt, numbers_in, shortest_paths
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
    service,
    trust,
    user,
    where,
)

NAMES = ["a", "b", "c"]
BOUNDARY = f"{IAM}policy/boundary"
ROLES = [PIPELINE, DEPLOY, *(f"{IAM}role/{name}" for name in NAMES)]
CALLS = [
    *("sts:AssumeRole", "codebuild:CreateProject", "codebuild:StartBuild"),
    *("lambda:UpdateFunctionCode", "ecr:*", "iam:DeleteRolePermissionsBoundary", "iam:CreateRole"),
    *(f"iam:{verb}" for verb in ("PassRole", "UpdateAssumeRolePolicy", "PutRolePolicy")),
    *("iam:DeleteRole", "iam:CreateAccessKey"),
]
ON = [*ROLES, f"{IAM}role/*", f"{IAM}user/u", PROJECT, "*"]


def by_name(arn: str) -> Document:
    return where("ArnEquals", "aws:PrincipalArn", arn)


@st.composite
def statements(draw: st.DrawFn) -> list[Document]:
    def some(of: list[str]) -> str:
        return draw(st.sampled_from(of))

    drawn = [allow(some(CALLS), on=some(ON)) for _ in range(draw(st.integers(0, 3)))]
    if draw(st.integers(0, 4)) == 0:
        drawn.append(deny(some(CALLS), on=some(ON)))
    if drawn and draw(st.integers(0, 4)) == 0:
        drawn[0] |= by_name(some(ROLES))
    return drawn


NOT_C = trust({"AWS": f"{IAM}role/c"}, Effect="Deny")


@st.composite
def accounts(draw: st.DrawFn) -> Document:
    trusts = st.sampled_from(
        [
            THE_ACCOUNT,
            CODEBUILD,
            service("lambda"),
            *(trust({"AWS": f"{IAM}role/{name}"}) for name in NAMES),
            trust({"AWS": f"{IAM}root"}, **by_name(f"{IAM}role/a")),
            trust("*", **by_name(f"{IAM}role/b")),
            policy(*THE_ACCOUNT["Statement"], *NOT_C["Statement"]),
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


def reached_from(network: Network, start: Principal) -> set[Principal]:
    """Whom one can become, and who one is: every step is tried with everybody, over and over."""
    reached, before = {start}, set[Principal]()
    while reached != before:
        before = set(reached)
        for step in network.steps:
            if before & members(network, step.need):
                reached.add(step.to)
    return reached


def members(network: Network, need: Need) -> set[Principal]:
    numbers = numbers_in(network.makers(need, network.everybody))
    return {network.principals[number] for number in numbers}


def follows(calls: Sequence[Call], maker: Principal, network: Network, last: Need) -> bool:
    """Whether each call is one that the maker may make, and gives access to who makes the next."""

    def makes(need: Need) -> bool:
        paths = filter(None, (attempt(maker, request) for request in need))
        return maker in members(network, need) and next(paths).calls == (calls[0],)

    if len(calls) == 1:
        return makes(last)
    return any(
        makes(step.need) and follows(calls[1 + bool(step.then) :], step.to, network, last)
        for step in network.steps
    )


@given(accounts())
def test_paths_are_found_where_there_are_any(details: Document) -> None:
    steps = Steps(account_of(details), {PIPELINE, DEPLOY})
    network = Network(steps.all, steps.principals.values())
    repository = guarded(REPOSITORY, GUARD)
    for actions in (MOVE_TAGS, CHANGE_GUARD):
        wanted = tuple(map(repository.request, actions))
        paths = shortest_paths(Network(steps.all, steps.principals.values()), wanted)
        able = members(network, wanted)
        for start in steps.principals.values():
            reached = reached_from(network, start)
            assert (start in paths) == bool(reached & able), start.arn
            if start in paths:
                assert follows(paths[start].calls, start, network, wanted), paths[start]
