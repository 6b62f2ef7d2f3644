"""`history`: which repositories and time span it is about, what it prints, and how it ends."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click
import pytest

from container_images.aws.session import Aws
from container_images.cli.history import MOST_ROWS, since_of
from container_images.tags.history import EVENTS
from tests.builds import NAME, REGION, ECRClient, build, put_guard
from tests.cli.test_cli import done, refused, run
from tests.conftest import FIXTURES
from tests.events import DIGESTS, PIPELINE, event, identity, put

ACCOUNT = "111122223333"
IAM = f"arn:aws:iam::{ACCOUNT}:role/"
STACKS_PIPELINE = f"{IAM}pipeline/forms-image-pipeline"
STRANGER = f"{IAM}mary"
A, B = DIGESTS["a"], DIGESTS["b"]


def on(name: str, role: str, session: str = "release-412", account: str = ACCOUNT) -> Any:
    """What an event has of its repository and its caller."""
    arn = f"arn:aws:ecr:{REGION}:{account}:repository/{name}"
    return {"resources": [{"ARN": arn}], "userIdentity": identity(role, session)}


RUNNER, ADMIN = (on(f"forms-{name}-deploy", STACKS_PIPELINE) for name in ("runner", "admin"))
MARY = on("forms-runner-deploy", STRANGER, "mary")
DENIED = {"errorCode": "AccessDenied"}

WEEK = [
    put(1, "a", "prod-aaaaaaaaaaaaaaaaaaaa-1", **ADMIN),
    put(2, "a", **ADMIN),
    put(3, "b", **MARY, **DENIED),
    put(4, "b", **ADMIN),
    put(5, "b", **on("another", STRANGER)),
    put(6, "b", **on("forms-admin-deploy", STRANGER, account="444455556666")),
    event("PutImage", 7, **MARY | DENIED | {"resources": None}),
]
"""What happened in the account, in three repositories and in one that is not named."""


@pytest.fixture
def prod(monkeypatch: pytest.MonkeyPatch, lookups: Callable[..., Any]) -> Callable[..., Any]:
    """CloudTrail, in the project's directory, as a role of the account that prod is in."""
    monkeypatch.chdir(FIXTURES)
    monkeypatch.setattr(Aws, "caller", (ACCOUNT, f"{IAM}reader"))
    return lookups


def test_all_repositories_of_a_stack_are_read_in_one_pass(prod: Callable[..., Any]) -> None:
    names = prod(*WEEK)
    repositories = done("history", "--stack", "prod", "--since", "36h")["repositories"]
    assert names == [*EVENTS]
    since = datetime.fromisoformat(repositories[0]["since"])
    assert 35.9 * 3600 < (datetime.now(UTC) - since).total_seconds() < 36.1 * 3600
    assert repositories[-1]["repository"] is None  # what CloudTrail does not say it of
    events = {repository["repository"]: repository["events"] for repository in repositories}
    assert events["forms-runner-deploy"] == [
        {
            "time": "2026-11-20T03:00:00Z",
            "event": "PutImage",
            "tag": "latest",
            "principal": STRANGER,
            "session": "mary",
            "expected": False,
            "from": None,
            "to": B,
            "error": "AccessDenied",
        }
    ]
    admin = events["forms-admin-deploy"]
    assert [(event["tag"], event["from"], event["to"], event["expected"]) for event in admin] == [
        ("latest", A, B, True),
        ("latest", None, A, True),
        ("prod-aaaaaaaaaaaaaaaaaaaa-1", None, A, True),
    ]
    assert [(event["tag"], event["expected"]) for event in events[None]] == [(None, False)]


def test_other_events_in_words(prod: Callable[..., Any]) -> None:
    request = {"requestParameters": {"imageIds": [{"imageTag": "latest"}]}}
    replication = {**ADMIN, "userIdentity": {"invokedBy": "AWS Internal"}}
    prod(
        put(1, "a", **ADMIN),
        event("BatchDeleteImage", 2, **request, **ADMIN),
        event("ReplicateImage", 3, **replication),
    )
    table = re.sub(" +", " ", run("history", "--stack", "prod").stdout)
    assert " deleted from sha256:aaaaaaaa (a pipeline role neither" in table
    assert "! AWS Internal ReplicateImage (not by" in table
    # One tag alone, and what has none.
    prod(*WEEK)
    tag = "prod-aaaaaaaaaaaaaaaaaaaa-1"
    repositories = done("history", "--stack", "prod", "--tag", tag)["repositories"]
    assert [each["tag"] for listed in repositories for each in listed["events"]] == [tag, None]


def test_a_long_table_has_the_unexpected_first_and_ends(prod: Callable[..., Any]) -> None:
    """Whoever is denied many calls must not push the alarm out of an issue's 65,536 characters."""
    noise = [put(1, "a", f"x{number}", **RUNNER) for number in range(3)]
    long = on("forms-runner-deploy", f"{IAM}{'m' * 64}", "s" * 64)
    tries = [put(2, "b", **long, **DENIED) for _ in range(MOST_ROWS + 50)]
    prod(*tries, put(3, "a", **MARY), *noise)
    result = run("history", "--stack", "prod", "forms-runner-deploy", "--fail-on-unexpected")
    assert result.exit_code == 1
    assert len(result.stdout) < 65_536
    lines = result.stdout.splitlines()
    assert len(lines) == MOST_ROWS + 4
    assert "! mary" in lines[2]
    assert lines[-2] == "more events, not listed: 51; --json has all"


@pytest.mark.parametrize(
    ("seen", "summary", "status"),
    [
        (WEEK[:2], "2 events, none unexpected", 0),
        (WEEK[:3], "3 events, 1 unexpected", 1),
        (WEEK[4:6], "no events, none unexpected", 0),
    ],
)
def test_a_scheduled_job_fails_where_something_is_unexpected(
    prod: Callable[..., Any], seen: list[dict[str, Any]], summary: str, status: int
) -> None:
    prod(*seen)
    # A repository that is named twice counts once.
    names = ["forms-admin-deploy", "forms-runner-deploy", RUNNER["resources"][0]["ARN"]]
    result = run("history", "--stack", "prod", *map(str, names), "--fail-on-unexpected")
    assert result.exit_code == status
    assert result.stdout.splitlines()[0].endswith(f": {summary}")
    assert ("the stack prod: 1 unexpected" in result.stderr) is bool(status)


def test_the_policy_of_each_repository_says_who_is_its_pipeline(
    ecr: ECRClient, lookups: Callable[..., Any]
) -> None:
    other = "arn:aws:iam::123456789012:role/other"
    ecr.create_repository(repositoryName="other")
    put_guard(ecr, PIPELINE)
    put_guard(ecr, other, PIPELINE, name="other")
    here, there = (on(name, other, account="123456789012") for name in (NAME, "other"))
    nowhere = event("PutImage", 4, **here | DENIED | {"resources": None})
    lookups(put(1, "a", **here), put(2, "a"), put(3, "a", **there), nowhere)
    repositories = done("history", NAME, "other")["repositories"]
    assert [
        (repository["repository"], [event["expected"] for event in repository["events"]])
        for repository in repositories
    ] == [(NAME, [False, True]), ("other", [True]), (None, [False])]


def test_a_job_that_ran_again_is_no_alarm(ecr: ECRClient, lookups: Callable[..., Any]) -> None:
    put_guard(ecr, PIPELINE)
    same = build(ecr, "a", "prod-1")

    def refusal(tag: str, digest: str) -> dict[str, Any]:
        request = {"repositoryName": NAME, "imageTag": tag, "imageDigest": digest}
        failed = put(1, "a", requestParameters=request, responseElements=None)
        return failed | {"errorCode": "ImageTagAlreadyExistsException"}

    for tried, expected, mark in (
        (refusal("prod-1", same), True, ""),
        (refusal("prod-1", B), False, "! "),
        (refusal("prod-0", B), None, "? "),
    ):
        lookups(tried)
        result = run("history", NAME, "--fail-on-unexpected")
        assert result.exit_code == (expected is False)
        assert (f"{mark}forms-image-pipeline" in result.stdout) is (expected is not True)
    lookups(tried)
    [repository] = done("history", NAME, "--fail-on-unexpected")["repositories"]
    assert [event["expected"] for event in repository["events"]] == [None]
    # Nor is a tag of a movable pattern that is put again.
    ecr.put_image_tag_mutability(
        repositoryName=NAME,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "sha256-*.sig"}],
    )
    lookups(*(put(hour, letter, "sha256-1.sig") for hour, letter in enumerate("ab")))
    assert run("history", NAME, "--fail-on-unexpected").exit_code == 0


@pytest.mark.usefixtures("ecr")
def test_without_a_guard_nobody_is_the_pipeline(lookups: Callable[..., Any]) -> None:
    results = []
    for mode in ([], ["--json"]):
        lookups(put(1, "a"))
        results.append(run("history", NAME, NAME, "--fail-on-unexpected", *mode))
    text, as_json = results
    assert text.exit_code == as_json.exit_code == 1
    note, failed = text.stderr.splitlines()
    assert note.startswith("note: the policy of forms-admin-deploy does not say which roles")
    assert failed.startswith(f"{NAME}: 1 unexpected")
    assert text.stdout.startswith(f"{NAME}, since")
    error = json.loads(as_json.stderr)
    assert (error["error"], f"note: {error['notes'][0]}") == (failed, note)


@pytest.mark.usefixtures("prod")
def test_it_needs_cloudtrail(answers: dict[Any, Any]) -> None:
    answers["LookupEvents"] = "AccessDeniedException"
    assert "no permission for LookupEvents" in refused("history", "--stack", "prod")


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("7d", datetime(2026, 11, 17, 12, tzinfo=UTC)),
        ("36h", datetime(2026, 11, 23, tzinfo=UTC)),
        ("90d", datetime(2026, 8, 26, 12, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T10:00:00+02:00", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        *((text, None) for text in ("91d", "99999d", "0d", "2026-11-25", "2026-13-01", "7", "")),
    ],
)
def test_when_a_time_span_begins(text: str, since: datetime | None) -> None:
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    if since:
        assert since_of(text, now) == since
    else:
        with pytest.raises(click.UsageError, match=f"--since {text} is not in the 90 days"):
            since_of(text, now)
