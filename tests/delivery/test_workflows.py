"""The workflows of CI: what they may, what they run, and what they can be made to run."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import ROOT

FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = {it.name: it.read_text() for it in sorted(FOLDER.glob("*.yml"))}
BUILDSPEC = (ROOT / "buildspec.yml").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
DOCS = (ROOT / "docs" / "ci.md").read_text()
BASH = shutil.which("bash") or "bash"
PINNED = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def load(text: str) -> dict[str, Any]:
    contents: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return contents


def commands(run: str) -> list[str]:
    """The simple commands of a step, without redirections and pipes."""
    return [it.split("|")[0].split("2>&1")[0].strip() for it in re.split(r"&&|\n", run.strip())]


def exists(command: str) -> bool:
    """Whether it is a target of the Makefile or a file of the repository that can be run."""
    if target := re.fullmatch(r"make ([a-z-]+)", command):
        return target[1] in TARGETS
    return os.access(ROOT / command, os.X_OK) and (ROOT / command).is_file()


def faults(text: str) -> list[str]:
    """What is wrong with a workflow."""
    workflow = load(text)
    found = [
        f"not pinned by commit with its version: {line.strip()}"
        for line in text.splitlines()
        if "uses:" in line and not PINNED.search(line)
    ]
    if workflow.get("permissions") != {}:
        found.append("permissions at the top are not {}")
    found += [
        f"runs on {it}" for it in ("pull_request_target", "workflow_run") if it in workflow["on"]
    ]
    jobs = workflow["jobs"]
    changes = any("environment" in job for job in jobs.values())
    cancels = workflow.get("concurrency", {}).get("cancel-in-progress")
    if cancels is None or (cancels and changes):
        found.append("concurrency may cancel an update")
    for name, job in jobs.items():
        found += [f"{name}: {it}" for it in faults_of_job(job)]
    return found


def faults_of_job(job: dict[str, Any]) -> list[str]:
    found = []
    steps = job["steps"]
    uses = [it.get("uses", "").split("@")[0] for it in steps]
    permissions = job.get("permissions")
    if not isinstance(permissions, dict):
        return ["has no permissions of its own"]
    writes = {it for it, level in permissions.items() if level != "read"}
    if "timeout-minutes" not in job:
        found.append("has no time limit")
    if "actions/checkout" in uses and writes - {"id-token"}:
        found.append("runs the repository's code and may write to it")
    if ("aws-actions/configure-aws-credentials" in uses) != ("id-token" in writes):
        found.append("has a token for AWS and no use for it, or the reverse")
    if "AWS_DEPLOY_ROLE_ARN" in str(steps) and "environment" not in job:
        found.append("deploys without anybody's approval")
    for step in steps:
        found += faults_of_step(step, has_code="actions/checkout" in uses)
    return found


def faults_of_step(step: dict[str, Any], *, has_code: bool) -> list[str]:
    found = []
    if "actions/checkout@" in step.get("uses", ""):
        if step.get("with", {}).get("persist-credentials") is not False:
            found.append("keeps the repository's token on disk")
        if "ref" in step.get("with", {}):
            found.append("checks out something else than what it was started for")
    run = step.get("run", "")
    if "${{" in run:
        found.append("puts an expression into a script")
    if run and has_code:
        found += [f"no such command: {it}" for it in commands(run) if not exists(it)]
    return found


@pytest.mark.parametrize("name", WORKFLOWS)
def test_it_is_as_it_should_be(name: str) -> None:
    assert faults(WORKFLOWS[name]) == []


def test_there_are_the_four() -> None:
    assert list(WORKFLOWS) == ["check.yml", "deploy.yml", "drift.yml", "preview.yml"]


@pytest.mark.parametrize(
    ("name", "old", "new", "fault"),
    [
        ("check.yml", "# v6.0.2", "", "not pinned by commit"),
        ("check.yml", "@de0fac2e4500dabe0009e67214ff5f5447ce83dd", "@v6", "not pinned by commit"),
        ("check.yml", "permissions: {}", "permissions: read-all", "permissions at the top"),
        ("check.yml", "run: .ci/run", "run: .ci/ran", "check: no such command: .ci/ran"),
        ("check.yml", "run: .ci/run", "run: echo ${{ github.head_ref }}", "puts an expression"),
        ("check.yml", "    permissions:\n      contents: read\n", "", "check: has no permissions"),
        ("check.yml", "    timeout-minutes: 20\n", "", "check: has no time limit"),
        (
            "check.yml",
            "persist-credentials: false",
            "fetch-depth: 0",
            "keeps the repository's token",
        ),
        ("deploy.yml", "make up", "make upp", "deploy: no such command: make upp"),
        ("deploy.yml", "in-progress: false", "in-progress: true", "may cancel an update"),
        (
            "deploy.yml",
            "environment: registry",
            "name: deploy",
            "deploys without anybody's approval",
        ),
        ("deploy.yml", "      id-token: write", "      actions: read", "a token for AWS"),
        (
            "deploy.yml",
            "id-token: write",
            "issues: write",
            "runs the repository's code and may write",
        ),
        ("preview.yml", "pull_request:", "pull_request_target:", "runs on pull_request_target"),
        (
            "preview.yml",
            "persist-credentials: false",
            "persist-credentials: false\n          ref: main",
            "checks out something else",
        ),
        ("drift.yml", "make movers 2>&1", "make mover 2>&1", "drift: no such command: make mover"),
    ],
)
def test_what_is_not_is_noticed(name: str, old: str, new: str, fault: str) -> None:
    assert old in WORKFLOWS[name]
    assert fault in "; ".join(faults(WORKFLOWS[name].replace(old, new)))


def test_a_pull_request_never_gets_the_deploy_role() -> None:
    assert "DEPLOY_ROLE" not in WORKFLOWS["preview.yml"] + WORKFLOWS["drift.yml"]
    jobs = load(WORKFLOWS["preview.yml"])["jobs"]
    same = "github.event.pull_request.head.repo.full_name == github.repository"
    for name, job in jobs.items():
        privileged = {it for it, level in job["permissions"].items() if level == "write"}
        assert (same in job.get("if", "")) == bool(privileged), name


def test_the_check_covers_each_python_from_the_oldest_on() -> None:
    versions = load(WORKFLOWS["check.yml"])["jobs"]["check"]["strategy"]["matrix"]["python"]
    pyproject = (ROOT / "pyproject.toml").read_text()
    assert f'target-version = "py{versions[0].replace(".", "")}"' in pyproject
    minors = [int(it.removeprefix("3.")) for it in versions]
    assert minors == list(range(minors[0], minors[0] + len(minors)))


def test_the_cli_is_that_of_the_sdk() -> None:
    [sdk] = re.findall(r"^pulumi==(.+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    installed = re.findall(r"pulumi-version: (\S+)", "".join(WORKFLOWS.values()))
    assert set(installed) == {sdk}
    assert load(BUILDSPEC)["env"]["variables"]["PULUMI_VERSION"] == sdk


def test_the_buildspec_runs_what_exists() -> None:
    [script] = load(BUILDSPEC)["phases"]["build"]["commands"]
    cases = dict(re.findall(r"^  ([a-z]+)\) (.+) ;;$", script, re.MULTILINE))
    assert list(cases) == ["check", "preview", "deploy", "drift"]
    run = [command for case in cases.values() for command in commands(case)]
    assert [it for it in run if not exists(it)] == []
    assert f"it takes {', '.join([*cases][:-1])} and {[*cases][-1]}" in script


def test_the_buildspec_refuses_what_it_does_not_know() -> None:
    [script] = load(BUILDSPEC)["phases"]["build"]["commands"]
    done = subprocess.run(
        [BASH, "-c", script],
        env={"ACTION": "depoly"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "ACTION is depoly" in done.stderr


def test_each_variable_is_in_the_list_and_no_other() -> None:
    used = set(re.findall(r"vars\.([A-Z_]+)", "".join(WORKFLOWS.values())))
    listed = set(re.findall(r"^ *\| `([A-Z_]+)` \|", DOCS, re.MULTILINE))
    assert listed == used
    assert "secrets." not in "".join(WORKFLOWS.values())


# --- What the two scripts do that write to the repository -----------------------------------------

GH = """#!/bin/sh
echo "$@" >> calls
case "$*" in *--jq*) cat there;; esac
"""


def run(script: str, folder: Path, **environment: str) -> list[str]:
    """Run a step with a gh that only keeps what it is asked. Returns that."""
    gh = folder / "gh"
    gh.write_text(GH)
    gh.chmod(0o755)
    subprocess.run(
        [BASH, "-eo", "pipefail", "-c", script],
        cwd=folder,
        env={
            "PATH": f"{folder}:{os.environ['PATH']}",
            "GITHUB_REPOSITORY": "example-org/registry",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_RUN_ID": "7",
            **environment,
        },
        check=True,
        capture_output=True,
    )
    return (folder / "calls").read_text().splitlines()


def last_step(workflow: str, job: str) -> dict[str, Any]:
    step: dict[str, Any] = load(WORKFLOWS[workflow])["jobs"][job]["steps"][-1]
    return step


REPOSITORY = "repos/example-org/registry/issues"


@pytest.mark.parametrize(
    ("there", "call"),
    [
        ("", f"api --silent {REPOSITORY}/12/comments -F body=@comment.md"),
        (
            "41\n42\n",
            f"api --silent --method PATCH {REPOSITORY}/comments/41 -F body=@comment.md",
        ),
    ],
    ids=["the first", "updated"],
)
def test_the_comment(tmp_path: Path, there: str, call: str) -> None:
    step = last_step("preview.yml", "comment")
    (tmp_path / "there").write_text(there)
    (tmp_path / "access.md").write_text("## Who can do what\n" + "x" * 30_000)
    (tmp_path / "preview.txt").write_text(
        "y" * 90_000 + "\n``````\n<b>out of the block</b>\n$(id)\n"
    )
    mark = step["env"]["MARK"]
    calls = run(step["run"], tmp_path, NUMBER="12", MARK=mark)
    assert calls[-1] == call
    comment = (tmp_path / "comment.md").read_text()
    assert comment.startswith(f"{mark}\n## Who can do what")
    assert len(comment) < 65_536, "https://docs.github.com/en/rest/issues/comments"
    assert comment.count("``````") == 2, "nothing closes the block before its end"
    assert "$(id)" in comment


def test_the_comment_without_credentials(tmp_path: Path) -> None:
    step = last_step("preview.yml", "comment")
    (tmp_path / "there").write_text("")
    (tmp_path / "access.md").write_text("## Who can do what")
    run(step["run"], tmp_path, NUMBER="12", MARK=step["env"]["MARK"])
    assert "What an update would change" not in (tmp_path / "comment.md").read_text()


@pytest.mark.parametrize(
    ("there", "call"),
    [
        ("", "issue create --title The registry drifted --label registry-drift"),
        ("5\n", "issue edit 5"),
    ],
    ids=["the first", "updated"],
)
def test_the_issue(tmp_path: Path, there: str, call: str) -> None:
    step = last_step("drift.yml", "issue")
    (tmp_path / "there").write_text(there)
    (tmp_path / "movers.txt").write_text("role/intruder could move a tag\n``````\n")
    (tmp_path / "moves.txt").write_text("! intruder\n")
    calls = run(step["run"], tmp_path, TITLE="The registry drifted")
    assert calls[-1] == f"{call} --body-file issue.md"
    issue = (tmp_path / "issue.md").read_text()
    assert "### make movers" in issue
    assert "### make drift" not in issue
    assert "### make moves" in issue
    assert issue.count("``````") == 4
