"""The command `who-can`: from files without AWS, and from a live account."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from container_images.cli import access as cli
from container_images.policies.repository_policy import repository_policy
from tests.access.accounts import (
    ACCOUNT,
    CODEBUILD,
    GUARD,
    IAM,
    OTHER,
    PIPELINE,
    PIPELINE_ROLE,
    REPOSITORY,
    THE_ACCOUNT,
    Document,
    allow,
    details,
    policy,
    role,
    trust,
)
from tests.builds import access
from tests.cli.test_cli import done, refused, run
from tests.cli.test_samples import assert_shown
from tests.conftest import FIXTURES

ADMIN = f"{IAM}role/admin"
ACCOUNT_OF_ALL = details(
    PIPELINE_ROLE,
    role("deploy", allow("ecr:*"), trusts=trust({"AWS": ADMIN})),
    role("admin", allow("ecr:*", "iam:*")),
    role("developer", allow("iam:UpdateAssumeRolePolicy", on=PIPELINE)),
    role("reader", allow("ecr:BatchGetImage")),
)
DETAILS = "--authorization-details"
NEVER = {"can": False, "steps": [], "assuming": []}
Offline = Callable[..., tuple[str, ...]]


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Offline:
    """The command on an account and a policy in files."""
    monkeypatch.chdir(tmp_path)

    def command(account: Document = ACCOUNT_OF_ALL, guard: Document = GUARD) -> tuple[str, ...]:
        Path("policy.json").write_text(json.dumps({"policyText": json.dumps(guard)}))
        Path("account.json").write_text(json.dumps(account))
        files = ("--repository-policy", "policy.json", DETAILS, "account.json")
        return ("who-can", "--repository-arn", REPOSITORY, *files)

    return command


def movers(repository: Document) -> dict[str, list[str]]:
    """Whoever can move tags, and by which actions."""
    return {
        row["principal"]: [step["action"] for step in row["moveTags"]["steps"]]
        for row in repository["principals"]
        if row["moveTags"]["can"]
    }


def test_the_object(offline: Offline) -> None:
    [repository] = done(*offline())["repositories"]
    developer = f"{IAM}role/developer"
    assert [*movers(repository)] == [PIPELINE, ADMIN, developer]
    steps = [
        {"principal": developer, "action": "iam:UpdateAssumeRolePolicy", "resource": PIPELINE},
        {"principal": developer, "action": "sts:AssumeRole", "resource": PIPELINE},
        {"principal": PIPELINE, "action": "ecr:PutImage", "resource": REPOSITORY},
    ]
    assert repository["principals"][3] == {
        "principal": developer,
        "moveTags": {"can": True, "steps": steps, "assuming": []},
        **dict.fromkeys(("deleteImages", "changeGuard"), NEVER),
    }
    proofs = [(proof["proved"], proof["counterexample"]) for proof in repository["proofs"]]
    assert proofs == [(True, None)] * 5
    assert repository["repository"] == REPOSITORY
    assert repository["missing"] == []
    assert repository["notModelled"] == [cli.NOT_MODELLED]


def test_without_a_policy_that_is_said_first_and_the_claims_are_false(offline: Offline) -> None:
    command = offline(guard=policy())
    first, *lines = run(*command).stdout.splitlines()
    assert first.startswith("No repository policy in app: whoever has the IAM permission")
    assert not any("No repository policy" in line for line in lines)
    proofs = done(*command)["repositories"][0]["proofs"]
    assert [proof["proved"] for proof in proofs] == [False] * 3
    assert {proof["counterexample"]["resource"] for proof in proofs} == {REPOSITORY}


def test_rows_that_differ_in_nothing_but_the_name_are_folded(offline: Offline) -> None:
    alike = [role(f"team/{number}", allow("ecr:*", "iam:*")) for number in range(12)]
    text = run(*offline(details(PIPELINE_ROLE, *alike))).stdout
    assert "\nrole/team/0 and 11 others  in 3" in text
    assert "\nrole/team/0 and 11 others could move tags:\n" in text
    assert "role/team/1 " not in text


def test_other_accounts_may_be_given_too(offline: Offline) -> None:
    stranger = f"arn:aws:iam::{OTHER}:role/stranger"
    account = details(role(stranger, allow("*")))
    Path("stranger.json").write_text(json.dumps(account))
    assert stranger in str(done(*offline(), DETAILS, "stranger.json")["repositories"])
    text = " ".join(run(*offline(account)).stdout.split())
    assert f"No roles and users of account {ACCOUNT} were given" in text


def test_the_docs_show_it(monkeypatch: pytest.MonkeyPatch, offline: Offline) -> None:
    pipeline = f"{IAM}role/pipeline/forms-image-pipeline"
    administrators = [f"{IAM}role/platform/forms-registry-deploy", f"{IAM}role/break-glass"]
    intended = access(pipeline_roles=[pipeline], administrator_roles=administrators)
    account = details(
        role("pipeline/forms-image-pipeline", trusts=CODEBUILD),
        *(role(administrator, allow("ecr:*")) for administrator in administrators),
        role("team/administrator", allow("ecr:*", "iam:*")),
        role("team/developer", allow("ecr:*", "codebuild:StartBuild")),
        *(role(f"app/{number}", allow("ecr:*", "s3:*")) for number in range(40)),
    )
    offline(account, repository_policy(intended))
    assert_shown(monkeypatch, "who-can")


def test_only_exits_1_for_anybody_else(offline: Offline) -> None:
    command = (*offline(), "--only", PIPELINE)
    result = run(*command, "--only", ADMIN)
    others = f"1 besides those of --only could move a tag: {IAM}role/developer\n"
    assert (result.exit_code, result.stderr) == (1, others)
    assert "Who could do what" in result.stdout
    offline(details(PIPELINE_ROLE))
    assert run(*command).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "give REPOSITORY, --stack or --repository-arn"),
        (["--repository-arn", REPOSITORY], "--repository-arn goes with"),
        (["--repository-arn", "app"], "'app' is no repository's ARN: write arn:aws:ecr:"),
        (["--repository-arn", f"{REPOSITORY}:latest"], "is not a repository: give its name"),
    ],
)
def test_wrong_usage_says_what_is_wrong(arguments: list[str], error: str) -> None:
    assert error in refused("who-can", *arguments, status=2)


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account with two roles and a guarded repository."""
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        iam, ecr = boto3.client("iam"), boto3.client("ecr")
        for name, path, trusts in (("push", "/pipeline/", CODEBUILD), ("admin", "/", THE_ACCOUNT)):
            text = json.dumps(trusts)
            iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=text)
        text = json.dumps(policy(allow("ecr:*", "iam:*")))
        own = iam.create_policy(PolicyName="own", PolicyDocument=text)
        iam.attach_role_policy(RoleName="admin", PolicyArn=own["Policy"]["Arn"])
        for name in ("app", "open"):
            ecr.create_repository(repositoryName=name)
        ecr.set_repository_policy(repositoryName="app", policyText=json.dumps(GUARD))
        yield


@pytest.mark.usefixtures("live")
def test_the_account_and_the_policies_are_read() -> None:
    """Several repositories are evaluated at once, and one that cannot be read stops none."""
    result = run("who-can", "app", "nowhere", "open", "--json")
    guarded, missing, unguarded = json.loads(result.stdout)["repositories"]
    rewriting = ["iam:UpdateAssumeRolePolicy", "sts:AssumeRole", "ecr:PutImage"]
    assert movers(guarded) == {PIPELINE: ["ecr:PutImage"], ADMIN: rewriting}
    assert (missing["repository"], missing["error"]["kind"]) == ("nowhere", "aws")
    assert movers(unguarded) == {ADMIN: ["ecr:PutImage"]}
    assert (result.exit_code, json.loads(result.stderr)["kind"]) == (1, "refused")


@pytest.mark.usefixtures("live")
def test_with_a_stack_the_policies_are_those_that_its_settings_make(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """None of its repositories exists in AWS yet."""
    monkeypatch.chdir(FIXTURES)
    repositories = done("who-can", "--stack", "prod")["repositories"]
    # Whoever may do everything in IAM makes the pipeline role, which is not there yet.
    steps = ["iam:CreateRole", "sts:AssumeRole", "ecr:PutImage"]
    assert [movers(repository) for repository in repositories] == [{ADMIN: steps}] * 5
    pipeline = f"{IAM}role/pipeline/forms-image-pipeline"
    assert all(pipeline in repository["missing"] for repository in repositories)
