"""The rehearsal as a whole, and the command that people and machines use."""

import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from container_images import __main__
from container_images.cli import app as commands
from container_images.policies import repository_policy
from container_images.policies.ecr_actions import ACTIONS, Effect
from container_images.rehearsal import rehearse as module
from container_images.rehearsal.acts import Act
from container_images.rehearsal.program import Update
from container_images.rehearsal.rehearse import Rehearsal
from container_images.rehearsal.report import SIMULATED, Report
from tests.conftest import ROOT
from tests.rehearsal.conftest import Told, Write, command, told
from tests.rehearsal.test_comment import read_comment


def process(*args: str) -> subprocess.CompletedProcess[str]:
    """A real process, without any AWS settings."""
    return subprocess.run(
        [sys.executable, *args],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class TestForMachines:
    def test_the_real_command_prints_one_object_and_nothing_else(self, prod_told: Told) -> None:
        done = process("-m", "container_images", "rehearse", "--stack", "prod", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        # moto draws the ids of keys and subscriptions anew in each process.
        printed, expected = (
            json.loads(re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "*", text))
            for text in (done.stdout, json.dumps(prod_told.json))
        )
        assert printed.pop("seconds").keys() == expected.pop("seconds").keys()
        assert printed == expected

    def test_the_shape(self, prod_told: Told) -> None:
        it = prod_told.json
        assert list(it) == [
            *("stack", "cloud", "resources", "outputs", "acts", "proofs", "access", "year"),
            *("warnings", "seconds"),
        ]
        assert it["stack"] == "prod"
        assert it["cloud"]["name"] == "moto"
        assert set(map(tuple, map(sorted, it["resources"]))) == {
            ("id", "inputs", "name", "parent", "protect", "retainOnDelete", "type")
        }
        assert set(map(tuple, map(sorted, it["acts"]))) == {("act", "by", "detail", "ok")}
        assert {act["by"] for act in it["acts"]} == {"moto", "simulated"}
        assert set(map(tuple, map(sorted, it["proofs"]))) == {("claim", "counterexample", "proved")}
        assert set(map(tuple, map(sorted, it["access"]))) == {
            ("changeGuard", "deleteImages", "moveTags", "principal", "pull")
        }
        assert it["seconds"].keys() == {"program", "total"}
        assert 0 < it["seconds"]["program"] < it["seconds"]["total"]

    def test_the_resources(self, prod_told: Told) -> None:
        children: dict[str, list[str]] = {}
        for it in prod_told.json["resources"]:
            children.setdefault(it["parent"], []).append(it["type"].rpartition(":")[2])
        components = children.pop(None)  # type: ignore[call-overload]
        assert sorted(components) == ["ImageRepository"] * 5 + ["PipelineRole", "TagAudit"]
        audit = children.pop("tag-audit")
        assert audit.count("EventRule") == audit.count("EventTarget") == 12
        assert sorted(map(sorted, children.values())) == [
            *([["LifecyclePolicy", "Repository", "RepositoryPolicy"]] * 5),
            ["Role", "RolePolicy"],
        ]

    def test_everything_holds(self, prod_told: Told) -> None:
        it = prod_told.json
        assert len(it["acts"]) == 13
        assert all(act["ok"] for act in it["acts"])
        assert len(it["proofs"]) == 7
        assert all(proof["proved"] for proof in it["proofs"])
        assert it["warnings"] == []

    def test_what_is_simulated_is_called_so(self, prod_told: Told) -> None:
        by = {act["act"]: act["by"] for act in prod_told.json["acts"]}
        assert by["refuse-overwriting"] == by["adopt"] == "simulated"
        assert by["declared"] == by["push-builds"] == "moto"

    def test_the_plan_alone(self) -> None:
        done = command(ROOT, "--stack", "prod", "--json", "--plan-only")
        assert (done.exit_code, done.stderr) == (0, "")
        it = json.loads(done.stdout)
        assert len(it["resources"]) == 54
        assert it["acts"] == it["proofs"] == it["access"] == []
        assert "year" not in it


class TestForPeople:
    def test_it_fits_eighty_columns_without_colour(self, prod_told: Told) -> None:
        assert "\x1b" not in prod_told.text
        assert max(len(line) for line in prod_told.text.splitlines()) <= 80

    @pytest.mark.parametrize(
        "said",
        [
            "forms-admin-deploy  Repository, protected, retained",
            "ok       refuse-overwriting: refused for merged-0, stg-0, prod-0, dev-0, pr-0\n",
            "ok       adopt: end-to-end-tests, which existed as IMMUTABLE without policies,\n",
            "proved   Nobody but the pipeline roles can move a tag",
            "111122223333:role/pipeline/forms-image-pipeline",
            "make preview STACK=prod",
        ],
    )
    def test_it_says(self, prod_told: Told, said: str) -> None:
        assert said in prod_told.text

    def test_it_says_what_simulated_means(self, prod_told: Told) -> None:
        assert SIMULATED in " ".join(prod_told.text.split())

    def test_the_table_says_who_can_do_what(self, prod_told: Told) -> None:
        words = [line.split() for line in prod_told.text.splitlines()]
        assert ["111122223333:role/break-glass", "yes", "-", "yes", "yes"] in words
        assert ["444455556666:root", "yes", "-", "-", "-"] in words

    def test_the_command_prints_it(self) -> None:
        done = command(ROOT, "--stack", "prod", "--plan-only")
        assert (done.exit_code, done.stderr) == (0, "")
        assert done.stdout.startswith("Stack prod\n")


@pytest.fixture
def rehearsed(prod_told: Told, monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    """The command is given this rehearsal, and prints it."""
    monkeypatch.setattr(module, "rehearse", lambda *_, **__: prod_told.rehearsal)
    return prod_told.rehearsal


@pytest.fixture(scope="module")
def weakened() -> Told:
    """The rehearsal of a stack whose guard does not deny PutImage."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ACTIONS, "PutImage", Effect.UPLOAD)
        return told(ROOT, "prod")


class TestForPullRequests:
    def test_it_says_what_machines_are_told(self, rehearsed: Rehearsal) -> None:
        done = command(ROOT, "--stack", "prod", "--markdown")
        assert (done.exit_code, done.stderr) == (0, "")
        heading, claims, table, last = read_comment(done.stdout)
        it = rehearsed.to_json()
        assert heading == "Who can do what in the stack prod"
        assert claims == [f"proved {proof['claim']}" for proof in it["proofs"]]
        assert table[0] == ["principal", "pull", "move tags", "delete images", "change guard"]
        assert [[cell == "yes" for cell in row[1:]] for row in table[1:]] == [
            [row[key] for key in ("pull", "moveTags", "deleteImages", "changeGuard")]
            for row in it["access"]
        ]
        assert [row[0] for row in table[1:]] == [row["principal"] for row in it["access"]]
        assert "own principals count with every permission" in last

    def test_a_weakened_guard_is_seen(self, weakened: Told) -> None:
        _, claims, table, _ = read_comment(weakened.rehearsal.to_markdown())
        assert [claim.partition(" ")[0] for claim in claims].count("FALSE") == 2
        verify, claim, *_ = claims
        moved = "Nobody but the pipeline roles can move a tag"
        assert verify.startswith(f"FAILED verify: {moved}")
        assert claim.startswith(f"FALSE {moved}")
        assert (
            "counterexample: ecr:PutImage on arn:aws:ecr:eu-west-2:111122223333:repository/"
            in claim
        )
        assert table[-1] == ["anybody else in the account", "yes", "yes", "-", "-"]

    def test_so_is_whatever_else_fails(self, project: Path) -> None:
        program = project / "__main__.py"
        program.write_text(program.read_text() + "\naws.Provider('other')\n")
        done = command(project, "--stack", "prod", "--markdown")
        assert (done.exit_code, done.stderr) == (1, "")
        heading, failures, *rest = read_comment(done.stdout)
        assert (heading, rest) == ("Who can do what in the stack prod", [])
        assert failures[0].startswith("FAILED register: ")
        assert "there is no pulumi:providers:aws in pulumi-aws" in failures[0]

    @pytest.mark.parametrize("options", [["--json"], ["--plan-only"], ["--json", "--plan-only"]])
    def test_it_goes_with_no_other_form(self, options: list[str]) -> None:
        done = command(ROOT, "--stack", "prod", "--markdown", *options)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "--markdown cannot be used with --json or --plan-only" in done.stderr


class TestExitStatus:
    def test_bad_settings(self, project: Path, write: Write) -> None:
        write("dev", tagMutability="IMMUTABLE", pullAccounts={"dev": 444455556666})
        done = command(project, "--stack", "dev", "--json")
        assert (done.exit_code, done.stdout) == (2, "")
        assert "Pulumi.dev.yaml: the container-images configuration has 2 errors" in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (["--stack", "none", "--json"], "there is no such stack; the stacks are prod"),
            (["--stack", "../prod"], "--stack ../prod is not the name of a stack; give NAME of"),
            (["--json"], "Missing option"),
            (["--stack", "prod", "--jsn"], "No such option"),
        ],
    )
    def test_wrong_usage(self, project: Path, args: list[str], said: str) -> None:
        done = command(project, *args)
        assert (done.exit_code, done.stdout) == (2, "")
        assert said in done.stderr

    @pytest.mark.parametrize("form", ["--json", "--markdown"])
    def test_a_claim_that_does_not_hold(
        self, weakened: Told, monkeypatch: pytest.MonkeyPatch, form: str
    ) -> None:
        monkeypatch.setattr(module, "rehearse", lambda *_, **__: weakened.rehearsal)
        assert command(ROOT, "--stack", "prod", form).exit_code == 1
        assert "FALSE    Nobody but the pipeline roles can move a tag" in weakened.text
        assert "counterexample: ecr:PutImage on arn:aws:ecr:eu-west-2:111122223333:repository/" in (
            " ".join(weakened.text.split())
        )

    @pytest.mark.parametrize(
        ("added", "said", "by", "options"),
        [
            (
                "aws.Provider('other')",
                "there is no pulumi:providers:aws in pulumi-aws",
                "simulated",
                [],
            ),
            (
                "aws.ecr.Repository('a', name='-a')",
                "no default for the encryptionConfigurations of",
                "simulated",
                [],
            ),
            (
                "aws.iam.RolePolicy('a', name='a', role='none', policy='{}')",
                "NoSuchEntity",
                "moto",
                ["--plan-only"],
            ),
        ],
    )
    def test_something_that_the_embedded_aws_does_not_have_or_take(
        self, project: Path, added: str, said: str, by: str, options: list[str]
    ) -> None:
        """A failed act, in the one object that --json promises."""
        program = project / "__main__.py"
        program.write_text(program.read_text() + f"\n{added}\n")
        done = command(project, "--stack", "prod", "--json", *options)
        assert (done.exit_code, done.stderr) == (1, "")
        it = json.loads(done.stdout)
        [act] = it["acts"]
        assert (act["act"], act["ok"], act["by"]) == ("register", False, by)
        assert said in act["detail"]
        assert it["resources"] == it["proofs"] == it["access"] == []

    def test_a_policy_that_the_evaluator_does_not_know(
        self, project: Path, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        denies = repository_policy.denies
        monkeypatch.setattr(
            repository_policy,
            "denies",
            lambda it: [deny | {"Resource": "*"} for deny in denies(it)],
        )
        write("other", repositories={"app": {}})
        it = told(project, "other")
        assert not it.rehearsal.ok
        assert [proof["proved"] for proof in it.json["proofs"]] == [False] * 7
        assert it.json["access"] == []


def test_an_encoding_that_lacks_a_character_of_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = {name: io.TextIOWrapper(io.BytesIO(), "ascii") for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    monkeypatch.setattr(__main__, "end_at_once", lambda: None)  # it would end the tests
    monkeypatch.setattr(
        commands,
        "app",
        lambda **_: [print("sha256:f4c…", file=it) for it in (sys.stdout, sys.stderr)],
    )
    __main__.main()
    for stream in streams.values():
        stream.flush()
        assert stream.buffer.getvalue() == b"sha256:f4c?\n"


INTERRUPTED = """
import importlib, os, runpy, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # as a shell starts it

def interrupt(*_, **__):
    os.kill(os.getpid(), signal.SIGINT)  # as a terminal does it: to the process, no thread of it
    time.sleep(50)

moment = {moment!r}
if moment.startswith("import "):
    module = moment.removeprefix("import ")
    sys.addaudithook(lambda event, args: (event, args[0]) == ("import", module) and interrupt())
else:
    module, holder, name = moment.split(" ")
    setattr(getattr(importlib.import_module(module), holder), name, interrupt)
sys.argv = ["container-images", "rehearse", "--stack", "prod"]
runpy.run_module("container_images", run_name="__main__")
"""


@pytest.mark.parametrize(
    "moment",
    [
        "import container_images.rehearsal.rehearse",
        "import moto",
        # In the thread that creates resources, while the program runs in its event loop.
        "container_images.rehearsal.embedded_aws EmbeddedAws new_resource",
    ],
)
def test_an_interrupt_ends_it_in_one_line(moment: str) -> None:
    done = process("-c", INTERRUPTED.format(moment=moment))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


class TestStacks:
    def test_of_any_size(self, project: Path, write: Write) -> None:
        write("sized", repositories={f"team/app-{number}": {} for number in range(12)})
        rehearsal = told(project, "sized").rehearsal
        assert rehearsal.ok
        assert len(rehearsal.update.resources) == 3 + 4 * 12

    def test_that_override_everything(self, project: Path, write: Write) -> None:
        everything = {
            "retention": [{"tags": "v*", "keepNewest": 3}, {"any": True, "keepNewest": 9}],
            "immutableTags": ["v*"],
            "tagMutability": "MUTABLE_WITH_EXCLUSION",
            "tags": {"Team": "forms"},
            "kmsKey": "arn:aws:kms:eu-west-2:111122223333:key/1",
            "scanOnPush": False,
            "lambdaPull": True,
            "import": True,
        }
        write(
            "other",
            repositories={"everything": everything, "nothing": None, "a--b": {}},
            additionalPipelineRoles=["arn:aws:iam::444455556666:role/ci/push"],
            pullOrganization="o-exampleorgid",
            movableTags=["latest", "stable"],
        )
        it = told(project, "other")
        assert it.rehearsal.ok
        [imported] = [it for it in it.rehearsal.update.resources if it.import_id]
        assert imported.name == "everything"
        assert "everything  Repository, protected, retained, imported" in it.text


class TestWarnings:
    @pytest.fixture
    def mutable(self, project: Path, write: Write) -> Told:
        repositories: dict[str, Any] = {f"app-{number}": {} for number in range(5)}
        repositories["kept"] = {"tagMutability": "IMMUTABLE_WITH_EXCLUSION"}
        write("open", tagMutability="MUTABLE", immutableTags=None, repositories=repositories)
        return told(project, "open", plan_only=True)

    def test_tags_that_are_left_open_are_warned_about(self, mutable: Told) -> None:
        [warning] = mutable.json["warnings"]
        assert "every tag in app-0, app-1, app-2 and 2 more" in warning
        assert "kept" not in warning
        assert f"warning {warning}" in " ".join(mutable.text.split())
        assert mutable.rehearsal.ok, "it is the team's to decide"
        assert max(len(line) for line in mutable.text.splitlines()) <= 80

    def test_so_are_they_in_a_pull_request(self, mutable: Told) -> None:
        _, claims, *_ = read_comment(mutable.rehearsal.to_markdown())
        assert claims[0].startswith("warning A push can change which image a tag names")

    def test_nothing_is_said_where_none_is_open(self, prod_told: Told) -> None:
        assert prod_told.json["warnings"] == []


class TestTheYear:
    def test_it_is_told(self, prod_told: Told) -> None:
        year = prod_told.json["year"]
        assert year["repository"] == "end-to-end-tests"
        assert year["stages"]["prod"]["kept"] == 50
        assert all(claim["holds"] for claim in year["claims"])
        assert "end-to-end-tests after a year under its lifecycle policy" in prod_told.text

    def test_a_policy_that_loses_releases_fails(self, project: Path, write: Write) -> None:
        """The second rule never comes to the releases: their merged- tags belong to the first."""
        retention = [
            {"tags": "merged-*", "expireAfterDays": 3},
            {"tags": "prod-*", "keepNewest": 50},
        ]
        write("short", retention=retention, repositories={"app": {}})
        rehearsal = told(project, "short").rehearsal
        assert all(act.ok for act in rehearsal.acts)
        assert all(proof.proved for proof in rehearsal.proofs)
        assert not rehearsal.ok
        assert "- **FAILED** after a year: " in rehearsal.to_markdown()

    def test_a_year_goes_by_the_tag_that_moves(self, project: Path, write: Write) -> None:
        write("other", movableTags=["stable"], repositories={"app": {}})
        it = told(project, "other")
        assert it.rehearsal.ok
        assert it.json["year"]["claims"][0] == {"claim": "stable can be pulled", "holds": True}


class TestTheReport:
    def report(self, *, terminal: bool) -> tuple[Report, io.StringIO]:
        out = io.StringIO()
        return Report(Console(file=out, width=80, force_terminal=terminal)), out

    def test_a_thousand_components_are_not_listed_one_by_one(
        self, project: Path, write: Write
    ) -> None:
        write("large", repositories={f"app-{number:03}": {} for number in range(40)})
        it = told(project, "large", plan_only=True)
        assert "… and 31 more" in it.text
        assert "app-039" not in it.text

    def test_of_many_children_there_is_the_number_of_each_type(self, prod_told: Told) -> None:
        [_, tree] = prod_told.text.split("tag-audit  TagAudit\n")
        text = " ".join(tree.partition("ADR040")[0].replace("└──", "").split())
        counted = Counter(
            {kind: int(number) for number, kind in re.findall(r"(\d+) ([^,]+)", text)}
        )
        children = [it for it in prod_told.json["resources"] if it["parent"] == "tag-audit"]
        assert counted == Counter(
            it["type"].rpartition(":")[2] + " retained" * it["retainOnDelete"] for it in children
        )

    def test_what_failed_is_said_last(self) -> None:
        report, out = self.report(terminal=False)
        report.over("prod", ok=False, seconds=1.0)
        assert out.getvalue().strip().startswith("FAILED   the stack prod does not do")

    def test_nothing_is_explained_where_nothing_is_simulated(self) -> None:
        report, out = self.report(terminal=False)
        report.explain([Act(act="one", ok=True, detail="", by="moto")])
        assert out.getvalue() == ""


def test_a_rehearsal_in_which_an_act_failed_is_not_ok() -> None:
    update = Update(resources=[], outputs={}, seconds=0.0)
    for ok in (True, False):
        acts = [
            Act(act="one", ok=True, detail="", by="moto"),
            Act(act="other", ok=ok, detail="", by="simulated"),
        ]
        assert Rehearsal(stack="prod", update=update, acts=acts).ok is ok
