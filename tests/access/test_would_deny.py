"""Whose past calls a planned repository policy denies: the calls that count."""

from typing import Any

import pytest

from container_images.access import claims
from container_images.access.claims import guarded
from container_images.access.would_deny import EVENTS, denied
from container_images.policies.repository_policy import Access, repository_policy
from tests.builds import NAME, REGION
from tests.events import event, identity

ACCOUNT = "111122223333"
IAM = f"arn:aws:iam::{ACCOUNT}:"
PIPELINE = f"{IAM}role/pipeline/forms-image-pipeline"
ADMINISTRATOR = f"{IAM}role/platform/forms-registry-deploy"
CACHE = f"{IAM}role/ci/buildx-cache"
TERRAFORM = f"{IAM}role/terraform"
FOREIGN = "arn:aws:iam::777788889999:role/ci/push"

Event = dict[str, Any]


def arn(name: str = NAME) -> str:
    return f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"


def call(
    action: str,
    principal: str,
    repository: str = NAME,
    day: int = 20,
    session: str = "s",
    **parts: Any,
) -> Event:
    """A call by a role, as CloudTrail has it."""
    return event(
        action,
        9,
        **{
            "eventTime": f"2026-11-{day:02}T09:00:00Z",
            "userIdentity": identity(principal, session),
            "requestParameters": {"repositoryName": repository, "registryId": ACCOUNT},
            "resources": [{"ARN": arn(repository), "accountId": ACCOUNT}],
            **parts,
        },
    )


def push(principal: str = CACHE, **parts: Any) -> Event:
    return call("PutImage", principal, **parts)


def access(*pipeline: str) -> Access:
    return Access(
        partition="aws",
        account_id=ACCOUNT,
        region=REGION,
        pipeline_roles=list(pipeline or [PIPELINE]),
        administrator_roles=[ADMINISTRATOR],
        pull_accounts=[],
        pull_organization="",
        lambda_pull=False,
    )


GUARD = repository_policy(access())


def who(*events: Event, policy: Any = GUARD) -> list[tuple[str, str, int]]:
    return [
        (it["principal"], it["action"], it["times"])
        for it in denied([guarded(arn(), policy)], events)
    ]


def test_calls_are_counted_and_the_last_is_named() -> None:
    pushes = [push(day=day, session=f"build-{day}") for day in (3, 20, 7)]
    assert denied([guarded(arn(), GUARD)], [call("BatchDeleteImage", CACHE, day=21), *pushes]) == [
        {
            "principal": CACHE,
            "session": "build-20",
            "action": "ecr:PutImage",
            "repository": arn(),
            "times": 3,
            "last": "2026-11-20T09:00:00Z",
        },
        {
            "principal": CACHE,
            "session": "s",
            "action": "ecr:BatchDeleteImage",
            "repository": arn(),
            "times": 1,
            "last": "2026-11-21T09:00:00Z",
        },
    ]


def test_whom_the_policy_exempts_is_not_named() -> None:
    policy = repository_policy(access(PIPELINE, FOREIGN))
    exempt = [push(PIPELINE), push(FOREIGN), call("BatchDeleteImage", ADMINISTRATOR)]
    others = [push(ADMINISTRATOR), call("SetRepositoryPolicy", PIPELINE)]
    assert who(*exempt, *others, policy=policy) == [
        (PIPELINE, "ecr:SetRepositoryPolicy", 1),
        (ADMINISTRATOR, "ecr:PutImage", 1),
    ]


def test_each_repository_has_its_own_policy() -> None:
    cache = guarded(arn("cache"), repository_policy(access(CACHE)))
    repositories = [guarded(arn(), GUARD), cache]
    assert [
        it["repository"] for it in denied(repositories, [push(), push(repository="cache")])
    ] == [arn()]


@pytest.mark.parametrize(
    ("caller", "principal"),
    [
        ({"type": "IAMUser", "arn": f"{IAM}user/mary", "sessionContext": {}}, f"{IAM}user/mary"),
        ({"type": "Root", "arn": f"{IAM}root", "accountId": ACCOUNT}, f"{IAM}root"),
        ({"type": "AWSService", "invokedBy": "inspector.amazonaws.com"}, "inspector.amazonaws.com"),
        (
            {"type": "AWSAccount", "principalId": "AROA:ci", "accountId": "777788889999"},
            "777788889999",
        ),
        (None, "unknown"),
    ],
)
def test_others_than_roles_count_too(caller: dict[str, Any] | None, principal: str) -> None:
    [call] = denied([guarded(arn(), GUARD)], [push(userIdentity=caller)])
    assert (call["principal"], call["session"]) == (principal, None)


def test_everything_that_the_guard_denies_is_looked_up() -> None:
    """By the list of the claims, which is written out on its own."""
    assert sorted(EVENTS) == sorted(
        action.removeprefix("ecr:") for action in (*claims.MOVE_TAGS, *claims.ADMINISTER)
    )
