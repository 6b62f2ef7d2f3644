"""Who would be denied: the calls that count, the files that say what is planned, the command."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner

from container_images.access import claims, would_deny
from container_images.access.policy import parse
from container_images.access.policy_files import RepositoryPolicies
from container_images.access.would_deny import EVENTS, Denied, denied
from container_images.aws.session import Aws
from container_images.cli import access as cli
from container_images.cli.app import app
from container_images.policies.repository_policy import Access, repository_policy
from tests.aws.test_trail import page
from tests.aws_fixtures import Bars
from tests.builds import NAME, REGION
from tests.cli.test_cli import done, refused, run
from tests.cli.test_samples import assert_shown
from tests.conftest import FIXTURES
from tests.events import event, expiry, identity

ACCOUNT = "111122223333"
IAM = f"arn:aws:iam::{ACCOUNT}:"
PIPELINE = f"{IAM}role/pipeline/forms-image-pipeline"
ADMINISTRATOR = f"{IAM}role/platform/forms-registry-deploy"
CACHE = f"{IAM}role/ci/buildx-cache"
TERRAFORM = f"{IAM}role/terraform"
FOREIGN = "arn:aws:iam::777788889999:role/ci/push"
SINCE = datetime(2026, 8, 25, 8, 1, 23, tzinfo=UTC)

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
PLAN = RepositoryPolicies(policies={arn(): parse(GUARD)})


def who(*events: Event, plan: RepositoryPolicies = PLAN) -> list[tuple[str, str, int]]:
    return [(it.principal, it.action, it.times) for it in denied(plan, events)]


# --- What counts ----------------------------------------------------------------------------------


def test_calls_are_counted_and_the_last_one_is_told() -> None:
    pushes = [push(day=day, session=f"build-{day}") for day in (3, 20, 7)]
    assert denied(PLAN, [call("BatchDeleteImage", CACHE, day=21), *pushes]) == [
        Denied(
            principal=CACHE,
            session="build-20",
            action="ecr:PutImage",
            repository=arn(),
            times=3,
            last=datetime(2026, 11, 20, 9, tzinfo=UTC),
        ),
        Denied(
            principal=CACHE,
            session="s",
            action="ecr:BatchDeleteImage",
            repository=arn(),
            times=1,
            last=datetime(2026, 11, 21, 9, tzinfo=UTC),
        ),
    ]


def test_whom_the_plan_lets_is_not_told() -> None:
    plan = RepositoryPolicies(policies={arn(): parse(repository_policy(access(PIPELINE, FOREIGN)))})
    let = [push(PIPELINE), push(FOREIGN), call("BatchDeleteImage", ADMINISTRATOR)]
    others = [push(ADMINISTRATOR), call("SetRepositoryPolicy", PIPELINE)]
    assert who(*let, *others, plan=plan) == [
        (PIPELINE, "ecr:SetRepositoryPolicy", 1),
        (ADMINISTRATOR, "ecr:PutImage", 1),
    ]


def test_each_repository_goes_by_its_own_policy() -> None:
    policies = {arn(): GUARD, arn("cache"): repository_policy(access(CACHE))}
    found = denied(
        RepositoryPolicies(policies={it: parse(one) for it, one in policies.items()}),
        [push(), push(repository="cache")],
    )
    assert [it.repository for it in found] == [arn()]


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
    [found] = denied(PLAN, [push(userIdentity=caller)])
    assert (found.principal, found.session) == (principal, None)


def test_a_role_that_a_service_calls_as_counts_as_that_role() -> None:
    stack = push(TERRAFORM)
    stack["userIdentity"]["invokedBy"] = "cloudformation.amazonaws.com"
    own = (
        f"{IAM}role/aws-service-role/replication.ecr.amazonaws.com/AWSServiceRoleForECRReplication"
    )
    assert who(stack, push(own)) == [(own, "ecr:PutImage", 1), (TERRAFORM, "ecr:PutImage", 1)]


@pytest.mark.parametrize(
    "other",
    [
        push(errorCode="AccessDenied"),
        push(repository=f"{NAME}-2"),
        push(eventSource="ecr-public.amazonaws.com"),
        call("DeleteRepository", CACHE, eventSource="codecommit.amazonaws.com"),
        call("BatchGetImage", CACHE),
        expiry(9, "a"),
    ],
    ids=["failed", "elsewhere", "public", "another service", "a pull", "expiry"],
)
def test_other_events_do_not_count(other: Event) -> None:
    everything = {"Statement": {"Effect": "Deny", "Principal": "*", "Action": "ecr:*"}}
    assert who(other, push(), plan=RepositoryPolicies(policies={arn(): parse(everything)})) == [
        (CACHE, "ecr:PutImage", 1)
    ]


@pytest.mark.parametrize(
    "parts", [{"requestParameters": None}, {"resources": None}], ids=["too large", "unlisted"]
)
def test_the_repository_may_stand_in_one_place_only(parts: dict[str, Any]) -> None:
    assert who(push(**parts)) == [(CACHE, "ecr:PutImage", 1)]


def test_everything_that_the_guard_denies_is_looked_up() -> None:
    """By the list of the claims, which is written out on its own."""
    assert sorted(EVENTS) == sorted(
        action.removeprefix("ecr:") for action in (*claims.MOVE_TAGS, *claims.ADMINISTER)
    )


def test_policies_that_are_alike_are_evaluated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(would_deny, "does_not_deny", lambda *arguments: asked.append(arguments))
    names = [f"app-{number}" for number in range(50)]
    plan = RepositoryPolicies(policies={arn(name): parse(GUARD) for name in names})
    assert len(denied(plan, [push(repository=name) for name in names])) == 50
    assert len(asked) == 1


# --- The command ----------------------------------------------------------------------------------


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

    monkeypatch.setattr(Aws, "caller", lambda _: (ACCOUNT, f"{IAM}user/mary"))
    monkeypatch.setattr(cli, "earliest", lambda: SINCE)
    return holds


@pytest.fixture(autouse=True)
def _project(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the production stack's file is."""
    monkeypatch.chdir(FIXTURES)


COMMAND = ("would-deny", "--stack", "prod")


def ninety_days() -> list[Event]:
    """What happened to three of the production stack's repositories."""
    admin, runner, tests = "forms-admin-deploy", "forms-runner-deploy", "end-to-end-tests"
    return [
        *(push(repository=it, day=day) for it in (admin, runner, tests) for day in range(1, 23)),
        *(push(PIPELINE, repository=it, day=day) for it in (admin, runner) for day in range(1, 23)),
        *(push(f"{IAM}role/ci/cosign", repository=admin, day=day) for day in range(2, 21)),
        *(call("SetRepositoryPolicy", TERRAFORM, it, day=9) for it in (admin, runner)),
        call("BatchDeleteImage", ADMINISTRATOR, tests, day=18),
        push(ADMINISTRATOR, repository=tests, day=18, session="mary"),
        push(f"{IAM}role/developer", repository=admin, errorCode="AccessDenied"),
        push(repository="another-teams"),
    ]


def test_the_production_stack(
    monkeypatch: pytest.MonkeyPatch, trail: Callable[..., list[str]]
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    regions = trail(*ninety_days())
    told = done(*COMMAND)
    assert told["since"] == "2026-08-25T08:01:23Z"
    assert len(told["repositories"]) == 5
    assert arn("pipeline-visualiser") in told["repositories"]
    assert regions == [REGION]
    found = {(it["principal"], it["action"], it["repository"]): it for it in told["denied"]}
    assert found.keys() == {
        *((CACHE, "ecr:PutImage", arn(it)) for it in ("end-to-end-tests", NAME)),
        (CACHE, "ecr:PutImage", arn("forms-runner-deploy")),
        (f"{IAM}role/ci/cosign", "ecr:PutImage", arn()),
        (TERRAFORM, "ecr:SetRepositoryPolicy", arn()),
        (TERRAFORM, "ecr:SetRepositoryPolicy", arn("forms-runner-deploy")),
        (ADMINISTRATOR, "ecr:PutImage", arn("end-to-end-tests")),
    }
    assert found[ADMINISTRATOR, "ecr:PutImage", arn("end-to-end-tests")] == {
        "principal": ADMINISTRATOR,
        "session": "mary",
        "action": "ecr:PutImage",
        "repository": arn("end-to-end-tests"),
        "times": 1,
        "last": "2026-11-18T09:00:00Z",
    }


def test_the_docs_show_what_people_are_told(
    monkeypatch: pytest.MonkeyPatch, trail: Callable[..., list[str]]
) -> None:
    trail(*ninety_days())
    assert_shown(monkeypatch, "would-deny")


def test_nobody_would_be_denied(trail: Callable[..., list[str]]) -> None:
    trail(push(PIPELINE))
    result = run(*COMMAND)
    assert result.exit_code == 0
    told = " ".join(result.stdout.split())
    assert told.startswith("5 repositories of prod, back to 2026-08-25T08:01:23Z: nobody would be")
    assert "make up STACK=prod" in told
    assert "It is safe to go on" in told
    assert "no events that are older than 90 days, of other Regions, or of the last" in told
    trail()
    assert done(*COMMAND)["denied"] == []


def test_who_is_no_role_is_told_that_only_roles_can_be_named(
    trail: Callable[..., list[str]],
) -> None:
    said = "Only roles can be named"
    trail(push(userIdentity={"type": "IAMUser", "arn": f"{IAM}user/mary"}))
    assert said in run(*COMMAND).stdout
    trail(push())
    assert said not in run(*COMMAND).stdout


@pytest.mark.parametrize("named", [NAME, arn()])
def test_one_of_the_stacks_repositories(trail: Callable[..., list[str]], named: str) -> None:
    trail(push(), push(repository="end-to-end-tests"))
    answer = done("would-deny", named, "--stack", "prod")
    assert answer["repositories"] == [arn()]
    assert [(call["principal"], call["times"]) for call in answer["denied"]] == [(CACHE, 1)]


def test_a_bar_counts_what_is_looked_up(
    trail: Callable[..., list[str]],
    bars: Bars,
) -> None:
    trail()
    shown = bars(cli)
    result = CliRunner().invoke(app, [*COMMAND, "--json"])
    assert json.loads(result.stdout)["denied"] == []
    assert shown == [("Reading CloudTrail", list(EVENTS))]


def test_another_accounts_plan_is_refused_before_anything_is_looked_up(
    monkeypatch: pytest.MonkeyPatch, trail: Callable[..., list[str]]
) -> None:
    regions = trail()
    monkeypatch.setattr(Aws, "caller", lambda _: ("444455556666", ""))
    told = refused(*COMMAND)
    assert f"CloudTrail of account 444455556666 has no events of account {ACCOUNT}" in told
    assert regions == []


def test_without_the_permission_it_fails(lookups: Callable[..., None], trail: Any) -> None:
    assert trail
    lookups("AccessDeniedException", "AccessDeniedException")
    told = refused(*COMMAND)
    assert "no permission for cloudtrail:LookupEvents on the stack's repositories" in told


@pytest.mark.parametrize("arguments", [[], [NAME]])
def test_without_a_stack_it_is_wrong_usage(arguments: list[str]) -> None:
    result = run("would-deny", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "give --stack: the guard is the one that its settings make" in result.stderr


def test_a_row_is_one_line_without_a_terminal(trail: Callable[..., list[str]]) -> None:
    foreign = f"{FOREIGN}-with-a-rather-long-name-that-no-terminal-of-eighty-columns-has-room-for"
    scanning = call("PutImageScanningConfiguration", TERRAFORM, "forms-product-page-deploy")
    trail(scanning, *[push(foreign)] * 1_234)
    title, _, first, second, *_ = run(*COMMAND).stdout.splitlines()
    assert title.endswith(": 2 would be denied")
    name = foreign.removeprefix("arn:aws:iam::")
    assert first.split() == [name, "PutImage", "forms-admin-deploy", "1,234", "2026-11-20"]
    assert second.startswith("role/terraform ")


def test_off_a_terminal_each_row_is_one_line(trail: Callable[..., list[str]]) -> None:
    """tests/registry/test_terminal.py has the widths of terminals."""
    trail(*ninety_days())
    lines = run(*COMMAND).stdout.splitlines()
    assert [it.split()[-1] for it in lines if "2026-11-" in it] == [
        "2026-11-22", "2026-11-20", "2026-11-09", "2026-11-18",
    ]  # fmt: skip
