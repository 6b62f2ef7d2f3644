"""The command `who-can`: from files without AWS, and from a live account."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner
from moto import mock_aws

from container_images.cli import access as cli
from container_images.cli import who_can_output
from container_images.cli.app import app
from container_images.policies.repository_policy import repository_policy
from tests.access.accounts import (
    ACCOUNT,
    CODEBUILD,
    DEPLOY,
    GUARD,
    IAM,
    OTHER,
    PIPELINE,
    PIPELINE_ROLE,
    REPOSITORY,
    THE_ACCOUNT,
    Document,
    access,
    allow,
    details,
    policy,
    role,
    trust,
)
from tests.aws_fixtures import Bars
from tests.cli.test_samples import assert_shown
from tests.conftest import FIXTURES

ADMIN = role("admin", allow("ecr:*", "iam:*"))
DEVELOPER = role("developer", allow("iam:UpdateAssumeRolePolicy", on=PIPELINE))
READER = role("reader", allow("ecr:BatchGetImage"))
ACCOUNT_OF_ALL = details(
    PIPELINE_ROLE,
    role("deploy", allow("ecr:*"), trusts=trust({"AWS": f"{IAM}role/admin"})),
    ADMIN,
    DEVELOPER,
    READER,
)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[Any], str]:
    """A file with this in it."""

    def written(content: Any) -> str:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return written


@pytest.fixture
def offline(file: Callable[[Any], str]) -> Callable[..., list[str]]:
    """The options of an account and a policy in files."""

    def options(account: Document = ACCOUNT_OF_ALL, guard: Document = GUARD) -> list[str]:
        printed = {"repositoryName": "app", "policyText": json.dumps(guard)}
        return [
            "who-can",
            *("--repository-arn", REPOSITORY),
            *("--repository-policy", file(printed)),
            *("--authorization-details", file(account)),
        ]

    return options


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments)


def only_repository(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    [repository] = json.loads(result.stdout)["repositories"]
    return repository


def able(*arguments: str) -> dict[str, list[str]]:
    """Whoever can move tags, and by which actions."""
    return {
        principal["principal"]: [step["action"] for step in principal["moveTags"]["steps"]]
        for principal in only_repository(*arguments)["principals"]
        if principal["moveTags"]["can"]
    }


class TestFromFiles:
    def test_the_object(self, offline: Callable[..., list[str]]) -> None:
        repository = only_repository(*offline())
        assert repository["repository"] == REPOSITORY
        can_move = {
            principal["principal"]: principal["moveTags"]["can"]
            for principal in repository["principals"]
        }
        assert can_move == {
            PIPELINE: True,
            DEPLOY: False,
            f"{IAM}role/admin": True,
            f"{IAM}role/developer": True,
            f"{IAM}role/reader": False,
        }
        developer = repository["principals"][3]
        steps = [
            (f"{IAM}role/developer", "iam:UpdateAssumeRolePolicy", PIPELINE),
            (f"{IAM}role/developer", "sts:AssumeRole", PIPELINE),
            (PIPELINE, "ecr:PutImage", REPOSITORY),
        ]
        keys = ("principal", "action", "resource")
        assert developer == {
            "principal": f"{IAM}role/developer",
            "moveTags": {
                "can": True,
                "steps": [dict(zip(keys, step, strict=True)) for step in steps],
                "assuming": [],
            },
            "deleteImages": {"can": False, "steps": [], "assuming": []},
            "changeGuard": {"can": False, "steps": [], "assuming": []},
        }
        proofs = [(proof["proved"], proof["counterexample"]) for proof in repository["proofs"]]
        assert proofs == [(True, None)] * 5
        assert repository["missing"] == []
        assert repository["notModelled"] == list(who_can_output.NOT_MODELLED)

    def test_the_text(self, offline: Callable[..., list[str]]) -> None:
        result = run(*offline())
        assert result.exit_code == 0
        lines = result.stdout.splitlines()
        assert lines[0] == f"Who could do what to app of account {ACCOUNT}"
        rows = {line.split()[0]: line.split()[1:] for line in lines[2:6]}
        assert rows == {
            "role/pipeline/push": ["itself", "-", "-"],
            "role/deploy": ["-", "itself", "itself"],
            "role/admin": ["in", "3", "in", "2", "in", "2"],
            "role/developer": ["in", "3", "-", "-"],
        }
        assert "Roles and users that could do none of it: 1" in lines
        assert "role/admin and role/developer could move tags:" in lines
        assert "    1 iam:UpdateAssumeRolePolicy on role/pipeline/push" in lines
        assert any(line.startswith("- service control policies other than") for line in lines)
        assert "no repository policy" not in result.stdout

    def test_without_a_policy_that_is_said_first_and_the_claims_are_false(
        self, offline: Callable[..., list[str]]
    ) -> None:
        arguments = offline(guard=policy())
        first, *lines = run(*arguments).stdout.splitlines()
        assert first.startswith("app has no repository policy: whoever has the IAM permission")
        assert not any("no repository policy" in line for line in lines)
        assert any("FALSE" in line for line in lines)
        proofs = only_repository(*arguments)["proofs"]
        assert [proof["proved"] for proof in proofs] == [False] * 3
        assert {proof["counterexample"]["resource"] for proof in proofs} == {REPOSITORY}

    def test_rows_that_differ_in_nothing_but_the_name_are_folded(
        self, offline: Callable[..., list[str]]
    ) -> None:
        alike = [role(f"team/{number}", allow("ecr:*", "iam:*")) for number in range(12)]
        arguments = offline(details(PIPELINE_ROLE, *alike))
        lines = run(*arguments).stdout.splitlines()
        row = next(line for line in lines if line.startswith("role/team/"))
        assert row.split(maxsplit=4)[:4] == ["role/team/0", "and", "11", "others"]
        assert not any(line.startswith("role/team/1 ") for line in lines)
        assert len(able(*arguments)) == 13

    def test_other_accounts_may_be_given_too(
        self, offline: Callable[..., list[str]], file: Callable[[Any], str]
    ) -> None:
        stranger = details(role(f"arn:aws:iam::{OTHER}:role/stranger", allow("*")))
        arguments = ("--authorization-details", file(stranger))
        repository = only_repository(*offline(), *arguments)
        assert f"arn:aws:iam::{OTHER}:role/stranger" in str(repository["principals"])
        text = " ".join(run(*offline(stranger)).stdout.split())
        assert f"No roles and users of account {ACCOUNT} were given" in text


def test_the_docs_show_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pipeline = f"{IAM}role/pipeline/forms-image-pipeline"
    administrators = [f"{IAM}role/platform/forms-registry-deploy", f"{IAM}role/break-glass"]
    the_guard = repository_policy(
        access(pipeline_roles=[pipeline], administrator_roles=administrators)
    )
    account = details(
        role("pipeline/forms-image-pipeline", trusts=CODEBUILD),
        *(role(administrator, allow("ecr:*")) for administrator in administrators),
        role("team/administrator", allow("ecr:*", "iam:*")),
        role("team/developer", allow("ecr:*", "codebuild:StartBuild")),
        *(role(f"app/{number}", allow("ecr:*", "s3:*")) for number in range(40)),
    )
    monkeypatch.chdir(tmp_path)
    Path("policy.json").write_text(json.dumps(the_guard))
    Path("account.json").write_text(json.dumps(account))
    assert_shown(monkeypatch, "who-can")


class TestOnly:
    def test_exits_1_for_anybody_else(self, offline: Callable[..., list[str]]) -> None:
        arguments = offline()
        result = run(*arguments, "--only", PIPELINE, "--only", f"{IAM}role/admin")
        assert result.exit_code == 1
        assert result.stderr == (
            f"1 besides those of --only could move a tag: {IAM}role/developer\n"
        )
        assert "Who could do what" in result.stdout
        error = json.loads(run(*arguments, "--only", PIPELINE, "--json").stderr)
        assert (error["kind"], error["code"]) == ("refused", None)
        arguments = offline(details(PIPELINE_ROLE, READER))
        assert run(*arguments, "--only", PIPELINE).exit_code == 0

    def test_a_federation_that_anybody_may_come_through_is_somebody(
        self, offline: Callable[..., list[str]]
    ) -> None:
        provider = f"{IAM}oidc-provider/token.actions.githubusercontent.com"
        open_to_all = trust({"Federated": provider}, "sts:AssumeRoleWithWebIdentity")
        arguments = offline(details(role("pipeline/push", trusts=open_to_all)))
        assert run(*arguments, "--only", PIPELINE).exit_code == 1
        assert run(*arguments, "--only", PIPELINE, "--only", provider).exit_code == 0


class TestWrongUsage:
    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ([], "give REPOSITORY, --stack or --repository-arn"),
            (["app", "--repository-arn", REPOSITORY], "give REPOSITORY, --stack or"),
            (["app", "--repository-policy", "p"], "--repository-arn goes with"),
            (["--repository-arn", REPOSITORY], "--repository-arn goes with"),
            (["--repository-arn", "app"], "'app' is no repository's ARN: write arn:aws:ecr:"),
            (["--repository-arn", f"{REPOSITORY}:latest"], "is not a repository: give its name"),
        ],
    )
    def test_says_what_is_wrong(self, arguments: list[str], error: str) -> None:
        result = run("who-can", *arguments)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert error in " ".join(result.stderr.replace("│", "").split())


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account with two roles and a guarded repository."""
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        iam = boto3.client("iam")
        iam.create_role(
            RoleName="push", Path="/pipeline/", AssumeRolePolicyDocument=json.dumps(CODEBUILD)
        )
        iam.create_role(RoleName="admin", AssumeRolePolicyDocument=json.dumps(THE_ACCOUNT))
        own = iam.create_policy(
            PolicyName="own", PolicyDocument=json.dumps(policy(allow("ecr:*", "iam:*")))
        )
        iam.attach_role_policy(RoleName="admin", PolicyArn=own["Policy"]["Arn"])
        ecr = boto3.client("ecr")
        ecr.create_repository(repositoryName="app")
        ecr.set_repository_policy(repositoryName="app", policyText=json.dumps(GUARD))
        ecr.create_repository(repositoryName="open")
        yield


@pytest.mark.usefixtures("live")
class TestLive:
    def test_the_account_and_the_policy_are_read(self) -> None:
        rewriting = ["iam:UpdateAssumeRolePolicy", "sts:AssumeRole", "ecr:PutImage"]
        administrator = f"{IAM}role/admin"
        assert able("who-can", "app") == {PIPELINE: ["ecr:PutImage"], administrator: rewriting}
        assert able("who-can", "open") == {administrator: ["ecr:PutImage"]}

    def test_several_repositories_are_evaluated_at_once(self, bars: Bars) -> None:
        shown = bars(cli)
        result = run("who-can", "app", "nowhere", "open", "--json")
        answers = json.loads(result.stdout)["repositories"]
        assert [it["repository"].rpartition("/")[2] for it in answers] == ["app", "nowhere", "open"]
        assert answers[1]["error"]["kind"] == "aws"
        assert (result.exit_code, json.loads(result.stderr)["kind"]) == (1, "refused")
        [_, (_, bar)] = shown
        assert [subject.arn.rpartition("/")[2] for subject in bar] == ["app", "open"]

    def test_with_a_stack_the_policies_are_those_that_its_settings_make(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """None of its repositories exists in AWS yet."""
        monkeypatch.chdir(FIXTURES)
        result = run("who-can", "--stack", "prod", "--json")
        assert result.exit_code == 0, result.output
        repositories = json.loads(result.stdout)["repositories"]
        assert len(repositories) == 5
        for repository in repositories:
            paths = {
                principal["principal"]: [step["action"] for step in principal["moveTags"]["steps"]]
                for principal in repository["principals"]
                if principal["moveTags"]["can"]
            }
            # Whoever may do everything in IAM makes the pipeline role, which is not there yet.
            steps = ["iam:CreateRole", "sts:AssumeRole", "iam:PutRolePolicy", "ecr:PutImage"]
            assert paths == {f"{IAM}role/admin": steps}
