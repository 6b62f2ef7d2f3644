"""The rehearsal as a whole, and the command that people and machines use."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from pulumi import RunError

from container_images.policies.ecr_actions import ACTIONS, Effect
from container_images.rehearsal import rehearse as module
from container_images.rehearsal import year
from container_images.rehearsal.acts import Act, open_tags
from container_images.rehearsal.rehearse import Rehearsal, rehearse
from container_images.rehearsal.report import markdown
from container_images.settings.stack_file import StackFile
from tests.conftest import FIXTURES, ROOT
from tests.rehearsal.conftest import Rehearsed, Write, command, rehearsed
from tests.rehearsal.test_acts import ALL, declared_by, with_setting
from tests.test_program import changed

DAYS = 90
MOVED = "Nobody but the pipeline roles can move a tag"
EXAMPLES = sorted((ROOT / "examples" / "stacks").glob("Pulumi.*.yaml"))


@pytest.fixture
def printing(prod_rehearsed: Rehearsed, monkeypatch: pytest.MonkeyPatch) -> Rehearsal:
    """The command is given this rehearsal, and prints it."""
    monkeypatch.setattr(module, "rehearse", lambda *_, **__: prod_rehearsed.rehearsal)
    return prod_rehearsed.rehearsal


@pytest.fixture(scope="module")
def weakened(prod: StackFile) -> Rehearsed:
    """A stack whose guard does not deny PutImage, and of which a policy loses releases.

    The second rule never comes to the releases: their merged- tags belong to the first.
    """
    retention = [
        {"tags": "merged-*", "expireAfterDays": 3},
        {"tags": "prod-*", "keepNewest": 50},
    ]
    repositories = {"app": {"retention": retention}, "cache": {}}
    stack = changed(prod, repositories=repositories, audit={}, retention=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ACTIONS, "PutImage", Effect.UPLOAD)
        patch.setattr(year, "DAYS", DAYS)
        return Rehearsed(rehearse(stack))


@pytest.fixture
def _short_year(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time enough for each claim."""
    monkeypatch.setattr(year, "DAYS", DAYS)


class TestForMachines:
    def test_the_shape(self, prod_rehearsed: Rehearsed) -> None:
        printed = prod_rehearsed.json
        assert list(printed) == [
            *("stack", "cloud", "resources", "outputs", "acts", "proofs", "access", "warnings"),
            "seconds",
        ]
        assert (printed["stack"], printed["cloud"]["name"]) == ("prod", "moto")
        keys = {name: {tuple(sorted(it)) for it in printed[name]} for name in list(printed)[2:7:1]}
        assert keys["resources"] == {
            ("id", "inputs", "name", "parent", "protect", "retainOnDelete", "type")
        }
        assert keys["acts"] == {("act", "by", "detail", "ok")}
        assert keys["proofs"] == {("claim", "counterexample", "proved")}
        assert keys["access"] == {("changeGuard", "deleteImages", "moveTags", "principal", "pull")}
        assert 0 < printed["seconds"]["program"] < printed["seconds"]["total"]

    def test_the_resources_are_those_that_the_program_declares(
        self, prod_rehearsed: Rehearsed
    ) -> None:
        children: dict[str | None, list[str]] = {}
        for it in prod_rehearsed.json["resources"]:
            children.setdefault(it["parent"], []).append(it["type"].rpartition(":")[2])
        assert children.pop(None) == ["Registry"]
        components = children.pop("registry")
        assert sorted(components) == ["ImageRepository"] * 5 + ["PipelineRole", "TagAudit"]
        assert children.pop("tag-audit").count("EventRule") == 12
        assert sorted(map(sorted, children.values())) == [
            *([["LifecyclePolicy", "Repository", "RepositoryPolicy"]] * 5),
            ["Role", "RolePolicy"],
        ]

    def test_everything_holds(self, prod_rehearsed: Rehearsed) -> None:
        printed = prod_rehearsed.json
        assert [act["act"] for act in printed["acts"]] == [*ALL, "year"]
        assert all(act["ok"] for act in printed["acts"])
        assert all(proof["proved"] for proof in printed["proofs"])
        assert len(printed["proofs"]) > 5

    def test_the_command_prints_one_object_and_nothing_else(self, printing: Rehearsal) -> None:
        done = command(FIXTURES, "--stack", "prod", "--json")
        assert (done.exit_code, done.stderr) == (0, "")
        assert json.loads(done.stdout) == printing.to_json()


class TestForPeople:
    def test_what_decides_comes_first_and_fits_one_screen(self, prod_rehearsed: Rehearsed) -> None:
        lines = prod_rehearsed.text.splitlines()
        assert lines[0].startswith("ok       the stack prod does what ADR040 asks")
        wrapped = [line for line in lines if line.split()[-1:] not in (["yes"], ["-"])]
        folds = sum(len(line) // 80 for line in wrapped)
        assert len(lines) + folds <= 45, "on a terminal of 80 columns"
        words = [line.split() for line in lines]
        assert ["111122223333:role/break-glass", "yes", "-", "yes", "yes"] in words
        assert ["444455556666:root", "yes", "-", "-", "-"] in words
        assert any(line.startswith(f"holds    {MOVED}") for line in lines)
        assert "12 EventRule, 12 EventTarget" in prod_rehearsed.text
        assert "\x1b" not in prod_rehearsed.text

    def test_the_rest_comes_with_verbose(self, prod_rehearsed: Rehearsed) -> None:
        detail = "refuse-overwriting: refused for merged-0, stg-0, prod-0, dev-0, pr-0 (simulated)"
        resource = "  forms-admin-deploy  Repository, protected, retained\n"
        verbose = prod_rehearsed.printed(verbose=True)
        for part in (detail, resource, "the rest is moto's"):
            assert part in verbose
            assert part not in prod_rehearsed.text

    def test_a_failure_is_said_right_behind_the_verdict(self, weakened: Rehearsed) -> None:
        verdict, *lines = weakened.text.splitlines()
        assert verdict == "FAILED   the stack prod does not do what ADR040 asks"
        assert any(
            line.startswith(f"FAILED   {MOVED}")
            and "counterexample: ecr:PutImage on arn:aws:ecr:eu-west-2:111122223333:repo" in line
            for line in lines[:5]
        )
        assert "Next:" not in weakened.text

    def test_a_policy_that_loses_releases_is_a_failure(self, weakened: Rehearsed) -> None:
        [act] = [act for act in weakened.rehearsal.acts if not act.ok and act.act == "year"]
        assert "the newest 10 releases (rule 2 (tags merged-*) took it" in act.detail
        assert "put the rule that keeps releases before this one" in act.detail

    def test_what_comes_from_a_file_is_printed_without_control_characters(
        self, prod_rehearsed: Rehearsed
    ) -> None:
        act = Act(act="year", ok=False, detail="\x1b[2Ka\u202e", by="moto")
        row = replace(prod_rehearsed.rehearsal.access[0], principal="arn:aws:iam::1:role/\x9b`|x")
        odd = replace(prod_rehearsed.rehearsal, acts=[act], access=[row])
        for text in (Rehearsed(odd).text, markdown(odd)):
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
            assert r"\x9b" in text


# --- For pull requests ----------------------------------------------------------------------------


def read_markdown(text: str) -> list[Any]:
    """Its blocks, as GitHub reads them: a text, the texts of a list, or the rows of a table."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    blocks: list[Any] = []
    for block in SyntaxTreeNode(tokens).children:
        if block.type == "table":
            rows = [row for part in block.children for row in part.children]
            blocks.append([[shown(cell) for cell in row.children] for row in rows])
        elif block.type == "bullet_list":
            blocks.append([shown(item) for item in block.children])
        else:
            blocks.append(shown(block))
    return blocks


def shown(node: SyntaxTreeNode) -> str:
    """A piece of text as it is shown, without any marks but what is bold and what is code."""
    return "".join(shown_pieces(node))


def shown_pieces(node: SyntaxTreeNode) -> Iterator[str]:
    for it in node.walk():
        if it.type in ("text", "code_inline"):
            yield it.content
        else:
            assert it.type in ("heading", "paragraph", "list_item", "td", "th", "inline", "strong")


class TestForPullRequests:
    def test_it_says_what_machines_are_told(self, printing: Rehearsal) -> None:
        done = command(FIXTURES, "--stack", "prod", "--markdown")
        assert (done.exit_code, done.stderr) == (0, "")
        heading, claims, table, last = read_markdown(done.stdout)
        printed = printing.to_json()
        assert heading == "Who can do what in the stack prod"
        warnings = [f"warning {it}" for it in printed["warnings"]]
        assert claims == [*warnings, *(f"holds {it['claim']}" for it in printed["proofs"])]
        assert table[0] == ["principal", "pull", "move tags", "delete images", "change guard"]
        keys = ("pull", "moveTags", "deleteImages", "changeGuard")
        assert [[row[0], *(cell == "yes" for cell in row[1:])] for row in table[1:]] == [
            [row["principal"], *(row[key] for key in keys)] for row in printed["access"]
        ]
        assert "own principals count with every permission" in last

    def test_a_weakened_guard_is_seen(self, weakened: Rehearsed) -> None:
        _, claims, table, _ = read_markdown(markdown(weakened.rehearsal))
        assert any(claim.startswith(f"FAILED {MOVED}") for claim in claims)
        assert f"holds {MOVED}" not in " ".join(claims)
        assert table[-1] == ["anybody else in the account", "yes", "yes", "-", "-"]

    @pytest.mark.parametrize(
        "odd",
        [
            "a|b",
            "`a`",
            "a``|`",
            "*a* _b_ ~~c~~",
            "<b>a</b> [b](c) ![d](e)",
            "&amp; \\| \\",
            "# - a",
        ],
    )
    def test_nothing_is_taken_for_a_mark(self, prod_rehearsed: Rehearsed, odd: str) -> None:
        rows = [replace(prod_rehearsed.rehearsal.access[0], principal=f"arn:{odd}")]
        act = Act(act="one", ok=False, detail=f"{odd}\n\n# b", by="moto")
        rehearsal = replace(prod_rehearsed.rehearsal, acts=[act], access=rows, warnings=[odd])
        _, (failure, warning, *_), table, _ = read_markdown(markdown(rehearsal))
        assert failure == f"FAILED one: {odd} # b"
        assert warning == f"warning {odd}"
        assert table[1][0] == f"arn:{odd}"


# --- Exit status ----------------------------------------------------------------------------------


class TestExitStatus:
    def test_bad_settings(self, project: Path, write: Write) -> None:
        write("dev", tagMutability="IMMUTABLE", pullAccounts={"dev": 444455556666})
        done = command(project, "--stack", "dev", "--json")
        assert (done.exit_code, done.stdout) == (2, "")
        error = json.loads(done.stderr)
        assert error["kind"] == "usage"
        assert error["error"].startswith("Pulumi.dev.yaml: ")
        done = command(project, "--stack", "dev")
        assert (done.exit_code, done.stdout) == (2, "")
        for key in ("tagMutability", "pullAccounts"):
            [line] = [line for line in done.stderr.splitlines() if key in line.partition("=")[0]]
            assert line.partition("=")[0].split()[-1].startswith(key), "an error a line"

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (["--stack", "none"], "there is no such stack"),
            (["--stack", "../prod"], "--stack ../prod is not the name of a stack; give NAME of"),
            (["--json"], "Missing option"),
            (["--stack", "prod", "--jsn"], "No such option"),
            (["--stack", "prod", "--json", "--markdown"], "give one of --json, --markdown"),
        ],
    )
    def test_wrong_usage(self, project: Path, args: list[str], said: str) -> None:
        done = command(project, *args)
        assert (done.exit_code, done.stdout) == (2, "")
        assert said in done.stderr

    @pytest.mark.parametrize("form", ["--json", "--markdown", "--verbose"])
    def test_a_claim_that_does_not_hold(
        self, weakened: Rehearsed, monkeypatch: pytest.MonkeyPatch, form: str
    ) -> None:
        monkeypatch.setattr(module, "rehearse", lambda *_, **__: weakened.rehearsal)
        assert command(FIXTURES, "--stack", "prod", form).exit_code == 1

    @pytest.mark.parametrize(
        ("added", "said", "by"),
        [
            ("aws.ecr.Repository('a', name='a')", "encryptionConfigurations of aws", "simulated"),
            ("aws.iam.RolePolicy('a', name='a', role='no', policy='{}')", "NoSuchEntity", "moto"),
        ],
    )
    def test_what_the_embedded_aws_does_not_have_or_take(
        self, project: Path, write: Write, added: str, said: str, by: str
    ) -> None:
        """A failed act, in the one object that --json promises."""
        program = project / "__main__.py"
        program.write_text(f"import pulumi_aws as aws\n{program.read_text()}\n{added}\n")
        write("small", repositories={"app": {}})
        done = command(project, "--stack", "small", "--json")
        assert (done.exit_code, done.stderr) == (1, "")
        printed = json.loads(done.stdout)
        [act] = printed["acts"]
        assert (act["act"], act["ok"], act["by"]) == ("register", False, by)
        assert said in act["detail"]
        assert printed["resources"] == printed["proofs"] == printed["access"] == []


INTERRUPTED = """
import importlib, os, runpy, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # as a shell starts it

def interrupt(*_, **__):
    os.kill(os.getpid(), signal.SIGINT)  # as a terminal does it: to the process, no thread of it
    time.sleep(50)

module = importlib.import_module("container_images.rehearsal.embedded_aws")
module.EmbeddedAws.new_resource = interrupt
sys.argv = ["container-images", "rehearse", "--stack", "prod"]
runpy.run_module("container_images", run_name="__main__")
"""


def test_an_interrupt_ends_it_in_one_line(project: Path) -> None:
    """In the thread that creates resources, while the program runs in its event loop."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


# --- Stacks ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_short_year")
def test_a_stack_that_overrides_everything(project: Path, write: Write) -> None:
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
        pullAccounts={"ci": "444455556666"},
        lambdaPullAccounts=["444455556666"],
        pullOrganization="o-exampleorgid",
        movableTags=["latest", "stable"],
    )
    it = rehearsed(project, "other")
    assert it.rehearsal.ok, it.text
    [imported] = [it for it in it.rehearsal.update.resources if it.import_id]
    assert imported.name == "everything"
    assert "everything  Repository, protected, retained, imported" in it.printed(verbose=True)
    details = [act.detail for act in it.rehearsal.acts if act.act == "year"]
    assert [detail.partition(": ")[0] for detail in details] == ["a--b, nothing", "everything"]
    assert details[1].endswith("can be pulled: the image of latest, the image of stable")


def test_tags_that_are_left_open_are_a_warning(prod: StackFile, prod_rehearsed: Rehearsed) -> None:
    """No more than that: it is the team's to decide."""
    repositories: dict[str, Any] = {f"app-{number}": {} for number in range(5)}
    repositories["kept"] = {"tagMutability": "IMMUTABLE_WITH_EXCLUSION"}
    repositories["some"] = {"tagMutability": "MUTABLE_WITH_EXCLUSION", "immutableTags": ["p*"]}
    stack = changed(prod, immutableTags=None, repositories=repositories)
    stack = with_setting(stack, "tagMutability", "MUTABLE")
    mutable, excluded = warnings = open_tags(declared_by(stack))
    assert "every tag in app-0, app-1, app-2 and 2 more" in mutable
    assert "such as scratch, can be overwritten in some: with IMMUTABLE_WITH" in excluded
    assert "kept" not in mutable + excluded
    warned = replace(prod_rehearsed.rehearsal, warnings=warnings)
    lines = Rehearsed(warned).text.splitlines()
    assert lines[1:3] == [f"warning  {mutable}", f"warning  {excluded}"]
    assert warned.ok


def test_repositories_in_which_nothing_expires_are_a_warning(weakened: Rehearsed) -> None:
    open_to_overwriting, unlimited = weakened.json["warnings"]
    assert "can be overwritten in every repository" in open_to_overwriting
    assert unlimited == "Every image is kept in cache: there is no retention rule."


@pytest.mark.usefixtures("_short_year")
@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_an_example_is_rehearsed_with_the_teams_own_tags(tmp_path: Path, file: Path) -> None:
    for source in (ROOT / "Pulumi.yaml", ROOT / "__main__.py", file):
        shutil.copy(source, tmp_path)
    name = file.name.split(".")[1]
    it = rehearsed(tmp_path, name)
    assert it.rehearsal.ok, it.text
    details = {act.act: act.detail for act in it.rehearsal.acts}
    if name == "semver":
        assert details["promote"] == "the second build is v1.2.0; latest and stable are on it"
        assert details["resolve"] == "latest and stable are v1.1.0"
        text = file.read_text().replace("[v*]", "[v2*]")
        (tmp_path / "Pulumi.open.yaml").write_text(text)
        with pytest.raises(RunError, match=r"immutableTags do not match all of its tags: v0\.0\.0"):
            rehearsed(tmp_path, "open")
