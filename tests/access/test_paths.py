"""The search for paths: held against one that leaves nothing out and knows no short cuts."""

from hypothesis import given
from hypothesis import strategies as st

from container_images.access.account import account_of
from container_images.access.claims import guarded
from container_images.access.evaluation import Principal
from container_images.access.paths import (
    Members,
    Network,
    Path,
    PathSearch,
    attempt,
    numbers_in,
)
from container_images.access.steps import Need, Steps
from container_images.access.who_can import ABILITIES
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


def everybody_within_reach(network: Network, start: Principal) -> Members:
    """All whom one can become: every step is tried with everybody, again and again."""
    reached: Members = 1 << network.number[start]
    while True:
        before = reached
        for step in network.steps:
            if all(network.makers(need, reached) for need in step.needs):
                reached |= 1 << network.number[step.to]
        if reached == before:
            return reached


def replayed(path: Path, start: Principal, network: Network, able: Need) -> bool:
    """Whether each call of a path is made by somebody who is reached by then, and may make it."""
    reached: Members = 1 << network.number[start]
    made: set[tuple[str, str]] = set()
    needs = [need for step in network.steps for need in step.needs]
    calls = [it for need in needs if not isinstance(need, Principal) for it in need]
    for call in path.calls:
        makers = [
            it for it in numbers_in(reached) if network.principals[it].shown == call.principal
        ]
        tries = [
            it for it in (*calls, *able) if (it.action, it.resource) == (call.action, call.resource)
        ]
        allowed = any(attempt(network.principals[it], one) for it in makers for one in tries)
        follows = any(step.then == call.action for step in network.steps)
        if not makers or not (allowed or follows or not tries):
            return False
        made.add((call.action, call.resource))
        for step in network.steps:
            if all(network.makers(need, reached) for need in step.needs):
                reached |= 1 << network.number[step.to]
    return True


@given(accounts())
def test_it_finds_what_can_be_found_and_nothing_else(details: Document) -> None:
    steps = Steps(account_of(details), {PIPELINE, DEPLOY})
    principals = list(steps.principals.values())
    network = Network(steps.all, principals)
    repository = guarded(REPOSITORY, GUARD)
    for actions in ABILITIES.values():
        wanted = tuple(map(repository.request, actions))
        search = PathSearch(Network(steps.all, principals), wanted)
        able = network.makers(wanted, network.everybody)
        for principal in principals:
            reach = everybody_within_reach(network, principal)
            path = search.path(principal)
            assert (path is not None) == bool(reach & able), principal.arn
            if path is not None:
                assert replayed(path, principal, network, wanted), path
                assert path.calls[-1].resource == REPOSITORY
