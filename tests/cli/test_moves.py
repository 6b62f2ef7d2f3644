"""`moves`: which repositories and time span it is about, what it prints, and how it ends."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
import pytest
from botocore.exceptions import ClientError

from container_images.aws.session import Aws
from container_images.aws.trail import earliest
from container_images.cli import moves as stack_moves_cli
from container_images.cli.app import app
from container_images.cli.moves import since_of
from container_images.policies.document import to_json
from container_images.policies.repository_policy import repository_policy
from container_images.policies.retention import lifecycle_policy
from container_images.tags.stack_moves import EVENTS
from tests.aws.test_trail import access, page
from tests.aws_fixtures import Bars
from tests.builds import NAME, REGION
from tests.cli.test_cli import done, refused, run
from tests.conftest import ROOT
from tests.events import DIGESTS, PIPELINE, event, identity, put

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

ACCOUNT = "111122223333"
IAM = f"arn:aws:iam::{ACCOUNT}:role/"
STACKS_PIPELINE = f"{IAM}pipeline/forms-image-pipeline"
STRANGER = f"{IAM}mary"
A, B = DIGESTS["a"], DIGESTS["b"]


def on(name: str, account: str = ACCOUNT) -> dict[str, Any]:
    arn = f"arn:aws:ecr:{REGION}:{account}:repository/{name}"
    return {"resources": [{"ARN": arn, "accountId": account}]}


def by(role: str = STACKS_PIPELINE, session: str = "release-412") -> dict[str, Any]:
    return {"userIdentity": identity(role, session)}


RUNNER, ADMIN = on("forms-runner-deploy"), on("forms-admin-deploy")

WEEK = [
    put(1, "a", "prod-aaaaaaaaaaaaaaaaaaaa-1", **ADMIN, **by()),
    put(2, "a", **ADMIN, **by()),
    put(3, "b", **RUNNER, **by(STRANGER, "mary"), errorCode="AccessDenied"),
    put(4, "b", **ADMIN, **by()),
    put(5, "b", **on("another"), **by(STRANGER)),
    put(6, "b", **on("forms-admin-deploy", "444455556666"), **by(STRANGER)),
    event("PutImage", 7, resources=None, errorCode="AccessDenied", **by(STRANGER, "mary")),
]
"""What happened in the account, in three repositories and in one that is not named."""


@pytest.fixture
def holds(lookups: Callable[..., None]) -> Callable[..., None]:
    """CloudTrail with these events, for one pass over each event's name and no other."""

    def answer(*raw: dict[str, Any]) -> None:
        newest = raw[::-1]
        lookups(*(page(*(it for it in newest if it["eventName"] == name)) for name in EVENTS))

    return answer


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the project's directory, as a role of the account that prod is in."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(Aws, "caller", lambda _: (ACCOUNT, f"{IAM}reader"))


@pytest.mark.usefixtures("stack")
def test_all_repositories_of_a_stack_are_read_in_one_pass(holds: Callable[..., None]) -> None:
    holds(*WEEK)
    told = done("moves", "--stack", "prod", "--since", "36h")
    since, until = (datetime.fromisoformat(told.pop(key)) for key in ("since", "until"))
    assert (until - since).total_seconds() == 36 * 3600
    assert told["stack"] == "prod"
    events = told["events"]
    assert events[1] == {
        "repository": "forms-runner-deploy",
        "tag": "latest",
        "time": "2026-11-20T03:00:00Z",
        "event": "PutImage",
        "principal": STRANGER,
        "session": "mary",
        "pipeline": False,
        "from": None,
        "to": B,
        "error": "AccessDenied",
        "unexpected": "not by a pipeline role",
    }
    assert [(it["repository"], it["time"][11:13], it["from"], it["to"]) for it in events] == [
        (None, "07", None, None),
        ("forms-runner-deploy", "03", None, B),
        ("forms-admin-deploy", "04", A, B),
        ("forms-admin-deploy", "02", None, A),
    ]
    assert [bool(it["unexpected"]) for it in events] == [True, True, False, False]
    assert [it["pipeline"] for it in events] == [False, False, True, True]


@pytest.mark.usefixtures("stack")
def test_a_table_has_the_unexpected_first_and_marked(holds: Callable[..., None]) -> None:
    holds(*WEEK)
    result = run("moves", "--stack", "prod")
    assert (result.exit_code, result.stderr) == (0, "")
    title, head, *lines = (line.rstrip() for line in result.stdout.splitlines())
    assert re.fullmatch(r"the stack prod, \S+Z to \S+Z: 4 events, 2 unexpected", title)
    # No terminal: a line for each event, so that grep finds it whole.
    assert [re.split(" {2,}", line) for line in (head, *lines)] == [
        ["time", "repository, tag", "who", "what"],
        [
            "2026-11-20T07:00:00Z",
            "? ?",
            "! mary mary",
            "refused: AccessDenied from ? to ? (CloudTrail does not say in which repository)",
        ],
        [
            "2026-11-20T03:00:00Z",
            "forms-runner-deploy latest",
            "! mary mary",
            "refused: AccessDenied from ? to sha256:bbbbbbbb (not by a pipeline role)",
        ],
        [
            "2026-11-20T04:00:00Z",
            "forms-admin-deploy latest",
            "forms-image-pipeline release-412",
            "from prod-aaaaaaaa-1 to sha256:bbbbbbbb",
        ],
        [
            "2026-11-20T02:00:00Z",
            "forms-admin-deploy latest",
            "forms-image-pipeline release-412",
            "from ? to prod-aaaaaaaa-1",
        ],
    ]


@pytest.mark.usefixtures("stack")
def test_other_events_in_words(holds: Callable[..., None]) -> None:
    asked = {"requestParameters": {"imageIds": [{"imageTag": "latest"}]}}
    holds(put(1, "a", **ADMIN, **by()), event("BatchDeleteImage", 2, **asked, **ADMIN, **by()))
    assert "  deleted from sha256:aaaaaaaa (a pipeline role neither" in (
        run("moves", "--stack", "prod").stdout
    )
    holds(event("ReplicateImage", 2, **ADMIN, userIdentity={"invokedBy": "AWS Internal"}))
    assert "! AWS Internal  ReplicateImage (not by" in run("moves", "--stack", "prod").stdout


@pytest.mark.usefixtures("stack")
def test_some_tags_alone(holds: Callable[..., None]) -> None:
    holds(*WEEK)
    told = done("moves", "--stack", "prod", "--tag", "prod-aaaaaaaaaaaaaaaaaaaa-1")
    assert [it["time"][11:13] for it in told["events"]] == ["07", "01"]


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize(
    ("seen", "events", "status"), [(WEEK[:2], 1, 0), (WEEK[:3], 2, 1), (WEEK[4:6], 0, 0)]
)
def test_a_scheduled_job_fails_where_something_is_unexpected(
    holds: Callable[..., None], seen: list[dict[str, Any]], events: int, status: int
) -> None:
    for mode in ((), ("--json",)):
        holds(*seen)
        result = run("moves", "--stack", "prod", "--fail-on-unexpected", *mode)
        assert result.exit_code == status
        assert result.stdout
        assert ("the stack prod: 1 unexpected" in result.stderr) is bool(status)
        if mode:
            assert len(json.loads(result.stdout)["events"]) == events
            assert (json.loads(result.stderr or "{}").get("kind") == "refused") is bool(status)


@pytest.mark.usefixtures("stack")
def test_nothing_happened(holds: Callable[..., None]) -> None:
    holds()
    result = run("moves", "--stack", "prod", "--fail-on-unexpected")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith(": no events, none unexpected\n")


@pytest.mark.usefixtures("stack")
def test_the_page_shows_what_people_are_told(
    holds: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    older = "prod-356a192b7913b04c54574d18c28d46e6395428ab-1795003600"
    newer = "prod-da4b9237bacccdf19c0760cab7aec4a8359010b0-1795420880"
    first, second = by(session="release-411"), by(session="release-412")
    times = ("22T09:12:40", "22T09:12:41", "23T07:01:22", "23T07:58:20", "23T07:58:22")
    denied = put(3, "c", **RUNNER, **by(f"{IAM}developer", "mary"), errorCode="AccessDenied")
    made = [
        put(1, "a", older, **ADMIN, **first),
        put(2, "a", **ADMIN, **first),
        denied | {"responseElements": {"image": {"imageId": {"imageDigest": DIGESTS["c"]}}}},
        put(4, "b", newer, **ADMIN, **second),
        put(5, "b", **ADMIN, **second),
    ]
    holds(*(it | {"eventTime": f"2026-11-{at}Z"} for it, at in zip(made, times, strict=True)))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    arguments = ["moves", "--stack", "prod", "--fail-on-unexpected"]
    assert app(arguments, standalone_mode=False) == 1
    printed = re.sub(r"\x1b\[[0-9;]*m", "", "".join(capsys.readouterr()))
    _, head, *lines = (line.rstrip() for line in printed.splitlines())
    page = (ROOT / "docs" / "audit.md").read_text()
    assert "\n".join([head, *lines]) in page


# --- Repositories that are named ------------------------------------------------------------------


def guard(ecr: "ECRClient", name: str, *pipeline: str) -> None:
    policy = to_json(repository_policy(access(*pipeline)))
    ecr.set_repository_policy(repositoryName=name, policyText=policy)


def test_the_policy_of_each_repository_says_who_is_its_pipeline(
    ecr: "ECRClient", holds: Callable[..., None]
) -> None:
    other = "arn:aws:iam::123456789012:role/other"
    ecr.create_repository(repositoryName="other")
    guard(ecr, NAME, PIPELINE)
    guard(ecr, "other", other, PIPELINE)
    nowhere = event("PutImage", 4, resources=None, errorCode="AccessDenied", **by(other))
    there = on("other", "123456789012")
    holds(put(1, "a", **by(other)), put(2, "a"), put(3, "a", **there, **by(other)), nowhere)
    told = done("moves", NAME, "other")
    assert told["stack"] is None
    assert [(it["repository"], it["unexpected"]) for it in told["events"]] == [
        (None, "CloudTrail does not say in which repository"),
        (NAME, "not by a pipeline role"),
        ("other", None),
        (NAME, None),
    ]


@pytest.mark.usefixtures("ecr")
def test_without_a_guard_nobody_is_the_pipeline(holds: Callable[..., None]) -> None:
    holds(put(1, "a"))
    result = run("moves", NAME, NAME, "--fail-on-unexpected")  # as if it were named once
    assert result.exit_code == 1
    note, failed = result.stderr.splitlines()
    assert note.startswith("note: the policy of forms-admin-deploy does not say which roles")
    assert failed.startswith(f"{NAME}: 1 unexpected")
    assert result.stdout.startswith(f"{NAME}, ")
    assert f"{NAME}, {NAME}" not in result.stdout


def test_what_may_not_be_read_leaves_the_movable_tags_to_the_rest(
    ecr: "ECRClient", holds: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(operation: str) -> Callable[..., None]:
        def fail(**_: object) -> None:
            raise ClientError({"Error": {"Code": "AccessDeniedException"}}, operation)

        return fail

    guard(ecr, NAME, PIPELINE)
    rules = lifecycle_policy(["stable"], [])
    ecr.put_lifecycle_policy(repositoryName=NAME, lifecyclePolicyText=json.dumps(rules))
    monkeypatch.setattr(Aws, "ecr", lambda _: ecr)
    for method, operation, tag in (
        ("describe_repositories", "DescribeRepositories", "stable"),
        ("get_lifecycle_policy", "GetLifecyclePolicy", "latest"),
    ):
        monkeypatch.setattr(ecr, method, denied(operation))
        holds(put(1, "a", "stable"), put(2, "a", "latest"))
        result = run("moves", NAME, "--json")
        assert [it["tag"] for it in json.loads(result.stdout)["events"]] == [tag]
        assert result.stderr.startswith(
            f"note: the movable tags are taken to be {tag}: no permission for ecr:{operation}"
        )


# --- What it refuses ------------------------------------------------------------------------------


@pytest.mark.usefixtures("ecr")
def test_cloudtrail_of_another_account_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert f"has no events of account {ACCOUNT}" in refused("moves", "--stack", "prod")


@pytest.mark.usefixtures("stack")
def test_a_stack_that_there_is_not() -> None:
    assert "Pulumi.nobody.yaml: there is no such stack" in refused("moves", "--stack", "nobody")


@pytest.mark.usefixtures("stack")
def test_it_needs_cloudtrail(lookups: Callable[..., None]) -> None:
    lookups("AccessDeniedException", "AccessDeniedException")
    told = refused("moves", "--stack", "prod")
    assert "no permission for cloudtrail:LookupEvents on the stack prod: no luck; grant" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give either REPOSITORY, one or more, or --stack"),
        ([NAME, "--stack", "prod"], "give either REPOSITORY, one or more, or --stack"),
        ([f"{NAME}:latest"], "names an image"),
        ([NAME, "--tag", "-x"], "is not a tag"),
        ([NAME, "--since", "soon"], "--since soon is not a date such as"),
        (
            [NAME, f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{NAME}"],
            f"several Regions ({REGION}, us-east-1)",
        ),
    ],
)
def test_wrong_usage(arguments: list[str], told: str) -> None:
    result = run("moves", *arguments, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in json.loads(result.stderr)["error"]


def test_help_fits_eighty_columns() -> None:
    result = run("moves", "--help")
    assert result.exit_code == 0
    assert "--fail-on-unexpected" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "  moves " in run("--help").stdout


NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("7d", datetime(2026, 11, 17, 12, tzinfo=UTC)),
        ("36h", datetime(2026, 11, 23, tzinfo=UTC)),
        ("90d", earliest(NOW)),
        ("2160h", earliest(NOW)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T10:00:00Z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T10:00:00+02:00", datetime(2026, 11, 20, 8, tzinfo=UTC)),
    ],
)
def test_a_time_span_begins(text: str, told: datetime) -> None:
    assert since_of(text, NOW) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("91d", "CloudTrail keeps 90 days, so at most 90d"),
        ("2161h", "so at most 90d"),
        ("99999d", "so at most 90d"),
        ("2026-08-01", "so at most 90d"),
        ("0d", "is not in the past"),
        ("2026-11-25", "is not in the past"),
        ("2026-11-20T10:00:00", "a time with its offset from UTC"),
        ("2026-13-01", "is not a date"),
        ("7", "is not a date"),
        ("7w", "is not a date"),
        ("-7d", "is not a date"),
        ("", "is not a date"),
    ],
)
def test_no_time_span_begins_there(text: str, told: str) -> None:
    with pytest.raises(click.UsageError, match=re.escape(told)):
        since_of(text, NOW)


@pytest.mark.usefixtures("stack")
def test_it_says_that_it_reads_cloudtrail(holds: Callable[..., None], bars: Bars) -> None:
    shown = bars(stack_moves_cli)
    holds(*WEEK)
    assert done("moves", "--stack", "prod")["events"]
    assert shown == [("Reading CloudTrail", [])]
