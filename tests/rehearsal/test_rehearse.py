"""The rehearsal as a whole, through the command that people and machines use."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from ruamel.yaml import YAML

from rehearsal.acts import Act
from rehearsal.program import Update
from rehearsal.rehearse import Rehearsal, rehearse
from rehearsal.report import Report
from settings.stack_file import read
from tests.conftest import ROOT
from tests.rehearsal.test_comment import read_comment


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project's own program and settings, in a place where stack files can be written."""
    for name in ("Pulumi.yaml", "Pulumi.prod.yaml", "__main__.py"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@pytest.fixture
def weakened(project: Path) -> Path:
    """A project whose program's guard does not deny PutImage."""
    program = project / "__main__.py"
    program.write_text(
        program.read_text().replace(
            "import pulumi\n",
            "import pulumi\n"
            "from policies import ecr_actions\n"
            "ecr_actions.ACTIONS['PutImage'] = ecr_actions.Effect.UPLOAD\n",
        )
    )
    return project


def write(project: Path, stack: str, **changes: Any) -> None:
    """The production stack under another name, with other values; None takes a key away."""
    contents = YAML(typ="safe", pure=True).load((ROOT / "Pulumi.prod.yaml").read_text())
    for key, value in changes.items():
        contents["config"].pop(f"container-images:{key}", None)
        if value is not None:
            contents["config"][f"container-images:{key}"] = value
    YAML().dump(contents, project / f"Pulumi.{stack}.yaml")


def command(project: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """The real entry point, in a process of its own, without any AWS settings."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(project)}
    return subprocess.run(
        [sys.executable, "-m", "rehearsal", *args],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def silent() -> Report:
    return Report(Console(quiet=True))


@pytest.fixture(scope="module")
def as_json() -> subprocess.CompletedProcess[str]:
    return command(ROOT, "--stack", "prod", "--json")


@pytest.fixture(scope="module")
def told(as_json: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(as_json.stdout)
    return answer


@pytest.fixture(scope="module")
def done() -> subprocess.CompletedProcess[str]:
    return command(ROOT, "--stack", "prod")


class TestForMachines:
    def test_it_succeeds_and_says_nothing_else(
        self, as_json: subprocess.CompletedProcess[str]
    ) -> None:
        assert (as_json.returncode, as_json.stderr) == (0, "")

    def test_the_shape(self, told: dict[str, Any]) -> None:
        assert told.keys() == {
            *(
                "stack",
                "cloud",
                "resources",
                "outputs",
                "acts",
                "proofs",
                "access",
                "year",
                "seconds",
            ),
        }
        assert told["stack"] == "prod"
        assert told["cloud"]["name"] == "moto"
        assert set(map(tuple, map(sorted, told["resources"]))) == {
            ("id", "inputs", "name", "parent", "protect", "retainOnDelete", "type")
        }
        assert set(map(tuple, map(sorted, told["acts"]))) == {("act", "detail", "ok")}
        assert set(map(tuple, map(sorted, told["proofs"]))) == {
            ("claim", "counterexample", "proved")
        }
        assert set(map(tuple, map(sorted, told["access"]))) == {
            ("changeGuard", "deleteImages", "moveTags", "principal", "pull")
        }
        assert told["seconds"].keys() == {"program", "total"}
        assert 0 < told["seconds"]["program"] < told["seconds"]["total"]

    def test_the_resources(self, told: dict[str, Any]) -> None:
        children: dict[str, list[str]] = {}
        for it in told["resources"]:
            children.setdefault(it["parent"], []).append(it["type"].rpartition(":")[2])
        components = children.pop(None)  # type: ignore[call-overload]
        assert sorted(components) == ["ImageRepository"] * 5 + ["PipelineRole"]
        assert sorted(map(sorted, children.values())) == [
            *([["LifecyclePolicy", "Repository", "RepositoryPolicy"]] * 5),
            ["Role", "RolePolicy"],
        ]

    def test_everything_holds(self, told: dict[str, Any]) -> None:
        assert len(told["acts"]) >= 7
        assert all(act["ok"] for act in told["acts"])
        assert len(told["proofs"]) == 7
        assert all(proof["proved"] for proof in told["proofs"])

    def test_the_plan_alone(self) -> None:
        done = command(ROOT, "--stack", "prod", "--json", "--plan-only")
        assert done.returncode == 0
        told = json.loads(done.stdout)
        assert len(told["resources"]) == 23
        assert told["acts"] == told["proofs"] == told["access"] == []
        assert "year" not in told


class TestForPeople:
    def test_it_fits_eighty_columns_without_colour(
        self, done: subprocess.CompletedProcess[str]
    ) -> None:
        assert done.returncode == 0
        assert done.stderr == ""
        assert "\x1b" not in done.stdout
        assert max(len(line) for line in done.stdout.splitlines()) <= 80

    @pytest.mark.parametrize(
        "said",
        [
            "forms-admin-deploy  Repository, protected, retained",
            "ok       refuse-overwriting: refused for merged-0, stg-0, prod-0",
            "proved   Nobody but the pipeline roles can move a tag",
            "111122223333:role/pipeline/forms-image-pipeline",
            "make preview STACK=prod",
        ],
    )
    def test_it_says(self, done: subprocess.CompletedProcess[str], said: str) -> None:
        assert said in done.stdout

    def test_the_table_says_who_can_do_what(self, done: subprocess.CompletedProcess[str]) -> None:
        words = [line.split() for line in done.stdout.splitlines()]
        assert ["111122223333:role/break-glass", "yes", "-", "yes", "yes"] in words
        assert ["444455556666:root", "yes", "-", "-", "-"] in words


@pytest.fixture(scope="module")
def as_markdown() -> subprocess.CompletedProcess[str]:
    return command(ROOT, "--stack", "prod", "--markdown")


class TestForPullRequests:
    def test_it_says_what_machines_are_told(
        self, as_markdown: subprocess.CompletedProcess[str], told: dict[str, Any]
    ) -> None:
        assert (as_markdown.returncode, as_markdown.stderr) == (0, "")
        heading, claims, table, last = read_comment(as_markdown.stdout)
        assert heading == "Who can do what in the stack prod"
        assert claims == [f"proved {it['claim']}" for it in told["proofs"]]
        assert table[0] == ["principal", "pull", "move tags", "delete images", "change guard"]
        assert [[cell == "yes" for cell in row[1:]] for row in table[1:]] == [
            [it[key] for key in ("pull", "moveTags", "deleteImages", "changeGuard")]
            for it in told["access"]
        ]
        assert [row[0] for row in table[1:]] == [it["principal"] for it in told["access"]]
        assert "own principals count with every permission" in last

    def test_a_weakened_guard_is_seen(self, weakened: Path) -> None:
        done = command(weakened, "--stack", "prod", "--markdown")
        assert (done.returncode, done.stderr) == (1, "")
        _, claims, table, _ = read_comment(done.stdout)
        assert [claim.partition(" ")[0] for claim in claims].count("FALSE") == 2
        assert claims[0].startswith("FALSE Nobody but the pipeline roles can move a tag")
        assert "not so: ecr:PutImage on arn:aws:ecr:eu-west-2:111122223333:repository/" in claims[0]
        assert table[-1] == ["anybody else in the account", "yes", "yes", "-", "-"]

    def test_so_is_whatever_else_fails(self, project: Path) -> None:
        program = project / "__main__.py"
        program.write_text(program.read_text() + "\naws.s3.Bucket('bucket')\n")
        done = command(project, "--stack", "prod", "--markdown")
        assert (done.returncode, done.stderr) == (1, "")
        heading, failures, *rest = read_comment(done.stdout)
        assert (heading, rest) == ("Who can do what in the stack prod", [])
        assert failures[0].startswith("FAILED register: ")
        assert "there is no aws:s3/bucket:Bucket" in failures[0]

    @pytest.mark.parametrize("options", [["--json"], ["--plan-only"], ["--json", "--plan-only"]])
    def test_it_goes_with_no_other_form(self, options: list[str]) -> None:
        done = command(ROOT, "--stack", "prod", "--markdown", *options)
        assert (done.returncode, done.stdout) == (2, "")
        assert "--markdown goes with neither --json nor --plan-only" in done.stderr


class TestExitStatus:
    def test_bad_settings(self, project: Path) -> None:
        write(project, "dev", tagMutability="IMMUTABLE", pullAccounts={"dev": 444455556666})
        done = command(project, "--stack", "dev", "--json")
        assert (done.returncode, done.stdout) == (2, "")
        assert "Pulumi.dev.yaml: the container-images configuration has 2 problems" in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (["--stack", "none", "--json"], "there is no such stack; there is prod"),
            (["--json"], "Missing option"),
            (["--stack", "prod", "--jsn"], "No such option"),
        ],
    )
    def test_wrong_usage(self, project: Path, args: list[str], said: str) -> None:
        done = command(project, *args)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr

    def test_a_claim_that_does_not_hold(self, weakened: Path) -> None:
        done = command(weakened, "--stack", "prod")
        assert done.returncode == 1
        assert "FALSE    Nobody but the pipeline roles can move a tag" in done.stdout
        assert "not so: ecr:PutImage on arn:aws:ecr:eu-west-2:111122223333:repository/" in (
            " ".join(done.stdout.split())
        )

    @pytest.mark.parametrize(
        ("added", "said", "options"),
        [
            ("aws.s3.Bucket('bucket')", "there is no aws:s3/bucket:Bucket", []),
            ("aws.ecr.Repository('a', name='-a')", "no default for the imageTagMutability of", []),
            (
                "aws.iam.RolePolicy('a', name='a', role='none', policy='{}')",
                "NoSuchEntity",
                ["--plan-only"],
            ),
        ],
    )
    def test_something_that_the_embedded_aws_does_not_have_or_take(
        self, project: Path, added: str, said: str, options: list[str]
    ) -> None:
        """A failed act, in the one object that --json promises."""
        program = project / "__main__.py"
        program.write_text(program.read_text() + f"\n{added}\n")
        done = command(project, "--stack", "prod", "--json", *options)
        assert (done.returncode, done.stderr) == (1, "")
        told = json.loads(done.stdout)
        [act] = told["acts"]
        assert (act["act"], act["ok"]) == ("register", False)
        assert said in act["detail"]
        assert told["resources"] == told["proofs"] == told["access"] == []

    def test_a_policy_that_the_evaluator_does_not_know(self, project: Path) -> None:
        program = project / "__main__.py"
        program.write_text(
            program.read_text().replace(
                "import pulumi\n",
                "import pulumi\n"
                "from policies import repository_policy as guard\n"
                "denies = guard.denies\n"
                "guard.denies = lambda it: [deny | {'Resource': '*'} for deny in denies(it)]\n",
            )
        )
        done = command(project, "--stack", "prod", "--json")
        assert (done.returncode, done.stderr) == (1, "")
        told = json.loads(done.stdout)
        assert [proof["proved"] for proof in told["proofs"]] == [False] * 7
        assert told["access"] == []


class TestStacks:
    @pytest.mark.parametrize("count", [1, 30])
    def test_of_any_size(self, project: Path, count: int) -> None:
        entries: dict[str, Any] = {f"team/app-{number}": {} for number in range(count)}
        write(project, "sized", repositories=entries)
        rehearsal = rehearse(read(project, "sized"), silent())
        assert rehearsal.ok
        assert len(rehearsal.update.resources) == 3 + 4 * count

    def test_that_override_everything(self, project: Path) -> None:
        everything = {
            "retention": [{"tags": "v*", "keepNewest": 3}, {"any": True, "keepNewest": 9}],
            "writeOnceTags": ["v*"],
            "tagMutability": "MUTABLE_WITH_EXCLUSION",
            "tags": {"Team": "forms"},
            "kmsKey": "arn:aws:kms:eu-west-2:111122223333:key/1",
            "scanOnPush": False,
            "lambdaPull": True,
            "import": True,
        }
        write(
            project,
            "other",
            repositories={"everything": everything, "nothing": None, "a--b": {}},
            additionalPipelineRoles=["arn:aws:iam::444455556666:role/ci/push"],
            pullOrganization="o-exampleorgid",
            movableTags=["latest", "stable"],
        )
        rehearsal = rehearse(read(project, "other"), silent())
        assert rehearsal.ok
        [imported] = [it for it in rehearsal.update.resources if it.import_id]
        assert imported.name == "everything"


class TestTheYear:
    def test_it_is_told(self, told: dict[str, Any], done: subprocess.CompletedProcess[str]) -> None:
        year = told["year"]
        assert year["repository"] == "end-to-end-tests"
        assert year["stages"]["prod"]["kept"] == 50
        assert all(claim["holds"] for claim in year["claims"])
        assert "end-to-end-tests after a year under its lifecycle policy" in done.stdout

    def test_a_policy_that_loses_releases_fails(self, project: Path) -> None:
        """The second rule never comes to the releases: their merged- tags belong to the first."""
        retention = [
            {"tags": "merged-*", "expireAfterDays": 3},
            {"tags": "prod-*", "keepNewest": 50},
        ]
        write(project, "short", retention=retention)
        rehearsal = rehearse(read(project, "short"), silent())
        assert all(act.ok for act in rehearsal.acts)
        assert all(proof.proved for proof in rehearsal.proofs)
        assert not rehearsal.ok
        assert "- **FAILED** after a year: " in rehearsal.to_markdown()

    def test_other_tags_are_another_year(self, project: Path) -> None:
        other: dict[str, Any] = {"retention": [{"any": True, "keepNewest": 5}]}
        for changes in (
            {**other, "writeOnceTags": ["v*"]},
            {**other, "tagMutability": "MUTABLE", "writeOnceTags": None},
            {"movableTags": ["stable"]},
        ):
            write(project, "other", **changes)
            rehearsal = rehearse(read(project, "other"), silent())
            assert rehearsal.ok
            assert "year" not in rehearsal.to_json()


class TestTheReport:
    def report(self, *, terminal: bool) -> tuple[Report, io.StringIO]:
        out = io.StringIO()
        return Report(Console(file=out, width=80, force_terminal=terminal)), out

    def test_a_thousand_components_are_not_listed_one_by_one(self, project: Path) -> None:
        entries: dict[str, Any] = {f"app-{number:03}": {} for number in range(40)}
        write(project, "large", repositories=entries)
        report, out = self.report(terminal=False)
        rehearse(read(project, "large"), report, plan_only=True)
        assert "… and 31 more" in out.getvalue()
        assert "app-039" not in out.getvalue()

    def test_a_bar_is_for_terminals(self) -> None:
        for terminal in (True, False):
            report, out = self.report(terminal=terminal)
            with report.progress("Registering", 2) as step:
                step()
            assert ("Registering" in out.getvalue()) is terminal

    def test_what_failed_is_said_last(self) -> None:
        report, out = self.report(terminal=False)
        report.over("prod", ok=False, seconds=1.0)
        assert out.getvalue().strip().startswith("FAILED   the stack prod does not do")


def test_a_rehearsal_in_which_an_act_failed_is_not_ok() -> None:
    update = Update(resources=[], outputs={}, seconds=0.0)
    for ok in (True, False):
        acts = [Act(act="one", ok=True, detail=""), Act(act="other", ok=ok, detail="")]
        assert Rehearsal(stack="prod", update=update, acts=acts).ok is ok
