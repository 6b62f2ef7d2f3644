"""Whose past calls a planned repository policy denies: the calls that count."""

from typing import Any

import pytest

from container_images.access import claims
from container_images.access.claims import guarded
from container_images.policies.repository_policy import repository_policy
from container_images.stack.would_deny import EVENTS, denied
from tests.access.accounts import ACCOUNT, IAM, Document
from tests.builds import NAME, REGION, access
from tests.events import event, identity

PIPELINE = f"{IAM}role/pipeline/forms-image-pipeline"
ADMINISTRATOR = f"{IAM}role/platform/forms-registry-deploy"
CACHE, TERRAFORM, MARY = f"{IAM}role/ci/buildx-cache", f"{IAM}role/terraform", f"{IAM}user/mary"
FOREIGN = "arn:aws:iam::777788889999:role/ci/push"


def arn(name: str = NAME) -> str:
    return f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"


def call(
    action: str,
    principal: str,
    repository: str = NAME,
    day: int = 20,
    session: str = "s",
    **parts: Any,
) -> Document:
    """A call by a role, as CloudTrail has it."""
    own = {
        "eventTime": f"2026-11-{day:02}T09:00:00Z",
        "userIdentity": identity(principal, session),
        "requestParameters": {"repositoryName": repository, "registryId": ACCOUNT},
        "resources": [{"ARN": arn(repository), "accountId": ACCOUNT}],
    }
    return event(action, 9, **own | parts)


def push(principal: str = CACHE, **parts: Any) -> Document:
    return call("PutImage", principal, **parts)


def guard(*pipeline: str) -> Document:
    roles = {"pipeline_roles": [*pipeline], "administrator_roles": [ADMINISTRATOR]}
    return repository_policy(access(**roles))


GUARDED = guarded(arn(), guard(PIPELINE))


def test_calls_are_counted_and_the_last_is_named() -> None:
    pushes = [push(day=day, session=f"build-{day}") for day in (3, 20, 7)]
    deletion, failed = call("BatchDeleteImage", CACHE, day=21), push(errorCode="AccessDenied")
    calls = denied([GUARDED], [deletion, *pushes, failed, push(repository="another-teams")])
    assert {(each["principal"], each["repository"]) for each in calls} == {(CACHE, arn())}
    assert [(each["session"], each["action"], each["times"], each["last"]) for each in calls] == [
        ("build-20", "ecr:PutImage", 3, "2026-11-20T09:00:00Z"),
        ("s", "ecr:BatchDeleteImage", 1, "2026-11-21T09:00:00Z"),
    ]


def test_whom_the_policy_exempts_is_not_named() -> None:
    exempt = [push(PIPELINE), push(FOREIGN), call("BatchDeleteImage", ADMINISTRATOR)]
    others = [push(ADMINISTRATOR), call("SetRepositoryPolicy", PIPELINE)]
    calls = denied([guarded(arn(), guard(PIPELINE, FOREIGN))], [*exempt, *others])
    assert [(each["principal"], each["action"], each["times"]) for each in calls] == [
        (PIPELINE, "ecr:SetRepositoryPolicy", 1),
        (ADMINISTRATOR, "ecr:PutImage", 1),
    ]


def test_each_repository_has_its_own_policy() -> None:
    cache = guarded(arn("cache"), guard(CACHE))
    [only] = denied([GUARDED, cache], [push(), push(repository="cache")])
    assert only["repository"] == arn()


@pytest.mark.parametrize(
    ("caller", "principal"),
    [
        ({"type": "IAMUser", "arn": MARY, "sessionContext": {}}, MARY),
        ({"type": "AWSService", "invokedBy": "inspector.amazonaws.com"}, "inspector.amazonaws.com"),
        (None, "unknown"),
    ],
)
def test_others_than_roles_count_too(caller: Document | None, principal: str) -> None:
    [only] = denied([GUARDED], [push(userIdentity=caller)])
    assert (only["principal"], only["session"]) == (principal, None)


def test_everything_that_the_guard_denies_is_looked_up() -> None:
    """By the list of the claims, which is written out on its own."""
    written = (*claims.MOVE_TAGS, *claims.ADMINISTER)
    assert sorted(f"ecr:{name}" for name in EVENTS) == sorted(written)
