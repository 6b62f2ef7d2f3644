"""The command `who-can`: from files without AWS, and from a live account."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner
from moto import mock_aws

from container_images.aws.session import Aws
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
    deny,
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


def told(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    [repository] = json.loads(result.stdout)["repositories"]
    return repository


class TestFromFiles:
    def test_the_object(self, offline: Callable[..., list[str]]) -> None:
        found = told(*offline())
        assert found["repository"] == REPOSITORY
        assert {it["principal"]: it["moveTags"]["can"] for it in found["principals"]} == {
            PIPELINE: True,
            DEPLOY: False,
            f"{IAM}role/admin": True,
            f"{IAM}role/developer": True,
            f"{IAM}role/reader": False,
        }
        developer = found["principals"][3]
        assert developer == {
            "principal": f"{IAM}role/developer",
            "moveTags": {
                "can": True,
                "steps": [
                    {
                        "principal": f"{IAM}role/developer",
                        "action": "iam:UpdateAssumeRolePolicy",
                        "resource": PIPELINE,
                    },
                    {
                        "principal": f"{IAM}role/developer",
                        "action": "sts:AssumeRole",
                        "resource": PIPELINE,
                    },
                    {"principal": PIPELINE, "action": "ecr:PutImage", "resource": REPOSITORY},
                ],
                "assuming": [],
            },
            "deleteImages": {"can": False, "steps": [], "assuming": []},
            "changeGuard": {"can": False, "steps": [], "assuming": []},
        }
        assert len(found["proofs"]) == 5
        assert all(it["proved"] and it["counterexample"] is None for it in found["proofs"])
        assert found["root"]["moveTags"]["can"]
        assert found["missing"] == []
        assert found["notModelled"] == list(who_can_output.NOT_MODELLED)

    def test_the_text(self, offline: Callable[..., list[str]]) -> None:
        result = run(*offline())
        assert result.exit_code == 0
        lines = result.stdout.splitlines()
        assert lines[0] == f"Who could do what to app of account {ACCOUNT}"
        rows = {it.split()[0]: it.split()[1:] for it in lines[2:6]}
        assert rows == {
            "role/pipeline/push": ["itself", "-", "-"],
            "role/deploy": ["-", "itself", "itself"],
            "role/admin": ["in", "3", "in", "2", "in", "2"],
            "role/developer": ["in", "3", "-", "-"],
        }
        assert "1 other role or user could do none of it." in lines
        assert "role/admin and role/developer could move tags:" in lines
        assert "    1 iam:UpdateAssumeRolePolicy on role/pipeline/push" in lines
        assert any(it.startswith("- service control policies other than") for it in lines)
        assert "by way of IAM" in " ".join(result.stdout.split())
        widest = max(lines, key=len)
        assert len(widest) <= 80
        assert "\x1b" not in result.stdout

    def test_without_a_policy_that_is_said_first(self, offline: Callable[..., list[str]]) -> None:
        first, *lines = run(*offline(guard=policy())).stdout.splitlines()
        assert first.startswith("app has no repository policy: whoever has the IAM permission")
        assert not any("no repository policy" in it for it in lines)
        assert "no repository policy" not in run(*offline()).stdout

    def test_rows_that_differ_in_nothing_but_the_name_are_folded(
        self, offline: Callable[..., list[str]]
    ) -> None:
        alike = [role(f"team/{number}", allow("ecr:*", "iam:*")) for number in range(12)]
        arguments = offline(details(PIPELINE_ROLE, *alike))
        lines = [line.rstrip() for line in run(*arguments).stdout.splitlines()]
        [row] = [it for it in lines if it.startswith("role/team/")][:1]
        assert row.split(maxsplit=4)[:4] == ["role/team/0", "and", "11", "others"]
        assert not any(it.startswith("role/team/1 ") for it in lines)
        able = [it["principal"] for it in told(*arguments)["principals"] if it["moveTags"]["can"]]
        assert len(able) == 13

    def test_a_row_is_one_line_without_a_terminal(self, offline: Callable[..., list[str]]) -> None:
        name = f"{'a-path/' * 20}administrator"
        result = run(*offline(details(PIPELINE_ROLE, role(name, allow("ecr:*", "iam:*")))))
        rows = [it for it in result.stdout.splitlines() if it.startswith(f"role/{name}  ")]
        assert len(rows) == 1

    def test_without_a_guard_the_claims_are_false(self, offline: Callable[..., list[str]]) -> None:
        arguments = offline(guard=policy())
        found = told(*arguments)
        assert len(found["proofs"]) == 3
        for proof in found["proofs"]:
            assert not proof["proved"]
            assert proof["counterexample"]["resource"] == REPOSITORY
        assert "FALSE" in run(*arguments).stdout

    def test_listed_roles_that_do_not_exist_are_named(
        self, offline: Callable[..., list[str]]
    ) -> None:
        arguments = offline(details(READER))
        assert told(*arguments)["missing"] == [DEPLOY, PIPELINE]
        assert (
            "Named in the policy, but does not exist: role/pipeline/push" in run(*arguments).stdout
        )

    def test_service_control_policies(
        self, offline: Callable[..., list[str]], file: Callable[[Any], str]
    ) -> None:
        denies = file(policy(deny("iam:*")))
        found = told(*offline(), "--scp", denies)
        able = [it["principal"] for it in found["principals"] if it["moveTags"]["can"]]
        assert able == [PIPELINE]

    def test_other_accounts_may_be_given_too(
        self, offline: Callable[..., list[str]], file: Callable[[Any], str]
    ) -> None:
        stranger = f"arn:aws:iam::{OTHER}:role/stranger"
        other = file(details(role(stranger, allow("*"))))
        found = told(*offline(), "--authorization-details", other)
        assert stranger in [it["principal"] for it in found["principals"]]

    def test_an_account_that_does_not_hold_the_repository_is_said_to(
        self, offline: Callable[..., list[str]]
    ) -> None:
        stranger = role(f"arn:aws:iam::{OTHER}:role/stranger", allow("*"))
        said = " ".join(run(*offline(details(stranger))).stdout.split())
        assert f"No roles and users of account {ACCOUNT} were given" in said


def test_the_docs_show_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pipeline = f"{IAM}role/pipeline/forms-image-pipeline"
    administrators = [f"{IAM}role/platform/forms-registry-deploy", f"{IAM}role/break-glass"]
    the_guard = repository_policy(
        access(pipeline_roles=[pipeline], administrator_roles=administrators)
    )
    account = details(
        role("pipeline/forms-image-pipeline", trusts=CODEBUILD),
        *(role(it, allow("ecr:*")) for it in administrators),
        role("team/administrator", allow("ecr:*", "iam:*")),
        role("team/developer", allow("ecr:*", "codebuild:StartBuild")),
        *(role(f"app/{number}", allow("ecr:*", "s3:*")) for number in range(40)),
    )
    monkeypatch.chdir(tmp_path)
    Path("policy.json").write_text(json.dumps(the_guard))
    Path("account.json").write_text(json.dumps(account))
    assert_shown(monkeypatch, "who-can")


class TestOnly:
    def test_is_content_with_those_that_it_names(self, offline: Callable[..., list[str]]) -> None:
        arguments = offline(details(PIPELINE_ROLE, READER))
        assert run(*arguments, "--only", PIPELINE).exit_code == 0

    def test_exits_1_for_anybody_else(self, offline: Callable[..., list[str]]) -> None:
        result = run(*offline(), "--only", PIPELINE, "--only", f"{IAM}role/admin")
        assert result.exit_code == 1
        assert result.stderr == (
            f"1 besides those of --only could move a tag: {IAM}role/developer\n"
        )
        assert "Who could do what" in result.stdout
        told = json.loads(run(*offline(), "--only", PIPELINE, "--json").stderr)
        assert (told["kind"], told["code"]) == ("refused", None)

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
        ("arguments", "says"),
        [
            ([], "give REPOSITORY, --stack or --repository-arn"),
            (["app", "--repository-arn", REPOSITORY], "give REPOSITORY, --stack or"),
            (["app", "--repository-policy", "p"], "--repository-arn goes with"),
            (["--repository-arn", REPOSITORY], "--repository-arn goes with"),
            (["--repository-arn", "app"], "is not the ARN of a repository"),
            (["--repository-arn", "arn:aws:s3:::x"], "is not the ARN of a repository: write arn:"),
            (["--repository-arn", "arn:x"], "'arn:x' is not the ARN of a repository: write arn:"),
            (["--repository-arn", f"{REPOSITORY}:latest"], "is not the ARN of a repository"),
            (["app", "--only", "admin"], "is not the ARN of a role or a user, or a service"),
        ],
    )
    def test_says_what_is_wrong(self, arguments: list[str], says: str) -> None:
        result = run("who-can", *arguments)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert says in " ".join(result.stderr.replace("│", "").split())


class TestBadFiles:
    def test_a_policy_that_is_attached_and_not_listed_is_an_error(
        self, offline: Callable[..., list[str]]
    ) -> None:
        administrator = "arn:aws:iam::aws:policy/AdministratorAccess"
        result = run(*offline(details(role("x", managed=[administrator]))), "--json")
        assert (result.exit_code, result.stdout) == (1, "")
        assert administrator in result.stderr
        assert len(result.stderr.splitlines()) == 1

    @pytest.mark.parametrize("content", ["", "[]", '{"Statement": 7}'])
    def test_a_policy_that_is_none(
        self, offline: Callable[..., list[str]], file: Callable[[Any], str], content: str
    ) -> None:
        result = run(*offline(), "--scp", file(content))
        assert (result.exit_code, result.stdout) == (1, "")


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
    def who_can(self, *arguments: str) -> dict[str, list[str]]:
        found = told("who-can", *arguments)
        return {
            it["principal"]: [step["action"] for step in it["moveTags"]["steps"]]
            for it in found["principals"]
        }

    def test_the_account_and_the_policy_are_read(self) -> None:
        rewriting = ["iam:UpdateAssumeRolePolicy", "sts:AssumeRole", "ecr:PutImage"]
        assert self.who_can("app") == {PIPELINE: ["ecr:PutImage"], f"{IAM}role/admin": rewriting}

    def test_without_a_policy_whoever_has_the_permission_can(self) -> None:
        assert self.who_can("open") == {PIPELINE: [], f"{IAM}role/admin": ["ecr:PutImage"]}

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
            able = {
                principal["principal"]: [step["action"] for step in principal["moveTags"]["steps"]]
                for principal in repository["principals"]
                if principal["moveTags"]["can"]
            }
            # Whoever may do everything in IAM makes the pipeline role, which is not there yet.
            steps = ["iam:CreateRole", "sts:AssumeRole", "iam:PutRolePolicy", "ecr:PutImage"]
            assert able == {f"{IAM}role/admin": steps}

    def test_a_repository_that_does_not_exist_is_refused(self) -> None:
        result = run("who-can", "nowhere")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "check the name and the Region" in result.stderr


def test_without_the_permission_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_: Aws) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetAccountAuthorizationDetails")

    monkeypatch.setattr(Aws, "authorization_details", denied)
    with mock_aws():
        boto3.client("ecr").create_repository(repositoryName="app")
        result = run("who-can", "app")
    assert result.exit_code == 1
    assert "grant iam:GetAccountAuthorizationDetails" in result.stderr
