"""The command `would-deny`, on the stack of tests/fixtures."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from container_images.access.would_deny import EVENTS
from container_images.aws.session import Aws
from container_images.cli import access as cli
from tests.access.test_would_deny import (
    ACCOUNT,
    ADMINISTRATOR,
    CACHE,
    IAM,
    PIPELINE,
    TERRAFORM,
    Event,
    arn,
    call,
    push,
)
from tests.aws_fixtures import Bars
from tests.builds import REGION
from tests.cli.test_cli import done, refused, run
from tests.cli.test_samples import assert_shown
from tests.conftest import FIXTURES
from tests.events import page

ADMIN, RUNNER, TESTS = "forms-admin-deploy", "forms-runner-deploy", "end-to-end-tests"
COMMAND = ("would-deny", "--stack", "prod")


@pytest.fixture
def trail(
    monkeypatch: pytest.MonkeyPatch, lookups: Callable[..., None]
) -> Callable[..., list[str]]:
    """These events in the account's CloudTrail. Gives the Regions in which it is asked."""

    def holds(*events: Event) -> list[str]:
        lookups(*(page(*(it for it in events if it["eventName"] == name)) for name in EVENTS))
        client, regions = Aws("us-east-1").cloudtrail(), list[str]()

        def cloudtrail(aws: Aws) -> object:
            regions.append(str(aws.region))
            return client

        monkeypatch.setattr(Aws, "cloudtrail", cloudtrail)
        return regions

    monkeypatch.chdir(FIXTURES)
    monkeypatch.setattr(Aws, "caller", (ACCOUNT, f"{IAM}user/mary"))
    monkeypatch.setattr(cli, "earliest", lambda: datetime(2026, 8, 25, 8, 1, 23, tzinfo=UTC))
    return holds


def ninety_days() -> list[Event]:
    """What happened to three of the stack's repositories."""
    return [
        *(push(repository=it, day=day) for it in (ADMIN, RUNNER, TESTS) for day in range(1, 23)),
        *(push(PIPELINE, repository=it, day=day) for it in (ADMIN, RUNNER) for day in range(1, 23)),
        *(push(f"{IAM}role/ci/cosign", repository=ADMIN, day=day) for day in range(2, 21)),
        *(call("SetRepositoryPolicy", TERRAFORM, it, day=9) for it in (ADMIN, RUNNER)),
        call("BatchDeleteImage", ADMINISTRATOR, TESTS, day=18),
        push(ADMINISTRATOR, repository=TESTS, day=18, session="mary"),
        push(f"{IAM}role/developer", repository=ADMIN, errorCode="AccessDenied"),
        push(repository="another-teams"),
    ]


def test_the_calls_are_listed_by_repository(
    monkeypatch: pytest.MonkeyPatch, trail: Callable[..., list[str]], bars: Bars
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    regions = trail(*ninety_days())
    shown = bars(cli)
    answer = done(*COMMAND)
    assert regions == [REGION]
    assert shown == [("Reading CloudTrail", list(EVENTS))]
    assert answer["since"] == "2026-08-25T08:01:23Z"
    assert len(answer["repositories"]) == 5
    calls = answer["denied"]
    assert {(it["principal"], it["action"], it["times"]) for it in calls} == {
        (CACHE, "ecr:PutImage", 22),
        (f"{IAM}role/ci/cosign", "ecr:PutImage", 19),
        (TERRAFORM, "ecr:SetRepositoryPolicy", 1),
        (ADMINISTRATOR, "ecr:PutImage", 1),
    }
    assert [it["repository"] for it in calls if it["principal"] == TERRAFORM] == [
        arn(ADMIN),
        arn(RUNNER),
    ]
    assert [it for it in calls if it["principal"] == ADMINISTRATOR] == [
        {
            "principal": ADMINISTRATOR,
            "session": "mary",
            "action": "ecr:PutImage",
            "repository": arn(TESTS),
            "times": 1,
            "last": "2026-11-18T09:00:00Z",
        }
    ]


def test_repositories_of_the_stack_may_be_named(trail: Callable[..., list[str]]) -> None:
    trail(*ninety_days())
    assert done("would-deny", TESTS, "--stack", "prod")["repositories"] == [arn(TESTS)]
    assert "give --stack" in run("would-deny", TESTS).stderr


def test_the_docs_show_what_it_prints(
    monkeypatch: pytest.MonkeyPatch, trail: Callable[..., list[str]]
) -> None:
    trail(*ninety_days())
    assert_shown(monkeypatch, "would-deny")


def test_nobody_would_be_denied(trail: Callable[..., list[str]]) -> None:
    trail(push(PIPELINE))
    result = run(*COMMAND)
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert text.startswith("5 repositories of prod, back to 2026-08-25T08:01:23Z: nobody would be")
    assert "It is safe to go on: pulumi up --stack prod" in text


def test_of_users_it_is_said_that_only_roles_can_be_named(trail: Callable[..., list[str]]) -> None:
    trail(push(userIdentity={"type": "IAMUser", "arn": f"{IAM}user/mary"}))
    assert "Only roles can be named" in run(*COMMAND).stdout
    trail(push())
    assert "Only roles can be named" not in run(*COMMAND).stdout


def test_another_account_is_refused_before_anything_is_looked_up(
    monkeypatch: pytest.MonkeyPatch, trail: Callable[..., list[str]]
) -> None:
    regions = trail()
    monkeypatch.setattr(Aws, "caller", ("444455556666", ""))
    said = refused(*COMMAND)
    assert f"CloudTrail of account 444455556666 has no events of account {ACCOUNT}" in said
    assert regions == []
