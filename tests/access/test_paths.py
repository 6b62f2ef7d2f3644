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


def reach(network: Network, reached: Members) -> Members:
    """Whom one can become next, and who one is: every step is tried with everybody."""
    for step in network.steps:
        if all(network.makers(need, reached) for need in step.needs):
            reached |= 1 << network.number[step.to]
    return reached


def everybody_within_reach(network: Network, start: Principal) -> Members:
    before, reached = 0, 1 << network.number[start]
    while before != reached:
        before, reached = reached, reach(network, reached)
    return reached


def replayed(path: Path, start: Principal, network: Network, able: Need) -> bool:
    """Whether each call of a path is made by somebody who is reached by then, and may make it."""
    reached: Members = 1 << network.number[start]
    needs = [need for step in network.steps for need in step.needs]
    requests = [*able, *(call for need in needs if isinstance(need, tuple) for call in need)]
    for call in path.calls:
        callers = [network.principals[number] for number in numbers_in(reached)]
        makers = [caller for caller in callers if caller.shown == call.principal]
        tries = [each for each in requests if (each.action, each.resource) == call[1:]]
        allowed = any(attempt(maker, each) for maker in makers for each in tries)
        follows = any(step.then == call.action for step in network.steps)
        if not makers or not (allowed or follows or not tries):
            return False
        reached = reach(network, reached)
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
            path = search.path(principal)
            reached = everybody_within_reach(network, principal)
            assert (path is not None) == bool(reached & able), principal.arn
            if path is not None:
                assert replayed(path, principal, network, wanted), path
                assert path.calls[-1].resource == REPOSITORY
