"""The command `would-deny`, on the stack of tests/fixtures."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from container_images.aws.session import Aws
from container_images.cli import access as cli
from tests.access.accounts import ACCOUNT, IAM, Document
from tests.builds import REGION
from tests.cli.test_cli import done, refused, run
from tests.cli.test_samples import assert_shown
from tests.conftest import FIXTURES
from tests.stack.test_would_deny import (
    ADMINISTRATOR,
    CACHE,
    MARY,
    PIPELINE,
    TERRAFORM,
    arn,
    call,
    push,
)

ADMIN, RUNNER, TESTS = "forms-admin-deploy", "forms-runner-deploy", "end-to-end-tests"
COMMAND = ("would-deny", "--stack", "prod")


Trail = Callable[..., list[str]]


@pytest.fixture
def trail(monkeypatch: pytest.MonkeyPatch, lookups: Callable[..., None]) -> Trail:
    """These events in the account's CloudTrail. Gives the Regions in which it is asked."""

    def holds(*events: Document) -> list[str]:
        lookups(*events)
        client, regions = Aws("us-east-1").client("cloudtrail"), list[str]()

        def client_of(aws: Aws, service: str) -> object:
            regions.append(f"{service} in {aws.region}")
            return client

        monkeypatch.setattr(Aws, "client", client_of)
        return regions

    monkeypatch.chdir(FIXTURES)
    monkeypatch.setattr(Aws, "caller", (ACCOUNT, MARY))
    monkeypatch.setattr(cli, "earliest", lambda: datetime(2026, 8, 25, 8, 1, 23, tzinfo=UTC))
    return holds


def ninety_days() -> list[Document]:
    """What happened to three of the stack's repositories."""
    pushes = [
        push(role, repository=name, day=day)
        for role, names in ((CACHE, (ADMIN, RUNNER, TESTS)), (PIPELINE, (ADMIN, RUNNER)))
        for name in names
        for day in range(1, 23)
    ]
    return [
        *pushes,
        *(push(f"{IAM}role/ci/cosign", repository=ADMIN, day=day) for day in range(2, 21)),
        *(call("SetRepositoryPolicy", TERRAFORM, name, day=9) for name in (ADMIN, RUNNER)),
        call("BatchDeleteImage", ADMINISTRATOR, TESTS, day=18),
        push(ADMINISTRATOR, repository=TESTS, day=18, session="mary"),
    ]


def test_the_calls_are_listed_by_repository(monkeypatch: pytest.MonkeyPatch, trail: Trail) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    regions = trail(*ninety_days())
    answer = done(*COMMAND)
    assert regions == [f"cloudtrail in {REGION}"]
    assert answer["since"] == "2026-08-25T08:01:23Z"
    assert len(answer["repositories"]) == 5
    rows = [
        (each["principal"], each["session"], each["repository"]) for each in answer["denied"][4:]
    ]
    assert rows == [
        (ADMINISTRATOR, "mary", arn(TESTS)),
        (TERRAFORM, "s", arn(ADMIN)),
        (TERRAFORM, "s", arn(RUNNER)),
    ]


def test_repositories_of_the_stack_may_be_named(trail: Trail) -> None:
    trail(*ninety_days())
    assert done("would-deny", TESTS, "--stack", "prod")["repositories"] == [arn(TESTS)]
    assert "give --stack" in run("would-deny", TESTS).stderr


def test_the_docs_show_what_it_prints(monkeypatch: pytest.MonkeyPatch, trail: Trail) -> None:
    trail(*ninety_days())
    assert_shown(monkeypatch, "would-deny")


def test_nobody_would_be_denied(trail: Trail) -> None:
    trail(push(PIPELINE))
    text = run(*COMMAND).stdout
    assert "nobody would be" in text
    assert "It is safe to go on: pulumi up --stack prod" in text
    trail(push(userIdentity={"type": "IAMUser", "arn": MARY}))
    assert "Only roles can be named" in run(*COMMAND).stdout


def test_another_account_is_refused_before_anything_is_looked_up(
    monkeypatch: pytest.MonkeyPatch, trail: Trail
) -> None:
    regions = trail()
    monkeypatch.setattr(Aws, "caller", ("444455556666", ""))
    reason = f"CloudTrail of account 444455556666 has no events of account {ACCOUNT}"
    assert reason in refused(*COMMAND)
    assert regions == []
